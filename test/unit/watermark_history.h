/*-------------------------------------------------------------------------
 *
 * watermark_history.h
 *	  Histories of one table, and deltas that follow them.
 *
 * Changes are stamped by database hosts with clocks of their own; deltas read them
 * from replicas that lag, while other machines' clocks say what time it is, and
 * can fail at any step.
 *
 * Times of the world are in milliseconds, and true; what the API shows is in
 * seconds, of some machine's clock.  One history at a time; everything random
 * comes from its seed.
 *
 * IDENTIFICATION
 *	  test/unit/watermark_history.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_WATERMARK_HISTORY_H
#define SYNC_ENGINE_WATERMARK_HISTORY_H

#include "unit_random.h"
#include "watermark.h"

#define LAG_S			300
#define SECOND			INT64CONST(1000)
#define LAG				(LAG_S * SECOND)
#define OVERLAP			(WATERMARK_OVERLAP_S * SECOND)
#define DAY				(86400 * SECOND)

/* Any, so that no time is near zero */
#define BEGINNING		(20000 * DAY)

#define MAX_DELTAS		12
#define MAX_CHANGES		80
#define MAX_ROWS		30
#define MAX_PAGES		5
#define HOSTS			4

/* Where arithmetic can go wrong */
typedef struct Arithmetic
{
	const char *name;
	int64		(*ceiling) (int64 ceiling, int64 server_date, int lag_s);
	int64		(*since) (int64 watermark);
	bool		(*is_ahead) (int64 watermark, int64 ceiling, int lag_s);
	bool		(*reads) (int64 since, int64 stamp);
	int64		(*leaves) (int64 ceiling, int64 cursor);
	bool		failure_moves_it;
} Arithmetic;

typedef struct Change
{
	int64		at;
	int64		stamp;			/* as stored */
	int			row;
} Change;

static struct
{
	int64		host_clock[HOSTS];	/* of the database: how far it is ahead */
	int64		web_clock[HOSTS];	/* of the Date header */
	int64		room;			/* by which they might differ more */
	bool		webs_agree;		/* within the overlap */
	int			n_deltas;
	int64		begins[MAX_DELTAS];
	int			far_from;		/* deltas during which all of the latter are far ahead */
	int			far_to;
	int64		far;
	int			n_changes;		/* in the order of time */
	Change		changes[MAX_CHANGES];
	int			n_rows;
	int			stored[MAX_ROWS];	/* the change that our copy has, or -1 */
	int64		watermark;
} world;

/* What the histories have put to the test */
static struct
{
	long		failures;
	long		forced;			/* reads of everything: the watermark was ahead */
	long		undated;		/* successes that had no time to leave */
	long		ties;
} seen;

static int64
between(int64 low, int64 high)
{
	return low + (((int64) random_below(1 << 30) << 30) + random_below(1 << 30)) % (high - low + 1);
}

static bool
one_in(int n)
{
	return random_below(n) == 0;
}

/* within: a clock that is so far ahead at most; often as far as can be. */
static int64
within(int64 low, int64 high)
{
	return one_in(3) ? low : one_in(2) ? high : between(low, high);
}

/* ---- a history ---- */

static void
set_clocks(void)
{
	int64		host = between(0, OVERLAP);
	int64		web = OVERLAP - host;
	int64		last_host = OVERLAP;
	int64		first_web = OVERLAP;
	int64		last_web = -OVERLAP;

	for (int i = 0; i < HOSTS; i++)
	{
		world.host_clock[i] = within(-host, host);
		world.web_clock[i] = within(-web, web);
		last_host = Min(last_host, world.host_clock[i]);
		first_web = Min(first_web, world.web_clock[i]);
		last_web = Max(last_web, world.web_clock[i]);
	}
	world.room = OVERLAP - (last_web - last_host);
	world.webs_agree = last_web - first_web <= OVERLAP;
}

static int
by_time(const void *a, const void *b)
{
	int64		x = ((const Change *) a)->at;
	int64		y = ((const Change *) b)->at;

	return x < y ? -1 : x > y;
}

/*
 * make_changes: any time, but rather when a delta begins, or when the replicas
 * show what was when it begins; and many in one second.
 */
static void
make_changes(void)
{
	int64		at = BEGINNING;

	world.n_rows = 1 + random_below(MAX_ROWS);
	world.n_changes = random_below(MAX_CHANGES + 1);
	for (int i = 0; i < world.n_changes; i++)
	{
		Change	   *change = &world.changes[i];
		int64		begin = world.begins[random_below(world.n_deltas)];

		if (one_in(4))
			at = between(BEGINNING, world.begins[world.n_deltas - 1]);
		else if (one_in(2))
			at = begin - (one_in(2) ? LAG : 0) + between(-2 * SECOND, 2 * SECOND);
		else if (one_in(2))
			at = begin + between(-OVERLAP, OVERLAP);
		else
		{
			at += between(0, 99);
			seen.ties++;
		}
		change->at = at;
		change->stamp = at + world.host_clock[random_below(HOSTS)];
		change->row = random_below(world.n_rows);
	}
	qsort(world.changes, world.n_changes, sizeof(Change), by_time);
}

