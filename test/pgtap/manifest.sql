-- The manifest: that what the extension brings is sound and complete, that
-- users' rows lie over it, that each mistake in them is told, and what the
-- analysis functions make of it all.
BEGIN;
SELECT no_plan();

-- ---- what the extension brings ----------------------------------------------

SELECT results_eq(
	'SELECT product, count(*)::int FROM sync_entities GROUP BY product ORDER BY product',
	$$VALUES ('api', 7), ('calendar', 25), ('check_ins', 24), ('current', 2), ('giving', 20), ('groups', 17),
		('people', 67), ('publishing', 13), ('registrations', 11), ('services', 65), ('webhooks', 5)$$,
	'256 entities in 11 products');
SELECT is_empty(
	'SELECT product, entity, problem FROM sync_engine.manifest_problems()',
	'nothing is wrong with them');
SELECT is_empty(
	'SELECT product, entity FROM sync_entities WHERE ready = (unreachable IS NOT NULL)',
	'each can be synced, or says why not');
SELECT set_eq(
	$$SELECT product || '.' || entity FROM sync_entities WHERE NOT ready$$,
	ARRAY['api.Person', 'check_ins.PreCheck', 'check_ins.RosterListPerson', 'services.AttachmentActivity',
		'services.AttachmentTypeGroup', 'services.BlockoutScheduleConflict', 'services.EmailTemplateRenderedResponse',
		'services.FolderPath', 'services.ItemAssignment', 'services.ServiceTypePath', 'services.SkippedAttachment',
		'services.SongbookStatus'],
	'those that cannot are the twelve that have no path');
SELECT is_empty(
	$$SELECT entity FROM sync_engine.manifest_entity WHERE source <> 'builtin'$$,
	'all of it is built in');
SELECT is_empty(
	$$SELECT e.product, e.entity FROM sync_engine.entity e WHERE e.confidence IS NULL OR coalesce(e.origin, '') = ''$$,
	'each says where it is from, and how sure that is');
SELECT results_eq(
	$$SELECT product, api_version FROM sync_engine.product WHERE product IN ('people', 'calendar', 'services') ORDER BY 1$$,
	$$VALUES ('calendar', '2026-06-22'), ('people', '2026-06-04'), ('services', '2018-11-01')$$,
	'every product has its API version');
SELECT is_empty(
	$$SELECT d.product, d.entity FROM sync_engine.edge d WHERE d.kind = 'hard' GROUP BY 1, 2 HAVING count(*) > 1$$,
	'nothing has two owners');
SELECT is_empty(
	$$SELECT i.product, i.parent, i.include, i.entity FROM sync_engine.include i
		JOIN sync_engine.entity e USING (product, entity)
		LEFT JOIN sync_engine.edge d ON (d.product, d.entity, d.parent, d.kind) = (i.product, i.entity, i.parent, 'hard')
		WHERE i.complete AND (e.shared OR d.kind IS NULL)$$,
	'only an owner''s pages can bring all of an entity, and nothing that is shared');
SELECT results_eq(
	$$SELECT parent, parent_columns FROM sync_engine.entity WHERE (product, entity) IN (('services', 'ItemNote'),
		('giving', 'DesignationRefund'), ('check_ins', 'LocationEventPeriod'), ('people', 'HouseholdMembership')) ORDER BY 1$$,
	$$VALUES ('CheckIn', '{id,event_period_id}'::text[]), ('Household', '{id}'),
		('Item', '{service_type_id,plan_id,id}'), ('Refund', '{donation_id}')$$,
	'nested paths know the rows that they are read for');

SELECT results_eq(
	$$SELECT product || '.' || entity || '.' || attribute FROM sync_engine.attribute WHERE privacy <> 'keep' ORDER BY 1$$,
	ARRAY['services.Organization.secret', 'webhooks.WebhookSubscription.authenticity_secret'],
	'secrets are not stored');
SELECT is_empty(
	$$SELECT product, entity, attribute FROM sync_engine.attribute
		WHERE attribute ~ '(secret|passw|credential|private_key|api_key)' AND privacy <> 'drop'$$,
	'whatever has the name of one');
SELECT set_eq(
	$$SELECT attribute, type FROM sync_engine.attribute WHERE product = 'calendar' AND entity = 'ContainingResource'$$,
	$$SELECT attribute, type FROM sync_engine.attribute WHERE product = 'calendar' AND entity = 'Resource'$$,
	'a containing resource is a resource');
-- The engine moves on by a key where the strategy is one of these; else by ever
-- deeper offsets, which the API answers ever more slowly.
SELECT is_empty(
	$$SELECT e.product, e.entity, e.strategy FROM sync_engine.entity e, unnest(ARRAY['updated_at', 'created_at']) k
		WHERE e.ready AND e.parent IS NULL AND k = ANY (e.order_keys) AND k = ANY (e.where_keys)
			AND e.strategy NOT IN ('keyset', 'append_log', 'created_tail', 'include')$$,
	'a list that a key can order and filter is read by it');

