/*-------------------------------------------------------------------------
 *
 * http.c
 *	  Concurrent HTTP requests by libcurl, behind one file descriptor.
 *
 * A client owns every transfer: each is in exactly one list, which is its
 * state. The event loop is in http_multi.c, what a single transfer does in
 * http_transfer.c and http_outcome.c, what all share in http_settings.c; no
 * other file includes curl.
 *
 * It is no-throw: no longjmp may cross libcurl's frames and libcurl calls
 * malloc from a thread of its own, so there is no palloc, no elog and no
 * PostgreSQL header here; what goes wrong is recorded and returned. It must
 * never block.
 *
 * IDENTIFICATION
 *	  src/http.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>

#include "http_multi.h"
#include "http_transfer.h"

#define TRANSFER_STATES (TRANSFER_DELIVERED + 1)

TAILQ_HEAD(TransferList, HttpTransfer);

struct HttpClient
{
	HttpSettings settings;
	HttpMulti	multi;
	bool		broken;
	int			counts[TRANSFER_STATES];
	struct TransferList lists[TRANSFER_STATES];
	char		start_error[128];
};

static HttpTransfer *acquire_transfer(HttpClient *client);
static void free_transfer(HttpTransfer *transfer);
static void add_transfer(HttpTransfer *transfer, TransferState state);
static void remove_transfer(HttpTransfer *transfer);
static void move_transfer(HttpTransfer *transfer, TransferState state);
static void collect_done(HttpClient *client);
static void fail_running(HttpClient *client);
static void complete_transfer(HttpTransfer *transfer, CURLcode code);


/*
 * http_create
 */
HttpClient *
http_create(const HttpLimits *limits, char *error, size_t error_len)
{
	HttpClient *client = calloc(1, sizeof(*client));

	if (client == NULL)
	{
		snprintf(error, error_len, "out of memory");
		return NULL;
	}
	for (int state = 0; state < TRANSFER_STATES; state++)
		TAILQ_INIT(&client->lists[state]);

	http_multi_init(&client->multi);
	if (!http_settings_init(&client->settings, limits, error, error_len) ||
		!http_multi_open(&client->multi, &client->settings.limits,
						 error, error_len))
	{
		http_destroy(client);
		return NULL;
	}
	return client;
}

/*
 * http_destroy tears down in the one order that libcurl allows: transfers,
 * then the multi handle, then what both refer to.
 */
void
http_destroy(HttpClient *client)
{
	if (client == NULL)
		return;

	for (int state = 0; state < TRANSFER_STATES; state++)
	{
		HttpTransfer *transfer;

		while ((transfer = TAILQ_FIRST(&client->lists[state])) != NULL)
			free_transfer(transfer);
	}
	http_multi_close(&client->multi);
	http_settings_free(&client->settings);
	free(client);
}

/*
 * http_fd
 */
int
http_fd(const HttpClient *client)
{
	return client->multi.epoll_fd;
}

/*
 * http_timeout_ms is how long the caller may wait.
 */
long
http_timeout_ms(const HttpClient *client)
{
	if (client->counts[TRANSFER_DONE] > 0)
		return 0;
	if (client->broken)
		return -1;
	return http_multi_timeout_ms(&client->multi);
}

/*
 * http_healthy
 */
bool
http_healthy(const HttpClient *client)
{
	return !client->broken;
}

/*
 * http_start queues a request; http_drive does the work.
 */
HttpTransfer *
http_start(HttpClient *client, const HttpRequest *request, void *owner)
{
	HttpTransfer *transfer = NULL;
	const char *problem;

	if (client->broken)
		problem = "the HTTP client has failed";
	else if ((transfer = acquire_transfer(client)) == NULL)
		problem = "out of memory";
	else
		problem = http_transfer_prepare(transfer, request, owner);

	if (problem == NULL)
	{
		CURLMcode	code = http_multi_add(&client->multi, transfer->easy);

		if (code != CURLM_OK)
			problem = curl_multi_strerror(code);
	}

	if (problem != NULL)
	{
		snprintf(client->start_error, sizeof(client->start_error), "%s",
				 problem);
		http_release(transfer);
		return NULL;
	}
	move_transfer(transfer, TRANSFER_RUNNING);
	return transfer;
}

/*
 * http_start_error tells why the last http_start returned NULL.
 */
const char *
http_start_error(const HttpClient *client)
{
	return client->start_error;
}

