/* SPDX-License-Identifier: MIT */
/*
 * What we believe the gateway has, and what changes that:
 *
 *                 sent                     granted
 *     NONE ------------------> POSSIBLE -------------> TRUSTED ---.
 *      ^  ^                      ^   ^                  |  ^      | the gateway
 *      |  |  refused at once     |   |  (as below)      |  |      | seems to
 *      |  `----------------------'   `------------------'  |      | reboot
 *      |                                 ^         granted |      v
 *      |  deleted (from any state)       `-------------- DOUBTED <-'
 *      `----------------------------      over, lost, or its deletion was sent
 *
 * DOUBTED is not stored: a granted record is doubted if it is older than gateway.reboot.forgot_at,
 * so a reboot changes no record. A trusted grant is renewed, and a doubted one is asked for when
 * the recovery begins. A grant that no lease wants is deleted, and its record is forgotten once the
 * gateway has nothing of it.
 */
#include "core/grant.h"

#include "core/address.h"

enum grant_state grant_state(const struct grant *grant, const struct gateway *gateway)
{
	if (grant->is_granted)
		return grant->granted_at < gateway->reboot.forgot_at ? GRANT_DOUBTED
								     : GRANT_TRUSTED;
	return grant->at_gateway.possible_in ? GRANT_POSSIBLE : GRANT_NONE;
}

bool grant_is_in_force(const struct grant *grant, const struct gateway *gateway)
{
	return grant_state(grant, gateway) == GRANT_TRUSTED;
}

static bool is_asked_to_create(const struct grant *grant)
{
	return grant->question.message.kind == ASK_CREATE;
}

bool grant_is_moving(const struct grant *grant)
{
	return grant->is_moving && (grant->is_granted || grant->at_gateway.possible_in);
}

static bool is_wanted_there(const struct grant *grant)
{
	return grant->wanted_by && !grant_is_moving(grant);
}

/* Its question waits or is in flight: is it still the right one? */
static enum grant_action next_action_while_asking(const struct grant *grant, instant now)
{
	bool is_wanted = is_wanted_there(grant);
	bool is_waiting = grant->question.state == QUESTION_WAITING;

	if (is_asked_to_create(grant) && is_wanted) {
		if (grant->act_at > now)
			return GRANT_WAIT;
		/* A waiting question may have to ask something else, or wait in another lane. */
		return is_waiting ? GRANT_TAKE_BACK : GRANT_HURRY;
	}
	/* The move begins when the question in flight has ended. */
	if (is_asked_to_create(grant) && grant->wanted_by && !is_waiting)
		return GRANT_WAIT;
	if (is_asked_to_create(grant) || (!grant->is_granted && !grant->at_gateway.possible_in))
		return GRANT_TAKE_BACK;
	if (!is_wanted)
		return GRANT_WAIT;
	/* It is wanted again. A deletion in flight is finished first, but is hurried. */
	if (is_waiting)
		return GRANT_TAKE_BACK;
	return grant->act_at <= now ? GRANT_HURRY : GRANT_WAIT;
}

enum grant_action grant_next_action(const struct grant *grant, const struct gateway *gateway,
				    bool is_awaited, instant now)
{
	bool is_wanted = is_wanted_there(grant);
	bool is_due = grant->act_at <= now;

	/* First: is the open question still right? Only a record without one comes to the switch.
	 */
	if (grant->question.state != QUESTION_IDLE)
		return next_action_while_asking(grant, now);
	switch (grant_state(grant, gateway)) {
	case GRANT_NONE:
		if (!grant->wanted_by)
			return GRANT_FORGET;
		return is_due ? GRANT_ASK : GRANT_WAIT;
	case GRANT_POSSIBLE:
	case GRANT_TRUSTED:
		if (!is_wanted)
			return is_due ? GRANT_DELETE : GRANT_WAIT;
		return is_due ? GRANT_ASK : GRANT_WAIT;
	case GRANT_DOUBTED:
		if (!is_wanted)
			return is_due ? GRANT_DELETE : GRANT_WAIT;
		return is_awaited || gateway->reboot.recovery_at == NEVER ? GRANT_ASK : GRANT_WAIT;
	}
	return GRANT_WAIT;
}

