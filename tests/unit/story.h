/* SPDX-License-Identifier: MIT */
/*
 * story - what happens to leases, told on a virtual clock. The test is the gateway, the network
 * and the time; each line says what comes next:
 *
 *   struct story s;
 *   story_begin(&s);
 *   struct lease *web = holds(&s, NATPMP_TCP, 80, 0, 7200);
 *   asks(&s, 0, NATPMP_TCP, 80, 80, 7200);          the next packet, when, and what it says
 *   grants(&s, 8080, 7200);                         the gateway's answer to that
 *   asks_address(&s, 0);
 *   tells_address(&s, ADDRESS);
 *   comes_up(&s, 0, web, 8080);                     the next event, and when
 *   story_end(&s);                                  and nothing else happened
 *
 * Times are ms since the story began. All that is sent and every event has to be told, in its
 * order. A verb that expects runs the clock up to what it expects.
 *
 * STORY_DIGEST=FILE appends a line to that file at the end of each story: see tests/digests.sh.
 */
#ifndef STORY_H
#define STORY_H

#include <check.h>
#include <stdint.h>

#include "core/leases.h"
#include "digest.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };

#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))
#define ADDRESS        IP(203, 0, 113, 5) /* the gateway's external one */
#define OWN            IP(192, 168, 1, 10)

struct sent {
	uint64_t at;
	size_t len;
	uint8_t bytes[WIRE_REQUEST_MAX];
};

struct event {
	uint64_t at;
	struct lease *lease;
	struct lease_view before, now;
};

struct story {
	struct leases leases;
	uint64_t now;       /* ms since it began */
	int64_t clock_at_0; /* s; what the gateway's clock showed then; minus: it began later */
	struct sent *sent;
	size_t sent_count, sent_told, sent_room;
	struct event *events;
	size_t event_count, event_told, event_room;
	struct digest digest; /* of all packets and events */
	size_t reaped;        /* leases that were released and are finished ... */
	int close_status;     /* ... and what came of the last of them */
	bool may_delete_all;  /* internal port 0 in a deletion is what is meant */
	bool awaited;         /* what is held: somebody is blocked until it is open */
	bool at_once;         /* the program holds several before it looks at the clock again */
	uint64_t patience;    /* ms, of those held from now on: silence is no verdict before */
	/* Called for all that is sent, if set: a gateway that answers by itself. Whatever it
	 * has seen is taken as told. */
	void (*gateway)(struct story *s, const struct sent *sent);
	void (*on_event)(struct story *s, const struct event *event);
};

void story_begin(struct story *s);
void story_begin_with(struct story *s, uint64_t seed, bool vpn);
/* Fails if a packet or an event was not told. */
#define story_end(s) story_end_(s, __LINE__)
void story_end_(struct story *s, int line);
/* Run the clock. Whatever is sent or happens until then has to be told afterwards. */
void runs_until(struct story *s, uint64_t at);
/* Not a packet, not an event. */
#define quiet_until(s, at) quiet_until_(s, __LINE__, at)
void quiet_until_(struct story *s, int line, uint64_t at);
/* Nobody looks at the clock: a suspended machine, a busy loop. */
void sleeps_until(struct story *s, uint64_t at);

/* --- the program --- */

struct lease *holds(struct story *s, natpmp_protocol protocol, uint16_t internal_port,
		    uint16_t suggested, uint32_t lifetime);
/* One of those a blocking call makes. */
struct lease *holds_once(struct story *s, natpmp_protocol protocol, uint16_t internal_port,
			 uint16_t suggested, uint32_t lifetime);
/* A blocking deletion. */
struct lease *unmaps(struct story *s, natpmp_protocol protocol, uint16_t internal_port);
void releases(struct story *s, struct lease *lease);
/* The opening of most stories: held, granted as asked, the address told, up. */
#define is_up(s, protocol, port, lifetime) is_up_(s, __LINE__, protocol, port, port, lifetime)
#define is_up_on(s, protocol, port, external, lifetime)                                            \
	is_up_(s, __LINE__, protocol, port, external, lifetime)
struct lease *is_up_(struct story *s, int line, natpmp_protocol protocol, uint16_t port,
		     uint16_t external, uint32_t lifetime);

/* --- what is sent --- */

/* A request for a mapping; external: the suggestion; lifetime 0: a deletion. */
#define asks(s, at, protocol, internal, external, lifetime)                                        \
	asks_(s, __LINE__, at, protocol, internal, external, lifetime)
void asks_(struct story *s, int line, uint64_t at, natpmp_protocol protocol, uint16_t internal,
	   uint16_t external, uint32_t lifetime);
#define asks_address(s, at)                sends_(s, __LINE__, at, "00 00")
#define deletes(s, at, protocol, internal) asks(s, at, protocol, internal, 0, 0)
/* The same bytes as hex digits. */
#define sends(s, at, hex) sends_(s, __LINE__, at, hex)
void sends_(struct story *s, int line, uint64_t at, const char *hex);
/* The last one told once more, the whole rest of its series: after 250 ms, 750, ... */
#define repeats(s, count) repeats_(s, __LINE__, count)
void repeats_(struct story *s, int line, unsigned count);
/* The next packet, whatever it is. */
#define sends_something(s) sends_something_(s, __LINE__)
struct sent sends_something_(struct story *s, int line);

/* --- the gateway --- */

/* Its clock now, s. */
uint32_t gateway_clock(const struct story *s);
/* It restarts: its clock begins anew. */
void reboots(struct story *s);
/* Answers to the packet told last. */
void grants(struct story *s, uint16_t external_port, uint32_t lifetime);
void tells_address(struct story *s, uint32_t address);
void refuses(struct story *s, uint16_t result);
void confirms(struct story *s); /* a deletion */
/* Of the map request told last only the opcode and the internal port count. */
void answers(struct story *s, const struct sent *request, uint16_t result, uint16_t external_port,
	     uint32_t lifetime);
/* Bytes as hex digits; ## ## ## ## stands for the clock. */
void says(struct story *s, const char *hex);
void announces(struct story *s, const char *hex);
/* The packet told last met an ICMP error. */
void bounces(struct story *s, int status);
/* The routes changed. The farewells to the old gateway have to be told, too. */
void links(struct story *s, int status, uint32_t own_address);
/* A gateway for story.gateway that grants whatever is asked for. */
void obliging(struct story *s, const struct sent *sent);
/* The same, each answer so many ms after its request, for all that is sent until then. */
void is_obliging(struct story *s, uint64_t delay, uint64_t until);

/* --- events --- */

#define comes_up(s, at, lease, port) happens_(s, __LINE__, at, lease, NATPMP_OK, port)
#define goes_down(s, at, lease, why) happens_(s, __LINE__, at, lease, why, -1)
struct event happens_(struct story *s, int line, uint64_t at, const struct lease *lease, int status,
		      int port);

/* The bytes a hex string names; returns their number. */
size_t from_hex(const char *hex, uint32_t clock, uint8_t *bytes, size_t room);

#endif
