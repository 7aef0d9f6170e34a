/* SPDX-License-Identifier: MIT */
/*
 * This file handles the program's calls, the link and the time. answers.c handles packets, and
 * settle.c does what then follows for a grant.
 *
 * A grant's record stays in the registry while a lease wants it, a deletion is owed, or a caller
 * waits for its deletion. Every change of a grant ends in client_settle().
 *
 * Invariants:
 *   - one record for each (protocol, internal port), wanted by one lease at most;
 *   - every granted record is in client.granted, in the order of granted_at: doubted ones first;
 *   - no call steps through all records, except where each of them may be concerned: a recovery,
 *     a gateway that went silent or is short of mappings, another link, another external address,
 *     the farewell, the end of all leases.
 */
#include "core/client.h"

#include <stdlib.h>

#include "core/answers.h"
#include "core/settle.h"
#include "core/status.h"

bool client_init(struct client *client, const struct client_options *options)
{
	*client = (struct client){
		.is_vpn = options->is_vpn,
		.reach = NATPMP_PENDING,
		.pcp.question.message.kind = ASK_ANNOUNCE,
	};
	gateway_init(&client->gateway, options->dialects, options->secret, options->seed);
	external_init(&client->external);
	list_init(&client->granted);
	list_init(&client->changed);
	list_init(&client->closings);
	return gateway_reserve(&client->gateway, 2); /* for the questions that belong to no grant */
}

void client_free(struct client *client)
{
	struct grant *next;

	for (struct grant *grant = registry_next(&client->registry, NULL); grant; grant = next) {
		next = registry_next(&client->registry, grant);
		free(grant);
	}
	registry_free(&client->registry);
	heap_free(&client->timers);
	gateway_free(&client->gateway);
}

/* --- the link --- */

static void lose_link(struct client *client, int status, instant now)
{
	struct grant *next;

	for (struct grant *grant = registry_next(&client->registry, NULL); grant; grant = next) {
		next = registry_next(&client->registry, grant);
		if (!grant->wanted_by)
			continue;
		grant_on_lost(grant, status, now);
		client_settle(client, grant, now);
	}
}

/* On another link earlier failures do not count: try what is not granted. */
static void try_link(struct client *client, instant now)
{
	struct grant *next;

	for (struct grant *grant = registry_next(&client->registry, NULL); grant; grant = next) {
		next = registry_next(&client->registry, grant);
		if (grant->is_granted)
			continue; /* it waits for the recovery */
		grant->retries.count = 0;
		grant->act_at = earlier(grant->act_at, now);
		client_settle(client, grant, now);
	}
}

void client_on_link(struct client *client, instant now, int status,
		    const struct ip_address *address, const struct ip_address *own_address)
{
	bool was_used_before = !ip_is_none(address) && ip_is_equal(&client->maker, address);

	gateway_relink(&client->gateway, now, status, address, own_address, was_used_before);
	client->reach = client->gateway.reach;
	external_forget(&client->external);
	if (status != NATPMP_OK) {
		lose_link(client, status, now);
		return;
	}
	client->maker = *address;
	try_link(client, now);
	if (client->external.callers || client->is_watched)
		external_ask(&client->external, &client->gateway, client->external.callers, now);
}

/* May the gateway have it, and is it ours to delete? */
static bool may_be_left(const struct client *client, const struct grant *grant)
{
	/* A deletion of all would delete mappings that are not ours. */
	bool is_one = !client->is_vpn && grant->question.message.internal_port;

	return is_one && grant->at_gateway.possible_in;
}

void client_farewell(struct client *client, instant now, client_send_fn *send, void *arg)
{
	struct gateway *gateway = &client->gateway;
	int status = gateway_is_away(gateway) ? gateway->reach : NATPMP_E_TIMEOUT;
	uint8_t bytes[REQUEST_MAX];
	struct grant *grant = NULL;

	while ((grant = registry_next(&client->registry, grant))) {
		struct message deletion = grant->question.message;

		if (!may_be_left(client, grant))
			continue;
		deletion.kind = ASK_DELETE;
		for (enum dialect_id id = 0; id < DIALECTS; id++)
			if (grant->at_gateway.possible_in & dialect_bit(id))
				send(arg, bytes, gateway_encode(gateway, id, &deletion, bytes));
		grant->at_gateway.deletion_is_owed = true;
		client_note_leftover(client, grant, status, now);
		client_end_closings(client, grant, status); /* nobody will confirm it */
		grant_on_farewell(grant, now);
	}
	client->maker = (struct ip_address){{0}};
}

/* --- time --- */

