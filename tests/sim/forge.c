/* SPDX-License-Identifier: MIT */
/* forge - datagrams from the gateway's address and port that the gateway never sent. None of them
 * answers the request in flight, so none may be believed; but any may show a clock. */
#include "plan.h"

#include <string.h>

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

/* What PCP's clock shows, if NAT-PMP's is shown as it is; else the same wild one. */
static uint32_t pcp_clock(struct world *w, const uint8_t *bytes)
{
	const struct model *model = world_gateway(w, w->network.socket);
	uint32_t shown = packet_get32(bytes + 4);

	return shown == model_clock(model, w->now) ? model_pcp_clock(model, w->now) : shown;
}

/* A map answer that is not to the request in flight, for another protocol or port. */
static void forge_other(struct world *w, uint8_t *bytes, bool error)
{
	const uint8_t *request = w->watch.bytes;
	bool tcp = request[1] == 2 ? false : request[1] == 1 ? true : dice_chance(&w->dice, 500);
	uint16_t port = (uint16_t)(PORT_BASE + dice_roll(&w->dice, w->known.key_count));

	if (dice_chance(&w->dice, 500) && request[1] && (port ^ request[4] << 8 ^ request[5]) &&
	    !error)
		tcp = !tcp; /* same protocol, another port */
	bytes[1] = tcp ? 0x82 : 0x81;
	if (error)
		put16(bytes + 2, (uint32_t)dice_between(&w->dice, 2, 7));
	if (truth_is_open(w, truth_key(w, bytes[1] & 3, port)))
		bytes[0] = 9; /* it would be an answer */
	put16(bytes + 8, w->program.vpn ? 1 : port);
	put16(bytes + 10, (uint32_t)dice_roll(&w->dice, 65536) | 2); /* not 1, as VPNs have it */
	put32(bytes + 12, plan_lifetime(w));
}

/* PCP's nonce of another mapping, or of the same at another gateway, or any. */
static void forge_nonce(struct world *w, uint8_t *bytes, uint8_t protocol, uint16_t port)
{
	struct ends ends = w->client.gateway.ends;
	struct message message = {.kind = ASK_DELETE, .protocol = protocol, .internal_port = port};
	uint8_t request[REQUEST_MAX];

	switch (dice_roll(&w->dice, 4)) {
	case 0:
		for (size_t i = 0; i < PCP_NONCE; i++)
			bytes[PCP_AT_NONCE + i] = (uint8_t)dice_bits(&w->dice);
		return;
	case 1:
		message.internal_port++;
		break;
	case 2:
		message.protocol = protocol == NATPMP_UDP ? NATPMP_TCP : NATPMP_UDP;
		break;
	default:
		ends.gateway.bytes[15] ^= 0xff;
	}
	dialect_of(DIALECT_PCP)->encode(&message, &ends, request);
	memcpy(bytes + PCP_AT_NONCE, request + PCP_AT_NONCE, PCP_NONCE);
}

/* A MAP answer of PCP about one of our mappings, without its nonce. */
static size_t forge_map(struct world *w, uint8_t *bytes)
{
	uint32_t clock = pcp_clock(w, bytes), result = (uint32_t)dice_roll(&w->dice, 13);
	uint8_t protocol = dice_chance(&w->dice, 500) ? NATPMP_UDP : NATPMP_TCP;
	uint16_t port = (uint16_t)(PORT_BASE + dice_roll(&w->dice, w->known.key_count));

	bytes[0] = 2;
	bytes[1] = 0x81;
	bytes[PCP_AT_RESULT] = result == 1 || dice_chance(&w->dice, 500) ? 0 : (uint8_t)result;
	put32(bytes + PCP_AT_LIFETIME, dice_chance(&w->dice, 200) ? 0 : plan_lifetime(w));
	put32(bytes + PCP_AT_CLOCK, clock);
	forge_nonce(w, bytes, protocol, port);
	bytes[PCP_AT_PROTOCOL] = protocol == NATPMP_UDP ? 17 : 6;
	put16(bytes + PCP_AT_INTERNAL_PORT, port);
	put16(bytes + PCP_AT_EXTERNAL_PORT, (uint32_t)dice_roll(&w->dice, 65536));
	put16(bytes + PCP_AT_ADDRESS + 10, 0xffff);
	put32(bytes + PCP_AT_ADDRESS + 12, 0x0c000000);
	return PCP_MAP;
}

/* It says that it does not speak the version of our request. */
static size_t forge_rejection(struct world *w, uint8_t *bytes)
{
	static const uint8_t versions[] = {0, 2, 3};

	bytes[0] = versions[dice_roll(&w->dice, sizeof(versions))];
	bytes[1] = 0x80 | (uint8_t)dice_roll(&w->dice, 3);
	bytes[3] = 1;
	if (!bytes[0])
		return dice_chance(&w->dice, 500) ? 4 : 8;
	put32(bytes + PCP_AT_LIFETIME, (uint32_t)dice_roll(&w->dice, 4000));
	return PCP_HEADER;
}

