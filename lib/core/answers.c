/* SPDX-License-Identifier: MIT */
/*
 * A packet is read by the dialects, matched with the question that it answers, shown to the gateway
 * (clock, backoff), and then becomes an event of that question's owner: a grant, the external
 * address, or the question about PCP.
 *
 * An answer counts for the mapping that it names while a send for that mapping may still be
 * answered, even if another question is in flight by now. Some gateways take seconds to find a free
 * port.
 *
 * A packet that answers no question of ours is at most a hint, except an update: PCP's answers
 * about a mapping carry our nonce, so they change the grant even if nothing was asked (RFC 6887
 * section 14.2): match_question() finds none, then update_received(), mapping_updated(), and from
 * there as an answer. If the lease has news by that, client_event() tells it.
 *
 * A rejected version ends the question in that dialect alone, see version_rejected(). A deletion
 * ends in one dialect after the other, until the gateway can have the mapping in none of them: see
 * deletion_ended_in(). Copies of a deletion may still be refused when the mapping is asked for
 * again: see is_late_refusal().
 */
#include "core/answers.h"

#include "core/settle.h"

/* --- the external address --- */

void client_address_changed(struct client *client, instant now)
{
	struct list *next;

	for (struct list *node = client->granted.next; node != &client->granted; node = next) {
		struct grant *grant = granted_grant(node);
		next = node->next;
		if (grant->wanted_by)
			client_settle(client, grant, now);
	}
}

/* The gateway has an external address again: try what failed for want of one. */
static void retry_network_failures(struct client *client, instant now)
{
	struct grant *next;

	for (struct grant *grant = registry_next(&client->registry, NULL); grant; grant = next) {
		next = registry_next(&client->registry, grant);
		if (!grant->wanted_by || grant->is_granted ||
		    grant->retries.status != NATPMP_E_NETWORK_FAILURE || grant->act_at == NEVER)
			continue;
		grant->act_at = now;
		client_settle(client, grant, now);
	}
}

static void address_answered(struct client *client, const struct response *response, instant now)
{
	bool was_known = !ip_is_none(&client->external.address);

	if (external_on_response(&client->external, response, client_is_kept(client), now))
		client_address_changed(client, now);
	if (!was_known && !ip_is_none(&client->external.address))
		retry_network_failures(client, now);
}

/* A blocked caller gets an address that was asked for after all its grants were granted. Others
 * accept one that is not stale. This begins the second exchange of natpmp_map();
 * client_stop_asking_for() takes the caller out of the count after the verdict. */
static void refresh_address(struct client *client, struct lease *lease, instant now)
{
	struct external *external = &client->external;

	if (lease->grants[0]->at_gateway.made_in == DIALECT_PCP)
		return; /* it told its address */
	if (lease->is_awaited && !lease_is_in_force(lease, &client->gateway))
		return;
	if (lease->is_awaited) {
		external->is_settled = false;
		external->callers += !lease->is_counted_as_caller;
		lease->is_counted_as_caller = true;
	}
	if (external_is_stale(external, now))
		external_ask(external, &client->gateway, lease->is_awaited, now);
}

/* --- what became of a question --- */

static void grant_granted(struct client *client, struct grant *grant,
			  const struct response *response, instant now)
{
	struct lease *lease = grant->wanted_by;
	bool was_up = lease && lease->status == NATPMP_OK;

	if (grant_on_granted(grant, &client->gateway, response, now)) {
		list_append(&client->granted, &grant->list);
		if (lease) {
			lease_on_granted(lease, grant, &client->gateway, was_up, now);
			refresh_address(client, lease, now);
		}
	}
	client_settle_with_lease(client, grant, now);
}

static void grant_failed(struct client *client, struct grant *grant, int status,
			 duration retry_after, bool is_unheard, instant now)
{
	grant_on_failed(grant, &client->gateway, status, retry_after, is_unheard, now);
	if (grant->wanted_by)
		lease_on_failed(grant->wanted_by);
	client_settle_with_lease(client, grant, now);
}

/* The gateway has nothing of the grant in these dialects, or refuses to delete it there (status).
 * In another dialect it may still have it; then that one is asked next. The first failure counts.
 */
