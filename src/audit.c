/*-------------------------------------------------------------------------
 *
 * audit.c
 *		What deltas cannot see: when everything is read again.
 *
 * The API does not stamp every change, and tells of no delete.  An audit is a
 * full read at the lowest priority, with a share of the budget; the hash makes
 * of it what has changed.  Each entity has its cadence (audit_every in the
 * manifest).  In between the API is asked now and then how many records a
 * list has, one request a list: if we have another number, the audit comes early,
 * or a reconcile if we have too many.
 *
 * IDENTIFICATION
 *		src/audit.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "audit.h"
#include "catalog/pg_type.h"
#include "session.h"
#include "shmem.h"
#include "utils/builtins.h"

/* Behind everything that somebody asked for. */
#define AUDIT_PRIORITY		"-100"

/* A list that deltas read is counted so often. */
#define COUNT_EVERY			"6 hours"

/* Numbers that do not agree after an audit either do not start one all the time. */
#define AUDIT_EARLY			"1 day"

/* Of one org there is one such run at a time. */
#define NONE_WAITS(kind) \
	"NOT EXISTS (SELECT 1 FROM sync_engine.run w WHERE w.org = r.org AND w.kind = '" kind "' " \
	"  AND w.status IN ('queued', 'running', 'paused'))"

void
audit_follow(Datum run_ids)
{
	static Statement count_lists = {
		"INSERT INTO sync_engine.run (kind, org, entities, mode, execution, priority, requested_by) "
		"SELECT 'drift', r.org, array_agg(DISTINCT j.product || '.total of ' || j.entity), 'full', 'parallel', "
		AUDIT_PRIORITY ", current_user "
		"FROM sync_engine.run r JOIN sync_engine.job j USING (run_id) "
		"JOIN sync_engine.entity e USING (product, entity) "
		"JOIN sync_engine.sync_state s ON (s.org, s.product, s.entity) = (j.org, j.product, j.entity) "
		"WHERE r.run_id = ANY ($1) AND r.kind = 'sync' AND r.finished_at IS NOT NULL AND j.mode = 'delta' "
		"AND j.status = 'succeeded' AND e.parent IS NULL "
		"AND (s.counted_at IS NULL OR s.counted_at < now() - interval '" COUNT_EVERY "') AND " NONE_WAITS("drift")
		" GROUP BY r.org",
		1, {INT8ARRAYOID}
	};
	static Statement start_audits = {
		"INSERT INTO sync_engine.run (kind, org, entities, mode, execution, priority, requested_by) "
		"SELECT 'audit', r.org, array_agg(DISTINCT j.product || '.' || j.entity), 'full', 'parallel', "
		AUDIT_PRIORITY ", current_user "
		"FROM sync_engine.run r JOIN sync_engine.job j USING (run_id) "
		"JOIN sync_engine.entity e USING (product, entity) "
		"JOIN sync_engine.sync_state s ON (s.org, s.product, s.entity) = (j.org, j.product, j.entity) "
		"WHERE r.run_id = ANY ($1) AND r.kind = 'sync' AND r.finished_at IS NOT NULL AND j.mode = 'delta' "
		"AND s.last_full_at < now() - e.audit_every AND " NONE_WAITS("audit")
		" GROUP BY r.org",
		1, {INT8ARRAYOID}
	};

	if (statement_run(&count_lists, &run_ids, NULL) + statement_run(&start_audits, &run_ids, NULL) > 0)
		shmem_wake_at_commit();
}

void
audit_compare(const char *org, const char *product, const char *entity, int64 total)
{
	/* what could not be stored is accounted for */
	static Statement start_audit = {
		"INSERT INTO sync_engine.run (kind, org, entities, mode, execution, priority, requested_by) "
		"SELECT 'audit', r.org, ARRAY[r.product || '.' || r.entity], r.mode, 'parallel', " AUDIT_PRIORITY ", current_user "
		"FROM (SELECT s.*, CASE WHEN s.rows > $4 THEN 'reconcile' ELSE 'full' END AS mode "
		"  FROM sync_engine.sync_state s WHERE (s.org, s.product, s.entity) = ($1, $2, $3)) r "
		"WHERE (r.rows > $4 OR r.rows + (SELECT count(*) FROM sync_engine.dead_letter d WHERE d.closed_at IS NULL "
		"    AND (d.org, d.product, d.entity) = ($1, $2, $3)) < $4) "
		"AND coalesce(CASE r.mode WHEN 'full' THEN r.last_full_at ELSE r.last_reconcile_at END, '-infinity') "
		"  < now() - interval '" AUDIT_EARLY "' AND " NONE_WAITS("audit"),
		4, {TEXTOID, TEXTOID, TEXTOID, INT8OID}
	};
	Datum		args[4] = {CStringGetTextDatum(org), CStringGetTextDatum(product), CStringGetTextDatum(entity),
	Int64GetDatum(total)};

	if (statement_run(&start_audit, args, NULL) == 0)
		return;
	ereport(LOG,
			(errmsg("sync_engine: %s of org \"%s\" has drifted: the API counts " INT64_FORMAT " records",
					entity, org, total)));
	shmem_wake_at_commit();
}
