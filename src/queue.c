/*-------------------------------------------------------------------------
 *
 * queue.c
 *		Runs and jobs: enqueue, claim, end, cancel, recover.
 *
 * A lease is a lock: a lane holds one session lock, named by a number that is
 * never used twice, and writes that number into the jobs it claims.  A running
 * job whose lane's lock is free has lost its lane; it goes back into the queue
 * with a higher epoch, so that nothing of the old lane can commit any more.
 * No clocks, no heartbeats.
 *
 * IDENTIFICATION
 *		src/queue.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/async.h"
#include "errors.h"
#include "miscadmin.h"
#include "queue.h"
#include "session.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/*
 * Jobs of one org that run at once.  Its rate budget is kept busy by fewer, and
 * the rest of a lane's places is for others.
 */
#define MAX_ORG_JOBS	16

static void
lane_lock_tag(LOCKTAG *tag, int64 lane)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, (uint32) (lane >> 32), (uint32) lane,
						 ENGINE_LOCK_SPACE);
}

void
queue_lane_lock_hold(int64 lane)
{
	LOCKTAG		tag;
	const bool	session_lock = true;
	const bool	dont_wait = false;

	lane_lock_tag(&tag, lane);
	(void) LockAcquire(&tag, ExclusiveLock, session_lock, dont_wait);
}

static bool
lane_is_gone(int64 lane)
{
	LOCKTAG		tag;
	const bool	session_lock = false;
	const bool	dont_wait = true;

	lane_lock_tag(&tag, lane);
	if (LockAcquire(&tag, ShareLock, session_lock, dont_wait) == LOCKACQUIRE_NOT_AVAIL)
		return false;
	(void) LockRelease(&tag, ShareLock, session_lock);
	return true;
}

