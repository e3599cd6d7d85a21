/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_sent - what this server sent to stores lately (tentative histories,
 * and markers) and NATS acknowledged, for stores that lack it: NATS may lose
 * what it has acknowledged (docs/decisions/cluster-mending.md).
 *
 *     cluster_sent_keep(sent, m, &data, parts, now_ns);   when NATS has it
 *     cluster_sent_run(sent, now_ns);                     now and then
 *     cluster_sent_ask(bus, &wanted);                     a store, of all
 *
 * They are kept for CLUSTER_SENT_NS, which is longer than a store looks for
 * what is missing, and the oldest go before that when they are too many.
 *
 * Ownership: data is taken.  Threads: the bus's. */
#ifndef SERVER_CLUSTER_SENT_H
#define SERVER_CLUSTER_SENT_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"

#define CLUSTER_SENT_SUBJECT "lh.again"
#define CLUSTER_SENT_SIZE    26
#define CLUSTER_SENT_NS      UINT64_C(120000000000)
/* Who asks again sooner is not answered again. */
#define CLUSTER_SENT_AGAIN_NS UINT64_C(2000000000)

struct bus;
struct cluster_sent;

/* What a store lacks: of checkpoints 'first' to 'last' of the stage-1 shard
 * 'k', what was sent to the stage-2 shard 'm'. */
struct cluster_sent_wanted {
    uint32_t m, k;
    uint64_t first, last;
};

struct cluster_sent_counters {
    uint64_t kept, bytes; /* Now. */
    uint64_t sent_again;
};

struct cluster_sent *cluster_sent_create(struct bus *, size_t max_bytes);
/* NULL is fine. */
void cluster_sent_destroy(struct cluster_sent *);

/* A message (server/store_message.h) that went to 'm'; 'parts', which is
 * copied, was the header STORE_PARTS_HEADER of a marker, NULL: none.  '*data'
 * is empty after. */
void cluster_sent_keep(struct cluster_sent *, uint32_t m,
                       struct byte_buf *data, const char *parts,
                       uint64_t now_ns);
void cluster_sent_run(struct cluster_sent *, uint64_t now_ns);
/* Sends what is wanted as far as it is here, with other IDs than before: NATS
 * may know those and not have the messages. */
void cluster_sent_answer(struct cluster_sent *,
                         const struct cluster_sent_wanted *, uint64_t now_ns);
void cluster_sent_get_counters(const struct cluster_sent *,
                               struct cluster_sent_counters *);

/* Asks all servers.  What gets lost is asked for again. */
void cluster_sent_ask(struct bus *, const struct cluster_sent_wanted *);
void cluster_sent_put(const struct cluster_sent_wanted *, struct byte_buf *);
/* False: it is none that is known here. */
bool cluster_sent_read(const uint8_t *data, size_t size,
                       struct cluster_sent_wanted *);

#endif /* server/cluster_sent.h */
