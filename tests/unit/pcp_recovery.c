/* SPDX-License-Identifier: MIT */
/* PCP gateways that restart, move mappings, or are replaced; and packets that are not theirs. */
#include <string.h>

#include "meeting.h"
#include "suite.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { SEEDS = 20 };

static bool is_up(const struct lease *lease)
{
	return lease->told.status == NATPMP_OK;
}

static void begin_pcp(struct meeting *m, uint64_t seed)
{
	meeting_begin_with(m, "pcp", ONLY_PCP, false, seed);
}

static void put_number(uint8_t *at, uint32_t value, unsigned len)
{
	while (len--) {
		at[len] = (uint8_t)value;
		value >>= 8;
	}
}

/* --- forged packets --- */

static uint8_t grant_bytes[MODEL_PACKET_MAX];
static size_t grant_len;

/* The model's answer to the last MAP is kept. */
static size_t keep_answer(struct meeting *m, const struct packet *request, uint8_t *bytes)
{
	size_t len = gateway_answers(m, request, bytes);

	if (packet_kind(request) == V2_MAP) {
		memcpy(grant_bytes, bytes, len);
		grant_len = len;
	}
	return len;
}

/* A packet that differs from a valid answer with a jump of the clock in that one thing. */
struct forgery {
	const char *what;
	unsigned at;   /* this byte ... */
	uint8_t flips; /* ... has these bits inverted */
	size_t len;    /* 0: of the answer */
};

static const struct forgery forgeries[] = {
	{"no response bit", 1, 0x80, 0},
	{"version 0", 0, 2, 0},
	{"version 1", 0, 3, 0},
	{"version 3", 0, 1, 0},
	{"opcode 0 with an error", 1, 1, 3},
	{"opcode 2", 1, 3, 0},
	{"opcode 3", 1, 2, 0},
	{"opcode 127", 1, 0x7e, 0},
	{"1 byte", 0, 0, 1},
	{"3 bytes", 0, 0, 3},
	{"4 bytes", 0, 0, 4},
	{"20 bytes", 0, 0, 20},
	{"24 bytes", 0, 0, 24},
	{"56 bytes", 0, 0, 56},
	{"59 bytes", 0, 0, 59},
	{"61 bytes", 0, 0, 61},
	{"1104 bytes", 0, 0, 1104},
	{"nonce", 24, 1, 0},
	{"nonce, last bit", 35, 1, 0},
	{"nonce, middle", 30, 0x80, 0},
	{"protocol UDP", 36, 6 ^ 17, 0},
	{"protocol 0", 36, 6, 0},
	{"internal port", 41, 1, 0},
};

static void forge(struct meeting *m, const struct forgery *forgery, uint8_t result)
{
	static uint8_t bytes[2048];

	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, grant_bytes, grant_len);
	bytes[3] = result;
	put_number(bytes + 8, 3, 4); /* as if it had just begun */
	put_number(bytes + 42, 9000, 2);
	bytes[forgery->at] ^= forgery->flips;
	gateway_says(m, bytes, forgery->len ? forgery->len : grant_len);
}

/* No event, no packet, no clock, no recovery. */
START_TEST(P22_forged_packets_beside_a_mapping)
{
	struct meeting m;

	meeting_begin(&m, "rfc-pcp");
	m.answer = keep_answer;
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 7200);
	clock_runs_until(&m, 10 * SECOND);
	ck_assert(is_up(web));
	meeting_turns_page(&m);
	const struct gateway_clock *pcp_clock = &m.client.gateway.clocks.last[DIALECT_PCP];
	const struct gateway_clock before = *pcp_clock;
	for (size_t i = 0; i < COUNT(forgeries); i++) {
		static const uint8_t results[] = {0, 2, 8};

		for (size_t k = 0; k < COUNT(results); k++)
			forge(&m, &forgeries[i], results[k]);
		clock_runs_until(&m, m.now + SECOND);
		ck_assert_msg(m.client.gateway.reboot.recovery_at == NEVER, "%s: recovery",
			      forgeries[i].what);
		ck_assert_msg(pcp_clock->seconds == before.seconds &&
				      pcp_clock->at_latest == before.at_latest,
			      "%s: clock", forgeries[i].what);
		ck_assert_msg(event_count(&m) == 0, "%s: event", forgeries[i].what);
		ck_assert_msg(sent_count(&m, ANY_PACKET) == 0, "%s: sent", forgeries[i].what);
	}
	clock_runs_until(&m, 3 * HOUR);
	ck_assert_uint_eq(event_count(&m), 0);
	ck_assert_uint_eq(lease_port(web), 80);
	meeting_end(&m);
}

