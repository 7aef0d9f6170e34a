/* SPDX-License-Identifier: MIT */
/*
 * A question is idle, waits in a lane, or is in flight; at most one is in flight.
 *
 *    submit          send             answered, bounced, put away
 *   ---------> WAITING -----> IN FLIGHT --------------------------> IDLE
 *                 ^              |
 *                 `--------------' the link changed, or a silent gateway was heard again
 *
 * gateway_next_step() decides and changes nothing; the caller then calls the function that does the
 * step. A question keeps its turn for five sends (7.75 s). After that it yields as soon as another
 * one may start; otherwise it goes on to the end of its series.
 *
 * A gateway that was silent for a whole turn is not asked for 1 s, then for 2 s and so on, up to 64
 * s. The first packet heard from it ends this backoff.
 *
 * A reboot is stored as one instant, forgot_at: every grant before it is doubted. It moves at most
 * once in 30 s, because anybody on the network can forge the packets that move it.
 */
#include "core/gateway.h"

#include "core/status.h"

#include <assert.h>
#include <string.h>

void gateway_init(struct gateway *gateway, const struct dialect *dialect, uint64_t seed)
{
	*gateway = (struct gateway){
		.dialect = dialect,
		.random = seed,
		.reach = NATPMP_PENDING,
		.link_status = NATPMP_PENDING,
		.reboot = {.recovery_at = NEVER},
	};
}

void gateway_free(struct gateway *gateway)
{
	for (unsigned i = 0; i < LANES; i++)
		heap_free(&gateway->lanes[i]);
}

bool gateway_reserve(struct gateway *gateway, size_t questions)
{
	return heap_reserve(&gateway->lanes[LANE_AFTER_BACKOFF], questions);
}

