# What deltas cannot see is found by audits: full reads with a share of the budget,
# each entity at its cadence, and early where the API counts other numbers than we.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;

my $people = 2500;
my $simulator = start_simulator(orgs => 3, people => $people, rate_limit => 40, rate_period => 1);
my $node = new_cluster();
my ($name, $run);

sub sync
{
	my ($org, $mode, @entities) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$run = start_sync($node, $org, \@entities, mode => $mode);
	return run_ends($node, $run, 'succeeded', 60, "$name: the run ends well");
}

# followed: kinds, modes and entities of the runs that followed the last one, when they have ended.
sub followed
{
	wait_for(sub { safe_psql($node, 'SELECT count(*) FROM sync_runs WHERE finished_at IS NULL') eq '0' }, 90, "$name: all runs end");
	return safe_psql($node, "SELECT kind, mode, entities, status FROM sync_runs WHERE run_id > $run ORDER BY run_id");
}

# age: as if the entity had been read as a whole, or counted, so long ago.
sub age
{
	my ($org, $entity, $column, $interval) = @_;

	return safe_psql($node, "UPDATE sync_engine.sync_state SET $column = now() - interval '$interval'
		WHERE (org, entity) = ('$org', '$entity')");
}

$name = 'nothing is due';
connect_org($node, $simulator, 'org1');
sync('org1', 'full', qw(Person Campus Email));
sync('org1', 'delta', qw(Person Campus Email));
is(followed(), '', "$name: nothing follows");

$name = 'a cadence';
is(safe_psql($node, "SELECT entity, audit_every FROM sync_engine.entity WHERE (product, entity) IN (('people', 'Person'), ('people', 'Message')) ORDER BY 1"),
	"Message|1 day\nPerson|7 days", "$name: follows from what deltas can see");
safe_psql($node, "INSERT INTO sync_engine.manifest_entity (product, entity, audit_every) VALUES ('people', 'Campus', '1 hour')");
$simulator->post('mutate', org => 'org1', entity => 'Person', op => 'update', count => 5, stamp => 0);
age('org1', $_, 'last_full_at', '2 hours') for qw(Campus Email);
sync('org1', 'delta', qw(Person Campus Email));
is(followed(), 'audit|full|{people.Campus}|succeeded', "$name: is each entity's own");
age('org1', 'Person', 'last_full_at', '8 days');
$simulator->post('stats/reset');
sync('org1', 'delta', 'Person');
is(followed(), 'audit|full|{people.Person}|succeeded', "$name: an audit is due");
is_equal_to_oracle($node, $simulator, 'org1', 'Person', "$name: it finds what was not stamped");
cmp_ok($simulator->stats->{most_in_window}, '<=', 11,
	"$name: it takes a quarter of the budget");
sync('org1', 'delta', 'Person');
is(followed(), '', "$name: and is due no more");

$name = 'a drift';
$simulator->post('mutate', org => 'org1', entity => 'Email', op => 'insert', count => 3, at => '2020-01-01T00:00:00Z');
sync('org1', 'delta', 'Email');
is(followed(), '', "$name: is not looked for all the time");
age('org1', 'Email', 'counted_at', '7 hours');
age('org1', 'Email', 'last_full_at', '2 days');
sync('org1', 'delta', 'Email');
is(followed(), "drift|full|{\"people.total of Email\"}|succeeded\naudit|full|{people.Email}|succeeded", "$name: records are missing");
is_equal_to_oracle($node, $simulator, 'org1', 'Email', "$name: they are found");
age('org1', 'Email', 'counted_at', '7 hours');
sync('org1', 'delta', 'Email');
is(followed(), 'drift|full|{"people.total of Email"}|succeeded', "$name: there is none any more");

unlike(server_log($node), qr/TRAP|PANIC/, 'no process has crashed');
done_testing();
