/*-------------------------------------------------------------------------
 *
 * schedule_default.c
 *		When an org is synced by default: an hourly delta, a reconcile at night, a full
 *		sync in the early morning, by its own clock.
 *
 * Orgs are spread over a few cron texts each, so that there are few jobs of pg_cron
 * and yet not all orgs come at once.
 *
 * IDENTIFICATION
 *		src/schedule_default.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "pgtime.h"
#include "schedule.h"
#include "session.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define MINUTES_A_DAY		(HOURS_PER_DAY * MINS_PER_HOUR)

/* Local times, in minutes of the day, and how many places there are from then on. */
#define DELTA_EVERY			15
#define DELTA_PLACES		4
#define RECONCILE_FROM		(1 * MINS_PER_HOUR)
#define RECONCILE_PLACES	6
#define FULL_FROM			(4 * MINS_PER_HOUR)
#define FULL_PLACES			4
#define PLACE_MINUTES		30

/*
 * time_zone: of the stored Organization; NULL if there is none.  Only from a table
 * that is the engine's own: a view of somebody else's would run with our rights.
 */
static char *
time_zone(const char *org)
{
	static Statement look = {
		"SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid "
		"WHERE n.nspname = 'pco_people' AND c.relname = 'organization' AND c.relkind IN ('r', 'p') "
		"AND c.relowner = $1 AND a.attname = 'time_zone' AND a.atttypid = 'text'::regtype AND NOT a.attisdropped",
		1, {OIDOID}
	};
	static Statement select_zone = {
		"SELECT time_zone FROM pco_people.organization WHERE org = $1 AND _deleted_at IS NULL "
		"AND time_zone IS NOT NULL ORDER BY id LIMIT 1",
		1, {TEXTOID}
	};
	Datum		owner[1] = {ObjectIdGetDatum(session_table_owner())};
	Datum		args[1] = {CStringGetTextDatum(org)};

	if (statement_run(&look, owner, NULL) == 0 || statement_run(&select_zone, args, NULL) == 0)
		return NULL;
	return result_text(0, 1);
}

/*
 * minutes_ahead: of UTC, now.
 */
static int
minutes_ahead(const char *org)
{
	char	   *name = time_zone(org);
	pg_tz	   *zone = name == NULL ? NULL : pg_tzset(name);
	pg_time_t	now = timestamptz_to_time_t(GetCurrentTimestamp());

	return zone == NULL ? 0 : (int) (pg_localtime(&now, zone)->tm_gmtoff / SECS_PER_MINUTE);
}

/*
 * daily: at a local time, by the clock of pg_cron.
 */
static void
daily(char *cron, int minute, int ahead)
{
	minute = (minute - ahead + 2 * MINUTES_A_DAY) % MINUTES_A_DAY;
	snprintf(cron, CRON_TEXT_SIZE, "%d %d * * *", minute % MINS_PER_HOUR, minute / MINS_PER_HOUR);
}

void
schedule_default_crons(const char *org, DefaultCrons *crons)
{
	uint64		place = cron_name_hash(org);
	int			ahead = minutes_ahead(org);

	snprintf(crons->delta, CRON_TEXT_SIZE, "%d * * * *", (int) (place % DELTA_PLACES) * DELTA_EVERY);
	place /= DELTA_PLACES;
	daily(crons->reconcile, RECONCILE_FROM + (int) (place % RECONCILE_PLACES) * PLACE_MINUTES, ahead);
	place /= RECONCILE_PLACES;
	daily(crons->full, FULL_FROM + (int) (place % FULL_PLACES) * PLACE_MINUTES, ahead);
}
