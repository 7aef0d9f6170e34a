/* SPDX-License-Identifier: MIT */
/*
 * world - the real core in a simulated network, on a virtual clock: gateways (the model), the
 * packets between, a program that holds mappings, and what of all that the client can know.
 *
 *   plan.h    what happens, decided by the seed
 *   world.c   carries bytes and time: the part of lib/ctx.c
 *   truth.c   what must be true of it
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <setjmp.h>

#include "core/leases.h"
#include "dice.h"
#include "digest.h"
#include "model.h"
#include "queue.h"
#include "watch.h"

#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

enum {
	GATEWAYS = 2,
	LINKS = 3, /* gateway and own address; 0 and 1 lead to the same gateway */
	NO_LINK = LINKS,
	PORT_BASE = 20000,
	INBOX_MAX = 64,
	LATE_WAKE = 40, /* ms, so much later than it wants the client may be called */
	ADDRESSES = 8,  /* external ones, of each gateway */
};

/* A protocol and internal port: what the client can know of its mapping. */
struct key {
	/* the last grant that it had reason to believe */
	uint16_t external_port; /* 0 = none */
	uint64_t granted;       /* ms, when that reached the client */
	uint64_t over;          /* ms, lifetime counted from the first send */
	uint64_t shown;         /* ms, since when it can know that this is void; 0 = it cannot */
	uint32_t lifetime;      /* s */
	unsigned link;
	uint64_t refused_at, allowance; /* ms; of errors answered */

	bool asked;           /* did the program ever want it? */
	bool ignored;         /* the gateway answers no request for it ... */
	uint64_t heeded;      /* ... until this, ms */
	bool leftover[LINKS]; /* a mapping that stays there is nobody's fault */
	struct hold *wanted;
};

/* A lease as the program sees it. */
struct hold {
	struct lease core;
	struct hold *next, **here;
	enum { HELD, CLOSING, MAPPING, UNMAPPING } stage;
	unsigned slot;
	uint64_t opened, closed, down_since; /* ms */
	uint64_t open_by;                    /* silence is not to be told before */
	uint64_t serial;                     /* of its opening, among the world's */
	struct lease_view told;
	bool link_changed; /* since it was closed */
	bool late_change;  /* link or other things changed since: no strict bound for it */
};

/* A place where the program holds now this, now that. */
struct slot {
	uint16_t port;
	natpmp_protocol protocol;
	struct hold *hold;
};

/* How packets fare, each way. */
struct weather {
	unsigned loss, duplicate, truncate, pad, late; /* permille */
	uint64_t delay, jitter;                        /* ms */
};

struct link {
	unsigned gateway;
	uint32_t own;
};

struct world {
	uint64_t seed;
	bool verbose;
	jmp_buf *failed;
	char message[256];

	uint64_t now, began, ends; /* ms */
	struct dice dice;
	struct queue queue;
	struct watch watch;

	/* the client */
	struct leases leases;
	bool vpn;
	struct hold *holds;
	size_t halves, onces; /* of all holds; blocking calls in progress */
	struct slot *slots;
	size_t slot_count;
	struct key *keys[2]; /* by protocol, then internal port - PORT_BASE */
	size_t key_count;
	struct event inbox[INBOX_MAX];
	size_t inbox_count;
	uint64_t inbox_at, asleep_until, wake_at;
	uint64_t serial;         /* of series of sends and of openings */
	uint64_t series;         /* the serial of the one in flight */
	unsigned deleting_all;   /* protocols, explicitly */
	unsigned busy_callbacks; /* permille of events in which the program does something */

	/* the network */
	struct weather weather, fair;
	struct link links[LINKS];
	unsigned link;   /* NO_LINK */
	unsigned socket; /* of the client: the last link it had */
	bool old_reachable;

	/* the gateways */
	struct model gateway[GATEWAYS];
	struct model_slot *table[GATEWAYS];
	unsigned silent, refuses,
		mute;       /* how many disturbances say so; mute: hears, and does all */
	unsigned squatters; /* ports that others have for good */
	unsigned trips;     /* permille of requests over which it restarts, table lost */
	unsigned hints;     /* permille of lost packets that an ICMP hint comes back for */

