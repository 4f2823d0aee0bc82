/*-------------------------------------------------------------------------
 *
 * http_control_test.c
 *	  Unit tests of the http files: what a client refuses, and that nothing a
 *	  server or a resolver does can hold it up.
 *
 * IDENTIFICATION
 *	  test/unit/http_control_test.c
 *
 *-------------------------------------------------------------------------
 */
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>

#include "http_fixture.h"

/* A resolver that does not answer, see getaddrinfo below. */
#define STUCK_HOST "stuck.invalid"

/* One that does, with 127.0.0.1. */
#define QUICK_HOST "quick.invalid"

/* More than the threads that libcurl has for resolving by default. */
#define STUCK_REQUESTS 24

static struct
{
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int			waiting;
	bool		let_go;
	sigset_t	mask;			/* of the thread that waits */
}			resolver = {.lock = PTHREAD_MUTEX_INITIALIZER,
	.changed = PTHREAD_COND_INITIALIZER};

/*
 * Takes the place of the C library's function, also for libcurl: for one name
 * it gives no answer until told to, for another it needs no server.
 */
int
getaddrinfo(const char *node, const char *service,
			const struct addrinfo *hints, struct addrinfo **result)
{
	int			(*real) (const char *, const char *, const struct addrinfo *,
						 struct addrinfo **);

	if (strcmp(node, STUCK_HOST) == 0)
	{
		pthread_mutex_lock(&resolver.lock);
		pthread_sigmask(SIG_SETMASK, NULL, &resolver.mask);
		resolver.waiting++;
		while (!resolver.let_go)
			pthread_cond_wait(&resolver.changed, &resolver.lock);
		resolver.waiting--;
		pthread_cond_broadcast(&resolver.changed);
		pthread_mutex_unlock(&resolver.lock);
		return EAI_AGAIN;
	}
	*(void **) &real = dlsym(RTLD_NEXT, "getaddrinfo");
	return real(strcmp(node, QUICK_HOST) == 0 ? "127.0.0.1" : node, service, hints, result);
}

static int
resolver_waiting(void)
{
	int			waiting;

	pthread_mutex_lock(&resolver.lock);
	waiting = resolver.waiting;
	pthread_mutex_unlock(&resolver.lock);
	return waiting;
}

static int
open_files(void)
{
	DIR		   *directory = opendir("/proc/self/fd");
	int			count = 0;

	while (readdir(directory) != NULL)
		count++;
	closedir(directory);
	return count;
}

static void
test_addresses(void)
{
	OriginRule	by_name = rule_for("http", "localhost", server.port);
	HttpRequest request = {.origin = &by_name};
	int			before;
	HttpTransfer *transfer;

	/* The rule allows that name to lie inside, and it does. */
	transfer = run(request, "/ok");
	CHECK_INT(http_response(transfer)->error, HTTP_ERROR_NONE);
	http_release(transfer);

	/*
	 * The same name for the public only. Another port, or libcurl would use
	 * the connection it has: nothing may be connected to at all.
	 */
	before = server_count_of(&server, &server.connections);
	by_name.allow_private = false;
	by_name.origin.port = 1;
	transfer = run(request, "/ok");
	CHECK_INT(http_response(transfer)->error, HTTP_ERROR_ADDRESS_REFUSED);
	CHECK(strcmp(http_response(transfer)->error_text,
				 "address 127.0.0.1 is not allowed for this origin") == 0 ||
		  strcmp(http_response(transfer)->error_text,
				 "address ::1 is not allowed for this origin") == 0);
	http_release(transfer);
	CHECK_INT(server_count_of(&server, &server.connections) - before, 0);

	/* Allowed, but nobody listens there. */
	by_name.allow_private = true;
	transfer = run(request, "/ok");
	CHECK_INT(http_response(transfer)->error, HTTP_ERROR_CONNECT);
	http_release(transfer);

	/* A literal. */
	by_name = rule;
	by_name.origin.port = 1;
	by_name.allow_private = false;
	transfer = run(request, "/ok");
	CHECK_INT(http_response(transfer)->error, HTTP_ERROR_ADDRESS_REFUSED);
	http_release(transfer);

	/* RFC 2606 reserves .invalid, and RFC 6761 has resolvers say so. */
	by_name = rule_for("http", "nobody.invalid", 80);
	transfer = run(request, "/ok");
	CHECK_INT(http_response(transfer)->error, HTTP_ERROR_RESOLVE);
	http_release(transfer);
}

