# What the queue costs: enqueueing, planning, claiming; with a thousand jobs
# queued, with a hundred thousand, and while a snapshot is held that keeps the
# dead versions of their rows.  Ratios within one run: the machine's own speed
# cancels out.
#
# BENCH_JOBS changes the hundred thousand.  BENCH_SECONDS=600 holds the snapshot
# for ten real minutes; otherwise it is held for as many jobs as BENCH_CHURN says.

use strict;
use warnings FATAL => 'all';

use List::Util qw(max sum0);
use SyncEngineTest;
use SyncEngineTest::Crowd;
use Time::HiRes qw(time sleep);

my $deep = $ENV{BENCH_JOBS} // 100_000;
my $hold_s = $ENV{BENCH_SECONDS};

# A thousand organisations that sync ten entities every hour have 1,700 jobs in
# ten minutes.
my $churn = $ENV{BENCH_CHURN} // 5_000;

# Ten lists that no other brings along and that wait for no other: each is a job
# that can be claimed at once, and ends with its first page.
my @entities = qw(Person Household Campus Tab MessageGroup NoteCategory App Report Grade List);
my $ten = 'ARRAY[' . join(', ', map { "'$_'" } @entities) . ']';
my $all = q{ARRAY['*']};

# Of the queue beside it, and how many jobs each measurement lasts.
my $shallow = 1_000;
my $measured = 1_000;

# What two lanes take at once is not queued any more.
my $places = 1024;

# What must hold: claiming costs at most so many times as much.
my $most_ratio = 2;

# What must hold: so long at the most a lane does nothing but plan.
my $longest_ms = 1_000;

# Organisations of ours share these tokens, for rate limits are no matter here.
my $tokens = 50;

my $simulator = start_simulator(orgs => $tokens, people => 5, rate_limit => 0);
my $node = new_cluster(
	conf => {
		shared_preload_libraries => 'sync_engine, pg_stat_statements',
		'pg_stat_statements.track' => 'all',
		# The one that plans is the one that reads.
		'sync_engine.max_workers' => 1,
		# The queue is measured, not the disk.
		max_wal_size => '8GB',
		shared_buffers => '512MB',
	});
my @table;

sub query
{
	return safe_psql($node, $_[0]);
}

# connect_more: so many more organisations; returns the number of the first.
my $connected = 0;

sub connect_more
{
	my ($n) = @_;
	my $first = $connected + 1;

	$connected += $n;
	query("SELECT count(sync_connect('bench' || n, 'org' || 1 + n % $tokens || '-client',
			'org' || 1 + n % $tokens || '-secret', base_url => '" . $simulator->url . "'))
		FROM generate_series($first, $connected) n");
	return $first;
}

query('CREATE EXTENSION pg_stat_statements');
query("SELECT sync_create_tables($ten)");
connect_more(1_000);
is(query("SELECT DISTINCT status FROM sync_run('bench1', $ten)"), 'succeeded', 'a sync');

# ---- Enqueueing ------------------------------------------------------------

# start_all: a statement that starts a sync of so many organisations.
sub start_all
{
	my ($first, $n, $list) = @_;

	return sprintf q{SELECT count(sync_start('bench' || n, %s)) FROM generate_series(%d, %d) n}, $list, $first, $first + $n - 1;
}

for ([ 'ten entities' => $ten ], [ 'all entities' => $all ])
{
	my ($what, $list) = @$_;
	my $session = background_psql($node);
	my $calls = 1_000;

	# What is prepared at the first call is not what is measured.
	$session->query_safe('BEGIN');
	$session->query_safe(start_all(1, 1, $list));
	my $began = time;
	$session->query_safe(start_all(1, $calls, $list));
	push @table, sprintf '%-50s %8.3f', "sync_start, $what: ms per call", (time - $began) * 1000 / $calls;
	$session->query_safe('ROLLBACK');
	$session->quit;
}

# ---- Planning --------------------------------------------------------------

