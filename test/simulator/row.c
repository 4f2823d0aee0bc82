/*-------------------------------------------------------------------------
 *
 * row.c
 *	  One version of a record: its memory, its values, its order.
 *
 * Owns: the layout behind sim_row.  Must never change a row once made.
 *
 * IDENTIFICATION
 *	  test/simulator/row.c
 *
 *-------------------------------------------------------------------------
 */
#include "fold.h"
#include "json.h"
#include "store.h"

#include <stdlib.h>

/*
 * row_offsets returns where each value starts; one more marks the end.
 */
static uint32_t *
row_offsets(const cat_entity *entity, const sim_row *row)
{
	return (uint32_t *) (row_refs(row) + entity->to_one_count);
}

/*
 * row_make builds a row with the head of another one.
 */
sim_row *
row_make(const cat_entity *entity, const sim_row *like, const uint64_t *refs,
		 const sim_buf *values)
{
	size_t		refs_size = sizeof(uint64_t) * (size_t) entity->to_one_count;
	size_t		offsets_size = sizeof(uint32_t) * (size_t) (entity->attribute_count + 1);
	size_t		text_size = 0;
	sim_row    *row;
	uint32_t   *offsets;
	char	   *text;
	uint32_t	at = 0;

	for (int i = 0; i < entity->attribute_count; i++)
		text_size += values[i].len;
	row = sim_alloc(sizeof(*row) + refs_size + offsets_size + text_size);
	*row = *like;
	row->older = NULL;
	if (refs_size > 0)
		memcpy(row_refs(row), refs, refs_size);
	offsets = row_offsets(entity, row);
	text = (char *) (offsets + entity->attribute_count + 1);
	for (int i = 0; i < entity->attribute_count; i++)
	{
		offsets[i] = at;
		if (values[i].len > 0)
			memcpy(text + at, values[i].data, values[i].len);
		at += (uint32_t) values[i].len;
	}
	offsets[entity->attribute_count] = at;
	return row;
}

/*
 * row_value returns an attribute's value as JSON text (not terminated).  The
 * values of the row's own stamps are empty: they stand in the head.
 */
const char *
row_value(const cat_entity *entity, const sim_row *row, int attribute, size_t *len)
{
	const uint32_t *offsets = row_offsets(entity, row);
	const char *text = (const char *) (offsets + entity->attribute_count + 1);

	*len = offsets[attribute + 1] - offsets[attribute];
	return text + offsets[attribute];
}

/*
 * row_is_null tells whether an attribute is JSON null.
 */
bool
row_is_null(const cat_entity *entity, const sim_row *row, int attribute)
{
	size_t		len;
	const char *value;

	if (entity->attributes[attribute].generator == GEN_CREATED)
		return row->created == STAMP_NULL;
	if (entity->attributes[attribute].generator == GEN_UPDATED)
		return row->updated == STAMP_NULL;
	value = row_value(entity, row, attribute, &len);
	return len == 4 && memcmp(value, "null", 4) == 0;
}

/*
 * row_column finds what a where or order key stands for: an attribute, the
 * id, or the id of a to-one.
 */
sim_column
row_column(const cat_entity *entity, const char *name)
{
	sim_column	column = {COLUMN_NONE, entity_attribute(entity, name)};
	size_t		len = strlen(name);

	if (column.number >= 0)
	{
		switch (entity->attributes[column.number].generator)
		{
			case GEN_CREATED:
				column.kind = COLUMN_CREATED;
				break;
			case GEN_UPDATED:
				column.kind = COLUMN_UPDATED;
				break;
			default:
				column.kind = COLUMN_ATTRIBUTE;
		}
	}
	else if (strcmp(name, "id") == 0)
		column.kind = COLUMN_ID;
	else if (len > 3 && strcmp(name + len - 3, "_id") == 0)
	{
		for (int i = 0; i < entity->to_one_count; i++)
			if (strlen(entity->to_one[i].name) == len - 3 &&
				strncmp(entity->to_one[i].name, name, len - 3) == 0)
			{
				column.kind = COLUMN_TO_ONE;
				column.number = i;
			}
	}
	return column;
}

/*
 * row_column_type returns the type that a column's values compare as.
 */
