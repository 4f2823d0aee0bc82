# What users say of the manifest outlives a dump, an extension that is created
# anew, and the next release.

use strict;
use warnings FATAL => 'all';

use File::Basename qw(basename dirname);
use File::Path qw(make_path);
use PostgreSQL::Test::Utils ();
use SyncEngineTest;
use SyncEngineTest::FakeServer;

# ---- An installation that a next release can be put into ----------------------

# run: the output of a command, which must succeed.
sub run
{
	my (@command) = @_;
	my ($out, $error) = PostgreSQL::Test::Utils::run_command(\@command);

	die "@command: $error" if $?;
	return $out;
}

my $root = PostgreSQL::Test::Utils::tempdir() . '/pg';
my ($bin, $lib, $share) = map { run('pg_config', "--$_") } qw(bindir pkglibdir sharedir);
my $extension = "$root$share/extension";

# PostgreSQL finds what belongs to it relative to its programs, so only these
# are real copies.
make_path("$root$bin", "$root$lib", $extension);
run('cp', '-L', glob("$bin/*"), "$root$bin/");
for my $file (glob("$lib/*"), grep({ !m{/extension$} } glob("$share/*")), glob("$share/extension/*"))
{
	symlink $file, "$root$file" or die "$file: $!";
}
local $ENV{PATH} = "$root$bin:$ENV{PATH}";

# ---- What there is to survive -----------------------------------------------------

sub campus
{
	my ($number) = @_;

	return qq({"type":"Campus","id":"$number","attributes":{"name":"C$number","updated_at":"2024-01-0${number}T00:00:00Z",)
	  . qq("motto":"motto $number","street":"private $number","seats":$number}});
}

my $server = SyncEngineTest::FakeServer->new(
	org1 => sub {
		return { body => '{"data":[' . join(',', map { campus($_) } 1 .. 5) . '],"meta":{"total_count":5,"count":5}}' };
	});
my $node = new_cluster();
my $database = 'sync';

connect_org($node, $server, 'org1');

sub value
{
	my ($query) = @_;

	return $node->safe_psql($database, $query);
}

sub sync
{
	return value(q{SELECT status, fetched, inserted, updated, unchanged, dead_lettered FROM sync_run('org1', ARRAY['Campus'], mode => 'full')});
}

my @tables = map { "sync_engine.manifest_$_" } qw(product entity attribute relationship edge include);
my @views = map { "sync_engine.$_" } qw(product entity attribute relationship edge include);

# rows_of: all rows of relations, as text.
sub rows_of
{
	my ($where, @relations) = @_;

	return value(join(' UNION ALL ', map { "SELECT '$_ ' || r::text FROM $_ r $where" } @relations) . ' ORDER BY 1');
}

sub overrides { return rows_of(q{WHERE source <> 'builtin'}, @tables); }
sub effective { return rows_of('', @views); }

sub campuses { return value('SELECT id, motto, street, seats, _extra FROM pco_people.campus ORDER BY id'); }

is(sync(), 'succeeded|5|5|0|0|0', 'a first sync');
is(value(q{SELECT sync_promote('Campus', 'motto')}), 5, 'a promoted attribute');
value(q{
	INSERT INTO sync_engine.manifest_product VALUES ('gadgets', 'user', '/gadgets/v2', '2026-01-01'), ('people', 'user', NULL, '2025-11-10');
	INSERT INTO sync_engine.manifest_entity (product, entity, source, path, strategy) VALUES
		('gadgets', 'Gadget', 'user', '/gadgets/v2/gadgets', NULL), ('people', 'Note', 'user', NULL, 'full_scan'),
		('people', 'Badge', 'discovered', '/people/v2/badges', NULL);
	INSERT INTO sync_engine.manifest_attribute (product, entity, attribute, source, type, volatile, privacy) VALUES
		('people', 'Campus', 'street', 'user', NULL, NULL, 'drop'), ('people', 'Campus', 'seats', 'user', 'integer', NULL, NULL),
		('people', 'Campus', 'zip', 'user', NULL, true, NULL), ('people', 'Badge', 'name', 'discovered', 'string', NULL, NULL);
	INSERT INTO sync_engine.manifest_relationship (product, entity, relationship, target) VALUES ('people', 'Note', 'approver', 'Person');
	INSERT INTO sync_engine.manifest_edge (product, entity, parent, kind) VALUES ('people', 'Campus', 'Organization', 'none');
	INSERT INTO sync_engine.manifest_include (product, parent, include, complete) VALUES ('people', 'Person', 'emails', false)});
is(sync(), 'succeeded|5|0|5|0|0', 'the overrides take effect');

my $overrides = overrides();
my $effective = effective();
my $campuses = campuses();

is(scalar(split /\n/, $overrides), 13, 'overrides in every table');
is($campuses, join("\n", map { "$_|motto $_||$_|" } 1 .. 5), 'and in the data');

# ---- Dump and restore ------------------------------------------------------------

my @connection = ('-p', $node->port, '-h', $node->host);
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';

