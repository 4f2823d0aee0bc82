/*-------------------------------------------------------------------------
 *
 * manifest.c
 *		Reads the manifest's tables into structs, and resolves entity names.
 *
 * IDENTIFICATION
 *		src/manifest.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "manifest.h"
#include "session.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

/* A misspelt name differs in a letter or two; more would be guessing. */
#define MAX_NEAR_DISTANCE	3
#define MAX_NEAR_NAMES		5

char *
manifest_snake_case(const char *name)
{
	StringInfoData out;

	initStringInfo(&out);
	for (const char *c = name; *c != '\0'; c++)
	{
		if (*c >= 'A' && *c <= 'Z')
		{
			if (c > name)
				appendStringInfoChar(&out, '_');
			appendStringInfoChar(&out, *c - 'A' + 'a');
		}
		else
			appendStringInfoChar(&out, *c);
	}
	return out.data;
}

static ColumnType
column_type(const char *documented)
{
	static const struct
	{
		const char *documented;
		ColumnType	type;
	}			types[] = {
		{"string", COLUMN_TEXT},
		{"id", COLUMN_TEXT},
		{"date_time", COLUMN_TIMESTAMP},
		{"date", COLUMN_DATE},
		{"integer", COLUMN_BIGINT},
		{"float", COLUMN_NUMERIC},
		{"decimal", COLUMN_NUMERIC},
		{"boolean", COLUMN_BOOLEAN},
		{"json", COLUMN_JSONB},
		{"array", COLUMN_JSONB},
		{"unknown", COLUMN_JSONB},
	};

	for (int i = 0; i < lengthof(types); i++)
	{
		if (strcmp(types[i].documented, documented) == 0)
			return types[i].type;
	}
	return COLUMN_TEXT;
}

static EntityColumn *
add_column(Entity *entity, const char *name, const char *member, ColumnType type,
		   ColumnSource source)
{
	EntityColumn *column = &entity->columns[entity->n_columns++];

	column->name = name;
	column->member = member;
	column->shadowed = NULL;
	column->type = type;
	column->source = source;
	column->hashed = true;
	return column;
}

/*
 * load_relationships: a to-one gives <name>_id, and _type where it may point
 * to several entities; a to-many that records carry gives <name>_ids.
 */
static void
load_relationships(Entity *entity, MemoryContext context)
{
	static Statement select_relationships = {
		"SELECT relationship, many, polymorphic FROM sync_engine.manifest_relationship "
		"WHERE product = $1 AND entity = $2 ORDER BY position",
		2, {TEXTOID, TEXTOID}
	};
	Datum		args[2] = {CStringGetTextDatum(entity->product), CStringGetTextDatum(entity->name)};
	uint64		rows = statement_run(&select_relationships, args, NULL);
	SPITupleTable *result = SPI_tuptable;

	MemoryContextSwitchTo(context);
	for (uint64 row = 0; row < rows; row++)
	{
		char	   *name = SPI_getvalue(result->vals[row], result->tupdesc, 1);
		bool		many = strcmp(SPI_getvalue(result->vals[row], result->tupdesc, 2), "t") == 0;
		bool		polymorphic = strcmp(SPI_getvalue(result->vals[row], result->tupdesc, 3), "t") == 0;

		if (many)
			add_column(entity, psprintf("%s_ids", name), name, COLUMN_TEXT_ARRAY, SOURCE_LINK_IDS);
		else
		{
			add_column(entity, psprintf("%s_id", name), name, COLUMN_TEXT, SOURCE_LINK_ID);
			if (polymorphic)
				add_column(entity, psprintf("%s_type", name), name, COLUMN_TEXT, SOURCE_LINK_TYPE);
		}
	}
}

/*
 * load_parent: one column for the parameter of a nested path.
 */
static void
load_parent(Entity *entity)
{
	const char *open = entity->path ? strchr(entity->path, '{') : NULL;
	char	   *name;

	if (open == NULL)
		return;
	name = pnstrdup(open + 1, strcspn(open + 1, "}"));
	for (int i = 0; i < entity->n_columns; i++)
	{
		if (strcmp(entity->columns[i].name, name) == 0)
			return;				/* the record says it itself */
	}
	add_column(entity, name, name, COLUMN_TEXT, SOURCE_PARENT);
}

