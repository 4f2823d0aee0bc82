/*-------------------------------------------------------------------------
 *
 * attribute.c
 *		One attribute's value, as its column stores it.
 *
 * IDENTIFICATION
 *		src/attribute.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "attribute.h"
#include "iso8601.h"
#include "mb/pg_wchar.h"
#include "privacy.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

static Datum
raw_text(const JsonSlice *value)
{
	return PointerGetDatum(cstring_to_text_with_len(value->raw, value->raw_len));
}

static bool
misfit(const EntityColumn *column, const JsonSlice *value, char **problem)
{
	/* enough to see what came; the whole is in the dead letter */
	int			shown = Min(value->raw_len, 60);

	*problem = psprintf("attribute \"%s\" is no %s: %s", column->name,
						column->type == COLUMN_TIMESTAMP ? "timestamp" :
						column->type == COLUMN_DATE ? "date" :
						column->type == COLUMN_BIGINT ? "integer" :
						column->type == COLUMN_NUMERIC ? "number" : "boolean",
						pnstrdup(value->raw, pg_mbcliplen(value->raw, value->raw_len, shown)));
	return false;
}

/*
 * parse_integer: also as 3.0 or 1e3, which JSON calls the same.
 */
static bool
parse_integer(const char *text, int64 *number)
{
	char	   *end;
	double		real;

	errno = 0;
	*number = strtoll(text, &end, 10);
	if (errno == 0 && end > text && *end == '\0')
		return true;

	/* beyond 2^53 a double has no units any more */
	errno = 0;
	real = strtod(text, &end);
	if (errno != 0 || end == text || *end != '\0' || strpbrk(text, "xXnN") != NULL ||
		fabs(real) > 9007199254740992.0 || real != rint(real))
		return false;
	*number = (int64) real;
	return true;
}

/*
 * is_empty: "" for a date, a number or a boolean is none.
 */
static bool
is_empty(const EntityColumn *column, const JsonSlice *value)
{
	return value->kind == JSON_KIND_STRING && value->text_len == 0 &&
		column->type != COLUMN_TEXT && column->type != COLUMN_JSONB;
}

static bool
typed_value(const EntityColumn *column, const JsonSlice *value, Datum *datum, char **problem)
{
	int64		number;
	int			days;

	switch (column->type)
	{
		case COLUMN_TEXT:
			*datum = value->kind == JSON_KIND_STRING ?
				PointerGetDatum(cstring_to_text_with_len(value->text, value->text_len)) :
				raw_text(value);
			return true;

		case COLUMN_TIMESTAMP:
			if (value->kind != JSON_KIND_STRING || !iso8601_parse(value->text, &number))
				return misfit(column, value, problem);
			*datum = TimestampTzGetDatum(number - DAYS_1970_TO_2000 * USECS_PER_DAY);
			return true;

		case COLUMN_DATE:
			if (value->kind != JSON_KIND_STRING || !iso8601_parse_date(value->text, &days))
				return misfit(column, value, problem);
			*datum = DateADTGetDatum(days - DAYS_1970_TO_2000);
			return true;

		case COLUMN_BIGINT:
			if (value->text == NULL || !parse_integer(value->text, &number))
				return misfit(column, value, problem);
			*datum = Int64GetDatum(number);
			return true;

		case COLUMN_NUMERIC:
			if (value->text == NULL || value->text[0] == '\0' ||
				value->text[strspn(value->text, "+-.0123456789eE")] != '\0')
				return misfit(column, value, problem);
			*datum = DirectFunctionCall3(numeric_in, CStringGetDatum(value->text),
										 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
			return true;

		case COLUMN_BOOLEAN:
			if (value->kind == JSON_KIND_TRUE ||
				(value->kind == JSON_KIND_STRING && strcmp(value->text, "true") == 0))
				*datum = BoolGetDatum(true);
			else if (value->kind == JSON_KIND_FALSE ||
					 (value->kind == JSON_KIND_STRING && strcmp(value->text, "false") == 0))
				*datum = BoolGetDatum(false);
			else
				return misfit(column, value, problem);
			return true;

		case COLUMN_JSONB:
			*datum = DirectFunctionCall1(jsonb_in,
										 CStringGetDatum(pnstrdup(value->raw, value->raw_len)));
			return true;

		case COLUMN_TEXT_ARRAY:
			break;
	}
	elog(ERROR, "column \"%s\" has no attribute", column->name);
}

char *
attribute_digest(const JsonSlice *value)
{
	return value->text != NULL ? privacy_digest(value->text, value->text_len) :
		privacy_digest(value->raw, value->raw_len);
}

bool
attribute_convert(const EntityColumn *column, const JsonSlice *value,
				  Datum *datum, bool *isnull, char **problem)
{
	*datum = (Datum) 0;
	*isnull = value->kind == JSON_KIND_NULL || is_empty(column, value);
	if (*isnull)
		return true;
	if (column->privacy == PRIVACY_HASH)
	{
		*datum = CStringGetTextDatum(attribute_digest(value));
		return true;
	}
	return typed_value(column, value, datum, problem);
}
