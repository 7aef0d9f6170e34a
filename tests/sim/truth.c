/* SPDX-License-Identifier: MIT */
/*
 * truth - the invariants. Bounds: let D be the delay before a recovery (5 s), W the window between
 * two (30 s), G the longest gap or backoff in front of a silent gateway (64 s), S five sends
 * (7.75 s), and T the time in which all who wait get their turn, one after another; a slow gateway
 * makes that longer.
 *
 *   up       The gateway has that mapping; or nothing that shows its loss has reached the client
 *            and the lifetime, counted from the first send, is not over; or the loss was shown,
 *            or the gateway answers again, for no longer than G + S + D + W + T.
 *   loss     of the table and the clock is shown to the client, whoever announces it or not,
 *            within 5 min + D + S + T.
 *   stays up what was granted in calm for twice 60 s, and S more for each port that the gateway
 *            ignores, or longer; and what was granted for less, if refusals end 8 s + T before it
 *            does.
 *   down     ends, once the gateway answers, within 2 G + S + D + W + T (silence), or 30 s (no
 *            network, or a lifetime under 5 min) or 30 min (other failures) instead of one G; at
 *            once if the program says retry; and if the gateway was taken for dead when it
 *            failed, within S + D + W + T of the first packet heard.
 *   silence  is told within 2 (G + S) + D + W.
 *   stalls   of the program show no restart.
 *   forgers  bring about one recovery in 30 s, one question for the address in 30 s, and no event.
 */
#include "world.h"

#include <inttypes.h>
#include <string.h>

#include "core/natpmp.h"

enum {
	ADDRESS_EVERY = 10000,
	RETRY_GAP = 4000,
	DELAY = 5000,
	WINDOW = 30000,
	GAP = 64000,
	FIVE_SENDS = 7750,
	LAST_SEND = 4000, /* so much of it follows the last one */
	SERIES = 127750,
	LOOK = 300000,     /* what is silent for so long is asked how it is */
	SHORT = 300,       /* s; a lifetime under which a lost mapping is tried again sooner ... */
	SHORT_GAP = 30000, /* ... so often at least */
	LAST_TRY = 8000,   /* ms; a renewal is tried once more at a time from here to the end */
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

struct key *truth_key(struct world *w, unsigned protocol, uint16_t internal_port)
{
	size_t at = w->program.vpn || internal_port < PORT_BASE ? 0 : internal_port - PORT_BASE;

