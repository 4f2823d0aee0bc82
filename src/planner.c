/*-------------------------------------------------------------------------
 *
 * planner.c
 *		Turns a queued run into jobs.
 *
 * IDENTIFICATION
 *		src/planner.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "depgraph.h"
#include "nodes/value.h"
#include "planner.h"
#include "queue.h"
#include "session.h"
#include "utils/array.h"
#include "utils/builtins.h"

typedef struct Run
{
	int64		run_id;
	char	   *kind;
	char	   *org;
	char	   *mode;
	char	   *execution;
	int			priority;
} Run;

/* An edge between two entities of the run. */
typedef struct Edge
{
	DepEdge		dep;
	bool		skips;			/* the parent's failure skips the child */
} Edge;

static Datum
name_array(List *names)
{
	int			n = list_length(names);
	Datum	   *values = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		values[i] = CStringGetTextDatum(strVal(list_nth(names, i)));
	return PointerGetDatum(construct_array(values, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * with_parents: adds the parents whose lists nested entities walk.
 */
static List *
with_parents(Datum entities)
{
	static Statement close_over_parents = {
		"WITH RECURSIVE wanted(product, entity) AS ("
		"  SELECT split_part(u, '.', 1), split_part(u, '.', 2) FROM unnest($1) u "
		"  UNION SELECT m.product, m.parent FROM wanted w "
		"  JOIN sync_engine.manifest_entity m USING (product, entity) WHERE m.parent IS NOT NULL) "
		"SELECT product || '.' || entity FROM wanted ORDER BY 1",
		1, {TEXTARRAYOID}
	};
	Datum		args[1] = {entities};
	uint64		n = statement_run(&close_over_parents, args, NULL);
	List	   *names = NIL;

	for (uint64 i = 0; i < n; i++)
		names = lappend(names, makeString(result_text(i, 1)));
	return names;
}

/*
 * load_edges: the manifest's edges among these entities; node numbers are
 * positions in the list.
 */
static Edge *
load_edges(List *names, int *n_edges)
{
	static Statement select_edges = {
		"WITH node AS (SELECT u.name, u.n - 1 AS n FROM unnest($1) WITH ORDINALITY u(name, n)) "
		"SELECT f.n, t.n, e.kind = 'hard', e.rank::bigint, e.parent IS NOT DISTINCT FROM m.parent "
		"FROM sync_engine.manifest_edge e "
		"JOIN sync_engine.manifest_entity m USING (product, entity) "
		"JOIN node f ON f.name = e.product || '.' || e.parent "
		"JOIN node t ON t.name = e.product || '.' || e.entity ORDER BY 1, 2",
		1, {TEXTARRAYOID}
	};
	Datum		args[1] = {name_array(names)};
	uint64		n = statement_run(&select_edges, args, NULL);
	Edge	   *edges = palloc(sizeof(Edge) * Max(n, 1));

	for (uint64 i = 0; i < n; i++)
	{
		edges[i].dep.from = (int) result_int64(i, 1, 0);
		edges[i].dep.to = (int) result_int64(i, 2, 0);
		edges[i].dep.hard = result_bool(i, 3);
		edges[i].dep.rank = (int) result_int64(i, 4, 0);
		edges[i].skips = result_bool(i, 5);
	}
	*n_edges = (int) n;
	return edges;
}

static void
record_activity(int64 run_id, const char *kind, const char *detail)
{
	static Statement insert_activity = {
		"INSERT INTO sync_engine.activity (run_id, kind, status, detail, finished_at) "
		"VALUES ($1, $2, 'succeeded', $3, clock_timestamp())",
		3, {INT8OID, TEXTOID, TEXTOID}
	};
	Datum		args[3] = {Int64GetDatum(run_id), CStringGetTextDatum(kind), CStringGetTextDatum(detail)};

	(void) statement_run(&insert_activity, args, NULL);
}

/*
 * insert_job: a job for one entity.  Where another run's job for it has not
 * ended, the new one joins that.
 */
static int64
insert_job(const Run *run, const char *name, int wave, int unmet)
{
	static Statement insert = {
		"INSERT INTO sync_engine.job (run_id, org, product, entity, mode, strategy, priority, wave, unmet, "
		"  joined_job_id) "
		"SELECT $1, $2, split_part($3, '.', 1), split_part($3, '.', 2), $4, "
		"  coalesce(m.strategy, 'check'), $5, $6, $7, "
		"  (SELECT job_id FROM sync_engine.job o WHERE o.org = $2 AND o.product = split_part($3, '.', 1) "
		"    AND o.entity = split_part($3, '.', 2) AND o.status IN ('queued', 'running') "
		"    AND o.joined_job_id IS NULL AND o.mode = $4 AND o.run_id <> $1 ORDER BY job_id LIMIT 1) "
		"FROM (SELECT 1) one LEFT JOIN sync_engine.manifest_entity m "
		"  ON m.product = split_part($3, '.', 1) AND m.entity = split_part($3, '.', 2) AND $8 = 'sync' "
		"RETURNING job_id",
		8, {INT8OID, TEXTOID, TEXTOID, TEXTOID, INT4OID, INT4OID, INT4OID, TEXTOID}
	};
	Datum		args[8];

	args[0] = Int64GetDatum(run->run_id);
	args[1] = CStringGetTextDatum(run->org);
	args[2] = CStringGetTextDatum(name);
	args[3] = CStringGetTextDatum(strcmp(run->mode, "auto") == 0 ? "full" : run->mode);
	args[4] = Int32GetDatum(run->priority);
	args[5] = Int32GetDatum(wave);
	args[6] = Int32GetDatum(unmet);
	args[7] = CStringGetTextDatum(run->kind);
	(void) statement_run(&insert, args, NULL);
	return result_int64(0, 1, 0);
}

static void
insert_dependency(int64 job_id, int64 needs, bool hard)
{
	static Statement insert = {
		"INSERT INTO sync_engine.job_dependency (job_id, needs, hard) VALUES ($1, $2, $3) "
		"ON CONFLICT (job_id, needs) DO NOTHING",
		3, {INT8OID, INT8OID, BOOLOID}
	};
	Datum		args[3] = {Int64GetDatum(job_id), Int64GetDatum(needs), BoolGetDatum(hard)};

	(void) statement_run(&insert, args, NULL);
}

/*
 * fail_run: a graph that cannot be ordered is the manifest's fault.
 */
static void
fail_run(const Run *run, List *names, const DepGraphResult *graph)
{
	static Statement update = {
		"UPDATE sync_engine.run SET status = 'failed', finished_at = clock_timestamp(), error = $2, "
		"  sqlstate = '55000' WHERE run_id = $1",
		2, {INT8OID, TEXTOID}
	};
	StringInfoData message;
	Datum		args[2];

	initStringInfo(&message);
	appendStringInfoString(&message, "hard dependencies form a cycle: ");
	for (int i = 0; i <= graph->cycle_len; i++)
		appendStringInfo(&message, "%s%s", i > 0 ? " -> " : "",
						 strVal(list_nth(names, graph->cycle[i % graph->cycle_len])));
	args[0] = Int64GetDatum(run->run_id);
	args[1] = CStringGetTextDatum(message.data);
	(void) statement_run(&update, args, NULL);
}

static void
plan_run(const Run *run, Datum entities)
{
	static Statement start_run = {
		"UPDATE sync_engine.run SET status = 'running', started_at = clock_timestamp() WHERE run_id = $1",
		1, {INT8OID}
	};
	Datum		args[1] = {Int64GetDatum(run->run_id)};
	List	   *names = with_parents(entities);
	int			n = list_length(names);
	const char **node_names = palloc(sizeof(char *) * Max(n, 1));
	int64	   *job_ids = palloc(sizeof(int64) * Max(n, 1));
	int			n_edges;
	Edge	   *edges = load_edges(names, &n_edges);
	DepEdge    *deps = palloc(sizeof(DepEdge) * Max(n_edges, 1));
	DepGraphResult *graph;
	bool		sequential = strcmp(run->execution, "sequential") == 0;

	record_activity(run->run_id, "load_manifest", psprintf("%d entities", n));
	for (int i = 0; i < n; i++)
		node_names[i] = strVal(list_nth(names, i));
	for (int i = 0; i < n_edges; i++)
		deps[i] = edges[i].dep;
	graph = depgraph_sort(n, node_names, n_edges, deps);
	if (!graph->ok)
	{
		fail_run(run, names, graph);
		return;
	}
	record_activity(run->run_id, "build_dependency_graph",
					psprintf("%d waves, %d soft edges dropped", graph->n_waves, graph->n_dropped));
	(void) statement_run(&start_run, args, NULL);
	if (n == 0)
		queue_close_run(run->run_id);

	/* in order, so that job ids order the claims: soft parents come first */
	for (int position = 0; position < n; position++)
	{
		int			node = graph->order[position];
		int			unmet = sequential && position > 0 ? 1 : 0;
		int64		previous = position > 0 ? job_ids[graph->order[position - 1]] : 0;

		for (int i = 0; i < n_edges; i++)
		{
			if (edges[i].dep.to == node && edges[i].dep.hard &&
				!(sequential && job_ids[edges[i].dep.from] == previous))
				unmet++;
		}
		job_ids[node] = insert_job(run, node_names[node], graph->wave[node], unmet);
		for (int i = 0; i < n_edges; i++)
		{
			if (edges[i].dep.to == node && edges[i].dep.hard)
				insert_dependency(job_ids[node], job_ids[edges[i].dep.from], edges[i].skips);
		}
		if (sequential && position > 0)
			insert_dependency(job_ids[node], previous, false);
	}
}

bool
planner_plan_next_run(void)
{
	static Statement next_run = {
		"SELECT run_id, kind, org, mode, execution, priority, entities FROM sync_engine.run "
		"WHERE status = 'queued' AND NOT cancel_requested "
		"ORDER BY priority DESC, run_id LIMIT 1 FOR UPDATE SKIP LOCKED",
		0, {0}
	};
	Run			run;
	Datum		entities;
	bool		isnull;

	if (statement_run(&next_run, NULL, NULL) == 0)
		return false;
	run.run_id = result_int64(0, 1, 0);
	run.kind = result_text(0, 2);
	run.org = result_text(0, 3);
	run.mode = result_text(0, 4);
	run.execution = result_text(0, 5);
	run.priority = (int) result_int64(0, 6, 0);
	entities = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 7, &isnull);
	plan_run(&run, PointerGetDatum(DatumGetArrayTypePCopy(entities)));
	return true;
}
