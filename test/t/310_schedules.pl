# Schedules, with a real pg_cron: what it calls and when, and that its jobs are
# always those that the schedules need, in its own database and in another.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Utils ();
use SyncEngineTest;
use SyncEngineTest::Crowd;

# pg_cron calls once a minute.
my $tick_s = 90;

# What a worker or a lane does at once takes seconds at most.
my $soon_s = 30;

my @crowd = map { "org$_" } 3 .. 52;
my $simulator = start_simulator(orgs => 52, people => 20, rate_limit => 0);
my $node = new_cluster(conf => { 'sync_engine.max_requests_per_org' => 4 });
my $name;

# refused: what a statement is refused with: SQLSTATE, message and hint.
sub refused
{
	my ($database, $sql) = @_;
	my (undef, undef, $error) = $node->psql($database, "\\set VERBOSITY verbose\n$sql");

	return $error;
}

# cron_jobs: the cron texts that pg_cron has jobs for in a database.
sub cron_jobs
{
	my ($database) = @_;

	return texts(split /\n/, safe_psql($node,
		"SELECT schedule FROM cron.job WHERE database = '$database' AND starts_with(jobname::text, 'sync_engine:')"));
}

# texts: cron texts as one text, whatever their order.
sub texts
{
	return join ', ', sort @_;
}

