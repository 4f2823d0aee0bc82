/*-------------------------------------------------------------------------
 *
 * checkpoint.c
 *		Where a job stands in a list, and what a page means for it.
 *
 * Pure: no server state, no clock, no I/O.
 *
 * IDENTIFICATION
 *		src/checkpoint.c
 *
 *-------------------------------------------------------------------------
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include "checkpoint.h"
#include "lib/stringinfo.h"

/*
 * The first step back is this share of a page: few rows move at once, and the
 * rest of the page is new.
 */
#define STEP_BACK_SHARE		8

/*
 * append_id: ids are strings of any kind; what separates is escaped.
 */
static void
append_id(StringInfo out, const char *id)
{
	for (; *id != '\0'; id++)
	{
		if (strchr(" ,%=", *id) != NULL)
			appendStringInfo(out, "%%%02x", (unsigned char) *id);
		else
			appendStringInfoChar(out, *id);
	}
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c - 'a' + 10;
}

/* parse_id: the id up to `end`, unescaped and palloc'd. */
static char *
parse_id(const char *start, const char *end)
{
	char	   *id = palloc(end - start + 1);
	char	   *out = id;

	for (; start < end; start++)
	{
		if (*start == '%' && end - start > 2)
		{
			*out++ = (char) (hex_digit(start[1]) * 16 + hex_digit(start[2]));
			start += 2;
		}
		else
			*out++ = *start;
	}
	*out = '\0';
	return id;
}

char *
checkpoint_format(const Checkpoint *checkpoint)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfo(&out, "offset=" INT64_FORMAT, checkpoint->offset);
	if (checkpoint->has_anchor)
		appendStringInfo(&out, " anchor=" INT64_FORMAT, checkpoint->anchor);
	if (checkpoint->has_key)
		appendStringInfo(&out, " key=" INT64_FORMAT " ties=" INT64_FORMAT,
						 checkpoint->key, checkpoint->ties);
	if (checkpoint->plain)
		appendStringInfoString(&out, " plain=1");
	if (checkpoint->verify)
		appendStringInfoString(&out, " verify=1");
	if (checkpoint->parent != NULL)
	{
		appendStringInfoString(&out, checkpoint->parent_done ? " after=" : " parent=");
		append_id(&out, checkpoint->parent);
	}
	if (checkpoint->n_tail > 0)
	{
		appendStringInfoString(&out, " tail=");
		for (int i = 0; i < checkpoint->n_tail; i++)
		{
			if (i > 0)
				appendStringInfoChar(&out, ',');
			append_id(&out, checkpoint->tail[i]);
		}
	}
	return out.data;
}

Checkpoint *
checkpoint_parse(const char *text)
{
	Checkpoint *checkpoint = palloc0(sizeof(Checkpoint));

	while (*text != '\0')
	{
		const char *name = text;
		const char *value = strchr(text, '=') + 1;
		const char *end = value + strcspn(value, " ");

#define IS_NAMED(word)	(strncmp(name, word "=", sizeof(word)) == 0)
		if (IS_NAMED("offset"))
			checkpoint->offset = strtoll(value, NULL, 10);
		else if (IS_NAMED("anchor"))
		{
			checkpoint->has_anchor = true;
			checkpoint->anchor = strtoll(value, NULL, 10);
		}
		else if (IS_NAMED("key"))
		{
			checkpoint->has_key = true;
			checkpoint->key = strtoll(value, NULL, 10);
		}
		else if (IS_NAMED("ties"))
			checkpoint->ties = strtoll(value, NULL, 10);
		else if (IS_NAMED("plain"))
			checkpoint->plain = true;
		else if (IS_NAMED("verify"))
			checkpoint->verify = true;
		else if (IS_NAMED("parent") || IS_NAMED("after"))
		{
			checkpoint->parent = parse_id(value, end);
			checkpoint->parent_done = IS_NAMED("after");
		}
		else if (IS_NAMED("tail"))
		{
			while (checkpoint->n_tail < CHECKPOINT_TAIL)
			{
				const char *stop = value + strcspn(value, " ,");

				checkpoint->tail[checkpoint->n_tail++] = parse_id(value, stop);
				if (*stop != ',')
					break;
				value = stop + 1;
			}
		}
#undef IS_NAMED
		text = *end == ' ' ? end + 1 : end;
	}
	return checkpoint;
}

/* The row before the next one is asked for again, if there is one. */
static int
overlap(const Checkpoint *checkpoint)
{
	return checkpoint->offset > 0 ? 1 : 0;
}

int64
checkpoint_offset(const Checkpoint *checkpoint, int per_page, int ahead)
{
	int64		next = checkpoint->offset - overlap(checkpoint) - checkpoint->back;

	return Max(next, 0) + (int64) ahead * (per_page - 1);
}

