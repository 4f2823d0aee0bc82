/*-------------------------------------------------------------------------
 *
 * changing_list.h
 *	  The API's side of a list that changes while it is read.
 *
 * Rows that can be edited, inserted, deleted and restored between any two
 * requests; a server that orders them by id or by key, filters by key, and can
 * depart from what it is asked for.
 *
 * Owns one list at a time, and which of its rows a reader owes.  Everything random
 * comes from model_random(), by seed.
 *
 * IDENTIFICATION
 *	  test/unit/changing_list.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_CHANGING_LIST_H
#define SYNC_ENGINE_CHANGING_LIST_H

#include "checkpoint.h"

/* Rows that may be added to those of the beginning */
#define LIST_ROOM				20000

/* How the server departs from a faithful one */
typedef struct Quirks
{
	int			cap;			/* rows of a page at most; 0 = as asked */
	bool		ignores_order;
	bool		ignores_where;
	bool		no_total;
	int			ends_early;		/* of 100 pages say that they are the last */
	int64		total_lie;		/* added to total_count */
	bool		never_ends;		/* the last page announces more, too */
} Quirks;

typedef struct ListRow
{
	bool		has_key;
	int64		key;
	bool		alive;
	bool		unsound;		/* its key cannot be read */
	bool		due;			/* it must be read */
	int			reads;
} ListRow;

typedef enum ListOrder
{
	BY_ID,
	BY_KEY,						/* NULLs first, ties by id */
	BY_NEWEST,					/* NULLs last, ties by id all the same */
	N_ORDERS
} ListOrder;

static struct
{
	Quirks		quirks;
	ReadWay		way;			/* that it is asked for */
	int64		clock;			/* seconds, no key is later */
	int			n_rows;			/* that ever were; the number is the id */
	int			n_initial;		/* of the beginning */
	ListRow    *rows;
	int			n_alive;
	int		   *order[N_ORDERS];	/* rows that are alive */
	bool		edits_come_later;	/* an edited row is for the next read */
} list;

static uint64 model_state;

static uint64
model_random(uint64 below)
{
	/* xorshift64* */
	model_state ^= model_state >> 12;
	model_state ^= model_state << 25;
	model_state ^= model_state >> 27;
	return (model_state * UINT64CONST(0x2545F4914F6CDD1D) >> 33) % below;
}

static void
model_seed(uint64 seed)
{
	model_state = seed * UINT64CONST(0x9E3779B97F4A7C15) + 1;
}

/* ---- its order ---- */

static bool
sorts_before(ListOrder order, int a, int b)
{
	const ListRow *x = &list.rows[a];
	const ListRow *y = &list.rows[b];

	if (order != BY_ID && x->has_key != y->has_key)
		return order == BY_KEY ? y->has_key : x->has_key;
	if (order != BY_ID && x->has_key && x->key != y->key)
		return order == BY_KEY ? x->key < y->key : x->key > y->key;
	return a < b;
}

