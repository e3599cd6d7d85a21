/* SPDX-License-Identifier: Apache-2.0 */
/* block_index_maker - which switches, ports, rules, addresses and flows a
 * block of columns may have: making the set. */
#include <config.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/block_index.h"
#include "lib/block_index_impl.h"
#include "lib/bytes.h"
#include "lib/hdr.h"
#include "lib/huge_alloc.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "lib/trajectory_shape.h"

#define ETH_LEN      14
#define MIN_ETH_TYPE 0x600 /* Below it is a length (IEEE 802.3). */
#define IP4_ADDRS    12
#define ARP_LEN      28
#define ARP_SENDER   14
#define ARP_TARGET   24

struct shape {
    uint8_t kind;
    uint16_t l3_ofs;        /* Of the reference. */
    uint32_t first, n_keys; /* Of keys_at: of hops that show other keys than
                             * the reference. */
};

struct items {
    size_t n, allocated;
    uint64_t *all; /* Owned. */
};

struct block_index_maker {
    struct block_index head; /* Its lines are not there. */
    struct items classes[N_BLOCK_INDEX_CLASSES];
    /* All of them, to have each once. */
    size_t n_items, n_slots; /* n_slots is a power of two. */
    uint64_t *slots;         /* 0: free.  Owned. */

    struct trajectory_skim *skim;
    size_t n_shapes, allocated_shapes;
    struct shape *shapes; /* Owned. */
    size_t n_keys, allocated_keys;
    struct flow_key_at *keys_at; /* Owned. */
};

#define MIN_SLOTS 4096
/* Slots that are kept for the next block. */
#define MAX_KEPT_SLOTS ((size_t) 1 << 18)

static uint64_t *
create_slots(size_t n)
{
    uint64_t *slots = huge_alloc_full(n * sizeof *slots);

    if (!slots) {
        abort();
    }
    return slots;
}

static void
destroy_slots(uint64_t *slots, size_t n)
{
    huge_free(slots, n * sizeof *slots);
}

struct block_index_maker *
block_index_maker_create(void)
{
    struct block_index_maker *m = lh_alloc_zero(sizeof *m);

    m->n_slots = MIN_SLOTS;
    m->slots = create_slots(m->n_slots);
    m->skim = trajectory_skim_create();
    return m;
}

void
block_index_maker_reset(struct block_index_maker *m)
{
    if (m->n_slots > MAX_KEPT_SLOTS) {
        destroy_slots(m->slots, m->n_slots);
        m->n_slots = MIN_SLOTS;
        m->slots = create_slots(m->n_slots);
    } else if (m->n_items) {
        memset(m->slots, 0, m->n_slots * sizeof *m->slots);
    }
    m->n_items = 0;
    for (int i = 0; i < N_BLOCK_INDEX_CLASSES; i++) {
        m->classes[i].n = 0;
    }
    memset(&m->head, 0, sizeof m->head);
    block_index_maker_begin_shapes(m);
}

void
block_index_maker_destroy(struct block_index_maker *m)
{
    if (m) {
        for (int i = 0; i < N_BLOCK_INDEX_CLASSES; i++) {
            free(m->classes[i].all);
        }
        destroy_slots(m->slots, m->n_slots);
        trajectory_skim_destroy(m->skim);
        free(m->shapes);
        free(m->keys_at);
        free(m);
    }
}

/* --- Items --------------------------------------------------------------- */

static uint64_t *
find_slot(const struct block_index_maker *m, uint64_t item)
{
    size_t i = (size_t) item & (m->n_slots - 1);

    while (m->slots[i] && m->slots[i] != item) {
        i = (i + 1) & (m->n_slots - 1);
    }
    return &m->slots[i];
}

static void
grow_slots(struct block_index_maker *m)
{
    uint64_t *old = m->slots;
    size_t n_old = m->n_slots;

    m->n_slots *= 2;
    m->slots = create_slots(m->n_slots);
    for (size_t i = 0; i < n_old; i++) {
        if (old[i]) {
            *find_slot(m, old[i]) = old[i];
        }
    }
    destroy_slots(old, n_old);
}

