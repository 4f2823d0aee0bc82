/*-------------------------------------------------------------------------
 *
 * documentation_vertex.c
 *	  One vertex of the documentation graph.
 *
 * Facts: the lists of a vertex are objects {type, id, attributes,
 * relationships} in its relationships' data; can_query names its parameter
 * where[x]; an edge names its head and tail.
 *
 * Owns: nothing.  Must never decide what stands in the graph.
 *
 * IDENTIFICATION
 *	  test/simulator/documentation_vertex.c
 *
 *-------------------------------------------------------------------------
 */
#include "documentation.h"

/*
 * doc_start opens an object and its attributes.  Another object before it was
 * the list's last member.
 */
void
doc_start(documentation *d, const char *type, const char *owner, const char *key,
		  const char *name)
{
	sim_buf		id = {0};

	buf_printf(&id, "%s%s%s", owner, *owner ? "-" : "", key);
	buf_printf(d->out, "%s{\"type\":\"%s\",\"id\":",
			   d->out->data[d->out->len - 1] == '}' ? "," : "", type);
	buf_json_str(d->out, id.data);
	buf_str(d->out, ",\"attributes\":{\"name\":");
	buf_json_str(d->out, name);
	buf_free(&id);
}

/*
 * put_end appends "key":{"data":...}, one end of an edge.
 */
static void
put_end(documentation *d, const char *key, const doc_vertex *vertex)
{
	buf_printf(d->out, "\"%s\":{\"data\":", key);
	doc_start(d, "Vertex", "", vertex->name, vertex->type);
	buf_str(d->out, "}}}");
}

/*
 * doc_edge_object appends an edge with head and tail.
 */
void
doc_edge_object(documentation *d, const char *name, const doc_vertex *tail,
				const doc_vertex *head)
{
	sim_buf		path = {0};
	const cat_entity *entity = head->entity;

	doc_start(d, "Edge", tail->name, name, name);
	doc_edge_path(d, tail, head, name, &path);
	buf_str(d->out, ",\"details\":null,\"path\":");
	buf_json_str(d->out, path.data);
	buf_free(&path);
	buf_str(d->out, ",\"filters\":[");
	for (int i = 0; entity != NULL && i < entity->filter_count; i++)
	{
		buf_str(d->out, i ? "," : "");
		buf_json_str(d->out, entity->filters[i].name);
	}
	buf_str(d->out, "],\"scopes\":[");
	for (int i = 0; entity != NULL && i < entity->filter_count; i++)
	{
		buf_str(d->out, i ? ",{\"name\":" : "{\"name\":");
		buf_json_str(d->out, entity->filters[i].name);
		buf_str(d->out, ",\"scope_help\":null}");
	}
	buf_str(d->out, "],\"deprecated\":false},\"relationships\":{");
	put_end(d, "head", head);
	buf_char(d->out, ',');
	put_end(d, "tail", tail);
	buf_str(d->out, "}}");
}

/* Whose edges are wanted. */
typedef struct edge_list
{
	const doc_vertex *vertex;
	bool		outbound;
} edge_list;

/*
 * put_edge appends an edge if it starts or ends where it should.
 */
static void
put_edge(documentation *d, const char *name, const doc_vertex *tail, const doc_vertex *head,
		 void *argument)
{
	const edge_list *list = argument;

	if (strcmp((list->outbound ? tail : head)->name, list->vertex->name) == 0)
		doc_edge_object(d, name, tail, head);
}

/*
 * put_edges appends ,"key":{"data":[...]}.
 */
static void
put_edges(documentation *d, const char *key, const doc_vertex *vertex, bool outbound)
{
	edge_list	list = {vertex, outbound};

	buf_printf(d->out, ",\"%s\":{\"data\":[", key);
	doc_edges(d, put_edge, &list);
	buf_str(d->out, "]}");
}

/* A list of a vertex in the making. */
typedef struct member_list
{
	documentation *d;
	const doc_vertex *vertex;
	doc_subject subject;
} member_list;

/*
 * put_parameter appends what differs between the kinds of URL parameters.
 */
