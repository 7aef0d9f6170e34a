/* SPDX-License-Identifier: MIT */
/* Very many leases: nobody starves, and the gateway is not flooded. */
#include <stdlib.h>
#include <time.h>

#include "story.h"
#include "suite.h"

enum { MANY = 2000 };

struct crowd {
	struct story s;
	struct lease *leases[MANY];
	size_t up, down;      /* events */
	uint16_t silent_port; /* never answered */
};

static void count_event(struct story *s, const struct event *event)
{
	struct crowd *c = (struct crowd *)(void *)s;

	if (event->now.status == NATPMP_OK)
		c->up++;
	else
		c->down++;
	s->event_told = s->event_count;
}

static void answer_but_one(struct story *s, const struct sent *sent)
{
	const struct crowd *c = (const struct crowd *)(void *)s;

	if ((sent->bytes[4] << 8 | sent->bytes[5]) != c->silent_port || sent->len == 2)
		gateway_obliges(s, sent);
}

/* So many packets in any ten seconds at most. */
static size_t busiest_10_s(const struct story *s)
{
	size_t most = 0;

	for (size_t i = 0, from = 0; i < s->sent_count; i++) {
		while (s->sent[from].at + 10 * SECOND <= s->sent[i].at)
			from++;
		if (i - from + 1 > most)
			most = i - from + 1;
	}
	return most;
}

static void ignore(struct story *s, const struct sent *sent)
{
	(void)s;
	(void)sent;
}

static void gather(struct crowd *c, void (*gateway)(struct story *s, const struct sent *sent),
		   uint32_t lifetime)
{
	story_begin(&c->s);
	c->s.gateway = gateway;
	c->s.on_event = count_event;
	for (int i = 0; i < MANY; i++)
		c->leases[i] = program_holds(&c->s, NATPMP_TCP, (uint16_t)(1000 + i), 0, lifetime);
	clock_runs_until(&c->s, 0);
}

/* A dead gateway for a day: all are told when their time for a verdict is over; few packets in any
 * ten seconds; and when it comes back all are up by the next try, each asked for after the previous
 * was answered. */
START_TEST(N5_dead_gateway_with_thousands)
{
	static struct crowd c;

	gather(&c, ignore, 7200);
	clock_runs_until(&c.s, 7750);
	ck_assert_uint_eq(c.down, MANY);
	clock_runs_until(&c.s, 24 * HOUR);
	ck_assert_uint_eq(c.down, MANY);
	ck_assert_uint_eq(c.up, 0);
	ck_assert_uint_le(busiest_10_s(&c.s), 9);
	ck_assert_uint_le(c.s.sent_count, 24 * 3600 / 71 * 6);
	c.s.gateway = gateway_obliges;
	clock_runs_until(&c.s, 24 * HOUR + 75 * SECOND);
	ck_assert_uint_eq(c.up, MANY);
	ck_assert_uint_eq(c.down, MANY);
	story_end(&c.s);
}

/* Not answered at 10 ms of distance: no second request before the first is answered. */
START_TEST(N5_no_burst_when_it_returns)
{
	static struct crowd c;

	gather(&c, ignore, 7200);
	clock_runs_until(&c.s, HOUR);
	c.s.gateway = NULL;
	c.s.sent_told = c.s.sent_count;
	struct sent sent = client_sends_something(&c.s);
	for (int i = 0; i < MANY; i++) {
		clock_runs_until(&c.s, c.s.now + 10);
		ck_assert_uint_eq(c.s.sent_count, c.s.sent_told);
		gateway_obliges(&c.s, &sent);
		sent = client_sends_something(&c.s);
		ck_assert_uint_eq(sent.at, c.s.now);
		ck_assert_uint_eq(c.s.sent_count, c.s.sent_told);
	}
	c.s.gateway = gateway_obliges;
	gateway_obliges(&c.s, &sent);
	clock_runs_until(&c.s, c.s.now + SECOND);
	ck_assert_uint_eq(c.up, MANY);
	story_end(&c.s);
}

