/* SPDX-License-Identifier: MIT */
/* api - the public functions: look at the arguments, one call down. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/address.h"
#include "ctx.h"
#include "os/clock.h"
#include "os/random.h"

#define REQUEST_PORT 5351 /* RFC 6886 section 3.1 */
#define PCP_PATIENCE 1750 /* ms, three sends */

/* --- contexts --- */

static int read_address(const char *text, uint32_t *address)
{
	if (!text)
		return NATPMP_OK;
	if (!address_parse(text, address) || *address == 0 || *address >> 28 >= 0xe)
		return NATPMP_E_ADDRESS;
	return NATPMP_OK;
}

static int read_options(natpmp_ctx *ctx, const natpmp_options *given)
{
	natpmp_options options = NATPMP_OPTIONS_INIT;
	int status;

	if (given) {
		/* A later version with more members takes the sizes of all before it. */
		if (given->size != sizeof(options) || given->reserved)
			return NATPMP_E_INVALID;
		options = *given;
	}
	if (options.interface) {
		if (!options.interface[0] || strlen(options.interface) >= sizeof(ctx->interface))
			return NATPMP_E_INVALID;
		strcpy(ctx->interface, options.interface);
	}
	status = read_address(options.gateway, &ctx->named_gateway);
	if (!status)
		status = read_address(options.source, &ctx->source);
	ctx->port = options.gateway_port ? options.gateway_port : REQUEST_PORT;
	ctx->deadline = options.deadline ? options.deadline : ENGINE_PATIENCE;
	ctx->log = options.log;
	ctx->log_arg = options.log_arg;
	ctx->leases.vpn = options.vpn_ports != 0;
	return status;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void close_all_fds(natpmp_ctx *ctx)
{
	close_fd(ctx->request_fd);
	close_fd(ctx->group_fd);
	close_fd(ctx->route_fd);
	waiter_close(&ctx->waiter);
}

static void tear_down(natpmp_ctx *ctx)
{
	struct lease *lease;

	while ((lease = ctx->leases.all)) {
		natpmp_lease *owner = lease->owner;
		leases_drop(&ctx->leases, lease);
		free(owner);
	}
	leases_free(&ctx->leases);
	free(ctx);
}

/* In a child: what is closed here stays open in the parent. If a thread of the parent was at work
 * in the context, its memory may be in any state, and is left alone. */
static void tear_down_copy(natpmp_ctx *ctx)
{
	close_all_fds(ctx);
	if (pthread_mutex_trylock(&ctx->mutex) == 0)
		tear_down(ctx);
}

static bool init_lock(natpmp_ctx *ctx)
{
	pthread_mutexattr_t attributes;
	bool done = false;

	if (pthread_mutexattr_init(&attributes))
		return false;
	if (!pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE) &&
	    !pthread_mutex_init(&ctx->mutex, &attributes)) {
		done = !pthread_cond_init(&ctx->processed, NULL);
		if (!done)
			pthread_mutex_destroy(&ctx->mutex);
	}
	pthread_mutexattr_destroy(&attributes);
	return done;
}

int natpmp_new(natpmp_ctx **result, const natpmp_options *options)
{
	int status;

	if (!result)
		return NATPMP_E_INVALID;
	*result = NULL;
	natpmp_ctx *ctx = calloc(1, sizeof(*ctx));
	if (!ctx)
		return NATPMP_E_NO_MEMORY;
	status = leases_init(&ctx->leases, random_seed(), false) ? NATPMP_OK : NATPMP_E_NO_MEMORY;
	ctx->pid = getpid();
	ctx->request_fd = ctx->group_fd = ctx->route_fd = -1;
	ctx->waiter.fd = ctx->waiter.timer = -1;
	ctx->link_status = NATPMP_PENDING;
	ctx->relink_at = NEVER;
	if (!status)
		status = read_options(ctx, options);
	if (!status && !waiter_open(&ctx->waiter))
		status = NATPMP_E_SYSTEM;
	if (!status && !init_lock(ctx))
		status = NATPMP_E_NO_MEMORY;
	if (status) {
		int saved = errno;
		close_all_fds(ctx);
		tear_down(ctx);
		errno = saved;
		return status;
	}
	*result = ctx;
	return NATPMP_OK;
}

