/* SPDX-License-Identifier: MIT */
#include "story.h"
#include "link_v4.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BEGAN 10000000U /* ms: a story's 0 on the clock of the core */

enum {
	PATIENCE = 7750, /* ms; five sends */
	HEX_MAX = 3 * REQUEST_MAX + 1,
	LOOP_MAX = 100, /* wake-ups in a row at one and the same time that is no busy loop yet */
};

/* libcheck writes a file at each of its assertions; there are too many here for that. */
#define REQUIRE(condition, ...)                                                                    \
	do {                                                                                       \
		if (!(condition))                                                                  \
			ck_abort_msg(__VA_ARGS__);                                                 \
	} while (0)

/* --- bytes --- */

size_t from_hex(const char *hex, uint32_t clock, uint8_t *bytes, size_t room)
{
	size_t len = 0;
	int shift = 24;

	for (; *hex; hex++) {
		unsigned value;

		if (*hex == ' ')
			continue;
		REQUIRE(len < room, "too long: %s", hex);
		if (hex[0] == '#') {
			value = clock >> shift & 0xff;
			shift -= 8;
		} else {
			REQUIRE(sscanf(hex, "%2x", &value) == 1, "not hex: %s", hex);
		}
		bytes[len++] = (uint8_t)value;
		hex++;
	}
	return len;
}

static const char *to_hex(const uint8_t *bytes, size_t len, char text[HEX_MAX])
{
	text[0] = '\0';
	for (size_t i = 0; i < len; i++)
		snprintf(text + 3 * i, 4, "%02x ", bytes[i]);
	return text;
}

/* --- the clock --- */

instant story_now(const struct story *s)
{
	return BEGAN + s->now;
}

static void *grown(void *array, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return array;
	*room = *room ? 2 * *room : 64;
	array = realloc(array, *room * size);
	REQUIRE(array, "out of memory");
	return array;
}

/* True of whatever is sent in any story. */
static void check_sent(const struct story *s, const uint8_t *bytes, size_t len)
{
	static const uint8_t nothing[REQUEST_MAX];

	if (bytes[0] == 2 && s->client.pcp.callers)
		return; /* PCP's question was called for */
	REQUIRE(bytes[0] == 0 && bytes[1] <= 2, "version %u, opcode %u", bytes[0], bytes[1]);
	REQUIRE(len == (bytes[1] ? 12 : 2), "%zu bytes", len);
	if (len == 2)
		return;
	REQUIRE(memcmp(bytes + 2, nothing, 2) == 0, "reserved bytes that are not 0");
	if (memcmp(bytes + 8, nothing, 4) != 0)
		return;
	REQUIRE(memcmp(bytes + 6, nothing, 2) == 0, "a deletion with an external port");
	REQUIRE(s->may_delete_all || memcmp(bytes + 4, nothing, 2) != 0, "everything is deleted");
}

/* Is it the question for the address after five silent minutes? */
static bool is_look(const struct story *s, size_t len)
{
	instant last = later(s->client.gateway.answered_at, BEGAN + s->asked_address_at);

	return len == 2 && !s->looks_are_told && story_now(s) >= last + SILENCE_MAX;
}

static void note_sent(struct story *s, const uint8_t *bytes, size_t len)
{
	bool looks = is_look(s, len);

	check_sent(s, bytes, len);
	if (len == 2)
		s->asked_address_at = s->now;

	digest_packet(&s->digest, s->now, bytes, len);
	if (looks && !s->gateway) {
		gateway_tells_address(s, s->address);
		return;
	}
	s->sent = grown(s->sent, s->sent_count, &s->sent_room, sizeof(*s->sent));
	struct sent *sent = &s->sent[s->sent_count++];
	*sent = (struct sent){.at = s->now, .len = len};
	memcpy(sent->bytes, bytes, len);
	if (s->gateway) {
		struct sent copy = *sent;
		s->sent_told = s->sent_count;
		s->gateway(s, &copy);
	}
}

