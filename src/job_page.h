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

/*
 * The server refuses or ignores order and filter: reads the list again from
 * its beginning, by plain offsets.  False if it is read so already.
 */
extern bool job_page_restart_plain(Job *job, const char *problem);

/* Judges the answered page that is due, and applies it. */
extern void job_page_apply(Job *job, PageRequest *request);

#endif							/* SYNC_ENGINE_JOB_PAGE_H */
