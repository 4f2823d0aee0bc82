-- What is to be synced when.  These rows are the truth; jobs of pg_cron, one for
-- each distinct cron text, follow them.

CREATE TABLE sync_engine.schedule (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	org text NOT NULL,
	mode text NOT NULL CHECK (mode IN ('auto', 'full', 'delta', 'reconcile')),
	cron text NOT NULL,
	entities text[],						-- NULL = the organisation's profile
	priority int NOT NULL DEFAULT 0,
	by_default boolean NOT NULL DEFAULT false,	-- made by sync_schedule_defaults
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	ticked_at timestamptz,					-- when pg_cron last called
	last_run_id bigint,
	last_at timestamptz,					-- when that run was asked for; with its id it names it
	last_status text,						-- how it ended, once a tick has seen that
	last_error text,
	failures int NOT NULL DEFAULT 0,		-- in a row
	skip int NOT NULL DEFAULT 0,			-- ticks that start nothing, because of them
	coalesced int NOT NULL DEFAULT 0,		-- ticks that started nothing, since the last run has not ended
	error text								-- why the last tick could not start a run
) WITH (fillfactor = 80);
COMMENT ON TABLE sync_engine.schedule IS 'Which organisation is synced when; the truth that jobs of pg_cron follow';
CREATE UNIQUE INDEX schedule_once ON sync_engine.schedule (org, mode, cron, entities, priority) NULLS NOT DISTINCT;
CREATE INDEX schedule_cron ON sync_engine.schedule (cron);

CREATE TABLE sync_engine.cron_mirror (
	extension oid NOT NULL,					-- whose jobs they are
	database name NOT NULL,
	owner name NOT NULL,
	cron_database name NOT NULL,			-- where they are
	texts text[] NOT NULL,
	problem text,							-- why they could not be made
	looked_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE sync_engine.cron_mirror IS 'Jobs in another database''s pg_cron, as a lane last left them; one row, or none';

SELECT pg_catalog.pg_extension_config_dump('sync_engine.schedule', '');
SELECT pg_catalog.pg_extension_config_dump('sync_engine.schedule_id_seq', '');
