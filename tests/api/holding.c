/* SPDX-License-Identifier: MIT */
/* Holds in a loop of the program's own. */
#include <poll.h>
#include <string.h>

#include "client.h"
#include "context.h"

START_TEST(H8_first_event_tells_how_it_went)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 0);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);
	struct events events = {0};
	natpmp_lease *lease;
	natpmp_state state;

	responder_be(r, &(struct manner){.external_port = 51234, .most = 300, .delay = 20});
	m.external_port = 8080;
	ok(natpmp_hold(ctx, &m, note_event, &events, &lease));
	ck_assert_uint_eq(events.count, 0); /* never from within */
	ok(natpmp_lease_state(lease, &state));
	ck_assert_int_eq(state.status, NATPMP_PENDING);
	ck_assert_uint_eq(state.mapping.external_port, 8080); /* as wanted */
	ck_assert_uint_eq(state.mapping.lifetime, 600);
	ck_assert(drive(ctx, &events, 1, SOON));
	ck_assert_ptr_eq(events.at[0].lease, lease);
	ck_assert_int_eq(events.at[0].before.status, NATPMP_PENDING);
	ck_assert_int_eq(events.at[0].now.status, NATPMP_OK);
	ok(natpmp_lease_state(lease, &state));
	ck_assert_mem_eq(&state.mapping, &events.at[0].now.mapping, sizeof(state.mapping));
	ck_assert_str_eq(state.mapping.internal_address, "127.0.0.1");
	ck_assert_str_eq(state.mapping.external_address, "203.0.113.5");
	ck_assert_int_eq(state.mapping.protocol, NATPMP_TCP);
	ck_assert_uint_eq(state.mapping.internal_port, 80);
	ck_assert_int_gt(natpmp_timeout(ctx), 100 * 1000); /* until the renewal */
	ck_assert_int_le(natpmp_timeout(ctx), 150 * 1000);
	natpmp_free(ctx);
	ck_assert_uint_eq(events.count, 1);
	responder_stop(r);
}

/* The first event about a hold that has 300 ms to open, and comes when they are over. */
static natpmp_state first_verdict(const struct manner *manner)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 300);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);
	struct events events = {0};
	natpmp_lease *lease;
	uint64_t began = now_ms();

	responder_be(r, manner);
	ok(natpmp_hold(ctx, &m, note_event, &events, &lease));
	ck_assert(drive(ctx, &events, 1, SOON));
	ck_assert_uint_ge(now_ms() - began, 300);
	natpmp_free(ctx);
	responder_stop(r);
	return events.at[0].now;
}

/* The deadline of the context, for holds, too: lease_opening.c has it on the virtual clock. */
START_TEST(silence_is_told_at_the_deadline)
{
	ck_assert_int_eq(first_verdict(&(struct manner){.silent = true}).status, NATPMP_E_TIMEOUT);
}

START_TEST(N54_hold_without_an_address)
{
	natpmp_state up = first_verdict(&(struct manner){.address_silent = true, .delay = 20});

	ck_assert_int_eq(up.status, NATPMP_OK);
	ck_assert_uint_eq(up.mapping.external_port, 80);
	ck_assert_str_eq(up.mapping.external_address, "");
}

START_TEST(refused_hold_is_down_and_comes_up)
{
	uint16_t port = closed_port();
	natpmp_ctx *ctx = client(port, 0);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);
	struct events events = {0};
	natpmp_lease *lease;

	ok(natpmp_hold(ctx, &m, note_event, &events, &lease));
	ck_assert(drive(ctx, &events, 1, SOON));
	ck_assert_int_eq(events.at[0].now.status, NATPMP_E_REFUSED);
	struct responder *r = responder_start_at(port);
	ck_assert_ptr_nonnull(r);
	ck_assert(drive(ctx, &events, 2, SOON)); /* tried again after a second */
	ck_assert_int_eq(events.at[1].before.status, NATPMP_E_REFUSED);
	ck_assert_int_eq(events.at[1].now.status, NATPMP_OK);
	natpmp_free(ctx);
	responder_stop(r);
}

