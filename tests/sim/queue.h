/* SPDX-License-Identifier: MIT */
/* queue - what is still to happen: packets on their way and the plan's next moves, soonest first.
 */
#ifndef SIM_QUEUE_H
#define SIM_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PACKET_MAX = 64, /* bytes of the longest packet, but for padding */
	PADDING_MAX = 1080
};

enum event_kind {
	TO_GATEWAY,   /* a request */
	TO_CLIENT,    /* an answer, or a forgery of one */
	ANNOUNCED,    /* a datagram to 224.0.0.1:5350 */
	ICMP_REFUSED, /* for these bytes of ours */
	ICMP_HINT,
	MOVE, /* of the plan */
};

struct event {
	uint64_t at, serial;
	enum event_kind kind;
	unsigned link;             /* over which it came or goes: index of world.links */
	uint64_t made;             /* when the sender sent it */
	uint64_t asked;            /* of an answer: when its request was sent */
	size_t len, pad;           /* pad: zero bytes after these */
	uint8_t bytes[PACKET_MAX]; /* of a packet */
	unsigned move, subject;
	uint64_t value; /* of a move */
	bool forged;
	bool thought; /* of a request: the slow gateway has taken its time */
};

struct queue {
	struct event *events; /* a binary heap */
	size_t count, room;
	uint64_t serial;
};

void queue_push(struct queue *queue, const struct event *event);
/* NULL: nothing. */
const struct event *queue_first(const struct queue *queue);
struct event queue_pop(struct queue *queue);
void queue_free(struct queue *queue);

#endif
