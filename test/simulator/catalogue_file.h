/*-------------------------------------------------------------------------
 *
 * catalogue_file.h
 *	  Reading the catalogue's data files.
 *
 * IDENTIFICATION
 *	  test/simulator/catalogue_file.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_CATALOGUE_FILE_H
#define SIM_CATALOGUE_FILE_H

#include "catalogue.h"

typedef struct catalogue_reader
{
	catalogue  *cat;
	const char *path;
	int			line;
	int			product;		/* current product, or -1 */
	cat_entity *entity;			/* current entity, or NULL */
	char	  **words;			/* of the current statement */
	int			count;
	int			at;				/* the next word to take */
} catalogue_reader;

extern void catalogue_file_read(catalogue *cat, const char *path);

/* catalogue_entity.c */
extern void entity_statement(catalogue_reader *r, const char *statement);

/* catalogue_reader.c */
extern void reader_fail(const catalogue_reader *r, const char *message, const char *word)
			__attribute__((noreturn));
extern char *reader_take(catalogue_reader *r);
extern double reader_number(catalogue_reader *r);
extern bool reader_take_if(catalogue_reader *r, const char *word);
extern const cat_list *reader_list(catalogue_reader *r);
extern void reader_rest(catalogue_reader *r, cat_names *names);
extern char *reader_json(const char *word);

#endif							/* SIM_CATALOGUE_FILE_H */
