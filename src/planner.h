/*-------------------------------------------------------------------------
 *
 * planner.h
 *		Turns a queued run into jobs.
 *
 * IDENTIFICATION
 *		src/planner.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_PLANNER_H
#define SYNC_ENGINE_PLANNER_H

/*
 * Plans the next queued run: pulls in missing parents, sorts the entities by
 * the dependency graph, makes the jobs.  Within a transaction of a lane.
 * pauses: some of them may have to stand still.  False if no run is queued.
 */
extern bool planner_plan_next_run(bool pauses);

/*
 * After an error in that, in a transaction of its own: the run is planned again
 * later, or fails after too many attempts.  False if the error was no run's.
 */
extern bool planner_note_failure(const char *sqlstate, const char *message);

#endif							/* SYNC_ENGINE_PLANNER_H */
