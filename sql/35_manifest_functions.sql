-- What the manifest says, in a form to read; and what is wrong with it.

CREATE FUNCTION sync_engine.resolve_entity(OUT product text, INOUT entity text)
RETURNS record LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'sync_engine_resolve_entity';
COMMENT ON FUNCTION sync_engine.resolve_entity(text)
	IS 'The entity of a name as people write it: Person, giving.Person, check-ins.CheckIn; an error that lists the candidates otherwise';

-- manifest_problems: what one row cannot tell (that is for CHECK constraints).
-- Every problem is an entity's; the engine refuses to sync one that has any.
CREATE FUNCTION sync_engine.manifest_problems(INOUT product text DEFAULT NULL, INOUT entity text DEFAULT NULL,
	OUT problem text, OUT hint text)
RETURNS SETOF record LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
WITH RECURSIVE
-- each read once
entity AS MATERIALIZED (SELECT * FROM sync_engine.entity),
attribute AS MATERIALIZED (SELECT * FROM sync_engine.attribute),
relationship AS MATERIALIZED (SELECT * FROM sync_engine.relationship),
edge AS MATERIALIZED (SELECT * FROM sync_engine.edge),
include AS MATERIALIZED (SELECT * FROM sync_engine.include),
parameter AS (
	SELECT e.product, e.entity, m[1] AS name, n
	FROM entity e, regexp_matches(e.path, '\{([^}]*)\}', 'g') WITH ORDINALITY AS t (m, n)
),
-- What a data table has beside its key; an attribute shares the column of its name.
data_column (product, entity, name, member) AS (
	SELECT r.product, r.entity, r.relationship || CASE WHEN r.many THEN '_ids' ELSE '_id' END,
		format('relationship "%s"', r.relationship) FROM relationship r
	UNION ALL SELECT r.product, r.entity, r.relationship || '_type', format('relationship "%s"', r.relationship)
	FROM relationship r WHERE r.polymorphic AND NOT r.many
	UNION ALL SELECT p.product, p.entity, p.name, format('path parameter {%s}', p.name) FROM parameter p
	UNION ALL SELECT a.product, a.entity, a.attribute, format('attribute "%s"', a.attribute)
	FROM attribute a
),
identifier AS (
	SELECT e.product, e.entity, 'schema' AS kind, 'pco_' || e.product AS name FROM entity e
	UNION ALL SELECT e.product, e.entity, 'table', e.table_name FROM entity e
	UNION ALL SELECT e.product, e.entity, 'view', CASE WHEN e.product <> 'people' THEN e.product || '_' ELSE '' END || e.table_name
	FROM entity e
	UNION ALL SELECT c.product, c.entity, 'column', c.name FROM data_column c
),
chain (product, first, last, members) AS (
	SELECT d.product, d.entity, d.parent, ARRAY[d.entity, d.parent] FROM edge d WHERE d.kind = 'hard'
	UNION ALL
	SELECT c.product, c.first, d.parent, c.members || d.parent
	FROM chain c JOIN edge d ON d.product = c.product AND d.entity = c.last AND d.kind = 'hard'
	WHERE c.last <> c.first AND (d.parent = c.first OR d.parent <> ALL (c.members))
),
found (product, entity, problem, hint) AS (
	SELECT e.product, e.entity, format('product "%s" is not in the manifest', e.product),
		'Insert it into sync_engine.manifest_product.'
	FROM entity e WHERE NOT EXISTS (SELECT FROM sync_engine.product p WHERE p.product = e.product)

	UNION ALL
	SELECT e.product, e.entity, format('product "%s" has no %s', p.product,
			CASE WHEN p.base_path IS NULL THEN 'base_path' ELSE 'api_version' END),
		'Set it in sync_engine.manifest_product.'
	FROM entity e JOIN sync_engine.product p USING (product)
	WHERE p.base_path IS NULL OR p.api_version IS NULL

	UNION ALL
	SELECT e.product, e.entity, format('%s %s is not beneath the product''s base_path %s', v.kind, v.path, p.base_path),
		format('A path of product "%s" begins with %s/.', p.product, p.base_path)
	FROM entity e JOIN sync_engine.product p USING (product),
		LATERAL (VALUES ('path', e.path), ('get_path', e.get_path)) AS v (kind, path)
	WHERE v.path <> p.base_path AND NOT starts_with(v.path, p.base_path || '/')

	UNION ALL
	SELECT DISTINCT m.product, m.entity, format('%s "%s" is of an entity that is not in the manifest', m.kind, m.name),
		'Insert the entity into sync_engine.manifest_entity, or correct its name.'
	FROM (SELECT a.product, a.entity, 'attribute', a.attribute FROM attribute a
		UNION ALL SELECT r.product, r.entity, 'relationship', r.relationship FROM relationship r
		UNION ALL SELECT d.product, d.entity, 'edge to', d.parent FROM sync_engine.manifest_edge d
		UNION ALL SELECT i.product, i.parent, 'include', i.include FROM include i) AS m (product, entity, kind, name)
	WHERE NOT EXISTS (SELECT FROM entity e WHERE (e.product, e.entity) = (m.product, m.entity))

	-- An override of what is not there changes nothing, and would do so in silence.
	UNION ALL
	SELECT u.product, u.entity, u.problem, u.hint
	FROM (SELECT m.product, m.entity, 'the entity is not known, and has no path',
			'Correct its name, or give it a path in sync_engine.manifest_entity.'
		FROM sync_engine.manifest_entity m
		WHERE m.source = 'user' AND m.path IS NULL AND NOT EXISTS (SELECT FROM sync_engine.manifest_entity o
			WHERE (o.product, o.entity) = (m.product, m.entity) AND o.source <> 'user')
		UNION ALL
		SELECT m.product, m.entity, format('attribute "%s" is not known, and has no type', m.attribute),
			'Correct its name, or give it a type in sync_engine.manifest_attribute.'
		FROM sync_engine.manifest_attribute m
		WHERE m.source = 'user' AND m.type IS NULL AND NOT EXISTS (SELECT FROM sync_engine.manifest_attribute o
			WHERE (o.product, o.entity, o.attribute) = (m.product, m.entity, m.attribute) AND o.source <> 'user')
		UNION ALL
		SELECT m.product, m.entity, format('relationship "%s" is not known, and has no target', m.relationship),
			'Correct its name, or give it a target in sync_engine.manifest_relationship.'
		FROM sync_engine.manifest_relationship m
		WHERE m.source = 'user' AND m.target IS NULL AND NOT EXISTS (SELECT FROM sync_engine.manifest_relationship o
			WHERE (o.product, o.entity, o.relationship) = (m.product, m.entity, m.relationship) AND o.source <> 'user')
		UNION ALL
		SELECT m.product, m.entity, format('its edge to "%s" is not known, and has no kind that makes it one', m.parent),
			'Correct the name of the parent, or set the kind of the edge to hard or soft in sync_engine.manifest_edge.'
		FROM sync_engine.manifest_edge m
		WHERE m.source = 'user' AND m.kind = 'none' AND NOT EXISTS (SELECT FROM sync_engine.manifest_edge o
			WHERE (o.product, o.entity, o.parent) = (m.product, m.entity, m.parent) AND o.source <> 'user')
	) AS u (product, entity, problem, hint)
	WHERE EXISTS (SELECT FROM entity e WHERE (e.product, e.entity) = (u.product, u.entity))

	UNION ALL
	SELECT e.product, e.entity, format('its parent "%s" %s', e.parent,
			CASE WHEN p.entity IS NULL THEN 'is not in the manifest'
				ELSE 'cannot be synced: ' || coalesce(p.unreachable, 'it has no path') END),
		'Give this entity an unreachable reason, too, or name a parent whose rows can be walked.'
	FROM entity e LEFT JOIN entity p ON (p.product, p.entity) = (e.product, e.parent)
	WHERE e.ready AND e.parent IS NOT NULL AND p.ready IS NOT true

	UNION ALL
	SELECT e.product, e.entity, format('its path has parameters, but it has no parent: %s', e.path),
		'Set parent and parent_columns in sync_engine.manifest_entity.'
	FROM entity e WHERE e.path ~ '[{}]' AND e.parent IS NULL

	UNION ALL
	SELECT e.product, e.entity, format('it walks "%s", but its path has no parameter for it: %s', e.parent, e.path),
		'Write the parent''s id as {parameter} into the path, or set parent to an empty string.'
	FROM entity e WHERE e.parent IS NOT NULL AND e.path !~ '\{[^{}]+\}'

	UNION ALL
	SELECT e.product, e.entity, format('it has %s parent_columns for %s parameters of its path %s',
			cardinality(e.parent_columns), count(p.name), e.path),
		'Give one column of the parent''s data table for each parameter, in their order.'
	FROM entity e LEFT JOIN parameter p USING (product, entity)
	WHERE e.path IS NOT NULL
	GROUP BY e.product, e.entity, e.parent_columns, e.path HAVING cardinality(e.parent_columns) <> count(p.name)

	UNION ALL
	SELECT e.product, e.entity, format('its parent''s data table will have no column "%s"', c),
		format('Columns of "%s" are id, its attributes, <relationship>_id and the parameters of its path.', e.parent)
	FROM entity e JOIN entity p ON (p.product, p.entity) = (e.product, e.parent),
		unnest(e.parent_columns) c
	WHERE c <> 'id' AND NOT EXISTS (SELECT FROM data_column d WHERE (d.product, d.entity, d.name) = (p.product, p.entity, c))

	UNION ALL
	SELECT e.product, e.entity, format('its parent''s column "%s" has privacy %s, and gives no path', c, a.privacy),
		'Let its privacy be keep in sync_engine.manifest_attribute.'
	FROM entity e JOIN attribute a ON (a.product, a.entity) = (e.product, e.parent), unnest(e.parent_columns) c
	WHERE a.attribute = c AND a.privacy <> 'keep'

	UNION ALL
	SELECT a.product, a.entity, format('attribute "%s" has privacy %s, but %s stores the same in its column', a.attribute, a.privacy, c.member),
		'A reference to another record cannot be hidden: let its privacy be keep.'
	FROM attribute a JOIN data_column c ON (c.product, c.entity, c.name) = (a.product, a.entity, a.attribute)
	WHERE a.privacy <> 'keep' AND c.member NOT LIKE 'attribute %'

	UNION ALL
	SELECT e.product, e.entity, format('it walks "%s", but has no hard edge to it', e.parent),
		'Insert one into sync_engine.manifest_edge.'
	FROM entity e
	WHERE e.parent IS NOT NULL AND NOT EXISTS (SELECT FROM edge d
		WHERE (d.product, d.entity, d.parent, d.kind) = (e.product, e.entity, e.parent, 'hard'))

	UNION ALL
	SELECT d.product, d.entity, format('its %s edge names "%s", which is not in the manifest', d.kind, d.parent),
		'Correct the name, or set the kind of the edge to none in sync_engine.manifest_edge.'
	FROM edge d
	WHERE NOT EXISTS (SELECT FROM entity e WHERE (e.product, e.entity) = (d.product, d.parent))

	UNION ALL
	SELECT c.product, c.first, format('its hard edges form a cycle: %s', array_to_string(c.members, ' -> ')),
		'Set the kind of one of these edges to soft or none in sync_engine.manifest_edge.'
	FROM chain c WHERE c.last = c.first

	UNION ALL
	SELECT i.product, i.parent, format('its include "%s" names %s', i.include,
			CASE WHEN i.entity IS NULL THEN 'no entity' ELSE format('"%s", which is not in the manifest', i.entity) END),
		'Correct the entity in sync_engine.manifest_include.'
	FROM include i
	WHERE NOT EXISTS (SELECT FROM entity e WHERE (e.product, e.entity) = (i.product, i.entity))

	UNION ALL
	SELECT DISTINCT c.product, c.entity, format('%s gives a column "%s", which is of the table''s key', c.member, c.name),
		'Every data table has this column for itself: delete the row, or give it another name.'
	FROM data_column c WHERE c.name IN ('id', 'org')

	UNION ALL
	SELECT p.product, p.entity, format('its path has the parameter {%s} %s times', p.name, count(*)),
		'Each parameter is a column: give them different names.'
	FROM parameter p GROUP BY p.product, p.entity, p.name HAVING count(*) > 1

	UNION ALL
	SELECT i.product, i.entity, format('its view pco.%s is that of %s.%s, too', i.name, o.product, o.entity),
		'Rename one of them.'
	FROM identifier i JOIN identifier o USING (kind, name)
	WHERE i.kind = 'view' AND (o.product, o.entity) <> (i.product, i.entity)

	UNION ALL
	SELECT a.product, a.entity, format('attribute "%s" of type %s cannot be hashed', a.attribute, a.type),
		'Privacy hash is for type string; use drop.'
	FROM attribute a WHERE a.privacy = 'hash' AND a.type <> 'string'

	UNION ALL
	SELECT e.product, e.entity, format('strategy %s needs %s', e.strategy, need),
		'Set it, or another strategy, in sync_engine.manifest_entity.'
	FROM entity e,
		LATERAL (SELECT CASE e.strategy
			WHEN 'keyset' THEN CASE WHEN NOT 'updated_at' = ANY (e.order_keys) OR NOT 'updated_at' = ANY (e.where_keys) THEN
				CASE WHEN NOT 'created_at' = ANY (e.order_keys) OR NOT 'created_at' = ANY (e.where_keys) THEN
				'updated_at or created_at in both order_keys and where_keys' END END
			WHEN 'window' THEN CASE WHEN NOT 'updated_at' = ANY (e.where_keys) THEN 'updated_at in where_keys' END
			WHEN 'descending' THEN CASE WHEN NOT 'updated_at' = ANY (e.order_keys) THEN 'updated_at in order_keys' END
			WHEN 'append_log' THEN CASE WHEN NOT 'created_at' = ANY (e.order_keys) THEN 'created_at in order_keys' END
			WHEN 'created_tail' THEN CASE WHEN NOT 'created_at' = ANY (e.order_keys) THEN 'created_at in order_keys' END
			WHEN 'per_parent' THEN CASE WHEN e.parent IS NULL THEN 'a parent' END
			WHEN 'include' THEN CASE WHEN NOT EXISTS (SELECT FROM include i
				WHERE (i.product, i.entity) = (e.product, e.entity) AND i.complete) THEN 'a complete include of a parent' END
			WHEN 'singleton' THEN CASE WHEN NOT e.single THEN 'a path that gives a single record' END END) AS n (need)
	WHERE e.ready AND need IS NOT NULL

	UNION ALL
	SELECT i.product, i.entity, format('%s name "%s" has %s bytes, and 63 are the most', i.kind, i.name, octet_length(i.name)),
		'PostgreSQL would cut it off; the entity cannot be stored under this name.'
	FROM identifier i WHERE octet_length(i.name) > 63 AND NOT (i.kind = 'view' AND i.product = 'people')
)
SELECT f.product, f.entity, f.problem, f.hint FROM found f
WHERE (manifest_problems.product IS NULL OR f.product = manifest_problems.product)
	AND (manifest_problems.entity IS NULL OR f.entity = manifest_problems.entity)
