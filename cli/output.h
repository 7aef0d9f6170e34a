/* SPDX-License-Identifier: MIT */
/*
 * output - results on stdout, everything else on stderr.
 *
 * A mapping's line, made for awk; on a terminal the columns are aligned:
 *
 *   EXTERNAL_ADDRESS:PORT -> INTERNAL_ADDRESS:PORT TYPE LIFETIME s
 *   203.0.113.7:6881 -> 192.168.1.5:6881 tcp 7200 s
 *   [2001:db8::5]:6881 -> [2001:db8::5]:6881 tcp 7200 s
 *
 * EXTERNAL_ADDRESS is "-" when the gateway tells none. --print puts its own
 * line in place of this one, --json one object for each event (json.h).
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <natpmpc.h>
#include <stdbool.h>
#include <time.h>

#include "options.h"
#include "progress.h"
#include "session.h"

struct output {
	const struct options *options;
	bool holding; /* rather lose a line than let a reader stop the renewals */
	bool colour, colour_stderr;
	bool terminal, terminal_stderr;
	struct progress progress;
	char *late; /* what stdout has not taken yet, while holding */
	size_t late_length;
	bool mid_line; /* stdout got a part of a line last */
	int lost;      /* errno of a line that stdout will never get; 0: none */
};

void output_init(struct output *output, const struct options *options);

/* Lines on stdout as they are. */
void output_text(struct output *output, const char *text);
/* Try again what is late. */
void output_flush(struct output *output);

/* Lines on stderr, "natpmp: " before and a line end after: what went wrong, what is good to
 * know (not with -q), and what only -v wants to hear. */
__attribute__((format(printf, 2, 3))) void output_error(struct output *output, const char *format,
							...);
__attribute__((format(printf, 2, 3))) void output_note(struct output *output, const char *format,
						       ...);
__attribute__((format(printf, 2, 3))) void output_debug(struct output *output, const char *format,
							...);

/* What came to a mapping, by --print's, --json's or the usual line. event is JSON's. */
void output_mapping(struct output *output, struct session *session, const char *event,
		    const natpmp_mapping *mapping, time_t expires);
/* The event, for --json only. */
void output_event(struct output *output, struct session *session, const char *event,
		  const natpmp_mapping *mapping, int status);
/* Say why what was tried ("6881/tcp is not open") did not work and what to do, and tell
 * --json; returns the exit status. */
int output_failure(struct output *output, struct session *session, const char *what,
		   const natpmp_mapping *mapping, int status);
/* Say why what is held ("6881/tcp is down") is not there now, and what to do if that lasts. */
void output_down(struct output *output, struct session *session, const char *what, int status);
/* What this failure means as things are now, and where it was (" (asked 192.168.1.1)", or ""). */
#define OUTPUT_WHERE_LEN 200
struct explanation;
void output_explain(struct session *session, int status, struct explanation *explanation,
		    char place[OUTPUT_WHERE_LEN]);
/* On a terminal: show that these gateways are being asked, until there is something else to say. No
 * fork() meanwhile. */
void output_asking(struct output *output, struct session *sessions, size_t count);
void output_asked(struct output *output);
/* Say it if another external port was granted than was wanted. */
void output_warn_port(struct output *output, const struct session *session,
		      const natpmp_mapping *wanted, const natpmp_mapping *granted);
/* On a terminal: say it if nobody here listens on the internal port that was wanted. */
void output_warn_silent(struct output *output, const struct session *session,
			const natpmp_mapping *wanted);
/* Say it if this external address is of no use to anybody outside. */
void output_warn_address(struct output *output, const char *address);

/* "6881/tcp", "6881/tcp on IPv6" */
#define OUTPUT_NAME_LEN 32
const char *output_name(const struct session *session, const natpmp_mapping *mapping,
			char name[OUTPUT_NAME_LEN]);

/* "6881/tcp is not open", "no tcp port was opened" */
#define OUTPUT_NOT_OPEN_LEN 48
const char *output_not_open(const struct session *session, const natpmp_mapping *mapping,
			    char text[OUTPUT_NOT_OPEN_LEN]);

/* "203.0.113.7:6881", "[2001:db8::5]:6881"; "-" for an address or a port that is not known. */
#define OUTPUT_END_LEN (NATPMP_ADDRESS_LEN + 8)
const char *output_end_of(const char *address, uint16_t port, char text[OUTPUT_END_LEN]);

/* The exit status, worse if a line was lost. */
int output_end(struct output *output, int exit_status);

#endif
