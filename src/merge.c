/*-------------------------------------------------------------------------
 *
 * merge.c
 *		Merges of people: what a page of their log, or of people, means.
 *
 * PCO keeps an append-only log of mergers.  A merge removes one person (404 from
 * then on), and moves its children to the kept one without a new updated_at.  So
 * in the transaction of the page that tells of a merger
 *
 *	- the merger is kept in sync_engine.person_merge;
 *	- the row of the removed person, if there is one, becomes a tombstone that
 *	  names the kept one;
 *	- the kept person's children are to be read again (job_children.c): by one
 *	  request, when lagging replicas have the merge too.
 *
 * Children are not deleted with the person: they live on.
 *
 * The tombstone is final.  A page of people that was read before the merge, or from
 * a lagging replica, still shows the removed one; it is held against the merges.
 * That page and the merger may be written by two lanes at the same time, neither of
 * which would see the other's: whoever writes people of an org holds its lock of
 * merges shared, whoever buries some holds it alone.  Only an answer to a request
 * for the person itself brings it back.
 *
 * IDENTIFICATION
 *		src/merge.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "blockers.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "iso8601.h"
#include "merge.h"
#include "miscadmin.h"
#include "moved_children.h"
#include "session.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#define PEOPLE			"people"
#define PERSON			"Person"
#define PERSON_MERGER	"PersonMerger"
#define PERSON_SCHEMA	"pco_people"
#define PERSON_TABLE	"person"

/* Of a tombstone: what _deleted_by begins with, before the kept person's id. */
#define MERGED_INTO		"merge into "

/* A merger as its record tells it. */
typedef struct Merge
{
	const char *id;
	const char *removed;
	const char *kept;
	bool		has_time;
	TimestampTz at;
} Merge;

static bool
writes(const Batch *batch, const char *entity)
{
	return strcmp(batch->writer->entity->product, PEOPLE) == 0 &&
		strcmp(batch->writer->entity->name, entity) == 0;
}

static void
lock_merges(const char *org, LOCKMODE mode)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) org, strlen(org), 0);
	LOCKTAG		tag;
	const bool	session_lock = false;
	const bool	dont_wait = false;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (hash >> 32), (uint32) hash, MERGE_LOCK_SPACE);
	(void) LockAcquire(&tag, mode, session_lock, dont_wait);
}

