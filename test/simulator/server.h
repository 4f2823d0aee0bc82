/*-------------------------------------------------------------------------
 *
 * server.h
 *	  The HTTP server and its event loop.
 *
 * IDENTIFICATION
 *	  test/simulator/server.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_SERVER_H
#define SIM_SERVER_H

#include "text.h"

extern int	server_start(int port);
extern void server_run(int signal_fd);
extern void server_stop(void);
extern void server_release_hanging(void);
extern void server_go_down(int64_t seconds);

#endif							/* SIM_SERVER_H */
