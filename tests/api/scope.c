/* SPDX-License-Identifier: MIT */
/* natpmp_with_mapping(): open, run, renew meanwhile, close. */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "client.h"

static int answer_42(natpmp_lease *lease, const natpmp_mapping *mapping, void *arg)
{
	natpmp_mapping *seen = arg;
	natpmp_state state;

	ok(natpmp_lease_state(lease, &state));
	ck_assert_int_eq(state.status, NATPMP_OK);
	ck_assert_uint_eq(state.mapping.external_port, mapping->external_port);
	*seen = *mapping;
	return 42;
}

START_TEST(body_sees_the_mapping_and_its_value_is_returned)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 0);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600), seen = {0};

	responder_be(r, &(struct manner){.external_port = 8080, .most = 300});
	ck_assert_int_eq(natpmp_with_mapping(ctx, &m, answer_42, &seen), 42);
	ck_assert_uint_eq(seen.internal_port, 80);
	ck_assert_uint_eq(seen.external_port, 8080);
	ck_assert_uint_eq(seen.lifetime, 300);
	ck_assert_str_eq(seen.internal_address, "127.0.0.1");
	ck_assert_str_eq(seen.external_address, "203.0.113.5");
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 80), 1);
	/* and once more with the same context */
	ck_assert_int_eq(natpmp_with_mapping(ctx, &m, answer_42, &seen), 42);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 80), 2);
	natpmp_free(ctx);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 80), 2);
	responder_stop(r);
}

static int sleep_for_long(natpmp_lease *lease, const natpmp_mapping *mapping, void *arg)
{
	natpmp_state state;

	(void)arg;
	for (int i = 0; i < 35; i++) {
		usleep(100000);
		ok(natpmp_lease_state(lease, &state));
		ck_assert_int_eq(state.status, NATPMP_OK);
		ck_assert_uint_eq(state.mapping.external_port, mapping->external_port);
	}
	return 0;
}

START_TEST(N30_renewed_while_the_body_sleeps)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 0);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 2);

	ck_assert_int_eq(natpmp_with_mapping(ctx, &m, sleep_for_long, NULL), 0);
	ck_assert_uint_ge(responder_asked(r, NATPMP_TCP, 80), 4); /* at 0, 1, 2, 3 s */
	ck_assert_uint_le(responder_asked(r, NATPMP_TCP, 80), 5);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 80), 1);
	natpmp_free(ctx);
	responder_stop(r);
}

struct user {
	natpmp_ctx *ctx;
	struct responder *r;
	int runs;
};

static int use_the_context(natpmp_lease *lease, const natpmp_mapping *mapping, void *arg)
{
	struct user *user = arg;
	natpmp_mapping m = wanted(NATPMP_UDP, 53, 60), held = *mapping;
	char address[NATPMP_ADDRESS_LEN];
	natpmp_lease *another;
	natpmp_state state;

	ok(natpmp_map(user->ctx, &m));
	ok(natpmp_unmap(user->ctx, &m));
	ok(natpmp_external_address(user->ctx, address));
	ck_assert_int_eq(natpmp_map(user->ctx, &held), NATPMP_E_HELD);
	m = wanted(NATPMP_UDP, 54, 60);
	ok(natpmp_hold(user->ctx, &m, NULL, NULL, &another));
	for (int i = 0; i < 200; i++) { /* the keeper drives it */
		ok(natpmp_lease_state(another, &state));
		if (state.status == NATPMP_OK)
			break;
		usleep(10000);
	}
	ck_assert_int_eq(state.status, NATPMP_OK);
	ok(natpmp_process(user->ctx));
	ok(natpmp_release(another));
	ok(natpmp_lease_state(lease, &state));
	ck_assert_int_eq(state.status, NATPMP_OK);
	user->runs++;
	return 7;
}

START_TEST(context_is_usable_in_the_body)
{
	struct user user = {.r = responder_start()};
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);

	user.ctx = client(responder_port(user.r), 0);
	ck_assert_int_eq(natpmp_with_mapping(user.ctx, &m, use_the_context, &user), 7);
	ck_assert_int_eq(user.runs, 1);
	natpmp_free(user.ctx);
	ck_assert_uint_eq(responder_deleted(user.r, NATPMP_UDP, 53), 1);
	ck_assert_uint_eq(responder_deleted(user.r, NATPMP_UDP, 54), 1);
	ck_assert_uint_eq(responder_deleted(user.r, NATPMP_TCP, 80), 1);
	responder_stop(user.r);
}

