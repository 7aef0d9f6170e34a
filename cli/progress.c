/* SPDX-License-Identifier: MIT */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { FIRST = 500, STEP = 1000 }; /* ms */

/* True when it is over. */
static bool wait_ms(struct progress *progress, long ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += ms % 1000 * 1000000;
	until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while (!progress->over &&
	       pthread_cond_timedwait(&progress->wake, &progress->mutex, &until) == 0)
		continue;
	return progress->over;
}

static void *run(void *arg)
{
	struct progress *progress = arg;
	char line[160];
	int length = 0;

	pthread_mutex_lock(&progress->mutex);
	for (long ms = FIRST; !wait_ms(progress, ms == FIRST ? FIRST : STEP); ms += STEP) {
		length = snprintf(line, sizeof(line), "\rnatpmp: asking %s ... %ld s",
				  progress->gateway, ms / 1000);
		(void)!write(STDERR_FILENO, line, (size_t)length);
	}
	pthread_mutex_unlock(&progress->mutex);
	if (length) {
		memset(line + 1, ' ', (size_t)length);
		line[length] = '\r';
		(void)!write(STDERR_FILENO, line, (size_t)length + 1);
	}
	return NULL;
}

void progress_begin(struct progress *progress, const char *gateway)
{
	pthread_condattr_t monotonic;

	snprintf(progress->gateway, sizeof(progress->gateway), "%s", gateway);
	progress->over = false;
	pthread_mutex_init(&progress->mutex, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&progress->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	progress->running = pthread_create(&progress->thread, NULL, run, progress) == 0;
}

void progress_end(struct progress *progress)
{
	if (!progress->running)
		return;
	pthread_mutex_lock(&progress->mutex);
	progress->over = true;
	pthread_cond_signal(&progress->wake);
	pthread_mutex_unlock(&progress->mutex);
	pthread_join(progress->thread, NULL);
	progress->running = false;
	pthread_cond_destroy(&progress->wake);
	pthread_mutex_destroy(&progress->mutex);
}
