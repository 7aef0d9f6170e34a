/* SPDX-License-Identifier: MIT */
#include "core/lease.h"

#include "core/leases.h"

#define SECOND UINT64_C(1000) /* ms */

bool lease_trusted(const struct leases *leases, const struct half *half)
{
	return half->expires && half->generation == leases->engine.generation;
}

bool lease_granted(const struct lease *lease)
{
	for (unsigned i = 0; i < lease->halves; i++)
		if (!lease->half[i].expires ||
		    lease->half[i].external_port != lease->half[0].external_port)
			return false;
	return true;
}

bool lease_is_left(const struct lease *lease, uint64_t now)
{
	for (unsigned i = 0; i < lease->halves; i++)
		if (lease->half[i].maybe && lease->half[i].gone_by > now)
			return true;
	return false;
}

uint32_t lease_lifetime(const struct lease *lease)
{
	const struct half *half = lease->half;

	return lease->halves == 2 && half[1].lifetime < half[0].lifetime ? half[1].lifetime
									 : half[0].lifetime;
}

int lease_excuse(const struct leases *leases, const struct lease *lease)
{
	if (engine_has_no_link(&leases->engine))
		return leases->engine.reach;
	if (lease->down)
		return lease->down;
	for (unsigned i = 0; i < lease->halves; i++)
		if (lease->half[i].request.hint)
			return lease->half[i].request.hint;
	return lease->coaxed && leases->engine.reach == NATPMP_OK ? NATPMP_E_PORTS_DIFFER
								  : NATPMP_E_TIMEOUT;
}

static uint64_t lease_wake(const struct lease *lease)
{
	uint64_t wake = NEVER;

	if (lease->goal == LEASE_CLOSE)
		wake = lease->close_by;
	else if (lease->open_by)
		wake = lease->open_by;
	for (unsigned i = 0; i < lease->halves; i++) {
		const struct half *half = &lease->half[i];
		if (half->expires)
			wake = earlier(wake, half->expires);
		if (lease->goal == LEASE_HOLD ||
		    (half->maybe && half->request.state == REQUEST_IDLE))
			wake = earlier(wake, half->act_at);
	}
	return wake;
}

/* --- telling --- */

bool lease_in_force(const struct leases *leases, const struct lease *lease)
{
	for (unsigned i = 0; i < lease->halves; i++)
		if (!lease_trusted(leases, &lease->half[i]))
			return false;
	return lease_granted(lease);
}

static void look_up(struct leases *leases, struct lease *lease)
{
	struct lease_view *view = &lease->view;

	view->status = NATPMP_OK;
	view->internal_port = lease->internal_port;
	view->external_port = lease->half[0].external_port;
	view->lifetime = lease_lifetime(lease);
	view->external_address = leases->address;
	view->internal_address = leases->engine.own_address;
}

/* There is a verdict: no need to wake up for one any more. */
static void decided(struct leases *leases, struct lease *lease)
{
	lease->view.failures = lease->failures;
	if (lease->open_by) {
		lease->open_by = 0;
		heap_set(&leases->timers, &lease->timer, lease_wake(lease), 0);
	}
	leases_note_change(leases, lease);
}

/* Up as granted; down for a reason; and while neither is certain, as it was. */
void lease_look(struct leases *leases, struct lease *lease)
{
	int down = lease->half[0].down ? lease->half[0].down : lease->half[1].down;
	bool silence = down == NATPMP_E_TIMEOUT || down == NATPMP_E_UNREACHABLE;

	if (lease->goal == LEASE_CLOSE)
		return;
	lease->down = down;
	if (silence && lease->open_by)
		return;
	if (down)
		lease->view.status = down;
	else if (lease_in_force(leases, lease) && leases->address_settled)
		look_up(leases, lease);
	else
		return;
	decided(leases, lease);
}

/* The gateway answers, only its turn has not come, or came late: until when is it to be waited
 * for? 0: no longer. */
static uint64_t in_line(const struct leases *leases, const struct lease *lease, uint64_t now)
{
	uint64_t until = leases->recover_at != NEVER ? now + ENGINE_PATIENCE : 0;

	for (unsigned i = 0; i < lease->halves; i++) {
		const struct half *half = &lease->half[i];
		if (half->failures || lease->coaxed)
			continue; /* it had its turn */
		if (half->request.state == REQUEST_QUEUED)
			until = now + ENGINE_PATIENCE;
		else if (half->request.state == REQUEST_IN_FLIGHT)
			until = later(until, half->request.asked_at + lease->patience);
	}
	return leases->engine.reach == NATPMP_OK ? until : 0;
}

