/* SPDX-License-Identifier: MIT */
#include "notify.h"

#include <stdlib.h>
#include <string.h>

#include "core/address.h"
#include "core/status.h"
#include "drive.h"
#include "link.h"
#include "os/clock.h"

/* A call of natpmp_start_unmap() that has not ended. */
struct unmap {
	struct list list; /* ctx->unmaps */
	struct closing closing;
	instant deadline;
	natpmp_done_fn *done;
	void *arg;
};

/* --- deletions --- */

static int start_unmap(natpmp_ctx *ctx, const natpmp_mapping *mapping, struct unmap *unmap)
{
	instant now = clock_ms();
	int status;

	link_watch(ctx);
	status = client_unmap(&ctx->client, &unmap->closing, mapping->protocol,
			      mapping->internal_port, now);
	if (status)
		return status;
	unmap->deadline = now + ctx->deadline;
	list_append(&ctx->unmaps, &unmap->list);
	return NATPMP_OK;
}

int natpmp_start_unmap(natpmp_ctx *ctx, const natpmp_mapping *mapping, natpmp_done_fn *done,
		       void *arg)
{
	unsigned protocol = mapping ? (unsigned)mapping->protocol : 0;
	struct unmap *unmap;
	int status, cancel;

	if (!ctx || !context_accepts_protocol(protocol) || !mapping->internal_port)
		return NATPMP_E_INVALID;
	status = context_lock(ctx, &cancel);
	if (status)
		return status;
	unmap = calloc(1, sizeof(*unmap));
	status = NATPMP_E_NO_MEMORY;
	if (unmap) {
		unmap->done = done;
		unmap->arg = arg;
		status = start_unmap(ctx, mapping, unmap);
		if (status)
			free(unmap);
	}
	drive_pump(ctx);
	context_unlock(ctx, cancel);
	return status;
}

static bool unmap_is_over(const natpmp_ctx *ctx, const struct unmap *unmap)
{
	return !unmap->closing.left || is_failure(ctx->link.status);
}

static void end_unmap(natpmp_ctx *ctx, struct unmap *unmap)
{
	const struct closing *closing = &unmap->closing;
	int status = closing->left ? client_excuse(&ctx->client, closing) : closing->status;

	client_stop_unmapping(&ctx->client, &unmap->closing, clock_ms());
	list_remove(&unmap->list);
	if (unmap->done)
		unmap->done(unmap->arg, status);
	free(unmap);
}

static struct unmap *next_ended_unmap(natpmp_ctx *ctx)
{
	instant now = clock_ms();

	for (struct list *node = ctx->unmaps.next; node != &ctx->unmaps; node = node->next) {
		struct unmap *unmap = container_of(node, struct unmap, list);
		if (unmap_is_over(ctx, unmap) || unmap->deadline <= now)
			return unmap;
	}
	return NULL;
}

/* --- the gateway --- */

/* The status of a gateway that answers: NATPMP_OK, or its refusal to tell an address. Silence about
 * the address does not count, because the gateway was heard since. */
static int status_of_answers(const natpmp_ctx *ctx)
{
	const struct external *external = &ctx->client.external;

	if (!external->is_settled)
		return ctx->watch.told.status;
	return status_class(external->status) == STATUS_NO ? external->status : NATPMP_OK;
}

static void read_gateway(natpmp_ctx *ctx, natpmp_gateway *now)
{
	const struct client *client = &ctx->client;
	const struct link *link = &ctx->link;

	memset(now, 0, sizeof(*now));
	now->status = is_failure(link->status) ? link->status : client->gateway.reach;
	now->link.gateway_port = link->port;
	if (link->status == NATPMP_OK) {
		address_print(&link->route.gateway, now->link.gateway);
		address_print(&link->route.source, now->link.internal_address);
		route_interface(&link->route, now->link.interface);
	}
	if (now->status == NATPMP_OK) {
		now->status = status_of_answers(ctx);
		struct ip_address address = client_external_address(client);
		address_print(&address, now->external_address);
	}
}

static bool same_gateway(const natpmp_gateway *a, const natpmp_gateway *b)
{
	return a->status == b->status && a->link.gateway_port == b->link.gateway_port &&
	       strcmp(a->link.gateway, b->link.gateway) == 0 &&
	       strcmp(a->link.internal_address, b->link.internal_address) == 0 &&
	       strcmp(a->link.interface, b->link.interface) == 0 &&
	       strcmp(a->external_address, b->external_address) == 0;
}

static void tell_gateway(natpmp_ctx *ctx)
{
	natpmp_gateway now;

	if (!ctx->watch.on_change)
		return;
	read_gateway(ctx, &now);
	if (same_gateway(&now, &ctx->watch.told))
		return;
	ctx->watch.told = now;
	ctx->watch.on_change(ctx, &now, ctx->watch.arg);
}

int natpmp_watch(natpmp_ctx *ctx, natpmp_watch_fn *on_change, void *arg)
{
	int cancel;
	int status = ctx ? context_lock(ctx, &cancel) : NATPMP_E_INVALID;

	if (status)
		return status;
	ctx->watch = (struct gateway_watch){
		.on_change = on_change, .arg = arg, .told.status = NATPMP_PENDING};
	ctx->watch.told.link.gateway_port = ctx->link.port;
	if (on_change)
		link_watch(ctx);
	client_watch(&ctx->client, on_change != NULL, clock_ms());
	drive_pump(ctx);
	context_unlock(ctx, cancel);
	return NATPMP_OK;
}

/* --- both --- */

void notify_process(natpmp_ctx *ctx)
{
	struct unmap *unmap;
	bool was_in_callback = ctx->drive.in_callback;

	ctx->drive.in_callback = true;
	while ((unmap = next_ended_unmap(ctx)))
		end_unmap(ctx, unmap);
	tell_gateway(ctx);
	ctx->drive.in_callback = was_in_callback;
}

instant notify_next_deadline(const natpmp_ctx *ctx)
{
	instant at = NEVER;

	for (const struct list *node = ctx->unmaps.next; node != &ctx->unmaps; node = node->next) {
		const struct unmap *unmap = const_container_of(node, struct unmap, list);
		at = earlier(at, unmap_is_over(ctx, unmap) ? 0 : unmap->deadline);
	}
	return at;
}

void notify_end(natpmp_ctx *ctx)
{
	struct list *last = ctx->unmaps.before; /* what callbacks begin anew is not answered */
	bool is_last = list_is_empty(&ctx->unmaps);

	ctx->drive.in_callback = true;
	while (!is_last) {
		struct list *first = ctx->unmaps.next;
		is_last = first == last;
		end_unmap(ctx, container_of(first, struct unmap, list));
	}
	ctx->drive.in_callback = false;
}

void notify_forget(natpmp_ctx *ctx)
{
	while (!list_is_empty(&ctx->unmaps)) {
		struct list *first = list_take_first(&ctx->unmaps);
		struct unmap *unmap = container_of(first, struct unmap, list);
		list_remove(&unmap->closing.list);
		free(unmap);
	}
}
