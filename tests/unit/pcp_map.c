/* SPDX-License-Identifier: MIT */
/* Mappings by PCP: made, renewed, deleted. */
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

/* A mapping that was granted at 0, and no answer any more. */
static struct lease *begin_unrenewed(struct meeting *m, uint32_t lifetime, uint64_t seed)
{
	begin_pcp(m, seed);
	struct lease *web = program_holds(m, NATPMP_TCP, 80, lifetime);
	clock_runs_until(m, 1);
	ck_assert(is_up(web));
	meeting_turns_page(m);
	m->is_silent = true;
	return web;
}

/* --- sends --- */

START_TEST(P11_waits_of_the_first_series)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct meeting m;

		begin_pcp(&m, seed);
		m.is_silent = true;
		program_holds(&m, NATPMP_TCP, 80, 3600);
		clock_runs_until(&m, 30 * SECOND);
		uint64_t before = 3000 / 2;
		for (unsigned i = 0; i < 3; i++) {
			uint64_t gap =
				sent_nth(&m, V2_MAP, i + 1)->at - sent_nth(&m, V2_MAP, i)->at;
			ck_assert_uint_ge(gap, 2 * before * 9 / 10 - 1);
			ck_assert_uint_le(gap, 2 * before * 11 / 10 + 1);
			before = gap;
		}
		meeting_end(&m);
	}
}

/* Two hours of silence: it is asked on, never faster than the RFC's first wait, never slower than
 * its last one, and always in the same bytes. */
START_TEST(P12_asked_until_it_answers)
{
	struct meeting m;

	begin_pcp(&m, 1);
	m.is_silent = true;
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, 2 * HOUR);
	for (unsigned i = 1; i < sent_count(&m, V2_MAP); i++) {
		uint64_t gap = sent_nth(&m, V2_MAP, i)->at - sent_nth(&m, V2_MAP, i - 1)->at;
		ck_assert_uint_ge(gap, 2700);
		ck_assert_uint_le(gap, 1126400);
	}
	ck_assert_uint_ge(sent_last(&m, V2_MAP)->at, 2 * HOUR - 1126400);
	m.is_silent = false;
	clock_runs_until(&m, m.now + 1126400);
	ck_assert(is_up(web));
	meeting_end(&m);
}

START_TEST(P13_retransmissions_keep_every_byte)
{
	struct meeting m;

	begin_pcp(&m, 1);
	m.is_silent = true;
	program_holds(&m, NATPMP_UDP, 53, 3600);
	clock_runs_until(&m, HOUR);
	const struct packet *first = sent_nth(&m, V2_MAP, 0);
	ck_assert_uint_gt(sent_count(&m, V2_MAP), 10);
	for (unsigned i = 1; i < sent_count(&m, V2_MAP); i++) {
		ck_assert_uint_eq(sent_nth(&m, V2_MAP, i)->len, first->len);
		ck_assert_mem_eq(sent_nth(&m, V2_MAP, i)->bytes, first->bytes, first->len);
	}
	meeting_end(&m);
}

/* --- the nonce --- */

START_TEST(P15_same_secret_extends_and_deletes)
{
	struct meeting m;

	begin_pcp(&m, 1);
	program_wants_port(&m, NATPMP_TCP, 80, 8080, 3600);
	clock_runs_until(&m, MINUTE);
	uint64_t ends = gateway_mapping(&m, NATPMP_TCP, 80, MODEL_BY_PCP)->expires;
	program_starts_again(&m, 0x5e);
	struct lease *again = program_wants_port(&m, NATPMP_TCP, 80, 8080, 3600);
	clock_runs_until(&m, 2 * MINUTE);
	ck_assert(is_up(again));
	ck_assert_uint_eq(lease_port(again), 8080);
	ck_assert_uint_gt(gateway_mapping(&m, NATPMP_TCP, 80, MODEL_BY_PCP)->expires, ends);
	program_starts_again(&m, 0x5e);
	ck_assert_int_eq(program_unmaps(&m, NATPMP_TCP, 80), NATPMP_OK);
	ck_assert_uint_eq(gateway_mappings(&m), 0);
	meeting_end(&m);
}