ORDER BY f.product, f.entity, f.problem
$$;
COMMENT ON FUNCTION sync_engine.manifest_problems(text, text)
	IS 'What is wrong with the manifest, all sources together; of one product or entity, or of all';

CREATE VIEW @extschema@.sync_entities WITH (security_invoker = true) AS
SELECT e.product, e.entity, e.ready, e.strategy, e.path, e.get_path, e.single, e.parent, e.shared,
	format('pco_%s.%s', e.product, e.table_name) AS table_name,
	format('pco.%s%s', CASE WHEN e.product <> 'people' THEN e.product || '_' END, e.table_name) AS view_name,
	e.order_keys, e.where_keys, e.includes, e.unreachable, e.confidence, e.origin,
	EXISTS (SELECT FROM sync_engine.manifest_entity m WHERE (m.product, m.entity, m.source) = (e.product, e.entity, 'user'))
		OR EXISTS (SELECT FROM sync_engine.manifest_attribute m WHERE (m.product, m.entity, m.source) = (e.product, e.entity, 'user'))
		OR EXISTS (SELECT FROM sync_engine.manifest_relationship m WHERE (m.product, m.entity, m.source) = (e.product, e.entity, 'user'))
		OR EXISTS (SELECT FROM sync_engine.manifest_edge m WHERE (m.product, m.entity, m.source) = (e.product, e.entity, 'user'))
		OR EXISTS (SELECT FROM sync_engine.manifest_include m WHERE (m.product, m.parent, m.source) = (e.product, e.entity, 'user'))
		AS overridden
