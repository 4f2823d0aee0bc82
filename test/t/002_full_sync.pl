# A first sync brings in exactly what the API has, for every kind of entity.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;

my @entities = qw(Person Email PhoneNumber Address Household Campus MaritalStatus FieldDatum);
my $list = join ', ', map { "'$_'" } @entities;

my $simulator = start_simulator(people => 500, orgs => 2, rate_limit => 0);
my $node = new_cluster();

for my $org (qw(org1 org2))
{
	connect_org($node, $simulator, $org);
	is( $node->safe_psql(
			'sync',
			"SELECT status, count(*) FROM sync_run('$org', ARRAY[$list], mode => 'full') GROUP BY status"),
		'succeeded|' . @entities,
		"$org: every entity succeeds");
}

# Ids of the two overlap: neither may have touched the other's rows.
for my $org (qw(org1 org2))
{
	is_equal_to_oracle($node, $simulator, $org, $_, "$org: $_") for @entities;
}
is($simulator->stats->{rejected_429_self}, 0, 'no request beyond the limit');
unlike(server_log($node), qr/org[12]-secret/, 'no secret in the log');

done_testing();
