/*-------------------------------------------------------------------------
 *
 * plan.c
 *		How a set of entities would be read: order, way, and cost.
 *
 * Estimates come from what the API counted last (total_count), else from the
 * rows we have, else they are guesses, and say so.
 *
 * IDENTIFICATION
 *		src/plan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "entity_name.h"
#include "job.h"
#include "lib/stringinfo.h"
#include "nodes/value.h"
#include "plan.h"
#include "plan_fold.h"
#include "session.h"
#include "utils/builtins.h"

/* Of a list that nobody has counted, and of the children of one parent. */
#define GUESSED_RECORDS		1000
#define GUESSED_CHILDREN	2

/*
 * Entities that come along with one request.  All that a Person can bring
 * are fewer; a page with more takes the API longer than it allows itself.
 */
#define MAX_INCLUDES		8

/* What the API did not bring with its parent is asked for so again after this. */
#define FOLD_AGAIN			"7 days"

/*
 * choose_mode: what of the entity is read.  delta: how the API tells what has
 * changed, or NULL; has_base: all of it has been read before.
 */
static void
choose_mode(PlannedEntity *node, const char *mode, const char *delta, bool has_base)
{
	node->mode = mode;
	if (strcmp(mode, "auto") != 0 && strcmp(mode, "delta") != 0)
		return;
	node->mode = delta != NULL && has_base ? "delta" : "full";
	if (strcmp(node->mode, "full") == 0)
		node->mode_reason = delta == NULL ? "the API does not tell what has changed" :
			"it has not been read as a whole yet";
}

/*
 * load_nodes: what the manifest and the last syncs know of these entities.
 */
static void
load_nodes(SyncPlan *plan, List *names, const char *org, const char *mode)
{
	static Statement select_nodes = {
		"WITH node AS (SELECT u.name, u.n - 1 AS n FROM unnest($1) WITH ORDINALITY u(name, n)) "
		"SELECT e.product, e.entity, e.own_strategy, e.path, e.keyset_key, "
		"  e.single, parent.n, s.total, s.rows, s.strategy_note, owner.n, i.include, s.unseen, "
		"  s.unfolded_at IS NULL OR s.unfolded_at < now() - interval '" FOLD_AGAIN "', "
		"  (SELECT m.strategy FROM sync_engine.manifest_entity m WHERE m.source = 'user' "
		"    AND (m.product, m.entity) = (e.product, e.entity)) IS NOT DISTINCT FROM 'include' "
		"  OR NOT EXISTS (SELECT 1 FROM sync_engine.manifest_entity m WHERE m.source = 'user' "
		"    AND m.strategy IS NOT NULL AND (m.product, m.entity) = (e.product, e.entity)), "
		"  CASE WHEN e.parent IS NOT NULL AND e.parent_columns[cardinality(e.parent_columns)] <> 'id' THEN "
		"    (SELECT nullif(count(*), 0) FROM sync_engine.walk_ledger l "
		"     WHERE (l.org, l.product, l.entity) = ($2, e.product, e.entity)) END, "
		"  e.delta, s.last_full_at IS NOT NULL AND (s.watermark IS NOT NULL OR e.delta = 'parents'), "
		"  to_char(s.watermark, 'YYYY-MM-DD HH24:MI:SSOF'), e.delta_key "
		"FROM node JOIN sync_engine.entity e ON node.name = e.product || '.' || e.entity "
		"LEFT JOIN node parent ON parent.name = e.product || '.' || e.parent "
		"LEFT JOIN sync_engine.sync_state s ON (s.org, s.product, s.entity) = ($2, e.product, e.entity) "
		"LEFT JOIN (sync_engine.include i JOIN node owner ON owner.name = i.product || '.' || i.parent) "
		"  ON i.complete AND (i.product, i.entity) = (e.product, e.entity) "
		"ORDER BY node.n, i.parent, i.include",
		2, {TEXTARRAYOID, TEXTOID}
	};
	Datum		args[2] = {entity_names_array(names), org ? CStringGetTextDatum(org) : (Datum) 0};
	char		nulls[2] = {' ', org ? ' ' : 'n'};
	uint64		n = statement_run(&select_nodes, args, nulls);

	plan->nodes = palloc0(sizeof(PlannedEntity) * Max(n, 1));
	for (uint64 row = 0; row < n; row++)
	{
		PlannedEntity *node = &plan->nodes[plan->n];
		int64		total = result_int64(row, 8, -1);
		int64		rows = result_int64(row, 9, 0);

		node->product = result_text(row, 1);
		node->entity = result_text(row, 2);
		node->name = psprintf("%s.%s", node->product, node->entity);
		if (plan->n > 0 && strcmp(node->name, plan->nodes[plan->n - 1].name) == 0)
			continue;			/* a second way to come along */
		node->own_strategy = result_text(row, 3);
		node->path = result_text(row, 4);
		node->keyset_key = result_text(row, 5);
		node->single = result_bool(row, 6);
		node->parent = (int) result_int64(row, 7, -1);
		node->counted = total >= 0 || rows > 0;
		node->records = total >= 0 ? total : rows;
		node->note = result_text(row, 10);
		node->folded_into = (int) result_int64(row, 11, -1);
		node->via = result_text(row, 12);
		node->unseen = result_text(row, 13);
		node->may_fold = result_bool(row, 14) && result_bool(row, 15);
		node->lists = result_int64(row, 16, -1);
		node->watermark = result_text(row, 19);
		node->delta_key = result_text(row, 20);
		choose_mode(node, mode, result_text(row, 17), result_bool(row, 18));
		plan->n++;
	}
}

