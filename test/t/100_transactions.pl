# The engine commits by itself, and its callers are in transactions of their
# own: what they hold, cannot see, or take back must neither hang nor mislead.

use strict;
use warnings FATAL => 'all';

use JSON::PP;
use SyncEngineTest;

# Where something must not hang: far more than it takes, far less than for ever.
my $soon_s = 30;

my $people = 60;
my $simulator = start_simulator(orgs => 2, people => $people, rate_limit => 0);
my $node = new_cluster();
my $session = tolerant_session($node);
my $other = tolerant_session($node);

# begin_query: send SQL and do not wait for it; finish_query: its answer.
sub begin_query
{
	my ($on, $sql) = @_;

	$on->{stderr} = '';
	$on->query_until(qr/begun\n/, "\\echo begun\n$sql;\n");
	$on->{stdout} = '';
	return;
}

sub finish_query
{
	my ($on) = @_;
	my $output = $on->query('');

	return ($output, $on->{stderr});
}

# is_deadlock: test that the message says which way out there is.
sub is_deadlock
{
	my ($stderr, $name) = @_;

	like($stderr, qr/ERROR:  40P01: deadlock detected/, "$name: the caller is told");
	like(
		$stderr,
		qr/DETAIL:  This transaction waits for a run that waits for a lock which this transaction holds\.\nHINT:  COMMIT before you wait for a run\./,
		"$name: and what to do");
	return;
}

# newest_run: of all.
sub newest_run
{
	return safe_psql($node, 'SELECT max(run_id) FROM sync_runs');
}

sub update_people
{
	my ($count) = @_;

	return @{ $simulator->post('mutate', org => 'org1', entity => 'Person', op => 'update', count => $count) };
}

# ---- what is not committed ------------------------------------------------

{
	my $url = $simulator->url;
	my ($out, $err);

	# one string, so one transaction
	IPC::Run::run(
		[
			'psql', '-X', '-d', $node->connstr('sync'), '-c',
			"SELECT sync_connect('org1', 'org1-client', 'org1-secret', base_url => '$url'); "
			  . "SELECT * FROM sync_run('org1', ARRAY['Campus'], mode => 'full')"
		],
		'>', \$out, '2>', \$err);
	is( $err,
		"ERROR:  org \"org1\" is not committed yet\n"
		  . "DETAIL:  It was connected or changed in this transaction, so no lane can see that.\n"
		  . "HINT:  COMMIT before you wait for a run.\n",
		'connect and run in one transaction: COMMIT between them');
	is(safe_psql($node, 'SELECT count(*) FROM sync_orgs'), '0', 'the connect is rolled back with it');
}

connect_org($node, $simulator, 'org1');
connect_org($node, $simulator, 'org2');

{
	my (undef, $stderr) = ask($session, q{SELECT sync_wait(sync_start('org1', ARRAY['Campus'], mode => 'full'))});
	like($stderr, qr/ERROR:  55000: run \d+ is not committed yet/, 'started and waited for in one statement');
	like($stderr, qr/HINT:  COMMIT before you wait for it\./, 'and what to do');

	ask($session, q{BEGIN; SAVEPOINT s; SELECT sync_start('org1', ARRAY['Campus'], mode => 'full'); SAVEPOINT t});
	(undef, $stderr) = ask($session,
		q{SELECT sync_wait(currval('sync_engine.run_run_id_seq'))});
	like($stderr, qr/ERROR:  55000: run \d+ is not committed yet/, 'the same beneath savepoints');
	ask($session, 'ROLLBACK TO s');
	(undef, $stderr) = ask($session,
		q{SELECT sync_wait(currval('sync_engine.run_run_id_seq'))});
	like($stderr, qr/ERROR:  42704: run \d+ does not exist/, 'rolled back to the savepoint, there is no run');
	ask($session, 'COMMIT');

	ask($session, q{BEGIN; SELECT sync_start('org1', ARRAY['Campus'], mode => 'full')});
	is(safe_psql($node, 'SELECT count(*) FROM sync_runs'), '0', 'nobody sees a run before it is committed');
	ask($session, 'ROLLBACK');
	is(safe_psql($node, 'SELECT count(*) FROM sync_runs'), '0', 'a start that is rolled back was none');
	is($simulator->stats->{requests}, 0, 'nothing was asked for');

	(undef, $stderr) = ask($session,
		q{BEGIN; SELECT sync_start('org1', ARRAY['Campus'], mode => 'full'); PREPARE TRANSACTION 'p'});
	like($stderr, qr/ERROR:  0A000: cannot PREPARE a transaction that has requested a sync/,
		'what started a run cannot be prepared');
	ask($session, 'ROLLBACK');

	# the lane cannot make its schema as long as another one of that name may come
	ask($session, 'BEGIN; CREATE SCHEMA pco_people');
	(undef, $stderr) = ask($session, q{SELECT * FROM sync_run('org1', ARRAY['Campus'], mode => 'full')});
	is_deadlock($stderr, 'a schema of the same name');
	ask($session, 'ROLLBACK');
	run_ends($node, newest_run(), 'succeeded', $soon_s, 'a schema of the same name: the run completes after the rollback');

	my ($run) = ask($session, q{BEGIN; SELECT sync_start('org1', ARRAY['Campus'], mode => 'full'); COMMIT});
	run_ends($node, $run, 'succeeded', $soon_s, 'after the commit it runs');
}

