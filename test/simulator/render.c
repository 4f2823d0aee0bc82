/*-------------------------------------------------------------------------
 *
 * render.c
 *	  Records as JSON:API resource objects.
 *
 * Facts: ids are strings; stamps show whole seconds in UTC; fields[Type]
 * limits attributes and relationships, and some attributes only show when
 * named in it; types without relationships have no such key; records of lists
 * link only to themselves, single ones to each outbound edge, null when empty;
 * included copies of some types lack the references that their lists show.
 *
 * Owns: the shapes of a request.  Must never look at the query's conditions.
 *
 * IDENTIFICATION
 *	  test/simulator/render.c
 *
 *-------------------------------------------------------------------------
 */
#include "render.h"

#include "odd.h"

#include <ctype.h>
#include <stdlib.h>

/* An organisation id that no token has, for the fault wrong_organization. */
#define WRONG_ORG_OFFSET 900000

/*
 * shown_org_id returns the id that the organisation shows itself with.
 */
uint64_t
shown_org_id(const sim_request *request)
{
	return request->org->id +
		(request->fault_kind == FAULT_WRONG_ORGANIZATION ? WRONG_ORG_OFFSET : 0);
}

/*
 * shape_knows tells whether the version in use has an attribute or key.
 */
bool
shape_knows(const sim_request *request, const cat_entity *entity, const char *name)
{
	int			attribute = entity_attribute(entity, name);

	return attribute < 0 || entity->attributes[attribute].since == NULL ||
		strcmp(entity->attributes[attribute].since, request->processed_version) <= 0;
}

/*
 * shape_shows tells whether fields[Type] lets a name through.
 */
static bool
shape_shows(const sim_shape *shape, const char *name)
{
	char		wanted[128];
	size_t		len = strlen(name);

	if (shape->fields == NULL)
		return true;
	if (len + 3 > sizeof(wanted))
		return false;
	wanted[0] = ',';
	memcpy(wanted + 1, name, len);
	memcpy(wanted + 1 + len, ",", 2);
	return strstr(shape->fields, wanted) != NULL;
}

/*
 * shape_of returns what the request wants to see of an entity.
 */
sim_shape *
shape_of(sim_request *request, const cat_entity *entity)
{
	sim_shape  *shape;
	sim_buf		text = {0};
	const char *fields;

	for (shape = request->shapes; shape != NULL; shape = shape->next)
		if (shape->entity == entity)
			return shape;
	shape = sim_alloc0(sizeof(*shape));
	shape->entity = entity;
	shape->next = request->shapes;
	request->shapes = shape;

	buf_printf(&text, "fields[%s]", entity->type);
	fields = request_param(request, text.data);
	buf_reset(&text);
	if (fields != NULL)
	{
		sim_buf		list = {0};

		buf_printf(&list, ",%s,", fields);
		shape->fields = list.data;
	}
	buf_printf(&text, "%s/%s/v2", request->origin,
			   store_catalogue()->products[entity->product].name);
	shape->root = text.data;

	shape->attributes = sim_alloc(sizeof(int) * (size_t) entity->attribute_count);
	for (int i = 0; i < entity->attribute_count; i++)
	{
		const cat_attribute *a = &entity->attributes[i];

		if (!a->hidden && !(a->fields_only && shape->fields == NULL) &&
			shape_knows(request, entity, a->name) && shape_shows(shape, a->name))
			shape->attributes[shape->attribute_count++] = i;
	}
	return shape;
}

/*
 * shapes_free releases a request's shapes.
 */
void
shapes_free(sim_shape *shapes)
{
	while (shapes != NULL)
	{
		sim_shape  *shape = shapes;

		shapes = shape->next;
		free(shape->attributes);
		free(shape->fields);
		free(shape->root);
		free(shape);
	}
}

/*
 * put_self appends a record's own address, unquoted.
 */
