# Statements that need a database without connections succeed at once while
# lanes are at work there, and the work loses nothing by it; who may not run
# them cannot stop lanes.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;
use SyncEngineTest::HangingRun;
use Time::HiRes qw(time);

# Where something must not hang: far more than it takes, far less than for ever.
my $soon_s = 30;

# A statement takes less; without help it would fail after 5 s.
my $patience_s = 2;

my $simulator = start_simulator(orgs => 3, people => 250, rate_limit => 0);
my $node = new_cluster();

sub value
{
	my ($query, $database) = @_;

	return $node->safe_psql($database // 'work', $query);
}

# refused: the error of a statement that somebody else may not run, or that cannot be run.
sub refused
{
	my ($statement, $role) = @_;
	my $set = defined $role ? "SET ROLE $role" : 'SELECT';
	my ($status, undef, $stderr) = $node->psql('postgres', "$set;\n$statement");

	return $status == 0 ? 'no error' : $stderr =~ s/^psql:\S+ (?=ERROR)//r =~ s/\n.*//sr;
}

# in_time: test that the statement, by a superuser who is elsewhere, is soon done.
sub in_time
{
	my ($statement, $name) = @_;
	my $start = time;

	value($statement, 'postgres');
	my $taken = time - $start;
	cmp_ok($taken, '<', $patience_s, "$name: at once");
	note(sprintf '%s took %.2f s', $statement, $taken);
	return;
}

# start_hanging: a run that hangs in the database, which is made if need be.
sub start_hanging
{
	my ($name, $database) = @_;

	if (value("SELECT count(*) FROM pg_database WHERE datname = '$database'", 'postgres') eq '0')
	{
		create_database($node, $database);
		connect_org_in($node, $database, $simulator, $_) for qw(org1 org2);
	}
	return SyncEngineTest::HangingRun->start($node, $simulator, $name, database => $database);
}

# lanes_in: how many there are; one that waits to get in counts.
sub lanes_in
{
	my ($database) = @_;

	return lane_pids($node, $database) + value(
		q{SELECT count(*) FROM pg_locks WHERE locktype = 'object' AND classid = 'pg_database'::regclass AND NOT granted}, 'postgres');
}

connect_org($node, $simulator, 'org3');
value(<<~'SQL', 'postgres');
	CREATE ROLE nobody;
	CREATE ROLE creator CREATEDB;
	CREATE ROLE owner;
	CREATE ROLE landlord CREATEDB;
	SET allow_in_place_tablespaces = on;
	CREATE TABLESPACE elsewhere LOCATION '';
	SQL

# ---- who may not ----------------------------------------------------------

my $name = 'who may not';
my $run = start_hanging($name, 'work');
my %statement = (
	drop     => 'DROP DATABASE work',
	force    => 'DROP DATABASE work WITH (FORCE)',
	copy     => 'CREATE DATABASE copy TEMPLATE work',
	rename   => 'ALTER DATABASE work RENAME TO moved',
	move     => 'ALTER DATABASE work SET TABLESPACE elsewhere');
my $not_owner = 'ERROR:  must be owner of database work';

is(refused($statement{$_}, 'nobody'), $not_owner, "$name: $_ by a stranger") for qw(drop force rename move);
is(refused($statement{copy}, 'nobody'), 'ERROR:  permission denied to create database', "$name: copy by a stranger");
is(refused($statement{$_}, 'creator'), $not_owner, "$name: $_ by one who may create databases") for qw(drop force rename move);
is(refused($statement{copy}, 'creator'), 'ERROR:  permission denied to copy database "work"', "$name: copy by the same");
value('ALTER DATABASE work OWNER TO owner', 'postgres');
is(refused($statement{rename}, 'owner'), 'ERROR:  permission denied to rename database', "$name: rename by an owner only");
is(refused($statement{copy}, 'owner'), 'ERROR:  permission denied to create database', "$name: copy by an owner only");
like(refused("BEGIN; $statement{$_}"), qr/cannot run inside a transaction block/, "$name: $_ in a transaction")
  for qw(drop copy move);
is(refused('ALTER DATABASE work RENAME TO postgres'), 'ERROR:  database "postgres" already exists',
	"$name: rename to a name that is taken");
value('ALTER DATABASE work IS_TEMPLATE true', 'postgres');
is(refused($statement{drop}), 'ERROR:  cannot drop a template database', "$name: drop of a template");
value('ALTER DATABASE work IS_TEMPLATE false', 'postgres');
$run->stays($name);

# ---- statements that fail -------------------------------------------------

for my $case (
	[ 'copy to a name that is taken',   'CREATE DATABASE postgres TEMPLATE work' ],
	[ 'move to nowhere',                'ALTER DATABASE work SET TABLESPACE nowhere' ],
	[ 'rename, rolled back',            "BEGIN; $statement{rename}; ROLLBACK; fail" ],
	[ 'rename, back to a savepoint',    "BEGIN; SAVEPOINT s; $statement{rename}; SAVEPOINT t; ROLLBACK TO s; fail" ])
{
	($name, my $statement) = @$case;
	isnt(refused($statement), 'no error', "$name: fails");
	$run->goes_on($name);
}

# The bar is the savepoint's: the transaction goes on without.
{
	$name = 'rename, back to a savepoint of an open transaction';
	my $session = $node->background_psql('postgres');
	$session->query("BEGIN; SAVEPOINT s; $statement{rename}; SAVEPOINT t; RELEASE t");
	is(scalar(lane_pids($node, 'work')), 0, "$name: no lane is left");
	$session->query('ROLLBACK TO s');
	$run->goes_on($name);
	$session->query("SAVEPOINT s2; $statement{rename}; RELEASE s2");
	is(scalar(lane_pids($node)), 0, "$name: released, it belongs to the transaction");
	$session->query('ROLLBACK');
	$run->goes_on($name);
	$session->quit;
}

# ---- the bar --------------------------------------------------------------

# Somebody is connected, so that the statement waits until it fails or ends.
for my $end (qw(pg_cancel_backend pg_terminate_backend kill))
{
	$name = "$end of a DROP DATABASE that waits";
	my $other = $node->background_psql('work');
	my $dropping = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $dropping->query('SELECT pg_backend_pid()');
	$dropping->query_until(qr/dropping/, "\\echo dropping\n$statement{drop};\n");
	wait_for(sub { !lane_pids($node, 'work') }, $soon_s, "$name: the lane leaves");

	# a commit that would start one
	my $second = $other->query(q{SELECT sync_start('org2', ARRAY['Campus'], mode => 'full')});
	is(safe_psql($node, q{SELECT status FROM sync_run('org3', ARRAY['Campus'], mode => 'full')}),
		'succeeded', "$name: another database is served meanwhile");
	is(lanes_in('work'), 0, "$name: but no lane comes to this one");
	if ($end eq 'kill')
	{
		# all shared memory goes with it
		kill KILL => $pid;
		$other->{run}->finish;
		wait_for(sub { psql_if_up($node, "SELECT count(*) FROM pg_stat_activity WHERE pid = $pid") eq '0' },
			$soon_s, "$name: the server has recovered");
	}
	else
	{
		value("SELECT $end($pid)", 'postgres');
	}
	$run->goes_on($name);
	is(value("SELECT sync_wait($second, '$soon_s s')"), 'succeeded', "$name: what came meanwhile is done");
	$dropping->{run}->kill_kill;
	$other->quit if $end ne 'kill';
}

# ---- statements that succeed ----------------------------------------------

$name = 'SET TABLESPACE';
in_time($statement{move}, $name);
is(value(q{SELECT spcname FROM pg_database d JOIN pg_tablespace t ON t.oid = dattablespace WHERE datname = 'work'}),
	'elsewhere', "$name: it has moved");
$run->goes_on($name);

$name = 'RENAME';
in_time('ALTER DATABASE work RENAME TO renamed', $name);
$run->moves_to('renamed');
$run->goes_on($name);
in_time('ALTER DATABASE renamed RENAME TO work', "$name back");
$run->moves_to('work');
$run->goes_on("$name back");

$name = 'CREATE DATABASE TEMPLATE';
in_time($statement{copy}, $name);
$run->goes_on($name);

$name = 'two copies at once';
my @copying = map { $node->background_psql('postgres') } 1 .. 2;
$copying[$_]->query_until(qr/copying/, "\\echo copying\nCREATE DATABASE copy$_ TEMPLATE work;\n") for 0 .. 1;
$_->query('') for @copying;
$_->quit for @copying;
is(value(q{SELECT count(*) FROM pg_database WHERE datname ~ '^copy\d'}), 2, "$name: are made");
$run->goes_on($name);

$run->ends_well('after all of this');

$name = 'the copy';
like(value(q{SELECT status, error FROM sync_run('org1', ARRAY['Person'], mode => 'full')}, 'copy'),
	qr/^failed\|this is a copy of the database/, "$name: does not use the credentials");
is(value('SELECT sync_wait(' . $run->id . ", '$soon_s s')", 'copy'), 'failed',
	"$name: nor does the run that was under way");
value('SELECT sync_adopt()', 'copy');
start_hanging("$name, adopted", 'copy')->ends_well("$name, adopted");

$name = 'an owner who may create databases';
value('ALTER DATABASE copy OWNER TO landlord', 'postgres');
$run = start_hanging($name, 'copy');
is(refused('ALTER DATABASE copy RENAME TO mine', 'landlord'), 'no error', "$name: may rename it");
$run->moves_to('mine');
$run->goes_on($name);
is(refused('DROP DATABASE mine', 'landlord'), 'no error', "$name: and drop it");

# ---- DROP DATABASE --------------------------------------------------------

$name = 'DROP DATABASE';
start_hanging($name, 'dropped');
in_time('DROP DATABASE dropped', $name);

$name = 'DROP DATABASE WITH (FORCE)';
start_hanging($name, 'dropped');
in_time('DROP DATABASE dropped WITH (FORCE)', $name);

$simulator->post('fault/clear');
unlike(server_log($node), qr/terminating background worker "sync_engine lane"/, 'no lane had to be ended');

# A trigger that does not come to an end holds its lane; that one is ended.
$name = 'DROP DATABASE with a lane that is held up';
value(<<~'SQL');
	CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(60); RETURN NEW; END$$;
	CREATE TRIGGER t BEFORE INSERT OR UPDATE ON pco_people.campus FOR EACH ROW EXECUTE FUNCTION sleep();
	DELETE FROM pco_people.campus;
	SQL
value(q{SELECT sync_start('org1', ARRAY['Campus'], mode => 'full')});
wait_for(
	sub { value(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'sync_engine lane' AND wait_event = 'PgSleep'}) },
	$soon_s, "$name: it sleeps");
in_time('DROP DATABASE work', $name);

is(scalar(lane_pids($node)), 0, 'no lane is left');
$name = 'a database of the same name';
start_hanging($name, 'work')->ends_well($name);

unlike(server_log($node), qr/TRAP|PANIC|FATAL: .* does not exist|server process .* was terminated by signal (?!9:)/,
	'no process has crashed, nor looked for a database that is gone');

done_testing();
