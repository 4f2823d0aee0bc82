/*-------------------------------------------------------------------------
 *
 * delete_apply.c
 *		Takes the rows of a delete batch out of their data table, and brings them
 *		back.
 *
 * soft: the row gets a tombstone.  hard: it goes, and its image is kept with the
 * candidate.  archive: it moves to <table>_archive, which has the same columns.
 *
 * IDENTIFICATION
 *		src/delete_apply.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "delete_apply.h"
#include "delete_archive.h"
#include "guc.h"
#include "session.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* Rows that are brought back by one statement. */
#define UNDONE_AT_ONCE	500

/* Which rows a statement may take: those that nobody has written since the read. */
#define UNTOUCHED	"org = $1 AND id = ANY ($2) AND _deleted_at IS NULL AND _synced_at < $4"

static char *
tombstone(const DeleteBatch *batch)
{
	return psprintf("batch " INT64_FORMAT, batch->batch);
}

/*
 * add_rows: the number of live rows, as sync_status shows it.
 */
static void
add_rows(const DeleteBatch *batch, int64 rows)
{
	static Statement update = {
		"UPDATE sync_engine.sync_state SET rows = rows + $4 WHERE (org, product, entity) = ($1, $2, $3)",
		4, {TEXTOID, TEXTOID, TEXTOID, INT8OID}
	};
	Datum		args[4] = {CStringGetTextDatum(batch->org), CStringGetTextDatum(batch->product),
	CStringGetTextDatum(batch->entity), Int64GetDatum(rows)};

	if (rows != 0)
		(void) statement_run(&update, args, NULL);
}

/*
 * run_as_table_owner: a statement on the data table; how many rows it returns.
 */
static uint64
run_as_table_owner(const char *sql, int nargs, Oid *types, Datum *args)
{
	MemoryContext context = CurrentMemoryContext;
	const bool	read_only = false;
	uint64		n;

	session_become_table_owner();
	if (SPI_execute_with_args(sql, nargs, types, args, NULL, read_only, 0) < 0)
		elog(ERROR, "could not run \"%s\"", sql);
	n = SPI_processed;
	MemoryContextSwitchTo(context);
	session_become_extension_owner();
	return n;
}

/*
 * take_sql: ($1 org, $2 ids, $3 tombstone, $4 time of the read) → ids, and the
 * images of rows that go for good.
 */
static char *
take_sql(const Entity *entity, const DeleteBatch *batch)
{
	const char *table = delete_data_table(entity);

	if (strcmp(batch->behaviour, "hard") == 0)
		return psprintf("DELETE FROM %s AS t WHERE " UNTOUCHED " AND $3 IS NOT NULL RETURNING id, to_jsonb(t)", table);
	if (strcmp(batch->behaviour, "archive") == 0)
		return psprintf("WITH gone AS (UPDATE %s SET _deleted_at = now(), _deleted_by = $3 WHERE " UNTOUCHED
						" RETURNING *) INSERT INTO %s (%s) SELECT %s FROM gone RETURNING id, NULL::jsonb",
						table, delete_archive_table(entity), delete_columns(entity, ""), delete_columns(entity, "gone."));
	return psprintf("UPDATE %s SET _deleted_at = now(), _deleted_by = $3, _hash = NULL WHERE " UNTOUCHED
					" RETURNING id, NULL::jsonb", table);
}

/*
 * leave_table: what has been copied to the archive goes from the data table.
 */
static void
leave_table(const Entity *entity, const DeleteBatch *batch, Datum ids)
{
	Oid			types[3] = {TEXTOID, TEXTARRAYOID, TEXTOID};
	Datum		args[3] = {CStringGetTextDatum(batch->org), ids, CStringGetTextDatum(tombstone(batch))};

	(void) run_as_table_owner(psprintf("DELETE FROM %s WHERE org = $1 AND id = ANY ($2) AND _deleted_by = $3",
									   delete_data_table(entity)), lengthof(types), types, args);
}

/*
 * mark_deleted: the candidates whose rows went, with their images; the others of
 * those that were looked at are struck.
 */
