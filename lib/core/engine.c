/* SPDX-License-Identifier: MIT */
#include "core/engine.h"

#include <string.h>

#include "natpmpc.h"

void engine_init(struct engine *engine)
{
	*engine = (struct engine){.reach = NATPMP_PENDING, .next_send = NEVER};
	engine->ended_tail = &engine->ended;
}

void engine_free(struct engine *engine)
{
	heap_free(&engine->queue);
}

/* --- the queue --- */

static void enqueue(struct engine *engine, struct request *request)
{
	request->state = REQUEST_QUEUED;
	heap_set(&engine->queue, &request->node, request->due, engine->serial++);
}

static struct request *queued(const struct engine *engine, size_t i)
{
	return container_of(engine->queue.nodes[i], struct request, node);
}

/* Not before: the end of a pause for who is not fresh, of a delay for who waits. */
static uint64_t free_at(const struct engine *engine, const struct request *request)
{
	uint64_t pause = request->fresh ? 0 : engine->pause_until;
	uint64_t delay = request->waits ? engine->hold_off : 0;

	return pause > delay ? pause : delay;
}

/* Who goes next: the soonest due of those who may. NULL: nobody may now. */
static struct request *next(const struct engine *engine, uint64_t now)
{
	struct request *best = NULL;

	if (engine->queue.count && engine->pause_until <= now && engine->hold_off <= now)
		return queued(engine, 0);
	for (size_t i = 0; i < engine->queue.count; i++) {
		struct request *request = queued(engine, i);
		if (free_at(engine, request) <= now &&
		    (!best || heap_before(&request->node, &best->node)))
			best = request;
	}
	return best;
}

void engine_submit(struct engine *engine, struct request *request, bool fresh)
{
	request->asked_at = 0;
	if (!request->blocks || !request->made_way)
		request->hint = 0;
	request->fresh = fresh;
	enqueue(engine, request);
}

static void land(struct engine *engine)
{
	engine->in_flight = NULL;
	engine->next_send = NEVER;
}

void engine_cancel(struct engine *engine, struct request *request)
{
	if (request->state == REQUEST_IN_FLIGHT)
		land(engine);
	heap_remove(&engine->queue, &request->node);
	if (request->state == REQUEST_ENDED) {
		struct request **at = &engine->ended;
		while (*at != request)
			at = &(*at)->next_ended;
		*at = request->next_ended;
		if (!*at)
			engine->ended_tail = at;
	}
	request->state = REQUEST_IDLE;
	request->made_way = false;
}

struct request *engine_ended(struct engine *engine)
{
	struct request *request = engine->ended;

	if (request) {
		engine->ended = request->next_ended;
		if (!engine->ended)
			engine->ended_tail = &engine->ended;
		request->state = REQUEST_IDLE;
	}
	return request;
}

/* The request in flight has ended. */
static void end(struct engine *engine, int status, const struct wire_answer *answer)
{
	struct request *request = engine->in_flight;

	land(engine);
	request->state = REQUEST_ENDED;
	request->status = status;
	request->made_way = false;
	request->answer = answer ? *answer : (struct wire_answer){0};
	request->next_ended = NULL;
	*engine->ended_tail = request;
	engine->ended_tail = &request->next_ended;
}

/* --- sending: 0, 250, 750, 1750, ... 63750 ms after the first, over at 127750 --- */

static uint64_t series(unsigned sends)
{
	return (uint64_t)ENGINE_FIRST_WAIT * ((1U << sends) - 1);
}

static void begin(struct engine *engine, uint64_t now)
{
	engine->sends = 0;
	engine->next_send = now;
	engine->heard = false;
}

static void take_off(struct engine *engine, struct request *request, uint64_t now)
{
	heap_remove(&engine->queue, &request->node);
	request->state = REQUEST_IN_FLIGHT;
	if (!request->asked_at)
		request->asked_at = now;
	engine->taken_off = engine->serial;
	engine->in_flight = request;
	begin(engine, now);
}

void engine_begin_again(struct engine *engine, struct request *request, uint64_t now)
{
	if (request->state == REQUEST_IN_FLIGHT && !engine->queue.count &&
	    free_at(engine, request) <= now && request->last_sent < now &&
	    engine->next_send >= now + ENGINE_FIRST_WAIT)
		begin(engine, now);
}

/* It came when the one in flight was asked already, or somebody is blocked by it. */
static bool survives_pause(const struct engine *engine, const struct request *request)
{
	return request->fresh && (request->node.tie >= engine->taken_off || request->blocks);
}

/* The gateway is not to be spoken to now: try again after a pause, longer each time. */
static void pause_from(struct engine *engine, uint64_t last_sent, int reach)
{
	engine->reach = reach;
	engine->pause = engine->pause ? engine->pause * 2 : ENGINE_PAUSE_MIN;
	if (engine->pause > ENGINE_PAUSE_MAX)
		engine->pause = ENGINE_PAUSE_MAX;
	engine->pause_until = last_sent + engine->pause;

	/* It was in vain for all who waited then. */
	for (size_t i = 0; i < engine->queue.count; i++)
		if (!survives_pause(engine, queued(engine, i)))
			queued(engine, i)->fresh = false;
}

