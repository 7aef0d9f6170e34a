/* SPDX-License-Identifier: MIT */
/*
 * truth - the invariants. Bounds: let D be the delay before a recovery (5 s), W the window between
 * two (30 s), G the longest gap or pause in front of a silent gateway (64 s), S five sends
 * (7.75 s), and T the time in which all who wait get their turn, one after another.
 *
 *   up       The gateway has that mapping; or nothing that shows its loss has reached the client
 *            and the lifetime, counted from the first send, is not over; or the loss was shown,
 *            or the gateway answers again, for no longer than G + S + D + W + T.
 *   stays up what was granted in calm for twice 60 s, and S more for each port that the gateway
 *            ignores, or longer.
 *   down     ends, once the gateway answers, within 2 G + S + D + W + T (silence), or 30 s (no
 *            network) or 30 min (other failures) instead of one G; and if the gateway was taken
 *            for dead, within S + D + W + T of the first packet heard.
 *   silence  is told within 2 (G + S) + D + W.
 */
#include "world.h"

#include <inttypes.h>
#include <string.h>

enum {
	ADDRESS_EVERY = 1000,
	RETRY_GAP = 4000,
	DELAY = 5000,
	WINDOW = 30000,
	GAP = 64000,
	FIVE_SENDS = 7750,
	SERIES = 127750
};

static uint16_t port_in(const uint8_t *bytes)
{
	return (uint16_t)(bytes[4] << 8 | bytes[5]);
}

static uint32_t lifetime_in(const uint8_t *bytes)
{
	return (uint32_t)bytes[8] << 24 | (uint32_t)bytes[9] << 16 | (uint32_t)bytes[10] << 8 |
	       bytes[11];
}

static bool is_map(const uint8_t *bytes, size_t len)
{
	return len == 12 && bytes[0] == 0 && (bytes[1] == 1 || bytes[1] == 2);
}

struct key *truth_key(struct world *w, unsigned opcode, uint16_t internal_port)
{
	size_t at = w->vpn || internal_port < PORT_BASE ? 0 : internal_port - PORT_BASE;

	return &w->keys[opcode == 2][at < w->key_count ? at : 0];
}

static struct key *key_of(struct world *w, const struct hold *hold, unsigned i)
{
	return truth_key(w, hold->core.half[i].request.wire.opcode, hold->core.internal_port);
}

uint64_t truth_turns(const struct world *w)
{
	const struct weather *weather = &w->weather;
	uint64_t exchange = 2 * (weather->delay + weather->jitter) + 100;

	if (weather->loss || weather->truncate || weather->late || exchange > 300)
		exchange = FIVE_SENDS;
	/* Those who are up may be due for renewal meanwhile. A gateway that gives no two halves
	 * the same port is asked seven times, and each time told to delete that again. */
	const struct model_profile *profile = &w->gateway[0].profile;
	unsigned each = profile->denies_suggestions || profile->split_up_to ? 16 : 2;
	return (each * w->halves + 4) * exchange +
	       (w->ignored ? (GAP + FIVE_SENDS) * (w->ignored + 2) : 0);
}

/* --- what is sent --- */

static void check_deletion(struct world *w, const uint8_t *bytes)
{
	uint16_t port = port_in(bytes);
	const struct key *key = truth_key(w, bytes[1], port);
	const struct hold *hold = key->wanted;

	CHECK(w, !(bytes[6] | bytes[7]), "a deletion of port %u suggests a port", port);
	if (!port) {
		CHECK(w, w->deleting_all & bytes[1], "deletes everything");
		return;
	}
	CHECK(w, key->asked, "deletes port %u, which is not ours", port);
	if (hold && hold->core.goal == LEASE_HOLD)
		CHECK(w, w->series < hold->serial, "deletes port %u, which is held", port);
}

