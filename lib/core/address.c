/* SPDX-License-Identifier: MIT */
#include "core/address.h"

#include <arpa/inet.h>
#include <stddef.h>

#define IP(a, b, c, d)                                                                             \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

struct net {
	uint32_t first; /* 32 bits */
	unsigned bits;
	natpmp_address_kind kind;
};

/* RFC 6890 section 2.2, RFC 6598; the first match counts. */
static const struct net nets_v4[] = {
	{IP(10, 0, 0, 0), 8, NATPMP_ADDRESS_PRIVATE},
	{IP(172, 16, 0, 0), 12, NATPMP_ADDRESS_PRIVATE},
	{IP(192, 168, 0, 0), 16, NATPMP_ADDRESS_PRIVATE},
	{IP(100, 64, 0, 0), 10, NATPMP_ADDRESS_SHARED},
	{IP(169, 254, 0, 0), 16, NATPMP_ADDRESS_LINK_LOCAL},
	{IP(0, 0, 0, 0), 8, NATPMP_ADDRESS_RESERVED},
	{IP(127, 0, 0, 0), 8, NATPMP_ADDRESS_RESERVED},
	{IP(192, 0, 0, 9), 32, NATPMP_ADDRESS_PUBLIC}, /* PCP anycast, RFC 7723 */
	{IP(192, 0, 0, 0), 24, NATPMP_ADDRESS_RESERVED},
	{IP(192, 0, 2, 0), 24, NATPMP_ADDRESS_RESERVED},
	{IP(198, 51, 100, 0), 24, NATPMP_ADDRESS_RESERVED},
	{IP(203, 0, 113, 0), 24, NATPMP_ADDRESS_RESERVED},
	{IP(198, 18, 0, 0), 15, NATPMP_ADDRESS_RESERVED},
	{IP(224, 0, 0, 0), 4, NATPMP_ADDRESS_RESERVED},
	{IP(240, 0, 0, 0), 4, NATPMP_ADDRESS_RESERVED},
};
static const struct net nets_v6[] = {
	{0x20010db8, 32, NATPMP_ADDRESS_RESERVED}, /* documentation */
	{0x20010000, 32, NATPMP_ADDRESS_PUBLIC},   /* Teredo */
	{0x20010000, 23, NATPMP_ADDRESS_RESERVED},   {0x20000000, 3, NATPMP_ADDRESS_PUBLIC},
	{0xfc000000, 7, NATPMP_ADDRESS_PRIVATE}, /* RFC 4193 */
	{0xfe800000, 10, NATPMP_ADDRESS_LINK_LOCAL},
};

enum {
	NETS_V4 = sizeof(nets_v4) / sizeof(nets_v4[0]),
	NETS_V6 = sizeof(nets_v6) / sizeof(nets_v6[0]),
};

static natpmp_address_kind kind_in(const struct net *nets, size_t count, uint32_t first,
				   natpmp_address_kind otherwise)
{
	for (size_t i = 0; i < count; i++)
		if ((first ^ nets[i].first) >> (32 - nets[i].bits) == 0)
			return nets[i].kind;
	return otherwise;
}

natpmp_address_kind address_classify(const struct ip_address *ip)
{
	const uint8_t *b = ip->bytes;

	if (ip_is_v4(ip))
		return kind_in(nets_v4, NETS_V4, ip_to_v4(ip), NATPMP_ADDRESS_PUBLIC);
	return kind_in(nets_v6, NETS_V6, IP(b[0], b[1], b[2], b[3]), NATPMP_ADDRESS_RESERVED);
}

static bool is_loopback(const struct ip_address *ip)
{
	static const struct ip_address loopback = {{[15] = 1}};

	return ip_is_equal(ip, &loopback) || ip_to_v4(ip) >> 24 == 127;
}

bool address_is_peer(const struct ip_address *ip)
{
	if (ip_is_v4(ip))
		return ip_to_v4(ip) && ip_to_v4(ip) >> 28 < 0xe;
	return !ip_is_none(ip) && ip->bytes[0] != 0xff;
}

bool address_is_usable(const struct ip_address *ip)
{
	if (ip_is_v4(ip) && ip_to_v4(ip) >> 24 == 0)
		return false;
	if (!ip_is_v4(ip) && address_classify(ip) == NATPMP_ADDRESS_LINK_LOCAL)
		return false;
	return address_is_peer(ip) && !is_loopback(ip);
}

void address_print(const struct ip_address *ip, char text[NATPMP_ADDRESS_LEN])
{
	static const struct ip_address no_v4 = {{[10] = 0xff, 0xff}};

	text[0] = '\0';
	if (ip_is_none(ip) || ip_is_equal(ip, &no_v4))
		return;
	if (ip_is_v4(ip))
		inet_ntop(AF_INET, ip->bytes + 12, text, NATPMP_ADDRESS_LEN);
	else
		inet_ntop(AF_INET6, ip->bytes, text, NATPMP_ADDRESS_LEN);
}

bool address_parse(const char *text, struct ip_address *ip)
{
	struct ip_address parsed = {{[10] = 0xff, 0xff}};

	if (inet_pton(AF_INET, text, parsed.bytes + 12) != 1 &&
	    inet_pton(AF_INET6, text, parsed.bytes) != 1)
		return false;
	*ip = parsed;
	return true;
}
