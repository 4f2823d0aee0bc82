/*-------------------------------------------------------------------------
 *
 * index.h
 *	  A sorted sequence of rows with access by rank.
 *
 * IDENTIFICATION
 *	  test/simulator/index.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_INDEX_H
#define SIM_INDEX_H

#include "store.h"

/* Order of two different rows of one table; never 0. */
typedef int (*index_compare) (const sim_row *a, const sim_row *b, const void *context);

/* Whether a row lies before the wanted place (a monotonic predicate). */
typedef bool (*index_before) (const sim_row *row, const void *context);

typedef struct index_block
{
	sim_row   **rows;
	size_t		count;
} index_block;

typedef struct sim_index
{
	index_compare compare;
	const void *context;
	index_block *blocks;
	size_t		block_count;
	size_t		total;
} sim_index;

extern void index_build(sim_index *index, index_compare compare,
						const void *context, sim_row **rows, size_t count);
extern void index_insert(sim_index *index, sim_row *row);
extern bool index_remove(sim_index *index, const sim_row *row);
extern size_t index_rank(const sim_index *index, index_before before,
						 const void *context);
extern size_t index_slice(const sim_index *index, size_t first, size_t count,
						  sim_row **rows);
extern void index_free(sim_index *index);

#endif							/* SIM_INDEX_H */
