/*-------------------------------------------------------------------------
 *
 * condition.c
 *	  What a row must fulfil to be in a list.
 *
 * Facts: unknown where keys are ignored; a value that cannot be coerced gives
 * no rows; text compares folded, with % at either end; date_time and date keys
 * take gt, gte, lt and lte, which combine; a bare date is a day in the
 * organisation's time zone; the comparison sees the stored fraction of a second.
 *
 * Owns: the texts of its conditions.  Must never change a row.
 *
 * IDENTIFICATION
 *	  test/simulator/condition.c
 *
 *-------------------------------------------------------------------------
 */
#include "condition.h"

#include "edge.h"
#include "fold.h"
#include "json.h"

#include <ctype.h>
#include <stdlib.h>

/*
 * conditions_add appends an empty condition.
 */
sim_condition *
conditions_add(sim_conditions *conditions, sim_condition_kind kind, sim_column column)
{
	sim_condition *added;

	conditions->items = sim_grow(conditions->items,
								 sizeof(*added) * (conditions->count + 1));
	added = &conditions->items[conditions->count++];
	memset(added, 0, sizeof(*added));
	added->kind = kind;
	added->column = column;
	return added;
}

/*
 * conditions_copy appends copies of all conditions except those that are
 * ranges over the same column as `except` (NULL: none is left out).
 */
void
conditions_copy(sim_conditions *to, const sim_conditions *from,
				const sim_condition *except)
{
	for (size_t i = 0; i < from->count; i++)
	{
		const sim_condition *item = &from->items[i];
		sim_condition *copy;

		if (except != NULL && item->kind == CONDITION_RANGE &&
			item->column.kind == except->column.kind &&
			item->column.number == except->column.number)
			continue;
		copy = conditions_add(to, item->kind, item->column);
		*copy = *item;
		copy->text = sim_strdup(item->text);
	}
}

/*
 * conditions_key writes a text that equal sets of conditions share.
 */
void
conditions_key(const sim_conditions *conditions, sim_buf *key)
{
	for (size_t i = 0; i < conditions->count; i++)
	{
		const sim_condition *item = &conditions->items[i];

		buf_printf(key, "|%d,%d,%d,%d,%lld,%lld,%s", (int) item->kind,
				   (int) item->column.kind, item->column.number, item->number,
				   (long long) item->first, (long long) item->last,
				   item->text ? item->text : "");
	}
}

/*
 * conditions_free releases a set.
 */
void
conditions_free(sim_conditions *conditions)
{
	for (size_t i = 0; i < conditions->count; i++)
		free(conditions->items[i].text);
	free(conditions->items);
	memset(conditions, 0, sizeof(*conditions));
}

/*
 * conditions_cacheable tells whether the conditions look at nothing but the
 * row itself, so that a materialised list can follow single mutations.
 */
bool
conditions_cacheable(const sim_conditions *conditions)
{
	for (size_t i = 0; i < conditions->count; i++)
		if (conditions->items[i].kind == CONDITION_HAS ||
			conditions->items[i].kind == CONDITION_SEARCH)
			return false;
	return true;
}

/*
 * row_visible tells whether the token sees a row: a share of the people, chosen
 * by id, and what belongs to them.
 */
bool
row_visible(const sim_table *table, const sim_row *row)
{
	const cat_entity *entity = table->entity;
	sim_org    *org = table->org;
	uint64_t	id = row->id;

	if (org->visible_percent >= 100)
		return true;
	while (entity->rows != ROWS_PEOPLE)
	{
		if (entity->owner < 0 || entity->to_one[entity->owner].target < 0)
			return true;
		id = row_refs(row)[entity->owner];
		table = org_table(org, entity->to_one[entity->owner].target);
		entity = table->entity;
		if (entity->rows == ROWS_PEOPLE)
			break;
		row = table_find(table, id);
		if (row == NULL)
			return true;
	}
	return (int) (hash_mix(id) % 100) < org->visible_percent;
}

/*
 * fold_value appends the folded text of an attribute, or nothing if it is null.
 */