FROM sync_engine.entity e;
COMMENT ON VIEW @extschema@.sync_entities IS 'Entities that the manifest knows: whether and how each can be synced, and where its rows go';

CREATE VIEW @extschema@.sync_dependencies WITH (security_invoker = true) AS
SELECT d.product, d.entity, d.parent AS depends_on, d.kind, d.rank,
	CASE WHEN e.parent = d.parent THEN 'its list is read for each ' || d.parent
		WHEN d.kind = 'hard' THEN 'it belongs to ' || d.parent || coalesce(': ' || r.names, '')
		WHEN r.names IS NOT NULL THEN 'it refers to ' || d.parent || ': ' || r.names
		WHEN c.names IS NOT NULL THEN d.parent || ' contains it: ' || c.names
		ELSE 'the order alone' END AS reason
FROM sync_engine.edge d
LEFT JOIN sync_engine.entity e USING (product, entity)
LEFT JOIN (SELECT product, entity, target, string_agg(relationship, ', ' ORDER BY position) AS names
	FROM sync_engine.relationship GROUP BY product, entity, target) r
	ON (r.product, r.entity, r.target) = (d.product, d.entity, d.parent)
LEFT JOIN (SELECT product, entity, target, string_agg(relationship, ', ' ORDER BY position) AS names
	FROM sync_engine.relationship WHERE many GROUP BY product, entity, target) c
	ON (c.product, c.entity, c.target) = (d.product, d.parent, d.entity);
