# Servers that imitate the API in other ways than the simulator does: what they
# leave out or write differently must cost no record, and what they get wrong
# must show, and end.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;
use SyncEngineTest::FakeServer;

# ---- What the servers have ------------------------------------------------

# stamp: a time of its own for each number, in their order.
sub stamp
{
	my ($number) = @_;

	return sprintf '2024-01-%02dT%02d:%02d:%02dZ',
	  1 + $number / 86400, $number / 3600 % 24, $number / 60 % 60, $number % 60;
}

sub record
{
	my ($type, $id, $attributes) = @_;

	return qq({"type":"$type","id":"$id","attributes":{$attributes}});
}

sub campus
{
	my ($id, $updated_at) = @_;

	$updated_at //= '"' . stamp($id) . '"';
	return record('Campus', $id, qq("name":"C$id","updated_at":$updated_at));
}

sub campuses { return map { campus($_) } 1 .. $_[0]; }

# cut: what a page of the list has.
sub cut
{
	my ($request, @records) = @_;
	my $end = $request->{offset} + $request->{per_page};

	$end = @records if $end > @records;
	return @records[ $request->{offset} .. $end - 1 ];
}

# list: a page as the API gives it.  The total may be another than is true, and
# what ends the list another than nothing.
sub list
{
	my ($request, $records, %odd) = @_;
	my @page = cut($request, @$records);
	my $end = $request->{offset} + @page;
	my $total = $odd{total} // @$records;
	my ($link, $next) = ($odd{last_link} // '', $odd{last_next} // '');

	($link, $next) = (qq("next":"http://127.0.0.1/?offset=$end"), qq("next":{"offset":$end},))
	  if $end < @$records;
	return { body => '{"links":{' . $link . '},"data":[' . join(',', @page)
		  . qq(],"included":[],"meta":{$next"total_count":$total,"count":) . @page . '}}' };
}

# Random letters and digits, which no compression makes short.
my $long_id = do
{
	my @characters = ('a' .. 'z', 'A' .. 'Z', 0 .. 9);

	srand 1;
	join '', map { $characters[ rand @characters ] } 1 .. 8000;
};

# The same values, written in three ways.
my @people = (
	record('Person', 1, qq("first_name":"Zo\xc3\xab a/b","updated_at":"2024-01-01T00:00:00Z",)
		  . qq("resource_permission_flags":{"can":true,"of":["\xc3\xa9/",{"a":1,"b":2}]})),
	record('Person', 1, '"first_name":"Zo\u00eb a\/b","updated_at":"2024-01-01T00:00:00Z",'
		  . '"resource_permission_flags":{"can":true,"of":["\u00E9\/",{"a":1,"b":2}]}'),
	record('Person', 1, qq("resource_permission_flags" : { "of": [ "\xc3\xa9/", {"b" : 2,\n "a": 1} ], "can" : true },)
		  . qq( "updated_at":"2024-01-01T00:00:00Z", "first_name":"Zo\xc3\xab a/b")));
my @households = map {
	'{"type":"Household","id":"1","attributes":{"name":"X","updated_at":"2024-01-01T00:00:00Z"},"relationships":{"people":{"data":['
	  . join(',', map { qq({"type":"Person","id":"$_"}) } @$_) . ']}}}'
} [ 1, 2, 3 ], [ 1, 2, 3 ], [ 3, 1, 2 ];

my $server = SyncEngineTest::FakeServer->new(
	no_next => sub {
		my ($request) = @_;
		return { body => '{"data":[' . join(',', cut($request, campuses(250))) . '],"meta":{"total_count":250}}' };
	},
	bare => sub {
		my ($request) = @_;
		return { body => '{"data":[' . join(',', cut($request, campuses(250))) . ']}' };
	},
	lies         => sub { return list($_[0], [ campuses(250) ], total => 300); },
	stranger     => sub { return list($_[0], [ campus(1), record('Tag', 2, '"name":"T"') ]); },
	namesake     => sub { return list($_[0], [ campus(1), record('Tag', 1, '"name":"T"'), campus(2) ]); },
	namesake_first   => sub { return list($_[0], [ record('Tag', 1, '"name":"T"'), campus(1), campus(2) ]); },
	bad_key      => sub { return list($_[0], [ campus(1), campus(2, '"yesterday"'), campus(3) ]); },
	null_id      => sub { return list($_[0], [ campus(1), '{"type":"Campus","id":null}', campus(3) ]); },
	no_offset    => sub { return list({ %{ $_[0] }, offset => 0 }, [ campuses(300) ]); },
	no_offset_bare  => sub {
		my ($request) = @_;
		return { body => '{"data":[' . join(',', cut({ %$request, offset => 0 }, campuses(300))) . ']}' };
	},
	empty_link   => sub { return list($_[0], [ campuses(50) ], last_link => '"next":""'); },
	empty_next   => sub { return list($_[0], [ campuses(50) ], last_next => '"next":{},'); },
	capped       => sub {
		my ($request) = @_;
		return list({ %$request, per_page => $request->{per_page} > 25 ? 25 : $request->{per_page} }, [ campuses(1000) ]);
	},
	slow => sub {
		my ($request) = @_;
		return { status => 504, type => 'text/html', body => '<html>Gateway Timeout</html>' }
		  if $request->{per_page} > 50;
		return list($request, [ campuses(120) ]);
	},
	long_id      => sub { return list($_[0], [ campus(1), record('Campus', $long_id, '"name":"L"'), campus(3) ]); },
	rewritten    => sub {
		my ($request) = @_;
		my $records = $request->{path} =~ /households$/ ? \@households : \@people;
		return list($request, [ $records->[ $request->{phase} - 1 ] ]);
	},
	numbers => sub {
		return list($_[0], [
			record('Person', 1, '"grade":3.0,"updated_at":"2024-01-01T00:00:00Z"'),
			record('Person', 2, '"remote_id":1e3,"updated_at":"2024-01-01T00:00:00Z"'),
			record('Person', 3, '"birthdate":"","updated_at":"2024-01-01T00:00:00Z"') ]);
	},
	upper_type   => sub { return { %{ list($_[0], [ campuses(5) ]) }, type => 'Application/JSON; Charset=UTF-8' }; },
	upper_type_api => sub { return { %{ list($_[0], [ campuses(5) ]) }, type => 'APPLICATION/VND.API+JSON' }; },
	no_type      => sub { return { %{ list($_[0], [ campuses(5) ]) }, type => undef }; },
	no_order     => sub {
		my ($request) = @_;
		return { status => 400, body => '{"errors":[{"status":"400","title":"Bad Request","detail":"order is not supported"}]}' }
		  if $request->{query} =~ /order=/;
		return list($request, [ reverse campuses(150) ]);
	},
	partitioned => sub { return list($_[0], [ map { record('Tab', $_, qq("name":"T$_","sequence":$_,"slug":"t$_")) } 1 .. 5 ]); },
	gains       => sub { return list($_[0], [ map { record('Campus', $_, qq("name":"C$_","motto":"M$_","updated_at":"2024-01-01T00:00:00Z")) } 1 .. 5 ]); },
	refused     => sub { return list($_[0], [ map { record('MaritalStatus', $_, qq("value":"M$_")) } 1 .. 500 ]); },
	skipping    => sub { return list($_[0], [ map { record('NamePrefix', $_, qq("value":"N$_")) } 1 .. 20 ]); });

# ---- What is asked of the engine ------------------------------------------

my $node = new_cluster();

sub value
{
	my ($query) = @_;

	return $node->safe_psql('sync', $query);
}

# What organisations sync that do not sync Campus.
my %entities = (
	rewritten   => [qw(Person Household)],
	numbers     => ['Person'],
	partitioned => ['Tab'],
	refused     => ['MaritalStatus'],
	skipping    => ['NamePrefix']);

# start: runs of the organisations, all at once.
my %run;

sub start
{
	my (@orgs) = @_;

	@run{@orgs} = split /\n/, value(join ';', map {
		my $list = join ',', map { "'$_'" } @{ $entities{$_} // ['Campus'] };
		"SELECT sync_start('$_', ARRAY[$list], 'full')"
	} @orgs);
	return;
}

# result: status and counters of an organisation's run, fetched first.
sub result
{
	my ($org) = @_;

	value("SELECT sync_wait($run{$org}, '60 s')");
	return value("SELECT status, fetched, inserted, updated, unchanged, dead_lettered
		FROM sync_jobs WHERE run_id = $run{$org} ORDER BY entity");
}

sub rerun
{
	my ($org) = @_;

	start($org);
	return result($org);
}

# campus_ids: how many rows there are, and from which id to which.
sub campus_ids
{
	my ($org) = @_;

	return value("SELECT count(*), min(id::int), max(id::int) FROM pco_people.campus WHERE org = '$org'");
}

sub strategy_note
{
	my ($org) = @_;

	return value("SELECT coalesce(strategy_note, 'none') FROM sync_engine.sync_state WHERE org = '$org'");
}

# letters: open dead letters.
sub letters
{
	my ($org) = @_;

	return value("SELECT coalesce(record_id, 'no id'), reason FROM sync_dead_letters
		WHERE org = '$org' AND closed_at IS NULL ORDER BY id");
}

sub error_of
{
	my ($org) = @_;

	return value("SELECT error FROM sync_jobs WHERE run_id = $run{$org}");
}

# A user's own tables, made before the first sync.
value(q{
	CREATE SCHEMA pco_people;
	CREATE TABLE pco_people.tab (org text, id text, PRIMARY KEY (org, id)) PARTITION BY LIST (org);
	CREATE TABLE pco_people.tab_rest PARTITION OF pco_people.tab DEFAULT;
	CREATE TABLE pco_people.marital_status (org text, id text, ours text NOT NULL, PRIMARY KEY (org, id));
	CREATE TABLE pco_people.name_prefix (org text, id text, PRIMARY KEY (org, id));
	CREATE FUNCTION skip_even() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		RETURN CASE WHEN NEW.id::int % 2 = 1 THEN NEW END;
	END $$;
	CREATE TRIGGER skip_even BEFORE INSERT ON pco_people.name_prefix FOR EACH ROW EXECUTE FUNCTION skip_even()});

my @orgs = qw(
  lies slow no_offset no_offset_bare no_next bare stranger namesake namesake_first bad_key null_id empty_link empty_next capped
  long_id rewritten numbers upper_type upper_type_api no_type no_order partitioned gains refused skipping);

connect_org($node, $server, $_) for @orgs;
start(@orgs);

# ---- Lists that say less --------------------------------------------------

is(result('no_next'), 'succeeded|250|250|0|0|0', 'a list without a next page is read up to its total_count');
is(campus_ids('no_next'), '250|1|250', 'all its rows are in');

is(result('bare'), 'succeeded|250|250|0|0|0', 'a list without meta and links is read up to a page that is not full');
is(campus_ids('bare'), '250|1|250', 'all its rows are in');

for my $org (qw(empty_link empty_next))
{
	is(result($org), 'succeeded|50|50|0|0|0', "a next page that is empty is none ($org)");
	is(scalar($server->requests($org)), 1, 'and is not asked for');
}

# ---- Pages that are smaller -----------------------------------------------

is(result('capped'), 'succeeded|1000|1000|0|0|0', 'a server that gives no more than 25 a page is read whole');
is(campus_ids('capped'), '1000|1|1000', 'all its rows are in');
cmp_ok(scalar($server->requests('capped')), '<', 60, 'with few more requests than it has pages');

# ---- Records that are wrong -----------------------------------------------

is(result('stranger'), 'succeeded|2|1|0|0|1', 'a record of another type is not stored');
is(letters('stranger'), '2|type is Tag, not Campus', 'its dead letter says why');

for my $org (qw(namesake namesake_first))
{
	is(result($org), 'succeeded|3|2|0|0|1', "nor if it has the id of another ($org)");
	is(campus_ids($org), '2|1|2', 'and the other is stored');
	is(value("SELECT record_id, reason FROM sync_dead_letters WHERE org = '$org'"),
		'1|type is Tag, not Campus', 'its dead letter says why');
}

is(result('bad_key'), 'succeeded|3|2|0|0|1', 'a time that cannot be read costs only its record');
like(letters('bad_key'), qr/^2\|attribute "updated_at" is no timestamp: "yesterday"$/, 'its dead letter says why');
is(strategy_note('bad_key'), 'none', 'and it does not discredit the order');

is(result('null_id'), 'succeeded|3|2|0|0|1', 'an id that is null costs only its record');
is(letters('null_id'), 'no id|id is null', 'its dead letter says why');
is(strategy_note('null_id'), 'none', 'and it does not discredit the order');

is(result('long_id'), 'succeeded|3|2|0|0|1', 'an id that no index can hold costs only its record');
is(campus_ids('long_id'), '2|1|3', 'the others are in');
is(rerun('long_id'), 'succeeded|3|0|0|2|1', 'and again in the second run');
is(letters('long_id'), 'no id|id is longer than 255 bytes', 'which makes no second dead letter');

# ---- Values that are written differently ----------------------------------

is(result('rewritten'), "succeeded|1|1|0|0|0\nsucceeded|1|1|0|0|0", 'a household and a person');
$server->phase('rewritten', 2);
is(rerun('rewritten'), "succeeded|1|0|0|1|0\nsucceeded|1|0|0|1|0", 'other escapes are no change');
$server->phase('rewritten', 3);
is(rerun('rewritten'), "succeeded|1|0|0|1|0\nsucceeded|1|0|0|1|0", 'nor is another order of members and ids, nor white space');
is(value("SELECT first_name, resource_permission_flags FROM pco_people.person WHERE org = 'rewritten'"),
	"Zo\xc3\xab a/b|{\"of\": [\"\xc3\xa9/\", {\"a\": 1, \"b\": 2}], \"can\": true}", 'the values are what they mean');

is(result('numbers'), 'succeeded|3|3|0|0|0', 'odd numbers and an empty date are stored');
is(value("SELECT id, coalesce(grade, remote_id)::text, birthdate IS NULL FROM pco_people.person WHERE org = 'numbers' ORDER BY id"),
	"1|3|t\n2|1000|t\n3||t", 'as what they mean');

is(result($_), 'succeeded|5|5|0|0|0', "content types in capitals, or none ($_)") for qw(upper_type upper_type_api no_type);

# ---- Ways of reading that are refused -------------------------------------

is(result('no_order'), 'succeeded|150|150|0|0|0', 'a list that cannot be ordered is read by offsets');
is(campus_ids('no_order'), '150|1|150', 'all its rows are in');
like(strategy_note('no_order'), qr/^read by plain offsets: .*order is not supported/, 'the note says why');

# ---- Tables that users have made ------------------------------------------

is(result('partitioned'), 'succeeded|5|5|0|0|0', 'a partitioned table, made before the first sync, is used');
is(value('SELECT id, name, sequence, slug FROM pco.tab ORDER BY id LIMIT 2'), "1|T1|1|t1\n2|T2|2|t2", 'its columns are added and filled');
is(value('SELECT count(*) FROM pco_people.tab_rest'), '5', 'its rows are in the partition');

is(result('skipping'), 'succeeded|20|10|0|0|10', 'records that a trigger skips are counted as not stored');
is(rerun('skipping'), 'succeeded|20|0|0|10|10', 'also in the second run');
is(value("SELECT count(*), (SELECT rows FROM sync_engine.sync_state WHERE org = 'skipping') FROM pco_people.name_prefix"),
	'10|10', 'the number of rows is what the table has');
is(value("SELECT DISTINCT reason FROM sync_dead_letters WHERE org = 'skipping' AND closed_at IS NULL"),
	'a trigger or rule of the table skips the record', 'and the dead letters say why');

like(result('refused'), qr/^failed\|(\d+)\|0\|0\|0\|\1$/, 'a table that refuses every record fails the job');
is(value("SELECT sqlstate FROM sync_jobs WHERE run_id = $run{refused}"), 'SE003', 'for that reason');
like(error_of('refused'), qr/records could not be stored/, 'which it names');
cmp_ok(value("SELECT count(*) FROM sync_dead_letters WHERE org = 'refused'"), '<=', 100, 'before all of them are dead letters');

# ---- Servers that contradict themselves -----------------------------------

is(result('lies'), 'partial|250|250|0|0|0', 'fewer rows than total_count are a partial success');
like(error_of('lies'), qr/ended after 250 of 300 records/, 'that says what is missing');
is(campus_ids('lies'), '250|1|250', 'what there is, is in');

is(result('slow'), 'succeeded|120|120|0|0|0', 'a server that gives up on large pages is asked for smaller ones');
is(campus_ids('slow'), '120|1|120', 'all its rows are in');

for my $org (qw(no_offset no_offset_bare))
{
	like(result($org), qr/^failed\|\d+\|100\|0\|\d+\|0$/, "a server that gives the same page at every offset fails the job ($org)");
	like(error_of($org), qr/^the server ignores the offset/, 'for that reason');
	cmp_ok(scalar($server->requests($org)), '<', 30, 'after a few requests');
}

# ---- A manifest that grows ------------------------------------------------

is(result('gains'), 'succeeded|5|5|0|0|0', 'an attribute that the manifest does not know');
value(q{
	UPDATE sync_engine.manifest_attribute SET position = position + 1
	WHERE (product, entity) = ('people', 'Campus') AND position > 3;
	INSERT INTO sync_engine.manifest_attribute (product, entity, attribute, type, position, volatile, fields_only)
	VALUES ('people', 'Campus', 'motto', 'string', 4, false, false)});
is(rerun('gains'), 'succeeded|5|0|5|0|0', 'once the manifest knows it, it gets a column');
is(value("SELECT id, motto FROM pco_people.campus WHERE org = 'gains' ORDER BY id LIMIT 2"), "1|M1\n2|M2", 'which is filled');
is(value("SELECT id, motto FROM pco.campus WHERE org = 'gains' ORDER BY id LIMIT 2"), "1|M1\n2|M2", 'and which the view has');

is( value(
		'SELECT count(*) FROM sync_jobs
		WHERE fetched <> inserted + updated + unchanged + dead_lettered'),
	'0', 'the counters of all jobs add up');
unlike(server_log($node), qr/TRAP|PANIC|server process .* was terminated by signal/, 'no process has crashed');

done_testing();
