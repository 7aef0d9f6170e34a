/* SPDX-License-Identifier: MIT */
/*
 * A grant's record is in the registry for as long as somebody cares: a lease that wants it, a
 * deletion that is owed, or a caller that waits for its deletion. Whatever happens to a grant ends
 * in settle(), which does what grant_next_action() says, sets the timer of the grant, and lets its
 * lease judge whether it is up.
 *
 * What always holds:
 *   - one record for each (protocol, internal port), wanted by one lease at most;
 *   - a record that is granted is in client.granted, in the order of granted_at, and the doubted
 *     ones are the first of them; every other record is in client.others;
 *   - no call steps through all records, but for those that ask or tell something about each of
 *     them: a recovery, another link, another external address, the farewell.
 */
#include "core/client.h"

#include <stdlib.h>

#include "core/natpmp.h"

bool client_init(struct client *client, uint64_t seed, bool is_vpn)
{
	*client = (struct client){
		.is_vpn = is_vpn,
		.reach = NATPMP_PENDING,
		.pcp.question.message.kind = ASK_PCP,
	};
	gateway_init(&client->gateway, &natpmp_dialect, seed);
	external_init(&client->external);
	list_init(&client->granted);
	list_init(&client->others);
	list_init(&client->changed);
	list_init(&client->closings);
	return gateway_reserve(&client->gateway, 2); /* the questions that are of no grant */
}

/* --- records --- */

static struct grant *grant_of_list(struct list *node)
{
	return container_of(node, struct grant, list);
}

static bool is_of_grant(const struct question *question)
{
	return question->message.kind == ASK_CREATE || question->message.kind == ASK_DELETE;
}

static struct grant *grant_of_question(struct question *question)
{
	return container_of(question, struct grant, question);
}

static void forget_grant(struct client *client, struct grant *grant)
{
	gateway_withdraw(&client->gateway, &grant->question);
	heap_remove(&client->timers, &grant->timer);
	registry_remove(&client->registry, grant);
	list_remove(&grant->list);
	free(grant);
}

static void free_grants(struct list *list)
{
	struct list *next;

	for (struct list *node = list->next; node != list; node = next) {
		next = node->next;
		free(grant_of_list(node));
	}
}

void client_free(struct client *client)
{
	free_grants(&client->granted);
	free_grants(&client->others);
	registry_free(&client->registry);
	heap_free(&client->timers);
	gateway_free(&client->gateway);
}

/* The record of that key, made if there is none. NULL: out of memory. */
static struct grant *make_grant(struct client *client, unsigned protocol, uint16_t internal_port)
{
	struct grant *grant = registry_find(&client->registry, protocol, internal_port);
	size_t count = client->registry.count + 1;

	if (grant)
		return grant;
	if (!registry_reserve(&client->registry) || !heap_reserve(&client->timers, count) ||
	    !gateway_reserve(&client->gateway, count + 2))
		return NULL;
	grant = calloc(1, sizeof(*grant));
	if (!grant)
		return NULL;
	grant->question.message.protocol = (uint8_t)protocol;
	grant->question.message.internal_port = internal_port;
	grant->act_at = NEVER;
	registry_add(&client->registry, grant);
	list_append(&client->others, &grant->list);
	return grant;
}

/* A record that was just granted is the last of those. */
static void append_to_granted(struct client *client, struct grant *grant)
{
	list_append(&client->granted, &grant->list);
}

/* A record that is granted no more leaves those that are. Any other keeps its place, so that a
 * list can be stepped through while its records are settled. */
static void leave_granted(struct client *client, struct grant *grant)
{
	if (grant->is_granted || !grant->granted_at)
		return;
	list_append(&client->others, &grant->list);
	grant->granted_at = 0;
}

static bool is_first_doubted(const struct client *client)
{
	return !list_is_empty(&client->granted) &&
	       grant_state(grant_of_list(client->granted.next), &client->gateway) == GRANT_DOUBTED;
}

/* --- asking --- */

static bool somebody_waits_for_deletion(const struct client *client, const struct message *key)
{
	for (struct list *node = client->closings.next; node != &client->closings;
	     node = node->next) {
		const struct closing *closing = container_of(node, struct closing, list);
		if (closing->internal_port == key->internal_port && closing->left & key->protocol)
			return true;
	}
	return false;
}

