/* SPDX-License-Identifier: Apache-2.0 */
/* trajectory_path_widen - from a path of one flow to one of all flows.
 *
 * A second packet is sent through the same rules that differs from the model
 * in every bit that a flow may differ in.  A bit that then comes out different
 * was left alone, one that comes out the same was set. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/lh_alloc.h"
#include "lib/trajectory_path_impl.h"

/* What the second packet looks like at each hop, and as it left. */
struct probe {
    uint8_t in[TRAJECTORY_MAX_HEADER + 64], out[TRAJECTORY_MAX_HEADER + 64];
    size_t in_len, out_len;
};

static void
complement(const struct trajectory_path *path, struct probe *probe)
{
    const struct history_hop *ref = &path->model->hops[path->reference];
    uint8_t *ip = probe->in + path->split.l3_ofs;
    bool is_ip4 = header_kind_is_ip4(path->split.kind);
    size_t addresses = is_ip4 ? 12 : 8, end = is_ip4 ? 20 : 40;

    memcpy(probe->in, ref->header, ref->caplen);
    probe->in_len = ref->caplen;
    for (size_t i = 0; i < PATH_MACS_LEN; i++) {
        probe->in[i] ^= 0xff;
    }
    if (is_ip4) {
        ip[1] ^= 0xff; /* DSCP, ECN. */
        ip[6] ^= 0x40; /* DF. */
        ip[8] = ip[8] > 128 ? ip[8] - 64 : ip[8] + 64;
    } else {
        ip[0] ^= 0x0f;
        ip[1] ^= 0xff;
        ip[2] ^= 0xff;
        ip[3] ^= 0xff;
        ip[7] = ip[7] > 128 ? ip[7] - 64 : ip[7] + 64;
    }
    for (size_t i = addresses; i < end; i++) {
        ip[i] ^= 0xff;
    }
    if (path_has_ports(path->split.kind)) {
        for (size_t i = end; i < end + 4; i++) {
            ip[i] ^= 0xff;
        }
    }
}

/* Sends the second packet along the hops; false when a rule does not explain
 * what the model shows. */
static bool
send_probe(const struct trajectory_path *path, const struct rule *const *rules,
           struct probe *probes)
{
    const struct history *h = path->model;
    uint8_t out[TRAJECTORY_MAX_HEADER + 64];
    size_t len;

    for (size_t i = 0; i < h->n_hops; i++) {
        const struct history_hop *hop = &h->hops[i];
        struct probe *probe = &probes[i];

        if (!i) {
            complement(path, probe);
        } else {
            const struct history_hop *before;

            if (hop->parent < 0) {
                return false;
            }
            before = &h->hops[hop->parent];
            if (!before->has_header_out ||
                before->header_out_len < hop->caplen ||
                memcmp(before->header_out, hop->header, hop->caplen)) {
                return false;
            }
            memcpy(probe->in, probes[hop->parent].out, hop->caplen);
            probe->in_len = hop->caplen;
        }
        if (!hop->has_header_out) {
            continue;
        }
        if (hop->is_after || !rules[i] ||
            rule_apply(rules[i], 0, hop->header, hop->caplen, out, sizeof out,
                       &len) != RULE_APPLY_OK ||
            len != hop->header_out_len || memcmp(out, hop->header_out, len) ||
            rule_apply(rules[i], 0, probe->in, probe->in_len, probe->out,
                       sizeof probe->out, &probe->out_len) != RULE_APPLY_OK ||
            probe->out_len != len) {
            return false;
        }
    }
    return true;
}

/* What becomes of the word of the reference that is 'a' in the model and 'b'
 * in the second packet, and shows as 'va' and 'vb'. */
static bool
edit_widen(const struct trajectory_path *path, struct path_edit *edit,
           uint16_t a, uint16_t b, uint16_t va, uint16_t vb)
{
    uint16_t one = path_ttl_one(path->split.kind);

    *edit = (struct path_edit){.word = edit->word};
    if (edit->word.has_ttl) {
        uint16_t taken = (uint16_t) (a - va);

        if (taken == (uint16_t) (b - vb)) {
            edit->keep = 0xffff;
            edit->minus = taken;
            return taken % one == 0 && taken / one < 256;
        }
    }
    edit->keep = va ^ vb;
    edit->value = va & (uint16_t) ~edit->keep;
    return (va & edit->keep) == (a & edit->keep) &&
           (vb & edit->keep) == (b & edit->keep);
}

