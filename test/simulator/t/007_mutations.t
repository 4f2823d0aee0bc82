# Changes of the truth: single records, cascades, merges, changes between pages.
use strict;
use warnings;
use Test::More;
use Simulator;

my $sim = Simulator->new(people => 300, 'rate-limit' => 0);
my $people = '/people/v2/people';

sub mutate { return $sim->post('mutate?org=org1&' . join('&', @_)); }
sub record { return $sim->look("record?org=org1&entity=$_[0]&id=$_[1]"); }
sub total { return $sim->list("$_[0]?per_page=1")->{meta}{total_count}; }
sub uniq { my %seen; return grep { !$seen{$_}++ } @_; }

# update, touch
my ($id) = @{ mutate(qw(entity=Person op=update attr=first_name value=Zo%C3%AB at=2025-09-01T10:00:00Z)) };
my $person = $sim->get("$people/$id")->{json}{data}{attributes};
is($person->{first_name}, "Zo\x{eb}", 'update sets the value');
is($person->{updated_at}, '2025-09-01T10:00:00Z', 'and the stamp');
like($person->{name}, qr/^Zo\x{eb} /, 'derived values follow');
is(($sim->ids("$people?order=-updated_at&per_page=1"))[0], $id, 'and the order');
my $before = record(Person => $id);
mutate("entity=Person&op=touch&id=$id&at=2025-09-02T10:00:00Z");
my $after = record(Person => $id);
is_deeply($after->{attributes}, $before->{attributes}, 'touch changes no value');
isnt($after->{updated_at}, $before->{updated_at}, 'but the stamp');
mutate("entity=Person&op=update&id=$id&attr=nickname&value=N&stamp=0");
is(record(Person => $id)->{updated_at}, $after->{updated_at}, 'stamp=0 leaves the stamp');
is(record(Person => $id)->{attributes}{nickname}, 'N', 'and changes the value');
mutate("entity=Person&op=update&id=$id&attr=nickname&null=1");
is(record(Person => $id)->{attributes}{nickname}, undef, 'null');
my %versions = map { $_ => record(Person => $_) } my @updated = @{ mutate('entity=Person&op=update&count=20') };
is(scalar(uniq(@updated)), 20, 'twenty different records');
ok(!(grep { $_->{version} == 0 } values %versions), 'each has a new version');
is($sim->request('POST', '/_sim/mutate?org=org1&entity=Tab&op=touch')->{status}, 400, 'a type without updated_at');
ok(mutate('entity=Tab&op=update')->[0], 'can still be updated');

# insert
my ($new) = @{ mutate('entity=Person&op=insert') };
is(total($people), 301, 'insert');
is(($sim->ids("$people?per_page=100&offset=300"))[0], $new, 'gets the highest id');
is(($sim->ids("$people?order=-created_at&per_page=1"))[0], $new, 'and a new stamp');
my ($mail) = @{ mutate('entity=Email&op=insert') };
ok($sim->get("/people/v2/emails/$mail")->{json}{data}{relationships}{person}{data}{id}, 'a child has a parent');

# delete and restore
my ($victim) = map { $_->{id} } grep { @{ $_->{relationships}{emails}{data} } && @{ $_->{relationships}{households}{data} } }
  $sim->all("$people?per_page=100&include=emails,households");
my $copy = record(Person => $victim);
my @emails = $sim->ids("$people/$victim/emails");
my ($household) = $sim->ids("$people/$victim/households");
my $members = record(Household => $household)->{attributes}{member_count};
mutate("entity=Person&op=delete&id=$victim");
is($sim->get("$people/$victim")->{status}, 404, 'deleted: 404');
is($sim->get("/people/v2/emails/$emails[0]")->{status}, 404, 'its children too');
is(total($people), 300, 'gone from the list');
my $left = record(Household => $household);
ok($left->{deleted} || $left->{attributes}{member_count} == $members - 1, 'its household has one member less');
ok($left->{deleted} || $left->{to_one}{primary_contact} != $victim, 'and another head');
mutate("entity=Person&op=restore&id=$victim");
$after = record(Person => $victim);
delete @$_{qw(version)} for $copy, $after;
is_deeply($after, $copy, 'restored with identical content');
is_deeply([ $sim->ids("$people/$victim/emails") ], \@emails, 'with its children');
my ($latest) = @{ mutate('entity=Person&op=delete') };
is(mutate('entity=Person&op=restore')->[0], $latest, 'restore without an id: the last one');

# merge
my @all = $sim->all("$people?per_page=100&include=emails,households");
my ($keep, $remove, $third) = map { $_->{id} }
  (grep { @{ $_->{relationships}{emails}{data} } && @{ $_->{relationships}{households}{data} } } @all)[ 10, 20, 30 ];
