/*-------------------------------------------------------------------------
 *
 * wait.c
 *		How a user's backend waits for a run.
 *
 * The backend sleeps on its latch; a lane wakes it when a run moves.  What it
 * sees are committed rows under the latest snapshot, so that a caller in
 * REPEATABLE READ sees progress too.
 *
 * IDENTIFICATION
 *		src/wait.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "blockers.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "inbox.h"
#include "lane_problem.h"
#include "miscadmin.h"
#include "session.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "wait.h"

/*
 * A wake-up can be lost with its lane, and a lock that we hold is noticed by
 * looking; both are rare, so the pause may be long enough to cost nothing.
 */
#define WAIT_POLL_MS	200

/*
 * Parallel queries can take every worker slot for a moment, and a launcher
 * that was lost is back after a second: only then is it worth an error.
 */
#define NO_WORKER_MS	5000

/* A hundred years; longer is for ever. */
#define WAIT_MAX_MS		(INT64CONST(36525) * 86400 * 1000)

/* Progress notices of one run come so often at the most. */
#define NOTICE_MS		1000

/* Of more than these not each one is shown. */
#define MANY_ENTITIES	20

/* What was shown of a run so far. */
typedef struct Progress
{
	TimestampTz shown_at;
	List	   *ended;			/* job ids (int64 *) that were shown as ended */
} Progress;

/*
 * run_status: as committed now; raises an error if there is no such run, or
 * if only we can see it.
 */
static char *
run_status(int64 run_id, MemoryContext context)
{
	static Statement select_status = {
		"SELECT status FROM sync_engine.run WHERE run_id = $1",
		1, {INT8OID}
	};
	static Statement select_writers = {
		"SELECT xmin FROM sync_engine.run WHERE run_id = $1 "
		"UNION ALL SELECT xmin FROM sync_engine.cancel_request WHERE run_id = $1",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(run_id)};
	OwnerScope	scope;
	char	   *status = NULL;
	uint64		n;
	bool		isnull;

	SPI_connect();
	owner_scope_enter(&scope);
	n = statement_run_latest(&select_writers, args, NULL);
	for (uint64 i = 0; i < n; i++)
	{
		Datum		xmin = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);

		if (TransactionIdIsCurrentTransactionId(DatumGetTransactionId(xmin)))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("run " INT64_FORMAT " is not committed yet", run_id),
					 errdetail("It was started or cancelled in this transaction, so no lane can see that."),
					 errhint("COMMIT before you wait for it.")));
	}
	if (statement_run_latest(&select_status, args, NULL) > 0)
		status = MemoryContextStrdup(context, result_text(0, 1));
	owner_scope_leave(&scope);
	SPI_finish();
	if (status == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("run " INT64_FORMAT " does not exist", run_id),
				 errhint("See sync_runs for the runs.")));
	return status;
}

static bool
was_shown(const Progress *progress, int64 job_id)
{
	ListCell   *cell;

	foreach(cell, progress->ended)
	{
		if (*(int64 *) lfirst(cell) == job_id)
			return true;
	}
	return false;
}

/*
 * show_ended: a notice of an entity that ended; of many only what went wrong.
 * Columns of the last result: see show_progress.
 */
static void
show_ended(uint64 row, Progress *progress, bool many, MemoryContext context)
{
	int64		job_id = result_int64(row, 1, 0);
	char	   *status = result_text(row, 3);
	char	   *error = result_text(row, 12);
	MemoryContext old;
	int64	   *shown;

	if (was_shown(progress, job_id))
		return;
	if (!many || strcmp(status, "failed") == 0 || strcmp(status, "partial") == 0)
		ereport(NOTICE,
				(errmsg("%s %s: %s fetched, %s inserted, %s updated, %s unchanged, %s dead-lettered%s%s",
						result_text(row, 2), status, result_text(row, 5), result_text(row, 7),
						result_text(row, 8), result_text(row, 9), result_text(row, 10),
						error ? ": " : "", error ? error : "")));
	old = MemoryContextSwitchTo(context);
	shown = palloc(sizeof(int64));
	*shown = job_id;
	progress->ended = lappend(progress->ended, shown);
	MemoryContextSwitchTo(old);
}

