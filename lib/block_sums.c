/* SPDX-License-Identifier: Apache-2.0 */
/* block_sums - how many packets and bytes went which way. */
#include <config.h>

#include "lib/block_sums.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/history_codec.h"
#include "lib/hop_traffic.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"

/* Hops of all ways together; a reader trusts no more. */
#define MAX_HOPS (1u << 22)

/* A hop of a way is so many words, then one for each port that the packet went
 * out by. */
enum {
    HOP_DPID_HIGH,
    HOP_DPID_LOW,
    HOP_PARENT, /* 1 + its index; 0: none. */
    HOP_IN_PORT,
    HOP_IS_PACKET_OUT,
    HOP_N_OUT,
    HOP_WORDS
};

/* Bits of a hop as it is stored; what is above them is the number of ports. */
#define BIT_NEXT       1u /* Its parent is the hop before. */
#define BIT_PACKET_OUT 2u
#define N_OUT_SHIFT    2

struct way {
    uint64_t hash, packets;
    size_t words, n_words; /* Of the table. */
    size_t bytes;          /* The first of the table's. */
    uint32_t n_hops;
};

struct block_sums {
    size_t n, allocated;
    struct way *ways; /* Owned. */
    size_t n_slots;   /* A power of two, or 0. */
    uint32_t *slots;  /* 1 + index.  Owned. */
    size_t n_words, allocated_words;
    uint32_t *words; /* Owned.  Those of the way at hand are at the end. */
    size_t n_bytes, allocated_bytes;
    uint64_t *bytes; /* Owned. */
    uint64_t packets;
    struct hop_ports ports; /* Scratch. */
};

struct block_sums *
block_sums_create(void)
{
    return lh_alloc_zero(sizeof(struct block_sums));
}

void
block_sums_destroy(struct block_sums *s)
{
    if (s) {
        free(s->ways);
        free(s->slots);
        free(s->words);
        free(s->bytes);
        free(s->ports.ports);
        free(s);
    }
}

void
block_sums_reset(struct block_sums *s)
{
    if (s->n) {
        memset(s->slots, 0, s->n_slots * sizeof *s->slots);
    }
    s->n = 0;
    s->n_words = 0;
    s->n_bytes = 0;
    s->packets = 0;
}

size_t
block_sums_size(const struct block_sums *s)
{
    return sizeof *s + s->allocated * sizeof *s->ways +
           s->n_slots * sizeof *s->slots +
           s->allocated_words * sizeof *s->words +
           s->allocated_bytes * sizeof *s->bytes;
}

uint64_t
block_sums_n_packets(const struct block_sums *s)
{
    return s->packets;
}

/* --- Ways --------------------------------------------------------------- */

/* Room for so many words more, behind 'at'. */
static uint32_t *
words_at(struct block_sums *s, size_t at, size_t n)
{
    while (!s->words || at + n > s->allocated_words) {
        s->allocated_words = s->allocated_words * 2 + 1024;
        s->words =
            lh_alloc_array(s->words, s->allocated_words, sizeof *s->words);
    }
    return s->words + at;
}

static uint64_t
dpid_of(const uint32_t *hop)
{
    return (uint64_t) hop[HOP_DPID_HIGH] << 32 | hop[HOP_DPID_LOW];
}

/* Puts the way of 'h' behind all others and returns how many words it has. */
static size_t
put_way(struct block_sums *s, const struct history *h)
{
    size_t at = s->n_words;

    for (size_t i = 0; i < h->n_hops; i++) {
        const struct history_hop *hop = &h->hops[i];
        uint32_t *words;

        hop_traffic_ports(hop, &s->ports);
        words = words_at(s, at, HOP_WORDS + s->ports.n);
        words[HOP_DPID_HIGH] = (uint32_t) (hop->dpid >> 32);
        words[HOP_DPID_LOW] = (uint32_t) hop->dpid;
        words[HOP_PARENT] = (uint32_t) (hop->parent + 1);
        words[HOP_IN_PORT] = hop->in_port;
        words[HOP_IS_PACKET_OUT] = hop->is_packet_out;
        words[HOP_N_OUT] = (uint32_t) s->ports.n;
        if (s->ports.n) {
            memcpy(words + HOP_WORDS, s->ports.ports,
                   s->ports.n * sizeof *words);
        }
        at += HOP_WORDS + s->ports.n;
    }
    return at - s->n_words;
}

/* Where the way is, or is to be put. */
static uint32_t *
find_slot(const struct block_sums *s, uint64_t hash, const uint32_t *words,
          size_t n_words)
{
    size_t i = (size_t) hash & (s->n_slots - 1);

    for (; s->slots[i]; i = (i + 1) & (s->n_slots - 1)) {
        const struct way *way = &s->ways[s->slots[i] - 1];

        if (way->hash == hash && way->n_words == n_words &&
            !(n_words &&
              memcmp(s->words + way->words, words, n_words * sizeof *words))) {
            break;
        }
    }
    return &s->slots[i];
}

