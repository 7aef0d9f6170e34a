/* SPDX-License-Identifier: MIT */
/* What a program with a loop is told by callbacks besides events: natpmp_start_unmap(),
 * natpmp_watch(). */
#include <string.h>

#include "client.h"

/* --- natpmp_start_unmap() --- */

struct answer {
	int count, status;
};

static void note_answer(void *arg, int status)
{
	struct answer *answer = arg;

	answer->count++;
	answer->status = status;
}

/* Is it answered within that time? Never from within the call itself. */
static int unmap_in_loop(natpmp_ctx *ctx, natpmp_protocol protocol, unsigned ms)
{
	natpmp_mapping m = wanted(protocol, 80, 0);
	struct answer answer = {0};
	struct events none = {0};
	uint64_t began = now_ms();

	ok(natpmp_start_unmap(ctx, &m, note_answer, &answer));
	ck_assert_int_eq(answer.count, 0);
	while (!answer.count && now_ms() - began < ms)
		drive(ctx, &none, 1, 10);
	drive(ctx, &none, 1, 100);
	ck_assert_int_eq(answer.count, 1);
	ck_assert_int_eq(natpmp_timeout(ctx), -1); /* and all is over */
	return answer.status;
}

START_TEST(N36_unmap_in_a_loop)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_TCP_UDP, 80, 60);

	ok(natpmp_map(ctx, &m));
	ok(unmap_in_loop(ctx, NATPMP_TCP_UDP, SOON));
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 80), 1);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_UDP, 80), 1);
	responder_be(r, &(struct manner){.result = 2});
	ck_assert_int_eq(unmap_in_loop(ctx, NATPMP_UDP, SOON), NATPMP_E_NOT_AUTHORIZED);
	ok(natpmp_free(ctx));
	responder_stop(r);
}

START_TEST(unmap_in_a_loop_ends_at_the_deadline)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 300);

	responder_be(r, &(struct manner){.silent = true});
	uint64_t began = now_ms();
	ck_assert_int_eq(unmap_in_loop(ctx, NATPMP_TCP, SOON), NATPMP_E_TIMEOUT);
	ck_assert_uint_ge(now_ms() - began, 300);
	ck_assert_uint_lt(now_ms() - began, 800);
	natpmp_free(ctx);
	responder_stop(r);
}

START_TEST(unmap_in_a_loop_is_refused)
{
	natpmp_ctx *ctx = client(closed_port(), SOON);
	uint64_t began = now_ms();

	ck_assert_int_eq(unmap_in_loop(ctx, NATPMP_TCP, SOON), NATPMP_E_REFUSED);
	ck_assert_uint_lt(now_ms() - began, 1000);
	natpmp_free(ctx);
}

START_TEST(unmap_in_a_loop_without_a_link)
{
	natpmp_options options = NATPMP_OPTIONS_INIT;
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 0);
	struct answer answer = {0};
	natpmp_ctx *ctx;

	options.interface = "no-such-thing";
	ok(natpmp_new(&ctx, &options));
	ok(natpmp_start_unmap(ctx, &m, note_answer, &answer));
	ck_assert_int_eq(natpmp_timeout(ctx), 0);
	ok(natpmp_process(ctx));
	ck_assert_int_eq(answer.count, 1);
	ck_assert_int_eq(answer.status, NATPMP_E_NO_INTERFACE);
	natpmp_free(ctx);
}

START_TEST(unmap_in_a_loop_tells_nobody)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 0);
	struct events none = {0};

	ok(natpmp_start_unmap(ctx, &m, NULL, NULL));
	drive(ctx, &none, 1, 200);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 80), 1);
	ck_assert_int_eq(natpmp_timeout(ctx), -1);
	natpmp_free(ctx);
	responder_stop(r);
}

