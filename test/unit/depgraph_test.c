/*-------------------------------------------------------------------------
 *
 * depgraph_test.c
 *	  The dependency order: known graphs, and what holds for any graph.
 *
 * IDENTIFICATION
 *	  test/unit/depgraph_test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include "depgraph.h"
#include "unit.h"
#include "unit_random.h"

/* more nodes than two machine words have bits, so that bitmaps have several */
#define MAX_NODES 150
#define MAX_EDGES 400

/* Most graphs are small, since the model is slow and small ones fail as well. */
#define SMALL_GRAPH 40
#define LARGE_PERCENT 5

#define HARD true, 0
#define SOFT(rank) false, rank

/* The order, or the cycle, as one string */
static const char *
in_words(const DepGraphResult *result, int n, const char *const *names)
{
	static char text[1024];
	const int  *nodes = result->ok ? result->order : result->cycle;

	snprintf(text, sizeof(text), "%s", result->ok ? "" : "cycle:");
	for (int i = 0; i < (result->ok ? n : result->cycle_len); i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
				 *text ? " " : "", names[nodes[i]]);
	return text;
}

static void
check_sort(int n, const char *const *names, int n_edges, const DepEdge *edges,
		   const char *expected, int n_dropped)
{
	DepGraphResult *result = depgraph_sort(n, names, n_edges, edges);

	CHECK_STR(in_words(result, n, names), expected);
	CHECK_INT(result->n_dropped, n_dropped);
	pfree(result);
}

static void
test_published_order(void)
{
	enum
	{
		ADDRESS, CAMPUS, HOUSEHOLD, PERSON
	};
	static const char *const names[] =
	{"Address", "Campus", "Household", "Person"};
	static const DepEdge edges[] = {
		{PERSON, ADDRESS, HARD},
		{HOUSEHOLD, PERSON, SOFT(1)},	/* container before member … */
		{CAMPUS, PERSON, SOFT(2)},	/* … outranks a reference … */
		{PERSON, HOUSEHOLD, SOFT(3)},	/* … and the primary contact */
		{PERSON, PERSON, SOFT(3)},
	};
	DepGraphResult *result = depgraph_sort(4, names, 5, edges);

	CHECK_STR(in_words(result, 4, names), "Campus Household Person Address");
	CHECK_INT(result->n_waves, 3);
	CHECK_INT(result->wave[CAMPUS], 0);
	CHECK_INT(result->wave[HOUSEHOLD], 0);
	CHECK_INT(result->wave[PERSON], 1);
	CHECK_INT(result->wave[ADDRESS], 2);
	CHECK_INT(result->n_dropped, 2);
	CHECK_INT(result->dropped[0], 3);
	CHECK_INT(result->dropped[1], 4);
	pfree(result);
}

static void
test_known_graphs(void)
{
	static const char *const names[] = {"d", "b", "a", "c"};
	static const DepEdge two_cycle[] = {{0, 1, SOFT(2)}, {1, 0, SOFT(1)}};
	static const DepEdge hard_wins[] = {{0, 1, HARD}, {1, 0, SOFT(0)}};
	static const DepEdge tie[] = {{0, 1, SOFT(1)}, {1, 0, SOFT(1)}};
	static const DepEdge twice[] =
	{{0, 1, HARD}, {0, 1, SOFT(1)}, {0, 1, HARD}, {1, 0, SOFT(1)},
	{1, 0, SOFT(1)}};
	static const DepEdge self[] = {{3, 3, HARD}};
	static const DepEdge self_soft[] = {{3, 3, SOFT(0)}};
	static const DepEdge pair[] = {{0, 1, HARD}, {1, 0, HARD}, {1, 2, HARD}};
	static const DepEdge ring[] =
	{{3, 0, HARD}, {0, 2, HARD}, {2, 3, HARD}, {1, 3, HARD}};

	check_sort(0, NULL, 0, NULL, "", 0);
	check_sort(4, names, 0, NULL, "a b c d", 0);
	check_sort(2, names, 2, two_cycle, "b d", 1);
	check_sort(2, names, 2, hard_wins, "d b", 1);
	check_sort(2, names, 2, tie, "b d", 1);
	check_sort(4, names, 5, twice, "a c d b", 2);
	check_sort(4, names, 1, self_soft, "a b c d", 1);

	/* a cycle, without what leads to it or follows it, and in its order */
	check_sort(4, names, 1, self, "cycle: c", 0);
	check_sort(4, names, 3, pair, "cycle: b d", 0);
	check_sort(4, names, 4, ring, "cycle: a c d", 0);
}

