
=pod

=head1 NAME

SyncEngineTest::HistoryDeeds - what a random history does to the truth, the API and the copy

=head1 DESCRIPTION

Methods of L<SyncEngineTest::History>: a C<do_> for each kind of step, but for runs.

=cut

package SyncEngineTest::HistoryDeeds;

use strict;
use warnings FATAL => 'all';

use POSIX ();
use SyncEngineTest;
use SyncEngineTest::HistorySteps;
use Time::HiRes qw(time);

my @entities = sort keys %list_of;

# take: a step, and look whether a live row was lost by it.
sub take
{
	my ($self, $step) = @_;
	my $do = "do_$step->{do}";

	$self->tell(step_text($step));
	$self->$do($step);
	$self->nothing_is_lost if $step->{do} =~ /^(?:run|approve|record)$/;
	return;
}

# nothing_is_lost: what the copy has no more, the truth has no more.  While a run
# goes on nothing is brought back, so what is true now was true throughout.
sub nothing_is_lost
{
	my ($self) = @_;
	my $now = $self->live_rows;
	my %lost;

	push @{ $lost{ (split / /)[0] } }, (split / /)[1] for grep { !$now->{$_} } sort keys %{ $self->{live} };
	for my $entity (sort keys %lost)
	{
		my %true = map { $_ => 1 } $self->true_ids($entity);
		my @wrong = grep { $true{$_} } @{ $lost{$entity} };

		die "live rows are lost: $entity @wrong\n" . $self->story_of($entity, $wrong[0]) if @wrong;
	}
	$self->{live} = $now;
	return;
}

# story_of: what the engine knows of a record.
sub story_of
{
	my ($self, $entity, $id) = @_;
	my $table = data_table($entity);

	return $self->sql(qq{SELECT to_jsonb(t) FROM $table t WHERE (org, id) = ('$self->{org}', '$id');
		SELECT to_jsonb(c), to_jsonb(b) FROM sync_engine.delete_candidate c JOIN sync_engine.delete_batch b USING (batch)
		WHERE (b.org, c.record_id) = ('$self->{org}', '$id')});
}

# choose: rows of the truth that were not changed after the time; fewer if there
# are no more.
sub choose
{
	my ($self, $entity, $pick, $count, $at) = @_;
	my $stamped = grep { $_ eq 'updated_at' } @{ $self->{columns}{$entity} };
	my @rows = $self->oracle($entity, 'id', $stamped ? 'updated_at' : ());
	my @some;

	# Stamps never go back.
	@rows = grep { $_->[1] lt $at } @rows if $stamped && defined $at;
	push @some, (splice @rows, $pick % @rows, 1)->[0] while @rows && @some < $count;
	return @some;
}

# api_time: of the API's clock, in the form of stamps in the oracle.
sub api_time
{
	my ($self, $ago) = @_;

	return POSIX::strftime('%Y-%m-%d %H:%M:%S+00', gmtime(time + $self->{clock} - $ago));
}

