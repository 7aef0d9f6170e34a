/* SPDX-License-Identifier: MIT */
#include "table.h"

#include <stdio.h>
#include <string.h>

#define IN(job) (1U << (job))
#define ALL     (~0U)
#define ASKING  (~IN(JOB_STATUS)) /* those that ask a gateway */
#define OPENING (IN(JOB_MAP) | IN(JOB_HOLD))
#define HOLDING IN(JOB_HOLD)

const struct table_row option_table[] = {
	{'t', "type", "TYPE", "type", ASKING & ~IN(JOB_ADDRESS), true,
	 "tcp, udp or both (default: tcp)"},
	{'p', "port", "PORT", "port", OPENING | IN(JOB_CLOSE), true,
	 "internal port (default: a free one); for several,\n"
	 "each as -p INTERNAL[:EXTERNAL][/TYPE]"},
	{OPT_TTL, "ttl", "TIME", "time", OPENING, true,
	 "lifetime to ask for: 600, 90m, 2h (default: 2h)"},
	{'P', "public", "PORT", "port", OPENING, true,
	 "external port to ask for (default: the internal)"},
	{'v', "verbose", NULL, NULL, ALL, true, "tell what goes on"},
	{OPT_VERSION, "version", NULL, NULL, ALL, true, "show the version"},
	{'h', "help", NULL, NULL, ALL, true, "show this"},

	{0, NULL, NULL, NULL, 0, false, "The gateway:"},
	{'g', "gateway", "HOST[:PORT]", "host", ASKING, false,
	 "ask this one (default: that of the default route)"},
	{'i', "interface", "NAME", "interface", ASKING, false,
	 "use only the routes of this interface"},
	{OPT_TIMEOUT, "timeout", "SECONDS", "seconds", ASKING, false,
	 "how long to wait for an answer (default: 7.75)"},
	{'4', "ipv4", NULL, NULL, ASKING, false, "ask the IPv4 gateway (the default)"},
	{'6', "ipv6", NULL, NULL, ASKING, false, "ask the IPv6 gateway; with -4, both"},
	{OPT_DIALECT, "dialect", "WORD", "dialect", ASKING, false,
	 "speak natpmp, pcp or auto, either (default: auto)"},
	{OPT_SOURCE, "source", "ADDRESS", "address", ASKING, false,
	 "ask from this address of this host"},
	{OPT_VPN, "vpn", NULL, NULL, ASKING & ~(IN(JOB_CLOSE) | IN(JOB_CLOSE_ALL)), false,
	 "a VPN provider's, which picks the port: use %p"},

	{0, NULL, NULL, NULL, 0, false, "Keeping a port open, with a command or:"},
	{OPT_JOB + JOB_HOLD, "hold", NULL, NULL, ALL, false,
	 "keep it open until a signal, such as Ctrl-C"},
	{OPT_RETRY, "retry", NULL, NULL, HOLDING, false,
	 "keep trying if it cannot be opened at first"},
	{OPT_ON_CHANGE, "on-change", "CMD", "command", HOLDING, false,
	 "run CMD when a port comes up or changes"},
	{OPT_PORT_FILE, "port-file", "FILE", "file", HOLDING, false,
	 "keep the external port in FILE"},

	{0, NULL, NULL, NULL, 0, false, "Instead of opening a port:"},
	{OPT_JOB + JOB_CLOSE, "close", NULL, NULL, ALL, false, "close what -p names"},
	{OPT_JOB + JOB_CLOSE_ALL, "close-all", NULL, NULL, ALL, false,
	 "close all of this host, other programs' too"},
	{OPT_JOB + JOB_ADDRESS, "address", NULL, NULL, ALL, false, "show the external address"},
	{OPT_JOB + JOB_CHECK, "check", NULL, NULL, ALL, false, "find out why it does not work"},
	{OPT_JOB + JOB_STATUS, "status", NULL, NULL, ALL, false,
	 "show what your running natpmp keep open"},

	{0, NULL, NULL, NULL, 0, false, "Output:"},
	{OPT_PRINT, "print", "FORMAT", "format", OPENING | IN(JOB_ADDRESS), false,
	 "print FORMAT, substituted, not the usual line"},
	{OPT_JSON, "json", NULL, NULL, ALL, false, "print JSON, one object a line"},
	{'q', "quiet", NULL, NULL, ALL, false, "tell of errors only"},
};