static int nest(natpmp_lease *lease, const natpmp_mapping *mapping, void *arg)
{
	struct user *user = arg;
	natpmp_mapping m = wanted(NATPMP_TCP, (uint16_t)(mapping->internal_port + 1), 2);

	(void)lease;
	if (++user->runs == 4) {
		usleep(1500000);
		return 99;
	}
	return natpmp_with_mapping(user->ctx, &m, nest, user);
}

START_TEST(scopes_nest)
{
	struct user user = {.r = responder_start()};
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 2);

	user.ctx = client(responder_port(user.r), 0);
	ck_assert_int_eq(natpmp_with_mapping(user.ctx, &m, nest, &user), 99);
	for (uint16_t port = 80; port < 84; port++) {
		ck_assert_uint_ge(responder_asked(user.r, NATPMP_TCP, port), 2);
		ck_assert_uint_eq(responder_deleted(user.r, NATPMP_TCP, port), 1);
	}
	natpmp_free(user.ctx);
	responder_stop(user.r);
}

static int never(natpmp_lease *lease, const natpmp_mapping *mapping, void *arg)
{
	(void)lease;
	(void)mapping;
	(void)arg;
	ck_abort_msg("the body ran");
	return 0;
}

START_TEST(body_does_not_run_without_a_mapping)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 300);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);

	responder_be(r, &(struct manner){.result = 2});
	ck_assert_int_eq(natpmp_with_mapping(ctx, &m, never, NULL), NATPMP_E_NOT_AUTHORIZED);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 80), 0);
	responder_be(r, &(struct manner){.silent = true});
	uint64_t began = now_ms();
	ck_assert_int_eq(natpmp_with_mapping(ctx, &m, never, NULL), NATPMP_E_TIMEOUT);
	ck_assert_uint_le(now_ms() - began, 300 + 2000 + 300);
	ck_assert_uint_ge(responder_deleted(r, NATPMP_TCP, 80), 1); /* it may be there */
	responder_be(r, &(struct manner){0});
	/* nothing is held any more; but first the deletion has to come to its end */
	int status = NATPMP_E_TIMEOUT;
	for (int i = 0; i < 20 && status == NATPMP_E_TIMEOUT; i++)
		status = natpmp_map(ctx, &m);
	ok(status);
	natpmp_free(ctx);
	responder_stop(r);

	ctx = client(closed_port(), 0);
	began = now_ms();
	ck_assert_int_eq(natpmp_with_mapping(ctx, &m, never, NULL), NATPMP_E_REFUSED);
	ck_assert_uint_lt(now_ms() - began, 500);
	natpmp_free(ctx);

	natpmp_options options = NATPMP_OPTIONS_INIT;
	options.interface = "no-such-thing";
	ok(natpmp_new(&ctx, &options));
	began = now_ms();
	ck_assert_int_eq(natpmp_with_mapping(ctx, &m, never, NULL), NATPMP_E_NO_INTERFACE);
	ck_assert_uint_lt(now_ms() - began, 500);
	natpmp_free(ctx);
}

START_TEST(N12_closing_is_bounded)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 0);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600), seen;

	responder_be(r, &(struct manner){.delay = 100});
	uint64_t began = now_ms();
	ck_assert_int_eq(natpmp_with_mapping(ctx, &m, answer_42, &seen), 42);
	ck_assert_uint_lt(now_ms() - began, 1000); /* three answers, and no longer */
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 80), 1);
	natpmp_free(ctx);
	responder_stop(r);
}

static int fall_silent(natpmp_lease *lease, const natpmp_mapping *mapping, void *arg)
{
	struct user *user = arg;

	(void)lease;
	(void)mapping;
	responder_be(user->r, &(struct manner){.silent = true});
	return 5;
}

