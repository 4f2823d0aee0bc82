-- Discovery: documents of the API against the manifest, with a small product of
-- its own, so that what PCO has today does not matter.
BEGIN;
SELECT plan(43);

INSERT INTO sync_engine.manifest_product VALUES ('toys', 'builtin', '/toys/v2', '2020-01-01');
INSERT INTO sync_engine.manifest_entity (product, entity, source, path, get_path, single, parent, parent_columns,
	order_keys, where_keys, includes)
VALUES ('toys', 'Organization', 'builtin', '/toys/v2', NULL, true, NULL, '{}', '{}', '{}', '{}'),
	('toys', 'Box', 'builtin', '/toys/v2/boxes', '/toys/v2/boxes/{id}', false, NULL, '{}', '{name,depth}', '{name,depth}', '{toys,lid}'),
	('toys', 'Toy', 'builtin', '/toys/v2/boxes/{box_id}/toys', NULL, false, 'Box', '{id}', '{name}', '{}', '{}'),
	('toys', 'Ball', 'builtin', '/toys/v2/balls', '/toys/v2/balls/{id}', false, NULL, '{}', '{name}', '{}', '{}'),
	('toys', 'Doll', 'builtin', '/toys/v2/dolls', '/toys/v2/dolls/{id}', false, NULL, '{}', '{name}', '{}', '{}');
UPDATE sync_engine.manifest_entity SET aliases = '{Label}' WHERE product = 'toys' AND entity = 'Ball';
INSERT INTO sync_engine.manifest_attribute (product, entity, attribute, source, type, position)
VALUES ('toys', 'Box', 'name', 'builtin', 'string', 1), ('toys', 'Box', 'owner_id', 'builtin', 'id', 2),
	('toys', 'Box', 'depth', 'builtin', 'integer', 3), ('toys', 'Toy', 'name', 'builtin', 'string', 1),
	('toys', 'Ball', 'name', 'builtin', 'string', 1);
INSERT INTO sync_engine.manifest_relationship (product, entity, relationship, source, target, many, polymorphic, position)
VALUES ('toys', 'Box', 'shelf', 'builtin', 'Shelf', false, false, 1), ('toys', 'Toy', 'box', 'builtin', 'Box', false, false, 1);
INSERT INTO sync_engine.manifest_edge VALUES ('toys', 'Toy', 'Box', 'builtin', 'hard', 0);

SELECT is_empty($$SELECT * FROM sync_engine.manifest_problems('toys')$$, 'a sound manifest to begin with');
SELECT is_empty($$SELECT * FROM sync_engine.manifest_differences('toys')$$, 'without documents nothing differs');

-- A member of a list as JSON:API has it.
CREATE FUNCTION pg_temp.member(kind text, name text, attributes jsonb DEFAULT '{}', relationships jsonb DEFAULT '{}')
RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('type', kind, 'id', lower(kind) || '-' || name,
		'attributes', jsonb_build_object('name', name) || attributes, 'relationships', relationships)
$$;
CREATE FUNCTION pg_temp.attribute(name text, type text, note text DEFAULT NULL) RETURNS jsonb LANGUAGE sql AS $$
	SELECT pg_temp.member('Attribute', name, jsonb_build_object('type_annotation', jsonb_build_object('name', type), 'note', note))
