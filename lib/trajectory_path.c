/* SPDX-License-Identifier: Apache-2.0 */
/* trajectory_path - how, along one way through the network, every header
 * follows from the one captured at the first hop. */
#include <config.h>

#include "lib/trajectory_path.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/inet_sum.h"
#include "lib/lh_alloc.h"
#include "lib/trajectory_path_impl.h"

/* --- The fixed headers. ---------------------------------------------------
 */

bool
path_has_ports(enum header_kind kind)
{
    return kind == HEADER_IP4_TCP || kind == HEADER_IP4_UDP ||
           kind == HEADER_IP6_TCP || kind == HEADER_IP6_UDP ||
           kind == HEADER_IP4_PORTS || kind == HEADER_IP6_PORTS;
}

size_t
path_words(enum header_kind kind, struct path_word words[PATH_MAX_WORDS])
{
    bool is_ip4 = header_kind_is_ip4(kind), has_sum;
    uint8_t addresses = is_ip4 ? 12 : 8, end = is_ip4 ? 20 : 40;
    size_t n = 0;

    has_sum = header_kind_l4_sum_ofs(kind) && kind != HEADER_IP4_ICMP;
    words[n++] = (struct path_word){0, is_ip4, false, false};
    if (is_ip4) {
        words[n++] = (struct path_word){6, true, false, false};
        words[n++] = (struct path_word){8, true, false, true};
    } else {
        words[n++] = (struct path_word){2, false, false, false};
        words[n++] = (struct path_word){6, false, false, true};
    }
    for (uint8_t ofs = addresses; ofs < end; ofs = (uint8_t) (ofs + 2)) {
        words[n++] = (struct path_word){ofs, is_ip4, has_sum, false};
    }
    if (path_has_ports(kind)) {
        words[n++] = (struct path_word){end, false, has_sum, false};
        words[n++] =
            (struct path_word){(uint8_t) (end + 2), false, has_sum, false};
    }
    return n;
}

/* IPv4 has its TTL in the upper byte of its word, IPv6 in the lower. */
uint16_t
path_ttl_one(enum header_kind kind)
{
    return header_kind_is_ip4(kind) ? 0x100 : 1;
}

static uint8_t
ttl_of(enum header_kind kind, const uint8_t *ip)
{
    return header_kind_is_ip4(kind) ? ip[8] : ip[7];
}

/* --- Applying. ------------------------------------------------------------
 */

uint16_t
path_edit_apply(const struct path_edit *edit, uint16_t word)
{
    return (uint16_t) (((word & edit->keep) | edit->value) - edit->minus);
}

/* As path_correct_sum() for UDP, where 0 is no checksum and a sum of 0 is sent
 * as all ones. */
static bool
correct_udp_sum(uint8_t *sum, uint16_t diff)
{
    return !bytes_be16(sum) ||
           (path_correct_sum(sum, diff) && bytes_be16(sum));
}

/* Writes the fixed part of the header, up to the tail, into 'out'.  False when
 * a checksum is in doubt. */
static bool
view_fix(const struct trajectory_path *path, const struct path_view *v,
         const uint8_t *ref, uint8_t *out)
{
    enum header_kind kind = path->split.kind;
    const uint8_t *ip = ref + path->split.l3_ofs;
    uint8_t *out_ip = out + v->l3_ofs;
    uint16_t ip_diff = 0, l4_diff = 0;
    bool has_ip = false, has_l4 = false, is_sure = true;

    memcpy(out, ref, PATH_MACS_LEN);
    if (v->has_macs) {
        for (size_t i = 0; i < PATH_MACS_LEN; i++) {
            out[i] = (uint8_t) ((ref[i] & v->mac_keep[i]) | v->mac_value[i]);
        }
    }
    memcpy(out + PATH_MACS_LEN, v->l2 + PATH_MACS_LEN,
           (size_t) v->l3_ofs - PATH_MACS_LEN);
    memcpy(out_ip, ip, header_kind_fixed_len(kind));
    for (size_t i = 0; i < v->n_edits; i++) {
        const struct path_edit *edit = &v->edits[i];
        uint16_t before = bytes_be16(ip + edit->word.ofs);
        uint16_t after = path_edit_apply(edit, before);
        uint16_t diff = inet_sum_add((uint16_t) ~before, after);

        bytes_put_be16(out_ip + edit->word.ofs, after);
        if (edit->word.is_in_ip && before != after) {
            ip_diff = inet_sum_add(ip_diff, diff);
            has_ip = true;
        }
        if (edit->word.is_in_l4 && before != after) {
            l4_diff = inet_sum_add(l4_diff, diff);
            has_l4 = true;
        }
    }
    if (has_ip) {
        is_sure &=
            path_correct_sum(out_ip + header_kind_ip_sum_ofs(kind), ip_diff);
    }
    if (has_l4) {
        uint8_t *sum = out_ip + header_kind_l4_sum_ofs(kind);

        is_sure &= kind == HEADER_IP4_UDP || kind == HEADER_IP6_UDP
                       ? correct_udp_sum(sum, l4_diff)
                       : path_correct_sum(sum, l4_diff);
    }
    return is_sure;
}