static void
add_item(struct block_index_maker *m, enum block_index_class class,
         uint64_t item)
{
    struct items *items = &m->classes[class];
    uint64_t *slot = find_slot(m, item);

    if (*slot) {
        return;
    }
    *slot = item;
    items->all = lh_alloc_grow(items->all, items->n, &items->allocated,
                               sizeof *items->all);
    items->all[items->n++] = item;
    if (2 * ++m->n_items > m->n_slots) {
        grow_slots(m);
    }
}

static void
add_hop_item(struct block_index_maker *m, enum block_index_hop what,
             uint64_t dpid, uint32_t value)
{
    add_item(m, BLOCK_INDEX_HOPS, block_index_hop_item(what, dpid, value));
}

static void
add_out_port(struct block_index_maker *m, uint64_t dpid, uint32_t port)
{
    add_hop_item(m, BLOCK_INDEX_OUT_PORT, 0, port);
    add_hop_item(m, BLOCK_INDEX_OUT_PORT_AT, dpid, port);
}

/* All of a hop but its headers. */
static void
add_hop(struct block_index_maker *m, const struct history_hop *hop)
{
    add_hop_item(m, BLOCK_INDEX_DPID, hop->dpid, 0);
    add_hop_item(m, BLOCK_INDEX_IN_PORT, 0, hop->in_port);
    add_hop_item(m, BLOCK_INDEX_IN_PORT_AT, hop->dpid, hop->in_port);
    for (size_t i = 0; i < hop->n_out; i++) {
        add_out_port(m, hop->dpid, hop->out_ports[i]);
    }
    for (size_t i = 0; i < hop->n_branches; i++) {
        add_out_port(m, hop->dpid, hop->branches[i]);
    }
    if (!hop->n_out) {
        add_out_port(m, hop->dpid, OF_PORT_NONE);
    }
    for (size_t i = 0; i < hop->n_versions; i++) {
        uint32_t version = hop->versions[i];

        add_item(m, BLOCK_INDEX_VERSIONS,
                 block_index_hop_item(BLOCK_INDEX_VERSION, 0, version));
        add_item(
            m, BLOCK_INDEX_VERSIONS,
            block_index_hop_item(BLOCK_INDEX_VERSION_AT, hop->dpid, version));
    }
    add_hop_item(m, BLOCK_INDEX_VERDICT, 0, hop->verdict.name);
}

static void
add_hops(struct block_index_maker *m, const struct history *h)
{
    add_hop_item(m, BLOCK_INDEX_VERDICT, 0, h->verdict.name);
    for (size_t i = 0; i < h->n_hops; i++) {
        add_hop(m, &h->hops[i]);
    }
}

static void
add_form(struct block_index_maker *m, enum header_kind kind, uint16_t l3_ofs)
{
    struct block_index *head = &m->head;

    for (size_t i = 0; i < head->n_forms; i++) {
        if (head->forms[i].kind == kind && head->forms[i].l3_ofs == l3_ofs) {
            return;
        }
    }
    if (head->n_forms == BLOCK_INDEX_MAX_FORMS) {
        if (kind < N_HEADER_KINDS) {
            head->has_any = true;
        } else {
            head->has_others = true;
        }
    } else {
        head->forms[head->n_forms++] =
            (struct block_index_form){(uint8_t) kind, l3_ofs};
    }
}

static void
add_key(struct block_index_maker *m, enum header_kind kind,
        const struct flow_key *key)
{
    uint64_t items[N_BLOCK_INDEX_PARTS];
    enum block_index_part parts[N_BLOCK_INDEX_PARTS];
    size_t n = 0;

    /* All slots are asked for before the first is looked at. */
    for (unsigned int i = 0; i < N_BLOCK_INDEX_PARTS; i++) {
        enum block_index_part part =
            (enum block_index_part)(BLOCK_INDEX_FIRST_PART + i);

        if (block_index_span(part, kind).len) {
            items[n] = block_index_key_item(part, kind, key);
            __builtin_prefetch(&m->slots[items[n] & (m->n_slots - 1)]);
            parts[n++] = part;
        }
    }
    for (size_t i = 0; i < n; i++) {
        add_item(m, block_index_class_of(parts[i]), items[i]);
    }
}

