# A whole organisation of 20,000 people: complete, cheap to repeat, exact about
# what changed, and untroubled by what its user does to the tables.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;

my $people = 20_000;

# What the entities are called, and the lists whose pages have 99 new rows each.
my @lists = qw(Person Email PhoneNumber Address Household Campus MaritalStatus
  NamePrefix Tab FieldDefinition FieldDatum PersonMerger);
my @entities = (@lists, 'HouseholdMembership');

# The journal of an unchanged page: the job's row and the end of a transaction.
my $wal_per_page = 1024;

my $simulator = start_simulator(people => $people, rate_limit => 0);
my $node = new_cluster(
	conf => {
		# Neither may write into the journal while it is measured.
		autovacuum => 'off',
		checkpoint_timeout => '1h',
		max_wal_size => '4GB',
	});
connect_org($node, $simulator, 'org1');

# sql: the result of a statement, columns separated by |.
sub sql
{
	return $node->safe_psql('sync', $_[0]);
}

# run: sync and wait; result rows by entity.
sub run
{
	my @wanted = @_;
	my $names = join ',', map { "'$_'" } @wanted;
	my @columns = qw(run_id product entity mode status fetched inserted updated unchanged deleted dead_lettered requests error);
	my %result;

	for my $line (split /\n/, sql(sprintf q{SELECT %s FROM sync_run('org1', ARRAY[%s], 'full')}, join(',', @columns), $names))
	{
		my %row;

		@row{@columns} = split /\|/, $line, -1;
		$result{ $row{entity} } = \%row;
	}
	return \%result;
}

# table_of: the data table of an entity.
sub table_of
{
	return SyncEngineTest::data_table($_[0]);
}

# true_count: how many rows the organisation really has.
sub true_count
{
	return (split / /, $simulator->get('oracle/digest', org => 'org1', entity => $_[0]))[0];
}

# versions: which version of which row is where, to see if one was written.
sub versions
{
	return join ' ', map {
		sql(sprintf q{SELECT count(*), md5(string_agg(concat(id, ctid, xmin), ',' ORDER BY id)) FROM %s}, table_of($_))
	} @entities;
}

# counts: fetched/inserted/updated/unchanged/deleted/dead_lettered of a result row.
sub counts
{
	my ($row) = @_;

	return join '/', @$row{qw(fetched inserted updated unchanged deleted dead_lettered)};
}

# changed_by: the ids that a run wrote.
sub changed_by
{
	my ($entity, $run_id) = @_;

	return [ split /\n/, sql(sprintf 'SELECT id FROM %s WHERE _run_id = %d ORDER BY id', table_of($entity), $run_id) ];
}

# are_equal_to_oracle: one test for each entity.
sub are_equal_to_oracle
{
	my ($name, @which) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is_equal_to_oracle($node, $simulator, 'org1', $_, "$_: $name") for @which;
	return;
}

# ---- the first sync ------------------------------------------------------

my $first = run(@entities);
my %truth = map { $_ => true_count($_) } @entities;

is_deeply([ sort keys %$first ], [ sort @entities ], 'one result row for each entity');
cmp_ok($truth{Person}, '==', $people, 'as many people as were asked for');
for my $entity (@entities)
{
	my $row = $first->{$entity};

	is($row->{status}, 'succeeded', "$entity: succeeded");
	is(counts($row), "$truth{$entity}/$truth{$entity}/0/0/0/0", "$entity: every record is fetched once, and inserted");
	is("$row->{product} $row->{mode} $row->{error}", 'people full ', "$entity: product, mode, and no error");
}
are_equal_to_oracle('the table is what the organisation has', @entities);
is(sql('SELECT count(*) FROM sync_dead_letters'), '0', 'there are no dead letters');

