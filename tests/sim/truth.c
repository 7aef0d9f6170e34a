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
	CROWD = 64,         /* so many grants may have to wait for each other for long */
	LOOK = 300000,      /* what is silent for so long is asked how it is */
	SHORT = 300,        /* s; a lifetime under which a lost mapping is tried again sooner ... */
	SHORT_GAP = 30000,  /* ... so often at least */
	LONG_GAP = 1800000, /* ms; errors of PCP that do not pass soon */
	SECOND_DIALECT = 1750, /* ms; what the gateway seems not to speak is asked for so long */
	PCP_GAP = 4000,        /* ms; RFC 6887 section 11.2.1 */
	LAST_TRY = 8000,       /* ms; a renewal is tried once more at a time from here to the end */
};

static uint64_t latest(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
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
	/* In two dialects each may be asked twice, and deleted twice, once of them in vain. */
	if (w->dialects == ALL_DIALECTS) {
		each *= 2;
		exchange += SECOND_DIALECT;
	}
	return (each * w->program.grants + 4) * exchange +
	       (troubles->ignored ? (GAP + FIVE_SENDS) * (troubles->ignored + 3) : 0) +
	       (is_slow(w) ? (each * 2 + 1) * SLOW_MAX : 0);
}

/* --- what is sent --- */