/* What a program holds, and what it waits for to be deleted. */
struct held {
	struct list list; /* story.held */
	bool is_call;     /* a blocking call has it: no event is told */
	struct lease lease;
};

struct unmap {
	struct list list; /* story.unmaps */
	struct closing closing;
};

static bool is_call(struct lease *lease)
{
	return container_of(lease, struct held, lease)->is_call;
}

static bool note_events(struct story *s)
{
	struct lease_view before;
	struct lease *lease;
	bool any = false;

	while ((lease = client_event(&s->client, &before))) {

		if (is_call(lease))
			continue;
		s->events = grown(s->events, s->event_count, &s->event_room, sizeof(*s->events));
		struct event event = {s->now, lease, before, lease->told};
		s->events[s->event_count++] = event;
		digest_event(&s->digest, s->now, lease, &before);
		any = true;
		if (s->on_event)
			s->on_event(s, &event);
	}
	return any;
}

/* What the driver of the core does when the time has come, or something came in. */
static void pump(struct story *s)
{
	uint8_t bytes[REQUEST_MAX];
	size_t len;

	s->is_stalled = false;
	do {
		while ((len = client_output(&s->client, story_now(s), bytes)) > 0)
			note_sent(s, bytes, len);
	} while (note_events(s));
}

uint64_t next_deadline(const struct story *s)
{
	instant at = client_next_deadline(&s->client, story_now(s));

	if (at == NEVER)
		return NEVER;
	return at > story_now(s) ? at - BEGAN : s->now;
}

/* To the next deadline, or to the limit: then false. */
static bool wake(struct story *s, uint64_t limit)
{
	int rounds = 0;

	for (;;) {
		uint64_t at = next_deadline(s);

		if (at > limit) {
			s->now = limit > s->now ? limit : s->now;
			return false;
		}
		REQUIRE(at > s->now || rounds++ < LOOP_MAX, "a busy loop at %" PRIu64, s->now);
		bool moved = at > s->now;
		s->now = at;
		size_t sent = s->sent_count, events = s->event_count;
		pump(s);
		if (moved || s->sent_count > sent || s->event_count > events)
			return true;
	}
}

void clock_runs_until(struct story *s, uint64_t at)
{
	while (wake(s, at))
		;
}

void program_stalls_until(struct story *s, uint64_t at)
{
	if (!s->is_stalled)
		s->read_at = s->now;
	s->is_stalled = true;
	s->now = at;
}

void nothing_happens_until_(struct story *s, int line, uint64_t at)
{
	size_t sent = s->sent_count, events = s->event_count;
	char hex[HEX_MAX];

	clock_runs_until(s, at);
	REQUIRE(s->sent_count == sent, "line %d: sent at %" PRIu64 ": %s", line, s->sent[sent].at,
		to_hex(s->sent[sent].bytes, s->sent[sent].len, hex));
	REQUIRE(s->event_count == events, "line %d: event at %" PRIu64 ": %d", line,
		s->events[events].at, s->events[events].now.status);
}

void story_begin_with(struct story *s, uint64_t seed, bool vpn)
{
	const struct client_options options = {
		.dialects = ONLY_NATPMP, .seed = seed, .is_vpn = vpn};

	*s = (struct story){.clock_at_0 = 86400,
			    .gateway_id = GATEWAY,
			    .patience = PATIENCE,
			    .address = ADDRESS};
	digest_begin(&s->digest);
	list_init(&s->held);
	list_init(&s->unmaps);
	REQUIRE(client_init(&s->client, &options), "out of memory");
	client_on_link_v4(&s->client, story_now(s), NATPMP_OK, GATEWAY, OWN);
}

void story_begin(struct story *s)
{
	story_begin_with(s, 1, false);
}

void story_skip(struct story *s)
{
	s->sent_told = s->sent_count;
	s->event_told = s->event_count;
}

