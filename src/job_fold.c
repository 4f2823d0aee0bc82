/*-------------------------------------------------------------------------
 *
 * job_fold.c
 *		Records that come along with a job's pages (JSON:API include).
 *
 * IDENTIFICATION
 *		src/job_fold.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fold_page.h"
#include "job_fold.h"
#include "lib/stringinfo.h"
#include "queue_fold.h"
#include "session.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

/* A page that lacks named records can be a replica's hiccup; three are not. */
#define TRUST_MISSING_AFTER	3

/* A page of which nothing can be stored: see also job_page.c. */
#define HOPELESS_PAGE		10

/*
 * fold_adopt_owner: an owned entity with a list of its own says who its owner is in
 * a relationship.  A thin copy may lack that, but the page tells.
 */
void
fold_adopt_owner(Entity *entity, const Entity *owner)
{
	char	   *name = psprintf("%s_id", manifest_snake_case(owner->name));

	for (int i = 0; i < entity->n_columns; i++)
	{
		if (entity->columns[i].source == SOURCE_LINK_ID && strcmp(entity->columns[i].name, name) == 0)
		{
			entity->n_params = 1;
			entity->columns[i].param = 0;
		}
	}
}

/*
 * match_params: where the parameters of the folded entity's path come from;
 * false if they are not known here.
 */
static bool
match_params(const Job *job, Folded *folded)
{
	folded->params = palloc0(sizeof(int) * Max(folded->entity->n_params, 1));
	for (int i = 0; i < folded->entity->n_params - 1; i++)
	{
		folded->params[i] = -1;
		for (int k = 0; k < job->entity->n_params; k++)
		{
			if (strcmp(folded->entity->params[i], job->entity->params[k]) == 0)
				folded->params[i] = k;
		}
		if (folded->params[i] < 0)
			return false;
	}
	return true;
}

static void
unfold_in_transaction(Job *job, int64 job_id, const char *reason, bool api)
{
	bool		durable = false;

	if (!session_begin("reading an entity by itself"))
	{
		job->over = true;
		return;
	}
	queue_unfold(job_id, reason, api);
	session_commit(durable);
}

/*
 * drop: from the job's memory.
 */
static void
drop(Job *job, Folded *folded, const char *reason)
{
	ereport(LOG,
			(errmsg("sync_engine: %s of org \"%s\" is not read with %s: %s", folded->entity->name,
					job->claim.org, job->claim.entity, reason)));
	writer_destroy(folded->writer);
	job->folded = list_delete_ptr(job->folded, folded);
}

/*
 * prepare: one of them; raises an error if its table is not fit.  NULL if the
 * manifest does not allow it any more.
 */
static Folded *
prepare(Job *job, const FoldedJob *from)
{
	Folded	   *folded = palloc0(sizeof(Folded));

	folded->job_id = from->job_id;
	folded->via = pstrdup(from->via);
	folded->entity = manifest_load(from->product, from->entity);
	if (folded->entity == NULL || !match_params(job, folded))
		return NULL;
	if (folded->entity->n_params == 0)
		fold_adopt_owner(folded->entity, job->entity);
	folded->table = tables_ensure(folded->entity);
	folded->writer = writer_create(folded->entity, job->org->name, folded->table,
								   job->claim.run_id, folded->job_id);
	return folded;
}

/*
 * note_version: of the columns that its records fill.
 */
static void
note_version(const Folded *folded)
{
	static Statement update = {
		"UPDATE sync_engine.job SET manifest_version = $2 WHERE job_id = $1",
		2, {INT8OID, TEXTOID}
	};
	Datum		args[2] = {Int64GetDatum(folded->job_id),
	CStringGetTextDatum(tables_version(folded->entity, folded->table))};

	(void) statement_run(&update, args, NULL);
}

/*
 * start_one: what is wrong with one entity is its own business.
 */
static void
start_one(Job *job, const FoldedJob *from)
{
	MemoryContext context = CurrentMemoryContext;
	bool		durable = false;
	char	   *volatile problem = NULL;
	const bool	by_api = false;

	PG_TRY();
	{
		if (session_begin("preparing an entity that comes along"))
		{
			MemoryContext old = MemoryContextSwitchTo(job->context);
			Folded	   *folded = prepare(job, from);

			if (folded != NULL)
				job->folded = lappend(job->folded, folded);
			else
				problem = "the manifest has changed";
			MemoryContextSwitchTo(old);
			if (folded != NULL)
				note_version(folded);
			session_commit(durable);
		}
	}
	PG_CATCH();
	{
		problem = session_recover(context)->message;
	}
	PG_END_TRY();
	if (problem != NULL)
		unfold_in_transaction(job, from->job_id, problem, by_api);
}

void
fold_start(Job *job, List *folded)
{
	ListCell   *cell;

	foreach(cell, folded)
		start_one(job, lfirst(cell));
}

char *
fold_include(const Job *job)
{
	StringInfoData names;
	ListCell   *cell;

	if (job->folded == NIL)
		return NULL;
	initStringInfo(&names);
	foreach(cell, job->folded)
		appendStringInfo(&names, "%s%s", names.len > 0 ? "," : "", ((Folded *) lfirst(cell))->via);
	return names.data;
}