START_TEST(P15_other_secret_is_not_authorized)
{
	struct meeting m;

	begin_pcp(&m, 1);
	program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, MINUTE);
	program_starts_again(&m, 0x5f);
	meeting_turns_page(&m);
	struct lease *again = program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, HOUR - SECOND);
	ck_assert_uint_eq(event_count(&m), 1);
	ck_assert_int_eq(event_nth(&m, 0)->view.status, NATPMP_E_NOT_AUTHORIZED);
	ck_assert_uint_eq(event_nth(&m, 0)->at, MINUTE);
	ck_assert_uint_eq(again->grants[0]->retries.result, 2);
	ck_assert_uint_eq(sent_count(&m, V2_MAP), 1); /* not within the lifetime it told */
	clock_runs_until(&m, HOUR + SECOND);
	ck_assert(is_up(again)); /* what the lost secret made is over */
	ck_assert_uint_eq(sent_count(&m, V2_MAP), 2);
	meeting_end(&m);
}

START_TEST(P15_other_secret_cannot_delete)
{
	struct meeting m;

	begin_pcp(&m, 1);
	program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, MINUTE);
	program_starts_again(&m, 0x5f);
	meeting_turns_page(&m);
	ck_assert_int_eq(program_unmaps(&m, NATPMP_TCP, 80), NATPMP_E_NOT_AUTHORIZED);
	ck_assert_uint_eq(sent_count(&m, V2_DELETE), 1);
	ck_assert_uint_eq(gateway_mappings(&m), 1);
	meeting_end(&m);
}

/* --- what is granted --- */

START_TEST(P17_suggestion_is_never_granted)
{
	struct meeting m;

	begin_pcp(&m, 1);
	m.here->model.profile.denies_suggestions = true;
	struct lease *web = program_wants_port(&m, NATPMP_TCP, 80, 8080, 3600);
	clock_runs_until(&m, MINUTE);
	ck_assert(is_up(web));
	ck_assert_uint_ne(lease_port(web), 8080);
	ck_assert_uint_eq(lease_port(web), gateway_port(&m, NATPMP_TCP, 80, MODEL_BY_PCP));
	ck_assert_uint_eq(sent_count(&m, ANY_PACKET), 1);
	clock_runs_until(&m, 24 * HOUR);
	ck_assert_uint_eq(event_count(&m), 1);
	ck_assert_uint_le(sent_count(&m, V2_MAP), 48);
	meeting_end(&m);
}

START_TEST(P33_longer_lifetime_is_used)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct meeting m;

		meeting_begin_with(&m, "miniupnpd", ALL_DIALECTS, false, seed);
		struct lease *web = program_holds(&m, NATPMP_TCP, 80, 60);
		clock_runs_until(&m, 100 * SECOND);
		ck_assert_uint_eq(web->told.lifetime, 120);
		ck_assert_uint_eq(sent_count(&m, V2_MAP), 2);
		ck_assert_uint_ge(sent_nth(&m, V2_MAP, 1)->at, 60 * SECOND);
		ck_assert_uint_le(sent_nth(&m, V2_MAP, 1)->at, 75 * SECOND);
		meeting_end(&m);
	}
}

/* --- renewals --- */

START_TEST(P34_renewed_for_days)
{
	struct meeting m;

	begin_pcp(&m, 1);
	m.latency = 20;
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 3600);
	for (uint64_t at = MINUTE; at < 48 * HOUR; at += MINUTE) {
		clock_runs_until(&m, at);
		ck_assert_uint_eq(gateway_port(&m, NATPMP_TCP, 80, MODEL_BY_PCP), 80);
	}
	ck_assert(is_up(web));
	ck_assert_uint_eq(event_count(&m), 1);
	ck_assert_uint_ge(sent_count(&m, V2_MAP), 48 * 3600 / 2250);
	ck_assert_uint_le(sent_count(&m, V2_MAP), 2 * 48);
	meeting_end(&m);
}

/* One packet for each try, at 1/2 to 5/8, 3/4 to 13/16, ... of the lifetime; then it is over. */
START_TEST(P35_times_of_the_tries)
{
	const uint64_t lifetime = 3600 * SECOND;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct meeting m;
		unsigned n = 0;

		struct lease *web = begin_unrenewed(&m, 3600, seed);
		clock_runs_until(&m, lifetime - 1);
		ck_assert(is_up(web));
		for (unsigned k = 1; lifetime >> k >= 8 * SECOND; k++) {
			uint64_t at = sent_nth(&m, V2_MAP, n++)->at;
			ck_assert_uint_ge(at, lifetime - (lifetime >> k) - 1);
			uint64_t latest = lifetime - (lifetime >> k) + (lifetime >> (k + 2));
			ck_assert_uint_le(at, latest + TURN); /* another question had its turn */
		}
		ck_assert_uint_le(sent_count(&m, V2_MAP), n + 1); /* the next may be too near */
		clock_runs_until(&m, lifetime);
		ck_assert_int_eq(web->told.status, NATPMP_E_TIMEOUT);
		ck_assert_uint_eq(event_count(&m), 1);
		meeting_end(&m);
	}
}

