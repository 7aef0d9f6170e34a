/* SPDX-License-Identifier: MIT */
/*
 * gateway - one gateway, and which question may be sent to it next. Questions wait in lanes and one
 * is in flight (RFC 6886 section 3.1 wants no more); here are also its series of sends, the backoff
 * after silence and the recovery after a reboot. This part does not know what a question is about.
 */
#ifndef CORE_GATEWAY_H
#define CORE_GATEWAY_H

#include "core/heap.h"
#include "core/list.h"
#include "core/speech.h"

enum {
	BACKOFF_MIN = 1000,  /* ms between tries while the gateway is closed or silent, ... */
	BACKOFF_MAX = 64000, /* ... doubling up to this, until it is heard */
	BACKOFF_PASS = 1000, /* ms; during a backoff, renewals may go out this far apart */

	RECOVERY_DELAY_MAX = 5000, /* ms, random; RFC 6886 section 3.7 */
	SUSPICION_WINDOW = 30000,  /* ms; in each, at most one recovery starts, and unsolicited
				    * packets end at most one backoff */
	ANSWER_WINDOW = 127750,    /* ms after a send in which it may still be answered */

	TURN = 7750,        /* ms that a question keeps its turn, if another one waits */
	SHORT_TURN = 1750,  /* ms; the same in a dialect that the gateway seems not to speak */
	SINGLE_TURN = 2000, /* ms; the same for a question of a single send */
	SECOND_DELAY = 250, /* ms; if we do not know the gateway, the second dialect is tried so
			     * much after the first one */

	RANK_MARGIN = 600000, /* ms; a new question ranks this much later than now, so behind
			       * renewals of mappings that end sooner */
	RANK_MARGIN_DELETING =
		300000, /* ms; the same for a deletion, which goes before what is new */
};

/* When may a question start? */
enum lane {
	LANE_AT_ONCE,        /* a caller is blocked by it */
	LANE_AFTER_BACKOFF,  /* it deletes, or asks for the external address */
	LANE_NEW,            /* it asks for a mapping that was never granted */
	LANE_AFTER_RECOVERY, /* it renews a mapping in force, which must not be lost to a backoff */
	LANE_AFTER_BOTH,     /* it asks for a mapping that was lost, or may be */
	LANES,
	LANE_ROOMY = LANE_NEW, /* it has room for every question */
};

enum question_state {
	QUESTION_IDLE,
	QUESTION_WAITING,  /* in its lane */
	QUESTION_IN_FLIGHT /* sent and not answered so far */
};

/* One thing to ask the gateway, embedded in the struct that needs the answer. */
struct question {
	struct message message;
	uint8_t state;        /* enum question_state */
	uint8_t lane;         /* enum lane */
	bool is_answered;     /* its last send was answered, or never will be */
	bool is_superseded;   /* its owner wants to ask something else, so no answer is needed */
	bool is_starting;     /* it was submitted and not sent since */
	bool is_brief;        /* its turn ends after TURN, even if no other question waits */
	bool is_single : 1;   /* a single send, then its turn ends */
	bool is_noted : 1;    /* zero_grants counts what came since the last send */
	dialect_set dialects; /* in which it is asked */
	dialect_set sent_in;  /* in which it was sent, and may still be answered */
	uint8_t zero_grants;  /* successes with port or lifetime 0 since it was submitted */
	int16_t hint;         /* natpmp_status of what was heard instead of an answer; 0: nothing */
	struct heap_node turn;
	instant asked_at;  /* the first send that an answer may still belong to */
	instant last_sent; /* 0: never */
};

/* The sends in one dialect. */
struct sends {
	unsigned count;
	duration gap;            /* between the last one and the next */
	instant next_at, end_at; /* end_at: of the series, once it has begun */
};

/* The series of sends of the question in flight. */
struct series {
	struct sends in[DIALECTS];
	dialect_set rejected; /* the gateway rejected it in these dialects */
	bool is_begun;        /* false: the first send is due */
	instant first_sent_at;
	bool is_heard;    /* the gateway was heard since the first send */
	bool was_in_vain; /* its first sends went to a gateway that was away */
	bool has_gaps;    /* sends were skipped, because we were called too late */
};

/* The time in which a silent or closed gateway is not asked. */
struct backoff {
	duration length; /* 0: there is none */
	instant until;
	instant pass_at; /* when the next renewal may be sent in spite of it */
	bool is_cut;     /* somebody asked anew: the next backoff stops no question */
};

/* A grant older than forgot_at is doubted, because the gateway may have forgotten it. Even if
 * packets are read in the same ms, forgot_at is later than every grant before the reboot, and no
 * later than any grant after it. */
struct reboot {
	instant forgot_at;
	instant granted_at;   /* when the youngest grant came */
	instant recovery_at;  /* when doubted grants are asked for; NEVER: no recovery is planned */
	instant window_until; /* a later suspicion waits until then */
	bool is_suspected_again;
};

struct clocks {
	struct gateway_clock last[DIALECTS];
	struct gateway_clock sure[DIALECTS]; /* as last seen without a doubt of a restart */
};

struct gateway {
	struct speech speech;
	struct ends ends;
	struct heap lanes[LANES];
	struct question *in_flight;
	struct series series;
	struct backoff backoff;
	struct reboot reboot;
	instant short_until; /* of mappings (RFC 6887 section 11.4): it is asked for no new one,
			      * unless a caller is blocked by that and wants to know */
	struct clocks clocks;
	instant answered_at;   /* when a question was last answered */
	instant hearing_until; /* unsolicited packets end no backoff before this */
	int link_status;       /* NATPMP_OK: there is a gateway to ask */
	int reach; /* NATPMP_PENDING: not known; NATPMP_OK: it answers; else why it does not */
	unsigned silences; /* questions put away in a row with nothing heard */
	uint32_t serial;   /* counts submissions: of equal ranks the earlier goes first */
	uint64_t random;
};

