# A lane that is busy leaves new work to one more lane; if there is no room for one, it
# does it itself.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;

my $soon_s = 15;
my $simulator = start_simulator(orgs => 2, people => 60_000, rate_limit => 0);
my $node = new_cluster(
	conf => {
		'sync_engine.max_workers'       => 4,
		# The launcher has one, a lane the other.
		max_worker_processes            => 2,
		max_logical_replication_workers => 0,
	});

connect_org($node, $simulator, "org$_") for 1, 2;
run_ends($node, start_sync($node, 'org2', ['Campus']), 'succeeded', 2 * $soon_s, 'the table is there');

my $large = start_sync($node, 'org1', ['Person']);
has_fetched($node, $large, 'Person', 5_000);
run_ends($node, start_sync($node, 'org2', ['Campus']), 'succeeded', $soon_s, 'a small sync does not wait for a large one');
is(safe_psql($node, "SELECT status FROM sync_runs WHERE run_id = $large"), 'running', 'which goes on');
is(scalar lane_pids($node), 1, 'on one lane');
unlike(server_log($node), qr/no background worker slot is free/, 'that there is no room for another is no trouble');

safe_psql($node, "SELECT sync_cancel($large)");
run_ends($node, $large, 'cancelled', $soon_s, 'it is cancelled');
ok($simulator->stop, 'the simulator stops as it should');

done_testing();
