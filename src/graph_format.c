/*-------------------------------------------------------------------------
 *
 * graph_format.c
 *	  A dependency graph as text, for people and for programs that draw.
 *
 * What it does: writes a sorted graph in one of three formats, always in the
 * order of its waves, so that the same graph gives the same text.
 *
 * What it owns: nothing but working memory, which it frees.
 *
 * What it must never do: write a byte of a name unescaped that means something
 * where it stands.
 *
 * An arrow leads from what comes first to what depends on it, in all formats.
 * Soft edges that were dropped are written, too: a reader who misses one wants
 * to know why.
 *
 * A control character in a name is shown as \xNN and a backslash as \\, before
 * the format's own escapes, so that every name stays one line and no two look
 * the same.
 *
 * IDENTIFICATION
 *	  src/graph_format.c
 *
 *-------------------------------------------------------------------------
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include "graph_format.h"
#include "lib/stringinfo.h"

typedef struct GraphWriter
{
	StringInfoData out;
	int			n;
	const char *const *names;
	int			n_edges;
	const DepEdge *edges;
	const DepGraphResult *sorted;

	int		   *position;		/* of a node in the order */
	bool	   *dropped;		/* edges */
	int			n_kept;			/* edges that were not dropped */

	/* edges: those kept, by node and the strongest first; then the others */
	int		   *ranked;
} GraphWriter;

/* graph_writer_compare orders edges as they are written. */
static int
graph_writer_compare(const void *a, const void *b, void *arg)
{
	const GraphWriter *writer = arg;
	int			left = *(const int *) a;
	int			right = *(const int *) b;
	const DepEdge *l = &writer->edges[left];
	const DepEdge *r = &writer->edges[right];

	if (writer->dropped[left] != writer->dropped[right])
		return writer->dropped[left] ? 1 : -1;
	if (l->to != r->to)
		return writer->position[l->to] - writer->position[r->to];
	if (l->hard != r->hard)
		return l->hard ? -1 : 1;
	if (!l->hard && l->rank != r->rank)
		return l->rank < r->rank ? -1 : 1;
	return writer->position[l->from] - writer->position[r->from];
}

/* graph_writer_prepare puts nodes and edges in the order they are written. */
static void
graph_writer_prepare(GraphWriter *writer)
{
	initStringInfo(&writer->out);
	writer->position = palloc(sizeof(int) * writer->n);
	writer->dropped = palloc0(sizeof(bool) * writer->n_edges);
	writer->ranked = palloc(sizeof(int) * writer->n_edges);
	for (int i = 0; i < writer->n; i++)
		writer->position[writer->sorted->order[i]] = i;
	for (int i = 0; i < writer->sorted->n_dropped; i++)
		writer->dropped[writer->sorted->dropped[i]] = true;
	writer->n_kept = writer->n_edges - writer->sorted->n_dropped;
	for (int i = 0; i < writer->n_edges; i++)
		writer->ranked[i] = i;
	qsort_arg(writer->ranked, writer->n_edges, sizeof(int),
			  graph_writer_compare, writer);
}

/* is_plain tells whether a byte means nothing but itself in any format. */
static bool
is_plain(unsigned char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
		(byte >= '0' && byte <= '9') || byte == '_' || byte == '.' ||
		byte == '-' || byte >= 0x80;
}

/* visible returns a name in which control characters can be seen. */
static char *
visible(const char *name)
{
	StringInfoData out;

	initStringInfo(&out);
	for (const char *c = name; *c; c++)
	{
		if ((unsigned char) *c < 0x20 || *c == 0x7f)
			appendStringInfo(&out, "\\x%02x", (unsigned char) *c);
		else if (*c == '\\')
			appendStringInfoString(&out, "\\\\");
		else
			appendStringInfoChar(&out, *c);
	}
	return out.data;
}

/* ---- text -------------------------------------------------------------- */

/* append_text_name appends a name, in quotes unless it is plain. */
static void
append_text_name(GraphWriter *writer, int node)
{
	char	   *name = visible(writer->names[node]);
	bool		plain = *name != '\0';

	for (const char *c = name; *c; c++)
		plain &= is_plain(*c);
	appendStringInfoString(&writer->out, plain ? "" : "\"");
	for (const char *c = name; *c; c++)
		appendStringInfo(&writer->out, *c == '"' ? "\\%c" : "%c", *c);
	appendStringInfoString(&writer->out, plain ? "" : "\"");
	pfree(name);
}

