/*-------------------------------------------------------------------------
 *
 * schedule_tick.c
 *		What happens when a cron text is due: runs are asked for, and no more.
 *
 * Each schedule has a subtransaction of its own, so that what is wrong with one org
 * stops no other.  Runs begin at an org's own time, a little later.  A schedule whose
 * last run has not ended starts none; one whose runs fail is left out of more and
 * more ticks, but not for longer than a day.
 *
 * IDENTIFICATION
 *		src/schedule_tick.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "queue.h"
#include "schedule.h"
#include "session.h"
#include "sql_args.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* So many failures in a row are bad luck. */
#define PATIENT_FAILURES	2

#define MAX_DOUBLINGS		16

/* A day, less what a call may come late. */
#define LONGEST_PAUSE		(SECS_PER_DAY - 600)

/* A schedule, and what is known of its last run. */
typedef struct Schedule
{
	int64		id;
	char	   *org;
	char	   *mode;
	ArrayType  *entities;		/* NULL = the org's profile */
	int			priority;
	int			failures;
	int			skip;
	bool		is_active;		/* its org */
	bool		is_running;		/* its last run */
	bool		is_news;		/* that it has ended */
	char	   *run_status;
} Schedule;

/*
 * load: and lock it; false if somebody changes it just now, or it is gone.
 */
static bool
load(int64 id, Schedule *schedule)
{
	static Statement select_schedule = {
		"SELECT s.org, s.mode, s.entities, s.priority, s.failures, s.skip, coalesce(o.status = 'active', false), "
		"  coalesce(r.status IN ('queued', 'running', 'paused'), false), s.last_status IS NULL, r.status "
		"FROM sync_engine.schedule s LEFT JOIN sync_engine.org o ON o.org = s.org "
		"LEFT JOIN sync_engine.run r ON r.run_id = s.last_run_id AND r.requested_at = s.last_at "
		"WHERE s.id = $1 FOR NO KEY UPDATE OF s SKIP LOCKED",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(id)};
	Datum		entities;
	bool		isnull;

	if (statement_run(&select_schedule, args, NULL) == 0)
		return false;
	schedule->id = id;
	schedule->org = result_text(0, 1);
	schedule->mode = result_text(0, 2);
	entities = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3, &isnull);
	schedule->entities = isnull ? NULL : DatumGetArrayTypePCopy(entities);
	schedule->priority = (int) result_int64(0, 4, 0);
	schedule->failures = (int) result_int64(0, 5, 0);
	schedule->skip = (int) result_int64(0, 6, 0);
	schedule->is_active = result_bool(0, 7);
	schedule->is_running = result_bool(0, 8);
	schedule->run_status = result_text(0, 10);
	schedule->is_news = schedule->run_status != NULL && !schedule->is_running && result_bool(0, 9);
	return true;
}

/*
 * ticks_to_skip: after so many failures every second tick starts a run, then every
 * fourth, and so on; at least one a day.
 */
static int
ticks_to_skip(const CronText *cron, int failures, int64 now)
{
	int			wanted = failures <= PATIENT_FAILURES ? 0 : (1 << Min(failures - PATIENT_FAILURES, MAX_DOUBLINGS)) - 1;
	int			skip = 0;
	int64		due = now;

	while (skip < wanted && cron_next(cron, due, &due) && due < now + LONGEST_PAUSE)
		skip++;
	return skip;
}

/*
 * take_note: how the last run ended.
 */
static void
take_note(Schedule *schedule, const CronText *cron, int64 now)
{
	static Statement note = {
		"UPDATE sync_engine.schedule s SET last_status = r.status, failures = $2, skip = $3, "
		"  last_error = coalesce(r.error, (SELECT j.product || '.' || j.entity || ': ' || j.error FROM sync_engine.job j "
		"    WHERE j.run_id = r.run_id AND j.error IS NOT NULL AND j.status IN ('failed', 'partial', 'held') "
		"    ORDER BY j.job_id LIMIT 1)) "
		"FROM sync_engine.run r WHERE s.id = $1 AND r.run_id = s.last_run_id",
		3, {INT8OID, INT4OID, INT4OID}
	};
	Datum		args[3] = {Int64GetDatum(schedule->id)};

	if (strcmp(schedule->run_status, "failed") == 0 || strcmp(schedule->run_status, "held") == 0)
		schedule->failures++;
	else if (strcmp(schedule->run_status, "cancelled") != 0)
		schedule->failures = 0;
	schedule->skip = ticks_to_skip(cron, schedule->failures, now);
	args[1] = Int32GetDatum(schedule->failures);
	args[2] = Int32GetDatum(schedule->skip);
	(void) statement_run(&note, args, NULL);
}

