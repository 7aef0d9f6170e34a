/* SPDX-License-Identifier: MIT */
/*
 * watch - looks at what the core sends, tells and plans, and knows only the rules: one request at
 * a time, the retransmission series (RFC 6886 section 3.1), events that are changes, no haste.
 * Shared by the simulation and the fuzzer.
 */
#ifndef SIM_WATCH_H
#define SIM_WATCH_H

#include "core/leases.h"

struct watch {
	/* Called with what went wrong; does not return. */
	void (*fail)(void *arg, const char *format, ...) __attribute__((format(printf, 2, 3)));
	/* A deletion may be given up early because its time is over: is that so for this one? */
	bool (*is_over)(void *arg, const uint8_t *bytes);
	void *arg;

	bool pcp_asked; /* on this link */

	/* the request that waits for its answer */
	bool open;
	uint8_t bytes[WIRE_REQUEST_MAX];
	size_t len;
	uint64_t first, asked; /* ms, first send: of its series, of all of them */
	unsigned step;         /* of the series, from 0 */

	uint64_t recovered_at;
};

#define WATCH(watch, holds, ...)                                                                   \
	do {                                                                                       \
		if (!(holds))                                                                      \
			(watch)->fail((watch)->arg, __VA_ARGS__);                                  \
	} while (0)

/* These bytes were sent; late: ms, how much later than planned the core was called. */
void watch_sent(struct watch *watch, const struct leases *leases, uint64_t now, uint64_t late,
		const uint8_t *bytes, size_t len);
/* This is about to be given to leases_input(). */
void watch_answer(struct watch *watch, const uint8_t *bytes, size_t len);
/* The request was answered otherwise: refused. */
void watch_refused(struct watch *watch, const uint8_t *bytes, size_t len);
/* What was asked on the old link is void. */
void watch_relinked(struct watch *watch);
/* The user took something back: is the request still in flight? */
void watch_taken_back(struct watch *watch, const struct leases *leases);
/* leases_event() gave this. told: what was told of this lease before; updated. */
void watch_event(struct watch *watch, const struct lease *lease, struct lease_view *told,
		 const struct lease_view *before);
/* leases_output() said 0 and all events are told. */
void watch_settled(struct watch *watch, const struct leases *leases, uint64_t now);

#endif
