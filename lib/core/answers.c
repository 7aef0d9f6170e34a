/* SPDX-License-Identifier: MIT */
/*
 * A packet is read by the dialect, matched with the question that it answers, shown to the gateway
 * (clock, backoff), and then becomes an event of that question's owner: a grant, the external
 * address, or the question about PCP. A packet that answers no question of ours is at most a hint.
 *
 * An answer counts for the mapping that it names while a send for that mapping may still be
 * answered, even if another question is in flight by now. Some gateways take seconds to find a free
 * port.
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

static void grant_failed(struct client *client, struct grant *grant, int status, bool is_unheard,
			 instant now)
{
	grant_on_failed(grant, &client->gateway, status, is_unheard, now);
	if (grant->wanted_by)
		lease_on_failed(grant->wanted_by);
	client_settle_with_lease(client, grant, now);
}

static void deletion_failed(struct client *client, struct grant *grant, int status, bool is_unheard,
			    instant now)
{
	bool is_last = grant->retries.count + 1 >= DELETION_TRIES;

	client_end_closings(client, grant, status);
	if ((!grant->deletion_is_owed && !grant_is_moving(grant)) || is_last)
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
	case ASK_PCP:
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
	case ASK_PCP:
		pcp_ended(client, status);
		return;
	case ASK_CREATE:
		grant = question_grant(question);
		grant->retries.result = 0;
		grant_failed(client, grant, status, is_unheard, now);
		return;
	case ASK_DELETE:
		grant = question_grant(question);
		deletion_failed(client, grant, status, is_unheard, now);
		return;
	}
}

void client_lose_doubted(struct client *client, instant now)
{
	while (gateway_is_away(&client->gateway) && client_has_doubted(client)) {
		struct grant *grant = granted_grant(client->granted.next);
		grant_on_lost(grant, client->gateway.reach, now);
		client_settle(client, grant, now);
	}
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
	if (is_yielding && resubmit_if_blocking(client, question, now))
		return;
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

/* Does the response answer the question about this grant, which is outstanding? */
static bool grant_matches(const struct grant *grant, const struct response *response)
{
	const struct question *question = &grant->question;

	if (response->status != NATPMP_OK)
		return question->state != QUESTION_IDLE || !grant->is_granted;
	if (question->message.kind == ASK_DELETE)
		return response->lifetime == 0;
	return !is_zero_grant(response);
}

/* The question about this grant is outstanding. A zero grant may be the late answer to a deletion;
 * only a second one is noted as a bad answer. */
static struct question *match_mapping(struct grant *grant, const struct response *response)
{
	struct question *question = &grant->question;

	if (question->message.kind != ASK_DELETE && is_zero_grant(response) &&
	    question->zero_grants++)
		question->hint = NATPMP_E_BAD_ANSWER;
	return grant_matches(grant, response) ? question : NULL;
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
		return question_is_outstanding(&client->external.question, now)
			       ? &client->external.question
			       : NULL;
	case RESPONSE_MAPPING:
		grant = find_grant(client, response);
		return grant && question_is_outstanding(&grant->question, now)
			       ? match_mapping(grant, response)
			       : NULL;
	case RESPONSE_UNNAMED:
		return in_flight && in_flight->message.kind >= ASK_CREATE &&
				       in_flight->message.protocol == response->protocol
			       ? in_flight
			       : NULL;
	case RESPONSE_BAD_VERSION:
		/* This response names no question. Once PCP was asked about, only that question
		 * gets it, from a gateway that speaks version 0 alone. */
		return in_flight && (in_flight->message.kind == ASK_PCP ||
				     !client->gateway.pcp_was_asked)
			       ? in_flight
			       : NULL;
	case RESPONSE_PCP_ONLY: /* else: late, to a request of version 0 */
		return in_flight && in_flight->message.kind != ASK_PCP ? in_flight : NULL;
	case RESPONSE_PCP_ANNOUNCED:
		return in_flight && in_flight->message.kind == ASK_PCP ? in_flight : NULL;
	case RESPONSE_JUNK:
		break;
	}
	return NULL;
}

static void question_answered(struct client *client, struct question *question,
			      const struct response *response, instant now)
{
	switch (question->message.kind) {
	case ASK_ADDRESS:
		address_answered(client, response, now);
		break;
	case ASK_PCP:
		pcp_ended(client, response->status);
		break;
	case ASK_CREATE:
		question_grant(question)->retries.result = response->result;
		if (response->status == NATPMP_OK)
			grant_granted(client, question_grant(question), response, now);
		else
			grant_failed(client, question_grant(question), response->status, false,
				     now);
		break;
	case ASK_DELETE:
		client_end_deletion(client, question_grant(question), response->status, now);
		client_settle_with_lease(client, question_grant(question), now);
		break;
	}
}

/* The response answers no question of ours. */
static void hint_received(struct client *client, const struct response *response, instant now)
{
	bool has_news = response->kind == RESPONSE_PCP_ANNOUNCED ||
			(response->kind == RESPONSE_ADDRESS && response->status == NATPMP_OK &&
			 !ip_is_equal(&response->address, &client->external.address));

	if (has_news && client_is_kept(client))
		external_on_hint(&client->external, now);
}

static void response_received(struct client *client, const struct response *response,
			      struct question *question, instant at_earliest, instant now)
{
	struct question *asked = client->gateway.in_flight;

	gateway_on_response(&client->gateway, at_earliest, now, response, question);
	/* The question in flight went back to its lane, and may no longer be the right one. */
	if (asked && asked->state == QUESTION_WAITING && question_is_of_grant(asked))
		client_settle(client, question_grant(asked), now);
	if (question)
		question_answered(client, question, response, now);
	else
		hint_received(client, response, now);
}

void client_on_packet(struct client *client, instant at_earliest, instant now, const uint8_t *bytes,
		      size_t len)
{
	struct response response = gateway_read(&client->gateway, bytes, len);

	response_received(client, &response, match_question(client, &response, now), at_earliest,
			  now);
}

void client_on_announcement(struct client *client, instant at_earliest, instant now,
			    const uint8_t *bytes, size_t len)
{
	struct response response = gateway_read(&client->gateway, bytes, len);

	/* Only these two kinds are announcements; anything else sent there is ignored. */
	if (response.kind == RESPONSE_ADDRESS || response.kind == RESPONSE_PCP_ANNOUNCED)
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
