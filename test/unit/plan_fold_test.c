/*-------------------------------------------------------------------------
 *
 * plan_fold_test.c
 *	  Folding: known forests, and brute force over random ones.
 *
 * IDENTIFICATION
 *	  test/unit/plan_fold_test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <math.h>

#include "plan_fold.h"
#include "unit.h"
#include "unit_random.h"

#define MAX_NODES 9
#define CHAIN_LENGTH 200000
#define ROOT(cost) {-1, cost, false}
#define CHILD(parent, cost) {parent, cost, true}

/* The choice as a string: F for each node that is folded, - for others */
static void
check_choice(int n, const FoldNode *nodes, int max_children,
			 const char *expected)
{
	bool		folded[MAX_NODES];
	char		actual[MAX_NODES + 1] = {0};

	memset(folded, true, sizeof(folded));
	plan_fold_choose(n, nodes, max_children, folded);
	for (int i = 0; i < n; i++)
		actual[i] = folded[i] ? 'F' : '-';
	CHECK_STR(actual, expected);
}

static void
test_people(void)
{
	enum
	{
		PERSON, EMAIL, PHONE, FIELD_DATUM, HOUSEHOLD, MEMBERSHIP, CAMPUS
	};
	static const FoldNode nodes[] = {
		[PERSON] = ROOT(100),
		[EMAIL] = CHILD(PERSON, 120),
		[PHONE] = CHILD(PERSON, 90),
		[FIELD_DATUM] = CHILD(PERSON, 400),
		[HOUSEHOLD] = ROOT(40),
		[MEMBERSHIP] = CHILD(HOUSEHOLD, 4000),
		[CAMPUS] = ROOT(1),
	};

	check_choice(7, nodes, 0, "-FFF-F-");
	check_choice(7, nodes, 3, "-FFF-F-");
	check_choice(7, nodes, 2, "-F-F-F-");
	check_choice(7, nodes, 1, "---F-F-");
}

static void
test_generations(void)
{
	static const FoldNode middle[] = {ROOT(9), CHILD(0, 5), CHILD(1, 4)};
	static const FoldNode last[] = {ROOT(9), CHILD(0, 4), CHILD(1, 5)};
	static const FoldNode both_ends[] =
	{ROOT(9), CHILD(0, 3), CHILD(1, 4), CHILD(2, 2)};
	static const FoldNode many[] =
	{ROOT(9), CHILD(0, 5), CHILD(1, 2), CHILD(1, 2), CHILD(1, 2)};

	check_choice(0, NULL, 0, "");
	check_choice(3, middle, 0, "-F-");
	check_choice(3, last, 0, "--F");
	check_choice(4, both_ends, 0, "-F-F");

	/* together the grandchildren outweigh the child, unless one cannot come */
	check_choice(5, many, 0, "--FFF");
	check_choice(5, many, 2, "-F---");
}

static void
test_ties(void)
{
	static const FoldNode near_root[] =
	{CHILD(1, 2), CHILD(3, 4), CHILD(1, 2), ROOT(1)};
	static const FoldNode siblings[] =
	{CHILD(3, 2), CHILD(3, 2), CHILD(3, 2), ROOT(1)};

	/* the second costs more by itself, but its child would have to be read */
	static const FoldNode same_gain[] =
	{ROOT(1), CHILD(0, 2), CHILD(0, 5), CHILD(2, 3)};

	check_choice(4, near_root, 0, "-F--");
	check_choice(4, siblings, 2, "FF--");
	check_choice(4, same_gain, 0, "-FF-");
	check_choice(4, same_gain, 1, "-F-F");
}

static void
test_not_foldable(void)
{
	static const FoldNode may_not[] =
	{ROOT(9), {0, 5, false}, CHILD(1, 1), CHILD(-1, 5)};
	static const FoldNode no_gain[] =
	{ROOT(9), CHILD(0, 0), CHILD(0, -1), CHILD(1, 1), CHILD(0, NAN)};
	static const FoldNode itself[] = {CHILD(0, 5), CHILD(0, 3)};
	static const FoldNode cycle[] =
	{CHILD(2, 5), CHILD(0, 5), CHILD(1, 5), CHILD(1, 3), CHILD(3, 2)};
	static const FoldNode no_cycle[] = {CHILD(1, 5), {0, 5, false}};

	check_choice(4, may_not, 0, "--F-");
	check_choice(5, no_gain, 0, "---F-");
	check_choice(2, itself, 0, "-F");
	check_choice(5, cycle, 0, "---F-");
	check_choice(2, no_cycle, 0, "F-");
}

/* A chain as long as no stack is deep: of equal costs, every other is folded */
static void
test_long_chain(void)
{
	FoldNode   *nodes = palloc(sizeof(FoldNode) * CHAIN_LENGTH);
	bool	   *folded = palloc(sizeof(bool) * CHAIN_LENGTH);
	int			wrong = 0;

	for (int i = 0; i < CHAIN_LENGTH; i++)
		nodes[i] = (FoldNode) CHILD(i - 1, 1);
	plan_fold_choose(CHAIN_LENGTH, nodes, 0, folded);
	for (int i = 0; i < CHAIN_LENGTH; i++)
		wrong += folded[i] != (i % 2 == 1);
	CHECK_INT(wrong, 0);
	pfree(nodes);
	pfree(folded);
}

