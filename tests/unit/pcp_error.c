/* SPDX-License-Identifier: MIT */
/* What a PCP gateway refuses, for how long, and several answers to one question. */
#include <string.h>

#include "meeting.h"
#include "suite.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool is_up(const struct lease *lease)
{
	return lease->told.status == NATPMP_OK;
}

static void begin_pcp(struct meeting *m)
{
	meeting_begin_with(m, "pcp", ONLY_PCP, false, 1);
}

static void force(struct meeting *m, enum model_wish wish, int32_t result)
{
	m->here->model.profile.forced_pcp_result[wish] = result;
}

static void force_lifetime(struct meeting *m, int64_t lifetime)
{
	m->here->model.profile.forced_error_lifetime = lifetime;
}

/* --- statuses and times --- */

static const struct {
	int32_t result;
	int status;
	bool is_long;
} errors[] = {
	{2, NATPMP_E_NOT_AUTHORIZED, true},
	{3, NATPMP_E_MALFORMED, true},
	{4, NATPMP_E_OPCODE, true},
	{5, NATPMP_E_OPTION, true},
	{6, NATPMP_E_MALFORMED, true},
	{7, NATPMP_E_NETWORK_FAILURE, false},
	{8, NATPMP_E_NO_RESOURCES, false},
	{9, NATPMP_E_PROTOCOL, true},
	{10, NATPMP_E_QUOTA, false},
	{11, NATPMP_E_OTHER_PORT, false},
	{12, NATPMP_E_ADDRESS_MISMATCH, true},
	{13, NATPMP_E_RESULT, true},
	{15, NATPMP_E_RESULT, true},
	{200, NATPMP_E_RESULT, true},
};

/* A mapping is refused at 0 with that lifetime, and asked for again at that time, not before. */
static void refuse_for(size_t i, int64_t lifetime, uint64_t again_at)
{
	struct meeting m;

	begin_pcp(&m);
	force(&m, MODEL_WISH_CREATE, errors[i].result);
	force_lifetime(&m, lifetime);
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, again_at - 1);
	ck_assert_uint_eq(event_count(&m), 1);
	ck_assert_int_eq(event_nth(&m, 0)->view.status, errors[i].status);
	ck_assert_uint_eq(event_nth(&m, 0)->at, 0);
	ck_assert_int_eq(web->grants[0]->retries.result, errors[i].result);
	ck_assert_msg(sent_count(&m, V2_MAP) == 1, "result %d: asked again at %d",
		      (int)errors[i].result, (int)sent_last(&m, V2_MAP)->at);
	force(&m, MODEL_WISH_CREATE, -1);
	clock_runs_until(&m, again_at);
	ck_assert_uint_eq(sent_count(&m, V2_MAP), 2);
	ck_assert(is_up(web));
	meeting_end(&m);
}

START_TEST(P29_not_repeated_within_its_lifetime)
{
	for (size_t i = 0; i < COUNT(errors); i++)
		refuse_for(i, 5400, 5400 * SECOND);
}

/* Many servers say 0, whatever it is: half a minute or half an hour. */
START_TEST(P29_lifetime_0_makes_no_loop)
{
	for (size_t i = 0; i < COUNT(errors); i++)
		refuse_for(i, 0, errors[i].is_long ? 1800 * SECOND : 30 * SECOND);
}

START_TEST(P28_errors_last_a_day_at_most)
{
	for (size_t i = 0; i < COUNT(errors); i++)
		refuse_for(i, UINT32_MAX, 24 * HOUR);
}

START_TEST(P28_grants_last_a_day_at_most)
{
	struct meeting m;

	begin_pcp(&m);
	m.here->model.profile.forced_lifetime = UINT32_MAX;
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 7200);
	clock_runs_until(&m, 24 * HOUR);
	ck_assert_uint_eq(web->told.lifetime, 86400);
	ck_assert_uint_ge(sent_count(&m, V2_MAP), 2);
	ck_assert_uint_eq(event_count(&m), 1);
	meeting_end(&m);
}