static uint16_t
view_l3_len(const struct path_view *v, uint16_t l3_len)
{
    return l3_len < v->l3_limit ? l3_len : v->l3_limit;
}

static bool
view_predicts(const struct trajectory_path *path, const struct path_view *v,
              const uint8_t *ref, size_t ref_len, const uint8_t *header,
              size_t len)
{
    uint8_t fixed[TRAJECTORY_MAX_HEADER];
    uint16_t fixed_len = header_kind_fixed_len(path->split.kind);
    uint16_t want = view_l3_len(v, (uint16_t) (ref_len - path->split.l3_ofs));

    if (len != (size_t) v->l3_ofs + want) {
        return false;
    }
    if (v->is_plain) {
        return path_plain_predicts(path->split.kind, path->split.l3_ofs,
                                   v->minus, ref, header, len);
    }
    return view_fix(path, v, ref, fixed) &&
           !memcmp(fixed, header, (size_t) v->l3_ofs + fixed_len) &&
           !memcmp(ref + path->split.tail_ofs, header + v->l3_ofs + fixed_len,
                   (size_t) (want - fixed_len));
}

/* --- Learning from the model. ---------------------------------------------
 */

void
path_view_add_edit(struct path_view *v, const struct path_edit *edit)
{
    v->edits = lh_alloc_array(v->edits, v->n_edits + 1, sizeof v->edits[0]);
    v->edits[v->n_edits++] = *edit;
}

void
path_view_uninit(struct path_view *v)
{
    free(v->edits);
}

/* Learns how 'header' of the model follows from the reference's, both as they
 * are. */
static bool
view_learn(const struct trajectory_path *path, struct path_view *v,
           const uint8_t *header, size_t len)
{
    const uint8_t *ref = path->model->hops[path->reference].header;
    const uint8_t *ip = ref + path->split.l3_ofs, *out_ip;
    struct path_word words[PATH_MAX_WORDS];
    size_t n = path_words(path->split.kind, words), l3_len;
    struct header_split split;

    if (len > TRAJECTORY_MAX_HEADER || !header_split(header, len, &split) ||
        split.kind != path->split.kind) {
        return false;
    }
    l3_len = len - split.l3_ofs;
    if (l3_len > path->l3_len) {
        return false;
    }
    v->is_there = true;
    v->l2 = header;
    v->l3_ofs = split.l3_ofs;
    v->l3_limit = l3_len < path->l3_len ? (uint16_t) l3_len : PATH_NO_LIMIT;
    v->has_macs = memcmp(ref, header, PATH_MACS_LEN) != 0;
    memcpy(v->mac_value, header, PATH_MACS_LEN);
    out_ip = header + v->l3_ofs;
    for (size_t i = 0; i < n; i++) {
        struct path_edit edit = {.word = words[i],
                                 .value = bytes_be16(out_ip + words[i].ofs)};

        if (edit.value != bytes_be16(ip + words[i].ofs)) {
            path_view_add_edit(v, &edit);
        }
    }
    return true;
}

/* The hop that shows most of the packet. */
static bool
find_reference(struct trajectory_path *path)
{
    const struct history *h = path->model;
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
            path->reference = i;
            path->split = split;
        }
    }
    path->l3_len = (uint16_t) most;
    path->is_clipped = most < path->split.own_len;
    return true;
}