START_TEST(timeout_is_never_without_holds)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 0);

	ck_assert_int_eq(natpmp_timeout(ctx), -1);
	ck_assert_int_ge(natpmp_fd(ctx), 0);
	ok(natpmp_process(ctx));
	natpmp_lease *lease = hold_up(ctx, NATPMP_TCP, 80, NULL);
	ck_assert_int_gt(natpmp_timeout(ctx), 0);
	int fd = natpmp_fd(ctx);
	ok(natpmp_release(lease));
	while (natpmp_timeout(ctx) != -1) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		poll(&p, 1, natpmp_timeout(ctx));
		ok(natpmp_process(ctx));
	}
	ck_assert_int_eq(natpmp_fd(ctx), fd); /* for its life */
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 80), 1);
	natpmp_free(ctx);
	responder_stop(r);
}

/* The descriptor alone is enough for a loop that knows no time-outs. */
START_TEST(descriptor_tells_time_too)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 0);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);
	struct events events = {0};
	struct pollfd p = {.fd = natpmp_fd(ctx), .events = POLLIN};
	natpmp_lease *lease;

	responder_be(r, &(struct manner){.lose = 1});
	ok(natpmp_hold(ctx, &m, note_event, &events, &lease));
	while (!events.count) {
		ck_assert_int_eq(poll(&p, 1, SOON), 1);
		ok(natpmp_process(ctx));
	}
	ck_assert_int_eq(poll(&p, 1, 50), 0); /* and quiet when nothing is to do */
	natpmp_free(ctx);
	responder_stop(r);
}

/* Retransmissions, a verdict of silence, the next try, renewals: a loop that never asks for a
 * time-out misses none of them. */
START_TEST(descriptor_alone_keeps_all_times)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 400);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 2), n = wanted(NATPMP_UDP, 53, 0);
	struct events events = {0};
	struct pollfd p = {.fd = natpmp_fd(ctx), .events = POLLIN};
	natpmp_lease *lease;

	responder_be(r, &(struct manner){.silent = true});
	ok(natpmp_hold(ctx, &m, note_event, &events, &lease));
	while (!events.count) {
		ck_assert_int_eq(poll(&p, 1, SOON), 1);
		ok(natpmp_process(ctx));
	}
	ck_assert_int_eq(events.at[0].now.status, NATPMP_E_TIMEOUT);
	responder_be(r, &(struct manner){0});
	while (events.count < 2) {
		ck_assert_int_eq(poll(&p, 1, 5000), 1);
		ok(natpmp_process(ctx));
	}
	ck_assert_int_eq(events.at[1].now.status, NATPMP_OK);
	size_t asked = responder_asked(r, NATPMP_TCP, 80);
	unsigned turns = 0;
	for (uint64_t until = now_ms() + 2300; now_ms() < until; turns++) {
		poll(&p, 1, 100);
		ok(natpmp_process(ctx));
	}
	ck_assert_uint_ge(responder_asked(r, NATPMP_TCP, 80), asked + 2);
	ck_assert_uint_le(turns, 60); /* it is not readable all the time */
	ck_assert_uint_eq(events.count, 2);

	/* A deletion that nobody answers ends at its deadline. */
	ok(natpmp_release(lease));
	for (int i = 0; i < 5; i++) {
		poll(&p, 1, 50);
		ok(natpmp_process(ctx));
	}
	responder_be(r, &(struct manner){.silent = true});
	ok(natpmp_start_unmap(ctx, &n, NULL, NULL));
	for (uint64_t until = now_ms() + 600; now_ms() < until;)
		if (poll(&p, 1, 600) == 1)
			ok(natpmp_process(ctx));
	ck_assert_int_eq(natpmp_timeout(ctx), -1);
	natpmp_free(ctx);
	responder_stop(r);
}

/* What another thread does can be due earlier than what the loop was told: it is woken up. A loop
 * that asks for time-outs needs no timer. */
