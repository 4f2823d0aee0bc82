/*-------------------------------------------------------------------------
 *
 * queue_fold.c
 *		Jobs whose records come along with another job's pages.
 *
 * IDENTIFICATION
 *		src/queue_fold.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "queue.h"
#include "queue_claim.h"
#include "queue_fold.h"
#include "session.h"
#include "utils/builtins.h"

/*
 * free_entities: which of the jobs that would come along with these (there are
 * *n_folded) nobody else reads, nor is about to.
 */
static Datum
free_entities(Datum carriers, int *n_folded)
{
	static Statement select_folded = {
		"SELECT job_id, org, product, entity FROM sync_engine.job "
		"WHERE folded_into = ANY ($1) AND status = 'queued' ORDER BY job_id",
		1, {INT8ARRAYOID}
	};
	Datum		args[1] = {carriers};
	uint64		n = statement_run(&select_folded, args, NULL);
	int64	   *ids = palloc(sizeof(int64) * Max(n, 1));
	int			n_free = 0;

	*n_folded = (int) n;
	for (uint64 row = 0; row < n; row++)
	{
		if (queue_lock_entity(result_text(row, 2), result_text(row, 3), result_text(row, 4)))
			ids[n_free++] = result_int64(row, 1, 0);
	}
	return int64_array(ids, n_free);
}

void
queue_fold_claim(int64 lane, List *claimed)
{
	static Statement take_along = {
		"UPDATE sync_engine.job c SET status = 'running', lane = $1, epoch = epoch + 1, "
		"  started_at = coalesce(started_at, clock_timestamp()) "
		"WHERE job_id = ANY ($2) AND status = 'queued' "
		"AND NOT EXISTS (SELECT 1 FROM sync_engine.job r "
		"  WHERE (r.org, r.product, r.entity) = (c.org, c.product, c.entity) AND (r.status = 'running' "
		"    OR (r.job_id = ANY ($2) AND r.status = 'queued' AND r.job_id < c.job_id)))",
		2, {INT8OID, INT8ARRAYOID}
	};
	int			n = list_length(claimed);
	int64	   *ids = palloc(sizeof(int64) * Max(n, 1));
	Datum		carriers;
	Datum		args[2];

	if (n == 0)
		return;
	for (int i = 0; i < n; i++)
		ids[i] = ((ClaimedJob *) list_nth(claimed, i))->job_id;
	carriers = int64_array(ids, n);
	args[0] = Int64GetDatum(lane);
	args[1] = free_entities(carriers, &n);
	if (n == 0)
		return;
	(void) statement_run(&take_along, args, NULL);
	(void) queue_unfold_waiting(carriers);
}

int
queue_unfold_waiting(Datum carriers)
{
	static Statement unfold = {
		"UPDATE sync_engine.job j SET folded_into = NULL, via = NULL, strategy = " QUEUE_OWN_STRATEGY("j")
		" WHERE folded_into = ANY ($1) AND status = 'queued'",
		1, {INT8ARRAYOID}
	};
	Datum		args[1] = {carriers};

	return (int) statement_run(&unfold, args, NULL);
}

void
queue_fold_release(int64 job_id)
{
	static Statement release = {
		"UPDATE sync_engine.job SET status = 'queued', lane = NULL, epoch = epoch + 1 "
		"WHERE folded_into = $1 AND status = 'running'",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(job_id)};

	(void) statement_run(&release, args, NULL);
}

List *
queue_folded_jobs(int64 job_id)
{
	static Statement select_folded = {
		"SELECT job_id, product, entity, split_part(via, '?include=', 2) FROM sync_engine.job "
		"WHERE folded_into = $1 AND status = 'running' ORDER BY job_id",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(job_id)};
	uint64		n = statement_run(&select_folded, args, NULL);
	List	   *jobs = NIL;

	for (uint64 i = 0; i < n; i++)
	{
		FoldedJob  *job = palloc(sizeof(FoldedJob));

		job->job_id = result_int64(i, 1, 0);
		job->product = result_text(i, 2);
		job->entity = result_text(i, 3);
		job->via = result_text(i, 4);
		jobs = lappend(jobs, job);
	}
	return jobs;
}

static void
note(int64 job_id, const char *reason, bool api)
{
	static Statement upsert = {
		"INSERT INTO sync_engine.sync_state AS s (org, product, entity, strategy_note, note_job_id, unfolded_at) "
		"SELECT org, product, entity, 'not read with its parent: ' || $2, job_id, CASE WHEN $3 THEN now() END "
		"FROM sync_engine.job WHERE job_id = $1 "
		"ON CONFLICT (org, product, entity) DO UPDATE SET strategy_note = EXCLUDED.strategy_note, "
		"  note_job_id = EXCLUDED.note_job_id, unfolded_at = coalesce(EXCLUDED.unfolded_at, s.unfolded_at)",
		3, {INT8OID, TEXTOID, BOOLOID}
	};
	Datum		args[3] = {Int64GetDatum(job_id), CStringGetTextDatum(reason), BoolGetDatum(api)};

	(void) statement_run(&upsert, args, NULL);
}

void
queue_unfold(int64 folded_job, const char *reason, bool api)
{
	static Statement unfold = {
		"UPDATE sync_engine.job j SET folded_into = NULL, via = NULL, status = 'queued', lane = NULL, "
		"  epoch = epoch + 1, strategy = " QUEUE_OWN_STRATEGY("j")
		" WHERE job_id = $1 AND folded_into IS NOT NULL AND status = 'running'",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(folded_job)};

	if (statement_run(&unfold, args, NULL) > 0)
		note(folded_job, reason, api);
}

void
queue_unfold_all(int64 job_id)
{
	static Statement unfold = {
		"UPDATE sync_engine.job j SET folded_into = NULL, via = NULL, status = 'queued', lane = NULL, "
		"  epoch = epoch + 1, strategy = " QUEUE_OWN_STRATEGY("j")
		" WHERE folded_into = $1 AND status IN ('queued', 'running')",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(job_id)};

	(void) statement_run(&unfold, args, NULL);
}

void
queue_note_unfolded(int64 job_id, const char *reason)
{
	static Statement read_alone = {
		"UPDATE sync_engine.job j SET via = NULL, strategy = " QUEUE_OWN_STRATEGY("j") " WHERE job_id = $1",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(job_id)};
	const bool	api = true;

	(void) statement_run(&read_alone, args, NULL);
	note(job_id, reason, api);
}
