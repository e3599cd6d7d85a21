/* SPDX-License-Identifier: Apache-2.0 */
/* trajectory_shape - all of a trajectory that is not of its flow alone. */
#include <config.h>

#include "lib/trajectory_shape.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/inet_sum.h"
#include "lib/lh_alloc.h"
#include "lib/trajectory_shape_impl.h"

#define NO_LIMIT   UINT16_MAX
#define MACS_LEN   12
#define MAX_L3_OFS 64 /* Tags and labels. */

struct place {
    uint8_t ofs, len;     /* From the L3 header on; no length: there is
                           * none. */
    const uint8_t *masks; /* The field's bits, if not all; 'len' bytes. */
};

struct kind_places {
    struct place fields[N_FIELDS - N_L2_FIELDS];
    uint8_t ttl;
    uint8_t n_addr;
};

static const uint8_t ip4_dscp[2] = {0x00, 0xfc}, ip4_ecn[2] = {0x00, 0x03};
static const uint8_t ip6_dscp[2] = {0x0f, 0xc0}, ip6_ecn[2] = {0x00, 0x30};
static const uint8_t ip6_label[4] = {0x00, 0x0f, 0xff, 0xff};

#define IP4_PLACES                                                            \
    {0, 2, ip4_dscp}, {0, 2, ip4_ecn}, {6, 2, NULL}, {9, 1, NULL},            \
        {12, 4, NULL},                                                        \
    {                                                                         \
        16, 4, NULL                                                           \
    }
#define IP6_PLACES                                                            \
    {0, 2, ip6_dscp}, {0, 2, ip6_ecn}, {0, 4, ip6_label}, {6, 1, NULL},       \
        {8, 16, NULL},                                                        \
    {                                                                         \
        24, 16, NULL                                                          \
    }
#define NO_PLACE                                                              \
    {                                                                         \
        0, 0, NULL                                                            \
    }
#define PORTS(AT)                                                             \
    {AT, 2, NULL},                                                            \
    {                                                                         \
        AT + 2, 2, NULL                                                       \
    }
#define TYPE(AT) {AT, 2, NULL}, NO_PLACE
#define NOTHING  NO_PLACE, NO_PLACE

static const struct kind_places kinds[N_HEADER_KINDS] = {
    [HEADER_IP4_TCP] = {{IP4_PLACES, PORTS(20)}, 8, 4},
    [HEADER_IP4_UDP] = {{IP4_PLACES, PORTS(20)}, 8, 4},
    [HEADER_IP4_ICMP] = {{IP4_PLACES, TYPE(20)}, 8, 4},
    [HEADER_IP4_OTHER] = {{IP4_PLACES, NOTHING}, 8, 4},
    [HEADER_IP6_TCP] = {{IP6_PLACES, PORTS(40)}, 7, 16},
    [HEADER_IP6_UDP] = {{IP6_PLACES, PORTS(40)}, 7, 16},
    [HEADER_IP6_ICMP] = {{IP6_PLACES, TYPE(40)}, 7, 16},
    [HEADER_IP6_OTHER] = {{IP6_PLACES, NOTHING}, 7, 16},
    [HEADER_IP4_PORTS] = {{IP4_PLACES, PORTS(20)}, 8, 4},
    [HEADER_IP6_PORTS] = {{IP6_PLACES, PORTS(40)}, 7, 16},
};

/* --- Flows -------------------------------------------------------------- */

static uint16_t
l4_ofs(enum header_kind kind)
{
    return header_kind_is_ip4(kind) ? 20 : 40;
}

void
flow_bytes_init(struct flow_bytes *flow, enum header_kind kind,
                uint16_t l3_ofs)
{
    const struct place *l4 = &kinds[kind].fields[6];

    flow->n_cold = (uint8_t) (l3_ofs + 6);
    flow->n_addr = kinds[kind].n_addr;
    flow->n_ports = (uint8_t) (l4[0].len + l4[1].len);
}

void
flow_bytes_take(struct flow_bytes *flow, enum header_kind kind,
                uint16_t l3_ofs, const uint8_t *header)
{
    const uint8_t *ip = header + l3_ofs;
    uint8_t *cold = flow->cold + l3_ofs;

    flow_bytes_init(flow, kind, l3_ofs);
    memcpy(flow->cold, header, l3_ofs);
    if (header_kind_is_ip4(kind)) {
        memcpy(cold, ip, 2);
        memcpy(cold + 2, ip + 6, 4);
        memcpy(flow->addrs[0], ip + 12, 4);
        memcpy(flow->addrs[1], ip + 16, 4);
    } else {
        memcpy(cold, ip, 4);
        memcpy(cold + 4, ip + 6, 2);
        memcpy(flow->addrs[0], ip + 8, 16);
        memcpy(flow->addrs[1], ip + 24, 16);
    }
    memcpy(flow->ports, ip + l4_ofs(kind), flow->n_ports);
}

