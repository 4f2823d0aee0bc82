/*-------------------------------------------------------------------------
 *
 * writer.c
 *		Writes the records of a page into its data table.
 *
 * First the stored hashes of the page's ids are looked up (writer_stored.c).  A record whose
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
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "merge.h"
#include "session.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/resowner.h"
#include "writer.h"
#include "writer_batch.h"
#include "writer_plan.h"

/*
 * The longest id that is stored.  PCO's have some ten digits; an index entry,
 * ours or the dead letters', holds no more than a third of a page.
 */
#define MAX_ID_BYTES	255

/*
 * So many records of one job come under a second parent: that is no move of a
 * few from one parent to another, as a merge of two people makes.
 */
#define SHARED_AFTER	20

/* Of an unknown attribute's name, for the same reason. */
#define MAX_NOTED_BYTES	200

/* Unknown attributes of one page that are noted; the values are all kept. */
#define MAX_NOTED		100

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
	writer->stored = NULL;
	writer->come_again = 0;
	writer->noted_shared = entity->shared;
	writer->by_id = false;
	writer->insert = NULL;
	writer->upsert = NULL;
	writer->open_dead_letters = dead_letter_count_open(org, entity);
	writer_count_rows_once(org, entity);
	return writer;
}

void
writer_destroy(Writer *writer)
{
	shared_plan_release(writer->lookup);
	shared_plan_release(writer->stored);
	shared_plan_release(writer->insert);
	shared_plan_release(writer->upsert);
}

