/*-------------------------------------------------------------------------
 *
 * checkpoint_model.h
 *	  A list that changes while it is read, and a reader of it.
 *
 * The server side is a list of rows, in the order of ids or of keys (NULLs
 * first, ties by id), that can be changed between any two requests.  The
 * reader's side does what a job does with checkpoint.c: several requests
 * ahead, answered in any order, applied in the order of the list; it can
 * crash between pages, and starts again from the text of its checkpoint.
 *
 * Owns one list and one reader at a time.  Everything random comes from
 * model_random(), by seed.
 *
 * IDENTIFICATION
 *	  test/unit/checkpoint_model.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_CHECKPOINT_MODEL_H
#define SYNC_ENGINE_CHECKPOINT_MODEL_H

#include "checkpoint.h"

/* As in job.h, job.c and job_page.c */
#define MODEL_WINDOW			32
#define MODEL_MAX_ATTEMPTS		9
#define MODEL_TRUST_END			3
#define MODEL_TRUST_IGNORED		2

/* Rows that may be added to those of the beginning */
#define MODEL_ROOM				20000

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

typedef struct ModelRow
{
	bool		has_key;
	int64		key;
	bool		alive;
	bool		unsound;		/* its key cannot be read */
	int			reads;
} ModelRow;

typedef enum ModelResult
{
	MODEL_DONE,
	MODEL_FAILED,				/* the job would have failed */
	MODEL_ENDLESS				/* more requests than could be of use */
} ModelResult;

typedef struct ModelRequest
{
	int64		offset;
	bool		answered;
	int			attempts;
	ReadPage	page;
	ReadRow    *rows;
} ModelRequest;

static struct
{
	Quirks		quirks;
	bool		keyset;
	int64		clock;			/* seconds, no key is later */
	int			n_rows;			/* that ever were; the number is the id */
	int			n_initial;		/* of the beginning */
	ModelRow   *rows;
	int			n_alive;
	int		   *by_id;			/* rows that are alive */
	int		   *by_key;
} list;

static struct
{
	int			per_page;
	char	   *position;
	int64		back;
	int64		total;
	int			run_ahead;
	int			suspect_pages;
	int			ignored_pages;
	int			n_window;
	ModelRequest *window[MODEL_WINDOW];
	int64		requests;
	int64		pages;
	int64		steps_back;
	int			windows;		/* of keys */
	bool		went_plain;
	int64		most_suspects;
} reader;

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

/* ---- the list ---- */

static bool
sorts_before(const int *order, int a, int b)
{
	const ModelRow *x = &list.rows[a];
	const ModelRow *y = &list.rows[b];

	if (order == list.by_key && x->has_key != y->has_key)
		return y->has_key;
	if (order == list.by_key && x->has_key && x->key != y->key)
		return x->key < y->key;
	return a < b;
}

