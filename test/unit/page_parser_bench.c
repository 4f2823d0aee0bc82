/*-------------------------------------------------------------------------
 *
 * page_parser_bench.c
 *	  How fast the page parser is, on a page as PCO sends them: 100 people of
 *	  about 1.7 KB.
 *
 * IDENTIFICATION
 *	  test/unit/page_parser_bench.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <time.h>

#include "page_unit.h"

#define RECORDS 100
#define TRIES 5
#define ROUNDS 400

/* %1$d stands for the person's number. */
static const char person[] =
	"{'type':'Person','id':'%1$d','attributes':{"
	"'accounting_administrator':false,'anniversary':null,"
	"'avatar':'https://avatars.planningcenteronline.com/uploads/person/"
	"%1$d-1500000000/avatar.1.jpg','birthdate':'1980-02-28',"
	"'can_create_forms':true,'can_email_lists':true,'child':false,"
	"'created_at':'2017-01-16T21:57:42Z','demographic_avatar_url':"
	"'https://people.planningcenteronline.com/static/"
	"no_photo_thumbnail_man_gray.svg','directory_status':'no_access',"
	"'first_name':'Zo\\u00eb','gender':'Female','given_name':null,"
	"'grade':null,'graduation_year':null,'inactivated_at':null,"
	"'last_name':'M\xc3\xbcller','medical_notes':'none, \\'really\\'',"
	"'membership':'Member','middle_name':null,'mfa_configured':false,"
	"'name':'Zo\\u00eb M\xc3\xbcller','nickname':null,"
	"'passed_background_check':true,'people_permissions':'Editor',"
	"'remote_id':null,'login_identifier':'zoe.mueller@example.org',"
	"'primary_campus_id':'12345','name_prefix_id':null,"
	"'name_suffix_id':null,'directory_shared_info':{'email':true,"
	"'phone':false,'address':'household'},'school_type':null,"
	"'site_administrator':false,'status':'active',"
	"'stripe_customer_identifier':null,'resource_permission_flags':"
	"{'can_access_workflows':false},'updated_at':'2024-05-01T08:15:09Z'},"
	"'relationships':{'primary_campus':{'data':{'type':'PrimaryCampus',"
	"'id':'12345'}},'gender':{'data':null},'emails':{'links':{'related':"
	"'https://api.planningcenteronline.com/people/v2/people/%1$d/emails'},"
	"'data':[{'type':'Email','id':'%1$d'}]}},'links':{'emails':"
	"'https://api.planningcenteronline.com/people/v2/people/%1$d/emails',"
	"'self':'https://api.planningcenteronline.com/people/v2/people/%1$d',"
	"'html':'https://people.planningcenteronline.com/people/AC%1$d'}}";

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

int
main(void)
{
	StringInfoData text;
	char	   *page_text;
	char	   *body;
	double		best = 1e9;

	initStringInfo(&text);
	appendStringInfoString(&text, "{'links':{'self':'https://x'},'data':[");
	for (int i = 0; i < RECORDS; i++)
	{
		if (i > 0)
			appendStringInfoChar(&text, ',');
		appendStringInfo(&text, person, 28000000 + i);
	}
	appendStringInfoString(&text, "],'included':[],'meta':{'total_count':100}}");
	page_text = json(text.data);
	body = malloc(text.len);

	/* the best of several tries is what the machine can do undisturbed */
	for (int try = 0; try < TRIES; try++)
	{
		double		start = now();

		for (int i = 0; i < ROUNDS; i++)
		{
			ParsedPage *page;

			memcpy(body, page_text, text.len);
			page = page_parse(body, text.len, &default_limits);
			CHECK(page->problem == NULL && page->n_records == RECORDS);
		}
		best = Min(best, (now() - start) / ROUNDS);
	}

	printf("%d bytes a page, %.3f ms, %.0f MB/s\n",
		   text.len, best * 1e3, text.len / best / 1e6);
	return unit_summary();
}
