/* SPDX-License-Identifier: MIT */
#include "context.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/address.h"
#include "core/natpmp.h"
#include "core/status.h"
#include "drive.h"
#include "link.h"
#include "os/clock.h"
#include "os/port.h"
#include "os/process.h"

enum {
	LOG_LINE = 160,
	LOG_BYTES = 24,
	PICKS_MAX = 16,         /* ports that the system chooses, before we search in order */
	FIRST_USER_PORT = 1024, /* lower ports are for services of the system */
};

int context_lock(natpmp_ctx *ctx, int *cancel)
{
	if (ctx->generation != process_generation())
		return NATPMP_E_FORKED;
	/* Sending, closing and logging are cancellation points, and a cancelled thread would keep
	 * the lock. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, cancel);
	pthread_mutex_lock(&ctx->mutex);
	return NATPMP_OK;
}

void context_unlock(natpmp_ctx *ctx, int cancel)
{
	pthread_mutex_unlock(&ctx->mutex);
	pthread_setcancelstate(cancel, &cancel);
}

/* --- the log --- */

void context_log(natpmp_ctx *ctx, const char *format, ...)
{
	char line[LOG_LINE];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	ctx->log(ctx->log_arg, line);
}

void context_log_bytes(natpmp_ctx *ctx, const char *what, const uint8_t *bytes, size_t len)
{
	char hex[3 * LOG_BYTES + 1] = "";

	if (!ctx->log)
		return;
	for (size_t i = 0; i < len && i < LOG_BYTES; i++)
		snprintf(hex + 3 * i, 4, " %02x", bytes[i]);
	LOG(ctx, "%s, %zu bytes:%s%s", what, len, hex, len > LOG_BYTES ? " .." : "");
}

/* --- leases --- */

bool context_accepts(const natpmp_ctx *ctx, const natpmp_mapping *wanted)
{
	static const uint32_t none[sizeof(wanted->reserved) / sizeof(wanted->reserved[0])];
	const unsigned all_flags = NATPMP_ANY_PORT | NATPMP_EXACT_PORT;
	unsigned protocol = wanted ? (unsigned)wanted->protocol : 0;

	if (!ctx || !context_accepts_protocol(protocol) ||
	    memcmp(wanted->reserved, none, sizeof(none)) != 0)
		return false;
	if (wanted->flags & ~all_flags || wanted->flags == all_flags ||
	    (wanted->flags == NATPMP_ANY_PORT && wanted->external_port))
		return false;
	return !ctx->client.is_vpn || (!wanted->internal_port && !wanted->flags);
}

/* Find the next port after *port that is free to bind and that this context does not hold. */
static int look_for_port(natpmp_ctx *ctx, natpmp_protocol protocol, uint16_t *port)
{
	for (unsigned tries = FIRST_USER_PORT; tries <= UINT16_MAX; tries++) {
		*port = *port < UINT16_MAX ? (uint16_t)(*port + 1) : FIRST_USER_PORT;
		if (client_is_held(&ctx->client, protocol, *port))
			continue;
		if (port_try(ctx->link.family, protocol & NATPMP_TCP, protocol & NATPMP_UDP,
			     *port) == OS_OK)
			return NATPMP_OK;
		if (errno)
			return NATPMP_E_SYSTEM;
	}
	return NATPMP_E_NO_PORT;
}

/* Let the system choose a port that is free to bind. If this context holds every port that it
 * chooses, search upwards from the last one. */
static int pick_port(natpmp_ctx *ctx, natpmp_protocol protocol, uint16_t *port)
{
	for (int picks = 0; picks < PICKS_MAX; picks++) {
		if (port_pick(ctx->link.family, protocol & NATPMP_TCP, protocol & NATPMP_UDP,
			      port) != OS_OK)
			return errno ? NATPMP_E_SYSTEM : NATPMP_E_NO_PORT;
		if (!client_is_held(&ctx->client, protocol, *port))
			return NATPMP_OK;
	}
	return look_for_port(ctx, protocol, port);
}

static struct wanted read_wanted(const natpmp_mapping *mapping, duration patience, bool is_awaited)
{
	uint16_t suggested =
		mapping->external_port ? mapping->external_port : mapping->internal_port;
	uint32_t lifetime = mapping->lifetime ? mapping->lifetime : NATPMP_LIFETIME;

	return (struct wanted){
		.protocol = mapping->protocol,
		.internal_port = mapping->internal_port,
		.suggested_port = mapping->flags & NATPMP_ANY_PORT ? 0 : suggested,
		/* Some gateways take a longer lifetime for a negative one. */
		.lifetime = lifetime < INT32_MAX ? lifetime : INT32_MAX,
		.is_exact = mapping->flags & NATPMP_EXACT_PORT,
		.is_awaited = is_awaited,
		.patience = patience,
	};
}

static int hold_mapping(natpmp_ctx *ctx, const natpmp_mapping *mapping, duration patience,
			bool is_awaited, natpmp_lease *lease)
{
	struct wanted wanted = read_wanted(mapping, patience, is_awaited);

	lease->ctx = ctx;
	lease->wanted_external_port = mapping->external_port;
	lease->flags = (uint8_t)mapping->flags;
	return client_hold(&ctx->client, &lease->core, &wanted, clock_ms());
}

int context_hold(natpmp_ctx *ctx, const natpmp_mapping *wanted, duration patience, bool is_awaited,
		 natpmp_lease **lease)
{
	natpmp_mapping mapping = *wanted;
	int status = NATPMP_OK;

	*lease = NULL;
	if (!mapping.internal_port && !ctx->client.is_vpn)
		status = pick_port(ctx, mapping.protocol, &mapping.internal_port);
	if (status)
		return status;
	natpmp_lease *made = calloc(1, sizeof(*made));
	if (!made)
		return NATPMP_E_NO_MEMORY;
	status = hold_mapping(ctx, &mapping, patience, is_awaited, made);
	if (status) {
		free(made);
		return status;
	}
	*lease = made;
	return NATPMP_OK;
}

/* lease_judge() decides, called by client_settle(). */
static bool is_decided(natpmp_ctx *ctx, void *arg)
{
	const natpmp_lease *lease = arg;

	(void)ctx;
	return lease->core.status != NATPMP_PENDING;
}

void context_wait_for_verdict(natpmp_lease *lease)
{
	natpmp_ctx *ctx = lease->ctx;

	drive_wait(ctx, is_decided, lease, clock_ms() + ctx->deadline);
}

/* The keys of a mapping that is being closed. They outlive its lease. */
struct keys {
	unsigned protocol;
	uint16_t internal_port;
};

static unsigned protocol_of(const struct lease *core)
{
	unsigned protocol = 0;

	for (unsigned i = 0; i < core->count; i++)
		protocol |= core->grants[i]->question.message.protocol;
	return protocol;
}

static bool is_closed(natpmp_ctx *ctx, void *arg)
{
	const struct keys *keys = arg;

	return client_is_closed(&ctx->client, keys->protocol, keys->internal_port) ||
	       gateway_is_away(&ctx->client.gateway) || ctx->link.status != NATPMP_OK;
}

void context_release_lease(natpmp_lease *lease)
{
	natpmp_ctx *ctx = lease->ctx;
	struct keys keys = {protocol_of(&lease->core), lease->core.internal_port};
	instant now = clock_ms();

	client_release(&ctx->client, &lease->core, now);
	free(lease);
	drive_wait(ctx, is_closed, &keys, now + CLOSE_MS);
}

void context_abandon_lease(natpmp_lease *lease)
{
	natpmp_ctx *ctx = lease->ctx;

	client_leave(&ctx->client, &lease->core, clock_ms());
	free(lease);
	drive_pump(ctx);
}

static natpmp_dialect public_dialect(const struct grant *grant)
{
	return grant->at_gateway.made_in == DIALECT_PCP ? NATPMP_DIALECT_PCP
							: NATPMP_DIALECT_NATPMP;
}

int context_outcome(natpmp_lease *lease, natpmp_mapping *mapping)
{
	const struct lease *core = &lease->core;
	const natpmp_ctx *ctx = lease->ctx;
	const struct grant *first = core->grants[0];
	struct ip_address address;

	if (!lease_is_in_force(core, &ctx->client.gateway))
		return lease_excuse(core, &ctx->client.gateway, clock_ms());
	mapping->internal_port = core->internal_port ? core->internal_port : first->external_port;
	mapping->external_port = first->external_port;
	mapping->lifetime = lease_lifetime(core);
	address_print(&ctx->client.gateway.ends.own, mapping->internal_address);
	address = lease_external_address(core, &ctx->client.external);
	address_print(&address, mapping->external_address);
	mapping->dialect = public_dialect(first);
	return NATPMP_OK;
}

/* The time from now to the next try, in ms. */
static uint64_t retry_in(const natpmp_lease *lease, instant now)
{
	const struct gateway *gateway = &lease->ctx->client.gateway;
	const struct link *link = &lease->ctx->link;
	const struct lease *core = &lease->core;
	instant at = core->move_at;

	if (is_failure(link->status))
		at = link->retry_at;
	for (unsigned i = 0; i < core->count && !is_failure(link->status); i++) {
		const struct grant *grant = core->grants[i];
		instant stopped_until = gateway_shortage_until(gateway, &grant->question);
		bool is_asked = grant->question.state != QUESTION_IDLE;
		if (is_asked && stopped_until <= now)
			return 0;
		at = earlier(at, is_asked ? stopped_until : grant->act_at);
	}
	return at == NEVER ? UINT64_MAX : at > now ? at - now : 0;
}

static uint64_t expires_in(const struct lease *core, instant now)
{
	instant at = NEVER;

	for (unsigned i = 0; i < core->count; i++)
		at = earlier(at, core->grants[i]->expiry.at);
	return at > now ? at - now : 0;
}

/* The result code of a grant, if that grant is why the status is what it is. */
static int result_behind(const struct retries *retries, int status)
{
	return status == NATPMP_OK || retries->status == status ? retries->result : 0;
}

void context_state(natpmp_lease *lease, const struct lease_view *view, natpmp_state *state)
{
	const struct lease *core = &lease->core;
	natpmp_mapping *mapping = &state->mapping;
	instant now = clock_ms();

	*state = (natpmp_state){.status = view->status, .failures = view->failures};
	for (unsigned i = 0; i < core->count && !state->result; i++)
		state->result = result_behind(&core->grants[i]->retries, view->status);
	if (view->status == NATPMP_OK)
		state->expires_in = expires_in(core, now);
	else
		state->retry_in = retry_in(lease, now);
	mapping->protocol = (natpmp_protocol)protocol_of(core);
	mapping->flags = lease->flags;
	mapping->internal_port = core->internal_port;
	mapping->external_port = lease->wanted_external_port;
	mapping->lifetime = core->lifetime;
	if (!view->external_port)
		return;
	mapping->internal_port = view->internal_port;
	mapping->external_port = view->external_port;
	mapping->lifetime = view->lifetime;
	address_print(&view->internal_address, mapping->internal_address);
	address_print(&view->external_address, mapping->external_address);
	mapping->dialect = public_dialect(core->grants[0]);
}
