/* SPDX-License-Identifier: MIT */
/*
 * story - what happens to leases, told on a virtual clock. The test is the gateway, the network
 * and the time; each line says what comes next:
 *
 *   struct story s;
 *   story_begin(&s);
 *   struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
 *   client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);   the next packet, when, and what it says
 *   gateway_grants(&s, 8080, 7200);                 the gateway's answer to that
 *   client_asks_address(&s, 0);
 *   gateway_tells_address(&s, ADDRESS);
 *   lease_comes_up(&s, 0, web, 8080);               the next event, and when
 *   story_end(&s);                                  and nothing else happened
 *
 * Times are ms since the story began. Every packet and every event has to be told, in its order.
 * A verb that expects something runs the clock up to that.
 *
 * Five minutes after its last packet the client asks how the gateway is (N60). The story answers
 * that by itself and does not have it told, unless looks_are_told.
 *
 * STORY_DIGEST=FILE appends a line to that file at the end of each story: see tests/digests.sh.
 */
#ifndef STORY_H
#define STORY_H

#include <check.h>
#include <stdint.h>

#include "core/client.h"
#include "digest.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };

#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))
static inline uint32_t v4(struct ip_address address)
{
	return ip_to_v4(&address);
}

#define ADDRESS       IP(203, 0, 113, 5) /* the gateway's external one */
#define OWN           IP(192, 168, 1, 10)
#define OTHER_OWN     IP(10, 0, 0, 7)
#define GATEWAY       IP(192, 168, 1, 1)
#define OTHER_GATEWAY IP(10, 0, 0, 1)

struct sent {
	uint64_t at;
	size_t len;
	uint8_t bytes[REQUEST_MAX];
};

struct event {
	uint64_t at;
	struct lease *lease;
	struct lease_view before, now;
};

struct story {
	struct client client;
	uint64_t now;        /* ms since it began */
	int64_t clock_at_0;  /* s; what the gateway's clock showed then; minus: it began later */
	bool is_stalled;     /* nobody reads the socket, ... */
	uint64_t read_at;    /* ... which was last seen empty then */
	uint32_t gateway_id; /* of the link */
	struct sent *sent;
	size_t sent_count, sent_told, sent_room;
	struct event *events;
	size_t event_count, event_told, event_room;
	struct list held;          /* leases that the program holds */
	struct list unmaps;        /* blocking deletions */
	struct digest digest;      /* of all packets and events */
	bool looks_are_told;       /* see above */
	uint32_t address;          /* the external one, as told last */
	uint64_t asked_address_at; /* it was asked for last */
	bool may_delete_all;       /* internal port 0 in a deletion is what is meant */
	bool is_awaited;           /* a caller is blocked until what is held is open */
	bool is_exact;             /* what is held wants the suggested port or none */
	bool at_once;      /* the program holds several before it looks at the clock again */
	uint64_t patience; /* ms, of those held from now on: silence is no verdict before */
	/* Called for every packet sent, if set: a gateway that answers by itself. Whatever it has
	 * seen is taken as told. */
	void (*gateway)(struct story *s, const struct sent *sent);
	void (*on_event)(struct story *s, const struct event *event);
};

void story_begin(struct story *s);
void story_begin_with(struct story *s, uint64_t seed, bool vpn);
/* Fails if a packet or an event was not told. */
#define story_end(s) story_end_(s, __LINE__)
void story_end_(struct story *s, int line);
/* Whatever was sent and happened so far need not be told. */
void story_skip(struct story *s);
/* The present instant on the clock of the core. */
instant story_now(const struct story *s);

/* --- time --- */

/* Run the clock. Whatever is sent or happens until then has to be told afterwards. */
void clock_runs_until(struct story *s, uint64_t at);
/* Not a packet, not an event. */
#define nothing_happens_until(s, at) nothing_happens_until_(s, __LINE__, at)
void nothing_happens_until_(struct story *s, int line, uint64_t at);
/* Nobody looks at the clock or the socket: a suspended machine, a busy loop. Packets that arrive
 * before the clock runs again may have come at any time since. */
void program_stalls_until(struct story *s, uint64_t at);
/* When the core wants to be called, on the clock of the story; NEVER. */
uint64_t next_deadline(const struct story *s);

/* --- the program --- */

/* Suggested port 0: the same as the internal port. */
struct lease *program_holds(struct story *s, natpmp_protocol protocol, uint16_t internal_port,
			    uint16_t suggested, uint32_t lifetime);
/* The same without any suggestion. */
struct lease *program_holds_any(struct story *s, natpmp_protocol protocol, uint16_t internal_port,
				uint32_t lifetime);
/* A blocking call waits until there is a verdict. */
struct lease *program_maps(struct story *s, natpmp_protocol protocol, uint16_t internal_port,
			   uint16_t suggested, uint32_t lifetime);
