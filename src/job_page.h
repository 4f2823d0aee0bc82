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
 * A page's first statement: moves the job's row under its epoch.  False if the
 * lease is lost.  As long as nothing is known of its records, they count as
 * unchanged.
 */
extern bool job_page_move(Job *job, const char *position, int64 n_new, int64 expected);

/* Judges the answered page that is due, and applies it. */
extern void job_page_apply(Job *job, PageRequest *request);

#endif							/* SYNC_ENGINE_JOB_PAGE_H */
