/*-------------------------------------------------------------------------
 *
 * job_fold.h
 *		Records that come along with a job's pages (JSON:API include).
 *
 * Each folded entity is a job of its own in the tables, with its own counters
 * and result; its records are written in the transaction of the page that
 * brought them.  Whenever something is wrong with them, that entity alone is
 * unfolded: it is then read by itself, from its beginning.
 *
 * IDENTIFICATION
 *		src/job_fold.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_JOB_FOLD_H
#define SYNC_ENGINE_JOB_FOLD_H

#include "job.h"

/* Prepares what is folded into the job (FoldedJob *); in transactions of its own. */
extern void fold_start(Job *job, List *folded);

/* What is in the request for it: "emails,addresses", palloc'd; NULL if nothing. */
extern char *fold_include(const Job *job);

/*
 * Whether the page brings what it was asked to.  What the server does not
 * include at all is unfolded.  If named records are missing, the page should be
 * asked for again: false, with the problem; what still lacks them after that
 * is unfolded.
 */
extern bool fold_check(Job *job, const ParsedPage *page, int first, const char **problem);

typedef enum FoldResult
{
	FOLD_WRITTEN,
	FOLD_TABLE_GONE,			/* the job must begin anew */
	FOLD_TABLE_LOCKED			/* ... or wait: *locked is the table */
} FoldResult;

/*
 * Writes what the page brings beside its own records, of which those before
 * `first` are known from the page before.  Within the page's transaction.
 */
extern FoldResult fold_write(Job *job, const PageRequest *request, const ParsedPage *page,
							 int first, Oid *locked);

/*
 * An entity with a list of its own is given its owner as if its path had it as a
 * parameter.
 */
extern void fold_adopt_owner(Entity *entity, const Entity *owner);

/* With the last page: the lists have been read. */
extern void fold_finish(Job *job);

/* No longer asks for one of them; fine if it does not. */
extern void fold_drop(Job *job, int64 job_id, const char *reason);

/* Asks for no more than the job's own records from now on. */
extern void fold_drop_all(Job *job, const char *reason);

extern void fold_free(Job *job);

#endif							/* SYNC_ENGINE_JOB_FOLD_H */
