/*-------------------------------------------------------------------------
 *
 * index.c
 *	  A sorted sequence of rows with access by rank.
 *
 * The sequence is cut into blocks of bounded size, so that an insertion moves
 * a few hundred pointers instead of all, and a rank is found by adding up the
 * counts of at most some thousand blocks.
 *
 * Owns: the blocks, not the rows.
 * Must never sort again after index_build.
 *
 * IDENTIFICATION
 *	  test/simulator/index.c
 *
 *-------------------------------------------------------------------------
 */
#include "index.h"

#include <stdlib.h>

/* A full block is split in two; a built block leaves room for insertions. */
#define BLOCK_CAP 512
#define BLOCK_FILL 384

typedef struct sort_context
{
	index_compare compare;
	const void *context;
} sort_context;

/*
 * compare_pointers adapts the comparison to qsort_r.
 */
static int
compare_pointers(const void *a, const void *b, void *arg)
{
	const sort_context *sort = arg;

	return sort->compare(*(sim_row *const *) a, *(sim_row *const *) b, sort->context);
}

/*
 * add_block opens an empty block at a place.
 */
static index_block *
add_block(sim_index *index, size_t at)
{
	index->blocks = sim_grow(index->blocks,
							 sizeof(index_block) * (index->block_count + 1));
	memmove(index->blocks + at + 1, index->blocks + at,
			sizeof(index_block) * (index->block_count - at));
	index->block_count++;
	index->blocks[at].rows = sim_alloc(sizeof(sim_row *) * BLOCK_CAP);
	index->blocks[at].count = 0;
	return &index->blocks[at];
}

/*
 * index_build sorts the rows (in place) and takes them in.
 */
void
index_build(sim_index *index, index_compare compare, const void *context,
			sim_row **rows, size_t count)
{
	sort_context sort = {compare, context};

	memset(index, 0, sizeof(*index));
	index->compare = compare;
	index->context = context;
	index->total = count;
	if (count > 1)
		qsort_r(rows, count, sizeof(*rows), compare_pointers, &sort);
	for (size_t at = 0; at < count; at += BLOCK_FILL)
	{
		index_block *block = add_block(index, index->block_count);

		block->count = count - at < BLOCK_FILL ? count - at : BLOCK_FILL;
		memcpy(block->rows, rows + at, sizeof(*rows) * block->count);
	}
}

/*
 * find_place returns the block and the place in it of the first row that is
 * not before the given one; past the last block if there is none.
 */
static size_t
find_place(const sim_index *index, const sim_row *row, size_t *place)
{
	size_t		low = 0;
	size_t		high = index->block_count;
	const index_block *block;

	while (low < high)
	{
		size_t		middle = (low + high) / 2;

		block = &index->blocks[middle];
		if (block->rows[block->count - 1] != row &&
			index->compare(block->rows[block->count - 1], row, index->context) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*place = 0;
	if (low < index->block_count)
	{
		size_t		end;

		block = &index->blocks[low];
		for (end = block->count; *place < end;)
		{
			size_t		middle = (*place + end) / 2;

			if (block->rows[middle] != row &&
				index->compare(block->rows[middle], row, index->context) < 0)
				*place = middle + 1;
			else
				end = middle;
		}
	}
	return low;
}

/*
 * index_insert puts a row in its place.
 */
void
index_insert(sim_index *index, sim_row *row)
{
	size_t		place;
	size_t		at = find_place(index, row, &place);
	index_block *block;

	if (at == index->block_count)
	{
		if (at > 0)
			place = index->blocks[--at].count;
		else
			add_block(index, 0);
	}
	block = &index->blocks[at];
	if (block->count == BLOCK_CAP)
	{
		index_block *upper = add_block(index, at + 1);

		block = &index->blocks[at];
		upper->count = BLOCK_CAP / 2;
		block->count = BLOCK_CAP - upper->count;
		memcpy(upper->rows, block->rows + block->count,
			   sizeof(sim_row *) * upper->count);
		if (place > block->count)
		{
			place -= block->count;
			block = upper;
		}
	}
	memmove(block->rows + place + 1, block->rows + place,
			sizeof(sim_row *) * (block->count - place));
	block->rows[place] = row;
	block->count++;
	index->total++;
}

/*
 * index_remove takes a row out; false if it was not there.
 */
bool
index_remove(sim_index *index, const sim_row *row)
{
	size_t		place;
	size_t		at = find_place(index, row, &place);
	index_block *block;

	if (at == index->block_count || index->blocks[at].rows[place] != row)
		return false;
	block = &index->blocks[at];
	block->count--;
	memmove(block->rows + place, block->rows + place + 1,
			sizeof(sim_row *) * (block->count - place));
	index->total--;
	if (block->count == 0)
	{
		free(block->rows);
		index->block_count--;
		memmove(block, block + 1, sizeof(index_block) * (index->block_count - at));
	}
	return true;
}

/*
 * index_rank counts the rows before a place.
 */
size_t
index_rank(const sim_index *index, index_before before, const void *context)
{
	size_t		rank = 0;

	for (size_t i = 0; i < index->block_count; i++)
	{
		const index_block *block = &index->blocks[i];
		size_t		low = 0;
		size_t		high = block->count;

		if (before(block->rows[block->count - 1], context))
		{
			rank += block->count;
			continue;
		}
		while (low < high)
		{
			size_t		middle = (low + high) / 2;

			if (before(block->rows[middle], context))
				low = middle + 1;
			else
				high = middle;
		}
		return rank + low;
	}
	return rank;
}

/*
 * index_slice copies rows by rank and returns how many there were.
 */
size_t
index_slice(const sim_index *index, size_t first, size_t count, sim_row **rows)
{
	size_t		copied = 0;

	for (size_t i = 0; i < index->block_count && copied < count; i++)
	{
		const index_block *block = &index->blocks[i];
		size_t		here;

		if (first >= block->count)
		{
			first -= block->count;
			continue;
		}
		here = block->count - first;
		if (here > count - copied)
			here = count - copied;
		memcpy(rows + copied, block->rows + first, sizeof(*rows) * here);
		copied += here;
		first = 0;
	}
	return copied;
}

/*
 * index_free releases the blocks.
 */
void
index_free(sim_index *index)
{
	for (size_t i = 0; i < index->block_count; i++)
		free(index->blocks[i].rows);
	free(index->blocks);
	memset(index, 0, sizeof(*index));
}
