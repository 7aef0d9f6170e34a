/* SPDX-License-Identifier: MIT */
/* scope - natpmp_with_mapping(): the keeper thread. */
#include <errno.h>
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
	errno = error;
	return error ? NATPMP_E_SYSTEM : NATPMP_OK;
}

static bool is_decided(natpmp_ctx *ctx, void *arg)
{
	const natpmp_lease *lease = arg;

	(void)ctx;
	return lease->core.view.status != NATPMP_PENDING;
}

static int run(natpmp_lease *lease, const natpmp_mapping *mapping, natpmp_body *body, void *arg)
{
	struct keeper keeper = {.ctx = lease->ctx};
	pthread_t thread;
	int result = start(&keeper, &thread);

	if (result)
		return result;
	result = body(lease, mapping, arg);

	if (ctx_enter(lease->ctx) ==
	    NATPMP_OK) { /* else: body forked and let the child come here */
		keeper.over = true;
		ctx_pump(lease->ctx);
		ctx_leave(lease->ctx);
		pthread_join(thread, NULL);
	}
	return result;
}

int natpmp_with_mapping(natpmp_ctx *ctx, const natpmp_mapping *wanted, natpmp_body *body, void *arg)
{
	natpmp_lease *lease;
	natpmp_mapping mapping;
	int status, opened;

	if (!ctx || !body)
		return NATPMP_E_INVALID;
	status = ctx_enter(ctx);
	if (status)
		return status;
	status = ctx->in_callback ? NATPMP_E_BUSY : natpmp_hold(ctx, wanted, NULL, NULL, &lease);
	if (status) {
		ctx_leave(ctx);
		return status;
	}
	lease->scoped = true;
	ctx_wait(ctx, is_decided, lease, clock_ms() + ctx->deadline);
	mapping = lease->wanted;
	opened = ctx_outcome(lease,
			     &mapping); /* the address may be silent: it is open all the same */
	if (opened == NATPMP_E_SYSTEM)
		errno = ctx->link_errno;
	ctx_leave(ctx);

	status = opened ? opened : run(lease, &mapping, body, arg);
	if (ctx_enter(ctx) == NATPMP_OK) {
		ctx_close_lease(lease);
		ctx_leave(ctx);
	}
	return status;
}
