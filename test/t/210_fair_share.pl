# Organisations that want more jobs at once than lanes take are served in turns.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;
use SyncEngineTest::FairShare;

# Ten lists that no other brings along and that wait for no other: two lanes take
# half of the jobs at once, and the API is so slow that it takes them long.
shares_fairly(
	orgs       => 120,
	people     => 20,
	latency    => 1500,
	entities   => [qw(Person Household Campus Tab MessageGroup NoteCategory App Report Grade List)],
	executions => ['parallel']);

done_testing();
