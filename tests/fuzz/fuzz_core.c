/* SPDX-License-Identifier: MIT */
/*
 * The core as a whole: a stream of datagrams, announcements, bounces, steps of time, and of what a
 * program does with its leases. A byte says what comes next, the ones behind it the details. What
 * must hold whatever comes is in tests/sim/watch.h.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/client.h"
#include "fuzz.h"
#include "watch.h"

enum { LEASES = 12, CLOSINGS = 3, STEPS = 400, NOT_YET = 0x80 };

/* A lease as a program has it, on the heap of its own: what is touched too late is seen. */
struct held {
	struct lease core;
	struct lease_view told;
};

struct input {
	const uint8_t *at;
	size_t left;
};

struct world {
	struct input in;
	struct client client;
	struct held *all[LEASES];
	struct closing *closings[CLOSINGS];
	struct watch watch;
	bool linked, is_v6;
	bool deleting_all; /* a call said so */
	unsigned address_askers, pcp_askers;
	uint64_t now, wanted;      /* ms; when it wanted to be called */
	uint64_t looked_at;        /* ms, the socket was empty then */
	uint8_t sent[REQUEST_MAX]; /* last */
	size_t sent_len;
};

/* --- the input --- */

static unsigned byte(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->at++;
}

static unsigned word(struct input *in)
{
	unsigned high = byte(in);

	return high << 8 | byte(in);
}

static size_t bytes(struct input *in, uint8_t *to, size_t room)
{
	size_t len = byte(in) % (room + 1);

	if (len > in->left)
		len = in->left;
	memcpy(to, in->at, len);
	in->at += len;
	in->left -= len;
	return len;
}

/* --- what must hold --- */

