
=pod

=head1 NAME

SyncEngineTest::GiantNeighbour - small organisations beside a very large one

=head1 SYNOPSIS

  use SyncEngineTest;
  use SyncEngineTest::GiantNeighbour;

  bears_a_giant(people => 500_000, neighbours => 200, group => 4, interval => 0.4);
  done_testing();

=head1 DESCRIPTION

A test of two sizes: test/t/215_giant_neighbour.pl and test/long/215_giant_neighbour.pl.

=cut

package SyncEngineTest::GiantNeighbour;

use strict;
use warnings FATAL => 'all';

use Exporter qw(import);
use SyncEngineTest;
use SyncEngineTest::Crowd;
use Time::HiRes qw(time sleep);

our @EXPORT = qw(bears_a_giant);

# What all of a giant is, and what changes often.
my @giant_entities =
  qw(Person Email PhoneNumber Address FieldDatum SocialProfile Household BackgroundCheck Note giving.Donation);
my @entities = qw(Person Email Household Campus);

# The API's own limit, and a latency that is good for it.
my ($limit, $period_s, $latency_ms) = (100, 20, 100);

# Of a neighbour: how many there are, and how many change before each sync.
my $neighbour_people = 30;
my $changed = 3;

# How much slower a sync may be beside the giant.
my $most_ratio = 2;

# The part of its budget that the giant must use meanwhile, or it was none.
my $least_used = 0.5;

=pod

=head1 FUNCTIONS

=over

=item bears_a_giant(%size)

Test that small syncs of C<neighbours> organisations, of which a C<group> starts
every C<interval> seconds, are not much slower while an organisation of C<people>
people is read in full than right before and after; and that the giant goes on
meanwhile, and becomes complete.

=back

=cut

sub bears_a_giant
{
	my (%size) = @_;
	my @orgs = map { "org$_" } 1 .. $size{neighbours};
	my @rate = (rate_limit => $limit, rate_period => $period_s, latency => $latency_ms);
	# Two, for the giant's pages shall not hold up the neighbours' in there.
	my $simulator = start_simulator(orgs => $size{neighbours}, people => $neighbour_people, @rate);
	my $large = start_simulator(orgs => 1, people => 1, @rate);
	my $node = new_cluster();

	$large->post('org', org => 'giant', people => $size{people});
	connect_org($node, $large, 'giant');
	make_lists($node, $large);
	is(record_count($node, 'giant', 'Person'), $size{people}, 'the giant is as large as it should be');
	connect_crowd($node, $simulator, @orgs);

	# The first sync has more to do than the next ones.
	latencies($node, $simulator, { group => scalar @orgs }, @orgs);
	my @alone = latencies($node, $simulator, \%size, @orgs);

	my $run = start_sync($node, 'giant', \@giant_entities, mode => 'full');
	has_fetched($node, $run, 'Person', 1000);

	my ($began, $requests) = (time, $large->stats->{requests});
	my @beside = latencies($node, $simulator, \%size, @orgs);
	my $used = ($large->stats->{requests} - $requests) / ((time - $began) * $limit / $period_s);

	is(safe_psql($node, "SELECT status FROM sync_runs WHERE run_id = $run"), 'running', 'the giant is not done yet');
	cmp_ok($used, '>=', $least_used, 'it has used its budget meanwhile');

	# The rest without a limit, for it would take an hour.
	$large->post('rate', limit => 0);
	wait_for(sub { safe_psql($node, "SELECT finished_at IS NOT NULL FROM sync_runs WHERE run_id = $run") eq 't' },
		$size{people} / 200 + 60, 'the giant comes to its end');
	is(safe_psql($node, "SELECT status FROM sync_runs WHERE run_id = $run"), 'succeeded', 'and succeeds');

	# The machine may have become slower or faster meanwhile.
	push @alone, latencies($node, $simulator, \%size, @orgs);

	my $ratio = percentile(95, @beside) / percentile(95, @alone);
	show(
		sprintf('%d small syncs, %d people beside', scalar @beside, $size{people}),
		'alone:  after ' . spread(@alone) . ' s',
		'beside: after ' . spread(@beside) . ' s',
		sprintf('ratio of the 95th percentiles %.2f; the giant used %.0f %% of its budget', $ratio, 100 * $used));
	cmp_ok($ratio, '<=', $most_ratio, "95 % of the small syncs are at most $most_ratio times as slow");

	is_crowd_equal_to_oracle($node, $simulator, \@orgs, $_, "$_: each organisation has what the API has") for @entities;
	is_crowd_equal_to_oracle($node, $large, ['giant'], $_, "the giant: all $_") for @giant_entities;
	none_is_rejected($simulator, 'no request was one too many');
	none_is_rejected($large, "nor was one of the giant's");

	ok($_->stop, 'the simulator stops as it should') for $simulator, $large;
	unlike(server_log($node), qr/TRAP|PANIC|server process .* was terminated by signal/, 'no process has crashed');
	return;
}

# make_lists: the simulator makes records when they are first looked at, and puts
# them in order when a list first is, which here takes it seconds each.
sub make_lists
{
	my ($node, $large) = @_;
	my $names = join ', ', map { "'" . (/\./ ? $_ : "people.$_") . "'" } @giant_entities;

	for (split /\n/, safe_psql($node,
		"SELECT path, keyset_key FROM sync_engine.entity WHERE product || '.' || entity IN ($names)"))
	{
		my ($path, $key) = split /\|/;

		$large->list('giant', "$path?per_page=1" . ($key ? "&order=$key" : ''));
	}
	return;
}

# latencies: something changes in each organisation, and it is synced; how long
# that took, in seconds.
sub latencies
{
	my ($node, $simulator, $size, @orgs) = @_;
	my $list = join ', ', map { "'$_'" } @entities;
	my $session = background_psql($node);
	my $before = $session->query_safe('SELECT coalesce(max(run_id), 0) FROM sync_runs');
	my $next = time;

	$simulator->post('mutate', org => $_, entity => 'Person', op => 'update', count => $changed) for @orgs;
	for (my @left = @orgs; @left > 0;)
	{
		my $group = join ', ', map { "'$_'" } splice @left, 0, $size->{group};
		my $pause = $next - time;

		sleep $pause if $pause > 0;
		$next += $size->{interval} // 0;
		$session->query_safe("SELECT sync_start(o, ARRAY[$list], mode => 'full') FROM unnest(ARRAY[$group]) o");
	}
	$session->quit;

	wait_for(sub { safe_psql($node, "SELECT count(*) FROM sync_runs WHERE run_id > $before AND org <> 'giant' AND finished_at IS NULL") == 0 },
		120, 'all small syncs end');
	is(safe_psql($node, "SELECT status, count(*) FROM sync_runs WHERE run_id > $before AND org <> 'giant' GROUP BY 1"),
		'succeeded|' . @orgs, 'and succeed');
	return split /\n/, safe_psql($node,
		"SELECT extract(epoch FROM finished_at - requested_at) FROM sync_runs WHERE run_id > $before AND org <> 'giant'");
}

1;
