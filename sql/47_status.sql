-- How fresh each entity is, and what comes next: by then schedules are there.

CREATE VIEW @extschema@.sync_status WITH (security_invoker = true) AS
SELECT coalesce(s.org, j.org) AS org, coalesce(s.product, j.product) AS product, coalesce(s.entity, j.entity) AS entity,
	coalesce(j.status, s.status) AS status, s.last_success_at, now() - s.last_success_at AS lag, coalesce(s.rows, 0) AS rows,
	CASE WHEN o.status <> 'active' THEN o.status || coalesce(': ' || o.error, '')
		WHEN j.status = 'running' THEN 'running since ' || to_char(j.started_at, 'YYYY-MM-DD HH24:MI:SS')
		WHEN j.status = 'paused' OR EXISTS (SELECT 1 FROM sync_engine.pause p WHERE p.run_id IS NULL
			AND (p.org IS NULL OR p.org = s.org) AND (p.entity IS NULL OR (p.product, p.entity) = (s.product, s.entity)))
			THEN 'paused until sync_resume'
		WHEN j.status = 'queued' THEN 'queued' || coalesce(': ' || j.error, '')
		ELSE coalesce(n.next, 'on request') END AS next,
	s.strategy_note, s.error, s.watermark, s.last_full_at, s.last_reconcile_at
FROM sync_engine.sync_state s
FULL JOIN (SELECT DISTINCT ON (org, product, entity) org, product, entity, status, started_at, error
	FROM sync_engine.job WHERE status IN ('queued', 'running', 'paused') AND strategy NOT IN ('check', 'probe', 'drift', 'refresh', 'record', 'children', 'approve')
	ORDER BY org, product, entity, status = 'running' DESC, job_id) j
	ON (j.org, j.product, j.entity) = (s.org, s.product, s.entity)
LEFT JOIN sync_engine.org o ON o.org = coalesce(s.org, j.org)
-- an organisation's next schedule, whichever entities it names
LEFT JOIN (SELECT DISTINCT ON (c.org) c.org, format('%s at %s', c.mode, to_char(d.due AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"')) AS next
	FROM sync_engine.schedule c, LATERAL (SELECT sync_engine.schedule_next(c.cron, c.org, now(), c.skip) AS due) d
	WHERE d.due IS NOT NULL ORDER BY c.org, d.due) n ON n.org = coalesce(s.org, j.org);
COMMENT ON VIEW @extschema@.sync_status IS 'Per organisation and entity: how fresh the copy is, and what comes next';
