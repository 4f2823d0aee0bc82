# Secrets show nowhere, and rights are what was granted.

use strict;
use warnings FATAL => 'all';

use JSON::PP;
use SyncEngineTest;

# Every secret of this test has one of these in it, and nothing else has.
my $secret = qr/org1-secret|hush/;

my $soon_s = 30;
my $people = 30;
my $simulator = start_simulator(people => $people, rate_limit => 0);
my $url = $simulator->url;
my $node = new_cluster(
	conf => {
		# as much as can be logged without logging statements
		log_min_messages             => 'debug1',
		log_min_error_statement      => 'error',
		log_statement                => 'none',
		log_error_verbosity          => 'verbose',
		track_activity_query_size    => '16kB',
		'sync_engine.table_owner'    => 'keeper',
	});
my $session = new_session();

sub value
{
	my ($query) = @_;

	return $node->safe_psql('sync', $query);
}

sub new_session
{
	my $new = background_psql($node, on_error_stop => 0);

	$new->query(q{\set VERBOSITY verbose});
	$new->query('SET client_min_messages = warning');
	return $new;
}

sub answer
{
	my ($on, $sql) = @_;

	$on->{stderr} = '';
	my $output = $on->query($sql);
	return ($output, $on->{stderr});
}

# is_silent: test that neither the log, since the last time, nor the list of
# sessions has a secret.
my $searched = 0;
sub is_silent
{
	my ($name) = @_;
	my $log = server_log($node);

	unlike(substr($log, $searched), $secret, "$name: not in the log");
	$searched = length $log;
	unlike(value('SELECT string_agg(query, chr(10)) FROM pg_stat_activity'),
		$secret, "$name: not in pg_stat_activity");
	return;
}

value('CREATE ROLE keeper');

# ---- storing a credential -------------------------------------------------

