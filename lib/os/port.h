/* SPDX-License-Identifier: MIT */
/* port - a local port that nobody uses right now. */
#ifndef OS_PORT_H
#define OS_PORT_H

#include <stdbool.h>

#include "os/os.h"

/* A port that is free to bind for TCP, UDP or both. OS_OK; OS_FAILED: none is free, or the system
 * refuses to look (errno, 0: none is free). */
enum os_status port_pick(bool tcp, bool udp, uint16_t *port);

/* Is that very port free to bind? OS_OK; OS_FAILED: as above. */
enum os_status port_try(bool tcp, bool udp, uint16_t port);

#endif
