/* SPDX-License-Identifier: MIT */
/* sim - thousands of simulated weeks: see world.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "world.h"

static const char usage[] =
	"usage: sim [--seed N] [--count N] [--pcp] [--keep-going] [--digest] [-v]\n"
	"Simulates that many weeks, with the seeds from N (1) on; -v tells all that happens.\n"
	"--pcp: the client speaks PCP in all of them, not in two of five.\n"
	"--digest prints a line for each instead of the totals: its seed, how many packets the\n"
	"client sent, how many events it told, and a hash of them all.\n";

struct totals {
	uint64_t sent, moves, events, steps, ups, downs, delays, delayed, failed;
};

static void print_digest(const struct world *w)
{
	char seed[24], line[DIGEST_LINE_MAX];

	snprintf(seed, sizeof(seed), "%" PRIu64, w->seed);
	digest_line(&w->digest, seed, line);
	fputs(line, stdout);
}

static bool run(uint64_t seed, bool verbose, bool with_pcp, bool digest, struct totals *totals)
{
	struct world *w = calloc(1, sizeof(*w));
	jmp_buf failed;
	bool ok;

	if (!w)
		abort();
	w->seed = seed;
	w->verbose = verbose;
	w->with_pcp = with_pcp;
	w->failed = &failed;
	ok = !setjmp(failed);
	if (ok) {
		plan_run(w);
	} else {
		fprintf(digest ? stderr : stdout,
			"seed %" PRIu64
			": %s\n  again, with all that happened: sim %s--seed %" PRIu64 " -v\n",
			w->seed, w->message, with_pcp ? "--pcp " : "", w->seed);
	}
	if (digest)
		print_digest(w);
	totals->sent += w->counters.sent;
	totals->moves += w->counters.moves;
	totals->events += w->counters.events;
	totals->steps += w->counters.steps;
	totals->ups += w->counters.ups;
	totals->delays += w->counters.delays;
	totals->delayed += w->counters.delayed;
	totals->downs += w->counters.downs;
	totals->failed += !ok;
	world_free(w);
	free(w);
	return ok;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	uint64_t seed = 1, count = 0;
	bool verbose = false, keep_going = false, seeded = false, digest = false, with_pcp = false;
	struct totals totals = {0};

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--seed") && i + 1 < argc) {
			seed = strtoull(argv[++i], NULL, 10);
			seeded = true;
		} else if (!strcmp(argv[i], "--count") && i + 1 < argc) {
			count = strtoull(argv[++i], NULL, 10);
		} else if (!strcmp(argv[i], "-v")) {
			verbose = true;
		} else if (!strcmp(argv[i], "--keep-going")) {
			keep_going = true;
		} else if (!strcmp(argv[i], "--pcp")) {
			with_pcp = true;
		} else if (!strcmp(argv[i], "--digest")) {
			digest = true;
		} else {
			fputs(usage, stderr);
			return 2;
		}
	}
	if (!count)
		count = seeded ? 1 : 1000;
	double began = seconds();
	for (uint64_t i = 0; i < count; i++)
		if (!run(seed + i, verbose, with_pcp, digest, &totals) && !keep_going)
			return 1;
	if (digest)
		return totals.failed > 0;
	double took = seconds() - began;
	printf("%" PRIu64 " weeks in %.1f s (%.0f a second): %" PRIu64 " packets sent, %" PRIu64
	       " moves, %" PRIu64 " events (%" PRIu64 " up, %" PRIu64 " down), %" PRIu64
	       " failed\n",
	       count, took, (double)count / took, totals.sent, totals.moves, totals.events,
	       totals.ups, totals.downs, totals.failed);
	/* Uniform from 0 to 5 s (RFC 6886 section 3.7): of so many the mean is near 2.5. */
	uint64_t mean = totals.delays ? totals.delayed / totals.delays : 0;
	bool uniform = totals.delays < 1000 || (mean > 2300 && mean < 2700);
	printf("%" PRIu64 " recoveries, delayed by %" PRIu64 " ms in the mean%s\n", totals.delays,
	       mean, uniform ? "" : ": NOT UNIFORM");
	return totals.failed || !uniform;
}
