/*-------------------------------------------------------------------------
 *
 * query.c
 *	  Which rows a list request gets, in which order.
 *
 * Facts: default order is by numeric id; ties go by id ascending in both
 * directions; unknown order and where keys are ignored; filter= takes named
 * scopes, comma separated; entities may hide soft-deleted rows by default.
 *
 * Owns: nothing beyond one query.  Must never sort a whole table for a page
 * that a view can give.
 *
 * IDENTIFICATION
 *	  test/simulator/query.c
 *
 *-------------------------------------------------------------------------
 */
#include "query.h"

#include "render.h"

#include <stdlib.h>

/*
 * is_named tells whether a set of names holds one.
 */
static bool
is_named(const cat_names *names, const char *name)
{
	for (int i = 0; i < names->count; i++)
		if (strcmp(names->names[i], name) == 0)
			return true;
	return false;
}

/*
 * parse_order reads order=a,-b; unknown keys are left out.
 */
static void
parse_order(sim_query *query, sim_request *request)
{
	const cat_entity *entity = query->table->entity;
	const char *text = request_param(request, "order");

	while (text != NULL && *text && query->ordering.count < MAX_ORDER_KEYS)
	{
		size_t		len = strcspn(text, ",");
		bool		descending = *text == '-';
		char		name[128];
		sim_column	column;

		buf_copy_part(name, sizeof(name), text + descending, text + len);
		column = row_column(entity, name);
		if (column.kind != COLUMN_NONE && is_named(&entity->order, name) &&
			shape_knows(request, entity, name))
		{
			query->ordering.keys[query->ordering.count].column = column;
			query->ordering.keys[query->ordering.count++].descending = descending;
		}
		text += len;
		text += *text == ',';
	}
}

/*
 * parse_where reads every where[key] and where[key][operator].
 */
static void
parse_where(sim_query *query, sim_request *request)
{
	const cat_entity *entity = query->table->entity;

	for (size_t i = 0; i < request->param_count; i++)
	{
		const char *start = request->params[i].key + 6;
		const char *end;
		char		key[128];
		char		operator[16] = "";

		if (strncmp(request->params[i].key, "where[", 6) != 0 ||
			(end = strchr(start, ']')) == NULL)
			continue;
		buf_copy_part(key, sizeof(key), start, end);
		if (end[1] == '[' && strchr(end + 2, ']') != NULL)
			buf_copy_part(operator, sizeof(operator), end + 2, strchr(end + 2, ']'));
		if (is_named(&entity->where, key) && shape_knows(request, entity, key))
			conditions_where(&query->conditions, query->table, key, operator,
							 request->params[i].value);
	}
}

/*
 * add_filter adds what one named scope means; false if it lifts the hiding of
 * soft-deleted rows instead.
 */
static bool
add_filter(sim_query *query, const cat_filter *filter, const char *time)
{
	const cat_entity *entity = query->table->entity;
	sim_column	column = filter->subject ? row_column(entity, filter->subject)
		: (sim_column) {COLUMN_NONE, -1};
	sim_condition *added;
	int64_t		first;
	int64_t		last;

	switch (filter->kind)
	{
		case FILTER_UNHIDE:
			return false;
		case FILTER_ONLY:
			conditions_add(&query->conditions, CONDITION_NONNULL,
						   row_column(entity, entity->hide));
			return false;
		case FILTER_EQUALS:
			conditions_add(&query->conditions, CONDITION_VALUE, column)->text =
				sim_strdup(filter->value);
			break;
		case FILTER_NOT:
			conditions_add(&query->conditions, CONDITION_NOT_VALUE, column)->text =
				sim_strdup(filter->value);
			break;
		case FILTER_NONNULL:
			conditions_add(&query->conditions, CONDITION_NONNULL, column);
			break;
		case FILTER_HAS:
			conditions_add(&query->conditions, CONDITION_HAS, column)->number =
				entity_edge(entity, filter->subject);
			break;
		case FILTER_SINCE:
			if (time == NULL || !stamp_parse(time, query->table->org->zone, &first, &last))
				first = stamp_api_now() - filter->seconds * USECS_PER_SEC;
			added = conditions_add(&query->conditions, CONDITION_RANGE, column);
			added->first = first;
			added->last = INT64_MAX;
			break;
		case FILTER_ALL:
			break;
	}
	return true;
}

/*
 * query_filter reads filter=a,b and adds the default scopes.
 */
void
query_filter(sim_query *query, const char *names, const char *time)
{
	const cat_entity *entity = query->table->entity;
	bool		hide = entity->hide != NULL && !query->unscoped;

	while (names != NULL && *names)
	{
		size_t		len = strcspn(names, ",");

		for (int i = 0; i < entity->filter_count; i++)
			if (strlen(entity->filters[i].name) == len &&
				strncmp(entity->filters[i].name, names, len) == 0)
				hide = add_filter(query, &entity->filters[i], time) && hide;
		names += len;
		names += *names == ',';
	}
	if (hide)
		conditions_add(&query->conditions, CONDITION_NULL, row_column(entity, entity->hide));
}

