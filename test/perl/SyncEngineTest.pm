
=pod

=head1 NAME

SyncEngineTest - clusters, API simulators and comparisons for TAP tests

=head1 SYNOPSIS

  use SyncEngineTest;

  my $sim = start_simulator(orgs => 2, people => 500);
  my $node = new_cluster(conf => { 'sync_engine.max_workers' => 2 });

  connect_org($node, $sim, 'org1', delete_behaviour => 'hard');
  my $run = start_sync($node, 'org1', ['Person']);
  run_ends($node, $run, 'succeeded', 60, 'first sync');
  is_equal_to_oracle($node, $sim, 'org1', 'Person', 'first sync');

  $sim->post('mutate', org => 'org1', entity => 'Person', op => 'update', count => 3);
  wait_for(sub { $sim->stats->{requests} > 10 }, 30, 'the engine asks again');

  done_testing();

=head1 DESCRIPTION

Built on PostgreSQL::Test::Cluster and run by C<scripts/check tap FILE>, which
sets the environment up.  Clusters and simulators end with the test.  Waiting is
always for a condition: nothing here sleeps for a fixed time.

This file has clusters and comparisons; SyncEngineTest::Simulator has the
simulator's handle, SyncEngineTest::Crowd what is done with many organisations
at once.

=cut

package SyncEngineTest;

use strict;
use warnings FATAL => 'all';

use Exporter qw(import);
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils ();
use SyncEngineTest::Simulator;
use Test::More;
use Time::HiRes qw(usleep);

# Test::More's functions come along, so that a test needs one "use" only.
our @EXPORT = (
	@Test::More::EXPORT, qw(
	  start_simulator new_cluster create_database connect_org connect_org_in server_of record_count
	  safe_psql psql_if_up start_sync run_ends jobs_of row_versions
	  is_equal_to_oracle is_complete wait_for has_fetched
	  lane_pids launcher_pid kill_lane_of background_psql tolerant_session ask server_log logged
	  note_server_of compared_columns data_table));

# The database of each cluster.
my $database = 'sync';

# How many differing values a failed comparison shows.
my $differences_shown = 10;

# Short enough not to be felt, long enough not to be a load.
my $poll_interval_us = 50_000;

# What a run does next, or a server that has lost a lane, takes seconds at most.
my $patience_s = 60;

# Where each organisation of each cluster was connected to.
my %server_of;

=pod

=head1 FUNCTIONS

=over

=item start_simulator(%options)

Start an API simulator on a free port.  Options are those of its command line,
with underscores: C<< people => 500, rate_limit => 0 >>.  See
L<SyncEngineTest::Simulator> for what it returns.

=cut

sub start_simulator
{
	return SyncEngineTest::Simulator->new(@_);
}

=pod

=item new_cluster(%options)

A started cluster that has the extension in its database C<sync>.  Options:
C<name> (main), C<conf> (a hash of settings, which replace those here), C<init>
(a hash of parameters of C<< PostgreSQL::Test::Cluster->init >>),
C<create_extension> (1).

=cut

