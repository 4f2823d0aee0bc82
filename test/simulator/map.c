/*-------------------------------------------------------------------------
 *
 * map.c
 *	  Hash map from text to a number or pointer, open addressing.
 *
 * Owns: its keys.  Must never free the values: their owners do.
 *
 * IDENTIFICATION
 *	  test/simulator/map.c
 *
 *-------------------------------------------------------------------------
 */
#include "map.h"

#include <stdlib.h>

/* Small: most maps hold a few paths or statuses. */
#define MAP_FIRST_CAP 16

/*
 * probe returns the entry that holds the key, or the free one where it goes.
 */
static sim_map_entry *
probe(const sim_map *map, const char *key)
{
	size_t		at = hash_text(key) & (map->cap - 1);

	while (map->entries[at].key != NULL && strcmp(map->entries[at].key, key) != 0)
		at = (at + 1) & (map->cap - 1);
	return &map->entries[at];
}

/*
 * map_find returns the key's entry, or NULL.
 */
sim_map_entry *
map_find(const sim_map *map, const char *key)
{
	sim_map_entry *entry = map->cap ? probe(map, key) : NULL;

	return entry && entry->key ? entry : NULL;
}

/*
 * map_get returns the key's entry, made if need be.
 */
sim_map_entry *
map_get(sim_map *map, const char *key)
{
	sim_map_entry *entry;

	if ((map->used + 1) * 2 > map->cap)
	{
		sim_map		bigger = {0};

		bigger.cap = map->cap ? map->cap * 2 : MAP_FIRST_CAP;
		bigger.entries = sim_alloc0(sizeof(sim_map_entry) * bigger.cap);
		for (size_t i = 0; i < map->cap; i++)
			if (map->entries[i].key != NULL)
				*probe(&bigger, map->entries[i].key) = map->entries[i];
		bigger.used = map->used;
		free(map->entries);
		*map = bigger;
	}
	entry = probe(map, key);
	if (entry->key == NULL)
	{
		entry->key = sim_strdup(key);
		map->used++;
	}
	return entry;
}

/*
 * map_clear empties the map and frees its memory.
 */
void
map_clear(sim_map *map)
{
	for (size_t i = 0; i < map->cap; i++)
		free(map->entries[i].key);
	free(map->entries);
	memset(map, 0, sizeof(*map));
}
