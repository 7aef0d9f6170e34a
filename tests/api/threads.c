/* SPDX-License-Identifier: MIT */
/* Several threads in calls on one context: worth most under the thread sanitizer. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include "client.h"

enum { THREADS = 8, ROUNDS = 10 };

struct worker {
	natpmp_ctx *ctx;
	pthread_t thread;
	uint16_t port;
	int failed;
	atomic_bool *stop;
};

static void *map_and_unmap(void *arg)
{
	struct worker *w = arg;

	for (int i = 0; i < ROUNDS; i++) {
		natpmp_mapping m = wanted(NATPMP_TCP, w->port, 60);
		char address[NATPMP_ADDRESS_LEN];
		natpmp_link link;

		w->failed |= natpmp_map(w->ctx, &m) || m.external_port != w->port;
		w->failed |= natpmp_external_address(w->ctx, address);
		w->failed |= natpmp_get_link(w->ctx, &link);
		w->failed |= natpmp_unmap(w->ctx, &m);
	}
	return NULL;
}

static void run(struct worker *workers, natpmp_ctx *ctx, void *(*work)(void *), atomic_bool *stop)
{
	for (int i = 0; i < THREADS; i++) {
		workers[i] =
			(struct worker){.ctx = ctx, .port = (uint16_t)(1000 + i), .stop = stop};
		ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
}

static void join(struct worker *workers)
{
	for (int i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		ck_assert_int_eq(workers[i].failed, 0);
	}
}

START_TEST(calls_of_many_threads_take_turns)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 5000);
	struct worker workers[THREADS];

	run(workers, ctx, map_and_unmap, NULL);
	join(workers);
	for (uint16_t i = 0; i < THREADS; i++) {
		ck_assert_uint_ge(responder_asked(r, NATPMP_TCP, (uint16_t)(1000 + i)), ROUNDS);
		ck_assert_uint_ge(responder_deleted(r, NATPMP_TCP, (uint16_t)(1000 + i)), ROUNDS);
	}
	natpmp_free(ctx);
	responder_stop(r);
}

static int work_in_scope(natpmp_lease *lease, const natpmp_mapping *mapping, void *arg)
{
	struct worker workers[THREADS];
	natpmp_state state;

	run(workers, arg, map_and_unmap, NULL);
	for (int i = 0; i < 100; i++)
		ok(natpmp_lease_state(lease, &state));
	join(workers);
	ck_assert_uint_eq(state.mapping.internal_port, mapping->internal_port);
	return 3;
}

START_TEST(calls_of_many_threads_beside_the_keeper)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 5000);
	natpmp_mapping m = wanted(NATPMP_UDP, 53, 2);

	ck_assert_int_eq(natpmp_with_mapping(ctx, &m, work_in_scope, ctx), 3);
	natpmp_free(ctx);
	responder_stop(r);
}

/* Deadlines of different threads, in any order of arrival, while one of them drives. */
static void *time_out(void *arg)
{
	struct worker *w = arg;
	natpmp_mapping m = wanted(NATPMP_TCP, w->port, 60);

	usleep((unsigned)(w->port - 1000) * 20000);
	uint64_t began = now_ms();
	w->failed = natpmp_map(w->ctx, &m) != NATPMP_E_TIMEOUT;
	w->failed |= now_ms() - began > 300 + 200 || now_ms() - began < 298;
	return NULL;
}

START_TEST(each_thread_has_its_deadline)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 300);
	struct worker workers[THREADS];

	responder_be(r, &(struct manner){.silent = true});
	run(workers, ctx, time_out, NULL);
	join(workers);
	natpmp_free(ctx);
	responder_stop(r);
}

static void *hold_and_release(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load(w->stop)) {
		natpmp_mapping m = wanted(NATPMP_TCP, w->port, 60);
		natpmp_lease *lease;
		natpmp_state state;

		w->failed |= natpmp_hold(w->ctx, &m, NULL, NULL, &lease);
		if (w->failed)
			break;
		w->failed |= natpmp_lease_state(lease, &state);
		usleep(2000);
		w->failed |= natpmp_release(lease);
	}
	return NULL;
}

