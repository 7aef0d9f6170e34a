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

/* One handle that is readable while one of several is, after waiter_wake(), and after the machine
 * has slept: then the time-outs of all who wait are wrong. A program's loop and a thread of ours
 * may wait by it at the same time; what wakes up the thread is the thread's alone, for the loop
 * would take note of it first. */
struct waiter {
	os_handle handle; /* NO_HANDLE: not open */
	os_handle wakes;
	os_handle thread_wakes; /* the thread waits for it besides handle */
	os_handle resumes;
	os_handle timer;   /* NO_HANDLE: waiter_arm() was not called */
	uint64_t armed_at; /* ms of clock_ms(); UINT64_MAX: not armed */
};

/* OS_OK or OS_FAILED; then nothing is open. */
enum os_status waiter_open(struct waiter *waiter);
void waiter_close(struct waiter *waiter);
/* Wait for that handle too, until it is closed. */
enum os_status waiter_add(struct waiter *waiter, os_handle handle);
void waiter_remove(struct waiter *waiter, os_handle handle);
/* Make it readable. Any thread. */
void waiter_wake(struct waiter *waiter);
/* Make thread_wakes readable, until waiter_rest_thread(). */
void waiter_wake_thread(struct waiter *waiter);
void waiter_rest_thread(struct waiter *waiter);
/* Make it readable at that time of clock_ms(); UINT64_MAX: at no time. For loops that know no
 * time-outs. OS_OK or OS_FAILED. */
enum os_status waiter_arm(struct waiter *waiter, uint64_t at);
/* Take note of wake-ups: it is not readable for them any more. */
void waiter_rest(struct waiter *waiter);

/* Sleep until one of the handles is readable, or a signal, or so many ms are over (UINT64_MAX:
 * never). False: the time is over. */
bool waiter_sleep(const os_handle handles[], size_t count, uint64_t ms);

#endif
