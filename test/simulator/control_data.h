/*-------------------------------------------------------------------------
 *
 * control_data.h
 *	  The control plane's requests that read or change records.
 *
 * IDENTIFICATION
 *	  test/simulator/control_data.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIM_CONTROL_DATA_H
#define SIM_CONTROL_DATA_H

#include "request.h"

/* Each fills the reply's body and returns a complaint or NULL. */
extern const char *control_mutate(sim_request *request);
extern const char *control_merge(sim_request *request);
extern const char *control_demote(sim_request *request);
extern const char *control_while_paging(sim_request *request);
extern const char *control_oracle(sim_request *request);
extern const char *control_columns(sim_request *request);
extern const char *control_digest(sim_request *request);
extern const char *control_entities(sim_request *request);
extern const char *control_record(sim_request *request);

extern sim_table *control_table(const sim_request *request, const char **complaint);

#endif							/* SIM_CONTROL_DATA_H */