/* ... nor an answer to the question that is open. */
START_TEST(P22_forged_packets_beside_a_question)
{
	struct meeting m;

	begin_pcp(&m, 1);
	m.answer = keep_answer;
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 7200);
	clock_runs_until(&m, SECOND);
	program_releases(&m, web);
	clock_runs_until_idle(&m);
	m.is_silent = true;
	web = program_holds(&m, NATPMP_TCP, 80, 7200);
	clock_runs_until(&m, m.now + SECOND);
	meeting_turns_page(&m);
	for (size_t i = 0; i < COUNT(forgeries); i++)
		if (forgeries[i].flips || forgeries[i].len)
			forge(&m, &forgeries[i], 0);
	ck_assert_uint_eq(event_count(&m), 0);
	ck_assert_int_eq(web->grants[0]->question.state, QUESTION_IN_FLIGHT);
	ck_assert_uint_eq(sent_count(&m, ANY_PACKET), 0);
	clock_runs_until(&m, m.now + 2500); /* of its series, none is sent sooner */
	ck_assert_uint_le(sent_count(&m, V2_MAP), 1);
	meeting_end(&m);
}

/* Every bit of protocol, internal port and nonce counts; of the rest of the body, none. */
START_TEST(P24_what_makes_an_answer_ours)
{
	for (unsigned bit = 24 * 8; bit < 42 * 8; bit++) {
		bool is_reserved = bit / 8 >= 37 && bit / 8 < 40;
		struct meeting m;

		begin_pcp(&m, 1);
		m.answer = keep_answer;
		m.delay = NULL;
		m.latency = 500;
		struct lease *web = program_holds(&m, NATPMP_TCP, 80, 7200);
		clock_runs_until(&m, 100);
		grant_bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
		put_number(grant_bytes + 42, 9000, 2);
		gateway_says(&m, grant_bytes, grant_len);
		ck_assert_msg(is_up(web) == is_reserved, "bit %u", bit);
		ck_assert_uint_eq(event_count(&m), is_reserved);
		clock_runs_until(&m, SECOND);
		ck_assert_uint_eq(lease_port(web), 80);
		meeting_end(&m);
	}
}

/* --- restarts --- */

/* Ports that were assigned, not those that are wanted: so the suggestions show what is meant. */
static void hold_three(struct meeting *m, struct lease *leases[3])
{
	m->here->model.profile.denies_suggestions = true;
	for (uint16_t i = 0; i < 3; i++)
		leases[i] = program_holds(m, NATPMP_TCP, (uint16_t)(80 + i), 7200);
	clock_runs_until(m, SECOND);
	for (unsigned i = 0; i < 3; i++)
		ck_assert(is_up(leases[i]));
	m->here->model.profile.denies_suggestions = false;
	clock_runs_until(m, MINUTE);
	meeting_turns_page(m);
}

