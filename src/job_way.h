/*-------------------------------------------------------------------------
 *
 * job_way.h
 *		The way a job reads, when the API does not do what the manifest says.
 *
 * IDENTIFICATION
 *		src/job_way.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_JOB_WAY_H
#define SYNC_ENGINE_JOB_WAY_H

#include "job.h"

/*
 * The server ignores the order or the filter: the list is read again by plain
 * offsets.  False if it is already.
 */
extern bool job_way_restart_plain(Job *job, const char *problem);

/* The list is read again from its beginning, all of it, for this reason. */
extern void job_way_restart(Job *job, const char *reason);

/*
 * The problem if the API says of its list that it cannot be asked for in the way
 * that it is; else NULL.
 */
extern const char *job_way_disowned(const Job *job, const ParsedPage *page);

/*
 * What came along with another list's pages is complete if its own list counts
 * no more.  Else that list is read.
 */
extern void job_way_verify(Job *job, const ParsedPage *page);

#endif							/* SYNC_ENGINE_JOB_WAY_H */
