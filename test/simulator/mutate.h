/*-------------------------------------------------------------------------
 *
 * mutate.h
 *	  Changing the truth.
 *
 * IDENTIFICATION
 *	  test/simulator/mutate.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_MUTATE_H
#define SIM_MUTATE_H

#include "edge.h"
#include "generate.h"

typedef struct sim_mutation
{
	const char *op;				/* insert update touch delete restore */
	uint64_t	id;				/* 0: rows are chosen */
	uint64_t	count;
	const char *attribute;		/* NULL: one that may change */
	const char *value;			/* NULL: a generated one */
	bool		null;			/* the value is null */
	bool		stamp;			/* move updated_at */
	int64_t		at;
} sim_mutation;

extern const char *mutate_apply(sim_table *table, const sim_mutation *mutation,
								sim_rows *affected);
extern sim_change mutate_no_change(void);
extern void mutate_refresh_targets(const sim_table *table, const sim_row *row);

/* merge.c */
extern const char *mutate_merge(sim_org *org, uint64_t keep, uint64_t remove,
								int64_t at, uint64_t *merger);
extern const char *mutate_demote(sim_org *org, uint64_t id, int64_t at,
								 uint64_t *promoted);

/* paging.c */
extern void paging_plan_changes(sim_table *table, uint64_t every, uint64_t inserts,
								uint64_t updates, uint64_t deletes, int64_t times);
extern void paging_served(sim_table *table);
extern void paging_forget(const sim_org *org);

#endif							/* SIM_MUTATE_H */
