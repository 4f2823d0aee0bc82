# What is nobody's business: a dropped attribute is stored nowhere, of a hashed one
# only a keyed digest is; neither shows in a file, a dump, a dead letter or a log.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Utils ();
use SyncEngineTest;
use SyncEngineTest::FakeServer;

sub page
{
	my (@records) = @_;

	return { body => '{"data":[' . join(',', @records) . '],"meta":{"total_count":' . @records . ',"count":' . @records . '}}' };
}

sub campus
{
	my ($id, @attributes) = @_;

	return qq({"type":"Campus","id":$id,"attributes":{) . join(',', '"updated_at":"2024-01-01T00:00:00Z"', @attributes) . '}}';
}

# Words that begin so must be found nowhere; these are found.
my $secret = 'zebra';
my $known = 'okapi';

# private: what is dropped, hashed or unknown to the manifest, all secret.
sub private
{
	my ($number) = @_;

	return (
		qq("street":"$secret-street-$number"), qq("contact_email_address":"$secret-mail-) . ($number % 2) . '"',
		qq("ssn":"$secret-ssn-$number"), qq("latitude":"$secret-latitude"));
}

sub public { return qq("name":"$known-name-$_[0]"); }

sub fresh_campuses
{
	return (
		(map { campus(qq("$_"), public($_), private($_)) } 1 .. 4),
		# dead letters: without an id, with a misfit, with a number that jsonb cannot hold
		campus('null', public(5), private(5)),
		campus('"6"',  public(6), private(6), '"longitude":"' . $known . '-longitude"'),
		campus('"7"',  public(7), private(7), '"longitude":1e300000'));
}

my $server = SyncEngineTest::FakeServer->new(
	fresh => sub { return page(fresh_campuses()); },
	late  => sub {
		my ($request) = @_;

		# in the second phase their fourth is gone
		return page(map { campus(qq("$_"), public($_), private($_), qq("longitude":1)) } 1 .. ($request->{phase} == 1 ? 4 : 3));
	},
	moving => sub {
		my ($request) = @_;

		return page(map { campus(qq("$_"), public($_), qq("description":"$request->{phase}","ssn":"$secret-$request->{phase}"),
			$request->{phase} == 3 && $_ == 1 ? '"city":"Ur"' : ()) } 1 .. 4);
	});
my $simulator = start_simulator(people => 250, orgs => 1, rate_limit => 0);
my $node = new_cluster();

connect_org($node, $server, $_) for qw(fresh late moving);
connect_org($node, $simulator, 'org1');

sub value
{
	my ($query) = @_;

	return $node->safe_psql('sync', $query);
}

sub sync
{
	my ($org, $entity, @with) = @_;
	my $entities = join ', ', map { "'$_'" } @with, $entity;

	return value("SELECT status, fetched, inserted, updated, unchanged, dead_lettered
		FROM sync_run('$org', ARRAY[$entities], mode => 'full') WHERE entity = '$entity'");
}

sub dump_all
{
	return (PostgreSQL::Test::Utils::run_command([ 'pg_dump', '-p', $node->port, '-h', $node->host, @_, 'sync' ]))[0];
}

# files_with: those of the data directory, log included, that have the word.
sub files_with
{
	my ($word) = @_;

	value('CHECKPOINT');
	return (PostgreSQL::Test::Utils::run_command([ 'grep', '-rlaF', $word, $node->data_dir, $node->logfile ]))[0];
}

sub hexadecimal { return "$_[0] ~ '^[0-9a-f]{64}\$'"; }

# ---- What comes is never stored ---------------------------------------------------

# One that the manifest has not got, and one that would not fit its type.
my $privacy = q{INSERT INTO sync_engine.manifest_attribute (product, entity, attribute, type, privacy) VALUES
	('people', 'Campus', 'street', NULL, 'drop'), ('people', 'Campus', 'contact_email_address', NULL, 'hash'),
	('people', 'Campus', 'ssn', 'string', 'drop')};
value($privacy);
value(q{INSERT INTO sync_engine.manifest_attribute (product, entity, attribute, privacy) VALUES ('people', 'Campus', 'latitude', 'drop')});
is(sync('fresh', 'Campus'), 'succeeded|7|4|0|0|3', 'sound records are stored, the others dead letters');
is(value(q{SELECT count(name), count(street), count(ssn), count(latitude), count(_extra) FROM pco_people.campus}), '4|0|0|0|0',
	'a dropped attribute is NULL, and nowhere else');
is(value(q{SELECT count(DISTINCT contact_email_address), bool_and(} . hexadecimal('contact_email_address') . q{) FROM pco.campus}), '2|t',
	'a hashed one is a digest');
is( value(q{SELECT coalesce(record_id, '-'), payload->'attributes' ?| '{street,ssn,latitude,contact_email_address}', payload#>>'{attributes,name}', reason
		FROM sync_dead_letters WHERE org = 'fresh' ORDER BY record_id NULLS FIRST}),
	qq(-|f|$known-name-5|id is null\n6|f|$known-name-6|attribute "longitude" is no number: "$known-longitude"\n7|f|$known-name-7|value overflows numeric format),
	'dead letters lack all that is private');
like(dump_all(), qr/$known-name-1/, 'a dump has what may be stored');
unlike(dump_all(), qr/$secret/, 'and nothing else');
isnt(files_with("$known-name-1"), '', 'so do the files');
is(files_with($secret), '', 'which have nothing else either');
is(sync('fresh', 'Campus'), 'succeeded|7|0|0|4|3', 'the second run writes nothing');

# ---- The key ----------------------------------------------------------------------

my $digests = q{SELECT string_agg(contact_email_address || _hash, ' ' ORDER BY id) FROM pco_people.campus WHERE org = 'fresh'};
my $before = value($digests);

$node->restart;
is(sync('fresh', 'Campus'), 'succeeded|7|0|0|4|3', 'a restart changes no digest');
is(value($digests), $before, 'none at all');

$node->stop;
unlink $node->data_dir . '/sync_engine.key' or die "no key: $!";
$node->start;
connect_org($node, $server, $_) for qw(fresh late moving);
connect_org($node, $simulator, 'org1');
is(sync('fresh', 'Campus'), 'succeeded|7|0|4|0|3', 'with another key all records are written');
my %first = map { $_ => 1 } split / /, $before;
is(scalar(grep { $first{$_} } split / /, value($digests)), 0, 'with other digests');

# Neither a key that nobody has nor _hash gives a hashed value away.
is( value(q{SELECT count(*) FROM pco_people.campus WHERE contact_email_address IN (
		encode(sha256('zebra-mail-0'), 'hex'), encode(sha256('zebra-mail-1'), 'hex'))}), 0, 'a digest is no plain hash');

# ---- What was stored before is replaced -----------------------------------------

value(q{DELETE FROM sync_engine.manifest_attribute WHERE source = 'user' AND attribute <> 'latitude'});
is(sync('late', 'Campus'), 'succeeded|4|4|0|0|0', 'before anything but the latitude is private');
is(value(q{SELECT count(street), count(contact_email_address), count(latitude), count(_extra->'ssn') FROM pco_people.campus WHERE org = 'late'}), '4|4|0|4',
	'the others are stored as they are, unknown ones in _extra');
like(dump_all('-t', 'pco_people.campus'), qr/$secret-street.*$secret-ssn/, 'and can be found');

value($privacy);
$server->phase('late', 2);
is(sync('late', 'Campus'), 'succeeded|3|0|3|0|0', 'the next full run writes every record');
is( value(q{SELECT count(street), count(ssn), count(_extra), count(*) FILTER (WHERE } . hexadecimal('contact_email_address')
		. q{), count(DISTINCT contact_email_address) FROM pco_people.campus WHERE org = 'late' AND id <> '4'}),
	'0|0|0|3|2', 'dropped values are gone, hashed ones are digests, equal for equal values');
is(sync('late', 'Campus'), 'succeeded|3|0|0|3|0', 'and only once');

# As the documentation has it for rows that the API does not give any more.
value(q{UPDATE pco_people.campus SET street = NULL, contact_email_address = NULL, _extra = _extra - 'ssn', _hash = NULL WHERE org = 'late' AND id = '4'});
unlike(dump_all(), qr/$secret/, 'a dump has none of it');

# ---- Copies that come inside a parent's page --------------------------------------

my ($email, $other) = split /\n/, $simulator->get('oracle', org => 'org1', entity => 'Email', columns => 'id');
$simulator->post('odd', org => 'org1', entity => 'Email', id => $email, kind => 'unknown_attribute');
like(sync('org1', 'Email', 'Person'), qr/^succeeded\|(\d+)\|\1\|0\|0\|0$/, 'before anything is private');
my $via = q{SELECT via FROM sync_jobs WHERE entity = 'Email' ORDER BY job_id DESC LIMIT 1};
is(value($via), 'Person?include=emails', 'emails come with people');
is(value("SELECT _extra FROM pco_people.email WHERE id = '$email'"), '{"shoe_size": 44}', 'one has an unknown attribute');

value(q{INSERT INTO sync_engine.manifest_attribute (product, entity, attribute, type, privacy) VALUES
	('people', 'Email', 'location', NULL, 'drop'), ('people', 'Email', 'address', NULL, 'hash'), ('people', 'Email', 'shoe_size', 'integer', 'drop')});
$simulator->post('odd', org => 'org1', entity => 'Email', id => $other, kind => 'missing_attribute', attr => 'location');
like(sync('org1', 'Email', 'Person'), qr/^succeeded\|(\d+)\|0\|\1\|0\|0$/, 'all are written, also what a copy does not tell of');
is(value($via), 'Person?include=emails', 'again with people');
is(value(q{SELECT count(*) FILTER (WHERE NOT } . hexadecimal('address') . q{), count(location), count(shoe_size), count(_extra) FROM pco_people.email}),
	'0|0|0|0', 'and nothing private is left');
like(sync('org1', 'Email', 'Person'), qr/^succeeded\|(\d+)\|0\|0\|\1\|0$/, 'only once');
my $addresses = q{SELECT md5(string_agg(id || address, ' ' ORDER BY id)) FROM pco_people.email};
my $folded = value($addresses);
sync('org1', 'Email');
is(value($addresses), $folded, 'their own list gives the same digests');
is_equal_to_oracle($node, $simulator, 'org1', 'Email', 'the rest is the truth', except => [qw(address location)]);

# ---- Volatile by a user's word -------------------------------------------------------

is(sync('moving', 'Campus'), 'succeeded|4|4|0|0|0', 'before it is volatile');
value(q{INSERT INTO sync_engine.manifest_attribute (product, entity, attribute, volatile) VALUES ('people', 'Campus', 'description', true)});
is(sync('moving', 'Campus'), 'succeeded|4|0|4|0|0', 'saying so costs one rewrite');
$server->phase('moving', 2);
is(sync('moving', 'Campus'), 'succeeded|4|0|0|4|0', 'a change of it alone writes nothing, nor one of what is dropped');
$server->phase('moving', 3);
is(sync('moving', 'Campus'), 'succeeded|4|0|1|3|0', 'with another change it comes along');
is(value(q{SELECT string_agg(description, ' ' ORDER BY id) FROM pco_people.campus WHERE org = 'moving'}), '3 1 1 1', 'for that record');

unlike(server_log($node), qr/$secret/, 'the log has nothing private');
unlike(server_log($node), qr/TRAP|PANIC|server process .* was terminated by signal/, 'no process has crashed');

done_testing();
