/* SPDX-License-Identifier: MIT */
/* Who sleeps, who drives, and who takes in what another one sleeps for. */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"

/* A wake-up that was lost is made up for when the next retransmission is due, after 250 ms. A busy
 * machine may be as late as that, but not again and again. */
enum { LATE = 200 /* ms */, LATE_MAX = 2 };

struct looper {
	natpmp_ctx *ctx;
	int times; /* that it processes in a row */
	pthread_t thread;
	atomic_bool stop;
};

static void *loop(void *arg)
{
	struct looper *l = arg;
	struct pollfd fd = {.fd = natpmp_fd(l->ctx), .events = POLLIN};

	while (!atomic_load(&l->stop)) {
		poll(&fd, 1, l->times > 1 ? 1 : 20);
		for (int i = 0; i < l->times; i++)
			natpmp_process(l->ctx);
	}
	return NULL;
}

static void start_loop(struct looper *l, natpmp_ctx *ctx, int times)
{
	l->ctx = ctx;
	l->times = times;
	atomic_init(&l->stop, false);
	ck_assert_int_eq(pthread_create(&l->thread, NULL, loop, l), 0);
}

static void stop_loop(struct looper *l)
{
	atomic_store(&l->stop, true);
	pthread_join(l->thread, NULL);
}

/* A loop may take the answer that a blocking call sleeps for: the call ends all the same, also if
 * the loop processes once more before the call can see that it was woken up. */
static void map_beside_a_loop(int times)
{
	int late = 0;
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 3000);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);
	struct looper l;

	start_loop(&l, ctx, times);
	for (int i = 0; i < 100; i++) {
		uint64_t began = now_ms();
		ok(natpmp_map(ctx, &m));
		late += now_ms() - began >= LATE;
	}
	ck_assert_int_le(late, LATE_MAX);
	stop_loop(&l);
	natpmp_free(ctx);
	responder_stop(r);
}

START_TEST(no_wake_up_is_lost_to_a_loop)
{
	map_beside_a_loop(1);
}

START_TEST(no_wake_up_is_lost_to_a_restless_loop)
{
	map_beside_a_loop(3);
}

static int nothing(natpmp_lease *lease, const natpmp_mapping *mapping, void *arg)
{
	(void)lease;
	(void)mapping;
	(void)arg;
	return 0;
}

/* Nor does the keeper miss that it is over. */
START_TEST(keeper_ends_beside_a_loop)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 3000);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);
	struct looper l;

	int late = 0;
	start_loop(&l, ctx, 1);
	for (int i = 0; i < 50; i++) {
		uint64_t began = now_ms();
		ok(natpmp_with_mapping(ctx, &m, nothing, NULL));
		late += now_ms() - began >= LATE;
	}
	ck_assert_int_le(late, LATE_MAX);
	stop_loop(&l);
	natpmp_free(ctx);
	responder_stop(r);
}

struct renewer {
	natpmp_ctx *ctx;
	int events;
};

static void hold_anew(natpmp_lease *lease, const natpmp_state *before, const natpmp_state *now,
		      void *arg)
{
	struct renewer *v = arg;
	natpmp_lease *another;

	(void)before;
	v->events++;
	ok(natpmp_release(lease));
	ok(natpmp_hold(v->ctx, &now->mapping, hold_anew, v, &another));
}

/* A callback that causes the next event does not keep natpmp_process() from returning. */
START_TEST(process_returns_whatever_callbacks_do)
{
	natpmp_options options = NATPMP_OPTIONS_INIT;
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);
	struct renewer v = {0};
	natpmp_lease *lease;

	options.interface = "nosuch0"; /* down at once */
	ok(natpmp_new(&v.ctx, &options));
	ok(natpmp_hold(v.ctx, &m, hold_anew, &v, &lease));
	ok(natpmp_process(v.ctx));
	ck_assert_int_ge(v.events, 1);
	ck_assert_int_le(v.events, 2);
	ck_assert_int_eq(natpmp_timeout(v.ctx), 0); /* the next event is due */
	natpmp_free(v.ctx);
}

static void *ask(void *arg)
{
	char address[NATPMP_ADDRESS_LEN];

	natpmp_external_address(arg, address);
	return NULL;
}