# ---- isolation levels -----------------------------------------------------

for my $level ('READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE', 'SERIALIZABLE READ ONLY')
{
	ask($session, "BEGIN ISOLATION LEVEL $level; SELECT count(*) FROM sync_runs");
	my ($output, $stderr) = ask($session,
		q{SELECT entity, status, fetched, dead_lettered FROM sync_run('org1', ARRAY['Person'], mode => 'full')});
	is($output, "Person|succeeded|$people|0", "$level: sync_run shows what came of it");
	is($stderr, '', "$level: without complaint");

	my ($run) = (newest_run());
	($output) = ask($session, "SELECT sync_wait($run)");
	is($output, 'succeeded', "$level: sync_wait sees it, too");
	(undef, $stderr) = ask($session, 'COMMIT');
	is($stderr, '', "$level: the transaction can be committed");
}
is_equal_to_oracle($node, $simulator, 'org1', 'Person', 'it is all there');

# ---- locks of the caller --------------------------------------------------

for my $locks (
	[ 'a table lock', 'LOCK TABLE pco_people.person IN SHARE MODE' ],
	[ 'a strong table lock', 'LOCK TABLE pco_people.person' ],
	[ 'a row lock', q{UPDATE pco_people.person SET _extra = _extra WHERE org = 'org1'} ])
{
	my ($name, $lock) = @$locks;

	update_people(3);
	ask($session, "BEGIN; $lock");
	my (undef, $stderr) = ask($session, q{SELECT * FROM sync_run('org1', ARRAY['Person'], mode => 'full')});
	is_deadlock($stderr, $name);
	ask($session, 'ROLLBACK');
	run_ends($node, newest_run(), 'succeeded', $soon_s, "$name: the run completes after the rollback");
}
is_equal_to_oracle($node, $simulator, 'org1', 'Person', 'with all changes');