START_TEST(unmap_in_a_loop_of_what_is_held)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 0), both = wanted(NATPMP_TCP_UDP, 80, 0);
	struct answer answer = {0};
	struct events none = {0};

	natpmp_lease *lease = hold_up(ctx, NATPMP_TCP, 80, NULL);
	ck_assert_int_eq(natpmp_start_unmap(ctx, &m, note_answer, &answer), NATPMP_E_HELD);
	ck_assert_int_eq(natpmp_start_unmap(ctx, &both, note_answer, &answer), NATPMP_E_HELD);
	drive(ctx, &none, 1, 100);
	ck_assert_int_eq(answer.count, 0);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 80), 0);
	ok(natpmp_release(lease));
	ok(unmap_in_loop(ctx, NATPMP_TCP, SOON));
	natpmp_free(ctx);
	responder_stop(r);
}

struct chain {
	natpmp_ctx *ctx;
	int calls;
};

/* Each answer starts the next one; what would block or free is BUSY. */
static void start_next(void *arg, int status)
{
	struct chain *chain = arg;
	natpmp_mapping m = wanted(NATPMP_TCP, (uint16_t)(81 + chain->calls), 0);

	ok(status);
	ck_assert_int_eq(natpmp_unmap(chain->ctx, &m), NATPMP_E_BUSY);
	ck_assert_int_eq(natpmp_process(chain->ctx), NATPMP_E_BUSY);
	ck_assert_int_eq(natpmp_free(chain->ctx), NATPMP_E_BUSY);
	if (++chain->calls < 3)
		ok(natpmp_start_unmap(chain->ctx, &m, start_next, chain));
}

START_TEST(answer_starts_the_next_one)
{
	struct responder *r = responder_start();
	struct chain chain = {.ctx = client(responder_port(r), SOON)};
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 0);
	struct events none = {0};

	ok(natpmp_start_unmap(chain.ctx, &m, start_next, &chain));
	drive(chain.ctx, &none, 1, 300);
	ck_assert_int_eq(chain.calls, 3);
	for (uint16_t port = 80; port < 83; port++)
		ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, port), 1);
	ok(natpmp_free(chain.ctx));
	responder_stop(r);
}

/* Held before the answer came: one answer all the same, and the hold comes up. */
START_TEST(unmap_in_a_loop_of_what_is_held_then)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 1000);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);
	struct answer answer = {0};
	struct events events = {0};
	natpmp_lease *lease;

	responder_be(r, &(struct manner){.delay = 100});
	ok(natpmp_start_unmap(ctx, &m, note_answer, &answer));
	ok(natpmp_hold(ctx, &m, note_event, &events, &lease));
	ck_assert(drive(ctx, &events, 1, SOON));
	ck_assert_int_eq(events.at[0].now.status, NATPMP_OK);
	drive(ctx, &events, 2, 1100);
	ck_assert_int_eq(answer.count, 1);
	ck_assert_uint_eq(events.count, 1);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 80), 1);
	natpmp_free(ctx);
	responder_stop(r);
}

/* natpmp_free() waits for the answers, and tells them. */
START_TEST(free_while_unmapping_in_a_loop)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 0), n = wanted(NATPMP_TCP, 81, 0);
	struct answer answer = {0};

	responder_be(r, &(struct manner){.delay = 20});
	ok(natpmp_start_unmap(ctx, &m, note_answer, &answer));
	ok(natpmp_start_unmap(ctx, &n, note_answer, &answer));
	ok(natpmp_free(ctx));
	ck_assert_int_eq(answer.count, 2);
	ck_assert_int_eq(answer.status, NATPMP_OK);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 80), 1);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 81), 1);
	responder_stop(r);
}

/* --- natpmp_watch() --- */

struct seen {
	unsigned count;
	natpmp_gateway last;
};

static void see(natpmp_ctx *ctx, const natpmp_gateway *now, void *arg)
{
	struct seen *seen = arg;

	ck_assert_int_eq(natpmp_process(ctx), NATPMP_E_BUSY);
	ck_assert_int_eq(natpmp_free(ctx), NATPMP_E_BUSY);
	seen->count++;
	seen->last = *now;
}

static bool drive_until_seen(natpmp_ctx *ctx, const struct seen *seen, unsigned count, unsigned ms)
{
	uint64_t until = now_ms() + ms;
	struct events none = {0};

	while (seen->count < count && now_ms() < until)
		drive(ctx, &none, 1, 10);
	return seen->count >= count;
}