START_TEST(descriptor_of_a_loop_that_knows_timeouts)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 0);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);
	struct events events = {0};
	struct pollfd p = {.fd = natpmp_fd(ctx), .events = POLLIN};
	natpmp_lease *lease;

	ck_assert_int_eq(natpmp_timeout(ctx), -1);
	responder_be(r, &(struct manner){.silent = true});
	ok(natpmp_hold(ctx, &m, note_event, &events, &lease)); /* as if from another thread */
	ck_assert_int_eq(poll(&p, 1, 100), 1);                 /* so that it asks again */
	ok(natpmp_process(ctx));
	int timeout = natpmp_timeout(ctx);
	ck_assert_int_ge(timeout, 0);
	ck_assert_int_le(timeout, 1000);
	ck_assert_int_eq(ctx->waiter.timer, NO_HANDLE);
	poll(NULL, 0, timeout + 1);
	ck_assert_int_eq(natpmp_timeout(ctx), 0);
	responder_be(r, &(struct manner){0});
	ck_assert(drive(ctx, &events, 1, SOON));
	natpmp_free(ctx);
	responder_stop(r);
}

START_TEST(N32_event_when_the_port_changes)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 0);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 2);
	struct events events = {0};
	natpmp_lease *lease;

	ok(natpmp_hold(ctx, &m, note_event, &events, &lease));
	ck_assert(drive(ctx, &events, 1, SOON));
	responder_be(r, &(struct manner){.external_port = 4711});
	ck_assert(drive(ctx, &events, 2, SOON));
	ck_assert_int_eq(events.at[1].before.status, NATPMP_OK);
	ck_assert_uint_eq(events.at[1].before.mapping.external_port, 80);
	ck_assert_int_eq(events.at[1].now.status, NATPMP_OK);
	ck_assert_uint_eq(events.at[1].now.mapping.external_port, 4711);
	ck_assert(!drive(ctx, &events, 3, 1500)); /* renewed, and nothing told */
	ck_assert_uint_ge(responder_asked(r, NATPMP_TCP, 80), 3);
	natpmp_free(ctx);
	responder_stop(r);
}

/* --- what is allowed in a callback --- */

struct visitor {
	natpmp_ctx *ctx;
	natpmp_lease *lease, *another;
	struct events events;
	size_t heard;
	struct responder *r;
	int calls;
};

static int never(natpmp_lease *lease, const natpmp_mapping *mapping, void *arg)
{
	(void)lease;
	(void)mapping;
	(void)arg;
	ck_abort_msg("the body ran");
	return 0;
}

static void try_blocking(natpmp_lease *lease, const natpmp_state *before, const natpmp_state *now,
			 void *arg)
{
	struct visitor *v = arg;
	natpmp_mapping m = wanted(NATPMP_UDP, 53, 60);
	natpmp_state state;
	natpmp_probe probe;
	natpmp_link link;
	char address[NATPMP_ADDRESS_LEN];

	(void)before;
	ck_assert_int_eq(now->status, NATPMP_OK);
	v->heard = responder_heard(v->r);
	ck_assert_int_eq(natpmp_map(v->ctx, &m), NATPMP_E_BUSY);
	ck_assert_int_eq(natpmp_unmap(v->ctx, &m), NATPMP_E_BUSY);
	ck_assert_int_eq(natpmp_unmap_all(v->ctx, NATPMP_UDP), NATPMP_E_BUSY);
	ck_assert_int_eq(natpmp_external_address(v->ctx, address), NATPMP_E_BUSY);
	ck_assert_int_eq(natpmp_get_probe(v->ctx, &probe), NATPMP_E_BUSY);
	ck_assert_int_eq(natpmp_process(v->ctx), NATPMP_E_BUSY);
	ck_assert_int_eq(natpmp_free(v->ctx), NATPMP_E_BUSY); /* and nothing is gone */
	ck_assert_int_eq(natpmp_with_mapping(v->ctx, &m, never, NULL), NATPMP_E_BUSY);
	ok(natpmp_lease_state(lease, &state));
	ok(natpmp_get_link(v->ctx, &link));
	(void)natpmp_timeout(v->ctx);
	ck_assert_int_ge(natpmp_fd(v->ctx), 0);
	v->calls++;
}

