/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_snapshot - what is open in a stage-1 shard, as messages on lh.s.<k>
 * (docs/formats/cluster.md), and back.
 *
 *     n = cluster_snapshot_put(&head, paths, merge, &parts);
 *
 *     reader = cluster_snapshot_reader_create(epoch, checkpoint, n_parts, ..);
 *     cluster_snapshot_reader_take(reader, data, size)   for each message of
 *     lh.s.<k>, until it says that all is there, then
 *     cluster_snapshot_reader_restore(reader, paths, merge, ..)
 *
 * The first part has what is known of doors, of agents, of what closed a
 * moment ago and of tunnels, and histories that wait for counters of switches;
 * each part has open postcards, in groups, with the times at which their
 * windows end.  What is too long for the first part goes on in those that
 * follow, before postcards.
 *
 * Threads: one. */
#ifndef SERVER_CLUSTER_SNAPSHOT_H
#define SERVER_CLUSTER_SNAPSHOT_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/lh_error.h"
#include "lib/packet_id.h"

struct card_batch_writer;
struct cluster_merge;
struct loss_wait;
struct path_table;

/* No part is longer: with its subject and headers it is no more than
 * nats-server's max_payload, 1 MiB. */
#define CLUSTER_SNAPSHOT_MAX_PART ((1u << 20) - 4096)

struct cluster_snapshot_head {
    uint64_t epoch, checkpoint; /* Of the checkpoint it is part of. */
    uint64_t secret;            /* As struct path_table_config. */
};

/* Writes the snapshot to '*parts', 'n' buffers that are the caller's to empty
 * and free(), and returns 'n', which is not 0.  The batch writer must be
 * empty, and is empty after.  Nothing waits where loss_wait is NULL. */
uint32_t cluster_snapshot_put(const struct cluster_snapshot_head *,
                              struct card_batch_writer *, struct path_table *,
                              const struct cluster_merge *,
                              const struct loss_wait *,
                              struct byte_buf **parts);

/* To which checkpoint a message on lh.s.<k> belongs; false: it does not
 * say. */
bool cluster_snapshot_checkpoint(const uint8_t *data, size_t size,
                                 uint64_t *checkpoint);

struct cluster_snapshot_reader;

/* Reads the snapshot of that epoch and checkpoint, which has 'n_parts'. */
struct cluster_snapshot_reader *
cluster_snapshot_reader_create(uint64_t epoch, uint64_t checkpoint,
                               uint32_t n_parts,
                               const struct packet_id_config *);
/* NULL is fine. */
void cluster_snapshot_reader_destroy(struct cluster_snapshot_reader *);

/* Takes a message, in the order of their numbers; those of other checkpoints
 * are skipped.  True: all parts are there. */
bool cluster_snapshot_reader_take(struct cluster_snapshot_reader *,
                                  const uint8_t *data, size_t size);
/* When all parts are there: the secret that the path table must have; 0, if
 * it cannot be read. */
uint64_t
cluster_snapshot_reader_secret(const struct cluster_snapshot_reader *);
/* Puts all into a new path table and a new merge.  '*n' is how many postcards
 * are open.  Returns 0, or EBADMSG with the reason: what could be read is
 * there. */
int cluster_snapshot_reader_restore(struct cluster_snapshot_reader *,
                                    struct path_table *,
                                    struct cluster_merge *, struct loss_wait *,
                                    uint64_t *n, struct lh_error *);

#endif /* server/cluster_snapshot.h */
