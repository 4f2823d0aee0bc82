/*-------------------------------------------------------------------------
 *
 * sql_tables.c
 *		The SQL-callable function that makes data tables.
 *
 * A sync makes them by itself.  Who wants to partition a table, grant rights on
 * it or build views over it before there are rows asks for it here.
 *
 * IDENTIFICATION
 *		src/sql_tables.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "entity_name.h"
#include "funcapi.h"
#include "nodes/value.h"
#include "session.h"
#include "sql_args.h"
#include "tables.h"

PG_FUNCTION_INFO_V1(sync_create_tables);

/*
 * sync_create_tables(entities): in the caller's transaction, as the tables'
 * owner; a row for each table, whether it was there or not.
 */
Datum
sync_create_tables(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	OwnerScope	scope;
	List	   *names;
	ListCell   *cell;

	sql_require_primary("sync_create_tables");
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", "entities")));
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	SPI_connect();
	owner_scope_enter(&scope);
	names = entity_names_resolve(sql_name_list(PG_GETARG_ARRAYTYPE_P(0), "entities"));
	entity_names_validate(names);
	foreach(cell, names)
	{
		DataTable	table = tables_ensure(manifest_load_named(strVal(lfirst(cell))));
		Datum		values[1] = {ObjectIdGetDatum(table.relation)};
		bool		nulls[1] = {false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	owner_scope_leave(&scope);
	SPI_finish();
	return (Datum) 0;
}