/* Each of them was asked for once more, with port and address, between from and 5 s later. */
static void check_recovery(struct meeting *m, struct lease *const leases[3], uint64_t from)
{
	clock_runs_until(m, from + 5 * SECOND + 1);
	for (unsigned i = 0, seen = 0; i < sent_count(m, V2_MAP); i++) {
		const struct packet *packet = sent_nth(m, V2_MAP, i);
		unsigned n = packet_internal_port(packet) - 80U;
		struct ip_address address = packet_suggested_address(packet);

		if (n >= 3)
			continue;
		ck_assert(!(seen & 1U << n));
		seen |= 1U << n;
		ck_assert_uint_ge(packet->at, from);
		ck_assert_uint_eq(packet_suggested_port(packet), lease_port(leases[n]));
		ck_assert_uint_eq(ip_to_v4(&address), EXTERNAL);
	}
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(gateway_port(m, NATPMP_TCP, (uint16_t)(80 + i), MODEL_BY_PCP),
				  lease_port(leases[i]));
	ck_assert_uint_eq(m->client.gateway.reboot.recovery_at, NEVER);
}

START_TEST(P44_restart_seen_in_an_announcement)
{
	uint64_t least = NEVER, most = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct meeting m;
		struct lease *leases[3];

		begin_pcp(&m, seed);
		hold_three(&m, leases);
		gateway_restarts(&m);
		gateway_announces_by_pcp(&m);
		check_recovery(&m, leases, MINUTE);
		ck_assert_uint_eq(sent_count(&m, V2_MAP), 3);
		ck_assert_uint_eq(event_count(&m), 0);
		least = earlier(least, sent_nth(&m, V2_MAP, 0)->at - MINUTE);
		most = later(most, sent_nth(&m, V2_MAP, 0)->at - MINUTE);
		meeting_end(&m);
	}
	ck_assert_uint_lt(least, SECOND);
	ck_assert_uint_gt(most, 4 * SECOND);
}

START_TEST(P44_restart_seen_in_an_answer)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct meeting m;
		struct lease *leases[3];

		begin_pcp(&m, seed);
		hold_three(&m, leases);
		gateway_restarts(&m);
		struct lease *other = program_holds(&m, NATPMP_UDP, 53, 7200);
		clock_runs_until(&m, MINUTE);
		ck_assert(is_up(other));
		check_recovery(&m, leases, MINUTE);
		ck_assert_uint_eq(sent_count(&m, V2_MAP), 4);
		ck_assert_uint_eq(event_count(&m), 1);
		meeting_end(&m);
	}
}

/* 100 s after the answer before: 92 to 108 s fit. A clock that runs ahead is an alarm, too. */
static void announce_after_100_s(uint32_t clock_ran, bool is_restart)
{
	struct meeting m;

	begin_pcp(&m, 1);
	program_holds(&m, NATPMP_TCP, 80, 7200);
	clock_runs_until(&m, 100 * SECOND);
	meeting_turns_page(&m);
	model_set_pcp_clock(&m.here->model, meeting_now(&m), 86400 + clock_ran);
	gateway_announces_by_pcp(&m);
	clock_runs_until(&m, 106 * SECOND);
	ck_assert_msg(sent_count(&m, V2_MAP) == is_restart, "%u s", clock_ran);
	ck_assert_uint_eq(event_count(&m), 0);
	meeting_end(&m);
}

START_TEST(P42_both_sides_of_the_rule)
{
	announce_after_100_s(91, true);
	announce_after_100_s(92, false);
	announce_after_100_s(100, false);
	announce_after_100_s(108, false);
	announce_after_100_s(109, true);
	announce_after_100_s((uint32_t)-86400, true);
	announce_after_100_s(1000000, true);
}

