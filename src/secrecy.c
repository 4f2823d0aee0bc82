/*-------------------------------------------------------------------------
 *
 * secrecy.c
 *		Keeps statements that carry a credential out of sight.
 *
 * The secret is an argument of sync_connect, so it is in the text of a
 * statement.  From the moment the function runs, that text is replaced, for
 * this statement and for those that were sent along with it.  What fails
 * before (no right to call it, a value of a wrong type) is caught where errors
 * go to the log.
 *
 * It cannot help where the server is told to log every statement or its
 * parameters (log_statement, log_min_duration_statement).
 *
 * IDENTIFICATION
 *		src/secrecy.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "pgstat.h"
#include "secrecy.h"
#include "tcop/tcopprot.h"

/* The name whose calls have a secret among their arguments. */
#define SECRET_CALL			"sync_connect"

static const char *const hidden_statement = "SELECT sync_connect(/* arguments hidden */)";

static emit_log_hook_type previous_log_hook = NULL;

static bool
has_secret_call(const char *text)
{
	return text != NULL && strcasestr(text, SECRET_CALL) != NULL;
}

/*
 * hide_from_log: the client, who sent the secret, is told everything; the log
 * only what cannot have the secret in it.  Those are the errors that we raise
 * ourselves, once the statement is hidden, and a missing privilege.  All others
 * may repeat pieces of the statement: the parser's, a cast's, a function's that
 * was to make the secret.
 */
static void
hide_from_log(ErrorData *error)
{
	bool		hidden = debug_query_string == hidden_statement;
	bool		secret = has_secret_call(error->context) || has_secret_call(error->internalquery) ||
		(!hidden && has_secret_call(debug_query_string));

	if (hidden || secret)
	{
		error->hide_stmt = true;
		error->hide_ctx = true;
	}
	if (secret)
	{
		pgstat_report_activity(STATE_RUNNING, hidden_statement);
		error->internalquery = NULL;
		if (!hidden && error->sqlerrcode != ERRCODE_INSUFFICIENT_PRIVILEGE)
			error->output_to_server = false;
	}
	if (previous_log_hook != NULL)
		previous_log_hook(error);
}

void
secrecy_install_hook(void)
{
	previous_log_hook = emit_log_hook;
	emit_log_hook = hide_from_log;
}

void
secrecy_hide_statement(void)
{
	pgstat_report_activity(STATE_RUNNING, hidden_statement);
	debug_query_string = hidden_statement;
}