-- The order in which people data are published everywhere: campuses, households,
-- people, addresses.
SELECT results_eq(
	$$SELECT entity, depends_on, kind, rank, reason FROM sync_dependencies
		WHERE product = 'people' AND entity IN ('Campus', 'Household', 'Person', 'Address')
			AND depends_on IN ('Campus', 'Household', 'Person', 'Address') ORDER BY entity, rank$$,
	$$VALUES ('Address', 'Person', 'hard', 0, 'it belongs to Person: person'),
		('Household', 'Person', 'soft', 2, 'it refers to Person: primary_contact, people'),
		('Household', 'Campus', 'soft', 3, 'the order alone'),
		('Person', 'Household', 'soft', 1, 'Household contains it: people'),
		('Person', 'Campus', 'soft', 2, 'it refers to Campus: primary_campus')$$,
	'Campus, Household, Person, Address: the one edge against the order ranks below the one for it');

-- ---- dumps --------------------------------------------------------------------

SELECT results_eq(
	$$SELECT c.relname::text COLLATE "default", t.condition COLLATE "default" FROM pg_extension e,
		unnest(e.extconfig, e.extcondition) t (relation, condition) JOIN pg_class c ON c.oid = t.relation
		WHERE e.extname = 'sync_engine' AND c.relname ~ '^manifest_' ORDER BY c.relname$$,
	$$SELECT name, 'WHERE source <> ''builtin''' FROM unnest(ARRAY['manifest_attribute', 'manifest_edge',
		'manifest_entity', 'manifest_include', 'manifest_product', 'manifest_relationship']) name$$,
	'a dump carries what people and discovery added, and only that');
SELECT is_empty(
	$$SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = 'sync_engine' AND c.relkind = 'r' AND c.relname ~ '^manifest_'
			AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'source')$$,
	'and every table of the manifest tells them apart');

-- ---- layers -------------------------------------------------------------------

SELECT is((SELECT overridden FROM sync_entities WHERE product = 'people' AND entity = 'Email'), false,
	'what nobody has touched is not overridden');
INSERT INTO sync_engine.manifest_entity (product, entity, strategy) VALUES ('people', 'Email', 'full_scan');
SELECT results_eq(
	$$SELECT strategy, path, 'updated_at' = ANY (order_keys), overridden FROM sync_entities
		WHERE product = 'people' AND entity = 'Email'$$,
	$$VALUES ('full_scan', '/people/v2/emails', true, true)$$,
	'a user''s row wins where it says something; NULL keeps the rest');
INSERT INTO sync_engine.manifest_entity (product, entity, source, strategy, confidence)
	VALUES ('people', 'Email', 'discovered', 'window', 'low');
SELECT results_eq(
	$$SELECT strategy, confidence FROM sync_engine.entity WHERE product = 'people' AND entity = 'Email'$$,
	$$VALUES ('full_scan', 'low')$$,
	'what was discovered lies between the user and the extension');
DELETE FROM sync_engine.manifest_entity WHERE source = 'user';
SELECT is((SELECT strategy FROM sync_engine.entity WHERE product = 'people' AND entity = 'Email'), 'window',
	'and comes out when the user''s row goes');
DELETE FROM sync_engine.manifest_entity WHERE source = 'discovered';
SELECT is((SELECT strategy FROM sync_engine.entity WHERE product = 'people' AND entity = 'Email'), 'keyset',
	'and then the built-in one');

INSERT INTO sync_engine.manifest_attribute (product, entity, attribute, privacy)
	VALUES ('people', 'Person', 'medical_notes', 'drop');
SELECT results_eq(
	$$SELECT type, privacy, volatile FROM sync_engine.attribute
		WHERE product = 'people' AND entity = 'Person' AND attribute = 'medical_notes'$$,
	$$VALUES ('string', 'drop', false)$$,
	'an override of an attribute keeps its type');
INSERT INTO sync_engine.manifest_attribute (product, entity, attribute, privacy)
	VALUES ('webhooks', 'WebhookSubscription', 'authenticity_secret', 'keep');
SELECT is((SELECT privacy FROM sync_engine.attribute WHERE attribute = 'authenticity_secret'), 'keep',
	'whoever wants a secret can have it');
INSERT INTO sync_engine.manifest_attribute (product, entity, attribute, type) VALUES ('people', 'Person', 'allergies', 'json');
SELECT is((SELECT (array_agg(attribute ORDER BY position DESC))[1] FROM sync_engine.attribute
	WHERE product = 'people' AND entity = 'Person'), 'allergies', 'an attribute without a position comes last');
INSERT INTO sync_engine.manifest_edge (product, entity, parent, kind) VALUES ('people', 'Household', 'Campus', 'none');
SELECT is_empty(
	$$SELECT FROM sync_dependencies WHERE product = 'people' AND entity = 'Household' AND depends_on = 'Campus'$$,
	'an edge of kind none is none');
INSERT INTO sync_engine.manifest_include (product, parent, include, complete) VALUES ('people', 'Person', 'emails', false);
SELECT results_eq(
	$$SELECT entity, complete FROM sync_engine.include WHERE product = 'people' AND parent = 'Person' AND include = 'emails'$$,
	$$VALUES ('Email', false)$$,
	'an include can be declared incomplete');
INSERT INTO sync_engine.manifest_entity (product, entity, path, unreachable)
	VALUES ('services', 'FolderPath', '/services/v2/folder_paths', '');
SELECT is((SELECT ready FROM sync_entities WHERE product = 'services' AND entity = 'FolderPath'), true,
	'an empty string takes away why an entity cannot be synced');
