-- Discovery: what the API's own documentation says, beside the manifest.
--
-- A lane stores the documents as they came; everything else is said here, so
-- that a difference, and what it comes from, can be looked at with SQL.
-- Applying writes 'discovered' rows of the manifest, and only adds: what the
-- documentation no longer has may still be there, and a column keeps its type.
-- Both are reported, for people to judge.

CREATE TABLE sync_engine.documentation (
	product text NOT NULL,
	version text NOT NULL,
	vertex text NOT NULL,
	document jsonb NOT NULL CHECK (jsonb_typeof(document) = 'object'),
	fetched_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (product, version, vertex)
);
COMMENT ON TABLE sync_engine.documentation IS 'The API''s documentation graph, as it came; never dumped';
COMMENT ON COLUMN sync_engine.documentation.vertex IS 'Id of a vertex; '''' = the product''s graph; @version = the version, with its vertices';

-- A list is {"data": [...]} among the document's relationships, or an array in
-- the document; a member has its attributes beside type and id, or is them.
CREATE VIEW sync_engine.documented_item WITH (security_invoker = true) AS
SELECT d.product, d.version, d.vertex, l.list,
	m.member || CASE jsonb_typeof(m.member->'attributes') WHEN 'object' THEN m.member->'attributes' ELSE '{}' END AS item
FROM sync_engine.documentation d,
	LATERAL (SELECT CASE jsonb_typeof(d.document->'data') WHEN 'object' THEN d.document->'data'
		ELSE d.document END AS document) b,
	LATERAL jsonb_each(b.document || CASE jsonb_typeof(b.document->'relationships') WHEN 'object'
		THEN b.document->'relationships' ELSE '{}' END) l(list, value),
	LATERAL jsonb_array_elements(CASE WHEN jsonb_typeof(l.value) = 'array' THEN l.value
		WHEN jsonb_typeof(l.value->'data') = 'array' THEN l.value->'data' ELSE '[]' END) m(member)
WHERE jsonb_typeof(m.member) = 'object';
COMMENT ON VIEW sync_engine.documented_item IS 'Members of all lists in the stored documentation';

CREATE VIEW sync_engine.documented_version WITH (security_invoker = true) AS
SELECT DISTINCT i.product, n.version, i.item->'beta' = 'true' AS beta
FROM sync_engine.documented_item i, LATERAL coalesce(i.item->>'id', i.item->>'name') n(version)
WHERE i.vertex = '' AND i.list = 'versions' AND n.version ~ '^\d{4}-\d{2}-\d{2}$';
COMMENT ON VIEW sync_engine.documented_version IS 'Versions that the graph of a product lists';

-- The newest version that is stored counts.  What a vertex is called stands in
-- its own document; the version's says that there is one.
CREATE VIEW sync_engine.documented_vertex WITH (security_invoker = true) AS
SELECT DISTINCT ON (i.product, v.vertex) i.product, i.version, v.vertex,
	coalesce(d.document #>> '{data,attributes,name}', d.document->>'name', i.item->>'name',
		replace(initcap(replace(v.vertex, '_', ' ')), ' ', '')) AS entity,
	d.document IS NOT NULL AS stored
FROM sync_engine.documented_item i
CROSS JOIN LATERAL (SELECT coalesce(i.item->>'id',
	lower(regexp_replace(i.item->>'name', '(?<=.)([A-Z])', '_\1', 'g'))) AS vertex) v
LEFT JOIN sync_engine.documentation d
	ON (d.product, d.version, d.vertex) = (i.product, i.version, v.vertex)
WHERE i.vertex = '@version' AND i.list = 'vertices' AND v.vertex ~ '^[A-Za-z0-9_-]+$'	-- it becomes part of a path
	AND i.version = (SELECT max(n.version) FROM sync_engine.documentation n
		WHERE n.product = i.product AND n.vertex = '@version')
ORDER BY i.product, v.vertex;
COMMENT ON VIEW sync_engine.documented_vertex IS 'Entities of each product''s newest stored version; stored = its own document is there, too';

-- kind: attribute, order_key, where_key, include, relationship.
CREATE VIEW sync_engine.documented_member WITH (security_invoker = true) AS
SELECT DISTINCT ON (m.product, m.entity, m.kind, m.name) m.product, m.entity, m.kind, m.name, m.type AS documented,
	-- in the manifest's words
	CASE WHEN m.kind <> 'attribute' THEN m.type
		WHEN m.type = 'primary_key' THEN 'id'
		WHEN m.type IN ('hash', 'object') THEN 'json'
		WHEN m.type IN ('string', 'id', 'date_time', 'date', 'integer', 'float', 'decimal', 'boolean', 'json', 'array') THEN m.type
		ELSE 'unknown' END AS type,
	m.many, m.polymorphic, m.fields_only
FROM (
	SELECT v.product, v.entity, k.kind,
		CASE k.kind WHEN 'where_key' THEN coalesce(substring(i.item->>'parameter' from '^where\[([^][]+)\]$'), i.item->>'name')
			ELSE i.item->>'name' END AS name,
		CASE k.kind WHEN 'attribute' THEN coalesce(i.item #>> '{type_annotation,name}', i.item->>'type_annotation', 'unknown')
			WHEN 'relationship' THEN nullif(i.item->>'graph_type', '') END AS type,
		coalesce(i.item->>'association' = 'to_many', false) AS many,
		coalesce(i.item->'polymorphic', 'null') NOT IN ('null', 'false', '[]') AS polymorphic,
		-- nothing but the note tells
		coalesce(i.item->>'note' ~* 'only (available|returned|included) when .*fields', false) AS fields_only
	FROM sync_engine.documented_vertex v
	JOIN sync_engine.documented_item i ON (i.product, i.version, i.vertex) = (v.product, v.version, v.vertex)
	JOIN (VALUES ('attributes', 'attribute'), ('can_order', 'order_key'), ('can_query', 'where_key'),
		('can_include', 'include'), ('relationships', 'relationship')) k(list, kind) ON k.list = i.list) m
-- the id is every record's, and no attribute
WHERE m.name <> '' AND NOT (m.kind = 'attribute' AND m.name = 'id')
ORDER BY m.product, m.entity, m.kind, m.name;
COMMENT ON VIEW sync_engine.documented_member IS 'What the documentation says of each entity, one row per attribute, key, include and relationship';

-- An edge stands with its tail and again with its head; each may name only the
-- other end, or not even that: what they have in common is the path.
CREATE VIEW sync_engine.documented_edge WITH (security_invoker = true) AS
SELECT e.product, e.path, e.name,
	coalesce(min(e.entity) FILTER (WHERE e.list = 'outbound_edges'), min(t.entity)) AS tail,
	coalesce(min(e.entity) FILTER (WHERE e.list = 'inbound_edges'), min(h.entity)) AS head
FROM (
	SELECT v.product, v.entity, i.list, i.item->>'name' AS name,
		regexp_replace(i.item->>'path', '^[a-z]+://[^/]+', '') AS path,
		coalesce(i.item #> '{relationships,tail,data}', i.item->'tail') AS tail,
		coalesce(i.item #> '{relationships,head,data}', i.item->'head') AS head
	FROM sync_engine.documented_vertex v
	JOIN sync_engine.documented_item i ON (i.product, i.version, i.vertex) = (v.product, v.version, v.vertex)
	WHERE i.list IN ('outbound_edges', 'inbound_edges')) e
LEFT JOIN sync_engine.documented_vertex t
	ON t.product = e.product AND t.vertex = coalesce(e.tail->>'id', e.tail #>> '{}')
LEFT JOIN sync_engine.documented_vertex h
	ON h.product = e.product AND h.vertex = coalesce(e.head->>'id', e.head #>> '{}')
WHERE e.path ~ '^/' AND e.name <> ''
GROUP BY e.product, e.path, e.name;
COMMENT ON VIEW sync_engine.documented_edge IS 'Edges of the documentation graph: under which path the records of the head are found';

-- Where the records of an entity can be read, by edges from what is ready: the
-- organization's are lists of their own, others are beneath the records of their
-- tail, if these have a column for every parameter.
CREATE VIEW sync_engine.documented_path WITH (security_invoker = true) AS
WITH entity AS MATERIALIZED (
	SELECT product, entity, path FROM sync_engine.entity WHERE ready AND entity <> 'Organization'
), data_column AS (
	SELECT c.product, c.entity, array_agg(c.name) AS names
	FROM (SELECT product, entity, 'id' AS name FROM entity
		UNION ALL SELECT product, entity, attribute FROM sync_engine.attribute
		UNION ALL SELECT product, entity, relationship || '_id' FROM sync_engine.relationship WHERE NOT many
		UNION ALL SELECT product, entity, found[1] FROM entity, regexp_matches(path, '\{([^{}]+)\}', 'g') found) c
	GROUP BY c.product, c.entity
)
SELECT DISTINCT ON (e.product, e.head) e.product, e.head AS entity, e.path, t.entity AS parent, p.columns AS parent_columns,
	m.name IS NOT NULL AS single
FROM sync_engine.documented_edge e
JOIN sync_engine.product b ON b.product = e.product AND starts_with(e.path, b.base_path || '/')
CROSS JOIN LATERAL (
	-- the tail's own id stands before the edge's name
	SELECT coalesce(array_agg(CASE WHEN e.path LIKE '%/{' || found[1] || '}/' || e.name THEN 'id'
		ELSE found[1] END ORDER BY n), '{}') AS columns
	FROM regexp_matches(e.path, '\{([^{}]+)\}', 'g') WITH ORDINALITY f(found, n)) p
LEFT JOIN entity t ON (t.product, t.entity) = (e.product, e.tail)
LEFT JOIN data_column c ON (c.product, c.entity) = (t.product, t.entity)
-- a to-one of the tail gives one record
LEFT JOIN sync_engine.documented_member m
	ON (m.product, m.entity, m.kind, m.name) = (e.product, e.tail, 'relationship', e.name) AND NOT m.many
WHERE CASE e.tail WHEN 'Organization' THEN p.columns = '{}' ELSE p.columns <> '{}' AND p.columns <@ c.names END
ORDER BY e.product, e.head, e.tail <> 'Organization', single, cardinality(p.columns), e.path;
COMMENT ON VIEW sync_engine.documented_path IS 'The shortest documented way to the records of each entity';

CREATE FUNCTION sync_engine.manifest_differences(product text DEFAULT NULL)
RETURNS TABLE (product text, entity text, change text, name text, documented text, manifest text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH vertex AS MATERIALIZED (
		SELECT v.* FROM sync_engine.documented_vertex v
		JOIN sync_engine.product p ON p.product = v.product
	), entity AS MATERIALIZED (
		-- ours: what only a user has is the user's, and no difference if it is not documented
		SELECT e.*, EXISTS (SELECT FROM sync_engine.manifest_entity m
			WHERE (m.product, m.entity) = (e.product, e.entity) AND m.source <> 'user') AS ours
		FROM sync_engine.entity e
	), there AS (
		SELECT m.*
		FROM sync_engine.documented_member m
		JOIN entity e ON (e.product, e.entity) = (m.product, m.entity)
	), here AS (
		SELECT m.*
		FROM (
			SELECT a.product, a.entity, 'attribute' AS kind, a.attribute AS name, a.type,
				EXISTS (SELECT FROM sync_engine.manifest_attribute m WHERE m.source <> 'user'
					AND (m.product, m.entity, m.attribute) = (a.product, a.entity, a.attribute)) AS ours
			FROM sync_engine.attribute a
			UNION ALL
			SELECT r.product, r.entity, 'relationship', r.relationship, r.target,
				EXISTS (SELECT FROM sync_engine.manifest_relationship m WHERE m.source <> 'user'
					AND (m.product, m.entity, m.relationship) = (r.product, r.entity, r.relationship))
			FROM sync_engine.relationship r
			UNION ALL
			SELECT e.product, e.entity, k.kind, n.name, NULL, true
			FROM entity e,
				LATERAL (VALUES ('order_key', e.order_keys), ('where_key', e.where_keys), ('include', e.includes)) k(kind, names),
				LATERAL unnest(k.names) n(name)) m
		JOIN vertex v ON (v.product, v.entity) = (m.product, m.entity) AND v.stored
		-- where no attribute is documented, the records are another type's
		WHERE m.kind <> 'attribute' OR (m.product, m.entity) IN (
			SELECT t.product, t.entity FROM there t WHERE t.kind = 'attribute')
	), difference AS (
		SELECT p.product, NULL AS entity, 'new_version' AS change, v.version AS name,
			v.version AS documented, p.api_version AS manifest
		FROM sync_engine.product p
		JOIN sync_engine.documented_version v ON v.product = p.product
		WHERE v.version > p.api_version AND v.beta IS NOT TRUE
		UNION ALL
		SELECT product, entity, CASE WHEN e.ours IS NULL THEN 'new_entity' ELSE 'removed_entity' END, entity, v.vertex, e.path
		FROM vertex v
		FULL JOIN entity e USING (product, entity)
		WHERE e.ours IS NULL
			OR v.vertex IS NULL AND e.ours AND EXISTS (SELECT FROM vertex o WHERE o.product = e.product)
		UNION ALL
		SELECT product, entity,
			CASE WHEN h.ours IS NULL THEN 'new_' || kind WHEN d.many IS NULL THEN 'removed_' || kind ELSE 'attribute_type' END,
			name, CASE WHEN d.many IS NOT NULL THEN coalesce(d.documented, name) END,
			CASE WHEN h.ours IS NOT NULL THEN coalesce(h.type, name) END
		FROM there d
		FULL JOIN here h USING (product, entity, kind, name)
		WHERE h.ours IS NULL OR d.many IS NULL AND h.ours OR kind = 'attribute' AND d.type <> h.type
	)
	SELECT d.product, d.entity, d.change, d.name, d.documented, d.manifest
	FROM difference d
	WHERE d.product = coalesce(manifest_differences.product, d.product)
	ORDER BY d.product, d.entity NULLS FIRST, d.change, d.name
$$;
COMMENT ON FUNCTION sync_engine.manifest_differences(text)
	IS 'Where the stored documentation and the manifest differ, of one product or (NULL) of all';

-- New entities first: what belongs to them are differences from then on.
CREATE FUNCTION sync_engine.manifest_apply_differences(product text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	no_path CONSTANT text := 'discovery could not derive a path';
	before CONSTANT bigint := (SELECT count(*) FROM sync_engine.manifest_differences(product));
	troubled CONSTANT jsonb := (SELECT coalesce(jsonb_object_agg(p.product || '.' || p.entity, p.problem), '{}')
		FROM sync_engine.manifest_problems(product) p);
	trouble record;
BEGIN
	WITH difference AS MATERIALIZED (
		SELECT * FROM sync_engine.manifest_differences(product)
	), version AS (
		INSERT INTO sync_engine.manifest_product (product, source, api_version)
		SELECT d.product, 'discovered', max(d.name) FROM difference d WHERE d.change = 'new_version' GROUP BY d.product
		ON CONFLICT ON CONSTRAINT manifest_product_pkey DO UPDATE SET api_version = excluded.api_version
	)
	INSERT INTO sync_engine.manifest_entity (product, entity, source, unreachable, confidence, origin)
	SELECT v.product, v.entity, 'discovered', no_path, 'medium', 'doc_graph:' || v.version
	FROM difference d
	JOIN sync_engine.documented_vertex v ON (v.product, v.entity) = (d.product, d.entity)
	WHERE d.change = 'new_entity' AND d.entity ~ '^[A-Za-z][A-Za-z0-9_]*$'
	ON CONFLICT DO NOTHING;

	WITH difference AS MATERIALIZED (
		SELECT * FROM sync_engine.manifest_differences(product)
	), attribute AS (
		INSERT INTO sync_engine.manifest_attribute (product, entity, attribute, source, type, fields_only)
		SELECT m.product, m.entity, m.name, 'discovered', m.type, m.fields_only
		FROM difference d
		JOIN sync_engine.documented_member m
			ON (m.product, m.entity, m.kind, m.name) = (d.product, d.entity, 'attribute', d.name)
		WHERE d.change = 'new_attribute' AND d.name ~ '^[^_]' AND d.name <> 'org' AND octet_length(d.name) <= 63
		ON CONFLICT DO NOTHING
	), relationship AS (
		INSERT INTO sync_engine.manifest_relationship (product, entity, relationship, source, target, many, polymorphic)
		SELECT m.product, m.entity, m.name, 'discovered', coalesce(a.entity, m.type), m.many, m.polymorphic
		FROM difference d
		JOIN sync_engine.documented_member m
			ON (m.product, m.entity, m.kind, m.name) = (d.product, d.entity, 'relationship', d.name)
		LEFT JOIN LATERAL (SELECT min(e.entity) AS entity FROM sync_engine.entity e
			WHERE e.product = m.product AND m.type = ANY (e.aliases)) a ON true
		WHERE d.change = 'new_relationship' AND d.name ~ '^[^_]' AND octet_length(d.name || '_type') <= 63
		ON CONFLICT DO NOTHING
	), include AS (
		INSERT INTO sync_engine.manifest_include (product, parent, include, source, entity, complete)
		SELECT d.product, d.entity, d.name, 'discovered', min(g.head), false
		FROM difference d
		JOIN sync_engine.documented_edge g ON (g.product, g.tail, g.name) = (d.product, d.entity, d.name)
		JOIN sync_engine.entity e ON (e.product, e.entity) = (g.product, g.head)
		WHERE d.change = 'new_include'
		GROUP BY d.product, d.entity, d.name
		ON CONFLICT DO NOTHING
	), key AS (
		SELECT d.product, d.entity, array_agg(d.name) FILTER (WHERE d.change = 'new_order_key') AS order_keys,
			array_agg(d.name) FILTER (WHERE d.change = 'new_where_key') AS where_keys,
			array_agg(d.name) FILTER (WHERE d.change = 'new_include') AS includes
		FROM difference d
		WHERE d.change IN ('new_order_key', 'new_where_key', 'new_include')
		GROUP BY d.product, d.entity
	)
	-- an array overrides as a whole, so the discovered one repeats the built-in
	INSERT INTO sync_engine.manifest_entity AS m (product, entity, source, order_keys, where_keys, includes)
	SELECT k.product, k.entity, 'discovered',
		CASE WHEN k.order_keys <> '{}' THEN ARRAY(
			SELECT DISTINCT unnest(coalesce(o.order_keys, b.order_keys) || k.order_keys) ORDER BY 1) END,
		CASE WHEN k.where_keys <> '{}' THEN ARRAY(
			SELECT DISTINCT unnest(coalesce(o.where_keys, b.where_keys) || k.where_keys) ORDER BY 1) END,
		CASE WHEN k.includes <> '{}' THEN ARRAY(
			SELECT DISTINCT unnest(coalesce(o.includes, b.includes) || k.includes) ORDER BY 1) END
	FROM key k
	LEFT JOIN sync_engine.manifest_entity o ON (o.product, o.entity, o.source) = (k.product, k.entity, 'discovered')
	LEFT JOIN sync_engine.manifest_entity b ON (b.product, b.entity, b.source) = (k.product, k.entity, 'builtin')
	ON CONFLICT ON CONSTRAINT manifest_entity_pkey DO UPDATE SET
		order_keys = coalesce(excluded.order_keys, m.order_keys),
		where_keys = coalesce(excluded.where_keys, m.where_keys),
		includes = coalesce(excluded.includes, m.includes);

	-- The built-in strategy follows from the built-in keys: one beyond them, by
	-- which a list can be read, counts more.
	UPDATE sync_engine.manifest_entity m SET strategy = 'keyset'
	FROM sync_engine.entity e
	JOIN sync_engine.manifest_entity b ON (b.product, b.entity, b.source) = (e.product, e.entity, 'builtin')
	WHERE (m.product, m.entity, m.source) = (e.product, e.entity, 'discovered') AND m.strategy IS NULL
		AND m.product = coalesce(manifest_apply_differences.product, m.product)
		AND e.parent IS NULL AND NOT e.single AND EXISTS (
			SELECT FROM unnest(ARRAY['updated_at', 'created_at']) k
			WHERE k = ANY (e.order_keys) AND k = ANY (e.where_keys)
				AND (k = ANY (b.order_keys) AND k = ANY (b.where_keys)) IS NOT TRUE);

	-- Each round may make the parents of the next ready.
	LOOP
		UPDATE sync_engine.manifest_entity m
		SET path = p.path, get_path = CASE WHEN p.parent IS NULL THEN p.path || '/{id}' END, single = p.single,
			parent = p.parent, parent_columns = p.parent_columns, unreachable = NULL
		FROM sync_engine.documented_path p
		WHERE (p.product, p.entity) = (m.product, m.entity) AND m.source = 'discovered' AND m.unreachable = no_path
			AND m.product = coalesce(manifest_apply_differences.product, m.product);
		EXIT WHEN NOT FOUND;
	END LOOP;

	INSERT INTO sync_engine.manifest_edge (product, entity, parent, source, kind, rank)
	SELECT m.product, m.entity, m.parent, 'discovered', 'hard', 0
	FROM sync_engine.manifest_entity m
	WHERE m.source = 'discovered' AND m.parent <> ''
		AND m.product = coalesce(manifest_apply_differences.product, m.product)
	ON CONFLICT DO NOTHING;

	-- What can be synced today must not stop for what the documentation says.
	SELECT p.* INTO trouble
	FROM sync_engine.manifest_problems(product) p
	JOIN sync_engine.manifest_entity e ON (e.product, e.entity, e.source) = (p.product, p.entity, 'builtin')
	WHERE NOT troubled ? (p.product || '.' || p.entity)
	LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'what is documented would keep %.% from being synced: %', trouble.product, trouble.entity, trouble.problem
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Nothing was applied. Settle it with rows of your own in the manifest, then apply again.';
	END IF;

	RETURN before - (SELECT count(*) FROM sync_engine.manifest_differences(product));
END $$;
COMMENT ON FUNCTION sync_engine.manifest_apply_differences(text)
	IS 'Adds to the manifest what is new in the stored documentation; returns how many differences that settled';

GRANT SELECT ON sync_engine.documentation, sync_engine.documented_item, sync_engine.documented_version,
	sync_engine.documented_vertex, sync_engine.documented_member, sync_engine.documented_edge,
	sync_engine.documented_path TO pg_monitor;
