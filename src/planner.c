/*-------------------------------------------------------------------------
 *
 * planner.c
 *		Turns a queued run into jobs.
 *
 * IDENTIFICATION
 *		src/planner.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/value.h"
#include "plan.h"
#include "planner.h"
#include "queue.h"
#include "session.h"
#include "utils/array.h"
#include "utils/builtins.h"

/* A run to be planned. */
typedef struct Run
{
	int64		run_id;
	char	   *kind;
	char	   *org;
	char	   *mode;
	char	   *execution;
	int			priority;
} Run;

static void
record_activity(int64 run_id, const char *kind, const char *detail)
{
	static Statement insert_activity = {
		"INSERT INTO sync_engine.activity (run_id, kind, status, detail, finished_at) "
		"VALUES ($1, $2, 'succeeded', $3, clock_timestamp())",
		3, {INT8OID, TEXTOID, TEXTOID}
	};
	Datum		args[3] = {Int64GetDatum(run_id), CStringGetTextDatum(kind), CStringGetTextDatum(detail)};

	(void) statement_run(&insert_activity, args, NULL);
}

/* A job of the run, as it was inserted. */
typedef struct PlannedJob
{
	int64		job_id;
	bool		joined;			/* another run's job brings its result */
} PlannedJob;

/*
 * insert_job: a job for one entity.  Where another run's job for it has not
 * ended, the new one joins that.
 */
static PlannedJob
insert_job(const Run *run, const char *name, const char *strategy, int wave, int unmet,
		   int64 folded_into, const char *via)
{
	static Statement insert = {
		"WITH other AS (SELECT o.job_id FROM sync_engine.job o WHERE o.org = $2 "
		"    AND o.product = split_part($3, '.', 1) AND o.entity = split_part($3, '.', 2) "
		"    AND o.status IN ('queued', 'running') AND o.joined_job_id IS NULL AND o.mode = $4 "
		"    AND o.run_id <> $1 ORDER BY job_id LIMIT 1) "
		"INSERT INTO sync_engine.job (run_id, org, product, entity, mode, strategy, priority, wave, unmet, "
		"  joined_job_id, folded_into, via) "
		"SELECT $1, $2, split_part($3, '.', 1), split_part($3, '.', 2), $4, $5, $6, $7, $8, "
		"  (SELECT job_id FROM other), "
		"  CASE WHEN NOT EXISTS (SELECT 1 FROM other) THEN $9 END, "
		"  CASE WHEN NOT EXISTS (SELECT 1 FROM other) THEN $10 END "
		"RETURNING job_id, joined_job_id IS NOT NULL",
		10, {INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT4OID, INT4OID, INT4OID, INT8OID, TEXTOID}
	};
	Datum		args[10];
	char		nulls[10] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', folded_into == 0 ? 'n' : ' ',
	via == NULL ? 'n' : ' '};
	PlannedJob	job;

	args[0] = Int64GetDatum(run->run_id);
	args[1] = CStringGetTextDatum(run->org);
	args[2] = CStringGetTextDatum(name);
	args[3] = CStringGetTextDatum(strcmp(run->mode, "auto") == 0 ? "full" : run->mode);
	args[4] = CStringGetTextDatum(strategy);
	args[5] = Int32GetDatum(run->priority);
	args[6] = Int32GetDatum(wave);
	args[7] = Int32GetDatum(unmet);
	args[8] = Int64GetDatum(folded_into);
	args[9] = via ? CStringGetTextDatum(via) : (Datum) 0;
	(void) statement_run(&insert, args, nulls);
	job.job_id = result_int64(0, 1, 0);
	job.joined = result_bool(0, 2);
	return job;
}

static void
insert_dependency(int64 job_id, int64 needs, bool hard)
{
	static Statement insert = {
		"INSERT INTO sync_engine.job_dependency (job_id, needs, hard) VALUES ($1, $2, $3) "
		"ON CONFLICT (job_id, needs) DO NOTHING",
		3, {INT8OID, INT8OID, BOOLOID}
	};
	Datum		args[3] = {Int64GetDatum(job_id), Int64GetDatum(needs), BoolGetDatum(hard)};

	(void) statement_run(&insert, args, NULL);
}

/*
 * fail_run: a graph that cannot be ordered is the manifest's fault.
 */
static void
fail_run(const Run *run, const char *problem)
{
	static Statement update = {
		"UPDATE sync_engine.run SET status = 'failed', finished_at = clock_timestamp(), error = $2, "
		"  sqlstate = '55000' WHERE run_id = $1",
		2, {INT8OID, TEXTOID}
	};
	Datum		args[2] = {Int64GetDatum(run->run_id), CStringGetTextDatum(problem)};

	(void) statement_run(&update, args, NULL);
}