/* The time for a first verdict is over: by what is known. */
static void decide(struct leases *leases, struct lease *lease, uint64_t now)
{
	uint64_t until = in_line(leases, lease, now);

	if (until > now) {
		lease->open_by = until;
		return;
	}
	if (lease_in_force(leases, lease))
		look_up(leases, lease); /* the address may be silent: it is open all the same */
	else
		lease->view.status = lease_excuse(leases, lease);
	decided(leases, lease);
}

/* --- asking --- */

/* While the mapping is in force: at 3/4 of its time, at 7/8, ..., as PCP has it (RFC 6887
 * section 11.2.1), at last when it is over. */
static uint64_t renewal_retry(const struct half *half, uint64_t now)
{
	for (uint64_t rest = half->planned / 4; rest >= LEASE_RETRY_GAP; rest /= 2)
		if (half->expires - rest >= now + LEASE_RETRY_GAP)
			return half->expires - rest;
	return half->expires > now ? half->expires : now;
}

/* The port assigned before; the second half wants the one that the first one got. */
static uint16_t suggestion(const struct leases *leases, const struct half *half)
{
	const struct lease *lease = half->lease;

	if (half != lease->half && !lease_trusted(leases, half))
		return lease->half[0].external_port;
	return half->external_port ? half->external_port : lease->suggested;
}

/* Who failed is likely to fail again, and to keep the others waiting: a renewal that failed makes
 * way for those that end about as soon, and who has nothing to lose goes last, in turns. But to
 * delete all must not come behind what is held later. */
static uint64_t due(const struct leases *leases, const struct half *half, uint64_t now)
{
	if (lease_trusted(leases, half))
		return half->expires + half->failures * (uint64_t)LEASE_PENALTY;
	bool all = half->lease->goal == LEASE_CLOSE && !half->lease->internal_port;
	return half->failures && !all ? NEVER : now + LEASE_HURRY;
}

static void ask(struct leases *leases, struct half *half, uint32_t lifetime, uint64_t now)
{
	const struct lease *lease = half->lease;
	/* No pause for a first try; but a mapping that lives to see its end does not break one. */
	bool fresh = !half->failure && (leases->engine.reach == NATPMP_OK ||
					half->expires < now + 2 * ENGINE_PAUSE_MAX);

	half->request.wire.internal_port = lease->internal_port;
	half->request.wire.external_port = suggestion(leases, half);
	half->request.wire.lifetime = lifetime;
	half->request.any_port = leases->vpn && lifetime;
	if (half->request.any_port) { /* what such gateways are known to understand, renewals too */
		half->request.wire.internal_port = 0;
		half->request.wire.external_port = 1;
	}
	half->request.due = due(leases, half, now);
	if (!lifetime)
		half->request.due = earlier(half->request.due, lease->close_by);
	half->request.blocks = lease->once;
	half->request.waits = lifetime && !lease->once && !(lease->awaited && lease->open_by);
	half->act_at = NEVER;
	engine_submit(&leases->engine, &half->request, fresh || lease->once);
}

static void ask_to_hold(struct leases *leases, struct half *half, uint64_t now)
{
	const struct lease *lease = half->lease;

	if (half->act_at > now)
		return;
	half->act_at = NEVER;
	if (half != lease->half && !lease_trusted(leases, half) &&
	    !lease_trusted(leases, lease->half))
		return; /* the first half first; see hold_ended() */
	if (half->request.state == REQUEST_IDLE)
		ask(leases, half, lease->asked, now);
	else if (half->request.first_sent + LEASE_RETRY_GAP <= now)
		engine_begin_again(&leases->engine, &half->request, now);
	if (half->expires >= now + LEASE_RETRY_GAP)
		half->act_at = renewal_retry(half, now);
}

/* Asked for, and who knows what came of that. */
static void maybe_granted(const struct leases *leases, struct half *half, uint64_t now)
{
	half->maybe = !leases->vpn;
	half->gone_by = later(half->gone_by, now + half->lease->asked * SECOND);
}

/* False: there is nothing left to delete. */
static bool ask_to_delete(struct leases *leases, struct half *half, uint64_t now)
{
	struct request *request = &half->request;
	bool over = half->lease->goal == LEASE_CLOSE && now >= half->lease->close_by;

	if (request->state != REQUEST_IDLE && request->wire.lifetime) {
		if (request->state != REQUEST_QUEUED) /* it was sent: whatever came of it */
			maybe_granted(leases, half, now);
		engine_cancel(&leases->engine, request);
		half->act_at = now;
	}
	if (request->state == REQUEST_IN_FLIGHT && !over)
		return true;
	if (!half->maybe || over) {
		engine_cancel(&leases->engine, request);
		return false;
	}
	if (request->state == REQUEST_IDLE && half->act_at <= now)
		ask(leases, half, 0, now);
	return true;
}

/* --- what became of a question --- */

struct retry {
	int status;
	uint64_t first, most; /* ms, doubling */
};

