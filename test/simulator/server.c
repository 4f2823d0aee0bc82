/*-------------------------------------------------------------------------
 *
 * server.c
 *	  The HTTP server and its event loop.
 *
 * One thread and one loop: libmicrohttpd's epoll descriptor, the timers and
 * the signals.  A reply that is held back suspends its connection, so that any
 * number of slow requests costs nothing but their sockets.
 *
 * Owns: the daemon and every exchange.  Must never block anywhere but in the
 * loop's own wait.
 *
 * IDENTIFICATION
 *	  test/simulator/server.c
 *
 *-------------------------------------------------------------------------
 */
#include "server.h"

#include "control.h"
#include "service.h"
#include "stats.h"
#include "timer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* More connections than any test opens; each costs a descriptor. */
#define MAX_CONNECTIONS 10000

/* Clients connect in bursts; the kernel caps this at somaxconn. */
#define LISTEN_BACKLOG 1024

/* How often hanging connections are checked for peers that gave up. */
#define SWEEP_USECS (USECS_PER_SEC / 4)

/* A slow body goes out in this many pieces a second. */
#define SLOW_PIECES 20

typedef enum exchange_phase
{
	PHASE_NEW,
	PHASE_CONTROL,
	PHASE_ADMITTED,
	PHASE_WAITING,				/* suspended until its latency is over */
	PHASE_HANGING,				/* suspended for good */
	PHASE_ANSWERED
} exchange_phase;

typedef struct exchange
{
	sim_request *request;
	struct MHD_Connection *connection;
	exchange_phase phase;
	int64_t		began;			/* monotonic */
	sim_buf		body;			/* of replies that go out piecemeal */
	uint64_t	piece;			/* bytes at a time; 0 = reset after half */
	int64_t		next_piece;		/* monotonic */
	struct exchange *next;		/* among the hanging ones */
} exchange;

static struct MHD_Daemon *http;
static int	loop_fd = -1;
static exchange *hanging;
static int64_t down_until;
static bool stopping;
static bool resumed;			/* since the daemon last ran */

/*
 * exchange_start is called with the raw address of a new request.
 */
static void *
exchange_start(void *cls, const char *uri, struct MHD_Connection *connection)
{
	exchange   *x = sim_alloc0(sizeof(*x));

	(void) cls;
	x->request = sim_alloc0(sizeof(*x->request));
	x->request->url = sim_strdup(uri);
	x->connection = connection;
	x->began = stamp_monotonic();
	return x;
}

/*
 * exchange_end is called when a request is over, however it ended.
 */
static void
exchange_end(void *cls, struct MHD_Connection *connection, void **con_cls,
			 enum MHD_RequestTerminationCode code)
{
	exchange   *x = *con_cls;

	(void) cls;
	(void) connection;
	(void) code;
	if (x == NULL)
		return;
	if (x->phase != PHASE_NEW && x->phase != PHASE_CONTROL)
		stats_left();
	for (exchange **link = &hanging; *link != NULL; link = &(*link)->next)
		if (*link == x)
		{
			*link = x->next;
			break;
		}
	request_free(x->request);
	buf_free(&x->body);
	free(x);
	*con_cls = NULL;
}

/*
 * read_piece hands out the next piece of a body that is slow or broken off.
 */
static ssize_t
read_piece(void *cls, uint64_t pos, char *to, size_t max)
{
	exchange   *x = cls;
	int64_t		now = stamp_monotonic();
	size_t		left = x->body.len - (size_t) pos;
	struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
	const union MHD_ConnectionInfo *info;

	if (x->piece == 0)
	{
		if (pos >= x->body.len / 2)
		{
			info = MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
			connect(info->connect_fd, &nowhere, sizeof(nowhere));	/* sends a reset */
			return MHD_CONTENT_READER_END_WITH_ERROR;
		}
		left = x->body.len / 2 - (size_t) pos;
	}
	else
	{
		if (now < x->next_piece && !stopping)
		{
			timer_add(x->next_piece, x);
			MHD_suspend_connection(x->connection);
			return 0;
		}
		if (left > x->piece)
			left = (size_t) x->piece;
		x->next_piece = now + USECS_PER_SEC / SLOW_PIECES;
	}
	if (left > max)
		left = max;
	memcpy(to, x->body.data + pos, left);
	return (ssize_t) left;
}

/*
 * send_reply queues the reply of a request.
 */