COMMENT ON VIEW @extschema@.sync_dependencies IS 'Which entity is synced after which, and why';

CREATE FUNCTION @extschema@.sync_entity_capabilities(OUT product text, INOUT entity text,
	OUT operation text, OUT supported boolean, OUT path text)
RETURNS SETOF record LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT e.product, e.entity, c.operation, c.at IS NOT NULL, c.at
	FROM sync_engine.resolve_entity(sync_entity_capabilities.entity) n
	JOIN sync_engine.entity e ON (e.product, e.entity) = (n.product, n.entity)
	LEFT JOIN LATERAL (
		SELECT p.path || '?include=' || i.include AS path
		FROM sync_engine.include i JOIN sync_engine.entity p ON (p.product, p.entity) = (i.product, i.parent)
		WHERE (i.product, i.entity) = (e.product, e.entity) AND i.complete AND p.ready
		ORDER BY i.parent, i.include LIMIT 1) parent ON true,
	LATERAL (VALUES
		(1, 'list', CASE WHEN e.parent IS NULL AND NOT e.single THEN e.path END),
		(2, 'walk', CASE WHEN e.parent IS NOT NULL THEN e.path END),
		(3, 'single', CASE WHEN e.single THEN e.path END),
		(4, 'get', e.get_path),
		(5, 'include', parent.path),
		(6, 'order', CASE WHEN e.order_keys <> '{}' THEN e.path END),
		(7, 'filter', CASE WHEN e.where_keys <> '{}' THEN e.path END),
		(8, 'delta', CASE WHEN (e.order_keys || e.where_keys) && ARRAY['updated_at', 'created_at'] THEN e.path END)
	) AS c (n, operation, at)
	ORDER BY c.n