static bool is_empty(natpmp_ctx *ctx, void *arg)
{
	int reach = ctx->leases.engine.reach;

	(void)arg;
	return !ctx->leases.all || (reach != NATPMP_OK && reach != NATPMP_PENDING);
}

/* Delete all that is held, for as long as that may take. */
static int close_all(natpmp_ctx *ctx)
{
	const struct engine *engine = &ctx->leases.engine;
	bool silent = engine_seems_silent(engine);
	uint64_t now = clock_ms();

	if (ctx->left_until <= now)
		ctx->close_status = NATPMP_OK;
	for (struct lease *lease = ctx->leases.all; lease; lease = lease->next) {
		if (lease->finished)
			continue;
		lease->released = true;
		leases_close(&ctx->leases, lease, now);
	}
	if (!silent)
		ctx_wait(ctx, is_empty, NULL, now + CLOSE_MS);
	ctx_pump(ctx);
	now = clock_ms();
	for (struct lease *lease = ctx->leases.all; lease; lease = lease->next)
		if (!ctx->close_status && lease_is_left(lease, now))
			ctx->close_status =
				engine->reach < NATPMP_OK ? engine->reach : NATPMP_E_TIMEOUT;
	ctx_farewell(ctx);
	return ctx->close_status;
}

int natpmp_free(natpmp_ctx *ctx)
{
	int cancel;
	int status = ctx ? ctx_enter(ctx, &cancel) : NATPMP_OK;

	if (!ctx)
		return NATPMP_OK;
	if (status) {
		tear_down_copy(ctx);
		return status;
	}
	status = close_all(ctx);
	close_all_fds(ctx);
	ctx_leave(ctx, cancel);
	pthread_cond_destroy(&ctx->processed);
	pthread_mutex_destroy(&ctx->mutex);
	tear_down(ctx);
	return status;
}

/* --- blocking calls --- */

/* Locked and with a link; or a status, and not locked. */
static int enter_to_block(natpmp_ctx *ctx, int *cancel)
{
	int status = ctx ? ctx_enter(ctx, cancel) : NATPMP_E_INVALID;

	if (status)
		return status;
	status = ctx->in_callback ? NATPMP_E_BUSY : ctx_link(ctx);
	if (status)
		ctx_leave(ctx, *cancel);
	return status;
}

/* What a blocking call has come to. */
static int leave_with(natpmp_ctx *ctx, int cancel, int status)
{
	if (status == NATPMP_E_SYSTEM)
		errno = ctx->link_errno;
	ctx_leave(ctx, cancel);
	return status;
}

static bool is_mapped(natpmp_ctx *ctx, void *arg)
{
	const struct lease *core = arg;

	if (core->down)
		return true;
	return lease_in_force(&ctx->leases, core) &&
	       ctx->leases.address_request.state == REQUEST_IDLE;
}

int natpmp_map(natpmp_ctx *ctx, natpmp_mapping *mapping)
{
	natpmp_lease *lease = NULL;
	int status, cancel;

	if (!ctx_is_valid(ctx, mapping))
		return NATPMP_E_INVALID;
	status = enter_to_block(ctx, &cancel);
	if (status)
		return status;
	status = ctx_make_lease(ctx, mapping, &lease);
	if (!status) {
		uint64_t now = clock_ms();

		lease->core.once = true;
		status = leases_add(&ctx->leases, &lease->core, LEASE_HOLD, now);
		if (status) {
			free(lease);
			lease = NULL;
		} else {
			ctx_wait(ctx, is_mapped, &lease->core, now + ctx->deadline);
			status = ctx_outcome(lease, mapping);
		}
	}
	if (lease && status && lease->core.halves == 2)
		ctx_close_lease(lease); /* one half may have come to be: leave nothing behind */
	else if (lease)
		ctx_drop_lease(lease);
	return leave_with(ctx, cancel, status);
}

static bool is_closed(natpmp_ctx *ctx, void *arg)
{
	const struct lease *core = arg;

	return core->finished || ctx->link_status != NATPMP_OK;
}

