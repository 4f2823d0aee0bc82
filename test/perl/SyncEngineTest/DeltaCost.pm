
=pod

=head1 NAME

SyncEngineTest::DeltaCost - what a delta asks for and writes

=head1 SYNOPSIS

  use SyncEngineTest::DeltaCost;
  deltas_cost_little(people => 100_000, changed => 1000);

=cut

package SyncEngineTest::DeltaCost;

use strict;
use warnings FATAL => 'all';

use Exporter qw(import);
use POSIX qw(ceil);
use SyncEngineTest;

our @EXPORT = qw(deltas_cost_little);

my $per_page = 100;

# data_writes: rows of data tables that were ever written.  A lane may tell what it
# has written as late as when it leaves.
sub data_writes
{
	my ($node, $name) = @_;

	wait_for(sub { lane_pids($node) == 0 }, 60, "$name: the lane leaves");
	return safe_psql($node, q{SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_all_tables WHERE schemaname LIKE 'pco%'});
}

# deltas_cost_little: tests of an organisation with so many people, of whom so
# many change.
sub deltas_cost_little
{
	my (%size) = @_;
	my @entities = qw(Person Email Campus);
	my $simulator = start_simulator(people => $size{people}, rate_limit => 0);
	my $node = new_cluster();

	connect_org($node, $simulator, 'org1');
	run_ends($node, start_sync($node, 'org1', \@entities), 'succeeded', 600, 'a full read');

	my $data = data_writes($node, 'a full read');
	my $lsn = safe_psql($node, 'SELECT pg_current_wal_lsn()');

	$simulator->post('stats/reset');
	my $run = start_sync($node, 'org1', \@entities, mode => 'delta');
	run_ends($node, $run, 'succeeded', 60, 'nothing has changed');
	is($simulator->stats->{requests}, scalar @entities, 'nothing has changed: one request for each entity');
	is(safe_psql($node, "SELECT count(*) FROM sync_jobs WHERE run_id = $run AND (mode, requests) = ('delta', 1)"),
		scalar @entities, 'nothing has changed: ... of its own');
	my $wal = safe_psql($node, "SELECT pg_current_wal_lsn() - '$lsn'");
	note("nothing has changed: $wal bytes of WAL");
	cmp_ok($wal, '<', 100_000, 'nothing has changed: no more WAL than for the rows of run, jobs and state');
	is(data_writes($node, 'nothing has changed'), $data, 'nothing has changed: no data table is written to');

	$simulator->post('mutate', org => 'org1', entity => 'Person', op => 'update', count => $size{changed});
	$run = start_sync($node, 'org1', ['Person'], mode => 'delta');
	run_ends($node, $run, 'succeeded', 60, 'some have changed');
	my ($updated, $requests) = split /\|/, safe_psql($node, "SELECT updated, requests FROM sync_jobs WHERE run_id = $run");
	my $needed = ceil($size{changed} / $per_page);

	is($updated, $size{changed}, 'some have changed: they are written');
	note("some have changed: $requests requests, $needed are needed");
	cmp_ok($requests, '<=', 1.1 * $needed, 'some have changed: hardly more requests than are needed');
	is_equal_to_oracle($node, $simulator, 'org1', 'Person', 'some have changed: the copy is complete');
	return;
}

1;
