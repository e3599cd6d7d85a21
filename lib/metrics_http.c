/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_http - /metrics for Prometheus. */
#include <config.h>
#include "lib/metrics_http.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>

#include "lib/lh_alloc.h"

/* A client that asks for more, or for so long, is none of ours. */
#define MAX_HEADERS 8192
#define TIMEOUT_S   10

struct metrics_http {
    struct evhttp *http; /* Owned. */
    void (*write)(void *aux, struct evbuffer *);
    void *aux;
};

static void
on_metrics(struct evhttp_request *request, void *metrics_)
{
    struct metrics_http *metrics = metrics_;
    struct evbuffer *text = evbuffer_new();

    assert(text);
    metrics->write(metrics->aux, text);
    evhttp_add_header(evhttp_request_get_output_headers(request),
                      "Content-Type",
                      "text/plain; version=0.0.4; charset=utf-8");
    evhttp_send_reply(request, HTTP_OK, NULL, text);
    evbuffer_free(text);
}

static void
on_other(struct evhttp_request *request, void *metrics)
{
    evhttp_send_error(request, HTTP_NOTFOUND, "there is only /metrics");
}

/* Takes "ADDR:PORT" apart; '*host' is for free(). */
static int
split(const char *listen, char **host, uint16_t *port)
{
    const char *colon = strrchr(listen, ':');
    size_t len = colon ? (size_t) (colon - listen) : 0;
    char *end = NULL;
    long number = colon ? strtol(colon + 1, &end, 10) : 0;

    if (len > 2 && *listen == '[' && listen[len - 1] == ']') {
        listen++;
        len -= 2;
    }
    if (!len || number < 1 || number > 65535 || *end) {
        return EINVAL;
    }
    *host = lh_asprintf("%.*s", (int) len, listen);
    *port = (uint16_t) number;
    return 0;
}

int
metrics_http_open(struct event_base *base, const char *listen,
                  void (*write)(void *aux, struct evbuffer *), void *aux,
                  struct metrics_http **metricsp, struct lh_error *error)
{
    struct metrics_http *metrics;
    uint16_t port;
    char *host;
    int retval = split(listen, &host, &port);

    *metricsp = NULL;
    if (retval) {
        lh_error_set(error, "%s: must be ADDR:PORT or [ADDR]:PORT", listen);
        return retval;
    }
    metrics = lh_alloc_zero(sizeof *metrics);
    metrics->http = evhttp_new(base);
    assert(metrics->http);
    metrics->write = write;
    metrics->aux = aux;
    evhttp_set_allowed_methods(metrics->http, EVHTTP_REQ_GET);
    evhttp_set_max_headers_size(metrics->http, MAX_HEADERS);
    evhttp_set_max_body_size(metrics->http, 0);
    evhttp_set_timeout(metrics->http, TIMEOUT_S);
    evhttp_set_cb(metrics->http, "/metrics", on_metrics, metrics);
    evhttp_set_gencb(metrics->http, on_other, metrics);
    if (!evhttp_bind_socket_with_handle(metrics->http, host, port)) {
        retval = errno ? errno : EADDRNOTAVAIL;
        lh_error_set(error, "%s: cannot listen: %s", listen, strerror(retval));
        metrics_http_close(metrics);
    } else {
        *metricsp = metrics;
    }
    free(host);
    return retval;
}

void
metrics_http_close(struct metrics_http *metrics)
{
    if (metrics) {
        evhttp_free(metrics->http);
        free(metrics);
    }
}

void
metrics_http_head(struct evbuffer *text, const char *name, const char *type,
                  const char *help)
{
    evbuffer_add_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
                        type);
}

void
metrics_http_value(struct evbuffer *text, const char *name, const char *labels,
                   uint64_t value)
{
    if (labels) {
        evbuffer_add_printf(text, "%s{%s} %" PRIu64 "\n", name, labels, value);
    } else {
        evbuffer_add_printf(text, "%s %" PRIu64 "\n", name, value);
    }
}
