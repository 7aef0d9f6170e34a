/* SPDX-License-Identifier: MIT */
/*
 * A lease comes up when all its grants are trusted, on one external port. It stays up while a grant
 * is doubted, until that grant is lost.
 *
 *                    all in force
 *    PENDING --------------------------> UP
 *       |                              ^    \
 *       | a no, or silence for    all  |     | a grant is lost, or the
 *       | as long as its patience in force   | ports differ
 *       `--------------------------> DOWN <--'
 *
 * Two protocols need the same external port (RFC 6886 section 3.3). The second grant is asked for
 * after the first, and suggests the port that the first one got. If the ports still differ:
 *   1. a renewal moved one of them: ask for the other one at once, on the new port;
 *   2. move the first one to the second one's port;
 *   3. move both to a random high port, a few times, with growing delays;
 *   4. tell PORTS_DIFFER, keep both renewed, and begin again at 2 later.
 */
#include "core/lease.h"

#include "core/status.h"

void lease_init(struct lease *lease, const struct wanted *wanted, instant now)
{
	*lease = (struct lease){
		.lifetime = wanted->lifetime,
		.internal_port = wanted->internal_port,
		.suggested_port = wanted->suggested_port,
		.is_exact = wanted->is_exact,
		.is_awaited = wanted->is_awaited,
		.status = NATPMP_PENDING,
		.patience = (uint32_t)earlier(wanted->patience, UINT32_MAX),
		.told.status = NATPMP_PENDING,
		.verdict_at = wanted->patience == NEVER ? NEVER : now + wanted->patience,
		.move_at = NEVER,
	};
}

/* --- what is --- */

static bool lease_is_pending(const struct lease *lease)
{
	return lease->status == NATPMP_PENDING;
}

static bool lease_ports_fit(const struct lease *lease)
{
	for (unsigned i = 0; i < lease->count; i++) {
		uint16_t port = lease->grants[i]->external_port;
		if (port != lease->grants[0]->external_port ||
		    (lease->is_exact && port != lease->suggested_port))
			return false;
	}
	return true;
}

bool lease_is_granted(const struct lease *lease)
{
	for (unsigned i = 0; i < lease->count; i++)
		if (!lease->grants[i]->is_granted)
			return false;
	return lease_ports_fit(lease);
}

static bool grants_are_in_force(const struct lease *lease, const struct gateway *gateway)
{
	for (unsigned i = 0; i < lease->count; i++)
		if (!grant_is_in_force(lease->grants[i], gateway) ||
		    grant_is_moving(lease->grants[i]))
			return false;
	return true;
}

bool lease_is_in_force(const struct lease *lease, const struct gateway *gateway)
{
	return grants_are_in_force(lease, gateway) && lease_ports_fit(lease);
}

uint32_t lease_lifetime(const struct lease *lease)
{
	uint32_t first = lease->grants[0]->lifetime;
	uint32_t last = lease->grants[lease->count - 1]->lifetime;

	return first < last ? first : last;
}

static int misfit_status(const struct lease *lease)
{
	return lease->is_exact ? NATPMP_E_OTHER_PORT : NATPMP_E_PORTS_DIFFER;
}

/* Why it cannot be up. NATPMP_OK: nothing is known that prevents it. */
static int lease_down_reason(const struct lease *lease)
{
	for (unsigned i = 0; i < lease->count; i++) {
		const struct grant *grant = lease->grants[i];
		if (!grant->is_granted && !grant_is_moving(grant) && grant->retries.status)
			return grant->retries.status;
	}
	return lease->moves.are_told ? misfit_status(lease) : NATPMP_OK;
}

static bool is_stopped_by_shortage(const struct lease *lease, const struct gateway *gateway,
				   instant now)
{
	for (unsigned i = 0; i < lease->count; i++)
		if (gateway_shortage_until(gateway, &lease->grants[i]->question) > now)
			return true;
	return false;
}

int lease_excuse(const struct lease *lease, const struct gateway *gateway, instant now)
{
	int why = lease_down_reason(lease);

	if (is_failure(gateway->link_status))
		return gateway->link_status;
	if (why)
		return why;
	for (unsigned i = 0; i < lease->count; i++)
		if (lease->grants[i]->question.hint)
			return lease->grants[i]->question.hint;
	if (lease->moves.count && gateway->reach == NATPMP_OK)
		return misfit_status(lease);
	if (is_stopped_by_shortage(lease, gateway, now))
		return NATPMP_E_NO_RESOURCES;
	return gateway_is_away(gateway) ? gateway->reach : NATPMP_E_TIMEOUT;
}

