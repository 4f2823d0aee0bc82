/*-------------------------------------------------------------------------
 *
 * writer.c
 *		Writes the records of a page into its data table.
 *
 * First the stored hashes of the page's ids are looked up.  A record whose
 * hash is stored costs nothing more: it is neither converted nor written.
 * The others are converted, and go as one array of rows through one saved
 * INSERT ... SELECT FROM unnest(...) ON CONFLICT DO UPDATE, in key order.  An
 * array of rows costs less than an array for each column: the executor makes
 * a tuple of each element.  A page of which nothing is stored is inserted without
 * looking for conflicts, unless one comes up after all.
 *
 * The write stands in a subtransaction.  If the data are refused, the page is
 * halved until the record that is to blame stands alone: it becomes a dead
 * letter, and the others are in.
 *
 * IDENTIFICATION
 *		src/writer.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "dead_letter.h"
#include "errors.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "guc.h"
#include "mb/pg_wchar.h"
#include "record.h"
#include "session.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"
#include "writer.h"
#include "writer_plan.h"

/*
 * The longest id that is stored.  PCO's have some ten digits; an index entry,
 * ours or the dead letters', holds no more than a third of a page.
 */
#define MAX_ID_BYTES	255

/* Of an unknown attribute's name, for the same reason. */
#define MAX_NOTED_BYTES	200

/* Unknown attributes of one page that are noted; the values are all kept. */
#define MAX_NOTED		100

struct Writer
{
	const Entity *entity;
	const char *org;
	DataTable	table;
	int64		run_id;
	int64		job_id;
	RecordMapper *mapper;
	SPIPlanPtr	lookup;
	SPIPlanPtr	insert;
	SPIPlanPtr	upsert;
	TupleDesc	row;			/* of a row of the upsert */
	int64		open_dead_letters;
};

/* A record on its way into the table. */
typedef struct Pending
{
	Record		record;
	bool		exists;
	bool		live;			/* exists, and is not deleted */
	Datum		row;			/* as the upsert takes it */
} Pending;

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
} Stored;

/* State of one page. */
typedef struct Batch
{
	Writer	   *writer;
	const ParsedPage *page;
	WriteCounts *counts;
	int			n;
	Pending   **pending;
	bool		all_new;		/* none of them is in the table */
	int64		became_live;
	List	   *settled;		/* ids that are in the table now (char *) */
} Batch;

Writer *
writer_create(const Entity *entity, const char *org, DataTable table, int64 run_id, int64 job_id)
{
	Writer	   *writer = palloc(sizeof(Writer));

	writer->entity = entity;
	writer->org = org;
	writer->table = table;
	writer->run_id = run_id;
	writer->job_id = job_id;
	writer->mapper = record_mapper_create(entity, table.shape);
	writer->row = writer_describe_row(entity);
	writer->lookup = NULL;
	writer->insert = NULL;
	writer->upsert = NULL;
	writer->open_dead_letters = dead_letter_count_open(org, entity);
	return writer;
}

void
writer_destroy(Writer *writer)
{
	if (writer->lookup != NULL)
		SPI_freeplan(writer->lookup);
	if (writer->insert != NULL)
		SPI_freeplan(writer->insert);
	if (writer->upsert != NULL)
		SPI_freeplan(writer->upsert);
}

static int
compare_stored(const void *a, const void *b)
{
	return strcmp(((const Stored *) a)->id, ((const Stored *) b)->id);
}

static int
compare_pending(const void *a, const void *b)
{
	return strcmp((*(Pending *const *) a)->record.source->id,
				  (*(Pending *const *) b)->record.source->id);
}

/*
 * look_up: what the table has of these records, sorted by id.
 */
static Stored *
look_up(Batch *batch, int *n_stored)
{
	Writer	   *writer = batch->writer;
	Datum	   *ids = palloc(sizeof(Datum) * Max(batch->n, 1));
	Datum		args[2];
	Stored	   *stored;
	const bool	read_only = false;

	if (writer->lookup == NULL)
		writer->lookup = writer_plan_lookup(writer->entity);
	for (int i = 0; i < batch->n; i++)
		ids[i] = CStringGetTextDatum(batch->pending[i]->record.source->id);
	args[0] = CStringGetTextDatum(writer->org);
	args[1] = PointerGetDatum(construct_array(ids, batch->n, TEXTOID, -1, false, TYPALIGN_INT));
	if (SPI_execute_plan(writer->lookup, args, NULL, read_only, 0) != SPI_OK_SELECT)
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
	}
	SPI_freetuptable(SPI_tuptable);
	qsort(stored, *n_stored, sizeof(Stored), compare_stored);
	return stored;
}

