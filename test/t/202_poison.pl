# A page that takes down the process that applies it costs its own job the sync, and
# the others nothing but a few restarts of the server.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;

my $soon_s = 60;

# Losses of a process that are proof (MAX_CRASHES in src/queue.c), after the one that
# raised the suspicion.
my $crashes = 4;

my $simulator = start_simulator(orgs => 3, people => 1_000, rate_limit => 0);
my $node = new_cluster();

# value: of a query, also while the server comes back.
sub value
{
	my ($query) = @_;

	return psql_if_up($node, $query);
}

sub restarts
{
	return () = server_log($node) =~ /was terminated by signal 9/g;
}

connect_org($node, $simulator, "org$_") for 1 .. 3;
run_ends($node, start_sync($node, 'org3', [qw(Person Campus)]), 'succeeded', $soon_s, 'the tables are there');

# A process that is killed, as by the kernel when memory runs out.  Ids are the same
# in no two organisations, but people are numbered alike.
safe_psql($node, <<~'SQL');
	CREATE FUNCTION public.die() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		COPY (SELECT 1) TO PROGRAM 'kill -9 $PPID';
		RETURN NEW;
	END $$;
	SQL
safe_psql($node, q{CREATE TRIGGER die BEFORE INSERT ON pco_people.person FOR EACH ROW
	WHEN (NEW.org = 'org1' AND NEW.id::bigint % 50 = 7) EXECUTE FUNCTION public.die()});

# Somebody else's run is in the middle all the time: each restart interrupts it, too.
$simulator->post('latency', ms => 50);
my $bad = start_sync($node, 'org1', ['Person']);
my $good = start_sync($node, 'org2', [qw(Person Campus Email)], execution => 'sequential');
wait_for(sub { value("SELECT status FROM sync_jobs WHERE run_id = $bad AND entity = 'Person'") eq 'held' },
	2 * $soon_s, 'the job is held');
is(restarts(), $crashes, "after $crashes restarts of the server");
like(value("SELECT error FROM sync_jobs WHERE run_id = $bad"), qr/^its process ended 3 times while it applied the page after "/,
	'it says why');
like(value("SELECT hint FROM sync_jobs WHERE run_id = $bad"), qr/call sync_retry/, 'and what to do');
is(value("SELECT sqlstate FROM sync_jobs WHERE run_id = $bad"), 'SE007', 'with a code of its own');
is(value("SELECT status FROM sync_runs WHERE run_id = $bad"), 'held', 'so its run is held');
is(value("SELECT attempts FROM sync_engine.job WHERE run_id = $bad"), '0', 'none of them was an attempt');
run_ends($node, $good, 'succeeded', $soon_s, 'the other run goes on and ends well');
is_complete($node, 'org2', 'the other organisation', qw(Person Campus Email));
is(value("SELECT bool_or(suspect OR applying OR crashes > 0) FROM sync_engine.job WHERE run_id = $good"), 'f',
	'nothing is held against it');
run_ends($node, start_sync($node, 'org3', [qw(Person Campus)]), 'succeeded', $soon_s, 'the server is at peace');
is(restarts(), $crashes, 'and does not restart any more');

# The cause is gone, and somebody says so.
safe_psql($node, 'DROP TRIGGER die ON pco_people.person');
my $before = value("SELECT fetched FROM sync_jobs WHERE run_id = $bad");
my $retry = safe_psql($node, "SELECT sync_retry($bad)");
run_ends($node, $retry, 'succeeded', $soon_s, 'a retry goes on');
is($before + value("SELECT fetched FROM sync_jobs WHERE run_id = $retry"), record_count($node, 'org1', 'Person'),
	'where it stopped');
is_complete($node, 'org1', 'at last', 'Person');

# A lane that is ended in the ordinary way raises no suspicion that could grow.
$simulator->post('fault', path => '/people/v2/people', org => 'org2', kind => 'hang', count => 0, skip => 2);
my $run = start_sync($node, 'org2', ['Person']);
for my $n (1 .. 5)
{
	wait_for(sub { value("SELECT in_flight > 0 FROM sync_progress WHERE run_id = $run") eq 't' }, $soon_s, "stop $n: it waits for an answer");
	$node->stop('fast');
	$node->start;
}
wait_for(sub { value("SELECT in_flight > 0 FROM sync_progress WHERE run_id = $run") eq 't' }, $soon_s, 'it waits for an answer again');
is(value("SELECT attempts, crashes FROM sync_engine.job WHERE run_id = $run"), '0|0', 'five shutdowns were neither attempts nor crashes');
$simulator->post('fault/clear');
run_ends($node, $run, 'succeeded', $soon_s, 'and it ends well');
is_complete($node, 'org2', 'after the shutdowns', 'Person');
unlike(server_log($node), qr/TRAP|PANIC/, 'nothing has crashed that was not killed');
ok($simulator->stop, 'the simulator stops as it should');

done_testing();
