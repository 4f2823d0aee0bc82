/*-------------------------------------------------------------------------
 *
 * activity.h
 *		The kinds of step that runs and jobs are made of, and how each is retried.
 *
 * A step that fails is tried again by itself, after a delay that doubles, with
 * jitter so that many do not come back together; what succeeded before it is not
 * repeated.  Waiting for somebody's lock, for the rate limit or for a pause is no
 * attempt.
 *
 * IDENTIFICATION
 *		src/activity.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_ACTIVITY_H
#define SYNC_ENGINE_ACTIVITY_H

typedef struct ActivityPolicy
{
	int			max_attempts;
	int			first_delay_ms;
	int			longest_delay_ms;
} ActivityPolicy;

typedef struct Activity
{
	const char *kind;			/* as in sync_activities */
	ActivityPolicy policy;
} Activity;

/* A run's: which entities, in which order, as which jobs. */
extern const Activity activity_load_manifest;
extern const Activity activity_build_dependency_graph;
extern const Activity activity_create_jobs;

/* A job's: credential and tables; a page asked for; a page written; the end. */
extern const Activity activity_start_job;
extern const Activity activity_sync_page;
extern const Activity activity_write_page;
extern const Activity activity_update_status;

/* How long to wait after so many failed attempts, in milliseconds. */
extern int	activity_delay_ms(const Activity *activity, int attempts);

#endif							/* SYNC_ENGINE_ACTIVITY_H */