/* Internal port 0: all. */
static int unmap(natpmp_ctx *ctx, natpmp_protocol protocol, uint16_t internal_port)
{
	const natpmp_mapping mapping = {.protocol = protocol, .internal_port = internal_port};
	natpmp_lease *lease;
	int cancel;
	int status = enter_to_block(ctx, &cancel);

	if (status)
		return status;
	lease = ctx_new_lease(ctx, &mapping);
	if (!lease) {
		status = NATPMP_E_NO_MEMORY;
	} else {
		uint64_t now = clock_ms();

		lease->core.once = true;
		status = leases_add(&ctx->leases, &lease->core, LEASE_CLOSE, now);
		if (status) {
			free(lease);
		} else {
			ctx_wait(ctx, is_closed, &lease->core, now + ctx->deadline);
			status = lease->core.finished ? lease->core.close_status
						      : lease_excuse(&ctx->leases, &lease->core);
			ctx_drop_lease(lease);
		}
	}
	return leave_with(ctx, cancel, status);
}

int natpmp_unmap(natpmp_ctx *ctx, const natpmp_mapping *mapping)
{
	unsigned protocol = mapping ? (unsigned)mapping->protocol : 0;

	if (protocol < NATPMP_UDP || protocol > NATPMP_TCP_UDP || !mapping->internal_port)
		return NATPMP_E_INVALID;
	return unmap(ctx, mapping->protocol, mapping->internal_port);
}

int natpmp_unmap_all(natpmp_ctx *ctx, natpmp_protocol protocol)
{
	if ((unsigned)protocol < NATPMP_UDP || (unsigned)protocol > NATPMP_TCP_UDP)
		return NATPMP_E_INVALID;
	return unmap(ctx, protocol, 0);
}

/* A question, by the count of those that ended: as it is, and as it was before it was asked. */
struct question {
	const unsigned *serial;
	unsigned before;
};

static bool is_told(natpmp_ctx *ctx, void *arg)
{
	const struct question *question = arg;

	return *question->serial != question->before || ctx->link_status != NATPMP_OK;
}

static int ask_address(natpmp_ctx *ctx)
{
	struct leases *leases = &ctx->leases;
	struct question question = {&leases->address_serial, leases->address_serial};
	uint64_t now = clock_ms();

	leases_ask_address(leases, now);
	ctx_wait(ctx, is_told, &question, now + ctx->deadline);
	int hint = leases->address_request.hint;
	leases_forget_address(leases);
	ctx_pump(ctx); /* the next one's turn */
	if (ctx->link_status != NATPMP_OK)
		return ctx->link_status;
	if (leases->address_serial != question.before)
		return leases->address_status;
	return hint ? hint : NATPMP_E_TIMEOUT;
}

int natpmp_external_address(natpmp_ctx *ctx, char address[NATPMP_ADDRESS_LEN])
{
	int cancel;
	int status = address ? enter_to_block(ctx, &cancel) : NATPMP_E_INVALID;

	if (status)
		return status;
	status = ask_address(ctx);
	address_print(status ? 0 : ctx->leases.address, address);
	return leave_with(ctx, cancel, status);
}

natpmp_address_kind natpmp_classify(const char *text)
{
	uint32_t address;

	if (!text || !address_parse(text, &address))
		return NATPMP_ADDRESS_NONE;
	return address_classify(address);
}

/* --- holds --- */

int natpmp_hold(natpmp_ctx *ctx, const natpmp_mapping *wanted, natpmp_event_fn *on_event, void *arg,
		natpmp_lease **result)
{
	int status, cancel;

	if (result)
		*result = NULL;
	if (!result || !ctx)
		return NATPMP_E_INVALID;
	status = ctx_enter(ctx, &cancel);
	if (status)
		return status;
	status = ctx_hold(ctx, wanted, false, result);
	if (!status) {
		(*result)->on_event = on_event;
		(*result)->arg = arg;
	}
	ctx_leave(ctx, cancel);
	return status;
}