/* append_text_strength appends how much an edge weighs. */
static void
append_text_strength(GraphWriter *writer, const DepEdge *edge)
{
	if (edge->hard)
		appendStringInfoString(&writer->out, " (hard)");
	else
		appendStringInfo(&writer->out, " (soft %d)", edge->rank);
}

/*
 * append_text_cycle appends the cycle that a dropped edge would close with
 * others as strong, and of those a shortest: found breadth-first from its end,
 * so that it can be written from its beginning.
 */
static void
append_text_cycle(GraphWriter *writer, const DepEdge *dropped)
{
	int		   *next = palloc(sizeof(int) * writer->n);
	int		   *queue = palloc(sizeof(int) * writer->n);
	int			queued = 0;
	int			node = dropped->to;

	for (int i = 0; i < writer->n; i++)
		next[i] = -1;
	next[dropped->from] = dropped->to;
	queue[queued++] = dropped->from;
	for (int i = 0; i < queued && next[dropped->to] < 0; i++)
		for (int j = 0; j < writer->n_kept; j++)
		{
			const DepEdge *edge = &writer->edges[writer->ranked[j]];

			if (edge->to == queue[i] && next[edge->from] < 0 &&
				(edge->hard || edge->rank <= dropped->rank))
			{
				next[edge->from] = edge->to;
				queue[queued++] = edge->from;
			}
		}
	Assert(next[dropped->to] >= 0);

	append_text_name(writer, node);
	do
	{
		node = next[node];
		appendStringInfoString(&writer->out, " -> ");
		append_text_name(writer, node);
	} while (node != dropped->to);
	pfree(next);
	pfree(queue);
}

/* write_text_waves writes a line for each wave. */
static void
write_text_waves(GraphWriter *writer)
{
	StringInfo	out = &writer->out;
	int			last = -1;

	for (int i = 0; i < writer->n; i++)
	{
		int			node = writer->sorted->order[i];
		int			wave = writer->sorted->wave[node];

		if (wave == last)
			appendStringInfoString(out, ", ");
		else
			appendStringInfo(out, "%swave %d: ", i > 0 ? "\n" : "", wave);
		append_text_name(writer, node);
		last = wave;
	}
	if (writer->n > 0)
		appendStringInfoChar(out, '\n');
}

/* write_text_needs writes a line for each node that comes after others. */
static void
write_text_needs(GraphWriter *writer)
{
	StringInfo	out = &writer->out;
	int			last = -1;

	for (int i = 0; i < writer->n_kept; i++)
	{
		const DepEdge *edge = &writer->edges[writer->ranked[i]];

		if (edge->to == last)
			appendStringInfoString(out, ", ");
		else
		{
			appendStringInfoChar(out, '\n');
			append_text_name(writer, edge->to);
			appendStringInfoString(out, " <- ");
		}
		append_text_name(writer, edge->from);
		append_text_strength(writer, edge);
		last = edge->to;
	}
	if (writer->n_kept > 0)
		appendStringInfoChar(out, '\n');
}

/* write_text_dropped writes a line for each dropped edge, and why it was. */
static void
write_text_dropped(GraphWriter *writer)
{
	StringInfo	out = &writer->out;

	if (writer->n_kept < writer->n_edges)
		appendStringInfoChar(out, '\n');
	for (int i = writer->n_kept; i < writer->n_edges; i++)
	{
		const DepEdge *edge = &writer->edges[writer->ranked[i]];

		appendStringInfoString(out, "dropped ");
		append_text_name(writer, edge->to);
		appendStringInfoString(out, " <- ");
		append_text_name(writer, edge->from);
		append_text_strength(writer, edge);
		appendStringInfoString(out, ", which closes the cycle ");
		append_text_cycle(writer, edge);
		appendStringInfoChar(out, '\n');
	}
}

/* ---- mermaid ----------------------------------------------------------- */

/*
 * append_mermaid_label appends a name with #N; for characters that could be
 * read as an end of the label, as a tag or as markdown.  A label must not be
 * empty.
 */
static void
append_mermaid_label(StringInfo out, const char *name)
{
	char	   *label = visible(name);

	if (*label == '\0')
		appendStringInfoChar(out, ' ');
	for (const char *c = label; *c; c++)
	{
		if (is_plain(*c))
			appendStringInfoChar(out, *c);
		else
			appendStringInfo(out, "#%d;", *c);
	}
	pfree(label);
}