START_TEST(watch_tells_of_the_gateway)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 0);
	struct seen seen = {0};

	ok(natpmp_watch(ctx, see, &seen));
	ck_assert_uint_eq(seen.count, 0); /* never from within */
	ck_assert(drive_until_seen(ctx, &seen, 1, SOON));
	drive_until_seen(ctx, &seen, EVENTS_MAX, 100);
	ck_assert_int_eq(seen.last.status, NATPMP_OK);
	ck_assert_str_eq(seen.last.external_address, "203.0.113.5");
	ck_assert_str_eq(seen.last.link.gateway, "127.0.0.1");
	ck_assert_str_eq(seen.last.link.internal_address, "127.0.0.1");
	ck_assert_str_eq(seen.last.link.interface, "lo");
	ck_assert_uint_eq(seen.last.link.gateway_port, responder_port(r));
	ck_assert_uint_eq(responder_heard(r), 1); /* one question, and no mapping */

	unsigned count = seen.count;
	ok(natpmp_watch(ctx, NULL, NULL));
	ck_assert_int_eq(natpmp_timeout(ctx), -1);
	drive_until_seen(ctx, &seen, count + 1, 100);
	ck_assert_uint_eq(seen.count, count);
	ok(natpmp_free(ctx));
	responder_stop(r);
}

START_TEST(watch_beside_a_hold)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 0);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 2);
	struct events events = {0};
	struct seen seen = {0};
	natpmp_lease *lease;

	ok(natpmp_watch(ctx, see, &seen));
	ok(natpmp_hold(ctx, &m, note_event, &events, &lease));
	ck_assert(drive(ctx, &events, 1, SOON));
	ck_assert_int_eq(seen.last.status, NATPMP_OK);
	ck_assert_str_eq(seen.last.external_address, "203.0.113.5");
	/* Going on watching when the last lease has gone, and holding on when nobody watches. */
	ok(natpmp_release(lease));
	drive_until_seen(ctx, &seen, EVENTS_MAX, 100);
	ck_assert_int_gt(natpmp_timeout(ctx), 0);
	ok(natpmp_hold(ctx, &m, note_event, &events, &lease));
	ck_assert(drive(ctx, &events, 2, SOON));
	ok(natpmp_watch(ctx, NULL, NULL));
	unsigned count = seen.count;
	drive(ctx, &events, 3, 1300);
	ck_assert_uint_eq(seen.count, count);
	ck_assert_uint_ge(responder_asked(r, NATPMP_TCP, 80), 3);
	ok(natpmp_release(lease));
	ok(natpmp_free(ctx));
	responder_stop(r);
}

START_TEST(watch_of_a_gateway_that_goes_away)
{
	struct responder *r = responder_start();
	uint16_t port = responder_port(r);
	natpmp_ctx *ctx = client(port, 0);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 2);
	struct seen seen = {0};
	natpmp_lease *lease;

	ok(natpmp_watch(ctx, see, &seen));
	ok(natpmp_hold(ctx, &m, NULL, NULL, &lease)); /* renewed every second, so it is noticed */
	ck_assert(drive_until_seen(ctx, &seen, 1, SOON));
	responder_stop(r);
	unsigned count = seen.count;
	ck_assert(drive_until_seen(ctx, &seen, count + 1, SOON));
	ck_assert_int_eq(seen.last.status, NATPMP_E_REFUSED);
	ck_assert_str_eq(seen.last.link.gateway, "127.0.0.1");
	/* A question for the address that came to nothing does not count once it answers. */
	char address[NATPMP_ADDRESS_LEN];
	ck_assert_int_eq(natpmp_external_address(ctx, address), NATPMP_E_REFUSED);
	r = responder_start_at(port);
	ck_assert_ptr_nonnull(r);
	for (uint64_t until = now_ms() + 8000; now_ms() < until && seen.last.status != NATPMP_OK;)
		drive_until_seen(ctx, &seen, seen.count + 1, 100);
	ck_assert_int_eq(seen.last.status, NATPMP_OK);
	ck_assert_str_eq(seen.last.external_address, "203.0.113.5");
	ok(natpmp_free(ctx));
	responder_stop(r);
}

