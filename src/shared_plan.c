/*-------------------------------------------------------------------------
 *
 * shared_plan.c
 *		Saved plans of statements that are made at run time, shared by all who
 *		have the same statement.
 *
 * IDENTIFICATION
 *		src/shared_plan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "nodes/pg_list.h"
#include "shared_plan.h"
#include "utils/memutils.h"

/* Plans that nobody uses: those of the jobs that have just ended. */
#define MAX_UNUSED		64

/* The one that was used last is last. */
static List *plans = NIL;
static int	n_unused = 0;

static void
drop_oldest_unused(void)
{
	ListCell   *cell;

	foreach(cell, plans)
	{
		SharedPlan *plan = lfirst(cell);

		if (plan->users > 0)
			continue;
		plans = list_delete_cell(plans, cell);
		n_unused--;
		SPI_freeplan(plan->plan);
		pfree(plan->sql);
		pfree(plan);
		return;
	}
}

static SharedPlan *
make_plan(const char *sql, uint32 hash, int nargs, Oid *types)
{
	SPIPlanPtr	saved = SPI_prepare(sql, nargs, types);
	SharedPlan *plan;

	if (saved == NULL)
		elog(ERROR, "could not plan \"%s\": %s", sql, SPI_result_code_string(SPI_result));
	SPI_keepplan(saved);
	plan = MemoryContextAlloc(TopMemoryContext, sizeof(SharedPlan));
	plan->plan = saved;
	plan->sql = MemoryContextStrdup(TopMemoryContext, sql);
	plan->hash = hash;
	plan->users = 0;
	n_unused++;
	return plan;
}

SharedPlan *
shared_plan_get(const char *sql, int nargs, Oid *types)
{
	uint32		hash = hash_bytes((const unsigned char *) sql, strlen(sql));
	SharedPlan *plan = NULL;
	MemoryContext old;
	ListCell   *cell;

	foreach(cell, plans)
	{
		SharedPlan *other = lfirst(cell);

		if (other->hash == hash && strcmp(other->sql, sql) == 0)
		{
			plan = other;
			break;
		}
	}
	if (plan == NULL)
		plan = make_plan(sql, hash, nargs, types);
	else
		plans = list_delete_cell(plans, cell);
	old = MemoryContextSwitchTo(TopMemoryContext);
	plans = lappend(plans, plan);
	MemoryContextSwitchTo(old);
	n_unused -= plan->users == 0;
	plan->users++;
	return plan;
}

void
shared_plan_release(SharedPlan *plan)
{
	if (plan == NULL || --plan->users > 0)
		return;
	if (++n_unused > MAX_UNUSED)
		drop_oldest_unused();
}
