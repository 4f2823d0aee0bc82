/*-------------------------------------------------------------------------
 *
 * record.c
 *		One record of a page as column values.
 *
 * The hash covers the raw text of each value, before any conversion, so that
 * an unchanged record costs no more than that.
 *
 * IDENTIFICATION
 *		src/record.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "iso8601.h"
#include "json_hash.h"
#include "lib/stringinfo.h"
#include "record.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#define DAYS_1970_TO_2000	(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)

/* Column numbers in a mapper's memory of where members were. */
#define MEMBER_UNKNOWN		(-1)

typedef struct Member
{
	const char *name;
	int			column;
	int			second_column;	/* of a polymorphic relationship: its type */
} Member;

/*
 * Records of one list have their members in one order, so the column of the
 * n-th member is looked for where it was in the record before.
 */
typedef struct MemberMap
{
	int			n;
	Member	   *members;
	int			n_hints;
	int		   *hints;			/* index into members, by position */
} MemberMap;

struct RecordMapper
{
	const Entity *entity;
	uint64		shape;
	MemberMap	attributes;
	MemberMap	links;
};

static void
add_member(MemberMap *map, const char *name, int column)
{
	for (int i = 0; i < map->n; i++)
	{
		if (strcmp(map->members[i].name, name) == 0)
		{
			map->members[i].second_column = column;
			return;
		}
	}
	map->members[map->n].name = name;
	map->members[map->n].column = column;
	map->members[map->n].second_column = MEMBER_UNKNOWN;
	map->n++;
}

static const Member *
find_member(MemberMap *map, const char *name, int position)
{
	if (position < map->n_hints)
	{
		int			hint = map->hints[position];

		if (hint != MEMBER_UNKNOWN && strcmp(map->members[hint].name, name) == 0)
			return &map->members[hint];
	}
	for (int i = 0; i < map->n; i++)
	{
		if (strcmp(map->members[i].name, name) == 0)
		{
			if (position < map->n_hints)
				map->hints[position] = i;
			return &map->members[i];
		}
	}
	return NULL;
}

static void
init_map(MemberMap *map, int n_columns)
{
	map->n = 0;
	map->members = palloc(sizeof(Member) * Max(n_columns, 1));
	map->n_hints = n_columns;
	map->hints = palloc(sizeof(int) * Max(n_columns, 1));
	for (int i = 0; i < n_columns; i++)
		map->hints[i] = MEMBER_UNKNOWN;
}

RecordMapper *
record_mapper_create(const Entity *entity, uint64 shape)
{
	RecordMapper *mapper = palloc(sizeof(RecordMapper));

	mapper->entity = entity;
	mapper->shape = shape;
	init_map(&mapper->attributes, entity->n_columns);
	init_map(&mapper->links, entity->n_columns);
	for (int i = 0; i < entity->n_columns; i++)
	{
		const EntityColumn *column = &entity->columns[i];

		if (column->source == SOURCE_ATTRIBUTE)
			add_member(&mapper->attributes, column->member, i);
		else if (column->source != SOURCE_PARENT)
			add_member(&mapper->links, column->member, i);
		if (column->shadowed != NULL)
			add_member(&mapper->attributes, column->shadowed, i);
	}
	return mapper;
}

static uint64
hash_text(const char *text, int len, uint64 seed)
{
	return hash_bytes_extended((const unsigned char *) text, len, seed);
}

/*
 * hash_values: over the columns in their order; what is missing or null is
 * stored as NULL and adds nothing.  Unknown attributes, and the ids of a
 * to-many relationship, are summed: their order does not matter.
 */
static uint64
hash_values(const RecordMapper *mapper, const Record *record)
{
	const Entity *entity = mapper->entity;
	uint64		hash = mapper->shape;
	uint64		extra = 0;

	for (int i = 0; i < entity->n_columns; i++)
	{
		const PageLink *link = record->links[i];
		const PageField *field = record->fields[i];

		if (!entity->columns[i].hashed)
			continue;
		if (link != NULL && link->has_data)
		{
			const char **texts = entity->columns[i].source == SOURCE_LINK_TYPE ? link->types : link->ids;
			uint64		sum = 0;

			for (int k = 0; k < link->count; k++)
			{
				if (texts[k] != NULL)
					sum += hash_text(texts[k], strlen(texts[k]), i);
			}
			if (link->count > 0)
				hash = hash_text((const char *) &sum, sizeof(sum), hash + i);
		}
		else if (field != NULL && field->value.kind != JSON_KIND_NULL)
			hash = json_hash(&field->value, hash + i);
		else if (entity->columns[i].source == SOURCE_PARENT && record->parent != NULL)
			hash = hash_text(record->parent, strlen(record->parent), hash + i);
	}
	for (int i = 0; i < record->n_extra; i++)
		extra += json_hash(&record->extra[i]->value,
						   hash_text(record->extra[i]->name, record->extra[i]->name_len, 0));
	return hash_text((const char *) &extra, sizeof(extra), hash);
}

