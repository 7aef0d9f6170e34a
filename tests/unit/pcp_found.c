/* SPDX-License-Identifier: MIT */
/* Faults that the simulation found in weeks with PCP, each as a story. */
#include <string.h>

#include "meeting.h"
#include "suite.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool is_up(const struct lease *lease)
{
	return lease->told.status == NATPMP_OK;
}

static void force(struct meeting *m, enum model_wish wish, int32_t result, int64_t lifetime)
{
	m->here->model.profile.forced_pcp_result[wish] = result;
	m->here->model.profile.forced_error_lifetime = lifetime;
}

static void begin(struct meeting *m, dialect_set dialects)
{
	meeting_begin_with(m, dialects == ONLY_PCP ? "pcp" : "rfc-pcp", dialects, false, 1);
}

static void link_is_lost(struct meeting *m)
{
	const struct ip_address none = {{0}};

	client_on_link(&m->client, meeting_now(m), NATPMP_E_NO_GATEWAY, &none, &none);
}

/* Nobody could be told while there was no link; the old ends are needed for that afterwards. */
START_TEST(H5_farewell_after_the_link_was_lost)
{
	struct meeting m;

	begin(&m, ONLY_PCP);
	program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, MINUTE);
	struct ip_address gateway = m.client.gateway.ends.gateway;
	link_is_lost(&m);
	clock_runs_until(&m, 2 * MINUTE);
	ck_assert(ip_is_equal(&m.client.gateway.ends.gateway, &gateway));
	struct place *old = m.here;
	client_moves(&m, "pcp");
	ck_assert_uint_eq(sent_count(&m, V2_DELETE), 1);
	ck_assert_mem_eq(sent_nth(&m, V2_DELETE, 0)->bytes + 8, m.own.bytes, sizeof(m.own.bytes));
	ck_assert_mem_eq(sent_nth(&m, V2_DELETE, 0)->bytes + 24,
			 sent_nth(&m, V2_MAP, 0)->bytes + 24, 12); /* the nonce */
	old->model.ever_broken = 0;
	meeting_end(&m);
}

/* Refuses NAT-PMP, and names its own version. */
static size_t reject_nat_pmp(struct meeting *m, const struct packet *request, uint8_t *bytes)
{
	const uint8_t refusal[24] = {2, request->bytes[1] | 0x80, 0, 1};

	if (packet_kind(request) & V2_ANY)
		return gateway_answers(m, request, bytes);
	memcpy(bytes, refusal, sizeof(refusal));
	return sizeof(refusal);
}

/* It was silent in PCP so far, and now says that it speaks that. */
START_TEST(V8_rejection_names_what_is_spoken)
{
	struct meeting m;

	meeting_begin(&m, "drops-pcp");
	program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, MINUTE);
	gateway_becomes(&m, "rfc-pcp");
	m.answer = reject_nat_pmp;
	struct lease *other = program_holds(&m, NATPMP_TCP, 81, 3600);
	clock_runs_until(&m, MINUTE + SECOND);
	ck_assert(is_up(other));
	meeting_end(&m);
}

/* Whoever forges rejections and announcements in turns gets no packet for each of them. */
START_TEST(V8_forged_rejections_turn_a_question_once)
{
	static const uint8_t rejections[][24] = {{0, 129, 0, 1}, {2, 129, 0, 1}};
	static const uint8_t announcements[][24] = {{2, 128}, {0, 128}};
	struct meeting m;

	begin(&m, ALL_DIALECTS);
	m.is_silent = true;
	program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, 300);
	unsigned before = sent_count(&m, ANY_PACKET);
	for (unsigned i = 0; i < 40; i++) {
		gateway_says(&m, rejections[i % 2], i % 2 ? 24 : 8);
		gateway_says(&m, announcements[0], 24);
		gateway_says(&m, announcements[1], 12);
		clock_runs_until(&m, m.now + 1);
	}
	ck_assert_uint_le(sent_count(&m, ANY_PACKET) - before, 4);
	m.here->model.ever_broken = 0;
	meeting_end(&m);
}

