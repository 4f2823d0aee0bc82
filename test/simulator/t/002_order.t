# Ordering: ties, nulls, folding, numbers, unknown keys, bulk imports.
use strict;
use warnings;
use utf8;
use Test::More;
use Simulator;

my $sim = Simulator->new(people => 1300, 'rate-limit' => 0);
my $people = '/people/v2/people';

my @default = $sim->ids("$people?per_page=100");
is_deeply(\@default, [ sort { $a <=> $b } @default ], 'default order: numeric id');
ok(length($default[0]) < length($default[-1]), 'the ids have different numbers of digits');
isnt("@default[0..2]", join(' ', $default[0] .. $default[0] + 2), 'ids have gaps');
is_deeply([ $sim->ids("$people?per_page=100&order=nonsense") ], \@default, 'unknown order key: ignored');
is_deeply([ $sim->ids("$people?per_page=100&order=-id") ], \@default, 'id is no order key');

for my $direction ('', '-')
{
	my @rows = $sim->all("$people?per_page=100&order=${direction}grade");
	my @wanted = sort {
		my ($x, $y) = map { $_->{attributes}{grade} } $a, $b;
		my $order = defined $x && defined $y ? $x <=> $y : (defined $x) - (defined $y);
		($direction ? -$order : $order) || $a->{id} <=> $b->{id}
	} @rows;
	is_deeply([ map { $_->{id} } @rows ], [ map { $_->{id} } @wanted ],
		"order=${direction}grade: nulls first ascending, ties by id ascending");
	my %ties;
	$ties{ $_->{attributes}{grade} // 'null' }++ for @rows;
	cmp_ok($ties{null}, '>', 100, 'there are nulls');
}

# Text folds case and accents
sub folded
{
	my ($text) = @_;
	$text = lc $text;
	$text =~ tr/àáâãäåçèéêëìíîïñòóôõöøùúûüýÿżźžśšłńęąćčěďťřůőűğşı/aaaaaaceeeeiiiinoooooouuuuyyzzzsslneaccedtruougsi/;
	return $text;
}
my @names = map { $_->{attributes}{first_name} } $sim->all("$people?per_page=100&order=first_name");
my @latin = grep { /^[\x00-\x{17f}]+$/ } @names;
is_deeply([ map { folded($_) } @latin ], [ sort map { folded($_) } @latin ], 'text order is folded');
my %first = map { $names[$_] => $_ } reverse 0 .. $#names;
cmp_ok($first{'Émile'}, '<', $first{'Grace'}, 'É sorts as E');

# Two keys
my @two = $sim->all("$people?per_page=100&order=-child,last_name");
my $seen_false = 0;
my $bad = 0;
for (@two)
{
	$bad++ if $_->{attributes}{child} && $seen_false;
	$seen_false ||= !$_->{attributes}{child};
}
is($bad, 0, 'two keys: the first one leads');

# Stamps
my @by_stamp = $sim->all("$people?per_page=100&order=updated_at");
my @stamps = map { $_->{attributes}{updated_at} } @by_stamp;
is_deeply(\@stamps, [ sort @stamps ], 'order=updated_at');
my %second;
$second{$_}++ for @stamps;
cmp_ok((sort { $b <=> $a } values %second)[0], '>', 100, 'more than a page shares one second');
my ($crowded) = sort { $second{$b} <=> $second{$a} } keys %second;
my @crowd = grep { $_->{attributes}{updated_at} eq $crowded } @by_stamp;
my @fractions = map { $sim->look("record?org=org1&entity=Person&id=$_->{id}")->{updated_at} } @crowd[ 0 .. 9 ];
is_deeply(\@fractions, [ sort @fractions ], 'within a second the stored fraction decides');
like($fractions[0], qr/\.\d{6}Z$/, 'stamps are stored with fractions');

my @reverse = $sim->ids("$people?per_page=100&order=-updated_at");
is($reverse[0], $by_stamp[-1]{id}, 'descending starts at the end');

# A tie in the stamp itself: records inserted at one instant
my $at = '2025-08-01T00:00:00Z';
my @same = map { @{ $sim->post("mutate?org=org1&entity=Email&op=insert&at=$at") } } 1 .. 3;
is_deeply([ ($sim->ids('/people/v2/emails?per_page=3&order=-updated_at')) ], \@same,
	'equal stamps: id ascending also when descending');
is($sim->stop, 0, 'clean exit');
done_testing();