typedef struct Forest
{
	int			n;
	int			max_children;
	FoldNode	nodes[MAX_NODES];
	int			parent[MAX_NODES];	/* where it may be folded, or -1 */
	int			depth[MAX_NODES];
} Forest;

/* Where a node may be folded by the nodes' own word */
static int
said_parent(const Forest *forest, int node)
{
	const FoldNode *it = &forest->nodes[node];

	return it->may_fold && it->own_cost > 0 ? it->fold_parent : -1;
}

static void
random_forest(Forest *forest)
{
	bool		cycles = random_below(3) == 0;
	int			costs = 1 + random_below(20);

	forest->n = 1 + random_below(MAX_NODES);
	forest->max_children = random_below(4);
	for (int i = 0; i < forest->n; i++)
	{
		FoldNode   *node = &forest->nodes[i];

		node->fold_parent =
			(cycles ? random_below(forest->n + 1) : random_below(i + 1)) - 1;
		node->own_cost = random_below(costs * 4 + 1) / 4.0;
		node->may_fold = random_below(8) > 0;
	}

	/* children need not come after their parents */
	for (int i = forest->n - 1; i > 0; i--)
	{
		int			j = random_below(i + 1);
		FoldNode	swap = forest->nodes[i];

		forest->nodes[i] = forest->nodes[j];
		forest->nodes[j] = swap;
		for (int k = 0; k < forest->n; k++)
		{
			int		   *parent = &forest->nodes[k].fold_parent;

			*parent = *parent == i ? j : *parent == j ? i : *parent;
		}
	}

	/* whoever comes back to itself on its way up is on a cycle */
	for (int i = 0; i < forest->n; i++)
	{
		int			above = said_parent(forest, i);

		for (int step = 0; step < forest->n && above >= 0 && above != i; step++)
			above = said_parent(forest, above);
		forest->parent[i] = above == i ? -1 : said_parent(forest, i);
	}
	for (int i = 0; i < forest->n; i++)
	{
		forest->depth[i] = 0;
		for (int up = forest->parent[i]; up >= 0; up = forest->parent[up])
			forest->depth[i]++;
	}
}

static bool
is_folded(int choice, int node)
{
	return (choice >> node) & 1;
}

/* What a choice, a bit for each node, costs; -1 if it is none */
static double
cost_of(const Forest *forest, int choice)
{
	double		cost = 0;
	int			n_children[MAX_NODES] = {0};

	for (int i = 0; i < forest->n; i++)
	{
		int			parent = forest->parent[i];

		if (!is_folded(choice, i))
		{
			if (forest->nodes[i].own_cost > 0)
				cost += forest->nodes[i].own_cost;
			continue;
		}
		if (parent < 0 || is_folded(choice, parent))
			return -1;
		if (++n_children[parent] > forest->max_children &&
			forest->max_children > 0)
			return -1;
	}
	return cost;
}

/* Of two choices that cost the same, is the first to be preferred? */
static bool
is_preferred(const Forest *forest, int choice, int other)
{
	for (int depth = 0; depth < forest->n; depth++)
		for (int i = 0; i < forest->n; i++)
			if (forest->depth[i] == depth &&
				is_folded(choice, i) != is_folded(other, i))
				return is_folded(choice, i);
	return false;
}

static int
best_choice(const Forest *forest)
{
	int			best = 0;

	for (int choice = 1; choice < 1 << forest->n; choice++)
	{
		double		cost = cost_of(forest, choice);
		double		least = cost_of(forest, best);

		if (cost >= 0 && (cost < least ||
						  (cost == least &&
						   is_preferred(forest, choice, best))))
			best = choice;
	}
	return best;
}

static void
test_random_forests(int rounds)
{
	int			deep = 0;
	int			limited = 0;

	for (int round = 0; round < rounds; round++)
	{
		Forest		forest;
		bool		folded[MAX_NODES];
		int			choice = 0;
		int			best;

		random_forest(&forest);
		plan_fold_choose(forest.n, forest.nodes, forest.max_children, folded);
		for (int i = 0; i < forest.n; i++)
			choice |= folded[i] << i;
		best = best_choice(&forest);
		CHECK_MSG(choice == best, "round %d: chose %x, best is %x",
				  round, choice, best);

		for (int i = 0; i < forest.n; i++)
			if (folded[i] && forest.depth[i] > 1)
			{
				deep++;
				break;
			}
		if (forest.max_children > 0)
		{
			int			limit = forest.max_children;

			forest.max_children = 0;
			limited += best_choice(&forest) != best;
			forest.max_children = limit;
		}
	}

	/* the rounds were of all kinds */
	CHECK(deep > rounds / 10);
	CHECK(limited > rounds / 20);
}

int
main(int argc, char **argv)
{
	test_people();
	test_generations();
	test_ties();
	test_not_foldable();
	test_long_chain();
	test_random_forests(argc > 1 ? atoi(argv[1]) : 5000);
	return unit_summary();
}
