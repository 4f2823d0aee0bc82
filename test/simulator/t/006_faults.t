# Failures on demand.
use strict;
use warnings;
use Test::More;
use IO::Socket::INET;
use Time::HiRes qw(time);
use Simulator;

my $sim = Simulator->new(people => 60, orgs => 2, 'rate-limit' => 0);
my $path = '/people/v2/people';

sub fault { $sim->post('fault?path=/people/v2&kind=' . join('&', @_)); }

# raw sends a request over a socket and returns all that comes back.
sub raw
{
	my ($what, $seconds) = @_;
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $sim->{port}) or die $!;
	print $socket "GET $what HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: "
	  . Simulator::authorization('org1') . "\r\n\r\n";
	my ($all, $error) = ('', '');
	my $ready = '';
	vec($ready, fileno($socket), 1) = 1;
	while (select(my $can = $ready, undef, undef, $seconds))
	{
		my $got = sysread($socket, my $chunk, 65536);
		$error = $!{ECONNRESET} ? 'reset' : "$!" unless defined $got;
		last unless $got;
		$all .= $chunk;
	}
	return ($all, $error);
}

my %simple = (
	'429' => [ 429, qr/json/ ], '500' => [ 500, qr/json/ ], '502_html' => [ 502, qr/html/ ],
	'503' => [ 503, qr/html/ ], '504' => [ 504, qr/html/ ], '403' => [ 403, qr/json/ ],
	'403_html' => [ 403, qr/html/ ], '400' => [ 400, qr/json/ ], '401' => [ 401, qr/json/ ], '404' => [ 404, qr/json/ ]);
for my $kind (sort keys %simple)
{
	fault($kind, 'count=2');
	my @replies = map { $sim->get($path) } 1 .. 3;
	is(join(',', map { $_->{status} } @replies), "$simple{$kind}[0],$simple{$kind}[0],200", "$kind twice");
	like($replies[0]{headers}{'content-type'}, $simple{$kind}[1], "$kind: content type");
}
fault('429', 'arg=7');
is($sim->get($path)->{headers}{'retry-after'}, 7, '429 with a chosen Retry-After');
fault('429_no_retry_after');
ok(!exists $sim->get($path)->{headers}{'retry-after'}, '429 without Retry-After');
fault('429_garbage');
unlike($sim->get($path)->{headers}{'retry-after'}, qr/^\d/, '429 with a senseless Retry-After');
is($sim->look('stats')->{rejected_429_self}, 0, 'faults are not counted as rejections');

# skip, org, path, clear
fault('500', 'skip=1', 'org=org2');
is($sim->get($path)->{status}, 200, 'another organisation does not meet it');
is(join(',', map { $sim->get($path, 'org2')->{status} } 1 .. 3), '200,500,200', 'skip');
$sim->post('fault?path=/people/v2/emails&kind=500&count=0');
is($sim->get($path)->{status}, 200, 'another path does not meet it');
is($sim->get('/people/v2/emails?offset=2')->{status}, 500, 'count=0: until cleared') for 1 .. 3;
$sim->post('fault/clear');
is($sim->get('/people/v2/emails')->{status}, 200, 'cleared');

$sim->post('fault?path=/people/v2/emails&contains=include&kind=504&count=0');
is(join(',', map { $sim->get("/people/v2/emails?$_")->{status} } 'offset=2', 'per_page=2&include=person'), '200,504',
	'only requests that hold a text');
$sim->post('fault/clear');

# Spoiled bodies
fault('truncated_json');
my $reply = $sim->get($path);
is($reply->{status}, 200, 'truncated_json: 200');
ok(!defined $reply->{json}, 'truncated_json: no JSON');
fault('empty_200');
is($sim->get($path)->{content}, '', 'empty_200');
fault('wrong_content_type');
$reply = $sim->get($path);
is($reply->{headers}{'content-type'}, 'text/plain', 'wrong_content_type');
fault('empty_list');
my $list = $sim->list($path);
is("$list->{meta}{total_count}/" . @{ $list->{data} }, '0/0', 'empty_list');
fault('truncated_list');
$list = $sim->list("$path?per_page=20");
is("$list->{meta}{total_count}/" . @{ $list->{data} }, '60/10', 'truncated_list: half a page of the total');
ok(!exists $list->{links}{next}, 'truncated_list: and no next');
fault('wrong_organization');
isnt($sim->list($path)->{meta}{parent}{id}, '500001', 'wrong_organization');

fault('reset_mid_body');
my ($text, $error) = raw("$path?per_page=60", 5);
my ($length) = $text =~ /Content-Length: (\d+)/;
cmp_ok(length($text), '<', $length, 'reset_mid_body: less than promised');
cmp_ok(length($text), '>', 1000, 'reset_mid_body: but something');
is($error, 'reset', 'reset_mid_body: a reset');

fault('close_connection');
($text, $error) = raw($path, 5);
is($text, '', 'close_connection: no answer');

fault('redirect');
$reply = $sim->get("$path?per_page=1");
is($reply->{status}, 302, 'redirect');
is($reply->{headers}{location}, "$sim->{base}$path?per_page=1", 'to the same place');
fault('redirect', 'arg=https://elsewhere.example.org');
is($sim->get($path)->{headers}{location}, "https://elsewhere.example.org$path", 'to another origin');

fault('slow_body', 'arg=100000');
my $start = time();
$reply = $sim->get("$path?per_page=60");
cmp_ok(time() - $start, '>', 0.8 * length($reply->{content}) / 100000 - 0.1, 'slow_body takes its time');
is(scalar @{ $reply->{json}{data} }, 60, 'slow_body is complete');

# A hanging request does not stop others, and ends when cleared
fault('hang');
my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $sim->{port}) or die $!;
print $socket "GET $path HTTP/1.1\r\nHost: x\r\nAuthorization: " . Simulator::authorization('org1') . "\r\n\r\n";
my $deadline = time() + 10;
until ($sim->look('log?after=0') =~ / 0 0\n\z/ || time() > $deadline) { select(undef, undef, undef, 0.02); }
is($sim->get($path)->{status}, 200, 'others are answered');
my $ready = '';
vec($ready, fileno($socket), 1) = 1;
is(select(my $can = $ready, undef, undef, 0.3), 0, 'hang: nothing comes');
$sim->post('fault/clear');
is(sysread($socket, my $rest, 100), 0, 'hang: closed when cleared');

$sim->post('down?seconds=1');
($text, $error) = raw($path, 5);
is($text, '', 'down: no answer');
$deadline = time() + 10;
do { ($text) = raw($path, 5) } until ($text ne '' || time() > $deadline);
like($text, qr/^HTTP\/1.1 200/, 'down: comes back');
is($sim->stop, 0, 'clean exit');
done_testing();
