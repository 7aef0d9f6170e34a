/* SPDX-License-Identifier: MIT */
#include "watch.h"

#include <inttypes.h>
#include <string.h>

enum { SENDS = 9, FIRST_WAIT = 250, FIVE_SENDS = 7750, RETRY_GAP = 4000, WINDOW = 30000 };

/* When the step of the series is sent: 0, 250, 750, 1750, ... */
static uint64_t series(unsigned step)
{
	uint64_t at = 0, wait = FIRST_WAIT;

	while (step--) {
		at += wait;
		wait *= 2;
	}
	return at;
}

static bool is_deletion(const struct watch *watch)
{
	static const uint8_t none[4];

	return watch->len == 12 && memcmp(watch->bytes + 8, none, 4) == 0;
}

static bool same(const struct watch *watch, const uint8_t *bytes, size_t len)
{
	return watch->len == len && memcmp(watch->bytes, bytes, len) == 0;
}

/* Is the step of the series due now the next one, and not more than that late? */
static bool retransmitted(struct watch *watch, uint64_t now, uint64_t late)
{
	unsigned step = watch->step;

	while (step + 1 < SENDS && watch->first + series(step + 1) <= now)
		step++;
	if (step == watch->step || now - watch->first - series(step) > late)
		return false;
	watch->step = step;
	return true;
}

void watch_sent(struct watch *watch, const struct leases *leases, uint64_t now, uint64_t late,
		const uint8_t *bytes, size_t len)
{
	uint64_t elapsed = now - watch->first;
	bool again = same(watch, bytes, len);
	/* Somebody is blocked until the address is told, and the next send was not near. */
	bool hurried = again && len == 2 && leases->address_askers &&
		       watch->first + series(watch->step + 1) + late >= now + FIRST_WAIT;
	bool given_up =
		elapsed >= FIVE_SENDS || (again && elapsed >= RETRY_GAP) || hurried ||
		(is_deletion(watch) && watch->is_over && watch->is_over(watch->arg, watch->bytes));

	/* The same bytes may begin another series: the core says which it is. */
	if (again && leases->engine.in_flight->first_sent != now) {
		WATCH(watch, watch->open, "sent again, though it was answered");
		WATCH(watch, retransmitted(watch, now, late),
		      "retransmission %" PRIu64 " ms after the first send is none of the series",
		      elapsed);
		return;
	}
	WATCH(watch, !watch->open || given_up,
	      "opcode %u port %u sent %" PRIu64 " ms after opcode %u port %u, which is unanswered",
	      bytes[1], bytes[4] << 8 | bytes[5], elapsed, watch->bytes[1],
	      watch->bytes[4] << 8 | watch->bytes[5]);
	/* One that made way for others and is asked again may have been asked before. */
	watch->asked = leases->engine.in_flight->asked_at;
	WATCH(watch, watch->asked <= now, "asked in the future");
	watch->open = true;
	watch->pcp_asked |= bytes[0] == 2;
	memcpy(watch->bytes, bytes, len);
	watch->len = len;
	watch->first = now;
	watch->step = 0;
}

/* Can that be the answer to the map request? Late ones to a deletion are none to a creation. */
static bool is_map_answer(const struct watch *watch, const uint8_t *bytes, size_t len)
{
	static const uint8_t none[4];
	const uint8_t *request = watch->bytes;
	bool error = bytes[2] | bytes[3];

	if (len < (error ? 10 : 16))
		return false;
	/* Of an error nothing is read behind the internal port. */
	bool deleted = !error && memcmp(bytes + 12, none, 4) == 0;
	bool nowhere = !error && memcmp(bytes + 10, none, 2) == 0;
	/* VPN gateways name the external port where 0 was asked for. */
	bool named = !error && !(request[4] | request[5]) && !deleted &&
		     memcmp(bytes + 8, bytes + 10, 2) == 0;
	if (!named && memcmp(bytes + 8, request + 4, 2) != 0)
		return false;
	return error || (is_deletion(watch) ? deleted : !deleted && !nowhere);
}

