# Small syncs of two hundred organisations, beside one with half a million people.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;
use SyncEngineTest::GiantNeighbour;

bears_a_giant(people => 500_000, neighbours => 200, group => 4, interval => 0.4);

done_testing();