static void check_creation(struct world *w, const uint8_t *bytes)
{
	uint16_t port = port_in(bytes), suggested = (uint16_t)(bytes[6] << 8 | bytes[7]);
	const struct key *key = truth_key(w, bytes[1], port);
	const struct hold *hold = key->wanted;

	CHECK(w, hold && hold->core.goal == LEASE_HOLD, "asks for port %u, which nobody wants",
	      port);
	CHECK(w, lifetime_in(bytes) == hold->core.asked, "asks for %u s, not %u",
	      lifetime_in(bytes), hold->core.asked);
	if (w->vpn) {
		CHECK(w, !port && suggested == 1, "not what VPN gateways understand");
		return;
	}
	CHECK(w, port, "asks for internal port 0");
	/* Section 3.3: the port that was assigned. (Two halves may be on their way to another.) */
	if (key->external_port && key->granted > hold->opened && hold->core.halves == 1)
		CHECK(w, suggested == key->external_port, "suggests %u for port %u, which had %u",
		      suggested, port, key->external_port);
}

/* Somebody is blocked until this is answered, or it closes something: nothing is re-created. */
static bool is_for_now(struct world *w, const uint8_t *bytes, size_t len)
{
	if (!is_map(bytes, len))
		return w->leases.address_askers || w->leases.pcp_askers;
	const struct hold *hold = truth_key(w, bytes[1], port_in(bytes))->wanted;
	return !lifetime_in(bytes) || (hold && hold->stage == MAPPING);
}

/* Nothing needs the external address more often, not even a flood of announcements. */
static void check_address_question(struct world *w)
{
	uint64_t allowance = w->address_allowance + w->now - w->address_asked;

	w->address_asked = w->now;
	w->address_allowance = allowance < 10 * ADDRESS_EVERY ? allowance : 10 * ADDRESS_EVERY;
	CHECK(w, w->address_allowance >= ADDRESS_EVERY,
	      "asks for the external address again and again");
	w->address_allowance -= ADDRESS_EVERY;
}

void truth_sent(struct world *w, const uint8_t *bytes, size_t len)
{
	if (len == 2 && w->watch.first == w->now)
		check_address_question(w);
	/* Section 3.7: MUST first delay. (One that has to wait for the window holds nobody up.) */
	uint64_t recovery = w->leases.recover_at, last = w->leases.recovered_at;
	bool first = !last || w->shown_at >= last + WINDOW;
	CHECK(w,
	      w->watch.first != w->now || recovery == NEVER || !first ||
		      recovery > w->shown_at + DELAY || is_for_now(w, bytes, len),
	      "something new is sent %" PRIu64 " ms after a restart was shown, %" PRIu64
	      " ms before the recovery",
	      w->now - w->shown_at, recovery - w->now);
	if (!is_map(bytes, len))
		return;
	if (lifetime_in(bytes))
		check_creation(w, bytes);
	else
		check_deletion(w, bytes);
}

void truth_at_gateway(struct world *w, const struct event *event)
{
	if (!is_map(event->bytes, event->len))
		return;
	struct key *key = truth_key(w, event->bytes[1], port_in(event->bytes));
	/* Late or twice: the client has told the gateway otherwise meanwhile, or will not. */
	if (lifetime_in(event->bytes) && (!key->wanted || event->made < key->wanted->opened))
		key->leftover[event->link] = true;
}

void truth_answered(struct world *w, const struct event *request, const uint8_t *answer, size_t len)
{
	const struct model *model = world_gateway(w, request->link);
	const uint8_t *bytes = request->bytes;

	for (unsigned rule = 0; rule < MODEL_RULES; rule++)
		CHECK(w, 1u << rule == MODEL_RULE_LENGTH || !(model->broken & 1u << rule), "%s",
		      model_rule_text(1u << rule));
	if (!is_map(bytes, request->len) || lifetime_in(bytes) || len < 4 || answer[2] | answer[3])
		return;
	if (port_in(bytes)) {
		truth_key(w, bytes[1], port_in(bytes))->leftover[request->link] = false;
		return;
	}
	for (size_t i = 0; i < w->key_count; i++)
		w->keys[bytes[1] == 2][i].leftover[request->link] = false;
}

/* --- what is heard --- */

