# Tokens, organisations, determinism, API versions.
use strict;
use warnings;
use Test::More;
use Simulator;

my @options = (people => 120, orgs => 3, 'rate-limit' => 0);
my $sim = Simulator->new(@options);
my $people = '/people/v2/people';

is($sim->request('GET', $people)->{status}, 401, 'no token: 401');
my $reply = $sim->request('GET', $people, { Authorization => 'Basic b3JnMS1jbGllbnQ6d3Jvbmc=' });
is($reply->{status}, 401, 'wrong secret: 401');
is($reply->{json}{errors}[0]{status}, '401', 'with a JSON:API error');
is($sim->request('GET', $people, { Authorization => 'Bearer x' })->{status}, 401, 'another scheme: 401');
is($sim->list('/people/v2', "org$_")->{data}{id}, 500000 + $_, "org$_ has its own id") for 1 .. 3;
isnt($sim->look('oracle/digest?org=org1&entity=Person'), $sim->look('oracle/digest?org=org2&entity=Person'),
	'organisations differ');
is_deeply([ $sim->ids($people, 'org1') ], [ $sim->ids($people, 'org2') ], 'their ids overlap');

# Pure functions of seed, organisation and size
my $again = Simulator->new(@options);
is($again->look("oracle/digest?org=org2&entity=$_"), $sim->look("oracle/digest?org=org2&entity=$_"), "$_ again")
  for qw(Person Email Household HouseholdMembership FieldDatum PersonMerger);
my $other = Simulator->new(@options, seed => 2);
isnt($other->look('oracle/digest?org=org2&entity=Person'), $sim->look('oracle/digest?org=org2&entity=Person'), 'another seed');
for my $each ($sim, $again)
{
	$each->post('mutate?org=org1&entity=Person&op=update&count=5&at=2025-09-01T00:00:00Z');
	$each->post('mutate?org=org1&entity=Person&op=delete&count=5&at=2025-09-01T00:00:00Z');
	$each->post('mutate?org=org1&entity=Email&op=insert&count=5&at=2025-09-01T00:00:00Z');
}
is($again->look("oracle/digest?org=org1&entity=$_"), $sim->look("oracle/digest?org=org1&entity=$_"), "$_ after the same mutations")
  for qw(Person Email Household);

# Sizes
my $made = $sim->post('org?org=big&people=2000&time_zone=America/Chicago');
is($made->{client_id}, 'big-client', 'a new organisation');
my %counts = map { $_ => (split / /, $sim->look("oracle/digest?org=big&entity=$_"))[0] }
  qw(Person Email PhoneNumber Address Household HouseholdMembership FieldDatum PersonMerger Campus Tab);
is_deeply(\%counts, { Person => 2000, Email => 2000, PhoneNumber => 1600, Address => 1400, Household => 667,
	HouseholdMembership => 2000, FieldDatum => 2000, PersonMerger => 20, Campus => 3, Tab => 4 }, 'rows per 2000 people');
is($sim->list('/people/v2', 'big')->{data}{attributes}{time_zone}, 'America/Chicago', 'time zone');
$sim->post('org?org=big&people=10');
is($sim->list($people, 'big')->{meta}{total_count}, 10, 'regenerated');
$sim->post('org?org=none&people=0');
is($sim->list($people, 'none')->{meta}{total_count}, 0, 'an empty organisation');
is($sim->get('/people/v2/me', 'none')->{status}, 404, 'has no me');
my $bytes = length($sim->get("$people?per_page=100")->{content}) / 100;
cmp_ok($bytes, '>', 1500, 'a person takes more than 1.5 kB');
cmp_ok($bytes, '<', 2100, 'and about 2 kB at most');

# Versions
sub version
{
	my ($wanted, $path) = @_;
	return $sim->get($path // $people, 'org1', { 'X-PCO-API-Version' => $wanted });
}
my $processed = 'x-pco-api-processed-as-version';
is(version('2025-12-31')->{headers}{$processed}, '2025-11-10', 'the newest that is not newer');
is(version('2018-08-01')->{headers}{$processed}, '2018-08-01', 'the oldest');
is(version('2030-01-01')->{headers}{$processed}, '2026-06-04', 'the future');
is(version('2025-12-31', '/giving/v2')->{headers}{$processed}, '2019-10-18', 'per product');
$reply = version('2017-01-01');
is($reply->{status}, 400, 'too old');
is($reply->{json}{errors}[0]{code}, 'unsupported_version_error', 'code');
my $datum = '/people/v2/field_data?order=updated_at&where[updated_at][gte]=2100-01-01T00:00:00Z';
is(version('2026-06-04', $datum)->{json}{meta}{total_count}, 0, 'field data have stamps since 2026-06-04');
my $old = version('2025-11-10', $datum)->{json};
is($old->{meta}{total_count}, $sim->list('/people/v2/field_data')->{meta}{total_count}, 'before that the condition is unknown, so ignored');
ok(!exists $old->{data}[0]{attributes}{updated_at}, 'and the attribute is not there');
ok(!(grep { /_at$/ } @{ $old->{meta}{can_order_by} }, @{ $old->{meta}{can_query_by} }), 'nor announced');
is($_->stop, 0, 'clean exit') for $sim, $again, $other;
done_testing();
