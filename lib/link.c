/* SPDX-License-Identifier: MIT */
/*
 * The kernel decides about the link: it is asked for the route to the named gateway, or for the
 * route to the internet and its next hop. For a named gateway, the first call only connects a
 * socket; the second call, or one that takes long, asks for the route, follows changes of routes,
 * and asks again only after a change.
 *
 *   status PENDING   not looked up so far
 *   status OK        the request socket is open
 *   anything else    why there is no gateway to ask; the old socket stays open, so that a farewell
 *                    can be said to the old gateway when another one is found
 */
#include "link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/address.h"
#include "os/clock.h"

/* Announcements: RFC 6886 section 3.2.1, RFC 6887 section 14.1.3. Drafts before 2008 used port
 * 5351, and some servers still announce only there. */
static const struct ip_address all_hosts[] = {
	[OS_IPV4] = {{[10] = 0xff, 0xff, 224, 0, 0, 1}},
	[OS_IPV6] = {{0xff, 0x02, [15] = 1}},
};
static const uint16_t group_ports[GROUPS] = {5350, 5351};

/* The addresses of a root name server. The route to it is the route to the internet; nothing is
 * ever sent there. */
static const struct ip_address far_away[] = {
	[OS_IPV4] = {{[10] = 0xff, 0xff, 198, 41, 0, 4}},
	[OS_IPV6] = {{0x20, 0x01, 0x05, 0x03, 0xba, 0x3e, [13] = 2, 0, 0x30}},
};
static const struct ip_address no_address;

enum {
	RETRY_DELAY = 5000,          /* ms, after a failure of this machine */
	BLIND_DELAY = 60000,         /* ms between look-ups, if routes cannot be watched */
	GROUPS_RETRY_DELAY = 300000, /* ms, while somebody else has the announcement port */
};

void link_init(struct link *link)
{
	*link = (struct link){
		.status = NATPMP_PENDING,
		.request.handle = NO_HANDLE,
		.routes.handle = NO_HANDLE,
		.groups = {NO_HANDLE, NO_HANDLE},
		.retry_at = NEVER,
		.groups_retry_at = NEVER,
	};
}

static bool has_named_gateway(const struct link *link)
{
	return !ip_is_none(&link->named_gateway);
}

static int status_of(const struct link *link, enum os_status status)
{
	switch (status) {
	case OS_OK:
		return NATPMP_OK;
	case OS_NO_ROUTE:
		return has_named_gateway(link) ? NATPMP_E_NO_ROUTE : NATPMP_E_NO_GATEWAY;
	case OS_NO_INTERFACE:
		return NATPMP_E_NO_INTERFACE;
	case OS_NOT_OURS:
		return NATPMP_E_ADDRESS;
	case OS_DENIED:
		return NATPMP_E_NETLINK;
	case OS_NO_MEMORY:
		return NATPMP_E_NO_MEMORY;
	case OS_FAILED:
		break;
	}
	return NATPMP_E_SYSTEM;
}

static const char *interface_of(const struct link *link)
{
	return link->interface[0] ? link->interface : NULL;
}

/* --- handles --- */

static void remove_handle(natpmp_ctx *ctx, os_handle handle)
{
	if (ctx->waiter.handle != NO_HANDLE && handle != NO_HANDLE)
		waiter_remove(&ctx->waiter, handle);
}

static enum os_status add_handle(natpmp_ctx *ctx, os_handle handle)
{
	if (ctx->waiter.handle == NO_HANDLE)
		return OS_OK; /* drive_open_waiter() adds all handles */
	return waiter_add(&ctx->waiter, handle);
}

static void close_request(natpmp_ctx *ctx)
{
	remove_handle(ctx, ctx->link.request.handle);
	udp_close(&ctx->link.request);
}

static void close_routes(natpmp_ctx *ctx)
{
	remove_handle(ctx, ctx->link.routes.handle);
	routes_close(&ctx->link.routes);
	ctx->link.is_followed = false;
}

static void close_group(natpmp_ctx *ctx, unsigned i)
{
	struct udp group = {.handle = ctx->link.groups[i]};

	remove_handle(ctx, group.handle);
	udp_close(&group);
	ctx->link.groups[i] = NO_HANDLE;
}

/* Open the conversation about routes, if it is not open. OS_DENIED sets routes_are_denied. */
static enum os_status open_routes(natpmp_ctx *ctx)
{
	struct link *link = &ctx->link;
	enum os_status status = OS_OK;

