/*-------------------------------------------------------------------------
 *
 * json.c
 *	  Reading JSON values that the simulator itself wrote.
 *
 * The oracle prints attribute values as PostgreSQL would store them: strings
 * without their escapes, objects and arrays in jsonb's text form (keys ordered
 * by length, then bytes; the last of equal keys wins; ": " and ", ").
 *
 * Owns: nothing.  Must never be given JSON from outside: it does not validate.
 *
 * IDENTIFICATION
 *	  test/simulator/json.c
 *
 *-------------------------------------------------------------------------
 */
#include "json.h"

#include <stdlib.h>

typedef struct json_member
{
	sim_buf		key;			/* unescaped */
	const char *value;
	int			position;		/* later ones win over equal keys */
} json_member;

/*
 * put_utf8 appends a code point.
 */
static void
put_utf8(sim_buf *buf, unsigned long point)
{
	if (point < 0x80)
		buf_char(buf, (char) point);
	else if (point < 0x800)
	{
		buf_char(buf, (char) (0xc0 | point >> 6));
		buf_char(buf, (char) (0x80 | (point & 63)));
	}
	else
	{
		buf_char(buf, (char) (0xe0 | point >> 12));
		buf_char(buf, (char) (0x80 | (point >> 6 & 63)));
		buf_char(buf, (char) (0x80 | (point & 63)));
	}
}

/*
 * json_text appends the text of a JSON string; any other value as it stands.
 */
void
json_text(sim_buf *buf, const char *value, size_t len)
{
	const char *end = value + len - 1;

	if (len < 2 || value[0] != '"')
	{
		buf_add(buf, value, len);
		return;
	}
	for (value++; value < end; value++)
	{
		char		hex[5] = "";

		if (*value != '\\')
		{
			buf_char(buf, *value);
			continue;
		}
		switch (*++value)
		{
			case 'n':
				buf_char(buf, '\n');
				break;
			case 'r':
				buf_char(buf, '\r');
				break;
			case 't':
				buf_char(buf, '\t');
				break;
			case 'b':
				buf_char(buf, '\b');
				break;
			case 'f':
				buf_char(buf, '\f');
				break;
			case 'u':
				memcpy(hex, value + 1, 4);
				put_utf8(buf, strtoul(hex, NULL, 16));
				value += 4;
				break;
			default:
				buf_char(buf, *value);
		}
	}
}

/*
 * skip_space returns the next place that is no white space.
 */
static const char *
skip_space(const char *at)
{
	return at + strspn(at, " \t\r\n");
}

/*
 * string_end returns the place after a string that starts at a quote.
 */
static const char *
string_end(const char *at)
{
	for (at++; *at != '"'; at++)
		if (*at == '\\')
			at++;
	return at + 1;
}

/*
 * value_end returns the place after any value.
 */
static const char *
value_end(const char *at)
{
	int			depth = 0;

	do
	{
		at = skip_space(at);
		if (*at == '"')
			at = string_end(at);
		else
		{
			depth += (*at == '{' || *at == '[');
			depth -= (*at == '}' || *at == ']');
			at++;
			if (depth == 0 && at[-1] != '}' && at[-1] != ']')
				at += strcspn(at, ",]} \t\r\n");
		}
	} while (depth > 0);
	return at;
}

/*
 * compare_members orders keys as jsonb does, equal ones by position.
 */
static int
compare_members(const void *left, const void *right)
{
	const json_member *a = left;
	const json_member *b = right;
	int			order;

	if (a->key.len != b->key.len)
		return a->key.len < b->key.len ? -1 : 1;
	order = a->key.len ? memcmp(a->key.data, b->key.data, a->key.len) : 0;
	return order ? order : a->position - b->position;
}

static void put_value(sim_buf *buf, const char *at);

/*
 * put_object writes the members sorted and without duplicates.
 */
static void
put_object(sim_buf *buf, const char *at)
{
	json_member *members = NULL;
	int			count = 0;
	bool		first = true;

	for (at = skip_space(at + 1); *at != '}';)
	{
		const char *key_end = string_end(at);

		members = sim_grow(members, sizeof(*members) * (size_t) (count + 1));
		memset(&members[count], 0, sizeof(*members));
		json_text(&members[count].key, at, (size_t) (key_end - at));
		members[count].position = count;
		at = skip_space(skip_space(key_end) + 1);
		members[count++].value = at;
		at = skip_space(value_end(at));
		if (*at == ',')
			at = skip_space(at + 1);
	}
	if (count > 0)
		qsort(members, (size_t) count, sizeof(*members), compare_members);
	buf_char(buf, '{');
	for (int i = 0; i < count; i++)
	{
		bool		superseded = i + 1 < count &&
			members[i].key.len == members[i + 1].key.len &&
			memcmp(members[i].key.data, members[i + 1].key.data,
				   members[i].key.len) == 0;

		if (!superseded)
		{
			buf_str(buf, first ? "" : ", ");
			first = false;
			buf_json(buf, members[i].key.data, members[i].key.len);
			buf_str(buf, ": ");
			put_value(buf, members[i].value);
		}
	}
	for (int i = 0; i < count; i++)
		buf_free(&members[i].key);
	buf_char(buf, '}');
	free(members);
}

/*
 * put_value writes one value in canonical form.
 */
static void
put_value(sim_buf *buf, const char *at)
{
	sim_buf		text = {0};
	bool		first = true;

	switch (*at)
	{
		case '{':
			put_object(buf, at);
			break;
		case '[':
			buf_char(buf, '[');
			for (at = skip_space(at + 1); *at != ']';)
			{
				buf_str(buf, first ? "" : ", ");
				first = false;
				put_value(buf, at);
				at = skip_space(value_end(at));
				if (*at == ',')
					at = skip_space(at + 1);
			}
			buf_char(buf, ']');
			break;
		case '"':
			json_text(&text, at, (size_t) (string_end(at) - at));
			buf_json(buf, text.data ? text.data : "", text.len);
			buf_free(&text);
			break;
		default:
			buf_add(buf, at, (size_t) (value_end(at) - at));
	}
}

/*
 * json_canonical appends a value in jsonb's text form.
 */
void
json_canonical(sim_buf *buf, const char *value, size_t len)
{
	sim_buf		copy = {0};

	buf_add(&copy, value, len);	/* the scanner relies on a closing NUL */
	put_value(buf, skip_space(copy.data));
	buf_free(&copy);
}
