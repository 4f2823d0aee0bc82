/*-------------------------------------------------------------------------
 *
 * queue_claim.h
 *		A lane claims jobs.
 *
 * Within a transaction that the caller has open.
 *
 * IDENTIFICATION
 *		src/queue_claim.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_QUEUE_CLAIM_H
#define SYNC_ENGINE_QUEUE_CLAIM_H

#include "queue.h"

/*
 * Claims up to so many jobs for a lane (list of ClaimedJob * in the current
 * context).  one_round: of each organisation one, for there are others whose jobs
 * are not in the queue yet.  *contended: another lane decides on the same entity just now, so it
 * is worth another look in a moment.
 */
extern List *queue_claim(int64 lane, int places, bool one_round, bool *contended);

/* Whether something could be claimed now. */
extern bool queue_has_claimable(void);

/*
 * Until the transaction ends, no other lane decides who reads the entity; false
 * if one does so now.
 */
extern bool queue_lock_entity(const char *org, const char *product, const char *entity);

#endif							/* SYNC_ENGINE_QUEUE_CLAIM_H */
