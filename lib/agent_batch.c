/* SPDX-License-Identifier: Apache-2.0 */
/* agent_batch - packs postcards of patched switches. */
#include <config.h>

#include "lib/agent_batch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/agent_batch_impl.h"
#include "lib/agent_sections.h"
#include "lib/column_writer.h"
#include "lib/compress.h"
#include "lib/lh_alloc.h"
#include "lib/trajectory_shape.h"

#define N_BUCKETS (2 * AGENT_BATCH_MAX)

_Static_assert((N_BUCKETS & (N_BUCKETS - 1)) == 0, "a power of two");
_Static_assert(N_BATCH_SECTIONS <= AGENT_SECTIONS_MAX, "each has a place");

struct agent_batch_writer {
    struct compressor *compressor; /* Owned. */
    struct column_writer columns;
    struct byte_buf own[N_BATCH_SECTIONS - N_COLUMNS];
    struct byte_buf table, body; /* Of finish(). */
    uint8_t *arena;              /* Headers.  Owned. */
    size_t arena_len;
    uint16_t snap; /* The longest header of late. */
    uint16_t longest;

    const struct hop_template *templates[AGENT_BATCH_MAX]; /* Borrowed. */
    uint32_t n_templates;
    uint16_t template_buckets[N_BUCKETS]; /* Number + 1. */
    struct batch_flow *flows;             /* Owned; AGENT_BATCH_MAX. */
    uint32_t n_flows;
    uint16_t flow_buckets[N_BUCKETS];
    struct batch_packet packets[AGENT_BATCH_MAX];
    uint32_t first_flow[AGENT_BATCH_MAX]; /* Of each packet. */
    uint32_t n_packets;
    uint16_t packet_buckets[N_BUCKETS];
    struct {
        const uint8_t *header;
        uint16_t caplen;
    } plain[AGENT_BATCH_MAX];
    uint32_t n_plain;
    uint16_t plain_buckets[N_BUCKETS];

    uint32_t last_new;  /* Flow of the last new packet. */
    uint32_t next_ref;  /* Packet expected to be referred to ... */
    uint32_t next_same; /* ... or plain one. */
    uint32_t plain_template;
    uint32_t n;
    uint64_t first_ns, last_ns, previous_ns;
    uint64_t bits;
    unsigned int n_bits;
};

static struct byte_buf *
section(struct agent_batch_writer *w, enum batch_section which)
{
    return &w->own[which - N_COLUMNS];
}

static void
put_uvarint(struct agent_batch_writer *w, enum batch_section which,
            uint64_t value)
{
    byte_buf_put_uvarint(section(w, which), value);
}

static void
put_svarint(struct agent_batch_writer *w, enum batch_section which,
            int64_t value)
{
    byte_buf_put_svarint(section(w, which), value);
}

static void
begin(struct agent_batch_writer *w)
{
    for (size_t i = 0; i < sizeof w->own / sizeof w->own[0]; i++) {
        byte_buf_clear(&w->own[i]);
    }
    if (w->longest) {
        w->snap = w->longest;
    }
    column_writer_begin_packets(&w->columns, AGENT_BATCH_MAX,
                                AGENT_BATCH_MAX_BYTES + AGENT_BATCH_MAX_CAPLEN,
                                w->snap);
    memset(w->template_buckets, 0, sizeof w->template_buckets);
    memset(w->flow_buckets, 0, sizeof w->flow_buckets);
    memset(w->packet_buckets, 0, sizeof w->packet_buckets);
    memset(w->plain_buckets, 0, sizeof w->plain_buckets);
    w->n_templates = w->n_flows = w->n_packets = w->n_plain = 0;
    w->last_new = UINT32_MAX;
    w->next_ref = w->next_same = w->plain_template = 0;
    w->arena_len = 0;
    w->longest = 0;
    w->n = 0;
    w->first_ns = w->last_ns = w->previous_ns = 0;
    w->bits = 0;
    w->n_bits = 0;
}

struct agent_batch_writer *
agent_batch_writer_create(void)
{
    struct agent_batch_writer *w = lh_alloc_zero(sizeof *w);

    w->compressor = compressor_create();
    w->arena = lh_alloc(AGENT_BATCH_MAX_BYTES + AGENT_BATCH_MAX_CAPLEN);
    w->flows = lh_alloc_array(NULL, AGENT_BATCH_MAX, sizeof *w->flows);
    w->snap = 96;
    begin(w);
    return w;
}

