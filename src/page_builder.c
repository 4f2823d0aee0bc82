/*-------------------------------------------------------------------------
 *
 * page_builder.c
 *	  Puts a page together from the values that the parser comes by.
 *
 * Each value is opened where it begins and closed where it ends, by its role
 * in the document.  What belongs together grows in one array per kind for the
 * whole page, in document order, and is handed out to its records when the
 * page is complete and nothing moves any more.
 *
 * It must never raise an error because of what the document holds: a record
 * that is wrong gets a defect, a document that is wrong a problem.
 *
 * IDENTIFICATION
 *	  src/page_builder.c
 *
 *-------------------------------------------------------------------------
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include "page_builder.h"

static PageRole open_records(PageBuilder *builder, PageRange *range,
						 const PageField *value);
static PageRole open_record(PageBuilder *builder, const PageField *value);
static PageRole open_link_data(PageBuilder *builder, const PageField *value);
static PageRole open_identifier(PageBuilder *builder);
static PageRole open_names(PageBuilder *builder, PageRange *range,
						   PageRole role);
static void store_in_record(PageBuilder *builder, PageRole role,
							const PageField *value);
static void close_record(PageBuilder *builder, const JsonSlice *slice);
static void close_identifier(PageBuilder *builder, const JsonSlice *slice);
static void store_in_page(PageBuilder *builder, PageRole role,
						  const JsonSlice *slice);
static PageError *oauth_error(PageBuilder *builder);
static int64 parse_count(const char *text);
static void array_init(PageArray *array, size_t item_size);
static void *array_push(PageArray *array);
static void *array_last(const PageArray *array);

/*
 * page_builder_init begins an empty page.
 */
void
page_builder_init(PageBuilder *builder, ParsedPage *page, int max_records)
{
	memset(builder, 0, sizeof(PageBuilder));
	builder->page = page;
	builder->max_records = max_records;

	array_init(&builder->records, sizeof(PageRecord));
	array_init(&builder->fields, sizeof(PageField));
	array_init(&builder->links, sizeof(PageLink));
	array_init(&builder->ids, sizeof(const char *));
	array_init(&builder->types, sizeof(const char *));
	array_init(&builder->names, sizeof(const char *));
	array_init(&builder->errors, sizeof(PageError));
}

/*
 * page_builder_open prepares for what a value will hold, and returns the role
 * that it takes: a single object in place of an array acts as the only
 * element.
 */
PageRole
page_builder_open(PageBuilder *builder, PageRole role, const PageField *value)
{
	PageLink   *link;

	switch (role)
	{
		case ROLE_DATA:
			builder->page->is_collection = value->value.kind == JSON_KIND_ARRAY;
			return open_records(builder, &builder->data, value);
		case ROLE_INCLUDED:
			return open_records(builder, &builder->included, value);
		case ROLE_RECORD:
			return open_record(builder, value);
		case ROLE_RELATIONSHIP:
			link = array_push(&builder->links);
			link->name = value->name;
			((PageRecord *) array_last(&builder->records))->n_links++;
			return role;
		case ROLE_LINK_DATA:
			return open_link_data(builder, value);
		case ROLE_IDENTIFIER:
			return open_identifier(builder);
		case ROLE_CAN_ORDER_BY:
			return open_names(builder, &builder->can_order_by, role);
		case ROLE_CAN_QUERY_BY:
			return open_names(builder, &builder->can_query_by, role);
		case ROLE_CAN_INCLUDE:
			return open_names(builder, &builder->can_include, role);
		case ROLE_ERRORS:
			if (value->value.kind == JSON_KIND_ARRAY)
				return role;
			/* FALLTHROUGH */
		case ROLE_ERROR:
			array_push(&builder->errors);
			return ROLE_ERROR;
		default:
			return role;
	}
}

/*
 * open_records begins data or included.
 */
static PageRole
open_records(PageBuilder *builder, PageRange *range, const PageField *value)
{
	if (range->seen)
	{
		page_builder_complain(builder, "data or included occurs twice");
		return ROLE_IGNORED;
	}

	range->seen = true;
	range->first = builder->records.count;
	builder->current = range;
	if (value->value.kind == JSON_KIND_OBJECT)
		return open_record(builder, value);
	return value->value.kind == JSON_KIND_ARRAY ? ROLE_DATA : ROLE_IGNORED;
}

/*
 * open_record begins a resource object.
 */
static PageRole
open_record(PageBuilder *builder, const PageField *value)
{
	if (builder->records.count >= builder->max_records)
	{
		page_builder_complain(builder, "too many records");
		return ROLE_IGNORED;
	}

	array_push(&builder->records);
	builder->current->count++;
	builder->in_record = true;
	if (value->value.kind != JSON_KIND_OBJECT)
		page_builder_complain(builder, "not an object");
	return ROLE_RECORD;
}

