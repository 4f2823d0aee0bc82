-- What sync_run, sync_start, sync_wait and sync_cancel refuse, each time with
-- a message that says what to do.  Nothing here ever reaches a server.
\set SHOW_CONTEXT never
CREATE EXTENSION sync_engine;
SELECT sync_connect('church', 'id', 'secret', base_url => 'http://127.0.0.1:1');

-- the organisation
SELECT * FROM sync_run(NULL);
\echo :SQLSTATE
SELECT * FROM sync_run('');
\echo :SQLSTATE
SELECT * FROM sync_run('chruch');
\echo :SQLSTATE
SELECT * FROM sync_run('it''s');
\echo :SQLSTATE
SELECT sync_start('chruch');
\echo :SQLSTATE

-- entities
SELECT sync_start('church', ARRAY[]::text[]);
\echo :SQLSTATE
SELECT sync_start('church', ARRAY[['Person'], ['Email']]);
\echo :SQLSTATE
SELECT sync_start('church', ARRAY['Person', NULL]);
\echo :SQLSTATE
SELECT sync_start('church', ARRAY['']);
\echo :SQLSTATE
SELECT sync_start('church', ARRAY['Persom']);
\echo :SQLSTATE
SELECT sync_start('church', ARRAY['person']);
\echo :SQLSTATE
SELECT sync_start('church', ARRAY['Xyzzy']);
\echo :SQLSTATE
SELECT sync_start('church', ARRAY['EventTime']);
\echo :SQLSTATE
SELECT sync_start('church', ARRAY['giving.Persn']);
\echo :SQLSTATE
SELECT sync_start('church', ARRAY['nowhere.Person']);
\echo :SQLSTATE
SELECT sync_start('church', ARRAY['giving.Donatoin']);
\echo :SQLSTATE
SELECT sync_start('church', ARRAY['people.']);
\echo :SQLSTATE
SELECT * FROM sync_run('church', ARRAY['Persom']);
\echo :SQLSTATE

-- what the engine cannot read yet
SELECT min(product || '.' || entity) AS unready FROM sync_engine.entity WHERE NOT ready
\gset
SELECT sync_start('church', ARRAY[:'unready']);
\echo :SQLSTATE

-- modes and executions
SELECT sync_start('church', ARRAY['Person'], 'fast');
\echo :SQLSTATE
SELECT sync_start('church', ARRAY['Person'], NULL);
\echo :SQLSTATE
SELECT sync_start('church', ARRAY['Person'], '');
\echo :SQLSTATE
SELECT sync_start('church', ARRAY['Person'], 'full', 'serial');
\echo :SQLSTATE
SELECT sync_start('church', ARRAY['Person'], 'full', NULL);
\echo :SQLSTATE
SELECT sync_start('church', ARRAY['Person'], 'full', 'hybrid', NULL);
\echo :SQLSTATE

-- runs that are not there
SELECT sync_wait(NULL);
\echo :SQLSTATE
SELECT sync_wait(0);
\echo :SQLSTATE
SELECT sync_wait(1, '-1 s');
\echo :SQLSTATE
SELECT sync_cancel(NULL);
\echo :SQLSTATE
SELECT sync_cancel(9223372036854775807);
\echo :SQLSTATE

-- none of these left a run behind
SELECT count(*) FROM sync_runs;

-- what only this transaction can see, no lane can work on
BEGIN;
SELECT sync_connect('new', 'id', 'secret', base_url => 'http://127.0.0.1:1');
SELECT * FROM sync_run('new', ARRAY['Person']);
\echo :SQLSTATE
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT sync_connect('new', 'id', 'secret', base_url => 'http://127.0.0.1:1');
RELEASE s;
SAVEPOINT t;
SELECT * FROM sync_check('new');
\echo :SQLSTATE
ROLLBACK TO t;
SELECT * FROM sync_run('new');
\echo :SQLSTATE
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT sync_connect('new', 'id', 'secret', base_url => 'http://127.0.0.1:1');
ROLLBACK TO s;
SELECT * FROM sync_run('new');
\echo :SQLSTATE
ROLLBACK;
SELECT setval('sync_engine.run_run_id_seq', 1000);
SELECT sync_wait(sync_start('church', ARRAY['Person']));
\echo :SQLSTATE
BEGIN;
SAVEPOINT s;
SELECT sync_start('church', ARRAY['Person']);
RELEASE s;
SELECT sync_wait(1002);
\echo :SQLSTATE
ROLLBACK;
BEGIN;
SELECT sync_disconnect('church');
SELECT * FROM sync_run('church', ARRAY['Person']);
\echo :SQLSTATE
ROLLBACK;

-- a lane may not see it before the commit, so it cannot outlive the session
BEGIN;
SELECT sync_start('church', ARRAY['Person']);
PREPARE TRANSACTION 'prepared';
\echo :SQLSTATE
BEGIN READ ONLY;
SELECT sync_start('church', ARRAY['Person']);
\echo :SQLSTATE
ROLLBACK;

SELECT count(*) FROM sync_runs;
DROP EXTENSION sync_engine;
