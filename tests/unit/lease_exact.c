/* SPDX-License-Identifier: MIT */
/* This external port or none: any other one is given back at once, and asked for again later. */
#include "story.h"
#include "suite.h"

START_TEST(exact_port_is_granted)
{
	struct story s;

	story_begin(&s);
	s.is_exact = true;
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 8080, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 8080, 7200);
	gateway_grants(&s, 8080, 7200);
	client_asks_address(&s, 0);
	gateway_tells_address(&s, ADDRESS);
	lease_comes_up(&s, 0, web, 8080);
	client_asks(&s, HOUR, NATPMP_TCP, 80, 8080, 7200);
	story_end(&s);
}

/* Given back completely, told once, asked for again after 30 s, 60 s, ..., and up at last. */
START_TEST(exact_port_is_taken)
{
	struct story s;

	story_begin(&s);
	s.is_exact = true;
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 8080, 7200);
	uint64_t at = 0;
	for (unsigned i = 0; i < 4; i++) {
		client_asks(&s, at, NATPMP_TCP, 80, 8080, 7200);
		gateway_grants(&s, 8081, 7200);
		if (external_is_stale(&s.client.external, story_now(&s)) || i == 0 || at >= 60000) {
			client_asks_address(&s, at);
			gateway_tells_address(&s, ADDRESS);
		}
		client_deletes(&s, at, NATPMP_TCP, 80);
		if (i == 0)
			lease_goes_down(&s, 0, web, NATPMP_E_OTHER_PORT);
		gateway_confirms(&s);
		ck_assert(!lease_holds_good(&s, web));
		at += (uint64_t)(30 * SECOND) << i;
		nothing_happens_until(&s, at - 1);
	}
	client_asks(&s, at, NATPMP_TCP, 80, 8080, 7200);
	gateway_grants(&s, 8080, 7200);
	if (s.sent_told < s.sent_count) {
		client_asks_address(&s, at);
		gateway_tells_address(&s, ADDRESS);
	}
	lease_comes_up(&s, at, web, 8080);
	story_end(&s);
}

/* A blocking call hears OTHER_PORT, and nothing is left. */
START_TEST(exact_port_of_a_blocking_call)
{
	struct story s;

	story_begin(&s);
	s.is_exact = true;
	struct lease *web = program_maps(&s, NATPMP_TCP, 80, 8080, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 8080, 7200);
	gateway_grants(&s, 8081, 7200);
	ck_assert_int_eq(web->status, NATPMP_E_OTHER_PORT);
	program_leaves(&s, web);
	client_deletes(&s, 0, NATPMP_TCP, 80);
	gateway_confirms(&s);
	ck_assert(client_is_empty(&s.client));
	ck_assert_int_eq(leftover_status(&s), NATPMP_OK);
	nothing_happens_until(&s, HOUR);
	story_end(&s);
}

/* The same for both protocols. */
START_TEST(exact_port_of_a_blocking_call_for_both)
{
	struct story s;

	story_begin(&s);
	s.is_exact = true;
	struct lease *both = program_maps(&s, NATPMP_TCP_UDP, 80, 8080, 7200);
	client_asks(&s, 0, NATPMP_UDP, 80, 8080, 7200);
	gateway_grants(&s, 8080, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 8080, 7200);
	gateway_grants(&s, 8081, 7200);
	ck_assert_int_eq(both->status, NATPMP_E_OTHER_PORT);
	program_leaves(&s, both);
	unsigned deleted = 0;
	while (s.sent_told < s.sent_count) {
		struct sent sent = client_sends_something(&s);
		ck_assert(sent_is_deletion(&sent));
		deleted |= sent.bytes[1];
		gateway_confirms(&s);
	}
	ck_assert_uint_eq(deleted, NATPMP_TCP_UDP);
	ck_assert(client_is_empty(&s.client));
	story_end(&s);
}

/* Both protocols: the one that is granted elsewhere is given back, and so is the other. */
START_TEST(exact_port_of_both)
{
	struct story s;

	story_begin(&s);
	s.is_exact = true;
	struct lease *both = program_holds(&s, NATPMP_TCP_UDP, 80, 8080, 7200);
	client_asks(&s, 0, NATPMP_UDP, 80, 8080, 7200);
	gateway_grants(&s, 8080, 7200);
	client_asks_address(&s, 0);
	gateway_tells_address(&s, ADDRESS);
	client_asks(&s, 0, NATPMP_TCP, 80, 8080, 7200);
	gateway_grants(&s, 8081, 7200);
	lease_goes_down(&s, 0, both, NATPMP_E_OTHER_PORT);
	unsigned deleted = 0;
	while (s.sent_told < s.sent_count) {
		struct sent sent = client_sends_something(&s);
		ck_assert(sent_is_deletion(&sent));
		deleted |= sent.bytes[1];
		gateway_confirms(&s);
	}
	ck_assert_uint_eq(deleted, NATPMP_TCP_UDP);
	s.gateway = gateway_obliges;
	clock_runs_until(&s, 31 * SECOND);
	ck_assert_int_eq(both->told.status, NATPMP_OK);
	ck_assert_uint_eq(both->told.external_port, 8080);
	story_skip(&s);
	story_end(&s);
}

