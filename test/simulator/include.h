/*-------------------------------------------------------------------------
 *
 * include.h
 *	  include=a,b.c : what a request wants along with its records.
 *
 * IDENTIFICATION
 *	  test/simulator/include.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_INCLUDE_H
#define SIM_INCLUDE_H

#include "edge.h"

/* One include: an edge of the primary entity, perhaps one edge further. */
typedef struct sim_include
{
	int			edge;
	int			further;		/* edge of the edge's target, or -1 */
} sim_include;

typedef struct sim_includes
{
	sim_include *items;
	size_t		count;
} sim_includes;

/* What the includes lead to from one record. */
typedef struct sim_inclusion
{
	const sim_includes *includes;
	sim_rows   *near;			/* per include: rows of the edge */
	sim_rows   *far;			/* per include: rows one edge further, repeated */
} sim_inclusion;

/* Every included record once, in the order of discovery. */
typedef struct sim_included
{
	const sim_table **tables;
	sim_row   **rows;
	size_t		count;
	size_t		cap;
	size_t	   *slots;			/* hash set of positions + 1 */
	size_t		slot_count;
} sim_included;

extern void includes_parse(sim_includes *includes, const sim_table *table,
						   const char *text);
extern void inclusion_start(sim_inclusion *inclusion, const sim_includes *includes);
extern void inclusion_follow(sim_inclusion *inclusion, const sim_table *table,
							 const sim_row *row, sim_included *included);
extern void inclusion_free(sim_inclusion *inclusion);
extern void included_free(sim_included *included);

#endif							/* SIM_INCLUDE_H */
