/* SPDX-License-Identifier: MIT */
/*
 * grant - the record of one (protocol, internal port): what we believe the gateway has for it, and
 * which lease wants it. Each key has exactly one record (RFC 6886 sections 3.3 and 3.4). The rules
 * for a lease of two protocols are in lease.h.
 */
#ifndef CORE_GRANT_H
#define CORE_GRANT_H

#include "core/gateway.h"
#include "core/status.h"

struct lease;

enum {
	RANK_PENALTY =
		60000, /* ms; for each failure in a row ranks a question this much later ... */
	RANK_PENALTIES_MAX = 8,       /* ... but no more than this many failures count */
	RENEWAL_DELAY_MAX = 86400000, /* ms; no renewal is planned further ahead */
	/* ms; when a grant came after its own lifetime was over, ask again within this time */
	OVER_DELAY_MAX = 2000,
	DELETION_TRIES = 5, /* turns without an answer; then we leave it to its lifetime */
};

enum grant_state {
	GRANT_NONE,     /* the gateway has nothing of ours */
	GRANT_POSSIBLE, /* asked for and not answered, or over by our clock alone */
	GRANT_TRUSTED,  /* granted, and nothing says that the gateway forgot it */
	GRANT_DOUBTED   /* granted before the gateway seemed to reboot */
};

struct retries {
	uint16_t count;  /* failures in a row */
	int16_t status;  /* natpmp_status of the last failure; NATPMP_OK: there was none */
	uint16_t result; /* the gateway's result code for it; 0: the gateway gave none */
};

struct expiry {
	instant at;         /* by our clock, from the first send that may be answered */
	instant gateway_at; /* the gateway has ended it by then */
};

/* What the gateway may have of it. */
struct at_gateway {
	dialect_set possible_in;   /* by these dialects; if there are any, the state is POSSIBLE
				    * unless is_granted */
	bool deletion_is_owed : 1; /* a lease was released; its deletion is not confirmed */
	unsigned deletions : 2; /* sends in PCP, of which copies may still be refused; 3: or more */
	unsigned made_in : 2;   /* enum dialect_id in which it was last granted */
	int16_t deletion_status; /* NATPMP_PENDING: not answered so far; else its first failure, or
				  * NATPMP_OK */
};

struct grant {
	struct question question; /* the only one about it; its message holds the key */
	struct heap_node timer;   /* when grant_next_action() has to be called again */
	struct list list;         /* client.granted, oldest first */
	struct grant *next_in_bucket;
	struct lease *wanted_by; /* NULL: no lease wants it */
	bool is_granted : 1;     /* the state is TRUSTED or DOUBTED: see grant_state() */
	bool is_moving : 1;      /* see grant_is_moving() */
	struct retries retries;
	struct at_gateway at_gateway;
	uint16_t external_port;  /* as last assigned; 0: it was never granted */
	uint16_t suggested_port; /* external */
	uint32_t lifetime;       /* s, as last granted, even if we asked for less */
	uint32_t error_until_s;  /* see grant_error_until() */
	instant granted_at;      /* when the grant came */
	struct expiry expiry;
	instant act_at; /* when its next action is due; NEVER: it waits for an event */
};

enum grant_action {
	GRANT_WAIT,      /* nothing is due */
	GRANT_ASK,       /* create or renew: it is wanted */
	GRANT_DELETE,    /* it is not wanted, or has to move */
	GRANT_TAKE_BACK, /* its question is no longer the right one */
	GRANT_HURRY,     /* its question is sent too rarely by now: begin the series again */
	GRANT_FORGET     /* nothing is left to do: drop the record */
};

/* What we believe the gateway has. */
enum grant_state grant_state(const struct grant *grant, const struct gateway *gateway);
/* It has to be deleted before we ask for another external port. */
bool grant_is_moving(const struct grant *grant);
/* Its state is TRUSTED. It may be over by our clock until grant_on_expired() says so. */
bool grant_is_in_force(const struct grant *grant, const struct gateway *gateway);
/* The dialect in which it was last granted, as a set; 0: it never was. */
dialect_set grant_made_in(const struct grant *grant);
/* Its external address, if it was granted in a dialect that tells it. */
struct ip_address grant_external_address(const struct grant *grant);
/* What to do next, by its state and by whether a lease wants it. is_awaited: a caller is blocked
 * until it is granted. */
