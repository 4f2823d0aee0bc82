/*-------------------------------------------------------------------------
 *
 * delete_archive.c
 *		The table that deleted rows move to.
 *
 * It lies beside the data table, has its columns and its owner, and is no member
 * of the extension either.  A record that came back and went again is in it twice.
 *
 * IDENTIFICATION
 *		src/delete_archive.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "delete_archive.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "session.h"
#include "tables.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static char *
archive_name(const Entity *entity)
{
	return psprintf("%s_archive", entity->table_name);
}

char *
delete_data_table(const Entity *entity)
{
	return pstrdup(quote_qualified_identifier(entity->schema_name, entity->table_name));
}

char *
delete_archive_table(const Entity *entity)
{
	return pstrdup(quote_qualified_identifier(entity->schema_name, archive_name(entity)));
}

static Oid
data_relation(const Entity *entity)
{
	return get_relname_relid(entity->table_name, get_namespace_oid(entity->schema_name, false));
}

static Oid
archive_relation(const Entity *entity)
{
	return get_relname_relid(archive_name(entity), get_namespace_oid(entity->schema_name, false));
}

char *
delete_columns(const Entity *entity, const char *prefix)
{
	Relation	relation = relation_open(data_relation(entity), AccessShareLock);
	TupleDesc	row = RelationGetDescr(relation);
	StringInfoData columns;

	initStringInfo(&columns);
	for (int i = 0; i < row->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(row, i);

		if (!column->attisdropped && column->attgenerated == '\0')
			appendStringInfo(&columns, "%s%s%s", columns.len > 0 ? ", " : "", prefix,
							 quote_identifier(NameStr(column->attname)));
	}
	relation_close(relation, AccessShareLock);
	return columns.data;
}

/*
 * missing_columns: an ALTER TABLE that adds what the data table has and the
 * archive has not; NULL if nothing is missing.
 */
static char *
missing_columns(const Entity *entity, Oid archive)
{
	Relation	relation = relation_open(data_relation(entity), AccessShareLock);
	TupleDesc	row = RelationGetDescr(relation);
	StringInfoData columns;

	initStringInfo(&columns);
	for (int i = 0; i < row->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(row, i);

		if (!column->attisdropped && get_attnum(archive, NameStr(column->attname)) == InvalidAttrNumber)
			appendStringInfo(&columns, "%s ADD COLUMN %s %s", columns.len > 0 ? "," : "",
							 quote_identifier(NameStr(column->attname)),
							 format_type_with_typemod(column->atttypid, column->atttypmod));
	}
	relation_close(relation, AccessShareLock);
	return columns.len == 0 ? NULL :
		psprintf("ALTER TABLE %s%s", delete_archive_table(entity), columns.data);
}

static void
run_ddl(const char *command)
{
	MemoryContext context = CurrentMemoryContext;

	if (SPI_execute(command, false, 0) < 0)
		elog(ERROR, "could not run \"%s\"", command);
	MemoryContextSwitchTo(context);
}

static void
create_archive(const Entity *entity)
{
	const char *archive = delete_archive_table(entity);

	run_ddl(psprintf("CREATE TABLE %s (LIKE %s)", archive, delete_data_table(entity)));
	run_ddl(psprintf("CREATE INDEX ON %s (org, id)", archive));
	run_ddl(psprintf("COMMENT ON TABLE %s IS %s", archive,
					 quote_literal_cstr(psprintf("%s of Planning Center %s that the API has no more; kept by sync_engine",
												 entity->name, entity->product))));
}

void
delete_archive_ensure(const Entity *entity)
{
	Oid			archive = archive_relation(entity);
	char	   *alter;

	tables_limit_waits();
	if (OidIsValid(archive))
		(void) tables_check(archive);
	session_become_table_owner();
	if (!OidIsValid(archive))
		create_archive(entity);
	else if ((alter = missing_columns(entity, archive)) != NULL)
		run_ddl(alter);
	session_become_extension_owner();
	CommandCounterIncrement();
}
