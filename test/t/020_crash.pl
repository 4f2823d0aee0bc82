# Lanes and the postmaster are killed at random moments.  Every run finishes by
# itself; nothing is lost, nothing is counted twice, and little is asked again.

use strict;
use warnings FATAL => 'all';

use List::Util qw(shuffle sum0);
use SyncEngineTest;
use Time::HiRes qw(time usleep);

# The moments are drawn from a seed, to be given again to see a failure again.
my $seed = $ENV{SYNC_ENGINE_SEED} // time ^ $$;
my $repeat = $ENV{SYNC_ENGINE_REPEAT} // 1;
my $lane_kills = 30 * $repeat;
my $postmaster_kills = 5 * $repeat;
srand $seed;
note("SYNC_ENGINE_SEED=$seed");

# Long enough for the first lane to be anywhere in a run, when it is killed.
my $longest_pause_us = 300_000;

# A run that took this long would be waiting for a human.
my $patience_s = 60;

# What a crash may make the engine ask again: the requests that are ahead of
# the page that is due, and the pages whose commits were not on disk yet, at
# most three times wal_writer_delay old.
my $window = 32;
my $unflushed_us = 3 * 200_000;

my @entities = qw(Person Email Address FieldDatum Campus PersonMerger Household HouseholdMembership);

my $simulator = start_simulator(orgs => 100 * $repeat, people => 1200, rate_limit => 0, latency => 10);
my $node = new_cluster();
my $orgs = 0;

# try_sql: as sql, but nothing while the server is not there.  psql may be gone
# before it was told what to ask.
sub try_sql
{
	my ($status, $out) = eval { $node->psql('sync', $_[0]) };

	return defined $status && $status == 0 ? $out : undef;
}

sub sql
{
	return $node->safe_psql('sync', $_[0]);
}

# wait_until: the sub's true value, however often the server goes away meanwhile.
sub wait_until
{
	my ($condition, $what) = @_;
	my $end = time + $patience_s;

	while (time < $end)
	{
		my $value = $condition->();

		return $value if $value;
		usleep(5_000);
	}
	die "not within $patience_s s: $what";
}

# start_run: a new organisation, and a full sync of it.
sub start_run
{
	my ($org, @wanted) = @_;
	my $names = join ',', map { "'$_'" } @wanted;

	wait_until(sub { try_sql('SELECT 1') }, 'the server is up');
	connect_org($node, $simulator, $org);
	return { org => $org, id => sql("SELECT sync_start('$org', ARRAY[$names], 'full')"), entities => \@wanted, kills => [] };
}

# has_ended: the run's status, if it has ended.
sub has_ended
{
	my ($run) = @_;
	my $status = try_sql("SELECT status FROM sync_runs WHERE run_id = $run->{id} AND finished_at IS NOT NULL");

	return $status || undef;
}

# victim: a lane at work on the run, and what it is at; nothing if it has ended.
sub victim
{
	my ($run) = @_;

	return wait_until(
		sub {
			my $lane = try_sql(
				q{SELECT pid, state FROM pg_stat_activity a
				WHERE backend_type = 'sync_engine lane' AND pid IN (SELECT lane_pid FROM sync_progress)
				ORDER BY random() LIMIT 1});

			return $lane if $lane;
			return has_ended($run) ? 'none' : undef;
		},
		"a lane works on run $run->{id}");
}

# kill_lane: at a random moment; false if the run ended before.
sub kill_lane
{
	my ($run, $phases) = @_;
	my ($pid, $state);

	return 0 if victim($run) eq 'none';
	usleep(rand $longest_pause_us);
	($pid, $state) = split /\|/, victim($run);
	return 0 if $pid eq 'none';
	push @{ $run->{kills} }, time * 1e6;
	return 0 unless kill KILL => $pid;
	$phases->{$state}++;
	return 1;
}

# kill_postmaster: and start the server again.
sub kill_postmaster
{
	my ($run) = @_;

	return 0 if victim($run) eq 'none';
	usleep(rand $longest_pause_us);
	push @{ $run->{kills} }, time * 1e6;
	$node->kill9;

	# Its children notice by themselves, and must be gone before.  A start that
	# fails takes the stale process id for a server that runs.
	wait_until(
		sub {
			delete $node->{_pid};
			return $node->start(fail_ok => 1);
		},
		'the server starts again');
	return 1;
}

# expected_pages: of a list, each of whose pages but the first repeats a row; of
# as many short lists as there are parents; or of the list that brings it along.
sub expected_pages
{
	my ($entity, $count) = @_;

	return $count->{Household} if $entity eq 'HouseholdMembership';
	return 1 + expected_pages('Person', $count) if $entity =~ /^(?:Email|Address|FieldDatum)$/;
	return $count->{$entity} <= 100 ? 1 : 1 + int(($count->{$entity} - 100 + 98) / 99);
}