/*
 * load_edges: a soft one is also heeded where it lets one come with the other's
 * pages.
 */
static void
load_edges(SyncPlan *plan, List *names, bool soft_edges)
{
	static Statement select_edges = {
		"WITH node AS (SELECT u.name, u.n - 1 AS n FROM unnest($1) WITH ORDINALITY u(name, n)) "
		"SELECT f.n, t.n, e.kind = 'hard', e.rank::bigint FROM node t, "
		"LATERAL (SELECT * FROM sync_engine.edge WHERE product = split_part(t.name, '.', 1) "
		"  AND entity = split_part(t.name, '.', 2)) e "
		"JOIN node f ON f.name = e.product || '.' || e.parent ORDER BY 1, 2",
		1, {TEXTARRAYOID}
	};
	Datum		args[1] = {entity_names_array(names)};
	uint64		n = plan->n > 1 ? statement_run(&select_edges, args, NULL) : 0;

	plan->edges = palloc(sizeof(DepEdge) * Max(n, 1));
	plan->skips = palloc(sizeof(bool) * Max(n, 1));
	for (uint64 i = 0; i < n; i++)
	{
		DepEdge    *edge = &plan->edges[plan->n_edges];

		edge->from = (int) result_int64(i, 1, 0);
		edge->to = (int) result_int64(i, 2, 0);
		edge->hard = result_bool(i, 3);
		edge->rank = (int) result_int64(i, 4, 0);
		if (!edge->hard && !soft_edges && plan->nodes[edge->to].folded_into != edge->from)
			continue;
		plan->skips[plan->n_edges++] = plan->nodes[edge->to].parent == edge->from;
	}
}

/*
 * sort: the order, or the cycle that makes one impossible.
 */
static void
sort(SyncPlan *plan)
{
	const char **names = palloc(sizeof(char *) * Max(plan->n, 1));
	StringInfoData cycle;

	for (int i = 0; i < plan->n; i++)
		names[i] = plan->nodes[i].name;
	plan->graph = depgraph_sort(plan->n, names, plan->n_edges, plan->edges);
	if (plan->graph->ok)
		return;

	initStringInfo(&cycle);
	appendStringInfoString(&cycle, "hard dependencies form a cycle: ");
	for (int i = 0; i <= plan->graph->cycle_len; i++)
		appendStringInfo(&cycle, "%s%s", i > 0 ? " -> " : "",
						 names[plan->graph->cycle[i % plan->graph->cycle_len]]);
	plan->problem = cycle.data;
}

/*
 * list_pages: each page but the first repeats a row of the one before.
 */
static double
list_pages(double records)
{
	return records <= 1 ? 1 : ceil((records - 1) / (JOB_PER_PAGE - 1));
}

/*
 * estimate: records and requests of a node, by itself; its parent's are known.
 */
static void
estimate(SyncPlan *plan, PlannedEntity *node)
{
	double		lists = node->parent < 0 ? 1 :
		node->lists >= 0 ? node->lists : plan->nodes[node->parent].stored;

	node->stored = node->records;
	if (strcmp(node->mode, "delta") == 0)
	{
		node->records = node->requests = node->parent < 0 ? 1 : 0;	/* at least */
		return;
	}
	if (node->unseen != NULL || (node->parent >= 0 && plan->nodes[node->parent].unseen != NULL))
	{
		/* it is asked for once more, or not at all */
		node->unseen = node->unseen ? node->unseen : plan->nodes[node->parent].unseen;
		node->records = 0;
		node->requests = node->parent < 0 ? 1 : 0;
	}
	else if (node->single)
	{
		if (!node->counted)
			node->records = lists;
		node->requests = lists;
	}
	else if (node->parent < 0)
	{
		if (!node->counted)
			node->records = GUESSED_RECORDS;
		node->requests = list_pages(node->records);
	}
	else
	{
		if (!node->counted)
			node->records = lists * GUESSED_CHILDREN;
		node->requests = lists > 0 ? lists * list_pages(node->records / lists) : 0;
	}
	node->stored = node->records;
}