static void recover_grants(struct client *client, instant now)
{
	struct list *next;

	gateway_recover(&client->gateway);
	client->external.is_doubted = true; /* the first new grant asks for it */
	for (struct list *node = client->granted.next; node != &client->granted; node = next) {
		struct grant *grant = granted_grant(node);
		next = node->next;
		if (grant_state(grant, &client->gateway) != GRANT_DOUBTED)
			break;
		/* A renewal that waits is submitted again, with the lane and rank of a lost
		 * mapping. */
		if (grant->question.state == QUESTION_WAITING) {
			gateway_withdraw(&client->gateway, &grant->question);
			grant_on_taken_back(grant, now);
		}
		client_settle(client, grant, now);
	}
}

/* The grant that is asked for now failed before: from now on the reason is the silence. */
static void tell_silence(struct client *client, instant now)
{
	struct question *question = client->gateway.in_flight;
	struct grant *grant;

	if (!question || question->message.kind != ASK_CREATE || !gateway_is_away(&client->gateway))
		return;
	grant = question_grant(question);
	if (grant->is_granted || !grant->retries.status)
		return;
	grant->retries.status = (int16_t)client->gateway.reach;
	grant->retries.result = 0;
	client_settle(client, grant, now);
}

static void see_reach(struct client *client, instant now)
{
	if (client->reach == client->gateway.reach)
		return;
	client->reach = client->gateway.reach;
	client_lose_doubted(client, now);
	tell_silence(client, now);
}

/* Each dialect may be served by a program of its own, which restarts by itself: look at the clock
 * that was not seen for longest. */
static dialect_set dialect_to_look(const struct client *client)
{
	const struct gateway *gateway = &client->gateway;
	dialect_set usable = gateway->speech.allowed & (dialect_set)~gateway->speech.unspoken;
	dialect_set oldest = 0;
	instant seen_at = NEVER;

	for (enum dialect_id id = 0; id < DIALECTS; id++) {
		const struct gateway_clock *clock = &gateway->clocks.last[id];
		if (!(usable & dialect_bit(id)) || !clock->is_known || clock->at_latest >= seen_at)
			continue;
		oldest = dialect_bit(id);
		seen_at = clock->at_latest;
	}
	return oldest;
}

/* SILENCE_MAX after the last answer. */
static instant silence_over_at(const struct client *client)
{
	const struct gateway *gateway = &client->gateway;
	instant asked_at = client->external.asked_at;
	instant at = later(gateway->answered_at, asked_at) + SILENCE_MAX;
	dialect_set dialect = dialect_to_look(client);
	if (gateway->speech.allowed != ALL_DIALECTS || !dialect)
		return later(at, speech_open_at(&gateway->speech));
	/* One clock does not tell what the other one would. */
	instant seen_at =
		gateway->clocks.last[dialect & ONLY_PCP ? DIALECT_PCP : DIALECT_NATPMP].at_latest;
	at = earlier(at, later(seen_at + SILENCE_MAX, asked_at) + SILENCE_MAX);
	return later(at, speech_open_at(&gateway->speech));
}

/* When to ask how the gateway is: something is held, nothing is being asked, and it was silent for
 * long. It may have rebooted in that time. */
static instant next_look_at(const struct client *client)
{
	const struct gateway *gateway = &client->gateway;
	instant at = silence_over_at(client);
	bool is_needed = client_is_kept(client) && gateway->link_status == NATPMP_OK &&
			 gateway_is_idle_at(gateway, at);

	return is_needed ? at : NEVER;
}

static void on_external_time(struct client *client, instant now)
{
	if (external_on_time(&client->external, now))
		client_address_changed(client, now);
	if (client->external.retry_at <= now)
		external_ask(&client->external, &client->gateway, false, now);
	else if (next_look_at(client) <= now)
		external_look(&client->external, &client->gateway, dialect_to_look(client), now);
}

static void on_grant_timer(struct client *client, struct grant *grant, instant now)
{
	struct lease *lease = grant->wanted_by;

	if (client_deletion_over_at(client, grant) <= now) {
		gateway_withdraw(&client->gateway, &grant->question);
		client_end_deletion(client, grant, NATPMP_OK, now);
	}
	if (lease && grant->is_granted && grant->expiry.at <= now) {
		int reach = client->gateway.reach;
		int why = is_failure(reach) ? reach : NATPMP_E_TIMEOUT;
		grant_on_expired(grant, why, now);
	}
	if (lease && grant == lease->grants[0] &&
	    lease_on_time(lease, &client->gateway, &client->external, now))
		client_note_news(client, lease);
	client_settle_with_lease(client, grant, now);
}

static void run_timers(struct client *client, instant now)
{
	struct heap_node *first;

	gateway_on_time(&client->gateway, now);
	see_reach(client, now);
	if (client->gateway.reboot.recovery_at <= now)
		recover_grants(client, now);
	while ((first = heap_first(&client->timers)) && first->key <= now)
		on_grant_timer(client, container_of(first, struct grant, timer), now);
	on_external_time(client, now);
}