static enum MHD_Result
send_reply(exchange *x)
{
	sim_reply  *reply = &x->request->reply;
	struct MHD_Response *response;
	enum MHD_Result result;

	if (reply->delivery == DELIVER_NORMALLY || reply->body.len < 2)
	{
		response = MHD_create_response_from_buffer(reply->body.len, reply->body.data,
												   reply->body.data ? MHD_RESPMEM_MUST_FREE :
												   MHD_RESPMEM_PERSISTENT);
		memset(&reply->body, 0, sizeof(reply->body));
	}
	else
	{
		x->body = reply->body;
		memset(&reply->body, 0, sizeof(reply->body));
		if (reply->delivery == DELIVER_SLOWLY)
			x->piece = reply->bytes_per_second / SLOW_PIECES + 1;
		response = MHD_create_response_from_callback(x->body.len, 32 * 1024, read_piece, x, NULL);
	}
	for (size_t i = 0; i < reply->header_count; i++)
		MHD_add_response_header(response, reply->headers[i].name, reply->headers[i].value);
	result = MHD_queue_response(x->connection, (unsigned) reply->status, response);
	MHD_destroy_response(response);
	return result;
}

/*
 * header returns a copy of a request header, or NULL.
 */
static char *
header(exchange *x, const char *name)
{
	return sim_strdup(MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name));
}

/*
 * begin takes a request in when its headers are complete.
 */
static enum MHD_Result
begin(exchange *x, const char *method)
{
	sim_request *request = x->request;

	request->method = sim_strdup(method);
	request->host = header(x, "Host");
	if (strncmp(request->url, CONTROL_PREFIX, strlen(CONTROL_PREFIX)) == 0)
	{
		x->phase = PHASE_CONTROL;
		return MHD_YES;
	}
	if (stamp_monotonic() < down_until)
		return MHD_NO;
	request->authorization = header(x, "Authorization");
	request->version = header(x, "X-PCO-API-Version");
	x->phase = PHASE_ADMITTED;
	stats_arrived(request);
	service_admit(request);
	return MHD_YES;
}

/*
 * latency_of draws how long a request is held back, in microseconds.
 */
static int64_t
latency_of(const sim_request *request)
{
	int64_t		latency = service_latency;

	if (service_jitter > 0)
		latency += (int64_t) (hash_mix(request->sequence) % (uint64_t) (service_jitter + 1));
	return latency * 1000;
}

/*
 * answer moves an exchange on: hold it back, leave it hanging, close it, or
 * reply.
 */
static enum MHD_Result
answer(exchange *x)
{
	sim_request *request = x->request;

	if (x->phase == PHASE_HANGING)
		return MHD_NO;			/* let go: closed without a word */
	if (x->phase == PHASE_CONTROL)
	{
		control_answer(request);
		return send_reply(x);
	}
	if (request->reply.delivery == DELIVER_NEVER)
	{
		stats_answered(request);
		x->phase = PHASE_HANGING;
		x->next = hanging;
		hanging = x;
		MHD_suspend_connection(x->connection);
		return MHD_YES;
	}
	if (x->phase == PHASE_ADMITTED && latency_of(request) > 0 && !stopping)
	{
		x->phase = PHASE_WAITING;
		timer_add(x->began + latency_of(request), x);
		MHD_suspend_connection(x->connection);
		return MHD_YES;
	}
	x->phase = PHASE_ANSWERED;
	service_answer(request);
	stats_answered(request);
	return request->reply.delivery == DELIVER_CLOSE ? MHD_NO : send_reply(x);
}

/*
 * on_request is called for each step of a request.
 */
static enum MHD_Result
on_request(void *cls, struct MHD_Connection *connection, const char *url,
		   const char *method, const char *version, const char *upload_data,
		   size_t *upload_data_size, void **con_cls)
{
	exchange   *x = *con_cls;

	(void) cls;
	(void) connection;
	(void) url;
	(void) version;
	(void) upload_data;
	if (x->phase == PHASE_NEW)
		return begin(x, method);
	if (*upload_data_size > 0)
	{
		*upload_data_size = 0;	/* parameters travel in the query string */
		return MHD_YES;
	}
	return answer(x);
}

/*
 * on_connect refuses connections while the server plays dead.
 */
static enum MHD_Result
on_connect(void *cls, const struct sockaddr *addr, socklen_t len)
{
	(void) cls;
	(void) addr;
	(void) len;
	return stamp_monotonic() < down_until ? MHD_NO : MHD_YES;
}

/*
 * on_connection counts connections.
 */
static void
on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
			  enum MHD_ConnectionNotificationCode code)
{
	(void) cls;
	(void) connection;
	(void) socket_context;
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		stats_connection();
}

