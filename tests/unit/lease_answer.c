/* SPDX-License-Identifier: MIT */
/* Whose answer is that? RFC 6886 section 3.5: opcode and internal port tell, nothing else. */
#include "story.h"
#include "suite.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

START_TEST(N15_opcode_is_the_requests)
{
	struct story s;

	story_begin(&s);
	struct lease *dns = program_holds(&s, NATPMP_UDP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_UDP, 80, 80, 7200);
	gateway_says(&s, "00 82 00 00 ## ## ## ## 00 50 00 50 00 00 1c 20");
	gateway_says(&s, "00 82 00 02 ## ## ## ## 00 50 00 00 00 00 00 00");
	gateway_says(&s, "00 82 00 02 ## ## ## ##");
	gateway_says(&s, "00 82 00 05");
	ck_assert(!lease_is_granted(dns));
	ck_assert_int_eq(dns->status, NATPMP_PENDING);
	gateway_says(&s, "00 81 00 00 ## ## ## ## 00 50 00 50 00 00 1c 20");
	client_asks_address(&s, 0);
	gateway_tells_address(&s, ADDRESS);
	lease_comes_up(&s, 0, dns, 80);
	story_end(&s);
}

/* An answer that is late completes the mapping that it names, and never another one. */
START_TEST(N16_late_answers_to_earlier_requests)
{
	static const uint16_t results[] = {2, 3, 4, 9};
	struct story s;

	story_begin(&s);
	s.patience = 20 * SECOND;
	struct lease *one = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	struct sent first = s.sent[s.sent_told - 1];
	struct lease *two = program_holds(&s, NATPMP_TCP, 81, 0, 7200);
	client_repeats(&s, 4);
	client_asks(&s, 7750, NATPMP_TCP, 81, 81, 7200);
	struct sent second = s.sent[s.sent_told - 1];
	gateway_answers(&s, &first, 2, 0, 0);
	lease_goes_down(&s, 7750, one, NATPMP_E_NOT_AUTHORIZED);
	for (size_t i = 0; i < COUNT(results); i++)
		gateway_answers(&s, &first, results[i], 0, 0);
	ck_assert_int_eq(two->status, NATPMP_PENDING);
	client_repeats(&s, 1); /* goes on */
	gateway_answers(&s, &second, 0, 81, 7200);
	client_asks_address(&s, 8000);
	gateway_tells_address(&s, ADDRESS);
	lease_comes_up(&s, 8000, two, 81);
	gateway_answers(&s, &second, 4, 0, 0); /* a duplicate that says something else */
	nothing_happens_until(&s, 30 * SECOND);
	story_end(&s);
}

/* There is no transaction id; but success with lifetime 0 is one of a deletion only. */
START_TEST(N16_answers_to_creation_and_deletion_are_told_apart)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	gateway_confirms(&s); /* of a deletion before */
	ck_assert(!lease_is_granted(web));
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, 0);
	gateway_tells_address(&s, ADDRESS);
	lease_comes_up(&s, 0, web, 80);
	program_releases(&s, web);
	client_deletes(&s, 0, NATPMP_TCP, 80);
	gateway_grants(&s, 80, 7200); /* of the creation, again */
	ck_assert(!mapping_is_closed(&s, NATPMP_TCP, 80));
	gateway_confirms(&s);
	ck_assert(mapping_is_closed(&s, NATPMP_TCP, 80));
	story_end(&s);
}

/* A deletion was sent twice and is confirmed twice; the second one answers nothing. */
START_TEST(N23_a_late_confirmation_is_no_bad_answer)
{
	struct story s;

	story_begin(&s);
	program_releases(&s, lease_is_up(&s, NATPMP_TCP, 80, 7200));
	client_deletes(&s, 0, NATPMP_TCP, 80);
	struct sent deletion = s.sent[s.sent_told - 1];
	client_repeats(&s, 1);
	gateway_answers(&s, &deletion, 0, 0, 0);
	ck_assert(mapping_is_closed(&s, NATPMP_TCP, 80));
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 250, NATPMP_TCP, 80, 80, 7200);
	gateway_answers(&s, &deletion, 0, 0, 0);
	client_repeats(&s, 4);
	lease_goes_down(&s, 250 + 7750, web, NATPMP_E_TIMEOUT);
	gateway_answers(&s, &s.sent[s.sent_told - 1], 0, 80, 7200);
	lease_comes_up(&s, 250 + 7750, web, 80);
	story_skip(&s);
	story_end(&s);
}

