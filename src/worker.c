/*-------------------------------------------------------------------------
 *
 * worker.c
 *		A lane: one process, one event loop, many jobs of many orgs.
 *
 * The loop waits for its latch, the postmaster's death and the HTTP client's
 * one descriptor at once.  What arrives is handled in short transactions; none
 * is open while the lane waits.  A lane that has nothing to do leaves.
 *
 * IDENTIFICATION
 *		src/worker.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "errors.h"
#include "guc.h"
#include "http.h"
#include "inbox.h"
#include "job_fetch.h"
#include "job_inquiry.h"
#include "lane_setup.h"
#include "lane_slot.h"
#include "miscadmin.h"
#include "planner.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "queue.h"
#include "session.h"
#include "shmem.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "worker.h"

/* A lane without work leaves before DROP DATABASE gives up (5 s). */
#define IDLE_LEAVE_MS		1500

/* After an error of our own, and when somebody's lock was in the way. */
#define ERROR_RETRY_MS		1000
#define CONFLICT_RETRY_MS	200

/* So often in a row may writing a page take too long. */
#define MAX_TIMEOUTS		3

/* Runs planned in one turn, so that a burst of them does not stop the loop. */
#define MAX_PLANS			16

/* Waiting backends are told of progress so often at the most. */
#define PROGRESS_MS			200

typedef struct Lane
{
	int64		number;
	HttpClient *client;
	WaitEventSet *wait_set;
	Job		   *jobs[MAX_LANE_JOBS];
	int			n_jobs;
	int			first;			/* whose turn it is to send first */
	bool		look_for_work;
	TimestampTz next_look;		/* something becomes due */
	TimestampTz idle_since;		/* 0 = busy */
	TimestampTz told_at;		/* progress, to waiting backends */
} Lane;

static Lane lane;

/*
 * drop_requests: on the way out, requests under way leave the budgets.
 */
static void
drop_requests(int code, Datum arg)
{
	for (int i = 0; i < lane.n_jobs; i++)
	{
		Job		   *job = lane.jobs[i];

		for (int k = 0; k < job->n_window; k++)
		{
			if (job->window[k]->state == REQUEST_IN_FLIGHT)
				budget_abandon(job->org->budget_key, job->window[k]->sent_at);
		}
	}
	if (lane.client != NULL)
		http_destroy(lane.client);
	lane.client = NULL;
	inbox_give_back();
}

/*
 * recover: after an error; nothing is being applied any more.
 */
static ErrorData *
recover(MemoryContext context)
{
	ErrorData  *error = session_recover(context);

	lane_slot->applying_since = 0;
	return error;
}

/*
 * is_passing: somebody got in the way, or cancelled a statement of ours; the
 * page can simply be applied again.
 */
static bool
is_passing(int sqlerrcode)
{
	return sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED ||
		sqlerrcode == ERRCODE_T_R_SERIALIZATION_FAILURE ||
		sqlerrcode == ERRCODE_QUERY_CANCELED;
}

/*
 * handle_job_error: what an error in one job's step means for that job; the
 * others go on.
 */
static void
handle_job_error(Job *job, ErrorData *error, bool timed_out)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		if (timed_out && job->claim.attempts + 1 >= MAX_TIMEOUTS)
		{
			Failure		failure = {"57014", psprintf("writing took too long again and again (%s)", error->message),
			"Look for a trigger on the data table that does not come to an end."};

			job_end(job, "failed", &failure);
		}
		else if (timed_out)
			job_postpone(job, "writing took too long", ERROR_RETRY_MS);
		else if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
			job_postpone(job, psprintf("somebody holds a lock (%s)", error->message), ERROR_RETRY_MS);
		else if (is_passing(error->sqlerrcode))
			job_postpone(job, error->message, CONFLICT_RETRY_MS);
		else
		{
			Failure		failure = {pstrdup(unpack_sql_state(error->sqlerrcode)), error->message,
			error->hint};

			if (error->context != NULL)
				ereport(LOG,
						(errmsg("sync_engine: an error in a step of job " INT64_FORMAT ": %s",
								job->claim.job_id, error->message),
						 errcontext("%s", error->context)));
			job_end(job, "failed", &failure);
		}
	}
	PG_CATCH();
	{
		/* cannot even say so: leave it to the next lane */
		error = recover(context);
		ereport(LOG,
				(errmsg("sync_engine: could not give up a job: %s", error->message)));
		proc_exit(1);
	}
	PG_END_TRY();
}

