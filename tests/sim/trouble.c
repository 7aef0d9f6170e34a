/* SPDX-License-Identifier: MIT */
/* trouble - all that may go wrong with gateway, network and machine, for a while or at once. */
#include "plan.h"

#include <inttypes.h>

enum { SQUATTERS_MAX = 100 };

struct trouble {
	const char *name;
	void (*begin)(struct world *w, uint64_t length);
	void (*end)(struct world *w); /* NULL: it is over at once */
	bool harmless;                /* no excuse for those whom it does not concern */
};

/* --- it does not answer --- */

static void fall_silent(struct world *w, uint64_t length)
{
	(void)length;
	w->silent++;
}

static void speak(struct world *w)
{
	w->silent--;
}

static void fall_mute(struct world *w, uint64_t length)
{
	(void)length;
	w->mute++;
}

static void be_heard(struct world *w)
{
	w->mute--;
}

static void refuse(struct world *w, uint64_t length)
{
	(void)length;
	w->refuses++;
}

static void accept(struct world *w)
{
	w->refuses--;
}

static void set_deaf(struct world *w, unsigned permille)
{
	w->ignored = 0;
	for (unsigned i = 0; i < 2; i++)
		for (size_t k = 0; k < w->key_count; k++) {
			struct key *key = &w->keys[i][k];
			if (key->ignored)
				w->changed_at = key->heeded = w->now;
			key->ignored = dice_chance(&w->dice, permille);
			w->ignored += key->ignored;
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

static void storm(struct world *w, uint64_t length)
{
	(void)length;
	w->weather = (struct weather){
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
	w->weather = w->fair;
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
				w->gateway[i].profile.forced_result[opcode] = result;
	}
}

static void grant_badly(struct world *w, uint64_t length)
{
	(void)length;
	for (unsigned i = 0; i < GATEWAYS; i++)
		if (dice_chance(&w->dice, 500))
			w->gateway[i].profile.forced_port = 0;
		else
			w->gateway[i].profile.forced_lifetime = 0;
}

static void grant_well(struct world *w)
{
	for (unsigned i = 0; i < GATEWAYS; i++) {
		struct model_profile *profile = &w->gateway[i].profile;
		for (unsigned opcode = 0; opcode < 3; opcode++)
			profile->forced_result[opcode] = -1;
		profile->forced_port = -1;
		profile->forced_lifetime = -1;
	}
}

static void grant_shortly(struct world *w, uint64_t length)
{
	(void)length;
	for (unsigned i = 0; i < GATEWAYS && !w->vpn; i++)
		w->gateway[i].profile.max_lifetime = (uint32_t)dice_scale(&w->dice, 20, 4000);
	w->changed_at = NEVER / 2;
}

static void grant_as_asked(struct world *w)
{
	for (unsigned i = 0; i < GATEWAYS && !w->vpn; i++)
		w->gateway[i].profile.max_lifetime = 0;
	w->changed_at = w->now + 2000 * SECOND; /* what was granted last lasts on */
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
		model_restart(&w->gateway[i], w->now, keep_table, keep_clock);
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
	struct model *model = world_gateway(w, w->socket);

	(void)length;
	model_restart(model, w->now, false, dice_chance(&w->dice, 500));
	for (unsigned i = 0; i < 2; i++)
		for (size_t k = 0; k < w->key_count && w->squatters < SQUATTERS_MAX; k++)
			if (w->keys[i][k].external_port && dice_chance(&w->dice, 500)) {
				w->squatters++;
				model_add_manual(model, w->now, 0xc0a80163,
						 i ? MODEL_TCP : MODEL_UDP, 9,
						 w->keys[i][k].external_port);
			}
}

/* --- its clock --- */

static void set_pace(struct world *w, uint32_t permille)
{
	for (unsigned i = 0; i < GATEWAYS; i++) {
		struct model_profile profile = w->gateway[i].profile;
		profile.clock_permille = permille;
		model_set_profile(&w->gateway[i], w->now, &profile);
	}
}

static void lie_about_time(struct world *w, uint64_t length)
{
	(void)length;
	set_pace(w, (uint32_t)dice_between(&w->dice, 500, 1500));
}

static void keep_time(struct world *w)
{
	set_pace(w, 1000);
}

static void jump(struct world *w, uint64_t length)
{
	(void)length;
	model_set_clock(world_gateway(w, w->socket), w->now, dice_word(&w->dice));
}

/* --- its addresses, and ways to it --- */

static void get_address(struct world *w)
{
	for (unsigned i = 0; i < GATEWAYS; i++)
		model_set_address(&w->gateway[i], plan_address(w, i));
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
		model_set_address(&w->gateway[i], 0);
}

static void change_link(struct world *w, uint64_t length)
{
	unsigned link = (unsigned)dice_roll(&w->dice, LINKS);

	(void)length;
	if (w->link != NO_LINK)
		world_relink(w, link, NATPMP_OK, dice_chance(&w->dice, 500));
}

static void lose_link(struct world *w, uint64_t length)
{
	(void)length;
	if (w->link != NO_LINK)
		world_relink(w, NO_LINK, NATPMP_E_NO_GATEWAY, true);
}

static void get_link(struct world *w)
{
	unsigned link =
		dice_chance(&w->dice, 700) ? w->socket : (unsigned)dice_roll(&w->dice, LINKS);

	if (w->link == NO_LINK)
		world_relink(w, link, NATPMP_OK, dice_chance(&w->dice, 500));
}

/* --- this machine, and bad neighbours --- */

static void fall_asleep(struct world *w, uint64_t length)
{
	w->asleep_until = w->now + length;
}

static void spread(struct world *w, uint64_t length, enum move move, unsigned subject)
{
	uint64_t count = dice_scale(&w->dice, 1, 100), gap = length / count;
	uint64_t wild = dice_roll(&w->dice, 2);

	while (count--)
		plan_later(w, gap * count, move, subject, wild);
}

static void send_forgeries(struct world *w, uint64_t length)
{
	spread(w, length, FORGE, 0);
}

static void announce_falsely(struct world *w, uint64_t length)
{
	spread(w, length, FLOOD, (unsigned)dice_roll(&w->dice, 2));
}

static void nothing(struct world *w)
{
	(void)w;
}

static const struct trouble troubles[] = {
	{"silence", fall_silent, speak, false},
	{"mute", fall_mute, be_heard, false},
	{"refusal", refuse, accept, false},
	{"deaf to some", be_deaf_to_some, listen, true},
	{"storm", storm, clear_up, false},
	{"results", refuse_by_result, grant_well, false},
	{"bad grants", grant_badly, grant_well, false},
	{"short lifetimes", grant_shortly, grant_as_asked, true},
	{"restart", restart_at_once, NULL, false},
	{"reboot", fall_silent, come_back, false},
	{"squatters", squat, NULL, false},
	{"lying clock", lie_about_time, keep_time, false},
	{"jumping clock", jump, NULL, false},
	{"new address", change_address, NULL, false},
	{"no address", lose_address, get_address, false},
	{"another link", change_link, NULL, false},
	{"no gateway", lose_link, get_link, false},
	{"sleep", fall_asleep, nothing, false},
	{"forgeries", send_forgeries, nothing, false},
	{"false announcements", announce_falsely, nothing, false},
};

void trouble_begin(struct world *w)
{
	bool is_long = dice_chance(&w->dice, 300);
	uint64_t length = dice_scale(&w->dice, 300, is_long ? 6 * HOUR : 10 * MINUTE);
	unsigned which = (unsigned)dice_roll(&w->dice, sizeof(troubles) / sizeof(troubles[0]));
	const struct trouble *trouble = &troubles[which];

	if (trouble->begin == grant_shortly) /* or that would be most of the work */
		length /= 1 + w->slot_count / 8;
	TRACE(w, "trouble: %s, %" PRIu64 " s", trouble->name, trouble->end ? length / SECOND : 0);
	trouble->begin(w, length);
	truth_disturbed(w);
	if (!trouble->end)
		return;
	w->disturbances += !trouble->harmless;
	plan_later(w, length, CALM, which, 0);
}

void trouble_end(struct world *w, unsigned which)
{
	const struct trouble *trouble = &troubles[which];

	trouble->end(w);
	w->disturbances -= !trouble->harmless;
	truth_disturbed(w);
	TRACE(w, "over: %s", trouble->name);
}
