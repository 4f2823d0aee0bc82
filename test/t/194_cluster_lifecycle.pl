# Several databases of one cluster at once, and what may keep lanes out of one:
# no connections, a template, a name that is not served, a database that is
# damaged.  Each time the others go on, nothing is tried again and again,
# and the work goes on by itself once the cause is gone.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;
use SyncEngineTest::HangingRun;
use Time::Local qw(timegm);

# Where something must not hang: far more than it takes, far less than for ever.
my $soon_s = 30;

my @databases = qw(one two three);
my $simulator = start_simulator(orgs => 4, people => 250, rate_limit => 0);
my $node = new_cluster(conf => { 'sync_engine.max_workers' => 1 });

# start_all: a run that hangs in each of them.
sub start_all
{
	my ($name) = @_;

	$simulator->post('fault/clear');
	return map {
		SyncEngineTest::HangingRun->start($node, $simulator, "$name, database $databases[$_ - 1]",
			database => $databases[ $_ - 1 ], org => "org$_", beside => 1);
	} 1 .. @databases;
}

# others_work: test that another database is served, until it has no lane again.
# After that, whatever the launcher was to do before is done, and nothing more
# will wake it.
sub others_work
{
	my ($name) = @_;

	is(safe_psql($node, q{SELECT status FROM sync_run('org4', ARRAY['Campus'], mode => 'full')}), 'succeeded', "$name: others are served");
	wait_for(sub { !lane_pids($node, 'sync') }, $soon_s, "$name: their lane leaves");
	return;
}

# times_of: when the log had it, in seconds.
sub times_of
{
	my ($pattern) = @_;
	my @times;

	for (grep { /$pattern/ } split /\n/, server_log($node))
	{
		my ($year, $month, $day, $hour, $minute, $second, $fraction) = split /[-:. ]/;
		push @times, timegm($second, $minute, $hour, $day, $month - 1, $year) + "0.$fraction";
	}
	return @times;
}

# ---- several databases ----------------------------------------------------

for (1 .. @databases)
{
	create_database($node, $databases[ $_ - 1 ]);
	connect_org_in($node, $databases[ $_ - 1 ], $simulator, "org$_");
}
connect_org($node, $simulator, 'org4');

my $name = 'several databases';
my @runs = start_all($name);
is( safe_psql($node, q{SELECT datname, count(*) FROM pg_stat_activity
		WHERE backend_type = 'sync_engine lane' AND datname <> 'sync' GROUP BY 1 ORDER BY 1}),
	"one|1\nthree|1\ntwo|1",
	"$name: each has as many lanes as it may have");
others_work($name);
$_->ends_well("$name, $_->{database}") for @runs;

# ---- one that is closed ---------------------------------------------------

$name = 'a database that allows no connections';
my ($run) = start_all($name);
safe_psql($node, 'ALTER DATABASE one ALLOW_CONNECTIONS false');
safe_psql($node, 'SELECT pg_terminate_backend(' . $run->lane . ', 10000)');
others_work($name);
is(scalar(lane_pids($node, 'one')), 0, "$name: has no lane");
safe_psql($node, 'BEGIN; ALTER DATABASE one ALLOW_CONNECTIONS true; ROLLBACK');
others_work("$name still");
is(logged($node, 'not currently accepting connections'), 0, "$name: none has tried");
safe_psql($node, 'ALTER DATABASE one ALLOW_CONNECTIONS true');
$run->goes_on("$name, opened again");

# ---- a template -----------------------------------------------------------

$name = 'a template';
safe_psql($node, 'CREATE ROLE creator CREATEDB; ALTER DATABASE one IS_TEMPLATE true');
$run->stays("$name, lanes at work");
safe_psql($node, 'SET ROLE creator; CREATE DATABASE made TEMPLATE one');
others_work($name);
is(scalar(lane_pids($node, 'one')), 0, "$name: has no lane once it was copied");
like(
	($node->psql('one', "\\set VERBOSITY verbose\nSELECT sync_start('org1')"))[2],
	qr/ERROR:  55000: database "one" is a template\nDETAIL:  It can be copied at any time, so nothing works in it\.\nHINT:  Call sync_start in a database made from it, or ALTER DATABASE \.\.\. IS_TEMPLATE false\./,
	"$name: takes no work");
safe_psql($node, 'ALTER DATABASE one IS_TEMPLATE false');
$run->goes_on("$name no more");

# ---- a name that is not served --------------------------------------------

$name = 'renamed to a name that is not served';
$node->append_conf('postgresql.conf', q{sync_engine.database_names = 'sync, one, two, three'});
$node->reload;
wait_for(sub { safe_psql($node, 'SHOW sync_engine.database_names') ne '' }, $soon_s, "$name: the setting has come through");
safe_psql($node, 'ALTER DATABASE one RENAME TO uno');
others_work($name);
is(scalar(lane_pids($node, 'uno')), 0, "$name: it has no lane");
$node->restart;
others_work("$name, after a restart");
is(scalar(lane_pids($node, 'uno')), 0, "$name, after a restart: it has none");
$run->moves_to('uno');
$node->append_conf('postgresql.conf', q{sync_engine.database_names = 'sync, uno'});
$node->reload;
$run->goes_on("$name, until it is");

# ---- one that is damaged --------------------------------------------------

$name = 'a database that cannot be connected to';
my $file = $node->data_dir . '/base/' . safe_psql($node, q{SELECT oid FROM pg_database WHERE datname = 'uno'}) . '/PG_VERSION';
my $failure = qr/FATAL:.*is not a valid data directory/;
rename $file, "$file.away" or die $!;
safe_psql($node, 'SELECT pg_terminate_backend(' . $run->lane . ', 10000)');
wait_for(sub { logged($node, $failure) >= 3 }, $soon_s, "$name: lanes fail");
others_work($name);
rename "$file.away", $file or die $!;
$run->goes_on("$name, repaired");
my @times = times_of($failure);
for (1, 2)
{
	# 0.4 s, then twice as long each time; minus what clocks may differ by
	cmp_ok($times[$_] - $times[ $_ - 1 ], '>', 0.15 * 2**$_, "$name: pause $_ is long enough");
}
$run->ends_well($name);

unlike(server_log($node), qr/PANIC|TRAP|terminated by signal/, 'no process came to harm');

done_testing();
