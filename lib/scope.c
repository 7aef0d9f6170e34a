/* SPDX-License-Identifier: MIT */
/* scope - natpmp_with_mapping(): a thread keeps the mapping while the caller's body runs. */
#include <errno.h>
#include <signal.h>

#include "drive.h"
#include "link.h"

struct scope {
	natpmp_ctx *ctx;
	natpmp_lease *lease;
	pthread_t keeper;
	bool is_over; /* read and written with the context locked */
};

static bool scope_is_over(natpmp_ctx *ctx, void *arg)
{
	const struct scope *scope = arg;

	(void)ctx;
	return scope->is_over;
}

static void *keep_mapping(void *arg)
{
	struct scope *scope = arg;
	int cancel;

	if (context_lock(scope->ctx, &cancel) == NATPMP_OK) {
		drive_wait(scope->ctx, scope_is_over, scope, NEVER);
		context_unlock(scope->ctx, cancel);
	}
	return NULL;
}

static int start_keeper(struct scope *scope)
{
	sigset_t all, before;
	int error;

	/* The keeper inherits this mask, so that signals go to the program's threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&scope->keeper, NULL, keep_mapping, scope);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = error;
	return error ? NATPMP_E_SYSTEM : NATPMP_OK;
}

/* Runs when body returns, or when its thread ends inside it. errno stays as body left it. */
static void end_scope(void *arg)
{
	struct scope *scope = arg;
	natpmp_ctx *ctx = scope->ctx;
	int cancel, saved = errno;

	if (context_lock(ctx, &cancel))
		return; /* this is a child that body forked */
	scope->is_over = true;
	drive_wake(ctx);
	context_unlock(ctx, cancel);
	pthread_join(scope->keeper, NULL);

	context_lock(ctx, &cancel);
	context_release_lease(scope->lease);
	ctx->scopes--;
	context_unlock(ctx, cancel);
	errno = saved;
}

/* With the context locked: wait until the mapping is open, and start the keeper. */
static int open_lease(struct scope *scope, natpmp_mapping *mapping)
{
	natpmp_ctx *ctx = scope->ctx;
	natpmp_state state;
	int status;

	context_wait_for_verdict(scope->lease);
	client_stop_waiting(&scope->lease->core);
	context_state(scope->lease, &scope->lease->core.told, &state);
	*mapping = state.mapping;
	/* The mapping is open, even if the gateway does not tell its address. */
	status = context_outcome(scope->lease, mapping);
	if (status == NATPMP_E_SYSTEM)
		errno = ctx->link.error;
	return status ? status : start_keeper(scope);
}

static int hold_scoped(struct scope *scope, const natpmp_mapping *wanted)
{
	natpmp_ctx *ctx = scope->ctx;
	int status;

	if (ctx->drive.in_callback)
		return NATPMP_E_BUSY;
	if (!context_accepts(ctx, wanted))
		return NATPMP_E_INVALID;
	link_watch(ctx);
	status = context_hold(ctx, wanted, ctx->deadline, true, &scope->lease);
	if (!status)
		scope->lease->is_scoped = true;
	else
		drive_pump(ctx);
	return status;
}

/* Hold the mapping and write it as granted; on error no lease is left. */
static int open_scope(struct scope *scope, const natpmp_mapping *wanted, natpmp_mapping *mapping)
{
	natpmp_ctx *ctx = scope->ctx;
	int cancel, saved;
	int status = context_lock(ctx, &cancel);

	if (status)
		return status;
	status = hold_scoped(scope, wanted);
	if (!status) {
		status = open_lease(scope, mapping);
		saved = errno;
		if (status)
			context_release_lease(scope->lease);
		else
			ctx->scopes++;
		errno = saved;
	}
	context_unlock(ctx, cancel);
	return status;
}

/* Run body, with the thread as cancellable as the caller had it. */
static int run_body(struct scope *scope, int cancel, natpmp_body *body,
		    const natpmp_mapping *mapping, void *arg)
{
	int result;

	pthread_cleanup_push(end_scope, scope);
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
		result = run_body(&scope, cancel, body, &mapping, arg);
	pthread_setcancelstate(cancel, &cancel);
	return result;
}
