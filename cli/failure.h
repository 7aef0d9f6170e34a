/* SPDX-License-Identifier: MIT */
/* failure - what a status of the library means to the user of the command. */
#ifndef CLI_FAILURE_H
#define CLI_FAILURE_H

#include <natpmpc.h>
#include <stdbool.h>

#include "session.h"

/* Exit statuses. A command's own, 128 + n and 126, 127 come beside them. */
enum {
	STATUS_DONE = 0,
	STATUS_OTHER = 1,
	STATUS_USAGE = 2,
	STATUS_NO_GATEWAY = 3,
	STATUS_NO_ANSWER = 4,
	STATUS_REFUSED = 5,
	STATUS_NOT_AUTHORIZED = 6,
	STATUS_GATEWAY_NO = 7,
	STATUS_NOT_RUN = 125, /* no mapping, so the command was not run */
	STATUS_SIGNAL = 128,  /* plus its number */
};

struct failure {
	int status;
	int exit_status;
	const char *code;   /* for programs */
	const char *advice; /* for people: what to do next */
};

/* Never NULL; one that fits all for a status not known. */
const struct failure *failure_find(int status);

/* NATPMP_PENDING is none: nothing has failed so far. */
static inline bool is_failure(int status)
{
	return status < NATPMP_OK;
}

/* The gateway was asked, and nothing was heard of it, or only that no such service runs there. */
bool is_silence(int status);

/* The gateway answered this question, and not with what was wanted. */
bool is_refusal(int status);

/* What happened, and what to do next. */
struct explanation {
	const char *message;
	char advice[280];
};

/* In what this session is for, by this link to its gateway, whose external address this is. What
 * is not known of them is "". */
void failure_explain(struct explanation *explanation, int status, const struct session *session,
		     const natpmp_link *link, const char *external_address);

/* What is the matter with an external address ("is ..."), and what to do about it; NULL:
 * nothing. */
struct address_trouble {
	const char *what, *advice;
};
const struct address_trouble *failure_of_address(const char *address);

#endif
