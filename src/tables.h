/*-------------------------------------------------------------------------
 *
 * tables.h
 *		Data tables and the live views over them.
 *
 * IDENTIFICATION
 *		src/tables.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_TABLES_H
#define SYNC_ENGINE_TABLES_H

#include "manifest.h"

typedef struct DataTable
{
	Oid			relation;
	uint64		shape;			/* of its columns; seeds the record hash */
} DataTable;

/*
 * Finds the table of an entity, and makes it, its missing columns and its
 * view where needed.  Making the table resets its sync state and the positions
 * of jobs that read into it.  Within a transaction of a lane, as the
 * extension's owner.
 */
extern DataTable tables_ensure(const Entity *entity);

/*
 * What is said of the table's records is said of these columns, as this version of
 * the API fills them; palloc'd.
 */
extern char *tables_version(const Entity *entity, DataTable table);

/*
 * Whether the table is still there.  Raises an error if it is not ours to
 * write: it is no table, or belongs to somebody else.
 */
extern bool tables_check(Oid relation);

/*
 * From now on until the scope ends nothing waits long for a lock, so that
 * nobody queues behind a table that is to change.
 */
extern void tables_limit_waits(void);

#endif							/* SYNC_ENGINE_TABLES_H */