START_TEST(blocking_calls_in_a_callback_are_busy)
{
	struct visitor v = {.r = responder_start()};
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);

	v.ctx = client(responder_port(v.r), 0);
	ok(natpmp_hold(v.ctx, &m, try_blocking, &v, &v.lease));
	while (!v.calls)
		drive(v.ctx, &v.events, 1, 50);
	drive(v.ctx, &v.events, 1, 300);
	ck_assert_uint_eq(responder_heard(v.r), v.heard); /* nothing was sent because of them */
	natpmp_free(v.ctx);
	ck_assert_int_eq(v.calls, 1);
	responder_stop(v.r);
}

static void hold_another(natpmp_lease *lease, const natpmp_state *before, const natpmp_state *now,
			 void *arg)
{
	struct visitor *v = arg;
	natpmp_mapping m = wanted(NATPMP_UDP, 53, 600);

	(void)before;
	(void)now;
	ck_assert_ptr_eq(lease, v->lease);
	v->calls++;
	ok(natpmp_hold(v->ctx, &m, note_event, &v->events, &v->another));
	ok(natpmp_release(lease)); /* this very one */
}

START_TEST(hold_and_release_in_a_callback)
{
	struct visitor v = {.r = responder_start()};
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);

	v.ctx = client(responder_port(v.r), 0);
	ok(natpmp_hold(v.ctx, &m, hold_another, &v, &v.lease));
	ck_assert(drive(v.ctx, &v.events, 1, SOON));
	ck_assert_ptr_eq(v.events.at[0].lease, v.another);
	ck_assert_int_eq(v.events.at[0].now.status, NATPMP_OK);
	ck_assert_int_eq(v.calls, 1);
	for (int i = 0; i < 100 && !responder_deleted(v.r, NATPMP_TCP, 80); i++)
		drive(v.ctx, &v.events, 2, 20);
	ck_assert_uint_eq(responder_deleted(v.r, NATPMP_TCP, 80), 1);
	ck_assert_uint_eq(v.events.count, 1);
	natpmp_free(v.ctx);
	ck_assert_uint_eq(responder_deleted(v.r, NATPMP_UDP, 53), 1);
	responder_stop(v.r);
}

static void release_another(natpmp_lease *lease, const natpmp_state *before,
			    const natpmp_state *now, void *arg)
{
	struct visitor *v = arg;

	(void)lease;
	(void)before;
	(void)now;
	v->calls++;
	ok(natpmp_release(v->another)); /* which has an event to be told, too */
	v->another = NULL;
}

/* Two leases whose events are due at once: the first one's callback releases the other. */
START_TEST(no_event_of_a_lease_released_in_a_callback)
{
	struct visitor v = {.r = responder_start()};
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600), n = wanted(NATPMP_TCP, 81, 600);

	v.ctx = client(closed_port(), 0);
	ok(natpmp_hold(v.ctx, &m, release_another, &v, &v.lease));
	ok(natpmp_hold(v.ctx, &n, note_event, &v.events, &v.another));
	while (!v.calls)
		drive(v.ctx, &v.events, EVENTS_MAX, 20);
	drive(v.ctx, &v.events, EVENTS_MAX, 100);
	for (size_t i = 0; i < v.events.count; i++) /* told before it was released, if at all */
		ck_assert_ptr_nonnull(v.events.at[i].lease);
	ck_assert_int_eq(v.calls, 1);
	natpmp_free(v.ctx);
	responder_stop(v.r);
}

/* --- the end --- */

START_TEST(N12_free_deletes_what_is_held)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 0);
	struct events events = {0};

	for (uint16_t port = 1000; port < 1020; port++)
		hold_up(ctx, NATPMP_TCP, port, &events);
	hold_up(ctx, NATPMP_TCP_UDP, 53, &events);
	events.count = 0;
	uint64_t began = now_ms();
	ok(natpmp_free(ctx));
	ck_assert_uint_lt(now_ms() - began, 1000);
	for (uint16_t port = 1000; port < 1020; port++)
		ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, port), 1);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 53), 1);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_UDP, 53), 1);
	ck_assert_uint_eq(events.count, 0);
	responder_stop(r);
}

