/*-------------------------------------------------------------------------
 *
 * lane.c
 *		What a lane does in its transactions, as SQL functions: for isolation specs.
 *
 * A lane's transactions take milliseconds, and each is between two lines of its
 * loop.  Here each is a function that runs in the session's own transaction, so
 * that a spec can hold it open, and have another lane, which is another session,
 * meet it.  The queue behind them is the engine's own code: this library has its
 * own copy of it, and of what it remembers from one transaction to the next.
 *
 * It must never be installed but by the tests: nothing here asks whether anybody
 * may, and no lock and no epoch keeps a session from pretending to be a lane.
 *
 * IDENTIFICATION
 *		test/lane/lane.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "entity_name.h"
#include "fmgr.h"
#include "funcapi.h"
#include "job_row.h"
#include "miscadmin.h"
#include "planner.h"
#include "queue_claim.h"
#include "queue_control.h"
#include "session.h"
#include "shmem.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/builtins.h"

/* A lane that begins has no clocks; those of the lane before are in this file. */
#include "queue_turn.c"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(lane_begin);
PG_FUNCTION_INFO_V1(lane_enqueue);
PG_FUNCTION_INFO_V1(lane_plan);
PG_FUNCTION_INFO_V1(lane_claim);
PG_FUNCTION_INFO_V1(lane_move);
PG_FUNCTION_INFO_V1(lane_end);
PG_FUNCTION_INFO_V1(lane_last_page);
PG_FUNCTION_INFO_V1(lane_give_back);
PG_FUNCTION_INFO_V1(lane_to_pause);
PG_FUNCTION_INFO_V1(lane_pause);
PG_FUNCTION_INFO_V1(lane_cancel_waiting);
PG_FUNCTION_INFO_V1(lane_pause_waiting);
PG_FUNCTION_INFO_V1(lane_resume);
PG_FUNCTION_INFO_V1(lane_recover);
PG_FUNCTION_INFO_V1(lane_free_stranded);

/*
 * shmem_wake_at_commit: nobody is woken; the spec says who looks when.
 */
void
shmem_wake_at_commit(void)
{
}

/*
 * enter: as session_begin does, but that the transaction is there already.
 */
static void
enter(OwnerScope *scope)
{
	MemoryContext context = CurrentMemoryContext;

	SPI_connect();
	MemoryContextSwitchTo(context);
	owner_scope_enter(scope);
}

static void
leave(OwnerScope *scope)
{
	owner_scope_leave(scope);
	SPI_finish();
}

/*
 * a_job: as far as a lane knows it that has claimed it, and nothing more.
 */
static Job
a_job(FunctionCallInfo fcinfo)
{
	return (Job) {
		.claim = {.job_id = PG_GETARG_INT64(0),.epoch = PG_GETARG_INT64(1)},
		.unsaved_requests = 1,.manifest_version = ""
	};
}

/*
 * lane_begin(lane): what this session was before is lost.
 */
Datum
lane_begin(PG_FUNCTION_ARGS)
{
	LockReleaseSession(USER_LOCKMETHOD);
	n_clocks = 0;
	queue_lane_lock_hold(PG_GETARG_INT64(0));
	PG_RETURN_VOID();
}

Datum
lane_enqueue(PG_FUNCTION_ARGS)
{
	OwnerScope	scope;
	RunRequest	request = {
		.kind = "sync",
		.org = text_to_cstring(PG_GETARG_TEXT_PP(0)),
		.mode = text_to_cstring(PG_GETARG_TEXT_PP(2)),
		.execution = text_to_cstring(PG_GETARG_TEXT_PP(3)),
		.priority = PG_GETARG_INT32(4),
		.role = GetUserId()
	};
	Datum	   *names;
	int			n;
	List	   *entities = NIL;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT, &names, NULL, &n);
	for (int i = 0; i < n; i++)
		entities = lappend(entities, TextDatumGetCString(names[i]));
	enter(&scope);
	request.entities = entity_names_resolve(entities);
	(void) queue_enqueue(&request);
	leave(&scope);
	PG_RETURN_VOID();
}

Datum
lane_plan(PG_FUNCTION_ARGS)
{
	OwnerScope	scope;
	bool		planned;

	enter(&scope);
	planned = planner_plan_next_run(true);
	leave(&scope);
	PG_RETURN_BOOL(planned);
}

/*
 * next_row: of a function that has made its list of text (char *) at its first call.
 */
static Datum
next_row(FunctionCallInfo fcinfo)
{
	FuncCallContext *call = SRF_PERCALL_SETUP();
	List	   *rows = call->user_fctx;
	Datum		row;

	if (call->call_cntr >= list_length(rows))
		SRF_RETURN_DONE(call);
	row = CStringGetTextDatum(list_nth(rows, call->call_cntr));
	SRF_RETURN_NEXT(call, row);
}

static List *
claim(int64 lane, int places, bool one_round)
{
	OwnerScope	scope;
	List	   *rows = NIL;
	ListCell   *cell;
	ClaimOutlook outlook;

	enter(&scope);
	queue_wake_postponed();
	foreach(cell, queue_claim(lane, places, one_round, &outlook))
	{
		ClaimedJob *job = lfirst(cell);

		rows = lappend(rows, psprintf("%s: %s of run " INT64_FORMAT ", epoch " INT64_FORMAT,
									  job->org, job->entity, job->run_id, job->epoch));
	}
	leave(&scope);
	if (outlook.contended)
		ereport(WARNING,
				(errmsg("another lane decides on some of it just now")));
	return rows;
}

