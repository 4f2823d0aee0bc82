/*-------------------------------------------------------------------------
 *
 * reconcile_end.c
 *		How a reconcile ends: rows are deleted, or a batch is held, or nothing was
 *		proven.
 *
 * IDENTIFICATION
 *		src/reconcile_end.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "delete_apply.h"
#include "errors.h"
#include "job_page.h"
#include "job_row.h"
#include "reconcile.h"
#include "session.h"
#include "utils/builtins.h"

/* Rows that are deleted in one transaction. */
#define DELETED_AT_ONCE	500

/*
 * note_success: sync_status shows when deleted records were looked for last.
 */
static void
note_success(const Job *job)
{
	static Statement update = {
		"UPDATE sync_engine.sync_state SET last_reconcile_at = clock_timestamp() "
		"WHERE (org, product, entity) = ($1, $2, $3)",
		3, {TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		args[3] = {CStringGetTextDatum(job->org->name), CStringGetTextDatum(job->entity->product),
	CStringGetTextDatum(job->entity->name)};

	(void) statement_run(&update, args, NULL);
}

/*
 * accept_approved: people have looked at what the token may see now, and each record
 * of the batch is gone.  If the API has one of them the others may be hidden, too.
 */
static void
accept_approved(int64 batch_id)
{
	const DeleteBatch *batch = delete_batch_look(batch_id);

	if (batch != NULL && strcmp(batch->source, "reconcile") == 0 && batch->deleted == batch->candidates)
		token_rights_accept(batch->org, batch->product, batch->entity, batch->read_at);
}

void
reconcile_finish(Job *job, const char *batch_status, const char *reason)
{
	const Reconcile *reconcile = job->reconcile;
	bool		is_held = batch_status != NULL && strcmp(batch_status, "held") == 0;
	Failure		failure = {SQLSTATE_DELETES_HELD, NULL, NULL};
	const bool	may_end = true;
	const bool	durable = true;

	if (is_held)
	{
		failure.message = psprintf("delete batch " INT64_FORMAT " is held: %s", reconcile->batch, reason);
		failure.hint = psprintf("Look at sync_deletes and sync_delete_candidates; then call sync_deletes_approve("
								INT64_FORMAT ") or sync_deletes_reject(" INT64_FORMAT ").",
								reconcile->batch, reconcile->batch);
	}
	if (!reconcile_begin_step(job, "ending a reconcile", may_end, job->position))
		return;
	if (batch_status != NULL)
		delete_batch_set_status(reconcile->batch, batch_status, reason);
	if (!is_held && !reconcile->approval)
		note_success(job);
	if (!is_held && reconcile->approval)
	{
		accept_approved(reconcile->batch);
		delete_batch_settle_state(reconcile->batch);
	}
	job_row_close_retry(job);
	(void) queue_end_job(job->claim.job_id, job->claim.epoch, is_held ? "held" : "succeeded", is_held ? &failure : NULL);
	session_commit(durable);
	job->over = true;
}

void
reconcile_give_up(Job *job, const char *flaw)
{
	Failure		failure = {SQLSTATE_BAD_PAGE, psprintf("nothing is deleted: %s", flaw), "Run it again."};
	const bool	may_end = true;
	const bool	durable = true;

	if (!reconcile_begin_step(job, "ending a reconcile", may_end, job->position))
		return;
	if (job->reconcile->batch != 0)
		delete_batch_set_status(job->reconcile->batch, "held", psprintf("it could not be confirmed: %s", flaw));
	(void) queue_end_job(job->claim.job_id, job->claim.epoch, "partial", &failure);
	session_commit(durable);
	job->over = true;
}

void
reconcile_apply_some(Job *job)
{
	static Statement count = {
		"UPDATE sync_engine.job SET deleted = deleted + $2 WHERE job_id = $1",
		2, {INT8OID, INT8OID}
	};
	Datum		args[2] = {Int64GetDatum(job->claim.job_id)};
	DeleteBatch *batch;
	int64		deleted = 0;
	int			looked_at = 0;
	const bool	may_end = false;
	const bool	durable = true;

	if (!reconcile_begin_step(job, "deleting rows", may_end, job->position))
		return;
	batch = delete_batch_lock(job->reconcile->batch);
	if (batch != NULL && (strcmp(batch->status, "open") == 0 || strcmp(batch->status, "approved") == 0))
	{
		if (!job_page_may_write(job))
			return;
		looked_at = delete_apply_some(job->entity, batch, DELETED_AT_ONCE, &deleted);
	}
	args[1] = Int64GetDatum(deleted);
	(void) statement_run(&count, args, NULL);
	session_commit(durable);
	job->unsaved_requests = 0;
	if (looked_at == 0)
		reconcile_finish(job, "applied", NULL);
	else
		job->wake_at = budget_now();
}
