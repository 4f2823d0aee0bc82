/*-------------------------------------------------------------------------
 *
 * route.c
 *	  From a path to records.
 *
 * /{product}/v2                      the organisation
 * /{product}/v2/me                   the token's person
 * /{product}/v2/{collection}         a list
 * /{product}/v2/{collection}/{id}    a record, then /{edge} and /{id} in turn,
 *                                    as deep as the catalogue's edges lead; after
 *                                    an edge to one record its id may be left out
 *
 * Owns: nothing.  Must never answer with a record that the token may not see.
 *
 * IDENTIFICATION
 *	  test/simulator/route.c
 *
 *-------------------------------------------------------------------------
 */
#include "route.h"

#include "document.h"
#include "documentation.h"

#include <ctype.h>
#include <stdlib.h>

/*
 * route_known finds the product of a path and tells whether the path can lead
 * anywhere: unknown routes are counted apart.
 */
bool
route_known(sim_request *request)
{
	const catalogue *cat = store_catalogue();
	const char *collection;

	if (request->segment_count < 2 || strcmp(request->segments[1], "v2") != 0)
		return false;
	request->product = catalogue_product(cat, request->segments[0],
										 strlen(request->segments[0]));
	if (request->product < 0 || request->segment_count == 2)
		return request->product >= 0;
	if (documentation_asked(request))
		return true;
	collection = request->segments[2];
	if (strcmp(collection, "me") == 0 && request->segment_count == 3)
		return true;
	for (int i = 0; i < cat->entity_count; i++)
		if (cat->entities[i].product == request->product &&
			cat->entities[i].collection != NULL &&
			strcmp(cat->entities[i].collection, collection) == 0)
			return true;
	return false;
}

/*
 * is_served tells whether the version in use has an entity.
 */
static bool
is_served(const sim_request *request, const cat_entity *entity)
{
	return entity->since == NULL || strcmp(entity->since, request->processed_version) <= 0;
}

/*
 * collection_table finds the table behind a collection's name.
 */
static sim_table *
collection_table(const sim_request *request, const char *collection)
{
	const catalogue *cat = store_catalogue();

	for (int i = 0; i < cat->entity_count; i++)
		if (cat->entities[i].product == request->product &&
			cat->entities[i].collection != NULL &&
			strcmp(cat->entities[i].collection, collection) == 0 &&
			is_served(request, &cat->entities[i]))
			return org_table(request->org, i);
	return NULL;
}

/*
 * find_id finds a visible record by the id in a path.
 */
static sim_row *
find_id(const sim_request *request, const sim_table *table, const char *text)
{
	char	   *end;
	uint64_t	id = strtoull(text, &end, 10);
	sim_row    *row;

	if (*text < '0' || *text > '9' || *end != '\0')
		return NULL;
	row = table_find(table, id);
	if (row == NULL || !row_visible(table, row))
		return NULL;
	return row->deleted && request->fault_kind != FAULT_STALE ? NULL : row;
}

/*
 * answer_organization answers the root of a product.
 */
static void
answer_organization(sim_request *request, const sim_parent *nobody)
{
	int			entity = catalogue_entity(store_catalogue(), request->product, "Organization");
	sim_table  *table = entity >= 0 ? org_table(request->org, entity) : NULL;

	if (table == NULL || table->count == 0)
		document_not_found(request);
	else
		document_single(request, table, table->rows[0], nobody);
}

/*
 * answer_me answers with the token's person: the first one that is left.
 */
static void
answer_me(sim_request *request, const sim_parent *nobody)
{
	sim_table  *table = collection_table(request, "people");

	for (size_t i = 0; table != NULL && i < table->count; i++)
		if (!table->rows[i]->deleted && row_visible(table, table->rows[i]))
		{
			document_single(request, table, table->rows[i], nobody);
			return;
		}
	document_not_found(request);
}

/*
 * answer_below follows the rest of a path from a record: edges and ids in turn.
 */
static void
answer_below(sim_request *request, sim_table *table, sim_row *row, size_t at)
{
	while (at < request->segment_count)
	{
		int			number = entity_edge(table->entity, request->segments[at]);
		const cat_edge *edge = number >= 0 ? &table->entity->edges[number] : NULL;
		sim_parent	parent = {table, row, edge};
		sim_rows	rows = {0};
		sim_table  *target;
		sim_row    *next = NULL;

		if (edge == NULL || edge->target < 0 ||
			!is_served(request, &store_catalogue()->entities[edge->target]))
			break;
		target = org_table(request->org, edge->target);
		if (target->forbidden)
		{
			document_forbidden(request);
			return;
		}
		edge_rows(table, row, number, &rows);
		at++;
		if (edge->many && at == request->segment_count)
		{
			document_list(request, target, &rows, &parent);
			rows_free(&rows);
			return;
		}
		if (edge->many || (at < request->segment_count &&
						   isdigit((unsigned char) *request->segments[at])))
		{
			for (size_t i = 0; i < rows.count; i++)
				if (rows.rows[i] == find_id(request, target, request->segments[at]))
					next = rows.rows[i];
			at++;
		}
		else if (rows.count > 0)
			next = rows.rows[0];
		rows_free(&rows);
		if (next == NULL)
			break;
		if (at == request->segment_count)
		{
			document_single(request, target, next, &parent);
			return;
		}
		table = target;
		row = next;
	}
	document_not_found(request);
}

/*
 * route_answer fills the reply of a request that passed every gate.
 */
void
route_answer(sim_request *request)
{
	sim_parent	nobody = {NULL, NULL, NULL};
	sim_table  *table;
	sim_row    *row;

	if (!route_known(request))
		document_not_found(request);
	else if (documentation_asked(request))
		documentation_answer(request);
	else if (request->org->forbidden_products[request->product])
		document_forbidden(request);
	else if (request->segment_count == 2)
		answer_organization(request, &nobody);
	else if (strcmp(request->segments[2], "me") == 0)
		answer_me(request, &nobody);
	else
	{
		table = collection_table(request, request->segments[2]);
		if (table == NULL)
			document_not_found(request);
		else if (table->forbidden)
			document_forbidden(request);
		else if (request->segment_count == 3 && table->entity->single && table->count > 0)
			document_single(request, table, table->rows[0], &nobody);
		else if (request->segment_count == 3)
			document_list(request, table, NULL, &nobody);
		else if ((row = find_id(request, table, request->segments[3])) == NULL)
			document_not_found(request);
		else if (request->segment_count == 4)
			document_single(request, table, row, &nobody);
		else if (row->deleted)
			document_not_found(request);
		else
			answer_below(request, table, row, 4);
	}
}
