# What goes wrong around the engine is over when its cause is: a process that
# is ended is replaced, a job that cannot begin stops no other, a lock that
# somebody holds delays what needs it and nothing else.

use strict;
use warnings FATAL => 'all';

use IPC::Run;
use POSIX qw(sysconf _SC_CLK_TCK);
use SyncEngineTest;
use Time::HiRes qw(time usleep);

# Where something must not hang: far more than it takes, far less than for ever.
my $soon_s = 30;

# Sessions that can wait for runs at once (MAX_WAITERS in src/shmem.h).
my $max_waiters = 128;

# Jobs for more than one lane, which takes so many at once (MAX_LANE_JOBS).
my $lane_jobs = 512;
my @independent = qw(Person Campus MaritalStatus NamePrefix Tab Household PersonMerger);
my $slow_orgs = int($lane_jobs / @independent) + 2;

# Three pages of people.
my $people = 250;

my $simulator = start_simulator(orgs => 3, people => $people, rate_limit => 0);
my $node = new_cluster(conf => { max_connections => 2 * $max_waiters });
my $session = tolerant_session($node);
my $control = tolerant_session($node);

sub start_run
{
	my ($org, $entities, $execution) = @_;

	return start_sync($node, $org, $entities, execution => $execution // 'hybrid');
}

sub syncs
{
	my ($org, $name) = @_;

	return run_ends($node, start_run($org, ['Campus']), 'succeeded', $soon_s, $name);
}

# jobs: entity, status and error code of each, in the order of the plan.
sub jobs
{
	my ($run) = @_;

	return safe_psql($node, "SELECT entity, status, sqlstate FROM sync_jobs WHERE run_id = $run ORDER BY job_id");
}

# is_hanging: a page of the run is in, and the next request has no answer.
sub is_hanging
{
	my ($run, $name) = @_;

	return wait_for(
		sub { safe_psql($node, "SELECT fetched > 0 AND in_flight > 0 FROM sync_progress WHERE run_id = $run") eq 't' },
		$soon_s, "$name: one page is in, the next request hangs");
}

# hang: no list of the org's people answers any more, but for the first page.
# The pages are told by their offsets: they are asked for at once, and may arrive
# in any order.
sub hang
{
	my ($org) = @_;

	$simulator->post('fault', path => '/people/v2/people', org => $org, kind => 'hang', count => 0, contains => "offset=$_")
	  for 99, 198;
	return;
}

# start_slow_jobs: more than a lane takes, at the server that answers late.
sub start_slow_jobs
{
	safe_psql($node,
		sprintf q{SELECT sync_start('org' || 100 + n, ARRAY[%s], mode => 'full', execution => 'parallel') FROM generate_series(1, %d) n},
		join(', ', map { "'$_'" } @independent), $slow_orgs);
	return;
}

# postponed: why a run's job waits for its next attempt; empty if it does not.
sub postponed
{
	my ($run) = @_;

	return safe_psql($node, "SELECT error FROM sync_jobs WHERE run_id = $run AND status = 'queued' AND attempts > 0");
}

# cpu_seconds: what a process has used so far.
sub cpu_seconds
{
	my ($pid) = @_;
	my $stat = PostgreSQL::Test::Utils::slurp_file("/proc/$pid/stat");
	my @fields = split ' ', $stat =~ s/^.*\) //r;

	return ($fields[11] + $fields[12]) / sysconf(_SC_CLK_TCK);
}

