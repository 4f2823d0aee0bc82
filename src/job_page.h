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

#endif							/* SYNC_ENGINE_JOB_PAGE_H */