/*
 * start: the run, at the org's own time.
 */
static void
start(const Schedule *schedule, const CronText *cron, int64 now)
{
	static Statement note = {
		"UPDATE sync_engine.schedule SET last_run_id = $2, "
		"  last_at = (SELECT requested_at FROM sync_engine.run WHERE run_id = $2), last_status = NULL, last_error = NULL, "
		"  coalesced = 0, error = NULL WHERE id = $1",
		2, {INT8OID, INT8OID}
	};
	RunRequest	request = {.kind = "sync",.org = schedule->org,.mode = schedule->mode,.execution = "hybrid",
	.priority = schedule->priority,.role = GetSessionUserId()};
	Datum		args[2] = {Int64GetDatum(schedule->id)};
	List	   *left_out;

	request.entities = sql_entities(schedule->entities, schedule->org, &request.everything, &left_out);
	request.not_before = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), cron_offset_ms(cron, schedule->org, now));
	args[1] = Int64GetDatum(queue_enqueue(&request));
	(void) statement_run(&note, args, NULL);
}

/*
 * tick_one: whether it has started a run.
 */
static bool
tick_one(int64 id, const CronText *cron, int64 now)
{
	static Statement tick = {
		"UPDATE sync_engine.schedule SET ticked_at = clock_timestamp(), coalesced = coalesced + $2::int, "
		"  skip = skip - $3::int WHERE id = $1",
		3, {INT8OID, BOOLOID, BOOLOID}
	};
	Schedule	schedule;
	Datum		args[3];
	bool		skips;

	if (!load(id, &schedule))
		return false;
	if (schedule.is_news)
		take_note(&schedule, cron, now);
	skips = schedule.is_active && !schedule.is_running && schedule.skip > 0;
	args[0] = Int64GetDatum(id);
	args[1] = BoolGetDatum(schedule.is_active && schedule.is_running);
	args[2] = BoolGetDatum(skips);
	(void) statement_run(&tick, args, NULL);
	if (!schedule.is_active || schedule.is_running || skips)
		return false;
	start(&schedule, cron, now);
	return true;
}

static void
note_error(int64 id, const char *error)
{
	static Statement note = {
		"UPDATE sync_engine.schedule SET ticked_at = clock_timestamp(), error = $2 WHERE id = $1", 2, {INT8OID, TEXTOID}
	};
	Datum		args[2] = {Int64GetDatum(id), CStringGetTextDatum(error)};

	(void) statement_run(&note, args, NULL);
}

/* A schedule whose turn it is. */
typedef struct Tick
{
	int64		id;
	const CronText *cron;
	int64		now;
	bool		started;		/* a run */
} Tick;

static void
tick(void *arg)
{
	Tick	   *one = arg;

	one->started = tick_one(one->id, one->cron, one->now);
}

/*
 * try_one: an error is the schedule's alone; it is noted there.
 */
static bool
try_one(int64 id, const CronText *cron, int64 now)
{
	Tick		one = {.id = id,.cron = cron,.now = now};
	ErrorData  *error = schedule_attempt(tick, &one);

	if (error != NULL)
		note_error(id, error->message);
	return error == NULL && one.started;
}

int64
schedule_tick(const char *text)
{
	static Statement select_ids = {
		"SELECT id FROM sync_engine.schedule WHERE cron = $1 ORDER BY id", 1, {TEXTOID}
	};
	Datum		args[1] = {CStringGetTextDatum(text)};
	CronText	cron;
	int64		now = timestamptz_to_time_t(GetCurrentTimestamp());
	int64	   *ids;
	uint64		n;
	int64		started = 0;

	schedule_parse_cron(text, &cron);
	n = statement_run(&select_ids, args, NULL);
	ids = palloc(sizeof(int64) * Max(n, 1));
	for (uint64 i = 0; i < n; i++)
		ids[i] = result_int64(i, 1, 0);
	for (uint64 i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		started += try_one(ids[i], &cron, now) ? 1 : 0;
	}
	return started;
}
