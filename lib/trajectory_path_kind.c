/* SPDX-License-Identifier: Apache-2.0 */
/* trajectory_path_kind - how the headers of one flow differ along a path. */
#include <config.h>

#include <string.h>

#include "lib/bytes.h"
#include "lib/trajectory_path_impl.h"

static uint64_t
add_bit(uint64_t kind, bool bit)
{
    return (kind ^ bit) * 0x9e3779b97f4a7c15ULL + 1;
}

/* Whether what the view sets of the 'n' bytes from 'ofs' on, which are one
 * field, is nothing or all of it. */
static bool
is_whole_field(const struct path_view *v, uint8_t ofs, uint8_t n)
{
    size_t n_set = 0;

    for (size_t i = 0; i < v->n_edits; i++) {
        const struct path_edit *edit = &v->edits[i];

        if (edit->keep != 0xffff && edit->word.ofs >= ofs &&
            edit->word.ofs < ofs + n) {
            n_set += 2;
        }
    }
    return !n_set || n_set == n;
}

/* The same of a MAC address. */
static bool
is_whole_mac(const uint8_t *keep)
{
    return (!keep[0] || keep[0] == 0xff) &&
           !memcmp(keep, keep + 1, PATH_MACS_LEN / 2 - 1);
}

static bool
has_whole_fields(const struct trajectory_path *path, const struct path_view *v)
{
    enum header_kind kind = path->split.kind;

    if (v->has_macs && (!is_whole_mac(v->mac_keep) ||
                        !is_whole_mac(v->mac_keep + PATH_MACS_LEN / 2))) {
        return false;
    }
    return header_kind_is_ip4(kind)
               ? is_whole_field(v, 12, 4) && is_whole_field(v, 16, 4)
               : is_whole_field(v, 8, 16) && is_whole_field(v, 24, 16);
}

/* What of the first word of an IP header is a field of its own: DSCP, ECN, the
 * upper bits of IPv6's flow label. */
static const uint16_t first_fields[2][3] = {
    {0x0fc0, 0x0030, 0x000f}, /* IPv6. */
    {0x00fc, 0x0003, 0},
};

/* The part of an edit that sets bits. */
static bool
edit_kind(const struct path_edit *edit, bool is_ip4, uint16_t before,
          uint64_t *kind)
{
    uint16_t set = (uint16_t) ~edit->keep;
    uint16_t change = before ^ path_edit_apply(edit, before);

    if (edit->word.ofs) {
        *kind = add_bit(*kind, change != 0);
        return set == 0xffff && !edit->word.has_ttl;
    }
    for (size_t i = 0; i < 3; i++) {
        uint16_t field = first_fields[is_ip4][i];

        if (set & field && (set & field) != field) {
            return false;
        }
        *kind = add_bit(*kind, (change & set & field) != 0);
    }
    return true;
}

/* True when a flow label is set whole or not at all. */
static bool
is_whole_label(const struct path_view *v)
{
    bool has_upper = false, has_lower = false;

    for (size_t i = 0; i < v->n_edits; i++) {
        const struct path_edit *edit = &v->edits[i];

        has_upper |= !edit->word.ofs && !(edit->keep & first_fields[0][2]);
        has_lower |= edit->word.ofs == 2 && edit->keep != 0xffff;
    }
    return has_upper == has_lower;
}

/* Whether the view shows each of its flows' bytes as they are, but for the
 * TTL: most do. */
static bool
sets_nothing(const struct path_view *v)
{
    bool sets = v->has_macs;

    for (size_t i = 0; i < v->n_edits; i++) {
        sets |= v->edits[i].keep != 0xffff;
    }
    return !sets;
}

/* The view's part of trajectory_path_flow_kind(). */
static bool
view_kind(const struct trajectory_path *path, const struct path_view *v,
          const uint8_t *ref, uint64_t *kind)
{
    const uint8_t *ip = ref + path->split.l3_ofs;
    bool is_ip4 = header_kind_is_ip4(path->split.kind);

    if (!has_whole_fields(path, v)) {
        return false;
    }
    for (size_t i = 0; v->has_macs && i < PATH_MACS_LEN; i++) {
        uint8_t after = (ref[i] & v->mac_keep[i]) | v->mac_value[i];

        *kind = add_bit(*kind, after != ref[i]);
    }
    for (size_t i = 0; i < v->n_edits; i++) {
        const struct path_edit *edit = &v->edits[i];

        if (edit->keep != 0xffff &&
            !edit_kind(edit, is_ip4, bytes_be16(ip + edit->word.ofs), kind)) {
            return false;
        }
    }
    return is_ip4 || is_whole_label(v);
}

bool
trajectory_path_flow_kind(const struct trajectory_path *path,
                          const uint8_t *ref, uint64_t *kindp)
{
    *kindp = 1;
    for (size_t i = 0; path->is_wide && i < 2 * path->model->n_hops; i++) {
        const struct path_view *v = &path->views[i];

        if (v->is_there && !sets_nothing(v) &&
            !view_kind(path, v, ref, kindp)) {
            return false;
        }
    }
    return true;
}

