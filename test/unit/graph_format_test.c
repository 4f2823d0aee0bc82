/*-------------------------------------------------------------------------
 *
 * graph_format_test.c
 *	  A graph as text: the exact output of known graphs.
 *
 * IDENTIFICATION
 *	  test/unit/graph_format_test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include "graph_format.h"
#include "unit.h"

#define HARD true, 0
#define SOFT(rank) false, rank

static void
check_format(GraphFormat format, int n, const char *const *names, int n_edges,
			 const DepEdge *edges, const char *expected)
{
	DepGraphResult *sorted = depgraph_sort(n, names, n_edges, edges);
	char	   *text = graph_format_write(format, n, names, n_edges, edges,
										  sorted);

	CHECK_STR(text, expected);
	pfree(text);
	pfree(sorted);
}

static void
test_names_of_formats(void)
{
	GraphFormat format;

	CHECK(graph_format_by_name("text", &format) && format == GRAPH_FORMAT_TEXT);
	CHECK(graph_format_by_name("mermaid", &format) &&
		  format == GRAPH_FORMAT_MERMAID);
	CHECK(graph_format_by_name("dot", &format) && format == GRAPH_FORMAT_DOT);
	CHECK(!graph_format_by_name("DOT", &format));
	CHECK(!graph_format_by_name("", &format));
}

static void
test_published_order(void)
{
	enum
	{
		ADDRESS, CAMPUS, HOUSEHOLD, MARITAL_STATUS, PERSON
	};
	static const char *const names[] = {
		"people.Address", "people.Campus", "people.Household",
		"people.MaritalStatus", "people.Person"
	};
	static const DepEdge edges[] = {
		{PERSON, PERSON, SOFT(2)},
		{PERSON, CAMPUS, SOFT(3)},
		{PERSON, HOUSEHOLD, SOFT(2)},
		{CAMPUS, HOUSEHOLD, SOFT(2)},
		{MARITAL_STATUS, PERSON, SOFT(2)},
		{CAMPUS, PERSON, SOFT(2)},
		{HOUSEHOLD, PERSON, SOFT(1)},
		{PERSON, ADDRESS, HARD},
	};

	check_format(GRAPH_FORMAT_TEXT, 5, names, 8, edges,
				 "wave 0: people.Campus, people.MaritalStatus\n"
				 "wave 1: people.Household\n"
				 "wave 2: people.Person\n"
				 "wave 3: people.Address\n"
				 "\n"
				 "people.Household <- people.Campus (soft 2)\n"
				 "people.Person <- people.Household (soft 1), "
				 "people.Campus (soft 2), people.MaritalStatus (soft 2)\n"
				 "people.Address <- people.Person (hard)\n"
				 "\n"
				 "dropped people.Campus <- people.Person (soft 3), which closes "
				 "the cycle people.Campus -> people.Person -> people.Campus\n"
				 "dropped people.Household <- people.Person (soft 2), which "
				 "closes the cycle "
				 "people.Household -> people.Person -> people.Household\n"
				 "dropped people.Person <- people.Person (soft 2), which closes "
				 "the cycle people.Person -> people.Person\n");

	check_format(GRAPH_FORMAT_MERMAID, 5, names, 8, edges,
				 "graph TD\n"
				 "\tn0[\"people.Campus\"]\n"
				 "\tn1[\"people.MaritalStatus\"]\n"
				 "\tn2[\"people.Household\"]\n"
				 "\tn3[\"people.Person\"]\n"
				 "\tn4[\"people.Address\"]\n"
				 "\tn0 -.-> n2\n"
				 "\tn2 -.-> n3\n"
				 "\tn0 -.-> n3\n"
				 "\tn1 -.-> n3\n"
				 "\tn3 --> n4\n"
				 "\tn3 -. dropped .-> n0\n"
				 "\tn3 -. dropped .-> n2\n"
				 "\tn3 -. dropped .-> n3\n");

	check_format(GRAPH_FORMAT_DOT, 5, names, 8, edges,
				 "digraph dependencies {\n"
				 "\tnode [shape=box];\n"
				 "\tsubgraph wave_0 {\n"
				 "\t\trank=same;\n"
				 "\t\tn0 [label=\"people.Campus\"];\n"
				 "\t\tn1 [label=\"people.MaritalStatus\"];\n"
				 "\t}\n"
				 "\tsubgraph wave_1 {\n"
				 "\t\trank=same;\n"
				 "\t\tn2 [label=\"people.Household\"];\n"
				 "\t}\n"
				 "\tsubgraph wave_2 {\n"
				 "\t\trank=same;\n"
				 "\t\tn3 [label=\"people.Person\"];\n"
				 "\t}\n"
				 "\tsubgraph wave_3 {\n"
				 "\t\trank=same;\n"
				 "\t\tn4 [label=\"people.Address\"];\n"
				 "\t}\n"
				 "\tn0 -> n2 [style=dashed];\n"
				 "\tn2 -> n3 [style=dashed];\n"
				 "\tn0 -> n3 [style=dashed];\n"
				 "\tn1 -> n3 [style=dashed];\n"
				 "\tn3 -> n4;\n"
				 "\tn3 -> n0 [style=dotted, constraint=false, "
				 "label=\"dropped\"];\n"
				 "\tn3 -> n2 [style=dotted, constraint=false, "
				 "label=\"dropped\"];\n"
				 "\tn3 -> n3 [style=dotted, constraint=false, "
				 "label=\"dropped\"];\n"
				 "}\n");
}

static void
test_small_graphs(void)
{
	static const char *const names[] = {"a", "b", "c", "d"};

	/* c could reach a by way of d, too, but no cycle is closed by the weak */
	static const DepEdge reasons[] =
	{{0, 1, SOFT(1)}, {1, 2, HARD}, {0, 3, SOFT(9)}, {3, 2, SOFT(9)},
	{0, 2, SOFT(8)}, {2, 0, SOFT(3)}};

	check_format(GRAPH_FORMAT_TEXT, 0, NULL, 0, NULL, "");
	check_format(GRAPH_FORMAT_MERMAID, 0, NULL, 0, NULL, "graph TD\n");
	check_format(GRAPH_FORMAT_DOT, 0, NULL, 0, NULL,
				 "digraph dependencies {\n\tnode [shape=box];\n}\n");
	check_format(GRAPH_FORMAT_TEXT, 2, names, 0, NULL, "wave 0: a, b\n");
	check_format(GRAPH_FORMAT_TEXT, 4, names, 6, reasons,
				 "wave 0: a\n"
				 "wave 1: b, d\n"
				 "wave 2: c\n"
				 "\n"
				 "b <- a (soft 1)\n"
				 "d <- a (soft 9)\n"
				 "c <- b (hard), a (soft 8), d (soft 9)\n"
				 "\n"
				 "dropped a <- c (soft 3), which closes the cycle "
				 "a -> b -> c -> a\n");
}

