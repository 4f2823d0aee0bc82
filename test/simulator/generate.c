/*-------------------------------------------------------------------------
 *
 * generate.c
 *	  Making records from the catalogue's generators.
 *
 * The records of an organisation are a pure function of its seed, name and
 * size.  Ids ascend in bands of three, one of each used, so that they have
 * gaps and every number of digits; they do not depend on the organisation, so
 * that ids of different organisations collide.  Stamps spread over years, with
 * bulk imports of more than a page within one second.
 *
 * Owns: nothing.  Must never depend on the order in which organisations or
 * records are looked at.
 *
 * IDENTIFICATION
 *	  test/simulator/generate.c
 *
 *-------------------------------------------------------------------------
 */
#include "generate.h"

#include "edge.h"
#include "maker.h"
#include "view.h"

#include <stdlib.h>

/* The years that generated stamps fall into: safely past on any machine. */
#define FIRST_YEAR 2012
#define LAST_YEAR 2025

/* One in CLUSTER_EVERY runs of CLUSTER_ROWS rows was imported in one second;
 * more rows than a page of 100 holds, even less those updated since. */
#define CLUSTER_ROWS 150
#define CLUSTER_EVERY 10
#define CLUSTER_TURN 3

/* Share of rows that nobody has touched since they were made. */
#define UNTOUCHED_PERCENT 40
#define UNTOUCHED_IN_CLUSTER 85

/* Ids of an entity start between 11 and 99. */
#define FIRST_ID 11
#define FIRST_ID_SPREAD 89

/* Draws that are no attribute; attributes draw with their number + 1. */
#define DRAW_CREATED 1000001
#define DRAW_UPDATED 1000002
#define DRAW_TOUCHED 1000003
#define DRAW_PARENT 1000004
#define DRAW_TO_ONE 1000100

/* Ids of records that live elsewhere: five digits. */
#define OUTSIDE_ID 10000
#define OUTSIDE_ID_SPREAD 90000

/*
 * id_at returns the id of a position.
 */
static uint64_t
id_at(const cat_entity *entity, uint64_t position)
{
	uint64_t	type = hash_text(entity->type);

	return FIRST_ID + type % FIRST_ID_SPREAD + 3 * position +
		hash_mix(type + position) % 3;
}

/*
 * gone_id returns an id that no row of an entity ever has: another one of the
 * band that a row's id comes from.
 */
static uint64_t
gone_id(const cat_entity *entity, const sim_row *row)
{
	uint64_t	type = hash_text(entity->type);

	return row->id - hash_mix(type + row->position) % 3 +
		(hash_mix(type + row->position) + 1) % 3;
}

/*
 * next_id gives the maker's row its id.
 */
static uint64_t
next_id(const sim_table *table, uint64_t position)
{
	const catalogue *cat = store_catalogue();

	if (table->entity->rows == ROWS_ORGANIZATION)
		return table->org->id;
	if (table->entity->rows == ROWS_ME)
		for (int i = 0; i < cat->entity_count; i++)
			if (cat->entities[i].rows == ROWS_PEOPLE)
				return id_at(&cat->entities[i], 0);
	return id_at(table->entity, position);
}

/*
 * has_null draws whether one of the two stamps is null.
 */
static bool
has_null(const sim_maker *maker, cat_generator generator)
{
	for (int i = 0; i < maker->entity->attribute_count; i++)
	{
		const cat_attribute *a = &maker->entity->attributes[i];

		if (a->generator == generator && a->null_percent > 0)
			return (double) (maker_hash(maker, (uint64_t) i + 1) % 10000) <
				a->null_percent * 100;
	}
	return false;
}

/*
 * draw_stamps spreads the rows over the years in the order of their ids.
 */
static void
draw_stamps(sim_maker *maker, uint64_t total)
{
	int64_t		start = stamp_of_year(FIRST_YEAR);
	int64_t		end = stamp_of_year(LAST_YEAR);
	int64_t		step = (end - start) / (int64_t) (total + 1);
	uint64_t	run = maker->head.position / CLUSTER_ROWS;
	bool		cluster = run % CLUSTER_EVERY == CLUSTER_TURN;
	uint64_t	untouched = cluster ? UNTOUCHED_IN_CLUSTER : UNTOUCHED_PERCENT;
	uint64_t	draw = maker_hash(maker, DRAW_CREATED);
	sim_row    *head = &maker->head;

	if (cluster)
	{
		head->created = start + step * (int64_t) (run * CLUSTER_ROWS);
		head->created -= head->created % USECS_PER_SEC;
		head->created += (int64_t) (draw % USECS_PER_SEC);
	}
	else
		head->created = start + step * head->position + (int64_t) (draw % (uint64_t) (step + 1));
	head->updated = head->created;
	if (maker_hash(maker, DRAW_TOUCHED) % 100 >= untouched)
		head->updated += (int64_t) (maker_hash(maker, DRAW_UPDATED) %
									(uint64_t) (end - head->created + 1));
	if (has_null(maker, GEN_UPDATED))
		head->updated = STAMP_NULL;
	if (has_null(maker, GEN_CREATED))
		head->created = STAMP_NULL;
}