	if (link->routes.handle != NO_HANDLE)
		return OS_OK;
	status = routes_open(&link->routes, link->family);
	if (status == OS_OK && add_handle(ctx, link->routes.handle) != OS_OK) {
		int saved = errno;
		routes_close(&link->routes);
		errno = saved;
		status = OS_FAILED;
	}
	if (status == OS_DENIED && !link->routes_are_denied)
		LOG(ctx, "changes of routes are not noticed: %s", strerror(errno));
	link->routes_are_denied = status == OS_DENIED;
	return status;
}

static enum os_status open_group(natpmp_ctx *ctx, unsigned i)
{
	struct link *link = &ctx->link;
	struct endpoint group = {
		.address = all_hosts[link->family],
		.scope = link->groups_index,
		.port = group_ports[i],
	};
	enum os_status status = udp_open_group(&link->groups[i], &group);

	return status == OS_OK ? add_handle(ctx, link->groups[i]) : status;
}

/* Nobody announces to IPv6 addresses at the old port. */
static void open_groups(natpmp_ctx *ctx)
{
	struct link *link = &ctx->link;
	bool was_retried = link->groups_retry_at != NEVER, is_v6 = link->family == OS_IPV6;
	unsigned count = !is_v6 ? GROUPS : link->groups_index ? 1 : 0;

	link->groups_retry_at = NEVER;
	for (unsigned i = 0; i < count; i++) {
		if (link->groups[i] != NO_HANDLE || open_group(ctx, i) == OS_OK)
			continue;
		if (!was_retried)
			LOG(ctx, "announcements to port %u are not heard: %s", group_ports[i],
			    strerror(errno));
		close_group(ctx, i);
		link->groups_retry_at = clock_ms() + GROUPS_RETRY_DELAY;
	}
}

static void close_groups(natpmp_ctx *ctx)
{
	for (unsigned i = 0; i < GROUPS; i++)
		close_group(ctx, i);
	ctx->link.groups_index = 0;
	ctx->link.groups_retry_at = NEVER;
}

void link_close(natpmp_ctx *ctx)
{
	close_request(ctx);
	close_routes(ctx);
	close_groups(ctx);
}

/* An IPv6 group is heard by one interface: that of the link. */
static void move_groups(natpmp_ctx *ctx)
{
	struct link *link = &ctx->link;

	if (link->family != OS_IPV6 || !link->is_watched || link->status != NATPMP_OK ||
	    link->groups_index == link->route.index)
		return;
	close_groups(ctx);
	link->groups_index = link->route.index;
	open_groups(ctx);
}

/* --- looking --- */

/* Is it 2000::/3? All other IPv6 addresses mean something on a link or a site only (RFC 4291). */
static bool is_global(const struct ip_address *ip)
{
	return ip->bytes[0] >> 5 == 1;
}

static struct endpoint endpoint_of(const struct link *link, const struct ip_address *ip,
				   unsigned index)
{
	return (struct endpoint){
		.address = *ip,
		.scope = needs_scope(ip) ? index : 0,
		.port = link->port,
	};
}

/* Find the own address that a socket would send from, without asking for the route. */
static enum os_status find_source_blindly(const struct link *link,
					  const struct ip_address *destination, struct route *route)
{
	struct endpoint peer = endpoint_of(link, destination, route->index);
	struct udp probe;
	enum os_status status = udp_open(&probe, &peer, &link->named_source, interface_of(link));

	if (status == OS_OK)
		route->source = probe.own;
	udp_close(&probe);
	return status;
}

/* Send from an address that others can reach (RFC 6887 section 8.4), unless the caller named one or
 * the gateway is this host itself. */
static bool has_good_source(const struct link *link, const struct ip_address *gateway,
			    const struct route *route)
{
	return link->family == OS_IPV4 || !ip_is_none(&link->named_source) ||
	       is_global(&route->source) || ip_is_equal(&route->source, gateway);
}

/* The gateway is named, and the system does not let us ask for routes. */
static int find_blindly(const struct link *link, struct route *route)
{
	const struct ip_address *gateway = &link->named_gateway;
	enum os_status status;

	if (link->family == OS_IPV6 && interface_of(link)) {
		route->index = route_index(link->interface);
		if (!route->index)
			return NATPMP_E_NO_INTERFACE;
	}
	status = find_source_blindly(link, gateway, route);
	if (status != OS_OK || has_good_source(link, gateway, route))
		return status_of(link, status);
	status = find_source_blindly(link, &far_away[OS_IPV6], route);
	return status == OS_OK && is_global(&route->source) ? NATPMP_OK : NATPMP_E_NO_ADDRESS;
}

/* The system would send to the gateway from a link-local address or one of this site: look for a
 * better one, which is that for the internet, or any of the interface. */
