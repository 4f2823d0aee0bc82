# Merges of people: the removed person is gone, whatever pages say and in whatever
# order things arrive; its children live on, with the kept one; any old id leads to
# the living person.

use strict;
use warnings FATAL => 'all';

use POSIX qw(strftime);
use SyncEngineTest;

my @children = qw(Email PhoneNumber Address FieldDatum);
my $lag = 1;
my $sim = start_simulator(people => 300, orgs => 2, rate_limit => 0);
my $node = new_cluster(conf => { 'sync_engine.replica_lag' => "${lag}s" });

connect_org($node, $sim, $_) for qw(org1 org2);

sub sql { return safe_psql($node, $_[0]); }

# sync: a run of these entities of an org, which succeeds.
sub sync
{
	my ($name, $org, @entities) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $run = start_sync($node, $org, \@entities, mode => 'full');

	run_ends($node, $run, 'succeeded', 60, $name);
	return $run;
}

# merge: the API merges one person into another; the merger's id.
sub merge
{
	my ($org, $keep, $remove, @more) = @_;

	return $sim->post('merge', org => $org, keep => $keep, remove => $remove, @more)->{merger};
}

# tombstone: what became of a person's row.
sub tombstone
{
	my ($org, $id) = @_;

	return sql(qq{SELECT _deleted_at IS NOT NULL, _deleted_by, _hash IS NULL FROM pco_people.person
		WHERE (org, id) = ('$org', '$id')});
}

# children_are_read: the runs that merges have asked for have ended well.
sub children_are_read
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	wait_for(
		sub { sql(q{SELECT count(*) FROM sync_runs WHERE kind = 'children' AND status IN ('queued', 'running')}) eq '0' },
		30, "$name: what the merge has asked for has ended");
	is(sql(q{SELECT string_agg(error, ' ') FROM sync_runs WHERE kind = 'children' AND status <> 'succeeded'}),
		'', "$name: and well");
	return;
}