/* It answers, though not about its address any more. */
START_TEST(watch_of_a_gateway_that_tells_no_address)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 300);
	char address[NATPMP_ADDRESS_LEN];
	struct seen seen = {0};

	ok(natpmp_watch(ctx, see, &seen));
	hold_up(ctx, NATPMP_TCP, 80, NULL);
	drive_until_seen(ctx, &seen, EVENTS_MAX, 100);
	responder_be(r, &(struct manner){.address_silent = true});
	ck_assert_int_eq(natpmp_external_address(ctx, address), NATPMP_E_TIMEOUT);
	hold_up(ctx, NATPMP_TCP, 81, NULL);
	drive_until_seen(ctx, &seen, EVENTS_MAX, 100);
	ck_assert_int_eq(seen.last.status, NATPMP_OK);
	ck_assert_str_eq(seen.last.external_address, "203.0.113.5");

	/* A no is an answer, too. */
	responder_be(r, &(struct manner){.address_result = 3});
	ck_assert_int_eq(natpmp_external_address(ctx, address), NATPMP_E_NETWORK_FAILURE);
	drive_until_seen(ctx, &seen, EVENTS_MAX, 100);
	ck_assert_int_eq(seen.last.status, NATPMP_E_NETWORK_FAILURE);
	ck_assert_str_eq(seen.last.external_address, "");
	natpmp_free(ctx);
	responder_stop(r);
}

/* Without a mapping, too: nobody is there at first. */
START_TEST(watch_of_a_gateway_that_comes)
{
	uint16_t port = closed_port();
	natpmp_ctx *ctx = client(port, 0);
	struct seen seen = {0};

	ok(natpmp_watch(ctx, see, &seen));
	ck_assert(drive_until_seen(ctx, &seen, 1, SOON));
	ck_assert_int_eq(seen.last.status, NATPMP_E_REFUSED);
	ck_assert_str_eq(seen.last.external_address, "");
	struct responder *r = responder_start_at(port);
	ck_assert_ptr_nonnull(r);
	while (seen.last.status != NATPMP_OK && drive_until_seen(ctx, &seen, seen.count + 1, 9000))
		;
	ck_assert_int_eq(seen.last.status, NATPMP_OK);
	ok(natpmp_free(ctx));
	responder_stop(r);
}

static void stop_watching(natpmp_ctx *ctx, const natpmp_gateway *now, void *arg)
{
	unsigned *calls = arg;

	(void)now;
	++*calls;
	ok(natpmp_watch(ctx, NULL, NULL));
}

START_TEST(watch_ends_in_its_callback)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 0);
	unsigned calls = 0;
	struct events none = {0};

	ok(natpmp_watch(ctx, stop_watching, &calls));
	drive(ctx, &none, 1, 200);
	ck_assert_uint_eq(calls, 1);
	ck_assert_int_eq(natpmp_timeout(ctx), -1);
	ok(natpmp_watch(ctx, stop_watching, &calls)); /* and begins again */
	drive(ctx, &none, 1, 200);
	ck_assert_uint_eq(calls, 2);
	ok(natpmp_free(ctx));
	responder_stop(r);
}

int main(void)
{
	return RUN_TESTS("api-notify", N36_unmap_in_a_loop, unmap_in_a_loop_ends_at_the_deadline,
			 unmap_in_a_loop_is_refused, unmap_in_a_loop_without_a_link,
			 unmap_in_a_loop_tells_nobody, unmap_in_a_loop_of_what_is_held,
			 answer_starts_the_next_one, unmap_in_a_loop_of_what_is_held_then,
			 free_while_unmapping_in_a_loop, watch_tells_of_the_gateway,
			 watch_beside_a_hold, watch_of_a_gateway_that_goes_away,
			 watch_of_a_gateway_that_tells_no_address, watch_of_a_gateway_that_comes,
			 watch_ends_in_its_callback);
}