/* Its first grant tells the address, or else the gateway. */
struct ip_address lease_external_address(const struct lease *lease, const struct external *external)
{
	const struct grant *first = lease->grants[0];

	return first->at_gateway.made_in == DIALECT_PCP ? grant_external_address(first)
							: external->address;
}

static bool address_is_settled(const struct lease *lease, const struct external *external)
{
	return lease->grants[0]->at_gateway.made_in == DIALECT_PCP || external->is_settled;
}

struct lease_view lease_view(const struct lease *lease, const struct gateway *gateway,
			     const struct external *external)
{
	const struct grant *first = lease->grants[0];
	struct lease_view view = lease->told;

	view.failures = lease->failures;
	/* A grant is lost, and there is no verdict on that yet: there is nothing to tell. */
	if (lease->status == NATPMP_OK && !lease_is_granted(lease))
		return view;
	view.status = lease->status;
	if (lease->status != NATPMP_OK)
		return view;
	view.internal_port = lease->internal_port ? lease->internal_port : first->external_port;
	view.external_port = first->external_port;
	view.lifetime = lease_lifetime(lease);
	view.external_address = lease_external_address(lease, external);
	view.internal_address = gateway->ends.own;
	return view;
}

bool lease_has_news(const struct lease *lease, const struct lease_view *view)
{
	const struct lease_view *told = &lease->told;

	if (told->status != view->status)
		return true;
	return view->status == NATPMP_OK &&
	       (told->external_port != view->external_port ||
		!ip_is_equal(&told->external_address, &view->external_address) ||
		!ip_is_equal(&told->internal_address, &view->internal_address));
}

bool lease_lets_ask(const struct lease *lease, const struct grant *grant,
		    const struct gateway *gateway)
{
	return grant == lease->grants[0] || grant_is_in_force(grant, gateway) ||
	       (grant_is_in_force(lease->grants[0], gateway) && !grant_is_moving(lease->grants[0]));
}

uint16_t lease_suggestion(const struct lease *lease, const struct grant *grant,
			  const struct gateway *gateway)
{
	if (lease->is_exact)
		return lease->suggested_port;
	if (grant != lease->grants[0] && !grant_is_in_force(grant, gateway))
		return lease->grants[0]->external_port;
	return grant->suggested_port;
}

instant lease_next_deadline(const struct lease *lease)
{
	return earlier(lease->verdict_at, lease->move_at);
}

/* --- one port for two --- */

static void move_grant(struct lease *lease, unsigned i, uint16_t port, instant now)
{
	if (i < lease->count)
		grant_on_moving(lease->grants[i], port, now);
}

static void end_move_round(struct lease *lease, instant now)
{
	duration delay = status_retry_delay(misfit_status(lease), lease->moves.rounds, false);

	if (lease->moves.rounds < 16)
		lease->moves.rounds++;
	lease->moves.count = 0;
	lease->moves.are_told = true;
	lease->move_at = now + delay;
}

/* Give back every grant, because a part of the mapping is of no use, and ask again later. */
static void move_exact(struct lease *lease, instant now)
{
	for (unsigned i = 0; i < lease->count; i++)
		if (lease->grants[i]->is_granted)
			move_grant(lease, i, lease->suggested_port, now);
	end_move_round(lease, now);
}

/* Ask for another external port, so that both grants have the same. */
static void make_next_move(struct lease *lease, struct gateway *gateway, instant now)
{
	/* The first try, to ask for the other one alone, is for renewals only. */
	unsigned tries = lease->moves.count ? lease->moves.count : 1;

	lease->moves.count = (uint8_t)(tries + 1);
	lease->move_at = NEVER;
	if (lease->status == NATPMP_OK)
		lease->moves.are_told = true;
	if (tries == 1) {
		move_grant(lease, 0, lease->grants[1]->external_port, now);
	} else if (tries < LEASE_MOVES_MAX) {
		uint16_t port = (uint16_t)(32768 + gateway_random(gateway) % 32768);
		move_grant(lease, 0, port, now);
		move_grant(lease, 1, port, now);
	} else {
		end_move_round(lease, now);
	}
}

/* The first tries follow at once, the later ones 1, 2, 4 s apart. */
static void plan_move(struct lease *lease, struct gateway *gateway, instant now)
{
	if (lease->move_at != NEVER)
		return;
	duration delay =
		lease->moves.count < 3 ? 0 : (duration)MS_PER_S << (lease->moves.count - 3);
	if (!delay || lease->moves.count >= LEASE_MOVES_MAX)
		make_next_move(lease, gateway, now);
	else
		lease->move_at = now + delay;
}