/* One port that the gateway never answers for: the others are renewed in time, for a day. */
START_TEST(N5_a_silent_mapping_starves_nobody)
{
	static struct crowd c;

	c.silent_port = 1500;
	gather(&c, answer_but_one, 600);
	clock_runs_until(&c.s, MINUTE);
	ck_assert_uint_eq(c.up, MANY - 1);
	size_t down = c.down;
	clock_runs_until(&c.s, 24 * HOUR);
	ck_assert_uint_eq(c.up, MANY - 1);
	ck_assert_uint_eq(c.down, down);
	for (int i = 0; i < MANY; i++)
		ck_assert(c.leases[i]->told.status == NATPMP_OK ||
			  c.leases[i]->internal_port == 1500);
	story_end(&c.s);
}

/* It was there before, and is silent from some moment on. */
START_TEST(N31_a_mapping_falls_silent_among_many)
{
	static struct crowd c;

	gather(&c, answer_but_one, 600);
	clock_runs_until(&c.s, MINUTE);
	ck_assert_uint_eq(c.up, MANY);
	c.silent_port = 1700;
	clock_runs_until(&c.s, 12 * HOUR);
	ck_assert_uint_eq(c.down, 1);
	ck_assert_uint_eq(c.up, MANY);
	c.silent_port = 0;
	clock_runs_until(&c.s, 13 * HOUR);
	ck_assert_uint_eq(c.up, MANY + 1);
	story_end(&c.s);
}

/* A renewal that failed once, and hundreds of new ones: they have time, it has none. */
START_TEST(N31_failed_once_and_then_a_crowd)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 120);
	client_asks(&s, MINUTE, NATPMP_TCP, 80, 80, 120);
	program_holds(&s, NATPMP_TCP, 81, 0, 7200); /* it makes way for this one */
	client_repeats(&s, 4);
	client_asks(&s, MINUTE + 7750, NATPMP_TCP, 81, 81, 7200);
	s.at_once = true;
	for (uint16_t i = 0; i < 600; i++)
		program_holds(&s, NATPMP_TCP, (uint16_t)(1000 + i), 0, 7200);
	gateway_grants(&s, 81, 7200);
	gateway_obliges_until(&s, 250, 10 * MINUTE);
	ck_assert_uint_ge(s.event_count, 602);
	for (size_t i = 0; i < s.event_count; i++)
		ck_assert_int_eq(s.events[i].now.status, NATPMP_OK);
	ck_assert_int_eq(web->told.status, NATPMP_OK);
	story_skip(&s);
	story_end(&s);
}

/* A hold that was refused once, beside blocking calls that keep the gateway busy: it is asked again
 * in its time. */
START_TEST(N5_refused_once_at_a_busy_gateway)
{
	struct story s;
	struct lease *calls[2];
	uint16_t port = 1000;
	size_t answered, asked = 0, served = 0;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	gateway_refuses(&s, 4);
	lease_goes_down(&s, 0, web, NATPMP_E_NO_RESOURCES);
	answered = s.sent_told;
	for (unsigned i = 0; i < 2; i++)
		calls[i] = program_maps(&s, NATPMP_TCP, port++, 0, 60);
	while (s.now < 20 * MINUTE) {
		clock_runs_until(&s, s.now + 10); /* each answer takes 10 ms */
		if (answered < s.sent_count) {
			struct sent sent = s.sent[answered++];
			if (sent_internal_port(&sent) == 80) {
				asked++;
				gateway_answers(&s, &sent, 4, 0, 0);
			} else {
				gateway_obliges(&s, &sent);
			}
		}
		for (unsigned i = 0; i < 2; i++)
			if (calls[i]->status == NATPMP_OK) {
				program_leaves(&s, calls[i]);
				calls[i] = program_maps(&s, NATPMP_TCP, port++, 0, 60);
				served++;
			}
	}
	ck_assert_uint_ge(asked, 3); /* after 30 s, 60 s, ... and what was asked before it */
	ck_assert_uint_gt(served, 20000);
	story_skip(&s);
	story_end(&s);
}

