/* SPDX-License-Identifier: Apache-2.0 */
/* profile_rows - rows of a profile's table as bytes. */
#include <config.h>

#include "phf/profile_rows.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/lh_alloc.h"

#define MAX_PORTS 4 /* Bytes of ports, or of type and code. */

/* --- Writing ------------------------------------------------------------- */

/* Numbers of a table, in the order in which a piece tells what they are. */
struct told {
    uint32_t *numbers; /* 1 + of each in the piece; 0: it is not there. */
    uint32_t n;
    struct byte_buf bytes;
};

static void
put_link(struct byte_buf *out, const struct profile_link *link)
{
    byte_buf_put_u64(out, link->dpid);
    byte_buf_put_u32(out, link->port);
    byte_buf_put_u8(out, link->is_in);
}

static void
put_way(struct byte_buf *out, const struct profile_way *way)
{
    byte_buf_put_u64(out, way->dpid);
    byte_buf_put_u32(out, way->in_port);
    byte_buf_put_uvarint(out, way->n);
    for (uint32_t i = 0; i < way->n; i++) {
        byte_buf_put_u64(out, way->dpids[i]);
    }
}

static void
put_double(struct byte_buf *out, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    byte_buf_put_u64(out, bits);
}

static void
put_row(struct byte_buf *out, const struct profile_row *row, uint32_t link,
        uint32_t way)
{
    const struct profile_key *key = &row->key;

    byte_buf_put_uvarint(out, link);
    byte_buf_put_uvarint(out, way);
    byte_buf_put_uvarint(out, key->bucket);
    byte_buf_put_uvarint(out, key->proto);
    byte_buf_put_u8(out, key->n_addr);
    byte_buf_put_u8(out, key->has_ports);
    if (key->n_addr) {
        byte_buf_put(out, key->flow.bytes,
                     (size_t) 2 * key->n_addr + MAX_PORTS);
    }
    put_double(out, row->packets);
    put_double(out, row->bytes);
}

/* The number in the piece of number 'i' of the table; '*is_new'. */
static uint32_t
tell(struct told *told, uint32_t i, bool *is_new)
{
    *is_new = !told->numbers[i];
    if (*is_new) {
        told->numbers[i] = ++told->n;
    }
    return told->numbers[i];
}

size_t
profile_rows_put(const struct profile_table *t, size_t first,
                 struct byte_buf *out)
{
    struct told links = {
        .numbers = lh_alloc_zero((t->n_links + 1) * sizeof(uint32_t))};
    struct told ways = {.numbers =
                            lh_alloc_zero((t->n_ways + 1) * sizeof(uint32_t))};
    struct byte_buf rows = BYTE_BUF_INIT;
    size_t i = first;

    for (; i < t->n && i - first < PROFILE_ROWS_MAX &&
           links.bytes.len + ways.bytes.len + rows.len < PROFILE_ROWS_BYTES;
         i++) {
        const struct profile_row *row = &t->rows[i];
        uint32_t link = 0, way = 0;
        bool is_new;

        if (row->key.link < t->n_links) {
            link = tell(&links, row->key.link, &is_new);
            if (is_new) {
                put_link(&links.bytes, &t->links[row->key.link]);
            }
        }
        if (row->key.way < t->n_ways) {
            way = tell(&ways, row->key.way, &is_new);
            if (is_new) {
                put_way(&ways.bytes, &t->ways[row->key.way]);
            }
        }
        put_row(&rows, row, link, way);
    }
    byte_buf_put_u8(out, PROFILE_ROWS_VERSION);
    byte_buf_put_uvarint(out, links.n);
    byte_buf_put(out, links.bytes.data, links.bytes.len);
    byte_buf_put_uvarint(out, ways.n);
    byte_buf_put(out, ways.bytes.data, ways.bytes.len);
    byte_buf_put_uvarint(out, i - first);
    byte_buf_put(out, rows.data, rows.len);
    byte_buf_uninit(&links.bytes);
    byte_buf_uninit(&ways.bytes);
    byte_buf_uninit(&rows);
    free(links.numbers);
    free(ways.numbers);
    return i;
}

/* --- Reading ------------------------------------------------------------- */

/* The number of the table of each number of the piece. */
struct known {
    uint64_t n;
    uint32_t *numbers; /* Owned. */
};

