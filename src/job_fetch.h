/*-------------------------------------------------------------------------
 *
 * job_fetch.h
 *		Asks for the pages of a job, and takes the answers.
 *
 * IDENTIFICATION
 *		src/job_fetch.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_JOB_FETCH_H
#define SYNC_ENGINE_JOB_FETCH_H

#include "job.h"

/*
 * Plans and sends what may be sent now; sets wake_at.  window: how far ahead
 * of the page that is due; *room: how many requests the lane has left.
 */
extern void job_fetch_send(Job *job, HttpClient *client, int window, int *room);

/* Takes an answer to one of its requests. */
extern void job_fetch_take(Job *job, PageRequest *request);

/* Whether the next page is there; and applies it. */
extern bool job_fetch_can_apply(const Job *job);
extern void job_fetch_apply(Job *job);

#endif							/* SYNC_ENGINE_JOB_FETCH_H */
