/* SPDX-License-Identifier: MIT */
#include "plan.h"

#include <stdlib.h>

#define WEEK (7 * DAY)

void plan_later(struct world *w, uint64_t delay, enum move move, unsigned subject, uint64_t value)
{
	queue_push(&w->queue, &(struct event){.at = w->now + delay,
					      .kind = MOVE,
					      .move = move,
					      .subject = subject,
					      .value = value});
}

uint32_t plan_address(struct world *w, unsigned gateway)
{
	return 0x0b160000U | gateway << 8 | (uint32_t)dice_between(&w->dice, 1, ADDRESSES);
}

/* --- the program --- */

uint32_t plan_lifetime(struct world *w)
{
	static const uint32_t lifetimes[] = {2,    5,     20,     60,     120,    600,       3600,
					     7200, 7200,  7200,   7200,   86400,  86400,     604800,
					     7200, 43200, 100000, 200000, 300000, UINT32_MAX};

	return lifetimes[dice_roll(&w->dice, sizeof(lifetimes) / sizeof(lifetimes[0]))];
}

/* What a program wishes: often its own port's number, often any, rarely that one or none. */
static struct wanted plan_wish(struct world *w, const struct slot *slot)
{
	struct wanted wanted = {.lifetime = plan_lifetime(w), .patience = 7750};
	uint64_t kind = dice_roll(&w->dice, 100);

	if (kind < 25)
		wanted.suggested_port = (uint16_t)dice_between(&w->dice, 1, 65535);
	else if (kind < 65)
		wanted.suggested_port = slot->port;
	wanted.is_exact = wanted.suggested_port && dice_chance(&w->dice, 60);
	if (dice_chance(&w->dice, 500))
		wanted.patience = dice_scale(&w->dice, SECOND / 2, 2 * MINUTE);
	return wanted;
}

static void open_slot(struct world *w, unsigned at)
{
	struct slot *slot = &w->program.slots[at];
	struct wanted wanted = plan_wish(w, slot);

	if (slot->hold)
		return;
	slot->hold = world_hold(w, at, &wanted);
	if (!slot->hold)
		return;
	/* Some tens of renewals are enough. */
	uint64_t most = (uint64_t)wanted.lifetime * SECOND * 30;
	plan_later(w, dice_scale(&w->dice, 10, most < WEEK ? most : WEEK), RELEASE, at,
		   slot->hold->serial);
	if (dice_chance(&w->dice, 50))
		CHECK(w, !world_hold(w, at, &wanted), "held twice");
}

static void release_slot(struct world *w, unsigned at)
{
	struct slot *slot = &w->program.slots[at];
	struct hold *hold = slot->hold;

	if (!hold || hold->is_call)
		return;
	slot->hold = NULL;
	world_release(w, hold);
	if (dice_chance(&w->dice, 250))
		open_slot(w, at);
	else
		plan_later(w, dice_scale(&w->dice, 1, DAY), OPEN, at, 0);
}

static void retry_slot(struct world *w, unsigned at)
{
	struct hold *hold = w->program.slots[at].hold;

	if (hold && !hold->is_call)
		world_retry(w, hold);
	plan_later(w, dice_scale(&w->dice, MINUTE, 2 * DAY), RETRY, at, 0);
}

static bool any_held(const struct world *w)
{
	for (size_t i = 0; i < w->program.slot_count; i++)
		if (w->program.slots[i].hold)
			return true;
	return false;
}

void plan_told(struct world *w, struct hold *hold)
{
	if (!dice_chance(&w->dice, w->program.busy_callbacks))
		return;
	switch (dice_roll(&w->dice, 3)) {
	case 0:
		release_slot(w, hold->slot);
		break;
	case 1:
		release_slot(w, (unsigned)dice_roll(&w->dice, w->program.slot_count));
		break;
	default:
		open_slot(w, (unsigned)dice_roll(&w->dice, w->program.slot_count));
	}
}

static void block(struct world *w, enum move move)
{
	static const uint64_t deadlines[] = {100, 1000, 7750, 7750, 127750};
	uint64_t deadline = deadlines[dice_roll(&w->dice, 5)];
	unsigned slot = (unsigned)dice_roll(&w->dice, w->program.slot_count);

	if (move == UNMAP_ALL && !any_held(w) && !w->program.deleting_all)
		world_unmap(w, slot, true, deadline);
	else if (move == MAP && !w->program.slots[slot].hold)
		world_map(w, slot, plan_lifetime(w), deadline);
	else if (move == UNMAP && !w->program.slots[slot].hold &&
		 !w->program.slots[slot].unmapping && !w->program.vpn)
		world_unmap(w, slot, false, deadline);
}