enum grant_action grant_next_action(const struct grant *grant, const struct gateway *gateway,
				    bool is_awaited, instant now);
/* By then the gateway has ended it, even if it granted the question that is still unanswered. */
instant grant_gone_at(const struct grant *grant);
/* The gateway said that its last error lasts until then, in whole seconds; 0: it did not. */
instant grant_error_until(const struct grant *grant);
/* It should be renewed now; the next instant at which it may be: not before the end of an error
 * that says how long it lasts, nor sooner after the last send than its dialect allows. */
instant grant_may_renew_at(const struct grant *grant, instant now);
/* When the answer of grant_next_action() may change by time alone, or NEVER. */
instant grant_next_deadline(const struct grant *grant, const struct gateway *gateway);
/* It had a short lifetime and is not in force. Its turns end after five sends and begin at most 30
 * s apart; the last sends of a whole series are farther apart than that. */
bool grant_is_urgent(const struct grant *grant, const struct gateway *gateway);
/* The lane and the rank of its question. is_blocking: a caller is blocked by that question. */
enum lane grant_lane(const struct grant *grant, const struct gateway *gateway, bool is_blocking,
		     instant now);
instant grant_rank(const struct grant *grant, const struct gateway *gateway, instant now);

/* --- events: what happens to a grant --- */

/* A lease wants it from now on, and suggests that external port. */
void grant_on_wanted(struct grant *grant, struct lease *lease, uint16_t suggested_port,
		     instant act_at);
/* The lease was released: the gateway has to delete what it may have. */
void grant_on_released(struct grant *grant, instant now);
/* The lease was left: the gateway's mapping is left to its lifetime, unless a deletion is owed. */
void grant_on_left(struct grant *grant, instant now);
/* It has to move to another external port: it is deleted then, and afterwards asked for again. */
void grant_on_moving(struct grant *grant, uint16_t suggested_port, instant now);
/* Its question now waits for its turn, or its series of sends began again. */
void grant_on_asked(struct grant *grant, const struct gateway *gateway, instant now);
/* Its question was taken back. */
void grant_on_taken_back(struct grant *grant, instant now);
/* Its question is of that kind from now on: ASK_CREATE or ASK_DELETE. */
void grant_on_turned(struct grant *grant, enum message_kind kind);
/* Its question was sent (again). */
void grant_on_sent(struct grant *grant);
/* The gateway granted it. False: the granted lifetime is over already. */
bool grant_on_granted(struct grant *grant, struct gateway *gateway, const struct response *response,
		      instant now);
/* It was asked for in two dialects and granted in one; here is the grant in the other one. */
void grant_on_granted_too(struct grant *grant, const struct response *response, instant now);
/* Creating it failed or was refused; status says why. is_unheard: nothing at all is heard from the
 * gateway. retry_after: ms, as the gateway told it; 0: it did not. */
void grant_on_failed(struct grant *grant, const struct gateway *gateway, int status,
		     duration retry_after, bool is_unheard, instant now);
/* The gateway has nothing of it in these dialects. */
void grant_on_gone_in(struct grant *grant, dialect_set dialects);
/* The gateway does not speak these dialects, in which its question was sent. */
void grant_on_rejected(struct grant *grant, dialect_set dialects);
/* Its deletion ended in these dialects; NATPMP_E_VERSION: the gateway does not speak them. */
void grant_note_deletion(struct grant *grant, dialect_set dialects, int status);
/* The deletion has ended. status: NATPMP_OK, or why the gateway may still have it. */
void grant_on_deleted(struct grant *grant, int status, instant now);
/* A deletion got no answer, and will be tried again. */
void grant_on_not_deleted(struct grant *grant, int status, bool is_unheard, instant now);
/* A deletion was sent, and nobody waits for its answer. */
void grant_on_farewell(struct grant *grant, instant now);
/* Its lifetime is over by our clock. status: why it was not renewed. */
void grant_on_expired(struct grant *grant, int status, instant now);
/* The gateway or the link failed (status), so it is no longer trusted. */
void grant_on_lost(struct grant *grant, int status, instant now);

#endif
