/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_split - owns one stage-1 shard k of a cluster: reads postcards from
 * lh.1.<k>, makes histories of them, and hands these to the stage-2 owners,
 * each exactly once.
 *
 * SHARD_TAKEN creates one.  It claims its record in the commit bucket, takes
 * up the open postcards that the owner before left in a snapshot, and reads
 * on from there.  Several times a second it commits a checkpoint
 * (server/cluster_checkpoint.h): where to read on, what is open, and which
 * histories came of the rest; all of it counts, or nothing.
 *
 *     SHARD_TAKEN:    cluster_split_create(), cluster_split_set_topology()
 *     SHARD_UNWANTED: cluster_split_drain(); at CLUSTER_SPLIT_DRAINED
 *                     shard_lease_release(), cluster_split_destroy()
 *     SHARD_LOST:     cluster_split_destroy()
 *     CLUSTER_SPLIT_FENCED: cluster_split_destroy(): another has the record
 *
 * Destroying it at any moment loses nothing: whoever has the shard next does
 * again what was not committed.
 *
 * Postcards of several doors are put into the order of time again, as far as
 * their watermarks tell (server/cluster_merge.h), so that the histories are
 * those of one process that received all.
 *
 * Histories that say `lost` wait for counters as in one process
 * (server/loss_wait.h), a few at a time, and go with the snapshot.
 *
 * Threads: the bus's. */
#ifndef SERVER_CLUSTER_SPLIT_H
#define SERVER_CLUSTER_SPLIT_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/packet_id.h"
#include "lib/topology.h"
#include "server/path_table.h"

struct bus;
struct cluster_codecs;
struct cluster_book;
struct cluster_hole;
struct loss_ledger;
struct cluster_split;
struct path_kit;
struct rule_cache;

enum cluster_split_event {
    CLUSTER_SPLIT_OPEN,    /* It has the record, knows what was open, reads. */
    CLUSTER_SPLIT_DRAINED, /* All is committed and told; it does no more. */
    CLUSTER_SPLIT_FENCED   /* Another epoch has the record; it does no more. */
};

/* Streams and buckets must be there; all is borrowed until the end. */
struct cluster_split_config {
    struct bus *bus;
    uint32_t shard;       /* k. */
    uint64_t epoch;       /* As SHARD_TAKEN said. */
    uint32_t n_stores;    /* Stage-2 shards of the cluster. */
    uint32_t interval_ms; /* Between checkpoints; 0: 200.  Up to five times
                           * that where histories are neither few nor
                           * many. */
    size_t max_bytes;     /* Under way from NATS; 0: bus_pull's default. */
    uint64_t silent_ns;   /* As struct cluster_merge_config. */

    /* As server/shard.h has them. */
    uint64_t window_ns;
    size_t max_postcards;
    struct packet_id_config id_config;
    bool is_lossless;
    struct rule_cache *rules;
    /* What is known of lost postcards of switches; NULL: nothing. */
    struct loss_ledger *ledger;
    /* The same, by agents. */
    struct cluster_book *book;
    const uint32_t *wire; /* Version that is spoken; NULL: the newest. */
    /* Shared by shards of a server; NULL: none. */
    struct path_kit *kit;
    struct cluster_codecs *codecs; /* Takes a reference. */
    struct cluster_sent *sent;     /* As struct cluster_checkpoint_config. */

    /* May destroy the split, but for CLUSTER_SPLIT_OPEN. */
    void (*on_event)(void *aux, struct cluster_split *,
                     enum cluster_split_event);
    /* Messages are given up.  May be NULL. */
    void (*on_hole)(void *aux, const struct cluster_hole *);
    void *aux;
};

struct cluster_split_counters {
    struct path_table_counters paths; /* Since this owner began. */
    uint64_t histories; /* That came of postcards here; of these */
    uint64_t committed; /* are in a checkpoint that counts, */
    uint64_t waiting;   /* are not yet; */
    uint64_t too_large; /* or are larger than a message may be: dropped. */
    uint64_t awaiting;  /* Of these, wait for counters of switches. */
    uint64_t restored;  /* Open postcards taken up from a snapshot. */
    uint64_t snapshots_lost; /* Snapshots that were not there (any more). */
    uint64_t messages;       /* Read from the doors, of which */
    uint64_t again;          /* came a second time, */
    uint64_t doubled;        /* (postcards that agents sent to two doors), */
    uint64_t broken;         /* could not be read; */
    uint64_t postcards;      /* and what was in the rest. */
    uint64_t held;           /* Messages that wait for other doors, */
    uint64_t held_bytes;     /* theirs, */
    uint64_t hurried;     /* and postcards that did not, for want of room. */
    uint64_t late;        /* Postcards that came after their time. */
    uint64_t missing;     /* Messages that were acknowledged, and are lost. */
    uint64_t doors;       /* Now known. */
    uint64_t doors_late;  /* Of these, too far behind to be waited for. */
    uint64_t checkpoints; /* That count. */
    uint64_t checkpoint;  /* Number of the last one, over all owners. */
    uint64_t snapshot_bytes, tentative_bytes; /* Published, */
    uint64_t sent_again;                      /* and what was once more. */
    uint64_t position;  /* Committed: below it nothing is needed any more. */
    uint64_t next_seq;  /* To be read next. */
    uint64_t n_pending; /* That wait in NATS, as it last said. */
    uint64_t clock_ns;  /* Up to when all that was received has come. */
};

struct cluster_split *
cluster_split_create(const struct cluster_split_config *);
/* No callback comes any more.  NULL is fine. */
void cluster_split_destroy(struct cluster_split *);

/* Takes a reference of its own.  It holds from 'now_ns' on, 0: always. */
void cluster_split_set_topology(struct cluster_split *,
                                const struct topology *, uint64_t now_ns);

/* Reads no more, and commits what it has. */
void cluster_split_drain(struct cluster_split *);

/* Why it does not get on: NULL when all is well; borrowed until the next
 * call of anything. */
const char *cluster_split_trouble(const struct cluster_split *);
void cluster_split_get_counters(const struct cluster_split *,
                                struct cluster_split_counters *);

#endif /* server/cluster_split.h */