/*
 * verify_cost: what came along is counted in its own list, if it has one.
 */
static double
verify_cost(const PlannedEntity *node)
{
	return node->parent < 0 ? 1 : 0;
}

/*
 * choose_strategies: what comes along with its parent's pages, and how the
 * others are read.
 */
static void
choose_strategies(SyncPlan *plan, bool may_fold)
{
	FoldNode   *fold = palloc0(sizeof(FoldNode) * Max(plan->n, 1));
	bool	   *folded = palloc0(sizeof(bool) * Max(plan->n, 1));

	for (int i = 0; i < plan->n; i++)
		estimate(plan, &plan->nodes[plan->graph->order[i]]);
	for (int i = 0; i < plan->n; i++)
	{
		fold[i].fold_parent = plan->nodes[i].folded_into;
		fold[i].own_cost = plan->nodes[i].requests - verify_cost(&plan->nodes[i]);
		/* only a sweep of all parents brings all children */
		fold[i].may_fold = may_fold && fold[i].fold_parent >= 0 && plan->nodes[i].may_fold &&
			!plan->nodes[fold[i].fold_parent].single && strcmp(plan->nodes[i].mode, "full") == 0 &&
			strcmp(plan->nodes[fold[i].fold_parent].mode, "full") == 0;
	}
	plan_fold_choose(plan->n, fold, MAX_INCLUDES, folded);

	for (int i = 0; i < plan->n; i++)
	{
		PlannedEntity *node = &plan->nodes[i];

		if (folded[i])
		{
			node->strategy = "include";
			node->requests = verify_cost(node);
		}
		else
		{
			node->strategy = node->own_strategy;
			node->folded_into = -1;
			node->via = NULL;
		}
	}
}

SyncPlan *
plan_build(List *names, const char *org, const PlanOptions *options)
{
	SyncPlan   *plan = palloc0(sizeof(SyncPlan));

	if (!options->only_named)
		names = entity_names_with_parents(names);
	load_nodes(plan, names, org, options->mode);
	load_edges(plan, names, options->soft_edges);
	sort(plan);
	if (plan->problem == NULL)
		choose_strategies(plan, options->may_fold);
	return plan;
}

char *
plan_via(const SyncPlan *plan, const PlannedEntity *node)
{
	return psprintf("%s?include=%s", plan->nodes[node->folded_into].entity, node->via);
}

char *
plan_reason(const SyncPlan *plan, const PlannedEntity *node)
{
	StringInfoData reason;

	initStringInfo(&reason);
	if (node->folded_into >= 0)
		appendStringInfo(&reason, "comes with the pages of %s%s", plan->nodes[node->folded_into].entity,
						 verify_cost(node) > 0 ? ", and is counted in its own list" : "");
	else if (strcmp(node->mode, "delta") == 0 && node->parent >= 0)
		appendStringInfo(&reason, "has no list of its own: one request for each %s that has changed, and for each once a day",
						 plan->nodes[node->parent].entity);
	else if (strcmp(node->mode, "delta") == 0)
		appendStringInfo(&reason, "what has changed since %s, by %s", node->watermark, node->delta_key);
	else if (node->parent >= 0)
		appendStringInfo(&reason, "has no list of its own: one request for each %s",
						 plan->nodes[node->parent].entity);
	else if (node->single)
		appendStringInfoString(&reason, "is one record");
	else if (node->keyset_key != NULL)
		appendStringInfo(&reason, "the API orders and filters it by %s", node->keyset_key);
	else
		appendStringInfoString(&reason, "the API cannot order and filter it by time: read by offset");
	if (node->mode_reason != NULL)
		appendStringInfo(&reason, "; all of it, for %s", node->mode_reason);
	if (node->unseen != NULL)
		appendStringInfo(&reason, "; this token may not see it: %s", node->unseen);
	else if (!node->counted)
		appendStringInfoString(&reason, "; how many there are is a guess");
	if (node->note != NULL)
		appendStringInfo(&reason, "; last time: %s", node->note);
	return reason.data;
}

void
plan_require_order(const SyncPlan *plan)
{
	if (plan->problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s", plan->problem),
				 errhint("One of the edges in sync_dependencies must be made soft: see the manifest's documentation.")));
}