static bool
fold_value(const sim_table *table, const sim_row *row, int attribute, sim_buf *folded)
{
	static sim_buf text;
	size_t		len;
	const char *value = row_value(table->entity, row, attribute, &len);

	buf_reset(folded);
	if (len == 0 || *value == 'n')
		return false;
	buf_reset(&text);
	json_text(&text, value, len);
	fold_append(folded, text.data ? text.data : "", text.len);
	buf_reserve(folded, 0);
	return true;
}

/*
 * keep_digits strips everything but digits, in place.
 */
static void
keep_digits(char *text)
{
	char	   *to = text;

	for (; *text; text++)
		if (isdigit((unsigned char) *text))
			*to++ = *text;
	*to = '\0';
}

/*
 * search_value tells whether one attribute answers a search.
 */
static bool
search_value(const sim_table *table, const sim_row *row, const char *how,
			 const char *name, const char *wanted)
{
	static sim_buf folded;
	sim_buf		digits = {0};
	int			attribute = entity_attribute(table->entity, name);
	bool		found;

	if (attribute < 0 || !fold_value(table, row, attribute, &folded))
		return false;
	if (strcmp(how, "words") == 0)
		return fold_words_match(folded.data, wanted);
	if (strcmp(how, "prefix") == 0)
		return strncmp(folded.data, wanted, strlen(wanted)) == 0;
	if (strcmp(how, "equals") == 0)
		return strcmp(folded.data, wanted) == 0;
	keep_digits(folded.data);
	buf_str(&digits, wanted);
	keep_digits(digits.data);
	found = *digits.data != '\0' && strstr(folded.data, digits.data) != NULL;
	buf_free(&digits);
	return found;
}

/*
 * search_holds tells whether any part of a search is answered.  A part reads
 * how:attribute or how:edge.attribute.
 */
static bool
search_holds(const sim_table *table, const sim_row *row,
			 const cat_search *search, const char *wanted)
{
	for (int i = 0; i < search->count; i++)
	{
		char		how[16];
		char		edge_name[64];
		const char *subject = strchr(search->parts[i], ':') + 1;
		const char *dot = strchr(subject, '.');
		sim_rows	rows = {0};
		bool		found = false;
		int			edge;

		buf_copy_part(how, sizeof(how), search->parts[i], subject - 1);
		if (dot == NULL)
		{
			if (search_value(table, row, how, subject, wanted))
				return true;
			continue;
		}
		buf_copy_part(edge_name, sizeof(edge_name), subject, dot);
		edge = entity_edge(table->entity, edge_name);
		if (edge < 0 || table->entity->edges[edge].target < 0)
			continue;
		edge_rows(table, row, edge, &rows);
		for (size_t j = 0; j < rows.count && !found; j++)
			found = search_value(org_table(table->org, table->entity->edges[edge].target),
								 rows.rows[j], how, dot + 1, wanted);
		rows_free(&rows);
		if (found)
			return true;
	}
	return false;
}

/*
 * holds tests one condition.
 */
static bool
holds(const sim_condition *item, const sim_table *table, const sim_row *row)
{
	static sim_buf folded;
	sim_rows	rows = {0};
	const char *value;
	size_t		len;
	int64_t		number;
	bool		found;

	switch (item->kind)
	{
		case CONDITION_RANGE:
			return row_number(table->entity, row, item->column, &number) &&
				number >= item->first && number <= item->last;
		case CONDITION_TEXT:
			return fold_value(table, row, item->column.number, &folded) &&
				fold_matches(folded.data, item->text);
		case CONDITION_VALUE:
		case CONDITION_NOT_VALUE:
			value = row_value(table->entity, row, item->column.number, &len);
			found = strlen(item->text) == len && memcmp(value, item->text, len) == 0;
			return found == (item->kind == CONDITION_VALUE);
		case CONDITION_NULL:
			return row_is_null(table->entity, row, item->column.number);
		case CONDITION_NONNULL:
			return !row_is_null(table->entity, row, item->column.number);
		case CONDITION_HAS:
			edge_rows(table, row, item->number, &rows);
			found = rows.count > 0;
			rows_free(&rows);
			return found;
		case CONDITION_SEARCH:
			return search_holds(table, row, &table->entity->searches[item->number],
								item->text);
		case CONDITION_VISIBLE:
			return row_visible(table, row);
		case CONDITION_NEVER:
			break;
	}
	return false;
}