sub is_superuser
{
	return safe_psql($node, q{SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'});
}

# mallory_trigger: a trigger on the table that makes its owner a superuser if
# somebody who may do so writes to it.
sub mallory_trigger
{
	my ($table) = @_;

	return "CREATE TRIGGER t BEFORE INSERT OR UPDATE ON $table FOR EACH ROW EXECUTE FUNCTION mallory.rise()";
}

connect_org($node, $simulator, "org$_") for 1 .. 3;

# ---- Tables of somebody else ----------------------------------------------

my $name = 'a schema of somebody else';
safe_psql($node, <<~"SQL");
	CREATE ROLE mallory;
	CREATE SCHEMA mallory AUTHORIZATION mallory;
	SET ROLE mallory;
	CREATE FUNCTION mallory.rise() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN ALTER ROLE mallory SUPERUSER; RETURN NEW; END';
	RESET ROLE;
	CREATE SCHEMA pco_people AUTHORIZATION mallory;
	SET ROLE mallory;
	CREATE TABLE pco_people.campus (org text, id text, PRIMARY KEY (org, id));
	@{[ mallory_trigger('pco_people.campus') ]};
	SQL
my $run = start_run('org1', ['Campus']);
run_ends($node, $run, 'failed', $soon_s, "$name: the run fails");
is(jobs($run), 'Campus|failed|42501', "$name: and says why");
is(is_superuser(), 'f', "$name: no code of theirs has run");

$name = 'a table of somebody else, in a sequential run';
safe_psql($node, 'ALTER SCHEMA pco_people OWNER TO CURRENT_USER; GRANT USAGE ON SCHEMA pco_people TO mallory');
$run = start_run('org1', [qw(Campus MaritalStatus Tab)], 'sequential');
run_ends($node, $run, 'partial', $soon_s, "$name: the run ends");
is(jobs($run), "Campus|failed|42501\nMaritalStatus|succeeded|\nTab|succeeded|",
	"$name: its job fails, the others are done");
is(is_superuser(), 'f', "$name: no code of theirs has run");
safe_psql($node, 'DROP SCHEMA pco_people CASCADE');
syncs('org1', "$name: after DROP SCHEMA the sync works");

$name = 'a table that changes hands in the middle of a run';
hang('org1');
$run = start_run('org1', ['Person']);
is_hanging($run, $name);
safe_psql($node, "GRANT USAGE ON SCHEMA pco_people TO mallory; "
	  . "ALTER TABLE pco_people.person OWNER TO mallory; SET ROLE mallory; "
	  . mallory_trigger('pco_people.person'));
$simulator->post('fault/clear');
run_ends($node, $run, 'failed', $soon_s, "$name: the run fails");
is(jobs($run), 'Person|failed|42501', "$name: and says why");
is(is_superuser(), 'f', "$name: no code of theirs has run");
safe_psql($node, 'DROP TRIGGER t ON pco_people.person; ALTER TABLE pco_people.person OWNER TO CURRENT_USER');
run_ends($node, start_run('org1', ['Person']), 'succeeded', $soon_s, "$name: given back, it is synced");
is_equal_to_oracle($node, $simulator, 'org1', 'Person', "$name: completely");

# ---- Jobs that cannot begin -----------------------------------------------

$name = 'an org that is disconnected before its run is planned';
safe_psql($node, q{SELECT sync_disconnect('org2')});
$run = start_run('org2', [qw(Campus MaritalStatus Tab)], 'sequential');
run_ends($node, $run, 'failed', $soon_s, "$name: the run ends");
is(safe_psql($node, "SELECT count(*) FROM sync_jobs WHERE run_id = $run AND status = 'failed' AND error ~ 'disconnected'"),
	3, "$name: every job says why");
connect_org($node, $simulator, 'org2');
syncs('org2', "$name: connected again it is synced");

$name = 'options that exclude everything';
for my $options (
	'{"entities": ["Campus"], "exclude": ["Campus"]}',
	'{"entities": ["people.Campus", "Tab"], "exclude": ["Tab", "Campus"]}')
{
	my (undef, $stderr) = ask($session, sprintf
		  q{SELECT sync_connect('org2', 'org2-client', 'org2-secret', base_url => '%s', options => '%s')},
		$simulator->url, $options);
	like($stderr, qr/ERROR:  22023: the options of org "org2" leave no entity to sync/, "$name: $options");
}
syncs('org2', "$name: the org is as it was");

# ---- The launcher ---------------------------------------------------------

for my $function (qw(pg_terminate_backend pg_cancel_backend))
{
	my $launcher = launcher_pid($node);

	safe_psql($node, "SELECT $function($launcher)");
	wait_for(sub { launcher_pid($node) =~ /^(?!$launcher$)\d+$/ }, $soon_s, "$function: the launcher comes back");
	wait_for(sub { !lane_pids($node) }, $soon_s, "$function: the lane leaves");
	syncs('org1', "$function: it starts a lane for a sync");
}

$name = 'the launcher, then its lane';
hang('org1');
$run = start_run('org1', ['Person']);
is_hanging($run, $name);
my $launcher = launcher_pid($node);
safe_psql($node, "SELECT pg_terminate_backend($launcher)");
wait_for(sub { launcher_pid($node) =~ /^(?!$launcher$)\d+$/ }, $soon_s, "$name: the launcher comes back");
my ($lane) = lane_pids($node);
safe_psql($node, "SELECT pg_terminate_backend($lane)");
wait_for(
	sub { safe_psql($node, "SELECT lane_pid <> $lane AND in_flight > 0 FROM sync_progress WHERE run_id = $run") eq 't' },
	$soon_s, "$name: another lane takes the job over");
$simulator->post('fault/clear');
run_ends($node, $run, 'succeeded', $soon_s, "$name: and ends it");
is_equal_to_oracle($node, $simulator, 'org1', 'Person', "$name: the copy is complete");

# ---- Locks of others ------------------------------------------------------

$name = 'a table of the same name that is not committed';
safe_psql($node, 'DROP TABLE pco_people.tab CASCADE') if safe_psql($node, q{SELECT to_regclass('pco_people.tab')});
ask($session, 'BEGIN; CREATE TABLE pco_people.tab (org text, id text, PRIMARY KEY (org, id))');
$run = start_run('org1', ['Tab']);
wait_for(sub { postponed($run) =~ /somebody holds a lock/ }, $soon_s, "$name: the job waits");
syncs('org2', "$name: others do not");
ask($session, 'ROLLBACK');
run_ends($node, $run, 'succeeded', $soon_s, "$name: goes on after the ROLLBACK");
is_equal_to_oracle($node, $simulator, 'org1', 'Tab', "$name: the table is the engine's");

$name = 'a table that is locked for long';
ask($session, 'BEGIN; LOCK TABLE pco_people.person');
my $requests = $simulator->stats(org => 'org1')->{requests};
my $start = time;
$run = start_run('org1', ['Person']);
wait_for(sub { postponed($run) }, $soon_s, "$name: the job is postponed");
($lane) = lane_pids($node);
my $cpu = cpu_seconds($lane);
my $measured = time;
usleep(3_000_000);
$cpu = cpu_seconds($lane) - $cpu;
cmp_ok($cpu, '<', 0.2 * (time - $measured), "$name: its lane does not spin");
usleep(100_000) while time < $start + 10;
is(safe_psql($node, "SELECT sync_wait($run, '0 s')"), 'running', "$name: it still waits after 10 s");
cmp_ok($simulator->stats(org => 'org1')->{requests} - $requests, '<', 12, "$name: nor does it ask for ever");
ask($session, 'ROLLBACK');
run_ends($node, $run, 'succeeded', $soon_s, "$name: goes on after the ROLLBACK");

$name = 'a sync_cancel that is not committed';
hang('org1');
$run = safe_psql($node, 'SELECT coalesce(max(run_id), 0) FROM sync_runs');
my $waiting = tolerant_session($node);
my $waiting_pid = $waiting->query('SELECT pg_backend_pid()');
$waiting->query_until(qr/waiting/, "\\echo waiting\nSELECT * FROM sync_run('org1', ARRAY['Person'], mode => 'full');\n");
wait_for(sub { safe_psql($node, "SELECT max(run_id) > $run FROM sync_runs") eq 't' }, $soon_s, "$name: there is the run");
$run = safe_psql($node, 'SELECT max(run_id) FROM sync_runs');
is_hanging($run, $name);
ask($session, "BEGIN; SELECT sync_cancel($run)");
for my $case ('as such', 'a waiter of the run is cancelled, too')
{
	safe_psql($node, "SELECT pg_cancel_backend($waiting_pid)") if $case ne 'as such';
	is(safe_psql($node, "SELECT sync_wait($run, '0 s')"), 'running', "$name: the run goes on") if $case eq 'as such';
	for my $org ('org2', 'org3')
	{
		$start = time;
		my ($output, $stderr) = ask($control,
			"SET statement_timeout = '${soon_s}s'; SELECT status FROM sync_run('$org', ARRAY['Campus'], mode => 'full')");
		is("$output$stderr", 'succeeded', "$name, $case: sync_run of $org works");
		cmp_ok(time - $start, '<', 8, "$name, $case: soon");
	}
}
run_ends($node, $run, 'cancelled', $soon_s, "$name: it does not keep the run from being cancelled for its waiter");
ask($session, 'ROLLBACK');
$waiting->query('');
$waiting->quit;
$simulator->post('fault/clear');

# ---- A new credential -----------------------------------------------------

$name = 'a new credential while a request with the old one is on its way';
$simulator->post('fault', path => '/people/v2/people', org => 'org1', kind => '401', count => 1, contains => 'offset=99');
$simulator->post('latency', ms => 1500);
$simulator->post('stats/reset');
$run = start_run('org1', ['Person']);
is_hanging($run, $name);
connect_org($node, $simulator, 'org1');
wait_for(sub { $simulator->stats(org => 'org1')->{by_status}{401} }, $soon_s, "$name: the old one is refused");
$simulator->post('latency', ms => 0);
run_ends($node, $run, 'succeeded', $soon_s, "$name: the run ends well with the new one");
is(safe_psql($node, q{SELECT status, error FROM sync_orgs WHERE org = 'org1'}), 'active|', "$name: the org is not stopped");
is_equal_to_oracle($node, $simulator, 'org1', 'Person', "$name: the copy is complete");

# ---- Organisations that answer late ---------------------------------------

$name = '26 orgs whose server takes 20 s';
my $slow = start_simulator(orgs => 100 + $slow_orgs, people => 5, rate_limit => 0, latency => 20_000);
connect_org($node, $slow, 'org' . (100 + $_)) for 1 .. $slow_orgs;
safe_psql($node, q{SELECT sync_start('org' || 100 + n, ARRAY['Person'], mode => 'full') FROM generate_series(1, 26) n});
wait_for(sub { safe_psql($node, 'SELECT count(*) FROM sync_progress WHERE in_flight > 0') eq '26' },
	$soon_s, "$name: all have been asked");
is(scalar(lane_pids($node)), 1, "$name: by one lane");
$start = time;
syncs('org1', "$name: another org is synced");
cmp_ok(time - $start, '<', 10, "$name: meanwhile");

# ---- Two lanes ------------------------------------------------------------

# So slow that all are there before the first has ended; but whoever comes later
# waits as long for each place.
$name = 'two lanes';
$slow->post('latency', ms => 3_000);
start_slow_jobs();
wait_for(sub { lane_pids($node) == 2 }, $soon_s, "$name: there are so many jobs that a second one helps");

$name = 'runs that join';
my @runs = map { start_run('org1', ['Campus']) } 1 .. 60;
safe_psql($node, "SELECT sync_wait($_, '$soon_s s')") for @runs;
is(safe_psql($node, 'SELECT status, count(*) FROM sync_runs WHERE run_id IN (' . join(',', @runs) . ') GROUP BY 1'),
	'succeeded|60', "$name: all end");

# What is left when the target ends in one lane while another joins to it.
$name = 'a run joined to a job that has ended';
hang('org1');
$run = start_run('org1', ['Person']);
is_hanging($run, $name);
my $joined = start_run('org1', ['Person']);
wait_for(sub { safe_psql($node, "SELECT joined_run_id FROM sync_jobs WHERE run_id = $joined") eq $run },
	$soon_s, "$name: it joins one at work");
safe_psql($node, "UPDATE sync_engine.job SET joined_job_id = (SELECT job_id FROM sync_jobs WHERE run_id = $runs[0])
	WHERE run_id = $joined");
$simulator->post('fault/clear');
run_ends($node, $_, 'succeeded', $soon_s, "$name: run $_ ends") for $run, $joined;

$name = 'sync_run cancelled at random moments';
my $seed = srand;
note("seed $seed");
$simulator->post('latency', ms => 20);
start_slow_jobs();
wait_for(sub { lane_pids($node) == 2 }, $soon_s, "$name: there are two lanes");
$run = safe_psql($node, 'SELECT max(run_id) FROM sync_runs');
my $canceller = $session->query('SELECT pg_backend_pid()');
for (1 .. 20)
{
	$session->{stderr} = '';
	$session->query_until(qr/begun/, "\\echo begun\nSELECT * FROM sync_run('org1', ARRAY['Person', 'Campus'], mode => 'full');\n");
	$session->{stdout} = '';
	usleep(rand 150_000);
	$control->query("SELECT pg_cancel_backend($canceller)");
	$session->query('');
}
wait_for(sub { safe_psql($node, "SELECT count(*) FROM sync_runs WHERE run_id > $run AND finished_at IS NULL") eq '0' },
	$soon_s, "$name: all runs end");
cmp_ok(safe_psql($node, "SELECT count(*) FROM sync_runs WHERE run_id > $run AND status = 'cancelled'"),
	'>', 0, "$name: some were cancelled under way");
$simulator->post('latency', ms => 0);

# A place that was not given back is one too few for as many as there can be.
hang('org1');
$run = start_run('org1', ['Person']);
is_hanging($run, $name);
my $script = PostgreSQL::Test::Utils::tempdir() . '/wait.sql';
PostgreSQL::Test::Utils::append_to_file($script, "SELECT sync_wait($run, '60 s');\n");
my ($out, $err) = ('', '');
my $waiters = IPC::Run::start(
	[ 'pgbench', '-n', '-c', $max_waiters, '-t', 1, '-f', $script, $node->connstr('sync') ],
	'>', \$out, '2>', \$err);
wait_for(
	sub {
		$waiters->pump_nb;
		# Who waits has taken its place; who is only active may be about to.
		safe_psql($node, q{SELECT count(*) FROM pg_stat_activity
			WHERE query ~ '^SELECT sync_wait' AND wait_event_type = 'Extension'}) eq $max_waiters;
	},
	$soon_s, "$name: all places for those who wait are free");
my (undef, $refused) = ask($control, "SELECT sync_wait($run, '0 s')");
like($refused, qr/ERROR:  53400: more than $max_waiters sessions wait/, "$name: and then there is none left");
safe_psql($node, "SELECT sync_cancel($run)");
$waiters->finish;
is($err =~ /ERROR/ ? $err : '', '', "$name: each of them had one");
$simulator->post('fault/clear');
my ($output) = ask($control, q{SELECT status FROM sync_run('org1', ARRAY['Campus'], mode => 'full')});
is($output, 'succeeded', "$name: another sync_run works");

$_->quit for $session, $control;
unlike(server_log($node), qr/TRAP|PANIC|server process .* was terminated by signal/, 'no process has crashed');
$node->stop('fast');
ok($_->stop, 'the simulator stops as it should') for $simulator, $slow;

done_testing();