/*
 * open_link_data begins the data of a relationship; if there was one before,
 * this one replaces it.
 */
static PageRole
open_link_data(PageBuilder *builder, const PageField *value)
{
	PageLink   *link = array_last(&builder->links);

	builder->ids.count -= link->count;
	builder->types.count -= link->count;
	link->count = 0;
	link->has_data = true;
	link->to_many = value->value.kind == JSON_KIND_ARRAY;
	return value->value.kind == JSON_KIND_OBJECT
		? open_identifier(builder) : ROLE_LINK_DATA;
}

/*
 * open_identifier begins the type and id that a relationship names.
 */
static PageRole
open_identifier(PageBuilder *builder)
{
	builder->identifier_type = NULL;
	builder->identifier_id = NULL;
	builder->identifier_is_null = false;
	return ROLE_IDENTIFIER;
}

/*
 * open_names begins one of the can_ lists.
 */
static PageRole
open_names(PageBuilder *builder, PageRange *range, PageRole role)
{
	range->first = builder->names.count;
	range->count = 0;
	builder->can = range;
	return role;
}

/*
 * page_builder_close takes in a value that is complete.
 */
void
page_builder_close(PageBuilder *builder, PageRole role, const PageField *value)
{
	if (builder->in_record)
		store_in_record(builder, role, value);
	else
		store_in_page(builder, role, &value->value);
}

/*
 * store_in_record takes in a value that belongs to the record being read, or
 * that record itself.
 */
static void
store_in_record(PageBuilder *builder, PageRole role, const PageField *value)
{
	PageRecord *record = array_last(&builder->records);
	const JsonSlice *slice = &value->value;

	switch (role)
	{
		case ROLE_RECORD:
			close_record(builder, slice);
			break;
		case ROLE_TYPE:
			record->type = slice->text;
			break;
		case ROLE_ID:
			record->id = slice->text;
			if (slice->kind == JSON_KIND_NULL)
				page_builder_complain(builder, "id is null");
			break;
		case ROLE_ATTRIBUTE:
			*(PageField *) array_push(&builder->fields) = *value;
			record->n_fields++;
			break;
		case ROLE_LINK_DATA:
			((PageLink *) array_last(&builder->links))->data = *slice;
			break;
		case ROLE_IDENTIFIER:
			close_identifier(builder, slice);
			break;
		case ROLE_IDENTIFIER_TYPE:
			builder->identifier_type = slice->text;
			break;
		case ROLE_IDENTIFIER_ID:
			builder->identifier_id = slice->text;
			builder->identifier_is_null = slice->kind == JSON_KIND_NULL;
			break;
		case ROLE_RECORD_SELF:
			record->self_link = slice->text;
			break;
		default:
			break;
	}
}

/*
 * close_record completes a resource object.
 */
static void
close_record(PageBuilder *builder, const JsonSlice *slice)
{
	PageRecord *record = array_last(&builder->records);

	record->raw = slice->raw;
	record->raw_len = slice->raw_len;
	if (record->type == NULL)
		page_builder_complain(builder, "type is missing");
	if (record->id == NULL)
		page_builder_complain(builder, "id is missing");
	else if (record->id[0] == '\0')
		page_builder_complain(builder, "id is empty");
	builder->in_record = false;
}

/*
 * close_identifier completes the type and id that a relationship names.  A
 * null id names nobody.
 */
static void
close_identifier(PageBuilder *builder, const JsonSlice *slice)
{
	PageLink   *link = array_last(&builder->links);

	if (!link->to_many)
		link->data = *slice;

	if (builder->identifier_is_null)
		return;
	if (builder->identifier_id == NULL)
		page_builder_complain(builder, "relationship id is missing");
	else if (builder->identifier_type == NULL)
		page_builder_complain(builder, "relationship type is missing");
	else
	{
		*(const char **) array_push(&builder->ids) = builder->identifier_id;
		*(const char **) array_push(&builder->types) = builder->identifier_type;
		link->count++;
	}
}

/*
 * store_in_page takes in a value that belongs to no record.
 */