START_TEST(P36_tries_are_4_s_apart)
{
	static const uint32_t lifetimes[] = {10, 20, 120};

	for (uint64_t i = 0; i < SEEDS * COUNT(lifetimes); i++) {
		uint32_t lifetime = lifetimes[i % COUNT(lifetimes)];
		struct meeting m;

		begin_unrenewed(&m, lifetime, i + 1);
		clock_runs_until(&m, lifetime * SECOND - 1);
		ck_assert_uint_ge(sent_count(&m, V2_MAP), 1);
		for (unsigned n = 1; n < sent_count(&m, V2_MAP); n++)
			ck_assert_uint_ge(sent_nth(&m, V2_MAP, n)->at,
					  sent_nth(&m, V2_MAP, n - 1)->at + 4 * SECOND);
		meeting_end(&m);
	}
}

/* The model looks at the distance of renewals, too. */
START_TEST(P36_short_lifetimes_for_an_hour)
{
	static const uint32_t lifetimes[] = {10, 20, 120};

	for (size_t i = 0; i < COUNT(lifetimes); i++) {
		struct meeting m;

		begin_pcp(&m, i);
		m.latency = 30;
		program_holds(&m, NATPMP_TCP, 80, lifetimes[i]);
		clock_runs_until(&m, HOUR);
		ck_assert_uint_eq(event_count(&m), 1);
		ck_assert_uint_eq(gateway_mappings(&m), 1);
		meeting_end(&m);
	}
}

static uint64_t lose_the_first_renewal(struct meeting *m, const struct packet *request)
{
	(void)request;
	return sent_count(m, V2_MAP) == 2 ? NEVER : 30;
}

/* The next answer may belong to that send, so the lifetime counts from there. */
START_TEST(P36_lifetime_that_counts_from_a_lost_send)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct meeting m;

		begin_pcp(&m, seed);
		m.delay = lose_the_first_renewal;
		program_holds(&m, NATPMP_TCP, 80, 10);
		clock_runs_until(&m, 17 * SECOND);
		ck_assert_uint_eq(sent_nth(&m, V2_MAP, 2)->at, 10 * SECOND);
		ck_assert_uint_ge(sent_nth(&m, V2_MAP, 3)->at, 14 * SECOND);
		m.here->model.ever_broken &= ~(uint32_t)MODEL_RULE_TOO_SOON; /* it was over */
		meeting_end(&m);
	}
}

START_TEST(P37_renewal_suggests_what_was_assigned)
{
	struct meeting m;

	begin_pcp(&m, 1);
	m.here->model.profile.denies_suggestions = true;
	struct lease *web = program_wants_port(&m, NATPMP_UDP, 53, 5300, 3600);
	clock_runs_until(&m, HOUR);
	const struct packet *renewal = sent_nth(&m, V2_MAP, 1);
	struct ip_address address = packet_suggested_address(renewal);
	ck_assert_uint_eq(packet_suggested_port(renewal), lease_port(web));
	ck_assert_uint_eq(ip_to_v4(&address), EXTERNAL);
	/* another address and port by now */
	model_set_address(&m.here->model, 0xcb007107);
	ck_assert(model_move(&m.here->model, gateway_mapping(&m, NATPMP_UDP, 53, MODEL_BY_PCP),
			     6000));
	clock_runs_until(&m, 3 * HOUR);
	renewal = sent_last(&m, V2_MAP);
	address = packet_suggested_address(renewal);
	ck_assert_uint_eq(packet_suggested_port(renewal), 6000);
	ck_assert_uint_eq(ip_to_v4(&address), 0xcb007107);
	ck_assert_uint_eq(event_count(&m), 2); /* both changes in one */
	ck_assert_uint_eq(lease_port(web), 6000);
	ck_assert_uint_eq(ip_to_v4(&web->told.external_address), 0xcb007107);
	meeting_end(&m);
}

/* --- deletions --- */

