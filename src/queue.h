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

#include "activity.h"
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
	int64		retry_of;		/* run whose jobs go on where they stopped; 0 = none */
	Oid			role;			/* on whose behalf */
	TimestampTz not_before;		/* 0 = at once */
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
	char	   *mode;
	int64		fetched;
	int64		requests;
	int64		expected;		/* -1 = unknown */
	int			attempts;		/* since the last page */
	int			failures;		/* to write since the last page */
	int64		ledger;			/* job that its walk's ledger is kept under */
	bool		suspect;		/* its lane was lost, and no page has been written since */
	bool		everything;		/* of a run that asks for all that can be seen */
	bool		audit;			/* of a run that nobody asked for */
} ClaimedJob;

/* Why a job ended otherwise than well; texts may be NULL. */
typedef struct Failure
{
	const char *sqlstate;
	const char *message;
	const char *hint;
	const Activity *activity;	/* in which step; NULL = sync_page */
} Failure;

/* Somebody waits for an answer: before all that only moves data. */
#define INQUIRY_PRIORITY	1000000

/*
 * Jobs of one org that run at once.  Its rate budget is kept busy by fewer, and
 * the rest of a lane's places is for others.
 */
#define MAX_ORG_JOBS		16

/* SQL: whether job j only waits for its turn; the predicate of index job_claimable. */
#define QUEUE_CLAIMABLE \
	"j.status = 'queued' AND j.unmet = 0 AND j.joined_job_id IS NULL AND j.folded_into IS NULL " \
	"AND j.parked IS NULL AND j.not_before = '-infinity'"

extern int64 queue_enqueue(const RunRequest *request);

/* The turn of an org's next job of that priority; *step is to the one after it. */
extern double queue_next_turn(const char *org, int priority, double *step);

/* When the next job or run that waits for its time is due; DT_NOEND if none. */
extern TimestampTz queue_next_due(void);

/*
 * Puts the jobs of lanes that are gone back into the queue, as suspects; one that
 * was lost too often while a page of it was applied is held.
 */
extern int	queue_recover_orphans(int64 own_lane);

/*
 * Puts right what an event that two lanes brought about at the same time can
 * leave: jobs that wait for something that has happened.
 */
extern int	queue_free_stranded(void);

/*
 * Gives a claimed job back and says why.  It can be claimed again after that
 * time, or up to five times as much if that happens again and again.  failed: it
 * could not write, and did not just wait for somebody.
 */
extern bool queue_release_job(int64 job_id, int64 epoch, const char *reason, int milliseconds, bool failed);

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
 * The same for these runs (array of bigint): in one order everywhere, and before their
 * jobs, which are then locked in the order of their ids.  That is the order of a claim,
 * too: what comes along has a higher id than what brings it.
 */
extern void queue_lock_run_rows(Datum run_ids);

/*
 * Ends a claimed job, its followers and, with the last job, its run.  False
 * if the lease is lost.
 */
extern bool queue_end_job(int64 job_id, int64 epoch, const char *status, const Failure *failure);

/* Jobs that joined this one have to do their work themselves. */
extern void queue_part_joined(int64 job_id);

/*
 * Brings the status of runs (array of bigint), or of one, in line with that of their
 * jobs: ended, paused, or running.
 */
extern void queue_settle_runs(Datum run_ids);
extern void queue_settle_run(int64 run_id);

/* Tags of the lock that a lane holds for its life. */
extern void queue_lane_lock_hold(int64 lane);

#endif							/* SYNC_ENGINE_QUEUE_H */
