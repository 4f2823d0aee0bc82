/*-------------------------------------------------------------------------
 *
 * job_row.c
 *		A job's row, as the lane that holds it moves it.
 *
 * IDENTIFICATION
 *		src/job_row.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "job_inquiry.h"
#include "job_row.h"
#include "session.h"
#include "utils/builtins.h"
#include "utils/float.h"

bool
job_row_move(Job *job, const char *position, int64 n_new, int64 expected)
{
	static Statement move = {
		"UPDATE sync_engine.job SET position = $3, pages = pages + 1, requests = requests + $4, "
		"  fetched = fetched + $5, unchanged = unchanged + $5, expected = $6, attempts = 0, failures = 0, "
		"  suspect = false, applying = false, crashes = 0, ceiling = least(ceiling, to_timestamp($7)), "
		"  manifest_version = $8 "
		"WHERE job_id = $1 AND epoch = $2 AND status = 'running'",
		8, {INT8OID, INT8OID, TEXTOID, INT8OID, INT8OID, INT8OID, FLOAT8OID, TEXTOID}
	};
	Datum		args[8];
	char		nulls[8] = {' ', ' ', ' ', ' ', ' ', expected < 0 ? 'n' : ' ',
	job->ceiling == WATERMARK_UNSEEN ? 'n' : ' ', ' '};

	args[0] = Int64GetDatum(job->claim.job_id);
	args[1] = Int64GetDatum(job->claim.epoch);
	args[2] = CStringGetTextDatum(position);
	args[3] = Int64GetDatum(job->unsaved_requests);
	args[4] = Int64GetDatum(n_new);
	args[5] = Int64GetDatum(expected);
	args[6] = Float8GetDatum(job->ceiling == WATERMARK_NONE ? -get_float8_infinity() : (double) job->ceiling);
	args[7] = CStringGetTextDatum(job->manifest_version);
	return statement_run(&move, args, nulls) == 1;
}

void
job_row_make_full(Job *job, const char *position, const char *reason)
{
	static Statement update = {
		"UPDATE sync_engine.job SET mode = 'full', position = $3, note = $4 WHERE job_id = $1 AND epoch = $2",
		4, {INT8OID, INT8OID, TEXTOID, TEXTOID}
	};
	Datum		args[4] = {Int64GetDatum(job->claim.job_id), Int64GetDatum(job->claim.epoch),
	CStringGetTextDatum(position), CStringGetTextDatum(reason)};

	(void) statement_run(&update, args, NULL);
}

void
job_row_count(Job *job, const WriteCounts *counts)
{
	static Statement count = {
		"UPDATE sync_engine.job SET inserted = inserted + $2, updated = updated + $3, "
		"  dead_lettered = dead_lettered + $4, unchanged = unchanged - $2 - $3 - $4 WHERE job_id = $1",
		4, {INT8OID, INT8OID, INT8OID, INT8OID}
	};
	Datum		args[4] = {Int64GetDatum(job->claim.job_id), Int64GetDatum(counts->inserted),
	Int64GetDatum(counts->updated), Int64GetDatum(counts->dead_lettered)};

	if (counts->unchanged < counts->fetched)
		(void) statement_run(&count, args, NULL);
}

void
job_row_save_requests(Job *job)
{
	static Statement add_requests = {
		"UPDATE sync_engine.job SET requests = requests + $3 WHERE job_id = $1 AND epoch = $2",
		3, {INT8OID, INT8OID, INT8OID}
	};
	Datum		args[3] = {Int64GetDatum(job->claim.job_id), Int64GetDatum(job->claim.epoch),
	Int64GetDatum(job->unsaved_requests)};

	if (job->unsaved_requests == 0)
		return;
	queue_lock_runs(job->claim.job_id);
	(void) statement_run(&add_requests, args, NULL);
	job->unsaved_requests = 0;
}

void
job_row_retry(Job *job, int attempts, const Failure *failure, int delay_ms)
{
	static Statement move_job = {
		"UPDATE sync_engine.job SET attempts = $3, requests = requests + $4 "
		"WHERE job_id = $1 AND epoch = $2 AND status = 'running'",
		4, {INT8OID, INT8OID, INT4OID, INT8OID}
	};
	static Statement insert_activity = {
		"INSERT INTO sync_engine.activity (run_id, job_id, kind, status, attempts, error, sqlstate, hint, "
		"  next_attempt_at) "
		"VALUES ($1, $2, $8, 'retrying', $3, $4, $5, $6, clock_timestamp() + $7 * interval '1 ms') "
		"RETURNING activity_id",
		8, {INT8OID, INT8OID, INT4OID, TEXTOID, TEXTOID, TEXTOID, INT4OID, TEXTOID}
	};
	static Statement update_activity = {
		"UPDATE sync_engine.activity SET attempts = $3, error = $4, sqlstate = $5, hint = $6, "
		"  next_attempt_at = clock_timestamp() + $7 * interval '1 ms' "
		"WHERE activity_id = $1 AND job_id = $2",
		7, {INT8OID, INT8OID, INT4OID, TEXTOID, TEXTOID, TEXTOID, INT4OID}
	};
	Datum		args[8];
	char		nulls[8] = {' ', ' ', ' ', ' ', ' ', failure->hint ? ' ' : 'n', ' ', ' '};
	bool		durable = false;

	if (!session_begin("noting a failed attempt"))
	{
		job->over = true;
		return;
	}
	args[0] = Int64GetDatum(job->claim.job_id);
	args[1] = Int64GetDatum(job->claim.epoch);
	args[2] = Int32GetDatum(attempts);
	args[3] = Int64GetDatum(job->unsaved_requests);
	if (statement_run(&move_job, args, NULL) == 0)
	{
		session_abort();
		job->over = true;
		return;
	}
	job->unsaved_requests = 0;

	args[0] = Int64GetDatum(job->activity_id == 0 ? job->claim.run_id : job->activity_id);
	args[1] = Int64GetDatum(job->claim.job_id);
	args[2] = Int32GetDatum(attempts);
	args[3] = CStringGetTextDatum(failure->message);
	args[4] = CStringGetTextDatum(failure->sqlstate);
	args[5] = failure->hint ? CStringGetTextDatum(failure->hint) : (Datum) 0;
	args[6] = Int32GetDatum(delay_ms);
	args[7] = CStringGetTextDatum(job->inquiry ? job->inquiry->strategy : activity_sync_page.kind);
	if (job->activity_id != 0)
		(void) statement_run(&update_activity, args, nulls);
	else
	{
		(void) statement_run(&insert_activity, args, nulls);
		job->activity_id = result_int64(0, 1, 0);
	}
	session_commit(durable);
}

void
job_row_close_retry(Job *job)
{
	static Statement close_retry = {
		"UPDATE sync_engine.activity SET status = 'succeeded', finished_at = clock_timestamp(), "
		"  next_attempt_at = NULL WHERE activity_id = $1",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(job->activity_id)};

	if (job->activity_id != 0)
		(void) statement_run(&close_retry, args, NULL);
}
