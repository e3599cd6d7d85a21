/* SPDX-License-Identifier: Apache-2.0 */
/* agent_impl - what agent.c and agent_metrics.c share of an agent.
 *
 * Threads: that of the event loop. */
#ifndef AGENT_AGENT_IMPL_H
#define AGENT_AGENT_IMPL_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/agent.h"
#include "agent/budget.h"
#include "agent/edge.h"
#include "agent/losses.h"
#include "agent/outbox.h"
#include "agent/ring_set.h"
#include "agent/server_link.h"
#include "agent/threshold_log.h"
#include "lib/agent_batch.h"
#include "lib/metrics_http.h"

struct interface {
    struct agent *agent;
    const char *name;
    struct edge *edge;      /* NULL: gone.  Owned. */
    struct event *readable; /* Owned. */
    uint64_t looked_ns;     /* When its losses were last asked for. */
};

struct agent {
    struct event_base *base;
    const struct options *options;
    char name[256];

    struct tls *tls; /* NULL: none.  Owned, as all below. */
    struct outbox *outbox;
    struct server_link *link;
    struct ring_set *rings;
    struct interface *interfaces;
    size_t n_interfaces;
    struct losses *losses;
    struct metrics_http *metrics;
    struct event *scan, *poll, *house, *budget_timer;

    struct agent_batch_writer *batch; /* Being filled ... */
    uint64_t batch_since_ns;          /* ... since then. */
    struct agent_batch_reader *reader;
    struct byte_buf packed, frame;
    bool is_losing; /* The outbox has no room. */

    struct budget budget;
    struct threshold_log thresholds; /* In force. */
    uint32_t want;                   /* By the budget. */
    uint32_t server_threshold;

    uint64_t n_postcards; /* Put into the outbox. */
    uint64_t n_batches;
    uint64_t packed_bytes; /* Of these frames. */

    /* As of the last status line. */
    uint64_t status_ns, status_postcards, status_bytes;
};

/* Puts the batch at hand and the losses into the outbox, and frees the rings
 * of it. */
void agent_seal(struct agent *);

#endif /* agent/agent_impl.h */
