/* SPDX-License-Identifier: Apache-2.0 */
/* gen_whole - a walk as switches tell it that know their visits. */
#include <config.h>
#include "gen/gen_whole.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/of_port.h"

/* True when one of the 'n' rules at 'met' is 'rule'. */
static bool
has_rule(const struct gen_met *met, size_t n, const struct rule *rule)
{
    for (size_t i = 0; i < n; i++) {
        if (met[i].rule == rule) {
            return true;
        }
    }
    return false;
}

static bool
is_rewritten(const struct gen_walk *walk, const struct gen_met *came,
             const struct gen_sent *sent)
{
    return came->len != sent->len ||
           memcmp(walk->bytes + came->ofs, walk->bytes + sent->ofs, came->len);
}

static void
make_pass(const struct gen_walk *walk, const struct gen_visit *visit,
          size_t first, size_t n, uint16_t flags, struct gen_whole *pass)
{
    const struct gen_met *met = walk->met + visit->first_met + first;
    const struct topology_switch *sw = gen_net_switch(walk->net, visit->sw);
    struct hop_output outputs[HOP_TEMPLATE_MAX_OUTPUTS];
    struct hop_trail trail[HOP_TEMPLATE_MAX_TRAIL];
    const char *reason = visit->n_sent ? NULL : visit->fate.dead;
    struct hop_template_parts parts = {
        .dpid = sw->dpid,
        .in_port = visit->in_port,
        .flags =
            (uint16_t) (flags | (visit->is_packet_out ? HOP_PACKET_OUT : 0)),
        .bridge = sw->name,
        .bridge_len = sw->name ? strlen(sw->name) : 0,
        .outputs = outputs,
        .trail = trail,
        .reason = flags & HOP_CONTINUES ? NULL : reason,
        .reason_len = reason ? strlen(reason) : 0,
    };

    for (size_t i = 0; i < n && i < HOP_TEMPLATE_MAX_TRAIL; i++) {
        trail[parts.n_trail++] = (struct hop_trail){
            .version = met[i].rule->version,
            .table = met[i].rule->table_id,
            .flags =
                (uint8_t) (HOP_TRAIL_VERSION |
                           (met[i].rule->kind == RULE_MISS ? HOP_TRAIL_MISS
                                                           : 0)),
        };
    }
    for (uint32_t i = 0; i < visit->n_sent; i++) {
        const struct gen_sent *sent = &walk->sent[visit->first_sent + i];

        if (has_rule(met, n, sent->rule) &&
            parts.n_outputs < HOP_TEMPLATE_MAX_OUTPUTS) {
            outputs[parts.n_outputs++] = (struct hop_output){
                (uint16_t) sent->port,
                is_rewritten(walk, met, sent) ? HOP_OUTPUT_REWRITTEN : 0};
        }
    }
    hop_template_make(&pass->visit, &parts);
    pass->ofs = met->ofs;
    pass->len = met->len;
}

size_t
gen_whole_passes(const struct gen_walk *walk, uint32_t v, size_t n_first,
                 struct gen_whole passes[2])
{
    const struct gen_visit *visit = &walk->visits[v];

    if (!n_first || n_first >= visit->n_met) {
        make_pass(walk, visit, 0, visit->n_met, 0, &passes[0]);
        return 1;
    }
    make_pass(walk, visit, 0, n_first, HOP_CONTINUES, &passes[0]);
    make_pass(walk, visit, n_first, visit->n_met - n_first, HOP_CONTINUED,
              &passes[1]);
    return 2;
}

/* The header as it left, when it left the same by every output. */
static void
set_header_out(const struct gen_walk *walk, const struct gen_visit *visit,
               uint16_t snap, struct history_hop *hop)
{
    const struct gen_sent *same = NULL;

    free(hop->header_out);
    hop->header_out = NULL;
    hop->has_header_out = false;
    hop->header_out_len = 0;
    for (uint32_t i = 0; i < visit->n_sent; i++) {
        const struct gen_sent *sent = &walk->sent[visit->first_sent + i];

        if (sent->port == OF_PORT_CONTROLLER) {
            continue;
        }
        if (same && (same->len != sent->len ||
                     memcmp(walk->bytes + same->ofs, walk->bytes + sent->ofs,
                            sent->len))) {
            return;
        }
        same = sent;
    }
    if (same) {
        history_hop_set_header_out(hop, walk->bytes + same->ofs,
                                   same->len < snap ? same->len : snap);
    }
}

static void
tell_hop(const struct gen_walk *walk, const struct gen_visit *visit,
         uint16_t snap, struct history_hop *hop)
{
    hop->n_out = hop->n_branches = hop->n_versions = 0;
    for (uint32_t i = 0; i < visit->n_met; i++) {
        history_hop_add_version(hop,
                                walk->met[visit->first_met + i].rule->version);
    }
    for (uint32_t i = 0; i < visit->n_sent; i++) {
        history_hop_add_out(hop, walk->sent[visit->first_sent + i].port);
    }
    if (hop->verdict.name == VERDICT_DROPPED) {
        hop->verdict.port = OF_PORT_UNKNOWN;
        hop->verdict.version = visit->last->version;
    }
    set_header_out(walk, visit, snap, hop);
}

void
gen_whole_history(const struct gen_walk *walk, uint16_t snap,
                  struct history *h)
{
    int *hop_of = lh_alloc(walk->n_visits * sizeof *hop_of);

    gen_walk_order(walk, hop_of);
    for (uint32_t v = 0; v < walk->n_visits; v++) {
        tell_hop(walk, &walk->visits[v], snap, &h->hops[hop_of[v]]);
    }
    history_settle(h);
    free(hop_of);
}