INSERT INTO sync_engine.manifest_entity (product, entity, path, parent, parent_columns)
	VALUES ('people', 'ServiceTime', '/people/v2/service_times', '', '{}');
SELECT is((SELECT parent FROM sync_entities WHERE product = 'people' AND entity = 'ServiceTime'), NULL,
	'and a parent');
INSERT INTO sync_engine.manifest_product (product, api_version) VALUES ('people', '2025-11-10');
SELECT results_eq($$SELECT base_path, api_version FROM sync_engine.product WHERE product = 'people'$$,
	$$VALUES ('/people/v2', '2025-11-10')$$, 'another version of a product''s API can be pinned');
DELETE FROM sync_engine.manifest_product WHERE source = 'user';
DELETE FROM sync_engine.manifest_entity WHERE source = 'user';
DELETE FROM sync_engine.manifest_attribute WHERE source = 'user';
DELETE FROM sync_engine.manifest_edge WHERE source = 'user';
DELETE FROM sync_engine.manifest_include WHERE source = 'user';

-- Where nobody names a strategy.
INSERT INTO sync_engine.manifest_entity (product, entity, path, single, parent, order_keys, where_keys) VALUES
	('people', 'GadgetA', '/people/v2/a', NULL, NULL, '{name}', '{updated_at}'),
	('people', 'GadgetB', '/people/v2/b', NULL, NULL, '{created_at}', '{created_at}'),
	('people', 'GadgetC', '/people/v2/c', NULL, NULL, '{updated_at}', '{updated_at}'),
	('people', 'GadgetD', '/people/v2/people/{person_id}/d', true, 'Person', '{updated_at}', '{updated_at}'),
	('people', 'GadgetE', '/people/v2/e', true, NULL, NULL, NULL);
SELECT results_eq(
	$$SELECT entity, strategy, ready FROM sync_engine.entity WHERE entity ~ '^Gadget' ORDER BY 1$$,
	$$VALUES ('GadgetA', 'full_scan', true), ('GadgetB', 'keyset', true), ('GadgetC', 'keyset', true),
		('GadgetD', 'per_parent', true), ('GadgetE', 'singleton', true)$$,
	'the path and the keys decide');
DELETE FROM sync_engine.manifest_entity WHERE source = 'user';

-- ---- what one row can tell ----------------------------------------------------

SELECT throws_ok(format('INSERT INTO sync_engine.%s', wrong), '23514', NULL, 'refused: ' || wrong)
FROM unnest(ARRAY[
	$$manifest_product (product) VALUES ('check-ins')$$,
	$$manifest_product (product, base_path) VALUES ('gadgets', 'gadgets/v2')$$,
	$$manifest_product (product, api_version) VALUES ('gadgets', 'LATEST')$$,
	$$manifest_product (product, source) VALUES ('gadgets', 'mine')$$,
	$$manifest_entity (product, entity) VALUES ('people', '')$$,
	$$manifest_entity (product, entity) VALUES ('people', 'Not a name')$$,
	$$manifest_entity (product, entity, path) VALUES ('people', 'Gadget', 'people/v2/gadgets')$$,
	$$manifest_entity (product, entity, get_path) VALUES ('people', 'Gadget', 'https://example.org/')$$,
	$$manifest_entity (product, entity, parent) VALUES ('people', 'Gadget', 'people.Person')$$,
	$$manifest_entity (product, entity, parent_columns) VALUES ('people', 'Gadget', '{id,NULL}')$$,
	$$manifest_entity (product, entity, aliases) VALUES ('people', 'Gadget', '{""}')$$,
	$$manifest_entity (product, entity, order_keys) VALUES ('people', 'Gadget', '{""}')$$,
	$$manifest_entity (product, entity, strategy) VALUES ('people', 'Gadget', 'guess')$$,
	$$manifest_entity (product, entity, confidence) VALUES ('people', 'Gadget', 'sure')$$,
	$$manifest_attribute (product, entity, attribute) VALUES ('people', 'Gadget', '_hash')$$,
	$$manifest_attribute (product, entity, attribute) VALUES ('people', 'Gadget', '')$$,
	$$manifest_attribute (product, entity, attribute) VALUES ('people', 'Gadget', repeat('x', 64))$$,
	$$manifest_attribute (product, entity, attribute, type) VALUES ('people', 'Gadget', 'name', 'text')$$,
	$$manifest_attribute (product, entity, attribute, privacy) VALUES ('people', 'Gadget', 'name', 'hide')$$,
	$$manifest_relationship (product, entity, relationship) VALUES ('people', 'Gadget', '_owner')$$,
	$$manifest_relationship (product, entity, relationship, target) VALUES ('people', 'Gadget', 'owner', '')$$,
	$$manifest_edge (product, entity, parent, kind) VALUES ('people', 'Gadget', 'Person', 'strong')$$,
	$$manifest_edge (product, entity, parent, rank) VALUES ('people', 'Gadget', 'Person', -1)$$,
	$$manifest_include (product, parent, include) VALUES ('people', 'Person', '')$$
]) wrong;
SELECT lives_ok($$INSERT INTO sync_engine.manifest_attribute (product, entity, attribute)
	VALUES ('people', 'Person', 'Größe (cm) "' || repeat('x', 40))$$, 'names of attributes may be any text');
