/* SPDX-License-Identifier: MIT */
/*
 * A question is idle, waits in a lane, or is in flight; at most one is in flight.
 *
 *    submit          send             answered, rejected, bounced, put away
 *   ---------> WAITING -----> IN FLIGHT --------------------------> IDLE
 *                 ^              |
 *                 `--------------' the link changed, or a silent gateway was heard again
 *
 * gateway_next_step() decides and changes nothing; the caller then calls the function that does the
 * step. A question keeps its turn for 7.75 s (five sends in NAT-PMP, two or three in PCP). After
 * that it yields as soon as another one may start; otherwise it goes on to the end of its series.
 * A renewal in PCP is a single send, and a dialect that the gateway seems not to speak gets a short
 * turn; these, and brief questions, end with their turn.
 *
 * A gateway that we do not know is asked in two dialects, each with its own schedule: the second
 * one begins 250 ms after the first. An answer in either ends the question. If the gateway rejects
 * the version of one, the question goes on in the other at once; a deletion only if it was to be
 * asked there, too.
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

void gateway_init(struct gateway *gateway, dialect_set allowed, const uint8_t *secret,
		  uint64_t seed)
{
	*gateway = (struct gateway){
		.speech.allowed = allowed,
		.random = seed,
		.reach = NATPMP_PENDING,
		.link_status = NATPMP_PENDING,
		.reboot = {.recovery_at = NEVER},
	};
	memcpy(gateway->ends.secret, secret, SECRET_LEN);
}

void gateway_free(struct gateway *gateway)
{
	for (unsigned i = 0; i < LANES; i++)
		heap_free(&gateway->lanes[i]);
}

bool gateway_reserve(struct gateway *gateway, size_t questions)
{
	return heap_reserve(&gateway->lanes[LANE_ROOMY], questions);
}

static uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

uint64_t gateway_random(struct gateway *gateway)
{
	return mix(gateway->random += 0x9e3779b97f4a7c15);
}

uint64_t gateway_jitter(const struct gateway *gateway, uint64_t number)
{
	return mix(mix(gateway->random) ^ number);
}

/* --- lanes --- */

static bool lane_waits_for_backoff(enum lane lane)
{
	return lane == LANE_AFTER_BACKOFF || lane == LANE_NEW || lane == LANE_AFTER_BOTH;
}

