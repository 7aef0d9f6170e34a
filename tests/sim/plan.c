/* SPDX-License-Identifier: MIT */
/* plan - what happens, all of it decided by the seed. */
#include "world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WEEK (7 * DAY)

enum { SQUATTERS_MAX = 100 };

enum move {
	/* the program's */
	OPEN,
	RELEASE,
	MAP,
	UNMAP,
	UNMAP_ALL,
	/* the gateway's and the network's */
	DISTURB,
	CALM,
	ANNOUNCE,
	FORGE,
	FLOOD,
	COME_BACK, /* of a link */
	/* ours */
	LOOK,
};

enum trouble {
	SILENCE,
	MUTE,
	REFUSAL,
	STORM,
	RESULT,
	BAD_GRANT,
	SHORT_LIFETIMES,
	DEAF_TO_SOME,
	REBOOT,
	NEW_ADDRESS,
	NO_ADDRESS,
	OTHER_LINK,
	NO_GATEWAY,
	SUSPEND,
	LYING_CLOCK,
	CLOCK_JUMP,
	SQUATTERS,
	FORGERIES,
	ANNOUNCEMENTS,
	TROUBLES,
};

static const char *const trouble_names[TROUBLES] = {
	"silence",   "mute",       "refusal",    "storm",     "result",      "bad grant",   "short lifetimes",
	"deaf",      "reboot",     "address",   "no address",  "other link",  "no gateway",
	"suspend",   "clock lies", "clock jump", "squatters",  "forgeries",   "announcements",
};

static void later(struct world *w, uint64_t delay, enum move move, unsigned subject, uint64_t value)
{
	queue_push(&w->queue, &(struct event){.at = w->now + delay,
					      .kind = MOVE,
					      .move = move,
					      .subject = subject,
					      .value = value});
}

/* --- the program --- */

static uint32_t some_lifetime(struct world *w)
{
	static const uint32_t lifetimes[] = {2,    5,     20,     60,     120,    600,       3600,
					     7200, 7200,  7200,   7200,   86400,  86400,     604800,
					     7200, 43200, 100000, 200000, 300000, UINT32_MAX};

	return lifetimes[dice_roll(&w->dice, sizeof(lifetimes) / sizeof(lifetimes[0]))];
}

static void open_slot(struct world *w, unsigned at)
{
	struct slot *slot = &w->slots[at];
	uint32_t lifetime = some_lifetime(w);
	uint16_t suggested = dice_chance(&w->dice, 200) ? (uint16_t)dice_between(&w->dice, 1, 65535) : 0;

	if (slot->hold)
		return;
	slot->hold = world_hold(w, at, suggested, lifetime);
	if (!slot->hold)
		return;
	/* Some tens of renewals are enough. */
	uint64_t most = (uint64_t)lifetime * SECOND * 30;
	later(w, dice_scale(&w->dice, 10, most < WEEK ? most : WEEK), RELEASE, at, slot->hold->serial);
	if (dice_chance(&w->dice, 50))
		CHECK(w, !world_hold(w, at, 0, lifetime), "held twice");
}

static void release_slot(struct world *w, unsigned at)
{
	struct slot *slot = &w->slots[at];

	if (!slot->hold || slot->hold->stage != HELD)
		return;
	world_release(w, slot->hold);
	slot->hold = NULL;
	if (dice_chance(&w->dice, 250))
		open_slot(w, at);
	else
		later(w, dice_scale(&w->dice, 1, DAY), OPEN, at, 0);
}

static bool any_held(const struct world *w)
{
	for (size_t i = 0; i < w->slot_count; i++)
		if (w->slots[i].hold)
			return true;
	return false;
}

void plan_told(struct world *w, struct hold *hold)
{
	if (!dice_chance(&w->dice, w->busy_callbacks) || hold->stage != HELD)
		return;
	switch (dice_roll(&w->dice, 3)) {
	case 0:
		release_slot(w, hold->slot);
		break;
	case 1:
		release_slot(w, (unsigned)dice_roll(&w->dice, w->slot_count));
		break;
	default:
		open_slot(w, (unsigned)dice_roll(&w->dice, w->slot_count));
	}
}

static void block(struct world *w, enum move move)
{
	static const uint64_t deadlines[] = {100, 1000, 7750, 7750, 127750};
	uint64_t deadline = deadlines[dice_roll(&w->dice, 5)];
	unsigned slot = (unsigned)dice_roll(&w->dice, w->slot_count);

	if (move == UNMAP_ALL && !any_held(w) && !w->deleting_all)
		world_unmap(w, slot, true, deadline);
	else if (move == MAP && !w->slots[slot].hold)
		world_map(w, slot, some_lifetime(w), deadline);
	else if (move == UNMAP && !w->slots[slot].hold && !w->vpn)
		world_unmap(w, slot, false, deadline);
}

