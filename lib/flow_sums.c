/* SPDX-License-Identifier: Apache-2.0 */
/* flow_sums - how many packets and bytes each flow sent on each way. */
#include <config.h>

#include "lib/flow_sums.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/flow_sums_impl.h"
#include "lib/lh_alloc.h"

struct flow_sums {
    struct way_table *ways; /* Owned. */
    size_t n, allocated;
    struct flow_sums_row *rows; /* Owned. */
    size_t n_slots;             /* A power of two, or 0. */
    uint32_t *slots;            /* 1 + index.  Owned. */
    bool is_over;
};

/* What a row is known by stands before its sums. */
#define KEY_LEN offsetof(struct flow_sums_row, packets)

struct flow_sums *
flow_sums_create(void)
{
    struct flow_sums *s = lh_alloc_zero(sizeof *s);

    s->ways = way_table_create();
    return s;
}

void
flow_sums_destroy(struct flow_sums *s)
{
    if (s) {
        way_table_destroy(s->ways);
        free(s->rows);
        free(s->slots);
        free(s);
    }
}

bool
flow_sums_is_over(const struct flow_sums *s)
{
    return s->is_over;
}

size_t
flow_sums_n(const struct flow_sums *s)
{
    return s->n;
}

struct way_table *
flow_sums_ways(struct flow_sums *s)
{
    return s->ways;
}

/* --- Adding ------------------------------------------------------------- */

/* The slot of the row, or where it is to be put. */
static uint32_t *
find_slot(const struct flow_sums *s, const struct flow_sums_row *row)
{
    size_t i = (size_t) XXH3_64bits(row, KEY_LEN) & (s->n_slots - 1);

    while (s->slots[i] && memcmp(&s->rows[s->slots[i] - 1], row, KEY_LEN)) {
        i = (i + 1) & (s->n_slots - 1);
    }
    return &s->slots[i];
}

static void
grow(struct flow_sums *s)
{
    s->n_slots = s->n_slots ? 2 * s->n_slots : 1024;
    free(s->slots);
    s->slots = lh_alloc_zero(s->n_slots * sizeof *s->slots);
    for (size_t i = 0; i < s->n; i++) {
        *find_slot(s, &s->rows[i]) = (uint32_t) i + 1;
    }
}

void
flow_sums_add(struct flow_sums *s, uint32_t way, const struct packet_who *who,
              uint64_t packets, uint64_t bytes)
{
    struct flow_sums_row row = {.way = way,
                                .proto = who->proto,
                                .n_addr = who->n_addr,
                                .n_ports = who->n_ports};
    uint32_t *slot;

    if (who->n_addr) {
        memcpy(row.name, who->src, who->n_addr);
        memcpy(row.name + who->n_addr, who->dst, who->n_addr);
    }
    if (who->n_ports) {
        memcpy(row.name + 2 * who->n_addr, who->ports, who->n_ports);
    }
    if (2 * (s->n + 1) > s->n_slots) {
        grow(s);
    }
    slot = find_slot(s, &row);
    if (!*slot && s->n == FLOW_SUMS_MAX_ROWS) {
        s->is_over = true;
        return;
    }
    if (!*slot) {
        s->rows = lh_alloc_grow(s->rows, s->n, &s->allocated, sizeof *s->rows);
        s->rows[s->n] = row;
        *slot = (uint32_t) ++s->n;
    }
    s->rows[*slot - 1].packets += packets;
    s->rows[*slot - 1].bytes += bytes;
}

void
flow_sums_add_history(struct flow_sums *s, const struct history *h)
{
    struct packet_who who = {.proto = 0};
    uint8_t ports[4];
    uint64_t bytes;
    uint32_t way = way_table_history(s->ways, h, &bytes);

    if (h->n_hops) {
        packet_who_find(h, &who, ports);
    }
    flow_sums_add(s, way, &who, 1, bytes);
}

/* --- Writing ------------------------------------------------------------ */

/* By way, then by how long addresses are, then by them, then by the rest. */
static int
compare_rows(const void *a_, const void *b_)
{
    const struct flow_sums_row *a = *(const struct flow_sums_row *const *) a_;
    const struct flow_sums_row *b = *(const struct flow_sums_row *const *) b_;
    int order;

    if (a->way != b->way) {
        return a->way < b->way ? -1 : 1;
    }
    if (a->n_addr != b->n_addr) {
        return a->n_addr < b->n_addr ? -1 : 1;
    }
    order = memcmp(a->name, b->name, (size_t) 2 * a->n_addr);
    if (order) {
        return order;
    }
    if (a->proto != b->proto) {
        return a->proto < b->proto ? -1 : 1;
    }
    if (a->n_ports != b->n_ports) {
        return a->n_ports < b->n_ports ? -1 : 1;
    }
    return memcmp(a->name, b->name, sizeof a->name);
}

struct writer {
    struct byte_buf sections[N_FLOW_SUMS_SECTIONS];
    const struct flow_sums_row *before; /* A row of the pair before. */
};

static void
put_uvarint(struct writer *w, enum flow_sums_section section, uint64_t value)
{
    byte_buf_put_uvarint(&w->sections[section], value);
}