uint64_t gateway_random(struct gateway *gateway)
{
	uint64_t z = gateway->random += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* --- lanes --- */

static bool lane_waits_for_backoff(enum lane lane)
{
	return lane == LANE_AFTER_BACKOFF || lane == LANE_AFTER_BOTH;
}

static bool lane_waits_for_recovery(enum lane lane)
{
	return lane == LANE_AFTER_RECOVERY || lane == LANE_AFTER_BOTH;
}

static instant recovery_over_at(const struct gateway *gateway, enum lane lane)
{
	bool waits = lane_waits_for_recovery(lane) && gateway->reboot.recovery_at != NEVER;

	return waits ? gateway->reboot.recovery_at : 0;
}

/* When the first question of a lane may start. */
static instant lane_opens_at(const struct gateway *gateway, enum lane lane)
{
	const struct backoff *backoff = &gateway->backoff;
	instant at = recovery_over_at(gateway, lane);

	if (lane_waits_for_backoff(lane))
		at = later(at, backoff->until);
	else if (lane == LANE_AFTER_RECOVERY)
		at = later(at, earlier(backoff->until, backoff->pass_at));
	return at;
}

static struct question *lane_first(const struct gateway *gateway, enum lane lane)
{
	struct heap_node *first = heap_first(&gateway->lanes[lane]);

	return first ? container_of(first, struct question, turn) : NULL;
}

static bool turn_is_before(const struct question *a, const struct question *b)
{
	return a->turn.key != b->turn.key ? a->turn.key < b->turn.key : a->turn.tie < b->turn.tie;
}

/* Whose turn is it? NULL: no question may start now. */
static struct question *lanes_first(const struct gateway *gateway, instant now)
{
	struct question *best = NULL;

	for (enum lane lane = 0; lane < LANES; lane++) {
		struct question *question = lane_first(gateway, lane);

		if (question && lane_opens_at(gateway, lane) <= now &&
		    (!best || turn_is_before(question, best)))
			best = question;
	}
	return best;
}

static instant lanes_open_at(const struct gateway *gateway)
{
	instant at = NEVER;

	for (enum lane lane = 0; lane < LANES; lane++)
		if (gateway->lanes[lane].count)
			at = earlier(at, lane_opens_at(gateway, lane));
	return at;
}

static bool lanes_are_empty(const struct gateway *gateway)
{
	for (unsigned i = 0; i < LANES; i++)
		if (gateway->lanes[i].count)
			return false;
	return true;
}

/* The gateway may ignore just this question. If another one waits, that is tried before the gateway
 * is called silent. */
static bool silence_is_general(const struct gateway *gateway)
{
	return gateway->silences || lanes_are_empty(gateway);
}

/* A backoff follows if the question in flight ends without an answer. */
static bool backoff_follows(const struct gateway *gateway)
{
	bool is_known_to_answer = gateway->reach == NATPMP_OK && !silence_is_general(gateway);

	return !gateway->series.is_heard && !is_known_to_answer;
}

/* When may another question start, if the one in flight yields? A blocking call asks again right
 * after yielding, so it does not yield to questions that the coming backoff would stop. */
static instant other_may_start_at(const struct gateway *gateway)
{
	bool is_blocking = gateway->in_flight->lane == LANE_AT_ONCE;
	bool will_be_stopped = is_blocking && backoff_follows(gateway) && !gateway->backoff.is_cut;
	instant at = gateway->in_flight->is_superseded ? 0 : NEVER;

	for (enum lane lane = 0; lane < LANES; lane++) {
		bool is_stopped = will_be_stopped && lane_waits_for_backoff(lane);
		if (gateway->lanes[lane].count && !is_stopped)
			at = earlier(at, recovery_over_at(gateway, lane));
	}
	return at;
}

/* --- questions --- */

static void lane_enter(struct gateway *gateway, struct question *question, instant rank)
{
	question->state = QUESTION_WAITING;
	heap_set(&gateway->lanes[question->lane], &question->turn, rank, gateway->serial++);
}

void gateway_submit(struct gateway *gateway, struct question *question, enum lane lane,
		    instant rank)
{
	/* Out of memory: use the lane that has room for every question. */
	if (!heap_reserve(&gateway->lanes[lane], (size_t)gateway->lanes[lane].count + 2))
		lane = LANE_AFTER_BACKOFF;
	question->lane = (uint8_t)lane;
	question->is_superseded = false;
	question->is_starting = true;
	question->zero_grants = 0;
	lane_enter(gateway, question, rank);
}

void gateway_cut_backoff(struct gateway *gateway)
{
	gateway->backoff.until = 0;
	gateway->backoff.is_cut = gateway->in_flight;
}

static void question_land(struct gateway *gateway)
{
	gateway->in_flight->state = QUESTION_IDLE;
	gateway->in_flight = NULL;
}

void gateway_withdraw(struct gateway *gateway, struct question *question)
{
	if (question == gateway->in_flight)
		question_land(gateway);
	heap_remove(&gateway->lanes[question->lane], &question->turn);
	question->state = QUESTION_IDLE;
}

instant question_answerable_at(const struct question *question, instant now)
{
	return later(question->asked_at, now > ANSWER_WINDOW ? now - ANSWER_WINDOW : 0);
}

bool question_is_outstanding(const struct question *question, instant now)
{
	return question->last_sent && !question->is_answered &&
	       now <= question->last_sent + ANSWER_WINDOW;
}

static void question_note_sent(struct question *question, instant now)
{
	bool may_still_be_answered = question_is_outstanding(question, now);

	if (question->is_starting && !may_still_be_answered)
		question->asked_at = now;
	question->is_starting = question->is_answered = false;
	question->last_sent = now;
}

/* --- the series of sends --- */

static void series_begin(struct gateway *gateway, instant now)
{
	gateway->series = (struct series){.next_send_at = now};
}

void gateway_restart_series(struct gateway *gateway, struct question *question, instant now)
{
	bool is_soon = gateway->series.next_send_at < now + gateway->dialect->send_delay(1);

	if (question == gateway->in_flight && question->last_sent < now && !is_soon)
		series_begin(gateway, now);
}

static instant series_patience_at(const struct gateway *gateway)
{
	return gateway->series.first_sent_at +
	       gateway->dialect->send_delay(gateway->dialect->patience);
}

static instant series_end_at(const struct gateway *gateway)
{
	return gateway->series.first_sent_at +
	       gateway->dialect->send_delay(gateway->dialect->sends);
}

/* All sends went out, and the time to answer the last one is over. */
static bool series_is_complete(const struct gateway *gateway, instant now)
{
	const struct series *series = &gateway->series;

	return series->sends == gateway->dialect->sends && !series->has_gaps &&
	       series_end_at(gateway) <= now;
}

static instant series_yields_at(const struct gateway *gateway)
{
	instant other_at = gateway->in_flight->is_brief ? 0 : other_may_start_at(gateway);

	return gateway->series.sends ? later(series_patience_at(gateway), other_at) : NEVER;
}

/* --- turns --- */

enum gateway_step gateway_next_step(const struct gateway *gateway, instant now)
{
	const struct series *series = &gateway->series;

	if (gateway->link_status != NATPMP_OK)
		return GATEWAY_WAIT;
	if (!gateway->in_flight)
		return lanes_first(gateway, now) ? GATEWAY_SEND : GATEWAY_WAIT;
	if (series->sends && series_end_at(gateway) <= now)
		return GATEWAY_GIVE_UP;
	if (series_yields_at(gateway) <= now)
		return GATEWAY_YIELD;
	return series->next_send_at <= now ? GATEWAY_SEND : GATEWAY_WAIT;
}

instant gateway_next_deadline(const struct gateway *gateway, instant now)
{
	const struct reboot *reboot = &gateway->reboot;
	instant at = reboot->is_suspected_again ? reboot->window_until : NEVER;

	at = earlier(at, reboot->recovery_at);
	if (gateway->link_status != NATPMP_OK)
		return at;
	if (!gateway->in_flight)
		return earlier(at, later(lanes_open_at(gateway), now));
	at = earlier(at, series_yields_at(gateway));
	return earlier(at, gateway->series.next_send_at);
}

/* The question whose turn it is goes from its lane into flight. */
static void start_next_question(struct gateway *gateway, instant now)
{
	struct question *question = lanes_first(gateway, now);

	assert(question); /* gateway_next_step() said GATEWAY_SEND */
	if (question->lane == LANE_AFTER_RECOVERY && gateway->backoff.until > now)
		gateway->backoff.pass_at = now + BACKOFF_PASS;
	heap_remove(&gateway->lanes[question->lane], &question->turn);
	question->state = QUESTION_IN_FLIGHT;
	gateway->in_flight = question;
	series_begin(gateway, now);
}

/* If five sends were not answered and no other question waits, the gateway is silent. */
static void note_silence(struct gateway *gateway, instant now)
{
	const struct question *question = gateway->in_flight;

	if (!question || !gateway->series.sends || now < series_patience_at(gateway) ||
	    gateway->series.is_heard || gateway->reach == NATPMP_E_REFUSED)
		return;
	if (silence_is_general(gateway))
		gateway->reach = question->hint ? question->hint : NATPMP_E_TIMEOUT;
}

/* Sends are timed from the first one, so that late wake-ups do not stretch the series. Sends whose
 * time has passed are skipped. */
static void advance_series(struct gateway *gateway, instant now)
{
	struct series *series = &gateway->series;
	unsigned steps = 0;

	do {
		series->next_send_at =
			series->first_sent_at + gateway->dialect->send_delay(++series->sends);
		steps++;
	} while (series->next_send_at <= now && series->sends < gateway->dialect->sends);
	series->has_gaps |= steps > 1;
}

size_t gateway_send(struct gateway *gateway, instant now, uint8_t bytes[REQUEST_MAX])
{
	struct series *series = &gateway->series;

	if (!gateway->in_flight)
		start_next_question(gateway, now);
	if (!series->sends)
		series->first_sent_at = now;
	advance_series(gateway, now);
	question_note_sent(gateway->in_flight, now);
	gateway->pcp_was_asked |= gateway->in_flight->message.kind == ASK_PCP;
	return gateway->dialect->encode(&gateway->in_flight->message, &gateway->own_address, bytes);
}

static void begin_backoff(struct gateway *gateway, instant since)
{
	struct backoff *backoff = &gateway->backoff;
	duration doubled = backoff->length ? 2 * backoff->length : BACKOFF_MIN;

	backoff->length = earlier(doubled, BACKOFF_MAX);
	backoff->until = backoff->is_cut ? 0 : since + backoff->length;
	backoff->is_cut = false;
}

int gateway_put_away(struct gateway *gateway, instant now)
{
	struct question *question = gateway->in_flight;
	bool is_complete = series_is_complete(gateway, now);

	note_silence(gateway, now);
	/* A question that was sent during a backoff does not prolong it, or the others would never
	 * have a turn. */
	if (backoff_follows(gateway) && gateway->backoff.until <= gateway->series.first_sent_at)
		begin_backoff(gateway, question->last_sent);
	if (!gateway->series.is_heard)
		gateway->silences++;
	question_land(gateway);
	if (question->hint)
		return question->hint;
	return is_complete ? NATPMP_E_NO_SERVICE : NATPMP_E_TIMEOUT;
}

/* --- the reboot --- */

static void open_window(struct gateway *gateway, instant now)
{
	instant granted_at = gateway->reboot.granted_at;

	gateway->reboot = (struct reboot){
		.forgot_at = later(now, granted_at + 1),
		.granted_at = granted_at,
		.recovery_at = now + gateway_random(gateway) % (RECOVERY_DELAY_MAX + 1),
		.window_until = later(now, granted_at + 1) + SUSPICION_WINDOW,
	};
}

static void suspect_reboot(struct gateway *gateway, instant now)
{
	if (now < gateway->reboot.window_until)
		gateway->reboot.is_suspected_again = true;
	else
		open_window(gateway, now);
}

void gateway_on_time(struct gateway *gateway, instant now)
{
	note_silence(gateway, now);
	if (gateway->reboot.is_suspected_again && gateway->reboot.window_until <= now)
		open_window(gateway, now);
}

instant gateway_note_grant(struct gateway *gateway, instant now)
{
	struct reboot *reboot = &gateway->reboot;

	reboot->granted_at = later(now, reboot->forgot_at);
	return reboot->granted_at;
}

void gateway_recover(struct gateway *gateway)
{
	gateway->reboot.recovery_at = NEVER;
}

/* --- receiving --- */

struct response gateway_read(const struct gateway *gateway, const uint8_t *bytes, size_t len)
{
	const struct question *asked = gateway->in_flight;

	/* While there is no link, packets from the old gateway count for nothing. */
	return gateway->dialect->decode(bytes, gateway->link_status == NATPMP_OK ? len : 0,
					asked ? &asked->message : NULL);
}

/* A gateway that was thought to be away is heard: a question whose five sends it missed gets
 * another chance. If its turn is over already, it goes back to its lane. */
static void begin_series_anew(struct gateway *gateway, instant now)
{
	struct question *question = gateway->in_flight;

	if (!question || gateway->series.sends < gateway->dialect->patience)
		return;
	gateway->series.was_in_vain = true;
	if (now < series_patience_at(gateway))
		return;
	question_land(gateway);
	lane_enter(gateway, question, question->turn.key);
}

static void note_heard(struct gateway *gateway, instant now)
{
	bool was_away = gateway_is_away(gateway);

	gateway->series.is_heard = true;
	gateway->silences = 0;
	gateway->reach = NATPMP_OK;
	gateway->backoff = (struct backoff){0};
	if (was_away)
		begin_series_anew(gateway, now);
}

void gateway_on_response(struct gateway *gateway, instant at_earliest, instant now,
			 const struct response *response, struct question *question)
{
	if (response->kind == RESPONSE_JUNK)
		return;
	if (question) {
		/* The answer cannot have come before its question was sent. */
		at_earliest = later(at_earliest, question->asked_at);
		gateway->answered_at = now;
		question->is_answered = true;
		question->hint = 0;
		gateway_withdraw(gateway, question);
		note_heard(gateway, now);
	} else if (gateway->hearing_until <= now) {
		if (gateway_is_away(gateway))
			gateway->hearing_until = now + SUSPICION_WINDOW;
		note_heard(gateway, now);
	}
	if (response->has_clock &&
	    gateway->dialect->note_clock(&gateway->clock, response->clock, at_earliest, now))
		suspect_reboot(gateway, now);
}

struct question *gateway_on_bounce(struct gateway *gateway, instant now, const uint8_t *bytes,
				   size_t len, int status)
{
	struct question *question = gateway->in_flight;
	uint8_t ours[REQUEST_MAX];

	if (!question)
		return NULL;
	/* A router quotes at least 8 bytes after the IP header, so maybe none of ours (RFC 792),
	 * and may add padding (RFC 4884). If the quoted bytes are not ours, the error is about an
	 * earlier request. */
	size_t whole = gateway->dialect->encode(&question->message, &gateway->own_address, ours);
	if (memcmp(ours, bytes, len < whole ? len : whole) != 0)
		return NULL;
	if (status != NATPMP_E_REFUSED) {
		question->hint = (int16_t)status;
		return NULL;
	}
	question->is_answered = true; /* that send will never be answered */
	gateway->reach = NATPMP_E_REFUSED;
	begin_backoff(gateway, now);
	question_land(gateway);
	return question;
}

void gateway_relink(struct gateway *gateway, instant now, int status,
		    const struct ip_address *own_address, bool was_used_before)
{
	struct question *question = gateway->in_flight;

	if (question) {
		question_land(gateway);
		lane_enter(gateway, question, question->turn.key);
	}
	gateway->clock = (struct gateway_clock){0};
	gateway->backoff = (struct backoff){0};
	gateway->hearing_until = 0;
	gateway->silences = 0;
	gateway->pcp_was_asked = false;
	gateway->link_status = status;
	gateway->reach = NATPMP_PENDING;
	gateway->own_address = *own_address;
	gateway->answered_at = now;
	open_window(gateway, now);
	gateway->reboot.window_until = 0;
	if (!was_used_before)
		gateway->reboot.recovery_at = now;
	if (status != NATPMP_OK)
		gateway->reboot.recovery_at = NEVER;
}

bool gateway_is_idle(const struct gateway *gateway)
{
	return !gateway->in_flight && lanes_are_empty(gateway);
}

bool gateway_is_away(const struct gateway *gateway)
{
	return is_failure(gateway->reach);
}

bool gateway_seems_away(const struct gateway *gateway)
{
	return gateway_is_away(gateway) || gateway->link_status != NATPMP_OK ||
	       (gateway->reach == NATPMP_PENDING && gateway->in_flight &&
		gateway->series.sends >= 3);
}