static bool lane_asks_for_new(enum lane lane)
{
	return lane == LANE_NEW || lane == LANE_AFTER_BOTH;
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

static instant shortage_over_at(const struct gateway *gateway, enum lane lane)
{
	return lane_asks_for_new(lane) ? gateway->short_until : 0;
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
	return later(at, shortage_over_at(gateway, lane));
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
			at = earlier(at, later(recovery_over_at(gateway, lane),
					       shortage_over_at(gateway, lane)));
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
		lane = LANE_ROOMY;
	question->lane = (uint8_t)lane;
	question->is_superseded = false;
	question->is_starting = true;
	question->is_noted = false;
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

static void question_note_sent(struct question *question, enum dialect_id dialect, instant now)
{
	bool may_still_be_answered = question_is_outstanding(question, now);

	if (question->is_starting && !may_still_be_answered) {
		question->asked_at = now;
		question->sent_in = 0;
	}
	question->is_starting = question->is_answered = question->is_noted = false;
	question->sent_in |= dialect_bit(dialect);
	question->last_sent = now;
}

/* --- the series of sends --- */

/* PCP comes first, but a deletion or an address question begins with NAT-PMP: only there is an
 * address to be had, and PCP's verdict about a deletion is the better one, so it comes last. */
static enum dialect_id first_dialect(const struct question *question)
{
	bool is_to_create = question->message.kind == ASK_CREATE;
	dialect_set preferred = is_to_create ? ONLY_PCP : ONLY_NATPMP;
	dialect_set dialects = question->dialects & preferred ? preferred : question->dialects;

	return dialects & ONLY_PCP ? DIALECT_PCP : DIALECT_NATPMP;
}

static void series_begin(struct gateway *gateway, instant now)
{
	const struct question *question = gateway->in_flight;
	enum dialect_id first = first_dialect(question);

	gateway->series = (struct series){0};
	for (enum dialect_id id = 0; id < DIALECTS; id++) {
		bool is_asked = question->dialects & dialect_bit(id);
		instant at = id == first ? now : now + SECOND_DELAY;
		gateway->series.in[id].next_at = is_asked ? at : NEVER;
	}
}

/* The dialect of the next send. */
static enum dialect_id series_next_dialect(const struct series *series)
{
	return series->in[DIALECT_PCP].next_at < series->in[DIALECT_NATPMP].next_at
		       ? DIALECT_PCP
		       : DIALECT_NATPMP;
}

static instant series_next_at(const struct series *series)
{
	return series->in[series_next_dialect(series)].next_at;
}

void gateway_restart_series(struct gateway *gateway, struct question *question, instant now)
{
	bool is_soon = series_next_at(&gateway->series) < now + SECOND_DELAY;

	if (question == gateway->in_flight && question->last_sent < now && !is_soon)
		series_begin(gateway, now);
}

/* How long the question in flight keeps its turn. */
static duration turn_length(const struct gateway *gateway)
{
	const struct question *question = gateway->in_flight;

	if (question->is_single)
		return SINGLE_TURN;
	return speech_is_doubtful(&gateway->speech, question->dialects) ? SHORT_TURN : TURN;
}

static instant turn_over_at(const struct gateway *gateway)
{
	return gateway->series.first_sent_at + turn_length(gateway);
}

/* The question is not asked on after its turn, even if no other one waits. */
static bool turn_is_final(const struct gateway *gateway)
{
	return gateway->in_flight->is_brief || turn_length(gateway) != TURN;
}

/* When the series of sends is over in one of its dialects. */
static instant series_end_at(const struct gateway *gateway)
{
	const struct sends *in = gateway->series.in;
	instant at = NEVER;

	for (enum dialect_id id = 0; id < DIALECTS; id++)
		if (in[id].count)
			at = earlier(at, in[id].end_at);
	return at;
}

/* All sends in one dialect went out, and the time to answer the last one is over. */
static bool series_is_complete(const struct gateway *gateway, instant now)
{
	const struct sends *in = gateway->series.in;

	for (enum dialect_id id = 0; id < DIALECTS; id++)
		if (in[id].count == dialect_of(id)->sends && in[id].end_at <= now)
			return !gateway->series.has_gaps;
	return false;
}

/* In one of its dialects, so many sends went out that more of them are of no use. */
static bool series_has_tried(const struct gateway *gateway)
{
	for (enum dialect_id id = 0; id < DIALECTS; id++)
		if (gateway->series.in[id].count >= dialect_of(id)->tries)
			return true;
	return false;
}

static instant series_yields_at(const struct gateway *gateway)
{
	instant other_at = turn_is_final(gateway) ? 0 : other_may_start_at(gateway);

	return gateway->series.is_begun ? later(turn_over_at(gateway), other_at) : NEVER;
}

/* --- turns --- */

enum gateway_step gateway_next_step(const struct gateway *gateway, instant now)
{
	const struct series *series = &gateway->series;

	if (gateway->link_status != NATPMP_OK)
		return GATEWAY_WAIT;
	if (!gateway->in_flight)
		return lanes_first(gateway, now) ? GATEWAY_SEND : GATEWAY_WAIT;
	if (series_end_at(gateway) <= now)
		return GATEWAY_GIVE_UP;
	if (series_yields_at(gateway) <= now)
		return GATEWAY_YIELD;
	return series_next_at(series) <= now ? GATEWAY_SEND : GATEWAY_WAIT;
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
	if (gateway->series.is_begun && turn_over_at(gateway) > now)
		at = earlier(at, turn_over_at(gateway)); /* for gateway_on_time() */
	return earlier(at, series_next_at(&gateway->series));
}

/* May it be asked in another dialect than was planned? A deletion is for what was made in that one.
 */
static bool may_turn(const struct question *question)
{
	return question->message.kind == ASK_CREATE || question->message.kind == ASK_ADDRESS;
}

/* While it waited, the gateway may have rejected a dialect in which it was to be asked. */
static void question_leave_out_refused(struct question *question, dialect_set not_refused)
{
	dialect_set left = question->dialects & not_refused;

	if (left && may_turn(question))
		question->dialects = left;
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
	question_leave_out_refused(question, speech_not_refused(&gateway->speech, now));
	series_begin(gateway, now);
}

/* The question in flight has had its turn, and that was not a short one. */
static bool has_had_whole_turn(const struct gateway *gateway, instant now)
{
	return gateway->in_flight && gateway->series.is_begun && turn_length(gateway) == TURN &&
	       now >= turn_over_at(gateway);
}

/* If a whole turn was not answered and no other question waits, the gateway is silent. */
static void note_silence(struct gateway *gateway, instant now)
{
	const struct question *question = gateway->in_flight;

	if (!has_had_whole_turn(gateway, now) || gateway->series.is_heard ||
	    gateway->reach == NATPMP_E_REFUSED)
		return;
	if (silence_is_general(gateway))
		gateway->reach = question->hint ? question->hint : NATPMP_E_TIMEOUT;
}

/* A whole turn was not answered, and the question goes on: the gateway may speak another dialect by
 * now. */
static void try_other_dialects(struct gateway *gateway, instant now)
{
	struct question *question = gateway->in_flight;
	struct series *series = &gateway->series;

	if (!has_had_whole_turn(gateway, now) || !may_turn(question))
		return;
	dialect_set more = speech_not_refused(&gateway->speech, now) &
			   (dialect_set) ~(question->dialects | series->rejected);
	for (enum dialect_id id = 0; id < DIALECTS; id++)
		if (more & dialect_bit(id))
			series->in[id].next_at = now;
	question->dialects |= more;
}

/* A send is timed from the one before, as that was planned, so that late wake-ups do not stretch
 * the series. Sends whose time has passed are skipped. */
static void advance_series(struct gateway *gateway, enum dialect_id id, instant now)
{
	const struct dialect *dialect = dialect_of(id);
	struct sends *sends = &gateway->series.in[id];
	unsigned steps = 0;

	if (!sends->count) {
		sends->next_at = now;
		sends->end_at = now + dialect->series_length;
	}
	do {
		sends->count++;
		sends->gap = dialect->send_gap(sends->count, sends->gap,
					       gateway_jitter(gateway, now + sends->count));
		sends->next_at += sends->gap;
		steps++;
	} while (sends->next_at <= now && sends->count < dialect->sends);
	if (sends->count == dialect->sends)
		sends->next_at = sends->end_at;
	gateway->series.has_gaps |= steps > 1;
}

size_t gateway_encode(const struct gateway *gateway, enum dialect_id dialect,
		      const struct message *message, uint8_t bytes[REQUEST_MAX])
{
	return dialect_of(dialect)->encode(message, &gateway->ends, bytes);
}

size_t gateway_send(struct gateway *gateway, instant now, uint8_t bytes[REQUEST_MAX])
{
	struct series *series = &gateway->series;

	if (!gateway->in_flight)
		start_next_question(gateway, now);
	if (!series->is_begun)
		series->first_sent_at = now;
	series->is_begun = true;
	enum dialect_id dialect = series_next_dialect(series);
	advance_series(gateway, dialect, now);
	question_note_sent(gateway->in_flight, dialect, now);
	speech_on_sent(&gateway->speech, dialect);
	if (gateway->in_flight->is_single)
		series->in[dialect].next_at = NEVER;
	return gateway_encode(gateway, dialect, &gateway->in_flight->message, bytes);
}

static void begin_backoff(struct gateway *gateway, instant since)
{
	struct backoff *backoff = &gateway->backoff;
	duration doubled = backoff->length ? 2 * backoff->length : BACKOFF_MIN;

	backoff->length = earlier(doubled, BACKOFF_MAX);
	backoff->until = backoff->is_cut ? 0 : since + backoff->length;
	backoff->is_cut = false;
}

static void note_unanswered_turn(struct gateway *gateway)
{
	/* A question that was sent during a backoff does not prolong it, or the others would never
	 * have a turn. */
	if (backoff_follows(gateway) && gateway->backoff.until <= gateway->series.first_sent_at)
		begin_backoff(gateway, gateway->in_flight->last_sent);
	if (gateway->series.is_heard)
		return;
	gateway->silences++;
	speech_forget(&gateway->speech);
}

int gateway_put_away(struct gateway *gateway, instant now)
{
	struct question *question = gateway->in_flight;
	bool is_complete = series_is_complete(gateway, now);
	bool is_unspoken = turn_length(gateway) == SHORT_TURN;

	note_silence(gateway, now);
	/* One lost packet, or silence in a dialect that the gateway seems not to speak, is no sign
	 * that it is away. */
	if (turn_length(gateway) == TURN)
		note_unanswered_turn(gateway);
	question_land(gateway);
	if (question->hint)
		return question->hint;
	if (is_unspoken) {
		speech_on_refused(&gateway->speech, question->dialects, now + RECHECK_DELAY);
		return NATPMP_E_VERSION;
	}
	return is_complete ? NATPMP_E_NO_SERVICE : NATPMP_E_TIMEOUT;
}

/* --- the reboot --- */

static void open_window(struct gateway *gateway, instant now)
{
	instant granted_at = gateway->reboot.granted_at;

	gateway->short_until = 0; /* it was of what is gone now */
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
	try_other_dialects(gateway, now);
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
	const struct message *asked = gateway->in_flight ? &gateway->in_flight->message : NULL;
	struct response response = {.kind = RESPONSE_JUNK};

	/* While there is no link, packets from the old gateway count for nothing. */
	if (gateway->link_status != NATPMP_OK)
		return response;
	for (enum dialect_id id = 0; id < DIALECTS && response.kind == RESPONSE_JUNK; id++)
		response = dialect_of(id)->decode(bytes, len, asked, &gateway->ends);
	return response;
}

/* A gateway that was thought to be away is heard: a question whose sends it missed gets another
 * chance. If its turn is over already, it goes back to its lane. */
static void begin_series_anew(struct gateway *gateway, instant now)
{
	struct question *question = gateway->in_flight;

	if (!question || !series_has_tried(gateway))
		return;
	gateway->series.was_in_vain = true;
	if (now < turn_over_at(gateway))
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

/* Two programs may serve the two dialects, so each has a clock of its own (RFC 6887 section 8.5),
 * but a restart seen by either one counts for all.
 *
 * A packet may show a restart only if it came just now, and none if it waited to be read, as an
 * announcement may have. The next packet then tells, compared with the one before both. */
static void read_clock(struct gateway *gateway, instant at_earliest, instant now,
		       const struct response *response)
{
	enum dialect_id id = response->dialect;
	struct gateway_clock *last = &gateway->clocks.last[id];
	struct gateway_clock *sure = &gateway->clocks.sure[id];
	struct gateway_clock since_sure = *sure;
	struct gateway_clock if_just_now = *sure;

	if (!response->has_clock || !(gateway->speech.allowed & dialect_bit(id)))
		return;
	uint32_t clock = response->clock;
	bool since_last = dialect_of(id)->note_clock(last, clock, at_earliest, now);
	bool restarted =
		dialect_of(id)->note_clock(&since_sure, clock, at_earliest, now) || since_last;

	if (restarted)
		suspect_reboot(gateway, now);
	if (restarted || !dialect_of(id)->note_clock(&if_just_now, clock, now, now))
		*sure = *last;
}

/* After a longer silence, that a question was not answered in one dialect says nothing. */
static bool was_heard_at_once(const struct gateway *gateway, instant now)
{
	return now < gateway->series.first_sent_at + SHORT_TURN;
}

/* The question was answered in that dialect, and not in the other one, for long. */
static void note_unspoken(struct gateway *gateway, const struct question *question,
			  enum dialect_id dialect)
{
	const struct sends *in = gateway->series.in;

	for (enum dialect_id id = 0; id < DIALECTS && question == gateway->in_flight; id++)
		if (id != dialect && in[id].count >= dialect_of(id)->tries)
			gateway->speech.heard &= (dialect_set)~dialect_bit(id);
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
		note_unspoken(gateway, question, response->dialect);
		speech_on_answer(&gateway->speech, response->dialect,
				 was_heard_at_once(gateway, now) ? question->sent_in : 0, now);
		question->is_answered = true;
		question->hint = 0;
		gateway_withdraw(gateway, question);
		note_heard(gateway, now);
	} else if (gateway->hearing_until <= now) {
		if (gateway_is_away(gateway))
			gateway->hearing_until = now + SUSPICION_WINDOW;
		note_heard(gateway, now);
	}
	read_clock(gateway, at_earliest, now, response);
}

/* Go on in these dialects only, and at once in one that had no send so far. */
static void series_turn_to(struct series *series, dialect_set dialects, instant now)
{
	for (enum dialect_id id = 0; id < DIALECTS; id++) {
		struct sends *sends = &series->in[id];
		if (!(dialects & dialect_bit(id)))
			*sends = (struct sends){.next_at = NEVER};
		else if (!sends->count)
			sends->next_at = now;
	}
}

/* It speaks that version instead: of a dialect that it refused earlier, but not in this series,
 * for then it contradicts itself. */
static void note_version(struct gateway *gateway, uint8_t version)
{
	for (enum dialect_id id = 0; id < DIALECTS; id++)
		if (dialect_of(id)->version == version &&
		    !(gateway->series.rejected & dialect_bit(id)))
			speech_on_hint(&gateway->speech, id);
}

/* These sends of the question in flight were answered: it was rejected. */
static void question_note_rejected(struct question *question, dialect_set rejected)
{
	question->hint = 0;
	question->dialects &= (dialect_set)~rejected;
	question->sent_in &= (dialect_set)~rejected;
	if (!question->sent_in)
		question->is_answered = question->is_starting = true;
}

/* The rejection names the mapping that we asked for, so it is about a request in its own dialect.
 */
static bool names_question(const struct question *question, const struct response *response)
{
	return question && response->internal_port &&
	       response->internal_port == question->message.internal_port;
}

struct question *gateway_on_rejected(struct gateway *gateway, instant at_earliest, instant now,
				     const struct response *response, dialect_set *rejected)
{
	struct question *question = gateway->in_flight;
	struct series *series = &gateway->series;
	duration delay = response->retry_after ? response->retry_after : RECHECK_DELAY;
	bool is_sent = question && series->is_begun;
	dialect_set sent_in = is_sent ? question->sent_in & question->dialects : 0;

	*rejected = speech_on_rejected(&gateway->speech, sent_in, response->version, now);
	if (names_question(question, response))
		*rejected = sent_in & dialect_bit(response->dialect);
	if (!question || !*rejected)
		return NULL;
	gateway->answered_at = now;
	series->rejected |= *rejected;
	note_version(gateway, response->version);
	speech_on_refused(&gateway->speech, *rejected, now + delay);
	question_note_rejected(question, *rejected);
	/* Never twice in the same dialect at once, or whoever forges such packets would get one of
	 * ours for each of his. */
	if (!question->dialects && may_turn(question))
		question->dialects =
			speech_not_refused(&gateway->speech, now) & (dialect_set)~series->rejected;
	bool is_over = !question->dialects;
	if (is_over)
		question_land(gateway);
	else
		series_turn_to(series, question->dialects, now);
	note_heard(gateway, now);
	read_clock(gateway, at_earliest, now, response);
	return is_over ? question : NULL;
}

void gateway_on_shortage(struct gateway *gateway, instant until)
{
	gateway->short_until = later(gateway->short_until, until);
}

void gateway_forget_shortage(struct gateway *gateway)
{
	gateway->short_until = 0;
}

instant gateway_shortage_until(const struct gateway *gateway, const struct question *question)
{
	bool is_waiting = question->state == QUESTION_WAITING;

	return is_waiting ? shortage_over_at(gateway, (enum lane)question->lane) : 0;
}

/* The error is about one of the requests that the question in flight was sent as. A router quotes
 * at least 8 bytes after the IP header, so maybe none of ours (RFC 792), and may add padding (RFC
 * 4884). */
static bool is_about_question(const struct gateway *gateway, const uint8_t *bytes, size_t len)
{
	const struct question *question = gateway->in_flight;
	uint8_t ours[REQUEST_MAX];

	for (enum dialect_id id = 0; id < DIALECTS; id++) {
		if (!(question->sent_in & dialect_bit(id)))
			continue;
		size_t whole = gateway_encode(gateway, id, &question->message, ours);
		if (memcmp(ours, bytes, len < whole ? len : whole) == 0)
			return true;
	}
	return false;
}

struct question *gateway_on_bounce(struct gateway *gateway, instant now, const uint8_t *bytes,
				   size_t len, int status)
{
	struct question *question = gateway->in_flight;

	if (!question || !is_about_question(gateway, bytes, len))
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
		    const struct ip_address *address, const struct ip_address *own_address,
		    bool was_used_before)
{
	struct question *question = gateway->in_flight;

	if (question) {
		question_land(gateway);
		lane_enter(gateway, question, question->turn.key);
	}
	gateway->clocks = (struct clocks){0};
	speech_forget(&gateway->speech);
	gateway->short_until = 0;
	gateway->backoff = (struct backoff){0};
	gateway->hearing_until = 0;
	gateway->silences = 0;
	gateway->link_status = status;
	gateway->reach = NATPMP_PENDING;
	/* If there is no link, the old gateway may still have to be told farewell. */
	if (status == NATPMP_OK) {
		gateway->ends.gateway = *address;
		gateway->ends.own = *own_address;
	}
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

bool gateway_is_idle_at(const struct gateway *gateway, instant at)
{
	for (enum lane lane = 0; lane < LANES; lane++)
		if (gateway->lanes[lane].count && shortage_over_at(gateway, lane) <= at)
			return false;
	return !gateway->in_flight;
}

bool gateway_is_away(const struct gateway *gateway)
{
	return is_failure(gateway->reach);
}

/* Three sends went out, in whatever dialects, or more than half of those that are worth trying. */
static bool series_seems_unheard(const struct series *series)
{
	unsigned sends = 0;

	for (enum dialect_id id = 0; id < DIALECTS; id++) {
		sends += series->in[id].count;
		if (2 * series->in[id].count > dialect_of(id)->tries)
			return true;
	}
	return sends >= 3;
}

bool gateway_seems_away(const struct gateway *gateway)
{
	return gateway_is_away(gateway) || gateway->link_status != NATPMP_OK ||
	       (gateway->reach == NATPMP_PENDING && gateway->in_flight &&
		series_seems_unheard(&gateway->series));
}
