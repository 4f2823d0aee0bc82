# Records that the API has no more: found by reading every id, confirmed one by
# one, deleted as the organisation wants it; and what people decide on them.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;

my $people = 300;

my $simulator = start_simulator(people => $people, orgs => 20, rate_limit => 0);
my $node = new_cluster();
my $used = 0;

sub new_org { return connect_org($node, $simulator, 'org' . ++$used, @_); }

sub sync
{
	my ($org, @entities) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $run = start_sync($node, $org, \@entities, mode => 'full');

	run_ends($node, $run, 'succeeded', 100, "$org: a full sync of @entities");
	return $run;
}

sub reconcile
{
	my ($org, $status, $name, @entities) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $run = start_sync($node, $org, \@entities, mode => 'reconcile');

	run_ends($node, $run, $status, 100, "$name: the reconcile ends $status");
	return $run;
}

# mutate: the ids of what was changed.
sub mutate
{
	my ($org, $entity, @how) = @_;

	my $ids = server_of($node, $org)->post('mutate', org => $org, entity => $entity, @how);

	return sort @$ids;
}

sub value { return safe_psql($node, $_[0]); }

# batch: columns of a run's only delete batch.
sub batch
{
	my ($run, $columns) = @_;

	return value("SELECT $columns FROM sync_deletes WHERE run_id = $run");
}

sub deleted_ids
{
	my ($run) = @_;

	return join ' ', split /\n/,
	  value("SELECT record_id FROM sync_delete_candidates c JOIN sync_deletes b USING (batch)
		WHERE b.run_id = $run AND c.status = 'deleted' ORDER BY record_id COLLATE \"C\"");
}

# ---- Soft, as by default ---------------------------------------------------

my $org = new_org();
sync($org, 'Person', 'Email');
my $run = reconcile($org, 'succeeded', 'nothing is gone', 'Person', 'Email');
is(value('SELECT count(*) FROM sync_deletes'), 0, 'nothing is gone: there is no batch');
is(value("SELECT entity, seen, missing, fetched, deleted FROM sync_jobs WHERE run_id = $run ORDER BY entity COLLATE \"C\""),
	join("\n", map { "$_|" . record_count($node, $org, $_) . '|0|0|0' } qw(Email Person)), 'nothing is gone: all ids were seen, and none fetched');
is(value("SELECT count(*) FROM sync_status WHERE org = '$org' AND last_reconcile_at IS NOT NULL"), 2, 'nothing is gone: ... and when is noted');
is(value('SELECT count(*) FROM sync_engine.seen_page'), 0, 'nothing is gone: seen ids go with the job');

my @gone = mutate($org, 'Person', op => 'delete', count => 5);
$run = reconcile($org, 'succeeded', 'soft', 'Person');
is(deleted_ids($run), "@gone", 'soft: those that are gone are deleted');
is(batch($run, 'status, source, behaviour, candidates, deleted, stored, seen'),
	join('|', qw(applied reconcile soft 5 5), $people, $people - 5), 'soft: the batch says so');
