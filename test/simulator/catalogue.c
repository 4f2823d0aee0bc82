/*-------------------------------------------------------------------------
 *
 * catalogue.c
 *	  The catalogue once loaded: look-ups, and resolving names to numbers.
 *
 * Owns: the catalogue, for the life of the process.
 * Must never know a PCO entity by name: those stand in the data files.
 *
 * IDENTIFICATION
 *	  test/simulator/catalogue.c
 *
 *-------------------------------------------------------------------------
 */
#include "catalogue.h"
#include "catalogue_file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * catalogue_product finds a product by the name in a path; check-ins and
 * check_ins are the same.
 */
int
catalogue_product(const catalogue *cat, const char *name, size_t len)
{
	for (int i = 0; i < cat->product_count; i++)
	{
		const char *own = cat->products[i].name;
		size_t		at = 0;

		while (at < len && own[at] != '\0' &&
			   (own[at] == name[at] || (own[at] == '-' && name[at] == '_')))
			at++;
		if (at == len && own[at] == '\0')
			return i;
	}
	return -1;
}

/*
 * catalogue_entity finds a product's entity by its type.
 */
int
catalogue_entity(const catalogue *cat, int product, const char *type)
{
	for (int i = 0; i < cat->entity_count; i++)
		if (cat->entities[i].product == product &&
			strcmp(cat->entities[i].type, type) == 0)
			return i;
	return -1;
}

/*
 * catalogue_find finds an entity by `Type` (of the first product that has it, in
 * the order in which the files name them) or `product.Type`.
 */
const cat_entity *
catalogue_find(const catalogue *cat, const char *name)
{
	const char *dot = strchr(name, '.');
	int			first = dot ? catalogue_product(cat, name, (size_t) (dot - name)) : 0;
	int			last = dot ? first : cat->product_count - 1;

	for (int product = first; product >= 0 && product <= last; product++)
	{
		int			entity = catalogue_entity(cat, product, dot ? dot + 1 : name);

		if (entity >= 0)
			return &cat->entities[entity];
	}
	return NULL;
}

/*
 * entity_attribute finds an attribute's number, or -1.
 */
int
entity_attribute(const cat_entity *entity, const char *name)
{
	for (int i = 0; name != NULL && i < entity->attribute_count; i++)
		if (strcmp(entity->attributes[i].name, name) == 0)
			return i;
	return -1;
}

/*
 * entity_to_one finds a to-one relationship's number, or -1.
 */
int
entity_to_one(const cat_entity *entity, const char *name)
{
	for (int i = 0; name != NULL && i < entity->to_one_count; i++)
		if (strcmp(entity->to_one[i].name, name) == 0)
			return i;
	return -1;
}

/*
 * entity_edge finds an outbound edge's number, or -1.
 */
int
entity_edge(const cat_entity *entity, const char *name)
{
	for (int i = 0; name != NULL && i < entity->edge_count; i++)
		if (strcmp(entity->edges[i].name, name) == 0)
			return i;
	return -1;
}

/*
 * product_newest returns the product's newest API version.
 */
const char *
product_newest(const cat_product *product)
{
	if (product->versions.count == 0)
		return "2018-08-01";
	return product->versions.names[product->versions.count - 1];
}

/*
 * refuse ends the process: a catalogue with a hole would simulate nothing.
 */
static void
refuse(const cat_entity *entity, const char *what, const char *name)
{
	fprintf(stderr, "pco_simulator: entity %s: unknown %s \"%s\"\n",
			entity->type, what, name ? name : "");
	exit(1);
}

/*
 * must_to_one resolves a to-one that the file names.
 */
static int
must_to_one(const cat_entity *entity, const char *name)
{
	int			number = entity_to_one(entity, name);

	if (number < 0)
		refuse(entity, "to_one", name);
	return number;
}

/*
 * resolve_edge turns an edge's names into numbers.  An edge to an entity that
 * the catalogue does not have stays documented and empty.
 */
