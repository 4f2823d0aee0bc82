/*-------------------------------------------------------------------------
 *
 * job_rights.h
 *		What the token may see, asked before everything is read with it.
 *
 * IDENTIFICATION
 *		src/job_rights.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_JOB_RIGHTS_H
#define SYNC_ENGINE_JOB_RIGHTS_H

#include "job.h"
#include "token_rights.h"

/* A read of everything waits for so many attempts to ask, each so long, and goes on without. */
#define RIGHTS_ATTEMPTS		3
#define RIGHTS_TIMEOUT_MS	10000

/*
 * Within the transaction in which a job begins to read: if that is everything, and
 * its product is to be asked, it does that first (job->rights).
 */
extern void job_rights_begin(Job *job);

/* Plans questions, so many at the most; notes the rights when all are answered. */
extern void job_rights_plan(Job *job, int limit);

/* Takes the answer that is due. */
extern void job_rights_answer(Job *job, PageRequest *request);

/* Folds an answer in; the page is NULL if there is none. */
extern void job_rights_take(TokenRights *rights, const char *product, const PageRequest *request,
							const ParsedPage *page);

#endif							/* SYNC_ENGINE_JOB_RIGHTS_H */
