/* SPDX-License-Identifier: MIT */
/* What a program can wish for besides a mapping: no suggestion, that very port, another try now;
 * and what a lease tells of its times. */
#include <poll.h>

#include "client.h"

static unsigned suggested(const struct heard *heard)
{
	return (unsigned)heard->bytes[6] << 8 | heard->bytes[7];
}

/* --- NATPMP_ANY_PORT --- */

START_TEST(any_port_suggests_none)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);
	struct events events = {0};
	natpmp_lease *lease;

	m.flags = NATPMP_ANY_PORT;
	responder_be(r, &(struct manner){.external_port = 4711});
	ok(natpmp_map(ctx, &m));
	ck_assert_uint_eq(m.external_port, 4711);
	ck_assert_uint_eq(m.flags, NATPMP_ANY_PORT);
	struct heard first = responder_nth(r, 0);
	ck_assert_uint_eq(suggested(&first), 0);

	m = wanted(NATPMP_UDP, 53, 60);
	m.flags = NATPMP_ANY_PORT;
	ok(natpmp_hold(ctx, &m, note_event, &events, &lease));
	ck_assert(drive(ctx, &events, 1, SOON));
	ck_assert_uint_eq(events.at[0].now.mapping.external_port, 4711);
	ck_assert_uint_eq(events.at[0].now.mapping.flags, NATPMP_ANY_PORT);
	struct heard held = responder_nth(r, 2);
	ck_assert_uint_eq(held.bytes[1], NATPMP_UDP);
	ck_assert_uint_eq(suggested(&held), 0);
	ok(natpmp_free(ctx));
	responder_stop(r);
}

/* The second half has to ask for what the first one got. */
START_TEST(any_port_for_both)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_TCP_UDP, 6881, 60);

	m.flags = NATPMP_ANY_PORT;
	ok(natpmp_map(ctx, &m));
	for (size_t i = 0; i < responder_heard(r); i++) {
		struct heard heard = responder_nth(r, i);
		if (heard.len == 12) /* not the question for the address */
			ck_assert_uint_eq(suggested(&heard),
					  heard.bytes[1] == NATPMP_UDP ? 0 : m.external_port);
	}
	ck_assert_uint_eq(responder_asked(r, NATPMP_TCP, 6881), 1);
	natpmp_free(ctx);
	responder_stop(r);
}

/* --- NATPMP_EXACT_PORT --- */

START_TEST(exact_port_that_is_free)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_TCP_UDP, 80, 60);

	m.external_port = 8080;
	m.flags = NATPMP_EXACT_PORT;
	ok(natpmp_map(ctx, &m));
	ck_assert_uint_eq(m.external_port, 8080);
	ck_assert_uint_eq(m.flags, NATPMP_EXACT_PORT);
	ok(natpmp_free(ctx));
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 80), 0);
	responder_stop(r);
}

/* What the gateway gave instead is given back before the call returns. */
static void exact_port_is_taken(natpmp_protocol protocol)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(protocol, 80, 60);

	m.external_port = 8080;
	m.flags = NATPMP_EXACT_PORT;
	natpmp_mapping before = m;
	responder_be(r, &(struct manner){.external_port = 4711});
	uint64_t began = now_ms();
	ck_assert_int_eq(natpmp_map(ctx, &m), NATPMP_E_OTHER_PORT);
	ck_assert_uint_lt(now_ms() - began, 1000);
	ck_assert_mem_eq(&m, &before, sizeof(m));
	for (uint8_t bit = NATPMP_UDP; bit <= NATPMP_TCP; bit++) {
		size_t asked = responder_asked(r, bit, 80);
		size_t deleted = responder_deleted(r, bit, 80);
		ck_assert_uint_le(asked, 1);
		ck_assert_msg(deleted >= asked, "%zu asked, %zu deleted", asked, deleted);
	}
	struct heard last = responder_nth(r, responder_heard(r) - 1);
	ck_assert_uint_eq(last.len, 12);
	ck_assert_uint_eq(suggested(&last), 0); /* a deletion */
	ok(natpmp_free(ctx));
	responder_stop(r);
}

START_TEST(exact_port_that_is_taken)
{
	exact_port_is_taken(NATPMP_TCP);
	exact_port_is_taken(NATPMP_UDP);
	exact_port_is_taken(NATPMP_TCP_UDP);
}

