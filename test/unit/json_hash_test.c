/*-------------------------------------------------------------------------
 *
 * json_hash_test.c
 *	  Values that mean the same hash the same, and no others.
 *
 * IDENTIFICATION
 *	  test/unit/json_hash_test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include "json_hash.h"
#include "page_unit.h"

#define SEED 42

/* The hash of a JSON value, parsed as an attribute of a record. */
static uint64
hash_with(const char *value, uint64 seed)
{
	ParsedPage *page = parse(psprintf(ATTRIBUTES("'v': %s"), value));

	if (!CHECK_STR(page->problem, NULL) || !CHECK_INT(page->n_records, 1) ||
		!CHECK_STR(page->records[0].defect, NULL))
		return 0;
	return json_hash(&page->records[0].fields[0].value, seed);
}

static void
check_same(const char *one, const char *other)
{
	CHECK_MSG(hash_with(one, SEED) == hash_with(other, SEED), "%s, %s", one, other);
}

static void
check_differ(const char *one, const char *other)
{
	CHECK_MSG(hash_with(one, SEED) != hash_with(other, SEED), "%s, %s", one, other);
}

/* The same for the values, and for them within an array and within an object. */
static void
check_differ_anywhere(const char *one, const char *other)
{
	check_differ(one, other);
	check_differ(psprintf("[%s]", one), psprintf("[%s]", other));
	check_differ(psprintf("{'k':%s}", one), psprintf("{'k':%s}", other));
}

static void
check_same_anywhere(const char *one, const char *other)
{
	check_same(one, other);
	check_same(psprintf("[%s]", one), psprintf("[%s]", other));
	check_same(psprintf("{'k':%s}", one), psprintf("{'k':%s}", other));
}

static void
test_members(void)
{
	check_same("{'a':1,'b':2}", "{'b':2,'a':1}");
	check_same("{'x':{'a':[1],'b':null},'y':[]}", "{'y':[],'x':{'b':null,'a':[1]}}");
	check_differ("{'a':1,'b':2}", "{'a':2,'b':1}");
	check_differ("{'a':1}", "{'b':1}");
	check_differ("{'a':1}", "{'a':1,'b':1}");
	check_differ("{'a':null}", "{}");
	check_differ("{'a':{'b':1},'c':{'d':2}}", "{'a':{'d':2},'c':{'b':1}}");
}

static void
test_elements(void)
{
	check_differ("[1,2]", "[2,1]");
	check_differ("[1,2]", "[12]");
	check_differ("['a','b']", "['ab']");
	check_differ("['a,b']", "['a','b']");
	check_differ("[1,1]", "[1]");
	check_differ("[[1],2]", "[1,[2]]");
	check_differ("[[],[]]", "[[[]]]");
	check_differ("[null]", "[]");
}

static void
test_white_space(void)
{
	check_same("{'a':[1,true],'b':{'c':'d'}}",
			   " {\n\t'a' : [ 1 ,\r\n true ] , 'b' : { 'c' : 'd' } } ");
	check_same("[]", "[ ]");
	check_same("{}", "{\n}");
	check_differ_anywhere("'a b'", "'a  b'");
	check_differ_anywhere("'a'", "' a'");
}

static void
test_kinds(void)
{
	check_differ_anywhere("'5'", "5");
	check_differ_anywhere("'true'", "true");
	check_differ_anywhere("'null'", "null");
	check_differ_anywhere("true", "false");
	check_differ_anywhere("''", "null");
	check_differ_anywhere("{}", "[]");
	check_differ_anywhere("'{}'", "{}");
	check_differ_anywhere("'[]'", "[]");
	check_differ_anywhere("5", "[5]");
}

static void
test_escapes(void)
{
	check_same_anywhere("'caf\\u00e9'", "'caf\xc3\xa9'");
	check_same_anywhere("'\\u00E9'", "'\\u00e9'");
	check_same_anywhere("'a\\/b'", "'a/b'");
	check_same_anywhere("'\\u0041'", "'A'");
	check_same_anywhere("'\\u000a'", "'\\n'");
	check_same_anywhere("'\\ud83d\\ude00'", "'\xf0\x9f\x98\x80'");
	check_same("{'\\u0061':1}", "{'a':1}");
	check_differ_anywhere("'\\\\n'", "'\\n'");
	check_differ_anywhere("'\\\\u0041'", "'A'");
	/* an escaped quote or backslash does not end a string */
	check_same("['\\u0022]',1]", "['\\\"]',1]");
	check_differ("['\\\"]',1]", "['\\\"]',2]");
	check_same("{'a\\\\':'\\u005c'}", "{'a\\u005c':'\\\\'}");
}

static void
test_seed(void)
{
	const char *const values[] = {"null", "true", "1", "'a'", "[1]", "{'a':1}", "[]", "{}"};

	for (int i = 0; i < (int) lengthof(values); i++)
		CHECK_MSG(hash_with(values[i], 1) != hash_with(values[i], 1000), "%s", values[i]);
}

int
main(void)
{
	test_members();
	test_elements();
	test_white_space();
	test_kinds();
	test_escapes();
	test_seed();
	return unit_summary();
}
