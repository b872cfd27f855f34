/*
 * The table of CDBs, for cdb.c only: everybody else asks cdb.h.
 */
#ifndef CDB_TABLE_H
#define CDB_TABLE_H

#include "cdb.h"

/* By enum cdb_id; ascending by opcode, then service action. Row CDB_UNKNOWN is empty. */
extern const struct cdb_row cdb_table[CDB_COUNT];

#endif
