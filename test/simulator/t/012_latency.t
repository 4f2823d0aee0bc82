# Latency holds replies back without holding up others.
use strict;
use warnings;
use Test::More;
use IO::Socket::INET;
use Time::HiRes qw(time);
use Simulator;

my $sim = Simulator->new(people => 50, 'rate-limit' => 0, latency => 400);
my $request = "GET /people/v2/people?per_page=2 HTTP/1.1\r\nHost: x\r\nAuthorization: "
  . Simulator::authorization('org1') . "\r\n\r\n";

my $start = time();
is($sim->get('/people/v2/people')->{status}, 200, 'a held-back reply');
cmp_ok(time() - $start, '>=', 0.4, 'is held back');
$start = time();
$sim->look('health');
cmp_ok(time() - $start, '<', 0.3, 'the control plane is not');

my @sockets = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $sim->{port}) or die $! } 1 .. 200;
$start = time();
print $_ $request for @sockets;
my $answered = 0;
for my $socket (@sockets)
{
	my $text = '';
	sysread($socket, $text, 65536, length $text) or last until $text =~ /\}\}$/;
	$answered++ if $text =~ m{^HTTP/1.1 200};
}
my $took = time() - $start;
is($answered, 200, '200 at once');
cmp_ok($took, '>=', 0.39, 'each held back');
cmp_ok($took, '<', 2, 'but together');
cmp_ok($sim->look('stats')->{most_concurrent}, '>=', 200, 'most_concurrent');
cmp_ok($sim->look('stats')->{connections_opened}, '>=', 200, 'connections_opened');

# The records are those at the time of the reply
print { $sockets[0] } $request;
$sim->post('org?org=org1&people=0');
my $text = '';
sysread($sockets[0], $text, 65536, length $text) or last until $text =~ /\}\}$/;
like($text, qr/"total_count":0,/, 'a reply shows what stands when it is sent');
$sim->post('latency?ms=0');
is($sim->stop, 0, 'clean exit');

# A parent that dies takes the simulator along
pipe(my $read, my $write);
if (fork() == 0)
{
	my $child = Simulator->new(people => 5);
	syswrite($write, "$child->{pid}\n");
	kill 'KILL', $$;
}
my $pid = <$read>;
chomp $pid;
my $deadline = time() + 10;
select(undef, undef, undef, 0.02) while kill(0, $pid) && time() < $deadline;
ok(!kill(0, $pid), '--die-with-parent');
done_testing();