# An organisation whose requests leave at regular intervals, unless its lane does
# something else.
my $pulse = start_simulator(people => 1, rate_limit => 40, rate_period => 2);
$pulse->post('org', org => 'pulse', people => 150_000);
connect_org($node, $pulse, 'pulse');
$pulse->list('pulse', '/people/v2/people?per_page=1&order=updated_at');
my $pulse_run = start_sync($node, 'pulse', ['Person']);
has_fetched($node, $pulse_run, 'Person', 2_000);

# longest_pause: between two requests of that organisation, in ms, from a time on.
sub longest_pause
{
	my ($from) = @_;
	my @arrived = sort { $a <=> $b } grep { $_ >= $from } map { (split / /)[1] / 1e6 } split /\n/, $pulse->get('log');

	return 1000 * max(map { $arrived[$_] - $arrived[ $_ - 1 ] } 1 .. $#arrived);
}

# planning_rests: all runs are planned, or as many as lanes want to have planned:
# none is for ten seconds.
sub planning_rests
{
	my ($name, $timeout) = @_;
	my ($left, $since) = (-1, time);

	return wait_for(
		sub {
			my $now = query(q{SELECT count(*) FROM sync_runs WHERE status = 'queued'});

			($left, $since) = ($now, time) if $now != $left;
			return $left == 0 || time - $since > 10;
		},
		$timeout,
		$name);
}

# cancel_all: but the pulse.
sub cancel_all
{
	query(q{SELECT count(sync_cancel(run_id)) FROM sync_runs WHERE finished_at IS NULL AND org <> 'pulse'});
	return wait_for(sub { query(q{SELECT count(*) FROM sync_runs WHERE finished_at IS NULL AND org <> 'pulse'}) == 0 },
		600, 'all are cancelled');
}

my $calm = longest_pause(time - 1);
push @table, sprintf '%-50s %8.0f', 'longest pause of a lane, while it reads: ms', $calm;

for ([ 'ten entities', $ten, 1_000 ], [ 'all entities', $all, 20 ])
{
	my ($what, $list, $runs) = @$_;
	my $before = query('SELECT max(run_id) FROM sync_runs');
	my $began = time;

	query(start_all(1, $runs, $list));
	planning_rests("$runs runs of $what are planned", 600);

	my $pause = longest_pause($began);
	my @times = split /\n/, query("SELECT extract(epoch FROM started_at) FROM sync_runs WHERE run_id > $before ORDER BY started_at");
	my @apart = map { 1000 * ($times[$_] - $times[ $_ - 1 ]) } 1 .. $#times;

	push @table,
	  sprintf('%-50s %8.2f', "planning, $what: ms per run", percentile(50, @apart)),
	  sprintf('%-50s %8.0f', "longest pause of a lane, $runs such runs: ms", $pause);
	cmp_ok($pause, '<=', $longest_ms, "$what: $runs runs do not stop a lane");
	cancel_all();
}
query("SELECT sync_cancel($pulse_run)");
is(query("SELECT sync_wait($pulse_run)"), 'cancelled', 'the pulse is cancelled');
ok($pulse->stop, 'its simulator stops as it should');

# ---- Claiming --------------------------------------------------------------

query($_) for 'ALTER SYSTEM SET sync_engine.max_workers = 2', 'SELECT pg_reload_conf()';

# Of what lanes say, this claims: it looks at the head of the queue, at what else there
# is for the jobs there, and writes a lane into them.
my $claims = qr/UPDATE sync_engine\.job\b.*\blane = \$\d| AS stretch\(| AS u\(job_id, n\)/s;

# work_off: until so many jobs have ended, each with one request.
sub work_off
{
	my ($jobs) = @_;
	my $end = $simulator->stats->{requests} + $jobs;

	return wait_for(sub { $simulator->stats->{requests} >= $end }, 60 + $jobs / 2, "$jobs jobs are worked off");
}

# measure: what the lanes' statements cost while they work off some jobs.
sub measure
{
	my ($name) = @_;
	my $queued = query(q{SELECT (SELECT count(*) FROM sync_engine.job WHERE status = 'queued')
		+ 10 * (SELECT count(*) FROM sync_engine.run WHERE status = 'queued')});

	query('SELECT pg_stat_statements_reset()');
	my $began = time;
	work_off($measured);
	my $seconds = time - $began;
	my @statements = map { my ($calls, $ms, $sql) = split /\|/, $_, 3; { calls => $calls, ms => $ms, sql => $sql } } split /\n/,
	  query(q{SELECT calls, total_exec_time, regexp_replace(query, '\s+', ' ', 'g') FROM pg_stat_statements
			WHERE query LIKE '%sync_engine.%' AND query NOT LIKE '%pg_stat_statements%' ORDER BY total_exec_time DESC});
	my @claims = grep { $_->{sql} =~ $claims } @statements;
	my %result = (
		name    => $name,
		queued  => $queued,
		rate    => $measured / $seconds,
		claim   => sum0(map { $_->{ms} } @claims) / max(1, map { $_->{calls} } @claims),
		claims  => sum0(map { $_->{ms} } @claims) / $measured,
		all     => sum0(map { $_->{ms} } @statements) / $measured,
		dearest => [ @statements > 5 ? @statements[ 0 .. 4 ] : @statements ]);

	ok(@claims > 0, "$name: lanes have claimed");
	return \%result;
}

# enqueue: so many jobs of new organisations.
sub enqueue
{
	my ($jobs) = @_;
	my $n = int($jobs / @entities);

	return query(start_all(connect_more($n), $n, $ten));
}

# fill: enqueue, and wait until they are planned; meanwhile few are worked off.
sub fill
{
	my ($jobs) = @_;

	$simulator->post('latency', ms => 20_000);
	enqueue($jobs);
	planning_rests("$jobs jobs are planned", 3600);
	query('VACUUM ANALYZE');
	$simulator->post('latency', ms => 0);
	return work_off($places);
}

my @phases;

fill($shallow + $measured / 2 + 2 * $places);
push @phases, measure('shallow');
cancel_all();

fill($deep + $measured / 2 + 2 * $places);
push @phases, measure('deep');
cmp_ok($phases[1]{queued}, '>=', 0.9 * $deep, 'the queue is as deep as it should be');

my $holder = background_psql($node);
$holder->set_query_timer_restart;    # it is idle for longer than a query may take
$holder->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM sync_orgs');
my ($began, $worked) = (time, 0);
while (defined $hold_s ? time - $began < $hold_s : $worked < $churn)
{
	enqueue($measured);
	work_off($measured);
	$worked += $measured;
}
push @phases, measure('held');
$holder->query_safe('COMMIT');
$holder->quit;

push @table, sprintf('%-50s %8s %8s %8s', '', 'shallow', 'deep', 'held'),
  sprintf('%-50s %8d %8d %8d', 'jobs queued', map { $_->{queued} } @phases),
  sprintf('%-50s %26d', 'jobs worked off while the snapshot was held', $worked);
for ([ 'claiming: ms per call', 'claim' ], [ 'claiming: ms per job', 'claims' ], [ 'all statements: ms per job', 'all' ],
	[ 'jobs per second', 'rate' ])
{
	my ($what, $value) = @$_;

	push @table, sprintf '%-50s %8.3f %8.3f %8.3f', $what, map { $_->{$value} } @phases;
}
for my $phase (@phases)
{
	push @table, "$phase->{name}: the dearest statements";
	push @table, sprintf('%8.0f ms %6d calls %s', @$_{qw(ms calls)}, substr $_->{sql}, 0, 90) for @{ $phase->{dearest} };
}
show(@table);

for my $phase (@phases[ 1, 2 ])
{
	cmp_ok($phase->{$_}, '<=', $most_ratio * $phases[0]{$_}, "$phase->{name}: $_ is at most $most_ratio times as dear")
	  for qw(claim claims all);
}
ok($simulator->stop, 'the simulator stops as it should');
unlike(server_log($node), qr/TRAP|PANIC|server process .* was terminated by signal/, 'no process has crashed');

done_testing();
