/* SPDX-License-Identifier: MIT */
/* external - the gateway's external address, asked for once for all (RFC 6886 section 3.2). */
#ifndef CORE_EXTERNAL_H
#define CORE_EXTERNAL_H

#include "core/gateway.h"

enum {
	ADDRESS_PATIENCE = 7750, /* ms; a mapping does not wait longer for the address */
	ADDRESS_STALE = 60000,   /* ms; a renewal asks for the address again if it is older */
	SILENCE_MAX = 300000, /* ms; after so long without an answer, ask, if something is held */
};

struct external {
	struct question question;
	struct ip_address address; /* if one is known */
	bool is_settled;           /* it was answered, or we no longer wait for an answer */
	bool is_doubted;           /* it may have changed */
	unsigned callers;          /* blocked by the question */
	unsigned answers;          /* counts questions that ended ... */
	int status;                /* ... and how the last one ended */
	bool is_untold;            /* its answer was in PCP, which tells no address */
	unsigned failures;         /* in a row */
	instant asked_at;
	instant settle_at;  /* when we stop waiting for an answer, or NEVER */
	instant retry_at;   /* when to ask again, or NEVER */
	instant hint_until; /* no announcement makes us ask again before this */
};

void external_init(struct external *external);
/* The link changed: forget the address. */
void external_forget(struct external *external);

/* Ask for the address, unless it is being asked for already. is_blocking: a caller waits for it. A
 * gateway that speaks PCP alone is asked for its clock instead. */
void external_ask(struct external *external, struct gateway *gateway, bool is_blocking,
		  instant now);
/* Ask how the gateway is, in these dialects; none: in those that are due. */
void external_look(struct external *external, struct gateway *gateway, dialect_set dialects,
		   instant now);
/* A caller is blocked by the question from now on, until external_stop_waiting(), and wants it
 * asked in these dialects only, unless it is being asked already. */
void external_wait(struct external *external, struct gateway *gateway, dialect_set dialects,
		   instant now);
void external_stop_waiting(struct external *external);
/* Plan no more questions, and take back the open one unless a caller is blocked by it. */
void external_stop(struct external *external, struct gateway *gateway);
/* The address has to be asked for again, because it is old, doubted or not settled. */
bool external_is_stale(const struct external *external, instant now);

/* True: the address changed, or is settled now. */
bool external_on_response(struct external *external, const struct response *response, bool is_held,
			  instant now);
bool external_on_failed(struct external *external, int status, bool is_held, instant now);
bool external_on_time(struct external *external, instant now);
/* An unsolicited packet names an address or says that something changed. Anybody can have sent it,
 * so the gateway will be asked. */
void external_on_hint(struct external *external, instant now);
instant external_next_deadline(const struct external *external);

#endif