static void
test_dead_connection(void)
{
	int			before;
	HttpTransfer *transfer;

	/*
	 * The server takes the next request and closes without a word: it is
	 * repeated on another connection, however often that happens.
	 */
	for (int i = 0; i < 20; i++)
	{
		check_outcome("/stale", HTTP_ERROR_NONE, 200, false, false);
		check_outcome("/ok", HTTP_ERROR_NONE, 200, false, false);
	}

	/* A request that must not be repeated has a connection of its own. */
	before = server_count_of(&server, &server.connections);
	for (int i = 0; i < 3; i++)
	{
		transfer = run((HttpRequest) {.at_most_once = true}, "/ok");
		CHECK_INT(http_response(transfer)->error, HTTP_ERROR_NONE);
		CHECK(!http_response(transfer)->connection_reused);
		http_release(transfer);
	}
	CHECK_INT(server_count_of(&server, &server.connections) - before, 3);
}

static void
test_timeouts(void)
{
	HttpRequest request = {.timeout_ms = 150};
	HttpLimits	limits = default_limits();
	HttpClient *saved = client;
	struct timespec start_time;
	HttpTransfer *transfer;

	clock_gettime(CLOCK_MONOTONIC, &start_time);
	transfer = run(request, "/hang");
	CHECK_INT(http_response(transfer)->error, HTTP_ERROR_TIMEOUT);
	CHECK_INT(http_response(transfer)->status, 0);
	http_release(transfer);
	transfer = run(request, "/hang-in-body");
	CHECK_INT(http_response(transfer)->error, HTTP_ERROR_TIMEOUT);
	CHECK_INT(http_response(transfer)->status, 200);
	CHECK(http_response(transfer)->body_incomplete);
	CHECK_STR(http_response(transfer)->body, "{");
	http_release(transfer);
	CHECK(milliseconds_since(&start_time) >= 300);
	CHECK(milliseconds_since(&start_time) < 2000);

	limits.low_speed_seconds = 1;
	client = create(&limits);
	clock_gettime(CLOCK_MONOTONIC, &start_time);
	transfer = get("/hang-in-body");
	CHECK_INT(http_response(transfer)->error, HTTP_ERROR_TIMEOUT);
	CHECK(milliseconds_since(&start_time) < PATIENCE_MS / 2);
	http_release(transfer);
	http_destroy(client);

	limits = default_limits();
	limits.total_timeout_ms = 150;
	client = create(&limits);
	check_outcome("/hang", HTTP_ERROR_TIMEOUT, 0, false, false);
	http_destroy(client);
	client = saved;
}

static void
test_abort(void)
{
	struct timespec start_time;
	HttpTransfer *hanging[3];
	HttpTransfer *transfer;

	CHECK(server_wait(&server, &server.silent, 0));
	for (int i = 0; i < 3; i++)
		hanging[i] = start((HttpRequest) {0}, "/hang");
	transfer = get("/ok");		/* others go on meanwhile */
	http_release(transfer);
	drive_until(&server.silent, 3);
	CHECK_INT(http_in_flight(client), 3);

	clock_gettime(CLOCK_MONOTONIC, &start_time);
	http_release(hanging[0]);
	CHECK(milliseconds_since(&start_time) < 100);
	CHECK(server_wait(&server, &server.silent, 2));
	CHECK_INT(http_in_flight(client), 2);

	/* Again: nothing happens. NULL as well. */
	http_release(hanging[0]);
	http_release(NULL);
	CHECK_INT(http_in_flight(client), 2);

	http_release(hanging[1]);
	http_release(hanging[2]);
	CHECK(server_wait(&server, &server.silent, 0));
	CHECK_INT(http_in_flight(client), 0);
	http_drive(client);
	CHECK(http_next_done(client) == NULL);
	check_outcome("/ok", HTTP_ERROR_NONE, 200, false, false);
}

