/* SPDX-License-Identifier: MIT */
/* One gateway, one request at a time: RFC 6886 sections 3.1 and 3.5. */
#include "core/engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "natpmpc.h"
#include "story.h"
#include "suite.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { CALM = 5000000, REQUESTS = 40 };

struct bench {
	struct engine engine;
	struct request requests[REQUESTS];
	uint64_t began, now;
	uint8_t bytes[WIRE_REQUEST_MAX]; /* sent last */
	size_t len;
};

static void set_up(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	b->began = b->now = CALM;
	engine_init(&b->engine);
	ck_assert(heap_reserve(&b->engine.queue, REQUESTS));
	engine_relink(&b->engine, NATPMP_OK, OWN);
}

static void tear_down(struct bench *b)
{
	engine_free(&b->engine);
}

/* A TCP map request for that port. */
static struct request *submit(struct bench *b, int i, uint16_t port)
{
	b->requests[i].wire = (struct wire_request){WIRE_MAP_TCP, port, port, 7200};
	b->requests[i].due = b->now + 100000;
	engine_submit(&b->engine, &b->requests[i], false);
	return &b->requests[i];
}

static bool send_now(struct bench *b)
{
	uint8_t bytes[WIRE_REQUEST_MAX];
	size_t len = engine_output(&b->engine, b->now, bytes);

	if (!len)
		return false;
	memcpy(b->bytes, bytes, len);
	b->len = len;
	return true;
}

/* When is something sent next, ms since the beginning? NEVER: not within an hour. */
static uint64_t next_send(struct bench *b)
{
	uint64_t limit = b->now + HOUR;

	while (!send_now(b)) {
		uint64_t at = engine_deadline(&b->engine);
		if (at > limit)
			return NEVER;
		ck_assert_msg(at > b->now, "a deadline in the past: %" PRIu64, at - b->began);
		b->now = at;
	}
	return b->now - b->began;
}

static uint16_t port_sent(const struct bench *b)
{
	return (uint16_t)(b->bytes[4] << 8 | b->bytes[5]);
}

static void input(struct bench *b, const char *hex)
{
	uint8_t bytes[WIRE_ANSWER_MAX];
	size_t len = from_hex(hex, (uint32_t)(b->now / 1000), bytes, sizeof(bytes));

	engine_input(&b->engine, b->now, bytes, len);
}

static void announce(struct bench *b, const char *hex)
{
	uint8_t bytes[WIRE_ANSWER_MAX];
	size_t len = from_hex(hex, (uint32_t)(b->now / 1000), bytes, sizeof(bytes));

	engine_announcement(&b->engine, b->now, bytes, len);
}

/* An answer to a TCP request of that port. */
static void answer(struct bench *b, uint16_t port, uint16_t result)
{
	char hex[64];

	snprintf(hex, sizeof(hex), "0082%04x########%04x%04x%08x", result, port, result ? 0 : port,
		 result ? 0 : 7200U);
	input(b, hex);
}

static void at(struct bench *b, uint64_t ms)
{
	b->now = b->began + ms;
}

#define ended_is(b, request, why) ended_is_(b, __LINE__, request, why)
static void ended_is_(struct bench *b, int line, const struct request *request, int status)
{
	const struct request *ended = engine_ended(&b->engine);

	ck_assert_msg(ended == request, "line %d: %s", line, ended ? "another request" : "nothing");
	ck_assert_msg(ended->status == status, "line %d: status %d", line, ended->status);
	ck_assert_int_eq(ended->state, REQUEST_IDLE);
}

#define none_ended(b)   ck_assert_ptr_null(engine_ended(&(b)->engine))
#define sends_at(b, ms) ck_assert_uint_eq(next_send(b), ms)

static const uint64_t series[] = {0, 250, 750, 1750, 3750, 7750, 15750, 31750, 63750};
enum { SERIES_END = 127750 };

/* --- retransmission --- */

START_TEST(N7_send_times)
{
	struct bench b;

	set_up(&b);
	const struct request *request = submit(&b, 0, 80);
	for (size_t i = 0; i < COUNT(series); i++) {
		none_ended(&b);
		sends_at(&b, series[i]);
	}
	ck_assert_uint_eq(engine_deadline(&b.engine), b.began + SERIES_END);
	at(&b, SERIES_END - 1);
	ck_assert(!send_now(&b));
	none_ended(&b);
	at(&b, SERIES_END);
	ck_assert(!send_now(&b));
	ended_is(&b, request, NATPMP_E_NO_SERVICE);
	ck_assert_uint_eq(engine_deadline(&b.engine), NEVER);
	tear_down(&b);
}

