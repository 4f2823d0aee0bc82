
=pod

=head1 NAME

SyncEngineTest::FakeServer - a server that imitates the API as a test says

=head1 SYNOPSIS

  use SyncEngineTest::FakeServer;

  my $server = SyncEngineTest::FakeServer->new(
      short => sub {
          my ($request) = @_;
          return { body => '{"data": []}' };
      });

  connect_org($node, $server, 'short');
  is($server->requests('short'), 1, 'one request');

=head1 DESCRIPTION

The simulator does what Planning Center does.  This does what others do, and
what Planning Center may do some day.  It is one process that answers one
request after the other, and ends with the test.

Each organisation has a scenario: a sub that is called, in the server's
process, with a hash of the request: C<path>, C<query> (undecoded), C<offset>,
C<per_page>, C<version> (of the API), C<phase>.  It returns a hash with C<body>,
and if it likes C<status> (200) and C<type> (C<application/vnd.api+json>; C<undef>: none).
Who the token is (F</me>) is no part of it: that is always the same person, and not
counted as a request.

=cut

package SyncEngineTest::FakeServer;

use strict;
use warnings FATAL => 'all';

use Carp;
use HTTP::Tiny;
use IO::Socket::INET;
use MIME::Base64 qw(decode_base64);
use POSIX ();

# A client that sends nothing must not stop the server for good.
my $read_timeout_s = 10;

# Those running, by process id.
my %running;

=pod

=head1 METHODS

=over

=item SyncEngineTest::FakeServer->new($org => $scenario, ...)

Start one, on a free port.

=cut

sub new
{
	my ($class, %scenarios) = @_;
	my $listener = IO::Socket::INET->new(
		LocalAddr => '127.0.0.1',
		Listen    => 128,
		Proto     => 'tcp') or croak "could not listen: $!";
	my $test = $$;

	my $pid = fork // croak "could not fork: $!";
	if ($pid == 0)
	{
		# A client that goes away is no reason to end.
		local $SIG{PIPE} = 'IGNORE';
		eval { serve($listener, $test, \%scenarios); 1 } or print {*STDERR} "fake server: $@";
		POSIX::_exit(1);
	}
	$running{$pid} = 1;
	return bless { port => $listener->sockport, pid => $pid, http => HTTP::Tiny->new(timeout => 30) }, $class;
}

=pod

=item $server->url

What C<sync_connect> takes.

=cut

sub url { return "http://127.0.0.1:$_[0]{port}"; }

=pod

=item $server->requests($org)

The requests of the organisation so far, each its path and query.

=cut

sub requests
{
	my ($self, $org) = @_;

	return split /\n/, $self->control("requests/$org");
}

=pod

=item $server->phase($org, $number)

Tell the organisation's scenario, whose C<phase> is 1 until then.

=cut

sub phase
{
	my ($self, $org, $number) = @_;

	$self->control("phase/$org/$number");
	return;
}

=pod

=back

=cut

sub control
{
	my ($self, $path) = @_;
	my $answer = $self->{http}->get($self->url . "/_fake/$path");

	croak "$path: $answer->{status} $answer->{content}" unless $answer->{success};
	return $answer->{content};
}

# ---- The server's process ---------------------------------------------------

sub serve
{
	my ($listener, $test, $scenarios) = @_;
	my (%requests, %phase);

	while (getppid() == $test)
	{
		# Awake now and then, to see whether the test is still there.
		my $ready = '';
		vec($ready, $listener->fileno, 1) = 1;
		next if select($ready, undef, undef, 1) <= 0;

		my $client = $listener->accept or next;
		my $head = read_head($client) // next;
		my ($path, $query) = $head =~ m{^GET ([^ ?]+)\??(\S*)} or next;

		if ($path =~ m{^/_fake/requests/(\w+)$})
		{
			answer($client, { body => join("\n", @{ $requests{$1} // [] }), type => 'text/plain' });
		}
		elsif ($path =~ m{^/_fake/phase/(\w+)/(\d+)$})
		{
			$phase{$1} = $2;
			answer($client, { body => '', type => 'text/plain' });
		}
		elsif ($path =~ m{/v2/me$})
		{
			answer($client, { body => '{"data": {"type": "Person", "id": "1", "attributes": {}}}' });
		}
		else
		{
			my ($credential) = $head =~ /^Authorization: Basic (\S+)/mi;
			my ($org) = decode_base64($credential // '') =~ /^(\w+)-client:/;
			my %request = (path => $path, query => $query, phase => $phase{$org} // 1);

			($request{version})  = $head =~ /^X-PCO-API-Version: (\S+)/mi;
			($request{offset})   = $query =~ /\boffset=(\d+)/;
			($request{per_page}) = $query =~ /\bper_page=(\d+)/;
			push @{ $requests{$org} }, "$path?$query";
			answer($client, $scenarios->{$org}->(\%request));
		}
	}
	return;
}

# read_head: the lines of a request; it has no body.
sub read_head
{
	my ($client) = @_;
	my $head = '';

	until ($head =~ /\r\n\r\n/)
	{
		my $ready = '';
		vec($ready, $client->fileno, 1) = 1;
		return if select($ready, undef, undef, $read_timeout_s) <= 0;
		return unless sysread $client, $head, 8192, length $head;
	}
	return $head;
}

sub answer
{
	my ($client, $answer) = @_;
	my $type = exists $answer->{type} ? $answer->{type} : 'application/vnd.api+json';

	print {$client} join "\r\n",
	  'HTTP/1.1 ' . ($answer->{status} // 200) . ' Fake',
	  'Connection: close',
	  'Content-Length: ' . length($answer->{body}),
	  'X-PCO-API-Request-Rate-Limit: 10000',
	  (defined $type ? "Content-Type: $type" : ()),
	  '', $answer->{body};
	close $client;
	return;
}

# A child that the test forks must not end its parent's servers.
my $owner = $$;

END
{
	local $?;
	if ($$ == $owner)
	{
		kill 'KILL', $_ and waitpid $_, 0 for keys %running;
	}
}

1;
