# One process serves many organisations at once, each within its own budget,
# and does not grow with what it has read.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;
use SyncEngineTest::Crowd;

# ---- Twenty organisations, one lane ---------------------------------------

my $orgs = 20;
my @entities = qw(Person Email Household HouseholdMembership);
my $list = join ', ', map { "'$_'" } @entities;

# A small budget in a short time, so that each org spends more than one; not so short
# that a busy machine is mistaken for a throng of requests (a fiftieth of it is the margin).
my $limit = 40;

my $simulator = start_simulator(people => 150, orgs => $orgs, rate_limit => $limit, rate_period => 10);
my $node = new_cluster(
	conf => {
		'sync_engine.max_workers' => 1,
		# Pages of it count as the process's own once it has touched them:
		# with few it soon has touched all.
		shared_buffers => '16MB'
	});

sub value
{
	my ($query) = @_;

	return $node->safe_psql('sync', $query);
}

# wait_sampling: until no run is left; the most lanes, and the most jobs and
# orgs at work at once, that were ever seen meanwhile.
sub wait_sampling
{
	my ($name) = @_;
	my @most = (0, 0, 0);

	wait_for(
		sub {
			my ($left, @now) = split /\|/, value(
				q{SELECT (SELECT count(*) FROM sync_runs WHERE finished_at IS NULL),
					(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'sync_engine lane'),
					count(*), count(DISTINCT org)
				FROM sync_progress});

			@most = map { $now[$_] > $most[$_] ? $now[$_] : $most[$_] } 0 .. $#most;
			return $left == 0;
		},
		120,
		$name);
	return @most;
}

connect_org($node, $simulator, "org$_") for 1 .. $orgs;
value("SELECT sync_start('org' || n, ARRAY[$list], mode => 'full') FROM generate_series(1, $orgs) n");
my ($most_lanes, $most_jobs, $most_orgs) = wait_sampling('all runs end');

is($most_lanes, 1, 'never more than one lane');
cmp_ok($most_orgs, '>=', 10, 'which had many organisations at work at once');
is(value('SELECT status, count(*) FROM sync_jobs GROUP BY status'), 'succeeded|' . $orgs * @entities, 'every job succeeds');

for my $org (map { "org$_" } 1 .. $orgs)
{
	is_equal_to_oracle($node, $simulator, $org, $_, "$org: $_") for @entities;

	my $stats = $simulator->stats(org => $org);
	cmp_ok($stats->{most_in_window}, '<=', $limit, "$org: no window has more requests than the limit");
	is($stats->{rejected_429_self}, 0, "$org: none was rejected for it");
	cmp_ok($stats->{requests}, '>', $limit, "$org: it took more than one of its budgets");
}
ok($simulator->stop, 'the simulator stops as it should');

# ---- More jobs than one lane takes at once --------------------------------

# See MAX_LANE_JOBS.
my $lane_jobs = 512;
my @independent = qw(Person Household Campus Tab MaritalStatus NamePrefix);
my $crowd = int($lane_jobs / @independent) + 2;
my $before;

$list = join ', ', map { "'$_'" } @independent;
# Slow enough that all of them are there before the first has ended.
$simulator = start_simulator(people => 10, orgs => $crowd, rate_limit => 0, latency => 3000);
connect_org($node, $simulator, "org$_") for 1 .. $crowd;

# The third time two lanes are there already: both want to make the tables.
for my $lanes (1, 2, 2)
{
	value($_) for
	  'DROP SCHEMA pco_people, pco CASCADE',
	  "ALTER SYSTEM SET sync_engine.max_workers = $lanes",
	  'SELECT pg_reload_conf()';
	$before = value('SELECT max(run_id) FROM sync_runs');
	value("SELECT sync_start('org' || n, ARRAY[$list], mode => 'full') FROM generate_series(1, $crowd) n");
	($most_lanes, $most_jobs) = wait_sampling("$lanes at the most: all runs end");
	is($most_lanes, $lanes, "$lanes at the most: as many are used");
	cmp_ok($most_jobs, '>=', $lane_jobs, "$lanes at the most: with more than one lane's jobs");
	is(value("SELECT status, count(*) FROM sync_jobs WHERE run_id > $before GROUP BY status"),
		'succeeded|' . $crowd * @independent, "$lanes at the most: every job succeeds");
	is_equal_to_oracle($node, $simulator, "org$crowd", $_, "$lanes at the most: $_") for @independent;
}
value($_) for 'ALTER SYSTEM RESET sync_engine.max_workers', 'SELECT pg_reload_conf()';
wait_for(sub { lane_pids($node) == 0 }, 30, 'lanes leave when there is nothing to do');
ok($simulator->stop, 'the simulator stops as it should');

# ---- Two thousand pages, one size -----------------------------------------

# Each round reads five hundred pages: the first inserts, the later ones find
# some changed and most not.
my $readers = 5;
my $people = 10_000;
my $rounds = 4;
my $changed = 500;

$simulator = start_simulator(people => $people, orgs => $readers, rate_limit => 0);
connect_org($node, $simulator, "org$_") for 1 .. $readers;
$before = value('SELECT max(run_id) FROM sync_runs');

# The table is another simulator's; its rows have no part in this.
value(q{DROP TABLE pco_people.person CASCADE});

my ($lane, @first, @settled, @last);
for my $round (1 .. $rounds)
{
	if ($round > 1)
	{
		$simulator->post('mutate', org => "org$_", entity => 'Person', op => 'update', count => $changed)
		  for 1 .. $readers;
	}
	value("SELECT sync_start('org' || n, ARRAY['Person'], mode => 'full') FROM generate_series(1, $readers) n");
	wait_sampling("round $round ends");
	my ($pid) = lane_pids($node);

	if ($round == 1)
	{
		$lane = $pid;
		@first = memory_of($lane);
		cmp_ok(value("SELECT sum(pages) FROM sync_jobs WHERE run_id > $before"), '>=', 500, 'five hundred pages');
	}
	is($pid, $lane, "round $round: the same lane");
	@last = memory_of($lane);
	@settled = @last if $round == 2;
	note("round $round: VmRSS $last[0] kB, RssAnon $last[1] kB");
}
is_equal_to_oracle($node, $simulator, "org$_", 'Person', "org$_: all records and all changes are in") for 1 .. $readers;
cmp_ok(value("SELECT sum(pages) FROM sync_jobs WHERE run_id > $before"), '>=', 2000, 'two thousand pages');
cmp_ok($last[0], '<', 1.1 * $first[0], 'the lane is no larger than after five hundred');
# Its own part is smaller, so that the largest number of pages ever under way
# at once shows in it; that is reached in the second round.
cmp_ok($last[1], '<', 1.1 * $settled[1], 'nor is what is its own, than after a thousand');

unlike(server_log($node), qr/TRAP|PANIC|server process .* was terminated by signal/, 'no process has crashed');

done_testing();
