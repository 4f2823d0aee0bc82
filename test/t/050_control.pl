# Control is immediate, also over a server that accepts requests and never
# answers them, and is no failure of the job.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;
use Time::HiRes qw(time);

# What the user may wait for any of these.
my $patience_s = 1;

# Three pages of people: the first is in when the others hang.
my $people = 250;
my $first_page = 100;

# Jobs for more than one lane, which takes so many at once (MAX_LANE_JOBS).
my $lane_jobs = 512;
my @independent = qw(Person Campus MaritalStatus NamePrefix Tab Household PersonMerger);
my $orgs = int($lane_jobs / @independent) + 2;

my $simulator = start_simulator(people => $people, orgs => $orgs, rate_limit => 0);
my $node = new_cluster();
my $control = background_psql($node);

# in_time: test that the sub ends within the user's patience.
sub in_time
{
	my ($name, $act) = @_;
	my $start = time;
	my $result = $act->();

	cmp_ok(time - $start, '<', $patience_s, "$name: in time");
	return $result;
}

sub value
{
	my ($query, $database) = @_;

	return $node->safe_psql($database // 'sync', $query);
}

# hang: no list of people answers any more, after the first page.
sub hang
{
	$simulator->post('fault', path => '/people/v2/people', kind => 'hang', count => 0, skip => 1);
	return;
}

sub is_hanging
{
	my ($run, $name, $database) = @_;

	return wait_for(
		sub {
			value("SELECT fetched >= $first_page AND in_flight > 0 FROM sync_progress WHERE run_id = $run",
				$database) eq 't';
		},
		30,
		"$name: one page is in, the next request hangs");
}

# start_hanging: a run whose first page is in and whose next request hangs.
sub start_hanging
{
	my ($name, $database) = @_;

	hang();
	my $run = value("SELECT sync_start('org1', ARRAY['Person'], mode => 'full')", $database);
	is_hanging($run, $name, $database);
	return $run;
}

# wait_hanging: the same, with a session that waits for it in sync_run.
sub wait_hanging
{
	my ($name, $setting) = @_;
	my $latest = value('SELECT coalesce(max(run_id), 0) FROM sync_runs');
	my $session = background_psql($node, on_error_stop => 0);
	my $pid = $session->query('SELECT pg_backend_pid()');
	my $run;

	hang();
	$session->query($setting) if $setting;
	$session->query_until(qr/waiting/,
		"\\echo waiting\nSELECT * FROM sync_run('org1', ARRAY['Person'], mode => 'full');\n\\echo ended with :SQLSTATE\n");
	wait_for(sub { $run = value("SELECT max(run_id) FROM sync_runs WHERE run_id > $latest") },
		30, "$name: the run is there");
	is_hanging($run, $name);
	return ($session, $run, $pid);
}

# ends_cancelled: run and job, at once; the job has not failed.
sub ends_cancelled
{
	my ($run, $name) = @_;

	is($control->query("SELECT sync_wait($run, '10 s')"), 'cancelled', "$name: the run is cancelled");
	is(value("SELECT status, sqlstate, attempts, fetched FROM sync_jobs WHERE run_id = $run"),
		"cancelled|57014|0|$first_page", "$name: the job is cancelled and keeps what it has");
	$simulator->post('fault/clear');
	return;
}

# has_no_failure: nothing counts as an attempt of the run's jobs.
sub has_no_failure
{
	my ($run, $name) = @_;

	is( value(
			"SELECT sum(attempts), (SELECT count(*) FROM sync_engine.activity
				WHERE run_id = $run AND kind = 'sync_page') FROM sync_jobs WHERE run_id = $run"),
		'0|0',
		"$name: is no failed attempt");
	return;
}

# ends_well: the run goes on where it was and is complete.
sub ends_well
{
	my ($run, $name, $log_mark) = @_;

	is(value("SELECT sync_wait($run, '60 s')"), 'succeeded', "$name: the run succeeds");
	is(value("SELECT fetched FROM sync_jobs WHERE run_id = $run"), $people, "$name: each record once");
	is_equal_to_oracle($node, $simulator, 'org1', 'Person', "$name: the copy is complete");
	is(scalar(() = $simulator->get('log', after => $log_mark) =~ m{ /people/v2/people\?\S*offset=0\b}g),
		1, "$name: what was in was not asked for again");
	return;
}

# log_mark: the number of the newest request that the simulator has logged.
sub log_mark
{
	my ($number) = $simulator->get('log', after => 0) =~ /^(\d+) [^\n]*\n\z/m;

	return $number // 0;
}

connect_org($node, $simulator, 'org1');

# ---- Cancel ---------------------------------------------------------------

my $name = 'sync_cancel';
my $run = start_hanging($name);
in_time($name, sub {
	is($control->query("SELECT sync_cancel($run)"), 't', "$name: something was cancelled");
	ends_cancelled($run, $name);
});
is($control->query("SELECT sync_cancel($run)"), 'f', "$name: nothing is left to cancel");

$name = 'sync_cancel between attempts';
$simulator->post('fault', path => '/people/v2/people', kind => '503', count => 0);
$run = value(q{SELECT sync_start('org1', ARRAY['Person'], mode => 'full')});
wait_for(sub { value("SELECT attempts >= 3 FROM sync_jobs WHERE run_id = $run") eq 't' },
	30, "$name: the next attempt is seconds away");
in_time($name, sub {
	$control->query("SELECT sync_cancel($run)");
	is($control->query("SELECT sync_wait($run, '10 s')"), 'cancelled', "$name: the run is cancelled");
});
is(value("SELECT DISTINCT status FROM sync_activities WHERE run_id = $run AND kind = 'sync_page'"),
	'cancelled', "$name: and its retry is");
$simulator->post('fault/clear');

$name = 'sync_cancel with several lanes';
$simulator->post('fault', path => '/', kind => 'hang', count => 0);
connect_org($node, $simulator, "org$_") for 2 .. $orgs;
my $list = join ', ', map { "'$_'" } @independent;
my @runs = map { value("SELECT sync_start('org$_', ARRAY[$list], mode => 'full', execution => 'parallel')") } 1 .. $orgs;
wait_for(
	sub {
		value('SELECT count(*), count(DISTINCT lane_pid) FROM sync_progress') eq $orgs * @independent . '|2';
	},
	30,
	"$name: two of them hold all jobs");
for my $run (@runs)
{
	in_time($name, sub {
		$control->query("SELECT sync_cancel($run)");
		is($control->query("SELECT sync_wait($run, '10 s')"), 'cancelled', "$name: the run is cancelled");
	});
}
$simulator->post('fault/clear');

my ($session, $pid);
$name = 'pg_cancel_backend';
($session, $run, $pid) = wait_hanging($name);
in_time($name, sub {
	$control->query("SELECT pg_cancel_backend($pid)");
	ends_cancelled($run, $name);
});
$session->query_until(qr/ended with 57014/, '');
$session->quit;

$name = 'Ctrl-C';
($session, $run, $pid) = wait_hanging($name);
in_time($name, sub {
	$session->{run}->signal('INT');
	ends_cancelled($run, $name);
});
$session->{run}->finish;
like($session->{stderr}, qr/canceling statement due to user request/, "$name: psql says so");

$name = 'statement_timeout';
($session, $run, $pid) = wait_hanging($name, q{SET statement_timeout = '2s'});
$session->query_until(qr/ended with 57014/, '');
in_time($name, sub { ends_cancelled($run, $name) });
$session->quit;

# ---- Wait -----------------------------------------------------------------

$name = 'sync_wait with a timeout';
my $mark = log_mark();
$run = start_hanging($name);
my $start = time;
is($control->query("SELECT sync_wait($run, '300 ms')"), 'running', "$name: returns the status");
cmp_ok(time - $start, '>=', 0.3, "$name: not before the timeout");
cmp_ok(time - $start, '<', 0.3 + $patience_s, "$name: nor long after");
$simulator->post('fault/clear');
ends_well($run, $name, $mark);

# ---- A lost connection ----------------------------------------------------

$name = 'kill -9 psql';
$mark = log_mark();
($session, $run, $pid) = wait_hanging($name);
$session->{run}->kill_kill(grace => 0);
$simulator->post('fault/clear');
ends_well($run, $name, $mark);
wait_for(sub { value("SELECT count(*) FROM pg_stat_activity WHERE pid = $pid") eq '0' },
	30, "$name: its backend ends too");

$name = 'pg_terminate_backend of the caller';
$mark = log_mark();
($session, $run, $pid) = wait_hanging($name);
in_time($name, sub { is($control->query("SELECT pg_terminate_backend($pid, 10000)"), 't', "$name: it is gone") });
is($control->query("SELECT status FROM sync_runs WHERE run_id = $run"), 'running', "$name: the run goes on");
$simulator->post('fault/clear');
ends_well($run, $name, $mark);

# ---- A lost lane, a stopped server ----------------------------------------

$name = 'pg_terminate_backend of the lane';
$mark = log_mark();
$run = start_hanging($name);
my ($lane) = lane_pids($node);
in_time($name, sub { is($control->query("SELECT pg_terminate_backend($lane, 10000)"), 't', "$name: it is gone") });
wait_for(
	sub { value("SELECT lane_pid <> $lane AND in_flight > 0 FROM sync_progress WHERE run_id = $run") eq 't' },
	30,
	"$name: another one takes the job over");
has_no_failure($run, $name);
$simulator->post('fault/clear');
ends_well($run, $name, $mark);

$name = 'fast shutdown';
$mark = log_mark();
$run = start_hanging($name);
$control->quit;
# What the server itself has to write is not ours.
value('CHECKPOINT');
in_time($name, sub { $node->stop('fast') });
$simulator->post('fault/clear');
$node->start;
ends_well($run, $name, $mark);
has_no_failure($run, $name);
$control = background_psql($node);

# ---- DROP DATABASE --------------------------------------------------------

$name = 'DROP DATABASE';
connect_org_in($node, create_database($node, 'idle'), $simulator, 'org1');
is(value(q{SELECT status FROM sync_run('org1', ARRAY['Person'], mode => 'full')}, 'idle'), 'succeeded', "$name: has been synced");
is(scalar(lane_pids($node, 'idle')), 1, "$name: its lane is still there");
value('DROP DATABASE idle', 'postgres');
is(scalar(lane_pids($node, 'idle')), 0, "$name: of an idle database works");

$name = 'DROP DATABASE WITH (FORCE)';
connect_org_in($node, create_database($node, 'forced'), $simulator, 'org1');
start_hanging($name, 'forced');
in_time($name, sub { value('DROP DATABASE forced WITH (FORCE)', 'postgres') });
$simulator->post('fault/clear');

# The next database may well get the same slot.
connect_org_in($node, create_database($node, 'forced'), $simulator, 'org1');
is(value(q{SELECT status FROM sync_run('org1', ARRAY['Person'], mode => 'full')}, 'forced'),
	'succeeded', "$name: a database of the same name works");

# ---- DROP EXTENSION -------------------------------------------------------

$name = 'DROP EXTENSION with an idle lane';
is(scalar(lane_pids($node, 'forced')), 1, "$name: there is one");
value('DROP EXTENSION sync_engine', 'forced');
is(value('SELECT count(*) FROM pco_people.person', 'forced'), $people, "$name: the data stay");
value('CREATE EXTENSION sync_engine', 'forced');
connect_org_in($node, 'forced', $simulator, 'org1');
is(value(q{SELECT status, unchanged FROM sync_run('org1', ARRAY['Person'], mode => 'full')}, 'forced'),
	"succeeded|$people", "$name: CREATE EXTENSION again finds them");

# The new extension counts runs, jobs and lanes from one again: what the old
# lane still has under way must not be taken for work of the new one.
$name = 'DROP EXTENSION with a lane at work';
value('DROP EXTENSION sync_engine; CREATE EXTENSION sync_engine', 'forced');
connect_org_in($node, 'forced', $simulator, 'org1');
is(start_hanging($name, 'forced'), 1, "$name: it is the first run");
in_time($name, sub { value('DROP EXTENSION sync_engine', 'forced') });
value('CREATE EXTENSION sync_engine', 'forced');
connect_org_in($node, 'forced', $simulator, 'org2');
$run = value(q{SELECT sync_start('org2', ARRAY['Person', 'Email'], mode => 'full')}, 'forced');
is($run, 1, "$name: and so is the one after CREATE EXTENSION");
wait_for(
	sub { value("SELECT count(*) = 1 FROM sync_progress WHERE run_id = $run AND entity = 'Person' AND in_flight > 0", 'forced') eq 't' },
	30,
	"$name: which hangs too");
$simulator->post('fault/clear');
is(value("SELECT sync_wait($run, '60 s')", 'forced'), 'succeeded', "$name: it succeeds");
is(value("SELECT fetched, attempts FROM sync_jobs WHERE run_id = $run AND entity = 'Person'", 'forced'),
	"$people|0", "$name: with its own records only");
is( value(q{SELECT org, count(*) FROM pco_people.person GROUP BY org ORDER BY org}, 'forced'),
	"org1|$people\norg2|$people",
	"$name: and all of them");
value('DROP EXTENSION sync_engine', 'forced');
value('DROP DATABASE forced', 'postgres');

unlike(server_log($node), qr/TRAP|PANIC|server process .* was terminated by signal/, 'no process has crashed');
$control->quit;
ok($simulator->stop, 'the simulator stops as it should');

done_testing();