START_TEST(P29_new_gateway_is_asked_at_once)
{
	struct meeting m;

	begin_pcp(&m);
	force(&m, MODEL_WISH_CREATE, 2);
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, MINUTE);
	ck_assert_int_eq(web->told.status, NATPMP_E_NOT_AUTHORIZED);
	client_moves(&m, "pcp");
	ck_assert_uint_eq(sent_last(&m, V2_MAP)->at, MINUTE);
	ck_assert(is_up(web));
	meeting_end(&m);
}

/* A refused renewal is not repeated either, and the mapping is up until its end. */
START_TEST(P29_refused_renewal)
{
	struct meeting m;

	begin_pcp(&m);
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, MINUTE);
	force(&m, MODEL_WISH_RENEW, 7);
	force_lifetime(&m, 1000);
	meeting_turns_page(&m);
	clock_runs_until(&m, HOUR - 1);
	ck_assert_uint_eq(event_count(&m), 0);
	ck_assert_uint_le(sent_count(&m, V2_MAP), 2);
	for (unsigned i = 1; i < sent_count(&m, V2_MAP); i++)
		ck_assert_uint_ge(sent_nth(&m, V2_MAP, i)->at,
				  sent_nth(&m, V2_MAP, i - 1)->at + 1000 * SECOND);
	clock_runs_until(&m, HOUR);
	ck_assert_int_eq(web->told.status, NATPMP_E_NETWORK_FAILURE);
	ck_assert_uint_le(sent_count(&m, V2_MAP), 2); /* nor as a new mapping */
	clock_runs_until(&m, HOUR + 1000 * SECOND);
	ck_assert(is_up(web));
	meeting_end(&m);
}

/* --- short of resources --- */

/* One mapping that is renewed between 50 and 62.5 s, and a new one that is refused at 45 s. */
static struct lease *begin_short(struct meeting *m, int32_t result)
{
	begin_pcp(m);
	program_holds(m, NATPMP_TCP, 80, 100);
	clock_runs_until(m, 45 * SECOND);
	force(m, MODEL_WISH_CREATE, result);
	meeting_turns_page(m);
	struct lease *refused = program_holds(m, NATPMP_TCP, 81, 3600);
	clock_runs_until(m, 45 * SECOND);
	ck_assert_uint_eq(event_count(m), 1);
	ck_assert_uint_eq(sent_count(m, V2_MAP), 1);
	return refused;
}

static void refuse_new_mappings(int32_t result)
{
	struct meeting m;
	struct lease *others[3];

	struct lease *refused = begin_short(&m, result);
	clock_runs_until(&m, 46 * SECOND);
	for (uint16_t i = 0; i < COUNT(others); i++)
		others[i] = program_holds(&m, NATPMP_TCP, (uint16_t)(1000 + i), 3600);
	clock_runs_until(&m, 75 * SECOND - 1);
	ck_assert_uint_eq(sent_count(&m, V2_MAP), 2);
	ck_assert_uint_eq(packet_internal_port(sent_last(&m, V2_MAP)), 80); /* the renewal */
	force(&m, MODEL_WISH_CREATE, -1);
	clock_runs_until(&m, 76 * SECOND);
	ck_assert_uint_eq(sent_count(&m, V2_MAP), 2 + 4);
	for (size_t i = 0; i < COUNT(others); i++)
		ck_assert(is_up(others[i]));
	ck_assert(is_up(refused));
	meeting_end(&m);
}

START_TEST(P30_new_mappings_wait_and_renewals_do_not)
{
	refuse_new_mappings(8);
	refuse_new_mappings(10); /* this host has its share: the same for it */
}

