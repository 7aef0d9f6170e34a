/* SPDX-License-Identifier: MIT */
#include "watch.h"

#include <inttypes.h>
#include <string.h>

enum {
	SENDS = 9, /* of NAT-PMP's series */
	FIRST_WAIT = 250,
	TURN_LENGTH = 7750,
	SINGLE_LENGTH = 2000,
	DOUBTFUL_LENGTH = 1750, /* in a dialect that the gateway seems not to speak */
	WINDOW = 30000,
	ANSWERED_WITHIN = 127750, /* ms after the last send */
	PCP_GAP_MIN = 2700,       /* ms; the first one lasts from here ... */
	PCP_GAP_MAX = 3300,       /* ... to here */
	PCP_LENGTH_MAX = 1100,
};

/* When the step of NAT-PMP's series is sent: 0, 250, 750, 1750, ... */
static uint64_t series(unsigned step)
{
	uint64_t at = 0, wait = FIRST_WAIT;

	while (step--) {
		at += wait;
		wait *= 2;
	}
	return at;
}

static bool is_same(const struct watch_sends *sends, const uint8_t *bytes, size_t len)
{
	return sends->len == len && memcmp(sends->bytes, bytes, len) == 0;
}

static bool is_open(const struct watch *watch)
{
	return watch->in[DIALECT_PCP].open || watch->in[DIALECT_NATPMP].open;
}

static void close_all(struct watch *watch)
{
	for (enum dialect_id id = 0; id < DIALECTS; id++)
		watch->in[id].open = false;
	watch->may_be_answered = false;
}

/* --- what is sent --- */

/* Is the step of NAT-PMP's series due now the next one, and not more than that late? */
static bool is_natpmp_step(struct watch_sends *sends, uint64_t now, uint64_t late)
{
	unsigned step = sends->step;

	while (step + 1 < SENDS && sends->first + series(step + 1) <= now)
		step++;
	if (step == sends->step || now - sends->first - series(step) > late)
		return false;
	sends->step = step;
	return true;
}

/* RFC 6887 section 8.1.1: 3 s, then twice the gap before, each a tenth longer or shorter. When the
 * sends were planned is known up to how late the core was called. */
static bool is_pcp_step(struct watch_sends *sends, uint64_t now, uint64_t late)
{
	uint64_t low = sends->step ? sends->gap_low * 18 / 10 - 2 : PCP_GAP_MIN;
	uint64_t high = sends->step ? sends->gap_high * 22 / 10 + 2 : PCP_GAP_MAX;
	uint64_t least = now - late > sends->high ? now - late - sends->high : 0;
	uint64_t most = now - sends->low;

	sends->step++;
	if (most < low || (least > high && late < PCP_GAP_MIN))
		return false;
	/* So late that some were skipped: this gap may be any of the later ones. */
	sends->gap_low = late < PCP_GAP_MIN && least > low ? least : low;
	sends->gap_high = late >= PCP_GAP_MIN || most < high ? most : high;
	sends->low = late < now - sends->low ? now - late : sends->low;
	sends->high = now;
	return true;
}

static void begin_sends(struct watch_sends *sends, uint64_t now, const uint8_t *bytes, size_t len)
{
	*sends = (struct watch_sends){
		.len = len, .open = true, .first = now, .low = now, .high = now};
	memcpy(sends->bytes, bytes, len);
}

/* Another packet of the question in flight. */
static void check_next_send(struct watch *watch, enum dialect_id id, uint64_t now, uint64_t late,
			    const uint8_t *bytes, size_t len)
{
	struct watch_sends *sends = &watch->in[id];

	if (!sends->len) {
		WATCH(watch, is_open(watch) || watch->is_rejected || watch->may_be_answered,
		      "sent in another dialect, though it was answered");
		WATCH(watch, watch->is_rejected || now >= watch->first + FIRST_WAIT,
		      "sent in another dialect after %" PRIu64 " ms", now - watch->first);
		begin_sends(sends, now, bytes, len);
		return;
	}
	WATCH(watch, sends->open || watch->may_be_answered, "sent again, though it was answered");
	WATCH(watch,
	      id == DIALECT_PCP ? is_pcp_step(sends, now, late) : is_natpmp_step(sends, now, late),
	      "retransmission %" PRIu64 " ms after the first send is none of the series",
	      now - sends->first);
	WATCH(watch, !watch->is_single, "sent again, though one send is all that is allowed");
}