static void
resolve_edge(catalogue *cat, cat_entity *entity, cat_edge *edge)
{
	edge->target = catalogue_entity(cat, entity->product, edge->target_name);
	edge->middle = -1;
	edge->a = edge->b = -1;
	switch (edge->kind)
	{
		case EDGE_WHERE:
			if (edge->target >= 0)
				edge->a = must_to_one(&cat->entities[edge->target], edge->a_name);
			break;
		case EDGE_THROUGH:
			edge->middle = catalogue_entity(cat, entity->product, edge->middle_name);
			if (edge->middle < 0)
				refuse(entity, "entity", edge->middle_name);
			edge->a = must_to_one(&cat->entities[edge->middle], edge->a_name);
			edge->b = must_to_one(&cat->entities[edge->middle], edge->b_name);
			break;
		case EDGE_REF:
			edge->a = must_to_one(entity, edge->a_name);
			if (edge->b_name != NULL)
			{
				int			next = entity->to_one[edge->a].target;

				if (next < 0)
					refuse(entity, "entity", entity->to_one[edge->a].target_name);
				edge->b = must_to_one(&cat->entities[next], edge->b_name);
			}
			break;
		default:
			break;
	}
	if (edge->target < 0)
		edge->kind = EDGE_NONE;
}

/*
 * resolve_attribute turns an attribute's names into numbers.
 */
static void
resolve_attribute(cat_entity *entity, cat_attribute *attribute)
{
	attribute->when = attribute->link = -1;
	if (attribute->when_name != NULL)
	{
		attribute->when = entity_attribute(entity, attribute->when_name);
		if (attribute->when < 0)
			refuse(entity, "attribute", attribute->when_name);
	}
	if (attribute->generator == GEN_COUNT)
	{
		attribute->link = entity_edge(entity, attribute->text);
		if (attribute->link < 0)
			refuse(entity, "edge", attribute->text);
		entity->derived = true;
	}
	if (attribute->generator == GEN_REF || attribute->generator == GEN_TYPE_OF)
		attribute->link = must_to_one(entity, attribute->text);
}

/*
 * resolve_to_one turns a to-one's names into numbers.
 */
static void
resolve_to_one(catalogue *cat, cat_entity *entity, cat_to_one *to_one)
{
	to_one->target = catalogue_entity(cat, entity->product, to_one->target_name);
	to_one->a = to_one->b = -1;
	if (to_one->generator == TARGET_EITHER)
	{
		to_one->a = must_to_one(entity, to_one->a_name);
		to_one->b = must_to_one(entity, to_one->b_name);
	}
	else if (to_one->generator == TARGET_PARENTS && entity->per >= 0)
		to_one->a = must_to_one(&cat->entities[entity->per], to_one->a_name);
	else if (to_one->generator == TARGET_PARENTS)
		refuse(entity, "parent of", to_one->a_name);
}

/*
 * resolve_rows finds the parents of an entity that has some rows for each.
 */
static void
resolve_rows(catalogue *cat, cat_entity *entity)
{
	entity->per = entity->having = -1;
	if (entity->rows != ROWS_PER)
		return;
	entity->per = catalogue_entity(cat, entity->product, entity->per_name);
	if (entity->per < 0 || entity->per >= entity->number)
		refuse(entity, "earlier entity", entity->per_name);
	if (entity->having_name != NULL)
		entity->having = must_to_one(&cat->entities[entity->per], entity->having_name);
}

/*
 * resolve_nested finds the canonical parent of an entity without collection.
 */
static void
resolve_nested(const catalogue *cat, cat_entity *entity)
{
	const cat_entity *parent;
	int			edge;

	entity->nested = must_to_one(entity, entity->nested_slot);
	if (entity->to_one[entity->nested].target < 0)
		refuse(entity, "entity", entity->to_one[entity->nested].target_name);
	parent = &cat->entities[entity->to_one[entity->nested].target];
	edge = entity_edge(parent, entity->nested_edge);
	if (edge < 0)
		refuse(parent, "edge", entity->nested_edge);
	entity->nested_many = parent->edges[edge].many;
}

/*
 * resolve_seen checks the edges that lead to an entity's records.
 */
