/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_leg - this server's answers to queries that others of the cluster
 * ask on behalf of their clients (server/cluster_query.h).
 *
 * A query is run as one of the server's own (server/queries.h).  What it finds
 * goes to the asker in batches, in order of time; no more than
 * CLUSTER_LEG_WINDOW of them are under way before the asker says that it wants
 * more, so memory is bounded on both sides.  A query of whose asker nothing is
 * heard for 10 s ends.
 *
 * Messages to the asker (docs/formats/cluster.md): {u8 version, u8 kind,
 * u8 length and name of this server, u32 number}, then of a batch a payload of
 * history_codec, else a JSON object of totals.  Numbers count from 1: a gap
 * means that one was lost.
 *
 * Threads: the bus's. */
#ifndef SERVER_CLUSTER_LEG_H
#define SERVER_CLUSTER_LEG_H 1

#include <stddef.h>
#include <stdint.h>

#include "lib/bus.h"
#include "server/queries.h"

#define CLUSTER_LEG_SUBJECT "lh.query." /* And the server's name. */
#define CLUSTER_LEG_VERSION 1
#define CLUSTER_LEG_WINDOW  4
#define CLUSTER_LEG_BATCH   256          /* Histories in a batch, ... */
#define CLUSTER_LEG_BYTES   (256u << 10) /* ... or so many bytes. */
#define CLUSTER_LEG_BEAT_MS 500          /* The asker hears so often. */

enum cluster_leg_kind {
    CLUSTER_LEG_BATCH_OF = 1, /* Histories. */
    CLUSTER_LEG_PROGRESS,
    CLUSTER_LEG_END
};

/* The head of a message to the asker. */
struct cluster_leg_head {
    enum cluster_leg_kind kind;
    const char *name; /* Not ended by NUL. */
    size_t name_len;
    uint32_t number;
};

/* '*body' is what follows.  0, or EBADMSG. */
int cluster_leg_read(const uint8_t *data, size_t size,
                     struct cluster_leg_head *, const uint8_t **body,
                     size_t *body_len);

struct cluster_legs;

struct cluster_legs_config {
    struct bus *bus;
    struct queries *queries;
    const char *name; /* Of this server; copied. */
    /* What is told when a query begins that sees what 'reader' does: the
     * member "has" of the answer, new; NULL: nothing. */
    json_t *(*vouch)(void *aux, const struct archive_reader *reader);
    void *aux;
};

/* Listens for queries to the server of that name; all is borrowed. */
struct cluster_legs *cluster_legs_create(const struct cluster_legs_config *);
struct cluster_legs_counters {
    uint64_t cancelled; /* Ended before their end as their asker said so, */
    uint64_t silent;    /* or was not heard for too long. */
};

void cluster_legs_get_counters(const struct cluster_legs *,
                               struct cluster_legs_counters *);
/* Before the queries.  NULL is fine. */
void cluster_legs_destroy(struct cluster_legs *);

#endif /* server/cluster_leg.h */
