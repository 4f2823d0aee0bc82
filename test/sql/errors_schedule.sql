-- What sync_schedule and its like refuse, each time with a message that says what
-- to do.  Nothing of this depends on a pg_cron.
\set SHOW_CONTEXT never
CREATE EXTENSION sync_engine;
SELECT sync_connect('church', 'id', 'secret', base_url => 'http://127.0.0.1:1');
-- the organisation
SELECT sync_schedule(NULL, 'full', '@daily');
\echo :SQLSTATE
SELECT sync_schedule('', 'full', '@daily');
\echo :SQLSTATE
SELECT sync_schedule('chruch', 'full', '@daily');
\echo :SQLSTATE
SELECT sync_schedule_defaults(NULL);
\echo :SQLSTATE
SELECT sync_schedule_defaults('chruch');
\echo :SQLSTATE
-- the mode
SELECT sync_schedule('church', NULL, '@daily');
\echo :SQLSTATE
SELECT sync_schedule('church', 'hourly', '@daily');
\echo :SQLSTATE
-- the cron text
SELECT sync_schedule('church', 'full', NULL);
\echo :SQLSTATE
SELECT sync_schedule('church', 'full', '');
\echo :SQLSTATE
SELECT sync_schedule('church', 'full', '0 2 * *');
\echo :SQLSTATE
SELECT sync_schedule('church', 'full', '0 2 * * * *');
\echo :SQLSTATE
SELECT sync_schedule('church', 'full', '0 24 * * *');
\echo :SQLSTATE
SELECT sync_schedule('church', 'full', '0 2 * * monday');
\echo :SQLSTATE
SELECT sync_schedule('church', 'full', '*/0 * * * *');
\echo :SQLSTATE
SELECT sync_schedule('church', 'full', '0 2 30 feb *');
\echo :SQLSTATE
SELECT sync_schedule('church', 'full', '@fortnightly');
\echo :SQLSTATE
SELECT sync_schedule('church', 'full', '90 seconds');
\echo :SQLSTATE
SELECT sync_schedule('church', 'full', repeat('1,', 100) || '1 * * * *');
\echo :SQLSTATE
SELECT sync_engine.schedule_tick('every day');
\echo :SQLSTATE
-- entities and priority
SELECT sync_schedule('church', 'full', '@daily', ARRAY['Persom']);
\echo :SQLSTATE
SELECT sync_schedule('church', 'full', '@daily', ARRAY[]::text[]);
\echo :SQLSTATE
SELECT sync_schedule('church', 'full', '@daily', ARRAY['Person'], NULL);
\echo :SQLSTATE
-- the schedule
SELECT sync_unschedule(NULL);
\echo :SQLSTATE
SELECT sync_unschedule(42);
-- nothing of all that was stored
SELECT count(*) FROM sync_schedules;
-- a tick without schedules starts nothing
SELECT sync_engine.schedule_tick('@daily');
-- an organisation that is not connected any more
SELECT sync_disconnect('church');
SELECT sync_schedule('church', 'full', '@daily');
\echo :SQLSTATE
-- only for those who were granted it
CREATE ROLE regress_nobody;
SET ROLE regress_nobody;
SELECT sync_schedule('church', 'full', '@daily');
SELECT * FROM sync_schedules;
RESET ROLE;
DROP ROLE regress_nobody;
DROP EXTENSION sync_engine;
