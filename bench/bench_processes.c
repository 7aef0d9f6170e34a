/* SPDX-License-Identifier: MIT */
/*
 * Two programs as whole processes, in turns: from their start to their end.
 *
 *   bench_processes GATEWAY WHAT ROUNDS COMMAND... -- COMMAND...
 *
 * Both have to succeed, or both to fail. A line for each, as bench_pairs has them.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Its output goes nowhere. */
static double run(char **command, int *failed)
{
	extern char **environ;
	posix_spawn_file_actions_t actions;
	double began = now_us();
	int status;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	if (posix_spawnp(&pid, command[0], &actions, NULL, command, environ) != 0 ||
	    waitpid(pid, &status, 0) != pid) {
		fprintf(stderr, "%s does not start\n", command[0]);
		exit(1);
	}
	posix_spawn_file_actions_destroy(&actions);
	*failed += status != 0;
	return now_us() - began;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print_row(char **argv, const char *command, double *times, size_t count)
{
	const char *slash = strrchr(command, '/');

	qsort(times, count, sizeof(*times), by_size);
	printf("%s\t%s\tus\t%s\t%.1f\t%.1f\t%.1f\t%.1f\n", argv[1], argv[2],
	       slash ? slash + 1 : command, times[count / 2], times[count / 4],
	       times[count * 3 / 4], times[count * 99 / 100]);
}

int main(int argc, char **argv)
{
	size_t rounds = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
	char **first = argv + 4, **second = first;

	while (argc > 4 && *second && strcmp(*second, "--") != 0)
		second++;
	if (argc < 7 || !rounds || second == first || !*second || !second[1]) {
		fprintf(stderr, "usage: bench_processes GATEWAY WHAT ROUNDS "
				"COMMAND... -- COMMAND...\n");
		return 2;
	}
	*second++ = NULL;
	double *times[2] = {calloc(rounds, sizeof(double)), calloc(rounds, sizeof(double))};
	int failed[2] = {0, 0};
	for (size_t i = 0; times[0] && times[1] && i < rounds; i++) {
		times[0][i] = run(first, &failed[0]);
		times[1][i] = run(second, &failed[1]);
	}
	if (!times[0] || !times[1] || failed[0] != failed[1]) {
		fprintf(stderr, "%s failed %d times, %s %d times\n", first[0], failed[0], second[0],
			failed[1]);
		return 1;
	}
	print_row(argv, first[0], times[0], rounds);
	print_row(argv, second[0], times[1], rounds);
	free(times[0]);
	free(times[1]);
	return 0;
}
