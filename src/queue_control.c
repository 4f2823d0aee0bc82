/*-------------------------------------------------------------------------
 *
 * queue_control.c
 *		What people want of runs and jobs that have not ended: cancel, pause, resume.
 *
 * IDENTIFICATION
 *		src/queue_control.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "queue.h"
#include "queue_control.h"
#include "queue_fold.h"
#include "session.h"

/* Runs whose jobs change in one transaction. */
#define RUNS_AT_ONCE	"200"

/* Whether pause p means job j.  A question that somebody waits for is answered. */
#define PAUSE_MEANS \
	"(p.org IS NULL OR p.org = j.org) AND (p.run_id IS NULL OR p.run_id = j.run_id) " \
	"AND (p.entity IS NULL OR (p.product, p.entity) = (j.product, j.entity)) " \
	"AND j.strategy NOT IN ('check', 'probe', 'drift', 'refresh', 'record', 'approve')"

#define IS_PAUSED \
	"EXISTS (SELECT 1 FROM sync_engine.pause p WHERE " PAUSE_MEANS ")"

/* What comes along stands still with the job that brings it. */
#define CARRIER_IS_PAUSED \
	"EXISTS (SELECT 1 FROM sync_engine.job c, LATERAL (SELECT c.*) j WHERE c.job_id = q.folded_into AND " IS_PAUSED ")"

void
queue_look_at_wishes(int64 own_lane, QueueWishes *wishes)
{
	static Statement select_any = {
		"SELECT EXISTS (SELECT FROM sync_engine.cancel_request), EXISTS (SELECT FROM sync_engine.pause), "
		"  EXISTS (SELECT FROM sync_engine.job WHERE status = 'paused'), "
		"  EXISTS (SELECT FROM sync_engine.run WHERE status = 'queued' AND not_before = '-infinity'), "
		"  EXISTS (SELECT FROM sync_engine.run WHERE status = 'queued' AND not_before > '-infinity' AND not_before <= now()) "
		"  OR EXISTS (SELECT FROM sync_engine.job WHERE status = 'queued' AND not_before > '-infinity' AND not_before <= now()), "
		"  EXISTS (SELECT FROM sync_engine.job WHERE status = 'running' AND lane <> $1), "
		"  (SELECT md5(string_agg(p::text, ',' ORDER BY p::text)) FROM sync_engine.pause p)",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(own_lane)};
	char	   *pauses;

	(void) statement_run(&select_any, args, NULL);
	wishes->cancel = result_bool(0, 1);
	wishes->pause = result_bool(0, 2);
	wishes->resume = result_bool(0, 3);
	wishes->due = result_bool(0, 5);
	wishes->plan = result_bool(0, 4) || wishes->due;
	wishes->others = result_bool(0, 6);
	pauses = result_text(0, 7);
	strlcpy(wishes->pauses, pauses ? pauses : "none", sizeof(wishes->pauses));
}

void
queue_wake_postponed(void)
{
	static Statement wake_runs = {
		"UPDATE sync_engine.run SET not_before = '-infinity' WHERE run_id = ANY (ARRAY(SELECT run_id "
		"  FROM sync_engine.run WHERE status = 'queued' AND not_before > '-infinity' "
		"  AND not_before <= clock_timestamp() ORDER BY run_id FOR NO KEY UPDATE SKIP LOCKED))",
		0, {0}
	};
	static Statement wake_jobs = {
		"UPDATE sync_engine.job SET not_before = '-infinity' WHERE job_id = ANY (ARRAY(SELECT job_id "
		"  FROM sync_engine.job WHERE status = 'queued' AND not_before > '-infinity' "
		"  AND not_before <= clock_timestamp() ORDER BY job_id FOR NO KEY UPDATE SKIP LOCKED))",
		0, {0}
	};

	(void) statement_run(&wake_runs, NULL, NULL);
	(void) statement_run(&wake_jobs, NULL, NULL);
}

/*
 * ids: the first column of the last result, as a list of int64 * in that context.
 */
static List *
ids(uint64 n, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	List	   *list = NIL;

	for (uint64 i = 0; i < n; i++)
	{
		int64	   *id = palloc(sizeof(int64));

		*id = result_int64(i, 1, 0);
		list = lappend(list, id);
	}
	MemoryContextSwitchTo(old);
	return list;
}

