/*-------------------------------------------------------------------------
 *
 * sql_api.h
 *		What the SQL-callable functions share.
 *
 * IDENTIFICATION
 *		src/sql_api.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_SQL_API_H
#define SYNC_ENGINE_SQL_API_H

#include "fmgr.h"
#include "nodes/pg_list.h"

/* Raises an error where the engine cannot work: not preloaded, a standby. */
extern void sql_require_primary(const char *function);

/* The text of an argument; raises an error where it is NULL or empty. */
extern char *sql_text_argument(FunctionCallInfo fcinfo, int number, const char *name);

/* Raises an error unless the org exists and, if it must be, is committed. */
extern void sql_require_org(const char *org, bool must_be_committed);

/* The entities that an org syncs by default; raises an error if there are none. */
extern List *sql_profile(const char *org);

/* Returns the last result of SPI as the function's rows. */
extern void sql_return_rows(FunctionCallInfo fcinfo);

#endif							/* SYNC_ENGINE_SQL_API_H */
