/*-------------------------------------------------------------------------
 *
 * plan_fold.h
 *	  Which entities ride along in the pages of their parents.
 *
 * What it does: a list can include the records of other entities, which then
 * cost no requests of their own.  Chooses whom to fold into whose pages, so
 * that all the lists together cost the fewest requests.
 *
 * What it owns: nothing.
 *
 * What it must never do: depend on anything but its arguments, or fold an
 * entity into the pages of one that is folded itself: what such a page brings
 * of the third does not say which of the second it belongs to.
 *
 * IDENTIFICATION
 *	  src/plan_fold.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PLAN_FOLD_H
#define PLAN_FOLD_H

typedef struct FoldNode
{
	int			fold_parent;	/* whose list can include it whole, or -1 */
	double		own_cost;		/* requests when read by itself; no infinity */
	bool		may_fold;
} FoldNode;

/*
 * Sets folded[i] for each of n nodes.  At most max_children nodes are folded
 * into one parent; 0 sets no limit.  A node that costs nothing, or that is its
 * own ancestor, is not folded.
 */
extern void plan_fold_choose(int n, const FoldNode *nodes, int max_children,
							 bool *folded);

#endif							/* PLAN_FOLD_H */
