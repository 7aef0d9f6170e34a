/* SPDX-License-Identifier: MIT */
#include "template.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One that is not known is nothing. */
static void put_port(FILE *out, uint16_t port)
{
	if (port)
		fprintf(out, "%u", port);
}

/* An IPv6 address has colons of its own: before one that is to part it from a port it is in
 * brackets (RFC 3986 section 3.2.2). */
static void put_address(FILE *out, const char *address, char next)
{
	bool brackets = next == ':' && strchr(address, ':');

	fprintf(out, "%s%s%s", brackets ? "[" : "", address, brackets ? "]" : "");
}

/* The values of %p, %h, %P and %H. */
static void put_value(FILE *out, const char *token, const natpmp_mapping *mapping)
{
	if (*token == 'p')
		put_port(out, mapping->internal_port);
	else if (*token == 'h')
		put_address(out, mapping->internal_address, token[1]);
	else if (*token == 'P')
		put_port(out, mapping->external_port);
	else
		put_address(out, mapping->external_address, token[1]);
}

static bool is_token(const char *text)
{
	return *text == '%' && text[1] && strchr("phPH", text[1]);
}

char *template_expand(const char *text, const natpmp_mapping *mapping)
{
	char *expanded = NULL;
	size_t size;
	FILE *out = open_memstream(&expanded, &size);

	if (!out)
		return NULL;
	while (*text) {
		if (*text == '%' && is_token(text + 1)) {
			fprintf(out, "%.2s", text + 1);
			text += 3;
		} else if (is_token(text)) {
			put_value(out, text + 1, mapping);
			text += 2;
		} else {
			putc(*text++, out);
		}
	}
	if (fclose(out) != 0) {
		free(expanded);
		return NULL;
	}
	return expanded;
}
