/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_merge_state - what the next owner of a shard must know of its doors.
 *
 * Watermarks are written as far as everything up to them was given: what says
 * more is read again. */
#include <config.h>

#include <errno.h>

#include "server/cluster_merge_impl.h"

#define FLAG_FILE  0x01
#define FLAG_ENDED 0x02
#define FLAG_AGENT 0x04 /* It had agents. */

static void
put_door(const struct cluster_merge *merge, const struct merge_door *door,
         struct byte_buf *out)
{
    bool has_ended = door->has_ended && !door->first;

    byte_buf_put_u64(out, door->nonce);
    byte_buf_put_u8(out, (uint8_t) ((door->is_file ? FLAG_FILE : 0) |
                                    (has_ended ? FLAG_ENDED : 0) |
                                    (door->has_agents ? FLAG_AGENT : 0)));
    byte_buf_put_u64(out, cluster_merge_given(door));
    byte_buf_put_u64(out, door->last_seq);
    byte_buf_put_u64(out, door->watermark_ns < merge->clock_ns
                              ? door->watermark_ns
                              : merge->clock_ns);
    byte_buf_put_u64(out, door->stored_ns);
    byte_buf_put_u64(out,
                     door->reader ? door->first->number : door->part_number);
    byte_buf_put_u32(out, door->reader ? door->n_given : door->part_given);
}

void
cluster_merge_put(const struct cluster_merge *merge, struct byte_buf *out)
{
    byte_buf_put_u64(out, merge->clock_ns);
    byte_buf_put_u64(out, merge->stream_ns);
    byte_buf_put_u64(out, merge->live_ns);
    byte_buf_put_u32(out, (uint32_t) merge->n_doors);
    for (size_t i = 0; i < merge->n_doors; i++) {
        put_door(merge, merge->doors[i], out);
    }
}

static void
read_door(struct cluster_merge *merge, struct bytes_reader *in)
{
    struct merge_door *door = cluster_merge_add_door(merge, bytes_get_u64(in));
    uint8_t flags = bytes_get_u8(in);

    door->is_file = flags & FLAG_FILE;
    door->has_ended = flags & FLAG_ENDED;
    door->has_agents = flags & FLAG_AGENT;
    door->number = door->taken = door->given_number = bytes_get_u64(in);
    door->last_seq = door->order_seq = bytes_get_u64(in);
    door->watermark_ns = door->cards_ns = bytes_get_u64(in);
    door->stored_ns = bytes_get_u64(in);
    door->part_number = bytes_get_u64(in);
    door->part_given = bytes_get_u32(in);
    door->covered = door->written = door->number;
}

bool
cluster_merge_has_reach(const struct cluster_merge *merge)
{
    return cluster_reach_n(merge->reach) > 0;
}

void
cluster_merge_put_reach(const struct cluster_merge *merge,
                        struct byte_buf *out)
{
    cluster_reach_put(merge->reach, cluster_merge_floor(merge, UINT64_MAX),
                      out);
}

int
cluster_merge_read_reach(struct cluster_merge *merge, struct bytes_reader *in)
{
    return cluster_reach_read(merge->reach, in);
}

int
cluster_merge_read(struct cluster_merge *merge, struct bytes_reader *in)
{
    uint32_t n;

    merge->clock_ns = bytes_get_u64(in);
    merge->stream_ns = bytes_get_u64(in);
    merge->live_ns = bytes_get_u64(in);
    n = bytes_get_u32(in);
    while (n-- && !in->failed) {
        read_door(merge, in);
    }
    return in->failed ? EBADMSG : 0;
}