# connect_call: SQL that stores one; more is what follows the secret.
sub connect_call
{
	my ($more, %but) = @_;

	return sprintf(q{SELECT sync_connect(%s, 'hush-id', 'hush-secret'%s)}, $but{org} // q{'org2'}, $more // '');
}

# The tests below are worth something only if it would show.
answer($session, q{SELECT 1 / length('') AS "visible"});
like(server_log($node), qr/STATEMENT:  SELECT 1 \/ length\(''\) AS "visible"/, 'the log has the statements of errors');
like(value('SELECT string_agg(query, chr(10)) FROM pg_stat_activity'), qr/"visible"/, 'pg_stat_activity has the last ones');

answer($session, "SELECT sync_connect('org1', 'org1-client', 'org1-secret', base_url => '$url')");
is_silent('a credential is stored');

my $allowed = ", base_url => '$url'";
for my $case (
	[ 'a NULL for the org', qr/22004: org must not be null/, connect_call('', org => 'NULL') ],
	[ 'a host that is not allowed', qr/42501: base_url https:\/\/example\.com is not in/,
		connect_call(q{, base_url => 'https://example.com'}) ],
	[ 'a bad base URL', qr/22023: base_url is not valid/, connect_call(q{, base_url => 'ftp://example.com'}) ],
	[ 'a base URL with a password', qr/22023: base_url is not valid: must not contain user information$/m,
		connect_call(q{, base_url => 'https://me:hush@example.com'}) ],
	[ 'an unknown option', qr/22023: option "colour" does not exist/, connect_call(qq{$allowed, options => '{"colour": 1}'}) ],
	[ 'an unknown entity', qr/42704: entity "Persn" does not exist/,
		connect_call(qq{$allowed, options => '{"entities": ["Persn"]}'}) ],
	[ 'options that are no JSON', qr/22P02: invalid input syntax for type json/, connect_call(qq[$allowed, options => '{']) ],
	[ 'an argument of a wrong type', qr/42883: function sync_connect\(.*\) does not exist/, connect_call(', now()') ],
	[ 'an argument too many', qr/42883: function sync_connect\(.*\) does not exist/, connect_call(q{, 'a', 'b', '{}', 'c'}) ],
	[ 'double quotes', qr/42703: column "hush-secret" does not exist/, q{SELECT sync_connect('org2', 'id', "hush-secret")} ],
	[ 'a missing comma', qr/42601: syntax error at or near "'hush-secret'"/, q{SELECT SYNC_CONNECT('org2', 'id' 'hush-secret')} ],
	[ 'a schema that is not there', qr/3F000: schema "nowhere" does not exist/,
		q{SELECT nowhere.sync_connect('org2', 'hush-id', 'hush-secret')} ],
	[ 'an aborted transaction', qr/25P02: current transaction is aborted/, 'BEGIN; SELECT 1 / 0; ' . connect_call($allowed) . '; ROLLBACK' ],
	[ 'an anonymous block', qr/22023: base_url is not valid/,
		q{DO $$ BEGIN PERFORM sync_connect('org2', 'hush-id', 'hush-secret', base_url => 'x'); END $$} ],
	[ 'a prepared statement', qr/22023: base_url is not valid/,
		q{PREPARE p AS SELECT sync_connect($1, $2, $3, base_url => $4); EXECUTE p('org2', 'hush-id', 'hush-secret', 'x')} ],
	[ 'a failure after it', qr/22012: division by zero/, connect_call($allowed) . q{ \; SELECT 1 / 0} ],
	[ 'a failure at the commit', qr/23505: duplicate key value/,
		q{CREATE TEMP TABLE d (i int UNIQUE DEFERRABLE INITIALLY DEFERRED) \; INSERT INTO d VALUES (1), (1) \; }
		  . connect_call($allowed) ])
{
	my ($name, $message, $sql) = @$case;
	my (undef, $stderr) = answer($session, $sql);

	like($stderr, $message, "$name: the caller is told");
	is_silent($name);
}

# Errors of SQL beneath the function.
value(<<'SQL');
	CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
	CREATE FUNCTION my_connect(a text, b text) RETURNS void LANGUAGE plpgsql AS
		$$ BEGIN PERFORM sync_connect('org2', a, b, base_url => 'http://127.0.0.1:1'); END $$;
	CREATE FUNCTION my_alias(b text) RETURNS void LANGUAGE sql AS $$ SELECT my_connect('id', b) $$;
SQL
for my $case (
	[ 'a trigger that refuses', 'P0001: refused',
		'CREATE TRIGGER refuse BEFORE INSERT ON sync_engine.org FOR EACH ROW EXECUTE FUNCTION refuse()',
		'DROP TRIGGER refuse ON sync_engine.org' ],
	[ 'a deferred trigger', '42501: cannot fire deferred trigger within security-restricted operation',
		'CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON sync_engine.credential DEFERRABLE INITIALLY DEFERRED '
		  . 'FOR EACH ROW EXECUTE FUNCTION refuse()',
		'DROP TRIGGER refuse ON sync_engine.credential' ],
	[ 'a constraint', '23514: new row for relation "credential" violates check constraint "never"',
		q{ALTER TABLE sync_engine.credential ADD CONSTRAINT never CHECK (org <> 'org2')},
		'ALTER TABLE sync_engine.credential DROP CONSTRAINT never' ])
{
	my ($name, $message, $make, $drop) = @$case;

	value($make);
	for my $call (connect_call($allowed), q{SELECT my_connect('hush-id', 'hush-secret')}, q{SELECT my_alias('hush-secret')})
	{
		my (undef, $stderr) = answer($session, $call);
		like($stderr, qr/ERROR:  \Q$message\E/, "$name: the caller is told");
		is_silent($name);
	}
	value($drop);
}

# Seen while it runs, and ended from outside.
for my $case (
	[ 'cancelled', 'SELECT pg_cancel_backend(%s)', qr/57014: canceling statement/ ],
	[ 'terminated', 'SELECT pg_terminate_backend(%s)', qr/57P01: terminating connection/ ])
{
	my ($name, $end, $message) = @$case;
	my $blocker = new_session();
	my $blocked = new_session();
	my ($pid) = answer($blocked, 'SELECT pg_backend_pid()');

	answer($blocker, 'BEGIN; LOCK TABLE sync_engine.org');
	$blocked->{stderr} = '';
	$blocked->query_until(qr/begun\n/, "\\echo begun\n" . connect_call($allowed) . ";\n");
	wait_for(
		sub { value("SELECT count(*) FROM pg_locks WHERE pid = $pid AND NOT granted") },
		$soon_s, "$name: it waits");
	is( value("SELECT query FROM pg_stat_activity WHERE pid = $pid"),
		'SELECT sync_connect(/* arguments hidden */)',
		"$name: what others see of it");
	value(sprintf $end, $pid);
	wait_for(sub { server_log($node) =~ $message }, $soon_s, "$name: the log has it");
	is_silent($name);
	answer($blocker, 'ROLLBACK');
	$blocker->quit;
	eval { $blocked->quit };
}
is(value(q{SELECT count(*) FROM sync_orgs WHERE org = 'org2'}), '0', 'none of these was stored');

# ---- using it -------------------------------------------------------------

{
	my $listener = new_session();
	answer($listener, 'LISTEN sync_engine');

	is(value(q{SELECT status FROM sync_run('org1', ARRAY['Person'], mode => 'full')}), 'succeeded', 'the credential works');
	is_silent('a sync');

	answer($session, "SELECT sync_connect('org2', 'org1-client', 'hush-wrong', base_url => '$url')");
	is( value(q{SELECT status, error FROM sync_run('org2', ARRAY['Person'], mode => 'full')}),
		"failed|the API refuses the credential (401: The credentials you provided are not valid)\n"
		  . "Call sync_connect('org2', ...) with a valid token.",
		'a wrong secret: the run says so');
	is( value(q{SELECT status, sqlstate, hint FROM sync_orgs WHERE org = 'org2'}),
		q{stopped|SE401|Call sync_connect('org2', ...) with a valid token.},
		'a wrong secret: the org is stopped');
	is_silent('a sync that fails');

	my ($told) = answer($listener, 'SELECT 1');
	like($told, qr/notification "sync_engine"/, 'notifications came');
	unlike($told, $secret, 'and none has a secret');
	$listener->quit;
}

# Every value of every table and view that there is.
{
	my @relations = split /\n/, value(<<'SQL');
		SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'v') AND (n.nspname ~ '^(sync_engine|pco.*)$' OR c.relname ~ '^sync_')
SQL
	cmp_ok(scalar @relations, '>', 20, 'there are tables and views to look into');
	my $found = join ', ', grep { value("SELECT t::text FROM $_ t") =~ $secret } @relations;
	is($found, '', 'no table and no view shows a secret');
	unlike(value(q{SELECT encode(sealed, 'escape') FROM sync_engine.credential}), $secret, 'nor are they stored as they are');
	unlike(value('SELECT name || setting FROM pg_settings'), $secret, 'nor in a setting');
}