run('pg_dump', @connection, '-f', $dump, 'sync');
unlike(PostgreSQL::Test::Utils::slurp_file($dump), qr/\tbuiltin\t/, 'a dump has no built-in rows');
run('createdb', @connection, 'restored');
run('psql', @connection, '-qX', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', $dump, 'restored');
$database = 'restored';
is(overrides(), $overrides, 'restored, the overrides are there');
is(effective(), $effective, 'and mean the same');
is(campuses(), $campuses, 'the data are there');
value(sprintf q{SELECT sync_connect('org1', 'org1-client', 'secret', base_url => '%s')}, $server->url);
is(sync(), 'succeeded|5|0|0|5|0', 'and known: nothing is written again');

# ---- An extension created anew -----------------------------------------------------

# Without the extension only the overrides are dumped.
run('pg_dump', @connection, '--data-only', '-t', 'sync_engine.manifest_*', '-f', $dump, 'restored');
value('DROP EXTENSION sync_engine CASCADE');
is(campuses(), $campuses, 'without the extension the data stay');
value('CREATE EXTENSION sync_engine');
isnt(effective(), $effective, 'a new one knows nothing of the overrides');
run('psql', @connection, '-qX', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', $dump, 'restored');
is(overrides(), $overrides, 'they are put back from their dump');
is(effective(), $effective, 'and mean the same');
value(sprintf q{SELECT sync_connect('org1', 'org1-client', 'secret', base_url => '%s')}, $server->url);
is(sync(), 'succeeded|5|0|0|5|0', 'the data are known again');
is(campuses(), $campuses, 'and as they were');

# ---- The next release ---------------------------------------------------------------

# Its script is the one in the documentation, with the present data but for some
# changes: another version, an attribute that was promoted, one that is gone, an
# entity that is gone.
$database = 'sync';
my ($version) = value(q{SELECT extversion FROM pg_extension WHERE extname = 'sync_engine'});
my ($data) = PostgreSQL::Test::Utils::slurp_file("$extension/sync_engine--$version.sql") =~
  /^(INSERT INTO sync_engine\.manifest_product .*\n\t'[^\n]*'\);\n)/ms;

ok($data =~ s/('people', 'builtin', '\/people\/v2', )'[^']*'/$1'2026-12-24'/
	  && $data =~ s/('calendar', 'builtin', '\/calendar\/v2', )'[^']*'/$1'2026-12-24'/
	  && $data =~ s/\["phone_number","string"\],(?=\["state","string"\],\["street","string"\])/["motto","integer"],/
	  && $data =~ s/SELECT sync_engine\.manifest_add\('people', 'FormFieldCondition'.*?;\n//s, 'a release that differs');

PostgreSQL::Test::Utils::append_to_file("$extension/sync_engine--$version--9.9.sql", <<'SQL' . $data);
\echo Use "ALTER EXTENSION sync_engine UPDATE" to load this file. \quit
SET LOCAL search_path TO pg_catalog, pg_temp;
DELETE FROM sync_engine.manifest_product WHERE source = 'builtin';
DELETE FROM sync_engine.manifest_entity WHERE source = 'builtin';
DELETE FROM sync_engine.manifest_attribute WHERE source = 'builtin';
DELETE FROM sync_engine.manifest_relationship WHERE source = 'builtin';
DELETE FROM sync_engine.manifest_edge WHERE source = 'builtin';
DELETE FROM sync_engine.manifest_include WHERE source = 'builtin';
SQL
value(q{ALTER EXTENSION sync_engine UPDATE TO '9.9'});
# The library is still ours, and would refuse the objects of another version.
value(qq{UPDATE pg_extension SET extversion = '$version' WHERE extname = 'sync_engine'});

is(overrides(), $overrides, 'an upgrade leaves the overrides as they were');
is(value(q{SELECT string_agg(api_version, ' ' ORDER BY product) FROM sync_engine.product WHERE product IN ('calendar', 'people')}),
	'2026-12-24 2025-11-10', 'what the release says counts where the user says nothing');
is( value(q{SELECT count(*) FILTER (WHERE attribute = 'phone_number'), max(type) FILTER (WHERE attribute = 'motto'),
		bool_or(privacy = 'drop') FROM sync_engine.attribute WHERE (product, entity) = ('people', 'Campus')}),
	'0|string|t', 'attributes come and go; what was promoted keeps its type');
is(value(q{SELECT count(*) FROM sync_entities WHERE entity = 'FormFieldCondition'}), 0, 'an entity is gone');
is(value('SELECT product, entity, problem FROM sync_engine.manifest_problems()'), '', 'nothing is wrong with what is left');
is(sync(), 'succeeded|5|0|5|0|0', 'a sync goes on; a column less is another shape');
is(campuses(), $campuses, 'with the same result');
is(sync(), 'succeeded|5|0|0|5|0', 'and nothing to do after');

unlike(server_log($node), qr/TRAP|PANIC|server process .* was terminated by signal/, 'no process has crashed');

done_testing();