bool
fold_check(Job *job, const ParsedPage *page, int first, const char **problem)
{
	List	   *folded = list_copy(job->folded);
	ListCell   *cell;
	bool		complete = true;
	const bool	by_api = true;

	foreach(cell, folded)
	{
		Folded	   *one = lfirst(cell);
		int			missing = fold_page_lacks(one, page, first);
		const char *reason = NULL;

		if (missing < 0)
			reason = psprintf("the server does not include %s", one->via);
		else if (missing > 0 && job->fold_suspects + 1 >= TRUST_MISSING_AFTER)
			reason = psprintf("the server names %d records of %s that it does not include", missing, one->via);
		else if (missing > 0)
			complete = false;
		if (reason != NULL)
		{
			unfold_in_transaction(job, one->job_id, reason, by_api);
			drop(job, one, reason);
		}
	}
	list_free(folded);
	job->fold_suspects = complete ? 0 : job->fold_suspects + 1;
	*problem = "records that are named are not included";
	return complete;
}

/*
 * is_passing: somebody got in the way; the whole page is tried again.  Who
 * holds a lock may hold it for hours, and a trigger may never come to an end:
 * that is this entity's trouble alone.
 */
static bool
is_passing(int sqlerrcode)
{
	return sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED ||
		sqlerrcode == ERRCODE_T_R_SERIALIZATION_FAILURE;
}

/*
 * try_write: in a subtransaction; why it could not be done, or NULL.
 */
static char *
try_write(Folded *folded, const ParsedPage *page, const WriteItem *items, int n, WriteCounts *counts)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	char	   *volatile problem = NULL;
	int			level = GetCurrentTransactionNestLevel();
	const bool	thin = true;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		writer_write(folded->writer, page, items, n, thin, counts);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (is_passing(error->sqlerrcode))
			PG_RE_THROW();
		FlushErrorState();
		/* the writer has one of its own, which an error may leave open */
		while (GetCurrentTransactionNestLevel() > level)
			RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		session_renew_timeout();
		problem = error->message;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return problem;
}

static void
count(const Folded *folded, const WriteCounts *counts)
{
	static Statement add_counts = {
		"UPDATE sync_engine.job SET pages = pages + 1, fetched = fetched + $2, inserted = inserted + $3, "
		"  updated = updated + $4, unchanged = unchanged + $5, dead_lettered = dead_lettered + $6 "
		"WHERE job_id = $1",
		6, {INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID}
	};
	Datum		args[6] = {Int64GetDatum(folded->job_id), Int64GetDatum(counts->fetched),
		Int64GetDatum(counts->inserted), Int64GetDatum(counts->updated),
	Int64GetDatum(counts->unchanged), Int64GetDatum(counts->dead_lettered)};

	(void) statement_run(&add_counts, args, NULL);
}

FoldResult
fold_write(Job *job, const PageRequest *request, const ParsedPage *page, int first, Oid *locked)
{
	List	   *all = list_copy(job->folded);
	ListCell   *cell;
	const bool	by_api = false;

	foreach(cell, all)
	{
		Folded	   *folded = lfirst(cell);
		WriteCounts counts;
		int			n;
		WriteItem  *items = fold_page_items(folded, request->parent, page, first, &n);
		char	   *problem = NULL;

		if (n == 0)
			continue;
		if (!ConditionalLockRelationOid(folded->table.relation, RowExclusiveLock))
		{
			/*
			 * A lock on this table delays this entity alone.  One without a
			 * list of its own would cost a request for each parent then: it is
			 * better waited for.
			 */
			*locked = folded->table.relation;
			if (folded->entity->parent != NULL)
				return FOLD_TABLE_LOCKED;
			problem = "its table is locked";
		}
		else if (!tables_check(folded->table.relation))
			return FOLD_TABLE_GONE;
		else
			problem = try_write(folded, page, items, n, &counts);

		if (problem == NULL)
		{
			count(folded, &counts);
			if (counts.fetched >= HOPELESS_PAGE && counts.dead_lettered == counts.fetched)
				problem = "nothing of a page could be stored";
		}
		if (problem != NULL)
		{
			queue_unfold(folded->job_id, problem, by_api);
			drop(job, folded, problem);
		}
	}
	list_free(all);
	return FOLD_WRITTEN;
}

void
fold_finish(Job *job)
{
	ListCell   *cell;

	foreach(cell, job->folded)
		writer_finish(((Folded *) lfirst(cell))->writer);
}

void
fold_drop(Job *job, int64 job_id, const char *reason)
{
	ListCell   *cell;
	const bool	by_api = false;

	foreach(cell, job->folded)
	{
		Folded	   *folded = lfirst(cell);

		if (folded->job_id == job_id)
		{
			unfold_in_transaction(job, job_id, reason, by_api);
			drop(job, folded, reason);
			return;
		}
	}
}

void
fold_drop_all(Job *job, const char *reason)
{
	List	   *all = list_copy(job->folded);
	ListCell   *cell;
	const bool	by_api = true;

	foreach(cell, all)
	{
		Folded	   *folded = lfirst(cell);

		unfold_in_transaction(job, folded->job_id, reason, by_api);
		drop(job, folded, reason);
	}
	list_free(all);
}

void
fold_free(Job *job)
{
	ListCell   *cell;

	foreach(cell, job->folded)
		writer_destroy(((Folded *) lfirst(cell))->writer);
	job->folded = NIL;
}
