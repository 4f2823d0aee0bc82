
=pod

=head1 NAME

SyncEngineTest::HistorySteps - what happens in a random history, drawn from a seed

=head1 SYNOPSIS

  my $plan = draw_history(123, qw(auto full));
  print "$plan->{people} people\n", map { step_text($_) . "\n" } @{ $plan->{steps} };

=head1 DESCRIPTION

A step is a hash: C<do> says what, the rest how.  Which records it meets is drawn
here, too, as a number that means the same record whenever the same records are
there.

=cut

package SyncEngineTest::HistorySteps;

use strict;
use warnings FATAL => 'all';

use Exporter qw(import);

our @EXPORT = qw(draw_history step_text %list_of);

# Entities of every strategy, and where their records are listed: what comes with
# its parent, or is walked, at the parent's.
our %list_of = (
	# keyset
	'Person'          => '/people/v2/people',
	'Email'           => '/people/v2/emails',
	'PhoneNumber'     => '/people/v2/phone_numbers',
	'Household'       => '/people/v2/households',
	'Campus'          => '/people/v2/campuses',
	'giving.Donation' => '/giving/v2/donations',
	# descending
	'Address' => '/people/v2/addresses',
	'Note'    => '/people/v2/notes',
	# window
	'calendar.Event' => '/calendar/v2/events',
	'calendar.Tag'   => '/calendar/v2/tags',
	# append log, created tail
	'PersonMerger' => '/people/v2/person_mergers',
	'Message'      => '/people/v2/messages',
	# walk
	'HouseholdMembership' => '/people/v2/households/',
	# include
	'FieldOption'        => '/people/v2/field_definitions',
	'ServiceTime'        => '/people/v2/campuses',
	'giving.Designation' => '/giving/v2/donations',
	# full scan, single
	'MaritalStatus'   => '/people/v2/marital_statuses',
	'FieldDefinition' => '/people/v2/field_definitions',
	'Organization'    => '/people/v2?');

my @entities = sort keys %list_of;

# What people do with these is what a copy is for; the rest lies still mostly.
my @busy = qw(Person Email PhoneNumber Address Household HouseholdMembership Note);

# Which to-one of an entity can lead elsewhere, and to what.
my @moves = (
	[ Email => person => 'Person' ],
	[ PhoneNumber => person => 'Person' ],
	[ Address => person => 'Person' ],
	[ Note => person => 'Person' ],
	[ HouseholdMembership => household => 'Household' ],
	[ Person => primary_campus => 'Campus' ],
	[ ServiceTime => campus => 'Campus' ],
	[ FieldOption => field_definition => 'FieldDefinition' ],
	[ 'giving.Designation' => donation => 'giving.Donation' ]);

# Failures of the API: what can be tried again, and what cannot.
my @passing = qw(500 502_html 503 504 403_html reset_mid_body truncated_json empty_200 wrong_content_type
  close_connection 429 redirect);
my @lying = qw(stale stale stale truncated_list empty_list);
my @final = qw(403 404 400 401 wrong_organization);

# Until the server has asked so many things, a run that is to be disturbed goes on.
my $most_requests = 40;

# Replicas lag by no more than the engine reckons with.
my $lag_s = 290;

=pod

=head1 FUNCTIONS

=over

=item draw_history($seed, @modes)

The history of that seed, in which runs have these modes: a hash of C<people>,
C<behaviour> (of deletes), C<latency> and C<steps>.

=cut

sub draw_history
{
	my ($seed, @modes) = @_;

	srand $seed;
	my %plan = (
		people    => one_of(30, 50, 80, 120, 150, 220, 300),
		behaviour => one_of(qw(soft soft hard archive)),
		latency   => one_of(0, 0, 5, 20));
	# A copy that has begun before all that.
	my @steps = ({ do => 'run', mode => one_of(qw(full auto)), entities => [@entities], execution => 'hybrid' });

	push @steps, draw_steps(@modes) for 1 .. 12 + int rand 14;
	return { %plan, steps => \@steps };
}

=pod

=item step_text($step)

A step for people to read.

=cut

sub step_text
{
	my ($step) = @_;
	my %rest = %$step;
	my $what = delete $rest{do};

	return join ' ', $what, map {
		my $value = $rest{$_};

		"$_=" . (!ref $value ? $value
			: ref $value eq 'HASH' ? '(' . step_text($value) . ')'
			: @$value == @entities ? 'all'
			: join ',', @$value);
	} sort keys %rest;
}

=pod

=back

=cut

sub one_of { return $_[ int rand @_ ]; }

sub one_in { return rand($_[0]) < 1; }

sub pick { return int rand 1_000_000; }

