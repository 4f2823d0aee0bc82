# Every entity of every product: synced and equal to what the API has, or with a
# reason why not.  What the token may not see is left out, a failure stops only
# what depends on it.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::Bin/../perl";
use SyncEngineTest;

my $sim = start_simulator(people => 30, rate_limit => 0);
my $node = new_cluster();
connect_org($node, $sim, 'org1');

# rows: the result of a query, as one hash a row.
sub rows
{
	my ($sql, @names) = @_;

	return map { my %row; @row{@names} = split /\|/, $_, -1; \%row }
	  split /\n/, safe_psql($node, $sql);
}

my @result = qw(product entity status fetched inserted updated unchanged requests error);
my $sync = q{SELECT product, entity, status, fetched, inserted, updated, unchanged, requests, replace(error, E'\n', ' ')
	FROM sync_run};

#
# Each of the 256.
#
my %reach;
for (split /\n/, $sim->get('entities'))
{
	my ($product, $type, $reach, $count) = split /\t/;
	$product =~ tr/-/_/;
	$reach{"$product.$type"} = { reach => $reach, rows => $count };
}

my %ran = map { ("$_->{product}.$_->{entity}" => $_) } rows("$sync('org1', ARRAY['*'])", @result);
my @manifest = rows(
	"SELECT product, entity, ready, coalesce(unreachable, '') FROM sync_engine.entity ORDER BY 1, 2",
	qw(product entity ready unreachable));
my %outcome;

is(scalar @manifest, 256, 'the manifest has 256 entities');
for my $entity (@manifest)
{
	my $name = "$entity->{product}.$entity->{entity}";
	my $row = $ran{$name};

	if ($entity->{ready} eq 'f')
	{
		$outcome{embedded}++;
		isnt($entity->{unreachable}, '', "$name is not synced, and the manifest says why");
		is($reach{$name}{reach}, 'embedded', "$name has no path in the API");
		next;
	}
	$outcome{synced}++ if $row->{status} eq 'succeeded';
	is($row->{status}, 'succeeded', "$name is synced") or diag($row->{error});
	is_equal_to_oracle($node, $sim, 'org1', $name, "$name equals the API's records",
		allow_empty => $reach{$name}{rows} == 0);
}
is($outcome{synced} + $outcome{embedded}, 256, 'none is silently missing');
cmp_ok($outcome{synced}, '==', 244, 'all that have a path are synced');

#
# Once more: nothing is written, in whatever form a record comes.
#
my $writers = join ' UNION ALL ', map { "SELECT max(_run_id) AS run_id FROM $_" } split /\n/,
  safe_psql($node, q{SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND relnamespace::regnamespace::text LIKE 'pco\_%'});
my $last_writer = "SELECT max(run_id) FROM ($writers) _";
my $before = safe_psql($node, $last_writer);
my @again = rows("$sync('org1', ARRAY['*'], 'full')", @result);

is(scalar(grep { $_->{status} ne 'succeeded' || $_->{inserted} || $_->{updated} } @again),
	0, 'a second run changes nothing')
  or diag(join "\n", map { "$_->{entity} $_->{status} $_->{inserted} $_->{updated}" }
	  grep { $_->{status} ne 'succeeded' || $_->{inserted} || $_->{updated} } @again);
is(safe_psql($node, $last_writer), $before, 'no data table is written to');

#
# The profile: everything but what costs a request for each person.
#
my ($status, $out, $err) = $node->psql('sync', "$sync('org1')");
my %profile = map { my ($product, $entity) = split /\|/; ("$product.$entity" => 1) } split /\n/, $out;

is($status, 0, 'the profile is synced');
like($err, qr/cost a request for each person are left out: .*people\.ConnectedPerson/, 'walks over people are named');
ok(!$profile{'people.ConnectedPerson'}, 'a walk over people is left out');
ok(!$profile{'services.BlockoutDate'}, 'so is what is nested below one');
ok($profile{'people.PersonApp'}, 'what comes with the pages of Person is not');
ok($profile{'people.HouseholdMembership'} && $profile{'giving.Designation'}, 'other walks are not');

#
# What the token may not see.
#
$sim->post('permission', org => 'org1', forbid_product => 'giving');
$sim->post('permission', org => 'org1', forbid => 'services.Song');
my %seen = map { ("$_->{product}.$_->{entity}" => $_) } rows("$sync('org1', ARRAY['*'])", @result);

is($seen{'giving.Donation'}{status}, 'skipped', 'an entity of a product that is forbidden is skipped');
like($seen{'giving.Donation'}{error}, qr/the token may not read this/, 'and the reason given');
is($seen{'giving.Designation'}{status}, 'skipped', 'so is what hangs on it');
like($seen{'services.Arrangement'}{error}, qr/Song, which it needs, cannot be seen by this token/, 'with the reason');
is($seen{'services.Plan'}{status}, 'succeeded', 'others of the product are synced');
is(safe_psql($node, q{SELECT status FROM sync_runs ORDER BY run_id DESC LIMIT 1}),
	'succeeded', 'what cannot be seen is nobody\'s failure');
is(safe_psql($node, 'SELECT count(*) > 0 FROM pco_giving.donation WHERE _deleted_at IS NULL'),
	't', 'nothing is deleted');
my ($named) = rows("$sync('org1', ARRAY['giving.Fund'])", @result);
is($named->{status}, 'failed', 'asked for by name it fails');
$sim->post('permission', org => 'org1', allow_product => 'giving');
$sim->post('permission', org => 'org1', allow => 'services.Song');

#
# A failure stops what depends on it, and nothing else.
#
safe_psql($node, q{CREATE ROLE stranger; ALTER TABLE pco_people.household OWNER TO stranger});
my %partial = map { ("$_->{product}.$_->{entity}" => $_) } rows("$sync('org1', ARRAY['*'])", @result);

is($partial{'people.Household'}{status}, 'failed', 'a table of somebody else\'s fails its entity');
is($partial{'people.HouseholdMembership'}{status}, 'skipped', 'and stops what walks it');
like($partial{'people.HouseholdMembership'}{error}, qr/Household, which it needs, did not succeed/, 'with the reason');
is(scalar(grep { $_->{status} eq 'succeeded' } values %partial), 242, 'all others are synced');
is(safe_psql($node, q{SELECT status FROM sync_runs ORDER BY run_id DESC LIMIT 1}), 'partial', 'the run is partial');
safe_psql($node, q{ALTER TABLE pco_people.household OWNER TO CURRENT_USER});

#
# An entity of the API's that is not there (any more).
#
$sim->post('fault', path => '/giving/v2/donor_summaries', kind => '404', count => 0);
my %gone = map { ("$_->{product}.$_->{entity}" => $_) } rows("$sync('org1', ARRAY['*'])", @result);
is($gone{'giving.DonorSummary'}{status}, 'skipped', 'a list that the API does not have is skipped');
is(safe_psql($node, q{SELECT status FROM sync_runs ORDER BY run_id DESC LIMIT 1}), 'succeeded', 'and no failure');

done_testing();