sub rows_are_counted
{
	my ($org, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is(sql("SELECT rows FROM sync_status WHERE (org, entity) = ('$org', 'Person')"),
		sql("SELECT count(*) FROM pco.person WHERE org = '$org'"), "$name: live rows are counted");
	return;
}

sub living { return sql("SELECT sync_living_id('$_[0]', '$_[1]')"); }

# ---- Before there is any table -------------------------------------------------

is(sql('SELECT count(*) FROM sync_merged_people'), 0, 'the view is there before the first sync');
is(living('org1', '7'), 7, 'who was never merged is still the same');

sync('the log of mergers comes first', 'org1', 'PersonMerger');
is(sql(q{SELECT to_regclass('pco_people.person')}), '', 'when there is no table of people yet');
is( sql(q{SELECT count(*) FROM sync_merged_people WHERE org = 'org1'}),
	record_count($node, 'org1', 'PersonMerger'),
	'and each merger is known');

my $merged = sql(q{SELECT min(old_id) FROM sync_merged_people});
is(sql("SELECT living_id, is_live FROM sync_merged_people WHERE old_id = '$merged'"),
	living('org1', $merged) . '|', 'whether the living one is stored cannot be told yet');

# ---- One merge -------------------------------------------------------------------

sync('everything', 'org1', 'Person', @children, 'PersonMerger');
is_complete($node, 'org1', 'at first', 'Person', @children);
is(sql(q{SELECT count(*) FROM sync_runs WHERE kind = 'children'}), 0, 'merges of long ago ask for nothing');

my @people = split /\n/, sql(q{SELECT id FROM pco.person p WHERE org = 'org1'
	AND (SELECT count(*) FROM pco.email e WHERE (e.org, e.person_id) = (p.org, p.id)) > 0
	AND (SELECT count(*) FROM pco.phone_number n WHERE (n.org, n.person_id) = (p.org, p.id)) > 0
	ORDER BY id::bigint LIMIT 30});
my ($kept, $gone) = splice @people, 0, 2;
my $emails = sql("SELECT string_agg(id, ' ' ORDER BY id) FROM pco.email WHERE (org, person_id) = ('org1', '$gone')");
my $count = sql('SELECT count(*) FROM pco.email');

merge('org1', $kept, $gone);
sync('the log tells of a merge', 'org1', 'PersonMerger');
is(tombstone('org1', $gone), "t|merge into $kept|t", 'the tombstone names the kept person');
is(tombstone('org1', $kept), 'f||f', 'who lives');
rows_are_counted('org1', 'after a merge');
is(living('org1', $gone), $kept, 'the old id leads to the living person');
is(sql("SELECT living_id, kept_id, is_live FROM sync_merged_people WHERE (org, old_id) = ('org1', '$gone')"),
	"$kept|$kept|t", 'also in the view');
is(living('org2', $gone), $gone, 'in another organisation that is somebody else');
is(sql('SELECT count(*) FROM pco.email'), $count, 'children are not deleted with the person');

children_are_read('a merge');
is_complete($node, 'org1', 'after a merge', 'Person', @children);
is(sql("SELECT count(*) FROM pco.email WHERE (org, person_id) = ('org1', '$kept') AND id = ANY (string_to_array('$emails', ' '))"),
	scalar(split ' ', $emails), 'children are with the kept person, whose stamps have not moved');
is(sql(q{SELECT sum(requests) FROM sync_runs WHERE kind = 'children'}), 1, 'by one request');
is(sql("SELECT array_agg(entity) FROM sync_jobs WHERE strategy = 'children'"), qq({"children of Person $kept"}),
	'for the person that was kept');

my $versions = row_versions($node, 'org1', 'Person', @children);
sync('the log again', 'org1', 'PersonMerger');
is(row_versions($node, 'org1', 'Person', @children), $versions, 'a merger that is known changes nothing');
is(sql(q{SELECT count(*) FROM sync_runs WHERE kind = 'children'}), 1, 'and asks for nothing');

# ---- Chains ------------------------------------------------------------------------

# In the same second, and the later merger arrives first.
my ($first, $second, $last) = splice @people, 0, 3;
my $now = strftime('%Y-%m-%dT%H:%M:%SZ', gmtime);
my $early = merge('org1', $second, $first, at => $now);
my $late = merge('org1', $last, $second, at => $now);

is(sql("SELECT sync_record('org1', 'PersonMerger', '$late')"), 'inserted', 'the end of a chain is known first');
is(tombstone('org1', $second), "t|merge into $last|t", 'its person is gone');
is(living('org1', $first), $first, 'nothing is known of the other yet');
is(sql("SELECT sync_record('org1', 'PersonMerger', '$early')"), 'inserted', 'then its beginning');
is(tombstone('org1', $first), "t|merge into $second|t", 'a tombstone names the person it was merged into');
is(join(' ', map { living('org1', $_) } $first, $second, $last), "$last $last $last", 'all lead to the living person');
is(sql("SELECT string_agg(old_id || '>' || living_id, ' ' ORDER BY old_id) FROM sync_merged_people
		WHERE old_id IN ('$first', '$second')"),
	join(' ', map { "$_>$last" } sort $first, $second), 'also in the view');
children_are_read('a chain');
is_complete($node, 'org1', 'after a chain', 'Person', @children);

# Onto the end of one that is known.
my ($later) = splice @people, 0, 1;
merge('org1', $later, $last);
sync('the end of the chain is merged, too', 'org1', 'PersonMerger');
is(join(' ', map { living('org1', $_) } $first, $second, $last), "$later $later $later", 'the chain is longer now');
children_are_read('a longer chain');
is_complete($node, 'org1', 'after a longer chain', 'Person', @children);

sql(q{INSERT INTO sync_engine.person_merge VALUES ('org1', 'm1', 'x', 'y', now()), ('org1', 'm2', 'y', 'x', now()),
	('org1', 'm3', 'w', 'x', now())});
is(sql(q{SELECT old_id, living_id IS NULL FROM sync_merged_people WHERE old_id IN ('x', 'y', 'w') ORDER BY 1}),
	"w|t\nx|t\ny|t", 'a circle comes to an end, in nobody');
is(living('org1', 'w'), '', 'and so it does for one id');
sql(q{DELETE FROM sync_engine.person_merge WHERE merger_id LIKE 'm_'});

# ---- Pages that do not know of the merge -------------------------------------------

sub person_is_shown_by_stale_pages
{
	my ($org, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$sim->post('fault', path => '/people/v2/people?', kind => 'stale', count => 0);
	my $run = sync($name, $org, 'Person');
	$sim->post('fault/clear');
	cmp_ok(sql("SELECT sum(fetched) FROM sync_jobs WHERE run_id = $run"), '>', record_count($node, $org, 'Person'),
		"$name: and they showed people who are gone");
	return;
}

my ($stale_kept, $stale_gone) = splice @people, 0, 2;
merge('org1', $stale_kept, $stale_gone);
sync('the log, before a page of a lagging replica', 'org1', 'PersonMerger');
$versions = sql("SELECT xmin FROM pco_people.person WHERE (org, id) = ('org1', '$stale_gone')");
person_is_shown_by_stale_pages('org1', 'people from a lagging replica');
is(tombstone('org1', $stale_gone), "t|merge into $stale_kept|t", 'no page brings the removed person back');
is(sql("SELECT xmin FROM pco_people.person WHERE (org, id) = ('org1', '$stale_gone')"), $versions,
	'nor writes to the tombstone');
rows_are_counted('org1', 'after stale pages');
sync('people again', 'org1', 'Person');
is_complete($node, 'org1', 'after stale pages', 'Person');

# The same when the person was never stored: the log was there before the people.
my ($id_kept, $id_gone) = map { $_->{id} } @{ $sim->list('org2', '/people/v2/people?per_page=2')->{data} };
merge('org2', $id_kept, $id_gone);
sync('the log comes first in the other organisation', 'org2', 'PersonMerger');
person_is_shown_by_stale_pages('org2', 'then its people from a lagging replica');
is(sql("SELECT count(*) FROM pco_people.person WHERE (org, id) = ('org2', '$id_gone')"), 0,
	'who was merged before is never stored');
sync('people of the other organisation', 'org2', 'Person');
is_complete($node, 'org2', 'log before people', 'Person');
is(living('org2', $id_gone), $id_kept, 'and leads to the living person');

# ---- Only a request for the person itself brings it back -------------------------------

my ($alive, $other) = splice @people, 0, 2;
my ($false_merger) = @{ $sim->post('mutate', org => 'org1', entity => 'PersonMerger', op => 'insert') };
$sim->post('mutate', org => 'org1', entity => 'PersonMerger', op => 'update', id => $false_merger,
	attr => 'person_to_remove', value => $alive);
$sim->post('mutate', org => 'org1', entity => 'PersonMerger', op => 'update', id => $false_merger,
	attr => 'person_to_keep', value => $other);
sync('the log tells of somebody whom the API still has', 'org1', 'PersonMerger');
is(tombstone('org1', $alive), "t|merge into $other|t", 'the merge counts');
sync('the list shows the person', 'org1', 'Person');
is(tombstone('org1', $alive), "t|merge into $other|t", 'it counts more than a list');
is(sql("SELECT sync_record('org1', 'Person', '$alive')"), 'updated', 'the person itself is asked for');
is(tombstone('org1', $alive), 'f||f', 'and lives again') or diag(sql("SELECT _hash FROM pco_people.person WHERE id = '$alive'"));
is(living('org1', $alive), $alive, 'under its own id');
rows_are_counted('org1', 'after a revival');
sync('people and log again', 'org1', 'Person', 'PersonMerger');
is_complete($node, 'org1', 'after a revival', 'Person');

# The API has it no more after all.
merge('org1', $other, $alive);
is(sql("SELECT sync_record('org1', 'Person', '$alive')"), 'updated', 'what is gone after all has been merged');
is(tombstone('org1', $alive), "t|merge into $other|t", 'the merge stands again');
is(living('org1', $alive), $other, 'and leads to the living person');
is(sql("SELECT sync_record('org1', 'Person', '$alive')"), 'unchanged', 'once');
rows_are_counted('org1', 'after a merge that stands again');

# ---- A deletion that was proposed before the merge was known -------------------------

my ($candidate_kept, $candidate) = splice @people, 0, 2;
merge('org1', $candidate_kept, $candidate);
is(sql("SELECT sync_record('org1', 'Person', '$candidate')"), 'candidate', 'nobody knows yet why a person is gone');
sync('the log tells why', 'org1', 'PersonMerger');
is(sql("SELECT status, detail FROM sync_engine.delete_candidate WHERE record_id = '$candidate'"),
	"struck|merge into $candidate_kept", 'it is nothing to decide about any more');
is(tombstone('org1', $candidate), "t|merge into $candidate_kept|t", 'it was a merge');
is(sql("SELECT sync_record('org1', 'Person', '$candidate')"), 'unchanged', 'and is no candidate again');

# ---- Somebody has locked the people ------------------------------------------------------

my ($locked_kept, $locked) = splice @people, 0, 2;
my $session = background_psql($node);
$session->query_safe('BEGIN; LOCK TABLE pco_people.person IN SHARE MODE');
my $pid = $session->query_safe('SELECT pg_backend_pid()');
my $mergers = sql('SELECT count(*) FROM pco_people.person_merger');
merge('org1', $locked_kept, $locked);
my $run = start_sync($node, 'org1', ['PersonMerger']);
wait_for(
	sub { sql("SELECT error FROM sync_jobs WHERE run_id = $run") =~ /table "person" is locked by process $pid/ },
	30, 'a page of the log waits for the table of people, and says for whom');
is(sql('SELECT count(*) FROM pco_people.person_merger'), $mergers, 'nothing of it is written before');
is(living('org1', $locked), $locked, 'nor known');
$session->query_safe('COMMIT');
$session->quit;
run_ends($node, $run, 'succeeded', 30, 'then it goes on');
is(tombstone('org1', $locked), "t|merge into $locked_kept|t", 'and the person is gone');

# ---- Two lanes at once -----------------------------------------------------------------------

# A page of people and one of the log keep each other out: while either is being
# written, its lane has the lock of the organisation's merges.
my ($lock_kept, $lock_gone, $changed) = splice @people, 0, 3;
sql(q{CREATE FUNCTION wait_here() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NEW; END $$});
sql(q{CREATE TRIGGER wait_here BEFORE INSERT OR UPDATE ON pco_people.person FOR EACH ROW EXECUTE FUNCTION wait_here()});

sub lock_is_held
{
	my ($mode, $entity, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $holder = background_psql($node);

	$holder->query_safe('SELECT pg_advisory_lock(42)');
	my $waiting = start_sync($node, 'org1', [$entity], mode => 'full');
	wait_for(
		sub { sql(q{SELECT mode FROM pg_locks WHERE locktype = 'advisory' AND objsubid = x'534d'::int AND granted}) eq $mode },
		30, $name);
	$holder->quit;
	run_ends($node, $waiting, 'succeeded', 30, "$name: then it goes on");
	return;
}

$sim->post('mutate', org => 'org1', entity => 'Person', op => 'update', id => $changed, attr => 'first_name', value => 'Kim');
lock_is_held('ShareLock', 'Person', 'whoever writes people shares the lock with others who do');
merge('org1', $lock_kept, $lock_gone);
lock_is_held('ExclusiveLock', 'PersonMerger', 'whoever buries them has it alone');
sql('DROP TRIGGER wait_here ON pco_people.person');
is(tombstone('org1', $lock_gone), "t|merge into $lock_kept|t", 'and the person is gone');

# ---- In the end -----------------------------------------------------------------------------

children_are_read('in the end');
sync('everything again', 'org1', 'Person', @children, 'PersonMerger');
is_complete($node, 'org1', 'in the end', 'Person', @children, 'PersonMerger');

my $dumped = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->command_ok([ 'pg_dump', '--data-only', '--table', 'sync_engine.person_merge', '-f', $dumped, $node->connstr('sync') ],
	'a dump is made');
like(PostgreSQL::Test::Utils::slurp_file($dumped), qr/\t\Q$gone\E\t\Q$kept\E\t/, 'and carries the merges');

done_testing();
