/* SPDX-License-Identifier: MIT */
/*
 * drive - the threads inside blocking calls do the work. One of them, the driver, sleeps until
 * something comes or is due and processes it; the others sleep until their wait is over.
 */
#ifndef DRIVE_H
#define DRIVE_H

#include "context.h"

void drive_init(struct drive *drive);
/* Send what is due, and wake up sleepers that would wake up too late. Calls no callbacks. */
void drive_pump(natpmp_ctx *ctx);
/* Take in what came, send what is due, call the callbacks. Never blocks. */
void drive_process(natpmp_ctx *ctx);
/* Wait until is_done() returns true, or until the deadline: then return false. Any thread may call
 * is_done(), with the context locked. */
bool drive_wait(natpmp_ctx *ctx, bool (*is_done)(natpmp_ctx *ctx, void *arg), void *arg,
		instant deadline);
/* Something changed: let the threads in drive_wait() call is_done() again. */
void drive_wake(natpmp_ctx *ctx);
/* When drive_process() is due next, or NEVER. */
instant drive_next_deadline(natpmp_ctx *ctx);
/* Open ctx->waiter, unless it is open. */
enum os_status drive_open_waiter(natpmp_ctx *ctx);

#endif
