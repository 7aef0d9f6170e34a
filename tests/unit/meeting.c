/* SPDX-License-Identifier: MIT */
#include "meeting.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEGAN 10000000U /* ms: a meeting's 0 on the clocks of the core and the model */

enum {
	PATIENCE = 7750,
	CLOCK_AT_0 = 86400,     /* s; what the gateway's clocks show when the meeting begins */
	LOOP_MAX = 100,         /* wake-ups at one and the same time that are no busy loop yet */
	IDLE_MAX = 10 * MINUTE, /* that a question may take */
	SECRET = 0x5e
};

/* libcheck writes a file at each of its assertions; there are too many here for that. */
#define REQUIRE(condition, ...)                                                                    \
	do {                                                                                       \
		if (!(condition))                                                                  \
			ck_abort_msg(__VA_ARGS__);                                                 \
	} while (0)

/* What is under way to the client. */
struct coming {
	uint64_t at;
	bool is_announcement, is_bounce;
	size_t len;
	uint8_t bytes[MODEL_PACKET_MAX];
};

struct held {
	struct list list; /* meeting.held */
	struct lease lease;
};

static void *grown(void *array, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return array;
	*room = *room ? 2 * *room : 64;
	array = realloc(array, *room * size);
	REQUIRE(array, "out of memory");
	return array;
}

instant meeting_now(const struct meeting *m)
{
	return BEGAN + m->now;
}

/* --- packets --- */

static uint32_t number_at(const uint8_t *bytes, unsigned len)
{
	uint32_t number = 0;

	for (unsigned i = 0; i < len; i++)
		number = number << 8 | bytes[i];
	return number;
}

static bool is_pcp(const struct packet *packet)
{
	return packet->bytes[0] == 2;
}

enum packet_kind packet_kind(const struct packet *packet)
{
	bool is_deletion = !packet_lifetime(packet);

	REQUIRE(is_pcp(packet) || packet->bytes[0] == 0, "version %u", packet->bytes[0]);
	if (!packet->bytes[1])
		return is_pcp(packet) ? V2_ANNOUNCE : V0_ADDRESS;
	if (is_pcp(packet))
		return is_deletion ? V2_DELETE : V2_MAP;
	return is_deletion ? V0_DELETE : V0_MAP;
}

uint16_t packet_internal_port(const struct packet *packet)
{
	return (uint16_t)number_at(packet->bytes + (is_pcp(packet) ? 40 : 4), 2);
}

uint16_t packet_suggested_port(const struct packet *packet)
{
	return (uint16_t)number_at(packet->bytes + (is_pcp(packet) ? 42 : 6), 2);
}

uint32_t packet_lifetime(const struct packet *packet)
{
	return number_at(packet->bytes + (is_pcp(packet) ? 4 : 8), 4);
}

struct ip_address packet_suggested_address(const struct packet *packet)
{
	struct ip_address address;

	memcpy(address.bytes, packet->bytes + 44, sizeof(address.bytes));
	return address;
}

/* --- the network --- */

static struct model_host own_host(const struct meeting *m)
{
	struct model_host host;

	memcpy(host.bytes, m->own.bytes, sizeof(host.bytes));
	return host;
}

size_t gateway_answers(struct meeting *m, const struct packet *request, uint8_t *bytes)
{
	struct model_host own = own_host(m);

	return model_input_from(&m->here->model, meeting_now(m), &own, request->bytes, request->len,
				bytes);
}

static uint64_t delay_of(struct meeting *m, const struct packet *request)
{
	if (m->delay)
		return m->delay(m, request);
	/* Knuth's constants; the top bits are random enough. */
	m->random = m->random * 6364136223846793005U + 1442695040888963407U;
	return (m->random >> 33) % 1000 < m->loss ? NEVER : m->latency;
}

static void put_coming(struct meeting *m, const struct coming *coming)
{
	m->coming = grown(m->coming, m->coming_count, &m->coming_room, sizeof(*m->coming));
	m->coming[m->coming_count++] = *coming;
}

static void answer_request(struct meeting *m, const struct packet *request)
{
	struct coming coming = {.is_bounce = m->is_closed};
	uint64_t delay = delay_of(m, request);

	if (m->is_silent)
		return;
	if (coming.is_bounce) {
		coming.len = request->len;
		memcpy(coming.bytes, request->bytes, request->len);
	} else {
		coming.len = m->answer ? m->answer(m, request, coming.bytes)
				       : gateway_answers(m, request, coming.bytes);
	}
	if (!coming.len || delay == NEVER)
		return;
	coming.at = m->now + delay;
	put_coming(m, &coming);
	coming.at++;
	if (m->is_doubling)
		put_coming(m, &coming);
}

