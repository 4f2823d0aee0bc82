/*-------------------------------------------------------------------------
 *
 * checkpoint_change_test.c
 *	  Lists that change, servers that lie, lanes that crash: nothing is lost.
 *
 * Thousands of short lists with small pages and small windows, so that every
 * coincidence comes about.  A failure prints the seed that repeats it:
 * "checkpoint_change_test SEED" runs that one alone.
 *
 * IDENTIFICATION
 *	  test/unit/checkpoint_change_test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include "checkpoint_model.h"
#include "unit.h"

#define SEEDS 6000

/* Steps after which a list stops changing, at the latest */
#define LOUD_STEPS 600

static int64 total_steps_back;
static int64 total_windows;

/*
 * fill_list: some rows without a key, then seconds shared by few or many.
 */
static void
fill_list(int n)
{
	int			nulls = model_random(3) == 0 ? model_random(n + 1) : 0;
	int			ties = 1 + model_random(model_random(3) == 0 ? 60 : 4);

	for (int i = 0; i < n; i++)
		list_insert(i >= nulls, list.clock + (i >= nulls && model_random(ties) == 0 ? 1 : 0));
}

/*
 * lost_rows: those that lived throughout and were never read.
 */
static int
lost_rows(void)
{
	int			lost = 0;

	for (int i = 0; i < list.n_initial; i++)
		lost += list.rows[i].alive && list.rows[i].reads == 0;
	return lost;
}

static void
test_changing_list(uint64 seed)
{
	Quirks		quirks = {0};
	int			per_page;
	int			changes;
	int			crashes;
	bool		by_key;
	ModelResult result;

	model_seed(seed);
	per_page = 2 + model_random(9);
	changes = model_random(2) == 0 ? model_random(5) : model_random(60);
	crashes = model_random(3) == 0 ? model_random(10) : 0;
	by_key = model_random(3) > 0;
	if (model_random(5) == 0)
		quirks.cap = 2 + model_random(6);
	quirks.no_total = model_random(8) == 0;

	list_create(model_random(150), by_key, &quirks);
	fill_list(list.n_initial);
	if (model_random(4) == 0)
	{
		for (int i = 0; i < list.n_initial; i++)
			list.rows[i].unsound = model_random(20) == 0;
	}
	result = read_list(per_page, changes, crashes, model_random(LOUD_STEPS));
	CHECK_MSG(result == MODEL_DONE, "seed " UINT64_FORMAT ": ended with %d after " INT64_FORMAT " requests",
			  seed, result, reader.requests);
	CHECK_MSG(!reader.went_plain, "seed " UINT64_FORMAT ": a faithful server was taken for another", seed);
	CHECK_MSG(lost_rows() == 0, "seed " UINT64_FORMAT ": %d rows lost", seed, lost_rows());
	total_steps_back += reader.steps_back;
	total_windows += reader.windows;
	list_destroy();
}

/*
 * A server that ignores what it is asked for is noticed before the end, and the
 * list is read another way.
 */
static void
test_ignoring_server(uint64 seed)
{
	Quirks		quirks = {0};
	ModelResult result;

	model_seed(seed);
	quirks.ignores_order = model_random(2) == 0;
	quirks.ignores_where = !quirks.ignores_order || model_random(2) == 0;
	list_create(2 * CHECKPOINT_WINDOW_ROWS + model_random(100), true, &quirks);
	/* ids do not follow keys, as edits make it */
	fill_list(list.n_initial);
	for (int i = 0; i < list.n_initial; i++)
	{
		list.clock++;
		list_touch(model_random(list.n_initial));
	}

	result = read_list(4 + model_random(9), model_random(5), model_random(5), LOUD_STEPS);
	CHECK_MSG(result == MODEL_DONE, "seed " UINT64_FORMAT ": ended with %d", seed, result);
	CHECK_MSG(reader.went_plain, "seed " UINT64_FORMAT ": not noticed", seed);
	CHECK_MSG(lost_rows() == 0, "seed " UINT64_FORMAT ": %d rows lost", seed, lost_rows());
	list_destroy();
}

/*
 * Pages that call themselves the last, now and then, are not believed.
 */
static void
test_early_ends(uint64 seed)
{
	Quirks		quirks = {.ends_early = 1 + model_random(5)};
	ModelResult result;

	model_seed(seed);
	list_create(20 + model_random(100), model_random(2) == 0, &quirks);
	fill_list(list.n_initial);
	result = read_list(3 + model_random(8), 0, 0, 0);
	CHECK_MSG(result == MODEL_DONE, "seed " UINT64_FORMAT ": ended with %d", seed, result);
	CHECK_MSG(lost_rows() == 0, "seed " UINT64_FORMAT ": %d rows lost", seed, lost_rows());
	list_destroy();
}

/*
 * A total_count that is too high costs requests, but no row; one that is too
 * low fails the job.  An end that never comes is found by total_count, or
 * fails the job; nothing is lost.
 */
static void
test_lies(uint64 seed)
{
	Quirks		too_high = {0};
	Quirks		too_low = {0};
	Quirks		endless = {.never_ends = true};

	model_seed(seed);
	too_high.total_lie = 1 + model_random(100);
	list_create(100, model_random(2) == 0, &too_high);
	fill_list(list.n_initial);
	CHECK_INT(read_list(3 + model_random(8), 0, 0, 0), MODEL_DONE);
	CHECK_INT(lost_rows(), 0);
	CHECK_INT(reader.most_suspects, MODEL_TRUST_END);
	list_destroy();

	too_low.total_lie = -20 - (int64) model_random(80);
	list_create(100, false, &too_low);
	fill_list(list.n_initial);
	CHECK_INT(read_list(3 + model_random(8), 0, 0, 0), MODEL_FAILED);
	list_destroy();

	endless.no_total = model_random(2) == 0;
	list_create(model_random(100), model_random(2) == 0, &endless);
	fill_list(list.n_initial);
	CHECK_INT(read_list(3 + model_random(8), 0, 0, 0), endless.no_total ? MODEL_FAILED : MODEL_DONE);
	CHECK_INT(lost_rows(), 0);
	list_destroy();
}

int
main(int argc, char **argv)
{
	if (argc > 1)
	{
		test_changing_list(strtoul(argv[1], NULL, 10));
		return unit_summary();
	}
	for (uint64 seed = 1; seed <= SEEDS; seed++)
		test_changing_list(seed);
	/* or the properties were never put to the test */
	CHECK(total_steps_back > SEEDS);
	CHECK(total_windows > SEEDS / 10);

	for (uint64 seed = 1; seed <= 200; seed++)
	{
		test_ignoring_server(seed);
		test_early_ends(seed);
		test_lies(seed);
	}
	return unit_summary();
}