static int
compare_pending(const void *a, const void *b)
{
	return strcmp((*(Pending *const *) a)->record.source->id,
				  (*(Pending *const *) b)->record.source->id);
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
	if (pending->stored != NULL)
		writer_lay_over_stored(batch, pending, values, nulls);
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
	SharedPlan **plan = batch->all_new ? &writer->insert : &writer->upsert;
	Datum	   *rows = palloc(sizeof(Datum) * n);
	Datum		args[3];
	const bool	read_only = false;
	char	   *problem = NULL;
	int			n_rows = 0;

	for (int i = 0; i < n; i++)
	{
		if (!convert(batch, pending[i], &problem))
			return problem;
		if (!pending[i]->same)
			rows[n_rows++] = pending[i]->row;
	}
	if (n_rows == 0)
		return NULL;
	if (*plan == NULL)
		*plan = writer_plan_write(writer->entity, writer->row, batch->all_new);

	args[0] = CStringGetTextDatum(writer->org);
	args[1] = Int64GetDatum(writer->run_id);
	args[2] = PointerGetDatum(construct_array(rows, n_rows, RECORDOID, -1, false, TYPALIGN_DOUBLE));
	if (SPI_execute_plan((*plan)->plan, args, NULL, read_only, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write records");
	if (SPI_processed < n_rows)
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
			if (pending[i]->same)
				batch->counts->unchanged++;
			else if (pending[i]->exists)
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

void
writer_trust(Writer *writer, bool by_id)
{
	writer->by_id = by_id;
}

bool
writer_takes_type(const Writer *writer, const char *type)
{
	ListCell   *cell;

	if (type == NULL)
		return false;
	foreach(cell, writer->entity->aliases)
	{
		if (strcmp(type, lfirst(cell)) == 0)
			return true;
	}
	return strcmp(type, writer->entity->name) == 0;
}

/*
 * defect_of: why a record cannot be stored, or NULL.
 */
static const char *
defect_of(const Batch *batch, const PageRecord *source)
{
	if (source->defect != NULL)
		return source->defect;
	if (!writer_takes_type(batch->writer, source->type))
		return psprintf("type is %s, not %s", source->type ? source->type : "missing",
						batch->writer->entity->name);
	if (strlen(source->id) > MAX_ID_BYTES)
		return psprintf("id is longer than %d bytes", MAX_ID_BYTES);
	return NULL;
}

/*
 * sort_out: defects become dead letters; what is left is mapped, in key order.
 */
static void
sort_out(Batch *batch, const WriteItem *items, int n)
{
	batch->pending = palloc(sizeof(Pending *) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		const PageRecord *source = items[i].record;
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
		record_map(batch->writer->mapper, source, items[i].params, &pending->record);
		batch->pending[batch->n++] = pending;
	}
	qsort(batch->pending, batch->n, sizeof(Pending *), compare_pending);
}

/*
 * note_unknown_attributes: each (org, attribute) once, and once more when a
 * value other than null shows its type.
 */
static void
note_unknown_attributes(Batch *batch)
{
	static Statement insert_change = {
		"INSERT INTO sync_engine.schema_change (org, product, entity, attribute, json_type, run_id) "
		"SELECT $1, $2, $3, $4, $5, $6 WHERE NOT EXISTS (SELECT FROM sync_engine.schema_change "
		"  WHERE (org, product, entity, attribute) = ($1, $2, $3, $4) AND (json_type <> 'null' OR $5 = 'null')) "
		"ON CONFLICT (product, entity, attribute, org) DO UPDATE SET json_type = EXCLUDED.json_type",
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
			char	   *name = pnstrdup(field->name, pg_mbcliplen(field->name, field->name_len,
															 MAX_NOTED_BYTES));
			bool		typed = field->value.kind != JSON_KIND_NULL;
			String	   *note = makeString(psprintf("%s %s", typed ? "typed" : "null", name));
			Datum		args[6];

			if (list_member(noted, note) || list_length(noted) == MAX_NOTED)
				continue;
			noted = lappend(noted, note);
			args[0] = CStringGetTextDatum(writer->org);
			args[1] = CStringGetTextDatum(writer->entity->product);
			args[2] = CStringGetTextDatum(writer->entity->name);
			args[3] = CStringGetTextDatum(name);
			args[4] = CStringGetTextDatum(record_json_type(&field->value));
			args[5] = Int64GetDatum(writer->run_id);
			(void) statement_run(&insert_change, args, NULL);
		}
	}
}

/*
 * note_shared: several parents bring the same records, which nobody knew.  From
 * the next job on the first parent is kept, or the row would change for each.
 */
static void
note_shared(Writer *writer)
{
	static Statement upsert_entity = {
		"INSERT INTO sync_engine.manifest_entity (product, entity, source, shared) "
		"VALUES ($1, $2, 'discovered', true) "
		"ON CONFLICT (product, entity, source) DO UPDATE SET shared = true",
		2, {TEXTOID, TEXTOID}
	};
	Datum		args[2] = {CStringGetTextDatum(writer->entity->product),
	CStringGetTextDatum(writer->entity->name)};

	writer->noted_shared = true;
	(void) statement_run(&upsert_entity, args, NULL);
	ereport(LOG,
			(errmsg("sync_engine: several parents bring the same %s of %s: the first one is kept from the next run on",
					writer->entity->name, writer->entity->product)));
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
writer_write(Writer *writer, const ParsedPage *page, const WriteItem *items, int n, bool thin,
			 WriteCounts *counts)
{
	Batch		batch = {.writer = writer, .page = page, .counts = counts, .thin = thin};

	memset(counts, 0, sizeof(WriteCounts));
	session_become_table_owner();
	sort_out(&batch, items, n);
	merge_before_write(&batch);
	writer_drop_settled(&batch);
	write_range(&batch, batch.pending, batch.n);
	session_become_extension_owner();
	merge_after_write(&batch);

	if (writer->come_again >= SHARED_AFTER && !writer->noted_shared)
		note_shared(writer);
	count_live_rows(&batch);
	writer_strike(writer, items, n);
	note_unknown_attributes(&batch);
	close_dead_letters(&batch);
}

void
writer_finish(Writer *writer)
{
	if (writer->open_dead_letters > 0)
		dead_letter_close_unmet(writer->org, writer->entity, writer->run_id, writer->job_id);
}