static void
resolve_seen(const catalogue *cat, const cat_entity *entity)
{
	int			from = catalogue_entity(cat, entity->product, entity->seen_type);

	for (int i = 0; i < entity->seen.count; i++)
	{
		int			edge = from >= 0 ? entity_edge(&cat->entities[from], entity->seen.names[i]) : -1;

		if (edge < 0)
			refuse(entity, "edge", entity->seen.names[i]);
		from = cat->entities[from].edges[edge].target;
	}
	if (from < 0)
		refuse(entity, "entity", entity->seen_type);
}

/*
 * check_params checks the to-ones that lead to the parameters of a path.
 */
static void
check_params(const catalogue *cat, const cat_entity *entity)
{
	for (int i = 0; i < entity->param_count; i++)
	{
		const cat_entity *at = entity;

		for (int j = 0; j < entity->params[i].hops.count; j++)
		{
			int			slot = must_to_one(at, entity->params[i].hops.names[j]);

			if (at->to_one[slot].target < 0)
				refuse(at, "entity", at->to_one[slot].target_name);
			at = &cat->entities[at->to_one[slot].target];
		}
	}
}

/*
 * is_shaded tells whether anything that an entity's rows belong to can be hidden.
 */
static bool
is_shaded(const catalogue *cat, const cat_entity *entity)
{
	for (int steps = 0; steps < cat->entity_count && entity->owner >= 0 &&
		 entity->to_one[entity->owner].target >= 0; steps++)
	{
		entity = &cat->entities[entity->to_one[entity->owner].target];
		if (entity->hide != NULL)
			return true;
	}
	return false;
}

/*
 * resolve_entity turns every name within one entity into a number.
 */
static void
resolve_entity(catalogue *cat, cat_entity *entity)
{
	entity->owner = entity->nested = -1;
	resolve_rows(cat, entity);
	for (int i = 0; i < entity->to_one_count; i++)
	{
		resolve_to_one(cat, entity, &entity->to_one[i]);
		if (entity->owner < 0 && (entity->to_one[i].owner || entity->to_one[i].heir))
			entity->owner = i;
	}
	if (entity->nested_slot != NULL)
		resolve_nested(cat, entity);
	for (int i = 0; i < entity->edge_count; i++)
		resolve_edge(cat, entity, &entity->edges[i]);
	for (int i = 0; i < entity->attribute_count; i++)
		resolve_attribute(entity, &entity->attributes[i]);
	if (entity->hide != NULL && entity_attribute(entity, entity->hide) < 0)
		refuse(entity, "attribute", entity->hide);
}

/*
 * is_catalogue_file picks *.conf out of a directory.
 */
static int
is_catalogue_file(const struct dirent *entry)
{
	size_t		len = strlen(entry->d_name);

	return len > 5 && strcmp(entry->d_name + len - 5, ".conf") == 0;
}

/*
 * catalogue_load reads every *.conf of a directory in name order and resolves
 * the names.  Errors end the process with file and line.
 */
catalogue *
catalogue_load(const char *directory)
{
	catalogue  *cat = sim_alloc0(sizeof(*cat));
	struct dirent **entries = NULL;
	int			count = scandir(directory, &entries, is_catalogue_file, alphasort);

	if (count <= 0)
	{
		fprintf(stderr, "pco_simulator: no catalogue (*.conf) in \"%s\"\n", directory);
		exit(1);
	}
	for (int i = 0; i < count; i++)
	{
		sim_buf		path = {0};

		buf_printf(&path, "%s/%s", directory, entries[i]->d_name);
		catalogue_file_read(cat, path.data);
		buf_free(&path);
		free(entries[i]);
	}
	free(entries);
	for (int i = 0; i < cat->entity_count; i++)
		cat->entities[i].number = i;
	for (int i = 0; i < cat->entity_count; i++)
		resolve_entity(cat, &cat->entities[i]);
	for (int i = 0; i < cat->entity_count; i++)
	{
		cat->entities[i].shaded = is_shaded(cat, &cat->entities[i]);
		check_params(cat, &cat->entities[i]);
		if (cat->entities[i].seen_type != NULL)
			resolve_seen(cat, &cat->entities[i]);
	}
	return cat;
}
