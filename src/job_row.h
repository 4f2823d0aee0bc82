/*-------------------------------------------------------------------------
 *
 * job_row.h
 *		A job's row, as the lane that holds it moves it.
 *
 * All within a transaction, but for job_row_retry.
 *
 * IDENTIFICATION
 *		src/job_row.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_JOB_ROW_H
#define SYNC_ENGINE_JOB_ROW_H

#include "job.h"

/*
 * A page's first statement: moves the row under its epoch.  False if the lease
 * is lost.  As long as nothing is known of the page's records, they count as
 * unchanged.
 */
extern bool job_row_move(Job *job, const char *position, int64 n_new, int64 expected);

/* It reads all of its list, from that position on, whatever was asked for: why. */
extern void job_row_make_full(Job *job, const char *position, const char *reason);

/* Moves what was not unchanged to where it belongs. */
extern void job_row_count(Job *job, const WriteCounts *counts);

/* Adds what was requested since the row was moved. */
extern void job_row_save_requests(Job *job);

/*
 * The attempt becomes visible, with the time of the next; in a transaction of
 * its own.
 */
extern void job_row_retry(Job *job, int attempts, const Failure *failure, int delay_ms);

/* A page came after all. */
extern void job_row_close_retry(Job *job);

#endif							/* SYNC_ENGINE_JOB_ROW_H */
