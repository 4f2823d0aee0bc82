/*-------------------------------------------------------------------------
 *
 * queue_control.h
 *		What people want of runs and jobs that have not ended: cancel, pause, resume.
 *
 * Wishes are rows (cancel_request, pause).  Lanes look at them when they are
 * called, and now and then, and make the state of jobs agree with them.
 * Everything here runs inside a transaction that the caller has open.
 *
 * IDENTIFICATION
 *		src/queue_control.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_QUEUE_CONTROL_H
#define SYNC_ENGINE_QUEUE_CONTROL_H

#include "nodes/pg_list.h"

/* What there is to do beside claiming; nothing is the rule, and costs one statement. */
typedef struct QueueWishes
{
	bool		cancel;			/* somebody wants runs cancelled */
	bool		pause;			/* something is to stand still */
	bool		resume;			/* something does, and may have to no longer */
	bool		plan;			/* runs are queued */
	bool		due;			/* the time of postponed runs or jobs has come */
	bool		others;			/* other lanes hold jobs, if they are still there */
	char		pauses[33];		/* a digest of all pauses: the same if none has changed */
} QueueWishes;

extern void queue_look_at_wishes(int64 own_lane, QueueWishes *wishes);

/* Runs and jobs whose time has come wait no longer for it. */
extern void queue_wake_postponed(void);

/* Runs to be cancelled that have not ended (list of int64 *). */
extern List *queue_runs_to_cancel(void);

/* Cancels all jobs of a run that no lane holds, and so perhaps the run. */
extern void queue_cancel_waiting_jobs(int64 run_id);

/*
 * Makes queued jobs pause, or paused ones go on: some runs' in each call; false
 * when there was nothing left to do.
 */
extern bool queue_pause_some(void);
extern bool queue_resume_some(void);

/* The same for the jobs of a run that has just been planned, while there are pauses. */
extern void queue_pause_planned(int64 run_id);

/* Jobs of a lane that are to pause, those that come along too (list of int64 *). */
extern List *queue_jobs_to_pause(int64 lane);

/* Takes the job from its lane; it goes on from its checkpoint when resumed. */
extern void queue_pause_job(int64 job_id, int64 epoch);

#endif							/* SYNC_ENGINE_QUEUE_CONTROL_H */