DELETE FROM sync_engine.manifest_attribute WHERE source = 'user';

-- ---- what one row cannot tell -------------------------------------------------

-- problems_are: the problems that a change makes, and undoes the change.
CREATE FUNCTION pg_temp.problems_are(change text, expected text[], description text) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
	found text[];
BEGIN
	BEGIN
		EXECUTE 'INSERT INTO sync_engine.' || regexp_replace(change, ';\s+', '; INSERT INTO sync_engine.', 'g');
		found := ARRAY(SELECT format('%s.%s: %s', product, entity, problem) COLLATE "C"
			FROM sync_engine.manifest_problems() WHERE hint <> '' ORDER BY 1);
		RAISE EXCEPTION SQLSTATE 'UNDO0';
	EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
		RETURN NEXT is(found, ARRAY(SELECT e COLLATE "C" FROM unnest(expected) e ORDER BY 1), description);
	END;
END $$;

INSERT INTO sync_engine.manifest_entity (product, entity, path) VALUES ('people', 'Gadget', '/people/v2/gadgets');
SELECT is_empty('SELECT * FROM sync_engine.manifest_problems()', 'a sound entity of a user''s own has no problems');

SELECT pg_temp.problems_are(
	$$manifest_entity (product, entity, path) VALUES ('gadgets', 'Gadget', '/gadgets/v2/gadgets')$$,
	ARRAY['gadgets.Gadget: product "gadgets" is not in the manifest'],
	'problem: unknown product');
SELECT pg_temp.problems_are(
	$$manifest_product (product) VALUES ('gadgets'); manifest_entity (product, entity, path) VALUES ('gadgets', 'Gadget', '/g/gadgets')$$,
	ARRAY['gadgets.Gadget: product "gadgets" has no base_path'],
	'problem: product without a base path');
SELECT pg_temp.problems_are(
	$$manifest_product (product, base_path) VALUES ('gadgets', '/g'); manifest_entity (product, entity, path) VALUES ('gadgets', 'Gadget', '/g/gadgets')$$,
	ARRAY['gadgets.Gadget: product "gadgets" has no api_version'],
	'problem: product without a version');
SELECT pg_temp.problems_are(
	$$manifest_entity (product, entity, path, get_path) VALUES ('people', 'Email', '/giving/v2/emails', '/people/v22/emails/{id}')$$,
	ARRAY['people.Email: get_path /people/v22/emails/{id} is not beneath the product''s base_path /people/v2',
		'people.Email: path /giving/v2/emails is not beneath the product''s base_path /people/v2'],
	'problem: path of another product');
SELECT pg_temp.problems_are(
	$$manifest_attribute (product, entity, attribute) VALUES ('people', 'Persn', 'name');
	manifest_relationship (product, entity, relationship) VALUES ('people', 'Persn', 'owner');
	manifest_edge (product, entity, parent, kind) VALUES ('people', 'Persn', 'Campus', 'none');
	manifest_include (product, parent, include, entity) VALUES ('people', 'Persn', 'emails', 'Email')$$,
	ARRAY['people.Persn: attribute "name" is of an entity that is not in the manifest',
		'people.Persn: edge to "Campus" is of an entity that is not in the manifest',
		'people.Persn: include "emails" is of an entity that is not in the manifest',
		'people.Persn: relationship "owner" is of an entity that is not in the manifest'],
	'problem: rows of an unknown entity');

-- An override of what is not there would do nothing, in silence.
SELECT pg_temp.problems_are(
	$$manifest_entity (product, entity, unreachable) VALUES ('people', 'BackgroundChek', 'nobody''s business')$$,
	ARRAY['people.BackgroundChek: the entity is not known, and has no path'],
	'problem: override of an unknown entity');
SELECT pg_temp.problems_are(
	format($$manifest_attribute (product, entity, attribute, %s) VALUES ('people', 'Person', 'medical_note', %L)$$, name, value),
	ARRAY['people.Person: attribute "medical_note" is not known, and has no type'],
	'problem: override of an unknown attribute''s ' || name)
FROM (VALUES ('privacy', 'drop'), ('volatile', 'true'), ('position', '1')) AS v (name, value);
SELECT pg_temp.problems_are(
	$$manifest_attribute (product, entity, attribute, type, privacy) VALUES ('people', 'Person', 'shoe_size', 'unknown', 'drop')$$,
	'{}', 'an attribute that only the user knows has a type');
SELECT pg_temp.problems_are(
	$$manifest_attribute (product, entity, attribute, source) VALUES ('people', 'Person', 'shoe_size', 'discovered');
	manifest_attribute (product, entity, attribute, privacy) VALUES ('people', 'Person', 'shoe_size', 'drop')$$,
	'{}', 'or was discovered');
SELECT pg_temp.problems_are(
	$$manifest_relationship (product, entity, relationship, many) VALUES ('people', 'Person', 'primary_campos', true)$$,
	ARRAY['people.Person: relationship "primary_campos" is not known, and has no target'],
	'problem: override of an unknown relationship');
SELECT pg_temp.problems_are(
	$$manifest_edge (product, entity, parent, kind) VALUES ('people', 'Household', 'Email', 'none'), ('people', 'Household', 'Campos', 'none')$$,
	ARRAY['people.Household: its edge to "Campos" is not known, and has no kind that makes it one',
		'people.Household: its edge to "Email" is not known, and has no kind that makes it one'],
	'problem: an edge that is none, and was none before');
