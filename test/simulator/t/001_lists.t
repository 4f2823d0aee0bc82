# Envelope, pagination and its traps.
use strict;
use warnings;
use utf8;
use Test::More;
use Simulator;

my $sim = Simulator->new(people => 330, 'rate-limit' => 0);
my $people = '/people/v2/people';

is($sim->look('health'), "ok\n", 'health');

my $reply = $sim->get("$people?per_page=3");
is($reply->{status}, 200, 'a list');
is($reply->{headers}{'content-type'}, 'application/vnd.api+json; charset=utf-8', 'media type');
like($reply->{headers}{etag}, qr{^W/"[0-9a-f]+"$}, 'weak ETag');
ok($reply->{headers}{date}, 'Date header');
ok($reply->{headers}{'x-request-id'}, 'X-Request-Id header');
is($reply->{headers}{'x-pco-api-auth-method'}, 'HTTPBasic', 'auth method');
is($reply->{headers}{'x-pco-api-processed-as-version'}, '2026-06-04', 'version echo');
my $page = $reply->{json};
is(join(',', sort keys %$page), 'data,included,links,meta', 'envelope');
is_deeply($page->{included}, [], 'included is an empty array');
is($page->{meta}{total_count}, 330, 'total_count');
is($page->{meta}{count}, 3, 'count');
is_deeply($page->{meta}{next}, { offset => 3 }, 'meta.next');
ok(!exists $page->{meta}{prev}, 'no meta.prev on the first page');
is_deeply($page->{meta}{parent}, { id => '500001', type => 'Organization' }, 'parent');
is($page->{links}{self}, "$sim->{base}$people?per_page=3", 'links.self');
is($page->{links}{next}, "$sim->{base}$people?offset=3&per_page=3", 'links.next');
is(scalar @{ $page->{meta}{can_order_by} }, 20, 'can_order_by');
is(scalar @{ $page->{meta}{can_query_by} }, 29, 'can_query_by');
is(scalar @{ $page->{meta}{can_include} }, 15, 'can_include');
is_deeply($page->{meta}{can_filter},
	[qw(admins created_since non_pending organization_admins without_deceased)], 'can_filter');

my $person = $page->{data}[0];
is($person->{type}, 'Person', 'type');
like($reply->{content}, qr/"id":"$person->{id}"/, 'ids are strings');
is(scalar keys %{ $person->{attributes} }, 31, 'all recorded attributes');
ok(!exists $person->{attributes}{mfa_configured}, 'fields-only attributes are left out');
like($person->{attributes}{created_at}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, 'stamps in whole seconds');
is(join(',', sort keys %{ $person->{links} }), 'html,self', 'list rows link to themselves only');
is($person->{links}{html}, "https://people.planningcenteronline.com/people/AC$person->{id}", 'html link');
is_deeply([ keys %{ $person->{relationships} } ], ['primary_campus'], 'relationships of a list row');

# The page size
is(scalar @{ $sim->list($people)->{data} }, 25, 'default per_page');
$page = $sim->list("$people?per_page=500");
is(scalar @{ $page->{data} }, 100, 'per_page is capped at 100');
is($page->{meta}{next}{offset}, 100, 'meta.next tells the cap');
is($page->{links}{next}, "$sim->{base}$people?offset=100&per_page=500", 'the links lie');
$page = $sim->list("$people?per_page=0");
is(scalar @{ $page->{data} }, 0, 'per_page=0 gives no rows');
is($page->{meta}{next}{offset}, 0, 'and next.offset 0');
is($page->{meta}{total_count}, 330, 'and the total');

# The end
$page = $sim->list("$people?per_page=100&offset=300");
is(scalar @{ $page->{data} }, 30, 'last page');
ok(!exists $page->{meta}{next} && !exists $page->{links}{next}, 'no next on the last page');
is($page->{meta}{prev}{offset}, 200, 'prev');
$page = $sim->list("$people?per_page=100&offset=330");
is(scalar @{ $page->{data} }, 0, 'past the end: empty');
ok(!exists $page->{meta}{next}, 'past the end: no next');
ok(exists $page->{meta}{prev} && exists $page->{links}{prev}, 'past the end: prev');
is($page->{meta}{total_count}, 330, 'past the end: total');

