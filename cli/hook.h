/* SPDX-License-Identifier: MIT */
/*
 * hook - --on-change, for one mapping.
 *
 * Never two at once: a change that comes while it runs waits, and only the
 * latest. One that hangs while a change waits is ended after HOOK_PATIENCE. One
 * that fails, because whom it tells is not there yet perhaps, is run again,
 * later each time, until it succeeds or something newer is to be told.
 */
#ifndef CLI_HOOK_H
#define CLI_HOOK_H

#include <natpmpc.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "output.h"
#include "signals.h"

enum {
	HOOK_PATIENCE = 60000,   /* ms for one that keeps a change waiting */
	HOOK_FAREWELL = 2000,    /* ms for one still running at our end */
	HOOK_GRACE = 1000,       /* ms from SIGTERM to SIGKILL, and from there to giving up */
	HOOK_KILLS = 3,          /* so many mean that it cannot be ended */
	HOOK_RETRY = 5000,       /* ms from a failure to the next try, */
	HOOK_RETRY_MAX = 300000, /* twice as long each time up to this */
};

struct hook {
	const struct session *session;
	const char *command; /* NULL: there is none, or none any more */
	pid_t pid;           /* 0: does not run */
	bool waiting;        /* there is something to tell, */
	uint64_t not_before; /* ms, then */
	uint64_t pause;      /* ms, after the latest failure to tell this; 0: none so far */
	natpmp_mapping told; /* the last time that it succeeded */
	natpmp_mapping telling, latest;
	uint64_t started;
	uint64_t limit;  /* ms; NEVER: none */
	int kills;       /* signals sent to this one so far */
	int last_status; /* how it ended the last time, to say a repeated failure once */
};

/* The mapping came up, or is another one now. */
void hook_change(struct hook *hook, const natpmp_mapping *now);
/* Start it, or end it, if that is due. */
void hook_work(struct hook *hook, const struct signals *signals, struct output *output);
/* When hook_work() has something to do without a change or an end of it; NEVER: it has not. */
uint64_t hook_due(const struct hook *hook);
/* A child has ended: true if it was this hook. */
bool hook_reap(struct hook *hook, pid_t pid, int wait_status, struct output *output);
/* We are at our end: it has until HOOK_FAREWELL from now, and what waits is dropped. */
void hook_end(struct hook *hook);

#endif