/* The key of a header of that kind, which has its addresses and ports. */
static struct flow_key
key_of(enum header_kind kind, uint16_t l3_ofs, const uint8_t *header)
{
    struct flow_bytes bytes;
    struct flow_key key;

    flow_bytes_init(&bytes, kind, l3_ofs);
    flow_bytes_take(&bytes, kind, l3_ofs, header);
    memset(&key, 0, sizeof key);
    memcpy(key.bytes, bytes.addrs[0], bytes.n_addr);
    memcpy(key.bytes + bytes.n_addr, bytes.addrs[1], bytes.n_addr);
    memcpy(key.bytes + 2 * bytes.n_addr, bytes.ports, bytes.n_ports);
    return key;
}

/* --- Histories, shapes, flows -------------------------------------------- */

/* The form of a header that is not split (a fragment, neighbor discovery, one
 * captured too short): of "other" ones nothing is known but addresses.  False
 * when even these are not where such headers have them. */
static bool
find_ip_form(const uint8_t *header, size_t len, struct header_split *split)
{
    struct hdr h;

    hdr_parse(header, len, &h);
    split->l3_ofs = h.l3_ofs;
    if (h.l3_ofs > FLOW_MAX_COLD / 2) {
        return false;
    }
    if (h.is_ip4) {
        split->kind =
            header[h.l3_ofs] == 0x45 ? HEADER_IP4_OTHER : HEADER_IP4_OPTIONS;
        return len >= h.l3_ofs + 20u;
    }
    split->kind = HEADER_IP6_OTHER;
    return h.is_ip6 && len >= h.l3_ofs + 40u;
}

/* Adds a header that has no IP addresses, or not where IP has them. */
static void
add_other(struct block_index_maker *m, const uint8_t *header, size_t len)
{
    uint16_t type;

    if (len < ETH_LEN) {
        m->head.has_others = true;
        return;
    }
    type = bytes_be16(header + ETH_LEN - 2);
    if (type == HDR_ETH_ARP && len >= ETH_LEN + ARP_LEN) {
        struct flow_key key;

        memset(&key, 0, sizeof key);
        memcpy(key.bytes, header + ETH_LEN + ARP_SENDER, 4);
        memcpy(key.bytes + 4, header + ETH_LEN + ARP_TARGET, 4);
        add_form(m, HEADER_ARP, ETH_LEN);
        add_key(m, HEADER_ARP, &key);
    } else {
        add_form(m, HEADER_TYPE, type < MIN_ETH_TYPE ? 0 : type);
    }
}

static void
add_header(struct block_index_maker *m, const uint8_t *header, size_t len)
{
    struct header_split split;
    struct flow_key key;

    if (!(header_split(header, len, &split) &&
          split.l3_ofs <= FLOW_MAX_COLD / 2) &&
        !find_ip_form(header, len, &split)) {
        add_other(m, header, len);
        return;
    }
    if (split.kind == HEADER_IP4_OPTIONS) {
        memset(&key, 0, sizeof key);
        memcpy(key.bytes, header + split.l3_ofs + IP4_ADDRS, 8);
    } else {
        key = key_of(split.kind, split.l3_ofs, header);
    }
    add_form(m, split.kind, split.l3_ofs);
    add_key(m, split.kind, &key);
}

void
block_index_maker_add_history(struct block_index_maker *m,
                              const struct history *h)
{
    add_hops(m, h);
    for (size_t i = 0; i < h->n_hops; i++) {
        const struct history_hop *hop = &h->hops[i];

        if (hop->caplen) {
            add_header(m, hop->header, hop->caplen);
        }
    }
}

void
block_index_maker_begin_shapes(struct block_index_maker *m)
{
    m->n_shapes = 0;
    m->n_keys = 0;
}

