# The API changes under us: what it sends beyond the manifest is kept and can be
# made a column, what it leaves out or sends otherwise costs no other record
# anything; and what people do to the tables themselves is respected.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;
use SyncEngineTest::FakeServer;

sub record
{
	my ($type, $id, $attributes) = @_;

	return qq({"type":"$type","id":"$id","attributes":{$attributes}});
}

# page: all the records in one.
sub page
{
	my (@records) = @_;

	return { body => '{"data":[' . join(',', @records) . '],"meta":{"total_count":' . @records . ',"count":' . @records . '}}' };
}

# campus: its stamp follows its number, as the list is ordered.
sub campus
{
	my ($number, @attributes) = @_;

	return record('Campus', $number, join ',', qq("name":"C$number","updated_at":"2001-01-0${number}T00:00:00Z"), @attributes);
}

# What each phase's campuses have beyond that.
my @unknown = (
	[ '"seats":100',    '"motto":"Come in"', '"opened_at":"2001-02-03T04:05:06Z"', '"rooms":["Nave"]', '"open":true',  '"late":null' ],
	[ '"seats":250.5',  '"motto":"Sit down"', '"opened_at":"yesterday"',           '"rooms":[]',       '"open":false', '"late":7' ],
	[ '"seats":null',   '"motto":7',         '"opened_at":""',                     '"rooms":{"a":1}',  '"open":null' ],
	[ '"seats":"many"' ]);

sub unknown_campuses
{
	my ($last_seats) = @_;
	my @campuses = map { [@$_] } @unknown;

	$campuses[3] = [$last_seats] if $last_seats;
	return map { campus($_, @{ $campuses[ $_ - 1 ] }) } 1 .. 4;
}

my @strange_ids = ('planning_center', 'a b', 'x/y', '100%25', '?q=1&#f', "\xc3\xbcml");

my $server = SyncEngineTest::FakeServer->new(
	unknown => sub {
		my ($request) = @_;

		return page(unknown_campuses($request->{phase} == 1 ? undef : '"seats":"42"'));
	},
	shapes => sub {
		my ($request) = @_;

		my @phases = (
			[
				campus(1, '"description":"old"', '"latitude":51.5', '"country":"GB"'),
				campus(2, '"latitude":"51.5"',   '"capacity":10'),
				campus(3, '"latitude":1',        '"capacity":null'),
			],
			[
				campus(1, '"latitude":"north"', '"country":"GB"'),
				campus(2, '"latitude":"51.5"',  '"capacity":10'),
				record('Site', 3, '"name":"C3","updated_at":"2001-01-03T00:00:00Z","latitude":1,"capacity":11'),
			],
			[
				campus(1, '"country":"GB"'),
				campus(2, '"latitude":51.5', '"country":"A country with a long name"'),
				campus(3, '"latitude":2'),
			]);

		return page(@{ $phases[ $request->{phase} - 1 ] });
	},
	strange => sub {
		my ($request) = @_;
		my ($household) = $request->{path} =~ m{/households/([^/]+)/household_memberships$};

		return page(map { record('Household', $_, qq("name":"H","updated_at":"2024-01-01T00:00:00Z")) } @strange_ids)
		  unless defined $household;
		$household =~ s/%([0-9A-F]{2})/chr hex $1/ge;
		return page(record('HouseholdMembership', "of $household", '"pending":false'));
	});

my $simulator = start_simulator(people => 50, orgs => 2, rate_limit => 0);
my $node = new_cluster(conf => { 'sync_engine.table_owner' => 'keeper' });

# The tables belong to somebody who has no other rights.
$node->safe_psql('sync', 'CREATE ROLE keeper');
connect_org($node, $server, $_) for qw(unknown shapes strange);
connect_org($node, $simulator, $_) for qw(org1 org2);

sub value
{
	my ($query) = @_;

	return $node->safe_psql('sync', $query);
}

