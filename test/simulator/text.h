/*-------------------------------------------------------------------------
 *
 * text.h
 *	  Growing byte buffers, the one string builder of the simulator.
 *
 * IDENTIFICATION
 *	  test/simulator/text.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_TEXT_H
#define SIM_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct sim_buf
{
	char	   *data;			/* always followed by a NUL once written to */
	size_t		len;
	size_t		cap;
} sim_buf;

extern void *sim_alloc(size_t size);
extern void *sim_alloc0(size_t size);
extern void *sim_grow(void *ptr, size_t size);
extern char *sim_strdup(const char *text);

extern void buf_reserve_slow(sim_buf *buf, size_t extra);
extern void buf_printf(sim_buf *buf, const char *fmt,...)
			__attribute__((format(printf, 2, 3)));
extern void buf_u64(sim_buf *buf, uint64_t value);
extern void buf_json(sim_buf *buf, const char *text, size_t len);
extern void buf_json_str(sim_buf *buf, const char *text);
extern void buf_free(sim_buf *buf);
extern void buf_copy_part(char *to, size_t size, const char *from, const char *end);

extern uint64_t hash_mix(uint64_t value);
extern uint64_t hash_text(const char *text);

/*
 * buf_reserve makes room for extra bytes and the closing NUL.
 */
static inline void
buf_reserve(sim_buf *buf, size_t extra)
{
	if (buf->cap - buf->len <= extra)
		buf_reserve_slow(buf, extra);
}

/*
 * buf_add appends len bytes.
 */
static inline void
buf_add(sim_buf *buf, const char *bytes, size_t len)
{
	buf_reserve(buf, len);
	if (len > 0)
		memcpy(buf->data + buf->len, bytes, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
}

/*
 * buf_str appends a NUL-terminated string.
 */
static inline void
buf_str(sim_buf *buf, const char *text)
{
	buf_add(buf, text, strlen(text));
}

/*
 * buf_char appends one byte.
 */
static inline void
buf_char(sim_buf *buf, char c)
{
	buf_reserve(buf, 1);
	buf->data[buf->len++] = c;
	buf->data[buf->len] = '\0';
}

/*
 * buf_reset empties the buffer and keeps its memory.
 */
static inline void
buf_reset(sim_buf *buf)
{
	buf->len = 0;
	if (buf->data)
		buf->data[0] = '\0';
}

#endif							/* SIM_TEXT_H */
