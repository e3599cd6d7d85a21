/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_members - what the servers of a cluster tell of themselves: keys
 * "server.NAME" of the bucket lh-meta.
 *
 * Who lives is not known from here but from the leases
 * (server/shard_lease.h); these keys stay when their server is gone, so that
 * it can be said what times of the past went with it.
 *
 * Threads: the bus's. */
#ifndef SERVER_CLUSTER_MEMBERS_H
#define SERVER_CLUSTER_MEMBERS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/agent_frame.h"
#include "lib/bus_kv.h"
#include "lib/collector_address.h"
#include "server/shard_lease.h"

struct cluster_member {
    char name[SHARD_LEASE_MAX_NAME + 1];
    char version[32]; /* Of the program. */
    uint32_t wire_min, wire_max;
    uint64_t started_ns;
    uint64_t since_ns, until_ns; /* Of its archive; both 0: empty. */
    bool has_archive;
    /* Where switches may send postcards to; "": nowhere, or no more. */
    char postcards_at[COLLECTOR_ADDRESS_TEXT];
    char agents_at[AGENT_SERVER_TEXT + 1]; /* The same of agents. */
    /* Where histories are kept in copies (server/cluster_copies.c). */
    uint64_t disk; /* Its number. */
    uint32_t n_short, n_lost, n_fetching;
    bool is_old;       /* It was not told again, since all is told anew. */
    uint64_t revision; /* Of its key; since all is told anew. */
};

struct cluster_members;

/* 'bus' is borrowed.  'on_change' (may be NULL) is called after each change.
 */
struct cluster_members *
cluster_members_create(struct bus *, void (*on_change)(void *aux), void *aux);
void cluster_members_destroy(struct cluster_members *);

/* Tells the others of this server, where it differs from what they were told;
 * tries again by itself. */
void cluster_members_tell(struct cluster_members *,
                          const struct cluster_member *self);
/* Asks NATS itself for what that server tells, as a watch at a copy of the
 * bucket that lacks something does not say so: what NATS answers counts, and
 * where the watch does not tell it, too, it begins anew.  One at a time: about
 * once a second, each server in turn. */
void cluster_members_check(struct cluster_members *, const char *name);
/* How often the watch was begun anew because of that. */
uint64_t cluster_members_n_doubts(const struct cluster_members *);
/* Removes one from the bucket. */
void cluster_members_forget(struct cluster_members *, const char *name);

size_t cluster_members_n(const struct cluster_members *);
const struct cluster_member *
cluster_members_get(const struct cluster_members *, size_t i);
/* NULL: nothing is known of it. */
const struct cluster_member *
cluster_members_find(const struct cluster_members *, const char *name);

#endif /* server/cluster_members.h */
