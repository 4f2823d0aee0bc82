/*-------------------------------------------------------------------------
 *
 * wait.h
 *		How a user's backend waits for a run.
 *
 * IDENTIFICATION
 *		src/wait.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_WAIT_H
#define SYNC_ENGINE_WAIT_H

#include "queue.h"

/*
 * Has a run enqueued by a lane and waits for its end; returns its id.  A
 * cancelled query cancels the run; a lost connection leaves it running.
 */
extern int64 wait_run_request(const RunRequest *request);

/*
 * Waits for the end of a run, or for so long (negative: for ever); returns
 * its status then.
 */
extern char *wait_run(int64 run_id, int64 timeout_ms);

#endif							/* SYNC_ENGINE_WAIT_H */