bool
path_is_right(const struct trajectory_path *path)
{
    size_t n = path->model->n_hops;
    const struct history_hop *ref = &path->model->hops[path->reference];

    for (size_t i = 0; i < n; i++) {
        const struct history_hop *hop = &path->model->hops[i];

        if (!view_predicts(path, &path->views[i], ref->header, ref->caplen,
                           hop->header, hop->caplen) ||
            (hop->has_header_out &&
             !view_predicts(path, &path->views[n + i], ref->header,
                            ref->caplen, hop->header_out,
                            hop->header_out_len))) {
            return false;
        }
    }
    return true;
}

/* Which header_outs need no look of their own: what the next hop shows is
 * looked at. */
static void
mark_shown(struct trajectory_path *path)
{
    const struct history *h = path->model;

    for (size_t i = 0; i < h->n_hops; i++) {
        const struct history_hop *hop = &h->hops[i], *before;

        if (hop->parent < 0) {
            continue;
        }
        before = &h->hops[hop->parent];
        if (before->has_header_out && before->header_out_len == hop->caplen &&
            !memcmp(before->header_out, hop->header, hop->caplen)) {
            path->views[h->n_hops + (size_t) hop->parent].is_shown = true;
        }
    }
}

static bool
learn(struct trajectory_path *path)
{
    size_t n = path->model->n_hops;

    if (!find_reference(path)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const struct history_hop *hop = &path->model->hops[i];

        if (!view_learn(path, &path->views[i], hop->header, hop->caplen) ||
            (hop->has_header_out &&
             !view_learn(path, &path->views[n + i], hop->header_out,
                         hop->header_out_len))) {
            return false;
        }
    }
    mark_shown(path);
    return path_is_right(path);
}

/* Makes a path of 'model', which is to be its own or to stay. */
static struct trajectory_path *
create(const struct history *model, bool is_own)
{
    struct trajectory_path *path;

    if (!model->has_packet_id || model->carries || model->carried_by ||
        !model->n_hops || model->n_hops > TRAJECTORY_MAX_HOPS) {
        return NULL;
    }
    path = lh_alloc_zero(sizeof *path +
                         2 * model->n_hops * sizeof path->views[0]);
    path->n_refs = 1;
    path->own = is_own ? history_clone(model) : NULL;
    path->model = is_own ? path->own : model;
    if (!learn(path)) {
        trajectory_path_unref(path);
        return NULL;
    }
    return path;
}

struct trajectory_path *
trajectory_path_create(const struct history *model)
{
    return create(model, true);
}

struct trajectory_path *
trajectory_path_borrow(const struct history *model)
{
    return create(model, false);
}

struct trajectory_path *
trajectory_path_ref(struct trajectory_path *path)
{
    path->n_refs++;
    return path;
}

void
trajectory_path_unref(struct trajectory_path *path)
{
    if (path && !--path->n_refs) {
        for (size_t i = 0; i < 2 * path->model->n_hops; i++) {
            path_view_uninit(&path->views[i]);
        }
        history_destroy(path->own);
        free(path);
    }
}

/* --- Packets. -------------------------------------------------------------
 */

const struct history *
trajectory_path_model(const struct trajectory_path *path)
{
    return path->model;
}

size_t
trajectory_path_n_hops(const struct trajectory_path *path)
{
    return path->model->n_hops;
}

size_t
trajectory_path_reference(const struct trajectory_path *path)
{
    return path->reference;
}

const struct header_split *
trajectory_path_split(const struct trajectory_path *path)
{
    return &path->split;
}

void
path_note_plain(struct trajectory_path *path)
{
    const uint8_t *ref = path->model->hops[path->reference].header;

    for (size_t i = 0; i < 2 * path->model->n_hops; i++) {
        struct path_view *v = &path->views[i];
        const struct path_edit *edit = v->edits;

        v->is_plain =
            v->is_there && !v->has_macs && v->l3_ofs == path->split.l3_ofs &&
            !memcmp(v->l2 + PATH_MACS_LEN, ref + PATH_MACS_LEN,
                    (size_t) v->l3_ofs - PATH_MACS_LEN) &&
            (v->n_edits == 0 ||
             (v->n_edits == 1 && edit->word.has_ttl && edit->keep == 0xffff));
        v->minus = v->is_plain && v->n_edits ? edit->minus : 0;
    }
}