void
flow_bytes_fill(const struct flow_bytes *flow, enum header_kind kind,
                uint16_t l3_ofs, uint8_t *header)
{
    uint8_t *ip = header + l3_ofs;
    const uint8_t *cold = flow->cold + l3_ofs;

    memcpy(header, flow->cold, l3_ofs);
    if (header_kind_is_ip4(kind)) {
        memcpy(ip, cold, 2);
        memcpy(ip + 6, cold + 2, 4);
        memcpy(ip + 12, flow->addrs[0], 4);
        memcpy(ip + 16, flow->addrs[1], 4);
    } else {
        memcpy(ip, cold, 4);
        memcpy(ip + 6, cold + 4, 2);
        memcpy(ip + 8, flow->addrs[0], 16);
        memcpy(ip + 24, flow->addrs[1], 16);
    }
    memcpy(ip + l4_ofs(kind), flow->ports, flow->n_ports);
}

/* --- Checksums ---------------------------------------------------------- */

/* What is to be added to a checksum, in ones' complement, because of 'n' bytes
 * that were 'before' and are 'after'. */
static uint16_t
add_change(uint16_t diff, const uint8_t *before, const uint8_t *after,
           size_t n)
{
    for (size_t i = 0; i < n; i += 2) {
        diff = inet_sum_add(diff, bytes_be16(before + i));
        diff = inet_sum_add(diff, (uint16_t) ~bytes_be16(after + i));
    }
    return diff;
}

/* A checksum that was 0 (RFC 1624). */
static void
put_sum(uint8_t *sum, uint16_t diff)
{
    bytes_put_be16(sum, diff == 0xffff ? 0 : diff);
}

/* Sets the checksums of 'ip' as they follow from those of 'ref', which are 0:
 * the one form of zero that can be corrected, and in UDP no checksum. */
static void
correct_sums(enum header_kind kind, const uint8_t *ref, uint8_t *ip)
{
    const struct kind_places *places = &kinds[kind];
    uint16_t l4_sum = header_kind_l4_sum_ofs(kind), diff = 0;
    uint8_t addrs = header_kind_is_ip4(kind) ? 12 : 8;

    if (header_kind_is_ip4(kind)) {
        diff = add_change(diff, ref, ip, 2);
        diff = add_change(diff, ref + 6, ip + 6, 4);
        diff = add_change(diff, ref + 12, ip + 12, 8);
        put_sum(ip + header_kind_ip_sum_ofs(kind), diff);
    }
    if (kind == HEADER_IP4_TCP || kind == HEADER_IP6_TCP ||
        kind == HEADER_IP6_ICMP) {
        size_t n_ports = places->fields[7].len ? 4 : 0;

        diff = add_change(0, ref + addrs, ip + addrs, places->n_addr * 2u);
        diff =
            add_change(diff, ref + l4_ofs(kind), ip + l4_ofs(kind), n_ports);
        put_sum(ip + l4_sum, diff);
    }
}

/* --- Describing --------------------------------------------------------- */

/* Of the reference, to which others are compared. */
struct reference {
    const uint8_t *header;
    uint16_t l3_ofs, l3_len;
    enum header_kind kind;
};

/* Appends the 'len' bytes at 'header', only the bits in 'masks' if there are
 * such, and sets the field's bit, if they are not the reference's. */
static void
put_field(struct byte_buf *out, const uint8_t *header, const uint8_t *ref,
          size_t len, const uint8_t *masks, unsigned int field, uint16_t *own)
{
    uint8_t differing = 0;

    for (size_t i = 0; i < len; i++) {
        uint8_t mask = masks ? masks[i] : 0xff;

        differing |= (uint8_t) ((header[i] ^ ref[i]) & mask);
    }
    if (!differing) {
        return;
    }
    *own = (uint16_t) (*own | 1u << field);
    for (size_t i = 0; i < len; i++) {
        byte_buf_put_u8(out, header[i] & (masks ? masks[i] : 0xff));
    }
}

/* Appends the description of a header, which header_split() splits at
 * 'l3_ofs'. */
