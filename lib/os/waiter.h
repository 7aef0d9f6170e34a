/* SPDX-License-Identifier: MIT */
/* waiter - wait for several handles at once, in a thread of ours or in a program's own loop. */
#ifndef OS_WAITER_H
#define OS_WAITER_H

#include <stdbool.h>
#include <stddef.h>

#include "os/os.h"

enum {
	WAIT_MAX = 2 /* handles that waiter_sleep() takes */
};

/* A handle that is readable while one of the added handles is, after waiter_wake(), and after the
 * machine has slept, when all time-outs are wrong. A program's loop and a thread of ours may wait
 * for it at the same time; the thread has a wake-up of its own, thread_wakes, which the loop cannot
 * clear. */
struct waiter {
	os_handle handle; /* NO_HANDLE: not open */
	os_handle wakes;
	os_handle thread_wakes; /* the thread waits for this as well as for handle */
	os_handle resumes;
	os_handle timer;   /* NO_HANDLE: waiter_arm() was not called */
	uint64_t armed_at; /* ms of clock_ms(); UINT64_MAX: not armed */
};

/* Returns OS_OK, or OS_FAILED with nothing open. */
enum os_status waiter_open(struct waiter *waiter);
void waiter_close(struct waiter *waiter);
/* Wait for that handle, too, until waiter_remove(). */
enum os_status waiter_add(struct waiter *waiter, os_handle handle);
void waiter_remove(struct waiter *waiter, os_handle handle);
/* Make waiter->handle readable. Any thread may call this. */
void waiter_wake(struct waiter *waiter);
/* Make thread_wakes readable, until waiter_rest_thread(). */
void waiter_wake_thread(struct waiter *waiter);
void waiter_rest_thread(struct waiter *waiter);
/* Make waiter->handle readable from that time of clock_ms() on, until it is armed again;
 * UINT64_MAX: at no time. Returns OS_OK or OS_FAILED. */
enum os_status waiter_arm(struct waiter *waiter, uint64_t at);
/* Clear the wake-ups by waiter_wake() and by sleep of the machine; handle is no longer readable for
 * them. */
void waiter_rest(struct waiter *waiter);

/* Sleep until one of the handles is readable, a signal comes, or that many ms are over (UINT64_MAX:
 * no limit). False: the time is over. */
bool waiter_sleep(const os_handle handles[], size_t count, uint64_t ms);

#endif
