-- The manifest: every entity of every product, as data.
--
-- Three sources stand beside each other.  'builtin' rows come with the
-- extension, 'discovered' ones from the API's own documentation, 'user' ones
-- from whoever runs it.  Of each column the first value that is not NULL counts:
-- the user's, the discovered, the built-in.  So an override says only what it
-- changes, and neither a dump nor a new release of the extension loses it.
-- The views at the end put them together, one row per thing; the engine reads tables
-- that hold what the views say (22_manifest_merged.sql).

CREATE TABLE sync_engine.manifest_product (
	product text NOT NULL CHECK (product ~ '^[a-z][a-z0-9_]*$'),
	source text NOT NULL DEFAULT 'user' CHECK (source IN ('builtin', 'discovered', 'user')),
	base_path text CHECK (base_path ~ '^/'),
	api_version text CHECK (api_version ~ '^\d{4}-\d{2}-\d{2}$'),
	PRIMARY KEY (product, source)
);
COMMENT ON TABLE sync_engine.manifest_product IS 'Products of Planning Center, with the API version that is asked for';
COMMENT ON COLUMN sync_engine.manifest_product.api_version IS 'Sent as X-PCO-API-Version; pinned, because a token''s default version can move';

CREATE TABLE sync_engine.manifest_entity (
	product text NOT NULL CHECK (product ~ '^[a-z][a-z0-9_]*$'),
	entity text NOT NULL CHECK (entity ~ '^[A-Za-z][A-Za-z0-9_]*$'),
	source text NOT NULL DEFAULT 'user' CHECK (source IN ('builtin', 'discovered', 'user')),
	path text CHECK (path ~ '^/'),
	get_path text CHECK (get_path ~ '^/'),
	single boolean,
	parent text CHECK (parent ~ '^([A-Za-z][A-Za-z0-9_]*)?$'),
	parent_columns text[] CHECK (NOT '' = ANY (parent_columns) AND array_position(parent_columns, NULL) IS NULL),
	shared boolean,
	aliases text[] CHECK (NOT '' = ANY (aliases) AND array_position(aliases, NULL) IS NULL),
	strategy text CHECK (strategy IN ('keyset', 'window', 'descending', 'append_log', 'created_tail',
		'per_parent', 'include', 'full_scan', 'singleton')),
	order_keys text[] CHECK (NOT '' = ANY (order_keys) AND array_position(order_keys, NULL) IS NULL),
	where_keys text[] CHECK (NOT '' = ANY (where_keys) AND array_position(where_keys, NULL) IS NULL),
	includes text[] CHECK (NOT '' = ANY (includes) AND array_position(includes, NULL) IS NULL),
	unreachable text,
	confidence text CHECK (confidence IN ('high', 'medium', 'low')),
	origin text,
	audit_every interval CHECK (audit_every > interval '0'),
	PRIMARY KEY (product, entity, source)
);
COMMENT ON TABLE sync_engine.manifest_entity IS 'Entities of the API: where they are and how they are read';
COMMENT ON COLUMN sync_engine.manifest_entity.entity IS 'JSON:API type';
COMMENT ON COLUMN sync_engine.manifest_entity.path IS 'Of the list; {x_id} stands for the id of a parent, and is a column of the data table';
COMMENT ON COLUMN sync_engine.manifest_entity.get_path IS 'Of one record; {id} stands for its id';
COMMENT ON COLUMN sync_engine.manifest_entity.single IS 'The path gives one record, not a list';
COMMENT ON COLUMN sync_engine.manifest_entity.parent IS 'Entity whose rows are walked to read a nested path; '''' = none after all';
COMMENT ON COLUMN sync_engine.manifest_entity.parent_columns IS 'Column of the parent''s data table for each parameter of the path, in their order';
COMMENT ON COLUMN sync_engine.manifest_entity.shared IS 'Several parents can bring the same record; the first is kept';
COMMENT ON COLUMN sync_engine.manifest_entity.aliases IS 'Other JSON:API types that its records may carry';
COMMENT ON COLUMN sync_engine.manifest_entity.strategy IS 'How it is read; where nobody says it follows from the path and the keys';
COMMENT ON COLUMN sync_engine.manifest_entity.unreachable IS 'Why it cannot be synced; '''' = it can after all';
COMMENT ON COLUMN sync_engine.manifest_entity.confidence IS 'How well the documents agree on it';
COMMENT ON COLUMN sync_engine.manifest_entity.origin IS 'Documents that describe it';
COMMENT ON COLUMN sync_engine.manifest_entity.audit_every IS 'How long deltas do without a full read in between; a week where they see all that the API stamps, else a day';

