# How long it takes from COMMIT of a sync_start to the first request at the API:
# on an idle cluster, where a lane has to be started first, also when the lane has
# several jobs to begin, and with a lane that is there already.
#
# BENCH_STARTS says how often each is measured.  BENCH_FSYNC=on waits for the disk
# as a production server does.

use strict;
use warnings FATAL => 'all';

# What a test says goes to its log; the table is for the one who waits.
my $terminal;
BEGIN { open $terminal, '>&', \*STDERR or die $!; }

use HTTP::Tiny;
use List::Util qw(min);
use SyncEngineTest;
use Time::HiRes qw(time);

my $starts = $ENV{BENCH_STARTS} // 50;

# What must hold, as the median on an idle cluster.
my $most_ms = 10;

my $patience_s = 30;
my $simulator = start_simulator(people => 20, rate_limit => 0);
my $node = new_cluster(
	conf => {
		autovacuum         => 'off',
		checkpoint_timeout => '1h',
		fsync              => $ENV{BENCH_FSYNC} // 'off',
		wal_level          => 'replica',
	});
my $session = background_psql($node);

# lanes: those at work, as the session sees them.
sub lanes
{
	return $session->query_safe(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'sync_engine lane'});
}

# first_request_after: when the first request arrived that is not in the log up to
# that number, in seconds; waits for one.  The log is in the order of the replies.
sub first_request_after
{
	my ($sequence) = @_;
	my @arrivals;

	wait_for(
		sub { @arrivals = map { (split / /)[1] } split /\n/, $simulator->get('log', after => $sequence) },
		$patience_s,
		'the request arrives');
	return min(@arrivals) / 1e6;
}

my @small = ('Campus');
my @several = qw(Campus Household MaritalStatus NamePrefix NameSuffix Person PersonMerger Tab);

# measure: milliseconds from just before the COMMIT to the first request.  The
# statement, its own transaction, tells the time when the run is enqueued and
# all that is left is to commit.
sub measure
{
	my (@entities) = @_;
	my $list = join ', ', map { "'$_'" } @entities;
	my $requests = $simulator->stats->{requests};
	my ($run, $committing) = split /\|/, $session->query_safe(
		"SELECT run, extract(epoch FROM clock_timestamp()) FROM sync_start('org1', ARRAY[$list]) run");
	my $ms = 1000 * (first_request_after($requests) - $committing);

	is($session->query_safe("SELECT sync_wait($run, '$patience_s s')"), 'succeeded', 'the run ends well');
	return $ms;
}

sub measure_idle
{
	wait_for(sub { lanes() eq '' }, $patience_s, 'the cluster is idle');
	return measure(@_);
}

sub measure_with_lane
{
	my $lane = lanes();
	my $ms = measure(@small);

	like($lane, qr/^\d+$/, 'a lane was there');
	is(lanes(), $lane, 'and it did the work');
	return $ms;
}

# The simulator tells when a request came by the same clock as the server and
# this program tell the time.
my $before = time;
HTTP::Tiny->new->get($simulator->url . '/people/v2');
my $arrived = first_request_after(0);
my $server_time = $session->query_safe('SELECT extract(epoch FROM clock_timestamp())');
ok($before <= $arrived && $arrived <= $server_time && $server_time <= time, 'all clocks are the same');

# The first sync makes the tables; and a server that has run for a while knows
# them all.
connect_org($node, $simulator, 'org1');
measure(@several);
safe_psql($node, 'VACUUM ANALYZE');

my %ms;
for (1 .. $starts)
{
	push @{ $ms{'idle'} }, measure_idle(@small);
	push @{ $ms{'with a lane'} }, measure_with_lane();
	push @{ $ms{'idle, eight entities'} }, measure_idle(@several);
}

sub median
{
	my @sorted = sort { $a <=> $b } @_;

	return ($sorted[ $#sorted / 2 ] + $sorted[ @sorted / 2 ]) / 2;
}

my @table = (sprintf '%-24s %8s %8s %8s', "ms, of $starts", 'least', 'median', 'most');
for my $case (sort keys %ms)
{
	my @sorted = sort { $a <=> $b } @{ $ms{$case} };
	push @table, sprintf '%-24s %8.1f %8.1f %8.1f', $case, $sorted[0], median(@sorted), $sorted[-1];
}
note(join "\n", '', @table);
print $terminal join("\n", '', @table, '');

cmp_ok(median(@{ $ms{idle} }), '<=', $most_ms, "idle: at most $most_ms ms");
ok($simulator->stop, 'the simulator ends well');

done_testing();
