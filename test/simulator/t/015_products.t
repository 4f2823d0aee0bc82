# Every type of every product: how its records are reached, and that the oracle
# tells what the API shows on that way.  The ways are read from the catalogue.
use strict;
use warnings;
use utf8;
use Test::More;
use Encode qw(decode);
use File::Basename qw(dirname);
use Simulator;

my $sim = Simulator->new(people => 60, 'rate-limit' => 0);

# The catalogue, as far as it says how to find records: {product}{type}{...}
my (%catalogue, %fields_only);
for my $file (glob(dirname(__FILE__) . '/../catalogue/*.conf'))
{
	my ($product, $type);
	open(my $lines, '<:encoding(UTF-8)', $file) or die $!;
	my $text = join('', <$lines>);
	$text =~ s/\\\n//g;
	for (split /\n/, $text)
	{
		my ($word, $name, @rest) = split ' ';
		next unless defined $word;
		$product = $name if $word eq 'product';
		if ($word eq 'entity')
		{
			$type = $name;
			$catalogue{$product}{$type} = { collection => $rest[0] };
		}
		next unless defined $type;
		my $entity = $catalogue{$product}{$type};
		$entity->{rows} = $name if $word eq 'rows';
		$entity->{nested} = [ $name, $rest[0] ] if $word eq 'nested';
		$entity->{seen} = [ $name, @rest ] if $word eq 'seen';
		$entity->{to_one}{$name} = $rest[0] if $word eq 'to_one';
		$entity->{silent}{"${name}_id"} = 1 if $word eq 'to_one' && grep { $_ eq 'silent' } @rest;
		$entity->{alias}{$name} = 1 if $word eq 'to_one' && $rest[1] eq 'as';
		$entity->{param}{$name} = \@rest if $word eq 'param';
		$entity->{single} = 1 if $word eq 'single';
		$entity->{fields_only}{$name} = 1 if $word eq 'attribute' && grep { $_ eq 'fields_only' } @rest;
	}
}

my %found;

# find(product, type): [record, ancestors' ids from the nearest on, path] of all records
sub find
{
	my ($product, $type) = @_;
	my $entity = $catalogue{$product}{$type};
	my $root = "/$product/v2";
	return @{ $found{$product}{$type} } if $found{$product}{$type};
	my @all;
	if ($entity->{seen} || $entity->{nested})
	{
		my ($from, @edges) = $entity->{seen} ? @{ $entity->{seen} } :
		  ($entity->{to_one}{ $entity->{nested}[0] }, $entity->{nested}[1]);
		@all = find($product, $from);
		for my $edge (@edges)
		{
			my @next;
			for my $at (@all)
			{
				my $reply = $sim->get("$at->[2]/$edge?per_page=100");
				next if $reply->{status} == 404;
				my $data = $reply->{json}{data};
				my $is_list = ref $data eq 'ARRAY';
				push @next, map { [ $_, [ $at->[0]{id}, @{ $at->[1] } ],
					"$at->[2]/$edge" . ($is_list || $edge eq 'event_period' || $edge eq 'last_scheduled_item' ? "/$_->{id}" : '') ] }
				  $is_list ? @$data : $data;
			}
			@all = @next;
		}
	}
	elsif ($entity->{single} || $entity->{collection} eq '-')
	{
		my $path = $entity->{single} ? "$root/$entity->{collection}" : $root;
		@all = [ $sim->list($path)->{data}, [], $path ] if $entity->{rows} eq 'organization';
	}
	else
	{
		@all = map { [ $_, [], "$root/$entity->{collection}/$_->{id}" ] } $sim->all("$root/$entity->{collection}?per_page=100");
	}
	$found{$product}{$type} = \@all;
	return @all;
}

# expected(entity, column, type, found): what the oracle should say
sub expected
{
	my ($entity, $name, $type, $at) = @_;
	my ($record, $ancestors) = @$at;
	return $record->{id} if $name eq 'id';
	if ($name =~ /^(.*)_ids$/ && $record->{relationships}{$1})
	{
		return Simulator::printed($record->{relationships}{$1}{data}, $type);
	}
	if ($name =~ /^(.*)_(id|type)$/ && $record->{relationships}{$1} && exists $record->{relationships}{$1}{data}
		&& !($2 eq 'type' && exists $record->{attributes}{$name}))
	{
		return Simulator::printed($record->{relationships}{$1}{data}{$2}, 'text');
	}
	if (my $hops = $entity->{param}{$name})
	{
		return $ancestors->[ @$hops - 1 ];
	}
	return Simulator::printed($record->{attributes}{$name}, $type);
}