static void
test_stuck_resolver(void)
{
	HttpLimits	limits = default_limits();
	int			files = open_files();
	HttpClient *saved = client;
	OriginRule	stuck = rule_for("http", STUCK_HOST, 80);
	OriginRule	quick = rule_for("http", QUICK_HOST, server.port);
	HttpRequest request = {.origin = &stuck};
	struct timespec start_time;
	HttpTransfer *transfer;

	limits.connect_timeout_ms = 150;
	client = create(&limits);
	clock_gettime(CLOCK_MONOTONIC, &start_time);
	transfer = run(request, "/");
	CHECK_INT(http_response(transfer)->error, HTTP_ERROR_TIMEOUT);
	CHECK(milliseconds_since(&start_time) < 2000);
	http_release(transfer);
	http_destroy(client);

	/* Names that get no answer keep no other from getting one. */
	limits.connect_timeout_ms = PATIENCE_MS;
	limits.max_connections = STUCK_REQUESTS + 1;
	limits.max_connections_per_host = STUCK_REQUESTS;
	client = create(&limits);
	for (int i = 0; i < STUCK_REQUESTS; i++)
		transfer = start(request, "/");
	clock_gettime(CLOCK_MONOTONIC, &start_time);
	http_release(run((HttpRequest) {.origin = &quick}, "/ok"));
	CHECK(milliseconds_since(&start_time) < PATIENCE_MS / 2);
	CHECK(resolver_waiting() > STUCK_REQUESTS);

	/* Neither abort nor the end of the client waits for the threads. */
	clock_gettime(CLOCK_MONOTONIC, &start_time);
	http_release(transfer);
	http_destroy(client);
	CHECK(milliseconds_since(&start_time) < 100);
	client = saved;

	/* No handler of this process ever runs on the thread. */
	for (int number = 1; number <= SIGSYS; number++)
		CHECK(number == SIGKILL || number == SIGSTOP ||
			  sigismember(&resolver.mask, number) == 1);

	pthread_mutex_lock(&resolver.lock);
	resolver.let_go = true;
	pthread_cond_broadcast(&resolver.changed);
	while (resolver.waiting > 0)
		pthread_cond_wait(&resolver.changed, &resolver.lock);
	pthread_mutex_unlock(&resolver.lock);

	/* threads that nobody waits for close their own files, a moment later */
	clock_gettime(CLOCK_MONOTONIC, &start_time);
	while (open_files() > files && milliseconds_since(&start_time) < PATIENCE_MS)
		poll(NULL, 0, 1);
	CHECK(open_files() <= files);
}

static void
test_destroy_while_busy(void)
{
	HttpLimits	limits = default_limits();
	int			files;
	int			requests;
	struct timespec start_time;

	http_destroy(client);
	CHECK(server_wait(&server, &server.open, 0));
	files = open_files();
	requests = server_count_of(&server, &server.requests);

	client = create(&limits);
	start((HttpRequest) {0}, "/hang");
	get("/page");				/* delivered, not given back */
	start((HttpRequest) {0}, "/ok");	/* done, not delivered */
	drive_until(&server.requests, requests + 3);

	clock_gettime(CLOCK_MONOTONIC, &start_time);
	http_destroy(client);
	CHECK(milliseconds_since(&start_time) < 100);
	CHECK(server_wait(&server, &server.open, 0));
	CHECK_INT(open_files(), files);

	http_destroy(NULL);
	client = create(&limits);
}

