/*-------------------------------------------------------------------------
 *
 * job_walk.c
 *		Jobs that walk the lists of many parents.
 *
 * A checkpoint says where in which parent's list the job stands, the ledger
 * which parents are done.  A parent that is gone has an empty list; one that
 * the token may not read is passed over, and the job ends as partial.
 *
 * IDENTIFICATION
 *		src/job_walk.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "errors.h"
#include "job_fold.h"
#include "job_reconcile.h"
#include "job_row.h"
#include "job_walk.h"
#include "session.h"

/* So many parents are not all deleted since they were read: the path is wrong. */
#define MANY_GONE			3

/* So many parents may not be read, and none may: the token may read none. */
#define FORBIDDEN_PARENTS	20

void
job_walk_plan(Job *job, int limit)
{
	Checkpoint *checkpoint = checkpoint_parse(job->position);

	while (job->n_window < limit)
	{
		WalkParent *parent;
		bool		in_progress;

		if (!walk_next(job->walk, &parent))
			job->over = true;
		if (parent == NULL)
			break;
		in_progress = job->n_window == 0 && checkpoint->parent != NULL &&
			!checkpoint->parent_done && strcmp(checkpoint->parent, parent->key) == 0;
		checkpoint->back = in_progress ? job->back : 0;
		job_add_request(job, in_progress ? checkpoint_offset(checkpoint, job->per_page, 0) : 0, parent);
	}
}

/*
 * end: within a transaction.
 */
static void
end(Job *job)
{
	WalkTally	tally;
	Failure		failure = {SQLSTATE_BAD_PAGE, NULL, NULL};
	const char *status = "succeeded";
	int64		parents;

	walk_count(job->walk, &tally);
	parents = tally.read + tally.cut_short + tally.forbidden + tally.gone;
	if (tally.forbidden > 0)
	{
		failure.sqlstate = SQLSTATE_NO_ACCESS;
		failure.message = psprintf("the token may not read the lists of " INT64_FORMAT " of " INT64_FORMAT
								   " parents", tally.forbidden, parents);
		failure.hint = "Ask an administrator of the organisation for the permission.";
	}
	else if (tally.cut_short > 0)
	{
		failure.message = psprintf("the lists of " INT64_FORMAT " of " INT64_FORMAT
								   " parents ended before their total_count", tally.cut_short, parents);
		failure.hint = "Run it again; the token may not see all that it counts.";
	}
	else if (job->mode == JOB_FULL && tally.gone >= MANY_GONE && tally.read == 0 && !job->entity->single)
	{
		failure.sqlstate = SQLSTATE_NO_SUCH_LIST;
		failure.message = psprintf("the API has the list of none of " INT64_FORMAT " parents (404)", parents);
		failure.hint = "See whether the path in sync_entities is still the API's.";
	}
	if (failure.message != NULL)
		status = tally.read + tally.cut_short > 0 ? "partial" :
			job->claim.everything ? "skipped" : tally.forbidden > 0 ? "failed" : "partial";

	queue_lock_runs(job->claim.job_id);
	writer_finish(job->writer);
	fold_finish(job);
	job_row_save_requests(job);
	(void) queue_end_job(job->claim.job_id, job->claim.epoch, status,
						 failure.message != NULL ? &failure : NULL);
}

void
job_walk_end(Job *job)
{
	bool		durable = true;

	if (!walk_is_complete(job->walk))
	{
		walk_start_over(job->walk);
		job->wake_at = budget_now();
		return;
	}

	if (job->reconcile != NULL)
	{
		job_reconcile_end_walk(job);
		return;
	}
	job->over = true;
	if (!session_begin("ending a walk"))
		return;
	end(job);
	session_commit(durable);
}

void
job_walk_note(Job *job, const PageRequest *request, const ParsedPage *page)
{
	int64		records = request->offset + page->n_records;
	WalkOutcome outcome = request->parent_is_forbidden ? WALK_FORBIDDEN :
		request->parent_is_gone ? WALK_GONE : page->total_count > records ? WALK_CUT_SHORT : WALK_READ;

	walk_note(job->walk, request->parent, outcome, records);
	if (outcome == WALK_FORBIDDEN)
		job->forbidden_parents++;
	else if (outcome != WALK_GONE)
		job->reads_parents = true;
}

bool
job_walk_bears_refusal(const Job *job)
{
	return job->reads_parents || job->forbidden_parents < FORBIDDEN_PARENTS;
}
