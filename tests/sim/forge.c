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

/* A map answer that is not to the request in flight, for another protocol or port. */
static void forge_other(struct world *w, uint8_t *bytes, bool error)
{
	const uint8_t *request = w->watch.bytes;
	bool tcp = request[1] == 2 ? false : request[1] == 1 ? true : dice_chance(&w->dice, 500);
	uint16_t port = (uint16_t)(PORT_BASE + dice_roll(&w->dice, w->key_count));

	if (dice_chance(&w->dice, 500) && request[1] && (port ^ request[4] << 8 ^ request[5]) &&
	    !error)
		tcp = !tcp; /* same protocol, another port */
	bytes[1] = tcp ? 0x82 : 0x81;
	if (error)
		put16(bytes + 2, (uint32_t)dice_between(&w->dice, 2, 7));
	put16(bytes + 8, w->vpn ? 1 : port);
	put16(bytes + 10, (uint32_t)dice_roll(&w->dice, 65536) | 2); /* not 1, as VPNs have it */
	put32(bytes + 12, plan_lifetime(w));
}

/* About the request in flight, but no answer to it. */
static size_t forge_half(struct world *w, uint8_t *bytes)
{
	const uint8_t *request = w->watch.bytes;
	bool creation = w->watch.len == 12 && (request[8] | request[9] | request[10] | request[11]);

	bytes[1] = request[1] | 0x80;
	memcpy(bytes + 8, request + 4, 2);
	if (dice_chance(&w->dice, 500) && request[1])
		return dice_between(&w->dice, 2, 15); /* cut off */
	if (!creation) {
		put32(bytes + 12, 7200); /* a late grant, while it is to be deleted */
		put16(bytes + 10, 1234);
	} else if (dice_chance(&w->dice, 500)) {
		put32(bytes + 12, 7200);
	} else {
		put16(bytes + 10, 1234);
	}
	return request[1] ? 16 : 8;
}

void plan_forge(struct world *w, struct event *event)
{
	uint8_t *bytes = event->bytes;
	uint32_t seconds = model_clock(world_gateway(w, w->socket), w->now);
	bool wild = event->value && dice_chance(&w->dice, 300);

	memset(bytes, 0, sizeof(event->bytes));
	event->len = 16;
	put32(bytes + 4, wild ? dice_word(&w->dice) : seconds);
	if (event->kind == ANNOUNCED && event->subject) {
		memset(bytes + 1, 0, 3 + 4);
		bytes[0] = 2;
		bytes[1] = 0x80;
		event->len = 24;
		return;
	}
	if (event->kind == ANNOUNCED) {
		bytes[1] = 0x80;
		bytes[3] = 3;
		event->len = 12;
		return;
	}
	switch (dice_roll(&w->dice, 7)) {
	case 0:
		for (size_t i = 0; i < 16; i++)
			bytes[i] = (uint8_t)dice_bits(&w->dice);
		bytes[3] |= 8; /* no result 0, 1 or 5 by chance */
		event->len = dice_roll(&w->dice, 9);
		break;
	case 1:
		memcpy(bytes, w->watch.bytes, sizeof(event->bytes));
		event->len = w->watch.len;
		break;
	case 2:
	case 3:
		forge_other(w, bytes, false);
		break;
	case 4:
		forge_other(w, bytes, true);
		break;
	case 5:
		event->len = forge_half(w, bytes);
		break;
	default:
		bytes[0] = 2;
		bytes[1] = 0x80 | (uint8_t)dice_roll(&w->dice, 3);
		bytes[3] = dice_chance(&w->dice, 500) ? 0 : 8;
		event->len = 24;
	}
}