/* Answered by nobody: a deletion each nevertheless, and 2 s at most. */
START_TEST(N12_free_with_a_silent_gateway)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 0);

	for (uint16_t port = 1000; port < 1020; port++)
		hold_up(ctx, NATPMP_TCP, port, NULL);
	responder_be(r, &(struct manner){.silent = true});
	uint64_t began = now_ms();
	ck_assert_int_eq(natpmp_free(ctx), NATPMP_E_TIMEOUT);
	uint64_t took = now_ms() - began;
	ck_assert_uint_le(took, 2300);
	for (int i = 0; i < 50 && !responder_deleted(r, NATPMP_TCP, 1019); i++)
		poll(NULL, 0, 20);
	poll(NULL, 0, 20);
	for (uint16_t port = 1000; port < 1020; port++)
		ck_assert_msg(responder_deleted(r, NATPMP_TCP, port) >= 1, "port %u", port);
	size_t first = 0; /* one of them was sent as any request is, the others once */
	for (uint16_t port = 1000; port < 1020; port++)
		first += responder_deleted(r, NATPMP_TCP, port) > 1;
	ck_assert_uint_le(first, 1);
	responder_stop(r);
}

START_TEST(N12_free_with_a_closed_gateway)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 0);

	for (uint16_t port = 1000; port < 1010; port++)
		hold_up(ctx, NATPMP_TCP, port, NULL);
	responder_stop(r);
	uint64_t began = now_ms();
	ck_assert_int_eq(natpmp_free(ctx), NATPMP_E_REFUSED);
	ck_assert_uint_lt(now_ms() - began, 2300);
}

/* Made by hand in the router since, say. */
START_TEST(N37_free_when_the_gateway_keeps_it)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 0);

	hold_up(ctx, NATPMP_TCP, 1000, NULL);
	hold_up(ctx, NATPMP_TCP, 1001, NULL);
	responder_be(r, &(struct manner){.result = 2});
	ck_assert_int_eq(natpmp_free(ctx), NATPMP_E_NOT_AUTHORIZED);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 1000), 1);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 1001), 1);
	responder_stop(r);
}

START_TEST(N12_free_while_pending)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 0);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);
	natpmp_lease *lease;

	responder_be(r, &(struct manner){.silent = true});
	ok(natpmp_hold(ctx, &m, NULL, NULL, &lease));
	uint64_t began = now_ms();
	ck_assert_int_eq(natpmp_free(ctx), NATPMP_E_TIMEOUT); /* it may have been granted */
	ck_assert_uint_le(now_ms() - began, 2300);
	ck_assert_uint_ge(responder_deleted(r, NATPMP_TCP, 80), 1);
	responder_stop(r);
}

/* A blocking call drives the holds, too. */
START_TEST(blocking_calls_process_holds)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 0);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600), n = wanted(NATPMP_TCP, 81, 600);
	struct events events = {0};
	natpmp_lease *lease;
	natpmp_state state;

	ok(natpmp_hold(ctx, &m, note_event, &events, &lease));
	ok(natpmp_map(ctx, &n));
	ok(natpmp_lease_state(lease, &state));
	ck_assert_int_eq(state.status, NATPMP_OK);
	ck_assert_uint_eq(events.count, 1);
	natpmp_free(ctx);
	responder_stop(r);
}

static int refuse_from_now_on(natpmp_lease *lease, const natpmp_mapping *mapping, void *arg)
{
	(void)lease;
	(void)mapping;
	responder_be(arg, &(struct manner){.result = 2});
	return 3;
}

/* What natpmp_free() says, though something was let go long before. */
START_TEST(free_tells_of_an_earlier_release)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 0);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);
	struct events none = {0};

	natpmp_lease *lease = hold_up(ctx, NATPMP_TCP, 80, NULL);
	natpmp_lease *other = hold_up(ctx, NATPMP_TCP, 81, NULL);
	responder_be(r, &(struct manner){.result = 2});
	ok(natpmp_release(lease));
	drive(ctx, &none, 1, 100);
	responder_be(r, &(struct manner){.result = 0});
	ok(natpmp_release(other));
	drive(ctx, &none, 1, 100);
	ck_assert_int_eq(natpmp_free(ctx), NATPMP_E_NOT_AUTHORIZED);

	/* Of one in a scope, as well; and not of one whose lifetime is over. */
	ctx = client(responder_port(r), 0);
	ck_assert_int_eq(natpmp_with_mapping(ctx, &m, refuse_from_now_on, r), 3);
	responder_be(r, &(struct manner){.result = 0});
	ck_assert_int_eq(natpmp_free(ctx), NATPMP_E_NOT_AUTHORIZED);
	ctx = client(responder_port(r), 0);
	m.lifetime = 1;
	ck_assert_int_eq(natpmp_with_mapping(ctx, &m, refuse_from_now_on, r), 3);
	poll(NULL, 0, 1200);
	ok(natpmp_free(ctx));
	responder_stop(r);
}

