/* SPDX-License-Identifier: MIT */
/*
 * watch - looks at what the core sends, tells and plans, and knows only the rules: one request at
 * a time, the retransmission series (RFC 6886 section 3.1), events that are changes, no haste, one
 * recovery in 30 s. Shared by the simulation and the fuzzer.
 */
#ifndef SIM_WATCH_H
#define SIM_WATCH_H

#include "core/client.h"

struct watch {
	/* Called with what went wrong; does not return. */
	void (*fail)(void *arg, const char *format, ...) __attribute__((format(printf, 2, 3)));
	void *arg;

	bool pcp_asked; /* on this link */

	/* the request that waits for its answer */
	bool open;
	uint8_t bytes[REQUEST_MAX];
	size_t len;
	uint64_t first;     /* ms, first send of its series */
	unsigned step;      /* of the series, from 0 */
	uint64_t called_at; /* ms, a caller began to wait for the address, if only for a moment */

	uint64_t forgot_at; /* ms, as last seen */
	uint64_t reboot_at; /* ms, the last reboot on this link; 0 = none */
	bool relinked;      /* so the next change of forgot_at is no reboot */
};

#define WATCH(watch, holds, ...)                                                                   \
	do {                                                                                       \
		if (!(holds))                                                                      \
			(watch)->fail((watch)->arg, __VA_ARGS__);                                  \
	} while (0)

/* These bytes were sent; late: ms, how much later than planned the core was called. */
void watch_sent(struct watch *watch, const struct client *client, uint64_t now, uint64_t late,
		const uint8_t *bytes, size_t len);
/* This is about to be given to client_on_packet(). */
void watch_answer(struct watch *watch, const uint8_t *bytes, size_t len);
/* The request bounced: its series is over. */
void watch_refused(struct watch *watch, const uint8_t *bytes, size_t len);
/* What was asked on the old link is void. */
void watch_relinked(struct watch *watch);
/* The program, or the grant of a lease's other protocol, took something back: is the request still
 * in flight? */
void watch_taken_back(struct watch *watch, const struct client *client);
/* client_event() gave this. told: what was told of this lease before; updated. */
void watch_event(struct watch *watch, const struct lease *lease, struct lease_view *told,
		 const struct lease_view *before);
/* client_output() said 0 and all events are told. */
void watch_settled(struct watch *watch, const struct client *client, uint64_t now);
/* What always holds of the records: see client.c. Steps through all of them. */
void watch_records(struct watch *watch, struct client *client);

#endif