/* A new hold does not stay pending for as long as the shortage lasts; and a person may insist. */
START_TEST(P30_what_waits_is_told_and_may_be_tried_again)
{
	struct meeting m;

	begin_short(&m, 8);
	clock_runs_until(&m, 46 * SECOND);
	meeting_turns_page(&m);
	struct lease *other = program_holds(&m, NATPMP_TCP, 82, 3600);
	clock_runs_until(&m, 46 * SECOND + 7749);
	ck_assert_uint_eq(event_count(&m), 0);
	clock_runs_until(&m, 46 * SECOND + 7750);
	ck_assert_uint_eq(event_count(&m), 1);
	ck_assert_int_eq(event_nth(&m, 0)->view.status, NATPMP_E_NO_RESOURCES);
	unsigned renewals = sent_count(&m, V2_MAP);
	ck_assert_uint_le(renewals, 1);
	client_retry(&m.client, other, meeting_now(&m));
	clock_runs_until(&m, m.now + 1);
	ck_assert_uint_gt(sent_count(&m, V2_MAP), renewals);
	meeting_end(&m);
}

START_TEST(P30_a_deletion_goes_out_meanwhile)
{
	struct meeting m;

	struct lease *refused = begin_short(&m, 8);
	(void)refused;
	clock_runs_until(&m, 46 * SECOND);
	ck_assert_int_eq(program_unmaps(&m, NATPMP_UDP, 53), NATPMP_OK);
	ck_assert_uint_eq(m.now, 46 * SECOND);
	meeting_end(&m);
}

/* A decision, and against RFC 6887 section 11.4: the others are asked all the same. miniupnpd says
 * NO_RESOURCES for what it lost unnoticed (trap 21), and each such deletion would silence us for 30
 * s. But it is told, since the mapping may still be there. */
START_TEST(P30_a_refused_deletion_silences_nothing)
{
	struct meeting m;

	begin_pcp(&m);
	struct lease *kept = program_holds(&m, NATPMP_TCP, 80, 100);
	struct lease *released = program_holds(&m, NATPMP_TCP, 81, 3600);
	clock_runs_until(&m, 45 * SECOND);
	force(&m, MODEL_WISH_DELETE, 8);
	meeting_turns_page(&m);
	program_releases(&m, released);
	clock_runs_until(&m, 46 * SECOND);
	ck_assert_int_eq(client_leftover(&m.client, meeting_now(&m)), NATPMP_E_NO_RESOURCES);
	struct lease *other = program_holds(&m, NATPMP_TCP, 82, 3600);
	clock_runs_until(&m, 47 * SECOND);
	ck_assert_uint_eq(sent_count(&m, V2_MAP), 1);
	clock_runs_until(&m, 75 * SECOND - 1);
	ck_assert_uint_eq(sent_count(&m, V2_DELETE), 1);
	ck_assert_uint_eq(sent_count(&m, V2_MAP), 2);
	ck_assert(is_up(kept));
	ck_assert(is_up(other));
	meeting_end(&m);
}

/* So says miniupnpd to a deletion of nothing; it is a success, and silences nobody. */
START_TEST(P30_deletion_of_nothing)
{
	for (unsigned dialects = 0; dialects < 2; dialects++) {
		struct meeting m;

		meeting_begin_with(&m, "miniupnpd", dialects ? ALL_DIALECTS : ONLY_PCP, false, 1);
		ck_assert_int_eq(program_unmaps(&m, NATPMP_TCP, 80), NATPMP_OK);
		ck_assert_uint_eq(sent_count(&m, V2_DELETE), 1);
		struct lease *web = program_holds(&m, NATPMP_TCP, 80, 3600);
		clock_runs_until(&m, m.now + 1);
		ck_assert(is_up(web));
		ck_assert_int_eq(client_leftover(&m.client, meeting_now(&m)), NATPMP_OK);
		meeting_end(&m);
	}
}

static uint64_t lose_first_deletion(struct meeting *m, const struct packet *request)
{
	bool is_first = packet_kind(request) == V2_DELETE && sent_count(m, V2_DELETE) == 1;

	return is_first ? NEVER : 20;
}

