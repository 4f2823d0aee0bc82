/*-------------------------------------------------------------------------
 *
 * queue_end.c
 *		How jobs and runs end: what an end means for those that wait for it.
 *
 * IDENTIFICATION
 *		src/queue_end.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "audit.h"
#include "catalog/pg_type.h"
#include "errors.h"
#include "queue.h"
#include "queue_fold.h"
#include "session.h"
#include "utils/builtins.h"

static Datum
text_or_null(const char *text, char *null)
{
	*null = text == NULL ? 'n' : ' ';
	return text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

/* A job that ended with another. */
typedef struct EndedJob
{
	int64		job_id;
	int64		run_id;
} EndedJob;

/*
 * ended_jobs: the rows of the last result, which the next statement replaces.
 */
static EndedJob *
ended_jobs(uint64 n)
{
	EndedJob   *ended = palloc(sizeof(EndedJob) * Max(n, 1));

	for (uint64 i = 0; i < n; i++)
	{
		ended[i].job_id = result_int64(i, 1, 0);
		ended[i].run_id = result_int64(i, 2, 0);
	}
	return ended;
}

void
queue_lock_run_rows(Datum run_ids)
{
	static Statement lock = {
		"SELECT 1 FROM sync_engine.run WHERE run_id = ANY ($1) ORDER BY run_id FOR NO KEY UPDATE",
		1, {INT8ARRAYOID}
	};

	(void) statement_run(&lock, &run_ids, NULL);
}

void
queue_settle_runs(Datum run_ids)
{
	/*
	 * When all jobs have ended they agree, or the run is partial; what the token
	 * may not see is nobody's failure.  If none can go on until sync_resume, the
	 * run is paused.
	 */
	static Statement settle = {
		"WITH settled AS (UPDATE sync_engine.run r SET status = s.status, "
		"  finished_at = CASE WHEN s.unfinished = 0 THEN clock_timestamp() END "
		"FROM (SELECT run_id, unfinished, CASE "
		"    WHEN unfinished > 0 AND paused > 0 AND going = 0 THEN 'paused' WHEN unfinished > 0 THEN 'running' "
		"    WHEN n = unseen AND n > 0 THEN 'skipped' WHEN n = succeeded + unseen THEN 'succeeded' "
		"    WHEN cancelled > 0 THEN 'cancelled' WHEN succeeded + partial > 0 THEN 'partial' "
		"    WHEN held > 0 THEN 'held' ELSE 'failed' END AS status "
		"  FROM (SELECT u.run_id, count(j.job_id) n, count(*) FILTER (WHERE j.status = 'succeeded') succeeded, "
		"      count(*) FILTER (WHERE j.status = 'skipped' "
		"        AND j.sqlstate IN ('" SQLSTATE_NO_ACCESS "', '" SQLSTATE_NO_SUCH_LIST "')) unseen, "
		"      count(*) FILTER (WHERE j.status = 'partial') partial, "
		"      count(*) FILTER (WHERE j.status = 'cancelled') cancelled, "
		"      count(*) FILTER (WHERE j.status = 'held') held, "
		"      count(*) FILTER (WHERE j.status = 'paused') paused, "
		"      count(*) FILTER (WHERE j.status IN ('queued', 'running') AND j.folded_into IS NULL) going, "
		"      count(*) FILTER (WHERE j.status IN ('queued', 'running', 'paused')) unfinished "
		"    FROM unnest($1) u(run_id) LEFT JOIN sync_engine.job j USING (run_id) GROUP BY u.run_id) t) s "
		"WHERE r.run_id = s.run_id AND r.status IN ('running', 'paused') AND r.status <> s.status "
		"RETURNING r.run_id, r.status, r.finished_at) "
		"INSERT INTO sync_engine.activity (run_id, kind, status, detail, finished_at) "
		"SELECT run_id, $2, 'succeeded', status, finished_at FROM settled WHERE finished_at IS NOT NULL",
		2, {INT8ARRAYOID, TEXTOID}
	};
	Datum		args[2] = {run_ids, CStringGetTextDatum(activity_update_status.kind)};

	/*
	 * A run of which a job had only just joined one that ends is not locked yet,
	 * and its last other job may end in another lane at this moment: neither would
	 * see the other's.
	 */
	queue_lock_run_rows(run_ids);
	if (statement_run(&settle, args, NULL) > 0)
		audit_follow(run_ids);
}

