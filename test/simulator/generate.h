/*-------------------------------------------------------------------------
 *
 * generate.h
 *	  Making records from the catalogue's generators.
 *
 * IDENTIFICATION
 *	  test/simulator/generate.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_GENERATE_H
#define SIM_GENERATE_H

#include "store.h"

/* What a changed row differs in; names and texts may be NULL. */
typedef struct sim_change
{
	int			attribute;		/* -1: none */
	const char *json;			/* its new value; NULL: a generated one */
	uint64_t	salt;			/* for the generated one */
	int			to_one;			/* -1: none */
	uint64_t	ref;			/* its new target */
	bool		stamps;			/* set updated */
	int64_t		updated;
	bool		deletes;
	bool		restores;
	bool		merged;
	uint64_t	batch;
} sim_change;

extern void generate_product(sim_org *org, int product);
extern sim_row *generate_insert(sim_table *table, int64_t stamp,
								const uint64_t *refs);
extern sim_row *generate_changed(sim_table *table, const sim_row *row,
								 const sim_change *change);
extern bool generate_refreshed(sim_table *table, sim_row *row);

#endif							/* SIM_GENERATE_H */