_Static_assert(sizeof(option_table) / sizeof(*option_table) == TABLE_ROWS, "TABLE_ROWS");

const struct table_row *table_find(int c)
{
	for (const struct table_row *row = option_table; c && row < option_table + TABLE_ROWS;
	     row++) {
		if (row->c == c)
			return row;
	}
	return NULL;
}

/* getopt_long(3) returns '?' for what it does not know, so -? is an h to it. */
static int letter(const struct table_row *row)
{
	return row->c == 'h' ? '?' : row->c < OPT_TTL ? row->c : 0;
}

const char *table_shown(const struct table_row *row, char shown[24])
{
	if (letter(row))
		snprintf(shown, 24, "-%c", letter(row));
	else
		snprintf(shown, 24, "--%s", row->name);
	return shown;
}

/* How many of the gem's options begin like this. */
static unsigned gem_options(const char *name, size_t length)
{
	unsigned count = 0;

	for (const struct table_row *row = option_table; row < option_table + TABLE_ROWS; row++)
		count += row->gem && !strncmp(row->name, name, length);
	return count;
}

/* An abbreviation that is clear among the gem's options stays clear, whatever options came later:
 * it is a name of its own to getopt_long(3). */
static void add_abbreviations(const struct table_row *row, struct option **option, char **text)
{
	size_t length = strlen(row->name);

	while (--length && gem_options(row->name, length) == 1) {
		*(*option)++ = (struct option){*text, row->value != NULL, NULL, row->c};
		*text += sprintf(*text, "%.*s", (int)length, row->name) + 1;
	}
}

void table_fill(struct table_getopt *getopt)
{
	char *c = getopt->letters, *text = getopt->abbreviations;
	struct option *option = getopt->names;

	c = stpcpy(c, "+:"); /* what follows the command's name is the command's */
	for (const struct table_row *row = option_table; row < option_table + TABLE_ROWS; row++) {
		if (!row->c)
			continue;
		if (letter(row))
			c += sprintf(c, "%c%s", row->c, row->value ? ":" : "");
		*option++ = (struct option){row->name, row->value != NULL, NULL, row->c};
		if (row->gem)
			add_abbreviations(row, &option, &text);
	}
}

static void put_help(FILE *out, const struct table_row *row)
{
	char left[40];
	int used;

	if (!row->c) {
		fprintf(out, "\n%s\n", row->help);
		return;
	}
	used = letter(row) ? snprintf(left, sizeof(left), "-%c, ", letter(row))
			   : snprintf(left, sizeof(left), "    ");
	snprintf(left + used, sizeof(left) - (size_t)used, "--%s%s%s", row->name,
		 row->value ? " " : "", row->value ? row->value : "");
	for (const char *line = row->help; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		fprintf(out, "  %-25s  %.*s\n", line == row->help ? left : "",
			(int)strcspn(line, "\n"), line);
	}
}

char *table_help(void)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fputs("usage: natpmp [options] [command]\n"
	      "Open a port of the router (NAT-PMP or PCP); with a command, while that runs.\n",
	      out);
	for (const struct table_row *row = option_table; row < option_table + TABLE_ROWS; row++)
		put_help(out, row);
	fputs("\nIn the command, CMD and FORMAT:\n"
	      "  %p the internal port, %h the internal address,\n"
	      "  %P the external port, %H the external address (%%p to write %p as it is)\n"
	      "\nExamples:\n"
	      "  natpmp -p 8080 'python3 -m http.server %p'\n"
	      "  natpmp -p 6881 -t both --hold\n"
	      "\n\"man natpmp\" tells more.\n",
	      out);
	return fclose(out) == 0 ? text : NULL;
}

char *table_list(void)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (const struct table_row *row = option_table; row < option_table + TABLE_ROWS; row++) {
		size_t length = strcspn(row->help, "\n(:;"); /* what is the gist of it */

		if (row->c)
			fprintf(out, "%c\t%s\t%s\t%.*s\n", letter(row) ? letter(row) : '-',
				row->name, row->kind ? row->kind : "-",
				(int)length - (row->help[length - 1] == ' '), row->help);
	}
	return fclose(out) == 0 ? text : NULL;
}
