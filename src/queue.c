/*-------------------------------------------------------------------------
 *
 * queue.c
 *		Runs and jobs: enqueue, give back, recover.
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
#include "errors.h"
#include "miscadmin.h"
#include "queue.h"
#include "queue_fold.h"
#include "queue_turn.h"
#include "session.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* So many losses of its lane while a page was applied, and a job is held. */
#define MAX_CRASHES		3

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
		"INSERT INTO sync_engine.run (kind, org, entities, mode, execution, priority, requested_by, everything, "
		"  retry_of, not_before) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING run_id",
		10, {TEXTOID, TEXTOID, TEXTARRAYOID, TEXTOID, TEXTOID, INT4OID, NAMEOID, BOOLOID, INT8OID, TIMESTAMPTZOID}
	};
	Datum		args[10];
	char		nulls[10] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', request->retry_of == 0 ? 'n' : ' ', ' '};
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
	args[8] = Int64GetDatum(request->retry_of);
	args[9] = TimestampTzGetDatum(request->not_before == 0 ? DT_NOBEGIN : request->not_before);
	(void) statement_run(&insert_run, args, nulls);
	return result_int64(0, 1, 0);
}

double
queue_next_turn(const char *org, int priority, double *step)
{
	/* before the clock is known it stands at the head of the queue */
	static Statement select_turn = {
		"SELECT greatest($3, "
		"  (SELECT max(turn) + s.step FROM sync_engine.job WHERE (org, priority) = ($1, $2) AND status = 'queued'), "
		"  (SELECT max(turn) + s.step FROM sync_engine.job WHERE (org, priority) = ($1, $2) AND status = 'running'), "
		"  CASE WHEN $3 IS NULL THEN (SELECT j.turn FROM sync_engine.job j WHERE " QUEUE_CLAIMABLE
		"    AND j.priority = $2 ORDER BY j.turn LIMIT 1) END, 0), s.step "
		"FROM (SELECT 1 / coalesce((SELECT (options->>'weight')::float8 FROM sync_engine.org WHERE org = $1), 1) "
		"  AS step) s",
		3, {TEXTOID, INT4OID, FLOAT8OID}
	};
	double		now;
	bool		known = queue_turn_give(priority, &now);
	Datum		args[3] = {CStringGetTextDatum(org), Int32GetDatum(priority), Float8GetDatum(known ? now : 0)};
	char		nulls[3] = {' ', ' ', known ? ' ' : 'n'};

	(void) statement_run(&select_turn, args, nulls);
	*step = result_float8(0, 2);
	return result_float8(0, 1);
}

TimestampTz
queue_next_due(void)
{
	static Statement next_due = {
		"SELECT least((SELECT min(not_before) FROM sync_engine.job WHERE status = 'queued' AND not_before > '-infinity'), "
		"  (SELECT min(not_before) FROM sync_engine.run WHERE status = 'queued' AND not_before > '-infinity'))",
		0, {0}
	};

	(void) statement_run(&next_due, NULL, NULL);
	return result_timestamp(0, 1, DT_NOEND);
}

/*
 * hold_crashed: a page that takes the server down again and again is left to
 * people.
 */
static void
hold_crashed(void)
{
	static Statement select_crashed = {
		"SELECT job_id, epoch, position FROM sync_engine.job WHERE status = 'running' AND lane IS NULL",
		0, {0}
	};
	uint64		n = statement_run(&select_crashed, NULL, NULL);
	int64	   *ids = palloc(sizeof(int64) * Max(n, 1));
	int64	   *epochs = palloc(sizeof(int64) * Max(n, 1));
	char	  **positions = palloc(sizeof(char *) * Max(n, 1));

	for (uint64 i = 0; i < n; i++)
	{
		ids[i] = result_int64(i, 1, 0);
		epochs[i] = result_int64(i, 2, 0);
		positions[i] = result_text(i, 3);
	}
	for (uint64 i = 0; i < n; i++)
	{
		Failure		failure = {SQLSTATE_CRASHED, NULL,
		"See the server's log for what ended the process; then call sync_retry."};

		failure.message = psprintf("its process ended %d times while it applied the page after \"%s\"",
								   MAX_CRASHES, positions[i]);
		(void) queue_end_job(ids[i], epochs[i], "held", &failure);
	}
}

int
queue_recover_orphans(int64 own_lane)
{
	static Statement select_lanes = {
		"SELECT DISTINCT lane FROM sync_engine.job WHERE status = 'running' AND lane <> $1",
		1, {INT8OID}
	};
	static Statement requeue = {
		"UPDATE sync_engine.job SET status = CASE WHEN applying AND crashes + 1 >= $2 THEN 'running' ELSE 'queued' END, "
		"  lane = NULL, epoch = epoch + 1, suspect = folded_into IS NULL, "
		"  crashes = crashes + applying::int, applying = false "
		"WHERE status = 'running' AND lane = $1",
		2, {INT8OID, INT4OID}
	};
	Datum		args[2] = {Int64GetDatum(own_lane), Int32GetDatum(MAX_CRASHES)};
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
	if (recovered > 0)
		hold_crashed();
	return recovered;
}