# sync: status and counters, fetched first.
sub sync
{
	my ($org, $entity) = @_;

	return value("SELECT status, fetched, inserted, updated, unchanged, dead_lettered
		FROM sync_run('$org', ARRAY['$entity'], mode => 'full') WHERE entity = '$entity'");
}

# problem: SQLSTATE and message of a statement that fails.
sub problem
{
	my ($query) = @_;
	my ($status, $out, $error) = $node->psql('sync', "\\set VERBOSITY verbose\n\\set SHOW_CONTEXT never\n$query");

	return $error =~ /ERROR:  (.*)/ ? $1 : "no error: $out";
}

sub campuses
{
	my ($org, $columns) = @_;

	return value("SELECT $columns FROM pco_people.campus WHERE org = '$org' ORDER BY id COLLATE \"C\"");
}

# ---- Unknown attributes ------------------------------------------------------

is(sync('unknown', 'Campus'), 'succeeded|4|4|0|0|0', 'unknown attributes hinder nothing');
is( campuses('unknown', "_extra->'seats', _extra->'rooms'"),
	qq(100|["Nave"]\n250.5|[]\nnull|{"a": 1}\n"many"|), 'their values are kept as they came');
is( value(q{SELECT attribute, json_type, promoted_at IS NULL FROM sync_schema_changes WHERE org = 'unknown' ORDER BY attribute COLLATE "C"}),
	"late|number|t\nmotto|string|t\nopen|boolean|t\nopened_at|string|t\nrooms|array|t\nseats|number|t",
	'they are told, a type as soon as there is one');

my ($status, $out, $error) = $node->psql('sync', q{SELECT sync_promote('Campus', 'seats')});
is($out, 2, 'two of them have a value that is a number');
like($error, qr/WARNING: +1 value of attribute "seats" is no float and stays in _extra/, 'one has another');
is( value(q{SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'pco_people.campus'::regclass AND attname = 'seats'}),
	'numeric', 'the type follows from what was sent');
is( campuses('unknown', q{seats, _extra ? 'seats', _extra->>'seats'}),
	"100|f|\n250.5|f|\n|f|\n|t|many", 'values that fit move to the column');
is(value(q{SELECT string_agg(seats::text, ' ' ORDER BY id) FROM pco.campus WHERE org = 'unknown'}), '100 250.5', 'and show in the view');
is(value(q{SELECT source, type FROM sync_engine.manifest_attribute WHERE (entity, attribute) = ('Campus', 'seats')}),
	'user|float', 'a row of the user\'s makes it known');
is(value(q{SELECT count(*) FROM sync_schema_changes WHERE attribute = 'seats' AND promoted_at IS NOT NULL}), 1, 'and the change is done with');

is(value(q{SELECT sync_promote('people.Campus', 'motto')}), 3, 'text takes a number, too');
is(value(q{SELECT sync_promote('Campus', 'open')}), 2, 'a boolean');
is(value(q{SELECT sync_promote('Campus', 'rooms')}), 3, 'an array');
is(value(q{SET client_min_messages = error; SELECT sync_promote('Campus', 'opened_at', 'date_time')}), 1, 'a time stamp, where somebody says so');
is(value(q{SELECT sync_promote('Campus', 'late', 'integer')}), 1, 'an integer');
is( campuses('unknown', 'motto, open, rooms, opened_at, late'),
	qq(Come in|t|["Nave"]|2001-02-03 04:05:06+00|\nSit down|f|[]||7\n7||{"a": 1}||\n||||), 'each in its column');
is(campuses('unknown', '_extra'), qq(\n{"opened_at": "yesterday"}\n\n{"seats": "many"}), 'nothing else is left behind');

is(sync('unknown', 'Campus'), 'succeeded|4|0|2|0|2', 'the new shape costs one rewrite; what does not fit is a dead letter');
is(sync('unknown', 'Campus'), 'succeeded|4|0|0|2|2', 'then nothing is written any more');
is(campuses('unknown', 'seats, motto, late'), "100|Come in|\n250.5|Sit down|7\n|7|\n||", 'a sync says the same as the promotion did');
is( value(q{SELECT record_id, reason FROM sync_dead_letters WHERE org = 'unknown' ORDER BY record_id}),
	qq(2|attribute "opened_at" is no timestamp: "yesterday"\n4|attribute "seats" is no number: "many"), 'the letters name the values');
$server->phase('unknown', 2);
is(sync('unknown', 'Campus'), 'succeeded|4|0|1|2|1', 'a text that is a number fits');
is(campuses('unknown', 'seats'), "100\n250.5\n\n42", 'and is stored as one');

# Whoever gives it up has an unknown attribute again.
value(q{DELETE FROM sync_engine.manifest_attribute WHERE attribute = 'seats' AND source = 'user'});
is(value(q{SELECT promoted_at IS NULL FROM sync_schema_changes WHERE attribute = 'seats'}), 't', 'without its row it is unknown again');

# ---- What cannot be promoted --------------------------------------------------

like(problem(q{SELECT sync_promote('Campis', 'x')}), qr/^42704: entity "Campis" does not exist/, 'an unknown entity');
like(problem(q{SELECT sync_promote('*', 'x')}), qr/^42704: entity "\*" does not exist/, 'all entities');
like(problem(q{SELECT sync_promote('Campus', 'motto')}), qr/^42701: entity "people.Campus" has a column "motto" already/, 'a promoted attribute');
like(problem(q{SELECT sync_promote('Campus', 'latitude')}), qr/^42701: /, 'a built-in attribute');
like(problem(q{SELECT sync_promote('Campus', 'organization_id')}), qr/^42701: /, 'the column of a relationship');
like(problem(q{SELECT sync_promote('Campus', 'nothing')}), qr/^42703: the API has not sent an attribute "nothing"/, 'what was never sent');
like(problem(q{SELECT sync_promote('Campus', 'seats', 'money')}), qr/^22023: type "money" does not exist/, 'an unknown type');
like(problem(q{SELECT sync_promote('Campus', '_hash', 'string')}), qr/^42939: attribute "_hash" cannot be a column/, 'a name of the engine\'s');
like(problem(q{SELECT sync_promote('Campus', 'id', 'string')}), qr/^42939: /, 'the key');
like(problem(q{SELECT sync_promote('Campus', repeat('x', 64), 'string')}), qr/^42622: /, 'a name that PostgreSQL would cut off');
like(problem(q{SELECT sync_promote(NULL, 'x')}), qr/^22004: entity must not be null/, 'NULL');
value('CREATE ROLE reader; GRANT pg_monitor TO reader');
like(problem(q{SET ROLE reader; SELECT sync_promote('Campus', 'seats')}), qr/^42501: permission denied for function sync_promote/, 'not by just anybody');
like(problem(q{SET ROLE reader; SELECT sync_create_tables(ARRAY['Campus'])}), qr/^42501: permission denied for function/, 'nor are tables made');
is(value(q{SELECT sync_promote('Campus', 'seen_soon', 'boolean')}), 0, 'with a type it need not have been sent yet');

my $locker = background_psql($node);
$locker->query_safe('BEGIN; LOCK TABLE pco_people.campus IN ROW EXCLUSIVE MODE');
like(problem(q{SELECT sync_promote('Campus', 'seats')}), qr/^55P03: canceling statement due to lock timeout/, 'who finds the table locked does not wait for long');
$locker->query_safe('COMMIT');
is(value(q{SELECT count(*) FROM sync_engine.manifest_attribute WHERE attribute = 'seats'}), 0, 'and has done nothing');

# ---- Known attributes that change ---------------------------------------------

is(sync('shapes', 'Campus'), 'succeeded|3|3|0|0|0', 'before anything changes');
is(campuses('shapes', q{latitude, description, _extra->'capacity'}), "51.5|old|\n51.5||10\n1||null", 'a text that is a number is stored where numbers belong');

value(q{INSERT INTO sync_engine.manifest_attribute (product, entity, attribute, type) VALUES ('people', 'Campus', 'capacity', 'integer');
	INSERT INTO sync_engine.manifest_entity (product, entity, aliases) VALUES ('people', 'Campus', '{Site}')});
is(sync('shapes', 'Campus'), 'succeeded|3|0|3|0|0', 'a new attribute in the manifest adds its column');
is(campuses('shapes', 'capacity, _extra'), "|\n10|\n|", 'and fills it');

$server->phase('shapes', 2);
is(sync('shapes', 'Campus'), 'succeeded|3|0|1|1|1', 'a text that is no number costs its own record only');
is(campuses('shapes', 'latitude, description, capacity'), "51.5|old|\n51.5||10\n1||11", 'another alias of the type is accepted');
is(value(q{SELECT reason FROM sync_dead_letters WHERE org = 'shapes'}), 'attribute "latitude" is no number: "north"', 'the letter says why');

$server->phase('shapes', 3);
is(sync('shapes', 'Campus'), 'succeeded|3|0|3|0|0', 'attributes that are sent no more');
is(campuses('shapes', 'latitude, description, country, capacity'), "||GB|\n51.5||A country with a long name|\n2|||", 'are NULL');

sync('org1', 'Person');
my ($someone) = @{ $simulator->post('mutate', org => 'org1', entity => 'Person', op => 'update', count => 1,
	attr => 'status', value => 'hibernating') };
like(sync('org1', 'Person'), qr/^succeeded\|50\|0\|1\|49\|0$/, 'a new value of an enumeration');
is(value("SELECT status FROM pco_people.person WHERE (org, id) = ('org1', '$someone')"), 'hibernating', 'is a text like any other');
is_equal_to_oracle($node, $simulator, 'org1', 'Person', 'and the copy is complete');

# ---- Ids of any kind ------------------------------------------------------------

is(sync('strange', 'HouseholdMembership'), 'succeeded|6|6|0|0|0', 'parents\' ids can be anything');
is(value(q{SELECT bool_and(id = 'of ' || household_id) FROM pco_people.household_membership WHERE org = 'strange'}),
	't', 'and stand in their children as they are');
is( join(' ', sort map { m{households/(.*)/household_memberships} } $server->requests('strange')),
	'%3Fq%3D1%26%23f %C3%BCml 100%2525 a%20b planning_center x%2Fy', 'each byte that means something is escaped');
is(sync('strange', 'HouseholdMembership'), 'succeeded|6|0|0|6|0', 'the second run knows them again');

# ---- Tables that somebody has changed -------------------------------------------

# The view stands on the columns, and is made anew.
value(q{DROP VIEW pco.campus;
	ALTER TABLE pco_people.campus ALTER latitude TYPE text, ALTER country TYPE varchar(12) USING left(country, 12), ALTER updated_at TYPE text,
		DROP COLUMN _extra, DROP COLUMN description});
$server->phase('shapes', 1);
is(sync('shapes', 'Campus'), 'succeeded|3|0|3|0|0', 'columns dropped and given other types');
is(campuses('shapes', 'latitude, country, description, left(updated_at, 10)'),
	"51.5|GB|old|2001-01-01\n51.5|||2001-01-02\n1|||2001-01-03", 'are filled again, and in their types');
is(sync('shapes', 'Campus'), 'succeeded|3|0|0|3|0', 'and stay');
is(value(q{SELECT count(*) FROM pco.campus WHERE org = 'shapes'}), 3, 'the view is there again');
$server->phase('shapes', 3);
is(sync('shapes', 'Campus'), 'succeeded|3|0|2|0|1', 'what a shorter column does not hold is one dead letter');
like(value(q{SELECT sqlstate, reason FROM sync_dead_letters WHERE org = 'shapes' AND closed_at IS NULL}),
	qr/^22001\|value too long/, 'and says so');

value(q{DROP VIEW pco.campus; ALTER TABLE pco_people.campus ALTER name TYPE date USING NULL});
is(value(q{SELECT status, error LIKE '%"name" is of type date%' FROM sync_run('shapes', ARRAY['Campus'], mode => 'full')}), 'failed|t',
	'a type that text does not become fails the job, which names the column');
is(value(q{SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'pco_people.campus'::regclass AND attname = 'name'}),
	'date', 'no column is given another type by the engine');

# ---- Tables made beforehand ------------------------------------------------------

is(problem(q{BEGIN; SELECT sync_create_tables(ARRAY['giving.Donation']); SHOW lock_timeout; ROLLBACK}),
	"no error: pco_giving.donation\n0", 'a table is made in the caller\'s transaction, whose settings stay');
is(value(q{SELECT to_regclass('pco_giving.donation') IS NULL AND to_regnamespace('pco_giving') IS NULL}), 't', 'and goes with it');
is(value(q{SELECT sync_create_tables(ARRAY['Email', 'check-ins.CheckIn', 'Email'])}), "pco_people.email\npco_check_ins.check_in", 'names are as in sync_run');
is( value(q{SELECT string_agg(DISTINCT pg_get_userbyid(relowner), ' ') FROM pg_class
		WHERE oid IN ('pco_people.email'::regclass, 'pco.email'::regclass, 'pco.check_ins_check_in'::regclass)}),
	'keeper', 'tables and views belong to the tables\' owner');
is(value(q{SELECT count(*) > 200 FROM sync_create_tables(ARRAY['*'])}), 't', 'all that can be synced');
is(value(q{SELECT count(*) - (SELECT count(*) FROM pg_views WHERE schemaname = 'pco') FROM sync_create_tables(ARRAY['*'])}), 0, 'each with its view');
like(problem('SELECT sync_create_tables(NULL)'), qr/^22004: entities must not be null/, 'NULL');
like(problem(q{SELECT sync_create_tables(ARRAY['Campus', 'Gizmo'])}), qr/^42704: entity "Gizmo" does not exist/, 'an unknown entity');
like(problem(q{SELECT sync_create_tables(ARRAY['check_ins.PreCheck'])}), qr/^0A000: /, 'one that cannot be synced');

# As the documentation has it: partitioned, granted, with a view of one's own.
value(q{BEGIN;
	CREATE TABLE pco_people.partitioned (LIKE pco_people.email INCLUDING ALL) PARTITION BY HASH (org);
	DROP TABLE pco_people.email CASCADE;
	ALTER TABLE pco_people.partitioned RENAME TO email;
	CREATE TABLE pco_people.email_0 PARTITION OF pco_people.email FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE pco_people.email_1 PARTITION OF pco_people.email FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	ALTER TABLE pco_people.email OWNER TO keeper;
	ALTER TABLE pco_people.email_0 OWNER TO keeper;
	ALTER TABLE pco_people.email_1 OWNER TO keeper;
	ALTER TABLE pco_people.email DROP COLUMN blocked;
	SELECT sync_create_tables(ARRAY['Email']);
	CREATE VIEW domains AS SELECT split_part(address, '@', 2) AS domain, count(*) AS n FROM pco.email GROUP BY 1;
	GRANT SELECT ON pco.email TO reader;
	COMMIT});
is(value(q{SELECT relkind FROM pg_class WHERE oid = 'pco_people.email'::regclass}), 'p', 'a partitioned table stays one');
for my $org (qw(org1 org2))
{
	like(sync($org, 'Email'), qr/^succeeded\|(\d+)\|\1\|0\|0\|0$/, "$org goes into it");
	is_equal_to_oracle($node, $simulator, $org, 'Email', 'complete');
}
$simulator->post('mutate', org => 'org2', entity => 'Email', op => 'update', count => 3);
like(sync('org2', 'Email'), qr/^succeeded\|\d+\|0\|3\|\d+\|0$/, 'changes go where the rows are');
is_equal_to_oracle($node, $simulator, 'org2', 'Email', 'complete again');
is(value('SELECT (SELECT count(*) FROM pco_people.email_0) + (SELECT count(*) FROM pco_people.email_1) = (SELECT sum(n) FROM domains)'),
	't', 'a view made beforehand shows them');
is(value(q{SELECT has_table_privilege('reader', 'pco.email', 'SELECT')}), 't', 'rights given beforehand stay');

# ---- What an open transaction keeps waiting -----------------------------------

value('DROP TABLE pco_people.note_category CASCADE; DROP TABLE pco_people.tab CASCADE');
$locker->query_safe(q{BEGIN; SELECT sync_create_tables(ARRAY['NoteCategory'])});
value(q{SELECT sync_start('org1', ARRAY['Tab'], mode => 'full')});
wait_for(sub { value(q{SELECT error FROM sync_jobs WHERE entity = 'Tab' AND status = 'queued'}) =~ /somebody holds a lock/ },
	20, 'while somebody makes tables, nobody else does');
$locker->query_safe('COMMIT');
is(value(q{SELECT sync_wait(max(run_id), '20s') FROM sync_runs}), 'succeeded', 'but only until then');
value('DROP TABLE pco_people.tab CASCADE');
like(problem(q{BEGIN; SELECT sync_create_tables(ARRAY['Tab']); SELECT * FROM sync_run('org2', ARRAY['Tab'], mode => 'full')}),
	qr/^(40P01|55000)/, 'and who waits for a run meanwhile is told');

is( value('SELECT count(*) FROM sync_jobs WHERE fetched <> inserted + updated + unchanged + dead_lettered'),
	'0', 'the counters of all jobs add up');
unlike(server_log($node), qr/TRAP|PANIC|server process .* was terminated by signal/, 'no process has crashed');

done_testing();
