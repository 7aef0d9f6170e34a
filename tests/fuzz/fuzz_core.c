/* SPDX-License-Identifier: MIT */
/*
 * The engine as a whole: a stream of datagrams, announcements, ICMP errors, steps of time, and of
 * what a program does with its holds. A byte says what comes next, the ones behind it the details.
 */
#include <string.h>

#include "core/lease.h"
#include "fuzz.h"

enum { LEASES = 12, STEPS = 400 };

struct input {
	const uint8_t *at;
	size_t left;
};

struct world {
	struct input in;
	struct leases leases;
	struct lease all[LEASES];
	bool used[LEASES];
	uint64_t now;
	uint8_t sent[WIRE_REQUEST_MAX]; /* last */
	size_t sent_len;
};

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

static void forget(struct world *w, struct lease *lease)
{
	w->used[lease - w->all] = false;
}

static void look_at_event(struct world *w, const struct lease *lease,
			  const struct lease_view *before)
{
	const struct lease_view *now = &lease->told;

	insist(w->used[lease - w->all] && !lease->released);
	insist(before->status != now->status || now->status == NATPMP_OK);
	if (now->status == NATPMP_OK) {
		insist(now->external_port);
		insist(lease_granted(lease));
	}
}

/* Until nothing is left to do: that must come soon, and then nothing may be overdue. */
static void settle(struct world *w)
{
	struct lease_view before;
	struct lease *lease;
	uint8_t out[WIRE_REQUEST_MAX];
	size_t len;
	unsigned sends = 0;

	while ((len = leases_output(&w->leases, w->now, out)) > 0) {
		insist(++sends <= 4); /* one request in flight: no more than that and some ends */
		insist(out[0] == 0 && out[1] <= 2 && (len == 2 || len == 12));
		if (len == 12) /* never by accident: the deletion of everything */
			insist(out[4] || out[5] || w->leases.vpn);
		memcpy(w->sent, out, len);
		w->sent_len = len;
	}
	while ((lease = leases_event(&w->leases, &before)))
		look_at_event(w, lease, &before);
	while ((lease = leases_reap(&w->leases)))
		forget(w, lease);
	insist(leases_deadline(&w->leases) > w->now);
}

static void hold(struct world *w)
{
	unsigned slot = byte(&w->in) % LEASES, kind = byte(&w->in);
	struct lease *lease = &w->all[slot];

	if (w->used[slot])
		return;
	*lease = (struct lease){
		.protocol = (natpmp_protocol)(kind % 3 + 1),
		.internal_port = w->leases.vpn ? 0 : (uint16_t)(kind / 3 % 8 + 1),
		.suggested = kind & 0x80 ? (uint16_t)word(&w->in) : 0,
		.asked = kind & 0x40 ? word(&w->in) : 0,
	};
	w->used[slot] = leases_add(&w->leases, lease, LEASE_HOLD, w->now) == NATPMP_OK;
}

static void let_go(struct world *w)
{
	struct lease *lease = &w->all[byte(&w->in) % LEASES];

	if (!w->used[lease - w->all] || lease->released)
		return;
	lease->released = true;
	leases_close(&w->leases, lease, w->now);
}

/* The right answer to what was sent last, but for what the input has otherwise. */
static void answer(struct world *w)
{
	uint8_t out[16] = {0};
	unsigned differs = byte(&w->in);
	size_t len = w->sent_len == 2 ? 12 : 16;

	if (!w->sent_len)
		return;
	out[1] = w->sent[1] | 0x80;
	uint32_t clock = (uint32_t)(w->now / 1000);
	if (differs & 1)
		clock = word(&w->in);
	for (int i = 0; i < 4; i++)
		out[4 + i] = (uint8_t)(clock >> (24 - 8 * i));
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
	leases_input(&w->leases, w->now, out, len);
}

static void relink(struct world *w)
{
	static const int statuses[] = {NATPMP_OK, NATPMP_E_NO_GATEWAY, NATPMP_E_SYSTEM};
	uint8_t out[WIRE_REQUEST_MAX];
	unsigned count = 0;

	while (leases_farewell(&w->leases, out))
		insist(++count <= 2 * LEASES);
	leases_relink(&w->leases, w->now, statuses[byte(&w->in) % 3], byte(&w->in));
	w->sent_len = 0;
}

static void step(struct world *w)
{
	uint8_t packet[64];
	size_t len;

	switch (byte(&w->in) % 10) {
	case 0:
		len = bytes(&w->in, packet, sizeof(packet));
		leases_input(&w->leases, w->now, packet, len);
		break;
	case 1:
		len = bytes(&w->in, packet, sizeof(packet));
		leases_announcement(&w->leases, w->now, packet, len);
		break;
	case 2:
		w->now += word(&w->in);
		break;
	case 3:
		w->now += (uint64_t)word(&w->in) * 1000;
		break;
	case 4:
		if (leases_deadline(&w->leases) != NEVER)
			w->now = leases_deadline(&w->leases);
		break;
	case 5:
		hold(w);
		break;
	case 6:
		let_go(w);
		break;
	case 7:
		relink(w);
		break;
	case 8:
		engine_icmp(&w->leases.engine, w->now, w->sent, w->sent_len,
			    byte(&w->in) & 1 ? NATPMP_E_REFUSED : NATPMP_E_UNREACHABLE);
		break;
	default:
		answer(w);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;

	w = (struct world){.in = {data, size}, .now = 100000};
	insist(leases_init(&w.leases, 1, byte(&w.in) & 1));
	leases_relink(&w.leases, w.now, NATPMP_OK, 1);
	for (int i = 0; i < STEPS && w.in.left; i++) {
		step(&w);
		settle(&w);
	}
	for (unsigned i = 0; i < LEASES; i++)
		if (w.used[i])
			leases_drop(&w.leases, &w.all[i]);
	insist(!w.leases.all && !w.leases.count && !w.leases.changed);
	leases_free(&w.leases);
	return 0;
}
