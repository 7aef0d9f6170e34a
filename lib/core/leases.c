/* SPDX-License-Identifier: MIT */
#include "core/leases.h"

#include "core/address.h"

/* splitmix64: for delays and suggestions, nothing that must not be guessed */
uint64_t leases_random(struct leases *leases)
{
	uint64_t z = leases->random += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* --- events --- */

void leases_note_change(struct leases *leases, struct lease *lease)
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
		if (lease->told.status == NATPMP_OK)
			lease->failures = 0;
		return lease;
	}
	return NULL;
}

/* --- questions of its own --- */

static void set_address(struct leases *leases, uint32_t address, bool settled)
{
	bool changed = leases->address != address || leases->address_settled != settled;

	leases->address = address;
	leases->address_settled = settled;
	for (struct lease *lease = leases->all; lease && changed; lease = lease->next)
		lease_look(leases, lease);
}

static void submit_address(struct leases *leases, uint64_t now, bool blocks)
{
	struct request *request = &leases->address_request;
	bool doubted = !blocks && leases->address_failures;

	request->wire.opcode = WIRE_ADDRESS;
	/* One small question that all who come up wait for; but when it was in vain, they do not.
	 */
	request->due = doubted || request->made_way ? NEVER : 0;
	request->blocks = blocks;
	request->waits = !blocks;
	leases->address_asked = now;
	leases->address_doubtful = false;
	engine_submit(&leases->engine, request, !doubted);
}

void leases_want_address(struct leases *leases, uint64_t now)
{
	leases->address_wanted = true;
	leases->address_retry_at = NEVER;
	if (!leases->address_settled && leases->address_settle_at == NEVER)
		leases->address_settle_at = now + ENGINE_PATIENCE;
	if (leases->address_request.state == REQUEST_IDLE)
		submit_address(leases, now, false);
}

void leases_ask_address(struct leases *leases, uint64_t now)
{
	struct request *request = &leases->address_request;

	leases->address_askers++;
	if (request->state == REQUEST_IDLE || request->state == REQUEST_QUEUED)
		submit_address(leases, now, true);
	else
		engine_begin_again(&leases->engine, request, now);
}

/* Nobody cares any more: it is not to keep the next question waiting. */
static void drop_address(struct leases *leases)
{
	if (!leases->address_wanted && !leases->address_askers)
		engine_cancel(&leases->engine, &leases->address_request);
}

void leases_forget_address(struct leases *leases)
{
	leases->address_askers--;
	drop_address(leases);
}

static void stop_asking(struct leases *leases, struct lease *lease)
{
	if (lease->asks_address)
		leases_forget_address(leases);
	lease->asks_address = false;
}

static void submit_pcp(struct leases *leases, uint64_t now)
{
	struct request *request = &leases->pcp_request;

	request->wire.opcode = WIRE_PCP_ANNOUNCE;
	request->due = request->made_way ? NEVER : now + LEASE_HURRY;
	request->blocks = true;
	engine_submit(&leases->engine, request, true);
}

void leases_ask_pcp(struct leases *leases, uint64_t now)
{
	leases->pcp_askers++;
	if (leases->pcp_request.state == REQUEST_IDLE)
		submit_pcp(leases, now);
}

void leases_forget_pcp(struct leases *leases)
{
	if (!--leases->pcp_askers)
		engine_cancel(&leases->engine, &leases->pcp_request);
}

static void pcp_ended(struct leases *leases, uint64_t now)
{
	if (leases->pcp_request.made_way)
		submit_pcp(leases, now);
	else
		leases->pcp_serial++;
}

static void address_ended(struct leases *leases, uint64_t now)
{
	struct request *request = &leases->address_request;
	bool refused = request->status <= NATPMP_E_VERSION;

	if (request->made_way && leases->address_askers) {
		submit_address(leases, now, true);
		return;
	}
	request->made_way = false;
	/* A good answer was adopted when it came. */
	leases->address_status = request->status;
	leases->address_serial++;
	leases->address_wanted = false;
	leases->address_settle_at = leases->address_retry_at = NEVER;
	set_address(leases, refused ? 0 : leases->address, true);
	leases->address_failures = leases->address ? 0 : leases->address_failures + 1;
	if (!leases->address && leases->holds)
		leases->address_retry_at = now + lease_retry_delay(NATPMP_E_NO_RESOURCES,
								   leases->address_failures - 1);
}

static void adopt_address(struct leases *leases, const struct wire_answer *answer)
{
	if (answer->kind == WIRE_ANSWER && answer->opcode == WIRE_ADDRESS && !answer->result)
		set_address(leases, address_is_usable(answer->address) ? answer->address : 0,
			    leases->address_settled);
}

/* --- what concerns all --- */

static void step_all(struct leases *leases, uint64_t now)
{
	for (struct lease *lease = leases->all; lease; lease = lease->next)
		if (!lease->finished)
			lease_step(leases, lease, now);
}

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
			if (!lease_trusted(leases, half) && half->down > NATPMP_E_BAD_ANSWER)
				lease_lose(half, reach);
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
			half->failures = 1;
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

/* What was granted to a blocking call is gone before that has ended. Nobody waits any longer for
 * that than need be. */
static void ask_blocked_again(struct leases *leases, uint64_t now)
{
	for (struct lease *lease = leases->all; lease; lease = lease->next)
		for (unsigned i = 0; i < lease->halves; i++) {
			struct half *half = &lease->half[i];
			if (!lease->once || lease->goal != LEASE_HOLD || !half->expires ||
			    lease_trusted(leases, half))
				continue;
			half->expires = 0;
			half->act_at = now;
			if (leases->address_request.state == REQUEST_IDLE)
				stop_asking(leases, lease); /* what was told is as old as that */
			lease_step(leases, lease, now);
		}
}

