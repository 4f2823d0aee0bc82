/*-------------------------------------------------------------------------
 *
 * walk.c
 *		Which parents a nested entity's job walks.
 *
 * IDENTIFICATION
 *		src/walk.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "session.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "walk.h"

/* Parents listed at once. */
#define PARENTS_PER_LIST	500

/*
 * A child's change does not change its parent, so a delta walks a parent again
 * after this, whether it was written or not.
 */
#define WALK_AGAIN			"1 day"

struct Walk
{
	MemoryContext context;
	const Entity *entity;
	const char *org;
	int64		job_id;
	const char *ledger;			/* entity that the ledger is kept under */
	char	   *sql;
	List	   *parents;		/* listed, not handed out yet */
	char	   *last;			/* key of the last one listed; NULL = the beginning */
	bool		inclusive;		/* `last` itself is still to be listed */
	bool		exhausted;		/* there are no more behind it */
	bool		from_beginning; /* ... nor before it */
	bool		found_any;		/* in this pass */
};

/*
 * listing_sql: ($1 org, $2 key or NULL, $3 product, $4 entity, $5 job).
 *
 * Where the last parameter is not the parent's own id, several rows can have
 * the same: one of them stands for all.  The limit is on the rows that are
 * looked at, not on those that are not walked yet, so that no list takes long.
 * The ledger is asked parent by parent, not joined: it grows in mid-walk, and no
 * statistics know by how much.
 */
static char *
listing_sql(const Entity *entity, const Entity *parent, bool changed)
{
	const char *is_fresh = "l.outcome IN ('read', 'gone') AND l.walked_at > p.synced_at AND "
		"l.walked_at > now() - interval '" WALK_AGAIN "'";
	int			last = entity->n_params - 1;
	const char *key = quote_identifier(entity->parent_columns[last]);
	bool		is_id = strcmp(entity->parent_columns[last], "id") == 0;
	StringInfoData columns;
	StringInfoData present;

	initStringInfo(&columns);
	initStringInfo(&present);
	for (int i = 0; i < entity->n_params; i++)
	{
		const char *column = quote_identifier(entity->parent_columns[i]);

		appendStringInfo(&columns, "%s%s::text AS c%d", i > 0 ? ", " : "", column, i);
		if (strcmp(entity->parent_columns[i], "id") != 0)
			appendStringInfo(&present, " AND %s IS NOT NULL", column);
	}
	return psprintf("SELECT p.*, EXISTS (SELECT 1 FROM sync_engine.walk_ledger l WHERE l.org = $1 "
					"  AND l.product = $3 AND l.entity = $4 AND l.parent_id = p.c%d AND (l.job_id = $5 OR %s)) "
					"FROM (SELECT %s%s, _synced_at AS synced_at FROM %s WHERE org = $1 AND _deleted_at IS NULL%s "
					"  AND ($2 IS NULL OR %s >= $2) ORDER BY %s%s LIMIT %d) p",
					last, changed ? is_fresh : "false", is_id ? "" : psprintf("DISTINCT ON (%s) ", key), columns.data,
					quote_qualified_identifier(parent->schema_name, parent->table_name),
					present.data, key, key, is_id ? "" : ", id", PARENTS_PER_LIST + 1);
}

Walk *
walk_create(const Entity *entity, const char *org, int64 job_id, const char *resume, bool changed)
{
	Walk	   *walk = palloc0(sizeof(Walk));

	walk->context = CurrentMemoryContext;
	walk->entity = entity;
	walk->org = org;
	walk->job_id = job_id;
	walk->ledger = entity->name;
	walk->last = resume ? pstrdup(resume) : NULL;
	walk->inclusive = true;
	walk->from_beginning = resume == NULL;
	walk->sql = listing_sql(entity, manifest_load(entity->product, entity->parent), changed);
	return walk;
}

void
walk_keep_ledger_of_ids(Walk *walk)
{
	walk->ledger = psprintf("ids of %s", walk->entity->name);
}

/*
 * make_parent: in one piece, since a walk makes and frees millions.
 */
static WalkParent *
make_parent(const Walk *walk, uint64 row)
{
	int			n = walk->entity->n_params;
	size_t		size = sizeof(WalkParent) + sizeof(char *) * n;
	const char **values = palloc(sizeof(char *) * n);
	WalkParent *parent;
	const char **params;
	char	   *text;

	for (int i = 0; i < n; i++)
	{
		values[i] = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, i + 1);
		size += strlen(values[i]) + 1;
	}
	parent = MemoryContextAlloc(walk->context, size);
	params = (const char **) (parent + 1);
	text = (char *) (params + n);
	for (int i = 0; i < n; i++)
	{
		params[i] = strcpy(text, values[i]);
		text += strlen(text) + 1;
	}
	parent->params = params;
	parent->key = params[n - 1];
	return parent;
}

/*
 * list_parents: the next ones behind the last, itself excluded unless it is
 * where a former lane stopped.
 */
