# Entities that come along with another's pages (include): they cost but the one
# request that counts them, and whatever goes wrong, every table is complete.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;
use SyncEngineTest::FakeServer;

# Four pages of people.
my $people = 350;

# What the list of people can include whole.
my @children = qw(Email PhoneNumber Address FieldDatum);
my %via = (
	Email       => 'emails',
	PhoneNumber => 'phone_numbers',
	Address     => 'addresses',
	FieldDatum  => 'field_data');

my $simulator = start_simulator(people => $people, orgs => 20, rate_limit => 0);

# A few pages a second: a run can be met in its middle.
my $slow_people = 3000;
my $slow = start_simulator(people => 1, rate_limit => 15, rate_period => 1);
my $node = new_cluster();
my ($used, $slow_used) = (0, 0);

sub new_org { return connect_org($node, $simulator, 'org' . ++$used); }

sub slow_org
{
	my $org = 'slow' . ++$slow_used;

	$slow->post('org', org => $org, people => $slow_people);
	return connect_org($node, $slow, $org);
}

sub start
{
	my ($org, $entities, %options) = @_;

	return start_sync($node, $org, $entities, mode => 'full', %options);
}

sub ends
{
	my ($run, $status, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return run_ends($node, $run, $status, 100, "$name: the run ends $status");
}

# folded: which of a run's jobs came along, and how.
sub folded
{
	my ($run) = @_;

	return { map { split /\|/ } split /\n/, safe_psql($node, "SELECT entity, via FROM sync_jobs WHERE run_id = $run AND via IS NOT NULL") };
}

my %all_folded = map { $_ => "Person?include=$via{$_}" } @children;

sub equals
{
	my ($org, $name, @entities) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return is_complete($node, $org, $name, @entities ? @entities : ('Person', @children));
}

# pages: of a list, each of whose pages but the first repeats a row.
sub pages
{
	my ($records) = @_;

	return $records <= 1 ? 1 : int(($records - 1 + 98) / 99);
}

# paths: what an organisation asked for, without the product; but for what the token
# may see, which is asked once.
sub paths
{
	my ($org) = @_;

	return grep { $_ ne 'me' } map { (split / /)[4] =~ s{^/people/v2/}{}r }
	  grep { (split / /)[2] eq $org } split /\n/, server_of($node, $org)->get('log');
}

# ---- It works, and costs nothing ------------------------------------------

my $org = new_org();
my $run = start($org, [ 'Person', @children ]);
ends($run, 'succeeded', 'folded');
equals($org, 'folded');
is_deeply(folded($run), \%all_folded, 'folded: sync_jobs says what came with what');
is_deeply(
	jobs_of($node, $run, 'fetched, inserted, updated, unchanged, dead_lettered, requests'),
	{ map { my $n = record_count($node, $org, $_); $_ => "$n|$n|0|0|0|" . ($_ eq 'Person' ? 1 + pages($people) : 1) } 'Person', @children },
	'folded: each record is counted once, and the children but counted; what the token may see is asked');
is_deeply([ grep { !/^people\?.*include=/ && !/\?per_page=1$/ } paths($org) ], [], 'folded: no list but that of people is read');
is(scalar paths($org), pages($people) + @children, 'folded: one request for each page, one to count each child');

my $versions = row_versions($node, $org, 'Person', @children);
$run = start($org, [ 'Person', @children ]);
ends($run, 'succeeded', 'folded again');
is_deeply(
	jobs_of($node, $run, 'inserted, updated, unchanged, requests'),
	{ map { $_ => '0|0|' . record_count($node, $org, $_) . '|' . ($_ eq 'Person' ? pages($people) : 1) } 'Person', @children },
	'folded again: all is unchanged');
is(row_versions($node, $org, 'Person', @children), $versions, 'folded again: no row is written');

# Read by themselves, they are the same rows.
$run = start($org, \@children);
ends($run, 'succeeded', 'children alone');
is_deeply(folded($run), {}, 'children alone: nothing to come with');
equals($org, 'children alone');
$versions = row_versions($node, $org, 'Person', @children);
for my $again (1, 2)
{
	ends(start($org, [ 'Person', @children ]), 'succeeded', "back and forth $again");
	ends(start($org, \@children), 'succeeded', "back and forth $again, alone");
}
is(row_versions($node, $org, 'Person', @children), $versions, 'back and forth: no row is written');

# What changed is written, and nothing else.
$simulator->post('mutate', org => $org, entity => $_, op => 'update', count => 7) for @children;
$simulator->post('mutate', org => $org, entity => 'Email', op => 'insert', count => 3);
$run = start($org, [ 'Person', @children ]);
ends($run, 'succeeded', 'changes');
equals($org, 'changes');
is_deeply(
	jobs_of($node, $run, 'inserted, updated'),
	{ Person => '0|0', map { $_ => ($_ eq 'Email' ? 3 : 0) . '|7' } @children },
	'changes: are what is written');

# A copy that tells all that a list row does is as good as one.
$run = start($org, ['Email']);
ends($run, 'succeeded', 'changes, in their own list');
is_deeply(jobs_of($node, $run, 'inserted, updated'), { Email => '0|0' }, 'changes, in their own list: are known');

$run = start(my $sequential = new_org(), [ 'Person', @children, 'Campus' ], execution => 'sequential');
ends($run, 'succeeded', 'sequential');
is_deeply(folded($run), {}, 'sequential: one after the other, so nothing comes along');
equals($sequential, 'sequential');

# ---- The cheapest complete plan -------------------------------------------

my $many = 10_000;
my @everything = ('Person', @children, qw(Household HouseholdMembership Campus));
my $list = join ', ', map { "'$_'" } @everything;
$simulator->post('org', org => 'many', people => $many);
connect_org($node, $simulator, 'many');

my $estimate = safe_psql($node, "SELECT sum(requests) FROM sync_plan('many', ARRAY[$list])");
my $before = paths('many');
my $plan = safe_psql($node, "SELECT string_agg(entity || coalesce(' ' || via, ''), ', ' ORDER BY entity)
	FROM sync_plan('many', ARRAY[$list]) WHERE strategy = 'include'");
is($plan, join(', ', map { "$_ $all_folded{$_}" } sort @children), 'many: the plan tells what comes with what');

$run = start('many', \@everything);
ends($run, 'succeeded', 'many');
equals('many', 'many', @everything);
my $asked = paths('many') - $before;
my $households = record_count($node, 'many', 'Household');
my $cheapest = pages($many) + pages($households) + $households + pages(record_count($node, 'many', 'Campus'));
note("many: $asked requests, at least $cheapest, estimated $estimate");
is(safe_psql($node, "SELECT requests FROM sync_runs WHERE run_id = $run"), $asked + 1,
	'many: the run counts its requests, with that for what the token may see');
cmp_ok($asked, '>=', $cheapest, 'many: there is no cheaper way');
cmp_ok($asked, '<=', 1.05 * $cheapest, 'many: close to the cheapest way');
cmp_ok(abs($estimate - $asked), '<=', 0.1 * $asked, 'many: the estimate is good');

# ---- An API that cannot do it ---------------------------------------------

# Each with an organisation of its own, all at once.
my @cases = (
	{   name   => 'a page that is too heavy',
		fault  => { kind => '504', path => '/people/v2/people?per_page=100', contains => 'include=', count => 0 },
		folded => \%all_folded },
	{   name   => 'include answers 500',
		fault  => { kind => '500', contains => 'include=', count => 0 },
		note   => qr/the API fails with so much in a page/,
		halved => 1 },
	{   name   => 'include answers 504',
		fault  => { kind => '504', contains => 'include=', count => 0 },
		note   => qr/the API fails with so much in a page/,
		halved => 1 },
	{   name   => 'include answers 504 in the middle',
		fault  => { kind => '504', contains => 'include=', count => 0, skip => 2 },
		note   => qr/the API fails with so much in a page/,
		halved => 1 },
	{   name  => 'include answers 400',
		fault => { kind => '400', contains => 'include=', count => 0 },
		note  => qr/A parameter is invalid/ },
	{   name   => 'include is ignored',
		ignore => 1,
		note   => qr/the server does not include emails/ },
	{   name     => 'an included record is missing twice',
		disagree => { include => 'emails', kind => 'missing_included', times => 2 },
		folded   => \%all_folded },
	{   name     => 'included records are always missing',
		disagree => { include => 'emails', kind => 'missing_included', times => 1_000_000 },
		note     => qr/the server names \d+ records of emails that it does not include/,
		folded   => { map { $_ => $all_folded{$_} } grep { $_ ne 'Email' } @children } },
	{   name     => 'an included record that nobody names',
		disagree => { include => 'emails', kind => 'missing_relationship', times => 2 },
		folded   => \%all_folded },
	{   name   => 'people are forbidden',
		fault  => { kind => '403', path => '/people/v2/people', count => 0 },
		status => 'partial' });

for my $case (@cases)
{
	$case->{org} = new_org();
	$simulator->post('fault', org => $case->{org}, %{ $case->{fault} }) if $case->{fault};
	$simulator->post('disagree', org => $case->{org}, entity => 'Person', %{ $case->{disagree} }) if $case->{disagree};
	$simulator->post('ignore', org => $case->{org}, entity => 'Person', key => 'include', on => 1) if $case->{ignore};
	$case->{run} = start($case->{org}, [ 'Person', @children ]);
}
for my $case (@cases)
{
	my $name = $case->{name};
	my $status = $case->{status} // 'succeeded';

	ends($case->{run}, $status, $name);
	is_deeply(folded($case->{run}), $case->{folded} // {}, "$name: what came along");
	equals($case->{org}, $name, $status eq 'partial' ? @children : ());
	like(safe_psql($node, "SELECT strategy_note FROM sync_status WHERE org = '$case->{org}' AND entity = 'Email'"),
		$case->{note} // qr/^$/, "$name: sync_status says why, if there is something to say");
	ok((grep { /per_page=50&.*include=/ } paths($case->{org})), "$name: half a page is tried first") if $case->{halved};
}
is_deeply(
	jobs_of($node, $cases[-1]{run}, 'status, sqlstate'),
	{ Person => 'failed|SE403', map { $_ => 'succeeded|' } @children },
	'people are forbidden: only they fail');

# It is not tried again for some days; then it is, and nothing keeps saying that
# it was otherwise.
$simulator->post('fault/clear');
$simulator->post('ignore', org => $cases[5]{org}, entity => 'Person', key => 'include', on => 0);
$run = start($cases[5]{org}, [ 'Person', @children ]);
ends($run, 'succeeded', 'the next day');
is_deeply(folded($run), {}, 'the next day: it is not asked for');
safe_psql($node, q{UPDATE sync_engine.sync_state SET unfolded_at = unfolded_at - interval '8 days'});
$run = start($cases[5]{org}, [ 'Person', @children ]);
ends($run, 'succeeded', 'include works again');
is_deeply(folded($run), \%all_folded, 'include works again: it is made use of');
is(safe_psql($node, "SELECT count(*) FROM sync_status WHERE org = '$cases[5]{org}' AND strategy_note IS NOT NULL"),
	0, 'include works again: nothing to say');

# ---- Copies that tell less -------------------------------------------------

# The included copy of a field datum does not tell its field definition.
sub field_datum
{
	my ($id, $value, $hour, $definition) = @_;

	return sprintf '{"type":"FieldDatum","id":"%d","attributes":{"value":"%s","updated_at":"2024-01-01T%02d:00:00Z"},'
	  . '"relationships":{%s"customizable":{"data":{"type":"Person","id":"%d"}}}}',
	  $id, $value, $hour, ($definition ? qq("field_definition":{"data":{"type":"FieldDefinition","id":"$definition"}},) : ''),
	  $id;
}

# More than a page, or they would not come along.  In the second phase the value
# of one of them has changed.
my $data = 150;

sub people_with_data
{
	my ($number) = @_;

	return sub {
		my ($request) = @_;
		my $is_list = $request->{path} =~ /field_data$/;
		my $includes = $request->{query} =~ /include=field_data/;
		my $total = $is_list ? $data : $number;
		my $end = $request->{offset} // 0;
		my @ids = ($end + 1 .. $total);

		splice @ids, $request->{per_page};
		$end += @ids;

		my @data = map {
			$_ == 2 && $request->{phase} > 1
			  ? field_datum($_, 'changed', 2, $is_list && 1000 + $_)
			  : field_datum($_, 'value', 1, $is_list && 1000 + $_)
		} @ids;
		my @people = map {
			sprintf '{"type":"Person","id":"%d","attributes":{"updated_at":"2024-01-01T00:00:00Z"},"relationships":{%s}}', $_,
			  $includes ? qq("field_data":{"data":[{"type":"FieldDatum","id":"$_"}]}) : ''
		} @ids;

		return { body => sprintf '{"links":{%s},"data":[%s],"included":[%s],"meta":{"total_count":%d}}',
			$end < $total ? qq("next":"http://127.0.0.1/?offset=$end") : '',
			join(',', $is_list ? @data : @people), $includes ? join(',', @data) : '', $total };
	};
}

my $fake = SyncEngineTest::FakeServer->new(
	thin    => people_with_data($data),
	orphans => people_with_data($data - 5));
connect_org($node, $fake, 'thin');

# sync_thin: counters of the field data.
sub sync_thin
{
	my (@entities) = @_;
	my $thin_run = start('thin', \@entities);

	ends($thin_run, 'succeeded', "thin copies: @entities");
	is(folded($thin_run)->{FieldDatum}, @entities > 1 ? $all_folded{FieldDatum} : undef, 'thin copies: they come so');
	return jobs_of($node, $thin_run, 'inserted, updated, unchanged')->{FieldDatum};
}

sub thin_rows
{
	return safe_psql($node, "SELECT id, value, field_definition_id, customizable_id FROM pco_people.field_datum
		WHERE org = 'thin' AND id IN ('1', '2') ORDER BY id");
}

is(sync_thin('FieldDatum'), "$data|0|0", 'thin copies: first from their own list');
$versions = row_versions($node, 'thin', 'FieldDatum');
is(sync_thin(qw(Person FieldDatum)), "0|0|$data", 'thin copies: change nothing');
is(row_versions($node, 'thin', 'FieldDatum'), $versions, 'thin copies: write nothing');
$fake->phase('thin', 2);
is(sync_thin(qw(Person FieldDatum)), '0|1|' . ($data - 1), 'thin copies: a change comes in');
is(thin_rows(), "1|value|1001|1\n2|changed|1002|2", 'thin copies: what they do not tell stays');
is(sync_thin(qw(Person FieldDatum)), "0|0|$data", 'thin copies: it comes in once');
like(sync_thin('FieldDatum'), qr/^0\|[01]\|/, 'thin copies: the list settles that row at most');
$versions = row_versions($node, 'thin', 'FieldDatum');
for my $again (1, 2)
{
	is(sync_thin(qw(Person FieldDatum)), "0|0|$data", "thin copies: back and forth $again, thin");
	is(sync_thin('FieldDatum'), "0|0|$data", "thin copies: back and forth $again, whole");
}
is(row_versions($node, 'thin', 'FieldDatum'), $versions, 'thin copies: no row flips between its forms');

# ---- Not all of them come along --------------------------------------------

# Five have no person that the list shows.
connect_org($node, $fake, 'orphans');
$run = start('orphans', [qw(Person FieldDatum)]);
ends($run, 'succeeded', 'orphans');
is(safe_psql($node, "SELECT count(*), count(field_definition_id) FROM pco_people.field_datum WHERE org = 'orphans'"),
	"$data|$data", 'orphans: come in nevertheless');
is_deeply(folded($run), {}, 'orphans: their own list was read');
like(safe_psql($node, "SELECT strategy_note FROM sync_status WHERE org = 'orphans' AND entity = 'FieldDatum'"),
	qr/145 came along, but the API counts 150/, 'orphans: sync_status says why');
$versions = row_versions($node, 'orphans', 'FieldDatum');
ends(start('orphans', [qw(Person FieldDatum)]), 'succeeded', 'orphans again');
is(row_versions($node, 'orphans', 'FieldDatum'), $versions, 'orphans again: no row is written');

# ---- In the middle of a run -----------------------------------------------

# Crashes.
$org = slow_org();
$run = start($org, [ 'Person', @children ]);
for my $kill (1 .. 4)
{
	# early enough that some seconds are left after the last
	has_fetched($node, $run, 'Person', $kill * $slow_people / 8);
	if ($kill == 3)
	{
		$node->kill9;
		wait_for(sub { delete $node->{_pid}; $node->start(fail_ok => 1) }, 60, 'the server starts again');
		next;
	}
	kill_lane_of($node, $run, 'Person', "lane $kill");
}
ends($run, 'succeeded', 'killed');
equals($org, 'killed');
is_deeply(
	jobs_of($node, $run, 'fetched, inserted, updated, unchanged, dead_lettered'),
	{ map { my $n = record_count($node, $org, $_); $_ => "$n|$n|0|0|0" } 'Person', @children },
	'killed: nothing is counted twice, nothing is missing');
is_deeply(folded($run), \%all_folded, 'killed: still folded');
is_deeply([ grep { !/^people\?/ && !/\?per_page=1$/ } paths($org) ], [], 'killed: no child was read by itself');

# Another run for a child joins.
$org = slow_org();
$run = start($org, [ 'Person', @children ]);
has_fetched($node, $run, 'Person', 100);
my $joining = start($org, ['Email']);
ends($run, 'succeeded', 'joined');
ends($joining, 'succeeded', 'joining');
is_deeply(jobs_of($node, $joining, 'joined_run_id, inserted'), { Email => "$run|" . record_count($node, $org, 'Email') },
	'joining: shares the result of what came along');

# A cancel ends them all.
$run = start(my $cancelled = slow_org(), [ 'Person', @children ]);
has_fetched($node, $run, 'Person', 100);
safe_psql($node, "SELECT sync_cancel($run)");
ends($run, 'cancelled', 'cancelled');
is_deeply(jobs_of($node, $run, 'status'), { map { $_ => 'cancelled' } 'Person', @children }, 'cancelled: parent and children');
$run = start($cancelled, [ 'Person', @children ]);
ends($run, 'succeeded', 'after a cancel');
equals($cancelled, 'after a cancel');

# locked_out: a run in whose middle somebody gets in the way of Email alone.
sub locked_out
{
	my ($name, $its_run, $its_org, $session) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	wait_for(
		sub {
			safe_psql($node, "SELECT count(*) FROM sync_jobs WHERE run_id = $its_run AND status = 'succeeded'") == @children;
		},
		60,
		"$name: all others go on and end");
	is(safe_psql($node, "SELECT entity FROM sync_jobs WHERE run_id = $its_run AND status NOT IN ('succeeded')"),
		'Email', "$name: that one waits");
	wait_for(sub { safe_psql($node, "SELECT error FROM sync_jobs WHERE run_id = $its_run AND entity = 'Email'") ne '' },
		10, "$name: and says what for");
	$session->query_safe('COMMIT');
	ends($its_run, 'succeeded', $name);
	equals($its_org, $name);
	my $others = { %all_folded };
	delete $others->{Email};
	is_deeply(folded($its_run), $others, "$name: it was read by itself");
	return;
}

my $session = background_psql($node);
$session->query_safe('BEGIN; LOCK TABLE pco_people.email IN ACCESS EXCLUSIVE MODE');
$run = start($org = new_org(), [ 'Person', @children ]);
locked_out('locked before', $run, $org, $session);

$run = start($org = slow_org(), [ 'Person', @children ]);
has_fetched($node, $run, 'Person', 200);
$session->query_safe('BEGIN; LOCK TABLE pco_people.email IN ACCESS EXCLUSIVE MODE');
locked_out('locked in the middle', $run, $org, $session);

# One row is enough.
$org = new_org();
ends(start($org, [ 'Person', @children ]), 'succeeded', 'a locked row: before');
$simulator->post('mutate', org => $org, entity => 'Email', op => 'update', count => 200);
$session->query_safe("BEGIN; UPDATE pco_people.email SET _extra = _extra WHERE org = '$org'");
$run = start($org, [ 'Person', @children ]);
locked_out('locked rows', $run, $org, $session);
$session->quit;

# ---- Tables that are not as they should be --------------------------------

safe_psql($node, q{CREATE ROLE stranger; ALTER TABLE pco_people.phone_number OWNER TO stranger});
$run = start($org = new_org(), [ 'Person', @children ]);
ends($run, 'partial', 'a table of somebody else');
is_deeply(
	jobs_of($node, $run, 'status'),
	{ map { $_ => $_ eq 'PhoneNumber' ? 'failed' : 'succeeded' } 'Person', @children },
	'a table of somebody else: only that entity fails');
equals($org, 'a table of somebody else', grep { $_ ne 'PhoneNumber' } 'Person', @children);
safe_psql($node, q{ALTER TABLE pco_people.phone_number OWNER TO CURRENT_USER});
$run = start($org, [ 'Person', @children ]);
ends($run, 'succeeded', 'our table again');
equals($org, 'our table again');

$run = start($org = slow_org(), [ 'Person', @children ]);
has_fetched($node, $run, 'Person', $slow_people / 2);
safe_psql($node, 'DROP TABLE pco_people.address CASCADE');
ends($run, 'succeeded', 'a table is dropped');
equals($org, 'a table is dropped');

# ---- Every record is accounted for ----------------------------------------

is(safe_psql($node, 'SELECT count(*) FROM sync_jobs WHERE fetched <> inserted + updated + unchanged + dead_lettered'),
	0, 'the counters of all jobs add up');
unlike(server_log($node), qr/TRAP|PANIC/, 'no process has crashed by itself');

done_testing();