static void show_loss(struct world *w)
{
	for (unsigned i = 0; i < 2; i++)
		for (size_t k = 0; k < w->key_count; k++) {
			struct key *key = &w->keys[i][k];
			if (key->external_port && !key->shown)
				key->shown = w->now;
		}
}

static void hear_clock(struct world *w, uint32_t seconds)
{
	struct epoch_seen *epoch = &w->epoch;
	int64_t now = (int64_t)w->now;

	/* RFC 6886 section 3.6, in thousandths. */
	if (epoch->known &&
	    ((int64_t)seconds + 2) * 8000 < epoch->seconds * 8000 + (now - epoch->at) * 7) {
		TRACE(w, "shown: the gateway restarted");
		w->generations++;
		if (w->leases.recover_at == NEVER)
			w->shown_at = w->now;
		show_loss(w);
	}
	*epoch = (struct epoch_seen){.known = true, .seconds = seconds, .at = now};
}

static void hear_grant(struct world *w, const struct event *event, const struct wire_answer *answer)
{
	const uint8_t *request = w->watch.bytes;
	bool named = w->vpn && answer->internal_port == answer->external_port;

	/* An answer that was made for an earlier request passes for one to the deletion. */
	if (w->watch.open && is_map(request, w->watch.len) && !lifetime_in(request) &&
	    answer->opcode == request[1] && answer->internal_port == port_in(request) &&
	    !answer->lifetime && event->asked < w->watch.first)
		truth_key(w, answer->opcode, answer->internal_port)->leftover[event->link] = true;
	if (!w->watch.open || !is_map(request, w->watch.len) || !lifetime_in(request) ||
	    answer->opcode != request[1] || !answer->external_port || !answer->lifetime ||
	    (answer->internal_port != port_in(request) && !named))
		return;
	CHECK(w, !event->forged, "(the simulation forged too well)");
	/* After five sends it may have been given up: only the core knows. */
	if (w->now - w->watch.first >= FIVE_SENDS)
		watch_taken_back(&w->watch, &w->leases);
	if (!w->watch.open)
		return;
	struct key *key = truth_key(w, answer->opcode, answer->internal_port);
	uint32_t asked = lifetime_in(request);
	key->external_port = answer->external_port;
	if (w->watch.asked + (answer->lifetime < asked ? answer->lifetime : asked) * SECOND <=
	    w->now) { /* maybe over already: it is asked again, and what was before is uncertain */
		key->shown = key->shown ? key->shown : w->now;
		return;
	}
	key->lifetime = answer->lifetime < asked ? answer->lifetime : asked;
	key->granted = w->now;
	key->over = w->watch.asked + key->lifetime * SECOND;
	key->shown = 0;
	key->link = event->link;
}

/* The question for the external address was answered, and not with one. */
static bool is_no_address(const struct world *w, const struct wire_answer *answer)
{
	if (!w->watch.open || w->watch.len != 2)
		return false;
	return answer->kind == WIRE_PCP_ONLY ||
	       (answer->kind == WIRE_BAD_VERSION && !w->watch.pcp_asked) ||
	       (answer->opcode == WIRE_ADDRESS && answer->result);
}

/* Not at once again what was answered with no: ten times in 40 s at most. */
static void hear_error(struct world *w, const struct event *event, const struct wire_answer *answer)
{
	const uint8_t *request = w->watch.bytes;
	struct key *key = truth_key(w, answer->opcode, answer->internal_port);

	if (!w->watch.open || event->forged || !is_map(request, w->watch.len) ||
	    !lifetime_in(request) || answer->opcode != request[1] ||
	    answer->internal_port != port_in(request))
		return;
	if (!key->wanted || key->refused_at < key->wanted->opened)
		key->allowance = 10 * RETRY_GAP;
	else
		key->allowance += w->now - key->refused_at;
	key->refused_at = w->now;
	if (key->allowance > 10 * RETRY_GAP)
		key->allowance = 10 * RETRY_GAP;
	CHECK(w, key->allowance >= RETRY_GAP, "port %u is asked for over and over, and refused",
	      answer->internal_port);
	key->allowance -= RETRY_GAP;
}

