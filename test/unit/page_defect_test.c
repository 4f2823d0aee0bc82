/*-------------------------------------------------------------------------
 *
 * page_defect_test.c
 *	  Unit tests of the page parser: what it makes of what is wrong.
 *
 * IDENTIFICATION
 *	  test/unit/page_defect_test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <limits.h>

#include "page_unit.h"

/* U+FFFD, by which escapes are replaced */
#define FFFD "\xef\xbf\xbd"

static const char sample_page[] =
	"{'data':[{'type':'T','id':'1','attributes':{'a':'\\ud83d\\ude00 \xc3\xa9',"
	"'b':[1.5e3,null]},'relationships':{'r':{'data':{'type':'E','id':2}}}}],"
	"'meta':{'total_count':1}}";

static void
test_problems(void)
{
	static const struct
	{
		const char *body;
		const char *problem;
	}			cases[] = {
		{"", "empty"},
		{" \n", "empty"},
		{"<html><body>502</body></html>", "not a JSON object"},
		{"[]", "not a JSON object"},
		{"null", "not a JSON object"},
		{"\xef\xbb\xbf{}", "not a JSON object"},
		{"{}", "no data member"},
		{"{'errors':[]}", "no data member"},
		{"{'meta':{'data':[]}}", "no data member"},
		{"{'data':'x'}", "data is neither an object nor an array"},
		{"{'data':7}", "data is neither an object nor an array"},
		{"{'data':[],'included':{}}", "included is not an array"},
		{"{'data':[],'data':[]}", "data or included occurs twice"},
		{"{'data':[]", "truncated"},
		{"{'data':[{'type':'T','id':'1", "truncated"},
		{"{'data':[{'type':'T','id':'1\\", "truncated"},
		{"{'data':[]}}", "not valid JSON"},
		{"{'data':[]} x", "not valid JSON"},
		{"{'data':[,]}", "not valid JSON"},
		{"{'data':[1 2]}", "not valid JSON"},
		{"{'data':}", "not valid JSON"},
		{"{'data':[}]", "not valid JSON"},
		{"{'data':\\u0000}", "not valid JSON"},
		{"{'data':\xff}", "not valid JSON"},
		{"{'data':[],'x':'\\q'}", "not valid JSON"},
		{"{'data':[],'x':'\\\xf0'}", "not valid JSON"},
		{"{'data':[],'x':'\\u00g0'}", "not valid JSON"},
		{"{'data':[],'x':01}", "not valid JSON"},
		{"{'data':[],'x':nul}", "not valid JSON"},
	};

	for (size_t i = 0; i < lengthof(cases); i++)
	{
		ParsedPage *page = parse(cases[i].body);

		if (!CHECK_STR(page->problem, cases[i].problem))
			fprintf(stderr, "    in %s\n", cases[i].body);
		CHECK_INT(page->n_records, 0);
	}

	CHECK_STR(parse_bytes("{'data':'\0'}", 12, &default_limits)->problem,
			  "contains a NUL byte");
	CHECK_STR(parse_bytes("{'data':[]}\0", 12, &default_limits)->problem,
			  "contains a NUL byte");

	/* every prefix of a page is refused */
	for (size_t len = 0; len < strlen(sample_page); len++)
		CHECK_STR(parse_bytes(sample_page, len, &default_limits)->problem,
				  len == 0 ? "empty" : "truncated");
}

