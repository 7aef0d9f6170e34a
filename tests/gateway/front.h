/* SPDX-License-Identifier: MIT */
/*
 * front.h - the socket clients talk to, and everything that may go wrong on the
 * way: loss, delay, duplicates, mutilation, wrong senders, refusal.
 */
#ifndef GATEWAY_FRONT_H
#define GATEWAY_FRONT_H

#include "journal.h"
#include "model.h"
#include "text.h"
#include "watch.h"

#include <stdbool.h>

/* One kind of misbehaviour. */
struct knob {
	uint32_t value;
	uint32_t left; /* packets it still applies to; UINT32_MAX = all, 0 = off */
};

struct held_answer;

/* A socket that requests come to. */
struct door {
	struct front *front;
	int fd;               /* -1 = none, or refusing */
	union endpoint local; /* port 0 = none */
};

struct front {
	struct journal *journal;
	struct model *model;
	struct door doors[2];     /* of IPv4, of IPv6 */
	union endpoint last;      /* the latest client; port 0 = none so far */
	uint64_t seed;            /* of the losses */
	struct held_answer *held; /* delayed answers, soonest first */
	size_t held_count;

	struct knob drop; /* requests */
	struct knob drop_answer;
	uint32_t drop_percent; /* of both */
	struct knob delay;     /* ms */
	struct knob duplicate; /* copies in addition */
	struct knob truncate;  /* to this length */
	struct knob pad;       /* with zeros to this length */
	struct knob stray;     /* answer from that address and port */
	union endpoint stray_from;
};

void front_init(struct front *front);

/* One address of each family. On failure false, and errno says why. A port of 0 is
 * replaced by the kernel's pick. */
bool front_open(struct front *front, const union endpoint *local);
bool front_refuse(struct front *front, bool refuse); /* false = cannot bind again */
void front_reset(struct front *front); /* no misbehaviour any more; held answers go out */
void front_close(struct front *front);
void front_watch(struct front *front, struct watch *watch);
void front_due(struct front *front); /* send the held answers whose time has come */

/* Send bytes as they are; from NULL = the socket of requests, or its address while refusing. */
bool front_send(struct front *front, const union endpoint *from, const union endpoint *to,
		const uint8_t *bytes, size_t len);

#endif