static size_t forge_pcp_clock(struct world *w, uint8_t *bytes)
{
	put32(bytes + PCP_AT_CLOCK, pcp_clock(w, bytes));
	put32(bytes + PCP_AT_LIFETIME, 0);
	bytes[0] = 2;
	bytes[1] = 0x80;
	return PCP_HEADER;
}

static size_t forge_pcp_answer(struct world *w, uint8_t *bytes)
{
	switch (dice_roll(&w->dice, 4)) {
	case 0:
		return forge_rejection(w, bytes);
	case 1:
		return forge_pcp_clock(w, bytes);
	default:
		return forge_map(w, bytes);
	}
}

/* About the request in flight, but no answer to it. */
static size_t forge_half(struct world *w, uint8_t *bytes)
{
	const uint8_t *request = w->watch.bytes;
	if (request[0])
		return forge_map(w, bytes);
	bool creation = w->watch.len == 12 && (request[8] | request[9] | request[10] | request[11]);

	bytes[1] = request[1] | 0x80;
	memcpy(bytes + 8, request + 4, 2);
	if (dice_chance(&w->dice, 500) && request[1])
		return (size_t)dice_between(&w->dice, 2, 15); /* cut off */
	if (!creation) {
		put32(bytes + 12, 7200); /* a grant, while it is to be deleted */
		put16(bytes + 10, 1234);
	} else if (dice_chance(&w->dice, 500)) {
		put32(bytes + 12, 7200);
	} else {
		put16(bytes + 10, 1234);
	}
	return request[1] ? 16 : 8;
}

/* An external address that the gateway does not have. Only while it is not asked for: then it
 * would be an answer. */
static size_t forge_address(struct world *w, struct event *event)
{
	uint8_t *bytes = event->bytes;

	bytes[1] = 0x80;
	if (event->kind == TO_CLIENT && w->known.address_open)
		bytes[0] = 9;
	put32(bytes + 8, 0x0c000000 | (uint32_t)dice_roll(&w->dice, 1000));
	return 12;
}

static size_t forge_announcement(struct world *w, struct event *event)
{
	uint8_t *bytes = event->bytes;

	if (world_has_pcp(w) && dice_chance(&w->dice, 500))
		return forge_pcp_clock(w, bytes);
	bytes[1] = 0x80;
	if (event->subject != FORGED_PCP) {
		bytes[3] = 3;
		return 12;
	}
	if (world_has_pcp(w))
		return forge_pcp_clock(w, bytes);
	memset(bytes + 4, 0, 4);
	bytes[0] = 2;
	return 24;
}

static size_t forge_answer(struct world *w, uint8_t *bytes)
{
	if (world_has_pcp(w) && dice_chance(&w->dice, 500))
		return forge_pcp_answer(w, bytes);
	switch (dice_roll(&w->dice, 7)) {
	case 0:
		for (size_t i = 0; i < 16; i++)
			bytes[i] = (uint8_t)dice_bits(&w->dice);
		bytes[1] |= 4; /* no opcode of an answer by chance, ... */
		bytes[3] |= 8; /* ... and no result 0, 1 or 5 */
		return (size_t)dice_roll(&w->dice, 9);
	case 1:
		memcpy(bytes, w->watch.bytes, w->watch.len);
		return w->watch.len;
	case 2:
	case 3:
		forge_other(w, bytes, false);
		return 16;
	case 4:
		forge_other(w, bytes, true);
		return 16;
	case 5:
		return forge_half(w, bytes);
	default:
		put32(bytes + PCP_AT_CLOCK, pcp_clock(w, bytes));
		bytes[0] = 2;
		bytes[1] = 0x80 | (uint8_t)dice_roll(&w->dice, 3);
		bytes[3] = dice_chance(&w->dice, 500) ? 0 : 8;
		return 24;
	}
}

void plan_forge(struct world *w, struct event *event)
{
	uint8_t *bytes = event->bytes;
	const struct model *model = world_gateway(w, w->network.socket);
	uint32_t seconds = model_clock(model, w->now);
	bool wild = event->value == CLOCK_WILD ||
		    (event->value == CLOCK_MAYBE_WILD && dice_chance(&w->dice, 300));

	memset(bytes, 0, sizeof(event->bytes));
	put32(bytes + 4, wild ? dice_word(&w->dice) : seconds);
	if (wild)
		w->troubles.clock_upset = w->now;
	if (event->subject == FORGED_ADDRESS)
		event->len = forge_address(w, event);
	else if (event->kind == ANNOUNCED)
		event->len = forge_announcement(w, event);
	else
		event->len = forge_answer(w, bytes);
}
