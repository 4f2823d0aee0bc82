/*-------------------------------------------------------------------------
 *
 * queue.h
 *		Runs and jobs: enqueue, claim, end, cancel, recover.
 *
 * Everything here runs inside a transaction that the caller has open.  Locks
 * are taken in the order run, job, sync state.
 *
 * IDENTIFICATION
 *		src/queue.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_QUEUE_H
#define SYNC_ENGINE_QUEUE_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

/* What a run asks for; entities are 'product.Entity' String nodes. */
typedef struct RunRequest
{
	const char *kind;			/* sync, check, probe, refresh */
	const char *org;
	List	   *entities;
	bool		everything;		/* not named one by one */
	const char *mode;
	const char *execution;
	int			priority;
	Oid			role;			/* on whose behalf */
} RunRequest;

/* A job that a lane has claimed. */
typedef struct ClaimedJob
{
	int64		job_id;
	int64		run_id;
	int64		epoch;
	char	   *org;
	char	   *product;
	char	   *entity;
	char	   *strategy;
	int64		fetched;
	int64		requests;
	int64		expected;		/* -1 = unknown */
	int			attempts;		/* failed ones since the last page */
	bool		everything;		/* of a run that asks for all that can be seen */
} ClaimedJob;

/* Why a job ended otherwise than well; texts may be NULL. */
typedef struct Failure
{
	const char *sqlstate;
	const char *message;
	const char *hint;
} Failure;

extern int64 queue_enqueue(const RunRequest *request);

/* Claims up to `limit` jobs for a lane; the list is in the current context. */
extern List *queue_claim(int64 lane, int limit);

/* Whether something could be claimed now. */
extern bool queue_has_claimable(void);

/* Lets jobs go that joined one which has ended unseen. */
extern void queue_part_orphaned_joins(void);

/* When the next job that waits for its time is due; DT_NOEND if none. */
extern TimestampTz queue_next_due(void);

/* Puts the jobs of lanes that are gone back into the queue. */
extern int	queue_recover_orphans(int64 own_lane);

/*
 * Gives a claimed job back and says why.  It can be claimed again after that
 * time, or up to five times as much if that happens again and again.
 */
extern bool queue_release_job(int64 job_id, int64 epoch, const char *reason, int milliseconds);

/* The data table is new: what was read before is not in it. */
extern bool queue_restart_job(int64 job_id, int64 epoch);

/* The same for all jobs of an entity that have not ended; leases stay. */
extern void queue_restart_jobs(const char *product, const char *entity);

/* Where a job stands, as of now. */
extern char *queue_job_position(int64 job_id);

/*
 * Locks the runs that the end of a job touches.  A transaction that moves the
 * job's row and ends it too calls this first.
 */
extern void queue_lock_runs(int64 job_id);

/*
 * Ends a claimed job, its followers and, with the last job, its run.  False
 * if the lease is lost.
 */
extern bool queue_end_job(int64 job_id, int64 epoch, const char *status, const Failure *failure);

/* Runs with cancel_requested that have not ended (list of int64 *). */
extern List *queue_runs_to_cancel(void);

/* Cancels all jobs of a run that no lane holds, and so perhaps the run. */
extern void queue_cancel_waiting_jobs(int64 run_id);

/* Closes a run whose jobs have all ended. */
extern void queue_close_run(int64 run_id);

/* Tags of the lock that a lane holds for its life. */
extern void queue_lane_lock_hold(int64 lane);

#endif							/* SYNC_ENGINE_QUEUE_H */
