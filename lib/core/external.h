/* SPDX-License-Identifier: MIT */
/* external - the gateway's external address: one question for all (RFC 6886 section 3.2). */
#ifndef CORE_EXTERNAL_H
#define CORE_EXTERNAL_H

#include "core/gateway.h"

enum {
	ADDRESS_PATIENCE = 7750, /* ms; a mapping does not wait longer for the address */
	ADDRESS_STALE = 60000,   /* ms; a renewal asks for the address if it is older */
	SILENCE_MAX = 300000,    /* ms; then the gateway is asked how it is, if something is held */
};

struct external {
	struct question question;
	uint32_t address;  /* host order; 0: none that we know of */
	bool is_settled;   /* there was an answer, or there is no hope of one */
	bool is_doubted;   /* it may have changed */
	unsigned callers;  /* blocked by the question */
	unsigned answers;  /* counts questions that ended ... */
	int status;        /* ... and what the last of them came to */
	unsigned failures; /* in a row */
	instant asked_at;
	instant settle_at; /* no hope then; NEVER */
	instant retry_at;  /* ask again then; NEVER */
	instant hint_until; /* what is announced does not make us ask again before */
};

void external_init(struct external *external);
/* Another link: nothing is known. */
void external_forget(struct external *external);

/* Ask for the address, unless that is being done. is_blocking: a caller waits for it. */
void external_ask(struct external *external, struct gateway *gateway, bool is_blocking,
		  instant now);
/* A caller is blocked by the question from now on, until external_stop_waiting(). */
void external_wait(struct external *external, struct gateway *gateway, instant now);
void external_stop_waiting(struct external *external);
/* Nothing is held any more. */
void external_stop(struct external *external, struct gateway *gateway);
/* The address is due to be asked for, by its age or a doubt. */
bool external_is_stale(const struct external *external, instant now);

/* True: the address changed, or is settled now. */
bool external_on_response(struct external *external, const struct response *response,
			  bool is_held, instant now);
bool external_on_failed(struct external *external, int status, bool is_held, instant now);
bool external_on_time(struct external *external, instant now);
/* A packet that nobody asked for names an address, or says that there are news. Anybody can have
 * sent it: ask the gateway. */
void external_on_hint(struct external *external, instant now);
instant external_next_deadline(const struct external *external);

#endif
