/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_share - what one server of a cluster knows of the network from its
 * recorder, for those that have none.
 *
 * Of the servers that are connected to a recorder one has the coordinator's
 * lease (bucket lh-lease-0).  It writes the topology to the key "topology" of
 * lh-meta, tells rules as they come (lh.rule), and passes questions to the
 * recorder on (lh.coordinator): of rules, and all that clients ask of the
 * past.  When it dies another one with a recorder takes its place.
 *
 * Threads: the bus's. */
#ifndef SERVER_CLUSTER_SHARE_H
#define SERVER_CLUSTER_SHARE_H 1

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/bus.h"
#include "lib/topology.h"
#include "server/cluster_rpc.h"
#include "server/recorder_link.h"
#include "server/rule_cache.h"

struct cluster_share;

struct cluster_share_config {
    struct bus *bus; /* All is borrowed. */
    const char *name;
    uint32_t lease_ms, replicas; /* As those of the other leases. */
    struct rule_cache *rules;
    /* The recorder; NULL: none. */
    struct recorder_link *(*recorder)(void *aux);
    /* What the coordinator knows; not called while this is the one. */
    void (*on_topology)(void *aux, struct topology *);
    /* Rules have come, or do not. */
    void (*on_rules)(void *aux);
    void *aux;
};

struct cluster_share *
cluster_share_create(const struct cluster_share_config *);
/* NULL is fine. */
void cluster_share_destroy(struct cluster_share *);
/* Looks after the lease; about once a second. */
void cluster_share_tick(struct cluster_share *);

/* Told of what the recorder says. */
void cluster_share_topology(struct cluster_share *, const struct topology *);
void cluster_share_rule(struct cluster_share *, enum rule_cache_change,
                        uint64_t dpid, uint32_t version, const struct rule *);

/* As recorder_link_ask(), of the coordinator. */
bool cluster_share_ask(struct cluster_share *, uint64_t dpid,
                       uint32_t version);
/* As recorder_link_call(): takes 'members'; 0, or ENOBUFS: 'done' is not
 * called. */
int cluster_share_call(struct cluster_share *, const char *op, json_t *members,
                       cluster_rpc_fn *done, void *aux);

bool cluster_share_is_coordinator(const struct cluster_share *);

#endif /* server/cluster_share.h */