static bool
list_parents(Walk *walk)
{
	Oid			types[5] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT8OID};
	Datum		args[5];
	char		nulls[5] = {' ', walk->last ? ' ' : 'n', ' ', ' ', ' '};
	const bool	read_only = true;
	const bool	durable = false;
	uint64		n;
	char	   *last = NULL;
	MemoryContext old;

	if (!session_begin("listing the parents of a walk"))
		return false;
	session_follow_index();
	args[0] = CStringGetTextDatum(walk->org);
	args[1] = walk->last ? CStringGetTextDatum(walk->last) : (Datum) 0;
	args[2] = CStringGetTextDatum(walk->entity->product);
	args[3] = CStringGetTextDatum(walk->ledger);
	args[4] = Int64GetDatum(walk->job_id);
	(void) SPI_execute_with_args(walk->sql, lengthof(types), types, args, nulls, read_only, 0);
	n = SPI_processed;

	for (uint64 i = 0; i < n; i++)
	{
		WalkParent *parent = make_parent(walk, i);

		if (i + 1 == n)
			last = MemoryContextStrdup(walk->context, parent->key);
		if (result_bool(i, walk->entity->n_params + 2) ||
			(walk->last != NULL && !walk->inclusive && strcmp(parent->key, walk->last) == 0))
			pfree(parent);
		else
		{
			old = MemoryContextSwitchTo(walk->context);
			walk->parents = lappend(walk->parents, parent);
			MemoryContextSwitchTo(old);
			walk->found_any = true;
		}
	}
	if (last != NULL)
	{
		if (walk->last != NULL)
			pfree(walk->last);
		walk->last = last;
		walk->inclusive = false;
	}
	walk->exhausted = n <= PARENTS_PER_LIST;
	session_commit(durable);
	return true;
}

bool
walk_next(Walk *walk, WalkParent **parent)
{
	*parent = NULL;
	if (walk->parents == NIL && !walk->exhausted && !list_parents(walk))
		return false;
	if (walk->parents != NIL)
	{
		*parent = linitial(walk->parents);
		walk->parents = list_delete_first(walk->parents);
	}
	return true;
}

void
walk_push_back(Walk *walk, WalkParent *parent)
{
	MemoryContext old = MemoryContextSwitchTo(walk->context);

	walk->parents = lcons(parent, walk->parents);
	MemoryContextSwitchTo(old);
}

bool
walk_is_exhausted(const Walk *walk)
{
	return walk->exhausted && walk->parents == NIL;
}

void
walk_start_over(Walk *walk)
{
	Assert(walk_is_exhausted(walk));
	if (walk->last != NULL)
		pfree(walk->last);
	walk->last = NULL;
	walk->inclusive = true;
	walk->exhausted = false;
	walk->from_beginning = true;
	walk->found_any = false;
}

bool
walk_is_complete(const Walk *walk)
{
	return walk->exhausted && walk->from_beginning && !walk->found_any && walk->parents == NIL;
}

static const char *const outcomes[] = {
	[WALK_READ] = "read",
	[WALK_GONE] = "gone",
	[WALK_FORBIDDEN] = "forbidden",
	[WALK_CUT_SHORT] = "cut short",
};

void
walk_note(const Walk *walk, const WalkParent *parent, WalkOutcome outcome, int64 records)
{
	static Statement upsert = {
		"INSERT INTO sync_engine.walk_ledger (org, product, entity, parent_id, job_id, outcome, records) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7) "
		"ON CONFLICT (org, product, entity, parent_id) DO UPDATE SET job_id = EXCLUDED.job_id, "
		"  outcome = EXCLUDED.outcome, records = EXCLUDED.records, walked_at = EXCLUDED.walked_at",
		7, {TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT8OID, TEXTOID, INT8OID}
	};
	Datum		args[7];

	args[0] = CStringGetTextDatum(walk->org);
	args[1] = CStringGetTextDatum(walk->entity->product);
	args[2] = CStringGetTextDatum(walk->ledger);
	args[3] = CStringGetTextDatum(parent->key);
	args[4] = Int64GetDatum(walk->job_id);
	args[5] = CStringGetTextDatum(outcomes[outcome]);
	args[6] = Int64GetDatum(records);
	(void) statement_run(&upsert, args, NULL);
}

void
walk_count(const Walk *walk, WalkTally *tally)
{
	static Statement count = {
		"SELECT count(*) FILTER (WHERE outcome = 'read'), count(*) FILTER (WHERE outcome = 'forbidden'), "
		"  count(*) FILTER (WHERE outcome = 'cut short'), count(*) FILTER (WHERE outcome = 'gone') "
		"FROM sync_engine.walk_ledger "
		"WHERE org = $1 AND product = $2 AND entity = $3 AND job_id = $4",
		4, {TEXTOID, TEXTOID, TEXTOID, INT8OID}
	};
	Datum		args[4] = {CStringGetTextDatum(walk->org), CStringGetTextDatum(walk->entity->product),
	CStringGetTextDatum(walk->ledger), Int64GetDatum(walk->job_id)};

	(void) statement_run(&count, args, NULL);
	tally->read = result_int64(0, 1, 0);
	tally->forbidden = result_int64(0, 2, 0);
	tally->cut_short = result_int64(0, 3, 0);
	tally->gone = result_int64(0, 4, 0);
}
