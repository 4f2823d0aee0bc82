/*-------------------------------------------------------------------------
 *
 * reach.c
 *	  Which records a client can find at all, and how.
 *
 * Facts: what belongs to a hidden record is not shown either.  Some records
 * have no list of their own and several parents that show them (a group's
 * location, the slides of a song's last item): those exist for a client that
 * some parent shows.
 *
 * Owns: nothing.  Must never heed a permission: those narrow what is found.
 *
 * IDENTIFICATION
 *	  test/simulator/reach.c
 *
 *-------------------------------------------------------------------------
 */
#include "reach.h"

#include "query.h"

#include <stdlib.h>

/*
 * is_hidden tells whether lists leave a row out unless asked for it.
 */
static bool
is_hidden(const cat_entity *entity, const sim_row *row)
{
	return entity->hide != NULL &&
		!row_is_null(entity, row, entity_attribute(entity, entity->hide));
}

/*
 * reach_is_shaded tells whether a row belongs, at any distance, to a hidden one.
 */
bool
reach_is_shaded(const sim_table *table, const sim_row *row)
{
	while (table->entity->shaded)
	{
		const cat_entity *entity = table->entity;

		table = org_table(table->org, entity->to_one[entity->owner].target);
		row = table_find(table, row_refs(row)[entity->owner]);
		if (row == NULL)
			return false;
		if (is_hidden(table->entity, row))
			return true;
	}
	return false;
}

/*
 * compare_places orders rows by their address, so that equal ones meet.
 */
static int
compare_places(const void *a, const void *b)
{
	uintptr_t	x = (uintptr_t) *(sim_row *const *) a;
	uintptr_t	y = (uintptr_t) *(sim_row *const *) b;

	return (x > y) - (x < y);
}

/*
 * keep_once drops the repetitions in a set.
 */
static void
keep_once(sim_rows *rows)
{
	size_t		kept = 0;

	if (rows->count > 1)
		qsort(rows->rows, rows->count, sizeof(sim_row *), compare_places);
	for (size_t i = 0; i < rows->count; i++)
		if (kept == 0 || rows->rows[kept - 1] != rows->rows[i])
			rows->rows[kept++] = rows->rows[i];
	rows->count = kept;
}

/*
 * listed_rows appends what the lists of an entity show, under a filter.
 */
static void
listed_rows(sim_table *table, const char *filter, sim_rows *rows)
{
	sim_query	query = {.table = table, .limit = table->count};
	sim_page	page = {.rows = sim_alloc(sizeof(sim_row *) * table->count)};

	query.ordering.entity = table->entity;
	query_filter(&query, filter, NULL);
	query_run(&query, &page);
	query_free(&query);
	for (size_t i = 0; i < page.count; i++)
		if (!reach_is_shaded(table, page.rows[i]))
			rows_add(rows, page.rows[i]);
	free(page.rows);
}

/*
 * reach_rows appends every row that a client with all permissions can find.
 */
void
reach_rows(sim_table *table, const char *filter, sim_rows *rows)
{
	const cat_entity *entity = table->entity;
	const catalogue *cat = store_catalogue();
	sim_table  *from;

	if (entity->seen_type == NULL)
	{
		listed_rows(table, filter, rows);
		return;
	}
	from = org_table(table->org, catalogue_entity(cat, entity->product, entity->seen_type));
	listed_rows(from, NULL, rows);
	for (int i = 0; i < entity->seen.count; i++)
	{
		int			edge = entity_edge(from->entity, entity->seen.names[i]);
		sim_rows	next = {0};

		for (size_t j = 0; j < rows->count; j++)
			edge_true_rows(from, rows->rows[j], edge, &next);
		rows_free(rows);
		*rows = next;
		keep_once(rows);
		from = org_table(table->org, from->entity->edges[edge].target);
	}
}

/*
 * reach_word says how an entity's records are found: in a list, in lists of a
 * parent, one at a time, or only inside other records.
 */
const char *
reach_word(const cat_entity *entity)
{
	const catalogue *cat = store_catalogue();
	const cat_entity *from;
	bool		many = false;

	if (entity->collection != NULL)
		return entity->single ? "single" : "list";
	if (entity->rows == ROWS_ORGANIZATION)
		return "single";
	if (entity->nested >= 0)
		return entity->nested_many ? "nested" : "single";
	if (entity->seen_type == NULL)
		return "embedded";
	from = &cat->entities[catalogue_entity(cat, entity->product, entity->seen_type)];
	for (int i = 0; i < entity->seen.count; i++)
	{
		const cat_edge *edge = &from->edges[entity_edge(from, entity->seen.names[i])];

		many = edge->many;
		from = &cat->entities[edge->target];
	}
	return many ? "nested" : "single";
}