static void
test_limits(void)
{
	PageLimits	limits = {.max_bytes = 100, .max_depth = 4, .max_records = 2};
	StringInfoData deep;

	CHECK_STR(parse_bytes("{'data':[[[1]]]}", 16, &limits)->problem, NULL);
	CHECK_STR(parse_bytes("{'data':[[[[1]]]]}", 18, &limits)->problem,
			  "nested too deeply");
	CHECK_STR(parse_bytes("{'data':['[[[[[[[']}", 20, &limits)->problem,
			  NULL);
	CHECK_STR(parse_bytes("{'data':[']]]]',[[[1]]]]}", 25, &limits)->problem,
			  "nested too deeply");
	CHECK_STR(parse_bytes("{'data':[1,2]}", 14, &limits)->problem, NULL);
	CHECK_STR(parse_bytes("{'data':[1,2,3]}", 16, &limits)->problem,
			  "too many records");
	CHECK_STR(parse_bytes("{'data':[1,2],'included':[3]}", 29,
						  &limits)->problem, "too many records");
	CHECK_STR(parse_bytes(sample_page, strlen(sample_page), &limits)->problem,
			  "too large");

	/* what would recurse far is stopped before the recursion */
	initStringInfo(&deep);
	appendStringInfoString(&deep, "{'data':");
	for (int i = 0; i < 1000000; i++)
		appendStringInfoChar(&deep, '[');
	CHECK_STR(parse(deep.data)->problem, "nested too deeply");

	/* limits only ever tighten */
	limits.max_depth = limits.max_bytes = INT_MAX;
	CHECK_STR(parse_bytes(deep.data, deep.len, &limits)->problem,
			  "nested too deeply");
	deep.data[0] = ' ';
	CHECK_STR(page_parse(deep.data, (size_t) PAGE_MAX_BYTES + 1,
						 &limits)->problem, "too large");
}

static void
test_defects(void)
{
	static const struct
	{
		const char *record;
		const char *defect;
	}			cases[] = {
		{"null", "not an object"},
		{"'x'", "not an object"},
		{"[{'type':'T','id':'1'}]", "not an object"},
		{"{}", "type is missing"},
		{"{'type':'T'}", "id is missing"},
		{"{'type':'T','id':null}", "id is null"},
		{"{'type':'T','id':''}", "id is empty"},
		{"{'type':'T','id':{'id':'1'}}", "id is not a string"},
		{"{'type':'T','id':true}", "id is not a string"},
		{"{'type':3,'id':'1'}", "type is not a string"},
		{"{'type':null,'id':'1'}", "type is not a string"},
		{"{'id':'1'}", "type is missing"},
		{"{'type':'T','id':'1','attributes':[{'a':1}]}",
		"attributes is not an object"},
		{"{'type':'T','id':'1','relationships':'x'}",
		"relationships is not an object"},
		{"{'type':'T','id':'1','relationships':{'r':[1]}}",
		"relationship is not an object"},
		{"{'type':'T','id':'1','relationships':{'r':{'data':5}}}",
		"relationship data is neither an object nor an array"},
		{"{'type':'T','id':'1','relationships':{'r':{'data':[5]}}}",
		"relationship data holds no identifier"},
		{"{'type':'T','id':'1','relationships':{'r':{'data':[null]}}}",
		"relationship data holds no identifier"},
		{"{'type':'T','id':'1','relationships':{'r':{'data':{}}}}",
		"relationship id is missing"},
		{"{'type':'T','id':'1','relationships':{'r':{'data':"
		"{'id':'1'}}}}", "relationship type is missing"},
		{"{'type':'T','id':'1','relationships':{'r':{'data':"
		"{'type':'E','id':[]}}}}", "relationship id is not a string"},
		{"{'type':'T','id':'1','relationships':{'r':{'data':"
		"[{'type':1,'id':'1'}]}}}", "relationship type is not a string"},
		/* and what is sound */
		{"{'type':'T','id':1}", NULL},
		{"{'type':'T','id':'planning_center','attributes':null,"
		"'relationships':null,'links':null}", NULL},
		{"{'type':'T','id':'1','links':[],'attributes':"
		"{'type':3,'id':null,'':''},'relationships':{'':{},"
		"'r':null,'s':{'data':[]}}}", NULL},
	};

	for (size_t i = 0; i < lengthof(cases); i++)
	{
		char	   *body = psprintf("{'data':[{'type':'T','id':'a'},%s,"
									"{'type':'T','id':'z'}]}",
									cases[i].record);
		ParsedPage *page = parse(body);

		CHECK_STR(page->problem, NULL);
		if (CHECK_INT(page->n_records, 3))
		{
			if (!CHECK_STR(page->records[1].defect, cases[i].defect))
				fprintf(stderr, "    in %s\n", cases[i].record);
			CHECK_STR(pnstrdup(page->records[1].raw, page->records[1].raw_len),
					  json(cases[i].record));
			CHECK_STR(page->records[0].defect, NULL);
			CHECK_STR(page->records[2].defect, NULL);
			CHECK_STR(page->records[2].id, "z");
		}
	}

	/* a single resource is judged as an element is */
	CHECK_STR(defect_of("{'data':{'type':'T','id':null}}"), "id is null");
}