/* Reads how many there are, of 'min' bytes at least. */
static bool
read_count(struct bytes_reader *r, size_t min, struct known *known)
{
    known->n = byte_buf_get_uvarint(r);
    if (r->failed || known->n > bytes_left(r) / min) {
        return false;
    }
    known->numbers =
        lh_alloc_zero((size_t) (known->n + 1) * sizeof *known->numbers);
    return true;
}

static bool
read_links(struct bytes_reader *r, struct profile_table *t,
           struct known *known)
{
    if (!read_count(r, 13, known)) {
        return false;
    }
    for (uint64_t i = 1; i <= known->n && !r->failed; i++) {
        struct profile_link link;

        link.dpid = bytes_get_u64(r);
        link.port = bytes_get_u32(r);
        link.is_in = bytes_get_u8(r) != 0;
        if (!r->failed) {
            known->numbers[i] = profile_table_link(t, &link);
        }
    }
    return !r->failed;
}

static bool
read_ways(struct bytes_reader *r, struct profile_table *t, struct known *known)
{
    if (!read_count(r, 13, known)) {
        return false;
    }
    for (uint64_t i = 1; i <= known->n && !r->failed; i++) {
        struct profile_way way = {.n = 0};
        uint64_t n;

        way.dpid = bytes_get_u64(r);
        way.in_port = bytes_get_u32(r);
        n = byte_buf_get_uvarint(r);
        if (r->failed || n > bytes_left(r) / 8) {
            return false;
        }
        way.n = (uint32_t) n;
        way.dpids = lh_alloc_array(NULL, (size_t) n + 1, sizeof *way.dpids);
        for (uint32_t k = 0; k < way.n; k++) {
            way.dpids[k] = bytes_get_u64(r);
        }
        known->numbers[i] = profile_table_way(t, &way);
        free(way.dpids);
    }
    return !r->failed;
}

static double
get_double(struct bytes_reader *r)
{
    uint64_t bits = bytes_get_u64(r);
    double value;

    memcpy(&value, &bits, sizeof value);
    r->failed = r->failed || !isfinite(value) || value < 0 ||
                value > (double) INT64_MAX;
    return value;
}

static bool
read_row(struct bytes_reader *r, struct profile_table *t, bool has_links,
         const struct known *links, const struct known *ways)
{
    struct profile_key key;
    uint64_t link = byte_buf_get_uvarint(r);
    uint64_t way = byte_buf_get_uvarint(r);
    uint64_t bucket = byte_buf_get_uvarint(r);
    uint64_t proto = byte_buf_get_uvarint(r);
    double packets, bytes;

    memset(&key, 0, sizeof key);
    key.n_addr = bytes_get_u8(r);
    key.has_ports = bytes_get_u8(r);
    if (r->failed || link > links->n || (link != 0) != has_links || !way ||
        way > ways->n || bucket > UINT32_MAX || proto > UINT16_MAX ||
        key.has_ports > 1 ||
        (key.n_addr != 0 && key.n_addr != 4 && key.n_addr != 6 &&
         key.n_addr != 16)) {
        return false;
    }
    if (key.n_addr) {
        size_t n = (size_t) 2 * key.n_addr + MAX_PORTS;
        const uint8_t *flow = bytes_get(r, n);

        if (r->failed) {
            return false;
        }
        memcpy(key.flow.bytes, flow, n);
    }
    packets = get_double(r);
    bytes = get_double(r);
    key.link = links->numbers[link];
    key.way = ways->numbers[way];
    key.bucket = (uint32_t) bucket;
    key.proto = (uint16_t) proto;
    if (!r->failed) {
        profile_table_count(t, &key, packets, bytes);
    }
    return !r->failed;
}

int
profile_rows_add(struct profile_table *t, bool has_links, const uint8_t *data,
                 size_t size)
{
    struct bytes_reader r = bytes_reader(data, size);
    struct known links = {.n = 0}, ways = {.n = 0};
    bool is_good = bytes_get_u8(&r) == PROFILE_ROWS_VERSION;
    uint64_t n;

    is_good = is_good && read_links(&r, t, &links) && read_ways(&r, t, &ways);
    n = is_good ? byte_buf_get_uvarint(&r) : 0;
    for (uint64_t i = 0; i < n && is_good; i++) {
        is_good = read_row(&r, t, has_links, &links, &ways);
    }
    is_good = is_good && !r.failed && !bytes_left(&r);
    free(links.numbers);
    free(ways.numbers);
    return is_good ? 0 : EBADMSG;
}
