
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
use parent qw(SyncEngineTest::HistoryDeeds SyncEngineTest::HistoryEnd);
use SyncEngineTest;
use SyncEngineTest::HistorySteps;
use Time::HiRes qw(time usleep);

our @EXPORT = qw(are_survived);

my @entities = sort keys %list_of;

# In people's database terms: the row is there, and not marked as deleted.
my $live = '_deleted_at IS NULL';

# A run that takes this long does not come to its end by itself.
my $patience_s = 60;

# The steps of a history that takes longer are shown.
my $long = 20;

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
		# What the test library says belongs to the history, not to the test.
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

=pod

=back

=cut

1;
