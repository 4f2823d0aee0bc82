/*-------------------------------------------------------------------------
 *
 * tables.c
 *		Data tables and the live views over them.
 *
 * Tables belong to sync_engine.table_owner and are no members of the
 * extension: a dump carries them, DROP EXTENSION leaves them.  Columns are
 * added, never dropped or retyped.
 *
 * IDENTIFICATION
 *		src/tables.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "queue.h"
#include "session.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "tables.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* A user's ALTER TABLE must not wait behind ours, nor stop the lane. */
#define DDL_LOCK_TIMEOUT	"200ms"

/* Key of the lock that lets one lane at a time make tables of a database. */
#define DDL_LOCK_KEY		0x53594e43	/* "SYNC" */

#define ENGINE_COLUMNS \
	"_extra jsonb, " \
	"_hash bigint, " \
	"_synced_at timestamptz NOT NULL DEFAULT now(), " \
	"_run_id bigint, " \
	"_deleted_at timestamptz, " \
	"_deleted_by text"

const char *
tables_sql_type(ColumnType type)
{
	switch (type)
	{
		case COLUMN_TEXT:
			return "text";
		case COLUMN_TIMESTAMP:
			return "timestamptz";
		case COLUMN_DATE:
			return "date";
		case COLUMN_BIGINT:
			return "bigint";
		case COLUMN_NUMERIC:
			return "numeric";
		case COLUMN_BOOLEAN:
			return "boolean";
		case COLUMN_JSONB:
			return "jsonb";
		case COLUMN_TEXT_ARRAY:
			return "text[]";
	}
	pg_unreachable();
}

static void
run_ddl(const char *command)
{
	MemoryContext context = CurrentMemoryContext;
	int			result = SPI_execute(command, false, 0);

	if (result < 0)
		elog(ERROR, "could not run \"%s\": %s", command, SPI_result_code_string(result));
	MemoryContextSwitchTo(context);
}

/*
 * ensure_schema: the schema must be the table owner's, or somebody could put
 * a table of their own into our place.
 */
static void
ensure_schema(const char *schema, Oid owner)
{
	Oid			namespace = get_namespace_oid(schema, true);
	HeapTuple	tuple;
	Oid			present_owner;

	if (!OidIsValid(namespace))
	{
		/* as the extension's owner, who may create schemas */
		run_ddl(psprintf("CREATE SCHEMA %s AUTHORIZATION %s", quote_identifier(schema),
						 quote_identifier(GetUserNameFromId(owner, false))));
		return;
	}
	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(namespace));
	present_owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	if (present_owner != owner && !superuser_arg(present_owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("schema \"%s\" does not belong to the owner of the data tables", schema),
				 errhint("Give the schema to role \"%s\", or set sync_engine.table_owner.",
						 GetUserNameFromId(owner, false))));
}

static void
create_table(const Entity *entity)
{
	static Statement reset_state = {
		"DELETE FROM sync_engine.sync_state WHERE product = $1 AND entity = $2",
		2, {TEXTOID, TEXTOID}
	};
	Datum		args[2] = {CStringGetTextDatum(entity->product), CStringGetTextDatum(entity->name)};
	const char *table = quote_qualified_identifier(entity->schema_name, entity->table_name);
	StringInfoData sql;

	queue_restart_jobs(entity->product, entity->name);
	(void) statement_run(&reset_state, args, NULL);

	session_become_table_owner();
	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE TABLE %s (org text NOT NULL, id text NOT NULL, ", table);
	for (int i = 0; i < entity->n_columns; i++)
		appendStringInfo(&sql, "%s %s, ", quote_identifier(entity->columns[i].name),
						 tables_sql_type(entity->columns[i].type));
	appendStringInfoString(&sql, ENGINE_COLUMNS ", PRIMARY KEY (org, id))");
	run_ddl(sql.data);
	run_ddl(psprintf("COMMENT ON TABLE %s IS %s", table,
					 quote_literal_cstr(psprintf("%s of Planning Center %s, deleted ones included; kept by sync_engine",
												 entity->name, entity->product))));
	session_become_extension_owner();
}

/*
 * replace_view: live rows, without the engine's columns.
 */
static void
replace_view(const Entity *entity)
{
	StringInfoData sql;

	session_become_table_owner();
	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE OR REPLACE VIEW pco.%s WITH (security_invoker = true) AS SELECT org, id",
					 quote_identifier(entity->view_name));
	for (int i = 0; i < entity->n_columns; i++)
		appendStringInfo(&sql, ", %s", quote_identifier(entity->columns[i].name));
	appendStringInfo(&sql, " FROM %s WHERE _deleted_at IS NULL",
					 quote_qualified_identifier(entity->schema_name, entity->table_name));
	run_ddl(sql.data);
	run_ddl(psprintf("COMMENT ON VIEW pco.%s IS %s", quote_identifier(entity->view_name),
					 quote_literal_cstr(psprintf("Live %s records of Planning Center %s",
												 entity->name, entity->product))));
	session_become_extension_owner();
}

