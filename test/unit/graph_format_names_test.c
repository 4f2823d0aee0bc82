/*-------------------------------------------------------------------------
 *
 * graph_format_names_test.c
 *	  A graph as text: whatever the names, a reader gets them back.
 *
 * IDENTIFICATION
 *	  test/unit/graph_format_names_test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include "graph_format.h"
#include "unit.h"
#include "unit_random.h"

#define MAX_NODES 8
#define MAX_EDGES 20
#define MAX_NAME 12

/* What a name of that length may take in a text, before it is read */
#define ROOM_FOR_NAME (8 * MAX_NAME)

/*
 * Readers of the formats: they take a text apart as a program would that reads
 * it, and know nothing of how it was written.
 */

static bool
skip(const char **text, const char *expected)
{
	size_t		len = strlen(expected);

	if (strncmp(*text, expected, len) != 0)
		return false;
	*text += len;
	return true;
}

/* Undoes what makes control characters and backslashes visible */
static void
read_visible(char *name)
{
	char	   *out = name;

	for (const char *c = name; *c; c++)
	{
		unsigned int code;

		if (skip(&c, "\\x") && sscanf(c, "%2x", &code) == 1)
		{
			*out++ = (char) code;
			c++;
		}
		else
			*out++ = *(*c == '\\' ? ++c : c);
	}
	*out = '\0';
}

/* A name of the text format: plain, or in quotes with backslashes */
static void
read_text_name(const char **text, char *name)
{
	char	   *out = name;

	if (!skip(text, "\""))
	{
		while (**text && !strchr("\", \n<>()\\", **text))
			*out++ = *(*text)++;
		*out = '\0';
		return;
	}
	while (**text && **text != '"')
	{
		if ((*text)[0] == '\\' && (*text)[1] == '"')
			(*text)++;
		else if ((*text)[0] == '\\' && (*text)[1] == '\\')
			*out++ = *(*text)++;
		*out++ = *(*text)++;
	}
	*out = '\0';
	CHECK(skip(text, "\""));
	read_visible(name);
}

static void
read_mermaid_label(const char **text, char *name)
{
	char	   *out = name;

	skip(text, " ");			/* instead of nothing */
	while (**text && **text != '"')
	{
		int			code;
		int			len = 0;

		if (sscanf(*text, "#%d;%n", &code, &len) == 1 && len > 0)
		{
			*out++ = (char) code;
			*text += len;
			continue;
		}
		CHECK(strchr("# \n\"<>&`\\", **text) == NULL);
		*out++ = *(*text)++;
	}
	*out = '\0';
	read_visible(name);
}

static void
read_dot_label(const char **text, char *name)
{
	char	   *out = name;

	while (**text && **text != '"')
	{
		if (skip(text, "&amp;"))
		{
			*out++ = '&';
			continue;
		}
		CHECK(**text != '&' && **text != '\n');
		if (**text == '\\')
		{
			(*text)++;
			CHECK(**text == '"' || **text == '\\');
		}
		*out++ = *(*text)++;
	}
	*out = '\0';
	read_visible(name);
}

typedef struct Graph
{
	int			n;
	int			n_edges;
	char		text[MAX_NODES][MAX_NAME];
	const char *names[MAX_NODES];
	DepEdge		edges[MAX_EDGES];
} Graph;

static void
random_graph(Graph *graph)
{
	static const char odd[] = "\\\"x07#;&<>[](){}, \n\r\t`%-._=aZ\xc3\xab\x7f";

	graph->n = 1 + random_below(MAX_NODES);
	graph->n_edges = random_below(MAX_EDGES);
	for (int i = 0; i < graph->n; i++)
	{
		int			len = random_below(MAX_NAME);

		for (int j = 0; j < len; j++)
			graph->text[i][j] = (char)
				(random_below(4) > 0 ? odd[random_below(sizeof(odd) - 1)]
				 : 1 + random_below(255));
		graph->text[i][len] = '\0';
		graph->names[i] = graph->text[i];
	}

	/* hard edges lead one way, so that they have no cycle */
	for (int i = 0; i < graph->n_edges; i++)
	{
		int			from = random_below(graph->n);
		int			to = random_below(graph->n);

		graph->edges[i] = (DepEdge) {
			from, to, from < to && random_below(2) == 0, random_below(3)
		};
	}
}