SELECT pg_temp.problems_are(
	$$manifest_include (product, parent, include, complete) VALUES ('people', 'Person', 'email', false)$$,
	ARRAY['people.Person: its include "email" names no entity'],
	'problem: override of an unknown include');
SELECT pg_temp.problems_are(
	$$manifest_entity (product, entity, path, parent, parent_columns) VALUES
		('people', 'Widget', '/people/v2/gizmos/{gizmo_id}/widgets', 'Gizmo', '{id}')$$,
	ARRAY['people.Widget: its parent "Gizmo" is not in the manifest',
		'people.Widget: it walks "Gizmo", but has no hard edge to it'],
	'problem: unknown parent');
SELECT pg_temp.problems_are(
	$$manifest_entity (product, entity, path, parent, parent_columns) VALUES
		('services', 'Widget', '/services/v2/folder_paths/{folder_path_id}/widgets', 'FolderPath', '{id}');
	manifest_edge (product, entity, parent, kind) VALUES ('services', 'Widget', 'FolderPath', 'hard')$$,
	ARRAY['services.Widget: its parent "FolderPath" cannot be synced: it has no path of its own; it comes only inside other records'],
	'problem: parent that cannot be synced');
INSERT INTO sync_engine.manifest_entity (product, entity, unreachable) VALUES ('people', 'Household', 'nobody''s business');
SELECT results_eq(
	$$SELECT problem, hint FROM sync_engine.manifest_problems('people', 'HouseholdMembership')$$,
	$$VALUES ('its parent "Household" cannot be synced: nobody''s business',
		'Give this entity an unreachable reason, too, or name a parent whose rows can be walked.')$$,
	'and what to do about it');
INSERT INTO sync_engine.manifest_entity (product, entity, unreachable) VALUES ('people', 'HouseholdMembership', 'nor this');
SELECT is_empty($$SELECT * FROM sync_engine.manifest_problems('people')$$, 'which helps');
DELETE FROM sync_engine.manifest_entity WHERE source = 'user' AND entity ~ '^Household';
SELECT pg_temp.problems_are(
	$$manifest_entity (product, entity, path, parent, parent_columns) VALUES
		('people', 'Widget', '/people/v2/people/{person_id}/widgets/{widget_id}/parts', 'Person', '{id}');
	manifest_edge (product, entity, parent, kind) VALUES ('people', 'Widget', 'Person', 'hard')$$,
	ARRAY['people.Widget: it has 1 parent_columns for 2 parameters of its path /people/v2/people/{person_id}/widgets/{widget_id}/parts'],
	'problem: parameters without columns');
SELECT pg_temp.problems_are(
	$$manifest_entity (product, entity, path) VALUES ('people', 'Widget', '/people/v2/people/{person_id}/widgets')$$,
	ARRAY['people.Widget: it has 0 parent_columns for 1 parameters of its path /people/v2/people/{person_id}/widgets',
		'people.Widget: its path has parameters, but it has no parent: /people/v2/people/{person_id}/widgets'],
	'problem: nested path without a parent');
SELECT pg_temp.problems_are(
	$$manifest_entity (product, entity, path, parent) VALUES ('people', 'Widget', '/people/v2/widgets', 'Person');
	manifest_edge (product, entity, parent, kind) VALUES ('people', 'Widget', 'Person', 'hard')$$,
	ARRAY['people.Widget: it walks "Person", but its path has no parameter for it: /people/v2/widgets'],
	'problem: parent without a nested path');
SELECT pg_temp.problems_are(
	$$manifest_entity (product, entity, parent_columns) VALUES ('people', 'HouseholdMembership', '{household_id}')$$,
	ARRAY['people.HouseholdMembership: its parent''s data table will have no column "household_id"'],
	'problem: column that the parent does not have');
SELECT pg_temp.problems_are(
	format($$manifest_attribute (product, entity, attribute, privacy) VALUES ('people', 'Household', 'name', %L);
		manifest_entity (product, entity, parent_columns) VALUES ('people', 'HouseholdMembership', '{name}')$$, privacy),
	ARRAY[format('people.HouseholdMembership: its parent''s column "name" has privacy %s, and gives no path', privacy)],
	'problem: column of the parent with privacy ' || privacy)
FROM unnest(ARRAY['drop', 'hash']) privacy;
SELECT pg_temp.problems_are(
	$$manifest_attribute (product, entity, attribute, privacy) VALUES ('people', 'Note', 'person_id', 'drop')$$,
	ARRAY['people.Note: attribute "person_id" has privacy drop, but relationship "person" stores the same in its column'],
	'problem: privacy of what a relationship stores all the same');
SELECT pg_temp.problems_are(
	$$manifest_edge (product, entity, parent, kind) VALUES ('people', 'HouseholdMembership', 'Household', 'soft')$$,
	ARRAY['people.HouseholdMembership: it walks "Household", but has no hard edge to it'],
	'problem: walk without a hard edge');
SELECT pg_temp.problems_are(
	$$manifest_edge (product, entity, parent, kind) VALUES ('people', 'Gadget', 'Gizmo', 'soft')$$,
	ARRAY['people.Gadget: its soft edge names "Gizmo", which is not in the manifest'],
	'problem: edge to an unknown entity');
