# A standby that is promoted in the middle of a run takes it over by itself, and
# so does a server that is stopped or crashes: nothing is lost, nothing doubled,
# and none of it counts as a failed attempt.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;

# Where something must not hang: far more than it takes, far less than for ever.
my $soon_s = 60;

my $people = 2000;
my @entities = qw(Person Email PhoneNumber Address Household Campus Tab FieldDefinition);

my $simulator = start_simulator(people => $people, rate_limit => 0);
my $node = new_cluster(init => { allows_streaming => 1 });
connect_org($node, $simulator, 'org1');

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
# the test library's own copying does not keep modes
chmod 0600, $standby->data_dir . '/sync_engine.key' or die $!;
$standby->start;

# start_with_a_middle: a run that gets no further than half of the people.
sub start_with_a_middle
{
	my ($on) = @_;

	$simulator->post('fault', path => '/people/v2/people', contains => 'offset=990', kind => 'hang', count => 0);
	return start_sync($on, 'org1', \@entities);
}

# is_in_the_middle: test that much is fetched, and much is not.
sub is_in_the_middle
{
	my ($on, $run, $name) = @_;

	has_fetched($on, $run, 'Person', $people / 4);
	isnt(safe_psql($on, "SELECT status FROM sync_jobs WHERE run_id = $run AND entity = 'Person'"),
		'succeeded', "$name: in the middle of the run");
	return;
}

# hold_back: requests have no answer until ends_by_itself, so that the moment can
# be seen in which the run is taken over.
sub hold_back
{
	$simulator->post('fault', path => '/', kind => 'hang', count => 0);
	return;
}

# ends_by_itself: test that a run that was held back is taken over and ends,
# complete, without anybody's call.
sub ends_by_itself
{
	my ($on, $run, $name) = @_;

	wait_for(sub { psql_if_up($on, "SELECT count(*) > 0 FROM sync_progress WHERE run_id = $run AND in_flight > 0") eq 't' },
		$soon_s, "$name: the run is taken over by itself");
	is(safe_psql($on, "SELECT string_agg(entity, ' ') FROM sync_jobs WHERE run_id = $run AND attempts > 0"),
		'', "$name: that was no failed attempt");
	$simulator->post('fault/clear');
	wait_for(sub { psql_if_up($on, "SELECT status FROM sync_runs WHERE run_id = $run") eq 'succeeded' },
		$soon_s, "$name: the run ends well by itself");
	is(safe_psql($on, "SELECT count(*) FROM sync_activities WHERE run_id = $run AND status IN ('retrying', 'failed')"),
		'0', "$name: nor was there one later");
	for my $entity (@entities)
	{
		my $records = record_count($node, 'org1', $entity);

		is( safe_psql(
				$on, "SELECT fetched, inserted + updated + unchanged, dead_lettered FROM sync_jobs
					WHERE run_id = $run AND entity = '$entity'"),
			"$records|$records|0",
			"$name: $entity: each record was counted once");
		is_equal_to_oracle($on, $simulator, 'org1', $entity, "$name: $entity is complete");
	}
	return;
}

# ---- the primary is lost --------------------------------------------------

my $name = 'promoted';
my $run = start_with_a_middle($node);
is_in_the_middle($node, $run, $name);
$node->stop('immediate');

is(safe_psql($standby, "SELECT status FROM sync_runs WHERE run_id = $run"), 'running', 'a standby: sees the run');
cmp_ok(safe_psql($standby, "SELECT fetched FROM sync_jobs WHERE run_id = $run AND entity = 'Person'"),
	'>', 0, 'a standby: and how far it is');
is( safe_psql($standby, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'sync_engine'}),
	'0', 'a standby: neither launcher nor lanes run');
is(safe_psql($standby, 'SELECT count(*) FROM sync_progress'), '0', 'a standby: nothing goes on there');
my $asked = $simulator->stats->{requests};
like(
	($standby->psql('sync', "SELECT sync_cancel($run)"))[2],
	qr/ERROR:  sync_cancel cannot be called on a standby\nHINT:  Call it on the primary; a promoted standby takes the work over\./,
	'a standby: cannot cancel the run');
is($simulator->stats->{requests}, $asked, 'a standby: asks for nothing');
hold_back();
$standby->promote;
ends_by_itself($standby, $run, $name);
is( safe_psql($standby, "SELECT sum(inserted) FROM sync_jobs WHERE run_id = $run"),
	safe_psql($standby, 'SELECT sum(n) FROM (' . join(' UNION ALL ', map { "SELECT rows AS n FROM sync_status WHERE entity = '$_'" } @entities) . ') _'),
	"$name: as many rows were inserted as there are");

# ---- the server is stopped ------------------------------------------------

for my $mode (qw(fast immediate))
{
	$name = "stopped ($mode)";
	safe_psql($standby, 'DROP SCHEMA pco_people, pco CASCADE');
	$run = start_with_a_middle($standby);
	is_in_the_middle($standby, $run, $name);
	$standby->stop($mode);
	hold_back();
	$standby->start;
	ends_by_itself($standby, $run, $name);
}

unlike(server_log($_), qr/PANIC|TRAP|terminated by signal/, 'no process came to harm') for $node, $standby;

done_testing();
