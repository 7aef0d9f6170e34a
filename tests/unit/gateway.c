/* SPDX-License-Identifier: MIT */
/* One gateway, one question at a time: RFC 6886 sections 3.1 and 3.5. */
#include "core/gateway.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/natpmp.h"
#include "story.h"
#include "suite.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { CALM = 5000000, QUESTIONS = 40 };

/* A gateway, and a driver that does its steps: what client.c is to it. */
struct bench {
	struct gateway gateway;
	struct question questions[QUESTIONS];
	uint64_t began, now;
	uint8_t bytes[REQUEST_MAX]; /* sent last */
	size_t len;
	struct question *ended; /* by a failure, not asked for so far */
	int status;
};

/* own: IPv4; 0: no address. */
static void relink(struct bench *b, int status, uint32_t own, bool was_used_before)
{
	struct ip_address gateway = ip_from_v4(GATEWAY), address = ip_from_v4(own);

	gateway_relink(&b->gateway, b->now, status, &gateway, &address, was_used_before);
}

static const uint8_t secret[SECRET_LEN];

static void set_up(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	b->began = b->now = CALM;
	gateway_init(&b->gateway, ONLY_NATPMP, secret, 1);
	ck_assert(gateway_reserve(&b->gateway, QUESTIONS));
	for (unsigned i = 0; i < QUESTIONS; i++)
		b->questions[i].dialects = ONLY_NATPMP;
	relink(b, NATPMP_OK, OWN, false);
	gateway_recover(&b->gateway);
}

static void tear_down(struct bench *b)
{
	gateway_free(&b->gateway);
}

static struct question *submit_to(struct bench *b, int i, uint16_t port, enum lane lane)
{
	b->questions[i].message =
		(struct message){ASK_CREATE, NATPMP_TCP, false, false, port, port, 7200};
	gateway_submit(&b->gateway, &b->questions[i], lane, b->now + 100000);
	return &b->questions[i];
}

/* A TCP map request for that port. */
static struct question *submit(struct bench *b, int i, uint16_t port)
{
	return submit_to(b, i, port, LANE_AFTER_BACKOFF);
}

/* Do what is due. True: something was sent. */
static bool send_now(struct bench *b)
{
	for (;;) {
		switch (gateway_next_step(&b->gateway, b->now)) {
		case GATEWAY_WAIT:
			return false;
		case GATEWAY_SEND:
			b->len = gateway_send(&b->gateway, b->now, b->bytes);
			return true;
		case GATEWAY_YIELD:
		case GATEWAY_GIVE_UP:
			b->ended = b->gateway.in_flight;
			b->status = gateway_put_away(&b->gateway, b->now);
			break;
		}
	}
}