SELECT pg_temp.problems_are(
	$$manifest_edge (product, entity, parent, kind) VALUES ('people', 'Person', 'Gadget', 'hard'), ('people', 'Gadget', 'Email', 'hard')$$,
	ARRAY['people.Email: its hard edges form a cycle: Email -> Person -> Gadget -> Email',
		'people.Gadget: its hard edges form a cycle: Gadget -> Email -> Person -> Gadget',
		'people.Person: its hard edges form a cycle: Person -> Gadget -> Email -> Person'],
	'problem: cycle of hard edges, told to each of its members');
SELECT pg_temp.problems_are(
	$$manifest_edge (product, entity, parent, kind) VALUES ('people', 'Gadget', 'Gadget', 'hard')$$,
	ARRAY['people.Gadget: its hard edges form a cycle: Gadget -> Gadget'],
	'problem: its own owner');
SELECT pg_temp.problems_are(
	$$manifest_edge (product, entity, parent, kind) VALUES ('people', 'Person', 'Gadget', 'soft'), ('people', 'Gadget', 'Person', 'soft')$$,
	'{}', 'soft edges may form cycles');
SELECT pg_temp.problems_are(
	$$manifest_include (product, parent, include, entity) VALUES ('people', 'Person', 'gizmos', 'Gizmo'), ('people', 'Person', 'things', NULL)$$,
	ARRAY['people.Person: its include "gizmos" names "Gizmo", which is not in the manifest',
		'people.Person: its include "things" names no entity'],
	'problem: include of an unknown entity');
SELECT pg_temp.problems_are(
	$$manifest_attribute (product, entity, attribute, type) VALUES ('people', 'Gadget', 'id', 'id');
	manifest_attribute (product, entity, attribute, type) VALUES ('people', 'Gadget', 'org', 'string')$$,
	ARRAY['people.Gadget: attribute "id" gives a column "id", which is of the table''s key',
		'people.Gadget: attribute "org" gives a column "org", which is of the table''s key'],
	'problem: members with the key''s names');
SELECT pg_temp.problems_are(
	$$manifest_entity (product, entity, path, parent, parent_columns) VALUES
		('people', 'Widget', '/people/v2/people/{id}/widgets/{id}/parts', 'Person', '{id,id}');
	manifest_edge (product, entity, parent, kind) VALUES ('people', 'Widget', 'Person', 'hard')$$,
	ARRAY['people.Widget: its path has the parameter {id} 2 times',
		'people.Widget: path parameter {id} gives a column "id", which is of the table''s key'],
	'problem: two parameters with the same name');
SELECT pg_temp.problems_are(
	$$manifest_attribute (product, entity, attribute, type) VALUES ('people', 'Gadget', 'owner_id', 'id');
	manifest_relationship (product, entity, relationship, target) VALUES ('people', 'Gadget', 'owner', 'Person')$$,
	'{}', 'an attribute and a relationship may share a column');
SELECT pg_temp.problems_are(
	$$manifest_entity (product, entity, path) VALUES ('people', 'gadget', '/people/v2/others'), ('people', 'GivingFund', '/people/v2/funds')$$,
	ARRAY['giving.Fund: its view pco.giving_fund is that of people.GivingFund, too',
		'people.Gadget: its view pco.gadget is that of people.gadget, too',
		'people.GivingFund: its view pco.giving_fund is that of giving.Fund, too',
		'people.gadget: its view pco.gadget is that of people.Gadget, too'],
	'problem: two entities with the same view, and so perhaps the same table');
SELECT pg_temp.problems_are(
	$$manifest_attribute (product, entity, attribute, privacy) VALUES ('people', 'Person', 'birthdate', 'hash'), ('people', 'Person', 'first_name', 'hash')$$,
	ARRAY['people.Person: attribute "birthdate" of type date cannot be hashed'],
	'problem: hash of what is no string');
SELECT pg_temp.problems_are(
	format($$manifest_entity (product, entity, strategy) VALUES ('people', 'Gadget2', %L);
		manifest_entity (product, entity, source, path) VALUES ('people', 'Gadget2', 'discovered', '/people/v2/two')$$, strategy),
	ARRAY[format('people.Gadget2: strategy %s needs %s', strategy, need)],
	'problem: strategy ' || strategy || ' without what it needs')
FROM (VALUES ('keyset', 'updated_at or created_at in both order_keys and where_keys'), ('window', 'updated_at in where_keys'),
	('descending', 'updated_at in order_keys'), ('append_log', 'created_at in order_keys'),
	('created_tail', 'created_at in order_keys'), ('per_parent', 'a parent'),
	('include', 'a complete include of a parent'), ('singleton', 'a path that gives a single record')) AS v (strategy, need);
