/*-------------------------------------------------------------------------
 *
 * edge.h
 *	  Following a row's outbound edges to other rows.
 *
 * IDENTIFICATION
 *	  test/simulator/edge.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_EDGE_H
#define SIM_EDGE_H

#include "store.h"

typedef struct sim_rows
{
	sim_row   **rows;
	size_t		count;
	size_t		cap;
} sim_rows;

extern void rows_add(sim_rows *rows, sim_row *row);
extern void rows_free(sim_rows *rows);
extern void edge_children(sim_table *child, int to_one, uint64_t id, sim_rows *rows);
extern void edge_true_rows(const sim_table *table, const sim_row *row, int edge,
						   sim_rows *rows);
extern void edge_rows(const sim_table *table, const sim_row *row, int edge,
					  sim_rows *rows);

#endif							/* SIM_EDGE_H */
