/*-------------------------------------------------------------------------
 *
 * blockers.h
 *		Who keeps a lane from a data table.
 *
 * IDENTIFICATION
 *		src/blockers.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_BLOCKERS_H
#define SYNC_ENGINE_BLOCKERS_H

/*
 * For lanes: names the processes whose locks on a table keep a job from
 * writing it, in memory of the current context.  Where one of them waits for
 * a run, it is told of the job.
 */
extern char *blockers_of_table(int64 job_id, Oid relation);

/*
 * The same if there are any: locks a table to be written, or raises 55P03, which
 * names them and lets the job wait, instead of queueing behind them.
 */
extern void blockers_lock_table(int64 job_id, Oid relation);

/*
 * For backends: whether the caller keeps a lane of its database waiting, and
 * with which job (0 = with none, but with finding work).
 */
extern bool blockers_include_me(int64 *job_id);

/* Whether a run cannot end before this job goes on.  Within an owner scope. */
extern bool blockers_stop_run(int64 job_id, int64 run_id);

#endif							/* SYNC_ENGINE_BLOCKERS_H */