START_TEST(P30_repeated_deletion)
{
	struct meeting m;

	meeting_begin_with(&m, "miniupnpd", ONLY_PCP, false, 1);
	m.delay = lose_first_deletion;
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, MINUTE);
	program_releases(&m, web);
	clock_runs_until(&m, MINUTE + 4 * SECOND);
	ck_assert_uint_eq(sent_count(&m, V2_DELETE), 2);
	ck_assert_int_eq(client_leftover(&m.client, meeting_now(&m)), NATPMP_OK);
	struct lease *other = program_holds(&m, NATPMP_TCP, 81, 3600);
	clock_runs_until(&m, m.now + 20);
	ck_assert(is_up(other));
	meeting_end(&m);
}

/* --- another NAT between --- */

static size_t answer_through_a_nat(struct meeting *m, const struct packet *request, uint8_t *bytes)
{
	const struct model_host nat = model_host_ipv4(0x0a010101);

	return model_input_from(&m->here->model, meeting_now(m), &nat, request->bytes, request->len,
				bytes);
}

START_TEST(P31_nat_in_between_is_told_once)
{
	struct meeting m;

	meeting_begin(&m, "rfc-pcp");
	m.answer = answer_through_a_nat;
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, 1800 * SECOND - 1);
	ck_assert_uint_eq(event_count(&m), 1);
	ck_assert_int_eq(event_nth(&m, 0)->view.status, NATPMP_E_ADDRESS_MISMATCH);
	ck_assert_uint_eq(web->grants[0]->retries.result, 12);
	ck_assert_uint_eq(sent_count(&m, MAP_ANY), 1);
	clock_runs_until(&m, 12 * HOUR);
	ck_assert_uint_eq(event_count(&m), 1);
	ck_assert_uint_le(sent_count(&m, MAP_ANY), 25);
	m.here->model.ever_broken &= ~(uint32_t)MODEL_RULE_CLIENT_ADDRESS;
	meeting_end(&m);
}

/* --- this port or none --- */

/* Port 8080 belongs to another host. */
static struct lease *begin_taken(struct meeting *m, const char *profile)
{
	meeting_begin(m, profile);
	ck_assert(
		model_add_manual(&m->here->model, meeting_now(m), 0xc0a80163, MODEL_TCP, 80, 8080));
	m->is_exact = true;
	return program_wants_port(m, NATPMP_TCP, 80, 8080, 3600);
}

START_TEST(P32_port_that_is_taken)
{
	static const char *const profiles[] = {"rfc-pcp", "miniupnpd", "miniupnpd-2.3.11",
					       "repcpd"};

	for (size_t i = 0; i < COUNT(profiles); i++) {
		struct meeting m;

		struct lease *web = begin_taken(&m, profiles[i]);
		clock_runs_until(&m, 29 * SECOND);
		ck_assert_uint_eq(event_count(&m), 1);
		ck_assert_msg(web->told.status == NATPMP_E_OTHER_PORT, "%s", profiles[i]);
		ck_assert_uint_eq(gateway_mappings(&m), 1); /* that of the other host */
		ck_assert_uint_eq(sent_nth(&m, V2_MAP, 0)->len, 64);
		meeting_end(&m);
	}
}

START_TEST(P32_port_that_becomes_free)
{
	struct meeting m;

	struct lease *web = begin_taken(&m, "rfc-pcp");
	clock_runs_until(&m, MINUTE);
	ck_assert_int_eq(web->told.status, NATPMP_E_OTHER_PORT);
	size_t cursor = 0;
	const struct model_mapping *taken = model_next(&m.here->model, meeting_now(&m), &cursor);
	ck_assert(model_move(&m.here->model, taken, 9000));
	clock_runs_until(&m, 31 * MINUTE);
	ck_assert(is_up(web));
	ck_assert_uint_eq(lease_port(web), 8080);
	meeting_end(&m);
}

