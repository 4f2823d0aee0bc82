-- Public views.  They show what the reader's own rights allow.

CREATE VIEW @extschema@.sync_orgs WITH (security_invoker = true) AS
SELECT o.org, o.base_url, o.status, o.pco_organization_id, o.options, o.connected_at, o.error, o.sqlstate, o.hint,
	EXISTS (SELECT 1 FROM sync_engine.pause p WHERE (p.org = o.org OR p.org IS NULL) AND p.entity IS NULL
		AND p.run_id IS NULL) AS paused
FROM sync_engine.org o;
COMMENT ON VIEW @extschema@.sync_orgs IS 'Organisations, and why one is stopped or stands still';

CREATE VIEW @extschema@.sync_jobs WITH (security_invoker = true) AS
SELECT j.run_id, j.job_id, j.org, j.product, j.entity, j.mode, j.status, j.strategy, j.wave,
	j.via,
	s.run_id AS joined_run_id, j.attempts, j.pages, j.expected,
	j.fetched, j.inserted, j.updated, j.unchanged, j.deleted, j.dead_lettered, j.requests,
	j.started_at, j.finished_at, j.finished_at - j.started_at AS duration,
	CASE WHEN j.not_before > now() THEN j.not_before END AS not_before, j.error, j.sqlstate, j.hint, j.note,
	j.seen, j.missing
FROM sync_engine.job j LEFT JOIN sync_engine.job s ON s.job_id = j.joined_job_id
WHERE j.strategy NOT IN ('probe', 'drift');
-- what sync_plan asks is in sync_runs, as a run of kind probe; what deltas are checked by, as drift
COMMENT ON VIEW @extschema@.sync_jobs IS 'Jobs: one entity within a run each';

CREATE VIEW @extschema@.sync_runs WITH (security_invoker = true) AS
SELECT r.run_id, r.kind, r.org, r.entities, r.mode, r.execution, r.priority, r.retry_of, r.status,
	r.requested_by, r.requested_at, r.started_at, r.finished_at,
	coalesce(c.jobs, 0) AS jobs, coalesce(c.fetched, 0) AS fetched, coalesce(c.inserted, 0) AS inserted,
	coalesce(c.updated, 0) AS updated, coalesce(c.unchanged, 0) AS unchanged, coalesce(c.deleted, 0) AS deleted,
	coalesce(c.dead_lettered, 0) AS dead_lettered, coalesce(c.requests, 0) AS requests,
	coalesce(r.error, c.error) AS error
FROM sync_engine.run r
LEFT JOIN LATERAL (
	SELECT count(*) AS jobs, sum(fetched)::bigint AS fetched, sum(inserted)::bigint AS inserted,
		sum(updated)::bigint AS updated, sum(unchanged)::bigint AS unchanged, sum(deleted)::bigint AS deleted,
		sum(dead_lettered)::bigint AS dead_lettered, sum(requests)::bigint AS requests,
		(array_agg(j.product || '.' || j.entity || ': ' || j.error ORDER BY j.job_id)
			FILTER (WHERE j.error IS NOT NULL AND j.status IN ('failed', 'partial', 'held')))[1] AS error
	FROM sync_engine.job j WHERE j.run_id = r.run_id) c ON true;
COMMENT ON VIEW @extschema@.sync_runs IS 'Runs: one request to sync an organisation each';

CREATE VIEW @extschema@.sync_activities WITH (security_invoker = true) AS
SELECT a.activity_id, a.run_id, a.job_id, r.org, j.product, j.entity, a.kind, a.status, a.attempts, a.detail,
	a.started_at, a.finished_at, a.next_attempt_at, a.error, a.sqlstate, a.hint
FROM sync_engine.activity a JOIN sync_engine.run r USING (run_id) LEFT JOIN sync_engine.job j ON j.job_id = a.job_id
UNION ALL
SELECT NULL, j.run_id, j.job_id, j.org, j.product, j.entity, 'sync_page',
	CASE WHEN j.status IN ('queued', 'paused') THEN 'running' WHEN j.status = 'partial' THEN 'succeeded'
		WHEN j.status = 'skipped' THEN 'cancelled' WHEN j.status = 'held' THEN 'failed' ELSE j.status END,
	j.attempts, j.pages || ' pages', j.started_at, j.finished_at, NULL, j.error, j.sqlstate, j.hint
FROM sync_engine.job j WHERE j.started_at IS NOT NULL;
COMMENT ON VIEW @extschema@.sync_activities IS 'Steps of runs and jobs: a job''s pages as one row, retries and failures as rows of their own';

-- records_per_second: of late, by the lane; an eta needs a total that the API told.
CREATE VIEW @extschema@.sync_progress WITH (security_invoker = true) AS
SELECT j.run_id, j.job_id, j.org, j.product, j.entity, j.mode, j.status, p.fetched, p.expected,
	round(100.0 * p.fetched / nullif(p.expected, 0), 1) AS percent, p.requests, p.in_flight, p.waiting_for,
	j.started_at, l.lane_pid, j.via, p.records_per_second,
	CASE WHEN p.records_per_second > 0 AND p.expected >= p.fetched
		THEN (p.expected - p.fetched) / p.records_per_second * interval '1 second' END AS eta
