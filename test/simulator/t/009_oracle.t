# The oracle tells what the API shows, as PostgreSQL would print it.
use strict;
use warnings;
use utf8;
use Test::More;
use Digest::MD5 qw(md5_hex);
use Encode qw(encode decode);
use Simulator;

my $sim = Simulator->new(people => 250, 'rate-limit' => 0);
my %paths = (Person => 'people', Email => 'emails', PhoneNumber => 'phone_numbers', Address => 'addresses',
	Household => 'households', Campus => 'campuses', MaritalStatus => 'marital_statuses', NamePrefix => 'name_prefixes',
	Tab => 'tabs', FieldDefinition => 'field_definitions', FieldDatum => 'field_data', PersonMerger => 'person_mergers');

for my $entity (sort keys %paths)
{
	my @columns = map { [ split /\t/ ] } split /\n/, $sim->look("oracle/columns?entity=$entity");
	my @records = $sim->all("/people/v2/$paths{$entity}?per_page=100");
	my %wanted;
	my @shown = grep { !/^(?:mfa_configured|directory_shared_info|stripe_customer_identifier|formatted_number|time_zone_raw)$/ }
	  map { $_->[0] } @columns;
	for my $record (@records)
	{
		my %row;
		for (@columns)
		{
			my ($name, $type) = @$_;
			if ($name eq 'id') { $row{$name} = $record->{id}; }
			elsif ($name =~ /^(.*)_ids$/ && $record->{relationships}{$1})
			{
				$row{$name} = Simulator::printed($record->{relationships}{$1}{data}, $type);
			}
			elsif ($name =~ /^(.*)_(id|type)$/ && $record->{relationships}{$1})
			{
				$row{$name} = Simulator::printed($record->{relationships}{$1}{data}{$2}, 'text');
				$row{$name} = 'Campus' if $name eq 'primary_campus_type';
			}
			else { $row{$name} = Simulator::printed($record->{attributes}{$name}, $type); }
		}
		$wanted{ $record->{id} } = join("\t", map { $row{$_} } @shown);
	}
	my $text = join('', map { "$wanted{$_}\n" } sort keys %wanted);
	is(decode('UTF-8', $sim->look("oracle?org=org1&entity=$entity")), $text, "$entity equals what the API shows");
	is($sim->look("oracle/digest?org=org1&entity=$entity"),
		scalar(@records) . ' ' . md5_hex(encode('UTF-8', $text)) . "\n", "$entity: digest");
}

is($sim->look('oracle/columns?entity=HouseholdMembership'),
	"id\ttext\nhousehold_role\ttext\npending\tboolean\nperson_name\ttext\nperson_id\ttext\nhousehold_id\ttext\n",
	'a nested entity has its parent as a column');
my %households = map { $_->{id} => $_->{household_id} } $sim->oracle('HouseholdMembership', 'id,household_id');
my ($household) = values %households;
is_deeply([ sort $sim->ids("/people/v2/households/$household/household_memberships?per_page=100") ],
	[ sort grep { $households{$_} eq $household } keys %households ], 'with the right values');
is(scalar(() = $sim->oracle('FieldDefinition', 'id')), 9, 'hidden rows are left out');
is(scalar(split /\n/, $sim->look('oracle?org=org1&entity=FieldDefinition&filter=include_deleted')), 10, 'unless asked for');
like($sim->look('oracle?org=org1&entity=Person&columns=id,mfa_configured'), qr/^\d+\t[tf]\n/, 'a fields-only attribute by name');
is($sim->request('GET', '/_sim/oracle?org=org1&entity=Person&columns=id,nonsense')->{status}, 400, 'unknown column');
is($sim->request('GET', '/_sim/oracle?org=nobody&entity=Person')->{status}, 400, 'unknown org');
my ($id) = $sim->ids('/people/v2/people?per_page=1');
$sim->post("mutate?org=org1&entity=Person&op=update&id=$id&attr=medical_notes&value=a%09b%0Ac%5Cd%22e%F0%9F%90%9D");
like($sim->look("oracle?org=org1&entity=Person&columns=id,medical_notes"), qr/^$id\ta\\tb\\nc\\\\d"e\xf0\x9f\x90\x9d$/m, 'COPY escapes');
is($sim->get("/people/v2/people/$id")->{json}{data}{attributes}{medical_notes}, "a\tb\nc\\d\"e\x{1f41d}", 'JSON escapes');
my $nulls = grep { !defined $_->{updated_at} } $sim->oracle('FieldDatum', 'id,updated_at');
cmp_ok($nulls, '>', 0, 'some field data have no updated_at');
is($sim->stop, 0, 'clean exit');
done_testing();