# Locks in the way of a run that the caller's own has joined.
for my $locks (
	[ 'a table lock on what was joined', 'LOCK TABLE pco_people.person IN SHARE MODE' ],
	[ 'a row lock on what was joined', q{UPDATE pco_people.person SET _extra = _extra WHERE org = 'org1'} ])
{
	my ($name, $lock) = @$locks;

	update_people(3);
	ask($other, "BEGIN; $lock");
	my $joined = start_sync($node, 'org1', ['Person']);
	wait_for(
		sub { safe_psql($node, "SELECT error FROM sync_jobs WHERE run_id = $joined AND status = 'queued'") },
		$soon_s, "$name: a run waits for the lock");
	my (undef, $stderr) = ask($other, q{SELECT * FROM sync_run('org1', ARRAY['Person'], mode => 'full')});
	is_deadlock($stderr, $name);
	ask($other, 'ROLLBACK');
	is(safe_psql($node, "SELECT joined_run_id FROM sync_jobs WHERE run_id = " . newest_run()), $joined, "$name: it had joined");
	run_ends($node, $joined, 'succeeded', $soon_s, "$name: that run completes after the rollback");
	run_ends($node, newest_run(), 'succeeded', $soon_s, "$name: and so does the caller's");

	# what is in others' way only is no deadlock
	update_people(3);
	ask($other, "BEGIN; $lock");
	my $blocked = start_sync($node, 'org1', ['Person']);
	wait_for(
		sub { safe_psql($node, "SELECT error FROM sync_jobs WHERE run_id = $blocked AND status = 'queued'") },
		$soon_s, "$name: another run waits for the lock");
	$simulator->post('fault', org => 'org2', path => '/people/v2/campuses', kind => 'hang', count => 0);
	begin_query($other, q{SELECT entity, status FROM sync_run('org2', ARRAY['Campus'], mode => 'full')});
	wait_for(
		sub { safe_psql($node, q{SELECT in_flight FROM sync_progress WHERE org = 'org2'}) },
		$soon_s, "$name: its holder runs something else");
	# each attempt takes the job and gives it back, and counts both
	my $epoch = safe_psql($node, "SELECT epoch FROM sync_engine.job WHERE run_id = $blocked");
	wait_for(sub { safe_psql($node, "SELECT epoch FROM sync_engine.job WHERE run_id = $blocked") > $epoch + 2 },
		$soon_s, "$name: the lock is in the way meanwhile");
	$simulator->post('fault/clear');
	is((finish_query($other))[0], 'Campus|succeeded', "$name: but not in the way of its holder");
	ask($other, 'ROLLBACK');
	run_ends($node, $blocked, 'succeeded', $soon_s, "$name: the other run completes after the rollback");
}

# The lane waits behind somebody who waits for the caller.
{
	ask($session, 'BEGIN; SELECT count(*) FROM pco_people.person');
	begin_query($other, 'ALTER TABLE pco_people.person ADD COLUMN mine int');
	wait_for(
		sub { safe_psql($node, q{SELECT count(*) FROM pg_locks WHERE relation = 'pco_people.person'::regclass AND NOT granted}) },
		$soon_s, 'an ALTER TABLE waits for the caller');
	my (undef, $stderr) = ask($session, q{SELECT * FROM sync_run('org1', ARRAY['Person'], mode => 'full')});
	is_deadlock($stderr, 'a circle of three');
	ask($session, 'ROLLBACK');
	(undef, $stderr) = finish_query($other);
	is($stderr, '', 'a circle of three: the ALTER TABLE comes through');
	run_ends($node, newest_run(), 'succeeded', $soon_s, 'a circle of three: and the run');
}

# ---- locks of others ------------------------------------------------------

{
	my @changed = update_people(3);
	ask($session, 'BEGIN; SELECT count(*) FROM pco_people.person');
	my ($reader) = ask($session, 'SELECT pg_backend_pid()');
	my ($alter) = ask($other, 'SELECT pg_backend_pid()');
	begin_query($other, 'ALTER TABLE pco_people.person ADD COLUMN also_mine int');
	wait_for(
		sub { safe_psql($node, "SELECT count(*) FROM pg_locks WHERE pid = $alter AND NOT granted") },
		$soon_s, 'an ALTER TABLE waits behind a long reader');

	my $run = start_sync($node, 'org1', [qw(Person Campus)]);
	wait_for(
		sub { safe_psql($node, "SELECT status FROM sync_jobs WHERE run_id = $run AND entity = 'Campus'") eq 'succeeded' },
		$soon_s, 'another entity of the run is done meanwhile');
	my $waiting = wait_for(
		sub { safe_psql($node, "SELECT error FROM sync_jobs WHERE run_id = $run AND entity = 'Person' AND status = 'queued'") },
		$soon_s, 'the entity of that table waits');
	is($waiting, "table \"person\" is wanted by process $alter, which waits for process $reader",
		'and says for whom');
	is(safe_psql($node, q{SELECT next FROM sync_status WHERE org = 'org1' AND entity = 'Person'}),
		"queued: $waiting", 'also in sync_status');
	is(safe_psql($node, "SELECT status FROM sync_runs WHERE run_id = $run"), 'running', 'the run goes on');

	ask($session, 'ROLLBACK');
	my (undef, $stderr) = finish_query($other);
	is($stderr, '', 'the ALTER TABLE comes through');
	run_ends($node, $run, 'succeeded', $soon_s, 'and so does the run');
	is(safe_psql($node, "SELECT count(*) FROM sync_jobs WHERE run_id = $run AND error IS NOT NULL"),
		'0', 'nobody is blamed any more');
	is_equal_to_oracle($node, $simulator, 'org1', 'Person', 'with all changes');

	ask($session, 'BEGIN; LOCK TABLE pco_people.person IN SHARE MODE');
	$run = start_sync($node, 'org1', ['Person']);
	wait_for(
		sub {
			safe_psql($node, "SELECT error FROM sync_jobs WHERE run_id = $run AND status = 'queued'") eq
			  "table \"person\" is locked by process $reader";
		},
		$soon_s, 'who holds the lock is named');
	ask($session, 'ROLLBACK');
	run_ends($node, $run, 'succeeded', $soon_s, 'the run goes on when the lock is gone');
}