START_TEST(P38_deletion_suggests_nothing_and_has_no_option)
{
	struct meeting m;

	begin_pcp(&m, 1);
	m.is_exact = true;
	struct lease *web = program_wants_port(&m, NATPMP_TCP, 80, 8080, 3600);
	clock_runs_until(&m, MINUTE);
	ck_assert(is_up(web));
	ck_assert_uint_eq(sent_nth(&m, V2_MAP, 0)->len, 64);
	program_releases(&m, web);
	clock_runs_until_idle(&m);
	const struct packet *deletion = sent_nth(&m, V2_DELETE, 0);
	struct ip_address address = packet_suggested_address(deletion);
	ck_assert_uint_eq(deletion->len, 60);
	ck_assert_uint_eq(packet_suggested_port(deletion), 0);
	ck_assert(ip_is_v4(&address));
	ck_assert_uint_eq(ip_to_v4(&address), 0);
	ck_assert_mem_eq(deletion->bytes + 24, sent_nth(&m, V2_MAP, 0)->bytes + 24, 12);
	ck_assert_uint_eq(sent_count(&m, V2_DELETE), 1);
	ck_assert_uint_eq(gateway_mappings(&m), 0);
	meeting_end(&m);
}

/* In PCP that would be the wildcard mapping, so it is NAT-PMP's alone. */
START_TEST(P39_no_deletion_of_all)
{
	struct meeting m;

	meeting_begin(&m, "rfc-pcp");
	m.latency = 400; /* time enough for a second dialect */
	ck_assert_int_eq(program_unmaps(&m, NATPMP_TCP, 0), NATPMP_OK);
	ck_assert_uint_ge(sent_count(&m, V0_DELETE), 1);
	ck_assert_uint_eq(sent_count(&m, V2_ANY), 0);
	meeting_end(&m);
}

/* It lives on for a while, as there was traffic; there is nothing to be done about that. */
START_TEST(P40_deletion_leaves_90_s)
{
	struct meeting m;

	begin_pcp(&m, 1);
	m.latency = 20;
	m.here->model.profile.deletion_leaves = 90;
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, MINUTE);
	program_releases(&m, web);
	meeting_turns_page(&m);
	clock_runs_until(&m, MINUTE + 89 * SECOND);
	ck_assert_uint_eq(gateway_mappings(&m), 1);
	clock_runs_until(&m, HOUR);
	ck_assert_uint_eq(gateway_mappings(&m), 0);
	ck_assert_uint_eq(sent_count(&m, V2_MAP), 0);
	ck_assert_uint_le(sent_count(&m, V2_DELETE), 2);
	ck_assert(client_is_empty(&m.client));
	meeting_end(&m);
}

START_TEST(P40_deletion_that_a_caller_waits_for)
{
	struct meeting m;

	begin_pcp(&m, 1);
	m.latency = 20;
	m.here->model.profile.deletion_leaves = 90;
	program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, MINUTE);
	program_starts_again(&m, 0x5e);
	ck_assert_int_eq(program_unmaps(&m, NATPMP_TCP, 80), NATPMP_OK);
	ck_assert_uint_le(m.now, MINUTE + 4 * SECOND);
	meeting_end(&m);
}

START_TEST(P41_static_mapping_cannot_be_deleted)
{
	struct meeting m;

	begin_pcp(&m, 1);
	ck_assert(model_add_manual(&m.here->model, meeting_now(&m), 0xc0a8010a, MODEL_TCP, 80, 80));
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, MINUTE);
	ck_assert(is_up(web));
	ck_assert_uint_eq(web->told.lifetime, 86400); /* 2^32 - 1, cut */
	program_releases(&m, web);
	clock_runs_until(&m, HOUR);
	ck_assert_uint_eq(sent_count(&m, V2_DELETE), 1);
	ck_assert_int_eq(client_leftover(&m.client, meeting_now(&m)), NATPMP_E_NOT_AUTHORIZED);
	ck_assert_int_eq(program_unmaps(&m, NATPMP_TCP, 80), NATPMP_E_NOT_AUTHORIZED);
	ck_assert_uint_eq(sent_count(&m, V2_DELETE), 2);
	meeting_end(&m);
}

/* --- TCP and UDP --- */

