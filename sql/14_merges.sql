-- Merges of people: who was merged into whom, and who it is now.
--
-- A row stands for a PersonMerger, and is written in the transaction of the page
-- that brings it.  It is kept apart from pco_people.person_merger, because pages of
-- people are held against it, whether that table is there or not.

CREATE TABLE sync_engine.person_merge (
	org text NOT NULL,
	merger_id text NOT NULL,
	removed_id text NOT NULL,
	kept_id text NOT NULL,
	merged_at timestamptz,
	revived_at timestamptz,					-- the API has shown the removed person since, asked for it by its id
	PRIMARY KEY (org, merger_id)
);
COMMENT ON TABLE sync_engine.person_merge IS 'People that were merged into others, as the log of mergers tells; a page that still shows one of them does not bring it back';
CREATE INDEX person_merge_removed ON sync_engine.person_merge (org, removed_id);

SELECT pg_catalog.pg_extension_config_dump('sync_engine.person_merge', '');

CREATE FUNCTION sync_engine.living_person(org text, id text)
RETURNS text LANGUAGE plpgsql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	at text := id;
	passed text[] := '{}';
	kept text;
BEGIN
	LOOP
		SELECT m.kept_id INTO kept FROM sync_engine.person_merge m
		WHERE m.org = living_person.org AND m.removed_id = at AND m.revived_at IS NULL
		ORDER BY m.merged_at DESC NULLS LAST, length(m.merger_id) DESC, m.merger_id DESC LIMIT 1;
		IF NOT FOUND THEN
			RETURN at;
		END IF;
		passed := passed || at;
		IF kept = ANY (passed) THEN
			RETURN NULL;
		END IF;
		at := kept;
	END LOOP;
END $$;
COMMENT ON FUNCTION sync_engine.living_person(text, text) IS 'The end of a person''s trail of merges; NULL if it goes in a circle';

-- A view cannot stand on a table that the first sync makes.
CREATE FUNCTION sync_engine.person_is_live(org text, id text)
RETURNS boolean LANGUAGE plpgsql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	live boolean;
BEGIN
	PERFORM FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE (n.nspname, c.relname) = ('pco_people', 'person') AND has_schema_privilege(n.oid, 'USAGE')
	AND has_table_privilege(c.oid, 'SELECT');
	IF FOUND THEN
		EXECUTE 'SELECT _deleted_at IS NULL FROM pco_people.person WHERE org = $1 AND id = $2' INTO live USING org, id;
	END IF;
	RETURN live;
END $$;
COMMENT ON FUNCTION sync_engine.person_is_live(text, text) IS 'Whether a person''s row is live; NULL if it is not stored or the reader may not see it';

CREATE FUNCTION @extschema@.sync_living_id(org text, id text)
RETURNS text LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT sync_engine.living_person(org, id)
$$;
COMMENT ON FUNCTION @extschema@.sync_living_id(text, text)
	IS 'Id of the person that this one was merged into, at the end of the trail; its own id if it never was';

CREATE VIEW @extschema@.sync_merged_people WITH (security_invoker = true) AS
WITH RECURSIVE merge AS (
	SELECT DISTINCT ON (org, removed_id) org, removed_id, kept_id, merger_id, merged_at
	FROM sync_engine.person_merge WHERE revived_at IS NULL
	ORDER BY org, removed_id, merged_at DESC NULLS LAST, length(merger_id) DESC, merger_id DESC
), trail AS (
	SELECT org, removed_id AS old_id, kept_id AS id FROM merge
	UNION
	SELECT t.org, t.old_id, m.kept_id FROM trail t JOIN merge m ON (m.org, m.removed_id) = (t.org, t.id)
)
SELECT m.org, m.removed_id AS old_id, e.id AS living_id, m.kept_id, m.merger_id, m.merged_at,
	sync_engine.person_is_live(m.org, e.id) AS is_live
FROM merge m LEFT JOIN (
	SELECT t.org, t.old_id, t.id FROM trail t
	WHERE NOT EXISTS (SELECT FROM merge n WHERE (n.org, n.removed_id) = (t.org, t.id))
) e ON (e.org, e.old_id) = (m.org, m.removed_id);
COMMENT ON VIEW @extschema@.sync_merged_people IS 'Ids of people that were merged into others, each with the id of the person at the end of the trail';