ReadWay
checkpoint_way(const Checkpoint *checkpoint, ReadWay way)
{
	return checkpoint->plain ? READ_BY_ID : way;
}

bool
checkpoint_in_window(const Checkpoint *checkpoint, ReadWay way, int64 offset)
{
	/* a tie longer than the window cannot be left behind */
	return checkpoint_way(checkpoint, way) != READ_KEYSET || offset < CHECKPOINT_WINDOW_ROWS ||
		!checkpoint->has_key || offset <= checkpoint->offset;
}

static void
clear_tail(Checkpoint *checkpoint)
{
	for (int i = 0; i < checkpoint->n_tail; i++)
		pfree(checkpoint->tail[i]);
	checkpoint->n_tail = 0;
}

void
checkpoint_restart_plain(Checkpoint *checkpoint)
{
	clear_tail(checkpoint);
	checkpoint->offset = 0;
	checkpoint->has_anchor = false;
	checkpoint->has_key = false;
	checkpoint->ties = 0;
	checkpoint->back = 0;
	checkpoint->plain = true;
}

void
checkpoint_enter_parent(Checkpoint *checkpoint, const char *parent)
{
	char	   *copy = pstrdup(parent);

	clear_tail(checkpoint);
	if (checkpoint->parent != NULL)
		pfree(checkpoint->parent);
	checkpoint->parent = copy;
	checkpoint->parent_done = false;
	checkpoint->offset = 0;
	checkpoint->has_anchor = false;
	checkpoint->has_key = false;
	checkpoint->ties = 0;
	checkpoint->back = 0;
}

/*
 * honours_request: does the page keep the order and the filter?
 */
static bool
honours_request(const Checkpoint *checkpoint, const ReadPage *page, ReadWay way, const char **problem)
{
	const ReadRow *before = NULL;	/* the last row with a key; downwards, the last row */

	for (int i = 0; i < page->n_rows; i++)
	{
		const ReadRow *row = &page->rows[i];

		if (row->unsound)
			continue;
		if (way != READ_NEWEST && checkpoint->has_anchor && (!row->has_key || row->key < checkpoint->anchor))
		{
			*problem = "the server ignores the filter";
			return false;
		}
		if ((way == READ_KEYSET && before != NULL && (!row->has_key || row->key < before->key)) ||
			(way == READ_NEWEST && before != NULL && row->has_key &&
			 (!before->has_key || row->key > before->key)))
		{
			*problem = "the server ignores the order";
			return false;
		}
		if (row->has_key || way == READ_NEWEST)
			before = row;
	}
	return true;
}

/*
 * ends_list: a page without a next one is the last, unless it says itself that
 * there is more, or is full and does not say.  A next one that would bring
 * nothing is none.
 */
static bool
ends_list(const ReadPage *page, int per_page, bool has_news)
{
	int64		end = page->offset + page->n_rows;

	if (page->has_next)
		return !has_news && page->total_count >= 0 && end >= page->total_count;
	if (!has_news)
		return true;
	return page->total_count >= 0 ? end >= page->total_count : page->n_rows < per_page;
}

/*
 * passes_anchor: downwards, has the page come to rows that are no news?
 */
static bool
passes_anchor(const Checkpoint *checkpoint, const ReadPage *page)
{
	for (int i = 0; i < page->n_rows; i++)
	{
		const ReadRow *row = &page->rows[i];

		if (!row->unsound && (!row->has_key || row->key < checkpoint->anchor))
			return true;
	}
	return false;
}

/*
 * stands_where_it_was: is this row the i-th of the tail, and not edited since?
 * An edited row has a later key, or one at last; it has moved behind rows that
 * are not read yet, or to the front, and proves nothing.  Downwards only the keys
 * that equal the last one tell.
 */
static bool
stands_where_it_was(const Checkpoint *checkpoint, int i, const ReadRow *row, ReadWay way)
{
	if (strcmp(row->id, checkpoint->tail[i]) != 0)
		return false;
	if (way == READ_NEWEST)
		return !row->unsound && row->has_key && checkpoint->has_key && row->key == checkpoint->key;
	if (way != READ_KEYSET || row->unsound)
		return true;
	if (!checkpoint->has_key)
		return !row->has_key;
	if (i >= checkpoint->n_tail - checkpoint->ties)
		return row->has_key && row->key == checkpoint->key;
	return !row->has_key || row->key < checkpoint->key;
}

/*
 * reaches_back: does the page begin no later than a row that was read?  Then
 * no row that is unread stands before it.
 */
