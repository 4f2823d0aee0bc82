# The rate limit is a budget: it is used and never exceeded, whatever the
# latency; and while requests are under way no transaction is open.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;

# The API allows 100 requests in 20 seconds; here it is 50 in 5, so that a few
# such periods are soon over.
my $limit = 50;
my $period_s = 5;

# Twenty seconds of work.
my $people = 20_000;

# The part of the budget that must be used while there is work.
my $least_used = 0.90;

# How often lanes are looked at, and how old a transaction of theirs may get.
my $sample_hz = 20;
my $oldest_s = 1;

my @latencies = (5, 500, 2000);

my $node = new_cluster();

sub sql
{
	return $node->safe_psql('sync', $_[0]);
}

# arrivals: when requests of an organisation arrived, in seconds, in order.
sub arrivals
{
	my ($simulator, $org) = @_;

	return sort { $a <=> $b } map { (split / /)[1] / 1e6 }
	  grep { (split / /)[2] eq $org } split /\n/, $simulator->get('log');
}

# used: the part of the budget that was used in the steady part of a run: from
# when the engine has found out in some round trips how many requests must be
# under way, until the last page is asked for.
sub used
{
	my ($latency_s, @arrivals) = @_;
	my $from = $arrivals[0] + $period_s + 4 * $latency_s;
	my $to = $arrivals[-1];
	my $steady = grep { $_ >= $from && $_ < $to } @arrivals;

	cmp_ok($to - $from, '>', 2 * $period_s, "$latency_s s: the steady part is long enough");
	return $steady / ($limit * ($to - $from) / $period_s);
}

# sample_lanes: in a session of its own, look at the lanes while the condition
# holds.  Every look is a row of the table samples.
sub sample_lanes
{
	my ($condition) = @_;
	my $session = background_psql($node);

	$session->query_safe(q{CREATE UNLOGGED TABLE samples AS
		SELECT 0 AS look, clock_timestamp() AS at, pid, state, wait_event_type, xact_start, backend_xmin
		FROM pg_stat_activity LIMIT 0});
	$session->query_until(qr/looking/, qq{\\echo looking
		DO \$\$
		DECLARE look int := 0;
		BEGIN
			WHILE $condition LOOP
				PERFORM pg_stat_clear_snapshot();
				INSERT INTO samples
				SELECT look, clock_timestamp(), pid, state, wait_event_type, xact_start, backend_xmin
				FROM pg_stat_activity WHERE backend_type = 'sync_engine lane';
				look := look + 1;
				PERFORM pg_sleep(0.5 / $sample_hz);
			END LOOP;
		END \$\$;
	});
	return $session;
}

# ---- three servers at once, from fast to slow ----------------------------

my (%simulators, %runs);

for my $ms (@latencies)
{
	my $org = "latency$ms";

	$simulators{$ms} = start_simulator(rate_limit => $limit, rate_period => $period_s, latency => $ms);
	$simulators{$ms}->post('org', org => $org, people => $people);
	connect_org($node, $simulators{$ms}, $org);
}
$runs{$_} = sql("SELECT sync_start('latency$_', ARRAY['Person'], 'full')") for @latencies;

my $sampler = sample_lanes(sprintf 'EXISTS (SELECT FROM sync_engine.run WHERE run_id IN (%s) AND finished_at IS NULL)',
	join ',', values %runs);

for my $ms (@latencies)
{
	is(sql("SELECT sync_wait($runs{$ms}, '100s')"), 'succeeded', "$ms ms: the run succeeds");
}
$sampler->query_safe('SELECT 1');
$sampler->quit;

for my $ms (@latencies)
{
	my $stats = $simulators{$ms}->stats(org => "latency$ms");
	my $used = used($ms / 1000, arrivals($simulators{$ms}, "latency$ms"));

	cmp_ok($used, '>=', $least_used, "$ms ms: the budget is used");
	cmp_ok($stats->{most_in_window}, '<=', $limit, "$ms ms: no period has more requests than the limit");
	is($stats->{rejected_429_self}, 0, "$ms ms: no request was one too many");
	note(sprintf '%d ms: %.1f %% used, %d at most in a period', $ms, 100 * $used, $stats->{most_in_window});
}

# ---- transactions meanwhile ----------------------------------------------

my ($looks, $seconds) = split /\|/, sql(q{SELECT max(look), extract(epoch FROM max(at) - min(at)) FROM samples});

cmp_ok($looks / $seconds, '>=', $sample_hz, 'the lanes were looked at often');
cmp_ok(sql(q{SELECT coalesce(max(extract(epoch FROM at - xact_start)), 0) FROM samples}), '<', $oldest_s, 'no transaction of a lane gets old');
is(sql(q{SELECT count(*) > 100 FROM samples WHERE wait_event_type = 'Extension'}), 't', 'the lanes mostly wait for the API');

# State and wait are not read at the same instant, so that one look can see a
# transaction that began just then.  Two cannot see the same one.
is( sql(q{SELECT count(*) FROM samples a JOIN samples b USING (pid, xact_start)
		WHERE b.look = a.look + 1 AND a.wait_event_type = 'Extension' AND b.wait_event_type = 'Extension'}),
	'0',
	'and have no transaction open then');

# ---- a server that does not answer ---------------------------------------

my $simulator = $simulators{5};

$simulator->post('fault', path => '/people/v2/emails', kind => 'hang', count => 0);
my $run = sql(q{SELECT sync_start('latency5', ARRAY['Email'], 'full')});
wait_for(
	sub {
		sql("SELECT in_flight FROM sync_progress p JOIN pg_stat_activity a ON a.pid = lane_pid
			WHERE run_id = $run AND state = 'idle' AND wait_event_type = 'Extension'") eq '1';
	},
	30,
	'a request hangs');

sql('DROP TABLE samples');
$sampler = sample_lanes('look < 20');
$sampler->query_safe('SELECT 1');
$sampler->quit;
is( sql(q{SELECT count(*), bool_and(state = 'idle' AND wait_event_type = 'Extension' AND xact_start IS NULL AND backend_xmin IS NULL) FROM samples}),
	'20|t',
	'meanwhile the lane is idle, without a transaction or a snapshot');
is( sql(q{SELECT string_agg(concat_ws(' ', locktype, mode, granted), ', ') FROM pg_locks
		WHERE pid IN (SELECT lane_pid FROM sync_progress)}),
	'advisory ExclusiveLock t',
	'and without a lock but the one that marks it alive');
is(sql("SELECT in_flight FROM sync_progress WHERE run_id = $run"), '1', 'the request still hangs');
is(sql("SELECT sync_cancel($run)"), 't', 'the run can be cancelled');
is(sql("SELECT sync_wait($run, '10s')"), 'cancelled', 'and is, without an answer');
$simulator->post('fault/clear');

unlike(server_log($node), qr/WARNING|ERROR|PANIC/, 'the log has no complaint');

done_testing();
