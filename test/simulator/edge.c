/*-------------------------------------------------------------------------
 *
 * edge.c
 *	  Following a row's outbound edges to other rows.
 *
 * Owns: nothing.  Must never return a deleted row.
 *
 * IDENTIFICATION
 *	  test/simulator/edge.c
 *
 *-------------------------------------------------------------------------
 */
#include "edge.h"

#include "condition.h"
#include "view.h"

#include <stdlib.h>

/*
 * rows_add appends a row to a set.
 */
void
rows_add(sim_rows *rows, sim_row *row)
{
	if (rows->count == rows->cap)
	{
		rows->cap = rows->cap ? rows->cap * 2 : 16;
		rows->rows = sim_grow(rows->rows, sizeof(*rows->rows) * rows->cap);
	}
	rows->rows[rows->count++] = row;
}

/*
 * rows_free releases a set.
 */
void
rows_free(sim_rows *rows)
{
	free(rows->rows);
	memset(rows, 0, sizeof(*rows));
}

/*
 * edge_children appends all live rows of a table whose to-one is an id, in id
 * order, whoever may see them.
 */
void
edge_children(sim_table *child, int to_one, uint64_t id, sim_rows *rows)
{
	sim_order	order = {.column = {COLUMN_TO_ONE, to_one}};
	sim_view   *view = view_get(child, &order, 1, NULL);
	sim_condition wanted = {.kind = CONDITION_RANGE, .column = order.column,
	.first = (int64_t) id, .last = (int64_t) id};
	size_t		first;
	size_t		last;

	view_range(view, &wanted, &first, &last);
	if (rows->cap < rows->count + (last - first))
	{
		rows->cap = rows->count + (last - first);
		rows->rows = sim_grow(rows->rows, sizeof(*rows->rows) * rows->cap);
	}
	if (last > first)
		rows->count += index_slice(view_index(view), first, last - first,
								   rows->rows + rows->count);
}

/*
 * add_live appends a table's row if it is not deleted.
 */
static void
add_live(const sim_table *table, uint64_t id, sim_rows *rows)
{
	sim_row    *row = id ? table_find_live(table, id) : NULL;

	if (row != NULL)
		rows_add(rows, row);
}

/*
 * edge_true_rows appends the rows that an edge leads to, whoever may see them.
 */
void
edge_true_rows(const sim_table *table, const sim_row *row, int edge, sim_rows *rows)
{
	const cat_edge *e = &table->entity->edges[edge];
	sim_org    *org = table->org;
	sim_rows	middle = {0};
	sim_table  *target;
	uint64_t	id;

	if (e->kind == EDGE_NONE)
		return;
	target = org_table(org, e->target);
	switch (e->kind)
	{
		case EDGE_WHERE:
			edge_children(target, e->a, row->id, rows);
			break;
		case EDGE_THROUGH:
			edge_children(org_table(org, e->middle), e->a, row->id, &middle);
			for (size_t i = 0; i < middle.count; i++)
				add_live(target, row_refs(middle.rows[i])[e->b], rows);
			rows_free(&middle);
			break;
		case EDGE_REF:
			id = row_refs(row)[e->a];
			if (e->b >= 0)
			{
				sim_row    *next = id ?
					table_find_live(org_table(org, table->entity->to_one[e->a].target), id)
					: NULL;

				id = next ? row_refs(next)[e->b] : 0;
			}
			add_live(target, id, rows);
			break;
		default:
			add_live(target, org->id, rows);
	}
}

/*
 * edge_rows appends the rows that an edge shows to the token.
 */
void
edge_rows(const sim_table *table, const sim_row *row, int edge, sim_rows *rows)
{
	int			number = table->entity->edges[edge].target;
	size_t		kept = rows->count;
	const sim_table *target;

	if (number < 0 || (target = org_table(table->org, number))->forbidden)
		return;
	edge_true_rows(table, row, edge, rows);
	for (size_t i = kept; i < rows->count; i++)
		if (row_visible(target, rows->rows[i]))
			rows->rows[kept++] = rows->rows[i];
	rows->count = kept;
}
