/* SPDX-License-Identifier: MIT */
/* What the examples share: "ADDRESS[:PORT]" from the command line into the options. */
#ifndef EXAMPLES_GATEWAY_H
#define EXAMPLES_GATEWAY_H

#include <natpmpc.h>
#include <stdlib.h>
#include <string.h>

static void name_gateway(natpmp_options *options, char room[64], const char *text)
{
	char *colon;

	if (!text || strlen(text) > 63)
		return;
	options->gateway = strcpy(room, text);
	colon = strchr(room, ':');
	if (colon) {
		*colon = '\0';
		options->gateway_port = (uint16_t)atoi(colon + 1);
	}
}

#endif
