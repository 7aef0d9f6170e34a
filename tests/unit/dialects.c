/* SPDX-License-Identifier: MIT */
/* Which of the two dialects is spoken with a gateway, and what happens when that changes. */
#include <string.h>

#include "meeting.h"
#include "suite.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool is_up(const struct lease *lease)
{
	return lease->told.status == NATPMP_OK;
}

/* --- the first question --- */

START_TEST(V1_pcp_comes_first)
{
	for (size_t i = 0; model_profiles[i]; i++) {
		struct meeting m;

		meeting_begin(&m, model_profiles[i]->name);
		program_holds(&m, NATPMP_TCP, 80, 7200);
		clock_runs_until(&m, 10 * SECOND);
		ck_assert_int_eq(packet_kind(sent_nth(&m, ANY_PACKET, 0)), V2_MAP);
		meeting_end(&m);
	}
}

/* The answer tells the external address, so that one exchange is enough. */
START_TEST(V1_one_exchange_makes_a_mapping)
{
	struct meeting m;

	meeting_begin(&m, "rfc-pcp");
	m.latency = 20;
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 7200);
	clock_runs_until(&m, MINUTE);
	ck_assert_uint_eq(sent_count(&m, ANY_PACKET), 1);
	ck_assert_uint_eq(event_count(&m), 1);
	ck_assert_uint_eq(event_nth(&m, 0)->at, 20);
	ck_assert(is_up(web));
	ck_assert_uint_eq(ip_to_v4(&web->told.external_address), EXTERNAL);
	ck_assert_uint_eq(gateway_port(&m, NATPMP_TCP, 80, MODEL_BY_PCP), lease_port(web));
	meeting_end(&m);
}

/* --- a gateway of NAT-PMP alone --- */

START_TEST(V2_refusals_as_they_were_seen)
{
	static const char *const profiles[] = {"rfc", "echo", "stallone", "miniupnpd-nopcp"};

	for (size_t i = 0; i < COUNT(profiles); i++) {
		struct meeting m;

		meeting_begin(&m, profiles[i]);
		m.latency = 40;
		struct lease *web = program_holds(&m, NATPMP_TCP, 80, 3600);
		clock_runs_until(&m, MINUTE);
		ck_assert_uint_eq(sent_nth(&m, V0_MAP, 0)->at, 40);
		ck_assert_uint_eq(packet_internal_port(sent_nth(&m, V0_MAP, 0)), 80);
		ck_assert_uint_eq(sent_count(&m, MAP_ANY), 2);
		ck_assert(is_up(web));
		ck_assert_uint_eq(event_count(&m), 1);
		meeting_end(&m);
	}
}

static uint8_t refusal_opcode;
static size_t refusal_len;

static size_t refuse_version_2(struct meeting *m, const struct packet *request, uint8_t *bytes)
{
	const uint8_t refusal[] = {0, refusal_opcode, 0, 1, 0, 1, 0x51, 0x80};

	if (!(packet_kind(request) & V2_ANY))
		return gateway_answers(m, request, bytes);
	memcpy(bytes, refusal, refusal_len);
	return refusal_len;
}

/* RFC 6886 prints opcode 0, its erratum 128; others copy the request's. */
START_TEST(V2_any_opcode_of_4_or_8_bytes)
{
	static const uint8_t opcodes[] = {0, 1, 2, 128, 129, 130, 255};

	for (size_t i = 0; i < 2 * COUNT(opcodes); i++) {
		struct meeting m;

		refusal_opcode = opcodes[i / 2];
		refusal_len = i % 2 ? 4 : 8;
		meeting_begin(&m, "rfc");
		m.answer = refuse_version_2;
		m.latency = 40;
		struct lease *web = program_holds(&m, NATPMP_UDP, 53, 3600);
		clock_runs_until(&m, 200);
		ck_assert_msg(is_up(web), "opcode %u, %zu bytes", refusal_opcode, refusal_len);
		ck_assert_uint_eq(sent_nth(&m, V0_MAP, 0)->at, 40);
		meeting_end(&m);
	}
}

