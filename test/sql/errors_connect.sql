-- What sync_connect refuses, each time with a message that says what to do.
-- SQLSTATEs are shown; nothing here ever reaches a server.
CREATE EXTENSION sync_engine;

-- arguments that are missing
SELECT sync_connect(NULL, 'id', 'secret');
\echo :SQLSTATE
SELECT sync_connect('', 'id', 'secret');
\echo :SQLSTATE
SELECT sync_connect('church', NULL, 'secret');
\echo :SQLSTATE
SELECT sync_connect('church', '', 'secret');
\echo :SQLSTATE
SELECT sync_connect('church', 'id', NULL);
\echo :SQLSTATE
SELECT sync_connect('church', 'id', '');
\echo :SQLSTATE
SELECT sync_connect('church', 'id', 'secret', base_url => NULL);
\echo :SQLSTATE
SELECT sync_connect('church', 'id', 'secret', base_url => '');
\echo :SQLSTATE

-- arguments that are too long
SELECT sync_connect(repeat('o', 201), 'id', 'secret', base_url => 'http://127.0.0.1:1');
\echo :SQLSTATE
SELECT sync_connect('church', repeat('i', 1024), 'secret');
\echo :SQLSTATE
SELECT sync_connect('church', 'id', repeat('s', 1024));
\echo :SQLSTATE

-- what is not there yet
SELECT sync_connect('church', 'id', 'secret', 'refresh token');
\echo :SQLSTATE

-- base URLs that are none: one row each, what is said of it
CREATE FUNCTION refusal(base_url text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	PERFORM sync_connect('church', 'id', 'secret', base_url => base_url);
	RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', SQLSTATE || ' ' || SQLERRM, hint);
END $$;
SELECT base_url, refusal(base_url) FROM (VALUES
	('api.planningcenteronline.com'),
	('ftp://api.planningcenteronline.com'),
	('https://'),
	('https://api.planningcenteronline.com/people/v2'),
	('https://api.planningcenteronline.com?per_page=1'),
	('https://api.planningcenteronline.com#top'),
	('https://id:secret@api.planningcenteronline.com'),
	('https://api.planningcenteronline.com:0'),
	('https://api.planningcenteronline.com:65536'),
	('https://api.planningcenteronline.com:https'),
	('https://api planningcenteronline.com'),
	(E'https://api.planningcenteronline.com\r\nHost: elsewhere'),
	('https://[::1'),
	('https://[::g]'),
	('https://300.1.1.1'),
	('https://127.1'),
	('http://169.254.169.254'),
	('https://example.com'),
	('http://api.planningcenteronline.com'),
	('https://api.planningcenteronline.com.example.com'),
	('http://localhost:8080'),
	('http://[::1]:8080')) AS v (base_url);

-- options
SELECT sync_connect('church', 'id', 'secret', base_url => 'http://127.0.0.1:1', options => '[]');
\echo :SQLSTATE
SELECT sync_connect('church', 'id', 'secret', base_url => 'http://127.0.0.1:1', options => '{"entitys": ["Person"]}');
\echo :SQLSTATE
SELECT sync_connect('church', 'id', 'secret', base_url => 'http://127.0.0.1:1', options => '{"entities": "Person"}');
\echo :SQLSTATE
SELECT sync_connect('church', 'id', 'secret', base_url => 'http://127.0.0.1:1', options => '{"entities": [1]}');
\echo :SQLSTATE
SELECT sync_connect('church', 'id', 'secret', base_url => 'http://127.0.0.1:1', options => '{"entities": ["Persn"]}');
\echo :SQLSTATE
SELECT sync_connect('church', 'id', 'secret', base_url => 'http://127.0.0.1:1', options => '{"entities": ["Person"], "exclude": ["Person"]}');
\echo :SQLSTATE
SELECT sync_connect('church', 'id', 'secret', base_url => 'http://127.0.0.1:1', options => '{"delete_behaviour": 1}');
\echo :SQLSTATE
SELECT sync_connect('church', 'id', 'secret', base_url => 'http://127.0.0.1:1', options => '{"delete_behaviour": "maybe"}');
\echo :SQLSTATE
SELECT sync_connect('church', 'id', 'secret', base_url => 'http://127.0.0.1:1', options => '{"delete_threshold_count": "many"}');
\echo :SQLSTATE
SELECT sync_connect('church', 'id', 'secret', base_url => 'http://127.0.0.1:1', options => '{"delete_threshold_percent": 100.5}');
\echo :SQLSTATE
SELECT sync_connect('church', 'id', 'secret', base_url => 'http://127.0.0.1:1', options => '{"rate_share": 0}');
\echo :SQLSTATE
SELECT sync_connect('church', 'id', 'secret', base_url => 'http://127.0.0.1:1', options => '{"rate_share": 1e10}');
\echo :SQLSTATE
SELECT sync_connect('church', 'id', 'secret', base_url => 'http://127.0.0.1:1', options => '{"rate_share": "all"}');
\echo :SQLSTATE
SELECT sync_connect('church', 'id', 'secret', base_url => 'http://127.0.0.1:1', options => '{"api_versions": []}');
\echo :SQLSTATE

-- nothing of all that was stored
SELECT count(*) FROM sync_orgs;
SELECT count(*) FROM sync_engine.credential;

-- options given replace all, NULL keeps them; the same for a second credential
SELECT sync_connect('church', 'id', 'secret', base_url => 'http://127.0.0.1:1', options => '{"rate_share": 50, "exclude": []}');
SELECT sync_connect('church', 'id', 'other secret', base_url => 'HTTP://127.0.0.1:1/');
SELECT org, base_url, options, status FROM sync_orgs;
SELECT sync_connect('church', 'id', 'other secret', base_url => 'http://127.0.0.1:1', options => '{}');
SELECT options FROM sync_orgs;

-- who is not connected
SELECT sync_disconnect(NULL);
\echo :SQLSTATE
SELECT sync_disconnect('chruch');
\echo :SQLSTATE
SELECT sync_check(NULL);
\echo :SQLSTATE
SELECT sync_check('chruch');
\echo :SQLSTATE

DROP FUNCTION refusal;
DROP EXTENSION sync_engine;
