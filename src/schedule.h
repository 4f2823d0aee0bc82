/*-------------------------------------------------------------------------
 *
 * schedule.h
 *		Schedules: rows that say which org is synced when.
 *
 * Everything here runs inside an owner scope and SPI.
 *
 * IDENTIFICATION
 *		src/schedule.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_SCHEDULE_H
#define SYNC_ENGINE_SCHEDULE_H

#include "cron_text.h"
#include "nodes/pg_list.h"

/* A cron text that was checked; raises an error that names the argument if it is none. */
extern void schedule_parse_cron(const char *text, CronText *cron);

/*
 * Whoever changes schedules does so alone, until the end of the transaction: else
 * one could take away the job of a cron text that another has just begun to use.
 */
extern void schedule_lock(void);

/* Stores one, or finds the one that is like it (entities may be 0 for NULL); its id. */
extern int64 schedule_store(const char *org, const char *mode, const char *cron, Datum entities, int priority);

/* The one of an org and mode by default: stores it, or gives it that cron text; its id. */
extern int64 schedule_store_default(const char *org, const char *mode, const char *cron);

/* Whether there was one. */
extern bool schedule_remove(int64 id);

/* Whether an org has any; and all of them. */
extern bool schedule_exists(const char *org);
extern void schedule_remove_org(const char *org);

/*
 * Makes the jobs of pg_cron what the schedules need: now if it works in this
 * database, else after commit, by a lane.
 */
extern void schedule_follow(void);

/* The same, for those who have something else to do: what fails is a WARNING. */
extern void schedule_try_to_follow(void);

/*
 * Does it in a subtransaction; the error that it raised and that was rolled back, or
 * NULL.  Somebody's cancel is raised again.
 */
extern ErrorData *schedule_attempt(void (*act) (void *), void *arg);

/* Asks for the runs of all schedules with that cron text; how many. */
extern int64 schedule_tick(const char *cron);

/* The cron texts of an org's default schedules, by the clock of its time zone. */
typedef struct DefaultCrons
{
	char		delta[CRON_TEXT_SIZE];
	char		reconcile[CRON_TEXT_SIZE];
	char		full[CRON_TEXT_SIZE];
} DefaultCrons;

extern void schedule_default_crons(const char *org, DefaultCrons *crons);

#endif							/* SYNC_ENGINE_SCHEDULE_H */
