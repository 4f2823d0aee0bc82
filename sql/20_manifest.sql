-- The manifest: every entity of every product, as data.

CREATE TABLE sync_engine.manifest_product (
	product text PRIMARY KEY,
	base_path text NOT NULL,
	api_version text NOT NULL
);
COMMENT ON TABLE sync_engine.manifest_product IS 'Products of Planning Center, with the API version that is asked for';

CREATE TABLE sync_engine.manifest_entity (
	product text NOT NULL REFERENCES sync_engine.manifest_product,
	entity text NOT NULL,
	path text,								-- of the list; {x_id} stands for the parent's id
	get_path text,							-- of one record
	parent text,							-- entity that a nested path walks
	strategy text NOT NULL,
	ready boolean NOT NULL,					-- the engine can read it today
	order_keys text[] NOT NULL,
	where_keys text[] NOT NULL,
	includes text[] NOT NULL,
	PRIMARY KEY (product, entity)
);
COMMENT ON TABLE sync_engine.manifest_entity IS 'Entities of the API: where they are and how they are read';

CREATE TABLE sync_engine.manifest_attribute (
	product text NOT NULL,
	entity text NOT NULL,
	attribute text NOT NULL,
	type text NOT NULL,
	position int NOT NULL,
	volatile boolean NOT NULL,				-- left out of the change hash
	fields_only boolean NOT NULL,			-- sent only when asked for by name
	PRIMARY KEY (product, entity, attribute),
	FOREIGN KEY (product, entity) REFERENCES sync_engine.manifest_entity
);
COMMENT ON TABLE sync_engine.manifest_attribute IS 'Attributes of entities, with the type that the API documents';

CREATE TABLE sync_engine.manifest_relationship (
	product text NOT NULL,
	entity text NOT NULL,
	relationship text NOT NULL,
	target text NOT NULL,
	many boolean NOT NULL,
	polymorphic boolean NOT NULL,
	position int NOT NULL,
	PRIMARY KEY (product, entity, relationship),
	FOREIGN KEY (product, entity) REFERENCES sync_engine.manifest_entity
);
COMMENT ON TABLE sync_engine.manifest_relationship IS 'Relationships that records carry';

CREATE TABLE sync_engine.manifest_edge (
	product text NOT NULL,
	entity text NOT NULL,
	parent text NOT NULL,
	kind text NOT NULL CHECK (kind IN ('hard', 'soft')),
	rank int NOT NULL,						-- soft: 1 container before member, 2 to-one reference
	PRIMARY KEY (product, entity, parent),
	FOREIGN KEY (product, entity) REFERENCES sync_engine.manifest_entity
);
COMMENT ON TABLE sync_engine.manifest_edge IS 'Which entity is synced after which';

-- manifest_add: one entity with its attributes [name, type, flags ...],
-- relationships [name, target, one|many, flags ...] and edges [parent, kind, rank].
CREATE FUNCTION sync_engine.manifest_add(product text, entity text, path text, get_path text, parent text,
	strategy text, ready boolean, order_keys text[], where_keys text[], includes text[],
	attributes jsonb, relationships jsonb, edges jsonb)
RETURNS void LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
	INSERT INTO sync_engine.manifest_entity
	VALUES (product, entity, path, get_path, parent, strategy, ready, order_keys, where_keys, includes);

	INSERT INTO sync_engine.manifest_attribute
	SELECT product, entity, a.value->>0, a.value->>1, a.ordinality, a.value ? 'volatile', a.value ? 'fields_only'
	FROM jsonb_array_elements(attributes) WITH ORDINALITY a;

	INSERT INTO sync_engine.manifest_relationship
	SELECT product, entity, r.value->>0, r.value->>1, r.value->>2 = 'many', r.value ? 'polymorphic', r.ordinality
	FROM jsonb_array_elements(relationships) WITH ORDINALITY r;

	INSERT INTO sync_engine.manifest_edge
	SELECT product, entity, e->>0, e->>1, (e->>2)::int FROM jsonb_array_elements(edges) e;
$$;
REVOKE ALL ON FUNCTION sync_engine.manifest_add(text, text, text, text, text, text, boolean, text[], text[], text[], jsonb, jsonb, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION sync_engine.manifest_add(text, text, text, text, text, text, boolean, text[], text[], text[], jsonb, jsonb, jsonb)
	IS 'Adds one entity to the manifest';