$$;
CREATE FUNCTION pg_temp.parameter(kind text, name text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT pg_temp.member('URLParameter', name, jsonb_build_object('parameter', kind))
$$;
CREATE FUNCTION pg_temp.vertex(id text, name text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('type', 'Vertex', 'id', id, 'attributes', jsonb_build_object('name', name))
$$;
CREATE FUNCTION pg_temp.edge(name text, path text, tail text, head text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT pg_temp.member('Edge', name, jsonb_build_object('path', 'https://api.example.com' || path),
		jsonb_build_object('tail', jsonb_build_object('data', pg_temp.vertex(tail, 'x')),
			'head', jsonb_build_object('data', pg_temp.vertex(head, 'x'))))
$$;
CREATE FUNCTION pg_temp.document(id text, name text, VARIADIC lists jsonb[]) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('data', pg_temp.vertex(id, name) || jsonb_build_object('relationships',
		(SELECT jsonb_object_agg(lists[i] #>> '{}', jsonb_build_object('data', lists[i + 1]))
			FROM generate_series(1, array_length(lists, 1), 2) i)))
$$;

-- What the API had when the manifest was made.
INSERT INTO sync_engine.documentation (product, version, vertex, document) VALUES
	('toys', '', '', '{"data": {"type": "Graph", "relationships": {"versions": {"data": [
		{"type": "GraphVersion", "id": "2020-01-01", "attributes": {"beta": false}}]}}}}'),
	('toys', '2020-01-01', '@version', pg_temp.document('2020-01-01', NULL, '"vertices"', jsonb_build_array(
		pg_temp.vertex('organization', 'Organization'), pg_temp.vertex('box', 'Box'), pg_temp.vertex('toy', 'Toy'),
		pg_temp.vertex('ball', 'Ball'), pg_temp.vertex('doll', 'Doll')))),
	('toys', '2020-01-01', 'box', pg_temp.document('box', 'Box',
		'"attributes"', jsonb_build_array(pg_temp.attribute('id', 'primary_key'), pg_temp.attribute('name', 'string'),
			pg_temp.attribute('owner_id', 'primary_key'), pg_temp.attribute('depth', 'integer')),
		'"relationships"', jsonb_build_array(pg_temp.member('Relationship', 'shelf', '{"association": "to_one", "graph_type": "Shelf"}')),
		'"can_order"', jsonb_build_array(pg_temp.parameter('order', 'name'), pg_temp.parameter('order', 'depth')),
		'"can_query"', jsonb_build_array(pg_temp.parameter('where[name]', 'name'), pg_temp.parameter('where[depth]', 'depth')),
		'"can_include"', jsonb_build_array(pg_temp.parameter('include', 'toys'), pg_temp.parameter('include', 'lid')))),
	-- the same in flat arrays
	('toys', '2020-01-01', 'toy', '{"name": "Toy", "attributes": [{"name": "id", "type_annotation": {"name": "primary_key"}},
			{"name": "name", "type_annotation": {"name": "string"}}],
		"relationships": [{"name": "box", "association": "to_one", "graph_type": "Box"}], "can_order": [{"name": "name"}]}');

SELECT is_empty($$SELECT * FROM sync_engine.manifest_differences('toys')$$,
	'nor does what is documented in either shape; a vertex whose document is missing is still there');
SELECT throws_ok($$INSERT INTO sync_engine.documentation VALUES ('toys', '2020-01-01', 'x', '[]')$$, '23514', NULL,
	'what is no object is no document');

-- A newer version differs in every way there is.
UPDATE sync_engine.documentation SET document = '{"data": {"type": "Graph", "relationships": {"versions": {"data": [
	{"type": "GraphVersion", "id": "next", "attributes": {"beta": false}},
	{"type": "GraphVersion", "id": "2031-01-01", "attributes": {"beta": true}},
	{"type": "GraphVersion", "id": "2030-01-01", "attributes": {"beta": false}},
	{"type": "GraphVersion", "id": "2020-01-01", "attributes": {"beta": false}},
	{"type": "GraphVersion", "id": "2019-01-01", "attributes": {"beta": false}}]}}}}'
