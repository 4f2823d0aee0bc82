/*-------------------------------------------------------------------------
 *
 * cron_jobs.h
 *		Jobs of pg_cron: one for each distinct cron text of a database's schedules.
 *
 * pg_cron lives in one database of the cluster, cron.database_name.  What changes
 * its jobs runs there: in a transaction of ours if it is this database, else in a
 * worker (cron_keeper.h).
 *
 * IDENTIFICATION
 *		src/cron_jobs.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_CRON_JOBS_H
#define SYNC_ENGINE_CRON_JOBS_H

/* Whose jobs they are.  Their names carry it, so that others' are left alone. */
typedef struct CronOwner
{
	Oid			database;
	Oid			extension;		/* InvalidOid = of any that the database had */
} CronOwner;

/* The database that pg_cron works in; NULL if it is not loaded. */
extern const char *cron_database(void);

/* Whether that is this database. */
extern bool cron_is_here(void);

/*
 * Raises an error, with what to install and set, unless there is pg_cron, 1.`minor`
 * at the least.  Whether it was created in another database is seen only there.
 */
extern void cron_require(int minor);

/* What follows needs SPI and a snapshot, in pg_cron's database. */

/* Whether its extension was created here. */
extern bool cron_jobs_available(void);

/*
 * Makes the jobs for these cron texts (array of text), as that role (NULL = the
 * current one), and takes away all others that are this database's.
 */
extern void cron_jobs_follow(Datum texts, const CronOwner *owner, const char *database, const char *role);

/* Takes all away that are its, if there is a pg_cron. */
extern void cron_jobs_forget(const CronOwner *owner);

/* The same, in a transaction of whomever, which need not have SPI or a snapshot. */
extern void cron_jobs_forget_here(const CronOwner *owner);

/* A row for each of these cron texts whose job is missing or fails: text, problem. */
extern void cron_jobs_look(Datum texts, const CronOwner *owner);

#endif							/* SYNC_ENGINE_CRON_JOBS_H */