static void
load_attributes(Entity *entity, MemoryContext context)
{
	static Statement select_attributes = {
		"SELECT attribute, type, volatile FROM sync_engine.manifest_attribute "
		"WHERE product = $1 AND entity = $2 ORDER BY position",
		2, {TEXTOID, TEXTOID}
	};
	Datum		args[2] = {CStringGetTextDatum(entity->product), CStringGetTextDatum(entity->name)};
	uint64		rows = statement_run(&select_attributes, args, NULL);
	SPITupleTable *result = SPI_tuptable;
	int			n_links = entity->n_columns;

	MemoryContextSwitchTo(context);
	for (uint64 row = 0; row < rows; row++)
	{
		char	   *name = SPI_getvalue(result->vals[row], result->tupdesc, 1);
		EntityColumn *column = NULL;

		/* where a relationship has the name, it wins */
		for (int i = 0; i < n_links; i++)
		{
			if (strcmp(entity->columns[i].name, name) == 0)
				column = &entity->columns[i];
		}
		if (column != NULL)
		{
			column->shadowed = name;
			continue;
		}
		column = add_column(entity, name, name,
							column_type(SPI_getvalue(result->vals[row], result->tupdesc, 2)),
							SOURCE_ATTRIBUTE);
		column->hashed = strcmp(SPI_getvalue(result->vals[row], result->tupdesc, 3), "t") != 0;
		if (strcmp(name, "updated_at") == 0)
			entity->updated_at = entity->n_columns - 1;
	}
}

Entity *
manifest_load(const char *product, const char *name)
{
	static Statement select_entity = {
		"SELECT e.path, e.parent, e.strategy, p.base_path, p.api_version, "
		"  (SELECT k FROM unnest(ARRAY['updated_at', 'created_at']) WITH ORDINALITY AS u(k, n) "
		"   WHERE k = ANY (e.order_keys) AND k = ANY (e.where_keys) AND e.parent IS NULL "
		"   ORDER BY n LIMIT 1), "
		"  (SELECT count(*) FROM sync_engine.manifest_attribute a "
		"   WHERE a.product = e.product AND a.entity = e.entity) + "
		"  2 * (SELECT count(*) FROM sync_engine.manifest_relationship r "
		"   WHERE r.product = e.product AND r.entity = e.entity) + 1 "
		"FROM sync_engine.manifest_entity e JOIN sync_engine.manifest_product p USING (product) "
		"WHERE e.product = $1 AND e.entity = $2",
		2, {TEXTOID, TEXTOID}
	};
	MemoryContext context = CurrentMemoryContext;
	MemoryContext scratch = AllocSetContextCreate(context, "manifest scratch", ALLOCSET_SMALL_SIZES);
	Datum		args[2] = {CStringGetTextDatum(product), CStringGetTextDatum(name)};
	Entity	   *entity;
	char	   *snake;

	MemoryContextSwitchTo(scratch);
	if (statement_run(&select_entity, args, NULL) == 0)
	{
		MemoryContextSwitchTo(context);
		MemoryContextDelete(scratch);
		return NULL;
	}

	MemoryContextSwitchTo(context);
	entity = palloc0(sizeof(Entity));
	entity->product = pstrdup(product);
	entity->name = pstrdup(name);
	entity->path = result_text(0, 1);
	entity->parent = result_text(0, 2);
	entity->strategy = result_text(0, 3);
	entity->base_path = result_text(0, 4);
	entity->api_version = result_text(0, 5);
	entity->keyset_key = result_text(0, 6);
	entity->columns = palloc(sizeof(EntityColumn) * result_int64(0, 7, 0));
	entity->updated_at = -1;

	snake = manifest_snake_case(name);
	entity->schema_name = psprintf("pco_%s", product);
	entity->table_name = snake;
	entity->view_name = strcmp(product, "people") == 0 ? snake : psprintf("%s_%s", product, snake);

	load_relationships(entity, context);
	load_parent(entity);
	load_attributes(entity, context);
	MemoryContextDelete(scratch);
	return entity;
}

Entity *
manifest_load_product(const char *product)
{
	static Statement select_product = {
		"SELECT base_path, api_version FROM sync_engine.manifest_product WHERE product = $1",
		1, {TEXTOID}
	};
	Datum		args[1] = {CStringGetTextDatum(product)};
	Entity	   *entity;

	if (statement_run(&select_product, args, NULL) == 0)
		return NULL;
	entity = palloc0(sizeof(Entity));
	entity->product = pstrdup(product);
	entity->path = result_text(0, 1);
	entity->api_version = result_text(0, 2);
	return entity;
}