static void
put_parameter(const member_list *list, const char *name, const char *type)
{
	sim_buf    *out = list->d->out;
	sim_buf		parameter = {0};

	buf_str(&parameter, list->subject == DOC_INCLUDE ? "include" :
			list->subject == DOC_ORDER ? "order" : "where");
	if (list->subject == DOC_WHERE)
		buf_printf(&parameter, "[%s]", name);
	buf_str(out, ",\"parameter\":");
	buf_json_str(out, parameter.data);
	buf_str(out, ",\"type\":");
	buf_json_str(out, type);
	buf_str(out, ",\"value\":");
	if (list->subject == DOC_WHERE)
		buf_str(out, "null");
	else
		buf_json_str(out, name);
	buf_str(out, ",\"description\":null,\"example\":null}}");
	buf_free(&parameter);
}

/*
 * put_member appends one member of a list, unless a test took it out.  The
 * type "X[]" of a relationship makes it to-many.
 */
static void
put_member(const member_list *list, const char *name, const char *type, const char *note,
		   bool polymorphic)
{
	static const char *const types[] = {"Attribute", "Relationship", "URLParameter",
	"URLParameter", "URLParameter"};
	documentation *d = list->d;
	const char *vertex = list->vertex->name;
	const doc_change *retyped;
	size_t		len;
	bool		many;

	if (doc_change_next(NULL, d->product, DOC_REMOVE, list->subject, vertex, name) != NULL)
		return;
	retyped = doc_change_next(NULL, d->product, DOC_RETYPE, list->subject, vertex, name);
	if (retyped != NULL)
		type = retyped->type;
	if (type == NULL)
		type = "string";
	doc_start(d, types[list->subject], vertex, name, name);
	if (list->subject == DOC_ATTRIBUTE)
	{
		buf_str(d->out, ",\"type_annotation\":{\"name\":");
		buf_json_str(d->out, type);
		buf_str(d->out, ",\"example\":null},\"note\":");
		if (note != NULL)
			buf_json_str(d->out, note);
		else
			buf_str(d->out, "null");
		buf_str(d->out, ",\"permission_level\":null,\"description\":null}}");
	}
	else if (list->subject == DOC_RELATIONSHIP)
	{
		len = strlen(type);
		many = len > 2 && strcmp(type + len - 2, "[]") == 0;
		buf_printf(d->out, ",\"association\":\"%s\",\"graph_type\":",
				   many ? "to_many" : "to_one");
		buf_json(d->out, type, many ? len - 2 : len);
		buf_printf(d->out, ",\"polymorphic\":%s,\"authorization_level\":null,\"note\":null}}",
				   polymorphic ? "true" : "null");
	}
	else
		put_parameter(list, name, type);
}

/*
 * put_attributes appends the documented attributes of an entity.
 */
static void
put_attributes(const member_list *list, const cat_entity *entity)
{
	static const char *const types[] = {"string", "primary_key", "integer", "float", "boolean",
	"date", "date_time", "json", "array"};

	for (int i = 0; i < entity->attribute_count; i++)
	{
		const cat_attribute *a = &entity->attributes[i];

		if (!a->hidden && (a->since == NULL || strcmp(a->since, list->d->version) <= 0))
			put_member(list, a->name, types[a->type], a->fields_only ?
					   "only available when requested with the `?fields` param" : NULL, false);
	}
}

/*
 * put_relationships appends those that records carry, and those that they carry
 * only when these are included.
 */
static void
put_relationships(const member_list *list, const cat_entity *entity)
{
	sim_buf		many = {0};

	for (int i = 0; i < entity->to_one_count; i++)
		if (!entity->to_one[i].hidden)
			put_member(list, entity->to_one[i].name, entity->to_one[i].alias ?
					   entity->to_one[i].alias : entity->to_one[i].target_name, NULL,
					   entity->to_one[i].polymorphic);
	for (int i = 0; i < entity->edge_count; i++)
	{
		if (!entity->edges[i].always && !entity->edges[i].documented)
			continue;
		buf_reset(&many);
		buf_printf(&many, "%s%s", entity->edges[i].alias ? entity->edges[i].alias :
				   entity->edges[i].target_name, entity->edges[i].many ? "[]" : "");
		put_member(list, entity->edges[i].name, many.data, NULL, false);
	}
	buf_free(&many);
}

/*
 * put_keys appends order or where keys that the version knows.
 */
static void
put_keys(const member_list *list, const cat_entity *entity, const cat_names *names)
{
	static const char *const types[] = {"string", "string", "integer", "float", "boolean",
	"date", "date_time", "string", "string"};

	for (int i = 0; i < names->count; i++)
	{
		int			number = entity_attribute(entity, names->names[i]);
		const cat_attribute *a = number >= 0 ? &entity->attributes[number] : NULL;

		if (a == NULL || a->since == NULL || strcmp(a->since, list->d->version) <= 0)
			put_member(list, names->names[i],
					   a && list->subject == DOC_WHERE ? types[a->type] : "string", NULL, false);
	}
}