void truth_received(struct world *w, const struct event *event)
{
	uint8_t bytes[WIRE_ANSWER_MAX] = {0};
	struct wire_answer answer;

	if (w->link == NO_LINK)
		return;
	memcpy(bytes, event->bytes, event->len);
	answer = wire_decode(bytes, event->len + event->pad);
	if (event->kind == ANNOUNCED && answer.kind != WIRE_PCP_ANNOUNCEMENT &&
	    (answer.kind != WIRE_ANSWER || answer.opcode != WIRE_ADDRESS))
		return;
	w->heard |= answer.kind != WIRE_JUNK;
	if (answer.kind != WIRE_JUNK && !w->heard_at)
		w->heard_at = w->now;
	if (answer.has_epoch)
		hear_clock(w, answer.epoch);
	if (event->kind == TO_CLIENT && is_no_address(w, &answer))
		w->address_last = 0;
	if (answer.kind == WIRE_ANSWER && answer.result && answer.opcode != WIRE_ADDRESS)
		hear_error(w, event, &answer);
	if (answer.kind != WIRE_ANSWER || answer.result)
		return;
	if (answer.opcode == WIRE_ADDRESS) {
		w->addresses_seen |= 1u << (answer.address & 31);
		w->address_last = answer.address;
	} else {
		hear_grant(w, event, &answer);
	}
}

/* --- links --- */

static bool is_silence(int status)
{
	return status <= NATPMP_E_TIMEOUT && status >= NATPMP_E_REFUSED;
}

void truth_disturbed(struct world *w)
{
	w->calm_since = w->now;
	w->heard_at = 0;
	w->was_given_up = is_silence(w->leases.reach);
}

void truth_farewell(struct world *w, unsigned link, const uint8_t *bytes, size_t len)
{
	(void)len;
	struct key *key = truth_key(w, bytes[1], port_in(bytes));
	CHECK(w, port_in(bytes) && !(bytes[6] | bytes[7]) && !lifetime_in(bytes) && key->asked,
	      "a strange farewell to port %u", port_in(bytes));
	key->leftover[link] = true;
}

void truth_relinked(struct world *w, unsigned before, bool farewell)
{
	const struct model_mapping *mapping;
	const uint8_t *last = w->watch.bytes;
	size_t cursor = 0;
	bool calm = !w->disturbances && w->now > w->calm_since + MINUTE;

	w->heard = w->epoch.known = false;
	w->generations++;
	w->addresses_seen = 0;
	w->address_last = 0;
	show_loss(w);
	for (struct hold *hold = w->holds; hold; hold = hold->next)
		hold->link_changed = true;
	if (!farewell)
		return;
	while (calm && !w->vpn &&
	       (mapping = model_next(world_gateway(w, before), w->now, &cursor))) {
		bool told = is_map(last, w->watch.len) && last[1] == mapping->opcode &&
			    port_in(last) == mapping->internal_port;
		CHECK(w,
		      mapping->client != w->links[before].own || told || mapping->manual ||
			      truth_key(w, mapping->opcode, mapping->internal_port)
				      ->leftover[before],
		      "no farewell to port %u", mapping->internal_port);
	}
	for (unsigned i = 0; i < 2; i++)
		for (size_t k = 0; k < w->key_count; k++)
			w->keys[i][k].leftover[before] = true;
}

/* --- events --- */

static void came_up(struct world *w, const struct hold *hold)
{
	const struct lease_view *view = &hold->core.told;
	uint32_t address = view->external_address;

	CHECK(w, w->link != NO_LINK, "up without a gateway");
	for (unsigned i = 0; i < hold->core.halves; i++) {
		const struct key *key = key_of(w, hold, i);
		CHECK(w, key->external_port == view->external_port && key->link == w->link,
		      "port %u is said to have %u, but was granted %u", hold->core.internal_port,
		      view->external_port, key->external_port);
		CHECK(w, w->now < key->over, "port %u is up after its time",
		      hold->core.internal_port);
	}
	CHECK(w, view->internal_address == w->links[w->link].own,
	      "an own address that is not ours");
	CHECK(w,
	      !address || (w->addresses_seen & 1u << (address & 31) &&
			   (address >> 8 & 0xff) == w->links[w->link].gateway),
	      "external address %08x, which nobody told", address);
}