/* Each test is a process of its own: one write, so that lines stay whole. */
static void append_digest(const struct story *s, const char *file)
{
	char line[DIGEST_LINE_MAX];
	size_t len = digest_line(&s->digest, tcase_name(), line);
	int fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);

	REQUIRE(len > 0, "no line of a digest is that long: %s", tcase_name());
	REQUIRE(fd >= 0, "STORY_DIGEST=%s: cannot be opened", file);
	REQUIRE(write(fd, line, len) == (ssize_t)len, "STORY_DIGEST=%s: cannot be written", file);
	close(fd);
}

static void end_program(struct story *s)
{
	while (!list_is_empty(&s->held)) {
		struct held *held = container_of(s->held.next, struct held, list);
		list_remove(&held->list);
		free(held);
	}
	while (!list_is_empty(&s->unmaps)) {
		struct unmap *unmap = container_of(s->unmaps.next, struct unmap, list);
		client_stop_unmapping(&s->client, &unmap->closing, story_now(s));
		list_remove(&unmap->list);
		free(unmap);
	}
}

void story_end_(struct story *s, int line)
{
	char hex[HEX_MAX];

	if (s->sent_told < s->sent_count) {
		const struct sent *sent = &s->sent[s->sent_told];
		ck_abort_msg("line %d: also sent at %" PRIu64 ": %s", line, sent->at,
			     to_hex(sent->bytes, sent->len, hex));
	}
	if (s->event_told < s->event_count) {
		const struct event *event = &s->events[s->event_told];
		ck_abort_msg("line %d: also an event at %" PRIu64 ": %d to %d, port %u", line,
			     event->at, event->before.status, event->now.status,
			     event->now.external_port);
	}
	const char *digests = getenv("STORY_DIGEST");
	if (digests)
		append_digest(s, digests);
	end_program(s);
	client_free(&s->client);
	free(s->sent);
	free(s->events);
}

/* --- the program --- */

static struct lease *hold(struct story *s, const struct wanted *wanted, bool is_call)
{
	struct held *held = malloc(sizeof(*held));

	REQUIRE(held, "out of memory");
	held->list = (struct list){0};
	held->is_call = is_call;
	list_append(&s->held, &held->list);
	int status = client_hold(&s->client, &held->lease, wanted, story_now(s));
	REQUIRE(status == NATPMP_OK, "port %u is not held: %d", wanted->internal_port, status);
	if (!s->at_once)
		pump(s);
	return &held->lease;
}

static struct wanted wanted_by(const struct story *s, natpmp_protocol protocol,
			       uint16_t internal_port, uint16_t suggested, uint32_t lifetime)
{
	return (struct wanted){
		.protocol = protocol,
		.internal_port = internal_port,
		.suggested_port = suggested,
		.lifetime = lifetime,
		.is_exact = s->is_exact,
		.is_awaited = s->is_awaited,
		.patience = s->patience,
	};
}

struct lease *program_holds(struct story *s, natpmp_protocol protocol, uint16_t internal_port,
			    uint16_t suggested, uint32_t lifetime)
{
	struct wanted wanted = wanted_by(s, protocol, internal_port,
					 suggested ? suggested : internal_port, lifetime);

	return hold(s, &wanted, false);
}

struct lease *program_holds_any(struct story *s, natpmp_protocol protocol, uint16_t internal_port,
				uint32_t lifetime)
{
	struct wanted wanted = wanted_by(s, protocol, internal_port, 0, lifetime);

	return hold(s, &wanted, false);
}

struct lease *program_maps(struct story *s, natpmp_protocol protocol, uint16_t internal_port,
			   uint16_t suggested, uint32_t lifetime)
{
	struct wanted wanted = wanted_by(s, protocol, internal_port,
					 suggested ? suggested : internal_port, lifetime);

	wanted.is_awaited = true;
	wanted.patience = NEVER;
	return hold(s, &wanted, true);
}

struct closing *program_unmaps(struct story *s, natpmp_protocol protocol, uint16_t internal_port)
{
	struct unmap *unmap = malloc(sizeof(*unmap));

