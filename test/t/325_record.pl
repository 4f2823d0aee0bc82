# sync_record: one record now.  What the API says of it counts, whatever is stored, and
# whatever else is going on.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;

my $sim = start_simulator(people => 1200, rate_limit => 0);
my $node = new_cluster();

connect_org($node, $sim, 'org1', delete_behaviour => 'hard');

sub sql { return safe_psql($node, $_[0]); }

# record: what sync_record says.
sub record
{
	my ($entity, $id) = @_;

	return sql("SELECT sync_record('org1', '$entity', '$id')");
}

# problem: the SQLSTATE, error and hint of what fails.
sub problem
{
	my ($statement) = @_;
	my ($status, undef, $error) = $node->psql('sync', "\\set VERBOSITY verbose\n$statement");

	return $status ? $error : 'no error';
}

sub live { return sql("SELECT _deleted_at IS NULL FROM pco_people.person WHERE (org, id) = ('org1', '$_[0]')"); }

sub rows_are_counted
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is(sql("SELECT rows FROM sync_status WHERE entity = 'Person'"), sql('SELECT count(*) FROM pco.person'),
		"$name: live rows are counted");
	return;
}

# ---- Before anything was synced ----------------------------------------------

my ($early) = map { $_->{id} } @{ $sim->list('org1', '/people/v2/people?per_page=1')->{data} };
is(record('Person', $early), 'inserted', 'a record of a table that was not there');
rows_are_counted('the first record');

my $run = start_sync($node, 'org1', [qw(Person Email Household HouseholdMembership)]);
run_ends($node, $run, 'succeeded', 60, 'everything is synced');
is_complete($node, 'org1', 'after a record', 'Person', 'Email');
my @people = split /\n/, sql('SELECT id FROM pco.person ORDER BY id::bigint');

# ---- What becomes of it ---------------------------------------------------------

my $versions = row_versions($node, 'org1', 'Person');
is(record('Person', $people[0]), 'unchanged', 'what is stored is unchanged');
is(row_versions($node, 'org1', 'Person'), $versions, 'and nothing is written');

my ($new) = @{ $sim->post('mutate', org => 'org1', entity => 'Person', op => 'insert') };
is(record('Person', $new), 'inserted', 'a new one is inserted');
is(record('people.Person', $new), 'unchanged', 'once');

$sim->post('mutate', org => 'org1', entity => 'Person', op => 'update', id => $people[1], attr => 'first_name', value => 'Zoe');
is(record('Person', $people[1]), 'updated', 'a changed one is updated');
$sim->post('mutate', org => 'org1', entity => 'Person', op => 'update', id => $people[2], attr => 'first_name',
	value => 'Ada', stamp => 0);
is(record('Person', $people[2]), 'updated', 'also if its stamp has not moved');
is_complete($node, 'org1', 'after three records', 'Person');
rows_are_counted('three records');

# A page of such a version would be taken for that of a lagging replica.
sql("UPDATE pco_people.person SET updated_at = now() + interval '1 day', first_name = 'Eve', _hash = NULL WHERE id = '$people[3]'");
is(record('Person', $people[3]), 'updated', 'what the API says of a record counts more than a newer stamp');
is_complete($node, 'org1', 'after a newer stamp', 'Person');

sql("UPDATE pco_people.person SET _deleted_at = now(), _deleted_by = 'test', _hash = NULL WHERE id = '$people[4]'");
sql("UPDATE sync_engine.sync_state SET rows = rows - 1 WHERE entity = 'Person'");
is(record('Person', $people[4]), 'updated', 'a deleted one that the API has lives again');
is(live($people[4]), 't', 'as a row, too');
is_complete($node, 'org1', 'after a revival', 'Person');
rows_are_counted('a revival');

# ---- The API does not have it ------------------------------------------------------

$sim->post('mutate', org => 'org1', entity => 'Person', op => 'delete', id => $people[5]);
is(record('Person', $people[5]), 'candidate', 'what the API has no more is a candidate');
is(live($people[5]), 't', 'and stays until somebody approves');
is( sql(q{SELECT b.org, product, entity, source, behaviour, b.status, reason, candidates, record_id, c.status
		FROM sync_engine.delete_batch b JOIN sync_engine.delete_candidate c USING (batch)}),
	"org1|people|Person|record|hard|held|the API does not have it (404)|1|$people[5]|confirmed",
	'in a batch that is held');
