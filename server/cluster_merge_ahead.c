/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_merge_ahead - messages of a door that came before their turn, what
 * is missing before them, and what of all is committed. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/time_spec.h"
#include "server/cluster_merge_impl.h"
#include "server/cluster_wire.h"

/* Between two times that a door is told. */
#define TELL_NS UINT64_C(1000000000)
/* Doors that were silent for so long are told nothing. */
#define TOLD_NS UINT64_C(60000000000)
/* The first messages of a door were sent so long before the first that came,
 * at most. */
#define NEW_NS UINT64_C(10000000000)

/* A door does not keep so many messages that it would ask for. */
#define MOST_EXPECTED (UINT64_C(1) << 32)

/* --- Ahead. -------------------------------------------------------------- */

static struct merge_ahead *
pop(struct cluster_merge *merge, struct merge_door *door)
{
    struct merge_ahead *ahead = door->ahead;

    door->ahead = ahead->next;
    merge->n.held--;
    merge->n.held_bytes -= ahead->size;
    return ahead;
}

void
cluster_merge_forget_ahead(struct cluster_merge *merge,
                           struct merge_door *door)
{
    while (door->ahead) {
        free(pop(merge, door));
    }
}

void
cluster_merge_put_ahead(struct cluster_merge *merge, struct merge_door *door,
                        uint64_t number, const struct cluster_merge_message *m)
{
    struct merge_ahead **link = &door->ahead;
    struct merge_ahead *ahead;

    if (*link && door->last_ahead->number < number) {
        link = &door->last_ahead->next; /* They mostly come in order. */
    }
    while (*link && (*link)->number < number) {
        link = &(*link)->next;
    }
    if (*link && (*link)->number == number) {
        merge->n.again++;
        return;
    }
    ahead = lh_alloc(sizeof *ahead + m->size);
    *ahead = (struct merge_ahead){.next = *link,
                                  .number = number,
                                  .seq = m->seq,
                                  .stored_ns = m->stored_ns,
                                  .size = m->size};
    memcpy(ahead->data, m->data, m->size);
    *link = ahead;
    if (!ahead->next) {
        door->last_ahead = ahead;
    }
    merge->n.held++;
    merge->n.held_bytes += ahead->size;
    /* It is no door that has gone. */
    door->stored_ns =
        m->stored_ns > door->stored_ns ? m->stored_ns : door->stored_ns;
    if (merge->n.held_bytes > merge->config.max_bytes) {
        cluster_merge_give_up(merge, door->nonce, door->ahead->number, 0);
    }
}

void
cluster_merge_take_ahead(struct cluster_merge *merge, struct merge_door *door)
{
    while (door->ahead && door->ahead->number <= door->number + 1) {
        struct merge_ahead *ahead = pop(merge, door);
        const struct cluster_merge_message m = {.seq = ahead->seq,
                                                .stored_ns = ahead->stored_ns,
                                                .data = ahead->data,
                                                .size = ahead->size};
        struct cluster_cards_head head;
        const uint8_t *batch;
        size_t len;

        if (!cluster_wire_get_cards(m.data, m.size, &head, &batch, &len,
                                    NULL)) {
            cluster_merge_take_next(merge, door, &head, &m, batch, len);
        }
        free(ahead);
    }
}

/* --- Gaps. --------------------------------------------------------------- */

struct cluster_merge_gap *
cluster_merge_get_gap(struct cluster_merge *merge, size_t *i, uint64_t now_ns,
                      bool is_idle)
{
    for (; *i < merge->n_doors; ++*i) {
        struct merge_door *door = merge->doors[*i];
        struct cluster_merge_gap *gap = &door->gap;
        uint64_t last = door->ahead ? door->ahead->number - 1
                        : is_idle   ? door->expected
                                    : 0;

        if (last <= door->number) {
            gap->since_ns = 0;
            continue;
        }
        if (!gap->since_ns || gap->first != door->number + 1) {
            merge->n.gaps += !gap->since_ns;
            *gap = (struct cluster_merge_gap){.door = door->nonce,
                                              .first = door->number + 1,
                                              .seq = door->order_seq,
                                              .since_ns = now_ns};
        }
        gap->last = last;
        return gap;
    }
    return NULL;
}

