/*-------------------------------------------------------------------------
 *
 * json_hash.c
 *		Hashes a JSON value by what it says, not by how it is written.
 *
 * Pure.  The text has been through the parser, so it is valid and its depth
 * is bounded.
 *
 * IDENTIFICATION
 *		src/json_hash.c
 *
 *-------------------------------------------------------------------------
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include "common/hashfn.h"
#include "json_hash.h"
#include "page_text.h"

static uint64 hash_value(const char **cursor, uint64 seed);

static uint64
hash_bytes_at(const char *start, const char *end, uint64 seed)
{
	return hash_bytes_extended((const unsigned char *) start, end - start, seed);
}

static void
skip_space(const char **cursor)
{
	*cursor += strspn(*cursor, " \t\n\r");
}

/*
 * hash_string: as decoded, for a server may escape what it likes.
 */
static uint64
hash_string(const char **cursor, uint64 seed)
{
	const char *start = ++(*cursor);
	bool		escaped = false;
	int			len;
	char	   *text;

	seed += JSON_KIND_STRING;	/* "5" is not 5 */
	for (; **cursor != '"'; (*cursor)++)
	{
		if (**cursor == '\\')
		{
			escaped = true;
			(*cursor)++;
		}
	}
	len = (*cursor)++ - start;
	if (!escaped)
		return hash_bytes_at(start, start + len, seed);

	text = palloc(len);
	len = text_decode(start, len, text);
	seed = hash_bytes_at(text, text + len, seed);
	pfree(text);
	return seed;
}

/*
 * hash_members: of an object, summed; of an array, one after the other.
 */
static uint64
hash_members(const char **cursor, uint64 seed)
{
	const bool	is_object = **cursor == '{';
	const char	close = is_object ? '}' : ']';
	uint64		hash = is_object ? 0 : seed;

	(*cursor)++;
	for (skip_space(cursor); **cursor != close; skip_space(cursor))
	{
		if (is_object)
		{
			uint64		name = hash_string(cursor, seed);

			skip_space(cursor);
			(*cursor)++;		/* the colon */
			hash += hash_value(cursor, name);
		}
		else
			hash = hash_value(cursor, hash);
		skip_space(cursor);
		if (**cursor == ',')
			(*cursor)++;
	}
	(*cursor)++;
	return hash_bytes_extended((const unsigned char *) &hash, sizeof(hash), seed + (unsigned char) close);
}

static uint64
hash_value(const char **cursor, uint64 seed)
{
	const char *start;

	skip_space(cursor);
	if (**cursor == '{' || **cursor == '[')
		return hash_members(cursor, seed);
	if (**cursor == '"')
		return hash_string(cursor, seed);
	start = *cursor;
	*cursor += strcspn(start, ",]} \t\n\r");
	return hash_bytes_at(start, *cursor, seed);
}

uint64
json_hash(const JsonSlice *value, uint64 seed)
{
	const char *cursor = value->raw;

	seed += value->kind;		/* "5" is not 5 */
	if (value->kind == JSON_KIND_STRING)
		return hash_bytes_at(value->text, value->text + value->text_len, seed);
	if (value->kind == JSON_KIND_OBJECT || value->kind == JSON_KIND_ARRAY)
		return hash_value(&cursor, seed);
	return hash_bytes_at(value->raw, value->raw + value->raw_len, seed);
}
