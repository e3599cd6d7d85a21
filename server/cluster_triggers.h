/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_triggers - live filters of all servers' clients, where histories are
 * accepted.
 *
 * A filter that a client of this server adds becomes a key
 * "trigger.NAME.SESSION.NUMBER" of the bucket lh-meta; every server knows them
 * all and shows each history that it accepts to all of them, so that it does
 * not matter which server has a shard, and a new owner knows what the old one
 * knew.  What matches is sent to the server whose client asked
 * (lh.event.NAME: docs/formats/cluster.md), which tells it as any match.
 *
 * What a server that is gone has left behind is removed by the next one of
 * its name, or when it is forgotten; one that leaves takes it along.  An event
 * can be told twice when a shard changes hands.  Where some may have been lost
 * on their way, each trigger's client is told `missed` with the times that it
 * concerns (server/cluster_events.h).
 *
 * Threads: the bus's. */
#ifndef SERVER_CLUSTER_TRIGGERS_H
#define SERVER_CLUSTER_TRIGGERS_H 1

#include <stdint.h>

#include "lib/bus.h"
#include "lib/topology.h"
#include "lib/trajectory.h"
#include "server/triggers.h"

struct cluster_triggers;

struct cluster_triggers_config {
    struct bus *bus;        /* Borrowed. */
    struct triggers *local; /* Those of this server's clients, from now on
                             * matched here; borrowed. */
    const char *name;       /* This server's. */
    uint64_t started_ns;    /* Since when it has clients. */
    /* All filters there are are known, for the first time: what is accepted
     * before that would be shown to none. */
    void (*on_known)(void *aux);
    void *aux;
};

struct cluster_triggers *
cluster_triggers_create(const struct cluster_triggers_config *);
void cluster_triggers_destroy(struct cluster_triggers *);
/* Takes a reference of its own. */
void cluster_triggers_set_topology(struct cluster_triggers *,
                                   const struct topology *);
/* Removes all filters of clients of a server that is gone, or, of its own
 * name, those of this one, which is going.  False: there are none. */
bool cluster_triggers_forget(struct cluster_triggers *, const char *name);
/* About once a second. */
void cluster_triggers_tick(struct cluster_triggers *);
/* The bus is connected again. */
void cluster_triggers_connected(struct cluster_triggers *);

/* Whether no filter waits for anything. */
bool cluster_triggers_is_empty(const struct cluster_triggers *);
/* A history, or a packet of a trajectory, that was accepted. */
void cluster_triggers_offer(struct cluster_triggers *, const struct history *);
void cluster_triggers_offer_packet(struct cluster_triggers *,
                                   struct trajectory *,
                                   const struct trajectory_packet *);
/* Adds to '*counters' what matching cost. */
void cluster_triggers_collect(const struct cluster_triggers *,
                              struct counters *);

#endif /* server/cluster_triggers.h */