/* Learns from both packets. */
static bool
view_widen(const struct trajectory_path *path, struct path_view *v,
           const uint8_t *probe_ref, const uint8_t *header,
           const uint8_t *probe)
{
    const uint8_t *ref = path->model->hops[path->reference].header;
    struct path_word words[PATH_MAX_WORDS];
    size_t n = path_words(path->split.kind, words);

    *v = (struct path_view){.is_there = true,
                            .is_shown = v->is_shown,
                            .l2 = v->l2,
                            .l3_ofs = v->l3_ofs,
                            .l3_limit = v->l3_limit};
    for (size_t i = 0; i < PATH_MACS_LEN; i++) {
        v->mac_keep[i] = header[i] ^ probe[i];
        v->mac_value[i] = header[i] & (uint8_t) ~v->mac_keep[i];
        v->has_macs |= v->mac_keep[i] != 0xff;
        if ((header[i] & v->mac_keep[i]) != (ref[i] & v->mac_keep[i])) {
            return false;
        }
    }
    if (memcmp(header + PATH_MACS_LEN, probe + PATH_MACS_LEN,
               (size_t) v->l3_ofs - PATH_MACS_LEN)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        size_t from = (size_t) path->split.l3_ofs + words[i].ofs;
        size_t to = (size_t) v->l3_ofs + words[i].ofs;
        struct path_edit edit = {.word = words[i]};
        uint16_t a = bytes_be16(ref + from);
        uint16_t b = bytes_be16(probe_ref + from);

        /* Bits that the probe could not turn around (the version, the
         * protocol) are the same in all flows. */
        uint16_t same = (uint16_t) ~(a ^ b);

        if (!edit_widen(path, &edit, a, b, bytes_be16(header + to),
                        bytes_be16(probe + to))) {
            return false;
        }
        if (edit.word.has_ttl ? edit.keep != 0xffff || edit.minus
                              : (edit.keep | same) != 0xffff ||
                                    ((edit.value ^ a) & same & ~edit.keep)) {
            path_view_add_edit(v, &edit);
        }
    }
    return true;
}

static uint8_t
find_max_minus(const struct trajectory_path *path,
               const struct path_view *views)
{
    uint16_t one = path_ttl_one(path->split.kind), most = 0;

    for (size_t i = 0; i < 2 * path->model->n_hops; i++) {
        for (size_t k = 0; k < views[i].n_edits; k++) {
            uint16_t minus = views[i].edits[k].minus / one;

            most = minus > most ? minus : most;
        }
    }
    return (uint8_t) most;
}

bool
trajectory_path_widen(struct trajectory_path *path,
                      const struct rule *const *rules)
{
    const struct history *h = path->model;
    size_t n = h->n_hops, n_views = 2 * n;
    struct probe *probes;
    struct path_view *views, *old, *dropped;
    bool is_wide;

    if (path->reference) {
        return false;
    }
    probes = lh_alloc_zero(n * sizeof *probes);
    views = lh_memdup(path->views, n_views * sizeof *views);
    old = lh_memdup(path->views, n_views * sizeof *old);
    is_wide = send_probe(path, rules, probes);
    for (size_t i = 0; i < n_views; i++) {
        const struct history_hop *hop = &h->hops[i % n];

        views[i].edits = NULL;
        views[i].n_edits = 0;
        is_wide =
            is_wide && (!views[i].is_there ||
                        view_widen(path, &views[i], probes[0].in,
                                   i < n ? hop->header : hop->header_out,
                                   i < n ? probes[i].in : probes[i - n].out));
    }
    memcpy(path->views, views, n_views * sizeof *views);
    is_wide = is_wide && path_is_right(path);
    if (is_wide) {
        path->is_wide = true;
        path_note_plain(path);
        path->max_minus = find_max_minus(path, views);
    } else {
        memcpy(path->views, old, n_views * sizeof *old);
    }
    dropped = is_wide ? old : views;
    for (size_t i = 0; i < n_views; i++) {
        path_view_uninit(&dropped[i]);
    }
    free(old);
    free(views);
    free(probes);
    return is_wide;
}