/* One thread has the loop, the others come and go. */
START_TEST(holds_of_other_threads)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 0);
	struct worker workers[THREADS];
	struct events none = {0};
	atomic_bool stop = false;

	run(workers, ctx, hold_and_release, &stop);
	drive(ctx, &none, 1, 700);
	atomic_store(&stop, true);
	join(workers);
	natpmp_free(ctx);
	responder_stop(r);
}

static void *ask_in_vain(void *arg)
{
	struct worker *w = arg;
	char address[NATPMP_ADDRESS_LEN];

	w->failed = natpmp_external_address(w->ctx, address) != NATPMP_E_TIMEOUT;
	return NULL;
}

/* Its question is taken back between two steps of the series: the next one goes then, not later. */
START_TEST(who_gives_up_makes_way_at_once)
{
	struct responder *r = responder_start();
	struct worker w = {.ctx = client(responder_port(r), 2000)};
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);

	responder_be(r, &(struct manner){.address_silent = true});
	ck_assert_int_eq(pthread_create(&w.thread, NULL, ask_in_vain, &w), 0);
	usleep(720000);
	ok(natpmp_map(w.ctx, &m)); /* until 2.72 s; the next step is that of 3.75 s */
	pthread_join(w.thread, NULL);
	ck_assert_int_eq(w.failed, 0);
	ck_assert_uint_ge(responder_asked(r, NATPMP_TCP, 80), 1);
	natpmp_free(w.ctx);
	responder_stop(r);
}

/* --- cancelled threads --- */

/* As a log callback may: it prints, and that is a cancellation point. */
static void cancellation_point(void *arg, const char *line)
{
	(void)arg;
	(void)line;
	pthread_testcancel();
}

static void *call_and_be_cancelled(void *arg)
{
	struct worker *w = arg;
	natpmp_mapping m = wanted(NATPMP_TCP, w->port, 60), other = wanted(NATPMP_TCP, 99, 60);
	char address[NATPMP_ADDRESS_LEN];
	natpmp_lease *lease;

	pthread_cancel(pthread_self()); /* from now on it may go at any cancellation point */
	w->failed |= natpmp_hold(w->ctx, &m, NULL, NULL, &lease);
	w->failed |= natpmp_map(w->ctx, &other);
	w->failed |= natpmp_unmap(w->ctx, &other);
	w->failed |= natpmp_external_address(w->ctx, address);
	w->failed |= natpmp_process(w->ctx);
	w->failed |= natpmp_release(lease);
	w->failed |= natpmp_process(w->ctx);
	atomic_store(w->stop, true);
	pthread_testcancel();
	w->failed = 1;
	return NULL;
}

START_TEST(no_call_is_a_cancellation_point)
{
	struct responder *r = responder_start();
	natpmp_options options = NATPMP_OPTIONS_INIT;
	atomic_bool came_through = false;
	struct worker w = {.port = 80, .stop = &came_through};

	options.gateway = "127.0.0.1";
	options.gateway_port = responder_port(r);
	options.deadline = SOON;
	options.log = cancellation_point;
	ok(natpmp_new(&w.ctx, &options));
	ck_assert_int_eq(pthread_create(&w.thread, NULL, call_and_be_cancelled, &w), 0);
	pthread_join(w.thread, NULL);
	ck_assert_int_eq(w.failed, 0);
	ck_assert(atomic_load(&came_through));
	ok(natpmp_process(w.ctx)); /* nobody took the lock along */
	natpmp_free(w.ctx);
	responder_stop(r);
}

struct maker {
	natpmp_ctx *ctx;
	bool came_through;
};

static void *make_and_be_cancelled(void *arg)
{
	struct maker *maker = arg;

	pthread_cancel(pthread_self());
	int status = natpmp_new(&maker->ctx, NULL);
	maker->came_through = status == NATPMP_OK;
	pthread_testcancel();
	return NULL;
}

