-- Why an organisation is not syncing, and when it will.

CREATE FUNCTION sync_engine.obstacle(org text, OUT reason text, OUT hint text)
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'sync_engine_obstacle';
COMMENT ON FUNCTION sync_engine.obstacle(text) IS 'What keeps lanes from working on an organisation at all; NULL if nothing does';

-- until: when it goes on, or will have ended, as far as anybody knows.
CREATE FUNCTION @extschema@.sync_explain(org text)
RETURNS TABLE (product text, entity text, status text, reason text, until timestamptz, hint text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF org IS NULL THEN
		RAISE EXCEPTION 'org must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	PERFORM 1 FROM sync_engine.org o WHERE o.org = sync_explain.org;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'org "%" does not exist', org
			USING ERRCODE = 'undefined_object', HINT = 'sync_orgs shows the orgs there are.';
	END IF;

	RETURN QUERY SELECT NULL::text, NULL::text, 'blocked', o.reason, NULL::timestamptz, o.hint
		FROM sync_engine.obstacle(sync_explain.org) o WHERE o.reason IS NOT NULL;
	RETURN QUERY SELECT p.product, p.entity, 'paused',
			format('%spaused by %s at %s', CASE WHEN p.org IS NULL THEN 'everything is ' WHEN p.run_id IS NOT NULL
				THEN format('run %s is ', p.run_id) END, p.paused_by, to_char(p.paused_at, 'YYYY-MM-DD HH24:MI:SS')),
			NULL::timestamptz, format('Call sync_resume(%s).', CASE WHEN p.run_id IS NOT NULL
				THEN format('run_id => %s', p.run_id) WHEN p.org IS NULL THEN '' WHEN p.entity IS NULL
				THEN quote_literal(p.org) ELSE format('%L, ARRAY[%L]', p.org, p.product || '.' || p.entity) END)
		FROM sync_engine.pause p WHERE p.org = sync_explain.org OR (p.org IS NULL AND (p.run_id IS NULL
			OR EXISTS (SELECT 1 FROM sync_engine.run r WHERE r.run_id = p.run_id AND r.org = sync_explain.org)));
	RETURN QUERY SELECT p.product, p.entity, p.status,
			coalesce('waits: ' || p.waiting_for, 'is being read'), now() + p.eta, NULL::text
		FROM @extschema@.sync_progress p WHERE p.org = sync_explain.org ORDER BY p.job_id;
	RETURN QUERY SELECT w.product, w.entity, w.status,
			CASE WHEN w.ready THEN format('%s (%s are before it)', w.reason, (SELECT count(*) FROM sync_engine.job j
				WHERE j.status = 'queued' AND j.unmet = 0 AND j.joined_job_id IS NULL AND j.folded_into IS NULL
				AND j.parked IS NULL AND j.not_before = '-infinity'
				AND (j.priority > w.priority OR (j.priority = w.priority AND (j.turn, j.job_id) < (w.turn, w.job_id)))))
			ELSE w.reason END, w.not_before, NULL::text
		FROM sync_engine.waiting_job w WHERE w.org = sync_explain.org ORDER BY w.job_id;
	RETURN QUERY SELECT s.product, s.entity, s.status, s.error, s.last_finished_at,
			format('Call sync_retry(%s, %L).', s.last_run_id, s.product || '.' || s.entity)
		FROM sync_engine.sync_state s WHERE s.org = sync_explain.org AND s.status IN ('failed', 'held')
		AND NOT EXISTS (SELECT 1 FROM sync_engine.job j WHERE (j.org, j.product, j.entity) = (s.org, s.product, s.entity)
			AND j.status IN ('queued', 'running', 'paused'))
		ORDER BY s.product, s.entity;
	RETURN QUERY SELECT NULL::text, NULL::text, 'scheduled', format('schedule %s: %s', s.id, s.problem), s.next_at, NULL::text
		FROM @extschema@.sync_schedules s WHERE s.org = sync_explain.org AND s.problem IS NOT NULL ORDER BY s.id;
	PERFORM 1 FROM sync_engine.run r WHERE r.org = sync_explain.org AND r.status IN ('queued', 'running', 'paused');
	IF NOT FOUND THEN
		RETURN QUERY SELECT NULL::text, NULL::text, 'idle',
				'nothing is asked for' || coalesce(format(' until schedule %s is due', s.id), ''), s.next_at,
				format('Call sync_start(%L).', sync_explain.org)
			FROM (VALUES (1)) v LEFT JOIN LATERAL (SELECT n.id, n.next_at FROM @extschema@.sync_schedules n
				WHERE n.org = sync_explain.org AND n.next_at IS NOT NULL ORDER BY n.next_at LIMIT 1) s ON true;
	END IF;
END $$;
COMMENT ON FUNCTION @extschema@.sync_explain(text)
	IS 'Why an organisation is not being synced, or what it waits for, and when it goes on; a row per obstacle and entity';