SELECT pg_temp.problems_are(
	format('manifest_product (product, base_path, api_version) VALUES (%1$L, ''/a'', ''2020-01-01'');
		manifest_entity (product, entity, path) VALUES (%1$L, %2$L, ''/a/b'');
		manifest_relationship (product, entity, relationship, target, many) VALUES (%1$L, %2$L, %3$L, %2$L, true)',
		repeat('p', 60), 'E' || repeat('e', 63), repeat('r', 60)),
	ARRAY[format('%s.%s: column name "%s" has 64 bytes, and 63 are the most', repeat('p', 60), 'E' || repeat('e', 63), repeat('r', 60) || '_ids'),
		format('%s.%s: schema name "pco_%s" has 64 bytes, and 63 are the most', repeat('p', 60), 'E' || repeat('e', 63), repeat('p', 60)),
		format('%s.%s: table name "%s" has 64 bytes, and 63 are the most', repeat('p', 60), 'E' || repeat('e', 63), repeat('e', 64)),
		format('%s.%s: view name "%s_%s" has 125 bytes, and 63 are the most', repeat('p', 60), 'E' || repeat('e', 63), repeat('p', 60), repeat('e', 64))],
	'problem: names that PostgreSQL would cut off');
INSERT INTO sync_engine.manifest_edge (product, entity, parent) VALUES ('people', 'Gadget', 'Gizmo'), ('giving', 'Fund', 'Gizmo');
SELECT results_eq($$SELECT product || '.' || entity FROM sync_engine.manifest_problems('giving')$$, ARRAY['giving.Fund'],
	'problems of a product');
SELECT results_eq($$SELECT product || '.' || entity FROM sync_engine.manifest_problems('people', 'Gadget')$$, ARRAY['people.Gadget'],
	'problems of an entity');
SELECT results_eq($$SELECT entity, problem FROM sync_manifest_analysis() WHERE problem ~ 'Gizmo' ORDER BY 1$$,
	$$VALUES ('Fund', 'its soft edge names "Gizmo", which is not in the manifest'),
		('Gadget', 'its soft edge names "Gizmo", which is not in the manifest')$$, 'and in the analysis of all');
DELETE FROM sync_engine.manifest_edge WHERE source = 'user';
DELETE FROM sync_engine.manifest_entity WHERE source = 'user';

-- ---- analysis -----------------------------------------------------------------

SELECT results_eq($$SELECT * FROM sync_entity_capabilities('Person')$$,
	$$VALUES ('people', 'Person', 'list', true, '/people/v2/people'), ('people', 'Person', 'walk', false, NULL),
		('people', 'Person', 'single', false, NULL), ('people', 'Person', 'get', true, '/people/v2/people/{id}'),
		('people', 'Person', 'include', false, NULL), ('people', 'Person', 'order', true, '/people/v2/people'),
		('people', 'Person', 'filter', true, '/people/v2/people'), ('people', 'Person', 'delta', true, '/people/v2/people')$$,
	'what can be done with people');
SELECT results_eq(
	$$SELECT operation, path FROM sync_entity_capabilities(entity => 'giving.Designation') WHERE supported$$,
	$$VALUES ('walk', '/giving/v2/donations/{donation_id}/designations'), ('include', '/giving/v2/donations?include=designations')$$,
	'and with designations, which their donations can bring');
SELECT results_eq($$SELECT operation FROM sync_entity_capabilities('giving.Organization') WHERE supported$$,
	ARRAY['single'], 'and with the one record of a product''s root');
SELECT results_eq($$SELECT product, entity FROM sync_entity_capabilities('check-ins.CheckIn') LIMIT 1$$,
	$$VALUES ('check_ins', 'CheckIn')$$, 'names are as people write them');

SELECT results_eq(
	$$SELECT name, target, many, kind FROM sync_entity_relationships('giving.Donation')$$,
	$$VALUES ('person', 'Person', false, 'hard')$$ ||
	$$, ('designations', 'Designation', true, 'include'), ('labels', 'Label', true, 'include')$$ ||
	$$, ('note', 'Note', false, 'include'), ('refund', 'Refund', false, 'include')$$ ||
	$$, ('batch', 'Batch', false, 'soft'), ('campus', 'Campus', false, 'soft'), ('labels', 'Label', true, 'soft')$$ ||
	$$, ('payment_source', 'PaymentSource', false, 'soft'), ('recurring_donation', 'RecurringDonation', false, 'soft')$$,
	'what donations belong to, bring along and refer to');
SELECT set_has(
	$$SELECT name, target, many, kind FROM sync_entity_relationships('Person')$$,
	$$VALUES ('created_by', 'Person', false, 'reference'), ('household', 'Household', true, 'soft'),
		('primary_campus', 'Campus', false, 'soft'), ('emails', 'Email', true, 'include')$$,
	'and people');
SELECT results_eq(
	$$SELECT name, target, many, kind FROM sync_entity_relationships('HouseholdMembership') WHERE kind <> 'include'$$,
	$$VALUES ('household', 'Household', false, 'hard'), ('person', 'Person', false, 'soft')$$,
	'and memberships, whose records do not name their household');

SELECT results_eq($$SELECT * FROM sync_entity_delta_fields('giving.Donation')$$,
	$$VALUES ('updated_at', true, true), ('created_at', true, true), ('completed_at', true, true), ('received_at', true, true)$$,
	'times by which new donations are told');
SELECT results_eq($$SELECT * FROM sync_entity_delta_fields('Address')$$,
	$$VALUES ('updated_at', false, true), ('created_at', false, true)$$, 'addresses can only be ordered by them');
SELECT is_empty($$SELECT * FROM sync_entity_delta_fields('MaritalStatus')$$, 'reference data have none');

