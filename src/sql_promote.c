/*-------------------------------------------------------------------------
 *
 * sql_promote.c
 *		The SQL-callable function that makes a column of an unknown attribute.
 *
 * The API sends it, the manifest does not know it, and its values lie in
 * _extra.  Promoted, it is a row of the user's in the manifest, a column of the
 * table and the view, and the values move there, by the rules by which a sync
 * converts them.  All of it happens in the caller's transaction.
 *
 * IDENTIFICATION
 *		src/sql_promote.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "attribute.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "entity_name.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "session.h"
#include "sql_args.h"
#include "tables.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "writer_plan.h"

PG_FUNCTION_INFO_V1(sync_promote);

/* Rows moved at once: enough that a statement's costs do not count. */
#define ROWS_PER_MOVE	1000

/* As they stand in the API's documentation. */
static const char *const attribute_types[] = {
	"string", "id", "date_time", "date", "integer", "float", "decimal", "boolean", "json", "array"
};

/*
 * find_column: of the attribute, or of its name; NULL if there is none.
 */
static const EntityColumn *
find_column(const Entity *entity, const char *attribute)
{
	for (int i = 0; i < entity->n_columns; i++)
	{
		if (strcmp(entity->columns[i].name, attribute) == 0)
			return &entity->columns[i];
	}
	return NULL;
}

/*
 * check_name: raises an error for what cannot be a column.
 */
static void
check_name(const Entity *entity, const char *attribute)
{
	if (strlen(attribute) >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("attribute name is too long for a column"),
				 errdetail("It has %d bytes, and %d are the most.", (int) strlen(attribute), NAMEDATALEN - 1),
				 errhint("Read its values from _extra.")));
	if (attribute[0] == '_' || strcmp(attribute, "id") == 0 || strcmp(attribute, "org") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_RESERVED_NAME),
				 errmsg("attribute \"%s\" cannot be a column", attribute),
				 errdetail("id, org and names that begin with an underscore are the engine's own."),
				 errhint("Read its values from _extra.")));
	if (find_column(entity, attribute) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_COLUMN),
				 errmsg("entity \"%s.%s\" has a column \"%s\" already", entity->product, entity->name,
						attribute),
				 errhint("See sync_schema_changes for the attributes that are none yet.")));
}

/*
 * derive_type: by what the API has sent.  Where that was not always the same,
 * text takes all that is single, and json the rest.
 */
static const char *
derive_type(const Entity *entity, const char *attribute)
{
	static Statement select_type = {
		"SELECT count(*) > 0, coalesce(CASE "
		"    WHEN bool_or(json_type IN ('object', 'array')) THEN 'json' "
		"    WHEN count(DISTINCT json_type) > 1 THEN 'string' "
		"    ELSE min(CASE json_type WHEN 'number' THEN 'float' ELSE json_type END) END, '') "
		"FROM (SELECT nullif(json_type, 'null') AS json_type FROM sync_engine.schema_change "
		"  WHERE (product, entity, attribute) = ($1, $2, $3)) s",
		3, {TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		args[3] = {CStringGetTextDatum(entity->product), CStringGetTextDatum(entity->name),
	CStringGetTextDatum(attribute)};
	char	   *type;

	(void) statement_run(&select_type, args, NULL);
	type = result_text(0, 2);
	if (type[0] != '\0')
		return type;
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 result_bool(0, 1) ?
			 errmsg("attribute \"%s\" of entity \"%s.%s\" has been null so far", attribute,
					entity->product, entity->name) :
			 errmsg("the API has not sent an attribute \"%s\" of entity \"%s.%s\"", attribute,
					entity->product, entity->name),
			 errhint("See sync_schema_changes for what it has sent, or name the type.")));
}

/*
 * add_to_manifest: as a row of the user's.
 */
