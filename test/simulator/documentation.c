/*-------------------------------------------------------------------------
 *
 * documentation.c
 *	  What the API tells about itself: the documentation graph and OpenAPI.
 *
 * /{product}/v2/documentation                          its versions
 * /{product}/v2/documentation/{version}                vertices and edges
 * /{product}/v2/documentation/{version}/vertices/{v}   one vertex
 * /{product}/v2/open_api/{version}                     paths
 *
 * Fact: nobody needs credentials for these.
 *
 * Owns: nothing.  Must never look at an organisation: there may be none.
 *
 * IDENTIFICATION
 *	  test/simulator/documentation.c
 *
 *-------------------------------------------------------------------------
 */
#include "documentation.h"

#include "document.h"

#include <stdlib.h>

/*
 * documentation_asked tells whether a request is for the documentation.
 */
bool
documentation_asked(const sim_request *request)
{
	return request->product >= 0 && request->segment_count >= 3 &&
		(strcmp(request->segments[2], "documentation") == 0 ||
		 strcmp(request->segments[2], "open_api") == 0);
}

/*
 * version_next steps through the versions, oldest first; at starts at 0.
 */
static const char *
version_next(const documentation *d, int *at)
{
	const cat_names *versions = &store_catalogue()->products[d->product].versions;
	const doc_change *added = NULL;

	for (; *at < versions->count; (*at)++)
		if (doc_change_next(NULL, d->product, DOC_REMOVE, DOC_VERSION, NULL,
							versions->names[*at]) == NULL)
			return versions->names[(*at)++];
	for (int skip = *at - versions->count; skip >= 0; skip--)
		if ((added = doc_change_next(added, d->product, DOC_ADD, DOC_VERSION, NULL, NULL)) == NULL)
			return NULL;
	(*at)++;
	return added->name;
}

/*
 * put_version appends a version as an object.
 */
static void
put_version(documentation *d, const char *version)
{
	if (version == NULL)
	{
		buf_str(d->out, "null");
		return;
	}
	buf_printf(d->out, "%s{\"type\":\"GraphVersion\",\"id\":",
			   d->out->data[d->out->len - 1] == '}' ? "," : "");
	buf_json_str(d->out, version);
	buf_str(d->out, ",\"attributes\":{\"beta\":false,\"details\":null}}");
}

/*
 * answer_graph answers with a product's versions, the newest first.
 */
static void
answer_graph(documentation *d)
{
	const char *name = store_catalogue()->products[d->product].name;
	int			count = 0;
	int			at = 0;

	while (version_next(d, &at) != NULL)
		count++;
	buf_printf(d->out, "{\"data\":{\"type\":\"Graph\",\"id\":\"%s\",\"attributes\":{\"title\":\"%s\","
			   "\"description\":null},\"relationships\":{\"versions\":{\"data\":[", name, name);
	for (; count > 0; count--)
	{
		const char *version = NULL;

		at = 0;
		for (int i = 0; i < count; i++)
			version = version_next(d, &at);
		put_version(d, version);
	}
	buf_str(d->out, "]}}}}");
}

/*
 * put_edge appends an edge to the version's list.
 */
static void
put_edge(documentation *d, const char *name, const doc_vertex *tail, const doc_vertex *head,
		 void *argument)
{
	(void) argument;
	doc_edge_object(d, name, tail, head);
}

/*
 * put_changes appends what this version brought.
 */
static void
put_changes(documentation *d)
{
	doc_vertex	vertex;
	int			at = 0;

	while (doc_vertex_next(d, &at, &vertex))
		for (int i = 0; vertex.entity != NULL && i < vertex.entity->attribute_count; i++)
		{
			const cat_attribute *a = &vertex.entity->attributes[i];

			if (a->since == NULL || strcmp(a->since, d->version) != 0)
				continue;
			doc_start(d, "Change", vertex.name, a->name, a->name);
			buf_printf(d->out, ",\"vertex\":\"%s\",\"details\":\"%s was added\"}}",
					   vertex.name, a->name);
		}
}

