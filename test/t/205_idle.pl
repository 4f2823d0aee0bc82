# With nothing due the engine costs nothing: there is no lane, the launcher sleeps
# until somebody wakes it, and no WAL is written.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Utils qw(slurp_file);
use SyncEngineTest;
use Time::HiRes qw(sleep time);

# For how long that is watched; the long test watches longer than any pause
# that the launcher makes.
my $watched_s = $ENV{SYNC_ENGINE_IDLE_S} // 3;

my $soon_s = 30;

# So many looks in a row see it asleep.
my $quiet_looks = 4;

my $simulator = start_simulator(orgs => 3, people => 20, rate_limit => 0);

# A server that writes nothing by itself: no vacuum, no checkpoint because of the
# time, and no snapshots for standbys (wal_level).
my $node = new_cluster(conf => { autovacuum => 'off', checkpoint_timeout => '1h', wal_level => 'minimal', max_wal_senders => 0 });

# status: a number that the kernel keeps of a process.
sub status
{
	my ($pid, $name) = @_;
	my ($value) = slurp_file("/proc/$pid/status") =~ /^$name:\s+(\d+)$/m or die "no $name of process $pid";

	return $value;
}

# sleeps_for_ever: test that the process is in a system call that waits for events
# and has no timeout: the fourth argument is -1.
sub sleeps_for_ever
{
	my ($pid, $name) = @_;
	my ($call, @arguments) = eval { split ' ', slurp_file("/proc/$pid/syscall") };
	my %waits = map { $_ => 1 } 22, 232, 281;    # epoll_wait, epoll_pwait; of x86-64 and aarch64

  SKIP:
	{
		skip 'the kernel does not tell the arguments of a system call', 1 unless @arguments;
		ok($waits{$call} && $arguments[3] =~ /^0x(f{8}){1,2}$/, $name) or diag("system call $call(@arguments)");
	}
	return;
}

# settle: wait until the lanes have left and the launcher has nothing more to do;
# its process id.  While it looks into one database after the other it wakes more
# often than we look.
sub settle
{
	my ($name) = @_;
	my ($launcher, $switches, $quiet) = ('', 0, 0);

	wait_for(
		sub {
			$launcher = launcher_pid($node) || return;
			my $now = status($launcher, 'voluntary_ctxt_switches');
			$quiet = $now == $switches && !lane_pids($node) ? $quiet + 1 : 0;
			$switches = $now;
			return $quiet >= $quiet_looks;
		},
		$soon_s,
		"$name: the lanes leave, and the launcher is done");
	return $launcher;
}

# is_idle: test that nothing happens for so long.
sub is_idle
{
	my ($seconds, $name) = @_;
	my $launcher = settle($name);

	# What reading tidies up is written, too, so all is tidied up now.
	safe_psql($node, $_) for 'VACUUM', 'CHECKPOINT';
	my $position = safe_psql($node, 'SELECT pg_current_wal_insert_lsn()');
	my $switches = status($launcher, 'voluntary_ctxt_switches');
	my $start = time;

	sleeps_for_ever($launcher, "$name: the launcher waits without a timeout");
	sleep($seconds);
	is(status($launcher, 'voluntary_ctxt_switches'), $switches, "$name: it has not woken");
	is(safe_psql($node, 'SELECT pg_current_wal_insert_lsn()'), $position, "$name: no WAL was written");
	is_deeply([ lane_pids($node) ], [], "$name: there is no lane");
	is(launcher_pid($node), $launcher, "$name: the launcher is the same");
	note(sprintf '%s: watched for %.1f s', $name, time - $start);
	return;
}

# ---- A new server -----------------------------------------------------------

# The launcher has sent a lane to each database to look for work.
is_idle(1, 'no work yet');

# ---- After work, whatever became of it --------------------------------------

connect_org($node, $simulator, "org$_") for 1 .. 3;
$simulator->post('fault', path => '/people/v2/people', org => 'org2', kind => '404', count => 0);
$simulator->post('fault', path => '/people/v2/people', org => 'org3', kind => 'hang', count => 0);
my %runs = map { $_ => start_sync($node, "org$_", ['Person']) } 1 .. 3;

run_ends($node, $runs{1}, 'succeeded', $soon_s, 'a run succeeds');
run_ends($node, $runs{2}, 'failed', $soon_s, 'a run fails');
wait_for(
	sub { safe_psql($node, "SELECT in_flight > 0 FROM sync_progress WHERE run_id = $runs{3}") eq 't' },
	$soon_s, 'a run waits for an answer');
is(safe_psql($node, "SELECT sync_cancel($runs{3})"), 't', 'a run is cancelled');
run_ends($node, $runs{3}, 'cancelled', $soon_s, 'and ends');
is_idle($watched_s, 'after work');

# ---- After a restart --------------------------------------------------------

$node->restart;
is_idle(1, 'after a restart');

is(safe_psql($node, q{SELECT status FROM sync_run('org1', ARRAY['Person'], mode => 'full')}), 'succeeded', 'work is done as before');
is_complete($node, 'org1', 'after all', 'Person');
ok($simulator->stop, 'the simulator stops as it should');

done_testing();
