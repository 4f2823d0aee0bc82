/*-------------------------------------------------------------------------
 *
 * job_inquiry.h
 *		Jobs that ask one question of the API instead of reading a list.
 *
 * IDENTIFICATION
 *		src/job_inquiry.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_JOB_INQUIRY_H
#define SYNC_ENGINE_JOB_INQUIRY_H

#include "job.h"

typedef enum InquiryResult
{
	INQUIRY_DONE,
	INQUIRY_FAILED,				/* the failure that was given is the job's */
	INQUIRY_GOES_ON				/* with the question in job->target */
} InquiryResult;

/*
 * A kind of question.  Which one a job asks is its strategy.
 */
struct Inquiry
{
	const char *strategy;		/* of the job's row */
	int			max_attempts;	/* of one question; 0 = as of a page */
	int			timeout_ms;		/* of one attempt; 0 = as of a page */

	/*
	 * Sets job->entity, NULL if the manifest does not have it any more, and
	 * job->target.  Within a transaction, in the job's memory.
	 */
	void		(*begin) (Job *job);

	/*
	 * Stores the answer, or why there is none.  Within a transaction, after
	 * the runs are locked.
	 */
	InquiryResult (*store) (Job *job, const HttpResponse *response, const Failure *failure);

	/* Or, in place of all that, does what the answer, or its failure, asks for. */
	void		(*finish) (Job *job, const HttpResponse *response, const Failure *failure);
};

/* NULL if the strategy is that of a list. */
extern const Inquiry *inquiry_find(const char *strategy);

/* Ends the job with the answer, or with what went wrong instead. */
extern void inquiry_finish(Job *job, const HttpResponse *response, const Failure *failure);

#endif							/* SYNC_ENGINE_JOB_INQUIRY_H */
