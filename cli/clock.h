/* SPDX-License-Identifier: MIT */
/* clock - milliseconds that never go back, for what the command itself waits for. */
#ifndef CLI_CLOCK_H
#define CLI_CLOCK_H

#include <stdint.h>

#define NEVER UINT64_MAX

uint64_t now_ms(void);
/* The same, but going on while the host is suspended. */
uint64_t now_awake_or_not_ms(void);
/* For poll(): how long until then, -1 for NEVER. */
int ms_until(uint64_t then);

#endif
