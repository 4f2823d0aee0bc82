/*-------------------------------------------------------------------------
 *
 * fold.c
 *	  Case- and accent-folded comparison, the API's text order.
 *
 * Measured: text sorts and compares as under a MySQL collation that folds
 * case and accents.  Each code point folds to one code point.
 *
 * Owns: nothing.  Must never depend on the process's locale.
 *
 * IDENTIFICATION
 *	  test/simulator/fold.c
 *
 *-------------------------------------------------------------------------
 */
#include "fold.h"

/* Base letters of U+00C0..U+017F; a dot means the code point has none. */
static const char latin_base[] =
	"aaaaaaaceeeeiiii"			/* C0 */
	"dnooooo.ouuuuyts"			/* D0 */
	"aaaaaaaceeeeiiii"			/* E0 */
	"dnooooo.ouuuuyty"			/* F0 */
	"aaaaaaccccccccdd"			/* 100 */
	"ddeeeeeeeeeegggg"			/* 110 */
	"gggghhhhiiiiiiii"			/* 120 */
	"iiiijjkkklllllll"			/* 130 */
	"lllnnnnnnnnnoooo"			/* 140 */
	"oooorrrrrrssssss"			/* 150 */
	"ssttttttuuuuuuuu"			/* 160 */
	"uuuuwwyyyzzzzzzs";			/* 170 */

/*
 * next_point decodes one UTF-8 code point and folds it.  Broken bytes count as
 * themselves: the stores hold none, and a query may hold anything.
 */
static uint32_t
next_point(const char **at, const char *end)
{
	const unsigned char *p = (const unsigned char *) *at;
	size_t		left = (size_t) (end - *at);
	uint32_t	point = p[0];
	size_t		used = 1;

	if (p[0] >= 0xf0 && left >= 4)
	{
		point = ((uint32_t) (p[0] & 7) << 18) | ((uint32_t) (p[1] & 63) << 12) |
			((uint32_t) (p[2] & 63) << 6) | (p[3] & 63);
		used = 4;
	}
	else if (p[0] >= 0xe0 && left >= 3)
	{
		point = ((uint32_t) (p[0] & 15) << 12) | ((uint32_t) (p[1] & 63) << 6) |
			(p[2] & 63);
		used = 3;
	}
	else if (p[0] >= 0xc0 && left >= 2)
	{
		point = ((uint32_t) (p[0] & 31) << 6) | (p[1] & 63);
		used = 2;
	}
	*at += used;

	if (point >= 'A' && point <= 'Z')
		return point + ('a' - 'A');
	if (point >= 0xc0 && point <= 0x17f && latin_base[point - 0xc0] != '.')
		return (uint32_t) latin_base[point - 0xc0];
	return point;
}

/*
 * fold_compare orders two texts.
 */
int
fold_compare(const char *a, size_t alen, const char *b, size_t blen)
{
	const char *aend = a + alen;
	const char *bend = b + blen;

	while (a < aend && b < bend)
	{
		uint32_t	x = next_point(&a, aend);
		uint32_t	y = next_point(&b, bend);

		if (x != y)
			return x < y ? -1 : 1;
	}
	return (a < aend) - (b < bend);
}

/*
 * fold_append appends the folded text as UTF-8.
 */
void
fold_append(sim_buf *buf, const char *text, size_t len)
{
	const char *end = text + len;

	while (text < end)
	{
		const char *start = text;
		uint32_t	point = next_point(&text, end);

		if (point < 0x80)
			buf_char(buf, (char) point);
		else
			buf_add(buf, start, (size_t) (text - start));
	}
}

/*
 * fold_ascii appends what a mail address can be made of: folded letters and
 * digits only.
 */
void
fold_ascii(sim_buf *buf, const char *text, size_t len)
{
	const char *end = text + len;

	while (text < end)
	{
		uint32_t	point = next_point(&text, end);

		if ((point >= 'a' && point <= 'z') || (point >= '0' && point <= '9'))
			buf_char(buf, (char) point);
	}
}

/*
 * fold_matches compares a folded text with a folded pattern that may carry a
 * wildcard % at either end.
 */
bool
fold_matches(const char *folded, const char *pattern)
{
	size_t		len = strlen(pattern);
	size_t		text_len = strlen(folded);
	bool		open_start = len > 0 && pattern[0] == '%';
	bool		open_end = len > 1 && pattern[len - 1] == '%';

	pattern += open_start;
	len -= (size_t) open_start + (size_t) open_end;
	if (text_len < len)
		return false;
	if (open_start && open_end)
		return memmem(folded, text_len, pattern, len) != NULL;
	if (open_start)
		return memcmp(folded + text_len - len, pattern, len) == 0;
	if (open_end)
		return memcmp(folded, pattern, len) == 0;
	return text_len == len && memcmp(folded, pattern, len) == 0;
}

/*
 * fold_words_match tells whether each word of the query starts a word of the
 * text (both folded): the rule of search_name.
 */
bool
fold_words_match(const char *folded, const char *words)
{
	while (*words)
	{
		size_t		len = strcspn(words, " ");
		const char *at = folded;
		bool		found = false;

		while (len > 0 && *at && !found)
		{
			found = strncmp(at, words, len) == 0;
			at += strcspn(at, " ");
			at += strspn(at, " ");
		}
		if (len > 0 && !found)
			return false;
		words += len;
		words += strspn(words, " ");
	}
	return true;
}
