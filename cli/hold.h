/* SPDX-License-Identifier: MIT */
/*
 * hold - the wanted mappings, held, and all who hear of a change: people and
 * programs on stdout and stderr, the port file, the hook, the service manager.
 * None of them can end the hold or keep it waiting.
 */
#ifndef CLI_HOLD_H
#define CLI_HOLD_H

#include <natpmpc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "hook.h"
#include "output.h"
#include "portfile.h"
#include "record.h"
#include "signals.h"

struct hold {
	struct holds *all;
	struct session *session;
	natpmp_lease *lease;
	const natpmp_mapping *wanted;
	natpmp_state now;
	time_t since; /* first up; 0: not yet */
	struct hook hook;

	/* the outage that is, or the wait for the first yes */
	uint64_t down_since; /* ms */
	uint64_t said[2];    /* a bit for each -status that was said: each is said once */
};

struct holds {
	struct sessions *sessions;
	struct output *output;
	const struct options *options;
	const struct signals *signals;
	struct hold *hold; /* all of the first session, as options->wanted has them, then ... */
	size_t count;
	bool changed; /* since the last holds_work() */
	bool ready;   /* some time all of a session were up, and no session was still waiting */
	bool slept;   /* what is due now was due long ago */
	struct portfile portfile;
	struct record record;
	struct record_line *lines; /* what it should say, one for each */
};

/* Ask for all, with the port file claimed before. A negative status: *refused was, by the library
 * itself. */
int holds_begin(struct holds *holds, struct sessions *sessions, struct output *output,
		const struct signals *signals, struct hold **refused);
/* After natpmp_process(): tell everybody what has changed. */
void holds_work(struct holds *holds);
/* When holds_work() has something to do of its own accord, ms; NEVER: not at all. */
uint64_t holds_due(const struct holds *holds);
/* Those who are to know before a command starts do know. */
bool holds_settled(const struct holds *holds);
/* A child has ended: maybe it was one of ours. */
void holds_reap(struct holds *holds, pid_t pid, int wait_status);
/* Of a session, or NULL for all of them: the first that is down, or else pending, or else up. */
const struct hold *holds_worst(const struct holds *holds, const struct session *session);
/* The first that was granted. */
const struct hold *holds_first(const struct holds *holds);
/* In a child process: the environment for all mappings that were granted, the first without a
 * suffix. */
void holds_environment(const struct holds *holds);
/* Close all and free the contexts; 2 s at most, and 4 s if hooks do not want to end. */
void holds_end(struct holds *holds);

#endif