START_TEST(V5_ten_at_a_gateway_of_nat_pmp)
{
	enum { N = 10 };
	struct meeting m;

	meeting_begin(&m, "rfc");
	m.latency = 20;
	for (uint16_t port = 1000; port < 1000 + N; port++)
		program_holds(&m, NATPMP_TCP, port, 3600);
	clock_runs_until(&m, MINUTE);
	ck_assert_uint_eq(sent_count(&m, V2_ANY), 1);
	ck_assert_uint_eq(sent_count(&m, MAP_ANY), N + 1);
	ck_assert_uint_eq(sent_count(&m, V0_ADDRESS), 1);
	ck_assert_uint_eq(gateway_mappings(&m), N);
	ck_assert_uint_eq(event_count(&m), N);
	meeting_end(&m);
}

/* A refusal names no question; one too many is no reason to send anything. */
/* The refusal of a mapping in NAT-PMP has the result of a refused version, and names the port: it
 * is about that request, although one in PCP was refused before. */
START_TEST(V5_refusal_that_names_the_mapping)
{
	struct meeting m;

	meeting_begin(&m, "rfc");
	m.here->model.profile.forced_result[MODEL_TCP] = 1;
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 7200);
	clock_runs_until(&m, SECOND);
	ck_assert_int_eq(web->told.status, NATPMP_E_VERSION);
	ck_assert_uint_eq(sent_count(&m, V2_MAP), 1);
	ck_assert_uint_eq(sent_count(&m, V0_MAP), 1);
	meeting_end(&m);
}

START_TEST(V5_copies_of_a_refusal)
{
	const uint8_t refusal[] = {0, 128, 0, 1, 0, 1, 0x51, 0x80};
	struct meeting m;

	meeting_begin(&m, "rfc");
	m.latency = 20;
	for (uint16_t port = 1000; port < 1010; port++)
		program_holds(&m, NATPMP_TCP, port, 3600);
	for (uint64_t at = 0; at < SECOND; at += 7) {
		clock_runs_until(&m, at);
		gateway_says(&m, refusal, at % 2 ? 4 : 8);
	}
	clock_runs_until(&m, MINUTE);
	ck_assert_uint_le(sent_count(&m, MAP_ANY), 20);
	ck_assert_uint_eq(gateway_mappings(&m), 10);
	meeting_end(&m);
}

/* The network doubles every packet. */
START_TEST(V5_all_answers_come_twice)
{
	static const char *const profiles[] = {"rfc",    "rfc-pcp",   "pcp",
					       "repcpd", "drops-pcp", "miniupnpd-nopcp"};

	for (size_t i = 0; i < COUNT(profiles); i++) {
		struct meeting m;

		meeting_begin(&m, profiles[i]);
		m.latency = 20;
		m.is_doubling = true;
		ck_assert_int_eq(program_asks_address(&m), NATPMP_OK);
		for (uint16_t port = 1000; port < 1010; port++)
			program_holds(&m, NATPMP_TCP, port, 3600);
		clock_runs_until(&m, 10 * SECOND);
		ck_assert_msg(gateway_mappings(&m) == 10, "%s", profiles[i]);
		ck_assert_uint_le(sent_count(&m, MAP_ANY), 20);
		ck_assert_uint_eq(event_count(&m), 10);
		for (unsigned n = 0; n < 10; n++)
			ck_assert_int_eq(event_nth(&m, n)->view.status, NATPMP_OK);
		meeting_end(&m);
	}
}