/* place_of: where the row stands in this order, or would stand. */
static int
place_of(ListOrder order, int row)
{
	int			low = 0;
	int			high = list.n_alive;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (sorts_before(order, list.order[order][middle], row))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void
take_out(int row)
{
	for (ListOrder order = 0; order < N_ORDERS; order++)
	{
		int		   *place = &list.order[order][place_of(order, row)];

		memmove(place, place + 1, sizeof(int) * (&list.order[order][list.n_alive - 1] - place));
	}
	list.n_alive--;
	list.rows[row].alive = false;
}

static void
put_in(int row)
{
	for (ListOrder order = 0; order < N_ORDERS; order++)
	{
		int		   *place = &list.order[order][place_of(order, row)];

		memmove(place + 1, place, sizeof(int) * (&list.order[order][list.n_alive] - place));
		*place = row;
	}
	list.n_alive++;
	list.rows[row].alive = true;
}

/* ---- what happens to it ---- */

static void
list_create(int n, ReadWay way, const Quirks *quirks)
{
	list.quirks = *quirks;
	list.way = way;
	list.clock = 0;
	list.n_rows = 0;
	list.n_initial = n;
	list.rows = palloc0(sizeof(ListRow) * (n + LIST_ROOM));
	list.n_alive = 0;
	for (ListOrder order = 0; order < N_ORDERS; order++)
		list.order[order] = palloc(sizeof(int) * (n + LIST_ROOM));
	list.edits_come_later = false;
}

static void
list_destroy(void)
{
	pfree(list.rows);
	for (ListOrder order = 0; order < N_ORDERS; order++)
		pfree(list.order[order]);
}

static void
list_insert(bool has_key, int64 key)
{
	ListRow    *row = &list.rows[list.n_rows];

	if (list.n_rows == list.n_initial + LIST_ROOM)
		return;
	row->has_key = has_key;
	row->key = key;
	put_in(list.n_rows);
	list.n_rows++;
	list.clock = Max(list.clock, key);
}

static void
list_delete(int row)
{
	take_out(row);
	list.rows[row].due = false;
}

/* list_touch: an edit, now. */
static void
list_touch(int row)
{
	take_out(row);
	list.rows[row].has_key = true;
	list.rows[row].key = list.clock;
	put_in(row);
	if (list.edits_come_later)
		list.rows[row].due = false;
}

/* list_restore: a row that was deleted is back, maybe with the key it had. */
static void
list_restore(int row)
{
	if (list.rows[row].alive)
		return;
	put_in(row);
	if (model_random(2) == 0)
		list_touch(row);
}

/* list_change: one random change, or a burst of them side by side. */
static void
list_change(int burst)
{
	int			what = model_random(5);
	int			count = model_random(8) == 0 ? 1 + model_random(burst) : 1;
	int			place = list.n_alive > 0 ? model_random(list.n_alive) : 0;
	const int  *by_key = list.order[BY_KEY];

	list.clock += model_random(2);
	for (int i = 0; i < count; i++)
	{
		if (what == 0 || list.n_alive == 0)
			list_insert(model_random(4) > 0, list.clock);
		else if (what == 1)
			list_delete(by_key[place % list.n_alive]);
		else if (what == 2)
			list_restore(model_random(list.n_rows));
		else
			list_touch(by_key[place % list.n_alive]);
	}
}

/* ---- what is read of it ---- */

static bool
is_in(const ListRow *row, const Checkpoint *from)
{
	return !from->has_anchor || (row->has_key && row->key >= from->anchor);
}

/*
 * list_owe: a reader that begins there now owes all rows of its window that live
 * to its end; one that reads downwards, those that nobody edits meanwhile.
 */
static void
list_owe(const Checkpoint *from)
{
	list.edits_come_later = checkpoint_way(from, list.way) == READ_NEWEST;
	for (int i = 0; i < list.n_rows; i++)
	{
		ListRow    *row = &list.rows[i];

		row->reads = 0;
		row->due = row->alive && is_in(row, from);
	}
}

/* list_page: what the server answers, at this moment; the rows are palloc'd. */
static ReadPage
list_page(const Checkpoint *checkpoint, int64 offset, int per_page)
{
	static const ListOrder order_of[] = {
		[READ_BY_ID] = BY_ID,[READ_KEYSET] = BY_KEY,[READ_FILTERED] = BY_ID,[READ_NEWEST] = BY_NEWEST
	};
	ReadWay		way = checkpoint_way(checkpoint, list.way);
	const int  *order = list.order[list.quirks.ignores_order ? BY_ID : order_of[way]];
	bool		filtered = (way == READ_KEYSET || way == READ_FILTERED) && !list.quirks.ignores_where;
	int			asked = list.quirks.cap > 0 ? Min(per_page, list.quirks.cap) : per_page;
	ReadRow    *rows = palloc0(sizeof(ReadRow) * asked);
	int			n = 0;
	int64		total = 0;
	bool		has_next;

	for (int i = 0; i < list.n_alive; i++)
	{
		const ListRow *row = &list.rows[order[i]];

		if (filtered && !is_in(row, checkpoint))
			continue;
		if (total++ < offset || n == asked)
			continue;
		/* what separates in the checkpoint's text is in the ids, too */
		rows[n].id = psprintf("%d %%,=é", order[i]);
		rows[n].unsound = list.way != READ_BY_ID && row->unsound;
		rows[n].has_key = list.way != READ_BY_ID && row->has_key && !row->unsound;
		rows[n].key = row->key;
		n++;
	}
	has_next = total > offset + n || list.quirks.never_ends;
	if (list.quirks.ends_early > 0 && (int) model_random(100) < list.quirks.ends_early)
		has_next = false;
	return (ReadPage) {offset, n, rows, has_next, list.quirks.no_total ? -1 : total + list.quirks.total_lie};
}

#endif							/* SYNC_ENGINE_CHANGING_LIST_H */
