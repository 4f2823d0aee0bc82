# What goes wrong between here and the API costs attempts, never rows, and
# never more than what it is about.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;

# Two pages of people: the second is asked for alone, when the first is in, so
# that its attempts can be counted.
my $people = 150;

# A small budget in a short time: what stands against it is seen at once.
my $limit = 30;
my $period_s = 2;

# Failures that pass: what the second page meets, how often, and the SQLSTATE
# that its attempts are noted with.
my @passing = (
	[ '500',                2, 'SE500' ],
	[ '502_html',           2, 'SE502' ],
	[ '503',                2, 'SE503' ],
	[ '504',                2, 'SE504' ],
	[ '403_html',           2, 'SE403' ],
	[ 'reset_mid_body',     2, 'SE000' ],
	[ 'truncated_json',     2, 'SE001' ],
	[ 'empty_200',          2, 'SE001' ],
	[ 'wrong_content_type', 2, 'SE001' ]);

# What is no failed attempt: the API's "not now", and "over there".
my @no_attempt = ([ '429', 1 ], [ '429', 0 ], ['429_no_retry_after'], ['429_garbage'], ['redirect']);

my $orgs = @passing + @no_attempt + 7;
my $simulator = start_simulator(
	people      => $people,
	orgs        => $orgs,
	rate_limit  => $limit,
	rate_period => $period_s);
my $elsewhere = start_simulator(people => 1);
# Slow enough to be under way for seconds.
my $flaky_people = 1500;
my $flaky = start_simulator(people => $flaky_people, rate_limit => 5, rate_period => 1);
my $node = new_cluster();

# Each case has an organisation of its own, and all run at once.
my $used = 0;

sub new_org { return connect_org($node, $simulator, 'org' . ++$used); }

sub fault
{
	my ($org, $kind, %options) = @_;

	$simulator->post('fault', org => $org, kind => $kind, path => '/people/v2/people', %options);
	return;
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

	return run_ends($node, $run, $status, 150, "$name: the run ends $status");
}

