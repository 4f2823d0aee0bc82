-- What people see of deletes, and decide on them.

CREATE VIEW @extschema@.sync_deletes WITH (security_invoker = true) AS
SELECT b.batch, b.org, b.product, b.entity, b.status, b.source, b.behaviour, b.reason, b.stored, b.seen, b.candidates,
	b.deleted, b.run_id, b.job_id, b.created_at, b.decided_at, b.decided_by, b.applied_at
FROM sync_engine.delete_batch b;
COMMENT ON VIEW @extschema@.sync_deletes IS 'Batches of records that the API has no more, as far as it shows; held ones wait for sync_deletes_approve or sync_deletes_reject';

CREATE VIEW @extschema@.sync_delete_candidates WITH (security_invoker = true) AS
SELECT c.batch, b.org, b.product, b.entity, c.record_id, c.status, c.detail, c.shown_at, c.changed_at
FROM sync_engine.delete_candidate c JOIN sync_engine.delete_batch b USING (batch);
COMMENT ON VIEW @extschema@.sync_delete_candidates IS 'The records of delete batches: which, and why';

CREATE FUNCTION @extschema@.sync_deletes_approve(batch bigint)
RETURNS bigint LANGUAGE c AS 'MODULE_PATHNAME', 'sync_deletes_approve';
COMMENT ON FUNCTION @extschema@.sync_deletes_approve(bigint)
	IS 'Lets a held batch be carried out: each record is confirmed again first; waits, and returns how many rows were deleted';

CREATE FUNCTION @extschema@.sync_deletes_reject(batch bigint)
RETURNS bigint LANGUAGE c AS 'MODULE_PATHNAME', 'sync_deletes_reject';
COMMENT ON FUNCTION @extschema@.sync_deletes_reject(bigint)
	IS 'Keeps the rows of a held batch; they are not proposed again before the API has shown them. Returns how many';

CREATE FUNCTION @extschema@.sync_deletes_undo(batch bigint)
RETURNS bigint LANGUAGE c AS 'MODULE_PATHNAME', 'sync_deletes_undo';
COMMENT ON FUNCTION @extschema@.sync_deletes_undo(bigint)
	IS 'Brings the rows of an applied batch back; they are not proposed again before the API has shown them. Returns how many';