-- Column names of the engine's own begin with an underscore, so no attribute's may.
CREATE TABLE sync_engine.manifest_attribute (
	product text NOT NULL CHECK (product ~ '^[a-z][a-z0-9_]*$'),
	entity text NOT NULL CHECK (entity ~ '^[A-Za-z][A-Za-z0-9_]*$'),
	attribute text NOT NULL CHECK (attribute ~ '^[^_]' AND octet_length(attribute) <= 63),
	source text NOT NULL DEFAULT 'user' CHECK (source IN ('builtin', 'discovered', 'user')),
	type text CHECK (type IN ('string', 'id', 'date_time', 'date', 'integer', 'float', 'decimal', 'boolean',
		'json', 'array', 'unknown')),
	position int,
	volatile boolean,
	fields_only boolean,
	privacy text CHECK (privacy IN ('keep', 'drop', 'hash')),
	PRIMARY KEY (product, entity, attribute, source)
);
COMMENT ON TABLE sync_engine.manifest_attribute IS 'Attributes of entities, with the type that the API documents';
COMMENT ON COLUMN sync_engine.manifest_attribute.position IS 'Order of the columns in a new data table';
COMMENT ON COLUMN sync_engine.manifest_attribute.volatile IS 'A change of it alone is no change of the record';
COMMENT ON COLUMN sync_engine.manifest_attribute.fields_only IS 'Sent only when asked for by name';
COMMENT ON COLUMN sync_engine.manifest_attribute.privacy IS 'keep; drop = never stored; hash = stored as a digest';

CREATE TABLE sync_engine.manifest_relationship (
	product text NOT NULL CHECK (product ~ '^[a-z][a-z0-9_]*$'),
	entity text NOT NULL CHECK (entity ~ '^[A-Za-z][A-Za-z0-9_]*$'),
	relationship text NOT NULL CHECK (relationship ~ '^[^_]'),
	source text NOT NULL DEFAULT 'user' CHECK (source IN ('builtin', 'discovered', 'user')),
	target text CHECK (target <> ''),
	many boolean,
	polymorphic boolean,
	position int,
	PRIMARY KEY (product, entity, relationship, source)
);
COMMENT ON TABLE sync_engine.manifest_relationship IS 'Relationships that records carry';
COMMENT ON COLUMN sync_engine.manifest_relationship.target IS 'Entity it points to, or a type that has none of its own; product.Entity in another product';
COMMENT ON COLUMN sync_engine.manifest_relationship.polymorphic IS 'It may point to several types: the type is stored beside the id';

CREATE TABLE sync_engine.manifest_edge (
	product text NOT NULL CHECK (product ~ '^[a-z][a-z0-9_]*$'),
	entity text NOT NULL CHECK (entity ~ '^[A-Za-z][A-Za-z0-9_]*$'),
	parent text NOT NULL CHECK (parent ~ '^[A-Za-z][A-Za-z0-9_]*$'),
	source text NOT NULL DEFAULT 'user' CHECK (source IN ('builtin', 'discovered', 'user')),
	kind text CHECK (kind IN ('hard', 'soft', 'none')),
	rank int CHECK (rank >= 0),
	PRIMARY KEY (product, entity, parent, source)
);
COMMENT ON TABLE sync_engine.manifest_edge IS 'Which entity is synced after which; never taken from relationships alone, which have cycles';
COMMENT ON COLUMN sync_engine.manifest_edge.kind IS 'hard = its owner; soft = given up where edges close a cycle; none = no edge after all';
COMMENT ON COLUMN sync_engine.manifest_edge.rank IS 'Of soft edges, the highest is given up first: 1 container before member, 2 reference, 3 the rest';