static void deletion_ended_in(struct client *client, struct grant *grant, dialect_set dialects,
			      int status, instant now)
{
	dialect_set left =
		grant->at_gateway.possible_in & (dialect_set)~dialects &
		(speech_not_refused(&client->gateway.speech, now) | grant_made_in(grant));
	bool is_all = !grant->question.message.internal_port;

	grant_note_deletion(grant, dialects, status);
	if (left && !is_all) {
		grant_on_gone_in(grant, dialects);
		grant->act_at = now;
	} else {
		client_end_deletion(client, grant, grant->at_gateway.deletion_status, now);
	}
	client_settle_with_lease(client, grant, now);
}

/* A server may say NO_RESOURCES to a deletion of what it does not have; so says miniupnpd. It is a
 * refusal only if we know that there was something to delete; but not even then does it silence us,
 * as RFC 6887 section 11.4 has it, because the gateway may have lost that unnoticed. */
static bool had_something(const struct grant *grant)
{
	bool was_sent_once = grant->question.asked_at == grant->question.last_sent;

	return grant->external_port && grant->at_gateway.made_in == DIALECT_PCP && was_sent_once;
}

static void deletion_answered(struct client *client, struct grant *grant,
			      const struct response *response, instant now)
{
	int status = response->status;

	if (response->dialect == DIALECT_PCP && status == NATPMP_E_NO_RESOURCES &&
	    !had_something(grant))
		status = NATPMP_OK;
	deletion_ended_in(client, grant, dialect_bit(response->dialect), status, now);
}

static void deletion_failed(struct client *client, struct grant *grant, int status, bool is_unheard,
			    instant now)
{
	bool is_last = grant->retries.count + 1 >= DELETION_TRIES;

	client_end_closings(client, grant, status);
	if ((!grant->at_gateway.deletion_is_owed && !grant_is_moving(grant)) || is_last)
		client_end_deletion(client, grant, status, now);
	else
		grant_on_not_deleted(grant, status, is_unheard, now);
	client_settle_with_lease(client, grant, now);
}

static void pcp_ended(struct client *client, int status)
{
	client->pcp.question.hint = 0;
	client->pcp.status = status;
	client->pcp.answers++;
}

/* The question had its turn and was not answered. If a caller is blocked by it, ask it again at
 * once and return true. */
static bool resubmit_if_blocking(struct client *client, struct question *question, instant now)
{
	struct grant *grant = NULL;
	instant rank = now + RANK_MARGIN;

	switch (question->message.kind) {
	case ASK_ADDRESS:
		if (client->external.callers)
			gateway_submit(&client->gateway, question, LANE_AT_ONCE, rank);
		return client->external.callers;
	case ASK_ANNOUNCE:
		if (client->pcp.callers)
			gateway_submit(&client->gateway, question, LANE_AT_ONCE, rank);
		return client->pcp.callers;
	case ASK_CREATE:
		grant = question_grant(question);
		if (!client_is_blocked_by(client, grant))
			return false;
		gateway_submit(&client->gateway, question, LANE_AT_ONCE, rank);
		return true;
	default: /* decide again, because a deletion of all may no longer be allowed */
		grant = question_grant(question);
		if (!client_is_blocked_by(client, grant))
			return false;
		grant->act_at = now;
		client_settle(client, grant, now);
		return true;
	}
}

static void question_failed(struct client *client, struct question *question, int status,
			    bool is_unheard, instant now)
{
	struct grant *grant = NULL;

	switch (question->message.kind) {
	case ASK_ADDRESS:
		if (external_on_failed(&client->external, status, client_is_kept(client), now))
			client_address_changed(client, now);
		/* Nothing else would notice that the gateway is back, and the backoff is delay
		 * enough. */
		if (client->is_watched && !client->holds && gateway_is_away(&client->gateway))
			client->external.retry_at = now;
		return;
	case ASK_ANNOUNCE:
		pcp_ended(client, status);
		return;
	case ASK_CREATE:
		grant = question_grant(question);
		grant->retries.result = 0;
		grant_failed(client, grant, status, 0, is_unheard, now);
		return;
	case ASK_DELETE:
		grant = question_grant(question);
		if (status == NATPMP_E_VERSION)
			deletion_ended_in(client, grant, question->dialects, status, now);
		else
			deletion_failed(client, grant, status, is_unheard, now);
		return;
	}
}

/* What is doubted will not be asked for soon, and status says why. */
static void lose_doubted(struct client *client, int status, instant now)
{
	while (client_has_doubted(client)) {
		struct grant *grant = granted_grant(client->granted.next);
		grant_on_lost(grant, status, now);
		client_settle(client, grant, now);
	}
}