/* --- the gateway --- */

static void each_profile(struct world *w, void (*change)(struct world *w, struct model_profile *p))
{
	for (unsigned i = 0; i < GATEWAYS; i++)
		change(w, &w->gateway[i].profile);
}

static void force_result(struct world *w, struct model_profile *profile)
{
	static const int32_t results[] = {1, 2, 3, 3, 4, 4, 5, 6, 256, 65535};
	int32_t result = results[dice_roll(&w->dice, sizeof(results) / sizeof(results[0]))];

	for (unsigned i = 0; i < 3; i++)
		profile->forced_result[i] = dice_chance(&w->dice, 600) ? result : -1;
}

static void force_no_result(struct world *w, struct model_profile *profile)
{
	(void)w;
	for (unsigned i = 0; i < 3; i++)
		profile->forced_result[i] = -1;
}

static void grant_badly(struct world *w, struct model_profile *profile)
{
	if (dice_chance(&w->dice, 500))
		profile->forced_port = 0;
	else
		profile->forced_lifetime = 0;
}

static void grant_well(struct world *w, struct model_profile *profile)
{
	(void)w;
	profile->forced_port = -1;
	profile->forced_lifetime = -1;
}

static void be_deaf(struct world *w, bool deaf)
{
	unsigned permille = (unsigned)dice_between(&w->dice, 20, 500);

	w->ignored = 0;
	for (unsigned i = 0; i < 2; i++)
		for (size_t k = 0; k < w->key_count; k++) {
			struct key *key = &w->keys[i][k];
			if (key->ignored)
				w->changed_at = key->heeded = w->now;
			key->ignored = deaf && dice_chance(&w->dice, permille);
			w->ignored += key->ignored;
		}
	truth_disturbed(w);
}

static uint32_t some_address(struct world *w, unsigned gateway)
{
	return 0x0b160000U | gateway << 8 | (uint32_t)dice_between(&w->dice, 1, ADDRESSES);
}

static void announce(struct world *w)
{
	unsigned copies = dice_chance(&w->dice, 500) ? 10 : 1;
	uint64_t delay = 0;

	if (dice_chance(&w->dice, 300)) /* as miniupnpd does */
		later(w, delay, ANNOUNCE, 1, 0);
	for (unsigned i = 0; i < copies; i++) {
		later(w, delay, ANNOUNCE, 0, 0);
		delay += 250U << i;
	}
}

static void reboot(struct world *w)
{
	bool keep_table = dice_chance(&w->dice, 250), keep_clock = dice_chance(&w->dice, 250);

	for (unsigned i = 0; i < GATEWAYS; i++)
		model_restart(&w->gateway[i], w->now, keep_table, keep_clock);
	TRACE(w, "reboot, table %s, clock %s", keep_table ? "kept" : "lost", keep_clock ? "kept" : "lost");
	if (dice_chance(&w->dice, 600))
		announce(w);
}

/* Somebody else takes the ports we had. */
static void squat(struct world *w)
{
	struct model *model = world_gateway(w, w->socket);
	bool keep_clock = dice_chance(&w->dice, 500);

	model_restart(model, w->now, false, keep_clock);
	for (unsigned i = 0; i < 2; i++)
		for (size_t k = 0; k < w->key_count && k < 64; k++)
			if (w->keys[i][k].external_port && dice_chance(&w->dice, 500) &&
			    w->squatters++ < SQUATTERS_MAX)
				model_add_manual(model, w->now, 0xc0a80163, i ? MODEL_TCP : MODEL_UDP, 9,
						 w->keys[i][k].external_port);
}

/* --- what nobody sent --- */

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

	if (dice_chance(&w->dice, 500) && request[1] && (port ^ request[4] << 8 ^ request[5]) && !error)
		tcp = !tcp; /* same protocol, another port */
	bytes[1] = tcp ? 0x82 : 0x81;
	if (error)
		put16(bytes + 2, (uint32_t)dice_between(&w->dice, 2, 7));
	put16(bytes + 8, w->vpn ? 1 : port);
	put16(bytes + 10, (uint32_t)dice_roll(&w->dice, 65536) | 2); /* not 1, as VPNs have it */
	put32(bytes + 12, some_lifetime(w));
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
	put32(bytes + 4, wild ? (uint32_t)dice_bits(&w->dice) >> dice_roll(&w->dice, 32) : seconds);
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

