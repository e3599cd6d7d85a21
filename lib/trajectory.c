/* SPDX-License-Identifier: Apache-2.0 */
/* trajectory - what the histories of all packets of a flow on one way have in
 * common, and how little of a packet is needed to tell its own. */
#include <config.h>

#include "lib/trajectory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/lh_alloc.h"

#define NO_LIMIT UINT16_MAX

/* How one header of the model, captured or computed, follows from the
 * reference's. */
struct view {
    const uint8_t *model; /* In the model. */
    uint16_t l3_ofs;
    uint16_t l3_limit; /* Bytes from l3_ofs on at most. */
    uint16_t ip_diff;  /* Added, in ones' complement, to the checksums. */
    uint16_t l4_diff;
};

struct trajectory {
    unsigned int n_refs;
    struct trajectory_mark mark;
    struct history *model; /* Owned. */
    size_t reference;
    struct header_split split; /* Of the reference. */
    uint16_t l3_len;           /* Captured there, from l3_ofs on. */
    bool is_clipped;           /* Which is less than the packet had. */
    struct view views[];       /* Of each hop, then of each header_out. */
};

/* --- Checksums. -----------------------------------------------------------
 */

static bool
is_zero(uint16_t sum)
{
    return sum == 0 || sum == 0xffff;
}

static uint16_t
add_diff(uint16_t sum, uint16_t diff)
{
    uint32_t acc = (uint32_t) sum + diff;

    return (uint16_t) ((acc & 0xffff) + (acc >> 16));
}

/* The difference of two checksums.  False where it says nothing about other
 * packets: zero has two forms. */
static bool
find_diff(uint16_t from, uint16_t to, uint16_t *diffp)
{
    *diffp = 0;
    if (from == to) {
        return true;
    }
    *diffp = add_diff(to, (uint16_t) ~from);
    return !is_zero(from) && !is_zero(to);
}

/* True when the checksum that is 'sum' at the reference is certain where it
 * differs by 'diff'. */
static bool
is_certain(uint16_t sum, uint16_t diff)
{
    return !diff || (!is_zero(sum) && !is_zero(add_diff(sum, diff)));
}

/* --- Views. ---------------------------------------------------------------
 */

static uint16_t
sum_at(const uint8_t *ip, uint16_t ofs)
{
    return ofs ? bytes_be16(ip + ofs) : 0;
}

static uint16_t
ip_sum_ofs(enum header_kind kind)
{
    return header_kind_is_ip4(kind) ? 10 : 0;
}

static uint16_t
view_l3_len(const struct view *v, uint16_t l3_len)
{
    return l3_len < v->l3_limit ? l3_len : v->l3_limit;
}

/* Writes the fixed part of the header, up to the tail, into 'out'; 'ip' is
 * the reference's IP header. */
static void
view_fix(const struct trajectory *t, const struct view *v, const uint8_t *ip,
         uint8_t *out)
{
    enum header_kind kind = t->split.kind;
    uint16_t ip_sum = ip_sum_ofs(kind), l4_sum = header_kind_l4_sum_ofs(kind);
    uint8_t *out_ip = out + v->l3_ofs;

    memcpy(out, v->model, (size_t) v->l3_ofs + header_kind_fixed_len(kind));
    header_split_copy_varying(kind, ip, out_ip);
    if (v->ip_diff) {
        bytes_put_be16(out_ip + ip_sum,
                       add_diff(sum_at(ip, ip_sum), v->ip_diff));
    }
    if (v->l4_diff) {
        bytes_put_be16(out_ip + l4_sum,
                       add_diff(sum_at(ip, l4_sum), v->l4_diff));
    }
}

/* Learns how 'header' follows from the reference's header.  False when it
 * does not. */
