/* SPDX-License-Identifier: MIT */
/* suite - tests are named after what they prove (docs/conformance.md), and run in a row. */
#ifndef SUITE_H
#define SUITE_H

#include <check.h>
#include <stddef.h>

/* Runs them all; what main() returns. The names are printed, so that a log shows what ran. */
int run_tests(const char *suite, const TTest *const *tests, size_t count);

#define RUN_TESTS(suite, ...)                                                                      \
	run_tests(suite, (const TTest *const[]){__VA_ARGS__},                                      \
		  sizeof((const TTest *const[]){__VA_ARGS__}) / sizeof(const TTest *))

#endif
