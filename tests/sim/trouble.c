/* SPDX-License-Identifier: MIT */
/* trouble - all that may go wrong with gateway, network and machine, for a while or at once. */
#include "plan.h"

#include <inttypes.h>

enum { SQUATTERS_MAX = 100, FLOOD_MAX = 300 };

struct trouble {
	const char *name;
	void (*begin)(struct world *w, uint64_t length);
	void (*end)(struct world *w); /* NULL: it is over at once */
	bool harmless;                /* no excuse for those whom it does not concern */
	uint64_t longest;             /* ms; 0: as long as any */
};

/* --- it does not answer --- */

static void fall_silent(struct world *w, uint64_t length)
{
	(void)length;
	w->gateways.silent++;
}

static void speak(struct world *w)
{
	w->gateways.silent--;
}

static void fall_mute(struct world *w, uint64_t length)
{
	(void)length;
	w->gateways.mute++;
}

static void be_heard(struct world *w)
{
	w->gateways.mute--;
}

static void refuse(struct world *w, uint64_t length)
{
	(void)length;
	w->gateways.refuses++;
}

static void accept(struct world *w)
{
	w->gateways.refuses--;
}

static void set_deaf(struct world *w, unsigned permille)
{
	w->troubles.ignored = 0;
	for (unsigned i = 0; i < 2; i++)
		for (size_t k = 0; k < w->known.key_count; k++) {
			struct key *key = &w->known.keys[i][k];
			if (key->ignored)
				w->troubles.changed_at = key->heeded = w->now;
			key->ignored = dice_chance(&w->dice, permille);
			w->troubles.ignored += key->ignored;
		}
}

static void be_deaf_to_some(struct world *w, uint64_t length)
{
	(void)length;
	set_deaf(w, (unsigned)dice_between(&w->dice, 20, 500));
}

static void listen(struct world *w)
{
	set_deaf(w, 0);
}

static void think_long(struct world *w, uint64_t length)
{
	(void)length;
	w->gateways.slow++;
}

static void think_fast(struct world *w)
{
	w->gateways.slow--;
}

static void storm(struct world *w, uint64_t length)
{
	(void)length;
	w->troubles.clocks++; /* what is read late shows an old one */
	w->network.weather = (struct weather){
		.loss = (unsigned)dice_roll(&w->dice, 500),
		.duplicate = (unsigned)dice_roll(&w->dice, 200),
		.truncate = (unsigned)dice_roll(&w->dice, 100),
		.pad = (unsigned)dice_roll(&w->dice, 100),
		.late = (unsigned)dice_roll(&w->dice, 100),
		.delay = dice_scale(&w->dice, 1, 500),
		.jitter = dice_scale(&w->dice, 1, 500),
	};
}

static void clear_up(struct world *w)
{
	w->network.weather = w->network.fair;
	w->troubles.clocks--;
	w->troubles.clock_upset = w->now;
}

/* --- it answers, but --- */

static void refuse_by_result(struct world *w, uint64_t length)
{
	static const int32_t results[] = {1, 2, 3, 3, 4, 4, 5, 6, 256, 65535};

	(void)length;
	for (unsigned i = 0; i < GATEWAYS; i++) {
		int32_t result = results[dice_roll(&w->dice, sizeof(results) / sizeof(results[0]))];
		for (unsigned opcode = 0; opcode < 3; opcode++)
			if (dice_chance(&w->dice, 600))
				w->gateways.model[i].profile.forced_result[opcode] = result;
	}
}

static void grant_badly(struct world *w, uint64_t length)
{
	(void)length;
	for (unsigned i = 0; i < GATEWAYS; i++)
		if (dice_chance(&w->dice, 500))
			w->gateways.model[i].profile.forced_port = 0;
		else
			w->gateways.model[i].profile.forced_lifetime = 0;
}

static void grant_well(struct world *w)
{
	for (unsigned i = 0; i < GATEWAYS; i++) {
		struct model_profile *profile = &w->gateways.model[i].profile;
		for (unsigned opcode = 0; opcode < 3; opcode++)
			profile->forced_result[opcode] = -1;
		profile->forced_port = -1;
		profile->forced_lifetime = -1;
	}
}

/* Mappings are refused for some seconds; all else goes on. */
static void refuse_briefly(struct world *w, uint64_t length)
{
	static const int32_t results[] = {2, 3, 4, 4};
	int32_t result = results[dice_roll(&w->dice, sizeof(results) / sizeof(results[0]))];

	(void)length;
	w->troubles.refusal_began = w->now;
	for (unsigned i = 0; i < GATEWAYS; i++)
		for (unsigned opcode = MODEL_UDP; opcode <= MODEL_TCP; opcode++)
			w->gateways.model[i].profile.forced_result[opcode] = result;
}

static void grant_again(struct world *w)
{
	w->troubles.refusal_ended = w->now;
	grant_well(w);
}

/* Its port is closed for some seconds. */
static void close_briefly(struct world *w, uint64_t length)
{
	refuse(w, length);
	w->troubles.refusal_began = w->now;
}