void
agent_batch_writer_destroy(struct agent_batch_writer *w)
{
    if (w) {
        compressor_destroy(w->compressor);
        column_writer_uninit(&w->columns);
        for (size_t i = 0; i < sizeof w->own / sizeof w->own[0]; i++) {
            byte_buf_uninit(&w->own[i]);
        }
        byte_buf_uninit(&w->table);
        byte_buf_uninit(&w->body);
        free(w->arena);
        free(w->flows);
        free(w);
    }
}

/* --- Templates and flows -------------------------------------------------
 */

static uint32_t
find_template(struct agent_batch_writer *w, const struct hop_template *t)
{
    uint64_t hash = (uint64_t) (uintptr_t) t * UINT64_C(0x9e3779b97f4a7c15);
    uint32_t i = (uint32_t) (hash >> 40);

    for (;; i++) {
        uint16_t *bucket = &w->template_buckets[i & (N_BUCKETS - 1)];

        if (!*bucket) {
            hop_template_put(section(w, BATCH_TEMPLATES), t);
            w->templates[w->n_templates] = t;
            *bucket = (uint16_t) ++w->n_templates;
            return w->n_templates - 1;
        }
        if (w->templates[*bucket - 1] == t) {
            return *bucket - 1u;
        }
    }
}

/* What of a packet at hand is looked for among flows. */
struct wanted {
    const struct hop_template *template;
    const struct header_split *split;
    uint8_t constant[BATCH_MAX_HEADER];
};

static bool
is_flow(const struct agent_batch_writer *w, uint32_t flow,
        const struct wanted *wanted)
{
    const struct batch_flow *f = &w->flows[flow];

    return flow < w->n_flows && f->kind == wanted->split->kind &&
           f->l3_ofs == wanted->split->l3_ofs &&
           w->templates[f->template_no] == wanted->template &&
           bytes_equal(f->constant, wanted->constant, f->tail_ofs);
}

static void
put_flow(struct agent_batch_writer *w, const struct batch_flow *f)
{
    struct flow_bytes bytes;

    flow_bytes_take(&bytes, (enum header_kind) f->kind, f->l3_ofs,
                    f->constant);
    put_uvarint(w, BATCH_FLOW_TEMPLATE, f->template_no);
    byte_buf_put_u8(section(w, BATCH_FLOW_TEMPLATE), (uint8_t) f->kind);
    byte_buf_put_u8(section(w, BATCH_FLOW_TEMPLATE), (uint8_t) f->l3_ofs);
    byte_buf_put(section(w, BATCH_FLOW_COLD), bytes.cold, bytes.n_cold);
    byte_buf_put(section(w, BATCH_FLOW_SRC), bytes.addrs[0], bytes.n_addr);
    byte_buf_put(section(w, BATCH_FLOW_DST), bytes.addrs[1], bytes.n_addr);
    byte_buf_put(section(w, BATCH_FLOW_PORTS), bytes.ports, bytes.n_ports);
}

static uint32_t
find_flow(struct agent_batch_writer *w, const struct wanted *wanted)
{
    const struct header_split *split = wanted->split;
    uint64_t hash = XXH3_64bits_withSeed(
        wanted->constant, split->tail_ofs,
        (uint64_t) (uintptr_t) wanted->template + split->kind);
    uint32_t i = (uint32_t) hash;
    struct batch_flow *f;

    for (;; i++) {
        uint16_t *bucket = &w->flow_buckets[i & (N_BUCKETS - 1)];

        if (!*bucket) {
            f = &w->flows[w->n_flows];
            *bucket = (uint16_t) ++w->n_flows;
            break;
        }
        if (w->flows[*bucket - 1].hash == hash &&
            is_flow(w, *bucket - 1u, wanted)) {
            return *bucket - 1u;
        }
    }
    f->hash = hash;
    f->template_no = find_template(w, wanted->template);
    f->kind = (uint16_t) split->kind;
    f->l3_ofs = split->l3_ofs;
    memcpy(f->constant, wanted->constant, split->tail_ofs);
    batch_flow_init(f);
    put_flow(w, f);
    return w->n_flows - 1;
}

/* The flow of the packet at hand; '*expected' is what was, and becomes what
 * is. */
