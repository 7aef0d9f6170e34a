/* SPDX-License-Identifier: MIT */
/* A process id does not tell a child from its parent: in a new pid namespace both may be 1. The
 * count is the only state of the library that outlives a context. It changes only in the child of a
 * fork(), before the child has a second thread. */
#include "os/process.h"

#include <pthread.h>

static unsigned generation;
static bool is_counting;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void count_fork(void)
{
	generation++;
}

bool process_count_forks(void)
{
	bool is_done;

	pthread_mutex_lock(&lock);
	if (!is_counting)
		is_counting = pthread_atfork(NULL, NULL, count_fork) == 0;
	is_done = is_counting;
	pthread_mutex_unlock(&lock);
	return is_done;
}

unsigned process_generation(void)
{
	return generation;
}
