# Rows are inserted, edited and deleted while their list is being read.  No row
# that was there throughout is missed, however the lists move under the reader.

use strict;
use warnings FATAL => 'all';

use List::Util qw(uniq);
use SyncEngineTest;

my $repeat = $ENV{SYNC_ENGINE_REPEAT} // 1;

# More than the 20,000 rows after which a reader moves on to a filtered list.
my $people = 21_000;

# After every page so many rows come, change and go.  A storm blows over in the
# end: edits come again at the end of a list, and nobody could ever get there if
# they came faster than pages.
my @storms = (
	{ insert => 3, update => 5, delete => 1 },
	{ insert => 1, update => 12, delete => 3 },
	{ insert => 6, update => 30, delete => 0 });
my $storm_pages = 500;

# By updated_at, by updated_at, by offset, by created_at.
my @entities = qw(Person Email Address PersonMerger);

# Without more of them there would be two pages.
my $mergers = 3_000;

# So that a storm that did not blow is noticed.
my $least_changes = 30;

my $node = new_cluster();

sub sql
{
	return $node->safe_psql('sync', $_[0]);
}

# true_ids: what the organisation has now.
sub true_ids
{
	my ($simulator, $org, $entity) = @_;

	return { map { $_ => 1 } split /\n/, $simulator->get('oracle', org => $org, entity => $entity, columns => 'id') };
}

# stored_ids: what the table has of it.
sub stored_ids
{
	my ($org, $entity) = @_;

	return { map { $_ => 1 } split /\n/,
		sql(sprintf q{SELECT id FROM %s WHERE org = '%s'}, SyncEngineTest::data_table($entity), $org) };
}

# missing_from: keys of one set that another has not.
sub missing_from
{
	my ($set, @wanted) = @_;

	return [ sort grep { !$set->{$_} } @wanted ];
}

# sync: a full sync of one entity, which must succeed and add up.
sub sync
{
	my ($org, $entity, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is( sql(qq{SELECT status, fetched = inserted + updated + unchanged, dead_lettered, error
			FROM sync_run('$org', ARRAY['$entity'], 'full')}),
		'succeeded|t|0|',
		"$name: succeeds, and the counters add up");
	return;
}

# strategy_note: why an entity is not read as the manifest says.
sub strategy_note
{
	my ($org, $entity) = @_;

	return sql("SELECT strategy_note FROM sync_status WHERE (org, entity) = ('$org', '$entity')");
}

# ---- storms --------------------------------------------------------------

for my $seed (1 .. 3 * $repeat)
{
	my $storm = $storms[ $seed % @storms ];
	my $org = "org$seed";
	my $simulator = start_simulator(seed => $seed, people => $people, rate_limit => 0, latency => 3);

	$simulator->post('org', org => $org, people => $people, seed => $seed);
	$simulator->post('mutate', org => $org, entity => 'PersonMerger', op => 'insert', count => $mergers);
	connect_org($node, $simulator, $org);

	for my $entity (@entities)
	{
		my $name = "$entity, storm $seed";
		my $before = true_ids($simulator, $org, $entity);

		$simulator->post('while_paging', org => $org, entity => $entity, every => 1, times => $storm_pages, %$storm);
		sync($org, $entity, $name);
		$simulator->post('while_paging', org => $org, entity => $entity, times => 0);

		my $after = true_ids($simulator, $org, $entity);
		my $stored = stored_ids($org, $entity);
		my $gone = missing_from($after, keys %$before);
		my $come = missing_from($before, keys %$after);

		cmp_ok(scalar @$gone, '>=', $least_changes, "$name: rows went meanwhile") if $storm->{delete};
		cmp_ok(scalar @$come, '>=', $least_changes, "$name: rows came meanwhile") if $storm->{insert};
		is_deeply(missing_from($stored, grep { $after->{$_} } keys %$before),
			[], "$name: no row that was there throughout is missed");

		sync($org, $entity, "$name, then quiet");

		# A full sync does not delete.
		my $left = missing_from($after, keys %{ stored_ids($org, $entity) });
		my @unknown = grep { !$simulator->get('record', org => $org, entity => $entity, id => $_)->{deleted} } @$left;
		is_deeply(\@unknown, [], "$name, then quiet: only rows that were deleted are left over");
		sql(sprintf q{DELETE FROM %s WHERE org = '%s' AND id = ANY ('{%s}')},
			SyncEngineTest::data_table($entity), $org, join ',', @$left);
		is_equal_to_oracle($node, $simulator, $org, $entity, "$name, then quiet: equal");
	}
	ok($simulator->stop, "storm $seed: the simulator is well");
}

# ---- many rows of the same second ----------------------------------------

my $simulator = start_simulator(people => $people, rate_limit => 0);
connect_org($node, $simulator, 'org1');

# Across the place where the reader moves on to a filtered list.
$simulator->post('org', org => 'ties', people => $people);
connect_org($node, $simulator, 'ties');
my @stamps = sort map { (split /\t/)[1] } split /\n/,
  $simulator->get('oracle', org => 'ties', entity => 'Person', columns => 'id,updated_at');
my $second = $stamps[20_200] =~ s/ /T/r =~ s/\+00$/Z/r;
$simulator->post('mutate', org => 'ties', entity => 'Person', op => 'touch', count => 600, at => $second);
@stamps = sort map { (split /\t/)[1] } split /\n/,
  $simulator->get('oracle', org => 'ties', entity => 'Person', columns => 'id,updated_at');
is(scalar(uniq @stamps[ 19_950 .. 20_050 ]), 1, 'a second has more rows than a page, where the reader moves on');
sync('ties', 'Person', 'ties across the move');
is_equal_to_oracle($node, $simulator, 'ties', 'Person', 'ties across the move: equal');

# More rows than the reader wants to leave behind.
$simulator->post('org', org => 'import', people => $people);
connect_org($node, $simulator, 'import');
$simulator->post('mutate', org => 'import', entity => 'Person', op => 'touch', count => 20_500, at => '2024-02-29T12:00:00Z');
sync('import', 'Person', 'an import within one second');
is_equal_to_oracle($node, $simulator, 'import', 'Person', 'an import within one second: equal');

# ---- a server that does not do what it is asked --------------------------

for my $key (qw(order where))
{
	my $org = "no_$key";
	my $what = { order => 'order', where => 'filter' }->{$key};

	$simulator->post('org', org => $org, people => $people);
	connect_org($node, $simulator, $org);
	$simulator->post('ignore', org => $org, entity => 'Person', key => $key, on => 1);
	sync($org, 'Person', "the $what is ignored");
	is(strategy_note($org, 'Person'), "read by plain offsets: the server ignores the $what", "the $what is ignored: the status says so");
	is_equal_to_oracle($node, $simulator, $org, 'Person', "the $what is ignored: equal");
}
is(strategy_note('ties', 'Person'), '', 'where all is well there is no such note');

unlike(server_log($node), qr/WARNING|ERROR|PANIC/, 'the log has no complaint');

done_testing();
