/*-------------------------------------------------------------------------
 *
 * stamp.c
 *	  Clocks, time stamps in microseconds and calendar days.
 *
 * The API stores sub-second stamps and shows whole seconds, always in UTC; a
 * date without a time is a whole day in the organisation's time zone.
 *
 * Owns: the process's TZ variable (one thread, so it can be switched).
 * Must never round up: output is truncated, as the API does.
 *
 * IDENTIFICATION
 *	  test/simulator/stamp.c
 *
 *-------------------------------------------------------------------------
 */
#include "stamp.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* How far the API's clock is ahead of the real one. */
static int64_t api_ahead;

/*
 * stamp_now returns the wall clock in microseconds since 1970.
 */
int64_t
stamp_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t) ts.tv_sec * USECS_PER_SEC + ts.tv_nsec / 1000;
}

/*
 * stamp_api_now returns what the API takes for the time: it stamps changes with
 * it, and replies.
 */
int64_t
stamp_api_now(void)
{
	return stamp_now() + api_ahead;
}

/*
 * stamp_set_api_clock sets how far the API's clock is ahead of the real one.
 */
void
stamp_set_api_clock(int64_t ahead)
{
	api_ahead = ahead;
}

/*
 * stamp_monotonic returns a clock that never steps, for rates and timers.
 */
int64_t
stamp_monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t) ts.tv_sec * USECS_PER_SEC + ts.tv_nsec / 1000;
}

/*
 * floor_div divides rounding towards minus infinity (years before 1970).
 */
static int64_t
floor_div(int64_t value, int64_t by)
{
	int64_t		quotient = value / by;

	return (value % by < 0) ? quotient - 1 : quotient;
}

/*
 * days_from_civil counts the days from 1970-01-01 to a Gregorian date.
 */
static int64_t
days_from_civil(int64_t year, int month, int day)
{
	int64_t		era;
	int64_t		year_of_era;
	int64_t		day_of_year;

	year -= month <= 2;
	era = floor_div(year, 400);
	year_of_era = year - era * 400;
	day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + year_of_era * 365 + year_of_era / 4 -
		year_of_era / 100 + day_of_year - 719468;
}

/*
 * civil_from_days is the inverse of days_from_civil.
 */
static void
civil_from_days(int64_t days, int *year, int *month, int *day)
{
	int64_t		era;
	int64_t		day_of_era;
	int64_t		year_of_era;
	int64_t		day_of_year;
	int64_t		shifted;

	days += 719468;
	era = floor_div(days, 146097);
	day_of_era = days - era * 146097;
	year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
				   day_of_era / 146096) / 365;
	day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 -
								year_of_era / 100);
	shifted = (5 * day_of_year + 2) / 153;
	*day = (int) (day_of_year - (153 * shifted + 2) / 5 + 1);
	*month = (int) (shifted < 10 ? shifted + 3 : shifted - 9);
	*year = (int) (year_of_era + era * 400 + (*month <= 2));
}

/*
 * stamp_of_year returns midnight UTC of January 1st.
 */
int64_t
stamp_of_year(int year)
{
	return days_from_civil(year, 1, 1) * USECS_PER_DAY;
}

/*
 * two_digits writes a number below 100 and returns the place after it.
 */
static char *
two_digits(char *at, int value)
{
	*at++ = (char) ('0' + value / 10);
	*at++ = (char) ('0' + value % 10);
	return at;
}

/*
 * put_day writes YYYY-MM-DD and returns the place after it.
 */
static char *
put_day(char *at, int64_t days)
{
	int			year,
				month,
				day;

	civil_from_days(days, &year, &month, &day);
	at = two_digits(at, year / 100 % 100);
	at = two_digits(at, year % 100);
	*at++ = '-';
	at = two_digits(at, month);
	*at++ = '-';
	return two_digits(at, day);
}

/*
 * put_stamp writes date, separator and time of day, truncated to seconds.
 * Written by hand because two of these stand in every rendered record.
 */
static char *
put_stamp(char *at, int64_t stamp, char separator)
{
	int64_t		seconds = floor_div(stamp, USECS_PER_SEC);
	int64_t		days = floor_div(seconds, 86400);
	int			rest = (int) (seconds - days * 86400);

	at = put_day(at, days);
	*at++ = separator;
	at = two_digits(at, rest / 3600);
	*at++ = ':';
	at = two_digits(at, rest / 60 % 60);
	*at++ = ':';
	return two_digits(at, rest % 60);
}

/*
 * stamp_iso appends 2024-05-01T08:15:09Z, the API's form.
 */
void
stamp_iso(sim_buf *buf, int64_t stamp)
{
	char		text[24];
	char	   *end = put_stamp(text, stamp, 'T');

	*end++ = 'Z';
	buf_add(buf, text, (size_t) (end - text));
}

/*
 * stamp_iso_fraction appends the stored stamp with its microseconds.
 */
void
stamp_iso_fraction(sim_buf *buf, int64_t stamp)
{
	char		text[24];
	char	   *end = put_stamp(text, stamp, 'T');
	int64_t		fraction = stamp - floor_div(stamp, USECS_PER_SEC) * USECS_PER_SEC;

	buf_add(buf, text, (size_t) (end - text));
	buf_printf(buf, ".%06dZ", (int) fraction);
}

/*
 * stamp_http appends Wed, 01 May 2024 08:15:09 GMT, the form of the Date header.
 */