/* When is something sent next, ms since the beginning? NEVER: not within an hour. */
static uint64_t next_send(struct bench *b)
{
	uint64_t limit = b->now + HOUR;

	while (!send_now(b)) {
		uint64_t at = gateway_next_deadline(&b->gateway, b->now);
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

/* The packet is the answer to that question; NULL: to none. */
static void input(struct bench *b, const char *hex, struct question *question)
{
	uint8_t bytes[RESPONSE_MAX];
	size_t len = from_hex(hex, (uint32_t)(b->now / 1000), bytes, sizeof(bytes));
	struct response response = gateway_read(&b->gateway, bytes, len);

	gateway_on_response(&b->gateway, b->now, b->now, &response, question);
}

#define ANY_ANSWER "00 80 00 00 ## ## ## ## cb 00 71 05"

static void at(struct bench *b, uint64_t ms)
{
	b->now = b->began + ms;
}

#define ended_is(b, question, why) ended_is_(b, __LINE__, question, why)
static void ended_is_(struct bench *b, int line, const struct question *question, int status)
{
	const struct question *ended = b->ended;

	b->ended = NULL;
	ck_assert_msg(ended == question, "line %d: %s", line,
		      ended ? "another question" : "nothing");
	ck_assert_msg(b->status == status, "line %d: status %d", line, b->status);
	ck_assert_int_eq(ended->state, QUESTION_IDLE);
}

#define none_ended(b)   ck_assert_ptr_null((b)->ended)
#define sends_at(b, ms) ck_assert_uint_eq(next_send(b), ms)

static const uint64_t series[] = {0, 250, 750, 1750, 3750, 7750, 15750, 31750, 63750};
enum { SERIES_END = 127750 };

/* --- retransmission --- */

START_TEST(N7_send_times)
{
	struct bench b;

	set_up(&b);
	const struct question *request = submit(&b, 0, 80);
	for (size_t i = 0; i < COUNT(series); i++) {
		none_ended(&b);
		sends_at(&b, series[i]);
	}
	ck_assert_uint_eq(gateway_next_deadline(&b.gateway, b.now), b.began + SERIES_END);
	at(&b, SERIES_END - 1);
	ck_assert(!send_now(&b));
	none_ended(&b);
	at(&b, SERIES_END);
	ck_assert(!send_now(&b));
	ended_is(&b, request, NATPMP_E_NO_SERVICE);
	ck_assert_uint_eq(gateway_next_deadline(&b.gateway, b.now), NEVER);
	tear_down(&b);
}

START_TEST(N54_address_request_has_its_own_series)
{
	struct bench b;

	set_up(&b);
	b.questions[0].message.kind = ASK_ADDRESS;
	gateway_submit(&b.gateway, &b.questions[0], LANE_AT_ONCE, 0);
	for (size_t i = 0; i < COUNT(series); i++) {
		sends_at(&b, series[i]);
		ck_assert_uint_eq(b.len, 2);
		ck_assert_mem_eq(b.bytes, "\0\0", 2);
	}
	ck_assert_uint_eq(next_send(&b), NEVER);
	ended_is(&b, &b.questions[0], NATPMP_E_NO_SERVICE);
	tear_down(&b);
}

START_TEST(N6_retransmissions_are_identical)
{
	struct bench b;
	uint8_t first[REQUEST_MAX];

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
		input(&b, junk[ms / 50 % COUNT(junk)], NULL);
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
		ck_assert_uint_eq(gateway_next_deadline(&b.gateway, b.now), b.began + series[i]);
		at(&b, series[i] + 20 * i);
		ck_assert(send_now(&b));
		ck_assert(!send_now(&b));
	}
	ck_assert_uint_eq(gateway_next_deadline(&b.gateway, b.now), b.began + SERIES_END);
	tear_down(&b);
}

START_TEST(N8_missed_steps_are_not_made_up_for)
{
	struct bench b;

	set_up(&b);
	const struct question *request = submit(&b, 0, 80);
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
	struct question *ended = gateway_on_bounce(&b->gateway, b->now, b->bytes, b->len, status);

	if (ended) {
		b->ended = ended;
		b->status = status;
	}
}

START_TEST(N9_port_unreachable_ends_at_once)
{
	struct bench b;

	set_up(&b);
	const struct question *request = submit(&b, 0, 80);
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
	uint8_t first[REQUEST_MAX];

	set_up(&b);
	struct question *one = submit(&b, 0, 80);
	sends_at(&b, 0);
	memcpy(first, b.bytes, sizeof(first));
	gateway_withdraw(&b.gateway, one);
	const struct question *two = submit(&b, 1, 81);
	sends_at(&b, 0);
	ck_assert_ptr_null(gateway_on_bounce(&b.gateway, b.now, first, 12, NATPMP_E_REFUSED));
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
		const struct question *one = submit(&b, 0, 80);
		sends_at(&b, 0);
		memcpy(quote, b.bytes, 12);
		ck_assert_ptr_eq(
			gateway_on_bounce(&b.gateway, b.now, quote, quoted[i], NATPMP_E_REFUSED),
			one);
		tear_down(&b);
	}
}