/*
 * is_settled: nothing is to be written, because the record is stored, or
 * because a lagging replica of the API served an older copy of it.
 */
static bool
is_settled(const Record *record, const Stored *stored)
{
	if (stored->live && stored->has_hash && stored->hash == record->hash)
		return true;
	return record->has_updated_at && stored->has_updated_at &&
		record->updated_at < stored->updated_at &&
		!TimestampDifferenceExceeds(stored->synced_at, GetCurrentTimestamp(), guc_replica_lag * 1000);
}

static void
add_dead_letter(Batch *batch, const PageRecord *source, const char *reason, const char *sqlstate)
{
	Writer	   *writer = batch->writer;
	DeadLetter	letter;

	letter.record_id = source->id != NULL && strlen(source->id) <= MAX_ID_BYTES ? source->id : NULL;
	letter.payload = page_record_payload(batch->page, source);
	letter.reason = reason;
	letter.sqlstate = sqlstate;
	session_become_extension_owner();
	dead_letter_add(writer->org, writer->entity, writer->run_id, writer->job_id, &letter);
	session_become_table_owner();
	writer->open_dead_letters++;
	batch->counts->dead_lettered++;
}

/*
 * convert: the record as a row; false with the problem if a value does not fit.
 */
static bool
convert(Batch *batch, Pending *pending, char **problem)
{
	const Writer *writer = batch->writer;
	const Record *record = &pending->record;
	Datum	   *values = palloc(sizeof(Datum) * writer->row->natts);
	bool	   *nulls = palloc(sizeof(bool) * writer->row->natts);

	values[UPSERT_ID] = CStringGetTextDatum(record->source->id);
	nulls[UPSERT_ID] = false;
	values[UPSERT_EXTRA] = record_extra(record, &nulls[UPSERT_EXTRA]);
	values[UPSERT_HASH] = Int64GetDatum((int64) record->hash);
	nulls[UPSERT_HASH] = false;
	for (int i = 0; i < writer->entity->n_columns; i++)
	{
		if (!record_value(writer->entity, record, i, &values[UPSERT_COLUMNS + i],
						  &nulls[UPSERT_COLUMNS + i], problem))
			return false;
	}
	pending->row = HeapTupleGetDatum(heap_form_tuple(writer->row, values, nulls));
	return true;
}

/*
 * upsert: converts and writes some records; may raise an error about any of
 * them.  Returns the problem of a single record that does not convert.
 */