# change: records of an entity.  The simulator draws them, unless it matters when
# they were changed before.
sub change
{
	my ($self, $step) = @_;
	my %query = (org => $self->{org}, entity => $step->{entity}, op => $step->{do});
	my $ago = $step->{ago} // ($step->{tie} ? 1 : undef);
	my $changed = [];

	$query{stamp} = $step->{stamp} if defined $step->{stamp};
	if (!defined $ago || $step->{do} eq 'insert')
	{
		$query{at} = $self->api_time($ago) =~ s/ /T/r =~ s/\+00$/Z/r if defined $ago;
		$changed = $self->sim('mutate', %query, count => $step->{count}) // [];
	}
	else
	{
		my $at = $self->api_time($ago);

		for my $id ($self->choose($step->{entity}, $step->{pick}, $step->{count}, $at))
		{
			push @$changed, @{ $self->sim('mutate', %query, id => $id, at => $at =~ s/ /T/r =~ s/\+00$/Z/r) // [] };
		}
	}
	$self->add(" -> @$changed");
	return;
}

*do_insert = *do_update = *do_touch = *do_delete = \&change;

sub do_restore
{
	my ($self, $step) = @_;
	my %before = map { $_ => 1 } $self->true_rows;

	$self->add(' -> ' . join ' ', @{ $self->sim('mutate', org => $self->{org}, entity => $step->{entity}, op => 'restore') // [] });
	# Nothing stamps them: a delta cannot see them.
	$self->{unstamped}{$_} = 1 for grep { !$before{$_} } $self->true_rows;
	return;
}

sub do_move
{
	my ($self, $step) = @_;
	my @targets = $self->true_ids($step->{target});

	for my $id ($self->choose($step->{entity}, $step->{pick}, @targets ? $step->{count} : 0))
	{
		my $target = $targets[ $step->{to} % @targets ];

		$self->sim('mutate', org => $self->{org}, entity => $step->{entity}, op => 'update', id => $id,
			attr => $step->{attribute}, value => $target, stamp => $step->{stamp});
		$self->add(" -> $id to $target");
	}
	return;
}

sub do_merge
{
	my ($self, $step) = @_;
	my @people = $self->true_ids('Person');

	return if @people < 2;

	my ($remove) = splice @people, $step->{remove} % @people, 1;
	my $keep = $people[ $step->{keep} % @people ];

	$self->sim('merge', org => $self->{org}, keep => $keep, remove => $remove);
	$self->add(" -> $remove into $keep");
	return;
}

sub do_demote
{
	my ($self, $step) = @_;
	my @primary = map { $_->[0] } grep { $_->[1] eq 't' } $self->oracle('Email', 'id', 'primary');

	return if !@primary;

	my $id = $primary[ $step->{pick} % @primary ];
	$self->sim('demote_email', org => $self->{org}, id => $id);
	$self->add(" -> $id");
	return;
}

# do_pass: time passes, at the API, and since something was deleted here.
sub do_pass
{
	my ($self, $step) = @_;
	my $passed = "interval '$step->{minutes} min'";
	my $of_org = "org = '$self->{org}'";

	$self->sim('clock', ahead => $self->{clock} += 60 * $step->{minutes});
	$self->sql(join '; ',
		"UPDATE sync_engine.delete_batch SET applied_at = applied_at - $passed WHERE $of_org",
		"UPDATE sync_engine.delete_candidate SET changed_at = changed_at - $passed
			WHERE batch IN (SELECT batch FROM sync_engine.delete_batch WHERE $of_org)",
		map { "UPDATE $_ SET _deleted_at = _deleted_at - $passed WHERE $of_org AND _deleted_at IS NOT NULL" }
		  map { data_table($_) } sort keys %list_of);
	return;
}

sub do_fault
{
	my ($self, $step) = @_;
	my %fault = %$step;

	$self->{is_blind} = 1 if $fault{kind} =~ /^(?:stale|empty_list)$/;

	delete $fault{do};
	$fault{arg} = 1 if $fault{kind} eq '429';
	$fault{arg} = $self->{simulator}->url if $fault{kind} eq 'redirect';
	$self->sim('fault', org => $self->{org}, %fault);
	return;
}

sub do_storm
{
	my ($self, $step) = @_;

	$self->sim('while_paging', org => $self->{org}, every => 1, map { $_ => $step->{$_} } qw(entity insert update delete times));
	return;
}

sub do_permission
{
	my ($self, $step) = @_;

	if ($step->{restore})
	{
		$self->sim('permission', org => $self->{org}, allow => $_) for sort keys %{ $self->{forbidden} };
		$self->{forbidden} = {};
		$self->change_rights if delete $self->{is_shrunk};
		$self->sim('permission', org => $self->{org}, visible_percent => 100);
		return;
	}
	if (defined $step->{visible_percent})
	{
		$self->{is_blind} = $self->{is_shrunk} = 1;
		$self->change_rights;
	}
	$self->{forbidden}{ $step->{forbid} } = 1 if defined $step->{forbid};
	$self->sim('permission', org => $self->{org}, map { $_ => $step->{$_} } grep { $_ ne 'do' } keys %$step);
	return;
}

# change_rights: what the token's person may do is other than before, and the API
# says so; what it is allowed to see alone could not be told from deletes.
sub change_rights
{
	my ($self) = @_;
	my $me = eval { $self->{simulator}->list($self->{org}, '/people/v2/me')->{data}{id} };

	$self->sim('mutate', org => $self->{org}, entity => 'Person', op => 'update', id => $me // 0, stamp => 0,
		attr => 'people_permissions', value => 'rights ' . ++$self->{rights});
	return;
}

sub do_ignore
{
	my ($self, $step) = @_;

	$self->sim('ignore', org => $self->{org}, entity => $step->{entity}, key => $step->{key}, on => 1);
	return;
}

sub do_hide_meta
{
	my ($self, $step) = @_;

	$self->sim('hide_meta', org => $self->{org}, entity => $step->{entity}, on => 1);
	return;
}

sub do_disagree
{
	my ($self, $step) = @_;

	$self->sim('disagree', org => $self->{org}, map { $_ => $step->{$_} } qw(entity include kind times));
	return;
}

# do_record: somebody asks for one record.
sub do_record
{
	my ($self, $step) = @_;
	my ($id) = $self->choose($step->{entity}, $step->{pick}, 1);

	return if !defined $id || !$self->has_function('sync_record');
	my $result = eval { $self->sql("SELECT sync_record('$self->{org}', '$step->{entity}', '$id')") };

	# what the API refuses, the caller is told
	die $@ if !defined $result && $@ !~ /ERROR:  the (?:API|token) /;
	$self->add(' -> ' . ($result // 'refused'));
	return;
}

# do_approve: somebody has looked at what is held, and lets it happen.
sub do_approve
{
	my ($self) = @_;

	# Nobody who knows that rights have shrunk approves of what that looks like.
	return if $self->{is_shrunk} || !$self->has_reconcile;
	$self->add(' -> ' . join ' ', split /\n/, $self->sql(
			"SELECT batch, sync_deletes_approve(batch) FROM sync_deletes WHERE org = '$self->{org}' AND status = 'held'"));
	$self->wait_until_idle;
	return;
}

sub has_function
{
	my ($self, $name) = @_;

	return $self->{has}{$name} //= $self->sql("SELECT count(*) FROM pg_proc WHERE proname = '$name'");
}

1;
