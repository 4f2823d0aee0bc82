/*-------------------------------------------------------------------------
 *
 * checkpoint_test.c
 *	  The checkpoint: its text, its verdicts, and lists of real size.
 *
 * What must hold of a list while it changes is in checkpoint_change_test.c.
 *
 * IDENTIFICATION
 *	  test/unit/checkpoint_test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include "checkpoint_model.h"
#include "unit.h"

static const bool trust_end = true;
static const bool doubt_end = false;

static const Quirks faithful = {0};

#define PER_PAGE 100

/* Rows: with a key, without one */
#define KEY(row, seconds) {.id = (row), .has_key = true, .key = (seconds)}
#define NO_KEY(row) {.id = (row)}

/* ---- the text ---- */

static void
check_same(const Checkpoint *a, const Checkpoint *b)
{
	CHECK_INT(a->offset, b->offset);
	CHECK_INT(a->has_anchor, b->has_anchor);
	CHECK_INT(a->anchor, b->anchor);
	CHECK_INT(a->has_key, b->has_key);
	CHECK_INT(a->key, b->key);
	CHECK_INT(a->ties, b->ties);
	CHECK_INT(a->plain, b->plain);
	CHECK_STR(a->parent, b->parent);
	CHECK_INT(a->parent_done, b->parent_done);
	if (CHECK(a->n_tail == b->n_tail))
	{
		for (int i = 0; i < a->n_tail; i++)
			CHECK_STR(a->tail[i], b->tail[i]);
	}
}

/*
 * random_id: bytes of any kind but NUL, with what separates among them.
 */
static char *
random_id(void)
{
	static const char *const pieces[] = {" ", ",", "%", "=", "%20", "é", "日本", "\n", "\t", "'", "\"",
	"\\", "tail=", "\x01", "\xff", "0", "42", "a"};
	char	   *id = pstrdup("");

	for (int n = model_random(6); n > 0; n--)
		id = psprintf("%s%s", id, pieces[model_random(lengthof(pieces))]);
	return id;
}

static void
test_text(void)
{
	Checkpoint	nothing = {0};

	check_same(checkpoint_parse(""), &nothing);
	check_same(checkpoint_parse(checkpoint_format(&nothing)), &nothing);

	model_seed(1);
	for (int run = 0; run < 2000; run++)
	{
		Checkpoint	checkpoint = {.offset = (int64) model_random(2) << model_random(60)};

		checkpoint.has_anchor = model_random(2) == 0;
		if (checkpoint.has_anchor)
			checkpoint.anchor = (int64) model_random(1 << 30) - (1 << 29);
		checkpoint.has_key = model_random(2) == 0;
		if (checkpoint.has_key)
		{
			checkpoint.key = (int64) model_random(1 << 30) - (1 << 29);
			checkpoint.ties = 1 + model_random(30000);
		}
		checkpoint.plain = model_random(2) == 0;
		if (model_random(2) == 0)
		{
			checkpoint.parent = random_id();
			checkpoint.parent_done = model_random(2) == 0;
		}
		checkpoint.n_tail = model_random(CHECKPOINT_TAIL + 1);
		for (int i = 0; i < checkpoint.n_tail; i++)
			checkpoint.tail[i] = random_id();
		check_same(checkpoint_parse(checkpoint_format(&checkpoint)), &checkpoint);
	}
}

/* ---- single verdicts ---- */

static ReadVerdict
judge(Checkpoint *checkpoint, ReadPage page, ReadWay way, bool trust, int *first)
{
	const char *problem = NULL;
	ReadVerdict verdict = checkpoint_judge(checkpoint, &page, way, trust, PER_PAGE, first, &problem);

	CHECK((problem != NULL) == (verdict == READ_SUSPECT || verdict == READ_IGNORED));
	return verdict;
}

static void
test_empty_list(void)
{
	Checkpoint	checkpoint = {0};
	int			first;

	CHECK_INT(judge(&checkpoint, (ReadPage) {0, 0, NULL, true, -1}, READ_BY_ID, doubt_end, &first), READ_SUSPECT);
	CHECK_INT(judge(&checkpoint, (ReadPage) {0, 0, NULL, false, 3}, READ_BY_ID, doubt_end, &first), READ_SUSPECT);
	CHECK_INT(judge(&checkpoint, (ReadPage) {0, 0, NULL, false, 0}, READ_BY_ID, doubt_end, &first), READ_LAST);
	CHECK_INT(checkpoint.offset, 0);
}

