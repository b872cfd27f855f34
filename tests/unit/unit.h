/* One CUnit program per module: a table of sentences, and main(). */
#ifndef UNIT_H
#define UNIT_H

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stddef.h>

struct unit_test {
	const char *says;	/* the sentence that the test proves */
	void (*run)(void);
};

#define UNIT_TEST(function)	{ #function, function }

static inline int unit_main(const char *suite_name, const struct unit_test *tests, size_t count)
{
	CU_pSuite suite;
	unsigned failures;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 99;
	suite = CU_add_suite(suite_name, NULL, NULL);
	for (size_t i = 0; i < count; i++)
		if (!suite || !CU_add_test(suite, tests[i].says, tests[i].run))
			return 99;
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures ? 1 : 0;
}

#define UNIT_MAIN(name, tests) \
	int main(void) \
	{ \
		return unit_main(name, tests, sizeof(tests) / sizeof((tests)[0])); \
	}

#endif
