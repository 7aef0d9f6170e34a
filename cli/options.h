/* SPDX-License-Identifier: MIT */
/* options - the command line as what is wanted. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <natpmpc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "table.h"

enum { USUAL_PORT = 5351 }; /* of a gateway (RFC 6886 section 3.1) */
enum { FAMILIES = 2, HOST_LEN = 256 };

/* The value of -g or --source. */
struct host {
	enum { HOST_IPV4 = NATPMP_IPV4, HOST_IPV6 = NATPMP_IPV6, HOST_NAME } kind;
	const char *text; /* as it was written; NULL: not given */
	char name[HOST_LEN];
	uint16_t port; /* 0: none */
};

struct options {
	enum job job;
	natpmp_mapping *wanted; /* one for each -p, or one without a port */
	size_t count;
	char *const *command;   /* NULL: none; up to its NULL */
	bool shell;             /* it is one word, for a shell */
	char **words;           /* what command points to if it was split (lookup.h), or NULL */
	natpmp_options library; /* what is the same for each family */
	bool family[FAMILIES];  /* by natpmp_family: is it wanted? */
	bool family_named;      /* by -4 or -6 */
	struct host gateway[FAMILIES], source[FAMILIES];
	const char *on_change, *port_file, *print;
	bool json, quiet, verbose, retry;
};

/* What to do now. */
enum next {
	NEXT_WORK,
	NEXT_HELP,
	NEXT_LIST, /* of the options, for the completions */
	NEXT_VERSION,
	NEXT_MISTAKE, /* it was said on stderr */
};

/* Strings in options are the arguments' own. Call options_free() in any case. */
enum next options_parse(struct options *options, int argc, char **argv);
void options_free(struct options *options);

/* Text for one line of a terminal: what is no printable ASCII, as a value may have it, escaped. To
 * be freed; NULL: no memory. */
__attribute__((format(printf, 1, 0))) char *printable(const char *format, va_list arguments);

/* Say on stderr what is wrong with the command line. */
__attribute__((format(printf, 1, 2))) void options_mistake(const char *format, ...);

/* The long option that was probably meant by a word that is none; NULL: nobody knows. */
const char *options_meant(const char *word);

#endif
