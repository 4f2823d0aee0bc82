/*-------------------------------------------------------------------------
 *
 * cron_text_test.c
 *	  Cron texts: what is one, and when it is due, against a walk over every minute
 *	  by the calendar of the C library.
 *
 * IDENTIFICATION
 *	  test/unit/cron_text_test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <time.h>

#include "cron_text.h"
#include "unit.h"
#include "unit_random.h"

#define RANDOM_TEXTS	4000
#define WALKED_MINUTES	(3 * 24 * 60)
#define WALKED_DAYS		(40 * 366)

/* A field as a random text, and what it means. */
typedef struct ModelField
{
	char		text[80];
	bool		has[60];
	bool		star;
} ModelField;

static const char *const month_names[] =
{"", "Jan", "feb", "MAR", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"};
static const char *const weekday_names[] = {"Sun", "mon", "TUE", "wed", "thu", "fri", "sat", "7"};

static void
add_number(ModelField *field, int number, const char *const *names)
{
	char	   *end = field->text + strlen(field->text);

	if (names != NULL && random_below(2) == 0)
		sprintf(end, "%s", names[number]);
	else
		sprintf(end, "%d", number);
}

/* A random field: a star, or a list of numbers and ranges, some with steps. */
static void
make_field(ModelField *field, int low, int high, const char *const *names)
{
	int			parts = 1 + random_below(3);

	memset(field, 0, sizeof(ModelField));
	for (int part = 0; part < parts; part++)
	{
		int			first = low;
		int			last = high;
		int			step = 1;
		bool		single = false;

		if (part > 0)
			strcat(field->text, ",");
		if (random_below(3) == 0)
		{
			strcat(field->text, "*");
			field->star = field->star || part == 0;
		}
		else
		{
			first = low + random_below(high - low + 1);
			add_number(field, first, names);
			single = random_below(2) == 0;
			last = single ? first : first + random_below(high - first + 1);
			if (!single)
			{
				strcat(field->text, "-");
				add_number(field, last, names);
			}
		}
		if (!single && random_below(2) == 0)
		{
			step = 1 + random_below(high);
			sprintf(field->text + strlen(field->text), "/%d", step);
		}
		for (int i = first; i <= last; i += step)
			field->has[i] = true;
	}
}

static bool
model_due(const ModelField *fields, int64 at)
{
	time_t		seconds = (time_t) at;
	struct tm	tm;
	bool		day;
	bool		weekday;

	gmtime_r(&seconds, &tm);
	day = fields[2].has[tm.tm_mday];
	weekday = fields[4].has[tm.tm_wday] || (tm.tm_wday == 0 && fields[4].has[7]);
	return fields[0].has[tm.tm_min] && fields[1].has[tm.tm_hour] && fields[3].has[tm.tm_mon + 1] &&
		(fields[2].star || fields[4].star ? day && weekday : day || weekday);
}

/* The first minute after that at which the model is due; 0 if there is none. */
static int64
model_next(const ModelField *fields, int64 after)
{
	int64		at = after - after % 60 + 60;

	/* minute by minute for some days, then on days that fit alone */
	for (int i = 0; i < WALKED_MINUTES; i++, at += 60)
	{
		if (model_due(fields, at))
			return at;
	}
	at -= at % 86400;
	for (int day = 0; day < WALKED_DAYS; day++, at += 86400)
	{
		ModelField	any_time[5];

		memcpy(any_time, fields, sizeof(any_time));
		any_time[0].has[0] = any_time[1].has[0] = true;
		if (!model_due(any_time, at))
			continue;
		for (int minute = 0; minute < 1440; minute++)
		{
			if (model_due(fields, at + minute * 60))
				return at + minute * 60;
		}
	}
	return 0;
}

static void
test_random_texts(void)
{
	for (int i = 0; i < RANDOM_TEXTS; i++)
	{
		ModelField	fields[5];
		char		text[CRON_TEXT_SIZE * 2];
		char		problem[200] = "";
		CronText	cron;
		int64		after = (int64) random_below(2000000000) * 2;
		int64		next = 0;
		int64		expected;

		make_field(&fields[0], 0, 59, NULL);
		make_field(&fields[1], 0, 23, NULL);
		make_field(&fields[2], 1, 31, NULL);
		make_field(&fields[3], 1, 12, month_names);
		make_field(&fields[4], 0, 7, weekday_names);
		sprintf(text, "%s %s  %s\t%s %s ", fields[0].text, fields[1].text, fields[2].text, fields[3].text,
				fields[4].text);
		if (!CHECK_MSG(cron_parse(text, &cron, problem, sizeof(problem)), "%s: %s", text, problem))
			continue;
		expected = model_next(fields, after);
		CHECK_MSG(cron_next(&cron, after, &next) == (expected != 0), "%s after %lld", text, (long long) after);
		CHECK_MSG(next == expected, "%s after %lld: %lld, should be %lld", text, (long long) after,
				  (long long) next, (long long) expected);
	}
}

static int64
next_of(const char *text, int64 after)
{
	CronText	cron;
	char		problem[200];
	int64		next;

	if (!cron_parse(text, &cron, problem, sizeof(problem)) || !cron_next(&cron, after, &next))
		return -1;
	return next;
}

static int64
at(int year, int month, int day, int hour, int minute)
{
	struct tm	tm = {.tm_year = year - 1900,.tm_mon = month - 1,.tm_mday = day,.tm_hour = hour,.tm_min = minute};

	return (int64) timegm(&tm);
}

static void
test_known_times(void)
{
	int64		now = at(2026, 11, 27, 12, 34) + 56;	/* a Friday */

	CHECK_INT(next_of("* * * * *", now), at(2026, 11, 27, 12, 35));
	CHECK_INT(next_of("* * * * *", at(2026, 11, 27, 12, 35)), at(2026, 11, 27, 12, 36));
	CHECK_INT(next_of("0 2 * * *", now), at(2026, 11, 28, 2, 0));
	CHECK_INT(next_of("*/15 12 * * *", now), at(2026, 11, 27, 12, 45));
	CHECK_INT(next_of("0 0 29 2 *", now), at(2028, 2, 29, 0, 0));
	CHECK_INT(next_of("0 0 29 2 *", at(2096, 3, 1, 0, 0)), at(2104, 2, 29, 0, 0));
	CHECK_INT(next_of("0 0 1 * mon", now), at(2026, 11, 30, 0, 0)); /* either */
	CHECK_INT(next_of("0 0 1 * *", now), at(2026, 12, 1, 0, 0));
	CHECK_INT(next_of("0 0 */10 * mon", now), at(2026, 12, 21, 0, 0));	/* both */
	CHECK_INT(next_of("0 0 * * 7", now), at(2026, 11, 29, 0, 0));
	CHECK_INT(next_of("0 6 $ * *", now), at(2026, 11, 30, 6, 0));
	CHECK_INT(next_of("0 6 $ 2 *", now), at(2027, 2, 28, 6, 0));
	CHECK_INT(next_of("@hourly", now), at(2026, 11, 27, 13, 0));
	CHECK_INT(next_of("@daily", now), at(2026, 11, 28, 0, 0));
	CHECK_INT(next_of("@midnight", now), at(2026, 11, 28, 0, 0));
	CHECK_INT(next_of("@weekly", now), at(2026, 11, 29, 0, 0));
	CHECK_INT(next_of("@monthly", now), at(2026, 12, 1, 0, 0));
	CHECK_INT(next_of("@yearly", now), at(2027, 1, 1, 0, 0));
	CHECK_INT(next_of("@annually", now), at(2027, 1, 1, 0, 0));
	CHECK_INT(next_of("@reboot", now), -1);
	CHECK_INT(next_of("30 seconds", now), now + 30);
	CHECK_INT(next_of("1 second", now), now + 1);
	CHECK_INT(next_of("0 0 31 2,4,6,9,11 *", now), -1);
}

static void
test_refusals(void)
{
	static const char *const wrong[] = {
		"", " ", "*", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 0 *",
		"* * * 13 *", "* * * * 8", "-1 * * * *", "5-1 * * * *", "1-60 * * * *", "*/0 * * * *", "*/60 * * * *",
		"5/2 * * * *", "1,,2 * * * *", "1, * * * *", ",1 * * * *", "*5 * * * *", "1x * * * *", "x * * * *",
		"jan * * * *", "* * * januar *", "* * * * monday", "* * mon * *", "1- * * * *", "*/ * * * *", "*/2-5 * * * *",
		"99999999999 * * * *", "$ * * * *", "* * $,5 * *", "@hour", "@HOURLY", "@", "@daily 5", "0 seconds",
		"60 seconds", "x seconds", "1.5 seconds", "30 minutes", "30 seconds 5", "1 * * * *\n", "1;2 * * * *",
		"'1' * * * *"
	};
	char		problem[200];
	char		text[CRON_TEXT_SIZE + 1];
	CronText	cron;

	for (size_t i = 0; i < lengthof(wrong); i++)
	{
		problem[0] = '\0';
		CHECK_MSG(!cron_parse(wrong[i], &cron, problem, sizeof(problem)), "accepted: \"%s\"", wrong[i]);
		CHECK_MSG(problem[0] != '\0', "no problem with \"%s\"", wrong[i]);
	}
	memset(text, ' ', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	CHECK(!cron_parse(text, &cron, problem, sizeof(problem)));
	CHECK_STR(problem, "it is longer than 198 characters");
	CHECK(!cron_parse("61 * * * *", &cron, problem, sizeof(problem)));
	CHECK_STR(problem, "\"61\" is no minute: write *, or numbers from 0 to 59, ranges (0-1) and steps (*/2)");
}

static void
test_forms(void)
{
	CronText	cron;
	char		problem[200];

	CHECK(cron_parse(" 5\t4  * * sun ", &cron, problem, sizeof(problem)));
	CHECK_STR(cron.text, "5 4 * * sun");
	CHECK_INT(cron.pg_cron_minor, 0);
	CHECK(cron_parse("5 4 $ * *", &cron, problem, sizeof(problem)));
	CHECK_INT(cron.pg_cron_minor, 6);
	CHECK(cron_parse("5 Seconds", &cron, problem, sizeof(problem)));
	CHECK_INT(cron.pg_cron_minor, 5);

	/* the same in every version, for schedules move to other machines */
	CHECK(cron_name_hash("a") == (UINT64CONST(0xAF63DC4C8601EC8C) ^ UINT64CONST(0xAF63DC4C)));
}

/* A thousand organisations are spread, always alike, and never past the next time. */
static void
test_offsets(void)
{
	static const struct
	{
		const char *text;
		int64		spread_ms;
	}			cases[] = {
		{"* * * * *", 6000}, {"0 * * * *", 360000}, {"0 2 * * *", 600000}, {"10 seconds", 1000}, {"@reboot", 60000}
	};
	char		problem[200];
	CronText	cron;

	for (size_t i = 0; i < lengthof(cases); i++)
	{
		int			tenths[10] = {0};
		int64		due = at(2026, 11, 27, 2, 0);

		CHECK(cron_parse(cases[i].text, &cron, problem, sizeof(problem)));
		for (int org = 0; org < 1000; org++)
		{
			char		name[20];
			int64		offset;

			sprintf(name, "org%d", org);
			offset = cron_offset_ms(&cron, name, due);
			if (CHECK(offset >= 0 && offset < cases[i].spread_ms))
				tenths[offset * 10 / cases[i].spread_ms]++;
			CHECK_INT(cron_offset_ms(&cron, name, due), offset);
		}
		for (int tenth = 0; tenth < 10; tenth++)
			CHECK_MSG(tenths[tenth] > 50 && tenths[tenth] < 150, "%s: %d of 1000 in tenth %d", cases[i].text,
					  tenths[tenth], tenth);
	}
}

int
main(void)
{
	test_random_texts();
	test_known_times();
	test_refusals();
	test_forms();
	test_offsets();
	return unit_summary();
}
