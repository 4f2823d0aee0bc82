/*-------------------------------------------------------------------------
 *
 * job_page.h
 *		Applies one page of a job, in one transaction.
 *
 * IDENTIFICATION
 *		src/job_page.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_JOB_PAGE_H
#define SYNC_ENGINE_JOB_PAGE_H

#include "job.h"

/* Judges the answered page that is due, and applies it. */
extern void job_page_apply(Job *job, PageRequest *request);

/*
 * Within a transaction that has moved the job's row: whether the data table can be
 * written now.  Else the transaction is over, and so is the job in this lane.
 */
extern bool job_page_may_write(Job *job);

#endif							/* SYNC_ENGINE_JOB_PAGE_H */
