-- Public functions.  Arguments, units and errors: docs/reference.md.

CREATE FUNCTION @extschema@.sync_connect(org text, client_id text, secret text, refresh_token text DEFAULT NULL,
	base_url text DEFAULT 'https://api.planningcenteronline.com', options jsonb DEFAULT NULL)
RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'sync_connect';
COMMENT ON FUNCTION @extschema@.sync_connect(text, text, text, text, text, jsonb)
	IS 'Stores an organisation with its credential; again replaces the credential. Options given replace all, NULL keeps them';

CREATE FUNCTION @extschema@.sync_disconnect(org text)
RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'sync_disconnect';
COMMENT ON FUNCTION @extschema@.sync_disconnect(text)
	IS 'Forgets an organisation''s credential and stops its work; data and state stay';

CREATE FUNCTION @extschema@.sync_check(org text)
RETURNS TABLE (product text, accessible boolean, detail text) LANGUAGE c AS 'MODULE_PATHNAME', 'sync_check';
COMMENT ON FUNCTION @extschema@.sync_check(text)
	IS 'Asks every product whether the organisation''s token may read it; one request each';

CREATE FUNCTION @extschema@.sync_adopt()
RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'sync_adopt';
COMMENT ON FUNCTION @extschema@.sync_adopt()
	IS 'Lets this copy of the cluster or database use the credentials it carries';

CREATE FUNCTION @extschema@.sync_run(org text, entities text[] DEFAULT NULL, mode text DEFAULT 'auto',
	execution text DEFAULT 'hybrid', priority int DEFAULT 0)
RETURNS TABLE (run_id bigint, product text, entity text, mode text, status text,
	fetched bigint, inserted bigint, updated bigint, unchanged bigint, deleted bigint, dead_lettered bigint,
	requests bigint, duration interval, error text)
LANGUAGE c AS 'MODULE_PATHNAME', 'sync_run';
COMMENT ON FUNCTION @extschema@.sync_run(text, text[], text, text, int)
	IS 'Syncs entities of an organisation and waits; one row per entity. It commits independently of the caller';

CREATE FUNCTION @extschema@.sync_start(org text, entities text[] DEFAULT NULL, mode text DEFAULT 'auto',
	execution text DEFAULT 'hybrid', priority int DEFAULT 0)
RETURNS bigint LANGUAGE c AS 'MODULE_PATHNAME', 'sync_start';
COMMENT ON FUNCTION @extschema@.sync_start(text, text[], text, text, int)
	IS 'Enqueues a sync in the caller''s transaction; returns the run id';

CREATE FUNCTION @extschema@.sync_wait(run_id bigint, timeout interval DEFAULT NULL)
RETURNS text LANGUAGE c AS 'MODULE_PATHNAME', 'sync_wait';
COMMENT ON FUNCTION @extschema@.sync_wait(bigint, interval)
	IS 'Waits for the end of a run, or for so long; returns its status then';

CREATE FUNCTION @extschema@.sync_cancel(run_id bigint)
RETURNS boolean LANGUAGE c AS 'MODULE_PATHNAME', 'sync_cancel';
COMMENT ON FUNCTION @extschema@.sync_cancel(bigint)
	IS 'Cancels a run that has not ended; whether there was something to cancel';

CREATE FUNCTION @extschema@.sync_pause(org text DEFAULT NULL, entities text[] DEFAULT NULL, run_id bigint DEFAULT NULL)
RETURNS boolean LANGUAGE c AS 'MODULE_PATHNAME', 'sync_pause';
COMMENT ON FUNCTION @extschema@.sync_pause(text, text[], bigint)
	IS 'Lets an organisation, entities of it, a run, or everything stand still until sync_resume; whether it did not before';

CREATE FUNCTION @extschema@.sync_resume(org text DEFAULT NULL, entities text[] DEFAULT NULL, run_id bigint DEFAULT NULL)
RETURNS boolean LANGUAGE c AS 'MODULE_PATHNAME', 'sync_resume';
COMMENT ON FUNCTION @extschema@.sync_resume(text, text[], bigint)
	IS 'Lets what sync_pause stopped go on from where it stood; whether it was paused';

CREATE FUNCTION @extschema@.sync_retry(run_id bigint, entity text DEFAULT NULL, activity bigint DEFAULT NULL)
RETURNS bigint LANGUAGE c AS 'MODULE_PATHNAME', 'sync_retry';
COMMENT ON FUNCTION @extschema@.sync_retry(bigint, text, bigint)
	IS 'Does again what did not succeed in an ended run, from where it stopped: all of it, one entity, or one activity; the id of a new run';

CREATE FUNCTION @extschema@.sync_record(org text, entity text, id text)
RETURNS text LANGUAGE c AS 'MODULE_PATHNAME', 'sync_record';
COMMENT ON FUNCTION @extschema@.sync_record(text, text, text)
	IS 'Fetches one record now and waits: inserted, updated or unchanged; candidate if the API does not have it, so that it may have to be deleted';

CREATE FUNCTION @extschema@.sync_plan(org text, entities text[] DEFAULT NULL, mode text DEFAULT 'auto')
RETURNS TABLE (wave int, product text, entity text, mode text, strategy text, via text, hard text[], soft text[],
	records bigint, requests bigint, duration interval, reason text)
LANGUAGE c AS 'MODULE_PATHNAME', 'sync_plan';
COMMENT ON FUNCTION @extschema@.sync_plan(text, text[], text)
	IS 'What a run would do: order, way and cost of each entity; lets the API count the lists, one request each';

CREATE FUNCTION @extschema@.sync_create_tables(entities text[])
RETURNS SETOF regclass LANGUAGE c AS 'MODULE_PATHNAME', 'sync_create_tables';
COMMENT ON FUNCTION @extschema@.sync_create_tables(text[])
	IS 'Makes the data tables and views of entities now, so that they can be partitioned or granted before the first sync';

CREATE FUNCTION @extschema@.sync_promote(entity text, attribute text, type text DEFAULT NULL)
RETURNS bigint LANGUAGE c AS 'MODULE_PATHNAME', 'sync_promote';
COMMENT ON FUNCTION @extschema@.sync_promote(text, text, text)
	IS 'Makes a column of an attribute that the manifest does not know, and fills it from _extra; returns how many rows have a value in it';

CREATE FUNCTION @extschema@.sync_dependency_graph(entities text[] DEFAULT NULL, format text DEFAULT 'text')
RETURNS text LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'sync_dependency_graph';
COMMENT ON FUNCTION @extschema@.sync_dependency_graph(text[], text)
	IS 'The order in which entities are synced, as text, mermaid or dot; NULL = all that can be';

CREATE FUNCTION @extschema@.sync_manifest_refresh(org text, product text DEFAULT NULL, apply boolean DEFAULT false)
RETURNS TABLE (product text, entity text, change text, name text, documented text, manifest text)
LANGUAGE c AS 'MODULE_PATHNAME', 'sync_manifest_refresh';
COMMENT ON FUNCTION @extschema@.sync_manifest_refresh(text, text, boolean)
	IS 'Reads the API''s documentation, one request a vertex: how it differs from the manifest; applied on request';

CREATE FUNCTION sync_engine.live_jobs(OUT job_id bigint, OUT lane_pid int, OUT fetched bigint, OUT expected bigint,
	OUT requests bigint, OUT in_flight int, OUT waiting_for text, OUT records_per_second float8)
RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'sync_engine_live_jobs';
COMMENT ON FUNCTION sync_engine.live_jobs() IS 'Jobs that the lanes of this database work on, as they are now';
