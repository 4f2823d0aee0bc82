/*-------------------------------------------------------------------------
 *
 * text.c
 *	  Growing byte buffers, checked allocation and hashing.
 *
 * Owns: nothing.  Must never return a failed allocation: a simulator out of
 * memory cannot go on in any meaningful way, so it says so and stops.
 *
 * IDENTIFICATION
 *	  test/simulator/text.c
 *
 *-------------------------------------------------------------------------
 */
#include "text.h"

#include <stdio.h>
#include <stdlib.h>

/* A first allocation that holds most short values without a second one. */
#define BUF_FIRST_SIZE 64

/*
 * out_of_memory ends the process with a message.
 */
static void
out_of_memory(void)
{
	fputs("pco_simulator: out of memory\n", stderr);
	abort();
}

/*
 * sim_alloc is malloc that cannot fail.
 */
void *
sim_alloc(size_t size)
{
	void	   *ptr = malloc(size ? size : 1);

	if (ptr == NULL)
		out_of_memory();
	return ptr;
}

/*
 * sim_alloc0 is sim_alloc of zeroed memory.
 */
void *
sim_alloc0(size_t size)
{
	void	   *ptr = calloc(1, size ? size : 1);

	if (ptr == NULL)
		out_of_memory();
	return ptr;
}

/*
 * sim_grow is realloc that cannot fail.
 */
void *
sim_grow(void *ptr, size_t size)
{
	ptr = realloc(ptr, size ? size : 1);
	if (ptr == NULL)
		out_of_memory();
	return ptr;
}

/*
 * sim_strdup is strdup that cannot fail; NULL stays NULL.
 */
char *
sim_strdup(const char *text)
{
	size_t		len;
	char	   *copy;

	if (text == NULL)
		return NULL;
	len = strlen(text) + 1;
	copy = sim_alloc(len);
	memcpy(copy, text, len);
	return copy;
}

/*
 * buf_reserve_slow grows the buffer at least twofold.
 */
void
buf_reserve_slow(sim_buf *buf, size_t extra)
{
	size_t		cap = buf->cap ? buf->cap * 2 : BUF_FIRST_SIZE;

	while (cap <= buf->len + extra)
		cap *= 2;
	buf->data = sim_grow(buf->data, cap);
	buf->cap = cap;
	buf->data[buf->len] = '\0';
}

/*
 * buf_printf appends formatted text.
 */
void
buf_printf(sim_buf *buf, const char *fmt,...)
{
	va_list		args;
	int			need;

	va_start(args, fmt);
	need = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	buf_reserve(buf, (size_t) need);
	va_start(args, fmt);
	vsnprintf(buf->data + buf->len, (size_t) need + 1, fmt, args);
	va_end(args);
	buf->len += (size_t) need;
}

/*
 * buf_u64 appends an unsigned decimal number, faster than printf can.
 */
void
buf_u64(sim_buf *buf, uint64_t value)
{
	char		digits[20];
	size_t		at = sizeof(digits);

	do
	{
		digits[--at] = (char) ('0' + value % 10);
		value /= 10;
	} while (value > 0);
	buf_add(buf, digits + at, sizeof(digits) - at);
}

/*
 * buf_json appends text as a JSON string with its quotes.  UTF-8 passes as it
 * is: PCO does not escape it either.
 */
void
buf_json(sim_buf *buf, const char *text, size_t len)
{
	buf_char(buf, '"');
	for (size_t i = 0; i < len; i++)
	{
		unsigned char c = (unsigned char) text[i];

		if (c == '"' || c == '\\')
		{
			buf_char(buf, '\\');
			buf_char(buf, (char) c);
		}
		else if (c == '\n')
			buf_str(buf, "\\n");
		else if (c == '\r')
			buf_str(buf, "\\r");
		else if (c == '\t')
			buf_str(buf, "\\t");
		else if (c < 0x20)
			buf_printf(buf, "\\u%04x", c);
		else
			buf_char(buf, (char) c);
	}
	buf_char(buf, '"');
}

/*
 * buf_json_str is buf_json of a NUL-terminated string; NULL becomes null.
 */
void
buf_json_str(sim_buf *buf, const char *text)
{
	if (text == NULL)
		buf_str(buf, "null");
	else
		buf_json(buf, text, strlen(text));
}

/*
 * buf_free releases the memory and leaves an empty buffer.
 */
void
buf_free(sim_buf *buf)
{
	free(buf->data);
	memset(buf, 0, sizeof(*buf));
}

/*
 * hash_mix is the finaliser of splitmix64: every input bit moves every output
 * bit, so counters and packed keys can be hashed directly.
 */
uint64_t
hash_mix(uint64_t value)
{
	value += UINT64_C(0x9e3779b97f4a7c15);
	value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
	return value ^ (value >> 31);
}

/*
 * hash_text is FNV-1a over a NUL-terminated string, then mixed.
 */
uint64_t
hash_text(const char *text)
{
	uint64_t	hash = UINT64_C(0xcbf29ce484222325);

	for (; *text; text++)
		hash = (hash ^ (unsigned char) *text) * UINT64_C(0x100000001b3);
	return hash_mix(hash);
}

/*
 * buf_copy_part copies the bytes from..end as a NUL-terminated string, cut to
 * the size of its destination.
 */
void
buf_copy_part(char *to, size_t size, const char *from, const char *end)
{
	size_t		len = (size_t) (end - from);

	if (len >= size)
		len = size - 1;
	memcpy(to, from, len);
	to[len] = '\0';
}
