/* SPDX-License-Identifier: MIT */
/* notify - tell a service manager, as sd_notify(3) does: nothing without NOTIFY_SOCKET. */
#ifndef CLI_NOTIFY_H
#define CLI_NOTIFY_H

#include <stdint.h>

/* "READY=1\nSTATUS=..." */
void notify(const char *state);
/* Say that we live, if that is wanted (WATCHDOG_USEC) and due; *due is 0 at first. Returns when it
 * is due next, ms, or NEVER. */
uint64_t notify_watchdog(uint64_t *due);

#endif
