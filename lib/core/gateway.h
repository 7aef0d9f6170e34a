/* SPDX-License-Identifier: MIT */
/*
 * gateway - one gateway, and whose turn it is to ask it something: questions wait in lanes, one is
 * in flight (RFC 6886 section 3.1 wants no more), its series of sends, the backoff after silence,
 * the recovery after a reboot. What a question is about is for others to know.
 */
#ifndef CORE_GATEWAY_H
#define CORE_GATEWAY_H

#include "core/dialect.h"
#include "core/heap.h"
#include "core/list.h"

enum {
	BACKOFF_MIN = 1000,  /* ms between tries of a gateway that is closed or silent, ... */
	BACKOFF_MAX = 64000, /* ... doubling, until it is heard */
	BACKOFF_PASS = 1000, /* ms; a mapping in force may pass the backoff as often as this */

	RECOVERY_DELAY_MAX = 5000, /* ms, random; RFC 6886 section 3.7 */
	SUSPICION_WINDOW = 30000,  /* ms; packets that nobody asked for start one recovery, and
				    * end one backoff, in each */
	ANSWER_WINDOW = 127750,    /* ms; so long may a send still be answered */
};

/* When may a question start? */
enum lane {
	LANE_AT_ONCE,        /* a caller is blocked by it */
	LANE_AFTER_BACKOFF,  /* the gateway never granted what it asks for, or it deletes */
	LANE_AFTER_RECOVERY, /* a mapping is in force and must not be lost to a backoff */
	LANE_AFTER_BOTH,     /* a mapping that was lost, or may be */
	LANES
};

enum question_state {
	QUESTION_IDLE,
	QUESTION_WAITING,  /* in its lane */
	QUESTION_IN_FLIGHT /* sent, not answered so far */
};

/* One thing to ask, embedded in whatever wants to know. */
struct question {
	struct message message;
	uint8_t state;       /* enum question_state */
	uint8_t lane;        /* enum lane */
	bool is_answered;    /* since it was sent last */
	bool is_starting;    /* to be sent for the first time since it was submitted */
	bool is_brief;       /* its turn ends after five sends, even if no other question waits */
	uint8_t zero_grants; /* "granted" with port or lifetime 0, since it was submitted */
	int16_t hint;        /* natpmp_status: what was heard short of an answer; 0: nothing */
	struct heap_node turn;
	instant asked_at;  /* its first send that may still be answered */
	instant last_sent; /* 0: never */
};

/* The series of sends of the question in flight. */
struct series {
	unsigned sends; /* 0: the first is due */
	instant first_sent_at, next_send_at;
	bool is_heard;    /* the gateway, since the first send */
	bool was_in_vain; /* all five were sent to a gateway that was away */
};

/* The gateway is not to be asked for a while. */
struct backoff {
	duration length; /* 0: there is none */
	instant until;
	instant pass_at; /* when the next question may pass it */
};

/* What the gateway forgot. A grant older than forgot_at is doubted. */
struct reboot {
	instant forgot_at;
	instant recovery_at;  /* what is doubted is asked for then; NEVER: nothing is to come */
	instant window_until; /* a later suspicion waits until then */
	bool is_suspected_again;
};

struct gateway {
	const struct dialect *dialect;
	struct heap lanes[LANES];
	struct question *in_flight;
	struct series series;
	struct backoff backoff;
	struct reboot reboot;
	struct gateway_clock clock;
	instant answered_at; /* a question was answered last */
	instant hearing_until; /* what comes unasked does not end a backoff before */
	int link_status;     /* NATPMP_OK: there is a gateway to ask */
	int reach; /* NATPMP_PENDING: not known; NATPMP_OK: it answers; else why it does not */
	unsigned silences;    /* questions given up in a row without hearing anything */
	uint32_t own_address; /* host order */
	uint32_t serial;      /* of submissions */
	bool pcp_was_asked;
	uint64_t random;
};

void gateway_init(struct gateway *gateway, const struct dialect *dialect, uint64_t seed);
void gateway_free(struct gateway *gateway);
/* Make room for that many questions. False: out of memory. */
bool gateway_reserve(struct gateway *gateway, size_t questions);

/* --- questions --- */

/* Let a question wait for its turn; its message is set. The smallest rank goes first. */
void gateway_submit(struct gateway *gateway, struct question *question, enum lane lane,
		    instant rank);
/* Somebody asks anew: the backoff stops nobody this time. It goes on doubling. */
void gateway_cut_backoff(struct gateway *gateway);
/* Take a question back, whatever its state. */
void gateway_withdraw(struct gateway *gateway, struct question *question);
/* If the question is in flight and its next send is not near, begin its series again. */
void gateway_restart_series(struct gateway *gateway, struct question *question, duration near,
			    instant now);
/* It asks for something of another kind from now on: what was sent before is not its own. */
void question_become(struct question *question, enum message_kind kind);
/* One of its sends may still be answered, and none was. */
bool question_is_outstanding(const struct question *question, instant now);

/* --- turns --- */

enum gateway_step {
	GATEWAY_WAIT,   /* nothing is due */
	GATEWAY_SEND,   /* gateway_send(): a new question, or the one in flight again */
	GATEWAY_YIELD,  /* gateway_put_away(): it had its sends, and another question waits */
	GATEWAY_GIVE_UP /* gateway_put_away(): its series is over */
};

enum gateway_step gateway_next_step(const struct gateway *gateway, instant now);
/* When a step is due; NEVER. */
instant gateway_next_deadline(const struct gateway *gateway, instant now);
/* The bytes to send; the question that they ask is in flight. Returns their number. */
size_t gateway_send(struct gateway *gateway, instant now, uint8_t bytes[REQUEST_MAX]);
/* The question in flight is in vain for now. Returns why. */
int gateway_put_away(struct gateway *gateway, instant now);
/* What is due by itself: the question in flight was not answered, a suspicion had to wait. */
void gateway_on_time(struct gateway *gateway, instant now);
/* The recovery has begun. */
void gateway_recover(struct gateway *gateway);

/* --- from outside --- */

struct response gateway_read(const struct gateway *gateway, const uint8_t *bytes, size_t len);
/* A response that came between two instants, and the question that it answers; NULL: none. The
 * question is idle then. */
void gateway_on_response(struct gateway *gateway, instant at_earliest, instant now,
			 const struct response *response, struct question *question);
/* The request in flight was sent in vain. bytes: the datagram, or as much of it as is known.
 * NATPMP_E_REFUSED ends it, and it is returned; anything else is a hint (RFC 1122 section
 * 3.2.2.1), and NULL is returned. */
struct question *gateway_on_bounce(struct gateway *gateway, instant now, const uint8_t *bytes,
				   size_t len, int status);
/* Another gateway, or the same one over another address of ours, or none (status says why). It
 * was used before: what it granted then is asked for after a random delay, else at once. */
void gateway_relink(struct gateway *gateway, instant now, int status, uint32_t own_address,
		    bool was_used_before);

/* --- what is known --- */

/* It does not answer, or runs no such service. */
bool gateway_is_away(const struct gateway *gateway);
/* It was asked three times and never heard. */
bool gateway_seems_away(const struct gateway *gateway);
/* splitmix64: for delays and suggestions, nothing that must not be guessed. */
uint64_t gateway_random(struct gateway *gateway);

#endif
