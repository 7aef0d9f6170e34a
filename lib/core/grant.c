/* SPDX-License-Identifier: MIT */
/*
 * What we believe the gateway has, and what changes that:
 *
 *                 sent                     granted
 *     NONE ------------------> POSSIBLE -------------> TRUSTED ---.
 *      ^  ^                      ^   ^                  |  ^      | the gateway
 *      |  |  refused at once     |   |  over, or lost   |  |      | seems to
 *      |  `----------------------'   `------------------'  |      | reboot
 *      |                                 ^         granted |      v
 *      |  deleted (from any state)       `-------------- DOUBTED <-'
 *      `----------------------------      over, or lost
 *
 * DOUBTED is not stored: it is TRUSTED that is older than gateway.reboot.forgot_at, so that a
 * reboot touches no record. A grant in force is renewed and asked for again; one that is doubted
 * is asked for when the recovery begins; one that nobody wants is deleted, and its record is
 * forgotten once the gateway has nothing of it.
 */
#include "core/grant.h"

enum grant_state grant_state(const struct grant *grant, const struct gateway *gateway)
{
	if (grant->is_granted)
		return grant->granted_at < gateway->reboot.forgot_at ? GRANT_DOUBTED
								     : GRANT_TRUSTED;
	return grant->is_possible ? GRANT_POSSIBLE : GRANT_NONE;
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
	return grant->is_moving && (grant->is_granted || grant->is_possible);
}

static bool is_wanted_there(const struct grant *grant)
{
	return grant->wanted_by && !grant_is_moving(grant);
}

/* The question about it waits or is in flight. Is it still the right one? */
static enum grant_action next_action_while_asking(const struct grant *grant, instant now)
{
	bool is_wanted = is_wanted_there(grant);
	bool is_waiting = grant->question.state == QUESTION_WAITING;

	if (is_asked_to_create(grant) && is_wanted)
		return grant->act_at <= now ? GRANT_HURRY : GRANT_WAIT;
	/* It moves when what is in flight has come to its end. */
	if (is_asked_to_create(grant) && grant->wanted_by && !is_waiting)
		return GRANT_WAIT;
	if (is_asked_to_create(grant) || (!grant->is_granted && !grant->is_possible))
		return GRANT_TAKE_BACK;
	/* A deletion in flight comes to its end, even if the mapping is wanted again. */
	return is_wanted && is_waiting ? GRANT_TAKE_BACK : GRANT_WAIT;
}

enum grant_action grant_next_action(const struct grant *grant, const struct gateway *gateway,
				    instant now)
{
	bool is_wanted = is_wanted_there(grant);
	bool is_due = grant->act_at <= now;

	if (grant->question.state != QUESTION_IDLE)
		return next_action_while_asking(grant, now);
	switch (grant_state(grant, gateway)) {
	case GRANT_NONE:
		if (!is_wanted)
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
		return gateway->reboot.recovery_at == NEVER ? GRANT_ASK : GRANT_WAIT;
	}
	return GRANT_WAIT;
}

/* It waits for the end of its question, or for the recovery, and not for a time. */
static bool waits_for_event(const struct grant *grant, const struct gateway *gateway)
{
	if (grant->question.state != QUESTION_IDLE)
		return !is_asked_to_create(grant) || grant_is_moving(grant);
	return is_wanted_there(grant) && grant_state(grant, gateway) == GRANT_DOUBTED;
}

instant grant_next_deadline(const struct grant *grant, const struct gateway *gateway)
{
	instant at = grant->is_granted && grant->wanted_by ? grant->expires_at : NEVER;

	return waits_for_event(grant, gateway) ? at : earlier(at, grant->act_at);
}

static bool is_short_lived(const struct grant *grant)
{
	return grant->external_port && grant->lifetime < SHORT_LIFETIME;
}

bool grant_is_urgent(const struct grant *grant, const struct gateway *gateway)
{
	return is_asked_to_create(grant) && is_short_lived(grant) &&
	       !grant_is_in_force(grant, gateway);
}

