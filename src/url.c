/*-------------------------------------------------------------------------
 *
 * url.c
 *		What may stand in a URL.
 *
 * IDENTIFICATION
 *		src/url.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "url.h"

void
url_append_escaped(StringInfo url, const char *value)
{
	for (const char *c = value; *c != '\0'; c++)
	{
		if (isalnum((unsigned char) *c) || strchr("-_.~", *c) != NULL)
			appendStringInfoChar(url, *c);
		else
			appendStringInfo(url, "%%%02X", (unsigned char) *c);
	}
}