static bool
view_init(const struct trajectory *t, struct view *v, const uint8_t *header,
          size_t len)
{
    const struct history_hop *ref = &t->model->hops[t->reference];
    const uint8_t *ip = ref->header + t->split.l3_ofs;
    uint16_t ip_sum = ip_sum_ofs(t->split.kind);
    uint16_t l4_sum = header_kind_l4_sum_ofs(t->split.kind);
    struct header_split split;
    size_t l3_len;

    if (len > TRAJECTORY_MAX_HEADER || !header_split(header, len, &split) ||
        split.kind != t->split.kind) {
        return false;
    }
    l3_len = len - split.l3_ofs;
    if (l3_len > t->l3_len) {
        return false;
    }
    *v = (struct view){
        .model = header,
        .l3_ofs = split.l3_ofs,
        .l3_limit = l3_len < t->l3_len ? (uint16_t) l3_len : NO_LIMIT,
    };
    return find_diff(sum_at(ip, ip_sum), sum_at(header + split.l3_ofs, ip_sum),
                     &v->ip_diff) &&
           find_diff(sum_at(ip, l4_sum), sum_at(header + split.l3_ofs, l4_sum),
                     &v->l4_diff);
}

static bool
view_predicts(const struct trajectory *t, const struct view *v,
              const uint8_t *ip, uint16_t l3_len, const uint8_t *header,
              size_t len)
{
    uint8_t fixed[TRAJECTORY_MAX_HEADER];
    uint16_t fixed_len = header_kind_fixed_len(t->split.kind);
    uint16_t want = view_l3_len(v, l3_len);

    if (len != (size_t) v->l3_ofs + want) {
        return false;
    }
    view_fix(t, v, ip, fixed);
    return !memcmp(fixed, header, (size_t) v->l3_ofs + fixed_len) &&
           !memcmp(ip + fixed_len, header + v->l3_ofs + fixed_len,
                   (size_t) (want - fixed_len));
}

/* --- Life. ----------------------------------------------------------------
 */

/* Views there are: each hop's, and those of header_outs, NULL where a hop has
 * none. */
static size_t
n_views(const struct trajectory *t)
{
    return 2 * t->model->n_hops;
}

/* The hop that shows most of the packet. */
static bool
find_reference(struct trajectory *t)
{
    const struct history *h = t->model;
    size_t most = 0;

    for (size_t i = 0; i < h->n_hops; i++) {
        const struct history_hop *hop = &h->hops[i];
        struct header_split split;

        if (hop->is_deduced || hop->has_gap_before || !hop->time_ns ||
            hop->caplen > TRAJECTORY_MAX_HEADER ||
            !header_split(hop->header, hop->caplen, &split)) {
            return false;
        }
        if ((size_t) hop->caplen - split.l3_ofs > most) {
            most = (size_t) hop->caplen - split.l3_ofs;
            t->reference = i;
            t->split = split;
        }
    }
    t->l3_len = (uint16_t) most;
    t->is_clipped = most < t->split.own_len;
    return true;
}

static bool
learn(struct trajectory *t)
{
    size_t n = t->model->n_hops;

    if (!find_reference(t)) {
        return false;
    }

    const struct history_hop *ref = &t->model->hops[t->reference];

    for (size_t i = 0; i < n; i++) {
        const struct history_hop *hop = &t->model->hops[i];

        if (!view_init(t, &t->views[i], hop->header, hop->caplen) ||
            (hop->has_header_out &&
             !view_init(t, &t->views[n + i], hop->header_out,
                        hop->header_out_len))) {
            return false;
        }
    }
    for (size_t i = 0; i < n; i++) {
        const struct history_hop *hop = &t->model->hops[i];
        const uint8_t *ip = ref->header + t->split.l3_ofs;

        if (!view_predicts(t, &t->views[i], ip, t->l3_len, hop->header,
                           hop->caplen) ||
            (hop->has_header_out &&
             !view_predicts(t, &t->views[n + i], ip, t->l3_len,
                            hop->header_out, hop->header_out_len))) {
            return false;
        }
    }
    return true;
}

struct trajectory *
trajectory_create(const struct history *model)
{
    struct trajectory *t;

    if (!model->has_packet_id || model->carries || model->carried_by ||
        !model->n_hops || model->n_hops > TRAJECTORY_MAX_HOPS) {
        return NULL;
    }
    t = lh_alloc_zero(sizeof *t + 2 * model->n_hops * sizeof t->views[0]);
    t->n_refs = 1;
    t->model = history_clone(model);
    if (!learn(t)) {
        trajectory_unref(t);
        return NULL;
    }
    return t;
}

struct trajectory *
trajectory_ref(struct trajectory *t)
{
    t->n_refs++;
    return t;
}

