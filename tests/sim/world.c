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
	char hex[3 * PACKET_MAX + 1] = "";

	if (!w->verbose)
		return;
	for (size_t i = 0; i < len && i < PACKET_MAX; i++)
		snprintf(hex + 3 * i, 4, " %02x", bytes[i]);
	world_trace(w, "%s%s", what, hex);
}

struct model *world_gateway(struct world *w, unsigned link)
{
	return &w->gateways.model[w->network.links[link].gateway];
}

struct ip_address world_own(const struct world *w, unsigned link)
{
	uint32_t own = w->network.links[link].own;
	struct ip_address address = ip_from_v4(own);

	if (w->is_v6)
		memcpy(address.bytes, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0", 12);
	return address;
}

struct model_host world_host(const struct world *w, unsigned link)
{
	struct ip_address own = world_own(w, link);
	struct model_host host;

	memcpy(host.bytes, own.bytes, sizeof(host.bytes));
	return host;
}

bool world_has_pcp(const struct world *w)
{
	return w->dialects & ONLY_PCP;
}

size_t world_lookup(struct world *w, unsigned link, unsigned protocol, uint16_t internal_port,
		    uint16_t *external_ports, size_t max)
{
	const struct model *model = world_gateway(w, link);
	const struct model_host host = world_host(w, link);
	const struct model_mapping *mapping = NULL;
	size_t found = 0;

	while ((mapping = model_find(model, w->now, &host, protocol, internal_port, MODEL_BY_ANY,
				     mapping))) {
		if (found < max)
			external_ports[found] = mapping->external_port;
		found++;
	}
	return found;
}

/* --- the network --- */

static void carry(struct world *w, const struct event *packet, bool late)
{
	const struct weather *weather = &w->network.weather;
	struct event copy = *packet;
	unsigned copies = dice_chance(&w->dice, weather->loss) ? 0 : 1;

	copies += dice_chance(&w->dice, weather->duplicate);
	if (!copies && packet->kind == TO_GATEWAY && dice_chance(&w->dice, w->network.hints)) {
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
			copy.len = (size_t)dice_roll(&w->dice, copy.len);
		else if (dice_chance(&w->dice, weather->pad))
			copy.pad = (size_t)dice_roll(&w->dice, PADDING_MAX);
		if (copy.pad && copy.bytes[0]) /* PCP's packets are read by fours */
			copy.pad = copy.pad / 4 * 4;
		if (copy.len + copy.pad > RESPONSE_MAX)
			copy.pad = RESPONSE_MAX - copy.len;
		queue_push(&w->queue, &copy);
	}
}

static void send_request(struct world *w, unsigned link, const uint8_t *bytes, size_t len)
{
	struct event packet = {.kind = TO_GATEWAY, .link = link, .made = w->now, .len = len};

	memcpy(packet.bytes, bytes, len);
	carry(w, &packet, false);
}

/* A slow gateway takes its time over each request, and handles them in their order. */
static bool is_handled_later(struct world *w, const struct event *request)
{
	struct gateways *gateways = &w->gateways;

	if (request->thought || !gateways->slow)
		return false;
	struct event later = *request;
	uint64_t at = w->now + dice_between(&w->dice, 8 * SECOND, SLOW_MAX);
	gateways->handles_at = at > gateways->handles_at ? at : gateways->handles_at;
	gateways->slow_until = gateways->handles_at + SLOW_MAX;
	later.thought = true;
	later.at = gateways->handles_at;
	queue_push(&w->queue, &later);
	return true;
}

static void at_gateway(struct world *w, const struct event *request)
{
	struct model *model = world_gateway(w, request->link);
	bool current = request->link == w->network.link;
	struct packet packet = packet_read(request->bytes, request->len);
	struct model_host host = world_host(w, request->link);
	uint8_t bytes[MODEL_PACKET_MAX];

	if (current && w->gateways.silent)
		return;
	if (current && w->gateways.refuses) {
		struct event icmp = *request;
		icmp.kind = ICMP_REFUSED;
		icmp.at = w->now + w->network.weather.delay;
		queue_push(&w->queue, &icmp);
		return;
	}
	if (is_handled_later(w, request))
		return;
	truth_at_gateway(w, request);
	if (packet.kind == PACKET_MAP &&
	    truth_key(w, packet.protocol, packet.internal_port)->ignored)
		return;
	size_t len = model_input_from(model, w->now, &host, request->bytes, request->len, bytes);
	truth_answered(w, request, bytes, len);
	if (!len || (current && w->gateways.mute))
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
	if (current && dice_chance(&w->dice, w->gateways.trips)) {
		TRACE(w, "reboot, at once");
		model_restart(model, w->now, false, false);
		truth_restarted(w, ALL_DIALECTS);
		world_announce(w, false);
		truth_disturbed(w);
	}
}

void world_announce(struct world *w, bool pcp)
{
	struct event packet = {.kind = ANNOUNCED, .link = w->network.link, .made = w->now};

	if (w->network.link == NO_LINK || w->gateways.silent)
		return;
	packet.len =
		pcp ? model_pcp_announcement(world_gateway(w, w->network.link), w->now,
					     packet.bytes)
		    : model_announcement(world_gateway(w, w->network.link), w->now, packet.bytes);
	packet.at = w->now + w->network.weather.delay;
	if (!dice_chance(&w->dice, w->network.weather.loss))
		queue_push(&w->queue, &packet);
}

void world_update(struct world *w, const struct model_mapping *mapping)
{
	struct event packet = {.kind = TO_CLIENT, .link = w->network.link, .made = w->now};
	uint8_t bytes[MODEL_PACKET_MAX];

	if (w->network.link == NO_LINK || w->gateways.silent)
		return;
	packet.asked = w->now;
	packet.len = model_pcp_update(world_gateway(w, w->network.link), w->now, mapping, bytes);
	memcpy(packet.bytes, bytes, packet.len);
	carry(w, &packet, false);
}

/* --- the client: as an event loop has it --- */

static void unlist(struct world *w, struct hold *hold)
{
	*hold->here = hold->next;
	if (hold->next)
		hold->next->here = hold->here;
	w->program.grants -= hold->core.count;
	free(hold);
}

static void pump(struct world *w, uint64_t late)
{
	uint8_t bytes[REQUEST_MAX];
	unsigned sent = 0;
	size_t len;

	while ((len = client_output(&w->client, w->now, bytes)) > 0) {
		/* The second dialect's first send may fall on the other one's second. */
		CHECK(w, sent++ == 0 || (sent == 2 && bytes[0] != w->watch.bytes[0]),
		      "two packets at once");
		CHECK(w, w->network.link != NO_LINK, "sent without a gateway");
		trace_bytes(w, "sent ", bytes, len);
		digest_packet(&w->digest, w->now - w->began, bytes, len);
		watch_sent(&w->watch, &w->client, w->now, late, bytes, len);
		if (w->watch.first == w->now)
			w->program.series = ++w->program.serial;
		truth_sent(w, bytes, len);
		w->known.heard = false;
		send_request(w, w->network.link, bytes, len);
		w->counters.sent++;
	}
}

static void tell(struct world *w)
{
	struct lease_view before;
	struct lease *lease;

	while ((lease = client_event(&w->client, &before))) {
		struct hold *hold = container_of(lease, struct hold, core);
		TRACE(w, "event: port %u, %d on %u -> %d on %u at %08x", lease->internal_port,
		      before.status, before.external_port, lease->told.status,
		      lease->told.external_port, ip_to_v4(&lease->told.external_address));
		digest_event(&w->digest, w->now - w->began, lease, &before);
		watch_event(&w->watch, lease, &hold->told, &before);
		truth_event(w, hold, &before);
		w->counters.events++;
		if (!hold->is_call)
			plan_told(w, hold);
	}
}

/* The program looked all the time, but for a while in which it slept or stalled. */
static uint64_t at_earliest(const struct world *w)
{
	return w->program.asleep_until == w->now ? w->program.looked_at : w->now;
}

static void refuse(struct world *w, const uint8_t *bytes, size_t len)
{
	const struct question *asked = w->client.gateway.in_flight;
	struct message message = {0};

	if (asked)
		message = asked->message;
	client_on_bounce(&w->client, w->now, bytes, len, NATPMP_E_REFUSED);
	if (asked && w->client.gateway.in_flight != asked)
		truth_refused(w, &message);
}

static void receive(struct world *w, struct event *event)
{
	uint8_t bytes[RESPONSE_MAX] = {0};

	if (event->forged)
		plan_forge(w, event);
	/* On the heap and no longer than it is, for those who look at memory. */
	size_t len = event->len + event->pad;
	uint8_t *exact = malloc(len + 1);
	memcpy(bytes, event->bytes, event->len);
	memcpy(exact, bytes, len);
	trace_bytes(w,
		    event->kind == TO_CLIENT   ? event->forged ? "forged " : "heard "
		    : event->kind == ANNOUNCED ? "announced "
					       : "icmp ",
		    event->bytes, event->len);
	switch (event->kind) {
	case TO_CLIENT:
		truth_received(w, event, at_earliest(w));
		watch_answer(&w->watch, &w->client, w->now, exact, len);
		client_on_packet(&w->client, at_earliest(w), w->now, exact, len);
		/* A lease whose ports differ moves both: the other request is taken back. */
		if (!event->forged && event->bytes[1] & (event->bytes[0] ? 1 : 3))
			watch_taken_back(&w->watch, &w->client);
		w->counters.answered++;
		break;
	case ANNOUNCED:
		truth_received(w, event, at_earliest(w));
		client_on_announcement(&w->client, at_earliest(w), w->now, exact, len, true);
		break;
	case ICMP_REFUSED:
		watch_refused(&w->watch, &w->client, exact, event->len);
		w->known.heard = false;
		refuse(w, exact, event->len);
		w->counters.refused++;
		break;
	case ICMP_HINT:
		client_on_bounce(&w->client, w->now, exact, event->len, NATPMP_E_UNREACHABLE);
		break;
	case TO_GATEWAY:
	case MOVE:
		break;
	}
	w->counters.forged += event->forged;
	free(exact);
}

/* The deadline of natpmp_map(), or its verdict. What is up stays; of two protocols that did not
 * come up together, what there is goes. */
static void end_map(struct world *w, struct hold *hold)
{
	int status = hold->core.status;

	TRACE(w, "map of port %u: %d", hold->core.internal_port, status);
	w->program.calls--;
	w->program.slots[hold->slot].hold = NULL;
	if (status != NATPMP_OK && hold->core.count == 2) {
		truth_let_go(w, hold, true);
		client_release(&w->client, &hold->core, w->now);
	} else {
		truth_let_go(w, hold, false);
		client_leave(&w->client, &hold->core, w->now);
	}
	watch_taken_back(&w->watch, &w->client);
	unlist(w, hold);
}

static void end_unmap(struct world *w, struct unmap *unmap)
{
	uint16_t port = unmap->core.internal_port;

	TRACE(w, "unmap of port %u: %d, left %u", port, unmap->core.status, unmap->core.left);
	client_stop_unmapping(&w->client, &unmap->core, w->now);
	watch_taken_back(&w->watch, &w->client);
	w->program.calls--;
	if (!port)
		w->program.deleting_all &= ~unmap->protocols;
	else
		w->program.slots[unmap->slot].unmapping = false;
	for (unsigned protocol = NATPMP_UDP; port && protocol <= NATPMP_TCP; protocol++)
		if (unmap->protocols & protocol)
			truth_key(w, protocol, port)->unmaps--;
	*unmap->here = unmap->next;
	if (unmap->next)
		unmap->next->here = unmap->here;
	free(unmap);
}

/* What natpmp_map() and natpmp_unmap() wait for. */
static void look_at_calls(struct world *w)
{
	struct hold *next;
	struct unmap *after;

	for (struct hold *hold = w->program.holds; hold && w->program.calls; hold = next) {
		next = hold->next;
		if (hold->is_call &&
		    (hold->core.status != NATPMP_PENDING || w->now >= hold->deadline))
			end_map(w, hold);
	}
	for (struct unmap *unmap = w->program.unmaps; unmap; unmap = after) {
		after = unmap->next;
		if (!unmap->core.left || w->now >= unmap->deadline)
			end_unmap(w, unmap);
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
	uint64_t planned = client_next_deadline(&w->client, w->now);
	uint64_t late = planned < w->now ? w->now - planned : 0;
	unsigned rounds = 0;

	w->counters.steps++;
	/* It reads first, and only then lets time pass. */
	for (size_t i = 0; i < w->network.inbox_count; i++)
		receive(w, &w->network.inbox[i]);
	w->network.inbox_count = 0;
	w->program.looked_at = w->now;
	pump(w, late);
	while (client_has_events(&w->client) || w->program.calls) {
		CHECK(w, rounds++ < 10000, "events without end");
		size_t calls = w->program.calls;
		tell(w);
		look_at_calls(w);
		pump(w, 0);
		if (!client_has_events(&w->client) && calls == w->program.calls)
			break;
	}
	watch_settled(&w->watch, &w->client, w->now);
	truth_settled(w);
	w->program.wake_at = late_wake(w, client_next_deadline(&w->client, w->now));
}

/* --- what the program does --- */

static void acted(struct world *w)
{
	watch_taken_back(&w->watch, &w->client);
	w->program.wake_at = w->program.last_act = w->now;
}

static struct hold *hold_slot(struct world *w, unsigned slot, struct wanted wanted)
{
	struct hold *hold = calloc(1, sizeof(*hold));

	if (!hold)
		abort();
	wanted.protocol = w->program.slots[slot].protocol;
	wanted.internal_port = w->program.slots[slot].port;
	w->program.last_act = w->now;
	if (client_hold(&w->client, &hold->core, &wanted, w->now) != NATPMP_OK) {
		free(hold);
		return NULL;
	}
	hold->slot = slot;
	hold->opened = hold->down_since = w->now;
	hold->serial = ++w->program.serial;
	hold->told.status = NATPMP_PENDING;
	hold->is_call = wanted.is_awaited;
	hold->open_by = wanted.patience == NEVER ? NEVER : w->now + wanted.patience;
	hold->next = w->program.holds;
	hold->here = &w->program.holds;
	if (hold->next)
		hold->next->here = &hold->next;
	w->program.holds = hold;
	w->program.grants += hold->core.count;
	for (unsigned i = 0; i < hold->core.count; i++) {
		struct key *key = truth_key(w, hold->core.grants[i]->question.message.protocol,
					    hold->core.internal_port);
		key->wanted = hold;
		key->asked = true;
		key->error_until = key->not_before = 0; /* he wants to know for himself */
		w->program.closing -= key->closing;
		key->closing = false;
	}
	acted(w);
	return hold;
}

struct hold *world_hold(struct world *w, unsigned slot, const struct wanted *wanted)
{
	TRACE(w, "hold %d port %u on %u%s, %u s", w->program.slots[slot].protocol,
	      w->program.slots[slot].port, wanted->suggested_port,
	      wanted->is_exact ? " exactly" : "", wanted->lifetime);
	return hold_slot(w, slot, *wanted);
}

void world_release(struct world *w, struct hold *hold)
{
	TRACE(w, "release port %u", hold->core.internal_port);
	truth_let_go(w, hold, !w->program.vpn);
	client_release(&w->client, &hold->core, w->now);
	acted(w);
	unlist(w, hold);
}

void world_retry(struct world *w, struct hold *hold)
{
	TRACE(w, "retry port %u", hold->core.internal_port);
	hold->retried = w->now;
	for (unsigned i = 0; i < hold->core.count; i++)
		truth_key(w, hold->core.grants[i]->question.message.protocol,
			  hold->core.internal_port)
			->not_before = 0;
	truth_forgets_shortage(w); /* a person asks in spite of that, and so all may */
	client_retry(&w->client, &hold->core, w->now);
	acted(w);
}

void world_map(struct world *w, unsigned slot, uint32_t lifetime, uint64_t deadline)
{
	struct wanted wanted = {.lifetime = lifetime, .is_awaited = true, .patience = NEVER};

	TRACE(w, "map %d port %u, %u s", w->program.slots[slot].protocol,
	      w->program.slots[slot].port, lifetime);
	struct hold *hold = hold_slot(w, slot, wanted);
	if (!hold)
		return;
	hold->deadline = w->now + deadline;
	w->program.slots[slot].hold = hold;
	w->program.calls++;
}

void world_unmap(struct world *w, unsigned slot, bool all, uint64_t deadline)
{
	struct unmap *unmap = calloc(1, sizeof(*unmap));
	natpmp_protocol protocol = w->program.slots[slot].protocol;
	uint16_t port = all ? 0 : w->program.slots[slot].port;

	if (!unmap)
		abort();
	TRACE(w, "unmap %d port %u", protocol, port);
	w->program.last_act = w->now;
	if (client_unmap(&w->client, &unmap->core, protocol, port, w->now) != NATPMP_OK) {
		free(unmap);
		return;
	}
	unmap->slot = slot;
	unmap->protocols = protocol;
	unmap->began = w->now;
	unmap->deadline = w->now + deadline;
	unmap->next = w->program.unmaps;
	unmap->here = &w->program.unmaps;
	if (unmap->next)
		unmap->next->here = &unmap->next;
	w->program.unmaps = unmap;
	w->program.calls++;
	if (!port)
		w->program.deleting_all |= unmap->protocols;
	else
		w->program.slots[slot].unmapping = true;
	for (unsigned bit = NATPMP_UDP; port && bit <= NATPMP_TCP; bit++)
		if (unmap->protocols & bit) {
			truth_key(w, bit, port)->asked = true;
			truth_key(w, bit, port)->unmaps++;
		}
	acted(w);
}

void world_probe(struct world *w, bool end)
{
	TRACE(w, "probe%s", end ? ", end" : "");
	/* As natpmp_get_probe() and natpmp_get_external_address() do. */
	bool is_natpmp = w->dialects == ONLY_NATPMP ||
			 (w->dialects == ALL_DIALECTS && !end && dice_chance(&w->dice, 500));
	if (end) {
		client_stop_asking_address(&w->client);
		if (world_has_pcp(w))
			client_stop_asking_pcp(&w->client);
		w->program.probes--;
	} else {
		client_ask_address(&w->client, is_natpmp ? ONLY_NATPMP : w->dialects, w->now);
		if (world_has_pcp(w))
			client_ask_pcp(&w->client, w->now);
		w->program.probes++;
	}
	acted(w);
}

static void send_farewell(void *arg, const uint8_t *bytes, size_t len)
{
	struct world *w = arg;
	struct packet packet = packet_read(bytes, len);

	trace_bytes(w, "farewell ", bytes, len);
	digest_packet(&w->digest, w->now - w->began, bytes, len);
	CHECK(w, packet_is_deletion(&packet), "a strange farewell");
	truth_farewell(w, w->network.socket, &packet);
	if (w->network.old_reachable)
		send_request(w, w->network.socket, bytes, len);
}

/* Tell the client of a link; NO_LINK: of none. */
static void link_client(struct world *w, unsigned link, int status)
{
	struct ip_address own = {{0}}, gateway = {{0}};

	if (link != NO_LINK) {
		own = world_own(w, link);
		gateway = ip_from_v4(w->network.links[link].gateway + 1);
	}
	if (link != NO_LINK && w->is_v6)
		memcpy(gateway.bytes, "\xfe\x80\0\0\0\0\0\0\0\0\0\0", 12);
	client_on_link(&w->client, w->now, status, &gateway, &own);
	watch_relinked(&w->watch);
}

void world_relink(struct world *w, unsigned link, int status, bool old_reachable)
{
	unsigned before = w->network.socket;
	bool farewell = link != NO_LINK && link != before;

	TRACE(w, "link %u, status %d", link, status);
	w->network.old_reachable = old_reachable;
	if (farewell) {
		client_farewell(&w->client, w->now, send_farewell, w);
		w->network.inbox_count = 0;
	}
	w->network.link = link;
	if (link != NO_LINK)
		w->network.socket = link;
	truth_relinked(w, before, farewell);
	link_client(w, link, status);
	w->program.wake_at = w->now;
}

/* --- time --- */

static void arrived(struct world *w, const struct event *event)
{
	if (event->kind == ANNOUNCED ? event->link != w->network.link
				     : event->link != w->network.socket)
		return; /* the socket is closed, or: not the gateway */
	if (w->network.inbox_count == INBOX_MAX)
		return;
	if (!w->network.inbox_count)
		w->network.inbox_at =
			w->now + (dice_chance(&w->dice, 200) ? dice_roll(&w->dice, 100) : 0);
	w->network.inbox[w->network.inbox_count++] = *event;
}

static uint64_t client_at(const struct world *w)
{
	uint64_t at = w->program.wake_at;

	if (w->network.inbox_count && w->network.inbox_at < at)
		at = w->network.inbox_at;
	for (const struct hold *hold = w->program.holds; hold && w->program.calls;
	     hold = hold->next)
		if (hold->is_call && hold->deadline < at)
			at = hold->deadline;
	for (const struct unmap *unmap = w->program.unmaps; unmap; unmap = unmap->next)
		if (unmap->deadline < at)
			at = unmap->deadline;
	if (at < w->now)
		at = w->now;
	return at < w->program.asleep_until ? w->program.asleep_until : at;
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
			if (w->program.grants < 16 || w->counters.steps % 64 == 0)
				truth_check_all(w);
			continue;
		}
		struct event event = queue_pop(&w->queue);
		switch (event.kind) {
		case TO_GATEWAY:
			at_gateway(w, &event);
			break;
		case MOVE:
			w->counters.moves++;
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

void world_init(struct world *w, uint64_t seed, size_t keys, bool vpn)
{
	w->dice.state = seed * 0x2545f4914f6cdd1dU + 1;
	w->seed = seed;
	digest_begin(&w->digest);
	w->watch = (struct watch){.fail = world_fail, .arg = w};
	w->now = w->began = 1000000 + dice_roll(&w->dice, 1000000000);
	w->program.vpn = vpn;
	w->known.key_count = keys;
	for (unsigned i = 0; i < 2; i++)
		w->known.keys[i] = calloc(keys, sizeof(*w->known.keys[i]));
	w->network.links[0] = (struct link){0, 0xc0a8010a};
	w->network.links[1] = (struct link){0, 0xc0a8010b};
	w->network.links[2] = (struct link){1, 0x0a000002};
	struct client_options options = {.dialects = w->dialects, .is_vpn = vpn};
	options.seed = dice_bits(&w->dice);
	for (unsigned i = 0; i < SECRET_LEN; i++)
		options.secret[i] = (uint8_t)(seed >> i % 8 * 8 ^ i);
	if (!client_init(&w->client, &options))
		abort();
	link_client(w, 0, NATPMP_OK);
	w->program.wake_at = NEVER;
	w->known.forgot_at = w->client.gateway.reboot.forgot_at;
	truth_disturbed(w);
}

void world_free(struct world *w)
{
	while (w->program.unmaps) {
		struct unmap *unmap = w->program.unmaps;
		w->program.unmaps = unmap->next;
		free(unmap);
	}
	while (w->program.holds) {
		struct hold *hold = w->program.holds;
		w->program.holds = hold->next;
		free(hold);
	}
	client_free(&w->client);
	queue_free(&w->queue);
	free(w->program.slots);
	for (unsigned i = 0; i < 2; i++)
		free(w->known.keys[i]);
	for (unsigned i = 0; i < GATEWAYS; i++)
		free(w->gateways.table[i]);
}
