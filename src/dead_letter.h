/*-------------------------------------------------------------------------
 *
 * dead_letter.h
 *		Records that could not be stored.
 *
 * IDENTIFICATION
 *		src/dead_letter.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_DEAD_LETTER_H
#define SYNC_ENGINE_DEAD_LETTER_H

#include "manifest.h"

typedef struct DeadLetter
{
	const char *record_id;		/* NULL if it has none */
	const char *payload;		/* valid JSON */
	const char *reason;
	const char *sqlstate;
} DeadLetter;

/* Within a transaction of a lane.  The same letter twice is one. */
extern void dead_letter_add(const char *org, const Entity *entity, int64 run_id, int64 job_id,
							const DeadLetter *letter);

extern int64 dead_letter_count_open(const char *org, const Entity *entity);

/* Closes the open letters of records that are in now; returns how many. */
extern int64 dead_letter_close(const char *org, const Entity *entity, Datum ids);

/*
 * At the end of a job: closes the open letters of records without an id, if
 * the job has read the whole list and met them no more.
 */
extern void dead_letter_close_unmet(const char *org, const Entity *entity, int64 run_id,
									int64 job_id);

#endif							/* SYNC_ENGINE_DEAD_LETTER_H */