static bool is_blocking(const struct client *client, const struct grant *grant)
{
	if (grant->question.message.kind == ASK_DELETE)
		return somebody_waits_for_deletion(client, &grant->question.message);
	return grant->wanted_by && grant->wanted_by->is_awaited;
}

static void submit_grant(struct client *client, struct grant *grant, instant now)
{
	struct gateway *gateway = &client->gateway;

	grant->question.is_brief = grant_is_urgent(grant, gateway);
	gateway_submit(gateway, &grant->question,
		       grant_lane(grant, gateway, is_blocking(client, grant)),
		       grant_rank(grant, gateway, now));
	grant_on_asked(grant, gateway, now);
}

static void ask_to_create(struct client *client, struct grant *grant, instant now)
{
	struct message *message = &grant->question.message;
	bool is_new = !grant->external_port && !grant->retries.count;

	question_become(&grant->question, ASK_CREATE);
	message->vpn = client->is_vpn;
	message->suggested_port = lease_suggestion(grant->wanted_by, grant, &client->gateway);
	message->lifetime = grant->wanted_by->lifetime;
	if (is_new)
		gateway_cut_backoff(&client->gateway);
	submit_grant(client, grant, now);
}

static void end_closings(struct client *client, const struct grant *grant, int status)
{
	const struct message *key = &grant->question.message;

	for (struct list *node = client->closings.next; node != &client->closings;
	     node = node->next) {
		struct closing *closing = container_of(node, struct closing, list);
		if (closing->internal_port != key->internal_port ||
		    !(closing->left & key->protocol))
			continue;
		closing->left &= (uint8_t)~key->protocol;
		if (!closing->status)
			closing->status = status;
	}
}

static void note_leftover(struct client *client, const struct grant *grant, int status,
			  instant now)
{
	struct leftover *leftover = &client->leftover;

	if (!grant->deletion_is_owed || grant->gateway_expires_at <= now)
		return;
	if (leftover->until <= now)
		leftover->status = status;
	leftover->until = later(leftover->until, grant->gateway_expires_at);
}

/* The deletion has come to an end, one way or the other. */
static void deletion_ended(struct client *client, struct grant *grant, int status, instant now)
{
	bool is_moving = grant_is_moving(grant);

	if (status && !is_moving)
		note_leftover(client, grant, status, now);
	end_closings(client, grant, status);
	grant_on_deleted(grant, status, now);
	if (is_moving && grant->wanted_by)
		grant->act_at = lease_asks_again_at(grant->wanted_by, now);
}

static void ask_to_delete(struct client *client, struct grant *grant, instant now)
{
	question_become(&grant->question, ASK_DELETE);
	/* To delete all would take along what is held by now. */
	if (!grant->question.message.internal_port && client->holds)
		deletion_ended(client, grant, NATPMP_E_HELD, now);
	else if (grant->gateway_expires_at <= now && !is_blocking(client, grant))
		deletion_ended(client, grant, NATPMP_OK, now); /* its lifetime did it */
	else
		submit_grant(client, grant, now);
}

/* --- settling --- */

/* Do what is next for the grant. False: that was to forget it. */
static bool act_on_grant(struct client *client, struct grant *grant, instant now)
{
	const struct gateway *gateway = &client->gateway;

	for (;;) {
		switch (grant_next_action(grant, gateway, now)) {
		case GRANT_ASK:
			if (lease_lets_ask(grant->wanted_by, grant, gateway))
				ask_to_create(client, grant, now);
			return true;
		case GRANT_DELETE:
			ask_to_delete(client, grant, now);
			if (grant->question.state == QUESTION_IDLE)
				break; /* there was no need to */
			return true;
		case GRANT_TAKE_BACK:
			gateway_withdraw(&client->gateway, &grant->question);
			grant_on_taken_back(grant, now);
			break;
		case GRANT_HURRY:
			grant->question.is_brief = grant_is_urgent(grant, gateway);
			if (gateway->reboot.recovery_at == NEVER)
				gateway_restart_series(&client->gateway, &grant->question,
						       gateway->dialect->renewal_gap, now);
			grant_on_asked(grant, gateway, now);
			return true;
		case GRANT_FORGET:
			end_closings(client, grant, NATPMP_OK);
			forget_grant(client, grant);
			return false;
		case GRANT_WAIT:
			return true;
		}
	}
}

