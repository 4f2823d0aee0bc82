/*-------------------------------------------------------------------------
 *
 * job_delta.h
 *		Jobs that read only what has changed.
 *
 * IDENTIFICATION
 *		src/job_delta.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_JOB_DELTA_H
#define SYNC_ENGINE_JOB_DELTA_H

#include "job.h"

/*
 * How the job reads its list: what has changed since the watermark, if that is
 * asked for and can be, else all of it.  Within the transaction that starts the
 * job, with its table there.
 */
extern void job_delta_begin(Job *job);

/* Where it begins to read: a position, palloc'd. */
extern char *job_delta_position(const Job *job);

/* After each answer: what the API's clock said. */
extern void job_delta_see_clock(Job *job, int64 server_date);

/*
 * Before a page is applied: false if the watermark cannot be true, and the job
 * reads all from the beginning instead.
 */
extern bool job_delta_check(Job *job);

#endif							/* SYNC_ENGINE_JOB_DELTA_H */
