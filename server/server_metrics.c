/* SPDX-License-Identifier: Apache-2.0 */
/* server_metrics - the server's counters as Prometheus text. */
#include <config.h>

#include "server/server_metrics.h"

#include <stdio.h>
#include <string.h>

#include "lib/metrics_http.h"

static const struct server_metric *
find(const char *counter)
{
    static const struct server_metric unknown = {"", false, "not described"};

    for (const struct server_metric *m = server_metric_list; m->counter; m++) {
        if (!strcmp(m->counter, counter)) {
            return m;
        }
    }
    return &unknown;
}

void
server_metrics_write(const struct counters *counters, struct evbuffer *text)
{
    for (size_t i = 0; i < n_counters; i++) {
        const char *counter = counter_names[i];
        const struct server_metric *m = find(counter);
        char name[96];

        snprintf(name, sizeof name, "lasthop_server_%s%s%s", counter,
                 strcmp(counter, "archive_size") ? "" : "_bytes",
                 m->is_now ? "" : "_total");
        metrics_http_head(text, name, m->is_now ? "gauge" : "counter",
                          m->help);
        metrics_http_value(text, name, NULL, counters_get(counters, i));
    }
}
