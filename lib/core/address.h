/* SPDX-License-Identifier: MIT */
/* address - IPv4 addresses as text and what kind they are. */
#ifndef CORE_ADDRESS_H
#define CORE_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "natpmpc.h"

/* Write an address, given in host order. 0 is written as "". */
void address_print(uint32_t address, char text[NATPMP_ADDRESS_LEN]);
/* Read an address of four decimal numbers. False: the text is anything else. */
bool address_parse(const char *text, uint32_t *address);
natpmp_address_kind address_classify(uint32_t address);
/* Can it be an address of a gateway? Addresses in 0/8, loopback, multicast and 240/4 cannot. */
bool address_is_usable(uint32_t address);

#endif
