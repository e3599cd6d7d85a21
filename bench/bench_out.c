/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "bench/bench_out.h"

void
bench_out_history(void *out_, struct history *h)
{
    const struct bench_out *out = out_;

    out->n->histories++;
    cluster_outbox_add(out->box, h);
}

void
bench_out_packet(void *out_, struct trajectory *t,
                 const struct trajectory_packet *packet)
{
    const struct bench_out *out = out_;

    out->n->histories++;
    out->n->packets++;
    cluster_outbox_add_packet(out->box, t, packet);
}

const struct rule *
bench_out_find_rule(void *out_, uint64_t dpid, uint32_t version)
{
    const struct bench_out *out = out_;

    return rule_cache_find(out->rules, dpid, version, 0);
}

bool
bench_out_has_lossless(void *out, uint64_t dpid, uint64_t from_ns,
                       uint64_t to_ns)
{
    return true;
}