static void
grow_slots(struct block_sums *s)
{
    s->n_slots = s->n_slots ? s->n_slots * 2 : 256;
    free(s->slots);
    s->slots = lh_alloc_zero(s->n_slots * sizeof *s->slots);
    for (size_t i = 0; i < s->n; i++) {
        size_t slot = (size_t) s->ways[i].hash & (s->n_slots - 1);

        while (s->slots[slot]) {
            slot = (slot + 1) & (s->n_slots - 1);
        }
        s->slots[slot] = (uint32_t) i + 1;
    }
}

/* The way of 'n_hops' whose words stand behind all others: that which is there
 * already, or it becomes one. */
static struct way *
find_way(struct block_sums *s, size_t n_words, size_t n_hops)
{
    const uint32_t *words = words_at(s, s->n_words, n_words);
    uint64_t hash = XXH3_64bits(words, n_words * sizeof *words);
    uint32_t *slot;

    if (2 * (s->n + 1) > s->n_slots) {
        grow_slots(s);
    }
    slot = find_slot(s, hash, words, n_words);
    if (!*slot) {
        s->ways = lh_alloc_grow(s->ways, s->n, &s->allocated, sizeof *s->ways);
        s->ways[s->n] = (struct way){.hash = hash,
                                     .words = s->n_words,
                                     .n_words = n_words,
                                     .bytes = s->n_bytes,
                                     .n_hops = (uint32_t) n_hops};
        s->n_words += n_words;
        while (!s->bytes || s->n_bytes + 2 * n_hops > s->allocated_bytes) {
            s->allocated_bytes = s->allocated_bytes * 2 + 512;
            s->bytes =
                lh_alloc_array(s->bytes, s->allocated_bytes, sizeof *s->bytes);
        }
        memset(s->bytes + s->n_bytes, 0, 2 * n_hops * sizeof *s->bytes);
        s->n_bytes += 2 * n_hops;
        *slot = (uint32_t) ++s->n;
    }
    return &s->ways[*slot - 1];
}

void
block_sums_add_history(struct block_sums *s, const struct history *h)
{
    struct way *way = find_way(s, put_way(s, h), h->n_hops);
    uint64_t *bytes = s->bytes + way->bytes;

    for (size_t i = 0; i < h->n_hops; i++) {
        bytes[2 * i] += hop_traffic_bytes(h, i, true);
        bytes[2 * i + 1] += hop_traffic_bytes(h, i, false);
    }
    way->packets++;
    s->packets++;
}

void
block_sums_add_shape(struct block_sums *s, const struct history *h,
                     const struct flow_key_at *keys, uint64_t packets,
                     uint64_t bytes)
{
    struct way *way = find_way(s, put_way(s, h), h->n_hops);
    uint64_t *sums = s->bytes + way->bytes;

    for (size_t i = 0; i < h->n_hops; i++) {
        uint32_t in = keys[i].l3_ofs;
        uint32_t out = keys[i].out_l3_ofs ? keys[i].out_l3_ofs : in;

        sums[2 * i] += bytes + packets * in;
        sums[2 * i + 1] += bytes + packets * out;
    }
    way->packets += packets;
    s->packets += packets;
}

void
block_sums_merge(struct block_sums *s, const struct block_sums *from)
{
    for (size_t i = 0; i < from->n; i++) {
        const struct way *add = &from->ways[i];
        struct way *way;

        if (add->n_words) {
            memcpy(words_at(s, s->n_words, add->n_words),
                   from->words + add->words, add->n_words * sizeof *s->words);
        }
        way = find_way(s, add->n_words, add->n_hops);
        for (size_t k = 0; k < 2 * (size_t) add->n_hops; k++) {
            s->bytes[way->bytes + k] += from->bytes[add->bytes + k];
        }
        way->packets += add->packets;
    }
    s->packets += from->packets;
}

bool
block_sums_equal(const struct block_sums *a, const struct block_sums *b)
{
    bool is_equal = a->n == b->n;

    for (size_t i = 0; i < a->n && is_equal; i++) {
        const struct way *way = &a->ways[i], *other;
        uint32_t *slot =
            find_slot(b, way->hash, a->words + way->words, way->n_words);

        other = *slot ? &b->ways[*slot - 1] : NULL;
        is_equal = other && other->packets == way->packets &&
                   !(way->n_hops &&
                     memcmp(a->bytes + way->bytes, b->bytes + other->bytes,
                            2 * way->n_hops * sizeof *a->bytes));
    }
    return is_equal;
}

