/* SPDX-License-Identifier: MIT */
/*
 * front.h - the socket clients talk to, and everything that may go wrong on the
 * way: loss, delay, duplicates, mutilation, wrong senders, refusal.
 */
#ifndef GATEWAY_FRONT_H
#define GATEWAY_FRONT_H

#include "journal.h"
#include "model.h"
#include "watch.h"

#include <netinet/in.h>
#include <stdbool.h>

/* One kind of misbehaviour. */
struct knob {
	uint32_t value;
	uint32_t left; /* packets it still applies to; UINT32_MAX = all, 0 = off */
};

struct held_answer;

struct front {
	struct journal *journal;
	struct model *model;
	int fd;                   /* -1 while refusing */
	struct sockaddr_in local; /* where requests come */
	struct sockaddr_in last;  /* the latest client; port 0 = none so far */
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
	struct sockaddr_in stray_from;
};

/* On failure false, and errno says why. A port of 0 is replaced by the kernel's pick. */
bool front_open(struct front *front, const struct sockaddr_in *local);
bool front_refuse(struct front *front, bool refuse); /* false = cannot bind again */
void front_reset(struct front *front); /* no misbehaviour any more; held answers go out */
void front_close(struct front *front);
void front_watch(struct front *front, struct watch *watch);
void front_due(struct front *front); /* send the held answers whose time has come */

/* Send bytes as they are; from NULL = the socket of requests, or its address while refusing. */
bool front_send(struct front *front, const struct sockaddr_in *from, const struct sockaddr_in *to,
		const uint8_t *bytes, size_t len);

#endif