static void forge(struct world *w, enum event_kind kind, unsigned subject, uint64_t wild)
{
	if (w->network.link != NO_LINK)
		queue_push(&w->queue, &(struct event){.at = w->now,
						      .kind = kind,
						      .link = w->network.link,
						      .made = w->now,
						      .forged = true,
						      .subject = subject,
						      .value = wild});
}

void plan_move(struct world *w, const struct event *event)
{
	struct slot *slot =
		event->subject < w->program.slot_count ? &w->program.slots[event->subject] : NULL;

	if (w->now >= w->ends && event->move != CALM && event->move != LOOK && event->move != PROBE)
		return;
	switch ((enum move)event->move) {
	case OPEN:
		open_slot(w, event->subject);
		break;
	case RELEASE:
		if (slot->hold && slot->hold->serial == event->value)
			release_slot(w, event->subject);
		break;
	case RETRY:
		retry_slot(w, event->subject);
		break;
	case MAP:
	case UNMAP:
	case UNMAP_ALL:
		block(w, (enum move)event->move);
		break;
	case PROBE:
		world_probe(w, event->subject);
		if (!event->subject)
			plan_later(w, 7750, PROBE, 1, 0);
		break;
	case DISTURB:
		trouble_begin(w);
		plan_later(w, dice_scale(&w->dice, event->value / 64 + 1, 4 * event->value),
			   DISTURB, 0, event->value);
		break;
	case CALM:
		trouble_end(w, event->subject);
		break;
	case ANNOUNCE:
		world_announce(w, event->subject);
		break;
	case FORGE:
		forge(w, TO_CLIENT, event->subject, event->value);
		break;
	case FLOOD:
		forge(w, ANNOUNCED, event->subject, event->value);
		break;
	case LOOK:
		truth_check_all(w);
		if (event->subject)
			truth_hour(w);
		plan_later(w, 30 * MINUTE, LOOK, !event->subject, 0);
		break;
	}
}

/* --- a schedule --- */

static uint64_t how_many(struct world *w)
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

static const char *plan_pcp_profile(struct world *w)
{
	static const char *const names[] = {"rfc-pcp",
					    "rfc-pcp",
					    "rfc-pcp",
					    "pcp",
					    "pcp",
					    "miniupnpd",
					    "pcp3",
					    "miniupnpd",
					    "repcpd",
					    "miniupnpd-2.3.11",
					    "miniupnpd-2.3.11",
					    "pcponly",
					    "miniupnpd-nopcp",
					    "stallone",
					    "drops-pcp",
					    "drops-pcp",
					    "rfc",
					    "echo",
					    "highport",
					    "splitports",
					    "noaddress"};
	/* The last of them have nothing for a client of PCP alone. */
	size_t count = w->dialects == ONLY_PCP ? 13 : sizeof(names) / sizeof(names[0]);

	return names[dice_roll(&w->dice, count)];
}

static void set_up_gateways(struct world *w)
{
	static const char *const names[] = {"rfc",      "rfc",        "rfc",       "rfc",
					    "rfc",      "miniupnpd",  "miniupnpd", "echo",
					    "highport", "splitports", "noaddress", "pcponly"};
	const char *name = world_has_pcp(w)
				   ? plan_pcp_profile(w)
				   : names[dice_roll(&w->dice, sizeof(names) / sizeof(names[0]))];
	size_t room = 4 * w->known.key_count + 2 * 200;

	if (w->program.vpn)
		name = dice_chance(&w->dice, 500) ? "vpn" : "vpn-named";
	TRACE(w, "profile %s, %zu slots, dialects %u%s", name, w->program.slot_count, w->dialects,
	      w->is_v6 ? ", IPv6" : "");
	for (unsigned i = 0; i < GATEWAYS; i++) {
		w->gateways.table[i] = malloc(room * sizeof(*w->gateways.table[i]));
		model_init(&w->gateways.model[i], model_profile_find(name), w->gateways.table[i],
			   room, dice_bits(&w->dice), w->now);
		model_set_address(&w->gateways.model[i], plan_address(w, i));
		model_set_clock(&w->gateways.model[i], w->now, dice_word(&w->dice));
		if (world_has_pcp(w) && dice_chance(&w->dice, 500))
			model_set_pcp_clock(&w->gateways.model[i], w->now, dice_word(&w->dice));
	}
	w->gateways.base = *model_profile_find(name);
}