void
stamp_http(sim_buf *buf, int64_t stamp)
{
	time_t		seconds = (time_t) floor_div(stamp, USECS_PER_SEC);
	struct tm	tm;
	char		text[32];
	size_t		length;

	gmtime_r(&seconds, &tm);
	length = strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	buf_add(buf, text, length);
}

/*
 * stamp_copy appends 2024-05-01 08:15:09+00, as PostgreSQL prints it in UTC.
 */
void
stamp_copy(sim_buf *buf, int64_t stamp)
{
	char		text[24];
	char	   *end = put_stamp(text, stamp, ' ');

	buf_add(buf, text, (size_t) (end - text));
	buf_str(buf, "+00");
}

/*
 * day_iso appends YYYY-MM-DD.
 */
void
day_iso(sim_buf *buf, int64_t day)
{
	char		text[12];
	char	   *end = put_day(text, day);

	buf_add(buf, text, (size_t) (end - text));
}

/*
 * read_digits reads exactly count digits.
 */
static bool
read_digits(const char **text, int count, int *value)
{
	*value = 0;
	for (int i = 0; i < count; i++, (*text)++)
	{
		if (!isdigit((unsigned char) **text))
			return false;
		*value = *value * 10 + (**text - '0');
	}
	return true;
}

/*
 * read_date reads YYYY-MM-DD and checks that the day exists.
 */
static bool
read_date(const char **text, int *year, int *month, int *day)
{
	int			y,
				m,
				d;

	if (!read_digits(text, 4, year) || *(*text)++ != '-' ||
		!read_digits(text, 2, month) || *(*text)++ != '-' ||
		!read_digits(text, 2, day))
		return false;
	if (*month < 1 || *month > 12 || *day < 1 || *day > 31)
		return false;
	civil_from_days(days_from_civil(*year, *month, *day), &y, &m, &d);
	return m == *month && d == *day;
}

/*
 * day_parse reads a date, or the date part of a time stamp, as a day number.
 */
bool
day_parse(const char *text, int64_t *day)
{
	int			year,
				month,
				mday;

	if (!read_date(&text, &year, &month, &mday))
		return false;
	if (*text != '\0' && *text != 'T' && *text != ' ')
		return false;
	*day = days_from_civil(year, month, mday);
	return true;
}

/*
 * local_seconds turns local wall-clock time in a zone into UTC seconds.
 */
static int64_t
local_seconds(const char *zone, int year, int month, int day, int seconds)
{
	struct tm	tm;
	const char *current = getenv("TZ");

	if (current == NULL || strcmp(current, zone) != 0)
	{
		setenv("TZ", zone, 1);
		tzset();
	}
	memset(&tm, 0, sizeof(tm));
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	tm.tm_mday = day;
	tm.tm_hour = seconds / 3600;
	tm.tm_min = seconds / 60 % 60;
	tm.tm_sec = seconds % 60;
	tm.tm_isdst = -1;
	return (int64_t) mktime(&tm);
}

/*
 * read_clock reads HH:MM[:SS[.fraction]].
 */
static bool
read_clock(const char **text, int *seconds, int64_t *usecs)
{
	int			hour,
				minute,
				second = 0;
	int64_t		unit = USECS_PER_SEC / 10;

	*usecs = 0;
	if (!read_digits(text, 2, &hour) || *(*text)++ != ':' ||
		!read_digits(text, 2, &minute))
		return false;
	if (**text == ':')
	{
		(*text)++;
		if (!read_digits(text, 2, &second))
			return false;
		if (**text == '.')
			for ((*text)++; isdigit((unsigned char) **text); (*text)++, unit /= 10)
				*usecs += (**text - '0') * unit;
	}
	*seconds = hour * 3600 + minute * 60 + second;
	return hour < 24 && minute < 60 && second < 61;
}

/*
 * stamp_parse reads a value of a date_time condition as the closed range of
 * stamps that it means: one instant, or for a bare date the whole local day.
 */
bool
stamp_parse(const char *text, const char *zone, int64_t *first, int64_t *last)
{
	int			year,
				month,
				day,
				seconds;
	int64_t		usecs;

	if (!read_date(&text, &year, &month, &day))
		return false;
	if (*text == '\0')
	{
		*first = local_seconds(zone, year, month, day, 0) * USECS_PER_SEC;
		*last = local_seconds(zone, year, month, day + 1, 0) * USECS_PER_SEC - 1;
		return true;
	}
	if (*text != 'T' && *text != ' ')
		return false;
	text++;
	if (!read_clock(&text, &seconds, &usecs))
		return false;
	if (*text == '\0')
		*first = local_seconds(zone, year, month, day, seconds) * USECS_PER_SEC;
	else
	{
		int			sign = *text == '-' ? -1 : 1;
		int			hours = 0,
					minutes = 0;

		if (*text == 'Z' || *text == 'z')
			text++;
		else if (*text == '+' || *text == '-')
		{
			text++;
			if (!read_digits(&text, 2, &hours))
				return false;
			if (*text == ':')
				text++;
			if (!read_digits(&text, 2, &minutes))
				return false;
		}
		if (*text != '\0')
			return false;
		*first = days_from_civil(year, month, day) * USECS_PER_DAY +
			(seconds - sign * (hours * 3600 + minutes * 60)) * USECS_PER_SEC;
	}
	*first += usecs;
	*last = *first;
	return true;
}
