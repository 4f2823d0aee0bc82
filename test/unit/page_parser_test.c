/*-------------------------------------------------------------------------
 *
 * page_parser_test.c
 *	  Unit tests of the page parser: what it makes of sound documents.
 *
 * IDENTIFICATION
 *	  test/unit/page_parser_test.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include "page_unit.h"

static const PageField *
field_of(const PageRecord *record, const char *name)
{
	for (int i = 0; i < record->n_fields; i++)
		if (strcmp(record->fields[i].name, name) == 0)
			return &record->fields[i];
	return NULL;
}

static const PageLink *
link_of(const PageRecord *record, const char *name)
{
	for (int i = 0; i < record->n_links; i++)
		if (strcmp(record->links[i].name, name) == 0)
			return &record->links[i];
	return NULL;
}

static void
check_raw(const PageRecord *record, const char *name, const char *expected)
{
	const PageField *field = field_of(record, name);

	if (CHECK(field != NULL))
		CHECK_STR(pnstrdup(field->value.raw, field->value.raw_len),
				  json(expected));
}

static const char sample_page[] =
	"{'links':{'self':'https://api.example.com/people/v2/people?per_page=2',"
	"'next':'https://api.example.com/people/v2/people?offset=2'},"
	"'data':[{'type':'Person','id':'4012','attributes':{"
	"'first_name':'Zo\\u00eb','nickname':null,'child':false,"
	"'admin':true,'grade':-1,'giving':12.50e1,"
	"'flags':{'can':[1,{'id':'9','data':[]}]},'tags':[ 'a' , 2 ],"
	"'updated_at':'2024-05-01T08:15:09Z'},"
	"'relationships':{'primary_campus':{'data':null},"
	"'household':{'data':{'type':'Household','id':'7'}},"
	"'emails':{'links':{'related':'https://x/emails'},"
	"'data':[{'type':'Email','id':'88'},{'type':'Email','id':89}]},"
	"'notes':{'links':{'related':null}}},"
	"'links':{'':'https://x','emails':null,"
	"'self':'https://api.example.com/people/v2/people/4012'}},"
	"{'type':'Person','id':4013,'attributes':{}}],"
	"'included':[{'type':'Email','id':'88','attributes':"
	"{'address':'z@example.org'},'relationships':{'person':"
	"{'data':{'type':'Person','id':'4012'}}}}],"
	"'meta':{'total_count':9001,'count':2,'next':{'offset':2},"
	"'can_order_by':['created_at','updated_at'],"
	"'can_query_by':['updated_at'],'can_include':[],"
	"'parent':{'id':'55','type':'Organization'}}}";

static void
test_page(void)
{
	ParsedPage *page = parse(sample_page);
	const PageRecord *record;
	const PageLink *link;

	CHECK_STR(page->problem, NULL);
	CHECK(page->is_collection);
	CHECK(page->has_next);
	CHECK_STR(page->self_link,
			  "https://api.example.com/people/v2/people?per_page=2");
	CHECK_STR(page->next_link,
			  "https://api.example.com/people/v2/people?offset=2");
	CHECK_INT(page->total_count, 9001);
	CHECK_INT(page->count, 2);
	CHECK_INT(page->next_offset, 2);
	CHECK_STR(page->parent_type, "Organization");
	CHECK_STR(page->parent_id, "55");
	CHECK_INT(page->n_errors, 0);
	CHECK_INT(page->n_can_include, 0);
	if (CHECK_INT(page->n_can_order_by, 2))
	{
		CHECK_STR(page->can_order_by[0], "created_at");
		CHECK_STR(page->can_order_by[1], "updated_at");
	}
	if (CHECK_INT(page->n_can_query_by, 1))
		CHECK_STR(page->can_query_by[0], "updated_at");

	if (!CHECK_INT(page->n_records, 2))
		return;
	record = &page->records[0];
	CHECK_STR(record->defect, NULL);
	CHECK_STR(record->type, "Person");
	CHECK_STR(record->id, "4012");
	CHECK_STR(record->self_link,
			  "https://api.example.com/people/v2/people/4012");
	CHECK(record->raw[0] == '{' && record->raw[record->raw_len - 1] == '}');

	CHECK_INT(record->n_fields, 9);
	CHECK_STR(record->fields[0].name, "first_name");
	CHECK_INT(record->fields[0].name_len, strlen("first_name"));
	CHECK_STR(record->fields[0].value.text, "Zo\303\253");
	CHECK_INT(record->fields[0].value.text_len, 4);
	check_raw(record, "first_name", "'Zo\\u00eb'");
	CHECK_INT(record->fields[1].value.kind, JSON_KIND_NULL);
	CHECK_STR(record->fields[1].value.text, NULL);
	CHECK_INT(record->fields[2].value.kind, JSON_KIND_FALSE);
	CHECK_INT(record->fields[3].value.kind, JSON_KIND_TRUE);
	CHECK_INT(record->fields[4].value.kind, JSON_KIND_NUMBER);
	CHECK_STR(record->fields[4].value.text, "-1");
	CHECK_STR(record->fields[5].value.text, "12.50e1");
	CHECK_INT(record->fields[6].value.kind, JSON_KIND_OBJECT);
	check_raw(record, "flags", "{'can':[1,{'id':'9','data':[]}]}");
	CHECK_INT(record->fields[7].value.kind, JSON_KIND_ARRAY);
	check_raw(record, "tags", "[ 'a' , 2 ]");
	CHECK_STR(record->fields[8].value.text, "2024-05-01T08:15:09Z");

	CHECK_INT(record->n_links, 4);
	link = link_of(record, "primary_campus");
	if (CHECK(link != NULL))
	{
		CHECK(link->has_data && !link->to_many);
		CHECK_INT(link->count, 0);
		CHECK_INT(link->data.kind, JSON_KIND_NULL);
	}
	link = link_of(record, "household");
	if (CHECK(link != NULL) && CHECK_INT(link->count, 1))
	{
		CHECK(link->has_data && !link->to_many);
		CHECK_STR(link->ids[0], "7");
		CHECK_STR(link->types[0], "Household");
		CHECK_STR(pnstrdup(link->data.raw, link->data.raw_len),
				  json("{'type':'Household','id':'7'}"));
	}
	link = link_of(record, "emails");
	if (CHECK(link != NULL) && CHECK_INT(link->count, 2))
	{
		CHECK(link->has_data && link->to_many);
		CHECK_STR(link->ids[0], "88");
		CHECK_STR(link->ids[1], "89");
		CHECK_STR(link->types[1], "Email");
		CHECK_INT(link->data.kind, JSON_KIND_ARRAY);
	}
	link = link_of(record, "notes");
	if (CHECK(link != NULL))
		CHECK(!link->has_data && link->count == 0);

	CHECK_STR(page->records[1].id, "4013");
	CHECK_STR(page->records[1].defect, NULL);
	CHECK_INT(page->records[1].n_fields, 0);
	CHECK_INT(page->records[1].n_links, 0);

	if (CHECK_INT(page->n_included, 1))
	{
		record = &page->included[0];
		CHECK_STR(record->type, "Email");
		CHECK_STR(field_of(record, "address")->value.text, "z@example.org");
		CHECK_STR(link_of(record, "person")->ids[0], "4012");
	}
}

static void
test_documents(void)
{
	ParsedPage *page;

	page = parse("{'data':{'type':'Person','id':'1',"
				 "'attributes':{'a':1},'links':{'self':null}},"
				 "'included':[],'meta':{'can_include':['x',3,null],"
				 "'parent':{'id':5}}}");
	CHECK_STR(page->problem, NULL);
	CHECK(!page->is_collection && !page->has_next);
	CHECK_INT(page->n_records, 1);
	CHECK_STR(page->records[0].defect, NULL);
	CHECK_STR(page->records[0].self_link, NULL);
	CHECK_INT(page->records[0].n_fields, 1);
	CHECK_INT(page->total_count, -1);
	CHECK_INT(page->next_offset, -1);
	CHECK_INT(page->n_can_include, 1);
	CHECK_STR(page->parent_id, "5");
	CHECK_INT(page->n_included, 0);

	page = parse("{'data':null}");
	CHECK_STR(page->problem, NULL);
	CHECK(!page->is_collection);
	CHECK_INT(page->n_records, 0);

	page = parse(" \r\n\t{ 'data' : [ ] , 'meta' : [ 1 ] , 'links' : 3 , "
				 "'included' : null } \n");
	CHECK_STR(page->problem, NULL);
	CHECK(page->is_collection);
	CHECK_INT(page->n_records, 0);

	/* included before data, and names that are not there but look alike */
	page = parse("{'included':[{'type':'E','id':'2'}],"
				 "'x':{'data':[{'type':'no','id':'0'}]},"
				 "'d\\u0061ta':[{'id':'1','type':'P'}]}");
	CHECK_STR(page->problem, NULL);
	CHECK_INT(page->n_records, 1);
	CHECK_STR(page->records[0].type, "P");
	CHECK_INT(page->n_included, 1);
	CHECK_STR(page->included[0].type, "E");

	/* the offsets that page through nothing are told as they are */
	page = parse("{'data':[],'meta':{'next':{'offset':0},"
				 "'total_count':'12','count':1.5}}");
	CHECK(page->has_next);
	CHECK_INT(page->next_offset, 0);
	CHECK_INT(page->total_count, 12);
	CHECK_INT(page->count, -1);
	page = parse("{'data':[],'meta':{'total_count':-4,"
				 "'count':99999999999999999999}}");
	CHECK_INT(page->total_count, -1);
	CHECK_INT(page->count, -1);
}