# jobs_become: pg_cron comes to have jobs for these cron texts in a database.
sub jobs_become
{
	my ($database, $texts, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	wait_for(sub { cron_jobs($database) eq $texts }, $soon_s, $what) || diag(cron_jobs($database));
	return;
}

# schedule: its id.
sub schedule
{
	my ($org, $cron, $entities) = @_;
	$entities //= q{ARRAY['Person']};

	return safe_psql($node, "SELECT sync_schedule('$org', 'full', '$cron', $entities)");
}

# column: of a schedule's row in the view.
sub column
{
	my ($id, $column) = @_;

	return safe_psql($node, "SELECT $column FROM sync_schedules WHERE id = $id");
}

# tick: runs the command that pg_cron has for a cron text, as pg_cron does; how many runs that starts.
sub tick
{
	my ($cron) = @_;
	my $command = safe_psql($node, "SELECT command FROM cron.job WHERE schedule = '$cron' AND database = 'sync'");

	return safe_psql($node, $command);
}

# ---- without pg_cron ------------------------------------------------------

connect_org($node, $simulator, 'org1');
my $schedule = q{SELECT sync_schedule('org1', 'full', '* * * * *', ARRAY['Person'])};
my $defaults = q{SELECT sync_schedule_defaults('org1')};

for my $call ($schedule, $defaults, 'SELECT sync_engine.cron_renew()')
{
	$name = "pg_cron not loaded, $call";
	like(
		refused('sync', $call),
		qr/ERROR:  55000: schedules need pg_cron, which is not loaded\nHINT:  Install pg_cron, add it to shared_preload_libraries, set cron\.database_name = 'sync', restart the server and run CREATE EXTENSION pg_cron\./,
		$name);
}
$node->append_conf('postgresql.conf', "cron.database_name = 'sync'");
$node->restart;
like(refused('sync', $schedule), qr/55000: schedules need pg_cron, which is not loaded/,
	'a setting alone does not make a pg_cron');

$node->append_conf('postgresql.conf', <<~'CONF');
	shared_preload_libraries = 'pg_cron, sync_engine'
	cron.database_name = 'nowhere'
	cron.use_background_workers = on
	CONF
$node->restart;
like(
	refused('sync', $schedule),
	qr/55000: schedules need pg_cron, whose database "nowhere" does not exist\nHINT:  Set cron\.database_name = 'sync'/,
	'the database of pg_cron does not exist');

$node->append_conf('postgresql.conf', "cron.database_name = 'sync'");
$node->restart;
for my $call ($schedule, $defaults)
{
	like(
		refused('sync', $call),
		qr/ERROR:  42704: schedules need extension "pg_cron", which does not exist\nHINT:  Run CREATE EXTENSION pg_cron in database "sync"\./,
		"pg_cron not created, $call");
}
is(safe_psql($node, 'SELECT count(*) FROM sync_schedules'), 0, 'nothing of all that was stored');
is(safe_psql($node, 'SELECT sync_unschedule(1)'), 'f', 'what is not there can be ended without pg_cron');
safe_psql($node, 'CREATE EXTENSION pg_cron');

# ---- pg_cron calls --------------------------------------------------------

# Meanwhile the rest goes on; what came of it stands at the end.
my $real = schedule('org1', '* * * * *');
is(schedule('org1', ' *  * * *  *'), $real, 'the same schedule again is the same');
is(cron_jobs('sync'), '* * * * *', 'it has a job');
is(safe_psql($node, 'SELECT command, username FROM cron.job'),
	q{SELECT sync_engine.schedule_tick('* * * * *')|} . safe_psql($node, 'SELECT current_user'),
	'the job only enqueues, as the owner of the extension');
is(
	safe_psql(
		$node, "SELECT next_at > now() AND next_at < now() + interval '66 s' AND problem IS NULL FROM sync_schedules"),
	't',
	'when it is due is known');

create_database($node, 'other');
connect_org_in($node, 'other', $simulator, 'org2');
$node->safe_psql('other', q{SELECT sync_schedule('org2', 'full', '* * * * *', ARRAY['Person'])});
jobs_become('other', '* * * * *', q{another database's schedule has a job});
is($node->safe_psql('other', 'SELECT problem FROM sync_schedules'), '', 'and no problem');

# ---- many organisations ---------------------------------------------------

$name = '50 organisations';
connect_crowd($node, $simulator, @crowd);
my $night = '0 3 * * *';
safe_psql($node, "SELECT sync_schedule(org, 'full', '$night', ARRAY['Person']) FROM sync_orgs WHERE org <> 'org1'");
is(cron_jobs('sync'), texts('* * * * *', $night), "$name: one job for all");
is(tick($night), 50, "$name: a tick starts a run of each");
is(
	safe_psql(
		$node, q{SELECT count(DISTINCT date_trunc('second', not_before)) > 40, max(not_before) - min(not_before) > '7 min',
		min(not_before - requested_at) >= '-1 s', max(not_before - requested_at) < '10 min'
		FROM sync_engine.run WHERE org <> 'org1'}),
	't|t|t|t',
	"$name: they are spread over ten minutes");
my $times = q{SELECT string_agg(date_trunc('minute', next_at)::text, ' ' ORDER BY org) FROM sync_schedules WHERE cron = '0 3 * * *'};
my $before = safe_psql($node, $times);
$node->restart;
is(safe_psql($node, $times), $before, "$name: each has always the same time");
is(tick($night), 0, "$name: none is started while the last goes on");
is(
	safe_psql($node, "SELECT count(*), bool_and(problem LIKE 'run % has not ended, so 1 tick after it started none') FROM sync_schedules WHERE problem IS NOT NULL"),
	'50|t',
	"$name: and the view says so");

$name = 'a run at its own time';
safe_psql($node, q{UPDATE sync_engine.run SET not_before = now() + interval '3 s' WHERE org = 'org3'});
safe_psql($node, q{SELECT sync_check('org1')});    # so that a lane looks
my $run = safe_psql($node, q{SELECT run_id FROM sync_runs WHERE org = 'org3'});
run_ends($node, $run, 'succeeded', $soon_s, "$name: succeeds");
is(safe_psql($node, "SELECT started_at >= not_before - interval '50 ms' FROM sync_engine.run WHERE run_id = $run"),
	't', "$name: and not before");
is_complete($node, 'org3', $name, 'Person');

$name = 'an error';
safe_psql($node, <<~'SQL');
	UPDATE sync_engine.org SET options = '{"entities": ["Nobody"]}' WHERE org = 'org5';
	UPDATE sync_engine.schedule SET entities = NULL WHERE org = 'org5';
	UPDATE sync_engine.org SET status = 'stopped', error = 'the token is wrong' WHERE org = 'org6';
	UPDATE sync_engine.run SET status = 'succeeded', finished_at = now() WHERE status = 'queued';
	SQL
is(tick($night), 48, "$name of one organisation stops no other");
is(
	safe_psql($node, q{SELECT problem FROM sync_schedules WHERE org IN ('org5', 'org6') ORDER BY org}),
	qq{the last tick could not start a run: entity "Nobody" does not exist\nthe organisation is stopped: the token is wrong},
	"$name: the view says so, and that one is stopped");
is(safe_psql($node, q{SELECT next_at FROM sync_schedules WHERE org = 'org6'}), '', "$name: what is stopped is not due");

# ---- failures -------------------------------------------------------------

# outcomes: of so many ticks, each of whose runs ends like that: 1 = it started one.
sub outcomes
{
	my ($cron, $status, $ticks) = @_;

	return join '', map {
		my $command = safe_psql($node, "SELECT command FROM cron.job WHERE schedule = '$cron'");
		safe_psql(
			$node, "BEGIN; $command; UPDATE sync_engine.run SET status = '$status', finished_at = now(), error = 'alas'
			WHERE run_id = (SELECT last_run_id FROM sync_schedules WHERE cron = '$cron') AND status = 'queued'; COMMIT");
	} 1 .. $ticks;
}

$name = 'failures in a row';
# Due two minutes ago, so that pg_cron does not call meanwhile.
my ($minute, $hour) = split /\|/,
  safe_psql($node, q{SELECT extract(minute FROM t), extract(hour FROM t) FROM (SELECT now() - interval '2 min') AS _(t)});
my $every_hour = "$minute * * * *";
my $hourly = schedule('org1', $every_hour);
is(outcomes($every_hour, 'failed', 18), '111010001000000010', "$name: fewer and fewer ticks start a run");
is(column($hourly, 'last_status, last_error'), 'failed|alas', "$name: the view says how the last ended");
is(
	column($hourly, 'problem'),
	'6 runs in a row have failed, so the next 14 ticks are left out',
	"$name: the view says so");
is(column($hourly, q{next_at - now() BETWEEN '14 h 50 min' AND '15 h 5 min'}), 't', "$name: and when the next is due");
is(
	safe_psql($node, q{SELECT status, reason, until IS NOT NULL FROM sync_explain('org1') WHERE status = 'scheduled'}),
	"scheduled|schedule $hourly: 6 runs in a row have failed, so the next 14 ticks are left out|t",
	"$name: so does sync_explain");
is(outcomes($every_hour, 'succeeded', 14 + 3), '0' x 14 . '111', "$name: a success makes it good");
is(column($hourly, 'problem'), '', "$name: and there is no problem");
is(outcomes($every_hour, 'failed', 1), '1', "$name: then another fails");
safe_psql($node, "UPDATE sync_engine.schedule SET failures = 20 WHERE id = $hourly");
is(outcomes($every_hour, 'failed', 24), '0' x 23 . '1', "$name: after very many there is a run a day still");
my $every_day = "$minute $hour * * *";
my $daily = schedule('org1', $every_day);
is(outcomes($every_day, 'failed', 6), '111111', "$name: what is daily is tried daily");

# ---- the end of a schedule ------------------------------------------------

$name = 'sync_unschedule';
is(safe_psql($node, "SELECT sync_unschedule($hourly)"), 't', "$name: there was one");
is(safe_psql($node, "SELECT sync_unschedule($hourly)"), 'f', "$name: there is none now");
is(cron_jobs('sync'), texts('* * * * *', $night, $every_day), "$name: its job is gone");
safe_psql($node, "BEGIN; SELECT sync_unschedule($daily); ROLLBACK");
is(cron_jobs('sync'), texts('* * * * *', $night, $every_day), "$name: not if it is rolled back");

$name = 'sync_disconnect';
safe_psql($node, q{SELECT sync_disconnect('org3')});
is(safe_psql($node, q{SELECT count(*) FROM sync_schedules WHERE org = 'org3'}), 0, "$name: its schedules are gone");
is(cron_jobs('sync'), texts('* * * * *', $night, $every_day), "$name: the others' job stays");
like(
	refused('sync', q{SELECT sync_schedule('org3', 'full', '@daily')}),
	qr/55000: org "org3" is disconnected\nHINT:  Call sync_connect\('org3'/,
	"$name: it can have no other");
safe_psql($node, q{SELECT sync_disconnect(org) FROM sync_orgs WHERE org <> 'org1' AND org <> 'org52'});
is(cron_jobs('sync'), texts('* * * * *', $night, $every_day), "$name: the job is there as long as one has a schedule");
safe_psql($node, q{SELECT sync_disconnect('org52')});
is(cron_jobs('sync'), texts('* * * * *', $every_day), "$name: and goes with the last");

$name = 'two at once';
my $session = background_psql($node);
$session->query("BEGIN; SELECT sync_unschedule($daily)");
my $second = background_psql($node, on_error_stop => 0);
$second->query_until(qr/begun/, "\\echo begun\nSELECT sync_schedule('org1', 'full', '$every_day', ARRAY['Email']);\n\\echo end\n");
wait_for(sub { safe_psql($node, 'SELECT count(*) FROM pg_locks WHERE NOT granted') > 0 }, $soon_s, "$name: one waits");
$session->query('COMMIT');
$second->query('SELECT 1');
is(cron_jobs('sync'), texts('* * * * *', $every_day), "$name: the job of the one that stays is there");
$session->quit;
$second->quit;

# ---- defaults -------------------------------------------------------------

$name = 'defaults';
my $ids = safe_psql($node, $defaults);
my $crons = safe_psql($node, 'SELECT mode, cron FROM sync_schedules WHERE entities IS NULL ORDER BY id');
like($crons, qr/^delta\|\d+ \* \* \* \*\nreconcile\|\d+ [123] \* \* \*\nfull\|\d+ [45] \* \* \*$/,
	"$name: hourly, at night and in the morning, in UTC without a time zone");
is(safe_psql($node, $defaults), $ids, "$name: again, they are the same");
run_ends($node, start_sync($node, 'org1', ['Organization']), 'succeeded', $soon_s, "$name: the organisation is read");
safe_psql($node, q{UPDATE pco_people.organization SET time_zone = 'Australia/Sydney' WHERE org = 'org1'});
is(safe_psql($node, $defaults), $ids, "$name: in Sydney, they are the same still");
like(safe_psql($node, 'SELECT mode, cron FROM sync_schedules WHERE entities IS NULL ORDER BY id'),
	qr/^delta\|\d+ \* \* \* \*\nreconcile\|\d+ (14|15|16|17) \* \* \*\nfull\|\d+ (17|18|19) \* \* \*$/,
	"$name: but it is night there when it is day in UTC");
is(safe_psql($node, 'SELECT count(*) FROM cron.job'), 3 + 3, "$name: no job is left of the times before");
for my $zone ('Middle of Nowhere', '')
{
	safe_psql($node, "UPDATE pco_people.organization SET time_zone = '$zone' WHERE org = 'org1'");
	safe_psql($node, $defaults);
	is(safe_psql($node, 'SELECT mode, cron FROM sync_schedules WHERE entities IS NULL ORDER BY id'),
		$crons, "$name: UTC where the time zone is '$zone'");
}
safe_psql($node, 'SELECT sync_unschedule(id) FROM sync_schedules WHERE entities IS NULL');

# ---- what pg_cron did -----------------------------------------------------

$name = 'pg_cron calls';
$run = wait_for(sub { column($real, 'last_run_id') }, $tick_s, "$name: a run is started");
run_ends($node, $run, 'succeeded', $soon_s, "$name: it succeeds");
is_complete($node, 'org1', $name, 'Person');
is(column($real, 'last_at <= now(), last_status, last_error, problem'), 't|succeeded||', "$name: the view says so");
wait_for(
	sub {
		safe_psql($node, q{SELECT status, reason, until < now() + interval '67 s' FROM sync_explain('org1')}) eq
		  "idle|nothing is asked for until schedule $real is due|t";
	},
	$soon_s,
	"$name: sync_explain says when the next is due");

$name = 'pg_cron calls another database';
wait_for(
	sub { $node->safe_psql('other', 'SELECT last_status FROM sync_schedules') eq 'succeeded' },
	$tick_s, "$name: a run is started, and succeeds");
is_equal_to_oracle($node, $simulator, 'org2', 'Person', "$name: Person is complete", database => 'other');

# ---- what is in the way ---------------------------------------------------

$name = 'a cron job that fails';
my $job = safe_psql($node, q{SELECT jobid FROM cron.job WHERE schedule = '* * * * *' AND database = 'sync'});
safe_psql($node, qq{INSERT INTO cron.job_run_details (jobid, runid, status, return_message)
	VALUES ($job, 1000000, 'failed', 'connection failed')});
is(column($real, 'problem'), "job $job of pg_cron fails: connection failed", "$name: the view says so");
is(
	safe_psql($node, "SET SESSION AUTHORIZATION pg_monitor; SELECT problem FROM sync_schedules WHERE id = $real"),
	"job $job of pg_cron fails: connection failed",
	"$name: also to those who watch");
safe_psql($node, 'DELETE FROM cron.job_run_details WHERE runid = 1000000');
safe_psql($node, "UPDATE cron.job SET active = false WHERE jobid = $job");
is(column($real, 'problem'), "job $job of pg_cron is not active", "$name: or is not active");
safe_psql($node, "UPDATE cron.job SET active = true WHERE jobid = $job");
safe_psql($node, "UPDATE sync_engine.schedule SET ticked_at = '2026-01-01 00:00:30Z' WHERE id = $real");
like(column($real, 'problem'), qr/^pg_cron has not called, though that was due at 2026-01-01 00:01 UTC/, "$name: or is not called");
safe_psql($node, "SELECT cron.unschedule($job)");
like(column($real, 'problem'), qr/^pg_cron has no job for it: call sync_engine\.cron_renew\(\)/, "$name: or is not there");
safe_psql($node, 'SELECT sync_engine.cron_renew()');
is(cron_jobs('sync'), texts('* * * * *', $every_day), "$name: that makes it again");

# ---- a restore ------------------------------------------------------------

$name = 'a restore';
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->command_ok([ 'pg_dump', '--file', $dump, $node->connstr('sync') ], "$name: a dump");
unlike(PostgreSQL::Test::Utils::slurp_file($dump), qr/org1-secret/, "$name: which has no secret");
$node->safe_psql('postgres', 'CREATE DATABASE restored');
# pg_cron cannot be in a second database; psql goes on after its errors.
$node->psql('restored', "\\i $dump", on_error_stop => 0);
is($node->safe_psql('restored', 'SELECT count(*) FROM sync_schedules'),
	safe_psql($node, 'SELECT count(*) FROM sync_schedules'), "$name: the schedules are there");
like($node->safe_psql('restored', "SELECT problem FROM sync_schedules WHERE id = $real"),
	qr/pg_cron in database sync has no job for it yet/, "$name: without jobs, as the view says");
connect_org_in($node, 'restored', $simulator, 'org1');
jobs_become('restored', texts('* * * * *', $every_day), "$name: sync_connect makes them again");
is(cron_jobs('sync'), texts('* * * * *', $every_day), "$name: those of the original stay");

# ---- what is dropped ------------------------------------------------------

$name = 'DROP DATABASE';
safe_psql($node, q{SELECT cron.schedule('theirs', '0 0 1 1 *', 'SELECT 1')});
$node->safe_psql('postgres', 'DROP DATABASE restored WITH (FORCE)');
jobs_become('restored', '', "$name: the jobs are gone");
is(cron_jobs('other'), '* * * * *', "$name: others stay");

$name = 'ALTER DATABASE RENAME';
wait_for(
	sub { ($node->psql('postgres', 'ALTER DATABASE other RENAME TO renamed'))[0] == 0 },
	$soon_s, "$name: can be done");
$node->safe_psql('renamed', 'SELECT sync_engine.cron_renew()');
jobs_become('renamed', '* * * * *', "$name: the job follows");
is(cron_jobs('other'), '', "$name: and is not where it was");

$name = 'DROP EXTENSION in another database';
$node->safe_psql('renamed', 'BEGIN; DROP EXTENSION sync_engine; ROLLBACK');
is($node->safe_psql('renamed', 'SELECT problem FROM sync_schedules'), '', "$name, rolled back: nothing is amiss");
$node->safe_psql('renamed', 'DROP EXTENSION sync_engine');
jobs_become('renamed', '', "$name: the job is gone");

$name = 'DROP EXTENSION pg_cron';
$node->safe_psql('renamed', 'CREATE EXTENSION sync_engine');
connect_org_in($node, 'renamed', $simulator, 'org2');
safe_psql($node, 'DROP EXTENSION pg_cron');
is(column($real, q{problem LIKE 'extension "pg_cron" does not exist: create it and call sync_engine.cron_renew()%'}),
	't', "$name: the view says so");
$node->safe_psql('renamed', q{SELECT sync_schedule('org2', 'full', '@hourly', ARRAY['Person'])});
wait_for(
	sub {
		$node->safe_psql('renamed', 'SELECT problem FROM sync_schedules') eq
		  'pg_cron in database sync: database "sync" does not have extension "pg_cron"';
	},
	$soon_s,
	"$name: also in another database");
is(safe_psql($node, qq{SELECT sync_unschedule(id) FROM sync_schedules WHERE cron = '$every_day'}), 't', "$name: a schedule can be ended");
safe_psql($node, 'CREATE EXTENSION pg_cron; SELECT sync_engine.cron_renew()');
$node->safe_psql('renamed', 'SELECT sync_engine.cron_renew()');
is(cron_jobs('sync'), '* * * * *', "$name: sync_engine.cron_renew() makes them again");
jobs_become('renamed', '@hourly', "$name: also in another database");

$name = 'DROP EXTENSION';
safe_psql($node, q{SELECT cron.schedule('theirs', '0 0 1 1 *', 'SELECT 1')});
safe_psql($node, 'BEGIN; SAVEPOINT s; DROP EXTENSION sync_engine; ROLLBACK TO s; COMMIT');
is(cron_jobs('sync'), '* * * * *', "$name, rolled back to a savepoint: the job is there");
safe_psql($node, 'DROP EXTENSION sync_engine');
is(cron_jobs('sync'), '', "$name: the job is gone");
is(cron_jobs('renamed'), '@hourly', "$name: another database's stays");
is(safe_psql($node, q{SELECT count(*) FROM cron.job WHERE jobname = 'theirs'}), 1, "$name: and that of others");

$name = 'DROP SCHEMA by its owner';
safe_psql($node, <<~'SQL');
	CREATE ROLE plain;
	CREATE SCHEMA engine AUTHORIZATION plain;
	CREATE EXTENSION sync_engine SCHEMA engine;
	SET search_path = engine;
	SELECT sync_connect('org1', 'id', 'secret', base_url => 'http://127.0.0.1:1');
	SELECT sync_schedule('org1', 'full', '@daily', ARRAY['Person']);
	SET client_min_messages = warning;
	SET SESSION AUTHORIZATION plain;
	DROP SCHEMA engine CASCADE;
	SQL
is(cron_jobs('sync'), '', "$name: the job is gone");

unlike(server_log($node), qr/org\d+-secret/, 'no secret is in the log');
done_testing();
