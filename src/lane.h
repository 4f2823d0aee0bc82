/*-------------------------------------------------------------------------
 *
 * lane.h
 *		What the parts of a lane share: worker.c is its loop.
 *
 * IDENTIFICATION
 *		src/lane.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_LANE_H
#define SYNC_ENGINE_LANE_H

#include "http.h"
#include "job.h"
#include "shmem.h"

/* After an error of our own, and when somebody's lock was in the way. */
#define ERROR_RETRY_MS		1000
#define CONFLICT_RETRY_MS	200

/* So often a lane looks whether events that it was not told of left something behind. */
#define SWEEP_MS			5000

typedef struct Lane
{
	int64		number;
	MemoryContext context;		/* reset in every turn of the loop */
	HttpClient *client;
	Job		   *jobs[MAX_LANE_JOBS];
	int			n_jobs;
	List	   *orgs;			/* LaneOrg *: those that the jobs are of */
	int			first;			/* whose turn it is to send first */
	bool		look_for_work;
	bool		called;			/* somebody wants something of us */
	bool		busy;			/* there is hardly a moment to wait in */
	TimestampTz next_look;		/* something becomes due */
	TimestampTz next_sweep;		/* time to see whether anything was left behind */
} Lane;

extern Lane lane;

/* ---- lane_step.c: a step of one job; an error in it is that job's alone ---- */

/* After an error was caught: rolls back; a copy of it. */
extern ErrorData *lane_recover(void);

/* Runs a step, which is of that kind; false if it failed, or returned false. */
extern bool lane_run_step(bool (*step) (Job *job, void *arg), Job *job, void *arg,
						  const Activity *activity);

/* Sends what is to be sent, and takes what has come; between steps, too. */
extern void lane_drive(void);

/* ---- lane_find.c: what is to be done ---- */

/* Takes requests and wishes, plans runs, claims jobs and starts them. */
extern void lane_find_work(void);

/* Before it leaves: whether something was left behind after all. */
extern bool lane_find_stranded(void);

/* ---- lane_send.c: who may send requests ---- */

/* The part of an org in what the lane may have under way. */
typedef struct LaneOrg
{
	char	   *name;
	int			weight;
	int			n_jobs;
	int			under_way;		/* requests sent and not applied yet */
	bool		has_sent;		/* a request, ever */
	int64		buffered;		/* bytes that these hold, or will */
} LaneOrg;

extern void lane_join_org(Job *job);
extern void lane_leave_org(Job *job);

/* A job that has just begun need not wait until others have begun, too. */
extern void lane_send_first(Job *job);

/* Lets every job send what it may; when the first of them wants to send again. */
extern GovTime lane_send_requests(void);

#endif							/* SYNC_ENGINE_LANE_H */
