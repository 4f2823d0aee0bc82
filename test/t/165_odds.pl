# Odd cases, each of which once went wrong: what people say of the manifest, what
# servers answer, and what others do to the tables while a run goes on.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;
use SyncEngineTest::FakeServer;
use Time::HiRes qw(time);

# ---- Servers that are odd -----------------------------------------------------

my $times = '"created_at":"2024-01-01T00:00:00Z","updated_at":"2024-01-01T00:00:00Z"';

sub record
{
	my ($type, $id, $attributes, $relationships) = @_;

	return qq({"type":"$type","id":"$id","attributes":{$attributes},"relationships":{) . ($relationships // '') . '}}';
}

sub linkage
{
	my ($name, $type, @ids) = @_;

	return qq("$name":{"data":[) . join(',', map { qq({"type":"$type","id":"$_"}) } @ids) . ']}';
}

# page: what a request gets of a list; the records that come along with each by
# its place in the list, and what the meta says beside its counts.
sub page
{
	my ($request, $records, %more) = @_;
	my $first = $request->{offset} // 0;
	my $end = $first + ($request->{per_page} // 25);

	$end = @$records if $end > @$records;

	my @places = $first < $end ? $first .. $end - 1 : ();
	my $body = '"data":[' . join(',', @$records[@places]) . ']';

	$body .= ',"included":[' . join(',', map { @$_ } @{ $more{included} }[@places]) . ']' if $more{included};
	return { body => sprintf '{"links":{%s},%s,"meta":{%s%s"total_count":%d,"count":%d}}',
		$end < @$records ? qq("next":"http://127.0.0.1/?offset=$end") : '', $body,
		$end < @$records ? qq("next":{"offset":$end},) : '', $more{meta} // '', scalar @$records, scalar @places };
}

sub refusal
{
	my ($status) = @_;

	return { status => $status, body => qq({"errors":[{"status":"$status","title":"Refused","detail":"for the test"}]}) };
}

# households: a church of as many, whose lists of members are as the sub says.
sub households
{
	my ($number, $members) = @_;
	my @households = map { record('Household', $_, qq("name":"H$_",$times)) } 1 .. $number;

	return sub {
		my ($request) = @_;
		my $path = $request->{path};

		return page($request, \@households) if $path eq '/people/v2/households';
		return $members->($request) if $path =~ m{^/people/v2/households/\d+/household_memberships$};
		return refusal(404);
	};
}

sub email
{
	my ($id, $person) = @_;

	return record('Email', $id, qq("address":"e$id\@example.org",$times), qq("person":{"data":{"type":"Person","id":"$person"}}));
}

# So many e-mail addresses that their own list would cost more than a count.
my ($people, $each, $shown) = (30, 5, 2);

# capped: an include that shows no more than two addresses of a person.
sub capped
{
	my ($request) = @_;
	my (@all, @people, @included);

	for my $person (1 .. $people)
	{
		my @ids = map { 100 * $person + $_ } 1 .. $each;

		push @all, map { email($_, $person) } @ids;
		push @included, [ map { email($_, $person) } @ids[ 0 .. $shown - 1 ] ];
		push @people, record('Person', $person, qq("first_name":"P$person",$times), linkage('emails', 'Email', @ids[ 0 .. $shown - 1 ]));
	}
	return page($request, \@all) if $request->{path} =~ m{/emails$};
	return page($request, \@people, included => \@included);
}

# stepped: the first person moves to the end of the list, and is read twice with
# its address; the second does not show one of two.
my $readers = 120;

sub stepped
{
	my ($request) = @_;
	my @ids = (1 .. $readers, 1);
	my $place = 0;
	my @people = map {
		record('Person', $_,
			sprintf('"first_name":"P","updated_at":"2024-01-01T%02d:%02d:00Z"', ++$place / 60, $place % 60),
			linkage('emails', 'Email', $_))
	} @ids;

	return page($request, [ (map { email($_, $_) } 1 .. $readers), email(502, 2) ]) if $request->{path} =~ m{/emails$};
	return page($request, \@people, included => [ map { [ email($_, $_) ] } @ids ]);
}

sub campuses
{
	my ($number) = @_;

	return map { record('Campus', $_, qq("name":"C$_",$times)) } 1 .. $number;
}

my @same_members = map { record('HouseholdMembership', $_, '"person_name":"N","pending":false') } 1 .. 30;

my $fake = SyncEngineTest::FakeServer->new(
	(map { my $status = $_; ("lists$status" => households(30, sub { return refusal($status); })) } 403, 404, 410),
	same_members => households(10, sub { return page($_[0], \@same_members); }),
	capped       => \&capped,
	stepped      => \&stepped,
	unsound      => sub { return page($_[0], [ ('{"type":"Campus","id":null}') x 3 ]); },
	versions     => sub { return page($_[0], [ record('Campus', 1, qq("name":"$_[0]{version}",$times)) ]); },
	map({
		my ($names, $key) = @$_;
		# In the second phase the key is among them.
		("no_$names" => sub {
			my ($request) = @_;
			my $listed = $request->{phase} > 1 ? '"id","updated_at"' : '"id"';

			return page($request, [ campuses(3) ], meta => qq("$names":[$listed],));
		});
	} [ 'can_order_by' ], [ 'can_query_by' ]));

# ---- What is asked of the engine ------------------------------------------------

my $simulator = start_simulator(people => 300, orgs => 24, rate_limit => 0);
my $node = new_cluster();
my $used = 0;

connect_org($node, $fake, $_)
  for qw(lists403 lists404 lists410 same_members capped stepped unsound no_can_order_by no_can_query_by);

sub new_org
{
	my (%options) = @_;

	return connect_org($node, $simulator, 'org' . ++$used, %options);
}

sub value { return safe_psql($node, $_[0]); }

# said: what a statement writes beside its result: warnings and its error.
sub said
{
	my ($query) = @_;
	my ($status, $out, $said) = $node->psql('sync', "\\set VERBOSITY verbose\n$query");

	return $said;
}

sub start
{
	my ($org, @entities) = @_;

	return start_sync($node, $org, \@entities);
}

sub ends
{
	my ($run, $status, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return run_ends($node, $run, $status, 60, "$name: the run ends $status");
}

sub run
{
	my ($status, $name, $org, @entities) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $run = start($org, @entities);

	ends($run, $status, $name);
	return $run;
}

# job: columns of a run's job for an entity.
sub job
{
	my ($run, $entity, $columns) = @_;

	return value("SELECT $columns FROM sync_jobs WHERE run_id = $run AND entity = '$entity'");
}

# synced: the entities that a run had jobs for.
sub synced
{
	my ($run) = @_;

	return value("SELECT string_agg(entity, ' ' ORDER BY entity) FROM sync_jobs WHERE run_id = $run");
}

sub note_of
{
	my ($org, $entity) = @_;

	return value("SELECT strategy_note FROM sync_status WHERE org = '$org' AND entity = '$entity'");
}

sub equals
{
	my ($org, $name, @entities) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is_complete($node, $org, $name, @entities);
	return;
}

# requests: path and query of those of an organisation, in the order in which they
# were asked or answered.
sub requests
{
	my ($org, $order) = @_;
	my @log = grep { $_->[2] eq $org } map { [ split / / ] } split /\n/, $simulator->get('log');

	@log = sort { $a->[1] <=> $b->[1] } @log if ($order // 'asked') eq 'asked';
	return map { $_->[4] } @log;
}

sub forget_overrides
{
	value(join ';', map { "DELETE FROM sync_engine.manifest_$_ WHERE source <> 'builtin'" } qw(entity attribute edge));
	return;
}

# walked: waits until a run has been at so many parents.
sub walked
{
	my ($run, $entity, $parents) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return wait_for(
		sub {
			value("SELECT count(*) FROM sync_engine.walk_ledger
				WHERE job_id = (SELECT job_id FROM sync_jobs WHERE run_id = $run AND entity = '$entity')") >= $parents;
		},
		30,
		"the walk of $entity is in its middle");
}

my ($org, $run, $versions);

# ---- What an organisation leaves out ----------------------------------------------

my @profile = qw(Person PersonApp Household HouseholdMembership Campus);

for my $case (
	[ 'Person', 'Campus Household HouseholdMembership' ],
	[ 'Household', 'Campus Person PersonApp' ],
	[ 'HouseholdMembership', 'Campus Household Person PersonApp' ])
{
	my ($excluded, $left) = @$case;

	$org = new_org(entities => \@profile, exclude => [$excluded]);
	$run = value("SELECT sync_start('$org')");
	ends($run, 'succeeded', "without $excluded");
	is(synced($run), $left, "without $excluded: nor what would pull it in again");
}

$org = new_org(exclude => ['Person']);
ends(value("SELECT sync_start('$org')"), 'succeeded', 'all but people');
is(value("SELECT count(*) FROM pco_people.person WHERE org = '$org'"), 0, 'all but people: no row of them');
is(value("SELECT count(*) FROM sync_jobs WHERE org = '$org' AND product = 'people' AND entity IN ('Person', 'PersonApp')"),
	0, 'all but people: no job for them');
cmp_ok(value("SELECT count(*) FROM pco_people.household_membership WHERE org = '$org'"), '>', 0, 'all but people: but those of households');

# ---- Overrides that are not sound ----------------------------------------------------

value(q{
	INSERT INTO sync_engine.manifest_entity (product, entity, unreachable) VALUES ('people', 'Household', 'not for us');
	INSERT INTO sync_engine.manifest_edge (product, entity, parent, kind) VALUES
		('services', 'Song', 'Arrangement', 'hard');
	INSERT INTO sync_engine.manifest_attribute (product, entity, attribute, privacy) VALUES ('giving', 'Donation', 'received_at', 'hash')});

my %unsound = (
	'people.HouseholdMembership' => qr/its parent "Household" cannot be synced: not for us/,
	'services.Song'              => qr/cycle/,
	'giving.Donation'            => qr/received_at/);

for my $all ("sync_run('ORG')", "sync_run('ORG', ARRAY['*'], mode => 'full')")
{
	$org = new_org();
	my $said = said('SELECT status FROM ' . $all =~ s/ORG/$org/r);

	for my $entity (sort keys %unsound)
	{
		like($said, qr/WARNING:  42P17: entity "\Q$entity\E", and what hangs on it, is left out: .*$unsound{$entity}/,
			"$all: a warning names $entity");
	}
	is(value("SELECT string_agg(DISTINCT status, ' ') FROM sync_jobs WHERE org = '$org'"), 'succeeded', "$all: the rest is synced");
	is( value("SELECT count(*) FROM sync_jobs WHERE org = '$org' AND product || '.' || entity
			IN ('people.HouseholdMembership', 'services.Song', 'services.Key', 'giving.Donation', 'giving.Note')"),
		0, "$all: and nothing that hangs on them");
	equals($org, $all, qw(Person Email giving.Fund services.Plan));
}
for my $entity (sort keys %unsound)
{
	like(said("SELECT sync_start('$org', ARRAY['$entity'], mode => 'full')"), qr/ERROR:  42P17: .*$unsound{$entity}/, "$entity by name: an error");
}
forget_overrides();

# ---- Walks of which the API has nothing ------------------------------------------------

for my $case ([ 404, 'partial', 'SE404' ], [ 410, 'partial', 'SE404' ], [ 403, 'failed', 'SE403' ])
{
	my ($status, $ends, $sqlstate) = @$case;

	$run = run('partial', "every list answers $status", "lists$status", 'HouseholdMembership');
	is(job($run, 'HouseholdMembership', 'status, sqlstate, fetched'), "$ends|$sqlstate|0", "every list answers $status: by name, $ends");
}
for my $status (404, 410)
{
	$run = run('succeeded', "every list answers $status, all", "lists$status", '*');
	is(job($run, 'HouseholdMembership', 'status, sqlstate'), 'skipped|SE404', "every list answers $status: in a run for everything, skipped");
}

# ---- Includes that do not show all ---------------------------------------------------

$org = new_org();
$simulator->post('hide_meta', org => $org, entity => $_, on => 1) for qw(Person Email);
$run = run('succeeded', 'no total_count', $org, qw(Person Email));
equals($org, 'no total_count', qw(Person Email));
is(job($run, 'Email', 'via'), '', 'no total_count: the own list is read');
is(note_of($org, 'Email'), 'not read with its parent: the API does not count its own list', 'no total_count: the note says why');
ok((grep { m{/emails\?} && !/per_page=1(&|$)/ } requests($org)), 'no total_count: by requests for its pages');

$run = run('succeeded', 'a capped include', 'capped', qw(Person Email));
is(value("SELECT count(*), count(DISTINCT person_id) FROM pco_people.email WHERE org = 'capped'"),
	$people * $each . "|$people", 'a capped include: all are there');
is(note_of('capped', 'Email'), sprintf('not read with its parent: %d came along, but the API counts %d', $people * $shown, $people * $each),
	'a capped include: the note says why');

$run = run('succeeded', 'one comes twice', 'stepped', qw(Person Email));
is(value("SELECT count(*), count(*) FILTER (WHERE id = '502') FROM pco_people.email WHERE org = 'stepped'"),
	$readers + 1 . '|1', 'one comes twice: that does not make up for the one that does not come');
like(note_of('stepped', 'Email'), qr/came along, but the API counts 121$/, 'one comes twice: the note says why');

# Included, but named by no person: whose it is nobody knows.
for my $replies (2, 1_000_000)
{
	my $name = "named by nobody in $replies replies";

	$org = new_org();
	$simulator->post('disagree', org => $org, entity => 'Person', include => 'platform_notifications',
		kind => 'missing_relationship', times => $replies);
	$run = run('succeeded', $name, $org, qw(Person PlatformNotification));
	is(value("SELECT count(*) FROM pco_people.platform_notification WHERE org = '$org' AND person_id IS NULL"),
		0, "$name: none is stored without its parent");
	equals($org, $name, qw(Person PlatformNotification));
	is(job($run, 'PlatformNotification', 'via'), $replies == 2 ? 'Person?include=platform_notifications' : '',
		"$name: " . ($replies == 2 ? 'asked for again' : 'read by itself in the end'));
}

# ---- What else a child waits for -----------------------------------------------------

value(q{INSERT INTO sync_engine.manifest_edge (product, entity, parent, kind, rank) VALUES ('people', 'Email', 'Campus', 'hard', 0)});
$org = new_org();
run('succeeded', 'two hard dependencies', $org, qw(Person Campus Email Address));
equals($org, 'two hard dependencies', qw(Person Campus Email Address));
forget_overrides();

# ---- A parent that the manifest loses --------------------------------------------------

$org = new_org();
$simulator->post('fault', org => $org, path => '/people/v2/households/', kind => 'hang', count => 0, skip => 20);
$run = start($org, 'HouseholdMembership');
walked($run, 'HouseholdMembership', 5);
value(q{INSERT INTO sync_engine.manifest_entity (product, entity, unreachable) VALUES ('people', 'Household', 'not for us')});
$node->restart;
$simulator->post('fault/clear');
ends($run, 'partial', 'a parent is lost');
is(job($run, 'HouseholdMembership', 'status, sqlstate'), 'failed|42704', 'a parent is lost: the job says so');
forget_overrides();
run('succeeded', 'the parent is back', $org, 'HouseholdMembership');
equals($org, 'the parent is back', 'HouseholdMembership');

# ---- Tables that others are at ----------------------------------------------------------

$org = new_org();
$simulator->post('fault', org => $org, path => '/services/v2/songs/', contains => 'arrangements', kind => 'hang', count => 0, skip => 5);
$run = start($org, qw(services.Arrangement services.Key));
walked($run, 'Arrangement', 2);
is(job($run, 'Key', 'via'), 'Arrangement?include=keys', 'a table is dropped: its rows come along with a walk');
value('DROP TABLE pco_services.key CASCADE');
$simulator->post('fault/clear');
ends($run, 'succeeded', 'a table is dropped');
equals($org, 'a table is dropped', qw(services.Song services.Arrangement services.Key));

$org = new_org();
my $session = background_psql($node);
$session->query_safe('BEGIN; LOCK TABLE pco_people.person_app IN SHARE MODE');
$run = start($org, qw(Person PersonApp));
wait_for(sub { job($run, 'Person', 'error') =~ /person_app/ }, 30, 'a table is locked: the job says what it waits for');
$session->query_safe('COMMIT');
$session->quit;
ends($run, 'succeeded', 'a table is locked');
equals($org, 'a table is locked', qw(Person PersonApp));
is(job($run, 'PersonApp', 'via'), 'Person?include=person_apps', 'a table is locked: it still comes along');
is(scalar(grep { m{/people/\w+/person_apps} } requests($org)), 0, 'a table is locked: nobody walks over all people');

# ---- One after the other -----------------------------------------------------------------

for my $ignores (0, 1)
{
	my $name = $ignores ? 'sequential, includes are ignored' : 'sequential';

	$org = new_org();
	$simulator->post('ignore', org => $org, entity => 'Person', key => 'include', on => $ignores);
	$run = start_sync($node, $org, [qw(Person Email Address PhoneNumber FieldDatum Campus ServiceTime HouseholdMembership)],
		execution => 'sequential');
	ends($run, 'succeeded', $name);

	for my $order (qw(asked answered))
	{
		my @lists = map { s/\?.*//r =~ s{/\d+}{/N}gr } requests($org, $order);
		my %lists = map { $_ => 1 } @lists;
		my $changes = grep { $_ == 0 || $lists[$_] ne $lists[ $_ - 1 ] } 0 .. $#lists;

		is($changes, scalar keys %lists, "$name: no list is $order in the middle of another") or diag("@lists");
	}
	is( value("SELECT string_agg(a.entity || ' and ' || b.entity, ', ') FROM sync_jobs a JOIN sync_jobs b USING (run_id)
			WHERE run_id = $run AND a.job_id < b.job_id
			AND tstzrange(a.started_at, a.finished_at) && tstzrange(b.started_at, b.finished_at)"),
		'', "$name: no two jobs are under way at once");
	equals($org, $name, qw(Person Email HouseholdMembership));
}

# ---- Rows that would change with the way they are read ---------------------------------

run('succeeded', 'the same below all parents', 'same_members', 'HouseholdMembership');
is(value("SELECT shared FROM sync_engine.manifest_entity WHERE entity = 'HouseholdMembership' AND source = 'discovered'"),
	't', 'the same below all parents: that is discovered');

# The hash of a shared record has no parent in it: each is written once more.
$run = run('succeeded', 'the same below all parents, run 2', 'same_members', 'HouseholdMembership');
like(job($run, 'HouseholdMembership', 'inserted, updated'), qr/^0\|(0|30)$/, 'the same below all parents, run 2: each is written once at the most');
$versions = row_versions($node, 'same_members', 'HouseholdMembership');
for my $again (3, 4)
{
	$run = run('succeeded', "the same below all parents, run $again", 'same_members', 'HouseholdMembership');
	is(job($run, 'HouseholdMembership', 'inserted, updated'), '0|0', "the same below all parents, run $again: nothing changes");
}
is(row_versions($node, 'same_members', 'HouseholdMembership'), $versions, 'the same below all parents: nothing is written');
is(value("SELECT count(*) FROM pco_people.household_membership WHERE org = 'same_members'"), 30, 'the same below all parents: each once');
forget_overrides();

my @with = qw(calendar.RoomSetup calendar.ResourceSuggestion);

$org = new_org();
run('succeeded', 'with what comes along', $org, @with);
$versions = row_versions($node, $org, @with);
for my $entities ([ $with[0] ], \@with, [ $with[0] ], [ $with[1] ], \@with)
{
	run('succeeded', "now @$entities", $org, @$entities);
	is(row_versions($node, $org, @with), $versions, "now @$entities: nothing is written, nothing erased");
}
equals($org, 'with and without what comes along', @with);

# ---- Records of which none is sound ------------------------------------------------------

$run = run('failed', 'three of three records are unsound', 'unsound', 'Campus');
is(job($run, 'Campus', 'sqlstate, fetched, dead_lettered'), 'SE003|3|3', 'three of three records are unsound: the job fails');

# ---- API versions ---------------------------------------------------------------------

for my $version ('2025-11-10', undef, '2019-01-15')
{
	my $expected = $version // value(q{SELECT api_version FROM sync_engine.product WHERE product = 'people'});

	connect_org($node, $fake, 'versions', $version ? (api_versions => { people => $version }) : ());
	run('succeeded', "version $expected", 'versions', 'Campus');
	is(value(q{SELECT name FROM pco_people.campus WHERE org = 'versions'}), $expected, "version $expected is asked for");
}
for my $wrong ('{"peeple": "2025-11-10"}', '{"people": "latest"}', '{"people": 20251110}', '{"people": null}', '["2025-11-10"]')
{
	like(said(sprintf q{SELECT sync_connect('versions', 'versions-client', 'secret', base_url => '%s', options => '{"api_versions": %s}')},
			$fake->url, $wrong), qr/ERROR:  22023: option "api_versions"/, "versions are refused: $wrong");
}
run('succeeded', 'after wrong versions', 'versions', 'Campus');
is(value(q{SELECT name FROM pco_people.campus WHERE org = 'versions'}), '2019-01-15', 'the version stays');

# ---- Plans of lists that do not answer -----------------------------------------------------

$org = new_org();
$simulator->post('fault', org => $org, path => '/people/v2/campuses', kind => '500', count => 0);
$simulator->post('fault', org => $org, path => '/people/v2/tabs', kind => '403', count => 0);
my $begin = time;
my @plan = split /\n/, value("SELECT entity, records, requests, reason FROM sync_plan('$org', ARRAY['Campus', 'Tab', 'Household']) ORDER BY 1");
cmp_ok(time - $begin, '<', 10, 'a list that answers 500 does not keep a plan from ending');
like($plan[0], qr/^Campus\|\d+\|\d+\|.*a guess/, 'how long it is is a guess');
like($plan[1], qr/^Household\|[1-9]\d*\|\d+\|(?!.*guess)/, 'the others are counted');
like($plan[2], qr/^Tab\|0\|\d\|.*this token may not see it: /, 'one that is forbidden has nothing, and says why');
$simulator->post('fault/clear');

# ---- What the API says of its order and filters ------------------------------------------------

for my $case ([ 'can_order_by', 'order' ], [ 'can_query_by', 'filter' ])
{
	my ($names, $verb) = @$case;

	run('succeeded', "not among $names", "no_$names", 'Campus');
	is(value("SELECT rows, strategy_note FROM sync_status WHERE org = 'no_$names'"),
		"3|read by plain offsets: the API does not $verb by updated_at", "not among $names: read otherwise, and the note says why");
	unlike(($fake->requests("no_$names"))[-1], qr/order=updated_at|where/, "not among $names: by offset");
	$fake->phase("no_$names", 2);
	run('succeeded', "among $names", "no_$names", 'Campus');
	like(($fake->requests("no_$names"))[-1], qr/order=updated_at/, "among $names: by the key");
	is(note_of("no_$names", 'Campus'), '', "among $names: the note is gone");
}

# ---- Every record is accounted for ------------------------------------------------------------

is(value('SELECT count(*) FROM sync_jobs WHERE fetched <> inserted + updated + unchanged + dead_lettered'),
	0, 'the counters of all jobs add up');

# ---- An extension that is made anew -----------------------------------------------------------

$org = new_org();
run('succeeded', 'before', $org, qw(Person Campus));
my $rows = "SELECT entity, rows FROM sync_status WHERE org = '$org' ORDER BY entity";
my $before = value($rows);

value('DROP EXTENSION sync_engine CASCADE');
value('CREATE EXTENSION sync_engine');
connect_org($node, $simulator, $org);
$simulator->post('mutate', org => $org, entity => 'Campus', op => 'insert', count => 2);
$run = run('succeeded', 'made anew', $org, qw(Person Campus));
is(job($run, 'Person', 'inserted, updated'), '0|0', 'made anew: the tables are known');
is(value($rows), value("SELECT 'Campus', count(*) FROM pco_people.campus WHERE org = '$org'
	UNION ALL SELECT 'Person', count(*) FROM pco_people.person WHERE org = '$org'"), 'made anew: and their rows are counted');
isnt(value($rows), $before, 'made anew: with what was inserted since');

unlike(server_log($node), qr/TRAP|PANIC|server process .* was terminated by signal|background worker .* was terminated by signal/,
	'no process has crashed');

done_testing();
