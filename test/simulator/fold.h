/*-------------------------------------------------------------------------
 *
 * fold.h
 *	  Case- and accent-folded comparison, the API's text order.
 *
 * IDENTIFICATION
 *	  test/simulator/fold.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_FOLD_H
#define SIM_FOLD_H

#include "text.h"

extern int	fold_compare(const char *a, size_t alen, const char *b, size_t blen);
extern void fold_append(sim_buf *buf, const char *text, size_t len);
extern void fold_ascii(sim_buf *buf, const char *text, size_t len);
extern bool fold_matches(const char *folded, const char *pattern);
extern bool fold_words_match(const char *folded, const char *words);

#endif							/* SIM_FOLD_H */
