# The same as test/t/030_moving_rows.pl, with ten times as many storms.

use strict;
use warnings FATAL => 'all';

use FindBin;

$ENV{SYNC_ENGINE_REPEAT} //= 10;
require "$FindBin::RealBin/../t/030_moving_rows.pl";
