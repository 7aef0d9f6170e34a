/* SPDX-License-Identifier: MIT */
/*
 * grant - one (protocol, internal port): what we believe the gateway has, and whether somebody
 * wants it. There is one record for each key, whoever asked for it first (RFC 6886 sections 3.3
 * and 3.4). What concerns a lease of two protocols: lease.h.
 */
#ifndef CORE_GRANT_H
#define CORE_GRANT_H

#include "core/gateway.h"
#include "core/status.h"

struct lease;

enum {
	RANK_MARGIN = 600000,    /* ms; mappings that end sooner are renewed before others are made */
	RANK_PENALTY = 60000,    /* ms; what failed ranks so much later, for each failure ... */
	RANK_PENALTIES_MAX = 8,  /* ... up to this many */
	RENEWAL_DELAY_MAX = 86400000, /* ms; never plan further ahead, whatever was granted */
	DELETION_TRIES = 5,      /* turns without an answer; then the lifetime has to end it */
};

enum grant_state {
	GRANT_NONE,     /* the gateway has nothing of ours */
	GRANT_POSSIBLE, /* asked and not answered, or granted and over by our clock only */
	GRANT_TRUSTED,  /* granted, and no sign since that the gateway forgot */
	GRANT_DOUBTED   /* granted before the gateway seemed to reboot */
};

struct retries {
	uint16_t count; /* failures in a row */
	int16_t status; /* natpmp_status of the last one; NATPMP_OK: there is none */
};

struct grant {
	struct question question;   /* the one question about it; its message has the key */
	struct heap_node timer;     /* when grant_next_action() is to be looked at */
	struct list list;           /* client.granted, oldest first, or client.others */
	struct grant *next_in_bucket;
	struct lease *wanted_by;    /* NULL: it is to go */
	bool is_granted;            /* the state is TRUSTED or DOUBTED: see grant_state() */
	bool is_possible;           /* else: POSSIBLE, not NONE */
	bool was_nothing;           /* it was NONE when its question was asked */
	bool deletion_is_owed;      /* a hold was released, and the gateway has not confirmed */
	bool is_moving;             /* see grant_is_moving() */
	uint16_t external_port;     /* last assigned; 0: never granted */
	uint16_t suggested_port;    /* external */
	uint32_t lifetime;          /* s, as granted last */
	instant granted_at;         /* when the grant came; 0: it is in client.others */
	instant expires_at;         /* our view: counted from the first send that may be answered */
	instant gateway_expires_at; /* the gateway has let go of it by then */
	instant act_at;             /* ask (again) then, if nothing is being asked; NEVER */
	struct retries retries;
};

enum grant_action {
	GRANT_WAIT,      /* nothing is due */
	GRANT_ASK,       /* create or renew: it is wanted */
	GRANT_DELETE,    /* it is not wanted, or has to move */
	GRANT_TAKE_BACK, /* the question about it is not the right one any more */
	GRANT_HURRY,     /* being asked for, but by slow sends: begin the series again */
	GRANT_FORGET     /* there is nothing left to do: drop the record */
};

/* What we believe of it. */
enum grant_state grant_state(const struct grant *grant, const struct gateway *gateway);
/* It has to be deleted, before it is asked for on another external port. */
bool grant_is_moving(const struct grant *grant);
/* Trusted, and not over. */
bool grant_is_in_force(const struct grant *grant, const struct gateway *gateway);
/* What to do next: a table of (wanted, state). */
enum grant_action grant_next_action(const struct grant *grant, const struct gateway *gateway,
				    instant now);
/* When that may change by itself; NEVER. */
instant grant_next_deadline(const struct grant *grant, const struct gateway *gateway);
/* It was lost, and had a short lifetime: it is asked for in short turns, half a minute apart at
 * most, for the last sends of a whole series are farther apart. */
bool grant_is_urgent(const struct grant *grant, const struct gateway *gateway);
/* The lane and the rank of the question about it. is_blocking: a caller is blocked by it. */
enum lane grant_lane(const struct grant *grant, const struct gateway *gateway, bool is_blocking);
instant grant_rank(const struct grant *grant, const struct gateway *gateway, instant now);

/* --- events: what the outside does to it --- */

/* A lease wants it from now on, with that suggestion. */
void grant_on_wanted(struct grant *grant, struct lease *lease, uint16_t suggested_port,
		     instant act_at);
/* The lease was released: the gateway is to delete what it may have. */
void grant_on_released(struct grant *grant, instant now);
/* The lease was left: what the gateway has is left to its lifetime, but for a deletion owed. */
void grant_on_left(struct grant *grant, instant now);
/* It has to move to another external port: delete it, then ask again at that instant. */
void grant_on_moving(struct grant *grant, uint16_t suggested_port, instant now);
/* The question about it waits for its turn from now on, or its series began again. */
void grant_on_asked(struct grant *grant, const struct gateway *gateway, instant now);
/* The question about it was taken back. */
void grant_on_taken_back(struct grant *grant, instant now);
/* Its question was sent (again). */
void grant_on_sent(struct grant *grant, instant now);
/* The gateway granted it. False: for so short a time that it is over already. */
bool grant_on_granted(struct grant *grant, const struct gateway *gateway,
		      const struct response *response, instant now);
/* Creating it failed, or was refused: status says how. is_unheard: the whole gateway is silent. */
void grant_on_failed(struct grant *grant, const struct gateway *gateway, int status,
		     bool is_unheard, instant now);
/* The gateway deleted it, or will not (status). */
void grant_on_deleted(struct grant *grant, int status, instant now);
/* No answer to a deletion. */
void grant_on_not_deleted(struct grant *grant, int status, bool is_unheard, instant now);
/* Our view of its lifetime is over; status: why nobody renewed it. */
void grant_on_expired(struct grant *grant, int status, instant now);
/* It is not up any more, for a reason of the gateway or the link. */
void grant_on_lost(struct grant *grant, int status, instant now);

#endif
