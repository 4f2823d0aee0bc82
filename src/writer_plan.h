/*-------------------------------------------------------------------------
 *
 * writer_plan.h
 *		The writer's statements on one data table.
 *
 * IDENTIFICATION
 *		src/writer_plan.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_WRITER_PLAN_H
#define SYNC_ENGINE_WRITER_PLAN_H

#include "access/tupdesc.h"
#include "manifest.h"
#include "shared_plan.h"

/* Members of a row of the upsert before those of the columns. */
#define UPSERT_ID		0
#define UPSERT_EXTRA	1
#define UPSERT_HASH		2
#define UPSERT_COLUMNS	3

/* The type of a column's values. */
extern Oid	writer_column_type(ColumnType type);

/* The type of the rows that the write statement takes, in the current context. */
extern TupleDesc writer_describe_row(const Entity *entity);

/* ($1 org, $2 ids) → id, hash, live, updated_at, synced_at, run_id, parent, deleted_at, deleted_by of those stored. */
extern SharedPlan *writer_plan_lookup(const Entity *entity);

/* ($1 org, $2 ids) → what is stored, as rows of the upsert. */
extern SharedPlan *writer_plan_stored(const Entity *entity);

/* ($1 org, $2 run, $3 rows); all_new: none of them is stored. */
extern SharedPlan *writer_plan_write(const Entity *entity, TupleDesc row, bool all_new);

#endif							/* SYNC_ENGINE_WRITER_PLAN_H */
