/*-------------------------------------------------------------------------
 *
 * unit_random.h
 *	  Random numbers for tests: the same in every run, so that a failure comes
 *	  again.
 *
 * IDENTIFICATION
 *	  test/unit/unit_random.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_UNIT_RANDOM_H
#define SYNC_ENGINE_UNIT_RANDOM_H

/* xorshift64; any state but 0 will do to begin with */
static uint64 random_state = 88172645463325252;

static inline int
random_below(int limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (int) ((random_state >> 16) % limit);
}

#endif							/* SYNC_ENGINE_UNIT_RANDOM_H */