static void check_deletion(struct world *w, const struct packet *packet)
{
	uint16_t port = packet->internal_port;
	const struct key *key = truth_key(w, packet->protocol, port);
	const struct hold *hold = key->wanted;

	CHECK(w, !packet->suggested_port, "a deletion of port %u suggests a port", port);
	if (!port) {
		CHECK(w, w->program.deleting_all & packet->protocol, "deletes everything");
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

/* The gateway is believed to have it. */
static bool is_in_force(const struct world *w, const struct key *key)
{
	return key->wanted && key->granted > key->wanted->opened && !key->shown &&
	       w->now < key->over;
}

/* Who is blocked, or told to try at once, does not wait. */
static bool may_hurry(const struct world *w, const struct hold *hold)
{
	return hold->is_call || (hold->retried && hold->retried + SECOND > w->now);
}

/* RFC 6887: an error is not asked for again while it lasts, and renewals are 4 s apart. */
static void check_patience(struct world *w, const struct packet *packet, bool is_first)
{
	struct key *key = truth_key(w, packet->protocol, packet->internal_port);
	const struct hold *hold = key->wanted;
	uint16_t port = packet->internal_port;

	if (!is_first || may_hurry(w, hold))
		return;
	CHECK(w, w->now >= key->not_before,
	      "port %u is asked for %" PRIu64 " ms before the end of an error", port,
	      key->not_before - w->now);
	bool is_renewal = is_in_force(w, key);
	/* While a suspicion has to wait, the core believes in what it has. */
	bool is_believed_in = w->client.gateway.reboot.is_suspected_again &&
			      key->granted > hold->opened && w->now < key->over;
	bool is_going_on = (truth_is_open(w, key) && key->asked_to_create) ||
			   w->program.grants > CROWD || /* it was in the queue before */
			   w->now == w->known.short_since;
	CHECK(w, is_renewal || is_believed_in || is_going_on || w->now >= w->known.no_new_until,
	      "port %u is asked for, and the gateway is short of resources", port);
	if (!is_renewal || key->made_in != DIALECT_PCP || hold->core.status != NATPMP_OK)
		return;
	CHECK(w, !key->renewed_at || w->now >= key->renewed_at + PCP_GAP,
	      "port %u is renewed again after %" PRIu64 " ms", port, w->now - key->renewed_at);
	key->renewed_at = w->now;
}

static void check_creation(struct world *w, const struct packet *packet)
{
	uint16_t port = packet->internal_port, suggested = packet->suggested_port;
	const struct key *key = truth_key(w, packet->protocol, port);
	const struct hold *hold = key->wanted;

	CHECK(w, hold, "asks for port %u, which nobody wants", port);
	CHECK(w, packet->lifetime == hold->core.lifetime, "asks for %u s, not %u", packet->lifetime,
	      hold->core.lifetime);
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
	/* RFC 6886 section 3.3: the port that was assigned, in whichever dialect. (Two protocols
	 * may be on their way to another.) */
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
static bool must_be_delayed(struct world *w, const struct packet *packet)
{
	const struct client *client = &w->client;

	if (packet->kind != PACKET_MAP)
		return client->gateway.in_flight->lane == LANE_AFTER_BOTH;
	const struct key *key = truth_key(w, packet->protocol, packet->internal_port);
	const struct hold *hold = key->wanted;
	return packet->lifetime && hold && !hold->core.is_awaited && key->granted > hold->opened;
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

static void note_request(struct world *w, const struct packet *packet)
{
	struct key *key = truth_key(w, packet->protocol, packet->internal_port);
	uint64_t asked_at = w->client.gateway.in_flight->asked_at;

	/* What is sent may be answered by the answer to an earlier send: lifetimes count from the
	 * first of those, unless the core has forgotten that for a new lease. */
	if (truth_is_open(w, key) && key->wanted && key->sent_serial > key->wanted->serial &&
	    key->asked_to_create && packet->lifetime)
		CHECK(w, asked_at <= key->asked_from,
		      "port %u: a lifetime does not count from the first send that may be answered",
		      packet->internal_port);
	CHECK(w, asked_at == w->now || asked_at == key->asked_from,
	      "port %u: asked at a time when nothing was sent", packet->internal_port);
	if (asked_at == w->now)
		key->sent_in = 0;
	key->sent_in |= dialect_bit(packet->dialect);
	key->asked_from = asked_at;
	key->asked_to_create = packet->lifetime;
	if (!key->asked_to_create)
		key->deleted_at = w->now;
	key->sent_serial = w->program.series;
	key->answered = false;
	key->sent_at = w->now;
}

static void note_address_question(struct world *w, const struct packet *packet, bool is_first)
{
	if (w->watch.kind == ASK_ANNOUNCE)
		return;
	if (is_first)
		check_address_question(w);
	if (packet->dialect == DIALECT_PCP) {
		w->known.announce_open = true;
		return;
	}
	w->known.address_open = true;
	w->known.address_sent = w->now;
}

/* From now on it may be asked again. */
void truth_forgets_shortage(struct world *w)
{
	if (w->known.no_new_until > w->now)
		w->known.no_new_until = w->now;
}

static void forget_errors(struct world *w)
{
	for (unsigned i = 0; i < 2; i++)
		for (size_t k = 0; k < w->known.key_count; k++)
			w->known.keys[i][k].not_before = 0;
	truth_forgets_shortage(w);
}

void truth_sent(struct world *w, const uint8_t *bytes, size_t len)
{
	const struct reboot *reboot = &w->client.gateway.reboot;
	const struct packet packet = packet_read(bytes, len);
	bool is_first = w->watch.first == w->now;

	if (reboot->forgot_at != w->known.forgot_at)
		forget_errors(w); /* a restarted gateway has forgotten them as well */
	CHECK(w, w->dialects & dialect_bit(packet.dialect), "sent in dialect %u, which it may not",
	      packet.dialect);
	CHECK(w, !is_first || reboot->recovery_at == NEVER || !must_be_delayed(w, &packet),
	      "something is sent anew %" PRIu64 " ms before the recovery",
	      reboot->recovery_at - w->now);
	if (packet.kind != PACKET_MAP) {
		note_address_question(w, &packet, is_first);
		return;
	}
	if (packet.lifetime) {
		check_creation(w, &packet);
		check_patience(w, &packet, is_first);
	} else {
		check_deletion(w, &packet);
	}
	if (packet.internal_port || w->program.vpn)
		note_request(w, &packet);
}

void truth_at_gateway(struct world *w, const struct event *event)
{
	const struct packet packet = packet_read(event->bytes, event->len);

	if (packet.kind != PACKET_MAP)
		return;
	struct key *key = truth_key(w, packet.protocol, packet.internal_port);
	/* Late or twice: the client has told the gateway otherwise meanwhile, or will not. */
	if (packet.lifetime &&
	    (!key->wanted || event->made < key->wanted->opened || event->made <= key->deleted_at))
		key->leftover[event->link] |= dialect_bit(packet.dialect);
}

/* A deletion was confirmed: of what the gateway lets live on it says how long. */
static void note_deleted(struct world *w, const struct event *request, const struct packet *packet,
			 const uint8_t *answer)
{
	struct key *key = truth_key(w, packet->protocol, packet->internal_port);
	bool is_shared = world_gateway(w, request->link)->profile.shares_mappings;

	if (packet->dialect == DIALECT_NATPMP) {
		key->leftover[request->link] &= (dialect_set)~ONLY_NATPMP;
		return;
	}
	key->leftover[request->link] &= is_shared ? 0 : (dialect_set)~ONLY_PCP;
	if (packet_get32(answer + PCP_AT_LIFETIME))
		key->dies_at = w->now + packet_get32(answer + PCP_AT_LIFETIME) * SECOND;
}

/* RFC 6887 section 11.2.1 counts what the client sends, not what the network makes of it. */
enum { NOT_ITS_FAULT = MODEL_RULE_LENGTH | MODEL_RULE_TOO_SOON };

void truth_answered(struct world *w, const struct event *request, const uint8_t *answer, size_t len)
{
	const struct model *model = world_gateway(w, request->link);
	const struct packet packet = packet_read(request->bytes, request->len);

	for (unsigned rule = 0; rule < MODEL_RULES; rule++)
		CHECK(w, 1u << rule & NOT_ITS_FAULT || !(model->broken & 1u << rule), "%s",
		      model_rule_text(1u << rule));
	if (!packet_is_deletion(&packet) || len < 4 || answer[2] | answer[3] ||
	    answer[0] != request->bytes[0])
		return;
	if (packet.internal_port) {
		note_deleted(w, request, &packet, answer);
		return;
	}
	for (size_t i = 0; i < w->known.key_count; i++)
		w->known.keys[packet.protocol == NATPMP_TCP][i].leftover[request->link] &=
			(dialect_set)~ONLY_NATPMP;
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

/* RFC 6887 section 8.5: between two packets of which the first came least to most ms before the
 * second; surely: for all times between these two. */
static bool is_out_of_step(const struct epoch_seen *epoch, uint32_t seconds, int64_t least,
			   int64_t most, bool surely)
{
	int64_t theirs = ((int64_t)seconds - epoch->seconds) * 1000;
	int64_t slow = surely ? least : most, fast = surely ? most : least;

	if (!epoch->known)
		return false;
	return theirs < -1000 || (theirs + 2000) * 16 < (slow > 0 ? slow : 0) * 15 ||
	       ((fast > 0 ? fast : 0) + 2000) * 16 < theirs * 15;
}

static bool shows_restart(const struct world *w, const struct epoch_seen *epoch,
			  const struct response *response, uint64_t at_earliest, bool surely)
{
	int64_t now = (int64_t)w->now, earliest = (int64_t)at_earliest;

	if (response->dialect == DIALECT_PCP)
		return is_out_of_step(epoch, response->clock, earliest - epoch->at,
				      now - epoch->at_earliest, surely);
	return is_behind(epoch, response->clock, surely ? earliest : now);
}

/* A clock that was true all the time shows no restart, however late it is read. */
static bool was_true(const struct world *w, const struct epoch_seen *epoch)
{
	const struct troubles *troubles = &w->troubles;

	return !troubles->clocks && epoch->known &&
	       (int64_t)(troubles->clock_upset + MINUTE) < epoch->at;
}

/* Of what waited to be read, as an announcement may have, it is not known when it came: so the next
 * one is also compared with the last one before that. */
static void hear_sure_clock(struct world *w, const struct response *response, uint64_t at_earliest)
{
	struct known *known = &w->known;
	const struct epoch_seen *epoch = &known->epoch[response->dialect];
	struct epoch_seen *sure = &known->sure[response->dialect];
	bool shown = shows_restart(w, sure, response, at_earliest, true);

	known->may_suspect |= shown && !was_true(w, sure);
	if (shown || shows_restart(w, epoch, response, at_earliest, true) ||
	    !shows_restart(w, sure, response, w->now, true))
		*sure = (struct epoch_seen){.known = true,
					    .seconds = response->clock,
					    .at = (int64_t)w->now,
					    .at_earliest = (int64_t)at_earliest};
}

static void hear_clock(struct world *w, const struct response *response, uint64_t at_earliest)
{
	struct known *known = &w->known;
	struct epoch_seen *epoch = &known->epoch[response->dialect];

	hear_sure_clock(w, response, at_earliest);
	if (shows_restart(w, epoch, response, at_earliest, false) && !was_true(w, epoch))
		known->may_suspect = true;
	if (shows_restart(w, epoch, response, at_earliest, true)) {
		TRACE(w, "shown: the gateway restarted");
		if (!known->must_suspect_at)
			known->must_suspect_at = w->now;
		known->may_suspect = true;
		show_loss(w, NEVER);
	}
	*epoch = (struct epoch_seen){.known = true,
				     .seconds = response->clock,
				     .at = (int64_t)w->now,
				     .at_earliest = (int64_t)at_earliest};
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
	return truth_is_open(w, key) && key->sent_in & dialect_bit(response->dialect) ? key : NULL;
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
	if (response->kind != RESPONSE_UNNAMED || asked->sent_in & dialect_bit(response->dialect))
		truth_key(w, asked->message.protocol, asked->message.internal_port)->answered =
			true;
}

/* What PCP says of a mapping counts, even if it was not asked (RFC 6887 section 14.2): the record
 * of what it updates, if it makes a difference. NULL: there is none. */
static const struct grant *updated_grant(struct world *w, const struct response *response)
{
	const struct grant *grant =
		registry_find(&w->client.registry, response->protocol, response->internal_port);

	if (response->dialect != DIALECT_PCP || !grant || !grant->wanted_by ||
	    grant->question.message.kind != ASK_CREATE)
		return NULL;
	bool is_kept = grant->at_gateway.made_in == DIALECT_PCP && grant->external_port;
	bool is_changed_mind = !grant->is_granted && grant->retries.result &&
			       grant->question.sent_in & ONLY_PCP && response->status == NATPMP_OK;
	bool is_of_before = grant->at_gateway.deletions && !grant->is_granted;
	if ((!is_kept && !is_changed_mind) || is_of_before)
		return NULL;
	bool is_same = response->external_port == grant->external_port &&
		       ip_is_equal(&response->address, &grant->question.message.suggested_address);
	bool is_zero = !(response->lifetime && response->external_port);
	return response->status == NATPMP_OK && (is_same || is_zero) ? NULL : grant;
}

static void believe(struct world *w, const struct event *event, const struct response *response,
		    struct key *key, uint64_t from)
{
	uint32_t asked = key->wanted->core.lifetime;
	bool is_longer = response->dialect == DIALECT_NATPMP && response->lifetime > asked;
	uint32_t lifetime = is_longer ? asked : response->lifetime;

	CHECK(w, !event->forged, "(the simulation forged too well)");
	key->answered = w->known.heard = true;
	key->external_port = response->external_port;
	key->made_in = response->dialect;
	key->address = response->address;
	key->not_before = key->renewed_at = 0;
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

static void hear_update(struct world *w, const struct event *event, const struct response *response)
{
	struct key *key = truth_key(w, response->protocol, response->internal_port);

	if (!updated_grant(w, response))
		return;
	TRACE(w, "an update of port %u", response->internal_port);
	bool answered = key->answered; /* what was asked in the other dialect is not by that */
	believe(w, event, response, key, w->now);
	key->answered = answered;
}

static void hear_deleted(struct world *w, const struct event *event,
			 const struct response *response, struct key *key)
{
	/* An answer that was made for an earlier request passes for one to the deletion. */
	if (!key->asked_to_create && event->asked < key->asked_from)
		key->leftover[event->link] |= dialect_bit(response->dialect);
	key->answered |= !key->asked_to_create;
	w->known.heard |= !key->asked_to_create;
}

/* It is to be deleted, and lives: the second time, that is PCP's answer (RFC 6887 section 15). */
static void hear_alive(struct world *w, const struct event *event, const struct response *response,
		       struct key *key)
{
	const struct grant *grant =
		registry_find(&w->client.registry, response->protocol, response->internal_port);

	if (response->dialect != DIALECT_PCP || !grant || !grant->question.zero_grants ||
	    grant->question.is_noted)
		return;
	key->answered = true;
	key->leftover[event->link] |= ONLY_PCP;
}

static void hear_grant(struct world *w, const struct event *event, const struct response *response)
{
	struct key *key = named_key(w, response);

	/* What an earlier hold asked for is not what was asked now. */
	if (!key ||
	    (key->asked_to_create && key->wanted && key->sent_serial < key->wanted->serial)) {
		hear_update(w, event, response);
		return;
	}
	if (!response->lifetime) {
		hear_deleted(w, event, response, key);
		return;
	}
	if (!key->asked_to_create)
		hear_alive(w, event, response, key);
	if (!key->asked_to_create || !response->external_port || !key->wanted)
		return;
	/* A send that is older than a whole series is not answered any more. */
	uint64_t oldest = w->now > SERIES ? w->now - SERIES : 0;

	if (event->asked < key->wanted->opened)
		key->misled = key->wanted->serial;
	believe(w, event, response, key, latest(key->asked_from, oldest));
}

/* The gateway's port is closed: nothing will come of the request that met that. */
void truth_refused(struct world *w, const struct message *asked)
{
	if (asked->kind == ASK_CREATE || asked->kind == ASK_DELETE)
		truth_key(w, asked->protocol, asked->internal_port)->answered = true;
}

/* PCP's errors say how long they last (RFC 6887 section 7.4), and what is short meanwhile. */
static void hear_error(struct world *w, const struct event *event, const struct response *response,
		       struct key *key)
{
	uint64_t lifetime = packet_get32(event->bytes + PCP_AT_LIFETIME) * SECOND;
	uint64_t until = w->now + (lifetime < DAY ? lifetime : DAY);
	bool is_short =
		response->status == NATPMP_E_NO_RESOURCES || response->status == NATPMP_E_QUOTA;
	bool passes = is_short || response->status == NATPMP_E_NETWORK_FAILURE ||
		      response->status == NATPMP_E_OTHER_PORT;
	/* Without that option it may be asked again, and without that cause. */
	bool is_excused =
		response->status == NATPMP_E_OPTION || response->status == NATPMP_E_NETWORK_FAILURE;

	if (response->status == NATPMP_E_OPTION)
		key->renewed_at = 0;
	if (key->asked_to_create)
		key->error_until = latest(until, w->now + (passes ? SHORT_GAP : LONG_GAP));
	/* Of several answers the last one counts. */
	if (key->asked_to_create)
		key->not_before = is_excused ? w->now : until;
	if (key->asked_to_create && is_short)
		w->known.short_since = w->now;
	if (key->asked_to_create && is_short)
		w->known.no_new_until = latest(w->known.no_new_until, until);
}

/* Not at once again what was answered with no: ten times in 40 s at most; what was granted for a
 * short time is asked for after 1, 2, 4 s. */
static void check_refusals(struct world *w, struct key *key, unsigned port)
{
	if (!key->wanted || key->refused_at < key->wanted->opened ||
	    (key->wanted->retried && key->refused_at < key->wanted->retried))
		key->allowance = 10 * RETRY_GAP;
	else
		key->allowance += w->now - key->refused_at;
	key->refused_at = w->now;
	if (key->allowance > 10 * RETRY_GAP)
		key->allowance = 10 * RETRY_GAP;
	CHECK(w, key->allowance >= RETRY_GAP, "port %u is asked for over and over, and refused",
	      port);
	key->allowance -= RETRY_GAP;
}

static void hear_refusal(struct world *w, const struct event *event,
			 const struct response *response)
{
	struct key *key = named_key(w, response);
	const struct grant *grant = registry_find(&w->client.registry, response->protocol,
						  w->program.vpn ? 0 : response->internal_port);

	if (event->forged || !grant)
		return;
	/* The late no to an earlier send of what was granted meanwhile is one that was not asked
	 * for. */
	bool is_unasked = !key || (grant->question.state == QUESTION_IDLE && grant->is_granted);
	if (is_unasked && updated_grant(w, response) && !watch_is_late_refusal(grant, response))
		hear_error(w, event, response,
			   truth_key(w, response->protocol, response->internal_port));
	if (is_unasked || watch_is_late_refusal(grant, response))
		return;
	key->answered = w->known.heard = true;
	/* What an earlier hold was refused is not what is asked now. */
	bool is_earlier =
		key->asked_to_create && (!key->wanted || key->sent_serial < key->wanted->serial);
	if (response->dialect == DIALECT_PCP && !is_earlier)
		hear_error(w, event, response, key);
	if (!key->asked_to_create) /* it will not let go of it */
		key->leftover[event->link] |= dialect_bit(response->dialect);
	else
		check_refusals(w, key, response->internal_port);
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
	known->address_open = known->announce_open = false; /* it was one question */
	known->heard = true;
	known->address_last = ip_to_v4(&response->address);
	if (known->address_last)
		known->addresses_seen |= 1u << (known->address_last & 31);
}

/* In PCP the question for the address is answered without one. */
static void hear_announce(struct world *w, const struct event *event)
{
	const struct question *asked = w->client.gateway.in_flight;
	bool is_probe = asked && asked->message.kind == ASK_ANNOUNCE;

	if (event->kind == TO_CLIENT && w->known.announce_open && !is_probe)
		w->known.announce_open = w->known.address_open = false;
}

/* The version of what is in flight is rejected: in that dialect it has no answer any more. */
static void hear_rejection(struct world *w, const struct response *response)
{
	const struct question *asked = w->client.gateway.in_flight;
	bool is_map =
		asked && (asked->message.kind == ASK_CREATE || asked->message.kind == ASK_DELETE);

	w->known.address_last = 0; /* it may be the answer to that question */
	if (w->dialects == ONLY_NATPMP || !asked) {
		hear_unnamed(w, response);
		return;
	}
	dialect_set rejected = watch_rejected(&w->client, w->now, asked->sent_in & asked->dialects,
					      response->version, response->internal_port);
	if (!is_map) {
		w->known.address_open &= !(rejected & ONLY_NATPMP);
		w->known.announce_open &= !(rejected & ONLY_PCP);
		return;
	}
	struct key *key = truth_key(w, asked->message.protocol, asked->message.internal_port);
	key->sent_in &= (dialect_set)~rejected;
	key->answered |= !key->sent_in;
	if (!key->sent_in)
		key->error_until = w->now + latest(response->retry_after, SHORT_GAP);
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
	if (event->kind == ANNOUNCED && response.dialect == DIALECT_PCP && response.status)
		return; /* that is never announced */
	if (response.kind != RESPONSE_JUNK && !w->troubles.heard_at)
		w->troubles.heard_at = w->now;
	if (response.has_clock && w->dialects & dialect_bit(response.dialect))
		hear_clock(w, &response, at_earliest);
	if (response.kind == RESPONSE_ADDRESS && response.dialect == DIALECT_NATPMP)
		hear_address(w, event, &response);
	else if (response.kind == RESPONSE_ADDRESS)
		hear_announce(w, event);
	else if (response.kind == RESPONSE_MAPPING && response.status)
		hear_refusal(w, event, &response);
	else if (response.kind == RESPONSE_MAPPING)
		hear_grant(w, event, &response);
	else if (response.kind == RESPONSE_UNNAMED)
		hear_unnamed(w, &response);
	else if (response.kind == RESPONSE_BAD_VERSION)
		hear_rejection(w, &response);
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

void truth_restarted(struct world *w, dialect_set lost)
{
	dialect_set shown = 0;

	/* A clock that was near 0 shows nothing. */
	for (enum dialect_id id = 0; id < DIALECTS; id++)
		if (w->known.epoch[id].known && w->known.epoch[id].seconds > 60)
			shown |= dialect_bit(id);
	w->troubles.clock_upset = w->now;
	w->gateways.restarted = lost & shown;
	w->gateways.restarted_at = lost & shown ? w->now : 0;
}

void truth_farewell(struct world *w, unsigned link, const struct packet *packet)
{
	struct key *key = truth_key(w, packet->protocol, packet->internal_port);

	CHECK(w, packet->internal_port && !packet->suggested_port && key->asked,
	      "a strange farewell to port %u", packet->internal_port);
	key->leftover[link] |= dialect_bit(packet->dialect);
	key->answered = true; /* what was sent there has no answer any more */
}

static bool is_ours(const struct world *w, unsigned link, const struct model_mapping *mapping)
{
	const struct model_host own = world_host(w, link);

	return !mapping->manual && model_host_equal(&mapping->client, &own);
}

/* That it is still there is nobody's fault. */
static bool is_excused(struct world *w, unsigned link, const struct model_mapping *mapping)
{
	const struct key *key = truth_key(w, mapping->opcode, mapping->internal_port);

	return packet_makers(key->leftover[link]) & mapping->maker || w->now < key->dies_at;
}

/* It was made in another dialect than the one in which it is kept now; or for what an earlier hold
 * suggested, beside the one for the present suggestion, as miniupnpd does. */
static bool is_of_before(struct world *w, const struct model_mapping *mapping)
{
	const struct key *key = truth_key(w, mapping->opcode, mapping->internal_port);

	return mapping->external_port != key->external_port ||
	       !(packet_makers(dialect_bit(key->made_in)) & mapping->maker);
}

/* The dialects in which the client can have a mapping from the gateway as it is now. */
static dialect_set spoken_at(struct world *w, unsigned link)
{
	const struct model_profile *profile = &world_gateway(w, link)->profile;
	dialect_set spoken = 0;

	if (profile->pcp != MODEL_PCP_ONLY && !w->is_v6)
		spoken |= ONLY_NATPMP;
	if (profile->pcp != MODEL_PCP_NONE && profile->pcp_version == 2 && !profile->announce_only)
		spoken |= ONLY_PCP;
	return spoken & w->dialects;
}

dialect_set truth_spoken(struct world *w)
{
	return spoken_at(w, w->network.socket);
}

void truth_relinked(struct world *w, unsigned before, bool farewell)
{
	const struct model_mapping *mapping;
	size_t cursor = 0;
	bool calm = !w->troubles.disturbances && w->now > w->troubles.calm_since + MINUTE;
	struct known *known = &w->known;

	w->network.relinked_at = w->now;
	known->heard = false;
	memset(known->epoch, 0, sizeof(known->epoch));
	memset(known->sure, 0, sizeof(known->sure));
	truth_forgets_shortage(w);
	known->may_suspect = false;
	known->must_suspect_at = 0;
	known->addresses_seen = 0;
	known->address_last = 0;
	known->address_allowance += 3 * ADDRESS_EVERY;
	w->troubles.clock_upset = w->now;
	w->gateways.restarted_at = 0;
	show_loss(w, NEVER);
	for (unsigned i = 0; i < 2; i++)
		for (size_t k = 0; k < known->key_count; k++) {
			known->keys[i][k].calm_closing = false;
			known->keys[i][k].not_before = 0;
		}
	if (!farewell)
		return;
	while (calm && !w->program.vpn &&
	       (mapping = model_next(world_gateway(w, before), w->now, &cursor)))
		CHECK(w,
		      !is_ours(w, before, mapping) || is_excused(w, before, mapping) ||
			      is_of_before(w, mapping) ||
			      !(packet_makers(spoken_at(w, before)) & mapping->maker),
		      "no farewell to port %u", mapping->internal_port);
	for (unsigned i = 0; i < 2; i++)
		for (size_t k = 0; k < known->key_count; k++)
			known->keys[i][k].leftover[before] = ALL_DIALECTS;
}

/* --- events --- */

/* NAT-PMP's answer to our own question told it, or PCP's to the mapping itself. */
static void check_address(struct world *w, const struct hold *hold)
{
	const struct ip_address *told = &hold->core.told.external_address;
	const struct key *key = key_of(w, hold, 0);
	uint32_t address = ip_to_v4(told);

	if (ip_is_none(told))
		return;
	if (key->made_in == DIALECT_PCP)
		CHECK(w, ip_is_equal(told, &key->address),
		      "port %u has another address than it was granted", hold->core.internal_port);
	else
		CHECK(w,
		      w->known.addresses_seen & 1u << (address & 31) &&
			      address >> 8 ==
				      (0x0b1600u | w->network.links[w->network.link].gateway),
		      "external address %08x, which the gateway did not tell when it was asked",
		      address);
}

static void came_up(struct world *w, const struct hold *hold)
{
	const struct lease_view *view = &hold->core.told;

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
	const struct ip_address own = world_own(w, w->network.link);
	CHECK(w, ip_is_equal(&view->internal_address, &own), "an own address that is not ours");
	check_address(w, hold);
}

/* Are the refusals the only trouble that a mapping of this key has had, and did they end in time?
 * A lease of 60 s is never lost to a refusal that ends before it does. */
static bool should_survive_refusals(struct world *w, const struct key *key)
{
	const struct troubles *troubles = &w->troubles;
	uint64_t slack = LAST_TRY + truth_turns(w) + FIVE_SENDS;

	if (key->error_until > troubles->refusal_ended)
		return false; /* the refusal lasted as long as that */
	if (!(truth_spoken(w) & dialect_bit(key->made_in)))
		return false; /* it may not answer in that dialect any more */
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
	if (world_has_pcp(w) && w->program.grants > CROWD)
		lost_time += truth_turns(w);
	/* It may not speak that dialect any more, or not for mappings. */
	bool is_spoken = truth_spoken(w) & dialect_bit(key->made_in);
	bool kept = calm && is_spoken && key->lifetime * SECOND / 2 >= lost_time;

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
	/* It slept while there was no link, and hears of that now. */
	over |= status_class(status) == STATUS_MACHINE && w->program.asleep_until == w->now;
	CHECK(w, over, "port %u is said to be down (%d), and is not", hold->core.internal_port,
	      status);
}

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
		forget_errors(w); /* it may not know of them any more */
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

void truth_event(struct world *w, struct hold *hold, const struct lease_view *before)
{
	int status = hold->core.told.status;

	see_reboot(w); /* the core tells at once of what it lost by that */
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

/* The first mapping of the key that is there and should not be. NULL: none. */
static const struct model_mapping *left_over(struct world *w, unsigned protocol, uint16_t port)
{
	unsigned link = w->network.link;
	const struct model *model = world_gateway(w, link);
	const struct model_host own = world_host(w, link);
	const struct model_mapping *mapping = NULL;

	while ((mapping = model_find(model, w->now, &own, protocol, port, MODEL_BY_ANY, mapping)))
		if (!is_excused(w, link, mapping))
			return mapping;
	return NULL;
}

/* What was let go is deleted, or it is said that it is not. */
static void check_closed(struct world *w, struct key *key, unsigned protocol, uint16_t port)
{
	unsigned link = w->network.link;

	w->program.closing--;
	key->closing = false;
	if (link == NO_LINK || key->unmaps)
		return;
	const struct model_mapping *left = left_over(w, protocol, port);
	if (!left)
		return;
	/* What was made in one dialect and is kept in the other one since may be forgotten. */
	bool is_spoken = packet_makers(truth_spoken(w) & dialect_bit(key->made_in)) & left->maker;
	CHECK(w, !key->calm_closing || key->ignored || w->now >= key->over || !is_spoken,
	      "port %u was let go, and external port %u is left over", port, left->external_port);
	CHECK(w, client_leftover(&w->client, w->now) || w->now >= key->over || !is_spoken,
	      "port %u: external port %u is left over, and nothing says so", port,
	      left->external_port);
	key->leftover[link] |= ALL_DIALECTS;
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
			key->leftover[w->network.socket] = ALL_DIALECTS;
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
	bool is_short = gateway->short_until > w->now;
	CHECK(w,
	      !w->known.heard || w->network.link == NO_LINK || !waits || gateway->in_flight ||
		      gateway->backoff.until > w->now || is_short,
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
	size_t count = world_lookup(w, w->network.link, protocol, internal, ports, 4);
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
	/* One clock after the other, and one of them perhaps in vain. */
	unsigned looks = w->dialects == ALL_DIALECTS ? 3 : 1;
	uint64_t bound = looks * LOOK + DELAY + FIVE_SENDS + truth_turns(w);

	if (!restarted || key->shown || key->granted >= restarted || w->troubles.disturbances ||
	    !(w->gateways.restarted & truth_spoken(w) & dialect_bit(key->made_in)) ||
	    w->troubles.calm_since > restarted || w->troubles.ignored ||
	    key->granted < w->gateways.changed_at)
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
	if (world_has_pcp(w)) /* the more sends, the longer a slow gateway needs for them */
		since = latest(since, w->gateways.slow_until);
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

	if (!truth_spoken(w) || hold->core.is_exact)
		return false;
	if (is_slow(w) &&
	    (profile->max_lifetime || world_has_pcp(w))) /* over before the answer comes */
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
		since = latest(since, key->error_until);
		/* A deletion that leaves a lifetime lets nothing move before its end. */
		if (status == NATPMP_E_PORTS_DIFFER)
			since = latest(since, key->dies_at);
		if (key->over > since && key->over < w->now) /* too short to be kept: flaps */
			since = key->over;
	}
	since = latest(since, w->known.no_new_until);
	since = latest(since, w->client.gateway.short_until);
	if (world_has_pcp(w))
		since = latest(since, w->gateways.slow_until);
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
		/* In a dialect that the gateway does not speak any more nothing is given back. */
		bool is_spoken = truth_spoken(w) & dialect_bit(key->made_in);
		if (!is_spoken || w->troubles.disturbances || w->network.link == NO_LINK ||
		    key->ignored || key->leftover[w->network.link] || key->heeded > since ||
		    w->now <= latest(since + bound, key->dies_at) ||
		    w->now <= w->known.no_new_until + bound)
			continue;
		world_lookup(w, w->network.link, hold->core.grants[i]->question.message.protocol,
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
	if (key_of(w, hold, 0)->made_in == DIALECT_PCP)
		return;
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
			const struct key *key = key_of(w, hold, i);
			uint64_t lifetime = key->lifetime;
			bool was_refused = key->error_until + HOUR > w->now;
			bool up = hold->core.status == NATPMP_OK && !was_refused;
			unsigned tries = lifetime && lifetime < SHORT ? 130 : 60;
			/* PCP's errors may say that they last 30 s, and not more. */
			if (world_has_pcp(w) && tries < HOUR / SHORT_GAP)
				tries = 130;
			if (w->dialects == ALL_DIALECTS)
				tries *= 2;
			idle += up ? 2 * 3600 / (lifetime ? lifetime : 1) + 2 : tries;
		}
	if (!truth_spoken(w)) /* a whole series of PCP in every 5 min */
		idle = 3 * idle + 72;
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
		      !is_ours(w, w->network.link, mapping) ||
			      is_excused(w, w->network.link, mapping) ||
			      client_leftover(&w->client, w->now),
		      "port %u is left over", mapping->internal_port);
}