/* One half gets it: neither stays. */
START_TEST(exact_port_for_one_half_only)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_TCP_UDP, 80, 60);

	m.external_port = 8080; /* even: UDP gets it, TCP does not */
	m.flags = NATPMP_EXACT_PORT;
	responder_be(r, &(struct manner){.contrary = true});
	ck_assert_int_eq(natpmp_map(ctx, &m), NATPMP_E_OTHER_PORT);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_UDP, 80), 1);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 80), 1);
	ok(natpmp_free(ctx));
	responder_stop(r);
}

/* A hold is told so at once, keeps nothing, and comes up when the port is free. */
START_TEST(exact_port_of_a_hold)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);
	struct events events = {0};
	natpmp_lease *lease;
	natpmp_state state;

	m.external_port = 8080;
	m.flags = NATPMP_EXACT_PORT;
	responder_be(r, &(struct manner){.external_port = 4711});
	ok(natpmp_hold(ctx, &m, note_event, &events, &lease));
	ck_assert(drive(ctx, &events, 1, SOON));
	ck_assert_int_eq(events.at[0].now.status, NATPMP_E_OTHER_PORT);
	ck_assert_uint_eq(events.at[0].now.mapping.external_port, 8080); /* as wanted */
	drive(ctx, &events, 2, 200);
	ck_assert_uint_eq(responder_asked(r, NATPMP_TCP, 80), 1);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 80), 1);
	ok(natpmp_lease_state(lease, &state));
	ck_assert_uint_gt(state.retry_in, 20000);
	ck_assert_uint_le(state.retry_in, 30000);

	responder_be(r, &(struct manner){0});
	ok(natpmp_retry(lease));
	ck_assert(drive(ctx, &events, 2, SOON));
	ck_assert_int_eq(events.at[1].now.status, NATPMP_OK);
	ck_assert_uint_eq(events.at[1].now.mapping.external_port, 8080);
	ok(natpmp_free(ctx));
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 80), 2);
	responder_stop(r);
}

/* --- natpmp_retry() --- */

START_TEST(retry_does_not_wait)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);
	struct events events = {0};
	natpmp_lease *lease;

	responder_be(r, &(struct manner){.result = 2});
	ok(natpmp_hold(ctx, &m, note_event, &events, &lease));
	ck_assert(drive(ctx, &events, 1, SOON));
	ck_assert_int_eq(events.at[0].now.status, NATPMP_E_NOT_AUTHORIZED);
	drive(ctx, &events, 2, 300);
	ck_assert_uint_eq(responder_asked(r, NATPMP_TCP, 80), 1); /* again in 30 s */
	ok(natpmp_retry(lease));
	drive(ctx, &events, 2, 200);
	ck_assert_uint_eq(responder_asked(r, NATPMP_TCP, 80), 2); /* in vain, and nothing told */
	ck_assert_uint_eq(events.count, 1);
	responder_be(r, &(struct manner){0});
	ok(natpmp_retry(lease));
	ck_assert(drive(ctx, &events, 2, SOON));
	ck_assert_int_eq(events.at[1].now.status, NATPMP_OK);
	ok(natpmp_retry(lease)); /* up: nothing to do */
	drive(ctx, &events, 3, 200);
	ck_assert_uint_eq(responder_asked(r, NATPMP_TCP, 80), 3);
	ck_assert_int_eq(natpmp_retry(NULL), NATPMP_E_INVALID);
	ok(natpmp_free(ctx));
	responder_stop(r);
}

/* The gateway was silent for so long that it is left in peace for seconds: not now. */
START_TEST(retry_ends_a_backoff)
{
	uint16_t port = closed_port();
	natpmp_ctx *ctx = client(port, 0);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);
	struct events events = {0};
	natpmp_lease *lease;

	ok(natpmp_hold(ctx, &m, note_event, &events, &lease));
	ck_assert(drive(ctx, &events, 1, SOON));
	drive(ctx, &events, 2, 3300); /* refused at 0, 1, 3 s; next at 7 s */
	struct responder *r = responder_start_at(port);
	ck_assert_ptr_nonnull(r);
	ok(natpmp_retry(lease));
	ck_assert(drive(ctx, &events, 2, 1000));
	ck_assert_int_eq(events.at[1].now.status, NATPMP_OK);
	ok(natpmp_free(ctx));
	responder_stop(r);
}

