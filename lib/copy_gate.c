/* SPDX-License-Identifier: Apache-2.0 */
/* copy_gate - lets each history through once that comes from several sets. */
#include <config.h>

#include "lib/copy_gate.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "lib/byte_buf.h"
#include "lib/lh_alloc.h"
#include "lib/random64.h"

#define MIN_SLOTS   64
#define SET_OF_GATE UINT32_MAX /* Counts what was let through. */

/* How often a history came from a set. */
struct slot {
    uint64_t low, high; /* Of its hash. */
    uint64_t turn;      /* It is of another time unless this is the gate's. */
    uint32_t set, n;
};

struct copy_gate {
    uint64_t seed;
    uint64_t time_ns;
    uint64_t turn;
    size_t n, n_slots;     /* Two for each history of each set, at most. */
    struct slot *slots;    /* A power of two.  Owned. */
    struct byte_buf bytes; /* Of the history at hand. */
    struct copy_gate_counters counters;
};

struct copy_gate *
copy_gate_create(void)
{
    struct copy_gate *gate = lh_alloc_zero(sizeof *gate);

    /* Nobody outside can make two that look the same. */
    gate->seed = random64_draw();
    gate->turn = 1;
    gate->n_slots = MIN_SLOTS;
    gate->slots = lh_alloc_zero(gate->n_slots * sizeof *gate->slots);
    return gate;
}

void
copy_gate_destroy(struct copy_gate *gate)
{
    if (gate) {
        byte_buf_uninit(&gate->bytes);
        free(gate->slots);
        free(gate);
    }
}

/* --- What a history is ----------------------------------------------------
 */

static void
put_text(struct byte_buf *b, const char *text)
{
    size_t len = text ? strlen(text) + 1 : 0;

    byte_buf_put_uvarint(b, len);
    byte_buf_put(b, text ? text : "", len);
}

static void
put_verdict(struct byte_buf *b, const struct verdict *v)
{
    byte_buf_put_u8(b, (uint8_t) v->name);
    if (v->name != VERDICT_NONE) {
        byte_buf_put_u64(b, v->dpid);
        byte_buf_put_u32(b, v->port);
        byte_buf_put_u8(b, (uint8_t) (v->has_version << 4 | v->evidence));
        byte_buf_put_u32(b, v->has_version ? v->version : 0);
        put_text(b, v->reason);
    }
}

static void
put_numbers(struct byte_buf *b, const uint32_t *numbers, size_t n)
{
    byte_buf_put_uvarint(b, n);
    for (size_t i = 0; i < n; i++) {
        byte_buf_put_u32(b, numbers[i]);
    }
}

static void
put_hop(struct byte_buf *b, const struct history_hop *hop)
{
    byte_buf_put_u32(b, (uint32_t) hop->parent);
    byte_buf_put_u64(b, hop->dpid);
    byte_buf_put_u32(b, hop->in_port);
    byte_buf_put_u8(b,
                    (uint8_t) (hop->is_packet_out | hop->is_deduced << 1 |
                               hop->has_gap_before << 2 | hop->is_after << 3 |
                               hop->has_header_out << 4));
    put_numbers(b, hop->out_ports, hop->n_out);
    put_numbers(b, hop->branches, hop->n_branches);
    put_numbers(b, hop->versions, hop->n_versions);
    byte_buf_put_u64(b, hop->time_ns);
    byte_buf_put_u32(b, hop->caplen);
    if (hop->caplen) {
        byte_buf_put(b, hop->header, hop->caplen);
    }
    if (hop->has_header_out) {
        byte_buf_put_u32(b, hop->header_out_len);
        if (hop->header_out_len) {
            byte_buf_put(b, hop->header_out, hop->header_out_len);
        }
    }
    put_verdict(b, &hop->verdict);
}

static XXH128_hash_t
hash(struct copy_gate *gate, const struct history *h)
{
    struct byte_buf *b = &gate->bytes;

    byte_buf_clear(b);
    byte_buf_put_u8(b, h->has_packet_id);
    byte_buf_put_u64(b, h->has_packet_id ? h->packet_id : 0);
    byte_buf_put_u64(b, h->carries);
    byte_buf_put_u64(b, h->carried_by);
    put_verdict(b, &h->verdict);
    byte_buf_put_uvarint(b, h->n_hops);
    for (size_t i = 0; i < h->n_hops; i++) {
        put_hop(b, &h->hops[i]);
    }
    return XXH3_128bits_withSeed(b->data, b->len, gate->seed);
}

/* --- Counts ---------------------------------------------------------------
 */

/* The slot of that history and set, or the one where it would be. */
static struct slot *
find(const struct copy_gate *gate, struct slot *slots, size_t n_slots,
     const struct slot *key)
{
    size_t i =
        (key->low ^ key->set * UINT64_C(0x9e3779b97f4a7c15)) & (n_slots - 1);

    while (slots[i].turn == gate->turn &&
           (slots[i].low != key->low || slots[i].high != key->high ||
            slots[i].set != key->set)) {
        i = (i + 1) & (n_slots - 1);
    }
    return &slots[i];
}

static void
grow(struct copy_gate *gate)
{
    size_t n_slots = gate->n_slots * 2;
    struct slot *slots = lh_alloc_zero(n_slots * sizeof *slots);

    for (size_t i = 0; i < gate->n_slots; i++) {
        if (gate->slots[i].turn == gate->turn) {
            *find(gate, slots, n_slots, &gate->slots[i]) = gate->slots[i];
        }
    }
    free(gate->slots);
    gate->slots = slots;
    gate->n_slots = n_slots;
}

static struct slot *
need(struct copy_gate *gate, XXH128_hash_t h, uint32_t set)
{
    const struct slot key = {h.low64, h.high64, gate->turn, set, 0};
    struct slot *slot = find(gate, gate->slots, gate->n_slots, &key);

    if (slot->turn != gate->turn) {
        *slot = key;
        gate->n++;
    }
    return slot;
}

/* Forgets the histories of another time. */
static void
begin_time(struct copy_gate *gate, uint64_t time_ns)
{
    gate->time_ns = time_ns;
    gate->turn++;
    gate->n = 0;
}

bool
copy_gate_admits(struct copy_gate *gate, uint64_t time_ns, uint32_t set,
                 const struct history *history)
{
    XXH128_hash_t h = hash(gate, history);
    struct slot *passed;
    uint32_t n;

    if (time_ns != gate->time_ns) {
        begin_time(gate, time_ns);
    }
    if (gate->n + 2 > 2 * (size_t) COPY_GATE_MAX) {
        gate->counters.unsure++;
        return true;
    }
    if ((gate->n + 2) * 2 > gate->n_slots) {
        grow(gate);
    }
    n = ++need(gate, h, set)->n;
    passed = need(gate, h, SET_OF_GATE);
    if (n <= passed->n) {
        gate->counters.doubles++;
        return false;
    }
    passed->n++;
    return true;
}

void
copy_gate_get_counters(const struct copy_gate *gate,
                       struct copy_gate_counters *counters)
{
    *counters = gate->counters;
}
