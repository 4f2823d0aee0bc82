
=pod

=head1 NAME

SyncEngineTest::Crowd - many organisations at once, and what they cost

=head1 SYNOPSIS

  use SyncEngineTest;
  use SyncEngineTest::Crowd;

  connect_crowd($node, $sim, map { "org$_" } 1 .. 1000);
  my @samples = watch_lanes($node, sub { share_of_work_done() }, 600, 'all is done');
  is_crowd_equal_to_oracle($node, $sim, \@orgs, 'Person', 'all people are there');

=head1 DESCRIPTION

What SyncEngineTest does for one organisation, in bulk: a statement where there
would be a thousand.

=cut

package SyncEngineTest::Crowd;

use strict;
use warnings FATAL => 'all';

# What a test says goes to its log, once it runs; figures are for the one who
# waits, too.
my $terminal;
BEGIN { open $terminal, '>&', \*STDERR or die $!; }

use Digest::MD5;
use Exporter qw(import);
use PostgreSQL::Test::Utils ();
use SyncEngineTest;
use Time::HiRes qw(time usleep);

our @EXPORT = qw(
  connect_crowd is_crowd_equal_to_oracle first_arrivals none_is_rejected
  memory_of files_of watch_lanes percentile spread show);

# Often enough to meet what lasts a second, rarely enough to be no load.
my $sample_interval_us = 250_000;

# Of the API's rate limit.
my $period_s = 20;

# How many organisations that differ a failed comparison names.
my $orgs_shown = 10;

=pod

=head1 FUNCTIONS

=over

=item connect_crowd($node, $simulator, @orgs)

C<connect_org> for each of them, in one statement.

=cut