	REQUIRE(unmap, "out of memory");
	unmap->list = (struct list){0};
	list_append(&s->unmaps, &unmap->list);
	int status =
		client_unmap(&s->client, &unmap->closing, protocol, internal_port, story_now(s));
	REQUIRE(status == NATPMP_OK, "port %u is not closed: %d", internal_port, status);
	pump(s);
	return &unmap->closing;
}

static void free_lease(struct lease *lease)
{
	struct held *held = container_of(lease, struct held, lease);

	list_remove(&held->list);
	free(held);
}

void program_releases(struct story *s, struct lease *lease)
{
	client_release(&s->client, lease, story_now(s));
	free_lease(lease);
	if (!s->at_once)
		pump(s);
}

void program_leaves(struct story *s, struct lease *lease)
{
	client_leave(&s->client, lease, story_now(s));
	free_lease(lease);
	pump(s);
}

void program_retries(struct story *s, struct lease *lease)
{
	client_retry(&s->client, lease, story_now(s));
	pump(s);
}

void program_asks_address(struct story *s)
{
	client_ask_address(&s->client, ONLY_NATPMP, story_now(s));
}

void program_stops_asking_address(struct story *s)
{
	client_stop_asking_address(&s->client);
}

bool mapping_is_closed(const struct story *s, natpmp_protocol protocol, uint16_t internal_port)
{
	return client_is_closed(&s->client, protocol, internal_port);
}

int leftover_status(const struct story *s)
{
	return client_leftover(&s->client, story_now(s));
}

bool lease_holds_good(const struct story *s, const struct lease *lease)
{
	return lease_is_in_force(lease, &s->client.gateway);
}

struct lease *lease_is_up_(struct story *s, int line, natpmp_protocol protocol, uint16_t port,
			   uint16_t external, uint32_t lifetime)
{
	uint64_t at = s->now;
	bool both = protocol == NATPMP_TCP_UDP;
	bool asks_address = external_is_stale(&s->client.external, story_now(s));
	struct lease *lease = program_holds(s, protocol, port, 0, lifetime);

	client_asks_(s, line, at, both ? NATPMP_UDP : protocol, port, port, lifetime);
	gateway_grants(s, external, lifetime);
	if (asks_address) {
		client_sends_(s, line, at, "00 00");
		gateway_tells_address(s, ADDRESS);
	}
	if (both) {
		client_asks_(s, line, at, NATPMP_TCP, port, external, lifetime);
		gateway_grants(s, external, lifetime);
	}
	lease_tells_(s, line, at, lease, NATPMP_OK, external);
	return lease;
}

/* --- what is sent --- */

struct sent client_sends_something_(struct story *s, int line)
{
	while (s->sent_told == s->sent_count)
		REQUIRE(wake(s, s->now + 24 * HOUR), "line %d: nothing more is sent", line);
	return s->sent[s->sent_told++];
}

static void told(struct story *s, int line, uint64_t at, const uint8_t *bytes, size_t len)
{
	struct sent sent = client_sends_something_(s, line);
	char wanted[HEX_MAX], is[HEX_MAX];

	REQUIRE(sent.at == at && sent.len == len && memcmp(sent.bytes, bytes, len) == 0,
		"line %d: expected at %" PRIu64 ": %s but sent at %" PRIu64 ": %s", line, at,
		to_hex(bytes, len, wanted), sent.at, to_hex(sent.bytes, sent.len, is));
}

void client_sends_(struct story *s, int line, uint64_t at, const char *hex)
{
	uint8_t bytes[REQUEST_MAX];
	size_t len = from_hex(hex, 0, bytes, sizeof(bytes));

	told(s, line, at, bytes, len);
}

