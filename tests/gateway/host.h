/* SPDX-License-Identifier: MIT */
/*
 * host.h - an address as PCP writes it: 16 bytes, IPv4 as ::ffff:a.b.c.d (RFC
 * 6887 section 5).
 */
#ifndef GATEWAY_HOST_H
#define GATEWAY_HOST_H

#include <stdbool.h>
#include <stdint.h>

struct model_host {
	uint8_t bytes[16];
};

struct model_host model_host_ipv4(uint32_t address); /* host byte order */
bool model_host_is_ipv4(const struct model_host *host);
uint32_t model_host_number(const struct model_host *host); /* of IPv4; 0 for IPv6 */
bool model_host_equal(const struct model_host *a, const struct model_host *b);

#endif
