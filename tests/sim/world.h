/* SPDX-License-Identifier: MIT */
/*
 * world - the real core in a simulated network, on a virtual clock: gateways (the model), the
 * packets between, a program that holds mappings, and what of all that the client can know.
 *
 *   plan.h    what happens, decided by the seed
 *   world.c   carries bytes and time: the part of a program's event loop
 *   truth.c   what must be true of it
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <setjmp.h>

#include "core/client.h"
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
	LATE_WAKE = 40,   /* ms, so much later than it wants the client may be called */
	ADDRESSES = 8,    /* external ones, of each gateway */
	SLOW_MAX = 30000, /* ms, so late may a slow gateway answer */
};

/* A protocol and internal port: what the client can know of its mapping. */
struct key {
	/* the request about it, as it was sent */
	bool asked_to_create, answered;
	dialect_set sent_in;  /* of what may still be answered */
	uint64_t asked_from;  /* ms, its first send that may still be answered */
	uint64_t sent_at;     /* ms, its last send; 0 = none */
	bool failed_alone;    /* its last send was in vain before the gateway was given up */
	uint64_t deleted_at;  /* ms, the last send of a deletion */
	uint64_t sent_serial; /* of the last series, among the world's */

	/* the last grant that it had reason to believe */
	uint16_t external_port; /* 0 = none */
	uint64_t granted;       /* ms, when that reached the client */
	uint64_t over;          /* ms, lifetime counted from the first send */
	uint64_t shown;         /* ms, since when it can know that this is void; 0 = it cannot */
	uint32_t lifetime;      /* s */
	unsigned link;
	enum dialect_id made_in;
	struct ip_address address; /* of PCP, external */
	uint64_t misled; /* the serial of a hold that an earlier one's answer was taken for */
	uint64_t refused_at, allowance; /* ms; of errors answered */
	uint64_t error_until;           /* ms, an error of PCP lasts until then, ... */
	uint64_t not_before;            /* ... and forbids to ask before, unless 0 */
	uint64_t renewed_at;            /* ms, the last try of PCP to renew it */

	/* who wants it */
	bool asked; /* did the program ever want it? */
	struct hold *wanted;
	unsigned unmaps;             /* calls that wait for its deletion */
	bool closing;                /* released, and the core has not done with it ... */
	uint64_t closed;             /* ... since then, ms */
	bool calm_closing;           /* nothing but time has passed since */
	bool ignored;                /* the gateway answers no request for it ... */
	uint64_t heeded;             /* ... until this, ms */
	dialect_set leftover[LINKS]; /* a mapping made in these that stays is nobody's fault */
	uint64_t dies_at;            /* ms, PCP deleted it, and lets it live until then */
};

/* A lease as the program sees it. */
struct hold {
	struct lease core;
	struct hold *next, **here;
	bool is_call; /* natpmp_map(): somebody is blocked, until ... */
	uint64_t deadline;
	unsigned slot;
	uint64_t opened, down_since; /* ms */
	uint64_t retried;            /* ms, the program wanted a try at once; 0 = never */
	uint64_t open_by;            /* silence is not to be told before */
	uint64_t serial;             /* of its opening, among the world's */
	struct lease_view told;
};

/* natpmp_unmap() */
struct unmap {
	struct closing core;
	struct unmap *next, **here;
	unsigned slot, protocols;
	uint64_t began, deadline; /* ms */
};

/* A place where the program holds now this, now that. */
struct slot {
	uint16_t port;
	natpmp_protocol protocol;
	struct hold *hold;
	bool unmapping;
};