# ---- dumping it -----------------------------------------------------------

{
	my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';

	$node->command_ok([ 'pg_dump', '-d', $node->connstr('sync'), '-f', $dump ], 'pg_dump');
	my $text = PostgreSQL::Test::Utils::slurp_file($dump);
	unlike($text, $secret, 'the dump has no secret');
	unlike($text, qr/^COPY sync_engine\.(credential|run|job) /m, 'nor a sealed one, nor what belongs to this cluster');
	my $sealed = value(q{SELECT encode(sealed, 'hex') FROM sync_engine.credential WHERE org = 'org1'});
	is(index($text, $sealed), -1, 'not in any table');
	like($text, qr/^COPY pco_people\.person /m, 'it has the data');
	like($text, qr/^COPY sync_engine\.org /m, 'and the organisations');

	$node->safe_psql('postgres', 'CREATE DATABASE restored');
	$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored'), '-f', $dump ],
		'it can be restored');

	my $of = 'SELECT md5(string_agg(p::text, chr(10) ORDER BY org, id)), count(*) FROM pco_people.person p';
	is($node->safe_psql('restored', $of), value($of), 'with the same data');
	is($node->safe_psql('restored', 'SELECT count(*) FROM pco.person'), $people, 'also in the view of live rows');

	my $run = q{SELECT status, error FROM sync_run('org1', ARRAY['Person'], mode => 'full')};
	is( $node->safe_psql('restored', $run),
		"failed|the organisation has no credential\nCall sync_connect.",
		'the restored copy has no credential, and asks for one');
	$node->safe_psql('restored', "SELECT sync_connect('org1', 'org1-client', 'org1-secret', base_url => '$url')");
	is( $node->safe_psql('restored', q{SELECT status, fetched, inserted FROM sync_run('org1', ARRAY['Person'], mode => 'full')}),
		"succeeded|$people|0",
		'connected, it goes on from its data');
	is_silent('a restored copy');

	$node->safe_psql('restored', 'DROP EXTENSION sync_engine');
	is($node->safe_psql('restored', 'SELECT (SELECT count(*) FROM pco_people.person), (SELECT count(*) FROM pco.person)'),
		"$people|$people", 'DROP EXTENSION leaves the data, and the views of live rows');
	is($node->safe_psql('restored', q{SELECT count(*) FROM pg_namespace WHERE nspname = 'sync_engine'}),
		'0', 'and nothing else');
}

# ---- rights ---------------------------------------------------------------

value(<<'SQL');
	CREATE ROLE stranger LOGIN;
	CREATE ROLE caller LOGIN;
	CREATE ROLE watcher LOGIN IN ROLE pg_monitor;
	GRANT EXECUTE ON FUNCTION sync_run, sync_start, sync_wait, sync_cancel TO caller;
SQL

# as_role: what a role that logs in gets for the SQL: status, output, errors.
sub as_role
{
	my ($role, $sql) = @_;

	return $node->psql('sync', "SET client_min_messages = warning; $sql", extra_params => [ '-U', $role ]);
}

