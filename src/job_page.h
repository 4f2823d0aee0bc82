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

/* Adds what was requested since the row was moved; within a transaction. */
extern void job_page_save_requests(Job *job);

/* A check has no pages: the entity to ask for, and what the answer means. */
extern Entity *job_check_entity(const char *product);
extern void job_check_finish(Job *job, PageRequest *request, const Failure *failure);

#endif							/* SYNC_ENGINE_JOB_PAGE_H */