void
trajectory_unref(struct trajectory *t)
{
    if (t && !--t->n_refs) {
        history_destroy(t->model);
        free(t);
    }
}

const struct history *
trajectory_model(const struct trajectory *t)
{
    return t->model;
}

size_t
trajectory_n_hops(const struct trajectory *t)
{
    return t->model->n_hops;
}

size_t
trajectory_reference(const struct trajectory *t)
{
    return t->reference;
}

const struct header_split *
trajectory_split(const struct trajectory *t)
{
    return &t->split;
}

struct trajectory_mark *
trajectory_mark(struct trajectory *t)
{
    return &t->mark;
}

/* --- Packets. -------------------------------------------------------------
 */

/* The reference's header tells all: it shows as much of the packet as the
 * model's, and no checksum is in doubt. */
static bool
is_telling(const struct trajectory *t, const uint8_t *ref, size_t ref_len)
{
    const uint8_t *ip = ref + t->split.l3_ofs;
    uint16_t ip_sum = sum_at(ip, ip_sum_ofs(t->split.kind));
    uint16_t l4_sum = sum_at(ip, header_kind_l4_sum_ofs(t->split.kind));
    uint16_t l3_len = (uint16_t) (ref_len - t->split.l3_ofs);
    struct header_split split;

    if (!header_split(ref, ref_len, &split) || split.kind != t->split.kind ||
        split.l3_ofs != t->split.l3_ofs ||
        (l3_len < split.own_len) != t->is_clipped ||
        (t->is_clipped && l3_len != t->l3_len)) {
        return false;
    }
    for (size_t i = 0; i < n_views(t); i++) {
        const struct view *v = &t->views[i];

        if (v->model && (!is_certain(ip_sum, v->ip_diff) ||
                         !is_certain(l4_sum, v->l4_diff))) {
            return false;
        }
    }
    return true;
}

bool
trajectory_predicts(const struct trajectory *t, size_t hop, const uint8_t *ref,
                    size_t ref_len, const uint8_t *header, size_t len)
{
    assert(hop < t->model->n_hops);
    if (ref_len < t->split.tail_ofs || ref_len > TRAJECTORY_MAX_HEADER ||
        (hop == t->reference && !is_telling(t, ref, ref_len))) {
        return false;
    }
    return view_predicts(t, &t->views[hop], ref + t->split.l3_ofs,
                         (uint16_t) (ref_len - t->split.l3_ofs), header, len);
}

/* Makes '*bytes', of '*len', the header that the view shows. */
static void
view_fill(const struct trajectory *t, const struct view *v, const uint8_t *ip,
          uint16_t l3_len, uint8_t **bytes, uint16_t *len)
{
    uint16_t fixed_len = header_kind_fixed_len(t->split.kind);
    uint16_t want = view_l3_len(v, l3_len);
    uint16_t new_len = (uint16_t) (v->l3_ofs + want);

    if (new_len > *len) {
        *bytes = lh_alloc_array(*bytes, new_len, 1);
    }
    *len = new_len;
    view_fix(t, v, ip, *bytes);
    memcpy(*bytes + v->l3_ofs + fixed_len, ip + fixed_len,
           (size_t) (want - fixed_len));
}

void
trajectory_refill(const struct trajectory *t,
                  const struct trajectory_packet *packet, struct history *h)
{
    const uint8_t *ip = packet->header + t->split.l3_ofs;
    uint16_t l3_len = (uint16_t) (packet->caplen - t->split.l3_ofs);
    size_t n = t->model->n_hops;

    assert(h->n_hops == n && packet->caplen >= t->split.tail_ofs);
    h->packet_id = packet->packet_id;
    for (size_t i = 0; i < n; i++) {
        struct history_hop *hop = &h->hops[i];

        hop->time_ns = packet->times_ns[i];
        view_fill(t, &t->views[i], ip, l3_len, &hop->header, &hop->caplen);
        if (hop->has_header_out) {
            view_fill(t, &t->views[n + i], ip, l3_len, &hop->header_out,
                      &hop->header_out_len);
        }
    }
}

struct history *
trajectory_history(const struct trajectory *t,
                   const struct trajectory_packet *packet)
{
    struct history *h = history_clone(t->model);

    trajectory_refill(t, packet, h);
    return h;
}
