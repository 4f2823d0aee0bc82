
=pod

=head1 NAME

SyncEngineTest::History - random histories, which a copy must survive

=head1 SYNOPSIS

  use SyncEngineTest;
  use SyncEngineTest::History;

  are_survived([ 1 .. 500 ], modes => [qw(auto full delta reconcile)], workers => 2);
  done_testing();

=head1 DESCRIPTION

A seed makes a history (L<SyncEngineTest::HistorySteps>): an organisation whose
truth changes in every way, whose API fails, lags and lies, and whose copy is
synced in every mode meanwhile, with lanes that are killed.  Two things must hold:

=over

=item *

Not one live row is deleted: what is gone from the copy after any step is gone
from the truth as well.

=item *

When all is quiet, a full sync and a reconcile make every table equal to the truth.

=back

Each worker is a process with a cluster and a simulator of its own; each history
has an organisation of its own there.

=cut

package SyncEngineTest::History;

use strict;
use warnings FATAL => 'all';

use Exporter qw(import);
use IO::Handle;
use IO::Select;
use IPC::Open2;
use JSON::PP;
use POSIX ();
use PostgreSQL::Test::Utils ();
use SyncEngineTest;
use SyncEngineTest::HistorySteps;
use Time::HiRes qw(time usleep);

our @EXPORT = qw(are_survived);

my @entities = sort keys %list_of;

# Their changes are not stamped: other reads than deltas of their own find them.
my %told_by_parent = map { $_ => 1 } qw(HouseholdMembership FieldOption ServiceTime giving.Designation);

# In people's database terms: the row is there, and not marked as deleted.
my $live = '_deleted_at IS NULL';

# A run that takes this long does not come to its end by itself.
my $patience_s = 60;

# The steps of a history that takes longer are shown.
my $long = 20;

# How much of what differs is shown.
my $shown = 10;

=pod

=head1 FUNCTIONS

=over

=item are_survived(\@seeds, %options)

Test each history.  A failure shows what was wrong, and all steps until then.
Options: C<modes> of runs, C<workers>, C<show> (show the steps in any case).

=cut

sub are_survived
{
	my ($seeds, %options) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @workers = map { start_worker($_, $seeds, %options) } 0 .. $options{workers} - 1;
	my $answers = IO::Select->new(map { $_->{answers} } @workers);
	my %lines = map { $_->{answers} => '' } @workers;
	my $done = 0;

	while (my @ready = $answers->can_read)
	{
		for my $worker (@ready)
		{
			$answers->remove($worker) if !sysread $worker, $lines{$worker}, 65_536, length $lines{$worker};
			$done++, judge(decode_json($1), %options) while $lines{$worker} =~ s/^(.*)\n//;
		}
	}
	is($done, scalar @$seeds, 'all histories came to their end');
	for my $worker (@workers)
	{
		waitpid $worker->{pid}, 0;
		unlike(server_log($worker->{node}), qr/TRAP|PANIC/, 'no process of the cluster crashed by itself');
		ok($worker->{simulator}->stop, 'its simulator is well');
	}
	return;
}

# judge: what a worker says of a history.
sub judge
{
	my ($answer, %options) = @_;
	my ($seed, $seconds, $problem, $steps) = @$answer;
	my $text = join "\n", map { "  $_" } @$steps;
	local $Test::Builder::Level = $Test::Builder::Level + 2;

	ok($problem eq '', sprintf 'seed %d, %.1f s', $seed, $seconds) || diag("SYNC_ENGINE_SEED=$seed: $problem\n$text");
	note($text) if $problem eq '' && ($options{show} || $seconds > $long);
	return;
}

# start_worker: a process that does its share of the seeds, and writes a line for
# each.
sub start_worker
{
	my ($number, $seeds, %options) = @_;
	my @share = grep { defined } map { $seeds->[$_] } grep { $_ % $options{workers} == $number } 0 .. $#$seeds;
	my $node = new_cluster(name => "history$number");
	my $simulator = start_simulator(people => 1, rate_limit => 0);
	my %columns = map { my $entity = $_; $entity => [ map { $_->[0] } compared_columns($node, $simulator, $entity) ] } @entities;

	pipe my $answers, my $write or die "pipe: $!";

	my $pid = fork // die "fork: $!";
	if ($pid == 0)
	{
		# What the helpers say belongs to the history, not to the test.
		my $said = '';
		local $SIG{PIPE} = 'IGNORE';
		Test::More->builder->$_(\$said) for qw(output failure_output todo_output);
		for my $seed (@share)
		{
			my $self = bless { node => $node, simulator => $simulator, columns => \%columns, has_delta => scalar(grep { /delta/ } @{ $options{modes} }), org => "seed$seed", steps => [] };
			my $problem = eval { $self->live_through(draw_history($seed, @{ $options{modes} })); '' } // $@;

			$self->end_session;
			print $write encode_json([ $seed, time - $self->{begun}, $problem, $self->{steps} ]), "\n";
			$write->flush;
		}
		# The parent's clusters and simulators are not ours to end.
		POSIX::_exit(0);
	}
	close $write;
	return { node => $node, simulator => $simulator, answers => $answers, pid => $pid };
}