	return &w->known.keys[protocol == NATPMP_TCP][at < w->known.key_count ? at : 0];
}

static struct key *key_of(struct world *w, const struct hold *hold, unsigned i)
{
	return truth_key(w, hold->core.grants[i]->question.message.protocol,
			 hold->core.internal_port);
}

static bool gives_other_ports(const struct world *w)
{
	const struct model_profile *profile = &w->gateways.model[0].profile;

	return profile->denies_suggestions || profile->split_up_to;
}

static bool is_slow(const struct world *w)
{
	return w->gateways.slow || w->now < w->gateways.slow_until;
}

uint64_t truth_turns(const struct world *w)
{
	const struct weather *weather = &w->network.weather;
	const struct troubles *troubles = &w->troubles;
	uint64_t exchange = 2 * (weather->delay + weather->jitter) + 100;

	if (weather->loss || weather->truncate || weather->late || exchange > 300 || is_slow(w))
		exchange = FIVE_SENDS;
	/* Those who are up may be due for renewal meanwhile. A gateway that gives no two protocols
	 * the same port is asked seven times, and each time told to delete that again. */
	unsigned each = gives_other_ports(w) ? 16 : 2;
	return (each * w->program.grants + 4) * exchange +
	       (troubles->ignored ? (GAP + FIVE_SENDS) * (troubles->ignored + 3) : 0) +
	       (is_slow(w) ? (each * 2 + 1) * SLOW_MAX : 0);
}

/* --- what is sent --- */

static void check_deletion(struct world *w, const uint8_t *bytes)
{
	uint16_t port = port_in(bytes);
	const struct key *key = truth_key(w, bytes[1], port);
	const struct hold *hold = key->wanted;

	CHECK(w, !(bytes[6] | bytes[7]), "a deletion of port %u suggests a port", port);
	if (!port) {
		CHECK(w, w->program.deleting_all & bytes[1], "deletes everything");
		return;
	}
	CHECK(w, key->asked, "deletes port %u, which is not ours", port);
	/* One of two protocols on different ports, or on another port than the one wanted. */
	bool may_move = hold && (hold->core.count == 2 || hold->core.is_exact);
	/* A deletion in flight comes to its end before the port is asked for again. */
	bool was_asked_for = key->asked_to_create && key->sent_serial > (hold ? hold->serial : 0);
	if (hold && !may_move)
		CHECK(w, !was_asked_for, "deletes port %u, which is held", port);
}

static void check_creation(struct world *w, const uint8_t *bytes)
{
	uint16_t port = port_in(bytes), suggested = (uint16_t)(bytes[6] << 8 | bytes[7]);
	const struct key *key = truth_key(w, bytes[1], port);
	const struct hold *hold = key->wanted;

	CHECK(w, hold, "asks for port %u, which nobody wants", port);
	CHECK(w, lifetime_in(bytes) == hold->core.lifetime, "asks for %u s, not %u",
	      lifetime_in(bytes), hold->core.lifetime);
	if (w->program.vpn) {
		CHECK(w, !port && suggested == 1, "not what VPN gateways understand");
		return;
	}
	CHECK(w, port, "asks for internal port 0");
	if (hold->core.is_exact) {
		CHECK(w, suggested == hold->core.suggested_port,
		      "suggests %u for port %u, and only %u is wanted", suggested, port,
		      hold->core.suggested_port);
		return;
	}
	/* Section 3.3: the port that was assigned. (Two protocols may be on their way to another.)
	 */
	if (key->external_port && key->granted > hold->opened && hold->core.count == 1)
		CHECK(w, suggested == key->external_port, "suggests %u for port %u, which had %u",
		      suggested, port, key->external_port);
	if (!key->external_port && hold->core.count == 1)
		CHECK(w, suggested == hold->core.suggested_port,
		      "suggests %u for port %u, and the program %u", suggested, port,
		      hold->core.suggested_port);
}

/* Section 3.7: what was granted before a restart is not asked for before the delay is over. A
 * caller that is blocked does not wait, nor does what was never granted, nor a deletion. */
static bool must_be_delayed(struct world *w, const uint8_t *bytes, size_t len)
{
	const struct client *client = &w->client;

	if (!is_map(bytes, len))
		return client->gateway.in_flight->lane == LANE_AFTER_BOTH;
	const struct key *key = truth_key(w, bytes[1], port_in(bytes));
	const struct hold *hold = key->wanted;
	return lifetime_in(bytes) && hold && !hold->core.is_awaited && key->granted > hold->opened;
}

/* Nothing needs the external address more often than that, not even a flood of announcements;
 * what the program waits for, and another link, come on top of it. */
static void check_address_question(struct world *w)
{
	struct known *known = &w->known;
	uint64_t allowance = known->address_allowance + w->now - known->address_asked;

	known->address_asked = w->now;
	known->address_allowance = allowance < 10 * ADDRESS_EVERY ? allowance : 10 * ADDRESS_EVERY;
	if (w->client.external.callers || w->program.calls || w->now < w->program.last_act + SECOND)
		return;
	CHECK(w, known->address_allowance >= ADDRESS_EVERY,
	      "asks for the external address again and again");
	known->address_allowance -= ADDRESS_EVERY;
}

bool truth_is_open(const struct world *w, const struct key *key)
{
	return key->sent_at && !key->answered && w->now <= key->sent_at + SERIES;
}

static void note_request(struct world *w, const uint8_t *bytes)
{
	struct key *key = truth_key(w, bytes[1], port_in(bytes));
	uint64_t asked_at = w->client.gateway.in_flight->asked_at;

	/* What is sent may be answered by the answer to an earlier send: lifetimes count from the
	 * first of those, unless the core has forgotten that for a new lease. */
	if (truth_is_open(w, key) && key->wanted && key->sent_serial > key->wanted->serial &&
	    key->asked_to_create && lifetime_in(bytes))
		CHECK(w, asked_at <= key->asked_from,
		      "port %u: a lifetime does not count from the first send that may be answered",
		      port_in(bytes));
	CHECK(w, asked_at == w->now || asked_at == key->asked_from,
	      "port %u: asked at a time when nothing was sent", port_in(bytes));
	key->asked_from = asked_at;
	key->asked_to_create = lifetime_in(bytes);
	if (!key->asked_to_create)
		key->deleted_at = w->now;
	key->sent_serial = w->program.series;
	key->answered = false;
	key->sent_at = w->now;
}

void truth_sent(struct world *w, const uint8_t *bytes, size_t len)
{
	const struct reboot *reboot = &w->client.gateway.reboot;
	bool is_first = w->watch.first == w->now;

	CHECK(w, !is_first || reboot->recovery_at == NEVER || !must_be_delayed(w, bytes, len),
	      "something is sent anew %" PRIu64 " ms before the recovery",
	      reboot->recovery_at - w->now);
	if (len == 2) {
		if (is_first)
			check_address_question(w);
		w->known.address_open = true;
		w->known.address_sent = w->now;
	}
	if (!is_map(bytes, len))
		return;
	if (lifetime_in(bytes))
		check_creation(w, bytes);
	else
		check_deletion(w, bytes);
	if (port_in(bytes) || w->program.vpn)
		note_request(w, bytes);
}

void truth_at_gateway(struct world *w, const struct event *event)
{
	if (!is_map(event->bytes, event->len))
		return;
	struct key *key = truth_key(w, event->bytes[1], port_in(event->bytes));
	/* Late or twice: the client has told the gateway otherwise meanwhile, or will not. */
	if (lifetime_in(event->bytes) &&
	    (!key->wanted || event->made < key->wanted->opened || event->made <= key->deleted_at))
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
	for (size_t i = 0; i < w->known.key_count; i++)
		w->known.keys[bytes[1] == NATPMP_TCP][i].leftover[request->link] = false;
}

/* --- what is heard --- */

static void show_loss(struct world *w, uint64_t forgot_at)
{
	for (unsigned i = 0; i < 2; i++)
		for (size_t k = 0; k < w->known.key_count; k++) {
			struct key *key = &w->known.keys[i][k];
			if (key->external_port && !key->shown && key->granted < forgot_at)
				key->shown = w->now;
		}
}

/* RFC 6886 section 3.6, in thousandths: the packet came at that time, or later. */
static bool is_behind(const struct epoch_seen *epoch, uint32_t seconds, int64_t at)
{
	int64_t elapsed = at > epoch->at ? at - epoch->at : 0;

	return epoch->known && ((int64_t)seconds + 2) * 8000 < epoch->seconds * 8000 + elapsed * 7;
}

/* A clock that was true all the time shows no restart, however late it is read. */
static bool was_true(const struct world *w)
{
	const struct troubles *troubles = &w->troubles;

	return !troubles->clocks && w->known.epoch.known &&
	       (int64_t)(troubles->clock_upset + MINUTE) < w->known.epoch.at;
}

static void hear_clock(struct world *w, uint32_t seconds, uint64_t at_earliest)
{
	struct known *known = &w->known;

	if (is_behind(&known->epoch, seconds, (int64_t)w->now) && !was_true(w))
		known->may_suspect = true;
	if (is_behind(&known->epoch, seconds, (int64_t)at_earliest)) {
		TRACE(w, "shown: the gateway restarted");
		if (!known->must_suspect_at)
			known->must_suspect_at = w->now;
		known->may_suspect = true;
		show_loss(w, NEVER);
	}
	known->epoch =
		(struct epoch_seen){.known = true, .seconds = seconds, .at = (int64_t)w->now};
}

/* The key that a response names, if there is a request about it to answer: at any time in which
 * one of its sends may be answered, whatever is in flight by now. VPN gateways name port 0, or the
 * external port. */
static struct key *named_key(struct world *w, const struct response *response)
{
	uint16_t port = response->internal_port;
	struct key *key = truth_key(w, response->protocol, port);

