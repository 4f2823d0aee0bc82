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
#include "queue_control.h"
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
	int64		retry_of;
	double		turn;			/* of its next job */
	double		turn_step;
} Run;

/* The run that is being planned, and at which step: for whoever catches an error. */
static int64 planned_run = 0;
static const Activity *planned_step = NULL;

/*
 * record_steps: the steps of a run that was planned.
 */
static void
record_steps(int64 run_id, const char *manifest, const char *graph, const char *jobs)
{
	static Statement insert_activities = {
		"INSERT INTO sync_engine.activity (run_id, kind, status, attempts, detail, finished_at) "
		"SELECT run_id, u.kind, 'succeeded', attempts + 1, u.detail, clock_timestamp() "
		"FROM sync_engine.run, (VALUES ($2, $5), ($3, $6), ($4, $7)) u(kind, detail) WHERE run_id = $1",
		7, {INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		args[7] = {Int64GetDatum(run_id),
		CStringGetTextDatum(activity_load_manifest.kind), CStringGetTextDatum(activity_build_dependency_graph.kind),
		CStringGetTextDatum(activity_create_jobs.kind), CStringGetTextDatum(manifest), CStringGetTextDatum(graph),
	CStringGetTextDatum(jobs)};

	(void) statement_run(&insert_activities, args, NULL);
}

/*
 * insert_job: a job for one entity, with the org's next turn.  Whether it runs or
 * joins another is decided when it is claimed; whoever asks for a record now gets
 * an answer to a request of now.
 */
static int64
insert_job(Run *run, const char *name, const char *mode, const char *note, const char *strategy,
		   int wave, int unmet, int64 folded_into, const char *via)
{
	static Statement insert = {
		"INSERT INTO sync_engine.job (run_id, org, product, entity, mode, strategy, priority, turn, wave, unmet, "
		"  folded_into, via, note, stale) "
		"VALUES ($1, $2, split_part($3, '.', 1), substr($3, strpos($3, '.') + 1), $4, $5, $6, $7, $8, $9, $10, $11, $12, "
		"  $5 = 'record') "
		"RETURNING job_id",
		12, {INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT4OID, FLOAT8OID, INT4OID, INT4OID, INT8OID, TEXTOID,
		TEXTOID}
	};
	Datum		args[12];
	char		nulls[12] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', folded_into == 0 ? 'n' : ' ',
	via == NULL ? 'n' : ' ', note == NULL ? 'n' : ' '};

	args[0] = Int64GetDatum(run->run_id);
	args[1] = CStringGetTextDatum(run->org);
	args[2] = CStringGetTextDatum(name);
	args[3] = CStringGetTextDatum(mode);
	args[4] = CStringGetTextDatum(strategy);
	args[5] = Int32GetDatum(run->priority);
	args[6] = Float8GetDatum(run->turn);
	args[7] = Int32GetDatum(wave);
	args[8] = Int32GetDatum(unmet);
	args[9] = Int64GetDatum(folded_into);
	args[10] = via ? CStringGetTextDatum(via) : (Datum) 0;
	args[11] = note ? CStringGetTextDatum(note) : (Datum) 0;
	if (folded_into == 0)
		run->turn += run->turn_step;
	(void) statement_run(&insert, args, nulls);
	return result_int64(0, 1, 0);
}

/*
 * goes_on: whether the job goes on where the one of the run that is retried
 * stopped: what was read stays read, a walk's ledger too.
 */
static bool
goes_on(const Run *run, int64 job_id)
{
	static Statement take_over = {
		"UPDATE sync_engine.job j SET position = o.position, ceiling = o.ceiling, expected = o.expected, stale = true, "
		"  ledger = coalesce(o.ledger, o.job_id) FROM sync_engine.job o "
		"WHERE j.job_id = $1 AND o.run_id = $2 AND (o.product, o.entity) = (j.product, j.entity) "
		"AND (o.mode, o.strategy) = (j.mode, j.strategy) AND o.status IN ('failed', 'cancelled', 'held') "
		"AND o.position <> '' AND o.folded_into IS NULL AND j.mode <> 'reconcile'",
		2, {INT8OID, INT8OID}
	};
	Datum		args[2] = {Int64GetDatum(job_id), Int64GetDatum(run->retry_of)};

	return run->retry_of != 0 && statement_run(&take_over, args, NULL) > 0;
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
 * fail_run: it cannot be planned.
 */
static void
fail_run(int64 run_id, const char *problem, const char *sqlstate)
{
	static Statement update = {
		"UPDATE sync_engine.run SET status = 'failed', finished_at = clock_timestamp(), error = $2, "
		"  sqlstate = $3 WHERE run_id = $1",
		3, {INT8OID, TEXTOID, TEXTOID}
	};
	Datum		args[3] = {Int64GetDatum(run_id), CStringGetTextDatum(problem), CStringGetTextDatum(sqlstate)};

	(void) statement_run(&update, args, NULL);
}

static void
start_run(const Run *run, int n_jobs)
{
	static Statement update = {
		"UPDATE sync_engine.run SET status = 'running', started_at = clock_timestamp(), error = NULL, sqlstate = NULL "
		"WHERE run_id = $1",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(run->run_id)};

	(void) statement_run(&update, args, NULL);
	if (n_jobs == 0)
		queue_settle_run(run->run_id);
}

/*
 * plan_inquiries: questions need no order and no parents.
 */
static void
plan_inquiries(Run *run, List *names)
{
	ListCell   *cell;

	planned_step = &activity_create_jobs;
	start_run(run, list_length(names));
	run->turn = queue_next_turn(run->org, run->priority, &run->turn_step);
	foreach(cell, names)
		(void) insert_job(run, strVal(lfirst(cell)), strcmp(run->kind, "approve") == 0 ? run->mode : "full", NULL,
						  run->kind, 0, 0, 0, NULL);
}

static int
count_folded(const SyncPlan *plan)
{
	int			n = 0;

	for (int i = 0; i < plan->n; i++)
		n += plan->nodes[i].folded_into >= 0 ? 1 : 0;
	return n;
}

/*
 * job_mode: a reconcile deletes only what was named.  A parent that it pulls in is
 * read, for a child may have moved to one that is not known yet.
 */
static const char *
job_mode(const Run *run, List *names, const PlannedEntity *node)
{
	if (strcmp(run->mode, "reconcile") == 0 && !list_member(names, makeString((char *) node->name)))
		return "full";
	return node->mode;
}

static void
plan_run(Run *run, List *names)
{
	bool		sequential = strcmp(run->execution, "sequential") == 0;
	bool		is_delta = strcmp(run->mode, "delta") == 0;
	PlanOptions options = {
		.may_fold = !sequential && strcmp(run->mode, "reconcile") != 0,
		.soft_edges = strcmp(run->execution, "parallel") != 0,
		.mode = run->mode,
		.only_named = run->retry_of != 0
	};
	SyncPlan   *plan = plan_build(names, run->org, &options);
	int64	   *jobs = palloc0(sizeof(int64) * Max(plan->n, 1));
	bool	   *resumed = palloc0(sizeof(bool) * Max(plan->n, 1));
	int64		previous = 0;	/* sequential: the job to wait for */

	planned_step = &activity_build_dependency_graph;
	if (plan->problem != NULL)
	{
		fail_run(run->run_id, plan->problem, "55000");
		return;
	}
	planned_step = &activity_create_jobs;
	start_run(run, plan->n);
	run->turn = queue_next_turn(run->org, run->priority, &run->turn_step);

	/* in order, so that the turns order the claims: soft parents come first */
	for (int position = 0; position < plan->n; position++)
	{
		int			number = plan->graph->order[position];
		const PlannedEntity *node = &plan->nodes[number];
		/* without an edge its parent comes later; one that goes on has left its records behind */
		bool		folds = node->folded_into >= 0 && jobs[node->folded_into] != 0 &&
			!resumed[node->folded_into];
		bool		waits = sequential && previous != 0;
		int			unmet = waits ? 1 : 0;

		for (int i = 0; i < plan->n_edges; i++)
		{
			const DepEdge *edge = &plan->edges[i];

			if (edge->to == number && edge->hard && !(waits && jobs[edge->from] == previous))
				unmet++;
		}
		jobs[number] = insert_job(run, node->name, job_mode(run, names, node), is_delta ? node->mode_reason : NULL,
								  folds ? node->strategy : node->own_strategy,
								  plan->graph->wave[number], unmet,
								  folds ? jobs[node->folded_into] : 0, folds ? plan_via(plan, node) : NULL);
		resumed[number] = !folds && goes_on(run, jobs[number]);
		for (int i = 0; i < plan->n_edges; i++)
		{
			const DepEdge *edge = &plan->edges[i];

			if (edge->to == number && edge->hard)
				insert_dependency(jobs[number], jobs[edge->from], plan->skips[i]);
		}
		if (waits)
			insert_dependency(jobs[number], previous, false);
		previous = jobs[number];
	}
	record_steps(run->run_id, psprintf("%d entities", plan->n),
				 psprintf("%d waves, %d soft edges dropped, %d entities come with another's pages",
						  plan->graph->n_waves, plan->graph->n_dropped, count_folded(plan)),
				 psprintf("%d jobs", plan->n));
}

bool
planner_plan_next_run(bool pauses)
{
	static Statement next_run = {
		"SELECT run_id, kind, org, mode, execution, priority, entities, retry_of FROM sync_engine.run r "
		"WHERE status = 'queued' AND not_before = '-infinity' "
		"AND NOT EXISTS (SELECT 1 FROM sync_engine.cancel_request c WHERE c.run_id = r.run_id) "
		"ORDER BY priority DESC, run_id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED",
		0, {0}
	};
	Run			run = {0};
	Datum	   *entities;
	int			n;
	bool		isnull;
	List	   *names = NIL;

	planned_run = 0;
	if (statement_run(&next_run, NULL, NULL) == 0)
		return false;
	run.run_id = result_int64(0, 1, 0);
	run.kind = result_text(0, 2);
	run.org = result_text(0, 3);
	run.mode = result_text(0, 4);
	run.execution = result_text(0, 5);
	run.priority = (int) result_int64(0, 6, 0);
	run.retry_of = result_int64(0, 8, 0);
	deconstruct_array(DatumGetArrayTypeP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 7,
													   &isnull)),
					  TEXTOID, -1, false, TYPALIGN_INT, &entities, NULL, &n);
	for (int i = 0; i < n; i++)
		names = lappend(names, makeString(TextDatumGetCString(entities[i])));
	planned_run = run.run_id;
	planned_step = &activity_load_manifest;
	if (strcmp(run.kind, "sync") == 0 || strcmp(run.kind, "audit") == 0)
	{
		plan_run(&run, names);
		if (pauses)
			queue_pause_planned(run.run_id);
	}
	else
		plan_inquiries(&run, names);
	return true;
}