static void
put_self(sim_request *request, const sim_table *table, const sim_row *row, sim_buf *out)
{
	const cat_entity *entity = table->entity;

	if (entity->collection != NULL || entity->link != NULL)
	{
		buf_str(out, shape_of(request, entity)->root);
		buf_char(out, '/');
		buf_str(out, entity->collection ? entity->collection : entity->link);
		if (entity->single)
			return;
	}
	else if (entity->nested >= 0)
	{
		const sim_table *parents = org_table(table->org, entity->to_one[entity->nested].target);
		const sim_row *parent = table_find(parents, row_refs(row)[entity->nested]);

		if (parent != NULL)
			put_self(request, parents, parent, out);
		buf_char(out, '/');
		buf_str(out, entity->nested_edge);
		if (!entity->nested_many)
			return;
	}
	else
	{
		buf_str(out, shape_of(request, entity)->root);
		return;					/* the organisation is the root itself */
	}
	buf_char(out, '/');
	buf_u64(out, row->id);
}

/*
 * put_attributes appends "attributes":{...}.
 */
static void
put_attributes(const sim_shape *shape, const sim_row *row, const sim_odd *odd,
			   sim_buf *out)
{
	const cat_entity *entity = shape->entity;
	bool		first = true;

	buf_add(out, "\"attributes\":{", 14);
	for (int i = 0; i < shape->attribute_count; i++)
	{
		const cat_attribute *a = &entity->attributes[shape->attributes[i]];
		size_t		len;
		const char *value = row_value(entity, row, shape->attributes[i], &len);

		if (odd != NULL && odd->kind == ODD_MISSING_ATTRIBUTE &&
			odd->attribute == shape->attributes[i])
			continue;
		if (!first)
			buf_char(out, ',');
		first = false;
		buf_add(out, a->key, a->key_len);
		if (odd != NULL && odd_value(odd, shape->attributes[i], out))
			continue;
		if (a->generator != GEN_CREATED && a->generator != GEN_UPDATED)
			buf_add(out, value, len);
		else if ((a->generator == GEN_CREATED ? row->created : row->updated) == STAMP_NULL)
			buf_add(out, "null", 4);
		else
		{
			buf_char(out, '"');
			stamp_iso(out, a->generator == GEN_CREATED ? row->created : row->updated);
			buf_char(out, '"');
		}
	}
	if (odd != NULL && odd->kind == ODD_UNKNOWN_ATTRIBUTE)
		buf_str(out, first ? "\"shoe_size\":44" : ",\"shoe_size\":44");
	buf_char(out, '}');
}

/*
 * put_camel appends a relationship's name as an alias type would read.
 */
static void
put_camel(sim_buf *out, const char *name)
{
	bool		upper = true;

	for (; *name; name++)
	{
		if (*name != '_')
			buf_char(out, upper ? (char) toupper((unsigned char) *name) : *name);
		upper = *name == '_';
	}
}

/*
 * put_identifier appends {"type":...,"id":...}.
 */
static void
put_identifier(sim_buf *out, const char *type, const char *alias_of, uint64_t id)
{
	buf_add(out, "{\"type\":\"", 9);
	if (alias_of != NULL)
		put_camel(out, alias_of);
	else
		buf_str(out, type);
	buf_add(out, "\",\"id\":\"", 8);
	buf_u64(out, id);
	buf_add(out, "\"}", 2);
}

/*
 * start_relationship appends a relationship's name and its opening brace.
 */
static void
start_relationship(sim_buf *out, bool *first, const char *name)
{
	buf_str(out, *first ? "\"relationships\":{\"" : ",\"");
	*first = false;
	buf_str(out, name);
	buf_add(out, "\":{", 3);
}

/*
 * put_rows appends "data":... for the rows of an edge.
 */
static void
put_rows(sim_buf *out, const sim_rows *rows, const char *type, bool many,
		 const char *alias_of)
{
	buf_add(out, "\"data\":", 7);
	if (many)
	{
		buf_char(out, '[');
		for (size_t i = 0; i < rows->count; i++)
		{
			if (i > 0)
				buf_char(out, ',');
			put_identifier(out, type, alias_of, rows->rows[i]->id);
		}
		buf_char(out, ']');
	}
	else if (rows->count > 0)
		put_identifier(out, type, alias_of, rows->rows[0]->id);
	else
		buf_add(out, "null", 4);
}

