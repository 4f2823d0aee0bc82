/*-------------------------------------------------------------------------
 *
 * walk.h
 *		Which parents a nested entity's job walks.
 *
 * Parents come from their own data table, in the order of the path's last
 * parameter.  The ledger says whose list this job has read to its end; what is
 * not in it comes, whenever it was inserted.
 *
 * IDENTIFICATION
 *		src/walk.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_WALK_H
#define SYNC_ENGINE_WALK_H

#include "manifest.h"

/* A parent, as the parameters of the path to its list; freed by pfree. */
typedef struct WalkParent
{
	const char *key;			/* the last parameter: names the parent */
	const char *const *params;
} WalkParent;

/* What a walk has come to. */
typedef struct WalkTally
{
	int64		read;			/* parents whose lists were read */
	int64		gone;			/* ... or were not there */
	int64		forbidden;		/* ... or may not be */
	int64		cut_short;		/* ... or ended before their total_count */
} WalkTally;

/* How far a parent's list was read. */
typedef enum WalkOutcome
{
	WALK_READ,
	WALK_GONE,
	WALK_FORBIDDEN,
	WALK_CUT_SHORT
} WalkOutcome;

typedef struct Walk Walk;

/*
 * In the current memory context.  resume: the key where a former lane was, or
 * NULL.  changed: only parents that were written since they were walked, and
 * those whose turn it is again.
 */
extern Walk *walk_create(const Entity *entity, const char *org, int64 job_id, const char *resume, bool changed);

/* Only ids are read: the ledger of those who read records is not touched. */
extern void walk_keep_ledger_of_ids(Walk *walk);

/*
 * The next parent; NULL if there is none but those that were handed out, or if
 * the part of the table that was looked at had none.  Looks in a transaction of
 * its own, at a bounded number of rows; false if the extension is gone.
 */
extern bool walk_next(Walk *walk, WalkParent **parent);

/* Hands a parent out again, before all others. */
extern void walk_push_back(Walk *walk, WalkParent *parent);

/* Whether the whole table has been looked at. */
extern bool walk_is_exhausted(const Walk *walk);

/*
 * Call when that is so and nothing that was handed out is left: looks from the beginning for
 * parents that are not in the ledger.
 */
extern void walk_start_over(Walk *walk);

/* Whether a look from the beginning has found nothing more. */
extern bool walk_is_complete(const Walk *walk);

/* Enters a parent into the ledger; within the transaction of its last page. */
extern void walk_note(const Walk *walk, const WalkParent *parent, WalkOutcome outcome, int64 records);

/* Within a transaction. */
extern void walk_count(const Walk *walk, WalkTally *tally);

#endif							/* SYNC_ENGINE_WALK_H */