WHERE product = 'toys' AND vertex = '';
INSERT INTO sync_engine.documentation (product, version, vertex, document) VALUES
	('toys', '2030-01-01', '@version', pg_temp.document('2030-01-01', NULL, '"vertices"', jsonb_build_array(
		pg_temp.vertex('organization', 'Organization'), pg_temp.vertex('box', 'Box'), pg_temp.vertex('toy', 'Toy'),
		pg_temp.vertex('ball', 'Ball'), pg_temp.vertex('kite', 'Kite'), pg_temp.vertex('kite_tail', 'KiteTail'),
		pg_temp.vertex('tail_knot', 'TailKnot'), pg_temp.vertex('toy_part', 'ToyPart'), pg_temp.vertex('lid', 'Lid'),
		pg_temp.vertex('ghost', 'Ghost'), pg_temp.vertex('shade', 'Shade'), pg_temp.vertex('stray', 'Stray'),
		pg_temp.vertex('bad', 'Bad name')))),
	('toys', '2030-01-01', 'organization', pg_temp.document('organization', 'Organization',
		'"outbound_edges"', jsonb_build_array(pg_temp.edge('boxes', '/toys/v2/boxes', 'organization', 'box'),
			pg_temp.edge('kites', '/toys/v2/kites', 'organization', 'kite'),
			pg_temp.edge('strays', '/others/v2/strays', 'organization', 'stray')))),
	('toys', '2030-01-01', 'box', pg_temp.document('box', 'Box',
		'"attributes"', jsonb_build_array(pg_temp.attribute('id', 'primary_key'), pg_temp.attribute('name', 'string'),
			pg_temp.attribute('depth', 'float'), pg_temp.attribute('secret', 'string', 'only available when requested with the `?fields` param'),
			pg_temp.attribute('colour', 'colour'), pg_temp.attribute('_odd', 'string'), pg_temp.attribute('org', 'string')),
		'"relationships"', jsonb_build_array(pg_temp.member('Relationship', 'room', '{"association": "to_one", "graph_type": "Room", "polymorphic": ["Room"]}'),
			pg_temp.member('Relationship', 'labels', '{"association": "to_many", "graph_type": "Label", "polymorphic": null}')),
		'"can_order"', jsonb_build_array(pg_temp.parameter('order', 'name'), pg_temp.parameter('order', 'colour')),
		'"can_query"', jsonb_build_array(pg_temp.parameter('where[name]', 'name'), pg_temp.parameter('where[colour]', 'of that colour')),
		'"can_include"', jsonb_build_array(pg_temp.parameter('include', 'toys'), pg_temp.parameter('include', 'kites')),
		'"outbound_edges"', jsonb_build_array(pg_temp.edge('kites', '/toys/v2/boxes/{box_id}/kites', 'box', 'kite'),
			pg_temp.edge('lid', '/toys/v2/boxes/{box_id}/lid', 'box', 'lid')))),
	('toys', '2030-01-01', 'toy', '{"name": "Toy", "attributes": [{"name": "name", "type_annotation": {"name": "string"}}],
		"relationships": [{"name": "box", "association": "to_one", "graph_type": "Box"}], "can_order": [{"name": "name"}],
		"outbound_edges": [{"name": "toy_parts", "path": "/toys/v2/boxes/{box_id}/toys/{toy_id}/toy_parts"}]}'),
	('toys', '2030-01-01', 'kite', pg_temp.document('kite', 'Kite', '"attributes"', jsonb_build_array(pg_temp.attribute('wind', 'integer')),
		'"can_order"', jsonb_build_array(pg_temp.parameter('order', 'wind')),
		'"outbound_edges"', jsonb_build_array(pg_temp.edge('tails', '/toys/v2/kites/{kite_id}/tails', 'kite', 'kite_tail')))),
	('toys', '2030-01-01', 'kite_tail', pg_temp.document('kite_tail', 'KiteTail', '"relationships"',
		jsonb_build_array(pg_temp.member('Relationship', 'knot', '{"association": "to_one", "graph_type": "TailKnot"}'),
			pg_temp.member('Relationship', 'knots', '{"association": "to_many", "graph_type": "TailKnot"}')))),
	-- its tail has no document of its own that tells of this edge
	('toys', '2030-01-01', 'tail_knot', pg_temp.document('tail_knot', 'TailKnot', '"inbound_edges"', jsonb_build_array(
		pg_temp.edge('knots', '/toys/v2/kites/{kite_id}/tails/{kite_tail_id}/knots', 'kite_tail', 'tail_knot')))),
	-- neither end of the edge names the other
	('toys', '2030-01-01', 'toy_part', '{"name": "ToyPart", "inbound_edges": [{"name": "toy_parts",
		"path": "https://api.example.com/toys/v2/boxes/{box_id}/toys/{toy_id}/toy_parts"}]}'),
	('toys', '2030-01-01', 'lid', pg_temp.document('lid', 'Lid', '"attributes"', '[]')),
	('toys', '2030-01-01', 'ghost', pg_temp.document('ghost', 'Ghost', '"inbound_edges"', jsonb_build_array(
		pg_temp.edge('ghosts', '/toys/v2/castles/{castle_id}/boxes/{box_id}/ghosts', 'box', 'ghost')),
		'"outbound_edges"', jsonb_build_array(pg_temp.edge('shades', '/toys/v2/ghosts/{ghost_id}/shades', 'ghost', 'shade'))));

CREATE FUNCTION pg_temp.differences() RETURNS TABLE (entity text, change text, name text, documented text, manifest text)
LANGUAGE sql AS $$
	SELECT entity, change, name, documented, manifest FROM sync_engine.manifest_differences('toys')
$$;
SELECT results_eq($$SELECT * FROM pg_temp.differences() WHERE entity IS NULL$$,
	$$VALUES (NULL::text, 'new_version', '2030-01-01', '2030-01-01', '2020-01-01')$$,
	'newer versions, but for beta ones and what is no date');