/*
 * inclusion_of finds the include of an edge by name, or -1.
 */
static int
inclusion_of(const sim_inclusion *inclusion, const cat_entity *entity, const char *name)
{
	for (size_t i = 0; inclusion != NULL && i < inclusion->includes->count; i++)
		if (strcmp(entity->edges[inclusion->includes->items[i].edge].name, name) == 0)
			return (int) i;
	return -1;
}

/*
 * put_included_edge appends the link and data of an included edge.
 */
static void
put_included_edge(sim_request *request, const sim_table *table, const sim_row *row,
				  const cat_edge *edge, const char *type, const sim_rows *rows,
				  const char *alias_of, sim_buf *out)
{
	buf_str(out, "\"links\":{\"related\":\"");
	put_self(request, table, row, out);
	buf_char(out, '/');
	buf_str(out, edge->name);
	buf_str(out, "\"},");
	put_rows(out, rows, type, edge->many, alias_of);
}

/*
 * put_second_level appends the artificial relationships that includes of two
 * levels leave on the primary record.
 */
static void
put_second_level(const sim_table *table, const sim_shape *shape,
				 const sim_inclusion *inclusion, bool *first, sim_buf *out)
{
	for (size_t i = 0; i < inclusion->includes->count; i++)
	{
		const sim_include *item = &inclusion->includes->items[i];
		const cat_entity *there;
		const cat_edge *further;

		if (item->further < 0)
			continue;
		there = org_table(table->org, table->entity->edges[item->edge].target)->entity;
		further = &there->edges[item->further];
		if (!shape_shows(shape, further->name))
			continue;
		start_relationship(out, first, further->name);
		buf_str(out, "\"links\":{\"related\":null},");
		put_rows(out, &inclusion->far[i], further->target_name, true, NULL);
		buf_char(out, '}');
	}
}

/*
 * put_relationships appends ,"relationships":{...}, or nothing if none show.
 */
static void
put_relationships(sim_request *request, const sim_table *table, const sim_row *row,
				  sim_form form, const sim_inclusion *inclusion, const sim_odd *odd, sim_buf *out)
{
	const cat_entity *entity = table->entity;
	const sim_shape *shape = shape_of(request, entity);
	bool		aliases = odd != NULL && odd->kind == ODD_ALIAS_TYPE;
	size_t		start = out->len;
	bool		first = true;
	int			at;

	buf_char(out, ',');
	for (int i = 0; i < entity->to_one_count; i++)
	{
		const cat_to_one *to_one = &entity->to_one[i];
		const char *type = to_one->alias ? to_one->alias :
			entity_target_type(entity, row_refs(row), i);
		uint64_t	id = row_refs(row)[i];

		if (to_one->hidden || to_one->silent || !shape_shows(shape, to_one->name) ||
			(form == FORM_INCLUDED && entity->thin && i != entity->owner))
			continue;
		start_relationship(out, &first, to_one->name);
		at = inclusion_of(inclusion, entity, to_one->name);
		if (at >= 0)
			put_included_edge(request, table, row,
							  &entity->edges[inclusion->includes->items[at].edge], type,
							  &inclusion->near[at], aliases ? to_one->name : NULL, out);
		else if (id == 0)
			buf_add(out, "\"data\":null", 11);
		else
		{
			buf_add(out, "\"data\":", 7);
			put_identifier(out, type, aliases ? to_one->name : NULL,
						   to_one->generator == TARGET_ORGANIZATION ? shown_org_id(request) : id);
		}
		buf_char(out, '}');
	}
	for (int i = 0; i < entity->edge_count; i++)
	{
		const cat_edge *edge = &entity->edges[i];
		sim_rows	rows = {0};

		at = inclusion_of(inclusion, entity, edge->name);
		if ((at < 0 && !edge->always) || !shape_shows(shape, edge->name))
			continue;
		if (at >= 0 && entity_to_one(entity, edge->name) >= 0 &&
			!entity->to_one[entity_to_one(entity, edge->name)].hidden)
			continue;			/* written above */
		start_relationship(out, &first, edge->name);
		if (at >= 0)
			put_included_edge(request, table, row, edge, edge->target_name,
							  &inclusion->near[at], aliases ? edge->name : NULL, out);
		else
		{
			edge_rows(table, row, i, &rows);
			put_rows(out, &rows, edge->alias ? edge->alias : edge->target_name, edge->many,
					 aliases ? edge->name : NULL);
			rows_free(&rows);
		}
		buf_char(out, '}');
	}
	if (inclusion != NULL)
		put_second_level(table, shape, inclusion, &first, out);
	if (first)
		out->len = start;
	else
		buf_char(out, '}');
}

