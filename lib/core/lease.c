/* SPDX-License-Identifier: MIT */
#include "core/lease.h"

#include "core/address.h"

static void lease_step(struct leases *leases, struct lease *lease, uint64_t now);
static uint64_t lease_wake(const struct lease *lease);

/* splitmix64: for delays and suggestions, nothing that must not be guessed */
static uint64_t next_random(struct leases *leases)
{
	uint64_t z = leases->random += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The gateway has it for all we know: granted, and no sign that it was forgotten since. */
static bool trusted(const struct leases *leases, const struct half *half)
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

uint32_t lease_lifetime(const struct lease *lease)
{
	const struct half *half = lease->half;

	return lease->halves == 2 && half[1].lifetime < half[0].lifetime ? half[1].lifetime
									 : half[0].lifetime;
}

int lease_excuse(const struct lease *lease)
{
	for (unsigned i = 0; i < lease->halves; i++)
		if (lease->half[i].request.hint)
			return lease->half[i].request.hint;
	return lease->down ? lease->down : NATPMP_E_TIMEOUT;
}

/* --- telling --- */

static void note_change(struct leases *leases, struct lease *lease)
{
	if (lease->changed || lease->once || lease->released)
		return;
	lease->changed = true;
	lease->next_changed = NULL;
	*leases->changed_tail = lease;
	leases->changed_tail = &lease->next_changed;
}

static void forget_change(struct leases *leases, struct lease *lease)
{
	struct lease **at = &leases->changed;

	if (!lease->changed)
		return;
	while (*at != lease)
		at = &(*at)->next_changed;
	*at = lease->next_changed;
	if (!*at)
		leases->changed_tail = at;
	lease->changed = false;
}

static bool is_news(const struct lease_view *told, const struct lease_view *is)
{
	if (told->status != is->status)
		return true;
	return is->status == NATPMP_OK && (told->external_port != is->external_port ||
					   told->external_address != is->external_address ||
					   told->internal_address != is->internal_address);
}

struct lease *leases_event(struct leases *leases, struct lease_view *before)
{
	struct lease *lease;

	while ((lease = leases->changed)) {
		forget_change(leases, lease);
		if (!is_news(&lease->told, &lease->view))
			continue;
		*before = lease->told;
		lease->told = lease->view;
		return lease;
	}
	return NULL;
}

static bool in_force(const struct leases *leases, const struct lease *lease)
{
	for (unsigned i = 0; i < lease->halves; i++)
		if (!trusted(leases, &lease->half[i]))
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
	if (lease->open_by) {
		lease->open_by = 0;
		heap_set(&leases->timers, &lease->timer, lease_wake(lease), 0);
	}
	note_change(leases, lease);
}

/* Up as granted; down for a reason; and while neither is certain, as it was. */
static void lease_look(struct leases *leases, struct lease *lease)
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
	else if (in_force(leases, lease) && leases->address_settled)
		look_up(leases, lease);
	else
		return;
	decided(leases, lease);
}

/* The gateway answers, only its turn has not come; or all are to be asked for again soon. */
static bool in_line(const struct leases *leases, const struct lease *lease)
{
	bool queued = leases->recover_at != NEVER;

	for (unsigned i = 0; i < lease->halves; i++)
		queued |= lease->half[i].request.state == REQUEST_QUEUED;
	return queued && leases->engine.reach == NATPMP_OK;
}

/* The time for a first verdict is over: by what is known. */
static void decide(struct leases *leases, struct lease *lease, uint64_t now)
{
	if (in_line(leases, lease)) {
		lease->open_by = now + ENGINE_PATIENCE;
		return;
	}
	if (in_force(leases, lease))
		look_up(leases, lease); /* the address may be silent: it is open all the same */
	else
		lease->view.status = lease_excuse(lease);
	decided(leases, lease);
}

/* --- asking --- */