/*
 * answer_version answers with the vertices and edges of a version.
 */
static void
answer_version(documentation *d, const char *previous, const char *next)
{
	sim_buf    *out = d->out;
	doc_vertex	vertex;
	int			at = 0;

	buf_str(out, "{\"data\":{\"type\":\"GraphVersion\",\"id\":");
	buf_json_str(out, d->version);
	buf_str(out, ",\"attributes\":{\"beta\":false,\"details\":null},\"relationships\":{"
			"\"vertices\":{\"data\":[");
	while (doc_vertex_next(d, &at, &vertex))
	{
		doc_start(d, "Vertex", "", vertex.name, vertex.type);
		buf_str(out, "}}");
	}
	buf_str(out, "]},\"edges\":{\"data\":[");
	doc_edges(d, put_edge, NULL);
	buf_str(out, "]},\"entry\":{\"data\":");
	doc_start(d, "Vertex", "", "organization", "Organization");
	buf_str(out, "}}},\"changes\":{\"data\":[");
	put_changes(d);
	buf_str(out, "]},\"removed\":{\"data\":[]},\"previous_version\":{\"data\":");
	put_version(d, previous);
	buf_str(out, "},\"next_version\":{\"data\":");
	put_version(d, next);
	buf_str(out, "}}}}");
}

/*
 * put_operation appends a path of the OpenAPI document.
 */
static void
put_operation(documentation *d, const char *name, const doc_vertex *tail,
			  const doc_vertex *head, void *argument)
{
	sim_buf		path = {0};

	(void) argument;
	doc_edge_path(d, tail, head, name, &path);
	buf_str(d->out, d->out->data[d->out->len - 1] == '}' ? "," : "");
	buf_json_str(d->out, path.data + strlen(d->request->origin));
	buf_printf(d->out, ":{\"get\":{\"tags\":[\"%s\"],\"responses\":{\"200\":{\"description\":\"OK\"}}}}",
			   head->type);
	buf_free(&path);
}

/*
 * answer_open_api answers with the paths of the graph's edges.
 */
static void
answer_open_api(documentation *d)
{
	buf_printf(d->out, "{\"openapi\":\"3.1.1\",\"info\":{\"title\":\"%s\",\"version\":",
			   store_catalogue()->products[d->product].name);
	buf_json_str(d->out, d->version);
	buf_printf(d->out, "},\"servers\":[{\"url\":\"%s\"}],\"paths\":{", d->request->origin);
	doc_edges(d, put_operation, NULL);
	buf_str(d->out, "}}");
}

/*
 * find_version finds the version that a path names, and its neighbours.
 */
static bool
find_version(documentation *d, const char *name, const char **previous, const char **next)
{
	int			at = 0;

	*previous = NULL;
	while ((d->version = version_next(d, &at)) != NULL)
	{
		if (strcmp(d->version, name) == 0)
		{
			*next = version_next(d, &at);
			return true;
		}
		*previous = d->version;
	}
	return false;
}

/*
 * documentation_answer fills the reply.
 */
void
documentation_answer(sim_request *request)
{
	documentation d = {.request = request, .product = request->product,
	.out = &request->reply.body};
	size_t		count = request->segment_count;
	bool		graph = strcmp(request->segments[2], "documentation") == 0;
	const char *previous;
	const char *next;
	doc_vertex	vertex;

	if (graph && count == 3)
		answer_graph(&d);
	else if (count == 3 || !find_version(&d, request->segments[3], &previous, &next))
		document_not_found(request);
	else if (!graph && count == 4)
		answer_open_api(&d);
	else if (graph && count == 4)
		answer_version(&d, previous, next);
	else if (graph && count == 6 && strcmp(request->segments[4], "vertices") == 0 &&
			 doc_vertex_find(&d, request->segments[5], &vertex))
		documentation_vertex(&d, &vertex);
	else
		document_not_found(request);
	if (request->reply.status != 0)
		return;
	request->reply.status = 200;
	reply_header(&request->reply, "Content-Type",
				 graph ? "application/vnd.api+json; charset=utf-8" : "application/json");
}
