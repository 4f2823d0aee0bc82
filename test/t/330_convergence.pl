# Random histories: whatever changes, fails, lags and is killed, no live row is
# deleted, and in the end every table is what the organisation has.
#
# SYNC_ENGINE_SEED=123 replays that history alone, and shows its steps.

use strict;
use warnings FATAL => 'all';

use SyncEngineTest;
use SyncEngineTest::History;

my $seed = $ENV{SYNC_ENGINE_SEED};
my @seeds = defined $seed ? $seed : 1 .. $ENV{SYNC_ENGINE_SEEDS} // 8;

are_survived(\@seeds, modes => [qw(auto delta full reconcile reconcile)], workers => @seeds > 1 ? 2 : 1, show => defined $seed);

done_testing();
