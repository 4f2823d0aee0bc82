/*-------------------------------------------------------------------------
 *
 * launcher.h
 *		The one static worker: it starts lanes where there is work.
 *
 * IDENTIFICATION
 *		src/launcher.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_LAUNCHER_H
#define SYNC_ENGINE_LAUNCHER_H

extern void launcher_register(void);

#endif							/* SYNC_ENGINE_LAUNCHER_H */
