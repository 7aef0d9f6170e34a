/* SPDX-License-Identifier: MIT */
/* session - one gateway of one family, and what is asked of it. With -4 -6 there are two. */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include <natpmpc.h>
#include <stdbool.h>
#include <stddef.h>

#include "options.h"
#include "secret.h"

struct output;

struct session {
	natpmp_options library;
	char gateway[HOST_LEN]; /* what library.gateway points to: an address, or "" */
	natpmp_ctx *ctx;        /* NULL: none yet, or gone */
	natpmp_link link;       /* as last seen */
	const char *suffix;     /* behind the name of a mapping: "", or with two families which */
	natpmp_mapping
		*mappings;     /* one for each -p: as wanted from this gateway, then as granted */
	struct output *output; /* for -v */
	int end_status;        /* of natpmp_free() */
};

struct sessions {
	struct session all[FAMILIES];
	size_t count;
	unsigned char secret[SECRET_SIZE];
};

/* Make the contexts that the options want. 0, or the exit status of a beginning that failed for
 * every family, which was said; sessions_end() is called in any case. */
int sessions_begin(struct sessions *sessions, struct output *output);

/* An internal port that the session before has picked is the one to be asked for here, too: one
 * program listens on it. */
void session_follow(struct session *session, const struct session *before);

/* See natpmp_get_link(), which may be asked while there is a context. */
const natpmp_link *session_link(struct session *session);

/* Close what is held and free all contexts, side by side: 2 s at most. */
void sessions_close(struct sessions *sessions);
/* The same, and free the rest. */
void sessions_end(struct sessions *sessions);

#endif