SELECT results_eq($$SELECT field FROM sync_entity_orderable_fields('giving.Donation')$$,
	ARRAY['completed_at', 'created_at', 'received_at', 'updated_at'], 'what donations can be ordered by');
SELECT set_has($$SELECT field FROM sync_entity_orderable_fields('Person')$$,
	$$VALUES ('updated_at'), ('last_name')$$, 'and people');

SELECT results_eq(
	$$SELECT * FROM sync_manifest_analysis() WHERE (product, entity) IN
		(('people', 'Person'), ('giving', 'Donation'), ('giving', 'Note'), ('check_ins', 'PreCheck'), ('current', 'Organization'))$$,
	$$VALUES ('check_ins', 'PreCheck', false, NULL, 'none', '{}'::text[], 0, 0, NULL,
			'it has no path of its own; only its id comes, as pre_check of CheckInTime'),
		('current', 'Organization', true, 'singleton', 'single', '{}', 2, 0, NULL, NULL),
		('giving', 'Donation', true, 'keyset', 'list', '{Person}', 20, 6, 'updated_at', NULL),
		('giving', 'Note', true, 'include', 'nested', '{Donation}', 1, 0, NULL, NULL),
		('people', 'Person', true, 'keyset', 'list', '{}', 34, 2, 'updated_at', NULL)$$,
	'the analysis has a line for each');
SELECT is((SELECT count(*) FROM sync_manifest_analysis()), 256::bigint, 'for all of them');

SELECT throws_ok(format('SELECT * FROM %s(%L)', function, name), sqlstate, message, format('%s does not take %s', function, name))
FROM unnest(ARRAY['sync_entity_capabilities', 'sync_entity_relationships', 'sync_entity_delta_fields',
		'sync_entity_orderable_fields']) function,
	(VALUES ('Persn', '42704', 'entity "Persn" does not exist'), ('Note2', '42704', 'entity "Note2" does not exist'),
		('TagGroup', '42P08', 'entity "TagGroup" is ambiguous')) AS v (name, sqlstate, message);

-- ---- what the engine reads is what the sources say ---------------------------

-- in_step: what differs between a table and the view that it holds.
CREATE FUNCTION pg_temp.in_step() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	thing text;
BEGIN
	FOREACH thing IN ARRAY ARRAY['product', 'entity', 'attribute', 'relationship', 'edge', 'include'] LOOP
		RETURN QUERY EXECUTE format('SELECT %L || '' '' || r::text FROM (
			(TABLE sync_engine.%1$I EXCEPT ALL TABLE sync_engine.merged_%1$s)
			UNION ALL (TABLE sync_engine.merged_%1$s EXCEPT ALL TABLE sync_engine.%1$I)) r', thing);
	END LOOP;
END $$;

SELECT is_empty('SELECT pg_temp.in_step()', 'the tables that the engine reads hold what the sources say');
INSERT INTO sync_engine.manifest_product (product, api_version) VALUES ('people', '2024-09-12'), ('gadgets', NULL);
INSERT INTO sync_engine.manifest_entity (product, entity, path) VALUES ('people', 'Gadget', '/people/v2/gadgets'),
	('people', 'Person', '/people/v2/persons');
INSERT INTO sync_engine.manifest_attribute (product, entity, attribute, type, position) VALUES ('people', 'Person', 'shoe_size', 'integer', 1),
	('people', 'Gadget', 'name', 'string', NULL);
INSERT INTO sync_engine.manifest_relationship (product, entity, relationship, target) VALUES ('people', 'Gadget', 'owner', 'Person');
INSERT INTO sync_engine.manifest_edge (product, entity, parent, kind) VALUES ('people', 'Gadget', 'Person', 'soft'),
	('people', 'Email', 'Person', 'none');
INSERT INTO sync_engine.manifest_include (product, parent, include, entity) VALUES ('people', 'Person', 'gadgets', 'Gadget');
SELECT is_empty('SELECT pg_temp.in_step()', 'after what a user adds');
SELECT is((SELECT path FROM sync_engine.entity WHERE (product, entity) = ('people', 'Person')), '/people/v2/persons', 'which counts');
UPDATE sync_engine.manifest_entity SET entity = 'Widget' WHERE entity = 'Gadget';
UPDATE sync_engine.manifest_attribute SET entity = 'Widget', type = 'json' WHERE entity = 'Gadget';
SELECT is_empty('SELECT pg_temp.in_step()', 'after a change of a key');
SELECT is((SELECT count(*) FROM sync_engine.entity WHERE entity = 'Gadget'), 0::bigint, 'which takes the old one away');
DELETE FROM sync_engine.manifest_entity WHERE source = 'user';
DELETE FROM sync_engine.manifest_edge WHERE source = 'user';
DELETE FROM sync_engine.manifest_attribute WHERE source = 'user';
DELETE FROM sync_engine.manifest_relationship WHERE source = 'user';
DELETE FROM sync_engine.manifest_include WHERE source = 'user';
DELETE FROM sync_engine.manifest_product WHERE source = 'user';
SELECT is_empty('SELECT pg_temp.in_step()', 'after all of it is taken back');
SELECT is((SELECT count(*) FROM sync_engine.entity), 256::bigint, 'and it is as it was');

SELECT * FROM finish();
ROLLBACK;