# compare(when): every type's records as found, against the oracle; how they are reached
sub compare
{
	my ($when) = @_;
	my %reach;
	%found = ();
	for (split /\n/, $sim->look('entities?org=org1'))
	{
		my ($product, $type, $reach, $rows) = split /\t/;
		my $entity = $catalogue{$product}{$type};
		my $name = "$product.$type";
		$reach{$reach}++;
		if ($reach eq 'embedded')
		{
			is($rows, 0, "$when: $name: no rows");
			next;
		}
		my %records = map { $_->[0]{id} => $_ } find($product, $type);
		is(scalar keys %records, $rows, "$when: $name: rows found");
		cmp_ok($rows, '>', 0, "$name: there are some") if $when eq 'at first';
		# not what only fields[] shows, nor the real type behind an alias
		my @columns = grep { !$entity->{fields_only}{ $_->[0] } && !($_->[0] =~ /^(.*)_type$/ && $entity->{alias}{$1}) &&
			!$entity->{silent}{ $_->[0] } }
		  map { [ split /\t/ ] } split /\n/, $sim->look("oracle/columns?entity=$name");
		my $text = '';
		for my $id (sort keys %records)
		{
			$text .= join("\t", map { expected($entity, @$_, $records{$id}) } @columns) . "\n";
		}
		my $names = join(',', map { $_->[0] } @columns);
		is(decode('UTF-8', $sim->look("oracle?org=org1&entity=$name&columns=$names")), $text, "$when: $name: as the API shows it");
	}
	return \%reach;
}

is_deeply(compare('at first'), { list => 114, nested => 103, single => 27, embedded => 12 }, 'how 256 types are reached');

# Wrong parents
my ($item) = find('services', 'Item');
my $plans = (split m{/items/}, $item->[2])[0];
my ($other) = grep { $_->[2] ne $plans } find('services', 'Plan');
is($sim->get("$other->[2]/items/$item->[0]{id}")->{status}, 404, 'a record below another parent');
is($sim->get("/services/v2/service_types/999999/plans/$item->[1][0]/items")->{status}, 404, 'a parent that is not there');
is($sim->get("$item->[2]/item_notes")->{status}, 200, 'three parameters deep');
is($sim->get('/people/v2/workflow_categories')->{status}, 404, 'what has no collection');

# Edges to one record
my (%refund, $with);
for (find('giving', 'Donation'))
{
	my $reply = $sim->get("$_->[2]/refund");
	$refund{ $reply->{status} }++;
	$with = $reply if $reply->{status} == 200;
}
cmp_ok($refund{404}, '>', 0, 'no refund: 404');
is(ref $with->{json}{data}, 'HASH', 'a refund is an object');
ok(!exists $with->{json}{meta}{total_count} && !exists $with->{json}{links}, 'without what lists have');
like($with->{json}{data}{links}{self}, qr{/donations/\d+/refund$}, 'and its address has no id');
is($sim->list('/services/v2/chat')->{data}{type}, 'Chat', 'chat is one record');
my ($check_in) = grep { $_->[0]{relationships}{event_period}{data} } find('check-ins', 'CheckIn');
my $period = $check_in->[0]{relationships}{event_period}{data}{id};
is($sim->get("$check_in->[2]/event_period/$period/location_event_periods")->{status}, 200, 'an id after an edge to one record');
is($sim->get("$check_in->[2]/event_period/" . ($period + 1) . '/location_event_periods')->{status}, 404, 'must be its own');

