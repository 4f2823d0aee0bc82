/*-------------------------------------------------------------------------
 *
 * session.h
 *		Transactions of the engine, and SQL within them.
 *
 * IDENTIFICATION
 *		src/session.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_SESSION_H
#define SYNC_ENGINE_SESSION_H

#include "executor/spi.h"

#define STATEMENT_MAX_ARGS	32

/*
 * Advisory lock tags of users have 1 or 2 in their fourth field; ours cannot
 * meet them.
 */
#define ENGINE_LOCK_SPACE	0x5345	/* "SE": lanes */
#define ENTITY_LOCK_SPACE	0x5346	/* entities, while somebody decides who reads them */
#define MERGE_LOCK_SPACE	0x534D	/* an org's merges of people: held shared by who writes people */
#define SUSPECT_LOCK_SPACE	0x5347	/* who lost a lane, while a page of it is applied */
#define CRON_LOCK_SPACE		0x5348	/* schedules, while somebody changes them or the jobs made for them */

/*
 * Statement: SQL text with its argument types, planned once per process.
 * Declare it static; the plan re-plans itself after DDL.
 */
typedef struct Statement
{
	const char *sql;
	int			nargs;
	Oid			types[STATEMENT_MAX_ARGS];
	SPIPlanPtr	plan;
} Statement;

/*
 * Runs a statement under SPI; returns the number of rows (SPI_processed).
 * Unlike SPI itself, leaves the caller in its memory context.
 */
extern uint64 statement_run(Statement *statement, const Datum *values, const char *nulls);

/* The same, seeing what is committed now, whatever the caller's snapshot. */
extern uint64 statement_run_latest(Statement *statement, const Datum *values, const char *nulls);

/* An argument of type bigint[]. */
extern Datum int64_array(const int64 *values, int n);

/* Columns of the last result: copies in the context that was current. */
extern char *result_text(uint64 row, int column);	/* NULL = SQL NULL */
extern int64 result_int64(uint64 row, int column, int64 if_null);
extern double result_float8(uint64 row, int column);	/* 0 = SQL NULL */
extern bool result_bool(uint64 row, int column);
extern TimestampTz result_timestamp(uint64 row, int column, TimestampTz if_null);

/*
 * A transaction of a lane takes milliseconds.  One that takes so long hangs in
 * somebody's trigger, and stops all other jobs of the lane meanwhile.
 */
#define SESSION_TIMEOUT_MS	10000

/*
 * A transaction of a lane: extension present and not being dropped, running
 * as its owner, restricted, with a pinned search_path.  False, with nothing
 * open, when the extension is gone, even if another was created in its place:
 * that one counts jobs and epochs anew, so the lane's would be mistaken.  Nothing
 * is left to the lane then but to leave.
 */
extern bool session_begin(const char *activity);

/* Why there can be no work; the hint is NULL where nobody can act. */
typedef struct Obstacle
{
	char		message[256];
	const char *hint;
} Obstacle;

/*
 * Why session_begin has said no: no extension, one that is being dropped, or one
 * of another version than this library.  NULL if it has not.
 */
extern const Obstacle *session_obstacle(void);

extern void session_commit(bool durable);
extern void session_abort(void);

/*
 * After an error was caught, in this memory context: rolls back, as PostgreSQL's
 * own loops do.  Returns a copy of the error.  FATAL is never caught.
 */
extern ErrorData *session_recover(MemoryContext context);

/* Gives the transaction its time anew, after a part of it took all and was given up. */
extern void session_renew_timeout(void);

/*
 * Until the transaction ends rows come in the order of an index that has it.  A table
 * that has just been filled has no statistics, and the planner would sort all of it.
 */
extern void session_follow_index(void);

/* Switches the identity, between begin and commit. */
extern void session_become_table_owner(void);
extern void session_become_extension_owner(void);

/*
 * Runs the engine's own SQL in a user's backend: as the extension's owner,
 * restricted, pinned; ends itself if an error unwinds the transaction.
 */
typedef struct OwnerScope
{
	Oid			user;
	int			security;
	int			guc_level;
} OwnerScope;

extern void owner_scope_enter(OwnerScope *scope);
extern void owner_scope_leave(OwnerScope *scope);

/*
 * Raises an error if the extension is of another version than this library; so
 * does owner_scope_enter.
 */
extern void session_require_version(void);

/* Role that owns the data tables; raises an error if it does not exist. */
extern Oid	session_table_owner(void);

#endif							/* SYNC_ENGINE_SESSION_H */
