-- What sync_record refuses, each time with a message that says what to do.  Nothing
-- here ever reaches a server.
\set SHOW_CONTEXT never
CREATE EXTENSION sync_engine;
SELECT sync_connect('church', 'id', 'secret', base_url => 'http://127.0.0.1:1');

-- the organisation
SELECT sync_record(NULL, 'Person', '1');
\echo :SQLSTATE
SELECT sync_record('chruch', 'Person', '1');
\echo :SQLSTATE

-- the entity
SELECT sync_record('church', NULL, '1');
\echo :SQLSTATE
SELECT sync_record('church', '', '1');
\echo :SQLSTATE
SELECT sync_record('church', 'Persom', '1');
\echo :SQLSTATE
SELECT sync_record('church', '*', '1');
\echo :SQLSTATE
SELECT sync_record('church', 'EventTime', '1');
\echo :SQLSTATE
SELECT sync_record('church', 'HouseholdMembership', '1');
\echo :SQLSTATE
SELECT min(product || '.' || entity) AS unready FROM sync_engine.entity WHERE NOT ready
\gset
SELECT sync_record('church', :'unready', '1');
\echo :SQLSTATE

-- the id
SELECT sync_record('church', 'Person', NULL);
\echo :SQLSTATE
SELECT sync_record('church', 'Person', '');
\echo :SQLSTATE
SELECT sync_record('church', 'Person', '..');
\echo :SQLSTATE
SELECT sync_record('church', 'Person', repeat('1', 256));
\echo :SQLSTATE

-- what only this transaction can see, no lane can work on
BEGIN;
SELECT sync_connect('new', 'id', 'secret', base_url => 'http://127.0.0.1:1');
SELECT sync_record('new', 'Person', '1');
\echo :SQLSTATE
ROLLBACK;

-- none of these left a run behind
SELECT count(*) FROM sync_runs;

-- who was never merged is still the same
SELECT sync_living_id('church', '1'), sync_living_id(NULL, '1'), sync_living_id('church', NULL);
SELECT * FROM sync_merged_people;
DROP EXTENSION sync_engine;