static void
test_overlap(void)
{
	const ReadRow rows[] = {KEY("a", 1), KEY("b", 2), KEY("c", 2), KEY("d", 3)};
	const ReadRow edited[] = {KEY("c", 3), KEY("d", 3)};
	const ReadRow other[] = {KEY("x", 2), KEY("d", 3)};
	Checkpoint *checkpoint = checkpoint_parse("");
	int			first;

	CHECK_INT(checkpoint_offset(checkpoint, PER_PAGE, 0), 0);
	CHECK_INT(judge(checkpoint, (ReadPage) {0, 3, rows, true, 4}, READ_KEYSET, doubt_end, &first), READ_APPLY);
	CHECK_INT(first, 0);
	CHECK_INT(checkpoint_offset(checkpoint, PER_PAGE, 0), 2);
	CHECK_INT(checkpoint_offset(checkpoint, PER_PAGE, 2), 2 + 2 * 99);

	/* the last row must be the same, and unedited; else a step back, no more */
	CHECK_INT(judge(checkpoint, (ReadPage) {2, 2, edited, false, 4}, READ_KEYSET, doubt_end, &first), READ_STEP_BACK);
	CHECK(checkpoint->back > 0);
	CHECK_INT(checkpoint_offset(checkpoint, PER_PAGE, 0), 0);
	checkpoint->back = 0;
	CHECK_INT(judge(checkpoint, (ReadPage) {2, 2, other, false, 4}, READ_KEYSET, doubt_end, &first), READ_STEP_BACK);
	checkpoint->back = 0;
	CHECK_INT(judge(checkpoint, (ReadPage) {2, 0, NULL, false, 2}, READ_KEYSET, doubt_end, &first), READ_STEP_BACK);
	checkpoint->back = 0;

	CHECK_INT(judge(checkpoint, (ReadPage) {2, 2, rows + 2, false, 4}, READ_KEYSET, doubt_end, &first), READ_LAST);
	CHECK_INT(first, 1);
	CHECK_INT(checkpoint->offset, 4);
	CHECK_INT(checkpoint->key, 3);
	CHECK_INT(checkpoint->ties, 1);
}

/*
 * A page that is met again by a row which only seems to stand where it was.
 */
static void
test_step_back_is_not_fooled(void)
{
	const ReadRow rows[] = {NO_KEY("a"), KEY("b", 5), KEY("c", 9)};
	const ReadRow moved[] = {KEY("b", 9), KEY("z", 9)};
	const ReadRow nulls[] = {NO_KEY("a"), NO_KEY("b")};
	const ReadRow filled[] = {KEY("b", 9), KEY("z", 9)};
	const ReadRow standing[] = {KEY("c", 9), KEY("z", 9)};
	Checkpoint *checkpoint = checkpoint_parse("");
	int			first;

	(void) judge(checkpoint, (ReadPage) {0, 3, rows, true, -1}, READ_KEYSET, doubt_end, &first);
	checkpoint->back = 1;
	CHECK_INT(judge(checkpoint, (ReadPage) {1, 2, moved, false, -1}, READ_KEYSET, doubt_end, &first), READ_STEP_BACK);
	CHECK_INT(checkpoint->back, 2);
	CHECK_INT(judge(checkpoint, (ReadPage) {1, 2, standing, false, -1}, READ_KEYSET, doubt_end, &first), READ_LAST);
	CHECK_INT(first, 0);

	checkpoint = checkpoint_parse("");
	(void) judge(checkpoint, (ReadPage) {0, 2, nulls, true, -1}, READ_KEYSET, doubt_end, &first);
	CHECK_INT(judge(checkpoint, (ReadPage) {1, 2, filled, false, -1}, READ_KEYSET, doubt_end, &first), READ_STEP_BACK);
	CHECK_INT(judge(checkpoint, (ReadPage) {1, 2, filled, false, -1}, READ_KEYSET, doubt_end, &first), READ_STEP_BACK);
}

/*
 * Downwards: the news end with the first row that is older than the anchor; a page
 * that was asked for ahead may show the row before it as it was before an edit.
 */
