
=pod

=head1 NAME

SyncEngineTest::HistoryEnd - what must hold when a random history has come to rest

=head1 DESCRIPTION

Methods of L<SyncEngineTest::History>.

=cut

package SyncEngineTest::HistoryEnd;

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;
use SyncEngineTest::HistorySteps;
use Time::HiRes qw(time usleep);

my @entities = sort keys %list_of;

# Their changes are not stamped: other reads than deltas of their own find them.
my %told_by_parent = map { $_ => 1 } qw(HouseholdMembership FieldOption ServiceTime giving.Designation);

# In people's database terms: the row is there, and not marked as deleted.
my $live = '_deleted_at IS NULL';

# A run that takes this long does not come to its end by itself.
my $patience_s = 60;

# How much of what differs is shown.
my $shown = 10;

# come_to_rest: all is quiet, and the copy is brought up to date once more.
sub come_to_rest
{
	my ($self) = @_;

	$self->tell('rest');
	$self->sim('fault/clear');
	for my $entity (@entities)
	{
		$self->sim('ignore', org => $self->{org}, entity => $entity, key => $_, on => 0) for qw(where order include);
		$self->sim('hide_meta', org => $self->{org}, entity => $entity, on => 0);
		$self->sim('while_paging', org => $self->{org}, entity => $entity, every => 1, times => 0);
		$self->sim('disagree', org => $self->{org}, entity => $entity, include => 'emails', kind => 'missing_included', times => 0);
	}
	$self->do_permission({ restore => 1 });
	$self->reconnect;
	if ($self->{has_delta})
	{
		$self->sync_all('delta');
		$self->changes_are_there;
	}
	# A list may show again what was deleted longer ago than replicas lag.
	$self->do_pass({ minutes => 10 });
	$self->sync_all('full');
	$self->reconcile_all if $self->has_reconcile;
	$self->is_true;
	$self->forget_lost_lanes;
	return;
}

# forget_lost_lanes: a lane that leaves in peace ends the row of those that were
# lost, each of which makes the next one wait longer.
sub forget_lost_lanes
{
	my ($self) = @_;
	my $end = time + $patience_s;

	usleep(50_000) while $self->{lane_was_lost} && time < $end
	  && $self->sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'sync_engine lane'}) ne '0';
	return;
}

# reconcile_all: what is held, people let happen; what needs it is read then.
sub reconcile_all
{
	my ($self) = @_;

	for my $last (0, 0, 1)
	{
		my $run = $self->sync_all('reconcile', $last);

		$self->nothing_is_lost;
		last if $self->sql("SELECT count(*) FROM sync_jobs WHERE run_id = $run AND status <> 'succeeded'") eq '0';
		$self->do_approve;
		$self->nothing_is_lost;
	}
	return;
}

sub has_reconcile
{
	my ($self) = @_;

	return $self->has_function('sync_deletes_approve');
}

# sync_all: a sync that nothing disturbs succeeds, in the end.  Returns the run.
sub sync_all
{
	my ($self, $mode, $last) = @_;
	my $bad = $last // 1 ? "<> 'succeeded'" : "NOT IN ('succeeded', 'held', 'skipped')";

	# Parents that are gone, all of them, and not deleted here yet.
	my $walked = join ', ', map { "'" . s/^\w+\.//r . "'" } sort keys %told_by_parent;
	$bad .= " AND NOT (status = 'partial' AND sqlstate = 'SE404' AND entity IN ($walked))" if $mode eq 'full';
	my $run = $self->start($mode, 'hybrid', @entities);

	$self->wait_until_idle;
	$self->tell("$mode -> " . $self->results_of($run));
	my $problem = $self->sql(qq{SELECT entity, mode, status, sqlstate, error FROM sync_jobs
		WHERE run_id = $run AND status $bad});
	die "the last $mode: $problem" if $problem ne '';
	return $run;
}

# changes_are_there: after a delta each change that the API has stamped is in, but
# for those that it hid when they were made, or told later than replicas may lag.
sub changes_are_there
{
	my ($self) = @_;
	my @problems;

	return if $self->{is_blind};
	for my $entity (grep { !$told_by_parent{$_} } @entities)
	{
		my @columns = grep { /^(?:updated|created)_at$/ } @{ $self->{columns}{$entity} };
		my $list = join ', ', 'id', @columns;
		my $table = data_table($entity);
		my %copy = map { (split /\t/)[0] => $_ } split /\n/,
		  $self->sql("COPY (SELECT $list FROM $table WHERE org = '$self->{org}' AND $live) TO STDOUT");

		for my $row ($self->oracle($entity, 'id', @columns))
		{
			my $true = join "\t", @$row;
			my $stored = $copy{ $row->[0] } // 'not there';

			push @problems, "$entity $row->[0]: $stored, should be $true" if $stored ne $true && !$self->{unstamped}{"$entity $row->[0]"};
		}
	}
	complain('a delta has missed changes', @problems);
	return;
}

# is_true: every table is what the organisation has.  A copy that is not reconciled
# keeps what was deleted.
sub is_true
{
	my ($self) = @_;
	my @problems;

	for my $entity (@entities)
	{
		my $columns = $self->{columns}{$entity};
		my %truth = map { $_->[0] => $_ } $self->oracle($entity, 'id', grep { $_ ne 'id' } @$columns);
		my $list = join ', ', 'id', map { "\"$_\"" } grep { $_ ne 'id' } @$columns;
		my $table = data_table($entity);
		my %copy = map { my @row = split /\t/, $_, -1; $row[0] => \@row } split /\n/,
		  $self->sql("COPY (SELECT $list FROM $table WHERE org = '$self->{org}' AND $live) TO STDOUT");
		my @names = ('id', grep { $_ ne 'id' } @$columns);

		push @problems, map { "$entity $_ is missing" } grep { !$copy{$_} } sort keys %truth;
		for my $id (sort keys %copy)
		{
			if (!$truth{$id})
			{
				push @problems, "$entity $id is too much"
				  if $self->has_reconcile || !$self->{simulator}->get('record', org => $self->{org}, entity => $entity, id => $id)->{deleted};
				next;
			}
			push @problems, map { "$entity $id, $names[$_]: $copy{$id}[$_], should be $truth{$id}[$_]" }
			  grep { $copy{$id}[$_] ne $truth{$id}[$_] } 0 .. $#names;
		}
	}
	complain('the copy is not true', @problems);
	return;
}

# complain: if there are any problems.
sub complain
{
	my ($what, @problems) = @_;
	my $count = @problems or return;

	splice @problems, $shown if @problems > $shown;
	die "$what, $count times:\n", map { "    $_\n" } @problems;
}

1;
