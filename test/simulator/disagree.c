/*-------------------------------------------------------------------------
 *
 * disagree.c
 *	  Lists whose relationships and included records disagree.
 *
 * Fact: a relationship may name an id that is absent from included, and the
 * reverse, when a replica lags.
 *
 * Owns: the rules; an organisation that is generated anew keeps its own.
 * Must never touch a record: only this reply is unsound.
 *
 * IDENTIFICATION
 *	  test/simulator/disagree.c
 *
 *-------------------------------------------------------------------------
 */
#include "disagree.h"

#include <stdlib.h>

typedef struct sim_disagreement
{
	const cat_entity *entity;
	const sim_org *org;
	int			edge;
	sim_disagree_kind kind;
	int64_t		left;			/* replies */
	struct sim_disagreement *next;
} sim_disagreement;

static sim_disagreement *rules;

/*
 * disagree_add arms a rule in place of an earlier one for the same include;
 * times 0 only ends that.  Returns a complaint or NULL.
 */
const char *
disagree_add(const sim_table *table, const char *include, const char *kind, int64_t times)
{
	static const char *const kinds[] = {"missing_included", "missing_relationship"};
	int			edge = entity_edge(table->entity, include);
	size_t		k = 0;
	sim_disagreement *rule = rules;

	while (k < DISAGREE_NONE && (kind == NULL || strcmp(kinds[k], kind) != 0))
		k++;
	if (k == DISAGREE_NONE)
		return "kind must be missing_included or missing_relationship";
	if (edge < 0 || !table->entity->edges[edge].include)
		return "unknown include";
	while (rule != NULL && (rule->entity != table->entity || rule->org != table->org ||
							rule->edge != edge))
		rule = rule->next;
	if (rule == NULL)
	{
		rule = sim_alloc0(sizeof(*rule));
		rule->entity = table->entity;
		rule->org = table->org;
		rule->edge = edge;
		rule->next = rules;
		rules = rule;
	}
	rule->kind = (sim_disagree_kind) k;
	rule->left = times;
	return NULL;
}

/*
 * disagree_start finds the rule that a list meets, if any.
 */
void
disagree_start(sim_disagree *disagree, const sim_table *table, const sim_includes *includes)
{
	memset(disagree, 0, sizeof(*disagree));
	for (sim_disagreement *rule = rules; rule != NULL; rule = rule->next)
		for (size_t i = 0; i < includes->count; i++)
			if (rule->left > 0 && rule->entity == table->entity && rule->org == table->org &&
				rule->edge == includes->items[i].edge)
			{
				disagree->rule = rule;
				disagree->include = i;
				return;
			}
}

/*
 * disagree_record chooses the first record that the include leads to, once
 * per reply, and keeps its name out of the relationship if that is the kind.
 */
void
disagree_record(sim_disagree *disagree, sim_inclusion *inclusion)
{
	sim_rows   *near;

	if (disagree->rule == NULL || disagree->victim != NULL)
		return;
	near = &inclusion->near[disagree->include];
	if (near->count == 0)
		return;
	disagree->victim = near->rows[0];
	disagree->rule->left--;
	if (disagree->rule->kind == DISAGREE_MISSING_RELATIONSHIP)
		memmove(near->rows, near->rows + 1, sizeof(*near->rows) * --near->count);
}

/*
 * disagree_finish leaves the chosen record out of included if that is the kind.
 */
void
disagree_finish(sim_disagree *disagree, sim_included *included)
{
	size_t		kept = 0;

	if (disagree->victim == NULL || disagree->rule->kind != DISAGREE_MISSING_INCLUDED)
		return;
	for (size_t i = 0; i < included->count; i++)
	{
		if (included->rows[i] == disagree->victim)
			continue;
		included->tables[kept] = included->tables[i];
		included->rows[kept++] = included->rows[i];
	}
	included->count = kept;		/* nothing is looked up in it any more */
}