CREATE TABLE sync_engine.manifest_include (
	product text NOT NULL CHECK (product ~ '^[a-z][a-z0-9_]*$'),
	parent text NOT NULL CHECK (parent ~ '^[A-Za-z][A-Za-z0-9_]*$'),
	include text NOT NULL CHECK (include <> ''),
	source text NOT NULL DEFAULT 'user' CHECK (source IN ('builtin', 'discovered', 'user')),
	entity text CHECK (entity ~ '^[A-Za-z][A-Za-z0-9_]*$'),
	complete boolean,
	PRIMARY KEY (product, parent, include, source)
);
COMMENT ON TABLE sync_engine.manifest_include IS 'Which records come along in whose pages, by JSON:API include';
COMMENT ON COLUMN sync_engine.manifest_include.complete IS 'A full read of the parent brings all of them, and tells the parent of each';

-- What the extension brings comes again with the extension; a dump carries the rest.
SELECT pg_catalog.pg_extension_config_dump('sync_engine.manifest_product', $$WHERE source <> 'builtin'$$);
SELECT pg_catalog.pg_extension_config_dump('sync_engine.manifest_entity', $$WHERE source <> 'builtin'$$);
SELECT pg_catalog.pg_extension_config_dump('sync_engine.manifest_attribute', $$WHERE source <> 'builtin'$$);
SELECT pg_catalog.pg_extension_config_dump('sync_engine.manifest_relationship', $$WHERE source <> 'builtin'$$);
SELECT pg_catalog.pg_extension_config_dump('sync_engine.manifest_edge', $$WHERE source <> 'builtin'$$);
SELECT pg_catalog.pg_extension_config_dump('sync_engine.manifest_include', $$WHERE source <> 'builtin'$$);

CREATE VIEW sync_engine.merged_product WITH (security_invoker = true) AS
SELECT k.product, coalesce(u.base_path, d.base_path, b.base_path) AS base_path,
	coalesce(u.api_version, d.api_version, b.api_version) AS api_version
FROM (SELECT DISTINCT product FROM sync_engine.manifest_product) k
LEFT JOIN sync_engine.manifest_product u ON u.product = k.product AND u.source = 'user'
LEFT JOIN sync_engine.manifest_product d ON d.product = k.product AND d.source = 'discovered'
LEFT JOIN sync_engine.manifest_product b ON b.product = k.product AND b.source = 'builtin';
COMMENT ON VIEW sync_engine.merged_product IS 'Products as the manifest has them, all sources together';

-- keyset_key: what its list is read by; own_strategy: how it is read unless it
-- comes with its parent's pages; delta: how the API tells what has changed, by
-- which key, and whether that shows all changes but deletes and what it does not stamp.
CREATE VIEW sync_engine.merged_entity WITH (security_invoker = true) AS
SELECT s.*, k.keyset_key, d.delta_key, CASE WHEN s.parent IS NOT NULL THEN 'parents'
		WHEN d.delta_key = ANY (s.order_keys) AND d.delta_key = ANY (s.where_keys) THEN 'keyset'
		WHEN d.delta_key = ANY (s.where_keys) THEN 'window'
		WHEN d.delta_key = ANY (s.order_keys) THEN 'descending' END AS delta,
	s.parent IS NULL AND coalesce(d.delta_key = 'updated_at' OR s.strategy = 'append_log', false) AS delta_complete,
	coalesce(s.audit_own, CASE WHEN s.parent IS NULL AND (d.delta_key = 'updated_at' OR s.strategy = 'append_log')
		THEN interval '7 days' ELSE interval '1 day' END) AS audit_every, CASE WHEN s.parent IS NOT NULL THEN 'per_parent' WHEN s.single THEN 'singleton'
		WHEN k.keyset_key IS NOT NULL THEN 'keyset' WHEN s.strategy = 'include' THEN 'full_scan'
		ELSE s.strategy END AS own_strategy
