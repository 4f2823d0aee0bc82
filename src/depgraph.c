/*-------------------------------------------------------------------------
 *
 * depgraph.c
 *	  Dependency order of entities: Kahn's algorithm in waves.
 *
 * What it does: accepts all hard edges, then the soft ones from the strongest
 * to the weakest, each unless it would close a cycle with those before it, and
 * sorts the nodes by what was accepted.
 *
 * What it owns: nothing but its result, one allocation.
 *
 * What it must never do: depend on anything but its arguments, nor on the
 * order of the edges.
 *
 * Whether an edge closes a cycle is looked up in the transitive closure, a
 * bitmap for each node of all that come after it.  A new edge updates it in
 * n * n / 64 steps at most: for some hundred nodes that is less than to search
 * the graph for each edge.
 *
 * IDENTIFICATION
 *	  src/depgraph.c
 *
 *-------------------------------------------------------------------------
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include "depgraph.h"

#define WORD_BITS 64

typedef struct DepGraph
{
	int			n;
	const char *const *names;
	int			n_edges;
	const DepEdge *edges;

	int		   *by_name;		/* nodes in the order of their names */
	int		   *place;			/* the place of a node in by_name */
	int		   *ranked;			/* soft edges, the strongest first */
	int			n_soft;
	bool	   *accepted;		/* edges */

	int			words;			/* of a bitmap of all nodes */
	uint64	   *after;			/* per node, the nodes that come after it */
} DepGraph;

/* depgraph_compare_names orders nodes by name, the same names by number. */
static int
depgraph_compare_names(const void *a, const void *b, void *arg)
{
	const DepGraph *graph = arg;
	int			left = *(const int *) a;
	int			right = *(const int *) b;
	int			cmp = strcmp(graph->names[left], graph->names[right]);

	return cmp != 0 ? cmp : left - right;
}

/*
 * depgraph_compare_edges orders soft edges by strength, then by the names of
 * their ends; equal ones by number, which makes no difference but in the
 * report.
 */
static int
depgraph_compare_edges(const void *a, const void *b, void *arg)
{
	const DepGraph *graph = arg;
	int			left = *(const int *) a;
	int			right = *(const int *) b;
	const DepEdge *l = &graph->edges[left];
	const DepEdge *r = &graph->edges[right];

	if (l->rank != r->rank)
		return l->rank < r->rank ? -1 : 1;
	if (l->from != r->from)
		return graph->place[l->from] - graph->place[r->from];
	if (l->to != r->to)
		return graph->place[l->to] - graph->place[r->to];
	return left - right;
}

/* depgraph_create makes the working copy: sorted names and edges. */
static DepGraph *
depgraph_create(int n, const char *const *names, int n_edges,
				const DepEdge *edges)
{
	DepGraph   *graph = palloc0(sizeof(DepGraph));

	graph->n = n;
	graph->names = names;
	graph->n_edges = n_edges;
	graph->edges = edges;
	graph->words = n / WORD_BITS + 1;
	graph->after = palloc0(sizeof(uint64) * graph->words * n);
	graph->accepted = palloc0(sizeof(bool) * n_edges);

	graph->by_name = palloc(sizeof(int) * n);
	graph->place = palloc(sizeof(int) * n);
	for (int i = 0; i < n; i++)
		graph->by_name[i] = i;
	qsort_arg(graph->by_name, n, sizeof(int), depgraph_compare_names, graph);
	for (int i = 0; i < n; i++)
		graph->place[graph->by_name[i]] = i;

	graph->ranked = palloc(sizeof(int) * n_edges);
	for (int i = 0; i < n_edges; i++)
	{
		Assert(edges[i].from >= 0 && edges[i].from < n);
		Assert(edges[i].to >= 0 && edges[i].to < n);
		if (!edges[i].hard)
			graph->ranked[graph->n_soft++] = i;
	}
	qsort_arg(graph->ranked, graph->n_soft, sizeof(int),
			  depgraph_compare_edges, graph);
	return graph;
}

/* depgraph_free frees the working copy. */
static void
depgraph_free(DepGraph *graph)
{
	pfree(graph->after);
	pfree(graph->accepted);
	pfree(graph->by_name);
	pfree(graph->place);
	pfree(graph->ranked);
	pfree(graph);
}

/* depgraph_is_after tells whether a node comes after another. */
static bool
depgraph_is_after(const DepGraph *graph, int node, int other)
{
	const uint64 *after = graph->after + (size_t) other * graph->words;

	return (after[node / WORD_BITS] >> (node % WORD_BITS)) & 1;
}

/* depgraph_accept takes an edge in, unless it would close a cycle. */
static bool
depgraph_accept(DepGraph *graph, int edge)
{
	int			from = graph->edges[edge].from;
	int			to = graph->edges[edge].to;

	if (from == to || depgraph_is_after(graph, from, to))
		return false;

	graph->accepted[edge] = true;
	if (depgraph_is_after(graph, to, from))
		return true;

	/* what comes after `to` now comes after `from`, and all before `from` */
	for (int node = 0; node < graph->n; node++)
	{
		uint64	   *after = graph->after + (size_t) node * graph->words;
		const uint64 *more = graph->after + (size_t) to * graph->words;

		if (node != from && !depgraph_is_after(graph, from, node))
			continue;
		for (int word = 0; word < graph->words; word++)
			after[word] |= more[word];
		after[to / WORD_BITS] |= UINT64CONST(1) << (to % WORD_BITS);
	}
	return true;
}