void client_lose_doubted(struct client *client, instant now)
{
	if (gateway_is_away(&client->gateway))
		lose_doubted(client, client->gateway.reach, now);
}

void client_put_away(struct client *client, bool is_yielding, instant now)
{
	struct gateway *gateway = &client->gateway;
	struct question *question = gateway->in_flight;
	bool was_in_vain = gateway->series.was_in_vain;
	int status = gateway_put_away(gateway, now);
	bool is_unheard = gateway->reach != NATPMP_OK || was_in_vain;

	if (is_unheard)
		client_lose_doubted(client, now);
	bool is_unspoken = status == NATPMP_E_VERSION;
	if (is_yielding && !is_unspoken && resubmit_if_blocking(client, question, now))
		return;
	/* Silence is no rejection; only a deletion ends by it, for there is nothing to delete. */
	if (is_unspoken && question->message.kind != ASK_DELETE)
		status = NATPMP_E_TIMEOUT;
	/* A hold never concludes that there is no service, because it goes on asking. */
	if (status == NATPMP_E_NO_SERVICE && question->lane != LANE_AT_ONCE)
		status = NATPMP_E_TIMEOUT;
	question_failed(client, question, status, is_unheard, now);
}

/* --- packets --- */

/* A success, but with port or lifetime 0: to a deletion that is its answer. */
static bool is_zero_grant(const struct response *response)
{
	return response->status == NATPMP_OK && !(response->lifetime && response->external_port);
}

/* It was deleted and is asked for again: so many times NO_RESOURCES may be miniupnpd's answer to a
 * copy of the deletion, for nothing was left to delete. What is asked gets another answer. */
static bool is_late_refusal(const struct grant *grant, const struct response *response)
{
	return grant->at_gateway.deletions && response->dialect == DIALECT_PCP &&
	       response->status == NATPMP_E_NO_RESOURCES &&
	       grant->question.message.kind == ASK_CREATE;
}

/* Does the response answer the question about this grant, which is outstanding? */
static bool grant_matches(const struct grant *grant, const struct response *response)
{
	const struct question *question = &grant->question;

	if (is_late_refusal(grant, response))
		return false;
	if (response->status != NATPMP_OK)
		return question->state != QUESTION_IDLE || !grant->is_granted;
	if (question->message.kind != ASK_DELETE)
		return !is_zero_grant(response);
	/* In PCP a deletion may leave a lifetime (RFC 6887 section 15). The first such answer may
	 * be a late one to an earlier question. */
	return response->lifetime == 0 ||
	       (response->dialect == DIALECT_PCP && question->zero_grants && !question->is_noted);
}

/* Copies of PCP's update are no answer to a deletion: at most one counts for each send. */
static void note_zero_grant(struct question *question)
{
	bool is_deletion = question->message.kind == ASK_DELETE;
	bool is_first = !question->zero_grants;

	if ((is_deletion && question->is_noted) || question->zero_grants == UINT8_MAX)
		return;
	question->is_noted = true;
	question->zero_grants++;
	if (!is_first && !is_deletion)
		question->hint = NATPMP_E_BAD_ANSWER;
}

/* The question about this grant is outstanding. A zero grant may be the late answer to a deletion;
 * only a second one is noted as a bad answer. */
static struct question *match_mapping(struct grant *grant, const struct response *response)
{
	struct question *question = &grant->question;
	bool is_deletion = question->message.kind == ASK_DELETE;
	bool is_match = grant_matches(grant, response);

	if (response->status == NATPMP_OK && is_zero_grant(response) != is_deletion)
		note_zero_grant(question);
	return is_match ? question : NULL;
}

/* It was sent in that dialect, and an answer may still come. */
static bool may_answer(const struct question *question, const struct response *response,
		       instant now)
{
	return question->sent_in & dialect_bit(response->dialect) &&
	       question_is_outstanding(question, now);
}

static struct question *match_address(struct client *client, const struct response *response,
				      instant now)
{
	struct question *in_flight = client->gateway.in_flight;

	if (in_flight && in_flight->message.kind == ASK_ANNOUNCE &&
	    response->dialect == DIALECT_PCP)
		return in_flight;
	return may_answer(&client->external.question, response, now) ? &client->external.question
								     : NULL;
}

