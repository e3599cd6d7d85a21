/* SPDX-License-Identifier: Apache-2.0 */
/* gen_queue - postcards on their way to the capture, by time. */
#include <config.h>
#include "gen/gen_queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

/* A heap orders nodes, postcards stay where they are. */
struct node {
    uint64_t time_ns;
    uint32_t n; /* Which came first, by wrapping difference. */
    uint32_t slot;
};

struct slot {
    struct postcard p;
    uint32_t sw;
    uint16_t tag;
};

struct gen_queue {
    uint16_t max_header;
    uint32_t n_added;
    size_t n_nodes, allocated_nodes;
    struct node *nodes; /* Owned. */
    size_t n_slots, allocated_slots;
    struct slot *slots; /* Owned. */
    uint8_t *headers;   /* Of all slots.  Owned. */
    size_t n_free, allocated_free;
    uint32_t *free; /* Slots.  Owned. */
};

struct gen_queue *
gen_queue_create(uint16_t max_header)
{
    struct gen_queue *queue = lh_alloc_zero(sizeof *queue);

    queue->max_header = max_header;
    return queue;
}

void
gen_queue_destroy(struct gen_queue *queue)
{
    if (queue) {
        free(queue->nodes);
        free(queue->slots);
        free(queue->headers);
        free(queue->free);
        free(queue);
    }
}

size_t
gen_queue_length(const struct gen_queue *queue)
{
    return queue->n_nodes;
}

static uint32_t
take_slot(struct gen_queue *queue)
{
    size_t before = queue->allocated_slots;

    if (queue->n_free) {
        return queue->free[--queue->n_free];
    }
    queue->slots =
        lh_alloc_grow(queue->slots, queue->n_slots, &queue->allocated_slots,
                      sizeof *queue->slots);
    if (queue->allocated_slots != before) {
        queue->headers = lh_alloc_array(queue->headers, queue->allocated_slots,
                                        queue->max_header);
    }
    return (uint32_t) queue->n_slots++;
}

static bool
is_before(const struct node *a, const struct node *b)
{
    return a->time_ns < b->time_ns ||
           (a->time_ns == b->time_ns && (int32_t) (a->n - b->n) < 0);
}

void
gen_queue_add(struct gen_queue *queue, const struct postcard *p, uint32_t sw,
              uint16_t tag)
{
    struct node node = {p->time_ns, queue->n_added++, take_slot(queue)};
    struct slot *slot = &queue->slots[node.slot];
    size_t i;

    slot->p = *p;
    slot->sw = sw;
    slot->tag = tag;
    assert(p->caplen <= queue->max_header);
    memcpy(queue->headers + (size_t) node.slot * queue->max_header, p->header,
           p->caplen);
    queue->nodes =
        lh_alloc_grow(queue->nodes, queue->n_nodes, &queue->allocated_nodes,
                      sizeof *queue->nodes);
    for (i = queue->n_nodes++; i > 0; i = (i - 1) / 2) {
        if (!is_before(&node, &queue->nodes[(i - 1) / 2])) {
            break;
        }
        queue->nodes[i] = queue->nodes[(i - 1) / 2];
    }
    queue->nodes[i] = node;
}

uint64_t
gen_queue_time(const struct gen_queue *queue)
{
    return queue->n_nodes ? queue->nodes[0].time_ns : UINT64_MAX;
}

const struct postcard *
gen_queue_take(struct gen_queue *queue, uint32_t *sw, uint16_t *tag)
{
    uint32_t n = queue->nodes[0].slot;
    struct slot *slot = &queue->slots[n];
    struct node last;
    size_t i = 0;

    assert(queue->n_nodes > 0);
    last = queue->nodes[--queue->n_nodes];
    for (size_t k = 1; k < queue->n_nodes; k = 2 * i + 1) {
        if (k + 1 < queue->n_nodes &&
            is_before(&queue->nodes[k + 1], &queue->nodes[k])) {
            k++;
        }
        if (!is_before(&queue->nodes[k], &last)) {
            break;
        }
        queue->nodes[i] = queue->nodes[k];
        i = k;
    }
    queue->nodes[i] = last;
    queue->free = lh_alloc_grow(queue->free, queue->n_free,
                                &queue->allocated_free, sizeof *queue->free);
    queue->free[queue->n_free++] = n;
    slot->p.header = queue->headers + (size_t) n * queue->max_header;
    *sw = slot->sw;
    *tag = slot->tag;
    return &slot->p;
}
