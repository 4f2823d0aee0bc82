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

/* The engine's own columns, in every data table. */
static const struct
{
	const char *name;
	const char *type;
}			engine_columns[] = {
	{"_extra", "jsonb"},
	{"_hash", "bigint"},
	{"_synced_at", "timestamptz NOT NULL DEFAULT now()"},
	{"_run_id", "bigint"},
	{"_deleted_at", "timestamptz"},
	{"_deleted_by", "text"},
};

static const char *
sql_type(ColumnType type)
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

void
tables_limit_waits(void)
{
	(void) set_config_option("lock_timeout", DDL_LOCK_TIMEOUT, PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
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
 * check_owner: what the lane writes to must belong to the table owner or a
 * superuser.  Anybody else's triggers would run with the table owner's rights.
 */
static void
check_owner(const char *kind, const char *name, Oid present_owner, Oid owner)
{
	if (present_owner != owner && !superuser_arg(present_owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("%s \"%s\" does not belong to the owner of the data tables", kind, name),
				 errhint("Give the %s to role \"%s\", or set sync_engine.table_owner.", kind,
						 GetUserNameFromId(owner, false))));
}

static void
check_schema(const char *schema, Oid namespace, Oid owner)
{
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(namespace));
	Oid			present_owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;

	ReleaseSysCache(tuple);
	check_owner("schema", schema, present_owner, owner);
}

char *
tables_version(const Entity *entity, DataTable table)
{
	return psprintf("%s/" UINT64_FORMAT, entity->api_version ? entity->api_version : "", table.shape);
}

bool
tables_check(Oid relation)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Form_pg_class class;
	Oid			present_owner;
	char		kind;
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		return false;
	class = (Form_pg_class) GETSTRUCT(tuple);
	present_owner = class->relowner;
	kind = class->relkind;
	name = pstrdup(NameStr(class->relname));
	ReleaseSysCache(tuple);

	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" stands in the place of a data table and is none", name),
				 errhint("Rename it; the table is then made.")));
	check_owner("table", name, present_owner, session_table_owner());
	return true;
}

/*
 * ensure_schema: makes the schema, or checks whose it is.
 */
static void
ensure_schema(const char *schema, Oid owner)
{
	Oid			namespace = get_namespace_oid(schema, true);

	if (OidIsValid(namespace))
		check_schema(schema, namespace, owner);
	else						/* as the extension's owner, who may create schemas */
		run_ddl(psprintf("CREATE SCHEMA %s AUTHORIZATION %s", quote_identifier(schema),
						 quote_identifier(GetUserNameFromId(owner, false))));
}

/*
 * index_for_walks: a walk in the order of another column than the id needs an
 * index of it, and now it costs nothing.
 */
static void
index_for_walks(const Entity *entity, const char *table)
{
	static Statement select_columns = {
		"SELECT DISTINCT parent_columns[cardinality(parent_columns)] FROM sync_engine.entity "
		"WHERE product = $1 AND parent = $2 AND parent_columns[cardinality(parent_columns)] <> 'id'",
		2, {TEXTOID, TEXTOID}
	};
	Datum		args[2] = {CStringGetTextDatum(entity->product), CStringGetTextDatum(entity->name)};
	uint64		n = statement_run(&select_columns, args, NULL);
	List	   *columns = NIL;
	ListCell   *cell;

	for (uint64 i = 0; i < n; i++)
		columns = lappend(columns, result_text(i, 1));
	session_become_table_owner();
	foreach(cell, columns)
		run_ddl(psprintf("CREATE INDEX ON %s (org, %s, id)", table, quote_identifier(lfirst(cell))));
	session_become_extension_owner();
}

static void
create_table(const Entity *entity)
{
	static Statement reset_state = {
		"DELETE FROM sync_engine.sync_state WHERE product = $1 AND entity = $2",
		2, {TEXTOID, TEXTOID}
	};
	static Statement reset_ledger = {
		"DELETE FROM sync_engine.walk_ledger WHERE (product, entity) = ($1, $2) OR job_id IN "
		"(SELECT folded_into FROM sync_engine.job f WHERE (f.product, f.entity) = ($1, $2) "
		"  AND f.status IN ('queued', 'running', 'paused', 'held'))",
		2, {TEXTOID, TEXTOID}
	};
	Datum		args[2] = {CStringGetTextDatum(entity->product), CStringGetTextDatum(entity->name)};
	const char *table = quote_qualified_identifier(entity->schema_name, entity->table_name);
	StringInfoData sql;

	queue_restart_jobs(entity->product, entity->name);
	(void) statement_run(&reset_state, args, NULL);
	(void) statement_run(&reset_ledger, args, NULL);

	session_become_table_owner();
	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE TABLE %s (org text NOT NULL, id text NOT NULL, ", table);
	for (int i = 0; i < entity->n_columns; i++)
		appendStringInfo(&sql, "%s %s, ", quote_identifier(entity->columns[i].name),
						 sql_type(entity->columns[i].type));
	for (int i = 0; i < lengthof(engine_columns); i++)
		appendStringInfo(&sql, "%s %s, ", engine_columns[i].name, engine_columns[i].type);
	appendStringInfoString(&sql, "PRIMARY KEY (org, id))");
	run_ddl(sql.data);
	run_ddl(psprintf("COMMENT ON TABLE %s IS %s", table,
					 quote_literal_cstr(psprintf("%s of Planning Center %s, deleted ones included; kept by sync_engine",
												 entity->name, entity->product))));
	session_become_extension_owner();
	index_for_walks(entity, table);
}

static bool
is_shown(const Entity *entity, const char *column)
{
	if (strcmp(column, "org") == 0 || strcmp(column, "id") == 0)
		return true;
	for (int i = 0; i < entity->n_columns; i++)
	{
		if (strcmp(entity->columns[i].name, column) == 0)
			return true;
	}
	return false;
}

static int
count_columns(Oid relation)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	int			n = ((Form_pg_class) GETSTRUCT(tuple))->relnatts;

	ReleaseSysCache(tuple);
	return n;
}

