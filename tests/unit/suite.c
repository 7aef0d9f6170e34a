/* SPDX-License-Identifier: MIT */
#include "suite.h"

#include <stdlib.h>

enum { TEST_TIMEOUT = 30 }; /* s */

int run_tests(const char *name, const TTest *const *tests, size_t count)
{
	Suite *suite = suite_create(name);
	SRunner *runner = srunner_create(suite);

	/* A case for each test: so tcase_name() tells a test its own name. */
	for (size_t i = 0; i < count; i++) {
		TCase *tcase = tcase_create(tests[i]->name);
		tcase_set_timeout(tcase, TEST_TIMEOUT);
		tcase_add_test(tcase, tests[i]);
		suite_add_tcase(suite, tcase);
	}
	srunner_run_all(runner, CK_VERBOSE);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
