/*-------------------------------------------------------------------------
 *
 * job_check.h
 *		The job that asks whether a token may read a product.
 *
 * IDENTIFICATION
 *		src/job_check.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_JOB_CHECK_H
#define SYNC_ENGINE_JOB_CHECK_H

#include "job.h"

/* Notes the answer and ends the job; failure is NULL if the token may. */
extern void job_check_finish(Job *job, const Failure *failure);

#endif							/* SYNC_ENGINE_JOB_CHECK_H */