/*
 * view_columns: what the view shows.  A view that stands keeps its columns in
 * their places, and new ones come behind them.  NULL if somebody has made it
 * something of their own, which then stays.
 */
static char *
view_columns(const Entity *entity, Oid view)
{
	StringInfoData columns;
	int			n_present = OidIsValid(view) ? count_columns(view) : 0;

	initStringInfo(&columns);
	for (int i = 1; i <= n_present; i++)
	{
		char	   *name = get_attname(view, i, false);

		if (!is_shown(entity, name))
			return NULL;
		appendStringInfo(&columns, "%s%s", i > 1 ? ", " : "", quote_identifier(name));
	}
	if (n_present == 0)
		appendStringInfoString(&columns, "org, id");
	for (int i = 0; i < entity->n_columns; i++)
	{
		if (n_present == 0 || get_attnum(view, entity->columns[i].name) == InvalidAttrNumber)
			appendStringInfo(&columns, ", %s", quote_identifier(entity->columns[i].name));
	}
	return columns.data;
}

/*
 * replace_view: live rows, without the engine's columns.
 */
static void
replace_view(const Entity *entity)
{
	StringInfoData sql;
	char	   *columns = view_columns(entity, get_relname_relid(entity->view_name,
																 get_namespace_oid("pco", false)));

	if (columns == NULL)
	{
		ereport(LOG,
				(errmsg("sync_engine: view pco.%s has columns of somebody else's and is left as it is",
						entity->view_name)));
		return;
	}
	session_become_table_owner();
	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE OR REPLACE VIEW pco.%s WITH (security_invoker = true) AS SELECT %s",
					 quote_identifier(entity->view_name), columns);
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
	StringInfoData columns;

	initStringInfo(&columns);
	for (int i = 0; i < entity->n_columns; i++)
	{
		if (get_attnum(relation, entity->columns[i].name) == InvalidAttrNumber)
			appendStringInfo(&columns, "%s ADD COLUMN %s %s", columns.len > 0 ? "," : "",
							 quote_identifier(entity->columns[i].name),
							 sql_type(entity->columns[i].type));
	}
	for (int i = 0; i < lengthof(engine_columns); i++)
	{
		if (get_attnum(relation, engine_columns[i].name) == InvalidAttrNumber)
			appendStringInfo(&columns, "%s ADD COLUMN %s %s", columns.len > 0 ? "," : "",
							 engine_columns[i].name, engine_columns[i].type);
	}
	if (columns.len == 0)
		return NULL;
	return psprintf("ALTER TABLE %s%s",
					quote_qualified_identifier(entity->schema_name, entity->table_name), columns.data);
}

/*
 * table_shape: changes when a column that we fill comes, goes, or comes back, or
 * what may be stored in it, so that every record is then written once more.
 */
static uint64
table_shape(const Entity *entity, Oid relation)
{
	uint64		shape = 0;

	for (int i = 0; i < entity->n_columns; i++)
	{
		const EntityColumn *column = &entity->columns[i];
		AttrNumber	number = get_attnum(relation, column->name);

		shape = hash_bytes_extended((const unsigned char *) column->name, strlen(column->name),
									shape + number + ((uint64) column->privacy << 32));
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
	if (OidIsValid(namespace))
		check_schema(entity->schema_name, namespace, owner);
	if (OidIsValid(table.relation) && tables_check(table.relation))
		alter = missing_columns(entity, table.relation);

	if (!OidIsValid(table.relation) || alter != NULL || !OidIsValid(view_namespace) ||
		!OidIsValid(get_relname_relid(entity->view_name, view_namespace)))
	{
		LOCKTAG		tag;
		const bool	session_lock = false;
		const bool	dont_wait = false;

		tables_limit_waits();
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
