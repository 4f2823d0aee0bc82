/*-------------------------------------------------------------------------
 *
 * lane_find.c
 *		What a lane is to do: requests, wishes, runs to plan, jobs to claim.
 *
 * IDENTIFICATION
 *		src/lane_find.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "cron_keeper.h"
#include "history.h"
#include "inbox.h"
#include "job_fold.h"
#include "job_inquiry.h"
#include "job_suspect.h"
#include "lane.h"
#include "lane_slot.h"
#include "planner.h"
#include "queue_claim.h"
#include "queue_control.h"
#include "session.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Runs are planned for so long in one turn, so that a burst does not stop the loop. */
#define PLANNING_MS		20

/* One sweep in so many looks at all that waits; it is rare that anything was left behind. */
#define STRANDED_SWEEPS	6

/* Beginning a job takes milliseconds, in which the lane does nothing for the others. */
#define STARTED_AT_ONCE	32

/* A lane with fewer jobs than these is not helped by another: they bring it no work. */
#define BUSY_JOBS		64

/* Another lane decides on the same entity just now: that takes it milliseconds. */
#define CONTENDED_MS	20

/*
 * start_step: the job is not there yet; `job` has only its claim.
 */
static bool
start_step(Job *unborn, void *arg)
{
	Job		   *job;

	if (unborn->claim.suspect && !suspect_mark(unborn))
		return false;
	job = job_start(&unborn->claim, inquiry_find(unborn->claim.strategy), lane.context, unborn->live);
	if (job == NULL)
		return false;
	if (job->claim.suspect)
		suspect_unmark(job);
	MemoryContextSetParent(job->context, TopMemoryContext);
	lane_join_org(job);
	lane.jobs[lane.n_jobs++] = job;
	return true;
}

/*
 * start_jobs: begins what was claimed.
 */
static void
start_jobs(List *claimed)
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
		if (!lane_run_step(start_step, &unborn, NULL, &activity_start_job))
		{
			/* it was given back, or it ended and others can begin */
			unborn.live->job_id = 0;
			lane.look_for_work = true;
		}
		else
		{
			lane_send_first(lane.jobs[lane.n_jobs - 1]);
			/* what the budget admits goes now, not when all jobs have begun */
			lane_drive();
		}
	}
}

/*
 * take_requests: each by itself; one that cannot be enqueued stops no other.
 */
static void
take_requests(void)
{
	volatile bool more = true;

	while (more)
	{
		PG_TRY();
		{
			more = inbox_take_next();
		}
		PG_CATCH();
		{
			ErrorData  *error = lane_recover();

			ereport(LOG,
					(errmsg("sync_engine: could not take a request: %s", error->message)));
			inbox_refuse_taken(error->message);
			inbox_give_back();
			lane.next_look = Min(lane.next_look,
								 TimestampTzPlusMilliseconds(GetCurrentTimestamp(), CONFLICT_RETRY_MS));
			more = false;
		}
		PG_END_TRY();
	}
}

static bool
cancel_step(Job *job, void *arg)
{
	Failure		failure = {"57014", "cancelled on request"};

	job_end(job, "cancelled", &failure);
	return true;
}

/*
 * cancel_runs: ends our jobs of these runs, and the jobs that nobody holds.  One
 * that cannot be ended now is given back, and so ends later.
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
			if (lane.jobs[i]->claim.run_id == run_id && !lane.jobs[i]->over)
				(void) lane_run_step(cancel_step, lane.jobs[i], NULL, &activity_sync_page);
		}
		if (!session_begin("cancelling a run"))
			return;
		queue_cancel_waiting_jobs(run_id);
		session_commit(durable);
	}
}

/*
 * pause_step: what comes along with a job that goes on is left out of it.
 */
static bool
pause_step(Job *job, void *arg)
{
	List	   *paused = arg;
	ListCell   *cell;

	foreach(cell, paused)
	{
		if (*(int64 *) lfirst(cell) == job->claim.job_id)
		{
			job_pause(job);
			return true;
		}
	}
	foreach(cell, paused)
		fold_drop(job, *(int64 *) lfirst(cell), "it is paused");
	return true;
}

/*
 * pause_jobs: those of ours; one that cannot be paused now is given back, and is
 * paused while it waits.
 */
static void
pause_jobs(List *paused)
{
	for (int i = 0; i < lane.n_jobs && paused != NIL; i++)
	{
		if (!lane.jobs[i]->over)
			(void) lane_run_step(pause_step, lane.jobs[i], paused, &activity_sync_page);
	}
}

/*
 * change_queue: in transactions of its own, as long as there is something.
 */
static void
change_queue(const char *activity, bool (*some) (void))
{
	bool		durable = true;
	bool		more = true;

	while (more)
	{
		if (!session_begin(activity))
			return;
		more = some();
		session_commit(durable);
	}
}

/*
 * grant_wishes: makes jobs do what people want of them.
 */