static Datum
ids_array(const List *list)
{
	int			n = list_length(list);
	int64	   *values = palloc(sizeof(int64) * Max(n, 1));

	for (int i = 0; i < n; i++)
		values[i] = *(int64 *) list_nth(list, i);
	return int64_array(values, n);
}

/* ---- Cancel -------------------------------------------------------------- */

List *
queue_runs_to_cancel(void)
{
	/* a wish is granted, or in vain, when the run has ended, however that came */
	static Statement forget_cancels = {
		"DELETE FROM sync_engine.cancel_request c WHERE NOT EXISTS (SELECT 1 FROM sync_engine.run r "
		"  WHERE r.run_id = c.run_id AND r.status IN ('queued', 'running', 'paused'))",
		0, {0}
	};
	static Statement forget_pauses = {
		"DELETE FROM sync_engine.pause p USING (SELECT ctid FROM sync_engine.pause o WHERE run_id IS NOT NULL "
		"  AND NOT EXISTS (SELECT 1 FROM sync_engine.run r WHERE r.run_id = o.run_id "
		"    AND r.status IN ('queued', 'running', 'paused')) FOR UPDATE SKIP LOCKED) old WHERE p.ctid = old.ctid",
		0, {0}
	};
	static Statement select_runs = {
		"SELECT DISTINCT run_id FROM sync_engine.cancel_request ORDER BY run_id", 0, {0}
	};
	MemoryContext context = CurrentMemoryContext;

	(void) statement_run(&forget_cancels, NULL, NULL);
	(void) statement_run(&forget_pauses, NULL, NULL);
	return ids(statement_run(&select_runs, NULL, NULL), context);
}

void
queue_cancel_waiting_jobs(int64 run_id)
{
	static Statement cancel_unplanned = {
		"UPDATE sync_engine.run SET status = 'cancelled', finished_at = clock_timestamp() "
		"WHERE run_id = $1 AND status = 'queued'",
		1, {INT8OID}
	};
	static Statement cancel_jobs = {
		"UPDATE sync_engine.job SET status = 'cancelled', finished_at = clock_timestamp(), "
		"  joined_job_id = NULL, parked = NULL WHERE job_id = ANY (ARRAY(SELECT job_id FROM sync_engine.job "
		"  WHERE run_id = $1 AND status IN ('queued', 'paused') ORDER BY job_id FOR NO KEY UPDATE)) "
		"RETURNING job_id",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(run_id)};
	List	   *cancelled;
	ListCell   *cell;

	queue_lock_run_rows(int64_array(&run_id, 1));
	if (statement_run(&cancel_unplanned, args, NULL) > 0)
		return;
	cancelled = ids(statement_run(&cancel_jobs, args, NULL), CurrentMemoryContext);
	foreach(cell, cancelled)
		queue_part_joined(*(int64 *) lfirst(cell));
	queue_settle_run(run_id);
}

/* ---- Pause and resume ---------------------------------------------------- */

/*
 * change_some: the runs that `find` finds are locked, `change` changes their jobs,
 * and `follow`, if given, what rests on them.
 */
static bool
change_some(Statement *find, Statement *change, Statement *follow)
{
	List	   *runs = ids(statement_run(find, NULL, NULL), CurrentMemoryContext);
	Datum		args[1];

	if (runs == NIL)
		return false;
	args[0] = ids_array(runs);
	queue_lock_run_rows(args[0]);
	(void) statement_run(change, args, NULL);
	if (follow != NULL)
		(void) statement_run(follow, args, NULL);
	queue_settle_runs(args[0]);
	return true;
}

/* Those of these runs (array of bigint) that a pause means. */
static Statement pause_jobs = {
	"UPDATE sync_engine.job q SET status = 'paused', stale = stale OR position <> '', joined_job_id = NULL, parked = NULL, folded_into = NULL, "
	"  via = NULL, strategy = " QUEUE_OWN_STRATEGY("q") " WHERE q.job_id = ANY (ARRAY(SELECT q.job_id "
	"  FROM sync_engine.job q WHERE q.run_id = ANY ($1) AND q.status = 'queued' "
	"  AND EXISTS (SELECT 1 FROM sync_engine.job j WHERE j.job_id = q.job_id AND " IS_PAUSED ") "
	"  AND NOT " CARRIER_IS_PAUSED " ORDER BY q.job_id FOR NO KEY UPDATE))",
	1, {INT8ARRAYOID}
};

