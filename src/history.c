/*-------------------------------------------------------------------------
 *
 * history.c
 *		How long ended runs are remembered.
 *
 * IDENTIFICATION
 *		src/history.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "guc.h"
#include "history.h"
#include "session.h"

/*
 * Forgotten in one step, some hundred a minute: more than come in for long.  A run
 * over everything has 250 jobs, so that takes a third of a second at the most.
 */
#define RUNS_AT_ONCE	20

/* Whoever waited for a run looks at it afterwards, so it stays a while. */
#define LEAST_MINUTES	60

void
history_trim(void)
{
	static Statement forget = {
		"DELETE FROM sync_engine.run WHERE run_id IN (SELECT run_id FROM sync_engine.run "
		"  WHERE finished_at < now() - $1 * interval '1 min' ORDER BY finished_at LIMIT $2 "
		"  FOR UPDATE SKIP LOCKED)",
		2, {INT4OID, INT4OID}
	};
	Datum		args[2] = {Int32GetDatum(Max(guc_retention, LEAST_MINUTES)), Int32GetDatum(RUNS_AT_ONCE)};
	static Statement forget_images = {
		"UPDATE sync_engine.delete_candidate SET image = NULL WHERE (batch, record_id) IN ("
		"  SELECT batch, record_id FROM sync_engine.delete_candidate WHERE image IS NOT NULL "
		"  AND changed_at < now() - $1 * interval '1 min' ORDER BY changed_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
		2, {INT4OID, INT4OID}
	};
	const bool	durable = false;

	if (guc_retention < 0 || !session_begin("forgetting old runs"))
		return;
	(void) statement_run(&forget, args, NULL);
	args[0] = Int32GetDatum(guc_retention);
	(void) statement_run(&forget_images, args, NULL);
	session_commit(durable);
}