static void note_sent(struct meeting *m, const uint8_t *bytes, size_t len)
{
	struct packet packet = {.at = m->now, .len = len};

	memcpy(packet.bytes, bytes, len);
	m->sent = grown(m->sent, m->sent_end, &m->sent_room, sizeof(*m->sent));
	m->sent[m->sent_end++] = packet;
	if (getenv("MEETING_TRACE"))
		fprintf(stderr,
			"%" PRIu64 " sends version %u opcode %u lifetime %u port %u for %u\n",
			m->now, bytes[0], bytes[1], packet_lifetime(&packet),
			packet_suggested_port(&packet), packet_internal_port(&packet));
	answer_request(m, &packet);
}

static bool note_events(struct meeting *m)
{
	struct lease_view before;
	struct lease *lease;
	bool any = false;

	while ((lease = client_event(&m->client, &before))) {
		m->events = grown(m->events, m->event_end, &m->event_room, sizeof(*m->events));
		m->events[m->event_end++] = (struct event){m->now, lease, lease->told};
		if (getenv("MEETING_TRACE"))
			fprintf(stderr, "%" PRIu64 " tells %d, port %u\n", m->now,
				lease->told.status, lease->told.external_port);
		any = true;
	}
	return any;
}

/* The first one that is due, in the order in which they were sent. */
static struct coming *next_coming(const struct meeting *m)
{
	struct coming *first = NULL;

	for (size_t i = 0; i < m->coming_count; i++)
		if (!first || m->coming[i].at < first->at)
			first = &m->coming[i];
	return first;
}

static bool deliver_one(struct meeting *m)
{
	struct coming *first = next_coming(m);

	if (!first || first->at > m->now)
		return false;
	struct coming packet = *first;
	size_t behind = (size_t)(m->coming + m->coming_count - (first + 1));
	memmove(first, first + 1, behind * sizeof(*first));
	m->coming_count--;
	instant now = meeting_now(m);
	if (packet.is_bounce)
		client_on_bounce(&m->client, now, packet.bytes, packet.len, NATPMP_E_REFUSED);
	else if (packet.is_announcement)
		client_on_announcement(&m->client, now, now, packet.bytes, packet.len, true);
	else
		client_on_packet(&m->client, now, now, packet.bytes, packet.len);
	return true;
}

static void pump(struct meeting *m)
{
	uint8_t bytes[REQUEST_MAX];
	size_t len;

	do {
		while ((len = client_output(&m->client, meeting_now(m), bytes)) > 0)
			note_sent(m, bytes, len);
	} while (note_events(m) || deliver_one(m));
}

/* To the next deadline or packet, or to the limit: then false. */
static bool wake(struct meeting *m, uint64_t limit)
{
	for (int rounds = 0;; rounds++) {
		instant deadline = client_next_deadline(&m->client, meeting_now(m));
		const struct coming *coming = next_coming(m);
		uint64_t at = deadline == NEVER ? NEVER : later(deadline, meeting_now(m)) - BEGAN;
		bool moves;

		at = coming ? earlier(at, coming->at) : at;
		moves = at > m->now;
		if (at > limit) {
			m->now = later(limit, m->now);
			return false;
		}
		REQUIRE(rounds < LOOP_MAX, "a busy loop at %" PRIu64, m->now);
		m->now = at;
		pump(m);
		if (moves)
			return true;
	}
}

void clock_runs_until(struct meeting *m, uint64_t at)
{
	pump(m);
	while (wake(m, at))
		;
}

void clock_runs_until_idle(struct meeting *m)
{
	uint64_t limit = m->now + IDLE_MAX;

	pump(m);
	while (!gateway_is_idle(&m->client.gateway) && wake(m, limit))
		;
}

/* --- beginning and end --- */

static void place_begin(struct meeting *m, struct place *place, const char *name)
{
	const struct model_profile *profile = model_profile_find(name);

	REQUIRE(profile, "no profile %s", name);
	model_init(&place->model, profile, place->slots, MEETING_SLOTS, m->seed, meeting_now(m));
	model_set_clock(&place->model, meeting_now(m), CLOCK_AT_0);
}

