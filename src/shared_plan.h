/*-------------------------------------------------------------------------
 *
 * shared_plan.h
 *		Saved plans of statements that are made at run time, shared by all who
 *		have the same statement.
 *
 * A lane has hundreds of jobs that write a handful of tables; a plan takes tens of
 * kilobytes and a millisecond.
 *
 * IDENTIFICATION
 *		src/shared_plan.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_SHARED_PLAN_H
#define SYNC_ENGINE_SHARED_PLAN_H

#include "executor/spi.h"

typedef struct SharedPlan
{
	SPIPlanPtr	plan;
	char	   *sql;
	uint32		hash;			/* of it */
	int			users;
} SharedPlan;

/*
 * The plan of a statement, whose argument types the text implies.  Within SPI; may
 * raise an error.  It is to be released, by each who got it.
 */
extern SharedPlan *shared_plan_get(const char *sql, int nargs, Oid *types);

/* Plans that nobody uses are kept for a while; NULL is no plan. */
extern void shared_plan_release(SharedPlan *plan);

#endif							/* SYNC_ENGINE_SHARED_PLAN_H */