/* What was heard counts for the next mappings, for five minutes. */
START_TEST(V3_refusal_is_remembered_for_five_minutes)
{
	struct meeting m;

	meeting_begin(&m, "rfc");
	for (uint16_t i = 0; i < 10; i++) {
		program_holds(&m, NATPMP_TCP, (uint16_t)(1000 + i), 86400);
		clock_runs_until(&m, (i + 1U) * 29 * SECOND);
		ck_assert_uint_eq(sent_count(&m, V2_ANY), 1);
		ck_assert_uint_eq(gateway_mappings(&m), i + 1U);
	}
	clock_runs_until(&m, 5 * MINUTE);
	program_holds(&m, NATPMP_TCP, 2000, 86400);
	clock_runs_until(&m, 6 * MINUTE);
	ck_assert_uint_eq(sent_count(&m, V2_ANY), 2);
	ck_assert_uint_eq(gateway_mappings(&m), 11);
	meeting_end(&m);
}

/* --- a gateway that changes --- */

/* A gateway of both dialects, whose mappings are the same for both or not: then it forgot those of
 * NAT-PMP when it was changed. */
static void upgrade_to(const char *before, const char *after, bool forgets, uint32_t lifetime)
{
	struct meeting m;

	meeting_begin(&m, before);
	struct lease *web = program_wants_port(&m, NATPMP_TCP, 80, 8080, lifetime);
	clock_runs_until(&m, 30 * SECOND);
	ck_assert_uint_eq(lease_port(web), 8080);
	ck_assert_uint_eq(gateway_port(&m, NATPMP_TCP, 80, MODEL_BY_NATPMP), 8080);
	gateway_becomes(&m, after);
	if (forgets)
		model_restart(&m.here->model, meeting_now(&m), false, true);
	clock_runs_until(&m, 5 * MINUTE + (uint64_t)lifetime * 1000 * 5 / 8);
	ck_assert_uint_eq(gateway_port(&m, NATPMP_TCP, 80, MODEL_BY_PCP), 8080);
	ck_assert_uint_eq(packet_suggested_port(sent_last(&m, V2_MAP)), 8080);
	ck_assert(is_up(web));
	ck_assert_uint_eq(event_count(&m), 1);
	meeting_turns_page(&m);
	clock_runs_until(&m, m.now + HOUR);
	ck_assert_uint_gt(sent_count(&m, V2_MAP), 0);
	ck_assert_uint_eq(sent_count(&m, V0_MAP), 0);
	ck_assert_uint_eq(event_count(&m), 0);
	meeting_end(&m);
}

START_TEST(V3_upgraded_gateway_is_asked_in_pcp)
{
	upgrade_to("miniupnpd-nopcp", "miniupnpd", false, 120);
	upgrade_to("miniupnpd-nopcp", "miniupnpd", false, 3600);
	upgrade_to("rfc", "rfc-pcp", true, 3600);
	upgrade_to("drops-pcp", "rfc-pcp", true, 7200);
}

/* The renewal is refused, and made in NAT-PMP at once, with the port. */
static void downgrade_to(const char *before, const char *after, bool forgets)
{
	struct meeting m;

	meeting_begin(&m, before);
	m.latency = 20;
	struct lease *web = program_wants_port(&m, NATPMP_TCP, 80, 8080, 3600);
	clock_runs_until(&m, MINUTE);
	ck_assert_uint_eq(gateway_port(&m, NATPMP_TCP, 80, MODEL_BY_PCP), 8080);
	gateway_becomes(&m, after);
	if (forgets)
		model_restart(&m.here->model, meeting_now(&m), false, true);
	meeting_turns_page(&m);
	clock_runs_until(&m, 3600 * SECOND * 5 / 8 + MINUTE);
	ck_assert_uint_eq(packet_suggested_port(sent_nth(&m, V0_MAP, 0)), 8080);
	ck_assert_uint_eq(sent_nth(&m, V0_MAP, 0)->at, sent_last(&m, V2_MAP)->at + 20);
	ck_assert_uint_eq(gateway_port(&m, NATPMP_TCP, 80, MODEL_BY_NATPMP), 8080);
	ck_assert(is_up(web));
	ck_assert_uint_eq(event_count(&m), 0);
	meeting_end(&m);
}

