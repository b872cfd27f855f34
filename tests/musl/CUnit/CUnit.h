/*
 * The part of CUnit's interface that the tests of layers 1 and 2 use, for builds
 * against musl: the distribution's CUnit is linked with glibc. One suite, one
 * thread. Implemented by cunit.c.
 */
#ifndef CUNIT_CUNIT_H
#define CUNIT_CUNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef enum { CUE_SUCCESS = 0, CUE_NOMEMORY = 1 } CU_ErrorCode;
typedef struct CU_Suite *CU_pSuite;
typedef struct CU_Test *CU_pTest;

CU_ErrorCode CU_initialize_registry(void);
void CU_cleanup_registry(void);
CU_pSuite CU_add_suite(const char *name, int (*init)(void), int (*cleanup)(void));
CU_pTest CU_add_test(CU_pSuite suite, const char *name, void (*run)(void));
unsigned CU_get_number_of_failures(void);

/* Count an assertion; a failed fatal one ends its test. */
void CU_check(bool holds, const char *what, const char *file, int line, bool fatal);

/* Blocks, as CUnit's are: a test that compiles with one compiles with the other. */
#define CU_CHECK(holds, what)		{ CU_check((holds), what, __FILE__, __LINE__, false); }
#define CU_CHECK_FATAL(holds, what)	{ CU_check((holds), what, __FILE__, __LINE__, true); }

#define CU_FAIL(message)		CU_CHECK(false, message)
#define CU_ASSERT(value)		CU_CHECK(!!(value), #value)
#define CU_ASSERT_TRUE(value)		CU_CHECK(!!(value), #value)
#define CU_ASSERT_FALSE(value)		CU_CHECK(!(value), "!(" #value ")")
#define CU_ASSERT_EQUAL(a, b)		CU_CHECK((a) == (b), #a " == " #b)
#define CU_ASSERT_NOT_EQUAL(a, b)	CU_CHECK((a) != (b), #a " != " #b)
#define CU_ASSERT_PTR_EQUAL(a, b)	CU_CHECK((a) == (b), #a " == " #b)
#define CU_ASSERT_PTR_NULL(p)		CU_CHECK(!(p), #p " == NULL")
#define CU_ASSERT_PTR_NOT_NULL(p)	CU_CHECK(!!(p), #p " != NULL")
#define CU_ASSERT_STRING_EQUAL(a, b)	CU_CHECK(!strcmp((a), (b)), #a " is " #b)

#define CU_FAIL_FATAL(message)		CU_CHECK_FATAL(false, message)
#define CU_ASSERT_FATAL(value)		CU_CHECK_FATAL(!!(value), #value)
#define CU_ASSERT_TRUE_FATAL(value)	CU_CHECK_FATAL(!!(value), #value)
#define CU_ASSERT_EQUAL_FATAL(a, b)	CU_CHECK_FATAL((a) == (b), #a " == " #b)
#define CU_ASSERT_PTR_NOT_NULL_FATAL(p)	CU_CHECK_FATAL(!!(p), #p " != NULL")

#endif
