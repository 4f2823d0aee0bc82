/*-------------------------------------------------------------------------
 *
 * seen_ids.c
 *		Ids that a reconcile has seen: packed a page at a time, and looked up all
 *		together.
 *
 * Pure: no server state, no clock, no I/O.
 *
 * IDENTIFICATION
 *		src/seen_ids.c
 *
 *-------------------------------------------------------------------------
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include "lib/stringinfo.h"
#include "seen_ids.h"

/* An id as a set keeps it. */
typedef struct SeenId
{
	uint64		head;			/* its first eight bytes, the first one highest */
	const char *tail;			/* what follows them; NULL = nothing */
} SeenId;

/* What follows the first eight bytes of ids, in pieces that do not move. */
#define ARENA_BYTES		65536

struct SeenSet
{
	SeenId	   *ids;
	int64		n;
	int64		room;
	char	  **arenas;
	int			n_arenas;
	size_t		arena_left;
	uint64	   *marks;			/* a bit for each; made when sorted */
};

#define HEAD_BYTES	((int) sizeof(uint64))

static int
compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

char *
seen_pack(const char **ids, int *n, size_t *len)
{
	StringInfoData out;
	const char *before = "";
	int			kept = 0;

	initStringInfo(&out);
	qsort(ids, *n, sizeof(char *), compare_texts);
	for (int i = 0; i < *n; i++)
	{
		size_t		shared = 0;
		size_t		rest;

		if (kept > 0 && strcmp(ids[i], before) == 0)
			continue;
		while (ids[i][shared] != '\0' && ids[i][shared] == before[shared])
			shared++;
		rest = strlen(ids[i]) - shared;
		Assert(shared + rest <= SEEN_ID_MAX_BYTES);
		appendStringInfoChar(&out, (char) shared);
		appendStringInfoChar(&out, (char) rest);
		appendBinaryStringInfo(&out, ids[i] + shared, (int) rest);
		before = ids[i];
		kept++;
	}
	*n = kept;
	*len = out.len;
	return out.data;
}

SeenSet *
seen_set_create(int64 expected)
{
	SeenSet    *set = palloc0(sizeof(SeenSet));

	set->room = Max(expected, 16);
	set->ids = palloc(sizeof(SeenId) * set->room);
	return set;
}

void
seen_set_free(SeenSet *set)
{
	for (int i = 0; i < set->n_arenas; i++)
		pfree(set->arenas[i]);
	if (set->arenas != NULL)
		pfree(set->arenas);
	if (set->marks != NULL)
		pfree(set->marks);
	pfree(set->ids);
	pfree(set);
}

/*
 * keep_tail: a copy of what follows the first eight bytes.
 */
static const char *
keep_tail(SeenSet *set, const char *tail, size_t len)
{
	char	   *copy;

	if (set->arena_left < len + 1)
	{
		set->arenas = set->n_arenas == 0 ? palloc(sizeof(char *)) :
			repalloc(set->arenas, sizeof(char *) * (set->n_arenas + 1));
		set->arenas[set->n_arenas++] = palloc(ARENA_BYTES);
		set->arena_left = ARENA_BYTES;
	}
	copy = set->arenas[set->n_arenas - 1] + ARENA_BYTES - set->arena_left;
	memcpy(copy, tail, len);
	copy[len] = '\0';
	set->arena_left -= len + 1;
	return copy;
}

/*
 * head_of: the first bytes as a number that sorts as they do.
 */
static uint64
head_of(const char *id, size_t len)
{
	uint64		head = 0;

	for (int i = 0; i < HEAD_BYTES; i++)
		head = head << 8 | (i < (int) len ? (unsigned char) id[i] : 0);
	return head;
}

static void
add(SeenSet *set, const char *id, size_t len)
{
	SeenId	   *place;

	if (set->n == set->room)
	{
		set->room *= 2;
		set->ids = repalloc(set->ids, sizeof(SeenId) * set->room);
	}
	place = &set->ids[set->n++];
	place->head = head_of(id, len);
	place->tail = len > HEAD_BYTES ? keep_tail(set, id + HEAD_BYTES, len - HEAD_BYTES) : NULL;
}

void
seen_set_add_id(SeenSet *set, const char *id)
{
	add(set, id, strlen(id));
}

bool
seen_set_add(SeenSet *set, const char *packed, size_t len, int n)
{
	const unsigned char *in = (const unsigned char *) packed;
	const unsigned char *end = in + len;
	char		id[SEEN_ID_MAX_BYTES + 1];
	int			id_len = 0;

	for (int i = 0; i < n; i++)
	{
		int			shared;
		int			rest;

		if (end - in < 2)
			return false;
		shared = in[0];
		rest = in[1];
		in += 2;
		if (shared > id_len || rest > end - in || shared + rest > SEEN_ID_MAX_BYTES)
			return false;
		memcpy(id + shared, in, rest);
		in += rest;
		id_len = shared + rest;
		add(set, id, id_len);
	}
	return in == end;
}

static int
compare(const SeenId *a, const SeenId *b)
{
	if (a->head != b->head)
		return a->head < b->head ? -1 : 1;
	if (a->tail == NULL || b->tail == NULL)
		return (a->tail != NULL) - (b->tail != NULL);
	return strcmp(a->tail, b->tail);
}

static int
compare_ids(const void *a, const void *b)
{
	return compare(a, b);
}

void
seen_set_sort(SeenSet *set)
{
	int64		kept = 0;

	qsort(set->ids, set->n, sizeof(SeenId), compare_ids);
	for (int64 i = 0; i < set->n; i++)
	{
		if (kept == 0 || compare(&set->ids[kept - 1], &set->ids[i]) != 0)
			set->ids[kept++] = set->ids[i];
	}
	set->n = kept;
	set->marks = palloc0(sizeof(uint64) * (kept / 64 + 1));
}

int64
seen_set_count(const SeenSet *set)
{
	return set->n;
}

int64
seen_set_find(const SeenSet *set, const char *id)
{
	size_t		len = strlen(id);
	SeenId		key = {head_of(id, len), len > HEAD_BYTES ? id + HEAD_BYTES : NULL};
	int64		low = 0;
	int64		high = set->n;

	while (low < high)
	{
		int64		middle = low + (high - low) / 2;
		int			order = compare(&set->ids[middle], &key);

		if (order == 0)
			return middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return -1;
}

const char *
seen_set_id(const SeenSet *set, int64 place)
{
	const SeenId *id = &set->ids[place];
	size_t		tail_len = id->tail != NULL ? strlen(id->tail) : 0;
	char	   *text = palloc0(HEAD_BYTES + tail_len + 1);

	for (int i = 0; i < HEAD_BYTES; i++)
		text[i] = (char) (id->head >> (8 * (HEAD_BYTES - 1 - i)) & 0xff);
	if (tail_len > 0)
		memcpy(text + HEAD_BYTES, id->tail, tail_len);
	return text;
}

void
seen_set_mark(SeenSet *set, int64 place)
{
	set->marks[place / 64] |= UINT64CONST(1) << (place % 64);
}

int64
seen_set_next_unmarked(const SeenSet *set, int64 from)
{
	for (int64 i = from; i < set->n; i++)
	{
		if ((set->marks[i / 64] & (UINT64CONST(1) << (i % 64))) == 0)
			return i;
	}
	return -1;
}