static void set_timer(struct client *client, struct grant *grant)
{
	struct lease *lease = grant->wanted_by;
	instant at = grant_next_deadline(grant, &client->gateway);

	/* The second protocol waits for the first one, not for a time. */
	if (lease && grant->question.state == QUESTION_IDLE && !grant_is_moving(grant) &&
	    !lease_lets_ask(lease, grant, &client->gateway))
		at = grant->is_granted ? grant->expires_at : NEVER;
	if (lease && grant == lease->grants[0])
		at = earlier(at, lease_next_deadline(lease));
	if (at == NEVER)
		heap_remove(&client->timers, &grant->timer);
	else
		heap_set(&client->timers, &grant->timer, at, 0);
}

static void note_news(struct client *client, struct lease *lease)
{
	struct lease_view view;

	if (list_has(&lease->changed))
		return;
	view = lease_view(lease, &client->gateway, &client->external);
	if (lease_has_news(lease, &view))
		list_append(&client->changed, &lease->changed);
}

static void settle(struct client *client, struct grant *grant, instant now)
{
	struct lease *lease = grant->wanted_by;

	if (!act_on_grant(client, grant, now))
		return;
	leave_granted(client, grant);
	if (lease && lease_judge(lease, &client->gateway, &client->external, now))
		note_news(client, lease);
	set_timer(client, grant);
}

static void settle_lease(struct client *client, struct lease *lease, instant now)
{
	for (unsigned i = 0; i < lease->count; i++)
		settle(client, lease->grants[i], now);
}

/* Settle both grants of a lease, or the one that no lease wants. */
static void settle_all_of(struct client *client, struct grant *grant, instant now)
{
	if (grant->wanted_by)
		settle_lease(client, grant->wanted_by, now);
	else
		settle(client, grant, now);
}

/* --- the external address --- */

static void address_changed(struct client *client, instant now)
{
	struct list *next;

	for (struct list *node = client->granted.next; node != &client->granted; node = next) {
		struct grant *grant = grant_of_list(node);
		next = node->next;
		if (grant->wanted_by)
			settle(client, grant, now);
	}
}

/* The gateway has an external address again: try what failed for the lack of one. */
static void retry_network_failures(struct client *client, instant now)
{
	struct list *next;

	for (struct list *node = client->others.next; node != &client->others; node = next) {
		struct grant *grant = grant_of_list(node);
		next = node->next;
		if (!grant->wanted_by || grant->retries.status != NATPMP_E_NETWORK_FAILURE ||
		    grant->act_at == NEVER)
			continue;
		grant->act_at = now;
		settle(client, grant, now);
	}
}

static void address_answered(struct client *client, const struct response *response, instant now)
{
	uint32_t before = client->external.address;

	if (external_on_response(&client->external, response, client->holds, now))
		address_changed(client, now);
	if (!before && client->external.address)
		retry_network_failures(client, now);
}

static void refresh_address(struct client *client, const struct lease *lease, instant now)
{
	struct external *external = &client->external;

	if (lease->is_awaited)
		external->is_settled = false; /* the caller is told it as it is now */
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
		append_to_granted(client, grant);
		if (lease) {
			lease_on_granted(lease, grant, &client->gateway, was_up, now);
			refresh_address(client, lease, now);
		}
	}
	settle_all_of(client, grant, now);
}

static void grant_failed(struct client *client, struct grant *grant, int status, bool is_unheard,
			 instant now)
{
	grant_on_failed(grant, &client->gateway, status, is_unheard, now);
	if (grant->wanted_by)
		lease_on_failed(grant->wanted_by);
	settle_all_of(client, grant, now);
}

static void deletion_failed(struct client *client, struct grant *grant, int status,
			    bool is_unheard, instant now)
{
	bool is_last = grant->retries.count + 1 >= DELETION_TRIES;

	end_closings(client, grant, status);
	if ((!grant->deletion_is_owed && !grant_is_moving(grant)) || is_last)
		deletion_ended(client, grant, status, now);
	else
		grant_on_not_deleted(grant, status, is_unheard, now);
	settle_all_of(client, grant, now);
}

