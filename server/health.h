/* SPDX-License-Identifier: Apache-2.0 */
/* health - whether the server does what it is there for, and what is in the
 * way: the operation `health` (docs/api.md).
 *
 * What went wrong within the last HEALTH_SPAN_NS counts, not what once did;
 * the caller samples the counters in between.
 *
 * Threads: that of the event loop. */
#ifndef SERVER_HEALTH_H
#define SERVER_HEALTH_H 1

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/counters.h"

#define HEALTH_SPAN_NS UINT64_C(60000000000)

/* What it needs of others, and what these are like. */
struct health_others {
    bool has_recorder, is_recorder_up;
    const char *cluster_trouble; /* Why NATS cannot be used; NULL: it can, or
                                  * there is no cluster. */
    uint32_t n_ownerless;        /* Of the cluster's shards. */
};

struct health {
    struct counters before, middle; /* Older and newer sample. */
    uint64_t before_ns, middle_ns;  /* 0: none. */
};

/* Takes a sample where one is due; all is zero at first. */
void health_sample(struct health *, const struct counters *now,
                   uint64_t now_ns);
/* A new object: `health` ("ok", "degraded") and `problems`. */
json_t *health_to_json(const struct health *, const struct counters *now,
                       const struct health_others *);

#endif /* server/health.h */