/*
 * What has joined jobs of these runs that stand still now, or what comes along with
 * them: if it is not to stand still itself it reads itself.
 */
static Statement part_from_paused = {
	"UPDATE sync_engine.job q SET joined_job_id = NULL FROM sync_engine.job t "
	"LEFT JOIN sync_engine.job c ON c.job_id = t.folded_into "
	"WHERE t.run_id = ANY ($1) AND q.joined_job_id = t.job_id AND q.status = 'queued' "
	"AND 'paused' IN (t.status, c.status)",
	1, {INT8ARRAYOID}
};

void
queue_pause_planned(int64 run_id)
{
	Datum		args[1];

	args[0] = int64_array(&run_id, 1);
	(void) statement_run(&pause_jobs, args, NULL);
	queue_settle_runs(args[0]);
}

bool
queue_pause_some(void)
{
	/* from the pauses to the jobs that they mean, each by an index */
	static Statement find = {
		"SELECT DISTINCT q.run_id FROM ("
		"  SELECT j.* FROM sync_engine.pause p JOIN sync_engine.job j ON j.org = p.org "
		"    WHERE j.status = 'queued' AND p.run_id IS NULL AND " PAUSE_MEANS
		"  UNION ALL SELECT j.* FROM sync_engine.pause p JOIN sync_engine.job j ON j.run_id = p.run_id "
		"    WHERE j.status = 'queued' AND " PAUSE_MEANS
		"  UNION ALL SELECT j.* FROM sync_engine.pause p, sync_engine.job j "
		"    WHERE j.status = 'queued' AND p.org IS NULL AND p.run_id IS NULL AND " PAUSE_MEANS ") q "
		"WHERE NOT " CARRIER_IS_PAUSED " ORDER BY 1 LIMIT " RUNS_AT_ONCE,
		0, {0}
	};

	return change_some(&find, &pause_jobs, &part_from_paused);
}

bool
queue_resume_some(void)
{
	static Statement find = {
		"SELECT DISTINCT j.run_id FROM sync_engine.job j WHERE j.status = 'paused' AND NOT " IS_PAUSED
		" ORDER BY 1 LIMIT " RUNS_AT_ONCE,
		0, {0}
	};
	static Statement resume_jobs = {
		"UPDATE sync_engine.job SET status = 'queued' WHERE job_id = ANY (ARRAY(SELECT j.job_id "
		"  FROM sync_engine.job j WHERE j.run_id = ANY ($1) AND j.status = 'paused' "
		"  AND NOT " IS_PAUSED " ORDER BY j.job_id FOR NO KEY UPDATE))",
		1, {INT8ARRAYOID}
	};

	return change_some(&find, &resume_jobs, NULL);
}

List *
queue_jobs_to_pause(int64 lane)
{
	static Statement select_jobs = {
		"SELECT j.job_id FROM sync_engine.job j WHERE j.status = 'running' AND j.lane = $1 AND " IS_PAUSED,
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(lane)};
	MemoryContext context = CurrentMemoryContext;

	return ids(statement_run(&select_jobs, args, NULL), context);
}

void
queue_pause_job(int64 job_id, int64 epoch)
{
	static Statement pause_job = {
		"UPDATE sync_engine.job SET status = 'paused', stale = position <> '', lane = NULL, epoch = epoch + 1, applying = false "
		"WHERE job_id = $1 AND epoch = $2 AND status = 'running' RETURNING run_id",
		2, {INT8OID, INT8OID}
	};
	Datum		args[2] = {Int64GetDatum(job_id), Int64GetDatum(epoch)};
	Datum		run_ids;

	queue_lock_runs(job_id);
	if (statement_run(&pause_job, args, NULL) == 0)
		return;
	run_ids = ids_array(ids(1, CurrentMemoryContext));
	queue_fold_release(job_id);
	(void) statement_run(&part_from_paused, &run_ids, NULL);
	queue_settle_runs(run_ids);
}
