/*-------------------------------------------------------------------------
 *
 * http_multi.c
 *	  A curl multi handle whose sockets and timer the caller waits for as one
 *	  file descriptor and one timeout.
 *
 * It owns the multi handle with its connection cache, and the epoll
 * descriptor that holds all of libcurl's sockets. It must never wait, and
 * never let libcurl start a thread while signals can be delivered to it.
 *
 * IDENTIFICATION
 *	  src/http_multi.c
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "http_multi.h"
#include "http_transfer.h"

/* Sockets served in one call, before it is the caller's turn again. */
#define EVENTS_PER_CALL 64

static CURLMcode serve_sockets(HttpMulti *loop);
static CURLMcode serve_timer(HttpMulti *loop);
static int	on_socket(CURL *easy, curl_socket_t socket, int what,
					  void *loop_ptr, void *socket_ptr);
static int	on_timer(CURLM *multi, long timeout_ms, void *loop_ptr);
static void block_signals(sigset_t *saved);
static void restore_signals(const sigset_t *saved);


/*
 * http_multi_init makes it safe to close.
 */
void
http_multi_init(HttpMulti *loop)
{
	loop->multi = NULL;
	loop->epoll_fd = -1;
	loop->timer_us = -1;
}

/*
 * http_multi_open
 */
bool
http_multi_open(HttpMulti *loop, const HttpLimits *limits,
				char *error, size_t error_len)
{
	CURLMcode	code = CURLM_OK;

	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0)
	{
		snprintf(error, error_len, "could not create an epoll descriptor: %s",
				 strerror(errno));
		return false;
	}
	loop->multi = curl_multi_init();
	if (loop->multi == NULL)
	{
		snprintf(error, error_len, "out of memory");
		return false;
	}

#define SET(option, value) \
	do { \
		if (code == CURLM_OK) \
			code = curl_multi_setopt(loop->multi, option, value); \
	} while (0)

	SET(CURLMOPT_SOCKETFUNCTION, on_socket);
	SET(CURLMOPT_SOCKETDATA, loop);
	SET(CURLMOPT_TIMERFUNCTION, on_timer);
	SET(CURLMOPT_TIMERDATA, loop);
	SET(CURLMOPT_MAX_TOTAL_CONNECTIONS, (long) limits->max_connections);
	SET(CURLMOPT_MAX_HOST_CONNECTIONS,
		(long) limits->max_connections_per_host);
	SET(CURLMOPT_MAXCONNECTS, (long) limits->max_connections);
	SET(CURLMOPT_PIPELINING, (long) CURLPIPE_MULTIPLEX);
#if LIBCURL_VERSION_NUM >= 0x081400
	/*
	 * Resolver threads are the multi handle's: it does not wait for them, nor a
	 * name for another's. Each name takes one for IPv4 and one for IPv6.
	 */
	SET(CURLMOPT_QUICK_EXIT, 1L);
	SET(CURLMOPT_RESOLVE_THREADS_MAX, 2L * limits->max_connections);
#endif
#undef SET

	if (code != CURLM_OK)
		snprintf(error, error_len, "could not set up libcurl: %s",
				 curl_multi_strerror(code));
	return code == CURLM_OK;
}

/*
 * http_multi_close closes every connection.
 */
void
http_multi_close(HttpMulti *loop)
{
	sigset_t	saved;

	block_signals(&saved);
	curl_multi_cleanup(loop->multi);
	restore_signals(&saved);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	http_multi_init(loop);
}

/*
 * http_multi_add
 */
CURLMcode
http_multi_add(HttpMulti *loop, CURL *easy)
{
	CURLMcode	code;
	sigset_t	saved;

	block_signals(&saved);
	code = curl_multi_add_handle(loop->multi, easy);
	restore_signals(&saved);
	return code;
}

/*
 * http_multi_remove aborts what is not complete.
 */
