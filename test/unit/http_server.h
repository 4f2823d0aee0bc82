/*-------------------------------------------------------------------------
 *
 * http_server.h
 *	  A small HTTP server in threads of the test program itself, for
 *	  http_test.c: it answers what real servers do on bad days.
 *
 * The path chooses the answer (see http_server_routes). It speaks plain HTTP,
 * or TLS with a certificate that it makes up. It counts what it saw; tests
 * wait for a count, never for a time.
 *
 * IDENTIFICATION
 *	  test/unit/http_server.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SYNC_ENGINE_HTTP_SERVER_H
#define SYNC_ENGINE_HTTP_SERVER_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

/* As large as a page of 100 people with their e-mail addresses. */
#define SERVER_PAGE_SIZE (170 * 1024)

typedef struct HttpServer
{
	int			listener;
	int			port;
	SSL_CTX    *tls;			/* NULL = plain HTTP */
	pthread_t	acceptor;
	pthread_mutex_t lock;
	pthread_cond_t changed;

	/* under the lock */
	int			connections;	/* accepted so far */
	int			open;			/* of these, not yet ended */
	int			requests;		/* complete ones */
	int			silent;			/* connections kept waiting for an answer */
} HttpServer;

typedef struct Connection
{
	HttpServer *server;
	int			fd;
	SSL		   *ssl;
	char		head[64 * 1024];	/* the request, body included */
	size_t		head_len;
	char		path[256];
} Connection;

typedef enum After
{
	KEEP,						/* the connection serves the next request */
	CLOSE,						/* orderly, though not announced */
	CLOSE_NEXT,					/* the same, when the next request arrives */
	RESET,						/* RST */
	SILENCE						/* nothing more until the client goes */
} After;

