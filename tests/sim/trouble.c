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

static bool speaks_pcp(const struct model *model)
{
	return model->profile.pcp != MODEL_PCP_NONE;
}

/* Each wish with that chance; -1: any result but those that only a mistake of ours can have. */
static void refuse_pcp(struct world *w, unsigned permille, int32_t result)
{
	static const int32_t results[] = {2, 4, 5, 7, 8, 8, 9, 10, 11, 12, 18, 200};
	static const int32_t lifetimes[] = {-1, -1, 0, 5, 60, 300, 3600, 100000, INT32_MAX};
	int32_t lifetime = lifetimes[dice_roll(&w->dice, sizeof(lifetimes) / sizeof(lifetimes[0]))];

	for (unsigned i = 0; i < GATEWAYS; i++) {
		struct model_profile *profile = &w->gateways.model[i].profile;
		profile->forced_error_lifetime = lifetime;
		for (unsigned wish = 0; wish < MODEL_WISHES; wish++) {
			size_t roll =
				(size_t)dice_roll(&w->dice, sizeof(results) / sizeof(int32_t));
			if (dice_chance(&w->dice, permille))
				profile->forced_pcp_result[wish] =
					result < 0 ? results[roll] : result;
		}
	}
}

static void refuse_by_pcp(struct world *w, uint64_t length)
{
	(void)length;
	refuse_pcp(w, 500, -1);
}

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
	if (world_has_pcp(w))
		refuse_pcp(w, 600, -1);
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
		for (unsigned wish = 0; wish < MODEL_WISHES; wish++)
			profile->forced_pcp_result[wish] = -1;
		profile->forced_port = -1;
		profile->forced_lifetime = -1;
		profile->forced_error_lifetime = -1;
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
	if (world_has_pcp(w))
		refuse_pcp(w, 1000, result == 3 ? MODEL_PCP_NETWORK_FAILURE : result * 2);
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
	for (unsigned i = 0; i < GATEWAYS && world_has_pcp(w); i++)
		w->gateways.model[i].profile.pcp_max_lifetime =
			w->gateways.model[i].profile.max_lifetime;
	w->troubles.changed_at = NEVER / 2;
}

