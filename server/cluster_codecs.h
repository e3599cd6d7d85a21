/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_codecs - writers and readers of packed postcards and histories that
 * the shards of a server share.
 *
 * A shard needs them only while it packs or reads, and each is megabytes; a
 * writer of histories knows again the shapes that another shard has met.
 *
 * Who uses a writer leaves it empty.
 *
 * Ownership: reference counted.
 *
 * Threads: one. */
#ifndef SERVER_CLUSTER_CODECS_H
#define SERVER_CLUSTER_CODECS_H 1

#include <stdint.h>

#include "lib/packet_id.h"

struct card_batch_reader;
struct card_batch_writer;
struct cluster_codecs;
struct column_shapes;
struct history_batch_reader;
struct history_batch_writer;

struct cluster_codecs *cluster_codecs_create(const struct packet_id_config *);
/* A reference to 'codecs', or to new ones if it is NULL. */
struct cluster_codecs *cluster_codecs_take(struct cluster_codecs *codecs,
                                           const struct packet_id_config *);
/* NULL is fine. */
void cluster_codecs_unref(struct cluster_codecs *);

/* Version 'wire' is spoken on the bus; at first, the newest. */
void cluster_codecs_set_wire(struct cluster_codecs *, uint32_t wire);

struct card_batch_writer *cluster_codecs_card_writer(struct cluster_codecs *);
struct history_batch_writer *
cluster_codecs_history_writer(struct cluster_codecs *);
/* Where the shapes of trajectories are, for those that write rows of them and
 * for archives: whoever begins anew asks column_shapes_renew(), and takes a
 * reference. */
struct column_shapes **cluster_codecs_shapes(struct cluster_codecs *);
/* Open from one call of its user's to the next for nobody. */
struct history_batch_reader *
cluster_codecs_history_reader(struct cluster_codecs *);

/* A reader that is the caller's until it is put back; what it read is then
 * forgotten. */
struct card_batch_reader *cluster_codecs_get_reader(struct cluster_codecs *);
void cluster_codecs_put_reader(struct cluster_codecs *,
                               struct card_batch_reader *);

#endif /* server/cluster_codecs.h */
