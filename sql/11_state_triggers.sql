-- What follows when a run or job changes its state: src/queue_trigger.c.

CREATE FUNCTION sync_engine.run_changed()
RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'sync_engine_run_changed';
COMMENT ON FUNCTION sync_engine.run_changed() IS 'Tells listeners on channel sync_engine that a run changed its state';

CREATE FUNCTION sync_engine.job_changed()
RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'sync_engine_job_changed';
COMMENT ON FUNCTION sync_engine.job_changed() IS 'Tells listeners that a job changed its state, and lets in what was parked for one that ran';

CREATE FUNCTION sync_engine.job_takes_turn()
RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'sync_engine_job_takes_turn';
COMMENT ON FUNCTION sync_engine.job_takes_turn() IS 'Gives a job that can be claimed again a turn that is not past';

CREATE TRIGGER run_started AFTER INSERT ON sync_engine.run
FOR EACH ROW EXECUTE FUNCTION sync_engine.run_changed();

CREATE TRIGGER run_changed AFTER UPDATE OF status ON sync_engine.run
FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION sync_engine.run_changed();

CREATE TRIGGER job_changed AFTER UPDATE OF status ON sync_engine.job
FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION sync_engine.job_changed();

CREATE TRIGGER job_takes_turn BEFORE UPDATE OF status, unmet, joined_job_id, folded_into, parked, not_before, priority
ON sync_engine.job
FOR EACH ROW WHEN (NEW.status = 'queued' AND NEW.unmet = 0 AND NEW.joined_job_id IS NULL AND NEW.folded_into IS NULL
	AND NEW.parked IS NULL AND NEW.not_before = '-infinity')
EXECUTE FUNCTION sync_engine.job_takes_turn();