START_TEST(N10_other_icmp_is_a_hint_only)
{
	struct bench b;

	set_up(&b);
	const struct question *request = submit(&b, 0, 80);
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
	ck_assert_int_eq(b.questions[0].hint, NATPMP_E_UNREACHABLE);
	input(&b, ANY_ANSWER, &b.questions[0]);
	ck_assert_int_eq(b.questions[0].hint, 0);
	tear_down(&b);
}

/* --- one at a time --- */

static void answer(struct bench *b, struct question *question)
{
	input(b, ANY_ANSWER, question);
	ck_assert_int_eq(question->state, QUESTION_IDLE);
}

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
			answer(&b, &b.questions[open - 1000]);
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
	const struct question *one = submit(&b, 0, 80);
	struct question *two = submit(&b, 1, 81);
	for (size_t i = 0; i < 5; i++) {
		sends_at(&b, series[i]);
		ck_assert_uint_eq(port_sent(&b), 80);
	}
	input(&b, ANY_ANSWER, NULL); /* it lives */
	sends_at(&b, 7750);
	ck_assert_uint_eq(port_sent(&b), 81);
	ended_is(&b, one, NATPMP_E_TIMEOUT);
	answer(&b, two);
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
	submit_to(&b, 1, 81, LANE_AT_ONCE);
	ck_assert_uint_le(gateway_next_deadline(&b.gateway, b.now), b.now);
	ck_assert(send_now(&b));
	ended_is(&b, &b.questions[0], NATPMP_E_TIMEOUT);
	ck_assert_uint_eq(port_sent(&b), 81);
	tear_down(&b);
}

/* An answer to any of its sends counts for 127.75 s after the last of them. */
START_TEST(N58_a_send_may_be_answered_for_127_s)
{
	struct bench b;

	set_up(&b);
	struct question *question = submit(&b, 0, 80);
	ck_assert(!question_is_outstanding(question, b.now));
	sends_at(&b, 0);
	sends_at(&b, 250);
	ck_assert(question_is_outstanding(question, b.now));
	gateway_withdraw(&b.gateway, question);
	ck_assert(question_is_outstanding(question, b.now + 127750));
	ck_assert(!question_is_outstanding(question, b.now + 127751));
	input(&b, ANY_ANSWER, question);
	ck_assert(!question_is_outstanding(question, b.now));
	tear_down(&b);
}

/* The question has been taken over by another one of its owner: the same. */
START_TEST(N5_a_superseded_one_gives_way_after_five_sends)
{
	struct bench b;

	set_up(&b);
	struct question *question = submit(&b, 0, 80);
	for (size_t i = 0; i < 5; i++)
		sends_at(&b, series[i]);
	question->is_superseded = true;
	ck_assert_uint_eq(gateway_next_deadline(&b.gateway, b.now), b.began + 7750);
	ck_assert_uint_eq(next_send(&b), NEVER);
	ended_is(&b, question, NATPMP_E_TIMEOUT);
	tear_down(&b);
}

START_TEST(N5_the_lowest_rank_goes_first)
{
	static const instant ranks[] = {500, 100, 300, 100};
	static const uint16_t order[] = {1, 3, 2, 0};
	struct bench b;

	set_up(&b);
	for (uint16_t i = 0; i < COUNT(ranks); i++) { /* whatever the lane, if it is open */
		b.questions[i].message =
			(struct message){ASK_CREATE, NATPMP_TCP, false, false, i, i, 7};
		gateway_submit(&b.gateway, &b.questions[i], (enum lane)i, ranks[i]);
	}
	for (size_t i = 0; i < COUNT(order); i++) {
		sends_at(&b, 0);
		ck_assert_uint_eq(port_sent(&b), order[i]);
		answer(&b, &b.questions[order[i]]);
	}
	ck_assert(gateway_is_idle(&b.gateway));
	tear_down(&b);
}