static uint32_t
tell_flow(struct agent_batch_writer *w, const struct wanted *wanted,
          uint32_t *expected, uint32_t *op)
{
    uint32_t n_flows = w->n_flows, flow = *expected;

    if (is_flow(w, flow, wanted)) {
        return flow;
    }
    flow = find_flow(w, wanted);
    *op |= OP_FLOW;
    put_uvarint(w, BATCH_FLOW, flow == n_flows ? 0 : flow + 1);
    return flow;
}

/* --- Numbers of a postcard -----------------------------------------------
 */

static inline void
put_bits(struct agent_batch_writer *w, uint64_t value, unsigned int n)
{
    w->bits |= value << w->n_bits;
    w->n_bits += n;
    while (w->n_bits >= 8) {
        byte_buf_put_u8(section(w, BATCH_TIME_BITS), (uint8_t) w->bits);
        w->bits >>= 8;
        w->n_bits -= 8;
    }
}

static void
put_time(struct agent_batch_writer *w, uint64_t time_ns)
{
    uint64_t diff = time_ns - w->previous_ns;
    uint64_t value = diff << 1 ^ (0 - (diff >> 63));
    unsigned int n = value ? 64 - (unsigned int) __builtin_clzll(value) : 0;

    byte_buf_put_u8(section(w, BATCH_TIME), (uint8_t) n);
    if (n > 1) {
        value ^= UINT64_C(1) << (n - 1);
        if (n > 33) {
            put_bits(w, value & 0xffffffff, 32);
            put_bits(w, value >> 32, n - 33);
        } else {
            put_bits(w, value, n - 1);
        }
    }
    w->previous_ns = time_ns;
}

/* All that is told of a postcard whatever its header is. */
static void
put_rest(struct agent_batch_writer *w, const struct agent_postcard *p,
         uint32_t op, uint32_t expected_len)
{
    if (p->packet_len != expected_len) {
        op |= OP_LEN;
        put_svarint(w, BATCH_LEN,
                    (int64_t) p->packet_len - (int64_t) expected_len);
    }
    if (p->kind == AGENT_POSTCARD_DROPPED) {
        op |= OP_DROPPED;
        put_uvarint(w, BATCH_KIND, p->reason);
    }
    put_time(w, p->time_ns);
    byte_buf_put_u8(section(w, BATCH_OP), (uint8_t) op);
}

/* Tells packet 'which' of 'n' if it is not the one expected. */
static uint32_t
tell_which(struct agent_batch_writer *w, uint32_t which, uint32_t n,
           uint32_t *next)
{
    bool is_expected = which == *next;

    *next = which + 1;
    if (is_expected) {
        return 0;
    }
    put_uvarint(w, BATCH_REF, n - 1 - which);
    return OP_WHICH;
}

/* --- Packets that are split ----------------------------------------------
 */

/* Of what is the same at all hops of a packet, and of few others. */
static uint64_t
packet_key(const uint8_t *data, size_t len, const struct header_split *split)
{
    const uint8_t *ip = data + split->l3_ofs, *l4 = data + split->l4_ofs;
    uint64_t a = split->kind, b = 0, c = 0, d = 0;
    size_t n_tail = len - split->tail_ofs;

    memcpy((uint8_t *) &a + 4,
           header_kind_is_ip4(split->kind) ? ip + 2 : ip + 4,
           header_kind_is_ip4(split->kind) ? 4 : 2);
    if (split->kind == HEADER_IP4_TCP || split->kind == HEADER_IP6_TCP) {
        memcpy(&b, l4 + 4, 8);
        memcpy(&c, l4 + 12, 4);
    }
    if (n_tail >= 16) {
        uint64_t e;

        memcpy(&e, data + split->tail_ofs, 8);
        memcpy(&d, data + split->tail_ofs + 8, 8);
        d ^= e * UINT64_C(0x9fb21c651e98df25);
    } else {
        memcpy(&d, data + split->tail_ofs, n_tail < 8 ? n_tail : 8);
    }
    a = (a ^ b * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xd6e8feb86659fd93);
    a ^= a >> 32;
    a = (a ^ c ^ d * UINT64_C(0xc2b2ae3d27d4eb4f)) *
        UINT64_C(0xd6e8feb86659fd93);
    return a ^ a >> 29;
}

