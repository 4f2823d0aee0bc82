/*-------------------------------------------------------------------------
 *
 * sql_api.c
 *		The SQL-callable functions of runs.
 *
 * They never do HTTP, and hold nothing but a request for those who do.
 *
 * IDENTIFICATION
 *		src/sql_api.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "queue.h"
#include "session.h"
#include "shmem.h"
#include "sql_args.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "wait.h"

PG_FUNCTION_INFO_V1(sync_run);
PG_FUNCTION_INFO_V1(sync_start);
PG_FUNCTION_INFO_V1(sync_wait);
PG_FUNCTION_INFO_V1(sync_engine_live_jobs);

/*
 * read_request: the arguments of sync_run and sync_start, checked.  Within an
 * owner scope.
 */
static void
read_request(FunctionCallInfo fcinfo, bool must_be_committed, RunRequest *request)
{
	static const char *const modes[] = {"auto", "full", "delta", "reconcile"};
	static const char *const executions[] = {"sequential", "parallel", "hybrid"};

	request->kind = "sync";
	request->org = sql_text_argument(fcinfo, 0, "org");
	request->mode = sql_one_of(fcinfo, 2, "mode", modes, lengthof(modes));
	request->execution = sql_one_of(fcinfo, 3, "execution", executions, lengthof(executions));
	if (PG_ARGISNULL(4))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", "priority")));
	request->priority = PG_GETARG_INT32(4);
	request->role = GetSessionUserId();
	sql_require_org(request->org, must_be_committed);
	request->entities = sql_entities_argument(fcinfo, 1, request->org, &request->everything);
}

/*
 * sync_run(org, entities, mode, execution, priority): waits; a row an entity.
 */
Datum
sync_run(PG_FUNCTION_ARGS)
{
	static Statement select_jobs = {
		"SELECT run_id, product, entity, mode, status, fetched, inserted, updated, unchanged, deleted, "
		"  dead_lettered, requests, finished_at - started_at, "
		"  error || coalesce(E'\\n' || hint, '') "
		"FROM sync_engine.job WHERE run_id = $1 ORDER BY job_id",
		1, {INT8OID}
	};
	static Statement select_run = {
		"SELECT error FROM sync_engine.run WHERE run_id = $1 AND error IS NOT NULL",
		1, {INT8OID}
	};
	RunRequest	request = {0};
	OwnerScope	scope;
	Datum		args[1];
	int64		run_id;
	const bool	must_be_committed = true;

	sql_require_primary("sync_run");
	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	owner_scope_enter(&scope);
	read_request(fcinfo, must_be_committed, &request);
	owner_scope_leave(&scope);

	run_id = wait_run_request(&request);

	owner_scope_enter(&scope);
	args[0] = Int64GetDatum(run_id);
	if (statement_run_latest(&select_run, args, NULL) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("run " INT64_FORMAT " could not be planned: %s", run_id, result_text(0, 1))));
	(void) statement_run_latest(&select_jobs, args, NULL);
	sql_return_rows(fcinfo);
	owner_scope_leave(&scope);
	SPI_finish();
	return (Datum) 0;
}

/*
 * sync_start(org, entities, mode, execution, priority): enqueues in the
 * caller's transaction; the run's id.
 */
Datum
sync_start(PG_FUNCTION_ARGS)
{
	RunRequest	request = {0};
	OwnerScope	scope;
	int64		run_id;
	const bool	must_be_committed = false;

	sql_require_primary("sync_start");
	SPI_connect();
	owner_scope_enter(&scope);
	read_request(fcinfo, must_be_committed, &request);
	run_id = queue_enqueue(&request);
	owner_scope_leave(&scope);
	SPI_finish();
	shmem_wake_at_commit();
	PG_RETURN_INT64(run_id);
}

/*
 * sync_wait(run_id, timeout): the run's status, at its end or at the timeout.
 */
Datum
sync_wait(PG_FUNCTION_ARGS)
{
	int64		timeout_ms = -1;

	sql_require_primary("sync_wait");
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", "run_id")));
	if (!PG_ARGISNULL(1))
	{
		Interval   *timeout = PG_GETARG_INTERVAL_P(1);

		timeout_ms = timeout->time / 1000 +
			((int64) timeout->day + (int64) timeout->month * DAYS_PER_MONTH) * SECS_PER_DAY * 1000;
		if (timeout_ms < 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("timeout must not be negative")));
	}
	PG_RETURN_TEXT_P(cstring_to_text(wait_run(PG_GETARG_INT64(0), timeout_ms)));
}

/* A rate that was measured for less says nothing yet. */
#define MEASURED_MS		2000

/*
 * records_per_second: of a job as measured; before that, what its budget allows.
 */
static double
records_per_second(const LiveJob *job, TimestampTz now)
{
	int64		fetched = job->fetched - job->fetched_before;

	if (fetched == 0 || !TimestampDifferenceExceeds(job->since, now, MEASURED_MS))
		return job->budget_rate;
	return fetched * 1000.0 / TimestampDifferenceMilliseconds(job->since, now);
}

/*
 * sync_engine.live_jobs(): what the lanes of this database do now.
 */
Datum
sync_engine_live_jobs(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	TimestampTz now = GetCurrentTimestamp();

	shmem_require();
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < MAX_LANES; i++)
	{
		LaneSlot	copy;

		LWLockAcquire(shared->lock, LW_SHARED);
		copy = shared->lanes[i];
		LWLockRelease(shared->lock);
		if (!copy.ready || copy.database != MyDatabaseId)
			continue;
		for (int k = 0; k < MAX_LANE_JOBS; k++)
		{
			const LiveJob *job = &copy.jobs[k];
			Datum		values[8];
			bool		nulls[8] = {false};

			if (job->job_id == 0)
				continue;
			values[0] = Int64GetDatum(job->job_id);
			values[1] = Int32GetDatum(copy.pid);
			values[2] = Int64GetDatum(job->fetched);
			values[3] = Int64GetDatum(job->expected);
			nulls[3] = job->expected < 0;
			values[4] = Int64GetDatum(job->requests);
			values[5] = Int32GetDatum(job->in_flight);
			values[6] = CStringGetTextDatum(job->waiting);
			nulls[6] = job->waiting[0] == '\0';
			values[7] = Float8GetDatum(records_per_second(job, now));
			nulls[7] = DatumGetFloat8(values[7]) <= 0;
			tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		}
	}
	return (Datum) 0;
}