static void submit_pcp(struct client *client)
{
	gateway_submit(&client->gateway, &client->pcp.question, LANE_AT_ONCE, client->pcp.answers);
}

static void pcp_ended(struct client *client, int status)
{
	client->pcp.question.hint = 0;
	client->pcp.status = status;
	client->pcp.answers++;
}

/* The question had its turn in vain. If a caller is blocked by it, it is asked again at once. */
static bool goes_on(struct client *client, struct question *question, instant now)
{
	struct grant *grant;

	switch (question->message.kind) {
	case ASK_ADDRESS:
		if (client->external.callers)
			gateway_submit(&client->gateway, question, LANE_AT_ONCE, now);
		return client->external.callers;
	case ASK_PCP:
		if (client->pcp.callers)
			gateway_submit(&client->gateway, question, LANE_AT_ONCE, now);
		return client->pcp.callers;
	default:
		grant = grant_of_question(question);
		if (is_blocking(client, grant))
			submit_grant(client, grant, now);
		return grant->question.state != QUESTION_IDLE;
	}
}

static void question_failed(struct client *client, struct question *question, int status,
			    bool is_unheard, instant now)
{
	struct grant *grant = NULL;

	switch (question->message.kind) {
	case ASK_ADDRESS:
		if (external_on_failed(&client->external, status, client->holds, now))
			address_changed(client, now);
		return;
	case ASK_PCP:
		pcp_ended(client, status);
		return;
	case ASK_CREATE:
		grant = grant_of_question(question);
		grant_failed(client, grant, status, is_unheard, now);
		return;
	case ASK_DELETE:
		grant = grant_of_question(question);
		deletion_failed(client, grant, status, is_unheard, now);
		return;
	}
}

/* The gateway does not answer: what is only believed to be up is down. */
static void lose_doubted(struct client *client, instant now)
{
	while (gateway_is_away(&client->gateway) && is_first_doubted(client)) {
		struct grant *grant = grant_of_list(client->granted.next);
		grant_on_lost(grant, client->gateway.reach, now);
		settle(client, grant, now);
	}
}

static void put_away(struct client *client, bool is_yielding, instant now)
{
	struct gateway *gateway = &client->gateway;
	struct question *question = gateway->in_flight;
	bool is_unheard = !gateway->series.is_heard || gateway->series.was_in_vain;
	int status = gateway_put_away(gateway, now);

	if (is_unheard)
		lose_doubted(client, now);
	if (is_yielding && goes_on(client, question, now))
		return;
	/* A hold never concludes that there is no service: it goes on asking. */
	if (status == NATPMP_E_NO_SERVICE && question->lane != LANE_AT_ONCE)
		status = NATPMP_E_TIMEOUT;
	question_failed(client, question, status, is_unheard, now);
}

/* --- packets --- */

/* Does the response answer this question? "Granted" with a port or a lifetime of zero may be the
 * late confirmation of a deletion; once more, and it is what the gateway grants. */
static bool grant_matches(struct grant *grant, const struct response *response, instant now)
{
	struct question *question = &grant->question;

	if (!question_is_outstanding(question, now))
		return false;
	if (response->status != NATPMP_OK)
		return question->state != QUESTION_IDLE || !grant->is_granted;
	if (question->message.kind == ASK_DELETE)
		return response->lifetime == 0;
	if (response->lifetime && response->external_port)
		return true;
	if (question->zero_grants++)
		question->hint = NATPMP_E_BAD_ANSWER;
	return false;
}

static struct grant *find_grant(const struct client *client, const struct response *response)
{
	uint16_t port = response->internal_port;