# ---- cancelling -----------------------------------------------------------

{
	my $name = 'a cancel that is rolled back';
	$simulator->post('fault', path => '/people/v2/people', kind => 'hang', count => 0);
	my $run = start_sync($node, 'org1', ['Person']);
	wait_for(sub { safe_psql($node, "SELECT sum(in_flight) > 0 FROM sync_progress WHERE run_id = $run") eq 't' },
		$soon_s, "$name: the run is on its way");
	my ($changed) = ask($session, "BEGIN; SELECT sync_cancel($run)");
	is($changed, 't', "$name: there is something to cancel");
	my (undef, $stderr) = ask($session, "SELECT sync_wait($run)");
	like($stderr, qr/ERROR:  55000: run $run is not committed yet/, "$name: nor can its effect be waited for");
	ask($session, 'ROLLBACK');

	# another run makes the lane look for work, also for something to cancel
	run_ends($node, start_sync($node, 'org2', ['Campus']), 'succeeded', $soon_s, "$name: other work goes on");
	is(safe_psql($node, "SELECT status FROM sync_runs WHERE run_id = $run"), 'running', "$name: changes nothing");
	is(safe_psql($node, "SELECT sync_wait($run, '0')"), 'running', "$name: as sync_wait says at its timeout");

	# not committed, it holds the run's row; others' runs must not mind
	ask($session, "BEGIN; SELECT sync_cancel($run)");
	run_ends($node, start_sync($node, 'org2', [qw(Campus Email)]), 'succeeded', $soon_s, 'an open cancel: other work goes on');
	ask($session, 'COMMIT');
	run_ends($node, $run, 'cancelled', $soon_s, 'a cancel that is committed: ends the run');
	is(safe_psql($node, "SELECT sync_cancel($run)"), 'f', 'a cancel that comes too late: changes nothing');
	$simulator->post('fault/clear');
}

# ---- two at once ----------------------------------------------------------

{
	run_ends($node, start_sync($node, 'org1', ['Person']), 'succeeded', $soon_s, 'one run alone');
	$simulator->post('stats/reset');
	run_ends($node, start_sync($node, 'org1', ['Person']), 'succeeded', $soon_s, 'one run alone, counted');
	my $alone = $simulator->stats->{requests};
	cmp_ok($alone, '>', 0, 'it asks');

	$simulator->post('fault', path => '/people/v2/people', kind => 'hang', count => 0);
	begin_query($session, q{SELECT run_id, status, fetched, unchanged FROM sync_run('org1', ARRAY['Person'], mode => 'full')});
	wait_for(
		sub { safe_psql($node, q{SELECT sum(in_flight) > 0 FROM sync_progress}) eq 't' },
		$soon_s, 'a first sync_run is on its way');
	my $first = newest_run();
	begin_query($other, q{SELECT run_id, status, fetched, unchanged FROM sync_run('org1', ARRAY['Person'], mode => 'full')});
	my $joined = wait_for(
		sub { safe_psql($node, "SELECT run_id FROM sync_jobs WHERE joined_run_id = $first") },
		$soon_s, 'a second one joins it');
	$simulator->post('stats/reset');
	$simulator->post('fault/clear');

	is((finish_query($session))[0], "$first|succeeded|$people|$people", 'the first gets its rows');
	is((finish_query($other))[0], "$joined|succeeded|$people|$people", 'the second gets its rows');
	is(safe_psql($node, "SELECT requests FROM sync_jobs WHERE run_id = $joined"),
		safe_psql($node, "SELECT requests FROM sync_jobs WHERE run_id = $first"), 'from the same requests');
	cmp_ok($simulator->stats->{requests}, '<=', $alone, 'and no more than one needs alone');
	is(safe_psql($node, "SELECT count(DISTINCT status) || max(status) FROM sync_runs WHERE run_id IN ($first, $joined)"),
		'1succeeded', 'both runs succeeded');
}

