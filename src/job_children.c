/*-------------------------------------------------------------------------
 *
 * job_children.c
 *		The inquiry for a person's children, some of which a merge moved there.
 *
 * One request for the person, with all that it can include and that is synced.  The
 * person itself is written along, if people are synced.
 *
 * IDENTIFICATION
 *		src/job_children.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "errors.h"
#include "fold_page.h"
#include "job_children.h"
#include "job_fold.h"
#include "job_record.h"
#include "lib/stringinfo.h"
#include "moved_children.h"
#include "session.h"
#include "url.h"
#include "utils/builtins.h"

/*
 * add_child: an entity whose records come along; job->folded has them.
 */
static void
add_child(Job *job, const char *name, char *via)
{
	Folded	   *child = palloc0(sizeof(Folded));

	child->via = via;
	child->entity = manifest_load("people", name);
	if (child->entity == NULL || child->entity->n_params > 1)
		return;
	if (child->entity->n_params == 0)
		fold_adopt_owner(child->entity, job->entity);
	child->table = tables_ensure(child->entity);
	child->writer = writer_create(child->entity, job->org->name, child->table, job->claim.run_id, job->claim.job_id);
	job->folded = lappend(job->folded, child);
}

/*
 * has_rows: whether the org's people are synced.
 */
static bool
has_rows(const Job *job)
{
	static Statement select_rows = {
		"SELECT FROM sync_engine.sync_state WHERE org = $1 AND (product, entity) = ('people', 'Person') AND rows > 0",
		1, {TEXTOID}
	};
	Datum		args[1] = {CStringGetTextDatum(job->org->name)};

	return statement_run(&select_rows, args, NULL) > 0;
}

void
children_ask(Job *job)
{
	static Statement select_children = {
		"SELECT i.entity, i.include FROM sync_engine.include i JOIN sync_engine.sync_state s "
		"  ON (s.org, s.product, s.entity) = ($1, i.product, i.entity) "
		"WHERE (i.product, i.parent) = ('people', 'Person') AND i.complete AND s.rows > 0 ORDER BY i.include",
		1, {TEXTOID}
	};
	Datum		args[1] = {CStringGetTextDatum(job->org->name)};
	uint64		n;
	char	  **names;
	char	  **includes;
	StringInfoData target;
	ListCell   *cell;
	const bool	by_id = true;

	job->entity = manifest_load("people", "Person");
	if (job->entity == NULL || job->entity->path == NULL)
		return;
	n = statement_run(&select_children, args, NULL);
	names = palloc(sizeof(char *) * Max(n, 1));
	includes = palloc(sizeof(char *) * Max(n, 1));
	for (uint64 i = 0; i < n; i++)
	{
		names[i] = result_text(i, 1);
		includes[i] = result_text(i, 2);
	}
	for (uint64 i = 0; i < n; i++)
		add_child(job, names[i], includes[i]);
	if (has_rows(job))
	{
		job->table = tables_ensure(job->entity);
		job->writer = writer_create(job->entity, job->org->name, job->table, job->claim.run_id, job->claim.job_id);
		writer_trust(job->writer, by_id);
	}

	initStringInfo(&target);
	appendStringInfo(&target, "%s/", job->entity->path);
	url_append_escaped(&target, job->claim.entity + strlen(CHILDREN_OF));
	foreach(cell, job->folded)
		appendStringInfo(&target, "%s%s", cell == list_head(job->folded) ? "?include=" : ",",
						 ((Folded *) lfirst(cell))->via);
	job->target = target.data;
}

/*
 * add: the counts of one entity to those of the job.
 */
static void
add(WriteCounts *sum, const WriteCounts *counts)
{
	sum->fetched += counts->fetched;
	sum->inserted += counts->inserted;
	sum->updated += counts->updated;
	sum->unchanged += counts->unchanged;
	sum->dead_lettered += counts->dead_lettered;
}

static void
store(Job *job, const ParsedPage *page)
{
	WriteItem	person = {&page->records[0], NULL};
	WriteCounts sum = {0};
	WriteCounts counts;
	Failure		lacks = {SQLSTATE_BAD_PAGE, NULL, "The next full read of the entity brings them."};
	ListCell   *cell;
	const bool	thin = true;

	if (!record_begin(job))
		return;
	if (job->writer != NULL)
	{
		if (!record_lock_table(job, job->table.relation))
			return;
		writer_write(job->writer, page, &person, 1, thin, &counts);
		add(&sum, &counts);
	}
	foreach(cell, job->folded)
	{
		Folded	   *child = lfirst(cell);
		int			n;
		WriteItem  *items = fold_page_items(child, NULL, page, 0, &n);

		if (fold_page_lacks(child, page, 0) != 0)
			lacks.message = psprintf("the API does not include all %s of the person", child->via);
		if (n == 0)
			continue;
		if (!record_lock_table(job, child->table.relation))
			return;
		writer_write(child->writer, page, items, n, thin, &counts);
		add(&sum, &counts);
	}
	record_end(job, &sum, "", lacks.message != NULL ? &lacks : NULL);
}

void
children_finish(Job *job, const HttpResponse *response, const Failure *failure)
{
	ParsedPage *page;

	if (failure != NULL && response != NULL && (response->status == 404 || response->status == 410))
		job_end(job, "succeeded", NULL);	/* what is gone has no children */
	else if (failure != NULL)
		job_end(job, "failed", failure);
	else if ((page = record_read(job, response)) != NULL)
		store(job, page);
}