# retries: what is noted of the failed attempts of a run.
sub retries
{
	my ($run) = @_;

	return safe_psql($node,
		"SELECT status, attempts, sqlstate, error IS NOT NULL FROM sync_activities
		WHERE run_id = $run AND kind = 'sync_page' AND activity_id IS NOT NULL");
}

sub statuses { return jobs_of($node, $_[0], 'status, sqlstate'); }

# ---- What takes long begins first -----------------------------------------

# The households of one organisation fail for good.
my $persistent = new_org();
$simulator->post('fault', org => $persistent, kind => '500', path => '/people/v2/households', count => 0);
my $persistent_run = start($persistent, qw(Person Household PhoneNumber));

# A server goes down in the middle.
safe_psql($node,
	"SELECT sync_connect('flaky', 'org1-client', 'org1-secret', base_url => '" . $flaky->url . "')");
my $down_run = start('flaky', 'Person');
wait_for(sub { safe_psql($node, "SELECT fetched > 0 FROM sync_jobs WHERE run_id = $down_run") eq 't' },
	30, 'downtime: the run is under way');
$flaky->post('down', seconds => 10);

# ---- Failures that pass ---------------------------------------------------

my @cases;
for my $case (@passing)
{
	my ($kind, $count, $sqlstate) = @$case;
	my $org = new_org();

	fault($org, $kind, skip => 1, count => $count);
	push @cases, [ $kind, $org, start($org, 'Person'), "succeeded\\|$count\\|$sqlstate\\|t" ];
}

# The client itself repeats a request whose kept connection turns out closed, so
# three of these are two failures at the most, and none if each hits a kept one.
my $org = new_org();
fault($org, 'close_connection', skip => 1, count => 3);
push @cases, [ 'close_connection', $org, start($org, 'Person'), '(succeeded\|[12]\|SE000\|t)?' ];

for my $case (@no_attempt)
{
	my ($kind, $retry_after) = @$case;

	$org = new_org();
	fault($org, $kind, skip => 1, count => 2, defined $retry_after ? (arg => $retry_after) : ());
	push @cases, [ "$kind " . ($retry_after // ''), $org, start($org, 'Person'), '' ];
}

for my $case (@cases)
{
	my ($kind, $its_org, $run, $retries) = @$case;

	ends($run, 'succeeded', $kind);
	like(retries($run), qr/^$retries$/, "$kind: the attempts can be seen");
	is(safe_psql($node, "SELECT fetched, inserted FROM sync_jobs WHERE run_id = $run"), "$people|$people", "$kind: each record once");
	is_equal_to_oracle($node, $simulator, $its_org, 'Person', "$kind: nothing is lost");
}

# ---- A redirect to somebody else ------------------------------------------

$org = new_org();
fault($org, 'redirect', count => 0, arg => $elsewhere->url);
my $run = start($org, qw(Person Email));
ends($run, 'partial', 'redirect to another origin');
is_deeply(
	statuses($run),
	{ Email => 'succeeded|', Person => 'failed|SE302' },
	'redirect to another origin: is not followed');
is($elsewhere->stats->{requests}, 0, 'redirect to another origin: nobody asked there');

# ---- What the token may not see -------------------------------------------

$org = new_org();
$simulator->post('fault', org => $org, kind => '403', path => '/people/v2/households', count => 0);
$run = start($org, qw(Person Email Household HouseholdMembership));
ends($run, 'partial', '403');
is_deeply(
	statuses($run),
	{   Email               => 'succeeded|',
		Household           => 'failed|SE403',
		HouseholdMembership => 'skipped|SE004',
		Person              => 'succeeded|' },
	'403: the others go on, what needs it is skipped');
like(safe_psql($node, "SELECT hint FROM sync_jobs WHERE run_id = $run AND entity = 'Household'"),
	qr/give the token's user access/, '403: says what to do');
is($simulator->stats(org => $org)->{by_path}{'/people/v2/households'}, 1, '403: is not tried again');
is(safe_psql($node, "SELECT status FROM sync_orgs WHERE org = '$org'"), 'active', '403: does not stop the org');

# ---- A token that is not valid --------------------------------------------

$org = new_org();
safe_psql($node, "SELECT sync_connect('$org', '$org-client', 'mistyped', base_url => '" . $simulator->url . "')");
$run = start($org, qw(Person Email Household HouseholdMembership));
ends($run, 'failed', '401');
is( safe_psql($node, "SELECT count(*) FROM sync_jobs WHERE run_id = $run AND status IN ('failed', 'skipped')
		AND sqlstate IN ('SE401', 'SE002', 'SE004') AND error IS NOT NULL"),
	4, '401: no job succeeds');
is(safe_psql($node, "SELECT status, sqlstate, hint FROM sync_orgs WHERE org = '$org'"),
	"stopped|SE401|Call sync_connect('$org', ...) with a valid token.", '401: stops the org and says what to do');

my $requests = $simulator->stats->{by_status}{401};
$run = start($org, 'Person');
ends($run, 'failed', 'stopped org');
is_deeply(statuses($run), { Person => 'failed|SE002' }, 'stopped org: does nothing');
is($simulator->stats->{by_status}{401}, $requests, 'stopped org: asks nothing');
connect_org($node, $simulator, $org);
$run = start($org, qw(Person Email));
ends($run, 'succeeded', 'sync_connect again');

# ---- Another church's data ------------------------------------------------

$org = new_org();
ends(start($org, qw(Person Email)), 'succeeded', 'wrong organisation: before');
$simulator->post('mutate', org => $org, entity => 'Person', op => 'update', count => 5);
my $before = safe_psql($node, "SELECT md5(string_agg(p::text, '' ORDER BY id)) FROM pco_people.person p WHERE org = '$org'");
fault($org, 'wrong_organization', count => 0);
$run = start($org, 'Person');
ends($run, 'failed', 'wrong organisation');
is_deeply(statuses($run), { Person => 'failed|SE005' }, 'wrong organisation: the job says so');
is(safe_psql($node, "SELECT status, sqlstate FROM sync_orgs WHERE org = '$org'"), 'stopped|SE005', 'wrong organisation: stops the org');
is(safe_psql($node, "SELECT md5(string_agg(p::text, '' ORDER BY id)) FROM pco_people.person p WHERE org = '$org'"),
	$before, 'wrong organisation: no row is touched');

# ---- Lists that are empty or cut short ------------------------------------

$org = new_org();
ends(start($org, 'Person'), 'succeeded', 'empty list: before');
fault($org, 'empty_list', count => 1);
ends(start($org, 'Person'), 'succeeded', 'empty list');
is_equal_to_oracle($node, $simulator, $org, 'Person', 'empty list: no row is lost');
fault($org, 'empty_list', count => 1, skip => 1);
$run = start($org, 'Person');
ends($run, 'succeeded', 'empty second page');
is_equal_to_oracle($node, $simulator, $org, 'Person', 'empty second page: no row is lost');
is(safe_psql($node, "SELECT fetched >= $people FROM sync_jobs WHERE run_id = $run"), 't', 'empty second page: it was asked for again');

# A page says how many there are: whether it is asked for again, or the rest of
# it, is not told from here.
for my $page (1, 2)
{
	my $name = "page $page cut short";

	$simulator->post('mutate', org => $org, entity => 'Person', op => 'update', count => 120);
	fault($org, 'truncated_list', count => 1, skip => $page - 1);
	$run = start($org, 'Person');
	ends($run, 'succeeded', $name);
	is(safe_psql($node, "SELECT fetched >= $people FROM sync_jobs WHERE run_id = $run"), 't', "$name: is noticed");
	is_equal_to_oracle($node, $simulator, $org, 'Person', "$name: every change is in");
}

# ---- What took long -------------------------------------------------------

ends($down_run, 'succeeded', 'downtime');
like(retries($down_run), qr/^succeeded\|\d+\|SE000\|t$/m, 'downtime: the attempts can be seen');
is(safe_psql($node, "SELECT fetched FROM sync_jobs WHERE run_id = $down_run"), $flaky_people, 'downtime: each record once');
{
	# Its token is that of org1 there.
	my $copy = safe_psql($node,
		"COPY (SELECT id, first_name, last_name FROM pco_people.person WHERE org = 'flaky' ORDER BY id::bigint) TO STDOUT");
	my $truth = $flaky->get('oracle', org => 'org1', entity => 'Person', columns => 'id,first_name,last_name');
	is(join("\n", sort split /\n/, $copy), join("\n", sort split /\n/, $truth), 'downtime: nothing is lost');
}

ends($persistent_run, 'partial', 'a list that fails for good');
is_deeply(
	statuses($persistent_run),
	{ Household => 'failed|SE500', Person => 'succeeded|', PhoneNumber => 'succeeded|' },
	'a list that fails for good: the others go on');
like(retries($persistent_run), qr/^failed\|\d\|SE500\|t$/, 'a list that fails for good: its attempts can be seen');
is_equal_to_oracle($node, $simulator, $persistent, 'Person', 'a list that fails for good: others are complete');

# ---- None of this broke the limit -----------------------------------------

for my $number (1 .. $used)
{
	my $stats = $simulator->stats(org => "org$number");

	cmp_ok($stats->{most_in_window}, '<=', $limit, "org$number: no window has more requests than the limit");
	is($stats->{rejected_429_self}, 0, "org$number: none was rejected for it");
}
unlike(server_log($node), qr/TRAP|PANIC|server process .* was terminated by signal/, 'no process has crashed');

done_testing();