int natpmp_release(natpmp_lease *lease)
{
	natpmp_ctx *ctx = lease ? lease->ctx : NULL;
	int cancel;
	int status = ctx ? ctx_enter(ctx, &cancel) : NATPMP_OK;

	if (!ctx || status)
		return status;
	if (lease->scoped) {
		status = NATPMP_E_INVALID;
	} else {
		lease->core.released = true;
		leases_close(&ctx->leases, &lease->core, clock_ms());
		ctx_pump(ctx);
	}
	ctx_leave(ctx, cancel);
	return status;
}

int natpmp_lease_state(natpmp_lease *lease, natpmp_state *state)
{
	int cancel;
	int status = lease && state ? ctx_enter(lease->ctx, &cancel) : NATPMP_E_INVALID;

	if (status)
		return status;
	ctx_state(lease, &lease->core.view, state);
	ctx_leave(lease->ctx, cancel);
	return NATPMP_OK;
}

int natpmp_fd(natpmp_ctx *ctx)
{
	if (!ctx)
		return NATPMP_E_INVALID;
	return ctx->pid == getpid() ? ctx->waiter.fd : NATPMP_E_FORKED;
}

int natpmp_timeout(natpmp_ctx *ctx)
{
	uint64_t at, now;
	int cancel;

	if (!ctx || ctx_enter(ctx, &cancel))
		return -1;
	at = ctx_deadline(ctx);
	now = clock_ms();
	ctx_leave(ctx, cancel);
	if (at == NEVER)
		return -1;
	if (at <= now)
		return 0;
	return at - now > INT_MAX ? INT_MAX : (int)(at - now);
}

int natpmp_process(natpmp_ctx *ctx)
{
	int cancel;
	int status = ctx ? ctx_enter(ctx, &cancel) : NATPMP_E_INVALID;

	if (status)
		return status;
	if (ctx->in_callback)
		status = NATPMP_E_BUSY;
	else
		ctx_process(ctx);
	ctx_leave(ctx, cancel);
	return status;
}

/* --- looking --- */

int natpmp_get_link(natpmp_ctx *ctx, natpmp_link *link)
{
	struct route route;
	uint32_t gateway;
	int cancel, saved;
	int status = ctx && link ? ctx_enter(ctx, &cancel) : NATPMP_E_INVALID;

	if (status)
		return status;
	memset(link, 0, sizeof(*link));
	status = ctx_find(ctx, &route, &gateway);
	link->gateway_port = ctx->port;
	saved = errno;
	address_print(gateway, link->gateway);
	address_print(route.source, link->internal_address);
	route_interface(&route, link->interface);
	ctx_leave(ctx, cancel);
	errno = saved;
	return status;
}

static int ask_pcp(natpmp_ctx *ctx, uint32_t patience)
{
	struct leases *leases = &ctx->leases;
	struct question question = {&leases->pcp_serial, leases->pcp_serial};
	uint64_t now = clock_ms();

	leases_ask_pcp(leases, now);
	ctx_wait(ctx, is_told, &question, now + patience);
	leases_forget_pcp(leases);
	ctx_pump(ctx);
	if (ctx->link_status != NATPMP_OK)
		return ctx->link_status;
	return leases->pcp_serial != question.before ? leases->pcp_request.status
						     : NATPMP_E_TIMEOUT;
}

int natpmp_get_probe(natpmp_ctx *ctx, natpmp_probe *probe)
{
	int cancel;
	int status = probe ? enter_to_block(ctx, &cancel) : NATPMP_E_INVALID;

	if (status)
		return status;
	struct leases *leases = &ctx->leases;
	const struct wire_answer *answer = &leases->address_request.answer;
	uint32_t patience = ctx->deadline;

	memset(probe, 0, sizeof(*probe));
	probe->status = ask_address(ctx);
	if (probe->status == NATPMP_OK || probe->status <= NATPMP_E_VERSION) { /* it answered */
		probe->round_trip = (uint32_t)ctx->round_trip;
		probe->uptime = answer->epoch;
		/* Who answered one question will not sit over the next one for long. */
		if (patience > PCP_PATIENCE)
			patience = PCP_PATIENCE;
	}
	address_print(probe->status ? 0 : leases->address, probe->external_address);
	probe->pcp_status = ask_pcp(ctx, patience);
	return leave_with(ctx, cancel, NATPMP_OK);
}
