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

/* What has been put to the test, by the way of reading */
static struct
{
	int64		steps_back;
	int64		windows;
	int64		edited;			/* rows that were owed until somebody edited them */
	int64		noticed;		/* servers that ignored what they were asked for */
} seen[READ_NEWEST + 1];

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
 * shuffle: edits, so that ids do not follow keys.
 */
static void
shuffle(int edits)
{
	for (int i = 0; i < edits && list.n_rows > 0; i++)
	{
		list.clock += model_random(2);
		list_touch(model_random(list.n_rows));
	}
}

/*
 * random_start: where a reader begins; a static text.
 */
static const char *
random_start(ReadWay way)
{
	static char start[40];

	if (way == READ_BY_ID || (way == READ_KEYSET && model_random(2) == 0))
		return "";
	snprintf(start, sizeof(start), "offset=0 anchor=%d", (int) model_random(list.clock + 2));
	return start;
}

/*
 * lost_rows: those that are owed and were never read.
 */
static int
lost_rows(void)
{
	int			lost = 0;

	for (int i = 0; i < list.n_rows; i++)
		lost += list.rows[i].due && list.rows[i].reads == 0;
	return lost;
}

/*
 * check_nothing_lost: the property.
 */
static void
check_nothing_lost(uint64 seed)
{
	CHECK_MSG(lost_rows() == 0, "seed " UINT64_FORMAT ": %d rows lost", seed, lost_rows());
}

static void
test_changing_list(uint64 seed)
{
	Quirks		quirks = {0};
	int			per_page;
	int			changes;
	int			crashes;
	ReadWay		way;
	ModelResult result;

	model_seed(seed);
	per_page = 2 + model_random(9);
	changes = model_random(2) == 0 ? model_random(5) : model_random(60);
	crashes = model_random(3) == 0 ? model_random(10) : 0;
	way = model_random(READ_NEWEST + 1);
	if (model_random(5) == 0)
		quirks.cap = 3 + model_random(6);
	quirks.no_total = model_random(8) == 0;
	reader_is_bold = model_random(2) == 0;

	list_create(model_random(150), way, &quirks);
	fill_list(list.n_initial);
	if (model_random(2) == 0)
		shuffle(model_random(2 * list.n_initial + 1));
	if (way == READ_NEWEST)
		per_page = Max(per_page, 3);	/* as checkpoint.h says */
	if (model_random(4) == 0)
	{
		for (int i = 0; i < list.n_initial; i++)
			list.rows[i].unsound = model_random(20) == 0;
	}
	result = read_list(random_start(way), per_page, changes, crashes, model_random(LOUD_STEPS));
	CHECK_MSG(result == MODEL_DONE, "seed " UINT64_FORMAT ": ended with %d after " INT64_FORMAT " requests",
			  seed, result, reader.requests);
	CHECK_MSG(!reader.went_plain, "seed " UINT64_FORMAT ": a faithful server was taken for another", seed);
	check_nothing_lost(seed);
	seen[way].steps_back += reader.steps_back;
	seen[way].windows += reader.windows;
	for (int i = 0; i < list.n_initial; i++)
		seen[way].edited += list.rows[i].alive && !list.rows[i].due;
	list_destroy();
}

/*
 * A server that ignores what it is asked for is noticed before the end, and the
 * list is read another way.  Where the window has few rows or all, it may happen to
 * look as asked for; then nothing is lost either.
 */
static void
test_ignoring_server(uint64 seed)
{
	static const ReadWay ways[] = {READ_KEYSET, READ_FILTERED, READ_NEWEST};
	Quirks		quirks = {0};
	ReadWay		way;
	const char *start;
	ModelResult result;

	model_seed(seed);
	way = ways[model_random(lengthof(ways))];
	quirks.ignores_order = way == READ_NEWEST || (way == READ_KEYSET && model_random(2) == 0);
	quirks.ignores_where = !quirks.ignores_order || model_random(2) == 0;
	list_create(2 * CHECKPOINT_WINDOW_ROWS + model_random(100), way, &quirks);
	fill_list(list.n_initial);
	shuffle(2 * list.n_initial);

	start = random_start(way);
	/* the fewer rows, the sooner a page looks as if it went downwards */
	result = read_list(start, (way == READ_NEWEST ? 10 : 4) + model_random(9),
					   model_random(5), model_random(5), LOUD_STEPS);
	CHECK_MSG(result == MODEL_DONE, "seed " UINT64_FORMAT ": ended with %d", seed, result);
	CHECK_MSG(reader.went_plain || (way != READ_NEWEST && *start != '\0'),
			  "seed " UINT64_FORMAT ": not noticed", seed);
	check_nothing_lost(seed);
	seen[way].noticed += reader.went_plain;
	list_destroy();
}