	/* There the question names port 0, and the answer that or the external port. */
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
		return grant && grant_matches(grant, response, now) ? &grant->question : NULL;
	case RESPONSE_UNNAMED:
		return in_flight && in_flight->message.kind >= ASK_CREATE &&
				       in_flight->message.protocol == response->protocol
			       ? in_flight
			       : NULL;
	case RESPONSE_BAD_VERSION:
		/* It names no question. After PCP's it is the answer to a repetition of that, from
		 * a gateway that speaks version 0. */
		return in_flight && (in_flight->message.kind == ASK_PCP ||
				     !client->gateway.pcp_was_asked)
			       ? in_flight
			       : NULL;
	case RESPONSE_PCP_ONLY: /* after PCP's question: late, and to one of version 0 */
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
		if (response->status == NATPMP_OK)
			grant_granted(client, grant_of_question(question), response, now);
		else
			grant_failed(client, grant_of_question(question), response->status, false,
				     now);
		break;
	case ASK_DELETE:
		deletion_ended(client, grant_of_question(question), response->status, now);
		settle_all_of(client, grant_of_question(question), now);
		break;
	}
}

/* Nobody asked for it. */
static void hint_received(struct client *client, const struct response *response, instant now)
{
	bool has_news = response->kind == RESPONSE_PCP_ANNOUNCED ||
			(response->kind == RESPONSE_ADDRESS && response->status == NATPMP_OK &&
			 response->address != client->external.address);

	if (has_news && client->holds)
		external_on_hint(&client->external, now);
}

static void response_received(struct client *client, const struct response *response,
			      struct question *question, instant at_earliest, instant now)
{
	struct question *asked = client->gateway.in_flight;

	gateway_on_response(&client->gateway, at_earliest, now, response, question);
	/* It went back to its lane, and may not be the right one any more. */
	if (asked && asked->state == QUESTION_WAITING && is_of_grant(asked))
		settle(client, grant_of_question(asked), now);
	if (question)
		question_answered(client, question, response, now);
	else
		hint_received(client, response, now);
}

void client_on_packet(struct client *client, instant at_earliest, instant now,
		      const uint8_t *bytes, size_t len)
{
	struct response response = gateway_read(&client->gateway, bytes, len);

	response_received(client, &response, match_question(client, &response, now), at_earliest,
			  now);
}

void client_on_announcement(struct client *client, instant at_earliest, instant now,
			    const uint8_t *bytes, size_t len)
{
	struct response response = gateway_read(&client->gateway, bytes, len);

	/* Only these two are announcements; a map response has no business there. */
	if (response.kind == RESPONSE_ADDRESS || response.kind == RESPONSE_PCP_ANNOUNCED)
		response_received(client, &response, NULL, at_earliest, now);
}

void client_on_bounce(struct client *client, instant now, const uint8_t *bytes, size_t len,
		      int status)
{
	struct question *question = gateway_on_bounce(&client->gateway, now, bytes, len, status);

	if (!question)
		return;
	lose_doubted(client, now);
	question_failed(client, question, status, false, now);
}

/* --- the link --- */

static void lose_link(struct client *client, struct list *list, int status, instant now)
{
	struct list *next;

	for (struct list *node = list->next; node != list; node = next) {
		struct grant *grant = grant_of_list(node);
		next = node->next;
		if (!grant->wanted_by)
			continue;
		grant_on_lost(grant, status, now);
		settle(client, grant, now);
	}
}

/* On another link no old verdict counts. */
static void try_link(struct client *client, struct list *list, instant now)
{
	struct list *next;

	for (struct list *node = list->next; node != list; node = next) {
		struct grant *grant = grant_of_list(node);
		next = node->next;
		grant->retries.count = 0;
		grant->act_at = earlier(grant->act_at, now);
		settle_all_of(client, grant, now);
	}
}

void client_on_link(struct client *client, instant now, int status, uint32_t gateway_id,
		    uint32_t own_address)
{
	bool was_used_before = gateway_id && client->gateway_id == gateway_id;

	gateway_relink(&client->gateway, now, status, own_address, was_used_before);
	client->reach = client->gateway.reach;
	external_forget(&client->external);
	if (status != NATPMP_OK) {
		lose_link(client, &client->granted, status, now);
		lose_link(client, &client->others, status, now);
		return;
	}
	client->gateway_id = gateway_id;
	try_link(client, &client->others, now);
	if (client->external.callers)
		external_ask(&client->external, &client->gateway, true, now);
}

