# The same as test/t/330_convergence.pl, with many more histories.

use strict;
use warnings FATAL => 'all';

use FindBin;

$ENV{SYNC_ENGINE_SEEDS} //= 500;
exec $^X, "$FindBin::RealBin/../t/330_convergence.pl" or die "cannot run it: $!";
