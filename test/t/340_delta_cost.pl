# A delta costs what has changed: test/long/340_delta_cost.pl has a large organisation.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;
use SyncEngineTest::DeltaCost;

deltas_cost_little(people => 5000, changed => 1000);

done_testing();