static void
show_reading(uint64 row)
{
	char	   *error = result_text(row, 12);
	char	   *expected = result_text(row, 6);

	ereport(NOTICE,
			(errmsg("%s: %s%s%s fetched, %s requests%s%s",
					result_text(row, 2), result_text(row, 5),
					expected ? " of " : "", expected ? expected : "", result_text(row, 11),
					error ? ": " : "", error ? error : "")));
}

/*
 * show_sum: where a run over many entities stands.
 */
static void
show_sum(int64 run_id)
{
	static Statement select_sum = {
		"SELECT count(*) FILTER (WHERE status NOT IN ('queued', 'running', 'paused', 'held')), count(*), "
		"  to_char(coalesce(sum(fetched), 0), 'FM999,999,999,990'), "
		"  to_char(coalesce(sum(requests), 0), 'FM999,999,999,990') "
		"FROM sync_engine.job WHERE run_id = $1",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(run_id)};

	if (statement_run_latest(&select_sum, args, NULL) > 0)
		ereport(NOTICE,
				(errmsg("%s of %s entities are done: %s records fetched, %s requests",
						result_text(0, 1), result_text(0, 2), result_text(0, 3), result_text(0, 4))));
}

/*
 * show_progress: a notice for each entity that ended, and now and then for
 * each one that is being read; of a run over many, one for all of them.
 */
static void
show_progress(int64 run_id, Progress *progress, MemoryContext context)
{
	static Statement select_jobs = {
		"SELECT j.job_id, CASE WHEN j.product = 'people' THEN j.entity ELSE j.product || '.' || j.entity END, "
		"  j.status, j.status NOT IN ('queued', 'running', 'paused', 'held'), "
		"  to_char(j.fetched, 'FM999,999,999,990'), to_char(j.expected, 'FM999,999,999,990'), "
		"  to_char(j.inserted, 'FM999,999,999,990'), to_char(j.updated, 'FM999,999,999,990'), "
		"  to_char(j.unchanged, 'FM999,999,999,990'), j.dead_lettered::text, j.requests::text, "
		"  coalesce(j.error, a.error), "
		"  (SELECT count(*) FROM sync_engine.job WHERE run_id = $1) "
		"FROM sync_engine.job j LEFT JOIN LATERAL (SELECT error FROM sync_engine.activity a "
		"  WHERE a.job_id = j.job_id AND a.status = 'retrying' LIMIT 1) a ON true "
		"WHERE j.run_id = $1 AND (j.status <> 'queued' OR j.error IS NOT NULL) ORDER BY j.job_id",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(run_id)};
	TimestampTz now = GetCurrentTimestamp();
	bool		due = TimestampDifferenceExceeds(progress->shown_at, now, NOTICE_MS);
	OwnerScope	scope;
	uint64		n;
	bool		many;

	SPI_connect();
	owner_scope_enter(&scope);
	n = statement_run_latest(&select_jobs, args, NULL);
	many = n > 0 && result_int64(0, 13, 0) > MANY_ENTITIES;
	for (uint64 i = 0; i < n; i++)
	{
		if (result_bool(i, 4))
			show_ended(i, progress, many, context);
		else if (due && !many)
			show_reading(i);
	}
	if (due && many)
		show_sum(run_id);
	owner_scope_leave(&scope);
	SPI_finish();
	if (due)
		progress->shown_at = now;
}

static void
sleep_on_latch(long timeout_ms)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, timeout_ms,
					 compat_wait_event("SyncEngineWait"));
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/*
 * check_own_locks: the run (0 = it has no number yet) cannot go on while this
 * transaction holds a lock that it needs.
 */