START_TEST(V3_downgraded_gateway_is_asked_in_nat_pmp)
{
	downgrade_to("miniupnpd", "miniupnpd-nopcp", false);
	downgrade_to("rfc-pcp", "rfc", true);
	downgrade_to("pcp", "rfc", true);
}

/* There and back, with another renewal in between. */
START_TEST(V3_the_port_is_kept_over_all_changes)
{
	struct meeting m;

	meeting_begin(&m, "miniupnpd-nopcp");
	struct lease *web = program_wants_port(&m, NATPMP_UDP, 80, 8080, 1200);
	for (uint64_t hour = 1; hour <= 24; hour++) {
		clock_runs_until(&m, hour * HOUR);
		enum model_maker maker = hour % 2 ? MODEL_BY_NATPMP : MODEL_BY_PCP;
		ck_assert_uint_eq(gateway_port(&m, NATPMP_UDP, 80, maker), 8080);
		gateway_becomes(&m, hour % 2 ? "miniupnpd" : "miniupnpd-nopcp");
	}
	ck_assert(is_up(web));
	ck_assert_uint_eq(event_count(&m), 1);
	meeting_end(&m);
}

/* --- the third version --- */

static void meet_version_3(dialect_set dialects, unsigned packets_a_try)
{
	struct meeting m;

	meeting_begin_with(&m, "pcp3", dialects, false, 1);
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, MINUTE - 1);
	ck_assert_uint_eq(event_nth(&m, 0)->at, 0);
	ck_assert_int_eq(web->told.status, NATPMP_E_VERSION);
	ck_assert_uint_eq(sent_count(&m, ANY_PACKET), packets_a_try);
	m.here->model.profile.long_error_lifetime = 7200;
	clock_runs_until(&m, MINUTE);
	ck_assert_uint_eq(sent_count(&m, ANY_PACKET), 2 * packets_a_try);
	ck_assert_uint_eq(sent_last(&m, V2_MAP)->at, MINUTE);
	clock_runs_until(&m, 31 * MINUTE - 1);
	ck_assert_uint_eq(sent_count(&m, ANY_PACKET), 2 * packets_a_try);
	clock_runs_until(&m, 31 * MINUTE);
	ck_assert_uint_eq(sent_count(&m, ANY_PACKET), 3 * packets_a_try);
	ck_assert_uint_eq(event_count(&m), 1);
	meeting_end(&m);
}

START_TEST(V6_version_3_is_asked_again_in_that_time)
{
	meet_version_3(ONLY_PCP, 1);
	meet_version_3(ALL_DIALECTS, 2);
}

static size_t contradict(struct meeting *m, const struct packet *request, uint8_t *bytes)
{
	const uint8_t answer[24] = {2, request->bytes[1] | 0x80, 0, 1, 0, 0, 7, 8, 0, 0, 2, 0x2b};

	(void)m;
	memcpy(bytes, answer, sizeof(answer));
	return sizeof(answer);
}

/* It speaks version 2, it says, and refuses version 2. */
START_TEST(V6_contradictory_refusal)
{
	struct meeting m;

	meeting_begin_with(&m, "pcp", ONLY_PCP, false, 1);
	m.answer = contradict;
	program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, 1800 * SECOND - 1);
	ck_assert_uint_eq(sent_count(&m, ANY_PACKET), 1);
	clock_runs_until(&m, HOUR);
	ck_assert_uint_eq(sent_count(&m, ANY_PACKET), 3);
	meeting_end(&m);
}

START_TEST(V6_contradictory_refusal_in_two_dialects)
{
	struct meeting m;

	meeting_begin(&m, "pcp");
	m.answer = contradict;
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, 1800 * SECOND - 1);
	ck_assert_uint_eq(sent_count(&m, ANY_PACKET), 2);
	ck_assert_int_eq(web->told.status, NATPMP_E_VERSION);
	ck_assert_uint_eq(event_count(&m), 1);
	meeting_end(&m);
}

