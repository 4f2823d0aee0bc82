/*-------------------------------------------------------------------------
 *
 * map.h
 *	  Hash map from text to a number or pointer.
 *
 * IDENTIFICATION
 *	  test/simulator/map.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_MAP_H
#define SIM_MAP_H

#include "text.h"

typedef struct sim_map_entry
{
	char	   *key;			/* NULL = free */
	uint64_t	count;
	void	   *value;
} sim_map_entry;

typedef struct sim_map
{
	sim_map_entry *entries;
	size_t		cap;			/* a power of two, or 0 */
	size_t		used;
} sim_map;

extern sim_map_entry *map_find(const sim_map *map, const char *key);
extern sim_map_entry *map_get(sim_map *map, const char *key);
extern void map_clear(sim_map *map);

#endif							/* SIM_MAP_H */
