/*-------------------------------------------------------------------------
 *
 * view.h
 *	  Materialised lists that follow the mutations of their table.
 *
 * IDENTIFICATION
 *	  test/simulator/view.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_VIEW_H
#define SIM_VIEW_H

#include "condition.h"
#include "index.h"

typedef struct sim_order
{
	sim_column	column;
	bool		descending;
} sim_order;

/* More order keys than anyone sends; the rest is cut off. */
#define MAX_ORDER_KEYS 8

typedef struct sim_ordering
{
	const cat_entity *entity;
	sim_order	keys[MAX_ORDER_KEYS];
	size_t		count;
} sim_ordering;

typedef struct sim_view sim_view;

extern sim_view *view_get(sim_table *table, const sim_order *order,
						  size_t order_count, const sim_conditions *conditions);
extern const sim_index *view_index(const sim_view *view);
extern void view_range(const sim_view *view, const sim_condition *range,
					   size_t *first, size_t *last);
extern void view_replace(sim_table *table, sim_row *old, sim_row *new);
extern void view_drop_all(sim_table *table);
extern int	ordering_compare(const sim_row *a, const sim_row *b, const void *context);

#endif							/* SIM_VIEW_H */