static void
mark_deleted(const DeleteBatch *batch, Datum looked_at, Datum gone, Datum images)
{
	static Statement mark = {
		"UPDATE sync_engine.delete_candidate c SET status = 'deleted', image = u.image, changed_at = clock_timestamp() "
		"FROM unnest($2, $3) u(id, image) WHERE c.batch = $1 AND c.record_id = u.id",
		3, {INT8OID, TEXTARRAYOID, JSONBARRAYOID}
	};
	Datum		args[3] = {Int64GetDatum(batch->batch), gone, images};

	(void) statement_run(&mark, args, NULL);
	delete_batch_mark(batch->batch, looked_at, "struck", "its row was written or deleted since it was missing");
}

/*
 * note_progress: of the batch.
 */
static void
note_progress(const DeleteBatch *batch, int64 deleted)
{
	static Statement update = {
		"UPDATE sync_engine.delete_batch SET deleted = deleted + $2, applied_at = clock_timestamp() WHERE batch = $1",
		2, {INT8OID, INT8OID}
	};
	Datum		args[2] = {Int64GetDatum(batch->batch), Int64GetDatum(deleted)};

	(void) statement_run(&update, args, NULL);
}

int
delete_apply_some(const Entity *entity, const DeleteBatch *batch, int limit, int64 *deleted)
{
	Oid			types[4] = {TEXTOID, TEXTARRAYOID, TEXTOID, TIMESTAMPTZOID};
	List	   *ids = delete_batch_lock_confirmed(batch->batch, limit);
	bool		keeps_images = strcmp(batch->behaviour, "hard") == 0 && guc_retention != 0;
	Datum		looked_at = delete_ids_array(ids);
	Datum		args[4];
	Datum	   *gone;
	Datum	   *images;
	bool	   *no_image;
	int			dims[1];
	int			lower[1] = {1};
	uint64		n;
	Datum		gone_array;

	*deleted = 0;
	if (ids == NIL)
		return 0;
	if (strcmp(batch->behaviour, "archive") == 0)
		delete_archive_ensure(entity);
	args[0] = CStringGetTextDatum(batch->org);
	args[1] = looked_at;
	args[2] = CStringGetTextDatum(tombstone(batch));
	args[3] = TimestampTzGetDatum(batch->read_at);
	n = run_as_table_owner(take_sql(entity, batch), lengthof(types), types, args);

	gone = palloc(sizeof(Datum) * Max(n, 1));
	images = palloc(sizeof(Datum) * Max(n, 1));
	no_image = palloc(sizeof(bool) * Max(n, 1));
	for (uint64 i = 0; i < n; i++)
	{
		gone[i] = CStringGetTextDatum(result_text(i, 1));
		images[i] = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &no_image[i]);
		no_image[i] = no_image[i] || !keeps_images;
	}
	dims[0] = (int) n;
	gone_array = PointerGetDatum(construct_array(gone, (int) n, TEXTOID, -1, false, TYPALIGN_INT));
	if (n > 0 && strcmp(batch->behaviour, "archive") == 0)
		leave_table(entity, batch, gone_array);
	mark_deleted(batch, looked_at, gone_array,
				 PointerGetDatum(n == 0 ? construct_empty_array(JSONBOID) :
								 construct_md_array(images, no_image, 1, dims, lower, JSONBOID, -1, false,
													TYPALIGN_INT)));
	note_progress(batch, (int64) n);
	add_rows(batch, -(int64) n);
	*deleted = (int64) n;
	return list_length(ids);
}

/*
 * bring_back_sql: ($1 org, $2 ids, $3 tombstone, $4 images) → ids.
 */
static char *
bring_back_sql(const Entity *entity, const DeleteBatch *batch)
{
	const char *table = delete_data_table(entity);
	const char *columns = delete_columns(entity, "");

	if (strcmp(batch->behaviour, "hard") == 0)
		return psprintf("INSERT INTO %s (%s) SELECT %s FROM unnest($4) u(image), "
						"LATERAL jsonb_populate_record(NULL::%s, u.image) r "
						"WHERE r.org = $1 AND r.id = ANY ($2) AND $3 IS NOT NULL ON CONFLICT (org, id) DO NOTHING RETURNING id",
						table, columns, delete_columns(entity, "r."), table);
	if (strcmp(batch->behaviour, "archive") == 0)
		return psprintf("WITH back AS (DELETE FROM %s a WHERE org = $1 AND id = ANY ($2) AND _deleted_by = $3 "
						"  AND $4 IS NOT NULL AND NOT EXISTS (SELECT 1 FROM %s t WHERE t.org = a.org AND t.id = a.id) RETURNING *) "
						"INSERT INTO %s (%s) SELECT %s FROM back ON CONFLICT (org, id) DO NOTHING RETURNING id",
						delete_archive_table(entity), table, table, columns, delete_columns(entity, "back."));
	return psprintf("UPDATE %s SET _deleted_at = NULL, _deleted_by = NULL "
					"WHERE org = $1 AND id = ANY ($2) AND _deleted_by = $3 AND $4 IS NOT NULL RETURNING id", table);
}

