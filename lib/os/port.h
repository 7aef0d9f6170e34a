/* SPDX-License-Identifier: MIT */
/* port - a local port that nobody uses right now. */
#ifndef OS_PORT_H
#define OS_PORT_H

#include <stdbool.h>

#include "os/os.h"

/* Find a port that is free to bind for TCP, UDP or both: on 0.0.0.0, or on [::], where a program
 * may want it for both families. OS_FAILED: errno is 0 if none is free, else it says why the system
 * did not look. */
enum os_status port_pick(enum os_family family, bool tcp, bool udp, uint16_t *port);

/* Is this port free to bind? Returns OS_OK, or OS_FAILED as above. */
enum os_status port_try(enum os_family family, bool tcp, bool udp, uint16_t port);

#endif