static void
test_newest(void)
{
	const ReadRow rows[] = {KEY("a", 9), KEY("b", 8)};
	const ReadRow before_edit[] = {KEY("b", 6), KEY("d", 5)};
	const ReadRow unsound[] = {{.id = "b", .unsound = true}, KEY("c", 8)};
	const ReadRow nameless[] = {{.id = "", .unsound = true}, KEY("c", 8)};
	const ReadRow inclusive[] = {KEY("b", 8), KEY("c", 7)};
	const ReadRow beyond[] = {KEY("b", 8), KEY("c", 7), KEY("d", 6)};
	const ReadRow null_beyond[] = {KEY("b", 8), NO_KEY("c")};
	const ReadRow upwards[] = {KEY("b", 8), KEY("c", 9)};
	const ReadRow null_first[] = {NO_KEY("a"), KEY("b", 8)};
	const char *text = "offset=2 anchor=7 key=8 ties=1 tail=a,b";
	int			first;

#define NEWEST(the_offset, the_rows, the_back) \
	({ \
		Checkpoint *checkpoint = checkpoint_parse(text); \
		checkpoint->back = (the_back); \
		judge(checkpoint, (ReadPage) {(the_offset), lengthof(the_rows), (the_rows), true, 9}, READ_NEWEST, \
			  doubt_end, &first); \
	})
	CHECK_INT(judge(checkpoint_parse("offset=0 anchor=7"), (ReadPage) {0, 2, rows, true, 9}, READ_NEWEST,
					doubt_end, &first), READ_APPLY);
	CHECK_INT(NEWEST(1, inclusive, 0), READ_APPLY);
	CHECK_INT(first, 1);
	CHECK_INT(NEWEST(1, beyond, 0), READ_LAST);
	CHECK_INT(NEWEST(1, null_beyond, 0), READ_LAST);
	CHECK_INT(NEWEST(1, before_edit, 0), READ_STEP_BACK);
	CHECK_INT(NEWEST(1, upwards, 0), READ_IGNORED);
	CHECK_INT(NEWEST(1, null_first, 0), READ_IGNORED);
	/* asked for after the page before, it proves enough: edits move rows away from what is unread */
	CHECK_INT(NEWEST(1, unsound, 0), READ_STEP_BACK);
	CHECK_INT(NEWEST(1, unsound, 1), READ_APPLY);
	CHECK_INT(first, 0);
	CHECK_INT(NEWEST(1, nameless, 1), READ_STEP_BACK);
#undef NEWEST
}

static void
test_ignored(void)
{
	const ReadRow unordered[] = {KEY("b", 2), KEY("a", 1)};
	const ReadRow null_late[] = {KEY("b", 2), NO_KEY("a")};
	const ReadRow below[] = {KEY("a", 6), KEY("b", 7)};
	const ReadRow null_in_window[] = {NO_KEY("a"), KEY("b", 7)};
	Checkpoint *checkpoint = checkpoint_parse("offset=1 anchor=7 key=7 ties=1 tail=a");
	Checkpoint *start = checkpoint_parse("");
	int			first;

	CHECK_INT(judge(start, (ReadPage) {0, 2, unordered, false, 2}, READ_KEYSET, doubt_end, &first), READ_IGNORED);
	CHECK_INT(judge(start, (ReadPage) {0, 2, null_late, false, 2}, READ_KEYSET, doubt_end, &first), READ_IGNORED);
	CHECK_INT(judge(checkpoint, (ReadPage) {0, 2, below, false, 2}, READ_KEYSET, doubt_end, &first), READ_IGNORED);
	CHECK_INT(judge(checkpoint, (ReadPage) {0, 2, null_in_window, false, 2}, READ_KEYSET, doubt_end, &first), READ_IGNORED);

	checkpoint_restart_plain(checkpoint);
	CHECK_STR(checkpoint_format(checkpoint), "offset=0 plain=1");
	CHECK_INT(judge(checkpoint, (ReadPage) {0, 2, unordered, false, 2}, READ_KEYSET, doubt_end, &first), READ_LAST);
}

/*
 * What comes to nothing leaves the checkpoint as it was.
 */
