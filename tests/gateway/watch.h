/* SPDX-License-Identifier: MIT */
/* watch.h - one round of poll(2): who waits for what, and who to call. */
#ifndef GATEWAY_WATCH_H
#define GATEWAY_WATCH_H

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>

/* Owners must live until the round is over: mark them dead, free them before the next. */
typedef void watch_fn(void *owner);

struct watch {
	struct pollfd *fds;
	struct watch_owner {
		watch_fn *fn;
		void *owner;
	} * owners;
	size_t count;
	size_t capacity;
	uint64_t deadline; /* ms, as journal_now() */
};

void watch_begin(struct watch *watch); /* a new round: nobody waits, no deadline */
void watch_fd(struct watch *watch, int fd, short events, watch_fn *fn, void *owner);
void watch_until(struct watch *watch, uint64_t deadline);

/* Wait with the signal mask given, call who is due. Returns when one round is done. */
void watch_run(struct watch *watch, const sigset_t *mask);
void watch_free(struct watch *watch);

#endif
