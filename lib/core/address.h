/* SPDX-License-Identifier: MIT */
/* address - addresses as text, and what kind they are. */
#ifndef CORE_ADDRESS_H
#define CORE_ADDRESS_H

#include <stdbool.h>

#include "core/ip.h"
#include "natpmpc.h"

/* Write an address, without a scope. No address is written as "". */
void address_print(const struct ip_address *ip, char text[NATPMP_ADDRESS_LEN]);
/* Read an address of four decimal numbers, or an IPv6 address without a scope. False: the text is
 * anything else. */
bool address_parse(const char *text, struct ip_address *ip);
natpmp_address_kind address_classify(const struct ip_address *ip);
/* Can it be an external address of a gateway? Unspecified, loopback, multicast, link-local and
 * 240/4 cannot. */
bool address_is_usable(const struct ip_address *ip);
/* Can a request be sent to it? Unspecified, multicast and 240/4 addresses cannot. */
bool address_is_peer(const struct ip_address *ip);

#endif