static void
make_history(uint64 seed)
{
	int64		now = BEGINNING;

	random_state = seed * UINT64CONST(0x9E3779B97F4A7C15) + 1;
	for (int i = 0; i < 10; i++)
		(void) random_below(2);
	memset(&world, 0, sizeof(world));
	set_clocks();
	world.n_deltas = 2 + random_below(MAX_DELTAS - 1);
	for (int i = 0; i < world.n_deltas; i++)
	{
		now += between(0, one_in(2) ? 7200 * SECOND : OVERLAP);
		world.begins[i] = now;
	}
	world.far_from = world.far_to = world.n_deltas;
	if (one_in(3))
	{
		world.far_from = random_below(world.n_deltas);
		world.far_to = world.far_from + 1 + random_below(3);
		world.far = between(5 * DAY, 1000 * DAY);
	}
	make_changes();
	for (int i = 0; i < MAX_ROWS; i++)
		world.stored[i] = -1;
	world.watermark = WATERMARK_NONE;
}

/* shown: the change of the row that a replica shows, which is as of then; or -1. */
static int
shown(int row, int64 as_of)
{
	for (int i = world.n_changes - 1; i >= 0; i--)
	{
		if (world.changes[i].row == row && world.changes[i].at <= as_of)
			return i;
	}
	return -1;
}

/* passed_over: rows of which our copy is older than that. */
static int
passed_over(int64 as_of)
{
	int			n = 0;

	for (int row = 0; row < world.n_rows; row++)
		n += world.stored[row] < shown(row, as_of);
	return n;
}

/* ---- a delta ---- */

typedef struct Delta
{
	int64		now;
	int			n_pages;
	int64		pause;			/* between answers, at most */
	bool		all_far;		/* the clock of every answer is far ahead */
	bool		some_far;
	bool		always_dated;
	bool		can_fail;
	bool		full;
	int64		since;
	int64		ceiling;
	int64		cursor;			/* the latest second that was read */
	bool		told_right;		/* a Date was of a right clock */
} Delta;

/* take_answer: what its Date says. */
static void
take_answer(Delta *delta, const Arithmetic *arithmetic)
{
	bool		far = delta->all_far || (delta->some_far && one_in(2));
	int64		clock = delta->now + world.web_clock[random_below(HOSTS)] + (far ? world.far : 0);
	bool		dated = delta->always_dated || !one_in(5);

	delta->ceiling = arithmetic->ceiling(delta->ceiling, dated ? clock / SECOND : -1, LAG_S);
	delta->told_right = delta->told_right || (dated && !far);
}

static void
read_page(Delta *delta, int page, const Arithmetic *arithmetic)
{
	int64		as_of = delta->now - within(0, LAG);

	for (int row = page; row < world.n_rows; row += delta->n_pages)
	{
		int			change = shown(row, as_of);
		int64		stamp = change >= 0 ? world.changes[change].stamp : 0;

		if (change < 0 || !(delta->full || arithmetic->reads(delta->since, stamp)))
			continue;
		/* what is older than our copy is ignored, if it is no older than the lag */
		world.stored[row] = Max(world.stored[row], change);
		delta->cursor = Max(delta->cursor, stamp / SECOND);
	}
}

/*
 * run_delta: true if it succeeds.
 */
static bool
run_delta(Delta *delta, const Arithmetic *arithmetic)
{
	bool		failed = false;

	delta->full = world.watermark == WATERMARK_NONE;
	delta->since = delta->full ? 0 : arithmetic->since(world.watermark);
	delta->ceiling = WATERMARK_UNSEEN;
	delta->cursor = WATERMARK_NONE;
	for (int page = 0; page < delta->n_pages && !failed; page++)
	{
		delta->now += between(0, delta->pause);
		failed = delta->can_fail && one_in(15);
		if (failed)
			break;
		take_answer(delta, arithmetic);
		if (!delta->full && arithmetic->is_ahead(world.watermark, delta->ceiling, LAG_S))
		{
			seen.forced++;
			delta->full = true;
			page = -1;
			continue;
		}
		read_page(delta, page, arithmetic);
		/* after the last page: the transaction that closes the job rolls back */
		failed = delta->can_fail && one_in(15);
	}
	seen.failures += failed;
	if (failed && !arithmetic->failure_moves_it)
		return false;
	if (delta->ceiling != WATERMARK_NONE && delta->ceiling != WATERMARK_UNSEEN)
		world.watermark = arithmetic->leaves(delta->ceiling, delta->cursor);
	else
		seen.undated++;
	return !failed;
}

/*
 * lost_changes: runs the history; how many changes have been passed over.
 */
static int
lost_changes(uint64 seed, const Arithmetic *arithmetic, bool *needless)
{
	int64		now = BEGINNING;
	long		forced = seen.forced;
	int			lost = 0;
	Delta		last = {.n_pages = 1,.always_dated = true};

	make_history(seed);
	for (int i = 0; i < world.n_deltas; i++)
	{
		Delta		delta = {.n_pages = 1 + random_below(MAX_PAGES),.can_fail = true};
		int64		begin;

		begin = delta.now = now = Max(now, world.begins[i]);
		delta.all_far = i >= world.far_from && i < world.far_to;
		delta.pause = one_in(2) ? SECOND : 1200 * SECOND;
		/* a clock that is put right meanwhile: told before the overlap is used up */
		delta.some_far = !delta.all_far && world.far > 0 && one_in(3);
		if (delta.some_far)
			delta.pause = world.room / (2 * MAX_PAGES);

		/* where no clock has told the time, nothing can be promised but later */
		if (run_delta(&delta, arithmetic) && delta.told_right && delta.ceiling != WATERMARK_NONE)
			lost += passed_over(begin - LAG);
		now = delta.now;
	}
	last.now = now + LAG + OVERLAP;
	(void) run_delta(&last, arithmetic);
	*needless = world.far == 0 && world.webs_agree && seen.forced > forced;
	return lost + passed_over(last.now - LAG);
}

#endif							/* SYNC_ENGINE_WATERMARK_HISTORY_H */
