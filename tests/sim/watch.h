/* SPDX-License-Identifier: MIT */
/*
 * watch - looks at what the core sends, tells and plans, and knows only the rules: one question at
 * a time, each packet of it at a time of its dialect's series (RFC 6886 section 3.1, RFC 6887
 * section 8.1.1), the other dialect when the first one was rejected or not answered at once, events
 * that are changes, no haste, one recovery in 30 s. Shared by the simulation and the fuzzer.
 */
#ifndef SIM_WATCH_H
#define SIM_WATCH_H

#include "core/client.h"
#include "packet.h"

/* What was sent of a question in one dialect. */
struct watch_sends {
	uint8_t bytes[REQUEST_MAX];
	size_t len;     /* 0: nothing so far */
	bool open;      /* neither answered nor rejected */
	uint64_t first; /* ms */
	unsigned step;  /* of the series, from 0 */
	/* of PCP, ms: between these the last send was planned, and so long was the gap before it */
	uint64_t low, high, gap_low, gap_high;
};

struct watch {
	/* Called with what went wrong; does not return. */
	void (*fail)(void *arg, const char *format, ...) __attribute__((format(printf, 2, 3)));
	void *arg;

	/* the question that waits for its answer */
	struct watch_sends in[DIALECTS];
	struct packet packet;       /* as it was sent first */
	uint8_t kind;               /* enum message_kind */
	bool is_single;             /* it has one send, and a shorter turn */
	bool may_be_answered;       /* what came may have been an answer */
	bool is_rejected;           /* in one dialect, so the other may follow at once */
	dialect_set dialects;       /* in which the core means to ask */
	uint64_t first;             /* ms, its first send */
	uint64_t last;              /* ms, its last send */
	uint8_t bytes[REQUEST_MAX]; /* its last send */
	size_t len;
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
void watch_answer(struct watch *watch, const struct client *client, uint64_t now,
		  const uint8_t *bytes, size_t len);
/* In which of these dialects is the question in flight rejected by a gateway that says it speaks
 * that version? It may even reject the version which it says it speaks, but that only if no request
 * of the other dialect can have been meant. port: the internal port that it names, or 0. */
dialect_set watch_rejected(const struct client *client, uint64_t now, dialect_set sent,
			   uint8_t version, uint16_t port);
/* It was deleted, and is asked for again: the first NO_RESOURCES then may be a late answer to that.
 */
bool watch_is_late_refusal(const struct grant *grant, const struct response *response);
/* The request bounced: its series is over. */
void watch_refused(struct watch *watch, const struct client *client, const uint8_t *bytes,
		   size_t len);
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
