# Not one row is deleted that the API still has, whatever happens: each case by
# its name.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;
use Test::More;

my $people = 300;

my $simulator = start_simulator(people => $people, orgs => 50, rate_limit => 0);
my $node = new_cluster(init => { allows_streaming => 1 });
my $used = 0;

sub new_org { return connect_org($node, $simulator, 'org' . ++$used, @_); }

# An organisation of another size.
sub org_of
{
	my ($size) = @_;
	my $org = 'org' . ++$used;

	$simulator->post('org', org => $org, people => $size);
	return connect_org($node, $simulator, $org);
}

sub value { return safe_psql($node, $_[0]); }

sub start
{
	my ($org, $mode, @entities) = @_;

	return start_sync($node, $org, \@entities, mode => $mode);
}

sub ends
{
	my ($run, $status) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	run_ends($node, $run, $status, 100, "the run ends $status");
	return $run;
}

sub sync      { return ends(start($_[0], 'full', @_[ 1 .. $#_ ]), 'succeeded'); }
sub reconcile { return ends(start($_[0], 'reconcile', @_[ 2 .. $#_ ]), $_[1]); }

sub mutate
{
	my ($org, $entity, @how) = @_;
	my $ids = $simulator->post('mutate', org => $org, entity => $entity, @how);

	return sort @$ids;
}

# batch: columns of a run's batch; empty if it has none.
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

# live_rows_stay: each record that the API has, and that was stored, is live.
sub live_rows_stay
{
	my ($org, $entity) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $truth = join ', ', map { "'$_'" } split /\n/, $simulator->get('oracle', org => $org, entity => $entity, columns => 'id');
	my $table = data_table($entity);

	is(value("SELECT count(*) FROM (VALUES " . join(', ', map { "($_)" } split /, /, $truth) . ") t(id)
			WHERE NOT EXISTS (SELECT 1 FROM $table d WHERE d.org = '$org' AND d.id = t.id AND d._deleted_at IS NULL)"),
		0, "no $entity that the API has is deleted");
	return;
}

# stands: the run's job for the entity has come to that phase.
sub stands
{
	my ($run, $entity, $phase) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return wait_for(
		sub {
			psql_if_up($node, "SELECT position LIKE 'phase=$phase %' FROM sync_engine.job
				WHERE run_id = $run AND entity = '$entity'") eq 't';
		},
		60, "the job comes to phase $phase");
}

subtest 'nothing has changed' => sub {
	my $org = org_of(40);

	# every way to read there is
	$simulator->post('stats/reset');
	sync($org, '*');
	my $asked = $simulator->stats(org => $org)->{by_path};
	my @repeated = grep { m{/me$} && $asked->{$_} > ($_ eq '/people/v2/me' ? value('SELECT count(DISTINCT product) FROM sync_entities') : 1) } sort keys %$asked;
	is("@repeated", '', 'of the jobs of a product one asks what the token may see');
	cmp_ok($asked->{'/people/v2/me'}, '>', 0, 'and it does');
	my $run = reconcile($org, 'succeeded', '*');
	is(value("SELECT count(*) FROM sync_deletes WHERE org = '$org'"), 0, 'no entity has a candidate');
	is(value("SELECT sum(missing), sum(fetched), sum(seen) >= (SELECT sum(rows) FROM sync_status WHERE org = '$org') FROM sync_jobs WHERE run_id = $run"),
		'0|0|t', 'all that is stored is seen, and nothing else');
};

subtest '403' => sub {
	my $org = new_org();

	sync($org, 'Person');
	$simulator->post('permission', org => $org, forbid => 'Person');
	my $run = reconcile($org, 'failed', 'Person');
	is(batch($run, 'count(*)'), 0, 'of the list: there is no batch');
	is_complete($node, $org, '403 of the list', 'Person');

	# ... of the records themselves, two of which are gone
	$simulator->post('permission', org => $org, allow => 'Person');
	my @gone = mutate($org, 'Person', op => 'delete', count => 2);
	$simulator->post('fault', org => $org, path => "/people/v2/people/$gone[1]", kind => '403', count => 0);
	$run = reconcile($org, 'held', 'Person');
	like(batch($run, 'reason'), qr/^1 records could not be confirmed to be gone: .*403/, 'of a record: it is not confirmed, and all wait');
	is(value("SELECT count(*) FROM pco.person WHERE org = '$org'"), $people, 'of a record: no row is touched');
	$simulator->post('fault/clear');
	is(value('SELECT sync_deletes_approve(' . batch($run, 'batch') . ')'), 2, 'of a record: when it is over they can be deleted');
	is_complete($node, $org, '403 of a record', 'Person');
};

subtest 'permission shrink to 10 %' => sub {
	for my $size ($people, 15)
	{
		my $org = org_of($size);

		sync($org, 'Person', 'Email');
		reconcile($org, 'succeeded', 'Person', 'Email');
		$simulator->post('permission', org => $org, visible_percent => 10);

		# whoever looks again sees the same, but that does not make it true
		for my $time (1 .. 3)
		{
			my $run = ends(start($org, 'reconcile', 'Person'), 'held');
			like(batch($run, 'reason'), qr/what the token may see/, "$size people, $time: the batch waits, and says why");
		}
		is_complete($node, $org, "$size people", 'Person', 'Email');
		my $batch = value("SELECT max(batch) FROM sync_deletes WHERE org = '$org' AND status = 'held'");
		$simulator->post('permission', org => $org, visible_percent => 100);
		is(value("SELECT sync_deletes_approve($batch)"), 0, "$size people: approved, but all are there again");
		is_complete($node, $org, "$size people after all", 'Person');
	}
};

# What a user may do is an attribute of the user's own record.
subtest 'permission shrinks a little after the first full' => sub {
	my $org = new_org();
	my $few = 97;

	sync($org, 'Person');
	my $me = value("SELECT min(id::bigint) FROM pco_people.person WHERE org = '$org'");
	mutate($org, 'Person', op => 'update', id => $me, attr => 'people_permissions', value => 'Viewer');
	$simulator->post('permission', org => $org, visible_percent => $few);
	my $run = reconcile($org, 'held', 'Person');
	like(batch($run, 'reason'), qr/^what the token may see has changed since rows were read$/, 'the first reconcile: the batch waits, and says why');

	# whoever reads everything with fewer rights does not make them the measure
	sync($org, 'Person');
	$run = reconcile($org, 'held', 'Person');
	like(batch($run, 'reason'), qr/^what the token may see has changed/, 'the same after another full');
	is_complete($node, $org, 'fewer are seen', 'Person');

	# a batch whose records were there after all says nothing of the next one
	$simulator->post('permission', org => $org, visible_percent => 100);
	is(value('SELECT sync_deletes_approve(' . batch($run, 'batch') . ')'), 0, 'approved, but all are there again');
	$simulator->post('permission', org => $org, visible_percent => $few);
	$run = reconcile($org, 'held', 'Person');
	like(batch($run, 'reason'), qr/^what the token may see has changed/, 'the same after such an approval');

	# the full could not ask
	my $silent = new_org();
	$simulator->post('fault', org => $silent, path => '/people/v2/me', kind => '500', count => 0);
	sync($silent, 'Person');
	$simulator->post('fault/clear');
	$simulator->post('permission', org => $silent, visible_percent => $few);
	$run = reconcile($silent, 'held', 'Person');
	like(batch($run, 'reason'), qr/^what the token might see when rows were read is not known$/, 'it was never known: the batch waits');
	is_complete($node, $silent, 'it was never known', 'Person');

	# where nothing is missing no right was lost: that is the measure from then on
	$simulator->post('permission', org => $silent, visible_percent => 100);
	reconcile($silent, 'succeeded', 'Person');
	my @gone = mutate($silent, 'Person', op => 'delete', count => 2);
	$run = reconcile($silent, 'succeeded', 'Person');
	is(deleted_ids($run), "@gone", 'a reconcile that misses nothing is what later ones are compared with');
};

subtest 'a full that asks what the token may see' => sub {
	my ($alone, $relied, $elsewhere, $restored) = map { new_org() } 1 .. 4;
	my $ask = '/people/v2/me';
	my $not_known = qr/^what the token might see when rows were read is not known$/;

	# it is cancelled before it has read anything
	$simulator->post('fault', org => $alone, path => $ask, kind => 'hang', count => 0);
	my $run = start($alone, 'full', 'Person');
	wait_for(sub { value("SELECT count(*) FROM sync_engine.token_rights WHERE org = '$alone' AND rights LIKE 'asked %'") }, 60, 'it asks');
	value("SELECT sync_cancel($run)");
	ends($run, 'cancelled');
	$simulator->post('fault/clear');
	sync($alone, 'Person');
	my @gone = mutate($alone, 'Person', op => 'delete', count => 2);
	$run = reconcile($alone, 'succeeded', 'Person');
	is(deleted_ids($run), "@gone", 'nobody got an answer, and nobody has read: the next one asks');

	# another has read meanwhile
	$simulator->post('fault', org => $relied, path => $ask, kind => 'hang', count => 0);
	$run = start($relied, 'full', 'Person');
	wait_for(sub { value("SELECT count(*) FROM sync_engine.token_rights WHERE org = '$relied' AND rights LIKE 'asked %'") }, 60, 'it asks');
	sync($relied, 'Campus');
	value("SELECT sync_cancel($run)");
	ends($run, 'cancelled');
	$simulator->post('fault/clear');
	sync($relied, 'Person');
	mutate($relied, 'Campus', op => 'delete', count => 1);
	$run = reconcile($relied, 'held', 'Campus');
	like(batch($run, 'reason'), $not_known, 'nobody got an answer, but somebody has read: the batch waits');

	# an answer that leads elsewhere is none, and no reason not to read
	$simulator->post('fault', org => $elsewhere, path => $ask, kind => 'redirect', count => 0, arg => 'http://127.0.0.1:9');
	sync($elsewhere, 'Person');
	$simulator->post('fault/clear');
	mutate($elsewhere, 'Person', op => 'delete', count => 1);
	$run = reconcile($elsewhere, 'held', 'Person');
	like(batch($run, 'reason'), $not_known, 'it is sent elsewhere: it reads, and the batch waits');

	# rows that are older than all that is noted
	sync($restored, 'Person');
	value("UPDATE pco_people.person SET _synced_at = _synced_at - interval '1 day' WHERE org = '$restored'");
	mutate($restored, 'Person', op => 'delete', count => 1);
	$run = reconcile($restored, 'held', 'Person');
	like(batch($run, 'reason'), $not_known, 'rows of a backup: the batch waits');
	is(value('SELECT sync_deletes_approve(' . batch($run, 'batch') . ')'), 1, 'rows of a backup: until somebody approves');
	@gone = mutate($restored, 'Person', op => 'delete', count => 1);
	$run = reconcile($restored, 'succeeded', 'Person');
	is(deleted_ids($run), "@gone", 'rows of a backup: from then on they are known');
};

subtest 'a right is lost while candidates are confirmed' => sub {
	my $org = new_org();

	sync($org, 'Person');
	my ($gone) = mutate($org, 'Person', op => 'delete', count => 1);
	my $me = value("SELECT min(id::bigint) FROM pco_people.person WHERE org = '$org' AND id <> '$gone'");
	$simulator->post('fault', org => $org, path => "/people/v2/people/$gone", kind => 'hang', count => 1);
	my $run = start($org, 'reconcile', 'Person');
	stands($run, 'Person', 'confirm');
	mutate($org, 'Person', op => 'update', id => $me, attr => 'people_permissions', value => 'Viewer');
	$simulator->post('fault/clear');
	ends($run, 'held');
	like(batch($run, 'reason'), qr/^what the token may see has changed meanwhile$/, 'a 404 of then proves nothing: the batch waits');
};

subtest 'the token cannot be asked what it may see' => sub {
	my $org = new_org();

	sync($org, 'Person');
	mutate($org, 'Person', op => 'delete', count => 1);
	$simulator->post('fault', org => $org, path => '/people/v2/me', kind => '403', count => 0);
	my $run = reconcile($org, 'held', 'Person');
	like(batch($run, 'reason'), qr/could not be read/, 'the batch waits, and says why');
	$simulator->post('fault/clear');
};

subtest 'empty 200' => sub {
	my $org = new_org();

	sync($org, 'Person');
	$simulator->post('fault', org => $org, path => '/people/v2/people', kind => 'empty_200', count => 3);
	my $run = reconcile($org, 'succeeded', 'Person');
	is(batch($run, 'count(*)'), 0, 'an empty body is no list');
	is_complete($node, $org, 'an empty body', 'Person');

	# a list of nothing, which says itself that this is all
	$simulator->post('fault', org => $org, path => '/people/v2/people?', kind => 'empty_list', count => 0);
	$run = reconcile($org, 'held', 'Person');
	like(batch($run, 'reason'), qr/no record at all/, 'an empty list: the batch waits, and says why');
	is(value('SELECT sync_deletes_approve(' . batch($run, 'batch') . ')'), 0, 'an empty list: approved, but each is there');
	$simulator->post('fault/clear');
	is_complete($node, $org, 'an empty list', 'Person');

	# of one parent of many
	my $org2 = new_org();
	sync($org2, 'HouseholdMembership');
	my ($household) = split /\n/, value("SELECT household_id FROM pco_people.household_membership WHERE org = '$org2' LIMIT 1");
	$simulator->post('fault', org => $org2, path => "/people/v2/households/$household/household_memberships",
		kind => 'empty_list', count => 1);
	reconcile($org2, 'succeeded', 'HouseholdMembership');
	is_complete($node, $org2, 'an empty list of one parent', 'HouseholdMembership');
};

subtest 'truncated list' => sub {
	my $org = new_org();

	sync($org, 'Person');
	mutate($org, 'Person', op => 'delete', count => 2);
	$simulator->post('fault', org => $org, path => '/people/v2/people?', kind => 'truncated_list', count => 0);
	my $run = reconcile($org, 'partial', 'Person');
	is(batch($run, 'count(*)'), 0, 'there is no batch');
	like(value("SELECT error FROM sync_jobs WHERE run_id = $run"), qr/^nothing is deleted: the list ended after/, 'the job says why');
	$simulator->post('fault/clear');
	live_rows_stay($org, 'Person');

	# ... of a single page that is whole when it is asked for again
	$simulator->post('fault', org => $org, path => '/people/v2/people?', kind => 'truncated_list', count => 1);
	$run = reconcile($org, 'succeeded', 'Person');
	is(batch($run, 'deleted'), 2, 'read again, it is complete');
	is_complete($node, $org, 'truncated once', 'Person');

	# ... and a list that is not counted can end anywhere
	$simulator->post('hide_meta', org => $org, entity => 'Person', on => 1);
	$run = reconcile($org, 'partial', 'Person');
	is(batch($run, 'count(*)'), 0, 'not counted: there is no batch');
	$simulator->post('hide_meta', org => $org, entity => 'Person', on => 0);
};

subtest 'a record without an id' => sub {
	my $org = new_org();

	sync($org, 'Person');
	my ($id) = split /\n/, $simulator->get('oracle', org => $org, entity => 'Person', columns => 'id');
	$simulator->post('odd', org => $org, entity => 'Person', id => $id, kind => 'null_id');
	my $run = reconcile($org, 'partial', 'Person');
	is(batch($run, 'count(*)'), 0, 'whose record it is cannot be told, so there is no batch');
	$simulator->post('odd', org => $org, entity => 'Person', clear => 1);
	is_complete($node, $org, 'a record without an id', 'Person');
};

subtest 'a path by id that finds nothing' => sub {
	my $org = new_org();

	sync($org, 'Person');
	mutate($org, 'Person', op => 'delete', count => 2);
	value("INSERT INTO sync_engine.manifest_entity (product, entity, get_path) VALUES ('people', 'Person', '/people/v2/persons/{id}')");
	my $run = reconcile($org, 'held', 'Person');
	like(batch($run, 'reason'), qr/404 proves nothing/, 'no 404 is believed where nothing is found');
	live_rows_stay($org, 'Person');
	value("DELETE FROM sync_engine.manifest_entity WHERE source = 'user'");
};

subtest 'ignored filter' => sub {
	# more than a window, so that there is a filter
	my $org = org_of(21_000);

	sync($org, 'Person');
	my @gone = mutate($org, 'Person', op => 'delete', count => 3);
	$simulator->post('ignore', org => $org, entity => 'Person', key => 'where', on => 1);
	my $run = reconcile($org, 'succeeded', 'Person');
	is(deleted_ids($run), "@gone", 'those are deleted that are gone');
	like(value("SELECT strategy_note FROM sync_status WHERE org = '$org' AND entity = 'Person'"), qr/plain offsets/, 'it was noticed');
	is(value("SELECT mode FROM sync_jobs WHERE run_id = $run"), 'reconcile', 'it is still a reconcile');
	live_rows_stay($org, 'Person');

	# heeded, the list is read by windows of created_at, without deep offsets
	$simulator->post('ignore', org => $org, entity => 'Person', key => 'where', on => 0);
	@gone = mutate($org, 'Person', op => 'delete', count => 2);
	$simulator->post('stats/reset');
	my $before = (split /\n/, $simulator->get('log'))[-1];
	$run = reconcile($org, 'succeeded', 'Person');
	is(deleted_ids($run), "@gone", 'heeded: those are deleted that are gone');
	my @lists = grep { m{/people/v2/people\?per_page=100} } split /\n/, $simulator->get('log', after => (split / /, $before)[0]);
	is(scalar(grep { !/fields(\[|%5B)Person(\]|%5D)=created_at/ } @lists), 0, 'heeded: one attribute is asked for');
	is(scalar(grep { /offset=2[1-9]\d\d\d/ } @lists), 0, 'heeded: no offset is deeper than a window');
	ok(scalar(grep { /where(\[|%5B)created_at/ } @lists) > 0, 'heeded: ... and the list is filtered by created_at');
};

subtest 'crash in mid-reconcile' => sub {
	my $org = org_of(3000);

	sync($org, 'Person');
	my @gone = mutate($org, 'Person', op => 'delete', count => 5);
	$simulator->post('latency', ms => 200);
	my $run = start($org, 'reconcile', 'Person');
	wait_for(sub { psql_if_up($node, "SELECT seen > 500 FROM sync_jobs WHERE run_id = $run") eq 't' }, 60, 'some ids were seen');
	$node->stop('immediate');
	$node->start;
	$simulator->post('latency', ms => 0);
	ends($run, 'succeeded');
	is(deleted_ids($run), "@gone", 'those are deleted that are gone');
	is_complete($node, $org, 'crash', 'Person');
};

subtest 'seen ids lost' => sub {
	for my $phase (qw(read prove))
	{
		my $org = org_of(1000);

		sync($org, 'Person');
		my @gone = mutate($org, 'Person', op => 'delete', count => 5);
		# the sixth page of the list, or what is asked after it
		$simulator->post('fault', org => $org, kind => 'hang', count => 0, $phase eq 'read' ?
			(path => '/people/v2/people?', contains => 'offset=495') : (path => '/people/v2/me'));
		my $run = start($org, 'reconcile', 'Person');
		wait_for(sub { value("SELECT seen > 100 FROM sync_jobs WHERE run_id = $run") eq 't' }, 60, "$phase: some ids were seen");
		stands($run, 'Person', $phase);
		is(value("WITH lost AS (DELETE FROM sync_engine.seen_page WHERE page = 1 RETURNING 1) SELECT count(*) FROM lost"), 1, "$phase: a page of them is lost");
		kill_lane_of($node, $run, 'Person', "$phase: the lane") if $phase eq 'read';
		$simulator->post('fault/clear');
		ends($run, 'succeeded');
		is(deleted_ids($run), "@gone", "$phase: those are deleted that are gone");
		is_complete($node, $org, $phase, 'Person');
	}
	is(logged($node, qr/seen ids of Person of org .* were lost/), 2, 'it is noticed, each time');
};

subtest 'a batch approved days later when its rows are back' => sub {
	my $org = new_org();

	sync($org, 'Person');
	my @gone = mutate($org, 'Person', op => 'delete', count => 60);
	my $run = reconcile($org, 'held', 'Person');
	my $batch = batch($run, 'batch');
	value("UPDATE sync_engine.delete_batch SET created_at = created_at - interval '5 days' WHERE batch = $batch");

	# half of them is back, and nobody has looked since
	mutate($org, 'Person', op => 'restore', id => $_) for @gone[ 0 .. 29 ];
	is(value("SELECT sync_deletes_approve($batch)"), 30, 'only those are deleted that are gone still');
	is(deleted_ids($run), "@gone[30 .. 59]", '... exactly those');
	is_complete($node, $org, 'half are back', 'Person');

	# ... or a page has shown them meanwhile
	$org = new_org();
	sync($org, 'Person');
	@gone = mutate($org, 'Person', op => 'delete', count => 60);
	$run = reconcile($org, 'held', 'Person');
	mutate($org, 'Person', op => 'restore', id => $_) for @gone;
	sync($org, 'Person');
	is(value("SELECT count(*) FROM sync_delete_candidates WHERE batch = " . batch($run, 'batch') . " AND status = 'struck'"), 60, 'what a page shows is struck');
	mutate($org, 'Person', op => 'delete', id => $gone[0]);
	is(value('SELECT sync_deletes_approve(' . batch($run, 'batch') . ')'), 0, 'what was struck stays, for it was not missing since');
};

subtest 'undo and the next reconcile' => sub {
	for my $behaviour (qw(soft hard archive))
	{
		my $org = new_org(delete_behaviour => $behaviour);

		sync($org, 'Person');
		my @gone = mutate($org, 'Person', op => 'delete', count => 3);
		my $batch = batch(reconcile($org, 'succeeded', 'Person'), 'batch');
		is(value("SELECT sync_deletes_undo($batch)"), 3, "$behaviour: is undone");
		my $run = reconcile($org, 'succeeded', 'Person');
		is(batch($run, 'count(*)'), 0, "$behaviour: what somebody wanted back is left alone");
		is(value("SELECT count(*) FROM pco.person WHERE org = '$org'"), $people, "$behaviour: ... and live");
	}
};

subtest 'stale replica after a delete' => sub {
	for my $behaviour (qw(soft hard archive))
	{
		my $org = new_org(delete_behaviour => $behaviour);

		sync($org, 'Person');
		my @gone = mutate($org, 'Person', op => 'delete', count => 2);
		reconcile($org, 'succeeded', 'Person');
		$simulator->post('fault', org => $org, path => '/people/v2/people?', kind => 'stale', count => 0);
		my $run = sync($org, 'Person');
		is(value("SELECT count(*) FROM pco.person WHERE org = '$org' AND id IN ('$gone[0]', '$gone[1]')"), 0, "$behaviour: no old list brings them back");
		is(value("SELECT fetched - unchanged FROM sync_jobs WHERE run_id = $run"), 0, "$behaviour: they count as unchanged");

		# an old list of a reconcile proves nothing against the rows
		reconcile($org, 'succeeded', 'Person');
		$simulator->post('fault/clear');
		is_complete($node, $org, "$behaviour, stale", 'Person');
	}
};

subtest 'a row deleted and back with equal content' => sub {
	for my $behaviour (qw(soft hard archive))
	{
		my $org = new_org(delete_behaviour => $behaviour);

		sync($org, 'Person');
		my ($id) = mutate($org, 'Person', op => 'delete', count => 1);
		reconcile($org, 'succeeded', 'Person');
		mutate($org, 'Person', op => 'restore', id => $id);
		reconcile($org, 'succeeded', 'Person');
		is_complete($node, $org, "$behaviour, back", 'Person');
		is(value("SELECT rows FROM sync_status WHERE org = '$org' AND entity = 'Person'"), $people, "$behaviour: it is counted once");
	}
};

subtest 'restore of an old backup' => sub {
	my $org = org_of(1000);

	# a batch waits, and a reconcile is under way, when the backup is made
	sync($org, 'Person');
	my @held = mutate($org, 'Person', op => 'delete', count => 150);
	my $batch = batch(reconcile($org, 'held', 'Person'), 'batch');
	$simulator->post('fault', org => $org, path => '/people/v2/me', kind => 'hang', count => 0);
	my $run = start($org, 'reconcile', 'Person');
	stands($run, 'Person', 'prove');
	value("SELECT pg_switch_wal()");
	$node->backup('old');
	$simulator->post('fault/clear');
	ends($run, 'held');

	# time goes by
	mutate($org, 'Person', op => 'restore', id => $_) for @held;
	mutate($org, 'Person', op => 'insert', count => 30);
	my @gone = mutate($org, 'Person', op => 'delete', count => 4);
	my $old = PostgreSQL::Test::Cluster->new('restored');
	$old->init_from_backup($node, 'old');
	# the copy is made with other rights
	chmod 0600, $old->data_dir . '/sync_engine.key';
	$old->start;
	note_server_of($old, $simulator, $org);
	is(safe_psql($old, "SELECT sync_wait($run, '60 s')"), 'partial', 'the reconcile of then goes on, and proves nothing any more');
	is(safe_psql($old, "SELECT status FROM sync_deletes WHERE batch = $batch"), 'held', 'the batch of then waits still');
	cmp_ok(safe_psql($old, "SELECT sync_deletes_approve($batch)"), '<=', 4, '... approved, it deletes none that is back');
	my $next = start_sync($old, $org, ['Person'], mode => 'reconcile');
	run_ends($old, $next, 'succeeded', 60, 'the next reconcile succeeds');
	is_complete($old, $org, 'restored', 'Person');
	$old->stop;
};

subtest 'another church\'s token under the same org' => sub {
	my $org = new_org();
	my $other = 'org' . ++$used;

	sync($org, 'Person', 'HouseholdMembership');
	my $versions = row_versions($node, $org, 'Person', 'HouseholdMembership', 'Household');
	for my $entity (qw(Person HouseholdMembership))
	{
		value("SELECT sync_connect('$org', '$other-client', '$other-secret', base_url => '" . $simulator->url . "')");
		ends(start($org, 'reconcile', $entity), $entity eq 'Person' ? 'failed' : 'failed');
		is(value("SELECT status FROM sync_orgs WHERE org = '$org'"), 'stopped', "$entity: the organisation is stopped");
	}
	is(value("SELECT count(*) FROM sync_deletes WHERE org = '$org'"), 0, 'there is no batch');
	is(row_versions($node, $org, 'Person', 'HouseholdMembership', 'Household'), $versions, 'no row is touched');
};

subtest 'an entity not selected' => sub {
	my $org = new_org();

	sync($org, 'Person', 'Email', 'HouseholdMembership');
	my $emails = row_versions($node, $org, 'Email');
	mutate($org, 'Person', op => 'delete', count => 4);
	reconcile($org, 'succeeded', 'Person');
	is(row_versions($node, $org, 'Email'), $emails, 'what belongs to a record that is gone is not touched with it');

	# a parent that is only walked
	my @households = mutate($org, 'Household', op => 'delete', count => 2);
	my $run = reconcile($org, 'succeeded', 'HouseholdMembership');
	is(value("SELECT count(*) FROM pco.household WHERE org = '$org' AND id IN ('$households[0]', '$households[1]')"), 2, 'a parent that is only walked stays');
	is(value("SELECT count(*) FROM sync_deletes WHERE run_id = $run AND entity <> 'HouseholdMembership'"), 0, '... and is in no batch');
	live_rows_stay($org, 'HouseholdMembership');
};

subtest 'two reconciles at once' => sub {
	my $org = org_of(2000);

	sync($org, 'Person');
	my @gone = mutate($org, 'Person', op => 'delete', count => 5);
	$simulator->post('latency', ms => 100);
	my @runs = map { start($org, 'reconcile', 'Person') } 1 .. 2;
	ends($_, 'succeeded') for @runs;
	$simulator->post('latency', ms => 0);
	is(value("SELECT count(*) FROM sync_deletes WHERE org = '$org'"), 1, 'there is one batch');
	is(value("SELECT joined_run_id FROM sync_jobs WHERE run_id = $runs[1]"), $runs[0], 'the second shares the result of the first');
	is_complete($node, $org, 'two at once', 'Person');

	# ... and a full sync beside it
	mutate($org, 'Person', op => 'restore', id => $_) for @gone;
	my @more = mutate($org, 'Person', op => 'delete', count => 5);
	@runs = map { start($org, $_, 'Person') } qw(reconcile full reconcile);
	ends($_, 'succeeded') for @runs;
	is(value("SELECT count(*) FROM pco.person WHERE org = '$org' AND id IN ('" . join("', '", @more) . "')"), 0, 'beside a full sync: those are deleted that are gone');
	live_rows_stay($org, 'Person');
};

subtest 'wrong org' => sub {
	for my $path ('/people/v2/people?', '/people/v2/me', '/people/v2/people/')
	{
		my $org = new_org();

		sync($org, 'Person');
		mutate($org, 'Person', op => 'delete', count => 3);
		$simulator->post('fault', org => $org, path => $path, kind => 'wrong_organization', count => 1);
		my $run = reconcile($org, 'failed', 'Person');
		is(value("SELECT status FROM sync_orgs WHERE org = '$org'"), 'stopped', "$path: the organisation is stopped");
		is(value("SELECT coalesce(sum(deleted), 0) FROM sync_deletes WHERE org = '$org'"), 0, "$path: nothing is deleted");
		is(value("SELECT count(*) FROM pco.person WHERE org = '$org'"), $people, "$path: no row is touched");
		$simulator->post('fault/clear');
	}
};

done_testing();