FROM sync_engine.live_jobs() l
JOIN sync_engine.job j ON j.job_id = l.job_id OR j.folded_into = l.job_id
-- what comes along has no requests; it is as far as its own row says
CROSS JOIN LATERAL (SELECT l.fetched, l.expected, l.requests, l.in_flight, l.waiting_for, l.records_per_second
		WHERE j.job_id = l.job_id
	UNION ALL SELECT j.fetched, NULL, 0, 0, NULL, NULL WHERE j.folded_into = l.job_id) p;
COMMENT ON VIEW @extschema@.sync_progress IS 'Jobs that are worked on now, as the lanes see them, and how long they will take';

CREATE VIEW sync_engine.waiting_job WITH (security_invoker = true) AS
SELECT j.run_id, j.job_id, j.org, j.product, j.entity, j.mode, j.status, j.priority, j.turn, r.requested_at,
	nullif(j.not_before, '-infinity') AS not_before,
	j.status = 'queued' AND j.unmet = 0 AND j.joined_job_id IS NULL AND j.folded_into IS NULL AND j.parked IS NULL
		AND j.not_before = '-infinity' AS ready,
	CASE WHEN j.status = 'paused' THEN (SELECT 'paused by ' || p.paused_by FROM sync_engine.pause p
			WHERE (p.org IS NULL OR p.org = j.org) AND (p.run_id IS NULL OR p.run_id = j.run_id)
			AND (p.entity IS NULL OR (p.product, p.entity) = (j.product, j.entity)) LIMIT 1)
		WHEN j.folded_into IS NOT NULL THEN (SELECT format('comes with the pages of %s, which is %s', c.entity, c.status)
			FROM sync_engine.job c WHERE c.job_id = j.folded_into)
		WHEN j.joined_job_id IS NOT NULL THEN (SELECT format('shares the result of run %s, which is %s', s.run_id, s.status)
			FROM sync_engine.job s WHERE s.job_id = j.joined_job_id)
		WHEN j.unmet > 0 THEN (SELECT 'waits for ' || string_agg(n.entity, ', ' ORDER BY n.job_id)
			FROM sync_engine.job_dependency d JOIN sync_engine.job n ON n.job_id = d.needs
			WHERE d.job_id = j.job_id AND n.status IN ('queued', 'running', 'paused'))
		WHEN j.not_before > '-infinity' THEN coalesce(j.error, 'waits for its time')
		WHEN j.parked = 'entity' THEN (SELECT format('run %s reads it in mode %s', o.run_id, o.mode) FROM sync_engine.job o
			WHERE o.status = 'running' AND (o.org, o.product, o.entity) = (j.org, j.product, j.entity))
		WHEN j.parked = 'org' THEN 'as many jobs of the organisation run as may at once'
		ELSE 'its turn comes when a lane has room' END AS reason
-- each part by its own index
FROM (SELECT * FROM sync_engine.job WHERE status = 'queued' UNION ALL SELECT * FROM sync_engine.job WHERE status = 'paused') j
JOIN sync_engine.run r USING (run_id)
UNION ALL
SELECT r.run_id, NULL, r.org, NULL, NULL, r.mode, r.status, r.priority, NULL, r.requested_at,
	nullif(r.not_before, '-infinity'), false, coalesce(r.error, 'is to be planned')
FROM sync_engine.run r WHERE r.status = 'queued';
COMMENT ON VIEW sync_engine.waiting_job IS 'Jobs that wait and runs that are not planned yet, with what they wait for; ready = only for their turn';

-- In the order in which lanes will claim them; what waits for something else
-- than its turn has no position.
CREATE VIEW @extschema@.sync_queue WITH (security_invoker = true) AS
SELECT CASE WHEN w.ready THEN row_number() OVER (PARTITION BY w.ready ORDER BY w.priority DESC, w.turn, w.job_id) END
		AS position,
	w.run_id, w.job_id, w.org, w.product, w.entity, w.mode, w.status, w.priority, w.requested_at, w.reason, w.not_before
FROM sync_engine.waiting_job w;
COMMENT ON VIEW @extschema@.sync_queue IS 'Jobs that wait, in the order of their claims, and what for; and runs that are not planned yet';

CREATE VIEW @extschema@.sync_dead_letters WITH (security_invoker = true) AS
SELECT id, org, product, entity, record_id, payload, reason, sqlstate, run_id, job_id, created_at, closed_at
FROM sync_engine.dead_letter;
COMMENT ON VIEW @extschema@.sync_dead_letters IS 'Records that could not be stored; closed_at is set once a later sync brought the record in';

CREATE VIEW @extschema@.sync_schema_changes WITH (security_invoker = true) AS
SELECT c.org, c.product, c.entity, c.attribute, c.json_type, c.first_seen_at, c.run_id,
	-- who deletes the row from the manifest has an unknown attribute again
	CASE WHEN EXISTS (SELECT FROM sync_engine.manifest_attribute m
		WHERE (m.product, m.entity, m.attribute) = (c.product, c.entity, c.attribute)) THEN c.promoted_at END AS promoted_at
FROM sync_engine.schema_change c;
COMMENT ON VIEW @extschema@.sync_schema_changes IS 'Attributes that the API sent and the manifest does not know; their values are in _extra until sync_promote makes columns of them';
