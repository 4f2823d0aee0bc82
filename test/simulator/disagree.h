/*-------------------------------------------------------------------------
 *
 * disagree.h
 *	  Lists whose relationships and included records disagree.
 *
 * IDENTIFICATION
 *	  test/simulator/disagree.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_DISAGREE_H
#define SIM_DISAGREE_H

#include "include.h"

typedef enum sim_disagree_kind
{
	DISAGREE_MISSING_INCLUDED,	/* named, but not in included */
	DISAGREE_MISSING_RELATIONSHIP,	/* in included, but not named */
	DISAGREE_NONE
} sim_disagree_kind;

struct sim_disagreement;

/* What one reply does about it. */
typedef struct sim_disagree
{
	struct sim_disagreement *rule;	/* NULL: the reply is sound */
	size_t		include;		/* which of the request's includes */
	const sim_row *victim;		/* NULL until there is one */
} sim_disagree;

extern const char *disagree_add(const sim_table *table, const char *include,
								const char *kind, int64_t times);
extern void disagree_start(sim_disagree *disagree, const sim_table *table,
						   const sim_includes *includes);
extern void disagree_record(sim_disagree *disagree, sim_inclusion *inclusion);
extern void disagree_finish(sim_disagree *disagree, sim_included *included);

#endif							/* SIM_DISAGREE_H */
