/*-------------------------------------------------------------------------
 *
 * entity_name.h
 *		Names of entities, as users write them and as the engine does.
 *
 * The engine's form is 'product.Entity', in String nodes.
 *
 * IDENTIFICATION
 *		src/entity_name.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_ENTITY_NAME_H
#define SYNC_ENGINE_ENTITY_NAME_H

#include "nodes/pg_list.h"

/*
 * Resolves names ('Person', 'giving.Person', 'check-ins.CheckIn'; char *), each
 * once; '*' is all that can be synced.  Raises an error for an unknown name, an
 * ambiguous one, or one that cannot be synced.
 */
extern List *entity_names_resolve(List *names);

/* One name, whether it can be synced or not; palloc'd. */
extern char *entity_name_resolve(const char *name);

/* Adds the parents that nested entities walk, and theirs; sorted by name. */
extern List *entity_names_with_parents(List *names);

/*
 * Those whose reading costs a request for each person: walks over people, and
 * what is nested below them.
 */
extern List *entity_names_person_walks(List *names);

/* Those that are, or that walk, directly or not, one of `others`. */
extern List *entity_names_resting_on(List *names, List *others);

/* Raises an error if the manifest of these, or of their parents, is unsound. */
extern void entity_names_validate(List *names);

/* Leaves out those of which that is so, with a WARNING for each that is to blame. */
extern List *entity_names_sound(List *names);

/* As an array of text. */
extern Datum entity_names_array(List *names);

#endif							/* SYNC_ENGINE_ENTITY_NAME_H */
