# CREATE, ALTER and DROP EXTENSION while lanes are at work, committed and taken
# back; SQL objects of another version than the library; roles that go.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;
use SyncEngineTest::HangingRun;
use Time::HiRes qw(time);

# Where something must not hang: far more than it takes, far less than for ever.
my $soon_s = 30;

# What takes effect at once does so within this time.
my $patience_s = 1;

# scripts/check installs ways from this version to another one and back, with
# nothing in them.
my $other_version = '0.0.1';

my $simulator = start_simulator(orgs => 2, people => 250, rate_limit => 0);
my $node = new_cluster(conf => { log_min_messages => 'debug1' });
my $url = $simulator->url;
my $version = safe_psql($node, q{SELECT extversion FROM pg_extension WHERE extname = 'sync_engine'});
connect_org($node, $simulator, 'org1');

sub start_hanging
{
	my ($name) = @_;

	return SyncEngineTest::HangingRun->start($node, $simulator, $name);
}

# lanes_leave: test that none is left soon, also if their server does not answer.
sub lanes_leave
{
	my ($name) = @_;
	my $start = time;

	wait_for(sub { !lane_pids($node) }, $soon_s, "$name: no lane is left");
	cmp_ok(time - $start, '<', $patience_s, "$name: soon");
	return;
}

sub lanes_started
{
	return logged($node, qr/starting background worker process "sync_engine lane"/);
}

# is_refused: test what every function says while the versions differ.
sub is_refused
{
	my ($installed, $hint, $name) = @_;

	for my $call (
		"SELECT sync_connect('org1', 'a', 'b', base_url => '$url')", q{SELECT * FROM sync_run('org1')},
		q{SELECT sync_start('org1')}, 'SELECT sync_wait(1)', 'SELECT sync_cancel(1)', 'SELECT * FROM sync_progress',
		'SELECT sync_dependency_graph()', q{SELECT * FROM sync_plan('org1')})
	{
		my (undef, undef, $stderr) = $node->psql('sync', "\\set VERBOSITY verbose\nSET statement_timeout = '5s';\n$call");

		like(
			$stderr,
			qr/ERROR:  55000: extension "sync_engine" in database "sync" has version $installed, but the library has version $version\nHINT:  $hint\n/,
			"$name: $call");
	}
	return;
}

# ---- versions -------------------------------------------------------------

my $update = 'Run ALTER EXTENSION sync_engine UPDATE in this database\.';

my $name = 'another version, rolled back';
my $run = start_hanging($name);
safe_psql($node, "BEGIN; ALTER EXTENSION sync_engine UPDATE TO '$other_version'; ROLLBACK");
$run->stays($name);

$name = 'another version';
safe_psql($node, "ALTER EXTENSION sync_engine UPDATE TO '$other_version'");
lanes_leave($name);
my $complaint = qr/LOG:  sync_engine: extension "sync_engine" in database "sync" has version $other_version, but the library has version $version\n.*HINT:  $update/;
wait_for(sub { logged($node, $complaint) }, $soon_s, "$name: the log says so, and what to do");
is_refused($other_version, $update, $name);
is($run->value('SELECT status FROM sync_runs'), 'running', "$name: the state can be read");

$name = 'another version, after a restart';
$node->restart;
wait_for(sub { logged($node, $complaint) == 2 }, $soon_s, "$name: the log says so again");
lanes_leave($name);
my $started = lanes_started();
my $launcher = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'sync_engine launcher'};
my $pid = safe_psql($node, $launcher);
safe_psql($node, "SELECT pg_terminate_backend($pid)");
wait_for(sub { safe_psql($node, $launcher) =~ /^(?!$pid$)\d+$/ }, $soon_s, "$name: a new launcher comes");
wait_for(sub { lanes_started() > $started && !lane_pids($node) }, $soon_s, "$name: which looks again");
is(logged($node, $complaint), 2, "$name: and has nothing new to say");
is_refused($other_version, $update, $name);
$started = lanes_started();

$name = 'an update that is rolled back';
safe_psql($node, 'BEGIN; ALTER EXTENSION sync_engine UPDATE; ROLLBACK');
is_refused($other_version, $update, $name);
is(lanes_started(), $started, "$name: no lane tries again and again");

$name = 'an update';
safe_psql($node, 'ALTER EXTENSION sync_engine UPDATE');
$run->goes_on($name);
$run->ends_well($name);

$name = 'a library that is older';
safe_psql($node, q{UPDATE pg_extension SET extversion = '99.0.0' WHERE extname = 'sync_engine'});
is_refused('99.0.0', 'Restart the server, so that it loads the library of that version\.', $name);
safe_psql($node, "UPDATE pg_extension SET extversion = '$version' WHERE extname = 'sync_engine'");

# ---- DROP EXTENSION -------------------------------------------------------

