/* SPDX-License-Identifier: MIT */
/*
 * lease - one mapping that is kept: created, renewed, re-created, closed
 * (RFC 6886 sections 3.3, 3.4). What concerns all of them: leases.h.
 *
 * A lease has one half per protocol; what the gateway grants, it grants to a
 * half. A lease is up when all its halves are granted on one external port.
 * Everything that happens to a lease ends in lease_step(), which looks at what
 * is and asks for what is missing.
 */
#ifndef CORE_LEASE_H
#define CORE_LEASE_H

#include "core/engine.h"
#include "natpmpc.h"

enum {
	LEASE_LIFETIME = 7200, /* s, RFC 6886 section 3.3 */
	LEASE_HURRY = 600000,  /* ms, mappings that end sooner are renewed before others are made */
	LEASE_RETRY_GAP = 4000, /* ms, what was asked for already is not asked again sooner */
	LEASE_COAX_MAX = 6,     /* tries to get one equal external port for both halves */
};

struct lease;
struct leases;

struct half {
	struct lease *lease;
	struct request request;
	uint16_t external_port; /* last assigned; 0 = never */
	uint32_t lifetime;      /* s, as granted */
	uint64_t granted_at;    /* ms, when what was granted was asked for, so that ... */
	uint64_t expires;       /* ... our view ends before the gateway's. 0 = not in force */
	uint64_t planned;       /* ms from granted_at to expires */
	uint64_t act_at;        /* ms, ask (again) then */
	unsigned generation;    /* the engine's, when granted */
	int failure;            /* of the last try; NATPMP_OK = none */
	int down;               /* why it is not in force; NATPMP_OK: nothing stands against it */
	bool maybe;             /* the gateway may have a mapping of ours to delete */
};

enum lease_goal {
	LEASE_HOLD,  /* have all halves granted */
	LEASE_AGAIN, /* delete all, then hold, with another suggestion */
	LEASE_CLOSE, /* delete all, then be finished */
};

/* What an event tells. */
struct lease_view {
	int status; /* NATPMP_OK = up; the rest is as it was then, or when it was last up */
	uint16_t internal_port, external_port;
	uint32_t lifetime;                           /* s */
	uint32_t external_address, internal_address; /* host order, 0 = none */
	unsigned failures;                           /* in a row, so far; up: until it was */
};

struct lease {
	/* wanted */
	natpmp_protocol protocol;
	uint16_t internal_port; /* 0: everything, in LEASE_CLOSE; unknown, in the VPN dialect */
	uint16_t suggested;
	uint32_t asked;   /* lifetime, s */
	bool once;        /* of a blocking call: no second try, no verdict from others' failures */
	uint64_t open_by; /* ms: until then silence is no verdict, then there is one; 0 = there was,
			   * or silence is one at once */

	/* is */
	enum lease_goal goal;
	struct half half[2];
	unsigned halves, coaxed, coax_failures;
	int down;          /* of its halves */
	int close_status;  /* what deleting came to, once finished */
	bool finished;     /* closed: nothing more will happen */
	uint64_t close_by; /* ms, LEASE_CLOSE: no deletion is sent after */
	uint64_t again_at; /* ms, LEASE_AGAIN: not asked for again before */

	/* known and told */
	struct lease_view view, told;
	bool changed;
	unsigned failures; /* in a row */
	bool released; /* nobody looks at it any more: reap it when it is finished */

	struct heap_node timer;
	struct lease *next, **here;
	struct lease *next_changed;
	void *owner;
};

/* All halves are in force on one external port, whatever else is not known yet. */
bool lease_granted(const struct lease *lease);
/* The granted lifetime in s, the shorter of two. */
uint32_t lease_lifetime(const struct lease *lease);
/* Why it has not come to anything so far: for a deadline that is over. */
int lease_excuse(const struct lease *lease);

/* Look at what is, and ask for what is missing. */
void lease_step(struct leases *leases, struct lease *lease, uint64_t now);
/* The request of the half has ended. */
void lease_ended(struct leases *leases, struct half *half, uint64_t now);
/* What there is to tell of it. */
void lease_look(struct leases *leases, struct lease *lease);
/* The gateway has it for all we know: granted, and no sign that it was forgotten since. */
bool lease_trusted(const struct leases *leases, const struct half *half);
/* It is not in force any more. */
void lease_lose(struct half *half, int why);
/* ms until what failed so often before is tried again. */
uint64_t lease_retry_delay(int status, unsigned failures);

static inline uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

#endif