START_TEST(N19_result_codes)
{
	static const struct {
		uint16_t result;
		int status;
	} table[] = {
		{2, NATPMP_E_NOT_AUTHORIZED}, {3, NATPMP_E_NETWORK_FAILURE},
		{4, NATPMP_E_NO_RESOURCES},   {6, NATPMP_E_RESULT},
		{255, NATPMP_E_RESULT},       {256, NATPMP_E_RESULT},
		{257, NATPMP_E_RESULT},       {65535, NATPMP_E_RESULT},
		{1, NATPMP_E_VERSION},        {5, NATPMP_E_OPCODE},
	};
	struct story s;

	story_begin(&s);
	for (size_t i = 0; i < COUNT(table); i++) {
		struct lease *web = program_maps(&s, NATPMP_TCP, 80, 0, 7200);
		client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
		gateway_refuses(&s, table[i].result);
		ck_assert_int_eq(web->status, table[i].status);
		ck_assert_int_eq(s.client.gateway.reach, NATPMP_OK);
		program_leaves(&s, web);
	}
	story_end(&s);
}

START_TEST(N18_error_fields_do_not_leak)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	gateway_says(&s, "00 82 00 02 ## ## ## ## 00 50 c8 22 00 00 1c 20");
	struct event down = lease_goes_down(&s, 0, web, NATPMP_E_NOT_AUTHORIZED);
	ck_assert_uint_eq(down.now.external_port, 0);
	ck_assert_uint_eq(down.now.lifetime, 0);
	ck_assert_uint_eq(web->grants[0]->external_port, 0);
	story_end(&s);
}

/* Refusals that do not name their port are those of the question in flight, if the opcode fits: an
 * unsupported opcode, and what some servers cut short. */
START_TEST(N59_short_refusals_end_the_question_in_flight)
{
	static const struct {
		const char *hex;
		int status;
	} table[] = {
		{"00 82 00 02 ## ## ## ##", NATPMP_E_NOT_AUTHORIZED},
		{"00 82 00 04", NATPMP_E_NO_RESOURCES},
		{"00 82 00 05", NATPMP_E_OPCODE},
		{"00 82 00 05 1f 90 1f 90 00 00 1c 20", NATPMP_E_OPCODE},
		{"00 82 00 03 1f 90 00 00 00 00 00 00", NATPMP_E_NETWORK_FAILURE},
		{"00 82 00 03 1f 90 1f 90 00 00 1c 20", NATPMP_E_NETWORK_FAILURE},
	};

	for (size_t i = 0; i < COUNT(table); i++) {
		struct story s;

		story_begin(&s);
		gateway_says(&s, table[i].hex); /* to nothing */
		struct lease *web = program_holds(&s, NATPMP_TCP, 8080, 0, 7200);
		client_asks(&s, 0, NATPMP_TCP, 8080, 8080, 7200);
		gateway_says(&s, "00 81 00 04"); /* to UDP */
		gateway_says(&s, "00 80 00 03");
		gateway_says(&s, "00 82 00 03 1f 91 00 00 00 00 00 00"); /* to another port */
		ck_assert_int_eq(web->status, NATPMP_PENDING);
		gateway_says(&s, table[i].hex);
		lease_goes_down(&s, 0, web, table[i].status);
		gateway_says(&s, table[i].hex); /* to nothing again */
		program_releases(&s, web);
		story_end(&s);
	}
}

/* One that comes once more, when nothing is asked: its bytes are no clock. */
START_TEST(N59_late_refusals_show_no_restart)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 7200);
	gateway_says(&s, "00 82 00 03 1f 90 00 00 00 00 00 00");
	gateway_says(&s, "00 82 00 04");
	gateway_says(&s, "00 82 00 04 ## ## ## ##");
	nothing_happens_until(&s, HOUR - 1);
	story_end(&s);
}

START_TEST(N16_answers_without_a_port)
{
	static const char *const versions[] = {
		"00 80 00 01 ## ## ## ##",
		"00 00 00 01 ## ## ## ##",
		"00 81 00 01 ## ## ## ##",
		"02 82 00 01 00 00 07 08 00 00 02 2b",
		"02 80 00 01 00 00 07 08 00 00 02 2b 00 00 00 00 00 00 00 00 00 00 00 00",
	};
	struct story s;

	story_begin(&s);
	for (size_t i = 0; i < COUNT(versions); i++) {
		struct lease *web = program_maps(&s, NATPMP_TCP, 80, 0, 7200);
		client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
		gateway_says(&s, versions[i]);
		ck_assert_int_eq(web->status, NATPMP_E_VERSION);
		program_leaves(&s, web);
		gateway_says(&s, versions[i]); /* to nothing */
	}
	nothing_happens_until(&s, HOUR);
	story_end(&s);
}

