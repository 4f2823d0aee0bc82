/*-------------------------------------------------------------------------
 *
 * queue_claim.c
 *		A lane claims jobs.
 *
 * What becomes of a job whose turn it is (queue_decide.c) takes it from the front
 * of the queue in any case, so that no job is looked at twice in vain, however many
 * wait.  What it waits for brings it back (queue_trigger.c).
 *
 * IDENTIFICATION
 *		src/queue_claim.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "queue_claim.h"
#include "queue_decide.h"
#include "queue_fold.h"
#include "queue_turn.h"
#include "session.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/*
 * Jobs that are looked at together once the first have not taken all places, and
 * in one transaction.  Each takes an entry of the table of locks, which all sessions share, and time in
 * which the lane does nothing else.
 */
#define LEAST_LOOK		32
#define MOST_LOOKED_AT	256

/* Turns of a round: less than one, since those given at the same time are a bit apart. */
#define ROUND			0.999

/* So often a lane looks at the whole queue; see queue_turn.h. */
#define LOOK_AT_ALL_MS	20000

/*
 * SQL: the head of the queue, along the stretches in $1 to $3.  One of a single
 * priority is entered at its turn; the index can do so only for an equality.
 */
#define IN_ORDER(columns, limit, lock) \
	"FROM unnest($1, $2, $3) AS stretch(highest, lowest, turn), LATERAL (" \
	"  SELECT * FROM (SELECT " columns " FROM sync_engine.job j WHERE " QUEUE_CLAIMABLE \
	"    AND stretch.highest = stretch.lowest AND j.priority = stretch.highest AND j.turn >= stretch.turn " \
	"    ORDER BY j.turn, j.job_id LIMIT " limit " " lock ") one " \
	"  UNION ALL SELECT * FROM (SELECT " columns " FROM sync_engine.job j WHERE " QUEUE_CLAIMABLE \
	"    AND stretch.highest > stretch.lowest AND j.priority <= stretch.highest AND j.priority >= stretch.lowest " \
	"    ORDER BY j.priority DESC, j.turn, j.job_id LIMIT " limit " " lock ") many) j LIMIT " limit

bool
queue_lock_entity(const char *org, const char *product, const char *entity)
{
	char	   *name = psprintf("%s.%s.%s", product, entity, org);
	uint64		hash = hash_bytes_extended((unsigned char *) name, strlen(name), 0);
	LOCKTAG		tag;
	const bool	session_lock = false;
	const bool	dont_wait = true;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (hash >> 32), (uint32) hash, ENTITY_LOCK_SPACE);
	return LockAcquire(&tag, ExclusiveLock, session_lock, dont_wait) != LOCKACQUIRE_NOT_AVAIL;
}

