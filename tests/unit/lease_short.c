/* SPDX-License-Identifier: MIT */
/* Leases of a minute, as VPN gateways grant them, that refuse now and then and are well again. */
#include "story.h"
#include "suite.h"

/* A gateway that grants a minute, but not between two times. */
struct moody {
	struct story s;
	uint64_t from, until; /* ms */
	uint16_t result;      /* of a refusal; 0: port unreachable */
};

static void be_moody(struct story *s, const struct sent *sent)
{
	const struct moody *gateway = (const struct moody *)(void *)s;

	if (s->now < gateway->from || s->now >= gateway->until)
		gateway_obliges(s, sent);
	else if (!gateway->result)
		client_on_bounce(&s->client, story_now(s), sent->bytes, sent->len,
				 NATPMP_E_REFUSED);
	else if (sent->len == 2)
		gateway_refuses(s, gateway->result);
	else
		gateway_answers(s, sent, gateway->result, 0, 0);
}

static struct lease *begin(struct moody *gateway)
{
	struct story *s = &gateway->s;
	struct moody mood = *gateway;

	story_begin(s);
	gateway->from = mood.from;
	gateway->until = mood.until;
	gateway->result = mood.result;
	s->gateway = be_moody;
	struct lease *web = program_holds(s, NATPMP_TCP, 80, 0, 60);
	clock_runs_until(s, 0);
	ck_assert_int_eq(web->told.status, NATPMP_OK);
	story_skip(s);
	return web;
}

/* Out of resources, refused, from before the renewal until after the end: back within seconds. */
START_TEST(N62_lost_and_back_within_seconds)
{
	static const uint16_t results[] = {2, 3, 4};

	for (size_t i = 0; i < 3; i++) {
		struct moody g = {.from = 25 * SECOND, .until = 63 * SECOND, .result = results[i]};
		struct lease *web = begin(&g);

		clock_runs_until(&g.s, 59 * SECOND);
		ck_assert_uint_eq(g.s.event_count, g.s.event_told);
		clock_runs_until(&g.s, 61 * SECOND);
		ck_assert_int_lt(web->told.status, NATPMP_OK);
		clock_runs_until(&g.s, 70 * SECOND);
		ck_assert_int_eq(web->told.status, NATPMP_OK);
		ck_assert_uint_eq(g.s.event_count, g.s.event_told + 2);
		story_skip(&g.s);
		story_end(&g.s);
	}
}

/* What ends before the lease does is not noticed at all. */
START_TEST(N62_refused_for_a_while_and_never_down)
{
	static const uint16_t results[] = {0, 2, 4}; /* 0: port unreachable */

	for (size_t i = 0; i < 3; i++) {
		struct moody g = {.from = 29 * SECOND, .until = 45 * SECOND, .result = results[i]};
		struct lease *web = begin(&g);

		clock_runs_until(&g.s, 10 * MINUTE);
		ck_assert_uint_eq(g.s.event_count, g.s.event_told);
		ck_assert_int_eq(web->told.status, NATPMP_OK);
		story_end(&g.s);
	}
}

/* At the last moment, beside a backoff that has grown to its full length by another hold. */
START_TEST(N62_no_backoff_reaches_past_the_end)
{
	struct moody g = {.from = 2 * SECOND, .until = 53 * SECOND, .result = 0};
	struct lease *web = begin(&g);

	program_holds(&g.s, NATPMP_UDP, 53, 0, 60);
	clock_runs_until(&g.s, 2 * SECOND);
	story_skip(&g.s);
	for (uint16_t port = 1000; port < 1040; port++) /* refused, and asked for again */
		program_holds(&g.s, NATPMP_TCP, port, 0, 7200);
	clock_runs_until(&g.s, 59 * SECOND);
	ck_assert_int_eq(web->told.status, NATPMP_OK);
	for (size_t i = g.s.event_told; i < g.s.event_count; i++)
		ck_assert_ptr_ne(g.s.events[i].lease, web);
	story_skip(&g.s);
	story_end(&g.s);
}

/* Lost: tries after 1, 2, 4, ... 30 s, whatever failed. */
START_TEST(N62_tries_of_what_was_lost)
{
	struct moody g = {.from = 25 * SECOND, .until = HOUR, .result = 4};
	struct lease *web = begin(&g);
	struct story *s = &g.s;

	lease_goes_down(s, MINUTE, web, NATPMP_E_NO_RESOURCES);
	ck_assert_uint_eq(web->grants[0]->retries.result, 4); /* of that reason */
	uint64_t expected = MINUTE;
	size_t i = s->sent_count - 1;
	clock_runs_until(s, 5 * MINUTE);
	for (unsigned n = 0; expected < 4 * MINUTE; n++) {
		while (i < s->sent_count && (s->sent[i].len == 2 || s->sent[i].at < expected))
			i++;
		ck_assert_uint_lt(i, s->sent_count);
		ck_assert_uint_eq(s->sent[i].at, expected);
		expected += (n < 5 ? 1U << n : 30) * SECOND;
	}
	story_end(s);
}

/* Port unreachable for a minute and more: the backoff does not hold it up either. */
START_TEST(N62_lost_to_a_closed_port)
{
	struct moody g = {.from = 25 * SECOND, .until = 100 * SECOND, .result = 0};
	struct lease *web = begin(&g);

	clock_runs_until(&g.s, 99 * SECOND);
	ck_assert_int_eq(web->told.status, NATPMP_E_REFUSED);
	clock_runs_until(&g.s, 131 * SECOND);
	ck_assert_int_eq(web->told.status, NATPMP_OK);
	story_skip(&g.s);
	story_end(&g.s);
}

/* A lease of two hours is tried for as before. */
START_TEST(N62_long_leases_are_tried_for_seldom)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 600);
	for (uint64_t rest = 300; rest * SECOND >= 4 * SECOND; rest /= 2) {
		struct sent sent = client_sends_something(&s);
		ck_assert_uint_eq(sent.bytes[1], NATPMP_TCP);
		gateway_refuses(&s, 4);
	}
	lease_goes_down(&s, 600 * SECOND, web, NATPMP_E_NO_RESOURCES);
	client_asks(&s, 600 * SECOND, NATPMP_TCP, 80, 80, 600);
	gateway_refuses(&s, 4);
	client_asks(&s, 630 * SECOND, NATPMP_TCP, 80, 80, 600);
	gateway_refuses(&s, 4);
	client_asks(&s, 690 * SECOND, NATPMP_TCP, 80, 80, 600);
	story_end(&s);
}

int main(void)
{
	return RUN_TESTS("lease-short", N62_lost_and_back_within_seconds,
			 N62_refused_for_a_while_and_never_down,
			 N62_no_backoff_reaches_past_the_end, N62_tries_of_what_was_lost,
			 N62_lost_to_a_closed_port, N62_long_leases_are_tried_for_seldom);
}