static void
add_to_manifest(const Entity *entity, const char *attribute, const char *type)
{
	static Statement insert = {
		"INSERT INTO sync_engine.manifest_attribute (product, entity, attribute, type) "
		"VALUES ($1, $2, $3, $4)",
		4, {TEXTOID, TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		args[4] = {CStringGetTextDatum(entity->product), CStringGetTextDatum(entity->name),
	CStringGetTextDatum(attribute), CStringGetTextDatum(type)};

	(void) statement_run(&insert, args, NULL);
}

/*
 * mark_promoted: in sync_schema_changes, for every org.
 */
static void
mark_promoted(const Entity *entity, const char *attribute)
{
	static Statement mark = {
		"UPDATE sync_engine.schema_change SET promoted_at = now() "
		"WHERE (product, entity, attribute) = ($1, $2, $3)",
		3, {TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		args[3] = {CStringGetTextDatum(entity->product), CStringGetTextDatum(entity->name),
	CStringGetTextDatum(attribute)};

	(void) statement_run(&mark, args, NULL);
}

/*
 * slice_of: a stored value as it would stand in a page.
 */
static JsonSlice
slice_of(Jsonb *jsonb)
{
	JsonSlice	slice = {0};
	JsonbValue	scalar;

	slice.raw = JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));
	slice.raw_len = strlen(slice.raw);
	if (!JsonbExtractScalar(&jsonb->root, &scalar))
	{
		slice.kind = JB_ROOT_IS_OBJECT(jsonb) ? JSON_KIND_OBJECT : JSON_KIND_ARRAY;
		return slice;
	}
	switch (scalar.type)
	{
		case jbvString:
			slice.kind = JSON_KIND_STRING;
			slice.text = pnstrdup(scalar.val.string.val, scalar.val.string.len);
			break;
		case jbvNumeric:
			slice.kind = JSON_KIND_NUMBER;
			slice.text = slice.raw;
			break;
		case jbvBool:
			slice.kind = scalar.val.boolean ? JSON_KIND_TRUE : JSON_KIND_FALSE;
			break;
		default:
			slice.kind = JSON_KIND_NULL;
			break;
	}
	slice.text_len = slice.text != NULL ? strlen(slice.text) : 0;
	return slice;
}

/*
 * convert: false if the value does not fit the column.
 */
static bool
convert(const EntityColumn *column, Datum stored, Datum *value, bool *isnull)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	JsonSlice	slice = slice_of(DatumGetJsonbP(stored));
	char	   *problem;
	volatile bool fits = false;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		fits = attribute_convert(column, &slice, value, isnull, &problem);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_TO_CATEGORY(ERRCODE_DATA_EXCEPTION))
			PG_RE_THROW();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return fits;
}

/*
 * move_rows: converts the values of some rows, and writes those that fit.
 * Counts what is in the column then, and what does not fit.
 */