static void retry_here(natpmp_lease *lease, const natpmp_state *before, const natpmp_state *now,
		       void *arg)
{
	unsigned *calls = arg;

	(void)before;
	(void)now;
	++*calls;
	ok(natpmp_retry(lease));
}

/* Whatever a callback wishes, the loop goes on. */
START_TEST(retry_in_a_callback)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);
	struct events none = {0};
	natpmp_lease *lease;
	unsigned calls = 0;

	responder_be(r, &(struct manner){.result = 2});
	ok(natpmp_hold(ctx, &m, retry_here, &calls, &lease));
	drive(ctx, &none, 1, 300);
	ck_assert_uint_eq(calls, 1);
	ck_assert_uint_eq(responder_asked(r, NATPMP_TCP, 80), 2);
	ok(natpmp_free(ctx));
	responder_stop(r);
}

/* --- natpmp_state --- */

START_TEST(state_tells_times_and_results)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);
	struct events events = {0};
	natpmp_lease *lease;
	natpmp_state state;

	responder_be(r, &(struct manner){.delay = 50});
	ok(natpmp_hold(ctx, &m, note_event, &events, &lease));
	ok(natpmp_lease_state(lease, &state));
	ck_assert_uint_eq(state.retry_in, 0); /* being asked for */
	ck_assert_uint_eq(state.expires_in, 0);
	ck_assert_int_eq(state.result, 0);
	ck_assert(drive(ctx, &events, 1, SOON));
	ck_assert_uint_gt(events.at[0].now.expires_in, 595000);
	ck_assert_uint_le(events.at[0].now.expires_in, 600000);
	ck_assert_uint_eq(events.at[0].now.retry_in, 0);
	poll(NULL, 0, 300);
	ok(natpmp_lease_state(lease, &state));
	ck_assert_uint_le(state.expires_in, 599700);
	ck_assert_uint_gt(state.expires_in, 595000);
	ok(natpmp_release(lease));
	drive(ctx, &events, 2, 200);

	static const int results[] = {2, 4, 6, 65535};
	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
		responder_be(r, &(struct manner){.result = (uint16_t)results[i]});
		events.count = 0;
		ok(natpmp_hold(ctx, &m, note_event, &events, &lease));
		ck_assert(drive(ctx, &events, 1, SOON));
		ck_assert_int_eq(events.at[0].now.result, results[i]);
		ck_assert_uint_eq(events.at[0].now.failures, 1);
		ok(natpmp_lease_state(lease, &state));
		ck_assert_int_eq(state.result, results[i]);
		ck_assert_uint_gt(state.retry_in, 29000);
		ck_assert_uint_le(state.retry_in, 30000);
		ck_assert_uint_eq(state.expires_in, 0);
		ok(natpmp_release(lease));
		drive(ctx, &events, 2, 50);
	}
	natpmp_free(ctx);
	responder_stop(r);
}

START_TEST(state_without_a_link)
{
	natpmp_options options = NATPMP_OPTIONS_INIT;
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);
	natpmp_lease *lease;
	natpmp_state state;
	natpmp_ctx *ctx;

	options.interface = "no-such-thing";
	ok(natpmp_new(&ctx, &options));
	ok(natpmp_hold(ctx, &m, NULL, NULL, &lease));
	ok(natpmp_process(ctx));
	ok(natpmp_lease_state(lease, &state));
	ck_assert_int_eq(state.status, NATPMP_E_NO_INTERFACE);
	ck_assert_uint_eq(state.retry_in, UINT64_MAX); /* for an interface to come */
	ck_assert_int_eq(natpmp_timeout(ctx), -1);
	natpmp_free(ctx);
}

int main(void)
{
	return RUN_TESTS("api-wishes", any_port_suggests_none, any_port_for_both,
			 exact_port_that_is_free, exact_port_that_is_taken,
			 exact_port_for_one_half_only, exact_port_of_a_hold, retry_does_not_wait,
			 retry_ends_a_backoff, retry_in_a_callback, state_tells_times_and_results,
			 state_without_a_link);
}