START_TEST(N54_address_request_has_its_own_series)
{
	struct bench b;

	set_up(&b);
	b.requests[0].wire.opcode = WIRE_ADDRESS;
	engine_submit(&b.engine, &b.requests[0], true);
	for (size_t i = 0; i < COUNT(series); i++) {
		sends_at(&b, series[i]);
		ck_assert_uint_eq(b.len, 2);
		ck_assert_mem_eq(b.bytes, "\0\0", 2);
	}
	ck_assert_uint_eq(next_send(&b), NEVER);
	ended_is(&b, &b.requests[0], NATPMP_E_NO_SERVICE);
	tear_down(&b);
}

START_TEST(N6_retransmissions_are_identical)
{
	struct bench b;
	uint8_t first[WIRE_REQUEST_MAX];

	set_up(&b);
	submit(&b, 0, 80);
	next_send(&b);
	memcpy(first, b.bytes, b.len);
	for (size_t i = 1; i < COUNT(series); i++) {
		memset(b.bytes, 0, sizeof(b.bytes));
		next_send(&b);
		ck_assert_uint_eq(b.len, 12);
		ck_assert_mem_eq(b.bytes, first, 12);
	}
	tear_down(&b);
}

/* Packets that are no answer, a few ms apart for two minutes. */
START_TEST(N8_junk_neither_resets_nor_consumes_a_step)
{
	static const char *const junk[] = {
		"",
		"00",
		"00 82 00 00 00 01 51 82 00 50 00",
		"00 02 00 00 00 50 00 50 00 00 1c 20",
		"00 81 00 00 ## ## ## ## 00 50 00 50 00 00 1c 20",
		"00 82 00 00 ## ## ## ## 00 51 00 51 00 00 1c 20",
		"00 82 00 04 ## ## ## ## 00 51 00 00 00 00 00 00",
		"00 80 00 03 ## ## ## ## 00 00 00 00",
		"00 83 00 05 00 50 00 50 00 00 1c 20",
		"00 81 00 05",
		"03 80 00 01 00 00 07 08",
		"02 80 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
	};
	struct bench b;
	size_t sent = 0;

	set_up(&b);
	submit(&b, 0, 80);
	for (uint64_t ms = 0; ms < SERIES_END; ms += 50) {
		at(&b, ms);
		for (; send_now(&b); sent++)
			ck_assert_uint_eq(ms, series[sent]);
		input(&b, junk[ms / 50 % COUNT(junk)]);
		none_ended(&b);
	}
	ck_assert_uint_eq(sent, COUNT(series));
	tear_down(&b);
}

START_TEST(N8_late_wake_ups_do_not_stretch_the_series)
{
	struct bench b;

	set_up(&b);
	submit(&b, 0, 80);
	sends_at(&b, 0);
	for (size_t i = 1; i < COUNT(series); i++) {
		ck_assert_uint_eq(engine_deadline(&b.engine), b.began + series[i]);
		at(&b, series[i] + 20 * i);
		ck_assert(send_now(&b));
		ck_assert(!send_now(&b));
	}
	ck_assert_uint_eq(engine_deadline(&b.engine), b.began + SERIES_END);
	tear_down(&b);
}

START_TEST(N8_missed_steps_are_not_made_up_for)
{
	struct bench b;

	set_up(&b);
	const struct request *request = submit(&b, 0, 80);
	sends_at(&b, 0);
	at(&b, 5000);
	ck_assert(send_now(&b));
	ck_assert(!send_now(&b));
	sends_at(&b, 7750);
	at(&b, SERIES_END + 1000); /* asleep until after its end */
	ck_assert(!send_now(&b));
	/* Nobody knows whether there is a service: only three were sent. */
	ended_is(&b, request, NATPMP_E_TIMEOUT);
	tear_down(&b);
}

/* --- ICMP --- */

static void bounce(struct bench *b, int status)
{
	engine_icmp(&b->engine, b->now, b->bytes, b->len, status);
}

START_TEST(N9_port_unreachable_ends_at_once)
{
	struct bench b;

	set_up(&b);
	const struct request *request = submit(&b, 0, 80);
	sends_at(&b, 0);
	bounce(&b, NATPMP_E_REFUSED);
	ended_is(&b, request, NATPMP_E_REFUSED);
	ck_assert(!send_now(&b));
	bounce(&b, NATPMP_E_REFUSED); /* for the same packet once more */
	none_ended(&b);
	tear_down(&b);
}

/* It may come when the next request is on its way already. */
START_TEST(H3_port_unreachable_counts_for_the_very_request_only)
{
	struct bench b;
	uint8_t first[WIRE_REQUEST_MAX];

	set_up(&b);
	struct request *one = submit(&b, 0, 80);
	sends_at(&b, 0);
	memcpy(first, b.bytes, sizeof(first));
	engine_cancel(&b.engine, one);
	const struct request *two = submit(&b, 1, 81);
	sends_at(&b, 0);
	engine_icmp(&b.engine, b.now, first, 12, NATPMP_E_REFUSED);
	none_ended(&b);
	for (size_t i = 1; i < COUNT(series); i++) /* and no send of the second one is lost */
		sends_at(&b, series[i]);
	bounce(&b, NATPMP_E_REFUSED);
	ended_is(&b, two, NATPMP_E_REFUSED);
	tear_down(&b);
}