static size_t refuse_options(struct meeting *m, const struct packet *request, uint8_t *bytes)
{
	m->here->model.profile.forced_pcp_result[MODEL_WISH_CREATE] = request->len > 60 ? 5 : -1;
	return gateway_answers(m, request, bytes);
}

START_TEST(P32_unknown_option_is_left_out)
{
	struct meeting m;

	begin_pcp(&m);
	m.answer = refuse_options;
	m.is_exact = true;
	struct lease *web = program_wants_port(&m, NATPMP_TCP, 80, 8080, 3600);
	clock_runs_until(&m, 1);
	ck_assert_uint_eq(sent_count(&m, V2_MAP), 2);
	ck_assert_uint_eq(sent_nth(&m, V2_MAP, 0)->len, 64);
	ck_assert_uint_eq(sent_nth(&m, V2_MAP, 1)->len, 60);
	ck_assert(is_up(web));
	ck_assert_uint_eq(event_count(&m), 1);
	program_wants_port(&m, NATPMP_TCP, 81, 8081, 3600);
	clock_runs_until(&m, SECOND);
	ck_assert_uint_eq(sent_count(&m, V2_MAP), 3); /* it is known by now */
	meeting_end(&m);
}

/* --- several answers --- */

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

static void put_number(uint8_t *at, uint32_t value, unsigned len)
{
	while (len--) {
		at[len] = (uint8_t)value;
		value >>= 8;
	}
}

/* The answer that was kept once more, with another result, lifetime and external port. */
static void gateway_says_again(struct meeting *m, uint8_t result, uint32_t lifetime, uint16_t port)
{
	uint8_t bytes[MODEL_PACKET_MAX];

	memcpy(bytes, grant_bytes, grant_len);
	bytes[3] = result;
	put_number(bytes + 4, lifetime, 4);
	put_number(bytes + 8, model_pcp_clock(&m->here->model, meeting_now(m)), 4);
	put_number(bytes + 42, port, 2);
	gateway_says(m, bytes, grant_len);
}

/* What is in force stays up until its end; no renewal goes out within the lifetime of the error. */
START_TEST(P25_success_error_success)
{
	struct meeting m;

	begin_pcp(&m);
	m.answer = keep_answer;
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, 10 * SECOND);
	gateway_says_again(&m, 2, 600, 80);
	clock_runs_until(&m, 20 * SECOND);
	ck_assert_uint_eq(event_count(&m), 1);
	ck_assert_uint_eq(sent_count(&m, ANY_PACKET), 1);
	gateway_says_again(&m, 0, 3600, 9000);
	clock_runs_until(&m, MINUTE);
	ck_assert_uint_eq(event_count(&m), 2);
	ck_assert_uint_eq(event_nth(&m, 0)->view.external_port, 80);
	ck_assert_uint_eq(event_nth(&m, 1)->at, 20 * SECOND);
	ck_assert_int_eq(event_nth(&m, 1)->view.status, NATPMP_OK);
	ck_assert_uint_eq(event_nth(&m, 1)->view.external_port, 9000);
	ck_assert_uint_eq(sent_count(&m, ANY_PACKET), 1);
	ck_assert(is_up(web));
	clock_runs_until(&m, HOUR);
	ck_assert_uint_eq(packet_suggested_port(sent_nth(&m, V2_MAP, 1)), 9000);
	meeting_end(&m);
}

/* Two answers to the first question. */
START_TEST(P25_error_then_success)
{
	struct meeting m;

	begin_pcp(&m);
	m.answer = keep_answer;
	force(&m, MODEL_WISH_CREATE, 2);
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, 5 * SECOND);
	ck_assert_int_eq(web->told.status, NATPMP_E_NOT_AUTHORIZED);
	put_number(grant_bytes + 44 + 10, 0xffff, 2);
	put_number(grant_bytes + 44 + 12, EXTERNAL, 4);
	gateway_says_again(&m, 0, 3600, 8080);
	clock_runs_until(&m, 10 * SECOND);
	ck_assert_uint_eq(event_count(&m), 2);
	ck_assert(is_up(web));
	ck_assert_uint_eq(event_nth(&m, 1)->at, 5 * SECOND);
	ck_assert_uint_eq(lease_port(web), 8080);
	meeting_end(&m);
}

