/* SPDX-License-Identifier: MIT */
/*
 * Every change of a grant ends in client_settle(), which judges the lease, does the grant's next
 * action and sets its timer. The actions are those of grant_next_action():
 *
 *   ASK         a question to create it enters a lane of the gateway
 *   DELETE      a question to delete it enters a lane
 *   TAKE BACK   the question is no longer the right one: withdraw it, and decide again
 *   HURRY       its series of sends begins again
 *   FORGET      the record is freed
 *   WAIT        nothing; the timer or an answer leads here again
 */
#include "core/settle.h"

#include <stdlib.h>

/* --- records --- */

struct grant *granted_grant(struct list *node)
{
	return container_of(node, struct grant, list);
}

bool client_is_kept(const struct client *client)
{
	return client->holds || client->is_watched;
}

bool question_is_of_grant(const struct question *question)
{
	return question->message.kind == ASK_CREATE || question->message.kind == ASK_DELETE;
}

struct grant *question_grant(struct question *question)
{
	return container_of(question, struct grant, question);
}

void client_forget_grant(struct client *client, struct grant *grant)
{
	gateway_withdraw(&client->gateway, &grant->question);
	heap_remove(&client->timers, &grant->timer);
	registry_remove(&client->registry, grant);
	list_remove(&grant->list);
	free(grant);
}

struct grant *client_make_grant(struct client *client, unsigned protocol, uint16_t internal_port)
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
	grant->at_gateway.deletion_status = NATPMP_PENDING;
	registry_add(&client->registry, grant);
	return grant;
}

bool client_has_doubted(const struct client *client)
{
	return !list_is_empty(&client->granted) &&
	       grant_state(granted_grant(client->granted.next), &client->gateway) == GRANT_DOUBTED;
}

/* --- asking --- */

bool client_is_deletion_awaited(const struct client *client, const struct message *key)
{
	for (struct list *node = client->closings.next; node != &client->closings;
	     node = node->next) {
		const struct closing *closing = container_of(node, struct closing, list);
		if (closing->internal_port == key->internal_port && closing->left & key->protocol)
			return true;
	}
	return false;
}

static bool is_awaited(const struct grant *grant)
{
	return grant->wanted_by && grant->wanted_by->is_awaited;
}

bool client_is_blocked_by(const struct client *client, const struct grant *grant)
{
	if (grant->question.message.kind == ASK_DELETE)
		return client_is_deletion_awaited(client, &grant->question.message);
	return is_awaited(grant);
}

static void submit_grant(struct client *client, struct grant *grant, dialect_set dialects,
			 bool is_single, instant now)
{
	struct gateway *gateway = &client->gateway;
	struct question *question = &grant->question;

	question->is_brief = grant_is_urgent(grant, gateway);
	question->is_single = is_single;
	question->dialects = dialects;
	gateway_submit(gateway, question,
		       grant_lane(grant, gateway, client_is_blocked_by(client, grant), now),
		       grant_rank(grant, gateway, now));
	grant_on_asked(grant, gateway, now);
}

/* After a failure, the gateway may speak another dialect than before. */
static dialect_set dialects_to_create(const struct client *client, const struct grant *grant,
				      instant now)
{
	const struct speech *speech = &client->gateway.speech;

	return grant->retries.count ? speech_usable(speech, now) : speech_to_use(speech, now);
}

/* Delete it in the dialects by which the gateway may have it. If it made it in one that it did not
 * speak since, it may speak that again by now. */
static dialect_set dialects_to_delete(const struct client *client, const struct grant *grant,
				      instant now)
{
	dialect_set usable = speech_usable(&client->gateway.speech, now);

	if (!grant->question.message.internal_port)
		return ONLY_NATPMP; /* PCP has no deletion of all (RFC 6887 section 15.1) */
	dialect_set left = (usable | grant_made_in(grant)) & grant->at_gateway.possible_in;
	return left ? left : usable;
}

static void ask_to_create(struct client *client, struct grant *grant, instant now)
{
	struct message *message = &grant->question.message;
	bool is_new = !grant->external_port && !grant->retries.count;

	grant_on_turned(grant, ASK_CREATE);
	message->vpn = client->is_vpn;
	message->suggested_port = lease_suggestion(grant->wanted_by, grant, &client->gateway);
	message->lifetime = grant->wanted_by->lifetime;
	message->is_exact =
		grant->wanted_by->is_exact && !client->gateway.speech.options_are_refused;
	if (is_new)
		gateway_cut_backoff(&client->gateway);
	bool is_single = grant_is_in_force(grant, &client->gateway) &&
			 dialect_of(grant->at_gateway.made_in)->renews_by_one_send;
	submit_grant(client, grant, dialects_to_create(client, grant, now), is_single, now);
}

void client_end_closings(struct client *client, const struct grant *grant, int status)
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

void client_note_leftover(struct client *client, const struct grant *grant, int status, instant now)
{
	struct leftover *leftover = &client->leftover;

	if (!grant->at_gateway.deletion_is_owed || grant_gone_at(grant) <= now)
		return;
	if (leftover->until <= now)
		leftover->status = status;
	leftover->until = later(leftover->until, grant_gone_at(grant));
}