/* --- silence --- */

START_TEST(V7_gateway_that_drops_version_2)
{
	struct meeting m;

	meeting_begin(&m, "drops-pcp");
	m.latency = 100;
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 86400);
	clock_runs_until(&m, SECOND);
	ck_assert(is_up(web));
	ck_assert_uint_eq(sent_count(&m, V2_ANY), 1);
	clock_runs_until(&m, 4 * MINUTE);
	program_holds(&m, NATPMP_TCP, 81, 86400);
	clock_runs_until(&m, 5 * MINUTE);
	ck_assert_uint_eq(sent_count(&m, V2_ANY), 1);
	ck_assert_uint_eq(gateway_mappings(&m), 2);
	meeting_end(&m);
}

START_TEST(V7_gateway_that_drops_version_0)
{
	struct meeting m;

	meeting_begin(&m, "repcpd");
	m.latency = 100;
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, 100);
	ck_assert(is_up(web));
	clock_runs_until(&m, 24 * HOUR);
	ck_assert_uint_eq(sent_count(&m, V0_ANY), 0);
	ck_assert_uint_eq(event_count(&m), 1);
	meeting_end(&m);
}

/* At the first send there is no answer; then both are there, each after its own time. */
START_TEST(V7_lost_packets_at_an_unknown_gateway)
{
	static const char *const profiles[] = {"rfc", "rfc-pcp", "pcp", "repcpd", "drops-pcp"};

	for (size_t i = 0; i < COUNT(profiles); i++)
		for (uint64_t seed = 1; seed <= 20; seed++) {
			struct meeting m;

			meeting_begin_with(&m, profiles[i], ALL_DIALECTS, false, seed);
			m.random = seed;
			m.loss = 300;
			m.latency = 30;
			struct lease *web = program_holds(&m, NATPMP_TCP, 80, 3600);
			clock_runs_until(&m, 5 * MINUTE);
			ck_assert_msg(is_up(web), "%s, seed %d", profiles[i], (int)seed);
			meeting_end(&m);
		}
}

START_TEST(V7_closed_port_ends_both)
{
	struct meeting m;

	meeting_begin(&m, "rfc-pcp");
	m.is_closed = true;
	m.latency = 10;
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, 500);
	ck_assert_uint_eq(event_nth(&m, 0)->at, 10);
	ck_assert_int_eq(web->told.status, NATPMP_E_REFUSED);
	ck_assert_uint_eq(sent_count(&m, ANY_PACKET), 1);
	m.is_closed = false;
	clock_runs_until(&m, MINUTE);
	ck_assert(is_up(web));
	meeting_end(&m);
}

START_TEST(V7_silence_is_asked_in_both)
{
	struct meeting m;

	meeting_begin(&m, "rfc-pcp");
	m.is_silent = true;
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, 7750);
	ck_assert_int_eq(web->told.status, NATPMP_E_TIMEOUT);
	ck_assert_uint_eq(sent_count(&m, V0_MAP), 5);
	ck_assert_uint_ge(sent_count(&m, V2_MAP), 2);
	ck_assert_uint_eq(sent_nth(&m, V2_MAP, 0)->at, 0);
	ck_assert_uint_eq(sent_nth(&m, V0_MAP, 0)->at, 250);
	ck_assert_uint_eq(sent_nth(&m, V0_MAP, 1)->at, 500);
	meeting_end(&m);
}

/* --- version 2, says the answer to NAT-PMP --- */

