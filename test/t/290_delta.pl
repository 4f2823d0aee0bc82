# What has changed is read, and nothing else; what the API cannot tell is read as
# a whole, and the job says why.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;

my $people = 1200;
my $simulator = start_simulator(orgs => 12, people => $people, rate_limit => 0);
my $node = new_cluster();
my $used = 0;
my $name;

sub new_org { return connect_org($node, $simulator, 'org' . ++$used); }

# sync: a run of entities, which ends well; its id.
sub sync
{
	my ($org, $mode, @entities) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $run = start_sync($node, $org, \@entities, mode => $mode);

	run_ends($node, $run, 'succeeded', 60, "$name: the run ends well");
	return $run;
}

sub job
{
	my ($run, $entity, $columns) = @_;

	return safe_psql($node, "SELECT $columns FROM sync_jobs WHERE run_id = $run AND entity = '$entity'");
}

sub mutate
{
	my ($org, $entity, $op, @more) = @_;

	return @{ $simulator->post('mutate', org => $org, entity => $entity, op => $op, @more) };
}

sub watermark
{
	my ($org, $entity) = @_;

	return safe_psql($node, "SELECT extract(epoch FROM watermark)::bigint FROM sync_status WHERE org = '$org' AND entity = '$entity'");
}

# ---- Each way in which the API tells what has changed -----------------------

my $org = new_org();
my %ways = (
	Person => 'ordered and filtered',
	Email => 'ordered and filtered',
	Address => 'ordered only',
	'calendar.Event' => 'filtered only',
	PersonMerger => 'a log, by the time of creation',
	HouseholdMembership => 'through its parents');

