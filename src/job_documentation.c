/*-------------------------------------------------------------------------
 *
 * job_documentation.c
 *		The inquiry that reads a product's documentation.
 *
 * First the product's graph, which lists the versions, then the newest version,
 * which lists the vertices, then each vertex (PCO: /{product}/v2/documentation).
 * They are stored as they came; sync_engine.manifest_differences says what they
 * mean.  A document that cannot be had is passed over, unless it is one that
 * the others are found by.  The job's position is what the path of the next
 * document has beyond that of the graph.
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
#include "utils/jsonb.h"

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
		job->target = psprintf("%s" GRAPH_PATH "%s", job->entity->path,
							   queue_job_position(job->claim.job_id));
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
	if (!JB_ROOT_IS_OBJECT(DatumGetJsonbP(args[3])))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_JSON_TEXT),
				 errmsg("the document \"%s\" is no JSON object", job->target)));
	(void) statement_run(&upsert, args, NULL);
}

/*
 * next_position: where to go on after this document, or NULL if it was the
 * last.
 */
static char *
next_position(const Job *job, const Document *document)
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
	/* the newest that is stored counts: one that was withdrawn must not */
	static Statement forget_newer = {
		"DELETE FROM sync_engine.documentation WHERE product = $1 AND version > $2",
		2, {TEXTOID, TEXTOID}
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
		return name ? psprintf("/%s", name) : NULL;
	}
	if (strcmp(document->vertex, VERSION) == 0)
		(void) statement_run(&forget_newer, args, NULL);
	(void) statement_run(&next_vertex, args, NULL);
	name = result_text(0, 1);
	if (name != NULL)
		return psprintf("/%s" VERTICES_PATH "%s", document->version, name);
	(void) statement_run(&forget_older, args, NULL);
	return NULL;
}

/*
 * save_position: whoever takes the job over goes on there.
 */
static void
save_position(const Job *job, const char *position)
{
	static Statement move_job = {
		"UPDATE sync_engine.job SET position = $3 WHERE job_id = $1 AND epoch = $2",
		3, {INT8OID, INT8OID, TEXTOID}
	};
	Datum		args[3] = {Int64GetDatum(job->claim.job_id), Int64GetDatum(job->claim.epoch),
	CStringGetTextDatum(position)};

	(void) statement_run(&move_job, args, NULL);
}

InquiryResult
documentation_store(Job *job, const HttpResponse *response, const Failure *failure)
{
	Document	document = asked_for(job);
	bool		is_vertex = strcmp(document.vertex, GRAPH) != 0 && strcmp(document.vertex, VERSION) != 0;
	char	   *position;

	if (failure != NULL && !is_vertex)
		return INQUIRY_FAILED;
	if (failure == NULL)
		store(job, &document, response);
	position = next_position(job, &document);
	if (position == NULL)
		return INQUIRY_DONE;
	save_position(job, position);
	position = psprintf("%s" GRAPH_PATH "%s", job->entity->path, position);
	job->target = MemoryContextStrdup(job->context, position);
	return INQUIRY_GOES_ON;
}