/* Where it would end the thread, the context would be lost: and it is one of the first things that
 * a thread does. The first context of a process is made in another way than the others. */
START_TEST(new_is_no_cancellation_point)
{
	for (int i = 0; i < 3; i++) {
		struct maker maker = {0};
		pthread_t thread;

		ck_assert_int_eq(pthread_create(&thread, NULL, make_and_be_cancelled, &maker), 0);
		pthread_join(thread, NULL);
		ck_assert(maker.came_through);
		ok(natpmp_free(maker.ctx));
	}
}

static void *free_and_be_cancelled(void *arg)
{
	struct worker *w = arg;

	pthread_cancel(pthread_self());
	w->failed = natpmp_free(w->ctx) != NATPMP_OK;
	atomic_store(w->stop, true);
	pthread_testcancel();
	w->failed = 1;
	return NULL;
}

START_TEST(free_is_no_cancellation_point)
{
	struct responder *r = responder_start();
	atomic_bool came_through = false;
	struct worker w = {.ctx = client(responder_port(r), SOON), .stop = &came_through};

	hold_up(w.ctx, NATPMP_TCP, 80, NULL);
	ck_assert_int_eq(pthread_create(&w.thread, NULL, free_and_be_cancelled, &w), 0);
	pthread_join(w.thread, NULL);
	ck_assert(atomic_load(&came_through));
	ck_assert_int_eq(w.failed, 0);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 80), 1);
	responder_stop(r);
}

static int exit_thread(natpmp_lease *lease, const natpmp_mapping *mapping, void *arg)
{
	(void)lease;
	(void)mapping;
	pthread_exit(arg);
	return 0; /* never */
}

struct ending {
	natpmp_ctx *ctx;
	natpmp_body *body;
	atomic_bool in_body;
};

static int wait_to_be_cancelled(natpmp_lease *lease, const natpmp_mapping *mapping, void *arg)
{
	struct ending *ending = arg;

	(void)lease;
	(void)mapping;
	atomic_store(&ending->in_body, true);
	while (atomic_load(&ending->in_body)) {
		pthread_testcancel(); /* in pause() the thread sanitizer would lose track of it */
		sched_yield();
	}
	return 0; /* never */
}

static void *end_in_scope(void *arg)
{
	struct ending *ending = arg;
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);

	natpmp_with_mapping(ending->ctx, &m, ending->body, ending);
	return arg; /* never */
}

/* The mapping is closed, the keeper has gone, and the context is as good as before. */
static void ends_in_scope(natpmp_body *body)
{
	struct responder *r = responder_start();
	struct ending ending = {.ctx = client(responder_port(r), SOON), .body = body};
	pthread_t thread;
	void *result;

	ck_assert_int_eq(pthread_create(&thread, NULL, end_in_scope, &ending), 0);
	if (body == wait_to_be_cancelled) {
		while (!atomic_load(&ending.in_body))
			usleep(1000);
		pthread_cancel(thread);
	}
	pthread_join(thread, &result);
	ck_assert_ptr_eq(result, body == wait_to_be_cancelled ? PTHREAD_CANCELED : (void *)&ending);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 80), 1);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);
	ok(natpmp_map(ending.ctx, &m));
	ok(natpmp_free(ending.ctx));
	responder_stop(r);
}

START_TEST(thread_is_cancelled_in_a_scope)
{
	ends_in_scope(wait_to_be_cancelled);
}

START_TEST(thread_exits_in_a_scope)
{
	ends_in_scope(exit_thread);
}

int main(void)
{
	return RUN_TESTS("api-threads", calls_of_many_threads_take_turns,
			 calls_of_many_threads_beside_the_keeper, each_thread_has_its_deadline,
			 holds_of_other_threads, who_gives_up_makes_way_at_once,
			 no_call_is_a_cancellation_point, new_is_no_cancellation_point,
			 free_is_no_cancellation_point, thread_is_cancelled_in_a_scope,
			 thread_exits_in_a_scope);
}
