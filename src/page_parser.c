/*-------------------------------------------------------------------------
 *
 * page_parser.c
 *	  A JSON:API page or single resource, taken apart into slices.
 *
 * PostgreSQL's own parser walks the text and calls back at each member and
 * element.  The table in page_shape.c says which values matter and what they
 * may be; what it does not know is passed over.  No tree is built: a value is
 * its place in the body, and its decoded text if it is a string or a number.
 *
 * The lexer is told not to decode strings, since it would allocate one by
 * one; they are decoded here into a single arena.  Its size is known before:
 * a decoded string and its terminator need less than the string did with its
 * quotes, and a number and its terminator no more than the number and the
 * delimiter after it.
 *
 * Whatever is wrong with a record is that record's defect, and the page goes
 * on.  This file has no state, no clock and no I/O, and must never raise an
 * error because of what it reads.
 *
 * IDENTIFICATION
 *	  src/page_parser.c
 *
 *-------------------------------------------------------------------------
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include "compat.h"
#include "page_builder.h"
#include "page_parser.h"
#include "page_shape.h"
#include "page_text.h"

/*
 * How deep the values lie that matter: document, data, record, relationships,
 * relationship, data, identifier, and its id as level 7.  Deeper values are
 * part of others.
 */
#define PAGE_LEVELS 8

/*
 * Frame: what is known of one level while the parser is in it: the container,
 * and the member or element of it that is being read.
 */
typedef struct Frame
{
	PageRole	container;
	PageRole	role;			/* of the value being read */
	PageField	value;			/* elements have no name */
} Frame;

typedef struct ParseState
{
	JsonLexContext *lex;
	PageBuilder builder;
	Frame		frames[PAGE_LEVELS + 1];	/* by lex_level */
	char	   *arena;			/* where the next decoded text goes */
} ParseState;

static void parse(ParsedPage *page, char *body, int len, int max_records);
static JsonActionResult field_start(void *state, char *name, bool is_null);
static JsonActionResult element_start(void *state, bool is_null);
static JsonActionResult field_end(void *state, char *name, bool is_null);
static JsonActionResult element_end(void *state, bool is_null);
static void enter(ParseState *state, bool is_field);
static void leave(ParseState *state);
static void read_name(ParseState *state, PageField *value);
static void read_value(ParseState *state, JsonSlice *slice);
static void close_text(ParseState *state, int len);
static JsonKind token_kind(JsonTokenType token);
static void mark_faulty(const ParsedPage *page, PageRecord *records,
						int n_records);
static void mark_duplicates(PageRecord *records, int n_records);
static int	compare_records(const void *a, const void *b);

/*
 * page_parse takes a document apart.
 */
ParsedPage *
page_parse(char *body, size_t len, const PageLimits *limits)
{
	ParsedPage *page = palloc0(sizeof(ParsedPage));
	size_t		max_bytes = PAGE_MAX_BYTES;
	int			max_depth = PAGE_MAX_DEPTH;
	int			max_records = PAGE_MAX_RECORDS;
	TextFaults	faults = {0};
	size_t		start = 0;

	if (limits->max_bytes > 0)
		max_bytes = Min(max_bytes, (size_t) limits->max_bytes);
	if (limits->max_depth > 0)
		max_depth = Min(max_depth, limits->max_depth);
	if (limits->max_records > 0)
		max_records = limits->max_records;

	page->body = body;
	page->total_count = -1;
	page->count = -1;
	page->next_offset = -1;

	if (len > max_bytes)
	{
		page->problem = "too large";
		return page;
	}

	while (start < len && (body[start] == ' ' || body[start] == '\t' ||
						   body[start] == '\r' || body[start] == '\n'))
		start++;
	if (start == len)
		page->problem = "empty";
	else if (body[start] != '{')
		page->problem = "not a JSON object";
	else
		page->problem = text_repair(body, (int) len, max_depth, &faults);

	page->n_faults = faults.count;
	page->faults = faults.items;

	if (page->problem == NULL)
		parse(page, body, (int) len, max_records);
	return page;
}

