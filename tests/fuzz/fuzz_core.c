/* SPDX-License-Identifier: MIT */
/*
 * The engine as a whole: a stream of datagrams, announcements, ICMP errors, steps of time, and of
 * what a program does with its holds. A byte says what comes next, the ones behind it the details.
 * What must hold whatever comes is in tests/sim/watch.h.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/leases.h"
#include "fuzz.h"
#include "watch.h"

enum { LEASES = 12, STEPS = 400, NOT_YET = 0x80 };

/* A lease as a program has it, on the heap of its own: who touches it too late is seen. */
struct held {
	struct lease core;
	struct lease_view told;
	uint64_t closed; /* ms */
};

struct input {
	const uint8_t *at;
	size_t left;
};

struct world {
	struct input in;
	struct leases leases;
	struct held *all[LEASES];
	struct watch watch;
	bool linked;
	unsigned deleting_all; /* calls that say so */
	unsigned address_askers, pcp_askers;
	uint64_t now, wanted;           /* ms; when it wanted to be called */
	uint8_t sent[WIRE_REQUEST_MAX]; /* last */
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

static bool is_over(void *arg, const uint8_t *request)
{
	const struct world *w = arg;

	/* Not while one who closes it since then does so still. */
	for (unsigned i = 0; i < LEASES; i++) {
		const struct held *held = w->all[i];
		if (held && held->core.goal == LEASE_CLOSE && !held->core.finished &&
		    held->closed <= w->watch.first && (held->core.protocol & request[1]) &&
		    held->core.internal_port == (request[4] << 8 | request[5]))
			return false;
	}
	return true;
}

static void forget(struct world *w, struct held *held)
{
	for (unsigned i = 0; i < LEASES; i++)
		if (w->all[i] == held)
			w->all[i] = NULL;
	if (held->core.once && held->core.goal == LEASE_CLOSE && !held->core.internal_port)
		w->deleting_all--;
	free(held);
}

static void look_at_sent(struct world *w, uint64_t late, const uint8_t *out, size_t len)
{
	static const uint8_t none[4];

	insist(w->linked);
	insist(len == (out[0] == 2 ? 24 : out[1] == WIRE_ADDRESS ? 2 : 12));
	if (len == 12) { /* never by accident: the deletion of everything */
		insist(out[1] == WIRE_MAP_UDP || out[1] == WIRE_MAP_TCP);
		insist(out[4] || out[5] || w->deleting_all || w->leases.vpn);
		insist(memcmp(out + 8, none, 4) != 0 || (!out[6] && !out[7]));
	}
	watch_sent(&w->watch, &w->leases, w->now, late, out, len);
	memcpy(w->sent, out, len);
	w->sent_len = len;
}

/* Until nothing is left to do: that must come soon, and then nothing may be overdue. */
static void settle(struct world *w)
{
	uint64_t late = w->wanted < w->now ? w->now - w->wanted : 0;
	struct lease_view before;
	struct lease *lease;
	uint8_t out[WIRE_REQUEST_MAX];
	size_t len;
	unsigned sends = 0;

	while ((len = leases_output(&w->leases, w->now, out)) > 0) {
		insist(sends++ == 0);
		look_at_sent(w, late, out, len);
	}
	while ((lease = leases_event(&w->leases, &before)))
		watch_event(&w->watch, lease, &((struct held *)lease->owner)->told, &before);
	while ((lease = leases_reap(&w->leases)))
		forget(w, lease->owner);
	watch_settled(&w->watch, &w->leases, w->now);
	w->wanted = leases_deadline(&w->leases);
}

/* --- what the program does --- */

static void begin(struct world *w, bool once, enum lease_goal goal)
{
	unsigned slot = byte(&w->in) % LEASES, kind = byte(&w->in);
	struct held *held = calloc(1, sizeof(*held));

	if (!held || w->all[slot]) {
		free(held);
		return;
	}
	held->told.status = NATPMP_PENDING;
	held->closed = w->now;
	held->core = (struct lease){
		.protocol = (natpmp_protocol)(kind % 3 + 1),
		.internal_port =
			w->leases.vpn ? 0 : (uint16_t)(kind / 3 % 8 + (goal != LEASE_CLOSE)),
		.suggested = kind & 0x80 ? (uint16_t)word(&w->in) : 0,
		.asked = kind & 0x40 ? word(&w->in) : 0,
		.once = once,
		.patience = kind & 0x20 && !once ? 500 + 1000 * (kind & 0x1f) : 0,
		.owner = held,
	};
	if (leases_add(&w->leases, &held->core, goal, w->now) != NATPMP_OK) {
		free(held);
		return;
	}
	w->all[slot] = held;
	w->deleting_all += goal == LEASE_CLOSE && !held->core.internal_port;
}

/* As natpmp_release() does, and blocking calls when their time is over. */
static void let_go(struct world *w)
{
	struct held *held = w->all[byte(&w->in) % LEASES];

	if (!held || held->core.released)
		return;
	if (held->core.once) {
		leases_drop(&w->leases, &held->core);
		forget(w, held);
	} else {
		held->core.released = true;
		held->closed = w->now;
		leases_close(&w->leases, &held->core, w->now);
	}
	watch_taken_back(&w->watch, &w->leases);
}

static void ask(struct world *w)
{
	switch (byte(&w->in) % 3) {
	case 0:
		leases_ask_address(&w->leases, w->now);
		w->address_askers++;
		if (w->now < w->wanted) /* it may begin its series again */
			w->wanted = w->now;
		break;
	case 1:
		leases_ask_pcp(&w->leases, w->now);
		w->pcp_askers++;
		break;
	default: /* those who asked for it have gone */
		for (; w->address_askers; w->address_askers--)
			leases_forget_address(&w->leases);
		for (; w->pcp_askers; w->pcp_askers--)
			leases_forget_pcp(&w->leases);
		watch_taken_back(&w->watch, &w->leases);
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
	if (announced) {
		leases_announcement(&w->leases, w->now, exact, len);
	} else {
		if (w->linked)
			watch_answer(&w->watch, exact, len);
		leases_input(&w->leases, w->now, exact, len);
	}
	free(exact);
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
	hear(w, out, len, false);
}

static void bounce(struct world *w)
{
	unsigned kind = byte(&w->in);
	size_t len = kind & 2 ? kind % (w->sent_len + 1) : w->sent_len;

	if (kind & 1)
		watch_refused(&w->watch, w->sent, len);
	engine_icmp(&w->leases.engine, w->now, w->sent, len,
		    kind & 1 ? NATPMP_E_REFUSED : NATPMP_E_UNREACHABLE);
}

static void relink(struct world *w)
{
	static const int statuses[] = {NATPMP_OK, NATPMP_E_NO_GATEWAY, NATPMP_E_SYSTEM};
	int status = statuses[byte(&w->in) % 3];
	uint8_t out[WIRE_REQUEST_MAX];
	unsigned count = 0;

	settle(w); /* as lib/ctx.c has it: nothing heard is left to look at */
	while (leases_farewell(&w->leases, out)) {
		insist(++count <= 2 * LEASES);
		insist(out[4] || out[5]);
	}
	leases_relink(&w->leases, w->now, status, byte(&w->in));
	watch_relinked(&w->watch);
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
		begin(w, false, LEASE_HOLD);
		break;
	case 6:
		let_go(w);
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
		begin(w, true, LEASE_HOLD);
		break;
	case 11:
		begin(w, true, LEASE_CLOSE);
		break;
	default:
		ask(w);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;

	w = (struct world){.in = {data, size}, .linked = true, .now = 100000, .wanted = NEVER};
	w.watch = (struct watch){.fail = fail, .is_over = is_over, .arg = &w};
	insist(leases_init(&w.leases, 1, byte(&w.in) & 1));
	leases_relink(&w.leases, w.now, NATPMP_OK, 1);
	for (int i = 0; i < STEPS && w.in.left; i++) {
		unsigned what = byte(&w.in);
		step(&w, (what & 0x7f) % 13);
		if (!(what & NOT_YET))
			settle(&w);
	}
	settle(&w);
	for (unsigned i = 0; i < LEASES; i++)
		if (w.all[i]) {
			leases_drop(&w.leases, &w.all[i]->core);
			forget(&w, w.all[i]);
		}
	insist(!w.leases.all && !w.leases.count && !w.leases.changed);
	leases_free(&w.leases);
	return 0;
}
