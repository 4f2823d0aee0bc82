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
#include "compat.h"
#include "cron_keeper.h"
#include "guc.h"
#include "inbox.h"
#include "job_fetch.h"
#include "job_suspect.h"
#include "lane.h"
#include "lane_setup.h"
#include "lane_slot.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "session.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "worker.h"

/* A lane without work leaves before DROP DATABASE gives up (5 s). */
#define IDLE_LEAVE_MS		1500

/* Waiting backends are told of progress so often at the most. */
#define PROGRESS_MS			200

/* A lane is busy if it waited for less than a tenth of the last half second. */
#define BUSY_SPAN_US		500000
#define BUSY_WAIT_US		(BUSY_SPAN_US / 10)

/* What pg_stat_activity shows of the jobs at hand. */
#define SHOWN_JOBS			8

Lane		lane;

static volatile sig_atomic_t terminated = false;
static WaitEventSet *wait_set;
static TimestampTz idle_since;	/* 0 = busy */
static TimestampTz told_at;		/* progress, to waiting backends */

/*
 * terminate: somebody tells the lane to end; see absolve.
 */
static void
terminate(SIGNAL_ARGS)
{
	terminated = true;
	die(postgres_signal_arg);
}

/*
 * absolve: on the way out, because somebody said so and not because of the page
 * that is being applied.
 */
static void
absolve(int code, Datum arg)
{
	if (terminated)
		suspect_absolve();
}

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

static bool
take_step(Job *job, void *arg)
{
	job_fetch_take(job, (PageRequest *) arg);
	return true;
}

static bool
apply_step(Job *job, void *arg)
{
	job_fetch_apply(job);
	return true;
}

static void
take_responses(void)
{
	HttpTransfer *transfer;

	lane_drive();
	if (!http_healthy(lane.client))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("sync_engine: the HTTP client has failed")));
	while ((transfer = http_next_done(lane.client)) != NULL)
	{
		PageRequest *request = http_owner(transfer);

		/* what belongs to a job that is over is freed with it */
		if (!request->job->over)
			(void) lane_run_step(take_step, request->job, request, &activity_sync_page);
	}
}

/*
 * apply_pages: one page of every job that has one, so that none waits long.
 */
static bool
apply_pages(void)
{
	bool		any = false;

	for (int i = 0; i < lane.n_jobs; i++)
	{
		if (!job_fetch_can_apply(lane.jobs[i]))
			continue;
		any = lane_run_step(apply_step, lane.jobs[i], NULL, &activity_write_page) || any;
		MemoryContextReset(lane.context);
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
	int			before_first = 0;
	bool		any;

	for (int i = 0; i < lane.n_jobs; i++)
	{
		if (lane.jobs[i]->over)
		{
			lane_leave_org(lane.jobs[i]);
			job_free(lane.jobs[i]);
			before_first += i < lane.first ? 1 : 0;
		}
		else
			lane.jobs[kept++] = lane.jobs[i];
	}
	any = kept < lane.n_jobs;
	lane.n_jobs = kept;
	lane.first -= before_first;
	lane.look_for_work = lane.look_for_work || any;
	return any;
}

/*
 * measure: whether there is still time to wait.
 */
static void
measure(GovTime waited)
{
	static GovTime span_start = 0;
	static GovTime span_waited = 0;
	GovTime		now = budget_now();

	span_waited += waited;
	if (now - span_start < BUSY_SPAN_US)
		return;
	lane.busy = span_waited < BUSY_WAIT_US;
	span_start = now;
	span_waited = 0;
}

/*
 * show_activity: for pg_stat_activity, in place of the transaction that was last.
 */
static void
show_activity(void)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "%d jobs of %d organisations", lane.n_jobs, list_length(lane.orgs));
	for (int i = 0; i < Min(lane.n_jobs, SHOWN_JOBS); i++)
		appendStringInfo(&text, "%s%s %s.%s", i == 0 ? ": " : ", ", lane.jobs[i]->claim.org,
						 lane.jobs[i]->claim.product, lane.jobs[i]->claim.entity);
	if (lane.n_jobs > SHOWN_JOBS)
		appendStringInfoString(&text, " ...");
	pgstat_report_activity(STATE_IDLE, text.data);
}

/*
 * wait_for_events: until a socket, the latch, or a time.
 */
