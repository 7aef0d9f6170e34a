/* SPDX-License-Identifier: MIT */
/* notify - tell a service manager, as sd_notify(3) does: nothing without NOTIFY_SOCKET. */
#ifndef CLI_NOTIFY_H
#define CLI_NOTIFY_H

/* "READY=1\nSTATUS=..." */
void notify(const char *state);

#endif
