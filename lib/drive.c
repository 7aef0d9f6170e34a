/* SPDX-License-Identifier: MIT */
/*
 * If nothing is held and no program drives, a blocking call sleeps on the sockets themselves, which
 * costs no other system call. If that takes longer than SHORT_SLEEP, or something is held, it
 * sleeps on the waiter, which others can wake up.
 *
 * The request socket is read before any time-out is acted on, because the missing answer may wait
 * in it. A datagram may have come at any time since the socket was last seen empty.
 */
#include "drive.h"

#include "core/address.h"
#include "link.h"
#include "notify.h"
#include "os/clock.h"

enum {
	SHORT_SLEEP = 250,       /* ms */
	BATCHES_MAX = 8,         /* batches read at a time, so that a flood starves nobody */
	OUTPUT_DELAY_MAX = 1000, /* ms; a flood keeps us from sending for this long at most */
	UNLOOKED_MAX = 16,       /* calls in a row that may not look at routes and announcements */
};

void drive_init(struct drive *drive)
{
	*drive = (struct drive){0};
	list_init(&drive->waiting);
}

/* --- bytes --- */

static void send_bytes(natpmp_ctx *ctx, const uint8_t *bytes, size_t len)
{
	bool is_sent = udp_send(&ctx->link.request, bytes, len);

	context_log_bytes(ctx, is_sent ? "sent" : "not sent, by this host's firewall", bytes, len);
	ctx->sent_us = clock_us();
	if (!is_sent)
		client_on_bounce(&ctx->client, clock_ms(), bytes, len, NATPMP_E_FIREWALL);
}

static void take_datagram(natpmp_ctx *ctx, const struct datagram *datagram, instant now)
{
	struct client *client = &ctx->client;
	unsigned answers = client->external.answers + client->pcp.answers;
	char from[NATPMP_ADDRESS_LEN];

	switch (datagram->kind) {
	case UDP_DATAGRAM:
		context_log_bytes(ctx, "received", datagram->bytes, datagram->len);
		client_on_packet(client, ctx->drive.empty_at, now, datagram->bytes, datagram->len);
		if (client->external.answers + client->pcp.answers != answers)
			ctx->round_trip_us = clock_us() - ctx->sent_us;
		break;
	case UDP_STRANGER:
		address_print(&datagram->from.address, from);
		LOG(ctx, "ignored, for it came from %s port %u", from, datagram->from.port);
		break;
	case UDP_REFUSED:
		context_log_bytes(ctx, "refused", datagram->bytes, datagram->len);
		client_on_bounce(client, now, datagram->bytes, datagram->len, NATPMP_E_REFUSED);
		break;
	case UDP_UNREACHABLE:
		context_log_bytes(ctx, "unreachable", datagram->bytes, datagram->len);
		client_on_bounce(client, now, datagram->bytes, datagram->len, NATPMP_E_UNREACHABLE);
		break;
	case UDP_BLOCKED:
		context_log_bytes(ctx, "blocked by this host", datagram->bytes, datagram->len);
		client_on_bounce(client, now, datagram->bytes, datagram->len, NATPMP_E_FIREWALL);
		break;
	}
}

/* Read the request socket, and return the number of datagrams. is_drained: it was read until it was
 * empty. */
static size_t take_answers(natpmp_ctx *ctx, bool *is_drained)
{
	struct datagram batch[UDP_BATCH];
	size_t all = 0, count = 0;

	*is_drained = true;
	for (int i = 0; i < BATCHES_MAX && ctx->link.request.handle != NO_HANDLE; i++) {
		instant now = clock_ms();

		count = udp_receive(&ctx->link.request, batch);
		for (size_t n = 0; n < count; n++)
			take_datagram(ctx, &batch[n], now);
		all += count;
		if (count < UDP_BATCH) {
			ctx->drive.empty_at = now;
			return all;
		}
	}
	*is_drained = count < UDP_BATCH;
	return all;
}

/* Does it come from the gateway? The same link-local address by another interface is another host
 * (RFC 6887 section 8.3). Old NAT-PMP servers announce from any port of theirs. */
static bool is_from_gateway(const struct link *link, const struct datagram *datagram)
{
	const struct route *route = &link->route;
	bool is_v6 = link->family == OS_IPV6;

	if (link->status != NATPMP_OK || !ip_is_equal(&datagram->from.address, &route->gateway))
		return false;
	if (is_v6 && datagram->from.port != link->port)
		return false; /* some NAT-PMP servers announce from another port, PCP's do not */
	return datagram->interface == route->index || (!is_v6 && !route->index);
}

