
=pod

=head1 NAME

SyncEngineTest::FairShare - many organisations that start a sync at once

=head1 SYNOPSIS

  use SyncEngineTest;
  use SyncEngineTest::FairShare;

  shares_fairly(orgs => 1000, people => 200, latency => 100, entities => [...], executions => ['parallel']);
  done_testing();

=head1 DESCRIPTION

A test of two sizes: test/t/210_fair_share.pl and test/long/210_thousand_orgs.pl.

=cut

package SyncEngineTest::FairShare;

use strict;
use warnings FATAL => 'all';

use Exporter qw(import);
use List::Util qw(max uniq);
use SyncEngineTest;
use SyncEngineTest::Crowd;

our @EXPORT = qw(shares_fairly);

my $lanes = 2;

# Requests of a lane that are under way at once: see sync_engine.max_requests.
my $lane_requests = 64;

# Sockets of a lane that are no connection to the API.
my $own_sockets = 4;

# How many fair shares an organisation may wait.
my $patience = 2;

# What a lane may hold: as many jobs as it takes at once with their pages, and
# what every server process has.
my $most_memory_kb = 160 * 1024;

# Pages come in other sizes and numbers all the time, and malloc() rounds up.
my $flat = 1.2;

# What the simulator may need: for itself, for an organisation, and for a person
# with all that belongs to it.
my $simulator_kb = 64 * 1024;
my $simulated_org_kb = 128;
my $simulated_person_kb = 4;

=pod

=head1 FUNCTIONS

=over

=item shares_fairly(%size)

Test that C<orgs> organisations of C<people> people each, which all start a sync
of the C<entities> in one statement, each by one of the C<executions>, come to
their end in turns, on two lanes: all succeed and are complete, none exceeds its
rate limit, none waits much longer than its share for its first job, and the
lanes do not grow.  The API answers after C<latency> ms.

=back

=cut

sub shares_fairly
{
	my (%size) = @_;
	my @orgs = map { "org$_" } 1 .. $size{orgs};
	my $simulator = start_simulator(orgs => $size{orgs}, people => $size{people}, latency => $size{latency});
	my $node = new_cluster(
		conf => {
			'sync_engine.max_workers' => $lanes,
			# Pages of it count as the process's own once it has touched them:
			# with few it soon has touched all.
			shared_buffers => '16MB'
		});

	connect_crowd($node, $simulator, @orgs);
	safe_psql($node, sprintf 'SELECT sync_create_tables(%s)', list_of(@{ $size{entities} }));
	safe_psql($node, sprintf 'SELECT sync_start(org, %s, execution => (%s)[1 + n %% %d])
		FROM unnest(%s) WITH ORDINALITY o(org, n)',
		list_of(@{ $size{entities} }), list_of(@{ $size{executions} }), scalar @{ $size{executions} }, list_of(@orgs));

	my @samples = all_end($node, $size{orgs}, scalar @{ $size{entities} });

	is_crowd_equal_to_oracle($node, $simulator, \@orgs, $_, "$_: each organisation has what the API has")
	  for @{ $size{entities} };
	none_is_rejected($simulator, 'no request was one too many');
	connections_are_kept($simulator);
	simulator_is_bounded($simulator, %size);
	lanes_are_bounded(@samples);
	none_waits_long($node, $simulator, scalar @{ $size{entities} });

	ok($simulator->stop, 'the simulator stops as it should');
	unlike(server_log($node), qr/TRAP|PANIC|server process .* was terminated by signal/, 'no process has crashed');
	return;
}

# list_of: an array of texts in SQL.
sub list_of
{
	return 'ARRAY[' . join(', ', map { "'$_'" } @_) . ']';
}

