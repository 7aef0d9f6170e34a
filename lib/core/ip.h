/* SPDX-License-Identifier: MIT */
/* ip - an address of either family in 16 bytes, as PCP has it on the wire: an IPv4 address is
 * ::ffff:a.b.c.d (RFC 6887 section 5). All zero means: no address. */
#ifndef CORE_IP_H
#define CORE_IP_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct ip_address {
	uint8_t bytes[16];
};

/* address: IPv4, in host order. 0.0.0.0 becomes "no address". */
static inline struct ip_address ip_from_v4(uint32_t address)
{
	struct ip_address ip = {{0}};

	if (!address)
		return ip;
	ip.bytes[10] = ip.bytes[11] = 0xff;
	for (int i = 0; i < 4; i++)
		ip.bytes[12 + i] = (uint8_t)(address >> (24 - 8 * i));
	return ip;
}

/* Is it ::ffff:a.b.c.d? All of the first 96 bits count. */
static inline bool ip_is_v4(const struct ip_address *ip)
{
	static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(ip->bytes, prefix, sizeof(prefix)) == 0;
}

/* The IPv4 address, in host order; 0 if it is none. */
static inline uint32_t ip_to_v4(const struct ip_address *ip)
{
	const uint8_t *last = ip->bytes + 12;

	if (!ip_is_v4(ip))
		return 0;
	return (uint32_t)last[0] << 24 | (uint32_t)last[1] << 16 | (uint32_t)last[2] << 8 | last[3];
}

static inline bool ip_is_equal(const struct ip_address *a, const struct ip_address *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static inline bool ip_is_none(const struct ip_address *ip)
{
	static const struct ip_address none = {{0}};

	return ip_is_equal(ip, &none);
}

#endif
