/*-------------------------------------------------------------------------
 *
 * depgraph.h
 *	  Dependency order of entities: Kahn's algorithm in waves.
 *
 * What it does: orders nodes so that each comes after what it depends on.
 * Hard edges always hold; a soft edge holds unless it would close a cycle.
 *
 * What it owns: nothing.  A result is one allocation: pfree(result) frees all.
 *
 * What it must never do: depend on anything but its arguments.  The same nodes
 * and edges give the same answer, in whatever order the edges come.
 *
 * IDENTIFICATION
 *	  src/depgraph.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef DEPGRAPH_H
#define DEPGRAPH_H

/* Node `to` depends on node `from` */
typedef struct DepEdge
{
	int			from;
	int			to;
	bool		hard;
	int			rank;			/* of soft edges: the lower, the stronger */
} DepEdge;

typedef struct DepGraphResult
{
	bool		ok;				/* false: the hard edges have a cycle */

	/* if ok: all nodes, by wave and then by name, and the wave of each node */
	int		   *order;
	int		   *wave;			/* indexed by node; 0 depends on nothing */
	int			n_waves;

	/* if ok: soft edges left out (indexes into edges), strongest first */
	int			n_dropped;
	int		   *dropped;

	/*
	 * if not ok: a cycle of hard edges.  Each node depends on the one before
	 * it and the first on the last; it begins with the least name.
	 */
	int			cycle_len;
	int		   *cycle;
} DepGraphResult;

extern DepGraphResult *depgraph_sort(int n, const char *const *names,
									 int n_edges, const DepEdge *edges);

#endif							/* DEPGRAPH_H */