static void give_up(struct engine *engine, bool makes_way)
{
	struct request *request = engine->in_flight;
	int silence = engine->sends == ENGINE_SENDS && !makes_way ? NATPMP_E_NO_SERVICE
								  : NATPMP_E_TIMEOUT;

	if (!engine->heard) {
		pause_from(engine, request->last_sent, engine->reach);
		engine->unheard++;
	}
	end(engine, request->hint ? request->hint : silence, NULL);
	request->made_way = makes_way;
}

/* When is the one in flight to make way, having had its five sends? NEVER: for nobody. One that
 * would be asked again at once makes no way for those whom the pause stops that begins then, if
 * there was one already: the first is too short for that. */
static uint64_t way_at(const struct engine *engine)
{
	const struct request *request = engine->in_flight;
	uint64_t patience = request->first_sent + ENGINE_PATIENCE, at = NEVER;
	bool stops = request->blocks && !engine->heard && engine->pause;

	if (!engine->sends)
		return NEVER;
	for (size_t i = 0; i < engine->queue.count && at; i++) {
		const struct request *other = queued(engine, i);
		bool goes = !stops || survives_pause(engine, other);
		uint64_t from = request->blocks && other->waits ? engine->hold_off : 0;
		if (goes && from < at)
			at = from;
	}
	return at > patience ? at : patience;
}

/* The step of the series is due: send again, or make way. */
static bool may_send(struct engine *engine, uint64_t now, bool makes_way)
{
	const struct request *request = engine->in_flight;
	uint64_t elapsed = now - request->first_sent;
	bool patience_over = elapsed >= ENGINE_PATIENCE;

	/* One question may be ignored for itself; if there is another, hear what becomes of that
	 * before the gateway is called silent. */
	if (patience_over && !engine->heard && engine->reach != NATPMP_E_REFUSED &&
	    (engine->unheard || !engine->queue.count))
		engine->reach = request->hint == NATPMP_E_UNREACHABLE ? NATPMP_E_UNREACHABLE
								      : NATPMP_E_TIMEOUT;
	bool complete = elapsed >= series(ENGINE_SENDS);
	if (complete || makes_way)
		give_up(engine, !complete);
	return !complete && !makes_way;
}

size_t engine_output(struct engine *engine, uint64_t now, uint8_t bytes[WIRE_REQUEST_MAX])
{
	for (;;) {
		if (!engine->in_flight) {
			struct request *request =
				engine_has_no_link(engine) ? NULL : next(engine, now);
			if (!request)
				return 0;
			take_off(engine, request, now);
		}
		/* Somebody waits behind one who has had his five sends: do not make him wait on. */
		bool makes_way = way_at(engine) <= now;
		if (now < engine->next_send && !makes_way)
			return 0;
		if (!engine->sends)
			engine->in_flight->first_sent = now;
		if (!may_send(engine, now, makes_way))
			continue;
		/* From the first send on, so that late wake-ups do not stretch the series; steps
		 * missed altogether are skipped, not made up for. */
		while (engine->sends < ENGINE_SENDS &&
		       engine->in_flight->first_sent + series(engine->sends) <= now)
			engine->sends++;
		engine->next_send = engine->in_flight->first_sent + series(engine->sends);
		engine->in_flight->last_sent = now;
		engine->pcp_asked |= engine->in_flight->wire.opcode == WIRE_PCP_ANNOUNCE;
		return wire_encode(&engine->in_flight->wire, engine->own_address, bytes);
	}
}

uint64_t engine_deadline(const struct engine *engine)
{
	if (engine->in_flight) {
		uint64_t way = way_at(engine);
		return way < engine->next_send ? way : engine->next_send;
	}
	uint64_t at = NEVER;
	for (size_t i = 0; i < engine->queue.count && at && !engine_has_no_link(engine); i++) {
		uint64_t free = free_at(engine, queued(engine, i));
		at = free < at ? free : at;
	}
	return at;
}

/* --- receiving --- */

static int status_of(uint16_t result)
{
	static const int of[] = {
		NATPMP_OK,
		NATPMP_E_VERSION,
		NATPMP_E_NOT_AUTHORIZED,
		NATPMP_E_NETWORK_FAILURE,
		NATPMP_E_NO_RESOURCES,
		NATPMP_E_OPCODE,
	};

	return result < sizeof(of) / sizeof(of[0]) ? of[result] : NATPMP_E_RESULT;
}

static void listen_to(struct engine *engine, uint64_t now, const struct wire_answer *answer)
{
	if (answer->kind == WIRE_JUNK)
		return;
	engine->heard = true;
	engine->unheard = 0;
	engine->reach = NATPMP_OK;
	engine->pause = engine->pause_until = 0;
	if (answer->has_epoch && epoch_restarted(&engine->epoch, answer->epoch, now))
		engine->generation++;
}

/* Is that the answer to this map request? There is no transaction id: the opcode, the internal
 * port, and what can be told from the lifetime, for a late answer to a deletion must not pass
 * for one to a creation (nor the other way round). */
