/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_outbox - implementation. */
#include <config.h>
#include "server/cluster_outbox.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/column_shapes.h"
#include "lib/hdr.h"
#include "lib/history_batch.h"
#include "lib/lh_alloc.h"
#include "server/cluster_codecs.h"

/* Fixed for all servers and versions. */
#define STORE_SEED UINT64_C(0x73746f7265)
#define NO_STORE   UINT32_MAX

/* A history, or a packet: its times, then its header stand in 'bytes'. */
struct item {
    struct history *history; /* Owned, or NULL: */
    uint32_t store;
    uint32_t shape;     /* of a packet, */
    uint64_t packet_id; /* too. */
    uint32_t at;        /* In 'bytes', in units of 8. */
    uint32_t left_out;
    uint16_t caplen, n_hops;
    bool has_own_id;
};

struct cluster_outbox {
    uint32_t n_stores;
    struct cluster_codecs *codecs;       /* Owned reference. */
    struct history_batch_writer *writer; /* Of these. */
    struct column_shapes *shapes;        /* Of packets.  Owned reference. */
    struct item *items;                  /* Owned. */
    size_t n, allocated;
    uint32_t *order; /* Of items, by store.  Owned. */
    size_t allocated_order;
    struct byte_buf bytes; /* Of packets. */
    size_t size;
};

/* --- Where to. ------------------------------------------------------------
 */

/* Chooses by what a packet has; NO_STORE: it has no addresses. */
static uint32_t
store_of_header(const uint8_t *header, size_t len, uint32_t n_stores)
{
    uint8_t tuple[2 * 16 + 5] = {0};
    struct hdr h;
    size_t n;

    hdr_parse(header, len, &h);
    if (h.is_ip4) {
        memcpy(tuple, header + h.l3_ofs + 12, n = 8);
    } else if (h.is_ip6) {
        memcpy(tuple, header + h.l3_ofs + 8, n = 32);
    } else {
        return NO_STORE;
    }
    tuple[n++] = h.ip_proto;
    if (h.l4_ofs && (h.ip_proto == HDR_IP_TCP || h.ip_proto == HDR_IP_UDP ||
                     h.ip_proto == HDR_IP_SCTP)) {
        bytes_put_be16(tuple + n, h.src_port);
        bytes_put_be16(tuple + n + 2, h.dst_port);
        n += 4;
    }
    return (uint32_t) ((XXH3_64bits_withSeed(tuple, n, STORE_SEED) >> 32) *
                           n_stores >>
                       32);
}

static uint32_t
store_of_id(uint64_t packet_id, uint32_t n_stores)
{
    uint64_t hash =
        XXH3_64bits_withSeed(&packet_id, sizeof packet_id, STORE_SEED);

    return (uint32_t) ((hash >> 32) * n_stores >> 32);
}

uint32_t
cluster_outbox_store(const struct history *h, uint32_t n_stores)
{
    uint32_t store = NO_STORE;

    if (h->n_hops) {
        store =
            store_of_header(h->hops[0].header, h->hops[0].caplen, n_stores);
    }
    return store != NO_STORE ? store : store_of_id(h->packet_id, n_stores);
}

/* All packets of a trajectory have the same addresses at its first hop, which
 * mostly are those of the reference. */
static uint32_t
store_of_flow(const struct cluster_outbox *box, struct trajectory *t,
              const struct trajectory_packet *packet)
{
    const struct history_hop *hop;

    if (trajectory_path_keeps_tuple(trajectory_path(t), 0)) {
        return store_of_header(packet->header, packet->caplen, box->n_stores);
    }
    hop = &trajectory_model(t)->hops[0];
    return store_of_header(hop->header, hop->caplen, box->n_stores);
}

static uint32_t
store_of_packet(const struct cluster_outbox *box, struct trajectory *t,
                const struct trajectory_packet *packet)
{
    struct trajectory_mark *mark = trajectory_filter_mark(t);
    uint64_t owner = STORE_SEED + box->n_stores;

    if (mark->owner != owner) {
        mark->owner = owner;
        mark->index = store_of_flow(box, t, packet);
    }
    return mark->index != NO_STORE
               ? mark->index
               : store_of_id(packet->packet_id, box->n_stores);
}