/* RFC 792 has routers quote 8 bytes behind the IP header, none of them ours; RFC 4884 has them
 * pad what they quote. */
START_TEST(N9_port_unreachable_with_any_quote)
{
	static const size_t quoted[] = {0, 4, 11, 128};

	for (size_t i = 0; i < COUNT(quoted); i++) {
		struct bench b;
		uint8_t quote[128] = {0};

		set_up(&b);
		const struct request *one = submit(&b, 0, 80);
		sends_at(&b, 0);
		memcpy(quote, b.bytes, 12);
		engine_icmp(&b.engine, b.now, quote, quoted[i], NATPMP_E_REFUSED);
		ended_is(&b, one, NATPMP_E_REFUSED);
		tear_down(&b);
	}
}

/* The gateway refused a PCP question twice, once too late: no verdict on what came after. */
START_TEST(N16_late_refusal_of_a_pcp_question)
{
	struct bench b;

	set_up(&b);
	struct request *pcp = submit(&b, 0, 0);
	pcp->wire = (struct wire_request){.opcode = WIRE_PCP_ANNOUNCE};
	sends_at(&b, 0);
	input(&b, "00 80 00 01 ## ## ## ##");
	ended_is(&b, pcp, NATPMP_E_VERSION);
	const struct request *map = submit(&b, 1, 80);
	sends_at(&b, 0);
	input(&b, "00 80 00 01 ## ## ## ##");
	none_ended(&b);
	answer(&b, 80, 0);
	ended_is(&b, map, NATPMP_OK);

	/* and the other way round: a PCP server's late refusal of version 0 */
	pcp = submit(&b, 0, 0);
	pcp->wire = (struct wire_request){.opcode = WIRE_PCP_ANNOUNCE};
	sends_at(&b, 0);
	input(&b, "02 80 00 01 00 00 07 08 00 00 02 2b 00 00 00 00 00 00 00 00 00 00 00 00");
	none_ended(&b);
	tear_down(&b);
}

START_TEST(N10_other_icmp_is_a_hint_only)
{
	struct bench b;

	set_up(&b);
	const struct request *request = submit(&b, 0, 80);
	for (size_t i = 0; i < COUNT(series); i++) {
		sends_at(&b, series[i]);
		bounce(&b, NATPMP_E_UNREACHABLE);
		none_ended(&b);
	}
	ck_assert_uint_eq(next_send(&b), NEVER);
	ended_is(&b, request, NATPMP_E_UNREACHABLE);

	submit(&b, 0, 80); /* and with an answer in the end: as if nothing had been */
	next_send(&b);
	bounce(&b, NATPMP_E_UNREACHABLE);
	next_send(&b);
	answer(&b, 80, 0);
	ended_is(&b, request, NATPMP_OK);
	tear_down(&b);
}

/* --- one at a time --- */

START_TEST(N5_one_request_at_a_time)
{
	struct bench b;
	uint16_t open = 0; /* the port asked for and not answered */
	uint64_t asked_at = 0;
	int answered = 0, sent = 0;

	set_up(&b);
	for (int i = 0; i < 20; i++)
		submit(&b, i, (uint16_t)(1000 + i));
	for (uint64_t ms = 0; answered < 20; ms++) {
		at(&b, ms);
		for (; send_now(&b); sent++) {
			if (!open)
				asked_at = ms;
			ck_assert_msg(!open || open == port_sent(&b), "%u and %u", open,
				      port_sent(&b));
			open = port_sent(&b);
		}
		if (open && ms == asked_at + 300) {
			answer(&b, open, 0);
			ck_assert_uint_eq(engine_ended(&b.engine)->wire.internal_port, open);
			open = 0;
			answered++;
		}
		ck_assert_uint_lt(ms, 20 * 301);
	}
	ck_assert_int_eq(sent, 40); /* each at 0 and at 250 ms */
	tear_down(&b);
}

START_TEST(N5_a_silent_one_gives_way_after_five_sends)
{
	struct bench b;

	set_up(&b);
	const struct request *one = submit(&b, 0, 80);
	const struct request *two = submit(&b, 1, 81);
	for (size_t i = 0; i < 5; i++) {
		sends_at(&b, series[i]);
		ck_assert_uint_eq(port_sent(&b), 80);
	}
	input(&b, "00 82 00 00 ## ## ## ## 00 07 00 07 00 00 1c 20"); /* it lives */
	sends_at(&b, 7750);
	ck_assert_uint_eq(port_sent(&b), 81);
	ended_is(&b, one, NATPMP_E_TIMEOUT);
	answer(&b, 81, 0);
	ended_is(&b, two, NATPMP_OK);
	tear_down(&b);
}