/* What all flows of the path share. */
static bool
is_alike(const struct trajectory_path *path, const uint8_t *ref)
{
    const uint8_t *model = path->model->hops[path->reference].header;
    const struct header_split *split = &path->split;
    bool is_icmp =
        split->kind == HEADER_IP4_ICMP || split->kind == HEADER_IP6_ICMP;
    size_t proto = split->l3_ofs + (header_kind_is_ip4(split->kind) ? 9u : 6u);

    return !memcmp(ref + PATH_MACS_LEN, model + PATH_MACS_LEN,
                   (size_t) split->l3_ofs - PATH_MACS_LEN) &&
           ref[proto] == model[proto] &&
           (!is_icmp ||
            !memcmp(ref + split->l4_ofs, model + split->l4_ofs, 2));
}

/* True when an IP checksum that is corrected is in doubt. */
static bool
is_sum_in_doubt(const struct trajectory_path *path, const uint8_t *ref)
{
    return header_kind_is_ip4(path->split.kind) &&
           bytes_be16(ref + path->split.l3_ofs + 10) == 0xffff;
}

bool
trajectory_path_takes(const struct trajectory_path *path, const uint8_t *ref,
                      size_t ref_len)
{
    uint8_t fixed[TRAJECTORY_MAX_HEADER];
    struct header_split split;
    uint16_t l3_len;

    if (ref_len > TRAJECTORY_MAX_HEADER ||
        !header_split(ref, ref_len, &split) ||
        split.kind != path->split.kind || split.l3_ofs != path->split.l3_ofs ||
        !is_alike(path, ref)) {
        return false;
    }
    l3_len = (uint16_t) (ref_len - split.l3_ofs);
    if ((l3_len < split.own_len) != path->is_clipped ||
        (path->is_clipped && l3_len != path->l3_len) ||
        ttl_of(split.kind, ref + split.l3_ofs) <= path->max_minus) {
        return false;
    }
    for (size_t i = path->model->n_hops; i < 2 * path->model->n_hops; i++) {
        const struct path_view *v = &path->views[i];

        if (!v->is_there || v->is_shown) {
            continue;
        }
        if (v->is_plain ? v->minus && is_sum_in_doubt(path, ref)
                        : !view_fix(path, v, ref, fixed)) {
            return false;
        }
    }
    return true;
}

bool
trajectory_path_predicts(const struct trajectory_path *path, size_t hop,
                         const uint8_t *ref, size_t ref_len,
                         const uint8_t *header, size_t len)
{
    assert(hop < path->model->n_hops && ref_len >= path->split.tail_ofs);
    return view_predicts(path, &path->views[hop], ref, ref_len, header, len);
}

struct trajectory_path_mark *
trajectory_path_mark(const struct trajectory_path *path)
{
    return (struct trajectory_path_mark *) &path->mark;
}

struct trajectory_path_mark *
trajectory_path_filter_mark(const struct trajectory_path *path)
{
    return (struct trajectory_path_mark *) &path->filter_mark;
}
/* Makes '*bytes', of '*len', the header that the view shows. */
static void
view_fill(const struct trajectory_path *path, const struct path_view *v,
          const uint8_t *ref, size_t ref_len, uint8_t **bytes, uint16_t *len)
{
    uint16_t fixed_len = header_kind_fixed_len(path->split.kind);
    uint16_t want = view_l3_len(v, (uint16_t) (ref_len - path->split.l3_ofs));
    uint16_t new_len = (uint16_t) (v->l3_ofs + want);

    if (new_len > *len) {
        *bytes = lh_alloc_array(*bytes, new_len, 1);
    }
    *len = new_len;
    view_fix(path, v, ref, *bytes);
    memcpy(*bytes + v->l3_ofs + fixed_len, ref + path->split.tail_ofs,
           (size_t) (want - fixed_len));
}

void
trajectory_path_fill(const struct trajectory_path *path, const uint8_t *ref,
                     size_t ref_len, struct history *h)
{
    size_t n = path->model->n_hops;

    assert(h->n_hops == n && ref_len >= path->split.tail_ofs);
    for (size_t i = 0; i < n; i++) {
        struct history_hop *hop = &h->hops[i];

        view_fill(path, &path->views[i], ref, ref_len, &hop->header,
                  &hop->caplen);
        if (hop->has_header_out) {
            view_fill(path, &path->views[n + i], ref, ref_len,
                      &hop->header_out, &hop->header_out_len);
        }
    }
}
