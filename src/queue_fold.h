/*-------------------------------------------------------------------------
 *
 * queue_fold.h
 *		Jobs whose records come along with another job's pages.
 *
 * A folded job has no requests and no lane of its own: it is claimed, given
 * back and ended together with the job it is folded into.  Unfolding makes it a
 * job like others, which waits for its turn.
 *
 * IDENTIFICATION
 *		src/queue_fold.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_QUEUE_FOLD_H
#define SYNC_ENGINE_QUEUE_FOLD_H

#include "nodes/pg_list.h"

/* SQL: how the entity of a job is read that does not come along. */
#define QUEUE_OWN_STRATEGY(job) \
	"coalesce((SELECT e.own_strategy FROM sync_engine.entity e " \
	"  WHERE (e.product, e.entity) = (" job ".product, " job ".entity)), " job ".strategy)"

typedef struct FoldedJob
{
	int64		job_id;
	char	   *product;
	char	   *entity;
	char	   *via;			/* the include */
} FoldedJob;

/*
 * After a claim: takes along what is folded into the claimed jobs (list of
 * ClaimedJob *); what is being read by somebody already is unfolded.
 */
extern void queue_fold_claim(int64 lane, List *claimed);

/*
 * What would come along with queued jobs (array of bigint) that will not read is
 * to read itself; how many do.
 */
extern int	queue_unfold_waiting(Datum carriers);

/* After a job was given back: its folded ones wait with it. */
extern void queue_fold_release(int64 job_id);

/* What is folded into a running job (list of FoldedJob *). */
extern List *queue_folded_jobs(int64 job_id);

/*
 * Unfolds one, and notes why in sync_status.  api: the API does not bring it, so
 * it is not asked to for some days.
 */
extern void queue_unfold(int64 folded_job, const char *reason, bool api);
extern void queue_unfold_all(int64 job_id);

/* What came along is not all: notes it for a job that reads by itself now. */
extern void queue_note_unfolded(int64 job_id, const char *reason);

#endif							/* SYNC_ENGINE_QUEUE_FOLD_H */