static void
test_suspect(void)
{
	const ReadRow rows[] = {KEY("a", 7), KEY("b", 8)};
	const char *text = "offset=1 anchor=7 key=7 ties=1 tail=a";
	Checkpoint *checkpoint = checkpoint_parse(text);
	int			first;

	CHECK_INT(judge(checkpoint, (ReadPage) {0, 1, rows, false, 3}, READ_KEYSET, doubt_end, &first), READ_SUSPECT);
	CHECK_INT(judge(checkpoint, (ReadPage) {0, 1, rows, true, -1}, READ_KEYSET, trust_end, &first), READ_SUSPECT);
	CHECK_INT(judge(checkpoint, (ReadPage) {0, 2, rows, true, 0}, READ_KEYSET, trust_end, &first), READ_SUSPECT);
	CHECK_STR(checkpoint_format(checkpoint), text);
	checkpoint->back = 1;
	CHECK_INT(judge(checkpoint, (ReadPage) {0, 0, NULL, true, -1}, READ_KEYSET, trust_end, &first), READ_SUSPECT);
	CHECK_STR(checkpoint_format(checkpoint), text);
	CHECK_INT(checkpoint->back, 1);
	checkpoint->back = 0;
	CHECK_INT(judge(checkpoint, (ReadPage) {0, 1, rows, false, 3}, READ_KEYSET, trust_end, &first), READ_LAST);

	/* a page that says that it is the last, and does not look so */
	checkpoint = checkpoint_parse(text);
	CHECK_INT(judge(checkpoint, (ReadPage) {0, 2, rows, false, 3}, READ_KEYSET, doubt_end, &first), READ_APPLY);
}

/*
 * A key that cannot be read is the record's fault, not the list's.
 */
static void
test_unsound_key(void)
{
	const ReadRow rows[] = {KEY("a", 7), {.id = "b", .unsound = true}, KEY("c", 8), {.id = "d", .unsound = true}};
	Checkpoint *checkpoint = checkpoint_parse("");
	int			first;

	CHECK_INT(judge(checkpoint, (ReadPage) {0, 4, rows, true, 5}, READ_KEYSET, doubt_end, &first), READ_APPLY);
	CHECK_INT(checkpoint->key, 8);
	CHECK_INT(judge(checkpoint, (ReadPage) {3, 1, rows + 3, false, 4}, READ_KEYSET, doubt_end, &first), READ_LAST);
	CHECK_INT(first, 1);
}

static void
test_walk(void)
{
	const ReadRow rows[] = {KEY("a", 7), KEY("b", 8)};
	Checkpoint *checkpoint = checkpoint_parse("offset=30 anchor=7 key=9 ties=2 after=p%201 tail=x,y");
	int			first;

	CHECK_STR(checkpoint->parent, "p 1");
	CHECK(checkpoint->parent_done);
	checkpoint_enter_parent(checkpoint, "p,2");
	CHECK_STR(checkpoint_format(checkpoint), "offset=0 parent=p%2c2");
	CHECK_INT(judge(checkpoint, (ReadPage) {0, 2, rows, true, 9}, READ_BY_ID, doubt_end, &first), READ_APPLY);
	CHECK_STR(checkpoint_format(checkpoint), "offset=2 parent=p%2c2 tail=a,b");
}

/* ---- lists of real size, that do not change ---- */

typedef struct Stretch
{
	int			rows;
	int			per_key;		/* rows that share a second; 0 = no key */
} Stretch;

/*
 * check_whole: every row exactly once, in no more requests than needed.
 */
static void
check_whole(const char *name, const Stretch *stretches, ReadWay way, int per_page, int crashes,
			const Quirks *quirks)
{
	int			n = 0;
	int			wrong = 0;
	int64		needed;
	ModelResult result;

	for (const Stretch *s = stretches; s->rows > 0; s++)
		n += s->rows;
	list_create(n, way, quirks);
	for (const Stretch *s = stretches; s->rows > 0; s++)
	{
		for (int i = 0; i < s->rows; i++)
			list_insert(s->per_key > 0, list.clock + (s->per_key > 0 && i % s->per_key == 0 ? 1 : 0));
	}
	result = read_list("", per_page, 0, crashes, PG_INT64_MAX);
	CHECK_MSG(result == MODEL_DONE, "%s: ended with %d", name, result);
	for (int i = 0; i < n; i++)
		wrong += list.rows[i].reads != 1;
	CHECK_MSG(wrong == 0, "%s: %d of %d rows not read exactly once", name, wrong, n);
	CHECK_MSG(reader.steps_back == 0, "%s: stepped back", name);
	if (crashes == 0 && quirks->cap == 0 && !quirks->no_total)
	{
		needed = (n + per_page - 2) / (per_page - 1) + reader.windows + 1;
		/* what is ahead when keys begin, behind a window's worth of NULLs */
		if (stretches[0].per_key == 0 && stretches[0].rows >= CHECKPOINT_WINDOW_ROWS)
			needed += MODEL_WINDOW;
		CHECK_MSG(reader.requests <= needed, "%s: " INT64_FORMAT " requests, enough are " INT64_FORMAT,
				  name, reader.requests, needed);
	}
	CHECK_MSG(way != READ_KEYSET || n < 3 * CHECKPOINT_WINDOW_ROWS || reader.windows >= 2,
			  "%s: only %d windows", name, reader.windows);
	list_destroy();
}