static void
test_strings(void)
{
	ParsedPage *page;
	const PageRecord *record;

	page = parse(ATTRIBUTES("'all':'\\'\\\\\\/\\b\\f\\n\\r\\t',"
							"'e':'',"
							"'pair':'\\uD83D\\uDE00!',"
							"'two':'\\u00e9\\u20ac\\ufffd',"
							"'raw':'\xf0\x9f\x98\x80 \xc3\xa9',"
							"'back':'\\\\u0000 \\\\ud800 \\\\',"
							"'a\\'b':1,'\\\\' :2, '\\\\\\''\t:\t3,"
							"'\\u0041':4"));
	CHECK_STR(page->problem, NULL);
	record = &page->records[0];
	CHECK_STR(record->defect, NULL);
	CHECK_INT(record->n_fields, 10);
	CHECK_STR(record->fields[0].value.text, "\"\\/\b\f\n\r\t");
	CHECK_STR(record->fields[1].value.text, "");
	CHECK_STR(record->fields[2].value.text, "\xf0\x9f\x98\x80!");
	CHECK_STR(record->fields[3].value.text, "\xc3\xa9\xe2\x82\xac\xef\xbf\xbd");
	CHECK_STR(record->fields[4].value.text, "\xf0\x9f\x98\x80 \xc3\xa9");
	CHECK_STR(record->fields[5].value.text, "\\u0000 \\ud800 \\");
	CHECK_STR(record->fields[6].name, "a\"b");
	CHECK_STR(record->fields[6].value.text, "1");
	CHECK_STR(record->fields[7].name, "\\");
	CHECK_STR(record->fields[8].name, "\\\"");
	CHECK_STR(record->fields[9].name, "A");
	CHECK_STR(record->fields[9].value.text, "4");

	/* a name that occurs twice is listed twice, in order */
	page = parse(ATTRIBUTES("'a':1,'a':2"));
	CHECK_INT(page->records[0].n_fields, 2);
	CHECK_STR(page->records[0].fields[1].value.text, "2");
}

/* Text as it must not be, in the second of three records. */
static void
check_fault(const char *text, const char *defect, const char *decoded,
			const char *payload)
{
	char	   *body = psprintf("{'data':[{'type':'T','id':'1'},"
								"{'type':'T','id':'2','attributes':"
								"{'a':'%s'}},{'type':'T','id':'3'}]}",
								text);
	char	   *expected = psprintf("{'type':'T','id':'2','attributes':"
									"{'a':'%s'}}", payload);
	ParsedPage *page = parse(body);

	CHECK_STR(page->problem, NULL);
	if (!CHECK_INT(page->n_records, 3))
		return;
	CHECK_STR(page->records[0].defect, NULL);
	CHECK_STR(page->records[1].defect, defect);
	CHECK_STR(page->records[2].defect, NULL);
	CHECK_STR(page->records[1].fields[0].value.text, decoded);
	CHECK_STR(page_record_payload(page, &page->records[1]), json(expected));
	CHECK_STR(page_record_payload(page, &page->records[2]),
			  json("{'type':'T','id':'3'}"));
}