static void
put_view(struct byte_buf *out, const struct reference *ref,
         const uint8_t *header, size_t len, uint16_t l3_ofs)
{
    const struct kind_places *places = &kinds[ref->kind];
    const uint8_t *ip = header + l3_ofs, *ref_ip = ref->header + ref->l3_ofs;
    uint16_t own = 0;
    size_t l3_len = len - l3_ofs;
    size_t start = out->len;

    byte_buf_extend(out, 8);
    put_field(out, header, ref->header, 6, NULL, 0, &own);
    put_field(out, header + 6, ref->header + 6, 6, NULL, 1, &own);
    if (l3_ofs != ref->l3_ofs) {
        own |= 1u << 2;
        byte_buf_put(out, header + MACS_LEN, (size_t) l3_ofs - MACS_LEN);
    } else {
        put_field(out, header + MACS_LEN, ref->header + MACS_LEN,
                  (size_t) l3_ofs - MACS_LEN, NULL, 2, &own);
    }
    for (unsigned int i = 0; i < N_FIELDS - N_L2_FIELDS; i++) {
        const struct place *p = &places->fields[i];

        put_field(out, ip + p->ofs, ref_ip + p->ofs, p->len, p->masks,
                  N_L2_FIELDS + i, &own);
    }

    uint8_t *p = out->data + start;

    p[0] = (uint8_t) ref->kind;
    p[1] = (uint8_t) (ip[places->ttl] - ref_ip[places->ttl]);
    bytes_put_be16(p + 2, l3_ofs);
    bytes_put_be16(p + 4, l3_len < ref->l3_len ? (uint16_t) l3_len : NO_LIMIT);
    bytes_put_be16(p + 6, own);
}

static struct reference
get_reference(const struct trajectory *t)
{
    const struct history *model = trajectory_model(t);
    const struct header_split *split = trajectory_split(t);
    const struct history_hop *hop = &model->hops[trajectory_reference(t)];

    return (struct reference){
        .header = hop->header,
        .l3_ofs = split->l3_ofs,
        .l3_len = (uint16_t) (hop->caplen - split->l3_ofs),
        .kind = split->kind,
    };
}

static void
put_header(struct byte_buf *out, const struct reference *ref,
           const uint8_t *header, size_t len)
{
    struct header_split split = {.l3_ofs = 0};
    bool is_split = header_split(header, len, &split);

    assert(is_split);
    put_view(out, ref, header, len, split.l3_ofs);
}

static void
put_verdict_key(struct byte_buf *key, const struct verdict *v)
{
    size_t n = v->reason ? strlen(v->reason) + 1 : 0;

    byte_buf_put_u8(key, (uint8_t) v->name);
    byte_buf_put_u8(key, (uint8_t) (v->evidence << 1 | v->has_version));
    byte_buf_put(key, &v->dpid, sizeof v->dpid);
    byte_buf_put(key, &v->port, sizeof v->port);
    byte_buf_put(key, &v->version, sizeof v->version);
    byte_buf_put(key, &n, sizeof n);
    byte_buf_put(key, v->reason, n);
}

static void
put_list_key(struct byte_buf *key, const uint32_t *values, size_t n)
{
    byte_buf_put(key, &n, sizeof n);
    byte_buf_put(key, values, n * sizeof *values);
}

void
trajectory_shape_put_key(const struct trajectory *t, struct byte_buf *key)
{
    const struct history *model = trajectory_model(t);
    struct reference ref = get_reference(t);

    byte_buf_put(key, &model->n_hops, sizeof model->n_hops);
    put_verdict_key(key, &model->verdict);
    for (size_t i = 0; i < model->n_hops; i++) {
        const struct history_hop *hop = &model->hops[i];
        uint8_t marks =
            (uint8_t) (hop->is_packet_out | hop->is_deduced << 1 |
                       hop->has_gap_before << 2 | hop->is_after << 3 |
                       hop->has_header_out << 4);

        byte_buf_put(key, &hop->parent, sizeof hop->parent);
        byte_buf_put(key, &hop->dpid, sizeof hop->dpid);
        byte_buf_put(key, &hop->in_port, sizeof hop->in_port);
        byte_buf_put_u8(key, marks);
        put_list_key(key, hop->out_ports, hop->n_out);
        put_list_key(key, hop->branches, hop->n_branches);
        put_list_key(key, hop->versions, hop->n_versions);
        put_verdict_key(key, &hop->verdict);
        put_header(key, &ref, hop->header, hop->caplen);
        if (hop->has_header_out) {
            put_header(key, &ref, hop->header_out, hop->header_out_len);
        }
    }
}