static void __attribute__((format(printf, 2, 3))) fail(void *arg, const char *format, ...)
{
	va_list args;

	(void)arg;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

static void look_at_sent(struct world *w, uint64_t late, const uint8_t *out, size_t len)
{
	const struct packet packet = packet_read(out, len);

	insist(w->linked && packet.kind != PACKET_STRANGE);
	insist(w->client.gateway.speech.allowed & dialect_bit(packet.dialect));
	if (packet.kind == PACKET_MAP) { /* never by accident: the deletion of everything */
		insist(packet.internal_port || w->deleting_all || w->client.is_vpn);
		insist(packet.lifetime || !packet.suggested_port);
	}
	watch_sent(&w->watch, &w->client, w->now, late, out, len);
	memcpy(w->sent, out, len);
	w->sent_len = len;
}

/* Until nothing is left to do: that must come soon, and then nothing may be overdue. */
static void settle(struct world *w)
{
	uint64_t late = w->wanted < w->now ? w->now - w->wanted : 0;
	struct lease_view before;
	struct lease *lease;
	uint8_t out[REQUEST_MAX];
	size_t len;
	unsigned sends = 0;

	while ((len = client_output(&w->client, w->now, out)) > 0) {
		/* One question is in flight; it may be due in both dialects at once. */
		insist(sends++ == 0 || (sends == 2 && out[0] != w->watch.bytes[0]));
		look_at_sent(w, late, out, len);
	}
	while ((lease = client_event(&w->client, &before)))
		watch_event(&w->watch, lease, &container_of(lease, struct held, core)->told,
			    &before);
	watch_settled(&w->watch, &w->client, w->now);
	watch_records(&w->watch, &w->client);
	w->looked_at = w->now;
	w->wanted = client_next_deadline(&w->client, w->now);
}

/* --- what the program does --- */

static void hold(struct world *w, bool is_awaited)
{
	unsigned slot = byte(&w->in) % LEASES, kind = byte(&w->in);
	struct held *held = calloc(1, sizeof(*held));
	struct wanted wanted = {
		.protocol = (natpmp_protocol)(kind % 3 + 1),
		.internal_port = w->client.is_vpn ? 0 : (uint16_t)(kind / 3 % 8 + 1),
		.suggested_port = kind & 0x80 ? (uint16_t)word(&w->in) : 0,
		.lifetime = kind & 0x40 ? word(&w->in) + 1 : 7200,
		.is_awaited = is_awaited,
		.patience = is_awaited    ? NEVER
			    : kind & 0x20 ? 500 + 1000 * (kind & 0x1f)
					  : 7750,
	};

	wanted.is_exact = wanted.suggested_port && kind & 0x10;
	if (!held || w->all[slot] ||
	    client_hold(&w->client, &held->core, &wanted, w->now) != NATPMP_OK) {
		free(held);
		return;
	}
	held->told.status = NATPMP_PENDING;
	w->all[slot] = held;
	watch_taken_back(&w->watch, &w->client);
}

/* Release, leave, retry, or no longer wait; what is let go is freed at once. */
static void change_hold(struct world *w)
{
	unsigned what = byte(&w->in), slot = what % LEASES;
	struct held *held = w->all[slot];

	if (!held)
		return;
	if (what >= 0xc0) {
		client_retry(&w->client, &held->core, w->now);
	} else if (what >= 0xa0) {
		client_stop_waiting(&held->core);
	} else {
		if (what >= 0x60)
			client_leave(&w->client, &held->core, w->now);
		else
			client_release(&w->client, &held->core, w->now);
		free(held);
		w->all[slot] = NULL;
	}
	watch_taken_back(&w->watch, &w->client);
}

static void stop_closing(struct world *w, unsigned slot)
{
	client_stop_unmapping(&w->client, w->closings[slot], w->now);
	free(w->closings[slot]);
	w->closings[slot] = NULL;
}

static void close_port(struct world *w)
{
	unsigned slot = byte(&w->in) % CLOSINGS, kind = byte(&w->in);
	struct closing *closing = calloc(1, sizeof(*closing));
	uint16_t port = (uint16_t)(kind / 3 % 8);

	if (w->closings[slot])
		stop_closing(w, slot);
	if (!closing || (w->client.is_vpn && port) ||
	    client_unmap(&w->client, closing, (natpmp_protocol)(kind % 3 + 1), port, w->now) !=
		    NATPMP_OK) {
		free(closing);
	} else {
		w->closings[slot] = closing;
		w->deleting_all |= !port;
	}
	watch_taken_back(&w->watch, &w->client);
}

static void stop_asking(struct world *w)
{
	for (; w->address_askers; w->address_askers--)
		client_stop_asking_address(&w->client);
	for (; w->pcp_askers; w->pcp_askers--)
		client_stop_asking_pcp(&w->client);
	watch_taken_back(&w->watch, &w->client);
}

static void ask(struct world *w)
{
	switch (byte(&w->in) % 3) {
	case 0:
		client_ask_address(&w->client, w->client.gateway.speech.allowed, w->now);
		w->address_askers++;
		w->watch.called_at = w->now;
		if (w->now < w->wanted) /* it may begin its series again */
			w->wanted = w->now;
		break;
	case 1:
		if (!(w->client.gateway.speech.allowed & ONLY_PCP))
			break;
		client_ask_pcp(&w->client, w->now);
		w->pcp_askers++;
		break;
	default:
		stop_asking(w);
	}
}

/* --- what happens to it --- */

static void hear(struct world *w, const uint8_t *packet, size_t len, bool announced)
{
	/* No longer than it is, so that a byte too many is seen. */
	uint8_t *exact = malloc(len ? len : 1);

	if (!exact)
		return;
	memcpy(exact, packet, len);
	/* It came at some time since the socket was empty, or just now. */
	uint64_t at_earliest = len & 1 ? w->looked_at : w->now;
	if (announced) {
		client_on_announcement(&w->client, at_earliest, w->now, exact, len, true);
	} else {
		if (w->linked)
			watch_answer(&w->watch, &w->client, w->now, exact, len);
		client_on_packet(&w->client, at_earliest, w->now, exact, len);
		/* A grant may take back the request for the other protocol: their ports differ. */
		watch_taken_back(&w->watch, &w->client);
	}
	free(exact);
}

static void put_clock(uint8_t *at, uint32_t clock)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(clock >> (24 - 8 * i));
}

/* PCP's right answer, but for what the input has otherwise. */
static void answer_pcp(struct world *w, unsigned differs)
{
	uint8_t out[REQUEST_MAX] = {0};
	size_t len = w->sent_len;

	memcpy(out, w->sent, len);
	out[1] |= 0x80;
	memset(out + 12, 0, 12);
	put_clock(out + PCP_AT_CLOCK, differs & 1 ? word(&w->in) : (uint32_t)(w->now / 1000));
	if (differs & 2)
		out[PCP_AT_RESULT] = (uint8_t)byte(&w->in);
	if (differs & 4 && len >= PCP_MAP)
		out[PCP_AT_EXTERNAL_PORT] = (uint8_t)byte(&w->in);
	if (differs & 8) {
		out[PCP_AT_LIFETIME + 2] = (uint8_t)byte(&w->in);
		out[PCP_AT_LIFETIME + 3] = (uint8_t)byte(&w->in);
	}
	if (differs & 16)
		out[byte(&w->in) % len] ^= (uint8_t)byte(&w->in);
	hear(w, out, len, false);
}