is(record('Person', $people[5]), 'candidate', 'it is one still');
is(sql('SELECT count(*) FROM sync_engine.delete_batch'), 1, 'but proposed once');

$sim->post('mutate', org => 'org1', entity => 'Person', op => 'restore', id => $people[5]);
is(record('Person', $people[5]), 'unchanged', 'when the API has it again it is none');

$sim->post('mutate', org => 'org1', entity => 'Person', op => 'delete', id => $people[5]);
is(record('Person', $people[5]), 'candidate', 'gone once more');
my $batch = sql(q{SELECT max(batch) FROM sync_deletes WHERE status = 'held'});
is(sql("SELECT sync_deletes_approve($batch)"), 1, 'somebody approves');
is(live($people[5]), '', 'and the row is deleted');
rows_are_counted('an approved record');
is(sql("SELECT sync_deletes_undo($batch)"), 1, 'that can be undone');
is(live($people[5]), 't', 'with the row as it was');
rows_are_counted('a record that was undone');
$sim->post('mutate', org => 'org1', entity => 'Person', op => 'restore', id => $people[5]);
like(record('Person', $people[5]), qr/^(unchanged|updated)$/, 'and the API has it again');

my ($status, $out, $notice) = $node->psql('sync', q{SELECT sync_record('org1', 'Person', '987654321')});
is($out, 'unchanged', 'what neither side has is no candidate');
like($notice, qr/NOTICE:  the API does not have people\.Person "987654321", and no row of it is stored/, 'which is said');

# Ids that could mean something else in a path, or in the name of a job.
is(record('Person', "$people[0]/emails"), 'unchanged', 'a slash in an id leads nowhere');
is(record('Person', "$people[0]?include=emails"), 'unchanged', 'nor does a question mark');
is(record('Person', "$people[0].5"), 'unchanged', 'nor is a part of an id the id');
is(sql(q{SELECT count(*) FROM sync_jobs WHERE strategy = 'record' AND fetched > 0 AND entity ~ '[/?.]'}), 0,
	'nothing came of them');

# ---- Paths with parameters ----------------------------------------------------------

like(problem(q{SELECT sync_record('org1', 'HouseholdMembership', '1');}),
	qr/ERROR:  0A000: the API has no path for a single record of "people\.HouseholdMembership".*HINT:  .*sync_run\('org1', ARRAY\['people\.HouseholdMembership'\]\)/s,
	'an entity without a path of its records');
sql(q{INSERT INTO sync_engine.manifest_entity (product, entity, get_path)
	VALUES ('people', 'HouseholdMembership', '/people/v2/households/{household_id}/household_memberships/{id}')});
my ($membership, $household) = split /\|/, sql('SELECT id, household_id FROM pco.household_membership ORDER BY id::bigint LIMIT 1');
is(record('HouseholdMembership', $membership), 'unchanged', 'a parameter of a path is taken from the stored row');
sql("UPDATE pco_people.household_membership SET pending = NOT pending, _hash = NULL WHERE id = '$membership'");
is(record('HouseholdMembership', $membership), 'updated', 'and stays');
is(sql("SELECT household_id FROM pco.household_membership WHERE id = '$membership'"), $household, 'in the row');
$versions = row_versions($node, 'org1', 'HouseholdMembership');
$run = start_sync($node, 'org1', ['HouseholdMembership'], mode => 'full');
run_ends($node, $run, 'succeeded', 60, 'its list is walked');
is(row_versions($node, 'org1', 'HouseholdMembership'), $versions, 'which finds nothing to do');
like(problem(q{SELECT sync_record('org1', 'HouseholdMembership', '987654321');}),
	qr/ERROR:  55000: the path of HouseholdMembership "987654321" has a parameter household_id, which is not known.*HINT:  Sync the list/s,
	'without a row it is not known');

# ---- What goes wrong -------------------------------------------------------------------