struct history *
trajectory_shape_describe(const struct trajectory *t)
{
    struct history *h = history_clone(trajectory_model(t));
    const struct history *model = trajectory_model(t);
    struct reference ref = get_reference(t);
    struct byte_buf buf = BYTE_BUF_INIT;

    h->packet_id = 0;
    for (size_t i = 0; i < h->n_hops; i++) {
        struct history_hop *hop = &h->hops[i];
        const struct history_hop *from = &model->hops[i];

        hop->time_ns = 0;
        byte_buf_clear(&buf);
        put_header(&buf, &ref, from->header, from->caplen);
        history_hop_set_header(hop, buf.data, buf.len);
        if (from->has_header_out) {
            byte_buf_clear(&buf);
            put_header(&buf, &ref, from->header_out, from->header_out_len);
            history_hop_set_header_out(hop, buf.data, buf.len);
        }
    }
    byte_buf_uninit(&buf);
    return h;
}

/* --- Models ------------------------------------------------------------- */

size_t
trajectory_shape_field_len(enum header_kind kind, uint16_t l3_ofs,
                           unsigned int field)
{
    if (field < 2) {
        return MACS_LEN / 2;
    }
    return field == 2 ? (size_t) l3_ofs - MACS_LEN
                      : kinds[kind].fields[field - N_L2_FIELDS].len;
}

/* Reads the description of one header. */
static bool
get_view(struct view *v, const uint8_t *data, size_t len,
         enum header_kind *kind)
{
    struct bytes_reader r = bytes_reader(data, len);
    size_t n = 0;

    *kind = (enum header_kind) bytes_get_u8(&r);
    v->ttl_diff = bytes_get_u8(&r);
    v->l3_ofs = bytes_get_u16(&r);
    v->l3_limit = bytes_get_u16(&r);
    v->own = bytes_get_u16(&r);
    if (r.failed || *kind >= N_HEADER_KINDS || v->l3_ofs < 14 ||
        v->l3_ofs > MAX_L3_OFS || v->own >> N_FIELDS ||
        v->l3_limit < header_kind_fixed_len(*kind) ||
        (v->l3_limit != NO_LIMIT && v->l3_limit >= TRAJECTORY_MAX_HEADER)) {
        return false;
    }
    for (unsigned int i = 0; i < N_FIELDS; i++) {
        n += v->own >> i & 1 ? trajectory_shape_field_len(*kind, v->l3_ofs, i)
                             : 0;
    }
    v->bytes = bytes_get(&r, n);
    return !r.failed && !bytes_left(&r);
}

static bool
get_views(struct trajectory_shape *s)
{
    const struct history *h = s->history;
    size_t n = h->n_hops, reference = n;
    enum header_kind kind;

    s->l3_len = 0;
    for (size_t i = 0; i < n; i++) {
        const struct history_hop *hop = &h->hops[i];

        if (!get_view(&s->views[i], hop->header, hop->caplen, &kind) ||
            (i && kind != s->kind)) {
            return false;
        }
        s->kind = kind;
        if (reference == n && s->views[i].l3_limit == NO_LIMIT) {
            reference = i;
        }
        if (hop->has_header_out &&
            (!get_view(&s->views[n + i], hop->header_out, hop->header_out_len,
                       &kind) ||
             kind != s->kind)) {
            return false;
        }
    }
    if (reference == n || s->views[reference].own ||
        s->views[reference].ttl_diff) {
        return false;
    }
    s->l3_ofs = s->views[reference].l3_ofs;
    s->l3_len = header_kind_fixed_len(s->kind);
    for (size_t i = 0; i < 2 * n; i++) {
        const struct view *v = &s->views[i];

        if (v->l3_ofs && v->l3_limit != NO_LIMIT && v->l3_limit >= s->l3_len) {
            s->l3_len = (uint16_t) (v->l3_limit + 1);
        }
        if (v->l3_ofs && v->l3_ofs != s->l3_ofs && !(v->own & 1u << 2)) {
            return false;
        }
    }
    return true;
}

bool
trajectory_shape_parse(struct trajectory_shape *s)
{
    const struct history *h = s->history;

    return h->n_hops && h->n_hops <= TRAJECTORY_MAX_HOPS && h->has_packet_id &&
           !h->carries && !h->carried_by && get_views(s);
}

static uint16_t
model_len(const struct trajectory_shape *s, const struct view *v)
{
    return (uint16_t) (v->l3_ofs +
                       (v->l3_limit < s->l3_len ? v->l3_limit : s->l3_len));
}

