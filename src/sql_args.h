/*-------------------------------------------------------------------------
 *
 * sql_args.h
 *		Arguments and results of the SQL-callable functions.
 *
 * IDENTIFICATION
 *		src/sql_args.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_SQL_ARGS_H
#define SYNC_ENGINE_SQL_ARGS_H

#include "fmgr.h"
#include "nodes/pg_list.h"
#include "utils/array.h"

/* Raises an error where the engine cannot work: not preloaded, a standby. */
extern void sql_require_primary(const char *function);

/* The text of an argument; raises an error where it is NULL or empty. */
extern char *sql_text_argument(FunctionCallInfo fcinfo, int number, const char *name);

/* Raises an error unless the org exists and, if it must be, is committed. */
extern void sql_require_org(const char *org, bool must_be_committed);

/* The names in an array of text (char *); raises an error if there are none. */
extern List *sql_name_list(ArrayType *array, const char *argument);

/* An argument that must be one of these words. */
extern char *sql_one_of(FunctionCallInfo fcinfo, int number, const char *name,
						const char *const *words, int n);

/*
 * The entities that an org syncs by default ('product.Entity' String nodes);
 * raises an error if there are none.  *everything: they are not named one by
 * one; *left_out: walks over people, which the default does not read.
 */
extern List *sql_profile(const char *org, bool *everything, List **left_out);

/*
 * The entities that an array names, sound and each once; NULL is the org's
 * profile.
 */
extern List *sql_entities(ArrayType *array, const char *org, bool *everything, List **left_out);

/* Those that a call asks for; a NOTICE tells what the profile leaves out. */
extern List *sql_entities_argument(FunctionCallInfo fcinfo, int number, const char *org,
								   bool *everything);

/* Name of whoever calls, for the record. */
extern Datum sql_session_user(void);

/* Returns the last result of SPI as the function's rows. */
extern void sql_return_rows(FunctionCallInfo fcinfo);

#endif							/* SYNC_ENGINE_SQL_ARGS_H */
