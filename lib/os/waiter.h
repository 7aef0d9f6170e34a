/* SPDX-License-Identifier: MIT */
/* waiter - one descriptor that becomes readable when one of several is, or when it is time. One
 * file per system behind it: waiter_linux.c. */
#ifndef OS_WAITER_H
#define OS_WAITER_H

#include <stdbool.h>
#include <stdint.h>

struct waiter {
	int fd, timer;
	uint64_t armed; /* ms */
};

bool waiter_open(struct waiter *waiter); /* false: errno */
void waiter_close(struct waiter *waiter);
/* Wait for that descriptor, too, until it is closed. */
bool waiter_add(struct waiter *waiter, int fd);
void waiter_remove(struct waiter *waiter, int fd);
/* Readable from that time of clock_ms() on; UINT64_MAX = never. Sleeping threads take notice. */
void waiter_arm(struct waiter *waiter, uint64_t at);
/* Sleep until readable, or a signal. */
void waiter_wait(const struct waiter *waiter);

#endif