static void
test_odd_names(void)
{
	static const char *const names[] = {
		"", "a\nb", "a\\x0ab", "end", "say \"<b>`&amp;#35;\"]", "Z\xc3\xb6",
		"\x7f"
	};
	static const DepEdge edges[] = {{0, 1, HARD}};

	check_format(GRAPH_FORMAT_TEXT, 7, names, 1, edges,
				 "wave 0: \"\", Z\xc3\xb6, \"a\\\\x0ab\", end, "
				 "\"say \\\"<b>`&amp;#35;\\\"]\", \"\\x7f\"\n"
				 "wave 1: \"a\\x0ab\"\n"
				 "\n"
				 "\"a\\x0ab\" <- \"\" (hard)\n");
	check_format(GRAPH_FORMAT_MERMAID, 7, names, 1, edges,
				 "graph TD\n"
				 "\tn0[\" \"]\n"
				 "\tn1[\"Z\xc3\xb6\"]\n"
				 "\tn2[\"a#92;#92;x0ab\"]\n"
				 "\tn3[\"end\"]\n"
				 "\tn4[\"say#32;#34;#60;b#62;#96;#38;amp#59;#35;35#59;#34;#93;"
				 "\"]\n"
				 "\tn5[\"#92;x7f\"]\n"
				 "\tn6[\"a#92;x0ab\"]\n"
				 "\tn0 --> n6\n");
	check_format(GRAPH_FORMAT_DOT, 7, names, 1, edges,
				 "digraph dependencies {\n"
				 "\tnode [shape=box];\n"
				 "\tsubgraph wave_0 {\n"
				 "\t\trank=same;\n"
				 "\t\tn0 [label=\"\"];\n"
				 "\t\tn1 [label=\"Z\xc3\xb6\"];\n"
				 "\t\tn2 [label=\"a\\\\\\\\x0ab\"];\n"
				 "\t\tn3 [label=\"end\"];\n"
				 "\t\tn4 [label=\"say \\\"<b>`&amp;amp;#35;\\\"]\"];\n"
				 "\t\tn5 [label=\"\\\\x7f\"];\n"
				 "\t}\n"
				 "\tsubgraph wave_1 {\n"
				 "\t\trank=same;\n"
				 "\t\tn6 [label=\"a\\\\x0ab\"];\n"
				 "\t}\n"
				 "\tn0 -> n6;\n"
				 "}\n");
}

int
main(void)
{
	test_names_of_formats();
	test_published_order();
	test_small_graphs();
	test_odd_names();
	return unit_summary();
}