START_TEST(N5_withdrawn_in_any_state)
{
	struct bench b;

	set_up(&b);
	for (int i = 0; i < 4; i++)
		submit(&b, i, (uint16_t)(80 + i));
	sends_at(&b, 0);
	gateway_withdraw(&b.gateway, &b.questions[2]); /* it waits */
	gateway_withdraw(&b.gateway, &b.questions[2]); /* idle */
	gateway_withdraw(&b.gateway, &b.questions[0]); /* in flight */
	sends_at(&b, 0);
	ck_assert_uint_eq(port_sent(&b), 81);
	answer(&b, &b.questions[1]);
	sends_at(&b, 0);
	ck_assert_uint_eq(port_sent(&b), 83);
	gateway_withdraw(&b.gateway, &b.questions[3]);
	ck_assert_uint_eq(gateway_next_deadline(&b.gateway, b.now), NEVER);
	ck_assert_uint_eq(next_send(&b), NEVER);
	none_ended(&b);
	tear_down(&b);
}

/* The decision may be asked for as often as one likes. */
START_TEST(deciding_changes_nothing)
{
	struct bench b;

	set_up(&b);
	submit(&b, 0, 80);
	submit(&b, 1, 81);
	for (unsigned i = 0; i < 30; i++) {
		struct bench before;
		memcpy(&before, &b, sizeof(b));
		enum gateway_step step = gateway_next_step(&b.gateway, b.now);
		instant deadline = gateway_next_deadline(&b.gateway, b.now);
		ck_assert_int_eq(gateway_next_step(&b.gateway, b.now), step);
		ck_assert_uint_eq(gateway_next_deadline(&b.gateway, b.now), deadline);
		ck_assert_mem_eq(&before, &b, sizeof(b));
		/* a step is due exactly when the deadline says so */
		ck_assert_int_eq(step != GATEWAY_WAIT, deadline <= b.now);
		send_now(&b);
		b.now += i * 37;
	}
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
		ended_is(&b, &b.questions[0], NATPMP_E_REFUSED);
		expected += i < 6 ? 1000U << i : 64000;
	}
	submit(&b, 0, 80);
	b.now += 10000;
	ck_assert(!send_now(&b));
	input(&b, ANY_ANSWER, NULL);
	ck_assert(send_now(&b));
	bounce(&b, NATPMP_E_REFUSED);
	expected = b.now - b.began + 1000; /* from the beginning again */
	submit(&b, 0, 80);
	sends_at(&b, expected);
	bounce(&b, NATPMP_E_REFUSED);

	submit_to(&b, 1, 81, LANE_AT_ONCE); /* a caller is blocked */
	ck_assert(send_now(&b));
	bounce(&b, NATPMP_E_REFUSED);
	submit(&b, 0, 80);
	ck_assert(!send_now(&b));
	gateway_cut_backoff(&b.gateway); /* somebody asks anew */
	ck_assert(send_now(&b));
	bounce(&b, NATPMP_E_REFUSED);
	submit(&b, 0, 80);
	relink(&b, NATPMP_OK, OWN, true); /* and another link */
	ck_assert(send_now(&b));
	tear_down(&b);
}

/* Packets that nobody asked for, anybody may have sent: they end one backoff in 30 s. */
START_TEST(H17_a_backoff_ends_once_in_a_window)
{
	struct bench b;

	set_up(&b);
	submit(&b, 0, 80);
	sends_at(&b, 0);
	bounce(&b, NATPMP_E_REFUSED);
	submit(&b, 0, 80);
	input(&b, ANY_ANSWER, NULL);
	sends_at(&b, 0);
	bounce(&b, NATPMP_E_REFUSED);
	for (uint64_t ms = 1; ms < 30000; ms++) { /* a flood of them */
		submit(&b, 0, 80);
		at(&b, ms);
		input(&b, ANY_ANSWER, NULL);
		if (send_now(&b)) {
			ck_assert(ms == 1000 || ms == 3000 || ms == 7000 || ms == 15000);
			bounce(&b, NATPMP_E_REFUSED);
		}
	}
	at(&b, 30000);
	input(&b, ANY_ANSWER, NULL);
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
		ck_assert_int_eq(b.gateway.reach, turn < 2 ? NATPMP_PENDING : NATPMP_E_TIMEOUT);
		begins += pause < 8000 ? 7750 : 3750 + pause;
		pause = pause < 64000 ? 2 * pause : 64000;
	}
	sends_at(&b, begins);
	answer(&b, &b.questions[10]);
	ck_assert_int_eq(b.gateway.reach, NATPMP_OK);
	sends_at(&b, begins); /* no pause any more */
	tear_down(&b);
}

