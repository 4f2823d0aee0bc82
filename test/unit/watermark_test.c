/*-------------------------------------------------------------------------
 *
 * watermark_test.c
 *	  Watermarks: no change is passed over, whatever the clocks say.
 *
 * Thousands of histories, each by its seed; the same ones must convict arithmetic
 * that is wrong.  A failure prints the seed that repeats it: "watermark_test SEED"
 * runs that one alone.
 *
 * IDENTIFICATION
 *	  test/unit/watermark_test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include "unit.h"
#include "watermark_history.h"

#define SEEDS			5000

/* ---- arithmetic, and such as is wrong ---- */

static bool
reads_inclusively(int64 since, int64 stamp)
{
	return stamp / SECOND >= since;
}

static bool
reads_exclusively(int64 since, int64 stamp)
{
	return stamp / SECOND > since;
}

static int64
leaves_ceiling(int64 ceiling, int64 cursor)
{
	return ceiling;
}

static int64
leaves_cursor(int64 ceiling, int64 cursor)
{
	return cursor == WATERMARK_NONE ? world.watermark : cursor;
}

static int64
ceiling_without_lag(int64 ceiling, int64 server_date, int lag_s)
{
	return watermark_ceiling(ceiling, server_date, 0);
}

static int64
ceiling_of_last_answer(int64 ceiling, int64 server_date, int lag_s)
{
	return server_date < 0 ? ceiling : server_date - lag_s;
}

static int64
ceiling_of_first_answer(int64 ceiling, int64 server_date, int lag_s)
{
	return ceiling == WATERMARK_UNSEEN ? watermark_ceiling(ceiling, server_date, lag_s) : ceiling;
}

static int64
ceiling_of_first_date(int64 ceiling, int64 server_date, int lag_s)
{
	return server_date < 0 ? ceiling : watermark_ceiling(ceiling, server_date, lag_s);
}

static int64
since_without_overlap(int64 watermark)
{
	return watermark;
}

static int64
since_a_second_later(int64 watermark)
{
	return watermark_since(watermark) + 1;
}

static bool
never_ahead(int64 watermark, int64 ceiling, int lag_s)
{
	return false;
}

static bool
ahead_without_overlap(int64 watermark, int64 ceiling, int lag_s)
{
	return ceiling != WATERMARK_NONE && watermark - lag_s > ceiling;
}

static const Arithmetic right = {"right", watermark_ceiling, watermark_since, watermark_is_ahead,
	reads_inclusively, leaves_ceiling, false
};

static void
test_history(uint64 seed)
{
	bool		needless;
	int			lost = lost_changes(seed, &right, &needless);

	CHECK_MSG(lost == 0, "seed " UINT64_FORMAT ": %d changes passed over", seed, lost);
	CHECK_MSG(!needless, "seed " UINT64_FORMAT ": all was read though no clock was wrong", seed);
}

/*
 * The histories are hard enough: they find out what is wrong.
 */
static void
test_wrong_arithmetic(void)
{
	Arithmetic	wrong[] = {right, right, right, right, right, right, right, right, right, right, right};
	int			n = 0;

	wrong[n].name = "the lag of replicas is left out";
	wrong[n++].ceiling = ceiling_without_lag;
	wrong[n].name = "the ceiling is not frozen";
	wrong[n++].ceiling = ceiling_of_last_answer;
	wrong[n].name = "the ceiling is not lowered";
	wrong[n++].ceiling = ceiling_of_first_answer;
	wrong[n].name = "an answer without a Date counts for nothing";
	wrong[n++].ceiling = ceiling_of_first_date;
	wrong[n].name = "no overlap";
	wrong[n++].since = since_without_overlap;
	wrong[n].name = "the overlap is a second too short";
	wrong[n++].since = since_a_second_later;
	wrong[n].name = "a watermark that is ahead is believed";
	wrong[n++].is_ahead = never_ahead;
	wrong[n].name = "a clock that is a little slow makes all be read";
	wrong[n++].is_ahead = ahead_without_overlap;
	wrong[n].name = "the first second is left out";
	wrong[n++].reads = reads_exclusively;
	wrong[n].name = "the cursor is the watermark";
	wrong[n++].leaves = leaves_cursor;
	wrong[n].name = "a failed read moves it";
	wrong[n++].failure_moves_it = true;
	CHECK_INT(n, lengthof(wrong));

	for (int i = 0; i < n; i++)
	{
		uint64		seed = 1;
		bool		needless;

		while (seed <= SEEDS && lost_changes(seed, &wrong[i], &needless) == 0 && !needless)
			seed++;
		CHECK_MSG(seed <= SEEDS, "not found out: %s", wrong[i].name);
	}
}

/* ---- single values ---- */

static void
test_ceiling(void)
{
	int64		ceiling = watermark_ceiling(WATERMARK_UNSEEN, 1000, LAG_S);

	CHECK_INT(ceiling, 700);
	CHECK_INT(watermark_ceiling(ceiling, 2000, LAG_S), 700);
	CHECK_INT(watermark_ceiling(ceiling, 999, LAG_S), 699);
	CHECK_INT(watermark_ceiling(ceiling, -1, LAG_S), 700);
	CHECK_INT(watermark_ceiling(WATERMARK_UNSEEN, 1000, 0), 1000);

	/* when it began is not known, whatever is told afterwards */
	ceiling = watermark_ceiling(WATERMARK_UNSEEN, -1, LAG_S);
	CHECK_INT(ceiling, WATERMARK_NONE);
	CHECK_INT(watermark_ceiling(ceiling, 1000, LAG_S), WATERMARK_NONE);
}

static void
test_ahead(void)
{
	const int64 latest = 5000 + WATERMARK_OVERLAP_S;
	const int64 ceiling = 5000 - LAG_S;

	CHECK(!watermark_is_ahead(latest, ceiling, LAG_S));
	CHECK(watermark_is_ahead(latest + 1, ceiling, LAG_S));
	CHECK(!watermark_is_ahead(ceiling, ceiling, LAG_S));
	CHECK(!watermark_is_ahead(0, ceiling, LAG_S));
	/* time has caught up: that it once was ahead cannot be seen any more */
	CHECK(!watermark_is_ahead(latest + 1, ceiling + 1, LAG_S));
	/* no clock, no verdict */
	CHECK(!watermark_is_ahead(latest + 1, WATERMARK_NONE, LAG_S));
	CHECK(!watermark_is_ahead(latest + 1, WATERMARK_UNSEEN, LAG_S));
}

int
main(int argc, char **argv)
{
	if (argc > 1)
	{
		test_history(strtoul(argv[1], NULL, 10));
		return unit_summary();
	}
	test_ceiling();
	test_ahead();
	for (uint64 seed = 1; seed <= SEEDS; seed++)
		test_history(seed);
	/* or the properties were never put to the test */
	CHECK(seen.failures > SEEDS);
	CHECK(seen.forced > SEEDS / 10);
	CHECK(seen.undated > SEEDS / 10);
	CHECK(seen.ties > SEEDS);
	test_wrong_arithmetic();
	return unit_summary();
}
