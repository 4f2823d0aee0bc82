/*-------------------------------------------------------------------------
 *
 * pages.c
 *	  How many pages a second the simulator serves.
 *
 * pages PORT PID CONNECTIONS SECONDS PEOPLE [MUTATE]: keep-alive connections ask
 * for pages of 100 people, ordered by updated_at, at changing offsets; with
 * MUTATE a record is updated after every that many pages.  Prints pages a second
 * of wall time and of the server's own processor time.
 *
 * Owns: nothing.  Must never be the bottleneck: it only counts bytes.
 *
 * IDENTIFICATION
 *	  test/simulator/bench/pages.c
 *
 *-------------------------------------------------------------------------
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* base64 of org1-client:org1-secret */
#define TOKEN "b3JnMS1jbGllbnQ6b3JnMS1zZWNyZXQ="

/* Steps through the offsets without pattern; any large prime does. */
#define OFFSET_STEP 7919

typedef struct connection
{
	int			fd;
	char		head[4096];
	size_t		head_len;
	long		body_left;		/* -1: the head is not complete yet */
	int			mutating;
} connection;

static int	port;
static unsigned long people;
static unsigned long next_offset;

/*
 * now returns seconds.
 */
static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

/*
 * cpu_seconds returns the processor time that a process has used.
 */
static double
cpu_seconds(const char *pid)
{
	char		path[64];
	unsigned long user = 0;
	unsigned long system = 0;
	FILE	   *file;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	file = fopen(path, "r");
	if (file == NULL || fscanf(file, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
							   &user, &system) != 2)
	{
		perror(path);
		exit(1);
	}
	fclose(file);
	return (double) (user + system) / (double) sysconf(_SC_CLK_TCK);
}

/*
 * ask sends one request.
 */
static void
ask(connection *c, int mutate)
{
	char		request[512];
	int			len;

	if (mutate)
		len = snprintf(request, sizeof(request),
					   "POST /_sim/mutate?org=org1&entity=Person&op=update HTTP/1.1\r\n"
					   "Host: 127.0.0.1:%d\r\nContent-Length: 0\r\n\r\n", port);
	else
		len = snprintf(request, sizeof(request),
					   "GET /people/v2/people?per_page=100&offset=%lu&order=updated_at HTTP/1.1\r\n"
					   "Host: 127.0.0.1:%d\r\nAuthorization: Basic " TOKEN "\r\n\r\n",
					   next_offset, port);
	next_offset = (next_offset + 100 * OFFSET_STEP) % people;
	c->mutating = mutate;
	c->head_len = 0;
	c->body_left = -1;
	if (write(c->fd, request, (size_t) len) != len)
	{
		perror("write");
		exit(1);
	}
}

/*
 * take reads what has come; 1 when a reply is complete.
 */
static int
take(connection *c, unsigned long *bytes)
{
	static char buffer[512 * 1024];
	ssize_t		got = read(c->fd, buffer, sizeof(buffer));
	char	   *end;
	char	   *length;
	size_t		rest;

	if (got <= 0)
	{
		fputs("connection lost\n", stderr);
		exit(1);
	}
	*bytes += (unsigned long) got;
	if (c->body_left >= 0)
	{
		c->body_left -= got;
		return c->body_left == 0;
	}
	rest = (size_t) got < sizeof(c->head) - c->head_len - 1 ? (size_t) got :
		sizeof(c->head) - c->head_len - 1;
	memcpy(c->head + c->head_len, buffer, rest);
	c->head[c->head_len + rest] = '\0';
	end = strstr(c->head, "\r\n\r\n");
	length = strstr(c->head, "Content-Length: ");
	if (strncmp(c->head, "HTTP/1.1 200", 12) != 0 || end == NULL || length == NULL)
	{
		fprintf(stderr, "unexpected reply: %.200s\n", c->head);
		exit(1);
	}
	c->body_left = atol(length + 16) - ((long) c->head_len + got - (end + 4 - c->head));
	return c->body_left == 0;
}

/*
 * main runs the measurement.
 */
int
main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	struct epoll_event events[64];
	int			poller = epoll_create1(0);
	int			connections;
	unsigned long mutate_every;
	unsigned long pages = 0;
	unsigned long bytes = 0;
	double		cpu;
	double		start;
	double		seconds;

	if (argc < 6)
	{
		fputs("usage: pages PORT PID CONNECTIONS SECONDS PEOPLE [MUTATE]\n", stderr);
		return 2;
	}
	port = atoi(argv[1]);
	connections = atoi(argv[3]);
	people = strtoul(argv[5], NULL, 10);
	mutate_every = argc > 6 ? strtoul(argv[6], NULL, 10) : 0;
	address.sin_port = htons((unsigned short) port);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cpu = cpu_seconds(argv[2]);
	start = now();
	for (int i = 0; i < connections; i++)
	{
		connection *c = calloc(1, sizeof(*c));
		struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = c}};

		c->fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(c->fd, (struct sockaddr *) &address, sizeof(address)) != 0)
		{
			perror("connect");
			return 1;
		}
		epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event);
		ask(c, 0);
	}
	while ((seconds = now() - start) < atof(argv[4]))
	{
		int			count = epoll_wait(poller, events, 64, 1000);

		for (int i = 0; i < count; i++)
			if (take(events[i].data.ptr, &bytes))
			{
				connection *c = events[i].data.ptr;

				pages += c->mutating == 0;
				ask(c, mutate_every > 0 && !c->mutating && pages % mutate_every == 0);
			}
	}
	cpu = cpu_seconds(argv[2]) - cpu;
	printf("%lu pages in %.1f s: %.0f/s of wall time, %.0f/s of server processor time, "
		   "%.0f kB a page\n", pages, seconds, (double) pages / seconds,
		   (double) pages / cpu, (double) bytes / (double) pages / 1000);
	return 0;
}