# all_end: every run succeeds, with so many jobs; what was seen of the lanes.
sub all_end
{
	my ($node, $runs, $jobs_each) = @_;
	my $jobs = $runs * $jobs_each;
	my @samples = watch_lanes(
		$node,
		sub {
			my ($left, $ended) = split /\|/, safe_psql($node,
				'SELECT (SELECT count(*) FROM sync_runs WHERE finished_at IS NULL),
					(SELECT count(*) FROM sync_jobs WHERE finished_at IS NOT NULL)');

			return $left == 0 ? 1 : ($ended - 1) / $jobs;
		},
		60 + $jobs / 10,
		'all runs end');

	is(safe_psql($node, 'SELECT status, count(*) FROM sync_runs GROUP BY status'), "succeeded|$runs", 'every run succeeds');
	is(safe_psql($node, 'SELECT status, count(*) FROM sync_jobs GROUP BY status'),
		"succeeded|$jobs", "with $jobs_each jobs each");
	return @samples;
}

sub connections_are_kept
{
	my ($simulator) = @_;
	my $stats = $simulator->stats;

	note("$stats->{requests} requests, $stats->{most_concurrent} at once, over $stats->{connections_opened} connections");
	cmp_ok($stats->{most_concurrent}, '<=', $lane_requests * $lanes, 'no more requests were under way than lanes may have');
	# some for the control plane
	cmp_ok($stats->{connections_opened}, '<=', ($lane_requests + 2) * $lanes, 'connections were kept');
	return;
}

sub simulator_is_bounded
{
	my ($simulator, %size) = @_;
	my ($memory) = memory_of($simulator->pid);

	note("the simulator holds $memory kB");
	cmp_ok($memory, '<=',
		$simulator_kb + $size{orgs} * ($simulated_org_kb + $size{people} * $simulated_person_kb),
		'the simulator holds no more than the test can bear');
	return;
}

sub lanes_are_bounded
{
	my @samples = @_;

	is(max(map { $_->{lanes} } @samples), $lanes, 'never more lanes than allowed, and all of these');
	cmp_ok(max(map { $_->{sockets} } @samples), '<=', $lane_requests + $own_sockets, 'a lane has a connection for each request');

	for my $pid (uniq map { $_->{pid} } @samples)
	{
		my @of_lane = grep { $_->{pid} == $pid } @samples;
		my @thirds = map { my $third = $_; [ grep { $_->{done} > ($third - 1) / 3 && $_->{done} <= $third / 3 } @of_lane ] } 1 .. 3;

		cmp_ok(max(0, map { $_->{memory} } grep { $_->{done} >= 0.1 } @of_lane), '<=', $most_memory_kb, "lane $pid: memory is bounded");
		for my $what (qw(memory own files))
		{
			my @most = map { max(0, map { $_->{$what} } @$_) } @thirds;

			note("lane $pid: $what of $most[0], $most[1], $most[2] at the most in the thirds of the work");
			cmp_ok($most[2], '<=', $flat * max(@most[ 0, 1 ]), "lane $pid: $what does not grow");
		}
	}
	return;
}

# none_waits_long: with J jobs each, served in turns, an organisation has its
# first job begun within the J-th part of the time that all of it takes; and
# its first request on the way.
sub none_waits_long
{
	my ($node, $simulator, $jobs_each) = @_;
	my $total = safe_psql($node, 'SELECT extract(epoch FROM max(finished_at) - min(requested_at)) FROM sync_runs');
	my $share = $total / $jobs_each;
	my %run = map { my ($org, @run) = split /\|/; $org => \@run } split /\n/,
	  safe_psql($node, 'SELECT org, execution, extract(epoch FROM requested_at) FROM sync_runs');
	my %begun = map { split /\|/ } split /\n/,
	  safe_psql($node, 'SELECT org, extract(epoch FROM min(started_at)) FROM sync_jobs GROUP BY org');
	my %asked = first_arrivals($simulator);

	my @figures = sprintf '%d organisations, %.1f s in all, a fair share is %.2f s', scalar keys %run, $total, $share;

	for ([ 'first job begun' => \%begun ], [ 'first request sent' => \%asked ])
	{
		my ($what, $at) = @$_;
		my %waits;

		push @{ $waits{ $run{$_}[0] } }, $at->{$_} - $run{$_}[1] for keys %run;
		push @figures, "$what, $_: after " . spread(@{ $waits{$_} }) . ' s' for sort keys %waits;
		cmp_ok(max(map { @$_ } values %waits), '<=', $patience * $share, "$what: no organisation waits for more than $patience shares");
	}
	show(@figures);
	return;
}

1;