static void grant_as_asked(struct world *w)
{
	for (unsigned i = 0; i < GATEWAYS && !w->program.vpn; i++)
		w->gateways.model[i].profile.max_lifetime = 0;
	for (unsigned i = 0; i < GATEWAYS; i++)
		w->gateways.model[i].profile.pcp_max_lifetime = w->gateways.base.pcp_max_lifetime;
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
	truth_restarted(w, !keep_table && !keep_clock ? ALL_DIALECTS : 0);
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

/* Only the program that serves one of the dialects restarts. */
static void restart_one(struct world *w, uint64_t length)
{
	bool is_pcp = dice_chance(&w->dice, 500), is_told = dice_chance(&w->dice, 600);
	enum model_maker maker = is_pcp ? MODEL_BY_PCP : MODEL_BY_NATPMP;

	(void)length;
	for (unsigned i = 0; i < GATEWAYS; i++) {
		struct model *model = &w->gateways.model[i];
		for (uint32_t at = model->table.count; at-- > 0;)
			if (model->table.slots[at].mapping.maker == maker)
				table_drop(&model->table, &model->table.slots[at].mapping);
		if (is_pcp)
			model_set_pcp_clock(model, w->now, 0);
		else
			model_set_natpmp_clock(model, w->now, 0);
	}
	TRACE(w, "%s restarted alone", is_pcp ? "PCP" : "NAT-PMP");
	truth_restarted(w, is_pcp ? ONLY_PCP : ONLY_NATPMP);
	if (is_told)
		plan_later(w, 0, ANNOUNCE, is_pcp, 0);
}

/* --- it is upgraded, or downgraded --- */

static void set_dialects(struct world *w, enum model_pcp pcp, enum model_refusal refusal,
			 bool is_silent)
{
	w->gateways.changed_at = w->now;
	for (unsigned i = 0; i < GATEWAYS; i++) {
		struct model_profile *profile = &w->gateways.model[i].profile;
		profile->pcp = pcp;
		profile->refusal = refusal;
		profile->silent_to_natpmp = is_silent;
	}
}

/* Often that takes a restart. */
static void restart_maybe(struct world *w)
{
	if (dice_chance(&w->dice, 500))
		restart(w);
}

static void change_dialects(struct world *w, uint64_t length)
{
	enum model_pcp pcp = (enum model_pcp)dice_roll(&w->dice, 3);
	enum model_refusal refusal = (enum model_refusal)dice_roll(&w->dice, 5);
	bool is_silent = dice_chance(&w->dice, 500);

	(void)length;
	TRACE(w, "dialects %u, refusal %u%s", pcp, refusal, is_silent ? ", silent" : "");
	set_dialects(w, pcp, refusal, is_silent);
	w->troubles.changes++;
	restart_maybe(w);
}

static void change_dialects_back(struct world *w)
{
	const struct model_profile *base = &w->gateways.base;

	set_dialects(w, base->pcp, base->refusal, base->silent_to_natpmp);
	w->troubles.changes--;
	restart_maybe(w);
}

/* --- what it says of its own accord --- */

/* Up to three copies: RFC 6887 section 14.2. */
static void tell_update(struct world *w, unsigned protocol, uint16_t port)
{
	struct model *model = world_gateway(w, w->network.socket);
	const struct model_host own = world_host(w, w->network.socket);
	const struct model_mapping *mapping =
		model_find(model, w->now, &own, protocol, port, MODEL_BY_PCP, NULL);

	for (unsigned copies = (unsigned)dice_between(&w->dice, 1, 3); mapping && copies--;)
		world_update(w, mapping);
}

static void tell_updates(struct world *w)
{
	for (unsigned i = 0; i < 2; i++)
		for (size_t k = 0; k < w->known.key_count; k++)
			tell_update(w, i + 1, (uint16_t)(PORT_BASE + k));
}

/* It gives some mappings other external ports. */
static void move_some(struct world *w, uint64_t length)
{
	struct model *model = world_gateway(w, w->network.socket);
	const struct model_host own = world_host(w, w->network.socket);

	(void)length;
	if (!speaks_pcp(model))
		return;
	for (unsigned i = 0; i < 2; i++)
		for (size_t k = 0; k < w->known.key_count; k++) {
			uint16_t port = (uint16_t)(PORT_BASE + k);
			const struct model_mapping *mapping =
				model_find(model, w->now, &own, i + 1, port, MODEL_BY_PCP, NULL);
			if (!mapping || !dice_chance(&w->dice, 300))
				continue;
			model_move(model, mapping, (uint16_t)dice_between(&w->dice, 2000, 65000));
			tell_update(w, i + 1, port);
		}
}

/* What was deleted lives on for a while. */
static void let_live(struct world *w, uint64_t length)
{
	(void)length;
	for (unsigned i = 0; i < GATEWAYS; i++)
		w->gateways.model[i].profile.deletion_leaves =
			(uint32_t)dice_between(&w->dice, 1, 120);
	w->troubles.changes++;
}

static void let_die(struct world *w)
{
	for (unsigned i = 0; i < GATEWAYS; i++)
		w->gateways.model[i].profile.deletion_leaves = 0;
	w->troubles.changes--;
}

/* Somebody else takes the ports we had. */
static void squat(struct world *w, uint64_t length)
{
	struct model *model = world_gateway(w, w->network.socket);

	(void)length;
	model_restart(model, w->now, false, dice_chance(&w->dice, 500));
	truth_restarted(w, 0);
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
	if (world_has_pcp(w) && speaks_pcp(world_gateway(w, w->network.socket)) &&
	    dice_chance(&w->dice, 600))
		tell_updates(w);
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
	/* from here on those that need PCP */
	{"other dialects", change_dialects, change_dialects_back, true, 0},
	{"other dialects again", change_dialects, change_dialects_back, true, 0},
	{"errors of PCP", refuse_by_pcp, grant_well, false, 0},
	{"one restarts", restart_one, NULL, false, 0},
	{"updates", move_some, NULL, false, 0},
	{"slow deletions", let_live, let_die, true, 0},
};

enum { WITHOUT_PCP = 26 };

void trouble_begin(struct world *w)
{
	bool is_long = dice_chance(&w->dice, 300);
	uint64_t length = dice_scale(&w->dice, 300, is_long ? 6 * HOUR : 10 * MINUTE);
	size_t count = world_has_pcp(w) ? sizeof(troubles) / sizeof(troubles[0]) : WITHOUT_PCP;
	unsigned which = (unsigned)dice_roll(&w->dice, count);
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
