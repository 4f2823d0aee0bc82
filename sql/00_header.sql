-- sync_engine: keeps a queryable copy of Planning Center data, from inside PostgreSQL
\echo Use "CREATE EXTENSION sync_engine" to load this file. \quit

-- Nothing below may resolve a name through a user's schema.  Public functions
-- and views go to the target schema by name, state to schema sync_engine.
SET LOCAL search_path TO pg_catalog, pg_temp;

CREATE SCHEMA sync_engine;
COMMENT ON SCHEMA sync_engine IS 'State of the sync_engine extension: organisations, runs, jobs, dead letters, manifest';
