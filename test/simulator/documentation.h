/*-------------------------------------------------------------------------
 *
 * documentation.h
 *	  What the API tells about itself: the documentation graph and OpenAPI.
 *
 * IDENTIFICATION
 *	  test/simulator/documentation.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_DOCUMENTATION_H
#define SIM_DOCUMENTATION_H

#include "request.h"

/* A document in the making. */
typedef struct documentation
{
	sim_request *request;
	int			product;
	const char *version;
	sim_buf    *out;
} documentation;

/* How the documentation differs from the catalogue, as tests wish it. */
typedef enum doc_verb
{
	DOC_ADD,
	DOC_REMOVE,
	DOC_RETYPE
} doc_verb;

typedef enum doc_subject
{
	DOC_ATTRIBUTE,
	DOC_RELATIONSHIP,
	DOC_INCLUDE,
	DOC_ORDER,
	DOC_WHERE,
	DOC_VERTEX,
	DOC_VERSION
} doc_subject;

typedef struct doc_change
{
	int			product;
	doc_verb	verb;
	doc_subject subject;
	char	   *vertex;			/* "" for a version */
	char	   *name;
	char	   *type;			/* or NULL */
	struct doc_change *next;
} doc_change;

/* One vertex: an entity of the catalogue, or one that was added. */
typedef struct doc_vertex
{
	const cat_entity *entity;	/* NULL: added */
	char		name[128];		/* oauth_application */
	char		type[128];		/* OauthApplication */
} doc_vertex;

/* Called with each edge of the graph. */
typedef void (*doc_edge_visitor) (documentation *d, const char *name,
								  const doc_vertex *tail, const doc_vertex *head,
								  void *argument);

/* documentation.c */
extern bool documentation_asked(const sim_request *request);
extern void documentation_answer(sim_request *request);

/* documentation_change.c */
extern const char *documentation_change(const sim_request *request);
extern const doc_change *doc_change_next(const doc_change *after, int product,
										 doc_verb verb, doc_subject subject,
										 const char *vertex, const char *name);

/* documentation_graph.c */
extern bool doc_vertex_next(const documentation *d, int *at, doc_vertex *vertex);
extern bool doc_vertex_find(const documentation *d, const char *name, doc_vertex *vertex);
extern void doc_edges(documentation *d, doc_edge_visitor visit, void *argument);
extern void doc_records_path(documentation *d, const doc_vertex *vertex, sim_buf *out);
extern void doc_edge_path(documentation *d, const doc_vertex *tail, const doc_vertex *head,
						  const char *name, sim_buf *out);

/* documentation_vertex.c */
extern void doc_start(documentation *d, const char *type, const char *owner,
					  const char *key, const char *name);
extern void doc_edge_object(documentation *d, const char *name,
							const doc_vertex *tail, const doc_vertex *head);
extern void documentation_vertex(documentation *d, const doc_vertex *vertex);

#endif							/* SIM_DOCUMENTATION_H */
