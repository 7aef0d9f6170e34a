/* SPDX-License-Identifier: MIT */
/* notify - the calls that answer later, by a callback: natpmp_start_unmap(), natpmp_watch(). */
#ifndef NOTIFY_H
#define NOTIFY_H

#include "context.h"

/* Call the callbacks that are due. */
void notify_process(natpmp_ctx *ctx);
/* When a callback may be due by time alone, or NEVER. */
instant notify_next_deadline(const natpmp_ctx *ctx);
/* The context ends: answer what was not answered so far. */
void notify_end(natpmp_ctx *ctx);
/* The context is torn down in a child: nothing is told. */
void notify_forget(natpmp_ctx *ctx);

#endif
