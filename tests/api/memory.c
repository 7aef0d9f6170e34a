/* SPDX-License-Identifier: MIT */
/* Every allocation of the library fails once, each in its turn; so does the making of a thread.
 * Linked with --wrap: all calls in this program come by here. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"

static atomic_int until_failure = -1; /* counts down; the one that finds 0 fails */
static atomic_bool all_fail, threads_fail;
static atomic_int frees;

static bool denied(void)
{
	bool fails = atomic_load(&until_failure) >= 0 && atomic_fetch_sub(&until_failure, 1) == 0;

	if (!fails && !atomic_load(&all_fail))
		return false;
	errno = ENOMEM;
	return true;
}

/* Names that the linker makes. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *memory);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			  void *(*start)(void *), void *arg);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *memory);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			  void *(*start)(void *), void *arg);

void *__wrap_malloc(size_t size)
{
	return denied() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return denied() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return denied() ? NULL : __real_realloc(old, size);
}

void __wrap_free(void *memory)
{
	atomic_fetch_add(&frees, 1);
	__real_free(memory);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			  void *(*start)(void *), void *arg)
{
	return atomic_load(&threads_fail) ? EAGAIN
					  : __real_pthread_create(thread, attributes, start, arg);
}

/* The nth allocation from now on fails. No assertions in the meantime, they allocate, too. */
static void deny(int n)
{
	atomic_store(&until_failure, n);
}

/* No more; did one? */
static bool was_denied(void)
{
	return atomic_exchange(&until_failure, -1) < 0;
}

static int run_once(natpmp_lease *lease, const natpmp_mapping *mapping, void *arg)
{
	int *runs = arg;

	(void)lease;
	(void)mapping;
	++*runs;
	return 11;
}

START_TEST(new_out_of_memory)
{
	natpmp_ctx *ctx;
	int n = 0;

	for (;; n++) {
		deny(n);
		int status = natpmp_new(&ctx, NULL);
		if (!was_denied()) {
			ok(status);
			break;
		}
		ck_assert_int_eq(status, NATPMP_E_NO_MEMORY);
		ck_assert_ptr_null(ctx);
	}
	ck_assert_int_ge(n, 1);
	natpmp_free(ctx);
}

enum { STRANGE = -999, HOLDS = 100, CALLS = 13 };

static void ignore(natpmp_ctx *ctx, const natpmp_gateway *now, void *arg)
{
	(void)ctx;
	(void)now;
	(void)arg;
}

static int call(natpmp_ctx *ctx, int which)
{
	natpmp_mapping m = wanted(NATPMP_TCP_UDP, 80, 60);
	char address[NATPMP_ADDRESS_LEN];
	natpmp_probe probe;
	natpmp_link link;
	natpmp_lease *lease;
	int runs = 0, status;

	switch (which) {
	case 0:
		return natpmp_map(ctx, &m);
	case 1:
		return natpmp_unmap(ctx, &m);
	case 2:
		return natpmp_unmap_all(ctx, NATPMP_TCP);
	case 3:
		return natpmp_external_address(ctx, address);
	case 4:
		return natpmp_get_link(ctx, &link);
	case 5:
		return natpmp_get_probe(ctx, &probe);
	case 6:
		status = natpmp_hold(ctx, &m, NULL, NULL, &lease);
		if ((status == NATPMP_OK) != (lease != NULL) || natpmp_release(lease))
			return STRANGE;
		return status;
	case 7:
		return natpmp_start_unmap(ctx, &m, NULL, NULL);
	case 8:
		return natpmp_watch(ctx, ignore, NULL);
	case 9:
		m.flags = NATPMP_EXACT_PORT;
		return natpmp_map(ctx, &m);
	case 10:
		m.flags = NATPMP_ANY_PORT;
		status = natpmp_hold(ctx, &m, NULL, NULL, &lease);
		if (!status && natpmp_retry(lease))
			return STRANGE;
		return status || natpmp_release(lease) ? status : NATPMP_OK;
	case 11:
		return natpmp_fd(ctx) < 0 ? STRANGE : NATPMP_OK;
	default:
		status = natpmp_with_mapping(ctx, &m, run_once, &runs);
		if (status != (runs ? 11 : NATPMP_E_NO_MEMORY))
			return STRANGE;
		return runs ? NATPMP_OK : status;
	}
}

/* With the nth allocation failed: success, or NO_MEMORY and success the next time. */
START_TEST(every_call_out_of_memory)
{
	struct responder *r = responder_start();
	int failures = 0;

	for (int which = 0; which < CALLS; which++) {
		bool any = true;
		for (int n = 0; any; n++) {
			natpmp_ctx *ctx = client(responder_port(r), SOON);
			deny(n);
			int status = call(ctx, which);
			any = was_denied();
			failures += any;
			ck_assert_msg(status == NATPMP_OK || (any && status == NATPMP_E_NO_MEMORY),
				      "call %d, allocation %d: %d", which, n, status);
			ok(call(ctx, which)); /* as if nothing had been */
			natpmp_free(ctx);
		}
	}
	ck_assert_int_ge(failures, 5);
	responder_stop(r);
}