/* A thread that is cancelled in a call leaves the context as it should be. */
START_TEST(cancelled_thread_ends_its_call_first)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 400);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);
	pthread_t thread;

	responder_be(r, &(struct manner){.silent = true});
	ck_assert_int_eq(pthread_create(&thread, NULL, ask, ctx), 0);
	usleep(100 * 1000);
	pthread_cancel(thread);
	pthread_join(thread, NULL);
	responder_be(r, &(struct manner){0});
	ok(natpmp_map(ctx, &m));
	natpmp_free(ctx);
	responder_stop(r);
}

static void *probe(void *arg)
{
	natpmp_probe found;

	ok(natpmp_get_probe(arg, &found));
	return NULL;
}

START_TEST(probes_of_two_threads)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 3000);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);
	pthread_t threads[2];

	responder_be(r, &(struct manner){.delay = 50, .pcp = true});
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, probe, ctx), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	uint64_t began = now_ms();
	ok(natpmp_map(ctx, &m));
	ck_assert_uint_lt(now_ms() - began, 2000);
	natpmp_free(ctx);
	responder_stop(r);
}

static int try_release(natpmp_lease *lease, const natpmp_mapping *mapping, void *arg)
{
	int *external_port = arg;

	*external_port = mapping->external_port;
	ck_assert_str_eq(mapping->external_address, "");
	ck_assert_int_eq(natpmp_release(lease), NATPMP_E_INVALID);
	return 7;
}

/* The mapping is open though nobody tells the address: the body runs, and lets nothing go. */
START_TEST(scope_runs_without_the_address)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 1000);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);
	int external_port = 0;

	responder_be(r, &(struct manner){.address_silent = true});
	uint64_t began = now_ms();
	ck_assert_int_eq(natpmp_with_mapping(ctx, &m, try_release, &external_port), 7);
	ck_assert_int_eq(external_port, 80);
	ck_assert_uint_lt(now_ms() - began, 1900); /* closing waits behind no question */
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 80), 1);
	natpmp_free(ctx);
	responder_stop(r);
}

static int run_once(natpmp_lease *lease, const natpmp_mapping *mapping, void *arg)
{
	(void)lease;
	(void)mapping;
	++*(int *)arg;
	return 0;
}

/* Without a network first: as soon as there is one the next call finds it, though nobody
 * processed the context in between. */
START_TEST(H5_calls_find_the_network_when_it_is_back)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 1000);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);
	int runs = 0;

	ck_assert_int_eq(system("ip link set lo down"), 0);
	ck_assert_int_ne(natpmp_with_mapping(ctx, &m, run_once, &runs), NATPMP_OK);
	ck_assert_int_eq(system("ip link set lo up"), 0);
	ok(natpmp_with_mapping(ctx, &m, run_once, &runs));
	ok(natpmp_map(ctx, &m));
	ck_assert_int_eq(runs, 1);
	natpmp_free(ctx);
	responder_stop(r);
}

/* --- several threads, one processor --- */

struct caller {
	natpmp_ctx *ctx;
	int status;
	uint64_t took;       /* ms */
	uint64_t busy;       /* ms of processor time */
	long sleeps, pushes; /* switches to another thread: wanted, and not */
};

static uint64_t ms_of(const struct timeval *t)
{
	return (uint64_t)t->tv_sec * 1000 + (uint64_t)t->tv_usec / 1000;
}

static void note_usage(struct caller *caller, uint64_t began)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	caller->took = now_ms() - began;
	caller->busy = ms_of(&usage.ru_utime) + ms_of(&usage.ru_stime);
	caller->sleeps = usage.ru_nvcsw;
	caller->pushes = usage.ru_nivcsw;
}

/* Two questions, one after the other, so that it drives while the other thread is answered. Of
 * high priority, if we may. */
static void *probe_with_priority(void *arg)
{
	struct sched_param high = {.sched_priority = 10};
	struct caller *caller = arg;
	uint64_t began = now_ms();
	natpmp_probe found;

	(void)pthread_setschedparam(pthread_self(), SCHED_FIFO, &high);
	caller->status = natpmp_get_probe(caller->ctx, &found);
	note_usage(caller, began);
	return NULL;
}

static void *map_without_priority(void *arg)
{
	struct caller *caller = arg;
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);
	uint64_t began = now_ms();

	caller->status = natpmp_map(caller->ctx, &m);
	note_usage(caller, began);
	return NULL;
}

