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

/* What a claim has left in the queue. */
typedef struct ClaimOutlook
{
	bool		contended;		/* another lane decides on the same just now: look again in a moment */
	bool		more;			/* enough for one transaction: look again at once */
} ClaimOutlook;

/*
 * Claims up to so many jobs for a lane (list of ClaimedJob * in the current
 * context).  one_round: of each organisation one, for there are others whose jobs
 * are not in the queue yet.
 */
extern List *queue_claim(int64 lane, int places, bool one_round, ClaimOutlook *outlook);

/* Whether something could be claimed now. */
extern bool queue_has_claimable(void);

/*
 * Until the transaction ends, no other lane decides who reads the entity; false
 * if one does so now.
 */
extern bool queue_lock_entity(const char *org, const char *product, const char *entity);

#endif							/* SYNC_ENGINE_QUEUE_CLAIM_H */