/*
 * run_step: a step of one job; an error in it is that job's alone.  The
 * requests under way do not wait for the steps of all others: one that leaves
 * later than it was admitted may be one too many where it arrives.
 */
static bool
run_step(bool (*step) (Job *job, void *arg), Job *job, void *arg, MemoryContext context)
{
	volatile bool result = false;
	TimestampTz begun = GetCurrentTimestamp();

	lane_slot->applying_job = job->claim.job_id;
	lane_slot->applying_since = begun;
	PG_TRY();
	{
		result = step(job, arg);
		lane_slot->applying_since = 0;
	}
	PG_CATCH();
	{
		ErrorData  *error = recover(context);
		bool		timed_out = error->sqlerrcode == ERRCODE_QUERY_CANCELED &&
			TimestampDifferenceExceeds(begun, GetCurrentTimestamp(), SESSION_TIMEOUT_MS - 1);

		handle_job_error(job, error, timed_out);
	}
	PG_END_TRY();
	http_drive(lane.client);
	return result;
}

/*
 * start_step: the job is not there yet; `job` has only its claim.
 */
static bool
start_step(Job *unborn, void *arg)
{
	MemoryContext scratch = arg;	/* frees what an error leaves of it */
	Job		   *job = job_start(&unborn->claim, inquiry_find(unborn->claim.strategy), scratch,
									 unborn->live);

	if (job == NULL)
		return false;
	MemoryContextSetParent(job->context, TopMemoryContext);
	lane.jobs[lane.n_jobs++] = job;
	return true;
}

/*
 * start_jobs: begins what was claimed.
 */
static void
start_jobs(List *claimed, MemoryContext context)
{
	ListCell   *cell;

	foreach(cell, claimed)
	{
		Job			unborn = {.claim = *(ClaimedJob *) lfirst(cell)};

		for (int i = 0; i < MAX_LANE_JOBS && unborn.live == NULL; i++)
		{
			if (lane_slot->jobs[i].job_id == 0)
				unborn.live = &lane_slot->jobs[i];
		}
		Assert(unborn.live != NULL);
		if (!run_step(start_step, &unborn, context, context))
		{
			/* it was given back, or it ended and others can begin */
			unborn.live->job_id = 0;
			lane.look_for_work = true;
		}
	}
}

/*
 * cancel_runs: ends our jobs of runs that somebody cancels, and the jobs that
 * nobody holds.
 */
static void
cancel_runs(List *runs)
{
	ListCell   *cell;

	foreach(cell, runs)
	{
		int64		run_id = *(int64 *) lfirst(cell);
		bool		durable = true;

		for (int i = 0; i < lane.n_jobs; i++)
		{
			Failure		failure = {"57014", "cancelled on request", NULL};

			if (lane.jobs[i]->claim.run_id == run_id && !lane.jobs[i]->over)
				job_end(lane.jobs[i], "cancelled", &failure);
		}
		if (!session_begin("cancelling a run"))
			return;
		queue_cancel_waiting_jobs(run_id);
		session_commit(durable);
	}
}

/*
 * take_requests: each by itself; one that cannot be enqueued stops no other.
 * Whether some have to be taken later.
 */
static bool
take_requests(MemoryContext context)
{
	volatile bool more = true;
	bool		some_left;

	while (more)
	{
		PG_TRY();
		{
			more = inbox_take_next(&some_left);
		}
		PG_CATCH();
		{
			ErrorData  *error = recover(context);

			ereport(LOG,
					(errmsg("sync_engine: could not take a request: %s", error->message)));
			inbox_refuse_taken(error->message);
			inbox_give_back();
			some_left = true;
			more = false;
		}
		PG_END_TRY();
	}
	return some_left;
}

/*
 * find_work: recovers, cancels, plans, claims.
 */