FROM (
SELECT e.product, e.entity, e.path, e.get_path, e.single, e.parent, e.parent_columns, e.shared, e.aliases,
	coalesce(e.strategy, CASE WHEN e.parent IS NOT NULL THEN 'per_parent'
		WHEN e.single THEN 'singleton'
		WHEN 'updated_at' = ANY (e.order_keys) AND 'updated_at' = ANY (e.where_keys) THEN 'keyset'
		WHEN 'created_at' = ANY (e.order_keys) AND 'created_at' = ANY (e.where_keys) THEN 'keyset'
		ELSE 'full_scan' END) AS strategy,
	e.order_keys, e.where_keys, e.includes, e.unreachable, e.confidence, e.origin, e.audit_own,
	e.path IS NOT NULL AND e.unreachable IS NULL AS ready,
	lower(regexp_replace(e.entity, '(?<=.)([A-Z])', '_\1', 'g')) AS table_name
FROM (SELECT k.product, k.entity, coalesce(u.path, d.path, b.path) AS path,
		coalesce(u.get_path, d.get_path, b.get_path) AS get_path,
		coalesce(u.single, d.single, b.single, false) AS single,
		nullif(coalesce(u.parent, d.parent, b.parent), '') AS parent,
		coalesce(u.parent_columns, d.parent_columns, b.parent_columns, '{}') AS parent_columns,
		coalesce(u.shared, d.shared, b.shared, false) AS shared,
		coalesce(u.aliases, d.aliases, b.aliases, '{}') AS aliases,
		coalesce(u.strategy, d.strategy, b.strategy) AS strategy,
		coalesce(u.order_keys, d.order_keys, b.order_keys, '{}') AS order_keys,
		coalesce(u.where_keys, d.where_keys, b.where_keys, '{}') AS where_keys,
		coalesce(u.includes, d.includes, b.includes, '{}') AS includes,
		nullif(coalesce(u.unreachable, d.unreachable, b.unreachable), '') AS unreachable,
		coalesce(u.confidence, d.confidence, b.confidence) AS confidence,
		coalesce(u.origin, d.origin, b.origin) AS origin,
		coalesce(u.audit_every, d.audit_every, b.audit_every) AS audit_own
	FROM (SELECT DISTINCT product, entity FROM sync_engine.manifest_entity) k
	LEFT JOIN sync_engine.manifest_entity u ON (u.product, u.entity) = (k.product, k.entity) AND u.source = 'user'
	LEFT JOIN sync_engine.manifest_entity d ON (d.product, d.entity) = (k.product, k.entity) AND d.source = 'discovered'
	LEFT JOIN sync_engine.manifest_entity b ON (b.product, b.entity) = (k.product, k.entity) AND b.source = 'builtin') e
) s, LATERAL (SELECT CASE WHEN s.parent IS NULL AND s.strategy IN ('keyset', 'append_log', 'created_tail', 'include')
	THEN CASE WHEN 'updated_at' = ANY (s.order_keys) AND 'updated_at' = ANY (s.where_keys) THEN 'updated_at'
		WHEN 'created_at' = ANY (s.order_keys) AND 'created_at' = ANY (s.where_keys) THEN 'created_at' END
	END AS keyset_key) k, LATERAL (SELECT CASE WHEN s.parent IS NULL AND NOT s.single AND s.strategy <> 'full_scan'
	THEN CASE WHEN 'updated_at' = ANY (s.order_keys || s.where_keys) THEN 'updated_at'
		WHEN s.strategy IN ('append_log', 'created_tail') AND 'created_at' = ANY (s.order_keys || s.where_keys)
		THEN 'created_at' END
	END AS delta_key) d;