/* Two programs may serve the two dialects: each has a clock of its own. */
START_TEST(P42_two_clocks)
{
	struct meeting m;

	meeting_begin(&m, "rfc-pcp");
	model_set_natpmp_clock(&m.here->model, meeting_now(&m), 5);
	program_holds(&m, NATPMP_TCP, 80, 7200);
	clock_runs_until(&m, 10 * SECOND);
	ck_assert_int_eq(program_asks_address(&m), NATPMP_OK);
	clock_runs_until(&m, 20 * SECOND);
	gateway_announces_by_pcp(&m);
	ck_assert_int_eq(program_asks_address(&m), NATPMP_OK);
	clock_runs_until(&m, MINUTE);
	ck_assert_uint_eq(sent_count(&m, MAP_ANY), 1);
	/* ... and either one tells of a restart of both */
	model_restart(&m.here->model, meeting_now(&m), false, true);
	model_set_natpmp_clock(&m.here->model, meeting_now(&m), 0);
	ck_assert_int_eq(program_asks_address(&m), NATPMP_OK);
	clock_runs_until(&m, m.now + 5 * SECOND + 1);
	ck_assert_uint_eq(sent_count(&m, V2_MAP), 2);
	ck_assert_uint_eq(gateway_port(&m, NATPMP_TCP, 80, MODEL_BY_PCP), 80);
	meeting_end(&m);
}

/* Made in NAT-PMP, and it is PCP that tells of the restart. */
START_TEST(P44_restart_told_in_the_other_dialect)
{
	struct meeting m;

	meeting_begin_with(&m, "rfc-pcp", ALL_DIALECTS, false, 1);
	model_restart(&m.here->model, meeting_now(&m), false, true);
	gateway_becomes(&m, "rfc");
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 7200);
	clock_runs_until(&m, MINUTE);
	ck_assert_uint_eq(gateway_port(&m, NATPMP_TCP, 80, MODEL_BY_NATPMP), 80);
	gateway_becomes(&m, "rfc-pcp");
	gateway_announces_by_pcp(&m); /* the first one initialises */
	clock_runs_until(&m, 2 * MINUTE);
	ck_assert_uint_eq(sent_count(&m, MAP_ANY), 2);
	model_restart(&m.here->model, meeting_now(&m), false, true);
	model_set_pcp_clock(&m.here->model, meeting_now(&m), 0);
	gateway_announces_by_pcp(&m);
	clock_runs_until(&m, 2 * MINUTE + 6 * SECOND);
	ck_assert_uint_eq(gateway_port(&m, NATPMP_TCP, 80, MODEL_BY_ANY), 80);
	ck_assert(is_up(web));
	meeting_end(&m);
}

/* --- looking after it --- */

/* Nobody announced it. */
START_TEST(N60_silent_restart_of_a_pcp_gateway)
{
	static const char *const profiles[] = {"pcp", "repcpd", "rfc-pcp", "miniupnpd"};

	for (size_t i = 0; i < COUNT(profiles); i++) {
		struct meeting m;

		meeting_begin(&m, profiles[i]);
		struct lease *web = program_wants_port(&m, NATPMP_TCP, 80, 8080, 86400);
		clock_runs_until(&m, 4 * MINUTE);
		gateway_restarts(&m);
		clock_runs_until(&m, 4 * MINUTE + 5 * MINUTE + 5 * SECOND + 1);
		ck_assert_msg(gateway_port(&m, NATPMP_TCP, 80, MODEL_BY_PCP) == 8080, "%s",
			      profiles[i]);
		ck_assert_uint_eq(sent_count(&m, V2_ANNOUNCE | V0_ADDRESS), 1);
		ck_assert_uint_eq(event_count(&m), 1);
		ck_assert(is_up(web));
		meeting_end(&m);
	}
}

/* It changes nothing at the gateway, and costs one exchange in five minutes. */
START_TEST(P47_announce_only_reads_the_clock)
{
	struct meeting m;

	begin_pcp(&m, 1);
	program_holds(&m, NATPMP_TCP, 80, 86400);
	clock_runs_until(&m, MINUTE);
	uint64_t ends = gateway_mapping(&m, NATPMP_TCP, 80, MODEL_BY_PCP)->expires;
	clock_runs_until(&m, HOUR);
	ck_assert_uint_eq(sent_count(&m, V2_ANNOUNCE), 12);
	ck_assert_uint_eq(sent_count(&m, ANY_PACKET), 13);
	ck_assert_uint_eq(gateway_mappings(&m), 1);
	ck_assert_uint_eq(gateway_mapping(&m, NATPMP_TCP, 80, MODEL_BY_PCP)->expires, ends);
	ck_assert_uint_eq(event_count(&m), 1);
	meeting_end(&m);
}

