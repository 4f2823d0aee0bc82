/*-------------------------------------------------------------------------
 *
 * oracle.c
 *	  The truth in PostgreSQL's COPY format, for comparing tables exactly.
 *
 * Columns: id, one per attribute, <name>_id per to-one (and _type where
 * polymorphic), <name>_ids per to-many that stands in every record, and one per
 * parameter of a nested entity's path.  A to-one's column hides an attribute or
 * a parameter of the same name.  Stamps are truncated to seconds, as the API
 * shows them.
 *
 * Owns: nothing.  Must never apply a permission: it is the truth, not a view.
 *
 * IDENTIFICATION
 *	  test/simulator/oracle.c
 *
 *-------------------------------------------------------------------------
 */
#include "oracle.h"

#include "json.h"
#include "reach.h"

#include <stdio.h>
#include <stdlib.h>

typedef enum oracle_kind
{
	ORACLE_ID,
	ORACLE_ATTRIBUTE,
	ORACLE_TO_ONE,
	ORACLE_TO_ONE_TYPE,
	ORACLE_EDGE,
	ORACLE_PARAM
} oracle_kind;

typedef struct oracle_column
{
	oracle_kind kind;
	int			number;
	char		name[96];
	bool		by_default;		/* without being named */
} oracle_column;

typedef struct oracle_columns_list
{
	oracle_column *items;
	size_t		count;
} oracle_columns_list;

/*
 * add_column appends a column.
 */
static void
add_column(oracle_columns_list *list, oracle_kind kind, int number, bool by_default,
		   const char *name, const char *suffix)
{
	oracle_column *column;

	list->items = sim_grow(list->items, sizeof(*column) * (list->count + 1));
	column = &list->items[list->count++];
	column->kind = kind;
	column->number = number;
	column->by_default = by_default;
	snprintf(column->name, sizeof(column->name), "%s%s", name, suffix);
}

/*
 * is_listed tells whether a column name is taken.
 */
static bool
is_listed(const oracle_columns_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i].name, name) == 0)
			return true;
	return false;
}

/*
 * list_columns finds all columns of an entity.
 */
static void
list_columns(const cat_entity *entity, oracle_columns_list *list)
{
	oracle_columns_list links = {0};

	for (int i = 0; i < entity->to_one_count; i++)
	{
		if (entity->to_one[i].hidden)
			continue;
		add_column(&links, ORACLE_TO_ONE, i, true, entity->to_one[i].name, "_id");
		if (entity->to_one[i].polymorphic)
			add_column(&links, ORACLE_TO_ONE_TYPE, i, true, entity->to_one[i].name, "_type");
	}
	for (int i = 0; i < entity->edge_count; i++)
		if (entity->edges[i].always)
			add_column(&links, ORACLE_EDGE, i, true, entity->edges[i].name, "_ids");
	for (int i = 0; i < entity->param_count; i++)
		if (!is_listed(&links, entity->params[i].name))
			add_column(&links, ORACLE_PARAM, i, true, entity->params[i].name, "");
	add_column(list, ORACLE_ID, 0, true, "id", "");
	for (int i = 0; i < entity->attribute_count; i++)
		if (!entity->attributes[i].hidden && !is_listed(&links, entity->attributes[i].name))
			add_column(list, ORACLE_ATTRIBUTE, i, !entity->attributes[i].fields_only,
					   entity->attributes[i].name, "");
	for (size_t i = 0; i < links.count; i++)
		add_column(list, links.items[i].kind, links.items[i].number, true,
				   links.items[i].name, "");
	free(links.items);
}

/*
 * column_type returns a column's SQL type.
 */
static const char *
column_type(const cat_entity *entity, const oracle_column *column)
{
	if (column->kind == ORACLE_EDGE)
		return "text[]";
	if (column->kind != ORACLE_ATTRIBUTE)
		return "text";
	switch (entity->attributes[column->number].type)
	{
		case TYPE_INTEGER:
			return "bigint";
		case TYPE_FLOAT:
			return "numeric";
		case TYPE_BOOLEAN:
			return "boolean";
		case TYPE_DATE:
			return "date";
		case TYPE_DATE_TIME:
			return "timestamptz";
		case TYPE_JSON:
		case TYPE_ARRAY:
			return "jsonb";
		default:
			return "text";
	}
}