static struct grant *find_grant(const struct client *client, const struct response *response)
{
	uint16_t port = response->internal_port;

	/* With vpn_ports the question names port 0, and the answer names port 0 or the external
	 * port. */
	if (client->is_vpn && (port == response->external_port || !port)) {
		struct grant *grant = registry_find(&client->registry, response->protocol, 0);
		if (grant)
			return grant;
	}
	return registry_find(&client->registry, response->protocol, port);
}

/* Which question does the response answer? NULL: none of ours. */
static struct question *match_question(struct client *client, const struct response *response,
				       instant now)
{
	struct question *in_flight = client->gateway.in_flight;
	struct grant *grant;

	switch (response->kind) {
	case RESPONSE_ADDRESS:
		return match_address(client, response, now);
	case RESPONSE_MAPPING:
		grant = find_grant(client, response);
		return grant && may_answer(&grant->question, response, now)
			       ? match_mapping(grant, response)
			       : NULL;
	case RESPONSE_UNNAMED:
		return in_flight && question_is_of_grant(in_flight) &&
				       in_flight->message.protocol == response->protocol &&
				       may_answer(in_flight, response, now)
			       ? in_flight
			       : NULL;
	case RESPONSE_BAD_VERSION: /* see version_rejected() */
	case RESPONSE_JUNK:
		break;
	}
	return NULL;
}

static void creation_answered(struct client *client, struct grant *grant,
			      const struct response *response, instant now)
{
	struct speech *speech = &client->gateway.speech;
	bool is_short =
		response->status == NATPMP_E_NO_RESOURCES || response->status == NATPMP_E_QUOTA;

	grant->retries.result = response->result;
	if (response->status == NATPMP_OK) {
		grant_granted(client, grant, response, now);
		return;
	}
	/* RFC 6887 section 11.4: no question for another new mapping in that time. */
	if (is_short && response->retry_after) {
		gateway_on_shortage(&client->gateway, now + response->retry_after);
		lose_doubted(client, response->status, now);
	}
	if (response->status == NATPMP_E_OPTION && grant->question.message.is_exact) {
		/* We can do without: we look which port was given. */
		speech->options_are_refused = true;
		grant->act_at = now;
		client_settle_with_lease(client, grant, now);
		return;
	}
	grant_failed(client, grant, response->status, response->retry_after, false, now);
}

/* The gateway changed the mapping by itself. An open question about it is answered by that. */
static void mapping_updated(struct client *client, struct grant *grant,
			    const struct response *response, instant now)
{
	struct question *question = &grant->question;
	instant asked_at = question->asked_at;

	gateway_withdraw(&client->gateway, question);
	if (response->status == NATPMP_OK)
		question->asked_at = now; /* its lifetime begins now */
	creation_answered(client, grant, response, now);
	question->asked_at = asked_at; /* what was sent in NAT-PMP may still be answered */
}

static void question_answered(struct client *client, struct question *question,
			      const struct response *response, instant now)
{
	switch (question->message.kind) {
	case ASK_ADDRESS:
		address_answered(client, response, now);
		break;
	case ASK_ANNOUNCE:
		pcp_ended(client, response->status);
		break;
	case ASK_CREATE:
		creation_answered(client, question_grant(question), response, now);
		break;
	case ASK_DELETE:
		deletion_answered(client, question_grant(question), response, now);
		break;
	}
}

/* The question that was in flight went back to its lane, and may no longer be the right one. */
static void settle_if_put_back(struct client *client, struct question *asked, instant now)
{
	if (asked && asked->state == QUESTION_WAITING && question_is_of_grant(asked))
		client_settle(client, question_grant(asked), now);
}

/* The gateway speaks another version. If we have no other dialect for the question, it failed. */
static void version_rejected(struct client *client, const struct response *response,
			     instant at_earliest, instant now)
{
	struct question *asked = client->gateway.in_flight;
	dialect_set rejected;
	struct question *question =
		gateway_on_rejected(&client->gateway, at_earliest, now, response, &rejected);

	if (!rejected)
		gateway_on_response(&client->gateway, at_earliest, now, response, NULL);
	else if (question_is_of_grant(asked))
		grant_on_rejected(question_grant(asked), rejected);
	settle_if_put_back(client, asked, now);
	if (!question)
		return;
	if (question->message.kind == ASK_CREATE) {
		question_grant(question)->retries.result = response->result;
		grant_failed(client, question_grant(question), NATPMP_E_VERSION,
			     response->retry_after, false, now);
	} else {
		question_failed(client, question, NATPMP_E_VERSION, false, now);
	}
}

