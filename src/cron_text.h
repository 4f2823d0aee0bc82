/*-------------------------------------------------------------------------
 *
 * cron_text.h
 *		Cron texts: what pg_cron understands by them, and when they are due.
 *
 * Five fields (minute, hour, day of month, month, day of week), each a list of
 * numbers, ranges and steps, months and weekdays also by name; or '@hourly' and
 * its like; or, from pg_cron 1.5 on, '30 seconds'; from 1.6 on '$' is the last day
 * of the month.  A day has to fit both of its fields if one of them begins with
 * '*', else either.  Whatever is accepted here pg_cron accepts, and takes alike.
 *
 * Pure: no clock, no server state.  Times are seconds since 1970, in UTC.
 *
 * IDENTIFICATION
 *		src/cron_text.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_CRON_TEXT_H
#define SYNC_ENGINE_CRON_TEXT_H

/* Longer than any sensible text; pg_cron's own limit is 1000. */
#define CRON_TEXT_SIZE		200

typedef struct CronText
{
	char		text[CRON_TEXT_SIZE];	/* as given, with single blanks */
	uint64		minutes;		/* sets: bit 3 is number 3 */
	uint64		hours;
	uint64		days;
	uint64		months;
	uint64		weekdays;		/* 0 = Sunday */
	bool		last_day;		/* of the month, beside those in days */
	bool		either_day;		/* a day need not fit both of its fields */
	int			seconds;		/* instead of all these: every so many; 0 = no */
	bool		at_start;		/* instead of all these: when the server starts */
	int			pg_cron_minor;	/* pg_cron 1.x that is needed */
} CronText;

/* False, and what is wrong with it, if it is no cron text. */
extern bool cron_parse(const char *text, CronText *cron, char *problem, size_t size);

/* When it is due for the first time after that; false if never, or nobody knows. */
extern bool cron_next(const CronText *cron, int64 after, int64 *next);

/*
 * How long after a time at which all organisations are due this one is: always the
 * same within a tenth of the time to the next, and ten minutes.
 */
extern int64 cron_offset_ms(const CronText *cron, const char *org, int64 due);

/* A number that stays the same for a name, wherever and whenever it is asked for. */
extern uint64 cron_name_hash(const char *name);

#endif							/* SYNC_ENGINE_CRON_TEXT_H */