/* It waits for the end of its question or for the recovery, not for act_at. */
static bool waits_for_event(const struct grant *grant, const struct gateway *gateway)
{
	if (grant->question.state != QUESTION_IDLE)
		return !is_asked_to_create(grant) || grant_is_moving(grant);
	return is_wanted_there(grant) && grant_state(grant, gateway) == GRANT_DOUBTED;
}

instant grant_next_deadline(const struct grant *grant, const struct gateway *gateway)
{
	instant at = grant->is_granted && grant->wanted_by ? grant->expiry.at : NEVER;

	return waits_for_event(grant, gateway) ? at : earlier(at, grant->act_at);
}

dialect_set grant_made_in(const struct grant *grant)
{
	return grant->external_port ? dialect_bit(grant->at_gateway.made_in) : 0;
}

struct ip_address grant_external_address(const struct grant *grant)
{
	const struct ip_address *address = &grant->question.message.suggested_address;
	const struct ip_address none = {{0}};

	return grant->at_gateway.made_in == DIALECT_PCP && address_is_usable(address) ? *address
										      : none;
}

/* A gateway SHOULD NOT grant more than we asked for in NAT-PMP (RFC 6886 section 3.3), so we do not
 * count on the surplus. In PCP it may (RFC 6887 section 15). */
static uint32_t planned_lifetime(const struct grant *grant)
{
	uint32_t asked = grant->question.message.lifetime;

	if (dialect_of(grant->at_gateway.made_in)->may_grant_longer)
		return grant->lifetime;
	return grant->lifetime < asked ? grant->lifetime : asked;
}

/* The number of that try to renew it, for gateway_jitter(). */
static uint64_t renewal_number(const struct grant *grant, unsigned tries)
{
	const struct message *message = &grant->question.message;

	return grant->granted_at << 24 | (uint64_t)message->internal_port << 8 |
	       (uint64_t)message->protocol << 6 | tries;
}

static duration renewal_delay(const struct grant *grant, const struct gateway *gateway,
			      unsigned tries)
{
	duration lifetime = (duration)planned_lifetime(grant) * MS_PER_S;

	return dialect_of(grant->at_gateway.made_in)
		->renewal_delay(lifetime, tries,
				gateway_jitter(gateway, renewal_number(grant, tries)));
}

static bool is_short_lived(const struct grant *grant)
{
	return grant->external_port && planned_lifetime(grant) < SHORT_LIFETIME;
}

/* The gateway may act on the last send as late as it may answer that. */
static instant sends_over_at(const struct question *question)
{
	return question->last_sent + ANSWER_WINDOW +
	       (duration)question->message.lifetime * MS_PER_S;
}

instant grant_gone_at(const struct grant *grant)
{
	const struct question *question = &grant->question;
	const struct message *message = &question->message;
	bool may_be_granted = is_asked_to_create(grant) && !message->vpn && question->last_sent &&
			      !question->is_answered;

	if (!may_be_granted)
		return grant->expiry.gateway_at;
	return later(grant->expiry.gateway_at, sends_over_at(question));
}

bool grant_is_urgent(const struct grant *grant, const struct gateway *gateway)
{
	return is_asked_to_create(grant) && is_short_lived(grant) &&
	       !grant_is_in_force(grant, gateway);
}

enum lane grant_lane(const struct grant *grant, const struct gateway *gateway, bool is_blocking,
		     instant now)
{
	bool is_kept = grant->external_port;
	bool is_short = now < gateway->short_until;

	if (is_blocking)
		return LANE_AT_ONCE;
	if (!is_asked_to_create(grant))
		return LANE_AFTER_BACKOFF;
	if (!is_kept)
		return LANE_NEW;
	/* One that was lost is a new one for a gateway that is short of resources. */
	return grant_is_in_force(grant, gateway) || (is_short_lived(grant) && !is_short)
		       ? LANE_AFTER_RECOVERY
		       : LANE_AFTER_BOTH;
}

/* Failed questions rank later, so that they do not delay healthy ones. The rank is an instant, so a
 * question that waits long enough comes first. */
instant grant_rank(const struct grant *grant, const struct gateway *gateway, instant now)
{
	unsigned count = grant->retries.count;
	duration penalty =
		(duration)RANK_PENALTY * (count < RANK_PENALTIES_MAX ? count : RANK_PENALTIES_MAX);
	bool is_renewal = is_asked_to_create(grant) && grant_is_in_force(grant, gateway);
	bool is_new_deletion = !is_asked_to_create(grant) && !grant->question.last_sent;

	if (is_renewal)
		return penalty + grant->expiry.at;
	return penalty + now + (is_new_deletion ? RANK_MARGIN_DELETING : RANK_MARGIN);
}