cat_type
row_column_type(const cat_entity *entity, sim_column column)
{
	switch (column.kind)
	{
		case COLUMN_CREATED:
		case COLUMN_UPDATED:
			return TYPE_DATE_TIME;
		case COLUMN_ATTRIBUTE:
			return entity->attributes[column.number].type;
		default:
			return TYPE_ID;
	}
}

/*
 * row_number returns a column's value as a number, days or microseconds; false
 * if it is null.  Only for columns whose type has such a form.
 */
bool
row_number(const cat_entity *entity, const sim_row *row, sim_column column,
		   int64_t *number)
{
	size_t		len;
	const char *value;
	char		text[32];
	int64_t		last;

	switch (column.kind)
	{
		case COLUMN_ID:
			*number = (int64_t) row->id;
			return true;
		case COLUMN_CREATED:
			*number = row->created;
			return row->created != STAMP_NULL;
		case COLUMN_UPDATED:
			*number = row->updated;
			return row->updated != STAMP_NULL;
		case COLUMN_TO_ONE:
			*number = (int64_t) row_refs(row)[column.number];
			return *number != 0;
		default:
			break;
	}
	value = row_value(entity, row, column.number, &len);
	if (len == 0 || *value == 'n' || len >= sizeof(text))
		return false;
	memcpy(text, value, len);
	text[len] = '\0';
	if (*text == '"')
		text[len - 1] = '\0';
	switch (entity->attributes[column.number].type)
	{
		case TYPE_DATE:
			return day_parse(text + 1, number);
		case TYPE_DATE_TIME:
			return stamp_parse(text + 1, "UTC", number, &last);
		case TYPE_BOOLEAN:
			*number = *text == 't';
			return true;
		default:
			*number = strtoll(*text == '"' ? text + 1 : text, NULL, 10);
			return true;
	}
}

/*
 * compare_texts orders two JSON strings by their folded text.
 */
static int
compare_texts(const char *a, size_t alen, const char *b, size_t blen)
{
	static sim_buf atext;
	static sim_buf btext;

	if (memchr(a, '\\', alen) == NULL && memchr(b, '\\', blen) == NULL)
		return fold_compare(a + 1, alen - 2, b + 1, blen - 2);
	buf_reset(&atext);
	buf_reset(&btext);
	json_text(&atext, a, alen);
	json_text(&btext, b, blen);
	return fold_compare(atext.data, atext.len, btext.data, btext.len);
}

/*
 * entity_target_type returns the type that a to-one points to in a row with
 * these to-ones.
 */
const char *
entity_target_type(const cat_entity *entity, const uint64_t *refs, int to_one)
{
	const cat_to_one *t = &entity->to_one[to_one];

	if (t->generator == TARGET_EITHER)
		t = &entity->to_one[refs[t->a] ? t->a : t->b];
	return t->target_name;
}

/*
 * row_compare orders two rows by one column, nulls first, without a tie-break.
 */
int
row_compare(const cat_entity *entity, const sim_row *a, const sim_row *b,
			sim_column column)
{
	const char *avalue;
	const char *bvalue;
	size_t		alen;
	size_t		blen;
	bool		anull;
	bool		bnull;
	int64_t		x = 0;
	int64_t		y = 0;
	double		p;
	double		q;

	if (column.kind == COLUMN_ATTRIBUTE &&
		(entity->attributes[column.number].type == TYPE_STRING ||
		 entity->attributes[column.number].type == TYPE_FLOAT))
	{
		avalue = row_value(entity, a, column.number, &alen);
		bvalue = row_value(entity, b, column.number, &blen);
		anull = *avalue == 'n';
		bnull = *bvalue == 'n';
		if (anull || bnull)
			return bnull - anull;
		if (entity->attributes[column.number].type == TYPE_STRING)
			return compare_texts(avalue, alen, bvalue, blen);
		p = strtod(avalue, NULL);
		q = strtod(bvalue, NULL);
		return (p > q) - (p < q);
	}
	anull = !row_number(entity, a, column, &x);
	bnull = !row_number(entity, b, column, &y);
	if (anull || bnull)
		return bnull - anull;
	return (x > y) - (x < y);
}