# Shared records
my %owners;
$owners{ $_->[0]{relationships}{owner}{data}{id} // '' }++ for find('groups', 'EventNote');
cmp_ok((sort { $b <=> $a } map { $owners{$_} } grep { $_ ne '' } keys %owners)[0], '>', 1, 'one owner of several notes');
is((split / /, $sim->look('oracle/digest?org=org1&entity=groups.Owner'))[0], scalar(grep { $_ ne '' } keys %owners),
	'and nobody else counts as an owner');

# Attachments with zooms stand under their plan and under their media
my ($zoom) = find('services', 'Zoom');
my ($media) = $zoom->[2] =~ m{media/(\d+)/};
my ($attachment) = grep { $_->[0]{id} eq $zoom->[1][0] } find('services', 'Attachment');
is_deeply($attachment->[0]{relationships}{attachable}{data}, { type => 'Media', id => $media }, 'attachable is the media');
is($attachment->[0]{attributes}{attachable_type}, 'Media', 'in the attribute too');

# A person twice in a list's results is once among its people
my %results;
push @{ $results{ $_->[1][0] } }, $_ for find('people', 'ListResult');
my ($result, $second) = @{ (grep { @$_ > 1 } map { $results{$_} } sort keys %results)[0] };
my $who = $result->[0]{relationships}{person}{data}{id};
$sim->post("mutate?org=org1&entity=people.ListResult&op=update&id=$second->[0]{id}&attr=person&value=$who");
is(scalar(grep { $_ eq $who } $sim->ids("/people/v2/lists/$result->[1][0]/people")), 1, 'each record once');

# Hidden rows
my ($deleted, $type);
for (find('services', 'ServiceType'))
{
	my @plans = $sim->ids("$_->[2]/plans?per_page=100");
	my @unscoped = $sim->ids("$_->[2]/unscoped_plans?per_page=100");
	my @gone = $sim->ids("$_->[2]/unscoped_plans?filter=deleted&per_page=100");
	is_deeply([ sort @unscoped ], [ sort @plans, @gone ], 'unscoped plans are all plans');
	is(scalar $sim->ids("$_->[2]/plans?filter=deleted"), 0, 'the others list no deleted ones');
	($deleted, $type) = ($gone[0], $_->[2]) if @gone;
}
ok($deleted, 'there is a deleted plan');
is(scalar $sim->ids("$type/plans/$deleted/items"), 0, 'whose items are gone');
my %all = map { $_ => scalar $sim->ids("/people/v2/workflows?filter=$_&per_page=100") } qw(all with_deleted only_deleted);
cmp_ok($all{only_deleted}, '>', 0, 'deleted workflows');
is($all{with_deleted}, $all{all} + $all{only_deleted}, 'are hidden');

# Versions
is($sim->get('/calendar/v2/calendars')->{status}, 200, 'calendars came with 2026-06-22');
is($sim->get('/calendar/v2/calendars', undef, { 'X-PCO-API-Version' => '2022-07-07' })->{status}, 404, 'not before');

# Includes
my $page = $sim->list('/giving/v2/donations?include=designations,labels,refund&per_page=100');
my %included;
$included{ $_->{type} }{ $_->{id} } = $_ for @{ $page->{included} };
is(scalar keys %{ $included{Designation} }, scalar find('giving', 'Designation'), 'designations of all donations');
is(scalar keys %{ $included{Refund} }, scalar find('giving', 'Refund'), 'refunds too');
ok((grep { defined $_->{relationships}{refund}{data} } @{ $page->{data} }) &&
	(grep { !defined $_->{relationships}{refund}{data} } @{ $page->{data} }), 'some donations have one');
ok((grep { $_->{type} eq 'Labels' } map { @{ $_->{relationships}{labels}{data} } } @{ $sim->list('/giving/v2/donations')->{data} }),
	'labels always stand in a donation, by their alias');
ok(!exists $sim->list('/giving/v2/donations')->{data}[0]{relationships}{designations}, 'designations only if included');
$page = $sim->list('/people/v2/lists?include=rules.conditions&per_page=100');
%included = ();
$included{ $_->{type} }++ for @{ $page->{included} };
is($included{Condition}, scalar find('people', 'Condition'), 'two levels');
ok((grep { @{ $_->{relationships}{conditions}{data} } } @{ $page->{data} }), 'the second shows on the first record');
my ($thin) = grep { $_->{type} eq 'Group' } @{ $sim->list('/groups/v2/memberships?include=person')->{included} },
  @{ $sim->list('/groups/v2/events?include=group')->{included} };
is_deeply([ keys %{ $thin->{relationships} } ], ['group_type'], 'an included copy lacks references');
my ($full) = grep { $_->[0]{id} eq $thin->{id} } find('groups', 'Group');
is_deeply([ sort keys %{ $full->[0]{relationships} } ], [qw(group_type location)], 'that a list shows');

# Numbers where text is documented, filters, changes
like($sim->get('/webhooks/v2/webhook_subscriptions')->{content}, qr/"application_id":\d+/, 'a number for text');
like($sim->get('/people/v2/notes')->{content}, qr/"person_id":\d+/, 'a number for an id');
my @archived = $sim->all('/groups/v2/events?filter=canceled&per_page=100');
is(scalar(grep { !$_->{attributes}{canceled} } @archived), 0, 'a scope');

# Changes of every type
my %refused;
for (split /\n/, $sim->look('entities?org=org1'))
{
	my ($product, $type) = split /\t/;
	next if $catalogue{$product}{$type}{rows} =~ /^(?:organization|me|none)$/;
	for my $op (qw(insert update delete insert))
	{
		my $reply = $sim->request('POST', "/_sim/mutate?org=org1&entity=$product.$type&op=$op&count=1");
		push @{ $refused{ $reply->{content} } }, "$product.$type" if $reply->{status} != 200;
	}
}
is_deeply([ keys %refused ], ["no attribute of this type may change\n"], 'every type can change')
  or diag(explain(\%refused));
my ($keep, $remove) = map { $_->[0]{relationships}{person}{data}{id} } find('people', 'Note');
($remove) = grep { $_ ne $keep } map { $_->[0]{relationships}{person}{data}{id} } find('people', 'WorkflowCard');
$sim->post("merge?org=org1&keep=$keep&remove=$remove");
compare('changed');
is(scalar(grep { $_->[0]{relationships}{person}{data}{id} eq $remove } find('people', 'WorkflowCard')), 0,
	'workflow cards move with a merge');
is($sim->stop, 0, 'clean exit');
done_testing();
