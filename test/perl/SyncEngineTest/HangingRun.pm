=pod

=head1 NAME

SyncEngineTest::HangingRun - a run whose server does not answer any more

=head1 SYNOPSIS

  use SyncEngineTest;
  use SyncEngineTest::HangingRun;

  my $run = SyncEngineTest::HangingRun->start($node, $sim, 'a test');
  # something that happens to its lane
  $run->goes_on('a test');
  $run->ends_well('a test');

=head1 DESCRIPTION

One page of the organisation's people is in, the next request hangs: the middle
of a run, for as long as a test wants.  Whatever happens to the lane then, the
run must go on by itself, no attempt may be burnt, and nothing may be lost or
doubled.

=cut

package SyncEngineTest::HangingRun;

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;

# Where something must not hang: far more than it takes, far less than for ever.
my $soon_s = 30;

=pod

=head1 METHODS

=over

=item SyncEngineTest::HangingRun->start($node, $simulator, $name, %options)

Test that a run of the organisation's people comes to hang.  Options: C<org>
(org1), C<database> (sync), C<beside> (0: no other organisation's hangs).

=cut

sub start
{
	my ($class, $node, $simulator, $name, %options) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $self = bless { node => $node, simulator => $simulator, org => 'org1', database => 'sync', %options }, $class;

	$simulator->post('fault/clear') unless $self->{beside};
	$simulator->post('fault', path => '/people/v2/people', org => $self->{org}, kind => 'hang', count => 0, skip => 1);
	$self->{id} = $self->value("SELECT sync_start('$self->{org}', ARRAY['Person'], mode => 'full')");
	$self->hangs($name);
	return $self;
}

=pod

=item $run->id, $run->lane, $run->value($sql)

Its number; the process that had it last; what its database says to the SQL.

=cut

sub id   { return $_[0]{id}; }
sub lane { return $_[0]{lane}; }

sub value
{
	my ($self, $sql) = @_;

	return $self->{node}->safe_psql($self->{database}, $sql);
}

=pod

=item $run->moves_to($database)

Where it is from now on.

=cut

sub moves_to
{
	my ($self, $database) = @_;

	$self->{database} = $database;
	return;
}

=pod

=item $run->hangs($name)

Test that it has a page, and a request without an answer; whichever lane that is.

=cut

sub hangs
{
	my ($self, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$self->{lane} = wait_for(
		sub {
			$self->value("SELECT lane_pid FROM sync_progress WHERE run_id = $self->{id} AND fetched > 0 AND in_flight > 0");
		},
		$soon_s,
		"$name: one page is in, the next request hangs");
	return;
}

=pod

=item $run->stays($name)

Test that it is still in the same lane.

=cut

sub stays
{
	my ($self, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $lane = $self->{lane};

	$self->hangs($name);
	is($self->{lane}, $lane, "$name: its lane was not disturbed");
	return;
}

=pod

=item $run->goes_on($name)

Test that it goes on by itself in another lane, without having failed.

=cut

sub goes_on
{
	my ($self, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$self->{lane} = wait_for(
		sub {
			$self->value("SELECT lane_pid FROM sync_progress
				WHERE run_id = $self->{id} AND in_flight > 0 AND lane_pid <> $self->{lane}");
		},
		$soon_s,
		"$name: the run goes on by itself");
	$self->has_not_failed($name);
	return;
}

=pod

=item $run->has_not_failed($name)

Test that nothing counts as an attempt of its job.

=cut

sub has_not_failed
{
	my ($self, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is( $self->value(
			"SELECT sum(attempts), (SELECT count(*) FROM sync_activities
				WHERE run_id = $self->{id} AND status IN ('retrying', 'failed')) FROM sync_jobs WHERE run_id = $self->{id}"),
		'0|0',
		"$name: that was no attempt");
	return;
}

=pod

=item $run->ends_well($name)

Let the server answer, and test that the run ends by itself, with each record
once, and all of them.

=cut

sub ends_well
{
	my ($self, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($people) = split / /, $self->{simulator}->get('oracle/digest', org => $self->{org}, entity => 'Person');

	$self->{simulator}->post('fault/clear');
	wait_for(sub { $self->value("SELECT status FROM sync_runs WHERE run_id = $self->{id}") eq 'succeeded' },
		$soon_s, "$name: the run ends well by itself");
	is($self->value("SELECT fetched, inserted + updated + unchanged, dead_lettered FROM sync_jobs WHERE run_id = $self->{id}"),
		"$people|$people|0", "$name: each record was counted once");
	is_equal_to_oracle($self->{node}, $self->{simulator}, $self->{org}, 'Person', "$name: Person is complete",
		database => $self->{database});
	$self->has_not_failed($name);
	return;
}

=pod

=back

=cut

1;
