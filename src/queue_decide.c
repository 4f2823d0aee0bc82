/*-------------------------------------------------------------------------
 *
 * queue_decide.c
 *		What becomes of a job whose turn it is.
 *
 * It runs; or it joins one that reads the same; or it is parked, because one that
 * reads the same otherwise has to end first, or because its organisation has as
 * many at work as it may.  Here that is decided, and nowhere else; queue_claim.c
 * carries it out, in the same transaction, with the entities locked.
 *
 * IDENTIFICATION
 *		src/queue_decide.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "queue.h"
#include "queue_decide.h"
#include "queue_turn.h"
#include "session.h"
#include "utils/builtins.h"

/*
 * look_around: what else there is for the candidates' entities.  After they are
 * locked, so that nobody changes it before we have decided.
 */
static void
look_around(List *candidates)
{
	static Statement select_others = {
		"SELECT r.job_id, CASE WHEN r.stale THEN '' ELSE r.mode END, f.job_id, "
		"  (SELECT count(*) FROM sync_engine.job b WHERE b.status = 'running' AND b.org = c.org "
		"    AND b.folded_into IS NULL) "
		"FROM unnest($1) WITH ORDINALITY AS u(job_id, n) JOIN sync_engine.job c USING (job_id) "
		"LEFT JOIN LATERAL (SELECT job_id, mode, stale FROM sync_engine.job o WHERE o.status = 'running' "
		"  AND (o.org, o.product, o.entity) = (c.org, c.product, c.entity) LIMIT 1) r ON true "
		"LEFT JOIN LATERAL (SELECT job_id FROM sync_engine.job o WHERE o.status = 'queued' AND o.job_id <> c.job_id "
		"  AND (o.org, o.product, o.entity) = (c.org, c.product, c.entity) "
		"  AND o.joined_job_id IS NULL AND o.folded_into IS NULL AND NOT o.stale AND c.started_at IS NULL "
		"  AND CASE WHEN c.mode = 'delta' THEN o.mode = 'full' OR (o.mode = 'delta' AND o.started_at IS NOT NULL) "
		"    ELSE o.mode = c.mode AND o.started_at IS NOT NULL END ORDER BY job_id LIMIT 1) f ON true "
		"ORDER BY u.n",
		1, {INT8ARRAYOID}
	};
	int			n = list_length(candidates);
	int64	   *ids = palloc(sizeof(int64) * n);
	Datum		args[1];

	for (int i = 0; i < n; i++)
		ids[i] = ((Candidate *) list_nth(candidates, i))->job_id;
	args[0] = int64_array(ids, n);
	(void) statement_run(&select_others, args, NULL);
	for (int i = 0; i < n; i++)
	{
		Candidate  *candidate = list_nth(candidates, i);

		candidate->running = result_int64(i, 1, 0);
		candidate->running_mode = result_text(i, 2);
		candidate->absorber = result_int64(i, 3, 0);
		candidate->busy = (int) result_int64(i, 4, 0);
	}
}

/*
 * hold_others: whoever the candidates may wait for must not end unseen before we
 * have said so.  Candidates whose other one is being moved just now are left for
 * another look.
 */
static List *
hold_others(List *candidates)
{
	static Statement hold = {
		"SELECT job_id FROM sync_engine.job WHERE job_id = ANY ($1) AND status IN ('queued', 'running') "
		"FOR SHARE SKIP LOCKED",
		1, {INT8ARRAYOID}
	};
	int			n = list_length(candidates);
	int64	   *ids = palloc(sizeof(int64) * 2 * Max(n, 1));
	int			n_ids = 0;
	Datum		args[1];
	uint64		n_held;
	List	   *kept = NIL;
	ListCell   *cell;

	foreach(cell, candidates)
	{
		const Candidate *candidate = lfirst(cell);

		if (candidate->running != 0)
			ids[n_ids++] = candidate->running;
		if (candidate->absorber != 0)
			ids[n_ids++] = candidate->absorber;
	}
	if (n_ids == 0)
		return candidates;
	args[0] = int64_array(ids, n_ids);
	n_held = statement_run(&hold, args, NULL);
	foreach(cell, candidates)
	{
		const Candidate *candidate = lfirst(cell);
		int			lacking = (candidate->running != 0) + (candidate->absorber != 0);

		for (uint64 i = 0; i < n_held; i++)
		{
			int64		held = result_int64(i, 1, 0);

			lacking -= (held == candidate->running) + (held == candidate->absorber);
		}
		if (lacking == 0)
			kept = lappend(kept, lfirst(cell));
	}
	return kept;
}