$name = 'the first read';
my $run = sync($org, 'auto', keys %ways);
is(safe_psql($node, "SELECT DISTINCT mode FROM sync_jobs WHERE run_id = $run"), 'full', "$name: is a full one");
is(safe_psql($node, "SELECT count(*) FROM sync_status WHERE org = '$org' AND watermark IS NULL"), 0, "$name: leaves watermarks");
is(safe_psql($node, "SELECT count(*) FROM sync_status WHERE org = '$org'
	AND watermark NOT BETWEEN now() - interval '6 minutes' AND now() - interval '4 minutes'"),
	0, "$name: ... five minutes before its beginning");

$name = 'nothing has changed';
$simulator->post('stats/reset');
$run = sync($org, 'auto', keys %ways);
for my $entity (sort keys %ways)
{
	(my $bare = $entity) =~ s/.*\.//;
	is(job($run, $bare, 'mode, requests, inserted, updated'), $bare eq 'HouseholdMembership' ? 'delta|0|0|0' : 'delta|1|0|0',
		"$name, $entity ($ways{$entity}): one request");
}

# Old changes, which an overlap would bring anyway, are none.
$name = 'changes of each kind';
for my $entity (qw(Person Email Address calendar.Event))
{
	mutate($org, $entity, 'update', count => 7);
	mutate($org, $entity, 'insert', count => 3);
}
mutate($org, 'PersonMerger', 'insert', count => 2);
my %new = map { $_ => 1 } mutate($org, 'Household', 'insert', count => 2);
mutate($org, 'HouseholdMembership', 'insert', count => 30);
$run = sync($org, 'delta', keys %ways);
is(job($run, 'Person', 'mode, note'), 'delta|', "$name: Person is not read as a whole");
for my $entity (qw(Person Email Address calendar.Event PersonMerger))
{
	is_equal_to_oracle($node, $simulator, $org, $entity, "$name: $entity");
}
is(missing($org, 'Household'), '', "$name: Household was pulled in");
cmp_ok(job($run, 'Address', 'requests'), '<', 4, "$name: downwards it stops where it knows the rows");
cmp_ok(job($run, 'HouseholdMembership', 'requests'), '<', 20, "$name: not all parents are walked");
my @memberships = map { [ split /\t/ ] } split /\n/,
  $simulator->get('oracle', org => $org, entity => 'HouseholdMembership', columns => 'id,household_id');
is(safe_psql($node, "SELECT count(*) FROM pco_people.household_membership WHERE org = '$org'
	AND household_id IN ('" . join("', '", sort keys %new) . "')"), scalar(grep { $new{ $_->[1] } } @memberships),
	"$name: new parents are");

# ---- More rows in one second than a page has --------------------------------

$name = 'ties';
my $second = safe_psql($node, q{SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')});
mutate($org, 'Person', 'update', count => 450, at => $second);
mutate($org, 'Address', 'update', count => 450, at => $second);
$run = sync($org, 'delta', qw(Person Address));
is_equal_to_oracle($node, $simulator, $org, $_, "$name: $_") for qw(Person Address);
is(job($run, $_, 'mode'), 'delta', "$name: $_ is read by a delta") for qw(Person Address);

# ---- Rows that move while they are read ------------------------------------

$name = 'rows move meanwhile';
for my $entity (qw(Person Address calendar.Event))
{
	mutate($org, $entity, 'update', count => 300) if $entity ne 'calendar.Event';
	$simulator->post('while_paging', org => $org, entity => $entity, every => 1, insert => 2, update => 5, delete => 1, times => 6);
}
sync($org, 'delta', qw(Person Address calendar.Event));
$simulator->post('while_paging', org => $org, entity => $_, every => 1, times => 0) for qw(Person Address calendar.Event);
sync($org, 'delta', qw(Person Address calendar.Event));
for my $entity (qw(Person Address calendar.Event))
{
	is(missing($org, $entity), '', "$name: no record of $entity is lost");
}

# ---- The watermark ----------------------------------------------------------

$name = 'a change that a replica shows late';
my ($id) = mutate($org, 'Person', 'update', count => 1,
	at => safe_psql($node, q{SELECT to_char((now() - interval '4 minutes') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')}));
sync($org, 'delta', 'Person');
is(missing($org, 'Person'), '', "$name: is read");

$name = 'an empty delta';
my $before = watermark($org, 'Email');
wait_for(sub { safe_psql($node, "SELECT extract(epoch FROM now())::bigint - 300 > $before + 1") eq 't' }, 30, "$name: time passes");
sync($org, 'delta', 'Email');
cmp_ok(watermark($org, 'Email'), '>', $before, "$name: moves the watermark");

$name = 'a delta that fails';
$before = watermark($org, 'Email');
$simulator->post('fault', path => '/people/v2/emails', kind => '400', count => 0);
$run = start_sync($node, $org, ['Email'], mode => 'delta');
run_ends($node, $run, 'failed', 60, "$name: it fails");
is(watermark($org, 'Email'), $before, "$name: does not move it");
$simulator->post('fault/clear');

$name = 'a watermark ahead of the API';
safe_psql($node, "UPDATE sync_engine.sync_state SET watermark = now() + interval '1 day' WHERE org = '$org' AND entity = 'Email'");
mutate($org, 'Email', 'update', count => 3);
$run = sync($org, 'delta', 'Email');
is(job($run, 'Email', 'mode, note'), "full|read as a whole: the watermark is ahead of the API's clock", "$name: all is read");
is(missing($org, 'Email'), '', "$name: nothing is lost");

# ---- What the API does not do -----------------------------------------------

$name = 'the filter is ignored';
for my $entity (qw(PhoneNumber calendar.Event))
{
	(my $bare = $entity) =~ s/.*\.//;
	mutate($org, $entity, 'insert', count => 150, at => '2020-01-01T00:00:00Z');
	sync($org, 'full', $entity);
	$simulator->post('ignore', org => $org, entity => $entity, key => 'where', on => 1);
	mutate($org, $entity, 'update', count => 5);
	$run = sync($org, 'delta', $entity);
	like(job($run, $bare, 'mode, note'), qr/^full\|read by plain offsets: the server ignores the filter/, "$name: $entity is read as a whole");
	is(missing($org, $entity), '', "$name: $entity loses nothing");
	$simulator->post('ignore', org => $org, entity => $entity, key => 'where', on => 0);
}
$name = 'the order is ignored';
$simulator->post('ignore', org => $org, entity => 'Address', key => 'order', on => 1);
mutate($org, 'Address', 'update', count => 5);
$run = sync($org, 'delta', 'Address');
like(job($run, 'Address', 'mode, note'), qr/^full\|read by plain offsets: the server ignores the order/, "$name: it is read as a whole");
is(missing($org, 'Address'), '', "$name: nothing is lost");
$simulator->post('ignore', org => $org, entity => 'Address', key => 'order', on => 0);

$name = 'what the API cannot tell';
sync($org, 'full', 'MaritalStatus');
$run = sync($org, 'delta', 'MaritalStatus');
is(job($run, 'MaritalStatus', 'mode, note'), 'full|the API does not tell what has changed', "$name: is read as a whole");
like(safe_psql($node, "SELECT mode, reason FROM sync_plan('$org', ARRAY['MaritalStatus'], 'delta')"),
	qr/^full\|.*the API does not tell what has changed/, "$name: sync_plan says so, too");
like(safe_psql($node, "SELECT mode, reason FROM sync_plan('$org', ARRAY['Person'])"),
	qr/^delta\|what has changed since .* by updated_at/, "$name: and of others, since when they are read");

# ---- What a watermark does not speak of --------------------------------------

$name = 'a table is dropped';
safe_psql($node, 'DROP TABLE pco_people.email CASCADE');
$run = sync($org, 'delta', 'Email');
is(job($run, 'Email', 'mode'), 'full', "$name: it is filled anew");
is_equal_to_oracle($node, $simulator, $org, 'Email', $name);

$name = 'a new column';
$simulator->post('odd', org => $org, entity => 'Person', id => $id, kind => 'unknown_attribute');
sync($org, 'full', 'Person');
my $attribute = safe_psql($node, "SELECT attribute FROM sync_schema_changes WHERE org = '$org' AND entity = 'Person' LIMIT 1");
safe_psql($node, "SELECT sync_promote('Person', '$attribute')");
$run = sync($org, 'auto', 'Person');
is(job($run, 'Person', 'mode, note'), 'full|its columns have changed', "$name: is filled for all rows");
$run = sync($org, 'auto', 'Person');
is(job($run, 'Person', 'mode'), 'delta', "$name: once");

# ---- A lane is lost --------------------------------------------------------------

$name = 'a lane is killed in mid-delta';
$simulator->post('fault', path => '/people/v2/people', org => $org, kind => 'hang', count => 0, contains => 'offset=495');
mutate($org, 'Person', 'update', count => 1000);
$run = start_sync($node, $org, ['Person'], mode => 'delta');
has_fetched($node, $run, 'Person', 300);
kill_lane_of($node, $run, 'Person', $name);
$simulator->post('fault/clear');
run_ends($node, $run, 'succeeded', 60, "$name: the run goes on");
is(job($run, 'Person', 'mode'), 'delta', "$name: as a delta");
is(missing($org, 'Person'), '', "$name: nothing is lost");

# ---- A table is read again as a whole ---------------------------------------------

$name = 'a full read of what is there';
my $rows = safe_psql($node, "SELECT count(*) FROM pco.person WHERE org = '$org'");
mutate($org, 'Person', 'update', count => 700, stamp => 0);
$simulator->post('fault', path => '/people/v2/people', org => $org, kind => 'hang', count => 0, contains => 'offset=594');
$run = start_sync($node, $org, ['Person'], mode => 'full');
has_fetched($node, $run, 'Person', 500);
is(safe_psql($node, "SELECT count(*) FROM pco.person WHERE org = '$org'"), $rows, "$name: readers see no row less meanwhile");
is(safe_psql($node, "SELECT status FROM sync_status WHERE org = '$org' AND entity = 'Person'"), 'running', "$name: ... while it goes on");
$simulator->post('fault/clear');
run_ends($node, $run, 'succeeded', 60, "$name: it ends");
is(missing($org, 'Person'), '', "$name: all is there");

is(safe_psql($node, 'SELECT count(*) FROM sync_jobs WHERE fetched <> inserted + updated + unchanged + dead_lettered'),
	0, 'the counters of all jobs add up');
unlike(server_log($node), qr/TRAP|PANIC/, 'no process has crashed by itself');

done_testing();

# missing: records of the API that the table does not have as they are.
sub missing
{
	my ($org, $entity) = @_;
	my %have = map { $_ => 1 } split /\n/,
	  safe_psql($node, "COPY (SELECT id, to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') FROM "
		  . data_table($entity) . " WHERE org = '$org' AND _deleted_at IS NULL) TO STDOUT");
	my @lacking = grep { !$have{$_} } map { s/\+00$//r } split /\n/,
	  $simulator->get('oracle', org => $org, entity => $entity, columns => 'id,updated_at');

	return join(', ', @lacking);
}
