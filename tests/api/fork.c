/* SPDX-License-Identifier: MIT */
/* After fork() the context is the parent's: the child only frees it, and nothing of that is heard.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"

enum { FORKS = 100 };

static void no_event(natpmp_lease *lease, const natpmp_state *before, const natpmp_state *now,
		     void *arg)
{
	(void)lease;
	(void)before;
	(void)now;
	(void)arg;
	_exit(100);
}

static int never(natpmp_lease *lease, const natpmp_mapping *mapping, void *arg)
{
	(void)lease;
	(void)mapping;
	(void)arg;
	_exit(101);
}

/* What the child may not do; the number of what it could do nevertheless. */
static int try_all(natpmp_ctx *ctx, natpmp_lease *lease)
{
	natpmp_mapping m = wanted(NATPMP_UDP, 53, 60);
	char address[NATPMP_ADDRESS_LEN];
	natpmp_lease *another;
	natpmp_state state;
	natpmp_probe probe;
	natpmp_link link;
	const int results[] = {
		natpmp_map(ctx, &m),
		natpmp_unmap(ctx, &m),
		natpmp_unmap_all(ctx, NATPMP_UDP),
		natpmp_external_address(ctx, address),
		natpmp_hold(ctx, &m, no_event, NULL, &another),
		natpmp_release(lease),
		natpmp_lease_state(lease, &state),
		natpmp_retry(lease),
		natpmp_start_unmap(ctx, &m, NULL, NULL),
		natpmp_watch(ctx, NULL, NULL),
		natpmp_fd(ctx),
		natpmp_process(ctx),
		natpmp_with_mapping(ctx, &m, never, NULL),
		natpmp_get_link(ctx, &link),
		natpmp_get_probe(ctx, &probe),
	};

	for (int i = 0; i < (int)(sizeof(results) / sizeof(results[0])); i++)
		if (results[i] != NATPMP_E_FORKED)
			return i + 1;
	if (natpmp_timeout(ctx) != -1)
		return 50;
	natpmp_free(ctx);
	return 0;
}

static void wait_for(pid_t child)
{
	int status;

	ck_assert_int_gt(child, 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child: %x", (unsigned)status);
}

START_TEST(child_gets_forked_and_sends_nothing)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	struct events events = {0};
	natpmp_mapping m = wanted(NATPMP_UDP, 54, 60);

	natpmp_lease *lease = hold_up(ctx, NATPMP_TCP, 80, &events);
	size_t heard = responder_heard(r);
	pid_t child = fork();
	if (child == 0)
		_exit(try_all(ctx, lease));
	wait_for(child);
	poll(NULL, 0, 50);
	ck_assert_uint_eq(responder_heard(r), heard);

	/* The parent's is as it was. */
	ok(natpmp_map(ctx, &m));
	hold_up(ctx, NATPMP_TCP, 81, &events);
	ok(natpmp_release(lease));
	natpmp_free(ctx);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 80), 1);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 81), 1);
	responder_stop(r);
}

struct scope {
	natpmp_ctx *ctx;
	struct responder *r;
	pid_t child, parent;
	size_t heard;
};

static int fork_in_scope(natpmp_lease *lease, const natpmp_mapping *mapping, void *arg)
{
	struct scope *scope = arg;
	natpmp_state state;

	(void)mapping;
	scope->heard = responder_heard(scope->r);
	scope->child = fork();
	if (scope->child == 0)
		return natpmp_lease_state(lease, &state) == NATPMP_E_FORKED ? 17 : 18;
	wait_for(scope->child);
	poll(NULL, 0, 50);
	ck_assert_uint_eq(responder_heard(scope->r), scope->heard);
	return 5;
}

/* The child comes out of natpmp_with_mapping() as well: with its body's value, and in silence. */
START_TEST(child_leaves_a_scope)
{
	struct scope scope = {.r = responder_start(), .parent = getpid()};
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);

	scope.ctx = client(responder_port(scope.r), 0);
	int result = natpmp_with_mapping(scope.ctx, &m, fork_in_scope, &scope);
	if (getpid() != scope.parent) {
		natpmp_free(scope.ctx);
		_exit(result == 17 ? 0 : 1);
	}
	ck_assert_int_eq(result, 5);
	ck_assert_uint_eq(responder_deleted(scope.r, NATPMP_TCP, 80), 1);
	natpmp_free(scope.ctx);
	responder_stop(scope.r);
}

/* A child of its own can have contexts of its own. */
START_TEST(child_makes_a_context_of_its_own)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);

	hold_up(ctx, NATPMP_TCP, 80, NULL);
	pid_t child = fork();
	if (child == 0) {
		natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);
		natpmp_free(ctx);
		ctx = client(responder_port(r), SOON);
		int status = natpmp_map(ctx, &m);
		natpmp_free(ctx);
		_exit(-status);
	}
	wait_for(child);
	natpmp_free(ctx);
	responder_stop(r);
}

