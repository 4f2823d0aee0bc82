# Discovery: the API's documentation against the manifest.  What differs is told;
# what is new is applied when somebody says so, and synced from then on.

use strict;
use warnings FATAL => 'all';

use File::Copy qw(copy);
use FindBin;
use PostgreSQL::Test::Utils qw(append_to_file slurp_file);
use SyncEngineTest;
use SyncEngineTest::FakeServer;

# ---- What the tests share -----------------------------------------------------

my $catalogue = "$FindBin::Bin/../simulator/catalogue";

# An API that has moved on, and serves what its documentation says.
my $moved = PostgreSQL::Test::Utils::tempdir() . '/catalogue';
mkdir $moved or die "$moved: $!";
copy($_, $moved) or die "$_: $!" for glob "$catalogue/*.conf";
my $people_more = slurp_file("$moved/people_more.conf");
$people_more =~ s{^(entity SpamEmailAddress .*?)\n\n}{$1\nattribute verdict string pick titles\norder updated_at\nwhere updated_at\n\n}ms
  or die 'no SpamEmailAddress';
unlink "$moved/people_more.conf";
append_to_file("$moved/people_more.conf", $people_more);
append_to_file("$moved/zz_gadget.conf", <<'CONF');
product people
entity Gadget gadgets
rows per Person 1 0 3
attribute name string words sentence 1 3
attribute weight float float 1 90
attribute made_on date date 2001 2020 nulls 20
attribute created_at date_time created
attribute updated_at date_time updated
to_one owner Person parent owner
edge parts many GadgetPart where gadget
order created_at updated_at
where created_at updated_at
entity GadgetPart -
rows per Gadget 1 0 2
nested gadget parts
attribute number integer int 1 500
to_one gadget Gadget parent owner
CONF

# documents: a version of "current" that the fake server has, and its vertices.
sub documents
{
	my ($request, @vertices) = @_;
	my $vertices = join ',', map { qq({"type":"Vertex","id":"$_","attributes":{"name":"Thing"}}) } @vertices;

	return { body => '{"data":{"type":"Graph","id":"current","relationships":{"versions":{"data":[{"type":"GraphVersion","id":"2020-01-01","attributes":{"beta":false}}]}}}}' }
	  if $request->{path} =~ m{/documentation$};
	return { body => qq({"data":{"type":"GraphVersion","id":"2020-01-01","relationships":{"vertices":{"data":[$vertices]}}}}) }
	  if $request->{path} =~ m{/documentation/[^/]*$};
	return { body => '{"data":{"type":"Vertex","id":"thing","attributes":{"name":"Thing"}}}' };
}

my @odd = (
	'no JSON at all',
	'{"data":{"relationships":',
	'[]',
	'{"data":"\u0000"}',
	"{\"data\":\"\xff\"}",
	'[' x 1_000_000);

my $fake = SyncEngineTest::FakeServer->new(
	odd => sub { return { body => $odd[ $_[0]{phase} - 1 ] } },
	paths => sub { return documents($_[0], 'a b', '../../people', 'x?y=1', '%2e', '', 'thing') },
	huge => sub { return { body => '{"data":"' . 'x' x (9 * 1024 * 1024) . '"}' } });

my $sim = start_simulator(people => 300, rate_limit => 200, rate_period => 1);
my $next = start_simulator(catalogue => $moved, people => 40, rate_limit => 0);
my $node = new_cluster();

connect_org($node, $sim, 'org1');
$next->post('org', org => 'next', people => 40);
connect_org($node, $next, 'next');
connect_org($node, $fake, $_) for qw(odd paths huge);

sub value { return $node->safe_psql('sync', $_[0]); }

# attempt: what a statement says, and what it complains of.
sub attempt
{
	my ($status, $out, $error) = $node->psql('sync', "\\set VERBOSITY verbose\n\\set SHOW_CONTEXT never\n$_[0]");

	return ($out, $error);
}

# refresh: the differences.
sub refresh
{
	my ($arguments) = @_;

	return value("SELECT entity, change, name, documented, manifest FROM sync_manifest_refresh($arguments)");
}