/* Tries to tell the postcard as a hop of 'packet', which was met. */
static bool
put_ref(struct agent_batch_writer *w, const struct agent_postcard *p,
        const struct wanted *wanted, uint32_t which)
{
    struct batch_packet *packet = &w->packets[which];
    const struct header_split *split = wanted->split;
    const uint8_t *ip = packet->header + packet->l3_ofs;
    uint8_t made[AGENT_BATCH_MAX_CAPLEN];
    size_t fixed, n;
    uint32_t op = OP_REF, caplen, flow;

    fixed = (size_t) split->tail_ofs - split->l3_ofs;
    if (packet->kind != split->kind ||
        (size_t) packet->caplen - packet->l3_ofs < fixed) {
        return false;
    }

    /* First whether it is that packet, for flows are made for good. */
    const uint8_t *own_ip = p->header + split->l3_ofs;
    size_t own_len = (size_t) p->caplen - split->l3_ofs;
    size_t other_len = (size_t) packet->caplen - packet->l3_ofs;
    size_t common = own_len < other_len ? own_len : other_len;
    uint16_t sum_ofs = header_kind_l4_sum_ofs(split->kind);

    memcpy(made, ip, fixed);
    header_split_copy_varying(split->kind, own_ip, made);
    if (header_kind_is_ip4(split->kind)) {
        memcpy(made + 10, ip + 10, 2);
    }
    if (sum_ofs) {
        memcpy(made + sum_ofs, ip + sum_ofs, 2);
    }
    if (!bytes_equal(made, ip, fixed) ||
        memcmp(own_ip + fixed, ip + fixed, common - fixed) != 0) {
        return false;
    }

    op |= tell_which(w, which, w->n_packets, &w->next_ref);
    flow = tell_flow(w, wanted, &w->flows[packet->flow].after_hop, &op);
    w->flows[packet->flow].after_hop = flow;
    packet->flow = flow;
    caplen =
        batch_expect_caplen(&w->columns.block, split->l3_ofs, split->own_len);
    if (caplen != p->caplen) {
        op |= OP_CAPLEN;
        put_uvarint(w, BATCH_CAPLEN, p->caplen);
    }
    n = batch_make_hop(packet, &w->flows[w->first_flow[which]],
                       &w->flows[flow], p->caplen, made);
    if (!bytes_equal(made, p->header, split->tail_ofs)) {
        op |= OP_SUM;
        byte_buf_put(section(w, BATCH_SUM), own_ip + 10, 2);
        byte_buf_put(section(w, BATCH_SUM), own_ip + sum_ofs, 2);
    }
    if (n < p->caplen) {
        byte_buf_put(section(w, BATCH_EXTRA), p->header + n, p->caplen - n);
    }
    put_rest(
        w, p, op,
        batch_expect_len(&w->columns.block, split->l3_ofs, split->own_len));
    return true;
}

static void
put_new(struct agent_batch_writer *w, const struct agent_postcard *p,
        const struct wanted *wanted)
{
    const struct header_split *split = wanted->split;
    uint32_t none = UINT32_MAX;
    uint32_t *expected =
        w->last_new == UINT32_MAX ? &none : &w->flows[w->last_new].after_new;
    uint32_t op = OP_NEW;
    uint32_t flow = tell_flow(w, wanted, expected, &op);
    struct column_row row = {.l3_len = (uint16_t) (p->caplen - split->l3_ofs),
                             .ip = p->header + split->l3_ofs};

    *expected = flow;
    w->last_new = flow;
    w->first_flow[w->n_packets] = flow;
    w->packets[w->n_packets++] =
        (struct batch_packet){.header = p->header,
                              .flow = flow,
                              .caplen = p->caplen,
                              .kind = (uint16_t) split->kind,
                              .l3_ofs = split->l3_ofs};
    column_writer_put_packet(&w->columns, batch_flow_row(&w->flows[flow]),
                             &row);
    put_rest(
        w, p, op,
        batch_expect_len(&w->columns.block, split->l3_ofs, split->own_len));
}

static void
put_split(struct agent_batch_writer *w, const struct agent_postcard *p,
          const struct header_split *split)
{
    uint32_t i = (uint32_t) packet_key(p->header, p->caplen, split);
    uint16_t *bucket = &w->packet_buckets[i & (N_BUCKETS - 1)];
    struct wanted wanted;

    wanted.template = p->template;
    wanted.split = split;
    header_split_constant(p->header, split, wanted.constant);
    if (!*bucket || !put_ref(w, p, &wanted, *bucket - 1u)) {
        put_new(w, p, &wanted);
        *bucket = (uint16_t) w->n_packets; /* What it was is forgotten. */
    }
}