struct worker {
	natpmp_ctx *ctx;
	atomic_bool stop;
};

static void *hold_and_release(void *arg)
{
	struct worker *worker = arg;

	while (!atomic_load(&worker->stop)) {
		natpmp_mapping m = wanted(NATPMP_TCP, 1000, 60);
		natpmp_lease *leases[8];

		for (int i = 0; i < 8; i++, m.internal_port++)
			ok(natpmp_hold(worker->ctx, &m, NULL, NULL, &leases[i]));
		natpmp_process(worker->ctx);
		for (int i = 0; i < 8; i++)
			ok(natpmp_release(leases[i]));
		natpmp_process(worker->ctx);
	}
	return NULL;
}

/* A thread of the parent is at work in the context: its memory may be in any state. */
START_TEST(child_frees_what_a_thread_works_on)
{
	struct responder *r = responder_start();
	struct worker worker = {.ctx = client(responder_port(r), 0)};
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, hold_and_release, &worker), 0);
	for (int i = 0; i < FORKS; i++) {
		pid_t child = fork();
		if (child == 0)
			_exit(natpmp_free(worker.ctx) == NATPMP_E_FORKED ? 0 : 1);
		wait_for(child);
	}
	atomic_store(&worker.stop, true);
	pthread_join(thread, NULL);
	natpmp_free(worker.ctx);
	responder_stop(r);
}

static unsigned open_descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* Closing is a cancellation point; in a child, natpmp_free() is none. */
START_TEST(child_is_cancelled_while_it_frees)
{
	struct responder *r = responder_start();
	unsigned before = open_descriptors();
	natpmp_ctx *ctx = client(responder_port(r), SOON);

	hold_up(ctx, NATPMP_TCP, 80, NULL);
	ck_assert_uint_gt(open_descriptors(), before);
	pid_t child = fork();
	if (child == 0) {
		int cancel;
		pthread_cancel(pthread_self()); /* cancelled anywhere, it would end with 0 */
		int status = natpmp_free(ctx);
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
		bool is_good = status == NATPMP_E_FORKED && cancel == PTHREAD_CANCEL_ENABLE &&
			       open_descriptors() == before;
		_exit(is_good ? 17 : 1);
	}
	int status;
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 17, "child: %x",
		      (unsigned)status);
	natpmp_free(ctx);
	responder_stop(r);
}

/* --- process ids that repeat --- */

/* The exit status of what runs as process 1 in a new pid namespace; -1: it did not end so. */
static int run_as_first(int (*run)(uint16_t port), uint16_t port)
{
	int status;

	if (unshare(CLONE_NEWPID) != 0)
		return -1;
	pid_t child = fork();
	if (child == 0)
		_exit(getpid() == 1 ? run(port) : 99);
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

static natpmp_ctx *inherited;
static natpmp_lease *inherited_lease;

/* The child, also process 1, in a namespace within the namespace. */
static int child_of_first(uint16_t port)
{
	(void)port;
	return try_all(inherited, inherited_lease);
}

static int first(uint16_t port)
{
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);

	inherited = client(port, SOON);
	if (natpmp_hold(inherited, &m, NULL, NULL, &inherited_lease) ||
	    !drive_to(inherited, inherited_lease, NATPMP_OK, SOON))
		return 70;
	int status = run_as_first(child_of_first, port);
	if (status)
		return status < 0 ? 71 : status;
	/* The parent's is as it was. */
	return natpmp_process(inherited) == NATPMP_OK ? 0 : 72;
}

/* Containers are made like that: parent and child are both process 1, each in its namespace. */
START_TEST(child_with_the_same_pid)
{
	uint16_t port = closed_port();
	int ready[2];
	char byte = 0;

	ck_assert_int_eq(pipe(ready), 0);
	fflush(NULL);
	/* One with a single thread, for unshare(). There is no other thread at the fork() either: a
	 * sanitizer's allocator may be locked by it. */
	pid_t child = fork();
	if (child == 0) {
		if (read(ready[0], &byte, 1) != 1)
			_exit(75);
		int status = geteuid() == 0 || unshare(CLONE_NEWUSER) == 0
				     ? run_as_first(first, port)
				     : 73;
		_exit(status < 0 ? 74 : status);
	}
	struct responder *r = responder_start_at(port);
	ck_assert_ptr_nonnull(r);
	ck_assert_int_eq(write(ready[1], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	wait_for(child);
	ck_assert_uint_eq(responder_asked(r, NATPMP_TCP, 80), 1);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 80), 0);
	responder_stop(r);
}

int main(void)
{
	return RUN_TESTS("api-fork", child_gets_forked_and_sends_nothing, child_leaves_a_scope,
			 child_makes_a_context_of_its_own, child_frees_what_a_thread_works_on,
			 child_is_cancelled_while_it_frees, child_with_the_same_pid);
}