static bool
reaches_back(const Checkpoint *checkpoint, const ReadPage *page, ReadWay way)
{
	if (page->offset == 0)
		return true;
	if (way == READ_NEWEST && checkpoint->has_key && page->n_rows > 0 && !page->rows[0].unsound &&
		page->rows[0].has_key && page->rows[0].key > checkpoint->key)
		return true;
	if (way == READ_KEYSET && checkpoint->has_key && page->n_rows > 0 && !page->rows[0].unsound &&
		(!page->rows[0].has_key || page->rows[0].key < checkpoint->key))
		return true;
	for (int i = 0; i < page->n_rows; i++)
	{
		const ReadRow *row = &page->rows[i];

		/* it may have moved: upwards behind rows that are unread, downwards away from them */
		if (row->unsound && (way != READ_NEWEST || row->id[0] == '\0'))
			continue;
		for (int known = 0; known < checkpoint->n_tail; known++)
		{
			if (row->unsound ? strcmp(row->id, checkpoint->tail[known]) == 0 :
				stands_where_it_was(checkpoint, known, row, way))
				return true;
		}
	}
	return false;
}

/*
 * advance: the checkpoint after the rows from `first` on.
 */
static void
advance(Checkpoint *checkpoint, const ReadPage *page, int first, ReadWay way)
{
	bool		by_key = way == READ_KEYSET || way == READ_NEWEST;

	for (int i = first; i < page->n_rows; i++)
	{
		const ReadRow *row = &page->rows[i];

		if (by_key && row->has_key)
		{
			if (checkpoint->has_key && row->key == checkpoint->key)
				checkpoint->ties++;
			else
				checkpoint->ties = 1;
			checkpoint->has_key = true;
			checkpoint->key = row->key;
		}
	}

	for (int i = Max(first, page->n_rows - CHECKPOINT_TAIL); i < page->n_rows; i++)
	{
		if (checkpoint->n_tail == CHECKPOINT_TAIL)
		{
			pfree(checkpoint->tail[0]);
			memmove(&checkpoint->tail[0], &checkpoint->tail[1],
					sizeof(char *) * (CHECKPOINT_TAIL - 1));
			checkpoint->n_tail--;
		}
		checkpoint->tail[checkpoint->n_tail++] = pstrdup(page->rows[i].id);
	}

	checkpoint->offset = page->offset + page->n_rows;
	checkpoint->back = 0;

	if (way == READ_KEYSET && checkpoint->has_key && checkpoint->offset >= CHECKPOINT_WINDOW_ROWS &&
		(!checkpoint->has_anchor || checkpoint->key > checkpoint->anchor))
	{
		/* the new window begins with the rows that share the last key */
		checkpoint->has_anchor = true;
		checkpoint->anchor = checkpoint->key;
		checkpoint->offset = checkpoint->ties;
	}
}

ReadVerdict
checkpoint_judge(Checkpoint *checkpoint, const ReadPage *page, ReadWay way, bool trust_end,
				 int per_page, int *first, const char **problem)
{
	const bool	stepped_back = checkpoint->back > 0;
	bool		is_last;

	way = checkpoint_way(checkpoint, way);
	*first = 0;

	if (way != READ_BY_ID && !honours_request(checkpoint, page, way, problem))
		return READ_IGNORED;

	if (stepped_back)
	{
		if (!reaches_back(checkpoint, page, way))
		{
			checkpoint->back *= 2;
			return READ_STEP_BACK;
		}
	}
	else if (overlap(checkpoint) > 0)
	{
		if (page->n_rows == 0 ||
			!stands_where_it_was(checkpoint, checkpoint->n_tail - 1, &page->rows[0], way))
		{
			checkpoint->back = Max(per_page / STEP_BACK_SHARE, 1);
			return READ_STEP_BACK;
		}
		*first = 1;
	}

	if (way == READ_NEWEST && passes_anchor(checkpoint, page))
	{
		advance(checkpoint, page, *first, way);
		return READ_LAST;
	}
	is_last = ends_list(page, per_page, page->n_rows > *first);
	if (is_last && page->total_count > page->offset + page->n_rows && !trust_end)
	{
		*problem = "the list ends before its total_count";
		return READ_SUSPECT;
	}
	if (page->n_rows > 0 && page->total_count >= 0 && page->offset >= page->total_count)
	{
		*problem = "rows beyond total_count: the server ignores the offset";
		return READ_SUSPECT;
	}
	if (!is_last && page->n_rows <= *first)
	{
		*problem = "a page announces more but brings nothing new";
		return READ_SUSPECT;
	}

	if (stepped_back)
	{
		/* all of it is taken: what is known already is merely unchanged */
		clear_tail(checkpoint);
		checkpoint->has_key = false;
		checkpoint->ties = 0;
	}
	advance(checkpoint, page, *first, way);
	return is_last ? READ_LAST : READ_APPLY;
}
