/*-------------------------------------------------------------------------
 *
 * seen_ids_test.c
 *	  Seen ids: what is packed is what was seen, and what is found is what is
 *	  there, against a plain list of texts.
 *
 * IDENTIFICATION
 *	  test/unit/seen_ids_test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include "seen_ids.h"
#include "unit.h"
#include "unit_random.h"

#define MOST_IDS 3000

static char texts[MOST_IDS][SEEN_ID_MAX_BYTES + 1];

static int
compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* How many different texts there are; the list is sorted. */
static int
sort_and_count(const char **ids, int n)
{
	int			different = 0;

	qsort(ids, n, sizeof(char *), compare_texts);
	for (int i = 0; i < n; i++)
		different += i == 0 || strcmp(ids[i], ids[i - 1]) != 0;
	return different;
}

/* Mostly numbers, as PCO's; some words, and some that are as long as may be. */
static void
make_id(char *text)
{
	int			kind = random_below(20);

	if (kind == 0)
		snprintf(text, SEEN_ID_MAX_BYTES + 1, "planning_center_%d", random_below(50));
	else if (kind == 1)
	{
		int			len = 1 + random_below(SEEN_ID_MAX_BYTES);

		for (int i = 0; i < len; i++)
			text[i] = (char) (random_below(2) ? 'a' : 0xc3);
		text[len] = '\0';
	}
	else
		snprintf(text, SEEN_ID_MAX_BYTES + 1, "%d", random_below(kind < 10 ? 3000 : 2000000000));
}

static void
test_against_model(int n)
{
	const char *all[MOST_IDS];
	const char *found;
	SeenSet    *set = seen_set_create(random_below(2) ? n : 0);
	int			different;
	int			taken = 0;

	for (int i = 0; i < n; i++)
	{
		make_id(texts[i]);
		all[i] = texts[i];
	}
	while (taken < n)
	{
		const char *page[100];
		int			n_page = 1 + random_below(100);
		int			kept;
		size_t		len;
		char	   *packed;

		n_page = n_page > n - taken ? n - taken : n_page;
		memcpy(page, &all[taken], sizeof(char *) * n_page);
		kept = n_page;
		packed = seen_pack(page, &kept, &len);
		memcpy(page, &all[taken], sizeof(char *) * n_page);
		CHECK_INT(kept, sort_and_count(page, n_page));
		CHECK(seen_set_add(set, packed, len, kept));
		pfree(packed);
		taken += n_page;
	}
	seen_set_sort(set);
	different = sort_and_count(all, n);
	CHECK_INT(seen_set_count(set), different);
	for (int i = 0, place = -1; i < n; i++)
	{
		place += i == 0 || strcmp(all[i], all[i - 1]) != 0;
		CHECK_INT(seen_set_find(set, all[i]), place);
		found = seen_set_id(set, place);
		CHECK_STR(found, all[i]);
		pfree((char *) found);
	}
	for (int i = 0; i < 100; i++)
	{
		char		other[SEEN_ID_MAX_BYTES + 1];
		const char *key = other;

		make_id(other);
		CHECK((seen_set_find(set, other) >= 0) ==
			  (bsearch(&key, all, n, sizeof(char *), compare_texts) != NULL));
	}
	CHECK_INT(seen_set_find(set, ""), -1);

	for (int64 i = 0; i < seen_set_count(set); i += 2)
		seen_set_mark(set, i);
	for (int64 i = 1, at = 0; i < seen_set_count(set); i += 2, at++)
	{
		at = seen_set_next_unmarked(set, at);
		CHECK_INT(at, i);
	}
	CHECK_INT(seen_set_next_unmarked(set, seen_set_count(set)), -1);
	seen_set_free(set);
}

/* A page that lost something is noticed, wherever it was cut, and whatever the count says. */
static void
test_damage(void)
{
	const char *ids[] = {"100", "1001", "1002", "20", "planning_center"};
	int			n = lengthof(ids);
	size_t		len;
	char	   *packed = seen_pack(ids, &n, &len);
	SeenSet    *set = seen_set_create(10);

	CHECK_INT(n, 5);
	CHECK(seen_set_add(set, packed, len, n));
	for (size_t cut = 0; cut < len; cut++)
		CHECK(!seen_set_add(set, packed, cut, n));
	CHECK(!seen_set_add(set, packed, len, n - 1));
	CHECK(!seen_set_add(set, packed, len, n + 1));
	packed[0] = 9;				/* shares more than there is */
	CHECK(!seen_set_add(set, packed, len, n));
	seen_set_free(set);
	pfree(packed);
}

/* Nothing is a page, too. */
static void
test_empty(void)
{
	const char *ids[] = {NULL};
	int			n = 0;
	size_t		len;
	char	   *packed = seen_pack(ids, &n, &len);
	SeenSet    *set = seen_set_create(0);

	CHECK_INT(len, 0);
	CHECK(seen_set_add(set, packed, len, 0));
	seen_set_sort(set);
	CHECK_INT(seen_set_count(set), 0);
	CHECK_INT(seen_set_find(set, "1"), -1);
	CHECK_INT(seen_set_next_unmarked(set, 0), -1);
	seen_set_free(set);
	pfree(packed);
}

int
main(void)
{
	test_empty();
	test_damage();
	for (int i = 0; i < 20; i++)
		test_against_model(1 + random_below(MOST_IDS));
	return unit_summary();
}
