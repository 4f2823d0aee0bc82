/*-------------------------------------------------------------------------
 *
 * inbox.h
 *		Requests of users' backends to a lane, and its answers.
 *
 * A backend cannot commit in the middle of its own transaction, so sync_run
 * hands its request over in shared memory; a lane enqueues it in a transaction
 * of its own and says which run it became.
 *
 * IDENTIFICATION
 *		src/inbox.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_INBOX_H
#define SYNC_ENGINE_INBOX_H

#include "queue.h"
#include "shmem.h"

/* For backends: takes a waiter slot and asks for a run, or watches one. */
extern WaiterSlot *inbox_request_run(const RunRequest *request);
extern WaiterSlot *inbox_watch_run(int64 run_id);
extern void inbox_leave(WaiterSlot *waiter, bool cancel_run);

/* For lanes. */
/*
 * Takes the next request, or the next wish to cancel; false if there is none.
 * After an error: a request that was being taken is refused, a cancel is tried
 * again.
 */
extern bool inbox_take_next(void);
extern void inbox_refuse_taken(const char *error);
extern void inbox_give_back(void);	/* what this lane took and did not finish */
extern void inbox_reject_requests(const char *error);
extern void inbox_wake_watchers(void);

#endif							/* SYNC_ENGINE_INBOX_H */
