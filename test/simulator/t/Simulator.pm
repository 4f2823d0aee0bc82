# t/Simulator.pm: starts the simulator on a free port and talks to it.
package Simulator;

use strict;
use warnings;
use utf8;

use Encode qw(encode);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use HTTP::Tiny;
use JSON::PP;
use MIME::Base64 qw(encode_base64);
use Time::HiRes qw(sleep time);

# new(option => value ...): options are those of the command line.
sub new
{
	my ($class, %options) = @_;
	my $dir = tempdir(CLEANUP => 1);
	my $self = bless {
		dir => $dir,
		http => HTTP::Tiny->new(timeout => 60, max_redirect => 0),
		org => 'org1'
	}, $class;
	my @command = (
		split(' ', $ENV{SIMULATOR_WRAPPER} // ''),
		dirname(__FILE__) . '/../pco_simulator',
		'--port' => 0,
		'--port-file' => "$dir/port",
		'--die-with-parent',
		map { ("--$_" => $options{$_}) } sort keys %options);
	$self->{pid} = fork() // die "fork: $!";
	if ($self->{pid} == 0)
	{
		exec(@command) or die "exec $command[0]: $!";
	}
	my $deadline = time() + 60;
	until (-s "$dir/port")
	{
		die "the simulator did not start" if time() > $deadline || waitpid($self->{pid}, 1) > 0;
		sleep(0.02);
	}
	open(my $file, '<', "$dir/port") or die $!;
	chomp($self->{port} = <$file>);
	$self->{base} = "http://127.0.0.1:$self->{port}";
	return $self;
}

# stop ends the simulator and returns its exit status.
sub stop
{
	my ($self) = @_;
	my $pid = delete $self->{pid} or return;
	kill 'TERM', $pid;
	waitpid($pid, 0);
	return $?;
}

sub DESTROY
{
	local ($?, $!, $@);
	$_[0]->stop;
}

sub authorization
{
	my ($org) = @_;
	return 'Basic ' . encode_base64("$org-client:$org-secret", '');
}

# request(METHOD, path, headers): the raw reply, with the JSON decoded if any.
sub request
{
	my ($self, $method, $path, $headers) = @_;
	my $reply = $self->{http}->request($method, $self->{base} . $path, { headers => $headers // {} });
	if (($reply->{headers}{'content-type'} // '') =~ /json/)
	{
		$reply->{json} = eval { JSON::PP->new->utf8->decode($reply->{content}) };
	}
	return $reply;
}

# get(path, org, headers): a request of the API with an organisation's token.
sub get
{
	my ($self, $path, $org, $headers) = @_;
	return $self->request('GET', $path,
		{ Authorization => authorization($org // $self->{org}), %{ $headers // {} } });
}

# list(path): the JSON of a list that must succeed.
sub list
{
	my ($self, $path, $org) = @_;
	my $reply = $self->get($path, $org);
	die "$path: $reply->{status} " . substr($reply->{content}, 0, 300) if $reply->{status} != 200 || !$reply->{json};
	return $reply->{json};
}

# ids(path): the ids of a list.
sub ids
{
	my ($self, $path, $org) = @_;
	return map { $_->{id} } @{ $self->list($path, $org)->{data} };
}

# all(path): every record of a list, by following links.next.
sub all
{
	my ($self, $path, $org) = @_;
	my @records;
	while (defined $path)
	{
		my $page = $self->list($path, $org);
		push @records, @{ $page->{data} };
		$path = $page->{links}{next};
		$path =~ s/^\Q$self->{base}\E// if defined $path;
	}
	return @records;
}

# control(method, what): a request of the control plane that must succeed.
sub control
{
	my ($self, $method, $what) = @_;
	my $reply = $self->request($method, "/_sim/$what");
	die "$what: $reply->{status} " . substr($reply->{content}, 0, 300) if $reply->{status} != 200;
	return $reply->{json} // $reply->{content};
}

sub post { return $_[0]->control('POST', $_[1]); }
sub look { return $_[0]->control('GET', $_[1]); }

# oracle(entity, columns, org): the truth as a list of hashes.
sub oracle
{
	my ($self, $entity, $columns, $org) = @_;
	my @names = split(/,/, $columns);
	my $text = $self->look('oracle?org=' . ($org // $self->{org}) . "&entity=$entity&columns=$columns");
	my @rows;
	for my $line (split(/\n/, $text))
	{
		my %row;
		@row{@names} = map { $_ eq '\N' ? undef : $_ } split(/\t/, $line, -1);
		push @rows, \%row;
	}
	return @rows;
}

# canonical writes JSON as jsonb prints it.
sub canonical
{
	my ($value) = @_;
	if (ref $value eq 'HASH')
	{
		my @keys = sort { length(encode('UTF-8', $a)) <=> length(encode('UTF-8', $b)) || $a cmp $b } keys %$value;
		return '{' . join(', ', map { JSON::PP->new->allow_nonref->encode($_) . ': ' . canonical($value->{$_}) } @keys) . '}';
	}
	return '[' . join(', ', map { canonical($_) } @$value) . ']' if ref $value eq 'ARRAY';
	return JSON::PP->new->allow_nonref->encode($value);
}

# printed writes an attribute as COPY does.
sub printed
{
	my ($value, $type) = @_;
	return '\N' unless defined $value;
	if ($type eq 'timestamptz') { $value =~ s/T/ /; $value =~ s/Z$/+00/; }
	elsif ($type eq 'boolean') { $value = $value ? 't' : 'f'; }
	elsif ($type eq 'jsonb') { $value = canonical($value); }
	elsif ($type eq 'text[]') { $value = '{' . join(',', map { $_->{id} } @$value) . '}'; }
	$value =~ s/\\/\\\\/g;
	return $value;
}

1;
