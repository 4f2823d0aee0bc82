/*-------------------------------------------------------------------------
 *
 * job_walk.h
 *		Jobs that walk the lists of many parents.
 *
 * IDENTIFICATION
 *		src/job_walk.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_JOB_WALK_H
#define SYNC_ENGINE_JOB_WALK_H

#include "job.h"

/* Plans requests for the next parents, up to so many requests in all. */
extern void job_walk_plan(Job *job, int limit);

/*
 * Call when no request is left and the whole table was looked at: ends the job,
 * or has it look from the beginning for parents that were not walked.
 */
extern void job_walk_end(Job *job);

/*
 * Enters the parent of a page into the ledger, its list having been read as far
 * as it goes.  Within the page's transaction.
 */
extern void job_walk_note(Job *job, const PageRequest *request, const ParsedPage *page);

/* Whether a parent that may not be read is to be passed over. */
extern bool job_walk_bears_refusal(const Job *job);

#endif							/* SYNC_ENGINE_JOB_WALK_H */