# Links are sorted, with unescaped brackets
$page = $sim->list("$people?where%5Bstatus%5D=active&order=-created_at&per_page=2&fields[Person]=name");
is($page->{links}{next},
	"$sim->{base}$people?fields[Person]=name&offset=2&order=-created_at&per_page=2&where[status]=active",
	'links are sorted and unescaped');

my @all = $sim->all("$people?per_page=100");
is(scalar @all, 330, 'following links reads everything');
is(scalar keys %{ { map { $_->{id} => 1 } @all } }, 330, 'once');

# Single records
my $single = $sim->get("$people/$person->{id}")->{json};
is(join(',', sort keys %$single), 'data,included,meta', 'single: no top-level links');
is(join(',', sort keys %{ $single->{meta} }), 'can_include,parent', 'single: meta');
is($single->{data}{links}{emails}, "$sim->{base}$people/$person->{id}/emails", 'single: one link per edge');
ok(exists $single->{data}{links}{school} && !defined $single->{data}{links}{school}, 'single: null when empty');

# Errors and roots
$reply = $sim->get("$people/1");
is($reply->{status}, 404, 'unknown id');
is_deeply($reply->{json}, { errors => [ { status => '404', title => 'Not Found',
	detail => 'The resource you requested could not be found' } ] }, '404 has no code');
like($reply->{headers}{'content-type'}, qr{^application/json}, 'errors are plain JSON');
is($sim->get('/people/v2/household_memberships')->{status}, 404, 'memberships have no collection');
is($sim->get('/people/v2/nonsense')->{status}, 404, 'unknown route');
is($sim->get('/nonsense')->{status}, 404, 'unknown product');
is($sim->request('PUT', $people, { Authorization => Simulator::authorization('org1') })->{headers}{'content-type'},
	'text/html', 'PUT answers HTML');
is($sim->list('/people/v2')->{data}{type}, 'Organization', 'root');
is($sim->list('/people/v2')->{data}{id}, '500001', 'organisation id');
is($sim->list('/people/v2/me')->{data}{id}, $all[0]{id}, 'me');
my $me = $sim->list('/current/v2/me?include=organization');
is($me->{included}[0]{id}, '500001', 'current/v2/me shows the organisation');
is($me->{data}{id}, $all[0]{id}, 'and the same person');
is($sim->list("/$_/v2")->{data}{type}, 'Organization', "root of $_")
  for qw(api calendar check-ins check_ins giving groups publishing registrations services webhooks);

# Nested lists
my ($household) = @{ $sim->list('/people/v2/households?per_page=1')->{data} };
my $memberships = $sim->list("/people/v2/households/$household->{id}/household_memberships");
is($memberships->{meta}{count}, $household->{attributes}{member_count}, 'memberships of a household');
is_deeply($memberships->{meta}{parent}, { id => $household->{id}, type => 'Household' }, 'nested parent');
my $membership = $memberships->{data}[0];
is(join(',', sort keys %{ $membership->{attributes} }), 'household_role,pending,person_name', 'no stamps');
is_deeply([ keys %{ $membership->{relationships} } ], ['person'], 'no household relationship');
is($membership->{links}{self},
	"$sim->{base}/people/v2/households/$household->{id}/household_memberships/$membership->{id}",
	'the household stands in links.self only');
is($sim->get("/people/v2/households/$household->{id}/household_memberships/$membership->{id}")->{json}{data}{id},
	$membership->{id}, 'a membership by id');
my $member = $membership->{relationships}{person}{data}{id};
ok((grep { $_ eq $membership->{id} } $sim->ids("$people/$member/household_memberships")),
	'memberships of a person');
is_deeply([ map { $_->{id} } @{ $household->{relationships}{people}{data} } ],
	[ $sim->ids("/people/v2/households/$household->{id}/people") ], 'a household always names its people');
is($household->{attributes}{primary_contact_id}, $household->{relationships}{primary_contact}{data}{id},
	'primary contact twice');
is($sim->get("$people/$member/name_suffix")->{status}, 404, 'an edge to one record that leads nowhere');
is($sim->get("$people/$member/shoes")->{status}, 404, 'an edge that is not there');
is($sim->get("$people/1/emails")->{status}, 404, 'nested list of a parent that is gone');
is($sim->stop, 0, 'clean exit');
done_testing();
