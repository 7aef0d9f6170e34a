/* SPDX-License-Identifier: MIT */
/* table - the options: what getopt_long(3), the help, the completions and the checks know of them.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>

enum job {
	JOB_MAP,  /* open and leave to the lifetime */
	JOB_HOLD, /* hold while the command runs, or until a signal */
	JOB_CLOSE,
	JOB_CLOSE_ALL,
	JOB_ADDRESS,
	JOB_CHECK,
	JOB_STATUS,
};

/* What getopt_long(3) returns, beside the letters. */
enum {
	OPT_TTL = 256,
	OPT_VERSION,
	OPT_TIMEOUT,
	OPT_RETRY,
	OPT_ON_CHANGE,
	OPT_PORT_FILE,
	OPT_PRINT,
	OPT_JSON,
	OPT_VPN,
	OPT_DIALECT,
	OPT_SOURCE,
	OPT_JOB, /* plus an enum job; the last */
};

struct table_row {
	int c;                    /* a letter, or OPT_...; 0: only a heading */
	const char *name;         /* of the long option */
	const char *value, *kind; /* in the help; for completion. NULL: it takes none */
	unsigned jobs;            /* that it belongs to: 1 << JOB_... */
	bool gem;                 /* the gem has it: its abbreviations are no others' */
	const char *help;         /* lines */
};

enum { TABLE_ROWS = 31 };
extern const struct table_row option_table[];

/* The row of what getopt_long(3) has returned; NULL: it is no option. */
const struct table_row *table_find(int c);
/* As it is shown to people: "-p", or "--ttl" if it has no letter. */
const char *table_shown(const struct table_row *row, char shown[24]);

struct table_getopt {
	char letters[64];
	struct option names[80];
	char abbreviations[256];
};
/* getopt is all zero. */
void table_fill(struct table_getopt *getopt);

/* To be freed; NULL: no memory. What --help shows, and for the completions a line for each option:
 * letter, name, kind of value and help, with a tab between and "-" for none. */
char *table_help(void);
char *table_list(void);

#endif