static void client_begin(struct meeting *m, uint8_t secret)
{
	struct client_options options = {.dialects = m->dialects, .seed = m->seed + m->now};

	memset(options.secret, secret, sizeof(options.secret));
	REQUIRE(client_init(&m->client, &options), "out of memory");
	client_on_link(&m->client, meeting_now(m), NATPMP_OK, &m->here->address, &m->own);
}

void meeting_begin_with(struct meeting *m, const char *profile, dialect_set dialects, bool is_ipv6,
			uint64_t seed)
{
	const struct ip_address router = {{0xfe, 0x80, [15] = 1}};
	const struct ip_address other_router = {{0xfe, 0x80, [15] = 2}};
	const struct ip_address host = {{0x20, 0x01, 0x0d, 0xb8, 0, 1, [15] = 0x10}};

	memset(m, 0, sizeof(*m));
	m->dialects = dialects;
	m->seed = seed;
	m->patience = PATIENCE;
	m->own = is_ipv6 ? host : ip_from_v4(0xc0a8010a);
	m->places[0].address = is_ipv6 ? router : ip_from_v4(0xc0a80101);
	m->places[1].address = is_ipv6 ? other_router : ip_from_v4(0xc0a801fe);
	m->here = &m->places[0];
	list_init(&m->held);
	place_begin(m, m->here, profile);
	client_begin(m, SECRET);
}

void meeting_begin(struct meeting *m, const char *profile)
{
	meeting_begin_with(m, profile, ALL_DIALECTS, false, 1);
}

static void free_held(struct meeting *m)
{
	while (!list_is_empty(&m->held)) {
		struct held *held = container_of(m->held.next, struct held, list);
		list_remove(&held->list);
		free(held);
	}
}

static void check_rules(const struct model *model)
{
	for (unsigned i = 0; i < MODEL_RULES; i++)
		REQUIRE(!(model->ever_broken & 1U << i), "a packet broke a rule: %s",
			model_rule_text((enum model_rule)(1U << i)));
}

void meeting_end(struct meeting *m)
{
	check_rules(&m->places[0].model);
	check_rules(&m->places[1].model);
	client_free(&m->client);
	free_held(m);
	free(m->sent);
	free(m->events);
	free(m->coming);
}

void meeting_turns_page(struct meeting *m)
{
	m->sent_from = m->sent_end;
	m->event_from = m->event_end;
}

/* --- the program --- */

struct lease *program_wants_port(struct meeting *m, natpmp_protocol protocol,
				 uint16_t internal_port, uint16_t suggested, uint32_t lifetime)
{
	const struct wanted wanted = {
		.protocol = protocol,
		.internal_port = internal_port,
		.suggested_port = suggested,
		.lifetime = lifetime,
		.is_exact = m->is_exact,
		.patience = m->patience,
	};
	struct held *held = calloc(1, sizeof(*held));

	REQUIRE(held, "out of memory");
	list_append(&m->held, &held->list);
	int status = client_hold(&m->client, &held->lease, &wanted, meeting_now(m));
	REQUIRE(status == NATPMP_OK, "port %u is not held: %d", internal_port, status);
	return &held->lease;
}

struct lease *program_holds(struct meeting *m, natpmp_protocol protocol, uint16_t internal_port,
			    uint32_t lifetime)
{
	return program_wants_port(m, protocol, internal_port, internal_port, lifetime);
}

void program_releases(struct meeting *m, struct lease *lease)
{
	struct held *held = container_of(lease, struct held, lease);

	client_release(&m->client, lease, meeting_now(m));
	list_remove(&held->list);
	free(held);
}

int program_unmaps(struct meeting *m, natpmp_protocol protocol, uint16_t internal_port)
{
	uint64_t limit = m->now + IDLE_MAX;
	struct closing closing;
	int status = client_unmap(&m->client, &closing, protocol, internal_port, meeting_now(m));

	REQUIRE(status == NATPMP_OK, "port %u is not closed: %d", internal_port, status);
	pump(m);
	while (closing.left && wake(m, limit))
		;
	status = closing.left ? client_excuse(&m->client, &closing) : closing.status;
	client_stop_unmapping(&m->client, &closing, meeting_now(m));
	pump(m);
	return status;
}

int program_asks_address(struct meeting *m)
{
	unsigned answers = m->client.external.answers;
	uint64_t limit = m->now + IDLE_MAX;

	client_ask_address(&m->client, m->dialects, meeting_now(m));
	pump(m);
	while (m->client.external.answers == answers && wake(m, limit))
		;
	REQUIRE(m->client.external.answers != answers, "no answer about the address");
	client_stop_asking_address(&m->client);
	return m->client.external.status;
}