static void say_farewell(struct client *client, struct list *list, instant now,
			 client_send_fn *send, void *arg)
{
	struct gateway *gateway = &client->gateway;
	uint8_t bytes[REQUEST_MAX];
	struct list *next;

	for (struct list *node = list->next; node != list; node = next) {
		struct grant *grant = grant_of_list(node);
		struct message deletion = grant->question.message;

		next = node->next;
		if ((!grant->is_granted && !grant->is_possible) || client->is_vpn)
			continue;
		if (!deletion.internal_port)
			continue; /* what that would delete is not ours alone */
		deletion.kind = ASK_DELETE;
		send(arg, bytes, gateway->dialect->encode(&deletion, gateway->own_address, bytes));
		grant->deletion_is_owed = true;
		note_leftover(client, grant, NATPMP_E_TIMEOUT, now);
		grant->is_granted = grant->is_possible = grant->deletion_is_owed = false;
		grant->gateway_expires_at = 0;
		grant->act_at = earlier(grant->act_at, now);
		leave_granted(client, grant);
	}
}

void client_farewell(struct client *client, instant now, client_send_fn *send, void *arg)
{
	say_farewell(client, &client->others, now, send, arg);
	say_farewell(client, &client->granted, now, send, arg);
	client->gateway_id = 0;
}

/* --- time --- */

static void recover(struct client *client, instant now)
{
	struct list *next;

	gateway_recover(&client->gateway);
	client->external.is_doubted = true; /* the first that is granted asks */
	for (struct list *node = client->granted.next; node != &client->granted; node = next) {
		struct grant *grant = grant_of_list(node);
		next = node->next;
		if (grant_state(grant, &client->gateway) != GRANT_DOUBTED)
			break;
		/* A renewal that waited is less patient now. */
		if (grant->question.state == QUESTION_WAITING) {
			gateway_withdraw(&client->gateway, &grant->question);
			grant_on_taken_back(grant, now);
		}
		settle(client, grant, now);
	}
}

/* The same for what was granted on the link before this one, and was not told to be down. */
static void lose_unproved(struct client *client, instant now)
{
	struct list *next;

	for (struct list *node = client->others.next; node != &client->others; node = next) {
		struct grant *grant = grant_of_list(node);
		struct lease *lease = grant->wanted_by;
		next = node->next;
		if (!lease || lease->status != NATPMP_OK || grant->retries.status)
			continue;
		grant_on_lost(grant, client->gateway.reach, now);
		settle(client, grant, now);
	}
}

static void see_reach(struct client *client, instant now)
{
	if (client->reach == client->gateway.reach)
		return;
	client->reach = client->gateway.reach;
	if (!gateway_is_away(&client->gateway))
		return;
	lose_doubted(client, now);
	lose_unproved(client, now);
}

/* Nothing was heard for long while something is held: ask how the gateway is. One that was silent
 * when it was asked last may have rebooted meanwhile. */
static instant look_at(const struct client *client)
{
	const struct gateway *gateway = &client->gateway;

	if (!client->holds || gateway->link_status != NATPMP_OK ||
	    client->external.question.state != QUESTION_IDLE)
		return NEVER;
	return later(gateway->answered_at, client->external.asked_at) + SILENCE_MAX;
}

static void on_external_time(struct client *client, instant now)
{
	if (external_on_time(&client->external, now))
		address_changed(client, now);
	if (client->external.retry_at <= now || look_at(client) <= now)
		external_ask(&client->external, &client->gateway, false, now);
}

static void on_grant_timer(struct client *client, struct grant *grant, instant now)
{
	struct lease *lease = grant->wanted_by;

	if (lease && grant->is_granted && grant->expires_at <= now) {
		int reach = client->gateway.reach;
		int why = reach < NATPMP_OK ? reach : NATPMP_E_TIMEOUT;
		grant_on_expired(grant, grant->retries.status ? grant->retries.status : why, now);
	}
	if (lease && grant == lease->grants[0] &&
	    lease_on_time(lease, &client->gateway, &client->external, now))
		note_news(client, lease);
	settle_all_of(client, grant, now);
}

static void run_timers(struct client *client, instant now)
{
	struct heap_node *first;

	gateway_on_time(&client->gateway, now);
	see_reach(client, now);
	if (client->gateway.reboot.recovery_at <= now)
		recover(client, now);
	on_external_time(client, now);
	while ((first = heap_first(&client->timers)) && first->key <= now)
		on_grant_timer(client, container_of(first, struct grant, timer), now);
}