# live_through: the history, from its beginning to its end; dies if it goes wrong.
sub live_through
{
	my ($self, $plan) = @_;
	my $begun = time;

	$self->{begun} = $begun;
	$self->{people} = $plan->{people};
	$self->tell("$plan->{people} people, $plan->{behaviour} deletes, $plan->{latency} ms");
	$self->{clock} = 0;
	$self->{forbidden} = {};
	$self->{behaviour} = $plan->{behaviour};
	$self->sim('clock', ahead => 0);
	$self->sim('latency', ms => $plan->{latency});
	$self->sim('org', org => $self->{org}, people => $plan->{people}, seed => $self->{org} =~ s/\D//gr);
	$self->reconnect;
	$self->sql('SELECT count(*) FROM sync_create_tables(ARRAY[' . join(',', map { "'$_'" } @entities) . '])');
	$self->{live} = $self->live_rows;
	$self->take($_) for @{ $plan->{steps} };
	$self->come_to_rest;
	return;
}

# ---- what a history is told by -------------------------------------------

# tell: what happened.
sub tell
{
	my ($self, $text) = @_;

	push @{ $self->{steps} }, sprintf '%6.2f %s', time - $self->{begun}, $text;
	return;
}

# add: to what was told last.
sub add
{
	my ($self, $text) = @_;

	$self->{steps}[-1] .= $text;
	return;
}

# sim: tells the simulator; nothing if it cannot be.
sub sim
{
	my ($self, $what, %query) = @_;

	return eval { $self->{simulator}->post($what, %query) };
}

# oracle: rows of the truth, each a list of the columns.
sub oracle
{
	my ($self, $entity, @columns) = @_;

	return map { [ split /\t/, $_, -1 ] } split /\n/,
	  $self->{simulator}->get('oracle', org => $self->{org}, entity => $entity, columns => join ',', @columns);
}

sub true_ids
{
	my ($self, $entity) = @_;

	return map { $_->[0] } $self->oracle($entity, 'id');
}

sub true_rows
{
	my ($self) = @_;

	return map { my $entity = $_; map { "$entity $_" } $self->true_ids($entity) } @entities;
}

# sql: what psql shows, however often the server goes away meanwhile.
sub sql
{
	my ($self, $sql) = @_;
	my $end = time + $patience_s;

	while (1)
	{
		my $out = $self->ask_session($sql);

		return $out if defined $out;
		die "$sql: the server does not come back\n" if time > $end;
		usleep(20_000);
	}
}

# ask_session: the same, or nothing if the server has gone.  One psql serves many
# statements: to start one takes longer than what it is asked.
sub ask_session
{
	my ($self, $sql) = @_;
	my $asked = $self->{asked}++;
	my @lines;

	if (!$self->{session})
	{
		my $session = {};

		$session->{pid} = open2(@$session{qw(from to)}, 'sh', '-c', 'exec psql -XAtq -d "$0" 2>&1', $self->{node}->connstr('sync'));
		$self->{session} = $session;
	}

	my ($from, $to) = @{ $self->{session} }{qw(from to)};
	print $to "$sql;\n\\echo asked $asked\n";
	$to->flush;
	while (defined(my $line = <$from>))
	{
		chomp $line;
		if ($line eq "asked $asked")
		{
			my $out = join "\n", grep { !/^(?:NOTICE|DETAIL|HINT):/ } @lines;

			last if $out =~ /^(?:FATAL|WARNING|PANIC):|connection to server/m;
			die "$sql: $out\n" if $out =~ /^ERROR:/m;
			return $out;
		}
		push @lines, $line;
	}
	$self->end_session;
	return;
}

sub end_session
{
	my ($self) = @_;
	my $session = delete $self->{session} or return;

	close $session->{to};
	waitpid $session->{pid}, 0;
	return;
}

# live_rows: what the copy has, by entity and id.
sub live_rows
{
	my ($self) = @_;
	my $sql = join ' UNION ALL ', map {
		sprintf q{SELECT '%s ' || id FROM %s WHERE org = '%s' AND %s}, $_, data_table($_), $self->{org}, $live
	} @entities;

	return { map { $_ => 1 } split /\n/, $self->sql($sql) };
}

# ---- steps ----------------------------------------------------------------

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

# do_pass: time passes.
sub do_pass
{
	my ($self, $step) = @_;

	$self->sim('clock', ahead => $self->{clock} += 60 * $step->{minutes});
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
	$self->add(' -> ' . $self->sql("SELECT sync_record('$self->{org}', '$step->{entity}', '$id')"));
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

# ---- runs -----------------------------------------------------------------

# reconnect: the organisation is connected, and works.
sub reconnect
{
	my ($self) = @_;
	my $options = encode_json({
		delete_behaviour => $self->{behaviour},
		delete_threshold_percent => 100,
		delete_threshold_count => 1_000_000 });
	my $url = $self->{simulator}->url;

	$self->sql("SELECT sync_connect('$self->{org}', '$self->{org}-client', '$self->{org}-secret', base_url => '$url', options => '$options')");
	return;
}

sub start
{
	my ($self, $mode, $execution, @which) = @_;
	my $list = join ',', map { "'$_'" } @which;

	return $self->sql("SELECT sync_start('$self->{org}', ARRAY[$list], '$mode', '$execution')");
}

# do_run: from its start to its end.
sub do_run
{
	my ($self, $step) = @_;
	my $before = $self->requests;
	my $run = $self->start($step->{mode}, $step->{execution}, @{ $step->{entities} });

	if ($step->{meanwhile})
	{
		my $end = time + $patience_s;

		usleep(2_000) until $self->requests >= $before + $step->{after} || $self->has_ended($run) || time > $end;
		my $do = "do_$step->{meanwhile}{do}";
		$self->add(' meanwhile');
		$self->$do($step->{meanwhile}, $run);
	}
	$self->wait_until_idle;
	$self->add(' -> ' . $self->results_of($run));

	# An answer that says the token is another's stops the organisation.
	$self->reconnect if $self->sql("SELECT status FROM sync_orgs WHERE org = '$self->{org}'") ne 'active';
	return;
}

# results_of: the statuses of a run's jobs, and whose were not the common one.
sub results_of
{
	my ($self, $run) = @_;

	return join ' ', split /\n/, $self->sql(qq{SELECT status || ':' || CASE WHEN status = 'succeeded' THEN count(*)::text
			ELSE string_agg(entity || coalesce('(' || sqlstate || ')', ''), ',') END
		FROM sync_jobs WHERE run_id = $run GROUP BY status ORDER BY status});
}

sub requests
{
	my ($self) = @_;

	return $self->{simulator}->stats(org => $self->{org})->{requests};
}

sub has_ended
{
	my ($self, $run) = @_;

	return $self->sql("SELECT finished_at IS NOT NULL FROM sync_runs WHERE run_id = $run") eq 't';
}

# wait_until_idle: all that was asked for has ended, by itself.  What the engine has
# put off to a later time is not waited for.
sub wait_until_idle
{
	my ($self) = @_;
	my $end = time + $patience_s;

	while (1)
	{
		my $run = $self->sql("SELECT min(run_id) FROM sync_engine.run WHERE org = '$self->{org}' AND finished_at IS NULL
			AND (status <> 'queued' OR not_before <= now())");

		return if $run eq '';
		$self->sql("SELECT sync_wait($run, '10 s')");
		die "run $run does not end: " . $self->sql(qq{SELECT status, error FROM sync_runs WHERE run_id = $run;
				SELECT entity, status, reason FROM sync_queue WHERE org = '$self->{org}';
				SELECT entity, status, waiting_for FROM sync_progress WHERE org = '$self->{org}';
				SELECT backend_type, pid, state, wait_event, query, now() - state_change FROM pg_stat_activity
				WHERE backend_type LIKE 'sync_engine%'}) if time > $end;
	}
}

# do_end_lane, do_kill_lane: an ordinary end, and one that takes the server along.
sub do_end_lane
{
	my ($self) = @_;

	$self->add(' ' . $self->sql(q{SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE backend_type = 'sync_engine lane'}));
	$self->{lane_was_lost} = 1;
	return;
}

sub do_kill_lane
{
	my ($self) = @_;
	my @lanes = split /\n/, $self->sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'sync_engine lane'});

	$self->add(' ' . kill KILL => @lanes);
	return;
}

sub do_cancel
{
	my ($self, undef, $run) = @_;

	$self->add(' ' . $self->sql("SELECT sync_cancel($run)"));
	return;
}

sub do_pause
{
	my ($self) = @_;

	$self->sql("SELECT sync_pause('$self->{org}')");
	$self->sql("SELECT sync_resume('$self->{org}')");
	return;
}

sub do_another
{
	my ($self, $step) = @_;

	$self->start($step->{mode}, 'hybrid', @{ $step->{entities} });
	return;
}

# ---- the end --------------------------------------------------------------

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

=pod

=back

=cut

1;