/* --- In. -----------------------------------------------------------------
 */

/* While nothing waits: the shapes that all of the server have now. */
static void
take_shapes(struct cluster_outbox *box)
{
    struct column_shapes **shapes = cluster_codecs_shapes(box->codecs);

    column_shapes_renew(shapes);
    column_shapes_unref(box->shapes);
    box->shapes = column_shapes_ref(*shapes);
}

struct cluster_outbox *
cluster_outbox_create(struct cluster_codecs *codecs, uint32_t n_stores)
{
    struct cluster_outbox *box = lh_alloc_zero(sizeof *box);

    box->n_stores = n_stores;
    box->codecs = cluster_codecs_take(codecs, NULL);
    box->writer = cluster_codecs_history_writer(box->codecs);
    take_shapes(box);
    return box;
}

static void
clear(struct cluster_outbox *box)
{
    for (size_t i = 0; i < box->n; i++) {
        history_destroy(box->items[i].history);
    }
    box->n = 0;
    box->size = 0;
    byte_buf_clear(&box->bytes);
}

void
cluster_outbox_destroy(struct cluster_outbox *box)
{
    if (box) {
        clear(box);
        column_shapes_unref(box->shapes);
        cluster_codecs_unref(box->codecs);
        byte_buf_uninit(&box->bytes);
        free(box->items);
        free(box->order);
        free(box);
    }
}

static struct item *
add_item(struct cluster_outbox *box)
{
    struct item *item;

    box->items =
        lh_alloc_grow(box->items, box->n, &box->allocated, sizeof *box->items);
    item = &box->items[box->n++];
    *item = (struct item){.store = 0};
    return item;
}

void
cluster_outbox_add(struct cluster_outbox *box, struct history *h)
{
    struct item *item = add_item(box);

    item->store = cluster_outbox_store(h, box->n_stores);
    item->history = h;
    for (size_t i = 0; i < h->n_hops; i++) {
        box->size += sizeof(uint64_t) + h->hops[i].caplen;
    }
}

void
cluster_outbox_add_packet(struct cluster_outbox *box, struct trajectory *t,
                          const struct trajectory_packet *packet)
{
    uint32_t shape = column_shapes_find(box->shapes, t, packet);
    size_t n_hops = trajectory_n_hops(t);
    size_t n_times = n_hops * sizeof *packet->times_ns;
    size_t n_header = (packet->caplen + (size_t) 7) & ~(size_t) 7;
    struct item *item;
    uint8_t *p;

    if (shape == COLUMN_NO_SHAPE) {
        cluster_outbox_add(box, trajectory_history(t, packet));
        return;
    }
    item = add_item(box);
    item->store = store_of_packet(box, t, packet);
    item->shape = shape;
    item->at = (uint32_t) (box->bytes.len / 8);
    item->packet_id = packet->packet_id;
    item->left_out = packet->left_out;
    item->caplen = packet->caplen;
    item->n_hops = (uint16_t) n_hops;
    item->has_own_id = packet->has_own_id;
    p = byte_buf_extend(&box->bytes, n_times + n_header);
    memcpy(p, packet->times_ns, n_times);
    memcpy(p + n_times, packet->header, packet->caplen);
    box->size += n_times + packet->caplen;
}

size_t
cluster_outbox_n(const struct cluster_outbox *box)
{
    return box->n;
}

size_t
cluster_outbox_size(const struct cluster_outbox *box)
{
    return box->size;
}

/* --- Out. ----------------------------------------------------------------
 */

static int
add_to_batch(struct cluster_outbox *box, const struct item *item)
{
    const uint8_t *p = box->bytes.data + (size_t) item->at * 8;
    struct trajectory_packet packet;

    if (item->history) {
        return history_batch_writer_add(box->writer, item->history);
    }
    packet = (struct trajectory_packet){
        .packet_id = item->packet_id,
        .times_ns = (const uint64_t *) (const void *) p,
        .header = p + item->n_hops * sizeof(uint64_t),
        .caplen = item->caplen,
        .left_out = item->left_out,
        .has_own_id = item->has_own_id,
    };
    return history_batch_writer_add_row(box->writer, item->shape, &packet);
}

