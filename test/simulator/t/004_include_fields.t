# include= and fields[]=.
use strict;
use warnings;
use utf8;
use Test::More;
use Simulator;

my $sim = Simulator->new(people => 120, 'rate-limit' => 0);
my $people = '/people/v2/people';

my $page = $sim->list("$people?per_page=50&include=emails,nonsense");
my ($owner) = grep { @{ $_->{relationships}{emails}{data} } > 1 } @{ $page->{data} };
ok($owner, 'somebody has two addresses');
is($owner->{relationships}{emails}{links}{related}, "$sim->{base}$people/$owner->{id}/emails", 'related link');
is_deeply([ map { $_->{id} } @{ $owner->{relationships}{emails}{data} } ],
	[ $sim->ids("$people/$owner->{id}/emails") ], 'relationship data equals the nested list');
my @linked = map { map { $_->{id} } @{ $_->{relationships}{emails}{data} } } @{ $page->{data} };
is_deeply([ sort map { $_->{id} } @{ $page->{included} } ], [ sort @linked ], 'included equals the relationships');
is($page->{included}[0]{relationships}{person}{data}{type}, 'Person', 'included records point back');

$page = $sim->list("$people?per_page=100&include=primary_campus,school,social_profiles");
my %types;
$types{"$_->{type}$_->{id}"}++ for @{ $page->{included} };
is(scalar(grep { $_ > 1 } values %types), 0, 'included holds each record once');
is(scalar(grep { /^Campus/ } keys %types), 3, 'three campuses');
cmp_ok(scalar(grep { /^SocialProfile/ } keys %types), '>', 3, 'and what some people have');
my ($with) = grep { $_->{relationships}{primary_campus}{data} } @{ $page->{data} };
is($with->{relationships}{primary_campus}{data}{type}, 'PrimaryCampus', 'alias type in the relationship');
my $campus = $with->{relationships}{primary_campus}{data}{id};
is(scalar(grep { $_->{type} eq 'Campus' && $_->{id} eq $campus } @{ $page->{included} }), 1, 'real type in included');
is($with->{relationships}{school}{data}, undef, 'an empty to-one include');
cmp_ok(scalar(grep { !@{ $_->{relationships}{social_profiles}{data} } } @{ $page->{data} }), '>', 0, 'an empty to-many include');

# Two levels
$page = $sim->list("$people?per_page=30&include=households.people");
my ($living) = grep { @{ $_->{relationships}{households}{data} } > 1 } @{ $page->{data} };
ok($living, 'somebody is in two households');
my %households = map { $_->{id} => $_ } grep { $_->{type} eq 'Household' } @{ $page->{included} };
my @people = map { map { $_->{id} } @{ $households{ $_->{id} }{relationships}{people}{data} } }
  @{ $living->{relationships}{households}{data} };
is_deeply([ map { $_->{id} } @{ $living->{relationships}{people}{data} } ], \@people,
	'the second level shows on the first record, ids concatenated');
ok(exists $living->{relationships}{people}{links}{related} && !defined $living->{relationships}{people}{links}{related},
	'without a link');
cmp_ok(scalar(grep { $_ eq $living->{id} } @people), '>', 1, 'with repetitions');
my %seen;
$seen{"$_->{type}$_->{id}"}++ for @{ $page->{included} };
is(scalar(grep { $_ > 1 } values %seen), 0, 'still each record once');
ok($seen{"Person$living->{id}"}, 'people of the second level are included');
$page = $sim->list("$people?per_page=100&include=field_data.tab");
ok((grep { $_->{type} eq 'Tab' } @{ $page->{included} }), 'two to-ones away');

# On single records and nested lists
my $single = $sim->get("$people/$owner->{id}?include=emails,phone_numbers")->{json};
is(scalar(grep { $_->{type} eq 'Email' } @{ $single->{included} }), 2, 'include on a single record');
my ($household) = $sim->ids('/people/v2/households?per_page=1');
$page = $sim->list("/people/v2/households/$household/household_memberships?include=person,household");
is(scalar(grep { $_->{type} eq 'Household' } @{ $page->{included} }), 1, 'include on a nested list');

# fields
$page = $sim->list("$people?per_page=5&fields[Person]=first_name,mfa_configured");
is(join(',', sort keys %{ $page->{data}[0]{attributes} }), 'first_name,mfa_configured',
	'fields limits the attributes; updated_at vanishes; fields-only ones show');
ok(!exists $page->{data}[0]{relationships}, 'fields limits the relationships');
ok($page->{data}[0]{links}{self}, 'links remain');
$page = $sim->list("$people?per_page=5&fields[Person]=primary_campus");
is(join(',', keys %{ $page->{data}[0]{relationships} }), 'primary_campus', 'a relationship as a field');
$page = $sim->list("$people?per_page=5&fields[Person]=nonsense");
is_deeply($page->{data}[0]{attributes}, {}, 'an unknown field selects nothing');
$page = $sim->list("$people?per_page=5&fields[Person]=");
is_deeply($page->{data}[0]{attributes}, {}, 'an empty list strips everything');
$page = $sim->list("$people?per_page=5&include=emails&fields[Email]=address");
is(join(',', sort keys %{ $page->{included}[0]{attributes} }), 'address', 'fields of an included type');
is(scalar keys %{ $page->{data}[0]{attributes} }, 31, 'and only of that');

# Types without relationships, and recorded JSON types
my $status = $sim->list('/people/v2/marital_statuses')->{data}[0];
ok(!exists $status->{relationships}, 'reference types have no relationships key');
is(join(',', keys %{ $status->{attributes} }), 'value', 'the order key sequence is no attribute');
my $merger = $sim->get('/people/v2/person_mergers?per_page=1');
like($merger->{content}, qr/"person_to_keep_id":\d+,/, 'person_to_keep_id is a number');
like($merger->{content}, qr/"person_to_keep":\{"data":\{"type":"Person","id":"\d+"/, 'and a string in the relationship');
like($sim->get('/people/v2/field_definitions')->{content}, qr/"tab_id":\d+/, 'tab_id is a number');
my $datum = $sim->list('/people/v2/field_data?per_page=1')->{data}[0];
is($datum->{relationships}{customizable}{data}{type}, 'Person', 'polymorphic relationship');
is($sim->stop, 0, 'clean exit');
done_testing();
