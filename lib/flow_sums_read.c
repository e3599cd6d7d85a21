/* SPDX-License-Identifier: Apache-2.0 */
/* flow_sums - reads what each flow sent on each way. */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/flow_sums.h"
#include "lib/flow_sums_impl.h"
#include "lib/lh_alloc.h"

struct reader {
    enum flow_sums_depth depth;
    struct bytes_reader at[N_FLOW_SUMS_SECTIONS];
    struct flow_sums_view *view;
    size_t allocated;
};

/* What a reader of that depth looks at. */
static bool
is_wanted(enum flow_sums_section section, enum flow_sums_depth depth)
{
    switch (section) {
    case FLOW_SUMS_WAY_LIST:
    case FLOW_SUMS_PAIRS_OF_WAYS:
    case FLOW_SUMS_PAIR_PACKETS:
    case FLOW_SUMS_PAIR_BYTES:
        return true;
    case FLOW_SUMS_COMMON:
    case FLOW_SUMS_ADDRESSES:
        return depth >= FLOW_SUMS_PAIRS;
    case FLOW_SUMS_PAIR_FLOWS:
    case FLOW_SUMS_PROTO:
    case FLOW_SUMS_SRC_PORT:
    case FLOW_SUMS_DST_PORT:
    case FLOW_SUMS_FLOW_PACKETS:
    case FLOW_SUMS_FLOW_BYTES:
        return depth >= FLOW_SUMS_FLOWS;
    case N_FLOW_SUMS_SECTIONS:
    default:
        return false;
    }
}

/* Most are of one byte or two. */
static inline uint64_t
get_uvarint(struct reader *r, enum flow_sums_section section)
{
    struct bytes_reader *at = &r->at[section];

    if (!at->failed && at->ofs < at->len && at->data[at->ofs] < 0x80) {
        return at->data[at->ofs++];
    }
    return byte_buf_get_uvarint(at);
}

static struct flow_sums_row *
add_row(struct reader *r)
{
    struct flow_sums_view *view = r->view;

    view->rows =
        lh_alloc_grow(view->rows, view->n, &r->allocated, sizeof *view->rows);
    return &view->rows[view->n++];
}

/* Reads addresses into 'pair', where those of the pair before stand. */
static bool
read_addresses(struct reader *r, struct flow_sums_row *pair, bool is_first)
{
    size_t n = 2 * (size_t) pair->n_addr;
    uint8_t common = bytes_get_u8(&r->at[FLOW_SUMS_COMMON]);
    const uint8_t *p;

    if (common > n || (is_first && common)) {
        return false;
    }
    p = bytes_get(&r->at[FLOW_SUMS_ADDRESSES], n - common);
    if (p) {
        memcpy(pair->name + common, p, n - common);
    }
    return p != NULL;
}

/* Reads the flows of a pair, of which packets and bytes are known. */
static bool
read_flows(struct reader *r, const struct flow_sums_row *pair)
{
    uint64_t n = get_uvarint(r, FLOW_SUMS_PAIR_FLOWS);
    uint64_t packets = pair->packets, bytes = pair->bytes;

    if (!n || r->view->n + n > FLOW_SUMS_MAX_ROWS) {
        return false;
    }
    for (uint64_t i = 0; i < n; i++) {
        uint64_t proto = get_uvarint(r, FLOW_SUMS_PROTO);
        size_t half = proto & 3;
        const uint8_t *src = bytes_get(&r->at[FLOW_SUMS_SRC_PORT], half);
        const uint8_t *dst = bytes_get(&r->at[FLOW_SUMS_DST_PORT], half);
        struct flow_sums_row *row;
        uint8_t *ports;

        if (half > 2 || proto >> 2 > UINT16_MAX || (half && (!src || !dst))) {
            return false;
        }
        row = add_row(r);
        *row = *pair;
        row->proto = (uint16_t) (proto >> 2);
        row->n_ports = (uint8_t) (2 * half);
        ports = row->name + 2 * row->n_addr;
        if (half) {
            memcpy(ports, src, half);
            memcpy(ports + half, dst, half);
        }
        if (i + 1 < n) {
            row->packets = get_uvarint(r, FLOW_SUMS_FLOW_PACKETS);
            row->bytes = get_uvarint(r, FLOW_SUMS_FLOW_BYTES);
        } else {
            row->packets = packets;
            row->bytes = bytes;
        }
        if (row->packets > packets || row->bytes > bytes) {
            return false;
        }
        packets -= row->packets;
        bytes -= row->bytes;
    }
    return true;
}

