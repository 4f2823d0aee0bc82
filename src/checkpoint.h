/*-------------------------------------------------------------------------
 *
 * checkpoint.h
 *		Where a job stands in a list, and what a page means for it.
 *
 * Pure: no server state, no clock, no I/O.
 *
 * A list is read in offset pages inside a window.  The window starts at the
 * beginning (no anchor; rows whose key is NULL come first there), or where a
 * delta does, and, where the API can order and filter, moves on to
 * where[key][gte]=anchor before offsets get deep.  Several pages of a window can
 * be under way at once; they are taken strictly in order.
 *
 * Each page repeats the last row of the page before.  If it is not there, rows
 * have moved meanwhile (an edit moves a row to the end of the list, a delete
 * moves up all behind it), and the reader steps back until it meets a row that
 * it knows.  So no row that existed throughout can be missed, and one that
 * moves comes again at the end.
 *
 * IDENTIFICATION
 *		src/checkpoint.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_CHECKPOINT_H
#define SYNC_ENGINE_CHECKPOINT_H

/*
 * Rows of a window after which it moves on.  The API slow-lanes offsets above
 * 30,000 (PCO, March 2026); each move costs one round trip without requests
 * ahead, one in two hundred pages.
 */
#ifndef CHECKPOINT_WINDOW_ROWS	/* tests make it small */
#define CHECKPOINT_WINDOW_ROWS	20000
#endif

/*
 * Ids kept of the rows read last, to meet again when stepping back.  If none of
 * them is met, because all moved or a step leapt over them, and no key tells
 * where a page stands, it goes back to the window's start.
 */
#define CHECKPOINT_TAIL			6

/* How a list is asked for. */
typedef enum ReadWay
{
	READ_BY_ID,					/* as it stands: by id, all of it */
	READ_KEYSET,				/* ordered by a key, from the anchor on if there is one */
	READ_FILTERED,				/* by id, those whose key is not before the anchor */
	READ_NEWEST					/* ordered by the key downwards, as far as the anchor */
} ReadWay;

typedef struct Checkpoint
{
	int64		offset;			/* rows of the window that are done */
	bool		has_anchor;
	int64		anchor;			/* unix seconds; the window starts, or ends, there */
	bool		has_key;
	int64		key;			/* of the last row, unix seconds */
	int64		ties;			/* trailing rows that share it */
	int			n_tail;
	char	   *tail[CHECKPOINT_TAIL];	/* their ids, the last row's last */
	bool		plain;			/* the server ignores order or filter */
	bool		verify;			/* the records came with another list's pages: count
								 * them before the list itself is read */
	char	   *parent;			/* walk: the parent whose list is read, or NULL */
	bool		parent_done;	/* walk: its list has been read */
	int64		back;			/* rows to step back; not stored */
} Checkpoint;

/* A row of a page, as far as the reader cares. */
typedef struct ReadRow
{
	const char *id;				/* "" if it has none */
	bool		unsound;		/* its key cannot be read: it proves nothing */
	bool		has_key;
	int64		key;			/* unix seconds */
} ReadRow;

typedef struct ReadPage
{
	int64		offset;			/* that was asked for */
	int			n_rows;
	const ReadRow *rows;
	bool		has_next;
	int64		total_count;	/* -1 = unknown */
} ReadPage;

typedef enum ReadVerdict
{
	READ_APPLY,					/* rows from first on are new; go on */
	READ_LAST,					/* the same, and the list is at its end */
	READ_STEP_BACK,				/* rows moved: ask again, further back */
	READ_SUSPECT,				/* the page contradicts itself: ask again */
	READ_IGNORED				/* order or filter is ignored by the server */
} ReadVerdict;

/* Formats into palloc'd text; parses such text (empty = the beginning). */
extern char *checkpoint_format(const Checkpoint *checkpoint);
extern Checkpoint *checkpoint_parse(const char *text);

/* Offset of the page that is `ahead` pages after the next one. */
extern int64 checkpoint_offset(const Checkpoint *checkpoint, int per_page, int ahead);

/* Whether that page still lies in the present window. */
extern bool checkpoint_in_window(const Checkpoint *checkpoint, ReadWay way, int64 offset);

/*
 * Judges the next page of a list and advances the checkpoint accordingly; it
 * is left as it was by READ_SUSPECT and READ_IGNORED.  per_page is at least 2, or a
 * page would only repeat the row before; downwards at least 3, for where that row's
 * key cannot be read, two are repeated.  trust_end: an end that contradicts
 * total_count has been seen often enough.  *first is the first new row;
 * *problem a static text for READ_SUSPECT and READ_IGNORED.
 */
extern ReadVerdict checkpoint_judge(Checkpoint *checkpoint, const ReadPage *page,
									ReadWay way, bool trust_end, int per_page,
									int *first, const char **problem);

/* The way that a list is read by after all. */
extern ReadWay checkpoint_way(const Checkpoint *checkpoint, ReadWay way);

/* Starts the list again, in the plain order of ids. */
extern void checkpoint_restart_plain(Checkpoint *checkpoint);

/* Walk: turns to the list of another parent. */
extern void checkpoint_enter_parent(Checkpoint *checkpoint, const char *parent);

#endif							/* SYNC_ENGINE_CHECKPOINT_H */