static void
start_run(const Run *run, int n_jobs)
{
	static Statement update = {
		"UPDATE sync_engine.run SET status = 'running', started_at = clock_timestamp() WHERE run_id = $1",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(run->run_id)};

	(void) statement_run(&update, args, NULL);
	if (n_jobs == 0)
		queue_close_run(run->run_id);
}

/*
 * plan_inquiries: questions need no order and no parents.
 */
static void
plan_inquiries(const Run *run, List *names)
{
	ListCell   *cell;

	start_run(run, list_length(names));
	foreach(cell, names)
		(void) insert_job(run, strVal(lfirst(cell)), run->kind, 0, 0, 0, NULL);
}

static int
count_folded(const SyncPlan *plan)
{
	int			n = 0;

	for (int i = 0; i < plan->n; i++)
		n += plan->nodes[i].folded_into >= 0 ? 1 : 0;
	return n;
}

static void
plan_run(const Run *run, List *names)
{
	bool		sequential = strcmp(run->execution, "sequential") == 0;
	SyncPlan   *plan = plan_build(names, run->org, !sequential);
	PlannedJob *jobs = palloc0(sizeof(PlannedJob) * Max(plan->n, 1));
	int64		previous = 0;	/* sequential: the job to wait for */

	record_activity(run->run_id, "load_manifest", psprintf("%d entities", plan->n));
	if (plan->problem != NULL)
	{
		fail_run(run, plan->problem);
		return;
	}
	record_activity(run->run_id, "build_dependency_graph",
					psprintf("%d waves, %d soft edges dropped, %d entities come with another's pages",
							 plan->graph->n_waves, plan->graph->n_dropped, count_folded(plan)));
	start_run(run, plan->n);

	/* in order, so that job ids order the claims: soft parents come first */
	for (int position = 0; position < plan->n; position++)
	{
		int			number = plan->graph->order[position];
		const PlannedEntity *node = &plan->nodes[number];
		/* its parent's job is another run's, or (without an edge) comes later */
		bool		folds = node->folded_into >= 0 && jobs[node->folded_into].job_id != 0 &&
			!jobs[node->folded_into].joined;
		bool		waits = sequential && previous != 0;
		int			unmet = waits ? 1 : 0;

		for (int i = 0; i < plan->n_edges; i++)
		{
			const DepEdge *edge = &plan->edges[i];

			if (edge->to == number && edge->hard && !(waits && jobs[edge->from].job_id == previous))
				unmet++;
		}
		jobs[number] = insert_job(run, node->name, folds ? node->strategy : node->own_strategy,
								  plan->graph->wave[number], unmet,
								  folds ? jobs[node->folded_into].job_id : 0, folds ? plan_via(plan, node) : NULL);
		for (int i = 0; i < plan->n_edges; i++)
		{
			const DepEdge *edge = &plan->edges[i];

			if (edge->to == number && edge->hard)
				insert_dependency(jobs[number].job_id, jobs[edge->from].job_id, plan->skips[i]);
		}
		if (waits)
			insert_dependency(jobs[number].job_id, previous, false);
		previous = jobs[number].job_id;
	}
}

bool
planner_plan_next_run(void)
{
	static Statement next_run = {
		"SELECT run_id, kind, org, mode, execution, priority, entities FROM sync_engine.run "
		"WHERE status = 'queued' AND NOT cancel_requested "
		"ORDER BY priority DESC, run_id LIMIT 1 FOR UPDATE SKIP LOCKED",
		0, {0}
	};
	Run			run;
	Datum	   *entities;
	int			n;
	bool		isnull;
	List	   *names = NIL;

	if (statement_run(&next_run, NULL, NULL) == 0)
		return false;
	run.run_id = result_int64(0, 1, 0);
	run.kind = result_text(0, 2);
	run.org = result_text(0, 3);
	run.mode = result_text(0, 4);
	run.execution = result_text(0, 5);
	run.priority = (int) result_int64(0, 6, 0);
	deconstruct_array(DatumGetArrayTypeP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 7,
													   &isnull)),
					  TEXTOID, -1, false, TYPALIGN_INT, &entities, NULL, &n);
	for (int i = 0; i < n; i++)
		names = lappend(names, makeString(TextDatumGetCString(entities[i])));
	if (strcmp(run.kind, "sync") == 0)
		plan_run(&run, names);
	else
		plan_inquiries(&run, names);
	return true;
}