static void went_down(struct world *w, const struct hold *hold)
{
	int status = hold->core.told.status;
	bool over = false;

	if (status == NATPMP_E_PORTS_DIFFER || w->link == NO_LINK)
		return;
	for (unsigned i = 0; i < hold->core.halves; i++) {
		const struct key *key = key_of(w, hold, i);
		bool calm = !w->disturbances && w->calm_since + SERIES < key->granted &&
			    !key->ignored && key->heeded + SERIES < key->granted;
		/* Each one ignored may cost the others that much, and no more. */
		uint64_t lost_time = MINUTE + w->ignored * FIVE_SENDS;
		bool kept = calm && key->lifetime * SECOND / 2 >= lost_time;
		over |= key->shown || w->now >= key->over;
		CHECK(w, key->shown || w->now < key->over || !kept,
		      "port %u got lost, while the gateway answered", hold->core.internal_port);
	}
	CHECK(w, over, "port %u is said to be down (%d), and is not", hold->core.internal_port,
	      status);
}

void truth_event(struct world *w, struct hold *hold, const struct lease_view *before)
{
	int status = hold->core.told.status;

	hold->down_since = w->now;
	CHECK(w,
	      before->status != NATPMP_PENDING || w->now >= hold->open_by ||
		      (status != NATPMP_E_TIMEOUT && status != NATPMP_E_UNREACHABLE),
	      "port %u: silence is told too soon", hold->core.internal_port);
	if (status == NATPMP_OK) {
		came_up(w, hold);
		w->ups++;
	} else if (before->status == NATPMP_OK) {
		went_down(w, hold);
		w->downs++;
	}
}

/* --- at any time --- */

void truth_settled(struct world *w)
{
	const struct engine *engine = &w->leases.engine;
	uint64_t recovery = w->leases.recover_at;

	CHECK(w, engine->generation == w->generations,
	      "a restart that nothing showed, or one not seen");
	CHECK(w,
	      !w->heard || w->link == NO_LINK || !engine->queue.count || engine->in_flight ||
		      engine->hold_off > w->now,
	      "somebody waits, and the gateway has just been heard");
	/* Of those that the window could hold back, only long delays would be counted. */
	bool free = !w->leases.recovered_at || w->now >= w->leases.recovered_at + WINDOW;
	if (recovery != w->recover_at && recovery != NEVER && free && w->shown_at == w->now) {
		w->delays++;
		w->delayed += recovery - w->now;
	}
	w->recover_at = recovery;
}

static bool gateway_has(struct world *w, const struct hold *hold, unsigned i)
{
	uint16_t external = hold->core.view.external_port, ports[4];
	uint16_t internal = w->vpn ? external : hold->core.internal_port;

	if (w->link == NO_LINK)
		return false;
	size_t count = model_lookup(world_gateway(w, w->link), w->now, w->links[w->link].own,
				    hold->core.half[i].request.wire.opcode, internal, ports, 4);
	for (size_t at = 0; at < count && at < 4; at++)
		if (ports[at] == external)
			return true;
	return false;
}

/* Nothing is heard: after two questions that is said of all that is not certain. */
static void check_silence(struct world *w, const struct hold *hold, uint64_t since)
{
	uint64_t bound = 2 * (GAP + FIVE_SENDS) + DELAY + WINDOW;

	if (!w->silent || w->disturbances != w->silent)
		return;
	if (w->calm_since > since)
		since = w->calm_since;
	CHECK(w, w->now <= since + bound,
	      "port %u is believed in (%d) for %" PRIu64 " ms of silence", hold->core.internal_port,
	      hold->core.view.status, w->now - since);
}

