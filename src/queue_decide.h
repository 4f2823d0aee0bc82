/*-------------------------------------------------------------------------
 *
 * queue_decide.h
 *		What becomes of a job whose turn it is.
 *
 * IDENTIFICATION
 *		src/queue_decide.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_QUEUE_DECIDE_H
#define SYNC_ENGINE_QUEUE_DECIDE_H

#include "nodes/pg_list.h"

/* A job that is looked at, and what else there is for its entity. */
typedef struct Candidate
{
	int64		job_id;
	char	   *org;
	char	   *product;
	char	   *entity;
	char	   *mode;
	int			priority;
	double		turn;
	int64		running;		/* job that reads it now; 0 = none */
	char	   *running_mode;	/* '' = none that can be joined */
	int64		absorber;		/* queued job that does this one's work, too: a full that a
								 * delta can wait for, or one that has begun already */
	int			busy;			/* jobs of the org that run */
} Candidate;

/* What is to be done with the candidates: ids, in step. */
typedef struct Decisions
{
	int			n_claimed;
	int			n_joined;
	int			n_parked;
	int			n_orgs;
	int64	   *claimed;
	int64	   *joined;
	int64	   *targets;
	int64	   *parked;
	Datum	   *reasons;
	Datum	   *orgs;			/* whose place a job did not take */
} Decisions;

/*
 * Decides on candidates (list of Candidate *) as long as there are places; the rest
 * stays in the queue.  Of those whose other job is in somebody's hands just now none
 * is decided on; *n_decidable leaves them out.  In the current memory context.
 */
extern Decisions queue_decide(List *candidates, int places, int *n_decidable);

#endif							/* SYNC_ENGINE_QUEUE_DECIDE_H */