enum lane grant_lane(const struct grant *grant, const struct gateway *gateway, bool is_blocking)
{
	bool is_kept = is_asked_to_create(grant) && grant->external_port;

	if (is_blocking)
		return LANE_AT_ONCE;
	if (!is_kept)
		return LANE_AFTER_BACKOFF;
	return grant_is_in_force(grant, gateway) || is_short_lived(grant) ? LANE_AFTER_RECOVERY
									  : LANE_AFTER_BOTH;
}

/* Failed questions rank later, so that they do not delay healthy ones; the rank is an instant, so
 * that they age. */
instant grant_rank(const struct grant *grant, const struct gateway *gateway, instant now)
{
	unsigned count = grant->retries.count;
	duration penalty = (duration)RANK_PENALTY *
			   (count < RANK_PENALTIES_MAX ? count : RANK_PENALTIES_MAX);
	bool is_renewal = is_asked_to_create(grant) && grant_is_in_force(grant, gateway);

	return penalty + (is_renewal ? grant->expires_at : now + RANK_MARGIN);
}

/* --- events --- */

void grant_on_wanted(struct grant *grant, struct lease *lease, uint16_t suggested_port,
		     instant act_at)
{
	grant->wanted_by = lease;
	/* What an earlier lease left may be on its way out: it counts when it is granted again. */
	grant->is_possible |= grant->is_granted;
	grant->is_granted = false;
	grant->suggested_port = grant->external_port ? grant->external_port : suggested_port;
	grant->act_at = act_at;
	grant->is_moving = false;
	grant->retries = (struct retries){0};
}

void grant_on_released(struct grant *grant, instant now)
{
	grant->wanted_by = NULL;
	grant->is_moving = false;
	grant->deletion_is_owed = grant->is_granted || grant->is_possible;
	grant->act_at = now;
	grant->retries = (struct retries){0};
}

void grant_on_left(struct grant *grant, instant now)
{
	grant->wanted_by = NULL;
	grant->is_moving = false;
	grant->act_at = now;
	if (!grant->deletion_is_owed)
		grant->is_granted = grant->is_possible = false;
}

void grant_on_moving(struct grant *grant, uint16_t suggested_port, instant now)
{
	grant->is_moving = true;
	grant->suggested_port = suggested_port;
	grant->act_at = now;
}

/* The next try to renew: at 3/4 of the lifetime, 7/8 and so on, but not too close to now; in the
 * end when it expires. */
static instant next_renewal(const struct grant *grant, const struct gateway *gateway, instant now)
{
	duration lifetime = (duration)grant->lifetime * MS_PER_S;
	instant began_at = grant->expires_at - lifetime;

	for (unsigned tries = 1; tries < 64; tries++) {
		duration delay = gateway->dialect->renewal_delay(lifetime, tries);

		if (delay == NEVER)
			break;
		if (began_at + delay >= now + gateway->dialect->renewal_gap)
			return earlier(began_at + delay, now + RENEWAL_DELAY_MAX);
	}
	return later(grant->expires_at, now);
}

void grant_on_asked(struct grant *grant, const struct gateway *gateway, instant now)
{
	bool is_renewal = is_asked_to_create(grant) && grant->is_granted;

	if (is_asked_to_create(grant))
		grant->is_moving = false;
	grant->act_at = is_renewal && grant->expires_at > now ? next_renewal(grant, gateway, now)
							      : NEVER;
}

void grant_on_taken_back(struct grant *grant, instant now)
{
	grant->act_at = now;
}

void grant_on_sent(struct grant *grant, instant now)
{
	duration lifetime = (duration)grant->question.message.lifetime * MS_PER_S;

	if (!is_asked_to_create(grant)) {
		/* It may be gone from now on. */
		grant->is_possible |= grant->is_granted;
		grant->is_granted = false;
		return;
	}
	if (grant->question.message.vpn)
		return;
	if (grant->question.asked_at == now)
		grant->was_nothing = !grant->is_granted && !grant->is_possible;
	grant->is_possible = true;
	grant->gateway_expires_at = later(grant->gateway_expires_at, now + lifetime);
}

