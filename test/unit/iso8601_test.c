/*-------------------------------------------------------------------------
 *
 * iso8601_test.c
 *	  Dates and timestamps, beside the C library's calendar.
 *
 * IDENTIFICATION
 *	  test/unit/iso8601_test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <time.h>

#include "iso8601.h"
#include "unit.h"

#define USECS INT64CONST(1000000)
#define DAY 86400

/* 0001-01-01 and 9999-12-31 in days since 1970-01-01 */
#define FIRST_DAY (-719162)
#define LAST_DAY 2932896

static void
check_timestamp(const char *text, int64 expected)
{
	int64		unix_us = 0;

	if (CHECK_MSG(iso8601_parse(text, &unix_us), "%s", text))
		CHECK_INT(unix_us, expected);
}

static void
check_no_timestamp(const char *text)
{
	int64		unix_us;

	CHECK_MSG(!iso8601_parse(text, &unix_us), "\"%s\"", text);
}

static void
check_no_date(const char *text)
{
	int			days;

	CHECK_MSG(!iso8601_parse_date(text, &days), "\"%s\"", text);
}

static void
test_timestamps(void)
{
	const int64 t = 1714551309 * USECS; /* date -d 2024-05-01T08:15:09Z +%s */

	check_timestamp("1970-01-01T00:00:00Z", 0);
	check_timestamp("2024-05-01T08:15:09Z", t);
	check_timestamp("2024-05-01 08:15:09Z", t);
	check_timestamp("1969-12-31T23:59:59.999999Z", -1);

	/* as fine as PostgreSQL is; what is finer is cut off */
	check_timestamp("2024-05-01T08:15:09.5Z", t + 500000);
	check_timestamp("2024-05-01T08:15:09.000001Z", t + 1);
	check_timestamp("2024-05-01T08:15:09.12345678901234567890Z", t + 123456);

	check_timestamp("2024-05-01T08:15:09+00:00", t);
	check_timestamp("2024-05-01T10:15:09+02:00", t);
	check_timestamp("2024-05-01T10:15:09+0200", t);
	check_timestamp("2024-05-01T02:45:09.25-05:30", t + 250000);
	check_timestamp("2024-04-30T17:15:09-15:00", t);
	check_timestamp("2024-01-01T00:00:00+14:00", (INT64CONST(1704067200) - 14 * 3600) * USECS);

	/* a leap second is the first of the next minute, as PostgreSQL has it */
	check_timestamp("2016-12-31T23:59:60Z", INT64CONST(1483228800) * USECS);
}

static void
test_no_timestamps(void)
{
	static const char *const texts[] = {
		"", "Z", "T", "2024", "2024-05-01", "2024-05-01T", "2024-05-01T08", "2024-05-01T08:15",
		"2024-05-01T08:15Z", "2024-05-01T08:15:09", "2024-05-01T08:15:09z", "2024-05-01t08:15:09Z",
		"2024-05-01T08:15:09ZZ", "2024-05-01T08:15:09Z ", " 2024-05-01T08:15:09Z",
		"2024-05-01T08:15:09.Z", "2024-05-01T08:15:09,5Z", "2024-05-01T08:15:9Z",
		"2024-5-1T08:15:09Z", "24-05-01T08:15:09Z", "12024-05-01T08:15:09Z", "-2024-05-01T08:15:09Z",
		"2024-05-01T24:00:00Z", "2024-05-01T08:60:09Z", "2024-05-01T08:15:61Z", "2024-05-01T-8:15:09Z",
		"2024-00-01T08:15:09Z", "2024-13-01T08:15:09Z", "2024-05-00T08:15:09Z", "2024-05-32T08:15:09Z",
		"2023-02-29T08:15:09Z", "0000-01-01T00:00:00Z",
		"2024-05-01T08:15:09+", "2024-05-01T08:15:09+2", "2024-05-01T08:15:09+02", "2024-05-01T08:15:09+02:0",
		"2024-05-01T08:15:09+02:60", "2024-05-01T08:15:09+16:00", "2024-05-01T08:15:09+02:00Z", "2024-05-01T08:15:09 +02:00",
		"infinity", "now", "May 1, 2024", "20240501T081509Z", "2024-121T08:15:09Z", "1714551309",
	};

	for (int i = 0; i < (int) lengthof(texts); i++)
		check_no_timestamp(texts[i]);
}

static void
test_dates(void)
{
	static const char *const texts[] = {
		"", "2024", "2024-05", "2024-05-", "2024-05-1", "2024-05-01 ", "2024-05-01T00:00:00Z", "2024-02-30",
		"2023-02-29", "1900-02-29", "2100-02-29", "2024-04-31", "0000-05-01", "01-05-2024", "2024/05/01",
	};
	int			days;

	CHECK(iso8601_parse_date("1970-01-01", &days) && days == 0);
	CHECK(iso8601_parse_date("2000-02-29", &days) && days == 11016);
	CHECK(iso8601_parse_date("1969-12-31", &days) && days == -1);
	for (int i = 0; i < (int) lengthof(texts); i++)
		check_no_date(texts[i]);
}

/*
 * Every day that has four digits of a year, as the C library has it.
 */
static void
test_every_day(void)
{
	int			wrong = 0;

	for (int day = FIRST_DAY; day <= LAST_DAY; day++)
	{
		/* a time of day that differs from day to day */
		int64		seconds = (int64) day * DAY + (day - FIRST_DAY) * INT64CONST(7919) % DAY;
		time_t		t = seconds;
		struct tm	tm;
		char		expected[40];
		char		text[ISO8601_LEN];
		int			days = 0;
		int64		unix_us = 0;

		(void) gmtime_r(&t, &tm);
		snprintf(expected, sizeof(expected), "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900,
				 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
		iso8601_format(seconds, text);
		wrong += strcmp(text, expected) != 0 || !iso8601_parse(text, &unix_us) || unix_us != seconds * USECS;
		text[strlen("2024-05-01")] = '\0';
		wrong += !iso8601_parse_date(text, &days) || days != day;
	}
	CHECK_INT(wrong, 0);
}

/*
 * Any text is read without harm: the sanitizers watch.
 */
static void
test_garbage(void)
{
	const char *model = "2024-05-01T08:15:09.123456+02:00";
	uint64		state = 1;

	for (int run = 0; run < 200000; run++)
	{
		char	   *text = pstrdup(model);
		int			len = strlen(model);
		int64		unix_us;
		int			days;

		for (int change = 0; change < 3; change++)
		{
			state = state * UINT64CONST(6364136223846793005) + 1442695040888963407;
			text[(state >> 33) % len] = "0123456789-+:.TZ \0"[(state >> 40) % 18];
		}
		(void) iso8601_parse(text, &unix_us);
		(void) iso8601_parse_date(text, &days);
		pfree(text);
	}
	CHECK(true);
}

int
main(void)
{
	test_timestamps();
	test_no_timestamps();
	test_dates();
	test_every_day();
	test_garbage();
	return unit_summary();
}