/* A crowd that has to wait for each other's turns, at a silent gateway. */
START_TEST(P36_renewals_that_waited_are_4_s_apart)
{
	enum { N = 12 };
	struct meeting m;
	uint64_t last[N] = {0};

	begin(&m, ONLY_PCP);
	for (uint16_t i = 0; i < N; i++)
		program_holds(&m, NATPMP_TCP, (uint16_t)(1000 + i), 60);
	clock_runs_until(&m, 10 * SECOND);
	m.is_silent = true;
	meeting_turns_page(&m);
	clock_runs_until(&m, 59 * SECOND);
	for (unsigned i = 0; i < sent_count(&m, V2_MAP); i++) {
		const struct packet *packet = sent_nth(&m, V2_MAP, i);
		uint64_t *before = &last[packet_internal_port(packet) - 1000];

		ck_assert_uint_ge(packet->at, *before ? *before + 4 * SECOND : 0);
		*before = packet->at;
	}
	meeting_end(&m);
}

/* The refusal of a renewal lasts longer than the mapping. */
START_TEST(P29_error_outlasts_the_mapping)
{
	struct meeting m;

	begin(&m, ONLY_PCP);
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 120);
	clock_runs_until(&m, 10 * SECOND);
	force(&m, MODEL_WISH_RENEW, 2, 1800);
	force(&m, MODEL_WISH_CREATE, 2, 1800);
	clock_runs_until(&m, 119 * SECOND);
	ck_assert(is_up(web));
	uint64_t refused_at = sent_last(&m, V2_MAP)->at;
	ck_assert_uint_eq(sent_count(&m, V2_MAP), 2);
	clock_runs_until(&m, refused_at + 1800 * SECOND - 1);
	ck_assert(!is_up(web));
	ck_assert_uint_eq(sent_count(&m, V2_MAP), 2);
	clock_runs_until(&m, refused_at + 1801 * SECOND);
	ck_assert_uint_eq(sent_count(&m, V2_MAP), 3);
	meeting_end(&m);
}

/* What was lost by a restart is a new mapping, for a gateway that is short of them. */
START_TEST(P30_lost_mapping_is_a_new_one)
{
	struct meeting m;

	begin(&m, ONLY_PCP);
	struct lease *lost[2];
	for (uint16_t i = 0; i < COUNT(lost); i++)
		lost[i] = program_holds(&m, NATPMP_TCP, (uint16_t)(80 + i), 3600);
	clock_runs_until(&m, MINUTE);
	gateway_restarts(&m);
	force(&m, MODEL_WISH_CREATE, 8, 7200);
	meeting_turns_page(&m);
	gateway_announces_by_pcp(&m);
	clock_runs_until(&m, MINUTE + 6 * SECOND);
	ck_assert_uint_eq(sent_count(&m, V2_MAP), 1);
	for (size_t i = 0; i < COUNT(lost); i++)
		ck_assert_int_eq(lost[i]->told.status, NATPMP_E_NO_RESOURCES);
	clock_runs_until(&m, HOUR);
	ck_assert_uint_eq(sent_count(&m, V2_MAP), 1);
	meeting_end(&m);
}

START_TEST(P30_short_lifetime_waits_too)
{
	struct meeting m;

	begin(&m, ONLY_PCP);
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 120);
	clock_runs_until(&m, SECOND);
	force(&m, MODEL_WISH_CREATE, 8, 7200);
	struct lease *other = program_holds(&m, NATPMP_TCP, 81, 3600);
	clock_runs_until(&m, 2 * SECOND);
	m.is_silent = true;
	clock_runs_until(&m, 121 * SECOND);
	m.is_silent = false;
	ck_assert(!is_up(web));
	ck_assert(!is_up(other));
	meeting_turns_page(&m);
	clock_runs_until(&m, HOUR);
	ck_assert_uint_eq(sent_count(&m, V2_MAP), 0);
	meeting_end(&m);
}

