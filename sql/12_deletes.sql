-- What the API may have deleted: batches of candidates, each confirmed before a
-- row is touched.
--
-- Lock order: run, job, sync_state, delete_batch, data tables.

CREATE TABLE sync_engine.delete_batch (
	batch bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	org text NOT NULL,
	product text NOT NULL,
	entity text NOT NULL,
	run_id bigint NOT NULL,
	job_id bigint NOT NULL,					-- that found them missing
	source text NOT NULL CHECK (source IN ('reconcile', 'record')),
	behaviour text NOT NULL CHECK (behaviour IN ('soft', 'hard', 'archive')),
	status text NOT NULL DEFAULT 'open' CHECK (status IN
		('open',							-- its candidates are being confirmed
		'held',								-- somebody has to approve or reject it
		'approved',							-- approved: its candidates are confirmed again
		'applied', 'rejected', 'undone')),
	reason text,							-- why it is held
	stored bigint,							-- live rows when it was made
	seen bigint,							-- ids that the API listed
	read_at timestamptz NOT NULL,			-- no row that was written since is deleted
	candidates bigint NOT NULL DEFAULT 0,
	deleted bigint NOT NULL DEFAULT 0,
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	decided_at timestamptz,
	decided_by name
);
COMMENT ON TABLE sync_engine.delete_batch IS 'Rows that a complete read of the API did not show, with what became of them';
CREATE INDEX delete_batch_open ON sync_engine.delete_batch (org, product, entity)
	WHERE status IN ('open', 'held', 'approved');

CREATE TABLE sync_engine.delete_candidate (
	batch bigint NOT NULL REFERENCES sync_engine.delete_batch ON DELETE CASCADE,
	record_id text NOT NULL,
	status text NOT NULL DEFAULT 'proposed' CHECK (status IN
		('proposed',						-- missing from a complete read
		'confirmed',						-- ... and confirmed to be gone
		'struck',							-- the API has shown it since
		'deleted', 'rejected',
		'undone')),							-- not proposed again before the API has shown it
	detail text,							-- how it was confirmed, or why not
	image jsonb,							-- the row, where it was deleted for good
	changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (batch, record_id)
);
COMMENT ON TABLE sync_engine.delete_candidate IS 'Each record of a delete batch, and how sure it is that the API has it no more';

SELECT pg_catalog.pg_extension_config_dump('sync_engine.delete_batch', '');
SELECT pg_catalog.pg_extension_config_dump('sync_engine.delete_batch_batch_seq', '');
SELECT pg_catalog.pg_extension_config_dump('sync_engine.delete_candidate', '');