/* --- updates --- */

START_TEST(P48_three_copies_are_one_event)
{
	struct meeting m;

	begin_pcp(&m, 1);
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 7200);
	clock_runs_until(&m, MINUTE);
	meeting_turns_page(&m);
	model_set_address(&m.here->model, 0xcb007107);
	ck_assert(model_move(&m.here->model, gateway_mapping(&m, NATPMP_TCP, 80, MODEL_BY_PCP),
			     9000));
	for (unsigned i = 0; i < 3; i++) {
		gateway_updates(&m, NATPMP_TCP, 80);
		clock_runs_until(&m, m.now + SECOND);
	}
	ck_assert_uint_eq(event_count(&m), 1);
	ck_assert_uint_eq(event_nth(&m, 0)->at, MINUTE);
	ck_assert_uint_eq(lease_port(web), 9000);
	ck_assert_uint_eq(ip_to_v4(&web->told.external_address), 0xcb007107);
	ck_assert_uint_eq(sent_count(&m, ANY_PACKET), 0);
	clock_runs_until(&m, 2 * HOUR);
	ck_assert_uint_eq(packet_suggested_port(sent_nth(&m, V2_MAP, 0)), 9000);
	ck_assert_uint_eq(event_count(&m), 1);
	meeting_end(&m);
}

/* The lifetime that is left counts from now on. */
START_TEST(P48_shorter_lifetime)
{
	struct meeting m;
	uint8_t bytes[MODEL_PACKET_MAX];

	begin_pcp(&m, 1);
	program_holds(&m, NATPMP_TCP, 80, 7200);
	clock_runs_until(&m, MINUTE);
	meeting_turns_page(&m);
	struct model_mapping moved = *gateway_mapping(&m, NATPMP_TCP, 80, MODEL_BY_PCP);
	moved.external_port = 9000;
	moved.expires = meeting_now(&m) + 100 * SECOND;
	size_t len = model_pcp_update(&m.here->model, meeting_now(&m), &moved, bytes);
	gateway_says(&m, bytes, len);
	clock_runs_until(&m, MINUTE + 70 * SECOND);
	ck_assert_uint_eq(sent_count(&m, V2_MAP), 1);
	ck_assert_uint_ge(sent_nth(&m, V2_MAP, 0)->at, MINUTE + 50 * SECOND);
	ck_assert_uint_le(sent_nth(&m, V2_MAP, 0)->at, MINUTE + 62500);
	meeting_end(&m);
}

START_TEST(P48_update_with_another_nonce_is_none)
{
	struct meeting m;
	uint8_t bytes[MODEL_PACKET_MAX];

	begin_pcp(&m, 1);
	program_holds(&m, NATPMP_TCP, 80, 7200);
	clock_runs_until(&m, MINUTE);
	meeting_turns_page(&m);
	struct model_mapping forged = *gateway_mapping(&m, NATPMP_TCP, 80, MODEL_BY_PCP);
	forged.external_port = 9000;
	forged.nonce[5] ^= 1;
	size_t len = model_pcp_update(&m.here->model, meeting_now(&m), &forged, bytes);
	gateway_says(&m, bytes, len);
	forged.nonce[5] ^= 1;
	forged.internal_port = 81;
	len = model_pcp_update(&m.here->model, meeting_now(&m), &forged, bytes);
	gateway_says(&m, bytes, len);
	clock_runs_until(&m, 2 * MINUTE);
	ck_assert_uint_eq(event_count(&m), 0);
	ck_assert_uint_eq(sent_count(&m, ANY_PACKET), 0);
	meeting_end(&m);
}