/*
 * server_go_down closes new connections unanswered for a while.
 */
void
server_go_down(int64_t seconds)
{
	down_until = stamp_monotonic() + seconds * USECS_PER_SEC;
}

/*
 * resume lets a suspended connection go on.  The daemon notices only when it
 * runs next, which the loop must know.
 */
static void
resume(exchange *x)
{
	resumed = true;
	MHD_resume_connection(x->connection);
}

/*
 * release resumes hanging exchanges, which closes them: all, or those whose
 * peer is gone.
 */
static void
release(bool only_gone)
{
	for (exchange **link = &hanging; *link != NULL;)
	{
		exchange   *x = *link;
		const union MHD_ConnectionInfo *info =
			MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
		char		byte;
		ssize_t		got = recv(info->connect_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

		if (only_gone && (got > 0 || (got < 0 && errno == EAGAIN)))
		{
			link = &x->next;
			continue;
		}
		*link = x->next;
		resume(x);
	}
}

/*
 * server_release_hanging closes every hanging connection.
 */
void
server_release_hanging(void)
{
	const bool	only_gone = false;

	release(only_gone);
}

/*
 * server_start listens on a port of 127.0.0.1 (0 = any) and returns it, or 0.
 */
int
server_start(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t) port)};
	struct epoll_event event = {.events = EPOLLIN};
	const union MHD_DaemonInfo *info;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	http = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, (uint16_t) port,
							on_connect, NULL, on_request, NULL,
							MHD_OPTION_SOCK_ADDR, (struct sockaddr *) &address,
							MHD_OPTION_URI_LOG_CALLBACK, exchange_start, NULL,
							MHD_OPTION_NOTIFY_COMPLETED, exchange_end, NULL,
							MHD_OPTION_NOTIFY_CONNECTION, on_connection, NULL,
							MHD_OPTION_CONNECTION_LIMIT, (unsigned) MAX_CONNECTIONS,
							MHD_OPTION_LISTEN_BACKLOG_SIZE, (unsigned) LISTEN_BACKLOG,
							MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u,
							MHD_OPTION_END);
	if (http == NULL)
		return 0;
	info = MHD_get_daemon_info(http, MHD_DAEMON_INFO_EPOLL_FD);
	loop_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop_fd < 0 || epoll_ctl(loop_fd, EPOLL_CTL_ADD, info->epoll_fd, &event) != 0)
		return 0;
	return MHD_get_daemon_info(http, MHD_DAEMON_INFO_BIND_PORT)->port;
}

/*
 * wait_for returns the milliseconds until something is due, rounded up.
 */
static int
wait_for(int64_t now, int64_t next_sweep)
{
	MHD_UNSIGNED_LONG_LONG http_ms;
	int64_t		due = timer_next();
	int64_t		ms = -1;

	if (resumed)
		return 0;
	if (hanging != NULL && next_sweep < due)
		due = next_sweep;
	if (due != INT64_MAX)
		ms = due > now ? (due - now + 999) / 1000 : 0;
	if (MHD_get_timeout(http, &http_ms) == MHD_YES && (ms < 0 || (int64_t) http_ms < ms))
		ms = (int64_t) http_ms;
	return ms > 60000 ? 60000 : (int) ms;
}

/*
 * server_run serves until a signal arrives.
 */
void
server_run(int signal_fd)
{
	const bool	only_gone = true;
	struct epoll_event event = {.events = EPOLLIN, .data = {.fd = signal_fd}};
	int64_t		next_sweep = 0;

	epoll_ctl(loop_fd, EPOLL_CTL_ADD, signal_fd, &event);
	for (;;)
	{
		struct epoll_event events[2];
		int64_t		now = stamp_monotonic();
		int			count = epoll_wait(loop_fd, events, 2, wait_for(now, next_sweep));
		exchange   *x;

		for (int i = 0; i < count; i++)
			if (events[i].data.fd == signal_fd)
				return;
		now = stamp_monotonic();
		while ((x = timer_take(now)) != NULL)
			resume(x);
		if (hanging != NULL && now >= next_sweep)
		{
			release(only_gone);
			next_sweep = now + SWEEP_USECS;
		}
		resumed = false;
		MHD_run(http);
	}
}

/*
 * server_stop ends all exchanges and the daemon.
 */
void
server_stop(void)
{
	exchange   *x;

	stopping = true;
	server_release_hanging();
	while ((x = timer_take_any()) != NULL)
		resume(x);
	MHD_run(http);
	MHD_stop_daemon(http);
	close(loop_fd);
	timer_stop();
}