static void
test_tls(void)
{
	char		ca_file[] = "/tmp/http_test_ca.XXXXXX";
	HttpServer	tls_server;
	HttpClient *saved = client;
	HttpLimits	limits = default_limits();
	OriginRule	tls_rule;
	HttpRequest request = {.origin = &tls_rule};
	HttpTransfer *transfer;
	OriginRule	by_name;
	clock_t		took[2];

	close(mkstemp(ca_file));
	server_start(&tls_server, ca_file);
	tls_rule = rule_for("https", "127.0.0.1", tls_server.port);

	/*
	 * Nobody but itself vouches for the certificate. To know that, the
	 * system's are read once, which is most of the first connection's work.
	 */
	client = create(&limits);
	for (int i = 0; i < 2; i++)
	{
		clock_t		begun = clock();

		transfer = run(request, "/ok");
		took[i] = clock() - begun;
		CHECK_INT(http_response(transfer)->error, HTTP_ERROR_TLS);
		CHECK_INT(http_response(transfer)->status, 0);
		http_release(transfer);
	}
	CHECK(took[1] < took[0] / 3 || took[1] < CLOCKS_PER_SEC / 100);
	http_destroy(client);

	limits.ca_file = ca_file;
	client = create(&limits);
	for (int i = 0; i < 5; i++)
	{
		transfer = run(request, "/page");
		CHECK_INT(http_response(transfer)->error, HTTP_ERROR_NONE);
		CHECK_INT(http_response(transfer)->body_len, SERVER_PAGE_SIZE);
		CHECK_INT(http_response(transfer)->connection_reused, i > 0);
		http_release(transfer);
	}

	/* Vouched for, but it is another's. */
	by_name = rule_for("https", "localhost", tls_server.port);
	request.origin = &by_name;
	transfer = run(request, "/ok");
	CHECK_INT(http_response(transfer)->error, HTTP_ERROR_TLS);
	http_release(transfer);
	http_destroy(client);

	client = saved;
	CHECK(server_stop(&tls_server));
	unlink(ca_file);
}

static void
test_broken_client(void)
{
	HttpLimits	limits = default_limits();
	HttpClient *saved = client;
	int			null_fd = open("/dev/null", O_RDONLY);
	HttpRequest request = {.origin = &rule, .url = "http://x"};
	char		url[64];
	HttpTransfer *transfer;

	/* Take the epoll descriptor away from under it. */
	client = create(&limits);
	CHECK(http_healthy(client));
	dup2(null_fd, http_fd(client));
	close(null_fd);

	transfer = get("/ok");
	CHECK_INT(http_response(transfer)->error, HTTP_ERROR_INTERNAL);
	CHECK(!http_healthy(client));
	CHECK_INT(http_in_flight(client), 0);
	CHECK_INT(http_timeout_ms(client), -1);
	http_release(transfer);

	snprintf(url, sizeof(url), "http://127.0.0.1:%d/ok", server.port);
	request.url = url;
	CHECK(http_start(client, &request, NULL) == NULL);
	CHECK_STR(http_start_error(client), "the HTTP client has failed");
	http_drive(client);
	http_destroy(client);
	client = saved;
}

static void
test_signal_mask_is_restored(void)
{
	sigset_t	mask;
	sigset_t	after;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	check_outcome("/ok", HTTP_ERROR_NONE, 200, false, false);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int number = 1; number <= SIGSYS; number++)
		CHECK_INT(sigismember(&after, number), number == SIGUSR2);
}

int
main(void)
{
	static const char key_log[] = "/tmp/http_test_key_log";

	unlink(key_log);

	/* None of these may have any effect. */
	setenv("http_proxy", "http://127.0.0.1:1", true);
	setenv("https_proxy", "http://127.0.0.1:1", true);
	setenv("ALL_PROXY", "http://127.0.0.1:1", true);
	setenv("SSLKEYLOGFILE", key_log, true);

	fixture_start();
	test_addresses();
	test_dead_connection();
	test_timeouts();
	test_abort();
	test_stuck_resolver();
	test_destroy_while_busy();
	test_tls();
	test_broken_client();
	test_signal_mask_is_restored();
	fixture_stop();
	CHECK(access(key_log, F_OK) != 0);
	return unit_summary();
}
