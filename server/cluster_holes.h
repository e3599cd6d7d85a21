/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_holes - what a cluster has lost: messages that NATS acknowledged
 * and that nobody has any more, as times.
 *
 * The server that gave such messages up notes it in its key "hole.NAME" of the
 * bucket lh-meta (docs/formats/cluster.md).  Every server knows all of these,
 * also later: so answers about these times say so, and live filters are told
 * of each new one.
 *
 * A server notes CLUSTER_HOLES_MAX at most: holes that touch are one, and of
 * more those that lie nearest to each other.
 *
 * Threads: the bus's. */
#ifndef SERVER_CLUSTER_HOLES_H
#define SERVER_CLUSTER_HOLES_H 1

#include <stdint.h>
#include <jansson.h>

#include "lib/bus.h"

#define CLUSTER_HOLES_MAX 32

enum cluster_hole_what { HOLE_POSTCARDS, HOLE_HISTORIES };

struct cluster_hole {
    enum cluster_hole_what what;
    uint64_t n; /* Messages. */
    /* Histories of packets that were seen in these times may be missing, or
     * lack hops.  0 and UINT64_MAX: it is not known. */
    uint64_t since_ns, until_ns;
};

struct cluster_holes;

struct cluster_holes_config {
    struct bus *bus;     /* Borrowed. */
    const char *name;    /* This server's. */
    uint64_t started_ns; /* Of what was found before nobody is told. */
    /* A new one, whoever found it; 'why' says what it is. */
    void (*on_hole)(void *aux, const struct cluster_hole *, const char *why);
    void *aux;
};

struct cluster_holes *
cluster_holes_create(const struct cluster_holes_config *);
/* What was not written yet is forgotten.  NULL is fine. */
void cluster_holes_destroy(struct cluster_holes *);

/* This server gave these messages up. */
void cluster_holes_add(struct cluster_holes *, const struct cluster_hole *);
/* About once a second: new ones are told then. */
void cluster_holes_tick(struct cluster_holes *);

/* Appends those that touch the times from since_ns on, before until_ns, to a
 * list as docs/api.md has it (`missing`). */
void cluster_holes_list(const struct cluster_holes *, uint64_t since_ns,
                        uint64_t until_ns, json_t *list);

#endif /* server/cluster_holes.h */