static void
test_faults(void)
{
	ParsedPage *page;

	check_fault("a\\u0000b", "contains \\u0000", "a" FFFD "b", "a\\\\u0000b");
	check_fault("\\\\\\u0000", "contains \\u0000", "\\" FFFD, "\\\\\\\\u0000");
	check_fault("\\ud83d", "lone surrogate", FFFD, "\\\\ud83d");
	check_fault("\\uDE00x", "lone surrogate", FFFD "x", "\\\\uDE00x");
	check_fault("\\ud83d\\n", "lone surrogate", FFFD "\n", "\\\\ud83d\\n");
	check_fault("\\ud83d\\ud83d\\ude00", "lone surrogate",
				FFFD "\xf0\x9f\x98\x80", "\\\\ud83d\\ud83d\\ude00");
	check_fault("\\ude00\\ud83d", "lone surrogate", FFFD FFFD,
				"\\\\ude00\\\\ud83d");
	check_fault("caf\xe9", "invalid UTF-8", "caf?", "caf\\\\xe9");
	check_fault("\xc3", "invalid UTF-8", "?", "\\\\xc3");
	check_fault("\xc0\x80", "invalid UTF-8", "??", "\\\\xc0\\\\x80");
	check_fault("\xed\xa0\x80", "invalid UTF-8", "???",
				"\\\\xed\\\\xa0\\\\x80");
	check_fault("\xf4\x90\x80\x80 \xc3\xa9", "invalid UTF-8", "???? \xc3\xa9",
				"\\\\xf4\\\\x90\\\\x80\\\\x80 \xc3\xa9");
	check_fault("a\nb\x1f", "raw control character", "a?b?",
				"a\\\\x0ab\\\\x1f");
	check_fault("\\\\u0000 \\\\ud800 \xf0\x9f\x98\x80\\ud83d\\ude00\\u0001", NULL,
				"\\u0000 \\ud800 \xf0\x9f\x98\x80\xf0\x9f\x98\x80\x01",
				"\\\\u0000 \\\\ud800 \xf0\x9f\x98\x80\\ud83d\\ude00\\u0001");

	/* in names, ids, deep inside, and outside of every record */
	CHECK_STR(defect_of(ATTRIBUTES("'\\u0000':1")), "contains \\u0000");
	CHECK_STR(defect_of(ATTRIBUTES("'a':{'b':[{'c':'\xff'}]}")),
			  "invalid UTF-8");
	CHECK_STR(defect_of("{'data':[{'type':'T','id':'\\ud800'}]}"),
			  "lone surrogate");
	CHECK_STR(defect_of("{'x':'\\u0000','data':[{'type':'T','id':'1'}"
						"],'meta':{'\xff':'\\udfff'}}"), NULL);

	/* an escape that the body cuts off */
	CHECK_STR(parse("{'data':[],'x':'\\u00")->problem, "truncated");
	CHECK_STR(parse("{'data':[],'x':'\\ud83d\\u")->problem, "truncated");
	CHECK_STR(parse("{'data':[],'x':'\xf0\x9f")->problem, "truncated");

	/* what lies behind the end of the body is not looked at */
	page = page_parse(json("{'data':[],'x':'\xf0\x9f\x98\x80"), 18,
					  &default_limits);
	CHECK_STR(page->problem, "truncated");
	CHECK_INT(page->n_faults, 2);

	/* payloads that jsonb would refuse for a number */
	page = parse(ATTRIBUTES("'a':1e400000,'b':[1.5E-99999,-1e999,'1e99999'],"
							"'c':1e00000001,'e':'\\' 1e99999'"));
	CHECK_STR(page->records[0].defect, NULL);
	CHECK_STR(page_record_payload(page, &page->records[0]),
			  json("{'type':'T','id':'1','attributes':{'a':'1e400000',"
				   "'b':['1.5E-99999',-1e999,'1e99999'],'c':1e00000001,"
				   "'e':'\\' 1e99999'}}"));
	page = parse("{'data':[null]}");
	CHECK_STR(page_record_payload(page, &page->records[0]), "null");
}

int
main(void)
{
	test_problems();
	test_limits();
	test_defects();
	test_strings();
	test_faults();
	return unit_summary();
}
