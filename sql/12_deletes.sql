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
		'applied', 'rejected', 'undone',
		'replaced')),						-- a later read has found what is still missing
	reason text,							-- why it is held, or was
	stored bigint,							-- live rows when it was made
	seen bigint,							-- ids that the API listed
	read_at timestamptz NOT NULL,			-- no row that was written since is deleted
	candidates bigint NOT NULL DEFAULT 0,
	deleted bigint NOT NULL DEFAULT 0,
	watched boolean NOT NULL DEFAULT true,	-- pages that show its candidates strike them
	worker_job bigint,						-- that confirms or applies it
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	decided_at timestamptz,
	decided_by name,
	applied_at timestamptz
);
COMMENT ON TABLE sync_engine.delete_batch IS 'Rows that a complete read of the API did not show, with what became of them';
CREATE INDEX delete_batch_watched ON sync_engine.delete_batch (org, product, entity) WHERE watched;
CREATE INDEX delete_batch_applied ON sync_engine.delete_batch (org, product, entity, applied_at)
	WHERE applied_at IS NOT NULL;
CREATE INDEX delete_batch_worked_on ON sync_engine.delete_batch (worker_job) WHERE status IN ('open', 'approved');

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
	shown_at timestamptz,					-- when the API showed it again
	changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (batch, record_id)
);
COMMENT ON TABLE sync_engine.delete_candidate IS 'Each record of a delete batch, and how sure it is that the API has it no more';
CREATE INDEX delete_candidate_image ON sync_engine.delete_candidate (changed_at) WHERE image IS NOT NULL;

-- Logged: what a crash took away would turn the rows behind it into candidates.
CREATE TABLE sync_engine.seen_page (
	job_id bigint NOT NULL,
	page bigint NOT NULL,					-- 0: ids that are not stored, and are fetched
	n int NOT NULL,
	ids bytea NOT NULL,						-- sorted and packed: see src/seen_ids.h
	PRIMARY KEY (job_id, page)
);
ALTER TABLE sync_engine.seen_page ALTER COLUMN ids SET STORAGE MAIN;
COMMENT ON TABLE sync_engine.seen_page IS 'Ids that reconciles under way have seen, a row for each page';

CREATE TABLE sync_engine.token_rights (
	org text NOT NULL,
	product text NOT NULL,
	rights text NOT NULL,					-- a digest; 'unknown' = it could not be read; 'asked N' = job N asks just now, or never got an answer
	first_noted_at timestamptz NOT NULL DEFAULT now(),
	noted_at timestamptz NOT NULL DEFAULT now(),	-- when they were asked last
	PRIMARY KEY (org, product, rights)
);
COMMENT ON TABLE sync_engine.token_rights IS 'What the token might see when everything was read; a change of it looks like deletes';

-- reconcile_ended: the seen ids go with the job, however it ends; a batch that
-- nobody works on any more waits for people.
CREATE FUNCTION sync_engine.reconcile_ended()
RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM sync_engine.seen_page WHERE job_id = NEW.job_id;
	DELETE FROM sync_engine.walk_ledger l WHERE l.org = NEW.org AND l.product = NEW.product
		AND l.entity = 'ids of ' || NEW.entity AND l.job_id = NEW.job_id;
	UPDATE sync_engine.delete_batch SET status = 'held',
		reason = format('the job that confirmed its candidates ended %s: %s', NEW.status, coalesce(NEW.error, 'no error'))
	WHERE worker_job = NEW.job_id AND status IN ('open', 'approved');
	RETURN NULL;
END $$;
COMMENT ON FUNCTION sync_engine.reconcile_ended() IS 'Tidies up behind a reconcile, however it ended';

CREATE TRIGGER reconcile_ended AFTER UPDATE OF status ON sync_engine.job
FOR EACH ROW WHEN ((NEW.mode = 'reconcile' OR NEW.mode LIKE 'approve %') AND NEW.finished_at IS NOT NULL
	AND OLD.finished_at IS NULL)
EXECUTE FUNCTION sync_engine.reconcile_ended();

-- rights_unanswered: a job has ended before it knew what the token may see.  That
-- matters if somebody has read meanwhile, who relied on it.
CREATE FUNCTION sync_engine.rights_unanswered()
RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	since timestamptz;
BEGIN
	DELETE FROM sync_engine.token_rights r
	WHERE (r.org, r.product, r.rights) = (NEW.org, NEW.product, 'asked ' || NEW.job_id)
	RETURNING r.first_noted_at INTO since;
	IF since IS NOT NULL AND (
		EXISTS (SELECT 1 FROM sync_engine.job j WHERE j.org = NEW.org AND j.product = NEW.product
			AND j.status = 'running' AND j.mode = 'full' AND j.pages > 0)
		OR EXISTS (SELECT 1 FROM sync_engine.sync_state s WHERE s.org = NEW.org AND s.product = NEW.product
			AND s.last_full_at >= since))
	THEN
		INSERT INTO sync_engine.token_rights AS r (org, product, rights, first_noted_at)
		VALUES (NEW.org, NEW.product, 'unknown', since)
		ON CONFLICT (org, product, rights) DO UPDATE SET noted_at = now();
	END IF;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION sync_engine.rights_unanswered() IS 'Notes that rows were read with rights that nobody knows';

CREATE TRIGGER rights_unanswered AFTER UPDATE OF status ON sync_engine.job
FOR EACH ROW WHEN (NEW.mode = 'full' AND NEW.pages = 0 AND NEW.finished_at IS NOT NULL AND OLD.finished_at IS NULL)
EXECUTE FUNCTION sync_engine.rights_unanswered();

SELECT pg_catalog.pg_extension_config_dump('sync_engine.delete_batch', '');
SELECT pg_catalog.pg_extension_config_dump('sync_engine.delete_batch_batch_seq', '');
SELECT pg_catalog.pg_extension_config_dump('sync_engine.delete_candidate', '');
SELECT pg_catalog.pg_extension_config_dump('sync_engine.token_rights', '');