static void check_up(struct world *w, const struct hold *hold, unsigned i)
{
	const struct key *key = key_of(w, hold, i);
	uint64_t since = key->shown > w->calm_since ? key->shown : w->calm_since;
	uint64_t allowed = since + GAP + FIVE_SENDS + DELAY + WINDOW + truth_turns(w);
	unsigned port = hold->core.internal_port;

	CHECK(w, w->now < key->over + LATE_WAKE, "port %u is up after its time", port);
	if (key->shown)
		check_silence(w, hold, key->shown);
	if (gateway_has(w, hold, i))
		return;
	/* On a new link the event waits for the external address. */
	if (!w->leases.address_settled && w->now < key->granted + FIVE_SENDS)
		return;
	bool moving = hold->core.halves == 2 && key_of(w, hold, !i)->shown;
	CHECK(w, key->external_port == hold->core.view.external_port || key->shown || moving,
	      "port %u is up on %u, which was not granted", port, hold->core.view.external_port);
	if (key->shown && !w->disturbances && !key->ignored && key->heeded < since)
		CHECK(w, w->now <= allowed,
		      "port %u is up, though known to be lost for %" PRIu64 " ms", port,
		      w->now - key->shown);
}

static uint64_t policy(int status)
{
	if (status == NATPMP_PENDING || is_silence(status))
		return GAP;
	return status == NATPMP_E_NETWORK_FAILURE ? 30 * SECOND : 30 * MINUTE;
}

static bool can_be_up(struct world *w, const struct hold *hold)
{
	const struct model_profile *profile = &world_gateway(w, w->link)->profile;

	if (profile->pcp == MODEL_PCP_ONLY)
		return false;
	if (hold->core.halves == 2 && !w->vpn &&
	    (profile->denies_suggestions || profile->split_up_to))
		return false;
	return true;
}

static void check_down(struct world *w, const struct hold *hold)
{
	uint64_t since = w->calm_since > hold->down_since ? w->calm_since : hold->down_since;
	int status = hold->core.view.status;

	if (w->disturbances || w->link == NO_LINK || !can_be_up(w, hold))
		return;
	for (unsigned i = 0; i < hold->core.halves; i++) {
		const struct key *key = key_of(w, hold, i);
		if (key->ignored)
			return;
		if (key->heeded > since)
			since = key->heeded;
		if (key->over > since && key->over < w->now) /* too short to be kept: flaps */
			since = key->over;
	}
	uint64_t bound = policy(status) + GAP + DELAY + WINDOW + FIVE_SENDS + truth_turns(w);
	/* If it was believed to be dead, the first packet of it is news for all. */
	if (is_silence(status) && w->was_given_up && w->heard_at) {
		since = w->heard_at > since ? w->heard_at : since;
		bound -= 2 * GAP;
	}
	CHECK(w, w->now <= since + bound, "port %u is down (%d) for %" PRIu64 " ms, bound %" PRIu64,
	      hold->core.internal_port, status, w->now - since, bound);
}

void truth_check(struct world *w, struct hold *hold)
{
	if (hold->stage != HELD)
		return;
	if (hold->core.view.status == NATPMP_PENDING && hold->core.goal == LEASE_HOLD)
		check_silence(w, hold, hold->opened);
	if (hold->core.view.status != NATPMP_OK) {
		check_down(w, hold);
		return;
	}
	bool shown = false;
	for (unsigned i = 0; i < hold->core.halves; i++) {
		check_up(w, hold, i);
		shown |= key_of(w, hold, i)->shown;
	}
	if (w->address_last && w->leases.address_settled && w->link != NO_LINK)
		CHECK(w, hold->core.view.external_address == w->address_last || shown,
		      "port %u at %08x, but the gateway said %08x", hold->core.internal_port,
		      hold->core.view.external_address, w->address_last);
}

void truth_check_all(struct world *w)
{
	if (w->now < w->asleep_until)
		return;
	for (struct hold *hold = w->holds; hold; hold = hold->next)
		truth_check(w, hold);
}

