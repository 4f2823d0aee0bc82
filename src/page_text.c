/*-------------------------------------------------------------------------
 *
 * page_text.c
 *	  The text below a page: repairing what is not valid, decoding strings.
 *
 * One character that PostgreSQL cannot store must cost one record, not the
 * page it came in.  So the text is repaired before it is parsed: each fault
 * is overwritten by something valid of the same length, and noted with its
 * offset and what stood there.  The parser can then trust every byte, and who
 * wants to show the record to a person gets the original back as text.
 *
 * Offsets therefore never move.  This file knows no JSON:API; it must never
 * raise an error because of what it reads, and never read outside the body,
 * which has no terminating NUL.
 *
 * IDENTIFICATION
 *	  src/page_text.c
 *
 *-------------------------------------------------------------------------
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

#include "page_text.h"

/* The replacements: U+FFFD is what Unicode has for the purpose. */
#define ESCAPE_REPLACEMENT "\\ufffd"
#define BYTE_REPLACEMENT '?'

/*
 * numeric, and so jsonb, holds 131072 digits before the point and 16383 after
 * it, while JSON sets no limit.  No honest number comes near these bounds,
 * which leave room for the one being added to the other.
 */
#define MAX_NUMBER_LEN 1000
#define MAX_EXPONENT_DIGITS 3

/* What the scan has to look at; every other byte is passed over. */
typedef enum ByteClass
{
	BYTE_PLAIN = 0,
	BYTE_QUOTE,
	BYTE_BACKSLASH,
	BYTE_OPEN,
	BYTE_CLOSE,
	BYTE_CONTROL,
	BYTE_HIGH
} ByteClass;

static const uint8 byte_class[256] = {
	[0x00 ... 0x1f] = BYTE_CONTROL,
	['"'] = BYTE_QUOTE,
	['\\'] = BYTE_BACKSLASH,
	['{'] = BYTE_OPEN,
	['['] = BYTE_OPEN,
	['}'] = BYTE_CLOSE,
	[']'] = BYTE_CLOSE,
	[0x80 ... 0xff] = BYTE_HIGH
};

static int	repair_escape(char *body, int at, int len, TextFaults *faults);
static int	repair_utf8(char *body, int at, int len, TextFaults *faults);
static void overwrite(char *body, int at, TextFaultKind kind,
					  TextFaults *faults);
static bool read_escape(const char *at, const char *end, pg_wchar *code);
static int	fault_len(TextFaultKind kind);
static int	number_len(const char *at, const char *end);
static bool number_fits(const char *number, int len);

/*
 * text_repair makes every byte of the body fit for the JSON parser and for
 * PostgreSQL, and notes what it had to overwrite.
 *
 * Returns a static text if the document as a whole is beyond use, else NULL.
 * What is no JSON at all is left for the parser to reject; but nesting is
 * bounded here, because the parser recurses and cannot be stopped on the way.
 */
const char *
text_repair(char *body, int len, int max_depth, TextFaults *faults)
{
	int			at = 0;
	int			depth = 0;
	bool		in_string = false;

	while (at < len)
	{
		ByteClass	class = byte_class[(unsigned char) body[at]];

		/* nearly every byte: a tight loop pays */
		while (class == BYTE_PLAIN && ++at < len)
			class = byte_class[(unsigned char) body[at]];

		switch (class)
		{
			case BYTE_PLAIN:
				break;
			case BYTE_QUOTE:
				in_string = !in_string;
				at++;
				break;
			case BYTE_BACKSLASH:
				at += repair_escape(body, at, len, faults);
				break;
			case BYTE_OPEN:
				if (!in_string && ++depth > max_depth)
					return "nested too deeply";
				at++;
				break;
			case BYTE_CLOSE:
				if (!in_string)
					depth--;
				at++;
				break;
			case BYTE_CONTROL:
				if (body[at] == '\0')
					return "contains a NUL byte";
				if (in_string)
					overwrite(body, at, TEXT_FAULT_CONTROL, faults);
				at++;
				break;
			case BYTE_HIGH:
				at += repair_utf8(body, at, len, faults);
				break;
		}
	}

	return (in_string || depth > 0) ? "truncated" : NULL;
}

