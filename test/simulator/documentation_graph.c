/*-------------------------------------------------------------------------
 *
 * documentation_graph.c
 *	  The graph of a product as documented: which vertices, which edges.
 *
 * Facts: a vertex is named like its type in snake case; the organization's
 * outbound edges are the top-level collections; a path has {x_id} for the id of
 * each record x that it leads through.
 *
 * Owns: nothing.  Must never write a document.
 *
 * IDENTIFICATION
 *	  test/simulator/documentation_graph.c
 *
 *-------------------------------------------------------------------------
 */
#include "documentation.h"

#include <ctype.h>
#include <stdio.h>

/*
 * name_vertex fills in both names of a catalogue's entity.
 */
static void
name_vertex(const cat_entity *entity, doc_vertex *vertex)
{
	size_t		len = 0;

	vertex->entity = entity;
	snprintf(vertex->type, sizeof(vertex->type), "%s", entity->type);
	for (const char *c = vertex->type; *c && len + 2 < sizeof(vertex->name); c++)
	{
		if (isupper((unsigned char) *c) && c > vertex->type)
			vertex->name[len++] = '_';
		vertex->name[len++] = (char) tolower((unsigned char) *c);
	}
	vertex->name[len] = '\0';
}

/*
 * name_added fills in both names of a vertex that was added.
 */
static void
name_added(const char *name, doc_vertex *vertex)
{
	size_t		len = 0;
	bool		upper = true;

	vertex->entity = NULL;
	snprintf(vertex->name, sizeof(vertex->name), "%s", name);
	for (const char *c = vertex->name; *c; c++)
	{
		if (*c != '_')
			vertex->type[len++] = upper ? (char) toupper((unsigned char) *c) : *c;
		upper = *c == '_';
	}
	vertex->type[len] = '\0';
}

/*
 * doc_vertex_next steps through the vertices; at starts at 0.
 */
bool
doc_vertex_next(const documentation *d, int *at, doc_vertex *vertex)
{
	const catalogue *cat = store_catalogue();
	const doc_change *added = NULL;

	for (; *at < cat->entity_count; (*at)++)
	{
		const cat_entity *entity = &cat->entities[*at];

		if (entity->product != d->product ||
			(entity->since != NULL && strcmp(entity->since, d->version) > 0))
			continue;
		name_vertex(entity, vertex);
		if (doc_change_next(NULL, d->product, DOC_REMOVE, DOC_VERTEX, vertex->name, NULL) != NULL)
			continue;
		(*at)++;
		return true;
	}
	for (int skip = *at - cat->entity_count; skip >= 0;)
	{
		added = doc_change_next(added, d->product, DOC_ADD, DOC_VERTEX, NULL, NULL);
		if (added == NULL)
			return false;
		/* Added again, a vertex has one more edge. */
		if (added == doc_change_next(NULL, d->product, DOC_ADD, DOC_VERTEX, added->vertex, NULL))
			skip--;
	}
	name_added(added->vertex, vertex);
	(*at)++;
	return true;
}

/*
 * doc_vertex_find finds a vertex by its name in snake case.
 */
bool
doc_vertex_find(const documentation *d, const char *name, doc_vertex *vertex)
{
	int			at = 0;

	while (doc_vertex_next(d, &at, vertex))
		if (strcmp(vertex->name, name) == 0)
			return true;
	return false;
}

/*
 * find_entity finds the vertex of an entity by its number.
 */
static bool
find_entity(const documentation *d, int number, doc_vertex *vertex)
{
	const cat_entity *entity = number >= 0 ? &store_catalogue()->entities[number] : NULL;
	int			at = 0;

	while (entity != NULL && doc_vertex_next(d, &at, vertex))
		if (vertex->entity == entity)
			return true;
	return false;
}

/*
 * leads_home tells whether an edge is the one that an entity's own path ends
 * with.
 */
static bool
leads_home(const cat_entity *tail, const char *name, const cat_entity *entity)
{
	const catalogue *cat = store_catalogue();
	const cat_entity *from;

	if (entity->product != tail->product || entity->collection != NULL)
		return false;
	if (entity->seen_type == NULL)
		return entity->nested >= 0 && strcmp(entity->nested_edge, name) == 0 &&
			entity->to_one[entity->nested].target == tail->number;
	if (strcmp(entity->seen.names[entity->seen.count - 1], name) != 0)
		return false;
	from = &cat->entities[catalogue_entity(cat, entity->product, entity->seen_type)];
	for (int i = 0; i + 1 < entity->seen.count; i++)
		from = &cat->entities[from->edges[entity_edge(from, entity->seen.names[i])].target];
	return from == tail;
}

/*
 * find_head finds where an edge leads: some types have records only as what an
 * edge shows of another type.
 */
static bool
find_head(const documentation *d, const cat_entity *tail, const cat_edge *edge,
		  doc_vertex *head)
{
	const catalogue *cat = store_catalogue();

	for (int i = 0; i < cat->entity_count; i++)
		if (leads_home(tail, edge->name, &cat->entities[i]) && find_entity(d, i, head))
			return true;
	return find_entity(d, edge->target, head);
}

/*
 * visit_own visits the edges that one entity of the catalogue has.
 */
