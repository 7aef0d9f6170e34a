/* SPDX-License-Identifier: MIT */
/*
 * engine - one gateway: a queue of requests, one of them in flight,
 * retransmission, and finding whose answer that is (RFC 6886 section 3.1).
 *
 * Time comes in as now, ms that never go back; bytes to send, the next
 * deadline and ended requests come out. Nothing here knows what a request is for.
 */
#ifndef CORE_ENGINE_H
#define CORE_ENGINE_H

#include "core/epoch.h"
#include "core/heap.h"
#include "core/wire.h"

#define NEVER UINT64_MAX

enum {
	ENGINE_SENDS = 9,         /* sends of a request nobody else is waiting behind */
	ENGINE_FIRST_WAIT = 250,  /* ms, doubles with each send */
	ENGINE_PATIENCE = 7750,   /* ms, five sends: then the gateway is called silent and those
				   * who wait behind get their turn */
	ENGINE_PAUSE_MIN = 1000,  /* ms between tries of a gateway that refuses or is silent, ... */
	ENGINE_PAUSE_MAX = 64000, /* ... doubling, until any packet of it is heard */
};

enum request_state { REQUEST_IDLE, REQUEST_QUEUED, REQUEST_IN_FLIGHT, REQUEST_ENDED };

/* One thing to ask, embedded in whatever wants to know. */
struct request {
	struct wire_request wire;
	bool any_port; /* VPN dialect: the answer may name internal port 0 or its external port */
	bool waits;    /* for the end of a delay before a recovery */
	bool blocks;   /* somebody is blocked until it ends: asked again at once if it made way */
	uint64_t due;  /* queue order: soonest first */

	/* the engine's */
	enum request_state state;
	bool fresh;
	struct heap_node node;
	struct request *next_ended;
	uint64_t asked_at;              /* ms, first send since it was submitted; 0 = not yet */
	uint64_t first_sent, last_sent; /* ms, of its series of sends, which may begin again */
	int hint;                       /* what was heard, short of an answer; 0 = nothing */

	/* once REQUEST_ENDED */
	int status;    /* natpmp_status */
	bool made_way; /* in silence, after five sends, because somebody waited behind */
	struct wire_answer answer;
};

struct engine {
	struct heap queue;
	struct request *in_flight;
	struct request *ended, **ended_tail;
	uint64_t serial;    /* of submission, ties in the queue */
	uint64_t taken_off; /* the serial when the last one was taken from the queue */

	unsigned sends;     /* of the one in flight */
	uint64_t next_send; /* of the one in flight, or the end of its series */
	bool heard;         /* any packet since the first send of it? */
	unsigned unheard;   /* requests given up in a row without hearing any */

	bool pcp_asked; /* a PCP question was sent to this gateway */
	struct epoch epoch;
	unsigned generation; /* counts what made the gateway forget us: its restarts, another
				gateway */
	int reach;           /* NATPMP_PENDING: not tried; NATPMP_OK: it answers; else why not */
	uint64_t pause, pause_until; /* ms; nothing is tried again before */
	uint64_t hold_off;    /* ms, nor does what waits begin: the delay of RFC 6886 section 3.7 */
	uint32_t own_address; /* host order */
};

void engine_init(struct engine *engine);
void engine_free(struct engine *engine);

/* Queue a request; wire, any_port, waits, blocks and due are set. fresh: it does not wait for
 * the end of a pause that began before it came. Room for it was reserved in
 * engine->queue. */
void engine_submit(struct engine *engine, struct request *request, bool fresh);
/* If it is in flight, nobody waits behind, and its next send is not near, begin its series
 * again: for who has less time left than the steps are wide by now. */
void engine_begin_again(struct engine *engine, struct request *request, uint64_t now);
/* Forget a request, whatever its state. */
void engine_cancel(struct engine *engine, struct request *request);
/* The next request that ended, NULL when there is none. It is idle again. */
struct request *engine_ended(struct engine *engine);

/* Bytes to send now; 0: nothing is due. Call until it says 0. */
size_t engine_output(struct engine *engine, uint64_t now, uint8_t bytes[WIRE_REQUEST_MAX]);
/* When to call engine_output() next; NEVER if nothing is going on. */
uint64_t engine_deadline(const struct engine *engine);

/* A datagram from the gateway's address and port. What it says is returned, so that an
 * external address nobody asked for is not lost. */
struct wire_answer engine_input(struct engine *engine, uint64_t now, const uint8_t *bytes,
				size_t len);
/* A datagram from the gateway to 224.0.0.1:5350. Can end no request. */
struct wire_answer engine_announcement(struct engine *engine, uint64_t now, const uint8_t *bytes,
				       size_t len);
/* An ICMP error came for these bytes of ours: NATPMP_E_REFUSED (the gateway's port is closed)
 * ends the request, anything else is a hint only (RFC 1122 section 3.2.2.1). */
void engine_icmp(struct engine *engine, uint64_t now, const uint8_t *bytes, size_t len, int status);

/* Another gateway, or the same one over another address of ours, or none (status says why):
 * what we knew of the old one is void. The request in flight goes back to the queue. */
void engine_relink(struct engine *engine, int status, uint32_t own_address);

/* Nothing was ever heard, of three sends of a question either. */
bool engine_seems_silent(const struct engine *engine);
/* There is no gateway to ask: nothing is sent until engine_relink() says otherwise. */
bool engine_has_no_link(const struct engine *engine);

#endif
