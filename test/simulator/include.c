/*-------------------------------------------------------------------------
 *
 * include.c
 *	  include=a,b.c : what a request wants along with its records.
 *
 * Facts: up to two levels; unknown includes are ignored; `included` holds each
 * type and id once; a second level (households.people) also shows as an
 * artificial relationship of the primary record, with ids repeated.
 *
 * Owns: the sets of rows.  Must never write JSON.
 *
 * IDENTIFICATION
 *	  test/simulator/include.c
 *
 *-------------------------------------------------------------------------
 */
#include "include.h"

#include <stdlib.h>

/*
 * includable finds an edge that may stand in include=, or -1.
 */
static int
includable(const cat_entity *entity, const char *name)
{
	int			edge = entity_edge(entity, name);

	return edge >= 0 && entity->edges[edge].include ? edge : -1;
}

/*
 * add_include appends an include unless it stands already.
 */
static void
add_include(sim_includes *includes, int edge, int further)
{
	for (size_t i = 0; i < includes->count; i++)
		if (includes->items[i].edge == edge &&
			(includes->items[i].further == further || further < 0))
			return;
	includes->items = sim_grow(includes->items,
							   sizeof(sim_include) * (includes->count + 1));
	includes->items[includes->count].edge = edge;
	includes->items[includes->count++].further = further;
}

/*
 * includes_parse reads the parameter; unknown names are left out.
 */
void
includes_parse(sim_includes *includes, const sim_table *table, const char *text)
{
	const cat_entity *entity = table->entity;

	while (text != NULL && *text)
	{
		size_t		len = strcspn(text, ",");
		char		name[128];
		char	   *dot;
		int			edge;
		int			further = -1;

		buf_copy_part(name, sizeof(name), text, text + len);
		dot = strchr(name, '.');
		if (dot != NULL)
			*dot++ = '\0';
		edge = includable(entity, name);
		if (edge >= 0 && dot != NULL && entity->edges[edge].target >= 0)
			further = includable(org_table(table->org, entity->edges[edge].target)->entity, dot);
		if (edge >= 0)
			add_include(includes, edge, further);
		text += len;
		text += *text == ',';
	}
}

/*
 * inclusion_start makes room for what the includes will lead to.
 */
void
inclusion_start(sim_inclusion *inclusion, const sim_includes *includes)
{
	inclusion->includes = includes;
	inclusion->near = sim_alloc0(sizeof(sim_rows) * includes->count);
	inclusion->far = sim_alloc0(sizeof(sim_rows) * includes->count);
}

/*
 * included_slot finds where a row is, or would go, in the hash set.
 */
static size_t *
included_slot(const sim_included *included, const sim_row *row)
{
	size_t		at = hash_mix((uint64_t) (uintptr_t) row) & (included->slot_count - 1);

	while (included->slots[at] != 0 && included->rows[included->slots[at] - 1] != row)
		at = (at + 1) & (included->slot_count - 1);
	return &included->slots[at];
}

/*
 * included_add takes a row unless it is there already.
 */
static void
included_add(sim_included *included, const sim_table *table, sim_row *row)
{
	size_t	   *slot;

	if (included->count * 2 >= included->slot_count)
	{
		included->slot_count = included->slot_count ? included->slot_count * 4 : 256;
		free(included->slots);
		included->slots = sim_alloc0(sizeof(size_t) * included->slot_count);
		for (size_t i = 0; i < included->count; i++)
			*included_slot(included, included->rows[i]) = i + 1;
	}
	slot = included_slot(included, row);
	if (*slot != 0)
		return;
	if (included->count == included->cap)
	{
		included->cap = included->cap ? included->cap * 2 : 128;
		included->rows = sim_grow(included->rows, sizeof(*included->rows) * included->cap);
		included->tables = sim_grow(included->tables,
									sizeof(*included->tables) * included->cap);
	}
	included->tables[included->count] = table;
	included->rows[included->count++] = row;
	*slot = included->count;
}

/*
 * inclusion_follow finds what the includes lead to from one record and adds it
 * to the included records.
 */
void
inclusion_follow(sim_inclusion *inclusion, const sim_table *table,
				 const sim_row *row, sim_included *included)
{
	for (size_t i = 0; i < inclusion->includes->count; i++)
	{
		const sim_include *item = &inclusion->includes->items[i];
		int			target = table->entity->edges[item->edge].target;
		sim_rows   *near = &inclusion->near[i];
		sim_rows   *far = &inclusion->far[i];
		const sim_table *there;
		int			further_target;

		near->count = far->count = 0;
		if (target < 0)
			continue;
		there = org_table(table->org, target);
		edge_rows(table, row, item->edge, near);
		for (size_t j = 0; j < near->count; j++)
			included_add(included, there, near->rows[j]);
		if (item->further < 0)
			continue;
		further_target = there->entity->edges[item->further].target;
		for (size_t j = 0; j < near->count; j++)
			edge_rows(there, near->rows[j], item->further, far);
		for (size_t j = 0; j < far->count; j++)
			included_add(included, org_table(table->org, further_target), far->rows[j]);
	}
}

/*
 * inclusion_free releases the sets of rows.
 */
void
inclusion_free(sim_inclusion *inclusion)
{
	for (size_t i = 0; i < inclusion->includes->count; i++)
	{
		rows_free(&inclusion->near[i]);
		rows_free(&inclusion->far[i]);
	}
	free(inclusion->near);
	free(inclusion->far);
}

/*
 * included_free releases the included records' list.
 */
void
included_free(sim_included *included)
{
	free(included->rows);
	free(included->tables);
	free(included->slots);
	memset(included, 0, sizeof(*included));
}
