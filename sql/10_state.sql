-- Organisations, runs, jobs and what they leave behind.
--
-- Lock order everywhere: run, job, sync_state, data tables.

CREATE TABLE sync_engine.org (
	org text PRIMARY KEY CHECK (org <> '' AND length(org) <= 200),
	base_url text NOT NULL,
	options jsonb NOT NULL DEFAULT '{}',
	status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'stopped', 'disconnected')),
	pco_organization_id text,
	error text,
	sqlstate text,
	hint text,
	connected_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE sync_engine.org IS 'One row per Planning Center organisation';

CREATE TABLE sync_engine.credential (
	org text PRIMARY KEY REFERENCES sync_engine.org ON DELETE CASCADE,
	kind text NOT NULL CHECK (kind IN ('personal_access_token', 'oauth')),
	sealed bytea NOT NULL,
	-- where it was stored: a copy of the cluster or database carries the row
	-- along, but is another place
	system_identifier bigint NOT NULL,
	database_oid oid NOT NULL,
	updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE sync_engine.credential IS 'Credentials, sealed with the key in sync_engine.key_file; never dumped';

CREATE TABLE sync_engine.product_access (
	org text NOT NULL,
	product text NOT NULL,
	accessible boolean NOT NULL,
	detail text,
	checked_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (org, product)
);
COMMENT ON TABLE sync_engine.product_access IS 'What an organisation''s token could reach when sync_check last asked';

CREATE TABLE sync_engine.run (
	run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	kind text NOT NULL DEFAULT 'sync' CHECK (kind IN ('sync', 'audit', 'check', 'probe', 'drift', 'refresh', 'record', 'children', 'approve')),
	org text NOT NULL,
	entities text[] NOT NULL,
	everything boolean NOT NULL DEFAULT false,	-- not named one by one: what the token may not see is left out
	mode text NOT NULL CHECK (mode IN ('auto', 'full', 'delta', 'reconcile') OR mode ~ '^approve \d+$'),	-- of a delete batch
	execution text NOT NULL CHECK (execution IN ('sequential', 'parallel', 'hybrid')),
	priority int NOT NULL DEFAULT 0,
	retry_of bigint,						-- the run whose jobs go on where they stopped
	status text NOT NULL DEFAULT 'queued' CHECK (status IN
		('queued', 'running', 'paused', 'succeeded', 'partial', 'failed', 'cancelled', 'skipped', 'held')),
	attempts int NOT NULL DEFAULT 0,		-- to plan it, that failed
	not_before timestamptz NOT NULL DEFAULT '-infinity',
	requested_by name NOT NULL,
	requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	started_at timestamptz,
	finished_at timestamptz,
	error text,
	sqlstate text,
	hint text
);
COMMENT ON TABLE sync_engine.run IS 'One request to sync an organisation; its states: src/README.md';

CREATE INDEX run_unplanned ON sync_engine.run (priority DESC, run_id)
	WHERE status = 'queued' AND not_before = '-infinity';
CREATE INDEX run_postponed ON sync_engine.run (not_before) WHERE status = 'queued' AND not_before > '-infinity';
CREATE INDEX run_unfinished ON sync_engine.run (org, run_id) WHERE status IN ('queued', 'running', 'paused');
CREATE INDEX run_finished ON sync_engine.run (finished_at) WHERE finished_at IS NOT NULL;

-- A wish to cancel or pause is a row of its own: whoever has not committed it
-- yet stands in no lane's way.
CREATE TABLE sync_engine.cancel_request (
	run_id bigint NOT NULL,
	requested_by name NOT NULL,
	requested_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE sync_engine.cancel_request IS 'Runs that somebody wants to end; a lane takes the row away when it has';
CREATE INDEX cancel_request_run ON sync_engine.cancel_request (run_id);

CREATE TABLE sync_engine.pause (
	org text,								-- NULL = all
	product text,
	entity text,							-- NULL = all of the organisation
	run_id bigint,							-- this run alone
	paused_by name NOT NULL,
	paused_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	UNIQUE NULLS NOT DISTINCT (org, product, entity, run_id)
);
COMMENT ON TABLE sync_engine.pause IS 'What does not go on until sync_resume: everything, an organisation, entities of it, or a run';

-- A queued job can be claimed unless one of unmet, joined_job_id,
-- folded_into, parked and not_before says what it waits for.
CREATE TABLE sync_engine.job (
	job_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	run_id bigint NOT NULL REFERENCES sync_engine.run ON DELETE CASCADE,
	org text NOT NULL,
	product text NOT NULL,
	entity text NOT NULL,
	mode text NOT NULL,
	strategy text NOT NULL,
	status text NOT NULL DEFAULT 'queued' CHECK (status IN
		('queued', 'running', 'paused', 'succeeded', 'partial', 'failed', 'cancelled', 'skipped', 'held')),
	priority int NOT NULL,
	turn float8 NOT NULL DEFAULT 0,			-- among those of its priority: see src/queue_turn.h
	wave int NOT NULL DEFAULT 0,
	unmet int NOT NULL DEFAULT 0,			-- dependencies that have not ended
	joined_job_id bigint,					-- its result becomes this job's
	folded_into bigint,						-- the job whose pages bring its records along
	parked text CHECK (parked IN (
		'entity',							-- a job that it cannot join reads the same
		'org')),							-- as many of its org run as may at once
	via text,								-- by which way they came along
	lane bigint,							-- the lane that holds it
	epoch bigint NOT NULL DEFAULT 0,		-- fencing number, checked at every commit
	position text NOT NULL DEFAULT '',		-- the checkpoint: see src/checkpoint.h
	note text,								-- why it reads otherwise than it was asked to
	manifest_version text,					-- of the columns that it reads
	ceiling timestamptz,					-- the watermark if it succeeds: the server's clock at its start, less the lag of replicas; -infinity = not known
	not_before timestamptz NOT NULL DEFAULT '-infinity',
	attempts int NOT NULL DEFAULT 0,		-- since the last page, waits for somebody's lock included
	failures int NOT NULL DEFAULT 0,		-- to write since the last page
	ledger bigint,							-- job whose walk it goes on with; NULL = its own
	stale boolean NOT NULL DEFAULT false,	-- it goes on with a read of long ago, or reads for one who asked now, so none may join it
	suspect boolean NOT NULL DEFAULT false,	-- its lane was lost, and no page has been written since
	applying boolean NOT NULL DEFAULT false,	-- suspect, and at a page just now
	crashes int NOT NULL DEFAULT 0,			-- while it was applying, since the last page
	expected bigint,						-- total_count, as the API last said
	pages bigint NOT NULL DEFAULT 0,
	requests bigint NOT NULL DEFAULT 0,
	fetched bigint NOT NULL DEFAULT 0,
	inserted bigint NOT NULL DEFAULT 0,
	updated bigint NOT NULL DEFAULT 0,
	unchanged bigint NOT NULL DEFAULT 0,
	deleted bigint NOT NULL DEFAULT 0,
	dead_lettered bigint NOT NULL DEFAULT 0,
	seen bigint NOT NULL DEFAULT 0,			-- reconcile: ids in its seen_page rows
	missing bigint,							-- reconcile: ids that were seen and not stored
	flaw text,								-- reconcile: why what it has read proves nothing
	started_at timestamptz,
	finished_at timestamptz,
	error text,
	sqlstate text,
	hint text,
	CHECK (fetched = inserted + updated + unchanged + dead_lettered)
) WITH (fillfactor = 50);
COMMENT ON TABLE sync_engine.job IS 'One entity within a run, with its checkpoint and counters, moved once in every page''s transaction; its states: src/README.md';

CREATE INDEX job_run ON sync_engine.job (run_id);
CREATE INDEX job_claimable ON sync_engine.job (priority DESC, turn, job_id)
	WHERE status = 'queued' AND unmet = 0 AND joined_job_id IS NULL AND folded_into IS NULL AND parked IS NULL
		AND not_before = '-infinity';
CREATE INDEX job_postponed ON sync_engine.job (not_before) WHERE status = 'queued' AND not_before > '-infinity';
CREATE INDEX job_parked ON sync_engine.job (org) WHERE status = 'queued' AND parked IS NOT NULL;
CREATE INDEX job_paused ON sync_engine.job (org, product, entity) WHERE status = 'paused';
CREATE UNIQUE INDEX job_running ON sync_engine.job (org, product, entity) WHERE status = 'running';
CREATE INDEX job_queued ON sync_engine.job (org, product, entity) WHERE status = 'queued';
CREATE INDEX job_last_turn ON sync_engine.job (org, priority, turn) WHERE status = 'queued';
CREATE INDEX job_resumable ON sync_engine.job (product, entity) WHERE status IN ('failed', 'cancelled', 'held');
CREATE INDEX job_joined ON sync_engine.job (joined_job_id) WHERE joined_job_id IS NOT NULL;
CREATE INDEX job_folded ON sync_engine.job (folded_into) WHERE folded_into IS NOT NULL;

CREATE TABLE sync_engine.job_dependency (
	job_id bigint NOT NULL REFERENCES sync_engine.job ON DELETE CASCADE,
	needs bigint NOT NULL REFERENCES sync_engine.job ON DELETE CASCADE,
	hard boolean NOT NULL,
	PRIMARY KEY (job_id, needs)
);
COMMENT ON TABLE sync_engine.job_dependency IS 'Which job waits for which; a failed hard one skips the job';
CREATE INDEX job_dependency_needs ON sync_engine.job_dependency (needs);

CREATE TABLE sync_engine.activity (
	activity_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	run_id bigint NOT NULL REFERENCES sync_engine.run ON DELETE CASCADE,
	job_id bigint REFERENCES sync_engine.job ON DELETE CASCADE,
	kind text NOT NULL,
	status text NOT NULL CHECK (status IN ('running', 'retrying', 'succeeded', 'failed', 'cancelled')),
	attempts int NOT NULL DEFAULT 1,
	detail text,
	started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	finished_at timestamptz,
	next_attempt_at timestamptz,
	error text,
	sqlstate text,
	hint text
);
COMMENT ON TABLE sync_engine.activity IS 'Steps of runs, and the retries and failures of jobs'' steps; what goes well in a job is counted in its row';
CREATE INDEX activity_run ON sync_engine.activity (run_id);
CREATE INDEX activity_job ON sync_engine.activity (job_id);

CREATE TABLE sync_engine.sync_state (
	org text NOT NULL,
	product text NOT NULL,
	entity text NOT NULL,
	status text,							-- of the job that ended last
	error text,
	last_run_id bigint,
	last_finished_at timestamptz,
	last_success_at timestamptz,
	watermark timestamptz,					-- all changes before it are here
	manifest_version text,					-- of the columns that the watermark speaks of
	last_full_at timestamptz,				-- of the last read of everything
	last_reconcile_at timestamptz,			-- of the last complete look for deleted records
	rights_accepted_at timestamptz,			-- rights noted before it count no more: a reconcile has found all rows, or people have approved
	rows bigint NOT NULL DEFAULT 0,			-- live rows in the data table
	total bigint,							-- records, as the API last counted them
	counted_at timestamptz,
	unseen text,							-- why the token may not see it, as the API last said
	strategy_note text,						-- why the manifest's strategy was not used
	note_job_id bigint,						-- by the job that was
	unfolded_at timestamptz,				-- the API does not bring it with its parent
	PRIMARY KEY (org, product, entity)
) WITH (fillfactor = 80);
COMMENT ON TABLE sync_engine.sync_state IS 'Per organisation and entity: how fresh the copy is';

CREATE TABLE sync_engine.walk_ledger (
	org text NOT NULL,
	product text NOT NULL,
	entity text NOT NULL,
	parent_id text NOT NULL,				-- the path's last parameter
	job_id bigint NOT NULL,					-- that was there last
	outcome text NOT NULL CHECK (outcome IN ('read', 'gone', 'forbidden', 'cut short')),
	records bigint NOT NULL,				-- in that list
	walked_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (org, product, entity, parent_id)
) WITH (fillfactor = 80);
COMMENT ON TABLE sync_engine.walk_ledger IS 'Parents whose lists were walked: one that was not walked yet differs from one that has no children';

CREATE TABLE sync_engine.dead_letter (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	org text NOT NULL,
	product text NOT NULL,
	entity text NOT NULL,
	record_id text,
	payload jsonb,
	reason text NOT NULL,
	sqlstate text NOT NULL,
	run_id bigint NOT NULL,
	job_id bigint NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	closed_at timestamptz
);
COMMENT ON TABLE sync_engine.dead_letter IS 'Records that could not be stored, with what came and why; closed_at is set when a later sync brings the record in';
CREATE UNIQUE INDEX dead_letter_open ON sync_engine.dead_letter
	(org, product, entity, coalesce(record_id, md5(payload::text))) WHERE closed_at IS NULL;

CREATE TABLE sync_engine.schema_change (
	org text NOT NULL,
	product text NOT NULL,
	entity text NOT NULL,
	attribute text NOT NULL,
	json_type text NOT NULL,
	first_seen_at timestamptz NOT NULL DEFAULT now(),
	run_id bigint NOT NULL,
	promoted_at timestamptz,
	PRIMARY KEY (product, entity, attribute, org)
);
COMMENT ON TABLE sync_engine.schema_change IS 'Attributes that the API sent and the manifest does not know; their values are in _extra until sync_promote makes columns of them';

-- Every lane takes a number once.  It keys the lane's session lock and is
-- never used again, so a lock that is free proves that its lane is gone.
CREATE SEQUENCE sync_engine.lane_number;
COMMENT ON SEQUENCE sync_engine.lane_number IS 'Numbers of lanes, each used once';

-- A dump carries what an organisation is and how far its copy is; never a
-- credential, and nothing of runs, which belong to this cluster.
SELECT pg_catalog.pg_extension_config_dump('sync_engine.org', '');
SELECT pg_catalog.pg_extension_config_dump('sync_engine.sync_state', '');
SELECT pg_catalog.pg_extension_config_dump('sync_engine.dead_letter', '');
SELECT pg_catalog.pg_extension_config_dump('sync_engine.dead_letter_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('sync_engine.schema_change', '');
SELECT pg_catalog.pg_extension_config_dump('sync_engine.pause', 'WHERE run_id IS NULL');