/*
 * query_parse reads order, where and filter of a request.
 */
void
query_parse(sim_query *query, sim_request *request, sim_table *table)
{
	sim_column	none = {COLUMN_NONE, -1};

	query->table = table;
	query->ordering.entity = table->entity;
	query->stale = request->fault_kind == FAULT_STALE;
	if (!table->ignore_order)
		parse_order(query, request);
	if (!table->ignore_where)
		parse_where(query, request);
	query_filter(query, request_param(request, "filter"), request_param(request, "time"));
	if (table->org->visible_percent < 100)
		conditions_add(&query->conditions, CONDITION_VISIBLE, none)->number =
			table->org->visible_percent;
}

/*
 * query_free releases a query's conditions.
 */
void
query_free(sim_query *query)
{
	conditions_free(&query->conditions);
}

/*
 * query_stale_row returns what a lagging replica still holds of a row: the
 * version before its last change, or NULL if it did not exist.
 */
sim_row *
query_stale_row(sim_row *row)
{
	sim_row    *old = row->older ? row->older : (row->inserted ? NULL : row);

	return old && !old->deleted ? old : NULL;
}

/*
 * compare_rows adapts the ordering to qsort_r.
 */
static int
compare_rows(const void *a, const void *b, void *ordering)
{
	return ordering_compare(*(sim_row *const *) a, *(sim_row *const *) b, ordering);
}

/*
 * run_once filters and sorts rows for this one page.
 */
static void
run_once(const sim_query *query, sim_row **rows, size_t count, sim_page *page)
{
	sim_row   **kept = sim_alloc(sizeof(*kept) * (count + 1));
	sim_ordering ordering = query->ordering;

	page->total = 0;
	for (size_t i = 0; i < count; i++)
	{
		sim_row    *row = query->stale ? query_stale_row(rows[i]) : rows[i];

		if (row != NULL && !row->deleted &&
			conditions_hold(&query->conditions, query->table, row))
			kept[page->total++] = row;
	}
	if (page->total > 1)
		qsort_r(kept, page->total, sizeof(*kept), compare_rows, &ordering);
	page->count = 0;
	for (size_t i = query->offset; i < page->total && page->count < query->limit; i++)
		page->rows[page->count++] = kept[i];
	free(kept);
}

/*
 * leading_range merges all ranges over the leading order key into one; false
 * if there are none.
 */
static bool
leading_range(const sim_query *query, sim_condition *range)
{
	sim_column	leading = query->ordering.keys[0].column;
	bool		found = false;

	if (query->ordering.count == 0)
		leading.kind = COLUMN_ID;
	for (size_t i = 0; i < query->conditions.count; i++)
	{
		const sim_condition *item = &query->conditions.items[i];

		if (item->kind != CONDITION_RANGE || item->column.kind != leading.kind ||
			(leading.kind != COLUMN_ID && item->column.number != leading.number))
			continue;
		if (!found)
			*range = *item;
		if (item->first > range->first)
			range->first = item->first;
		if (item->last < range->last)
			range->last = item->last;
		found = true;
	}
	return found;
}

/*
 * run_view takes the page out of a view, by rank.
 */
static void
run_view(const sim_query *query, sim_page *page)
{
	sim_order	order[MAX_ORDER_KEYS] = {{.column = {COLUMN_ID, -1}}};
	size_t		order_count = query->ordering.count;
	sim_conditions rest = {0};
	sim_condition range;
	bool		ranged = leading_range(query, &range);
	sim_view   *view;
	size_t		first = 0;
	size_t		last;
	size_t		limit;

	if (order_count > 0)
		memcpy(order, query->ordering.keys, sizeof(*order) * order_count);
	else
		order_count = 1;
	conditions_copy(&rest, &query->conditions, ranged ? &range : NULL);
	view = view_get(query->table, order, order_count, &rest);
	conditions_free(&rest);
	last = view_index(view)->total;
	if (ranged)
		view_range(view, &range, &first, &last);
	page->total = last - first;
	limit = query->offset >= page->total ? 0 : page->total - query->offset;
	if (limit > query->limit)
		limit = query->limit;
	page->count = limit ? index_slice(view_index(view), first + query->offset, limit,
									  page->rows) : 0;
}

/*
 * query_run fills the page, whose rows have room for the query's limit.
 */
void
query_run(const sim_query *query, sim_page *page)
{
	page->count = page->total = 0;
	for (size_t i = 0; i < query->conditions.count; i++)
		if (query->conditions.items[i].kind == CONDITION_NEVER)
			return;
	if (query->scope != NULL)
		run_once(query, query->scope->rows, query->scope->count, page);
	else if (query->stale || !conditions_cacheable(&query->conditions))
		run_once(query, query->table->rows, query->table->count, page);
	else
		run_view(query, page);
}