static void becomes_pcp_only(uint32_t lifetime)
{
	struct meeting m;

	meeting_begin(&m, "rfc");
	m.latency = 20;
	struct lease *web = program_wants_port(&m, NATPMP_TCP, 80, 8080, lifetime);
	clock_runs_until(&m, 10 * SECOND);
	ck_assert(is_up(web));
	gateway_becomes(&m, "pcp");
	model_restart(&m.here->model, meeting_now(&m), false, true);
	meeting_turns_page(&m);
	clock_runs_until(&m, (uint64_t)lifetime * 1000 * 3 / 4);
	ck_assert_uint_eq(gateway_port(&m, NATPMP_TCP, 80, MODEL_BY_PCP), 8080);
	ck_assert_uint_eq(event_count(&m), 0);
	meeting_end(&m);
}

START_TEST(V8_gateway_becomes_one_of_pcp_only)
{
	becomes_pcp_only(3600);
	becomes_pcp_only(120); /* what it refused is remembered, and it is the other way now */
}

static size_t name_the_other_version(struct meeting *m, const struct packet *request,
				     uint8_t *bytes)
{
	const uint8_t answer[24] = {request->bytes[0] ? 0 : 2, request->bytes[1] | 0x80, 0, 1};

	(void)m;
	memcpy(bytes, answer, sizeof(answer));
	return sizeof(answer);
}

START_TEST(V8_two_versions_that_name_each_other)
{
	struct meeting m;

	meeting_begin(&m, "rfc-pcp");
	m.answer = name_the_other_version;
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, 10 * SECOND);
	ck_assert_uint_eq(sent_count(&m, ANY_PACKET), 2);
	ck_assert_int_eq(web->told.status, NATPMP_E_VERSION);
	clock_runs_until(&m, HOUR);
	ck_assert_uint_le(sent_count(&m, ANY_PACKET), 300);
	meeting_end(&m);
}

/* --- the dialect in which it was made --- */

/* Answers take longer than the second dialect waits: it is made in both. */
START_TEST(V9_made_in_both_at_a_slow_gateway)
{
	struct meeting m;

	meeting_begin(&m, "rfc-pcp");
	m.latency = 400;
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, 10 * SECOND);
	ck_assert(is_up(web));
	ck_assert_uint_eq(event_count(&m), 1);
	ck_assert_uint_eq(gateway_mappings(&m), 2);
	program_releases(&m, web);
	clock_runs_until_idle(&m);
	ck_assert_uint_eq(gateway_mappings(&m), 0);
	meeting_end(&m);
}

START_TEST(V9_renewed_and_deleted_in_the_dialect_that_made_it)
{
	struct meeting m;

	meeting_begin(&m, "rfc-pcp");
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, 24 * HOUR);
	ck_assert_uint_eq(sent_count(&m, V0_MAP), 0);
	ck_assert_uint_gt(sent_count(&m, V2_MAP), 24);
	program_releases(&m, web);
	clock_runs_until_idle(&m);
	ck_assert_uint_eq(sent_count(&m, V2_DELETE), 1);
	ck_assert_uint_eq(sent_count(&m, V0_DELETE), 0);
	ck_assert_uint_eq(gateway_mappings(&m), 0);
	ck_assert(client_is_empty(&m.client));
	meeting_end(&m);
}

START_TEST(V9_made_in_nat_pmp_and_deleted_after_the_upgrade)
{
	static const char *const profiles[][2] = {{"rfc", "rfc-pcp"},
						  {"miniupnpd-nopcp", "miniupnpd"}};

	for (size_t i = 0; i < 2 * COUNT(profiles); i++) {
		struct meeting m;

		meeting_begin(&m, profiles[i / 2][0]);
		struct lease *web = program_holds(&m, NATPMP_TCP, 80, 3600);
		clock_runs_until(&m, MINUTE);
		gateway_becomes(&m, profiles[i / 2][1]);
		if (i % 2) /* renewed in PCP before */
			clock_runs_until(&m, HOUR);
		meeting_turns_page(&m);
		program_releases(&m, web);
		clock_runs_until_idle(&m);
		ck_assert_uint_eq(gateway_mappings(&m), 0);
		ck_assert_uint_eq(sent_count(&m, V0_DELETE), 1);
		ck_assert_uint_eq(sent_count(&m, V2_DELETE), i % 2);
		ck_assert_int_eq(client_leftover(&m.client, meeting_now(&m)), NATPMP_OK);
		ck_assert(client_is_empty(&m.client));
		meeting_end(&m);
	}
}

