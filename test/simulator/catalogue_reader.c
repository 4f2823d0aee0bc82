/*-------------------------------------------------------------------------
 *
 * catalogue_reader.c
 *	  Taking the words of a catalogue statement one by one.
 *
 * Owns: nothing.  Must never return a word that is not there: a mistake in a
 * catalogue ends the process with its place.
 *
 * IDENTIFICATION
 *	  test/simulator/catalogue_reader.c
 *
 *-------------------------------------------------------------------------
 */
#include "catalogue_file.h"

#include <stdio.h>
#include <stdlib.h>

/*
 * reader_fail ends the process with the place of a mistake.
 */
void
reader_fail(const catalogue_reader *r, const char *message, const char *word)
{
	fprintf(stderr, "pco_simulator: %s:%d: %s \"%s\"\n", r->path, r->line,
			message, word ? word : "");
	exit(1);
}

/*
 * reader_take returns the next word, which must exist.
 */
char *
reader_take(catalogue_reader *r)
{
	if (r->at >= r->count)
		reader_fail(r, "too few words after", r->words[r->count - 1]);
	return r->words[r->at++];
}

/*
 * reader_number returns the next word as a number.
 */
double
reader_number(catalogue_reader *r)
{
	char	   *word = reader_take(r);
	char	   *end;
	double		value = strtod(word, &end);

	if (end == word || *end != '\0')
		reader_fail(r, "not a number:", word);
	return value;
}

/*
 * reader_take_if takes the next word only if it is the given one.
 */
bool
reader_take_if(catalogue_reader *r, const char *word)
{
	if (r->at < r->count && strcmp(r->words[r->at], word) == 0)
	{
		r->at++;
		return true;
	}
	return false;
}

/*
 * reader_list returns the word list that the next word names.
 */
const cat_list *
reader_list(catalogue_reader *r)
{
	char	   *name = reader_take(r);

	for (const cat_list *list = r->cat->lists; list; list = list->next)
		if (strcmp(list->name, name) == 0)
			return list;
	reader_fail(r, "unknown list", name);
}

/*
 * reader_rest moves all remaining words into a set of names.
 */
void
reader_rest(catalogue_reader *r, cat_names *names)
{
	while (r->at < r->count)
	{
		names->names = sim_grow(names->names,
								sizeof(char *) * (size_t) (names->count + 1));
		names->names[names->count++] = sim_strdup(reader_take(r));
	}
}

/*
 * reader_json returns a word as the JSON value it stands for: true, false, null
 * and numbers as they are, anything else as a string.
 */
char *
reader_json(const char *word)
{
	sim_buf		buf = {0};
	char	   *end;

	strtod(word, &end);
	if (strcmp(word, "true") == 0 || strcmp(word, "false") == 0 ||
		strcmp(word, "null") == 0 || (*word != '\0' && *end == '\0'))
		buf_str(&buf, word);
	else
		buf_json_str(&buf, word);
	return buf.data;
}
