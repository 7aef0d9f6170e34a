/* SPDX-License-Identifier: MIT */
#include "digest.h"

#include <inttypes.h>
#include <stdio.h>

/* The first byte of what follows. */
enum { PACKET = 'p', EVENT = 'e' };

static void add_byte(struct digest *digest, uint8_t byte)
{
	digest->hash = (digest->hash ^ byte) * UINT64_C(0x100000001b3);
}

/* Always as 8 bytes, the first one the highest: the same on every machine. */
static void add_number(struct digest *digest, uint64_t number)
{
	for (int shift = 56; shift >= 0; shift -= 8)
		add_byte(digest, (uint8_t)(number >> shift));
}

void digest_begin(struct digest *digest)
{
	*digest = (struct digest){.hash = UINT64_C(0xcbf29ce484222325)};
}

void digest_packet(struct digest *digest, uint64_t at, const uint8_t *bytes, size_t len)
{
	digest->packets++;
	add_byte(digest, PACKET);
	add_number(digest, at);
	add_number(digest, len);
	for (size_t i = 0; i < len; i++)
		add_byte(digest, bytes[i]);
}

static unsigned protocols_of(const struct lease *lease)
{
	unsigned protocols = 0;

	for (unsigned i = 0; i < lease->count; i++)
		protocols |= lease->grants[i]->question.message.protocol;
	return protocols;
}

void digest_event(struct digest *digest, uint64_t at, const struct lease *lease,
		  const struct lease_view *before)
{
	const struct lease_view *is = &lease->told;

	digest->events++;
	add_byte(digest, EVENT);
	add_number(digest, at);
	add_number(digest, protocols_of(lease));
	add_number(digest, is->internal_port);
	add_number(digest, (uint64_t)before->status);
	add_number(digest, (uint64_t)is->status);
	add_number(digest, is->external_port);
	add_number(digest, ip_to_v4(&is->external_address));
	add_number(digest, ip_to_v4(&is->internal_address));
}

size_t digest_line(const struct digest *digest, const char *name, char line[DIGEST_LINE_MAX])
{
	int len = snprintf(line, DIGEST_LINE_MAX, "%s %" PRIu64 " %" PRIu64 " %016" PRIx64 "\n",
			   name, digest->packets, digest->events, digest->hash);

	return len > 0 && len < DIGEST_LINE_MAX ? (size_t)len : 0;
}