void
record_map(RecordMapper *mapper, const PageRecord *source, const char *parent, Record *record)
{
	const Entity *entity = mapper->entity;
	int64		unix_us;

	memset(record, 0, sizeof(Record));
	record->source = source;
	record->parent = parent;
	record->fields = palloc0(sizeof(PageField *) * Max(entity->n_columns, 1));
	record->links = palloc0(sizeof(PageLink *) * Max(entity->n_columns, 1));

	for (int i = 0; i < source->n_fields; i++)
	{
		const PageField *field = &source->fields[i];
		const Member *member = find_member(&mapper->attributes, field->name, i);

		if (member != NULL)
			record->fields[member->column] = field;
		else
		{
			if (record->extra == NULL)
				record->extra = palloc(sizeof(PageField *) * source->n_fields);
			record->extra[record->n_extra++] = field;
		}
	}
	for (int i = 0; i < source->n_links; i++)
	{
		const PageLink *link = &source->links[i];
		const Member *member = find_member(&mapper->links, link->name, i);

		if (member == NULL)
			continue;
		record->links[member->column] = link;
		if (member->second_column != MEMBER_UNKNOWN)
			record->links[member->second_column] = link;
	}

	if (entity->updated_at >= 0 && record->fields[entity->updated_at] != NULL)
	{
		const JsonSlice *value = &record->fields[entity->updated_at]->value;

		if (value->kind == JSON_KIND_STRING && iso8601_parse(value->text, &unix_us))
		{
			record->has_updated_at = true;
			record->updated_at = unix_us - DAYS_1970_TO_2000 * USECS_PER_DAY;
		}
	}
	record->hash = hash_values(mapper, record);
}

const char *
record_json_type(const JsonSlice *value)
{
	switch (value->kind)
	{
		case JSON_KIND_NULL:
			return "null";
		case JSON_KIND_STRING:
			return "string";
		case JSON_KIND_NUMBER:
			return "number";
		case JSON_KIND_TRUE:
		case JSON_KIND_FALSE:
			return "boolean";
		case JSON_KIND_OBJECT:
			return "object";
		case JSON_KIND_ARRAY:
			return "array";
	}
	pg_unreachable();
}

static Datum
raw_text(const JsonSlice *value)
{
	return PointerGetDatum(cstring_to_text_with_len(value->raw, value->raw_len));
}

static bool
misfit(const EntityColumn *column, const JsonSlice *value, char **problem)
{
	/* enough to see what came; the whole is in the dead letter */
	int			shown = Min(value->raw_len, 60);

	*problem = psprintf("attribute \"%s\" is no %s: %s", column->name,
						column->type == COLUMN_TIMESTAMP ? "timestamp" :
						column->type == COLUMN_DATE ? "date" :
						column->type == COLUMN_BIGINT ? "integer" :
						column->type == COLUMN_NUMERIC ? "number" : "boolean",
						pnstrdup(value->raw, pg_mbcliplen(value->raw, value->raw_len, shown)));
	return false;
}

/*
 * parse_integer: also as 3.0 or 1e3, which JSON calls the same.
 */
static bool
parse_integer(const char *text, int64 *number)
{
	char	   *end;
	double		real;

	errno = 0;
	*number = strtoll(text, &end, 10);
	if (errno == 0 && end > text && *end == '\0')
		return true;

	/* beyond 2^53 a double has no units any more */
	errno = 0;
	real = strtod(text, &end);
	if (errno != 0 || end == text || *end != '\0' || strpbrk(text, "xXnN") != NULL ||
		fabs(real) > 9007199254740992.0 || real != rint(real))
		return false;
	*number = (int64) real;
	return true;
}

/*
 * is_empty: "" for a date, a number or a boolean is none.
 */
static bool
is_empty(const EntityColumn *column, const JsonSlice *value)
{
	return value->kind == JSON_KIND_STRING && value->text_len == 0 &&
		column->type != COLUMN_TEXT && column->type != COLUMN_JSONB;
}

