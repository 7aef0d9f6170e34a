/* SPDX-License-Identifier: MIT */
/* progress - "asking 192.168.1.1 ... 3 s" on a terminal, while the gateway is silent. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <pthread.h>
#include <stdbool.h>

struct progress {
	bool running;
	char gateway[112]; /* or two */
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	bool over; /* under the mutex */
};

/* Only on a terminal: the caller looks. Between these two there must be no fork(). */
void progress_begin(struct progress *progress, const char *gateway);
/* Takes it away again; does nothing if there is none. */
void progress_end(struct progress *progress);

#endif