static void
test_relationships(void)
{
	ParsedPage *page;
	const PageLink *link;

	/* a null id names nobody */
	page = parse(RELATIONSHIPS("'one':{'data':{'type':'E','id':null}},"
							   "'many':{'data':[{'type':'E','id':null},"
							   "{'type':'E','id':'5'}]}"));
	CHECK_STR(page->records[0].defect, NULL);
	link = link_of(&page->records[0], "one");
	CHECK(link->has_data && !link->to_many && link->count == 0);
	link = link_of(&page->records[0], "many");
	CHECK(link->to_many);
	if (CHECK_INT(link->count, 1))
		CHECK_STR(link->ids[0], "5");

	/* data given twice: the later one counts, its neighbours are untouched */
	page = parse(RELATIONSHIPS("'a':{'data':[{'type':'E','id':'1'}]},"
							   "'b':{'data':[{'type':'E','id':'2'},"
							   "{'type':'E','id':'3'}],"
							   "'data':{'type':'F','id':'4'}},"
							   "'c':{'data':{'type':'G','id':'6'}}"));
	link = link_of(&page->records[0], "b");
	CHECK(!link->to_many);
	if (CHECK_INT(link->count, 1))
	{
		CHECK_STR(link->ids[0], "4");
		CHECK_STR(link->types[0], "F");
	}
	CHECK_STR(link_of(&page->records[0], "a")->ids[0], "1");
	CHECK_STR(link_of(&page->records[0], "c")->ids[0], "6");

	/* what looks like a record further down is none */
	page = parse(RELATIONSHIPS("'r':{'meta':{'data':[{'id':'7'}]},"
							   "'data':{'type':'E','id':'1',"
							   "'meta':{'id':'8','data':{'id':'9'}}}}"));
	CHECK_STR(page->records[0].defect, NULL);
	CHECK_INT(page->n_records, 1);
	CHECK_STR(link_of(&page->records[0], "r")->ids[0], "1");
}