static void silent_about_the_address(struct story *s, const struct sent *sent)
{
	if (sent->len != 2)
		gateway_obliges(s, sent);
}

/* Somebody waits for long for an address that is not told: that costs nobody a mapping. */
START_TEST(N54_question_for_the_address_starves_nobody)
{
	static struct story s;

	story_begin(&s);
	s.gateway = gateway_obliges;
	for (uint16_t i = 0; i < 20; i++)
		program_holds(&s, NATPMP_TCP, (uint16_t)(80 + i), 0, 120);
	clock_runs_until(&s, 50 * SECOND);
	s.event_told = s.event_count;
	s.gateway = silent_about_the_address;
	clock_runs_until(&s, 59 * SECOND);
	program_asks_address(&s);
	clock_runs_until(&s, 59 * SECOND + 128 * SECOND);
	ck_assert_uint_eq(s.event_count, s.event_told);
	program_stops_asking_address(&s);
	story_end(&s);
}

/* Refused by ICMP: one packet at a time, a minute apart, not one for each mapping. */
static void bounce(struct story *s, const struct sent *sent)
{
	client_on_bounce(&s->client, story_now(s), sent->bytes, sent->len, NATPMP_E_REFUSED);
}

START_TEST(N9_closed_gateway_with_thousands)
{
	static struct crowd c;

	gather(&c, bounce, 7200);
	clock_runs_until(&c.s, 10);
	ck_assert_uint_eq(c.down, MANY);
	clock_runs_until(&c.s, 24 * HOUR);
	ck_assert_uint_eq(c.down, MANY);
	/* one each at first, for somebody has just asked; then one for all of them */
	ck_assert_uint_le(c.s.sent_count, MANY + 24 * 3600 / 64 + 20);
	c.s.gateway = gateway_obliges;
	clock_runs_until(&c.s, 24 * HOUR + 65 * SECOND);
	ck_assert_uint_eq(c.up, MANY);
	story_end(&c.s);
}

/* Up, all of them: nothing happens until half their time is over. */
START_TEST(H13_idle_for_an_hour)
{
	static struct crowd c;

	gather(&c, gateway_obliges, 7200);
	ck_assert_uint_eq(c.up, MANY);
	size_t sent = c.s.sent_count;
	ck_assert_uint_eq(sent, MANY + 1);
	ck_assert_uint_eq(next_deadline(&c.s), SILENCE_MAX);
	clock_runs_until(&c.s, HOUR - 1);
	ck_assert_uint_eq(c.s.sent_count, sent + 11); /* a look every 5 min, of all together */
	story_end(&c.s);
}

START_TEST(N12_all_are_released_at_once)
{
	static struct crowd c;

	gather(&c, gateway_obliges, 7200);
	for (int i = 0; i < MANY; i++)
		program_releases(&c.s, c.leases[i]);
	ck_assert(client_is_empty(&c.s.client));
	ck_assert_uint_eq(c.s.sent_count, 2 * MANY + 1);
	clock_runs_until(&c.s, 3 * HOUR);
	ck_assert_uint_eq(c.s.sent_count, 2 * MANY + 1);
	story_end(&c.s);
}

int main(void)
{
	return RUN_TESTS("lease-crowd", N5_dead_gateway_with_thousands, N5_no_burst_when_it_returns,
			 N5_a_silent_mapping_starves_nobody, N31_a_mapping_falls_silent_among_many,
			 N31_failed_once_and_then_a_crowd, N5_refused_once_at_a_busy_gateway,
			 N54_question_for_the_address_starves_nobody,
			 N9_closed_gateway_with_thousands, H13_idle_for_an_hour,
			 N12_all_are_released_at_once);
}
