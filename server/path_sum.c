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

void
path_sum_add(struct path_sum *sum, const struct card_kind *kind,
             const struct postcard_entry *others,
             const struct postcard_fold *folds, const struct postcard *p)
{
    bool is_visit_new = true;

    if (kind->is_soft || (!p->visit && is_dying(p))) {
        sum->is_soft = true;
        return;
    }
    sum->is_punted |= kind->is_punted;
    if (sum->is_soft) {
        return;
    }
    for (const struct postcard_entry *e = others; e; e = e->next) {
        const struct postcard *q = &e->p;

        if (q->dpid == p->dpid && q->in_port == p->in_port &&
            !((q->flags ^ p->flags) & POSTCARD_PACKET_OUT)) {
            is_visit_new = false;
            if (q->out_port == p->out_port) {
                return;
            }
        }
    }
    for (const struct postcard_fold *q = folds; q; q = q->next) {
        if (q->dpid == p->dpid && q->in_port == p->in_port &&
            !((q->flags ^ p->flags) & POSTCARD_PACKET_OUT)) {
            is_visit_new = false;
            if (q->out_port == p->out_port) {
                return;
            }
        }
    }
    if (is_visit_new) {
        sum->sum -= kind->in;
        sum->has_start |= kind->is_start;
    }
    sum->sum += kind->out;
}
