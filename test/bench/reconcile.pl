# What the database's part of reconciling a million ids takes: to load the seen
# ids, and to compare all stored rows with them.  Beside it, the anti-join that SQL
# would do of the same sets: ratios, for the machine's own speed cancels out.
#
# BENCH_IDS makes it shorter or longer.

use strict;
use warnings FATAL => 'all';

# What a test says goes to its log; the table is for the one who waits.
my $terminal;
BEGIN { open $terminal, '>&', \*STDERR or die $!; }

use PostgreSQL::Test::Utils qw(slurp_file);
use SyncEngineTest;
use POSIX qw(sysconf _SC_CLK_TCK);
use Time::HiRes qw(time usleep);

my $ids = $ENV{BENCH_IDS} // 1_000_000;
my $missing = 500;

# What must hold for a million ids, and for fewer in proportion.
my $most_seconds = 2;
my $most_mb = 64;

my $simulator = start_simulator(people => 10, rate_limit => 0);
my $node = new_cluster(conf => { autovacuum => 'off', shared_buffers => '512MB', max_wal_size => '8GB' });
my $org = connect_org($node, $simulator, 'org1', delete_threshold_count => 1);

sub query { return safe_psql($node, $_[0]); }

is(query("SELECT status FROM sync_run('$org', ARRAY['Person'])"), 'succeeded', 'the table is there');
query("SELECT setval('sync_engine.delete_batch_batch_seq', 1)");

# A million people, as a sync leaves them; the API seems to have all but some.
query("INSERT INTO pco_people.person (org, id, first_name, _hash, _synced_at)
	SELECT '$org', (100000000 + n)::text, 'Somebody ' || n, n, now() - interval '1 day' FROM generate_series(1, $ids) n");
query('VACUUM (ANALYZE) pco_people.person');

# The job stands where its read has ended: its pages are there, what the token may
# see is asked, and that answer is held back until it is looked at.
$simulator->post('fault', org => $org, path => '/people/v2/me', kind => 'hang', count => 0);
my $run = start_sync($node, $org, ['Person'], mode => 'reconcile');
wait_for(sub { query("SELECT position LIKE 'phase=prove %' FROM sync_engine.job WHERE run_id = $run") eq 't' }, 60, 'the read has ended');
my $job = query("SELECT job_id FROM sync_jobs WHERE run_id = $run");

# Packed as the engine packs them: with what an id shares with the one before.
query(<<"SQL");
CREATE FUNCTION packed(ids text[]) RETURNS bytea LANGUAGE plpgsql AS \$\$
DECLARE
	before text := '';
	id text;
	shared int;
	packed bytea := '';
BEGIN
	FOREACH id IN ARRAY ids LOOP
		shared := 0;
		WHILE shared < length(before) AND shared < length(id) AND substr(before, 1, shared + 1) = substr(id, 1, shared + 1) LOOP
			shared := shared + 1;
		END LOOP;
		packed := packed || set_byte(set_byte('\\x0000'::bytea, 0, shared), 1, length(id) - shared) || convert_to(substr(id, shared + 1), 'UTF8');
		before := id;
	END LOOP;
	RETURN packed;
END \$\$;
CREATE TABLE seen AS SELECT (100000000 + n)::text AS id, n / 100 AS page FROM generate_series(1, $ids) n WHERE n % @{[ int($ids / $missing) ]} <> 0;
INSERT INTO sync_engine.seen_page
	SELECT $job, page + 100, count(*), packed(array_agg(id ORDER BY id COLLATE "C")) FROM seen GROUP BY page;
UPDATE sync_engine.job SET seen = (SELECT sum(n) FROM sync_engine.seen_page WHERE job_id = $job AND page > 0) WHERE job_id = $job;
VACUUM ANALYZE sync_engine.seen_page;
SQL

# lane_usage: processor seconds of the lane, and megabytes that are its own.
sub lane_usage
{
	my ($pid) = @_;
	my @stat = split ' ', slurp_file("/proc/$pid/stat") =~ s/.*\) //sr;
	my ($anon) = slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB$/m;

	return (($stat[11] + $stat[12]) / sysconf(_SC_CLK_TCK), $anon / 1024);
}

my ($pid) = lane_pids($node);
my ($cpu_before, $memory_before) = lane_usage($pid);
my ($cpu, $memory) = (0, 0);
my $start = query('SELECT extract(epoch FROM clock_timestamp())');
my $end = background_psql($node);

# From the answer that lets it begin to its end, looking at little else.
$end->query_until(qr/waits/, "\\echo waits\nSELECT sync_wait($run);\n\\echo over\n");
$simulator->post('fault/clear');
while ($end->{stdout} !~ /over/)
{
	my ($cpu_now, $memory_now) = eval { lane_usage($pid) };

	$cpu = $cpu_now - $cpu_before if defined $cpu_now;
	$memory = $memory_now - $memory_before if defined $memory_now && $memory_now - $memory_before > $memory;
	usleep(10_000);
	$end->{run}->pump_nb;
}
$end->quit;
is(query("SELECT status || ' ' || (SELECT candidates FROM sync_deletes) FROM sync_jobs WHERE run_id = $run"),
	"held $missing", 'all that is missing was found, and waits');
my $seconds = query("SELECT extract(epoch FROM finished_at) - $start FROM sync_jobs WHERE run_id = $run");

# The same by SQL: both sets in tables.
my $antijoin = 1e9;
for (1 .. 3)
{
	my $begun = time;

	is(query("SET work_mem = '64MB'; SELECT count(*) FROM pco_people.person p WHERE org = '$org' AND _deleted_at IS NULL
		AND _synced_at < now() - interval '1 hour' AND NOT EXISTS (SELECT 1 FROM seen s WHERE s.id = p.id)"), $missing, 'the anti-join finds as many');
	my $took = time - $begun;
	$antijoin = $took if $took < $antijoin;
}
my $share = $ids / 1_000_000;
printf $terminal "%d ids: %.2f s (%.2f s of processor), %.0f MB; the anti-join alone %.2f s: ratio %.2f\n",
  $ids, $seconds, $cpu, $memory, $antijoin, $seconds / $antijoin;
# The processor's time, for the machine may be busy with others.
cmp_ok($cpu, '<=', $most_seconds * ($share > 1 ? $share : 1), 'within the time');
cmp_ok($memory, '<=', $most_mb * ($share > 1 ? $share : 1), 'within the memory');

done_testing();
