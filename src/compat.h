/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  The differences between the supported PostgreSQL versions.
 *
 * The only file that looks at PG_VERSION_NUM.  It is included by backend and
 * frontend code alike, after postgres.h or postgres_fe.h; what exists only in
 * the server is guarded by FRONTEND.
 *
 * IDENTIFICATION
 *	  src/compat.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_COMPAT_H
#define SYNC_ENGINE_COMPAT_H

/*-------------------------------------------------------------------------
 * JSON parser
 *
 * From 16 on a semantic action returns whether to go on; before, it returns
 * nothing.  From 17 on the lexer's constructor may be given its struct; it is
 * left to allocate one, as before.
 *-------------------------------------------------------------------------
 */
#include "common/jsonapi.h"
#include "mb/pg_wchar.h"

#if PG_VERSION_NUM >= 160000
typedef JsonParseErrorType JsonActionResult;
#define JSON_ACTION_OK JSON_SUCCESS
#else
typedef void JsonActionResult;
#define JSON_ACTION_OK
#endif

static inline JsonLexContext *
compat_json_lex_context(char *json, int len, bool need_escapes)
{
#if PG_VERSION_NUM >= 170000
	return makeJsonLexContextCstringLen(NULL, json, len, PG_UTF8, need_escapes);
#else
	return makeJsonLexContextCstringLen(json, len, PG_UTF8, need_escapes);
#endif
}

#ifndef FRONTEND

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 190000
#error "sync_engine supports PostgreSQL 15 to 18"
#endif

/*-------------------------------------------------------------------------
 * Headers that moved
 *-------------------------------------------------------------------------
 */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/*-------------------------------------------------------------------------
 * Processes and waiting
 *
 * From 17 on a process's number stands by itself, wait event sets belong to a
 * resource owner, and extensions name their own wait events.
 *-------------------------------------------------------------------------
 */
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

static inline int
compat_my_procno(void)
{
#if PG_VERSION_NUM >= 170000
	return MyProcNumber;
#else
	return MyProc->pgprocno;
#endif
}

static inline WaitEventSet *
compat_create_wait_event_set(int nevents)
{
#if PG_VERSION_NUM >= 170000
	return CreateWaitEventSet(NULL, nevents);
#else
	return CreateWaitEventSet(TopMemoryContext, nevents);
#endif
}

static inline uint32
compat_wait_event(const char *name)
{
#if PG_VERSION_NUM >= 170000
	return WaitEventExtensionNew(name);
#else
	(void) name;
	return PG_WAIT_EXTENSION;
#endif
}

/*-------------------------------------------------------------------------
 * Up to 15 each kind of object has an ownership check of its own, in
 * utils/acl.h.
 *-------------------------------------------------------------------------
 */
#if PG_VERSION_NUM >= 160000
#define compat_owns_database(database, role) object_ownercheck(DatabaseRelationId, database, role)
#else
#define compat_owns_database(database, role) pg_database_ownercheck(database, role)
#endif

/*-------------------------------------------------------------------------
 * The module's magic block names it from 18 on.
 *-------------------------------------------------------------------------
 */
#if PG_VERSION_NUM >= 180000
#define COMPAT_MODULE_MAGIC(module_name, module_version) \
	PG_MODULE_MAGIC_EXT(.name = module_name, .version = module_version)
#else
#define COMPAT_MODULE_MAGIC(module_name, module_version) PG_MODULE_MAGIC
#endif

#endif							/* FRONTEND */

#endif							/* SYNC_ENGINE_COMPAT_H */