/*
 * edge_is_empty tells whether a single record's link to an edge is null.
 */
static bool
edge_is_empty(const sim_table *table, const sim_row *row, int edge)
{
	const cat_edge *e = &table->entity->edges[edge];
	sim_rows	rows = {0};
	bool		empty;

	if (e->target >= 0 && org_table(table->org, e->target)->forbidden)
		return true;
	if (e->many)
		return false;
	edge_rows(table, row, edge, &rows);
	empty = rows.count == 0;
	rows_free(&rows);
	return empty;
}

/*
 * put_links appends ,"links":{...}.
 */
static void
put_links(sim_request *request, const sim_table *table, const sim_row *row, sim_form form,
		  const sim_inclusion *inclusion, sim_buf *out)
{
	const cat_entity *entity = table->entity;

	buf_add(out, ",\"links\":{", 10);
	for (int i = 0; i < entity->edge_count && (form == FORM_SINGLE || inclusion != NULL); i++)
	{
		if (form != FORM_SINGLE && inclusion_of(inclusion, entity, entity->edges[i].name) < 0)
			continue;
		buf_printf(out, "\"%s\":", entity->edges[i].name);
		if (edge_is_empty(table, row, i))
			buf_str(out, "null,");
		else
		{
			buf_char(out, '"');
			put_self(request, table, row, out);
			buf_printf(out, "/%s\",", entity->edges[i].name);
		}
	}
	buf_add(out, "\"self\":\"", 8);
	put_self(request, table, row, out);
	buf_char(out, '"');
	if (entity->html != NULL)
	{
		buf_add(out, ",\"html\":\"", 9);
		buf_str(out, entity->html);
		buf_u64(out, row->id);
		buf_char(out, '"');
	}
	buf_char(out, '}');
}

/*
 * render_record appends one resource object.
 */
void
render_record(sim_request *request, const sim_table *table, const sim_row *row,
			  sim_form form, const sim_inclusion *inclusion, sim_buf *out)
{
	const cat_entity *entity = table->entity;
	const sim_odd *odd = table->odds ? odd_find(table, row->id) : NULL;
	uint64_t	id = entity->rows == ROWS_ORGANIZATION ? shown_org_id(request) : row->id;

	buf_add(out, "{\"type\":\"", 9);
	buf_str(out, entity->type);
	if (odd != NULL && odd->kind == ODD_NULL_ID)
		buf_str(out, "\",\"id\":null,");
	else if (odd != NULL && odd->kind == ODD_NUMERIC_ID)
		buf_printf(out, "\",\"id\":%llu,", (unsigned long long) id);
	else if (odd != NULL && odd->kind == ODD_MISSING_ID)
		buf_str(out, "\",");
	else
	{
		buf_add(out, "\",\"id\":\"", 8);
		buf_u64(out, id);
		buf_add(out, "\",", 2);
	}
	put_attributes(shape_of(request, entity), row, odd, out);
	put_relationships(request, table, row, form, inclusion, odd, out);
	put_links(request, table, row, form, inclusion, out);
	buf_char(out, '}');
}
