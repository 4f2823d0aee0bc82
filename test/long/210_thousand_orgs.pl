# A thousand organisations of two hundred people each start at the same second.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;
use SyncEngineTest::FairShare;

# Ten lists, each with an address of its own.  In a sequential run each is read
# by itself, when the one before has ended.  In the others, what a person has
# comes with the pages of people and is counted in its own list afterwards.
# Either way each of the ten jobs is claimed, asks, and ends.
shares_fairly(
	orgs       => 1000,
	people     => 200,
	latency    => 100,
	entities   => [qw(Person Email PhoneNumber Address FieldDatum SocialProfile Household BackgroundCheck Note Campus)],
	executions => [qw(sequential parallel hybrid)]);

done_testing();