/* Nor is one that came by multicast. */
START_TEST(P48_update_to_the_group_is_none)
{
	struct meeting m;
	uint8_t bytes[MODEL_PACKET_MAX];

	begin_pcp(&m, 1);
	program_holds(&m, NATPMP_TCP, 80, 7200);
	clock_runs_until(&m, MINUTE);
	meeting_turns_page(&m);
	struct model_mapping moved = *gateway_mapping(&m, NATPMP_TCP, 80, MODEL_BY_PCP);
	moved.external_port = 9000;
	size_t len = model_pcp_update(&m.here->model, meeting_now(&m), &moved, bytes);
	gateway_announces(&m, bytes, len);
	clock_runs_until(&m, 2 * MINUTE);
	ck_assert_uint_eq(event_count(&m), 0);
	meeting_end(&m);
}

/* --- another gateway --- */

START_TEST(H5_another_pcp_gateway)
{
	struct meeting m;

	begin_pcp(&m, 1);
	struct lease *web = program_wants_port(&m, NATPMP_TCP, 80, 8080, 7200);
	m.here->model.profile.forced_port = 9000;
	clock_runs_until(&m, MINUTE);
	ck_assert_uint_eq(lease_port(web), 9000);
	struct packet before = *sent_nth(&m, V2_MAP, 0);
	struct place *old = m.here;
	meeting_turns_page(&m);
	client_moves(&m, "pcp");
	clock_runs_until(&m, 2 * MINUTE);
	const struct packet *after = sent_nth(&m, V2_MAP, 0);
	ck_assert_uint_eq(packet_suggested_port(after), 9000);
	ck_assert_int_ne(memcmp(before.bytes + 24, after->bytes + 24, 12), 0);
	ck_assert_uint_eq(gateway_port(&m, NATPMP_TCP, 80, MODEL_BY_PCP), 9000);
	ck_assert_uint_eq(model_count(&old->model, meeting_now(&m)), 0);
	ck_assert_uint_eq(sent_count(&m, V2_DELETE), 1);
	ck_assert_uint_eq(event_count(&m), 0); /* the same port and address */
	ck_assert(is_up(web));
	meeting_end(&m);
}

/* What the old gateway spoke counts for nothing at the new one. */
START_TEST(H5_other_gateways_of_other_dialects)
{
	static const char *const profiles[] = {"rfc", "repcpd", "miniupnpd", "drops-pcp", "pcp"};

	for (size_t i = 0; i < COUNT(profiles) * COUNT(profiles); i++) {
		struct meeting m;

		meeting_begin(&m, profiles[i % COUNT(profiles)]);
		struct lease *web = program_wants_port(&m, NATPMP_TCP, 80, 8080, 7200);
		clock_runs_until(&m, MINUTE);
		ck_assert(is_up(web));
		struct place *old = m.here;
		meeting_turns_page(&m);
		client_moves(&m, profiles[i / COUNT(profiles)]);
		clock_runs_until(&m, MINUTE + SECOND);
		ck_assert_uint_eq(gateway_port(&m, NATPMP_TCP, 80, MODEL_BY_ANY), 8080);
		ck_assert_uint_eq(model_count(&old->model, meeting_now(&m)), 0);
		ck_assert(is_up(web));
		ck_assert_uint_eq(event_count(&m), 0);
		meeting_end(&m);
	}
}

int main(void)
{
	return RUN_TESTS("pcp-recovery", P22_forged_packets_beside_a_mapping,
			 P22_forged_packets_beside_a_question, P24_what_makes_an_answer_ours,
			 P44_restart_seen_in_an_announcement, P44_restart_seen_in_an_answer,
			 P42_both_sides_of_the_rule, P42_two_clocks,
			 P44_restart_told_in_the_other_dialect, N60_silent_restart_of_a_pcp_gateway,
			 P47_announce_only_reads_the_clock, P48_three_copies_are_one_event,
			 P48_shorter_lifetime, P48_update_with_another_nonce_is_none,
			 P48_update_to_the_group_is_none, H5_another_pcp_gateway,
			 H5_other_gateways_of_other_dialects);
}