my %children = map { $_ => [ $sim->ids("$people/$remove/$_") ] } qw(emails phone_numbers addresses field_data);
my @kept = $sim->ids("$people/$keep/emails");
my $child = record(Email => $children{emails}[0]);
my $merger = $sim->post("merge?org=org1&keep=$keep&remove=$remove&at=2025-10-01T00:00:00Z")->{merger};
is($sim->get("$people/$remove")->{status}, 404, 'the removed person is gone');
is_deeply([ sort($sim->ids("$people/$keep/emails")) ], [ sort(@kept, @{ $children{emails} }) ], 'children moved, ids kept');
my $moved = record(Email => $children{emails}[0]);
is($moved->{updated_at}, $child->{updated_at}, 'updated_at not touched');
my @primary = grep { $_->{attributes}{primary} } @{ $sim->list("$people/$keep/emails")->{data} };
is(scalar @primary, 1, 'one address is primary');
my $row = $sim->get("/people/v2/person_mergers/$merger")->{json}{data};
is($row->{attributes}{person_to_keep_id}, $keep, 'merger: kept');
is($row->{relationships}{person_to_remove}{data}{id}, $remove, 'merger: removed');
is($row->{attributes}{created_at}, '2025-10-01T00:00:00Z', 'merger: when');
is_deeply([ $sim->ids("/people/v2/person_mergers?where[person_to_remove_id]=$remove") ], [$merger], 'merger: found by the removed id');
my @families = $sim->ids("$people/$keep/households");
is(scalar(uniq(@families)), scalar @families, 'in each household once');
my $second = $sim->post("merge?org=org1&keep=$third&remove=$keep&at=2025-10-01T00:00:00Z")->{merger};
is(($sim->ids('/people/v2/person_mergers?order=-created_at&per_page=2'))[0], $merger, 'a chain within one second, ties by id');
is($sim->request('POST', "/_sim/mutate?org=org1&entity=Person&op=restore&id=$keep")->{status}, 400, 'no way back from a merge');

# A demoted primary address
my ($first) = grep { $_->{attributes}{primary} } @{ $sim->list('/people/v2/emails')->{data} };
$before = record(Email => $first->{id});
my $promoted = $sim->post("demote_email?org=org1&id=$first->{id}")->{promoted};
$after = record(Email => $first->{id});
ok(!$after->{attributes}{primary}, 'demoted');
is($after->{updated_at}, $before->{updated_at}, 'without moving updated_at');
ok(record(Email => $promoted)->{attributes}{primary}, 'another one is primary');
cmp_ok(record(Email => $promoted)->{updated_at}, 'gt', '2025-11', 'and stamped');

# Changes between pages
my $start = total($people);
$sim->post('while_paging?org=org1&entity=Person&every=2&insert=3&update=1&delete=1&times=2');
$sim->ids("$people?per_page=10&order=updated_at");
is(record(Person => $new)->{deleted} ? 1 : 0, 0, 'nothing after the first page');
my @totals = map { $sim->list("$people?per_page=10&order=updated_at&offset=$_")->{meta}{total_count} } 10, 20, 30, 40, 50;
is_deeply([ map { $_ - $start } @totals ], [ 0, 2, 2, 4, 4 ], 'changes after every second page, two times');
$sim->post('while_paging?org=org1&entity=Person&times=0');

# An order that follows mutations equals one sorted afresh
mutate('entity=Person&op=update&count=40');
mutate('entity=Person&op=delete&count=20');
mutate('entity=Person&op=insert&count=30');
my @kept_up = map { $_->{id} } $sim->all("$people?per_page=100&order=-last_name,updated_at");
my %truth = map { $_->{id} => 1 } $sim->oracle('Person', 'id');
is(scalar(grep { !$truth{$_} } @kept_up), 0, 'no deleted record in a list');
is(scalar(uniq(@kept_up)), scalar keys %truth, 'every live one is');

# A lagging replica
my ($fresh) = @{ mutate('entity=Person&op=insert') };
my ($gone) = @{ mutate('entity=Person&op=delete') };
my ($changed) = @{ mutate('entity=Person&op=update&attr=nickname&value=New&at=2025-11-01T00:00:00Z') };
$sim->post('fault?path=/people/v2&kind=stale&count=0');
is($sim->get("$people/$fresh")->{status}, 404, 'stale: a new record is not there yet');
is($sim->get("$people/$gone")->{status}, 200, 'stale: a deleted one still is');
isnt($sim->get("$people/$changed")->{json}{data}{attributes}{nickname} // '', 'New', 'stale: a changed one is old');
ok(!(grep { $_ eq $changed } $sim->ids("$people?where[updated_at][gte]=2025-11-01T00:00:00Z&order=updated_at&per_page=100")),
	'stale: lists are consistent with what they show');
$sim->post('fault/clear');
is($sim->get("$people/$changed")->{json}{data}{attributes}{nickname}, 'New', 'and then it catches up');
is($sim->stop, 0, 'clean exit');
done_testing();