SELECT results_eq($$SELECT * FROM pg_temp.differences() WHERE change LIKE '%entity'$$,
	$$VALUES ('Bad name', 'new_entity', 'Bad name', 'bad', NULL), ('Doll', 'removed_entity', 'Doll', NULL, '/toys/v2/dolls'),
		('Ghost', 'new_entity', 'Ghost', 'ghost', NULL), ('Kite', 'new_entity', 'Kite', 'kite', NULL),
		('KiteTail', 'new_entity', 'KiteTail', 'kite_tail', NULL), ('Lid', 'new_entity', 'Lid', 'lid', NULL),
		('Shade', 'new_entity', 'Shade', 'shade', NULL), ('Stray', 'new_entity', 'Stray', 'stray', NULL),
		('TailKnot', 'new_entity', 'TailKnot', 'tail_knot', NULL), ('ToyPart', 'new_entity', 'ToyPart', 'toy_part', NULL)$$,
	'entities');
SELECT results_eq($$SELECT change, name, documented, manifest FROM pg_temp.differences() WHERE entity = 'Box'$$,
	$$VALUES ('attribute_type', 'depth', 'float', 'integer'),
		('new_attribute', '_odd', 'string', NULL), ('new_attribute', 'colour', 'colour', NULL), ('new_attribute', 'org', 'string', NULL), ('new_attribute', 'secret', 'string', NULL),
		('new_include', 'kites', 'kites', NULL),
		('new_order_key', 'colour', 'colour', NULL),
		('new_relationship', 'labels', 'Label', NULL), ('new_relationship', 'room', 'Room', NULL),
		('new_where_key', 'colour', 'colour', NULL),
		('removed_attribute', 'owner_id', NULL, 'id'),
		('removed_include', 'lid', NULL, 'lid'),
		('removed_order_key', 'depth', NULL, 'depth'),
		('removed_relationship', 'shelf', NULL, 'Shelf'),
		('removed_where_key', 'depth', NULL, 'depth')$$,
	'attributes, keys, includes and relationships of an entity');
SELECT is_empty($$SELECT * FROM pg_temp.differences() WHERE entity IN ('Toy', 'Ball')$$,
	'an entity as it was has none, nor has one whose document is not there');
SELECT is((SELECT count(*) FROM sync_engine.manifest_differences() WHERE product = 'toys'),
	(SELECT count(*) FROM pg_temp.differences()), 'without a product: all');

-- What users have is theirs
INSERT INTO sync_engine.manifest_entity (product, entity, path) VALUES ('toys', 'Gadget', '/toys/v2/gadgets');
INSERT INTO sync_engine.manifest_attribute (product, entity, attribute, type) VALUES ('toys', 'Box', 'own', 'string');
INSERT INTO sync_engine.manifest_relationship (product, entity, relationship, target) VALUES ('toys', 'Box', 'friend', 'Box');
SELECT is_empty($$SELECT * FROM pg_temp.differences() WHERE entity = 'Gadget' OR name IN ('own', 'friend')$$,
	'what only a user has is no difference');

-- Applying
SELECT is((SELECT count(*) FROM pg_temp.differences()), 26::bigint, 'all differences');
SELECT is(sync_engine.manifest_apply_differences('toys'), 16::bigint, 'those that are new get settled');
SELECT results_eq($$SELECT entity, change, name FROM pg_temp.differences()$$,
	$$VALUES ('Bad name', 'new_entity', 'Bad name'), ('Box', 'attribute_type', 'depth'), ('Box', 'new_attribute', '_odd'), ('Box', 'new_attribute', 'org'),
		('Box', 'removed_attribute', 'owner_id'), ('Box', 'removed_include', 'lid'), ('Box', 'removed_order_key', 'depth'),
		('Box', 'removed_relationship', 'shelf'), ('Box', 'removed_where_key', 'depth'), ('Doll', 'removed_entity', 'Doll')$$,
	'what was removed, changed its type, or cannot have a column is only reported');
SELECT is(sync_engine.manifest_apply_differences('toys'), 0::bigint, 'once');
SELECT is((SELECT api_version FROM sync_engine.product WHERE product = 'toys'), '2030-01-01', 'the version is asked for');
SELECT is((SELECT base_path FROM sync_engine.product WHERE product = 'toys'), '/toys/v2', 'of the same path');

