/*-------------------------------------------------------------------------
 *
 * checkpoint_model.h
 *	  A reader of a list that changes while it is read.
 *
 * It does what a job does with checkpoint.c: several requests ahead, answered in
 * any order, applied in the order of the list; it can crash between pages, and
 * starts again from the text of its checkpoint.
 *
 * Owns one reader at a time.
 *
 * IDENTIFICATION
 *	  test/unit/checkpoint_model.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_CHECKPOINT_MODEL_H
#define SYNC_ENGINE_CHECKPOINT_MODEL_H

#include "changing_list.h"

/* As in job.h, job.c and job_page.c */
#define MODEL_WINDOW			32
#define MODEL_MAX_ATTEMPTS		9
#define MODEL_TRUST_END			3
#define MODEL_TRUST_IGNORED		2

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
} ModelRequest;

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

/* Downwards it asks for as many pages ahead as elsewhere, which no job does. */
static bool reader_is_bold;

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
			pfree((char *) request->page.rows[i].id);
		pfree((ReadRow *) request->page.rows);
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
			 !checkpoint_in_window(checkpoint, list.way, offset)))
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
	if (checkpoint_way(next, list.way) == READ_NEWEST && !reader_is_bold)
		reader.run_ahead = Min(next->offset / reader.per_page / 8, MODEL_WINDOW);
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
	verdict = checkpoint_judge(checkpoint, page, list.way,
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
				list_owe(checkpoint);
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
 * read_list: reads the list from there on; it changes, and its reader crashes, so
 * many times in a hundred steps, until `quiet_after` steps are done.
 */
static ModelResult
read_list(const char *from, int per_page, int changes, int crashes, int64 quiet_after)
{
	Checkpoint *start = checkpoint_parse(from);
	ModelResult result = MODEL_DONE;
	/* a re-read from the start at the end of the changes, however capped */
	int64		smallest = Min(per_page, list.quirks.cap > 0 ? list.quirks.cap : per_page) - 1;
	int64		enough = (list.n_initial + LIST_ROOM) / smallest * (MODEL_WINDOW + 2) + 1000;
	int64		loud = 0;
	bool		over = false;

	memset(&reader, 0, sizeof(reader));
	reader.per_page = per_page;
	reader.total = -1;
	reader.position = pstrdup(from);
	list_owe(start);
	checkpoint_free(start);

	for (int64 step = 0; !over; step++)
	{
		bool		quiet = step >= quiet_after;
		ModelRequest *request;

		if (!quiet && (int) model_random(100) < changes)
			list_change(4 * per_page);
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

			request->page = list_page(checkpoint, request->offset, reader.per_page);
			request->answered = true;
			reader.requests++;
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
