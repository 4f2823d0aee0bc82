/*-------------------------------------------------------------------------
 *
 * page_parser_fuzz.c
 *	  Deterministic mutation fuzzer of the page parser.
 *
 *	  page_parser_fuzz SEED ITERATIONS FILE...
 *
 * Each iteration mutates one of the files, parses it, and checks what must
 * hold of any body.  Iteration i is made from SEED + i alone, so a failure is
 * repeated by "page_parser_fuzz <that seed> 1" with the same files.  The
 * sanitizers, with which it is built, look for the rest.
 *
 * Frontend palloc cannot free what a parse allocates, so batches of
 * iterations run in child processes, whose end frees everything.
 *
 * IDENTIFICATION
 *	  test/fuzz/page_parser_fuzz.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <sys/wait.h>
#include <unistd.h>

#include "compat.h"
#include "page_parser.h"

/* A few tens of MB of what is never freed. */
#define BATCH 1000

/* Samples are small; what mutation appends stays within this. */
#define MAX_BODY 65536

#define MAX_SAMPLES 64

typedef struct Sample
{
	char	   *bytes;
	int			len;
} Sample;

static Sample samples[MAX_SAMPLES];
static int	n_samples;
static uint64 random_state;
static uint64 current_seed;
static char *current_body;
static int	current_len;

/* What is worth putting somewhere: structure, names, and text gone wrong. */
static const char *const fragments[] = {
	"{", "}", "[", "]", ",", ":", "\"", "\\", "null", "true", "0", "-1",
	"1e999999", "\"id\":", "\"type\":", "\"data\":", "\"attributes\":{",
	"\"relationships\":{", "\"links\":{\"self\":", "\"included\":[", "\"meta\":{",
	"\"errors\":[", "\"next\":", "\"offset\":", "\"can_include\":[", "{}", "[]",
	"\"\"", "\\u0000", "\\ud800", "\\udc00", "\\ud83d\\ude00", "\\u00", "\\\\",
	"\\\"", "\xff", "\xc3", "\xc3\xa9", "\xf0\x9f\x98\x80", "\xed\xa0\x80", "\n",
	" ", "[[[[[[[[", "{\"a\":{\"a\":{\"a\":", "]]]]", "}}}}", "\x01"
};