START_TEST(P25_answers_to_what_is_not_held)
{
	struct meeting m;

	begin_pcp(&m);
	m.answer = keep_answer;
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, SECOND);
	program_releases(&m, web);
	clock_runs_until_idle(&m);
	ck_assert(client_is_empty(&m.client));
	meeting_turns_page(&m);
	gateway_says_again(&m, 0, 3600, 9000);
	gateway_says_again(&m, 2, 3600, 9000);
	clock_runs_until(&m, HOUR);
	ck_assert_uint_eq(sent_count(&m, ANY_PACKET), 0);
	ck_assert_uint_eq(event_count(&m), 0);
	meeting_end(&m);
}

/* With PREFER_FAILURE, a success on another port is about something else. */
START_TEST(P32_success_on_another_port_is_none)
{
	struct meeting m;

	begin_pcp(&m);
	m.answer = keep_answer;
	m.latency = 500;
	m.is_exact = true;
	struct lease *web = program_wants_port(&m, NATPMP_TCP, 80, 8080, 3600);
	clock_runs_until(&m, 100);
	gateway_says_again(&m, 0, 3600, 9000);
	clock_runs_until(&m, MINUTE);
	for (unsigned i = 0; i < event_count(&m); i++)
		ck_assert(event_nth(&m, i)->view.status != NATPMP_OK ||
			  event_nth(&m, i)->view.external_port == 8080);
	ck_assert(is_up(web));
	meeting_end(&m);
}

/* --- a proxy --- */

static uint64_t slow_maps(struct meeting *m, const struct packet *request)
{
	(void)m;
	return packet_kind(request) == V2_MAP ? 8 * SECOND : 20;
}

/* A proxy asks on for what is mapped, and answers ANNOUNCE by itself. Renewals take their time,
 * too. */
START_TEST(P49_slow_answers_are_no_failure)
{
	struct meeting m;

	begin_pcp(&m);
	m.delay = slow_maps;
	m.patience = 30 * SECOND;
	struct lease *web = program_holds(&m, NATPMP_TCP, 80, 3600);
	clock_runs_until(&m, MINUTE);
	ck_assert(is_up(web));
	ck_assert_uint_eq(event_count(&m), 1);
	ck_assert_uint_eq(event_nth(&m, 0)->at, 8 * SECOND);
	ck_assert_uint_le(sent_count(&m, V2_MAP), 2);
	clock_runs_until(&m, 24 * HOUR);
	ck_assert_uint_eq(event_count(&m), 1);
	meeting_end(&m);
}

int main(void)
{
	return RUN_TESTS(
		"pcp-error", P29_not_repeated_within_its_lifetime, P29_lifetime_0_makes_no_loop,
		P28_errors_last_a_day_at_most, P28_grants_last_a_day_at_most,
		P29_new_gateway_is_asked_at_once, P29_refused_renewal,
		P30_new_mappings_wait_and_renewals_do_not,
		P30_what_waits_is_told_and_may_be_tried_again, P30_a_deletion_goes_out_meanwhile,
		P30_a_refused_deletion_silences_nothing, P30_deletion_of_nothing,
		P30_repeated_deletion, P31_nat_in_between_is_told_once, P32_port_that_is_taken,
		P32_port_that_becomes_free, P32_unknown_option_is_left_out,
		P25_success_error_success, P25_error_then_success, P25_answers_to_what_is_not_held,
		P32_success_on_another_port_is_none, P49_slow_answers_are_no_failure);
}
