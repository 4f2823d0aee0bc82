/*-------------------------------------------------------------------------
 *
 * job_children.h
 *		The inquiry for a person's children, some of which a merge moved there.
 *
 * IDENTIFICATION
 *		src/job_children.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_JOB_CHILDREN_H
#define SYNC_ENGINE_JOB_CHILDREN_H

#include "job.h"

extern void children_ask(Job *job);
extern void children_finish(Job *job, const HttpResponse *response, const Failure *failure);

#endif							/* SYNC_ENGINE_JOB_CHILDREN_H */