/*
 * any_row draws a live row of a table, or NULL.
 */
static sim_row *
any_row(const sim_table *table, uint64_t draw)
{
	for (size_t i = 0; i < table->count; i++)
	{
		sim_row    *row = table->rows[(draw + i) % table->count];

		if (!row->deleted)
			return row;
	}
	return NULL;
}

/*
 * draw_to_one finds the target of a to-one.
 */
static uint64_t
draw_to_one(const sim_maker *maker, int number, const sim_row *parent)
{
	const cat_to_one *to_one = &maker->entity->to_one[number];
	uint64_t	draw = maker_hash(maker, DRAW_TO_ONE + (uint64_t) number);
	sim_org    *org = maker->table->org;
	sim_table  *target;
	sim_row    *row = NULL;

	if (to_one->generator == TARGET_ORGANIZATION)
		return org->id;
	if (to_one->generator == TARGET_EITHER)
		return maker->refs[to_one->a] ? maker->refs[to_one->a] : maker->refs[to_one->b];
	if ((double) (draw % 10000) < to_one->null_percent * 100)
		return 0;
	if (to_one->generator == TARGET_OUTSIDE)
		return OUTSIDE_ID + hash_mix(draw) % OUTSIDE_ID_SPREAD;
	if (to_one->generator == TARGET_PARENTS)
		return parent ? row_refs(parent)[to_one->a] : 0;
	if (to_one->target < 0)
		return 0;
	target = org_table(org, to_one->target);
	draw = hash_mix(draw);
	switch (to_one->generator)
	{
		case TARGET_PARENT:
			return parent ? parent->id : 0;
		case TARGET_GONE:
			return parent ? gone_id(target->entity, parent) : 0;
		case TARGET_GROUP:
			if (maker->initial && parent != NULL && target->count > 0)
				row = target->rows[(parent->position / (uint32_t) to_one->arg +
									maker->head.ordinal) % target->count];
			else
				row = any_row(target, draw);
			break;
		case TARGET_RANDOM:
			row = any_row(target, draw);
			break;
		default:
			break;
	}
	return row ? row->id : 0;
}

/*
 * add_generated makes the next row of a table.
 */
static void
add_generated(sim_table *table, uint64_t total, const sim_row *parent, uint32_t ordinal)
{
	sim_maker  *maker = maker_start(table);

	maker->initial = true;
	maker->head.position = table->next_position++;
	maker->head.ordinal = ordinal;
	maker->head.id = next_id(table, maker->head.position);
	draw_stamps(maker, total);
	for (int i = 0; i < table->entity->to_one_count; i++)
		maker->refs[i] = draw_to_one(maker, i, parent);
	table_append(table, maker_finish(maker));
}

/*
 * add_children makes the rows of an entity that has some per parent.
 */
static void
add_children(sim_table *table)
{
	const cat_entity *entity = table->entity;
	const sim_table *parents = org_table(table->org, entity->per);
	size_t		full = parents->count / (size_t) entity->pattern_len;
	size_t		last = parents->count;
	uint64_t	total = 0;

	if (entity->first > 0 && last > (size_t) entity->first)
		last = (size_t) entity->first;

	for (int i = 0; i < entity->pattern_len; i++)
		total += (uint64_t) entity->pattern[i] * (full + 1);
	for (size_t i = 0; i < last; i++)
		if (entity->having < 0 || row_refs(parents->rows[i])[entity->having] != 0)
			for (int j = 0; j < entity->pattern[i % (size_t) entity->pattern_len]; j++)
				add_generated(table, total, parents->rows[i], (uint32_t) j);
}

/*
 * settle makes the values that needed later tables, in place: no version of
 * these rows has been seen yet.
 */
static void
settle(sim_table *table)
{
	for (size_t i = 0; i < table->count; i++)
	{
		sim_maker  *maker = maker_start(table);
		sim_row    *old = table->rows[i];

		maker_load(maker, old);
		maker_derive(maker);
		table->rows[i] = maker_finish(maker);
		free(old);
	}
	view_drop_all(table);
}

/*
 * generate_product makes all records that an organisation has in a product.
 */