static void
check_text(const Graph *graph, const DepGraphResult *sorted, const char *text)
{
	char		name[ROOM_FOR_NAME];
	int			seen = 0;

	for (int i = 0; i < graph->n; i++)
	{
		int			wave = sorted->wave[sorted->order[i]];
		char		head[20];

		snprintf(head, sizeof(head), "%swave %d: ", i > 0 ? "\n" : "", wave);
		CHECK(skip(&text, i > 0 &&
				   wave == sorted->wave[sorted->order[i - 1]] ? ", " : head));
		read_text_name(&text, name);
		CHECK_STR(name, graph->names[sorted->order[i]]);
	}
	CHECK(skip(&text, "\n"));
	while (*text)
	{
		CHECK(*text != '\n' || seen == 0 ||
			  seen == graph->n_edges - sorted->n_dropped);
		skip(&text, "\n");
		skip(&text, "dropped ");
		read_text_name(&text, name);
		CHECK(skip(&text, " <- "));
		do
		{
			const char *end;

			read_text_name(&text, name);
			end = strchr(text, ')');
			if (!CHECK(end && (skip(&text, " (hard") || skip(&text, " (soft "))))
				return;
			text = end + 1;
			seen++;
			if (skip(&text, ", which closes the cycle "))
				do
				{
					read_text_name(&text, name);
				} while (skip(&text, " -> "));
		} while (skip(&text, ", "));
		if (!CHECK(skip(&text, "\n")))
			return;
	}
	CHECK_INT(seen, graph->n_edges);
}

static void
check_mermaid(const Graph *graph, const DepGraphResult *sorted,
			  const char *text)
{
	char		name[ROOM_FOR_NAME];
	int			lines = 0;

	CHECK(skip(&text, "graph TD\n"));
	for (int i = 0; i < graph->n; i++)
	{
		char		head[20];

		snprintf(head, sizeof(head), "\tn%d[\"", i);
		CHECK(skip(&text, head));
		read_mermaid_label(&text, name);
		CHECK_STR(name, graph->names[sorted->order[i]]);
		CHECK(skip(&text, "\"]\n"));
	}
	for (; *text; text++)
		lines += *text == '\n';
	CHECK_INT(lines, graph->n_edges);
}

static void
check_dot(const Graph *graph, const DepGraphResult *sorted, const char *text)
{
	char		name[ROOM_FOR_NAME];
	int			lines = 0;

	CHECK(skip(&text, "digraph dependencies {\n\tnode [shape=box];\n"));
	for (int i = 0; i < graph->n; i++)
	{
		char		head[20];

		skip(&text, "\t}\n");
		if (i == 0 || sorted->wave[sorted->order[i]] !=
			sorted->wave[sorted->order[i - 1]])
			text = strstr(text, "rank=same;\n") + strlen("rank=same;\n");
		snprintf(head, sizeof(head), "\t\tn%d [label=\"", i);
		CHECK(skip(&text, head));
		read_dot_label(&text, name);
		CHECK_STR(name, graph->names[sorted->order[i]]);
		CHECK(skip(&text, "\"];\n"));
	}
	CHECK(skip(&text, "\t}\n"));
	for (; *text; text++)
		lines += *text == '\n';
	CHECK_INT(lines, graph->n_edges + 1);
}

/* Are there control characters beyond those of the formats themselves? */
static bool
has_controls(const char *text)
{
	for (const char *c = text; *c; c++)
		if (((unsigned char) *c < 0x20 && *c != '\n' && *c != '\t') ||
			*c == 0x7f)
			return true;
	return false;
}

static char *
format_graph(GraphFormat format, const Graph *graph)
{
	DepGraphResult *sorted = depgraph_sort(graph->n, graph->names,
										   graph->n_edges, graph->edges);
	char	   *text = graph_format_write(format, graph->n, graph->names,
										  graph->n_edges, graph->edges, sorted);

	pfree(sorted);
	return text;
}

/*
 * Whatever the names, a reader gets them back, and no line more or less; the
 * text is the same in whatever order the edges come.
 */
static void
test_random_graphs(int rounds)
{
	static void (*const checks[]) (const Graph *, const DepGraphResult *,
								   const char *) =
	{
		[GRAPH_FORMAT_TEXT] = check_text,
		[GRAPH_FORMAT_MERMAID] = check_mermaid,
		[GRAPH_FORMAT_DOT] = check_dot
	};

	for (int round = 0; round < rounds; round++)
	{
		Graph		graph;
		Graph		other;
		DepGraphResult *sorted;

		random_graph(&graph);
		other = graph;
		for (int i = 0; i < graph.n_edges; i++)
			other.edges[i] = graph.edges[graph.n_edges - 1 - i];

		sorted = depgraph_sort(graph.n, graph.names, graph.n_edges,
							   graph.edges);
		for (int format = 0; format < (int) lengthof(checks); format++)
		{
			char	   *text = format_graph((GraphFormat) format, &graph);
			char	   *again = format_graph((GraphFormat) format, &other);

			CHECK(!has_controls(text));
			checks[format] (&graph, sorted, text);
			CHECK_STR(again, text);
			pfree(text);
			pfree(again);
		}
		pfree(sorted);
	}
}

int
main(int argc, char **argv)
{
	test_random_graphs(argc > 1 ? atoi(argv[1]) : 3000);
	return unit_summary();
}
