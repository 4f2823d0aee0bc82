-- What a database with the extension has.
BEGIN;
SELECT plan(2);
SELECT has_extension('sync_engine', 'the extension is there');
SELECT has_schema('sync_engine', 'its state has a schema of its own');
SELECT * FROM finish();
ROLLBACK;
