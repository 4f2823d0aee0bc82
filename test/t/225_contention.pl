# What somebody else's lock, another run or a want of processes can do to jobs: delay
# them, and no more.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;

my $soon_s = 30;
my $people = 3_000;
my $simulator = start_simulator(orgs => 4, people => $people, rate_limit => 0);
my $node = new_cluster(conf => { 'sync_engine.max_workers' => 1 });

connect_org($node, $simulator, "org$_") for 1 .. 4;

sub run_status
{
	my ($run) = @_;

	return safe_psql($node, "SELECT status FROM sync_runs WHERE run_id = $run");
}

# starts_to_hang: a run whose job for people has some, and then waits for an answer.
sub starts_to_hang
{
	my ($org) = @_;

	$simulator->post('fault', path => '/people/v2/people', org => $org, kind => 'hang', count => 0, skip => 3);
	my $run = start_sync($node, $org, ['Person']);
	wait_for(
		sub { safe_psql($node, "SELECT fetched > 0 AND in_flight > 0 FROM sync_progress WHERE run_id = $run") eq 't' },
		$soon_s, "run $run hangs in the middle");
	return $run;
}

# ---- A wish that cannot be granted at once is granted later ------------------

# The lane that holds the job never leaves, for another organisation's is there, too.
my $other = starts_to_hang('org4');

for my $case ([ 'cancel', 'org1', 'sync_cancel(%d)', 'cancelled' ], [ 'pause', 'org2', 'sync_pause(run_id => %d)', 'paused' ])
{
	my ($wish, $org, $call, $status) = @$case;
	my $run = starts_to_hang($org);
	my $session = background_psql($node);
	my $tries = () = server_log($node) =~ /lock timeout/g;

	$session->query_safe("BEGIN; SELECT FROM sync_engine.run WHERE run_id = $run FOR UPDATE");
	safe_psql($node, sprintf "SELECT $call", $run);
	wait_for(sub { $tries < (() = server_log($node) =~ /lock timeout/g) }, $soon_s, "$wish: the lane has not got its lock");
	$session->quit;
	wait_for(sub { run_status($run) eq $status }, $soon_s, "$wish: once the lock is gone, the run is $status");
	$simulator->post('fault/clear') if $wish eq 'pause';
	if ($wish eq 'pause')
	{
		safe_psql($node, "SELECT sync_resume(run_id => $run)");
		run_ends($node, $run, 'succeeded', $soon_s, "$wish: and it can be resumed");
		run_ends($node, $other, 'succeeded', $soon_s, 'the other one was not disturbed');
	}
}
is_complete($node, 'org2', 'after that', 'Person');

# ---- Whoever joined a run that is paused reads by itself ----------------------

my $paused = starts_to_hang('org2');
my $joined = start_sync($node, 'org2', ['Person']);
wait_for(sub { safe_psql($node, "SELECT joined_run_id FROM sync_jobs WHERE run_id = $joined") eq $paused }, $soon_s, 'a second run joins');
safe_psql($node, "SELECT sync_pause(run_id => $paused)");
wait_for(sub { run_status($paused) eq 'paused' }, $soon_s, 'the first one is paused');
$simulator->post('fault/clear');
run_ends($node, $joined, 'succeeded', $soon_s, 'the second one is not');
is(safe_psql($node, "SELECT joined_run_id IS NULL FROM sync_jobs WHERE run_id = $joined"), 't', 'for it has read by itself');
is(run_status($paused), 'paused', 'the first one still is');
safe_psql($node, "SELECT sync_resume(run_id => $paused)");
run_ends($node, $paused, 'succeeded', $soon_s, 'until it is resumed');

# ---- What is shared is all of the result -------------------------------------

$simulator->post('fault', path => '/people/v2/people', org => 'org3', kind => 'truncated_list', count => 0, skip => 3);
my ($first, $second) = map { start_sync($node, 'org3', ['Person']) } 1 .. 2;
run_ends($node, $_, 'partial', 2 * $soon_s, 'a list that ends early') for $first, $second;
is(safe_psql($node, "SELECT joined_run_id FROM sync_jobs WHERE run_id = $second"), $first, 'one shared the result of the other');
is(safe_psql($node, "SELECT count(DISTINCT (error, sqlstate, hint)) || ' ' || count(error) FROM sync_jobs WHERE run_id IN ($first, $second)"),
	'1 2', 'and says the same of it');
$simulator->post('fault/clear');

ok($simulator->stop, 'the simulator stops as it should');

done_testing();
