/*-------------------------------------------------------------------------
 *
 * cron_keeper.h
 *		Jobs of a pg_cron that works in another database.
 *
 * A worker that lives for one order connects there.  What the schedules need is
 * read by a lane after they were committed, so whatever comes in whatever order,
 * the jobs end as the schedules do.
 *
 * IDENTIFICATION
 *		src/cron_keeper.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_CRON_KEEPER_H
#define SYNC_ENGINE_CRON_KEEPER_H

#include "cron_jobs.h"

/* Lane: sends a worker if the jobs there are not what the schedules need. */
extern void cron_keeper_look(void);

/* Lane: whether one is under way, and its lane had better stay. */
extern bool cron_keeper_is_busy(void);

/* Lane: takes down what has become of it, if it is done. */
extern void cron_keeper_collect(void);

/*
 * By a worker, too: takes all jobs away that are its, if and when the present
 * transaction commits; only a WARNING if none can be had for it.
 */
extern void cron_keeper_forget(const CronOwner *owner);

#endif							/* SYNC_ENGINE_CRON_KEEPER_H */
