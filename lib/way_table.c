/* SPDX-License-Identifier: Apache-2.0 */
/* way_table - the ways that packets went through a network. */
#include <config.h>

#include "lib/way_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/bytes.h"
#include "lib/history_codec.h"
#include "lib/hop_traffic.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"

/* Hops of all ways together; a reader trusts no more. */
#define MAX_HOPS (1u << 22)

/* Bits of a hop; what is above them is the number of ports. */
#define BIT_NEXT       1u /* Its parent is the hop before. */
#define BIT_PACKET_OUT 2u
#define N_OUT_SHIFT    2

struct way {
    uint64_t hash;
    size_t at, len; /* Of the bytes. */
};

struct way_table {
    size_t n, allocated;
    struct way *ways; /* By number.  Owned. */
    size_t n_slots;   /* A power of two, or 0. */
    uint32_t *slots;  /* 1 + number.  Owned. */
    struct byte_buf bytes;
    struct byte_buf new;    /* Scratch: a way that may be there already. */
    struct hop_ports ports; /* Scratch. */

    /* The way that was got last. */
    struct history view;
    size_t allocated_hops, allocated_ports;
    struct history_hop *hops; /* Owned. */
    int64_t *more;            /* Owned. */
    uint32_t *out_ports;      /* Owned. */
    uint32_t flood; /* The output of hops that have some, so that what they are
                     * is said by branches: any ports may be these. */
};

struct way_table *
way_table_create(void)
{
    struct way_table *t = lh_alloc_zero(sizeof *t);

    t->flood = OF_PORT_FLOOD;
    return t;
}

void
way_table_destroy(struct way_table *t)
{
    if (t) {
        free(t->ways);
        free(t->slots);
        byte_buf_uninit(&t->bytes);
        byte_buf_uninit(&t->new);
        free(t->ports.ports);
        free(t->hops);
        free(t->more);
        free(t->out_ports);
        free(t);
    }
}

size_t
way_table_n(const struct way_table *t)
{
    return t->n;
}

size_t
way_table_size(const struct way_table *t)
{
    return sizeof *t + t->allocated * sizeof *t->ways +
           t->n_slots * sizeof *t->slots + t->bytes.allocated;
}

/* --- Numbers ------------------------------------------------------------ */

static void
grow_slots(struct way_table *t)
{
    t->n_slots = t->n_slots ? t->n_slots * 2 : 256;
    free(t->slots);
    t->slots = lh_alloc_zero(t->n_slots * sizeof *t->slots);
    for (size_t i = 0; i < t->n; i++) {
        size_t slot = (size_t) t->ways[i].hash & (t->n_slots - 1);

        while (t->slots[slot]) {
            slot = (slot + 1) & (t->n_slots - 1);
        }
        t->slots[slot] = (uint32_t) i + 1;
    }
}

/* The number of the way that these bytes are. */
static uint32_t
number_of(struct way_table *t, const uint8_t *data, size_t len)
{
    uint64_t hash = XXH3_64bits(data, len);
    size_t i;

    if (2 * (t->n + 1) > t->n_slots) {
        grow_slots(t);
    }
    for (i = (size_t) hash & (t->n_slots - 1); t->slots[i];
         i = (i + 1) & (t->n_slots - 1)) {
        const struct way *way = &t->ways[t->slots[i] - 1];

        if (way->hash == hash && way->len == len &&
            !memcmp(t->bytes.data + way->at, data, len)) {
            return t->slots[i] - 1;
        }
    }
    t->ways = lh_alloc_grow(t->ways, t->n, &t->allocated, sizeof *t->ways);
    t->ways[t->n++] =
        (struct way){.hash = hash, .at = t->bytes.len, .len = len};
    byte_buf_put(&t->bytes, data, len);
    t->slots[i] = (uint32_t) t->n;
    return (uint32_t) t->n - 1;
}

/* Puts all of a hop but its lengths. */
static void
put_hop(struct way_table *t, const struct history_hop *hop, size_t i)
{
    bool is_next = hop->parent + 1 == (int) i;

    hop_traffic_ports(hop, &t->ports);
    byte_buf_put_uvarint(&t->new,
                         (uint64_t) t->ports.n << N_OUT_SHIFT |
                             (hop->is_packet_out ? BIT_PACKET_OUT : 0) |
                             (is_next ? BIT_NEXT : 0));
    if (!is_next) {
        byte_buf_put_uvarint(&t->new, (uint64_t) (hop->parent + 1));
    }
    byte_buf_put_u64(&t->new, hop->dpid);
    byte_buf_put_uvarint(&t->new, hop->in_port);
    for (size_t k = 0; k < t->ports.n; k++) {
        byte_buf_put_uvarint(&t->new, t->ports.ports[k]);
    }
}

uint32_t
way_table_history(struct way_table *t, const struct history *h,
                  uint64_t *bytes)
{
    *bytes = h->n_hops ? hop_traffic_bytes(h, 0, true) : 0;
    byte_buf_clear(&t->new);
    byte_buf_put_uvarint(&t->new, h->n_hops);
    for (size_t i = 0; i < h->n_hops; i++) {
        int64_t in = hop_traffic_bytes(h, i, true);

        put_hop(t, &h->hops[i], i);
        byte_buf_put_svarint(&t->new, in - (int64_t) *bytes);
        byte_buf_put_svarint(&t->new,
                             (int64_t) hop_traffic_bytes(h, i, false) - in);
    }
    return number_of(t, t->new.data, t->new.len);
}

