/*-------------------------------------------------------------------------
 *
 * secrecy.h
 *		Keeps statements that carry a credential out of sight.
 *
 * IDENTIFICATION
 *		src/secrecy.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_SECRECY_H
#define SYNC_ENGINE_SECRECY_H

/* Watches what goes to the server's log; called once, by the postmaster. */
extern void secrecy_install_hook(void);

/*
 * From here on neither pg_stat_activity nor the server's log shows the
 * statement that runs.
 */
extern void secrecy_hide_statement(void);

#endif							/* SYNC_ENGINE_SECRECY_H */