/* Any packet of PCP, with the nonce of the mapping that it names. */
static void hear_with_nonce(struct world *w)
{
	uint8_t packet[REQUEST_MAX] = {2, 0x81}, request[REQUEST_MAX];
	unsigned key = byte(&w->in);
	struct message message = {
		.kind = ASK_DELETE,
		.protocol = key & 1 ? NATPMP_TCP : NATPMP_UDP,
		.internal_port = (uint16_t)(key / 2 % 9),
	};

	packet[PCP_AT_RESULT] = (uint8_t)(key & 0x80 ? byte(&w->in) : 0);
	put_clock(packet + PCP_AT_CLOCK, (uint32_t)(w->now / 1000));
	packet[PCP_AT_LIFETIME + 2] = (uint8_t)byte(&w->in);
	gateway_encode(&w->client.gateway, DIALECT_PCP, &message, request);
	memcpy(packet + PCP_AT_NONCE, request + PCP_AT_NONCE, PCP_MAP - PCP_AT_NONCE);
	packet[PCP_AT_EXTERNAL_PORT] = (uint8_t)byte(&w->in);
	packet[PCP_AT_EXTERNAL_PORT + 1] = (uint8_t)byte(&w->in);
	packet[PCP_AT_ADDRESS + 15] = key & 0x40 ? (uint8_t)byte(&w->in) : 4;
	hear(w, packet, key & 0x20 ? REQUEST_MAX : PCP_MAP, false);
}

/* The gateway says that it does not speak that version, but this one. */
static void reject(struct world *w)
{
	uint8_t packet[PCP_HEADER] = {0};
	unsigned kind = byte(&w->in);

	packet[0] = (uint8_t)(kind % 4);
	packet[1] = 0x80 | (uint8_t)(kind / 4 % 4);
	packet[3] = 1;
	packet[PCP_AT_LIFETIME + 2] = (uint8_t)byte(&w->in);
	hear(w, packet, kind & 0x80 ? 4 : kind & 0x40 ? 8 : PCP_HEADER, false);
}

/* The right answer to what was sent last, but for what the input has otherwise. */
static void answer(struct world *w)
{
	uint8_t out[16] = {0};
	unsigned differs = byte(&w->in);
	size_t len = w->sent_len == 2 ? 12 : 16;

	if (!w->sent_len)
		return;
	if (w->sent[0] == 2) {
		answer_pcp(w, differs);
		return;
	}
	out[1] = w->sent[1] | 0x80;
	uint32_t clock = (uint32_t)(w->now / 1000);
	if (differs & 1)
		clock = word(&w->in);
	put_clock(out + 4, clock);
	if (len == 16)
		memcpy(out + 8, w->sent + 4, 8);
	else
		memcpy(out + 8, "\x0b\x16\x21\x2c", 4);
	if (differs & 2)
		out[3] = (uint8_t)byte(&w->in);
	if (differs & 4)
		out[10] = (uint8_t)byte(&w->in);
	if (differs & 8)
		out[15] = (uint8_t)byte(&w->in);
	if (differs & 16)
		out[byte(&w->in) % 16] ^= (uint8_t)byte(&w->in);
	hear(w, out, len, false);
}

static void bounce(struct world *w)
{
	static const int statuses[] = {NATPMP_E_UNREACHABLE, NATPMP_E_REFUSED, NATPMP_E_FIREWALL,
				       NATPMP_E_REFUSED};
	unsigned kind = byte(&w->in);
	size_t len = kind & 2 ? kind % (w->sent_len + 1) : w->sent_len;

	if (kind & 1)
		watch_refused(&w->watch, &w->client, w->sent, len);
	client_on_bounce(&w->client, w->now, w->sent, len, statuses[kind & 3]);
}

static void count_farewell(void *arg, const uint8_t *out, size_t len)
{
	const struct packet packet = packet_read(out, len);
	unsigned *count = arg;

	insist(packet_is_deletion(&packet) && packet.internal_port); /* never all of them */
	insist(++*count <= 2 * 2 * 9);
}

