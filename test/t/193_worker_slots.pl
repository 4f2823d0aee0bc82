# Too few worker slots: the log says so once, nothing is tried in vain, and what
# waits begins by itself as soon as there is a slot.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;
use SyncEngineTest::HangingRun;

# Where something must not hang: far more than it takes, far less than for ever.
my $soon_s = 30;

my @databases = qw(one two three);
my $simulator = start_simulator(orgs => 4, people => 250, rate_limit => 0);

# one goes to logical replication, one to the launcher
my $node = new_cluster(conf => { max_worker_processes => 3, log_min_messages => 'debug1' });
my $message = qr/LOG:  sync_engine: no background worker slot is free/;

# lanes_started: so far.
sub lanes_started
{
	return logged($node, qr/starting background worker process "sync_engine lane"/);
}

for (1 .. @databases)
{
	create_database($node, $databases[ $_ - 1 ]);
	connect_org_in($node, $databases[ $_ - 1 ], $simulator, "org$_");
}
connect_org($node, $simulator, 'org4');

my $name = 'too few workers';
wait_for(sub { !lane_pids($node) }, $soon_s, "$name: no lane is left");

# somebody else's worker has the place
safe_psql($node, 'CREATE TABLE slow AS SELECT 1 AS one');
my $session = background_psql($node, on_error_stop => 0);
$session->query('SET parallel_setup_cost = 0; SET min_parallel_table_scan_size = 0; SET parallel_leader_participation = off');
my $leader = $session->query('SELECT pg_backend_pid()');
$session->query_until(qr/slow/, "\\echo slow\nSELECT count(*) FROM slow WHERE pg_sleep(100) IS NOT NULL;\n");
wait_for(sub { safe_psql($node, q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'parallel worker'}) },
	$soon_s, "$name: a parallel query has one");
my $id = start_sync($node, 'org4', ['Campus']);
wait_for(sub { logged($node, $message) }, $soon_s, "$name: the log says so");
safe_psql($node, "SELECT pg_cancel_backend($leader)");
wait_for(sub { safe_psql($node, "SELECT status FROM sync_runs WHERE run_id = $id") eq 'succeeded' },
	$soon_s, "$name: once the query has ended, the run goes on by itself");
is(logged($node, $message), 1, "$name: the log has said so once");
$session->{run}->kill_kill;
wait_for(sub { !lane_pids($node) }, $soon_s, "$name: its lane leaves");

$name = 'too few workers for lanes';
my $started = lanes_started();
my $first = SyncEngineTest::HangingRun->start($node, $simulator, $name, database => 'one');
my %run = map {
	my ($number, $database) = ($_, $databases[ $_ - 1 ]);
	$database => $node->safe_psql($database, "SELECT sync_start('org$number', ARRAY['Person'], mode => 'full')");
} 2 .. @databases;
wait_for(sub { logged($node, $message) == 2 }, $soon_s, "$name: the log says so");
is(scalar(lane_pids($node)), 1, "$name: one lane has the only one");
$first->stays($name);
$first->ends_well($name);
for my $database (sort keys %run)
{
	wait_for(
		sub { $node->safe_psql($database, "SELECT status FROM sync_runs WHERE run_id = $run{$database}") eq 'succeeded' },
		$soon_s, "$name: database $database is synced by itself when there is one");
}
is(logged($node, $message), 2, "$name: the log has said so once");
is(lanes_started() - $started, 3, "$name: each database took one lane");
is(logged($node, qr/PANIC|TRAP|terminated by signal/), 0, 'no process came to harm');

done_testing();
