# How fast people come in, beside COPY of the same rows and the bare fetch of
# the same pages; and what a sync costs that finds nothing changed.  Ratios
# within one run: the machine's own speed cancels out.
#
# BENCH_PEOPLE and BENCH_ROUNDS make it shorter or longer.

use strict;
use warnings FATAL => 'all';

# What a test says goes to its log; the table is for the one who waits.
my $terminal;
BEGIN { open $terminal, '>&', \*STDERR or die $!; }

use PostgreSQL::Test::Utils qw(slurp_file);
use POSIX qw(sysconf _SC_CLK_TCK);
use SyncEngineTest;
use Time::HiRes qw(time);

my $people = $ENV{BENCH_PEOPLE} // 100_000;
my $rounds = $ENV{BENCH_ROUNDS} // 5;

# What must hold, as a share of COPY's rows per second.
my $least_of_copy = 0.3;

# As sync_engine.max_requests_per_org has it by default.
my $connections = 32;

my $simulator = start_simulator(people => $people, rate_limit => 0);

# Neither checkpoints nor autovacuum shall fall into one round and not into
# another; WAL is written as a server with standbys does.
my $node = new_cluster(
	conf => {
		autovacuum         => 'off',
		checkpoint_timeout => '1h',
		max_wal_size       => '8GB',
		shared_buffers     => '512MB',
		wal_level          => 'replica',
	});
my $rows_file = $node->basedir . '/rows';
my $urls_file = $node->basedir . '/urls';

# timed: seconds that the sub takes.
sub timed
{
	my ($action) = @_;
	my $start = time;

	$action->();
	return time - $start;
}

sub query
{
	my ($sql) = @_;

	return $node->safe_psql('sync', $sql);
}

# lane_usage: processor seconds and memory, in MB, of the lane that is at work.
sub lane_usage
{
	my ($pid) = lane_pids($node);
	my @stat = split ' ', slurp_file("/proc/$pid/stat") =~ s/.*\) //sr;
	my %status = slurp_file("/proc/$pid/status") =~ /^(\w+):\s+(\d+) kB$/mg;

	return (
		cpu     => ($stat[11] + $stat[12]) / sysconf(_SC_CLK_TCK),
		peak    => $status{VmHWM} / 1024,
		private => $status{RssAnon} / 1024);
}

# sync: one sync of all people; what it counted, and what it cost.
sub sync
{
	my ($counter) = @_;
	my $result;

	# A lane of its own, whose processor time is this sync's.
	wait_for(sub { !lane_pids($node) }, 30, 'no lane is at work');
	my $requests = $simulator->stats->{requests};
	my $wal = query('SELECT pg_current_wal_insert_lsn()');
	my $seconds = timed(
		sub {
			$result = query(
				"SELECT status, fetched, $counter FROM sync_run('org1', ARRAY['Person'], mode => 'full')");
		});
	my %usage = lane_usage();

	is($result, "succeeded|$people|$people", "a sync: all people $counter");
	return {
		%usage,
		rate  => $people / $seconds,
		pages => $simulator->stats->{requests} - $requests,
		wal   => query("SELECT pg_current_wal_insert_lsn() - '$wal'"),
	};
}

sub ingest
{
	query('TRUNCATE pco_people.person; CHECKPOINT');
	return sync('inserted');
}

sub resync
{
	query('CHECKPOINT');
	return sync('unchanged');
}

sub copy
{
	query('TRUNCATE copy_of_person; CHECKPOINT');
	return { rate => $people / timed(sub { query("COPY copy_of_person FROM '$rows_file'") }) };
}

sub fetch
{
	my $seconds = timed(
		sub {
			system('curl', '--silent', '--no-progress-meter', '--fail', '--parallel', '--parallel-max',
				$connections, '--user', 'org1-client:org1-secret', '--config', $urls_file) == 0
			  or die 'curl failed';
		});
	return { rate => $people / $seconds };
}

sub median
{
	my @sorted = sort { $a <=> $b } @_;

	return $sorted[ $#sorted / 2 ];
}

# The first sync makes the table and tells what COPY and curl are to do; with
# it, all files are in the machine's cache.
connect_org($node, $simulator, 'org1');
my $first = sync('inserted');
query("COPY pco_people.person TO '$rows_file'");
query('CREATE TABLE copy_of_person (LIKE pco_people.person INCLUDING ALL)');

my $urls = '';
for my $line (split /\n/, $simulator->get('log'))
{
	my ($path) = $line =~ m{(/people/v2/people\?\S+)} or next;
	$urls .= 'url = "' . $simulator->url . "$path\"\noutput = \"/dev/null\"\n";
}
PostgreSQL::Test::Utils::append_to_file($urls_file, $urls);
is(() = $urls =~ /^url/mg, $first->{pages}, 'curl fetches the pages that the sync did');

my %results;
my %measure = (ingest => \&ingest, copy => \&copy, fetch => \&fetch, resync => \&resync);
for my $round (1 .. $rounds)
{
	push @{ $results{$_} }, $measure{$_}->() for qw(copy fetch ingest resync);
}

# of: the median over the rounds.
sub of
{
	my ($what, $value) = @_;

	return median(map { $_->{$value} } @{ $results{$what} });
}

# ratio: the median over the rounds of what is compared within each.
sub ratio
{
	my ($what, $to) = @_;

	return median(
		map { $results{$what}[$_]{rate} / $results{$to}[$_]{rate} } 0 .. $rounds - 1);
}

my @table = (sprintf '%-24s %10s %8s %8s', "$people people", 'rows/s', 'of COPY', 'of fetch');
push @table, sprintf '%-24s %10.0f %8.2f %8.2f', $_, of($_, 'rate'), ratio($_, 'copy'), ratio($_, 'fetch')
  for qw(copy fetch ingest resync);
push @table, sprintf '%-24s %10s %8s %8s %8s', 'the lane', 'CPU ms per 1,000 rows', 'peak MB', 'private',
  'WAL bytes per page';
push @table, sprintf '%-24s %21.2f %8.0f %8.1f %8.0f', $_, of($_, 'cpu') / $people * 1e6, of($_, 'peak'),
  of($_, 'private'), median(map { $_->{wal} / $_->{pages} } @{ $results{$_} })
  for qw(ingest resync);
note(join "\n", '', @table);
print $terminal join("\n", '', @table, '');

cmp_ok(ratio('ingest', 'copy'), '>=', $least_of_copy, "ingest: at least $least_of_copy of COPY");
ok($simulator->stop, 'the simulator ends well');

done_testing();
