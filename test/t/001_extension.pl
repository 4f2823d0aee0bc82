# The extension and the simulator, each started once: what all other tests need.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;

my $simulator = start_simulator(people => 20);
is($simulator->get('health'), "ok\n", 'the simulator is well');

my $node = new_cluster();
is( $node->safe_psql(
		'sync', q{SELECT extversion FROM pg_extension WHERE extname = 'sync_engine'}),
	'0.1.0',
	'the extension is there');

my $session = background_psql($node);
is($session->query('SELECT 1'), '1', 'a session in the background answers');
$session->quit;

$node->restart;
is($node->safe_psql('sync', 'SELECT count(*) FROM sync_engine.run'),
	'0', 'its state survives a restart');
unlike(server_log($node), qr/WARNING|ERROR|PANIC/, 'the log has no complaint');

ok($simulator->stop, 'the simulator stops as it should');

done_testing();
