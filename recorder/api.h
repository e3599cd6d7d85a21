/* SPDX-License-Identifier: Apache-2.0 */
/* api - what the recorder tells other programs over recorder.sock
 * (docs/api.md).
 *
 * Subscribers get every change in order.  One that reads too slowly is closed
 * (and counted): it connects again and gets everything that stands anew.
 *
 * Threads: that of the event loop. */
#ifndef RECORDER_API_H
#define RECORDER_API_H 1

#include <stdint.h>
#include <jansson.h>

#include "lib/lh_error.h"
#include "lib/rule.h"
#include "lib/topology.h"
#include "recorder/postcard_rate.h"

struct api_server;
struct event_base;
struct flow_log;
struct recorder_api;

struct recorder_api_callbacks {
    const struct topology *(*topology)(void *aux);
    json_t *(*stats)(void *aux); /* A new object. */
};

/* Listens at 'path', and answers questions about the past from the flow log,
 * which must outlive it.  0, or an errno value with a reason
 * that names it. */
int recorder_api_create(struct event_base *, const char *path,
                        struct flow_log *,
                        const struct recorder_api_callbacks *, void *aux,
                        struct recorder_api **, struct lh_error *);
/* What `stats` answers: a new object. */
json_t *recorder_api_stats(struct recorder_api *);
/* Serves /metrics at "ADDR:PORT"; errors as metrics_http_open(). */
int recorder_api_metrics(struct recorder_api *, struct event_base *,
                         const char *listen, struct lh_error *);
/* For operations of other files. */
struct api_server *recorder_api_server(struct recorder_api *);
void recorder_api_destroy(struct recorder_api *);

/* To subscribers; each may be called with a NULL api. */
void recorder_api_made(struct recorder_api *, const struct rule *);
void recorder_api_removed(struct recorder_api *, uint64_t dpid,
                          uint32_t version, uint64_t removed_ns,
                          const char *reason);
/* What a switch counted at its postcard port when a second was over, for those
 * who subscribed to `rounds`. */
void recorder_api_round(struct recorder_api *, uint64_t dpid,
                        uint64_t asked_ns, uint64_t time_ns,
                        const struct postcard_counters *);
void recorder_api_topology(struct recorder_api *, const struct topology *);

#endif /* recorder/api.h */
