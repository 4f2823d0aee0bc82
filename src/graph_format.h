/*-------------------------------------------------------------------------
 *
 * graph_format.h
 *	  A dependency graph as text, for people and for programs that draw.
 *
 * What it does: writes nodes, waves and edges of a sorted graph as plain text,
 * as a mermaid flowchart or in the DOT language of graphviz.
 *
 * What it owns: nothing.  The text is the caller's, to pfree.
 *
 * What it must never do: let a name break out of its place, whatever stands in
 * it, or depend on the order of the edges.
 *
 * IDENTIFICATION
 *	  src/graph_format.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef GRAPH_FORMAT_H
#define GRAPH_FORMAT_H

#include "depgraph.h"

typedef enum GraphFormat
{
	GRAPH_FORMAT_TEXT,
	GRAPH_FORMAT_MERMAID,
	GRAPH_FORMAT_DOT
} GraphFormat;

/* Reads 'text', 'mermaid' or 'dot'; false if it is none of these. */
extern bool graph_format_by_name(const char *name, GraphFormat *format);

/* Writes what depgraph_sort made of the other arguments; it must be ok. */
extern char *graph_format_write(GraphFormat format, int n,
								const char *const *names, int n_edges,
								const DepEdge *edges,
								const DepGraphResult *sorted);

#endif							/* GRAPH_FORMAT_H */
