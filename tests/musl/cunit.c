/*
 * A CUnit of our own, as small as unit.h lets it be: one suite, run in order, a
 * line per failed assertion. The registry is the process's, as CUnit's is.
 */
#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <setjmp.h>
#include <stdio.h>

#define MAX_TESTS	128

struct CU_Test {
	const char *name;
	void (*run)(void);
};

struct CU_Suite {
	const char *name;
	struct CU_Test tests[MAX_TESTS];
	unsigned count;
};

static struct CU_Suite suite;
static CU_BasicRunMode mode;
static unsigned long asserted;
static unsigned failures;
static jmp_buf end_of_test;

CU_ErrorCode CU_initialize_registry(void)
{
	suite.count = 0;
	asserted = 0;
	failures = 0;
	return CUE_SUCCESS;
}

void CU_cleanup_registry(void)
{
	suite.count = 0;
}

CU_pSuite CU_add_suite(const char *name, int (*init)(void), int (*cleanup)(void))
{
	if (init || cleanup)
		return NULL;
	suite.name = name;
	return &suite;
}

CU_pTest CU_add_test(CU_pSuite to, const char *name, void (*run)(void))
{
	if (to->count == MAX_TESTS)
		return NULL;
	to->tests[to->count] = (struct CU_Test){ name, run };
	return &to->tests[to->count++];
}

unsigned CU_get_number_of_failures(void)
{
	return failures;
}

void CU_basic_set_mode(CU_BasicRunMode wanted)
{
	mode = wanted;
}

void CU_check(bool holds, const char *what, const char *file, int line, bool fatal)
{
	asserted++;
	if (holds)
		return;
	failures++;
	printf("    %s:%d: %s\n", file, line, what);
	if (fatal)
		longjmp(end_of_test, 1);
}

CU_ErrorCode CU_basic_run_tests(void)
{
	printf("Suite: %s\n", suite.name);
	for (unsigned i = 0; i < suite.count; i++) {
		if (mode == CU_BRM_VERBOSE)
			printf("  Test: %s\n", suite.tests[i].name);
		if (!setjmp(end_of_test))
			suite.tests[i].run();
	}
	printf("%u tests, %lu assertions, %u failed\n", suite.count, asserted, failures);
	return CUE_SUCCESS;
}
