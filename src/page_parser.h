/*-------------------------------------------------------------------------
 *
 * page_parser.h
 *	  A JSON:API page or single resource, taken apart into slices.
 *
 * Everything that page_parse() returns lives in the memory context that was
 * current when it was called, and slices point into the body given to it:
 * the caller keeps both until it is done with the page.
 *
 * IDENTIFICATION
 *	  src/page_parser.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_PAGE_PARSER_H
#define SYNC_ENGINE_PAGE_PARSER_H

/*
 * The largest body that is parsed, whatever the limits say.  Offsets are int,
 * and the arrays that grow with the body must stay below the 1 GB that palloc
 * gives: the densest document has one 64-byte link in every 6 bytes, and the
 * array that holds them is at worst twice as large as needed.
 */
#define PAGE_MAX_BYTES (32 * 1024 * 1024)

/*
 * PageLimits: what a document may ask of us.  Zero means the default.
 */
typedef struct PageLimits
{
	int			max_bytes;		/* default and ceiling: PAGE_MAX_BYTES */
	int			max_depth;		/* default and ceiling: PAGE_MAX_DEPTH */
	int			max_records;	/* data and included together; default
								 * PAGE_MAX_RECORDS */
} PageLimits;

/*
 * pg_parse_json recurses once per level.  PCO's documents are 8 levels deep;
 * a json attribute may add some.
 */
#define PAGE_MAX_DEPTH 64

/* PCO gives 100 rows a page at most, and their included records with them. */
#define PAGE_MAX_RECORDS 50000

typedef enum JsonKind
{
	JSON_KIND_NULL,
	JSON_KIND_STRING,
	JSON_KIND_NUMBER,
	JSON_KIND_TRUE,
	JSON_KIND_FALSE,
	JSON_KIND_OBJECT,
	JSON_KIND_ARRAY
} JsonKind;

/*
 * JsonSlice: one value of the document.
 */
typedef struct JsonSlice
{
	const char *raw;			/* its text in the body, quotes included */
	const char *text;			/* strings: decoded; numbers: as written; both
								 * NUL-terminated.  Others: NULL */
	int			raw_len;
	int			text_len;
	JsonKind	kind;
} JsonSlice;

/*
 * PageField: one attribute.  A name that occurs twice in a record is listed
 * twice; as in jsonb, the later one counts.
 */
typedef struct PageField
{
	const char *name;			/* decoded, NUL-terminated */
	int			name_len;
	JsonSlice	value;
} PageField;

/*
 * PageLink: one relationship.
 *
 * A to-one null, or one whose id is null, has count 0.  Ids that are JSON
 * numbers are taken as their text.
 */
typedef struct PageLink
{
	const char *name;			/* decoded, NUL-terminated */
	bool		has_data;		/* false: only links, nothing is said */
	bool		to_many;		/* data is an array */
	int			count;
	const char **ids;
	const char **types;
	JsonSlice	data;			/* meaningful only if has_data */
} PageLink;

/*
 * PageRecord: one resource object.
 *
 * A record with a defect must not be stored; everything else in it is filled
 * in as far as it could be read.  A duplicate is the earlier copy of a record
 * that comes again further down in the same array: it is not faulty, only
 * superseded.
 */
typedef struct PageRecord
{
	const char *type;			/* NULL if missing or no string */
	const char *id;				/* NULL if missing, null, or neither string
								 * nor number */
	const char *raw;
	int			raw_len;
	int			n_fields;
	int			n_links;
	PageField  *fields;
	PageLink   *links;
	const char *self_link;		/* links.self or NULL */
	const char *defect;			/* NULL = sound, else a static text */
	bool		is_duplicate;	/* defect is "duplicate id in page" */
} PageRecord;

/*
 * PageError: one entry of a JSON:API errors array, or the one error of an
 * OAuth answer (error is the code, error_description the detail).  Each
 * member may be NULL.
 */
typedef struct PageError
{
	const char *status;
	const char *code;
	const char *title;
	const char *detail;
} PageError;

typedef struct ParsedPage
{
	bool		is_collection;	/* data is an array */
	int			n_records;
	PageRecord *records;
	int			n_included;
	PageRecord *included;

	int64		total_count;	/* of meta; -1 = absent */
	int64		count;
	int64		next_offset;
	bool		has_next;		/* links.next or meta.next */
	const char *next_link;
	const char *self_link;
	const char *parent_type;	/* meta.parent */
	const char *parent_id;
	int			n_can_order_by;
	int			n_can_query_by;
	int			n_can_include;
	const char **can_order_by;
	const char **can_query_by;
	const char **can_include;

	int			n_errors;
	PageError  *errors;

	const char *problem;		/* the document as a whole cannot be used: a
								 * static text; else NULL */

	/* private: what was wrong with the text, for page_record_payload() */
	const char *body;
	int			n_faults;
	struct TextFault *faults;
} ParsedPage;

/*
 * Parses a body, which is overwritten where it is not valid.  Never raises an
 * error because of what it reads (only when memory runs out).  If problem is
 * set, the rest of the page is not to be used.
 */
extern ParsedPage *page_parse(char *body, size_t len, const PageLimits *limits);

/*
 * The text of a record as valid JSON in valid UTF-8 that jsonb accepts,
 * palloc'd: what page_parse() had to overwrite is shown as literal text, such
 * as \\u0000 for the escape of a NUL.
 */
extern char *page_record_payload(const ParsedPage *page,
								 const PageRecord *record);

#endif							/* SYNC_ENGINE_PAGE_PARSER_H */
