/*-------------------------------------------------------------------------
 *
 * sql_plan.c
 *		The SQL-callable function that shows what a run would do.
 *
 * IDENTIFICATION
 *		src/sql_plan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "budget.h"
#include "catalog/pg_type.h"
#include "entity_name.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "org.h"
#include "plan.h"
#include "queue.h"
#include "session.h"
#include "sql_args.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "wait.h"

PG_FUNCTION_INFO_V1(sync_plan);

/* Counts of the API are taken for true so long. */
#define COUNTED_MINUTES		10

/* Counting more than these takes seconds at PCO's rate: say so. */
#define MANY_LISTS			20

/*
 * PCO's limit, where no answer has told another: requests a second.
 */
#define DEFAULT_RATE		5.0

/*
 * not_counted: the lists among these that the API has not counted lately.
 */
static List *
not_counted(const SyncPlan *plan, const char *org)
{
	static Statement select_counted = {
		"SELECT product || '.' || entity FROM sync_engine.sync_state "
		"WHERE org = $1 AND counted_at > now() - $2 * interval '1 min'",
		2, {TEXTOID, INT4OID}
	};
	Datum		args[2] = {CStringGetTextDatum(org), Int32GetDatum(COUNTED_MINUTES)};
	uint64		rows = statement_run_latest(&select_counted, args, NULL);
	List	   *counted = NIL;
	List	   *names = NIL;

	for (uint64 row = 0; row < rows; row++)
		counted = lappend(counted, makeString(result_text(row, 1)));
	for (int i = 0; i < plan->n; i++)
	{
		const PlannedEntity *node = &plan->nodes[i];

		if (node->parent < 0 && !node->single && !list_member(counted, makeString(unconstify(char *, node->name))))
			names = lappend(names, makeString(psprintf("%s.total of %s", node->product, node->entity)));
	}
	return names;
}

/*
 * node_names: the hard or the soft dependencies of a node, as an array.
 */
static Datum
node_names(const SyncPlan *plan, int number, bool hard)
{
	List	   *names = NIL;

	for (int i = 0; i < plan->n_edges; i++)
	{
		const DepEdge *edge = &plan->edges[i];
		bool		dropped = false;

		for (int k = 0; k < plan->graph->n_dropped; k++)
			dropped = dropped || plan->graph->dropped[k] == i;
		if (edge->to == number && edge->hard == hard && !dropped)
			names = lappend(names, makeString(unconstify(char *, plan->nodes[edge->from].entity)));
	}
	return entity_names_array(names);
}

/*
 * request_rate: requests a second that the org may make.
 */
static double
request_rate(const char *name)
{
	Failure		failure;
	Org		   *org = org_load(name, &failure);
	double		rate = 0;

	if (org != NULL)
	{
		rate = budget_rate(org->budget_key);
		if (rate == 0)
			rate = DEFAULT_RATE;
		if (org->rate_share > 0)
			rate *= org->rate_share / 100.0;
		org_forget_secret(org);
	}
	return rate > 0 ? rate : DEFAULT_RATE;
}

static void
return_plan(FunctionCallInfo fcinfo, const SyncPlan *plan, double rate)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	for (int position = 0; position < plan->n; position++)
	{
		int			number = plan->graph->order[position];
		const PlannedEntity *node = &plan->nodes[number];
		Interval   *duration = palloc0(sizeof(Interval));
		Datum		values[12];
		bool		nulls[12] = {false};

		duration->time = (TimeOffset) (node->requests / rate * USECS_PER_SEC);
		values[0] = Int32GetDatum(plan->graph->wave[number]);
		values[1] = CStringGetTextDatum(node->product);
		values[2] = CStringGetTextDatum(node->entity);
		values[3] = CStringGetTextDatum(node->mode);
		values[4] = CStringGetTextDatum(node->strategy);
		values[5] = CStringGetTextDatum(node->folded_into < 0 ? node->path : plan_via(plan, node));
		values[6] = node_names(plan, number, true);
		values[7] = node_names(plan, number, false);
		values[8] = Int64GetDatum((int64) node->records);
		values[9] = Int64GetDatum((int64) node->requests);
		values[10] = IntervalPGetDatum(duration);
		values[11] = CStringGetTextDatum(plan_reason(plan, node));
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

/*
 * sync_plan(org, entities, mode): lets a lane count the lists, and shows what a
 * run would do.
 */
Datum
sync_plan(PG_FUNCTION_ARGS)
{
	static const char *const modes[] = {"auto", "full", "delta", "reconcile"};
	RunRequest	request = {.kind = "probe",.mode = "full",.execution = "parallel",
	.priority = INQUIRY_PRIORITY,.role = GetSessionUserId()};
	OwnerScope	scope;
	List	   *names;
	bool		everything;
	SyncPlan   *plan;
	const bool	must_be_committed = true;
	PlanOptions options = {.may_fold = true,.soft_edges = true};

	sql_require_primary("sync_plan");
	InitMaterializedSRF(fcinfo, 0);
	request.org = sql_text_argument(fcinfo, 0, "org");
	options.mode = sql_one_of(fcinfo, 2, "mode", modes, lengthof(modes));
	options.may_fold = strcmp(options.mode, "reconcile") != 0;
	SPI_connect();
	owner_scope_enter(&scope);
	sql_require_org(request.org, must_be_committed);
	names = sql_entities_argument(fcinfo, 1, request.org, &everything);
	plan = plan_build(names, request.org, &options);
	plan_require_order(plan);
	request.entities = not_counted(plan, request.org);
	owner_scope_leave(&scope);

	if (list_length(request.entities) > MANY_LISTS)
		ereport(NOTICE,
				(errmsg("the API is asked to count %d lists, one request each",
						list_length(request.entities))));
	if (request.entities != NIL)
		(void) wait_run_request(&request);

	owner_scope_enter(&scope);
	plan = plan_build(names, request.org, &options);
	return_plan(fcinfo, plan, request_rate(request.org));
	owner_scope_leave(&scope);
	SPI_finish();
	return (Datum) 0;
}
