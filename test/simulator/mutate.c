/*-------------------------------------------------------------------------
 *
 * mutate.c
 *	  Changing the truth: single records and what depends on them.
 *
 * Facts: deleting a person takes what belongs to it along; a household whose
 * primary contact goes is headed by another member, and goes with its last
 * one.
 *
 * Owns: nothing.
 * Must never choose rows by anything but the seed and a counter.
 *
 * IDENTIFICATION
 *	  test/simulator/mutate.c
 *
 *-------------------------------------------------------------------------
 */
#include "mutate.h"

#include "generate.h"
#include "view.h"

#include <stdlib.h>

/* Draws for a row that was not chosen before in the same mutation. */
#define CHOICE_ATTEMPTS 20

static void delete_row(sim_table *table, sim_row *row, uint64_t batch, int64_t at);

/*
 * next_draw returns the next number of an organisation's mutations.
 */
static uint64_t
next_draw(sim_org *org)
{
	return hash_mix(org->seed ^ hash_mix(++org->changes));
}

/*
 * mutate_no_change returns a change that changes nothing yet.
 */
sim_change
mutate_no_change(void)
{
	return (sim_change) {.attribute = -1, .to_one = -1};
}

/*
 * has_updated tells whether records of an entity have an updated_at.
 */
static bool
has_updated(const cat_entity *entity)
{
	for (int i = 0; i < entity->attribute_count; i++)
		if (entity->attributes[i].generator == GEN_UPDATED)
			return true;
	return false;
}

/*
 * mutate_refresh_targets brings the derived values of what a row points to up to date.
 */
void
mutate_refresh_targets(const sim_table *table, const sim_row *row)
{
	for (int i = 0; i < table->entity->to_one_count; i++)
	{
		const cat_to_one *to_one = &table->entity->to_one[i];
		sim_table  *target;
		sim_row    *there;

		if (!to_one->refreshes)
			continue;
		target = org_table(table->org, to_one->target);
		there = table_find_live(target, row_refs(row)[i]);
		if (there != NULL)
			generate_refreshed(target, there);
	}
}

/*
 * seat_heir gives a row whose to-one target went the next member, or deletes
 * it with the last one.
 */
static void
seat_heir(sim_table *table, sim_row *row, int slot, uint64_t batch, int64_t at)
{
	const cat_entity *entity = table->entity;

	for (int i = 0; i < entity->edge_count; i++)
	{
		const cat_edge *edge = &entity->edges[i];
		sim_table  *middle;
		sim_rows	members = {0};
		sim_change	change = mutate_no_change();

		if (edge->kind != EDGE_THROUGH || edge->target != entity->to_one[slot].target)
			continue;
		middle = org_table(table->org, edge->middle);
		edge_children(middle, edge->a, row->id, &members);
		if (members.count > 0)
		{
			change.to_one = slot;
			change.ref = row_refs(members.rows[0])[edge->b];
			change.stamps = true;
			change.updated = at;
			rows_free(&members);
			generate_changed(table, row, &change);
			return;
		}
	}
	delete_row(table, row, batch, at);
}

/*
 * delete_dependents deletes what a gone row owned, then seats heirs.
 */
static void
delete_dependents(sim_table *table, uint64_t id, uint64_t batch, int64_t at, bool heirs)
{
	const catalogue *cat = store_catalogue();

	for (int i = 0; i < cat->entity_count; i++)
		for (int slot = 0; slot < cat->entities[i].to_one_count; slot++)
		{
			const cat_to_one *to_one = &cat->entities[i].to_one[slot];
			sim_table  *child;
			sim_rows	rows = {0};

			if (to_one->target != table->entity->number ||
				!(heirs ? to_one->heir : to_one->owner))
				continue;
			child = org_table(table->org, i);
			edge_children(child, slot, id, &rows);
			for (size_t j = 0; j < rows.count; j++)
			{
				if (heirs)
					seat_heir(child, rows.rows[j], slot, batch, at);
				else
					delete_row(child, rows.rows[j], batch, at);
			}
			rows_free(&rows);
		}
}

/*
 * delete_row deletes a row and what hangs on it.
 */
static void
delete_row(sim_table *table, sim_row *row, uint64_t batch, int64_t at)
{
	const bool	owned = false;
	const bool	heirs = true;
	sim_change	change = mutate_no_change();

	change.deletes = true;
	change.batch = batch;
	row = generate_changed(table, row, &change);
	mutate_refresh_targets(table, row);
	delete_dependents(table, row->id, batch, at, owned);
	delete_dependents(table, row->id, batch, at, heirs);
}

/*
 * restore_batch brings back all that one deletion took.
 */
static void
restore_batch(sim_org *org, uint64_t batch)
{
	const catalogue *cat = store_catalogue();
	sim_change	change = mutate_no_change();

	change.restores = true;
	for (int i = 0; i < cat->entity_count; i++)
	{
		sim_table  *table = &org->tables[i];	/* empty if never looked at */

		for (size_t j = 0; j < table->count; j++)
			if (table->rows[j]->deleted && table->rows[j]->batch == batch)
				mutate_refresh_targets(table, generate_changed(table, table->rows[j], &change));
	}
}

/*
 * last_deleted returns the row that a deletion took last, or NULL.
 */
static sim_row *
last_deleted(const sim_table *table)
{
	sim_row    *last = NULL;

	for (size_t i = 0; i < table->count; i++)
		if (table->rows[i]->deleted && !table->rows[i]->merged &&
			(last == NULL || table->rows[i]->batch > last->batch))
			last = table->rows[i];
	return last;
}