/* The port assigned before; the second half wants the one that the first one got. */
static uint16_t suggestion(const struct leases *leases, const struct half *half)
{
	const struct lease *lease = half->lease;

	if (half != lease->half && !trusted(leases, half))
		return lease->half[0].external_port;
	return half->external_port ? half->external_port : lease->suggested;
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
	half->request.due = trusted(leases, half) ? half->expires : now + LEASE_HURRY;
	if (!lifetime)
		half->request.due = earlier(half->request.due, lease->close_by);
	half->act_at = NEVER;
	engine_submit(&leases->engine, &half->request, fresh || lease->once);
}

static uint64_t renewal_retry(const struct half *half, uint64_t now);

static void ask_to_hold(struct leases *leases, struct half *half, uint64_t now)
{
	const struct lease *lease = half->lease;

	if (half->act_at > now)
		return;
	half->act_at = NEVER;
	if (half != lease->half && !trusted(leases, half) && !trusted(leases, lease->half))
		return; /* the first half first; see hold_ended() */
	if (half->request.state == REQUEST_IDLE)
		ask(leases, half, lease->asked, now);
	else if (half->request.first_sent + LEASE_RETRY_GAP <= now)
		engine_begin_again(&leases->engine, &half->request, now);
	if (half->expires >= now + LEASE_RETRY_GAP)
		half->act_at = renewal_retry(half, now);
}

