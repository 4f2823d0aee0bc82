# A trigger that does not come to an end costs its table the sync, and nobody
# else anything.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;
use Time::HiRes qw(time);

# Three time-outs of 10 s, and what lies between them.
my $patience_s = 90;

my $simulator = start_simulator(orgs => 2, people => 20, rate_limit => 0);
my $node = new_cluster();

sub value
{
	my ($query) = @_;

	return $node->safe_psql('sync', $query);
}

connect_org($node, $simulator, "org$_") for 1, 2;
is(value(q{SELECT status FROM sync_run('org2', ARRAY['Tab'], mode => 'full')}), 'succeeded', 'the table is there');
value(<<~'SQL');
	CREATE FUNCTION public.sleep() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN PERFORM pg_sleep(1000000); RETURN NEW; END';
	CREATE TRIGGER sleep BEFORE INSERT ON pco_people.tab FOR EACH ROW EXECUTE FUNCTION public.sleep();
	SQL

my $start = time;
my $run = value(q{SELECT sync_start('org1', ARRAY['Tab'], mode => 'full')});
my $others = 0;
wait_for(
	sub {
		$others++ if value(q{SELECT status FROM sync_run('org2', ARRAY['Person'], mode => 'full')}) eq 'succeeded';
		value("SELECT status FROM sync_jobs WHERE run_id = $run") eq 'failed';
	},
	$patience_s,
	'the job fails');
cmp_ok(time - $start, '>', 29, 'not at the first time-out, nor at the second');
cmp_ok($others, '>=', 3, 'the other org was synced meanwhile');
is(value("SELECT status FROM sync_runs WHERE run_id = $run"), 'failed', 'the run fails with it');
is(value("SELECT sqlstate, hint FROM sync_jobs WHERE run_id = $run"),
	'57014|Look for a trigger on the data table that does not come to an end.',
	'it says where to look');

value('DROP TRIGGER sleep ON pco_people.tab');
is(value(q{SELECT status FROM sync_run('org1', ARRAY['Tab'], mode => 'full')}), 'succeeded', 'without the trigger it succeeds');
is_equal_to_oracle($node, $simulator, 'org1', 'Tab', 'completely');
unlike(server_log($node), qr/TRAP|PANIC|server process .* was terminated by signal/, 'no process has crashed');

done_testing();