uint64_t lease_retry_delay(int status, unsigned failures)
{
	/* Times are ours, the RFC names none; those of PCP were looked at. A clear no is asked
	 * about again after 30 s, for somebody may be allowing it in the router just now. */
	static const struct retry policy[] = {
		{NATPMP_E_REFUSED, 0, 0}, /* the engine's pause, for all questions alike */
		{NATPMP_E_TIMEOUT, 4000, 64000},
		{NATPMP_E_NO_SERVICE, 4000, 64000},
		{NATPMP_E_UNREACHABLE, 4000, 64000},
		{NATPMP_E_NETWORK_FAILURE, 30000, 30000},
	};
	struct retry retry = {status, 30000, 1800000};

	for (size_t i = 0; i < sizeof(policy) / sizeof(policy[0]); i++)
		if (policy[i].status == status)
			retry = policy[i];
	return earlier(retry.first << (failures < 10 ? failures : 10), retry.most);
}

/* The gateway heard the question and did nothing. */
static bool is_no(int status)
{
	return status <= NATPMP_E_VERSION || status == NATPMP_E_REFUSED;
}

void lease_lose(struct half *half, int why)
{
	half->expires = 0;
	half->down = why;
}

static void hold_failed(struct leases *leases, struct half *half, int status, uint64_t now)
{
	struct request *request = &half->request;

	if (status == NATPMP_E_NO_SERVICE && !half->lease->once)
		status = NATPMP_E_TIMEOUT; /* a hold never concludes, and the longer silence is no
					      news */
	/* Done perhaps, and the answer lost; but not if its only send was answered. */
	if (!is_no(status) || request->last_sent != request->asked_at)
		maybe_granted(leases, half, now);
	if (half->lease->once && request->made_way) { /* not the end of who waits for it */
		half->failures++;
		half->act_at = now;
		return;
	}
	half->failure = status;
	half->lease->failures++;
	if (lease_trusted(leases, half) && half->expires > now) {
		half->act_at = status == NATPMP_E_REFUSED ? now : renewal_retry(half, now);
	} else {
		lease_lose(half, status);
		half->act_at = now + lease_retry_delay(status, half->failures);
	}
	half->failures++;
	if (half->lease->once)
		half->act_at = NEVER;
}

static void held(struct leases *leases, struct half *half, uint64_t now)
{
	struct lease *lease = half->lease;
	const struct wire_answer *answer = &half->request.answer;
	/* More than asked for SHOULD NOT be granted (section 3.3): do not count on it. */
	uint64_t planned =
		(answer->lifetime < lease->asked ? answer->lifetime : lease->asked) * SECOND;

	lease->owes = false; /* what was to be deleted is wanted */
	half->maybe = !leases->vpn;
	half->external_port = answer->external_port;
	half->gone_by = now + answer->lifetime * SECOND;
	if (half->request.asked_at + planned <= now) {
		half->act_at = now; /* over already, if that was what is answered: to be sure */
		half->generation--; /* and until then it is as it was, if anything */
		return;
	}
	half->lifetime = answer->lifetime;
	half->planned = planned;
	half->expires = half->request.asked_at + planned;
	half->act_at = half->expires - half->planned / 2;
	half->generation = leases->engine.generation;
	half->failure = half->down = NATPMP_OK;
	half->failures = 0;
	if (lease->view.status == NATPMP_OK)
		lease->failures = 0; /* nobody noticed */
	if (leases->vpn)
		lease->internal_port = answer->external_port;
	if (lease->once && lease_in_force(leases, lease) && !lease->asks_address) {
		lease->asks_address = true;
		leases_ask_address(leases, now);
	} else if (!lease->once && (!leases->address_settled || leases->address_doubtful ||
				    now - leases->address_asked >= ADDRESS_STALE)) {
		leases_want_address(leases, now);
	}
}

/* UDP and TCP got different external ports: delete both and begin again with another
 * suggestion; the second one's first, any high port after that. */
static void coax(struct leases *leases, struct lease *lease, uint64_t now)
{
	uint64_t wait = 0;

	if (lease->coaxed++ < LEASE_COAX_MAX) {
		lease->suggested = lease->coaxed == 1
					   ? lease->half[1].external_port
					   : (uint16_t)(32768 + leases_random(leases) % 32768);
	} else {
		lease->coaxed = 0;
		wait = lease_retry_delay(NATPMP_E_PORTS_DIFFER, lease->coax_failures++);
	}
	lease->goal = LEASE_AGAIN;
	lease->again_at = now + wait;
	for (unsigned i = 0; i < lease->halves; i++) {
		struct half *half = &lease->half[i];
		bool tell = !lease->coaxed || lease->view.status == NATPMP_OK;
		lease_lose(half, tell ? NATPMP_E_PORTS_DIFFER : half->down);
		half->external_port = 0;
		half->act_at = now;
	}
}