static void
test_duplicates(void)
{
	ParsedPage *page = parse("{'data':["
							 "{'type':'T','id':'1','attributes':{'v':1}},"
							 "{'type':'T','id':'2'},"
							 "{'type':'U','id':'1'},"
							 "{'type':'T','id':1,'attributes':{'v':2}},"
							 "{'type':'T','id':null},"
							 "{'type':'T','id':null},"
							 "{'type':'T','id':'1','attributes':{'v':3}}"
							 "],'included':[{'type':'T','id':'2'},"
							 "{'type':'E','id':'2'},"
							 "{'type':'E','id':'2'}]}");
	static const char *const expected[] = {
		"duplicate id in page", NULL, NULL, "duplicate id in page",
		"id is null", "id is null", NULL
	};
	StringInfoData body;

	CHECK_STR(page->problem, NULL);
	if (CHECK_INT(page->n_records, 7))
		for (int i = 0; i < 7; i++)
		{
			CHECK_STR(page->records[i].defect, expected[i]);
			CHECK_INT(page->records[i].is_duplicate, i == 0 || i == 3);
		}
	if (CHECK_INT(page->n_included, 3))
	{
		CHECK_STR(page->included[0].defect, NULL);
		CHECK_STR(page->included[1].defect, "duplicate id in page");
		CHECK_STR(page->included[2].defect, NULL);
	}

	/* many copies, scrambled: the last of each id is the sound one */
	initStringInfo(&body);
	appendStringInfoString(&body, "{'data':[");
	for (int i = 0; i < 200; i++)
		appendStringInfo(&body, "%s{'type':'T','id':'%d'}",
						 i > 0 ? "," : "", i * 7 % 20);
	appendStringInfoString(&body, "]}");
	page = parse(body.data);
	if (CHECK_INT(page->n_records, 200))
		for (int i = 0; i < 200; i++)
			CHECK_INT(page->records[i].is_duplicate, i < 180);
}

