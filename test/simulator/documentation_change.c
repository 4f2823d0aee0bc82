/*-------------------------------------------------------------------------
 *
 * documentation_change.c
 *	  Differences that tests want between the documentation and the catalogue.
 *
 * Owns: the list of changes, for the life of the process.
 * Must never touch the catalogue: the data stay as they are.
 *
 * IDENTIFICATION
 *	  test/simulator/documentation_change.c
 *
 *-------------------------------------------------------------------------
 */
#include "documentation.h"

#include <stdlib.h>

static doc_change *changes;

/*
 * forget drops every change.
 */
static void
forget(void)
{
	while (changes != NULL)
	{
		doc_change *change = changes;

		changes = change->next;
		free(change->vertex);
		free(change->name);
		free(change->type);
		free(change);
	}
}

/*
 * read_op takes add_attribute and the like apart.
 */
static bool
read_op(const char *op, doc_verb *verb, doc_subject *subject)
{
	static const char *const verbs[] = {"add_", "remove_", "retype_"};
	static const char *const subjects[] = {"attribute", "relationship", "include", "order",
	"where", "vertex", "version"};

	for (size_t v = 0; v < sizeof(verbs) / sizeof(verbs[0]); v++)
		for (size_t s = 0; s < sizeof(subjects) / sizeof(subjects[0]); s++)
			if (strncmp(op, verbs[v], strlen(verbs[v])) == 0 &&
				strcmp(op + strlen(verbs[v]), subjects[s]) == 0)
			{
				*verb = (doc_verb) v;
				*subject = (doc_subject) s;
				return *verb != DOC_RETYPE || *subject == DOC_ATTRIBUTE;
			}
	return false;
}

/*
 * documentation_change: POST /_sim/documentation
 */
const char *
documentation_change(const sim_request *request)
{
	const char *op = request_param(request, "op");
	const char *product = request_param(request, "product");
	const char *vertex = request_param(request, "vertex");
	const char *name = request_param(request, "name");
	const char *type = request_param(request, "type");
	doc_change	wanted = {0};
	doc_change **link = &changes;

	if (op != NULL && strcmp(op, "clear") == 0)
	{
		forget();
		return NULL;
	}
	if (op == NULL || !read_op(op, &wanted.verb, &wanted.subject))
		return "unknown op";
	wanted.product = product == NULL ? -1 :
		catalogue_product(store_catalogue(), product, strlen(product));
	if (wanted.product < 0)
		return "unknown product";
	if (vertex == NULL && wanted.subject != DOC_VERSION)
		return "vertex is missing";
	if (name == NULL && wanted.subject != DOC_VERTEX)
		return "name is missing";
	if (wanted.subject == DOC_VERTEX && type != NULL && strcmp(type, vertex) == 0)
		return "a vertex cannot be beneath itself";
	wanted.vertex = sim_strdup(wanted.subject == DOC_VERSION ? "" : vertex);
	wanted.name = sim_strdup(name);
	wanted.type = sim_strdup(type);
	while (*link != NULL)
		link = &(*link)->next;
	*link = sim_alloc0(sizeof(**link));
	**link = wanted;
	return NULL;
}

/*
 * doc_change_next finds the change after another one (NULL: the first) that
 * fits; a vertex or name of NULL fits any.
 */
const doc_change *
doc_change_next(const doc_change *after, int product, doc_verb verb,
				doc_subject subject, const char *vertex, const char *name)
{
	const doc_change *change = after ? after->next : changes;

	for (; change != NULL; change = change->next)
		if (change->product == product && change->verb == verb &&
			change->subject == subject &&
			(vertex == NULL || strcmp(change->vertex, vertex) == 0) &&
			(name == NULL || (change->name != NULL && strcmp(change->name, name) == 0)))
			return change;
	return NULL;
}
