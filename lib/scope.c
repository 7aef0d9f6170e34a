/* SPDX-License-Identifier: MIT */
/* scope - natpmp_with_mapping(): the keeper thread. */
#include <errno.h>
#include <signal.h>

#include "ctx.h"
#include "os/clock.h"

struct scope {
	natpmp_ctx *ctx;
	natpmp_lease *lease;
	pthread_t keeper;
	bool over; /* with the context locked */
};

static bool is_over(natpmp_ctx *ctx, void *arg)
{
	const struct scope *scope = arg;

	(void)ctx;
	return scope->over;
}

static void *keep(void *arg)
{
	struct scope *scope = arg;
	int cancel;

	if (ctx_enter(scope->ctx, &cancel) == NATPMP_OK) {
		ctx_wait(scope->ctx, is_over, scope, NEVER);
		ctx_leave(scope->ctx, cancel);
	}
	return NULL;
}

static int start(struct scope *scope)
{
	sigset_t all, before;
	int error;

	/* The thread inherits the mask: signals are for the caller's threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&scope->keeper, NULL, keep, scope);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = error;
	return error ? NATPMP_E_SYSTEM : NATPMP_OK;
}

/* However body ends: it returned, or its thread does. errno stays as it left it. */
static void end(void *arg)
{
	struct scope *scope = arg;
	natpmp_ctx *ctx = scope->ctx;
	int cancel, saved = errno;

	if (ctx_enter(ctx, &cancel))
		return; /* body forked and let the child come here */
	scope->over = true;
	ctx_pump(ctx);
	ctx_leave(ctx, cancel);
	pthread_join(scope->keeper, NULL);

	ctx_enter(ctx, &cancel);
	ctx_close_lease(scope->lease);
	ctx_leave(ctx, cancel);
	errno = saved;
}

static bool is_decided(natpmp_ctx *ctx, void *arg)
{
	const natpmp_lease *lease = arg;

	(void)ctx;
	return lease->core.view.status != NATPMP_PENDING;
}

/* Locked: wait until it is open, start the keeper. */
static int open_lease(struct scope *scope, natpmp_mapping *mapping)
{
	natpmp_ctx *ctx = scope->ctx;
	int status;

	ctx_wait(ctx, is_decided, scope->lease, clock_ms() + ctx->deadline);
	*mapping = scope->lease->wanted;
	/* The address may be silent: it is open all the same. */
	status = ctx_outcome(scope->lease, mapping);
	if (status == NATPMP_E_SYSTEM)
		errno = ctx->link_errno;
	return status ? status : start(scope);
}

/* The mapping as granted; or a status, and no lease. */
static int open_scope(struct scope *scope, const natpmp_mapping *wanted, natpmp_mapping *mapping)
{
	natpmp_ctx *ctx = scope->ctx;
	int cancel, saved;
	int status = ctx_enter(ctx, &cancel);

	if (status)
		return status;
	status = ctx->in_callback ? NATPMP_E_BUSY : ctx_hold(ctx, wanted, true, &scope->lease);
	if (!status) {
		status = open_lease(scope, mapping);
		saved = errno;
		if (status)
			ctx_close_lease(scope->lease);
		errno = saved;
	}
	ctx_leave(ctx, cancel);
	return status;
}

/* With the thread as cancellable as it was. */
static int run(struct scope *scope, int cancel, natpmp_body *body, const natpmp_mapping *mapping,
	       void *arg)
{
	int result;

	pthread_cleanup_push(end, scope);
	pthread_setcancelstate(cancel, &cancel);
	result = body(scope->lease, mapping, arg);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	pthread_cleanup_pop(1);
	return result;
}

int natpmp_with_mapping(natpmp_ctx *ctx, const natpmp_mapping *wanted, natpmp_body *body, void *arg)
{
	struct scope scope = {.ctx = ctx};
	natpmp_mapping mapping;
	int result, cancel;

	if (!ctx || !body)
		return NATPMP_E_INVALID;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	result = open_scope(&scope, wanted, &mapping);
	if (!result)
		result = run(&scope, cancel, body, &mapping, arg);
	pthread_setcancelstate(cancel, &cancel);
	return result;
}
