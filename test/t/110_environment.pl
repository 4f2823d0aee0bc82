# Surroundings that are not as they should be: each time a clear error or
# state, with what to do, and work goes on once it is done.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;

my $soon_s = 30;
my $people = 30;
my $simulator = start_simulator(people => $people, rate_limit => 0);
my $url = $simulator->url;
my $connect = "SELECT sync_connect('org1', 'org1-client', 'org1-secret', base_url => '$url')";
my $run = q{SELECT entity, status, fetched, error FROM sync_run('org1', ARRAY['Person'], mode => 'full')};
my $well = "Person|succeeded|$people|";

# is_refused: test what a node says to the SQL, to the letter.
sub is_refused
{
	my ($node, $sql, $message, $name, $database) = @_;
	my (undef, undef, $stderr) = $node->psql($database // 'sync', "\\set VERBOSITY verbose\n$sql;");

	$stderr =~ s/^psql:[^ ]+ //;
	$stderr =~ s/\n(LOCATION|CONTEXT):.*//s;
	is($stderr, $message, $name);
	return;
}

# fails: test that the run's row tells of a failure, with message, hint and
# SQLSTATE.
sub fails
{
	my ($node, $sqlstate, $error, $hint, $name) = @_;

	is($node->safe_psql('sync', $run), "Person|failed|0|$error\n$hint", "$name: the run says so");
	is( $node->safe_psql('sync', 'SELECT sqlstate, error, hint FROM sync_jobs ORDER BY job_id DESC LIMIT 1'),
		"$sqlstate|$error|$hint",
		"$name: and so does its job");
	return;
}

sub works
{
	my ($node, $name) = @_;

	is($node->safe_psql('sync', $run), $well, "$name: a run succeeds");
	return;
}

# ---- not preloaded --------------------------------------------------------

{
	my $node = new_cluster(name => 'bare', conf => { shared_preload_libraries => '' });
	my $message = "ERROR:  55000: sync_engine is not loaded at server start\n"
	  . 'HINT:  Add sync_engine to shared_preload_libraries and restart the server.';

	is_refused($node, $_, $message, "not preloaded: $_")
	  for $connect, q{SELECT sync_disconnect('org1')}, 'SELECT sync_adopt()', q{SELECT * FROM sync_check('org1')},
	  q{SELECT * FROM sync_run('org1')}, q{SELECT sync_start('org1')}, 'SELECT sync_wait(1)', 'SELECT sync_cancel(1)',
	  'SELECT * FROM sync_progress';
	is($node->safe_psql('sync', 'SELECT count(*) FROM sync_runs'), '0', 'not preloaded: the views can be read');
	unlike(server_log($node), qr/org1-secret/, 'not preloaded: the log has no secret even so');
	$node->stop('immediate');
}

# ---- worker slots ---------------------------------------------------------

{
	# one goes to logical replication, none is left for the launcher
	my $node = new_cluster(name => 'tiny', conf => { max_worker_processes => 1 });
	my $hint = 'HINT:  Increase max_worker_processes and restart the server, or try again when other workers have ended.';

	$node->safe_psql('sync', $connect);
	is_refused($node, $run, "ERROR:  53000: the launcher of sync_engine does not run\n$hint", 'no slot for the launcher');

	$node->adjust_conf('postgresql.conf', 'max_worker_processes', 2);
	$node->restart;
	is_refused($node, $run, "ERROR:  53000: no background worker slot is free for a lane\n$hint", 'no slot for a lane');
	my $id = $node->safe_psql('sync', q{SELECT sync_start('org1', ARRAY['Person'], mode => 'full')});
	is($node->safe_psql('sync', "SELECT sync_wait($id, '0')"), 'queued', 'no slot for a lane: a run is queued');
	is_refused($node, "SELECT sync_wait($id)", "ERROR:  53000: no background worker slot is free for a lane\n$hint",
		'no slot for a lane: and cannot be waited for');
	like(server_log($node), qr/LOG:  sync_engine: no background worker slot is free/, 'no slot for a lane: the log says so');

	$node->adjust_conf('postgresql.conf', 'max_worker_processes', 3);
	$node->restart;
	is($node->safe_psql('sync', "SELECT sync_wait($id, '$soon_s s')"), 'succeeded',
		'with one slot more, what was queued is done');
	$node->stop('immediate');
}

# ---- a standby ------------------------------------------------------------

my $node = new_cluster(init => { allows_streaming => 1 });
my $data = $node->data_dir;
connect_org($node, $simulator, 'org1');
works($node, 'the primary');

{
	my $standby = PostgreSQL::Test::Cluster->new('standby');
	$node->backup('base');
	$standby->init_from_backup($node, 'base', has_streaming => 1);
	# the test library's own copying does not keep modes
	chmod 0600, $standby->data_dir . '/sync_engine.key' or die $!;
	$standby->start;
	$node->wait_for_catchup($standby);

	for my $call (
		$connect, q{SELECT sync_disconnect('org1')}, 'SELECT sync_adopt()', q{SELECT * FROM sync_check('org1')},
		q{SELECT * FROM sync_run('org1')}, q{SELECT sync_start('org1')}, 'SELECT sync_wait(1)', 'SELECT sync_cancel(1)')
	{
		my ($function) = $call =~ /(sync_\w+)/;
		is_refused($standby, $call,
			"ERROR:  25006: $function cannot be called on a standby\n"
			  . 'HINT:  Call it on the primary; a promoted standby takes the work over.',
			"a standby: $function");
	}
	is($standby->safe_psql('sync', 'SELECT count(*) FROM pco.person'), $people, 'a standby: the data can be read');
	is($standby->safe_psql('sync', 'SELECT status FROM sync_runs'), 'succeeded', 'a standby: and the state');
	is($standby->safe_psql('sync', 'SELECT count(*) FROM sync_progress'), '0', 'a standby: nothing goes on there');
	$node->stop;
	$standby->promote;
	works($standby, 'a promoted standby');
	$standby->stop('immediate');
	$node->start;
}

# ---- databases that are not served ----------------------------------------

{
	$node->append_conf('postgresql.conf', q{sync_engine.database_names = 'elsewhere'});
	$node->reload;
	my $message = "ERROR:  55000: database \"sync\" is not in sync_engine.database_names\n"
	  . 'HINT:  An administrator can add it, or empty the setting to serve every database.';
	wait_for(sub { ($node->psql('sync', q{SELECT sync_start('org1')}))[0] != 0 }, $soon_s, 'the setting has come through');
	is_refused($node, $_, $message, "a database that is not served: $_")
	  for $run, q{SELECT sync_start('org1')}, $connect, 'SELECT sync_wait(1)';
	$node->append_conf('postgresql.conf', q{sync_engine.database_names = 'elsewhere, sync'});
	$node->reload;
	wait_for(sub { ($node->psql('sync', q{SELECT sync_wait(1)}))[0] == 0 }, $soon_s, 'the setting has come through');
	works($node, 'a database that is served again');
}

{
	$node->append_conf('postgresql.conf', q{sync_engine.database_names = ''});
	$node->reload;
	$node->safe_psql('postgres', q{CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0});
	$node->safe_psql('latin', 'CREATE EXTENSION sync_engine');
	wait_for(sub { $node->safe_psql('latin', 'SHOW sync_engine.database_names') eq '' }, $soon_s, 'the setting has come through');
	is_refused(
		$node, $connect,
		"ERROR:  0A000: database \"latin\" does not have encoding UTF8\n"
		  . q{HINT:  Planning Center's data need a database created with ENCODING 'UTF8'.},
		'a database of another encoding', 'latin');
	$node->safe_psql('postgres', 'DROP DATABASE latin WITH (FORCE)');
}

# ---- the owner of the data tables -----------------------------------------

{
	$node->append_conf('postgresql.conf', q{sync_engine.table_owner = 'keeper'});
	$node->reload;
	fails($node, '42704', 'role "keeper" of sync_engine.table_owner does not exist',
		'Create the role, or set sync_engine.table_owner to an existing one.', 'a table owner that is missing');

	# a superuser's tables are not the keeper's to write
	$node->safe_psql('sync', 'CREATE ROLE keeper; CREATE ROLE squatter; DROP SCHEMA pco_people, pco CASCADE; '
		  . 'CREATE SCHEMA pco_people AUTHORIZATION squatter');
	fails($node, '42501', 'schema "pco_people" does not belong to the owner of the data tables',
		'Give the schema to role "keeper", or set sync_engine.table_owner.', 'a schema of somebody else');
	$node->safe_psql('sync', 'ALTER SCHEMA pco_people OWNER TO keeper');
	works($node, 'a schema that was given back');
	is($node->safe_psql('sync', q{SELECT relowner::regrole FROM pg_class WHERE oid = 'pco_people.person'::regclass}),
		'keeper', 'its tables are the owner\'s');

	$node->safe_psql('sync', 'DROP SCHEMA pco CASCADE; CREATE SCHEMA pco AUTHORIZATION squatter');
	fails($node, '42501', 'schema "pco" does not belong to the owner of the data tables',
		'Give the schema to role "keeper", or set sync_engine.table_owner.', 'the schema of the views, too');
	$node->safe_psql('sync', 'ALTER SCHEMA pco OWNER TO keeper');
	works($node, 'the schema of the views given back');
}

# ---- a server that refuses ------------------------------------------------

{
	$simulator->post('permission', org => 'org1', forbid => 'Email');
	is( $node->safe_psql('sync', q{SELECT entity, status, error FROM sync_run('org1', ARRAY['Person', 'Email'], mode => 'full')}),
		"Person|succeeded|\n"
		  . 'Email|failed|the token may not read this (403: You do not have access to this resource)' . "\n"
		  . q{In Planning Center, give the token's user access to it, or leave the entity out.},
		'a forbidden entity fails alone');
	is($node->safe_psql('sync', 'SELECT status FROM sync_runs ORDER BY run_id DESC LIMIT 1'), 'partial', 'the run is partial');
	is($node->safe_psql('sync', q{SELECT sqlstate FROM sync_jobs WHERE entity = 'Email'}), 'SE403', 'with a SQLSTATE that says 403');
	is($node->safe_psql('sync', 'SELECT status FROM sync_orgs'), 'active', 'and the org goes on');
	$simulator->post('permission', org => 'org1', allow => 'Email');

	$simulator->post('permission', org => 'org1', forbid_product => 'giving');
	is( $node->safe_psql('sync', q{SELECT product, accessible FROM sync_check('org1') WHERE product IN ('giving', 'people')}),
		"giving|f\npeople|t",
		'sync_check tells which products the token may read');

	$node->safe_psql('sync', "SELECT sync_connect('org1', 'org1-client', 'wrong', base_url => '$url')");
	my $error = 'the API refuses the credential (401: The credentials you provided are not valid)';
	my $hint = q{Call sync_connect('org1', ...) with a valid token.};
	fails($node, 'SE401', $error, $hint, 'a wrong secret');
	is($node->safe_psql('sync', 'SELECT status, sqlstate, error, hint FROM sync_orgs'), "stopped|SE401|$error|$hint",
		'a wrong secret: the org is stopped');
	my $asked = $simulator->stats->{requests};
	fails($node, 'SE002', $error, $hint, 'an org that is stopped');
	is($simulator->stats->{requests}, $asked, 'an org that is stopped: the API is left alone');
	connect_org($node, $simulator, 'org1');
	works($node, 'an org that was connected again');
}

# Another church's token under the same name must not mix their data.
{
	$simulator->post('org', org => 'org2', people => 20);
	$node->safe_psql('sync', "SELECT sync_connect('org1', 'org2-client', 'org2-secret', base_url => '$url')");
	my $before = $node->safe_psql('sync', 'SELECT count(*), max(_synced_at) FROM pco_people.person');
	like(
		$node->safe_psql('sync', $run),
		qr/^Person\|failed\|0\|the token belongs to Planning Center organisation \d+, but the data of org "org1" came from another\nConnect this token under an org name of its own\.$/,
		'the token of another church is refused');
	is($node->safe_psql('sync', 'SELECT status, sqlstate FROM sync_orgs'), 'stopped|SE005', 'and stops the org');
	is($node->safe_psql('sync', 'SELECT count(*), max(_synced_at) FROM pco_people.person'), $before, 'nothing was written');
	connect_org($node, $simulator, 'org1');
	works($node, 'with its own token');
}

# A host that is not allowed any more.
{
	$node->append_conf('postgresql.conf', q{sync_engine.allowed_hosts = 'api.planningcenteronline.com'});
	$node->reload;
	wait_for(
		sub { $node->safe_psql('sync', 'SHOW sync_engine.allowed_hosts') !~ /127/ },
		$soon_s, 'the setting has come through');
	fails($node, 'SE002', "$url is not in sync_engine.allowed_hosts",
		'An administrator can add it to sync_engine.allowed_hosts.', 'a host that is not allowed any more');
	$node->append_conf('postgresql.conf', q{sync_engine.allowed_hosts = 'http://127.0.0.1:*'});
	$node->reload;
	wait_for(
		sub { $node->safe_psql('sync', 'SHOW sync_engine.allowed_hosts') =~ /127/ },
		$soon_s, 'the setting has come through');
	works($node, 'a host that is allowed again');
}

# ---- the key --------------------------------------------------------------

{
	my $key = "$data/sync_engine.key";
	my $hint = 'Restore the file named by sync_engine.key_file, or call sync_connect again.';

	is((stat $key)[2] & 07777, 0600, 'the key file is its owner\'s alone');
	is(-s $key, 32, 'it holds a key');

	rename $key, "$key.away" or die $!;
	fails($node, 'SE002',
		'could not read the key file of sync_engine: key file "sync_engine.key" could not be opened: No such file or directory',
		$hint, 'a key that is missing');
	is_refused(
		$node, $connect,
		'ERROR:  F0000: could not read the key file of sync_engine: key file "sync_engine.key" could not be opened: No such file or directory'
		  . "\nHINT:  The server makes sync_engine.key_file when it starts; see that it can.",
		'a key that is missing: no credential can be stored');

	$node->restart;
	is(-s $key, 32, 'the server makes a new key');
	fails($node, 'SE002', q{the stored credential cannot be opened with this server's key}, $hint, 'a key that is another one');
	is($node->safe_psql('sync', 'SELECT count(*) FROM pco_people.person'), $people, 'a key that is another one: the data can be read');

	rename "$key.away", $key or die $!;
	works($node, 'the key that was restored');

	chmod 0644, $key or die $!;
	fails($node, 'SE002',
		'could not read the key file of sync_engine: key file "sync_engine.key" is open to group or others; its mode should be 0600',
		$hint, 'a key that others can read');
	chmod 0600, $key or die $!;

	unlink $key or die $!;
	$node->restart;
	connect_org($node, $simulator, 'org1');
	works($node, 'a new key and the credential stored again');
}

# ---- copies ---------------------------------------------------------------

{
	my $error = 'this is a copy of the database that the credentials were stored in';
	my $hint = 'Call sync_adopt() if this copy may use them, or sync_connect with others.';

	# lanes leave by themselves when they are idle
	wait_for(sub { !lane_pids($node) }, $soon_s, 'no lane holds the database');
	$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE sync');
	my $asked = $simulator->stats->{requests};
	is($node->safe_psql('copy', $run), "Person|failed|0|$error\n$hint", 'a copied database: does not use the credentials');
	is($simulator->stats->{requests}, $asked, 'a copied database: asks for nothing');
	works($node, 'the original meanwhile');
	$node->safe_psql('copy', 'SELECT sync_adopt()');
	is($node->safe_psql('copy', $run), $well, 'a copied database: adopted, it works');
	works($node, 'and so does the original');

	# as pg_upgrade or a restore into another cluster would have it
	$node->safe_psql('sync', 'UPDATE sync_engine.credential SET system_identifier = system_identifier + 1');
	fails($node, 'SE002', $error, $hint, 'a copied cluster');
	is( $node->safe_psql('sync', 'SELECT status FROM sync_orgs'), 'active', 'a copied cluster: the org is not at fault');
	$node->safe_psql('sync', 'SELECT sync_adopt()');
	works($node, 'a copied cluster that was adopted');
}

# ---- what else can be in the way ------------------------------------------

# A user's own table where the engine would make its.
{
	$node->safe_psql('sync', 'ALTER TABLE pco_people.person RENAME TO mine');
	$node->safe_psql('sync', 'CREATE TABLE pco_people.person (id int)');
	like($node->safe_psql('sync', $run), qr/^Person\|failed\|0\|/, 'another table in its place fails the run');
	$node->safe_psql('sync', 'DROP TABLE pco_people.person CASCADE; ALTER TABLE pco_people.mine RENAME TO person');
	works($node, 'the table in its place again');
}

unlike(server_log($node), qr/PANIC|TRAP|terminated by signal/, 'no process came to harm');

done_testing();
