/* SPDX-License-Identifier: MIT */
/* What the examples share: numbers and "ADDRESS[:PORT]" from the command line. */
#ifndef EXAMPLES_GATEWAY_H
#define EXAMPLES_GATEWAY_H

#include <natpmpc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A whole number up to most, or the end of the program; stop: what may follow, e.g. "/". */
static unsigned long read_number(const char *text, unsigned long most, const char *stop)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (end == text || *text == '-' || number > most || (*end && !strchr(stop, *end))) {
		fprintf(stderr, "%s: not a number from 0 to %lu\n", text, most);
		exit(2);
	}
	return number;
}

static void name_gateway(natpmp_options *options, char room[64], const char *text)
{
	char *colon;

	if (!text || strlen(text) > 63)
		return;
	options->gateway = strcpy(room, text);
	colon = strchr(room, ':');
	if (colon) {
		*colon = '\0';
		options->gateway_port = (uint16_t)read_number(colon + 1, 65535, "");
	}
}

#endif