START_TEST(P30_shortage_ends_with_a_restart)
{
	struct meeting m;

	begin(&m, ONLY_PCP);
	program_holds(&m, NATPMP_TCP, 80, 86400);
	clock_runs_until(&m, MINUTE);
	force(&m, MODEL_WISH_CREATE, 8, 7200);
	program_holds(&m, NATPMP_TCP, 81, 3600);
	struct lease *other = program_holds(&m, NATPMP_TCP, 82, 3600);
	clock_runs_until(&m, 2 * MINUTE);
	gateway_restarts(&m);
	force(&m, MODEL_WISH_CREATE, -1, -1);
	gateway_announces_by_pcp(&m);
	clock_runs_until(&m, 2 * MINUTE + 6 * SECOND);
	ck_assert(is_up(other));
	meeting_end(&m);
}

/* What waits for the end of a shortage does not keep us from looking at the clock. */
START_TEST(N60_silent_restart_in_a_shortage)
{
	struct meeting m;

	begin(&m, ONLY_PCP);
	program_holds(&m, NATPMP_TCP, 80, 86400);
	clock_runs_until(&m, MINUTE);
	force(&m, MODEL_WISH_CREATE, 8, 7200);
	program_holds(&m, NATPMP_TCP, 81, 3600);
	struct lease *other = program_holds(&m, NATPMP_TCP, 82, 3600);
	clock_runs_until(&m, 20 * MINUTE);
	gateway_restarts(&m);
	force(&m, MODEL_WISH_CREATE, -1, -1);
	clock_runs_until(&m, 26 * MINUTE);
	ck_assert(is_up(other));
	meeting_end(&m);
}

/* The program that serves PCP restarts by itself; the other one knows nothing of it. */
START_TEST(N60_silent_restart_of_one_of_two)
{
	struct meeting m;

	begin(&m, ALL_DIALECTS);
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 86400);
	clock_runs_until(&m, MINUTE);
	ck_assert_int_eq(program_asks_address(&m), NATPMP_OK); /* in NAT-PMP */
	clock_runs_until(&m, HOUR);
	ck_assert(is_up(web));
	model_set_pcp_clock(&m.here->model, meeting_now(&m), 0);
	meeting_turns_page(&m);
	clock_runs_until(&m, HOUR + 16 * MINUTE);
	ck_assert_uint_ge(sent_count(&m, V2_MAP), 1); /* the recovery */
	meeting_end(&m);
}

START_TEST(V7_gateway_that_falls_silent_in_pcp)
{
	struct meeting m;

	begin(&m, ALL_DIALECTS);
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, MINUTE);
	ck_assert(is_up(web));
	gateway_becomes(&m, "drops-pcp");
	struct lease *other = program_holds(&m, NATPMP_TCP, 81, 3600);
	clock_runs_until(&m, MINUTE + 8 * SECOND);
	ck_assert(is_up(other));
	meeting_end(&m);
}

/* The dialect that granted it is asked, though it is refused by now; and that is told. */
START_TEST(V9_deleted_in_the_dialect_that_is_refused_by_now)
{
	struct meeting m;

	begin(&m, ALL_DIALECTS);
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 86400);
	clock_runs_until(&m, MINUTE);
	gateway_becomes(&m, "rfc");
	program_holds(&m, NATPMP_TCP, 81, 3600);
	clock_runs_until(&m, 2 * MINUTE);
	meeting_turns_page(&m);
	program_releases(&m, web);
	clock_runs_until(&m, 3 * MINUTE);
	ck_assert_uint_eq(sent_count(&m, V2_DELETE), 1);
	ck_assert_int_eq(client_leftover(&m.client, meeting_now(&m)), NATPMP_E_VERSION);
	meeting_end(&m);
}

