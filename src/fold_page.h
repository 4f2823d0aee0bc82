/*-------------------------------------------------------------------------
 *
 * fold_page.h
 *		Which included records of a page belong to a folded entity, and to whom.
 *
 * IDENTIFICATION
 *		src/fold_page.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_FOLD_PAGE_H
#define SYNC_ENGINE_FOLD_PAGE_H

#include "walk.h"
#include "writer.h"

/* An entity whose records come along with a job's pages. */
typedef struct Folded
{
	int64		job_id;
	char	   *via;			/* the include, and the relationship that it fills */
	Entity	   *entity;
	DataTable	table;
	Writer	   *writer;
	int		   *params;			/* for each parameter of its path but the last: that
								 * of the job's path */
} Folded;

/*
 * What a page brings of it, with the parameters that its path would have; without
 * what was on the page before, all of whose owners stand before `first`.  parent:
 * whose list the page is of, where the job walks.
 */
extern WriteItem *fold_page_items(const Folded *folded, const WalkParent *parent,
								  const ParsedPage *page, int first, int *n);

/*
 * How many records are named from `first` on and not included, or included and
 * nobody's though only the owner says where they belong; -1 if the server does
 * not heed the include.
 */
extern int	fold_page_lacks(const Folded *folded, const ParsedPage *page, int first);

#endif							/* SYNC_ENGINE_FOLD_PAGE_H */