$$;
COMMENT ON FUNCTION @extschema@.sync_entity_capabilities(text)
	IS 'What the API can do with an entity, and where: list, walk (per parent), single, get, include (come along with a parent), order, filter, delta';

CREATE FUNCTION @extschema@.sync_entity_relationships(entity text)
RETURNS TABLE (name text, target text, many boolean, kind text) LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH n AS (SELECT * FROM sync_engine.resolve_entity(sync_entity_relationships.entity))
	SELECT r.relationship, r.target, r.many, coalesce(d.kind, 'reference')
	FROM n JOIN sync_engine.relationship r USING (product, entity)
	LEFT JOIN sync_engine.edge d ON (d.product, d.entity, d.parent) = (r.product, r.entity, r.target)
	UNION ALL
	-- parents that its records do not name
	SELECT p.table_name, d.parent, d.kind = 'soft', d.kind
	FROM n JOIN sync_engine.edge d USING (product, entity)
	JOIN sync_engine.entity p ON (p.product, p.entity) = (d.product, d.parent)
	WHERE d.rank < 3 AND NOT EXISTS (SELECT FROM sync_engine.relationship r
		WHERE (r.product, r.entity, r.target) = (d.product, d.entity, d.parent))
	UNION ALL
	SELECT i.include, i.entity, coalesce(r.many, CASE WHEN i.complete THEN NOT c.single END), 'include'
	FROM n JOIN sync_engine.include i ON (i.product, i.parent) = (n.product, n.entity)
	LEFT JOIN sync_engine.entity c ON (c.product, c.entity) = (i.product, i.entity)
	LEFT JOIN sync_engine.relationship r ON (r.product, r.entity, r.relationship) = (i.product, i.parent, i.include)
	ORDER BY 4, 1