/* Alone for long, and then somebody comes: no further send is waited for. */
START_TEST(N5_a_newcomer_does_not_wait_for_a_silent_one)
{
	struct bench b;

	set_up(&b);
	submit(&b, 0, 80);
	for (size_t i = 0; i < 7; i++)
		sends_at(&b, series[i]);
	at(&b, 20000);
	submit(&b, 1, 81);
	engine_submit(&b.engine, &b.requests[1], true);
	ck_assert_uint_le(engine_deadline(&b.engine), b.now);
	ck_assert(send_now(&b));
	ended_is(&b, &b.requests[0], NATPMP_E_TIMEOUT);
	ck_assert_uint_eq(port_sent(&b), 81);
	tear_down(&b);
}

START_TEST(N5_the_soonest_due_goes_first)
{
	static const struct {
		uint64_t due;
	} given[] = {{500}, {100}, {300}, {100}};
	static const uint16_t order[] = {1, 3, 2, 0};
	struct bench b;

	set_up(&b);
	for (size_t i = 0; i < COUNT(given); i++) {
		b.requests[i].wire = (struct wire_request){WIRE_MAP_TCP, (uint16_t)i, 7, 7};
		b.requests[i].due = given[i].due;
		engine_submit(&b.engine, &b.requests[i], false);
	}
	for (size_t i = 0; i < COUNT(order); i++) {
		sends_at(&b, 0);
		ck_assert_uint_eq(port_sent(&b), order[i]);
		answer(&b, order[i], 4);
		ended_is(&b, &b.requests[order[i]], NATPMP_E_NO_RESOURCES);
	}
	tear_down(&b);
}

START_TEST(N5_cancelled_in_any_state)
{
	struct bench b;

	set_up(&b);
	for (int i = 0; i < 4; i++)
		submit(&b, i, (uint16_t)(80 + i));
	sends_at(&b, 0);
	engine_cancel(&b.engine, &b.requests[2]); /* queued */
	engine_cancel(&b.engine, &b.requests[2]); /* idle */
	engine_cancel(&b.engine, &b.requests[0]); /* in flight */
	answer(&b, 80, 0);
	none_ended(&b);
	sends_at(&b, 0);
	ck_assert_uint_eq(port_sent(&b), 81);
	answer(&b, 81, 0);
	sends_at(&b, 0);
	answer(&b, 83, 0);
	engine_cancel(&b.engine, &b.requests[3]); /* ended, last and then first in the list */
	submit(&b, 0, 84);
	sends_at(&b, 0);
	answer(&b, 84, 2);
	engine_cancel(&b.engine, &b.requests[1]);
	ended_is(&b, &b.requests[0], NATPMP_E_NOT_AUTHORIZED);
	none_ended(&b);
	ck_assert_uint_eq(engine_deadline(&b.engine), NEVER);
	tear_down(&b);
}

/* --- a gateway that is not there --- */

/* Refused over and over: 1 s, 2 s, ... 64 s between tries, and forgotten with any packet. */
START_TEST(N11_pauses_grow_and_end_with_any_packet)
{
	struct bench b;
	uint64_t expected = 0;

	set_up(&b);
	for (unsigned i = 0; i < 10; i++) {
		submit(&b, 0, 80);
		sends_at(&b, expected);
		bounce(&b, NATPMP_E_REFUSED);
		ended_is(&b, &b.requests[0], NATPMP_E_REFUSED);
		expected += i < 6 ? 1000U << i : 64000;
	}
	submit(&b, 0, 80);
	b.now += 10000;
	ck_assert(!send_now(&b));
	input(&b, "00 80 00 00 ## ## ## ## cb 00 71 05");
	ck_assert(send_now(&b));
	bounce(&b, NATPMP_E_REFUSED);
	expected = b.now - b.began + 1000; /* from the beginning again */
	submit(&b, 0, 80);
	sends_at(&b, expected);
	bounce(&b, NATPMP_E_REFUSED);

	submit(&b, 0, 80); /* an announcement does it, too */
	b.now += 500;
	ck_assert(!send_now(&b));
	announce(&b, "00 80 00 00 ## ## ## ## cb 00 71 05");
	ck_assert(send_now(&b));
	bounce(&b, NATPMP_E_REFUSED);

	b.requests[1].wire = (struct wire_request){WIRE_MAP_TCP, 81, 81, 60};
	engine_submit(&b.engine, &b.requests[1], true); /* and so does somebody who just asked */
	ck_assert(send_now(&b));
	bounce(&b, NATPMP_E_REFUSED);
	submit(&b, 0, 80);
	engine_relink(&b.engine, NATPMP_OK, OWN); /* and another link */
	ck_assert(send_now(&b));
	tear_down(&b);
}