/*
 * clear_tombstones: of rows that came back from the archive.
 */
static void
clear_tombstones(const Entity *entity, const DeleteBatch *batch, Datum ids)
{
	Oid			types[3] = {TEXTOID, TEXTARRAYOID, TEXTOID};
	Datum		args[3] = {CStringGetTextDatum(batch->org), ids, CStringGetTextDatum(tombstone(batch))};

	(void) run_as_table_owner(psprintf("UPDATE %s SET _deleted_at = NULL, _deleted_by = NULL "
									   "WHERE org = $1 AND id = ANY ($2) AND _deleted_by = $3",
									   delete_data_table(entity)), lengthof(types), types, args);
}

/*
 * images_of: what is kept of these candidates, as an array of jsonb.
 */
static Datum
images_of(const DeleteBatch *batch, Datum ids)
{
	static Statement select_images = {
		"SELECT coalesce(array_agg(image) FILTER (WHERE image IS NOT NULL), '{}') FROM sync_engine.delete_candidate "
		"WHERE batch = $1 AND record_id = ANY ($2)",
		2, {INT8OID, TEXTARRAYOID}
	};
	Datum		args[2] = {Int64GetDatum(batch->batch), ids};
	bool		isnull;

	(void) statement_run(&select_images, args, NULL);
	return PointerGetDatum(DatumGetArrayTypePCopy(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
																&isnull)));
}

/*
 * mark_undone: one whose row was not brought back is there already, or was taken
 * over by something else: its row needs no protection from us.
 */
static void
mark_undone(const DeleteBatch *batch, Datum ids, Datum back)
{
	static Statement mark = {
		"UPDATE sync_engine.delete_candidate SET status = 'undone', image = NULL, changed_at = clock_timestamp(), "
		"  shown_at = CASE WHEN record_id = ANY ($3) THEN NULL ELSE coalesce(shown_at, clock_timestamp()) END, "
		"  detail = CASE WHEN record_id = ANY ($3) THEN detail ELSE 'its row was not there to be brought back' END "
		"WHERE batch = $1 AND record_id = ANY ($2)",
		3, {INT8OID, TEXTARRAYOID, TEXTARRAYOID}
	};
	Datum		args[3] = {Int64GetDatum(batch->batch), ids, back};

	(void) statement_run(&mark, args, NULL);
}

int64
delete_undo(const Entity *entity, const DeleteBatch *batch)
{
	Oid			types[4] = {TEXTOID, TEXTARRAYOID, TEXTOID, JSONBARRAYOID};
	char	   *sql = bring_back_sql(entity, batch);
	int64		rows = 0;
	List	   *ids;

	while ((ids = delete_batch_candidates(batch->batch, "deleted", "", UNDONE_AT_ONCE)) != NIL)
	{
		Datum		id_array = delete_ids_array(ids);
		Datum		args[4] = {CStringGetTextDatum(batch->org), id_array,
		CStringGetTextDatum(tombstone(batch)), images_of(batch, id_array)};
		uint64		n = run_as_table_owner(sql, lengthof(types), types, args);
		List	   *back = NIL;
		Datum		back_array;

		for (uint64 i = 0; i < n; i++)
			back = lappend(back, result_text(i, 1));
		back_array = delete_ids_array(back);
		if (strcmp(batch->behaviour, "archive") == 0)
			clear_tombstones(entity, batch, back_array);
		mark_undone(batch, id_array, back_array);
		rows += (int64) n;
	}
	add_rows(batch, rows);
	return rows;
}
