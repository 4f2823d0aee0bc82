/*-------------------------------------------------------------------------
 *
 * page_text.h
 *	  The text below a page: repairing what is not valid, decoding strings.
 *
 * IDENTIFICATION
 *	  src/page_text.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_PAGE_TEXT_H
#define SYNC_ENGINE_PAGE_TEXT_H

typedef enum TextFaultKind
{
	TEXT_FAULT_UTF8,			/* a byte that is not part of valid UTF-8 */
	TEXT_FAULT_CONTROL,			/* a raw control character in a string */
	TEXT_FAULT_NUL,				/* the escape \u0000 */
	TEXT_FAULT_SURROGATE		/* an escape that is half of a pair */
} TextFaultKind;

/* A backslash, a u, and four hexadecimal digits. */
#define TEXT_ESCAPE_LEN 6

/*
 * TextFault: one place that text_repair() has overwritten.
 */
typedef struct TextFault
{
	int			offset;			/* in the body */
	TextFaultKind kind;
	char		original[TEXT_ESCAPE_LEN];	/* only the first byte is used for
											 * faults of one byte */
} TextFault;

typedef struct TextFaults
{
	int			count;
	int			capacity;
	TextFault  *items;			/* in ascending order of their offset */
} TextFaults;

extern const char *text_repair(char *body, int len, int max_depth,
							   TextFaults *faults);
extern const char *text_fault_name(TextFaultKind kind);
extern int	text_first_fault(const TextFault *faults, int count, int offset);
extern int	text_decode(const char *raw, int raw_len, char *out);
extern char *text_restore(const char *raw, int raw_len,
						  const TextFault *faults, int n_faults,
						  int raw_offset);

#endif							/* SYNC_ENGINE_PAGE_TEXT_H */
