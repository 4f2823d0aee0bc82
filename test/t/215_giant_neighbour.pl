# Small syncs do not wait for a large one.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;
use SyncEngineTest::GiantNeighbour;

bears_a_giant(people => 20_000, neighbours => 60, group => 3, interval => 0.3);

done_testing();
