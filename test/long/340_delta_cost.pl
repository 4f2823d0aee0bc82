# A delta of a hundred thousand people costs what has changed: one in a hundred.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;
use SyncEngineTest::DeltaCost;

deltas_cost_little(people => 100_000, changed => 1000);

done_testing();