is(value("SELECT count(*) FROM pco_people.person WHERE org = '$org' AND _deleted_at IS NOT NULL AND _hash IS NULL
	AND _deleted_by = 'batch ' || (SELECT batch FROM sync_deletes WHERE run_id = $run)"), 5, 'soft: rows have tombstones');
is(value("SELECT deleted FROM sync_jobs WHERE run_id = $run"), 5, 'soft: the job counts them');
is(value("SELECT rows FROM sync_status WHERE org = '$org' AND entity = 'Person'"), $people - 5, 'soft: and so does sync_status');
is_complete($node, $org, 'soft', 'Person');


# Nothing is done twice.
my $versions = row_versions($node, $org, 'Person');
$run = reconcile($org, 'succeeded', 'soft again', 'Person');
is(batch($run, 'count(*)'), 0, 'soft again: tombstones are no candidates');
is(row_versions($node, $org, 'Person'), $versions, 'soft again: no row is written');

# ---- What the rows say, and ids that are missing ---------------------------

# Few are asked for one by one, without a full sync.
mutate($org, 'Person', op => 'insert', count => 3);
$run = reconcile($org, 'succeeded', 'few are missing', 'Person');
is(value("SELECT missing, fetched, inserted FROM sync_jobs WHERE run_id = $run"), '3|3|3', 'few are missing: they are fetched');
is_complete($node, $org, 'few are missing', 'Person');

# Many come with a full sync, which is enqueued.
mutate($org, 'Person', op => 'insert', count => 120);
$run = reconcile($org, 'succeeded', 'many are missing', 'Person');
is(value("SELECT missing, fetched FROM sync_jobs WHERE run_id = $run"), '120|0', 'many are missing: their number is told');
wait_for(sub { value("SELECT count(*) FROM sync_runs WHERE org = '$org' AND run_id > $run AND mode = 'full' AND status = 'succeeded'") },
	60, 'many are missing: a full run was enqueued');
is_complete($node, $org, 'many are missing', 'Person');

# ---- Undo, and what the next reconcile makes of it -------------------------

@gone = mutate($org, 'Person', op => 'delete', count => 4);
$run = reconcile($org, 'succeeded', 'undo', 'Person');
my $batch = batch($run, 'batch');
is(value("SELECT sync_deletes_undo($batch)"), 4, 'undo: brings the rows back');
is(batch($run, 'status, decided_by IS NOT NULL'), 'undone|t', 'undo: the batch says so');
is(value("SELECT count(*) FROM pco.person WHERE org = '$org' AND id IN ('" . join("', '", @gone) . "')"), 4, 'undo: they are live');
is(value("SELECT rows = (SELECT count(*) FROM pco.person WHERE org = '$org') FROM sync_status WHERE org = '$org' AND entity = 'Person'"), 't', 'undo: sync_status counts them');
$run = reconcile($org, 'succeeded', 'after an undo', 'Person');
is(batch($run, 'count(*)'), 0, 'after an undo: they are not proposed again');

# ... before the API has shown one of them.
mutate($org, 'Person', op => 'restore', id => $gone[0]);
sync($org, 'Person');
mutate($org, 'Person', op => 'delete', id => $gone[0]);
$run = reconcile($org, 'succeeded', 'shown after an undo', 'Person');
is(deleted_ids($run), $gone[0], 'shown after an undo: it can be deleted again');

# ---- Hard ------------------------------------------------------------------

$org = new_org(delete_behaviour => 'hard');
sync($org, 'Person');
@gone = mutate($org, 'Person', op => 'delete', count => 3);
my $ids = "'" . join("', '", @gone) . "'";
my $images = value("SELECT to_jsonb(p) FROM pco_people.person p WHERE org = '$org' AND id IN ($ids) ORDER BY id");
$run = reconcile($org, 'succeeded', 'hard', 'Person');
is(batch($run, 'behaviour, deleted'), 'hard|3', 'hard: the batch says so');
is(value("SELECT count(*) FROM pco_people.person WHERE org = '$org' AND id IN ($ids)"), 0, 'hard: the rows are gone');
is_complete($node, $org, 'hard', 'Person');
$batch = batch($run, 'batch');
is(value("SELECT sync_deletes_undo($batch)"), 3, 'hard: undo brings them back');
is(value("SELECT to_jsonb(p) FROM pco_people.person p WHERE org = '$org' AND id IN ($ids) ORDER BY id"), $images, 'hard: ... as they were');

# ---- Archive ---------------------------------------------------------------

$org = new_org(delete_behaviour => 'archive');
sync($org, 'Person');
@gone = mutate($org, 'Person', op => 'delete', count => 3);
$ids = "'" . join("', '", @gone) . "'";
$images = value("SELECT to_jsonb(p) FROM pco_people.person p WHERE org = '$org' AND id IN ($ids) ORDER BY id");
$run = reconcile($org, 'succeeded', 'archive', 'Person');
is(batch($run, 'behaviour, deleted'), 'archive|3', 'archive: the batch says so');
is(value("SELECT count(*) FROM pco_people.person WHERE org = '$org' AND id IN ($ids)"), 0, 'archive: the rows are gone');
is(value("SELECT count(*) FROM pco_people.person_archive WHERE org = '$org' AND id IN ($ids) AND _deleted_at IS NOT NULL"), 3, 'archive: ... to the archive');
is_complete($node, $org, 'archive', 'Person');
$batch = batch($run, 'batch');
is(value("SELECT sync_deletes_undo($batch)"), 3, 'archive: undo brings them back');
is(value("SELECT to_jsonb(p) FROM pco_people.person p WHERE org = '$org' AND id IN ($ids) ORDER BY id"), $images, 'archive: ... as they were');
is(value("SELECT count(*) FROM pco_people.person_archive WHERE org = '$org'"), 0, 'archive: ... and the archive has them no more');

# A column that the table gets later is in the archive, too.
value('ALTER TABLE pco_people.person ADD COLUMN of_ours int');
@gone = mutate($org, 'Person', op => 'delete', count => 1);
value("UPDATE pco_people.person SET of_ours = 7 WHERE org = '$org' AND id = '$gone[0]'");
$run = reconcile($org, 'succeeded', 'archive with a new column', 'Person');
is(value("SELECT of_ours FROM pco_people.person_archive WHERE org = '$org' AND id = '$gone[0]'"), 7, 'archive with a new column: has it');

# ---- Thresholds, approve and reject ----------------------------------------

$org = new_org();
sync($org, 'Person');
@gone = mutate($org, 'Person', op => 'delete', count => 40);
$run = reconcile($org, 'held', 'more than a tenth', 'Person');
like(batch($run, 'status, reason'), qr/^held\|40 of 300 records are missing, more than 10 %/, 'more than a tenth: the batch waits and says why');
like(value("SELECT error, hint FROM sync_jobs WHERE run_id = $run"), qr/is held.*sync_deletes_approve\(/, 'more than a tenth: the job says what to do');
like(value("SELECT status, error FROM sync_status WHERE org = '$org' AND entity = 'Person'"), qr/^held\|delete batch \d+ is held/, 'more than a tenth: sync_status tells it');
is(value("SELECT count(*) FROM pco.person WHERE org = '$org'"), $people, 'more than a tenth: no row is touched');

# A later reconcile takes its place.
my $second = reconcile($org, 'held', 'held again', 'Person');
is(batch($run, 'status'), 'replaced', 'held again: the first batch is replaced');
$batch = batch($second, 'batch');
is(value("SELECT sync_deletes_approve($batch)"), 40, 'approve: deletes them, and says how many');
is(batch($second, 'status, deleted, decided_by IS NOT NULL'), 'applied|40|t', 'approve: the batch says so');
is_complete($node, $org, 'approve', 'Person');
is(value("SELECT count(*) FROM sync_engine.delete_candidate WHERE batch = $batch AND detail LIKE '%404%'"), 40, 'approve: each was confirmed again');

mutate($org, 'Person', op => 'delete', count => 30);
$run = reconcile($org, 'held', 'reject', 'Person');
$batch = batch($run, 'batch');
is(value("SELECT sync_deletes_reject($batch)"), 30, 'reject: says how many rows stay');
is(batch($run, 'status'), 'rejected', 'reject: the batch says so');
$run = reconcile($org, 'succeeded', 'after a reject', 'Person');
is(batch($run, 'count(*)'), 0, 'after a reject: they are not proposed again');

# What the organisation says counts.
$org = new_org(delete_threshold_count => 2, delete_threshold_percent => 100);
sync($org, 'Person');
mutate($org, 'Person', op => 'delete', count => 3);
$run = reconcile($org, 'held', 'a count of its own', 'Person');
is(batch($run, 'reason'), '3 records are missing, more than 2', 'a count of its own: is heeded');
connect_org($node, $simulator, $org, delete_threshold_percent => 0);
mutate($org, 'Person', op => 'restore');
mutate($org, 'Person', op => 'restore');
$run = reconcile($org, 'held', 'a share of its own', 'Person');
is(batch($run, 'reason'), "1 of $people records are missing, more than 0 %", 'a share of its own: is heeded');

# ---- What cannot be done with a batch --------------------------------------

my $session = tolerant_session($node);
for my $case (
	[ 'approve', '999999', '42704', 'does not exist' ],
	[ 'reject', '999999', '42704', 'does not exist' ],
	[ 'undo', '999999', '42704', 'does not exist' ],
	[ 'undo', batch($run, 'batch'), '55000', 'is held, not applied' ],
	[ 'approve', batch($second, 'batch'), '55000', 'is applied, not held' ],
	[ 'reject', batch($second, 'batch'), '55000', 'is applied, not held' ],
	[ 'approve', 'NULL', '22004', 'must not be null' ])
{
	my ($what, $number, $sqlstate, $message) = @$case;
	my (undef, $error) = ask($session, "SELECT sync_deletes_$what($number)");

	like($error, qr/$sqlstate.*\Q$message\E/s, "sync_deletes_$what of a batch that $message");
}
$session->quit;
is(value("SELECT count(*) FROM pg_proc WHERE proname LIKE 'sync_deletes%' AND proacl IS NOT NULL
	AND NOT has_function_privilege('public', oid, 'EXECUTE')"), 3, 'nobody may decide who was not allowed to');

# ---- Where there is no path by id: a second complete read ------------------

$org = new_org();
sync($org, 'HouseholdMembership');
@gone = mutate($org, 'HouseholdMembership', op => 'delete', count => 3);
$run = reconcile($org, 'succeeded', 'without a path by id', 'HouseholdMembership');
is(deleted_ids($run), "@gone", 'without a path by id: those are deleted that a second read did not show either');
is(value("SELECT mode FROM sync_jobs WHERE run_id = $run AND entity = 'Household'"), 'full', 'without a path by id: the parent is read in full');
is_complete($node, $org, 'without a path by id', 'HouseholdMembership', 'Household');

# The children of a parent that is gone are not walked to.
mutate($org, 'Household', op => 'delete', count => 2);
reconcile($org, 'succeeded', 'parents that are gone', 'Household', 'HouseholdMembership');
is_complete($node, $org, 'parents that are gone', 'HouseholdMembership', 'Household');

# ---- Revive ----------------------------------------------------------------

# Within replica_lag a list that shows a deleted record may be old; a GET is not.
$org = new_org();
sync($org, 'Person');
@gone = mutate($org, 'Person', op => 'delete', count => 1);
reconcile($org, 'succeeded', 'revive', 'Person');
mutate($org, 'Person', op => 'restore', id => $gone[0]);
$run = sync($org, 'Person');
is(value("SELECT unchanged FROM sync_jobs WHERE run_id = $run"), $people, 'revive: a list alone does not bring it back so soon');
is(value("SELECT count(*) FROM pco.person WHERE org = '$org' AND id = '$gone[0]'"), 0, 'revive: ... it stays deleted');
$run = reconcile($org, 'succeeded', 'revive by a GET', 'Person');
is(value("SELECT missing, fetched, updated FROM sync_jobs WHERE run_id = $run"), '1|1|1', 'revive by a GET: it is asked for');
is_complete($node, $org, 'revive by a GET', 'Person');

# Later any page does, also with equal content.
@gone = mutate($org, 'Person', op => 'delete', count => 1);
reconcile($org, 'succeeded', 'revive later', 'Person');
mutate($org, 'Person', op => 'restore', id => $gone[0]);
value("UPDATE pco_people.person SET _deleted_at = now() - interval '1 day' WHERE org = '$org' AND id = '$gone[0]'");
sync($org, 'Person');
is_complete($node, $org, 'revive later', 'Person');

# What was merged into another stays so, whatever a list says.
value("UPDATE pco_people.person SET _deleted_at = now() - interval '1 day', _deleted_by = 'merge into 1'
	WHERE org = '$org' AND id = '$gone[0]'");
sync($org, 'Person');
is(value("SELECT count(*) FROM pco.person WHERE org = '$org' AND id = '$gone[0]'"), 0, 'a merged record: no list brings it back');

# ---- A lane that is killed, in each phase ------------------------------------

# stands: wait until the run's job for the entity is in that phase.
sub stands
{
	my ($run, $entity, $phase) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return wait_for(
		sub {
			psql_if_up($node, "SELECT status = 'running' AND position LIKE 'phase=$phase %' FROM sync_engine.job
				WHERE run_id = $run AND entity = '$entity'") eq 't';
		},
		60, "$phase: the job is there");
}

for my $case (
	[ 'read',    'Person', 'slow' ],
	[ 'prove',   'Person', 'hang', '/people/v2/me' ],
	[ 'judge',   'Person', 'lock', 'sync_engine.delete_candidate' ],
	[ 'fetch',   'Person', 'hang', '/people/v2/people/' ],
	[ 'confirm', 'Person', 'hang', '/people/v2/people/' ],
	[ 'apply',   'Person', 'lock', 'pco_people.person' ],
	[ 'again',   'HouseholdMembership', 'slow' ])
{
	my ($phase, $entity, $how, $what) = @$case;

	$org = new_org();
	sync($org, $entity);
	@gone = mutate($org, $entity, op => 'delete', count => 4);
	mutate($org, $entity, op => 'insert', count => 2) if $phase eq 'fetch';

	my $blocker = background_psql($node);
	$simulator->post('latency', ms => 300) if $how eq 'slow';
	$simulator->post('fault', org => $org, path => $what, kind => 'hang', count => 0) if $how eq 'hang';
	$blocker->query("BEGIN; LOCK TABLE $what IN SHARE MODE") if $how eq 'lock' && $phase eq 'apply';
	$blocker->query("BEGIN; LOCK TABLE $what IN EXCLUSIVE MODE") if $how eq 'lock' && $phase eq 'judge';
	$run = start_sync($node, $org, [$entity], mode => 'reconcile');
	if ($how eq 'lock')
	{
		# A job that waits for a lock is given back, and taken again.
		wait_for(
			sub { value("SELECT position LIKE 'phase=$phase %' AND attempts > 0 FROM sync_engine.job WHERE run_id = $run AND entity = '$entity'") eq 't' },
			60, "$phase: the job waits there");
		my ($lane) = lane_pids($node);
		is(kill(KILL => $lane), 1, "$phase: the lane is killed");
		wait_for(sub { psql_if_up($node, 'SELECT 1') eq '1' }, 60, "$phase: the server is up again");
		eval { $blocker->quit };
	}
	else
	{
		stands($run, $entity, $phase);
		kill_lane_of($node, $run, $entity, "$phase: the lane");
		$blocker->{run}->kill_kill;
	}
	$simulator->post('latency', ms => 0);
	$simulator->post('fault/clear');
	run_ends($node, $run, 'succeeded', 100, "$phase: the run goes on, and succeeds");
	is(deleted_ids($run), "@gone", "$phase: those are deleted that are gone");
	is(value("SELECT count(*) FROM sync_deletes WHERE run_id = $run AND status = 'applied'"), 1, "$phase: by one batch");
	is_complete($node, $org, $phase, $entity);
}

done_testing();
