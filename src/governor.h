/*-------------------------------------------------------------------------
 *
 * governor.h
 *	  Rate, concurrency and breaker rules of one credential.
 *
 * What it does: answers «may this request be sent now, and if not, when?»
 * and learns from every answer of the server.
 *
 * What it owns: the meaning of GovernorState.  The state is flat (no pointers,
 * at most 1 KB), so that it can lie in shared memory, and an all-zero state is
 * valid: it initialises itself at first use.
 *
 * What it must never do: read a clock, sleep, lock, allocate or raise an
 * error.  The caller holds the lock that protects the state and passes the
 * clock.
 *
 * Life of a request: governor_admit() until admitted, then exactly one of
 * governor_response() and governor_abandon(), each with sent_at = the time
 * that was passed to the admitting call.  A process that ends must abandon what
 * it has in flight, or that much concurrency is lost.
 *
 * IDENTIFICATION
 *	  src/governor.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef GOVERNOR_H
#define GOVERNOR_H

/* microseconds, monotonic; all times here are on the same clock */
typedef int64 GovTime;

/* For retry_after_s, limit, period_us and count: the header was not there */
#define GOVERNOR_ABSENT (-1)

/*
 * Buckets of the ring that remembers what was sent when.  More buckets waste
 * less budget (a request is kept until its whole bucket may go: 0.8 % of the
 * budget with 192) and need more memory (4 bytes each).
 */
#define GOVERNOR_BUCKETS 192

typedef enum GovernorBreaker
{
	GOVERNOR_BREAKER_CLOSED = 0,
	GOVERNOR_BREAKER_OPEN,
	GOVERNOR_BREAKER_HALF_OPEN	/* one probe is on its way */
} GovernorBreaker;

/* What a request waits for; the one that lasts longest, for people to read */
typedef enum GovernorHold
{
	GOVERNOR_HOLD_NONE = 0,
	GOVERNOR_HOLD_COOLDOWN,		/* the server said 429 */
	GOVERNOR_HOLD_BREAKER,		/* the server is down */
	GOVERNOR_HOLD_CONCURRENCY,	/* enough requests are in flight */
	GOVERNOR_HOLD_PACE,			/* there is budget, but it is spread out */
	GOVERNOR_HOLD_WINDOW,		/* the budget of the period is spent */
	GOVERNOR_HOLD_DEEP			/* the budget for deep offsets is spent */
} GovernorHold;

typedef struct GovernorState
{
	GovTime		clock;			/* latest time seen; never goes back */

	/* the limit as the server states it: so many requests in any period */
	int32		limit;			/* 0 = not initialised */
	int32		in_flight;
	GovTime		period;

	/* what we sent, by time of sending; slot = bucket number % buckets */
	int64		newest;			/* number of the newest bucket */
	GovTime		width;			/* of a bucket */
	uint32		sent[GOVERNOR_BUCKETS];

	/*
	 * Use of the window that is not ours: other clients of the same token, or
	 * assumed after a start.  Counts in full until phantom_fades, then fades
	 * to nothing at phantom_gone.
	 */
	int32		phantom;
	int32		throttles;		/* 429 in a row, one for each cool-down */
	GovTime		phantom_fades;
	GovTime		phantom_gone;
	GovTime		counted_at;		/* sending time of the latest count used */

	double		tokens;			/* of the pace; refilled as clock advances */

	/* second tier, for deep offsets: strictly paced, so it needs no ring */
	GovTime		deep_next;		/* theoretical time of the next one */
	int32		deep_learned;	/* limit as learned; 0 = the documented one */
	bool		deep_stated;	/* learned from a header, not from a 429 */

	/* latency: mean for Little's law, peak of two epochs for the margin */
	double		latency_mean;	/* 0 = none yet */
	GovTime		latency_peak;
	GovTime		latency_peak_before;
	GovTime		epoch_end;
	GovTime		margin_grown;	/* what 429s without fault have taught */

	GovTime		cooldown_until;
	GovTime		throttled_at;	/* when the latest 429 came */

	double		concurrency;	/* how many may be in flight */
	GovTime		cut_at;			/* when it was last reduced */

	/* breaker */
	int32		breaker;		/* a GovernorBreaker */
	int32		failures;		/* in a row */
	GovTime		opened_at;
	GovTime		probe_at;		/* open: when to probe; half-open: give up */
	GovTime		backoff;
} GovernorState;

typedef struct GovernorRequest
{
	bool		deep_offset;	/* its offset is beyond 30,000 */
	int			weight;			/* requests that the server will count; 0 = 1 */
	int			max_in_flight;	/* the caller's own cap; 0 = none */
	int			share_percent;	/* of the limit that we may use; 0 = all */
} GovernorRequest;

typedef struct GovernorDecision
{
	bool		admitted;		/* it is counted and in flight from now on */
	GovTime		retry_at;		/* else ask again then; never in the past */
	GovernorHold held_by;
} GovernorDecision;

typedef struct GovernorResponse
{
	GovTime		sent_at;		/* time of the call that admitted it */
	GovTime		latency;		/* from sent_at to the end of the answer */
	int			status;			/* HTTP status; 0 with a transport error */
	bool		transport_error;	/* no complete answer came */
	bool		deep_offset;	/* as in its request */
	int64		limit;			/* headers: GOVERNOR_ABSENT if missing */
	int64		period_us;
	int64		count;
	int64		retry_after_s;	/* any negative value: absent or garbage */
} GovernorResponse;

/* What a person may want to know */
typedef struct GovernorView
{
	int32		limit;
	GovTime		period;
	int32		used;			/* held in the window by us */
	int32		phantom;		/* held by others, or assumed */
	int32		in_flight;
	int32		concurrency;
	int32		deep_limit;
	GovTime		margin;
	GovernorBreaker breaker;
	GovTime		cooldown_until; /* 0 = not cooling down */
	GovTime		probe_at;		/* 0 = breaker closed */
} GovernorView;

extern void governor_init(GovernorState *state, GovTime now);
extern GovernorDecision governor_admit(GovernorState *state, GovTime now,
									   GovernorRequest request);
extern void governor_response(GovernorState *state, GovTime now,
							  const GovernorResponse *response);
extern void governor_abandon(GovernorState *state, GovTime now,
							 GovTime sent_at);
extern void governor_hold(GovernorState *state, GovTime now, GovTime until);
extern void governor_describe(const GovernorState *state, GovTime now,
							  GovernorView *view);

#endif							/* GOVERNOR_H */
