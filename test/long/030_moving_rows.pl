# The same as test/t/030_moving_rows.pl, ten times as often.

use strict;
use warnings FATAL => 'all';

use FindBin;

$ENV{SYNC_ENGINE_REPEAT} //= 10;
exec $^X, "$FindBin::RealBin/../t/030_moving_rows.pl" or die "cannot run it: $!";
