/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_http - /metrics for Prometheus, over HTTP on a port of its own
 * (docs/metrics.md).
 *
 * Threads: that of the event loop. */
#ifndef LIB_METRICS_HTTP_H
#define LIB_METRICS_HTTP_H 1

#include <stdint.h>

#include "lib/lh_error.h"

struct event_base;
struct evbuffer;
struct metrics_http;

/* Listens at "ADDR:PORT" or "[ADDR]:PORT".  'write' is called for each request
 * and adds the text.  0, or an errno value with a reason. */
int metrics_http_open(struct event_base *, const char *listen,
                      void (*write)(void *aux, struct evbuffer *), void *aux,
                      struct metrics_http **, struct lh_error *);
void metrics_http_close(struct metrics_http *);

/* Adds the lines # HELP and # TYPE ("counter", "gauge") of 'name'. */
void metrics_http_head(struct evbuffer *, const char *name, const char *type,
                       const char *help);
/* Adds a value; 'labels' is what stands in braces, or NULL. */
void metrics_http_value(struct evbuffer *, const char *name,
                        const char *labels, uint64_t value);

#endif /* lib/metrics_http.h */