static void request_sent(struct client *client, struct question *question, instant now)
{
	if (!is_of_grant(question))
		return;
	grant_on_sent(grant_of_question(question), now);
	leave_granted(client, grant_of_question(question));
}

size_t client_output(struct client *client, instant now, uint8_t bytes[REQUEST_MAX])
{
	struct gateway *gateway = &client->gateway;
	size_t len;

	for (;;) {
		run_timers(client, now);
		switch (gateway_next_step(gateway, now)) {
		case GATEWAY_WAIT:
			return 0;
		case GATEWAY_SEND:
			len = gateway_send(gateway, now, bytes);
			request_sent(client, gateway->in_flight, now);
			return len;
		case GATEWAY_YIELD:
			put_away(client, true, now);
			break;
		case GATEWAY_GIVE_UP:
			put_away(client, false, now);
			break;
		}
	}
}

instant client_next_deadline(const struct client *client, instant now)
{
	const struct heap_node *first = heap_first(&client->timers);
	instant at = gateway_next_deadline(&client->gateway, now);

	if (first)
		at = earlier(at, first->key);
	if (client->reach != client->gateway.reach)
		return now;
	at = earlier(at, external_next_deadline(&client->external));
	return earlier(at, look_at(client));
}

/* --- events --- */

struct lease *client_event(struct client *client, struct lease_view *before)
{
	while (!list_is_empty(&client->changed)) {
		struct lease *lease =
			container_of(client->changed.next, struct lease, changed);
		struct lease_view view = lease_view(lease, &client->gateway, &client->external);

		list_remove(&lease->changed);
		if (!lease_has_news(lease, &view))
			continue;
		*before = lease->told;
		lease_on_told(lease, &view);
		return lease;
	}
	return NULL;
}

bool client_has_events(const struct client *client)
{
	return !list_is_empty(&client->changed);
}

int client_leftover(const struct client *client, instant now)
{
	return client->leftover.until > now ? client->leftover.status : NATPMP_OK;
}

/* --- the program --- */

bool client_is_held(const struct client *client, unsigned protocol, uint16_t internal_port)
{
	if (!internal_port && !client->is_vpn)
		return client->holds;
	for (unsigned bit = NATPMP_UDP; bit <= NATPMP_TCP; bit++) {
		const struct grant *grant =
			protocol & bit ? registry_find(&client->registry, bit, internal_port)
				       : NULL;
		if (grant && grant->wanted_by)
			return true;
	}
	return false;
}

/* The records of a lease, made if need be. False: out of memory; what was made is forgotten. */
static bool make_grants(struct client *client, struct lease *lease, unsigned protocol)
{
	for (unsigned bit = NATPMP_UDP; bit <= NATPMP_TCP; bit++) {
		if (!(protocol & bit))
			continue;
		struct grant *grant = make_grant(client, bit, lease->internal_port);
		if (!grant) {
			for (unsigned i = 0; i < lease->count; i++)
				if (!lease->grants[i]->is_granted &&
				    !lease->grants[i]->is_possible)
					forget_grant(client, lease->grants[i]);
			return false;
		}
		lease->grants[lease->count++] = grant;
	}
	return true;
}

int client_hold(struct client *client, struct lease *lease, const struct wanted *wanted,
		instant now)
{
	int link_status = client->gateway.link_status;

	if (client_is_held(client, wanted->protocol, wanted->internal_port))
		return NATPMP_E_HELD;
	lease_init(lease, wanted, now);
	if (!make_grants(client, lease, wanted->protocol))
		return NATPMP_E_NO_MEMORY;
	client->holds++;
	for (unsigned i = 0; i < lease->count; i++) {
		struct grant *grant = lease->grants[i];
		grant_on_wanted(grant, lease, lease->suggested_port, i ? NEVER : now);
		/* What an earlier lease left on another port is given back. */
		if (lease->is_exact && grant->external_port != lease->suggested_port)
			grant_on_moving(grant, lease->suggested_port, grant->act_at);
		if (link_status < NATPMP_OK)
			grant->retries.status = (int16_t)link_status;
	}
	settle_lease(client, lease, now);
	return NATPMP_OK;
}