/* --- troubles --- */

static bool lasts(struct world *w, enum trouble trouble, uint64_t length)
{
	w->disturbances++;
	truth_disturbed(w);
	later(w, length, CALM, trouble, 0);
	return true;
}

static void change_address(struct world *w)
{
	for (unsigned i = 0; i < GATEWAYS; i++)
		model_set_address(&w->gateway[i], some_address(w, i));
	if (dice_chance(&w->dice, 700))
		later(w, 0, ANNOUNCE, 0, 0);
}

static void change_link(struct world *w)
{
	unsigned link = (unsigned)dice_roll(&w->dice, LINKS);

	if (w->link == NO_LINK)
		return;
	world_relink(w, link, NATPMP_OK, dice_chance(&w->dice, 500));
	truth_disturbed(w);
}

static void start(struct world *w, enum trouble trouble)
{
	uint64_t length = dice_scale(&w->dice, 300, dice_chance(&w->dice, 300) ? 6 * HOUR : 10 * MINUTE);
	unsigned count = (unsigned)dice_scale(&w->dice, 1, 100), pcp = count & 1;

	TRACE(w, "trouble: %s, %" PRIu64 " s", trouble_names[trouble], length / SECOND);
	if (trouble != OTHER_LINK)
		truth_disturbed(w);
	switch (trouble) {
	case SILENCE:
		lasts(w, trouble, length);
		if (!w->silent++)
			w->silent_since = w->now;
		break;
	case MUTE:
		lasts(w, trouble, length);
		w->mute++;
		break;
	case REFUSAL:
		lasts(w, trouble, length);
		w->refuses++;
		break;
	case STORM:
		lasts(w, trouble, length);
		w->weather = (struct weather){
			.loss = (unsigned)dice_roll(&w->dice, 500),
			.duplicate = (unsigned)dice_roll(&w->dice, 200),
			.truncate = (unsigned)dice_roll(&w->dice, 100),
			.pad = (unsigned)dice_roll(&w->dice, 100),
			.late = (unsigned)dice_roll(&w->dice, 100),
			.delay = dice_scale(&w->dice, 1, 500),
			.jitter = dice_scale(&w->dice, 1, 500),
		};
		break;
	case RESULT:
		lasts(w, trouble, length);
		each_profile(w, force_result);
		break;
	case BAD_GRANT:
		lasts(w, trouble, length);
		each_profile(w, grant_badly);
		break;
	case SHORT_LIFETIMES:
		for (unsigned i = 0; i < GATEWAYS && !w->vpn; i++)
			w->gateway[i].profile.max_lifetime = (uint32_t)dice_scale(&w->dice, 20, 4000);
		w->changed_at = NEVER / 2;
		later(w, length / (1 + w->slot_count / 8), CALM, trouble, 0);
		break;
	case DEAF_TO_SOME:
		be_deaf(w, true);
		later(w, length, CALM, trouble, 0);
		break;
	case REBOOT:
		if (dice_chance(&w->dice, 700)) { /* it takes its time */
			lasts(w, SILENCE, dice_scale(&w->dice, 100, 2 * MINUTE));
			if (!w->silent++)
				w->silent_since = w->now;
			later(w, 0, CALM, REBOOT, 0);
		} else {
			reboot(w);
		}
		break;
	case NEW_ADDRESS:
		change_address(w);
		break;
	case NO_ADDRESS:
		lasts(w, trouble, length);
		for (unsigned i = 0; i < GATEWAYS; i++)
			model_set_address(&w->gateway[i], 0);
		break;
	case OTHER_LINK:
		change_link(w);
		break;
	case NO_GATEWAY:
		if (w->link != NO_LINK) {
			lasts(w, trouble, length);
			world_relink(w, NO_LINK, NATPMP_E_NO_GATEWAY, true);
		}
		break;
	case SUSPEND:
		lasts(w, trouble, length);
		w->asleep_until = w->now + length;
		break;
	case LYING_CLOCK:
		lasts(w, trouble, length);
		for (unsigned i = 0; i < GATEWAYS; i++) {
			struct model_profile profile = w->gateway[i].profile;
			profile.clock_permille = (uint32_t)dice_between(&w->dice, 500, 1500);
			model_set_profile(&w->gateway[i], w->now, &profile);
		}
		break;
	case CLOCK_JUMP:
		model_set_clock(world_gateway(w, w->socket), w->now,
				(uint32_t)dice_bits(&w->dice) >> dice_roll(&w->dice, 32));
		break;
	case SQUATTERS:
		squat(w);
		break;
	case FORGERIES:
		lasts(w, trouble, length);
		for (uint64_t gap = length / count; count--;)
			later(w, gap * count, FORGE, 0, dice_roll(&w->dice, 2));
		break;
	case ANNOUNCEMENTS: /* of restarts that were none */
		lasts(w, trouble, length);
		for (uint64_t gap = length / count; count--;)
			later(w, gap * count, FLOOD, pcp, 1);
		break;
	case TROUBLES:
		break;
	}
}

