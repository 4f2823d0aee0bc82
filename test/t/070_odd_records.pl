# A record that cannot be stored is one dead letter, and costs no other record
# anything; it comes in as soon as it is mended.  What is merely odd is stored.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;

# Three pages of people.
my $people = 300;

my $simulator = start_simulator(people => $people, orgs => 3, rate_limit => 0);
my $node = new_cluster();

connect_org($node, $simulator, "org$_") for 1 .. 3;

sub value
{
	my ($query) = @_;

	return $node->safe_psql('sync', $query);
}

# sync: status and counters, fetched first.
sub sync
{
	my ($org, $entity) = @_;

	return value(
		"SELECT status, fetched, inserted, updated, unchanged, dead_lettered
		FROM sync_run('$org', ARRAY['$entity'], mode => 'full')");
}

sub odd
{
	my ($org, $entity, $id, @what) = @_;

	$simulator->post('odd', org => $org, entity => $entity, id => $id, @what);
	return;
}

# truth: what the API has in a column, by id.
sub truth
{
	my ($org, $entity, $column) = @_;
	my @lines = split /\n/, $simulator->get('oracle', org => $org, entity => $entity, columns => "id,$column");

	return map { split /\t/ } @lines;
}

sub open_letters
{
	my ($org, $entity) = @_;

	return value("SELECT count(*) FROM sync_dead_letters
		WHERE org = '$org' AND entity = '$entity' AND closed_at IS NULL");
}

# ---- What cannot be stored ------------------------------------------------

# Spread over the pages, so that some stand at their edges.
my %updated = truth('org1', 'Person', 'updated_at');
my @ids = sort { $updated{$a} cmp $updated{$b} || $a <=> $b } keys %updated;

# Kind, place in the list, attribute, reason, SQLSTATE, whether its id is known.
my @bad = (
	[ 'null_id',        0,   undef,            qr/^id is null$/,                  'SE006', 0 ],
	[ 'missing_id',     99,  undef,            qr/^id is missing$/,               'SE006', 0 ],
	[ 'nul',            50,  'first_name',     qr/null|\\u0000/i,                 'SE006', 1 ],
	[ 'lone_surrogate', 98,  'last_name',      qr/surrogate/,                     'SE006', 1 ],
	[ 'bad_utf8',       100, 'medical_notes',  qr/UTF-8/i,                        'SE006', 1 ],
	[ 'wrong_type',     101, 'child',          qr/"child" is no boolean: "banana"/,            '22P02', 1 ],
	[ 'wrong_type',     150, 'birthdate',      qr/"birthdate" is no date: "banana"/,           '22P02', 1 ],
	[ 'wrong_type',     199, 'grade',          qr/"grade" is no integer: "banana"/,            '22P02', 1 ],
	[ 'wrong_type',     299, 'inactivated_at', qr/"inactivated_at" is no timestamp: "banana"/, '22P02', 1 ]);

for my $case (@bad)
{
	my ($kind, $place, $attribute) = @$case;

	odd('org1', 'Person', $ids[$place], kind => $kind, $attribute ? (attr => $attribute) : ());
}

my $bad = @bad;
my $good = $people - $bad;
my @bad_ids = sort { $a <=> $b } map { $ids[ $_->[1] ] } @bad;

is(sync('org1', 'Person'), "succeeded|$people|$good|0|0|$bad", 'each bad record is dead-lettered, all others are in');
my %stored = map { $_ => 1 } split /\n/, value(q{SELECT id FROM pco_people.person WHERE org = 'org1'});
is(join(' ', sort { $a <=> $b } grep { !$stored{$_} } @ids), "@bad_ids", 'it is those that are missing');
is(open_letters('org1', 'Person'), $bad, 'one letter each');

for my $case (@bad)
{
	my ($kind, $place, $attribute, $reason, $sqlstate, $has_id) = @$case;
	my $name = $kind . ($attribute ? " of $attribute" : '');
	my $id = $ids[$place];

	# Without an id only the payload says which one it is.
	my $letter = value(
		"SELECT sqlstate, record_id IS NOT NULL, payload->>'type', reason FROM sync_dead_letters
		WHERE org = 'org1' AND entity = 'Person'
			AND coalesce(record_id, payload#>>'{links,self}') ~ '(^|/)$id\$'");
	my ($its_sqlstate, $its_id, $type, $its_reason) = split /\|/, $letter, 4;

	is("$its_sqlstate $its_id $type", "$sqlstate " . ($has_id ? 't' : 'f') . ' Person', "$name: a letter with its payload");
	like($its_reason, $reason, "$name: says why");
}
like(value("SELECT payload#>>'{attributes,last_name}' FROM sync_dead_letters WHERE record_id = '$ids[98]'"),
	qr/surrogate/, 'the payload shows the text that was not to be stored');

is(sync('org1', 'Person'), "succeeded|$people|0|0|$good|$bad", 'the second run finds the same');
is(value("SELECT count(*) FROM sync_dead_letters WHERE entity = 'Person'"), $bad, 'and writes no letter twice');

odd('org1', 'Person', 0, clear => 1);
is(sync('org1', 'Person'), "succeeded|$people|$bad|0|$good|0", 'mended records come in, and only those');
is(open_letters('org1', 'Person'), 0, 'their letters are closed');
is(value("SELECT count(*) FROM sync_dead_letters WHERE entity = 'Person'"), $bad, 'and kept');
is_equal_to_oracle($node, $simulator, 'org1', 'Person', 'the copy is complete');

# A record that has been stored keeps its last good version meanwhile.
odd('org1', 'Person', $ids[7], kind => 'wrong_type', attr => 'child');
is(sync('org1', 'Person'), "succeeded|$people|0|0|" . ($people - 1) . '|1', 'a stored record goes bad');
is(open_letters('org1', 'Person'), 1, 'it gets a letter');
is_equal_to_oracle($node, $simulator, 'org1', 'Person', 'and stays as it was');
odd('org1', 'Person', 0, clear => 1);
is(sync('org1', 'Person'), "succeeded|$people|0|0|$people|0", 'when it is mended nothing is left to do');
is(open_letters('org1', 'Person'), 0, 'but to close its letter');

# ---- A damaged sort key ---------------------------------------------------

# The list is ordered by updated_at: it cannot be judged by that any more, and
# is read nevertheless.
my %emails = truth('org1', 'Email', 'updated_at');
my @emails = sort { $emails{$a} cmp $emails{$b} || $a <=> $b } keys %emails;
my $emails = @emails;

cmp_ok($emails, '>', 200, 'there are three pages of emails');
odd('org1', 'Email', $emails[120], kind => 'wrong_type', attr => 'updated_at');
like(sync('org1', 'Email'), qr/^succeeded\|\d+\|${\($emails - 1)}\|0\|\d+\|\d$/, 'a damaged sort key costs one record');
is(open_letters('org1', 'Email'), 1, 'one letter for it');
odd('org1', 'Email', 0, clear => 1);
like(sync('org1', 'Email'), qr/^succeeded\|$emails\|1\|0\|/, 'it comes in when mended');
is(open_letters('org1', 'Email'), 0, 'its letter is closed');
is_equal_to_oracle($node, $simulator, 'org1', 'Email', 'the copy of the emails is complete');

# ---- What is merely odd ---------------------------------------------------

my %nickname = truth('org2', 'Person', 'nickname');
%updated = truth('org2', 'Person', 'updated_at');
@ids = sort { $updated{$a} cmp $updated{$b} || $a <=> $b } keys %updated;
my ($nicknamed) = grep { $nickname{$_} ne '\N' } @ids[ 110 .. 190 ];

odd('org2', 'Person', $ids[5],   kind => 'numeric_id');
odd('org2', 'Person', $ids[6],   kind => 'alias_type');
odd('org2', 'Person', $ids[7],   kind => 'number_for_text', attr => 'medical_notes');
odd('org2', 'Person', $ids[8],   kind => 'huge', attr => 'medical_notes');
odd('org2', 'Person', $ids[9],   kind => 'unknown_attribute');
odd('org2', 'Person', $nicknamed, kind => 'missing_attribute', attr => 'nickname');
odd('org2', 'Person', $ids[299], kind => 'duplicate');

is(sync('org2', 'Person'), 'succeeded|' . ($people + 1) . "|$people|0|1|0", 'all of them are stored, one came twice');

sub person
{
	my ($id, $expression) = @_;

	return value("SELECT $expression FROM pco_people.person WHERE (org, id) = ('org2', '$id')");
}

is(person($ids[5], 'count(*)'), 1, 'a numeric id is stored as text');
is(person($ids[7], 'medical_notes'), '12345', 'a number is stored as text where text belongs');
is(person($ids[8], 'length(medical_notes)'), 1024 * 1024, 'a text of a megabyte is whole');
is(person($ids[9], '_extra'), '{"shoe_size": 44}', 'an unknown attribute is kept');
is( value("SELECT org, product, attribute, json_type FROM sync_schema_changes WHERE entity = 'Person'"),
	'org2|people|shoe_size|number', 'and noted');
is(person($nicknamed, 'nickname IS NULL'), 't', 'a missing attribute is NULL');
is(open_letters('org2', 'Person'), 0, 'no letter for any of this');

odd('org2', 'Person', 0, clear => 1);
is(sync('org2', 'Person'), "succeeded|$people|0|4|" . ($people - 4) . '|0', 'four of them were not the truth');
is_equal_to_oracle($node, $simulator, 'org2', 'Person', 'the copy is complete');

# Twice in a page that others follow: the places of all rows behind it shift.
odd('org2', 'Person', $ids[20], kind => 'duplicate');
like(sync('org2', 'Person'), qr/^succeeded\|\d+\|0\|0\|\d+\|0$/, 'a record that comes twice in the first page');
cmp_ok(value('SELECT requests FROM sync_jobs ORDER BY job_id DESC LIMIT 1'), '<', 10, 'costs but a few requests more');

# ---- What the user's own rules refuse -------------------------------------

like(sync('org3', 'Email'), qr/^succeeded\|/, 'before there are rules');

my %addresses = truth('org3', 'Email', 'address');
my ($checked, $triggered, $sound) = sort { $a <=> $b } keys %addresses;

value(q{
	ALTER TABLE pco_people.email ADD CONSTRAINT no_spam CHECK (address NOT LIKE '%@spam.example.org');
	CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		IF NEW.address LIKE '%@refused.example.org' THEN
			RAISE EXCEPTION 'we do not want %', NEW.address;
		END IF;
		RETURN NEW;
	END $$;
	CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON pco_people.email FOR EACH ROW EXECUTE FUNCTION refuse()});

sub rename_email
{
	my ($id, $address) = @_;

	$simulator->post('mutate', org => 'org3', entity => 'Email', op => 'update', id => $id, attr => 'address', value => $address);
	return;
}

rename_email($checked, 'one@spam.example.org');
rename_email($triggered, 'two@refused.example.org');
rename_email($sound, 'three@example.org');
my $others = keys(%addresses) - 3;

is(sync('org3', 'Email'), 'succeeded|' . ($others + 3) . "|0|1|$others|2", 'what is refused costs no other record anything');
is( value(
		"SELECT record_id, sqlstate, reason FROM sync_dead_letters
		WHERE org = 'org3' AND closed_at IS NULL ORDER BY record_id::bigint"),
	"$checked|23514|new row for relation \"email\" violates check constraint \"no_spam\"\n"
	  . "$triggered|P0001|we do not want two\@refused.example.org",
	'a CHECK constraint and a trigger say why');

rename_email($checked, 'one@example.org');
value('DROP TRIGGER refuse ON pco_people.email');
is(sync('org3', 'Email'), 'succeeded|' . ($others + 3) . '|0|2|' . ($others + 1) . '|0', 'it comes in when nothing is against it');
is(open_letters('org3', 'Email'), 0, 'and the letters are closed');
is_equal_to_oracle($node, $simulator, 'org3', 'Email', 'the copy is complete');

# ---- Every record is accounted for ----------------------------------------

is( value(
		'SELECT count(*) FROM sync_jobs
		WHERE fetched <> inserted + updated + unchanged + dead_lettered'),
	'0', 'the counters of all jobs add up');
unlike(server_log($node), qr/TRAP|PANIC|server process .* was terminated by signal/, 'no process has crashed');

done_testing();
