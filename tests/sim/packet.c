/* SPDX-License-Identifier: MIT */
#include "packet.h"

#include <string.h>

#include "natpmpc.h"

enum { TCP = 6, UDP = 17, MAP = 1, OPTION_PREFER_FAILURE = 2, BY_NATPMP = 1, BY_PCP = 2 };

uint16_t packet_get16(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

uint32_t packet_get32(const uint8_t *bytes)
{
	return (uint32_t)packet_get16(bytes) << 16 | packet_get16(bytes + 2);
}

static struct packet read_natpmp(const uint8_t *bytes, size_t len)
{
	struct packet packet = {.dialect = DIALECT_NATPMP};

	if (len == 2 && bytes[1] == 0)
		packet.kind = PACKET_ADDRESS;
	if (len != 12 || bytes[1] < NATPMP_UDP || bytes[1] > NATPMP_TCP)
		return packet;
	packet.kind = PACKET_MAP;
	packet.protocol = bytes[1];
	packet.internal_port = packet_get16(bytes + 4);
	packet.suggested_port = packet_get16(bytes + 6);
	packet.lifetime = packet_get32(bytes + 8);
	return packet;
}

static struct packet read_pcp(const uint8_t *bytes, size_t len)
{
	static const uint8_t option[4] = {OPTION_PREFER_FAILURE};
	struct packet packet = {.dialect = DIALECT_PCP};

	if (len == PCP_HEADER && bytes[1] == 0)
		packet.kind = PACKET_ADDRESS;
	if ((len != PCP_MAP && len != PCP_MAP + sizeof(option)) || bytes[1] != MAP)
		return packet;
	if (bytes[PCP_AT_PROTOCOL] != TCP && bytes[PCP_AT_PROTOCOL] != UDP)
		return packet;
	packet.prefers_failure = len > PCP_MAP;
	if (packet.prefers_failure && memcmp(bytes + PCP_MAP, option, sizeof(option)) != 0)
		return packet;
	packet.kind = PACKET_MAP;
	packet.protocol = bytes[PCP_AT_PROTOCOL] == UDP ? NATPMP_UDP : NATPMP_TCP;
	packet.internal_port = packet_get16(bytes + PCP_AT_INTERNAL_PORT);
	packet.suggested_port = packet_get16(bytes + PCP_AT_EXTERNAL_PORT);
	packet.lifetime = packet_get32(bytes + PCP_AT_LIFETIME);
	return packet;
}

struct packet packet_read(const uint8_t *bytes, size_t len)
{
	if (len < 2 || (bytes[0] != 0 && bytes[0] != 2))
		return (struct packet){.kind = PACKET_STRANGE};
	return bytes[0] ? read_pcp(bytes, len) : read_natpmp(bytes, len);
}

bool packet_is_of_same(const struct packet *a, const struct packet *b)
{
	return a->kind == b->kind && a->protocol == b->protocol &&
	       a->internal_port == b->internal_port;
}

bool packet_is_deletion(const struct packet *packet)
{
	return packet->kind == PACKET_MAP && !packet->lifetime;
}

unsigned packet_makers(dialect_set dialects)
{
	return (dialects & ONLY_NATPMP ? BY_NATPMP : 0U) | (dialects & ONLY_PCP ? BY_PCP : 0U);
}
