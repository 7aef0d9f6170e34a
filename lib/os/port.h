/* SPDX-License-Identifier: MIT */
/* port - a local port that nobody uses right now. */
#ifndef OS_PORT_H
#define OS_PORT_H

#include <stdbool.h>
#include <stdint.h>

/* Free for TCP, UDP or both. 0: none to be had. */
uint16_t port_pick(bool tcp, bool udp);

#endif