/*
 * report_unknown: raises the error for a name that no product has, with the
 * names that are nearest to it.
 */
static void
report_unknown(const char *name)
{
	static Statement select_names = {
		"SELECT lower(entity), CASE WHEN product = 'people' THEN entity ELSE product || '.' || entity END "
		"FROM sync_engine.manifest_entity "
		"ORDER BY product = split_part($1, '.', 1) DESC, product = 'people' DESC, product, entity",
		1, {TEXTOID}
	};
	Datum		args[1] = {CStringGetTextDatum(name)};
	uint64		rows = statement_run(&select_names, args, NULL);
	const char *dot = strrchr(name, '.');
	char	   *wanted = asc_tolower(dot ? dot + 1 : name, strlen(dot ? dot + 1 : name));
	int			farthest = Min((int) strlen(wanted) / 3, MAX_NEAR_DISTANCE);
	int			n = 0;
	StringInfoData near_names;
	const bool	trusted = true;

	initStringInfo(&near_names);
	for (int distance = 0; distance <= farthest; distance++)
	{
		for (uint64 row = 0; row < rows && n < MAX_NEAR_NAMES; row++)
		{
			char	   *entity = result_text(row, 1);

			if (varstr_levenshtein_less_equal(wanted, strlen(wanted), entity, strlen(entity),
											  1, 1, 1, distance, trusted) == distance)
				appendStringInfo(&near_names, "%s%s", n++ > 0 ? ", " : "", result_text(row, 2));
		}
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("entity \"%s\" does not exist", name),
			 n > 0 ? errhint("Perhaps you meant %s.", near_names.data) :
			 errhint("See sync_engine.manifest_entity for the names.")));
}

/*
 * resolve_name: one name to 'product.Entity'.
 */
static char *
resolve_name(const char *name)
{
	static Statement select_candidates = {
		"SELECT product || '.' || entity, ready FROM sync_engine.manifest_entity "
		"WHERE CASE WHEN $1 LIKE '%.%' "
		"  THEN product = replace(split_part($1, '.', 1), '-', '_') AND entity = split_part($1, '.', 2) "
		"  ELSE entity = $1 END "
		"ORDER BY product = 'people' DESC, product",
		1, {TEXTOID}
	};
	Datum		args[1] = {CStringGetTextDatum(name)};
	uint64		rows = statement_run(&select_candidates, args, NULL);
	char	   *resolved;

	if (rows == 0)
		report_unknown(name);
	resolved = result_text(0, 1);
	if (rows > 1 && strncmp(resolved, "people.", 7) != 0)
	{
		StringInfoData candidates;

		initStringInfo(&candidates);
		for (uint64 row = 0; row < rows; row++)
			appendStringInfo(&candidates, "%s'%s'", row > 0 ? ", " : "", result_text(row, 1));
		ereport(ERROR,
				(errcode(ERRCODE_AMBIGUOUS_PARAMETER),
				 errmsg("entity \"%s\" is ambiguous", name),
				 errdetail("Several products have it: %s.", candidates.data),
				 errhint("Write the product before the name, as in '%s'.", resolved)));
	}
	if (!result_bool(0, 2))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("entity \"%s\" cannot be synced yet", resolved),
				 errhint("Entities that can are \"ready\" in sync_engine.manifest_entity.")));
	return resolved;
}

List *
manifest_resolve(List *names)
{
	static Statement select_ready = {
		"SELECT product || '.' || entity FROM sync_engine.manifest_entity WHERE ready ORDER BY 1",
		0, {0}
	};
	List	   *resolved = NIL;
	ListCell   *cell;
	bool		all = names == NIL;

	foreach(cell, names)
		all = all || strcmp(lfirst(cell), "*") == 0;

	if (all)
	{
		uint64		rows = statement_run(&select_ready, NULL, NULL);

		for (uint64 row = 0; row < rows; row++)
			resolved = lappend(resolved, makeString(result_text(row, 1)));
		return resolved;
	}

	foreach(cell, names)
	{
		String	   *name = makeString(resolve_name(lfirst(cell)));

		if (!list_member(resolved, name))
			resolved = lappend(resolved, name);
	}
	return resolved;
}