/* Room for the model's headers. */
static void
make_model(struct trajectory_shape *s)
{
    static const uint8_t zeros[TRAJECTORY_MAX_HEADER + MAX_L3_OFS];
    struct history *model = history_clone(s->history);

    for (size_t i = 0; i < model->n_hops; i++) {
        struct history_hop *hop = &model->hops[i];

        hop->time_ns = 1; /* A hop without one is none of a trajectory. */
        history_hop_set_header(hop, zeros, model_len(s, &s->views[i]));
        if (hop->has_header_out) {
            history_hop_set_header_out(
                hop, zeros, model_len(s, &s->views[model->n_hops + i]));
        }
    }
    s->model = model;
}

int
trajectory_shape_create(struct history *h, struct trajectory_shape **sp,
                        struct lh_error *error)
{
    struct trajectory_shape *s =
        lh_alloc_zero(sizeof *s + 2 * h->n_hops * sizeof s->views[0]);

    *sp = NULL;
    s->history = h;
    if (!trajectory_shape_parse(s)) {
        lh_error_set(error, "a shape describes no trajectory");
        trajectory_shape_destroy(s);
        return EBADMSG;
    }
    make_model(s);
    *sp = s;
    return 0;
}

void
trajectory_shape_destroy(struct trajectory_shape *s)
{
    if (s) {
        history_destroy(s->history);
        history_destroy(s->model);
        free(s);
    }
}

const struct history *
trajectory_shape_history(const struct trajectory_shape *s)
{
    return s->history;
}

enum header_kind
trajectory_shape_kind(const struct trajectory_shape *s)
{
    return s->kind;
}

uint16_t
trajectory_shape_l3_ofs(const struct trajectory_shape *s)
{
    return s->l3_ofs;
}

/* What the model's IP headers say is the packet's length: of a header that is
 * captured up to its ports only, all of that header at least. */
static uint16_t
model_own_len(const struct trajectory_shape *s)
{
    uint16_t least = s->kind == HEADER_IP4_PORTS   ? 40
                     : s->kind == HEADER_IP6_PORTS ? 60
                                                   : 0;

    return s->l3_len > least ? s->l3_len : least;
}

/* Writes the fixed part of one header of the model. */
static void
fill_view(const struct trajectory_shape *s, const struct view *v,
          const struct flow_bytes *flow, uint8_t *out)
{
    const struct kind_places *places = &kinds[s->kind];
    const uint8_t *bytes = v->bytes;
    uint8_t *ip = out + v->l3_ofs;
    uint8_t whole[FLOW_MAX_COLD + TRAJECTORY_MAX_HEADER];

    memset(whole + s->l3_ofs, 0, header_kind_fixed_len(s->kind));
    flow_bytes_fill(flow, s->kind, s->l3_ofs, whole);
    memcpy(out, whole, v->l3_ofs < s->l3_ofs ? v->l3_ofs : s->l3_ofs);
    memcpy(ip, whole + s->l3_ofs, header_kind_fixed_len(s->kind));
    for (unsigned int i = 0; i < N_FIELDS; i++) {
        size_t len = trajectory_shape_field_len(s->kind, v->l3_ofs, i);
        const struct place *p =
            i < N_L2_FIELDS ? NULL : &places->fields[i - N_L2_FIELDS];
        uint8_t *to = p ? ip + p->ofs : out + i * 6;

        if (v->own >> i & 1) {
            for (size_t k = 0; k < len; k++) {
                uint8_t mask = p && p->masks ? p->masks[k] : 0xff;

                to[k] = (uint8_t) ((to[k] & ~mask) | (bytes[k] & mask));
            }
            bytes += len;
        }
    }
    ip[places->ttl] = (uint8_t) (whole[s->l3_ofs + places->ttl] + v->ttl_diff);
    if (header_kind_is_ip4(s->kind)) {
        bytes_put_be16(ip + 2, model_own_len(s));
    } else {
        bytes_put_be16(ip + 4, (uint16_t) (model_own_len(s) - 40));
    }
    correct_sums(s->kind, whole + s->l3_ofs, ip);
}

const struct history *
trajectory_shape_model(struct trajectory_shape *s,
                       const struct flow_bytes *flow)
{
    struct history *model = s->model;

    for (size_t i = 0; i < model->n_hops; i++) {
        struct history_hop *hop = &model->hops[i];

        fill_view(s, &s->views[i], flow, hop->header);
        if (hop->has_header_out) {
            fill_view(s, &s->views[model->n_hops + i], flow, hop->header_out);
        }
    }
    return model;
}