static void
move_rows(const EntityColumn *column, const char *update, SPITupleTable *rows,
		  int64 *filled, int64 *misfits)
{
	int			n = (int) rows->numvals;
	Oid			type = writer_column_type(column->type);
	Oid			types[4] = {TEXTARRAYOID, TEXTARRAYOID, get_array_type(type), TEXTOID};
	Datum	   *orgs = palloc(sizeof(Datum) * n);
	Datum	   *ids = palloc(sizeof(Datum) * n);
	Datum	   *values = palloc(sizeof(Datum) * n);
	bool	   *nulls = palloc(sizeof(bool) * n);
	Datum		args[4];
	int			kept = 0;
	int			lower = 1;
	int16		len;
	bool		by_value;
	char		align;
	bool		isnull;
	const bool	read_only = false;

	for (int row = 0; row < n; row++)
	{
		Datum		stored = SPI_getbinval(rows->vals[row], rows->tupdesc, 3, &isnull);

		if (!convert(column, stored, &values[kept], &nulls[kept]))
		{
			(*misfits)++;
			continue;
		}
		if (!nulls[kept])
			(*filled)++;
		orgs[kept] = SPI_getbinval(rows->vals[row], rows->tupdesc, 1, &isnull);
		ids[kept++] = SPI_getbinval(rows->vals[row], rows->tupdesc, 2, &isnull);
	}
	get_typlenbyvalalign(type, &len, &by_value, &align);
	args[0] = PointerGetDatum(construct_array(orgs, kept, TEXTOID, -1, false, TYPALIGN_INT));
	args[1] = PointerGetDatum(construct_array(ids, kept, TEXTOID, -1, false, TYPALIGN_INT));
	args[2] = PointerGetDatum(construct_md_array(values, nulls, 1, &kept, &lower, type, len, by_value, align));
	args[3] = CStringGetTextDatum(column->name);
	if (SPI_execute_with_args(update, lengthof(types), types, args, NULL, read_only, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not fill column \"%s\"", column->name);
}

/*
 * insist_on_index: until the scope ends.  A batch is looked up by the primary
 * key; the planner, who cannot count its rows, might read all of the table for
 * each.
 */
static void
insist_on_index(void)
{
	static const char *const joins[] = {"enable_hashjoin", "enable_mergejoin"};

	for (int i = 0; i < lengthof(joins); i++)
		(void) set_config_option(joins[i], "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
								 true, 0, false);
}

/*
 * fill: moves the attribute's values from _extra to its column; how many.
 */
static int64
fill(const Entity *entity, const EntityColumn *column, int64 *misfits)
{
	const char *table = quote_qualified_identifier(entity->schema_name, entity->table_name);
	const char *name = quote_identifier(column->name);
	char	   *update = psprintf("UPDATE %s AS t SET %s = u.value, _extra = nullif(t._extra - $4, '{}') "
								  "FROM unnest($1, $2, $3) AS u(org, id, value) "
								  "WHERE t.org = u.org AND t.id = u.id", table, name);
	char	   *select = psprintf("SELECT org, id, _extra -> $1 FROM %s WHERE _extra ? $1", table);
	Oid			types[1] = {TEXTOID};
	Datum		args[1] = {CStringGetTextDatum(column->name)};
	MemoryContext batch = AllocSetContextCreate(CurrentMemoryContext, "promotion", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller;
	Portal		portal;
	SPITupleTable *rows;
	int64		filled = 0;
	const bool	read_only = false;
	const bool	forward = true;

	/* a column that somebody made by hand was no reason to lock the table */
	session_become_table_owner();
	if (SPI_execute(psprintf("LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE", table), read_only, 0) < 0)
		elog(ERROR, "could not lock table %s", table);
	insist_on_index();
	portal = SPI_cursor_open_with_args(NULL, select, lengthof(types), types, args, NULL, read_only, 0);
	caller = MemoryContextSwitchTo(batch);
	for (;;)
	{
		SPI_cursor_fetch(portal, forward, ROWS_PER_MOVE);
		if (SPI_processed == 0)
			break;
		CHECK_FOR_INTERRUPTS();
		rows = SPI_tuptable;
		MemoryContextSwitchTo(batch);
		move_rows(column, update, rows, &filled, misfits);
		SPI_freetuptable(rows);
		MemoryContextReset(batch);
	}
	MemoryContextSwitchTo(caller);
	SPI_cursor_close(portal);
	session_become_extension_owner();
	MemoryContextDelete(batch);
	return filled;
}

/*
 * sync_promote(entity, attribute, type): the number of rows that have a value
 * in the column.
 */
Datum
sync_promote(PG_FUNCTION_ARGS)
{
	OwnerScope	scope;
	const char *name;
	const char *attribute;
	const char *type = NULL;
	List	   *names;
	Entity	   *entity;
	int64		filled;
	int64		misfits = 0;

	sql_require_primary("sync_promote");
	name = sql_text_argument(fcinfo, 0, "entity");
	attribute = sql_text_argument(fcinfo, 1, "attribute");
	if (!PG_ARGISNULL(2))
		type = sql_one_of(fcinfo, 2, "type", attribute_types, lengthof(attribute_types));
	SPI_connect();
	owner_scope_enter(&scope);
	tables_limit_waits();

	names = entity_names_resolve(list_make1(entity_name_resolve(name)));
	name = strVal(linitial(names));
	entity = manifest_load_named(name);
	check_name(entity, attribute);
	if (type == NULL)
		type = derive_type(entity, attribute);
	add_to_manifest(entity, attribute, type);
	entity_names_validate(names);

	entity = manifest_load_named(name);
	(void) tables_ensure(entity);
	filled = fill(entity, find_column(entity, attribute), &misfits);
	mark_promoted(entity, attribute);
	owner_scope_leave(&scope);
	SPI_finish();
	if (misfits > 0)
		ereport(WARNING,
				(errmsg_plural("%lld value of attribute \"%s\" is no %s and stays in _extra",
							   "%lld values of attribute \"%s\" are no %s and stay in _extra",
							   (unsigned long) misfits, (long long) misfits, attribute, type),
				 errdetail("The next full run makes dead letters of these records.")));
	PG_RETURN_INT64(filled);
}