# What arrives while somebody may yet take the DROP back must not be lost.
for my $undo ('ROLLBACK', 'ROLLBACK TO s')
{
	$name = "DROP EXTENSION, $undo";
	$run = start_hanging($name);
	my $session = background_psql($node);
	$session->query('BEGIN; SAVEPOINT s; DROP EXTENSION sync_engine');
	$simulator->post('fault/clear');
	wait_for(
		sub {
			safe_psql($node, sprintf q{SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid)
				WHERE backend_type = 'sync_engine lane' AND classid = 'pg_extension'::regclass AND NOT granted AND pid <> %d},
				$run->lane);
		},
		$soon_s,
		"$name: another lane waits for what becomes of it");
	$session->query($undo);
	$run->ends_well($name);
	$session->query('COMMIT') if $undo ne 'ROLLBACK';
	$session->quit;
}

# create_extension: by that role, in that schema, with an organisation and no data.
sub create_extension
{
	my ($role, $schema) = @_;

	safe_psql($node, <<~"SQL");
		SET client_min_messages = warning;
		DROP SCHEMA IF EXISTS pco_people, pco CASCADE;
		SET ROLE $role;
		CREATE EXTENSION sync_engine SCHEMA $schema;
		SELECT sync_connect('org1', 'org1-client', 'org1-secret', base_url => '$url');
		SQL
	return;
}

safe_psql($node, q{CREATE ROLE boss SUPERUSER; CREATE SCHEMA engine; ALTER DATABASE sync SET search_path = public, engine});
for my $drop ('DROP EXTENSION sync_engine', 'DROP SCHEMA engine CASCADE', 'DROP OWNED BY boss CASCADE')
{
	$name = $drop;
	create_extension('boss', $drop =~ /SCHEMA/ ? 'engine' : 'public') if $drop !~ /EXTENSION/;
	start_hanging($name);
	my $start = time;
	safe_psql($node, "SET client_min_messages = warning; $drop");
	cmp_ok(time - $start, '<', $patience_s, "$name: at once, while the server hangs");
	lanes_leave($name);
}

# ---- CREATE EXTENSION -----------------------------------------------------

my $begin = <<~"SQL";
	BEGIN;
	CREATE EXTENSION sync_engine;
	SELECT sync_connect('org1', 'org1-client', 'org1-secret', base_url => '$url');
	DROP SCHEMA IF EXISTS pco_people, pco CASCADE;
	SELECT sync_start('org1', ARRAY['Person'], mode => 'full');
	SQL
$simulator->post('fault/clear');
$simulator->post('stats/reset');

$name = 'CREATE EXTENSION and a run, rolled back';
safe_psql($node, "$begin; ROLLBACK");
is($simulator->stats->{requests}, 0, "$name: nothing was asked for");
is(safe_psql($node, q{SELECT count(*) FROM pg_extension WHERE extname = 'sync_engine'}), 0, "$name: nothing is left");

$name = 'CREATE EXTENSION and a run, committed';
safe_psql($node, "$begin; COMMIT");
wait_for(sub { safe_psql($node, 'SELECT status FROM sync_runs') eq 'succeeded' }, $soon_s, "$name: the run succeeds");
is_equal_to_oracle($node, $simulator, 'org1', 'Person', "$name: Person is complete");

# ---- roles ----------------------------------------------------------------

$name = 'the role that asked for a run';
safe_psql($node, <<~'SQL');
	CREATE ROLE operator;
	GRANT EXECUTE ON FUNCTION sync_start(text, text[], text, text, int) TO operator;
	SQL
$simulator->post('fault', path => '/people/v2/people', kind => 'hang', count => 0, skip => 1);
my $id = safe_psql($node, q{SET SESSION AUTHORIZATION operator; SELECT sync_start('org1', ARRAY['Person'], mode => 'full')});
wait_for(sub { safe_psql($node, "SELECT in_flight FROM sync_progress WHERE run_id = $id") }, $soon_s, "$name: is at work");
safe_psql($node, 'DROP OWNED BY operator; DROP ROLE operator');
$simulator->post('fault/clear');
run_ends($node, $id, 'succeeded', $soon_s, "$name: dropped, the run goes on");
is(safe_psql($node, "SELECT requested_by FROM sync_runs WHERE run_id = $id"), 'operator', "$name: and its name is known");

$name = 'an owner of the extension that is replaced and dropped';
safe_psql($node, 'DROP EXTENSION sync_engine; CREATE ROLE successor SUPERUSER');
create_extension('boss', 'public');
$run = start_hanging($name);
safe_psql($node, 'REASSIGN OWNED BY boss TO successor; DROP ROLE boss');
$run->ends_well($name);

is(logged($node, qr/could not give up a job|"sync_engine lane" \(PID \d+\) exited with exit code 1|PANIC|TRAP|terminated by signal/),
	0, 'no lane was lost, no process came to harm');

done_testing();