/*
 * Downwards, no more pages are read than it takes to come to the anchor, and few
 * more are asked for.
 */
static void
test_newest_ends_at_anchor(uint64 seed)
{
	const Quirks faithful = {0};
	int			per_page;
	const char *start;
	Checkpoint *from;
	int			n_news = 0;
	int			n_old = 0;
	int			enough = 1;

	model_seed(seed);
	per_page = 2 + model_random(20);
	list_create(model_random(1500), READ_NEWEST, &faithful);
	fill_list(list.n_initial);
	shuffle(model_random(2 * list.n_initial + 1));
	start = random_start(READ_NEWEST);
	from = checkpoint_parse(start);
	reader_is_bold = false;
	for (int i = 0; i < list.n_initial; i++)
		n_news += is_in(&list.rows[i], from);
	/* each page after the first repeats a row; the last one has one that is old, if there is */
	for (int rows = per_page; rows < Min(n_news + 1, list.n_initial); rows += per_page - 1)
		enough++;

	CHECK_INT(read_list(start, per_page, 0, 0, 0), MODEL_DONE);
	check_nothing_lost(seed);
	for (int i = 0; i < list.n_initial; i++)
		n_old += list.rows[i].reads > 0 && !is_in(&list.rows[i], from);
	CHECK_MSG(n_old <= per_page && reader.pages == enough && reader.requests <= enough + enough / 8 + 1,
			  "seed " UINT64_FORMAT ": %d news in " INT64_FORMAT " pages of %d, enough are %d; "
			  INT64_FORMAT " requests", seed, n_news, reader.pages, per_page, enough, reader.requests);
	checkpoint_free(from);
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
	list_create(20 + model_random(100), model_random(2) == 0 ? READ_KEYSET : READ_BY_ID, &quirks);
	fill_list(list.n_initial);
	result = read_list("", 3 + model_random(8), 0, 0, 0);
	CHECK_MSG(result == MODEL_DONE, "seed " UINT64_FORMAT ": ended with %d", seed, result);
	check_nothing_lost(seed);
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
	list_create(100, model_random(2) == 0 ? READ_KEYSET : READ_BY_ID, &too_high);
	fill_list(list.n_initial);
	CHECK_INT(read_list("", 3 + model_random(8), 0, 0, 0), MODEL_DONE);
	CHECK_INT(lost_rows(), 0);
	CHECK_INT(reader.most_suspects, MODEL_TRUST_END);
	list_destroy();

	too_low.total_lie = -20 - (int64) model_random(80);
	list_create(100, READ_BY_ID, &too_low);
	fill_list(list.n_initial);
	CHECK_INT(read_list("", 3 + model_random(8), 0, 0, 0), MODEL_FAILED);
	list_destroy();

	endless.no_total = model_random(2) == 0;
	list_create(model_random(100), model_random(2) == 0 ? READ_KEYSET : READ_BY_ID, &endless);
	fill_list(list.n_initial);
	CHECK_INT(read_list("", 3 + model_random(8), 0, 0, 0), endless.no_total ? MODEL_FAILED : MODEL_DONE);
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
	for (ReadWay way = READ_BY_ID; way <= READ_NEWEST; way++)
		CHECK(seen[way].steps_back > SEEDS / 5);
	CHECK(seen[READ_KEYSET].windows > SEEDS / 10);
	CHECK(seen[READ_NEWEST].edited > SEEDS);

	for (uint64 seed = 1; seed <= 200; seed++)
	{
		test_ignoring_server(seed);
		test_early_ends(seed);
		test_lies(seed);
		test_newest_ends_at_anchor(seed);
	}
	for (ReadWay way = READ_KEYSET; way <= READ_NEWEST; way++)
		CHECK(seen[way].noticed > 40);
	return unit_summary();
}
