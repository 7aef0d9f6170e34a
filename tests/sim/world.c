/* SPDX-License-Identifier: MIT */
#include "world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void world_fail(void *arg, const char *format, ...)
{
	struct world *w = arg;
	va_list args;

	va_start(args, format);
	vsnprintf(w->message, sizeof(w->message), format, args);
	va_end(args);
	world_trace(w, "FAILED: %s", w->message);
	longjmp(*w->failed, 1);
}

void world_trace(const struct world *w, const char *format, ...)
{
	uint64_t t = w->now - w->began;
	va_list args;

	if (!w->verbose)
		return;
	printf("%" PRIu64 " %02u:%02u:%02u.%03u  ", t / DAY, (unsigned)(t / HOUR % 24),
	       (unsigned)(t / MINUTE % 60), (unsigned)(t / SECOND % 60), (unsigned)(t % SECOND));
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

static void trace_bytes(const struct world *w, const char *what, const uint8_t *bytes, size_t len)
{
	char hex[3 * 24 + 1] = "";

	if (!w->verbose)
		return;
	for (size_t i = 0; i < len && i < 24; i++)
		snprintf(hex + 3 * i, 4, " %02x", bytes[i]);
	world_trace(w, "%s%s", what, hex);
}

struct model *world_gateway(struct world *w, unsigned link)
{
	return &w->gateway[w->links[link].gateway];
}

/* --- the network --- */

static void carry(struct world *w, const struct event *packet, bool late)
{
	const struct weather *weather = &w->weather;
	struct event copy = *packet;
	unsigned copies = dice_chance(&w->dice, weather->loss) ? 0 : 1;

	copies += dice_chance(&w->dice, weather->duplicate);
	if (!copies && packet->kind == TO_GATEWAY && dice_chance(&w->dice, w->hints)) {
		copy.kind = ICMP_HINT;
		copy.at = w->now + 5;
		queue_push(&w->queue, &copy);
	}
	while (copies--) {
		copy = *packet;
		copy.at = w->now + weather->delay + dice_roll(&w->dice, weather->jitter + 1);
		if (late && dice_chance(&w->dice, weather->late))
			copy.at += dice_scale(&w->dice, 300, 20 * SECOND);
		if (dice_chance(&w->dice, weather->truncate))
			copy.len = dice_roll(&w->dice, copy.len);
		else if (dice_chance(&w->dice, weather->pad))
			copy.pad = dice_roll(&w->dice, WIRE_ANSWER_MAX - sizeof(copy.bytes));
		queue_push(&w->queue, &copy);
	}
}

static void send_request(struct world *w, unsigned link, const uint8_t *bytes, size_t len)
{
	struct event packet = {.kind = TO_GATEWAY, .link = link, .made = w->now, .len = len};

	memcpy(packet.bytes, bytes, len);
	carry(w, &packet, false);
}

static void at_gateway(struct world *w, const struct event *request)
{
	struct model *model = world_gateway(w, request->link);
	bool current = request->link == w->link;
	uint8_t bytes[MODEL_PACKET_MAX];

	if (current && w->silent)
		return;
	if (current && w->refuses) {
		struct event icmp = *request;
		icmp.kind = ICMP_REFUSED;
		icmp.at = w->now + w->weather.delay;
		queue_push(&w->queue, &icmp);
		return;
	}
	truth_at_gateway(w, request);
	if (request->len == 12 &&
	    truth_key(w, request->bytes[1], (uint16_t)(request->bytes[4] << 8 | request->bytes[5]))
		    ->ignored)
		return;
	size_t len = model_input(model, w->now, w->links[request->link].own, request->bytes,
				 request->len, bytes);
	truth_answered(w, request, bytes, len);
	if (!len || (current && w->mute))
		return;
	struct event answer = {
		.kind = TO_CLIENT,
		.link = request->link,
		.made = w->now,
		.asked = request->made,
		.len = len < sizeof(answer.bytes) ? len : sizeof(answer.bytes),
	};
	memcpy(answer.bytes, bytes, answer.len);
	carry(w, &answer, true);
	if (current && dice_chance(&w->dice, w->trips)) {
		TRACE(w, "reboot, at once");
		model_restart(model, w->now, false, false);
		world_announce(w, false);
		truth_disturbed(w);
	}
}

void world_announce(struct world *w, bool pcp)
{
	struct event packet = {.kind = ANNOUNCED, .link = w->link, .made = w->now};

	if (w->link == NO_LINK || w->silent)
		return;
	packet.len = pcp ? model_pcp_announcement(world_gateway(w, w->link), w->now, packet.bytes)
			 : model_announcement(world_gateway(w, w->link), w->now, packet.bytes);
	packet.at = w->now + w->weather.delay;
	if (!dice_chance(&w->dice, w->weather.loss))
		queue_push(&w->queue, &packet);
}

/* --- the client: as lib/ctx.c has it --- */

static void unlist(struct world *w, struct hold *hold)
{
	*hold->here = hold->next;
	if (hold->next)
		hold->next->here = hold->here;
	w->halves -= hold->core.halves;
	free(hold);
}

static void pump(struct world *w, uint64_t late)
{
	uint8_t bytes[WIRE_REQUEST_MAX];
	struct lease *done;
	unsigned sent = 0;
	size_t len;

	while ((len = leases_output(&w->leases, w->now, bytes)) > 0) {
		CHECK(w, sent++ == 0, "two packets at once");
		CHECK(w, w->link != NO_LINK, "sent without a gateway");
		trace_bytes(w, "sent ", bytes, len);
		digest_packet(&w->digest, w->now - w->began, bytes, len);
		watch_sent(&w->watch, &w->leases, w->now, late, bytes, len);
		if (w->watch.first == w->now)
			w->series = ++w->serial;
		truth_sent(w, bytes, len);
		w->heard = false;
		send_request(w, w->link, bytes, len);
		w->sent++;
	}
	while ((done = leases_reap(&w->leases))) {
		struct hold *hold = done->owner;
		truth_finished(w, hold);
		unlist(w, hold);
	}
}

static void tell(struct world *w)
{
	struct lease_view before;
	struct lease *lease;

	while ((lease = leases_event(&w->leases, &before))) {
		struct hold *hold = lease->owner;
		TRACE(w, "event: port %u, %d on %u -> %d on %u at %08x", lease->internal_port,
		      before.status, before.external_port, lease->told.status,
		      lease->told.external_port, lease->told.external_address);
		digest_event(&w->digest, w->now - w->began, lease, &before);
		watch_event(&w->watch, lease, &hold->told, &before);
		truth_event(w, hold, &before);
		w->events++;
		plan_told(w, hold);
	}
}

static void receive(struct world *w, struct event *event)
{
	uint8_t bytes[WIRE_ANSWER_MAX] = {0};

	if (event->forged)
		plan_forge(w, event);
	/* On the heap and no longer than it is, for those who look at memory. */
	uint8_t *exact = malloc(event->len + event->pad + 1);
	memcpy(bytes, event->bytes, event->len);
	memcpy(exact, bytes, event->len + event->pad);
	trace_bytes(w,
		    event->kind == TO_CLIENT   ? event->forged ? "forged " : "heard "
		    : event->kind == ANNOUNCED ? "announced "
					       : "icmp ",
		    event->bytes, event->len);
	switch (event->kind) {
	case TO_CLIENT:
		truth_received(w, event);
		watch_answer(&w->watch, exact, event->len + event->pad);
		leases_input(&w->leases, w->now, exact, event->len + event->pad);
		w->answered++;
		break;
	case ANNOUNCED:
		truth_received(w, event);
		leases_announcement(&w->leases, w->now, exact, event->len + event->pad);
		break;
	case ICMP_REFUSED:
		watch_refused(&w->watch, exact, event->len);
		w->heard = false;
		engine_icmp(&w->leases.engine, w->now, exact, event->len, NATPMP_E_REFUSED);
		w->refused++;
		break;
	case ICMP_HINT:
		engine_icmp(&w->leases.engine, w->now, exact, event->len, NATPMP_E_UNREACHABLE);
		break;
	case TO_GATEWAY:
	case MOVE:
		break;
	}
	free(exact);
}

static void forget(struct world *w, struct hold *hold)
{
	leases_drop(&w->leases, &hold->core);
	watch_taken_back(&w->watch, &w->leases);
	unlist(w, hold);
}

static void end_map(struct world *w, struct hold *hold, bool done)
{
	struct lease *core = &hold->core;

	for (unsigned i = 0; i < core->halves; i++) {
		struct key *key =
			truth_key(w, core->half[i].request.wire.opcode, core->internal_port);
		key->leftover[w->socket] = true;
		if (key->wanted == hold)
			key->wanted = NULL;
	}
	w->onces--;
	w->slots[hold->slot].hold = NULL;
	TRACE(w, "map of port %u: %s", core->internal_port,
	      core->down || !done ? "failed" : "done");
	if ((core->down || !lease_in_force(&w->leases, core)) && core->halves == 2) {
		leases_close(&w->leases, core, w->now);
		core->once = false;
		core->released = true;
		hold->stage = CLOSING;
		hold->closed = w->now;
		watch_taken_back(&w->watch, &w->leases);
		if (!core->finished)
			return;
	}
	forget(w, hold);
}

static void end_unmap(struct world *w, struct hold *hold)
{
	struct lease *core = &hold->core;

	TRACE(w, "unmap of port %u: %d", core->internal_port,
	      core->finished ? core->close_status : NATPMP_E_TIMEOUT);
	w->onces--;
	if (!core->internal_port)
		w->deleting_all &= ~(unsigned)core->protocol;
	else
		w->slots[hold->slot].hold = NULL;
	forget(w, hold);
}

/* What natpmp_map() and natpmp_unmap() wait for; hold->closed is their deadline. */
static void look_at_blocked(struct world *w)
{
	struct hold *next;

	for (struct hold *hold = w->holds; hold && w->onces; hold = next) {
		const struct lease *core = &hold->core;
		bool over = w->now >= hold->closed;

		next = hold->next;
		if (hold->stage == MAPPING) {
			bool done = core->down || (lease_in_force(&w->leases, core) &&
						   w->leases.address_request.state == REQUEST_IDLE);
			if (done || over)
				end_map(w, hold, done);
		} else if (hold->stage == UNMAPPING && (core->finished || over)) {
			end_unmap(w, hold);
		}
	}
}

/* The delay depends on the seed and the time alone: an extra wake-up does not change later dice. */
static uint64_t late_wake(const struct world *w, uint64_t at)
{
	struct dice dice = {.state = w->seed ^ at};

	if (at == NEVER || !dice_chance(&dice, 30))
		return at;
	return at + dice_roll(&dice, LATE_WAKE);
}

void world_process(struct world *w)
{
	uint64_t planned = leases_deadline(&w->leases);
	uint64_t late = planned < w->now ? w->now - planned : 0;
	unsigned rounds = 0;

	w->steps++;
	for (size_t i = 0; i < w->inbox_count; i++)
		receive(w, &w->inbox[i]);
	w->inbox_count = 0;
	pump(w, late);
	while (w->leases.changed || w->onces) {
		CHECK(w, rounds++ < 10000, "events without end");
		size_t onces = w->onces;
		tell(w);
		look_at_blocked(w);
		pump(w, 0);
		if (!w->leases.changed && onces == w->onces)
			break;
	}
	watch_settled(&w->watch, &w->leases, w->now);
	truth_settled(w);
	w->wake_at = late_wake(w, leases_deadline(&w->leases));
}

/* --- what the program does --- */

static struct hold *new_hold(struct world *w, unsigned slot)
{
	struct hold *hold = calloc(1, sizeof(*hold));

	if (!hold)
		abort();
	hold->core.owner = hold;
	hold->core.protocol = w->slots[slot].protocol;
	hold->core.internal_port = w->slots[slot].port;
	hold->slot = slot;
	hold->opened = hold->down_since = w->now;
	hold->serial = ++w->serial;
	hold->told.status = NATPMP_PENDING;
	return hold;
}

static bool add(struct world *w, struct hold *hold, enum lease_goal goal)
{
	w->last_user = w->now;
	if (leases_add(&w->leases, &hold->core, goal, w->now) != NATPMP_OK) {
		free(hold);
		return false;
	}
	hold->next = w->holds;
	hold->here = &w->holds;
	if (hold->next)
		hold->next->here = &hold->next;
	w->holds = hold;
	w->halves += hold->core.halves;
	w->wake_at = w->now;
	return true;
}

static void want(struct world *w, struct hold *hold)
{
	for (unsigned i = 0; i < hold->core.halves; i++) {
		struct key *key = truth_key(w, hold->core.half[i].request.wire.opcode,
					    hold->core.internal_port);
		key->wanted = hold;
		key->asked = true;
	}
}

struct hold *world_hold(struct world *w, unsigned slot, uint16_t suggested, uint32_t lifetime)
{
	struct hold *hold = new_hold(w, slot);

	TRACE(w, "hold %d port %u, %u s", hold->core.protocol, hold->core.internal_port, lifetime);
	hold->stage = HELD;
	hold->core.suggested = suggested;
	hold->core.asked = lifetime;
	if (dice_chance(&w->dice, 500))
		hold->core.patience = dice_scale(&w->dice, SECOND / 2, 2 * MINUTE);
	hold->open_by = w->now + hold->core.patience;
	if (!add(w, hold, LEASE_HOLD))
		return NULL;
	want(w, hold);
	return hold;
}

void world_release(struct world *w, struct hold *hold)
{
	TRACE(w, "release port %u", hold->core.internal_port);
	for (unsigned i = 0; i < hold->core.halves; i++) {
		struct key *key = truth_key(w, hold->core.half[i].request.wire.opcode,
					    hold->core.internal_port);
		if (key->wanted == hold)
			key->wanted = NULL;
	}
	hold->stage = CLOSING;
	hold->closed = w->now;
	hold->core.released = true;
	leases_close(&w->leases, &hold->core, w->now);
	watch_taken_back(&w->watch, &w->leases);
	w->wake_at = w->last_user = w->now;
}

void world_map(struct world *w, unsigned slot, uint32_t lifetime, uint64_t deadline)
{
	struct hold *hold = new_hold(w, slot);

	TRACE(w, "map %d port %u, %u s", hold->core.protocol, hold->core.internal_port, lifetime);
	hold->stage = MAPPING;
	hold->closed = w->now + deadline;
	hold->core.asked = lifetime;
	hold->core.once = true;
	if (!add(w, hold, LEASE_HOLD))
		return;
	want(w, hold);
	w->slots[slot].hold = hold;
	w->onces++;
}

void world_unmap(struct world *w, unsigned slot, bool all, uint64_t deadline)
{
	struct hold *hold = new_hold(w, slot);

	if (all)
		hold->core.internal_port = 0;
	uint16_t port = hold->core.internal_port;
	TRACE(w, "unmap %d port %u", hold->core.protocol, port);
	hold->stage = UNMAPPING;
	hold->closed = w->now + deadline;
	hold->core.once = true;
	if (!add(w, hold, LEASE_CLOSE))
		return;
	if (!port)
		w->deleting_all |= (unsigned)hold->core.protocol;
	else
		w->slots[slot].hold = hold;
	for (unsigned i = 0; port && i < hold->core.halves; i++)
		truth_key(w, hold->core.half[i].request.wire.opcode, port)->asked = true;
	w->onces++;
}

void world_probe(struct world *w, bool end)
{
	TRACE(w, "probe%s", end ? ", end" : "");
	if (end) {
		leases_forget_address(&w->leases);
		leases_forget_pcp(&w->leases);
		watch_taken_back(&w->watch, &w->leases);
	} else {
		leases_ask_address(&w->leases, w->now);
		leases_ask_pcp(&w->leases, w->now);
	}
	w->wake_at = w->last_user = w->now;
}

void world_relink(struct world *w, unsigned link, int status, bool old_reachable)
{
	unsigned before = w->socket;
	uint8_t bytes[WIRE_REQUEST_MAX];
	size_t len;
	bool farewell = link != NO_LINK && link != before;

	TRACE(w, "link %u, status %d", link, status);
	w->old_reachable = old_reachable;
	if (farewell) {
		while ((len = leases_farewell(&w->leases, bytes)) > 0) {
			trace_bytes(w, "farewell ", bytes, len);
			digest_packet(&w->digest, w->now - w->began, bytes, len);
			truth_farewell(w, before, bytes, len);
			if (old_reachable)
				send_request(w, before, bytes, len);
		}
		w->inbox_count = 0;
	}
	w->link = link;
	if (link != NO_LINK)
		w->socket = link;
	truth_relinked(w, before, farewell);
	leases_relink(&w->leases, w->now, status, link == NO_LINK ? 0 : w->links[link].own);
	watch_relinked(&w->watch);
	w->wake_at = w->now;
}

/* --- time --- */

static void arrived(struct world *w, const struct event *event)
{
	if (event->kind == ANNOUNCED ? event->link != w->link : event->link != w->socket)
		return; /* the socket is closed, or: not the gateway */
	if (w->inbox_count == INBOX_MAX)
		return;
	if (!w->inbox_count)
		w->inbox_at = w->now + (dice_chance(&w->dice, 200) ? dice_roll(&w->dice, 100) : 0);
	w->inbox[w->inbox_count++] = *event;
}

static uint64_t client_at(const struct world *w)
{
	uint64_t at = w->wake_at;

	if (w->inbox_count && w->inbox_at < at)
		at = w->inbox_at;
	for (const struct hold *hold = w->holds; hold && w->onces; hold = hold->next)
		if ((hold->stage == MAPPING || hold->stage == UNMAPPING) && hold->closed < at)
			at = hold->closed;
	if (at < w->now)
		at = w->now;
	return at < w->asleep_until ? w->asleep_until : at;
}

void world_run(struct world *w, uint64_t until)
{
	for (;;) {
		const struct event *first = queue_first(&w->queue);
		uint64_t client = client_at(w);
		uint64_t at = first && first->at < client ? first->at : client;

		if (at > until)
			break;
		w->now = at;
		if (client <= at) {
			world_process(w);
			if (w->halves < 16 || w->steps % 64 == 0)
				truth_check_all(w);
			continue;
		}
		struct event event = queue_pop(&w->queue);
		switch (event.kind) {
		case TO_GATEWAY:
			at_gateway(w, &event);
			break;
		case MOVE:
			w->moves++;
			plan_move(w, &event);
			break;
		case TO_CLIENT:
		case ANNOUNCED:
		case ICMP_REFUSED:
		case ICMP_HINT:
			arrived(w, &event);
			break;
		}
	}
	w->now = until;
}

static bool is_over(void *arg, const uint8_t *bytes)
{
	struct world *w = arg;
	uint16_t port = (uint16_t)(bytes[4] << 8 | bytes[5]);

	/* Somebody who has been closing it since then, still? Then it is not given up. */
	for (const struct hold *hold = w->holds; hold; hold = hold->next)
		if (hold->closed <= w->watch.first && hold->core.internal_port == port &&
		    (hold->core.protocol & bytes[1]) && !hold->core.finished &&
		    (hold->stage == CLOSING || hold->stage == UNMAPPING))
			return false;
	return true;
}

void world_init(struct world *w, uint64_t seed, size_t keys, bool vpn)
{
	w->dice.state = seed * 0x2545f4914f6cdd1dU + 1;
	w->seed = seed;
	digest_begin(&w->digest);
	w->watch = (struct watch){.fail = world_fail, .is_over = is_over, .arg = w};
	w->now = w->began = 1000000 + dice_roll(&w->dice, 1000000000);
	w->vpn = vpn;
	w->key_count = keys;
	for (unsigned i = 0; i < 2; i++)
		w->keys[i] = calloc(keys, sizeof(*w->keys[i]));
	w->links[0] = (struct link){0, 0xc0a8010a};
	w->links[1] = (struct link){0, 0xc0a8010b};
	w->links[2] = (struct link){1, 0x0a000002};
	leases_init(&w->leases, dice_bits(&w->dice), vpn);
	leases_relink(&w->leases, w->now, NATPMP_OK, w->links[0].own);
	w->wake_at = NEVER;
	w->generations = w->leases.engine.generation;
	truth_disturbed(w);
}

void world_free(struct world *w)
{
	while (w->holds) {
		struct hold *hold = w->holds;
		w->holds = hold->next;
		leases_drop(&w->leases, &hold->core);
		free(hold);
	}
	leases_free(&w->leases);
	queue_free(&w->queue);
	free(w->slots);
	for (unsigned i = 0; i < 2; i++)
		free(w->keys[i]);
	for (unsigned i = 0; i < GATEWAYS; i++)
		free(w->table[i]);
}
