/* SPDX-License-Identifier: MIT */
#include "story.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BEGAN 10000000U /* ms: a story's 0 on the clock of the core */

enum {
	HEX_MAX = 3 * WIRE_REQUEST_MAX + 1,
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

static uint64_t core_now(const struct story *s)
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
	static const uint8_t nothing[WIRE_REQUEST_MAX];

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

static void note_sent(struct story *s, const uint8_t *bytes, size_t len)
{
	check_sent(s, bytes, len);
	digest_packet(&s->digest, s->now, bytes, len);
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

static bool note_events(struct story *s)
{
	struct lease_view before;
	struct lease *lease;
	bool any = false;

	while ((lease = leases_event(&s->leases, &before))) {
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
	uint8_t bytes[WIRE_REQUEST_MAX];
	struct lease *done;
	size_t len;

	do {
		while ((len = leases_output(&s->leases, core_now(s), bytes)) > 0)
			note_sent(s, bytes, len);
		while ((done = leases_reap(&s->leases))) {
			s->close_status = done->close_status;
			free(done->owner);
			s->reaped++;
		}
	} while (note_events(s));
}

/* To the next deadline, or to the limit: then false. */
static bool wake(struct story *s, uint64_t limit)
{
	int rounds = 0;

	for (;;) {
		uint64_t at = leases_deadline(&s->leases);

		at = at == NEVER ? NEVER : at > core_now(s) ? at - BEGAN : s->now;
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

void runs_until(struct story *s, uint64_t at)
{
	while (wake(s, at))
		;
}

void sleeps_until(struct story *s, uint64_t at)
{
	s->now = at;
}

void quiet_until_(struct story *s, int line, uint64_t at)
{
	size_t sent = s->sent_count, events = s->event_count;
	char hex[HEX_MAX];

	runs_until(s, at);
	REQUIRE(s->sent_count == sent, "line %d: sent at %" PRIu64 ": %s", line, s->sent[sent].at,
		to_hex(s->sent[sent].bytes, s->sent[sent].len, hex));
	REQUIRE(s->event_count == events, "line %d: event at %" PRIu64 ": %d", line,
		s->events[events].at, s->events[events].now.status);
}

void story_begin_with(struct story *s, uint64_t seed, bool vpn)
{
	*s = (struct story){.clock_at_0 = 86400};
	digest_begin(&s->digest);
	leases_init(&s->leases, seed, vpn);
	leases_relink(&s->leases, core_now(s), NATPMP_OK, OWN);
}

void story_begin(struct story *s)
{
	story_begin_with(s, 1, false);
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
	while (s->leases.all) {
		void *owner = s->leases.all->owner;
		leases_drop(&s->leases, s->leases.all);
		free(owner);
	}
	leases_free(&s->leases);
	free(s->sent);
	free(s->events);
}

/* --- the program --- */

static struct lease *add(struct story *s, const struct lease *wanted, enum lease_goal goal)
{
	struct lease *lease = malloc(sizeof(*lease));

	REQUIRE(lease, "out of memory");
	*lease = *wanted;
	lease->owner = lease;
	if (goal == LEASE_HOLD)
		lease->patience = s->patience;
	lease->awaited = s->awaited;
	ck_assert_int_eq(leases_add(&s->leases, lease, goal, core_now(s)), NATPMP_OK);
	if (!s->at_once)
		pump(s);
	return lease;
}

struct lease *holds(struct story *s, natpmp_protocol protocol, uint16_t internal_port,
		    uint16_t suggested, uint32_t lifetime)
{
	return add(s,
		   &(struct lease){.protocol = protocol,
				   .internal_port = internal_port,
				   .suggested = suggested,
				   .asked = lifetime},
		   LEASE_HOLD);
}

struct lease *holds_once(struct story *s, natpmp_protocol protocol, uint16_t internal_port,
			 uint16_t suggested, uint32_t lifetime)
{
	return add(s,
		   &(struct lease){.protocol = protocol,
				   .internal_port = internal_port,
				   .suggested = suggested,
				   .asked = lifetime,
				   .once = true},
		   LEASE_HOLD);
}

struct lease *unmaps(struct story *s, natpmp_protocol protocol, uint16_t internal_port)
{
	return add(
		s,
		&(struct lease){.protocol = protocol, .internal_port = internal_port, .once = true},
		LEASE_CLOSE);
}

void releases(struct story *s, struct lease *lease)
{
	lease->released = true;
	leases_close(&s->leases, lease, core_now(s));
	pump(s);
}

struct lease *is_up_(struct story *s, int line, natpmp_protocol protocol, uint16_t port,
		     uint16_t external, uint32_t lifetime)
{
	uint64_t at = s->now;
	bool both = protocol == NATPMP_TCP_UDP;
	bool asks_where = !s->leases.address_settled;
	struct lease *lease = holds(s, protocol, port, 0, lifetime);

	asks_(s, line, at, both ? NATPMP_UDP : protocol, port, port, lifetime);
	grants(s, external, lifetime);
	if (asks_where) {
		sends_(s, line, at, "00 00");
		tells_address(s, ADDRESS);
	}
	if (both) {
		asks_(s, line, at, NATPMP_TCP, port, external, lifetime);
		grants(s, external, lifetime);
	}
	happens_(s, line, at, lease, NATPMP_OK, external);
	return lease;
}

/* --- what is sent --- */

struct sent sends_something_(struct story *s, int line)
{
	while (s->sent_told == s->sent_count)
		REQUIRE(wake(s, s->now + 24 * HOUR), "line %d: nothing more is sent", line);
	return s->sent[s->sent_told++];
}

static void told(struct story *s, int line, uint64_t at, const uint8_t *bytes, size_t len)
{
	struct sent sent = sends_something_(s, line);
	char wanted[HEX_MAX], is[HEX_MAX];

	REQUIRE(sent.at == at && sent.len == len && memcmp(sent.bytes, bytes, len) == 0,
		"line %d: expected at %" PRIu64 ": %s but sent at %" PRIu64 ": %s", line, at,
		to_hex(bytes, len, wanted), sent.at, to_hex(sent.bytes, sent.len, is));
}

void sends_(struct story *s, int line, uint64_t at, const char *hex)
{
	uint8_t bytes[WIRE_REQUEST_MAX];
	size_t len = from_hex(hex, 0, bytes, sizeof(bytes));

	told(s, line, at, bytes, len);
}

void asks_(struct story *s, int line, uint64_t at, natpmp_protocol protocol, uint16_t internal,
	   uint16_t external, uint32_t lifetime)
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

void repeats_(struct story *s, int line, unsigned count)
{
	struct sent first = s->sent[s->sent_told - 1];
	uint64_t at = first.at;

	for (unsigned i = 0; i < count; i++) {
		at += 250U << i;
		told(s, line, at, first.bytes, first.len);
	}
}

/* --- the gateway --- */

uint32_t gateway_clock(const struct story *s)
{
	return (uint32_t)(s->clock_at_0 + (int64_t)(s->now / 1000));
}

void reboots(struct story *s)
{
	s->clock_at_0 = -(int64_t)(s->now / 1000);
}

static void arrives(struct story *s, const uint8_t *bytes, size_t len)
{
	leases_input(&s->leases, core_now(s), bytes, len);
	pump(s);
}

static void put32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (24 - 8 * i));
}

void answers(struct story *s, const struct sent *request, uint16_t result, uint16_t external_port,
	     uint32_t lifetime)
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

	put32(bytes + 4, gateway_clock(s));
	put32(bytes + 12, lifetime);
	arrives(s, bytes, sizeof(bytes));
}

static struct sent last_told(const struct story *s)
{
	REQUIRE(s->sent_told > 0, "an answer to nothing");
	return s->sent[s->sent_told - 1];
}

void grants(struct story *s, uint16_t external_port, uint32_t lifetime)
{
	struct sent request = last_told(s);

	answers(s, &request, 0, external_port, lifetime);
}

void confirms(struct story *s)
{
	grants(s, 0, 0);
}

static void answer_address(struct story *s, uint16_t result, uint32_t address)
{
	uint8_t bytes[12] = {[1] = 0x80, (uint8_t)(result >> 8), (uint8_t)result};

	put32(bytes + 4, gateway_clock(s));
	put32(bytes + 8, address);
	arrives(s, bytes, sizeof(bytes));
}

void refuses(struct story *s, uint16_t result)
{
	struct sent request = last_told(s);

	if (request.len == 2)
		answer_address(s, result, 0);
	else
		answers(s, &request, result, 0, 0);
}

void tells_address(struct story *s, uint32_t address)
{
	answer_address(s, 0, address);
}

void says(struct story *s, const char *hex)
{
	uint8_t bytes[WIRE_ANSWER_MAX];

	arrives(s, bytes, from_hex(hex, gateway_clock(s), bytes, sizeof(bytes)));
}

void announces(struct story *s, const char *hex)
{
	uint8_t bytes[WIRE_ANSWER_MAX];
	size_t len = from_hex(hex, gateway_clock(s), bytes, sizeof(bytes));

	leases_announcement(&s->leases, core_now(s), bytes, len);
	pump(s);
}

void bounces(struct story *s, int status)
{
	struct sent request = last_told(s);

	engine_icmp(&s->leases.engine, core_now(s), request.bytes, request.len, status);
	pump(s);
}

void links(struct story *s, int status, uint32_t own_address)
{
	uint8_t bytes[WIRE_REQUEST_MAX];
	size_t len;

	while ((len = leases_farewell(&s->leases, bytes)) > 0)
		note_sent(s, bytes, len);
	leases_relink(&s->leases, core_now(s), status, own_address);
	pump(s);
}

void obliging(struct story *s, const struct sent *sent)
{
	uint16_t internal = (uint16_t)(sent->bytes[4] << 8 | sent->bytes[5]);
	uint16_t suggested = (uint16_t)(sent->bytes[6] << 8 | sent->bytes[7]);
	uint32_t lifetime = (uint32_t)(sent->bytes[8] << 24 | sent->bytes[9] << 16 |
				       sent->bytes[10] << 8 | sent->bytes[11]);

	if (sent->len == 2)
		tells_address(s, ADDRESS);
	else
		answers(s, sent, 0, !lifetime ? 0 : suggested ? suggested : internal, lifetime);
}

void is_obliging(struct story *s, uint64_t delay, uint64_t until)
{
	while (s->now < until) {
		if (s->sent_told == s->sent_count) {
			wake(s, until);
			continue;
		}
		struct sent sent = s->sent[s->sent_told++];
		runs_until(s, s->now + delay);
		obliging(s, &sent);
	}
}

/* --- events --- */

struct event happens_(struct story *s, int line, uint64_t at, const struct lease *lease, int status,
		      int port)
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