static void take_announcement(natpmp_ctx *ctx, const struct datagram *datagram, instant now)
{
	/* Packets from others MUST be discarded (RFC 6886 section 3.2.1, RFC 6887 section 14.1.3).
	 */
	if (!is_from_gateway(&ctx->link, datagram))
		return;
	context_log_bytes(ctx, "announced", datagram->bytes, datagram->len);
	client_on_announcement(&ctx->client, ctx->drive.groups_empty_at, now, datagram->bytes,
			       datagram->len, datagram->from.port == ctx->link.port);
}

static void take_announcements(natpmp_ctx *ctx)
{
	struct datagram batch[UDP_BATCH];
	instant now = clock_ms();
	bool is_drained = true;

	for (unsigned i = 0; i < GROUPS; i++)
		for (int n = 0; n < BATCHES_MAX && ctx->link.groups[i] != NO_HANDLE; n++) {
			size_t count = udp_receive_group(ctx->link.groups[i], batch);

			for (size_t k = 0; k < count; k++)
				take_announcement(ctx, &batch[k], now);
			if (count < UDP_BATCH)
				break;
			is_drained &= n + 1 < BATCHES_MAX;
		}
	if (is_drained)
		ctx->drive.groups_empty_at = now;
}

/* --- time --- */

instant drive_next_deadline(natpmp_ctx *ctx)
{
	instant at = client_next_deadline(&ctx->client, clock_ms());

	if (client_has_events(&ctx->client))
		return 0;
	at = earlier(at, link_next_deadline(ctx));
	at = earlier(at, notify_next_deadline(ctx));
	for (struct list *node = ctx->drive.waiting.next; node != &ctx->drive.waiting;
	     node = node->next) {
		const struct waiting *waiting = container_of(node, struct waiting, list);
		if (!waiting->is_over)
			at = earlier(at, waiting->deadline);
	}
	return at;
}

/* A loop that does not use natpmp_timeout() is woken by the descriptor. */
static void arm_timer(natpmp_ctx *ctx)
{
	bool is_waited_for = ctx->drive.needs_timer && list_is_empty(&ctx->drive.waiting);

	if (ctx->waiter.handle != NO_HANDLE && is_waited_for)
		(void)waiter_arm(&ctx->waiter, drive_next_deadline(ctx));
}

/* Wake up the driver. */
static void wake_driver(natpmp_ctx *ctx)
{
	struct drive *drive = &ctx->drive;

	if (!drive->is_driven || drive->is_woken || ctx->waiter.handle == NO_HANDLE)
		return;
	drive->is_woken = true;
	waiter_wake_thread(&ctx->waiter);
}

/* Wake up the driver and the program's loop if they would wake up too late. The loop may sleep on
 * while a thread waits, because that thread drives. */
static void wake_sleepers(natpmp_ctx *ctx)
{
	const struct drive *drive = &ctx->drive;
	bool may_be_late = drive->is_driven || drive->loop_told;

	if (!may_be_late || ctx->waiter.handle == NO_HANDLE)
		return;
	instant at = drive_next_deadline(ctx);
	if (at < drive->driver_told)
		wake_driver(ctx);
	if (at < drive->loop_told && list_is_empty(&drive->waiting))
		waiter_wake(&ctx->waiter);
}

void drive_pump(natpmp_ctx *ctx)
{
	uint8_t bytes[REQUEST_MAX];
	size_t len;

	while ((len = client_output(&ctx->client, clock_ms(), bytes)) > 0)
		send_bytes(ctx, bytes, len);
	ctx->drive.sent_at = clock_ms();
	if (ctx->link.is_watched && client_is_empty(&ctx->client) && !ctx->watch.on_change)
		link_unwatch(ctx);
	arm_timer(ctx);
	wake_sleepers(ctx);
}

static void tell_events(natpmp_ctx *ctx)
{
	struct lease_view before;
	struct lease *core;
	size_t count = ctx->client.holds; /* news that the callbacks cause are told next time */

	ctx->drive.in_callback = true;
	while (count-- && (core = client_event(&ctx->client, &before))) {
		natpmp_lease *lease = container_of(core, natpmp_lease, core);
		natpmp_state was, is;

		if (!lease->on_event)
			continue;
		context_state(lease, &before, &was);
		context_state(lease, &core->told, &is);
		lease->on_event(lease, &was, &is, lease->arg);
	}
	ctx->drive.in_callback = false;
}

/* Wake up the threads whose wait is over. One of them may be the driver, which sleeps in
 * waiter_sleep(), if a program's loop called this. */
void drive_wake(natpmp_ctx *ctx)
{
	instant now = clock_ms();
	bool is_any_over = false;

	for (struct list *node = ctx->drive.waiting.next; node != &ctx->drive.waiting;
	     node = node->next) {
		struct waiting *waiting = container_of(node, struct waiting, list);
		if (waiting->is_over)
			continue;
		waiting->is_over = waiting->is_done(ctx, waiting->arg) || waiting->deadline <= now;
		if (waiting->is_over)
			pthread_cond_signal(&waiting->over);
		is_any_over |= waiting->is_over;
	}
	if (is_any_over)
		wake_driver(ctx);
}

