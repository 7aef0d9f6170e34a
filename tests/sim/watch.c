/* SPDX-License-Identifier: MIT */
#include "watch.h"

#include <inttypes.h>
#include <string.h>

enum { SENDS = 9, FIRST_WAIT = 250, FIVE_SENDS = 7750, WINDOW = 30000 };

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

void watch_sent(struct watch *watch, const struct client *client, uint64_t now, uint64_t late,
		const uint8_t *bytes, size_t len)
{
	uint64_t elapsed = now - watch->first;
	bool again = same(watch, bytes, len);
	/* A caller begins to wait for the address, and the next send was not near. */
	bool is_called = client->external.callers || watch->called_at >= watch->first;
	bool hurried = again && (len == 12 || is_called) &&
		       watch->first + series(watch->step + 1) + late >= now + FIRST_WAIT;
	const struct external *external = &client->external;
	/* The wait for the address is over, so the question was taken back. */
	bool is_unwanted = watch->len == 2 && watch->bytes[0] == 0 && !external->callers &&
			   external->question.state == QUESTION_IDLE;
	/* A deletion is over when the lifetime of the mapping is. */
	bool given_up = is_unwanted || elapsed >= FIVE_SENDS || (again && watch->step >= 4) ||
			hurried || (watch->len == 12 && is_deletion(watch));

	/* The same bytes may begin another series: the core says which it is. */
	if (again && client->gateway.series.first_sent_at != now) {
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
	watch->open = true;
	watch->pcp_asked |= bytes[0] == 2;
	memcpy(watch->bytes, bytes, len);
	watch->len = len;
	watch->first = now;
	watch->step = 0;
}

static unsigned port_at(const uint8_t *bytes)
{
	return (unsigned)bytes[0] << 8 | bytes[1];
}

/* Can that be the answer to the map request? A late one to a deletion is none to a creation. */
static bool is_map_answer(const struct watch *watch, const uint8_t *bytes, size_t len)
{
	static const uint8_t none[4];
	const uint8_t *request = watch->bytes;

	if (bytes[2] | bytes[3]) {
		/* A refusal may be too short to name the port, or have the request's layout. Of a
		 * longer one nothing is read behind the internal port. */
		if (len < 10 || (len == 12 && port_at(request + 4) &&
				 port_at(bytes + 4) == port_at(request + 4)))
			return true;
		return port_at(bytes + 8) == port_at(request + 4);
	}
	if (len < 16)
		return false;
	bool deleted = memcmp(bytes + 12, none, 4) == 0;
	/* VPN gateways name the external port where 0 was asked for. */
	bool named = !port_at(request + 4) && !deleted && port_at(bytes + 8) == port_at(bytes + 10);
	if (!named && port_at(bytes + 8) != port_at(request + 4))
		return false;
	return is_deletion(watch) ? deleted : !deleted && port_at(bytes + 10);
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
	return request[1] ? is_map_answer(watch, bytes, len) : len >= (error ? 4 : 12);
}

void watch_answer(struct watch *watch, const uint8_t *bytes, size_t len)
{
	if (watch->open && len >= 4 && is_answer(watch, bytes, len))
		watch->open = false;
}

void watch_relinked(struct watch *watch)
{
	watch->open = watch->pcp_asked = false;
	watch->relinked = true;
}

void watch_refused(struct watch *watch, const uint8_t *bytes, size_t len)
{
	/* What is quoted may be less than was sent, or more. */
	if (memcmp(watch->bytes, bytes, len < watch->len ? len : watch->len) == 0)
		watch->open = false;
}

void watch_taken_back(struct watch *watch, const struct client *client)
{
	const struct gateway *gateway = &client->gateway;
	const struct question *question = gateway->in_flight;
	uint8_t bytes[REQUEST_MAX];

	size_t len = question ? gateway_encode(gateway,
					       watch->bytes[0] == 2 ? DIALECT_PCP : DIALECT_NATPMP,
					       &question->message, bytes)
			      : 0;

	if (!question || !same(watch, bytes, len))
		watch->open = false;
}

static bool same_mapping(const struct lease_view *a, const struct lease_view *b)
{
	return a->external_port == b->external_port &&
	       ip_is_equal(&a->external_address, &b->external_address) &&
	       ip_is_equal(&a->internal_address, &b->internal_address);
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
	if (is->status == NATPMP_OK)
		for (unsigned i = 0; i < lease->count; i++)
			WATCH(watch, lease->grants[i]->external_port == is->external_port,
			      "port %u: up on %u, but one of its grants is on %u",
			      lease->internal_port, is->external_port,
			      lease->grants[i]->external_port);
	if (is->status == NATPMP_OK && lease->is_exact)
		WATCH(watch, is->external_port == lease->suggested_port,
		      "port %u: up on %u, but only %u is wanted", lease->internal_port,
		      is->external_port, lease->suggested_port);
	*told = *is;
}

void watch_settled(struct watch *watch, const struct client *client, uint64_t now)
{
	uint64_t deadline = client_next_deadline(client, now);
	uint64_t forgot_at = client->gateway.reboot.forgot_at;

	WATCH(watch, deadline > now, "a busy loop: called at %" PRIu64 ", wants to be at %" PRIu64,
	      now, deadline);
	if (forgot_at == watch->forgot_at)
		return;
	/* However many packets show a restart: one recovery in 30 s. */
	WATCH(watch, watch->relinked || !watch->reboot_at || forgot_at - watch->reboot_at >= WINDOW,
	      "two reboots within %" PRIu64 " ms", forgot_at - watch->reboot_at);
	watch->forgot_at = forgot_at;
	watch->reboot_at = watch->relinked ? 0 : forgot_at;
	watch->relinked = false;
}

/* --- records --- */

static void look_at_record(struct watch *watch, const struct client *client,
			   const struct grant *grant)
{
	const struct message *key = &grant->question.message;
	const struct lease *lease = grant->wanted_by;
	bool is_in_flight = client->gateway.in_flight == &grant->question;
	bool is_mine = !lease;

	WATCH(watch, registry_find(&client->registry, key->protocol, key->internal_port) == grant,
	      "port %u: the record is not in the registry", key->internal_port);
	WATCH(watch, is_in_flight == (grant->question.state == QUESTION_IN_FLIGHT),
	      "port %u: its question is in state %d", key->internal_port, grant->question.state);
	WATCH(watch,
	      (grant->question.turn.place != 0) == (grant->question.state == QUESTION_WAITING),
	      "port %u: in a lane, in state %d", key->internal_port, grant->question.state);
	for (unsigned i = 0; lease && i < lease->count; i++)
		is_mine |= lease->grants[i] == grant;
	WATCH(watch, is_mine, "port %u: wanted by a lease that has another record",
	      key->internal_port);
	/* Something is to come of each record: its own timer, its question, or its other half's. */
	WATCH(watch, lease || grant->timer.place || grant->question.state != QUESTION_IDLE,
	      "port %u: nobody wants it, and nothing is to become of it", key->internal_port);
}

void watch_records(struct watch *watch, struct client *client)
{
	const struct grant *grant = NULL;
	uint64_t granted_at = 0;
	size_t count = 0, granted = 0;

	while ((grant = registry_next(&client->registry, grant))) {
		look_at_record(watch, client, grant);
		WATCH(watch, grant->is_granted == list_is_linked(&grant->list),
		      "port %u: granted and not in the list, or the reverse",
		      grant->question.message.internal_port);
		granted += grant->is_granted;
		count++;
	}
	for (struct list *node = client->granted.next; node != &client->granted;
	     node = node->next) {
		grant = container_of(node, struct grant, list);
		WATCH(watch, grant->granted_at >= granted_at,
		      "port %u: granted before the one that is first in the list",
		      grant->question.message.internal_port);
		granted_at = grant->granted_at;
		granted--;
	}
	WATCH(watch, !granted, "%zu granted records too few in the list", granted);
	WATCH(watch, count == client->registry.count, "%zu records found, %zu counted", count,
	      client->registry.count);
	WATCH(watch,
	      client->holds || client->external.callers ||
		      client->external.question.state != QUESTION_WAITING,
	      "nothing is held, and the address is asked for");
}
