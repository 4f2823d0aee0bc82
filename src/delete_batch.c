/*-------------------------------------------------------------------------
 *
 * delete_batch.c
 *		Records that the API may have deleted: batches of candidates.
 *
 * A batch is what one complete read did not show.  As long as it is watched, any
 * page that shows one of its records strikes it; so does one that shows a
 * record which somebody kept (rejected, undone), for only then may it be proposed
 * again.
 *
 * IDENTIFICATION
 *		src/delete_batch.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "delete_batch.h"
#include "guc.h"
#include "session.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/*
 * Without other words of the org: more than this share of the rows, unless they
 * are as few as a person deletes in an hour, and not half of all; and more than a
 * church loses in a day.
 */
#define THRESHOLD_PERCENT	10
#define FEW_CANDIDATES		20
#define THRESHOLD_COUNT		1000

static void
scope_arguments(DeleteScope scope, Datum *args)
{
	args[0] = CStringGetTextDatum(scope.org);
	args[1] = CStringGetTextDatum(scope.product);
	args[2] = CStringGetTextDatum(scope.entity);
}

Datum
delete_ids_array(const List *ids)
{
	int			n = list_length(ids);
	Datum	   *values = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		values[i] = CStringGetTextDatum((char *) list_nth(ids, i));
	return PointerGetDatum(construct_array(values, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * result_ids: the first column of the last result.
 */
static List *
result_ids(uint64 n)
{
	List	   *ids = NIL;

	for (uint64 i = 0; i < n; i++)
		ids = lappend(ids, result_text(i, 1));
	return ids;
}

#define SELECT_BATCH \
	"SELECT org, product, entity, behaviour, status, reason, source, read_at, candidates, deleted " \
	"FROM sync_engine.delete_batch WHERE batch = $1"

/*
 * result_batch: the only row of the last result.
 */
static DeleteBatch *
result_batch(int64 batch)
{
	DeleteBatch *found = palloc(sizeof(DeleteBatch));

	found->batch = batch;
	found->org = result_text(0, 1);
	found->product = result_text(0, 2);
	found->entity = result_text(0, 3);
	found->behaviour = result_text(0, 4);
	found->status = result_text(0, 5);
	found->reason = result_text(0, 6);
	found->source = result_text(0, 7);
	found->read_at = result_timestamp(0, 8, DT_NOBEGIN);
	found->candidates = result_int64(0, 9, 0);
	found->deleted = result_int64(0, 10, 0);
	return found;
}

DeleteBatch *
delete_batch_lock(int64 batch)
{
	static Statement select_batch = {SELECT_BATCH " FOR NO KEY UPDATE", 1, {INT8OID}};
	Datum		args[1] = {Int64GetDatum(batch)};

	return statement_run(&select_batch, args, NULL) == 0 ? NULL : result_batch(batch);
}

DeleteBatch *
delete_batch_look(int64 batch)
{
	static Statement select_batch = {SELECT_BATCH, 1, {INT8OID}};
	Datum		args[1] = {Int64GetDatum(batch)};

	return statement_run_latest(&select_batch, args, NULL) == 0 ? NULL : result_batch(batch);
}

int64
delete_batch_begin(DeleteScope scope, int64 run_id, int64 job_id, const char *source)
{
	static Statement forget = {
		"DELETE FROM sync_engine.delete_batch WHERE worker_job = $1 AND status = 'open'",
		1, {INT8OID}
	};
	static Statement insert = {
		"INSERT INTO sync_engine.delete_batch (org, product, entity, run_id, job_id, worker_job, source, behaviour, read_at) "
		"SELECT $1, $2, $3, $4, $5, $5, $6, "
		"  coalesce((SELECT options->>'delete_behaviour' FROM sync_engine.org WHERE org = $1), 'soft'), "
		"  (SELECT started_at FROM sync_engine.job WHERE job_id = $5) RETURNING batch",
		6, {TEXTOID, TEXTOID, TEXTOID, INT8OID, INT8OID, TEXTOID}
	};
	Datum		args[6];

	args[0] = Int64GetDatum(job_id);
	(void) statement_run(&forget, args, NULL);
	scope_arguments(scope, args);
	args[3] = Int64GetDatum(run_id);
	args[4] = Int64GetDatum(job_id);
	args[5] = CStringGetTextDatum(source);
	(void) statement_run(&insert, args, NULL);
	return result_int64(0, 1, 0);
}

void
delete_batch_propose(int64 batch, Datum ids)
{
	static Statement insert = {
		"INSERT INTO sync_engine.delete_candidate (batch, record_id) SELECT $1, u.id FROM unnest($2) u(id)",
		2, {INT8OID, TEXTARRAYOID}
	};
	Datum		args[2] = {Int64GetDatum(batch), ids};

	(void) statement_run(&insert, args, NULL);
}

void
delete_batch_count(int64 batch, int64 stored, int64 seen)
{
	static Statement update = {
		"UPDATE sync_engine.delete_batch SET stored = $2, seen = $3, "
		"  candidates = (SELECT count(*) FROM sync_engine.delete_candidate WHERE batch = $1) WHERE batch = $1",
		3, {INT8OID, INT8OID, INT8OID}
	};
	Datum		args[3] = {Int64GetDatum(batch), Int64GetDatum(stored), Int64GetDatum(seen)};

	(void) statement_run(&update, args, NULL);
}

void
delete_batch_replace_older(DeleteScope scope, int64 batch)
{
	static Statement update = {
		"UPDATE sync_engine.delete_batch SET status = 'replaced', watched = false, "
		"  reason = CASE WHEN $4 = 0 THEN 'a later read missed none of them' "
		"    ELSE 'what a later read still missed is in batch ' || $4 END "
		"WHERE (org, product, entity) = ($1, $2, $3) AND watched AND source = 'reconcile' "
		"AND status IN ('open', 'held', 'approved') AND batch <> $4",
		4, {TEXTOID, TEXTOID, TEXTOID, INT8OID}
	};
	Datum		args[4];

	scope_arguments(scope, args);
	args[3] = Int64GetDatum(batch);
	(void) statement_run(&update, args, NULL);
}

void
delete_batch_set_status(int64 batch, const char *status, const char *reason)
{
	/* what was kept is watched, until the API has shown all of it */
	static Statement update = {
		"UPDATE sync_engine.delete_batch SET status = $2, reason = coalesce($3, reason), "
		"  watched = $2 <> 'applied', "
		"  applied_at = CASE WHEN $2 = 'applied' THEN clock_timestamp() ELSE applied_at END WHERE batch = $1",
		3, {INT8OID, TEXTOID, TEXTOID}
	};
	Datum		args[3] = {Int64GetDatum(batch), CStringGetTextDatum(status),
	reason ? CStringGetTextDatum(reason) : (Datum) 0};
	char		nulls[3] = {' ', ' ', reason ? ' ' : 'n'};

	(void) statement_run(&update, args, nulls);
}

void
delete_batch_settle_state(int64 batch)
{
	static Statement update = {
		"UPDATE sync_engine.sync_state s SET status = 'succeeded', error = NULL FROM sync_engine.delete_batch b "
		"WHERE b.batch = $1 AND (s.org, s.product, s.entity) = (b.org, b.product, b.entity) AND s.status = 'held'",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(batch)};

	(void) statement_run(&update, args, NULL);
}

char *
delete_batch_exceeds(DeleteScope scope, int64 candidates, int64 stored)
{
	static Statement select_options = {
		"SELECT (options->>'delete_threshold_percent')::float8, (options->>'delete_threshold_count')::numeric::bigint, "
		"  options ? 'delete_threshold_percent' FROM sync_engine.org WHERE org = $1",
		1, {TEXTOID}
	};
	Datum		args[1] = {CStringGetTextDatum(scope.org)};
	double		percent = THRESHOLD_PERCENT;
	int64		count = THRESHOLD_COUNT;
	int64		few = FEW_CANDIDATES;

	if (statement_run(&select_options, args, NULL) > 0)
	{
		count = result_int64(0, 2, THRESHOLD_COUNT);
		if (result_bool(0, 3))
		{
			percent = result_float8(0, 1);
			few = 0;
		}
	}
	if (candidates > count)
		return psprintf(INT64_FORMAT " records are missing, more than " INT64_FORMAT, candidates, count);
	if ((candidates > few || candidates * 2 > stored) && candidates * 100.0 > stored * percent)
		return psprintf(INT64_FORMAT " of " INT64_FORMAT " records are missing, more than %g %%",
						candidates, stored, percent);
	return NULL;
}

List *
delete_batch_kept(DeleteScope scope)
{
	static Statement select_kept = {
		"SELECT c.record_id FROM sync_engine.delete_batch b JOIN sync_engine.delete_candidate c USING (batch) "
		"WHERE (b.org, b.product, b.entity) = ($1, $2, $3) AND b.watched AND b.status IN ('rejected', 'undone') "
		"AND c.status IN ('rejected', 'undone') AND c.shown_at IS NULL",
		3, {TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		args[3];

	scope_arguments(scope, args);
	return result_ids(statement_run(&select_kept, args, NULL));
}

List *
delete_batch_candidates(int64 batch, const char *status, const char *after, int limit)
{
	static Statement select_ids = {
		"SELECT record_id FROM sync_engine.delete_candidate WHERE batch = $1 AND status = $2 AND record_id > $3 "
		"ORDER BY record_id LIMIT $4",
		4, {INT8OID, TEXTOID, TEXTOID, INT4OID}
	};
	Datum		args[4] = {Int64GetDatum(batch), CStringGetTextDatum(status), CStringGetTextDatum(after),
	Int32GetDatum(limit)};

	return result_ids(statement_run(&select_ids, args, NULL));
}

int64
delete_batch_count_status(int64 batch, const char *status)
{
	static Statement count = {
		"SELECT count(*) FROM sync_engine.delete_candidate WHERE batch = $1 AND status = $2",
		2, {INT8OID, TEXTOID}
	};
	Datum		args[2] = {Int64GetDatum(batch), CStringGetTextDatum(status)};

	(void) statement_run(&count, args, NULL);
	return result_int64(0, 1, 0);
}

void
delete_batch_mark(int64 batch, Datum ids, const char *status, const char *detail)
{
	static Statement update = {
		"UPDATE sync_engine.delete_candidate SET status = $3, detail = coalesce($4, detail), "
		"  shown_at = CASE WHEN $3 = 'struck' THEN clock_timestamp() ELSE shown_at END, changed_at = clock_timestamp() "
		"WHERE batch = $1 AND record_id = ANY ($2) AND status IN ('proposed', 'confirmed')",
		4, {INT8OID, TEXTARRAYOID, TEXTOID, TEXTOID}
	};
	Datum		args[4] = {Int64GetDatum(batch), ids, CStringGetTextDatum(status),
	detail ? CStringGetTextDatum(detail) : (Datum) 0};
	char		nulls[4] = {' ', ' ', ' ', detail ? ' ' : 'n'};

	(void) statement_run(&update, args, nulls);
}

void
delete_batch_confirm_rest(int64 batch, const char *detail)
{
	static Statement update = {
		"UPDATE sync_engine.delete_candidate SET status = 'confirmed', detail = $2, changed_at = clock_timestamp() "
		"WHERE batch = $1 AND status = 'proposed'",
		2, {INT8OID, TEXTOID}
	};
	Datum		args[2] = {Int64GetDatum(batch), CStringGetTextDatum(detail)};

	(void) statement_run(&update, args, NULL);
}

void
delete_batch_reopen(int64 batch)
{
	static Statement update = {
		"UPDATE sync_engine.delete_candidate SET status = 'proposed' WHERE batch = $1 AND status = 'confirmed'",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(batch)};

	(void) statement_run(&update, args, NULL);
}

List *
delete_batch_lock_confirmed(int64 batch, int limit)
{
	static Statement lock = {
		"SELECT record_id FROM sync_engine.delete_candidate WHERE batch = $1 AND status = 'confirmed' "
		"ORDER BY record_id LIMIT $2 FOR NO KEY UPDATE",
		2, {INT8OID, INT4OID}
	};
	Datum		args[2] = {Int64GetDatum(batch), Int32GetDatum(limit)};

	return result_ids(statement_run(&lock, args, NULL));
}

List *
delete_batch_others(int64 batch, Datum ids)
{
	static Statement select_others = {
		"SELECT u.id FROM unnest($2) u(id) WHERE NOT EXISTS (SELECT 1 FROM sync_engine.delete_candidate c "
		"  WHERE c.batch = $1 AND c.record_id = u.id)",
		2, {INT8OID, TEXTARRAYOID}
	};
	Datum		args[2] = {Int64GetDatum(batch), ids};

	return result_ids(statement_run(&select_others, args, NULL));
}

char *
delete_batch_a_detail(int64 batch)
{
	static Statement select_detail = {
		"SELECT detail FROM sync_engine.delete_candidate WHERE batch = $1 AND status = 'proposed' AND detail IS NOT NULL "
		"ORDER BY record_id LIMIT 1",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(batch)};

	return statement_run(&select_detail, args, NULL) > 0 ? result_text(0, 1) : NULL;
}

void
delete_batch_note(int64 batch, const char *id, const char *detail)
{
	static Statement update = {
		"UPDATE sync_engine.delete_candidate SET status = 'proposed', detail = $3, changed_at = clock_timestamp() "
		"WHERE batch = $1 AND record_id = $2 AND status IN ('proposed', 'confirmed')",
		3, {INT8OID, TEXTOID, TEXTOID}
	};
	Datum		args[3] = {Int64GetDatum(batch), CStringGetTextDatum(id), CStringGetTextDatum(detail)};

	(void) statement_run(&update, args, NULL);
}

void
delete_batch_strike(DeleteScope scope, Datum ids)
{
	static Statement select_watched = {
		"SELECT batch FROM sync_engine.delete_batch WHERE (org, product, entity) = ($1, $2, $3) AND watched",
		3, {TEXTOID, TEXTOID, TEXTOID}
	};
	static Statement strike = {
		"UPDATE sync_engine.delete_candidate SET shown_at = clock_timestamp(), changed_at = clock_timestamp(), "
		"  status = CASE WHEN status IN ('proposed', 'confirmed') THEN 'struck' ELSE status END, "
		"  detail = CASE WHEN status IN ('proposed', 'confirmed') THEN 'a page has shown it' ELSE detail END "
		"WHERE batch = ANY ($1) AND record_id = ANY ($2) AND shown_at IS NULL AND status NOT IN ('deleted', 'struck')",
		2, {INT8ARRAYOID, TEXTARRAYOID}
	};
	static Statement watch_no_more = {
		"UPDATE sync_engine.delete_batch b SET watched = false WHERE batch = ANY ($1) AND status IN ('rejected', 'undone') "
		"AND NOT EXISTS (SELECT 1 FROM sync_engine.delete_candidate c WHERE c.batch = b.batch "
		"  AND c.status IN ('rejected', 'undone') AND c.shown_at IS NULL)",
		1, {INT8ARRAYOID}
	};
	Datum		args[3];
	uint64		n;
	int64	   *batches;

	scope_arguments(scope, args);
	n = statement_run(&select_watched, args, NULL);
	if (n == 0)
		return;
	batches = palloc(sizeof(int64) * n);
	for (uint64 i = 0; i < n; i++)
		batches[i] = result_int64(i, 1, 0);
	args[0] = int64_array(batches, (int) n);
	args[1] = ids;
	if (statement_run(&strike, args, NULL) > 0)
		(void) statement_run(&watch_no_more, args, NULL);
}

List *
delete_batch_lately_deleted(DeleteScope scope, Datum ids)
{
	static Statement select_any = {
		"SELECT 1 FROM sync_engine.delete_batch WHERE (org, product, entity) = ($1, $2, $3) "
		"AND applied_at > clock_timestamp() - $4 * interval '1 s' AND behaviour <> 'soft' LIMIT 1",
		4, {TEXTOID, TEXTOID, TEXTOID, INT4OID}
	};
	static Statement select_ids = {
		"SELECT c.record_id FROM sync_engine.delete_batch b JOIN sync_engine.delete_candidate c USING (batch) "
		"WHERE (b.org, b.product, b.entity) = ($1, $2, $3) AND b.behaviour <> 'soft' "
		"AND b.applied_at > clock_timestamp() - $4 * interval '1 s' "
		"AND c.status = 'deleted' AND c.changed_at > clock_timestamp() - $4 * interval '1 s' AND c.record_id = ANY ($5)",
		5, {TEXTOID, TEXTOID, TEXTOID, INT4OID, TEXTARRAYOID}
	};
	Datum		args[5];

	scope_arguments(scope, args);
	args[3] = Int32GetDatum(guc_replica_lag);
	args[4] = ids;
	if (statement_run(&select_any, args, NULL) == 0)
		return NIL;
	return result_ids(statement_run(&select_ids, args, NULL));
}