/* The ports fit. */
static void end_moves(struct lease *lease)
{
	lease->moves.count = lease->moves.rounds = 0;
	lease->moves.are_told = false;
	lease->move_at = NEVER;
}

void lease_on_granted(struct lease *lease, struct grant *grant, struct gateway *gateway,
		      bool was_up, instant now)
{
	struct grant *other = lease->grants[grant == lease->grants[0]];

	if (lease->status == NATPMP_OK)
		lease->failures = 0; /* no event told of these failures */
	if (lease->is_exact && grant->external_port != lease->suggested_port) {
		move_exact(lease, now);
		return;
	}
	if (lease->count == 1) {
		end_moves(lease);
		return;
	}
	bool differ = grant->external_port != other->external_port;
	if (!grants_are_in_force(lease, gateway)) {
		/* The other grant waited for this one. If it failed by itself, it keeps the time of
		 * its own next try. */
		if (grant == lease->grants[0] && other->act_at == NEVER)
			other->act_at = now;
	} else if (!differ) {
		end_moves(lease);
	} else if (was_up && !lease->moves.count) {
		lease->moves.count = 1;
		other->suggested_port = grant->external_port;
		other->act_at = grant_may_renew_at(other, now);
	} else {
		plan_move(lease, gateway, now);
	}
}

/* --- the verdict --- */

void lease_on_failed(struct lease *lease)
{
	lease->failures++;
}

/* Until when to wait for a lease whose turn has not come, or has just begun, at a gateway that
 * answers. 0: wait no longer. */
static instant lease_in_line_until(const struct lease *lease, const struct gateway *gateway,
				   instant now)
{
	instant until = gateway->reboot.recovery_at != NEVER ? now + TURN : 0;

	for (unsigned i = 0; i < lease->count; i++) {
		const struct grant *grant = lease->grants[i];
		if (grant->retries.count || lease->moves.count)
			continue; /* it had its turn */
		if (gateway_shortage_until(gateway, &grant->question) > now)
			continue; /* it has no turn for a long time */
		if (grant->question.state == QUESTION_WAITING)
			until = now + TURN;
		else if (grant->question.state == QUESTION_IN_FLIGHT)
			until = later(until, grant->question.asked_at + lease->patience);
	}
	return gateway->reach == NATPMP_OK ? until : 0;
}

static void lease_decide(struct lease *lease, int status)
{
	lease->status = status;
	lease->verdict_at = NEVER;
	lease->is_awaited = false;
}

bool lease_judge(struct lease *lease, const struct gateway *gateway,
		 const struct external *external, instant now)
{
	int why = lease_down_reason(lease);
	bool is_silence = status_class(why) == STATUS_SILENT;

	if (lease_is_pending(lease) && is_silence && now < lease->verdict_at)
		return false;
	if (why)
		lease_decide(lease, why);
	else if (lease_is_in_force(lease, gateway) && address_is_settled(lease, external))
		lease_decide(lease, NATPMP_OK);
	else
		return false; /* nothing changes */
	return true;
}

static bool lease_on_verdict_due(struct lease *lease, const struct gateway *gateway, instant now)
{
	instant until = lease_in_line_until(lease, gateway, now);

	if (until > now) {
		lease->verdict_at = until;
		return false;
	}
	/* The mapping is open, even if the gateway does not tell its address. */
	lease_decide(lease, lease_is_in_force(lease, gateway) ? NATPMP_OK
							      : lease_excuse(lease, gateway, now));
	return true;
}

bool lease_on_time(struct lease *lease, struct gateway *gateway, const struct external *external,
		   instant now)
{
	if (lease->move_at <= now) {
		lease->move_at = NEVER;
		if (grants_are_in_force(lease, gateway) && !lease_ports_fit(lease) &&
		    !lease->is_exact)
			make_next_move(lease, gateway, now);
	}
	if (lease->verdict_at <= now && !lease_judge(lease, gateway, external, now))
		return lease_on_verdict_due(lease, gateway, now);
	return lease_judge(lease, gateway, external, now);
}

void lease_on_retry(struct lease *lease, instant now)
{
	if (lease->move_at != NEVER)
		lease->move_at = now;
}

instant lease_asks_again_at(const struct lease *lease, const struct grant *grant, instant now)
{
	/* VPN gateways delete nothing: where it was no help to ask, let it run out. */
	if (grant->question.message.vpn && lease->moves.count > 2)
		return later(now, grant->expiry.gateway_at);
	return lease->is_exact && lease->move_at != NEVER ? lease->move_at : now;
}

void lease_on_told(struct lease *lease, const struct lease_view *view)
{
	lease->told = *view;
	if (view->status == NATPMP_OK)
		lease->failures = 0;
}