/*
 * missing_columns: an ALTER TABLE that adds what the manifest has and the
 * table has not; NULL if nothing is missing.
 */
static char *
missing_columns(const Entity *entity, Oid relation)
{
	StringInfoData sql;
	bool		any = false;

	initStringInfo(&sql);
	appendStringInfo(&sql, "ALTER TABLE %s",
					 quote_qualified_identifier(entity->schema_name, entity->table_name));
	for (int i = 0; i < entity->n_columns; i++)
	{
		if (get_attnum(relation, entity->columns[i].name) != InvalidAttrNumber)
			continue;
		appendStringInfo(&sql, "%s ADD COLUMN %s %s", any ? "," : "",
						 quote_identifier(entity->columns[i].name),
						 tables_sql_type(entity->columns[i].type));
		any = true;
	}
	return any ? sql.data : NULL;
}

/*
 * table_shape: changes when a column that we fill comes, goes, or comes back,
 * so that every record is then written once more.
 */
static uint64
table_shape(const Entity *entity, Oid relation)
{
	uint64		shape = relation;

	for (int i = 0; i < entity->n_columns; i++)
	{
		const EntityColumn *column = &entity->columns[i];
		AttrNumber	number = get_attnum(relation, column->name);

		shape = hash_bytes_extended((const unsigned char *) column->name, strlen(column->name),
									shape + number);
	}
	return shape;
}

DataTable
tables_ensure(const Entity *entity)
{
	DataTable	table;
	Oid			owner = session_table_owner();
	Oid			namespace = get_namespace_oid(entity->schema_name, true);
	Oid			view_namespace = get_namespace_oid("pco", true);
	char	   *alter = NULL;

	table.relation = OidIsValid(namespace) ?
		get_relname_relid(entity->table_name, namespace) : InvalidOid;
	if (OidIsValid(table.relation))
		alter = missing_columns(entity, table.relation);

	if (!OidIsValid(table.relation) || alter != NULL || !OidIsValid(view_namespace) ||
		!OidIsValid(get_relname_relid(entity->view_name, view_namespace)))
	{
		LOCKTAG		tag;
		const bool	session_lock = false;
		const bool	dont_wait = false;

		(void) set_config_option("lock_timeout", DDL_LOCK_TIMEOUT, PGC_SUSET, PGC_S_SESSION,
								 GUC_ACTION_LOCAL, true, 0, false);
		SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, DDL_LOCK_KEY, 0, ENGINE_LOCK_SPACE);
		(void) LockAcquire(&tag, ExclusiveLock, session_lock, dont_wait);

		/* another lane may have been faster; let its news in */
		AcceptInvalidationMessages();
		namespace = get_namespace_oid(entity->schema_name, true);
		table.relation = OidIsValid(namespace) ?
			get_relname_relid(entity->table_name, namespace) : InvalidOid;

		ensure_schema(entity->schema_name, owner);
		ensure_schema("pco", owner);
		if (!OidIsValid(table.relation))
			create_table(entity);
		else
		{
			alter = missing_columns(entity, table.relation);
			if (alter != NULL)
			{
				session_become_table_owner();
				run_ddl(alter);
				session_become_extension_owner();
			}
		}
		CommandCounterIncrement();
		replace_view(entity);
		CommandCounterIncrement();
		table.relation = get_relname_relid(entity->table_name,
										   get_namespace_oid(entity->schema_name, false));
	}
	table.shape = table_shape(entity, table.relation);
	return table;
}