static void
find_work(MemoryContext context)
{
	List	   *runs = NIL;
	List	   *claimed = NIL;
	bool		durable = true;
	bool		planned = true;
	MemoryContext inner;

	if (!session_begin("looking for work"))
		lane_leave_to_another();
	(void) queue_recover_orphans(lane.number);
	queue_part_orphaned_joins();
	inner = MemoryContextSwitchTo(context);
	runs = queue_runs_to_cancel();
	MemoryContextSwitchTo(inner);
	session_commit(durable);

	cancel_runs(runs);
	if (runs != NIL)
	{
		const bool	only_with_room = false;

		/* they may have looked before the wish to cancel was committed */
		lane_tell_others(only_with_room);
	}

	/* a transaction for each: planning one run must not hold up another's */
	for (int i = 0; i < MAX_PLANS && planned; i++)
	{
		if (!session_begin("planning a run"))
			return;
		planned = planner_plan_next_run();
		session_commit(durable);
	}
	lane.look_for_work = lane.look_for_work || planned;

	if (!session_begin("claiming jobs"))
		return;
	MemoryContextSwitchTo(context);
	if (lane.n_jobs < MAX_LANE_JOBS)
		claimed = queue_claim(lane.number, MAX_LANE_JOBS - lane.n_jobs);
	lane_slot->saturated = lane.n_jobs + list_length(claimed) == MAX_LANE_JOBS && queue_has_claimable();
	lane.next_look = queue_next_due();
	session_commit(durable);
	MemoryContextSwitchTo(context);

	if (lane_slot->saturated)
	{
		const bool	only_with_room = true;

		lane_tell_others(only_with_room);
		shmem_wake_launcher();
	}
	start_jobs(claimed, context);
}

static void
try_find_work(MemoryContext context)
{
	bool		some_left;

	lane.look_for_work = false;
	some_left = take_requests(context);
	lane_slot->applying_job = 0;
	lane_slot->applying_since = GetCurrentTimestamp();
	PG_TRY();
	{
		find_work(context);
		lane_slot->applying_since = 0;
	}
	PG_CATCH();
	{
		ErrorData  *error = recover(context);

		ereport(LOG,
				(errmsg("sync_engine: could not look for work: %s", error->message)));
		lane.next_look = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ERROR_RETRY_MS);
	}
	PG_END_TRY();
	if (some_left)
	{
		TimestampTz again = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), CONFLICT_RETRY_MS);

		lane.next_look = Min(lane.next_look, again);
	}
}

static bool
send_step(Job *job, void *arg)
{
	/* what is left for all, but no more than a fair part for one */
	int			window = Max(guc_max_requests / lane.n_jobs, 2);

	job_fetch_send(job, lane.client, window, (int *) arg);
	return true;
}

static bool
take_step(Job *job, void *arg)
{
	job_fetch_take(job, (PageRequest *) arg);
	return true;
}

static bool
apply_step(Job *job, void *arg)
{
	return job_fetch_apply(job);
}

/*
 * send_requests: lets every job send, each time another one first; returns
 * when the first of them wants to send again.
 */
static GovTime
send_requests(MemoryContext context)
{
	GovTime		wake_at = PG_INT64_MAX;
	int			room = guc_max_requests;

	for (int i = 0; i < lane.n_jobs; i++)
	{
		for (int k = 0; k < lane.jobs[i]->n_window; k++)
			room -= lane.jobs[i]->window[k]->state == REQUEST_PLANNED ? 0 : 1;
	}
	for (int i = 0; i < lane.n_jobs; i++)
	{
		Job		   *job = lane.jobs[(lane.first + i) % lane.n_jobs];

		if (job->over)
			continue;
		(void) run_step(send_step, job, &room, context);
		if (!job->over)
			wake_at = Min(wake_at, job->wake_at);
	}
	lane.first = lane.n_jobs > 0 ? (lane.first + 1) % lane.n_jobs : 0;
	return wake_at;
}

static void
take_responses(MemoryContext context)
{
	HttpTransfer *transfer;

	http_drive(lane.client);
	if (!http_healthy(lane.client))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("sync_engine: the HTTP client has failed")));
	while ((transfer = http_next_done(lane.client)) != NULL)
	{
		PageRequest *request = http_owner(transfer);

		/* what belongs to a job that is over is freed with it */
		if (!request->job->over)
			(void) run_step(take_step, request->job, request, context);
	}
}

/*
 * apply_pages: one page of every job that has one, so that none waits long.
 */
static bool
apply_pages(MemoryContext context)
{
	bool		any = false;

	for (int i = 0; i < lane.n_jobs; i++)
	{
		any = run_step(apply_step, lane.jobs[i], NULL, context) || any;
		MemoryContextReset(context);
		CHECK_FOR_INTERRUPTS();
	}
	return any;
}

