/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_wire - what stands in front of the postcards that servers of a
 * cluster send each other, and which of them goes where
 * (docs/formats/cluster.md).
 *
 *     cluster_wire_put_cards(&buf, &head, runs, n);   then
 *     card_batch_writer_finish()
 *
 *     cluster_wire_get_cards(data, size, &head, &batch, &len, &error);
 *     then card_batch_reader_open(reader, batch, len, &error) if len is not 0
 *     while (cluster_wire_next_run(&head.runs, &run)) ..
 *
 * Threads: pure functions. */
#ifndef SERVER_CLUSTER_WIRE_H
#define SERVER_CLUSTER_WIRE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/bytes.h"
#include "lib/lh_error.h"
#include "lib/postcard.h"

/* Of messages of postcards: what is read, and the newest, is written. */
#define CLUSTER_WIRE_FIRST     1
#define CLUSTER_WIRE_VERSION   2
#define CLUSTER_CARDS_STREAM   "LH1"
#define CLUSTER_CARDS_SUBJECTS "lh.1.*"
#define CLUSTER_CARDS_SUBJECT  "lh.1.%u" /* With the shard. */

/* 'watermark_ns' of the last message of a door on a shard. */
#define CLUSTER_WATERMARK_END UINT64_MAX
/* That of a live door goes back when its clock was put back by more. */
#define CLUSTER_WATERMARK_STEP_NS UINT64_C(10000000000)

/* Postcards one behind the other, as the frame of an agent had them: of those
 * in it that are of one shard the 'n' from number 'first' on, counted from 0.
 * Whichever door takes the frame counts alike. */
struct cluster_run {
    uint64_t agent; /* 0: of no agent, and no more is told. */
    uint64_t frame; /* Its number, by the agent. */
    uint32_t first;
    uint32_t n;
};

/* What cluster_wire_next_run() goes on with. */
struct cluster_runs {
    struct bytes_reader in;
    uint64_t n_left;
    uint64_t agent, frame; /* Of the last that was of an agent. */
};

/* A message on lh.1.<k>; a batch of postcards follows, or nothing. */
struct cluster_cards_head {
    uint8_t version; /* 0: CLUSTER_WIRE_VERSION. */
    uint64_t door;   /* Drawn by the door when it was made. */
    uint64_t number; /* Of its messages on this shard, from 1 on, without
                      * gaps but for what it has lost.  They come in that
                      * order; one that comes again (a number that is not
                      * above the one before) is to be skipped. */
    bool is_file; /* The door reads a file: its clock is that of the file. */
    /* What the door sends later on this shard it received after this. */
    uint64_t watermark_ns;
    /* Of version 2 and later: of packets whose ID >> 32 is above this some
     * hops may have been left out by agents, lately; 0 stands for all, as
     * UINT32_MAX - left_out is the threshold. */
    uint32_t left_out;
    bool is_catching_up;      /* Agents send what they spooled. */
    struct cluster_runs runs; /* Read only. */
};

/* The version of packed postcards (lib/card_batch.h) where version 'wire' is
 * spoken on the bus. */
static inline unsigned int
cluster_wire_batch_version(uint32_t wire)
{
    return wire >= 2 ? 2 : 1;
}

/* The same of packed histories (lib/history_batch.h). */
static inline unsigned int
cluster_wire_history_version(uint32_t wire)
{
    return wire >= 3 ? 2 : 1;
}

/* Appends it to 'out'; of the postcards that follow the 'n' runs tell in their
 * order whose they are, those behind the runs are nobody's. */
void cluster_wire_put_cards(struct byte_buf *out,
                            const struct cluster_cards_head *,
                            const struct cluster_run *runs, size_t n);
/* '*batch' points into 'data'; '*len' is 0 when nothing follows.  Returns
 * EBADMSG with the reason when it is malformed, ENOTSUP when it is of another
 * version. */
int cluster_wire_get_cards(const uint8_t *data, size_t size,
                           struct cluster_cards_head *, const uint8_t **batch,
                           size_t *len, struct lh_error *);

/* The next run of the message; false at the end. */
bool cluster_wire_next_run(struct cluster_runs *, struct cluster_run *);

/* The shard of packet 'packet_id', of 'n_shards', for all servers and
 * versions the same. */
static inline uint32_t
cluster_wire_shard_of_id(uint64_t packet_id, uint32_t n_shards)
{
    uint64_t mixed = (packet_id ^ packet_id >> 32) * //
                     UINT64_C(0x9e3779b97f4a7c15);

    return (uint32_t) ((mixed >> 32) * n_shards >> 32);
}

/* That of a postcard: without a packet ID by its switch. */
static inline uint32_t
cluster_wire_shard(const struct postcard *p, uint32_t n_shards)
{
    return cluster_wire_shard_of_id(p->has_id ? p->packet_id : p->dpid,
                                    n_shards);
}

#endif /* server/cluster_wire.h */
