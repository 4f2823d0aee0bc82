# The same as test/t/205_idle.pl, watched for a minute.

use strict;
use warnings FATAL => 'all';

use FindBin;

# Longer than any pause of the launcher, which is a minute at the most.
$ENV{SYNC_ENGINE_IDLE_S} //= 62;
exec $^X, "$FindBin::RealBin/../t/205_idle.pl" or die "cannot run it: $!";