void client_asks_(struct story *s, int line, uint64_t at, natpmp_protocol protocol,
		  uint16_t internal, uint16_t external, uint32_t lifetime)
{
	const uint8_t bytes[12] = {
		[1] = (uint8_t)protocol,   [4] = (uint8_t)(internal >> 8),
		(uint8_t)internal,         (uint8_t)(external >> 8),
		(uint8_t)external,         (uint8_t)(lifetime >> 24),
		(uint8_t)(lifetime >> 16), (uint8_t)(lifetime >> 8),
		(uint8_t)lifetime,
	};

	told(s, line, at, bytes, sizeof(bytes));
}

void client_repeats_(struct story *s, int line, unsigned count)
{
	struct sent first = s->sent[s->sent_told - 1];
	uint64_t at = first.at;

	for (unsigned i = 0; i < count; i++) {
		at += 250U << i;
		told(s, line, at, first.bytes, first.len);
	}
}

uint16_t sent_internal_port(const struct sent *sent)
{
	return (uint16_t)(sent->bytes[4] << 8 |
			  sent->bytes[5]); /* 0 in a question for the address */
}

uint16_t sent_suggested_port(const struct sent *sent)
{
	return (uint16_t)(sent->bytes[6] << 8 | sent->bytes[7]);
}

uint32_t sent_lifetime(const struct sent *sent)
{
	return (uint32_t)sent->bytes[8] << 24 | (uint32_t)sent->bytes[9] << 16 |
	       (uint32_t)sent->bytes[10] << 8 | sent->bytes[11];
}

bool sent_is_deletion(const struct sent *sent)
{
	return sent->len == 12 && !sent_lifetime(sent);
}

/* --- the gateway --- */

uint32_t gateway_clock_shows(const struct story *s)
{
	return (uint32_t)(s->clock_at_0 + (int64_t)(s->now / 1000));
}

void gateway_reboots(struct story *s)
{
	s->clock_at_0 = -(int64_t)(s->now / 1000);
}

/* A program that stalled reads all that waits before it does anything else. */
static instant earliest_arrival(const struct story *s)
{
	return s->is_stalled ? BEGAN + s->read_at : story_now(s);
}

static void arrives(struct story *s, const uint8_t *bytes, size_t len)
{
	client_on_packet(&s->client, earliest_arrival(s), story_now(s), bytes, len);
	if (!s->is_stalled)
		pump(s);
}

static void put32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (24 - 8 * i));
}

void gateway_answers(struct story *s, const struct sent *request, uint16_t result,
		     uint16_t external_port, uint32_t lifetime)
{
	uint8_t bytes[16] = {
		[1] = request->bytes[1] | 0x80,
		(uint8_t)(result >> 8),
		(uint8_t)result,
		[8] = request->bytes[4],
		request->bytes[5],
		(uint8_t)(external_port >> 8),
		(uint8_t)external_port,
	};

	put32(bytes + 4, gateway_clock_shows(s));
	put32(bytes + 12, lifetime);
	arrives(s, bytes, sizeof(bytes));
}

static struct sent last_told(const struct story *s)
{
	REQUIRE(s->sent_told > 0, "an answer to nothing");
	return s->sent[s->sent_told - 1];
}

void gateway_grants(struct story *s, uint16_t external_port, uint32_t lifetime)
{
	struct sent request = last_told(s);

	gateway_answers(s, &request, 0, external_port, lifetime);
}

void gateway_confirms(struct story *s)
{
	gateway_grants(s, 0, 0);
}

static void answer_address(struct story *s, uint16_t result, uint32_t address)
{
	uint8_t bytes[12] = {[1] = 0x80, (uint8_t)(result >> 8), (uint8_t)result};

	put32(bytes + 4, gateway_clock_shows(s));
	put32(bytes + 8, address);
	arrives(s, bytes, sizeof(bytes));
}

void gateway_refuses(struct story *s, uint16_t result)
{
	struct sent request = last_told(s);

	if (request.len == 2)
		answer_address(s, result, 0);
	else
		gateway_answers(s, &request, result, 0, 0);
}

void gateway_tells_address(struct story *s, uint32_t address)
{
	s->address = address;
	answer_address(s, 0, address);
}

