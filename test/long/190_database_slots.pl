# Databases take all places that there are (MAX_DATABASES in src/shmem.h), and
# leave them when they are dropped.  More have work than there can be lanes
# (MAX_LANES): each has its turn.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;

my $soon_s = 60;
my $places = 256;
my $lanes = 64;

my $simulator = start_simulator(people => 20, rate_limit => 0);
my $node = new_cluster(conf => { fsync => 'off', max_worker_processes => $lanes + 10 });
connect_org($node, $simulator, 'org1');

# Each of these statements makes the launcher look at the database; one that is
# closed keeps what is to be done in it, until it is dropped.
$node->safe_psql('postgres', join ";\n", map {
		("CREATE DATABASE d$_ ALLOW_CONNECTIONS false", "ALTER DATABASE d$_ IS_TEMPLATE false")
	} 1 .. $places);
my ($status, undef, $stderr) = $node->psql('sync', q{SELECT sync_start('org1', ARRAY['Person'], mode => 'full')});
like($stderr, qr/sync_engine cannot serve more than $places databases/, 'with all places taken there is a clear error');
$node->safe_psql('postgres', join ";\n", map { "DROP DATABASE d$_" } 1 .. $places);
is(safe_psql($node, q{SELECT status FROM sync_run('org1', ARRAY['Person'], mode => 'full')}), 'succeeded',
	'dropped, they leave their places');

my @databases = map { "e$_" } 1 .. $lanes + 2;
create_database($node, 'empty');
wait_for(sub { !lane_pids($node) }, $soon_s, 'no lane is left');
$simulator->post('fault', path => '/people/v2/people', kind => 'hang', count => 0);
for (@databases)
{
	$node->safe_psql('postgres', "CREATE DATABASE $_ TEMPLATE empty");
	connect_org_in($node, $_, $simulator, 'org1');
	$node->safe_psql($_, q{SELECT sync_start('org1', ARRAY['Person'], mode => 'full')});
}
my $message = qr/LOG:  sync_engine: all $lanes lanes of the cluster are at work/;
wait_for(sub { server_log($node) =~ $message }, $soon_s, 'more databases have work than there can be lanes: the log says so');
is(scalar(lane_pids($node)), $lanes, 'all lanes are at work');
$simulator->post('fault/clear');
for my $database (@databases)
{
	wait_for(sub { $node->safe_psql($database, 'SELECT status FROM sync_runs') eq 'succeeded' },
		$soon_s, "database $database is synced");
}
is(scalar(() = server_log($node) =~ /$message/g), 1, 'the log has said so once');

done_testing();
