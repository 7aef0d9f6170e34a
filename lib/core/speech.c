/* SPDX-License-Identifier: MIT */
#include "core/speech.h"

#include "core/natpmp.h"
#include "core/pcp.h"

const struct dialect *dialect_of(enum dialect_id id)
{
	static const struct dialect *const dialects[DIALECTS] = {
		[DIALECT_PCP] = &dialect_pcp,
		[DIALECT_NATPMP] = &dialect_natpmp,
	};

	return dialects[id];
}

void speech_forget(struct speech *speech)
{
	*speech = (struct speech){.allowed = speech->allowed};
}

dialect_set speech_not_refused(const struct speech *speech, instant now)
{
	dialect_set usable = speech->allowed;

	for (enum dialect_id id = 0; id < DIALECTS; id++)
		if (now < speech->refused_until[id])
			usable &= (dialect_set)~dialect_bit(id);
	return usable;
}

instant speech_open_at(const struct speech *speech)
{
	instant at = speech->allowed & ONLY_PCP ? NEVER : 0;

	for (enum dialect_id id = 0; id < DIALECTS; id++)
		if (speech->allowed & dialect_bit(id))
			at = earlier(at, speech->refused_until[id]);
	return at;
}

dialect_set speech_usable(const struct speech *speech, instant now)
{
	dialect_set usable = speech_not_refused(speech, now);

	return usable ? usable : speech->allowed;
}

/* The best dialect of a set that is not empty. */
static dialect_set best_of(dialect_set dialects)
{
	return dialects & ONLY_PCP ? ONLY_PCP : dialects;
}

dialect_set speech_to_use(const struct speech *speech, instant now)
{
	dialect_set usable = speech_usable(speech, now);
	dialect_set heard = usable & speech->heard;

	/* A gateway that spoke NAT-PMP alone may speak PCP by now. */
	if (!heard || best_of(heard) != best_of(usable))
		return usable;
	return best_of(heard);
}

bool speech_is_doubtful(const struct speech *speech, dialect_set dialects)
{
	return speech->heard && !(speech->heard & dialects);
}

void speech_on_answer(struct speech *speech, enum dialect_id dialect, dialect_set sent_in,
		      instant now)
{
	dialect_set silent = sent_in & (dialect_set) ~(speech->heard | dialect_bit(dialect));

	speech->heard |= dialect_bit(dialect);
	speech->unspoken &= (dialect_set)~dialect_bit(dialect);
	speech->open_sends[dialect] = 0;
	speech->refused_until[dialect] = 0;
	/* That one was silent once is no reason not to look at its clock. */
	dialect_set unspoken = speech->unspoken;
	if (silent)
		speech_on_refused(speech, silent, now + RECHECK_DELAY);
	speech->unspoken = unspoken;
}

void speech_on_refused(struct speech *speech, dialect_set dialects, instant until)
{
	speech->heard &= (dialect_set)~dialects;
	speech->unspoken |= dialects;
	for (enum dialect_id id = 0; id < DIALECTS; id++)
		if (dialects & dialect_bit(id))
			speech->refused_until[id] = until;
}

void speech_on_sent(struct speech *speech, enum dialect_id dialect)
{
	if (speech->open_sends[dialect] < UINT8_MAX)
		speech->open_sends[dialect]++;
}

/* The gateway was heard to refuse that dialect, so what looks like another refusal may be a copy.
 */
static bool is_refused(const struct speech *speech, enum dialect_id id, instant now)
{
	return speech->allowed & dialect_bit(id) && now < speech->refused_until[id];
}

dialect_set speech_on_rejected(struct speech *speech, dialect_set sent_in, uint8_t version,
			       instant now)
{
	dialect_set rejected = 0;
	bool may_be_due = false;

	for (enum dialect_id id = 0; id < DIALECTS; id++) {
		if (dialect_of(id)->version == version)
			continue;
		may_be_due |= speech->open_sends[id] || is_refused(speech, id, now);
		if (speech->open_sends[id])
			speech->open_sends[id]--;
		rejected |= sent_in & dialect_bit(id);
	}
	/* It rejects the version which it says it speaks, and no other request can be meant: do as
	 * if it spoke another one (RFC 6887 section 9). */
	return rejected || may_be_due ? rejected : sent_in;
}

void speech_on_hint(struct speech *speech, enum dialect_id dialect)
{
	speech->refused_until[dialect] = 0;
	speech->unspoken &= (dialect_set)~dialect_bit(dialect);
}
