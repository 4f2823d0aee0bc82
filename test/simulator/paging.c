/*-------------------------------------------------------------------------
 *
 * paging.c
 *	  Changes that happen between the pages of a list.
 *
 * Owns: the plans.  Must never change anything before the page it follows is
 * complete.
 *
 * IDENTIFICATION
 *	  test/simulator/paging.c
 *
 *-------------------------------------------------------------------------
 */
#include "mutate.h"

#include <stdlib.h>

typedef struct paging_plan
{
	sim_table  *table;
	uint64_t	every;			/* pages between two rounds */
	uint64_t	inserts;
	uint64_t	updates;
	uint64_t	deletes;
	int64_t		times;			/* rounds left; negative = for ever */
	uint64_t	pages;			/* served since the last round */
	struct paging_plan *next;
} paging_plan;

static paging_plan *plans;

/*
 * forget_if drops the plans of one table, or of one organisation (NULL: all).
 */
static void
forget_if(const sim_table *table, const sim_org *org)
{
	for (paging_plan **link = &plans; *link != NULL;)
	{
		paging_plan *plan = *link;

		if (table ? plan->table != table : org != NULL && plan->table->org != org)
		{
			link = &plan->next;
			continue;
		}
		*link = plan->next;
		free(plan);
	}
}

/*
 * paging_forget drops the plans of an organisation (NULL: of all).
 */
void
paging_forget(const sim_org *org)
{
	forget_if(NULL, org);
}

/*
 * paging_plan_changes arms changes after every so many pages of a table's
 * lists, in place of earlier plans; times 0 only ends those.
 */
void
paging_plan_changes(sim_table *table, uint64_t every, uint64_t inserts,
					uint64_t updates, uint64_t deletes, int64_t times)
{
	paging_plan *plan;

	forget_if(table, NULL);
	if (times == 0 || every == 0)
		return;
	plan = sim_alloc0(sizeof(*plan));
	plan->table = table;
	plan->every = every;
	plan->inserts = inserts;
	plan->updates = updates;
	plan->deletes = deletes;
	plan->times = times;
	plan->next = plans;
	plans = plan;
}

/*
 * apply runs one kind of change.
 */
static void
apply(sim_table *table, const char *op, uint64_t count)
{
	sim_mutation mutation = {.op = op, .count = count, .stamp = true, .at = stamp_api_now()};
	sim_rows	affected = {0};

	mutate_apply(table, &mutation, &affected);
	rows_free(&affected);
}

/*
 * paging_served notes that a page of a table's list went out.
 */
void
paging_served(sim_table *table)
{
	for (paging_plan *plan = plans; plan != NULL; plan = plan->next)
	{
		if (plan->table != table || plan->times == 0 || ++plan->pages < plan->every)
			continue;
		plan->pages = 0;
		if (plan->times > 0)
			plan->times--;
		apply(table, "insert", plan->inserts);
		apply(table, "update", plan->updates);
		apply(table, "delete", plan->deletes);
	}
}