/* False: there is nothing left to delete. */
static bool ask_to_delete(struct leases *leases, struct half *half, uint64_t now)
{
	struct request *request = &half->request;
	bool over = half->lease->goal == LEASE_CLOSE && now >= half->lease->close_by;

	if (request->state != REQUEST_IDLE && request->wire.lifetime) {
		if (request->state != REQUEST_QUEUED) /* it was sent: whatever came of it */
			half->maybe = !leases->vpn;
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

static void set_address(struct leases *leases, uint32_t address, bool settled)
{
	bool changed = leases->address != address || leases->address_settled != settled;

	leases->address = address;
	leases->address_settled = settled;
	for (struct lease *lease = leases->all; lease && changed; lease = lease->next)
		lease_look(leases, lease);
}

void leases_ask_address(struct leases *leases, uint64_t now, bool fresh)
{
	struct request *request = &leases->address_request;

	leases->address_retry_at = NEVER;
	if (!leases->address_settled && leases->address_settle_at == NEVER)
		leases->address_settle_at = now + ENGINE_PATIENCE;
	if (request->state != REQUEST_IDLE && (request->state != REQUEST_QUEUED || !fresh))
		return;
	request->wire.opcode = WIRE_ADDRESS;
	request->due = 0; /* one small question that all who come up wait for */
	request->failures = fresh ? 0 : leases->address_failures;
	leases->address_asked = now;
	leases->address_doubtful = false;
	engine_submit(&leases->engine, request, !request->failures);
}

void leases_ask_pcp(struct leases *leases, uint64_t now)
{
	if (leases->pcp_request.state != REQUEST_IDLE)
		return;
	leases->pcp_request.wire.opcode = WIRE_PCP_ANNOUNCE;
	leases->pcp_request.due = now;
	leases->pcp_ended = false;
	engine_submit(&leases->engine, &leases->pcp_request, true);
}

/* --- what became of a question --- */

struct retry {
	int status;
	uint64_t first, most; /* ms, doubling */
};

static uint64_t retry_delay(int status, unsigned failures)
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

/* While the mapping is in force: at 3/4 of its time, at 7/8, ..., as PCP has it (RFC 6887
 * section 11.2.1), at last when it is over. */
static uint64_t renewal_retry(const struct half *half, uint64_t now)
{
	for (uint64_t rest = half->planned / 4; rest >= LEASE_RETRY_GAP; rest /= 2)
		if (half->expires - rest >= now + LEASE_RETRY_GAP)
			return half->expires - rest;
	return half->expires > now ? half->expires : now;
}

/* The gateway heard the question and did nothing. */
static bool is_no(int status)
{
	return status <= NATPMP_E_VERSION || status == NATPMP_E_REFUSED;
}

static void lose(struct half *half, int why)
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
	half->failure = status;
	/* Done perhaps, and the answer lost; but not if its only send was answered. */
	if (!is_no(status) || request->last_sent != request->first_sent)
		half->maybe = !leases->vpn;
	if (trusted(leases, half) && half->expires > now) {
		half->act_at = status == NATPMP_E_REFUSED ? now : renewal_retry(half, now);
	} else {
		lose(half, status);
		half->act_at = now + retry_delay(status, request->failures);
	}
	request->failures++;
	if (half->lease->once)
		half->act_at = NEVER;
}

static void held(struct leases *leases, struct half *half, uint64_t now)
{
	struct lease *lease = half->lease;
	const struct wire_answer *answer = &half->request.answer;
	/* More than asked for SHOULD NOT be granted (section 3.3): do not count on it. */
	uint32_t lifetime = answer->lifetime < lease->asked ? answer->lifetime : lease->asked;

	half->external_port = answer->external_port;
	half->lifetime = answer->lifetime;
	half->granted_at = half->request.first_sent;
	half->planned = (uint64_t)lifetime * 1000;
	half->expires = half->granted_at + half->planned;
	half->act_at = half->granted_at + half->planned / 2;
	half->generation = leases->engine.generation;
	half->failure = half->down = NATPMP_OK;
	half->request.failures = 0;
	half->maybe = !leases->vpn;
	if (leases->vpn)
		lease->internal_port = answer->external_port;
	if (!leases->address_settled || leases->address_doubtful ||
	    (lease->once && lease_granted(lease)) || now - leases->address_asked >= ADDRESS_STALE)
		leases_ask_address(leases, now, false);
}

/* UDP and TCP got different external ports: delete both and begin again with another
 * suggestion; the second one's first, any high port after that. */
static void coax(struct leases *leases, struct lease *lease, uint64_t now)
{
	uint64_t wait = 0;

	if (lease->coaxed++ < LEASE_COAX_MAX) {
		lease->suggested = lease->coaxed == 1
					   ? lease->half[1].external_port
					   : (uint16_t)(32768 + next_random(leases) % 32768);
	} else {
		lease->coaxed = 0;
		wait = retry_delay(NATPMP_E_PORTS_DIFFER, lease->coax_failures++);
	}
	lease->goal = LEASE_AGAIN;
	lease->again_at = now + wait;
	for (unsigned i = 0; i < lease->halves; i++) {
		struct half *half = &lease->half[i];
		bool tell = !lease->coaxed || lease->view.status == NATPMP_OK;
		lose(half, tell ? NATPMP_E_PORTS_DIFFER : half->down);
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
	if (lease->halves == 2 && trusted(leases, &lease->half[0]) &&
	    trusted(leases, &lease->half[1]) && !lease_granted(lease)) {
		coax(leases, lease, now);
	} else if (lease_granted(lease)) {
		lease->coaxed = lease->coax_failures = 0;
	}
	if (half == lease->half && lease->half[1].act_at == NEVER)
		lease->half[1].act_at = now; /* it was waiting for this, or is being asked for */
}

static void delete_ended(struct half *half, uint64_t now)
{
	int status = half->request.status;

	half->failure = status;
	if (!half->lease->close_status)
		half->lease->close_status = status;
	if (status == NATPMP_OK || status <= NATPMP_E_VERSION || half->lease->once) {
		half->maybe = false; /* deleted, or it cannot be (section 3.4) */
		half->expires = 0;
		half->request.failures = 0;
		half->act_at = now;
	} else {
		half->act_at = now + retry_delay(status, half->request.failures++);
	}
}

static void address_ended(struct leases *leases, uint64_t now)
{
	const struct request *request = &leases->address_request;
	bool refused = request->status <= NATPMP_E_VERSION;

	/* A good answer was adopted when it came. */
	leases->address_status = request->status;
	leases->address_serial++;
	leases->address_settle_at = NEVER;
	set_address(leases, refused ? 0 : leases->address, true);
	leases->address_failures = leases->address ? 0 : leases->address_failures + 1;
	if (!leases->address && leases->all)
		leases->address_retry_at =
			now + retry_delay(NATPMP_E_NO_RESOURCES, leases->address_failures - 1);
}

static void request_ended(struct leases *leases, struct request *request, uint64_t now)
{
	if (request == &leases->address_request) {
		address_ended(leases, now);
		return;
	}
	if (request == &leases->pcp_request) {
		leases->pcp_ended = true;
		return;
	}
	struct half *half = container_of(request, struct half, request);
	if (request->wire.lifetime)
		hold_ended(leases, half, now);
	else
		delete_ended(half, now);
	lease_step(leases, half->lease, now);
}

static void take_ended(struct leases *leases, uint64_t now)
{
	struct request *request;

	while ((request = engine_ended(&leases->engine)))
		request_ended(leases, request, now);
}

/* --- a lease, moved towards its goal --- */

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

static void expire(struct lease *lease, uint64_t now)
{
	for (unsigned i = 0; i < lease->halves; i++) {
		struct half *half = &lease->half[i];
		if (half->expires && half->expires <= now) {
			if (lease->goal == LEASE_HOLD)
				lose(half, half->failure ? half->failure : NATPMP_E_TIMEOUT);
			half->expires = 0;
		}
	}
}

static bool deleted(struct leases *leases, struct lease *lease, uint64_t now)
{
	bool busy = false;

	for (unsigned i = 0; i < lease->halves; i++)
		busy |= ask_to_delete(leases, &lease->half[i], now);
	return !busy;
}

static void finish(struct leases *leases, struct lease *lease)
{
	lease->finished = true;
	heap_remove(&leases->timers, &lease->timer);
	if (lease->released) {
		lease->next_changed = leases->finished;
		leases->finished = lease;
	}
}

struct lease *leases_reap(struct leases *leases)
{
	struct lease *lease = leases->finished;

	if (lease) {
		leases->finished = lease->next_changed;
		leases_drop(leases, lease);
	}
	return lease;
}

static void lease_step(struct leases *leases, struct lease *lease, uint64_t now)
{
	expire(lease, now);
	if (lease->goal != LEASE_HOLD && deleted(leases, lease, now)) {
		if (lease->goal == LEASE_CLOSE) {
			finish(leases, lease);
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

static void step_all(struct leases *leases, uint64_t now)
{
	for (struct lease *lease = leases->all; lease; lease = lease->next)
		if (!lease->finished)
			lease_step(leases, lease, now);
}

/* --- what concerns all leases --- */

static bool is_silence(int status)
{
	return status <= NATPMP_E_TIMEOUT && status >= NATPMP_E_REFUSED;
}

/* It is to be tried next, whatever became of the others. */
static bool has_hope(const struct lease *lease)
{
	for (unsigned i = 0; i < lease->halves; i++)
		if (lease->half[i].request.state == REQUEST_QUEUED && lease->half[i].request.fresh)
			return true;
	return false;
}

/* The gateway does not answer: who is not up, or only believed to be, is down for that, unless
 * for a reason of its own. */
static void discourage(struct leases *leases, int reach)
{
	for (struct lease *lease = leases->all; lease; lease = lease->next) {
		if (lease->goal == LEASE_CLOSE || lease->once || has_hope(lease))
			continue;
		for (unsigned i = 0; i < lease->halves; i++) {
			struct half *half = &lease->half[i];
			if (!trusted(leases, half) && half->down > NATPMP_E_BAD_ANSWER)
				lose(half, reach);
		}
		lease_look(leases, lease);
	}
}

/* There is reason to hope: who waits because of such a failure tries again now, and soon once
 * more if that is in vain. */
static void encourage(struct leases *leases, bool (*such)(int status), uint64_t now)
{
	for (struct lease *lease = leases->all; lease; lease = lease->next)
		for (unsigned i = 0; i < lease->halves; i++) {
			struct half *half = &lease->half[i];
			if (!such(half->failure))
				continue;
			half->request.failures = 1;
			if (half->act_at != NEVER && half->request.state == REQUEST_IDLE)
				half->act_at = now;
		}
	step_all(leases, now);
}

static void see_reach(struct leases *leases, uint64_t now)
{
	int before = leases->reach, reach = leases->engine.reach;
	uint64_t paused = leases->engine.pause_until;

	if (reach == before && paused == leases->paused)
		return;
	leases->reach = reach;
	leases->paused = paused;
	if (is_silence(reach))
		discourage(leases, reach);
	else if (is_silence(before))
		encourage(leases, is_silence, now);
}

static bool any_hold(const struct leases *leases)
{
	for (const struct lease *lease = leases->all; lease; lease = lease->next)
		if (!lease->once && lease->goal != LEASE_CLOSE)
			return true;
	return false;
}

/* The gateway seems to have forgotten us: re-create all after a random delay (section 3.7);
 * more such signs in the meantime change nothing, later ones wait for the next window. */
static void see_generation(struct leases *leases, uint64_t now)
{
	if (leases->generation == leases->engine.generation)
		return;
	leases->generation = leases->engine.generation;
	if (leases->recover_at != NEVER || !any_hold(leases))
		return;
	uint64_t at = now + next_random(leases) % (LEASE_RECOVERY_DELAY + 1);
	uint64_t window = leases->recovered_at + LEASE_RECOVERY_WINDOW;
	if (!leases->recovered_at || at >= window)
		leases->engine.hold_off = at; /* what waits in the queue waits for it, too */
	else
		at = window;
	leases->recover_at = at;
}

static void ask_all(struct leases *leases, uint64_t now)
{
	for (struct lease *lease = leases->all; lease; lease = lease->next)
		for (unsigned i = 0; i < lease->halves; i++)
			if (lease->goal == LEASE_HOLD && !lease->once &&
			    lease->half[i].request.state == REQUEST_IDLE &&
			    !trusted(leases, &lease->half[i]))
				lease->half[i].act_at = now;
	leases->address_doubtful = true; /* the first that is granted asks */
	step_all(leases, now);
}

static void run(struct leases *leases, uint64_t now)
{
	struct heap_node *first;

	see_generation(leases, now);
	take_ended(leases, now);
	see_reach(leases, now);
	if (leases->recover_at <= now) {
		leases->recover_at = NEVER;
		leases->recovered_at = now;
		if (any_hold(leases))
			ask_all(leases, now);
	}
	if (leases->address_settle_at <= now) {
		leases->address_settle_at = NEVER;
		set_address(leases, leases->address, true);
	}
	if (leases->all && leases->address_retry_at <= now)
		leases_ask_address(leases, now, false);
	while ((first = heap_first(&leases->timers)) && first->key <= now)
		lease_step(leases, container_of(first, struct lease, timer), now);
}

size_t leases_output(struct leases *leases, uint64_t now, uint8_t bytes[WIRE_REQUEST_MAX])
{
	size_t len;

	do {
		run(leases, now);
		len = engine_output(&leases->engine, now, bytes);
	} while (!len && (leases->engine.ended || leases->engine.reach != leases->reach));
	return len;
}

uint64_t leases_deadline(const struct leases *leases)
{
	const struct heap_node *first = heap_first(&leases->timers);
	uint64_t at = engine_deadline(&leases->engine);

	if (first)
		at = earlier(at, first->key);
	if (leases->all)
		at = earlier(at, leases->address_retry_at);
	return earlier(earlier(at, leases->recover_at), leases->address_settle_at);
}

/* --- from outside --- */

static void adopt_address(struct leases *leases, const struct wire_answer *answer)
{
	if (answer->kind == WIRE_ANSWER && answer->opcode == WIRE_ADDRESS && !answer->result)
		set_address(leases, address_is_usable(answer->address) ? answer->address : 0,
			    leases->address_settled);
}

void leases_input(struct leases *leases, uint64_t now, const uint8_t *bytes, size_t len)
{
	struct wire_answer answer = engine_input(&leases->engine, now, bytes, len);

	adopt_address(leases, &answer);
	take_ended(leases, now); /* before the next packet says otherwise */
}

static bool is_network_failure(int status)
{
	return status == NATPMP_E_NETWORK_FAILURE;
}

void leases_announcement(struct leases *leases, uint64_t now, const uint8_t *bytes, size_t len)
{
	struct wire_answer answer = engine_announcement(&leases->engine, now, bytes, len);

	adopt_address(leases, &answer);
	if (answer.kind == WIRE_ANSWER && answer.result == 0)
		encourage(leases, is_network_failure, now);
	/* PCP's announcement shows no clock of ours, yet its sender has news: look at the clock
	 * of NAT-PMP. (There are gateways that announce nothing else.) Not for each of a flood. */
	uint64_t at = leases->address_asked + ADDRESS_GAP;
	if (answer.kind == WIRE_PCP_ANNOUNCEMENT && any_hold(leases))
		leases->address_retry_at = earlier(leases->address_retry_at, at > now ? at : now);
}

void leases_relink(struct leases *leases, uint64_t now, int status, uint32_t own_address)
{
	engine_relink(&leases->engine, status, own_address);
	leases->generation = leases->engine.generation;
	leases->reach = leases->engine.reach;
	leases->recover_at = NEVER;
	set_address(leases, 0, false);
	leases->address_settle_at = leases->address_retry_at = NEVER;
	for (struct lease *lease = leases->all; lease && status; lease = lease->next)
		for (unsigned i = 0; i < lease->halves; i++)
			if (lease->goal != LEASE_CLOSE)
				lose(&lease->half[i], status);
	if (status == NATPMP_OK && any_hold(leases))
		ask_all(leases, now);
	else
		step_all(leases, now);
}

/* A deletion to say farewell with, if the gateway may have a mapping and was told of none. */
static bool part(struct leases *leases, struct half *half)
{
	struct request *request = &half->request;
	bool maybe = half->maybe;

	half->maybe = false;
	if (request->state == REQUEST_IN_FLIGHT) {
		if (request->wire.lifetime == 0)
			return false; /* it has just been told */
		maybe = !leases->vpn; /* done perhaps, and the answer lost */
		engine_cancel(&leases->engine, request);
		half->act_at = 0;
	}
	return maybe;
}

size_t leases_farewell(struct leases *leases, uint8_t bytes[WIRE_REQUEST_MAX])
{
	for (struct lease *lease = leases->all; lease; lease = lease->next) {
		struct wire_request wire = {.internal_port = lease->internal_port};

		if (lease->once || lease->finished)
			continue;
		for (unsigned i = 0; i < lease->halves; i++) {
			wire.opcode = lease->half[i].request.wire.opcode;
			if (part(leases, &lease->half[i]))
				return wire_encode(&wire, 0, bytes);
		}
	}
	return 0;
}

bool leases_held(const struct leases *leases, natpmp_protocol protocol, uint16_t internal_port)
{
	for (const struct lease *lease = leases->all; lease; lease = lease->next)
		if (lease->goal != LEASE_CLOSE && (lease->protocol & protocol) &&
		    (lease->internal_port == internal_port || !internal_port || leases->vpn))
			return true;
	return false;
}

/* A deletion still waiting for the same protocol and port must not hit the new mapping: the
 * new lease inherits what is to be deleted some day. One in flight comes to its end first. */
static void inherit(struct leases *leases, struct half *half, uint64_t now)
{
	for (struct lease *other = leases->all; other; other = other->next)
		for (unsigned i = 0; i < other->halves; i++) {
			struct half *old = &other->half[i];
			if (other->goal != LEASE_CLOSE || other->finished || !old->maybe ||
			    !other->internal_port ||
			    other->internal_port != half->lease->internal_port ||
			    old->request.wire.opcode != half->request.wire.opcode)
				continue;
			old->maybe = false;
			half->maybe = true;
			lease_step(leases, other, now);
		}
}

int leases_add(struct leases *leases, struct lease *lease, enum lease_goal goal, uint64_t now)
{
	if (leases_held(leases, lease->protocol, lease->internal_port))
		return NATPMP_E_HELD;
	if (!heap_reserve(&leases->timers, leases->count + 1) ||
	    !heap_reserve(&leases->engine.queue, 2 * (leases->count + 1) + 2))
		return NATPMP_E_NO_MEMORY;
	lease->goal = goal;
	if (!lease->asked)
		lease->asked = LEASE_LIFETIME;
	if (!lease->suggested)
		lease->suggested = lease->internal_port;
	for (uint8_t opcode = WIRE_MAP_UDP; opcode <= WIRE_MAP_TCP; opcode++) {
		if (!((unsigned)lease->protocol & opcode))
			continue;
		struct half *half = &lease->half[lease->halves++];
		half->lease = lease;
		half->request.wire.opcode = opcode;
		half->act_at = now;
		half->down = engine_has_no_link(&leases->engine) ? leases->engine.reach : NATPMP_OK;
		inherit(leases, half, now);
		if (goal == LEASE_CLOSE)
			half->maybe = true;
	}
	lease->view.status = lease->told.status = NATPMP_PENDING;
	lease->close_by = NEVER;
	leases->count++;
	lease->next = leases->all;
	lease->here = &leases->all;
	if (lease->next)
		lease->next->here = &lease->next;
	leases->all = lease;
	lease_step(leases, lease, now);
	return NATPMP_OK;
}

void leases_close(struct leases *leases, struct lease *lease, uint64_t now)
{
	uint64_t series = now + ENGINE_FIRST_WAIT * ((1U << ENGINE_SENDS) - 1);

	forget_change(leases, lease);
	lease->goal = LEASE_CLOSE;
	lease->open_by = lease->close_by = 0;
	for (unsigned i = 0; i < lease->halves; i++) {
		const struct half *half = &lease->half[i];
		/* Past its expiry there is nothing to delete any more (section 3.1). */
		uint64_t by = half->expires
				      ? earlier(series, half->granted_at + 1000ULL * half->lifetime)
				      : series;
		lease->close_by = by > lease->close_by ? by : lease->close_by;
		lease->half[i].act_at = now;
	}
	lease_step(leases, lease, now);
}

void leases_drop(struct leases *leases, struct lease *lease)
{
	forget_change(leases, lease);
	heap_remove(&leases->timers, &lease->timer);
	for (unsigned i = 0; i < lease->halves; i++)
		engine_cancel(&leases->engine, &lease->half[i].request);
	*lease->here = lease->next;
	if (lease->next)
		lease->next->here = lease->here;
	leases->count--;
}

bool leases_init(struct leases *leases, uint64_t seed, bool vpn)
{
	*leases = (struct leases){
		.random = seed,
		.vpn = vpn,
		.reach = NATPMP_PENDING,
		.recover_at = NEVER,
		.address_settle_at = NEVER,
		.address_retry_at = NEVER,
	};
	engine_init(&leases->engine);
	leases->changed_tail = &leases->changed;
	return heap_reserve(&leases->engine.queue, 2); /* the questions of its own */
}

void leases_free(struct leases *leases)
{
	heap_free(&leases->timers);
	engine_free(&leases->engine);
}