uint32_t
way_table_shape(struct way_table *t, const struct history *h,
                const struct flow_key_at *keys, uint64_t *bytes)
{
    *bytes = h->n_hops ? keys[0].l3_ofs : 0;
    byte_buf_clear(&t->new);
    byte_buf_put_uvarint(&t->new, h->n_hops);
    for (size_t i = 0; i < h->n_hops; i++) {
        int64_t in = keys[i].l3_ofs;
        int64_t out = keys[i].out_l3_ofs ? keys[i].out_l3_ofs : in;

        put_hop(t, &h->hops[i], i);
        byte_buf_put_svarint(&t->new, in - (int64_t) *bytes);
        byte_buf_put_svarint(&t->new, out - in);
    }
    return number_of(t, t->new.data, t->new.len);
}

uint32_t
way_table_add(struct way_table *t, const struct way_table *other,
              uint32_t number)
{
    const struct way *way = &other->ways[number];

    return number_of(t, other->bytes.data + way->at, way->len);
}

/* --- Reading ------------------------------------------------------------ */

static void
need_ports(struct way_table *t, size_t n)
{
    if (!t->out_ports || n > t->allocated_ports) {
        t->allocated_ports = 2 * n + 16;
        t->out_ports = lh_alloc_array(t->out_ports, t->allocated_ports,
                                      sizeof *t->out_ports);
    }
}

/* Reads the hop and its lengths; its ports stand behind '*n_ports' others. */
static bool
read_hop(struct way_table *t, struct bytes_reader *r, size_t i,
         size_t *n_ports)
{
    uint64_t bits = byte_buf_get_uvarint(r), n_out = bits >> N_OUT_SHIFT;
    uint64_t parent = bits & BIT_NEXT ? i : byte_buf_get_uvarint(r);
    uint64_t dpid = bytes_get_u64(r);
    uint64_t in_port = byte_buf_get_uvarint(r);
    int64_t in, out;

    if (r->failed || parent > i || in_port > OF_PORT_UNKNOWN ||
        n_out > bytes_left(r)) {
        return false;
    }
    need_ports(t, *n_ports + (size_t) n_out);
    for (size_t k = 0; k < n_out; k++) {
        uint64_t port = byte_buf_get_uvarint(r);

        if (port > OF_PORT_UNKNOWN) {
            return false;
        }
        t->out_ports[*n_ports + k] = (uint32_t) port;
    }
    in = byte_buf_get_svarint(r);
    out = byte_buf_get_svarint(r);
    if (in < -INT32_MAX || in > INT32_MAX || out < -INT32_MAX ||
        out > INT32_MAX) {
        return false;
    }
    t->more[2 * i] = in;
    t->more[2 * i + 1] = in + out;
    t->hops[i] = (struct history_hop){
        .parent = (int) parent - 1,
        .dpid = dpid,
        .in_port = (uint32_t) in_port,
        .is_packet_out = (bits & BIT_PACKET_OUT) != 0,
        .n_out = n_out != 0,
        .out_ports = &t->flood,
        .n_branches = (size_t) n_out,
    };
    *n_ports += (size_t) n_out;
    return !r->failed;
}

/* Makes the view of the next way. */
static bool
read_way(struct way_table *t, struct bytes_reader *r)
{
    uint64_t n_hops = byte_buf_get_uvarint(r);
    size_t n_ports = 0;

    if (r->failed || n_hops > HISTORY_CODEC_MAX_HOPS ||
        n_hops > bytes_left(r)) {
        return false;
    }
    if (!t->hops || n_hops > t->allocated_hops) {
        t->allocated_hops = (size_t) n_hops + 16;
        t->hops = lh_alloc_array(t->hops, t->allocated_hops, sizeof *t->hops);
        t->more =
            lh_alloc_array(t->more, 2 * t->allocated_hops, sizeof *t->more);
    }
    for (size_t i = 0; i < n_hops; i++) {
        if (!read_hop(t, r, i, &n_ports)) {
            return false;
        }
    }
    n_ports = 0;
    for (size_t i = 0; i < n_hops; i++) {
        t->hops[i].branches = t->out_ports + n_ports;
        n_ports += t->hops[i].n_branches;
    }
    t->view = (struct history){.hops = t->hops, .n_hops = (size_t) n_hops};
    return true;
}

void
way_table_get(struct way_table *t, uint32_t number, struct way_view *view)
{
    const struct way *way = &t->ways[number];
    struct bytes_reader r = bytes_reader(t->bytes.data + way->at, way->len);
    bool is_read = read_way(t, &r);

    assert(is_read); /* Nothing else was let in. */
    view->h = &t->view;
    view->more = t->more;
}

void
way_table_put(const struct way_table *t, struct byte_buf *out)
{
    byte_buf_put(out, t->bytes.data, t->bytes.len);
}

bool
way_table_read(struct way_table *t, const uint8_t *data, size_t len)
{
    struct bytes_reader r = bytes_reader(data, len);
    size_t n_hops = 0;

    while (bytes_left(&r)) {
        size_t start = r.ofs, n = t->n;

        if (!read_way(t, &r) || (n_hops += t->view.n_hops) > MAX_HOPS ||
            number_of(t, data + start, r.ofs - start) != n) {
            return false;
        }
    }
    return true;
}