static void
check_own_locks(WaiterSlot *waiter, int64 run_id)
{
	int64		job_id = waiter->blocked_job;
	bool		deadlock;
	OwnerScope	scope;

	waiter->blocked_job = 0;
	if (job_id == 0 && !blockers_include_me(&job_id))
		return;

	deadlock = job_id == 0;		/* no lane finds any work at all */
	if (job_id != 0 && run_id != 0)
	{
		SPI_connect();
		owner_scope_enter(&scope);
		deadlock = blockers_stop_run(job_id, run_id);
		owner_scope_leave(&scope);
		SPI_finish();
	}
	if (deadlock)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_DEADLOCK_DETECTED),
				 errmsg("deadlock detected"),
				 errdetail("This transaction waits for a run that waits for a lock which this transaction holds."),
				 errhint("COMMIT before you wait for a run.")));
}

/*
 * check_workers: a run that no lane has taken up since then may have none to
 * wait for.
 */
static void
check_workers(TimestampTz since)
{
	const char *hint;
	const char *problem;

	if (!TimestampDifferenceExceeds(since, GetCurrentTimestamp(), NO_WORKER_MS))
		return;
	problem = lane_problem(&hint);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("%s", problem), errhint("%s", hint)));
}

static bool
has_ended(const char *status)
{
	return strcmp(status, "queued") != 0 && strcmp(status, "running") != 0 &&
		strcmp(status, "paused") != 0;
}

/*
 * watch: until the run has ended or the time is over; its status.
 */
static char *
watch(WaiterSlot *waiter, int64 run_id, TimestampTz deadline, bool show)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "waiting for a run",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "looking at a run",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(scratch);
	TimestampTz since = GetCurrentTimestamp();
	Progress	progress = {.shown_at = since};
	char	   *status;

	for (;;)
	{
		long		timeout = WAIT_POLL_MS;

		MemoryContextReset(scratch);
		status = run_status(run_id, scratch);
		if (show)
			show_progress(run_id, &progress, context);
		if (has_ended(status))
			break;
		if (deadline != DT_NOEND)
		{
			timeout = Min(timeout, TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline));
			if (timeout <= 0)
				break;
		}
		check_own_locks(waiter, run_id);
		if (strcmp(status, "queued") == 0)
			check_workers(since);
		sleep_on_latch(timeout);
	}
	MemoryContextSwitchTo(caller);
	status = pstrdup(status);
	MemoryContextDelete(scratch);
	MemoryContextDelete(context);
	return status;
}

/*
 * wait_for_number: until a lane has enqueued the request.
 */
static int64
wait_for_number(WaiterSlot *waiter)
{
	TimestampTz since = GetCurrentTimestamp();

	for (;;)
	{
		WaiterState state = *(volatile WaiterState *) &waiter->state;

		if (state == WAITER_WATCHING)
			return waiter->run_id;
		if (state == WAITER_REJECTED)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the run could not be started: %s", waiter->error)));
		check_own_locks(waiter, 0);
		check_workers(since);
		sleep_on_latch(WAIT_POLL_MS);
	}
}

int64
wait_run_request(const RunRequest *request)
{
	WaiterSlot *waiter = inbox_request_run(request);
	volatile int64 run_id = 0;
	const bool	show = strcmp(request->kind, "sync") == 0;

	PG_TRY();
	{
		run_id = wait_for_number(waiter);
		(void) watch(waiter, run_id, DT_NOEND, show);
	}
	PG_CATCH();
	{
		/* nobody else asked for a run that has not begun */
		bool		cancel = geterrcode() == ERRCODE_QUERY_CANCELED || run_id == 0;

		inbox_leave(waiter, cancel);
		PG_RE_THROW();
	}
	PG_END_TRY();
	inbox_leave(waiter, false);
	return run_id;
}

char *
wait_run(int64 run_id, int64 timeout_ms)
{
	TimestampTz deadline = timeout_ms < 0 || timeout_ms > WAIT_MAX_MS ? DT_NOEND :
		GetCurrentTimestamp() + timeout_ms * INT64CONST(1000);
	WaiterSlot *waiter = inbox_watch_run(run_id);
	char	   *volatile status = NULL;
	const bool	show = false;
	const bool	cancel = false;

	PG_TRY();
	{
		status = watch(waiter, run_id, deadline, show);
	}
	PG_FINALLY();
	{
		inbox_leave(waiter, cancel);
	}
	PG_END_TRY();
	return status;
}