/*
 * parse runs PostgreSQL's parser over a repaired body.
 */
static void
parse(ParsedPage *page, char *body, int len, int max_records)
{
	ParseState	state = {0};
	JsonSemAction actions = {0};
	const bool	need_escapes = false;

	page_builder_init(&state.builder, page, max_records);
	state.frames[1].container = ROLE_DOCUMENT;
	state.arena = palloc(len);
	state.lex = compat_json_lex_context(body, len, need_escapes);

	actions.semstate = &state;
	actions.object_field_start = field_start;
	actions.object_field_end = field_end;
	actions.array_element_start = element_start;
	actions.array_element_end = element_end;

	if (pg_parse_json(state.lex, &actions) != JSON_SUCCESS)
		page->problem = "not valid JSON";
	else
		page_builder_finish(&state.builder);

	if (page->problem == NULL)
	{
		mark_faulty(page, page->records, page->n_records);
		mark_faulty(page, page->included, page->n_included);
		mark_duplicates(page->records, page->n_records);
		mark_duplicates(page->included, page->n_included);
	}
}

/*
 * field_start is called by the parser at the value of an object's member.
 */
static JsonActionResult
field_start(void *state, char *name, bool is_null)
{
	enter(state, true);
	return JSON_ACTION_OK;
}

/*
 * element_start is called by the parser at each element of an array.
 */
static JsonActionResult
element_start(void *state, bool is_null)
{
	enter(state, false);
	return JSON_ACTION_OK;
}

/*
 * field_end is called by the parser behind the value of an object's member.
 */
static JsonActionResult
field_end(void *state, char *name, bool is_null)
{
	leave(state);
	return JSON_ACTION_OK;
}

/*
 * element_end is called by the parser behind each element of an array.
 */
static JsonActionResult
element_end(void *state, bool is_null)
{
	leave(state);
	return JSON_ACTION_OK;
}

/*
 * enter decides what the value is that begins here.  The lexer stands at its
 * first token.
 */
static void
enter(ParseState *state, bool is_field)
{
	JsonLexContext *lex = state->lex;
	int			level = lex->lex_level;
	Frame	   *frame;
	const PageMember *member;

	if (level >= PAGE_LEVELS)
		return;

	frame = &state->frames[level];
	frame->role = ROLE_IGNORED;
	frame[1].container = ROLE_IGNORED;
	if (frame->container == ROLE_IGNORED)
		return;

	memset(&frame->value, 0, sizeof(PageField));
	frame->value.value.raw = lex->token_start;
	frame->value.value.kind = token_kind(lex->token_type);
	if (is_field)
		read_name(state, &frame->value);

	member = page_member(frame->container, frame->value.name);
	if (member->kinds & (1 << frame->value.value.kind))
		frame->role = page_builder_open(&state->builder, member->role,
										&frame->value);
	else if (member->complaint != NULL)
		page_builder_complain(&state->builder, member->complaint);

	frame[1].container = frame->role;
}

/*
 * leave takes in the value that ends here.  The lexer stands behind it.
 */
static void
leave(ParseState *state)
{
	int			level = state->lex->lex_level;
	Frame	   *frame;

	if (level >= PAGE_LEVELS)
		return;

	frame = &state->frames[level];
	if (frame->role == ROLE_IGNORED)
		return;

	read_value(state, &frame->value.value);
	page_builder_close(&state->builder, frame->role, &frame->value);
}

/*
 * read_name reads the name of the member whose value begins here, backwards
 * from the colon, the token before: the parser gives names only when it
 * decodes all strings.  The quote that begins the name is the first that no
 * backslash escapes.
 */
static void
read_name(ParseState *state, PageField *value)
{
	const char *end = state->lex->prev_token_terminator - 1;
	const char *start;
	int			n_backslashes;

	do
		end--;
	while (*end != '"');

	start = end;
	do
	{
		do
			start--;
		while (*start != '"');
		n_backslashes = 0;
		while (start[-1 - n_backslashes] == '\\')
			n_backslashes++;
	} while (n_backslashes % 2 != 0);

	value->name = state->arena;
	value->name_len = text_decode(start + 1, end - start - 1, state->arena);
	close_text(state, value->name_len);
}