/* A caller that does not know who made it: both are asked, where both are spoken. */
START_TEST(V9_unknown_mapping_is_deleted_in_both)
{
	static const char *const profiles[] = {"rfc",    "rfc-pcp",   "pcp",
					       "repcpd", "drops-pcp", "miniupnpd"};

	for (size_t i = 0; i < COUNT(profiles); i++) {
		struct meeting m;

		meeting_begin(&m, profiles[i]);
		m.latency = 20;
		struct lease *web = program_holds(&m, NATPMP_TCP, 80, 3600);
		clock_runs_until(&m, SECOND);
		ck_assert(is_up(web));
		program_starts_again(&m, 0x5e); /* with the same secret */
		ck_assert_int_eq(program_unmaps(&m, NATPMP_TCP, 80), NATPMP_OK);
		ck_assert_msg(gateway_mappings(&m) == 0, "%s", profiles[i]);
		ck_assert_uint_le(m.now, 4 * SECOND);
		meeting_end(&m);
	}
}

/* --- the question for the external address --- */

START_TEST(N54_address_is_asked_in_nat_pmp_where_that_is_spoken)
{
	struct meeting m;

	meeting_begin(&m, "rfc-pcp");
	m.latency = 20;
	ck_assert_int_eq(program_asks_address(&m), NATPMP_OK);
	ck_assert_uint_eq(sent_count(&m, ANY_PACKET), 1);
	ck_assert_int_eq(packet_kind(sent_nth(&m, ANY_PACKET, 0)), V0_ADDRESS);
	struct ip_address address = client_external_address(&m.client);
	ck_assert_uint_eq(ip_to_v4(&address), EXTERNAL);
	meeting_end(&m);
}

START_TEST(P47_announce_where_nat_pmp_is_not_spoken)
{
	static const char *const profiles[] = {"pcp", "repcpd"};

	for (size_t i = 0; i < COUNT(profiles); i++) {
		struct meeting m;

		meeting_begin(&m, profiles[i]);
		m.latency = 20;
		ck_assert_int_eq(program_asks_address(&m), NATPMP_OK);
		ck_assert_uint_le(m.now, 300);
		ck_assert_uint_eq(sent_count(&m, V2_ANNOUNCE), 1);
		struct ip_address address = client_external_address(&m.client);
		ck_assert(ip_is_none(&address)); /* PCP has no such question */
		ck_assert_uint_eq(gateway_mappings(&m), 0);
		program_holds(&m, NATPMP_TCP, 80, 3600);
		clock_runs_until(&m, SECOND);
		address = client_external_address(&m.client); /* what is held tells it */
		ck_assert_uint_eq(ip_to_v4(&address), EXTERNAL);
		meeting_end(&m);
	}
}

/* Any gateway, an hour: versions 0 and 2 (packet_kind() looks), and nothing that the model minds.
 */
START_TEST(V4_version_1_is_not_tried_at_any_gateway)
{
	for (size_t i = 0; model_profiles[i]; i++)
		for (unsigned dialects = 1; dialects <= ALL_DIALECTS; dialects++) {
			struct meeting m;

			meeting_begin_with(&m, model_profiles[i]->name, (dialect_set)dialects,
					   false, i);
			program_holds(&m, NATPMP_TCP, 80, 120);
			program_holds(&m, NATPMP_UDP, 53, 7200);
			program_holds(&m, NATPMP_TCP_UDP, 443, 600);
			clock_runs_until(&m, HOUR);
			unsigned wrong = dialects == ONLY_PCP      ? V0_ANY
					 : dialects == ONLY_NATPMP ? V2_ANY
								   : 0;
			ck_assert_uint_eq(sent_count(&m, wrong), 0);
			ck_assert_uint_gt(sent_count(&m, ANY_PACKET), 0);
			meeting_end(&m);
		}
}