void client_end_deletion(struct client *client, struct grant *grant, int status, instant now)
{
	bool is_moving = grant_is_moving(grant);

	if (status && !is_moving)
		client_note_leftover(client, grant, status, now);
	client_end_closings(client, grant, status);
	grant_on_deleted(grant, status, now);
	if (is_moving && grant->wanted_by)
		grant->act_at = later(lease_asks_again_at(grant->wanted_by, grant, now),
				      grant_error_until(grant));
}

static void ask_to_delete(struct client *client, struct grant *grant, instant now)
{
	const struct message *message = &grant->question.message;

	/* A deletion of all would delete what is held by now. */
	if (!message->internal_port && client->holds) {
		client_end_deletion(client, grant, NATPMP_E_HELD, now);
	} else if (grant_gone_at(grant) <= now && !client_is_deletion_awaited(client, message)) {
		client_end_deletion(client, grant, NATPMP_OK, now); /* its lifetime has ended it */
	} else {
		grant_on_turned(grant, ASK_DELETE);
		submit_grant(client, grant, dialects_to_delete(client, grant, now), false, now);
	}
}

/* --- settling --- */

/* Do the next action for the grant. False: the record was freed. */
static bool act_on_grant(struct client *client, struct grant *grant, instant now)
{
	const struct gateway *gateway = &client->gateway;

	for (;;) {
		switch (grant_next_action(grant, gateway, is_awaited(grant), now)) {
		case GRANT_ASK:
			if (lease_lets_ask(grant->wanted_by, grant, gateway))
				ask_to_create(client, grant, now);
			return true;
		case GRANT_DELETE:
			ask_to_delete(client, grant, now);
			if (grant->question.state == QUESTION_IDLE)
				break; /* no question was needed */
			return true;
		case GRANT_TAKE_BACK:
			gateway_withdraw(&client->gateway, &grant->question);
			grant_on_taken_back(grant, now);
			break;
		case GRANT_HURRY:
			grant->question.is_brief = grant_is_urgent(grant, gateway);
			/* A single send is not repeated: RFC 6887 section 11.2.1. */
			if (gateway->reboot.recovery_at == NEVER && !grant->question.is_single)
				gateway_restart_series(&client->gateway, &grant->question, now);
			grant_on_asked(grant, gateway, now);
			return true;
		case GRANT_FORGET:
			client_end_closings(client, grant, NATPMP_OK);
			client_forget_grant(client, grant);
			return false;
		case GRANT_WAIT:
			return true;
		}
	}
}

instant client_deletion_over_at(const struct client *client, const struct grant *grant)
{
	const struct question *question = &grant->question;

	if (question->state == QUESTION_IDLE || question->message.kind != ASK_DELETE ||
	    client_is_blocked_by(client, grant))
		return NEVER;
	return grant->expiry.gateway_at;
}

static void set_timer(struct client *client, struct grant *grant)
{
	struct lease *lease = grant->wanted_by;
	instant at = earlier(grant_next_deadline(grant, &client->gateway),
			     client_deletion_over_at(client, grant));

	/* The second grant waits for the first one, not for a time. */
	if (lease && grant->question.state == QUESTION_IDLE && !grant_is_moving(grant) &&
	    !lease_lets_ask(lease, grant, &client->gateway))
		at = grant->is_granted ? grant->expiry.at : NEVER;
	if (lease && grant == lease->grants[0])
		at = earlier(at, lease_next_deadline(lease));
	if (at == NEVER)
		heap_remove(&client->timers, &grant->timer);
	else
		heap_set(&client->timers, &grant->timer, at, 0);
}

void client_note_news(struct client *client, struct lease *lease)
{
	struct lease_view view;

	if (list_is_linked(&lease->changed))
		return;
	view = lease_view(lease, &client->gateway, &client->external);
	if (lease_has_news(lease, &view))
		list_append(&client->changed, &lease->changed);
}

void client_stop_asking_for(struct client *client, struct lease *lease)
{
	if (lease->is_counted_as_caller) {
		lease->is_counted_as_caller = false;
		client_stop_asking_address(client);
	}
}

void client_settle(struct client *client, struct grant *grant, instant now)
{
	struct lease *lease = grant->wanted_by;

	/* The verdict comes first, because no caller is blocked after it. */
	if (lease && lease_judge(lease, &client->gateway, &client->external, now))
		client_note_news(client, lease);
	if (lease && lease->status != NATPMP_PENDING)
		client_stop_asking_for(client, lease);
	if (!act_on_grant(client, grant, now))
		return;
	if (!grant->is_granted)
		list_remove(&grant->list);
	set_timer(client, grant);
}

void client_settle_lease(struct client *client, struct lease *lease, instant now)
{
	for (unsigned i = 0; i < lease->count; i++)
		client_settle(client, lease->grants[i], now);
}

void client_settle_with_lease(struct client *client, struct grant *grant, instant now)
{
	if (grant->wanted_by)
		client_settle_lease(client, grant->wanted_by, now);
	else
		client_settle(client, grant, now);
}