static void
test_whole_lists(void)
{
	const Quirks capped = {.cap = 25};
	const Quirks no_total = {.no_total = true};
	const Stretch nothing[] = {{0, 0}};
	const Stretch one[] = {{1, 1}, {0, 0}};
	const Stretch page[] = {{100, 1}, {0, 0}};
	const Stretch pages[] = {{199, 1}, {0, 0}};
	const Stretch small_ties[] = {{10, 0}, {1000, 150}, {300, 1}, {0, 0}};
	const Stretch nulls[] = {{21000, 0}, {300, 1}, {0, 0}};
	const Stretch many[] = {{30, 0}, {65000, 3}, {0, 0}};
	const Stretch huge_tie[] = {{500, 1}, {26000, 26000}, {500, 1}, {26000, 7}, {0, 0}};
	const Stretch only_tie[] = {{41000, 41000}, {0, 0}};

	for (int crashes = 0; crashes <= 2; crashes += 2)
	{
		model_seed(3);
		for (ReadWay way = READ_BY_ID; way <= READ_KEYSET; way++)
		{
			check_whole("nothing", nothing, way, PER_PAGE, crashes, &faithful);
			check_whole("one", one, way, PER_PAGE, crashes, &faithful);
			check_whole("one page", page, way, PER_PAGE, crashes, &faithful);
			check_whole("two pages", pages, way, PER_PAGE, crashes, &faithful);
			check_whole("two by two", page, way, 2, crashes, &faithful);
			check_whole("ties", small_ties, way, PER_PAGE, crashes, &faithful);
			check_whole("ties, capped", small_ties, way, PER_PAGE, crashes, &capped);
			check_whole("ties, no total", small_ties, way, PER_PAGE, crashes, &no_total);
			check_whole("NULLs", nulls, way, PER_PAGE, crashes, &faithful);
			check_whole("many", many, way, PER_PAGE, crashes, &faithful);
		}
		check_whole("huge tie", huge_tie, READ_KEYSET, PER_PAGE, crashes, &faithful);
		check_whole("nothing but a tie", only_tie, READ_KEYSET, PER_PAGE, crashes, &faithful);
	}
}

/*
 * No offset goes much deeper than a window, whatever the length of the list.
 */
static void
test_windows_keep_offsets_low(void)
{
	Checkpoint *checkpoint = checkpoint_parse("");
	ReadRow		rows[PER_PAGE];
	int64		next = 0;
	int64		deepest = 0;
	int			first;

	while (next < 5 * CHECKPOINT_WINDOW_ROWS)
	{
		int64		offset = checkpoint_offset(checkpoint, PER_PAGE, 0);
		int			known = checkpoint->offset > 0 ? 1 : 0;

		for (int i = 0; i < PER_PAGE; i++)
			rows[i] = (ReadRow) KEY(psprintf(INT64_FORMAT, next - known + i), (next - known + i) / 3);
		deepest = Max(deepest, offset);
		if (!CHECK_INT(judge(checkpoint, (ReadPage) {offset, PER_PAGE, rows, true, -1}, READ_KEYSET, doubt_end, &first),
					   READ_APPLY))
			break;
		next += PER_PAGE - known;
	}
	CHECK_MSG(deepest < CHECKPOINT_WINDOW_ROWS, "offset " INT64_FORMAT, deepest);
}

int
main(void)
{
	test_text();
	test_empty_list();
	test_overlap();
	test_step_back_is_not_fooled();
	test_newest();
	test_ignored();
	test_suspect();
	test_unsound_key();
	test_walk();
	test_whole_lists();
	test_windows_keep_offsets_low();
	return unit_summary();
}
