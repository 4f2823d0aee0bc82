-- sync_engine_lane: what a lane of sync_engine does, step by step, for its tests alone
\echo Use "CREATE EXTENSION sync_engine_lane" to load this file. \quit

-- Each function is what a lane does in one transaction, or first in it; jobs are
-- named by job(run, entity).  See lane.c.

CREATE PROCEDURE lane_begin(lane bigint) LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON PROCEDURE lane_begin(bigint) IS 'From now on this session is a lane of that number, that knows of nothing';

CREATE PROCEDURE lane_enqueue(org text, entities text[], mode text DEFAULT 'full', execution text DEFAULT 'hybrid',
	priority int DEFAULT 0) LANGUAGE c AS 'MODULE_PATHNAME';
COMMENT ON PROCEDURE lane_enqueue(text, text[], text, text, int) IS 'A run, as sync_start does, but no lane is called';

CREATE FUNCTION lane_plan() RETURNS boolean LANGUAGE c STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION lane_plan() IS 'Plans the next run; false if there is none';

CREATE FUNCTION lane_claim(lane bigint, places int, one_round boolean DEFAULT false) RETURNS SETOF text
LANGUAGE c STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION lane_claim(bigint, int, boolean) IS 'Claims jobs, in the order in which they begin';

CREATE FUNCTION lane_move(job bigint, epoch bigint, records bigint) RETURNS boolean
LANGUAGE c STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION lane_move(bigint, bigint, bigint) IS 'A page of so many new records; false if the lease is lost';

CREATE FUNCTION lane_end(job bigint, epoch bigint, status text) RETURNS boolean
LANGUAGE c STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION lane_end(bigint, bigint, text) IS 'The end of a job; false if the lease is lost';

CREATE FUNCTION lane_last_page(job bigint, epoch bigint, records bigint) RETURNS boolean
LANGUAGE c STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION lane_last_page(bigint, bigint, bigint) IS 'A page and the end of its job, in one; false if the lease is lost';

CREATE FUNCTION lane_give_back(job bigint, epoch bigint, milliseconds int) RETURNS boolean
LANGUAGE c STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION lane_give_back(bigint, bigint, int) IS 'A job waits for somebody''s lock; false if the lease is lost';

CREATE FUNCTION lane_to_pause(lane bigint) RETURNS SETOF text LANGUAGE c STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION lane_to_pause(bigint) IS 'The lane''s jobs that are to pause';

CREATE FUNCTION lane_pause(job bigint, epoch bigint) RETURNS void LANGUAGE c STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION lane_pause(bigint, bigint) IS 'A job of the lane pauses';

CREATE FUNCTION lane_cancel_waiting() RETURNS int LANGUAGE c STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION lane_cancel_waiting() IS 'Cancels what no lane holds of runs that are to be cancelled; how many such runs there are';

CREATE FUNCTION lane_pause_waiting() RETURNS boolean LANGUAGE c STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION lane_pause_waiting() IS 'Pauses what is to pause of what no lane holds; whether there was any';

CREATE FUNCTION lane_resume() RETURNS boolean LANGUAGE c STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION lane_resume() IS 'Lets go on what was paused and no longer is to be; whether there was any';

CREATE FUNCTION lane_recover(lane bigint) RETURNS int LANGUAGE c STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION lane_recover(bigint) IS 'Puts the jobs of lanes that are gone back into the queue; how many';

CREATE FUNCTION lane_free_stranded() RETURNS int LANGUAGE c STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION lane_free_stranded() IS 'Frees jobs that wait for something that has happened; how many';

-- A lane's turns are those of its process, that is of this library; so the trigger
-- that gives turns has to be its own, too.
UPDATE pg_catalog.pg_proc SET probin = 'MODULE_PATHNAME'
WHERE pronamespace = 'sync_engine'::regnamespace AND proname IN ('run_changed', 'job_changed', 'job_takes_turn');

CREATE FUNCTION job(run bigint, entity text) RETURNS bigint STABLE LANGUAGE sql
AS 'SELECT job_id FROM sync_engine.job j WHERE j.run_id = $1 AND j.entity = $2';

-- Runs and jobs, without ids and times.
CREATE VIEW runs AS
SELECT run_id AS run, status FROM sync_engine.run ORDER BY 1;

CREATE VIEW jobs AS
SELECT j.run_id AS run, r.status AS run_is, j.entity, j.mode, j.status, j.lane, j.epoch, j.fetched,
	concat_ws(', ',
		CASE WHEN j.unmet <> 0 THEN j.unmet || ' before it' END,
		(SELECT 'joined run ' || t.run_id || CASE WHEN t.entity <> j.entity THEN ' ' || t.entity ELSE '' END
		 FROM sync_engine.job t WHERE t.job_id = j.joined_job_id),
		(SELECT 'comes with ' || t.entity FROM sync_engine.job t WHERE t.job_id = j.folded_into),
		'parked: ' || j.parked,
		CASE WHEN j.not_before > '-infinity' THEN 'postponed' END,
		CASE WHEN j.suspect THEN 'suspect' END) AS notes
FROM sync_engine.job j JOIN sync_engine.run r USING (run_id) ORDER BY j.run_id, j.job_id;

CREATE PROCEDURE empty_queue() LANGUAGE plpgsql AS $$
BEGIN
	IF EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'sync_engine lane' AND datname = current_database()) THEN
		RAISE 'a real lane is at work in this database';
	END IF;
	TRUNCATE sync_engine.run, sync_engine.job, sync_engine.job_dependency, sync_engine.activity,
		sync_engine.cancel_request, sync_engine.pause, sync_engine.sync_state, sync_engine.org,
		sync_engine.credential RESTART IDENTITY;
	INSERT INTO sync_engine.manifest_entity (product, entity, strategy, order_keys, where_keys)
	SELECT 'people', e, 'keyset', '{updated_at}', '{updated_at}' FROM unnest('{App,Carrier,Grade}'::text[]) e
	ON CONFLICT DO NOTHING;
	-- counted just now, or a real lane would count them after a delta
	INSERT INTO sync_engine.sync_state (org, product, entity, watermark, last_full_at, counted_at)
	SELECT 'church', product, entity, now(), now(), now() FROM sync_engine.manifest_entity WHERE source = 'user';
END;
$$;
COMMENT ON PROCEDURE empty_queue() IS 'Begins anew: the next run is the first, and what it asks for can be read by deltas';

CREATE PROCEDURE plan_all() LANGUAGE plpgsql AS $$
BEGIN
	WHILE lane_plan() LOOP
	END LOOP;
END;
$$;
COMMENT ON PROCEDURE plan_all() IS 'Plans all runs';