# entity_of: whose list a path is, in the simulator's log.
sub entity_of
{
	my ($url) = @_;
	my ($path) = $url =~ m{^/people/v2/(.*)\?} or return '';

	return 'HouseholdMembership' if $path =~ m{/household_memberships$};
	return {
		people => 'Person', emails => 'Email', addresses => 'Address', field_data => 'FieldDatum',
		campuses => 'Campus', person_mergers => 'PersonMerger', households => 'Household'
	}->{$path} // '';
}

# asked_again: by entity, how many requests were repetitions, and how many P1
# allows.  A page that a crash lost was requested ahead, or in the moments whose
# commits were not on disk, or was ahead when those began.
sub asked_again
{
	my ($run) = @_;
	my (%requests, %again, %allowed, %seen);

	for my $line (split /\n/, $simulator->get('log'))
	{
		my (undef, $at, $org, undef, $url) = split / /, $line;

		next unless $org eq $run->{org} && (my $entity = entity_of($url));
		push @{ $requests{$entity} }, $at;
		$again{$entity}++ if $seen{$url}++;
	}
	for my $entity (keys %requests)
	{
		$allowed{$entity} = sum0 map {
			my $kill = $_;
			$window + grep { $_ > $kill - $unflushed_us && $_ <= $kill } @{ $requests{$entity} }
		} @{ $run->{kills} };
	}
	return (\%again, \%allowed);
}

# check_run: a run that was interrupted ends as if it had not been.
sub check_run
{
	my ($run) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $name = sprintf '%s, killed %d times', $run->{org}, scalar @{ $run->{kills} };
	my (%count, @counters, @expected, @too_often);

	is(wait_until(sub { has_ended($run) }, "the end of run $run->{id}"), 'succeeded', "$name: the run finishes by itself");
	for my $entity (@{ $run->{entities} })
	{
		($count{$entity}) = split / /, $simulator->get('oracle/digest', org => $run->{org}, entity => $entity);
	}
	for my $entity (sort @{ $run->{entities} })
	{
		push @counters, sql(qq{SELECT entity, status, pages, fetched, inserted, updated, unchanged, dead_lettered, error
			FROM sync_jobs WHERE run_id = $run->{id} AND entity = '$entity'});
		push @expected, join '|', $entity, 'succeeded', expected_pages($entity, \%count), ($count{$entity}) x 2, 0, 0, 0, '';
	}
	is_deeply(\@counters, \@expected, "$name: no page is counted twice, none is missing");
	is_equal_to_oracle($node, $simulator, $run->{org}, $_, "$name: $_") for @{ $run->{entities} };

	my ($again, $allowed) = asked_again($run);
	@too_often = grep { $again->{$_} > $allowed->{$_} } keys %$again;
	is_deeply(\@too_often, [], "$name: no more is asked again than may be")
	  or diag(explain([ $again, $allowed ]));
	return $again;
}

# ---- many runs, killed anywhere ------------------------------------------

my @deeds = shuffle((\&kill_lane) x $lane_kills, (\&kill_postmaster) x $postmaster_kills);
my %phases;
my $run;

while (@deeds)
{
	$run //= start_run('org' . ++$orgs, @entities);
	if ($deeds[0]->($run, \%phases))
	{
		shift @deeds;
		next;
	}
	check_run($run);
	undef $run;
}
check_run($run) if $run;
note("lanes were killed while: ", explain(\%phases));
cmp_ok(sum0(values %phases), '==', $lane_kills, 'as many lanes were killed as should be');

# ---- surely in the middle of a page --------------------------------------

# The user's own trigger holds the page up where half of it is written.
my $gate = background_psql($node);
$gate->query_safe('SELECT pg_advisory_lock(1)');
sql(q{CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN PERFORM pg_catalog.pg_advisory_xact_lock_shared(1); RETURN NEW; END $$;
	CREATE TRIGGER gate BEFORE INSERT ON pco_people.person FOR EACH ROW
		WHEN (NEW.org = 'middle' AND NEW.id LIKE '%7') EXECUTE FUNCTION wait_at_gate()});
$simulator->post('org', org => 'middle', people => 1200);
$run = start_run('middle', 'Person');
my $waiting = wait_until(
	sub { try_sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'sync_engine lane' AND wait_event = 'advisory'}) },
	'a lane waits in the middle of a page');
push @{ $run->{kills} }, time * 1e6;
is(kill(KILL => $waiting), 1, 'a lane is killed in the middle of a page');
# The gate's session ends with all others.
check_run($run);
$gate->{run}->kill_kill;

# ---- how little is asked again -------------------------------------------

# At fifty pages a second, a list of two hundred cannot start over unseen.
my $big = 20_000;
$simulator->post('org', org => 'big', people => $big);
$simulator->post('rate', limit => 100, period => 2);
$run = start_run('big', 'Person');
wait_until(
	sub { (try_sql(qq{SELECT fetched >= $big * 0.8 FROM sync_progress WHERE run_id = $run->{id}}) // '') eq 't' },
	'most of the list was read');
is(kill_lane($run, \%phases), 1, 'a lane is killed near the end of a long list');
my $again = check_run($run);
note(sprintf 'pages asked again: %d', $again->{Person} // 0);

done_testing();
