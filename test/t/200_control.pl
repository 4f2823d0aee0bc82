# What people do to runs and jobs that have not ended, or that ended badly: pause,
# resume, cancel, retry; and where they see what waits for what.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;
use Time::HiRes qw(time);

# What must happen at once may take this long on a busy machine; what must end, so long.
my $at_once_s = 2;
my $soon_s = 30;

my $people = 3_000;
my $simulator = start_simulator(orgs => 4, people => $people, rate_limit => 0);
my $node = new_cluster();
my $session = tolerant_session($node);

connect_org($node, $simulator, "org$_") for 1 .. 4;

# job: columns of the run's job for an entity.
sub job
{
	my ($run, $entity, $columns) = @_;

	return safe_psql($node, "SELECT $columns FROM sync_engine.job WHERE run_id = $run AND entity = '$entity'");
}

sub run_status
{
	my ($run) = @_;

	return safe_psql($node, "SELECT status FROM sync_runs WHERE run_id = $run");
}

# starts_to_hang: a run whose job for people has some, and then waits for an answer.
sub starts_to_hang
{
	my ($org, $entities, %options) = @_;
	my $pages = delete $options{pages} // 3;

	$simulator->post('fault', path => '/people/v2/people', org => $org, kind => 'hang', count => 0, skip => $pages);
	my $run = start_sync($node, $org, $entities, %options);
	wait_for(
		sub { safe_psql($node, "SELECT fetched > 0 AND in_flight > 0 FROM sync_progress WHERE run_id = $run AND entity = 'Person'") eq 't' },
		$soon_s, "run $run hangs in the middle");
	return $run;
}

# pauses_at_once: the call stops the run while its server does not answer.
sub pauses_at_once
{
	my ($run, $call, $name) = @_;
	my $start = time;

	is(safe_psql($node, "SELECT $call"), 't', "$name: it was not paused before");
	wait_for(sub { run_status($run) eq 'paused' }, $soon_s, "$name: the run is paused");
	cmp_ok(time - $start, '<', $at_once_s, "$name: at once, though the server hangs");
	is(safe_psql($node, "SELECT $call"), 'f', "$name: a second time changes nothing");
	is(safe_psql($node, "SELECT count(*) FROM sync_progress WHERE run_id = $run"), '0', "$name: nobody works on it");
	return;
}

# ---- A run stands still and goes on from where it stood ---------------------