static void
grant_wishes(const QueueWishes *wishes)
{
	/* as long as no pause has changed, what stands still has to */
	static char pauses[lengthof(wishes->pauses)] = "";
	static bool changed = false;
	List	   *cancelled = NIL;
	List	   *paused = NIL;
	bool		durable = true;

	if (wishes->cancel || wishes->pause)
	{
		if (!session_begin("looking at wishes"))
			return;
		MemoryContextSwitchTo(lane.context);
		cancelled = queue_runs_to_cancel();
		paused = wishes->pause ? queue_jobs_to_pause(lane.number) : NIL;
		session_commit(durable);
	}
	cancel_runs(cancelled);
	pause_jobs(paused);
	if (wishes->pause)
		change_queue("pausing jobs", queue_pause_some);
	changed = changed || strcmp(wishes->pauses, pauses) != 0;
	strlcpy(pauses, wishes->pauses, sizeof(pauses));
	if (wishes->resume && changed)
	{
		change_queue("resuming jobs", queue_resume_some);
		changed = false;
	}
}

/*
 * plan_runs: a transaction for each: what is wrong with one must not hold up
 * another.  Whether some are left.
 */
static bool
plan_runs(bool pauses)
{
	TimestampTz begun = GetCurrentTimestamp();
	volatile bool planned = true;
	const bool	durable = true;

	while (planned && !TimestampDifferenceExceeds(begun, GetCurrentTimestamp(), PLANNING_MS))
	{
		PG_TRY();
		{
			if (session_begin("planning a run"))
			{
				planned = planner_plan_next_run(pauses);
				session_commit(durable);
			}
			else
				planned = false;
		}
		PG_CATCH();
		{
			ErrorData  *error = lane_recover();

			ereport(LOG,
					(errmsg("sync_engine: could not plan a run: %s", error->message)));
			if (!session_begin("noting that a run could not be planned") ||
				!planner_note_failure(unpack_sql_state(error->sqlerrcode), error->message))
				ReThrowError(error);
			session_commit(durable);
		}
		PG_END_TRY();
	}
	lane.look_for_work = lane.look_for_work || planned;
	return planned;
}

/*
 * claim_jobs: what there is room for.
 */
static void
claim_jobs(bool one_round)
{
	List	   *claimed = NIL;
	bool		durable = true;
	ClaimOutlook outlook;

	/* what we could take only to let it wait is for a lane that can be had */
	bool		leave_it = lane.busy && lane.n_jobs >= BUSY_JOBS && lane_can_be_helped();
	int			room = leave_it ? 0 : MAX_LANE_JOBS - lane.n_jobs;
	int			places = Min(room, STARTED_AT_ONCE);

	if (!session_begin("claiming jobs"))
		return;
	MemoryContextSwitchTo(lane.context);
	claimed = queue_claim(lane.number, places, one_round, &outlook);
	lane_slot->saturated = list_length(claimed) == room && queue_has_claimable();
	session_commit(durable);
	MemoryContextSwitchTo(lane.context);

	lane.look_for_work = lane.look_for_work || outlook.more || (places < room && list_length(claimed) == places);
	if (outlook.contended)
		lane.next_look = Min(lane.next_look, TimestampTzPlusMilliseconds(GetCurrentTimestamp(), CONTENDED_MS));
	if (lane_slot->saturated)
	{
		const bool	only_with_room = true;

		lane_tell_others(only_with_room);
		shmem_wake_launcher();
	}
	start_jobs(claimed);

	if (!session_begin("looking ahead"))
		return;
	lane.next_look = Min(lane.next_look, queue_next_due());
	session_commit(durable);
}

/*
 * find_work: what there is to do is asked in one statement; somebody waits for the
 * first request of a lane that has just been started.
 */
static void
find_work(void)
{
	TimestampTz now = GetCurrentTimestamp();
	static int	n_sweeps = 0;
	bool		sweeps = now >= lane.next_sweep;
	bool		unplanned = false;
	bool		called = lane.called;
	bool		durable = true;
	QueueWishes wishes;

	if (!session_begin("looking for work"))
		lane_leave_to_another();
	queue_look_at_wishes(lane.number, &wishes);
	if (wishes.others && (lane.called || sweeps))
		(void) queue_recover_orphans(lane.number);
	if (wishes.due)
		queue_wake_postponed();
	if (sweeps && ++n_sweeps % STRANDED_SWEEPS == 0)
		(void) queue_free_stranded();
	session_commit(durable);

	if (lane.called || sweeps)
		grant_wishes(&wishes);
	lane.called = false;
	if (sweeps)
		lane.next_sweep = TimestampTzPlusMilliseconds(now, SWEEP_MS);
	if (wishes.plan)
		unplanned = plan_runs(wishes.pause);
	claim_jobs(unplanned);
	if (called)
		cron_keeper_look();

	/* last: whatever is wrong with what is past, the present goes on */
	if (sweeps)
		history_trim();
}

void
lane_find_work(void)
{
	lane.look_for_work = false;
	lane.next_look = DT_NOEND;
	take_requests();
	lane_slot->applying_job = 0;
	lane_slot->applying_since = GetCurrentTimestamp();
	PG_TRY();
	{
		find_work();
		lane_slot->applying_since = 0;
	}
	PG_CATCH();
	{
		ErrorData  *error = lane_recover();

		ereport(LOG,
				(errmsg("sync_engine: could not look for work: %s", error->message)));
		lane.called = true;
		lane.next_look = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ERROR_RETRY_MS);
	}
	PG_END_TRY();
}

bool
lane_find_stranded(void)
{
	volatile bool found = false;
	const bool	durable = true;

	PG_TRY();
	{
		if (session_begin("looking for what was left behind"))
		{
			found = queue_free_stranded() > 0;
			session_commit(durable);
		}
		history_trim();
	}
	PG_CATCH();
	{
		(void) lane_recover();
	}
	PG_END_TRY();
	return found;
}
