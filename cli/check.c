/* SPDX-License-Identifier: MIT */
/*
 * --json gives one object: event "check", gateway, gateway_port, interface,
 * internal_address; natpmp and pcp (is it spoken?), natpmp_error; round_trip_us,
 * uptime (s); external_address, external_kind; mapping (was a test mapping
 * granted? null: not tried), mapping_error; works, verdict (a word), message,
 * advice (null when it works).
 */
#include "check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "failure.h"
#include "json.h"

enum { TEST_LIFETIME = 120 }; /* s, should the test mapping not be closed again */

struct findings {
	natpmp_link link;
	int link_status;
	bool probed;
	natpmp_probe probe;
	bool tried;
	natpmp_mapping mapping;
	int map_status, close_status;
};

struct verdict {
	int exit_status;
	const char *word;
	char message[200];
	const char *advice; /* NULL: none needed */
};

__attribute__((format(printf, 3, 4))) static void row(struct output *output, const char *label,
						      const char *format, ...)
{
	const struct options *options = output->options;
	char value[240], line[280];
	va_list arguments;

	if (options->json || options->quiet)
		return;
	va_start(arguments, format);
	vsnprintf(value, sizeof(value), format, arguments);
	va_end(arguments);
	snprintf(line, sizeof(line), output->align ? "%-18s%s%s\n" : "%s%s%s\n", label,
		 output->align ? "" : ": ", value);
	output_text(output, line);
}