START_TEST(N11_silence_pauses_too)
{
	struct bench b;

	set_up(&b);
	for (int i = 0; i < 12; i++)
		submit(&b, i, (uint16_t)(80 + i));
	/* Five sends each. 1 s, 2 s, 4 s from the last of them on are over when the next one's turn
	 * comes; 8 s and more are not. */
	uint64_t begins = 0, pause = 1000;
	for (int turn = 0; turn < 10; turn++) {
		for (size_t i = 0; i < 5; i++)
			sends_at(&b, begins + series[i]);
		ck_assert_uint_eq(port_sent(&b), 80U + (unsigned)turn);
		/* one silent question may be that question only */
		ck_assert_int_eq(b.engine.reach, turn < 2 ? NATPMP_PENDING : NATPMP_E_TIMEOUT);
		begins += pause < 8000 ? 7750 : 3750 + pause;
		pause = pause < 64000 ? 2 * pause : 64000;
	}
	sends_at(&b, begins);
	answer(&b, 90, 0);
	ck_assert_int_eq(b.engine.reach, NATPMP_OK);
	sends_at(&b, begins); /* no pause any more */
	tear_down(&b);
}

/* --- whose answer is that? --- */

START_TEST(N15_opcode_is_the_requests)
{
	struct bench b;

	set_up(&b);
	submit(&b, 0, 80);
	b.requests[0].wire.opcode = WIRE_MAP_UDP;
	sends_at(&b, 0);
	answer(&b, 80, 0); /* 130 */
	answer(&b, 80, 2);
	input(&b, "00 80 00 00 ## ## ## ## cb 00 71 05");
	none_ended(&b);
	input(&b, "00 81 00 00 ## ## ## ## 00 50 00 50 00 00 1c 20");
	ended_is(&b, &b.requests[0], NATPMP_OK);
	ck_assert_uint_eq(b.requests[0].answer.external_port, 80);
	ck_assert_uint_eq(b.requests[0].answer.lifetime, 7200);
	tear_down(&b);
}

START_TEST(N16_late_answers_to_earlier_requests)
{
	static const uint16_t results[] = {0, 2, 3, 4, 9};
	struct bench b;

	set_up(&b);
	submit(&b, 0, 80);
	const struct request *two = submit(&b, 1, 81);
	do
		next_send(&b);
	while (port_sent(&b) == 80);
	ended_is(&b, &b.requests[0], NATPMP_E_TIMEOUT);
	uint64_t second = b.now - b.began;
	for (size_t i = 0; i < COUNT(results); i++) {
		answer(&b, 80, results[i]);
		none_ended(&b);
	}
	sends_at(&b, second + 250); /* goes on */
	answer(&b, 81, 0);
	ended_is(&b, two, NATPMP_OK);
	answer(&b, 81, 4); /* a duplicate that says something else */
	none_ended(&b);
	tear_down(&b);
}

/* There is no transaction id; but success with lifetime 0 is one of a deletion only. */
START_TEST(N16_answers_to_creation_and_deletion_are_told_apart)
{
	struct bench b;

	set_up(&b);
	struct request *request = submit(&b, 0, 80);
	sends_at(&b, 0);
	input(&b, "00 82 00 00 ## ## ## ## 00 50 00 00 00 00 00 00"); /* of a deletion before */
	none_ended(&b);
	answer(&b, 80, 0);
	ended_is(&b, request, NATPMP_OK);

	request->wire.lifetime = 0;
	engine_submit(&b.engine, request, false);
	ck_assert(send_now(&b));
	answer(&b, 80, 0); /* of the creation, again */
	none_ended(&b);
	input(&b, "00 82 00 00 ## ## ## ## 00 50 00 00 00 00 00 00");
	ended_is(&b, request, NATPMP_OK);
	tear_down(&b);
}

START_TEST(N19_result_codes)
{
	static const struct {
		uint16_t result;
		int status;
	} table[] = {
		{0, NATPMP_OK},
		{2, NATPMP_E_NOT_AUTHORIZED},
		{3, NATPMP_E_NETWORK_FAILURE},
		{4, NATPMP_E_NO_RESOURCES},
		{6, NATPMP_E_RESULT},
		{255, NATPMP_E_RESULT},
		{256, NATPMP_E_RESULT},
		{257, NATPMP_E_RESULT},
		{65535, NATPMP_E_RESULT},
		{1, NATPMP_E_VERSION},
		{5, NATPMP_E_OPCODE},
	};
	struct bench b;

	set_up(&b);
	for (size_t i = 0; i < COUNT(table); i++) {
		submit(&b, 0, 80);
		sends_at(&b, 0);
		answer(&b, 80, table[i].result);
		ended_is(&b, &b.requests[0], table[i].status);
		ck_assert_int_eq(b.engine.reach, NATPMP_OK);
	}
	tear_down(&b);
}