/* It is the same question that was sent last. */
static bool is_again(const struct watch *watch, const struct packet *packet, const uint8_t *bytes,
		     size_t len)
{
	const struct watch_sends *sends = &watch->in[packet->dialect];

	return packet_is_of_same(packet, &watch->packet) &&
	       packet_is_deletion(packet) == packet_is_deletion(&watch->packet) &&
	       (!sends->len || is_same(sends, bytes, len));
}

/* No send was near, so that a question in a hurry may begin again. */
static bool is_next_far(const struct watch *watch, uint64_t now, uint64_t late)
{
	const struct watch_sends *natpmp = &watch->in[DIALECT_NATPMP];
	const struct watch_sends *pcp = &watch->in[DIALECT_PCP];
	uint64_t gap = pcp->step ? pcp->gap_high * 22 / 10 + 2 : PCP_GAP_MAX;

	if (natpmp->len && natpmp->open &&
	    natpmp->first + series(natpmp->step + 1) + late < now + FIRST_WAIT)
		return false;
	return !pcp->len || !pcp->open || pcp->high + gap + late >= now + FIRST_WAIT;
}

/* How long the question had its turn. */
static uint64_t turn_length(const struct watch *watch, const struct client *client)
{
	dialect_set heard = client->gateway.speech.heard;

	if (watch->is_single)
		return SINGLE_LENGTH;
	return heard && !(heard & watch->dialects) ? DOUBTFUL_LENGTH : TURN_LENGTH;
}

/* The wait for its answer is over, so the question was taken back. */
static bool is_unwanted(const struct watch *watch, const struct client *client)
{
	const struct external *external = &client->external;

	if (watch->kind == ASK_ANNOUNCE)
		return !client->pcp.callers;
	return watch->kind == ASK_ADDRESS && !external->callers &&
	       external->question.state == QUESTION_IDLE;
}

/* May a series begin, though what was sent before is not answered? */
static bool may_begin(const struct watch *watch, const struct client *client, bool again,
		      uint64_t now, uint64_t late)
{
	/* A caller begins to wait for the address, and the next send was not near. */
	bool is_called = client->external.callers || watch->called_at >= watch->first;
	bool is_map = watch->packet.kind == PACKET_MAP;
	bool is_hurried = again && (is_map || is_called) && is_next_far(watch, now, late);

	/* A deletion is over when the lifetime of the mapping is. */
	return is_unwanted(watch, client) || now - watch->first >= turn_length(watch, client) ||
	       (again && watch->in[DIALECT_NATPMP].step >= 4) || is_hurried ||
	       packet_is_deletion(&watch->packet);
}

static void begin_question(struct watch *watch, const struct packet *packet, uint64_t now,
			   const uint8_t *bytes, size_t len)
{
	memset(watch->in, 0, sizeof(watch->in));
	watch->packet = *packet;
	watch->first = now;
	watch->may_be_answered = watch->is_rejected = false;
	begin_sends(&watch->in[packet->dialect], now, bytes, len);
}

void watch_sent(struct watch *watch, const struct client *client, uint64_t now, uint64_t late,
		const uint8_t *bytes, size_t len)
{
	const struct question *question = client->gateway.in_flight;
	struct packet packet = packet_read(bytes, len);
	bool again = is_again(watch, &packet, bytes, len);

	WATCH(watch, packet.kind != PACKET_STRANGE, "no request: %zu bytes, version %u", len,
	      bytes[0]);
	/* The same bytes may begin another series: the core says which it is. */
	if (again && client->gateway.series.first_sent_at != now) {
		check_next_send(watch, packet.dialect, now, late, bytes, len);
	} else {
		WATCH(watch,
		      !is_open(watch) || watch->may_be_answered ||
			      may_begin(watch, client, again, now, late),
		      "dialect %u port %u sent %" PRIu64
		      " ms after dialect %u port %u, which is unanswered",
		      packet.dialect, packet.internal_port, now - watch->first,
		      watch->packet.dialect, watch->packet.internal_port);
		begin_question(watch, &packet, now, bytes, len);
	}
	watch->last = now;
	watch->kind = question->message.kind;
	watch->is_single = question->is_single;
	watch->dialects = question->dialects;
	WATCH(watch, !watch->is_single || packet.lifetime, "a single send, and no renewal");
	memcpy(watch->bytes, bytes, len);
	watch->len = len;
}

/* --- what is heard --- */

/* Can that be the answer to NAT-PMP's map request? A late one to a deletion is none to a creation.
 */