/*
 * oracle_columns appends a line with name and type per column.
 */
void
oracle_columns(const cat_entity *entity, sim_buf *out)
{
	oracle_columns_list list = {0};

	list_columns(entity, &list);
	for (size_t i = 0; i < list.count; i++)
		buf_printf(out, "%s\t%s\n", list.items[i].name, column_type(entity, &list.items[i]));
	free(list.items);
}

/*
 * put_copy appends text with COPY's escapes.
 */
static void
put_copy(sim_buf *out, const char *text, size_t len)
{
	static const char special[] = "\b\f\n\r\t\v\\";
	static const char letters[] = "bfnrtv\\";

	for (size_t i = 0; i < len; i++)
	{
		const char *found = text[i] ? strchr(special, text[i]) : NULL;

		if (found != NULL)
		{
			buf_char(out, '\\');
			buf_char(out, letters[found - special]);
		}
		else
			buf_char(out, text[i]);
	}
}

/*
 * put_attribute appends an attribute as PostgreSQL prints it.
 */
static void
put_attribute(const cat_entity *entity, const sim_row *row, int number, sim_buf *out)
{
	static sim_buf text;
	sim_column	column = row_column(entity, entity->attributes[number].name);
	cat_type	type = entity->attributes[number].type;
	size_t		len;
	const char *value = row_value(entity, row, number, &len);
	int64_t		stamp;

	if (row_is_null(entity, row, number))
	{
		buf_str(out, "\\N");
		return;
	}
	buf_reset(&text);
	buf_reserve(&text, 0);
	if (type == TYPE_DATE_TIME && row_number(entity, row, column, &stamp))
		stamp_copy(&text, stamp);
	else if (type == TYPE_BOOLEAN)
		buf_add(&text, value, 1);
	else if (type == TYPE_JSON || type == TYPE_ARRAY)
		json_canonical(&text, value, len);
	else
		json_text(&text, value, len);
	put_copy(out, text.data, text.len);
}

/*
 * put_edge appends the ids of a to-many as an array literal.
 */
static void
put_edge(const sim_table *table, const sim_row *row, int number, sim_buf *out)
{
	sim_rows	rows = {0};

	edge_true_rows(table, row, number, &rows);
	buf_char(out, '{');
	for (size_t i = 0; i < rows.count; i++)
	{
		if (i > 0)
			buf_char(out, ',');
		buf_u64(out, rows.rows[i]->id);
	}
	buf_char(out, '}');
	rows_free(&rows);
}

/*
 * put_param appends the id that a parameter of the row's path has.
 */
static void
put_param(const sim_table *table, const sim_row *row, const cat_param *param, sim_buf *out)
{
	uint64_t	id = 0;

	for (int i = 0; i < param->hops.count && row != NULL; i++)
	{
		int			slot = entity_to_one(table->entity, param->hops.names[i]);

		id = row_refs(row)[slot];
		table = org_table(table->org, table->entity->to_one[slot].target);
		row = table_find(table, id);
	}
	if (id == 0 || row == NULL)
		buf_str(out, "\\N");
	else
		buf_u64(out, id);
}

/*
 * put_column appends one column of one row.
 */
static void
put_column(const sim_table *table, const sim_row *row, const oracle_column *column,
		   sim_buf *out)
{
	const cat_entity *entity = table->entity;
	uint64_t	ref;

	switch (column->kind)
	{
		case ORACLE_ID:
			buf_u64(out, row->id);
			break;
		case ORACLE_ATTRIBUTE:
			put_attribute(entity, row, column->number, out);
			break;
		case ORACLE_EDGE:
			put_edge(table, row, column->number, out);
			break;
		case ORACLE_PARAM:
			put_param(table, row, &entity->params[column->number], out);
			break;
		default:
			ref = row_refs(row)[column->number];
			if (ref == 0)
				buf_str(out, "\\N");
			else if (column->kind == ORACLE_TO_ONE)
				buf_u64(out, ref);
			else
				buf_str(out, entity_target_type(entity, row_refs(row), column->number));
	}
}

/*
 * choose_columns picks the named columns; returns the first unknown name.
 */
