/* SPDX-License-Identifier: MIT */
/*
 * The address is settled once its question was answered or has had its turn; a mapping that comes
 * up waits for that, but no longer than ADDRESS_PATIENCE. Only an answer to our own question is
 * believed; an announcement makes us ask, at most once in SUSPICION_WINDOW.
 */
#include "core/external.h"

#include "core/address.h"
#include "core/status.h"

void external_init(struct external *external)
{
	*external = (struct external){
		.question.message.kind = ASK_ADDRESS, .settle_at = NEVER, .retry_at = NEVER};
}

void external_forget(struct external *external)
{
	external->address = (struct ip_address){{0}};
	external->is_settled = external->is_doubted = false;
	external->failures = 0;
	external->hint_until = 0;
	external->question.hint = 0;
	external->settle_at = external->retry_at = NEVER;
}

/* Every mapping that comes up waits for this question, so it goes first. After a failure they no
 * longer wait. */
static instant external_rank(const struct external *external, instant now)
{
	return external->failures ? now + RANK_MARGIN : 0;
}

static void ask_in(struct external *external, struct gateway *gateway, dialect_set dialects,
		   bool is_blocking, instant now)
{
	bool blocks = is_blocking || external->callers;
	bool is_short = now < gateway->short_until;
	/* New mappings wait for the address until it is settled, so it does not wait for a
	 * recovery; nor does it for the end of a shortage, which is of mappings. */
	enum lane lane = external->is_settled && !is_short ? LANE_AFTER_BOTH : LANE_AFTER_BACKOFF;

	external->retry_at = NEVER;
	if (external->settle_at == NEVER)
		external->settle_at = now + ADDRESS_PATIENCE;
	if (external->question.state == QUESTION_WAITING && (blocks || is_short))
		gateway_withdraw(gateway, &external->question);
	if (external->question.state == QUESTION_IDLE) {
		external->question.dialects = dialects;
		external->asked_at = now;
		external->is_doubted = false;
		gateway_submit(gateway, &external->question, blocks ? LANE_AT_ONCE : lane,
			       external_rank(external, now));
	} else if (is_blocking) {
		gateway_restart_series(gateway, &external->question, now);
	}
}

/* Only NAT-PMP tells an address, so a gateway that speaks it is asked in it. */
static dialect_set dialects_to_ask(const struct speech *speech, dialect_set otherwise, instant now)
{
	bool tells = speech->heard & speech_usable(speech, now) & ONLY_NATPMP;

	return tells ? ONLY_NATPMP : otherwise;
}

/* A caller who is blocked needs the address, others are content with the clock. */
void external_ask(struct external *external, struct gateway *gateway, bool is_blocking, instant now)
{
	const struct speech *speech = &gateway->speech;
	dialect_set otherwise =
		is_blocking ? speech_usable(speech, now) : speech_to_use(speech, now);

	/* It speaks no dialect of ours. */
	if (!is_blocking && speech_open_at(speech) > now) {
		external->retry_at = speech_open_at(speech);
		return;
	}
	ask_in(external, gateway, dialects_to_ask(speech, otherwise, now), is_blocking, now);
}

void external_look(struct external *external, struct gateway *gateway, dialect_set dialects,
		   instant now)
{
	/* If nothing was heard at all, all of them are asked. */
	if (dialects && gateway->speech.heard)
		ask_in(external, gateway, dialects, false, now);
	else
		external_ask(external, gateway, false, now);
}

void external_wait(struct external *external, struct gateway *gateway, dialect_set dialects,
		   instant now)
{
	external->callers++;
	ask_in(external, gateway, dialects_to_ask(&gateway->speech, dialects, now), true, now);
}

void external_stop_waiting(struct external *external)
{
	external->callers--;
}

void external_stop(struct external *external, struct gateway *gateway)
{
	external->settle_at = external->retry_at = NEVER;
	if (external->callers)
		return;
	gateway_withdraw(gateway, &external->question);
	external->question.hint = 0;
}

bool external_is_stale(const struct external *external, instant now)
{
	return !external->is_settled || external->is_doubted ||
	       now - external->asked_at >= ADDRESS_STALE;
}

static bool settle_address(struct external *external, struct ip_address address)
{
	bool is_news = !external->is_settled || !ip_is_equal(&external->address, &address);

	external->is_settled = true;
	external->address = address;
	external->settle_at = NEVER;
	return is_news;
}

static bool end_question(struct external *external, int status, struct ip_address address,
			 bool is_held, instant now)
{
	bool is_known = !ip_is_none(&address);

	external->status = status;
	external->answers++;
	external->failures = is_known ? 0 : external->failures + 1;
	external->retry_at = NEVER;
	if (!is_known && is_held)
		external->retry_at = now + status_retry_delay(NATPMP_E_NO_RESOURCES,
							      external->failures - 1, false);
	return settle_address(external, address);
}

/* The gateway is there, and told no address. */
static bool end_without_address(struct external *external, int status)
{
	external->status = status;
	external->answers++;
	external->failures = 0;
	external->retry_at = NEVER;
	return settle_address(external, external->address);
}

bool external_on_response(struct external *external, const struct response *response, bool is_held,
			  instant now)
{
	bool is_usable = response->status == NATPMP_OK && address_is_usable(&response->address);

	external->is_untold = response->dialect == DIALECT_PCP;
	if (external->is_untold)
		return end_without_address(external, response->status);
	struct ip_address none = {{0}};

	return end_question(external, response->status, is_usable ? response->address : none,
			    is_held, now);
}

bool external_on_failed(struct external *external, int status, bool is_held, instant now)
{
	external->question.hint = 0;
	return end_question(external, status, external->address, is_held, now);
}

bool external_on_time(struct external *external, instant now)
{
	if (external->settle_at > now)
		return false;
	external->settle_at = NEVER;
	return !external->is_settled && settle_address(external, external->address);
}

void external_on_hint(struct external *external, instant now)
{
	external->retry_at = earlier(external->retry_at, later(now, external->hint_until));
	external->hint_until = later(external->hint_until, now + SUSPICION_WINDOW);
}

instant external_next_deadline(const struct external *external)
{
	return earlier(external->settle_at, external->retry_at);
}
