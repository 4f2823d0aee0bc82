/*-------------------------------------------------------------------------
 *
 * delete_batch.h
 *		Records that the API may have deleted: batches of candidates.
 *
 * Everything here runs inside a transaction that the caller has open, as the
 * extension's owner.
 *
 * IDENTIFICATION
 *		src/delete_batch.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_DELETE_BATCH_H
#define SYNC_ENGINE_DELETE_BATCH_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

/* Whose records they are. */
typedef struct DeleteScope
{
	const char *org;
	const char *product;
	const char *entity;
} DeleteScope;

typedef struct DeleteBatch
{
	int64		batch;
	char	   *org;
	char	   *product;
	char	   *entity;
	char	   *behaviour;		/* soft, hard or archive */
	char	   *status;
	char	   *reason;			/* why it is held, or NULL */
	char	   *source;			/* reconcile or record */
	TimestampTz read_at;
	int64		candidates;
	int64		deleted;
} DeleteBatch;

/* Loads a batch, and locks it; NULL if there is none. */
extern DeleteBatch *delete_batch_lock(int64 batch);

/* The same as it is committed, without a lock. */
extern DeleteBatch *delete_batch_look(int64 batch);

/* An open batch of a job; what the job began before is forgotten. */
extern int64 delete_batch_begin(DeleteScope scope, int64 run_id, int64 job_id, const char *source);

/* Adds candidates (array of text), all 'proposed'. */
extern void delete_batch_propose(int64 batch, Datum ids);

/* All candidates are there. */
extern void delete_batch_count(int64 batch, int64 stored, int64 seen);

/* A later read takes the place of batches that nobody has decided on; batch 0: it found nothing. */
extern void delete_batch_replace_older(DeleteScope scope, int64 batch);

/* What becomes of a batch; the reason may be NULL. */
extern void delete_batch_set_status(int64 batch, const char *status, const char *reason);

/* Somebody has decided: sync_status does not show the entity as held any more. */
extern void delete_batch_settle_state(int64 batch);

/*
 * Why so many candidates have to wait for people, by the org's thresholds; NULL
 * if they need not.  stored: live rows.
 */
extern char *delete_batch_exceeds(DeleteScope scope, int64 candidates, int64 stored);

/* Ids that somebody kept, and the API has not shown since (List of char *). */
extern List *delete_batch_kept(DeleteScope scope);

/* Candidates of a batch that are so, behind that id, in order (List of char *). */
extern List *delete_batch_candidates(int64 batch, const char *status, const char *after, int limit);

extern int64 delete_batch_count_status(int64 batch, const char *status);

/* What is known of some candidates (array of text) now; the detail may be NULL. */
extern void delete_batch_mark(int64 batch, Datum ids, const char *status, const char *detail);

/* All that is left of the proposed ones is confirmed. */
extern void delete_batch_confirm_rest(int64 batch, const char *detail);

/* All that was confirmed is to be confirmed again. */
extern void delete_batch_reopen(int64 batch);

/* The next confirmed ones, locked: nobody strikes them before the transaction ends. */
extern List *delete_batch_lock_confirmed(int64 batch, int limit);

/* Of the ids (array of text), those that are no candidates of the batch (List of char *). */
extern List *delete_batch_others(int64 batch, Datum ids);

/* Why one of the proposed ones is not confirmed; NULL if nobody knows. */
extern char *delete_batch_a_detail(int64 batch);

/* One candidate cannot be confirmed; it stays as it is. */
extern void delete_batch_note(int64 batch, const char *id, const char *detail);

/*
 * A page shows records (array of text): they are struck from all batches.  Costs
 * one look into an index where nothing waits.
 */
extern void delete_batch_strike(DeleteScope scope, Datum ids);

/*
 * Those of the ids (array of text) that were deleted for good, or archived, so
 * lately that a list which shows them may be older (List of char *).
 */
extern List *delete_batch_lately_deleted(DeleteScope scope, Datum ids);

/* An array of text of a list of char *. */
extern Datum delete_ids_array(const List *ids);

#endif							/* SYNC_ENGINE_DELETE_BATCH_H */