static const char *
choose_columns(const oracle_columns_list *all, const char *names, oracle_columns_list *chosen)
{
	static char unknown[96];

	for (size_t i = 0; names == NULL && i < all->count; i++)
		if (all->items[i].by_default)
			add_column(chosen, all->items[i].kind, all->items[i].number, true,
					   all->items[i].name, "");
	while (names != NULL && *names)
	{
		size_t		len = strcspn(names, ",");
		size_t		before = chosen->count;

		buf_copy_part(unknown, sizeof(unknown), names, names + len);
		for (size_t i = 0; i < all->count; i++)
			if (strcmp(all->items[i].name, unknown) == 0)
				add_column(chosen, all->items[i].kind, all->items[i].number, true, unknown, "");
		if (chosen->count == before)
			return unknown;
		names += len;
		names += *names == ',';
	}
	return NULL;
}

/*
 * compare_id_texts orders rows by the bytes of their decimal ids: as if both had
 * the same number of digits, a prefix first.
 */
static int
compare_id_texts(const void *a, const void *b)
{
	uint64_t	x = (*(sim_row *const *) a)->id;
	uint64_t	y = (*(sim_row *const *) b)->id;
	int			digits = 0;

	for (uint64_t rest = x; rest > 0; rest /= 10)
		digits++;
	for (uint64_t rest = y; rest > 0; rest /= 10)
		digits--;
	for (int i = digits; i > 0; i--)
		y *= 10;
	for (int i = digits; i < 0; i++)
		x *= 10;
	if (x != y)
		return x < y ? -1 : 1;
	return digits;
}

/*
 * oracle_copy appends the rows that can be found, ordered by id as text.  The
 * columns may be named, the filter is that of a list.  Returns the first
 * unknown column name, or NULL.
 */
const char *
oracle_copy(sim_table *table, const char *columns, const char *filter, sim_buf *out,
			size_t *count)
{
	oracle_columns_list all = {0};
	oracle_columns_list chosen = {0};
	sim_rows	rows = {0};
	const char *unknown;

	list_columns(table->entity, &all);
	unknown = choose_columns(&all, columns, &chosen);
	if (unknown == NULL)
		reach_rows(table, filter, &rows);
	if (rows.count > 1)
		qsort(rows.rows, rows.count, sizeof(sim_row *), compare_id_texts);
	for (size_t i = 0; i < rows.count; i++)
		for (size_t j = 0; j < chosen.count; j++)
		{
			put_column(table, rows.rows[i], &chosen.items[j], out);
			buf_char(out, j + 1 < chosen.count ? '\t' : '\n');
		}
	buf_reserve(out, 0);
	*count = rows.count;
	rows_free(&rows);
	free(all.items);
	free(chosen.items);
	return unknown;
}

/*
 * put_stamp_member appends ,"name":value.
 */
static void
put_stamp_member(const char *name, int64_t stamp, sim_buf *out)
{
	buf_printf(out, ",\"%s\":", name);
	if (stamp == STAMP_NULL)
		buf_str(out, "null");
	else
	{
		buf_char(out, '"');
		stamp_iso_fraction(out, stamp);
		buf_char(out, '"');
	}
}

/*
 * oracle_record appends everything known of a row as a JSON object.
 */
void
oracle_record(const sim_table *table, const sim_row *row, sim_buf *out)
{
	const cat_entity *entity = table->entity;

	buf_printf(out, "{\"type\":\"%s\",\"id\":\"%llu\",\"deleted\":%s,\"merged\":%s,\"version\":%u",
			   entity->type, (unsigned long long) row->id, row->deleted ? "true" : "false",
			   row->merged ? "true" : "false", row->version);
	put_stamp_member("created_at", row->created, out);
	put_stamp_member("updated_at", row->updated, out);
	buf_str(out, ",\"attributes\":{");
	for (int i = 0; i < entity->attribute_count; i++)
	{
		size_t		len;
		const char *value = row_value(entity, row, i, &len);

		if (len == 0)
			continue;			/* the stamps, above */
		if (out->data[out->len - 1] != '{')
			buf_char(out, ',');
		buf_add(out, entity->attributes[i].key, entity->attributes[i].key_len);
		buf_add(out, value, len);
	}
	buf_str(out, "},\"to_one\":{");
	for (int i = 0; i < entity->to_one_count; i++)
		buf_printf(out, "%s\"%s\":%llu", i ? "," : "", entity->to_one[i].name,
				   (unsigned long long) row_refs(row)[i]);
	buf_str(out, "}}\n");
}
