/* SPDX-License-Identifier: MIT */
/* scope - natpmp_with_mapping(): the keeper thread. */
#include <signal.h>

#include "core/address.h"
#include "ctx.h"
#include "os/clock.h"

struct keeper {
	natpmp_ctx *ctx;
	bool over; /* with the context locked */
};

static bool is_over(natpmp_ctx *ctx, void *arg)
{
	const struct keeper *keeper = arg;

	(void)ctx;
	return keeper->over;
}

static void *keep(void *arg)
{
	struct keeper *keeper = arg;

	if (ctx_enter(keeper->ctx) == NATPMP_OK) {
		ctx_wait(keeper->ctx, is_over, keeper, NEVER);
		ctx_leave(keeper->ctx);
	}
	return NULL;
}

static int start(struct keeper *keeper, pthread_t *thread)
{
	sigset_t all, before;
	int error;

	/* The thread inherits the mask: signals are for the caller's threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(thread, NULL, keep, keeper);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error ? NATPMP_E_NO_MEMORY : NATPMP_OK;
}

static bool is_decided(natpmp_ctx *ctx, void *arg)
{
	const natpmp_lease *lease = arg;

	(void)ctx;
	return lease->core.view.status != NATPMP_PENDING;
}

static int run(natpmp_lease *lease, natpmp_body *body, void *arg)
{
	struct keeper keeper = {.ctx = lease->ctx};
	natpmp_state state;
	pthread_t thread;
	int result;

	natpmp_lease_state(lease, &state);
	if (state.status != NATPMP_OK)
		return state.status == NATPMP_PENDING ? NATPMP_E_TIMEOUT : state.status;
	result = start(&keeper, &thread);
	if (result)
		return result;
	result = body(lease, &state.mapping, arg);

	if (ctx_enter(lease->ctx) == NATPMP_OK) { /* else: body forked and let the child come here */
		keeper.over = true;
		ctx_wake(lease->ctx);
		ctx_leave(lease->ctx);
		pthread_join(thread, NULL);
	}
	return result;
}

int natpmp_with_mapping(natpmp_ctx *ctx, const natpmp_mapping *wanted, natpmp_body *body, void *arg)
{
	natpmp_lease *lease;
	int status;

	if (!ctx || !body)
		return NATPMP_E_INVALID;
	status = ctx_enter(ctx);
	if (status)
		return status;
	status = ctx->in_callback ? NATPMP_E_BUSY : natpmp_hold(ctx, wanted, NULL, NULL, &lease);
	if (!status)
		ctx_wait(ctx, is_decided, lease, clock_ms() + ctx->deadline);
	ctx_leave(ctx);
	if (status)
		return status;

	status = run(lease, body, arg);
	if (ctx_enter(ctx) == NATPMP_OK) {
		ctx_close_lease(lease);
		ctx_leave(ctx);
	}
	return status;
}