static void
store_in_page(PageBuilder *builder, PageRole role, const JsonSlice *slice)
{
	ParsedPage *page = builder->page;
	PageError  *error = array_last(&builder->errors);

	switch (role)
	{
		case ROLE_PAGE_SELF:
			page->self_link = slice->text;
			break;
		case ROLE_PAGE_NEXT:
			page->next_link = slice->text;
			page->has_next = page->has_next || slice->text_len > 0;
			break;
		case ROLE_TOTAL_COUNT:
			page->total_count = parse_count(slice->text);
			break;
		case ROLE_COUNT:
			page->count = parse_count(slice->text);
			break;
		case ROLE_NEXT_OFFSET:
			page->next_offset = parse_count(slice->text);
			page->has_next = page->has_next || page->next_offset >= 0;
			break;
		case ROLE_PARENT_TYPE:
			page->parent_type = slice->text;
			break;
		case ROLE_PARENT_ID:
			page->parent_id = slice->text;
			break;
		case ROLE_CAN_NAME:
			*(const char **) array_push(&builder->names) = slice->text;
			builder->can->count++;
			break;
		case ROLE_ERROR:
			if (slice->kind == JSON_KIND_STRING)
				error->detail = slice->text;
			break;
		case ROLE_ERROR_STATUS:
			error->status = slice->text;
			break;
		case ROLE_ERROR_CODE:
			error->code = slice->text;
			break;
		case ROLE_ERROR_TITLE:
			error->title = slice->text;
			break;
		case ROLE_ERROR_DETAIL:
			error->detail = slice->text;
			break;
		case ROLE_OAUTH_ERROR:
			oauth_error(builder)->code = slice->text;
			break;
		case ROLE_OAUTH_DESCRIPTION:
			oauth_error(builder)->detail = slice->text;
			break;
		default:
			break;
	}
}

/*
 * oauth_error is the error that the members of an OAuth answer describe: the
 * document itself is the error object.
 */
static PageError *
oauth_error(PageBuilder *builder)
{
	return builder->errors.count > 0
		? array_last(&builder->errors) : array_push(&builder->errors);
}

/*
 * page_builder_complain notes what is wrong: with the record, if one is being
 * read, else with the document.  The first complaint stands.
 */
void
page_builder_complain(PageBuilder *builder, const char *complaint)
{
	const char **place = &builder->page->problem;

	if (builder->in_record)
		place = &((PageRecord *) array_last(&builder->records))->defect;
	if (*place == NULL)
		*place = complaint;
}

/*
 * page_builder_finish hands out the arrays, which move no more; nothing is
 * handed out from a document with a problem.
 */
void
page_builder_finish(PageBuilder *builder)
{
	ParsedPage *page = builder->page;
	PageRecord *records = (PageRecord *) builder->records.items;
	PageField  *field = (PageField *) builder->fields.items;
	PageLink   *link = (PageLink *) builder->links.items;
	const char **id = (const char **) builder->ids.items;
	const char **type = (const char **) builder->types.items;
	const char **names = (const char **) builder->names.items;

	if (!builder->data.seen && builder->errors.count == 0)
		page_builder_complain(builder, "no data member");
	if (page->problem != NULL)
		return;

	for (int i = 0; i < builder->records.count; i++)
	{
		records[i].fields = field;
		field += records[i].n_fields;
		records[i].links = link;
		for (int j = 0; j < records[i].n_links; j++, link++)
		{
			link->ids = id;
			link->types = type;
			id += link->count;
			type += link->count;
		}
	}

	page->records = records + builder->data.first;
	page->n_records = builder->data.count;
	page->included = records + builder->included.first;
	page->n_included = builder->included.count;
	page->can_order_by = names + builder->can_order_by.first;
	page->n_can_order_by = builder->can_order_by.count;
	page->can_query_by = names + builder->can_query_by.first;
	page->n_can_query_by = builder->can_query_by.count;
	page->can_include = names + builder->can_include.first;
	page->n_can_include = builder->can_include.count;
	page->errors = (PageError *) builder->errors.items;
	page->n_errors = builder->errors.count;
}

/*
 * parse_count reads a count or offset; -1 if it is none.
 */
static int64
parse_count(const char *text)
{
	char	   *end;
	long long	value;

	errno = 0;
	value = strtoll(text, &end, 10);
	return (errno == 0 && end != text && *end == '\0' && value >= 0)
		? (int64) value : -1;
}

/*
 * array_init makes an array with room for the members of a small page.
 */
static void
array_init(PageArray *array, size_t item_size)
{
	array->item_size = item_size;
	array->count = 0;
	array->capacity = 64;
	array->items = palloc(array->capacity * item_size);
}

/*
 * array_push adds a zeroed item.
 */
static void *
array_push(PageArray *array)
{
	if (array->count == array->capacity)
	{
		array->capacity *= 2;
		array->items = repalloc(array->items,
								array->capacity * array->item_size);
	}
	array->count++;
	return memset(array_last(array), 0, array->item_size);
}

/*
 * array_last is the newest item; NULL if there is none.
 */
static void *
array_last(const PageArray *array)
{
	if (array->count == 0)
		return NULL;
	return array->items + (array->count - 1) * array->item_size;
}