void
queue_settle_run(int64 run_id)
{
	queue_settle_runs(int64_array(&run_id, 1));
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
		"SELECT j.job_id, n.entity, n.sqlstate FROM sync_engine.job_dependency d "
		"JOIN sync_engine.job j USING (job_id) JOIN sync_engine.job n ON n.job_id = d.needs "
		"WHERE d.needs = $1 AND d.hard AND j.status IN ('queued', 'paused')",
		1, {INT8OID}
	};
	static Statement end_follower = {
		"UPDATE sync_engine.job SET status = $2, finished_at = clock_timestamp(), "
		"  error = $3, sqlstate = $4 "
		"WHERE job_id = $1 AND status IN ('queued', 'paused')",
		4, {INT8OID, TEXTOID, TEXTOID, TEXTOID}
	};
	static Statement let_go = {
		"UPDATE sync_engine.job SET unmet = unmet - 1 WHERE status IN ('queued', 'running', 'paused') AND job_id IN "
		"(SELECT job_id FROM sync_engine.job_dependency WHERE needs = $1)",
		1, {INT8OID}
	};
	Datum		args[4] = {Int64GetDatum(job_id)};

	if (!is_success(status))
	{
		const char *follower_status = strcmp(status, "cancelled") == 0 ? "cancelled" : "skipped";
		uint64		n = statement_run(&select_hard, args, NULL);
		int64	   *ids = palloc(sizeof(int64) * Max(n, 1));
		char	   *needed = n > 0 ? result_text(0, 2) : NULL;
		char	   *sqlstate = n > 0 ? result_text(0, 3) : NULL;
		bool		unseen = strcmp(status, "skipped") == 0 && sqlstate != NULL &&
			(strcmp(sqlstate, SQLSTATE_NO_ACCESS) == 0 || strcmp(sqlstate, SQLSTATE_NO_SUCH_LIST) == 0);

		for (uint64 i = 0; i < n; i++)
			ids[i] = result_int64(i, 1, 0);
		for (uint64 i = 0; i < n; i++)
		{
			args[0] = Int64GetDatum(ids[i]);
			args[1] = CStringGetTextDatum(follower_status);
			args[2] = CStringGetTextDatum(psprintf("%s, which it needs, %s", needed,
												   strcmp(status, "cancelled") == 0 ? "was cancelled" :
												   unseen ? "cannot be seen by this token" :
												   "did not succeed"));
			args[3] = CStringGetTextDatum(unseen ? SQLSTATE_NO_ACCESS : SQLSTATE_SKIPPED);
			if (statement_run(&end_follower, args, NULL) > 0)
			{
				queue_unfold_all(ids[i]);
				end_followers(ids[i], follower_status);
				end_joined(ids[i], follower_status);
			}
		}
		args[0] = Int64GetDatum(job_id);
	}
	(void) statement_run(&let_go, args, NULL);
}

/*
 * record_state: what sync_status shows of the entity from now on, and from where
 * the next delta reads.  The watermark moves only when all that was to be read has
 * been, to the time at which the read began.  A note on the
 * way of reading is of the job that made it; the next one that goes as planned
 * takes it away.
 */
