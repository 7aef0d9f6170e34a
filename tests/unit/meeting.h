/* SPDX-License-Identifier: MIT */
/*
 * meeting - a client meets the gateway of tests/gateway, which is a model by another hand, on a
 * virtual clock. Where a story (story.h) tells every packet, a meeting lets the two talk, and then
 * looks at what was sent, what the program was told and what the gateway has:
 *
 *   struct meeting m;
 *   meeting_begin(&m, "rfc-pcp");
 *   struct lease *web = program_holds(&m, NATPMP_TCP, 80, 7200);
 *   clock_runs_until(&m, SECOND);
 *   ck_assert_uint_eq(sent_count(&m, V2_MAP), 1);
 *   ck_assert_uint_eq(gateway_port(&m, NATPMP_TCP, 80, MODEL_BY_PCP), lease_port(web));
 *   meeting_end(&m);
 *
 * Times are ms since the meeting began. meeting_end() fails if the model noted something that no
 * correct client does (enum model_rule). MEETING_TRACE=1 in the environment prints what happens.
 */
#ifndef MEETING_H
#define MEETING_H

#include <check.h>
#include <stdint.h>

#include "core/client.h"
#include "model.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };

enum {
	MEETING_SLOTS = 256,  /* mappings that a gateway has room for */
	EXTERNAL = 0x0b16212c /* the external address in the profiles, 11.22.33.44 */
};

/* What a packet of the client is; a set of them where packets are counted. */
enum packet_kind {
	V0_ADDRESS = 1 << 0,
	V0_MAP = 1 << 1, /* lifetime not 0 */
	V0_DELETE = 1 << 2,
	V2_ANNOUNCE = 1 << 3,
	V2_MAP = 1 << 4,
	V2_DELETE = 1 << 5,
	V0_ANY = V0_ADDRESS | V0_MAP | V0_DELETE,
	V2_ANY = V2_ANNOUNCE | V2_MAP | V2_DELETE,
	MAP_ANY = V0_MAP | V2_MAP,
	DELETE_ANY = V0_DELETE | V2_DELETE,
	ANY_PACKET = V0_ANY | V2_ANY
};

struct packet {
	uint64_t at;
	size_t len;
	uint8_t bytes[REQUEST_MAX];
};

/* What the program was told. */
struct event {
	uint64_t at;
	const struct lease *lease;
	struct lease_view view;
};

/* A gateway, and the address of its that we use. */
struct place {
	struct model model;
	struct model_slot slots[MEETING_SLOTS];
	struct ip_address address;
};

struct meeting;
/* What comes back for a request, in bytes with room for MODEL_PACKET_MAX. Returns the length; 0:
 * nothing. */
typedef size_t answer_fn(struct meeting *m, const struct packet *request, uint8_t *bytes);
/* How long the answer to a request is under way, ms; NEVER: it is lost. */
typedef uint64_t delay_fn(struct meeting *m, const struct packet *request);

struct meeting {
	struct client client;
	struct place places[2], *here; /* where we are, and where we were or may go */
	struct ip_address own;
	uint64_t now; /* ms since it began */
	dialect_set dialects;
	uint64_t seed, random;
	bool is_exact;     /* what is held wants the suggested port or none */
	uint64_t patience; /* ms, of what is held from now on */

	/* the network and the gateway; may be changed at any time */
	uint64_t latency;  /* ms, there and back */
	unsigned loss;     /* of 1000 answers, so many are lost */
	bool is_doubling;  /* each answer comes twice, the copy 1 ms later */
	bool is_silent;    /* nothing reaches the gateway */
	bool is_closed;    /* the gateway runs no such service: ICMP port unreachable */
	answer_fn *answer; /* instead of the model's */
	delay_fn *delay;   /* instead of latency and loss */

	struct packet *sent;
	size_t sent_end, sent_from, sent_room;
	struct event *events;
	size_t event_end, event_from, event_room;
	struct coming *coming; /* packets under way to the client, in no order */
	size_t coming_count, coming_room;
	struct list held;
};