/*
 * bury_jobs: frees what is over; its dependents may be ready now.
 */
static bool
bury_jobs(void)
{
	int			kept = 0;
	bool		any;

	for (int i = 0; i < lane.n_jobs; i++)
	{
		if (lane.jobs[i]->over)
			job_free(lane.jobs[i]);
		else
			lane.jobs[kept++] = lane.jobs[i];
	}
	any = kept < lane.n_jobs;
	lane.n_jobs = kept;
	lane.look_for_work = lane.look_for_work || any;
	return any;
}

/*
 * wait_for_events: until a socket, the latch, or a time.
 */
static void
wait_for_events(GovTime wake_at)
{
	static uint32 wait_event = 0;
	long		timeout = http_timeout_ms(lane.client);
	WaitEvent	event;

	if (wait_event == 0)
		wait_event = compat_wait_event("SyncEngineHttp");

	if (wake_at != PG_INT64_MAX)
	{
		GovTime		ms = Max(wake_at - budget_now() + 999, 0) / 1000;

		timeout = timeout < 0 ? (long) ms : Min(timeout, (long) ms);
	}
	if (lane.next_look != DT_NOEND)
	{
		long		ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), lane.next_look) + 1;

		timeout = timeout < 0 ? ms : Min(timeout, ms);
	}
	if (lane.n_jobs == 0)
		timeout = timeout < 0 ? IDLE_LEAVE_MS : Min(timeout, IDLE_LEAVE_MS);

	Assert(!IsTransactionState());
	(void) WaitEventSetWait(lane.wait_set, Min(timeout, 60000), &event, 1, wait_event);
	ResetLatch(MyLatch);
	QueryCancelPending = false; /* there is no query to cancel here */
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

/*
 * leave_if_idle: when nothing has come for a while.
 */
static void
leave_if_idle(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (lane.n_jobs > 0 || lane.look_for_work)
		lane.idle_since = 0;
	else if (lane.idle_since == 0)
		lane.idle_since = now;
	else if (TimestampDifferenceExceeds(lane.idle_since, now, IDLE_LEAVE_MS) &&
			 (lane.next_look == DT_NOEND ||
			  TimestampDifferenceMilliseconds(now, lane.next_look) > IDLE_LEAVE_MS))
		lane_leave(lane.next_look);
}

static void
tell_waiters(bool ended, bool moved)
{
	TimestampTz now = GetCurrentTimestamp();

	if (ended || (moved && TimestampDifferenceExceeds(lane.told_at, now, PROGRESS_MS)))
	{
		inbox_wake_watchers();
		lane.told_at = now;
	}
}

void
sync_engine_lane_main(Datum arg)
{
	MemoryContext context;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	if (!lane_attach(DatumGetInt32(arg)))
		proc_exit(0);
	lane_connect();
	lane_database = shmem_database_slot(MyDatabaseId);
	context = AllocSetContextCreate(TopMemoryContext, "lane", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(context);

	pg_atomic_write_u32(&lane_database->wanted, 0);
	if (!lane_take_number(&lane.number))
	{
		inbox_reject_requests("extension \"sync_engine\" does not exist");
		lane_leave_for_good();
	}
	before_shmem_exit(drop_requests, (Datum) 0);
	lane.client = lane_create_client();
	lane.wait_set = compat_create_wait_event_set(3);
	AddWaitEventToSet(lane.wait_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(lane.wait_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(lane.wait_set, WL_SOCKET_READABLE, http_fd(lane.client), NULL, NULL);
	lane_slot->ready = true;
	lane.look_for_work = true;
	lane.next_look = DT_NOEND;

	for (;;)
	{
		GovTime		wake_at;
		bool		moved;
		bool		ended;

		MemoryContextSwitchTo(context);
		MemoryContextReset(context);
		if (lane_is_wanted() || lane.next_look <= GetCurrentTimestamp())
			lane.look_for_work = true;
		if (lane.look_for_work)
			try_find_work(context);

		take_responses(context);
		moved = apply_pages(context);
		wake_at = send_requests(context);
		ended = bury_jobs();
		tell_waiters(ended, moved);
		leave_if_idle();
		if (!lane.look_for_work)
			wait_for_events(moved ? budget_now() : wake_at);
	}
}