void
generate_product(sim_org *org, int product)
{
	const catalogue *cat = store_catalogue();

	for (int i = 0; i < cat->entity_count; i++)
	{
		const cat_entity *entity = &cat->entities[i];
		sim_table  *table = &org->tables[i];
		uint64_t	total = 0;

		if (entity->product != product)
			continue;
		if (entity->rows == ROWS_PER)
			add_children(table);
		else if (entity->rows == ROWS_PEOPLE)
			total = org->people;
		else if (entity->rows == ROWS_FIXED)
			total = (uint64_t) entity->fixed;
		else if (entity->rows == ROWS_SHARE)
			total = org->people / (size_t) entity->share > (size_t) entity->fixed ?
				org->people / (size_t) entity->share : (size_t) entity->fixed;
		else if (entity->rows != ROWS_NONE)
			total = 1;
		for (uint64_t j = 0; j < total; j++)
			add_generated(table, total, NULL, 0);
		table->initial = table->count;
	}
	for (int i = 0; i < cat->entity_count; i++)
		if (cat->entities[i].product == product && cat->entities[i].derived)
			settle(&org->tables[i]);
}

/*
 * childless_row draws a live parent that has no row of an entity of which each
 * has one at most; NULL if there is none.
 */
static sim_row *
childless_row(sim_table *table, const sim_table *parents, uint64_t draw)
{
	for (size_t i = 0; i < parents->count; i++)
	{
		sim_row    *parent = parents->rows[(draw + i) % parents->count];
		sim_rows	children = {0};
		bool		has;

		edge_children(table, table->entity->nested, parent->id, &children);
		has = children.count > 0;
		rows_free(&children);
		if (!has && !parent->deleted)
			return parent;
	}
	return NULL;
}

/*
 * generate_insert makes one more row, for a random parent unless the targets
 * are given, and puts it into its table.  NULL if there can be no more.
 */
sim_row *
generate_insert(sim_table *table, int64_t stamp, const uint64_t *refs)
{
	const cat_entity *entity = table->entity;
	sim_maker  *maker = maker_start(table);
	sim_row    *parent = NULL;
	sim_row    *row;

	if (entity->rows == ROWS_ORGANIZATION || entity->rows == ROWS_ME || entity->rows == ROWS_NONE)
		return NULL;
	maker->head.position = table->next_position++;
	maker->head.id = next_id(table, maker->head.position);
	maker->head.created = maker->head.updated = stamp;
	maker->head.inserted = true;
	maker->head.ordinal = 1;	/* not the first of its parent */
	if (entity->per >= 0)
	{
		const sim_table *parents = org_table(table->org, entity->per);
		uint64_t	draw = maker_hash(maker, DRAW_PARENT);

		if (refs == NULL && entity->nested >= 0 && !entity->nested_many)
			parent = childless_row(table, parents, draw);
		else
			parent = any_row(parents, draw);
		if (refs == NULL && parent == NULL && entity->nested >= 0)
			return NULL;
	}
	for (int i = 0; i < entity->to_one_count; i++)
		maker->refs[i] = refs ? refs[i] : draw_to_one(maker, i, parent);
	row = maker_finish(maker);
	table_append(table, row);
	return row;
}

/*
 * generate_changed makes the next version of a row and puts it in its place.
 */
sim_row *
generate_changed(sim_table *table, const sim_row *row, const sim_change *change)
{
	sim_maker  *maker = maker_start(table);
	sim_row    *changed;

	maker_load(maker, row);
	maker->salt = change->salt;
	if (change->to_one >= 0)
		maker->refs[change->to_one] = change->ref;
	if (change->attribute >= 0 && change->json == NULL)
		maker_renew(maker, change->attribute);
	else if (change->attribute >= 0)
	{
		buf_reset(&maker->values[change->attribute]);
		buf_str(&maker->values[change->attribute], change->json);
	}
	maker->salt = 0;
	if (!change->deletes && !change->restores)
		maker_derive(maker);
	if (change->stamps)
		maker->head.updated = change->updated;
	if (change->deletes || change->restores)
		maker->head.deleted = change->deletes;
	maker->head.batch = change->deletes ? change->batch : 0;
	maker->head.merged = change->merged;
	changed = maker_finish(maker);
	table_replace(table, table_find(table, row->id), changed);
	return changed;
}

/*
 * generate_refreshed brings the derived values of a row up to date without a
 * stamp; false if nothing changed.
 */
bool
generate_refreshed(sim_table *table, sim_row *row)
{
	sim_maker  *maker = maker_start(table);
	sim_row    *fresh;
	size_t		len;
	bool		same = true;

	maker_load(maker, row);
	maker_derive(maker);
	fresh = maker_finish(maker);
	for (int i = 0; i < table->entity->attribute_count && same; i++)
	{
		const char *value = row_value(table->entity, row, i, &len);
		size_t		fresh_len;
		const char *fresh_value = row_value(table->entity, fresh, i, &fresh_len);

		same = len == fresh_len && memcmp(value, fresh_value, len) == 0;
	}
	if (same)
		free(fresh);
	else
		table_replace(table, row, fresh);
	return !same;
}
