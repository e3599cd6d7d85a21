/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_outbox - histories of a stage-1 shard that wait for its next
 * checkpoint, and which stage-2 shard each goes to.
 *
 * All packets of a flow in one direction go to one, so that what they have in
 * common is archived once: it is chosen by the addresses, protocol and ports
 * that the packet had at its first hop, by the packet ID where there are none.
 * All servers and versions choose the same.
 *
 * Ownership: histories are taken, packets are copied and their trajectories
 * referenced, until they are packed.
 *
 * Threads: one. */
#ifndef SERVER_CLUSTER_OUTBOX_H
#define SERVER_CLUSTER_OUTBOX_H 1

#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/history.h"
#include "lib/trajectory.h"

struct cluster_codecs;
struct cluster_outbox;

/* The stage-2 shard of a history, of 'n_stores'. */
uint32_t cluster_outbox_store(const struct history *, uint32_t n_stores);

/* Takes a reference to the codecs. */
struct cluster_outbox *cluster_outbox_create(struct cluster_codecs *,
                                             uint32_t n_stores);
/* NULL is fine. */
void cluster_outbox_destroy(struct cluster_outbox *);

void cluster_outbox_add(struct cluster_outbox *, struct history *);
void cluster_outbox_add_packet(struct cluster_outbox *, struct trajectory *,
                               const struct trajectory_packet *);

/* Histories that wait, and about how many bytes they are before packing. */
size_t cluster_outbox_n(const struct cluster_outbox *);
size_t cluster_outbox_size(const struct cluster_outbox *);

/* Packs all that waits, by stage-2 shard: 'give' is called for each packed
 * batch (lib/history_batch.h), which stands in 'bytes' behind 'n_before' bytes
 * of the caller's to fill; 'part' numbers those of one shard from 0 on.
 * Returns how many histories were dropped, for they are larger than a message
 * may be. */
typedef void cluster_outbox_fn(void *aux, uint32_t store, uint32_t part,
                               struct byte_buf *bytes);
size_t cluster_outbox_pack(struct cluster_outbox *, size_t n_before,
                           cluster_outbox_fn *give, void *aux);

#endif /* server/cluster_outbox.h */