START_TEST(N20_prefixes_of_a_good_answer_then_the_answer)
{
	uint8_t bytes[16];
	struct story s;

	story_begin(&s);
	struct lease *web = program_maps(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	from_hex("00 82 00 00 00 01 51 82 00 50 c8 22 00 00 1c 20", 0, bytes, sizeof(bytes));
	for (size_t len = 0; len < 16; len++) {
		client_on_packet(&s.client, story_now(&s), story_now(&s), bytes, len);
		ck_assert(!lease_is_granted(web));
		ck_assert(!s.client.gateway.clocks.last[DIALECT_NATPMP].is_known);
	}
	client_on_packet(&s.client, story_now(&s), story_now(&s), bytes, 16);
	ck_assert(lease_is_granted(web));
	client_asks_address(&s, 0);
	story_end(&s);
}

/* None of these ends a question, or is looked at for its clock. */
START_TEST(N52_only_address_answers_are_announcements)
{
	static const char *const others[] = {
		"00 82 00 00 00 00 00 05 00 50 00 50 00 00 1c 20",
		"00 82 00 04 00 00 00 05 00 50 00 00 00 00 00 00",
		"00 82 00 05 00 00 00 05",
		"00 82 00 02",
		"00 80 00 01 00 00 00 05",
		"00 83 00 05 00 00 00 05",
		"02 82 00 01 00 00 07 08 00 00 02 2b",
	};
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_UDP, 53, 7200);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	instant forgot_at = s.client.gateway.reboot.forgot_at;
	for (size_t i = 0; i < COUNT(others); i++)
		gateway_announces(&s, others[i]);
	ck_assert_int_eq(web->status, NATPMP_PENDING);
	ck_assert_uint_eq(s.client.gateway.reboot.forgot_at, forgot_at);
	client_repeats(&s, 1);
	gateway_grants(&s, 80, 7200);
	lease_comes_up(&s, 250, web, 80);
	nothing_happens_until(&s, HOUR - 1);
	story_end(&s);
}

/* --- is PCP spoken? --- */

#define PCP_IS_SPOKEN "02 80 00 00 00 00 00 00 00 00 00 3f 00 00 00 00 00 00 00 00 00 00 00 00"

static void program_asks_pcp(struct story *s)
{
	client_ask_pcp(&s->client, story_now(s));
	struct sent sent = client_sends_something(s);
	ck_assert_uint_eq(sent.len, 24);
	ck_assert_uint_eq(sent.bytes[0], 2);
	ck_assert_mem_eq(sent.bytes + 20, "\xc0\xa8\x01\x0a", 4);
}

START_TEST(pcp_question_is_answered_by_pcp_only)
{
	static const struct {
		const char *hex;
		int status;
	} answers[] = {
		{PCP_IS_SPOKEN, NATPMP_OK},
		{"00 80 00 01 ## ## ## ##", NATPMP_E_VERSION},
		{"00 00 00 01 ## ## ## ##", NATPMP_E_VERSION},
	};
	struct story s;

	story_begin(&s);
	for (unsigned i = 0; i < COUNT(answers); i++) {
		program_asks_pcp(&s);
		gateway_says(&s, "00 80 00 00 ## ## ## ## cb 00 71 05");
		gateway_says(&s, "00 82 00 00 ## ## ## ## 00 50 00 50 00 00 1c 20");
		ck_assert_uint_eq(s.client.pcp.answers, i);
		gateway_says(&s, answers[i].hex);
		ck_assert_uint_eq(s.client.pcp.answers, i + 1);
		ck_assert_int_eq(s.client.pcp.status, answers[i].status);
		client_stop_asking_pcp(&s.client);
	}
	story_end(&s);
}

int main(void)
{
	return RUN_TESTS(
		"lease-answer", N15_opcode_is_the_requests, N16_late_answers_to_earlier_requests,
		N16_answers_to_creation_and_deletion_are_told_apart,
		N23_a_late_confirmation_is_no_bad_answer, N19_result_codes,
		N18_error_fields_do_not_leak, N59_short_refusals_end_the_question_in_flight,
		N59_late_refusals_show_no_restart, N16_answers_without_a_port,
		N20_prefixes_of_a_good_answer_then_the_answer,
		N52_only_address_answers_are_announcements, pcp_question_is_answered_by_pcp_only);
}