static void
wait_for_events(GovTime wake_at)
{
	static uint32 wait_event = 0;
	long		timeout = http_timeout_ms(lane.client);
	TimestampTz next = lane.n_jobs > 0 ? Min(lane.next_look, lane.next_sweep) : lane.next_look;
	WaitEvent	event;
	GovTime		begun;

	if (wait_event == 0)
		wait_event = compat_wait_event("SyncEngineHttp");

	if (wake_at != PG_INT64_MAX)
	{
		GovTime		ms = Max(wake_at - budget_now() + 999, 0) / 1000;

		timeout = timeout < 0 ? (long) ms : Min(timeout, (long) ms);
	}
	if (next != DT_NOEND)
	{
		long		ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), next) + 1;

		timeout = timeout < 0 ? ms : Min(timeout, ms);
	}
	if (lane.n_jobs == 0)
		timeout = timeout < 0 ? IDLE_LEAVE_MS : Min(timeout, IDLE_LEAVE_MS);

	Assert(!IsTransactionState());
	show_activity();
	begun = budget_now();
	if (!ConfigReloadPending)
		(void) WaitEventSetWait(wait_set, Min(timeout, 60000), &event, 1, wait_event);
	measure(budget_now() - begun);
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

	if (lane.n_jobs > 0 || lane.look_for_work || cron_keeper_is_busy())
		idle_since = 0;
	else if (idle_since == 0)
		idle_since = now;
	else if (TimestampDifferenceExceeds(idle_since, now, IDLE_LEAVE_MS) &&
			 (lane.next_look == DT_NOEND ||
			  TimestampDifferenceMilliseconds(now, lane.next_look) > IDLE_LEAVE_MS))
	{
		if (lane_find_stranded())
			lane.look_for_work = true;
		else
			lane_leave(lane.next_look);
	}
}

static void
tell_waiters(bool ended, bool moved)
{
	TimestampTz now = GetCurrentTimestamp();

	if (ended || (moved && TimestampDifferenceExceeds(told_at, now, PROGRESS_MS)))
	{
		inbox_wake_watchers();
		told_at = now;
	}
}

void
sync_engine_lane_main(Datum arg)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, terminate);
	BackgroundWorkerUnblockSignals();

	/*
	 * A SIGHUP that came before our handler was there is lost: read the files
	 * once, when the first requests are under way.  Till then the settings are
	 * those that the postmaster has.
	 */
	ConfigReloadPending = true;

	if (!lane_attach(DatumGetInt32(arg)))
		proc_exit(0);
	lane_connect();
	lane.context = AllocSetContextCreate(TopMemoryContext, "lane", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(lane.context);

	pg_atomic_write_u32(&lane_database->wanted, 0);
	if (!lane_take_number(&lane.number))
	{
		inbox_reject_requests(session_obstacle()->message);
		lane_leave_for_good();
	}
	before_shmem_exit(drop_requests, (Datum) 0);
	before_shmem_exit(absolve, (Datum) 0);
	lane.client = lane_create_client();
	wait_set = compat_create_wait_event_set(3);
	AddWaitEventToSet(wait_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(wait_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(wait_set, WL_SOCKET_READABLE, http_fd(lane.client), NULL, NULL);
	lane_slot->ready = true;
	lane.look_for_work = true;
	lane.called = true;
	lane.next_look = DT_NOEND;
	lane.next_sweep = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), SWEEP_MS);

	for (;;)
	{
		GovTime		wake_at;
		TimestampTz now = GetCurrentTimestamp();
		bool		moved;
		bool		ended;

		MemoryContextSwitchTo(lane.context);
		MemoryContextReset(lane.context);
		lane_leave_if_barred();
		if (session_obstacle() != NULL)
			lane_leave_to_another();
		if (lane_is_wanted())
			lane.called = true;
		if (lane.called || lane.next_look <= now || (lane.n_jobs > 0 && lane.next_sweep <= now))
			lane.look_for_work = true;
		if (lane.look_for_work)
			lane_find_work();

		take_responses();
		moved = apply_pages();
		wake_at = lane_send_requests();
		ended = bury_jobs();
		tell_waiters(ended, moved);
		cron_keeper_collect();
		leave_if_idle();
		if (!lane.look_for_work)
			wait_for_events(moved ? budget_now() : wake_at);
		else
			measure(0);
	}
}
