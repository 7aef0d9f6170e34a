/* SPDX-License-Identifier: MIT */
/* A process id does not tell a child from its parent: in a new pid namespace both may be 1. The
 * count is the only variable of the library that outlives a context. It changes in the child of a
 * fork() only, before that has a second thread. */
#include "os/process.h"

#include <pthread.h>

static unsigned generation;
static bool is_counting;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void count_fork(void)
{
	generation++;
}

static void begin_counting(void)
{
	is_counting = pthread_atfork(NULL, NULL, count_fork) == 0;
}

bool process_count_forks(void)
{
	pthread_once(&once, begin_counting);
	return is_counting;
}

unsigned process_generation(void)
{
	return generation;
}