sub is_denied
{
	my ($role, $sql) = @_;

	like((as_role($role, $sql))[2], qr/ERROR:  permission denied for /, "$role cannot: $sql");
	return;
}

is_denied('stranger', $_)
  for connect_call($allowed), q{SELECT sync_disconnect('org1')}, q{SELECT * FROM sync_check('org1')}, 'SELECT sync_adopt()',
  q{SELECT * FROM sync_run('org1')}, q{SELECT sync_start('org1')}, 'SELECT sync_wait(1)', 'SELECT sync_cancel(1)',
  'SELECT * FROM sync_engine.live_jobs()', 'TABLE sync_engine.credential', 'TABLE sync_orgs', 'TABLE sync_jobs',
  'TABLE sync_dead_letters', 'TABLE pco_people.person', 'TABLE pco.person',
  q{SELECT nextval('sync_engine.lane_number')};
is_silent('calls that are denied');

is( (as_role('caller', q{SELECT entity, status, fetched FROM sync_run('org1', ARRAY['Person'], mode => 'full')}))[1],
	"Person|succeeded|$people",
	'the right to call sync_run is enough for it');
is(value(q{SELECT requested_by FROM sync_runs ORDER BY run_id DESC LIMIT 1}), 'caller', 'it is known who asked');
{
	my $run = (as_role('caller', q{SELECT sync_start('org1', ARRAY['Campus'], mode => 'full')}))[1];
	is((as_role('caller', "SELECT sync_wait($run)"))[1], 'succeeded', 'sync_start and sync_wait likewise');
	is((as_role('caller', "SELECT sync_cancel($run)"))[1], 'f', 'and sync_cancel');
}
is_denied('caller', $_)
  for connect_call($allowed), 'TABLE sync_engine.credential', 'TABLE sync_engine.org', 'TABLE sync_engine.run',
  'TABLE sync_runs', 'TABLE pco_people.person', q{SELECT sync_disconnect('org1')};

is((as_role('watcher', "TABLE $_"))[2], '', "a watcher reads $_")
  for split /\n/, value(q{SELECT viewname FROM pg_views WHERE viewname ~ '^sync_' AND viewname <> 'sync_dead_letters'});
is_denied('watcher', $_)
  for 'TABLE sync_dead_letters', 'TABLE sync_engine.credential', 'TABLE sync_engine.dead_letter',
  'TABLE pco_people.person', q{SELECT sync_start('org1')}, q{DELETE FROM sync_engine.run};

# Names of a caller's own do not stand in for the engine's.
is( (as_role('caller', <<'SQL'))[1],
	CREATE TEMP TABLE org AS SELECT 1 AS org;
	CREATE FUNCTION pg_temp.steal(text, text) RETURNS boolean LANGUAGE plpgsql AS
		$$ BEGIN RAISE 'called as %', current_user; END $$;
	CREATE OPERATOR pg_temp.= (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_temp.steal);
	SET search_path = pg_temp, public;
	SELECT status FROM sync_run('org1', ARRAY['Person'], mode => 'full');
SQL
	'succeeded',
	'a caller cannot lend names to the engine');

# What the owner of a data table hangs on it runs with the owner's rights.
value(<<'SQL');
	GRANT CREATE ON SCHEMA public TO keeper;
	SET ROLE keeper;
	CREATE TABLE public.seen (who text);
	CREATE FUNCTION public.look() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN INSERT INTO public.seen VALUES (current_user); RETURN NEW; END $$;
	CREATE TRIGGER look AFTER UPDATE ON pco_people.person FOR EACH ROW EXECUTE FUNCTION public.look();
SQL
$simulator->post('mutate', org => 'org1', entity => 'Person', op => 'update', count => 1);
is(value(q{SELECT status, updated FROM sync_run('org1', ARRAY['Person'], mode => 'full')}), 'succeeded|1', 'a trigger on a data table');
is(value('SELECT DISTINCT who FROM seen'), 'keeper', 'runs as the owner of the table');
value(<<'SQL');
	CREATE OR REPLACE FUNCTION public.look() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN RESET ROLE; RETURN NEW; END $$;
SQL
$simulator->post('mutate', org => 'org1', entity => 'Person', op => 'update', count => 1);
like(
	value(q{SELECT status, error FROM sync_run('org1', ARRAY['Person'], mode => 'full')}),
	qr/^failed\|cannot set parameter "role" within security-definer function/,
	'and cannot become anybody else');

$session->quit;
unlike(server_log($node), qr/PANIC|TRAP|terminated by signal/, 'no process came to harm');

done_testing();