/*
 * can_join: whether a job of that mode does the work of this one, too.
 */
static bool
can_join(const char *mode, const char *other)
{
	return strcmp(mode, other) == 0 || (strcmp(mode, "delta") == 0 && strcmp(other, "full") == 0);
}

/*
 * see_batch: the same look at what this batch has begun to decide: an entity that
 * is claimed runs, and its org has one more at work.
 */
static void
see_batch(Candidate *candidate, List *claimed)
{
	ListCell   *cell;

	foreach(cell, claimed)
	{
		const Candidate *other = lfirst(cell);

		if (strcmp(other->org, candidate->org) != 0)
			continue;
		candidate->busy++;
		if (strcmp(other->entity, candidate->entity) == 0 && strcmp(other->product, candidate->product) == 0)
		{
			candidate->running = other->job_id;
			candidate->running_mode = other->mode;
		}
	}
}

static void
join(Decisions *decisions, const Candidate *candidate, int64 target)
{
	decisions->joined[decisions->n_joined] = candidate->job_id;
	decisions->targets[decisions->n_joined++] = target;
}

static void
park(Decisions *decisions, const Candidate *candidate, const char *reason)
{
	decisions->parked[decisions->n_parked] = candidate->job_id;
	decisions->reasons[decisions->n_parked++] = CStringGetTextDatum(reason);
}

Decisions
queue_decide(List *candidates, int places, int *n_decidable)
{
	int			n = list_length(candidates);
	Decisions	decisions = {
		.claimed = palloc(sizeof(int64) * Max(n, 1)),.joined = palloc(sizeof(int64) * Max(n, 1)),
		.targets = palloc(sizeof(int64) * Max(n, 1)),.parked = palloc(sizeof(int64) * Max(n, 1)),
		.reasons = palloc(sizeof(Datum) * Max(n, 1)),.orgs = palloc(sizeof(Datum) * Max(n, 1))
	};
	List	   *claimed = NIL;
	ListCell   *cell;

	*n_decidable = 0;
	if (n == 0)
		return decisions;
	look_around(candidates);
	candidates = hold_others(candidates);
	*n_decidable = list_length(candidates);

	foreach(cell, candidates)
	{
		Candidate  *candidate = lfirst(cell);
		bool		has_place;

		if (decisions.n_claimed == places)
			break;
		queue_turn_passed(candidate->priority, candidate->turn);
		see_batch(candidate, claimed);
		/* somebody waits for an answer, which is short */
		has_place = candidate->busy < MAX_ORG_JOBS || candidate->priority >= INQUIRY_PRIORITY;
		if (candidate->running != 0 && can_join(candidate->mode, candidate->running_mode))
			join(&decisions, candidate, candidate->running);
		else if (candidate->running != 0)
			park(&decisions, candidate, "entity");
		else if (candidate->absorber != 0)
			join(&decisions, candidate, candidate->absorber);
		else if (!has_place)
			park(&decisions, candidate, "org");
		else
		{
			decisions.claimed[decisions.n_claimed++] = candidate->job_id;
			claimed = lappend(claimed, candidate);
			continue;
		}
		if (has_place)
			decisions.orgs[decisions.n_orgs++] = CStringGetTextDatum(candidate->org);
	}
	return decisions;
}
