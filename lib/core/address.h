/* SPDX-License-Identifier: MIT */
/* address - IPv4 addresses as text and what kind they are. */
#ifndef CORE_ADDRESS_H
#define CORE_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "natpmpc.h"

/* Host order. 0 is written as "", there is no such host. */
void address_print(uint32_t address, char text[NATPMP_ADDRESS_LEN]);
/* Four decimal numbers, strictly. False: text is something else. */
bool address_parse(const char *text, uint32_t *address);
natpmp_address_kind address_classify(uint32_t address);
/* Can a gateway have it as its own? Not 0/8, loopback, multicast, 240/4. */
bool address_is_usable(uint32_t address);

#endif