bool grant_on_granted(struct grant *grant, const struct gateway *gateway,
		      const struct response *response, instant now)
{
	/* A gateway SHOULD NOT grant more than was asked for (section 3.3): do not count on it. */
	uint32_t asked = grant->question.message.lifetime;
	uint32_t lifetime = response->lifetime < asked ? response->lifetime : asked;
	instant expires_at = grant->question.asked_at + (duration)lifetime * MS_PER_S;

	grant->deletion_is_owed = false;
	grant->suggested_port = response->external_port;
	grant->is_possible = !grant->question.message.vpn;
	grant->gateway_expires_at = now + (duration)response->lifetime * MS_PER_S;
	if (expires_at <= now) {
		grant->act_at = now; /* until the next answer it is as it was */
		return false;
	}
	grant->is_granted = true;
	grant->external_port = response->external_port;
	grant->lifetime = lifetime;
	/* It came after a reboot that was seen in the same millisecond. */
	grant->granted_at = later(now, gateway->reboot.forgot_at);
	grant->expires_at = expires_at;
	grant->act_at = earlier(grant->question.asked_at +
					gateway->dialect->renewal_delay(
						(duration)lifetime * MS_PER_S, 0),
				now + RENEWAL_DELAY_MAX);
	grant->retries = (struct retries){0};
	return true;
}

/* The gateway heard every send of a question that it refused, and did nothing. */
static bool did_nothing(const struct grant *grant, int status)
{
	enum status_class kind = status_class(status);
	bool was_sent_once = grant->question.asked_at == grant->question.last_sent;

	return (kind == STATUS_NO || kind == STATUS_CLOSED) && was_sent_once &&
	       grant->was_nothing;
}

void grant_on_failed(struct grant *grant, const struct gateway *gateway, int status,
		     bool is_unheard, instant now)
{
	duration delay = status_retry_delay(status, grant->retries.count, is_short_lived(grant));
	bool is_in_force = grant_is_in_force(grant, gateway) && grant->expires_at > now;

	grant->question.hint = 0;
	if (did_nothing(grant, status))
		grant->is_possible = false;
	if (!is_in_force)
		grant->is_granted = false;
	if (is_in_force)
		grant->act_at = next_renewal(grant, gateway, now);
	else
		grant->act_at = is_unheard && !is_short_lived(grant) ? now : now + delay;
	grant->retries.status = (int16_t)status;
	grant->retries.count++;
}

static void let_go(struct grant *grant, instant now)
{
	grant->is_granted = grant->is_possible = grant->deletion_is_owed = false;
	grant->is_moving = false;
	grant->act_at = now;
}

void grant_on_deleted(struct grant *grant, int status, instant now)
{
	bool is_moving = grant_is_moving(grant);

	let_go(grant, now);
	/* It would not let go: it may have it still when the lease is released. */
	grant->is_possible = is_moving && status != NATPMP_OK;
	grant->retries = (struct retries){0};
}

void grant_on_not_deleted(struct grant *grant, int status, bool is_unheard, instant now)
{
	unsigned count = grant->retries.count++;

	grant->question.hint = 0;
	grant->retries.status = (int16_t)status;
	grant->act_at = now + (is_unheard ? 0 : status_retry_delay(status, count, false));
}

void grant_on_expired(struct grant *grant, int status, instant now)
{
	grant->is_granted = false;
	grant->act_at = now;
	grant->retries = (struct retries){.status = (int16_t)status};
}

void grant_on_lost(struct grant *grant, int status, instant now)
{
	grant->is_granted = false;
	grant->act_at = earlier(grant->act_at, now);
	if (grant->retries.status == NATPMP_OK || status_class(status) == STATUS_MACHINE)
		grant->retries = (struct retries){.status = (int16_t)status};
}
