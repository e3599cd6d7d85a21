/* SPDX-License-Identifier: Apache-2.0 */
/* server_metrics - the server's counters as Prometheus text (docs/metrics.md).
 *
 * Threads: pure functions. */
#ifndef SERVER_SERVER_METRICS_H
#define SERVER_SERVER_METRICS_H 1

#include <stdbool.h>

#include "server/counters.h"

struct evbuffer;

/* What a counter is, from docs/counters.md. */
struct server_metric {
    const char *counter;
    bool is_now; /* A gauge: what there is, not what there was in all. */
    const char *help;
};
/* Ends with one whose 'counter' is NULL. */
extern const struct server_metric server_metric_list[];

void server_metrics_write(const struct counters *, struct evbuffer *);

#endif /* server/server_metrics.h */