/* Bytes of no dialect say nothing about any. */
START_TEST(V3_junk_is_no_sign_of_pcp)
{
	static const uint8_t junk[] = {9, 9, 9, 9};
	struct meeting m;

	meeting_begin(&m, "rfc");
	program_holds(&m, NATPMP_TCP, 80, 7200);
	clock_runs_until(&m, SECOND);
	for (size_t len = 0; len <= sizeof(junk); len++)
		client_on_packet(&m.client, meeting_now(&m), meeting_now(&m), junk, len);
	program_holds(&m, NATPMP_TCP, 81, 7200);
	clock_runs_until(&m, 2 * SECOND);
	ck_assert_uint_eq(sent_count(&m, V0_MAP), 2);
	ck_assert_uint_eq(sent_count(&m, V2_MAP), 1);
	meeting_end(&m);
}

static void send_nothing(void *arg, const uint8_t *bytes, size_t len)
{
	(void)arg;
	(void)bytes;
	(void)len;
}

/* The gateway that was asked for a deletion is gone, so nobody confirms it. */
START_TEST(H5_deletion_that_another_gateway_cuts_short)
{
	const struct ip_address other = {{[10] = 0xff, 0xff, 10, 9, 8, 7}};
	struct closing closing;
	struct meeting m;

	meeting_begin(&m, "rfc");
	m.is_silent = true;
	ck_assert_int_eq(client_unmap(&m.client, &closing, NATPMP_TCP, 80, meeting_now(&m)),
			 NATPMP_OK);
	clock_runs_until(&m, SECOND);
	ck_assert_uint_ne(closing.left, 0);
	client_farewell(&m.client, meeting_now(&m), send_nothing, NULL);
	client_on_link(&m.client, meeting_now(&m), NATPMP_OK, &other, &m.own);
	ck_assert_uint_eq(closing.left, 0);
	ck_assert_int_eq(closing.status, NATPMP_E_TIMEOUT);
	client_stop_unmapping(&m.client, &closing, meeting_now(&m));
	meeting_end(&m);
}

int main(void)
{
	return RUN_TESTS(
		"dialects", V1_pcp_comes_first, V1_one_exchange_makes_a_mapping,
		V2_refusals_as_they_were_seen, V2_any_opcode_of_4_or_8_bytes,
		V5_ten_at_a_gateway_of_nat_pmp, V3_junk_is_no_sign_of_pcp,
		H5_deletion_that_another_gateway_cuts_short, V5_refusal_that_names_the_mapping,
		V5_copies_of_a_refusal, V5_all_answers_come_twice,
		V3_refusal_is_remembered_for_five_minutes, V3_upgraded_gateway_is_asked_in_pcp,
		V3_downgraded_gateway_is_asked_in_nat_pmp, V3_the_port_is_kept_over_all_changes,
		V6_version_3_is_asked_again_in_that_time, V6_contradictory_refusal,
		V6_contradictory_refusal_in_two_dialects, V7_gateway_that_drops_version_2,
		V7_gateway_that_drops_version_0, V7_lost_packets_at_an_unknown_gateway,
		V7_closed_port_ends_both, V7_silence_is_asked_in_both,
		V8_gateway_becomes_one_of_pcp_only, V8_two_versions_that_name_each_other,
		V9_made_in_both_at_a_slow_gateway,
		V9_renewed_and_deleted_in_the_dialect_that_made_it,
		V9_made_in_nat_pmp_and_deleted_after_the_upgrade,
		V9_unknown_mapping_is_deleted_in_both,
		N54_address_is_asked_in_nat_pmp_where_that_is_spoken,
		P47_announce_where_nat_pmp_is_not_spoken, V4_version_1_is_not_tried_at_any_gateway);
}