COMMENT ON VIEW sync_engine.merged_entity IS 'Entities as the manifest has them, all sources together; ready = it can be synced';

CREATE VIEW sync_engine.merged_attribute WITH (security_invoker = true) AS
SELECT k.product, k.entity, k.attribute, coalesce(u.type, d.type, b.type, 'string') AS type,
	row_number() OVER (PARTITION BY k.product, k.entity
		ORDER BY coalesce(u.position, d.position, b.position), k.attribute)::int AS position,
	coalesce(u.volatile, d.volatile, b.volatile, false) AS volatile,
	coalesce(u.fields_only, d.fields_only, b.fields_only, false) AS fields_only,
	coalesce(u.privacy, d.privacy, b.privacy, 'keep') AS privacy
FROM (SELECT DISTINCT product, entity, attribute FROM sync_engine.manifest_attribute) k
LEFT JOIN sync_engine.manifest_attribute u
	ON (u.product, u.entity, u.attribute) = (k.product, k.entity, k.attribute) AND u.source = 'user'
LEFT JOIN sync_engine.manifest_attribute d
	ON (d.product, d.entity, d.attribute) = (k.product, k.entity, k.attribute) AND d.source = 'discovered'
LEFT JOIN sync_engine.manifest_attribute b
	ON (b.product, b.entity, b.attribute) = (k.product, k.entity, k.attribute) AND b.source = 'builtin';
COMMENT ON VIEW sync_engine.merged_attribute IS 'Attributes as the manifest has them, all sources together; those without a position come last';

CREATE VIEW sync_engine.merged_relationship WITH (security_invoker = true) AS
SELECT k.product, k.entity, k.relationship, coalesce(u.target, d.target, b.target) AS target,
	coalesce(u.many, d.many, b.many, false) AS many,
	coalesce(u.polymorphic, d.polymorphic, b.polymorphic, false) AS polymorphic,
	row_number() OVER (PARTITION BY k.product, k.entity
		ORDER BY coalesce(u.position, d.position, b.position), k.relationship)::int AS position
FROM (SELECT DISTINCT product, entity, relationship FROM sync_engine.manifest_relationship) k
LEFT JOIN sync_engine.manifest_relationship u
	ON (u.product, u.entity, u.relationship) = (k.product, k.entity, k.relationship) AND u.source = 'user'
LEFT JOIN sync_engine.manifest_relationship d
	ON (d.product, d.entity, d.relationship) = (k.product, k.entity, k.relationship) AND d.source = 'discovered'
LEFT JOIN sync_engine.manifest_relationship b
	ON (b.product, b.entity, b.relationship) = (k.product, k.entity, k.relationship) AND b.source = 'builtin';
COMMENT ON VIEW sync_engine.merged_relationship IS 'Relationships as the manifest has them, all sources together';

CREATE VIEW sync_engine.merged_edge WITH (security_invoker = true) AS
SELECT e.product, e.entity, e.parent, e.kind, coalesce(e.rank, CASE e.kind WHEN 'hard' THEN 0 ELSE 2 END) AS rank
FROM (SELECT k.product, k.entity, k.parent, coalesce(u.kind, d.kind, b.kind, 'soft') AS kind,
		coalesce(u.rank, d.rank, b.rank) AS rank
	FROM (SELECT DISTINCT product, entity, parent FROM sync_engine.manifest_edge) k
	LEFT JOIN sync_engine.manifest_edge u
		ON (u.product, u.entity, u.parent) = (k.product, k.entity, k.parent) AND u.source = 'user'
	LEFT JOIN sync_engine.manifest_edge d
		ON (d.product, d.entity, d.parent) = (k.product, k.entity, k.parent) AND d.source = 'discovered'
	LEFT JOIN sync_engine.manifest_edge b
		ON (b.product, b.entity, b.parent) = (k.product, k.entity, k.parent) AND b.source = 'builtin') e
