/*-------------------------------------------------------------------------
 *
 * job_reconcile.h
 *		Jobs that look for records that the API has no more.
 *
 * IDENTIFICATION
 *		src/job_reconcile.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_JOB_RECONCILE_H
#define SYNC_ENGINE_JOB_RECONCILE_H

#include "job.h"

/*
 * Within the transaction that starts a job: if it is a reconcile, or carries out
 * the approval of a batch, prepares it and how its list is asked for.
 */
extern void job_reconcile_begin(Job *job);
extern void job_reconcile_free(Job *job);

/* Whether it reads a list now; else it asks for other things, or works on the database. */
extern bool job_reconcile_reads(const Job *job);

/* The part of a list's URL that leaves all but one attribute out. */
extern const char *job_reconcile_fields(const Job *job);

/* A checkpoint of the list as a position of the job; of other jobs it is that already. */
extern char *job_reconcile_position(const Job *job, char *checkpoint);

/*
 * While it does not read: plans what it asks for, so many at the most, or does a
 * piece of its work.
 */
extern void job_reconcile_plan(Job *job, int limit);

/* Takes the answer that is due to something that it asked. */
extern void job_reconcile_answer(Job *job, PageRequest *request);

/* Notes the ids of a page; false if the job is over. */
extern bool job_reconcile_write_page(Job *job, const PageRequest *request, const ParsedPage *page, int first,
									 const char *position, bool list_done, const Failure *shortfall);

/* All parents have been walked. */
extern void job_reconcile_end_walk(Job *job);

#endif							/* SYNC_ENGINE_JOB_RECONCILE_H */