typedef struct Graph
{
	int			n;
	int			n_edges;
	const char *names[MAX_NODES];
	DepEdge		edges[MAX_EDGES];
} Graph;

/* Is there a way along edges that count?  By depth-first search. */
static bool
is_way(const Graph *graph, const bool *counts, int from, int to, bool *seen)
{
	if (from == to)
		return true;
	seen[from] = true;
	for (int i = 0; i < graph->n_edges; i++)
		if (counts[i] && graph->edges[i].from == from &&
			!seen[graph->edges[i].to] &&
			is_way(graph, counts, graph->edges[i].to, to, seen))
			return true;
	return false;
}

/* Does this edge, with edges that count, close a cycle? */
static bool
closes_cycle(const Graph *graph, const bool *counts, const DepEdge *edge)
{
	bool		seen[MAX_NODES] = {false};

	return is_way(graph, counts, edge->to, edge->from, seen);
}

static bool
has_hard_edge(const Graph *graph, int from, int to)
{
	for (int i = 0; i < graph->n_edges; i++)
		if (graph->edges[i].hard && graph->edges[i].from == from &&
			graph->edges[i].to == to)
			return true;
	return false;
}

static void
check_cycle(const Graph *graph, const DepGraphResult *result)
{
	bool		seen[MAX_NODES] = {false};

	CHECK(result->cycle_len > 0 && result->cycle_len <= graph->n);
	CHECK_INT(result->n_dropped, 0);
	for (int i = 0; i < result->cycle_len; i++)
	{
		int			node = result->cycle[i];

		CHECK(!seen[node]);
		seen[node] = true;
		CHECK(has_hard_edge(graph, node,
							result->cycle[(i + 1) % result->cycle_len]));
		CHECK(strcmp(graph->names[result->cycle[0]], graph->names[node]) <= 0);
	}
}

/* Does a soft edge go before another: stronger, else by the names? */
static bool
goes_before(const Graph *graph, const DepEdge *edge, const DepEdge *other)
{
	int			cmp = edge->rank - other->rank;

	if (cmp == 0)
		cmp = strcmp(graph->names[edge->from], graph->names[other->from]);
	if (cmp == 0)
		cmp = strcmp(graph->names[edge->to], graph->names[other->to]);
	return cmp < 0;
}

/*
 * The model: one soft edge after the other is accepted, unless it closes a
 * cycle with those before it.  Checks that the others were dropped, and in that
 * order.
 */
static void
check_dropped(const Graph *graph, const DepGraphResult *result, bool *accepted)
{
	bool		done[MAX_EDGES];
	int			n_dropped = 0;

	for (int i = 0; i < graph->n_edges; i++)
		done[i] = accepted[i] = graph->edges[i].hard;
	for (;;)
	{
		int			best = -1;

		for (int i = 0; i < graph->n_edges; i++)
			if (!done[i] && (best < 0 || goes_before(graph, &graph->edges[i],
													 &graph->edges[best])))
				best = i;
		if (best < 0)
			break;
		done[best] = true;
		accepted[best] = !closes_cycle(graph, accepted, &graph->edges[best]);
		if (!accepted[best] && CHECK(n_dropped < result->n_dropped))
			CHECK_INT(result->dropped[n_dropped++], best);
	}
	CHECK_INT(result->n_dropped, n_dropped);
}

static void
check_order(const Graph *graph, const DepGraphResult *result)
{
	bool		accepted[MAX_EDGES];
	int			wave[MAX_NODES] = {0};
	bool		seen[MAX_NODES] = {false};
	int			n_waves = 0;

	check_dropped(graph, result, accepted);

	/* each comes once, a wave after the last of what it depends on */
	for (int i = 0; i < graph->n; i++)
	{
		int			node = result->order[i];

		CHECK(!seen[node]);
		seen[node] = true;
		for (int j = 0; j < graph->n_edges; j++)
			if (accepted[j] && graph->edges[j].to == node)
			{
				CHECK(seen[graph->edges[j].from]);
				wave[node] = Max(wave[node], wave[graph->edges[j].from] + 1);
			}
		CHECK_INT(result->wave[node], wave[node]);
		n_waves = Max(n_waves, wave[node] + 1);
		if (i > 0 && wave[result->order[i - 1]] == wave[node])
			CHECK(strcmp(graph->names[result->order[i - 1]],
						 graph->names[node]) < 0);
	}
	CHECK_INT(result->n_waves, n_waves);
}