$sim->post('permission', org => 'org1', forbid => 'Email');
my $email = sql('SELECT min(id) FROM pco.email');
like(problem("SELECT sync_record('org1', 'Email', '$email');"), qr/ERROR:  SE403: the token may not read this.*HINT:  In Planning Center/s,
	'what the token may not read');
is(sql("SELECT count(*) FROM pco.email WHERE id = '$email'"), 1, 'is not deleted');
$sim->post('permission', org => 'org1', allow => 'Email');

$sim->post('fault', path => "/people/v2/people/$people[6]", kind => '503', count => 2);
is(record('Person', $people[6]), 'unchanged', 'a failure that passes');
$sim->post('fault', path => "/people/v2/people/$people[6]", kind => '503', count => 0);
like(problem("SELECT sync_record('org1', 'Person', '$people[6]');"), qr/ERROR:  SE503: the API answered 503/,
	'one that does not, after some seconds');
$sim->post('fault/clear');
$sim->post('fault', path => "/people/v2/people/$people[6]", kind => 'truncated_json', count => 1);
is(record('Person', $people[6]), 'unchanged', 'half an answer is none');
$sim->post('odd', org => 'org1', entity => 'Person', id => $people[7], kind => 'wrong_type', attr => 'birthdate');
sql("UPDATE pco_people.person SET _hash = NULL WHERE id = '$people[7]'");
like(problem("SELECT sync_record('org1', 'Person', '$people[7]');"),
	qr/ERROR:  22000: people\.Person "$people[7]" could not be stored.*HINT:  See sync_dead_letters/s, 'a record that cannot be stored');
is(sql("SELECT count(*) FROM sync_dead_letters WHERE record_id = '$people[7]' AND closed_at IS NULL"), 1, 'is a dead letter');
$sim->post('odd', org => 'org1', entity => 'Person', clear => 1);
is(record('Person', $people[7]), 'unchanged', 'until it can be');
is(sql("SELECT count(*) FROM sync_dead_letters WHERE record_id = '$people[7]' AND closed_at IS NULL"), 0, 'which closes the letter');

$sim->post('fault', path => '/people/v2/people/', kind => '401', count => 1);
like(problem("SELECT sync_record('org1', 'Person', '$people[6]');"), qr/ERROR:  SE401: the API refuses the credential.*HINT:  Call sync_connect/s,
	'a token that is refused');
like(problem("SELECT sync_record('org1', 'Person', '$people[6]');"), qr/ERROR:  SE002: .*HINT:  Call sync_connect/s,
	'stops the organisation');
connect_org($node, $sim, 'org1', delete_behaviour => 'hard');

# ---- Transactions ------------------------------------------------------------------------

my $session = tolerant_session($node);
$sim->post('mutate', org => 'org1', entity => 'Person', op => 'update', id => $people[8], attr => 'first_name', value => 'Ida');
ask($session, 'BEGIN ISOLATION LEVEL REPEATABLE READ');
is((ask($session, 'SELECT count(*) FROM pco.person'))[0], sql('SELECT count(*) FROM pco.person'), 'a snapshot is taken');
is((ask($session, "SELECT sync_record('org1', 'Person', '$people[8]')"))[0], 'updated', 'a record in a transaction');
ask($session, 'ROLLBACK');
is(sql("SELECT first_name FROM pco.person WHERE id = '$people[8]'"), 'Ida', 'is committed by itself');

ask($session, 'BEGIN');
ask($session, 'LOCK TABLE pco_people.person IN SHARE MODE');
like((ask($session, "SELECT sync_record('org1', 'Person', '$people[8]')"))[1], qr/40P01/,
	'who has locked the table is told so');
ask($session, 'ROLLBACK');
ask($session, 'BEGIN');
$sim->post('mutate', org => 'org1', entity => 'Person', op => 'update', id => $people[9], attr => 'first_name', value => 'Una');
ask($session, "UPDATE pco_people.person SET first_name = 'Una' WHERE id = '$people[9]'");
like((ask($session, "SELECT sync_record('org1', 'Person', '$people[9]')"))[1], qr/40P01/, 'and who has locked the row');
ask($session, 'ROLLBACK');

