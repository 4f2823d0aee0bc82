# The documentation graph, OpenAPI, and how tests make them differ.
use strict;
use warnings;
use Test::More;
use Simulator;

my $sim = Simulator->new(people => 60, 'rate-limit' => 20, 'rate-period' => 60);
my $newest = '2026-06-04';

# document(path): a document that needs no token.
sub document
{
	my ($path) = @_;
	my $reply = $sim->request('GET', $path);
	die "$path: $reply->{status}" if $reply->{status} != 200 || !$reply->{json};
	return $reply->{json};
}

sub vertex
{
	my ($name, $version) = @_;
	return document('/people/v2/documentation/' . ($version // $newest) . "/vertices/$name")->{data};
}

# members(vertex, list): the attributes of each member, by name.
sub members
{
	my ($vertex, $list) = @_;
	return map { $_->{attributes}{name} => $_->{attributes} } @{ $vertex->{relationships}{$list}{data} };
}

# edge(vertex, list, name): one edge.
sub edge
{
	my ($vertex, $list, $name) = @_;
	return (grep { $_->{attributes}{name} eq $name } @{ $vertex->{relationships}{$list}{data} })[0];
}

# The graph and its versions
my $graph = document('/people/v2/documentation')->{data};
is($graph->{type}, 'Graph', 'the graph');
my @versions = map { $_->{id} } @{ $graph->{relationships}{versions}{data} };
is($versions[0], $newest, 'newest version first');
is_deeply([ reverse sort @versions ], \@versions, 'in order');
is($sim->request('GET', '/people/v2/documentation/2001-01-01')->{status}, 404, 'unknown version');
is($sim->request('GET', "/people/v2/documentation/$newest/vertices/nonsense")->{status}, 404, 'unknown vertex');
is($sim->request('GET', "/nonsense/v2/documentation")->{status}, 401, 'another product is no documentation');
is(document('/check_ins/v2/documentation')->{data}{id}, 'check-ins', 'product under its other name');

my $version = document("/people/v2/documentation/$newest")->{data};
is($version->{type}, 'GraphVersion', 'a version');
is($version->{attributes}{beta}, JSON::PP::false, 'beta');
is($version->{relationships}{entry}{data}{id}, 'organization', 'entry');
is($version->{relationships}{previous_version}{data}{id}, $versions[1], 'previous');
ok(!defined $version->{relationships}{next_version}{data}, 'the newest has no next');
is(document("/people/v2/documentation/$versions[1]")->{data}{relationships}{next_version}{data}{id}, $newest, 'next');
my %vertices = map { $_->{id} => $_->{attributes}{name} } @{ $version->{relationships}{vertices}{data} };
is($vertices{household_membership}, 'HouseholdMembership', 'a vertex and its type');
is_deeply([ sort map { "$_->{attributes}{vertex}.$_->{attributes}{name}" } @{ $version->{relationships}{changes}{data} } ],
	[ 'field_datum.created_at', 'field_datum.updated_at' ], 'what the version brought');

# A vertex
my $person = vertex('person');
is($person->{attributes}{name}, 'Person', 'vertex');
is($person->{attributes}{path}, "$sim->{base}/people/v2/people", 'path');
is(ref JSON::PP->new->decode($person->{attributes}{example}), 'HASH', 'the example is JSON in a string');
is_deeply([ grep { !exists $person->{relationships}{$_} } qw(attributes relationships permissions actions outbound_edges
	inbound_edges can_include can_order can_query per_page offset rate_limits) ], [], 'every list');
my %attributes = members($person, 'attributes');
is($attributes{birthdate}{type_annotation}{name}, 'date', 'type of an attribute');
is($attributes{id}{type_annotation}{name}, 'primary_key', 'the id is one');
like($attributes{mfa_configured}{note}, qr/fields/, 'a note on what only comes when asked for');
my %relationships = members($person, 'relationships');
is($relationships{primary_campus}{graph_type}, 'PrimaryCampus', 'alias type of a relationship');
is($relationships{primary_campus}{association}, 'to_one', 'to one');
is({ members(vertex('household'), 'relationships') }->{people}{association}, 'to_many', 'to many');
is({ members(document('/calendar/v2/documentation/2026-06-22/vertices/room_setup')->{data}, 'relationships') }->{resource_suggestions}{association},
	'to_many', 'even if records have it only with an include');
ok({ members(vertex('field_datum'), 'relationships') }->{customizable}{polymorphic}, 'polymorphic');
my $list = $sim->list('/people/v2/people?per_page=1')->{meta};
my @keys = ([ can_order => 'can_order_by' ], [ can_query => 'can_query_by' ], [ can_include => 'can_include' ]);
for my $key (@keys)
{
	my %documented = members($person, $key->[0]);
	is_deeply([ sort keys %documented ], [ sort @{ $list->{ $key->[1] } } ], "$key->[0] equals meta");
}
my %query = members($person, 'can_query');
is($query{updated_at}{parameter}, 'where[updated_at]', 'the parameter of a where key');
is($query{updated_at}{type}, 'date_time', 'and its type');
is($person->{relationships}{per_page}{data}{attributes}{maximum}, 100, 'page size');
is($person->{relationships}{rate_limits}{data}[0]{attributes}{limit}, 20, 'rate limit');

# Edges
my $organization = vertex('organization');
my $edge = edge($organization, 'outbound_edges', 'people');
is($edge->{attributes}{path}, "$sim->{base}/people/v2/people", 'a collection is an edge of the organization');
is($edge->{relationships}{head}{data}{attributes}{name}, 'Person', 'head');
ok(!edge($organization, 'outbound_edges', 'household_memberships'), 'what is nested is none');
my %inbound = map { $_->{relationships}{tail}{data}{id} => $_->{attributes}{path} }
  @{ vertex('household_membership')->{relationships}{inbound_edges}{data} };
is($inbound{household}, "$sim->{base}/people/v2/households/{household_id}/household_memberships", 'path of a nested edge');
is($inbound{person}, "$sim->{base}/people/v2/people/{person_id}/household_memberships", 'and of another with its name');
is_deeply([ map { $_->{name} } @{ edge(vertex('tab'), 'outbound_edges', 'field_definitions')->{attributes}{scopes} } ],
	edge(vertex('tab'), 'outbound_edges', 'field_definitions')->{attributes}{filters}, 'scopes are the filters');

# path(product, version, vertex, tail): where the tail's edge to a vertex leads.
sub path
{
	my ($product, $version, $vertex, $tail) = @_;
	my $edges = document("/$product/v2/documentation/$version/vertices/$vertex")->{data}{relationships}{inbound_edges}{data};
	my ($edge) = grep { $_->{relationships}{tail}{data}{id} eq $tail } @$edges;
	return $edge->{attributes}{path} =~ s/^\Q$sim->{base}\E//r;
}
is(path('services', '2018-11-01', 'item_note', 'item'),
	'/services/v2/service_types/{service_type_id}/plans/{plan_id}/items/{item_id}/item_notes', 'three levels');
is(path('people', $newest, 'workflow_step_assignee_summary', 'workflow_step'),
	'/people/v2/workflows/{workflow_id}/steps/{step_id}/assignee_summaries', 'a parameter that is not named like its vertex');
is(path('giving', '2019-10-18', 'designation_refund', 'refund'),
	'/giving/v2/donations/{donation_id}/refund/designation_refunds', 'no id after an edge to one');
is(path('check-ins', '2025-05-28', 'location_event_period', 'event_period'),
	'/check-ins/v2/check_ins/{check_in_id}/event_period/{event_period_id}/location_event_periods', 'found by two edges');
is(path('calendar', '2026-06-22', 'containing_resource', 'room_setup'),
	'/calendar/v2/room_setups/{room_setup_id}/containing_resource', 'a type that is another\'s record by an edge');
is(path('services', '2018-11-01', 'chat', 'organization'), '/services/v2/chat', 'one record at the top');

# Versions differ
is_deeply([ map { my $v = $_; scalar grep { $_->{id} eq 'calendar' }
	@{ document("/calendar/v2/documentation/$v")->{data}{relationships}{vertices}{data} } } '2022-07-07', '2026-06-22' ],
	[ 0, 1 ], 'a vertex that came with a version');
my %old = members(vertex('field_datum', $versions[1]), 'attributes');
ok(!exists $old{updated_at}, 'an older version lacks what came later');
ok(!exists { members(vertex('field_datum', $versions[1]), 'can_query') }->{updated_at}, 'as a key, too');

# OpenAPI
my $open = document("/people/v2/open_api/$newest");
is($open->{openapi}, '3.1.1', 'OpenAPI');
ok($open->{paths}{'/people/v2/households/{household_id}/household_memberships'}{get}, 'with paths');

# The rate limit counts those who show a token
is($sim->request('GET', '/people/v2/documentation')->{status}, 200, 'no limit without a token') for 1 .. 30;
is($sim->get('/people/v2/documentation')->{headers}{'x-pco-api-request-rate-count'}, 2, 'a token counts');
$sim->get('/people/v2/documentation') for 1 .. 20;
is($sim->get('/people/v2/documentation')->{status}, 429, 'and may be over its limit');
$sim->post('fault?path=/people/v2/documentation&kind=500');
is($sim->request('GET', '/people/v2/documentation')->{status}, 500, 'faults reach the documentation');

# Differences
my $before = $sim->look('oracle/digest?org=org1&entity=Person');
sub change
{
	my ($op, $vertex, $name, $type) = @_;
	$sim->post("documentation?product=people&op=$op&vertex=$vertex&name=$name" . (defined $type ? "&type=$type" : ''));
}
change('add_attribute', 'person', 'shoe_size', 'integer');
change('remove_attribute', 'person', 'nickname');
change('retype_attribute', 'person', 'grade', 'string');
change('add_relationship', 'person', 'friends', 'Person[]');
change('add_order', 'person', 'shoe_size');
change('add_where', 'person', 'shoe_size', 'integer');
change('add_include', 'person', 'friends');
change('remove_include', 'person', 'emails');
change('add_vertex', 'gadget', 'gadgets');
change('add_vertex', 'gadget', 'gadgets', 'person');
change('add_attribute', 'gadget', 'weight', 'float');
change('remove_vertex', 'tab', '');
$sim->post('documentation?product=people&op=add_version&name=2027-01-31');
$person = vertex('person');
%attributes = members($person, 'attributes');
is($attributes{shoe_size}{type_annotation}{name}, 'integer', 'add_attribute');
ok(!exists $attributes{nickname}, 'remove_attribute');
is($attributes{grade}{type_annotation}{name}, 'string', 'retype_attribute');
%relationships = members($person, 'relationships');
is("$relationships{friends}{association} $relationships{friends}{graph_type}", 'to_many Person', 'add_relationship');
ok(exists { members($person, 'can_order') }->{shoe_size}, 'add_order');
is({ members($person, 'can_query') }->{shoe_size}{type}, 'integer', 'add_where');
my %includes = members($person, 'can_include');
ok($includes{friends} && !$includes{emails}, 'add_include, remove_include');
is(document('/people/v2/documentation')->{data}{relationships}{versions}{data}[0]{id}, '2027-01-31', 'add_version');
$version = document('/people/v2/documentation/2027-01-31')->{data};
is_deeply([ map { $_->{attributes}{name} } grep { $_->{id} eq 'gadget' || $_->{id} eq 'tab' } @{ $version->{relationships}{vertices}{data} } ],
	['Gadget'], 'add_vertex, remove_vertex');
is_deeply([ sort map { $_->{attributes}{path} } @{ vertex('gadget')->{relationships}{inbound_edges}{data} } ],
	[ "$sim->{base}/people/v2/gadgets", "$sim->{base}/people/v2/people/{person_id}/gadgets" ], 'edges of the new vertex');
change('add_vertex', 'part', 'parts', 'gadget');
is(edge(vertex('part'), 'inbound_edges', 'parts')->{attributes}{path}, "$sim->{base}/people/v2/gadgets/{gadget_id}/parts", 'and beneath it');
is({ members(vertex('gadget'), 'attributes') }->{weight}{type_annotation}{name}, 'float', 'its attributes');
is($sim->look('oracle/digest?org=org1&entity=Person'), $before, 'the data stay');
is($sim->request('POST', "/_sim/documentation?$_")->{status}, 400, "refused: $_")
  for 'product=people&op=nonsense&vertex=a&name=b', 'product=none&op=add_order&vertex=a&name=b', 'product=people&op=add_order&name=b',
  'product=people&op=add_order&vertex=a', 'product=people&op=retype_order&vertex=a&name=b',
  'product=people&op=add_vertex&vertex=a&name=as&type=a';
$sim->post('documentation?op=clear');
ok(!exists { members(vertex('person'), 'attributes') }->{shoe_size}, 'op=clear takes it all back');
is($sim->stop, 0, 'clean exit');
done_testing();
