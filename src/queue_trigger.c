/*-------------------------------------------------------------------------
 *
 * queue_trigger.c
 *		What follows when a run or job changes its state, whoever changes it.
 *
 * Triggers, so that no path forgets it: listeners are told, in the transaction; a
 * job that ceases to run lets in what was parked for it; and one that can be
 * claimed again takes a turn that is not past.
 *
 * IDENTIFICATION
 *		src/queue_trigger.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/async.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "queue_turn.h"
#include "session.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(sync_engine_run_changed);
PG_FUNCTION_INFO_V1(sync_engine_job_changed);
PG_FUNCTION_INFO_V1(sync_engine_job_takes_turn);

/*
 * Part of PostgreSQL's queue of notifications that may be in use.  When it is
 * full no transaction that notifies can commit, and the engine's must.
 */
#define QUEUE_USAGE_LIMIT	0.5

static TriggerData *
trigger_data(FunctionCallInfo fcinfo)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("the function is a trigger of sync_engine")));
	return (TriggerData *) fcinfo->context;
}

static Datum
column(const TriggerData *data, HeapTuple tuple, const char *name)
{
	bool		isnull;

	return SPI_getbinval(tuple, data->tg_relation->rd_att,
						 SPI_fnumber(data->tg_relation->rd_att, name), &isnull);
}

static char *
text_column(const TriggerData *data, HeapTuple tuple, const char *name)
{
	return TextDatumGetCString(column(data, tuple, name));
}

/*
 * notify: ids only; job is "null" for a run.
 */
static void
notify(int64 run_id, const char *job, const char *status)
{
	if (DatumGetFloat8(DirectFunctionCall1(pg_notification_queue_usage, (Datum) 0)) < QUEUE_USAGE_LIMIT)
		Async_Notify("sync_engine",
					 psprintf("{\"run_id\": " INT64_FORMAT ", \"job_id\": %s, \"status\": \"%s\"}",
							  run_id, job, status));
}

/*
 * sync_engine.run_changed(): after insert, or after a change of its status.
 */
Datum
sync_engine_run_changed(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo);
	HeapTuple	tuple = TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple;

	notify(DatumGetInt64(column(data, tuple, "run_id")), "null", text_column(data, tuple, "status"));
	return PointerGetDatum(NULL);
}

/*
 * let_in: the jobs that were parked because of one that ran.  Two that end at the
 * same time let in two.
 */
static void
let_in(const TriggerData *data, HeapTuple was)
{
	static Statement unpark = {
		"UPDATE sync_engine.job SET parked = NULL WHERE status = 'queued' AND org = $1 "
		"AND ((parked = 'entity' AND (product, entity) = ($2, $3)) "
		"  OR job_id = (SELECT job_id FROM sync_engine.job WHERE status = 'queued' AND org = $1 "
		"    AND parked = 'org' ORDER BY priority DESC, turn, job_id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED))",
		3, {TEXTOID, TEXTOID, TEXTOID}
	};
	Datum		args[3] = {column(data, was, "org"), column(data, was, "product"), column(data, was, "entity")};

	SPI_connect();
	(void) statement_run(&unpark, args, NULL);
	SPI_finish();
}

/*
 * sync_engine.job_changed(): after a change of its status.
 */
Datum
sync_engine_job_changed(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo);

	notify(DatumGetInt64(column(data, data->tg_newtuple, "run_id")),
		   psprintf(INT64_FORMAT, DatumGetInt64(column(data, data->tg_newtuple, "job_id"))),
		   text_column(data, data->tg_newtuple, "status"));
	if (strcmp(text_column(data, data->tg_trigtuple, "status"), "running") == 0)
		let_in(data, data->tg_trigtuple);
	return PointerGetDatum(NULL);
}

/*
 * sync_engine.job_takes_turn(): before an update that makes it one to be claimed.
 */
Datum
sync_engine_job_takes_turn(PG_FUNCTION_ARGS)
{
	TriggerData *data = trigger_data(fcinfo);
	HeapTuple	tuple = data->tg_newtuple;
	int			attribute = SPI_fnumber(data->tg_relation->rd_att, "turn");
	double		now;

	if (queue_turn_now(DatumGetInt32(column(data, tuple, "priority")), &now) &&
		DatumGetFloat8(column(data, tuple, "turn")) < now)
	{
		Datum		turn;
		bool		isnull = false;

		(void) queue_turn_give(DatumGetInt32(column(data, tuple, "priority")), &now);
		turn = Float8GetDatum(now);
		tuple = heap_modify_tuple_by_cols(tuple, data->tg_relation->rd_att, 1, &attribute, &turn, &isnull);
	}
	return PointerGetDatum(tuple);
}