/* It ended by itself, whatever the gateway says to its deletion. */
START_TEST(N12_free_when_the_lifetime_is_over)
{
	struct responder *r = responder_start();
	struct events none = {0};

	for (int closed = 0; closed < 2; closed++) {
		natpmp_ctx *ctx = client(responder_port(r), 0);
		responder_be(r, &(struct manner){.most = 1});
		hold_up(ctx, NATPMP_UDP, 80, NULL);
		if (closed)
			responder_stop(r);
		else
			responder_be(r, &(struct manner){.result = 2});
		drive(ctx, &none, 1, 2500);
		ok(natpmp_free(ctx));
	}
}

/* A deletion that could not be sent yet, and a call for the same port that comes to nothing. */
START_TEST(deletion_is_owed_after_a_failed_call)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 200);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);
	struct events none = {0};

	natpmp_lease *lease = hold_up(ctx, NATPMP_TCP, 80, NULL);
	responder_be(r, &(struct manner){.silent = true});
	natpmp_lease *other = NULL;
	natpmp_mapping first = wanted(NATPMP_UDP, 53, 600);
	ok(natpmp_hold(ctx, &first, NULL, NULL, &other)); /* in flight: the deletion waits */
	ok(natpmp_release(lease));
	ck_assert_int_eq(natpmp_map(ctx, &m), NATPMP_E_TIMEOUT);
	ck_assert_int_eq(natpmp_unmap(ctx, &m), NATPMP_E_TIMEOUT);
	responder_be(r, &(struct manner){.result = 0});
	drive(ctx, &none, 1, 1500);
	ck_assert_uint_ge(responder_deleted(r, NATPMP_TCP, 80), 1);
	ok(natpmp_free(ctx));
	responder_stop(r);
}

/* And one that succeeds takes its place. */
START_TEST(deletion_is_not_owed_after_a_call)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);
	struct events none = {0};

	natpmp_lease *lease = hold_up(ctx, NATPMP_TCP, 80, NULL);
	responder_be(r, &(struct manner){.lose = 1});
	natpmp_lease *other = NULL;
	natpmp_mapping first = wanted(NATPMP_UDP, 53, 600);
	ok(natpmp_hold(ctx, &first, NULL, NULL, &other));
	ok(natpmp_release(lease));
	ok(natpmp_map(ctx, &m));
	drive(ctx, &none, 1, 200);
	ok(natpmp_free(ctx));
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 80), 0);
	responder_stop(r);
}

int main(void)
{
	return RUN_TESTS("api-holding", H8_first_event_tells_how_it_went,
			 silence_is_told_at_the_deadline, N54_hold_without_an_address,
			 refused_hold_is_down_and_comes_up, timeout_is_never_without_holds,
			 descriptor_tells_time_too, descriptor_alone_keeps_all_times,
			 descriptor_of_a_loop_that_knows_timeouts, N32_event_when_the_port_changes,
			 blocking_calls_in_a_callback_are_busy, hold_and_release_in_a_callback,
			 no_event_of_a_lease_released_in_a_callback, N12_free_deletes_what_is_held,
			 N12_free_with_a_silent_gateway, N12_free_with_a_closed_gateway,
			 N37_free_when_the_gateway_keeps_it, N12_free_while_pending,
			 blocking_calls_process_holds, free_tells_of_an_earlier_release,
			 N12_free_when_the_lifetime_is_over, deletion_is_owed_after_a_failed_call,
			 deletion_is_not_owed_after_a_call);
}