static Datum
text_or_null(const char *text, char *null)
{
	*null = text == NULL ? 'n' : ' ';
	return text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

int64
queue_enqueue(const RunRequest *request)
{
	static Statement insert_run = {
		"INSERT INTO sync_engine.run (kind, org, entities, mode, execution, priority, requested_by) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING run_id",
		7, {TEXTOID, TEXTOID, TEXTARRAYOID, TEXTOID, TEXTOID, INT4OID, NAMEOID}
	};
	int			n = list_length(request->entities);
	Datum	   *names = palloc(sizeof(Datum) * Max(n, 1));
	Datum		args[7];
	NameData	role;

	for (int i = 0; i < n; i++)
		names[i] = CStringGetTextDatum(strVal(list_nth(request->entities, i)));
	namestrcpy(&role, GetUserNameFromId(request->role, false));

	args[0] = CStringGetTextDatum(request->kind);
	args[1] = CStringGetTextDatum(request->org);
	args[2] = PointerGetDatum(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
	args[3] = CStringGetTextDatum(request->mode);
	args[4] = CStringGetTextDatum(request->execution);
	args[5] = Int32GetDatum(request->priority);
	args[6] = NameGetDatum(&role);
	(void) statement_run(&insert_run, args, NULL);
	return result_int64(0, 1, 0);
}

List *
queue_claim(int64 lane, int limit)
{
	static Statement claim = {
		"UPDATE sync_engine.job SET status = 'running', lane = $1, epoch = epoch + 1, "
		"  error = NULL, started_at = coalesce(started_at, clock_timestamp()) "
		"WHERE job_id IN (WITH candidate AS (SELECT j.job_id, coalesce(b.busy, 0) "
		"      + row_number() OVER (PARTITION BY j.org ORDER BY j.priority DESC, j.job_id) AS turn "
		"    FROM sync_engine.job j LEFT JOIN (SELECT org, count(*) AS busy FROM sync_engine.job "
		"      WHERE status = 'running' GROUP BY org) b USING (org) "
		"    WHERE j.status = 'queued' AND j.unmet = 0 AND j.joined_job_id IS NULL AND j.not_before <= now() "
		"      AND NOT EXISTS (SELECT 1 FROM sync_engine.job r WHERE r.status = 'running' "
		"        AND (r.org, r.product, r.entity) = (j.org, j.product, j.entity)) "
		"      AND NOT EXISTS (SELECT 1 FROM sync_engine.job e WHERE e.status = 'queued' "
		"        AND e.job_id < j.job_id AND e.joined_job_id IS NULL AND e.unmet = 0 "
		"        AND (e.org, e.product, e.entity) = (j.org, j.product, j.entity))) "
		"  SELECT j.job_id FROM candidate c JOIN sync_engine.job j USING (job_id) "
		"  WHERE c.turn <= $3 AND j.status = 'queued' "
		"  ORDER BY j.priority DESC, c.turn, j.job_id LIMIT $2 FOR UPDATE OF j SKIP LOCKED) "
		"RETURNING job_id, run_id, epoch, org, product, entity, strategy, "
		"  fetched, requests, expected, attempts",
		3, {INT8OID, INT4OID, INT4OID}
	};
	MemoryContext context = CurrentMemoryContext;
	Datum		args[3] = {Int64GetDatum(lane), Int32GetDatum(limit), Int32GetDatum(MAX_ORG_JOBS)};
	uint64		rows = statement_run(&claim, args, NULL);
	List	   *claimed = NIL;

	MemoryContextSwitchTo(context);
	for (uint64 row = 0; row < rows; row++)
	{
		ClaimedJob *job = palloc(sizeof(ClaimedJob));

		job->job_id = result_int64(row, 1, 0);
		job->run_id = result_int64(row, 2, 0);
		job->epoch = result_int64(row, 3, 0);
		job->org = result_text(row, 4);
		job->product = result_text(row, 5);
		job->entity = result_text(row, 6);
		job->strategy = result_text(row, 7);
		job->fetched = result_int64(row, 8, 0);
		job->requests = result_int64(row, 9, 0);
		job->expected = result_int64(row, 10, -1);
		job->attempts = (int) result_int64(row, 11, 0);
		claimed = lappend(claimed, job);
	}
	return claimed;
}

bool
queue_has_claimable(void)
{
	static Statement claimable = {
		"SELECT 1 FROM sync_engine.job WHERE status = 'queued' AND unmet = 0 "
		"AND joined_job_id IS NULL AND not_before <= now() LIMIT 1",
		0, {0}
	};

	return statement_run(&claimable, NULL, NULL) > 0;
}

void
queue_part_orphaned_joins(void)
{
	/* a job can end while another lane, which sees it running, joins one to it */
	static Statement part = {
		"UPDATE sync_engine.job j SET joined_job_id = NULL FROM sync_engine.job t "
		"WHERE j.status = 'queued' AND j.joined_job_id = t.job_id "
		"AND t.status NOT IN ('queued', 'running')",
		0, {0}
	};

	(void) statement_run(&part, NULL, NULL);
}

TimestampTz
queue_next_due(void)
{
	static Statement next_due = {
		"SELECT min(not_before) FROM sync_engine.job "
		"WHERE status = 'queued' AND unmet = 0 AND joined_job_id IS NULL",
		0, {0}
	};

	(void) statement_run(&next_due, NULL, NULL);
	return result_timestamp(0, 1, DT_NOEND);
}

int
queue_recover_orphans(int64 own_lane)
{
	static Statement select_lanes = {
		"SELECT DISTINCT lane FROM sync_engine.job WHERE status = 'running' AND lane <> $1",
		1, {INT8OID}
	};
	static Statement requeue = {
		"UPDATE sync_engine.job SET status = 'queued', lane = NULL, epoch = epoch + 1 "
		"WHERE status = 'running' AND lane = $1",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(own_lane)};
	uint64		n_lanes = statement_run(&select_lanes, args, NULL);
	int64	   *lanes = palloc(sizeof(int64) * Max(n_lanes, 1));
	int			recovered = 0;

	for (uint64 i = 0; i < n_lanes; i++)
		lanes[i] = result_int64(i, 1, 0);
	for (uint64 i = 0; i < n_lanes; i++)
	{
		if (!lane_is_gone(lanes[i]))
			continue;
		args[0] = Int64GetDatum(lanes[i]);
		recovered += (int) statement_run(&requeue, args, NULL);
	}
	return recovered;
}

bool
queue_release_job(int64 job_id, int64 epoch, const char *reason, int milliseconds)
{
	static Statement release = {
		"UPDATE sync_engine.job SET status = 'queued', lane = NULL, epoch = epoch + 1, error = $3, "
		"  attempts = attempts + 1, "
		"  not_before = clock_timestamp() + $4 * least(power(2, attempts), 5) * interval '1 ms' "
		"WHERE job_id = $1 AND epoch = $2 AND status = 'running'",
		4, {INT8OID, INT8OID, TEXTOID, INT4OID}
	};
	Datum		args[4] = {Int64GetDatum(job_id), Int64GetDatum(epoch), CStringGetTextDatum(reason),
	Int32GetDatum(milliseconds)};

	return statement_run(&release, args, NULL) == 1;
}

bool
queue_restart_job(int64 job_id, int64 epoch)
{
	static Statement restart = {
		"UPDATE sync_engine.job SET status = 'queued', lane = NULL, epoch = epoch + 1, position = '' "
		"WHERE job_id = $1 AND epoch = $2 AND status = 'running'",
		2, {INT8OID, INT8OID}
	};
	Datum		args[2] = {Int64GetDatum(job_id), Int64GetDatum(epoch)};

	return statement_run(&restart, args, NULL) == 1;
}

void
queue_restart_jobs(const char *product, const char *entity)
{
	static Statement restart = {
		"UPDATE sync_engine.job SET position = '' WHERE (product, entity) = ($1, $2) "
		"AND status IN ('queued', 'running', 'paused', 'held') AND position <> ''",
		2, {TEXTOID, TEXTOID}
	};
	Datum		args[2] = {CStringGetTextDatum(product), CStringGetTextDatum(entity)};

	(void) statement_run(&restart, args, NULL);
}

char *
queue_job_position(int64 job_id)
{
	static Statement select_position = {
		"SELECT position FROM sync_engine.job WHERE job_id = $1",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(job_id)};

	(void) statement_run(&select_position, args, NULL);
	return result_text(0, 1);
}

/*
 * notify: tells listeners that a run or job moved; ids only.
 */
static void
notify(int64 run_id, int64 job_id, const char *status)
{
	Async_Notify("sync_engine",
				 psprintf("{\"run_id\": " INT64_FORMAT ", \"job_id\": %s, \"status\": \"%s\"}",
						  run_id, job_id == 0 ? "null" : psprintf(INT64_FORMAT, job_id), status));
}

void
queue_close_run(int64 run_id)
{
	/* the jobs agree, or the run is partial */
	static Statement close_run = {
		"UPDATE sync_engine.run r SET finished_at = clock_timestamp(), status = CASE "
		"  WHEN s.n = s.succeeded THEN 'succeeded' WHEN s.cancelled > 0 THEN 'cancelled' "
		"  WHEN s.succeeded + s.partial = 0 THEN 'failed' ELSE 'partial' END "
		"FROM (SELECT count(*) n, count(*) FILTER (WHERE status = 'succeeded') succeeded, "
		"    count(*) FILTER (WHERE status = 'partial') partial, "
		"    count(*) FILTER (WHERE status = 'cancelled') cancelled, "
		"    count(*) FILTER (WHERE status IN ('queued', 'running', 'paused', 'held')) unfinished "
		"  FROM sync_engine.job WHERE run_id = $1) s "
		"WHERE r.run_id = $1 AND r.status = 'running' AND s.unfinished = 0 "
		"RETURNING r.status",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(run_id)};

	if (statement_run(&close_run, args, NULL) > 0)
		notify(run_id, 0, result_text(0, 1));
}

static void end_joined(int64 job_id, const char *status);

static bool
is_success(const char *status)
{
	return strcmp(status, "succeeded") == 0 || strcmp(status, "partial") == 0;
}

/*
 * end_followers: lets go, or skips, the jobs that wait for one that ended.
 */
static void
end_followers(int64 job_id, const char *status)
{
	static Statement select_hard = {
		"SELECT j.job_id, n.entity FROM sync_engine.job_dependency d "
		"JOIN sync_engine.job j USING (job_id) JOIN sync_engine.job n ON n.job_id = d.needs "
		"WHERE d.needs = $1 AND d.hard AND j.status = 'queued'",
		1, {INT8OID}
	};
	static Statement end_follower = {
		"UPDATE sync_engine.job SET status = $2, finished_at = clock_timestamp(), "
		"  error = $3, sqlstate = '" SQLSTATE_SKIPPED "' "
		"WHERE job_id = $1 AND status = 'queued' RETURNING run_id",
		3, {INT8OID, TEXTOID, TEXTOID}
	};
	static Statement let_go = {
		"UPDATE sync_engine.job SET unmet = unmet - 1 WHERE status = 'queued' AND job_id IN "
		"(SELECT job_id FROM sync_engine.job_dependency WHERE needs = $1)",
		1, {INT8OID}
	};
	Datum		args[3] = {Int64GetDatum(job_id)};

	if (!is_success(status))
	{
		const char *follower_status = strcmp(status, "cancelled") == 0 ? "cancelled" : "skipped";
		uint64		n = statement_run(&select_hard, args, NULL);
		int64	   *ids = palloc(sizeof(int64) * Max(n, 1));
		char	   *needed = n > 0 ? result_text(0, 2) : NULL;

		for (uint64 i = 0; i < n; i++)
			ids[i] = result_int64(i, 1, 0);
		for (uint64 i = 0; i < n; i++)
		{
			args[0] = Int64GetDatum(ids[i]);
			args[1] = CStringGetTextDatum(follower_status);
			args[2] = CStringGetTextDatum(psprintf("%s, which it needs, %s", needed,
												   strcmp(status, "cancelled") == 0 ?
												   "was cancelled" : "did not succeed"));
			if (statement_run(&end_follower, args, NULL) > 0)
			{
				notify(result_int64(0, 1, 0), ids[i], follower_status);
				end_followers(ids[i], follower_status);
				end_joined(ids[i], follower_status);
			}
		}
		args[0] = Int64GetDatum(job_id);
	}
	(void) statement_run(&let_go, args, NULL);
}

/*
 * record_state: what sync_status shows of the entity from now on.
 */
static void
record_state(int64 job_id)
{
	static Statement upsert_state = {
		"INSERT INTO sync_engine.sync_state AS s (org, product, entity, status, error, last_run_id, "
		"  last_finished_at, last_success_at) "
		"SELECT org, product, entity, status, error, run_id, finished_at, "
		"  CASE WHEN status IN ('succeeded', 'partial') THEN finished_at END "
		"FROM sync_engine.job WHERE job_id = $1 AND strategy <> 'check' "
		"ON CONFLICT (org, product, entity) DO UPDATE SET status = EXCLUDED.status, "
		"  error = EXCLUDED.error, last_run_id = EXCLUDED.last_run_id, "
		"  last_finished_at = EXCLUDED.last_finished_at, "
		"  last_success_at = coalesce(EXCLUDED.last_success_at, s.last_success_at)",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(job_id)};

	(void) statement_run(&upsert_state, args, NULL);
}

/*
 * end_joined: jobs of other runs that joined this one share its result, or
 * run by themselves if it brought none.
 */
static void
end_joined(int64 job_id, const char *status)
{
	static Statement share_result = {
		"UPDATE sync_engine.job j SET status = s.status, started_at = s.started_at, "
		"  finished_at = s.finished_at, pages = s.pages, requests = s.requests, fetched = s.fetched, "
		"  inserted = s.inserted, updated = s.updated, unchanged = s.unchanged, deleted = s.deleted, "
		"  dead_lettered = s.dead_lettered "
		"FROM sync_engine.job s WHERE s.job_id = $1 AND j.joined_job_id = $1 AND j.status = 'queued' "
		"RETURNING j.job_id, j.run_id",
		1, {INT8OID}
	};
	static Statement part = {
		"UPDATE sync_engine.job SET joined_job_id = NULL WHERE joined_job_id = $1 AND status = 'queued'",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(job_id)};
	uint64		n;
	int64	   *ids;

	if (!is_success(status))
	{
		(void) statement_run(&part, args, NULL);
		return;
	}
	n = statement_run(&share_result, args, NULL);
	ids = palloc(sizeof(int64) * 2 * Max(n, 1));
	for (uint64 i = 0; i < n; i++)
	{
		ids[2 * i] = result_int64(i, 1, 0);
		ids[2 * i + 1] = result_int64(i, 2, 0);
	}
	for (uint64 i = 0; i < n; i++)
	{
		notify(ids[2 * i + 1], ids[2 * i], status);
		end_followers(ids[2 * i], status);
		queue_close_run(ids[2 * i + 1]);
	}
}

void
queue_lock_runs(int64 job_id)
{
	/* all runs that can be touched, in one order everywhere */
	static Statement lock_runs = {
		"SELECT run_id FROM sync_engine.run WHERE run_id IN "
		"(SELECT run_id FROM sync_engine.job WHERE job_id = $1 OR joined_job_id = $1) "
		"ORDER BY run_id FOR UPDATE",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(job_id)};

	(void) statement_run(&lock_runs, args, NULL);
}

bool
queue_end_job(int64 job_id, int64 epoch, const char *status, const Failure *failure)
{
	static Statement end_job = {
		"UPDATE sync_engine.job SET status = $3, finished_at = clock_timestamp(), lane = NULL, "
		"  attempts = 0, error = $4, sqlstate = $5, hint = $6 "
		"WHERE job_id = $1 AND epoch = $2 AND status = 'running' RETURNING run_id",
		6, {INT8OID, INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID}
	};
	static Statement close_activities = {
		"UPDATE sync_engine.activity SET status = $2, finished_at = clock_timestamp(), "
		"  next_attempt_at = NULL WHERE job_id = $1 AND status = 'retrying'",
		2, {INT8OID, TEXTOID}
	};
	Datum		args[6] = {Int64GetDatum(job_id), Int64GetDatum(epoch)};
	char		nulls[6] = {' ', ' ', ' ', ' ', ' ', ' '};
	int64		run_id;

	queue_lock_runs(job_id);
	args[2] = CStringGetTextDatum(status);
	args[3] = text_or_null(failure ? failure->message : NULL, &nulls[3]);
	args[4] = text_or_null(failure ? failure->sqlstate : NULL, &nulls[4]);
	args[5] = text_or_null(failure ? failure->hint : NULL, &nulls[5]);
	if (statement_run(&end_job, args, nulls) == 0)
		return false;
	run_id = result_int64(0, 1, 0);

	args[1] = CStringGetTextDatum(is_success(status) ? "succeeded" :
								  strcmp(status, "cancelled") == 0 ? "cancelled" : "failed");
	(void) statement_run(&close_activities, args, NULL);

	notify(run_id, job_id, status);
	record_state(job_id);
	end_followers(job_id, status);
	end_joined(job_id, status);
	queue_close_run(run_id);
	return true;
}

List *
queue_runs_to_cancel(void)
{
	static Statement select_runs = {
		"SELECT run_id FROM sync_engine.run WHERE status IN ('queued', 'running') AND cancel_requested",
		0, {0}
	};
	MemoryContext context = CurrentMemoryContext;
	uint64		n = statement_run(&select_runs, NULL, NULL);
	List	   *runs = NIL;

	MemoryContextSwitchTo(context);
	for (uint64 i = 0; i < n; i++)
	{
		int64	   *run_id = palloc(sizeof(int64));

		*run_id = result_int64(i, 1, 0);
		runs = lappend(runs, run_id);
	}
	return runs;
}

void
queue_cancel_waiting_jobs(int64 run_id)
{
	static Statement lock_run = {
		"SELECT 1 FROM sync_engine.run WHERE run_id = $1 FOR UPDATE",
		1, {INT8OID}
	};
	static Statement cancel_unplanned = {
		"UPDATE sync_engine.run SET status = 'cancelled', finished_at = clock_timestamp() "
		"WHERE run_id = $1 AND status = 'queued'",
		1, {INT8OID}
	};
	static Statement cancel_jobs = {
		"UPDATE sync_engine.job SET status = 'cancelled', finished_at = clock_timestamp(), "
		"  joined_job_id = NULL WHERE run_id = $1 AND status = 'queued' RETURNING job_id",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(run_id)};
	uint64		n;
	int64	   *ids;

	(void) statement_run(&lock_run, args, NULL);
	if (statement_run(&cancel_unplanned, args, NULL) > 0)
	{
		notify(run_id, 0, "cancelled");
		return;
	}
	n = statement_run(&cancel_jobs, args, NULL);
	ids = palloc(sizeof(int64) * Max(n, 1));
	for (uint64 i = 0; i < n; i++)
		ids[i] = result_int64(i, 1, 0);
	for (uint64 i = 0; i < n; i++)
		end_joined(ids[i], "cancelled");
	queue_close_run(run_id);
}