for my $case (
	[ 'one run', 'run_id => %d', 'run_id => %d' ],
	[ 'its organisation', q{'org1'}, q{'org1'} ],
	[ 'an entity of it', q{'org1', ARRAY['Person']}, q{'org1', ARRAY['Person']} ],
	[ 'everything', '', '' ])
{
	my ($name, @arguments) = @$case;
	my $run = starts_to_hang('org1', ['Person']);
	my ($pause, $resume) = map { $_ =~ /%d/ ? sprintf $_, $run : $_ } @arguments;

	pauses_at_once($run, "sync_pause($pause)", $name);
	my ($fetched, $position, $attempts) = split /\|/, job($run, 'Person', 'fetched, position, attempts');
	cmp_ok($fetched, '>', 0, "$name: what it had read stays read");
	is($attempts, 0, "$name: that was no attempt");
	like(safe_psql($node, q{SELECT reason FROM sync_queue WHERE entity = 'Person' AND status = 'paused'}),
		qr/^paused by /, "$name: the queue says so");
	like(safe_psql($node, q{SELECT hint FROM sync_explain('org1') WHERE status = 'paused' LIMIT 1}),
		qr/^Call sync_resume\(\Q$resume\E|^Call sync_resume\('org1', ARRAY\['people.Person'\]\)/, "$name: and how it goes on");
	$simulator->post('fault/clear');
	my $requests = $simulator->stats(org => 'org1')->{requests};
	is(safe_psql($node, "SELECT sync_wait($run, '1 s')"), 'paused', "$name: waiting for it does not end");
	is($simulator->stats(org => 'org1')->{requests}, $requests, "$name: nothing is asked meanwhile");
	is(job($run, 'Person', 'position'), $position, "$name: it stands still");

	is(safe_psql($node, "SELECT sync_resume($resume)"), 't', "$name: it is resumed");
	run_ends($node, $run, 'succeeded', $soon_s, "$name: and ends well");
	is(job($run, 'Person', 'fetched'), record_count($node, 'org1', 'Person'), "$name: nothing was read twice");
	is_complete($node, 'org1', $name, 'Person');
	is(safe_psql($node, "SELECT sync_resume($resume)"), 'f', "$name: nothing is paused any more");
	$simulator->post('mutate', org => 'org1', entity => 'Person', op => 'update', count => 10);
}

# ---- A pause is for what comes later, too, and for nobody else -------------

my $name = 'an organisation that is paused';
safe_psql($node, q{SELECT sync_pause('org2')});
my $run = start_sync($node, 'org2', [qw(Person Campus)]);
wait_for(sub { run_status($run) eq 'paused' }, $soon_s, "$name: a new run is paused");
run_ends($node, start_sync($node, 'org3', [qw(Campus)]), 'succeeded', $soon_s, "$name: others go on");
is(safe_psql($node, q{SELECT count(*) > 0 FROM sync_check('org2') WHERE accessible}), 't', "$name: questions are answered");
is(safe_psql($node, q{SELECT paused FROM sync_orgs WHERE org = 'org2'}), 't', "$name: sync_orgs shows it");
is(safe_psql($node, "SELECT sync_cancel($run)"), 't', "$name: its run can be cancelled");
run_ends($node, $run, 'cancelled', $soon_s, "$name: at once");
safe_psql($node, q{SELECT sync_resume('org2')});

$name = 'a pause that is not committed';
ask($session, q{BEGIN; SELECT sync_pause('org2')});
run_ends($node, start_sync($node, 'org2', ['Campus']), 'succeeded', $soon_s, "$name: stops nothing");
ask($session, 'ROLLBACK');
run_ends($node, start_sync($node, 'org2', ['Campus']), 'succeeded', $soon_s, "$name: nor after the ROLLBACK");

$name = 'a pause over a crash';
$run = starts_to_hang('org2', ['Person']);
safe_psql($node, "SELECT sync_pause(run_id => $run)");
wait_for(sub { run_status($run) eq 'paused' }, $soon_s, "$name: the run is paused");
$session->quit;
$node->stop('immediate');
$node->start;
$session = tolerant_session($node);
$simulator->post('fault/clear');
run_ends($node, start_sync($node, 'org3', ['Campus']), 'succeeded', $soon_s, "$name: a lane has looked around");
is(run_status($run), 'paused', "$name: it lasts");
safe_psql($node, q{SELECT sync_resume()});
run_ends($node, $run, 'succeeded', $soon_s, "$name: and ends with sync_resume()");
is_complete($node, 'org2', $name, 'Person');

# ---- What comes along, alone --------------------------------------------------

$name = 'an entity that comes along with a paused one';
$run = starts_to_hang('org3', [qw(Person Email)]);
is(job($run, 'Email', 'folded_into IS NOT NULL'), 't', "$name: Email comes with Person");
safe_psql($node, q{SELECT sync_pause('org3', ARRAY['Email'])});
wait_for(sub { job($run, 'Email', 'status') eq 'paused' }, $soon_s, "$name: it can be paused by itself");
is(job($run, 'Person', 'status'), 'running', "$name: Person goes on");
$simulator->post('fault/clear');
wait_for(sub { job($run, 'Person', 'status') eq 'succeeded' }, $soon_s, "$name: and ends");
wait_for(sub { run_status($run) eq 'paused' }, $soon_s, "$name: so the rest of the run is paused");
safe_psql($node, q{SELECT sync_resume('org3', ARRAY['Email'])});
run_ends($node, $run, 'succeeded', $soon_s, "$name: resumed, it reads itself");
is_complete($node, 'org3', $name, qw(Person Email));

# ---- Retry ------------------------------------------------------------------

$name = 'a run that failed in the middle';
$simulator->post('fault', path => '/people/v2/people', org => 'org4', kind => '403', count => 0, skip => 5);
$run = start_sync($node, 'org4', [qw(Campus Person)], execution => 'sequential');
run_ends($node, $run, 'partial', $soon_s, "$name: the rest is done");
my $read = job($run, 'Person', 'fetched');
cmp_ok($read, '>', 0, "$name: part of the people is there");
my $activity = safe_psql($node, "SELECT activity_id FROM sync_activities WHERE run_id = $run AND status = 'failed' AND activity_id IS NOT NULL");
like($activity, qr/^\d+$/, "$name: the step that failed has a number");
my (undef, $stderr) = ask($session, "SELECT sync_retry($run, 'Campus')");
like($stderr, qr/ERROR:  55000: run $run has no job for people.Campus that did not succeed\n.*HINT:  To read it again, call sync_start/s,
	"$name: what succeeded is not done again");
(undef, $stderr) = ask($session, "SELECT sync_retry($run, activity => 1000000)");
like($stderr, qr/ERROR:  42704: run $run has no activity 1000000/, "$name: an activity of nobody's");
(undef, $stderr) = ask($session, 'SELECT sync_retry(1000000)');
like($stderr, qr/ERROR:  42704: run 1000000 does not exist/, "$name: a run that is not there");

# It fails again, so that each way of retrying finds it failed.
for my $way ("sync_retry($run)", "sync_retry($run, 'Person')", "sync_retry($run, activity => $activity)")
{
	my $last = $way =~ /activity/;

	$simulator->post('fault/clear') if $last;
	my $retry = safe_psql($node, "SELECT $way");
	isnt($retry, $run, "$way is a run of its own");
	run_ends($node, $retry, $last ? 'succeeded' : 'failed', $soon_s, "$way: ends");
	is(safe_psql($node, "SELECT string_agg(entity, ' ') FROM sync_jobs WHERE run_id = $retry"), 'Person', "$way: finished jobs stay");
	is(safe_psql($node, "SELECT retry_of FROM sync_runs WHERE run_id = $retry"), $run, "$way: it says whose retry it is");
	is($read + job($retry, 'Person', 'fetched'), record_count($node, 'org4', 'Person'), "$way: what was read stays read") if $last;
}
is_complete($node, 'org4', $name, qw(Person Campus));
(undef, $stderr) = ask($session, sprintf 'SELECT sync_retry(%s)', safe_psql($node, 'SELECT max(run_id) FROM sync_runs'));
like($stderr, qr/ERROR:  55000: all jobs of run \d+ succeeded/, "$name: nothing is left to retry");

$name = 'a walk that was cancelled';
$simulator->post('fault', path => '/people/v2/households/', org => 'org4', kind => 'hang', count => 0, skip => 40);
$run = start_sync($node, 'org4', ['HouseholdMembership'], execution => 'sequential');
wait_for(sub { job($run, 'HouseholdMembership', 'fetched > 0 AND requests > 30') eq 't' }, $soon_s, "$name: some parents are walked");
(undef, $stderr) = ask($session, "SELECT sync_retry($run)");
like($stderr, qr/ERROR:  55000: run $run has not ended: it is running/, "$name: a run at work is not retried");
safe_psql($node, "SELECT sync_cancel($run)");
run_ends($node, $run, 'cancelled', $soon_s, "$name: it is cancelled");
$simulator->post('fault/clear');
my $walked = safe_psql($node, q{SELECT count(*) FROM sync_engine.walk_ledger WHERE org = 'org4'});
$simulator->post('stats/reset');
my $retry = safe_psql($node, "SELECT sync_retry($run)");
run_ends($node, $retry, 'succeeded', 2 * $soon_s, "$name: the retry ends it");
is(safe_psql($node, "SELECT string_agg(entity, ' ') FROM sync_jobs WHERE run_id = $retry"), 'HouseholdMembership',
	"$name: the parents are not read again");
cmp_ok($simulator->stats(org => 'org4')->{requests}, '<=', record_count($node, 'org4', 'Household') - $walked + 40,
	"$name: nor those walked that were");
is_complete($node, 'org4', $name, 'HouseholdMembership');

# ---- Priorities and the queue ----------------------------------------------------

$name = 'what is more urgent';
safe_psql($node, q{SELECT sync_pause()});
my @runs = map { start_sync($node, 'org1', [$_->[0]], priority => $_->[1]) } [ 'Tab', 0 ], [ 'Campus', 5 ], [ 'NamePrefix', -3 ], [ 'MaritalStatus', 5 ];
wait_for(sub { safe_psql($node, q{SELECT count(*) FROM sync_queue WHERE status = 'paused'}) eq '4' }, $soon_s, "$name: four runs wait");

# One request at a time: several could overtake each other on their ways.
safe_psql($node, $_) for 'ALTER SYSTEM SET sync_engine.max_requests_per_org = 1', 'SELECT pg_reload_conf()';
wait_for(sub { !lane_pids($node) }, $soon_s, "$name: the lane has left");
safe_psql($node, q{SELECT sync_resume()});
run_ends($node, $_, 'succeeded', $soon_s, "$name: run $_ ends") for @runs;
my @asked = $simulator->get('log') =~ m{ /people/v2/(tabs|campuses|name_prefixes|marital_statuses)\?}g;
is("@asked[-4 .. -1]", 'campuses marital_statuses tabs name_prefixes', "$name: comes first");

$_->quit for $session;
unlike(server_log($node), qr/TRAP|PANIC/, 'nothing has crashed');
ok($simulator->stop, 'the simulator stops as it should');

done_testing();