/* It answers, but for one question: the next one is asked without any backoff. */
START_TEST(N11_one_ignored_question_is_no_silence)
{
	struct bench b;

	set_up(&b);
	submit(&b, 0, 80);
	sends_at(&b, 0);
	answer(&b, &b.questions[0]);
	submit_to(&b, 0, 80, LANE_AT_ONCE);
	submit(&b, 1, 81);
	for (size_t i = 0; i < 5; i++)
		sends_at(&b, series[i]);
	ck_assert_uint_eq(port_sent(&b), 80);
	sends_at(&b, 7750);
	ck_assert_uint_eq(port_sent(&b), 81);
	ck_assert_int_eq(b.gateway.reach, NATPMP_OK);
	submit(&b, 0, 80);
	for (size_t i = 1; i < 5; i++)
		sends_at(&b, 7750 + series[i]);
	submit(&b, 2, 82);
	sends_at(&b, 7750 + 7750);
	ck_assert_int_eq(b.gateway.reach, NATPMP_E_TIMEOUT); /* two of them are */
	tear_down(&b);
}

/* --- lanes --- */

enum { RECOVERY = 3000 };

static void expect_recovery(struct bench *b)
{
	b->gateway.reboot.recovery_at = b->now + RECOVERY;
}

START_TEST(N45_what_is_recreated_waits_for_the_delay)
{
	struct bench b;

	set_up(&b);
	expect_recovery(&b);
	submit_to(&b, 0, 80, LANE_AFTER_RECOVERY);
	submit_to(&b, 1, 81, LANE_AFTER_BOTH);
	sends_at(&b, RECOVERY);
	tear_down(&b);
}

/* But not what re-creates nothing. */
START_TEST(N45_others_do_not_wait_for_the_delay)
{
	struct bench b;

	set_up(&b);
	expect_recovery(&b);
	submit_to(&b, 0, 80, LANE_AFTER_BOTH);
	submit_to(&b, 1, 81, LANE_AFTER_BACKOFF);
	submit_to(&b, 2, 82, LANE_AT_ONCE);
	sends_at(&b, 0);
	ck_assert_uint_eq(port_sent(&b), 81);
	answer(&b, &b.questions[1]);
	sends_at(&b, 0);
	ck_assert_uint_eq(port_sent(&b), 82);
	answer(&b, &b.questions[2]);
	sends_at(&b, RECOVERY);
	ck_assert_uint_eq(port_sent(&b), 80);
	tear_down(&b);
}

/* A mapping in force passes a backoff, but one a second. */
START_TEST(N62_mappings_in_force_pass_a_backoff)
{
	struct bench b;

	set_up(&b);
	for (unsigned i = 0; i < 7; i++) { /* 64 s of backoff */
		submit(&b, 0, 80);
		next_send(&b);
		bounce(&b, NATPMP_E_REFUSED);
	}
	uint64_t began = b.now - b.began;
	submit(&b, 0, 80);
	for (uint16_t i = 1; i < 5; i++)
		submit_to(&b, i, (uint16_t)(80 + i), LANE_AFTER_RECOVERY);
	for (uint16_t i = 1; i < 5; i++) {
		sends_at(&b, began + (i - 1U) * BACKOFF_PASS);
		ck_assert_uint_eq(port_sent(&b), 80 + i);
		bounce(&b, NATPMP_E_REFUSED);
	}
	sends_at(&b, began + 3 * BACKOFF_PASS + 64000);
	ck_assert_uint_eq(port_sent(&b), 80);
	tear_down(&b);
}

/* --- the reboot --- */

