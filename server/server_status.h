/* SPDX-License-Identifier: Apache-2.0 */
/* server_status - how the server is doing, at a glance: the operation `status`
 * (docs/api.md).
 *
 * Rates are those of about the last SERVER_STATUS_SPAN_NS, of samples that the
 * caller takes in between.
 *
 * Threads: that of the event loop. */
#ifndef SERVER_SERVER_STATUS_H
#define SERVER_SERVER_STATUS_H 1

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/counters.h"

#define SERVER_STATUS_SPAN_NS UINT64_C(10000000000)
#define SERVER_STATUS_SAMPLES 10

/* Counters of one moment. */
struct server_status_sample {
    uint64_t time_ns; /* 0: none. */
    uint64_t postcards, histories;
};

/* All else is zero at first. */
struct server_status {
    uint64_t started_ns;
    struct server_status_sample samples[SERVER_STATUS_SAMPLES]; /* A ring. */
    size_t newest;
};

/* Takes a sample where one is due. */
void server_status_sample(struct server_status *, const struct counters *now,
                          uint64_t now_ns);
/* A new object.  'archive' is the directory, or NULL; 'has_recorder' is
 * whether there should be one; 'agents' (taken) is what is told of them, or
 * NULL: none are listened for. */
json_t *server_status_to_json(const struct server_status *,
                              const struct counters *now, uint64_t now_ns,
                              const char *archive, bool has_recorder,
                              bool is_recorder_up, json_t *agents);

#endif /* server/server_status.h */