/*
 * put_list appends ,"key":{"data":[...]}: what the catalogue has, then what
 * was added.
 */
static void
put_list(documentation *d, const char *key, const doc_vertex *vertex, doc_subject subject)
{
	member_list list = {d, vertex, subject};
	const cat_entity *entity = vertex->entity;
	const doc_change *added = NULL;

	buf_printf(d->out, "%s\"%s\":{\"data\":[", subject == DOC_ATTRIBUTE ? "" : ",", key);
	if (subject == DOC_ATTRIBUTE)
		put_member(&list, "id", "primary_key", NULL, false);
	if (entity != NULL && subject == DOC_ATTRIBUTE)
		put_attributes(&list, entity);
	else if (entity != NULL && subject == DOC_RELATIONSHIP)
		put_relationships(&list, entity);
	else if (entity != NULL && subject == DOC_INCLUDE)
	{
		for (int i = 0; i < entity->edge_count; i++)
			if (entity->edges[i].include)
				put_member(&list, entity->edges[i].name, "string", NULL, false);
	}
	else if (entity != NULL)
		put_keys(&list, entity, subject == DOC_ORDER ? &entity->order : &entity->where);
	while ((added = doc_change_next(added, d->product, DOC_ADD, subject, vertex->name, NULL)) != NULL)
		put_member(&list, added->name, added->type, NULL, false);
	buf_str(d->out, "]}");
}

/*
 * documentation_vertex appends the document of a vertex.
 */
void
documentation_vertex(documentation *d, const doc_vertex *vertex)
{
	sim_buf    *out = d->out;
	sim_buf		text = {0};

	buf_str(out, "{\"data\":");
	doc_start(d, "Vertex", "", vertex->name, vertex->type);
	buf_str(out, ",\"description\":null,\"example\":");
	buf_printf(&text, "{\"type\":\"%s\",\"id\":\"1\",\"attributes\":{},\"relationships\":{}}",
			   vertex->type);
	buf_json_str(out, text.data);
	buf_str(out, ",\"path\":");
	buf_reset(&text);
	doc_records_path(d, vertex, &text);
	buf_json_str(out, text.data);
	buf_free(&text);
	buf_str(out, ",\"collection_only\":false,\"deprecated\":false},\"relationships\":{");
	put_list(d, "attributes", vertex, DOC_ATTRIBUTE);
	put_list(d, "relationships", vertex, DOC_RELATIONSHIP);
	buf_str(out, ",\"permissions\":{\"data\":{\"type\":\"Permissions\",\"id\":");
	buf_json_str(out, vertex->name);
	buf_str(out, ",\"attributes\":{\"can_create\":false,\"can_update\":false,\"can_destroy\":false,"
			"\"create_assignable\":[],\"update_assignable\":[]},"
			"\"relationships\":{\"edges\":{\"data\":[]}}}},\"actions\":{\"data\":[]}");
	put_edges(d, "outbound_edges", vertex, true);
	put_edges(d, "inbound_edges", vertex, false);
	put_list(d, "can_include", vertex, DOC_INCLUDE);
	put_list(d, "can_order", vertex, DOC_ORDER);
	put_list(d, "can_query", vertex, DOC_WHERE);
	buf_str(out, ",\"per_page\":{\"data\":");
	doc_start(d, "URLParameter", vertex->name, "per_page", "per_page");
	buf_str(out, ",\"parameter\":\"per_page\",\"type\":\"integer\",\"minimum\":1,\"maximum\":100,"
			"\"default\":25}}},\"offset\":{\"data\":");
	doc_start(d, "URLParameter", vertex->name, "offset", "offset");
	buf_str(out, ",\"parameter\":\"offset\",\"type\":\"integer\",\"minimum\":0,\"default\":0}}},"
			"\"rate_limits\":{\"data\":[");
	doc_start(d, "RateLimit", vertex->name, "default", "default");
	buf_printf(out, ",\"limit\":%llu,\"period\":%lld}}]}}}}",
			   (unsigned long long) rate_settings.limit,
			   (long long) (rate_settings.period / USECS_PER_SEC));
}