	/* what the client can know */
	struct epoch_seen {
		bool known;
		int64_t seconds, at;
	} epoch;
	unsigned addresses_seen; /* bits */
	uint32_t address_last;   /* 0 = none */

	/* how disturbed it is */
	unsigned disturbances;
	uint64_t calm_since;
	uint64_t heard_at; /* ms, first packet heard since then; 0 = none */
	bool was_given_up; /* the core took the gateway for silent when calm came */
	size_t ignored;
	uint64_t last_user;  /* ms, the program did something */
	uint64_t changed_at; /* ms, what is no disturbance changed */

	bool heard;                    /* since it sent something */
	unsigned generations;          /* restarts shown, links */
	uint64_t shown_at, recover_at; /* of a restart, of the recovery */
	uint64_t address_asked, address_allowance;

	struct digest digest; /* of what the client did */

	/* counted */
	uint64_t delays, delayed; /* recoveries, and the ms they waited for */
	uint64_t sent, answered, refused, moves, events, steps;
	uint64_t hour_sent, hour_answered;
	uint64_t ups, downs;
};

/* Does not return. */
void world_fail(void *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
void world_trace(const struct world *w, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#define CHECK(w, holds, ...)                                                                       \
	do {                                                                                       \
		if (!(holds))                                                                      \
			world_fail(w, __VA_ARGS__);                                                \
	} while (0)
#define TRACE(w, ...)                                                                              \
	do {                                                                                       \
		if ((w)->verbose)                                                                  \
			world_trace(w, __VA_ARGS__);                                               \
	} while (0)

/* --- world.c --- */

void world_init(struct world *w, uint64_t seed, size_t keys, bool vpn);
void world_free(struct world *w);
/* Run until then. */
void world_run(struct world *w, uint64_t until);
struct model *world_gateway(struct world *w, unsigned link);

/* What the program does. NULL: the core said no. */
struct hold *world_hold(struct world *w, unsigned slot, uint16_t suggested, uint32_t lifetime);
void world_release(struct world *w, struct hold *hold);
void world_map(struct world *w, unsigned slot, uint32_t lifetime, uint64_t deadline);
/* Of this slot, or all of its protocol. */
void world_unmap(struct world *w, unsigned slot, bool all, uint64_t deadline);
/* Look what answers there; end: no longer. */
void world_probe(struct world *w, bool end);
/* Another link, or none (then a status). */
void world_relink(struct world *w, unsigned link, int status, bool old_reachable);
/* Let the client do what is due. */
void world_process(struct world *w);
/* A datagram to 224.0.0.1 from the gateway of this link. */
void world_announce(struct world *w, bool pcp);

/* --- plan.c --- */

/* What the seed says, until all is released and over. */
void plan_run(struct world *w);
/* A move is due. */
void plan_move(struct world *w, const struct event *event);
/* The program, told of an event. */
void plan_told(struct world *w, struct hold *hold);
/* Make up what nobody sent. */
void plan_forge(struct world *w, struct event *event);

/* --- truth.c --- */

struct key *truth_key(struct world *w, unsigned opcode, uint16_t internal_port);
/* These bytes were sent by the client. */
void truth_sent(struct world *w, const uint8_t *bytes, size_t len);
/* A request reaches the gateway; before the model sees it, and after. */
void truth_at_gateway(struct world *w, const struct event *event);
void truth_answered(struct world *w, const struct event *request, const uint8_t *answer,
		    size_t len);
/* About to be given to the core. */
void truth_received(struct world *w, const struct event *event);
void truth_relinked(struct world *w, unsigned before, bool farewell);
/* A disturbance begins or ends. */
void truth_disturbed(struct world *w);
void truth_farewell(struct world *w, unsigned link, const uint8_t *bytes, size_t len);
void truth_event(struct world *w, struct hold *hold, const struct lease_view *before);
void truth_finished(struct world *w, struct hold *hold);
/* The core has done what was due. */
void truth_settled(struct world *w);
/* Is all well with this hold? */
void truth_check(struct world *w, struct hold *hold);
void truth_check_all(struct world *w);
void truth_hour(struct world *w);
/* All was released, some time ago. */
void truth_nothing_left(struct world *w);
/* ms until all who wait had their turn with a gateway that answers. */
uint64_t truth_turns(const struct world *w);

#endif