/* The mapping was made in PCP; or it was refused, and now there is a success after all (RFC 6887
 * section 8.3). Without a refusal, it may be the late answer to what an earlier lease asked for,
 * and is deleted since. */
static bool may_be_updated(const struct grant *grant, const struct response *response)
{
	if (grant->at_gateway.deletions && !grant->is_granted)
		return false; /* it is of before the deletion */
	if (grant->external_port && grant->at_gateway.made_in == DIALECT_PCP)
		return true;
	return response->status == NATPMP_OK && !grant->is_granted && grant->retries.result &&
	       grant->question.sent_in & ONLY_PCP;
}

/* PCP says something about a mapping, and we did not ask, or were answered before: another of
 * several answers to one question, or an update (RFC 6887 sections 8.3 and 14.2). The nonce shows
 * that it is from the gateway. A repetition changes nothing. */
static void update_received(struct client *client, const struct response *response, instant now)
{
	struct grant *grant = find_grant(client, response);
	bool is_same;

	if (!grant)
		return;
	if (is_late_refusal(grant, response)) {
		grant->at_gateway.deletions--;
		return;
	}
	if (response->status == NATPMP_OK && response->lifetime)
		grant_on_granted_too(grant, response, now);
	if (response->dialect != DIALECT_PCP)
		return;
	if (!grant->wanted_by || grant->question.message.kind != ASK_CREATE ||
	    !may_be_updated(grant, response))
		return;
	is_same = response->external_port == grant->external_port &&
		  ip_is_equal(&response->address, &grant->question.message.suggested_address);
	if (response->status != NATPMP_OK || !(is_zero_grant(response) || is_same))
		mapping_updated(client, grant, response, now);
}

/* The response answers no question of ours. */
static void hint_received(struct client *client, const struct response *response, instant now)
{
	bool is_announcement = response->kind == RESPONSE_ADDRESS && response->status == NATPMP_OK;
	bool has_news = response->dialect == DIALECT_PCP ||
			!ip_is_equal(&response->address, &client->external.address);

	speech_on_hint(&client->gateway.speech, response->dialect);
	if (response->kind == RESPONSE_MAPPING)
		update_received(client, response, now);
	else if (is_announcement && has_news && client_is_kept(client))
		external_on_hint(&client->external, now);
}

static void response_received(struct client *client, const struct response *response,
			      struct question *question, instant at_earliest, instant now)
{
	struct question *asked = client->gateway.in_flight;

	if (response->kind == RESPONSE_JUNK)
		return;
	gateway_on_response(&client->gateway, at_earliest, now, response, question);
	settle_if_put_back(client, asked, now);
	if (question)
		question_answered(client, question, response, now);
	else
		hint_received(client, response, now);
}

void client_on_packet(struct client *client, instant at_earliest, instant now, const uint8_t *bytes,
		      size_t len)
{
	struct response response = gateway_read(&client->gateway, bytes, len);

	if (response.kind == RESPONSE_BAD_VERSION)
		version_rejected(client, &response, at_earliest, now);
	else
		response_received(client, &response, match_question(client, &response, now),
				  at_earliest, now);
}

void client_on_announcement(struct client *client, instant at_earliest, instant now,
			    const uint8_t *bytes, size_t len, bool is_from_port)
{
	struct response response = gateway_read(&client->gateway, bytes, len);
	bool is_pcp = response.dialect == DIALECT_PCP;

	/* Anything else that is sent there is ignored. PCP's announcements never tell an error, and
	 * come from the gateway's port (RFC 6887 section 14.1.3). */
	if (response.kind != RESPONSE_ADDRESS ||
	    (is_pcp && (response.status != NATPMP_OK || !is_from_port)))
		return;
	response_received(client, &response, NULL, at_earliest, now);
}

void client_on_bounce(struct client *client, instant now, const uint8_t *bytes, size_t len,
		      int status)
{
	struct question *question = gateway_on_bounce(&client->gateway, now, bytes, len, status);

	if (!question)
		return;
	client_lose_doubted(client, now);
	question_failed(client, question, status, false, now);
}
