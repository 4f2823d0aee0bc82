-- The extension installs, is what it says, and leaves nothing behind.
CREATE EXTENSION sync_engine;
SELECT extversion, extrelocatable FROM pg_extension WHERE extname = 'sync_engine';
SELECT nspname FROM pg_namespace WHERE nspname = 'sync_engine';
DROP EXTENSION sync_engine;
SELECT nspname FROM pg_namespace WHERE nspname = 'sync_engine';