/*
 * http_drive
 */
void
http_drive(HttpClient *client)
{
	CURLMcode	code;

	if (client->broken)
		return;
	code = http_multi_serve(&client->multi);
	collect_done(client);
	if (code != CURLM_OK)
		fail_running(client);
}

/*
 * http_next_done
 */
HttpTransfer *
http_next_done(HttpClient *client)
{
	HttpTransfer *transfer = TAILQ_FIRST(&client->lists[TRANSFER_DONE]);

	if (transfer != NULL)
		move_transfer(transfer, TRANSFER_DELIVERED);
	return transfer;
}

/*
 * http_release puts a transfer back among the idle ones, as many of which are
 * kept as can run at a time.
 */
void
http_release(HttpTransfer *transfer)
{
	HttpClient *client;

	if (transfer == NULL || transfer->state == TRANSFER_IDLE)
		return;
	client = transfer->client;

	if (transfer->state == TRANSFER_RUNNING)
		http_multi_remove(&client->multi, transfer->easy);
	http_transfer_recycle(transfer);
	move_transfer(transfer, TRANSFER_IDLE);
	if (client->counts[TRANSFER_IDLE] > client->settings.limits.max_connections)
		free_transfer(transfer);
}

/*
 * http_in_flight
 */
int
http_in_flight(const HttpClient *client)
{
	return client->counts[TRANSFER_RUNNING] + client->counts[TRANSFER_DONE];
}

/*
 * acquire_transfer takes the transfer that was given back last, whose memory
 * is most likely still in the processor's cache, or makes a new one. It is
 * DELIVERED until it runs, so that http_release works on it.
 */
static HttpTransfer *
acquire_transfer(HttpClient *client)
{
	HttpTransfer *transfer = TAILQ_LAST(&client->lists[TRANSFER_IDLE],
										TransferList);

	if (transfer != NULL)
	{
		move_transfer(transfer, TRANSFER_DELIVERED);
		return transfer;
	}

	transfer = http_transfer_create(&client->settings);
	if (transfer == NULL)
		return NULL;
	transfer->client = client;
	add_transfer(transfer, TRANSFER_DELIVERED);
	return transfer;
}

/*
 * free_transfer ends a transfer for good, in any state.
 */
static void
free_transfer(HttpTransfer *transfer)
{
	if (transfer->state == TRANSFER_RUNNING)
		http_multi_remove(&transfer->client->multi, transfer->easy);
	remove_transfer(transfer);
	http_transfer_destroy(transfer);
}

/*
 * add_transfer
 */
static void
add_transfer(HttpTransfer *transfer, TransferState state)
{
	HttpClient *client = transfer->client;

	transfer->state = state;
	client->counts[state]++;
	TAILQ_INSERT_TAIL(&client->lists[state], transfer, link);
}

/*
 * remove_transfer
 */
static void
remove_transfer(HttpTransfer *transfer)
{
	HttpClient *client = transfer->client;

	TAILQ_REMOVE(&client->lists[transfer->state], transfer, link);
	client->counts[transfer->state]--;
}

/*
 * move_transfer changes a transfer's state.
 */
static void
move_transfer(HttpTransfer *transfer, TransferState state)
{
	remove_transfer(transfer);
	add_transfer(transfer, state);
}

/*
 * collect_done moves what libcurl has finished to the done list.
 */
static void
collect_done(HttpClient *client)
{
	CURLMsg    *event;
	int			left;

	while ((event = curl_multi_info_read(client->multi.multi, &left)) != NULL)
	{
		char	   *transfer = NULL;

		if (event->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(event->easy_handle, CURLINFO_PRIVATE, &transfer);
		complete_transfer((HttpTransfer *) transfer, event->data.result);
	}
}

/*
 * fail_running ends everything after a failure of the multi handle itself,
 * which libcurl then no longer drives.
 */
static void
fail_running(HttpClient *client)
{
	HttpTransfer *transfer;

	client->broken = true;
	while ((transfer = TAILQ_FIRST(&client->lists[TRANSFER_RUNNING])) != NULL)
		complete_transfer(transfer, CURLE_FAILED_INIT);
}

/*
 * complete_transfer
 */
static void
complete_transfer(HttpTransfer *transfer, CURLcode code)
{
	http_transfer_finish(transfer, code);
	http_multi_remove(&transfer->client->multi, transfer->easy);
	move_transfer(transfer, TRANSFER_DONE);
}
