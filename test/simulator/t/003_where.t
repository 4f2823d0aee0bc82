# Conditions and named scopes.
use strict;
use warnings;
use utf8;
use Test::More;
use Simulator;

my $sim = Simulator->new(people => 700, 'rate-limit' => 0);
my $people = '/people/v2/people';

sub total { return $sim->list($_[0] . (index($_[0], '?') < 0 ? '?' : '&') . 'per_page=1')->{meta}{total_count}; }

my @all = $sim->all("$people?per_page=100&order=updated_at");
my @stamps = map { $_->{attributes}{updated_at} } @all;
my ($low, $high) = @stamps[ 200, 400 ];

# Ranges
my @range = $sim->all("$people?per_page=100&order=updated_at&where[updated_at][gte]=$low&where[updated_at][lt]=$high");
is_deeply([ map { $_->{id} } @range ],
	[ map { $_->{id} } grep { $_->{attributes}{updated_at} ge $low && $_->{attributes}{updated_at} lt $high } @all ],
	'gte and lt combine');
is(total("$people?where[updated_at][gte]=$low&where[updated_at][lt]=$high"), scalar @range, 'the same without an order');
is_deeply([ sort { $a <=> $b } map { $_->{id} } @range ],
	[ map { $_->{id} } $sim->all("$people?per_page=100&where[updated_at][gte]=$low&where[updated_at][lt]=$high") ],
	'in id order by default');
is(total("$people?order=-updated_at&where[updated_at][gte]=$low&where[updated_at][lt]=$high"), scalar @range,
	'the same descending');

# The stored fraction is compared, the shown second is truncated
my $one = $all[300];
my $shown = $one->{attributes}{updated_at};
my $stored = $sim->look("record?org=org1&entity=Person&id=$one->{id}")->{updated_at};
isnt($stored, "$shown", 'stored with a fraction');
ok((grep { $_ eq $one->{id} } $sim->ids("$people?per_page=100&order=updated_at&where[updated_at][gt]=$shown")),
	'gt of the shown second still finds the row');
ok(!(grep { $_ eq $one->{id} } $sim->ids("$people?per_page=100&where[updated_at][lte]=$shown&order=-updated_at")),
	'lte of the shown second misses it');
ok(!(grep { $_ eq $one->{id} } $sim->ids("$people?per_page=100&order=updated_at&where[updated_at][gt]=$stored")),
	'gt of the stored stamp does not');

# Date-only values are days in the organisation's time zone
$sim->post('org?org=chicago&people=0&time_zone=America/Chicago');
$sim->post('org?org=chicago&people=5&time_zone=America/Chicago');
my ($id) = $sim->ids($people, 'chicago');
my %at = (before => '2024-05-01T04:59:59Z', first => '2024-05-01T05:00:00Z',
	last => '2024-05-02T04:59:59.999999Z', after => '2024-05-02T05:00:00Z');
my %found;
for my $when (sort keys %at)
{
	$sim->post("mutate?org=chicago&entity=Person&op=touch&id=$id&at=$at{$when}");
	for my $op ('', '[gt]', '[gte]', '[lt]', '[lte]')
	{
		my @ids = $sim->ids("$people?where[updated_at]$op=2024-05-01&where[id]=$id", 'chicago');
		$found{$when}{$op} = scalar grep { $_ eq $id } @ids;
	}
}
is_deeply($found{before}, { '' => 0, '[gt]' => 0, '[gte]' => 0, '[lt]' => 1, '[lte]' => 1 }, 'a second before the local day');
is_deeply($found{first}, { '' => 1, '[gt]' => 0, '[gte]' => 1, '[lt]' => 0, '[lte]' => 1 }, 'its first instant');
is_deeply($found{last}, { '' => 1, '[gt]' => 0, '[gte]' => 1, '[lt]' => 0, '[lte]' => 1 }, 'its last instant');
is_deeply($found{after}, { '' => 0, '[gt]' => 1, '[gte]' => 1, '[lt]' => 0, '[lte]' => 0 }, 'the instant after it');

# Dates
my @born = grep { defined && $_ ge '1990-01-01' && $_ le '1999-12-31' } map { $_->{attributes}{birthdate} } @all;
is(total("$people?where[birthdate][gte]=1990-01-01&where[birthdate][lte]=1999-12-31"), scalar @born, 'ranges of dates');
is(total("$people?where[birthdate]=$born[0]"), scalar(grep { $_ eq $born[0] } @born), 'one date');