/*
 * depgraph_waves gives each node the wave after the last of those it depends
 * on: Kahn's algorithm over accepted edges, wave by wave.  Returns how many
 * nodes it reached: fewer than n if there is a cycle; the rest have wave -1.
 */
static int
depgraph_waves(const DepGraph *graph, int *wave, int *n_waves)
{
	int		   *waiting = palloc0(sizeof(int) * graph->n);
	int			done = 0;
	int			before = -1;

	for (int edge = 0; edge < graph->n_edges; edge++)
		if (graph->accepted[edge])
			waiting[graph->edges[edge].to]++;
	for (int node = 0; node < graph->n; node++)
		wave[node] = -1;

	for (*n_waves = 0; done > before; (*n_waves)++)
	{
		before = done;
		for (int node = 0; node < graph->n; node++)
			if (wave[node] < 0 && waiting[node] == 0)
			{
				wave[node] = *n_waves;
				done++;
			}
		for (int edge = 0; edge < graph->n_edges; edge++)
			if (graph->accepted[edge] &&
				wave[graph->edges[edge].from] == *n_waves)
				waiting[graph->edges[edge].to]--;
	}
	(*n_waves)--;				/* the last one was empty */
	pfree(waiting);
	return done;
}

/*
 * depgraph_find_cycle finds a cycle among the nodes without a wave.  Each of
 * them depends on another of them, so a walk that goes from each to the least
 * of those comes around.  Writes the cycle and returns its length.
 */
static int
depgraph_find_cycle(const DepGraph *graph, const int *wave, int *cycle)
{
	int		   *needs = palloc(sizeof(int) * graph->n);
	bool	   *visited = palloc0(sizeof(bool) * graph->n);
	int			node = -1;
	int			first;
	int			len = 0;

	for (int i = 0; i < graph->n; i++)
		needs[i] = -1;
	for (int i = 0; i < graph->n_edges; i++)
	{
		const DepEdge *edge = &graph->edges[i];

		if (edge->hard && wave[edge->from] < 0 && wave[edge->to] < 0 &&
			(needs[edge->to] < 0 ||
			 graph->place[edge->from] < graph->place[needs[edge->to]]))
			needs[edge->to] = edge->from;
	}

	for (int i = graph->n - 1; i >= 0; i--)
		if (wave[graph->by_name[i]] < 0)
			node = graph->by_name[i];
	while (!visited[node])
	{
		visited[node] = true;
		node = needs[node];
	}

	/* now it is on the cycle: write it backwards, ending where it begins */
	first = node;
	for (int i = needs[node]; i != node; i = needs[i])
		if (graph->place[i] < graph->place[first])
			first = i;
	node = first;
	do
	{
		node = needs[node];
		len++;
	} while (node != first);
	for (int i = len; i > 0; i--)
	{
		cycle[i % len] = node;
		node = needs[node];
	}
	pfree(needs);
	pfree(visited);
	return len;
}

/* depgraph_sort_order writes the nodes by wave, and by name within a wave. */
static void
depgraph_sort_order(const DepGraph *graph, const DepGraphResult *result)
{
	int			done = 0;

	for (int wave = 0; wave < result->n_waves; wave++)
		for (int i = 0; i < graph->n; i++)
			if (result->wave[graph->by_name[i]] == wave)
				result->order[done++] = graph->by_name[i];
}

/* depgraph_accept_all accepts what it can, and notes what it cannot. */
static void
depgraph_accept_all(DepGraph *graph, DepGraphResult *result)
{
	for (int edge = 0; edge < graph->n_edges; edge++)
		if (graph->edges[edge].hard)
			depgraph_accept(graph, edge);
	for (int i = 0; i < graph->n_soft; i++)
		if (!depgraph_accept(graph, graph->ranked[i]))
			result->dropped[result->n_dropped++] = graph->ranked[i];
}

/* depgraph_sort orders n nodes by their dependencies. */
DepGraphResult *
depgraph_sort(int n, const char *const *names, int n_edges,
			  const DepEdge *edges)
{
	DepGraph   *graph = depgraph_create(n, names, n_edges, edges);
	DepGraphResult *result;

	/* order, wave and cycle have room for all nodes, dropped for all edges */
	result = palloc0(sizeof(DepGraphResult) +
					 sizeof(int) * (3 * (size_t) n + n_edges));
	result->order = (int *) (result + 1);
	result->wave = result->order + n;
	result->cycle = result->wave + n;
	result->dropped = result->cycle + n;

	/* first the hard edges alone, so that a cycle shows as what it is */
	for (int i = 0; i < n_edges; i++)
		graph->accepted[i] = edges[i].hard;
	if (depgraph_waves(graph, result->wave, &result->n_waves) < n)
		result->cycle_len = depgraph_find_cycle(graph, result->wave,
												result->cycle);
	else
	{
		result->ok = true;
		depgraph_accept_all(graph, result);
		depgraph_waves(graph, result->wave, &result->n_waves);
		depgraph_sort_order(graph, result);
	}
	depgraph_free(graph);
	return result;
}