static void
put_bytes(struct writer *w, enum flow_sums_section section, const void *data,
          size_t n)
{
    byte_buf_put(&w->sections[section], data, n);
}

static bool
is_alike(const struct flow_sums_row *a, const struct flow_sums_row *b)
{
    return a->way == b->way && a->n_addr == b->n_addr;
}

/* Puts addresses: how many of their bytes are as in the pair before, then the
 * others. */
static void
put_addresses(struct writer *w, const struct flow_sums_row *row)
{
    size_t n = 2 * (size_t) row->n_addr, common = 0;

    if (!n) {
        return;
    }
    if (w->before && is_alike(w->before, row)) {
        while (common < n && w->before->name[common] == row->name[common]) {
            common++;
        }
    }
    byte_buf_put_u8(&w->sections[FLOW_SUMS_COMMON], (uint8_t) common);
    put_bytes(w, FLOW_SUMS_ADDRESSES, row->name + common, n - common);
}

static void
put_flow(struct writer *w, const struct flow_sums_row *row)
{
    const uint8_t *ports = row->name + 2 * row->n_addr;
    size_t half = row->n_ports / 2;

    put_uvarint(w, FLOW_SUMS_PROTO, (uint64_t) row->proto << 2 | half);
    put_bytes(w, FLOW_SUMS_SRC_PORT, ports, half);
    put_bytes(w, FLOW_SUMS_DST_PORT, ports + half, half);
}

/* Puts the 'n' rows of a pair. */
static void
put_pair(struct writer *w, const struct flow_sums_row *const *rows, size_t n)
{
    uint64_t packets = 0, bytes = 0;

    put_addresses(w, rows[0]);
    w->before = rows[0];
    put_uvarint(w, FLOW_SUMS_PAIR_FLOWS, n);
    for (size_t i = 0; i < n; i++) {
        packets += rows[i]->packets;
        bytes += rows[i]->bytes;
        put_flow(w, rows[i]);
        /* What the last one has is the rest. */
        if (i + 1 < n) {
            put_uvarint(w, FLOW_SUMS_FLOW_PACKETS, rows[i]->packets);
            put_uvarint(w, FLOW_SUMS_FLOW_BYTES, rows[i]->bytes);
        }
    }
    put_uvarint(w, FLOW_SUMS_PAIR_PACKETS, packets);
    put_uvarint(w, FLOW_SUMS_PAIR_BYTES, bytes);
}

static bool
is_pair(const struct flow_sums_row *a, const struct flow_sums_row *b)
{
    return is_alike(a, b) && !memcmp(a->name, b->name, 2 * (size_t) a->n_addr);
}

static void
put_rows(struct writer *w, const struct flow_sums_row *const *rows, size_t n,
         size_t n_ways)
{
    size_t i = 0;

    for (uint32_t way = 0; way < n_ways; way++) {
        for (size_t k = 0; k < N_FLOW_SUMS_KINDS; k++) {
            size_t n_pairs = 0;

            while (i < n && rows[i]->way == way &&
                   rows[i]->n_addr == flow_sums_addresses[k]) {
                size_t first = i++;

                while (i < n && is_pair(rows[first], rows[i])) {
                    i++;
                }
                put_pair(w, rows + first, i - first);
                n_pairs++;
            }
            put_uvarint(w, FLOW_SUMS_PAIRS_OF_WAYS, n_pairs);
        }
    }
}

size_t
flow_sums_put(const struct flow_sums *s, int level, struct byte_buf *out,
              bool *is_whole)
{
    const struct flow_sums_row **rows =
        lh_alloc_array(NULL, s->n + 1, sizeof *rows);
    struct compressor *compressor = compressor_create();
    struct section_list list = {.n = 0};
    struct byte_buf bytes = BYTE_BUF_INIT;
    struct writer w = {.before = NULL};
    size_t table_len = 0;

    for (size_t i = 0; i < s->n; i++) {
        rows[i] = &s->rows[i];
    }
    qsort(rows, s->n, sizeof *rows, compare_rows);
    way_table_put(s->ways, &w.sections[FLOW_SUMS_WAY_LIST]);
    put_rows(&w, rows, s->n, way_table_n(s->ways));
    *is_whole = !s->is_over;
    for (unsigned int i = 1; i < N_FLOW_SUMS_SECTIONS; i++) {
        *is_whole = *is_whole && w.sections[i].len <= SECTION_MAX_RAW;
    }
    for (unsigned int i = 1; i < N_FLOW_SUMS_SECTIONS; i++) {
        if (*is_whole) {
            section_list_add(&list, (uint8_t) i, w.sections[i].data,
                             w.sections[i].len, level, compressor, &bytes);
        }
        byte_buf_uninit(&w.sections[i]);
    }
    if (*is_whole) {
        table_len = section_list_put_table(&list, out);
        byte_buf_put(out, bytes.data, bytes.len);
    }
    byte_buf_uninit(&bytes);
    compressor_destroy(compressor);
    free(rows);
    return table_len;
}