static void hold_ended(struct leases *leases, struct half *half, uint64_t now)
{
	struct lease *lease = half->lease;

	if (half->request.status != NATPMP_OK) {
		hold_failed(leases, half, half->request.status, now);
		return;
	}
	held(leases, half, now);
	if (lease->halves == 2 && lease_trusted(leases, &lease->half[0]) &&
	    lease_trusted(leases, &lease->half[1]) && !lease_granted(lease)) {
		coax(leases, lease, now);
	} else if (lease_granted(lease)) {
		lease->coaxed = lease->coax_failures = 0;
	}
	if (half == lease->half && lease->half[1].act_at == NEVER)
		lease->half[1].act_at = now; /* it was waiting for this, or is being asked for */
}

static void not_deleted(struct lease *lease, const struct half *half, int status, uint64_t now)
{
	if (half->gone_by <= now && !lease->once)
		return; /* its lifetime is over: nothing is left */
	if (!lease->close_status)
		lease->close_status = status;
	lease->gone_by = later(lease->gone_by, half->gone_by);
}

static void delete_ended(struct leases *leases, struct half *half, uint64_t now)
{
	struct lease *lease = half->lease;
	int status = half->request.status;
	bool once = lease->once;

	/* That was to delete all, and was not answered; now it would take this along. */
	if (half->request.made_way && !lease->internal_port &&
	    leases_held(leases, lease->protocol, 0)) {
		status = NATPMP_E_HELD;
		half->request.made_way = false;
	}
	half->failure = status;
	if (once && half->request.made_way) {
		half->failures++;
		half->act_at = now;
	} else if (status == NATPMP_OK || status <= NATPMP_E_VERSION || once) {
		half->left = status && lease->goal == LEASE_AGAIN;
		if (status && !half->left)
			not_deleted(lease, half, status, now);
		half->maybe = false; /* deleted, or it cannot be (section 3.4) */
		half->expires = 0;
		half->failures = 0;
		half->act_at = now;
	} else {
		half->act_at = now + lease_retry_delay(status, half->failures++);
	}
}

void lease_ended(struct leases *leases, struct half *half, uint64_t now)
{
	if (half->request.wire.lifetime)
		hold_ended(leases, half, now);
	else
		delete_ended(leases, half, now);
	lease_step(leases, half->lease, now);
}

/* --- moved towards its goal --- */

static void expire(const struct leases *leases, struct lease *lease, uint64_t now)
{
	int reach = leases->engine.reach; /* that of others, if it had no turn itself */
	int why = reach < NATPMP_OK ? reach : NATPMP_E_TIMEOUT;

	for (unsigned i = 0; i < lease->halves; i++) {
		struct half *half = &lease->half[i];
		if (!half->expires || half->expires > now)
			continue;
		if (lease->goal == LEASE_HOLD)
			lease_lose(half, half->failure ? half->failure : why);
		else
			half->expires = 0;
	}
}

static bool deleted(struct leases *leases, struct lease *lease, uint64_t now)
{
	bool busy = false;

	for (unsigned i = 0; i < lease->halves; i++)
		busy |= ask_to_delete(leases, &lease->half[i], now);
	return !busy;
}

static int why_not_deleted(const struct half *half)
{
	return half->failure && !half->request.wire.lifetime ? half->failure : NATPMP_E_TIMEOUT;
}

static void finish(struct leases *leases, struct lease *lease, uint64_t now)
{
	for (unsigned i = 0; i < lease->halves; i++)
		if (lease->half[i].maybe)
			not_deleted(lease, &lease->half[i], why_not_deleted(&lease->half[i]), now);
	lease->finished = true;
	heap_remove(&leases->timers, &lease->timer);
	if (lease->released) {
		lease->next_changed = leases->finished;
		leases->finished = lease;
	}
}

void lease_step(struct leases *leases, struct lease *lease, uint64_t now)
{
	expire(leases, lease, now);
	if (lease->goal != LEASE_HOLD && deleted(leases, lease, now)) {
		if (lease->goal == LEASE_CLOSE) {
			finish(leases, lease, now);
			return;
		}
		lease->goal = LEASE_HOLD;
		for (unsigned i = 0; i < lease->halves; i++)
			lease->half[i].act_at = lease->again_at;
	}
	for (unsigned i = 0; lease->goal == LEASE_HOLD && i < lease->halves; i++)
		ask_to_hold(leases, &lease->half[i], now);
	lease_look(leases, lease);
	if (lease->open_by && lease->open_by <= now)
		decide(leases, lease, now);
	heap_set(&leases->timers, &lease->timer, lease_wake(lease), 0);
}