/*
 * choose_row draws a live row that is not among the affected ones.
 */
static sim_row *
choose_row(sim_table *table, const sim_rows *affected)
{
	sim_order	by_id = {.column = {COLUMN_ID, -1}};
	sim_view   *view = view_get(table, &by_id, 1, NULL);
	size_t		total = view_index(view)->total;
	sim_row    *row = NULL;

	for (int attempt = 0; total > 0 && attempt < CHOICE_ATTEMPTS; attempt++)
	{
		bool		again = false;

		index_slice(view_index(view), next_draw(table->org) % total, 1, &row);
		for (size_t i = 0; i < affected->count && !again; i++)
			again = affected->rows[i]->id == row->id;
		if (!again)
			break;
	}
	return row;
}

/*
 * choose_attribute draws an attribute that a plain update may change, or -1.
 */
static int
choose_attribute(sim_table *table)
{
	const cat_entity *entity = table->entity;
	uint64_t	draw = next_draw(table->org);
	int			count = 0;

	for (int i = 0; i < entity->attribute_count; i++)
		count += entity->attributes[i].changes;
	if (count == 0)
		return -1;
	count = (int) (draw % (uint64_t) count);
	for (int i = 0; i < entity->attribute_count; i++)
		if (entity->attributes[i].changes && count-- == 0)
			return i;
	return -1;
}

/*
 * value_json writes the value of an update as JSON.
 */
static void
value_json(const cat_attribute *attribute, const sim_mutation *mutation, sim_buf *out)
{
	cat_type	type = attribute->type;

	if (mutation->null)
		buf_str(out, "null");
	else if (type == TYPE_STRING || type == TYPE_DATE || type == TYPE_DATE_TIME ||
			 (type == TYPE_ID && !attribute->number))
		buf_json_str(out, mutation->value);
	else
		buf_str(out, mutation->value);
}

/*
 * update_row changes one attribute or to-one of a row, or only its stamp.
 */
static const char *
update_row(sim_table *table, sim_row *row, const sim_mutation *mutation, int64_t at,
		   sim_rows *affected)
{
	const cat_entity *entity = table->entity;
	sim_change	change = mutate_no_change();
	sim_buf		json = {0};

	if (strcmp(mutation->op, "touch") == 0)
	{
		if (!has_updated(entity))
			return "records of this type have no updated_at";
	}
	else if (mutation->attribute != NULL)
	{
		change.attribute = entity_attribute(entity, mutation->attribute);
		change.to_one = entity_to_one(entity, mutation->attribute);
		if (change.attribute < 0 && change.to_one < 0)
			return "unknown attribute";
		if (change.to_one >= 0)
			change.ref = mutation->value ? strtoull(mutation->value, NULL, 10) : 0;
	}
	else if ((change.attribute = choose_attribute(table)) < 0)
		return "no attribute of this type may change";
	change.salt = next_draw(table->org) % 1000000;
	change.stamps = has_updated(entity) && mutation->stamp;
	change.updated = at;
	if (change.attribute >= 0 && (mutation->value != NULL || mutation->null))
	{
		value_json(&entity->attributes[change.attribute], mutation, &json);
		change.json = json.data;
	}
	row = generate_changed(table, row, &change);
	buf_free(&json);
	mutate_refresh_targets(table, row);
	rows_add(affected, row);
	return NULL;
}

/*
 * mutate_once applies a mutation to one row.
 */
static const char *
mutate_once(sim_table *table, const sim_mutation *mutation, int64_t at, sim_rows *affected)
{
	sim_row    *row;

	if (strcmp(mutation->op, "insert") == 0)
	{
		row = generate_insert(table, at, NULL);
		if (row == NULL)
			return "there can be no more of this type";
		mutate_refresh_targets(table, row);
		rows_add(affected, row);
		return NULL;
	}
	if (strcmp(mutation->op, "restore") == 0)
	{
		uint64_t	id;

		row = mutation->id ? table_find(table, mutation->id) : last_deleted(table);
		if (row == NULL || !row->deleted || row->merged)
			return "no deleted row";
		id = row->id;			/* what goes along may make the row anew */
		restore_batch(table->org, row->batch);
		rows_add(affected, table_find(table, id));
		return NULL;
	}
	row = mutation->id ? table_find_live(table, mutation->id) : choose_row(table, affected);
	if (row == NULL)
		return "no such row";
	if (strcmp(mutation->op, "delete") == 0)
	{
		uint64_t	id = row->id;

		delete_row(table, row, ++table->org->batches, at);
		rows_add(affected, table_find(table, id));
		return NULL;
	}
	if (strcmp(mutation->op, "update") == 0 || strcmp(mutation->op, "touch") == 0)
		return update_row(table, row, mutation, at, affected);
	return "unknown op";
}

/*
 * mutate_apply applies a mutation as often as it says; the rows affected are
 * valid until the next one.  Returns a complaint or NULL.
 */
const char *
mutate_apply(sim_table *table, const sim_mutation *mutation, sim_rows *affected)
{
	for (uint64_t i = 0; i < mutation->count; i++)
	{
		const char *complaint = mutate_once(table, mutation, mutation->at + (int64_t) i,
											affected);

		if (complaint != NULL)
			return complaint;
	}
	return NULL;
}