static void
record_state(int64 job_id)
{
	static Statement upsert_state = {
		"INSERT INTO sync_engine.sync_state AS s (org, product, entity, status, error, last_run_id, "
		"  last_finished_at, last_success_at, total, counted_at, unseen, watermark, manifest_version, last_full_at) "
		"SELECT org, product, entity, status, error, run_id, finished_at, "
		"  CASE WHEN status IN ('succeeded', 'partial') THEN finished_at END, "
		"  CASE WHEN mode <> 'delta' THEN expected END, "
		"  CASE WHEN mode <> 'delta' AND expected IS NOT NULL THEN finished_at END, "
		"  CASE WHEN sqlstate IN ('" SQLSTATE_NO_ACCESS "', '" SQLSTATE_NO_SUCH_LIST "') "
		"    AND status IN ('failed', 'skipped') THEN error END, "
		"  CASE WHEN status = 'succeeded' AND (mode = 'full' OR mode = 'delta' AND strategy <> 'per_parent') "
		"    THEN nullif(ceiling, '-infinity') END, "
		"  CASE WHEN status = 'succeeded' AND mode = 'full' THEN manifest_version END, "
		"  CASE WHEN status = 'succeeded' AND mode = 'full' THEN started_at END "
		"FROM sync_engine.job WHERE job_id = $1 AND strategy NOT IN ('check', 'probe', 'drift', 'refresh', 'record', 'children', 'approve') "
		"ON CONFLICT (org, product, entity) DO UPDATE SET status = EXCLUDED.status, "
		"  error = EXCLUDED.error, last_run_id = EXCLUDED.last_run_id, "
		"  last_finished_at = EXCLUDED.last_finished_at, "
		"  last_success_at = coalesce(EXCLUDED.last_success_at, s.last_success_at), "
		"  total = coalesce(EXCLUDED.total, s.total), counted_at = coalesce(EXCLUDED.counted_at, s.counted_at), "
		"  unseen = EXCLUDED.unseen, watermark = coalesce(EXCLUDED.watermark, s.watermark), "
		"  manifest_version = coalesce(EXCLUDED.manifest_version, s.manifest_version), "
		"  last_full_at = coalesce(EXCLUDED.last_full_at, s.last_full_at), "
		"  strategy_note = CASE WHEN s.note_job_id = $1 OR EXCLUDED.last_success_at IS NULL "
		"    THEN s.strategy_note END",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(job_id)};

	(void) statement_run(&upsert_state, args, NULL);
}

void
queue_part_joined(int64 job_id)
{
	static Statement part = {
		"UPDATE sync_engine.job SET joined_job_id = NULL WHERE joined_job_id = $1 AND status = 'queued'",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(job_id)};

	(void) statement_run(&part, args, NULL);
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
		"  dead_lettered = s.dead_lettered, error = s.error, sqlstate = s.sqlstate, hint = s.hint "
		"FROM sync_engine.job s WHERE s.job_id = $1 AND j.joined_job_id = $1 AND j.status = 'queued' "
		"RETURNING j.job_id, j.run_id",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(job_id)};
	uint64		n;
	EndedJob   *ended;

	if (!is_success(status))
	{
		queue_part_joined(job_id);
		return;
	}
	n = statement_run(&share_result, args, NULL);
	ended = ended_jobs(n);
	for (uint64 i = 0; i < n; i++)
	{
		end_followers(ended[i].job_id, status);
		end_joined(ended[i].job_id, status);	/* a full that joined had taken a delta in */
		queue_settle_run(ended[i].run_id);
	}
}

/*
 * end_folded: what came along with the job's pages ends with it.  What has a
 * list of its own is counted there first: the API leaves out of an include
 * what the token may not see, without a word.  If the job failed, they are read
 * by themselves; if that is in vain too, they say why.
 */
