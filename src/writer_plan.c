/*-------------------------------------------------------------------------
 *
 * writer_plan.c
 *		The writer's statements on one data table.
 *
 * A plan makes itself anew when somebody changes the table.
 *
 * IDENTIFICATION
 *		src/writer_plan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "writer_plan.h"

Oid
writer_column_type(ColumnType type)
{
	switch (type)
	{
		case COLUMN_TEXT:
			return TEXTOID;
		case COLUMN_TEXT_ARRAY:
			return TEXTARRAYOID;
		case COLUMN_TIMESTAMP:
			return TIMESTAMPTZOID;
		case COLUMN_DATE:
			return DATEOID;
		case COLUMN_BIGINT:
			return INT8OID;
		case COLUMN_NUMERIC:
			return NUMERICOID;
		case COLUMN_BOOLEAN:
			return BOOLOID;
		case COLUMN_JSONB:
			return JSONBOID;
	}
	pg_unreachable();
}

/*
 * writer_describe_row: the type of the upsert's rows.  It is of our own making and
 * not the table's, whose columns may have been given other types since.
 */
TupleDesc
writer_describe_row(const Entity *entity)
{
	TupleDesc	row = CreateTemplateTupleDesc(UPSERT_COLUMNS + entity->n_columns);

	/* attributes of a tuple are counted from 1 */
	TupleDescInitEntry(row, UPSERT_ID + 1, "id", TEXTOID, -1, 0);
	TupleDescInitEntry(row, UPSERT_EXTRA + 1, "extra", JSONBOID, -1, 0);
	TupleDescInitEntry(row, UPSERT_HASH + 1, "hash", INT8OID, -1, 0);
	for (int i = 0; i < entity->n_columns; i++)
		TupleDescInitEntry(row, UPSERT_COLUMNS + i + 1, psprintf("c%d", i),
						   writer_column_type(entity->columns[i].type), -1, 0);
	return BlessTupleDesc(row);
}

/*
 * writer_plan_lookup: one descent of the primary key for each id.  The plan is kept
 * from when the table was small to when it is not, so it must not be left to
 * the planner to read all rows of the org and pick.
 */
SharedPlan *
writer_plan_lookup(const Entity *entity)
{
	Oid			types[2] = {TEXTOID, TEXTARRAYOID};
	const char *parent = entity->parent == NULL ? "NULL" :
		psprintf("%s::text", quote_identifier(entity->params[entity->n_params - 1]));
	char	   *sql = psprintf("SELECT t.* FROM unnest($2) AS u(id), LATERAL "
							   "(SELECT id, _hash, _deleted_at IS NULL, %s, _synced_at, _run_id, %s, _deleted_at, _deleted_by FROM %s "
							   "WHERE org = $1 AND id = u.id LIMIT 1) AS t",
							   entity->updated_at >= 0 ? "updated_at::timestamptz" : "NULL::timestamptz",
							   parent, quote_qualified_identifier(entity->schema_name, entity->table_name));

	return shared_plan_get(sql, lengthof(types), types);
}

SharedPlan *
writer_plan_stored(const Entity *entity)
{
	Oid			types[2] = {TEXTOID, TEXTARRAYOID};
	StringInfoData columns;
	char	   *sql;

	initStringInfo(&columns);
	for (int i = 0; i < entity->n_columns; i++)
		appendStringInfo(&columns, ", %s::%s", quote_identifier(entity->columns[i].name),
						 format_type_be(writer_column_type(entity->columns[i].type)));
	sql = psprintf("SELECT t.* FROM unnest($2) AS u(id), LATERAL "
				   "(SELECT id, _extra, _hash%s FROM %s "
				   "WHERE org = $1 AND id = u.id LIMIT 1) AS t", columns.data,
				   quote_qualified_identifier(entity->schema_name, entity->table_name));
	return shared_plan_get(sql, lengthof(types), types);
}

/*
 * writer_plan_write: the org, the run, and an array of rows.
 */
SharedPlan *
writer_plan_write(const Entity *entity, TupleDesc row, bool all_new)
{
	StringInfoData sql;
	StringInfoData names;
	StringInfoData values;
	StringInfoData members;
	StringInfoData sets;
	Oid			types[3] = {TEXTOID, INT8OID, RECORDARRAYOID};

	initStringInfo(&names);
	initStringInfo(&values);
	initStringInfo(&members);
	initStringInfo(&sets);
	for (int i = 0; i < entity->n_columns; i++)
	{
		const char *name = quote_identifier(entity->columns[i].name);

		appendStringInfo(&names, ", %s", name);
		appendStringInfo(&values, ", u.c%d", i);
		appendStringInfo(&members, ", c%d %s", i,
						 format_type_be(TupleDescAttr(row, UPSERT_COLUMNS + i)->atttypid));
		appendStringInfo(&sets, "%s = EXCLUDED.%s, ", name, name);
	}

	initStringInfo(&sql);
	appendStringInfo(&sql, "INSERT INTO %s (org, _run_id, id, _extra, _hash%s) "
					 "SELECT $1, $2, u.id, u.extra, u.hash%s "
					 "FROM unnest($3) AS u(id text, extra jsonb, hash bigint%s)",
					 quote_qualified_identifier(entity->schema_name, entity->table_name),
					 names.data, values.data, members.data);
	if (!all_new)
		appendStringInfo(&sql, " ON CONFLICT (org, id) DO UPDATE SET %s"
						 "_extra = EXCLUDED._extra, _hash = EXCLUDED._hash, _run_id = EXCLUDED._run_id, "
						 "_synced_at = now(), _deleted_at = NULL, _deleted_by = NULL", sets.data);
	return shared_plan_get(sql.data, lengthof(types), types);
}