WHERE e.kind <> 'none';
COMMENT ON VIEW sync_engine.merged_edge IS 'Edges of the dependency graph as the manifest has them, all sources together';

CREATE VIEW sync_engine.merged_include WITH (security_invoker = true) AS
SELECT k.product, k.parent, k.include, coalesce(u.entity, d.entity, b.entity) AS entity,
	coalesce(u.complete, d.complete, b.complete, false) AS complete
FROM (SELECT DISTINCT product, parent, include FROM sync_engine.manifest_include) k
LEFT JOIN sync_engine.manifest_include u
	ON (u.product, u.parent, u.include) = (k.product, k.parent, k.include) AND u.source = 'user'
LEFT JOIN sync_engine.manifest_include d
	ON (d.product, d.parent, d.include) = (k.product, k.parent, k.include) AND d.source = 'discovered'
LEFT JOIN sync_engine.manifest_include b
	ON (b.product, b.parent, b.include) = (k.product, k.parent, k.include) AND b.source = 'builtin';
COMMENT ON VIEW sync_engine.merged_include IS 'Includes as the manifest has them, all sources together';

GRANT SELECT ON sync_engine.manifest_include, sync_engine.merged_product, sync_engine.merged_entity,
	sync_engine.merged_attribute, sync_engine.merged_relationship, sync_engine.merged_edge,
	sync_engine.merged_include TO pg_monitor;

-- manifest_add: one built-in entity with its attributes [name, type, flags ...],
-- relationships [name, target, one|many, flags ...], edges [parent, kind, rank]
-- and what its own list can include [include, entity, flags ...].
CREATE FUNCTION sync_engine.manifest_add(product text, entity text, path text, get_path text, single boolean,
	parent text, parent_columns text[], shared boolean, aliases text[], strategy text,
	order_keys text[], where_keys text[], includes text[], unreachable text, confidence text, origin text,
	attributes jsonb, relationships jsonb, edges jsonb, included jsonb)
RETURNS void LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
	INSERT INTO sync_engine.manifest_entity
	VALUES (product, entity, 'builtin', path, get_path, single, parent, parent_columns, shared, aliases, strategy,
		order_keys, where_keys, includes, unreachable, confidence, origin);

	INSERT INTO sync_engine.manifest_attribute
	SELECT product, entity, a.value->>0, 'builtin', a.value->>1, a.ordinality,
		a.value ? 'volatile', a.value ? 'fields_only', CASE WHEN a.value ? 'drop' THEN 'drop' ELSE 'keep' END
	FROM jsonb_array_elements(attributes) WITH ORDINALITY a;

	INSERT INTO sync_engine.manifest_relationship
	SELECT product, entity, r.value->>0, 'builtin', r.value->>1, r.value->>2 = 'many',
		r.value ? 'polymorphic', r.ordinality
	FROM jsonb_array_elements(relationships) WITH ORDINALITY r;

	INSERT INTO sync_engine.manifest_edge
	SELECT product, entity, e->>0, 'builtin', e->>1, (e->>2)::int FROM jsonb_array_elements(edges) e;

	INSERT INTO sync_engine.manifest_include
	SELECT product, entity, i->>0, 'builtin', i->>1, i ? 'complete' FROM jsonb_array_elements(included) i;
$$;
COMMENT ON FUNCTION sync_engine.manifest_add(text, text, text, text, boolean, text, text[], boolean, text[], text,
	text[], text[], text[], text, text, text, jsonb, jsonb, jsonb, jsonb)
	IS 'Adds one built-in entity to the manifest';
