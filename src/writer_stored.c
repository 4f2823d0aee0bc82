/*-------------------------------------------------------------------------
 *
 * writer_stored.c
 *		What the table has already of the records of a page.
 *
 * A record whose hash is stored is settled.  A thin copy (one that came inside
 * its parent's page, and may carry fewer relationships than in its own list) is
 * laid over the stored row: what it does not tell stays, and if what it tells
 * is there already, nothing is written.  So a row never flips between the two
 * forms.
 *
 * IDENTIFICATION
 *		src/writer_stored.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "guc.h"
#include "session.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "writer_batch.h"
#include "writer_plan.h"

/* What the table has of an id. */
typedef struct Stored
{
	const char *id;
	bool		has_hash;
	uint64		hash;
	bool		live;
	bool		has_updated_at;
	TimestampTz updated_at;
	TimestampTz synced_at;
	int64		run_id;			/* that wrote it */
	const char *parent;			/* the path's last parameter, or NULL */
	TimestampTz deleted_at;
	const char *deleted_by;		/* batch or merge */
} Stored;

static int
compare_stored(const void *a, const void *b)
{
	return strcmp(((const Stored *) a)->id, ((const Stored *) b)->id);
}

/*
 * pending_ids: as an array of text.
 */
static Datum
pending_ids(const Batch *batch)
{
	Datum	   *ids = palloc(sizeof(Datum) * Max(batch->n, 1));

	for (int i = 0; i < batch->n; i++)
		ids[i] = CStringGetTextDatum(batch->pending[i]->record.source->id);
	return PointerGetDatum(construct_array(ids, batch->n, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * look_up: what the table has of these records, sorted by id.
 */
static Stored *
look_up(Batch *batch, int *n_stored)
{
	Writer	   *writer = batch->writer;
	Datum		args[2] = {CStringGetTextDatum(writer->org), pending_ids(batch)};
	Stored	   *stored;
	const bool	read_only = false;

	if (writer->lookup == NULL)
		writer->lookup = writer_plan_lookup(writer->entity);
	if (SPI_execute_plan(writer->lookup->plan, args, NULL, read_only, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look up records");

	*n_stored = (int) SPI_processed;
	stored = palloc(sizeof(Stored) * Max(*n_stored, 1));
	for (int i = 0; i < *n_stored; i++)
	{
		bool		isnull;

		stored[i].id = result_text(i, 1);
		stored[i].hash = (uint64) DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i],
															  SPI_tuptable->tupdesc, 2, &isnull));
		stored[i].has_hash = !isnull;
		stored[i].live = result_bool(i, 3);
		stored[i].updated_at = result_timestamp(i, 4, DT_NOBEGIN);
		stored[i].has_updated_at = stored[i].updated_at != DT_NOBEGIN;
		stored[i].synced_at = result_timestamp(i, 5, DT_NOBEGIN);
		stored[i].run_id = result_int64(i, 6, 0);
		stored[i].parent = result_text(i, 7);
		stored[i].deleted_at = result_timestamp(i, 8, DT_NOBEGIN);
		stored[i].deleted_by = result_text(i, 9);
	}
	SPI_freetuptable(SPI_tuptable);
	qsort(stored, *n_stored, sizeof(Stored), compare_stored);
	return stored;
}

static bool
is_within_lag(TimestampTz since)
{
	return !TimestampDifferenceExceeds(since, GetCurrentTimestamp(), guc_replica_lag * 1000);
}

/*
 * is_kept_deleted: a list that shows a deleted record may come from a replica that
 * lags behind.  What was merged into another comes back by no list at all.
 */
static bool
is_kept_deleted(const Stored *stored)
{
	return !stored->live && (is_within_lag(stored->deleted_at) ||
							 (stored->deleted_by != NULL && strncmp(stored->deleted_by, "merge", 5) == 0));
}

/*
 * is_settled: nothing is to be written, because the record is stored, or
 * because a lagging replica of the API served an older copy of it.
 */
static bool
is_settled(const Writer *writer, const Record *record, const Stored *stored)
{
	if (stored->live && stored->has_hash && stored->hash == record->hash)
		return true;
	if (writer->by_id)
		return false;
	if (is_kept_deleted(stored))
		return true;
	return record->has_updated_at && stored->has_updated_at &&
		record->updated_at < stored->updated_at && is_within_lag(stored->synced_at);
}

/*
 * comes_again: has this run written the record under another parent?
 */
static bool
comes_again(const Writer *writer, const Record *record, const Stored *stored)
{
	int			last = writer->entity->n_params - 1;

	return writer->entity->parent != NULL && record->params != NULL && stored->parent != NULL &&
		stored->run_id == writer->run_id && strcmp(record->params[last], stored->parent) != 0;
}

static int
compare_id(const void *id, const void *pending)
{
	return strcmp(id, (*(Pending *const *) pending)->record.source->id);
}

/*
 * fetch_stored: the rows that thin copies are laid over.
 */
static void
fetch_stored(Batch *batch)
{
	Writer	   *writer = batch->writer;
	Datum		args[2] = {CStringGetTextDatum(writer->org), pending_ids(batch)};
	const bool	read_only = false;

	if (writer->stored == NULL)
		writer->stored = writer_plan_stored(writer->entity);
	if (SPI_execute_plan(writer->stored->plan, args, NULL, read_only, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not fetch stored rows");

	batch->stored = SPI_tuptable->tupdesc;
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		char	   *id = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1);

		Pending   **found = bsearch(id, batch->pending, batch->n, sizeof(Pending *), compare_id);

		if (found != NULL)
			(*found)->stored = SPI_tuptable->vals[row];
	}
}

/*
 * lately_gone: of the batch's records, those whose rows went for good so lately
 * that a list may still show them.
 */
static List *
lately_gone(Batch *batch)
{
	List	   *gone;

	session_become_extension_owner();
	gone = delete_batch_lately_deleted(writer_scope(batch->writer), pending_ids(batch));
	session_become_table_owner();
	return gone;
}

static bool
is_named(const List *ids, const char *id)
{
	ListCell   *cell;

	foreach(cell, ids)
	{
		if (strcmp(lfirst(cell), id) == 0)
			return true;
	}
	return false;
}

void
writer_drop_settled(Batch *batch)
{
	int			n_stored;
	Stored	   *stored;
	List	   *gone = NIL;
	int			kept = 0;

	if (batch->n == 0)
		return;
	stored = look_up(batch, &n_stored);
	if (n_stored < batch->n && !batch->writer->by_id)
		gone = lately_gone(batch);
	for (int i = 0; i < batch->n; i++)
	{
		Pending    *pending = batch->pending[i];
		Stored		key = {.id = pending->record.source->id};
		Stored	   *found = bsearch(&key, stored, n_stored, sizeof(Stored), compare_stored);

		if (found != NULL ? is_settled(batch->writer, &pending->record, found) : is_named(gone, key.id))
		{
			batch->counts->unchanged++;
			batch->settled = lappend(batch->settled, (char *) pending->record.source->id);
			continue;
		}
		if (found != NULL && comes_again(batch->writer, &pending->record, found))
			batch->writer->come_again++;
		pending->exists = found != NULL;
		pending->live = found != NULL && found->live;
		batch->pending[kept++] = pending;
	}
	batch->n = kept;
	batch->all_new = n_stored == 0;
	if (batch->thin && !batch->all_new)
		fetch_stored(batch);
}

/*
 * writer_strike: what is shown has not been deleted, whether it can be stored or not.
 */
void
writer_strike(const Writer *writer, const WriteItem *items, int n)
{
	List	   *ids = NIL;

	for (int i = 0; i < n; i++)
	{
		if (items[i].record->id != NULL)
			ids = lappend(ids, (char *) items[i].record->id);
	}
	if (ids != NIL)
		delete_batch_strike(writer_scope(writer), delete_ids_array(ids));
}

static bool
is_equal(const Batch *batch, int column, Datum value, bool isnull, Datum stored, bool stored_isnull)
{
	Form_pg_attribute attribute = TupleDescAttr(batch->writer->row, column);

	if (isnull || stored_isnull)
		return isnull == stored_isnull;
	return datum_image_eq(value, stored, attribute->attbyval, attribute->attlen);
}

/*
 * without_columns: stored unknown attributes, less those that have become
 * columns since.  NULL if nothing is left.
 */
static Datum
without_columns(const Entity *entity, Datum extra, bool *isnull)
{
	Datum	   *names = palloc(sizeof(Datum) * Max(entity->n_columns, 1));
	Datum		known;
	Jsonb	   *left;

	for (int i = 0; i < entity->n_columns; i++)
		names[i] = CStringGetTextDatum(entity->columns[i].name);
	known = PointerGetDatum(construct_array(names, entity->n_columns, TEXTOID, -1, false, TYPALIGN_INT));
	left = DatumGetJsonbP(DirectFunctionCall2(jsonb_delete_array, extra, known));
	*isnull = JB_ROOT_COUNT(left) == 0;
	return JsonbPGetDatum(left);
}

/*
 * The columns of the stored rows are those of the upsert's rows, in their
 * order: see writer_plan.h.  A value that must not be stored goes, whether the
 * copy tells of it or not.
 */
void
writer_lay_over_stored(const Batch *batch, Pending *pending, Datum *values, bool *nulls)
{
	const Entity *entity = batch->writer->entity;
	const Record *record = &pending->record;
	bool		same = pending->live;
	bool		mixed;			/* the row has what the copy does not tell */
	bool		stored_isnull;
	bool		kept_isnull;
	Datum		stored;
	Datum		kept;

	stored = SPI_getbinval(pending->stored, batch->stored, UPSERT_EXTRA + 1, &stored_isnull);
	kept_isnull = stored_isnull;
	kept = stored_isnull ? stored : without_columns(entity, stored, &kept_isnull);
	if (!kept_isnull && !nulls[UPSERT_EXTRA])
		values[UPSERT_EXTRA] = DirectFunctionCall2(jsonb_concat, kept, values[UPSERT_EXTRA]);
	else if (!kept_isnull)
		values[UPSERT_EXTRA] = kept;
	nulls[UPSERT_EXTRA] = nulls[UPSERT_EXTRA] && kept_isnull;
	mixed = !kept_isnull;
	same = same && is_equal(batch, UPSERT_EXTRA, values[UPSERT_EXTRA], nulls[UPSERT_EXTRA],
							stored, stored_isnull);

	for (int i = 0; i < entity->n_columns; i++)
	{
		int			column = UPSERT_COLUMNS + i;

		stored = SPI_getbinval(pending->stored, batch->stored, column + 1, &stored_isnull);
		if (record_tells(entity, record, i) || entity->columns[i].privacy == PRIVACY_DROP)
			same = same && ((!entity->columns[i].hashed && entity->columns[i].privacy == PRIVACY_KEEP) ||
							is_equal(batch, column, values[column], nulls[column], stored, stored_isnull));
		else
		{
			values[column] = stored;
			nulls[column] = stored_isnull;
			mixed = mixed || (entity->columns[i].hashed && !stored_isnull);
		}
	}

	/* neither form's hash is true of a mixture */
	nulls[UPSERT_HASH] = mixed;
	pending->same = same;
}

/*
 * writer_count_rows_once: an extension that was made anew finds tables in place.
 */
void
writer_count_rows_once(const char *org, const Entity *entity)
{
	static Statement select_state = {
		"SELECT 1 FROM sync_engine.sync_state WHERE org = $1 AND product = $2 AND entity = $3",
		3, {TEXTOID, TEXTOID, TEXTOID}
	};
	static Statement insert_state = {
		"INSERT INTO sync_engine.sync_state (org, product, entity, rows) VALUES ($1, $2, $3, $4) "
		"ON CONFLICT (org, product, entity) DO NOTHING",
		4, {TEXTOID, TEXTOID, TEXTOID, INT8OID}
	};
	Oid			types[1] = {TEXTOID};
	Datum		args[4] = {CStringGetTextDatum(org), CStringGetTextDatum(entity->product),
	CStringGetTextDatum(entity->name)};
	MemoryContext context = CurrentMemoryContext;
	const bool	read_only = false;

	if (statement_run(&select_state, args, NULL) > 0)
		return;
	session_become_table_owner();
	(void) SPI_execute_with_args(psprintf("SELECT count(*) FROM %s WHERE org = $1 AND _deleted_at IS NULL",
										  quote_qualified_identifier(entity->schema_name, entity->table_name)),
								 1, types, args, NULL, read_only, 0);
	MemoryContextSwitchTo(context);
	args[3] = Int64GetDatum(result_int64(0, 1, 0));
	session_become_extension_owner();
	(void) statement_run(&insert_state, args, NULL);
}