static const struct Route
{
	const char *path;
	const char *answer;
	After		after;
}			http_server_routes[] = {
	{"/ok", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", KEEP},
	{"/rated", "HTTP/1.1 429 Too Many Requests\r\n"
		"Retry-After: Sun, 06 Nov 1994 08:49:57 GMT\r\n"
		"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
		"Content-Type: application/vnd.api+json; charset=utf-8\r\n"
		"x-pco-api-request-rate-limit: 100\r\n"
		"X-PCO-API-Request-Rate-Period: 20 seconds\r\n"
		"X-PCO-API-Request-Rate-Count:118\r\n"
		"X-PCO-API-Processed-As-Version: 2026-06-04\r\n"
		"X-Request-Id: 0a1b-2c3d\r\n"
		"Content-Length: 2\r\n\r\n{}", KEEP},
	{"/empty", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", KEEP},
	{"/no-content", "HTTP/1.1 204 No Content\r\n\r\n", KEEP},
	{"/continue", "HTTP/1.1 103 Early Hints\r\nRetry-After: 9\r\n\r\n"
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", KEEP},
	{"/trailer", "HTTP/1.1 200 OK\r\nRetry-After: 1\r\n"
		"Transfer-Encoding: chunked\r\n\r\n"
		"2\r\n{}\r\n0\r\nRetry-After: 9\r\n\r\n", KEEP},
	{"/redirect", "HTTP/1.1 302 Found\r\nLocation: ../elsewhere?a=b\r\n"
		"Content-Length: 0\r\n\r\n", KEEP},
	{"/redirect-away", "HTTP/1.1 301 Moved\r\nLocation: https://evil.com/\r\n"
		"Content-Length: 0\r\n\r\n", KEEP},
	{"/stale", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", CLOSE_NEXT},
	{"/short", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"data\":", CLOSE},
	{"/short-chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		"8\r\n{\"data\":\r\n", CLOSE},
	{"/reset", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"data\":", RESET},
	{"/reset-first", "", RESET},
	{"/close-first", "", CLOSE},
	{"/hang", "", SILENCE},
	{"/hang-in-body", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{", SILENCE},
	{"/garbage", "SSH-2.0-OpenSSH_9.2\r\n", CLOSE},
	{"/bad-gzip", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
		"Content-Length: 12\r\n\r\nnot gzip....", KEEP},
	{"/announced", "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", SILENCE},
};

static inline bool
server_send(Connection *connection, const void *data, size_t len)
{
	const char *next = data;

	while (len > 0)
	{
		ssize_t		sent = connection->ssl != NULL ?
			SSL_write(connection->ssl, next, (int) len) :
			send(connection->fd, next, len, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		next += sent;
		len -= (size_t) sent;
	}
	return true;
}

static inline ssize_t
server_receive(Connection *connection, void *data, size_t len)
{
	return connection->ssl != NULL ?
		SSL_read(connection->ssl, data, (int) len) :
		recv(connection->fd, data, len, 0);
}

/* Changes a counter and wakes who waits for it. */
static inline void
server_count(HttpServer *server, int *counter, int change)
{
	pthread_mutex_lock(&server->lock);
	*counter += change;
	pthread_cond_broadcast(&server->changed);
	pthread_mutex_unlock(&server->lock);
}

static inline int
server_count_of(HttpServer *server, const int *counter)
{
	int			value;

	pthread_mutex_lock(&server->lock);
	value = *counter;
	pthread_mutex_unlock(&server->lock);
	return value;
}

/* Waits until a counter has the value; false after 10 seconds. */
static inline bool
server_wait(HttpServer *server, const int *counter, int value)
{
	struct timespec deadline;
	int			error = 0;
	bool		reached;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += 10;
	pthread_mutex_lock(&server->lock);
	while (*counter != value && error == 0)
		error = pthread_cond_timedwait(&server->changed, &server->lock,
									   &deadline);
	reached = *counter == value;
	pthread_mutex_unlock(&server->lock);
	return reached;
}

/* Sends text as a gzip-encoded body. */
static inline bool
server_send_gzip(Connection *connection, const char *text, size_t len)
{
	z_stream	stream = {0};
	size_t		room = len + 1024;
	unsigned char *packed = malloc(room);
	char		head[128];
	bool		sent;

	/* 16 more window bits ask for a gzip header. */
	deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, 15 + 16, 8,
				 Z_DEFAULT_STRATEGY);
	stream.next_in = (unsigned char *) text;
	stream.avail_in = (unsigned) len;
	stream.next_out = packed;
	stream.avail_out = (unsigned) room;
	deflate(&stream, Z_FINISH);
	snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Encoding: gzip"
			 "\r\nContent-Length: %lu\r\n\r\n", stream.total_out);
	sent = server_send(connection, head, strlen(head)) &&
		server_send(connection, packed, stream.total_out);
	deflateEnd(&stream);
	free(packed);
	return sent;
}

/* Answers whose size matters; returns false to end the connection. */
static inline bool
server_answer_computed(Connection *connection)
{
	static char large[4 * 1024 * 1024];
	static const char chunked[] =
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
	const char *path = connection->path;
	char		head[128];

	if (strcmp(path, "/page") == 0)
	{
		snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %d"
				 "\r\n\r\n", SERVER_PAGE_SIZE);
		return server_send(connection, head, strlen(head)) &&
			server_send(connection, large, SERVER_PAGE_SIZE);
	}
	if (strcmp(path, "/gzip-page") == 0)
		return server_send_gzip(connection, large, SERVER_PAGE_SIZE);
	if (strcmp(path, "/bomb") == 0)
		return server_send_gzip(connection, large, sizeof(large));
	if (strcmp(path, "/echo") == 0)
	{
		snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu"
				 "\r\n\r\n", connection->head_len);
		return server_send(connection, head, strlen(head)) &&
			server_send(connection, connection->head, connection->head_len);
	}
	if (strcmp(path, "/endless") == 0)
	{
		if (!server_send(connection, chunked, sizeof(chunked) - 1))
			return false;
		while (server_send(connection, "1000\r\n", 6) &&
			   server_send(connection, large, 0x1000) &&
			   server_send(connection, "\r\n", 2))
			;
		return false;
	}
	if (strcmp(path, "/header-flood") == 0)
	{
		server_send(connection, "HTTP/1.1 200 OK\r\n", 17);
		while (server_send(connection, "X-Filler: 0123456789abcdef\r\n", 28))
			;
		return false;
	}
	snprintf(head, sizeof(head),
			 "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
	return server_send(connection, head, strlen(head));
}

/* Reads one request with its body; false at the end of the connection. */
static inline bool
server_read_request(Connection *connection)
{
	size_t		len = 0;
	size_t		wanted = 0;

	while (wanted == 0 || len < wanted)
	{
		ssize_t		got = server_receive(connection, connection->head + len,
										 sizeof(connection->head) - 1 - len);
		char	   *end;
		char	   *length;

		if (got <= 0)
			return false;
		len += (size_t) got;
		connection->head[len] = '\0';
		end = strstr(connection->head, "\r\n\r\n");
		if (end == NULL)
			continue;
		length = strcasestr(connection->head, "\r\nContent-Length:");
		wanted = (size_t) (end + 4 - connection->head) +
			(length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0);
	}
	connection->head_len = len;
	return sscanf(connection->head, "%*s %255[^ ?]", connection->path) == 1;
}

static inline bool
server_answer(Connection *connection)
{
	const struct linger abort_on_close = {.l_onoff = 1, .l_linger = 0};
	char		byte;

	for (size_t i = 0;
		 i < sizeof(http_server_routes) / sizeof(http_server_routes[0]); i++)
	{
		const struct Route *route = &http_server_routes[i];

		if (strcmp(route->path, connection->path) != 0)
			continue;
		if (!server_send(connection, route->answer, strlen(route->answer)))
			return false;
		switch (route->after)
		{
			case KEEP:
				return true;
			case CLOSE:
				return false;
			case CLOSE_NEXT:
				server_read_request(connection);
				return false;
			case RESET:
				setsockopt(connection->fd, SOL_SOCKET, SO_LINGER,
						   &abort_on_close, sizeof(abort_on_close));
				return false;
			case SILENCE:
				server_count(connection->server, &connection->server->silent, 1);
				while (server_receive(connection, &byte, 1) > 0)
					;
				server_count(connection->server, &connection->server->silent, -1);
				return false;
		}
	}
	return server_answer_computed(connection);
}

static inline void *
server_serve(void *connection_ptr)
{
	Connection *connection = connection_ptr;
	HttpServer *server = connection->server;

	if (server->tls != NULL)
	{
		connection->ssl = SSL_new(server->tls);
		SSL_set_fd(connection->ssl, connection->fd);
		SSL_accept(connection->ssl);
	}
	while (server_read_request(connection))
	{
		server_count(server, &server->requests, 1);
		if (!server_answer(connection))
			break;
	}
	SSL_free(connection->ssl);
	close(connection->fd);
	free(connection);
	server_count(server, &server->open, -1);
	return NULL;
}

static inline void *
server_accept(void *server_ptr)
{
	HttpServer *server = server_ptr;
	int			fd;

	while ((fd = accept(server->listener, NULL, NULL)) >= 0)
	{
		Connection *connection = calloc(1, sizeof(*connection));
		pthread_t	thread;

		connection->server = server;
		connection->fd = fd;
		server_count(server, &server->open, 1);
		server_count(server, &server->connections, 1);
		pthread_create(&thread, NULL, server_serve, connection);
		pthread_detach(thread);
	}
	return NULL;
}

/* A key and a certificate for 127.0.0.1 signed by itself, to ca_file too. */
static inline SSL_CTX *
server_make_tls(const char *ca_file)
{
	EVP_PKEY   *key = EVP_EC_gen("P-256");
	X509	   *certificate = X509_new();
	X509_NAME  *name = X509_get_subject_name(certificate);
	X509_EXTENSION *address;
	SSL_CTX    *tls = SSL_CTX_new(TLS_server_method());
	FILE	   *file = fopen(ca_file, "w");

	X509_set_version(certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
							   (const unsigned char *) "http_test", -1, -1, 0);
	X509_set_issuer_name(certificate, name);
	address = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name,
								  "IP:127.0.0.1");
	X509_add_ext(certificate, address, -1);
	X509_EXTENSION_free(address);
	X509_set_pubkey(certificate, key);
	X509_sign(certificate, key, EVP_sha256());
	PEM_write_X509(file, certificate);
	fclose(file);

	SSL_CTX_use_certificate(tls, certificate);
	SSL_CTX_use_PrivateKey(tls, key);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return tls;
}

/* Listens on a free port of 127.0.0.1; in TLS if ca_file is given. */
static inline void
server_start(HttpServer *server, const char *ca_file)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t	len = sizeof(address);

	memset(server, 0, sizeof(*server));
	pthread_mutex_init(&server->lock, NULL);
	pthread_cond_init(&server->changed, NULL);
	if (ca_file != NULL)
		server->tls = server_make_tls(ca_file);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server->listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(server->listener, (struct sockaddr *) &address, len) != 0 ||
		listen(server->listener, 128) != 0 ||
		getsockname(server->listener, (struct sockaddr *) &address, &len) != 0)
	{
		perror("http_server");
		exit(EXIT_FAILURE);
	}
	server->port = ntohs(address.sin_port);
	pthread_create(&server->acceptor, NULL, server_accept, server);
}

/* False if clients still held connections. */
static inline bool
server_stop(HttpServer *server)
{
	bool		all_ended = server_wait(server, &server->open, 0);

	shutdown(server->listener, SHUT_RDWR);
	pthread_join(server->acceptor, NULL);
	close(server->listener);
	SSL_CTX_free(server->tls);
	return all_ended;
}

#endif							/* SYNC_ENGINE_HTTP_SERVER_H */