/* secret: of SECRET_LEN bytes. */
void gateway_init(struct gateway *gateway, dialect_set allowed, const uint8_t *secret,
		  uint64_t seed);
void gateway_free(struct gateway *gateway);
/* Make room for that many questions, so that none is ever lost. False: out of memory. */
bool gateway_reserve(struct gateway *gateway, size_t questions);

/* --- questions --- */

/* Let a question wait for its turn; its message and dialects must be set. The smallest rank goes
 * first. */
void gateway_submit(struct gateway *gateway, struct question *question, enum lane lane,
		    instant rank);
/* Somebody asks anew: the present backoff ends. The next one is still twice as long. */
void gateway_cut_backoff(struct gateway *gateway);
/* Take a question back, whatever its state. */
void gateway_withdraw(struct gateway *gateway, struct question *question);
/* If the question is in flight and its next send is not near, begin its series again. */
void gateway_restart_series(struct gateway *gateway, struct question *question, instant now);
/* When the earliest send went out that an answer arriving now may belong to. */
instant question_answerable_at(const struct question *question, instant now);
/* It was sent and not answered, and an answer may still come. */
bool question_is_outstanding(const struct question *question, instant now);

/* --- turns --- */

enum gateway_step {
	GATEWAY_WAIT,   /* nothing is due */
	GATEWAY_SEND,   /* call gateway_send(): for a new question, or for the one in flight */
	GATEWAY_YIELD,  /* call gateway_put_away(): the question had its turn, and makes way */
	GATEWAY_GIVE_UP /* call gateway_put_away(): the series of sends is over */
};

enum gateway_step gateway_next_step(const struct gateway *gateway, instant now);
/* When a step, the recovery or gateway_on_time() is due next, or NEVER. */
instant gateway_next_deadline(const struct gateway *gateway, instant now);
/* Put a question in flight, if none is, and write the bytes to send. Returns their number. */
size_t gateway_send(struct gateway *gateway, instant now, uint8_t bytes[REQUEST_MAX]);
/* Write the request of a message in that dialect. Returns the number of bytes. */
size_t gateway_encode(const struct gateway *gateway, enum dialect_id dialect,
		      const struct message *message, uint8_t bytes[REQUEST_MAX]);
/* End the turn of the question in flight, which was not answered. Returns the reason. */
int gateway_put_away(struct gateway *gateway, instant now);
/* Do what is due by time alone: note that five sends were not answered, and act on a suspicion that
 * had to wait. */
void gateway_on_time(struct gateway *gateway, instant now);
/* Something was granted. Returns the instant to note for it: not before the last reboot. */
instant gateway_note_grant(struct gateway *gateway, instant now);
/* The recovery has begun. */
void gateway_recover(struct gateway *gateway);

/* --- from outside --- */

struct response gateway_read(const struct gateway *gateway, const uint8_t *bytes, size_t len);
/* A response came between the two instants. question: the one that it answers, which is idle
 * afterwards, or NULL. */
void gateway_on_response(struct gateway *gateway, instant at_earliest, instant now,
			 const struct response *response, struct question *question);
/* The gateway rejected the version of a request that is in flight, whose other dialect is then due
 * at once. Returns the question if there is no other one: it is idle afterwards. rejected: the
 * dialects that the gateway does not speak. */
struct question *gateway_on_rejected(struct gateway *gateway, instant at_earliest, instant now,
				     const struct response *response, dialect_set *rejected);
/* The gateway said that it is short of mappings. */
void gateway_on_shortage(struct gateway *gateway, instant until);
/* A person asks in spite of that. */
void gateway_forget_shortage(struct gateway *gateway);
/* An error came back for a request; bytes: as much of that request as is known. NATPMP_E_REFUSED
 * ends the question in flight and returns it; any other status is only a hint (RFC 1122
 * section 3.2.2.1) and returns NULL. */
struct question *gateway_on_bounce(struct gateway *gateway, instant now, const uint8_t *bytes,
				   size_t len, int status);
/* The link changed: another gateway (address), another own address, or no gateway (status says
 * why). was_used_before: what this gateway granted is asked for after a random delay, not at
 * once. */
void gateway_relink(struct gateway *gateway, instant now, int status,
		    const struct ip_address *address, const struct ip_address *own_address,
		    bool was_used_before);

/* --- what is known --- */

/* Until when the shortage stops a question that waits; 0: it does not. */
instant gateway_shortage_until(const struct gateway *gateway, const struct question *question);
/* No question waits or is in flight. */
bool gateway_is_idle(const struct gateway *gateway);
/* ... but for what the shortage stops at that time. */
bool gateway_is_idle_at(const struct gateway *gateway, instant at);
/* It does not answer, or runs no such service. */
bool gateway_is_away(const struct gateway *gateway);
/* It is away, there is no link, or three sends got no sign of it. */
bool gateway_seems_away(const struct gateway *gateway);
/* splitmix64, for delays and port suggestions. It is not for secrets. */
uint64_t gateway_random(struct gateway *gateway);
/* The same without a step: equal for equal numbers until the next step. */
uint64_t gateway_jitter(const struct gateway *gateway, uint64_t number);

#endif