	if (w->program.vpn && port && port != response->external_port)
		return NULL;
	return truth_is_open(w, key) ? key : NULL;
}

/* A refusal that names no port is about what is in flight. */
static void hear_unnamed(struct world *w, const struct response *response)
{
	const struct question *asked = w->client.gateway.in_flight;

	if (asked && asked->message.kind == ASK_ADDRESS && response->kind != RESPONSE_UNNAMED)
		w->known.address_open = false;
	if (!asked || asked->message.kind == ASK_ADDRESS || asked->message.kind == ASK_ANNOUNCE)
		return;
	if (response->kind == RESPONSE_UNNAMED && asked->message.protocol != response->protocol)
		return;
	truth_key(w, asked->message.protocol, asked->message.internal_port)->answered = true;
}

static void hear_grant(struct world *w, const struct event *event, const struct response *response)
{
	struct key *key = named_key(w, response);

	if (!key)
		return;
	if (!response->lifetime) {
		/* An answer that was made for an earlier request passes for one to the deletion. */
		if (!key->asked_to_create && event->asked < key->asked_from)
			key->leftover[event->link] = true;
		key->answered |= !key->asked_to_create;
		w->known.heard |= !key->asked_to_create;
		return;
	}
	if (!key->asked_to_create || !response->external_port || !key->wanted ||
	    key->sent_serial < key->wanted->serial)
		return;
	CHECK(w, !event->forged, "(the simulation forged too well)");
	uint32_t asked = key->wanted->core.lifetime;
	uint32_t lifetime = response->lifetime < asked ? response->lifetime : asked;

	/* A send that is older than a whole series is not answered any more. */
	uint64_t oldest = w->now > SERIES ? w->now - SERIES : 0;
	uint64_t from = key->asked_from > oldest ? key->asked_from : oldest;

	if (event->asked < key->wanted->opened)
		key->misled = key->wanted->serial;
	key->answered = w->known.heard = true;
	key->external_port = response->external_port;
	if (from + lifetime * SECOND <= w->now) {
		/* Maybe over already: it is asked again, and what was before is uncertain. */
		key->shown = key->shown ? key->shown : w->now;
		return;
	}
	key->lifetime = lifetime;
	key->granted = w->now;
	key->over = from + lifetime * SECOND;
	key->shown = 0;
	key->link = event->link;
}

/* The gateway's port is closed: nothing will come of the request that met that. */
void truth_refused(struct world *w, const struct message *asked)
{
	if (asked->kind == ASK_CREATE || asked->kind == ASK_DELETE)
		truth_key(w, asked->protocol, asked->internal_port)->answered = true;
}

/* Not at once again what was answered with no: ten times in 40 s at most; what was granted for a
 * short time is asked for after 1, 2, 4 s. */
static void hear_refusal(struct world *w, const struct event *event,
			 const struct response *response)
{
	struct key *key = named_key(w, response);
	const struct grant *grant = registry_find(&w->client.registry, response->protocol,
						  w->program.vpn ? 0 : response->internal_port);

	if (event->forged || !key || !grant)
		return;
	/* The late no to an earlier send of what was granted meanwhile says nothing. */
	if (grant->question.state == QUESTION_IDLE && grant->is_granted)
		return;
	key->answered = w->known.heard = true;
	if (!key->asked_to_create) {
		key->leftover[event->link] = true; /* it will not let go of it */
		return;
	}
	if (!key->wanted || key->refused_at < key->wanted->opened ||
	    (key->wanted->retried && key->refused_at < key->wanted->retried))
		key->allowance = 10 * RETRY_GAP;
	else
		key->allowance += w->now - key->refused_at;
	key->refused_at = w->now;
	if (key->allowance > 10 * RETRY_GAP)
		key->allowance = 10 * RETRY_GAP;
	CHECK(w, key->allowance >= RETRY_GAP, "port %u is asked for over and over, and refused",
	      response->internal_port);
	key->allowance -= RETRY_GAP;
}

static void hear_address(struct world *w, const struct event *event,
			 const struct response *response)
{
	struct known *known = &w->known;

	/* An address is believed only as the answer to our own question, and what is read later
	 * than that may be answered (the program slept) is none. */
	if (event->kind != TO_CLIENT || !known->address_open ||
	    w->now > known->address_sent + SERIES)
		return;
	CHECK(w, !event->forged, "(the simulation forged an answer)");
	known->address_open = false;
	known->heard = true;
	known->address_last = ip_to_v4(&response->address);
	if (known->address_last)
		known->addresses_seen |= 1u << (known->address_last & 31);
}

void truth_received(struct world *w, const struct event *event, uint64_t at_earliest)
{
	uint8_t bytes[RESPONSE_MAX] = {0};
	struct response response;

	if (w->network.link == NO_LINK)
		return;
	memcpy(bytes, event->bytes, event->len);
	response = gateway_read(&w->client.gateway, bytes, event->len + event->pad);
	if (event->kind == ANNOUNCED && response.kind != RESPONSE_ADDRESS)
		return;
	if (response.kind != RESPONSE_JUNK && !w->troubles.heard_at)
		w->troubles.heard_at = w->now;
	if (response.has_clock && response.dialect == DIALECT_NATPMP)
		hear_clock(w, response.clock, at_earliest);
	if (response.kind == RESPONSE_ADDRESS && response.dialect == DIALECT_NATPMP)
		hear_address(w, event, &response);
	else if (response.kind == RESPONSE_MAPPING && response.status)
		hear_refusal(w, event, &response);
	else if (response.kind == RESPONSE_MAPPING)
		hear_grant(w, event, &response);
	else if (response.kind == RESPONSE_UNNAMED)
		hear_unnamed(w, &response);
	else if (response.kind == RESPONSE_BAD_VERSION) {
		hear_unnamed(w, &response);
		w->known.address_last = 0; /* it may be the answer to that question */
	}
}

/* --- links and troubles --- */

static bool is_silence(int status)
{
	enum status_class kind = status_class(status);

	return kind == STATUS_SILENT || kind == STATUS_CLOSED;
}

void truth_disturbed(struct world *w)
{
	struct troubles *troubles = &w->troubles;

	troubles->calm_since = w->now;
	troubles->heard_at = 0;
	troubles->was_given_up = gateway_is_away(&w->client.gateway);
	troubles->flood_alone = false;
	for (unsigned i = 0; i < 2; i++)
		for (size_t k = 0; k < w->known.key_count; k++)
			w->known.keys[i][k].calm_closing = false;
}

void truth_restarted(struct world *w, bool lost)
{
	w->troubles.clock_upset = w->now;
	/* A clock that was near 0 shows nothing. */
	w->gateways.restarted_at =
		lost && w->known.epoch.known && w->known.epoch.seconds > 60 ? w->now : 0;
}

void truth_farewell(struct world *w, unsigned link, const uint8_t *bytes)
{
	struct key *key = truth_key(w, bytes[1], port_in(bytes));

	CHECK(w, port_in(bytes) && !(bytes[6] | bytes[7]) && !lifetime_in(bytes) && key->asked,
	      "a strange farewell to port %u", port_in(bytes));
	key->leftover[link] = true;
	key->answered = true; /* what was sent there has no answer any more */
}

void truth_relinked(struct world *w, unsigned before, bool farewell)
{
	const struct model_mapping *mapping;
	size_t cursor = 0;
	bool calm = !w->troubles.disturbances && w->now > w->troubles.calm_since + MINUTE;
	struct known *known = &w->known;

	w->network.relinked_at = w->now;
	known->heard = known->epoch.known = false;
	known->may_suspect = false;
	known->must_suspect_at = 0;
	known->addresses_seen = 0;
	known->address_last = 0;
	known->address_allowance += 3 * ADDRESS_EVERY;
	w->troubles.clock_upset = w->now;
	w->gateways.restarted_at = 0;
	show_loss(w, NEVER);
	for (unsigned i = 0; i < 2; i++)
		for (size_t k = 0; k < known->key_count; k++)
			known->keys[i][k].calm_closing = false;
	if (!farewell)
		return;
	while (calm && !w->program.vpn &&
	       (mapping = model_next(world_gateway(w, before), w->now, &cursor)))
		CHECK(w,
		      model_host_number(&mapping->client) != w->network.links[before].own ||
			      mapping->manual ||
			      truth_key(w, mapping->opcode, mapping->internal_port)
				      ->leftover[before],
		      "no farewell to port %u", mapping->internal_port);
	for (unsigned i = 0; i < 2; i++)
		for (size_t k = 0; k < known->key_count; k++)
			known->keys[i][k].leftover[before] = true;
}

/* --- events --- */

static void came_up(struct world *w, const struct hold *hold)
{
	const struct lease_view *view = &hold->core.told;
	uint32_t address = ip_to_v4(&view->external_address);

	CHECK(w, w->network.link != NO_LINK, "up without a gateway");
	for (unsigned i = 0; i < hold->core.count; i++) {
		const struct key *key = key_of(w, hold, i);
		CHECK(w, key->external_port == view->external_port && key->link == w->network.link,
		      "port %u is said to have %u, but was granted %u", hold->core.internal_port,
		      view->external_port, key->external_port);
		CHECK(w, w->now < key->over, "port %u is up after its time",
		      hold->core.internal_port);
	}
	CHECK(w, !hold->core.is_exact || view->external_port == hold->core.suggested_port,
	      "port %u is up on %u, and only %u is wanted", hold->core.internal_port,
	      view->external_port, hold->core.suggested_port);
	CHECK(w, ip_to_v4(&view->internal_address) == w->network.links[w->network.link].own,
	      "an own address that is not ours");
	CHECK(w,
	      !address || (w->known.addresses_seen & 1u << (address & 31) &&
			   address >> 8 == (0x0b1600u | w->network.links[w->network.link].gateway)),
	      "external address %08x, which the gateway did not tell when it was asked", address);
}

/* Are the refusals the only trouble that a mapping of this key has had, and did they end in time?
 * A lease of 60 s is never lost to a refusal that ends before it does. */
static bool should_survive_refusals(const struct world *w, const struct key *key)
{
	const struct troubles *troubles = &w->troubles;
	uint64_t slack = LAST_TRY + truth_turns(w) + FIVE_SENDS;

	return !troubles->disturbances && troubles->refusal_ended == troubles->calm_since &&
	       troubles->refusal_began > key->granted && !troubles->ignored && !is_slow(w) &&
	       troubles->refusal_ended + slack < key->over;
}

static void check_kept(struct world *w, const struct hold *hold, const struct key *key)
{
	const struct troubles *troubles = &w->troubles;
	bool calm = !troubles->disturbances && troubles->calm_since + SERIES < key->granted &&
		    !key->ignored && key->heeded + SERIES < key->granted;
	/* Each one ignored may cost the others that much, and no more. */
	uint64_t lost_time = MINUTE + troubles->ignored * FIVE_SENDS +
			     (is_slow(w) ? SLOW_MAX + truth_turns(w) : 0);
	bool kept = calm && key->lifetime * SECOND / 2 >= lost_time;

	CHECK(w, key->shown || w->now < key->over || !kept,
	      "port %u got lost, while the gateway answered", hold->core.internal_port);
	CHECK(w, key->shown || w->now < key->over || !should_survive_refusals(w, key),
	      "port %u got lost to refusals that were over %" PRIu64 " ms before it",
	      hold->core.internal_port, key->over - troubles->refusal_ended);
}

/* Was the answer to an earlier hold's request taken for one to its own? They look the same. */
static bool was_misled(struct world *w, const struct hold *hold)
{
	for (unsigned i = 0; i < hold->core.count; i++)
		if (key_of(w, hold, i)->misled == hold->serial)
			return true;
	return false;
}

static void went_down(struct world *w, const struct hold *hold)
{
	int status = hold->core.told.status;
	bool over = false;

	if (w->network.link == NO_LINK)
		return;
	/* Two ports that move together are one change, and no reason to be down. (One whose port
	 * is an earlier hold's, that was deleted since, moves alone.) */
	if (status == NATPMP_E_PORTS_DIFFER && !was_misled(w, hold))
		CHECK(w,
		      w->troubles.disturbances || gives_other_ports(w) || w->gateways.squatters ||
			      w->program.slot_count > 1 ||
			      w->now < w->troubles.calm_since + 10 * SECOND,
		      "port %u is down, for its two ports differ; they moved together",
		      hold->core.internal_port);
	if (status == NATPMP_E_PORTS_DIFFER || status == NATPMP_E_OTHER_PORT)
		return;
	for (unsigned i = 0; i < hold->core.count; i++) {
		const struct key *key = key_of(w, hold, i);
		over |= key->shown || w->now >= key->over;
		check_kept(w, hold, key);
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
		      status_class(status) != STATUS_SILENT,
	      "port %u: silence is told too soon", hold->core.internal_port);
	if (status == NATPMP_OK) {
		came_up(w, hold);
		w->counters.ups++;
	} else if (before->status == NATPMP_OK) {
		went_down(w, hold);
		w->counters.downs++;
	}
}

/* --- at any time --- */

static void see_reboot(struct world *w)
{
	const struct reboot *reboot = &w->client.gateway.reboot;
	struct known *known = &w->known;

	if (reboot->forgot_at == known->forgot_at)
		return;
	bool relinked = reboot->window_until == 0;
	known->forgot_at = reboot->forgot_at;
	if (!relinked) {
		TRACE(w, "the core sees a restart");
		CHECK(w, known->may_suspect, "a restart that nothing showed");
		/* Of a packet that came just now hear_clock() knows more. */
		show_loss(w, known->must_suspect_at == w->now ? w->now : reboot->forgot_at);
		w->counters.delays++;
		if (reboot->recovery_at != NEVER)
			w->counters.delayed += reboot->recovery_at + 1 - reboot->forgot_at;
		CHECK(w,
		      reboot->recovery_at == NEVER ||
			      reboot->recovery_at <= reboot->forgot_at + DELAY,
		      "a recovery more than %d ms after the restart was shown", DELAY);
	}
	known->may_suspect = reboot->is_suspected_again;
	known->must_suspect_at = 0;
}

/* What was given up before the gateway was failed by itself: others had been answered. */
static void see_given_up(struct world *w)
{
	bool is_away = gateway_is_away(&w->client.gateway);
	bool begins = is_away && !w->troubles.is_given_up;

	w->troubles.is_given_up = is_away;
	for (unsigned i = 0; i < 2 && begins; i++)
		for (size_t k = 0; k < w->known.key_count; k++) {
			struct key *key = &w->known.keys[i][k];
			key->failed_alone = key->sent_at + LAST_SEND + LATE_WAKE < w->now &&
					    key->wanted && key->sent_at > key->wanted->opened;
		}
}

/* What was let go is deleted, or it is said that it is not. */
static void check_closed(struct world *w, struct key *key, unsigned protocol, uint16_t port)
{
	unsigned link = w->network.link;
	uint16_t external;

	w->program.closing--;
	key->closing = false;
	if (link == NO_LINK || key->unmaps || key->leftover[link] ||
	    !model_lookup(world_gateway(w, link), w->now, w->network.links[link].own, protocol,
			  port, &external, 1))
		return;
	CHECK(w, !key->calm_closing || key->ignored || w->now >= key->over,
	      "port %u was let go, and external port %u is left over", port, external);
	CHECK(w, client_leftover(&w->client, w->now) || w->now >= key->over,
	      "port %u: external port %u is left over, and nothing says so", port, external);
	key->leftover[link] = true;
}

static void look_at_closing(struct world *w)
{
	struct known *known = &w->known;

	for (unsigned i = 0; i < 2; i++)
		for (size_t k = 0; k < known->key_count && w->program.closing; k++) {
			uint16_t port = (uint16_t)(PORT_BASE + k);
			if (known->keys[i][k].closing && client_is_closed(&w->client, i + 1, port))
				check_closed(w, &known->keys[i][k], i + 1, port);
		}
}

void truth_let_go(struct world *w, struct hold *hold, bool is_owed)
{
	bool calm = !w->troubles.disturbances && w->network.link != NO_LINK && !is_slow(w) &&
		    w->troubles.calm_since + 10 * SECOND < w->now;

	for (unsigned i = 0; i < hold->core.count; i++) {
		struct key *key = key_of(w, hold, i);
		key->wanted = NULL;
		if (!is_owed || w->program.vpn) {
			key->leftover[w->network.socket] = true;
			continue;
		}
		w->program.closing += !key->closing;
		key->closing = true;
		key->closed = w->now;
		key->calm_closing = calm;
	}
}

void truth_settled(struct world *w)
{
	const struct gateway *gateway = &w->client.gateway;
	bool waits = false;

	see_reboot(w);
	see_given_up(w);
	CHECK(w, !w->known.must_suspect_at || gateway->reboot.is_suspected_again,
	      "a restart was shown, and not seen");
	for (unsigned lane = 0; lane < LANES; lane++)
		waits |= gateway->lanes[lane].count &&
			 (lane == LANE_AT_ONCE || lane == LANE_AFTER_BACKOFF ||
			  gateway->reboot.recovery_at == NEVER);
	CHECK(w,
	      !w->known.heard || w->network.link == NO_LINK || !waits || gateway->in_flight ||
		      gateway->backoff.until > w->now,
	      "a question waits, and the gateway has just been heard");
	if (w->program.closing)
		look_at_closing(w);
	if (w->program.grants < 16)
		watch_records(&w->watch, &w->client);
}

static bool gateway_has(struct world *w, const struct hold *hold, unsigned i)
{
	uint16_t external = hold->core.told.external_port, ports[4];
	uint16_t internal = w->program.vpn ? external : hold->core.internal_port;
	unsigned protocol = hold->core.grants[i]->question.message.protocol;

	if (w->network.link == NO_LINK)
		return false;
	size_t count =
		model_lookup(world_gateway(w, w->network.link), w->now,
			     w->network.links[w->network.link].own, protocol, internal, ports, 4);
	for (size_t at = 0; at < count && at < 4; at++)
		if (ports[at] == external)
			return true;
	return false;
}

/* Nothing is heard: after two questions that is said of all that is not certain. */
static void check_silence(struct world *w, const struct hold *hold, uint64_t since)
{
	uint64_t bound = 2 * (GAP + FIVE_SENDS) + DELAY + WINDOW;

	if (!w->gateways.silent || w->troubles.disturbances != w->gateways.silent)
		return;
	if (w->troubles.calm_since > since)
		since = w->troubles.calm_since;
	CHECK(w, w->now <= since + bound,
	      "port %u is believed in (%d) for %" PRIu64 " ms of silence", hold->core.internal_port,
	      hold->core.status, w->now - since);
}

/* A restart that nobody announced is noticed, for nothing is silent for longer than 5 min. */
static void check_noticed(struct world *w, const struct hold *hold, const struct key *key)
{
	uint64_t restarted = w->gateways.restarted_at;
	uint64_t bound = LOOK + DELAY + FIVE_SENDS + truth_turns(w);

	if (!restarted || key->shown || key->granted >= restarted || w->troubles.disturbances ||
	    w->troubles.calm_since > restarted || w->troubles.ignored)
		return;
	CHECK(w, w->now <= restarted + bound,
	      "port %u: a restart is not noticed for %" PRIu64 " ms", hold->core.internal_port,
	      w->now - restarted);
}

static void check_up(struct world *w, const struct hold *hold, unsigned i)
{
	const struct key *key = key_of(w, hold, i);
	const struct troubles *troubles = &w->troubles;
	uint64_t since = key->shown > troubles->calm_since ? key->shown : troubles->calm_since;
	uint64_t allowed = since + GAP + FIVE_SENDS + DELAY + WINDOW + truth_turns(w);
	unsigned port = hold->core.internal_port;

	/* On another link that is another mapping's time. */
	CHECK(w, w->now < key->over + LATE_WAKE || w->network.relinked_at > key->granted,
	      "port %u is up after its time", port);
	if (key->shown)
		check_silence(w, hold, key->shown);
	if (gateway_has(w, hold, i))
		return;
	check_noticed(w, hold, key);
	/* On a new link the event waits for the external address. */
	if (!w->client.external.is_settled && w->now < key->granted + FIVE_SENDS)
		return;
	bool moving = hold->core.count == 2 && key_of(w, hold, !i)->shown;
	CHECK(w,
	      key->external_port == hold->core.told.external_port || key->shown || moving ||
		      hold->core.count == 2,
	      "port %u is up on %u, which was not granted", port, hold->core.told.external_port);
	if (key->shown && !troubles->disturbances && !key->ignored && key->heeded < since)
		CHECK(w, w->now <= allowed,
		      "port %u is up, though known to be lost for %" PRIu64 " ms", port,
		      w->now - key->shown);
}

static bool is_short(struct world *w, const struct hold *hold)
{
	for (unsigned i = 0; i < hold->core.count; i++) {
		const struct key *key = key_of(w, hold, i);
		if (key->granted <= hold->opened || key->lifetime >= SHORT)
			return false;
	}
	return true;
}

/* How long what failed so is not asked for. */
static uint64_t policy(struct world *w, const struct hold *hold)
{
	int status = hold->core.status;

	if (hold->retried > w->troubles.calm_since && hold->retried > hold->down_since)
		return 0;
	if (is_short(w, hold) && status != NATPMP_E_PORTS_DIFFER)
		return SHORT_GAP;
	if (status == NATPMP_PENDING || is_silence(status))
		return GAP;
	return status == NATPMP_E_NETWORK_FAILURE ? 30 * SECOND : 30 * MINUTE;
}

static bool can_be_up(struct world *w, const struct hold *hold)
{
	const struct model_profile *profile = &world_gateway(w, w->network.link)->profile;

	if (profile->pcp == MODEL_PCP_ONLY || hold->core.is_exact)
		return false;
	if (is_slow(w) && profile->max_lifetime) /* over before the answer comes */
		return false;
	if (hold->core.count == 2 && !w->program.vpn &&
	    (gives_other_ports(w) || profile->forced_port > 0))
		return false;
	return true;
}

static void check_down(struct world *w, const struct hold *hold)
{
	const struct troubles *troubles = &w->troubles;
	uint64_t since =
		troubles->calm_since > hold->down_since ? troubles->calm_since : hold->down_since;
	int status = hold->core.status;

	if (troubles->disturbances || w->network.link == NO_LINK || !can_be_up(w, hold))
		return;
	if (hold->retried > since)
		since = hold->retried;
	for (unsigned i = 0; i < hold->core.count; i++) {
		const struct key *key = key_of(w, hold, i);
		if (key->ignored)
			return;
		if (key->heeded > since)
			since = key->heeded;
		if (key->over > since && key->over < w->now) /* too short to be kept: flaps */
			since = key->over;
	}
	bool failed_alone = false;
	for (unsigned i = 0; i < hold->core.count; i++)
		failed_alone |= key_of(w, hold, i)->failed_alone;
	uint64_t bound = policy(w, hold) + DELAY + FIVE_SENDS + truth_turns(w);
	/* No backoff holds up what was granted for a short time: it is back within seconds, each of
	 * two protocols in its own time. */
	if (is_short(w, hold))
		bound += 2 * FIVE_SENDS + (hold->core.count - 1U) * SHORT_GAP;
	else
		bound += GAP + WINDOW;
	/* If it was believed to be dead, the first packet of it is news for all that failed since.
	 * What failed before, while others were answered, has its own delay. */
	if (is_silence(status) && status != NATPMP_E_BAD_ANSWER && troubles->was_given_up &&
	    troubles->heard_at && !failed_alone) {
		since = troubles->heard_at > since ? troubles->heard_at : since;
		bound = DELAY + WINDOW + FIVE_SENDS + truth_turns(w);
	}
	CHECK(w, w->now <= since + bound, "port %u is down (%d) for %" PRIu64 " ms, bound %" PRIu64,
	      hold->core.internal_port, status, w->now - since, bound);
}

/* Another port than the one wanted is given back. */
static void check_exact(struct world *w, const struct hold *hold)
{
	uint64_t bound = GAP + DELAY + FIVE_SENDS + truth_turns(w);

	for (unsigned i = 0; i < hold->core.count; i++) {
		const struct key *key = key_of(w, hold, i);
		uint64_t since = key->sent_at > hold->opened ? key->sent_at : hold->opened;
		uint16_t external = 0;

		if (since < w->troubles.calm_since)
			since = w->troubles.calm_since;
		if (w->troubles.disturbances || w->network.link == NO_LINK || key->ignored ||
		    key->leftover[w->network.link] || key->heeded > since ||
		    w->now <= since + bound)
			continue;
		model_lookup(world_gateway(w, w->network.link), w->now,
			     w->network.links[w->network.link].own,
			     hold->core.grants[i]->question.message.protocol,
			     hold->core.internal_port, &external, 1);
		/* What it was not told of it cannot give back. */
		CHECK(w,
		      !external || external != key->external_port ||
			      external == hold->core.suggested_port,
		      "port %u has %u for %" PRIu64 " ms, and only %u is wanted",
		      hold->core.internal_port, external, w->now - since,
		      hold->core.suggested_port);
	}
}

void truth_check(struct world *w, struct hold *hold)
{
	if (hold->is_call)
		return;
	if (hold->core.is_exact && !w->program.vpn)
		check_exact(w, hold);
	if (hold->core.status == NATPMP_PENDING)
		check_silence(w, hold, hold->opened);
	if (hold->core.status != NATPMP_OK) {
		check_down(w, hold);
		return;
	}
	bool shown = false;
	for (unsigned i = 0; i < hold->core.count; i++) {
		check_up(w, hold, i);
		shown |= key_of(w, hold, i)->shown;
	}
	if (w->known.address_last && w->client.external.is_settled && w->network.link != NO_LINK &&
	    lease_is_granted(&hold->core))
		CHECK(w,
		      ip_to_v4(&hold->core.told.external_address) == w->known.address_last || shown,
		      "port %u at %08x, but the gateway said %08x", hold->core.internal_port,
		      ip_to_v4(&hold->core.told.external_address), w->known.address_last);
}

void truth_check_all(struct world *w)
{
	if (w->now < w->program.asleep_until)
		return;
	for (struct hold *hold = w->program.holds; hold; hold = hold->next)
		truth_check(w, hold);
}

/* --- how much is sent --- */

/* What the holds need in an hour when nothing happens. */
static uint64_t idle_packets(struct world *w)
{
	uint64_t idle = 8;

	for (const struct hold *hold = w->program.holds; hold; hold = hold->next)
		for (unsigned i = 0; i < hold->core.count; i++) {
			uint64_t lifetime = key_of(w, hold, i)->lifetime;
			bool up = hold->core.status == NATPMP_OK;
			unsigned tries = lifetime && lifetime < SHORT ? 130 : 60;
			idle += up ? 2 * 3600 / (lifetime ? lifetime : 1) + 2 : tries;
		}
	return idle + (idle < 60 ? idle : 60); /* the external address, once in a minute */
}

static uint64_t short_grants(struct world *w)
{
	uint64_t count = 0;

	for (const struct hold *hold = w->program.holds; hold; hold = hold->next)
		for (unsigned i = 0; i < hold->core.count; i++)
			count += key_of(w, hold, i)->lifetime &&
				 key_of(w, hold, i)->lifetime < SHORT;
	return count;
}

void truth_hour(struct world *w)
{
	const struct troubles *troubles = &w->troubles;
	struct counters *counters = &w->counters;
	uint64_t sent = counters->sent - counters->hour_sent;
	uint64_t answered = counters->answered + counters->refused - counters->hour_answered;
	/* A mapping in force passes the backoff, at 3/4 of its lifetime, 7/8 and so on: at most a
	 * dozen times before it is over. One of a short lifetime does so up to twice a minute. */
	uint64_t silent =
		7 * (HOUR / GAP + 2) + 7 * 12 * w->program.grants + 6 * 120 * short_grants(w);

	counters->hour_sent = counters->sent;
	counters->hour_answered = counters->answered + counters->refused;
	/* Five or six sends in 7.75 s is the most when nobody answers. */
	CHECK(w, sent <= 2800 + 2 * answered + w->program.slot_count * 8,
	      "%" PRIu64 " packets in an hour", sent);
	if (w->program.last_act + HOUR + 5 * MINUTE > w->now)
		return;
	if (w->gateways.silent && troubles->disturbances == w->gateways.silent &&
	    troubles->calm_since + HOUR + 5 * MINUTE < w->now)
		CHECK(w, sent <= silent,
		      "%" PRIu64 " packets in an hour of silence, bound %" PRIu64, sent, silent);
	if (troubles->disturbances || troubles->ignored || is_slow(w) ||
	    troubles->calm_since + HOUR + 35 * MINUTE > w->now ||
	    troubles->changed_at + HOUR + 5 * MINUTE > w->now)
		return;
	uint64_t idle = idle_packets(w) + 12; /* 12 looks at a silent gateway */
	CHECK(w, sent <= idle, "%" PRIu64 " packets in an idle hour, bound %" PRIu64, sent, idle);
}

/* Forged packets bring about one recovery in 30 s, and no packet for each of them. */
void truth_flood(struct world *w, bool begins)
{
	struct troubles *troubles = &w->troubles;
	unsigned each = gives_other_ports(w) ? 16 : 4;

	if (begins) {
		troubles->flood_began = w->now;
		troubles->flood_sent = w->counters.sent;
		troubles->flood_alone = troubles->disturbances == 1 && !troubles->ignored &&
					!is_slow(w) && w->network.link != NO_LINK;
		return;
	}
	if (!troubles->flood_alone || w->program.last_act > troubles->flood_began)
		return;
	uint64_t length = w->now - troubles->flood_began;
	uint64_t recoveries = length / WINDOW + 2;
	uint64_t bound = recoveries * (each * w->program.grants + 4) +
			 (idle_packets(w) + 60) * (length / HOUR + 1);
	uint64_t sent = w->counters.sent - troubles->flood_sent;
	CHECK(w, sent <= bound,
	      "%" PRIu64 " packets sent in a flood of %" PRIu64 " s, bound %" PRIu64, sent,
	      length / SECOND, bound);
}

/* --- the end --- */

void truth_nothing_left(struct world *w)
{
	const struct model_mapping *mapping;
	size_t cursor = 0;

	CHECK(w, !w->program.holds && !w->program.unmaps, "port %u is held",
	      w->program.holds->core.internal_port);
	CHECK(w, client_is_empty(&w->client), "%zu records are left", w->client.registry.count);
	CHECK(w, client_next_deadline(&w->client, w->now) == NEVER,
	      "nothing to do, yet a deadline");
	while (!w->program.vpn &&
	       (mapping = model_next(world_gateway(w, w->network.link), w->now, &cursor)))
		CHECK(w,
		      model_host_number(&mapping->client) !=
				      w->network.links[w->network.link].own ||
			      mapping->manual ||
			      truth_key(w, mapping->opcode, mapping->internal_port)
				      ->leftover[w->network.link],
		      "port %u is left over", mapping->internal_port);
}
