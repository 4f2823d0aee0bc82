-- The manifest as the engine reads it: what the merged_ views say, in tables.
--
-- A lane that was just started, and every call that names an entity, would spend
-- most of its time on putting three sources together again.  Triggers keep the
-- tables in step, in the transaction that changes the manifest.

CREATE TABLE sync_engine.product AS TABLE sync_engine.merged_product;
ALTER TABLE sync_engine.product ADD PRIMARY KEY (product);
COMMENT ON TABLE sync_engine.product IS 'Products as the manifest has them, all sources together';

CREATE TABLE sync_engine.entity AS TABLE sync_engine.merged_entity;
ALTER TABLE sync_engine.entity ADD PRIMARY KEY (product, entity);
CREATE INDEX entity_name ON sync_engine.entity (entity);
COMMENT ON TABLE sync_engine.entity IS 'Entities as the manifest has them, all sources together; ready = it can be synced';

CREATE TABLE sync_engine.attribute AS TABLE sync_engine.merged_attribute;
ALTER TABLE sync_engine.attribute ADD PRIMARY KEY (product, entity, attribute);
COMMENT ON TABLE sync_engine.attribute IS 'Attributes as the manifest has them, all sources together; those without a position come last';

CREATE TABLE sync_engine.relationship AS TABLE sync_engine.merged_relationship;
ALTER TABLE sync_engine.relationship ADD PRIMARY KEY (product, entity, relationship);
COMMENT ON TABLE sync_engine.relationship IS 'Relationships as the manifest has them, all sources together';

CREATE TABLE sync_engine.edge AS TABLE sync_engine.merged_edge;
ALTER TABLE sync_engine.edge ADD PRIMARY KEY (product, entity, parent);
COMMENT ON TABLE sync_engine.edge IS 'Edges of the dependency graph as the manifest has them, all sources together';

CREATE TABLE sync_engine.include AS TABLE sync_engine.merged_include;
ALTER TABLE sync_engine.include ADD PRIMARY KEY (product, parent, include);
CREATE INDEX include_entity ON sync_engine.include (product, entity);
COMMENT ON TABLE sync_engine.include IS 'Includes as the manifest has them, all sources together';

GRANT SELECT ON sync_engine.product, sync_engine.entity, sync_engine.attribute, sync_engine.relationship,
	sync_engine.edge, sync_engine.include TO pg_monitor;

-- manifest_changed(thing, key): merges again what has the product and the key of
-- the row that changed.  One writer at a time, for two that change the same thing
-- would not see each other's; readers are not in the way.
CREATE FUNCTION sync_engine.manifest_changed()
RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	thing text := TG_ARGV[0];
	key text := TG_ARGV[1];
	changed jsonb;
BEGIN
	LOCK TABLE sync_engine.entity IN SHARE ROW EXCLUSIVE MODE;
	FOREACH changed IN ARRAY CASE TG_OP WHEN 'INSERT' THEN ARRAY[to_jsonb(NEW)] WHEN 'DELETE' THEN ARRAY[to_jsonb(OLD)]
		ELSE ARRAY[to_jsonb(OLD), to_jsonb(NEW)] END
	LOOP
		EXECUTE format('DELETE FROM sync_engine.%I WHERE product = $1 AND %I = $2', thing, key)
			USING changed->>'product', changed->>key;
		EXECUTE format('INSERT INTO sync_engine.%I SELECT * FROM sync_engine.%I WHERE product = $1 AND %I = $2',
			thing, 'merged_' || thing, key) USING changed->>'product', changed->>key;
	END LOOP;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION sync_engine.manifest_changed() IS 'Keeps the manifest that the engine reads in step with its sources';

CREATE TRIGGER merge AFTER INSERT OR UPDATE OR DELETE ON sync_engine.manifest_product
FOR EACH ROW EXECUTE FUNCTION sync_engine.manifest_changed('product', 'product');
CREATE TRIGGER merge AFTER INSERT OR UPDATE OR DELETE ON sync_engine.manifest_entity
FOR EACH ROW EXECUTE FUNCTION sync_engine.manifest_changed('entity', 'entity');
CREATE TRIGGER merge AFTER INSERT OR UPDATE OR DELETE ON sync_engine.manifest_attribute
FOR EACH ROW EXECUTE FUNCTION sync_engine.manifest_changed('attribute', 'entity');
CREATE TRIGGER merge AFTER INSERT OR UPDATE OR DELETE ON sync_engine.manifest_relationship
FOR EACH ROW EXECUTE FUNCTION sync_engine.manifest_changed('relationship', 'entity');
CREATE TRIGGER merge AFTER INSERT OR UPDATE OR DELETE ON sync_engine.manifest_edge
FOR EACH ROW EXECUTE FUNCTION sync_engine.manifest_changed('edge', 'entity');
CREATE TRIGGER merge AFTER INSERT OR UPDATE OR DELETE ON sync_engine.manifest_include
FOR EACH ROW EXECUTE FUNCTION sync_engine.manifest_changed('include', 'parent');