START_TEST(N18_error_fields_do_not_leak)
{
	struct bench b;

	set_up(&b);
	submit(&b, 0, 80);
	sends_at(&b, 0);
	input(&b, "00 82 00 02 ## ## ## ## 00 50 c8 22 00 00 1c 20");
	ended_is(&b, &b.requests[0], NATPMP_E_NOT_AUTHORIZED);
	ck_assert_uint_eq(b.requests[0].answer.external_port, 0);
	ck_assert_uint_eq(b.requests[0].answer.lifetime, 0);
	tear_down(&b);
}

/* An unsupported opcode names the opcode, an unsupported version nothing at all. */
START_TEST(N16_answers_without_a_port)
{
	static const char *const versions[] = {
		"00 80 00 01 ## ## ## ##",
		"00 00 00 01 ## ## ## ##",
		"00 81 00 01 ## ## ## ##",
		"02 82 00 01 00 00 07 08 00 00 02 2b",
		"02 80 00 01 00 00 07 08 00 00 02 2b 00 00 00 00 00 00 00 00 00 00 00 00",
	};
	struct bench b;

	set_up(&b);
	submit(&b, 0, 80);
	sends_at(&b, 0);
	input(&b, "00 81 00 05 00 50 00 50 00 00 1c 20");
	input(&b, "00 80 00 05");
	none_ended(&b);
	input(&b, "00 82 00 05 00 50 00 50 00 00 1c 20");
	ended_is(&b, &b.requests[0], NATPMP_E_OPCODE);
	for (size_t i = 0; i < COUNT(versions); i++) {
		submit(&b, 0, 80);
		sends_at(&b, 0);
		input(&b, versions[i]);
		ended_is(&b, &b.requests[0], NATPMP_E_VERSION);
		input(&b, versions[i]); /* to nothing */
		none_ended(&b);
	}
	tear_down(&b);
}

START_TEST(N23_success_with_port_or_lifetime_zero_is_none)
{
	struct bench b;

	set_up(&b);
	submit(&b, 0, 80);
	for (size_t i = 0; i < COUNT(series); i++) {
		sends_at(&b, series[i]);
		input(&b, i % 2 ? "00 82 00 00 ## ## ## ## 00 50 00 00 00 00 1c 20"
				: "00 82 00 00 ## ## ## ## 00 50 00 50 00 00 00 00");
		none_ended(&b);
	}
	ck_assert_uint_eq(next_send(&b), NEVER);
	ended_is(&b, &b.requests[0], NATPMP_E_BAD_ANSWER);
	tear_down(&b);
}

START_TEST(N20_prefixes_of_a_good_answer_then_the_answer)
{
	uint8_t bytes[16];
	struct bench b;

	set_up(&b);
	submit(&b, 0, 80);
	sends_at(&b, 0);
	from_hex("00 82 00 00 00 01 51 82 00 50 c8 22 00 00 1c 20", 0, bytes, sizeof(bytes));
	for (size_t len = 0; len < 16; len++) {
		engine_input(&b.engine, b.now, bytes, len);
		none_ended(&b);
		ck_assert(!b.engine.epoch.known);
	}
	engine_input(&b.engine, b.now, bytes, 16);
	ended_is(&b, &b.requests[0], NATPMP_OK);
	tear_down(&b);
}

START_TEST(vpn_answers_may_name_port_0_or_the_external_one)
{
	struct bench b;

	set_up(&b);
	submit(&b, 0, 0);
	b.requests[0].any_port = true;
	sends_at(&b, 0);
	input(&b, "00 82 00 00 ## ## ## ## 00 07 93 51 00 00 00 3c");
	none_ended(&b);
	input(&b, "00 82 00 00 ## ## ## ## 00 00 93 51 00 00 00 3c");
	ended_is(&b, &b.requests[0], NATPMP_OK);
	engine_submit(&b.engine, &b.requests[0], false);
	sends_at(&b, 0);
	input(&b, "00 82 00 00 ## ## ## ## 93 51 93 51 00 00 00 3c");
	ended_is(&b, &b.requests[0], NATPMP_OK);
	engine_submit(&b.engine, &b.requests[0], false);
	sends_at(&b, 0);
	input(&b, "00 82 00 04 ## ## ## ## 00 00 00 00 00 00 00 00");
	ended_is(&b, &b.requests[0], NATPMP_E_NO_RESOURCES);

	b.requests[0].any_port = false; /* strict, as always without that option */
	b.requests[0].wire.internal_port = 80;
	engine_submit(&b.engine, &b.requests[0], false);
	sends_at(&b, 0);
	input(&b, "00 82 00 00 ## ## ## ## 93 51 93 51 00 00 00 3c");
	input(&b, "00 82 00 00 ## ## ## ## 00 00 93 51 00 00 00 3c");
	none_ended(&b);
	tear_down(&b);
}

/* --- is PCP spoken? --- */

