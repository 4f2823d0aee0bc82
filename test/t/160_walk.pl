# Entities without a list of their own: their parents' lists are walked, one by
# one, and a walk that is interrupted goes on where it was.

use strict;
use warnings FATAL => 'all';

use List::Util qw(sum0);
use SyncEngineTest;
use SyncEngineTest::FakeServer;

# About a third as many households.
my $people = 300;

my $simulator = start_simulator(people => $people, orgs => 8, rate_limit => 0);

# Sixty parents a second: a walk can be met in its middle.
my $slow_people = 1200;
my $slow = start_simulator(people => 1, rate_limit => 60, rate_period => 1);
my $node = new_cluster();
my ($used, $slow_used) = (0, 0);

# What a crash may make the engine ask again: see 020_crash.pl.
my $window = 32;
my $unflushed_us = 3 * 200_000;

sub new_org { return connect_org($node, $simulator, 'org' . ++$used); }

sub slow_org
{
	my $org = 'slow' . ++$slow_used;

	$slow->post('org', org => $org, people => $slow_people);
	return connect_org($node, $slow, $org);
}

sub start
{
	my ($org, @entities) = @_;

	return start_sync($node, $org, \@entities, mode => 'full');
}

sub ends
{
	my ($run, $status, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return run_ends($node, $run, $status, 100, "$name: the run ends $status");
}

# job: columns of a run's job for an entity.
sub job
{
	my ($run, $entity, $columns) = @_;

	return safe_psql($node, "SELECT $columns FROM sync_jobs WHERE run_id = $run AND entity = '$entity'");
}

# ids: of records that the API has, in the order of a walk.
sub ids
{
	my ($org, $entity) = @_;

	return split /\n/, server_of($node, $org)->get('oracle', org => $org, entity => $entity, columns => 'id');
}

# walked: whose lists of household memberships were asked for, and when.  On a
# machine that is too busy requests can arrive in a throng, some be refused (429),
# and asked again: those were not answered the first time.
sub walked
{
	my ($org) = @_;

	return map { $_->[4] =~ m{^/people/v2/households/(\w+)/household_memberships} ? [ $1, $_->[1] ] : () }
	  grep { $_->[2] eq $org && $_->[5] ne '429' } map { [ split / / ] } split /\n/, server_of($node, $org)->get('log');
}

# ledger: how many parents a run's job has entered, by outcome.
sub ledger
{
	my ($run) = @_;

	return safe_psql($node, "SELECT outcome, count(*) FROM sync_engine.walk_ledger
		WHERE job_id = (SELECT job_id FROM sync_jobs WHERE run_id = $run AND entity = 'HouseholdMembership')
		GROUP BY outcome ORDER BY outcome");
}

# ---- One level ------------------------------------------------------------

my $org = new_org();
my $run = start($org, 'HouseholdMembership');
my ($households, $members) = map { record_count($node, $org, $_) } qw(Household HouseholdMembership);

ends($run, 'succeeded', 'one level');
is_complete($node, $org, 'one level', qw(Household HouseholdMembership));
is(job($run, 'HouseholdMembership', 'fetched, inserted, requests'), "$members|$members|$households",
	'one level: one request for each parent');
is(ledger($run), "read|$households", 'one level: the ledger has each parent');
is(safe_psql($node, "SELECT sum(records) FROM sync_engine.walk_ledger WHERE org = '$org'"), $members, 'one level: ... and how many it has');
is(job($run, 'Household', 'status'), 'succeeded', 'one level: its parent was pulled in');

my $versions = row_versions($node, $org, 'HouseholdMembership');
$run = start($org, 'HouseholdMembership');
ends($run, 'succeeded', 'one level again');
is(job($run, 'HouseholdMembership', 'inserted, updated, unchanged'), "0|0|$members", 'one level again: all is unchanged');
is(row_versions($node, $org, 'HouseholdMembership'), $versions, 'one level again: no row is written');

# What is new below a parent that did not change, and below a new one.
$simulator->post('mutate', org => $org, entity => 'Household', op => 'insert', count => 2);
$simulator->post('mutate', org => $org, entity => 'HouseholdMembership', op => 'insert', count => 20);
$simulator->post('mutate', org => $org, entity => 'HouseholdMembership', op => 'update', count => 20);
ends(start($org, 'HouseholdMembership'), 'succeeded', 'one level, changed');
is_complete($node, $org, 'one level, changed', qw(Household HouseholdMembership));

# A parent that the API has no more has an empty list.
$simulator->post('mutate', org => $org, entity => 'Household', op => 'delete', count => 3);
$run = start($org, 'HouseholdMembership');
ends($run, 'succeeded', 'parents that are gone');
is(job($run, 'HouseholdMembership', 'fetched'), record_count($node, $org, 'HouseholdMembership'), 'parents that are gone: have no children');
is(ledger($run), "gone|3\nread|" . ($households - 1), 'parents that are gone: were asked for');

# ---- Every other way to reach an entity -----------------------------------

my @nested = (
	# two and three levels, and without an id between
	qw(people.Condition services.Item services.ItemNote check_ins.LocationEventPeriod giving.DesignationRefund),
	# one record for each parent, or none
	qw(giving.Note giving.Refund groups.Enrollment people.ListStar),
	# the root of a product, and one record of another path
	qw(people.Organization giving.Organization people.OrganizationStatistics));
# The same record comes below several parents.
my @shared = qw(people.WorkflowCategory groups.Owner groups.Location);

$org = new_org();
$run = start($org, @nested, @shared);
ends($run, 'succeeded', 'nested');
is_complete($node, $org, 'nested', @nested, @shared);
is(safe_psql($node, "SELECT count(*) FROM sync_jobs WHERE run_id = $run AND fetched <> inserted
		AND product || '.' || entity NOT IN (" . join(',', map { "'$_'" } @shared) . ')'),
	0, 'nested: each record comes once');
cmp_ok(safe_psql($node, "SELECT sum(fetched - inserted) FROM sync_jobs WHERE run_id = $run AND entity IN ('WorkflowCategory', 'Owner', 'Location')"),
	'>', 0, 'shared: some come below several parents');
my @all = split /\n/, safe_psql($node, "SELECT product || '.' || entity FROM sync_jobs WHERE run_id = $run");
my %before = map { $_ => row_versions($node, $org, $_) } @all;
$run = start($org, @nested, @shared);
ends($run, 'succeeded', 'nested again');
is_deeply({ map { $_ => row_versions($node, $org, $_) } @all }, \%before, 'nested again: no row is written');

# ---- Lists of more than a page --------------------------------------------

my %size = map { $_ => 150 } 1 .. 40;
$size{7} = 250;
$size{8} = 0;

sub member
{
	my ($household, $number) = @_;

	return sprintf '{"type":"HouseholdMembership","id":"%d","attributes":{"pending":false},"relationships":'
	  . '{"household":{"data":{"type":"Household","id":"%d"}},"person":{"data":{"type":"Person","id":"%d"}}}}',
	  1000 * $household + $number, $household, $number;
}

sub page
{
	my ($request, @records) = @_;
	my $end = $request->{offset} + $request->{per_page};
	my $next = $end < @records ? qq(,"next":"http://127.0.0.1/?offset=$end") : '';
	my $total = @records;

	$end = @records if $end > @records;
	return { body => sprintf '{"links":{"self":"x"%s},"data":[%s],"meta":{"total_count":%d}}',
		$next, join(',', @records[ $request->{offset} .. $end - 1 ]), $total };
}

my $fake = SyncEngineTest::FakeServer->new(
	long => sub {
		my ($request) = @_;

		return page($request, map { member($1, $_) } 1 .. $size{$1})
		  if $request->{path} =~ m{/households/(\d+)/household_memberships$};
		return page($request,
			map { qq({"type":"Household","id":"$_","attributes":{"updated_at":"2024-01-01T00:00:00Z"}}) } sort { $a <=> $b } keys %size);
	});
connect_org($node, $fake, 'long');
$run = start('long', 'HouseholdMembership');
ends($run, 'succeeded', 'long lists');
is( safe_psql($node, "SELECT household_id, count(*) FROM pco_people.household_membership
		WHERE org = 'long' GROUP BY household_id ORDER BY household_id::int"),
	join("\n", map { "$_|$size{$_}" } grep { $size{$_} > 0 } sort { $a <=> $b } keys %size), 'long lists: are complete');
is(job($run, 'HouseholdMembership', 'fetched, inserted'), sum0(values %size) . '|' . sum0(values %size), 'long lists: each record once');
is( scalar(grep { /household_memberships/ } $fake->requests('long')),
	sum0(map { $_ <= 1 ? 1 : int(($_ - 1 + 98) / 99) } values %size),
	'long lists: no page is asked for in vain');

# ---- What the token may not read ------------------------------------------

$org = new_org();
my @some = (ids($org, 'Household'))[ 3, 10, 50 ];
$simulator->post('fault', org => $org, kind => '403', path => "/people/v2/households/$_/", count => 0) for @some;
$run = start($org, 'HouseholdMembership');
ends($run, 'partial', 'some are forbidden');
like(job($run, 'HouseholdMembership', 'status, sqlstate, error'),
	qr/^partial\|SE403\|.*lists of 3 of $households parents/, 'some are forbidden: it says how many');
is(ledger($run), "forbidden|3\nread|" . ($households - 3), 'some are forbidden: the ledger knows them');
my %is_forbidden = map { $_ => 1 } @some;
my $readable = grep { !$is_forbidden{$_} } split /\n/,
  $simulator->get('oracle', org => $org, entity => 'HouseholdMembership', columns => 'household_id');
cmp_ok($readable, '<', $members, 'some are forbidden: ... that have members');
is(job($run, 'HouseholdMembership', 'fetched'), $readable, 'some are forbidden: all others are in');
$simulator->post('fault/clear');
ends(start($org, 'HouseholdMembership'), 'succeeded', 'allowed at last');
is_complete($node, $org, 'allowed at last', 'HouseholdMembership');

$org = new_org();
$simulator->post('fault', org => $org, kind => '403', path => '/people/v2/households/', count => 0);
$run = start($org, 'HouseholdMembership');
ends($run, 'partial', 'all are forbidden');
is(job($run, 'HouseholdMembership', 'status, sqlstate'), 'failed|SE403', 'all are forbidden: that is a failure');
cmp_ok(job($run, 'HouseholdMembership', 'requests'), '<', $households, 'all are forbidden: it does not ask all');
$run = start($org, '*');
ends($run, 'succeeded', 'all are forbidden, of everything');
is(job($run, 'HouseholdMembership', 'status, sqlstate'), 'skipped|SE403', 'all are forbidden, of everything: left out');
$simulator->post('fault/clear');

# ---- In the middle of a walk ----------------------------------------------

# Lanes are killed.
$org = slow_org();
($households, $members) = map { record_count($node, $org, $_) } qw(Household HouseholdMembership);
$run = start($org, 'HouseholdMembership');
my @kills;
for my $kill (1 .. 3)
{
	has_fetched($node, $run, 'HouseholdMembership', $kill * $members / 4);
	push @kills, 1e6 * kill_lane_of($node, $run, 'HouseholdMembership', "lane $kill");
}
ends($run, 'succeeded', 'killed');
is_complete($node, $org, 'killed', qw(Household HouseholdMembership));
is(job($run, 'HouseholdMembership', 'fetched, inserted, updated, unchanged, dead_lettered'), "$members|$members|0|0|0",
	'killed: nothing is counted twice');
is(ledger($run), "read|$households", 'killed: the ledger has each parent');
my @walked = walked($org);
my %parents = map { $_->[0] => 1 } @walked;
my $allowed = sum0 map { my $kill = $_; $window + grep { $_->[1] > $kill - $unflushed_us && $_->[1] <= $kill } @walked } @kills;
note(sprintf 'killed: %d parents asked again, %d allowed', @walked - keys %parents, $allowed);
is(scalar keys %parents, $households, 'killed: each parent was asked for');
cmp_ok(@walked - keys %parents, '<=', $allowed, 'killed: few were asked for again');

# A parent comes up behind us.
$org = slow_org();
$run = start($org, 'HouseholdMembership');
has_fetched($node, $run, 'HouseholdMembership', $members / 2);
safe_psql($node, "INSERT INTO pco_people.household (org, id) VALUES ('$org', '0')");
ends($run, 'succeeded', 'a parent behind us');
is(scalar(grep { $_->[0] eq '0' } walked($org)), 1, 'a parent behind us: was asked for, once');
is(ledger($run), "gone|1\nread|$households", 'a parent behind us: is in the ledger');
is(scalar walked($org), $households + 1, 'a parent behind us: no other was asked for again');
is_complete($node, $org, 'a parent behind us', 'HouseholdMembership');

# The table is dropped: what was read before comes again.
$org = slow_org();
$run = start($org, 'HouseholdMembership');
has_fetched($node, $run, 'HouseholdMembership', $members / 2);
safe_psql($node, 'DROP TABLE pco_people.household_membership CASCADE');
ends($run, 'succeeded', 'a table is dropped');
is_complete($node, $org, 'a table is dropped', 'HouseholdMembership');

# ---- Every record is accounted for ----------------------------------------

is(safe_psql($node, 'SELECT count(*) FROM sync_jobs WHERE fetched <> inserted + updated + unchanged + dead_lettered'),
	0, 'the counters of all jobs add up');
unlike(server_log($node), qr/TRAP|PANIC/, 'no process has crashed by itself');

done_testing();
