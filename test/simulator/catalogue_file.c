/*-------------------------------------------------------------------------
 *
 * catalogue_file.c
 *	  Reading the catalogue's data files.
 *
 * One statement a line, words separated by blanks, "quoted words" with \" and
 * \\, a # at the start of a line comments it out, a backslash at its end joins
 * the next line.  The README describes every statement.
 *
 * Owns: nothing; it fills a catalogue that the caller owns.
 * Must never guess: an unknown word is an error with file and line.
 *
 * IDENTIFICATION
 *	  test/simulator/catalogue_file.c
 *
 *-------------------------------------------------------------------------
 */
#include "catalogue_file.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * read_statement handles one line.
 */
static void
read_statement(catalogue_reader *r)
{
	catalogue  *cat = r->cat;
	char	   *statement = reader_take(r);

	if (strcmp(statement, "product") == 0)
	{
		char	   *name = reader_take(r);

		r->entity = NULL;
		r->product = catalogue_product(cat, name, strlen(name));
		if (r->product < 0)
		{
			r->product = cat->product_count++;
			cat->products = sim_grow(cat->products,
									 sizeof(cat_product) * (size_t) cat->product_count);
			memset(&cat->products[r->product], 0, sizeof(cat_product));
			cat->products[r->product].name = sim_strdup(name);
		}
	}
	else if (strcmp(statement, "versions") == 0 && r->product >= 0)
		reader_rest(r, &cat->products[r->product].versions);
	else if (strcmp(statement, "list") == 0)
	{
		cat_list   *list = sim_alloc0(sizeof(*list));
		cat_names	words = {0};

		list->name = sim_strdup(reader_take(r));
		reader_rest(r, &words);
		list->words = words.names;
		list->count = words.count;
		list->next = cat->lists;
		cat->lists = list;
	}
	else if (strcmp(statement, "entity") == 0 && r->product >= 0)
	{
		char	   *collection;

		cat->entities = sim_grow(cat->entities,
								 sizeof(cat_entity) * (size_t) (cat->entity_count + 1));
		r->entity = &cat->entities[cat->entity_count++];
		memset(r->entity, 0, sizeof(cat_entity));
		r->entity->product = r->product;
		r->entity->type = sim_strdup(reader_take(r));
		collection = reader_take(r);
		if (strcmp(collection, "-") != 0)
			r->entity->collection = sim_strdup(collection);
	}
	else
		entity_statement(r, statement);
	if (r->at < r->count)
		reader_fail(r, "superfluous word", r->words[r->at]);
}

/*
 * split_words cuts a line into words in place.
 */
static void
split_words(catalogue_reader *r, char *line)
{
	r->count = r->at = 0;
	for (;;)
	{
		char	   *word;
		char	   *to;
		bool		quoted;

		while (isspace((unsigned char) *line))
			line++;
		if (*line == '\0')
			return;
		quoted = *line == '"';
		word = to = line += quoted;
		while (*line && (quoted ? *line != '"' : !isspace((unsigned char) *line)))
		{
			if (quoted && *line == '\\' && (line[1] == '"' || line[1] == '\\'))
				line++;
			*to++ = *line++;
		}
		if (quoted && *line == '\0')
			reader_fail(r, "unfinished quotes at", word);
		if (*line)
			line++;
		*to = '\0';
		r->words = sim_grow(r->words, sizeof(char *) * (size_t) (r->count + 1));
		r->words[r->count++] = word;
	}
}

/*
 * catalogue_file_read adds what one file describes.
 */
void
catalogue_file_read(catalogue *cat, const char *path)
{
	catalogue_reader r = {.cat = cat, .path = path, .product = -1};
	FILE	   *file = fopen(path, "r");
	char	   *line = NULL;
	size_t		cap = 0;
	ssize_t		len;
	sim_buf		statement = {0};

	if (file == NULL)
	{
		perror(path);
		exit(1);
	}
	while ((len = getline(&line, &cap, file)) >= 0)
	{
		bool		more;

		r.line++;
		while (len > 0 && isspace((unsigned char) line[len - 1]))
			line[--len] = '\0';
		if (line[strspn(line, " \t")] == '#')
			continue;
		more = len > 0 && line[len - 1] == '\\';
		buf_add(&statement, line, (size_t) (len - more));
		if (more)
			continue;
		split_words(&r, statement.data);
		if (r.count > 0)
			read_statement(&r);
		buf_reset(&statement);
	}
	buf_free(&statement);
	free(r.words);
	free(line);
	fclose(file);
}
