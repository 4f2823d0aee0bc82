# However many jobs wait, a claim looks at a bounded number of them in a transaction:
# the table of locks is everybody's.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;

my $soon_s = 60;
my @orgs = map { "org$_" } 1 .. 10;
my $simulator = start_simulator(orgs => scalar @orgs, people => 20, rate_limit => 0);
my $node = new_cluster(conf => { 'sync_engine.max_workers' => 1 });

connect_org($node, $simulator, $_) for @orgs;

# The extension itself is made of more objects than this has room for.
$node->append_conf('postgresql.conf', "$_")
  for 'max_locks_per_transaction = 10', 'max_connections = 30', 'max_worker_processes = 6', 'autovacuum_max_workers = 1',
  'max_wal_senders = 0';
$node->restart;

# All that has a list of its own, of organisations that do not answer: each has as many
# jobs at work as it may, and the rest waits for a place.  They come at the same moment.
$simulator->post('fault', path => '/', org => $_, kind => 'hang', count => 0) for @orgs;
my @runs = split /\n/, safe_psql($node, q{SELECT sync_start(org, l.names, execution => 'parallel') FROM sync_orgs,
	(SELECT array_agg(product || '.' || entity) AS names FROM sync_engine.entity WHERE parent IS NULL AND path IS NOT NULL) l});

sub waiting
{
	return safe_psql($node, q{SELECT count(*) FILTER (WHERE parked = 'org'), count(*) FILTER (WHERE status = 'running' AND folded_into IS NULL),
		count(*) FILTER (WHERE status = 'queued' AND unmet = 0 AND folded_into IS NULL AND parked IS NULL) FROM sync_engine.job});
}

my $parked;
wait_for(
	sub {
		($parked, my ($running, $left)) = split /\|/, waiting();
		return $running == 16 * @orgs && $left == 0;
	},
	$soon_s, 'all but those that run wait for a place of their organisation') || diag(waiting());
note("$parked jobs wait");
cmp_ok($parked, '>', 700, 'they are more than fit into the table of locks');
unlike(server_log($node), qr/out of shared memory/, 'which has room for others');

$simulator->post('fault/clear');
run_ends($node, $_, 'succeeded', $soon_s, 'each ends') for @runs;
ok($simulator->stop, 'the simulator stops as it should');

done_testing();
