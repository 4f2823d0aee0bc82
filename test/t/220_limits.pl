# What a lane takes for itself and gives to each organisation, what is tried again and
# how, what is shown of work under way, and how long it is remembered.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;
use SyncEngineTest::HangingRun;

my $soon_s = 30;
my $simulator = start_simulator(orgs => 4, people => 4_000, rate_limit => 0, latency => 100);
my $node = new_cluster(conf => { 'sync_engine.max_workers' => 1 });

connect_org($node, $simulator, 'org1');
connect_org($node, $simulator, 'org2', weight => 3);
connect_org($node, $simulator, "org$_") for 3, 4;

sub value
{
	my ($query) = @_;

	return safe_psql($node, $query);
}

# set: a setting, for the lanes, too.
sub set
{
	my ($name, $setting) = @_;

	value($_) for defined $setting ? "ALTER SYSTEM SET $name = '$setting'" : "ALTER SYSTEM RESET $name", 'SELECT pg_reload_conf()';
	wait_for(sub { !lane_pids($node) }, $soon_s, "the next lane has $name = " . ($setting // 'its default'));
	return;
}

# ---- Memory for answers ------------------------------------------------------

# A page of people has some 150 kB: two fit into 512 kB beside what a third may need.
my %most;
for my $buffer ('64kB', '512kB', undef)
{
	my $name = $buffer // 'default';

	set('sync_engine.max_buffer', $buffer);
	$simulator->post('mutate', org => 'org1', entity => 'Person', op => 'update', count => 5);
	$simulator->post('stats/reset');
	run_ends($node, start_sync($node, 'org1', ['Person']), 'succeeded', $soon_s, "max_buffer $name: all people are read");
	$most{$name} = $simulator->stats->{most_concurrent};
	note("max_buffer $name: $most{$name} requests at once");
}
is($most{'64kB'}, 1, 'where no page fits, one request is under way at a time');
cmp_ok($most{'512kB'}, '<=', 4, 'where a few fit, a few are');
cmp_ok($most{default}, '>', 4, 'where many fit, more are');
is_complete($node, 'org1', 'whatever the memory', 'Person');

# ---- Shares -------------------------------------------------------------------

# Eight requests for both: six for the one that weighs three times as much.
set('sync_engine.max_requests', 8);
my %most_of = (org1 => 0, org2 => 0);
my ($one, $other) = map { start_sync($node, $_, ['Person']) } qw(org1 org2);
my $together = 0;
wait_for(
	sub {
		my %now = map { split /\|/ } split /\n/, value(q{SELECT org, in_flight FROM sync_progress WHERE in_flight > 0});

		if (keys %now == 2)
		{
			$together++;
			$most_of{$_} < $now{$_} and $most_of{$_} = $now{$_} for keys %now;
		}
		return value("SELECT count(*) FROM sync_runs WHERE run_id IN ($one, $other) AND finished_at IS NULL") eq '0';
	},
	2 * $soon_s, 'both organisations are read');
note("$together looks: at most $most_of{org1} and $most_of{org2} requests");
cmp_ok($together, '>=', 3, 'at the same time for some of it');
cmp_ok($most_of{org1}, '<=', 2, 'the lighter one has its quarter, no more');
cmp_ok($most_of{org2}, '>', 2, 'the heavier one has more');
is_complete($node, $_, 'both', 'Person') for qw(org1 org2);
set('sync_engine.max_requests', undef);

# ---- What is shown --------------------------------------------------------------

my $name = 'a run at work';
$simulator->post('latency', ms => 300);
my $run = start_sync($node, 'org1', ['Person']);
wait_for(sub { value("SELECT eta > '0 s' AND records_per_second > 0 FROM sync_progress WHERE run_id = $run") eq 't' },
	$soon_s, "$name: the time that is left is estimated");
# Between the steps of its jobs, each of which shows itself.
wait_for(sub { value(q{SELECT query FROM pg_stat_activity WHERE backend_type = 'sync_engine lane'}) eq '1 jobs of 1 organisations: org1 people.Person' },
	$soon_s, "$name: pg_stat_activity shows what its lane does");
like(value(q{SELECT reason FROM sync_explain('org1') WHERE entity = 'Person'}), qr/^is being read|^waits: /, "$name: it is explained");
like(value(q{SELECT until > now() FROM sync_explain('org1') WHERE entity = 'Person'}), qr/^t?$/, "$name: with the time when it ends");
$simulator->post('latency', ms => 0);
run_ends($node, $run, 'succeeded', $soon_s, "$name: it ends");
is(value(q{SELECT status, hint FROM sync_explain('org1')}), q{idle|Call sync_start('org1').}, 'then there is nothing to explain');
is(value("SELECT string_agg(kind, ' ' ORDER BY activity_id NULLS LAST) FROM sync_activities WHERE run_id = $run"),
	'load_manifest build_dependency_graph create_jobs update_status sync_page', 'its steps are on record');

$name = 'what is waited for';
SKIP:
{
	skip 'wait events of extensions have names from 17 on', 1 if $node->pg_version < 17;
	my $hanging = SyncEngineTest::HangingRun->start($node, $simulator, $name);
	my $waiting = background_psql($node);
	$waiting->query_until(qr/waiting/, "\\echo waiting\nSELECT sync_wait(" . $hanging->id . ");\n");
	wait_for(
		sub {
			value(q{SELECT string_agg(wait_event, ' ' ORDER BY wait_event COLLATE "C") FROM pg_stat_activity
				WHERE wait_event_type = 'Extension'}) eq 'SyncEngineHttp SyncEngineLauncher SyncEngineWait';
		},
		$soon_s, "$name: pg_stat_activity names it, of lane, launcher and caller");
	$hanging->ends_well($name);
	$waiting->quit;
}

# ---- What the server lacks is tried again ---------------------------------------

my $out_of_space = <<~'SQL';
	CREATE FUNCTION public.no_space() RETURNS trigger LANGUAGE plpgsql AS
		$$BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = 'disk_full'; END$$;
	SQL
value($out_of_space);

$name = 'a page that finds no space';
value('CREATE TRIGGER no_space BEFORE INSERT OR UPDATE ON pco_people.person FOR EACH ROW EXECUTE FUNCTION public.no_space()');
$simulator->post('mutate', org => 'org1', entity => 'Person', op => 'update', count => 5);
$run = start_sync($node, 'org1', ['Person']);
wait_for(sub { value("SELECT attempts >= 2 FROM sync_jobs WHERE run_id = $run") eq 't' }, $soon_s, "$name: is tried again");
is(value("SELECT status, error FROM sync_jobs WHERE run_id = $run AND status = 'queued'"), 'queued|no space left on device', "$name: it says why");
like(value(q{SELECT reason FROM sync_queue WHERE entity = 'Person'}), qr/no space left on device/, "$name: in the queue, too");
run_ends($node, start_sync($node, 'org1', ['Campus']), 'succeeded', $soon_s, "$name: others go on");
value('DROP TRIGGER no_space ON pco_people.person');
run_ends($node, $run, 'succeeded', $soon_s, "$name: goes in once there is space");
is_complete($node, 'org1', $name, 'Person');

$name = 'a run that cannot be planned';
value(q{CREATE TRIGGER no_space BEFORE INSERT ON sync_engine.job FOR EACH ROW WHEN (NEW.org = 'org3')
	EXECUTE FUNCTION public.no_space()});
$run = start_sync($node, 'org3', ['Campus']);
wait_for(sub { value("SELECT attempts FROM sync_activities WHERE run_id = $run AND kind = 'create_jobs' AND status = 'retrying'") },
	$soon_s, "$name: is planned again");
is(value("SELECT next_attempt_at > started_at, error FROM sync_activities WHERE run_id = $run AND status = 'retrying'"),
	't|no space left on device', "$name: it says when and why");
like(value("SELECT reason FROM sync_queue WHERE run_id = $run"), qr/no space left/, "$name: in the queue, too");
run_ends($node, start_sync($node, 'org4', ['Campus']), 'succeeded', $soon_s, "$name: others are");
my $second = start_sync($node, 'org3', ['Tab']);
wait_for(sub { value("SELECT attempts > 0 FROM sync_engine.run WHERE run_id = $second") eq 't' }, $soon_s, "$name: another");
value("UPDATE sync_engine.run SET attempts = 7, not_before = '-infinity' WHERE run_id = $second");
value(q{SELECT sync_start('org4', ARRAY['Tab'], mode => 'full')});
run_ends($node, $second, 'failed', $soon_s, "$name: after eight attempts it fails");
is(value("SELECT kind, status FROM sync_activities WHERE run_id = $second"), 'create_jobs|failed', "$name: the step that failed is named");
value('DROP TRIGGER no_space ON sync_engine.job');
run_ends($node, $run, 'succeeded', $soon_s, "$name: the first goes on once there is space");
run_ends($node, value("SELECT sync_retry($second)"), 'succeeded', $soon_s, "$name: the other can be retried");

# ---- What is forgotten --------------------------------------------------------------

$name = 'retention';
value("UPDATE sync_engine.run SET finished_at = finished_at - interval '31 days' WHERE run_id = $one");
value("UPDATE sync_engine.run SET finished_at = finished_at - interval '29 days' WHERE run_id = $other");
my $jobs = value('SELECT count(*) FROM sync_jobs');
value(q{SELECT sync_start('org4', ARRAY['Tab'], mode => 'full')});
wait_for(sub { value("SELECT count(*) FROM sync_runs WHERE run_id = $one") eq '0' }, $soon_s, "$name: an old run is forgotten");
is(value("SELECT count(*) FROM sync_jobs WHERE run_id = $one"), '0', "$name: its jobs, too");
is(value("SELECT count(*) FROM sync_runs WHERE run_id = $other"), '1', "$name: one that is not so old is not");
set('sync_engine.retention', '-1');
value("UPDATE sync_engine.run SET finished_at = finished_at - interval '10 years' WHERE run_id = $other");
run_ends($node, value(q{SELECT sync_start('org4', ARRAY['Tab'], mode => 'full')}), 'succeeded', $soon_s, "$name: with -1");
wait_for(sub { !lane_pids($node) }, $soon_s, "$name: the lane has left");
is(value("SELECT count(*) FROM sync_runs WHERE run_id = $other"), '1', "$name: nothing is forgotten");

unlike(server_log($node), qr/TRAP|PANIC|server process .* was terminated by signal/, 'no process has crashed');
ok($simulator->stop, 'the simulator stops as it should');

done_testing();