/* Many holds, so that what grows has to grow. */
START_TEST(holds_out_of_memory)
{
	struct responder *r = responder_start();
	int failures = 0;

	for (int n = 0; n < HOLDS + 20; n += n < 20 ? 1 : 7) {
		natpmp_ctx *ctx = client(responder_port(r), SOON);
		natpmp_lease *leases[HOLDS];

		int unexpected = 0;

		deny(n);
		for (int i = 0; i < HOLDS; i++) {
			natpmp_mapping m = wanted(NATPMP_UDP, (uint16_t)(1000 + i), 60);
			int status = natpmp_hold(ctx, &m, NULL, NULL, &leases[i]);
			if (status == NATPMP_E_NO_MEMORY)
				status = natpmp_hold(ctx, &m, NULL, NULL, &leases[i]);
			unexpected |= status;
		}
		failures += was_denied();
		for (int i = 0; i < HOLDS; i++)
			unexpected |= natpmp_release(leases[i]);
		ok(unexpected);
		natpmp_free(ctx);
	}
	ck_assert_int_ge(failures, 20 + HOLDS / 7);
	responder_stop(r);
}

/* Up and running, everything goes on though there is no memory at all any more. */
START_TEST(running_needs_no_memory)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 2);
	struct pollfd fd = {.fd = natpmp_fd(ctx), .events = POLLIN};
	uint64_t until = now_ms() + 1500;
	natpmp_lease *lease;
	natpmp_state state;
	int failures = 0;

	natpmp_mapping n = wanted(NATPMP_UDP, 53, 0);

	ok(natpmp_watch(ctx, ignore, NULL));
	ok(natpmp_start_unmap(ctx, &n, NULL, NULL));
	ok(natpmp_hold(ctx, &m, NULL, NULL, &lease));
	atomic_store(&all_fail, true);
	while (now_ms() < until) { /* a renewal, too */
		poll(&fd, 1, 100);
		failures |= natpmp_process(ctx);
	}
	failures |= natpmp_retry(lease) | natpmp_watch(ctx, NULL, NULL);
	failures |= natpmp_lease_state(lease, &state) | natpmp_release(lease);
	failures |= natpmp_free(ctx);
	atomic_store(&all_fail, false);
	ok(failures);
	ok(state.status);
	ck_assert_uint_ge(responder_asked(r, NATPMP_TCP, 80), 2);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 80), 1);
	responder_stop(r);
}

START_TEST(no_thread_for_the_keeper)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);
	int runs = 0;

	atomic_store(&threads_fail, true);
	ck_assert_int_eq(natpmp_with_mapping(ctx, &m, run_once, &runs), NATPMP_E_SYSTEM);
	atomic_store(&threads_fail, false);
	ck_assert_int_eq(runs, 0);
	ck_assert_uint_eq(responder_asked(r, NATPMP_TCP, 80), 1);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 80), 1);
	ck_assert_int_eq(natpmp_with_mapping(ctx, &m, run_once, &runs), 11);
	natpmp_free(ctx);
	responder_stop(r);
}

/* A child of now frees the context: does it free memory? */
static bool child_frees_memory(natpmp_ctx *ctx)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		atomic_store(&frees, 0);
		if (natpmp_free(ctx) != NATPMP_E_FORKED)
			_exit(2);
		_exit(atomic_load(&frees) ? 1 : 0);
	}
	ck_assert_int_gt(child, 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) < 2);
	return WEXITSTATUS(status);
}

struct forker {
	natpmp_ctx *ctx;
	unsigned children;
};

static void fork_inside(natpmp_lease *lease, const natpmp_state *before, const natpmp_state *now,
			void *arg)
{
	struct forker *forker = arg;

	(void)lease;
	(void)before;
	(void)now;
	ck_assert(!child_frees_memory(forker->ctx));
	forker->children++;
}

/* Somebody is inside a call when a child is made: what is in use may be in any state there. */
START_TEST(child_leaves_alone_what_is_in_use)
{
	struct responder *r = responder_start();
	struct forker forker = {.ctx = client(responder_port(r), SOON)};
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);
	natpmp_lease *lease;

	ok(natpmp_hold(forker.ctx, &m, fork_inside, &forker, &lease));
	ck_assert(drive_to(forker.ctx, lease, NATPMP_OK, SOON));
	ck_assert_uint_eq(forker.children, 1);
	ck_assert(child_frees_memory(forker.ctx)); /* nobody is inside now */
	natpmp_free(forker.ctx);
	responder_stop(r);
}

int main(void)
{
	return RUN_TESTS("api-memory", new_out_of_memory, every_call_out_of_memory,
			 holds_out_of_memory, running_needs_no_memory, no_thread_for_the_keeper,
			 child_leaves_alone_what_is_in_use);
}