START_TEST(pcp_question_is_answered_by_pcp_only)
{
	static const struct {
		const char *hex;
		int status;
	} answers[] = {
		{"02 80 00 00 00 00 00 00 00 00 00 3f 00 00 00 00 00 00 00 00 00 00 00 00",
		 NATPMP_OK},
		{"00 80 00 01 ## ## ## ##", NATPMP_E_VERSION},
		{"00 00 00 01 ## ## ## ##", NATPMP_E_VERSION},
	};
	struct bench b;

	set_up(&b);
	for (size_t i = 0; i < COUNT(answers); i++) {
		b.requests[0].wire = (struct wire_request){.opcode = WIRE_PCP_ANNOUNCE};
		engine_submit(&b.engine, &b.requests[0], true);
		sends_at(&b, 0);
		ck_assert_uint_eq(b.len, 24);
		ck_assert_uint_eq(b.bytes[0], 2);
		ck_assert_mem_eq(b.bytes + 20, "\xc0\xa8\x01\x0a", 4);
		input(&b, "00 80 00 00 ## ## ## ## cb 00 71 05");
		input(&b, "00 82 00 00 ## ## ## ## 00 50 00 50 00 00 1c 20");
		none_ended(&b);
		input(&b, answers[i].hex);
		ended_is(&b, &b.requests[0], answers[i].status);
	}
	tear_down(&b);
}

/* --- the gateway's clock --- */

static void jump_in(const char *packet, bool announced, bool seen)
{
	struct bench b;

	set_up(&b);
	input(&b, "00 80 00 00 00 01 51 80 cb 00 71 05");
	unsigned before = b.engine.generation;
	b.now += 1000;
	submit(&b, 0, 80);
	ck_assert(send_now(&b));
	(announced ? announce : input)(&b, packet);
	ck_assert_msg(b.engine.generation == before + seen, "%s", packet);
	if (!seen) { /* and it was not stored either */
		input(&b, "00 80 00 00 00 01 51 81 cb 00 71 05");
		ck_assert_msg(b.engine.generation == before, "after %s", packet);
	}
	tear_down(&b);
}

START_TEST(N41_clock_is_seen_in_every_packet)
{
	jump_in("00 82 00 00 00 00 00 05 00 50 00 50 00 00 1c 20", false, true); /* the answer */
	jump_in("00 82 00 04 00 00 00 05 00 50 00 00 00 00 00 00", false, true); /* an error */
	jump_in("00 82 00 00 00 00 00 05 00 07 00 07 00 00 1c 20", false, true); /* unmatched */
	jump_in("00 81 00 02 00 00 00 05 00 07 00 00 00 00 00 00", false, true);
	jump_in("00 80 00 00 00 00 00 05 cb 00 71 05", false, true); /* not asked for */
	jump_in("00 80 00 03 00 00 00 05", false, true);
	jump_in("00 80 00 01 00 00 00 05", false, true); /* unsupported version, in its forms */
	jump_in("00 00 00 01 00 00 00 05", false, true);
	jump_in("00 80 00 00 00 00 00 05 cb 00 71 05", true, true); /* announced */
	jump_in("00 80 00 03 00 00 00 05 00 00 00 00", true, true);
}

START_TEST(N43_no_clock_in_these_packets)
{
	jump_in("00 83 00 05 00 00 00 05 00 00 1c 20", false, false);
	jump_in("00 82 00 05 00 00 00 05", false, false);
	jump_in("02 80 00 01 00 00 07 08 00 00 02 2b 00 00 00 00 00 00 00 00 00 00 00 00", false,
		false);
	jump_in("02 80 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00", false,
		false);
	jump_in("02 80 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00", true,
		false);
	jump_in("00 82 00 00 00 00 00", false, false);
	jump_in("00 80 00 00 00 00 00 05 cb 00 71", false, false);
	jump_in("01 80 00 00 00 00 00 05 cb 00 71 05", false, false);
}

START_TEST(N52_only_address_answers_are_announcements)
{
	jump_in("00 82 00 00 00 00 00 05 00 50 00 50 00 00 1c 20", true, false);
	jump_in("00 82 00 04 00 00 00 05 00 50 00 00 00 00 00 00", true, false);
	jump_in("00 80 00 01 00 00 00 05", true, false);
	jump_in("00 83 00 05 00 00 00 05", true, false);

	struct bench b; /* and none of them ends a request */
	set_up(&b);
	submit(&b, 0, 80);
	b.requests[1].wire.opcode = WIRE_ADDRESS;
	sends_at(&b, 0);
	announce(&b, "00 82 00 00 ## ## ## ## 00 50 00 50 00 00 1c 20");
	announce(&b, "00 82 00 05 ## ## ## ##");
	announce(&b, "00 80 00 01 ## ## ## ##");
	none_ended(&b);
	tear_down(&b);
}