/* A renewal that moves it makes it go down. */
START_TEST(exact_port_is_lost_at_a_renewal)
{
	struct story s;

	story_begin(&s);
	s.is_exact = true;
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 120);
	client_asks(&s, MINUTE, NATPMP_TCP, 80, 80, 120);
	gateway_grants(&s, 81, 120);
	client_asks_address(&s, MINUTE);
	gateway_tells_address(&s, ADDRESS);
	lease_goes_down(&s, MINUTE, web, NATPMP_E_OTHER_PORT);
	client_deletes(&s, MINUTE, NATPMP_TCP, 80);
	gateway_confirms(&s);
	client_asks(&s, 90 * SECOND, NATPMP_TCP, 80, 80, 120);
	gateway_grants(&s, 80, 120);
	lease_comes_up(&s, 90 * SECOND, web, 80);
	story_end(&s);
}

/* The gateway will not give it back: told as left over when it is released. */
START_TEST(exact_port_is_not_taken_back)
{
	struct story s;

	story_begin(&s);
	s.is_exact = true;
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 8080, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 8080, 7200);
	gateway_grants(&s, 8081, 7200);
	client_asks_address(&s, 0);
	gateway_tells_address(&s, ADDRESS);
	client_deletes(&s, 0, NATPMP_TCP, 80);
	lease_goes_down(&s, 0, web, NATPMP_E_OTHER_PORT);
	gateway_refuses(&s, 2);
	nothing_happens_until(&s, SECOND);
	program_releases(&s, web);
	client_deletes(&s, SECOND, NATPMP_TCP, 80); /* once more, on leaving */
	gateway_refuses(&s, 2);
	ck_assert_int_eq(leftover_status(&s), NATPMP_E_NOT_AUTHORIZED);
	nothing_happens_until(&s, HOUR);
	story_end(&s);
}

/* --- try again now --- */

START_TEST(retry_asks_at_once)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	gateway_refuses(&s, 2);
	lease_goes_down(&s, 0, web, NATPMP_E_NOT_AUTHORIZED);
	nothing_happens_until(&s, 10 * SECOND);
	program_retries(&s, web);
	client_asks(&s, 10 * SECOND, NATPMP_TCP, 80, 80, 7200);
	gateway_refuses(&s, 2);
	/* and the waits begin anew */
	nothing_happens_until(&s, 40 * SECOND - 1);
	client_asks(&s, 40 * SECOND, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, 40 * SECOND);
	gateway_tells_address(&s, ADDRESS);
	lease_comes_up(&s, 40 * SECOND, web, 80);
	story_end(&s);
}

/* Through a backoff of 64 s. */
START_TEST(retry_passes_a_backoff)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	for (unsigned i = 0; i < 8; i++) {
		client_sends_something(&s);
		request_bounces(&s, NATPMP_E_REFUSED);
	}
	lease_goes_down(&s, 0, web, NATPMP_E_REFUSED);
	uint64_t at = s.now + 5 * SECOND;
	nothing_happens_until(&s, at);
	program_retries(&s, web);
	client_asks(&s, at, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, at);
	gateway_tells_address(&s, ADDRESS);
	lease_comes_up(&s, at, web, 80);
	story_end(&s);
}

/* Nothing is wrong with it, or it is being asked for: nothing is sent. */
START_TEST(retry_of_what_is_up)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	clock_runs_until(&s, MINUTE);
	program_retries(&s, web);
	nothing_happens_until(&s, MINUTE + SECOND);
	struct lease *dns = program_holds(&s, NATPMP_UDP, 53, 0, 7200);
	client_asks(&s, MINUTE + SECOND, NATPMP_UDP, 53, 53, 7200);
	program_retries(&s, dns);
	client_repeats(&s, 1);
	story_end(&s);
}

/* An exact port that was taken is asked for at once, too. */
START_TEST(retry_of_an_exact_port)
{
	struct story s;

	story_begin(&s);
	s.is_exact = true;
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 8080, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 8080, 7200);
	gateway_grants(&s, 8081, 7200);
	client_asks_address(&s, 0);
	gateway_tells_address(&s, ADDRESS);
	client_deletes(&s, 0, NATPMP_TCP, 80);
	lease_goes_down(&s, 0, web, NATPMP_E_OTHER_PORT);
	gateway_confirms(&s);
	nothing_happens_until(&s, 10 * SECOND);
	program_retries(&s, web);
	client_asks(&s, 10 * SECOND, NATPMP_TCP, 80, 8080, 7200);
	gateway_grants(&s, 8080, 7200);
	lease_comes_up(&s, 10 * SECOND, web, 8080);
	story_end(&s);
}

int main(void)
{
	return RUN_TESTS("lease-exact", exact_port_is_granted, exact_port_is_taken,
			 exact_port_of_a_blocking_call, exact_port_of_a_blocking_call_for_both,
			 exact_port_of_both, exact_port_is_lost_at_a_renewal,
			 exact_port_is_not_taken_back, retry_asks_at_once, retry_passes_a_backoff,
			 retry_of_what_is_up, retry_of_an_exact_port);
}