static bool is_map_answer(const uint8_t *request, const uint8_t *bytes, size_t len)
{
	uint16_t port = packet_get16(request + 4);
	bool is_deletion = !packet_get32(request + 8);

	if (bytes[2] | bytes[3]) {
		/* A refusal may be too short to name the port, or have the request's layout. Of a
		 * longer one nothing is read behind the internal port. */
		if (len < 10 || (len == 12 && port && packet_get16(bytes + 4) == port))
			return true;
		return packet_get16(bytes + 8) == port;
	}
	if (len < 16)
		return false;
	bool deleted = !packet_get32(bytes + 12);
	/* VPN gateways name the external port where 0 was asked for. */
	bool named = !port && !deleted && packet_get16(bytes + 8) == packet_get16(bytes + 10);
	if (!named && packet_get16(bytes + 8) != port)
		return false;
	return is_deletion ? deleted : !deleted && packet_get16(bytes + 10);
}

static bool is_natpmp_answer(const uint8_t *request, const uint8_t *bytes, size_t len)
{
	bool error = bytes[2] | bytes[3];

	if (bytes[0] || bytes[1] != (request[1] | 0x80))
		return false;
	if (!bytes[2] && bytes[3] == 5)
		return true;
	return request[1] ? is_map_answer(request, bytes, len) : len >= (error ? 4 : 12);
}

/* PCP, whatever the opcode: is it whole, and about that request? */
static bool is_about_pcp(const uint8_t *request, const uint8_t *bytes, size_t len)
{
	if (bytes[0] != 2 || bytes[1] != (request[1] | 0x80) || len < PCP_HEADER ||
	    len > PCP_LENGTH_MAX || len % 4)
		return false;
	if (!request[1])
		return true;
	return len >= PCP_MAP &&
	       memcmp(bytes + PCP_AT_NONCE, request + PCP_AT_NONCE, PCP_NONCE) == 0 &&
	       bytes[PCP_AT_PROTOCOL] == request[PCP_AT_PROTOCOL] &&
	       packet_get16(bytes + PCP_AT_INTERNAL_PORT) ==
		       packet_get16(request + PCP_AT_INTERNAL_PORT);
}

/* Does it answer, if it is about that request? A deletion may leave a lifetime (RFC 6887 section
 * 15), and then the first such answer may be an old one to the creation. */
static bool is_pcp_answer(struct watch *watch, const uint8_t *request, const uint8_t *bytes)
{
	bool is_deletion = !packet_get32(request + PCP_AT_LIFETIME);

	if (!request[1] || bytes[PCP_AT_RESULT])
		return true;
	bool has_lifetime = packet_get32(bytes + PCP_AT_LIFETIME);
	watch->may_be_answered |= is_deletion && has_lifetime;
	return is_deletion ? !has_lifetime
			   : has_lifetime && packet_get16(bytes + PCP_AT_EXTERNAL_PORT);
}

static bool is_answer(struct watch *watch, enum dialect_id id, const uint8_t *request,
		      const uint8_t *bytes, size_t len)
{
	if (id == DIALECT_NATPMP)
		return is_natpmp_answer(request, bytes, len);
	return is_about_pcp(request, bytes, len) && is_pcp_answer(watch, request, bytes);
}

dialect_set watch_rejected(const struct client *client, uint64_t now, dialect_set sent,
			   uint8_t version, uint16_t port)
{
	const struct speech *speech = &client->gateway.speech;
	const struct question *question = client->gateway.in_flight;

	/* It names what is asked for, so it is about NAT-PMP's request. */
	if (port && question && port == question->message.internal_port)
		return sent & ONLY_NATPMP;
	dialect_set spoken = version == 0 ? ONLY_NATPMP : version == 2 ? ONLY_PCP : 0;
	dialect_set rejected = sent & (dialect_set)~spoken;
	bool is_late = false;

	for (enum dialect_id id = 0; id < DIALECTS; id++) {
		/* A copy of a refusal that was heard is no contradiction. */
		bool is_refused =
			speech->allowed & dialect_bit(id) && now < speech->refused_until[id];
		is_late |= !(spoken & dialect_bit(id)) && (speech->open_sends[id] || is_refused);
	}
	return rejected || is_late ? rejected : sent;
}

