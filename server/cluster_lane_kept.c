/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_lane_kept - messages that NATS has acknowledged, until what came of
 * them is committed: NATS may lose what it has acknowledged. */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus_stream.h"
#include "lib/monotonic.h"
#include "server/cluster_lane.h"
#include "server/door_message.h"

/* Owners tell within 2 to 3 s what is committed; later they are asked, */
#define ASK_NS UINT64_C(4000000000)
/* and one that has told nothing for so long is of a version that does not. */
#define UNTOLD_NS UINT64_C(60000000000)

static size_t
cost(const struct cluster_message *m)
{
    return sizeof *m + m->size;
}

void
cluster_lane_keep(struct cluster_lane *lane, struct cluster_message *m)
{
    m->next = NULL;
    m->kept_ns = lane->all->clock_ns;
    if (lane->last_kept) {
        lane->last_kept->next = m;
    } else {
        lane->kept = m;
    }
    lane->last_kept = m;
    lane->all->n.kept += m->n_cards;
    lane->all->n.kept_bytes += cost(m);
}

void
cluster_lane_make_empty(struct cluster_lane *lane, struct cluster_message *m,
                        const struct cluster_cards_head *head)
{
    struct byte_buf *out = &lane->all->out;

    byte_buf_clear(out);
    cluster_wire_put_cards(out, head, NULL, 0);
    if (out->len <= m->size) {
        lane->all->n.waiting_bytes -= m->size - out->len;
        m->size = out->len;
        memcpy(m->data, out->data, out->len);
    }
    lane->all->n.waiting -= m->n_cards;
    m->n_cards = m->n_inner = 0;
}

void
cluster_lane_drop_kept(struct cluster_lane *lane)
{
    struct cluster_message *m = lane->kept;

    lane->all->n.kept -= m->n_cards;
    lane->all->n.kept_bytes -= cost(m);
    lane->kept = m->next;
    if (!lane->kept) {
        lane->last_kept = NULL;
    }
    free(m);
}

void
cluster_lane_cover(struct cluster_lane *lane, uint64_t number)
{
    if (number > lane->number) {
        return; /* It cannot be. */
    }
    lane->is_told = true;
    if (number > lane->covered) {
        lane->covered = number;
    }
    while (lane->kept && lane->kept->number <= number) {
        cluster_lane_drop_kept(lane);
    }
}

uint64_t
cluster_lane_send_again(struct cluster_lane *lane, uint64_t first,
                        uint64_t last)
{
    uint64_t has = lane->kept    ? lane->kept->number
                   : lane->first ? lane->first->number
                                 : lane->number + 1;

    last = last < lane->number ? last : lane->number;
    if (lane->again <= lane->last_again) {
        /* The rest of what was asked for is asked for again. */
        first = first < lane->again ? first : lane->again;
        last = last > lane->last_again ? last : lane->last_again;
    }
    lane->again = first;
    lane->last_again = last;
    return has;
}

/* --- Sending again. ------------------------------------------------------ */

static void
on_published(void *lane_, int error_number, const char *why, uint64_t seq,
             bool was_there)
{
    struct cluster_lane *lane = lane_;

    lane->is_again_under_way = false;
    if (error_number) {
        lane->again_ns = monotonic_ns() + CLUSTER_LANE_RETRY_NS;
    } else {
        lane->all->n.sent_missing++;
        lane->again = lane->again_number + 1;
    }
}

/* The next of those that are wanted. */
static const struct cluster_message *
find_wanted(const struct cluster_lane *lane)
{
    const struct cluster_message *m = lane->kept;

    while (m && m->number < lane->again) {
        m = m->next;
    }
    return m && m->number <= lane->last_again ? m : NULL;
}

/* It has another ID than before: NATS may know that one, and not have the
 * message. */
static void
send_wanted(struct cluster_lane *lane, const struct cluster_message *m)
{
    struct cluster_lanes *all = lane->all;
    char subject[32], id[96];
    const struct bus_letter letter = {
        .subject = subject, .data = m->data, .size = m->size};

    snprintf(subject, sizeof subject, CLUSTER_CARDS_SUBJECT, lane->shard);
    snprintf(id, sizeof id, "%016" PRIx64 ".%" PRIu32 ".%" PRIu64 ".%" PRIu64,
             all->door, lane->shard, m->number, ++all->n_again_ids);
    lane->again_number = m->number;
    lane->is_again_under_way =
        !bus_stream_publish(all->bus, &letter, id, BUS_ANY_SEQ,
                            all->timeout_ms, on_published, lane, NULL);
}

static void
ask_owner(struct cluster_lane *lane)
{
    const struct door_message m = {.kind = DOOR_ASK,
                                   .k = lane->shard,
                                   .door = lane->all->door,
                                   .last = lane->last_kept->number};
    char subject[DOOR_SUBJECT_SIZE];

    lane->asked_ns = lane->all->clock_ns;
    door_message_shard_subject(subject, lane->shard);
    door_message_send(lane->all->bus, subject, &m);
}

void
cluster_lane_run_kept(struct cluster_lane *lane)
{
    uint64_t now_ns = lane->all->clock_ns;

    while (!lane->is_told && lane->kept &&
           now_ns - lane->kept->kept_ns > UNTOLD_NS) {
        cluster_lane_drop_kept(lane);
    }
    if (!lane->kept || !bus_is_connected(lane->all->bus)) {
        return;
    }
    if (now_ns - lane->kept->kept_ns > ASK_NS &&
        now_ns - lane->asked_ns > ASK_NS) {
        ask_owner(lane);
    }
    if (lane->again <= lane->last_again && !lane->is_again_under_way &&
        monotonic_ns() >= lane->again_ns) {
        const struct cluster_message *m = find_wanted(lane);

        if (m) {
            send_wanted(lane, m);
        } else {
            lane->again = lane->last_again + 1;
        }
    }
}
