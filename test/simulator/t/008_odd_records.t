# Damaged records, ignored parameters, missing totals, permissions.
use strict;
use warnings;
use Test::More;
use Simulator;

my $sim = Simulator->new(people => 400, orgs => 2, 'rate-limit' => 0);
my $people = '/people/v2/people';
my ($id) = $sim->ids("$people?per_page=1");

# odd(kind, arguments): the first record as served while it is odd.
sub odd
{
	my ($kind, @more) = @_;
	$sim->post(join('&', "odd?org=org1&entity=Person&id=$id&kind=$kind", @more));
	my $content = $sim->get("$people?per_page=1")->{content};
	$sim->post("odd?org=org1&entity=Person&id=$id&clear=1");
	return $content;
}

like(odd('null_id'), qr/"type":"Person","id":null,/, 'null_id');
like(odd('missing_id'), qr/"type":"Person","attributes"/, 'missing_id');
like(odd('numeric_id'), qr/"type":"Person","id":$id,/, 'numeric_id');
like(odd('nul', 'attr=nickname'), qr/"nickname":"nul \\u0000 inside"/, 'nul');
like(odd('lone_surrogate', 'attr=nickname'), qr/"nickname":"lone \\ud83d surrogate"/, 'lone_surrogate');
like(odd('wrong_type', 'attr=child'), qr/"child":"banana"/, 'wrong_type');
like(odd('wrong_type', 'attr=birthdate'), qr/"birthdate":"banana"/, 'wrong_type: a date that is none');
like(odd('wrong_type', 'attr=updated_at'), qr/"updated_at":"banana"/, 'wrong_type: a stamp that is none');
like(odd('number_for_text', 'attr=first_name'), qr/"first_name":12345,/, 'number_for_text');
like(odd('bad_utf8', 'attr=first_name'), qr/"first_name":"bad \xc3\x28 bytes"/, 'bad_utf8');
like(odd('unknown_attribute'), qr/"shoe_size":44/, 'unknown_attribute');
unlike(odd('missing_attribute', 'attr=nickname'), qr/"nickname":/, 'missing_attribute');
is(() = odd('duplicate') =~ /"type":"Person","id":"$id"/g, 2, 'duplicate');
cmp_ok(length(odd('huge')), '>', 1024 * 1024, 'huge');
like($sim->get("$people?per_page=1")->{content}, qr/"id":"$id"/, 'clear');
my ($mail) = $sim->ids('/people/v2/emails?per_page=1');
$sim->post("odd?org=org1&entity=Household&id=" . ($sim->ids('/people/v2/households?per_page=1'))[0] . '&kind=alias_type');
like($sim->get('/people/v2/households?per_page=1')->{content}, qr/"primary_contact":\{"data":\{"type":"PrimaryContact"/,
	'alias_type');
is($sim->request('POST', "/_sim/odd?org=org1&entity=Person&id=$id&kind=nonsense")->{status}, 400, 'unknown kind');

# Pretend to accept, but ignore
my $future = "$people?where[updated_at][gte]=2100-01-01T00:00:00Z";
$sim->post('ignore?org=org1&entity=Person&key=where&on=1');
my $page = $sim->list($future);
is($page->{meta}{total_count}, 400, 'where is ignored');
ok((grep { $_ eq 'updated_at' } @{ $page->{meta}{can_query_by} }), 'while meta pretends');
is($sim->list($future, 'org2')->{meta}{total_count}, 0, 'for one organisation only');
$sim->post('ignore?org=org1&entity=Person&key=where&on=0');
is($sim->list($future)->{meta}{total_count}, 0, 'and heeded again');
$sim->post('ignore?org=org1&entity=Person&key=order');
is_deeply([ $sim->ids("$people?order=-updated_at") ], [ $sim->ids($people) ], 'order is ignored');
$sim->post('ignore?org=org1&entity=Person&key=order&on=0');
$sim->post('ignore?org=org1&entity=Person&key=include');
is_deeply($sim->list("$people?include=emails")->{included}, [], 'include is ignored');
$sim->post('ignore?org=org1&entity=Person&key=include&on=0');
$sim->post('hide_meta?org=org1&entity=Person');
ok(!exists $sim->list($people)->{meta}{total_count}, 'no total_count');
$sim->post('hide_meta?org=org1&entity=Person&on=0');
is($sim->list($people)->{meta}{total_count}, 400, 'and back');

# Permissions
my $emails = $sim->list('/people/v2/emails')->{meta}{total_count};
$sim->post('permission?org=org1&visible_percent=10');
my $seen = $sim->list($people)->{meta}{total_count};
cmp_ok($seen, '>', 15, 'some people are visible');
cmp_ok($seen, '<', 80, 'most are not');
my %visible = map { $_->{id} => 1 } $sim->all("$people?per_page=100");
my @mails = $sim->all('/people/v2/emails?per_page=100');
is(scalar(grep { !$visible{ $_->{relationships}{person}{data}{id} } } @mails), 0, 'children go with their people');
cmp_ok(scalar @mails, '<', $emails / 2, 'most children are invisible');
my @households = $sim->all('/people/v2/households?per_page=100');
my @members = map { map { $_->{id} } @{ $_->{relationships}{people}{data} } } @households;
cmp_ok(scalar @members, '>', 0, 'visible households have members');
is(scalar(grep { !$visible{$_} } @members), 0, 'and name only visible people');
my ($hidden) = grep { !$visible{$_} } map { $_->{id} } $sim->oracle('Person', 'id');
is($sim->get("$people/$hidden")->{status}, 404, 'an invisible person is 404');
is(scalar(() = $sim->oracle('Person', 'id')), 400, 'the oracle sees all');
is($sim->list($people, 'org2')->{meta}{total_count}, 400, 'another token too');
$sim->post('permission?org=org1&visible_percent=100');
is($sim->list($people)->{meta}{total_count}, 400, 'restored');
$sim->post('permission?org=org1&forbid=Email&forbid_product=giving');
my $reply = $sim->get('/people/v2/emails');
is($reply->{status}, 403, 'forbidden entity');
is_deeply($reply->{json}, { errors => [ { status => '403', title => 'Forbidden',
	detail => 'You do not have access to this resource' } ] }, '403 body');
is($sim->get("$people/$id/emails")->{status}, 403, 'also nested');
is_deeply($sim->list("$people?include=emails")->{included}, [], 'not included either');
is($sim->get("$people/$id")->{json}{data}{links}{emails}, undef, 'and its link is null');
is($sim->get('/giving/v2')->{status}, 403, 'forbidden product');
is($sim->get('/giving/v2', 'org2')->{status}, 200, 'not for others');
$sim->post('permission?org=org1&allow=Email&allow_product=giving');
is($sim->get('/people/v2/emails')->{status}, 200, 'allowed again');
is($sim->get('/giving/v2')->{status}, 200, 'the product too');
is($sim->stop, 0, 'clean exit');
done_testing();