/* place_of: where the row stands in this order, or would stand. */
static int
place_of(const int *order, int row)
{
	int			low = 0;
	int			high = list.n_alive;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (sorts_before(order, order[middle], row))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void
take_out(int *order, int row)
{
	int			place = place_of(order, row);

	memmove(&order[place], &order[place + 1], sizeof(int) * (list.n_alive - place - 1));
}

static void
put_in(int *order, int row)
{
	int			place = place_of(order, row);

	memmove(&order[place + 1], &order[place], sizeof(int) * (list.n_alive - place));
	order[place] = row;
}

static void
list_create(int n, bool keyset, const Quirks *quirks)
{
	list.quirks = *quirks;
	list.keyset = keyset;
	list.clock = 0;
	list.n_rows = 0;
	list.n_initial = n;
	list.rows = palloc0(sizeof(ModelRow) * (n + MODEL_ROOM));
	list.n_alive = 0;
	list.by_id = palloc(sizeof(int) * (n + MODEL_ROOM));
	list.by_key = palloc(sizeof(int) * (n + MODEL_ROOM));
}

static void
list_destroy(void)
{
	pfree(list.rows);
	pfree(list.by_id);
	pfree(list.by_key);
}

static void
list_insert(bool has_key, int64 key)
{
	ModelRow   *row = &list.rows[list.n_rows];

	if (list.n_rows == list.n_initial + MODEL_ROOM)
		return;
	row->has_key = has_key;
	row->key = key;
	row->alive = true;
	put_in(list.by_id, list.n_rows);
	put_in(list.by_key, list.n_rows);
	list.n_alive++;
	list.n_rows++;
	list.clock = Max(list.clock, key);
}

static void
list_delete(int row)
{
	take_out(list.by_id, row);
	take_out(list.by_key, row);
	list.n_alive--;
	list.rows[row].alive = false;
}

/* list_touch: an edit, now. */
static void
list_touch(int row)
{
	take_out(list.by_key, row);
	list.n_alive--;
	list.rows[row].has_key = true;
	list.rows[row].key = list.clock;
	put_in(list.by_key, row);
	list.n_alive++;
}

/* list_change: one random change, or a burst of them side by side. */
static void
list_change(void)
{
	int			what = model_random(4);
	int			count = model_random(8) == 0 ? 1 + model_random(4 * reader.per_page) : 1;
	int			place = list.n_alive > 0 ? model_random(list.n_alive) : 0;

	list.clock += model_random(2);
	for (int i = 0; i < count; i++)
	{
		if (what == 0 || list.n_alive == 0)
			list_insert(model_random(4) > 0, list.clock);
		else if (what == 1)
			list_delete(list.by_key[place % list.n_alive]);
		else
			list_touch(list.by_key[place % list.n_alive]);
	}
}

/* list_answer: what the server answers to a request, at this moment. */
static void
list_answer(ModelRequest *request, const Checkpoint *checkpoint)
{
	bool		ordered = list.keyset && !checkpoint->plain && !list.quirks.ignores_order;
	const int  *order = ordered ? list.by_key : list.by_id;
	bool		filtered = list.keyset && !checkpoint->plain && checkpoint->has_anchor &&
		!list.quirks.ignores_where;
	int			asked = list.quirks.cap > 0 ? Min(reader.per_page, list.quirks.cap) : reader.per_page;
	int			n = 0;
	int64		seen = 0;

	request->rows = palloc0(sizeof(ReadRow) * asked);
	for (int i = 0; i < list.n_alive; i++)
	{
		const ModelRow *row = &list.rows[order[i]];

		if (filtered && (!row->has_key || row->key < checkpoint->anchor))
			continue;
		if (seen++ < request->offset || n == asked)
			continue;
		/* what separates in the checkpoint's text is in the ids, too */
		request->rows[n].id = psprintf("%d %%,=é", order[i]);
		request->rows[n].unsound = list.keyset && row->unsound;
		request->rows[n].has_key = list.keyset && row->has_key && !row->unsound;
		request->rows[n].key = row->key;
		n++;
	}
	request->page = (ReadPage) {request->offset, n, request->rows,
		seen > request->offset + n || list.quirks.never_ends,
		list.quirks.no_total ? -1 : seen + list.quirks.total_lie};
	if (list.quirks.ends_early > 0 && (int) model_random(100) < list.quirks.ends_early)
		request->page.has_next = false;
	request->answered = true;
	reader.requests++;
}

/* ---- the reader ---- */

static void
checkpoint_free(Checkpoint *checkpoint)
{
	for (int i = 0; i < checkpoint->n_tail; i++)
		pfree(checkpoint->tail[i]);
	pfree(checkpoint);
}

static void
forget_answer(ModelRequest *request)
{
	if (request->answered)
	{
		for (int i = 0; i < request->page.n_rows; i++)
			pfree((char *) request->rows[i].id);
		pfree(request->rows);
	}
	request->answered = false;
}

static void
drop_first(void)
{
	forget_answer(reader.window[0]);
	pfree(reader.window[0]);
	reader.n_window--;
	memmove(&reader.window[0], &reader.window[1], sizeof(ModelRequest *) * reader.n_window);
}

static void
drop_window(void)
{
	while (reader.n_window > 0)
		drop_first();
}

/* plan: as plan_list() of job_fetch.c. */
static void
plan(void)
{
	Checkpoint *checkpoint = checkpoint_parse(reader.position);
	int			limit = reader.back > 0 ? 1 :
		Min(MODEL_WINDOW, 1 + reader.run_ahead);

	checkpoint->back = reader.back;
	while (reader.n_window < limit)
	{
		int64		offset = checkpoint_offset(checkpoint, reader.per_page, reader.n_window);
		ModelRequest *request;

		if (reader.n_window > 0 &&
			((reader.total >= 0 && offset + 1 >= reader.total) ||
			 !checkpoint_in_window(checkpoint, list.keyset, offset)))
			break;
		request = palloc0(sizeof(ModelRequest));
		request->offset = offset;
		reader.window[reader.n_window++] = request;
	}
	checkpoint_free(checkpoint);
}

/* after_page: as after_page() of job_page.c. */
static void
after_page(const ReadPage *page, Checkpoint *next)
{
	Checkpoint *before = checkpoint_parse(reader.position);

	if (next->has_anchor != before->has_anchor || next->anchor != before->anchor)
		reader.windows++;
	checkpoint_free(before);
	pfree(reader.position);
	reader.position = checkpoint_format(next);
	reader.back = 0;
	reader.suspect_pages = 0;
	reader.ignored_pages = 0;
	reader.run_ahead = reader.total < 0 && page->total_count >= 0 ? MODEL_WINDOW :
		Min(reader.run_ahead * 2 + 1, MODEL_WINDOW);
	reader.total = page->total_count < 0 ? -1 :
		page->total_count - (page->offset + page->n_rows - next->offset);
	drop_first();
	if (reader.n_window > 0 &&
		reader.window[0]->offset != checkpoint_offset(next, reader.per_page, 0))
		drop_window();
}

/* apply: as apply() of job_page.c.  True if the job is over. */
static bool
apply(ModelResult *result)
{
	ModelRequest *request = reader.window[0];
	const ReadPage *page = &request->page;
	Checkpoint *checkpoint = checkpoint_parse(reader.position);
	const char *problem = NULL;
	int			first;
	bool		over = false;
	ReadVerdict verdict;

	checkpoint->back = reader.back;
	verdict = checkpoint_judge(checkpoint, page, list.keyset,
							   reader.suspect_pages >= MODEL_TRUST_END, reader.per_page,
							   &first, &problem);
	switch (verdict)
	{
		case READ_APPLY:
		case READ_LAST:
			for (int i = first; i < page->n_rows; i++)
				list.rows[atoi(page->rows[i].id)].reads++;
			reader.pages++;
			*result = MODEL_DONE;
			over = verdict == READ_LAST;
			after_page(page, checkpoint);
			break;
		case READ_STEP_BACK:
			reader.steps_back++;
			reader.back = checkpoint->back;
			reader.run_ahead = 0;
			drop_window();
			break;
		case READ_SUSPECT:
			reader.suspect_pages++;
			reader.most_suspects = Max(reader.most_suspects, reader.suspect_pages);
			forget_answer(request);
			*result = MODEL_FAILED;
			over = ++request->attempts >= MODEL_MAX_ATTEMPTS;
			break;
		case READ_IGNORED:
			if (++reader.ignored_pages >= MODEL_TRUST_IGNORED)
			{
				checkpoint_restart_plain(checkpoint);
				pfree(reader.position);
				reader.position = checkpoint_format(checkpoint);
				reader.went_plain = true;
				reader.total = -1;
				reader.run_ahead = 0;
				reader.ignored_pages = 0;
			}
			drop_window();
			break;
	}
	checkpoint_free(checkpoint);
	return over;
}

/* crash: all is forgotten but what was committed. */
static void
crash(void)
{
	drop_window();
	reader.back = 0;
	reader.total = -1;
	reader.run_ahead = 0;
	reader.suspect_pages = 0;
	reader.ignored_pages = 0;
}

/*
 * read_list: reads the list, which changes and crashes so many times in a
 * hundred steps, until `quiet_after` steps are done.
 */
static ModelResult
read_list(int per_page, int changes, int crashes, int64 quiet_after)
{
	ModelResult result = MODEL_DONE;
	/* a re-read from the start at the end of the changes, however capped */
	int64		smallest = Min(per_page, list.quirks.cap > 0 ? list.quirks.cap : per_page) - 1;
	int64		enough = (list.n_initial + MODEL_ROOM) / smallest * (MODEL_WINDOW + 2) + 1000;
	int64		loud = 0;
	bool		over = false;

	memset(&reader, 0, sizeof(reader));
	reader.per_page = per_page;
	reader.total = -1;
	reader.position = pstrdup("");

	for (int64 step = 0; !over; step++)
	{
		bool		quiet = step >= quiet_after;
		ModelRequest *request;

		if (!quiet && (int) model_random(100) < changes)
			list_change();
		if (!quiet && (int) model_random(100) < crashes)
			crash();
		if (!quiet)
			loud = reader.requests;
		if (reader.requests - loud > enough)
		{
			result = MODEL_ENDLESS;
			break;
		}

		plan();
		request = reader.window[model_random(reader.n_window)];
		if (!request->answered)
		{
			Checkpoint *checkpoint = checkpoint_parse(reader.position);

			list_answer(request, checkpoint);
			checkpoint_free(checkpoint);
		}
		else if (reader.window[0]->answered)
			over = apply(&result);
	}
	drop_window();
	pfree(reader.position);
	return result;
}

#endif							/* SYNC_ENGINE_CHECKPOINT_MODEL_H */
