# Rate limits: headers, the sliding window, Retry-After, the second tier.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time sleep);
use Simulator;

my $sim = Simulator->new(people => 100, orgs => 2, 'rate-limit' => 10, 'rate-period' => 2);
my $path = '/people/v2/tabs';

sub header { return $_[0]->{headers}{"x-pco-api-request-rate-$_[1]"}; }

# until_free waits until the window has room for a request again.
sub until_free
{
	my ($what, $org) = @_;
	my $deadline = time() + 10;
	while (time() < $deadline)
	{
		sleep(2.05);			# a rejected request counts too: let a period pass
		my $reply = $sim->get($what, $org);
		return $reply if $reply->{status} != 429;
	}
	return;
}

my $reply = $sim->get($path);
is(header($reply, 'limit'), 10, 'limit header');
is(header($reply, 'period'), '2 seconds', 'period header');
is(header($reply, 'count'), 1, 'count header');
$reply = $sim->get($path) for 2 .. 10;
is($reply->{status}, 200, 'the tenth passes');
is(header($reply, 'count'), 10, 'and is counted');
$reply = $sim->get($path);
is($reply->{status}, 429, 'the eleventh does not');
is(header($reply, 'count'), 11, 'the count exceeds the limit');
like($reply->{headers}{'retry-after'}, qr/^[12]$/, 'Retry-After in seconds');
is($reply->{json}{errors}[0]{code}, '429', 'code');
is($reply->{json}{errors}[0]{detail}, 'Rate limit exceeded: 11 of 10 requests per 2 seconds', 'detail');
is($sim->get($path, 'org2')->{status}, 200, 'each token has its own window');
is(header($sim->get('/people/v2/nonsense'), 'count'), 1, 'an unknown route has its own counter');
$reply = $sim->get($path);
is($reply->{status}, 429, 'still too many');
is(header($reply, 'count'), 12, 'rejected requests count as well');

my $stats = $sim->look('stats?org=org1');
is($stats->{rejected_429_self}, 2, 'stats: rejected by the limit');
is($stats->{most_in_window}, 13, 'stats: most in a window');
is($stats->{by_status}{429}, 2, 'stats: by status');
is($stats->{by_path_status}{$path}{200}, 10, 'stats: by path and status');

$sim->post('rate?spelling=number&retry_after=absent');
$reply = $sim->get($path);
is(header($reply, 'period'), '2', 'the other spelling');
ok(!exists $reply->{headers}{'retry-after'}, 'Retry-After absent');
$sim->post('rate?retry_after=garbage');
unlike($sim->get($path)->{headers}{'retry-after'}, qr/^\d/, 'Retry-After garbage');
$reply = until_free($path);
is($reply->{status}, 200, 'the window slides');
is(header($reply, 'count'), 1, 'and forgets');

# Offsets beyond 30,000
$sim->post('rate?limit=100&period=20&deep_limit=3&retry_after=int&spelling=seconds');
my $deep = '/people/v2/emails?offset=30001';
is(header($sim->get($deep), 'limit'), 3, 'deep offsets show the stricter limit');
is(header($sim->get('/people/v2/emails?offset=30000'), 'limit'), 100, '30,000 itself is not deep');
$sim->get($deep) for 1 .. 2;
is($sim->get($deep)->{status}, 429, 'the stricter limit holds');
is($sim->get($path)->{status}, 200, 'others pass meanwhile');

$sim->post('rate?limit=0');
$reply = $sim->get($path);
is(header($reply, 'limit'), 1000000, 'unlimited');
$sim->post('stats/reset');
is($sim->look('stats')->{requests}, 0, 'stats reset');
$sim->get($path) for 1 .. 30;
is($sim->look('stats')->{most_in_window}, 30, 'most_in_window is exact');
is($sim->look('stats')->{rejected_429_self}, 0, 'nothing rejected');
my @log = split /\n/, $sim->look('log?after=0');
like($log[-1], qr{^\d+ \d+ org1 GET $path 200 0$}, 'log line');
my ($last) = split / /, $log[-2];
is(scalar(split /\n/, $sim->look("log?after=$last")), 1, 'log after a number');
is($sim->stop, 0, 'clean exit');
done_testing();
