/*-------------------------------------------------------------------------
 *
 * document.c
 *	  Whole JSON:API documents: lists, single records, errors.
 *
 * Facts: per_page is capped at 100 while the links repeat what was asked for;
 * per_page=0 gives no rows and next.offset 0; an offset past the end gives an
 * empty page without next but with prev; next is absent on the last page; a
 * single record has no top-level links and a meta of can_include and parent.
 *
 * Owns: nothing.  Must never decide which rows a list has.
 *
 * IDENTIFICATION
 *	  test/simulator/document.c
 *
 *-------------------------------------------------------------------------
 */
#include "document.h"

#include "disagree.h"
#include "odd.h"
#include "render.h"

#include <stdlib.h>

/* Documented page sizes. */
#define DEFAULT_PER_PAGE 25
#define MAX_PER_PAGE 100

/* Documented media types. */
#define CONTENT_JSON_API "application/vnd.api+json; charset=utf-8"
#define CONTENT_JSON "application/json"

/*
 * put_names appends ,"key":[...] unless there are no names that the version
 * in use knows.
 */
static void
put_names(sim_request *request, const cat_entity *entity, const char *key,
		  const cat_names *names, sim_buf *out)
{
	bool		first = true;

	for (int i = 0; i < names->count; i++)
	{
		if (!shape_knows(request, entity, names->names[i]))
			continue;
		if (first)
			buf_printf(out, ",\"%s\":[", key);
		else
			buf_char(out, ',');
		first = false;
		buf_json_str(out, names->names[i]);
	}
	if (!first)
		buf_char(out, ']');
}

/*
 * put_includes appends ,"can_include":[...] unless nothing can be.
 */
static void
put_includes(const cat_entity *entity, sim_buf *out)
{
	bool		first = true;

	for (int i = 0; i < entity->edge_count; i++)
	{
		if (!entity->edges[i].include)
			continue;
		buf_str(out, first ? ",\"can_include\":[" : ",");
		first = false;
		buf_json_str(out, entity->edges[i].name);
	}
	if (!first)
		buf_char(out, ']');
}

/*
 * put_filters appends ,"can_filter":[...] unless there are none.
 */
static void
put_filters(const cat_entity *entity, sim_buf *out)
{
	for (int i = 0; i < entity->filter_count; i++)
	{
		buf_str(out, i ? "," : ",\"can_filter\":[");
		buf_json_str(out, entity->filters[i].name);
	}
	if (entity->filter_count > 0)
		buf_char(out, ']');
}

/*
 * put_parent appends ,"parent":{...}.
 */
static void
put_parent(const sim_request *request, const sim_parent *parent, sim_buf *out)
{
	buf_printf(out, ",\"parent\":{\"id\":\"%llu\",\"type\":\"%s\"}",
			   (unsigned long long) (parent->row ? parent->row->id : shown_org_id(request)),
			   parent->row ? parent->table->entity->type : "Organization");
}

/*
 * put_included appends "included":[...].
 */
static void
put_included(sim_request *request, const sim_included *included, sim_buf *out)
{
	buf_str(out, "\"included\":[");
	for (size_t i = 0; i < included->count; i++)
	{
		if (i > 0)
			buf_char(out, ',');
		render_record(request, included->tables[i], included->rows[i], FORM_INCLUDED, NULL, out);
	}
	buf_char(out, ']');
}

/*
 * put_records appends the primary records and collects what they include.
 */
static void
put_records(sim_request *request, sim_table *table, sim_row *const *rows, size_t count,
			sim_form form, sim_included *included, sim_buf *out)
{
	sim_includes includes = {0};
	sim_inclusion inclusion;
	sim_disagree disagree = {0};

	if (!table->ignore_include)
		includes_parse(&includes, table, request_param(request, "include"));
	inclusion_start(&inclusion, &includes);
	if (form == FORM_LISTED)
		disagree_start(&disagree, table, &includes);
	for (size_t i = 0; i < count; i++)
	{
		const sim_odd *odd = table->odds ? odd_find(table, rows[i]->id) : NULL;

		if (i > 0)
			buf_char(out, ',');
		if (includes.count > 0)
			inclusion_follow(&inclusion, table, rows[i], included);
		disagree_record(&disagree, &inclusion);
		render_record(request, table, rows[i], form,
					  includes.count > 0 ? &inclusion : NULL, out);
		if (odd != NULL && odd->kind == ODD_DUPLICATE && form == FORM_LISTED)
		{
			buf_char(out, ',');
			render_record(request, table, rows[i], form,
						  includes.count > 0 ? &inclusion : NULL, out);
		}
	}
	disagree_finish(&disagree, included);
	inclusion_free(&inclusion);
	free(includes.items);
}

/*
 * finish sets status and content type, and an ETag over the body's inputs.
 */
static void
finish(sim_request *request, const sim_row *const *rows, size_t count, size_t total)
{
	uint64_t	tag = hash_text(request->url) + total;

	for (size_t i = 0; i < count; i++)
		tag = hash_mix(tag ^ rows[i]->id ^ ((uint64_t) rows[i]->version << 40));
	request->reply.status = 200;
	request->reply.rows = count;
	reply_header(&request->reply, "Content-Type", CONTENT_JSON_API);
	reply_header(&request->reply, "ETag", "W/\"%016llx%016llx\"",
				 (unsigned long long) tag, (unsigned long long) hash_mix(tag));
}