is(sql(q{SELECT * FROM sync_run('org1') \gdesc}), <<~'COLUMNS' =~ s/\n\z//r, 'the columns of sync_run are in their order');
	run_id|bigint
	product|text
	entity|text
	mode|text
	status|text
	fetched|bigint
	inserted|bigint
	updated|bigint
	unchanged|bigint
	deleted|bigint
	dead_lettered|bigint
	requests|bigint
	duration|interval
	error|text
	COLUMNS

# A plan made while the table was empty must not read all of it for each page.
wait_for(sub { sql(q{SELECT n_tup_ins >= } . $people . q{ FROM pg_stat_all_tables WHERE relid = 'pco_people.person'::regclass}) eq 't' },
	60, 'the lanes have reported their statistics');
is(sql(qq{SELECT idx_tup_read < 2 * $people FROM pg_stat_all_indexes WHERE indexrelid = 'pco_people.person_pkey'::regclass}),
	't', 'looking records up reads no more than them');

# ---- what the views say of it --------------------------------------------

my $run_id = $first->{Person}{run_id};

for my $entity (@entities)
{
	my $row = $first->{$entity};

	is( sql(qq{SELECT status, fetched, inserted, requests, expected IS NULL OR expected = fetched, duration > '0'
			FROM sync_jobs WHERE run_id = $run_id AND entity = '$entity'}),
		"succeeded|$row->{fetched}|$row->{inserted}|$row->{requests}|t|t",
		"$entity: sync_jobs agrees with the result");
	is( sql(qq{SELECT status, rows, last_success_at <= now(), lag >= '0', next, strategy_note IS NULL, error IS NULL
			FROM sync_status WHERE (org, entity) = ('org1', '$entity')}),
		"succeeded|$truth{$entity}|t|t|on request|t|t",
		"$entity: sync_status agrees with the table");
	is( sql(qq{SELECT a.kind, a.status, a.detail = j.pages || ' pages' FROM sync_activities a JOIN sync_jobs j USING (job_id)
			WHERE a.run_id = $run_id AND a.entity = '$entity'}),
		'sync_page|succeeded|t',
		"$entity: its pages are one activity, with nothing retried");
}
is( sql(qq{SELECT status, jobs, fetched = inserted, dead_lettered, finished_at >= started_at, error IS NULL,
		(fetched, requests) = (SELECT sum(fetched), sum(requests) FROM sync_jobs WHERE run_id = $run_id)
		FROM sync_runs WHERE run_id = $run_id}),
	'succeeded|13|t|0|t|t|t',
	'sync_runs sums it up');
is(sql(qq{SELECT string_agg(kind || ' ' || status, ', ' ORDER BY activity_id) FROM sync_activities WHERE run_id = $run_id AND job_id IS NULL}),
	'load_manifest succeeded, build_dependency_graph succeeded, create_jobs succeeded, update_status succeeded',
	'sync_activities has the steps of the run');
is(sql('SELECT count(*) FROM sync_progress'), '0', 'sync_progress shows nothing when nothing runs');

# ---- again, with nothing changed -----------------------------------------

# The first of these pays for the journal's full page images.
$node->safe_psql('postgres', 'CHECKPOINT');
my $warm_up = run(@entities);
my $before = versions();
my $lsn = sql('SELECT pg_current_wal_insert_lsn()');
my $again = run(@entities);
my $wal = sql("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '$lsn')");
my $pages = sql("SELECT sum(pages) FROM sync_jobs WHERE run_id = $again->{Person}{run_id}");

is(counts($again->{$_}), "$truth{$_}/0/0/$truth{$_}/0/0", "$_: again, all is unchanged") for @entities;
is(versions(), $before, 'no row was written');
cmp_ok($pages, '>', $people / 100, 'the measured run read its pages');
cmp_ok($wal, '<', $pages * $wal_per_page, 'an unchanged page costs next to no journal');
note(sprintf '%d bytes for %d pages', $wal, $pages);

# ---- exactly what changed ------------------------------------------------

my %updated = (
	Person => $simulator->post('mutate', org => 'org1', entity => 'Person', op => 'update', count => 7),
	Email => $simulator->post('mutate', org => 'org1', entity => 'Email', op => 'update', count => 3),
	# The API does not stamp every change; the content tells.
	Address => $simulator->post('mutate', org => 'org1', entity => 'Address', op => 'update', count => 4, stamp => 0),
	PhoneNumber => []);
my %inserted = (
	Email => $simulator->post('mutate', org => 'org1', entity => 'Email', op => 'insert', count => 2));
my $changed = run(sort keys %updated);

for my $entity (sort keys %updated)
{
	my @new = @{ $inserted{$entity} // [] };
	my @old = @{ $updated{$entity} };
	my $all = true_count($entity);

	is(counts($changed->{$entity}), join('/', $all, scalar @new, scalar @old, $all - @new - @old, 0, 0), "$entity: counts what changed");
	is_deeply(changed_by($entity, $changed->{$entity}{run_id}), [ sort @new, @old ], "$entity: writes those rows and no others");
}
are_equal_to_oracle('equal after the changes', sort keys %updated);

# ---- the table is its user's ---------------------------------------------

sql('DROP TABLE pco_people.email CASCADE');
my $anew = run('Email');
my $emails = true_count('Email');
is(counts($anew->{Email}), "$emails/$emails/0/0/0/0", 'a dropped table is filled anew');
are_equal_to_oracle('complete after it was dropped', 'Email');
is(sql('SELECT count(*) FROM pco.email'), $emails, 'its view is back');
is(sql(q{SELECT rows FROM sync_status WHERE entity = 'Email'}), $emails, 'sync_status counts its rows from nought');

# One page does not come before the table is dropped.
$simulator->post('fault', path => '/people/v2/emails', contains => 'offset=7920', kind => 'hang', count => 0);
my $interrupted = sql(q{SELECT sync_start('org1', ARRAY['Email'], 'full')});
wait_for(
	sub {
		sql("SELECT fetched = 7921 AND percent BETWEEN 20 AND 80 AND in_flight <= 32 AND requests >= in_flight AND status = 'running'
			FROM sync_progress WHERE (run_id, entity) = ($interrupted, 'Email')") eq 't';
	},
	60,
	'sync_progress shows the run half way');
my $fetched = sql("SELECT fetched FROM sync_jobs WHERE run_id = $interrupted");
sql('DROP TABLE pco_people.email CASCADE');
$simulator->post('fault/clear');
is(sql("SELECT sync_wait($interrupted, '60s')"), 'succeeded', 'a run whose table is dropped goes on');
are_equal_to_oracle('complete after it was dropped in the middle', 'Email');
is( sql("SELECT inserted = fetched - unchanged AND fetched BETWEEN $emails + $fetched AND 2 * $emails
		FROM sync_jobs WHERE run_id = $interrupted"),
	't',
	'what was read into the dropped table was read again');

sql(q{ALTER TABLE pco_people.person ADD COLUMN note text;
	UPDATE pco_people.person SET note = 'mine ' || id});
my $touched = $simulator->post('mutate', org => 'org1', entity => 'Person', op => 'update', count => 5);
is(counts(run('Person')->{Person}), sprintf('%d/0/5/%d/0/0', $people, $people - 5), "a column of the user's own changes nothing");
is(sql(q{SELECT count(*) FROM pco_people.person WHERE note = 'mine ' || id}), $people, 'and keeps its values');
are_equal_to_oracle("equal beside a column of the user's own", 'Person');

sql('ALTER TABLE pco_people.person DROP COLUMN first_name CASCADE');
is(counts(run('Person')->{Person}), "$people/0/$people/0/0/0", 'a dropped column makes every record be written');
are_equal_to_oracle('equal after a column was dropped', 'Person');
is(sql('SELECT count(first_name) FROM pco.person'), $people, 'the view has the column again');
is(counts(run('Person')->{Person}), "$people/0/0/$people/0/0", 'but only once');

unlike(server_log($node), qr/WARNING|ERROR|PANIC|sync_engine: .* failed/, 'the log has no complaint');

done_testing();