static void request_sent(struct question *question)
{
	struct grant *grant;

	if (!question_is_of_grant(question))
		return;
	grant = question_grant(question);
	grant_on_sent(grant);
	if (!grant->is_granted)
		list_remove(&grant->list);
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
			request_sent(gateway->in_flight);
			return len;
		case GATEWAY_YIELD:
			client_put_away(client, true, now);
			break;
		case GATEWAY_GIVE_UP:
			client_put_away(client, false, now);
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
	return earlier(at, next_look_at(client));
}

/* --- events --- */

struct lease *client_event(struct client *client, struct lease_view *before)
{
	while (!list_is_empty(&client->changed)) {
		struct lease *lease = container_of(client->changed.next, struct lease, changed);
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

/* The record of that protocol, if it is one of the protocols; or NULL. */
static struct grant *find_grant_of(const struct client *client, unsigned protocols,
				   unsigned protocol, uint16_t internal_port)
{
	return protocols & protocol ? registry_find(&client->registry, protocol, internal_port)
				    : NULL;
}

bool client_is_held(const struct client *client, unsigned protocol, uint16_t internal_port)
{
	if (!internal_port && !client->is_vpn)
		return client->holds;
	for (unsigned bit = NATPMP_UDP; bit <= NATPMP_TCP; bit++) {
		const struct grant *grant = find_grant_of(client, protocol, bit, internal_port);
		if (grant && grant->wanted_by)
			return true;
	}
	return false;
}

/* Find or make the records of a lease. False: out of memory, and the new records are gone again. */
static bool make_grants(struct client *client, struct lease *lease, unsigned protocol)
{
	for (unsigned bit = NATPMP_UDP; bit <= NATPMP_TCP; bit++) {
		if (!(protocol & bit))
			continue;
		struct grant *grant = client_make_grant(client, bit, lease->internal_port);
		if (!grant) {
			for (unsigned i = 0; i < lease->count; i++)
				if (grant_state(lease->grants[i], &client->gateway) == GRANT_NONE)
					client_forget_grant(client, lease->grants[i]);
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
		/* A grant that an earlier lease left on another port is given back. */
		if (lease->is_exact && grant->external_port != lease->suggested_port)
			grant_on_moving(grant, lease->suggested_port, grant->act_at);
		if (is_failure(link_status))
			grant->retries.status = (int16_t)link_status;
	}
	client_settle_lease(client, lease, now);
	return NATPMP_OK;
}

/* The lease is gone: settle its grants, which no lease wants any more. */
static void end_lease(struct client *client, struct lease *lease, instant now)
{
	client->holds--;
	client_stop_asking_for(client, lease);
	list_remove(&lease->changed);
	if (!client_is_kept(client))
		external_stop(&client->external, &client->gateway);
	for (unsigned i = 0; i < lease->count; i++)
		client_settle(client, lease->grants[i], now);
}

void client_release(struct client *client, struct lease *lease, instant now)
{
	for (unsigned i = 0; i < lease->count; i++)
		if (client->is_vpn)
			grant_on_left(lease->grants[i], now);
		else
			grant_on_released(lease->grants[i], now);
	end_lease(client, lease, now);
}

void client_leave(struct client *client, struct lease *lease, instant now)
{
	for (unsigned i = 0; i < lease->count; i++)
		grant_on_left(lease->grants[i], now);
	end_lease(client, lease, now);
}

void client_release_all(struct client *client, instant now, client_ended_fn *ended)
{
	struct list leases;

	list_init(&leases);
	for (struct grant *grant = registry_next(&client->registry, NULL); grant;
	     grant = registry_next(&client->registry, grant))
		if (grant->wanted_by && grant == grant->wanted_by->grants[0])
			list_append(&leases, &grant->wanted_by->changed);
	while (!list_is_empty(&leases)) {
		struct lease *lease = container_of(leases.next, struct lease, changed);
		client_release(client, lease, now);
		ended(lease);
	}
}

void client_stop_waiting(struct lease *lease)
{
	lease->is_awaited = false;
}

void client_retry(struct client *client, struct lease *lease, instant now)
{
	gateway_cut_backoff(&client->gateway);
	gateway_forget_shortage(&client->gateway);
	lease_on_retry(lease, now);
	for (unsigned i = 0; i < lease->count; i++) {
		struct grant *grant = lease->grants[i];
		if (grant_is_in_force(grant, &client->gateway) ||
		    grant->question.state != QUESTION_IDLE)
			continue;
		grant->retries.count = 0;
		grant->act_at = earlier(grant->act_at, now);
	}
	client_settle_lease(client, lease, now);
}

int client_unmap(struct client *client, struct closing *closing, natpmp_protocol protocol,
		 uint16_t internal_port, instant now)
{
	*closing = (struct closing){.internal_port = internal_port};
	if (client_is_held(client, protocol, internal_port))
		return NATPMP_E_HELD;
	/* PCP has no deletion of all (RFC 6887 section 15.1). */
	if (!internal_port && !(client->gateway.speech.allowed & ONLY_NATPMP))
		return NATPMP_E_VERSION;
	list_append(&client->closings, &closing->list);
	for (unsigned bit = NATPMP_UDP; bit <= NATPMP_TCP; bit++) {
		if (!(protocol & bit))
			continue;
		struct grant *grant = client_make_grant(client, bit, internal_port);
		if (!grant) {
			client_stop_unmapping(client, closing, now);
			return NATPMP_E_NO_MEMORY;
		}
		closing->left |= (uint8_t)bit;
		/* Some program may have made it. */
		grant->at_gateway.possible_in |= speech_usable(&client->gateway.speech, now);
		grant->at_gateway.deletion_status = NATPMP_PENDING;
		grant->retries = (struct retries){0};
		if (grant->question.state == QUESTION_WAITING)
			gateway_withdraw(&client->gateway, &grant->question);
		grant->act_at = now;
		client_settle(client, grant, now);
	}
	return NATPMP_OK;
}

void client_stop_unmapping(struct client *client, struct closing *closing, instant now)
{
	list_remove(&closing->list);
	for (unsigned bit = NATPMP_UDP; bit <= NATPMP_TCP; bit++) {
		struct grant *grant =
			find_grant_of(client, closing->left, bit, closing->internal_port);
		if (!grant || grant->wanted_by || grant->at_gateway.deletion_is_owed ||
		    client_is_deletion_awaited(client, &grant->question.message))
			continue;
		grant_on_left(grant, now);
		client_settle(client, grant, now);
	}
}

bool client_is_empty(const struct client *client)
{
	return !client->registry.count;
}

bool client_is_closed(const struct client *client, unsigned protocol, uint16_t internal_port)
{
	for (unsigned bit = NATPMP_UDP; bit <= NATPMP_TCP; bit++) {
		const struct grant *grant = find_grant_of(client, protocol, bit, internal_port);
		if (grant && !grant->wanted_by)
			return false;
	}
	return true;
}

void client_ask_address(struct client *client, dialect_set dialects, instant now)
{
	external_wait(&client->external, &client->gateway, dialects, now);
}

void client_stop_asking_address(struct client *client)
{
	struct external *external = &client->external;

	external_stop_waiting(external);
	if (external->callers)
		return; /* somebody else waits for the same answer */
	bool is_kept = client_is_kept(client);
	bool has_granted = !list_is_empty(&client->granted);
	if (ip_is_none(&external->address) && is_kept && (client->is_watched || has_granted))
		return; /* the watcher and the leases need the address, too */
	external_stop(external, &client->gateway);
	if (!is_kept)
		return;
	external->is_doubted = true; /* the next grant asks for it again */
	if (!external->is_settled)
		external->settle_at = 0; /* leases do not wait for a question that nobody asks */
}

struct ip_address client_external_address(const struct client *client)
{
	if (!ip_is_none(&client->external.address) || list_is_empty(&client->granted))
		return client->external.address;
	return grant_external_address(granted_grant(client->granted.next));
}

static void submit_pcp(struct client *client, instant now)
{
	client->pcp.question.dialects = ONLY_PCP;
	gateway_submit(&client->gateway, &client->pcp.question, LANE_AT_ONCE, now + RANK_MARGIN);
}

void client_ask_pcp(struct client *client, instant now)
{
	client->pcp.callers++;
	if (client->pcp.question.state == QUESTION_IDLE)
		submit_pcp(client, now);
}

void client_stop_asking_pcp(struct client *client)
{
	if (!--client->pcp.callers)
		gateway_withdraw(&client->gateway, &client->pcp.question);
}

void client_watch(struct client *client, bool is_watched, instant now)
{
	client->is_watched = is_watched;
	if (is_watched)
		external_ask(&client->external, &client->gateway, false, now);
	else if (!client_is_kept(client))
		external_stop(&client->external, &client->gateway);
}

int client_excuse(const struct client *client, const struct closing *closing)
{
	const struct gateway *gateway = &client->gateway;

	if (is_failure(gateway->link_status))
		return gateway->link_status;
	for (unsigned bit = NATPMP_UDP; bit <= NATPMP_TCP; bit++) {
		const struct grant *grant =
			find_grant_of(client, closing->left, bit, closing->internal_port);
		if (grant && grant->question.hint)
			return grant->question.hint;
	}
	return gateway_is_away(gateway) ? gateway->reach : NATPMP_E_TIMEOUT;
}
