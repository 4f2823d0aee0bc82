/*-------------------------------------------------------------------------
 *
 * sql_deletes.c
 *		The SQL-callable functions that decide on delete batches.
 *
 * To reject and to undo is work in the database, done in the caller's transaction.
 * To approve needs the API, for each record is confirmed again: a lane does it, and
 * the caller waits.
 *
 * IDENTIFICATION
 *		src/sql_deletes.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "delete_apply.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "queue.h"
#include "session.h"
#include "sql_args.h"
#include "token_rights.h"
#include "utils/builtins.h"
#include "wait.h"

PG_FUNCTION_INFO_V1(sync_deletes_approve);
PG_FUNCTION_INFO_V1(sync_deletes_reject);
PG_FUNCTION_INFO_V1(sync_deletes_undo);

static int64
batch_argument(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", "batch")));
	return PG_GETARG_INT64(0);
}

/*
 * hint_for: what can be done with a batch in that state.
 */
static const char *
hint_for(const DeleteBatch *batch)
{
	if (strcmp(batch->status, "open") == 0 || strcmp(batch->status, "approved") == 0)
		return "A lane is at work on it; cancel its run, or wait for its end.";
	if (strcmp(batch->status, "held") == 0)
		return "Call sync_deletes_approve or sync_deletes_reject.";
	if (strcmp(batch->status, "applied") == 0)
		return "Call sync_deletes_undo to bring its rows back.";
	if (strcmp(batch->status, "replaced") == 0)
		return "See sync_deletes for the batch that took its place.";
	return "Nothing is left to be decided.";
}

/*
 * require_status: raises an error if there is no such batch, or it is in another
 * state.
 */
static void
require_status(const DeleteBatch *batch, int64 number, const char *status)
{
	if (batch != NULL && strcmp(batch->status, status) == 0)
		return;
	if (batch == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("delete batch " INT64_FORMAT " does not exist", number),
				 errhint("See sync_deletes for the batches.")));
	else
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("delete batch " INT64_FORMAT " is %s, not %s", number, batch->status, status),
				 errhint("%s", hint_for(batch))));
}

/*
 * note_decision: who decided, and when.
 */
static void
note_decision(int64 batch, const char *status)
{
	static Statement update = {
		"UPDATE sync_engine.delete_batch SET decided_at = clock_timestamp(), decided_by = $2 WHERE batch = $1",
		2, {INT8OID, NAMEOID}
	};
	Datum		args[2] = {Int64GetDatum(batch), sql_session_user()};

	delete_batch_set_status(batch, status, NULL);
	(void) statement_run(&update, args, NULL);
}

/*
 * sync_deletes_reject(batch): the rows stay; how many.
 */
Datum
sync_deletes_reject(PG_FUNCTION_ARGS)
{
	static Statement reject = {
		"UPDATE sync_engine.delete_candidate SET status = 'rejected', changed_at = clock_timestamp() "
		"WHERE batch = $1 AND status IN ('proposed', 'confirmed')",
		1, {INT8OID}
	};
	int64		number = batch_argument(fcinfo);
	Datum		args[1] = {Int64GetDatum(number)};
	OwnerScope	scope;
	int64		rows;

	sql_require_primary("sync_deletes_reject");
	SPI_connect();
	owner_scope_enter(&scope);
	require_status(delete_batch_lock(number), number, "held");
	rows = (int64) statement_run(&reject, args, NULL);
	note_decision(number, "rejected");
	delete_batch_settle_state(number);
	owner_scope_leave(&scope);
	SPI_finish();
	PG_RETURN_INT64(rows);
}

/*
 * warn_of_lost_images: rows that were deleted for good so long ago that they are
 * not kept any more.
 */
static void
warn_of_lost_images(const DeleteBatch *batch)
{
	static Statement count = {
		"SELECT count(*) FROM sync_engine.delete_candidate WHERE batch = $1 AND status = 'deleted' AND image IS NULL",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(batch->batch)};
	int64		lost;

	if (strcmp(batch->behaviour, "hard") != 0)
		return;
	(void) statement_run(&count, args, NULL);
	lost = result_int64(0, 1, 0);
	if (lost > 0)
		ereport(WARNING,
				(errmsg(INT64_FORMAT " rows of delete batch " INT64_FORMAT " cannot be brought back", lost, batch->batch),
				 errdetail("They were deleted for good, and their images are kept for sync_engine.retention."),
				 errhint("A full sync brings back what the API still has.")));
}

/*
 * sync_deletes_undo(batch): brings its rows back; how many.
 */
Datum
sync_deletes_undo(PG_FUNCTION_ARGS)
{
	int64		number = batch_argument(fcinfo);
	OwnerScope	scope;
	DeleteBatch *batch;
	Entity	   *entity;
	int64		rows;

	sql_require_primary("sync_deletes_undo");
	SPI_connect();
	owner_scope_enter(&scope);
	batch = delete_batch_lock(number);
	require_status(batch, number, "applied");
	entity = manifest_load_named(psprintf("%s.%s", batch->product, batch->entity));
	warn_of_lost_images(batch);
	rows = delete_undo(entity, batch);
	if (strcmp(batch->source, "reconcile") == 0)
		token_rights_forget_accepted(batch->org, batch->product, batch->entity);
	note_decision(number, "undone");
	owner_scope_leave(&scope);
	SPI_finish();
	PG_RETURN_INT64(rows);
}

/*
 * report: what became of an approved batch; the number of rows that were deleted.
 */
static int64
report(int64 number)
{
	static Statement select_batch = {
		"SELECT status, reason, deleted FROM sync_engine.delete_batch WHERE batch = $1",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(number)};

	if (statement_run_latest(&select_batch, args, NULL) == 0)
		return 0;
	if (strcmp(result_text(0, 1), "applied") != 0)
		ereport(WARNING,
				(errmsg("delete batch " INT64_FORMAT " is %s: %s", number, result_text(0, 1),
						result_text(0, 2) ? result_text(0, 2) : "no reason is known"),
				 errhint("See sync_delete_candidates for which records could not be confirmed.")));
	return result_int64(0, 3, 0);
}

/*
 * sync_deletes_approve(batch): has each record confirmed again, and those deleted
 * that are gone; how many were.  It commits independently of the caller.
 */
Datum
sync_deletes_approve(PG_FUNCTION_ARGS)
{
	int64		number = batch_argument(fcinfo);
	RunRequest	request = {.kind = "approve",.execution = "hybrid",.priority = INQUIRY_PRIORITY};
	OwnerScope	scope;
	DeleteBatch *batch;
	int64		deleted;
	const bool	must_be_committed = true;

	sql_require_primary("sync_deletes_approve");
	SPI_connect();
	owner_scope_enter(&scope);
	batch = delete_batch_look(number);
	require_status(batch, number, "held");
	sql_require_org(batch->org, must_be_committed);
	request.org = batch->org;
	request.mode = psprintf("approve " INT64_FORMAT, number);
	request.entities = list_make1(makeString(psprintf("%s.%s", batch->product, batch->entity)));
	request.role = GetSessionUserId();
	owner_scope_leave(&scope);

	(void) wait_run_request(&request);

	owner_scope_enter(&scope);
	deleted = report(number);
	owner_scope_leave(&scope);
	SPI_finish();
	PG_RETURN_INT64(deleted);
}
