# A row that comes into the data table between the look-up and the write of its
# page: it is updated, and the page is in.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;

my $people = 250;
my $simulator = start_simulator(people => $people, rate_limit => 0);
my $node = new_cluster();

connect_org($node, $simulator, 'org1');
# makes the table
$node->safe_psql('sync', q{SELECT * FROM sync_run('org1', ARRAY['Person'], mode => 'full')});
my $id = $node->safe_psql('sync', 'SELECT min(id) FROM pco_people.person');
$node->safe_psql('sync', 'TRUNCATE pco_people.person');

# Not committed, so the look-up does not see it, and the write waits for it.
my $other = background_psql($node);
$other->query_safe('BEGIN');
$other->query_safe("INSERT INTO pco_people.person (org, id, first_name) VALUES ('org1', '$id', 'earlier')");
my $run = $node->safe_psql('sync', q{SELECT sync_start('org1', ARRAY['Person'], mode => 'full')});
wait_for(
	sub {
		$node->safe_psql('sync', q{SELECT 1 FROM pg_stat_activity
			WHERE backend_type = 'sync_engine lane' AND wait_event = 'transactionid'});
	},
	30,
	'the engine waits for the other session');
$other->query_safe('COMMIT');
$other->quit;

is($node->safe_psql('sync', "SELECT sync_wait($run)"), 'succeeded', 'the run succeeds');
is($node->safe_psql('sync', "SELECT fetched, dead_lettered FROM sync_jobs WHERE run_id = $run"),
	"$people|0", 'no record is a dead letter');
is_equal_to_oracle($node, $simulator, 'org1', 'Person', 'what came earlier is overwritten');

done_testing();