/* Reads the pairs of a way that have addresses of one length. */
static bool
read_pairs(struct reader *r, struct flow_sums_row *way, uint8_t n_addr)
{
    uint64_t n = get_uvarint(r, FLOW_SUMS_PAIRS_OF_WAYS);
    struct flow_sums_row pair = {.way = way->way, .n_addr = n_addr};

    if (n > FLOW_SUMS_MAX_ROWS) {
        return false;
    }
    for (uint64_t i = 0; i < n; i++) {
        pair.packets = get_uvarint(r, FLOW_SUMS_PAIR_PACKETS);
        pair.bytes = get_uvarint(r, FLOW_SUMS_PAIR_BYTES);
        if (r->at[FLOW_SUMS_PAIR_PACKETS].failed ||
            r->at[FLOW_SUMS_PAIR_BYTES].failed) {
            return false;
        }
        way->packets += pair.packets;
        way->bytes += pair.bytes;
        if (r->depth == FLOW_SUMS_WAYS) {
            continue;
        }
        if (n_addr && !read_addresses(r, &pair, !i)) {
            return false;
        }
        if (r->depth == FLOW_SUMS_PAIRS) {
            if (r->view->n == FLOW_SUMS_MAX_ROWS) {
                return false;
            }
            *add_row(r) = pair;
        } else if (!read_flows(r, &pair)) {
            return false;
        }
    }
    return true;
}

/* True when all sections were read to their end. */
static bool
read_rows(struct reader *r)
{
    size_t n_ways = way_table_n(r->view->ways);
    bool is_sound = true;

    for (uint32_t i = 0; i < n_ways && is_sound; i++) {
        struct flow_sums_row way = {.way = i};

        for (size_t k = 0; k < N_FLOW_SUMS_KINDS && is_sound; k++) {
            is_sound = read_pairs(r, &way, flow_sums_addresses[k]);
        }
        if (is_sound && r->depth == FLOW_SUMS_WAYS) {
            *add_row(r) = way;
        }
    }
    for (unsigned int i = 1; i < N_FLOW_SUMS_SECTIONS && is_sound; i++) {
        is_sound = i == FLOW_SUMS_WAY_LIST ||
                   (!r->at[i].failed && !bytes_left(&r->at[i]));
    }
    return is_sound;
}

int
flow_sums_read(const uint8_t *data, size_t len, size_t table_len,
               enum flow_sums_depth depth, struct flow_sums_view *view,
               struct lh_error *error)
{
    uint8_t *raws[N_FLOW_SUMS_SECTIONS] = {NULL};
    struct reader r = {.depth = depth, .view = view};
    struct section_list list;
    int retval = 0;

    *view = (struct flow_sums_view){.ways = way_table_create()};
    retval = section_list_parse(&list, data, table_len, error);
    if (!retval && list.len != len - table_len) {
        lh_error_set(error, "it is not as long as its sections");
        retval = EBADMSG;
    }
    for (unsigned int i = 1; i < N_FLOW_SUMS_SECTIONS && !retval; i++) {
        const struct section *s = section_list_find(&list, (uint8_t) i);

        r.at[i] = bytes_reader((const uint8_t *) "", 0);
        if (s && is_wanted(i, depth)) {
            retval = section_expand(s, data + table_len + s->offset, &raws[i],
                                    error);
            r.at[i] = bytes_reader(raws[i], retval ? 0 : s->raw_len);
        }
    }
    if (!retval && !(way_table_read(view->ways, r.at[1].data, r.at[1].len) &&
                     read_rows(&r))) {
        lh_error_set(error, "sums are broken");
        retval = EBADMSG;
    }
    for (unsigned int i = 1; i < N_FLOW_SUMS_SECTIONS; i++) {
        free(raws[i]);
    }
    if (retval) {
        flow_sums_view_uninit(view);
    }
    return retval;
}

void
flow_sums_view_uninit(struct flow_sums_view *view)
{
    way_table_destroy(view->ways);
    free(view->rows);
    memset(view, 0, sizeof *view);
}

bool
flow_sums_view_equal(const struct flow_sums_view *a,
                     const struct flow_sums_view *b)
{
    struct byte_buf a_ways = BYTE_BUF_INIT, b_ways = BYTE_BUF_INIT;
    bool is_equal;

    way_table_put(a->ways, &a_ways);
    way_table_put(b->ways, &b_ways);
    is_equal = a->n == b->n && a_ways.len == b_ways.len &&
               !(a_ways.len && memcmp(a_ways.data, b_ways.data, a_ways.len)) &&
               !(a->n && memcmp(a->rows, b->rows, a->n * sizeof *a->rows));
    byte_buf_uninit(&a_ways);
    byte_buf_uninit(&b_ways);
    return is_equal;
}