/* --- Packets that are not ------------------------------------------------
 */

static void
put_plain(struct agent_batch_writer *w, const struct agent_postcard *p)
{
    uint32_t i = (uint32_t) XXH3_64bits(p->header, p->caplen);
    uint16_t *bucket = &w->plain_buckets[i & (N_BUCKETS - 1)];
    uint32_t template = find_template(w, p->template);
    uint32_t op = OP_SAME;

    if (*bucket && w->plain[*bucket - 1].caplen == p->caplen &&
        !memcmp(w->plain[*bucket - 1].header, p->header, p->caplen)) {
        op |= tell_which(w, *bucket - 1u, w->n_plain, &w->next_same);
    } else {
        op = OP_PLAIN;
        put_uvarint(w, BATCH_PLAIN_LEN, p->caplen);
        byte_buf_put(section(w, BATCH_PLAIN), p->header, p->caplen);
        w->plain[w->n_plain].header = p->header;
        w->plain[w->n_plain].caplen = p->caplen;
        *bucket = (uint16_t) ++w->n_plain;
    }
    if (template != w->plain_template) {
        op |= OP_FLOW;
        put_uvarint(w, BATCH_FLOW, template);
        w->plain_template = template;
    }
    put_rest(w, p, op, p->caplen);
}

/* --- Interface -----------------------------------------------------------
 */

bool
agent_batch_writer_is_full(const struct agent_batch_writer *w)
{
    return w->n == AGENT_BATCH_MAX ||
           (w->n &&
            w->arena_len + AGENT_BATCH_MAX_CAPLEN > AGENT_BATCH_MAX_BYTES);
}

bool
agent_batch_writer_add(struct agent_batch_writer *w,
                       const struct agent_postcard *postcard)
{
    struct agent_postcard p = *postcard;
    struct header_split split;

    assert(p.caplen <= AGENT_BATCH_MAX_CAPLEN);
    if (agent_batch_writer_is_full(w)) {
        return false;
    }
    /* Only the copy is looked at: the switch may be writing there. */
    p.header = w->arena + w->arena_len;
    if (p.caplen) {
        memcpy(w->arena + w->arena_len, postcard->header, p.caplen);
    }
    w->arena_len += p.caplen;
    if (p.caplen > w->longest) {
        w->longest = p.caplen;
    }
    if (header_split(p.header, p.caplen, &split) &&
        split.l3_ofs <= BATCH_MAX_L3) {
        put_split(w, &p, &split);
    } else {
        put_plain(w, &p);
    }
    if (!w->n || p.time_ns < w->first_ns) {
        w->first_ns = p.time_ns;
    }
    if (!w->n || p.time_ns > w->last_ns) {
        w->last_ns = p.time_ns;
    }
    w->n++;
    return true;
}

uint32_t
agent_batch_writer_n(const struct agent_batch_writer *w)
{
    return w->n;
}

void
agent_batch_writer_finish(struct agent_batch_writer *w, struct byte_buf *out,
                          struct agent_batch_stats *stats)
{
    byte_buf_clear(&w->table);
    byte_buf_clear(&w->body);
    if (w->n_bits) {
        byte_buf_put_u8(section(w, BATCH_TIME_BITS), (uint8_t) w->bits);
    }
    column_writer_end(&w->columns);
    for (unsigned int i = COLUMN_CONTROL; i < N_COLUMNS; i++) {
        agent_sections_put(w->compressor, i, &w->columns.columns[i], &w->table,
                           &w->body);
    }
    for (unsigned int i = N_COLUMNS; i < N_BATCH_SECTIONS; i++) {
        agent_sections_put(w->compressor, i, section(w, i), &w->table,
                           &w->body);
    }
    byte_buf_put_u8(out, BATCH_VERSION);
    byte_buf_put_uvarint(out, w->snap);
    byte_buf_put_uvarint(out, w->arena_len);
    byte_buf_put_uvarint(out, w->n_templates);
    byte_buf_put_uvarint(out, w->n_flows);
    byte_buf_put_uvarint(out, w->n_packets);
    byte_buf_put_uvarint(out, w->n_plain);
    byte_buf_put_uvarint(out, w->table.len);
    byte_buf_put(out, w->table.data, w->table.len);
    byte_buf_put(out, w->body.data, w->body.len);
    *stats = (struct agent_batch_stats){w->n, w->first_ns, w->last_ns};
    begin(w);
}
