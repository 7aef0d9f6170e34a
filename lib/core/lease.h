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
	LEASE_PENALTY = 60000, /* ms, a renewal stands so much further behind after each failure */
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
	uint64_t planned;       /* ms from the first send that may have been answered ... */
	uint64_t expires;       /* ... to the end of our view. 0 = not in force */
	uint64_t gone_by;       /* ms, the gateway's view has ended by then */
	uint64_t act_at;        /* ms, ask (again) then */
	unsigned failures;      /* in a row */
	unsigned generation;    /* the engine's, when granted */
	int failure;            /* of the last try; NATPMP_OK = none */
	int down;               /* why it is not in force; NATPMP_OK: nothing stands against it */
	bool maybe;             /* the gateway may have a mapping of ours to delete */
	bool left;              /* its deletion was refused: once more at the end */
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
	uint32_t asked;    /* lifetime, s */
	bool once;         /* of a blocking call: a failure is the end, but not one of others */
	bool awaited;      /* somebody is blocked until it is open */
	uint64_t patience; /* ms: silence is no verdict so long, and then it is one */

	/* is */
	enum lease_goal goal;
	struct half half[2];
	unsigned halves, coaxed, coax_failures;
	int down;          /* of its halves */
	uint64_t open_by;  /* ms: the end of its patience; 0 = there was a verdict */
	bool owes;         /* the deletion of another one, which had not come to an end */
	bool asks_address; /* of a blocking call: for as long as it is there */
	int close_status;  /* what deleting came to, once finished */
	uint64_t gone_by;  /* ms: what could not be deleted has ended by then */
	bool finished;     /* closed: nothing more will happen */
	uint64_t close_by; /* ms, LEASE_CLOSE: no deletion is sent after */
	uint64_t again_at; /* ms, LEASE_AGAIN: not asked for again before */

	/* known and told */
	struct lease_view view, told;
	bool changed;
	unsigned failures; /* in a row */
	bool released;     /* nobody looks at it any more: reap it when it is finished */

	struct heap_node timer;
	struct lease *next, **here;
	struct lease *next_changed;
	void *owner;
};

/* All halves are in force on one external port, whatever else is not known yet. */
bool lease_granted(const struct lease *lease);
/* The same, and nothing was heard since that makes one doubt it. */
bool lease_in_force(const struct leases *leases, const struct lease *lease);
/* The gateway may have it still, and will for some time. */
bool lease_is_left(const struct lease *lease, uint64_t now);
/* The granted lifetime in s, the shorter of two. */
uint32_t lease_lifetime(const struct lease *lease);
/* Why it has not come to anything so far: for a deadline that is over. */
int lease_excuse(const struct leases *leases, const struct lease *lease);

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

static inline uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

#endif