# ---- Beside the entity's job -----------------------------------------------------------------

$sim->post('fault', path => '/people/v2/people?', kind => 'hang', count => 1, skip => 3);
$run = start_sync($node, 'org1', ['Person'], mode => 'full');
has_fetched($node, $run, 'Person', 1);
$sim->post('mutate', org => 'org1', entity => 'Person', op => 'update', id => $people[10], attr => 'first_name', value => 'Lea');
is(record('Person', $people[10]), 'updated', 'a record while its entity is read');
is(sql("SELECT status FROM sync_jobs WHERE run_id = $run"), 'running', 'which goes on');
$sim->post('fault/clear');
run_ends($node, $run, 'succeeded', 60, 'and ends well');
is_complete($node, 'org1', 'beside a full', 'Person');

# Who asks when another one's answer is under way does not share it: it may be old.
$sim->post('latency', ms => 1000);
$run = sql('SELECT max(run_id) + 1 FROM sync_runs');
my @sessions = map { tolerant_session($node) } 1 .. 2;
for my $number (0 .. $#sessions)
{
	$sessions[$number]->query_until(qr/asking/, "\\echo asking\nSELECT sync_record('org1', 'Person', '$people[11]');\n");
	wait_for(sub { sql("SELECT in_flight FROM sync_progress WHERE run_id = $run") eq '1' }, 30, 'a request is under way')
	  if $number == 0;
}
is((ask($_, 'SELECT 1'))[0], "unchanged\n1", 'one of two who ask for the same') for @sessions;
is(sql("SELECT string_agg(requests::text, ' ') FROM sync_jobs WHERE run_id >= $run AND joined_run_id IS NULL"), '1 1',
	'by a request each');
$_->quit for @sessions;
$sim->post('latency', ms => 0);

# ---- As many jobs of the organisation run as may ------------------------------------------------

$sim->post('fault', path => '/people/v2/', contains => 'per_page', kind => 'hang', count => 0);
$run = start_sync($node, 'org1', [qw(Address Campus Carrier Email FieldDatum FieldDefinition Household InactiveReason
	List MaritalStatus Message NameSuffix NamePrefix NoteCategory PhoneNumber SchoolOption SocialProfile Tab Workflow)],
	mode => 'full', execution => 'parallel');
wait_for(sub { sql("SELECT count(*) FROM sync_jobs WHERE run_id = $run AND status = 'running'") >= 16 }, 30,
	'all places of the organisation are taken');
is(record('Person', $people[0]), 'unchanged', 'a record needs none');
sql("SELECT sync_cancel($run)");
is(sql("SELECT sync_wait($run)"), 'cancelled', 'the others wait still');
$sim->post('fault/clear');

# ---- The lane is lost meanwhile ---------------------------------------------------------------

$sim->post('mutate', org => 'org1', entity => 'Person', op => 'update', id => $people[12], attr => 'first_name', value => 'Mia');
$sim->post('fault', path => "/people/v2/people/$people[12]", kind => 'hang', count => 1);
$run = sql('SELECT max(run_id) + 1 FROM sync_runs');
$session->query_until(qr/asking/, "\\echo asking\nSELECT sync_record('org1', 'Person', '$people[12]');\n");
wait_for(sub { sql("SELECT in_flight FROM sync_progress WHERE run_id = $run") eq '1' }, 30, 'a request is under way');
my ($lane) = lane_pids($node);
sql("SELECT pg_terminate_backend($lane)");
is((ask($session, 'SELECT 1'))[0], "updated\n1", 'another lane asks again, and the caller gets the answer');
$session->quit;
$sim->post('fault/clear');

is_complete($node, 'org1', 'in the end', 'Person');
is(sql(q{SELECT count(*) FROM sync_jobs WHERE fetched <> inserted + updated + unchanged + dead_lettered}), 0,
	'every record is accounted for');
like(problem(q{SELECT sync_retry(max(run_id)) FROM sync_runs WHERE kind = 'record' AND status = 'failed';}),
	qr/is no sync but a record/, 'who wants it again calls it again');

done_testing();
