/* SPDX-License-Identifier: Apache-2.0 */
/* trajectory_path_brief - what tells whether a packet went a path on which
 * nothing but the TTL changes. */
#include <config.h>
#include "lib/trajectory_path_brief.h"

#include <string.h>

#include "lib/bytes.h"
#include "lib/trajectory_path_impl.h"

static bool
is_icmp(enum header_kind kind)
{
    return kind == HEADER_IP4_ICMP || kind == HEADER_IP6_ICMP;
}

bool
trajectory_path_brief_get(struct trajectory_path_brief *brief,
                          const struct trajectory_path *path,
                          uint16_t minus[TRAJECTORY_MAX_HOPS])
{
    const struct history *h = path->model;
    const struct header_split *split = &path->split;
    const uint8_t *ref = h->hops[path->reference].header;
    bool is_ip4 = header_kind_is_ip4(split->kind);
    size_t n_l2 = (size_t) split->l3_ofs - PATH_MACS_LEN;

    if (n_l2 > sizeof brief->l2) {
        return false;
    }
    *brief = (struct trajectory_path_brief){
        .l3_len = path->l3_len,
        .kind = (uint8_t) split->kind,
        .l3_ofs = (uint8_t) split->l3_ofs,
        .tail_ofs = (uint8_t) split->tail_ofs,
        .max_minus = path->max_minus,
        .is_clipped = path->is_clipped,
        .proto = ref[split->l3_ofs + (is_ip4 ? 9 : 6)]};
    memcpy(brief->l2, ref + PATH_MACS_LEN, n_l2);
    if (is_icmp(split->kind)) {
        memcpy(brief->type, ref + split->l4_ofs, sizeof brief->type);
    }
    for (size_t i = 0; i < 2 * h->n_hops; i++) {
        const struct path_view *v = &path->views[i];

        if (i < h->n_hops) {
            if (!v->is_plain || v->l3_limit != PATH_NO_LIMIT) {
                return false;
            }
            minus[i] = v->minus;
        } else if (v->is_there && !v->is_shown) {
            if (!v->is_plain) {
                return false;
            }
            brief->has_sum_out |= v->minus && is_ip4;
        }
    }
    return true;
}

bool
trajectory_path_brief_takes(const struct trajectory_path_brief *brief,
                            const uint8_t *ref, size_t ref_len)
{
    struct header_split split;
    const uint8_t *ip = ref + brief->l3_ofs;
    bool is_ip4 = header_kind_is_ip4(brief->kind);
    size_t l3_len = ref_len - brief->l3_ofs;

    if (ref_len > TRAJECTORY_MAX_HEADER ||
        !header_split(ref, ref_len, &split) || split.kind != brief->kind ||
        split.l3_ofs != brief->l3_ofs ||
        memcmp(ref + PATH_MACS_LEN, brief->l2,
               (size_t) brief->l3_ofs - PATH_MACS_LEN) != 0 ||
        ip[is_ip4 ? 9 : 6] != brief->proto ||
        (is_icmp(brief->kind) &&
         memcmp(ref + split.l4_ofs, brief->type, sizeof brief->type) != 0)) {
        return false;
    }
    return (l3_len < split.own_len) == brief->is_clipped &&
           (!brief->is_clipped || l3_len == brief->l3_len) &&
           ip[is_ip4 ? 8 : 7] > brief->max_minus &&
           !(brief->has_sum_out && bytes_be16(ip + 10) == 0xffff);
}

bool
trajectory_path_brief_predicts(const struct trajectory_path_brief *brief,
                               uint16_t minus, const uint8_t *ref,
                               size_t ref_len, const uint8_t *header,
                               size_t len)
{
    return len == ref_len && path_plain_predicts(brief->kind, brief->l3_ofs,
                                                 minus, ref, header, len);
}
