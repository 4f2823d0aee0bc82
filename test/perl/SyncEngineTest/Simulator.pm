
=pod

=head1 NAME

SyncEngineTest::Simulator - a running API simulator

=head1 SYNOPSIS

  my $sim = SyncEngineTest::Simulator->new(orgs => 2, people => 500);
  $sim->post('latency', ms => 200);
  print $sim->url, $sim->stats->{requests};
  $sim->stop;

=head1 DESCRIPTION

Starts C<test/simulator/pco_simulator> on a free port and talks to its control
plane.  It ends with the test, if not before.

=cut

package SyncEngineTest::Simulator;

use strict;
use warnings FATAL => 'all';

use Carp;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use HTTP::Tiny;
use JSON::PP;
use POSIX qw(:sys_wait_h);
use PostgreSQL::Test::Utils ();
use Time::HiRes qw(usleep);

my $program = dirname(abs_path(__FILE__)) . '/../../simulator/pco_simulator';

# Time to generate the organisations given on the command line, on a busy machine.
my $start_timeout_s = 60;

# Time to generate half a million people, or to write them out.
my $answer_timeout_s = 600;

# Those still running, by process id, and how many there have been.
my %running;
my $started = 0;

=pod

=head1 METHODS

=over

=item SyncEngineTest::Simulator->new(%options)

Start one.  Options are those of the command line, with underscores.

=cut

sub new
{
	my ($class, %options) = @_;
	my $port_file = PostgreSQL::Test::Utils::tempdir() . '/port';
	my $log = "$PostgreSQL::Test::Utils::log_path/simulator_" . ++$started . '.log';
	my @arguments = ('--port', 0, '--port-file', $port_file, '--die-with-parent');

	while (my ($name, $value) = each %options)
	{
		push @arguments, '--' . ($name =~ tr/_/-/r), $value;
	}

	my $pid = fork // croak "could not fork: $!";
	if ($pid == 0)
	{
		open STDOUT, '>>', $log or POSIX::_exit(126);
		open STDERR, '>&', \*STDOUT or POSIX::_exit(126);
		exec $program, @arguments or POSIX::_exit(127);
	}

	my $self = bless { pid => $pid, http => HTTP::Tiny->new(timeout => $answer_timeout_s) }, $class;
	$running{$pid} = $self;

	my $end = Time::HiRes::time() + $start_timeout_s;
	until (-s $port_file)
	{
		if (waitpid($pid, WNOHANG) == $pid)
		{
			delete $running{$pid};
			croak "the simulator did not start: " . PostgreSQL::Test::Utils::slurp_file($log);
		}
		croak "the simulator did not start in time" if Time::HiRes::time() > $end;
		usleep(10_000);
	}
	chomp($self->{port} = PostgreSQL::Test::Utils::slurp_file($port_file));
	return $self;
}

=pod

=item $sim->port, $sim->url, $sim->pid

Where it is: the C<url> is what C<sync_connect> takes.

=cut

sub port { return $_[0]{port}; }
sub pid  { return $_[0]{pid}; }
sub url  { return "http://127.0.0.1:$_[0]{port}"; }

=pod

=item $sim->get($path, %query), $sim->post($path, %query)

Ask the control plane; C<$path> is what follows C</_sim/>.  Returns the decoded
JSON, or the text; dies with the answer if it is not a success.

=cut

sub get  { return shift->control('GET',  @_); }
sub post { return shift->control('POST', @_); }

sub control
{
	my ($self, $method, $path, %query) = @_;
	my $url = $self->url . "/_sim/$path";

	$url .= '?' . $self->{http}->www_form_urlencode(\%query) if %query;

	my $answer = $self->{http}->request($method, $url);
	croak "$method $url: $answer->{status} $answer->{content}" unless $answer->{success};
	return ($answer->{headers}{'content-type'} // '') =~ /json/
	  ? decode_json($answer->{content})
	  : $answer->{content};
}

=pod

=item $sim->list($org, $path)

The API's own answer to the organisation, decoded.  It counts as a request of it.

=cut

sub list
{
	my ($self, $org, $path) = @_;
	my $url = "http://$org-client:$org-secret\@127.0.0.1:$self->{port}$path";
	my $answer = $self->{http}->get($url);

	croak "$path: $answer->{status} $answer->{content}" unless $answer->{success};
	return decode_json($answer->{content});
}

=pod

=item $sim->stats(%query)

What it has counted: requests, by_status, most_in_window and so on.

=cut

sub stats
{
	my ($self, %query) = @_;

	return $self->get('stats', %query);
}

=pod

=item $sim->stop

Stop it.  Returns true if it ended as it should, and not by a crash.

=cut

sub stop
{
	my ($self) = @_;

	return 1 unless delete $running{ $self->{pid} };
	kill TERM => $self->{pid};
	waitpid $self->{pid}, 0;
	return $? == 0;
}

=pod

=back

=cut

# At the end of a test that did not stop them.  Must not spoil its exit status,
# nor end anything in a forked child, whose simulators are its parent's.
my $owner = $$;

END
{
	local $?;
	if ($$ == $owner)
	{
		$_->stop for values %running;
	}
}

1;
