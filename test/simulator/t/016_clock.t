# The API's clock is not ours.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use Simulator;

my $sim = Simulator->new(people => 20, 'rate-limit' => 0);
my %month = map { (qw(Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec))[$_] => $_ + 1 } 0 .. 11;

# The Date of a reply, in the form of a stamp.
sub date
{
	my $date = $sim->get('/people/v2/people?per_page=1')->{headers}{date};

	return '' unless $date =~ /^\w{3}, (\d\d) (\w{3}) (\d{4}) (\d\d:\d\d:\d\d) GMT$/;
	return sprintf '%s-%02d-%sT%sZ', $3, $month{$2}, $1, $4;
}

# A real second, in that form.
sub stamp
{
	my ($second) = @_;
	my @time = gmtime $second;

	return sprintf '%04d-%02d-%02dT%02d:%02d:%02dZ', $time[5] + 1900, $time[4] + 1, @time[ 3, 2, 1, 0 ];
}

for my $ahead (0, 7200, -86400, 0)
{
	$sim->post("clock?ahead=$ahead");

	my $before = stamp(time + $ahead);
	my $date = date();
	my ($id) = @{ $sim->post('mutate?org=org1&entity=Person&op=touch') };
	my $person = $sim->get("/people/v2/people/$id")->{json}{data};
	my $after = stamp(time + $ahead);

	ok($before le $date && $date le $after, "$ahead s ahead: a reply says so");
	ok($before le $person->{attributes}{updated_at} && $person->{attributes}{updated_at} le $after, '... and a change');
}
is($sim->stop, 0, 'clean exit');
done_testing();