static void see_rejected(struct watch *watch, const struct client *client, uint64_t now,
			 const uint8_t *bytes, size_t len)
{
	uint16_t port = bytes[0] == 0 && len >= 10 ? packet_get16(bytes + 8) : 0;
	const struct question *question = client->gateway.in_flight;
	dialect_set sent = 0;

	for (enum dialect_id id = 0; id < DIALECTS; id++)
		if (watch->in[id].open)
			sent |= dialect_bit(id);
	dialect_set rejected = watch_rejected(client, now, sent, bytes[0], port);
	for (enum dialect_id id = 0; id < DIALECTS; id++)
		if (rejected & dialect_bit(id))
			watch->in[id].open = false;
	watch->is_rejected |= rejected;
	/* An earlier series of the question may have been sent in the other dialect. */
	if (question && (question->sent_in & question->dialects) != sent)
		watch->may_be_answered = watch->is_rejected = true;
}

bool watch_is_late_refusal(const struct grant *grant, const struct response *response)
{
	return grant->at_gateway.deletions && response->dialect == DIALECT_PCP &&
	       response->status == NATPMP_E_NO_RESOURCES &&
	       grant->question.message.kind == ASK_CREATE;
}

static bool is_rejection(const uint8_t *bytes)
{
	if (bytes[0] == 0)
		return !bytes[2] && bytes[3] == 1;
	return bytes[0] >= 2 && bytes[1] & 0x80 && bytes[3] == 1;
}

/* What the core would send of its question in that dialect. */
static size_t encode(const struct client *client, enum dialect_id id, uint8_t bytes[REQUEST_MAX])
{
	const struct question *question = client->gateway.in_flight;

	return question ? gateway_encode(&client->gateway, id, &question->message, bytes) : 0;
}

/* A packet in that dialect may answer an earlier series of the question, or be PCP's update of the
 * mapping. */
static bool may_end_question(const struct client *client, enum dialect_id id)
{
	const struct question *question = client->gateway.in_flight;

	if (!question || !(client->gateway.speech.allowed & dialect_bit(id)))
		return false;
	return question->sent_in & dialect_bit(id) ||
	       (id == DIALECT_PCP && question->message.kind == ASK_CREATE);
}

/* The late refusal of what was deleted before it was asked for again. */
static bool is_refused_deletion(const struct client *client, const uint8_t *bytes, size_t len)
{
	const struct response response = gateway_read(&client->gateway, bytes, len);
	const struct grant *grant = response.kind != RESPONSE_MAPPING
					    ? NULL
					    : registry_find(&client->registry, response.protocol,
							    response.internal_port);

	return grant && watch_is_late_refusal(grant, &response);
}

void watch_answer(struct watch *watch, const struct client *client, uint64_t now,
		  const uint8_t *bytes, size_t len)
{
	uint8_t request[REQUEST_MAX];

	if (!is_open(watch) || len < 4)
		return;
	if (is_rejection(bytes)) {
		see_rejected(watch, client, now, bytes, len);
		return;
	}
	if (now > watch->last + ANSWERED_WITHIN || is_refused_deletion(client, bytes, len))
		return;
	for (enum dialect_id id = 0; id < DIALECTS; id++)
		if (watch->in[id].open && is_answer(watch, id, watch->in[id].bytes, bytes, len)) {
			close_all(watch);
			return;
		}
	for (enum dialect_id id = 0; id < DIALECTS; id++)
		if (!watch->in[id].open && may_end_question(client, id) &&
		    encode(client, id, request) && is_answer(watch, id, request, bytes, len))
			watch->may_be_answered = true;
}

void watch_relinked(struct watch *watch)
{
	close_all(watch);
	watch->is_rejected = false;
	watch->relinked = true;
}

/* What is quoted may be less than was sent, or more. */
static bool is_quoted(const uint8_t *request, size_t request_len, const uint8_t *bytes, size_t len)
{
	return memcmp(request, bytes, len < request_len ? len : request_len) == 0;
}

void watch_refused(struct watch *watch, const struct client *client, const uint8_t *bytes,
		   size_t len)
{
	uint8_t request[REQUEST_MAX];

	for (enum dialect_id id = 0; id < DIALECTS; id++) {
		const struct watch_sends *sends = &watch->in[id];
		size_t request_len = encode(client, id, request);
		if (sends->open && is_quoted(sends->bytes, sends->len, bytes, len))
			close_all(watch);
		else if (request_len && is_quoted(request, request_len, bytes, len))
			watch->may_be_answered = true;
	}
}

void watch_taken_back(struct watch *watch, const struct client *client)
{
	const struct question *question = client->gateway.in_flight;
	uint8_t bytes[REQUEST_MAX];

	for (enum dialect_id id = 0; id < DIALECTS; id++)
		if (watch->in[id].len &&
		    (!question || question->message.kind != watch->kind ||
		     !is_same(&watch->in[id], bytes, encode(client, id, bytes))))
			close_all(watch);
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