/* Whether the client speaks PCP has dice of its own, so that a week without it is what it was when
 * there was none. */
static void choose_dialects(struct world *w, bool vpn)
{
	struct dice dice = {.state = w->seed ^ 0x6887};

	w->dialects = ONLY_NATPMP;
	if (vpn || (!dice_chance(&dice, 400) && !w->with_pcp))
		return;
	w->dialects = dice_chance(&dice, 700) ? ALL_DIALECTS : ONLY_PCP;
	w->is_v6 = w->dialects == ONLY_PCP && dice_chance(&dice, 500);
}

static void set_up(struct world *w)
{
	static const natpmp_protocol protocols[] = {NATPMP_UDP, NATPMP_TCP, NATPMP_TCP_UDP};
	struct dice *dice = &w->dice;

	dice->state = w->seed;
	bool vpn = dice_chance(dice, 30);
	size_t ports = vpn ? 1 : (size_t)how_many(w);
	choose_dialects(w, vpn);
	world_init(w, w->seed, ports, vpn);
	w->program.slots = calloc(2 * ports, sizeof(*w->program.slots));
	for (size_t i = 0; i < ports; i++) {
		struct slot *slot = &w->program.slots[w->program.slot_count++];
		slot->port = vpn ? 0 : (uint16_t)(PORT_BASE + i);
		slot->protocol = protocols[dice_roll(dice, 3)];
		if (slot->protocol == NATPMP_UDP && !vpn && dice_chance(dice, 300)) {
			struct slot *other = &w->program.slots[w->program.slot_count++];
			*other = (struct slot){.port = slot->port, .protocol = NATPMP_TCP};
		}
	}
	set_up_gateways(w);
	w->network.fair = (struct weather){.delay = dice_scale(dice, 1, 40),
					   .jitter = dice_scale(dice, 1, 40)};
	w->network.weather = w->network.fair;
	w->network.hints = dice_chance(dice, 300) ? 300 : 0;
	w->gateways.trips = dice_chance(dice, 200) ? 3 : 0;
	w->program.busy_callbacks = dice_chance(dice, 300) ? 100 : 0;
	w->ends = w->now + (w->ends ? 6 * HOUR : WEEK);
	for (unsigned i = 0; i < w->program.slot_count; i++)
		plan_later(w,
			   dice_chance(dice, 600) ? dice_roll(dice, 1000)
						  : dice_scale(dice, 1, DAY),
			   OPEN, i, 0);
	for (unsigned i = (unsigned)dice_roll(dice, 6); i--;) {
		enum move move = dice_chance(dice, 500) ? MAP : UNMAP;
		plan_later(w, dice_roll(dice, WEEK), move, 0, 0);
	}
	if (dice_chance(dice, 100))
		plan_later(w, dice_roll(dice, WEEK), UNMAP_ALL, 0, 0);
	if (dice_chance(dice, 200))
		plan_later(w, dice_roll(dice, WEEK), PROBE, 0, 0);
	if (dice_chance(dice, 300))
		plan_later(w, dice_roll(dice, DAY), RETRY,
			   (unsigned)dice_roll(dice, w->program.slot_count), 0);
	plan_later(w, 30 * MINUTE, LOOK, 0, 0);
	if (dice_chance(dice, 900)) {
		uint64_t rest = dice_scale(dice, 30 * MINUTE, 3 * DAY);
		plan_later(w, dice_roll(dice, rest), DISTURB, 0, rest);
	}
}

static void release_all(struct world *w)
{
	for (size_t i = 0; i < w->program.slot_count; i++) {
		struct hold *hold = w->program.slots[i].hold;
		if (!hold || hold->is_call)
			continue;
		w->program.slots[i].hold = NULL;
		world_release(w, hold);
	}
}

void plan_run(struct world *w)
{
	set_up(w);
	world_run(w, w->ends);
	/* All troubles end; then all is well within the bound, and nothing remains. */
	while (w->troubles.disturbances || w->troubles.changes || w->troubles.ignored)
		world_run(w, w->now + HOUR);
	world_run(w, w->now + HOUR + truth_turns(w));
	truth_check_all(w);
	w->program.busy_callbacks = 0;
	uint64_t turns = truth_turns(w);
	release_all(w);
	world_run(w, w->now + 3 * MINUTE + turns);
	/* What nobody answers is asked for five times. */
	if (!truth_spoken(w))
		world_run(w, w->now + w->program.slot_count * 15 * MINUTE);
	truth_check_all(w);
	truth_nothing_left(w);
}