void
cluster_merge_expect(struct cluster_merge *merge, uint64_t nonce,
                     uint64_t number)
{
    struct merge_door *door = cluster_merge_find_door(merge, nonce);

    if (!door) {
        door = cluster_merge_add_door(merge, nonce);
    }
    if (number > door->expected && number > door->number &&
        number - door->number <= MOST_EXPECTED) {
        door->expected = number;
    }
    door->told = 0; /* It has not heard what was told. */
}

/* Tells that messages before those ahead, or the last ones, are given up. */
static void
tell_missing(const struct cluster_merge *merge, const struct merge_door *door,
             uint64_t n)
{
    uint64_t stored_ns =
        door->ahead ? door->ahead->stored_ns : time_spec_now();
    uint64_t since_ns = door->watermark_ns, until_ns = 0;
    struct cluster_cards_head head;
    bool is_file = door->is_file;
    const uint8_t *batch;
    size_t len;

    if (door->ahead &&
        !cluster_wire_get_cards(door->ahead->data, door->ahead->size, &head,
                                &batch, &len, NULL)) {
        is_file = head.is_file;
        until_ns = head.watermark_ns;
    }
    if (!since_ns && !is_file && stored_ns > NEW_NS) {
        since_ns = stored_ns - NEW_NS;
    }
    if (!until_ns || until_ns == CLUSTER_WATERMARK_END) {
        until_ns = is_file ? UINT64_MAX : stored_ns;
    }
    /* Its clock may have been put back. */
    merge->config.on_missing(merge->config.aux, n,
                             since_ns < until_ns ? since_ns : until_ns,
                             since_ns < until_ns ? until_ns : since_ns,
                             merge->n.held_bytes > merge->config.max_bytes);
}

uint64_t
cluster_merge_give_up(struct cluster_merge *merge, uint64_t nonce,
                      uint64_t number, uint64_t covered)
{
    struct merge_door *door = cluster_merge_find_door(merge, nonce);
    uint64_t n, had, most;

    if (!door) {
        return 0;
    }
    most = door->ahead ? door->ahead->number : door->expected + 1;
    if (number > most) {
        number = most;
    }
    if (!number || number - 1 <= door->number) {
        return 0;
    }
    had = door->number > covered ? door->number : covered;
    n = number - 1 > had ? number - 1 - had : 0;
    merge->n.missing += n;
    if (n && merge->config.on_missing) {
        tell_missing(merge, door, n);
    }
    if (!door->first) {
        door->given_number = number - 1;
    }
    door->number = number - 1;
    cluster_merge_take_ahead(merge, door);
    return n;
}

void
cluster_merge_take_back(struct merge_door *door)
{
    door->number = door->taken;
    if (!door->first && door->given_number > door->taken) {
        door->given_number = door->taken;
    }
}

/* --- What is committed. -------------------------------------------------- */

uint64_t
cluster_merge_given(const struct merge_door *door)
{
    return door->first ? door->given_number : door->number;
}

void
cluster_merge_begin_commit(struct cluster_merge *merge)
{
    for (size_t i = 0; i < merge->n_doors; i++) {
        merge->doors[i]->written = cluster_merge_given(merge->doors[i]);
    }
}

void
cluster_merge_end_commit(struct cluster_merge *merge)
{
    for (size_t i = 0; i < merge->n_doors; i++) {
        merge->doors[i]->covered = merge->doors[i]->written;
    }
}

bool
cluster_merge_needs(const struct cluster_merge *merge, const uint8_t *data,
                    size_t size)
{
    struct cluster_cards_head head;
    const struct merge_door *door;
    const uint8_t *batch;
    size_t len;

    if (cluster_wire_get_cards(data, size, &head, &batch, &len, NULL)) {
        return false;
    }
    door = cluster_merge_find_door(merge, head.door);
    return door && head.number > door->covered;
}

bool
cluster_merge_get_news(struct cluster_merge *merge, size_t *i, uint64_t now_ns,
                       uint64_t *nonce, uint64_t *number)
{
    for (; *i < merge->n_doors; ++*i) {
        struct merge_door *door = merge->doors[*i];

        if (door->covered > door->told && now_ns - door->told_ns >= TELL_NS &&
            door->stored_ns + TOLD_NS > merge->stream_ns) {
            door->told = door->covered;
            door->told_ns = now_ns;
            *nonce = door->nonce;
            *number = door->covered;
            return true;
        }
    }
    return false;
}