bool
planner_note_failure(const char *sqlstate, const char *message)
{
	static Statement note = {
		"UPDATE sync_engine.run SET attempts = attempts + 1, error = $2, sqlstate = $3 "
		"WHERE run_id = $1 AND status = 'queued' RETURNING attempts",
		3, {INT8OID, TEXTOID, TEXTOID}
	};
	static Statement postpone = {
		"UPDATE sync_engine.run SET not_before = clock_timestamp() + $2 * interval '1 ms' WHERE run_id = $1",
		2, {INT8OID, INT4OID}
	};
	static Statement note_activity = {
		"INSERT INTO sync_engine.activity AS a (run_id, kind, status, attempts, error, sqlstate, finished_at, "
		"  next_attempt_at) "
		"SELECT run_id, $2, CASE WHEN status = 'queued' THEN 'retrying' ELSE 'failed' END, attempts, error, sqlstate, "
		"  finished_at, CASE WHEN status = 'queued' THEN not_before END FROM sync_engine.run WHERE run_id = $1",
		2, {INT8OID, TEXTOID}
	};
	static Statement forget_activity = {
		"DELETE FROM sync_engine.activity WHERE run_id = $1 AND job_id IS NULL AND status = 'retrying'",
		1, {INT8OID}
	};
	Datum		args[3] = {Int64GetDatum(planned_run), CStringGetTextDatum(message), CStringGetTextDatum(sqlstate)};
	int			attempts;

	if (planned_run == 0)
		return false;
	if (statement_run(&note, args, NULL) == 0)
		return true;
	attempts = (int) result_int64(0, 1, 0);
	if (attempts >= planned_step->policy.max_attempts)
		fail_run(planned_run, message, sqlstate);
	else
	{
		args[1] = Int32GetDatum(activity_delay_ms(planned_step, attempts));
		(void) statement_run(&postpone, args, NULL);
	}
	(void) statement_run(&forget_activity, args, NULL);
	args[1] = CStringGetTextDatum(planned_step->kind);
	(void) statement_run(&note_activity, args, NULL);
	return true;
}
