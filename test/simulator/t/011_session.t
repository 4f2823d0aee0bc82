# A short session through every part of the simulator, for valgrind.
use strict;
use warnings;
use Test::More;
use IO::Socket::INET;
use Simulator;

my $sim = Simulator->new(people => 60, orgs => 2, 'rate-limit' => 500);
my $people = '/people/v2/people';

for my $path ("$people?per_page=100&order=-last_name,updated_at", "$people?include=emails,households.people&per_page=10",
	"$people?where[updated_at][gte]=2015-01-01T00:00:00Z&order=updated_at", "$people?where[search_name_or_email]=a",
	"$people?where[updated_at][gte]=2015-01-01T00:00:00Z&where[status]=active", "$people?filter=admins,created_since&time=2015-01-01",
	"$people?fields[Person]=name,mfa_configured&offset=30001", '/people/v2/field_data?include=tab,field_definition',
	'/people/v2', '/people/v2/me', '/current/v2/me?include=organization', '/people/v2/stats',
	'/people/v2/lists?include=rules.conditions,people,star&order=-updated_at', '/calendar/v2/calendars',
	'/services/v2/media?include=attachments.zooms&filter=archived', '/services/v2/teams?include=people,service_types',
	'/giving/v2/donations?include=labels,refund.designation_refunds&where[payment_method]=card',
	'/groups/v2/events?include=group,location&filter=upcoming', '/check-ins/v2/check_ins?include=event_times,locations')
{
	is($sim->get($path)->{status}, 200, $path);
}
my ($id, $second, $third) = $sim->ids($people);
is($sim->get("$people/$id/$_")->{status}, 200, "nested $_") for qw(emails household_memberships households);
my ($type) = $sim->ids('/services/v2/service_types');
for my $plan ($sim->ids("/services/v2/service_types/$type/unscoped_plans"))
{
	is($sim->get("/services/v2/service_types/$type/plans/$plan/$_")->{status}, 200, "$_ of a plan")
	  for qw(items team_members attachments);
}
ok($sim->get("/giving/v2/donations/$_/refund")->{status} =~ /^(?:200|404)$/, 'a refund or none') for $sim->ids('/giving/v2/donations');
like($sim->look('entities'), qr/^services\tZoom\tnested\t[1-9]/m, 'entities');
for my $entity (qw(services.Zoom giving.DesignationRefund groups.Owner calendar.ContainingResource services.Attachment))
{
	$sim->look("oracle?org=org1&entity=$entity");
	$sim->look("oracle/columns?entity=$entity");
}
for my $op (qw(insert update delete))
{
	$sim->post("mutate?org=org1&entity=$_&op=$op") for qw(giving.Refund services.Plan groups.Group people.Workflow);
}
is($sim->get('/people/v2/nonsense')->{status}, 404, 'unknown');
is($sim->request('GET', $people)->{status}, 401, 'no token');
$sim->post("mutate?org=org1&entity=Person&op=$_&count=10") for qw(insert update touch delete restore);
$sim->post('mutate?org=org1&entity=Email&op=update&count=10');
is($sim->post("merge?org=org1&keep=$second&remove=$third")->{merger} > 0, 1, 'merge');
my ($primary) = map { $_->{id} } grep { $_->{attributes}{primary} } @{ $sim->list('/people/v2/emails')->{data} };
$sim->post("demote_email?org=org1&id=$primary");
$sim->post("odd?org=org1&entity=Person&id=$second&kind=$_") for qw(nul huge duplicate);
$sim->post('while_paging?org=org1&entity=Person&every=1&insert=1&update=1&delete=1');
is($sim->get($people)->{status}, 200, 'odd records and changes while paging') for 1 .. 5;
for my $kind (qw(429 500 502_html truncated_json empty_200 redirect stale empty_list truncated_list
	wrong_organization wrong_content_type slow_body reset_mid_body close_connection))
{
	$sim->post("fault?path=/people&kind=$kind&arg=1000000");
	$sim->get($people);
}
$sim->post('fault?path=/people&kind=hang');
my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $sim->{port}) or die $!;
print $socket "GET $people HTTP/1.1\r\nHost: x\r\nAuthorization: " . Simulator::authorization('org1') . "\r\n\r\n";
$sim->post('permission?org=org1&visible_percent=10&forbid=Email');
$sim->post('latency?ms=5&jitter=5');
is($sim->get("$people?include=emails")->{status}, 200, 'latency and permissions');
$sim->look('oracle?org=org1&entity=Person');
$sim->look('oracle/digest?org=org1&entity=Household');
$sim->look("record?org=org1&entity=Person&id=$id");
$sim->post('org?org=org2&people=10');
is($sim->look('stats')->{most_concurrent} > 0, 1, 'stats');
$sim->look('log?after=0');
$sim->post('stats/reset');
is($sim->stop, 0, 'clean exit, with a request still hanging');
done_testing();