/* What uses the client. */
struct program {
	bool vpn;
	struct hold *holds;
	struct unmap *unmaps;
	size_t grants, calls; /* of all holds; blocking calls in progress */
	size_t closing;       /* keys released, and not done with */
	struct slot *slots;
	size_t slot_count;
	unsigned deleting_all;   /* protocols, explicitly */
	unsigned probes;         /* who asks for the address, and for PCP */
	unsigned busy_callbacks; /* permille of events in which the program does something */
	uint64_t last_act;       /* ms, the program did something */
	uint64_t asleep_until, wake_at;
	uint64_t looked_at;     /* ms, the inbox was empty then */
	uint64_t stall_planned; /* ms, since when it is known to stall */
	uint64_t serial;        /* of openings and of series of sends */
	uint64_t series;        /* the serial of the one in flight */
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

struct network {
	struct weather weather, fair;
	struct link links[LINKS];
	unsigned link;        /* NO_LINK */
	unsigned socket;      /* of the client: the last link it had */
	uint64_t relinked_at; /* ms */
	bool old_reachable;
	unsigned hints; /* permille of lost packets that an ICMP hint comes back for */
	struct event inbox[INBOX_MAX];
	size_t inbox_count;
	uint64_t inbox_at;
};

struct gateways {
	struct model model[GATEWAYS];
	struct model_profile base; /* what they are when nothing is changed */
	struct model_slot *table[GATEWAYS];
	unsigned silent, refuses,
		mute;          /* how many disturbances say so; mute: hears, and does all */
	unsigned slow;         /* the same: it takes 8 to 30 s over each request */
	uint64_t handles_at;   /* ms, it is not done before with what it was sent */
	unsigned squatters;    /* ports that others have for good */
	unsigned trips;        /* permille of requests over which it restarts, table lost */
	uint64_t restarted_at; /* ms, the last restart that lost the table and the clock ... */
	dialect_set restarted; /* ... of these dialects */
	uint64_t changed_at;   /* ms, it was upgraded or downgraded */
	uint64_t slow_until;   /* ms, what was asked of a slow one has been answered */
};

/* What the client can know, other than of single mappings. */
struct known {
	struct key *keys[2]; /* by protocol, then internal port - PORT_BASE */
	size_t key_count;
	struct epoch_seen {
		bool known;
		int64_t seconds, at;
		int64_t at_earliest;       /* it came between these two */
	} epoch[DIALECTS], sure[DIALECTS]; /* the last one, and the last one that came just then */
	bool may_suspect;                  /* a clock gave reason to, since the last reboot */
	uint64_t must_suspect_at; /* ms, a clock showed a restart without a doubt; 0 = none did */
	uint64_t forgot_at;       /* ms, of the core, as last seen */
	unsigned addresses_seen;  /* bits */
	uint32_t address_last;    /* 0 = none */
	bool address_open;        /* asked for in NAT-PMP, and not answered ... */
	bool announce_open;       /* asked in PCP as well */
	uint64_t address_sent;    /* ... since it was sent last, ms */
	uint64_t address_asked, address_allowance;
	bool heard;            /* since it sent something */
	uint64_t no_new_until; /* ms, PCP said that it is short of resources */
	uint64_t short_since;  /* ms, the first of them */
};

/* How disturbed it all is. */
struct troubles {
	unsigned disturbances;
	unsigned changes; /* how many more that are none go on, and are to end */
	uint64_t calm_since;
	uint64_t heard_at; /* ms, first packet heard since then; 0 = none */
	bool was_given_up; /* the core took the gateway for silent when calm came */
	bool is_given_up;  /* it does so now */
	size_t ignored;
	uint64_t changed_at;  /* ms, what is no disturbance changed */
	uint64_t clock_upset; /* ms, last time that a gateway's clock was not a true one */
	unsigned clocks;      /* how many disturbances make it untrue */
	/* of the flood that goes on */
	bool flood_alone; /* nothing else disturbs */
	uint64_t flood_began, flood_sent;
	/* of the refusals that came to an end last */
	uint64_t refusal_began, refusal_ended;
};

struct counters {
	uint64_t delays, delayed; /* recoveries, and the ms they waited for */
	uint64_t sent, answered, refused, moves, events, steps, forged;
	uint64_t hour_sent, hour_answered;
	uint64_t ups, downs;
};

struct world {
	uint64_t seed;
	bool verbose;
	bool with_pcp;        /* whatever the seed says */
	dialect_set dialects; /* of the client */
	bool is_v6;
	jmp_buf *failed;
	char message[256];

	uint64_t now, began, ends; /* ms */
	struct dice dice;
	struct queue queue;
	struct watch watch;
	struct digest digest; /* of what the client did */

	struct client client;
	struct program program;
	struct network network;
	struct gateways gateways;
	struct known known;
	struct troubles troubles;
	struct counters counters;
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
/* The client's address on that link. */
struct ip_address world_own(const struct world *w, unsigned link);
struct model_host world_host(const struct world *w, unsigned link);
/* May it use PCP? */
bool world_has_pcp(const struct world *w);
/* What the gateway has of this internal port. Returns how many there are; writes up to max. */
size_t world_lookup(struct world *w, unsigned link, unsigned protocol, uint16_t internal_port,
		    uint16_t *external_ports, size_t max);

/* What the program does. NULL: the core said no. */
struct hold *world_hold(struct world *w, unsigned slot, const struct wanted *wanted);
void world_release(struct world *w, struct hold *hold);
void world_retry(struct world *w, struct hold *hold);
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
/* An answer to MAP that nobody asked for. */
void world_update(struct world *w, const struct model_mapping *mapping);

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

struct key *truth_key(struct world *w, unsigned protocol, uint16_t internal_port);
/* The dialects in which the client can have a mapping from the gateway as it is now. */
dialect_set truth_spoken(struct world *w);
/* May a request about it still be answered? */
bool truth_is_open(const struct world *w, const struct key *key);
/* These bytes were sent by the client. */
void truth_sent(struct world *w, const uint8_t *bytes, size_t len);
/* A request reaches the gateway; before the model sees it, and after. */
void truth_at_gateway(struct world *w, const struct event *event);
void truth_answered(struct world *w, const struct event *request, const uint8_t *answer,
		    size_t len);
/* About to be given to the core. */
void truth_received(struct world *w, const struct event *event, uint64_t at_earliest);
void truth_relinked(struct world *w, unsigned before, bool farewell);
/* A gateway restarted; lost: the table and the clock of these dialects. */
void truth_restarted(struct world *w, dialect_set lost);
/* The client is told that a request met a closed port. */
void truth_refused(struct world *w, const struct message *asked);
/* A disturbance begins or ends. */
void truth_disturbed(struct world *w);
void truth_farewell(struct world *w, unsigned link, const struct packet *packet);
void truth_event(struct world *w, struct hold *hold, const struct lease_view *before);
/* A shortage ends before its time. */
void truth_forgets_shortage(struct world *w);
/* The program wants it no more; is_owed: it is to be deleted. */
void truth_let_go(struct world *w, struct hold *hold, bool is_owed);
/* The core has done what was due. */
void truth_settled(struct world *w);
/* Is all well with this hold? */
void truth_check(struct world *w, struct hold *hold);
void truth_check_all(struct world *w);
void truth_hour(struct world *w);
/* A flood of forged packets begins, or is over. */
void truth_flood(struct world *w, bool begins);
/* All was released, some time ago. */
void truth_nothing_left(struct world *w);
/* ms until all who wait had their turn with a gateway that answers. */
uint64_t truth_turns(const struct world *w);

#endif