START_TEST(N42_state_is_of_one_gateway)
{
	struct bench b;

	set_up(&b);
	input(&b, "00 80 00 00 00 01 51 80 cb 00 71 05");
	unsigned before = b.engine.generation;
	engine_relink(&b.engine, NATPMP_OK, OWN);
	ck_assert_uint_ne(b.engine.generation, before); /* it knows nothing of us, ... */
	before = b.engine.generation;
	input(&b, "00 80 00 00 00 00 00 05 cb 00 71 05"); /* ... and has a clock of its own */
	ck_assert_uint_eq(b.engine.generation, before);
	tear_down(&b);
}

/* --- another link --- */

START_TEST(H5_relink_sends_again_what_was_in_flight)
{
	struct bench b;

	set_up(&b);
	const struct request *one = submit(&b, 0, 80);
	for (size_t i = 0; i < 4; i++)
		sends_at(&b, series[i]);
	at(&b, 2000);
	engine_relink(&b.engine, NATPMP_OK, IP(10, 0, 0, 7));
	for (size_t i = 0; i < 9; i++) /* its whole series for the new gateway */
		sends_at(&b, 2000 + series[i]);
	answer(&b, 80, 0);
	ended_is(&b, one, NATPMP_OK);
	tear_down(&b);
}

START_TEST(H5_nothing_is_sent_without_a_gateway)
{
	struct bench b;

	set_up(&b);
	submit(&b, 0, 80);
	sends_at(&b, 0);
	submit(&b, 1, 81);
	engine_relink(&b.engine, NATPMP_E_NO_GATEWAY, 0);
	ck_assert_int_eq(b.engine.reach, NATPMP_E_NO_GATEWAY);
	ck_assert_uint_eq(engine_deadline(&b.engine), NEVER);
	b.now += HOUR;
	ck_assert(!send_now(&b));
	submit(&b, 2, 82);
	ck_assert(!send_now(&b));
	none_ended(&b);
	engine_relink(&b.engine, NATPMP_OK, OWN);
	sends_at(&b, HOUR);
	tear_down(&b);
}

START_TEST(N45_nothing_new_is_sent_during_the_delay)
{
	struct bench b;

	set_up(&b);
	b.engine.hold_off = b.now + 3000;
	b.requests[0].waits = true;
	submit(&b, 0, 80);
	ck_assert_uint_eq(engine_deadline(&b.engine), b.now + 3000);
	engine_submit(&b.engine, &b.requests[0], true);
	sends_at(&b, 3000);
	tear_down(&b);
}

/* But for whom nothing is re-created. */
START_TEST(N45_others_do_not_wait_for_the_delay)
{
	struct bench b;

	set_up(&b);
	b.engine.hold_off = b.now + 3000;
	b.requests[0].waits = true;
	submit(&b, 0, 80);
	submit(&b, 1, 81);
	sends_at(&b, 0);
	ck_assert_uint_eq(port_sent(&b), 81);
	answer(&b, 81, 0);
	sends_at(&b, 3000);
	ck_assert_uint_eq(port_sent(&b), 80);
	tear_down(&b);
}

int main(void)
{
	return RUN_TESTS(
		"engine", N7_send_times, N54_address_request_has_its_own_series,
		N6_retransmissions_are_identical, N8_junk_neither_resets_nor_consumes_a_step,
		N8_late_wake_ups_do_not_stretch_the_series, N8_missed_steps_are_not_made_up_for,
		N9_port_unreachable_ends_at_once,
		H3_port_unreachable_counts_for_the_very_request_only, N10_other_icmp_is_a_hint_only,
		N5_one_request_at_a_time, N5_a_silent_one_gives_way_after_five_sends,
		N5_a_newcomer_does_not_wait_for_a_silent_one, N5_the_soonest_due_goes_first,
		N5_cancelled_in_any_state, N11_pauses_grow_and_end_with_any_packet,
		N9_port_unreachable_with_any_quote, N16_late_refusal_of_a_pcp_question,
		N11_silence_pauses_too, N15_opcode_is_the_requests,
		N16_late_answers_to_earlier_requests,
		N16_answers_to_creation_and_deletion_are_told_apart, N19_result_codes,
		N18_error_fields_do_not_leak, N16_answers_without_a_port,
		N23_success_with_port_or_lifetime_zero_is_none,
		N20_prefixes_of_a_good_answer_then_the_answer,
		vpn_answers_may_name_port_0_or_the_external_one,
		pcp_question_is_answered_by_pcp_only, N41_clock_is_seen_in_every_packet,
		N43_no_clock_in_these_packets, N52_only_address_answers_are_announcements,
		N42_state_is_of_one_gateway, H5_relink_sends_again_what_was_in_flight,
		H5_nothing_is_sent_without_a_gateway, N45_nothing_new_is_sent_during_the_delay,
		N45_others_do_not_wait_for_the_delay);
}