/*
 * read_value completes the slice of the value that ends here.
 */
static void
read_value(ParseState *state, JsonSlice *slice)
{
	slice->raw_len = state->lex->prev_token_terminator - slice->raw;

	if (slice->kind == JSON_KIND_STRING)
		slice->text_len = text_decode(slice->raw + 1, slice->raw_len - 2,
									  state->arena);
	else if (slice->kind == JSON_KIND_NUMBER)
	{
		slice->text_len = slice->raw_len;
		memcpy(state->arena, slice->raw, slice->raw_len);
	}
	else
		return;

	slice->text = state->arena;
	close_text(state, slice->text_len);
}

/*
 * close_text ends the text that was just written to the arena.
 */
static void
close_text(ParseState *state, int len)
{
	state->arena[len] = '\0';
	state->arena += len + 1;
}

/*
 * token_kind says what value a token begins; one that begins none is left for
 * the parser to reject.
 */
static JsonKind
token_kind(JsonTokenType token)
{
	switch (token)
	{
		case JSON_TOKEN_STRING:
			return JSON_KIND_STRING;
		case JSON_TOKEN_NUMBER:
			return JSON_KIND_NUMBER;
		case JSON_TOKEN_TRUE:
			return JSON_KIND_TRUE;
		case JSON_TOKEN_FALSE:
			return JSON_KIND_FALSE;
		case JSON_TOKEN_OBJECT_START:
			return JSON_KIND_OBJECT;
		case JSON_TOKEN_ARRAY_START:
			return JSON_KIND_ARRAY;
		default:
			return JSON_KIND_NULL;
	}
}

/*
 * mark_faulty gives a defect to the records in which text was overwritten.
 */
static void
mark_faulty(const ParsedPage *page, PageRecord *records, int n_records)
{
	if (page->n_faults == 0)
		return;

	for (int i = 0; i < n_records; i++)
	{
		int			offset = records[i].raw - page->body;
		int			fault = text_first_fault(page->faults, page->n_faults,
											 offset);

		if (records[i].defect == NULL && fault < page->n_faults &&
			page->faults[fault].offset < offset + records[i].raw_len)
			records[i].defect = text_fault_name(page->faults[fault].kind);
	}
}

/*
 * mark_duplicates marks each record that comes again further down: the last
 * one wins.
 */
static void
mark_duplicates(PageRecord *records, int n_records)
{
	PageRecord **sorted = palloc(n_records * sizeof(PageRecord *));
	int			n_sorted = 0;

	for (int i = 0; i < n_records; i++)
		if (records[i].type != NULL && records[i].id != NULL)
			sorted[n_sorted++] = &records[i];

	qsort(sorted, n_sorted, sizeof(PageRecord *), compare_records);

	for (int i = 0; i + 1 < n_sorted; i++)
		if (strcmp(sorted[i]->id, sorted[i + 1]->id) == 0 &&
			strcmp(sorted[i]->type, sorted[i + 1]->type) == 0)
		{
			sorted[i]->defect = "duplicate id in page";
			sorted[i]->is_duplicate = true;
		}
	pfree(sorted);
}

/*
 * compare_records orders by id and type, copies by their place in the page.
 */
static int
compare_records(const void *a, const void *b)
{
	const PageRecord *left = *(const PageRecord *const *) a;
	const PageRecord *right = *(const PageRecord *const *) b;
	int			result = strcmp(left->id, right->id);

	if (result == 0)
		result = strcmp(left->type, right->type);
	if (result == 0)
		result = left < right ? -1 : (left > right ? 1 : 0);
	return result;
}

/*
 * page_record_payload is the text of a record, fit for jsonb.
 */
char *
page_record_payload(const ParsedPage *page, const PageRecord *record)
{
	return text_restore(record->raw, record->raw_len,
						page->faults, page->n_faults,
						record->raw - page->body);
}
