/*-------------------------------------------------------------------------
 *
 * view.c
 *	  Materialised lists that follow the mutations of their table.
 *
 * A view is one order of one table under one set of conditions.  It is built
 * when first asked for and kept up to date row by row, so that neither deep
 * paging nor a mutation between two pages costs a sort.  Ranges over the
 * leading order key are not part of a view: they are cut out by rank.
 *
 * Owns: the views of each table.  Must never hold a row that its table has
 * replaced: table_replace tells it first.
 *
 * IDENTIFICATION
 *	  test/simulator/view.c
 *
 *-------------------------------------------------------------------------
 */
#include "view.h"

#include <stdlib.h>

/* Enough for every order key of an entity at once, and for some filters. */
#define MAX_VIEWS 40

struct sim_view
{
	char	   *key;
	sim_table  *table;
	sim_ordering ordering;
	sim_conditions conditions;
	sim_index	index;
	uint64_t	used;			/* for dropping the least recently used */
	struct sim_view *next;
};

typedef struct range_edge
{
	const cat_entity *entity;
	sim_column	column;
	bool		descending;
	int64_t		bound;
} range_edge;

static uint64_t use_counter;

/*
 * ordering_compare orders two rows by the keys, then by id ascending whatever
 * the direction.  Nulls come first ascending and last descending.
 */
int
ordering_compare(const sim_row *a, const sim_row *b, const void *context)
{
	const sim_ordering *ordering = context;

	for (size_t i = 0; i < ordering->count; i++)
	{
		int			order = row_compare(ordering->entity, a, b, ordering->keys[i].column);

		if (order != 0)
			return ordering->keys[i].descending ? -order : order;
	}
	return (a->id > b->id) - (a->id < b->id);
}

/*
 * view_key names what a view holds.
 */
static void
view_key(sim_buf *key, const sim_order *order, size_t order_count,
		 const sim_conditions *conditions)
{
	for (size_t i = 0; i < order_count; i++)
		buf_printf(key, "%d,%d,%d;", (int) order[i].column.kind,
				   order[i].column.number, (int) order[i].descending);
	if (conditions != NULL)
		conditions_key(conditions, key);
}

/*
 * view_free releases one view.
 */
static void
view_free(sim_view *view)
{
	index_free(&view->index);
	conditions_free(&view->conditions);
	free(view->key);
	free(view);
}

/*
 * drop_oldest makes room when a table has too many views.
 */
static void
drop_oldest(sim_table *table)
{
	sim_view  **oldest = NULL;
	sim_view   *view;
	int			count = 0;

	for (sim_view **link = &table->views; *link != NULL; link = &(*link)->next)
	{
		count++;
		if (oldest == NULL || (*link)->used < (*oldest)->used)
			oldest = link;
	}
	if (count < MAX_VIEWS)
		return;
	view = *oldest;
	*oldest = view->next;
	view_free(view);
}

/*
 * view_build collects and sorts the rows.  A range over a stamp is answered
 * from the view that is ordered by it, instead of looking at every row.
 */
static void
view_build(sim_view *view)
{
	sim_table  *table = view->table;
	const sim_condition *range = NULL;
	sim_row   **rows = table->rows;
	sim_row   **sorted;
	size_t		count = table->count;
	size_t		kept = 0;

	for (size_t i = 0; i < view->conditions.count; i++)
		if (view->conditions.items[i].kind == CONDITION_RANGE &&
			row_column_type(table->entity, view->conditions.items[i].column) == TYPE_DATE_TIME)
			range = &view->conditions.items[i];
	if (range != NULL)
	{
		sim_order	order = {.column = range->column};
		sim_view   *base = view_get(table, &order, 1, NULL);
		size_t		first;
		size_t		last;

		view_range(base, range, &first, &last);
		count = last > first ? last - first : 0;
		rows = sim_alloc(sizeof(*rows) * count);
		count = index_slice(&base->index, first, count, rows);
	}
	sorted = sim_alloc(sizeof(*sorted) * count);
	for (size_t i = 0; i < count; i++)
		if (!rows[i]->deleted && conditions_hold(&view->conditions, table, rows[i]))
			sorted[kept++] = rows[i];
	index_build(&view->index, ordering_compare, &view->ordering, sorted, kept);
	free(sorted);
	if (range != NULL)
		free(rows);
}

/*
 * view_get returns the view of an order under conditions (NULL: none).  It is
 * valid until the next call.
 */
sim_view *
view_get(sim_table *table, const sim_order *order, size_t order_count,
		 const sim_conditions *conditions)
{
	static sim_buf key;
	sim_view   *view;

	buf_reset(&key);
	buf_reserve(&key, 0);
	view_key(&key, order, order_count, conditions);
	for (view = table->views; view != NULL; view = view->next)
		if (strcmp(view->key, key.data) == 0)
		{
			view->used = ++use_counter;
			return view;
		}
	view = sim_alloc0(sizeof(*view));
	view->key = sim_strdup(key.data);
	view->table = table;
	view->ordering.entity = table->entity;
	view->ordering.count = order_count;
	if (order_count > 0)
		memcpy(view->ordering.keys, order, sizeof(*order) * order_count);
	if (conditions != NULL)
		conditions_copy(&view->conditions, conditions, NULL);
	view_build(view);
	drop_oldest(table);
	view->used = ++use_counter;
	view->next = table->views;
	table->views = view;
	return view;
}

/*
 * view_index returns the rows of a view.
 */
const sim_index *
view_index(const sim_view *view)
{
	return &view->index;
}

/*
 * before_bound tells whether a row lies before the rows of a range: nulls
 * first and smaller values ascending, greater values descending.
 */
static bool
before_bound(const sim_row *row, const void *context)
{
	const range_edge *edge = context;
	int64_t		number;

	if (!row_number(edge->entity, row, edge->column, &number))
		return !edge->descending;
	return edge->descending ? number > edge->bound : number < edge->bound;
}

/*
 * not_beyond tells whether a row does not lie beyond the range's end.
 */
static bool
not_beyond(const sim_row *row, const void *context)
{
	const range_edge *edge = context;
	int64_t		number;

	if (!row_number(edge->entity, row, edge->column, &number))
		return !edge->descending;
	return edge->descending ? number >= edge->bound : number <= edge->bound;
}

/*
 * view_range finds the ranks [first, last) of a range over the leading key.
 */
void
view_range(const sim_view *view, const sim_condition *range,
		   size_t *first, size_t *last)
{
	bool		descending = view->ordering.keys[0].descending;
	range_edge	edge = {view->table->entity, range->column, descending,
	descending ? range->last : range->first};

	*first = index_rank(&view->index, before_bound, &edge);
	edge.bound = descending ? range->first : range->last;
	*last = index_rank(&view->index, not_beyond, &edge);
	if (*last < *first)
		*last = *first;
}

/*
 * view_replace brings every view of a table from one version of a row to the
 * next; either may be NULL.
 */
void
view_replace(sim_table *table, sim_row *old, sim_row *new)
{
	for (sim_view *view = table->views; view != NULL; view = view->next)
	{
		if (old != NULL && !old->deleted)
			index_remove(&view->index, old);
		if (new != NULL && !new->deleted &&
			conditions_hold(&view->conditions, table, new))
			index_insert(&view->index, new);
	}
}

/*
 * view_drop_all forgets every view of a table.
 */
void
view_drop_all(sim_table *table)
{
	while (table->views != NULL)
	{
		sim_view   *view = table->views;

		table->views = view->next;
		view_free(view);
	}
}