Datum
lane_claim(PG_FUNCTION_ARGS)
{
	if (SRF_IS_FIRSTCALL())
	{
		FuncCallContext *call = SRF_FIRSTCALL_INIT();
		MemoryContext old = MemoryContextSwitchTo(call->multi_call_memory_ctx);

		call->user_fctx = claim(PG_GETARG_INT64(0), PG_GETARG_INT32(1), PG_GETARG_BOOL(2));
		MemoryContextSwitchTo(old);
	}
	return next_row(fcinfo);
}

/*
 * move: as write_page does, what it writes aside.
 */
static bool
move(Job *job, int64 records)
{
	const WriteCounts counts = {.fetched = records,.inserted = records};
	const int64 expected = -1;

	if (!job_row_move(job, "further", records, expected))
		return false;
	job_row_count(job, &counts);
	return true;
}

Datum
lane_move(PG_FUNCTION_ARGS)
{
	OwnerScope	scope;
	Job			job = a_job(fcinfo);
	bool		moved;

	enter(&scope);
	moved = move(&job, PG_GETARG_INT64(2));
	leave(&scope);
	PG_RETURN_BOOL(moved);
}

static bool
end(const Job *job, const char *status)
{
	Failure		failure = {"XX000", "the test wants it"};

	return queue_end_job(job->claim.job_id, job->claim.epoch, status,
						 strcmp(status, "succeeded") == 0 ? NULL : &failure);
}

Datum
lane_end(PG_FUNCTION_ARGS)
{
	OwnerScope	scope;
	Job			job = a_job(fcinfo);
	bool		ended;

	enter(&scope);
	ended = end(&job, text_to_cstring(PG_GETARG_TEXT_PP(2)));
	leave(&scope);
	PG_RETURN_BOOL(ended);
}

Datum
lane_last_page(PG_FUNCTION_ARGS)
{
	OwnerScope	scope;
	Job			job = a_job(fcinfo);
	bool		ended;

	enter(&scope);
	queue_lock_runs(job.claim.job_id);
	ended = move(&job, PG_GETARG_INT64(2)) && end(&job, "succeeded");
	leave(&scope);
	PG_RETURN_BOOL(ended);
}

Datum
lane_give_back(PG_FUNCTION_ARGS)
{
	OwnerScope	scope;
	Job			job = a_job(fcinfo);
	bool		given;

	enter(&scope);
	given = queue_release_job(job.claim.job_id, job.claim.epoch, "the test wants it", PG_GETARG_INT32(2),
							  false);
	leave(&scope);
	PG_RETURN_BOOL(given);
}

static List *
to_pause(int64 lane)
{
	static Statement select_name = {
		"SELECT entity || ' of run ' || run_id FROM sync_engine.job WHERE job_id = $1",
		1, {INT8OID}
	};
	OwnerScope	scope;
	List	   *rows = NIL;
	ListCell   *cell;

	enter(&scope);
	foreach(cell, queue_jobs_to_pause(lane))
	{
		Datum		args[1] = {Int64GetDatum(*(int64 *) lfirst(cell))};

		(void) statement_run(&select_name, args, NULL);
		rows = lappend(rows, result_text(0, 1));
	}
	leave(&scope);
	return rows;
}

Datum
lane_to_pause(PG_FUNCTION_ARGS)
{
	if (SRF_IS_FIRSTCALL())
	{
		FuncCallContext *call = SRF_FIRSTCALL_INIT();
		MemoryContext old = MemoryContextSwitchTo(call->multi_call_memory_ctx);

		call->user_fctx = to_pause(PG_GETARG_INT64(0));
		MemoryContextSwitchTo(old);
	}
	return next_row(fcinfo);
}

Datum
lane_pause(PG_FUNCTION_ARGS)
{
	OwnerScope	scope;

	enter(&scope);
	queue_pause_job(PG_GETARG_INT64(0), PG_GETARG_INT64(1));
	leave(&scope);
	PG_RETURN_VOID();
}

Datum
lane_cancel_waiting(PG_FUNCTION_ARGS)
{
	OwnerScope	scope;
	List	   *runs;
	ListCell   *cell;

	enter(&scope);
	runs = queue_runs_to_cancel();
	foreach(cell, runs)
		queue_cancel_waiting_jobs(*(int64 *) lfirst(cell));
	leave(&scope);
	PG_RETURN_INT32(list_length(runs));
}

Datum
lane_pause_waiting(PG_FUNCTION_ARGS)
{
	OwnerScope	scope;
	bool		some;

	enter(&scope);
	some = queue_pause_some();
	leave(&scope);
	PG_RETURN_BOOL(some);
}

Datum
lane_resume(PG_FUNCTION_ARGS)
{
	OwnerScope	scope;
	bool		some;

	enter(&scope);
	some = queue_resume_some();
	leave(&scope);
	PG_RETURN_BOOL(some);
}

Datum
lane_recover(PG_FUNCTION_ARGS)
{
	OwnerScope	scope;
	int			recovered;

	enter(&scope);
	recovered = queue_recover_orphans(PG_GETARG_INT64(0));
	leave(&scope);
	PG_RETURN_INT32(recovered);
}

Datum
lane_free_stranded(PG_FUNCTION_ARGS)
{
	OwnerScope	scope;
	int			freed;

	enter(&scope);
	freed = queue_free_stranded();
	leave(&scope);
	PG_RETURN_INT32(freed);
}