static bool is_answer(const struct watch *watch, const uint8_t *bytes, size_t len)
{
	const uint8_t *request = watch->bytes;
	bool pcp = request[0] == 2, answers = bytes[1] & 0x80, error = bytes[2] | bytes[3];

	if (bytes[0] == 2 && answers && bytes[3] == 1) /* a server of PCP only */
		return !pcp;
	if (bytes[0] == 2)
		return pcp && answers && !(bytes[1] & 0x7f) && !bytes[3] && len >= 24 &&
		       len <= 1100 && len % 4 == 0;
	if (bytes[0] == 0 && !bytes[2] && bytes[3] == 1) /* one of NAT-PMP only */
		return pcp || !watch->pcp_asked;
	if (bytes[0] || pcp || bytes[1] != (request[1] | 0x80))
		return false;
	if (!bytes[2] && bytes[3] == 5)
		return true;
	return request[1] ? is_map_answer(watch, bytes, len) : len >= (error ? 8 : 12);
}

void watch_answer(struct watch *watch, const uint8_t *bytes, size_t len)
{
	if (watch->open && len >= 4 && is_answer(watch, bytes, len))
		watch->open = false;
}

void watch_relinked(struct watch *watch)
{
	watch->open = watch->pcp_asked = false;
}

void watch_refused(struct watch *watch, const uint8_t *bytes, size_t len)
{
	/* What is quoted may be less than was sent, or more. */
	if (memcmp(watch->bytes, bytes, len < watch->len ? len : watch->len) == 0)
		watch->open = false;
}

void watch_taken_back(struct watch *watch, const struct leases *leases)
{
	uint8_t bytes[WIRE_REQUEST_MAX];
	const struct request *request = leases->engine.in_flight;

	if (!request ||
	    !same(watch, bytes, wire_encode(&request->wire, leases->engine.own_address, bytes)))
		watch->open = false;
}

static bool same_mapping(const struct lease_view *a, const struct lease_view *b)
{
	return a->external_port == b->external_port && a->external_address == b->external_address &&
	       a->internal_address == b->internal_address;
}

void watch_event(struct watch *watch, const struct lease *lease, struct lease_view *told,
		 const struct lease_view *before)
{
	const struct lease_view *is = &lease->told;

	WATCH(watch, before->status == told->status && same_mapping(before, told),
	      "port %u: the event says it was %d on %u, but what was told is %d on %u",
	      lease->internal_port, before->status, before->external_port, told->status,
	      told->external_port);
	WATCH(watch,
	      is->status != before->status ||
		      (is->status == NATPMP_OK && !same_mapping(is, before)),
	      "port %u: told twice: %d on %u", lease->internal_port, is->status, is->external_port);
	WATCH(watch, is->status != NATPMP_PENDING, "port %u: an event that tells nothing",
	      lease->internal_port);
	WATCH(watch, is->status != NATPMP_OK || is->external_port, "port %u: up without a port",
	      lease->internal_port);
	WATCH(watch, !lease->released && !lease->once, "port %u: an event nobody waits for",
	      lease->internal_port);
	if (is->status == NATPMP_OK)
		for (unsigned i = 0; i < lease->halves; i++)
			WATCH(watch, lease->half[i].external_port == is->external_port,
			      "port %u: up on %u, but a half of it is on %u", lease->internal_port,
			      is->external_port, lease->half[i].external_port);
	*told = *is;
}

void watch_settled(struct watch *watch, const struct leases *leases, uint64_t now)
{
	uint64_t deadline = leases_deadline(leases);

	WATCH(watch, deadline > now, "a busy loop: called at %" PRIu64 ", wants to be at %" PRIu64,
	      now, deadline);
	if (leases->recovered_at == watch->recovered_at)
		return;
	WATCH(watch, !watch->recovered_at || leases->recovered_at - watch->recovered_at >= WINDOW,
	      "two recoveries within %" PRIu64 " ms", leases->recovered_at - watch->recovered_at);
	watch->recovered_at = leases->recovered_at;
}