/* A thread begins where its creator may run; musl has no attribute for that. */
static void start_on(const cpu_set_t *processors, pthread_t *thread, void *(*start)(void *),
		     void *arg)
{
	cpu_set_t before;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(before), &before), 0);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(*processors), processors), 0);
	ck_assert_int_eq(pthread_create(thread, NULL, start, arg), 0);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(before), &before), 0);
}

/* The driver takes in the other thread's answer, and does not wait for it to run: that one has no
 * processor to run on while the driver does not sleep. */
START_TEST(H18_driver_does_not_spin_for_another_thread)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client_of(NATPMP_DIALECT_AUTO, responder_port(r), 5000);
	struct caller high = {.ctx = ctx}, low = {.ctx = ctx};
	pthread_t threads[2];
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	responder_be(r, &(struct manner){.delay = 200, .pcp = true});
	start_on(&one, &threads[0], probe_with_priority, &high);
	usleep(50 * 1000);
	start_on(&one, &threads[1], map_without_priority, &low);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	ok(high.status);
	ok(low.status);
	ck_assert_uint_ge(high.took, 400);
	ck_assert_uint_lt(low.took, 2000);
	ck_assert_uint_lt(high.busy, 100);
	/* It sleeps until something comes, and not for a moment again and again. */
	ck_assert_int_lt(high.sleeps + high.pushes, 100);
	ck_assert_int_lt(low.sleeps + low.pushes, 100);
	natpmp_free(ctx);
	responder_stop(r);
}

/* --- a program that stands still --- */

enum { HELD = 200, STALL = 4000, DELAY = 500 /* ms */ };

/* In a process of its own: holds, asks for one more, and is stopped before the answer comes. Goes
 * on holding after that, and ends without letting go of anything. */
static int hold_and_stall(uint16_t port)
{
	static natpmp_ctx *ctx; /* no leak, though nobody frees it */
	struct events none = {0};
	natpmp_lease *leases[HELD], *last;
	natpmp_mapping m = wanted(NATPMP_TCP, 999, 7200);
	natpmp_state state;

	ctx = client(port, 0);
	for (int i = 0; i < HELD; i++)
		leases[i] = hold_up(ctx, NATPMP_TCP, (uint16_t)(1000 + i), NULL);
	raise(SIGSTOP); /* the gateway becomes slow */
	ok(natpmp_hold(ctx, &m, NULL, NULL, &last));
	raise(SIGSTOP);
	ok(natpmp_process(ctx));
	ok(natpmp_lease_state(last, &state)); /* the answer was there: no verdict of silence */
	ok(state.status);
	drive(ctx, &none, 1, 6000);
	for (int i = 0; i < HELD; i++) {
		ok(natpmp_lease_state(leases[i], &state));
		ok(state.status);
	}
	return 0;
}

static void wait_until_stopped(pid_t child)
{
	int status;

	ck_assert_int_eq(waitpid(child, &status, WUNTRACED), child);
	ck_assert_msg(WIFSTOPPED(status), "child: %x", (unsigned)status);
}

/* The answer is read long after it came, and its clock is that much behind: not a restart. */
START_TEST(H16_stopped_program_concludes_nothing_false)
{
	struct responder *r = responder_start();
	int status;

	fflush(NULL);
	pid_t child = fork();
	if (child == 0)
		_exit(hold_and_stall(responder_port(r)));
	ck_assert_int_gt(child, 0);
	wait_until_stopped(child);
	ck_assert_uint_eq(responder_heard(r), HELD + 1);
	responder_be(r, &(struct manner){.delay = DELAY});
	kill(child, SIGCONT);
	wait_until_stopped(child);
	usleep(STALL * 1000);
	ck_assert_uint_eq(responder_heard(r), HELD + 2);
	kill(child, SIGCONT);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFEXITED(status) && !WEXITSTATUS(status), "child: %x", (unsigned)status);
	ck_assert_uint_eq(responder_heard(r), HELD + 2);
	responder_stop(r);
}

int main(void)
{
	int status = enter_network();

	if (status)
		return status;
	return RUN_TESTS("api-driving", no_wake_up_is_lost_to_a_loop,
			 no_wake_up_is_lost_to_a_restless_loop, keeper_ends_beside_a_loop,
			 process_returns_whatever_callbacks_do,
			 cancelled_thread_ends_its_call_first, probes_of_two_threads,
			 scope_runs_without_the_address, H5_calls_find_the_network_when_it_is_back,
			 H18_driver_does_not_spin_for_another_thread,
			 H16_stopped_program_concludes_nothing_false);
}