/* --- events --- */

void grant_on_wanted(struct grant *grant, struct lease *lease, uint16_t suggested_port,
		     instant act_at)
{
	grant->wanted_by = lease;
	grant->question.is_superseded = true; /* a deletion in flight need not be answered */
	grant->is_granted = false;            /* what was granted before was another lease's */
	grant->suggested_port = suggested_port;
	grant->act_at = act_at;
	grant->is_moving = false;
	grant->error_until_s = 0;
	grant->retries = (struct retries){0};
}

void grant_on_released(struct grant *grant, instant now)
{
	grant->wanted_by = NULL;
	grant->is_moving = false;
	grant->at_gateway.deletion_is_owed = grant->at_gateway.possible_in;
	grant->act_at = now;
	grant->retries = (struct retries){0};
}

void grant_on_left(struct grant *grant, instant now)
{
	grant->wanted_by = NULL;
	grant->at_gateway.deletion_is_owed |= grant->is_moving; /* its deletion was due */
	grant->is_moving = false;
	grant->act_at = now;
	if (!grant->at_gateway.deletion_is_owed) {
		grant->is_granted = false;
		grant->at_gateway.possible_in = 0;
	}
}

void grant_on_moving(struct grant *grant, uint16_t suggested_port, instant now)
{
	grant->is_moving = grant->is_granted || grant->at_gateway.possible_in;
	grant->suggested_port = suggested_port;
	grant->act_at = now;
}

/* The next try to renew: at 3/4 of the lifetime, at 7/8 and so on, but at least renewal_gap from
 * now. After the last try: when it expires. */
static instant next_renewal(const struct grant *grant, const struct gateway *gateway, instant now)
{
	duration lifetime = (duration)planned_lifetime(grant) * MS_PER_S;
	instant began_at = grant->expiry.at - lifetime;

	for (unsigned tries = 1; tries < 64; tries++) {
		duration delay = renewal_delay(grant, gateway, tries);

		if (delay == NEVER)
			break;
		if (began_at + delay >= now + dialect_of(grant->at_gateway.made_in)->renewal_gap)
			return earlier(began_at + delay, now + RENEWAL_DELAY_MAX);
	}
	return later(grant->expiry.at, now);
}

/* The first try. It may be due already: a lifetime counts from the earliest send that was answered
 * perhaps. In PCP it must not follow the last send too soon (RFC 6887 section 11.2.1). */
static instant first_renewal(const struct grant *grant, const struct gateway *gateway,
			     instant began_at, instant now)
{
	const struct dialect *dialect = dialect_of(grant->at_gateway.made_in);
	instant at = began_at + renewal_delay(grant, gateway, 0);
	bool is_soon = at < grant->question.last_sent + dialect->renewal_gap;

	if (dialect->renews_by_one_send && is_soon)
		return next_renewal(grant, gateway, now);
	return earlier(at, now + RENEWAL_DELAY_MAX);
}

instant grant_error_until(const struct grant *grant)
{
	return (instant)grant->error_until_s * MS_PER_S;
}

instant grant_may_renew_at(const struct grant *grant, instant now)
{
	const struct dialect *dialect = dialect_of(grant->at_gateway.made_in);
	instant at = later(now, grant_error_until(grant));

	if (!dialect->renews_by_one_send)
		return at;
	return later(at, grant->question.last_sent + dialect->renewal_gap);
}

void grant_on_asked(struct grant *grant, const struct gateway *gateway, instant now)
{
	bool is_renewal = is_asked_to_create(grant) && grant->is_granted;

	if (is_asked_to_create(grant))
		grant->is_moving = false;
	if (is_renewal)
		grant->at_gateway.deletions = 0; /* that was long ago */
	grant->expiry.gateway_at = grant_gone_at(grant);
	grant->act_at =
		is_renewal && grant->expiry.at > now ? next_renewal(grant, gateway, now) : NEVER;
}

void grant_on_taken_back(struct grant *grant, instant now)
{
	grant->act_at = now;
}

