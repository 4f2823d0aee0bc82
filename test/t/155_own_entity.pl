# The worked example of docs/manifest.md, an entity of the user's own, run as it
# is written there: what the documentation shows is what happens.

use strict;
use warnings FATAL => 'all';

use File::Copy qw(copy);
use FindBin;
use PostgreSQL::Test::Utils qw(append_to_file slurp_file);
use SyncEngineTest;

my $top = "$FindBin::Bin/../..";
my $heading = '## Worked example';

# ---- What the documentation says ----------------------------------------------

# Its steps, each a hash: the statements to run, and what they shall show.
my ($example) = slurp_file("$top/docs/manifest.md") =~ /^\Q$heading\E.*?\n(.*?)(?=^## )/ms
  or BAIL_OUT("no \"$heading\" in docs/manifest.md");
my @steps;

for my $text ($example =~ /^### \d+\. (.*?)(?=^### |\z)/msg)
{
	my ($title) = split /\n/, $text;
	my ($sql, $output) = ('', undef);

	while ($text =~ /^```(\w*)\n(.*?)^```$/msg)
	{
		$1 eq 'sql' ? ($sql .= $2) : ($output = $2);
	}
	push @steps, { title => $title, sql => $sql, output => $output };
}
is(scalar(grep { $_->{sql} ne '' } @steps), 5, 'the example has five steps, each with statements');
my ($say, $check, $sync, $use, $release) = @steps;

# ---- An API that has gadgets --------------------------------------------------

# So many that the end of the list is found by the filter, not by a deep offset.
my $catalogue = PostgreSQL::Test::Utils::tempdir() . '/catalogue';

mkdir $catalogue or die "$catalogue: $!";
copy($_, $catalogue) or die "$_: $!" for glob "$top/test/simulator/catalogue/*.conf";
append_to_file("$catalogue/zz_gadget.conf", <<'CONF');
product people
entity Gadget gadgets
rows fixed 20300
attribute name string words sentence 1 3 changes
attribute weight float float 1 90
attribute made_on date date 2001 2020 nulls 20
attribute created_at date_time created
attribute updated_at date_time updated
to_one owner Person random
order created_at updated_at
where created_at updated_at
CONF

my $sim = start_simulator(catalogue => $catalogue, people => 150, rate_limit => 0);
my $node = new_cluster();

$sim->post('org', org => 'demo', people => 150);
connect_org($node, $sim, 'demo');

sub value { return $node->safe_psql('sync', $_[0]); }

# problem: what a statement that fails says.
sub problem
{
	my ($status, $out, $error) = $node->psql('sync', "\\set VERBOSITY verbose\n\\set SHOW_CONTEXT never\n$_[0]");

	return $status ? $error : "no error: $out";
}

# run: a step as it stands, in the form in which psql shows it to people.
sub run
{
	my ($step) = @_;
	my ($status, $out, $error) = $node->psql('sync', $step->{sql}, extra_params => [ '-P', 'format=aligned', '-P', 'tuples_only=off' ]);

	is($status, 0, "$step->{title}: its statements run") or diag($error);
	return $out =~ s/ +$//mgr =~ s/\s+\z//r;
}

# lists: the requests for gadgets since the last time.
my $seen = 0;

sub lists
{
	my @lines = map { [ split / / ] } split /\n/, $sim->get('log', after => $seen);

	$seen = $lines[-1][0] if @lines;
	return map { s/%5B/[/gr =~ s/%5D/]/gr } grep { m{/people/v2/gadgets\b} } map { $_->[4] } @lines;
}

# ---- 1 to 4 -------------------------------------------------------------------

run($say);
is(run($check), $check->{output} =~ s/\s+\z//r, 'they show what the documentation shows');
is(value(q{SELECT DISTINCT source FROM sync_engine.manifest_entity WHERE entity = 'Gadget'}), 'user', 'the rows are the user\'s');

lists();
like(run($sync), qr/^ Gadget +\| full +\| succeeded +\| +20300 +\| +20300 +\|$/m, 'the first sync reads all');
my @lists = lists();
is(scalar(grep { !/\border=updated_at\b/ } @lists), 0, 'in the order of the key') or diag("@lists");
ok(scalar(grep { /\bwhere\[updated_at\]\[gte\]=\d{4}-/ } @lists), 'and filtered by it');
is_equal_to_oracle($node, $sim, 'demo', 'Gadget', 'all gadgets are there');
is_equal_to_oracle($node, $sim, 'demo', 'Person', 'and their owners');
is(value(q{SELECT relkind FROM pg_class WHERE oid = 'pco.gadget'::regclass}), 'v', 'with a view');
is( value(q{SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) FROM pg_attribute
		WHERE attrelid = 'pco.gadget'::regclass AND attnum > 0}),
	'org text, id text, owner_id text, name text, weight numeric, made_on date, created_at timestamp with time zone, updated_at timestamp with time zone',
	'of the columns that were said');
is(value('SELECT count(*) FROM pco.gadget'), value('SELECT count(*) FROM pco_people.gadget'), 'and all rows');
my ($owners) = run($use) =~ /^\((\d+) rows\)$/m;
is($owners, value('SELECT count(DISTINCT owner_id) FROM pco_people.gadget'), 'each owner is joined');

my $writer = 'SELECT max(_run_id), max(_synced_at) FROM pco_people.gadget';
my $written = value($writer);

like(run($sync), qr/^ Gadget +\| full +\| succeeded +\| +20300 +\| +0 +\|$/m, 'a second sync inserts nothing');
is(value($writer), $written, 'and writes nothing');
$sim->post('mutate', org => 'demo', entity => 'Gadget', op => 'update', count => 4);
$sim->post('mutate', org => 'demo', entity => 'Gadget', op => 'insert', count => 2);
is( value(q{SELECT status, inserted, updated FROM sync_run('demo', ARRAY['Gadget'], mode => 'full') WHERE entity = 'Gadget'}),
	'succeeded|2|4', 'then only what has changed');
is_equal_to_oracle($node, $sim, 'demo', 'Gadget', 'equal again');

# ---- A row that is wrong ------------------------------------------------------

value(q{INSERT INTO sync_engine.manifest_entity (product, entity, path) VALUES ('people', 'Widget', '/widgets')});
like( problem(q{SELECT * FROM sync_run('demo', ARRAY['Widget'], mode => 'full')}),
	qr{^psql:\S+ ERROR:  42P17: the manifest of entity "people.Widget" is not sound: path /widgets is not beneath the product's base_path /people/v2$
^HINT:  A path of product "people" begins with /people/v2/\.$}m, 'a path elsewhere is an error that says what to do');
is( value(q{SELECT string_agg(entity || ' ' || status, ', ' ORDER BY entity) FROM sync_run('demo', ARRAY['Campus', 'Household'], mode => 'full')}),
	'Campus succeeded, Household succeeded', 'which keeps no other entity from being synced');
value(q{UPDATE sync_engine.manifest_entity SET path = '/people/v2/widgets' WHERE entity = 'Widget'});
like(value(q{SELECT status, error FROM sync_run('demo', ARRAY['Widget'], mode => 'full')}), qr/^failed\|the API does not have this list/, 'once it is right, the API is asked');
value(q{DELETE FROM sync_engine.manifest_entity WHERE entity = 'Widget'});

# ---- 5. A release brings it ----------------------------------------------------

value(<<~'SQL');
	INSERT INTO sync_engine.manifest_entity (product, entity, source, path, get_path, order_keys, where_keys)
	SELECT product, entity, 'builtin', path, get_path, order_keys, where_keys FROM sync_engine.manifest_entity WHERE entity = 'Gadget';
	INSERT INTO sync_engine.manifest_attribute (product, entity, attribute, source, type, position)
	SELECT product, entity, attribute, 'builtin', type, position FROM sync_engine.manifest_attribute WHERE entity = 'Gadget';
	INSERT INTO sync_engine.manifest_relationship (product, entity, relationship, source, target, many)
	SELECT product, entity, relationship, 'builtin', target, many FROM sync_engine.manifest_relationship WHERE entity = 'Gadget';
	INSERT INTO sync_engine.manifest_edge (product, entity, parent, source, kind)
	SELECT product, entity, parent, 'builtin', kind FROM sync_engine.manifest_edge WHERE entity = 'Gadget';
	SQL
run($release);
is( value(q{SELECT string_agg(DISTINCT source, ' ') FROM (SELECT source, entity FROM sync_engine.manifest_entity
		UNION ALL SELECT source, entity FROM sync_engine.manifest_attribute
		UNION ALL SELECT source, entity FROM sync_engine.manifest_relationship
		UNION ALL SELECT source, entity FROM sync_engine.manifest_edge) m WHERE entity = 'Gadget'}),
	'builtin', 'only the release\'s rows are left');
$written = value($writer);
is(value(q{SELECT status, inserted, updated FROM sync_run('demo', ARRAY['Gadget'], mode => 'full') WHERE entity = 'Gadget'}),
	'succeeded|0|0', 'the data stay as they are');
is(value($writer), $written, 'every row of them');

done_testing();