void
http_multi_remove(HttpMulti *loop, CURL *easy)
{
	sigset_t	saved;

	block_signals(&saved);
	curl_multi_remove_handle(loop->multi, easy);
	restore_signals(&saved);
}

/*
 * http_multi_timeout_ms is rounded up: waking early would spin through the
 * last millisecond.
 */
long
http_multi_timeout_ms(const HttpMulti *loop)
{
	int64_t		left_us;

	if (loop->timer_us < 0)
		return -1;
	left_us = loop->timer_us - http_now_us();
	return left_us > 0 ? (long) ((left_us + 999) / 1000) : 0;
}

/*
 * http_multi_serve lets libcurl work on the sockets that are ready and on the
 * timer if it is due, without waiting for either.
 */
CURLMcode
http_multi_serve(HttpMulti *loop)
{
	CURLMcode	code;
	sigset_t	saved;

	block_signals(&saved);
	code = serve_sockets(loop);
	if (code == CURLM_OK)
		code = serve_timer(loop);
	restore_signals(&saved);
	return code;
}

/*
 * serve_sockets
 */
static CURLMcode
serve_sockets(HttpMulti *loop)
{
	struct epoll_event events[EVENTS_PER_CALL];
	CURLMcode	code = CURLM_OK;
	int			ready;
	int			running;

	ready = epoll_wait(loop->epoll_fd, events, EVENTS_PER_CALL, 0);
	for (int i = 0; i < ready && code == CURLM_OK; i++)
	{
		int			what = 0;

		if (events[i].events & (EPOLLIN | EPOLLHUP))
			what |= CURL_CSELECT_IN;
		if (events[i].events & EPOLLOUT)
			what |= CURL_CSELECT_OUT;
		if (events[i].events & EPOLLERR)
			what |= CURL_CSELECT_ERR;
		code = curl_multi_socket_action(loop->multi, events[i].data.fd,
										what, &running);
	}
	return code;
}

/*
 * serve_timer
 */
static CURLMcode
serve_timer(HttpMulti *loop)
{
	int			running;

	if (loop->timer_us < 0 || loop->timer_us > http_now_us())
		return CURLM_OK;

	/* Cleared first: curl sets it again if it has more to wait for. */
	loop->timer_us = -1;
	return curl_multi_socket_action(loop->multi, CURL_SOCKET_TIMEOUT, 0,
									&running);
}

/*
 * on_socket is told by libcurl what to watch a socket for. Whether it is in
 * the set already is left to the kernel to know: descriptors are closed, and
 * their numbers used again, behind our back.
 */
static int
on_socket(CURL *easy, curl_socket_t socket, int what, void *loop_ptr,
		  void *socket_ptr)
{
	HttpMulti  *loop = loop_ptr;
	struct epoll_event event = {.data.fd = socket};

	(void) easy;
	(void) socket_ptr;

	if (what == CURL_POLL_REMOVE)
	{
		/* A socket that is closed has left the set by itself: no error. */
		epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, socket, NULL);
		return 0;
	}

	if (what & CURL_POLL_IN)
		event.events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		event.events |= EPOLLOUT;
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, socket, &event) == 0)
		return 0;
	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, socket, &event);
}

/*
 * on_timer is told by libcurl when it wants to be called next.
 */
static int
on_timer(CURLM *multi, long timeout_ms, void *loop_ptr)
{
	HttpMulti  *loop = loop_ptr;

	(void) multi;
	loop->timer_us = timeout_ms < 0 ? -1 :
		http_now_us() + (int64_t) timeout_ms * 1000;
	return 0;
}

/*
 * block_signals wraps every call in which libcurl may start a thread: the
 * thread inherits the mask, and PostgreSQL's handlers must never run on it.
 */
static void
block_signals(sigset_t *saved)
{
	sigset_t	all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, saved);
}

/*
 * restore_signals
 */
static void
restore_signals(const sigset_t *saved)
{
	pthread_sigmask(SIG_SETMASK, saved, NULL);
}