# documented: makes the simulator's documentation differ.
sub documented
{
	my ($product, $op, %query) = @_;

	$sim->post('documentation', product => $product, op => $op, %query);
	return;
}

# asked: the documents asked for since the last time.
my $seen = 0;

sub asked
{
	my @lines = map { [ split / / ] } split /\n/, $sim->get('log', after => $seen);

	$seen = $lines[-1][0] if @lines;
	return grep { m{/v2/documentation} } map { $_->[4] } @lines;
}

# sync: status and counters of one entity, fetched first.
sub sync
{
	my ($org, $entity) = @_;

	return value("SELECT status, fetched, inserted, updated, unchanged FROM sync_run('$org', ARRAY['$entity'], mode => 'full') WHERE entity = '"
		  . $entity =~ s/^\w+\.//r . "'");
}

my $not_builtin = q{SELECT (SELECT count(*) FROM sync_engine.manifest_product WHERE source <> 'builtin')
	+ (SELECT count(*) FROM sync_engine.manifest_entity WHERE source <> 'builtin')
	+ (SELECT count(*) FROM sync_engine.manifest_attribute WHERE source <> 'builtin')
	+ (SELECT count(*) FROM sync_engine.manifest_relationship WHERE source <> 'builtin')
	+ (SELECT count(*) FROM sync_engine.manifest_edge WHERE source <> 'builtin')
	+ (SELECT count(*) FROM sync_engine.manifest_include WHERE source <> 'builtin')};

# ---- The API as the manifest has it -------------------------------------------

is(refresh(q{'org1'}), '', 'nothing differs, of all products');
is(value(q{SELECT count(DISTINCT product), count(*) FROM sync_engine.documentation WHERE vertex NOT IN ('', '@version')}),
	'11|256', 'every vertex was looked at');
my @all = asked();
my %stats = %{ $sim->stats(org => 'org1') };
is($stats{requests}, value('SELECT sum(requests) FROM sync_engine.job'), 'the jobs count every request');
is($stats{requests}, 256 + 2 * 11, 'each document was asked for once');
cmp_ok($stats{most_in_window}, '<=', 200, 'and within the organisation\'s budget');
is($stats{rejected_429_self}, 0, 'none over it');
$sim->post('rate', limit => 0, period => 20);

is(refresh(q{'org1', 'check-ins'}), '', 'a product as people write it');
my @check_ins = asked();
is(scalar(grep { m{^/check-ins/v2/documentation} } @check_ins), scalar(@check_ins), 'is the only one asked for');
is(refresh(q{'org1', 'check_ins'}), '', 'and as SQL has it');
is_deeply([asked()], \@check_ins, 'is the same');

# What is not stored is not compared, which is quicker.
value('DELETE FROM sync_engine.documentation');

# ---- What is no product, what is no org ----------------------------------------

my ($out, $error) = attempt(q{SELECT * FROM sync_manifest_refresh('org1', 'nonsense')});
like($error, qr/ERROR:  42704: product "nonsense" does not exist\nHINT:  See sync_entities/, 'an unknown product');
($out, $error) = attempt(q{SELECT * FROM sync_manifest_refresh('nobody')});
like($error, qr/ERROR:  42704: org(anisation)? "nobody" (does not exist|is not connected)/, 'an unknown org');
($out, $error) = attempt(q{SELECT * FROM sync_manifest_refresh(NULL)});
like($error, qr/ERROR:  22004: /, 'no org');
($out, $error) = attempt(q{BEGIN READ ONLY; SELECT * FROM sync_manifest_refresh('org1', 'current', apply => true)});
like($error, qr/ERROR:  25006: /, 'a transaction that may not write cannot apply');
is(scalar(asked()), 0, 'nobody was asked');

# ---- Differences ----------------------------------------------------------------

is(sync('org1', 'Person'), 'succeeded|300|300|0|0', 'people as they were');

documented('people', 'add_attribute', vertex => 'person', name => 'shoe_size', type => 'integer');
documented('people', 'remove_attribute', vertex => 'person', name => 'nickname');
documented('people', 'retype_attribute', vertex => 'person', name => 'grade', type => 'string');
documented('people', 'add_relationship', vertex => 'person', name => 'friends', type => 'Person[]');
documented('people', 'add_order', vertex => 'person', name => 'shoe_size');
documented('people', 'remove_order', vertex => 'person', name => 'given_name');
documented('people', 'add_where', vertex => 'person', name => 'shoe_size', type => 'integer');
documented('people', 'add_include', vertex => 'person', name => 'friends');
documented('people', 'remove_include', vertex => 'person', name => 'emails');
documented('people', 'add_vertex', vertex => 'gizmo', name => 'gizmos');
documented('people', 'add_attribute', vertex => 'gizmo', name => 'weight', type => 'float');
documented('people', 'add_vertex', vertex => 'gizmo_part', name => 'parts', type => 'gizmo');
documented('people', 'add_vertex', vertex => 'idea');
documented('people', 'remove_vertex', vertex => 'tab');
documented('people', 'add_version', name => '2027-01-31');

my $differences = <<~'ROWS' =~ s/\n\z//r;
	|new_version|2027-01-31|2027-01-31|2026-06-04
	Gizmo|new_entity|Gizmo|gizmo|
	GizmoPart|new_entity|GizmoPart|gizmo_part|
	Idea|new_entity|Idea|idea|
	Person|attribute_type|grade|string|integer
	Person|new_attribute|shoe_size|integer|
	Person|new_include|friends|friends|
	Person|new_order_key|shoe_size|shoe_size|
	Person|new_relationship|friends|Person|
	Person|new_where_key|shoe_size|shoe_size|
	Person|removed_attribute|nickname||string
	Person|removed_include|emails||emails
	Person|removed_order_key|given_name||given_name
	Tab|removed_entity|Tab||/people/v2/tabs
	ROWS
my $lasting = join "\n", grep { /removed|attribute_type/ } split /\n/, $differences;

is(refresh(q{'org1', 'people'}), $differences, 'each difference is a row');
is(value($not_builtin), 0, 'nothing is applied');
is(sync('org1', 'Person'), 'succeeded|300|0|0|300', 'nor synced');
is(refresh(q{'org1', 'people', apply => true}), $differences, 'what is applied is told');
is(refresh(q{'org1', 'people'}), $lasting, 'what is gone or of another type is only told');
is( value(q{SELECT entity, path, get_path, parent, parent_columns, unreachable FROM sync_engine.manifest_entity
		WHERE source = 'discovered' AND entity <> 'Person' ORDER BY entity}),
	"Gizmo|/people/v2/gizmos|/people/v2/gizmos/{id}||{}|\nGizmoPart|/people/v2/gizmos/{gizmo_id}/parts||Gizmo|{id}|\n"
	  . 'Idea|||||discovery could not derive a path',
	'new entities: one with a list, one beneath it, one that nothing leads to');
is( value(q{SELECT entity, attribute, source, type FROM sync_engine.manifest_attribute WHERE source <> 'builtin' ORDER BY 1}),
	"Gizmo|weight|discovered|float\nPerson|shoe_size|discovered|integer", 'new attributes');
is( value(q{SELECT e.order_keys @> b.order_keys AND e.where_keys @> b.where_keys AND e.includes @> b.includes,
			e.order_keys @> '{shoe_size}', e.where_keys @> '{shoe_size}', e.includes @> '{friends}', e.strategy
		FROM sync_engine.entity e JOIN sync_engine.manifest_entity b USING (product, entity)
		WHERE entity = 'Person' AND product = 'people' AND b.source = 'builtin'}),
	't|t|t|t|keyset', 'new keys and includes, beside those that were there');
is(value(q{SELECT source, target, many FROM sync_engine.manifest_relationship WHERE relationship = 'friends'}), 'discovered|Person|t', 'a new relationship');
is(value(q{SELECT count(*) FROM sync_engine.manifest_problems()}), 0, 'and the manifest is sound');

is(sync('org1', 'Person'), 'succeeded|300|0|300|0', 'the next sync has the new shape');
is( value(q{SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'pco_people.person'::regclass AND attname = 'shoe_size'}),
	'bigint', 'with the new column');
is(value('SELECT count(shoe_size), count(nickname) > 0, count(grade) > 0 FROM pco.person'), '0|t|t', 'and those that are no longer documented');
is_equal_to_oracle($node, $sim, 'org1', 'Person', 'people are equal');
is(sync('org1', 'Person'), 'succeeded|300|0|0|300', 'once');
is(sync('org1', 'Gizmo'), 'failed|0|0|0|0', 'what is documented and not served fails alone');

# ---- The user's word ------------------------------------------------------------

value(q{INSERT INTO sync_engine.manifest_attribute (product, entity, attribute, type, privacy) VALUES ('people', 'Person', 'shoe_size', 'float', 'drop');
	INSERT INTO sync_engine.manifest_entity (product, entity, path, strategy) VALUES ('people', 'Gizmo', '/people/v2/campuses', 'full_scan');
	INSERT INTO sync_engine.manifest_product (product, api_version) VALUES ('people', '2026-06-04')});
is( refresh(q{'org1', 'people', apply => true}),
	join("\n", '|new_version|2027-01-31|2027-01-31|2026-06-04', grep({ /grade/ } split /\n/, $lasting),
		'Person|attribute_type|shoe_size|integer|float', grep { !/grade/ } split /\n/, $lasting),
	'differences from the user\'s are told as well');
is(value(q{SELECT type, privacy FROM sync_engine.attribute WHERE attribute = 'shoe_size'}), 'float|drop', 'yet the user\'s type');
is(value(q{SELECT path, strategy FROM sync_engine.entity WHERE entity = 'Gizmo'}), '/people/v2/campuses|full_scan', 'path, strategy');
is(value(q{SELECT api_version FROM sync_engine.product WHERE product = 'people'}), '2026-06-04', 'and version stand');
value(q{DELETE FROM sync_engine.manifest_attribute WHERE source = 'user';
	DELETE FROM sync_engine.manifest_entity WHERE source = 'user';
	DELETE FROM sync_engine.manifest_product WHERE source = 'user'});
is(value(q{SELECT path, strategy FROM sync_engine.entity WHERE entity = 'Gizmo'}), '/people/v2/gizmos|full_scan', 'until their rows are taken back');

# ---- A key that the API does not heed -------------------------------------------

documented('services', 'add_where', vertex => 'song', name => 'updated_at', type => 'date_time');
is(value(q{SELECT strategy FROM sync_engine.entity WHERE entity = 'Song'}), 'descending', 'a song can be ordered, but not filtered');
is(refresh(q{'org1', 'services', apply => true}), 'Song|new_where_key|updated_at|updated_at|', 'now it is said to be');
is(value(q{SELECT strategy FROM sync_engine.entity WHERE entity = 'Song'}), 'keyset', 'so it is read by the key');
like(sync('org1', 'services.Song'), qr/^succeeded\|(\d+)\|\1\|0\|0$/, 'the sync finds out');
like(value(q{SELECT strategy_note FROM sync_engine.sync_state WHERE entity = 'Song'}), qr/does not filter by updated_at/, 'and says it');
is_equal_to_oracle($node, $sim, 'org1', 'services.Song', 'songs are equal');

# ---- Beside a sync --------------------------------------------------------------

# The sync stops in the middle of the people, until the documentation is read.
$sim->post('latency', ms => 5);
$sim->post('fault', path => '/people/v2/people', contains => 'offset=', kind => 'hang', skip => 1, count => 1);
my $run = value(q{SELECT sync_start('org1', ARRAY['Person', 'Email', 'Household', 'HouseholdMembership', 'Note'], mode => 'full')});
wait_for(sub { value(qq{SELECT fetched > 0 FROM sync_engine.job WHERE run_id = $run AND entity = 'Person'}) eq 't' }, 20, 'a sync is under way');
documented('people', 'add_attribute', vertex => 'person', name => 'hat_size', type => 'float');
documented('people', 'add_attribute', vertex => 'household_membership', name => 'since', type => 'date');
like(refresh(q{'org1', 'people', apply => true}), qr/^HouseholdMembership\|new_attribute\|since\|date\|$/m, 'discovery goes on beside it');
is(value("SELECT status FROM sync_runs WHERE run_id = $run"), 'running', 'while it runs');
$sim->post('fault/clear');
is(value("SELECT sync_wait($run, '20s')"), 'succeeded', 'it ends as if nothing had been');
is_equal_to_oracle($node, $sim, 'org1', $_, "$_ is equal") for qw(Person Email Household HouseholdMembership Note);
is(sync('org1', 'Person'), 'succeeded|300|0|300|0', 'the new columns come with the next');
is(value('SELECT count(hat_size) FROM pco.person'), 0, 'as they were applied');
$sim->post('latency', ms => 0);

# ---- Faults ---------------------------------------------------------------------

value('DELETE FROM sync_engine.documentation');
documented('giving', 'add_attribute', vertex => 'fund', name => 'colour_of_money', type => 'string');
$sim->post('fault', path => '/giving/v2/documentation', contains => 'vertices/donation', kind => '500', count => 1);
is(refresh(q{'org1', 'giving'}), 'Fund|new_attribute|colour_of_money|string|', 'a document that fails is asked for again');
is( value(q{SELECT a.status, a.attempts, a.error FROM sync_engine.activity a JOIN sync_engine.job j USING (job_id)
		WHERE j.product = 'giving' AND a.kind = 'refresh'}),
	'succeeded|1|the API answered 500: An unexpected error occurred', 'as can be seen');

value('DELETE FROM sync_engine.documentation');
documented('giving', 'add_attribute', vertex => 'label', name => 'size', type => 'string');
$sim->post('fault', path => '/giving/v2/documentation', contains => 'vertices/fund', kind => '404', count => 0);
($out, $error) = attempt(q{SELECT entity, change, name FROM sync_manifest_refresh('org1', 'giving')});
is("$out|$error", 'Label|new_attribute|size|', 'one that is not there is passed over');
$sim->post('fault/clear');

$sim->post('fault', path => '/groups/v2/documentation', kind => '404', count => 0);
($out, $error) = attempt(q{SELECT DISTINCT product FROM sync_manifest_refresh('org1') ORDER BY 1});
like($error, qr/^\S+ WARNING:  01000: the documentation of product "groups" could not be read: .*404/, 'a product without documentation');
is(() = $error =~ /WARNING/g, 1, 'is the only one');
is($out, "giving\npeople", 'the others are told of');
$sim->post('fault/clear');

my @reasons = (
	(qr/invalid input syntax for type json/) x 2,
	qr{the document "/current/v2/documentation" is no JSON object},
	qr/unsupported Unicode escape sequence/,
	qr/invalid byte sequence for encoding "UTF8": 0xff/,
	qr/stack depth limit exceeded/);
for my $phase (1 .. @odd)
{
	$fake->phase('odd', $phase);
	($out, $error) = attempt(q{SELECT * FROM sync_manifest_refresh('odd', 'current')});
	my $reason = $reasons[ $phase - 1 ];
	like("$out$error", qr/^\S+ WARNING:  01000: the documentation of product "current" could not be read: $reason\n[^\n]*\z/,
		'what is no document: ' . substr $odd[ $phase - 1 ], 0, 20);
}
is(value(q{SELECT count(*) FROM sync_engine.documentation WHERE product = 'current' AND document = '[]'}), 0, 'is not stored');

value(q{SELECT count(*) FROM sync_manifest_refresh('paths', 'current')});
is_deeply(
	[ map { s/\?$//r } $fake->requests('paths') ],
	[ map { "/current/v2/documentation$_" } '', '/2020-01-01', '/2020-01-01/vertices/thing' ],
	'what cannot be a vertex is not asked for');

my $session = background_psql($node, on_error_stop => 0);
$session->query_until(qr/begun/, "\\echo begun\nSELECT * FROM sync_manifest_refresh('huge', 'current');\n");
wait_for(sub { value(q{SELECT max(error) FROM sync_activities WHERE org = 'huge'}) =~ /^response body exceeds 8388608 bytes$/ },
	20, 'a document that is too large is not taken');
value(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%''huge''%' AND pid <> pg_backend_pid()});
wait_for(sub { value(q{SELECT status FROM sync_runs WHERE org = 'huge'}) eq 'cancelled' }, 20, 'who waits for it can give up');
$session->quit;

# ---- A lane is killed -----------------------------------------------------------

value(q{DELETE FROM sync_engine.documentation WHERE product = 'services'});
asked();
$sim->post('latency', ms => 20);
$session = background_psql($node, on_error_stop => 0);
$session->query_until(qr/begun/, "\\echo begun\nSELECT * FROM sync_manifest_refresh('org1', 'services');\n");
wait_for(sub { value(q{SELECT count(*) > 20 FROM sync_engine.documentation WHERE product = 'services'}) eq 't' }, 20, 'in the middle of a refresh');
kill 'KILL', lane_pids($node);
eval { $session->quit };
# A server that is starting anew may not even read the question.
wait_for(
	sub {
		(eval { ($node->psql('sync', 'SELECT status FROM sync_engine.run ORDER BY run_id DESC LIMIT 1'))[1] } // '') eq 'succeeded';
	},
	30, 'the lane is killed, and another goes on');
my @documents = asked();
my %times;
$times{$_}++ for @documents;
is(scalar(keys %times), 67, 'every document is asked for');
cmp_ok(scalar(@documents), '<=', 67 + 1, 'but for the one under way no more than once');
is(value(q{SELECT entity, change, name FROM sync_engine.manifest_differences('services')}), '', 'and nothing is missing');
$sim->post('latency', ms => 0);

# ---- An API that has moved on ---------------------------------------------------

# Its version is older than what the other org's API has by now.
is(value(q{SELECT max(version) FROM sync_engine.documentation WHERE product = 'people'}), '2027-01-31', 'what is stored is newer');
is( refresh(q{'next', 'people', apply => true}) =~ s/^(?!Gadget|Spam).*\n?//mgr,
	"Gadget|new_entity|Gadget|gadget|\nGadgetPart|new_entity|GadgetPart|gadget_part|\n"
	  . "SpamEmailAddress|new_attribute|verdict|string|\nSpamEmailAddress|new_order_key|updated_at|updated_at|\n"
	  . 'SpamEmailAddress|new_where_key|updated_at|updated_at|', 'new entities, a new attribute, new keys');
is( value(q{SELECT entity, strategy FROM sync_engine.entity WHERE entity IN ('Gadget', 'GadgetPart', 'SpamEmailAddress') ORDER BY 1}),
	"Gadget|keyset\nGadgetPart|per_parent\nSpamEmailAddress|keyset", 'the strategies follow');
is( value(q{SELECT string_agg(status, ' ') FROM sync_run('next', ARRAY['Gadget', 'GadgetPart', 'SpamEmailAddress'], mode => 'full')}),
	'succeeded succeeded succeeded', 'they are synced');
is_equal_to_oracle($node, $next, 'next', $_, "$_ is equal") for qw(Gadget GadgetPart SpamEmailAddress);
like($next->get('log'), qr{ /people/v2/spam_email_addresses\?\S*order=updated_at}, 'by the new key');
is(value('SELECT count(*) FROM pco.spam_email_address WHERE verdict IS NOT NULL'), 7, 'with the new attribute');

is( value('SELECT count(*) FROM sync_jobs WHERE fetched <> inserted + updated + unchanged + dead_lettered'),
	'0', 'the counters of all jobs add up');
unlike(server_log($node), qr/TRAP|PANIC/, 'no assertion has failed');

done_testing();