static void settle(struct world *w, enum trouble trouble)
{
	switch (trouble) {
	case SILENCE:
		w->silent--;
		break;
	case MUTE:
		w->mute--;
		break;
	case REFUSAL:
		w->refuses--;
		break;
	case STORM:
		w->weather = w->fair;
		break;
	case RESULT:
		each_profile(w, force_no_result);
		break;
	case BAD_GRANT:
		each_profile(w, grant_well);
		break;
	case SHORT_LIFETIMES:
		for (unsigned i = 0; i < GATEWAYS && !w->vpn; i++)
			w->gateway[i].profile.max_lifetime = 0;
		w->changed_at = w->now + 2000 * SECOND; /* what was granted last lasts on */
		return;
	case DEAF_TO_SOME:
		be_deaf(w, false);
		return;
	case REBOOT:
		reboot(w);
		return;
	case NO_ADDRESS:
		change_address(w);
		break;
	case LYING_CLOCK:
		for (unsigned i = 0; i < GATEWAYS; i++) {
			struct model_profile profile = w->gateway[i].profile;
			profile.clock_permille = 1000;
			model_set_profile(&w->gateway[i], w->now, &profile);
		}
		break;
	case NO_GATEWAY:
		if (w->link == NO_LINK)
			world_relink(w, dice_chance(&w->dice, 700) ? w->socket
								   : (unsigned)dice_roll(&w->dice, LINKS),
				     NATPMP_OK, dice_chance(&w->dice, 500));
		break;
	case SUSPEND:
	case FORGERIES:
	case ANNOUNCEMENTS:
	case NEW_ADDRESS:
	case OTHER_LINK:
	case CLOCK_JUMP:
	case SQUATTERS:
	case TROUBLES:
		break;
	}
	w->disturbances--;
	truth_disturbed(w);
	TRACE(w, "over: %s", trouble_names[trouble]);
}

static void forge(struct world *w, enum event_kind kind, unsigned subject, uint64_t wild)
{
	if (w->link != NO_LINK)
		queue_push(&w->queue, &(struct event){.at = w->now,
						      .kind = kind,
						      .link = w->link,
						      .made = w->now,
						      .forged = true,
						      .subject = subject,
						      .value = wild});
}

void plan_move(struct world *w, const struct event *event)
{
	struct slot *slot = event->subject < w->slot_count ? &w->slots[event->subject] : NULL;

	if (w->now >= w->ends && event->move != CALM && event->move != LOOK)
		return;
	switch ((enum move)event->move) {
	case OPEN:
		open_slot(w, event->subject);
		break;
	case RELEASE:
		if (slot->hold && slot->hold->serial == event->value)
			release_slot(w, event->subject);
		break;
	case MAP:
	case UNMAP:
	case UNMAP_ALL:
		block(w, (enum move)event->move);
		break;
	case DISTURB:
		start(w, (enum trouble)dice_roll(&w->dice, TROUBLES));
		later(w, dice_scale(&w->dice, event->value / 64 + 1, 4 * event->value), DISTURB, 0,
		      event->value);
		break;
	case CALM:
		settle(w, (enum trouble)event->subject);
		break;
	case ANNOUNCE:
		world_announce(w, event->subject);
		break;
	case FORGE:
		forge(w, TO_CLIENT, 0, event->value);
		break;
	case FLOOD:
		forge(w, ANNOUNCED, event->subject, event->value);
		break;
	case COME_BACK:
		break;
	case LOOK:
		truth_check_all(w);
		if (event->subject)
			truth_hour(w);
		later(w, 30 * MINUTE, LOOK, !event->subject, 0);
		break;
	}
}

/* --- a schedule --- */

static size_t how_many(struct world *w)
{
	uint64_t roll = dice_roll(&w->dice, 1000);

	if (roll < 600)
		return dice_between(&w->dice, 1, 3);
	if (roll < 940)
		return dice_between(&w->dice, 3, 10);
	if (roll < 990)
		return dice_between(&w->dice, 10, 50);
	w->ends = 1; /* of a crowd a few hours are enough */
	return roll == 999 && dice_chance(&w->dice, 500) ? 3000 : dice_between(&w->dice, 100, 1000);
}