void truth_hour(struct world *w)
{
	uint64_t sent = w->sent - w->hour_sent,
		 answered = w->answered + w->refused - w->hour_answered;
	uint64_t idle = 8, silent = 7 * (HOUR / GAP + 2) + 7 * w->halves;

	w->hour_sent = w->sent;
	w->hour_answered = w->answered + w->refused;
	/* Five or six sends in 7.75 s is the most when nobody answers. */
	CHECK(w, sent <= 2800 + 2 * answered + w->slot_count * 8, "%" PRIu64 " packets in an hour",
	      sent);
	if (w->last_user + HOUR + 5 * MINUTE > w->now)
		return;
	if (w->silent && w->disturbances == w->silent && w->calm_since + HOUR + 5 * MINUTE < w->now)
		CHECK(w, sent <= silent,
		      "%" PRIu64 " packets in an hour of silence, bound %" PRIu64, sent, silent);
	if (w->disturbances || w->ignored || w->calm_since + HOUR + 35 * MINUTE > w->now ||
	    w->changed_at + HOUR + 5 * MINUTE > w->now)
		return;
	for (const struct hold *hold = w->holds; hold; hold = hold->next)
		for (unsigned i = 0; i < hold->core.halves; i++) {
			uint64_t lifetime = key_of(w, hold, i)->lifetime;
			bool up = hold->core.view.status == NATPMP_OK;
			idle += up ? 2 * 3600 / (lifetime ? lifetime : 1) + 2 : 60;
		}
	idle += idle < 60 ? idle : 60; /* the external address, once in a minute */
	CHECK(w, sent <= idle, "%" PRIu64 " packets in an idle hour, bound %" PRIu64, sent, idle);
}

/* --- the end --- */

static bool closed_by_another(const struct world *w, const struct hold *hold, unsigned i)
{
	for (const struct hold *other = w->holds; other; other = other->next)
		if (other != hold && other->core.internal_port == hold->core.internal_port &&
		    other->core.protocol & hold->core.half[i].request.wire.opcode &&
		    !other->core.finished)
			return true;
	return false;
}

void truth_finished(struct world *w, struct hold *hold)
{
	bool strict = !hold->link_changed && !w->disturbances && w->link != NO_LINK &&
		      w->calm_since + 10 * SECOND < hold->closed && !w->vpn;

	for (unsigned i = 0; i < hold->core.halves && !w->vpn; i++) {
		struct key *key = key_of(w, hold, i);
		uint16_t port = hold->core.internal_port, external;
		if (w->link == NO_LINK || hold->core.close_status ||
		    w->now - hold->closed >= SERIES)
			key->leftover[w->socket] = true; /* that could not be told */
		if (key->wanted || w->link == NO_LINK || closed_by_another(w, hold, i))
			continue;
		if (!model_lookup(world_gateway(w, w->link), w->now, w->links[w->link].own,
				  hold->core.half[i].request.wire.opcode, port, &external, 1))
			continue;
		CHECK(w, !strict || key->leftover[w->link] || w->ignored || w->now >= key->over,
		      "port %u was let go, and external port %u is left over", port, external);
		/* Else it could not be told; was that tried for long enough? */
		CHECK(w,
		      key->leftover[w->link] || hold->link_changed || hold->core.close_status ||
			      w->now - hold->closed >= SERIES || w->now >= key->over,
		      "port %u: closing it was given up after %" PRIu64 " ms", port,
		      w->now - hold->closed);
		key->leftover[w->link] = true;
	}
}

void truth_nothing_left(struct world *w)
{
	const struct model_mapping *mapping;
	size_t cursor = 0;

	CHECK(w, !w->holds && !w->leases.all && !w->leases.count,
	      "port %u is not finished, stage %d, goal %d", w->holds->core.internal_port,
	      w->holds->stage, w->holds->core.goal);
	CHECK(w, leases_deadline(&w->leases) == NEVER, "nothing to do, yet a deadline");
	while (!w->vpn && (mapping = model_next(world_gateway(w, w->link), w->now, &cursor)))
		CHECK(w,
		      mapping->client != w->links[w->link].own || mapping->manual ||
			      truth_key(w, mapping->opcode, mapping->internal_port)
				      ->leftover[w->link],
		      "port %u is left over", mapping->internal_port);
}