void
block_sums_visit(const struct block_sums *s, block_sums_visit_function *visit,
                 void *aux)
{
    /* Ports are told as branches, which may be any. */
    uint32_t flood = OF_PORT_FLOOD;
    size_t allocated = 0;
    struct history_hop *hops = NULL;

    for (size_t i = 0; i < s->n; i++) {
        const struct way *way = &s->ways[i];
        uint32_t *words = s->words + way->words;
        struct history h = {.n_hops = way->n_hops};

        if (way->n_hops > allocated) {
            allocated = way->n_hops;
            hops = lh_alloc_array(hops, allocated, sizeof *hops);
        }
        for (size_t k = 0; k < way->n_hops; k++) {
            hops[k] = (struct history_hop){
                .parent = (int) words[HOP_PARENT] - 1,
                .dpid = dpid_of(words),
                .in_port = words[HOP_IN_PORT],
                .is_packet_out = words[HOP_IS_PACKET_OUT],
                .n_out = words[HOP_N_OUT] != 0,
                .out_ports = &flood,
                .n_branches = words[HOP_N_OUT],
                .branches = words + HOP_WORDS,
            };
            words += HOP_WORDS + words[HOP_N_OUT];
        }
        h.hops = hops;
        visit(aux, &h, way->packets, s->bytes + way->bytes);
    }
    free(hops);
}

/* --- As bytes ----------------------------------------------------------- */

/* Switches, in the order in which they are met. */
struct switches {
    size_t n, allocated;
    uint64_t *dpids; /* Owned. */
    size_t n_slots;
    uint32_t *slots; /* 1 + index.  Owned. */
};

static uint32_t
number_switch(struct switches *all, uint64_t dpid)
{
    size_t i;

    if (2 * (all->n + 1) > all->n_slots) {
        all->n_slots = all->n_slots ? all->n_slots * 2 : 64;
        free(all->slots);
        all->slots = lh_alloc_zero(all->n_slots * sizeof *all->slots);
        for (size_t k = 0; k < all->n; k++) {
            i = (size_t) XXH3_64bits(&all->dpids[k], sizeof dpid);
            while (all->slots[i & (all->n_slots - 1)]) {
                i++;
            }
            all->slots[i & (all->n_slots - 1)] = (uint32_t) k + 1;
        }
    }
    for (i = (size_t) XXH3_64bits(&dpid, sizeof dpid);
         all->slots[i & (all->n_slots - 1)]; i++) {
        uint32_t number = all->slots[i & (all->n_slots - 1)] - 1;

        if (all->dpids[number] == dpid) {
            return number;
        }
    }
    all->dpids =
        lh_alloc_grow(all->dpids, all->n, &all->allocated, sizeof *all->dpids);
    all->dpids[all->n++] = dpid;
    all->slots[i & (all->n_slots - 1)] = (uint32_t) all->n;
    return (uint32_t) all->n - 1;
}

static void
put_hop(const uint32_t *words, size_t i, uint32_t number, struct byte_buf *out)
{
    bool is_next = words[HOP_PARENT] == i;

    byte_buf_put_uvarint(out,
                         (uint64_t) words[HOP_N_OUT] << N_OUT_SHIFT |
                             (words[HOP_IS_PACKET_OUT] ? BIT_PACKET_OUT : 0) |
                             (is_next ? BIT_NEXT : 0));
    if (!is_next) {
        byte_buf_put_uvarint(out, words[HOP_PARENT]);
    }
    byte_buf_put_uvarint(out, number);
    byte_buf_put_uvarint(out, words[HOP_IN_PORT]);
    for (size_t k = 0; k < words[HOP_N_OUT]; k++) {
        byte_buf_put_uvarint(out, words[HOP_WORDS + k]);
    }
}

void
block_sums_put(const struct block_sums *s, struct byte_buf *out)
{
    struct byte_buf ways = BYTE_BUF_INIT;
    struct switches all = {.n = 0};

    for (size_t i = 0; i < s->n; i++) {
        const struct way *way = &s->ways[i];
        const uint32_t *words = s->words + way->words;
        const uint64_t *bytes = s->bytes + way->bytes;

        byte_buf_put_uvarint(&ways, way->n_hops);
        byte_buf_put_uvarint(&ways, way->packets);
        for (size_t k = 0; k < way->n_hops; k++) {
            uint32_t parent = words[HOP_PARENT];
            uint64_t before = parent ? bytes[2 * (parent - 1) + 1] : 0;

            put_hop(words, k, number_switch(&all, dpid_of(words)), &ways);
            byte_buf_put_svarint(&ways, (int64_t) (bytes[2 * k] - before));
            byte_buf_put_svarint(&ways,
                                 (int64_t) (bytes[2 * k + 1] - bytes[2 * k]));
            words += HOP_WORDS + words[HOP_N_OUT];
        }
    }
    byte_buf_put_uvarint(out, all.n);
    for (size_t i = 0; i < all.n; i++) {
        byte_buf_put_u64(out, all.dpids[i]);
    }
    byte_buf_put(out, ways.data, ways.len);
    byte_buf_uninit(&ways);
    free(all.dpids);
    free(all.slots);
}