static void open_again(struct world *w)
{
	accept(w);
	w->troubles.refusal_ended = w->now;
}

/* All mappings get other external ports when they are renewed, both protocols the same. */
static void move_ports(struct world *w, uint64_t length)
{
	(void)length;
	for (unsigned i = 0; i < GATEWAYS; i++)
		w->gateways.model[i].profile.forced_port =
			(int32_t)dice_between(&w->dice, 2000, 65000);
}

static void grant_shortly(struct world *w, uint64_t length)
{
	(void)length;
	for (unsigned i = 0; i < GATEWAYS && !w->program.vpn; i++)
		w->gateways.model[i].profile.max_lifetime =
			(uint32_t)dice_scale(&w->dice, 20, 4000);
	w->troubles.changed_at = NEVER / 2;
}

static void grant_as_asked(struct world *w)
{
	for (unsigned i = 0; i < GATEWAYS && !w->program.vpn; i++)
		w->gateways.model[i].profile.max_lifetime = 0;
	w->troubles.changed_at = w->now + 2000 * SECOND; /* what was granted last lasts on */
}

/* --- it restarts --- */

static void announce(struct world *w)
{
	unsigned copies = dice_chance(&w->dice, 500) ? 10 : 1;
	uint64_t delay = 0;

	if (dice_chance(&w->dice, 300)) /* as miniupnpd does */
		plan_later(w, 0, ANNOUNCE, 1, 0);
	for (unsigned i = 0; i < copies; i++) {
		plan_later(w, delay, ANNOUNCE, 0, 0);
		delay += 250U << i;
	}
}

static void restart(struct world *w)
{
	bool keep_table = dice_chance(&w->dice, 250), keep_clock = dice_chance(&w->dice, 250);

	for (unsigned i = 0; i < GATEWAYS; i++)
		model_restart(&w->gateways.model[i], w->now, keep_table, keep_clock);
	truth_restarted(w, !keep_table && !keep_clock);
	TRACE(w, "restarted, table %s, clock %s", keep_table ? "kept" : "lost",
	      keep_clock ? "kept" : "lost");
	if (dice_chance(&w->dice, 600))
		announce(w);
}

static void restart_at_once(struct world *w, uint64_t length)
{
	(void)length;
	restart(w);
}

static void come_back(struct world *w)
{
	speak(w);
	restart(w);
}

/* Somebody else takes the ports we had. */
static void squat(struct world *w, uint64_t length)
{
	struct model *model = world_gateway(w, w->network.socket);

	(void)length;
	model_restart(model, w->now, false, dice_chance(&w->dice, 500));
	truth_restarted(w, false);
	for (unsigned i = 0; i < 2; i++)
		for (size_t k = 0; k < w->known.key_count && w->gateways.squatters < SQUATTERS_MAX;
		     k++)
			if (w->known.keys[i][k].external_port && dice_chance(&w->dice, 500)) {
				w->gateways.squatters++;
				model_add_manual(model, w->now, 0xc0a80163,
						 i ? MODEL_TCP : MODEL_UDP, 9,
						 w->known.keys[i][k].external_port);
			}
}

/* --- its clock --- */

static void set_pace(struct world *w, uint32_t permille)
{
	for (unsigned i = 0; i < GATEWAYS; i++) {
		struct model_profile profile = w->gateways.model[i].profile;
		profile.clock_permille = permille;
		model_set_profile(&w->gateways.model[i], w->now, &profile);
	}
}

static void lie_about_time(struct world *w, uint64_t length)
{
	(void)length;
	w->troubles.clocks++;
	set_pace(w, (uint32_t)dice_between(&w->dice, 500, 1500));
}

static void keep_time(struct world *w)
{
	set_pace(w, 1000);
	w->troubles.clocks--;
	w->troubles.clock_upset = w->now;
}

static void jump(struct world *w, uint64_t length)
{
	(void)length;
	model_set_clock(world_gateway(w, w->network.socket), w->now, dice_word(&w->dice));
	w->troubles.clock_upset = w->now;
}

/* --- its addresses, and ways to it --- */

static void get_address(struct world *w)
{
	for (unsigned i = 0; i < GATEWAYS; i++)
		model_set_address(&w->gateways.model[i], plan_address(w, i));
	if (dice_chance(&w->dice, 700))
		plan_later(w, 0, ANNOUNCE, 0, 0);
}

static void change_address(struct world *w, uint64_t length)
{
	(void)length;
	get_address(w);
}

static void lose_address(struct world *w, uint64_t length)
{
	(void)length;
	for (unsigned i = 0; i < GATEWAYS; i++)
		model_set_address(&w->gateways.model[i], 0);
}

static void change_link(struct world *w, uint64_t length)
{
	unsigned link = (unsigned)dice_roll(&w->dice, LINKS);

	(void)length;
	if (w->network.link != NO_LINK)
		world_relink(w, link, NATPMP_OK, dice_chance(&w->dice, 500));
}

static void lose_link(struct world *w, uint64_t length)
{
	(void)length;
	if (w->network.link != NO_LINK)
		world_relink(w, NO_LINK, NATPMP_E_NO_GATEWAY, true);
}

