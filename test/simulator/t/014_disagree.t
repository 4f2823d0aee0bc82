# Relationships and included records that disagree.
use strict;
use warnings;
use Test::More;
use Simulator;

my $sim = Simulator->new(people => 60, orgs => 2, 'rate-limit' => 0);
my $list = '/people/v2/people?per_page=20&include=emails,phone_numbers';

# gaps(org): ids of Emails that are only named, and only included.
sub gaps
{
	my ($org) = @_;
	my $page = $sim->list($list, $org);
	my %named = map { $_->{id} => 1 } map { @{ $_->{relationships}{emails}{data} } } @{ $page->{data} };
	my %included = map { $_->{id} => 1 } grep { $_->{type} eq 'Email' } @{ $page->{included} };
	return (scalar(grep { !$included{$_} } keys %named), scalar(grep { !$named{$_} } keys %included));
}

is_deeply([ gaps() ], [ 0, 0 ], 'sound');
$sim->post('disagree?org=org1&entity=Person&include=emails&kind=missing_included&times=2');
is_deeply([ gaps('org2') ], [ 0, 0 ], 'another organisation is left alone');
$sim->list('/people/v2/people?include=phone_numbers');
$sim->list('/people/v2/people');
is_deeply([ gaps() ], [ 1, 0 ], 'named but not included') for 1 .. 2;
is_deeply([ gaps() ], [ 0, 0 ], 'only as often as said, and only replies with that include count');
$sim->post('disagree?org=org1&entity=Person&include=emails&kind=missing_relationship');
is_deeply([ gaps() ], [ 0, 1 ], 'included but not named');
is_deeply([ gaps() ], [ 0, 0 ], 'once');
$sim->post('disagree?org=org1&entity=Person&include=primary_campus&kind=missing_relationship');
my @campuses = map { [ map { $_->{relationships}{primary_campus}{data} ? 1 : 0 } @{ $_->{data} } ] }
  map { $sim->list('/people/v2/people?include=primary_campus') } 1 .. 2;
is(scalar(grep { $campuses[0][$_] != $campuses[1][$_] } 0 .. $#{ $campuses[1] }), 1, 'a to-one that is not named');
$sim->post('disagree?org=org1&entity=Person&include=emails&kind=missing_included&times=5');
$sim->post('disagree?org=org1&entity=Person&include=emails&kind=missing_included&times=0');
is_deeply([ gaps() ], [ 0, 0 ], 'times=0 ends it');
is($sim->request('POST', "/_sim/disagree?org=org1&$_")->{status}, 400, "refused: $_")
  for 'entity=Person&include=emails&kind=nonsense', 'entity=Person&include=nonsense&kind=missing_included',
  'entity=Person&include=emails', 'entity=None&include=emails&kind=missing_included';
is($sim->stop, 0, 'clean exit');
done_testing();