static void
test_errors(void)
{
	ParsedPage *page;

	page = parse("{'errors':[{'status':'404','title':'Not Found',"
				 "'detail':'The resource \\u201cx\\u201d'},"
				 "{'code':'429','status':429,'source':{'code':'no'},"
				 "'meta':{'title':'no'}},'plain',7]}");
	CHECK_STR(page->problem, NULL);
	CHECK_INT(page->n_records, 0);
	if (CHECK_INT(page->n_errors, 3))
	{
		CHECK_STR(page->errors[0].status, "404");
		CHECK_STR(page->errors[0].code, NULL);
		CHECK_STR(page->errors[0].title, "Not Found");
		CHECK_STR(page->errors[0].detail,
				  "The resource \xe2\x80\x9cx\xe2\x80\x9d");
		CHECK_STR(page->errors[1].status, "429");
		CHECK_STR(page->errors[1].code, "429");
		CHECK_STR(page->errors[1].title, NULL);
		CHECK_STR(page->errors[2].detail, "plain");
	}

	page = parse("{'errors':{'code':'BABOON'}}");
	CHECK_STR(page->problem, NULL);
	if (CHECK_INT(page->n_errors, 1))
		CHECK_STR(page->errors[0].code, "BABOON");

	page = parse("{'error':'invalid_grant',"
				 "'error_description':'revoked'}");
	CHECK_STR(page->problem, NULL);
	if (CHECK_INT(page->n_errors, 1))
	{
		CHECK_STR(page->errors[0].code, "invalid_grant");
		CHECK_STR(page->errors[0].detail, "revoked");
		CHECK_STR(page->errors[0].status, NULL);
	}
}

/* Arrays that have to grow, and records that keep what is theirs. */
static void
test_growth(void)
{
	StringInfoData body;
	ParsedPage *page;
	const int	n_records = 1000;

	initStringInfo(&body);
	appendStringInfoString(&body, "{'data':[");
	for (int i = 0; i < n_records; i++)
	{
		appendStringInfo(&body, "%s{'type':'T','id':'%d','attributes':{",
						 i > 0 ? "," : "", i);
		for (int j = 0; j < i % 7; j++)
			appendStringInfo(&body, "%s'f%d':%d", j > 0 ? "," : "", j, i * j);
		appendStringInfoString(&body, "},'relationships':{'r':{'data':[");
		for (int j = 0; j < i % 5; j++)
			appendStringInfo(&body, "%s{'type':'E','id':%d}",
							 j > 0 ? "," : "", i + j);
		appendStringInfoString(&body, "]},'s':{}}}");
	}
	appendStringInfoString(&body, "]}");

	page = parse(body.data);
	CHECK_STR(page->problem, NULL);
	if (!CHECK_INT(page->n_records, n_records))
		return;
	for (int i = 0; i < n_records; i++)
	{
		const PageRecord *record = &page->records[i];

		CHECK_INT(atoi(record->id), i);
		CHECK_STR(record->defect, NULL);
		CHECK_INT(record->n_links, 2);
		if (CHECK_INT(record->n_fields, i % 7))
			for (int j = 0; j < i % 7; j++)
				CHECK_INT(atoi(record->fields[j].value.text), i * j);
		if (CHECK_INT(record->links[0].count, i % 5))
			for (int j = 0; j < i % 5; j++)
				CHECK_INT(atoi(record->links[0].ids[j]), i + j);
	}
}

int
main(void)
{
	test_page();
	test_documents();
	test_relationships();
	test_duplicates();
	test_errors();
	test_growth();
	return unit_summary();
}