/*
 * repair_escape looks at the escape sequence that begins at a backslash and
 * returns how far to go on.
 *
 * Taking the sequences one after the other is what tells \u0000 from the same
 * text behind an escaped backslash.  Sequences that are not valid JSON are
 * stepped into, so that each of their bytes is looked at.
 */
static int
repair_escape(char *body, int at, int len, TextFaults *faults)
{
	const char *escape = body + at;
	const char *end = body + len;
	pg_wchar	code;
	pg_wchar	second;

	if (end - escape < 2)
		return 1;
	if (escape[1] == '"' || escape[1] == '\\')
		return 2;
	if (!read_escape(escape, end, &code))
		return 1;

	if (code == 0)
		overwrite(body, at, TEXT_FAULT_NUL, faults);
	else if (is_utf16_surrogate_first(code))
	{
		if (read_escape(escape + TEXT_ESCAPE_LEN, end, &second) &&
			is_utf16_surrogate_second(second))
			return 2 * TEXT_ESCAPE_LEN;
		overwrite(body, at, TEXT_FAULT_SURROGATE, faults);
	}
	else if (is_utf16_surrogate_second(code))
		overwrite(body, at, TEXT_FAULT_SURROGATE, faults);

	return TEXT_ESCAPE_LEN;
}

/*
 * repair_utf8 checks the sequence that begins at a byte with the high bit set
 * and returns how far to go on.
 */
static int
repair_utf8(char *body, int at, int len, TextFaults *faults)
{
	const unsigned char *sequence = (const unsigned char *) body + at;
	int			sequence_len = pg_utf_mblen(sequence);

	if (sequence_len <= len - at && pg_utf8_islegal(sequence, sequence_len))
		return sequence_len;

	overwrite(body, at, TEXT_FAULT_UTF8, faults);
	return 1;
}

/*
 * overwrite notes a fault and puts something valid in its place.
 */
static void
overwrite(char *body, int at, TextFaultKind kind, TextFaults *faults)
{
	int			len = fault_len(kind);
	TextFault  *fault;

	if (faults->items == NULL)
	{
		faults->capacity = 16;
		faults->items = palloc(faults->capacity * sizeof(TextFault));
	}
	else if (faults->count == faults->capacity)
	{
		faults->capacity *= 2;
		faults->items = repalloc(faults->items,
								 faults->capacity * sizeof(TextFault));
	}

	fault = &faults->items[faults->count++];
	fault->offset = at;
	fault->kind = kind;
	memcpy(fault->original, body + at, len);

	if (len == TEXT_ESCAPE_LEN)
		memcpy(body + at, ESCAPE_REPLACEMENT, TEXT_ESCAPE_LEN);
	else
		body[at] = BYTE_REPLACEMENT;
}

/*
 * read_escape reads a \u escape; false if none stands here.
 */