static void end_lease(struct client *client, struct lease *lease)
{
	list_remove(&lease->changed);
	if (!--client->holds)
		external_stop(&client->external, &client->gateway);
}

void client_release(struct client *client, struct lease *lease, instant now)
{
	end_lease(client, lease);
	for (unsigned i = 0; i < lease->count; i++) {
		struct grant *grant = lease->grants[i];
		if (client->is_vpn)
			grant_on_left(grant, now);
		else
			grant_on_released(grant, now);
		settle(client, grant, now);
	}
}

void client_leave(struct client *client, struct lease *lease, instant now)
{
	end_lease(client, lease);
	for (unsigned i = 0; i < lease->count; i++) {
		struct grant *grant = lease->grants[i];
		grant_on_left(grant, now);
		settle(client, grant, now);
	}
}

void client_stop_waiting(struct lease *lease)
{
	lease->is_awaited = false;
}

void client_retry(struct client *client, struct lease *lease, instant now)
{
	gateway_cut_backoff(&client->gateway);
	for (unsigned i = 0; i < lease->count; i++) {
		struct grant *grant = lease->grants[i];
		if (grant_is_in_force(grant, &client->gateway) ||
		    grant->question.state != QUESTION_IDLE)
			continue;
		grant->retries.count = 0;
		grant->act_at = earlier(grant->act_at, now);
		settle(client, grant, now);
	}
}

int client_close(struct client *client, struct closing *closing, natpmp_protocol protocol,
		 uint16_t internal_port, instant now)
{
	*closing = (struct closing){.internal_port = internal_port};
	if (client_is_held(client, protocol, internal_port))
		return NATPMP_E_HELD;
	list_append(&client->closings, &closing->list);
	for (unsigned bit = NATPMP_UDP; bit <= NATPMP_TCP; bit++) {
		if (!(protocol & bit))
			continue;
		struct grant *grant = make_grant(client, bit, internal_port);
		if (!grant) {
			client_stop_closing(client, closing, now);
			return NATPMP_E_NO_MEMORY;
		}
		closing->left |= (uint8_t)bit;
		grant->is_possible = true; /* whoever made it */
		grant->retries = (struct retries){0};
		if (grant->question.state == QUESTION_WAITING)
			gateway_withdraw(&client->gateway, &grant->question);
		grant->act_at = now;
		settle(client, grant, now);
	}
	return NATPMP_OK;
}

void client_stop_closing(struct client *client, struct closing *closing, instant now)
{
	list_remove(&closing->list);
	for (unsigned bit = NATPMP_UDP; bit <= NATPMP_TCP; bit++) {
		struct grant *grant =
			closing->left & bit
				? registry_find(&client->registry, bit, closing->internal_port)
				: NULL;
		if (!grant || grant->wanted_by || grant->deletion_is_owed ||
		    somebody_waits_for_deletion(client, &grant->question.message))
			continue;
		grant_on_left(grant, now);
		settle(client, grant, now);
	}
}

bool client_is_empty(const struct client *client)
{
	return !client->registry.count;
}

bool client_is_closed(const struct client *client, unsigned protocol, uint16_t internal_port)
{
	for (unsigned bit = NATPMP_UDP; bit <= NATPMP_TCP; bit++) {
		const struct grant *grant =
			protocol & bit ? registry_find(&client->registry, bit, internal_port)
				       : NULL;
		if (grant && !grant->wanted_by)
			return false;
	}
	return true;
}

void client_ask_address(struct client *client, instant now)
{
	external_wait(&client->external, &client->gateway, now);
}

void client_stop_asking_address(struct client *client)
{
	external_stop_waiting(&client->external);
	if (!client->holds)
		external_stop(&client->external, &client->gateway);
}

void client_ask_pcp(struct client *client, instant now)
{
	(void)now;
	client->pcp.callers++;
	if (client->pcp.question.state == QUESTION_IDLE)
		submit_pcp(client);
}

void client_stop_asking_pcp(struct client *client)
{
	if (!--client->pcp.callers)
		gateway_withdraw(&client->gateway, &client->pcp.question);
}
