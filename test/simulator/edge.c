/*-------------------------------------------------------------------------
 *
 * edge.c
 *	  Following a row's outbound edges to other rows.
 *
 * Owns: nothing.  Must never return a deleted row, nor one that belongs to a
 * hidden one.
 *
 * IDENTIFICATION
 *	  test/simulator/edge.c
 *
 *-------------------------------------------------------------------------
 */
#include "edge.h"

#include "condition.h"
#include "reach.h"
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
 * add_once appends a table's row unless it is deleted or in the set from start on.
 */
static void
add_once(const sim_table *table, uint64_t id, size_t start, sim_rows *rows)
{
	for (size_t i = start; i < rows->count; i++)
		if (rows->rows[i]->id == id)
			return;
	add_live(table, id, rows);
}

/*
 * add_some appends the rows that were drawn for a row: as many of the target's
 * generated ones as it says, those that are left of them.
 */
static void
add_some(const sim_table *table, const sim_row *row, const cat_edge *edge,
		 const sim_table *target, sim_rows *rows)
{
	uint64_t	draw = hash_mix(hash_mix(row->id + table->org->seed) ^ hash_text(edge->name) ^
								hash_text(table->entity->type));
	size_t		count = (size_t) edge->lo + draw % (size_t) (edge->hi - edge->lo + 1);

	draw = hash_mix(draw);
	for (size_t i = 0; i < count && i < target->initial; i++)
	{
		sim_row    *drawn = target->rows[(draw + i) % target->initial];

		if (!drawn->deleted)
			rows_add(rows, drawn);
	}
}

/*
 * keep_exposed drops rows that belong to something hidden, and all but the last
 * one if the edge leads to one row.
 */
static void
keep_exposed(const sim_table *target, size_t start, bool many, sim_rows *rows)
{
	size_t		kept = start;

	for (size_t i = start; i < rows->count; i++)
		if (!target->entity->shaded || !reach_is_shaded(target, rows->rows[i]))
			rows->rows[kept++] = rows->rows[i];
	rows->count = kept;
	if (!many && kept > start + 1)
	{
		rows->rows[start] = rows->rows[kept - 1];
		rows->count = start + 1;
	}
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
	size_t		start = rows->count;
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
				add_once(target, row_refs(middle.rows[i])[e->b], start, rows);
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
		case EDGE_SOME:
			add_some(table, row, e, target, rows);
			break;
		default:
			add_live(target, org->id, rows);
	}
	keep_exposed(target, start, e->many, rows);
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