static void jump_in(const char *packet, bool is_seen)
{
	struct bench b;

	set_up(&b);
	input(&b, "00 80 00 00 00 01 51 80 cb 00 71 05", NULL);
	instant before = b.gateway.reboot.forgot_at;
	b.now += 1000;
	submit(&b, 0, 80);
	ck_assert(send_now(&b));
	input(&b, packet, NULL);
	ck_assert_msg((b.gateway.reboot.forgot_at > before) == is_seen, "%s", packet);
	if (!is_seen) { /* and it was not stored either */
		input(&b, "00 80 00 00 00 01 51 81 cb 00 71 05", NULL);
		ck_assert_msg(b.gateway.reboot.forgot_at == before, "after %s", packet);
	}
	tear_down(&b);
}

START_TEST(N41_clock_is_seen_in_every_packet)
{
	jump_in("00 82 00 00 00 00 00 05 00 50 00 50 00 00 1c 20", true);
	jump_in("00 82 00 04 00 00 00 05 00 50 00 00 00 00 00 00", true); /* an error */
	jump_in("00 81 00 02 00 00 00 05 00 07 00 00 00 00 00 00", true);
	jump_in("00 82 00 02 00 00 00 05", true); /* cut short */
	jump_in("00 80 00 00 00 00 00 05 cb 00 71 05", true);
	jump_in("00 80 00 03 00 00 00 05", true);
	jump_in("00 80 00 01 00 00 00 05", true); /* unsupported version, in its forms */
	jump_in("00 00 00 01 00 00 00 05", true);
}

START_TEST(N43_no_clock_in_these_packets)
{
	jump_in("00 83 00 05 00 00 00 05 00 00 1c 20", false);
	jump_in("00 82 00 05 00 00 00 05", false);
	jump_in("02 80 00 01 00 00 07 08 00 00 02 2b 00 00 00 00 00 00 00 00 00 00 00 00", false);
	jump_in("02 80 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00", false);
	jump_in("00 82 00 00 00 00 00", false);
	jump_in("00 80 00 00 00 00 00 05 cb 00 71", false);
	jump_in("01 80 00 00 00 00 00 05 cb 00 71 05", false);
	jump_in("00 82 00 03 00 50 00 00 00 00 00 00", false); /* the request's layout */
}

START_TEST(N42_state_is_of_one_gateway)
{
	struct bench b;

	set_up(&b);
	input(&b, "00 80 00 00 00 01 51 80 cb 00 71 05", NULL);
	instant before = b.gateway.reboot.forgot_at;
	b.now += 1000;
	relink(&b, NATPMP_OK, OWN, false);
	ck_assert_uint_gt(b.gateway.reboot.forgot_at, before); /* it knows nothing of us, ... */
	before = b.gateway.reboot.forgot_at;
	input(&b, "00 80 00 00 00 00 00 05 cb 00 71 05", NULL); /* ... has a clock of its own */
	ck_assert_uint_eq(b.gateway.reboot.forgot_at, before);
	tear_down(&b);
}

/* What was granted and what was forgotten in one wake-up: the order counts. */
START_TEST(N44_grants_and_reboots_of_one_instant)
{
	struct bench b;
	const struct reboot *reboot = &b.gateway.reboot;

	set_up(&b);
	input(&b, "00 80 00 00 00 01 51 80 cb 00 71 05", NULL);
	instant before = gateway_note_grant(&b.gateway, b.now);
	input(&b, "00 80 00 00 00 00 00 05 cb 00 71 05", NULL);
	ck_assert_uint_lt(before, reboot->forgot_at);
	instant after = gateway_note_grant(&b.gateway, b.now);
	ck_assert_uint_ge(after, reboot->forgot_at);
	tear_down(&b);
}