static int find_global_source(natpmp_ctx *ctx, struct route *route)
{
	struct link *link = &ctx->link;
	char interface[OS_INTERFACE_LEN];
	enum os_status status;
	struct route out;

	route_interface(route, interface);
	status = routes_ask(&link->routes, &far_away[OS_IPV6], interface, &no_address, &out);
	if (status == OS_OK && is_global(&out.source)) {
		route->source = out.source;
		return NATPMP_OK;
	}
	status = route_find_source(route->index, is_global, &route->source);
	if (status == OS_OK)
		return NATPMP_OK;
	route->source = no_address;
	return status == OS_NOT_OURS ? NATPMP_E_NO_ADDRESS : status_of(link, status);
}

/* Ask for the route to that destination. The kernel also answers OS_NO_ROUTE if the source is not
 * an address of this host, or does not mind. */
static enum os_status ask_route(natpmp_ctx *ctx, const struct ip_address *destination,
				struct route *route)
{
	struct link *link = &ctx->link;
	const struct ip_address *source = &link->named_source;
	enum os_status status =
		routes_ask(&link->routes, destination, interface_of(link), source, route);
	bool may_be_foreign = status == OS_NO_ROUTE || link->family == OS_IPV6;

	if (!ip_is_none(source) && may_be_foreign &&
	    find_source_blindly(link, destination, route) == OS_NOT_OURS)
		status = OS_NOT_OURS;
	return status;
}

int link_find(natpmp_ctx *ctx, struct route *route, struct ip_address *gateway)
{
	struct link *link = &ctx->link;
	const struct ip_address *destination =
		has_named_gateway(link) ? &link->named_gateway : &far_away[link->family];
	enum os_status status = open_routes(ctx);

	*route = (struct route){0};
	*gateway = link->named_gateway;
	if (status == OS_DENIED && has_named_gateway(link))
		return find_blindly(link, route);
	if (status == OS_OK)
		status = ask_route(ctx, destination, route);
	if (status != OS_OK)
		return status_of(link, status);
	if (ip_is_none(gateway))
		*gateway = route->gateway;
	/* If a named interface has no default route, the kernel makes one up. */
	if (ip_is_none(gateway))
		return interface_of(link) && !route_is_point_to_point(route)
			       ? NATPMP_E_NO_GATEWAY
			       : NATPMP_E_POINT_TO_POINT;
	return has_good_source(link, gateway, route) ? NATPMP_OK : find_global_source(ctx, route);
}

static void send_farewell(void *arg, const uint8_t *bytes, size_t len)
{
	natpmp_ctx *ctx = arg;

	context_log_bytes(ctx, "sent in farewell", bytes, len);
	udp_send(&ctx->link.request, bytes, len);
}

void link_say_farewell(natpmp_ctx *ctx)
{
	client_farewell(&ctx->client, clock_ms(), send_farewell, ctx);
}

/* Send from the source address of the route that was found. That of the route to the gateway itself
 * may be another one. */
static int open_request(natpmp_ctx *ctx, const struct route *route,
			const struct ip_address *gateway)
{
	struct link *link = &ctx->link;
	struct endpoint peer = endpoint_of(link, gateway, route->index);
	struct udp request;
	enum os_status status = udp_open(
		&request, &peer, ip_is_none(&route->source) ? &link->named_source : &route->source,
		interface_of(link));

	if (status == OS_OK && add_handle(ctx, request.handle) != OS_OK) {
		int saved = errno;
		udp_close(&request);
		errno = saved;
		status = OS_FAILED;
	}
	if (status != OS_OK)
		return status_of(link, status);
	if (link->request.handle != NO_HANDLE) {
		link_say_farewell(ctx);
		close_request(ctx);
	}
	link->request = request;
	link->route = *route;
	link->route.gateway = *gateway;
	link->route.source = request.own;
	ctx->drive.empty_at = clock_ms();
	return NATPMP_OK;
}

static bool is_same_link(const struct link *link, const struct route *route,
			 const struct ip_address *gateway)
{
	bool is_same_interface =
		link->route.index == route->index || !link->route.index || !route->index;

	return link->request.handle != NO_HANDLE && ip_is_equal(&link->route.gateway, gateway) &&
	       is_same_interface &&
	       (ip_is_none(&route->source) || ip_is_equal(&link->route.source, &route->source));
}