/* Look at routes and announcements. is_explained: an answer or a time-out explains this call, so
 * the look may be skipped, but not too often in a row. */
static void look_around(natpmp_ctx *ctx, bool is_explained)
{
	if (is_explained && ctx->drive.unlooked++ < UNLOOKED_MAX)
		return;
	ctx->drive.unlooked = 0;
	if (ctx->waiter.handle != NO_HANDLE)
		waiter_rest(&ctx->waiter);
	link_process(ctx);
	take_announcements(ctx);
}

void drive_process(natpmp_ctx *ctx)
{
	bool is_drained;
	size_t count = take_answers(ctx, &is_drained);
	instant now = clock_ms();
	bool is_due = client_next_deadline(&ctx->client, now) <= now;

	look_around(ctx, count || is_due);
	if (is_drained || now - ctx->drive.sent_at >= OUTPUT_DELAY_MAX)
		drive_pump(ctx);
	if (client_has_events(&ctx->client)) {
		tell_events(ctx);
		drive_pump(ctx);
	}
	notify_process(ctx);
	drive_wake(ctx);
}

/* --- waiting --- */

enum os_status drive_open_waiter(natpmp_ctx *ctx)
{
	const struct link *link = &ctx->link;
	const os_handle handles[] = {link->request.handle, link->routes.handle, link->groups[0],
				     link->groups[1]};

	if (ctx->waiter.handle != NO_HANDLE)
		return OS_OK;
	if (waiter_open(&ctx->waiter) != OS_OK)
		return OS_FAILED;
	for (size_t i = 0; i < sizeof(handles) / sizeof(handles[0]); i++)
		if (handles[i] != NO_HANDLE && waiter_add(&ctx->waiter, handles[i]) != OS_OK) {
			waiter_close(&ctx->waiter);
			return OS_FAILED;
		}
	return OS_OK;
}

static duration time_until(instant at)
{
	instant now = clock_ms();

	return at == NEVER ? NEVER : at > now ? at - now : 0;
}

/* Unlock the context and sleep. False: nothing came in a short sleep. */
static bool sleep_unlocked(natpmp_ctx *ctx, instant at)
{
	const struct link *link = &ctx->link;
	bool has_waiter = ctx->waiter.handle != NO_HANDLE;
	const os_handle handles[WAIT_MAX] = {has_waiter ? ctx->waiter.handle : link->request.handle,
					     has_waiter ? ctx->waiter.thread_wakes
							: link->routes.handle};
	size_t count = handles[1] != NO_HANDLE ? 2 : 1;
	duration ms = time_until(at);

	if (!has_waiter)
		ms = earlier(ms, SHORT_SLEEP);
	ctx->drive.is_driven = true;
	ctx->drive.driver_told = at;
	pthread_mutex_unlock(&ctx->mutex);
	bool came = waiter_sleep(handles, count, ms);
	pthread_mutex_lock(&ctx->mutex);
	ctx->drive.is_driven = false;
	if (ctx->drive.is_woken)
		waiter_rest_thread(&ctx->waiter);
	ctx->drive.is_woken = false;
	return came || has_waiter;
}

static void drive_on(natpmp_ctx *ctx)
{
	if (ctx->link.is_watched || ctx->drive.has_loop)
		(void)drive_open_waiter(ctx); /* if that fails, short sleeps have to do */
	if (!sleep_unlocked(ctx, drive_next_deadline(ctx))) {
		link_listen(ctx);
		(void)drive_open_waiter(ctx);
	}
	drive_process(ctx);
}

/* Let another waiting thread become the driver. */
static void hand_over(natpmp_ctx *ctx)
{
	if (!ctx->drive.is_driven && !list_is_empty(&ctx->drive.waiting))
		pthread_cond_signal(
			&container_of(ctx->drive.waiting.next, struct waiting, list)->over);
}

bool drive_wait(natpmp_ctx *ctx, bool (*is_done)(natpmp_ctx *ctx, void *arg), void *arg,
		instant deadline)
{
	struct waiting here = {.is_done = is_done, .arg = arg, .deadline = deadline};
	bool is_over;

	pthread_cond_init(&here.over, NULL);
	list_append(&ctx->drive.waiting, &here.list);
	drive_pump(ctx);
	while (!(is_over = is_done(ctx, arg)) && clock_ms() < deadline) {
		here.is_over = false;
		if (ctx->drive.is_driven)
			pthread_cond_wait(&here.over, &ctx->mutex);
		else
			drive_on(ctx);
	}
	list_remove(&here.list);
	pthread_cond_destroy(&here.over);
	drive_pump(ctx);
	hand_over(ctx);
	return is_over;
}
