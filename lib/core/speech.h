/* SPDX-License-Identifier: MIT */
/*
 * speech - which dialects the gateway speaks, as far as we heard on this link. A gateway that we do
 * not know is asked in all that are allowed. One that was heard is asked in one dialect; PCP comes
 * first (RFC 6887 appendix A). A dialect that it does not speak is tried again after RECHECK_DELAY,
 * because a gateway may be changed at any time (RFC 6886 section 1.1).
 */
#ifndef CORE_SPEECH_H
#define CORE_SPEECH_H

#include "core/dialect.h"

enum {
	RECHECK_DELAY =
		300000, /* ms until we try a dialect again that the gateway does not speak */
};

struct speech {
	dialect_set allowed;             /* we may use them: natpmp_options.dialect */
	dialect_set heard;               /* it answered in them, and was not silent since */
	dialect_set unspoken;            /* it did not speak them when it was asked last */
	instant refused_until[DIALECTS]; /* before this, it is taken not to speak that one */
	bool options_are_refused;        /* it knows no option PREFER_FAILURE */
	uint8_t open_sends[DIALECTS];    /* neither answered nor rejected so far */
};

const struct dialect *dialect_of(enum dialect_id id);

static inline dialect_set dialect_bit(enum dialect_id id)
{
	return (dialect_set)(1U << id);
}

/* Forget all that was heard: the link changed, or the gateway is silent. */
void speech_forget(struct speech *speech);
/* The allowed dialects that it did not refuse. */
dialect_set speech_not_refused(const struct speech *speech, instant now);
/* When it may be asked again, if it refused all allowed dialects and PCP is one of them: that has a
 * rule for this case (RFC 6887 section 9). 0: at once. */
instant speech_open_at(const struct speech *speech);
/* The dialects that it may speak; all allowed ones if it refused them all. */
dialect_set speech_usable(const struct speech *speech, instant now);
/* The dialects in which to ask for a mapping: the best one that was heard, or all usable ones. */
dialect_set speech_to_use(const struct speech *speech, instant now);
/* The gateway answers, but was never heard in any of these dialects. */
bool speech_is_doubtful(const struct speech *speech, dialect_set dialects);

/* It answered in that dialect a question that was sent in these. */
void speech_on_answer(struct speech *speech, enum dialect_id dialect, dialect_set sent_in,
		      instant now);
/* It says, or shows by silence, that it does not speak these dialects. */
void speech_on_refused(struct speech *speech, dialect_set dialects, instant until);
/* A request was sent in that dialect. */
void speech_on_sent(struct speech *speech, enum dialect_id dialect);
/* A gateway that speaks that version rejected a request. Which dialects does it reject, if the
 * question in flight was sent in these? 0: none, it is a late answer to an earlier request. */
dialect_set speech_on_rejected(struct speech *speech, dialect_set sent_in, uint8_t version,
			       instant now);
/* It may speak that dialect after all: a packet in it came unasked. */
void speech_on_hint(struct speech *speech, enum dialect_id dialect);

#endif
