/*-------------------------------------------------------------------------
 *
 * seen_ids.h
 *		Ids that a reconcile has seen: packed a page at a time, and looked up all
 *		together.
 *
 * Pure: no server state, no clock, no I/O.
 *
 * A page's ids are sorted and written one behind the other, each as the length
 * of what it shares with the one before, the length of what it does not, and
 * that.  A set unpacks pages, is sorted once, and finds an id then by bisection;
 * the first eight bytes of an id are compared as a number, which settles it for
 * nearly all of PCO's.
 *
 * IDENTIFICATION
 *		src/seen_ids.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_SEEN_IDS_H
#define SYNC_ENGINE_SEEN_IDS_H

/* No id is longer; longer ones cannot be stored, and not be seen either. */
#define SEEN_ID_MAX_BYTES	255

/*
 * Sorts the ids, drops those that come twice, and packs the others into palloc'd
 * memory; *n becomes how many they are.
 */
extern char *seen_pack(const char **ids, int *n, size_t *len);

typedef struct SeenSet SeenSet;

/* For about so many ids, in the current memory context. */
extern SeenSet *seen_set_create(int64 expected);
extern void seen_set_free(SeenSet *set);

/*
 * Adds a packed page.  False if it is none, or does not hold so many ids: then
 * the set is not to be used.
 */
extern bool seen_set_add(SeenSet *set, const char *packed, size_t len, int n);

extern void seen_set_add_id(SeenSet *set, const char *id);

/* After the last one was added: sorts, and drops those that come twice. */
extern void seen_set_sort(SeenSet *set);

extern int64 seen_set_count(const SeenSet *set);

/* The place of an id in the sorted set; -1 if it is not there. */
extern int64 seen_set_find(const SeenSet *set, const char *id);

extern const char *seen_set_id(const SeenSet *set, int64 place);

/* Each id can be marked, and those without a mark are found in order. */
extern void seen_set_mark(SeenSet *set, int64 place);
extern int64 seen_set_next_unmarked(const SeenSet *set, int64 from);

#endif							/* SYNC_ENGINE_SEEN_IDS_H */
