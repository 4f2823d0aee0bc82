-- Who may do what with the objects of the extension: nobody anything, but for
-- the owner, and pg_monitor to watch.
BEGIN;
SELECT plan(27);

-- Every object of the extension, with the words that error messages use.
CREATE TEMP TABLE member AS
SELECT classid, objid, type, identity
FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid,
	pg_identify_object(d.classid, d.objid, 0)
WHERE e.extname = 'sync_engine' AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e';

CREATE TEMP TABLE relation AS
SELECT c.oid, c.relname::text AS name, c.relkind, c.relnamespace, c.relacl, c.relowner, c.reloptions, m.identity
FROM member m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
WHERE c.relkind IN ('r', 'v', 'm');

CREATE TEMP TABLE sequence AS
SELECT c.oid, m.identity
FROM member m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
WHERE c.relkind = 'S';

CREATE TEMP TABLE function AS
SELECT p.*, m.identity
FROM member m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid;

CREATE ROLE nobody_special;

-- A test of nothing proves nothing.
SELECT cmp_ok((SELECT count(*) FROM function), '>', 8::bigint, 'there are functions to test');
SELECT cmp_ok((SELECT count(*) FROM relation), '>', 20::bigint, 'there are relations to test');
SELECT ok((SELECT bool_and(name IN (SELECT name FROM relation))
	FROM unnest(ARRAY['credential', 'org', 'run', 'job', 'dead_letter', 'sync_orgs', 'sync_jobs']) name),
	'among them those that matter');

-- Somebody without grants
SELECT is_empty(
	$$SELECT identity FROM function WHERE has_function_privilege('nobody_special', oid, 'EXECUTE')$$,
	'without grants, no function can be called');
SELECT is_empty(
	$$SELECT identity FROM relation WHERE
		has_table_privilege('nobody_special', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')$$,
	'without grants, no table and no view can be touched');
SELECT is_empty(
	$$SELECT identity FROM relation WHERE
		has_any_column_privilege('nobody_special', oid, 'SELECT, INSERT, UPDATE, REFERENCES')$$,
	'nor any column of one');
SELECT is_empty(
	$$SELECT identity FROM sequence WHERE
		has_sequence_privilege('nobody_special', oid, 'USAGE, SELECT, UPDATE')$$,
	'nor any sequence');
SELECT ok(NOT has_schema_privilege('nobody_special', 'sync_engine', 'USAGE, CREATE'),
	'nor the schema of the state');

-- The credentials
SELECT is_empty(
	$$SELECT a.grantee::regrole, a.privilege_type
		FROM relation r, aclexplode(coalesce(r.relacl, acldefault('r', r.relowner))) a
		WHERE r.name = 'credential' AND a.grantee <> r.relowner$$,
	'the credentials are the owner''s alone');
SELECT is_empty(
	$$SELECT extconfig::regclass[] FROM pg_extension
		WHERE extname = 'sync_engine' AND 'sync_engine.credential'::regclass = ANY (extconfig)$$,
	'and in no dump');

-- Watching
SELECT is_empty(
	$$SELECT identity FROM relation WHERE
		has_table_privilege('pg_monitor', oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')$$,
	'pg_monitor changes nothing');
SELECT set_eq(
	$$SELECT name FROM relation WHERE NOT has_table_privilege('pg_monitor', oid, 'SELECT')$$,
	ARRAY['credential', 'dead_letter', 'delete_candidate', 'sync_dead_letters'],
	'pg_monitor reads all but credentials and payloads');
SELECT set_eq(
	$$SELECT proname::text FROM function WHERE has_function_privilege('pg_monitor', oid, 'EXECUTE')$$,
	ARRAY['cron_problems', 'live_jobs', 'living_person', 'manifest_problems', 'obstacle', 'person_is_live', 'resolve_entity',
		'schedule_next', 'sync_dependency_graph', 'sync_entity_capabilities',
		'sync_entity_delta_fields', 'sync_entity_orderable_fields', 'sync_entity_relationships', 'sync_explain',
		'sync_living_id', 'sync_manifest_analysis'],
	'and calls only what the views call, and what explains the manifest');

INSERT INTO sync_engine.org (org, base_url) VALUES ('church', 'https://api.planningcenteronline.com');
CREATE ROLE watcher IN ROLE pg_monitor;
SET ROLE watcher;
SELECT lives_ok('SELECT * FROM ' || call, 'somebody who watches can ask ' || call)
FROM unnest(ARRAY['sync_engine.manifest_problems()', 'sync_engine.resolve_entity(''Person'')', 'sync_dependency_graph()',
	'sync_entity_capabilities(''Person'')', 'sync_entity_relationships(''Person'')', 'sync_entity_delta_fields(''Person'')',
	'sync_entity_orderable_fields(''Person'')', 'sync_manifest_analysis()', 'sync_explain(''church'')']) call;
SELECT throws_ok('INSERT INTO sync_engine.manifest_entity (product, entity) VALUES (''people'', ''Gadget'')', '42501', NULL,
	'but not change the manifest');
RESET ROLE;

-- Names cannot be made to mean something else, nor rights be borrowed
SELECT is_empty(
	$$SELECT identity FROM function
		WHERE prosecdef OR (prolang <> (SELECT oid FROM pg_language WHERE lanname = 'c') AND
			NOT coalesce(proconfig @> ARRAY['search_path=pg_catalog, pg_temp'], false))$$,
	'functions are in C, or have their search_path pinned; none is SECURITY DEFINER');
SELECT is_empty(
	$$SELECT identity FROM relation
		WHERE relkind = 'v' AND NOT coalesce(reloptions @> ARRAY['security_invoker=true'], false)$$,
	'views show what the reader''s own rights allow');

-- Documentation
SELECT is_empty(
	$$SELECT type, identity FROM member
		WHERE (type IN ('table', 'view', 'function', 'schema') OR identity = 'sync_engine.lane_number')
			AND obj_description(objid, classid::regclass::name) IS NULL$$,
	'every object that people meet has a comment');
SELECT is_empty(
	$$SELECT identity FROM function WHERE pronamespace <> 'sync_engine'::regnamespace AND proname !~ '^sync_'
		UNION ALL
		SELECT identity FROM relation WHERE relnamespace <> 'sync_engine'::regnamespace AND name !~ '^sync_'$$,
	'what is in the user''s schema begins with sync_');

SELECT * FROM finish();
ROLLBACK;