void
block_index_maker_add_shape(struct block_index_maker *m,
                            const struct history *h)
{
    const struct flow_key_at *at = trajectory_skim_keys(m->skim);
    bool is_read = trajectory_skim_read(m->skim, h);
    struct shape shape = {
        .kind = (uint8_t) trajectory_skim_kind(m->skim),
        .l3_ofs = trajectory_skim_l3_ofs(m->skim),
        .first = (uint32_t) m->n_keys,
    };

    assert(is_read);
    add_hops(m, h);
    for (size_t i = 0; i < h->n_hops; i++) {
        add_form(m, trajectory_skim_kind(m->skim), at[i].l3_ofs);
        if (at[i].is_own) {
            m->keys_at = lh_alloc_grow(m->keys_at, m->n_keys,
                                       &m->allocated_keys, sizeof *at);
            m->keys_at[m->n_keys++] = at[i];
            shape.n_keys++;
        }
    }
    m->shapes = lh_alloc_grow(m->shapes, m->n_shapes, &m->allocated_shapes,
                              sizeof *m->shapes);
    m->shapes[m->n_shapes++] = shape;
}

void
block_index_maker_add_flow(struct block_index_maker *m, size_t index,
                           const uint8_t *header)
{
    const struct shape *shape = &m->shapes[index];
    enum header_kind kind = (enum header_kind) shape->kind;
    struct flow_key key = key_of(kind, shape->l3_ofs, header);

    assert(index < m->n_shapes);
    add_key(m, kind, &key);
    for (size_t i = 0; i < shape->n_keys; i++) {
        const struct flow_key_at *at = &m->keys_at[shape->first + i];
        struct flow_key own;

        for (int w = 0; w < FLOW_KEY_WORDS; w++) {
            own.words[w] = (key.words[w] & ~at->mask.words[w]) |
                           (at->own.words[w] & at->mask.words[w]);
        }
        add_key(m, kind, &own);
    }
}

/* --- Finishing ----------------------------------------------------------- */

/* In the order in which they find room. */
static const enum block_index_class order[N_BLOCK_INDEX_CLASSES] = {
    BLOCK_INDEX_HOPS,     BLOCK_INDEX_ADDRS, BLOCK_INDEX_FLOWS,
    BLOCK_INDEX_VERSIONS, BLOCK_INDEX_PAIRS, BLOCK_INDEX_PORTS,
};
/* For the first of these, items get fewer bits; rather for all of them. */
#define MIN_WANTED 3
#define MAX_WANTED 4

static size_t
lines_for(size_t n_items, size_t n_bits)
{
    return (n_items * n_bits + 8 * BLOCK_INDEX_LINE - 1) /
           (8 * BLOCK_INDEX_LINE);
}

/* Bits of an item: as many as leave room for what is wanted. */
static size_t
find_bits(const struct block_index_maker *m, size_t max)
{
    for (size_t wanted = MAX_WANTED; wanted >= MIN_WANTED; wanted--) {
        size_t n_items = 0;

        for (size_t i = 0; i < wanted; i++) {
            n_items += m->classes[order[i]].n;
        }
        for (size_t bits = BLOCK_INDEX_MAX_BITS; bits >= BLOCK_INDEX_MIN_BITS;
             bits--) {
            if (lines_for(n_items, bits) * BLOCK_INDEX_LINE <= max) {
                return bits;
            }
        }
    }
    return BLOCK_INDEX_MAX_BITS;
}

void
block_index_maker_finish(struct block_index_maker *m, uint32_t n_records,
                         size_t max, struct byte_buf *out)
{
    size_t n_items = 0, n_lines, n_bits = find_bits(m, max);
    uint8_t *lines;

    m->head.n_records = n_records;
    m->head.classes = 0;
    for (int i = 0; i < N_BLOCK_INDEX_CLASSES; i++) {
        size_t n = m->classes[order[i]].n;

        if (lines_for(n_items + n, n_bits) * BLOCK_INDEX_LINE <= max) {
            m->head.classes |= (uint8_t) (1u << order[i]);
            n_items += n;
        }
    }
    block_index_put_head(&m->head, out);
    n_lines = lines_for(n_items, n_bits);
    lines = byte_buf_extend(out, n_lines * BLOCK_INDEX_LINE);
    memset(lines, 0, n_lines * BLOCK_INDEX_LINE);
    for (int i = 0; i < N_BLOCK_INDEX_CLASSES; i++) {
        for (size_t k = 0; m->head.classes >> i & 1 && k < m->classes[i].n;
             k++) {
            block_index_put_item(lines, n_lines, m->classes[i].all[k]);
        }
    }
}