static char *
upsert(Batch *batch, Pending **pending, int n)
{
	Writer	   *writer = batch->writer;
	SPIPlanPtr *plan = batch->all_new ? &writer->insert : &writer->upsert;
	Datum	   *rows = palloc(sizeof(Datum) * n);
	Datum		args[3];
	const bool	read_only = false;
	char	   *problem = NULL;

	for (int i = 0; i < n; i++)
	{
		if (!convert(batch, pending[i], &problem))
			return problem;
		rows[i] = pending[i]->row;
	}
	if (*plan == NULL)
		*plan = writer_plan_write(writer->entity, writer->row, batch->all_new);

	args[0] = CStringGetTextDatum(writer->org);
	args[1] = Int64GetDatum(writer->run_id);
	args[2] = PointerGetDatum(construct_array(rows, n, RECORDOID, -1, false, TYPALIGN_DOUBLE));
	if (SPI_execute_plan(*plan, args, NULL, read_only, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write records");
	if (SPI_processed < n)
		return pstrdup("a trigger or rule of the table skips the record");
	return NULL;
}

/*
 * is_data_error: the data are to blame, and a smaller part may go through.
 */
static bool
is_data_error(int sqlerrcode)
{
	int			class = ERRCODE_TO_CATEGORY(sqlerrcode);

	return class == ERRCODE_TO_CATEGORY(ERRCODE_DATA_EXCEPTION) ||
		class == ERRCODE_TO_CATEGORY(ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION) ||
		class == ERRCODE_TO_CATEGORY(ERRCODE_CARDINALITY_VIOLATION) ||
		class == ERRCODE_TO_CATEGORY(ERRCODE_PROGRAM_LIMIT_EXCEEDED) ||
		class == ERRCODE_TO_CATEGORY(ERRCODE_UNTRANSLATABLE_CHARACTER) ||
		sqlerrcode == ERRCODE_RAISE_EXCEPTION;	/* a user's trigger */
}

/*
 * try_upsert: upsert in a subtransaction; on a data error, its message.
 */
static bool
try_upsert(Batch *batch, Pending **pending, int n, char **problem, const char **sqlstate)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool done = false;

	*sqlstate = pstrdup(unpack_sql_state(ERRCODE_INVALID_TEXT_REPRESENTATION));
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		*problem = upsert(batch, pending, n);
		done = *problem == NULL;
		if (done)
			ReleaseCurrentSubTransaction();
		else
			RollbackAndReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (!is_data_error(error->sqlerrcode))
			PG_RE_THROW();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		*problem = error->message;
		*sqlstate = pstrdup(unpack_sql_state(error->sqlerrcode));
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return done;
}

/*
 * write_range: all of these records, or the halves of them.
 */
static void
write_range(Batch *batch, Pending **pending, int n)
{
	char	   *problem = NULL;
	const char *sqlstate = NULL;

	if (n == 0)
		return;
	if (try_upsert(batch, pending, n, &problem, &sqlstate))
	{
		for (int i = 0; i < n; i++)
		{
			if (pending[i]->exists)
				batch->counts->updated++;
			else
				batch->counts->inserted++;
			if (!pending[i]->live)
				batch->became_live++;
			batch->settled = lappend(batch->settled, (char *) pending[i]->record.source->id);
		}
	}
	else if (batch->all_new && strcmp(sqlstate, unpack_sql_state(ERRCODE_UNIQUE_VIOLATION)) == 0)
	{
		/* one of them came into the table since it was looked up */
		batch->all_new = false;
		write_range(batch, pending, n);
	}
	else if (n == 1)
		add_dead_letter(batch, pending[0]->record.source, problem, sqlstate);
	else
	{
		write_range(batch, pending, n / 2);
		write_range(batch, pending + n / 2, n - n / 2);
	}
}

/*
 * defect_of: why a record cannot be stored, or NULL.
 */
static const char *
defect_of(const Batch *batch, const PageRecord *source)
{
	const char *name = batch->writer->entity->name;

	if (source->defect != NULL)
		return source->defect;
	if (source->type == NULL || strcmp(source->type, name) != 0)
		return psprintf("type is %s, not %s", source->type ? source->type : "missing", name);
	if (strlen(source->id) > MAX_ID_BYTES)
		return psprintf("id is longer than %d bytes", MAX_ID_BYTES);
	return NULL;
}

/*
 * sort_out: defects become dead letters; what is left is mapped.
 */
static void
sort_out(Batch *batch, int first, const char *parent)
{
	const ParsedPage *page = batch->page;

	batch->pending = palloc(sizeof(Pending *) * Max(page->n_records, 1));
	for (int i = first; i < page->n_records; i++)
	{
		const PageRecord *source = &page->records[i];
		Pending    *pending;
		const char *defect;

		batch->counts->fetched++;
		if (source->is_duplicate)
		{
			batch->counts->unchanged++;
			continue;
		}
		defect = defect_of(batch, source);
		if (defect != NULL)
		{
			add_dead_letter(batch, source, defect, SQLSTATE_BAD_RECORD);
			continue;
		}
		pending = palloc0(sizeof(Pending));
		record_map(batch->writer->mapper, source, parent, &pending->record);
		batch->pending[batch->n++] = pending;
	}
}

/*
 * drop_settled: leaves only what must be written.
 */
static void
drop_settled(Batch *batch)
{
	int			n_stored;
	Stored	   *stored;
	int			kept = 0;

	if (batch->n == 0)
		return;
	stored = look_up(batch, &n_stored);
	for (int i = 0; i < batch->n; i++)
	{
		Pending    *pending = batch->pending[i];
		Stored		key = {.id = pending->record.source->id};
		Stored	   *found = bsearch(&key, stored, n_stored, sizeof(Stored), compare_stored);

		if (found != NULL && is_settled(&pending->record, found))
		{
			batch->counts->unchanged++;
			batch->settled = lappend(batch->settled, (char *) pending->record.source->id);
			continue;
		}
		pending->exists = found != NULL;
		pending->live = found != NULL && found->live;
		batch->pending[kept++] = pending;
	}
	batch->n = kept;
	batch->all_new = n_stored == 0;
	qsort(batch->pending, batch->n, sizeof(Pending *), compare_pending);
}

/*
 * note_unknown_attributes: each (org, attribute) once.
 */
static void
note_unknown_attributes(Batch *batch)
{
	static Statement insert_change = {
		"INSERT INTO sync_engine.schema_change (org, product, entity, attribute, json_type, run_id) "
		"VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
		6, {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT8OID}
	};
	Writer	   *writer = batch->writer;
	List	   *noted = NIL;

	for (int i = 0; i < batch->n; i++)
	{
		Record	   *record = &batch->pending[i]->record;

		for (int k = 0; k < record->n_extra; k++)
		{
			const PageField *field = record->extra[k];
			String	   *name = makeString(pnstrdup(field->name, pg_mbcliplen(field->name, field->name_len,
																			 MAX_NOTED_BYTES)));
			Datum		args[6];

			if (list_member(noted, name) || list_length(noted) == MAX_NOTED)
				continue;
			noted = lappend(noted, name);
			args[0] = CStringGetTextDatum(writer->org);
			args[1] = CStringGetTextDatum(writer->entity->product);
			args[2] = CStringGetTextDatum(writer->entity->name);
			args[3] = CStringGetTextDatum(strVal(name));
			args[4] = CStringGetTextDatum(record_json_type(&field->value));
			args[5] = Int64GetDatum(writer->run_id);
			(void) statement_run(&insert_change, args, NULL);
		}
	}
}

static void
count_live_rows(Batch *batch)
{
	static Statement add_rows = {
		"INSERT INTO sync_engine.sync_state AS s (org, product, entity, rows) VALUES ($1, $2, $3, $4) "
		"ON CONFLICT (org, product, entity) DO UPDATE SET rows = s.rows + EXCLUDED.rows",
		4, {TEXTOID, TEXTOID, TEXTOID, INT8OID}
	};
	Writer	   *writer = batch->writer;
	Datum		args[4];

	if (batch->became_live == 0)
		return;
	args[0] = CStringGetTextDatum(writer->org);
	args[1] = CStringGetTextDatum(writer->entity->product);
	args[2] = CStringGetTextDatum(writer->entity->name);
	args[3] = Int64GetDatum(batch->became_live);
	(void) statement_run(&add_rows, args, NULL);
}

static void
close_dead_letters(Batch *batch)
{
	Writer	   *writer = batch->writer;
	int			n = list_length(batch->settled);
	Datum	   *ids = palloc(sizeof(Datum) * Max(n, 1));

	if (writer->open_dead_letters == 0 || n == 0)
		return;
	for (int i = 0; i < n; i++)
		ids[i] = CStringGetTextDatum(list_nth(batch->settled, i));
	writer->open_dead_letters -=
		dead_letter_close(writer->org, writer->entity,
						  PointerGetDatum(construct_array(ids, n, TEXTOID, -1, false, TYPALIGN_INT)));
}

void
writer_write(Writer *writer, const ParsedPage *page, int first, const char *parent,
			 WriteCounts *counts)
{
	Batch		batch = {.writer = writer, .page = page, .counts = counts};

	memset(counts, 0, sizeof(WriteCounts));
	session_become_table_owner();
	sort_out(&batch, first, parent);
	drop_settled(&batch);
	write_range(&batch, batch.pending, batch.n);
	session_become_extension_owner();

	count_live_rows(&batch);
	note_unknown_attributes(&batch);
	close_dead_letters(&batch);
}

void
writer_finish(Writer *writer)
{
	if (writer->open_dead_letters > 0)
		dead_letter_close_unmet(writer->org, writer->entity, writer->run_id, writer->job_id);
}
