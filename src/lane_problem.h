/*-------------------------------------------------------------------------
 *
 * lane_problem.h
 *		Why no lane can work in this database.
 *
 * IDENTIFICATION
 *		src/lane_problem.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_LANE_PROBLEM_H
#define SYNC_ENGINE_LANE_PROBLEM_H

/* A text, with what to do about it in *hint; NULL if lanes can work. */
extern const char *lane_problem(const char **hint);

#endif							/* SYNC_ENGINE_LANE_PROBLEM_H */