static void get_link(struct world *w)
{
	unsigned link = dice_chance(&w->dice, 700) ? w->network.socket
						   : (unsigned)dice_roll(&w->dice, LINKS);

	if (w->network.link == NO_LINK)
		world_relink(w, link, NATPMP_OK, dice_chance(&w->dice, 500));
}

/* --- this machine, and bad neighbours --- */

static void fall_asleep(struct world *w, uint64_t length)
{
	w->program.asleep_until = w->now + length;
}

static void spread(struct world *w, uint64_t length, enum move move, unsigned subject)
{
	uint64_t count = dice_scale(&w->dice, 1, 100), gap = length / count;
	uint64_t clock = dice_chance(&w->dice, 500) ? CLOCK_MAYBE_WILD : CLOCK_TRUE;

	while (count--)
		plan_later(w, gap * count, move, subject, clock);
}

static void send_forgeries(struct world *w, uint64_t length)
{
	spread(w, length, FORGE, FORGED_ANY);
}

static void announce_falsely(struct world *w, uint64_t length)
{
	spread(w, length, FLOOD, (unsigned)dice_roll(&w->dice, 3));
}

/* One after another, for as long as it takes: clocks or addresses, by unicast or multicast. */
static void flood(struct world *w, uint64_t length)
{
	uint64_t gap = dice_scale(&w->dice, 5, 500), at = 0;
	enum move move = dice_chance(&w->dice, 500) ? FORGE : FLOOD;
	unsigned subject = dice_chance(&w->dice, 500) ? FORGED_ADDRESS : FORGED_ANY;
	uint64_t clock = dice_chance(&w->dice, 500) ? CLOCK_WILD : CLOCK_TRUE;

	for (unsigned i = 0; i < FLOOD_MAX && at < length; i++, at += gap)
		plan_later(w, at, move, subject, clock);
	w->troubles.disturbances++; /* it is no excuse for itself, but for what others do */
	truth_flood(w, true);
	w->troubles.disturbances--;
}

static void ebb(struct world *w)
{
	truth_flood(w, false);
}

static void nothing(struct world *w)
{
	(void)w;
}

static const struct trouble troubles[] = {
	{"silence", fall_silent, speak, false, 0},
	{"mute", fall_mute, be_heard, false, 0},
	{"refusal", refuse, accept, false, 0},
	{"deaf to some", be_deaf_to_some, listen, true, 0},
	{"slow", think_long, think_fast, true, 0},
	{"storm", storm, clear_up, false, 0},
	{"results", refuse_by_result, grant_well, false, 0},
	{"brief refusal", refuse_briefly, grant_again, false, MINUTE},
	{"closed briefly", close_briefly, open_again, false, MINUTE},
	{"bad grants", grant_badly, grant_well, false, 0},
	{"other ports", move_ports, grant_well, true, 0},
	{"short lifetimes", grant_shortly, grant_as_asked, true, 0},
	{"restart", restart_at_once, NULL, false, 0},
	{"reboot", fall_silent, come_back, false, 0},
	{"squatters", squat, NULL, false, 0},
	{"lying clock", lie_about_time, keep_time, false, 0},
	{"jumping clock", jump, NULL, false, 0},
	{"new address", change_address, NULL, false, 0},
	{"no address", lose_address, get_address, false, 0},
	{"another link", change_link, NULL, false, 0},
	{"no gateway", lose_link, get_link, false, 0},
	{"sleep", fall_asleep, nothing, false, 0},
	{"stall", fall_asleep, nothing, true, 20 * SECOND},
	{"forgeries", send_forgeries, nothing, false, 0},
	{"false announcements", announce_falsely, nothing, false, 0},
	{"flood", flood, ebb, false, FLOOD_MAX *SECOND / 2},
};

void trouble_begin(struct world *w)
{
	bool is_long = dice_chance(&w->dice, 300);
	uint64_t length = dice_scale(&w->dice, 300, is_long ? 6 * HOUR : 10 * MINUTE);
	unsigned which = (unsigned)dice_roll(&w->dice, sizeof(troubles) / sizeof(troubles[0]));
	const struct trouble *trouble = &troubles[which];

	if (trouble->longest && length > trouble->longest)
		length = trouble->longest;
	if (trouble->begin == grant_shortly) /* or that would be most of the work */
		length /= 1 + w->program.slot_count / 8;
	TRACE(w, "trouble: %s, %" PRIu64 " s", trouble->name, trouble->end ? length / SECOND : 0);
	trouble->begin(w, length);
	truth_disturbed(w);
	if (!trouble->end)
		return;
	w->troubles.disturbances += !trouble->harmless;
	plan_later(w, length, CALM, which, 0);
}

void trouble_end(struct world *w, unsigned which)
{
	const struct trouble *trouble = &troubles[which];

	trouble->end(w);
	w->troubles.disturbances -= !trouble->harmless;
	truth_disturbed(w);
	TRACE(w, "over: %s", trouble->name);
}
