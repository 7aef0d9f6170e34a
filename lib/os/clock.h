/* SPDX-License-Identifier: MIT */
/* clock - time that never goes back and goes on while the machine sleeps. */
#ifndef OS_CLOCK_H
#define OS_CLOCK_H

#include <stdint.h>

uint64_t clock_us(void);
uint64_t clock_ms(void);

#endif