/* However many packets say so. */
START_TEST(H9_one_reboot_in_a_window)
{
	struct bench b;

	set_up(&b);
	unsigned reboots = 0;
	instant last = b.gateway.reboot.forgot_at;
	for (uint64_t ms = 0; ms < 10 * MINUTE; ms += 50) {
		at(&b, ms);
		gateway_on_time(&b.gateway, b.now);
		input(&b,
		      ms / 50 % 2 ? "00 80 00 00 00 00 00 05 cb 00 71 05"
				  : "00 80 00 00 00 01 51 80 cb 00 71 05",
		      NULL);
		instant forgot_at = b.gateway.reboot.forgot_at;
		if (forgot_at == last)
			continue;
		ck_assert(!reboots || forgot_at - last >= SUSPICION_WINDOW);
		ck_assert_uint_le(b.gateway.reboot.recovery_at - b.now, RECOVERY_DELAY_MAX);
		last = forgot_at;
		reboots++;
	}
	ck_assert_uint_ge(reboots, 19);
	ck_assert_uint_le(reboots, 22);
	tear_down(&b);
}

/* --- another link --- */

START_TEST(H5_relink_sends_again_what_was_in_flight)
{
	struct bench b;

	set_up(&b);
	struct question *one = submit(&b, 0, 80);
	for (size_t i = 0; i < 4; i++)
		sends_at(&b, series[i]);
	at(&b, 2000);
	relink(&b, NATPMP_OK, IP(10, 0, 0, 7), false);
	gateway_recover(&b.gateway);
	for (size_t i = 0; i < 9; i++) /* its whole series for the new gateway */
		sends_at(&b, 2000 + series[i]);
	answer(&b, one);
	tear_down(&b);
}

START_TEST(H5_nothing_is_sent_without_a_gateway)
{
	struct bench b;

	set_up(&b);
	submit(&b, 0, 80);
	sends_at(&b, 0);
	submit(&b, 1, 81);
	relink(&b, NATPMP_E_NO_GATEWAY, 0, false);
	ck_assert_int_eq(b.gateway.link_status, NATPMP_E_NO_GATEWAY);
	ck_assert(gateway_seems_away(&b.gateway));
	ck_assert_uint_eq(gateway_next_deadline(&b.gateway, b.now), NEVER);
	b.now += HOUR;
	ck_assert(!send_now(&b));
	submit_to(&b, 2, 82, LANE_AT_ONCE);
	ck_assert(!send_now(&b));
	input(&b, ANY_ANSWER, NULL); /* of the old one */
	ck_assert(!b.gateway.clocks.last[DIALECT_NATPMP].is_known);
	none_ended(&b);
	relink(&b, NATPMP_OK, OWN, true);
	sends_at(&b, HOUR);
	tear_down(&b);
}

int main(void)
{
	return RUN_TESTS(
		"gateway", N7_send_times, N54_address_request_has_its_own_series,
		N6_retransmissions_are_identical, N8_junk_neither_resets_nor_consumes_a_step,
		N8_late_wake_ups_do_not_stretch_the_series, N8_missed_steps_are_not_made_up_for,
		N9_port_unreachable_ends_at_once,
		H3_port_unreachable_counts_for_the_very_request_only,
		N9_port_unreachable_with_any_quote, N10_other_icmp_is_a_hint_only,
		N5_one_request_at_a_time, N5_a_silent_one_gives_way_after_five_sends,
		N5_a_newcomer_does_not_wait_for_a_silent_one,
		N5_a_superseded_one_gives_way_after_five_sends,
		N58_a_send_may_be_answered_for_127_s, N5_the_lowest_rank_goes_first,
		N5_withdrawn_in_any_state, deciding_changes_nothing,
		N11_pauses_grow_and_end_with_any_packet, H17_a_backoff_ends_once_in_a_window,
		N11_silence_pauses_too, N11_one_ignored_question_is_no_silence,
		N45_what_is_recreated_waits_for_the_delay, N45_others_do_not_wait_for_the_delay,
		N62_mappings_in_force_pass_a_backoff, N41_clock_is_seen_in_every_packet,
		N43_no_clock_in_these_packets, N42_state_is_of_one_gateway,
		N44_grants_and_reboots_of_one_instant, H9_one_reboot_in_a_window,
		H5_relink_sends_again_what_was_in_flight, H5_nothing_is_sent_without_a_gateway);
}
