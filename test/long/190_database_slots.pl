# More databases come and go, or are merely looked at, than can be served at
# once (MAX_DATABASES in src/shmem.h): each leaves its place to the next.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;

my $soon_s = 30;
my $places = 256;

my $simulator = start_simulator(people => 20, rate_limit => 0);
my $node = new_cluster(conf => { fsync => 'off' });
connect_org($node, $simulator, 'org1');

# Each of these statements makes the launcher look at the database.
$node->safe_psql('postgres', join ";\n", map { ("CREATE DATABASE d$_", "ALTER DATABASE d$_ IS_TEMPLATE false", "DROP DATABASE d$_") }
	  1 .. $places + 20);
is(safe_psql($node, q{SELECT status FROM sync_run('org1', ARRAY['Person'])}), 'succeeded',
	'after as many databases as there are places, another one is served');

# One that is closed keeps what is to be done in it, until it is dropped.
$node->safe_psql('postgres', join ";\n", map {
		("CREATE DATABASE d$_ ALLOW_CONNECTIONS false", "ALTER DATABASE d$_ IS_TEMPLATE false")
	} 1 .. $places);
my ($status, undef, $stderr) = $node->psql('sync', q{SELECT sync_start('org1', ARRAY['Person'])});
like($stderr, qr/sync_engine cannot serve more than $places databases/, 'with all places taken there is a clear error');
$node->safe_psql('postgres', join ";\n", map { "DROP DATABASE d$_" } 1 .. $places);
is(safe_psql($node, q{SELECT status FROM sync_run('org1', ARRAY['Person'])}), 'succeeded',
	'dropped, they leave their places');

done_testing();
