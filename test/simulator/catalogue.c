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
 * catalogue_find finds an entity by `Type` (the first product that has it;
 * people is loaded first) or `product.Type`.
 */
const cat_entity *
catalogue_find(const catalogue *cat, const char *name)
{
	const char *dot = strchr(name, '.');
	int			product = dot ? catalogue_product(cat, name, (size_t) (dot - name)) : -1;

	for (int i = 0; i < cat->entity_count; i++)
		if ((dot == NULL || cat->entities[i].product == product) &&
			strcmp(cat->entities[i].type, dot ? dot + 1 : name) == 0)
			return &cat->entities[i];
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
	if (attribute->generator == GEN_REF)
		attribute->link = must_to_one(entity, attribute->text);
}

/*
 * resolve_entity turns every name within one entity into a number.
 */
static void
resolve_entity(catalogue *cat, cat_entity *entity)
{
	entity->owner = entity->nested = entity->per = -1;
	for (int i = 0; i < entity->to_one_count; i++)
	{
		entity->to_one[i].target = catalogue_entity(cat, entity->product,
													entity->to_one[i].target_name);
		if (entity->owner < 0 && (entity->to_one[i].owner || entity->to_one[i].heir))
			entity->owner = i;
	}
	if (entity->rows == ROWS_PER)
	{
		entity->per = catalogue_entity(cat, entity->product, entity->per_name);
		if (entity->per < 0 || entity->per >= entity->number)
			refuse(entity, "earlier entity", entity->per_name);
	}
	if (entity->nested_slot != NULL)
		entity->nested = must_to_one(entity, entity->nested_slot);
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
	return cat;
}