SELECT results_eq($$SELECT attribute, type, fields_only FROM sync_engine.attribute WHERE product = 'toys' AND entity = 'Box' ORDER BY position$$,
	$$VALUES ('name', 'string', false), ('owner_id', 'id', false), ('depth', 'integer', false),
		('colour', 'unknown', false), ('own', 'string', false), ('secret', 'string', true)$$,
	'attributes: those that were there stay first; unknown types, and those only asked for by name');
SELECT results_eq($$SELECT relationship, target, many, polymorphic FROM sync_engine.relationship WHERE product = 'toys' AND entity = 'Box' ORDER BY 1$$,
	$$VALUES ('friend', 'Box', false, false), ('labels', 'Ball', true, false), ('room', 'Room', false, true), ('shelf', 'Shelf', false, false)$$,
	'relationships; an alias is resolved');
SELECT is((SELECT (order_keys, where_keys, includes)::text FROM sync_engine.entity WHERE product = 'toys' AND entity = 'Box'),
	'("{colour,depth,name}","{colour,depth,name}","{kites,lid,toys}")', 'keys and includes beside those that were there');
SELECT is((SELECT (entity, complete)::text FROM sync_engine.include WHERE product = 'toys' AND parent = 'Box' AND include = 'kites'),
	'(Kite,f)', 'what an include brings; never taken for complete');
SELECT set_eq($$SELECT DISTINCT source FROM sync_engine.manifest_entity WHERE product = 'toys' AND entity = 'Box'$$,
	ARRAY['builtin', 'discovered'], 'beside the built-in row');

-- New entities
SELECT results_eq($$SELECT entity, path, get_path, single, parent, parent_columns, ready FROM sync_engine.entity
		WHERE product = 'toys' AND origin = 'doc_graph:2030-01-01' ORDER BY entity$$,
	$$VALUES ('Ghost', NULL, NULL, false, NULL, '{}'::text[], false),
		('Kite', '/toys/v2/kites', '/toys/v2/kites/{id}', false, NULL, '{}', true),
		('KiteTail', '/toys/v2/kites/{kite_id}/tails', NULL, false, 'Kite', '{id}', true),
		('Lid', '/toys/v2/boxes/{box_id}/lid', NULL, false, 'Box', '{id}', true),
		('Shade', NULL, NULL, false, NULL, '{}', false),
		('Stray', NULL, NULL, false, NULL, '{}', false),
		('TailKnot', '/toys/v2/kites/{kite_id}/tails/{kite_tail_id}/knots', NULL, false, 'KiteTail', '{kite_id,id}', true),
		('ToyPart', '/toys/v2/boxes/{box_id}/toys/{toy_id}/toy_parts', NULL, false, 'Toy', '{box_id,id}', true)$$,
	'lists of their own before nested ones; beneath new parents; by either end of an edge');
SELECT set_eq($$SELECT entity, unreachable FROM sync_engine.entity WHERE product = 'toys' AND NOT ready$$,
	$$VALUES ('Ghost', 'discovery could not derive a path'), ('Shade', 'discovery could not derive a path'),
		('Stray', 'discovery could not derive a path')$$,
	'no path through what is unknown, beneath what has none, or into another product');
SELECT is((SELECT array_agg(attribute) FROM sync_engine.attribute WHERE product = 'toys' AND entity = 'Kite'), '{wind}', 'its attributes');
SELECT is((SELECT order_keys FROM sync_engine.entity WHERE product = 'toys' AND entity = 'Kite'), '{wind}', 'its keys');
SELECT set_eq($$SELECT relationship, target, many FROM sync_engine.relationship WHERE product = 'toys' AND entity = 'KiteTail'$$,
	$$VALUES ('knot', 'TailKnot', false), ('knots', 'TailKnot', true)$$, 'its relationships');
SELECT set_eq($$SELECT entity || ' < ' || parent || ' ' || kind FROM sync_engine.edge WHERE product = 'toys'$$,
	ARRAY['KiteTail < Kite hard', 'Lid < Box hard', 'TailKnot < KiteTail hard', 'Toy < Box hard', 'ToyPart < Toy hard'],
	'what is nested comes after its parent');
SELECT is_empty($$SELECT * FROM sync_engine.manifest_problems('toys')$$, 'and the manifest is still sound');