# A joined run outlives the one that it joined.
{
	$simulator->post('fault', path => '/people/v2/people', kind => 'hang', count => 0);
	my $first = start_sync($node, 'org1', ['Person']);
	wait_for(sub { safe_psql($node, "SELECT sum(in_flight) > 0 FROM sync_progress WHERE run_id = $first") eq 't' },
		$soon_s, 'a run is on its way');
	my $second = start_sync($node, 'org1', ['Person']);
	wait_for(sub { safe_psql($node, "SELECT joined_run_id FROM sync_jobs WHERE run_id = $second") eq $first },
		$soon_s, 'another one joins it');
	safe_psql($node, "SELECT sync_cancel($first)");
	run_ends($node, $first, 'cancelled', $soon_s, 'the first one is cancelled');
	$simulator->post('fault/clear');
	run_ends($node, $second, 'succeeded', $soon_s, 'the other one goes on alone');
}

# ---- telling --------------------------------------------------------------

{
	my $listener = tolerant_session($node);
	$listener->query('LISTEN sync_engine');
	my $run = start_sync($node, 'org1', ['Campus']);
	run_ends($node, $run, 'succeeded', $soon_s, 'a run that somebody listens to');
	my $job = safe_psql($node, "SELECT job_id FROM sync_jobs WHERE run_id = $run");
	my $heard = '';
	wait_for(
		sub {
			$heard .= $listener->query('SELECT 1');
			$heard =~ /"run_id": $run, "job_id": null, "status": "succeeded"/;
		},
		$soon_s, 'its end is told');
	my @payloads = map { decode_json($_) } $heard =~ /notification "sync_engine" with payload "(\{.*?\})" received/g;
	is_deeply(
		\@payloads,
		[
			{ run_id => $run, job_id => undef, status => 'queued' },
			{ run_id => $run, job_id => undef, status => 'running' },
			{ run_id => $run, job_id => $job,  status => 'running' },
			{ run_id => $run, job_id => $job,  status => 'succeeded' },
			{ run_id => $run, job_id => undef, status => 'succeeded' }
		],
		'each change of state of the run and of the job: ids and status, and nothing else');
	$listener->quit;
}

# ---- disconnecting --------------------------------------------------------

{
	my $before = safe_psql($node, q{SELECT count(*) FROM pco_people.person WHERE org = 'org1'});
	$simulator->post('fault', path => '/people/v2/people', kind => 'hang', count => 0);
	begin_query($session, q{SELECT status, error FROM sync_run('org1', ARRAY['Person'], mode => 'full')});
	wait_for(
		sub { safe_psql($node, q{SELECT sum(in_flight) > 0 FROM sync_progress}) eq 't' },
		$soon_s, 'a run is on its way');
	my $run = newest_run();
	safe_psql($node, q{SELECT sync_disconnect('org1')});
	is((finish_query($session))[0], 'cancelled|cancelled on request', 'disconnecting ends it');
	run_ends($node, $run, 'cancelled', $soon_s, 'as cancelled');
	is(safe_psql($node, q{SELECT count(*) FROM pco_people.person WHERE org = 'org1' AND _deleted_at IS NULL}), $before, 'the data stay');
	is(safe_psql($node, q{SELECT count(*) FROM sync_engine.credential WHERE org = 'org1'}), '0', 'the credential does not');
	is(safe_psql($node, q{SELECT status FROM sync_orgs WHERE org = 'org1'}), 'disconnected', 'the org is disconnected');
	$simulator->post('fault/clear');

	is( safe_psql($node, q{SELECT status, error FROM sync_run('org1', ARRAY['Person'], mode => 'full')}),
		"failed|the organisation is disconnected\nCall sync_connect.",
		'a run of it says so');
	connect_org($node, $simulator, 'org1');
	is(safe_psql($node, q{SELECT status FROM sync_run('org1', ARRAY['Person'], mode => 'full')}), 'succeeded', 'until it is connected again');
}

$_->quit for $session, $other;
unlike(server_log($node), qr/PANIC|TRAP|terminated by signal/, 'no process came to harm');

done_testing();