/* The gateway seems to have forgotten us: re-create all after a random delay (section 3.7);
 * more such signs in the meantime change nothing, later ones wait for the next window. */
static void see_generation(struct leases *leases, uint64_t now)
{
	if (leases->generation == leases->engine.generation)
		return;
	leases->generation = leases->engine.generation;
	ask_blocked_again(leases, now);
	if (leases->recover_at != NEVER || !leases->holds)
		return;
	uint64_t at = now + leases_random(leases) % (LEASE_RECOVERY_DELAY + 1);
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
		for (unsigned i = 0; i < lease->halves; i++) {
			struct half *half = &lease->half[i];
			if (lease->goal != LEASE_HOLD || lease->once ||
			    half->request.state == REQUEST_IN_FLIGHT || lease_trusted(leases, half))
				continue;
			/* A renewal that was in the queue is no longer as patient as it was. */
			engine_cancel(&leases->engine, &half->request);
			half->act_at = now;
		}
	leases->address_doubtful = true; /* the first that is granted asks */
	step_all(leases, now);
}

/* --- the clock --- */

static void request_ended(struct leases *leases, struct request *request, uint64_t now)
{
	if (request == &leases->address_request) {
		address_ended(leases, now);
		return;
	}
	if (request == &leases->pcp_request) {
		pcp_ended(leases, now);
		return;
	}
	lease_ended(leases, container_of(request, struct half, request), now);
}

static void take_ended(struct leases *leases, uint64_t now)
{
	struct request *request;

	while ((request = engine_ended(&leases->engine)))
		request_ended(leases, request, now);
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
		if (leases->holds)
			ask_all(leases, now);
	}
	if (leases->address_settle_at <= now) {
		leases->address_settle_at = NEVER;
		set_address(leases, leases->address, true);
	}
	if (leases->address_retry_at <= now)
		leases_want_address(leases, now);
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
	at = earlier(at, earlier(leases->address_retry_at, leases->address_settle_at));
	return earlier(at, leases->recover_at);
}

/* --- from outside --- */

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
	if (answer.kind == WIRE_PCP_ANNOUNCEMENT && leases->holds)
		leases->address_retry_at = earlier(leases->address_retry_at, at > now ? at : now);
}

void leases_relink(struct leases *leases, uint64_t now, int status, uint32_t own_address)
{
	engine_relink(&leases->engine, status, own_address);
	leases->generation = leases->engine.generation;
	leases->reach = leases->engine.reach;
	leases->recover_at = NEVER;
	leases->recovered_at = 0;
	leases->address_failures = 0;
	set_address(leases, 0, false);
	leases->address_settle_at = leases->address_retry_at = NEVER;
	ask_blocked_again(leases, now);
	for (struct lease *lease = leases->all; lease && status; lease = lease->next)
		for (unsigned i = 0; i < lease->halves; i++)
			if (lease->goal != LEASE_CLOSE)
				lease_lose(&lease->half[i], status);
	if (status == NATPMP_OK && leases->holds)
		ask_all(leases, now);
	else
		step_all(leases, now);
}

/* A deletion to say farewell with, if the gateway may have a mapping and was told of none. */
static bool part(struct leases *leases, struct half *half)
{
	struct request *request = &half->request;
	bool maybe = half->maybe || half->left;

	half->maybe = half->left = false;
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

/* --- the program --- */

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
static void inherit(struct leases *leases, struct half *half, enum lease_goal goal, uint64_t now)
{
	for (struct lease *other = leases->all; other; other = other->next)
		for (unsigned i = 0; i < other->halves; i++) {
			struct half *old = &other->half[i];
			/* Two calls that wait for the same: each has its own. */
			if (other->goal != LEASE_CLOSE || other->finished || !old->maybe ||
			    !other->internal_port || (other->once && goal == LEASE_CLOSE) ||
			    other->internal_port != half->lease->internal_port ||
			    old->request.wire.opcode != half->request.wire.opcode)
				continue;
			old->maybe = false;
			half->maybe = true;
			half->gone_by = old->gone_by;
			half->lease->owes = true;
			lease_step(leases, other, now);
		}
}

static bool is_hold(const struct lease *lease)
{
	return !lease->once && lease->goal != LEASE_CLOSE;
}

/* It is not to be kept any more. */
static void leave(struct leases *leases, struct lease *lease)
{
	forget_change(leases, lease);
	if (is_hold(lease) && !--leases->holds) {
		leases->address_wanted = false;
		leases->address_settle_at = leases->address_retry_at = NEVER;
		drop_address(leases);
	}
	stop_asking(leases, lease);
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
		inherit(leases, half, goal, now);
		if (goal == LEASE_CLOSE)
			half->maybe = true;
	}
	lease->view.status = lease->told.status = NATPMP_PENDING;
	lease->close_by = NEVER;
	lease->open_by = lease->patience ? now + lease->patience : 0;
	leases->holds += is_hold(lease);
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

	leave(leases, lease);
	lease->goal = LEASE_CLOSE;
	lease->open_by = lease->close_by = 0;
	for (unsigned i = 0; i < lease->halves; i++) {
		const struct half *half = &lease->half[i];
		/* Past its expiry there is nothing to delete any more (section 3.1). */
		uint64_t by = half->expires ? earlier(series, half->gone_by) : series;
		lease->close_by = by > lease->close_by ? by : lease->close_by;
		lease->half[i].maybe |= lease->half[i].left;
		lease->half[i].act_at = now;
	}
	lease_step(leases, lease, now);
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

void leases_drop(struct leases *leases, struct lease *lease)
{
	leave(leases, lease);
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