void program_starts_again(struct meeting *m, uint8_t secret)
{
	client_free(&m->client);
	free_held(m);
	m->coming_count = 0;
	client_begin(m, secret);
}

/* --- what was sent and told --- */

unsigned sent_count(const struct meeting *m, unsigned kinds)
{
	unsigned count = 0;

	for (size_t i = m->sent_from; i < m->sent_end; i++)
		count += (packet_kind(&m->sent[i]) & kinds) != 0;
	return count;
}

const struct packet *sent_nth(const struct meeting *m, unsigned kinds, unsigned n)
{
	for (size_t i = m->sent_from; i < m->sent_end; i++)
		if (packet_kind(&m->sent[i]) & kinds && !n--)
			return &m->sent[i];
	ck_abort_msg("only %u packets of these kinds were sent", sent_count(m, kinds));
	return NULL;
}

const struct packet *sent_last(const struct meeting *m, unsigned kinds)
{
	return sent_nth(m, kinds, sent_count(m, kinds) - 1);
}

unsigned event_count(const struct meeting *m)
{
	return (unsigned)(m->event_end - m->event_from);
}

const struct event *event_nth(const struct meeting *m, unsigned n)
{
	REQUIRE(n < event_count(m), "only %u events", event_count(m));
	return &m->events[m->event_from + n];
}

/* --- the gateway --- */

const struct model_mapping *gateway_mapping(const struct meeting *m, natpmp_protocol protocol,
					    uint16_t internal_port, enum model_maker makers)
{
	struct model_host own = own_host(m);

	return model_find(&m->here->model, meeting_now(m), &own, (enum model_opcode)protocol,
			  internal_port, makers, NULL);
}

uint16_t gateway_port(const struct meeting *m, natpmp_protocol protocol, uint16_t internal_port,
		      enum model_maker makers)
{
	const struct model_mapping *mapping = gateway_mapping(m, protocol, internal_port, makers);

	return mapping ? mapping->external_port : 0;
}

unsigned gateway_mappings(const struct meeting *m)
{
	return (unsigned)model_count(&m->here->model, meeting_now(m));
}

void gateway_becomes(struct meeting *m, const char *profile)
{
	const struct model_profile *found = model_profile_find(profile);

	REQUIRE(found, "no profile %s", profile);
	model_set_profile(&m->here->model, meeting_now(m), found);
}

void gateway_restarts(struct meeting *m)
{
	model_restart(&m->here->model, meeting_now(m), false, false);
}

void gateway_says(struct meeting *m, const uint8_t *bytes, size_t len)
{
	client_on_packet(&m->client, meeting_now(m), meeting_now(m), bytes, len);
	pump(m);
}

void gateway_announces(struct meeting *m, const uint8_t *bytes, size_t len)
{
	client_on_announcement(&m->client, meeting_now(m), meeting_now(m), bytes, len, true);
	pump(m);
}

void gateway_announces_by_pcp(struct meeting *m)
{
	uint8_t bytes[MODEL_PACKET_MAX];
	size_t len = model_pcp_announcement(&m->here->model, meeting_now(m), bytes);

	gateway_announces(m, bytes, len);
}

void gateway_updates(struct meeting *m, natpmp_protocol protocol, uint16_t internal_port)
{
	const struct model_mapping *mapping =
		gateway_mapping(m, protocol, internal_port, MODEL_BY_PCP);
	uint8_t bytes[MODEL_PACKET_MAX];

	REQUIRE(mapping, "the gateway has no such mapping");
	size_t len = model_pcp_update(&m->here->model, meeting_now(m), mapping, bytes);
	gateway_says(m, bytes, len);
}

static void send_farewell(void *arg, const uint8_t *bytes, size_t len)
{
	struct meeting *m = arg;
	size_t coming = m->coming_count;

	note_sent(m, bytes, len);
	m->coming_count = coming; /* nobody listens to the answer */
}

void client_moves(struct meeting *m, const char *profile)
{
	client_farewell(&m->client, meeting_now(m), send_farewell, m);
	m->here = m->here == m->places ? &m->places[1] : &m->places[0];
	place_begin(m, m->here, profile);
	m->coming_count = 0;
	client_on_link(&m->client, meeting_now(m), NATPMP_OK, &m->here->address, &m->own);
	pump(m);
}