static void set_up_gateways(struct world *w)
{
	static const char *const names[] = {"rfc",      "rfc",        "rfc",       "rfc",
					    "rfc",      "miniupnpd",  "miniupnpd", "echo",
					    "highport", "splitports", "noaddress", "pcponly"};
	const char *name = names[dice_roll(&w->dice, sizeof(names) / sizeof(names[0]))];
	size_t room = 4 * w->key_count + 2 * SQUATTERS_MAX;

	if (w->vpn)
		name = dice_chance(&w->dice, 500) ? "vpn" : "vpn-named";
	TRACE(w, "profile %s, %zu slots", name, w->slot_count);
	for (unsigned i = 0; i < GATEWAYS; i++) {
		w->table[i] = malloc(room * sizeof(*w->table[i]));
		model_init(&w->gateway[i], model_profile_find(name), w->table[i], room,
			   dice_bits(&w->dice), w->now);
		model_set_address(&w->gateway[i], some_address(w, i));
		model_set_clock(&w->gateway[i], w->now,
				(uint32_t)dice_bits(&w->dice) >> dice_roll(&w->dice, 32));
	}
}

static void set_up(struct world *w)
{
	static const natpmp_protocol protocols[] = {NATPMP_UDP, NATPMP_TCP, NATPMP_TCP_UDP};
	struct dice *dice = &w->dice;

	dice->state = w->seed;
	bool vpn = dice_chance(dice, 30);
	size_t ports = vpn ? 1 : how_many(w);
	world_init(w, w->seed, ports, vpn);
	w->slots = calloc(2 * ports, sizeof(*w->slots));
	for (size_t i = 0; i < ports; i++) {
		struct slot *slot = &w->slots[w->slot_count++];
		slot->port = vpn ? 0 : (uint16_t)(PORT_BASE + i);
		slot->protocol = protocols[dice_roll(dice, 3)];
		if (slot->protocol == NATPMP_UDP && !vpn && dice_chance(dice, 300)) {
			struct slot *other = &w->slots[w->slot_count++];
			*other = (struct slot){.port = slot->port, .protocol = NATPMP_TCP};
		}
	}
	set_up_gateways(w);
	w->fair = (struct weather){.delay = dice_scale(dice, 1, 40), .jitter = dice_scale(dice, 1, 40)};
	w->weather = w->fair;
	w->hints = dice_chance(dice, 300) ? 300 : 0;
	w->trips = dice_chance(dice, 200) ? 3 : 0;
	w->busy_callbacks = dice_chance(dice, 300) ? 100 : 0;
	w->ends = w->now + (w->ends ? 6 * HOUR : WEEK);
	for (unsigned i = 0; i < w->slot_count; i++)
		later(w, dice_chance(dice, 600) ? dice_roll(dice, 1000) : dice_scale(dice, 1, DAY), OPEN, i,
		      0);
	for (unsigned i = (unsigned)dice_roll(dice, 6); i--;)
		later(w, dice_roll(dice, WEEK), dice_chance(dice, 500) ? MAP : UNMAP, 0, 0);
	if (dice_chance(dice, 100))
		later(w, dice_roll(dice, WEEK), UNMAP_ALL, 0, 0);
	later(w, 30 * MINUTE, LOOK, 0, 0);
	if (dice_chance(dice, 900)) {
		uint64_t rest = dice_scale(dice, 30 * MINUTE, 3 * DAY);
		later(w, dice_roll(dice, rest), DISTURB, 0, rest);
	}
}

static void release_all(struct world *w)
{
	for (size_t i = 0; i < w->slot_count; i++)
		if (w->slots[i].hold && w->slots[i].hold->stage == HELD) {
			world_release(w, w->slots[i].hold);
			w->slots[i].hold = NULL;
		}
}

void plan_run(struct world *w)
{
	set_up(w);
	world_run(w, w->ends);
	/* All troubles end; then all is well within the bound, and nothing remains. */
	while (w->disturbances || w->ignored)
		world_run(w, w->now + HOUR);
	world_run(w, w->now + HOUR + truth_turns(w));
	truth_check_all(w);
	w->busy_callbacks = 0;
	release_all(w);
	world_run(w, w->now + 3 * MINUTE + truth_turns(w));
	truth_check_all(w);
	truth_nothing_left(w);
}