/* Where messages of one store go. */
struct packing {
    struct cluster_outbox *box;
    uint32_t store, part;
    size_t n_before;
    cluster_outbox_fn *give;
    void *aux;
};

/* Gives what the writer has.  False: it is too long. */
static bool
give_batch(struct packing *p)
{
    struct byte_buf bytes = BYTE_BUF_INIT;
    bool is_good;

    byte_buf_extend(&bytes, p->n_before);
    is_good = !history_batch_writer_finish(p->box->writer, &bytes, NULL);
    if (is_good) {
        p->give(p->aux, p->store, p->part++, &bytes);
    }
    byte_buf_uninit(&bytes);
    return is_good;
}

/* The same: it has those of the 'n' items whose numbers stand at 'order' that
 * are not too large.  Where shapes are many and long all are too long together
 * now and then, and go in halves.  Returns how many were dropped. */
static size_t
give_items(struct packing *p, const uint32_t *order, size_t n)
{
    size_t n_dropped = 0, n_batch = history_batch_writer_n(p->box->writer);

    if (!n_batch || give_batch(p)) {
        return 0;
    }
    if (n_batch == 1) {
        return 1;
    }
    for (size_t start = 0, end = n / 2; start < n; start = end, end = n) {
        for (size_t i = start; i < end; i++) {
            n_dropped +=
                add_to_batch(p->box, &p->box->items[order[i]]) == ENOBUFS;
        }
        n_dropped += give_items(p, order + start, end - start);
    }
    return n_dropped;
}

/* Asks for what is packed a little later. */
static void
prefetch(const struct cluster_outbox *box, const uint32_t *order, size_t n)
{
    if (n > 16) {
        __builtin_prefetch(&box->items[order[16]]);
    }
    if (n > 8) {
        const struct item *item = &box->items[order[8]];
        const uint8_t *p = box->bytes.data + (size_t) item->at * 8;

        __builtin_prefetch(p);
        __builtin_prefetch(p + 64);
        __builtin_prefetch(p + 128);
        column_shapes_prefetch_form(box->shapes, item->shape);
    }
}

/* Packs the items of one store, the 'n' whose numbers stand at 'order'. */
static size_t
pack_store(struct packing *p, const uint32_t *order, size_t n)
{
    struct cluster_outbox *box = p->box;
    size_t n_dropped = 0, start = 0;

    for (size_t i = 0; i < n; i++) {
        prefetch(box, order + i, n - i);

        int retval = add_to_batch(box, &box->items[order[i]]);

        if (retval == ENOBUFS) {
            n_dropped += give_items(p, order + start, i - start);
            start = i;
            retval = add_to_batch(box, &box->items[order[i]]);
        }
        n_dropped += retval != 0;
    }
    return n_dropped + give_items(p, order + start, n - start);
}

/* Sets 'order' to the numbers of all items, by store. */
static void
sort_items(struct cluster_outbox *box)
{
    size_t *at = lh_alloc_zero((box->n_stores + 1) * sizeof *at);

    if (box->allocated_order < box->n) {
        box->order = lh_alloc_array(box->order, box->n, sizeof *box->order);
        box->allocated_order = box->n;
    }
    for (size_t i = 0; i < box->n; i++) {
        at[box->items[i].store + 1]++;
    }
    for (uint32_t store = 0; store < box->n_stores; store++) {
        at[store + 1] += at[store];
    }
    for (size_t i = 0; i < box->n; i++) {
        box->order[at[box->items[i].store]++] = (uint32_t) i;
    }
    free(at);
}

size_t
cluster_outbox_pack(struct cluster_outbox *box, size_t n_before,
                    cluster_outbox_fn *give, void *aux)
{
    size_t n_dropped = 0, start = 0;

    sort_items(box);
    history_batch_writer_use_shapes(box->writer, box->shapes);
    while (start < box->n) {
        struct packing p = {.box = box,
                            .store = box->items[box->order[start]].store,
                            .n_before = n_before,
                            .give = give,
                            .aux = aux};
        size_t end = start;

        while (end < box->n && box->items[box->order[end]].store == p.store) {
            end++;
        }
        n_dropped += pack_store(&p, box->order + start, end - start);
        start = end;
    }
    clear(box);
    take_shapes(box);
    return n_dropped;
}
