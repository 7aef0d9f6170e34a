/* SPDX-License-Identifier: MIT */
#include "ctx.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/address.h"
#include "os/clock.h"
#include "os/port.h"
#include "os/udp.h"

/* Announcements: RFC 6886 section 3.2.1. */
#define ALL_HOSTS         0xe0000001U /* 224.0.0.1 */
#define ANNOUNCEMENT_PORT 5350
/* A root name server. The way to it is the way to the internet; nothing is ever sent there. */
#define FAR_AWAY 0xc6290004U /* 198.41.0.4 */

enum {
	RELINK_DELAY = 5000, /* ms, after a failure of this machine */
	RECEIVE_MAX = 64,    /* datagrams taken in at a time, so that a flood starves nobody */
};

int ctx_enter(natpmp_ctx *ctx, int *cancel)
{
	if (ctx->pid != getpid())
		return NATPMP_E_FORKED;
	/* Sending, closing and logging are cancellation points: none may leave the lock behind. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, cancel);
	pthread_mutex_lock(&ctx->mutex);
	return NATPMP_OK;
}

void ctx_leave(natpmp_ctx *ctx, int cancel)
{
	pthread_mutex_unlock(&ctx->mutex);
	pthread_setcancelstate(cancel, &cancel);
}

/* --- the log --- */

#define LOG(ctx, ...)                                                                              \
	do {                                                                                       \
		if ((ctx)->log) {                                                                  \
			char line[160];                                                            \
			snprintf(line, sizeof(line), __VA_ARGS__);                                 \
			(ctx)->log((ctx)->log_arg, line);                                          \
		}                                                                                  \
	} while (0)

static void log_bytes(natpmp_ctx *ctx, const char *what, const uint8_t *bytes, size_t len)
{
	char hex[3 * 24 + 4] = "";

	if (!ctx->log)
		return;
	for (size_t i = 0; i < len && i < 24; i++)
		snprintf(hex + 3 * i, 4, " %02x", bytes[i]);
	LOG(ctx, "%s, %zu bytes:%s%s", what, len, hex, len > 24 ? " .." : "");
}

/* --- the link --- */

static int no_way(const natpmp_ctx *ctx, int error)
{
	switch (error) {
	case ENODEV:
		return NATPMP_E_NO_INTERFACE;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
	case EACCES: /* a route of type prohibit, ... */
	case EINVAL: /* ... blackhole, or from an address that is not ours */
	case EADDRNOTAVAIL:
		if (ctx->source && (error == EINVAL || error == EADDRNOTAVAIL))
			return NATPMP_E_ADDRESS;
		return ctx->named_gateway ? NATPMP_E_NO_ROUTE : NATPMP_E_NO_GATEWAY;
	case ENOMEM:
		return NATPMP_E_NO_MEMORY;
	default:
		errno = error;
		return NATPMP_E_SYSTEM;
	}
}

int ctx_find(natpmp_ctx *ctx, struct route *route, uint32_t *gateway)
{
	uint32_t destination = ctx->named_gateway ? ctx->named_gateway : FAR_AWAY;
	const char *interface = ctx->interface[0] ? ctx->interface : NULL;
	int error = route_lookup(destination, interface, ctx->source, route);

	*gateway = ctx->named_gateway;
	if (error)
		return no_way(ctx, error);
	if (!*gateway)
		*gateway = route->gateway;
	if (*gateway)
		return NATPMP_OK;
	/* For a named interface without a default route the kernel makes one up. */
	return interface && !route_is_point_to_point(route) ? NATPMP_E_NO_GATEWAY
							    : NATPMP_E_POINT_TO_POINT;
}

static void close_socket(natpmp_ctx *ctx, int *fd)
{
	if (*fd >= 0) {
		waiter_remove(&ctx->waiter, *fd);
		close(*fd);
	}
	*fd = -1;
}

/* To a gateway we turn away from: one deletion for each mapping, and no waiting. */
void ctx_farewell(natpmp_ctx *ctx)
{
	uint8_t bytes[WIRE_REQUEST_MAX];
	size_t len;

	while (ctx->request_fd >= 0 && (len = leases_farewell(&ctx->leases, bytes)) > 0) {
		log_bytes(ctx, "sent in farewell", bytes, len);
		udp_send(ctx->request_fd, bytes, len);
	}
}

static int open_link(natpmp_ctx *ctx, const struct route *route, uint32_t gateway)
{
	const char *interface = ctx->interface[0] ? ctx->interface : NULL;
	uint32_t own;
	/* From the address that the way to the internet has, which may be another than that of the
	 * way to the gateway only. */
	int fd = udp_open(gateway, ctx->port, route->source, interface, &own);

	if (fd < 0)
		return no_way(ctx, errno);
	if (!waiter_add(&ctx->waiter, fd)) {
		int error = errno;
		close(fd);
		return no_way(ctx, error);
	}
	ctx_farewell(ctx);
	close_socket(ctx, &ctx->request_fd);
	ctx->request_fd = fd;
	ctx->link = *route;
	ctx->link.gateway = gateway;
	ctx->link.source = own;
	return NATPMP_OK;
}

static bool same_link(const natpmp_ctx *ctx, const struct route *route, uint32_t gateway)
{
	return ctx->request_fd >= 0 && ctx->link.gateway == gateway &&
	       ctx->link.index == route->index &&
	       (ctx->link.source == route->source || !route->source);
}

static void log_link(natpmp_ctx *ctx)
{
	char gateway[NATPMP_ADDRESS_LEN], own[NATPMP_ADDRESS_LEN], interface[IF_NAMESIZE];

	if (!ctx->log)
		return;
	if (ctx->link_status != NATPMP_OK) {
		LOG(ctx, "no link: %s%s%s", natpmp_strerror(ctx->link_status),
		    ctx->link_status == NATPMP_E_SYSTEM ? ": " : "",
		    ctx->link_status == NATPMP_E_SYSTEM ? strerror(ctx->link_errno) : "");
		return;
	}
	address_print(ctx->link.gateway, gateway);
	address_print(ctx->link.source, own);
	route_interface(&ctx->link, interface);
	LOG(ctx, "gateway %s port %u, by %s from %s", gateway, ctx->port, interface, own);
	if (address_classify(ctx->link.source) == NATPMP_ADDRESS_PUBLIC)
		LOG(ctx, "%s is a public address: maybe there is no NAT (RFC 6886 section 3)", own);
}

/* Where news come from; what cannot be opened now is tried again with the next relink(). */
static void open_watches(natpmp_ctx *ctx)
{
	if (ctx->route_fd < 0) {
		ctx->route_fd = route_watch();
		if (ctx->route_fd < 0 || !waiter_add(&ctx->waiter, ctx->route_fd)) {
			LOG(ctx, "changes of routes are not noticed: %s", strerror(errno));
			close_socket(ctx, &ctx->route_fd);
		}
	}
	if (ctx->group_fd < 0) {
		ctx->group_fd = udp_open_group(ALL_HOSTS, ANNOUNCEMENT_PORT);
		if (ctx->group_fd < 0 || !waiter_add(&ctx->waiter, ctx->group_fd)) {
			LOG(ctx, "announcements are not heard: %s", strerror(errno));
			close_socket(ctx, &ctx->group_fd);
		}
	}
}

/* The link as the routes are now. True: it is another one, or another reason for none. */
static bool find_link(natpmp_ctx *ctx)
{
	struct route route;
	uint32_t gateway;
	int before = ctx->link_status;
	int status = ctx_find(ctx, &route, &gateway);
	bool same = status == NATPMP_OK && same_link(ctx, &route, gateway);

	if (status == NATPMP_OK && !same)
		status = open_link(ctx, &route, gateway);
	if (status == NATPMP_E_SYSTEM || status == NATPMP_E_NO_MEMORY) {
		/* Not even looking is possible, for want of descriptors perhaps. What works goes
		 * on. */
		ctx->relink_at = clock_ms() + RELINK_DELAY;
		ctx->link_errno = errno;
		if (before == NATPMP_OK)
			return false;
	}
	ctx->link_status = status;
	return status == NATPMP_OK ? !same || before != NATPMP_OK : status != before;
}

static void relink(natpmp_ctx *ctx)
{
	ctx->relink_at = NEVER;
	if (ctx->watched) {
		open_watches(ctx); /* before the look, so that no change falls between the two */
		if (ctx->route_fd < 0)
			ctx->relink_at = clock_ms() + RELINK_DELAY;
	}
	if (!find_link(ctx))
		return;
	log_link(ctx);
	leases_relink(&ctx->leases, clock_ms(), ctx->link_status,
		      ctx->link_status == NATPMP_OK ? ctx->link.source : 0);
}

/* Is it time for another look? Takes in the news there are. */
static bool is_stale(natpmp_ctx *ctx)
{
	return (ctx->route_fd >= 0 && route_changed(ctx->route_fd)) || ctx->relink_at <= clock_ms();
}

int ctx_link(natpmp_ctx *ctx)
{
	if (!ctx->watched || is_stale(ctx) || ctx->relink_at != NEVER)
		relink(ctx);
	if (ctx->link_status == NATPMP_E_SYSTEM)
		errno = ctx->link_errno;
	return ctx->link_status;
}

void ctx_watch(natpmp_ctx *ctx)
{
	if (ctx->watched && !is_stale(ctx) && ctx->relink_at == NEVER)
		return;
	ctx->watched = true;
	relink(ctx);
}

/* Nothing is held any more: news wake nobody up. Who comes next looks by itself. */
static void unwatch(natpmp_ctx *ctx)
{
	ctx->watched = false;
	ctx->relink_at = NEVER;
	close_socket(ctx, &ctx->route_fd);
	close_socket(ctx, &ctx->group_fd);
}

/* --- bytes --- */

static void receive_answers(natpmp_ctx *ctx)
{
	uint8_t bytes[WIRE_ANSWER_MAX];
	unsigned serial;
	size_t len;

	for (int i = 0; i < RECEIVE_MAX && ctx->request_fd >= 0; i++) {
		enum udp_event event = udp_receive(ctx->request_fd, ctx->link.gateway, ctx->port,
						   bytes, sizeof(bytes), &len);
		switch (event) {
		case UDP_NOTHING:
			return;
		case UDP_DATAGRAM:
			log_bytes(ctx, "received", bytes, len);
			serial = ctx->leases.address_serial;
			leases_input(&ctx->leases, clock_ms(), bytes, len);
			if (ctx->leases.address_serial != serial)
				ctx->round_trip = clock_us() - ctx->sent_us;
			break;
		case UDP_REFUSED:
		case UDP_UNREACHABLE:
			log_bytes(ctx, event == UDP_REFUSED ? "refused" : "unreachable", bytes,
				  len);
			engine_icmp(&ctx->leases.engine, clock_ms(), bytes, len,
				    event == UDP_REFUSED ? NATPMP_E_REFUSED : NATPMP_E_UNREACHABLE);
			break;
		}
	}
}

static void receive_announcements(natpmp_ctx *ctx)
{
	uint8_t bytes[WIRE_ANSWER_MAX];
	size_t len;
	uint32_t from;
	unsigned index;

	for (int i = 0; i < RECEIVE_MAX && ctx->group_fd >= 0; i++) {
		if (udp_receive_group(ctx->group_fd, bytes, sizeof(bytes), &len, &from, &index) ==
		    UDP_NOTHING)
			return;
		if (ctx->link_status != NATPMP_OK || from != ctx->link.gateway ||
		    index != ctx->link.index)
			continue; /* not our gateway: MUST be discarded */
		log_bytes(ctx, "announced", bytes, len);
		leases_announcement(&ctx->leases, clock_ms(), bytes, len);
	}
}

/* --- time --- */

uint64_t ctx_deadline(natpmp_ctx *ctx)
{
	uint64_t at = leases_deadline(&ctx->leases);

	if (ctx->leases.changed)
		return 0;
	if (ctx->relink_at < at)
		at = ctx->relink_at;
	for (const struct waiting *w = ctx->waiting; w; w = w->next) {
		/* Another thread may have taken in what this one sleeps for. */
		if (w->done(ctx, w->arg))
			return 0;
		if (w->deadline < at)
			at = w->deadline;
	}
	return at;
}

/* It is closed, as far as that could be done, and dropped. */
static void bury(natpmp_lease *lease)
{
	natpmp_ctx *ctx = lease->ctx;

	if (lease->core.close_status) {
		if (ctx->left_until <= clock_ms())
			ctx->close_status = lease->core.close_status;
		ctx->left_until = later(ctx->left_until, lease->core.gone_by);
	}
	free(lease);
}

void ctx_pump(natpmp_ctx *ctx)
{
	uint8_t bytes[WIRE_REQUEST_MAX];
	struct lease *done;
	size_t len;

	while ((len = leases_output(&ctx->leases, clock_ms(), bytes)) > 0) {
		log_bytes(ctx, "sent", bytes, len);
		ctx->sent_us = clock_us();
		udp_send(ctx->request_fd, bytes, len);
	}
	while ((done = leases_reap(&ctx->leases)))
		bury(done->owner);
	if (ctx->watched && !ctx->leases.all)
		unwatch(ctx);
	waiter_arm(&ctx->waiter, ctx_deadline(ctx));
}

static void tell(natpmp_ctx *ctx)
{
	struct lease_view before;
	struct lease *core;
	size_t count = ctx->leases.count; /* what callbacks cause is for the next time */

	ctx->in_callback = true;
	while (count-- && (core = leases_event(&ctx->leases, &before))) {
		natpmp_lease *lease = core->owner;
		natpmp_state was, is;

		ctx_state(lease, &before, &was);
		ctx_state(lease, &core->told, &is);
		if (lease->on_event)
			lease->on_event(lease, &was, &is, lease->arg);
	}
	ctx->in_callback = false;
}

void ctx_process(natpmp_ctx *ctx)
{
	if (is_stale(ctx))
		relink(ctx);
	receive_answers(ctx);
	receive_announcements(ctx);
	ctx_pump(ctx);
	if (ctx->leases.changed) {
		tell(ctx);
		ctx_pump(ctx);
	}
	pthread_cond_broadcast(&ctx->processed);
}

static void drive(natpmp_ctx *ctx)
{
	ctx->driven = true;
	pthread_mutex_unlock(&ctx->mutex);
	waiter_wait(&ctx->waiter);
	pthread_mutex_lock(&ctx->mutex);
	ctx->driven = false;
	ctx_process(ctx);
}

bool ctx_wait(natpmp_ctx *ctx, bool (*done)(natpmp_ctx *ctx, void *arg), void *arg,
	      uint64_t deadline)
{
	struct waiting here = {
		.done = done,
		.arg = arg,
		.deadline = deadline,
		.next = ctx->waiting,
		.here = &ctx->waiting,
	};
	bool is_done;

	if (here.next)
		here.next->here = &here.next;
	ctx->waiting = &here;
	ctx_pump(ctx);
	while (!(is_done = done(ctx, arg)) && clock_ms() < deadline) {
		if (ctx->driven)
			pthread_cond_wait(&ctx->processed, &ctx->mutex);
		else
			drive(ctx);
	}
	*here.here = here.next;
	if (here.next)
		here.next->here = here.here;
	/* Whoever drives on does so without this deadline, and maybe in our place. */
	ctx_pump(ctx);
	pthread_cond_broadcast(&ctx->processed);
	return is_done;
}

void ctx_state(natpmp_lease *lease, const struct lease_view *view, natpmp_state *state)
{
	natpmp_mapping *mapping = &state->mapping;

	*state = (natpmp_state){.status = view->status, .failures = view->failures};
	*mapping = lease->wanted;
	if (!view->external_port)
		return;
	mapping->internal_port = view->internal_port;
	mapping->external_port = view->external_port;
	mapping->lifetime = view->lifetime;
	address_print(view->internal_address, mapping->internal_address);
	address_print(view->external_address, mapping->external_address);
}

/* --- leases --- */

natpmp_lease *ctx_new_lease(natpmp_ctx *ctx, const natpmp_mapping *wanted)
{
	natpmp_lease *lease = calloc(1, sizeof(*lease));

	if (!lease)
		return NULL;
	lease->ctx = ctx;
	lease->wanted = *wanted;
	lease->wanted.internal_address[0] = lease->wanted.external_address[0] = '\0';
	lease->core.owner = lease;
	lease->core.protocol = wanted->protocol;
	lease->core.internal_port = wanted->internal_port;
	lease->core.suggested = wanted->external_port;
	lease->core.asked = wanted->lifetime;
	return lease;
}

bool ctx_is_valid(const natpmp_ctx *ctx, const natpmp_mapping *wanted)
{
	static const uint32_t none[sizeof(wanted->reserved) / sizeof(wanted->reserved[0])];
	unsigned protocol = wanted ? (unsigned)wanted->protocol : 0;

	return ctx && protocol >= NATPMP_UDP && protocol <= NATPMP_TCP_UDP &&
	       (!ctx->leases.vpn || !wanted->internal_port) &&
	       memcmp(wanted->reserved, none, sizeof(none)) == 0;
}

int ctx_make_lease(natpmp_ctx *ctx, const natpmp_mapping *wanted, natpmp_lease **lease)
{
	natpmp_mapping mapping = *wanted;

	if (!mapping.internal_port && !ctx->leases.vpn) {
		int tries = 8; /* a port that is held may be free to bind */
		do
			mapping.internal_port = port_pick(mapping.protocol & NATPMP_TCP,
							  mapping.protocol & NATPMP_UDP);
		while (--tries &&
		       leases_held(&ctx->leases, mapping.protocol, mapping.internal_port) &&
		       mapping.internal_port);
		if (!mapping.internal_port)
			return NATPMP_E_NO_PORT;
	}
	*lease = ctx_new_lease(ctx, &mapping);
	return *lease ? NATPMP_OK : NATPMP_E_NO_MEMORY;
}

int ctx_hold(natpmp_ctx *ctx, const natpmp_mapping *wanted, bool scoped, natpmp_lease **result)
{
	natpmp_lease *lease;
	int status =
		ctx_is_valid(ctx, wanted) ? ctx_make_lease(ctx, wanted, &lease) : NATPMP_E_INVALID;

	if (status)
		return status;
	ctx_watch(ctx);
	lease->scoped = lease->core.awaited = scoped;
	lease->core.patience = ctx->deadline;
	status = leases_add(&ctx->leases, &lease->core, LEASE_HOLD, clock_ms());
	if (status)
		free(lease);
	else
		*result = lease;
	ctx_pump(ctx);
	return status;
}

int ctx_outcome(natpmp_lease *lease, natpmp_mapping *mapping)
{
	const struct lease *core = &lease->core;
	const natpmp_ctx *ctx = lease->ctx;

	if (core->down || !lease_in_force(&ctx->leases, core))
		return lease_excuse(&ctx->leases, core);
	mapping->internal_port = core->internal_port;
	mapping->external_port = core->half[0].external_port;
	mapping->lifetime = lease_lifetime(core);
	address_print(ctx->link.source, mapping->internal_address);
	address_print(ctx->leases.address, mapping->external_address);
	return NATPMP_OK;
}

static bool is_finished(natpmp_ctx *ctx, void *arg)
{
	const struct lease *core = arg;

	return core->finished || ctx->leases.engine.reach != NATPMP_OK;
}

static void release(natpmp_lease *lease)
{
	lease->core.once = false;
	lease->core.released = true;
	for (unsigned i = 0; i < lease->core.halves; i++)
		lease->core.half[i].request.blocks = false; /* nobody any more */
}

void ctx_close_lease(natpmp_lease *lease)
{
	natpmp_ctx *ctx = lease->ctx;
	uint64_t now = clock_ms();

	leases_close(&ctx->leases, &lease->core, now);
	ctx_wait(ctx, is_finished, &lease->core, now + CLOSE_MS);
	if (lease->core.finished) {
		leases_drop(&ctx->leases, &lease->core);
		bury(lease);
		ctx_pump(ctx);
	} else {
		release(lease);
	}
}

void ctx_drop_lease(natpmp_lease *lease)
{
	natpmp_ctx *ctx = lease->ctx;
	struct lease *core = &lease->core;

	if (core->owes && (core->half[0].maybe || core->half[1].maybe))
		leases_close(&ctx->leases, core, clock_ms());
	if (core->owes && !core->finished) {
		release(lease);
	} else {
		leases_drop(&ctx->leases, core);
		free(lease);
	}
	ctx_pump(ctx);
}
