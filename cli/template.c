/* SPDX-License-Identifier: MIT */
#include "template.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* One that is not known is nothing. */
static void put_port(FILE *out, uint16_t port)
{
	if (port)
		fprintf(out, "%u", port);
}

/* True if c was a token. */
static bool put_token(FILE *out, char c, const natpmp_mapping *mapping)
{
	switch (c) {
	case 'p':
		put_port(out, mapping->internal_port);
		return true;
	case 'h':
		fputs(mapping->internal_address, out);
		return true;
	case 'P':
		put_port(out, mapping->external_port);
		return true;
	case 'H':
		fputs(mapping->external_address, out);
		return true;
	case '%':
		putc('%', out);
		return true;
	default:
		return false;
	}
}

char *template_expand(const char *text, const natpmp_mapping *mapping)
{
	char *expanded = NULL;
	size_t size;
	FILE *out = open_memstream(&expanded, &size);

	if (!out)
		return NULL;
	for (; *text; text++) {
		if (*text == '%' && put_token(out, text[1], mapping))
			text++;
		else
			putc(*text, out);
	}
	if (fclose(out) != 0) {
		free(expanded);
		return NULL;
	}
	return expanded;
}
