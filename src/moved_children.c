/*-------------------------------------------------------------------------
 *
 * moved_children.c
 *		Has the children of a person read again, because a merge moved some there.
 *
 * A child that moves gets no new updated_at, so no delta shows it.  One request for
 * the person brings all its children that the API can include; those that are walked
 * lose their places in the ledger, so that the next walk, full or delta, comes by.
 *
 * A lagging replica shows them where they were, and so do pages that are under way:
 * they are read when the merge is older than replica_lag.  What is asked for in
 * the meantime again is asked for once.
 *
 * IDENTIFICATION
 *		src/moved_children.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "guc.h"
#include "miscadmin.h"
#include "moved_children.h"
#include "nodes/value.h"
#include "queue.h"
#include "session.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* After all that people asked for. */
#define CHILDREN_PRIORITY	(-100)

/*
 * forget_walks: of the lists of these people, and of whoever they have been merged into.
 */
static void
forget_walks(Datum org, Datum people)
{
	static Statement delete = {
		"DELETE FROM sync_engine.walk_ledger l USING sync_engine.entity e WHERE l.org = $1 "
		"AND (l.product, l.entity) = (e.product, e.entity) AND (e.product, e.parent) = ('people', 'Person') "
		"AND l.parent_id IN (SELECT u.id FROM unnest($2) u(id) "
		"  UNION SELECT sync_engine.living_person($1, u.id) FROM unnest($2) u(id))",
		2, {TEXTOID, TEXTARRAYOID}
	};
	Datum		args[2] = {org, people};

	(void) statement_run(&delete, args, NULL);
}

/*
 * names_to_read: what is to be asked for, as names of jobs (String nodes).
 */
static List *
names_to_read(Datum org, Datum people, Datum times, TimestampTz due)
{
	/* the end of the trail has them; a read that began after a move has shown it */
	static Statement select_names = {
		"SELECT DISTINCT name FROM (SELECT 'people." CHILDREN_OF "' || sync_engine.living_person($1, u.id) AS name "
		"  FROM unnest($2, $3) AS u(id, at) WHERE EXISTS ("
		"    SELECT FROM sync_engine.include i JOIN sync_engine.sync_state s "
		"      ON (s.org, s.product, s.entity) = ($1, i.product, i.entity) "
		"    WHERE (i.product, i.parent) = ('people', 'Person') AND i.complete AND s.rows > 0 "
		"    AND coalesce(s.last_full_at < u.at + $4 * interval '1 s', true) "
		"    AND NOT EXISTS (SELECT FROM sync_engine.job j WHERE (j.org, j.product, j.entity) = (s.org, s.product, s.entity) "
		"      AND j.status = 'running' AND j.mode = 'full' AND j.started_at > u.at + $4 * interval '1 s'))) n "
		"WHERE name IS NOT NULL AND NOT EXISTS (SELECT FROM sync_engine.run r WHERE r.org = $1 "
		"  AND r.status = 'queued' AND r.kind = '" CHILDREN_KIND "' AND r.not_before >= $5 AND name = ANY (r.entities))",
		5, {TEXTOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, INT4OID, TIMESTAMPTZOID}
	};
	Datum		args[5] = {org, people, times, Int32GetDatum(guc_replica_lag), TimestampTzGetDatum(due)};
	uint64		n = statement_run(&select_names, args, NULL);
	List	   *names = NIL;

	for (uint64 i = 0; i < n; i++)
		names = lappend(names, makeString(result_text(i, 1)));
	return names;
}

void
moved_children_read_again(const char *org, List *moves)
{
	static Statement postpone = {
		"UPDATE sync_engine.run SET not_before = $2 WHERE run_id = $1",
		2, {INT8OID, TIMESTAMPTZOID}
	};
	RunRequest	request = {.kind = CHILDREN_KIND,.org = org,.mode = "full",.execution = "parallel",
	.priority = CHILDREN_PRIORITY,.role = GetUserId()};
	int			n = 0;
	Datum	   *people = palloc(sizeof(Datum) * list_length(moves));
	Datum	   *times = palloc(sizeof(Datum) * list_length(moves));
	TimestampTz due = DT_NOBEGIN;
	Datum		args[2];
	Datum		array;
	ListCell   *cell;

	foreach(cell, moves)
	{
		const MovedChildren *move = lfirst(cell);

		people[n] = CStringGetTextDatum(move->to);
		times[n++] = TimestampTzGetDatum(move->at);
		due = Max(due, TimestampTzPlusMilliseconds(move->at, guc_replica_lag * INT64CONST(1000)));
	}
	if (due <= GetCurrentTimestamp())
		due = DT_NOBEGIN;
	array = PointerGetDatum(construct_array(people, n, TEXTOID, -1, false, TYPALIGN_INT));
	forget_walks(CStringGetTextDatum(org), array);
	request.entities = names_to_read(CStringGetTextDatum(org), array,
									 PointerGetDatum(construct_array(times, n, TIMESTAMPTZOID, sizeof(TimestampTz),
																	 FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)), due);
	if (request.entities == NIL)
		return;
	args[0] = Int64GetDatum(queue_enqueue(&request));
	args[1] = TimestampTzGetDatum(due);
	(void) statement_run(&postpone, args, NULL);
}
