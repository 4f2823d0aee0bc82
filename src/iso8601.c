/*-------------------------------------------------------------------------
 *
 * iso8601.c
 *		Dates and timestamps as the API writes them.
 *
 * Pure, and never raises an error: PostgreSQL's own input functions accept
 * far more (so that a typing error becomes a wrong date) and throw.
 *
 * IDENTIFICATION
 *		src/iso8601.c
 *
 *-------------------------------------------------------------------------
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include "iso8601.h"

#define SECONDS_PER_DAY	86400

/* digits: exactly n digits as a number, or -1. */
static int
digits(const char **cursor, int n)
{
	int			value = 0;

	for (int i = 0; i < n; i++, (*cursor)++)
	{
		if (**cursor < '0' || **cursor > '9')
			return -1;
		value = value * 10 + (**cursor - '0');
	}
	return value;
}

static bool
literal(const char **cursor, char c)
{
	if (**cursor != c)
		return false;
	(*cursor)++;
	return true;
}

/*
 * days_from_civil: days since 1970-01-01 in the proleptic Gregorian calendar.
 * Counts in eras of 400 years that begin in March, so that the leap day is
 * the last of a year.
 */
static int
days_from_civil(int year, int month, int day)
{
	int			era;
	int			year_of_era;
	int			day_of_year;

	if (month <= 2)
		year--;
	era = year / 400;
	year_of_era = year - era * 400;
	day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
		day_of_year - 719468;
}

static bool
parse_day(const char **cursor, int *days)
{
	static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int			year = digits(cursor, 4);
	int			month = literal(cursor, '-') ? digits(cursor, 2) : -1;
	int			day = month > 0 && literal(cursor, '-') ? digits(cursor, 2) : -1;
	bool		leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	if (year < 1 || month < 1 || month > 12 || day < 1 ||
		day > month_days[month - 1] + (month == 2 && leap ? 1 : 0))
		return false;
	*days = days_from_civil(year, month, day);
	return true;
}

bool
iso8601_parse_date(const char *text, int *days)
{
	return parse_day(&text, days) && *text == '\0';
}

bool
iso8601_parse(const char *text, int64 *unix_us)
{
	int			days;
	int			hour;
	int			minute;
	int			second;
	int			fraction = 0;
	int			offset = 0;

	if (!parse_day(&text, &days))
		return false;
	if (!literal(&text, 'T') && !literal(&text, ' '))
		return false;
	hour = digits(&text, 2);
	minute = literal(&text, ':') ? digits(&text, 2) : -1;
	second = minute >= 0 && literal(&text, ':') ? digits(&text, 2) : -1;
	if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
		return false;

	if (literal(&text, '.'))
	{
		int			scale = 100000;

		if (*text < '0' || *text > '9')
			return false;
		for (; *text >= '0' && *text <= '9'; text++, scale /= 10)
			fraction += (*text - '0') * scale;
	}

	if (!literal(&text, 'Z'))
	{
		int			sign = *text == '-' ? -1 : 1;
		int			hours;
		int			minutes;

		if (!literal(&text, '+') && !literal(&text, '-'))
			return false;
		hours = digits(&text, 2);
		(void) literal(&text, ':');
		minutes = hours >= 0 ? digits(&text, 2) : -1;
		if (hours < 0 || hours > 15 || minutes < 0 || minutes > 59)
			return false;
		offset = sign * (hours * 3600 + minutes * 60);
	}
	if (*text != '\0')
		return false;

	*unix_us = ((int64) days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second - offset) *
		INT64CONST(1000000) + fraction;
	return true;
}

void
iso8601_format(int64 unix_seconds, char out[ISO8601_LEN])
{
	int64		days = unix_seconds / SECONDS_PER_DAY;
	int			rest = (int) (unix_seconds % SECONDS_PER_DAY);
	int			era;
	int			day_of_era;
	int			year_of_era;
	int			day_of_year;
	int			month;

	if (rest < 0)
	{
		rest += SECONDS_PER_DAY;
		days--;
	}
	days += 719468;
	era = (int) (days / 146097);
	day_of_era = (int) (days - (int64) era * 146097);
	year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	month = (5 * day_of_year + 2) / 153;
	snprintf(out, ISO8601_LEN, "%04d-%02d-%02dT%02d:%02d:%02dZ",
			 (year_of_era + era * 400 + (month >= 10 ? 1 : 0)) % 10000,
			 month < 10 ? month + 3 : month - 9,
			 day_of_year - (153 * month + 2) / 5 + 1,
			 rest / 3600, rest / 60 % 60, rest % 60);
}
