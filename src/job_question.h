/*-------------------------------------------------------------------------
 *
 * job_question.h
 *		What a job asks besides its list: requests that name their own path.
 *
 * IDENTIFICATION
 *		src/job_question.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_JOB_QUESTION_H
#define SYNC_ENGINE_JOB_QUESTION_H

#include "job.h"
#include "response.h"

/*
 * Plans a question after the requests that are ahead.  id and api_version: as in
 * PageRequest, or NULL; target and id are copied.
 */
extern void job_question_add(Job *job, const char *target, const char *id, const char *api_version);

/*
 * Whether an answer, whatever it says, is one that the job can go on with.  If it is
 * no page, the request has a refusal then.
 */
extern bool job_question_bears(PageRequest *request, ResponseClass class, const Failure *failure);

/* The request has come back, but there is no answer to the question, and why. */
extern void job_question_refuse(PageRequest *request, const char *refusal);

/*
 * The answer that is due: a page, which may have a problem; NULL if it was refused.
 * False if the job is over, for the page is of another organisation.
 */
extern bool job_question_answer(Job *job, const PageRequest *request, const ParsedPage **page);

#endif							/* SYNC_ENGINE_JOB_QUESTION_H */