void grant_on_turned(struct grant *grant, enum message_kind kind)
{
	struct question *question = &grant->question;

	if (question->message.kind == kind)
		return;
	grant->expiry.gateway_at = grant_gone_at(grant);
	if (kind == ASK_DELETE)
		grant->at_gateway.deletions = 0;
	question->message.kind = (uint8_t)kind;
	grant->at_gateway.deletion_status = NATPMP_PENDING;
	question->last_sent = 0; /* nothing was sent of the new kind, and nothing heard */
	question->hint = 0;
}

void grant_on_sent(struct grant *grant)
{
	if (!is_asked_to_create(grant)) {
		grant->is_granted = false;
		if (grant->question.sent_in & ONLY_PCP && grant->at_gateway.deletions < 3)
			grant->at_gateway.deletions++;
	} else if (!grant->question.message.vpn) {
		grant->at_gateway.possible_in |= grant->question.sent_in;
	}
}

bool grant_on_granted(struct grant *grant, struct gateway *gateway, const struct response *response,
		      instant now)
{
	instant began_at = question_answerable_at(&grant->question, now);
	/* A gateway that granted it in one dialect ignored the other one; unless it was silent for
	 * longer, and may have heard what it did not answer. */
	bool is_ignored_elsewhere = !grant->external_port && now < began_at + TURN;

	grant->at_gateway.made_in = (unsigned)response->dialect & 3;
	grant->lifetime = response->lifetime;
	duration lifetime = (duration)planned_lifetime(grant) * MS_PER_S;
	grant->at_gateway.deletion_is_owed = false;
	grant->suggested_port = response->external_port;
	grant->question.message.suggested_address = response->address;
	if (is_ignored_elsewhere)
		grant->at_gateway.possible_in = 0;
	if (!grant->question.message.vpn)
		grant->at_gateway.possible_in |= dialect_bit(response->dialect);
	grant->expiry.gateway_at = now + (duration)response->lifetime * MS_PER_S;
	if (began_at + lifetime <= now) {
		/* The state stays as it was. Ask again only after the answers to the other sends
		 * have come, or they would be taken for the new answer. */
		grant->expiry.gateway_at =
			later(grant->expiry.gateway_at, sends_over_at(&grant->question));
		grant->act_at = now + earlier(now - began_at, OVER_DELAY_MAX);
		return false;
	}
	grant->is_granted = true;
	grant->error_until_s = 0;
	grant->external_port = response->external_port;
	grant->granted_at = gateway_note_grant(gateway, now);
	grant->expiry.at = began_at + lifetime;
	grant->act_at = first_renewal(grant, gateway, began_at, now);
	grant->retries = (struct retries){0};
	return true;
}

/* It has to be deleted in both. Anybody can forge an answer of NAT-PMP, so it must have been asked
 * for; PCP's has our nonce. */
void grant_on_granted_too(struct grant *grant, const struct response *response, instant now)
{
	dialect_set dialect = dialect_bit(response->dialect);
	bool is_other = grant->is_granted && grant->at_gateway.made_in != response->dialect;

	if (!(dialect & ONLY_PCP) && !(is_other && grant->question.sent_in & dialect))
		return;
	grant->at_gateway.possible_in |= dialect;
	grant->expiry.gateway_at =
		later(grant->expiry.gateway_at, now + (duration)response->lifetime * MS_PER_S);
}

/* The gateway refused a question that was sent only once, so it has granted nothing. */
static bool has_granted_nothing(const struct grant *grant, int status)
{
	enum status_class kind = status_class(status);
	bool was_sent_once = grant->question.asked_at == grant->question.last_sent;

	return (kind == STATUS_NO || kind == STATUS_CLOSED) && was_sent_once;
}

static void note_failure(struct retries *retries)
{
	if (retries->count < UINT16_MAX)
		retries->count++;
}

/* Note what the gateway may have after a question failed. */
static void note_failed_sends(struct grant *grant, int status, instant now)
{
	if (!has_granted_nothing(grant, status))
		grant->expiry.gateway_at =
			later(grant->expiry.gateway_at, sends_over_at(&grant->question));
	else if (grant->expiry.gateway_at <= now)
		grant->at_gateway.possible_in = 0;
}

static void note_error(struct grant *grant, instant until)
{
	grant->error_until_s = (uint32_t)((until + MS_PER_S - 1) / MS_PER_S);
}

