/*-------------------------------------------------------------------------
 *
 * queue.c
 *		Runs and jobs: enqueue, claim, give back, recover.
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
#include "entity_name.h"
#include "miscadmin.h"
#include "queue.h"
#include "queue_fold.h"
#include "session.h"
#include "storage/lock.h"
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

int64
queue_enqueue(const RunRequest *request)
{
	static Statement insert_run = {
		"INSERT INTO sync_engine.run (kind, org, entities, mode, execution, priority, requested_by, everything) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING run_id",
		8, {TEXTOID, TEXTOID, TEXTARRAYOID, TEXTOID, TEXTOID, INT4OID, NAMEOID, BOOLOID}
	};
	Datum		args[8];
	NameData	role;

	namestrcpy(&role, GetUserNameFromId(request->role, false));

	args[0] = CStringGetTextDatum(request->kind);
	args[1] = CStringGetTextDatum(request->org);
	args[2] = entity_names_array(request->entities);
	args[3] = CStringGetTextDatum(request->mode);
	args[4] = CStringGetTextDatum(request->execution);
	args[5] = Int32GetDatum(request->priority);
	args[6] = NameGetDatum(&role);
	args[7] = BoolGetDatum(request->everything);
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
		"      WHERE status = 'running' AND folded_into IS NULL GROUP BY org) b USING (org) "
		"    WHERE j.status = 'queued' AND j.unmet = 0 AND j.joined_job_id IS NULL AND j.folded_into IS NULL "
		"      AND j.not_before <= now() "
		"      AND NOT EXISTS (SELECT 1 FROM sync_engine.job r WHERE r.status = 'running' "
		"        AND (r.org, r.product, r.entity) = (j.org, j.product, j.entity)) "
		"      AND NOT EXISTS (SELECT 1 FROM sync_engine.job e WHERE e.status = 'queued' "
		"        AND e.job_id < j.job_id AND e.joined_job_id IS NULL AND e.unmet = 0 "
		"        AND (e.org, e.product, e.entity) = (j.org, j.product, j.entity))) "
		"  SELECT j.job_id FROM candidate c JOIN sync_engine.job j USING (job_id) "
		"  WHERE c.turn <= $3 AND j.status = 'queued' "
		"  ORDER BY j.priority DESC, c.turn, j.job_id LIMIT $2 FOR UPDATE OF j SKIP LOCKED) "
		"RETURNING job_id, run_id, epoch, org, product, entity, strategy, "
		"  fetched, requests, expected, attempts, "
		"  (SELECT everything FROM sync_engine.run r WHERE r.run_id = job.run_id)",
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
		job->everything = result_bool(row, 12);
		claimed = lappend(claimed, job);
	}
	queue_fold_claim(lane, claimed);
	return claimed;
}

bool
queue_has_claimable(void)
{
	static Statement claimable = {
		"SELECT 1 FROM sync_engine.job WHERE status = 'queued' AND unmet = 0 "
		"AND joined_job_id IS NULL AND folded_into IS NULL AND not_before <= now() LIMIT 1",
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
		"WHERE status = 'queued' AND unmet = 0 AND joined_job_id IS NULL AND folded_into IS NULL",
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

	if (statement_run(&release, args, NULL) == 0)
		return false;
	queue_fold_release(job_id);
	return true;
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

	if (statement_run(&restart, args, NULL) == 0)
		return false;
	queue_fold_release(job_id);
	return true;
}

void
queue_restart_jobs(const char *product, const char *entity)
{
	static Statement restart = {
		"UPDATE sync_engine.job SET position = '' WHERE ((product, entity) = ($1, $2) "
		"  OR job_id IN (SELECT folded_into FROM sync_engine.job f WHERE (f.product, f.entity) = ($1, $2) "
		"    AND f.status IN ('queued', 'running', 'paused', 'held'))) "
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
