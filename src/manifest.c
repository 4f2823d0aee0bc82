/*-------------------------------------------------------------------------
 *
 * manifest.c
 *		Reads what the manifest says of an entity into structs.
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
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

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
	column->privacy = PRIVACY_KEEP;
	column->param = -1;
	column->hashed = true;
	return column;
}

/*
 * load_relationships: a to-one gives <name>_id, and _type where it may point
 * to several entities; a to-many that records carry gives <name>_ids.  One that
 * says something only when children come along is not stored: it would be there
 * in one run and not in the next, and the children say whose they are.
 */
static void
load_relationships(Entity *entity, MemoryContext context)
{
	static Statement select_relationships = {
		"SELECT relationship, many, polymorphic, EXISTS (SELECT 1 FROM sync_engine.include i "
		"  WHERE i.complete AND (i.product, i.parent, i.include) = (r.product, r.entity, r.relationship)) "
		"FROM sync_engine.relationship r WHERE product = $1 AND entity = $2 ORDER BY position",
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
		bool		brings = strcmp(SPI_getvalue(result->vals[row], result->tupdesc, 4), "t") == 0;
		int			first = entity->n_columns;

		if (many)
			add_column(entity, psprintf("%s_ids", name), name, COLUMN_TEXT_ARRAY, SOURCE_LINK_IDS);
		else
		{
			add_column(entity, psprintf("%s_id", name), name, COLUMN_TEXT, SOURCE_LINK_ID);
			if (polymorphic)
				add_column(entity, psprintf("%s_type", name), name, COLUMN_TEXT, SOURCE_LINK_TYPE);
		}
		for (int i = first; brings && i < entity->n_columns; i++)
		{
			entity->columns[i].privacy = PRIVACY_DROP;
			entity->columns[i].hashed = false;
		}
	}
}

/*
 * load_params: one column for each parameter of a nested path.  Where a
 * relationship gives a column of that name, the record's own word counts, and
 * the path's where it says nothing.
 */
static void
load_params(Entity *entity)
{
	for (int param = 0; param < entity->n_params; param++)
	{
		const char *name = entity->params[param];
		EntityColumn *column = NULL;

		for (int i = 0; i < entity->n_columns; i++)
		{
			if (strcmp(entity->columns[i].name, name) == 0)
				column = &entity->columns[i];
		}
		if (column == NULL)
		{
			column = add_column(entity, name, name, COLUMN_TEXT, SOURCE_PARENT);
			/* it would change with each parent that brings the record */
			column->hashed = !entity->shared;
		}
		column->param = param;
	}
}

static EntityDelta
delta_of(const char *word)
{
	static const char *const words[] = {
		[DELTA_KEYSET] = "keyset",
		[DELTA_FILTERED] = "window",
		[DELTA_NEWEST] = "descending",
		[DELTA_PARENTS] = "parents",
	};

	for (int i = DELTA_KEYSET; word != NULL && i <= DELTA_PARENTS; i++)
	{
		if (strcmp(words[i], word) == 0)
			return i;
	}
	return DELTA_NONE;
}

static ColumnPrivacy
column_privacy(const char *word)
{
	if (word != NULL && strcmp(word, "drop") == 0)
		return PRIVACY_DROP;
	if (word != NULL && strcmp(word, "hash") == 0)
		return PRIVACY_HASH;
	return PRIVACY_KEEP;
}

static void
load_attributes(Entity *entity, MemoryContext context)
{
	static Statement select_attributes = {
		"SELECT attribute, type, volatile, privacy FROM sync_engine.attribute "
		"WHERE product = $1 AND entity = $2 ORDER BY position, attribute",
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
		column->privacy = column_privacy(SPI_getvalue(result->vals[row], result->tupdesc, 4));
		column->hashed = column->privacy != PRIVACY_DROP &&
			strcmp(SPI_getvalue(result->vals[row], result->tupdesc, 3), "t") != 0;
		if (strcmp(name, "updated_at") == 0)
			entity->updated_at = entity->n_columns - 1;
	}
}