void gateway_says(struct story *s, const char *hex)
{
	uint8_t bytes[RESPONSE_MAX];

	arrives(s, bytes, from_hex(hex, gateway_clock_shows(s), bytes, sizeof(bytes)));
}

void gateway_announces(struct story *s, const char *hex)
{
	uint8_t bytes[RESPONSE_MAX];
	size_t len = from_hex(hex, gateway_clock_shows(s), bytes, sizeof(bytes));

	client_on_announcement(&s->client, earliest_arrival(s), story_now(s), bytes, len, true);
	if (!s->is_stalled)
		pump(s);
}

void gateway_obliges(struct story *s, const struct sent *sent)
{
	uint16_t suggested = sent_suggested_port(sent);
	uint16_t port = suggested ? suggested : sent_internal_port(sent);

	if (sent->len == 2)
		gateway_tells_address(s, ADDRESS);
	else
		gateway_answers(s, sent, 0, sent_is_deletion(sent) ? 0 : port, sent_lifetime(sent));
}

void gateway_obliges_until(struct story *s, uint64_t delay, uint64_t until)
{
	while (s->now < until) {
		if (s->sent_told == s->sent_count) {
			wake(s, until);
			continue;
		}
		struct sent sent = s->sent[s->sent_told++];
		clock_runs_until(s, s->now + delay);
		gateway_obliges(s, &sent);
	}
}

void gateway_lags_until(struct story *s, uint64_t delay, uint64_t until)
{
	while (s->now < until) {
		bool has_sent = s->sent_told < s->sent_count;
		uint64_t due = has_sent ? s->sent[s->sent_told].at + delay : until;

		if (due > s->now) {
			wake(s, due < until ? due : until);
			continue;
		}
		if (!has_sent)
			break;
		struct sent sent = s->sent[s->sent_told++];
		gateway_obliges(s, &sent);
	}
}

/* --- the network --- */

void request_bounces(struct story *s, int status)
{
	struct sent request = last_told(s);

	client_on_bounce(&s->client, story_now(s), request.bytes, request.len, status);
	pump(s);
}

static void send_farewell(void *arg, const uint8_t *bytes, size_t len)
{
	note_sent(arg, bytes, len);
}

void client_says_farewell(struct story *s)
{
	client_farewell(&s->client, story_now(s), send_farewell, s);
}

void link_changes(struct story *s, uint32_t gateway_id, uint32_t own_address)
{
	void (*gateway)(struct story * s, const struct sent *sent) = s->gateway;

	s->gateway = NULL; /* the old one is not listened to any more */
	client_says_farewell(s);
	if (gateway)
		s->sent_told = s->sent_count;
	s->gateway = gateway;
	s->gateway_id = gateway_id;
	client_on_link_v4(&s->client, story_now(s), NATPMP_OK, gateway_id, own_address);
	pump(s);
}

void link_is_lost(struct story *s)
{
	client_on_link_v4(&s->client, story_now(s), NATPMP_E_NO_GATEWAY, 0, 0);
	pump(s);
}

void link_returns(struct story *s)
{
	client_on_link_v4(&s->client, story_now(s), NATPMP_OK, s->gateway_id, OWN);
	pump(s);
}

/* --- events --- */

struct event lease_tells_(struct story *s, int line, uint64_t at, const struct lease *lease,
			  int status, int port)
{
	while (s->event_told == s->event_count)
		REQUIRE(wake(s, s->now + 24 * HOUR), "line %d: nothing more happens", line);
	struct event event = s->events[s->event_told++];
	REQUIRE(event.at == at && event.lease == lease && event.now.status == status &&
			(port < 0 || event.now.external_port == port),
		"line %d: expected at %" PRIu64 ": %d, port %d, but at %" PRIu64 ": %d, port %u%s",
		line, at, status, port, event.at, event.now.status, event.now.external_port,
		event.lease == lease ? "" : ", of another lease");
	return event;
}