static Datum
text_array(const Datum *values, int n)
{
	return PointerGetDatum(construct_array((Datum *) values, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * stretch_arguments: where to look, as three arrays.
 */
static void
stretch_arguments(bool from_start, Datum *args)
{
	QueueStretch stretches[2 * MAX_CLOCKS + 1];
	int			n = queue_turn_stretches(stretches, from_start);
	Datum		highest[lengthof(stretches)];
	Datum		lowest[lengthof(stretches)];
	Datum		turns[lengthof(stretches)];

	for (int i = 0; i < n; i++)
	{
		highest[i] = Int32GetDatum(stretches[i].highest);
		lowest[i] = Int32GetDatum(stretches[i].lowest);
		turns[i] = Float8GetDatum(stretches[i].turn);
	}
	args[0] = PointerGetDatum(construct_array(highest, n, INT4OID, sizeof(int32), true, TYPALIGN_INT));
	args[1] = PointerGetDatum(construct_array(lowest, n, INT4OID, sizeof(int32), true, TYPALIGN_INT));
	args[2] = PointerGetDatum(construct_array(turns, n, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL,
											  TYPALIGN_DOUBLE));
}

/* when the whole queue was looked at last */
static TimestampTz looked_at_all = 0;

/*
 * due_for_all: whether this look is at the whole queue.
 */
static bool
due_for_all(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (!TimestampDifferenceExceeds(looked_at_all, now, LOOK_AT_ALL_MS))
		return false;
	looked_at_all = now;
	return true;
}

/*
 * next_candidates: the first ones of the queue, locked, and one look at each; of
 * those on which another lane decides just now, none.  *n_seen counts them too.
 * one_round: each organisation's next one.
 */
static List *
next_candidates(int limit, bool from_start, bool one_round, int *n_seen)
{
	static Statement select_next = {
		"SELECT j.job_id, j.org, j.product, j.entity, j.mode, j.priority, j.turn "
		IN_ORDER("*", "$4", "FOR NO KEY UPDATE SKIP LOCKED"),
		4, {INT4ARRAYOID, INT4ARRAYOID, FLOAT8ARRAYOID, INT4OID}
	};
	Datum		args[4];
	uint64		n;
	List	   *candidates = NIL;

	stretch_arguments(from_start, args);
	args[3] = Int32GetDatum(limit);
	n = statement_run(&select_next, args, NULL);
	*n_seen = 0;
	for (uint64 row = 0; row < n; row++)
	{
		Candidate  *candidate;

		if (one_round && (result_int64(row, 6, 0) < result_int64(0, 6, 0) ||
						  result_float8(row, 7) >= result_float8(0, 7) + ROUND))
			break;
		(*n_seen)++;
		candidate = palloc0(sizeof(Candidate));
		candidate->job_id = result_int64(row, 1, 0);
		candidate->org = result_text(row, 2);
		candidate->product = result_text(row, 3);
		candidate->entity = result_text(row, 4);
		candidate->mode = result_text(row, 5);
		candidate->priority = (int) result_int64(row, 6, 0);
		candidate->turn = result_float8(row, 7);
		if (queue_lock_entity(candidate->org, candidate->product, candidate->entity))
			candidates = lappend(candidates, candidate);
	}
	return candidates;
}

/*
 * carry_out_joins: what they would have brought along reads itself, or joins too.
 * Whether some do.  A job that takes over more urgent work is as urgent, and takes
 * its turn (each priority counts turns for itself), unless it is in other hands just
 * now: who claims waits for nobody.
 */
static bool
carry_out_joins(const Decisions *decisions)
{
	static Statement set_joined = {
		"UPDATE sync_engine.job j SET joined_job_id = u.target FROM unnest($1, $2) AS u(job_id, target) "
		"WHERE j.job_id = u.job_id",
		2, {INT8ARRAYOID, INT8ARRAYOID}
	};
	static Statement raise_target = {
		"UPDATE sync_engine.job t SET priority = u.priority, turn = u.turn FROM ("
		"  SELECT DISTINCT ON (joined_job_id) joined_job_id, priority, turn FROM sync_engine.job "
		"  WHERE job_id = ANY ($1) ORDER BY joined_job_id, priority DESC, turn) u "
		"WHERE t.job_id = u.joined_job_id AND t.priority < u.priority AND t.job_id = ANY (ARRAY(SELECT job_id "
		"  FROM sync_engine.job WHERE job_id = ANY ($2) AND status = 'queued' FOR NO KEY UPDATE SKIP LOCKED))",
		2, {INT8ARRAYOID, INT8ARRAYOID}
	};
	Datum		args[2] = {int64_array(decisions->joined, decisions->n_joined),
	int64_array(decisions->targets, decisions->n_joined)};

	if (decisions->n_joined == 0)
		return false;
	(void) statement_run(&set_joined, args, NULL);
	(void) statement_run(&raise_target, args, NULL);
	return queue_unfold_waiting(args[0]) > 0;
}

static void
carry_out_parks(const Decisions *decisions)
{
	static Statement set_parked = {
		"UPDATE sync_engine.job j SET parked = u.reason FROM unnest($1, $2) AS u(job_id, reason) "
		"WHERE j.job_id = u.job_id",
		2, {INT8ARRAYOID, TEXTARRAYOID}
	};
	Datum		args[2] = {int64_array(decisions->parked, decisions->n_parked),
	text_array(decisions->reasons, decisions->n_parked)};

	if (decisions->n_parked > 0)
		(void) statement_run(&set_parked, args, NULL);
}

/*
 * in_order: the claimed jobs as they were decided on, for they begin in this order.
 */
static List *
in_order(List *claimed, const Decisions *decisions)
{
	List	   *sorted = NIL;
	ListCell   *cell;

	for (int i = 0; i < decisions->n_claimed; i++)
	{
		foreach(cell, claimed)
		{
			if (((ClaimedJob *) lfirst(cell))->job_id == decisions->claimed[i])
				sorted = lappend(sorted, lfirst(cell));
		}
	}
	return sorted;
}

static List *
carry_out_claims(int64 lane, const Decisions *decisions, MemoryContext context)
{
	static Statement claim = {
		"UPDATE sync_engine.job SET status = 'running', lane = $1, epoch = epoch + 1, "
		"  error = NULL, started_at = coalesce(started_at, clock_timestamp()) "
		"WHERE job_id = ANY ($2) RETURNING job_id, run_id, epoch, org, product, entity, strategy, "
		"  fetched, requests, expected, attempts, suspect, failures, coalesce(ledger, job_id), "
		"  (SELECT everything FROM sync_engine.run r WHERE r.run_id = job.run_id), "
		"  EXISTS (SELECT 1 FROM sync_engine.job f WHERE f.folded_into = job.job_id), mode, "
		"  (SELECT kind = 'audit' FROM sync_engine.run r WHERE r.run_id = job.run_id)",
		2, {INT8OID, INT8ARRAYOID}
	};
	Datum		args[2] = {Int64GetDatum(lane), int64_array(decisions->claimed, decisions->n_claimed)};
	List	   *claimed = NIL;
	bool		bring_others = false;
	uint64		rows;
	MemoryContext old;

	if (decisions->n_claimed == 0)
		return NIL;
	rows = statement_run(&claim, args, NULL);
	old = MemoryContextSwitchTo(context);
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
		job->suspect = result_bool(row, 12);
		job->failures = (int) result_int64(row, 13, 0);
		job->ledger = result_int64(row, 14, 0);
		job->everything = result_bool(row, 15);
		bring_others = bring_others || result_bool(row, 16);
		job->mode = result_text(row, 17);
		job->audit = result_bool(row, 18);
		claimed = lappend(claimed, job);
	}
	MemoryContextSwitchTo(old);
	if (bring_others)
		queue_fold_claim(lane, claimed);
	return in_order(claimed, decisions);
}

/*
 * let_in_others: the places that jobs did not take after all are for those that wait
 * for one; each job that ends lets in but one.  Whether some do.
 */
static bool
let_in_others(const Decisions *decisions)
{
	static Statement unpark = {
		"UPDATE sync_engine.job SET parked = NULL WHERE job_id IN (SELECT p.job_id "
		"  FROM (SELECT DISTINCT org FROM unnest($1) u(org)) o, LATERAL ("
		"    SELECT q.job_id FROM sync_engine.job q WHERE q.status = 'queued' AND q.parked = 'org' AND q.org = o.org "
		"    ORDER BY q.priority DESC, q.turn, q.job_id LIMIT greatest(0, $2 - (SELECT count(*) FROM sync_engine.job b "
		"      WHERE b.status = 'running' AND b.org = o.org AND b.folded_into IS NULL)) "
		"    FOR NO KEY UPDATE SKIP LOCKED) p)",
		2, {TEXTARRAYOID, INT4OID}
	};
	Datum		args[2] = {text_array(decisions->orgs, decisions->n_orgs), Int32GetDatum(MAX_ORG_JOBS)};

	return decisions->n_orgs > 0 && statement_run(&unpark, args, NULL) > 0;
}

List *
queue_claim(int64 lane, int places, bool one_round, ClaimOutlook *outlook)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext scratch = AllocSetContextCreate(context, "claiming jobs", ALLOCSET_DEFAULT_SIZES);
	List	   *claimed = NIL;
	int			looked_at = 0;
	bool		from_start = due_for_all();
	bool		again = places > 0;

	*outlook = (ClaimOutlook) {0};
	MemoryContextSwitchTo(scratch);
	while (again && looked_at < MOST_LOOKED_AT)
	{
		int			left = places - list_length(claimed);
		int			limit = Min(looked_at == 0 ? left : Max(left, LEAST_LOOK), MOST_LOOKED_AT);
		int			n_seen;
		int			n_decidable;
		List	   *candidates = next_candidates(limit, from_start, one_round, &n_seen);
		Decisions	decisions = queue_decide(candidates, left, &n_decidable);
		bool		joined = carry_out_joins(&decisions);

		carry_out_parks(&decisions);
		claimed = list_concat(claimed, carry_out_claims(lane, &decisions, context));
		outlook->contended = outlook->contended || n_decidable < n_seen;
		again = let_in_others(&decisions) || joined || (n_seen == limit && n_decidable == n_seen);
		again = again && list_length(claimed) < places && !one_round;
		from_start = false;
		looked_at += n_seen;
	}
	outlook->more = again;
	if (outlook->contended)
		looked_at_all = 0;		/* the clocks have passed what was left */
	MemoryContextSwitchTo(context);
	claimed = list_copy(claimed);
	MemoryContextDelete(scratch);
	return claimed;
}

bool
queue_has_claimable(void)
{
	static Statement select_any = {
		"SELECT 1 " IN_ORDER("1", "1", ""),
		3, {INT4ARRAYOID, INT4ARRAYOID, FLOAT8ARRAYOID}
	};
	Datum		args[3];
	const bool	from_start = false;

	stretch_arguments(from_start, args);
	return statement_run(&select_any, args, NULL) > 0;
}