int
queue_free_stranded(void)
{
	/* its target ended in another lane while it joined, or was paused */
	static Statement part = {
		"UPDATE sync_engine.job j SET joined_job_id = NULL FROM sync_engine.job t "
		"LEFT JOIN sync_engine.job c ON c.job_id = t.folded_into "
		"WHERE j.status = 'queued' AND j.joined_job_id = t.job_id "
		"AND (t.status NOT IN ('queued', 'running') OR c.status = 'paused')",
		0, {0}
	};
	static Statement part_from_lost = {
		"UPDATE sync_engine.job j SET joined_job_id = NULL WHERE j.status = 'queued' AND j.joined_job_id IS NOT NULL "
		"AND NOT EXISTS (SELECT 1 FROM sync_engine.job t WHERE t.job_id = j.joined_job_id)",
		0, {0}
	};
	/* what it was parked for ended in another lane while it was */
	static Statement unpark = {
		"UPDATE sync_engine.job j SET parked = NULL WHERE j.status = 'queued' AND j.parked = 'entity' "
		"AND NOT EXISTS (SELECT 1 FROM sync_engine.job r WHERE r.status = 'running' "
		"  AND (r.org, r.product, r.entity) = (j.org, j.product, j.entity))",
		0, {0}
	};
	/* the same, of its organisation: as many as there is room for beside those that can be claimed */
	static Statement unpark_org = {
		"UPDATE sync_engine.job j SET parked = NULL FROM "
		"  (SELECT DISTINCT org FROM sync_engine.job WHERE status = 'queued' AND parked = 'org') o, "
		"  LATERAL (SELECT job_id FROM sync_engine.job WHERE status = 'queued' AND parked = 'org' AND org = o.org "
		"    ORDER BY priority DESC, turn, job_id LIMIT greatest(0, $1 - (SELECT count(*) FROM sync_engine.job r "
		"      WHERE r.org = o.org AND r.folded_into IS NULL AND (r.status = 'running' OR (r.status = 'queued' "
		"        AND r.unmet = 0 AND r.joined_job_id IS NULL AND r.parked IS NULL))))) p "
		"WHERE j.job_id = p.job_id",
		1, {INT4OID}
	};
	Datum		args[1] = {Int32GetDatum(MAX_ORG_JOBS)};

	return (int) (statement_run(&part, NULL, NULL) + statement_run(&part_from_lost, NULL, NULL) +
				  statement_run(&unpark, NULL, NULL) + statement_run(&unpark_org, args, NULL));
}

bool
queue_release_job(int64 job_id, int64 epoch, const char *reason, int milliseconds, bool failed)
{
	static Statement release = {
		"UPDATE sync_engine.job SET status = 'queued', lane = NULL, epoch = epoch + 1, error = $3, "
		"  attempts = attempts + 1, failures = failures + $5::int, applying = false, "
		"  not_before = clock_timestamp() + $4 * least(power(2, attempts), 5) * interval '1 ms' "
		"WHERE job_id = $1 AND epoch = $2 AND status = 'running'",
		5, {INT8OID, INT8OID, TEXTOID, INT4OID, BOOLOID}
	};
	Datum		args[5] = {Int64GetDatum(job_id), Int64GetDatum(epoch), CStringGetTextDatum(reason),
	Int32GetDatum(milliseconds), BoolGetDatum(failed)};

	if (statement_run(&release, args, NULL) == 0)
		return false;
	queue_fold_release(job_id);
	return true;
}

bool
queue_restart_job(int64 job_id, int64 epoch)
{
	static Statement restart = {
		"UPDATE sync_engine.job SET status = 'queued', lane = NULL, epoch = epoch + 1, position = '', applying = false "
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
		"UPDATE sync_engine.job SET position = '' WHERE status IN ('queued', 'running', 'paused') AND position <> '' "
		"AND ((product, entity) = ($1, $2) OR job_id IN (SELECT folded_into FROM sync_engine.job f "
		"    WHERE (f.product, f.entity) = ($1, $2) AND f.status IN ('queued', 'running', 'paused')))",
		2, {TEXTOID, TEXTOID}
	};
	/* those that ended, too: sync_retry lets them go on where they stood */
	static Statement restart_ended = {
		"UPDATE sync_engine.job SET position = '' WHERE (product, entity) = ($1, $2) "
		"AND status IN ('failed', 'cancelled', 'held') AND position <> ''",
		2, {TEXTOID, TEXTOID}
	};
	Datum		args[2] = {CStringGetTextDatum(product), CStringGetTextDatum(entity)};

	(void) statement_run(&restart, args, NULL);
	(void) statement_run(&restart_ended, args, NULL);
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
