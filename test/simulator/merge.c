/*-------------------------------------------------------------------------
 *
 * merge.c
 *	  Merges of people, and demoted primary addresses.
 *
 * Facts: a merge moves the children to the kept person without touching their
 * ids and stamps, and leaves a PersonMerger; making an address primary demotes
 * the other one without moving its updated_at.
 *
 * Owns: nothing.  Must never stamp a record that PCO would not.
 *
 * IDENTIFICATION
 *	  test/simulator/merge.c
 *
 *-------------------------------------------------------------------------
 */
#include "mutate.h"

#include <stdlib.h>

/*
 * single_attribute finds the attribute that one row per owner has true, or -1.
 */
static int
single_attribute(const cat_entity *entity)
{
	for (int i = 0; i < entity->attribute_count; i++)
		if (entity->attributes[i].single)
			return i;
	return -1;
}

/*
 * is_true tells whether a boolean attribute is.
 */
static bool
is_true(const cat_entity *entity, const sim_row *row, int attribute)
{
	size_t		len;

	return *row_value(entity, row, attribute, &len) == 't';
}

/*
 * move_child moves one child of a merged person to the kept one, without a
 * stamp.  A second membership in the same group goes instead, and only one
 * child stays primary.
 */
static void
move_child(sim_table *table, sim_row *row, int slot, uint64_t keep, uint64_t batch)
{
	const cat_entity *entity = table->entity;
	int			single = single_attribute(entity);
	sim_change	change = mutate_no_change();
	sim_rows	kept = {0};
	bool		duplicate = false;

	change.to_one = slot;
	change.ref = keep;
	edge_children(table, slot, keep, &kept);
	for (size_t i = 0; i < kept.count; i++)
	{
		if (single >= 0 && is_true(entity, row, single) &&
			is_true(entity, kept.rows[i], single))
		{
			change.attribute = single;
			change.json = "false";
		}
		for (int other = 0; other < entity->to_one_count; other++)
			if (entity->to_one[other].refreshes &&
				row_refs(kept.rows[i])[other] == row_refs(row)[other])
				duplicate = true;
	}
	rows_free(&kept);
	if (duplicate)
	{
		change = mutate_no_change();
		change.deletes = true;
		change.batch = batch;
	}
	mutate_refresh_targets(table, generate_changed(table, row, &change));
}

/*
 * mutate_merge merges one person into another.
 */
const char *
mutate_merge(sim_org *org, uint64_t keep, uint64_t remove, int64_t at, uint64_t *merger)
{
	const catalogue *cat = store_catalogue();
	const cat_entity *log = NULL;
	sim_table  *people;
	sim_row    *removed;
	sim_change	change = mutate_no_change();
	uint64_t   *refs;

	for (int i = 0; i < cat->entity_count && log == NULL; i++)
		if (cat->entities[i].merge_keep != NULL)
			log = &cat->entities[i];
	if (log == NULL)
		return "the catalogue has no log of merges";
	people = org_table(org, log->to_one[entity_to_one(log, log->merge_keep)].target);
	removed = table_find_live(people, remove);
	if (removed == NULL || table_find_live(people, keep) == NULL || keep == remove)
		return "no such person";
	change.deletes = change.merged = true;
	change.batch = ++org->batches;
	for (int i = 0; i < cat->entity_count; i++)
		for (int slot = 0; slot < cat->entities[i].to_one_count; slot++)
		{
			const cat_to_one *to_one = &cat->entities[i].to_one[slot];
			sim_table  *child;
			sim_rows	rows = {0};

			if (to_one->target != people->entity->number || !(to_one->owner || to_one->heir))
				continue;
			child = org_table(org, i);
			edge_children(child, slot, remove, &rows);
			for (size_t j = 0; j < rows.count; j++)
				move_child(child, rows.rows[j], slot, keep, change.batch);
			rows_free(&rows);
		}
	generate_changed(people, table_find_live(people, remove), &change);

	refs = sim_alloc0(sizeof(uint64_t) * (size_t) log->to_one_count);
	refs[entity_to_one(log, log->merge_keep)] = keep;
	refs[entity_to_one(log, log->merge_remove)] = remove;
	*merger = generate_insert(org_table(org, log->number), at, refs)->id;
	free(refs);
	return NULL;
}

/*
 * mutate_demote takes the primary mark from an e-mail address, without a
 * stamp, and gives it to another one of its person, made if there is none.
 */
const char *
mutate_demote(sim_org *org, uint64_t id, int64_t at, uint64_t *promoted)
{
	sim_table  *table = org_table_of(org, "Email");
	const cat_entity *entity = table ? table->entity : NULL;
	sim_row    *row = table ? table_find_live(table, id) : NULL;
	int			single = entity ? single_attribute(entity) : -1;
	sim_change	change = mutate_no_change();
	sim_rows	siblings = {0};
	sim_row    *other = NULL;

	if (row == NULL || single < 0 || !is_true(entity, row, single))
		return "no such primary address";
	change.attribute = single;
	change.json = "false";
	row = generate_changed(table, row, &change);
	edge_children(table, entity->owner, row_refs(row)[entity->owner], &siblings);
	for (size_t i = 0; i < siblings.count && other == NULL; i++)
		if (siblings.rows[i]->id != id)
			other = siblings.rows[i];
	rows_free(&siblings);
	if (other == NULL)
		other = generate_insert(table, at, row_refs(row));
	change.json = "true";
	change.stamps = true;
	change.updated = at;
	*promoted = generate_changed(table, other, &change)->id;
	return NULL;
}