/* Puts the words of hop 'i' at 'at' and returns how many these are; 0 when
 * they are broken. */
static size_t
read_hop(struct block_sums *s, struct bytes_reader *r, const uint8_t *dpids,
         uint64_t n_dpids, size_t at, size_t i)
{
    uint64_t bits = byte_buf_get_uvarint(r);
    uint64_t n_out = bits >> N_OUT_SHIFT;
    uint64_t parent = bits & BIT_NEXT ? i : byte_buf_get_uvarint(r);
    uint64_t number = byte_buf_get_uvarint(r);
    uint64_t in_port = byte_buf_get_uvarint(r);
    uint32_t *words;

    if (r->failed || parent > i || number >= n_dpids ||
        in_port > OF_PORT_UNKNOWN || n_out > bytes_left(r)) {
        return 0;
    }
    words = words_at(s, at, HOP_WORDS + (size_t) n_out);
    words[HOP_DPID_HIGH] = bytes_be32(dpids + 8 * number);
    words[HOP_DPID_LOW] = bytes_be32(dpids + 8 * number + 4);
    words[HOP_PARENT] = (uint32_t) parent;
    words[HOP_IN_PORT] = (uint32_t) in_port;
    words[HOP_IS_PACKET_OUT] = bits & BIT_PACKET_OUT ? 1 : 0;
    words[HOP_N_OUT] = (uint32_t) n_out;
    for (size_t k = 0; k < n_out; k++) {
        uint64_t port = byte_buf_get_uvarint(r);

        if (port > OF_PORT_UNKNOWN) {
            return 0;
        }
        words[HOP_WORDS + k] = (uint32_t) port;
    }
    return r->failed ? 0 : HOP_WORDS + (size_t) n_out;
}

/* Reads a way; false when it is broken. */
static bool
read_way(struct block_sums *s, struct bytes_reader *r, const uint8_t *dpids,
         uint64_t n_dpids, struct byte_buf *deltas)
{
    uint64_t n_hops = byte_buf_get_uvarint(r);
    uint64_t packets = byte_buf_get_uvarint(r);
    size_t at = s->n_words;
    struct way *way;
    uint64_t *bytes, *sums;

    if (r->failed || n_hops > HISTORY_CODEC_MAX_HOPS ||
        s->n_bytes / 2 + n_hops > MAX_HOPS) {
        return false;
    }
    byte_buf_clear(deltas);
    byte_buf_extend(deltas, 2 * n_hops * sizeof *bytes);
    bytes = (uint64_t *) (void *) deltas->data;
    for (size_t i = 0; i < n_hops; i++) {
        size_t n = read_hop(s, r, dpids, n_dpids, at, i);
        uint32_t parent = n ? s->words[at + HOP_PARENT] : 0;
        uint64_t before = parent ? bytes[2 * (parent - 1) + 1] : 0;

        bytes[2 * i] = before + (uint64_t) byte_buf_get_svarint(r);
        bytes[2 * i + 1] = bytes[2 * i] + (uint64_t) byte_buf_get_svarint(r);
        if (!n || r->failed) {
            return false;
        }
        at += n;
    }
    way = find_way(s, at - s->n_words, n_hops);
    sums = s->bytes + way->bytes;
    for (size_t i = 0; i < 2 * n_hops; i++) {
        sums[i] += bytes[i];
    }
    way->packets += packets;
    s->packets += packets;
    return true;
}

int
block_sums_read(struct block_sums *s, const uint8_t *data, size_t len,
                struct lh_error *error)
{
    struct bytes_reader r = bytes_reader(data, len);
    struct byte_buf deltas = BYTE_BUF_INIT;
    uint64_t n_dpids = byte_buf_get_uvarint(&r);
    const uint8_t *dpids = NULL;

    if (n_dpids <= bytes_left(&r) / 8) {
        dpids = bytes_get(&r, (size_t) n_dpids * 8);
    } else {
        r.failed = true;
    }
    while (!r.failed && bytes_left(&r)) {
        if (!read_way(s, &r, dpids, n_dpids, &deltas)) {
            r.failed = true;
        }
    }
    byte_buf_uninit(&deltas);
    if (r.failed) {
        lh_error_set(error, "the sums of a block are broken");
        return EBADMSG;
    }
    return 0;
}
