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

#include "attribute.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "iso8601.h"
#include "json_hash.h"
#include "lib/stringinfo.h"
#include "record.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

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
 * param_of: the path's word on a column of which the record itself says
 * nothing, or NULL.
 */
static const char *
param_of(const EntityColumn *column, const Record *record)
{
	return column->param >= 0 && record->params != NULL ? record->params[column->param] : NULL;
}

/*
 * hash_field: of a value that is stored as a digest no more than the digest
 * goes in, so that nobody can find it by trying.
 */
static uint64
hash_field(const EntityColumn *column, const JsonSlice *value, uint64 seed)
{
	char	   *digest;

	if (column->privacy != PRIVACY_HASH)
		return json_hash(value, seed);
	digest = attribute_digest(value);
	return hash_text(digest, strlen(digest), seed);
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
		const char *param = entity->shared ? NULL : param_of(&entity->columns[i], record);

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
		else if (field != NULL)
		{
			if (field->value.kind != JSON_KIND_NULL)
				hash = hash_field(&entity->columns[i], &field->value, hash + i);
		}
		else if (param != NULL)
		{
			/* the same as if the record said it in a relationship */
			uint64		sum = hash_text(param, strlen(param), i);

			hash = hash_text((const char *) &sum, sizeof(sum), hash + i);
		}
	}
	for (int i = 0; i < record->n_extra; i++)
		extra += json_hash(&record->extra[i]->value,
						   hash_text(record->extra[i]->name, record->extra[i]->name_len, 0));
	return hash_text((const char *) &extra, sizeof(extra), hash);
}

void
record_map(RecordMapper *mapper, const PageRecord *source, const char *const *params,
		   Record *record)
{
	const Entity *entity = mapper->entity;
	int64		unix_us;

	memset(record, 0, sizeof(Record));
	record->source = source;
	record->params = params;
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
	const char *param;

	*isnull = true;
	*value = (Datum) 0;

	if (column->privacy == PRIVACY_DROP)
		return true;
	param = param_of(column, record);
	if (param != NULL && (link == NULL || !link->has_data) && field == NULL)
	{
		*isnull = false;
		*value = CStringGetTextDatum(param);
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
	return field == NULL || attribute_convert(column, &field->value, value, isnull, problem);
}

bool
record_tells(const Entity *entity, const Record *record, int number)
{
	const PageLink *link = record->links[number];

	return record->fields[number] != NULL || (link != NULL && link->has_data) ||
		param_of(&entity->columns[number], record) != NULL;
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
