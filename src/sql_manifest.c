/*-------------------------------------------------------------------------
 *
 * sql_manifest.c
 *		The SQL-callable functions about the manifest.
 *
 * IDENTIFICATION
 *		src/sql_manifest.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "entity_name.h"
#include "funcapi.h"
#include "graph_format.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "plan.h"
#include "queue.h"
#include "session.h"
#include "sql_args.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "wait.h"

PG_FUNCTION_INFO_V1(sync_dependency_graph);
PG_FUNCTION_INFO_V1(sync_engine_resolve_entity);
PG_FUNCTION_INFO_V1(sync_manifest_refresh);

/*
 * sync_dependency_graph(entities, format): text, mermaid or dot.
 */
Datum
sync_dependency_graph(PG_FUNCTION_ARGS)
{
	static const char *const formats[] = {"text", "mermaid", "dot"};
	GraphFormat format;
	OwnerScope	scope;
	List	   *names;
	SyncPlan   *plan;
	const char **node_names;
	char	   *text;
	MemoryContext caller = CurrentMemoryContext;
	const PlanOptions options = {.may_fold = true,.soft_edges = true,.mode = "full"};

	(void) graph_format_by_name(sql_one_of(fcinfo, 1, "format", formats, lengthof(formats)), &format);
	SPI_connect();
	owner_scope_enter(&scope);
	names = PG_ARGISNULL(0) ? list_make1("*") : sql_name_list(PG_GETARG_ARRAYTYPE_P(0), "entities");
	names = entity_names_resolve(names);
	plan = plan_build(names, NULL, &options);
	plan_require_order(plan);
	node_names = palloc(sizeof(char *) * Max(plan->n, 1));
	for (int i = 0; i < plan->n; i++)
		node_names[i] = plan->nodes[i].name;
	text = graph_format_write(format, plan->n, node_names, plan->n_edges, plan->edges, plan->graph);
	text = MemoryContextStrdup(caller, text);
	owner_scope_leave(&scope);
	SPI_finish();
	PG_RETURN_TEXT_P(cstring_to_text(text));
}

/*
 * sync_engine.resolve_entity(entity): the product and the name of an entity as
 * a user writes it.
 */
Datum
sync_engine_resolve_entity(PG_FUNCTION_ARGS)
{
	char	   *name = sql_text_argument(fcinfo, 0, "entity");
	OwnerScope	scope;
	char	   *resolved;
	TupleDesc	row;
	Datum		values[2];
	bool		nulls[2] = {false};
	HeapTuple	tuple;
	MemoryContext caller = CurrentMemoryContext;

	SPI_connect();
	owner_scope_enter(&scope);
	resolved = MemoryContextStrdup(caller, entity_name_resolve(name));
	owner_scope_leave(&scope);
	SPI_finish();

	if (get_call_result_type(fcinfo, NULL, &row) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	*strchr(resolved, '.') = '\0';
	values[0] = CStringGetTextDatum(resolved);
	values[1] = CStringGetTextDatum(resolved + strlen(resolved) + 1);
	tuple = heap_form_tuple(BlessTupleDesc(row), values, nulls);
	PG_RETURN_DATUM(HeapTupleGetDatum(tuple));
}

/*
 * refresh_products: the products whose documentation is to be read.
 */
static List *
refresh_products(FunctionCallInfo fcinfo)
{
	static Statement select_products = {
		"SELECT product FROM sync_engine.product WHERE $1 IS NULL OR product = replace($1, '-', '_') "
		"ORDER BY product",
		1, {TEXTOID}
	};
	Datum		args[1] = {PG_ARGISNULL(1) ? (Datum) 0 : PG_GETARG_DATUM(1)};
	uint64		n = statement_run(&select_products, args, PG_ARGISNULL(1) ? "n" : " ");
	List	   *names = NIL;

	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("product \"%s\" does not exist", sql_text_argument(fcinfo, 1, "product")),
				 errhint("See sync_entities for the products.")));
	for (uint64 i = 0; i < n; i++)
		names = lappend(names, makeString(psprintf("%s.documentation", result_text(i, 1))));
	return names;
}

/*
 * report_unread: says which products could not be asked about.
 */
static void
report_unread(int64 run_id)
{
	static Statement select_failed = {
		"SELECT product, error FROM sync_engine.job WHERE run_id = $1 AND status <> 'succeeded' ORDER BY product",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(run_id)};
	uint64		n = statement_run_latest(&select_failed, args, NULL);

	for (uint64 i = 0; i < n; i++)
		ereport(WARNING,
				(errmsg("the documentation of product \"%s\" could not be read: %s",
						result_text(i, 1), result_text(i, 2) ? result_text(i, 2) : "cancelled")));
}

/*
 * sync_manifest_refresh(org, product, apply): lets a lane read the API's
 * documentation; how it differs from the manifest.
 */
Datum
sync_manifest_refresh(PG_FUNCTION_ARGS)
{
	static Statement select_differences = {
		"SELECT d.* FROM sync_engine.job j, sync_engine.manifest_differences(j.product) d "
		"WHERE j.run_id = $1 AND j.status = 'succeeded'",
		1, {INT8OID}
	};
	static Statement apply = {
		"SELECT sync_engine.manifest_apply_differences(product) FROM sync_engine.job "
		"WHERE run_id = $1 AND status = 'succeeded'",
		1, {INT8OID}
	};
	RunRequest	request = {.kind = "refresh",.mode = "full",.execution = "parallel",
	.priority = INQUIRY_PRIORITY,.role = GetSessionUserId()};
	OwnerScope	scope;
	Datum		args[1];
	const bool	must_be_committed = true;
	const bool	apply_them = !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);

	sql_require_primary("sync_manifest_refresh");
	if (apply_them)
		PreventCommandIfReadOnly("sync_manifest_refresh");
	InitMaterializedSRF(fcinfo, 0);
	request.org = sql_text_argument(fcinfo, 0, "org");
	SPI_connect();
	owner_scope_enter(&scope);
	sql_require_org(request.org, must_be_committed);
	request.entities = refresh_products(fcinfo);
	owner_scope_leave(&scope);

	args[0] = Int64GetDatum(wait_run_request(&request));

	owner_scope_enter(&scope);
	report_unread(DatumGetInt64(args[0]));
	(void) statement_run_latest(&select_differences, args, NULL);
	sql_return_rows(fcinfo);
	if (apply_them)
		(void) statement_run_latest(&apply, args, NULL);
	owner_scope_leave(&scope);
	SPI_finish();
	return (Datum) 0;
}