sub connect_crowd
{
	my ($node, $simulator, @orgs) = @_;
	my $list = join ', ', map { "'$_'" } @orgs;

	safe_psql($node,
		"SELECT sync_connect(o, o || '-client', o || '-secret', base_url => '" . $simulator->url . "')
		FROM unnest(ARRAY[$list]) o");
	note_server_of($node, $simulator, @orgs);
	return;
}

=pod

=item is_crowd_equal_to_oracle($node, $simulator, \@orgs, $entity, $name)

C<is_equal_to_oracle> for each of the organisations, as one test: digests are
compared instead of rows.  The table is read once, in the form and order in
which the simulator makes its digests.

=cut

sub is_crowd_equal_to_oracle
{
	my ($node, $simulator, $orgs, $entity, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	my @names = map { $_->[0] } compared_columns($node, $simulator, $entity);
	my $columns = join ', ', map { "\"$_\"" } @names;
	my $list = join ', ', map { "'$_'" } @$orgs;
	my $copy = sprintf q{COPY (SELECT org, %s FROM %s WHERE org IN (%s) AND _deleted_at IS NULL
		ORDER BY org, id COLLATE "C") TO STDOUT}, $columns, data_table($entity), $list;
	my (%rows, %digests, %differing);

	open my $lines, '-|', 'psql', '-XAtq', '-d', $node->connstr('sync'), '-c', $copy
	  or die "could not start psql: $!";
	while (my $line = <$lines>)
	{
		my $tab = index $line, "\t";
		my $org = substr $line, 0, $tab;

		$rows{$org}++;
		($digests{$org} //= Digest::MD5->new)->add(substr $line, $tab + 1);
	}
	close $lines or die "psql failed: $?";

	for my $org (@$orgs)
	{
		my ($count, $digest) = split /\s+/,
		  $simulator->get('oracle/digest', org => $org, entity => $entity, columns => join(',', @names));
		my $found = $rows{$org} // 0;

		if ($count == 0)
		{
			$differing{$org} = 'nothing to compare';
		}
		elsif ($found != $count)
		{
			$differing{$org} = "$found rows, should be $count";
		}
		elsif ($digests{$org}->hexdigest ne $digest)
		{
			$differing{$org} = 'as many rows, but others';
		}
	}
	my @shown = grep { defined } (sort keys %differing)[0 .. $orgs_shown - 1];

	return is(scalar keys %differing, 0, $name)
	  || diag(join "\n", map { "$_: $differing{$_}" } @shown);
}

=pod

=item first_arrivals($simulator)

When the first request of each organisation came to the simulator, by
organisation, in seconds since the epoch.

=cut

sub first_arrivals
{
	my ($simulator) = @_;
	my %first;

	for my $line (split /\n/, $simulator->get('log'))
	{
		my (undef, $arrived, $org) = split / /, $line, 4;

		$first{$org} = $arrived / 1e6 if !defined $first{$org} || $arrived / 1e6 < $first{$org};
	}
	return %first;
}

=pod

=item none_is_rejected($simulator, $name)

Test that no request was one too many; a failure says which were, and how many
of the organisation's had come in the period before.

=cut

sub none_is_rejected
{
	my ($simulator, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @log = map { [ split / / ] } split /\n/, $simulator->get('log');
	my @shown;

	for my $rejected (grep { $_->[5] == 429 } @log)
	{
		my ($arrived, $org, $url) = @$rejected[ 1, 2, 4 ];
		my @before = grep { $_->[2] eq $org && $_->[1] <= $arrived && $_->[1] > $arrived - $period_s * 1e6 } @log;

		push @shown, sprintf '%s, after %.1f s: %d within %d s, %s', $org, ($arrived - $log[0][1]) / 1e6,
		  scalar @before, $period_s, $url;
	}
	return is($simulator->stats->{by_status}{429} // 0, 0, $name) || diag(join "\n", @shown);
}

=pod

=item memory_of($pid)

What the process holds, in kB: all of it (VmRSS, with what it touched of the
shared memory), and what is its own (RssAnon).  Nothing if it is gone.

=cut

sub memory_of
{
	my ($pid) = @_;

	open my $file, '<', "/proc/$pid/status" or return;
	my %status = map { /^(\w+):\s+(\d+) kB$/ ? ($1 => $2) : () } <$file>;
	return @status{qw(VmRSS RssAnon)};
}

=pod

=item files_of($pid)

How many descriptors the process has open, and how many of them are sockets.

=cut

sub files_of
{
	my ($pid) = @_;
	my @open = map { readlink // () } glob "/proc/$pid/fd/*";

	return (scalar @open, scalar grep { /^socket:/ } @open);
}

=pod

=item watch_lanes($node, $done, $timeout, $name)

Test that the sub, which returns the share of the work that is done, comes to 1
within so many seconds.  Returns what was seen of the lanes meanwhile, in order:
hashes of C<done>, C<lanes> (how many there were), C<pid>, C<memory>, C<own>
(both in kB), C<files> and C<sockets>.

=cut

sub watch_lanes
{
	my ($node, $done, $timeout, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $end = time + $timeout;
	my @samples;

	while (1)
	{
		my $share = $done->();
		my @pids = lane_pids($node);

		for my $pid (@pids)
		{
			my %sample = (done => $share, lanes => scalar @pids, pid => $pid);

			@sample{qw(memory own files sockets)} = (memory_of($pid), files_of($pid));
			push @samples, \%sample if defined $sample{sockets};
		}
		if ($share >= 1)
		{
			pass($name);
			last;
		}
		if (time > $end)
		{
			fail($name);
			diag(sprintf 'not within %d s: %.1f %% are done', $timeout, 100 * $share);
			last;
		}
		usleep($sample_interval_us);
	}
	return @samples;
}

=pod

=item percentile($percent, @numbers)

The smallest of the numbers that so many percent of them do not exceed.

=cut

sub percentile
{
	my ($percent, @numbers) = @_;
	my @sorted = sort { $a <=> $b } @numbers;
	my $rank = int($percent / 100 * @sorted + 0.999999);

	return $sorted[ $rank > 0 ? $rank - 1 : 0 ];
}

=pod

=item spread(@numbers)

Their median, 95th percentile and maximum, for people to read.

=cut

sub spread
{
	return sprintf 'median %.3f, 95th percentile %.3f, most %.3f', map { percentile($_, @_) } 50, 95, 100;
}

=pod

=item show(@lines)

Write the lines to the log, and to the terminal.

=cut

sub show
{
	note(join "\n", '', @_);
	print $terminal join("\n", '', @_, '');
	return;
}

=pod

=back

=cut

1;