static uint64_t delay_port_80(struct meeting *m, const struct packet *request)
{
	if (sent_count(m, V2_MAP) == 1)
		return 12 * SECOND;
	return packet_internal_port(request) == 81 || m->now < 9 * SECOND ? NEVER : 20;
}

/* The answer to what an earlier lease asked for comes when another one waits for its turn. */
START_TEST(P25_late_success_for_an_earlier_lease)
{
	struct meeting m;

	begin(&m, ONLY_PCP);
	m.delay = delay_port_80;
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, SECOND);
	program_holds(&m, NATPMP_TCP, 81, 3600);
	clock_runs_until(&m, 9 * SECOND);
	program_releases(&m, web);
	web = program_holds(&m, NATPMP_TCP, 80, 120);
	clock_runs_until(&m, 13 * SECOND);
	ck_assert(!is_up(web));
	clock_runs_until(&m, 20 * SECOND);
	ck_assert(is_up(web));
	ck_assert_uint_eq(web->grants[0]->lifetime, 120);
	meeting_end(&m);
}

static uint64_t delay_deletions(struct meeting *m, const struct packet *request)
{
	(void)m;
	return packet_kind(request) == V2_DELETE ? 3500 : 20;
}

/* miniupnpd answers a deletion that is sent twice with success and with NO_RESOURCES: the latter
 * comes when the port is asked for again. */
START_TEST(P30_late_refusal_of_a_copy)
{
	struct meeting m;

	meeting_begin_with(&m, "miniupnpd", ONLY_PCP, false, 1);
	m.delay = delay_deletions;
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, MINUTE);
	program_releases(&m, web);
	clock_runs_until(&m, MINUTE + 3400); /* it was sent twice */
	ck_assert_uint_eq(sent_count(&m, V2_DELETE), 2);
	meeting_turns_page(&m);
	web = program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, MINUTE + 20 * SECOND);
	ck_assert(is_up(web));
	ck_assert_uint_eq(event_count(&m), 1);
	ck_assert_uint_eq(m.client.gateway.short_until, 0);
	meeting_end(&m);
}

static size_t stay_silent(struct meeting *m, const struct packet *request, uint8_t *bytes)
{
	(void)m;
	(void)request;
	(void)bytes;
	return 0;
}

/* Three copies of an update, while a deletion is under way: they do not answer it. */
START_TEST(P48_copies_do_not_answer_a_deletion)
{
	struct meeting m;

	begin(&m, ONLY_PCP);
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, MINUTE);
	m.answer = stay_silent;
	program_releases(&m, web);
	clock_runs_until(&m, MINUTE + 500);
	for (unsigned i = 0; i < 3; i++)
		gateway_updates(&m, NATPMP_TCP, 80);
	clock_runs_until(&m, MINUTE + SECOND);
	m.answer = NULL;
	clock_runs_until(&m, MINUTE + 4 * SECOND);
	ck_assert_uint_eq(gateway_mappings(&m), 0);
	meeting_end(&m);
}

int main(void)
{
	return RUN_TESTS("pcp-found", H5_farewell_after_the_link_was_lost,
			 V8_rejection_names_what_is_spoken,
			 V8_forged_rejections_turn_a_question_once,
			 P36_renewals_that_waited_are_4_s_apart, P29_error_outlasts_the_mapping,
			 P30_lost_mapping_is_a_new_one, P30_short_lifetime_waits_too,
			 P30_shortage_ends_with_a_restart, N60_silent_restart_in_a_shortage,
			 N60_silent_restart_of_one_of_two, V7_gateway_that_falls_silent_in_pcp,
			 V9_deleted_in_the_dialect_that_is_refused_by_now,
			 P25_late_success_for_an_earlier_lease, P30_late_refusal_of_a_copy,
			 P48_copies_do_not_answer_a_deletion);
}