/*
 * document_list answers with a page of a collection, or of a parent's edge.
 */
void
document_list(sim_request *request, sim_table *table, const sim_rows *scope,
			  const sim_parent *parent)
{
	const cat_entity *entity = table->entity;
	int64_t		per_page = request_number(request, "per_page", DEFAULT_PER_PAGE);
	int64_t		offset = request_number(request, "offset", 0);
	sim_row    *rows[MAX_PER_PAGE];
	sim_page	page = {.rows = rows};
	sim_query	query = {.scope = scope, .unscoped = parent->edge && parent->edge->unscoped};
	sim_included included = {0};
	sim_buf    *out = &request->reply.body;
	bool		has_next;
	bool		cut = request->fault_kind == FAULT_TRUNCATED_LIST;

	if (per_page < 0)
		per_page = DEFAULT_PER_PAGE;
	if (per_page > MAX_PER_PAGE)
		per_page = MAX_PER_PAGE;
	if (offset < 0)
		offset = 0;
	query_parse(&query, request, table);
	query.offset = (size_t) offset;
	query.limit = (size_t) per_page;
	if (request->fault_kind != FAULT_EMPTY_LIST)
		query_run(&query, &page);
	query_free(&query);
	has_next = (size_t) (offset + per_page) < page.total && !cut;
	if (cut)
		page.count /= 2;

	buf_str(out, "{\"links\":{\"self\":");
	request_link(request, NULL, 0, out);
	if (offset > 0)
	{
		buf_str(out, ",\"prev\":");
		request_link(request, "offset", offset > per_page ? offset - per_page : 0, out);
	}
	if (has_next)
	{
		buf_str(out, ",\"next\":");
		request_link(request, "offset", offset + per_page, out);
	}
	buf_str(out, "},\"data\":[");
	put_records(request, table, page.rows, page.count, FORM_LISTED, &included, out);
	buf_str(out, "],");
	put_included(request, &included, out);
	included_free(&included);
	buf_str(out, ",\"meta\":{");
	if (!table->hide_total)
		buf_printf(out, "\"total_count\":%zu,", page.total);
	buf_printf(out, "\"count\":%zu", page.count);
	if (has_next)
		buf_printf(out, ",\"next\":{\"offset\":%lld}", (long long) (offset + per_page));
	if (offset > 0)
		buf_printf(out, ",\"prev\":{\"offset\":%lld}",
				   (long long) (offset > per_page ? offset - per_page : 0));
	put_names(request, entity, "can_order_by", &entity->order, out);
	put_names(request, entity, "can_query_by", &entity->where, out);
	put_includes(entity, out);
	put_filters(entity, out);
	put_parent(request, parent, out);
	buf_str(out, "}}");
	request->listed = table;
	finish(request, (const sim_row *const *) page.rows, page.count, page.total);
}

/*
 * document_single answers with one record.
 */
void
document_single(sim_request *request, sim_table *table, const sim_row *row,
				const sim_parent *parent)
{
	sim_included included = {0};
	sim_buf    *out = &request->reply.body;
	sim_row    *shown = (sim_row *) row;
	size_t		start;

	if (request->fault_kind == FAULT_STALE)
		shown = query_stale_row(shown);
	if (shown == NULL)
	{
		document_not_found(request);
		return;
	}
	buf_str(out, "{\"data\":");
	put_records(request, table, &shown, 1, FORM_SINGLE, &included, out);
	buf_char(out, ',');
	put_included(request, &included, out);
	included_free(&included);
	buf_str(out, ",\"meta\":{");
	start = out->len;
	put_includes(table->entity, out);
	put_parent(request, parent, out);
	memmove(out->data + start, out->data + start + 1, out->len - start);
	out->len--;					/* the comma before the first member */
	buf_str(out, "}}");
	finish(request, (const sim_row *const *) &shown, 1, 1);
}

/*
 * document_error answers with one JSON:API error; members may be NULL.
 */
void
document_error(sim_request *request, int status, const char *code, const char *title,
			   const char *detail)
{
	sim_buf    *out = &request->reply.body;

	request->reply.status = status;
	reply_header(&request->reply, "Content-Type", CONTENT_JSON);
	buf_reset(out);
	buf_printf(out, "{\"errors\":[{\"status\":\"%d\"", status);
	if (title != NULL)
		buf_printf(out, ",\"title\":\"%s\"", title);
	if (code != NULL)
		buf_printf(out, ",\"code\":\"%s\"", code);
	if (detail != NULL)
		buf_printf(out, ",\"detail\":\"%s\"", detail);
	buf_str(out, "}]}");
}

/*
 * document_not_found answers 404, which carries no code.
 */
void
document_not_found(sim_request *request)
{
	document_error(request, 404, NULL, "Not Found",
				   "The resource you requested could not be found");
}

/*
 * document_forbidden answers 403.
 */
void
document_forbidden(sim_request *request)
{
	document_error(request, 403, NULL, "Forbidden",
				   "You do not have access to this resource");
}