static void
visit_own(documentation *d, const doc_vertex *tail, doc_edge_visitor visit, void *argument)
{
	doc_vertex	head;

	for (int i = 0; i < tail->entity->edge_count; i++)
	{
		const cat_edge *edge = &tail->entity->edges[i];

		/* The organization's edges are the collections, below. */
		if (strcmp(tail->name, "organization") != 0 && find_head(d, tail->entity, edge, &head))
			visit(d, edge->name, tail, &head, argument);
	}
}

/*
 * find_tail finds where the edge of an added vertex comes from.
 */
static bool
find_tail(const documentation *d, const doc_change *added, doc_vertex *tail)
{
	return doc_vertex_find(d, added->type ? added->type : "organization", tail);
}

/*
 * doc_edges visits every edge of a product.
 */
void
doc_edges(documentation *d, doc_edge_visitor visit, void *argument)
{
	doc_vertex	organization;
	doc_vertex	vertex;
	doc_vertex	tail;
	int			at = 0;
	bool		rooted = doc_vertex_find(d, "organization", &organization);

	while (doc_vertex_next(d, &at, &vertex))
	{
		const doc_change *added = NULL;

		if (vertex.entity != NULL)
		{
			if (rooted && vertex.entity->collection != NULL)
				visit(d, vertex.entity->collection, &organization, &vertex, argument);
			visit_own(d, &vertex, visit, argument);
			continue;
		}
		while ((added = doc_change_next(added, d->product, DOC_ADD, DOC_VERTEX,
										vertex.name, NULL)) != NULL)
			if (added->name != NULL && find_tail(d, added, &tail))
				visit(d, added->name, &tail, &vertex, argument);
	}
}

/*
 * put_id appends the parameter for a tail's record, unless the tail's path
 * gives one record at once.
 */
static void
put_id(const doc_vertex *tail, const char *record, sim_buf *out)
{
	const cat_entity *entity = tail->entity;

	if (strcmp(tail->name, "organization") != 0 &&
		(entity == NULL || !(entity->single || (entity->nested >= 0 && !entity->nested_many))))
		buf_printf(out, "/{%s_id}", record);
}

/*
 * parent_record returns what the path of a nested entity calls its parent.
 */
static const char *
parent_record(const cat_entity *entity, char *name, size_t size)
{
	const char *slot = entity->to_one[entity->nested].name;

	snprintf(name, size, "%s", slot);
	for (int i = 0; i < entity->param_count; i++)
		if (entity->params[i].hops.count == 1 && strcmp(entity->params[i].hops.names[0], slot) == 0)
			buf_copy_part(name, size, entity->params[i].name,
						  entity->params[i].name + strlen(entity->params[i].name) - strlen("_id"));
	return name;
}

/*
 * put_seen appends the path to what is found by several edges from a list.
 */
static void
put_seen(documentation *d, const cat_entity *entity, const doc_vertex *from, sim_buf *out)
{
	const catalogue *cat = store_catalogue();
	const cat_entity *at = from->entity;
	const cat_edge *edge;
	doc_vertex	vertex;

	doc_records_path(d, from, out);
	put_id(from, from->name, out);
	for (int i = 0; i < entity->seen.count; i++)
	{
		edge = &at->edges[entity_edge(at, entity->seen.names[i])];
		at = &cat->entities[edge->target];
		name_vertex(at, &vertex);
		buf_printf(out, "/%s", edge->name);
		if (i + 1 < entity->seen.count)
			buf_printf(out, "/{%s_id}", edge->many ? vertex.name : edge->name);
	}
}

/*
 * doc_records_path appends the path of a vertex's own list.
 */
void
doc_records_path(documentation *d, const doc_vertex *vertex, sim_buf *out)
{
	const catalogue *cat = store_catalogue();
	const cat_entity *entity = vertex->entity;
	const doc_change *added;
	doc_vertex	parent;
	char		record[128];

	if (entity == NULL &&
		(added = doc_change_next(NULL, d->product, DOC_ADD, DOC_VERTEX, vertex->name, NULL)) != NULL &&
		added->name != NULL && find_tail(d, added, &parent))
		doc_edge_path(d, &parent, vertex, added->name, out);
	else if (entity != NULL && entity->seen_type != NULL &&
			 find_entity(d, catalogue_entity(cat, d->product, entity->seen_type), &parent))
		put_seen(d, entity, &parent, out);
	else if (entity != NULL && entity->nested >= 0 &&
			 find_entity(d, entity->to_one[entity->nested].target, &parent))
	{
		doc_records_path(d, &parent, out);
		put_id(&parent, parent_record(entity, record, sizeof(record)), out);
		buf_printf(out, "/%s", entity->nested_edge);
	}
	else
	{
		buf_printf(out, "%s/%s/v2", d->request->origin, cat->products[d->product].name);
		if (entity != NULL && entity->collection != NULL)
			buf_printf(out, "/%s", entity->collection);
	}
}

/*
 * doc_edge_path appends the path of an edge.
 */
void
doc_edge_path(documentation *d, const doc_vertex *tail, const doc_vertex *head,
			  const char *name, sim_buf *out)
{
	if (tail->entity != NULL && head->entity != NULL && leads_home(tail->entity, name, head->entity))
	{
		doc_records_path(d, head, out);
		return;
	}
	doc_records_path(d, tail, out);
	put_id(tail, tail->name, out);
	buf_printf(out, "/%s", name);
}