/* A blocking call waits for a deletion. */
struct closing *program_unmaps(struct story *s, natpmp_protocol protocol, uint16_t internal_port);
/* The lease is freed. */
void program_releases(struct story *s, struct lease *lease);
/* The blocking call returns: the lease is freed, its mapping stays. */
void program_leaves(struct story *s, struct lease *lease);
void program_retries(struct story *s, struct lease *lease);
/* A blocking call waits for the address. */
void program_asks_address(struct story *s);
void program_stops_asking_address(struct story *s);
/* The opening of most stories: held, granted as asked, the address told, up. */
#define lease_is_up(s, protocol, port, lifetime)                                                   \
	lease_is_up_(s, __LINE__, protocol, port, port, lifetime)
#define lease_is_up_on(s, protocol, port, external, lifetime)                                      \
	lease_is_up_(s, __LINE__, protocol, port, external, lifetime)
struct lease *lease_is_up_(struct story *s, int line, natpmp_protocol protocol, uint16_t port,
			   uint16_t external, uint32_t lifetime);
/* Nothing is left of the mapping that can still be deleted. */
bool mapping_is_closed(const struct story *s, natpmp_protocol protocol, uint16_t internal_port);
/* What natpmp_free() would say now. */
int leftover_status(const struct story *s);
/* Is the lease in force, so that a blocking call returns as soon as the address is settled? */
bool lease_holds_good(const struct story *s, const struct lease *lease);

/* --- what the client sends --- */

/* A request for a mapping; external: the suggestion; lifetime 0: a deletion. */
#define client_asks(s, at, protocol, internal, external, lifetime)                                 \
	client_asks_(s, __LINE__, at, protocol, internal, external, lifetime)
void client_asks_(struct story *s, int line, uint64_t at, natpmp_protocol protocol,
		  uint16_t internal, uint16_t external, uint32_t lifetime);
#define client_asks_address(s, at)                client_sends_(s, __LINE__, at, "00 00")
#define client_deletes(s, at, protocol, internal) client_asks(s, at, protocol, internal, 0, 0)
/* The same bytes as hex digits. */
#define client_sends(s, at, hex) client_sends_(s, __LINE__, at, hex)
void client_sends_(struct story *s, int line, uint64_t at, const char *hex);
/* The packet told last once more, as often: after 250 ms, 750, ... */
#define client_repeats(s, count) client_repeats_(s, __LINE__, count)
void client_repeats_(struct story *s, int line, unsigned count);
/* The next packet, whatever it is. */
#define client_sends_something(s) client_sends_something_(s, __LINE__)
struct sent client_sends_something_(struct story *s, int line);

uint16_t sent_internal_port(const struct sent *sent);
uint16_t sent_suggested_port(const struct sent *sent);
uint32_t sent_lifetime(const struct sent *sent);
bool sent_is_deletion(const struct sent *sent);

/* --- the gateway --- */

/* Its clock now, s. */
uint32_t gateway_clock_shows(const struct story *s);
/* It restarts: its clock begins anew. */
void gateway_reboots(struct story *s);
/* Answers to the packet told last. */
void gateway_grants(struct story *s, uint16_t external_port, uint32_t lifetime);
void gateway_tells_address(struct story *s, uint32_t address);
void gateway_refuses(struct story *s, uint16_t result);
void gateway_confirms(struct story *s); /* a deletion */
/* Of the map request only the opcode and the internal port count. */
void gateway_answers(struct story *s, const struct sent *request, uint16_t result,
		     uint16_t external_port, uint32_t lifetime);
/* Bytes as hex digits; ## ## ## ## stands for the clock. */
void gateway_says(struct story *s, const char *hex);
void gateway_announces(struct story *s, const char *hex);
/* A gateway for story.gateway that grants whatever is asked for. */
void gateway_obliges(struct story *s, const struct sent *sent);
/* The same, each answer so many ms after its request, and one request after the other. */
void gateway_obliges_until(struct story *s, uint64_t delay, uint64_t until);
/* The same, each packet answered so many ms after it was sent, also when others follow it. */
void gateway_lags_until(struct story *s, uint64_t delay, uint64_t until);

/* --- the network --- */

/* The packet told last met an ICMP error. */
void request_bounces(struct story *s, int status);
/* Another gateway. The farewells to the old one have to be told, too. */
void link_changes(struct story *s, uint32_t gateway_id, uint32_t own_address);
/* A deletion for whatever the gateway may have, without waiting for answers. */
void client_says_farewell(struct story *s);
/* No gateway any more, and nothing can be said to the old one. */
void link_is_lost(struct story *s);
/* The same gateway is there again. */
void link_returns(struct story *s);

/* --- events --- */

#define lease_comes_up(s, at, lease, port) lease_tells_(s, __LINE__, at, lease, NATPMP_OK, port)
#define lease_goes_down(s, at, lease, why) lease_tells_(s, __LINE__, at, lease, why, -1)
struct event lease_tells_(struct story *s, int line, uint64_t at, const struct lease *lease,
			  int status, int port);

/* The bytes a hex string names; returns their number. */
size_t from_hex(const char *hex, uint32_t clock, uint8_t *bytes, size_t room);

#endif