static Datum
text_array(const Datum *values, int n)
{
	return PointerGetDatum(construct_array((Datum *) values, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* ---- A page of people ---------------------------------------------------- */

/*
 * removed_among: which of the batch's people were merged away (char *).  Those that
 * were asked for by their ids live, whatever the log says.
 */
static List *
removed_among(const Batch *batch)
{
	static Statement select_removed = {
		"SELECT removed_id FROM sync_engine.person_merge "
		"WHERE org = $1 AND removed_id = ANY ($2) AND revived_at IS NULL",
		2, {TEXTOID, TEXTARRAYOID}
	};
	static Statement revive = {
		"UPDATE sync_engine.person_merge SET revived_at = clock_timestamp() "
		"WHERE org = $1 AND removed_id = ANY ($2) AND revived_at IS NULL",
		2, {TEXTOID, TEXTARRAYOID}
	};
	Datum	   *ids = palloc(sizeof(Datum) * batch->n);
	Datum		args[2] = {CStringGetTextDatum(batch->writer->org)};
	List	   *removed = NIL;
	uint64		n;

	for (int i = 0; i < batch->n; i++)
		ids[i] = CStringGetTextDatum(batch->pending[i]->record.source->id);
	args[1] = text_array(ids, batch->n);
	if (batch->writer->by_id)
	{
		(void) statement_run(&revive, args, NULL);
		return NIL;
	}
	n = statement_run(&select_removed, args, NULL);
	for (uint64 i = 0; i < n; i++)
		removed = lappend(removed, result_text(i, 1));
	return removed;
}

static bool
names(const List *ids, const char *id)
{
	ListCell   *cell;

	foreach(cell, ids)
	{
		if (strcmp(lfirst(cell), id) == 0)
			return true;
	}
	return false;
}

/*
 * leave_out_removed: what a stale page shows of people that are no more.
 */
static void
leave_out_removed(Batch *batch)
{
	List	   *removed;
	int			kept = 0;

	if (batch->n == 0)
		return;
	session_become_extension_owner();
	lock_merges(batch->writer->org, ShareLock);
	removed = removed_among(batch);
	session_become_table_owner();
	if (removed == NIL)
		return;
	for (int i = 0; i < batch->n; i++)
	{
		if (names(removed, batch->pending[i]->record.source->id))
			batch->counts->unchanged++;
		else
			batch->pending[kept++] = batch->pending[i];
	}
	batch->n = kept;
}

/* ---- A page of mergers --------------------------------------------------- */

/*
 * read_id: a person's id, which relationships tell as text, attributes as a number.
 */
static const char *
read_id(const PageRecord *record, const char *relationship, const char *attribute)
{
	for (int i = 0; i < record->n_links; i++)
	{
		const PageLink *link = &record->links[i];

		if (strcmp(link->name, relationship) == 0 && link->has_data && link->count == 1)
			return link->ids[0];
	}
	for (int i = 0; i < record->n_fields; i++)
	{
		const PageField *field = &record->fields[i];

		if (strcmp(field->name, attribute) == 0 &&
			(field->value.kind == JSON_KIND_NUMBER || field->value.kind == JSON_KIND_STRING))
			return field->value.text;
	}
	return NULL;
}

static void
read_time(const PageRecord *record, Merge *merge)
{
	for (int i = 0; i < record->n_fields; i++)
	{
		const PageField *field = &record->fields[i];
		int64		unix_us;

		if (strcmp(field->name, "created_at") != 0 || field->value.kind != JSON_KIND_STRING ||
			!iso8601_parse(field->value.text, &unix_us))
			continue;
		merge->has_time = true;
		merge->at = unix_us - (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
	}
}

static void
read_merges(Batch *batch)
{
	for (int i = 0; i < batch->n; i++)
	{
		const PageRecord *record = batch->pending[i]->record.source;
		Merge	   *merge = palloc0(sizeof(Merge));

		merge->id = record->id;
		merge->removed = read_id(record, "person_to_remove", "person_to_remove_id");
		merge->kept = read_id(record, "person_to_keep", "person_to_keep_id");
		read_time(record, merge);
		if (merge->removed != NULL && merge->kept != NULL && strcmp(merge->removed, merge->kept) != 0)
			batch->merges = lappend(batch->merges, merge);
	}
}

void
merge_before_write(Batch *batch)
{
	if (writes(batch, PERSON))
		leave_out_removed(batch);
	else if (writes(batch, PERSON_MERGER))
		read_merges(batch);
}

/*
 * without_known: the merges that were not told of before.
 */
static List *
without_known(const char *org, List *merges)
{
	static Statement select_known = {
		"SELECT merger_id FROM sync_engine.person_merge WHERE org = $1 AND merger_id = ANY ($2)",
		2, {TEXTOID, TEXTARRAYOID}
	};
	Datum	   *ids = palloc(sizeof(Datum) * list_length(merges));
	Datum		args[2] = {CStringGetTextDatum(org)};
	List	   *known = NIL;
	List	   *unknown = NIL;
	ListCell   *cell;
	uint64		n;

	foreach(cell, merges)
		ids[foreach_current_index(cell)] = CStringGetTextDatum(((Merge *) lfirst(cell))->id);
	args[1] = text_array(ids, list_length(merges));
	n = statement_run(&select_known, args, NULL);
	for (uint64 i = 0; i < n; i++)
		known = lappend(known, result_text(i, 1));
	foreach(cell, merges)
	{
		if (!names(known, ((Merge *) lfirst(cell))->id))
			unknown = lappend(unknown, lfirst(cell));
	}
	return unknown;
}

static void
remember(const char *org, const Merge *merge)
{
	static Statement insert = {
		"INSERT INTO sync_engine.person_merge (org, merger_id, removed_id, kept_id, merged_at) "
		"VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
		5, {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID}
	};
	Datum		args[5] = {CStringGetTextDatum(org), CStringGetTextDatum(merge->id),
		CStringGetTextDatum(merge->removed), CStringGetTextDatum(merge->kept),
	TimestampTzGetDatum(merge->at)};
	char		nulls[5] = {' ', ' ', ' ', ' ', merge->has_time ? ' ' : 'n'};

	(void) statement_run(&insert, args, nulls);
}

/*
 * strike_candidates: nobody is to confirm, or to undo, what a merge has decided.
 * A row that a batch has deleted is not brought back from its image.
 */
static void
strike_candidates(Datum org, Datum removed, Datum kept)
{
	static Statement strike = {
		"UPDATE sync_engine.delete_candidate c SET status = 'struck', detail = '" MERGED_INTO "' || u.kept, "
		"  image = NULL, changed_at = clock_timestamp() "
		"FROM sync_engine.delete_batch b, unnest($2, $3) AS u(id, kept) WHERE c.batch = b.batch "
		"AND (b.org, b.product, b.entity) = ($1, '" PEOPLE "', '" PERSON "') "
		"AND b.status IN ('open', 'held', 'approved', 'applied') AND c.record_id = u.id "
		"AND c.status IN ('proposed', 'confirmed', 'deleted')",
		3, {TEXTOID, TEXTARRAYOID, TEXTARRAYOID}
	};
	Datum		args[3] = {org, removed, kept};

	(void) statement_run(&strike, args, NULL);
}

/*
 * bury_rows: makes tombstones of the rows of these people, as their table's owner;
 * how many lived.
 */
static int64
bury_rows(const Writer *writer, Datum org, Datum removed, Datum kept)
{
	Oid			types[4] = {TEXTOID, TEXTARRAYOID, TEXTARRAYOID, INT8OID};
	Datum		args[4] = {org, removed, kept, Int64GetDatum(writer->run_id)};
	MemoryContext context = CurrentMemoryContext;
	const char *table = quote_qualified_identifier(PERSON_SCHEMA, PERSON_TABLE);
	const bool	read_only = false;
	int64		lived = 0;

	/* in the order in which pages are written */
	if (SPI_execute_with_args(psprintf("SELECT _deleted_at IS NULL FROM %s WHERE org = $1 AND id = ANY ($2) "
									   "ORDER BY id COLLATE \"C\" FOR UPDATE", table),
							  2, types, args, NULL, read_only, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look up people that were merged");
	for (uint64 i = 0; i < SPI_processed; i++)
		lived += result_bool(i, 1) ? 1 : 0;
	if (SPI_processed > 0 &&
		SPI_execute_with_args(psprintf("UPDATE %s AS p SET _deleted_at = coalesce(p._deleted_at, now()), "
									   "_deleted_by = '" MERGED_INTO "' || u.kept, _hash = NULL, "
									   "_synced_at = now(), _run_id = $4 "
									   "FROM unnest($2, $3) AS u(id, kept) WHERE p.org = $1 AND p.id = u.id "
									   "AND (p._deleted_at IS NULL OR p._deleted_by IS DISTINCT FROM '" MERGED_INTO "' || u.kept)",
									   table),
							  4, types, args, NULL, read_only, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not bury people that were merged");
	MemoryContextSwitchTo(context);
	return lived;
}

/*
 * bury: the people that merges removed are gone, if they are stored.
 */
static void
bury(const Writer *writer, List *merges)
{
	static Statement count_off = {
		"UPDATE sync_engine.sync_state SET rows = rows - $2 "
		"WHERE org = $1 AND (product, entity) = ('" PEOPLE "', '" PERSON "')",
		2, {TEXTOID, INT8OID}
	};
	const bool	missing_ok = true;
	Oid			schema = get_namespace_oid(PERSON_SCHEMA, missing_ok);
	Oid			table = OidIsValid(schema) ? get_relname_relid(PERSON_TABLE, schema) : InvalidOid;
	int			n = 0;
	Datum	   *removed = palloc(sizeof(Datum) * list_length(merges));
	Datum	   *kept = palloc(sizeof(Datum) * list_length(merges));
	Datum		org = CStringGetTextDatum(writer->org);
	Datum		args[2] = {org};
	int64		lived;
	ListCell   *cell;

	foreach(cell, merges)
	{
		removed[n] = CStringGetTextDatum(((Merge *) lfirst(cell))->removed);
		kept[n++] = CStringGetTextDatum(((Merge *) lfirst(cell))->kept);
	}
	strike_candidates(org, text_array(removed, n), text_array(kept, n));
	if (!OidIsValid(table))
		return;
	blockers_lock_table(writer->job_id, table);
	if (!tables_check(table))
		return;
	session_become_table_owner();
	lived = bury_rows(writer, org, text_array(removed, n), text_array(kept, n));
	session_become_extension_owner();
	if (lived == 0)
		return;
	args[1] = Int64GetDatum(lived);
	(void) statement_run(&count_off, args, NULL);
}

/*
 * read_children_again: those of the people that these merges kept.
 */
static void
read_children_again(const Writer *writer, List *merges)
{
	ListCell   *cell;
	List	   *moves = NIL;

	foreach(cell, merges)
	{
		const Merge *merge = lfirst(cell);
		MovedChildren *move = palloc(sizeof(MovedChildren));

		move->to = merge->kept;
		move->at = merge->has_time ? merge->at : GetCurrentTimestamp();
		moves = lappend(moves, move);
	}
	moved_children_read_again(writer->org, moves);
}

void
merge_after_write(Batch *batch)
{
	const Writer *writer = batch->writer;
	List	   *merges;
	ListCell   *cell;

	if (batch->merges == NIL)
		return;
	merges = without_known(writer->org, batch->merges);
	if (merges == NIL)
		return;
	lock_merges(writer->org, ExclusiveLock);
	foreach(cell, merges)
		remember(writer->org, lfirst(cell));
	bury(writer, merges);
	read_children_again(writer, merges);
}

bool
merge_restore(const Writer *writer, const char *id)
{
	static Statement restore = {
		"UPDATE sync_engine.person_merge SET revived_at = NULL "
		"WHERE org = $1 AND removed_id = $2 AND revived_at IS NOT NULL RETURNING kept_id",
		2, {TEXTOID, TEXTOID}
	};
	Datum		args[2] = {CStringGetTextDatum(writer->org), CStringGetTextDatum(id)};
	Merge		merge = {.removed = id};

	if (strcmp(writer->entity->product, PEOPLE) != 0 || strcmp(writer->entity->name, PERSON) != 0)
		return false;
	lock_merges(writer->org, ExclusiveLock);
	if (statement_run(&restore, args, NULL) == 0)
		return false;
	merge.kept = result_text(0, 1);
	bury(writer, list_make1(&merge));
	return true;
}
