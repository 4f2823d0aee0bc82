-- Schedules.  Arguments and errors: docs/reference.md.

CREATE FUNCTION @extschema@.sync_schedule(org text, mode text, cron text, entities text[] DEFAULT NULL, priority int DEFAULT 0)
RETURNS bigint LANGUAGE c AS 'MODULE_PATHNAME', 'sync_schedule';
COMMENT ON FUNCTION @extschema@.sync_schedule(text, text, text, text[], int)
	IS 'Syncs an organisation whenever a cron text (in UTC) is due, by pg_cron; the schedule''s id, the same if there is one like it';

CREATE FUNCTION @extschema@.sync_schedule_defaults(org text)
RETURNS SETOF bigint LANGUAGE c AS 'MODULE_PATHNAME', 'sync_schedule_defaults';
COMMENT ON FUNCTION @extschema@.sync_schedule_defaults(text)
	IS 'An hourly delta, a reconcile every night and a full sync every day, by the organisation''s clock; again, it puts them right';

CREATE FUNCTION @extschema@.sync_unschedule(id bigint)
RETURNS boolean LANGUAGE c AS 'MODULE_PATHNAME', 'sync_unschedule';
COMMENT ON FUNCTION @extschema@.sync_unschedule(bigint)
	IS 'Ends a schedule; whether there was one. Runs that it has started go on';

CREATE FUNCTION sync_engine.schedule_tick(cron text)
RETURNS bigint LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'sync_engine_schedule_tick';
COMMENT ON FUNCTION sync_engine.schedule_tick(text)
	IS 'What a job of pg_cron calls: asks for the runs of all schedules with that cron text; how many it asked for';

CREATE FUNCTION sync_engine.schedule_next(cron text, org text, after timestamptz, skip int)
RETURNS timestamptz LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'sync_engine_schedule_next';
COMMENT ON FUNCTION sync_engine.schedule_next(text, text, timestamptz, int)
	IS 'When a cron text is due after a time, so many ticks left out, and an organisation''s run may start; for '''', when pg_cron calls; NULL if nobody knows';

CREATE FUNCTION sync_engine.cron_renew()
RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'sync_engine_cron_renew';
COMMENT ON FUNCTION sync_engine.cron_renew()
	IS 'Makes the jobs of pg_cron again that the schedules need, and takes others of this database away: after a restore, or when pg_cron is new';

CREATE FUNCTION sync_engine.cron_problems()
RETURNS TABLE (cron text, problem text) LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'sync_engine_cron_problems';
COMMENT ON FUNCTION sync_engine.cron_problems()
	IS 'Cron texts of schedules whose job of pg_cron is missing or fails, and why';

-- A tick that did not come is overdue when pg_cron has had five minutes for it.
CREATE VIEW @extschema@.sync_schedules WITH (security_invoker = true) AS
SELECT s.id, s.org, s.mode, s.entities, s.cron, s.priority,
	CASE WHEN o.status = 'active' THEN sync_engine.schedule_next(s.cron, s.org, now(), s.skip) END AS next_at,
	s.last_at, s.last_run_id, coalesce(s.last_status, r.status) AS last_status,
	coalesce(s.last_error, r.error, j.error) AS last_error,
	nullif(concat_ws('; ',
		CASE WHEN o.org IS NULL THEN 'the organisation does not exist'
			WHEN o.status <> 'active' THEN 'the organisation is ' || o.status || coalesce(': ' || o.error, '') END,
		c.problem,
		CASE WHEN d.due < now() - interval '5 minutes' THEN format('pg_cron has not called, though that was due at %s: '
			'see its log and cron.job_run_details', to_char(d.due AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"')) END,
		'the last tick could not start a run: ' || s.error,
		CASE WHEN s.coalesced > 0 AND r.status IN ('queued', 'running', 'paused') THEN format('run %s has not ended, so %s %s after it started none', s.last_run_id,
			s.coalesced, CASE WHEN s.coalesced = 1 THEN 'tick' ELSE 'ticks' END) END,
		CASE WHEN s.skip > 0 THEN format('%s runs in a row have failed, so the next %s left out', s.failures,
			CASE WHEN s.skip = 1 THEN 'tick is' ELSE s.skip || ' ticks are' END) END), '') AS problem
FROM sync_engine.schedule s
LEFT JOIN sync_engine.org o ON o.org = s.org
LEFT JOIN sync_engine.run r ON r.run_id = s.last_run_id AND r.requested_at = s.last_at
LEFT JOIN LATERAL (SELECT j.product || '.' || j.entity || ': ' || j.error AS error FROM sync_engine.job j
	WHERE j.run_id = r.run_id AND j.error IS NOT NULL AND j.status IN ('failed', 'partial', 'held')
	ORDER BY j.job_id LIMIT 1) j ON true
LEFT JOIN sync_engine.cron_problems() c ON c.cron = s.cron
CROSS JOIN LATERAL (SELECT sync_engine.schedule_next(s.cron, '', coalesce(s.ticked_at, s.created_at), 0) AS due) d;
COMMENT ON VIEW @extschema@.sync_schedules IS 'Schedules: when each is due next, what became of the last run, and what is in its way';
