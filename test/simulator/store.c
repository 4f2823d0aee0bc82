/*-------------------------------------------------------------------------
 *
 * store.c
 *	  The truth: organisations and their tables.
 *
 * Owns: organisations, tables and rows.  Must never change a row in place.
 *
 * IDENTIFICATION
 *	  test/simulator/store.c
 *
 *-------------------------------------------------------------------------
 */
#include "store.h"

#include "generate.h"
#include "map.h"
#include "odd.h"
#include "view.h"

#include <stdlib.h>

/* The id of an organisation is this plus its number in order of creation. */
#define ORG_ID_BASE 500000

static const catalogue *the_catalogue;
static sim_map orgs_by_name;
static sim_map orgs_by_client;
static sim_org *first_org;
static sim_org *last_org;
static uint64_t org_count;

/*
 * store_start hands over the catalogue that every organisation follows.
 */
void
store_start(const catalogue *cat)
{
	the_catalogue = cat;
}

/*
 * store_catalogue returns the catalogue.
 */
const catalogue *
store_catalogue(void)
{
	return the_catalogue;
}

/*
 * org_clear throws an organisation's records away.
 */
void
org_clear(sim_org *org)
{
	for (int i = 0; i < the_catalogue->entity_count; i++)
	{
		sim_table  *table = &org->tables[i];

		view_drop_all(table);
		odd_clear(table, 0);
		for (size_t j = 0; j < table->count; j++)
		{
			free(table->rows[j]->older);
			free(table->rows[j]);
		}
		free(table->rows);
		memset(table, 0, sizeof(*table));
		table->org = org;
		table->entity = &the_catalogue->entities[i];
	}
	memset(org->generated, 0, sizeof(bool) * (size_t) the_catalogue->product_count);
	org->changes = org->batches = 0;
}

/*
 * org_create makes an organisation, or starts an existing one anew.  The
 * records of a product are generated when first looked at.
 */
sim_org *
org_create(const char *name, uint64_t seed, size_t people)
{
	sim_map_entry *entry = map_get(&orgs_by_name, name);
	sim_org    *org = entry->value;
	sim_buf		text = {0};

	if (org == NULL)
	{
		org = entry->value = sim_alloc0(sizeof(*org));
		org->name = sim_strdup(name);
		buf_printf(&text, "%s-client", name);
		org->client = text.data;
		memset(&text, 0, sizeof(text));
		buf_printf(&text, "%s-secret", name);
		org->secret = text.data;
		org->zone = sim_strdup("UTC");
		org->id = ORG_ID_BASE + ++org_count;
		org->tables = sim_alloc0(sizeof(sim_table) * (size_t) the_catalogue->entity_count);
		org->forbidden_products = sim_alloc0(sizeof(bool) * (size_t) the_catalogue->product_count);
		org->generated = sim_alloc0(sizeof(bool) * (size_t) the_catalogue->product_count);
		map_get(&orgs_by_client, org->client)->value = org;
		*(last_org ? &last_org->next : &first_org) = org;
		last_org = org;
	}
	org_clear(org);
	memset(org->forbidden_products, 0, sizeof(bool) * (size_t) the_catalogue->product_count);
	org->seed = seed;
	org->people = people;
	org->visible_percent = 100;
	return org;
}

/*
 * org_find finds an organisation by name.
 */
sim_org *
org_find(const char *name)
{
	sim_map_entry *entry = name ? map_find(&orgs_by_name, name) : NULL;

	return entry ? entry->value : NULL;
}

/*
 * org_by_client finds an organisation by its token's client id.
 */
sim_org *
org_by_client(const char *client, size_t len)
{
	char		name[128];
	sim_map_entry *entry;

	buf_copy_part(name, sizeof(name), client, client + len);
	entry = map_find(&orgs_by_client, name);
	return entry ? entry->value : NULL;
}

/*
 * org_first starts a walk over all organisations (follow ->next).
 */
sim_org *
org_first(void)
{
	return first_org;
}

/*
 * store_stop frees everything.
 */
void
store_stop(void)
{
	while (first_org != NULL)
	{
		sim_org    *org = first_org;

		first_org = org->next;
		org_clear(org);
		rate_free(&org->rate);
		free(org->tables);
		free(org->forbidden_products);
		free(org->generated);
		free(org->name);
		free(org->client);
		free(org->secret);
		free(org->zone);
		free(org);
	}
	last_org = NULL;
	map_clear(&orgs_by_name);
	map_clear(&orgs_by_client);
}

/*
 * org_table returns an entity's table, generating its product's records if
 * nobody has looked at them yet.  Nothing crosses products, so it makes no
 * difference which one is looked at first.
 */
sim_table *
org_table(sim_org *org, int entity)
{
	int			product = the_catalogue->entities[entity].product;

	if (!org->generated[product])
	{
		org->generated[product] = true; /* first: generation looks tables up itself */
		generate_product(org, product);
	}
	return &org->tables[entity];
}

/*
 * org_table_of returns the table of `Type` or `product.Type`, or NULL.
 */
sim_table *
org_table_of(sim_org *org, const char *entity)
{
	const cat_entity *found = entity ? catalogue_find(the_catalogue, entity) : NULL;

	return found ? org_table(org, found->number) : NULL;
}

/*
 * table_place finds where an id is or would be.
 */
static size_t
table_place(const sim_table *table, uint64_t id)
{
	size_t		low = 0;
	size_t		high = table->count;

	while (low < high)
	{
		size_t		middle = (low + high) / 2;

		if (table->rows[middle]->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * table_find finds a row by id, be it deleted or not.
 */
sim_row *
table_find(const sim_table *table, uint64_t id)
{
	size_t		place = table_place(table, id);

	return place < table->count && table->rows[place]->id == id ? table->rows[place] : NULL;
}

/*
 * table_find_live finds a row that is not deleted.
 */
sim_row *
table_find_live(const sim_table *table, uint64_t id)
{
	sim_row    *row = table_find(table, id);

	return row && !row->deleted ? row : NULL;
}

/*
 * table_append takes a new row, whose id is the highest so far.
 */
void
table_append(sim_table *table, sim_row *row)
{
	if (table->count == table->cap)
	{
		table->cap = table->cap ? table->cap * 2 : 16;
		table->rows = sim_grow(table->rows, sizeof(*table->rows) * table->cap);
	}
	table->rows[table->count++] = row;
	view_replace(table, NULL, row);
}

/*
 * table_replace puts a new version in the place of a row.
 */
void
table_replace(sim_table *table, sim_row *old, sim_row *new)
{
	new->version = old->version + 1;
	view_replace(table, old, new);
	table->rows[table_place(table, old->id)] = new;
	free(old->older);
	old->older = NULL;
	new->older = old;
}
