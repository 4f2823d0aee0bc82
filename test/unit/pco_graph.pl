# pco_graph.pl: the dependency graph of the built-in manifest as a C header.
#
# usage: perl pco_graph.pl sql/21_manifest_data.sql > pco_graph.h
#
# Reads the calls of sync_engine.manifest_add: product and entity come first,
# and of all its arguments only the edges are lists of ["Parent","kind",rank].

use strict;
use warnings FATAL => 'all';

my (@names, %number, @edges);

local $/ = "SELECT sync_engine.manifest_add(";
while (my $call = <>)
{
	my ($product, $entity) = $call =~ /^'(\w+)', '(\w+)',/ or next;
	my $name = "$product.$entity";

	die "$name comes twice\n" if exists $number{$name};
	$number{$name} = @names;
	push @names, $name;
	push @edges, [ "$product.$1", $name, $2 eq 'hard' ? 'true' : 'false', $3 ]
	  while $call =~ /\["(\w+)","(hard|soft)",(\d+)\]/g;
}
die "no entities\n" unless @names;
die "no edges\n"    unless @edges;

print "/* Made by pco_graph.pl of the built-in manifest */\n";
print "static const char *const pco_names[] = {\n";
print qq(\t"$_",\n) for @names;
print "};\nstatic const DepEdge pco_edges[] = {\n";
for (@edges)
{
	my ($from, $to, $hard, $rank) = @$_;

	die "$to comes after $from, which is not there\n" unless exists $number{$from};
	print "\t{$number{$from}, $number{$to}, $hard, $rank},\n";
}
print "};\n";