/* ALL_DIALECTS, IPv4, no latency. */
void meeting_begin(struct meeting *m, const char *profile);
void meeting_begin_with(struct meeting *m, const char *profile, dialect_set dialects, bool is_ipv6,
			uint64_t seed);
void meeting_end(struct meeting *m);
/* What was sent and happened so far is no longer looked at. */
void meeting_turns_page(struct meeting *m);
/* The present instant on the clock of the core and of the model. */
instant meeting_now(const struct meeting *m);
void clock_runs_until(struct meeting *m, uint64_t at);
/* Until no question waits or is open, but not for longer than ten minutes. */
void clock_runs_until_idle(struct meeting *m);

/* --- the program --- */

/* Suggested port: as the internal one. */
struct lease *program_holds(struct meeting *m, natpmp_protocol protocol, uint16_t internal_port,
			    uint32_t lifetime);
struct lease *program_wants_port(struct meeting *m, natpmp_protocol protocol,
				 uint16_t internal_port, uint16_t suggested, uint32_t lifetime);
void program_releases(struct meeting *m, struct lease *lease);
/* Runs the clock until the deletion has ended, but not for longer than ten minutes; how it ended.
 */
int program_unmaps(struct meeting *m, natpmp_protocol protocol, uint16_t internal_port);
/* The same for the question for the external address; the address is then in
 * client_external_address(). */
int program_asks_address(struct meeting *m);
/* The program dies, and begins again with a secret that is filled with that byte. */
void program_starts_again(struct meeting *m, uint8_t secret);
static inline uint16_t lease_port(const struct lease *lease)
{
	return lease->told.external_port;
}

/* --- what was sent and told since the page was turned --- */

enum packet_kind packet_kind(const struct packet *packet);
uint16_t packet_internal_port(const struct packet *packet);
uint16_t packet_suggested_port(const struct packet *packet);
uint32_t packet_lifetime(const struct packet *packet);
/* Of PCP. */
struct ip_address packet_suggested_address(const struct packet *packet);
unsigned sent_count(const struct meeting *m, unsigned kinds);
/* The n-th of these kinds, from 0. */
const struct packet *sent_nth(const struct meeting *m, unsigned kinds, unsigned n);
const struct packet *sent_last(const struct meeting *m, unsigned kinds);
unsigned event_count(const struct meeting *m);
const struct event *event_nth(const struct meeting *m, unsigned n);

/* --- the gateway --- */

/* The external port of what it has, made by one of these makers; 0: nothing. */
uint16_t gateway_port(const struct meeting *m, natpmp_protocol protocol, uint16_t internal_port,
		      enum model_maker makers);
const struct model_mapping *gateway_mapping(const struct meeting *m, natpmp_protocol protocol,
					    uint16_t internal_port, enum model_maker makers);
unsigned gateway_mappings(const struct meeting *m);
/* It is of another make from now on, with its table and its clocks. */
void gateway_becomes(struct meeting *m, const char *profile);
/* It forgets its mappings, and its clocks begin anew. */
void gateway_restarts(struct meeting *m);
/* A packet that nobody asked for comes from the gateway. */
void gateway_says(struct meeting *m, const uint8_t *bytes, size_t len);
/* ... and to the group. */
void gateway_announces(struct meeting *m, const uint8_t *bytes, size_t len);
void gateway_announces_by_pcp(struct meeting *m);
/* It tells what a mapping is by now. */
void gateway_updates(struct meeting *m, natpmp_protocol protocol, uint16_t internal_port);
/* Its answer to a request, for an answer_fn. */
size_t gateway_answers(struct meeting *m, const struct packet *request, uint8_t *bytes);
/* We go to another gateway, which has no mapping of ours. The farewells reach the old one. */
void client_moves(struct meeting *m, const char *profile);

#endif
