/* CUnit's basic interface, as far as tests/unit/unit.h uses it; see CUnit.h here. */
#ifndef CUNIT_BASIC_H
#define CUNIT_BASIC_H

#include <CUnit/CUnit.h>

typedef enum { CU_BRM_NORMAL, CU_BRM_SILENT, CU_BRM_VERBOSE } CU_BasicRunMode;

/* Only CU_BRM_VERBOSE makes a difference: a line per test. */
void CU_basic_set_mode(CU_BasicRunMode mode);
CU_ErrorCode CU_basic_run_tests(void);

#endif
