/* SPDX-License-Identifier: MIT */
#include "core/address.h"

#include <arpa/inet.h>
#include <stddef.h>

#define IP(a, b, c, d)                                                                             \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

/* RFC 6890 section 2.2.2, RFC 6598; the first match counts. */
static const struct {
	uint32_t net;
	unsigned bits;
	natpmp_address_kind kind;
} nets[] = {
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

natpmp_address_kind address_classify(uint32_t address)
{
	for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++)
		if ((address ^ nets[i].net) >> (32 - nets[i].bits) == 0)
			return nets[i].kind;
	return NATPMP_ADDRESS_PUBLIC;
}

bool address_is_usable(uint32_t address)
{
	uint32_t first = address >> 24;

	return first != 0 && first != 127 && first < 224;
}

void address_print(uint32_t address, char text[NATPMP_ADDRESS_LEN])
{
	struct in_addr in = {.s_addr = htonl(address)};

	text[0] = '\0';
	if (address)
		inet_ntop(AF_INET, &in, text, NATPMP_ADDRESS_LEN);
}

bool address_parse(const char *text, uint32_t *address)
{
	struct in_addr in;

	if (inet_pton(AF_INET, text, &in) != 1)
		return false;
	*address = ntohl(in.s_addr);
	return true;
}