void grant_on_failed(struct grant *grant, const struct gateway *gateway, int status,
		     duration retry_after, bool is_unheard, instant now)
{
	bool is_in_force = grant_is_in_force(grant, gateway) && grant->expiry.at > now;

	/* Another kind of failure starts with its own first delay. */
	if (status_class(status) != status_class(grant->retries.status))
		grant->retries.count = 0;
	duration delay = retry_after ? retry_after
				     : status_retry_delay(status, grant->retries.count,
							  is_short_lived(grant));
	grant->question.hint = 0;
	note_failed_sends(grant, status, now);
	if (!is_in_force)
		grant->is_granted = false;
	if (is_in_force)
		grant->act_at = later(next_renewal(grant, gateway, now), now + retry_after);
	else
		grant->act_at = is_unheard && !is_short_lived(grant) ? now : now + delay;
	note_error(grant, retry_after ? now + retry_after : 0);
	grant->retries.status = (int16_t)status;
	note_failure(&grant->retries);
}

static void let_grant_go(struct grant *grant, instant now)
{
	grant->is_granted = grant->at_gateway.deletion_is_owed = grant->is_moving = false;
	grant->at_gateway.possible_in = 0;
	grant->at_gateway.deletion_status = NATPMP_PENDING;
	grant->act_at = now;
}

void grant_on_gone_in(struct grant *grant, dialect_set dialects)
{
	grant->at_gateway.possible_in &= (dialect_set)~dialects;
}

void grant_note_deletion(struct grant *grant, dialect_set dialects, int status)
{
	int16_t *noted = &grant->at_gateway.deletion_status;

	/* That the gateway does not speak a dialect is no failure if another one has answered,
	 * unless it was in that dialect that it made the mapping. */
	if (status == NATPMP_E_VERSION && *noted != NATPMP_PENDING &&
	    !(dialects & grant_made_in(grant)))
		return;
	if (*noted == NATPMP_PENDING || *noted == NATPMP_OK ||
	    (*noted == NATPMP_E_VERSION && !(grant_made_in(grant) & ~dialects)))
		*noted = (int16_t)status;
}

void grant_on_rejected(struct grant *grant, dialect_set dialects)
{
	bool is_deletion = !is_asked_to_create(grant);

	if (is_deletion)
		grant_note_deletion(grant, dialects, NATPMP_E_VERSION);
	/* In a dialect that it does not speak, the gateway deletes nothing, and has made nothing.
	 */
	if (is_deletion || !grant->external_port)
		grant_on_gone_in(grant, dialects);
}

void grant_on_deleted(struct grant *grant, int status, instant now)
{
	bool is_moving = grant_is_moving(grant);

	dialect_set dialects = grant->question.dialects;

	let_grant_go(grant, now);
	/* The gateway refused: it may still have the mapping when the lease is released. */
	if (is_moving && status != NATPMP_OK)
		grant->at_gateway.possible_in = dialects;
	grant->retries = (struct retries){0};
}

void grant_on_not_deleted(struct grant *grant, int status, bool is_unheard, instant now)
{
	unsigned count = grant->retries.count;

	note_failure(&grant->retries);
	grant->question.hint = 0;
	grant->retries.status = (int16_t)status;
	grant->act_at = now + (is_unheard ? 0 : status_retry_delay(status, count, false));
	if (grant->wanted_by) {
		grant->retries = (struct retries){0}; /* the deletion is no longer needed */
		grant->act_at = now;
	}
}

void grant_on_farewell(struct grant *grant, instant now)
{
	grant->is_moving = grant->at_gateway.deletion_is_owed = false;
	grant->at_gateway.possible_in = 0;
	grant->expiry.gateway_at = 0;
	grant->question.last_sent = 0;
	if (!grant->is_granted) /* else it will be doubted, and waits for the recovery */
		grant->act_at = earlier(grant->act_at, now);
}

void grant_on_expired(struct grant *grant, int status, instant now)
{
	struct retries *retries = &grant->retries;

	grant->is_granted = false;
	grant->act_at = later(now, grant_error_until(grant));
	retries->count = 0;
	if (retries->status == NATPMP_OK)
		retries->status = (int16_t)status;
}

void grant_on_lost(struct grant *grant, int status, instant now)
{
	grant->is_granted = false;
	grant->act_at = earlier(grant->act_at, now);
	if (grant->retries.status == NATPMP_OK || status_class(status) == STATUS_MACHINE)
		grant->retries = (struct retries){.status = (int16_t)status};
}