static bool matches(struct request *request, const struct wire_answer *answer)
{
	uint16_t port = answer->internal_port;
	bool creating = request->wire.lifetime != 0;

	if (request->wire.opcode == WIRE_ADDRESS)
		return true;
	if (port != request->wire.internal_port &&
	    !(request->any_port && port == answer->external_port))
		return false;
	if (answer->result)
		return true;
	if (!creating)
		return answer->lifetime == 0;
	if (answer->external_port && answer->lifetime)
		return true;
	request->hint = NATPMP_E_BAD_ANSWER;
	return false;
}

/* What still comes from a gateway that we turned away from says nothing. */
static struct wire_answer decode(const struct engine *engine, const uint8_t *bytes, size_t len)
{
	return wire_decode(bytes, engine_has_no_link(engine) ? 0 : len);
}

/* A gateway thought to be dead was heard: who has had his five sends begins anew. */
static void begin_anew(struct engine *engine, uint64_t now, int reach_before)
{
	struct request *request = engine->in_flight;

	if (request && reach_before < NATPMP_OK && engine->reach == NATPMP_OK &&
	    now - request->first_sent >= ENGINE_PATIENCE) {
		land(engine);
		enqueue(engine, request);
	}
}

struct wire_answer engine_input(struct engine *engine, uint64_t now, const uint8_t *bytes,
				size_t len)
{
	struct wire_answer answer = decode(engine, bytes, len);
	struct request *request = engine->in_flight;
	int before = engine->reach;
	bool pcp = request && request->wire.opcode == WIRE_PCP_ANNOUNCE;

	listen_to(engine, now, &answer);
	if (!request)
		return answer;
	switch (answer.kind) {
	case WIRE_ANSWER:
		if (answer.opcode == request->wire.opcode && matches(request, &answer))
			end(engine, status_of(answer.result), &answer);
		break;
	case WIRE_BAD_OPCODE:
		if (answer.opcode == request->wire.opcode)
			end(engine, NATPMP_E_OPCODE, &answer);
		break;
	case WIRE_BAD_VERSION:
		/* Names no request. Ours is the only one unanswered; but after a PCP question it is
		 * a late answer to a repetition of that, from one who speaks version 0. */
		if (pcp || !engine->pcp_asked)
			end(engine, NATPMP_E_VERSION, &answer);
		break;
	case WIRE_PCP_ONLY:
		if (!pcp) /* else: late, and for an earlier request of version 0 */
			end(engine, NATPMP_E_VERSION, &answer);
		break;
	case WIRE_PCP_ANNOUNCEMENT:
		if (pcp)
			end(engine, NATPMP_OK, &answer);
		break;
	case WIRE_JUNK:
		break;
	}
	begin_anew(engine, now, before);
	return answer;
}

struct wire_answer engine_announcement(struct engine *engine, uint64_t now, const uint8_t *bytes,
				       size_t len)
{
	struct wire_answer answer = decode(engine, bytes, len);

	/* Only these two are announcements; a map answer has no business on this port. */
	if (answer.kind != WIRE_PCP_ANNOUNCEMENT &&
	    (answer.kind != WIRE_ANSWER || answer.opcode != WIRE_ADDRESS))
		answer = (struct wire_answer){.kind = WIRE_JUNK};
	int before = engine->reach;
	listen_to(engine, now, &answer);
	begin_anew(engine, now, before);
	return answer;
}

void engine_icmp(struct engine *engine, uint64_t now, const uint8_t *bytes, size_t len, int status)
{
	struct request *request = engine->in_flight;
	uint8_t ours[WIRE_REQUEST_MAX];

	if (!request)
		return;
	/* Routers quote 8 bytes behind the IP header at least, so maybe none of ours (RFC 792), or
	 * padded (RFC 4884): what there is must be ours, or it is for an earlier request. */
	size_t whole = wire_encode(&request->wire, engine->own_address, ours);
	if (memcmp(ours, bytes, len < whole ? len : whole) != 0)
		return;
	if (status != NATPMP_E_REFUSED) {
		request->hint = status;
		return;
	}
	pause_from(engine, now, NATPMP_E_REFUSED);
	end(engine, NATPMP_E_REFUSED, NULL);
}

bool engine_seems_silent(const struct engine *engine)
{
	return engine->reach == NATPMP_PENDING && engine->in_flight && engine->sends >= 3;
}

bool engine_has_no_link(const struct engine *engine)
{
	return engine->reach < NATPMP_OK && engine->reach > NATPMP_E_TIMEOUT;
}

void engine_relink(struct engine *engine, int status, uint32_t own_address)
{
	struct request *request = engine->in_flight;

	if (request) {
		land(engine);
		request->asked_at = 0;
		enqueue(engine, request);
	}
	engine->epoch = (struct epoch){0};
	engine->pcp_asked = false;
	engine->unheard = 0;
	engine->generation++;
	engine->reach = status == NATPMP_OK ? NATPMP_PENDING : status;
	engine->pause = engine->pause_until = engine->hold_off = 0;
	engine->own_address = own_address;
}
