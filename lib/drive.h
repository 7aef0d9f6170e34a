/* SPDX-License-Identifier: MIT */
/*
 * drive - whoever waits drives: of the threads inside blocking calls one sleeps until something
 * comes or is due, and processes it; the others sleep until it has.
 */
#ifndef DRIVE_H
#define DRIVE_H

#include "context.h"

void drive_init(struct drive *drive);
/* Send what is due, so that whoever sleeps looks again when it should; no callbacks. */
void drive_pump(natpmp_ctx *ctx);
/* Take in what came, send what is due, call the callbacks. Never blocks. */
void drive_process(natpmp_ctx *ctx);
/* Until is_done() says so, or the deadline: then false. is_done() is called with the context
 * locked, by any thread. */
bool drive_wait(natpmp_ctx *ctx, bool (*is_done)(natpmp_ctx *ctx, void *arg), void *arg,
		instant deadline);
/* Something that a thread in drive_wait() waits for has changed: let it see. */
void drive_wake(natpmp_ctx *ctx);
/* When drive_process() is due next; NEVER. */
instant drive_next_deadline(natpmp_ctx *ctx);
/* Open ctx->waiter, if it is not. */
enum os_status drive_open_waiter(natpmp_ctx *ctx);

#endif