static bool
attribute_value(const EntityColumn *column, const JsonSlice *value, Datum *datum, char **problem)
{
	int64		number;
	int			days;

	switch (column->type)
	{
		case COLUMN_TEXT:
			*datum = value->kind == JSON_KIND_STRING ?
				PointerGetDatum(cstring_to_text_with_len(value->text, value->text_len)) :
				raw_text(value);
			return true;

		case COLUMN_TIMESTAMP:
			if (value->kind != JSON_KIND_STRING || !iso8601_parse(value->text, &number))
				return misfit(column, value, problem);
			*datum = TimestampTzGetDatum(number - DAYS_1970_TO_2000 * USECS_PER_DAY);
			return true;

		case COLUMN_DATE:
			if (value->kind != JSON_KIND_STRING || !iso8601_parse_date(value->text, &days))
				return misfit(column, value, problem);
			*datum = DateADTGetDatum(days - DAYS_1970_TO_2000);
			return true;

		case COLUMN_BIGINT:
			if (value->text == NULL || !parse_integer(value->text, &number))
				return misfit(column, value, problem);
			*datum = Int64GetDatum(number);
			return true;

		case COLUMN_NUMERIC:
			if (value->text == NULL || value->text[0] == '\0' ||
				value->text[strspn(value->text, "+-.0123456789eE")] != '\0')
				return misfit(column, value, problem);
			*datum = DirectFunctionCall3(numeric_in, CStringGetDatum(value->text),
										 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
			return true;

		case COLUMN_BOOLEAN:
			if (value->kind == JSON_KIND_TRUE ||
				(value->kind == JSON_KIND_STRING && strcmp(value->text, "true") == 0))
				*datum = BoolGetDatum(true);
			else if (value->kind == JSON_KIND_FALSE ||
					 (value->kind == JSON_KIND_STRING && strcmp(value->text, "false") == 0))
				*datum = BoolGetDatum(false);
			else
				return misfit(column, value, problem);
			return true;

		case COLUMN_JSONB:
			*datum = DirectFunctionCall1(jsonb_in,
										 CStringGetDatum(pnstrdup(value->raw, value->raw_len)));
			return true;

		case COLUMN_TEXT_ARRAY:
			break;
	}
	elog(ERROR, "column \"%s\" has no attribute", column->name);
}

static Datum
ids_array(const PageLink *link)
{
	Datum	   *ids = palloc(sizeof(Datum) * Max(link->count, 1));

	for (int i = 0; i < link->count; i++)
		ids[i] = CStringGetTextDatum(link->ids[i]);
	return PointerGetDatum(construct_array(ids, link->count, TEXTOID, -1, false, TYPALIGN_INT));
}

bool
record_value(const Entity *entity, const Record *record, int number,
			 Datum *value, bool *isnull, char **problem)
{
	const EntityColumn *column = &entity->columns[number];
	const PageField *field = record->fields[number];
	const PageLink *link = record->links[number];

	*isnull = true;
	*value = (Datum) 0;

	if (column->source == SOURCE_PARENT)
	{
		if (record->parent != NULL)
		{
			*isnull = false;
			*value = CStringGetTextDatum(record->parent);
		}
		return true;
	}
	if (link != NULL && link->has_data)
	{
		*isnull = column->source != SOURCE_LINK_IDS && link->count == 0;
		if (*isnull)
			return true;
		if (column->source == SOURCE_LINK_IDS)
			*value = ids_array(link);
		else if (column->source == SOURCE_LINK_ID)
			*value = CStringGetTextDatum(link->ids[0]);
		else if (link->types[0] != NULL)
			*value = CStringGetTextDatum(link->types[0]);
		else
			*isnull = true;
		return true;
	}
	if (field != NULL && field->value.kind != JSON_KIND_NULL && !is_empty(column, &field->value))
	{
		*isnull = false;
		return attribute_value(column, &field->value, value, problem);
	}
	return true;
}

Datum
record_extra(const Record *record, bool *isnull)
{
	StringInfoData json;

	*isnull = record->n_extra == 0;
	if (*isnull)
		return (Datum) 0;

	initStringInfo(&json);
	for (int i = 0; i < record->n_extra; i++)
	{
		const PageField *field = record->extra[i];

		appendStringInfoChar(&json, i == 0 ? '{' : ',');
		escape_json(&json, field->name);
		appendStringInfoChar(&json, ':');
		appendBinaryStringInfo(&json, field->value.raw, field->value.raw_len);
	}
	appendStringInfoChar(&json, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
}