static void
clear_bytes(uint64_t bytes[2], size_t ofs, size_t n)
{
    for (; n && ofs < 128; ofs++, n--) {
        bytes[ofs / 64] &= ~(UINT64_C(1) << ofs % 64);
    }
}

/* The view's header is the reference's up to the tail, but for edits. */
static bool
is_level(const struct trajectory_path *path, const struct path_view *v)
{
    return v->l3_ofs == path->split.l3_ofs &&
           v->l3_limit >= path->split.tail_ofs - path->split.l3_ofs;
}

/* Takes out what the view does not show as it is at the reference. */
static void
clear_changed(const struct trajectory_path *path, const struct path_view *v,
              uint64_t bytes[2])
{
    const struct header_split *split = &path->split;
    uint16_t ip_sum = header_kind_ip_sum_ofs(split->kind);
    uint16_t l4_sum = header_kind_l4_sum_ofs(split->kind);

    if (!is_level(path, v)) {
        bytes[0] = bytes[1] = 0;
        return;
    }
    if (v->has_macs) {
        clear_bytes(bytes, 0, PATH_MACS_LEN);
    }
    for (size_t i = 0; i < v->n_edits; i++) {
        const struct path_edit *edit = &v->edits[i];
        size_t ofs = split->l3_ofs + (size_t) edit->word.ofs;
        uint16_t changed = (uint16_t) ~edit->keep | edit->minus;

        clear_bytes(bytes, ofs, changed & 0xff00 ? 1 : 0);
        clear_bytes(bytes, ofs + 1, changed & 0x00ff ? 1 : 0);
    }
    if (v->n_edits && ip_sum) {
        clear_bytes(bytes, (size_t) split->l3_ofs + ip_sum, 2);
    }
    if (v->n_edits && l4_sum) {
        clear_bytes(bytes, (size_t) split->l3_ofs + l4_sum, 2);
    }
}

static uint8_t
byte_of(const struct trajectory_path *path, const struct path_view *v,
        const uint8_t *ref, uint32_t ofs)
{
    uint32_t l3_ofs = path->split.l3_ofs;
    uint32_t word = (ofs - l3_ofs) & ~1u;

    if (ofs < PATH_MACS_LEN) {
        return v->has_macs ? (ref[ofs] & v->mac_keep[ofs]) | v->mac_value[ofs]
                           : ref[ofs];
    }
    if (ofs < l3_ofs) {
        return v->l2[ofs];
    }
    for (size_t i = 0; i < v->n_edits; i++) {
        if (v->edits[i].word.ofs == word) {
            uint16_t value =
                path_edit_apply(&v->edits[i], bytes_be16(ref + l3_ofs + word));

            return (uint8_t) ((ofs - l3_ofs) & 1 ? value : value >> 8);
        }
    }
    return ref[ofs];
}

bool
trajectory_path_load(const struct trajectory_path *path, size_t hop,
                     const uint8_t *ref, uint32_t ofs, uint32_t n,
                     uint32_t *value)
{
    const struct path_view *v = &path->views[hop];

    *value = 0;
    if (!is_level(path, v) || n > 4 || ofs > path->split.tail_ofs - n) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        *value = *value << 8 | byte_of(path, v, ref, ofs + i);
    }
    return true;
}

void
trajectory_path_kept(const struct trajectory_path *path, uint64_t bytes[2])
{
    bytes[0] = bytes[1] = UINT64_MAX;
    clear_bytes(bytes, path->split.tail_ofs, 128);
    if (path->split.l3_ofs > PATH_MACS_LEN + 2) { /* Tags: not looked into. */
        clear_bytes(bytes, PATH_MACS_LEN,
                    (size_t) path->split.l3_ofs - PATH_MACS_LEN);
    }
    for (size_t i = 0; i < path->model->n_hops; i++) {
        clear_changed(path, &path->views[i], bytes);
    }
}

bool
trajectory_path_keeps_tuple(const struct trajectory_path *path, size_t hop)
{
    const struct header_split *split = &path->split;
    const struct path_view *v = &path->views[hop];
    const uint8_t *ref = path->model->hops[path->reference].header;
    bool is_ip4 = header_kind_is_ip4(split->kind);
    uint32_t proto = split->l3_ofs + (is_ip4 ? 9u : 6u);
    uint32_t end = split->l4_ofs + (path_has_ports(split->kind) ? 4u : 0u);
    uint64_t bytes[2] = {UINT64_MAX, UINT64_MAX};
    bool keeps;

    clear_changed(path, v, bytes);
    keeps = is_level(path, v) && end <= split->tail_ofs &&
            !memcmp(v->l2 + PATH_MACS_LEN, ref + PATH_MACS_LEN,
                    (size_t) split->l3_ofs - PATH_MACS_LEN) &&
            header_split_has_bytes(bytes, proto, 1);
    for (uint32_t ofs = split->l3_ofs + (is_ip4 ? 12u : 8u); ofs < end;
         ofs += 4) {
        keeps = keeps && header_split_has_bytes(bytes, ofs, 4);
    }
    return keeps;
}