static void log_link(natpmp_ctx *ctx)
{
	const struct link *link = &ctx->link;
	char gateway[NATPMP_ADDRESS_LEN], own[NATPMP_ADDRESS_LEN], interface[OS_INTERFACE_LEN];

	if (!ctx->log)
		return;
	if (link->status != NATPMP_OK) {
		bool has_error = link->status == NATPMP_E_SYSTEM;
		LOG(ctx, "no link: %s%s%s", natpmp_strerror(link->status), has_error ? ": " : "",
		    has_error ? strerror(link->error) : "");
		return;
	}
	address_print(&link->route.gateway, gateway);
	address_print(&link->route.source, own);
	route_interface(&link->route, interface);
	LOG(ctx, "gateway %s port %u,%s%s from %s", gateway, link->port, interface[0] ? " by " : "",
	    interface, own);
	if (link->family == OS_IPV4 &&
	    address_classify(&link->route.source) == NATPMP_ADDRESS_PUBLIC)
		LOG(ctx, "%s is a public address: maybe there is no NAT (RFC 6886 section 3)", own);
}

/* The first time, do not ask for the route to a named gateway: an IPv4 one, for which the source
 * that the kernel chooses is right. */
static int find_and_open_link(natpmp_ctx *ctx, bool *is_same)
{
	struct link *link = &ctx->link;
	struct route route = {0};
	struct ip_address gateway = link->named_gateway;
	bool is_first =
		link->status == NATPMP_PENDING && !link->is_watched && link->family == OS_IPV4;
	int status = NATPMP_OK;

	*is_same = false;
	if (!is_first || ip_is_none(&gateway))
		status = link_find(ctx, &route, &gateway);
	if (status != NATPMP_OK)
		return status;
	*is_same = is_same_link(link, &route, &gateway);
	if (!*is_same)
		return open_request(ctx, &route, &gateway);
	if (route.index)
		link->route.index = route.index;
	return NATPMP_OK;
}

static void update_link(natpmp_ctx *ctx)
{
	struct link *link = &ctx->link;
	int before = link->status;
	bool is_same;
	int status = find_and_open_link(ctx, &is_same);

	link->is_followed = link->routes.handle != NO_HANDLE;
	link->retry_at = NEVER;
	if (link->routes_are_denied && link->is_watched)
		link->retry_at = clock_ms() + BLIND_DELAY;
	if (status == NATPMP_E_SYSTEM || status == NATPMP_E_NO_MEMORY) {
		/* The look-up itself failed, perhaps for want of descriptors. A link that works
		 * stays. */
		link->retry_at = clock_ms() + RETRY_DELAY;
		link->error = errno;
		if (before == NATPMP_OK)
			return;
	}
	link->status = status;
	if (status == NATPMP_OK ? is_same && before == NATPMP_OK : status == before)
		return;
	log_link(ctx);
	client_on_link(&ctx->client, clock_ms(), status,
		       status == NATPMP_OK ? &link->route.gateway : &no_address,
		       status == NATPMP_OK ? &link->route.source : &no_address);
}

static void look_up_link(natpmp_ctx *ctx)
{
	update_link(ctx);
	move_groups(ctx);
}

/* Take in the changes of routes. True: the link has to be looked up again. */
static bool take_route_news(natpmp_ctx *ctx)
{
	struct link *link = &ctx->link;
	bool is_due = link->retry_at <= clock_ms();

	return (link->routes.handle != NO_HANDLE && routes_take_news(&link->routes)) || is_due;
}

int link_refresh(natpmp_ctx *ctx)
{
	struct link *link = &ctx->link;

	if (take_route_news(ctx) || !link->is_followed || link->status != NATPMP_OK)
		look_up_link(ctx);
	if (link->status == NATPMP_E_SYSTEM)
		errno = link->error;
	return link->status;
}

void link_listen(natpmp_ctx *ctx)
{
	if (!ctx->link.is_followed && !ctx->link.routes_are_denied)
		look_up_link(ctx);
}

void link_watch(natpmp_ctx *ctx)
{
	struct link *link = &ctx->link;
	bool was_watched = link->is_watched;

	link->is_watched = true;
	if (!was_watched)
		open_groups(ctx);
	if (!was_watched || take_route_news(ctx))
		look_up_link(ctx);
}

void link_unwatch(natpmp_ctx *ctx)
{
	struct link *link = &ctx->link;

	link->is_watched = false;
	link->retry_at = NEVER;
	close_routes(ctx);
	close_groups(ctx);
}

void link_process(natpmp_ctx *ctx)
{
	if (take_route_news(ctx))
		look_up_link(ctx);
	if (ctx->link.groups_retry_at <= clock_ms())
		open_groups(ctx);
}

instant link_next_deadline(const natpmp_ctx *ctx)
{
	return earlier(ctx->link.retry_at, ctx->link.groups_retry_at);
}