# Text
sub count_where { my ($test) = @_; return scalar grep { $test->($_->{attributes}) } @all; }
is(total("$people?where[first_name]=thomas"), count_where(sub { $_[0]{first_name} eq 'Thomas' }), 'text folds case');
is(total("$people?where[last_name]=S%25"), count_where(sub { $_[0]{last_name} =~ /^[sśš]/i }), 'wildcard at the end');
is(total("$people?where[last_name]=%25jones"), count_where(sub { $_[0]{last_name} =~ /jones$/i }), 'wildcard at the start');
is(total("$people?where[last_name]=%25ber%25"), count_where(sub { $_[0]{last_name} =~ /[bB][eéE]r/ || $_[0]{last_name} =~ /[åÅ]?ber/i }), 'both');
is(total("$people?where[child]=true"), count_where(sub { $_[0]{child} }), 'boolean');
is(total("$people?where[grade]=5"), count_where(sub { defined $_[0]{grade} && $_[0]{grade} == 5 }), 'integer');
is(total("$people?where[id]=$all[3]{id}"), 1, 'id');
my ($campus) = $sim->ids('/people/v2/campuses');
is(total("$people?where[primary_campus_id]=$campus"),
	scalar(grep { ($_->{relationships}{primary_campus}{data}{id} // '') eq $campus } @all), 'id of a relationship');

# Ignored and uncoercible
is(total("$people?where[nonsense]=1"), 700, 'unknown key: ignored');
is(total("$people?where[emails][address]=x"), 700, 'documented-looking nonsense: ignored');
is(total('/people/v2/addresses?where[updated_at][gte]=2100-01-01T00:00:00Z'), total('/people/v2/addresses'),
	'addresses do not take updated_at: ignored');
is(total("$people?where[updated_at][gte]=banana"), 0, 'uncoercible stamp: no rows');
is(total("$people?where[grade]=banana"), 0, 'uncoercible number: no rows');
is(total("$people?where[updated_at][gte]=2024-01-01T00:00:00+00:00"), 0, 'an unescaped + is a blank');

# Searches
my ($named) = grep { $_->{attributes}{name} =~ /^Thomas \w+$/ } @all;
my ($given, $family) = split / /, $named->{attributes}{name};
my $search = substr($given, 0, 3) . '%20' . substr($family, 0, 3);
ok((grep { $_ eq $named->{id} } $sim->ids("$people?per_page=100&where[search_name]=$search")), 'search_name: word prefixes');
is(total("$people?where[search_name]=homas"), 0, 'search_name: not the middle of a word');
my ($mail) = @{ $sim->list('/people/v2/emails?per_page=1')->{data} };
ok((grep { $_ eq $mail->{relationships}{person}{data}{id} }
	  $sim->ids("$people?per_page=100&where[search_name_or_email]=$mail->{attributes}{address}")), 'search by address');
my ($phone) = @{ $sim->list('/people/v2/phone_numbers?per_page=1')->{data} };
(my $e164 = $phone->{attributes}{e164}) =~ s/\+/%2B/;
is_deeply([ $sim->ids("$people?where[search_phone_number_e164]=$e164") ],
	[ $phone->{relationships}{person}{data}{id} ], 'search by phone number');

# Named scopes
is(total("$people?filter=organization_admins"), count_where(sub { $_[0]{site_administrator} }), 'organization_admins');
is(total("$people?filter=non_pending,organization_admins"),
	count_where(sub { $_[0]{site_administrator} && $_[0]{status} ne 'pending' }), 'two scopes');
is(total("$people?filter=created_since"), 0, 'created_since: the last day');
is(total("$people?filter=created_since&time=2020-01-01T00:00:00Z"),
	count_where(sub { $_[0]{created_at} ge '2020-01-01T00:00:00Z' }), 'created_since with a time');
is(total('/people/v2/field_definitions'), 9, 'soft-deleted definitions are hidden');
is(total('/people/v2/field_definitions?filter=include_deleted'), 10, 'unless asked for');
is(total("$people"), total("$people?filter=without_deceased"), 'a scope that changes nothing');
is($sim->stop, 0, 'clean exit');
done_testing();