/*
 * path_params: the names in braces.
 */
static void
path_params(Entity *entity)
{
	const char *open = entity->path;

	entity->params = palloc0(sizeof(char *) * Max(strlen(entity->path), 1));
	while ((open = strchr(open, '{')) != NULL)
	{
		size_t		len = strcspn(++open, "}");

		if (open[len] == '\0')
			elog(ERROR, "path \"%s\" of entity \"%s\" has a brace that does not close",
				 entity->path, entity->name);
		entity->params[entity->n_params++] = pnstrdup(open, len);
		open += len;
	}
}

static char **
text_array(uint64 row, int column, int *n)
{
	bool		isnull;
	Datum		array = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);
	Datum	   *values;
	char	  **texts;

	*n = 0;
	if (isnull)
		return NULL;
	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &values, NULL, n);
	texts = palloc(sizeof(char *) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
		texts[i] = TextDatumGetCString(values[i]);
	return texts;
}

Entity *
manifest_load(const char *product, const char *name)
{
	static Statement select_entity = {
		"SELECT e.path, e.parent, e.strategy, p.base_path, p.api_version, e.keyset_key, "
		"  (SELECT count(*) FROM sync_engine.attribute a "
		"   WHERE a.product = e.product AND a.entity = e.entity) + "
		"  2 * (SELECT count(*) FROM sync_engine.relationship r "
		"   WHERE r.product = e.product AND r.entity = e.entity), "
		"  e.single, e.shared, e.parent_columns, e.aliases, e.delta, e.delta_key "
		"FROM sync_engine.entity e JOIN sync_engine.product p USING (product) "
		"WHERE e.product = $1 AND e.entity = $2 AND e.ready",
		2, {TEXTOID, TEXTOID}
	};
	MemoryContext context = CurrentMemoryContext;
	MemoryContext scratch = AllocSetContextCreate(context, "manifest scratch", ALLOCSET_SMALL_SIZES);
	Datum		args[2] = {CStringGetTextDatum(product), CStringGetTextDatum(name)};
	Entity	   *entity;
	char	   *snake;
	char	  **aliases;
	int			n_columns;
	int			n;

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
	n_columns = (int) result_int64(0, 7, 0);
	entity->single = result_bool(0, 8);
	entity->shared = result_bool(0, 9);
	entity->parent_columns = text_array(0, 10, &n);
	path_params(entity);
	if (n != entity->n_params)
		elog(ERROR, "entity \"%s.%s\" has %d parent columns for %d parameters of its path",
			 product, name, n, entity->n_params);
	aliases = text_array(0, 11, &n);
	for (int i = 0; i < n; i++)
		entity->aliases = lappend(entity->aliases, aliases[i]);
	entity->delta = delta_of(result_text(0, 12));
	entity->delta_key = result_text(0, 13);
	entity->columns = palloc(sizeof(EntityColumn) * (n_columns + entity->n_params));
	entity->updated_at = -1;

	snake = manifest_snake_case(name);
	entity->schema_name = psprintf("pco_%s", product);
	entity->table_name = snake;
	entity->view_name = strcmp(product, "people") == 0 ? snake : psprintf("%s_%s", product, snake);

	load_relationships(entity, context);
	load_params(entity);
	load_attributes(entity, context);
	MemoryContextDelete(scratch);
	return entity;
}

Entity *
manifest_load_named(const char *name)
{
	const char *dot = strchr(name, '.');
	Entity	   *entity = manifest_load(pnstrdup(name, dot - name), dot + 1);

	if (entity == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("entity \"%s\" is not in the manifest any more", name)));
	return entity;
}

Entity *
manifest_load_product(const char *product)
{
	static Statement select_product = {
		"SELECT base_path, api_version FROM sync_engine.product WHERE product = $1",
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
