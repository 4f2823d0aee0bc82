-- Nothing for PUBLIC; reading for pg_monitor, without payloads or credentials.

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA sync_engine FROM PUBLIC;
DO $$
DECLARE
	f regprocedure;
BEGIN
	FOR f IN SELECT p.oid FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
		JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
		WHERE e.extname = 'sync_engine' AND d.deptype = 'e'
	LOOP
		EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f);
	END LOOP;
END $$;

GRANT USAGE ON SCHEMA sync_engine TO pg_monitor;
GRANT SELECT ON sync_engine.org, sync_engine.run, sync_engine.job, sync_engine.job_dependency,
	sync_engine.cancel_request, sync_engine.pause,
	sync_engine.activity, sync_engine.sync_state, sync_engine.product_access, sync_engine.schema_change,
	sync_engine.walk_ledger, sync_engine.person_merge, sync_engine.token_rights, sync_engine.seen_page, sync_engine.delete_batch, sync_engine.manifest_product, sync_engine.manifest_entity, sync_engine.manifest_attribute,
	sync_engine.manifest_relationship, sync_engine.manifest_edge TO pg_monitor;
GRANT EXECUTE ON FUNCTION sync_engine.living_person(text, text), sync_engine.person_is_live(text, text),
	@extschema@.sync_living_id(text, text) TO pg_monitor;
GRANT EXECUTE ON FUNCTION sync_engine.live_jobs(), sync_engine.obstacle(text), @extschema@.sync_explain(text), sync_engine.resolve_entity(text),
	sync_engine.manifest_problems(text, text), @extschema@.sync_manifest_analysis(),
	@extschema@.sync_entity_capabilities(text), @extschema@.sync_entity_relationships(text),
	@extschema@.sync_entity_delta_fields(text), @extschema@.sync_entity_orderable_fields(text),
	@extschema@.sync_dependency_graph(text[], text) TO pg_monitor;
GRANT SELECT ON @extschema@.sync_orgs, @extschema@.sync_jobs, @extschema@.sync_runs, @extschema@.sync_activities,
	@extschema@.sync_progress, @extschema@.sync_queue, sync_engine.waiting_job, @extschema@.sync_status, @extschema@.sync_merged_people,
	@extschema@.sync_schema_changes, @extschema@.sync_deletes TO pg_monitor;
-- of a candidate all but its image, which is the row
GRANT SELECT (batch, record_id, status, detail, shown_at, changed_at) ON sync_engine.delete_candidate TO pg_monitor;
GRANT SELECT ON @extschema@.sync_delete_candidates TO pg_monitor;

GRANT SELECT ON sync_engine.schedule, sync_engine.cron_mirror, @extschema@.sync_schedules TO pg_monitor;
GRANT EXECUTE ON FUNCTION sync_engine.schedule_next(text, text, timestamptz, int), sync_engine.cron_problems() TO pg_monitor;

-- A dump by another than the owner reads the sequence of a dumped table.
GRANT SELECT ON SEQUENCE sync_engine.dead_letter_id_seq, sync_engine.schedule_id_seq, sync_engine.delete_batch_batch_seq TO pg_monitor;
