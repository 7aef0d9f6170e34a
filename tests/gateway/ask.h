/* SPDX-License-Identifier: MIT */
/* ask.h - the simplest of clients: one datagram out, what comes back printed. */
#ifndef GATEWAY_ASK_H
#define GATEWAY_ASK_H

#include "text.h"

#include <stddef.h>
#include <stdint.h>

/*
 * Send bytes from an address to a gateway, wait for count answers from anywhere,
 * print each as `HEX from ADDR:PORT`, or `refused` for ICMP port unreachable.
 * Returns an exit status: 1 when fewer came in 3 s, 2 when it could not be sent.
 */
int ask(const union endpoint *from, const union endpoint *to, const uint8_t *bytes, size_t len,
	unsigned count);

#endif