# draw_steps: the next, or some that belong together.
sub draw_steps
{
	my (@modes) = @_;
	my $what = rand 100;

	return draw_change() if $what < 38;
	return draw_run(@modes) if $what < 68;
	return { do => 'pass', minutes => one_of(1, 4, 6, 14, 16, 30, 600) } if $what < 76;
	return draw_fault() if $what < 86;
	return { do => 'storm', entity => one_of(@busy), insert => int rand 3, update => int rand 4, delete => int rand 2, times => 1 + int rand 8 }
	  if $what < 90;
	return draw_permission() if $what < 93;
	return draw_lie() if $what < 96;
	return { do => 'record', entity => one_of(grep { !/Organization|Membership|FieldOption|ServiceTime|Designation/ } @entities), pick => pick() }
	  if $what < 98;
	return { do => 'approve' };
}

# draw_change: somebody changes the truth.
sub draw_change
{
	my $what = rand 100;
	# An organisation neither comes nor goes.
	my $entity = one_in(3) ? one_of(grep { $_ ne 'Organization' } @entities) : one_of(@busy);
	my %some = (entity => $entity, count => one_of(1, 1, 2, 5, 12), pick => pick());

	# A change that a replica tells late, though its stamp is older.
	$some{ago} = int rand $lag_s if one_in(4);

	return { do => 'insert', %some } if $what < 22;
	return { do => 'update', %some } if $what < 40;
	return { do => 'update', %some, stamp => 0 } if $what < 47;
	return { do => 'touch', %some } if $what < 50;
	if ($what < 70)
	{
		# The heir of what goes is stamped, and no stamp goes back.
		delete $some{ago};
		return { do => 'delete', %some, count => one_of(1, 1, 2, 4) };
	}
	return { do => 'restore', entity => $entity } if $what < 78;
	if ($what < 86)
	{
		my ($mover, $attribute, $target) = @{ one_of(@moves) };

		return {
			do => 'move', entity => $mover, attribute => $attribute, target => $target,
			count => one_of(1, 3), pick => pick(), to => pick(), stamp => one_of(0, 1)
		};
	}
	return { do => 'merge', keep => pick(), remove => pick() } if $what < 92;
	return { do => 'demote', pick => pick() } if $what < 95;
	# More than a page within a second, where there are so many.
	return { do => one_of(qw(touch insert)), %some, entity => one_of(qw(Person Email)), count => one_of(30, 99, 130), tie => 1 };
}

# draw_run: somebody syncs, and somebody may come in between.
sub draw_run
{
	my (@modes) = @_;
	my %run = (
		do        => 'run',
		mode      => one_of(@modes),
		entities  => one_in(2) ? [@entities] : [ draw_some(1 + int rand 5, @entities) ],
		execution => one_of(qw(hybrid hybrid parallel sequential)));
	my $meanwhile = rand 100;

	return \%run if $meanwhile < 60;
	$run{after} = 1 + int rand $most_requests;
	$run{meanwhile} =
	    $meanwhile < 74 ? draw_change()
	  : $meanwhile < 86 ? { do => 'end_lane' }
	  : $meanwhile < 89 ? { do => 'kill_lane' }
	  : $meanwhile < 92 ? { do => 'cancel' }
	  : $meanwhile < 95 ? { do => 'pause' }
	  :                   { do => 'another', mode => one_of(@modes), entities => $run{entities} };
	# Those that the deleting of records rests on are not brought back meanwhile:
	# nobody could tell then whether a delete was right.
	delete @run{qw(after meanwhile)} if $run{meanwhile}{do} eq 'restore';
	return \%run;
}

# draw_some: so many of them, in a random order.
sub draw_some
{
	my ($count, @all) = @_;
	my @some;

	push @some, splice @all, int rand @all, 1 while @some < $count;
	return @some;
}

# draw_fault: the API fails some requests to come, of a list or of any.
sub draw_fault
{
	my %fault = (do => 'fault', path => one_in(4) ? '/' : $list_of{ one_of(@entities) });
	my $what = rand 10;

	return { %fault, kind => one_of(@passing), count => 1 + int rand 2, skip => int rand 4 } if $what < 4;
	return { %fault, kind => one_of(@lying), count => 1 + int rand 4, skip => int rand 4 } if $what < 8;
	return { %fault, kind => one_of(@final), count => 1, skip => int rand 10 };
}

# draw_permission: the token may see less, for some time.
sub draw_permission
{
	my $entity = one_of(grep { !/^Organization$/ } @entities);
	my $name = $entity =~ s/.*\.//r;

	return { do => 'permission', visible_percent => one_of(0, 10, 50, 90) } if one_in(2);
	return one_in(2) ? { do => 'permission', forbid => $entity } : { do => 'permission', restore => 1 };
}

# draw_lie: the API does not do as it is told.
sub draw_lie
{
	my $entity = one_of(@entities);

	return { do => 'ignore', entity => $entity, key => one_of(qw(where order include)) } if one_in(2);
	return { do => 'hide_meta', entity => $entity } if one_in(2);
	my ($parent, $include) = @{ one_of([qw(Person emails)], [qw(Person phone_numbers)], [qw(Campus service_times)], [qw(FieldDefinition field_options)]) };
	return { do => 'disagree', entity => $parent, include => $include, kind => one_of(qw(missing_included missing_relationship)), times => 1 + int rand 3 };
}

1;
