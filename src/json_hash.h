/*-------------------------------------------------------------------------
 *
 * json_hash.h
 *		Hashes a JSON value by what it says, not by how it is written.
 *
 * IDENTIFICATION
 *		src/json_hash.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_JSON_HASH_H
#define SYNC_ENGINE_JSON_HASH_H

#include "page_parser.h"

/*
 * Strings are hashed as decoded; the order of an object's members and white
 * space do not matter.
 */
extern uint64 json_hash(const JsonSlice *value, uint64 seed);

#endif							/* SYNC_ENGINE_JSON_HASH_H */