/* id: of the gateway; 0: none. */
static void link_client(struct world *w, int status, uint8_t id, uint8_t own)
{
	struct ip_address gateway = ip_from_v4(id), source = ip_from_v4(own);

	if (w->is_v6) {
		gateway = (struct ip_address){{id ? 0xfe : 0, id ? 0x80 : 0, [15] = id}};
		source = (struct ip_address){{0x20, 1, [15] = own}};
	}
	client_on_link(&w->client, w->now, status, &gateway, &source);
	watch_relinked(&w->watch);
}

static void relink(struct world *w)
{
	static const int statuses[] = {NATPMP_OK, NATPMP_E_NO_GATEWAY, NATPMP_E_SYSTEM};
	unsigned what = byte(&w->in), farewells = 0;
	int status = statuses[what % 3];
	uint8_t id = status == NATPMP_OK ? (uint8_t)(what / 3 % 2 + 1) : 0;

	settle(w); /* nothing heard is left to look at */
	if (what & 0x80)
		client_farewell(&w->client, w->now, count_farewell, &farewells);
	link_client(w, status, id, (uint8_t)byte(&w->in));
	w->linked = status == NATPMP_OK;
	w->sent_len = 0;
}

static void step(struct world *w, unsigned what)
{
	uint8_t packet[64];

	switch (what) {
	case 0:
		hear(w, packet, bytes(&w->in, packet, sizeof(packet)), false);
		break;
	case 1:
		hear(w, packet, bytes(&w->in, packet, sizeof(packet)), true);
		break;
	case 2:
		w->now += word(&w->in);
		break;
	case 3:
		w->now += (uint64_t)word(&w->in) * 1000;
		break;
	case 4:
		if (w->wanted != NEVER && w->wanted > w->now)
			w->now = w->wanted;
		break;
	case 5:
		hold(w, false);
		break;
	case 6:
		change_hold(w);
		break;
	case 7:
		relink(w);
		break;
	case 8:
		bounce(w);
		break;
	case 9:
		answer(w);
		break;
	case 10:
		hold(w, true);
		break;
	case 11:
		close_port(w);
		break;
	case 13:
		hear_with_nonce(w);
		break;
	case 14:
		reject(w);
		break;
	default:
		ask(w);
	}
}

static void let_go_of_all(struct world *w)
{
	stop_asking(w);
	for (unsigned i = 0; i < CLOSINGS; i++)
		if (w->closings[i])
			stop_closing(w, i);
	for (unsigned i = 0; i < LEASES; i++)
		if (w->all[i]) {
			client_release(&w->client, &w->all[i]->core, w->now);
			free(w->all[i]);
			w->all[i] = NULL;
		}
	watch_taken_back(&w->watch, &w->client);
}

/* Nothing is answered any more: each deletion is tried a few times, and then all are forgotten. */
static void run_out(struct world *w)
{
	unsigned steps = 0;

	while (w->linked && w->wanted != NEVER && !client_is_empty(&w->client)) {
		insist(++steps < 10000);
		w->now = w->wanted;
		settle(w);
	}
	insist(!w->linked || client_is_empty(&w->client));
	insist(!client_has_events(&w->client) && !w->client.holds);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;

	w = (struct world){.in = {data, size}, .linked = true, .now = 100000, .wanted = NEVER};
	w.watch = (struct watch){.fail = fail, .arg = &w};
	static const dialect_set dialects[] = {ONLY_NATPMP, ALL_DIALECTS, ONLY_PCP, ALL_DIALECTS};
	struct client_options options = {.seed = 1};
	unsigned kind = byte(&w.in);
	options.is_vpn = kind & 1;
	options.dialects = options.is_vpn ? ONLY_NATPMP : dialects[kind / 2 % 4];
	w.is_v6 = options.dialects == ONLY_PCP && kind & 8;
	unsigned kinds = options.dialects == ONLY_NATPMP ? 13 : 15; /* of steps */
	insist(client_init(&w.client, &options));
	link_client(&w, NATPMP_OK, 1, 1);
	for (int i = 0; i < STEPS && w.in.left; i++) {
		unsigned what = byte(&w.in);
		step(&w, (what & 0x7f) % kinds);
		if (!(what & NOT_YET))
			settle(&w);
	}
	settle(&w);
	let_go_of_all(&w);
	settle(&w);
	run_out(&w);
	client_free(&w.client);
	return 0;
}