-- A way that appears later, and a to-one of the tail, which gives one record
UPDATE sync_engine.documentation SET document = pg_temp.document('ghost', 'Ghost', '"inbound_edges"', jsonb_build_array(
	pg_temp.edge('knot', '/toys/v2/kites/{kite_id}/tails/{kite_tail_id}/knot', 'kite_tail', 'ghost')))
WHERE product = 'toys' AND vertex = 'ghost';
SELECT sync_engine.manifest_apply_differences('people') \gset
SELECT ok(NOT ready, 'another product changes nothing') FROM sync_engine.entity WHERE product = 'toys' AND entity = 'Ghost';
SELECT is(sync_engine.manifest_apply_differences('toys'), 0::bigint, 'no difference of the manifest''s own');
SELECT is((SELECT (ready, single, unreachable IS NULL, path)::text FROM sync_engine.entity WHERE product = 'toys' AND entity = 'Ghost'),
	'(t,t,t,/toys/v2/kites/{kite_id}/tails/{kite_tail_id}/knot)', 'yet the path is found');

-- The user's word counts
INSERT INTO sync_engine.manifest_entity (product, entity, order_keys, path) VALUES ('toys', 'Kite', '{}', '/toys/v2/my_kites');
UPDATE sync_engine.documentation SET document = jsonb_set(document, '{data,relationships,can_order,data,0,attributes,name}', '"height"')
WHERE product = 'toys' AND vertex = 'kite';
SELECT is(sync_engine.manifest_apply_differences('toys'), 0::bigint, 'an override hides what is discovered') FROM generate_series(1, 2);
SELECT is((SELECT (order_keys, path)::text FROM sync_engine.entity WHERE product = 'toys' AND entity = 'Kite'),
	'({},/toys/v2/my_kites)', 'an override stands');
SELECT is((SELECT order_keys FROM sync_engine.manifest_entity WHERE product = 'toys' AND entity = 'Kite' AND source = 'discovered'),
	'{height,wind}', 'above what was discovered, which keeps what it had');
DELETE FROM sync_engine.manifest_entity WHERE product = 'toys' AND entity = 'Kite' AND source = 'user';
SELECT is((SELECT path FROM sync_engine.entity WHERE product = 'toys' AND entity = 'Kite'), '/toys/v2/kites', 'and comes back without it');

-- An entity whose table is that of another
SAVEPOINT clash;
UPDATE sync_engine.documentation SET document = jsonb_set(document, '{data,relationships,vertices,data,0}', pg_temp.vertex('toy_again', 'toy'))
WHERE product = 'toys' AND vertex = '@version' AND version = '2030-01-01';
SELECT throws_like($$SELECT sync_engine.manifest_apply_differences('toys')$$,
	'what is documented would keep toys.Toy from being synced: %', 'what works is not stopped');
ROLLBACK TO clash;

-- Applying all products at once leaves those without documents alone
CREATE TEMP TABLE before AS SELECT * FROM sync_engine.manifest_entity WHERE product <> 'toys';
SELECT is(sync_engine.manifest_apply_differences(), 0::bigint, 'all products');
SELECT set_eq('SELECT * FROM sync_engine.manifest_entity WHERE product <> ''toys''', 'SELECT * FROM before', 'the others are as they were');

-- Products that the manifest does not have, and odd documents
INSERT INTO sync_engine.documentation (product, version, vertex, document)
	SELECT 'games', version, vertex, document FROM sync_engine.documentation WHERE product = 'toys';
SELECT is_empty($$SELECT * FROM sync_engine.manifest_differences('games')$$, 'an unknown product is none of the manifest''s');
UPDATE sync_engine.documentation SET document = d FROM (VALUES ('{"data": null}'::jsonb)) v(d) WHERE product = 'toys' AND vertex = 'box';
SELECT lives_ok($$SELECT * FROM sync_engine.manifest_differences('toys')$$, 'a document without data');
UPDATE sync_engine.documentation SET document = '{"data": {"attributes": [1], "relationships": {"can_order": {"data": [7, null, "x"]}, "vertices": 5}}}'
WHERE product = 'toys' AND vertex <> '@version';
SELECT lives_ok($$SELECT * FROM sync_engine.manifest_differences('toys')$$, 'documents of another kind');

-- Dumps
SELECT is_empty($$SELECT extconfig::regclass[] FROM pg_extension
		WHERE extname = 'sync_engine' AND 'sync_engine.documentation'::regclass = ANY (extconfig)$$,
	'the documents are in no dump');

SELECT * FROM finish();
ROLLBACK;