$$;
COMMENT ON FUNCTION @extschema@.sync_entity_relationships(text)
	IS 'What an entity belongs to (hard), waits for (soft), points to otherwise (reference) and can bring along (include); many is NULL where no document tells';

CREATE FUNCTION @extschema@.sync_entity_delta_fields(entity text)
RETURNS TABLE (field text, filterable boolean, orderable boolean) LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT a.attribute, a.attribute = ANY (e.where_keys), a.attribute = ANY (e.order_keys)
	FROM sync_engine.resolve_entity(sync_entity_delta_fields.entity) n
	JOIN sync_engine.entity e ON (e.product, e.entity) = (n.product, n.entity)
	JOIN sync_engine.attribute a ON (a.product, a.entity) = (n.product, n.entity)
	WHERE a.type = 'date_time' AND a.attribute = ANY (e.where_keys || e.order_keys)
	ORDER BY a.attribute = 'updated_at' DESC, a.attribute = 'created_at' DESC, a.attribute
$$;
COMMENT ON FUNCTION @extschema@.sync_entity_delta_fields(text)
	IS 'Times by which the API can tell what is new: usable as filter, as order, or both; the best first';

CREATE FUNCTION @extschema@.sync_entity_orderable_fields(entity text)
RETURNS TABLE (field text) LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT k FROM sync_engine.resolve_entity(sync_entity_orderable_fields.entity) n
	JOIN sync_engine.entity e ON (e.product, e.entity) = (n.product, n.entity), unnest(e.order_keys) k
	ORDER BY k
$$;
COMMENT ON FUNCTION @extschema@.sync_entity_orderable_fields(text) IS 'Fields that the API can order a list by';

CREATE FUNCTION @extschema@.sync_manifest_analysis()
RETURNS TABLE (product text, entity text, ready boolean, strategy text, reach text, hard text[],
	attributes int, relationships int, delta_field text, problem text) LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT e.product, e.entity, e.ready, CASE WHEN e.ready THEN e.strategy END,
		CASE WHEN NOT e.ready THEN 'none' WHEN e.parent IS NOT NULL THEN 'nested' WHEN e.single THEN 'single' ELSE 'list' END,
		ARRAY(SELECT d.parent FROM sync_engine.edge d
			WHERE (d.product, d.entity, d.kind) = (e.product, e.entity, 'hard') ORDER BY 1),
		(SELECT count(*)::int FROM sync_engine.attribute a WHERE (a.product, a.entity) = (e.product, e.entity)),
		(SELECT count(*)::int FROM sync_engine.relationship r WHERE (r.product, r.entity) = (e.product, e.entity)),
		CASE WHEN 'updated_at' = ANY (e.order_keys || e.where_keys) THEN 'updated_at'
			WHEN 'created_at' = ANY (e.order_keys || e.where_keys) THEN 'created_at' END,
		coalesce(p.problems, e.unreachable)
	FROM sync_engine.entity e
	LEFT JOIN (SELECT m.product, m.entity, string_agg(m.problem, '; ' ORDER BY m.problem) AS problems
		FROM sync_engine.manifest_problems() m GROUP BY m.product, m.entity) p USING (product, entity)
	ORDER BY e.product, e.entity
$$;
COMMENT ON FUNCTION @extschema@.sync_manifest_analysis()
	IS 'Every entity in a line: whether it can be synced, how, after what, and if not, why';

GRANT SELECT ON @extschema@.sync_entities, @extschema@.sync_dependencies TO pg_monitor;
