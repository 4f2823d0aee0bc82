/*-------------------------------------------------------------------------
 *
 * cron_text.c
 *		Cron texts: what pg_cron understands by them, and when they are due.
 *
 * pg_cron's own parser overlooks much: what comes behind the fifth field, letters
 * behind a '*'.  That is refused here, for whoever wrote it meant something.
 *
 * IDENTIFICATION
 *		src/cron_text.c
 *
 *-------------------------------------------------------------------------
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include <ctype.h>

#include "cron_text.h"

#define SECONDS_A_DAY		86400
#define MINUTES_A_DAY		1440

/* The calendar, weekdays included, comes round in 28 years; with a century's in 40. */
#define MAX_DAYS			(40 * 366)

#define MAX_OFFSET_MS		(10 * 60 * 1000)

/* Between two starts of a server nobody knows how long it is. */
#define START_GAP_SECONDS	600

typedef struct Field
{
	const char *name;
	int			low;
	int			high;
	const char *const *names;	/* of the numbers from low on, or NULL */
} Field;

typedef struct Nickname
{
	const char *name;
	const char *fields;			/* NULL = at the server's start */
} Nickname;

static const char *const month_names[] =
{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

static const Field fields[] = {
	{"minute", 0, 59, NULL},
	{"hour", 0, 23, NULL},
	{"day of month", 1, 31, NULL},
	{"month", 1, 12, month_names},
	{"day of week", 0, 7, weekday_names},
};

static const Nickname nicknames[] = {
	{"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"}, {"@weekly", "0 0 * * 0"},
	{"@daily", "0 0 * * *"}, {"@midnight", "0 0 * * *"}, {"@hourly", "0 * * * *"}, {"@reboot", NULL}, {"@restart", NULL},
};

/*
 * take_number: or a name that stands for one; -1 if there is none.
 */
static int
take_number(const char **at, const Field *field, bool names)
{
	const char *begin = *at;
	int			number = 0;

	for (int i = 0; names && field->names != NULL && field->names[i] != NULL; i++)
	{
		size_t		length = strlen(field->names[i]);

		if (pg_strncasecmp(begin, field->names[i], length) == 0 && !isalnum((unsigned char) begin[length]))
		{
			*at += length;
			return field->low + i;
		}
	}
	while (isdigit((unsigned char) **at) && number < 10000)
		number = number * 10 + *(*at)++ - '0';
	return *at == begin || isalnum((unsigned char) **at) ? -1 : number;
}

/*
 * take_range: '*', '5', '5-9', each but the second with a step; false if it is none.
 */
static bool
take_range(const char **at, const Field *field, uint64 *set)
{
	int			first = field->low;
	int			last = field->high;
	int			step = 1;
	bool		single = false;

	if (**at == '*')
		(*at)++;
	else
	{
		last = first = take_number(at, field, true);
		single = **at != '-';
		if (!single)
		{
			(*at)++;
			last = take_number(at, field, true);
		}
	}
	if (**at == '/' && !single)
	{
		(*at)++;
		step = take_number(at, field, false);
	}
	if (first < field->low || last > field->high || last < first || step < 1 || step > field->high)
		return false;
	for (int i = first; i <= last; i += step)
		*set |= UINT64CONST(1) << i;
	return true;
}

static bool
parse_field(const char *text, const Field *field, uint64 *set)
{
	*set = 0;
	while (take_range(&text, field, set))
	{
		if (*text == '\0')
			return true;
		if (*text++ != ',')
			return false;
	}
	return false;
}

/*
 * split: the words in a text; -1 if there are more than max.  They are copied to
 * a buffer as large as the text.
 */
static int
split(const char *text, char *buffer, char **words, int max)
{
	int			n = 0;

	for (;;)
	{
		text += strspn(text, " \t");
		if (*text == '\0')
			return n;
		if (n == max)
			return -1;
		words[n++] = buffer;
		while (*text != '\0' && *text != ' ' && *text != '\t')
			*buffer++ = *text++;
		*buffer++ = '\0';
	}
}

static bool
parse_fields(CronText *cron, char **words, char *problem, size_t size)
{
	uint64	   *sets[] = {&cron->minutes, &cron->hours, &cron->days, &cron->months, &cron->weekdays};

	for (size_t i = 0; i < lengthof(fields); i++)
	{
		if (i == 2 && strcmp(words[i], "$") == 0)
		{
			cron->last_day = true;
			cron->pg_cron_minor = 6;
		}
		else if (!parse_field(words[i], &fields[i], sets[i]))
		{
			snprintf(problem, size, "\"%s\" is no %s: write *, or numbers from %d to %d, ranges (%d-%d) and steps (*/2)%s%s",
					 words[i], fields[i].name, fields[i].low, fields[i].high, fields[i].low, fields[i].low + 1,
					 fields[i].names != NULL ? ", or names such as " : "",
					 fields[i].names != NULL ? fields[i].names[1] : "");
			return false;
		}
	}
	cron->weekdays = (cron->weekdays | cron->weekdays >> 7) & 0x7F;
	cron->either_day = words[2][0] != '*' && words[4][0] != '*';
	return true;
}

static bool
parse_nickname(CronText *cron, const char *word, char *problem, size_t size)
{
	for (size_t i = 0; i < lengthof(nicknames); i++)
	{
		char		buffer[CRON_TEXT_SIZE];
		char	   *words[lengthof(fields)];

		if (strcmp(word, nicknames[i].name) != 0)
			continue;
		cron->at_start = nicknames[i].fields == NULL;
		if (cron->at_start)
			return true;
		(void) split(nicknames[i].fields, buffer, words, lengthof(words));
		return parse_fields(cron, words, problem, size);
	}
	snprintf(problem, size, "\"%s\" is none of @hourly, @daily, @weekly, @monthly, @yearly and @reboot", word);
	return false;
}

static bool
parse_seconds(CronText *cron, const char *word, char *problem, size_t size)
{
	static const Field seconds = {"number of seconds", 1, 59, NULL};
	int			number = take_number(&word, &seconds, false);

	if (*word != '\0' || number < seconds.low || number > seconds.high)
	{
		snprintf(problem, size, "the seconds must be from %d to %d", seconds.low, seconds.high);
		return false;
	}
	cron->seconds = number;
	cron->pg_cron_minor = 5;
	return true;
}

bool
cron_parse(const char *text, CronText *cron, char *problem, size_t size)
{
	char		buffer[CRON_TEXT_SIZE];
	char	   *words[lengthof(fields)];
	int			n;

	memset(cron, 0, sizeof(CronText));
	if (strlen(text) >= sizeof(buffer) - 1)
	{
		snprintf(problem, size, "it is longer than %d characters", (int) sizeof(buffer) - 2);
		return false;
	}
	n = split(text, buffer, words, lengthof(words));
	for (int i = 0; i < n; i++)
	{
		strlcat(cron->text, i > 0 ? " " : "", sizeof(cron->text));
		strlcat(cron->text, words[i], sizeof(cron->text));
	}

	if (n == 1 && words[0][0] == '@')
		return parse_nickname(cron, words[0], problem, size);
	if (n == 2 && (pg_strcasecmp(words[1], "seconds") == 0 || pg_strcasecmp(words[1], "second") == 0))
		return parse_seconds(cron, words[0], problem, size);
	if (n == lengthof(fields))
		return parse_fields(cron, words, problem, size);
	snprintf(problem, size, "it has %s than five fields: minute, hour, day of month, month, day of week",
			 n < 0 ? "more" : "fewer");
	return false;
}

/*
 * month_and_day: of a day since 1970, and whether it is its month's last.
 */
static void
month_and_day(int64 day, int *month, int *day_of_month, bool *last)
{
	/* years begin in March, so that a leap day is a year's last; eras have 400 of them */
	int64		shifted = day + 719468;
	int64		era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
	int			of_era = (int) (shifted - era * 146097);
	int			year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int			of_year = of_era - (365 * year + year / 4 - year / 100);
	int			index = (5 * of_year + 2) / 153;

	*day_of_month = of_year - (153 * index + 2) / 5 + 1;
	*month = index < 10 ? index + 3 : index - 9;
	if (*month != 2)
		*last = *day_of_month == ((*month == 4 || *month == 6 || *month == 9 || *month == 11) ? 30 : 31);
	else
	{
		int			next = year + 1;	/* the year of this February, within its era */

		*last = *day_of_month == ((next % 4 == 0 && (next % 100 != 0 || next % 400 == 0)) ? 29 : 28);
	}
}

static bool
has(uint64 set, int number)
{
	return (set >> number & 1) != 0;
}

static bool
day_fits(const CronText *cron, int64 day)
{
	int			month;
	int			day_of_month;
	bool		last;
	bool		fits;
	bool		weekday_fits = has(cron->weekdays, (int) (((day + 4) % 7 + 7) % 7));

	month_and_day(day, &month, &day_of_month, &last);
	fits = has(cron->days, day_of_month) || (cron->last_day && last);
	return has(cron->months, month) && (cron->either_day ? fits || weekday_fits : fits && weekday_fits);
}

/*
 * next_minute: of a day, not before that one; -1 if there is none.
 */
static int
next_minute(const CronText *cron, int minute)
{
	for (; minute < MINUTES_A_DAY; minute++)
	{
		if (!has(cron->hours, minute / 60))
			minute += 59 - minute % 60;
		else if (has(cron->minutes, minute % 60))
			return minute;
	}
	return -1;
}

bool
cron_next(const CronText *cron, int64 after, int64 *next)
{
	int64		day;
	int			minute;

	if (cron->at_start)
		return false;
	if (cron->seconds > 0)
	{
		*next = after + cron->seconds;
		return true;
	}
	day = (after >= 0 ? after : after - SECONDS_A_DAY + 1) / SECONDS_A_DAY;
	minute = (int) (after - day * SECONDS_A_DAY) / 60 + 1;
	for (int i = 0; i < MAX_DAYS; i++, day++, minute = 0)
	{
		if (!day_fits(cron, day))
			continue;
		minute = next_minute(cron, minute);
		if (minute < 0)
			continue;
		*next = day * SECONDS_A_DAY + minute * 60;
		return true;
	}
	return false;
}

uint64
cron_name_hash(const char *name)
{
	uint64		hash = UINT64CONST(0xCBF29CE484222325);	/* FNV-1a */

	for (; *name != '\0'; name++)
		hash = (hash ^ (unsigned char) *name) * UINT64CONST(0x100000001B3);
	/* its low bits alone are not well mixed */
	return hash ^ hash >> 32;
}

int64
cron_offset_ms(const CronText *cron, const char *org, int64 due)
{
	int64		next;
	int64		gap = cron_next(cron, due, &next) ? next - due : START_GAP_SECONDS;
	int64		spread = Min(gap * 1000 / 10, MAX_OFFSET_MS);

	return (int64) (cron_name_hash(org) % (uint64) spread);
}