/*
 * conditions_hold tells whether a row fulfils all conditions.
 */
bool
conditions_hold(const sim_conditions *conditions, const sim_table *table,
				const sim_row *row)
{
	for (size_t i = 0; i < conditions->count; i++)
		if (!holds(&conditions->items[i], table, row))
			return false;
	return true;
}

/*
 * add_range appends first <= column <= last as the operator narrows it.
 */
static void
add_range(sim_conditions *conditions, sim_column column, const char *operator,
		  int64_t first, int64_t last)
{
	sim_condition *range = conditions_add(conditions, CONDITION_RANGE, column);

	range->first = INT64_MIN + 1;
	range->last = INT64_MAX;
	if (strcmp(operator, "") == 0)
	{
		range->first = first;
		range->last = last;
	}
	else if (strcmp(operator, "gt") == 0)
		range->first = last + 1;
	else if (strcmp(operator, "gte") == 0)
		range->first = first;
	else if (strcmp(operator, "lt") == 0)
		range->last = first - 1;
	else
		range->last = last;
}

/*
 * add_equality appends a comparison of a key that takes no operators.
 */
static void
add_equality(sim_conditions *conditions, sim_column column, cat_type type,
			 const char *value)
{
	sim_buf		folded = {0};
	char	   *end;
	int64_t		number;

	switch (type)
	{
		case TYPE_BOOLEAN:
			if (strcmp(value, "true") == 0 || strcmp(value, "1") == 0)
				add_range(conditions, column, "", 1, 1);
			else if (strcmp(value, "false") == 0 || strcmp(value, "0") == 0)
				add_range(conditions, column, "", 0, 0);
			else
				conditions_add(conditions, CONDITION_NEVER, column);
			break;
		case TYPE_ID:
		case TYPE_INTEGER:
			number = strtoll(value, &end, 10);
			if (end == value || *end != '\0')
				conditions_add(conditions, CONDITION_NEVER, column);
			else
				add_range(conditions, column, "", number, number);
			break;
		default:
			fold_append(&folded, value, strlen(value));
			buf_reserve(&folded, 0);
			conditions_add(conditions, CONDITION_TEXT, column)->text = folded.data;
	}
}

/*
 * conditions_where appends what where[key][operator]=value means; nothing at
 * all if the API would ignore it.
 */
void
conditions_where(sim_conditions *conditions, const sim_table *table,
				 const char *key, const char *operator, const char *value)
{
	const cat_entity *entity = table->entity;
	sim_column	column = row_column(entity, key);
	sim_buf		folded = {0};
	bool		compares = false;
	cat_type	type;
	int64_t		first;
	int64_t		last;

	for (int i = 0; i < entity->search_count; i++)
		if (strcmp(entity->searches[i].name, key) == 0 && *operator == '\0')
		{
			sim_condition *search = conditions_add(conditions, CONDITION_SEARCH, column);

			fold_append(&folded, value, strlen(value));
			buf_reserve(&folded, 0);
			search->number = i;
			search->text = folded.data;
			return;
		}
	if (column.kind == COLUMN_NONE)
		return;

	for (const char *const *known = (const char *const[]) {"gt", "gte", "lt", "lte", NULL}; *known; known++)
		compares = compares || strcmp(*known, operator) == 0;
	type = row_column_type(entity, column);
	if (type == TYPE_DATE_TIME || type == TYPE_DATE)
	{
		bool		read;

		if (*operator != '\0' && !compares)
			return;
		if (type == TYPE_DATE)
		{
			read = day_parse(value, &first);
			last = first;
		}
		else
			read = stamp_parse(value, table->org->zone, &first, &last);
		if (read)
			add_range(conditions, column, operator, first, last);
		else
			conditions_add(conditions, CONDITION_NEVER, column);
	}
	else if (*operator == '\0')
		add_equality(conditions, column, type, value);
}
