/*-------------------------------------------------------------------------
 *
 * job_documentation.c
 *		The inquiry that reads a product's documentation.
 *
 * First the product's graph, which lists the versions, then the newest version,
 * which lists the vertices, then each vertex (PCO: /{product}/v2/documentation).
 * They are stored as they came; sync_engine.manifest_differences says what they
 * mean.  A document that cannot be had is passed over, unless it is one that
 * the others are found by.
 *
 * IDENTIFICATION
 *		src/job_documentation.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "job_documentation.h"
#include "mb/pg_wchar.h"
#include "session.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#define GRAPH_PATH		"/documentation"
#define VERTICES_PATH	"/vertices/"

/* In place of a vertex, where a document is none. */
#define GRAPH			""
#define VERSION			"@version"

/* Which document was asked for. */
typedef struct Document
{
	const char *version;
	const char *vertex;
} Document;

void
documentation_ask(Job *job)
{
	job->entity = manifest_load_product(job->claim.product);
	if (job->entity != NULL)
		job->target = psprintf("%s" GRAPH_PATH, job->entity->path);
}

/*
 * asked_for: the target says it.
 */
static Document
asked_for(const Job *job)
{
	const char *rest = job->target + strlen(job->entity->path) + strlen(GRAPH_PATH);
	const char *vertex;

	if (*rest == '\0')
		return (Document) {"", GRAPH};
	rest++;
	vertex = strstr(rest, VERTICES_PATH);
	if (vertex == NULL)
		return (Document) {rest, VERSION};
	return (Document) {pnstrdup(rest, vertex - rest), vertex + strlen(VERTICES_PATH)};
}

static void
store(const Job *job, const Document *document, const HttpResponse *response)
{
	static Statement upsert = {
		"INSERT INTO sync_engine.documentation (product, version, vertex, document) VALUES ($1, $2, $3, $4) "
		"ON CONFLICT (product, version, vertex) DO UPDATE SET document = $4, fetched_at = now()",
		4, {TEXTOID, TEXTOID, TEXTOID, JSONBOID}
	};
	char	   *body = pnstrdup((const char *) response->body, response->body_len);
	Datum		args[4];

	(void) pg_verifymbstr(body, strlen(body), false);
	args[0] = CStringGetTextDatum(job->claim.product);
	args[1] = CStringGetTextDatum(document->version);
	args[2] = CStringGetTextDatum(document->vertex);
	args[3] = DirectFunctionCall1(jsonb_in, CStringGetDatum(body));
	(void) statement_run(&upsert, args, NULL);
}

/*
 * next_path: what to ask for after this document, or NULL if it was the last.
 */
static char *
next_path(const Job *job, const Document *document)
{
	static Statement newest_version = {
		"SELECT max(version) FROM sync_engine.documented_version WHERE product = $1 AND NOT beta",
		1, {TEXTOID}
	};
	static Statement next_vertex = {
		"SELECT min(vertex COLLATE \"C\") FROM sync_engine.documented_vertex "
		"WHERE product = $1 AND version = $2 AND ($3 = '" VERSION "' OR vertex COLLATE \"C\" > $3)",
		3, {TEXTOID, TEXTOID, TEXTOID}
	};
	static Statement forget_older = {
		"DELETE FROM sync_engine.documentation WHERE product = $1 AND version NOT IN ('', $2)",
		2, {TEXTOID, TEXTOID}
	};
	Datum		args[3] = {CStringGetTextDatum(job->claim.product), CStringGetTextDatum(document->version),
	CStringGetTextDatum(document->vertex)};
	char	   *name;

	if (strcmp(document->vertex, GRAPH) == 0)
	{
		(void) statement_run(&newest_version, args, NULL);
		name = result_text(0, 1);
		return name ? psprintf("%s" GRAPH_PATH "/%s", job->entity->path, name) : NULL;
	}
	(void) statement_run(&next_vertex, args, NULL);
	name = result_text(0, 1);
	if (name != NULL)
		return psprintf("%s" GRAPH_PATH "/%s" VERTICES_PATH "%s", job->entity->path, document->version, name);
	(void) statement_run(&forget_older, args, NULL);
	return NULL;
}

InquiryResult
documentation_store(Job *job, const HttpResponse *response, const Failure *failure)
{
	Document	document = asked_for(job);
	bool		is_vertex = strcmp(document.vertex, GRAPH) != 0 && strcmp(document.vertex, VERSION) != 0;
	char	   *next;

	if (failure != NULL && !is_vertex)
		return INQUIRY_FAILED;
	if (failure == NULL)
		store(job, &document, response);
	next = next_path(job, &document);
	if (next == NULL)
		return INQUIRY_DONE;
	job->target = MemoryContextStrdup(job->context, next);
	return INQUIRY_GOES_ON;
}