static bool
read_escape(const char *at, const char *end, pg_wchar *code)
{
	pg_wchar	value = 0;

	if (end - at < TEXT_ESCAPE_LEN || at[0] != '\\' || at[1] != 'u')
		return false;

	for (int i = 2; i < TEXT_ESCAPE_LEN; i++)
	{
		char		c = at[i];

		if (c >= '0' && c <= '9')
			value = value * 16 + (c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value * 16 + (c - 'a') + 10;
		else if (c >= 'A' && c <= 'F')
			value = value * 16 + (c - 'A') + 10;
		else
			return false;
	}

	*code = value;
	return true;
}

/*
 * fault_len says how many bytes of the body a fault covers.
 */
static int
fault_len(TextFaultKind kind)
{
	return (kind == TEXT_FAULT_NUL || kind == TEXT_FAULT_SURROGATE)
		? TEXT_ESCAPE_LEN : 1;
}

/*
 * text_fault_name is what a fault is called to people.
 */
const char *
text_fault_name(TextFaultKind kind)
{
	switch (kind)
	{
		case TEXT_FAULT_UTF8:
			return "invalid UTF-8";
		case TEXT_FAULT_CONTROL:
			return "raw control character";
		case TEXT_FAULT_NUL:
			return "contains \\u0000";
		case TEXT_FAULT_SURROGATE:
			return "lone surrogate";
	}
	return "invalid text";		/* keep the compiler quiet */
}

/*
 * text_first_fault finds the first fault at or after an offset; count if
 * there is none.
 */
int
text_first_fault(const TextFault *faults, int count, int offset)
{
	int			low = 0;
	int			high = count;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (faults[middle].offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * text_decode writes what a JSON string means, without a terminator, and
 * returns its length, which never exceeds raw_len.
 *
 * raw is the text between the quotes; it has been repaired and accepted by
 * the JSON parser, so that every escape in it is complete and in pairs.
 */
int
text_decode(const char *raw, int raw_len, char *out)
{
	const char *end = raw + raw_len;
	char	   *start = out;

	while (raw < end)
	{
		const char *escape = memchr(raw, '\\', end - raw);
		int			plain_len = (escape ? escape : end) - raw;
		pg_wchar	code = 0;
		pg_wchar	second = 0;

		memcpy(out, raw, plain_len);
		out += plain_len;
		if (escape == NULL)
			break;

		raw = escape + 2;
		switch (escape[1])
		{
			case 'b':
				*out++ = '\b';
				break;
			case 'f':
				*out++ = '\f';
				break;
			case 'n':
				*out++ = '\n';
				break;
			case 'r':
				*out++ = '\r';
				break;
			case 't':
				*out++ = '\t';
				break;
			case 'u':
				(void) read_escape(escape, end, &code);
				raw = escape + TEXT_ESCAPE_LEN;
				if (is_utf16_surrogate_first(code) &&
					read_escape(raw, end, &second))
				{
					code = surrogate_pair_to_codepoint(code, second);
					raw += TEXT_ESCAPE_LEN;
				}
				unicode_to_utf8(code, (unsigned char *) out);
				out += pg_utf_mblen((unsigned char *) out);
				break;
			default:			/* quote, slash, backslash */
				*out++ = escape[1];
				break;
		}
	}
	return out - start;
}

/*
 * text_restore copies a JSON value, with what text_repair() overwrote in it
 * shown as literal text: an escape with its backslash escaped, a byte as \xff
 * likewise.  Numbers that numeric cannot hold become strings.  So jsonb
 * accepts the result, and a person sees what the server sent.
 *
 * raw_offset is where the value stands in the body.
 */
char *
text_restore(const char *raw, int raw_len,
			 const TextFault *faults, int n_faults, int raw_offset)
{
	const char *end = raw + raw_len;
	const char *at = raw;
	int			next = text_first_fault(faults, n_faults, raw_offset);
	bool		in_string = false;
	StringInfoData out;

	initStringInfo(&out);
	while (at < end)
	{
		int			len = 1;

		if (next < n_faults && raw_offset + (at - raw) == faults[next].offset)
		{
			const TextFault *fault = &faults[next++];

			len = fault_len(fault->kind);
			if (len == TEXT_ESCAPE_LEN)
			{
				appendStringInfoChar(&out, '\\');
				appendBinaryStringInfo(&out, fault->original, len);
			}
			else
				appendStringInfo(&out, "\\\\x%02x",
								 (unsigned char) fault->original[0]);
			at += len;
			continue;
		}

		if (in_string && *at == '\\')
			len = 2;
		else if (*at == '"')
			in_string = !in_string;
		else if (!in_string && (len = number_len(at, end)) > 0)
		{
			if (!number_fits(at, len))
			{
				appendStringInfo(&out, "\"%.*s\"", len, at);
				at += len;
				continue;
			}
		}
		else
			len = 1;

		appendBinaryStringInfo(&out, at, len);
		at += len;
	}
	return out.data;
}

/*
 * number_len is the length of the number that begins here, outside any
 * string; 0 if none does.
 */
static int
number_len(const char *at, const char *end)
{
	const char *start = at;

	if (*at != '-' && !(*at >= '0' && *at <= '9'))
		return 0;
	while (at < end && ((*at >= '0' && *at <= '9') || *at == '-' ||
						*at == '+' || *at == '.' || *at == 'e' || *at == 'E'))
		at++;
	return at - start;
}

/*
 * number_fits tells whether numeric surely holds a number.
 */
static bool
number_fits(const char *number, int len)
{
	const char *end = number + len;

	if (len > MAX_NUMBER_LEN)
		return false;
	while (number < end && *number != 'e' && *number != 'E')
		number++;
	while (number < end &&
		   (*number == 'e' || *number == 'E' || *number == '+' ||
			*number == '-' || *number == '0'))
		number++;
	return end - number <= MAX_EXPONENT_DIGITS;
}