sub new_cluster
{
	my (%options) = @_;
	my $node = PostgreSQL::Test::Cluster->new($options{name} // 'main');
	my %conf = (
		shared_preload_libraries    => 'sync_engine',
		'sync_engine.allowed_hosts' => 'http://127.0.0.1:*',
		max_worker_processes        => 24,
		max_wal_size                => '128MB',
		timezone                    => 'UTC',
		# A crash is there to be recovered from, not to end the test.
		restart_after_crash => 'on',
		# Credentials are arguments of statements: a log that has all
		# statements could not be searched for leaks.
		log_statement => 'none',
		%{ $options{conf} // {} });

	$node->init(
		extra => [ '--encoding=UTF8', '--locale=C.UTF-8' ],
		%{ $options{init} // {} });
	$node->append_conf('postgresql.conf', "$_ = " . quote($conf{$_}))
	  for sort keys %conf;
	$node->start;
	if ($options{create_extension} // 1)
	{
		create_database($node, $database);
	}
	else
	{
		$node->safe_psql('postgres', "CREATE DATABASE $database");
	}
	return $node;
}

=pod

=item connect_org($node, $simulator, $org, %options)

C<sync_connect> with the token that the simulator gives the organisation;
C<%options> are its C<options>.  Returns the organisation.

=cut

sub connect_org
{
	my ($node, @arguments) = @_;

	return connect_org_in($node, $database, @arguments);
}

=pod

=item create_database($node, $name), connect_org_in($node, $name, $simulator, $org, %options)

Another database that has the extension, and C<connect_org> there.

=cut

sub create_database
{
	my ($node, $name) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql($name, 'CREATE EXTENSION sync_engine');
	return $name;
}

sub connect_org_in
{
	my ($node, $name, $simulator, $org, %options) = @_;
	my @arguments = map { quote($_) } $org, "$org-client", "$org-secret";
	my $options = JSON::PP->new->canonical->encode(\%options);

	$node->safe_psql(
		$name,
		sprintf('SELECT sync_connect(%s, base_url => %s, options => %s)',
			join(', ', @arguments), quote($simulator->url),
			quote($options)));
	note_server_of($node, $simulator, $org);
	return $org;
}

=pod

=item note_server_of($node, $simulator, @orgs)

For what connects organisations by other means than C<connect_org>: that their
simulator is this one.

=cut

sub note_server_of
{
	my ($node, $simulator, @orgs) = @_;

	$server_of{ $node->name }{$_} = $simulator for @orgs;
	return;
}

=pod

=item server_of($node, $org)

The simulator to which the organisation was connected last.

=cut

sub server_of
{
	my ($node, $org) = @_;

	return $server_of{ $node->name }{$org};
}

=pod

=item record_count($node, $org, $entity)

How many records of the entity its simulator has for the organisation.

=cut

sub record_count
{
	my ($node, $org, $entity) = @_;
	my ($count) = split / /, server_of($node, $org)->get('oracle/digest', org => $org, entity => $entity);

	return $count;
}

=pod

=item safe_psql($node, $sql)

C<< PostgreSQL::Test::Cluster->safe_psql >> in the database: what psql shows, with
C<|> between columns and a line for each row; dies of an error.

=cut

sub safe_psql
{
	my ($node, $sql) = @_;

	return $node->safe_psql($database, $sql);
}

=pod

=item psql_if_up($node, $sql)

The same, but empty if that fails, as it does while the server is not there.

=cut

sub psql_if_up
{
	my ($node, $sql) = @_;

	# psql may be gone before it was told what to ask.
	my ($status, $out) = eval { $node->psql($database, $sql) };

	return defined $status && $status == 0 ? $out : '';
}

=pod

=item start_sync($node, $org, \@entities, %options)

C<sync_start>, whose other arguments are the options, by name; returns the id of
the run.  It reads everything unless C<mode> says otherwise.

=cut

sub start_sync
{
	my ($node, $org, $entities, %options) = (@_[0 .. 2], mode => 'full', @_[3 .. $#_]);
	my $list = join ', ', map { quote($_) } @$entities;
	my @options = map { "$_ => " . quote($options{$_}) } sort keys %options;

	return safe_psql($node, sprintf 'SELECT sync_start(%s)', join ', ', quote($org), "ARRAY[$list]", @options);
}

=pod

=item run_ends($node, $run, $status, $timeout, $name)

Test that the run ends within so many seconds, and with which status; a failure
shows those of its jobs that did not succeed.

=cut

sub run_ends
{
	my ($node, $run, $status, $timeout, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return is(safe_psql($node, "SELECT sync_wait($run, '$timeout s')"), $status, $name)
	  || diag(
		safe_psql(
			$node, "SELECT product, entity, status, via, sqlstate, error FROM sync_jobs
			WHERE run_id = $run AND status <> 'succeeded'"));
}

=pod

=item jobs_of($node, $run, $columns)

A hash of the run's jobs: the columns of C<sync_jobs>, as psql shows them, by
entity.

=cut

sub jobs_of
{
	my ($node, $run, $columns) = @_;

	return { map { split /\|/, $_, 2 } split /\n/,
		safe_psql($node, "SELECT entity, $columns FROM sync_jobs WHERE run_id = $run") };
}

=pod

=item row_versions($node, $org, @entities)

Which version of which row is where in the organisation's data: if it is the
same again, nothing was written meanwhile.

=cut

sub row_versions
{
	my ($node, $org, @entities) = @_;

	return join ' ', map {
		safe_psql($node,
			sprintf q{SELECT md5(string_agg(concat_ws(',', id, xmin, ctid), ' ' ORDER BY id)) FROM %s WHERE org = %s},
			data_table($_), quote($org))
	} @entities;
}

=pod

=item is_equal_to_oracle($node, $simulator, $org, $entity, $name, %options)

Test that the live rows of the entity's data table are exactly what the
simulator says is true, no row more, none less, in every column but those that
the API sends only when asked by name, those that are never stored, and those in
C<< except => [...] >>.  A comparison with nothing fails unless
C<< allow_empty => 1 >>; C<< database => ... >> looks into another one.  Returns the result; a failure shows the first values
that differ.

C<$entity> is as in SQL: C<Person>, C<giving.Donation>.

=cut

sub is_equal_to_oracle
{
	my ($node, $simulator, $org, $entity, $name, %options) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	my $compared = $options{database} // $database;
	my %left_out = map { $_ => 1 } @{ $options{except} // [] };
	my @columns = grep { !$left_out{ $_->[0] } } compared_columns($node, $simulator, $entity, $compared);
	my $copy = $simulator->get(
		'oracle',
		org     => $org,
		entity  => $entity,
		columns => join(',', map { $_->[0] } @columns));
	my $rows = () = $copy =~ /\n/g;

	# psql reads a file by itself, faster than a pipe could be fed.
	my $file = PostgreSQL::Test::Utils::tempdir() . '/oracle';
	PostgreSQL::Test::Utils::append_to_file($file, $copy);

	my $definition = join ', ', map { "\"$_->[0]\" $_->[1]" } @columns;
	my $list = join ', ', map { "\"$_->[0]\"" } @columns;
	my $table = data_table($entity);
	my $live = "SELECT $list FROM $table WHERE org = "
	  . quote($org)
	  . ' AND _deleted_at IS NULL';

	my $load = <<~"SQL";
		SET client_min_messages = warning;
		CREATE TEMP TABLE oracle ($definition);
		\\copy oracle FROM '$file'
		CREATE TEMP TABLE data AS $live;
		SQL
	my ($status, $differing, $error) = $node->psql($compared, <<~"SQL");
		$load
		SELECT (SELECT count(*) FROM (TABLE data EXCEPT ALL TABLE oracle) _)
			+ (SELECT count(*) FROM (TABLE oracle EXCEPT ALL TABLE data) _);
		SQL

	return fail_with($name, $error) if $status != 0;
	return pass($name) if $differing eq '0' && ($rows > 0 || $options{allow_empty});
	return fail_with($name, "nothing to compare: there is no $entity")
	  if $differing eq '0';

	# Rows as JSON make a value of each column, whatever its type.
	my $shown = $node->safe_psql($compared, <<~"SQL");
		$load
		WITH data_value AS (
			SELECT id, v.* FROM data d, jsonb_each_text(to_jsonb(d)) v
		), oracle_value AS (
			SELECT id, v.* FROM oracle o, jsonb_each_text(to_jsonb(o)) v
		)
		SELECT format('%s rows, should be %s', (SELECT count(*) FROM data), (SELECT count(*) FROM oracle))
		UNION ALL
		(SELECT CASE WHEN d.id IS NULL THEN format('id %s is missing', o.id)
				WHEN o.id IS NULL THEN format('id %s is too much', d.id)
				ELSE format('id %s, %s: %s, should be %s', id, key,
					coalesce(quote_literal(d.value), 'NULL'), coalesce(quote_literal(o.value), 'NULL'))
			END
		FROM data_value d FULL JOIN oracle_value o USING (id, key)
		WHERE d.value IS DISTINCT FROM o.value
			AND (key = 'id' OR (d.id IS NOT NULL AND o.id IS NOT NULL))
		ORDER BY id, key
		LIMIT $differences_shown);
		SQL
	return fail_with($name, $shown);
}

=pod

=item compared_columns($node, $simulator, $entity, $database)

The columns that data table and oracle have in common, each with its name and
SQL type: all but those that the API sends only when asked by name, and those
that are never stored.

=cut

sub compared_columns
{
	my ($node, $simulator, $entity, $compared) = @_;
	my ($product, $type) = split_name($entity);
	my %left_out = map { $_ => 1 } split /\n/, $node->safe_psql(
		$compared // $database,
		"SELECT attribute FROM sync_engine.attribute
		WHERE (product, entity) = ('$product', '$type') AND (fields_only OR privacy = 'drop')");

	return grep { !$left_out{ $_->[0] } } map { [ split /\t/ ] } split /\n/,
	  $simulator->get('oracle/columns', entity => $entity);
}

=pod

=item is_complete($node, $org, $name, @entities)

C<is_equal_to_oracle> for each of the entities, with the organisation's
simulator.

=cut

sub is_complete
{
	my ($node, $org, $name, @entities) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is_equal_to_oracle($node, server_of($node, $org), $org, $_, "$name: $_ is complete") for @entities;
	return;
}

=pod

=item wait_for($condition, $timeout, $name)

Test that the sub becomes true within so many seconds; look often.  Returns the
true value, or nothing.

=cut

sub wait_for
{
	my ($condition, $timeout, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $end = Time::HiRes::time() + $timeout;

	while (1)
	{
		my $value = $condition->();

		if ($value)
		{
			pass($name);
			return $value;
		}
		last if Time::HiRes::time() > $end;
		usleep($poll_interval_us);
	}
	fail_with($name, "not within $timeout s");
	return;
}

=pod

=item has_fetched($node, $run, $entity, $number)

Test that the run's job for the entity comes to have so many records, even if
the server goes away meanwhile.

=cut

sub has_fetched
{
	my ($node, $run, $entity, $number) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return wait_for(
		sub {
			psql_if_up($node, "SELECT fetched >= $number FROM sync_jobs WHERE run_id = $run AND entity = '$entity'") eq 't';
		},
		$patience_s,
		"run $run has $number records of $entity");
}

=pod

=item lane_pids($node, $name)

The process ids of the lanes at work, in order: all, or those in one database.

=cut

sub lane_pids
{
	my ($node, $name) = @_;
	my $there = defined $name ? 'AND datname = ' . quote($name) : '';

	return split /\n/, $node->safe_psql('postgres',
		qq{SELECT pid FROM pg_stat_activity WHERE backend_type = 'sync_engine lane' $there ORDER BY pid});
}

=pod

=item launcher_pid($node)

The process id of the launcher; empty while there is none.

=cut

sub launcher_pid
{
	my ($node) = @_;

	return $node->safe_psql('postgres',
		q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'sync_engine launcher'});
}

=pod

=item kill_lane_of($node, $run, $entity, $name)

Kill the lane that works on the run's job for the entity, as soon as one does, and wait until all
sessions have ended with it.  Returns when it was killed, in seconds.

=cut

sub kill_lane_of
{
	my ($node, $run, $entity, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	# after a crash it may not have one again yet
	my $lane = wait_for(
		sub { psql_if_up($node, "SELECT lane_pid FROM sync_progress WHERE run_id = $run AND entity = '$entity'") },
		$patience_s,
		"$name is at work");
	my $killed_at = Time::HiRes::time();

	is(kill(KILL => $lane), 1, "$name is killed");
	wait_for(
		sub { psql_if_up($node, "SELECT count(*) FROM pg_stat_activity WHERE pid = $lane") eq '0' },
		$patience_s,
		"$name: the server has recovered from it");
	return $killed_at;
}

=pod

=item background_psql($node, %parameters)

A session in the database that goes on while the test does other things: a
PostgreSQL::Test::BackgroundPsql.

=cut

sub background_psql
{
	my ($node, %parameters) = @_;

	return $node->background_psql($database, %parameters);
}

=pod

=item tolerant_session($node), ask($session, $sql)

A session that goes on after errors; and the answer to SQL in such a one: what
it returns, and the errors and notices, with their SQLSTATEs.

=cut

sub tolerant_session
{
	my ($node) = @_;
	my $session = background_psql($node, on_error_stop => 0);

	$session->query(q{\set VERBOSITY verbose});
	$session->query('SET client_min_messages = warning');
	return $session;
}

sub ask
{
	my ($session, $sql) = @_;

	$session->{stderr} = '';
	my $output = $session->query($sql);
	return ($output, $session->{stderr});
}

=pod

=item data_table($entity)

Where its rows are: C<PhoneNumber> in C<pco_people.phone_number>.

=cut

sub data_table
{
	my ($product, $type) = split_name(@_);

	$type =~ s/(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/_/g;
	return "pco_$product." . lc $type;
}

=pod

=item server_log($node), logged($node, $pattern)

The whole log of the server so far; and how often it has the pattern.

=cut

sub server_log
{
	my ($node) = @_;

	return PostgreSQL::Test::Utils::slurp_file($node->logfile);
}

sub logged
{
	my ($node, $pattern) = @_;

	return scalar(() = server_log($node) =~ /$pattern/g);
}

=pod

=back

=cut

# fail_with: a failed test and why.
sub fail_with
{
	my ($name, $reason) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	fail($name);
	diag($reason);
	return 0;
}

# quote: a literal for SQL, also good for postgresql.conf.
sub quote
{
	my ($value) = @_;

	$value =~ s/'/''/g;
	return "'$value'";
}

# split_name: product and type of an entity's name; People's go without.
sub split_name
{
	my ($entity) = @_;

	return $entity =~ /^(\w+)\.(\w+)$/ ? ($1, $2) : ('people', $entity);
}

1;