/* splitmix64: every seed starts an unrelated sequence. */
static uint64
next_random(void)
{
	uint64		z = (random_state += UINT64CONST(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64CONST(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64CONST(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static int
random_below(int bound)
{
	return bound > 0 ? (int) (next_random() % (uint64) bound) : 0;
}

static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "seed " UINT64_FORMAT ": %s\n", current_seed, what);
	fwrite(current_body, 1, current_len, stderr);
	fputc('\n', stderr);
	exit(1);
}

/* Replaces a range of the body by bytes from elsewhere. */
static int
replace_range(char *body, int len, int at, int removed,
			  const char *bytes, int added)
{
	if (len - removed + added > MAX_BODY)
		return len;
	memmove(body + at + added, body + at + removed, len - at - removed);
	memcpy(body + at, bytes, added);
	return len - removed + added;
}

/* The end of the JSON value that begins here, as well as can be told. */
static int
value_end(const char *body, int len, int at)
{
	int			depth = 0;
	bool		in_string = false;

	for (; at < len; at++)
	{
		char		c = body[at];

		if (in_string)
		{
			if (c == '\\')
				at++;
			else if (c == '"')
				in_string = false;
		}
		else if (c == '"')
			in_string = true;
		else if (c == '{' || c == '[')
			depth++;
		else if (depth == 0 && (c == ',' || c == '}' || c == ']'))
			break;
		else if (c == '}' || c == ']')
			depth--;
	}
	return Min(at, len);
}

/* Some place after a colon, or the end. */
static int
value_start(const char *body, int len)
{
	int			at = random_below(len + 1);
	const char *colon = memchr(body + at, ':', len - at);

	return colon != NULL ? colon + 1 - body : len;
}

/* Puts a value of some sample in the place of one: the document stays whole. */
static int
swap_value(char *body, int len)
{
	const Sample *other = &samples[random_below(n_samples)];
	int			at = value_start(body, len);
	int			end = value_end(body, len, at);
	int			from = value_start(other->bytes, other->len);
	int			to = value_end(other->bytes, other->len, from);

	return replace_range(body, len, at, end - at,
						 other->bytes + from, to - from);
}

static int
mutate(char *body, int len)
{
	static char copy[MAX_BODY];
	int			at = random_below(len + 1);
	int			span = random_below(Min(len - at, 40) + 1);
	const char *fragment;
	const Sample *other;

	switch (random_below(16))
	{
		case 0:					/* a byte */
			if (at < len)
				body[at] = (char) next_random();
			return len;
		case 1:					/* a bit */
			if (at < len)
				body[at] ^= 1 << random_below(8);
			return len;
		case 2:
			return replace_range(body, len, at, span, "", 0);
		case 3:					/* a range once more, somewhere */
			memcpy(copy, body + at, span);
			return replace_range(body, len, random_below(len + 1), 0,
								 copy, span);
		case 4:
			other = &samples[random_below(n_samples)];
			at = random_below(other->len + 1);
			span = random_below(Min(other->len - at, 200) + 1);
			return replace_range(body, len, random_below(len + 1), 0,
								 other->bytes + at, span);
		case 5:					/* cut off, but not often */
			return random_below(8) == 0 ? at : len;
		case 6:
		case 7:
			fragment = fragments[random_below(lengthof(fragments))];
			return replace_range(body, len, at, random_below(2) ? span : 0,
								 fragment, strlen(fragment));
		default:
			return swap_value(body, len);
	}
}

/* Is it JSON that jsonb takes?  The lexer looks at escapes if it decodes. */
static bool
is_strict_json(const char *text, int len)
{
	char	   *copy = pnstrdup(text, len);
	const bool	need_escapes = true;
	JsonLexContext *lex;

	if ((int) strlen(copy) != len ||
		pg_encoding_verifymbstr(PG_UTF8, copy, len) != len)
		return false;
	lex = compat_json_lex_context(copy, len, need_escapes);
	return pg_parse_json(lex, &nullSemAction) == JSON_SUCCESS;
}

static void
check_slice(const JsonSlice *slice, const char *body, int len)
{
	must(slice->raw >= body && slice->raw_len > 0 &&
		 slice->raw + slice->raw_len <= body + len, "slice outside the body");
	must(is_strict_json(slice->raw, slice->raw_len), "slice is no JSON");
	must((slice->text != NULL) == (slice->kind == JSON_KIND_STRING ||
								   slice->kind == JSON_KIND_NUMBER),
		 "text of the wrong kinds");
	if (slice->text != NULL)
	{
		must((int) strlen(slice->text) == slice->text_len, "text has a NUL");
		must(pg_encoding_verifymbstr(PG_UTF8, slice->text, slice->text_len) ==
			 slice->text_len, "text is not UTF-8");
	}
}

static void
check_record(const ParsedPage *page, const PageRecord *record, int len)
{
	char	   *payload = page_record_payload(page, record);

	must(is_strict_json(payload, strlen(payload)), "payload is no JSON");
	must(record->raw >= page->body &&
		 record->raw + record->raw_len <= page->body + len,
		 "record outside the body");
	must(record->defect != NULL || (record->type != NULL &&
									record->id != NULL && record->id[0]),
		 "sound record without identity");
	must(!record->is_duplicate || record->defect != NULL,
		 "duplicate without defect");

	for (int i = 0; i < record->n_fields; i++)
	{
		const PageField *field = &record->fields[i];

		must((int) strlen(field->name) == field->name_len, "name has a NUL");
		check_slice(&field->value, page->body, len);
	}
	for (int i = 0; i < record->n_links; i++)
	{
		const PageLink *link = &record->links[i];

		must(link->name != NULL, "relationship without a name");
		must(link->has_data || link->count == 0, "ids without data");
		must(link->to_many || link->count <= 1, "many ids of a to-one");
		if (link->has_data)
			check_slice(&link->data, page->body, len);
		for (int j = 0; j < link->count; j++)
			must(strlen(link->ids[j]) < (size_t) len &&
				 strlen(link->types[j]) < (size_t) len, "relationship ids");
	}
}

static void
check_body(void)
{
	const PageLimits limits = {.max_depth = 20, .max_records = 50};
	char	   *body = malloc(current_len);
	bool		valid = is_strict_json(current_body, current_len);
	ParsedPage *page;
	ParsedPage *again;

	memcpy(body, current_body, current_len);
	page = page_parse(body, current_len, &limits);

	/* PostgreSQL's strict parser is the judge of what is JSON */
	if (valid)
		must(page->n_faults == 0 &&
			 (page->problem == NULL ||
			  (strcmp(page->problem, "not valid JSON") != 0 &&
			   strcmp(page->problem, "truncated") != 0)),
			 "valid JSON refused");
	else
		must(page->n_faults > 0 || page->problem != NULL,
			 "invalid JSON accepted");

	if (page->problem != NULL)
	{
		must(page->n_records == 0 && page->n_included == 0,
			 "records beside a problem");
		return;
	}

	for (int i = 0; i < page->n_records; i++)
		check_record(page, &page->records[i], current_len);
	for (int i = 0; i < page->n_included; i++)
		check_record(page, &page->included[i], current_len);

	/* what has been repaired needs no repair, and says the same */
	again = page_parse(body, current_len, &limits);
	must(again->problem == NULL && again->n_faults == 0, "repair is incomplete");
	must(again->n_records == page->n_records &&
		 again->n_included == page->n_included &&
		 again->n_errors == page->n_errors, "repair changes the page");
}

static void
run_iteration(uint64 seed)
{
	static char body[MAX_BODY];
	const Sample *sample;

	current_seed = seed;
	random_state = seed;
	sample = &samples[random_below(n_samples)];
	memcpy(body, sample->bytes, sample->len);
	current_body = body;
	current_len = sample->len;
	for (int i = random_below(5); i >= 0; i--)
		current_len = mutate(body, current_len);
	check_body();
}

static void
load_sample(const char *path)
{
	FILE	   *file = fopen(path, "rb");
	Sample	   *sample = &samples[n_samples++];

	if (file == NULL || n_samples > MAX_SAMPLES)
	{
		fprintf(stderr, "cannot use sample %s\n", path);
		exit(2);
	}
	sample->bytes = malloc(MAX_BODY);
	sample->len = fread(sample->bytes, 1, MAX_BODY, file);
	fclose(file);

	/* the sample as it is comes first */
	current_body = sample->bytes;
	current_len = sample->len;
	check_body();
}

int
main(int argc, char **argv)
{
	uint64		seed;
	uint64		iterations;

	if (argc < 4)
	{
		fprintf(stderr, "usage: %s SEED ITERATIONS FILE...\n", argv[0]);
		return 2;
	}
	seed = strtoull(argv[1], NULL, 10);
	iterations = strtoull(argv[2], NULL, 10);
	for (int i = 3; i < argc; i++)
		load_sample(argv[i]);

	for (uint64 done = 0; done < iterations; done += BATCH)
	{
		uint64		stop = Min(done + BATCH, iterations);
		int			status;
		pid_t		child = fork();

		if (child == 0)
		{
			for (uint64 i = done; i < stop; i++)
				run_iteration(seed + i);
			exit(0);
		}
		if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
		{
			fprintf(stderr, "failed between seeds " UINT64_FORMAT " and "
					UINT64_FORMAT "\n", seed + done, seed + stop - 1);
			return 1;
		}
	}

	printf(UINT64_FORMAT " iterations over %d samples passed\n",
		   iterations, n_samples);
	return 0;
}