START_TEST(N12_closing_towards_silence)
{
	struct user user = {.r = responder_start()};
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);

	user.ctx = client(responder_port(user.r), 0);
	uint64_t began = now_ms();
	ck_assert_int_eq(natpmp_with_mapping(user.ctx, &m, fall_silent, &user), 5);
	natpmp_free(user.ctx);
	ck_assert_uint_le(now_ms() - began, 4500); /* 2 s each at most */
	ck_assert_uint_ge(responder_deleted(user.r, NATPMP_TCP, 80), 1);
	responder_stop(user.r);
}

static int open_in_vain(natpmp_lease *lease, const natpmp_mapping *mapping, void *arg)
{
	struct user *user = arg;
	natpmp_mapping m = wanted(NATPMP_TCP_UDP, 81, 600);

	(void)lease;
	(void)mapping;
	usleep(100000); /* now the keeper of the outer one sleeps on the descriptor */
	responder_be(user->r, &(struct manner){.no_tcp = true, .delay = 50});
	return natpmp_with_mapping(user->ctx, &m, never, NULL) == NATPMP_E_NOT_AUTHORIZED ? 7 : 8;
}

/* One that fails within another, whose keeper is at work. */
START_TEST(scope_fails_within_a_scope)
{
	struct user user = {.r = responder_start()};
	natpmp_mapping m = wanted(NATPMP_UDP, 80, 600);

	user.ctx = client(responder_port(user.r), 0);
	ck_assert_int_eq(natpmp_with_mapping(user.ctx, &m, open_in_vain, &user), 7);
	ck_assert_uint_eq(responder_deleted(user.r, NATPMP_UDP, 81), 1);
	ok(natpmp_free(user.ctx));
	responder_stop(user.r);
}

/* The gateway has restarted: what is kept waits up to 5 s, who is blocked does not. */
START_TEST(N45_scope_after_a_restart)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 1000);
	natpmp_mapping m = wanted(NATPMP_TCP, 81, 600), seen;
	char address[NATPMP_ADDRESS_LEN];

	natpmp_lease *lease = hold_up(ctx, NATPMP_TCP, 80, NULL);
	responder_reboot(r);
	ok(natpmp_external_address(ctx, address)); /* shows it */
	uint64_t began = now_ms();
	ck_assert_int_eq(natpmp_with_mapping(ctx, &m, answer_42, &seen), 42);
	ck_assert_uint_lt(now_ms() - began, 500);
	ok(natpmp_release(lease));
	natpmp_free(ctx);
	responder_stop(r);
}

/* --- signals are for the caller's threads --- */

static pthread_t main_thread;
static volatile sig_atomic_t here, elsewhere;

static void on_signal(int signal)
{
	(void)signal;
	if (pthread_equal(pthread_self(), main_thread))
		here++;
	else
		elsewhere++;
}

static int be_signalled(natpmp_lease *lease, const natpmp_mapping *mapping, void *arg)
{
	sigset_t usr1;

	(void)lease;
	(void)mapping;
	(void)arg;
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	for (int i = 0; i < 20; i++) {
		/* This thread does not take it: would another one? */
		pthread_sigmask(SIG_BLOCK, &usr1, NULL);
		kill(getpid(), SIGUSR1);
		usleep(5000);
		pthread_sigmask(SIG_UNBLOCK, &usr1, NULL);
	}
	return 0;
}

START_TEST(keeper_has_all_signals_blocked)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 0);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);
	struct sigaction action = {.sa_handler = on_signal};
	sigset_t before, after;

	main_thread = pthread_self();
	sigaction(SIGUSR1, &action, NULL);
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	ck_assert_int_eq(natpmp_with_mapping(ctx, &m, be_signalled, NULL), 0);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	ck_assert_int_eq(here, 20);
	ck_assert_int_eq(elsewhere, 0);
	for (int signal = 1; signal < 32; signal++)
		ck_assert_int_eq(sigismember(&before, signal), sigismember(&after, signal));
	natpmp_free(ctx);
	responder_stop(r);
}

int main(void)
{
	return RUN_TESTS("api-scope", body_sees_the_mapping_and_its_value_is_returned,
			 N30_renewed_while_the_body_sleeps, context_is_usable_in_the_body,
			 scopes_nest, body_does_not_run_without_a_mapping, N12_closing_is_bounded,
			 scope_fails_within_a_scope, N45_scope_after_a_restart,
			 N12_closing_towards_silence, keeper_has_all_signals_blocked);
}
