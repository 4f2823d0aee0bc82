/*-------------------------------------------------------------------------
 *
 * job_documentation.h
 *		The inquiry that reads a product's documentation.
 *
 * IDENTIFICATION
 *		src/job_documentation.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_JOB_DOCUMENTATION_H
#define SYNC_ENGINE_JOB_DOCUMENTATION_H

#include "job_inquiry.h"

/* See Inquiry. */
extern void documentation_ask(Job *job);
extern InquiryResult documentation_store(Job *job, const HttpResponse *response,
										 const Failure *failure);

#endif							/* SYNC_ENGINE_JOB_DOCUMENTATION_H */
