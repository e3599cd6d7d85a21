/* SPDX-License-Identifier: Apache-2.0 */
/* path_sum - a quick answer to whether a packet's postcards may be all. */
#include <config.h>
#include "server/path_sum.h"

/* The TTL is about to end: what the rule names will not all happen. */
static bool
is_dying(const struct postcard *p)
{
    size_t ofs = 12;

    while (p->caplen > ofs + 16 &&
           (p->header[ofs] == 0x81 || p->header[ofs] == 0x88)) {
        ofs += 4;
    }
    if (p->caplen <= ofs + 11) {
        return false;
    }
    if (p->header[ofs] == 0x08 && p->header[ofs + 1] == 0x00) {
        return p->header[ofs + 10] <= 1;
    }
    return p->header[ofs] == 0x86 && p->header[ofs + 1] == 0xdd &&
           p->header[ofs + 9] <= 1;
}

/* The bit of the visit that 'p' is of. */
static uint32_t
visit_bit(const struct postcard *p)
{
    uint64_t about = p->dpid ^ (uint64_t) p->in_port << 32 ^
                     (uint64_t) (p->flags & POSTCARD_PACKET_OUT) << 56;

    return UINT32_C(1) << (about * UINT64_C(0x9e3779b97f4a7c15) >> 59);
}

/* Whether none of those that are there is of the visit of 'p'; '*is_therep':
 * one has its output, too. */
static bool
is_visit_new(const struct postcard_entry *others,
             const struct postcard_fold *folds, const struct postcard *p,
             bool *is_therep)
{
    bool is_new = true;

    for (const struct postcard_entry *e = others; e; e = e->next) {
        const struct postcard *q = &e->p;

        if (q->dpid == p->dpid && q->in_port == p->in_port &&
            !((q->flags ^ p->flags) & POSTCARD_PACKET_OUT)) {
            is_new = false;
            *is_therep |= q->out_port == p->out_port;
        }
    }
    for (const struct postcard_fold *q = folds; q; q = q->next) {
        if (q->dpid == p->dpid && q->in_port == p->in_port &&
            !((q->flags ^ p->flags) & POSTCARD_PACKET_OUT)) {
            is_new = false;
            *is_therep |= q->out_port == p->out_port;
        }
    }
    return is_new;
}

void
path_sum_add(struct path_sum *sum, const struct card_kind *kind,
             const struct postcard_entry *others,
             const struct postcard_fold *folds, const struct postcard *p)
{
    bool is_new = true, is_there = false;
    uint32_t bit;

    if (kind->is_soft || (!p->visit && is_dying(p))) {
        sum->is_soft = true;
        return;
    }
    sum->is_punted |= kind->is_punted;
    if (sum->is_soft) {
        return;
    }
    bit = visit_bit(p);
    if (sum->visits & bit) {
        is_new = is_visit_new(others, folds, p, &is_there);
    }
    if (is_there) {
        return;
    }
    sum->visits |= bit;
    if (is_new) {
        sum->sum -= kind->in;
        sum->has_start |= kind->is_start;
    }
    sum->sum += kind->out;
}