START_TEST(N33_tcp_and_udp_by_pcp)
{
	struct meeting m;

	meeting_begin(&m, "rfc-pcp");
	m.latency = 20;
	struct lease *game = program_wants_port(&m, NATPMP_TCP_UDP, 7777, 8080, 3600);
	clock_runs_until(&m, MINUTE);
	ck_assert(is_up(game));
	ck_assert_uint_eq(sent_count(&m, ANY_PACKET), 2);
	ck_assert_uint_eq(event_count(&m), 1);
	ck_assert_uint_eq(gateway_port(&m, NATPMP_TCP, 7777, MODEL_BY_PCP), 8080);
	ck_assert_uint_eq(gateway_port(&m, NATPMP_UDP, 7777, MODEL_BY_PCP), 8080);
	program_releases(&m, game);
	clock_runs_until_idle(&m);
	ck_assert_uint_eq(sent_count(&m, V2_DELETE), 2);
	ck_assert_uint_eq(gateway_mappings(&m), 0);
	meeting_end(&m);
}

START_TEST(N33_one_equal_port_is_looked_for_by_pcp)
{
	struct meeting m;

	begin_pcp(&m, 1);
	m.here->model.profile.split_up_to = 40000;
	struct lease *game = program_wants_port(&m, NATPMP_TCP_UDP, 7777, 8080, 3600);
	clock_runs_until(&m, MINUTE);
	ck_assert(is_up(game));
	ck_assert_uint_gt(lease_port(game), 40000);
	ck_assert_uint_eq(gateway_port(&m, NATPMP_TCP, 7777, MODEL_BY_PCP), lease_port(game));
	ck_assert_uint_eq(gateway_port(&m, NATPMP_UDP, 7777, MODEL_BY_PCP), lease_port(game));
	ck_assert_uint_eq(gateway_mappings(&m), 2);
	meeting_end(&m);
}

/* --- IPv6 --- */

static void open_pinhole(const char *profile, dialect_set dialects)
{
	struct meeting m;

	meeting_begin_with(&m, profile, dialects, true, 1);
	m.latency = 20;
	struct lease *web = program_wants_port(&m, NATPMP_TCP, 443, 443, 3600);
	clock_runs_until(&m, 20);
	ck_assert(is_up(web));
	ck_assert_uint_eq(lease_port(web), 443);
	ck_assert(ip_is_equal(&web->told.external_address, &m.own));
	clock_runs_until(&m, 5 * HOUR);
	ck_assert_uint_eq(event_count(&m), 1);
	ck_assert_uint_eq(gateway_port(&m, NATPMP_TCP, 443, MODEL_BY_PCP), 443);
	program_releases(&m, web);
	clock_runs_until_idle(&m);
	ck_assert_uint_eq(gateway_mappings(&m), 0);
	ck_assert(client_is_empty(&m.client));
	meeting_end(&m);
}

START_TEST(P16_pinhole_is_at_our_own_address)
{
	open_pinhole("pcp", ONLY_PCP);
	open_pinhole("rfc-pcp", ONLY_PCP);
	open_pinhole("miniupnpd", ONLY_PCP);
	open_pinhole("miniupnpd-2.3.11", ONLY_PCP);
}

/* The first answer of miniupnpd names the internal port, the renewal what was suggested. */
START_TEST(P16_pinhole_with_another_port_suggested)
{
	struct meeting m;

	meeting_begin_with(&m, "miniupnpd", ONLY_PCP, true, 1);
	struct lease *web = program_wants_port(&m, NATPMP_TCP, 443, 8443, 3600);
	clock_runs_until(&m, 5 * HOUR);
	ck_assert(is_up(web));
	ck_assert_uint_eq(lease_port(web), 443);
	ck_assert_uint_eq(event_count(&m), 1);
	meeting_end(&m);
}

int main(void)
{
	return RUN_TESTS("pcp-map", P11_waits_of_the_first_series, P12_asked_until_it_answers,
			 P13_retransmissions_keep_every_byte, P15_same_secret_extends_and_deletes,
			 P15_other_secret_is_not_authorized, P15_other_secret_cannot_delete,
			 P17_suggestion_is_never_granted, P33_longer_lifetime_is_used,
			 P34_renewed_for_days, P35_times_of_the_tries, P36_tries_are_4_s_apart,
			 P36_short_lifetimes_for_an_hour, P36_lifetime_that_counts_from_a_lost_send,
			 P37_renewal_suggests_what_was_assigned,
			 P38_deletion_suggests_nothing_and_has_no_option, P39_no_deletion_of_all,
			 P40_deletion_leaves_90_s, P40_deletion_that_a_caller_waits_for,
			 P41_static_mapping_cannot_be_deleted, N33_tcp_and_udp_by_pcp,
			 N33_one_equal_port_is_looked_for_by_pcp, P16_pinhole_is_at_our_own_address,
			 P16_pinhole_with_another_port_suggested);
}