/*
 * write_mermaid writes a flowchart.  Nodes are called by their place in the
 * order, since hardly any name would do.
 */
static void
write_mermaid(GraphWriter *writer)
{
	StringInfo	out = &writer->out;

	appendStringInfoString(out, "graph TD\n");
	for (int i = 0; i < writer->n; i++)
	{
		appendStringInfo(out, "\tn%d[\"", i);
		append_mermaid_label(out, writer->names[writer->sorted->order[i]]);
		appendStringInfoString(out, "\"]\n");
	}
	for (int i = 0; i < writer->n_edges; i++)
	{
		const DepEdge *edge = &writer->edges[writer->ranked[i]];

		appendStringInfo(out, "\tn%d %s n%d\n", writer->position[edge->from],
						 i >= writer->n_kept ? "-. dropped .->"
						 : edge->hard ? "-->" : "-.->",
						 writer->position[edge->to]);
	}
}

/* ---- DOT --------------------------------------------------------------- */

/*
 * append_dot_label appends a name for a string in which a backslash escapes
 * and & begins an entity of HTML.
 */
static void
append_dot_label(StringInfo out, const char *name)
{
	char	   *label = visible(name);

	for (const char *c = label; *c; c++)
	{
		if (*c == '&')
			appendStringInfoString(out, "&amp;");
		else
			appendStringInfo(out, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
	}
	pfree(label);
}

/* write_dot writes a digraph, the nodes of a wave in one rank. */
static void
write_dot(GraphWriter *writer)
{
	StringInfo	out = &writer->out;
	int			last = -1;

	appendStringInfoString(out, "digraph dependencies {\n\tnode [shape=box];\n");
	for (int i = 0; i < writer->n; i++)
	{
		int			node = writer->sorted->order[i];

		if (writer->sorted->wave[node] != last)
			appendStringInfo(out, "%s\tsubgraph wave_%d {\n\t\trank=same;\n",
							 i > 0 ? "\t}\n" : "", writer->sorted->wave[node]);
		appendStringInfo(out, "\t\tn%d [label=\"", i);
		append_dot_label(out, writer->names[node]);
		appendStringInfoString(out, "\"];\n");
		last = writer->sorted->wave[node];
	}
	if (writer->n > 0)
		appendStringInfoString(out, "\t}\n");

	/* what was dropped shall not move nodes out of their rank */
	for (int i = 0; i < writer->n_edges; i++)
	{
		const DepEdge *edge = &writer->edges[writer->ranked[i]];

		appendStringInfo(out, "\tn%d -> n%d%s;\n", writer->position[edge->from],
						 writer->position[edge->to],
						 i >= writer->n_kept
						 ? " [style=dotted, constraint=false, label=\"dropped\"]"
						 : edge->hard ? "" : " [style=dashed]");
	}
	appendStringInfoString(out, "}\n");
}

/* ---- any format -------------------------------------------------------- */

/* graph_format_by_name finds a format by the name users give it. */
bool
graph_format_by_name(const char *name, GraphFormat *format)
{
	static const char *const names[] = {
		[GRAPH_FORMAT_TEXT] = "text",
		[GRAPH_FORMAT_MERMAID] = "mermaid",
		[GRAPH_FORMAT_DOT] = "dot"
	};

	for (int i = 0; i < (int) lengthof(names); i++)
		if (strcmp(name, names[i]) == 0)
		{
			*format = (GraphFormat) i;
			return true;
		}
	return false;
}

/* graph_format_write writes a sorted graph. */
char *
graph_format_write(GraphFormat format, int n, const char *const *names,
				   int n_edges, const DepEdge *edges,
				   const DepGraphResult *sorted)
{
	GraphWriter writer = {
		.n = n,
		.names = names,
		.n_edges = n_edges,
		.edges = edges,
		.sorted = sorted
	};

	Assert(sorted->ok);
	graph_writer_prepare(&writer);
	switch (format)
	{
		case GRAPH_FORMAT_TEXT:
			write_text_waves(&writer);
			write_text_needs(&writer);
			write_text_dropped(&writer);
			break;
		case GRAPH_FORMAT_MERMAID:
			write_mermaid(&writer);
			break;
		case GRAPH_FORMAT_DOT:
			write_dot(&writer);
			break;
	}
	pfree(writer.position);
	pfree(writer.dropped);
	pfree(writer.ranked);
	return writer.out.data;
}