static void
end_folded(int64 job_id, const char *status, const Failure *failure)
{
	static Statement have_counted = {
		"UPDATE sync_engine.job j SET folded_into = NULL, status = 'queued', lane = NULL, epoch = epoch + 1, "
		"  position = 'verify=1', ceiling = (SELECT ceiling FROM sync_engine.job WHERE job_id = $1) "
		"FROM sync_engine.entity e "
		"WHERE j.folded_into = $1 AND j.status = 'running' "
		"AND (e.product, e.entity) = (j.product, j.entity) AND e.parent IS NULL",
		1, {INT8OID}
	};
	static Statement end_with = {
		"UPDATE sync_engine.job SET status = $2, finished_at = clock_timestamp(), lane = NULL, "
		"  error = $3, sqlstate = $4, hint = $5, ceiling = (SELECT ceiling FROM sync_engine.job WHERE job_id = $1) "
		"WHERE folded_into = $1 AND status = 'running' RETURNING job_id, run_id",
		5, {INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		args[5] = {Int64GetDatum(job_id), CStringGetTextDatum(status)};
	char		nulls[5] = {' ', ' ', ' ', ' ', ' '};
	uint64		n;
	EndedJob   *ended;

	if (!is_success(status) && strcmp(status, "cancelled") != 0)
	{
		queue_unfold_all(job_id);
		return;
	}
	if (is_success(status))
		(void) statement_run(&have_counted, args, NULL);
	args[2] = text_or_null(failure ? failure->message : NULL, &nulls[2]);
	args[3] = text_or_null(failure ? failure->sqlstate : NULL, &nulls[3]);
	args[4] = text_or_null(failure ? failure->hint : NULL, &nulls[4]);
	n = statement_run(&end_with, args, nulls);
	ended = ended_jobs(n);
	for (uint64 i = 0; i < n; i++)
	{
		record_state(ended[i].job_id);
		end_followers(ended[i].job_id, status);
		end_joined(ended[i].job_id, status);
	}
}

void
queue_lock_runs(int64 job_id)
{
	/* all runs that can be touched, in one order everywhere; each part by an index */
	static Statement lock_runs = {
		"SELECT run_id FROM sync_engine.run WHERE run_id IN ("
		"  SELECT run_id FROM sync_engine.job WHERE job_id = $1 "
		"  UNION ALL SELECT run_id FROM sync_engine.job WHERE joined_job_id = $1 "
		"  UNION ALL SELECT j.run_id FROM sync_engine.job f JOIN sync_engine.job j ON j.joined_job_id = f.job_id "
		"    WHERE f.folded_into = $1 "
		"  UNION ALL SELECT j.run_id FROM sync_engine.job f JOIN sync_engine.job j ON j.joined_job_id = f.job_id "
		"    WHERE f.joined_job_id = $1) ORDER BY run_id FOR NO KEY UPDATE",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(job_id)};

	(void) statement_run(&lock_runs, args, NULL);
}

/*
 * close_activities: the step that was being retried ends with the job.  One that
 * failed at once is noted, so that it can be named to sync_retry.
 */
static void
close_activities(int64 job_id, const char *status, const Failure *failure)
{
	static Statement close_retrying = {
		"UPDATE sync_engine.activity SET status = $2, finished_at = clock_timestamp(), "
		"  next_attempt_at = NULL WHERE job_id = $1 AND status = 'retrying'",
		2, {INT8OID, TEXTOID}
	};
	static Statement note_failed = {
		"INSERT INTO sync_engine.activity (run_id, job_id, kind, status, finished_at, error, sqlstate, hint) "
		"SELECT run_id, job_id, $2, 'failed', finished_at, error, sqlstate, hint FROM sync_engine.job "
		"WHERE job_id = $1",
		2, {INT8OID, TEXTOID}
	};
	bool		failed = strcmp(status, "failed") == 0 || strcmp(status, "held") == 0;
	Datum		args[2] = {Int64GetDatum(job_id),
	CStringGetTextDatum(failed ? "failed" : strcmp(status, "cancelled") == 0 ? "cancelled" : "succeeded")};

	if (statement_run(&close_retrying, args, NULL) > 0 || !failed)
		return;
	args[1] = CStringGetTextDatum(failure && failure->activity ? failure->activity->kind : activity_sync_page.kind);
	(void) statement_run(&note_failed, args, NULL);
}

bool
queue_end_job(int64 job_id, int64 epoch, const char *status, const Failure *failure)
{
	static Statement end_job = {
		"UPDATE sync_engine.job SET status = $3, finished_at = clock_timestamp(), lane = NULL, "
		"  attempts = 0, applying = false, error = $4, sqlstate = $5, hint = $6 "
		"WHERE job_id = $1 AND epoch = $2 AND status = 'running' RETURNING run_id, org, product, entity",
		6, {INT8OID, INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID}
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
	ereport(failure != NULL && strcmp(status, "skipped") != 0 ? LOG : DEBUG1,
			(errmsg("sync_engine: %s.%s of org \"%s\" %s%s%s", result_text(0, 3), result_text(0, 4),
					result_text(0, 2), status, failure ? ": " : "", failure ? failure->message : ""),
			 errdetail("run_id=" INT64_FORMAT " job_id=" INT64_FORMAT, run_id, job_id)));

	close_activities(job_id, status, failure);
	record_state(job_id);
	end_folded(job_id, status, failure);
	end_followers(job_id, status);
	end_joined(job_id, status);
	queue_settle_run(run_id);
	return true;
}
