/*-------------------------------------------------------------------------
 *
 * plan_fold.c
 *	  Which entities ride along in the pages of their parents.
 *
 * What it does: finds the cheapest choice in a forest of parents and children,
 * where a node that is folded cannot have children folded into it.
 *
 * What it owns: nothing but working memory, which it frees.
 *
 * What it must never do: recurse, or depend on anything but its arguments.
 *
 * To fold a node saves its own requests, but then those of its children that
 * would be folded into it must be read by themselves.  So its gain is its cost
 * less the gains of those children, and a node that is read itself takes the
 * children with the greatest gains.  Gains are found from the leaves up, the
 * choice is made from the roots down.
 *
 * Of choices that cost the same, the one is taken that folds nodes nearer to
 * their root, and of siblings those with lower numbers.  Costs that are equal
 * only in theory, such as 0.1 + 0.2 and 0.3, may count as different.
 *
 * IDENTIFICATION
 *	  src/plan_fold.c
 *
 *-------------------------------------------------------------------------
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include <math.h>

#include "plan_fold.h"

typedef struct FoldForest
{
	int			n;
	int		   *parent;			/* -1 = a root, it is never folded */
	int		   *upward;			/* all nodes, children before parents */
	int		   *children;		/* all nodes but roots, siblings together */
	int		   *first;			/* where a node's children begin there */
	int		   *n_taken;		/* how many it takes if it is not folded */
	double	   *gain;			/* what folding the node saves */
} FoldForest;

/*
 * fold_forest_sort_upward orders nodes so that children come before parents.
 * What does not come up that way is its own ancestor: it becomes a root, since
 * none of a cycle can be the one that is read.
 */
static void
fold_forest_sort_upward(FoldForest *forest)
{
	int		   *waiting = palloc0(sizeof(int) * forest->n);
	int			done = 0;

	for (int node = 0; node < forest->n; node++)
		if (forest->parent[node] >= 0)
			waiting[forest->parent[node]]++;
	for (int node = 0; node < forest->n; node++)
		if (waiting[node] == 0)
			forest->upward[done++] = node;
	for (int i = 0; i < done; i++)
	{
		int			parent = forest->parent[forest->upward[i]];

		if (parent >= 0 && --waiting[parent] == 0)
			forest->upward[done++] = parent;
	}

	for (int node = 0; node < forest->n; node++)
		if (waiting[node] > 0)
		{
			forest->parent[node] = -1;
			forest->upward[done++] = node;
		}
	Assert(done == forest->n);
	pfree(waiting);
}

/* fold_forest_list_children lists each node's children, by their numbers. */
static void
fold_forest_list_children(FoldForest *forest)
{
	int		   *next = palloc(sizeof(int) * forest->n);

	for (int node = 0; node < forest->n; node++)
		if (forest->parent[node] >= 0)
			forest->first[forest->parent[node] + 1]++;
	for (int node = 0; node < forest->n; node++)
	{
		forest->first[node + 1] += forest->first[node];
		next[node] = forest->first[node];
	}
	for (int node = 0; node < forest->n; node++)
		if (forest->parent[node] >= 0)
			forest->children[next[forest->parent[node]]++] = node;
	pfree(next);
}

/* fold_forest_create makes the forest of what could be folded into what. */
static FoldForest *
fold_forest_create(int n, const FoldNode *nodes)
{
	FoldForest *forest = palloc0(sizeof(FoldForest));

	forest->n = n;
	forest->parent = palloc(sizeof(int) * n);
	forest->upward = palloc(sizeof(int) * n);
	forest->children = palloc(sizeof(int) * n);
	forest->first = palloc0(sizeof(int) * (n + 1));
	forest->n_taken = palloc0(sizeof(int) * n);
	forest->gain = palloc0(sizeof(double) * n);

	/* to fold what costs nothing would only make its parent's pages larger */
	for (int node = 0; node < n; node++)
	{
		Assert(nodes[node].fold_parent < n);
		Assert(!isinf(nodes[node].own_cost));
		forest->parent[node] =
			nodes[node].may_fold && nodes[node].own_cost > 0
			? nodes[node].fold_parent : -1;
	}
	fold_forest_sort_upward(forest);
	fold_forest_list_children(forest);
	return forest;
}

/* fold_forest_free frees the forest. */
static void
fold_forest_free(FoldForest *forest)
{
	pfree(forest->parent);
	pfree(forest->upward);
	pfree(forest->children);
	pfree(forest->first);
	pfree(forest->n_taken);
	pfree(forest->gain);
	pfree(forest);
}

/* fold_forest_compare orders siblings by gain, the greatest first. */
static int
fold_forest_compare(const void *a, const void *b, void *arg)
{
	const FoldForest *forest = arg;
	int			left = *(const int *) a;
	int			right = *(const int *) b;

	if (forest->gain[left] != forest->gain[right])
		return forest->gain[left] > forest->gain[right] ? -1 : 1;
	return left - right;
}

/*
 * fold_forest_take decides which children a node takes if it is not folded
 * itself, and returns what that saves.  A child without gain is taken, too: as
 * good as those further down, but nearer to the root.
 */
static double
fold_forest_take(FoldForest *forest, int node, int max_children)
{
	int		   *children = forest->children + forest->first[node];
	int			n_children = forest->first[node + 1] - forest->first[node];
	int			most = n_children;
	int			taken = 0;
	double		saved = 0;

	if (max_children > 0 && max_children < most)
		most = max_children;
	qsort_arg(children, n_children, sizeof(int), fold_forest_compare, forest);
	while (taken < most && forest->gain[children[taken]] >= 0)
		saved += forest->gain[children[taken++]];
	forest->n_taken[node] = taken;
	return saved;
}

/* plan_fold_choose chooses the nodes to fold, for the least total cost. */
void
plan_fold_choose(int n, const FoldNode *nodes, int max_children, bool *folded)
{
	FoldForest *forest = fold_forest_create(n, nodes);

	for (int i = 0; i < n; i++)
	{
		int			node = forest->upward[i];

		forest->gain[node] = nodes[node].own_cost -
			fold_forest_take(forest, node, max_children);
		folded[node] = false;
	}
	for (int i = n - 1; i >= 0; i--)
	{
		int			node = forest->upward[i];
		const int  *children = forest->children + forest->first[node];

		if (!folded[node])
			for (int child = 0; child < forest->n_taken[node]; child++)
				folded[children[child]] = true;
	}
	fold_forest_free(forest);
}