/* The same graph with nodes and edges numbered otherwise */
static Graph
shuffled(const Graph *graph)
{
	Graph		other = *graph;
	int			number[MAX_NODES];

	for (int i = 0; i < graph->n; i++)
		number[i] = i;
	for (int i = graph->n - 1; i > 0; i--)
	{
		int			j = random_below(i + 1);
		int			swap = number[i];

		number[i] = number[j];
		number[j] = swap;
	}
	for (int i = 0; i < graph->n; i++)
		other.names[number[i]] = graph->names[i];
	for (int i = graph->n_edges - 1; i >= 0; i--)
	{
		int			j = random_below(i + 1);
		DepEdge		swap = other.edges[i];

		other.edges[i] = other.edges[j];
		other.edges[j] = swap;
		other.edges[i].from = number[other.edges[i].from];
		other.edges[i].to = number[other.edges[i].to];
	}
	return other;
}

static void
check_same(const Graph *graph, const DepGraphResult *result,
		   const Graph *other, const DepGraphResult *again)
{
	int			len = result->ok ? graph->n : result->cycle_len;
	const int  *nodes = result->ok ? result->order : result->cycle;
	const int  *nodes_again = again->ok ? again->order : again->cycle;

	CHECK_INT(again->ok, result->ok);
	CHECK_INT(again->cycle_len, result->cycle_len);
	CHECK_INT(again->n_dropped, result->n_dropped);
	for (int i = 0; i < len; i++)
	{
		CHECK_STR(other->names[nodes_again[i]], graph->names[nodes[i]]);
		CHECK_INT(again->wave[nodes_again[i]], result->wave[nodes[i]]);
	}
	for (int i = 0; i < result->n_dropped; i++)
	{
		const DepEdge *a = &graph->edges[result->dropped[i]];
		const DepEdge *b = &other->edges[again->dropped[i]];

		CHECK_INT(b->rank, a->rank);
		CHECK_STR(other->names[b->from], graph->names[a->from]);
		CHECK_STR(other->names[b->to], graph->names[a->to]);
	}
}

static void
test_random_graphs(int rounds)
{
	char		names[MAX_NODES][12];
	int			cycles = 0;
	int			drops = 0;

	for (int i = 0; i < MAX_NODES; i++)
		snprintf(names[i], sizeof(names[i]), "%d", i * 7919 % 1009);

	for (int round = 0; round < rounds; round++)
	{
		bool		large = random_below(100) < LARGE_PERCENT;
		Graph		graph = {
			.n = 1 + random_below(large ? MAX_NODES : SMALL_GRAPH)
		};
		Graph		other;
		DepGraphResult *result;
		DepGraphResult *again;
		bool		hard[MAX_EDGES];
		bool		cyclic = false;
		int			hard_percent = random_below(40);

		for (int i = 0; i < graph.n; i++)
			graph.names[i] = names[i];
		graph.n_edges = random_below(Min(graph.n * (large ? 2 : 4), MAX_EDGES));
		for (int i = 0; i < graph.n_edges; i++)
			graph.edges[i] = (DepEdge) {
				random_below(graph.n), random_below(graph.n),
				random_below(100) < hard_percent, random_below(4)
			};

		for (int i = 0; i < graph.n_edges; i++)
			hard[i] = graph.edges[i].hard;
		for (int i = 0; i < graph.n_edges && !cyclic; i++)
			cyclic = hard[i] && closes_cycle(&graph, hard, &graph.edges[i]);

		result = depgraph_sort(graph.n, graph.names, graph.n_edges,
							   graph.edges);
		CHECK_INT(result->ok, !cyclic);
		if (result->ok)
			check_order(&graph, result);
		else
			check_cycle(&graph, result);
		cycles += !result->ok;
		drops += result->n_dropped > 0;

		other = shuffled(&graph);
		again = depgraph_sort(other.n, other.names, other.n_edges,
							  other.edges);
		check_same(&graph, result, &other, again);
		pfree(result);
		pfree(again);
	}

	/* the rounds were of all kinds */
	CHECK(cycles > rounds / 10);
	CHECK(drops > rounds / 10);
}

int
main(int argc, char **argv)
{
	test_published_order();
	test_known_graphs();
	test_random_graphs(argc > 1 ? atoi(argv[1]) : 3000);
	return unit_summary();
}
