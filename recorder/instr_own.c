/* SPDX-License-Identifier: Apache-2.0 */
/* instr_own - our own rules in the switch: postcard port, LLDP, and table T,
 * which action sets and group buckets resubmit to. */
#include <config.h>
#include "recorder/instr_miss.h"
#include "recorder/instr_state.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "recorder/of_wire.h"

void
instr_own_send(struct instr_change *c, enum of_flow_command command,
               enum own_kind kind, uint8_t table_id, uint16_t priority,
               struct of_match *match, const struct of_acts *acts)
{
    struct of_flow flow;
    uint8_t *msg;
    size_t len;

    c->instr->watch.look.own_tag = c->tag;
    of_flow_init(&flow);
    flow.command = (uint8_t) command;
    flow.table_id = table_id;
    flow.priority = priority;
    flow.match = match;
    if (acts) {
        flow.acts = *acts;
    }
    if (command == OF_FLOW_ADD) {
        flow.new_cookie = OWN_COOKIE | kind;
        flow.flags = OF_FLOW_SEND_REMOVED; /* With what it has counted. */
    } else {
        flow.cookie = OWN_COOKIE | kind;
        flow.cookie_mask = UINT64_MAX;
    }
    if (!of_flow_encode(&flow, c->link->of_version, 0, &msg, &len)) {
        instr_emit_own(c, msg, len);
    }
    of_match_destroy(match);
}

/* Table T. */

static void
send_index(struct instr_change *c, enum of_flow_command command,
           uint16_t index)
{
    struct instr *instr = c->instr;

    instr_own_send(c, command, OWN_INDEX, instr->index_table, 1,
                   of_match_create_in_port(index), &instr->indexes[index]);
}

bool
instr_own_index(struct instr_change *c, struct of_acts *acts, uint16_t *indexp)
{
    struct instr *instr = c->instr;

    if (!instr->indexes) {
        instr->indexes =
            lh_alloc_zero((MAX_INDEX + 1) * sizeof *instr->indexes);
        instr->index_refs =
            lh_alloc_zero((MAX_INDEX + 1) * sizeof *instr->index_refs);
    }
    if (instr->n_indexes >= MAX_INDEX) {
        instr->counters.index_full++;
        return false;
    }
    while (instr->indexes[instr->next_index].len) {
        instr->next_index =
            instr->next_index == MAX_INDEX ? 1 : instr->next_index + 1;
    }
    *indexp = instr->next_index;
    instr->next_index = *indexp == MAX_INDEX ? 1 : *indexp + 1;
    of_acts_move(&instr->indexes[*indexp], acts);
    instr->index_refs[*indexp] = 1;
    instr->n_indexes++;
    send_index(c, OF_FLOW_ADD, *indexp);
    return true;
}

void
instr_own_share_index(struct instr *instr, uint16_t index)
{
    instr->index_refs[index]++;
}

void
instr_own_free_indexes(struct instr_change *c, uint16_t *indexes, size_t n)
{
    struct instr *instr = c->instr;

    if (c->is_unasked || instr_role_is_slave(c->link)) {
        for (size_t i = 0; i < n; i++) {
            instr_owe_index(instr, indexes[i]);
        }
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (--instr->index_refs[indexes[i]]) {
            continue;
        }
        send_index(c, OF_FLOW_DELETE_STRICT, indexes[i]);
        of_acts_uninit(&instr->indexes[indexes[i]]);
        instr->n_indexes--;
    }
}

static bool
is_used(const struct instr *instr, unsigned int table_id)
{
    const struct shadow_table *t =
        instr_shadow_table(instr->shadow, (uint8_t) table_id);

    return t->n_rules || t->n_uses;
}

/* All rules of T move to another table. */
static void
move_index_table(struct instr_change *c, uint8_t table_id)
{
    struct instr *instr = c->instr;
    uint8_t old = instr->index_table;

    for (unsigned int i = 1; instr->indexes && i <= MAX_INDEX; i++) {
        if (instr->indexes[i].len) {
            instr->index_table = old;
            send_index(c, OF_FLOW_DELETE_STRICT, (uint16_t) i);
            instr->index_table = table_id;
            send_index(c, OF_FLOW_ADD, (uint16_t) i);
        }
    }
    instr->index_table = table_id;
    if (instr->n_indexes) {
        instr_own_rewrite(c, OWN_REWRITE_INDEXED);
        instr_miss_mark(instr);
    }
}

void
instr_own_choose_table(struct instr *instr, uint8_t old, uint16_t max_index)
{
    unsigned int t = N_TABLES - 1;

    /* Our own rules resubmit to the old T, the controller's do not. */
    while (t > 1 && is_used(instr, t)) {
        t--;
    }
    instr->index_table = (uint8_t) t;
    if (old == t && max_index < MAX_INDEX) {
        instr->next_index = max_index + 1;
    }
}

void
instr_own_prepare(struct instr_change *c, uint8_t table_id,
                  const struct of_facts *facts)
{
    struct instr *instr = c->instr;
    unsigned int t = instr->index_table;
    bool keeps_sets;

    if (table_id == t || of_tables_has(&facts->uses, t)) {
        while (t > 1 && (is_used(instr, t) || t == table_id ||
                         of_tables_has(&facts->uses, t))) {
            t--;
        }
        move_index_table(c, (uint8_t) t);
    }
    keeps_sets = instr_sets_must_keep(instr, facts);
    if ((facts->has_write_actions && !instr->has_action_sets) ||
        (keeps_sets && !instr->keeps_sets)) {
        bool has_sets = facts->has_write_actions || instr->has_action_sets;

        instr->has_action_sets = has_sets;
        instr->keeps_sets |= keeps_sets;
        if (has_sets) {
            instr_own_rewrite(c, OWN_REWRITE_RULES);
            instr_miss_mark(instr);
        }
    }
}

static bool
is_meant(enum own_rewrite which, const struct of_facts *facts,
         size_t n_indexes)
{
    switch (which) {
    case OWN_REWRITE_LISTS:
        return facts->has_all || facts->has_flood;
    case OWN_REWRITE_INDEXED:
        return n_indexes;
    case OWN_REWRITE_ALL:
    case OWN_REWRITE_RULES:
        break;
    }
    return true;
}

void
instr_own_begin(struct instr_change *own, const struct instr_change *c,
                const char *who)
{
    instr_change_init(own, c->link, c->out, c->now_ns, who);
    own->in_bundle = c->in_bundle;
    own->bundle_id = c->bundle_id;
    own->bundle_flags = c->bundle_flags;
    own->bundle_at = c->bundle_at;
    if (c->in_bundle) {
        own->bundle_tag = c->bundle_tag ? c->bundle_tag : c->tag;
    }
    if (c->tag == c->instr->select_tag) {
        own->tag =
            c->tag; /* So that its errors are known for what they are. */
    }
}

void
instr_own_rewrite(struct instr_change *c, enum own_rewrite which)
{
    struct instr *instr = c->instr;
    struct shadow_rule **rules;
    struct instr_change own;
    size_t n;

    instr_own_begin(&own, c, c->who);
    rules = instr_shadow_all(instr->shadow, &n);
    if (which == OWN_REWRITE_ALL && instr->n_groups) {
        instr_counts_ask_all(&own);
    }
    for (size_t i = 0; i < instr->n_groups; i++) {
        const struct shadow_group *sg = instr->groups[i];

        if (which != OWN_REWRITE_RULES &&
            is_meant(which, &sg->facts, sg->n_indexes)) {
            instr_group_rewrite(&own, instr->groups[i]);
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (rules[i]->of_version > c->link->of_version) {
            /* It may hold what this link has no words for. */
            if (c->link != instr_link_choose(instr)) {
                instr_owe(instr, OWES_REWRITE);
            }
        } else if (is_meant(which, rules[i]->facts, rules[i]->n_indexes)) {
            instr_flow_rewrite(&own, rules[i]);
        }
    }
    free(rules);
}

/* The others. */

static void
send_drop_in(struct instr_change *c, enum of_flow_command command,
             uint16_t in_port)
{
    instr_own_send(c, command, OWN_DROP_IN, 0, UINT16_MAX,
                   of_match_create_in_port(in_port), NULL);
}

/* Nothing comes in by the postcard ports. */
static void
update_drop_in(struct instr_change *c)
{
    struct instr *instr = c->instr;

    for (size_t i = 0; i < INSTR_N_ENCAPSULATIONS; i++) {
        uint16_t port = (uint16_t) instr->config.ports[i].no;

        if (instr->drop_in[i] && instr->drop_in[i] != port) {
            send_drop_in(c, OF_FLOW_DELETE_STRICT, instr->drop_in[i]);
            instr->drop_in[i] = 0;
        }
    }
    for (size_t i = 0; i < INSTR_N_ENCAPSULATIONS; i++) {
        uint16_t port = (uint16_t) instr->config.ports[i].no;

        if (port && !instr->drop_in[i]) {
            instr->drop_in[i] = port;
            send_drop_in(c, OF_FLOW_ADD, port);
        }
    }
}

static void
send_lldp(struct instr_change *c, enum of_flow_command command)
{
    const struct instr_config *config = &c->instr->config;
    struct of_acts acts;
    char *text = lh_asprintf("controller(max_len=65535,id=%d)",
                             config->is_attached ? OWN_CONTROLLER_ID : 0);
    char *error = of_acts_from_text(&acts, text);

    free(text);

    if (error) {
        free(error);
        return;
    }
    instr_own_send(c, command, OWN_LLDP, 0, UINT16_MAX,
                   of_match_create_eth(config->lldp_dst, config->lldp_type),
                   &acts);
    of_acts_uninit(&acts);
}

/* Rules that overwrite the in_port have come, or all have gone. */
static void
update_in_port(struct instr_change *c)
{
    struct instr *instr = c->instr;
    bool keeps = instr_shadow_loses_in_port(instr->shadow);

    if (keeps != instr->keeps_in_port) {
        instr->keeps_in_port = keeps;
        if (instr_inject_has(instr)) {
            instr_miss_mark(instr);
            instr_own_rewrite(c, false);
        }
    }
}

void
instr_own_update(struct instr_change *c)
{
    struct instr *instr = c->instr;
    struct instr_change own;

    if (c->is_unasked || instr_role_is_slave(c->link)) {
        instr_owe(instr, OWES_UPDATE);
        return;
    }
    instr_lookup_update(c);
    update_in_port(c);
    instr_own_begin(&own, c, "recorder");
    update_drop_in(&own);
    if (!instr->lldp && instr->config.lldp_type) {
        instr->lldp = true;
        send_lldp(&own, OF_FLOW_ADD);
    }
    instr_carry_update(&own);
    instr_miss_update(&own);
}

void
instr_own_repair(struct instr_change *c, const struct of_flow *flow)
{
    struct instr *instr = c->instr;
    bool everywhere = flow->table_id == OF_FLOW_ALL_TABLES;

    /* To put back one too many does no harm. */
    if (of_match_covers(flow->match, instr->all_packets)) {
        instr_miss_repair(c, flow->table_id);
    }
    if (everywhere || !flow->table_id) {
        for (size_t i = 0; i < INSTR_N_ENCAPSULATIONS; i++) {
            if (instr->drop_in[i]) {
                send_drop_in(c, OF_FLOW_ADD, instr->drop_in[i]);
            }
        }
        if (instr->lldp) {
            send_lldp(c, OF_FLOW_ADD);
        }
        instr_carry_repair(c);
    }
    if (everywhere || flow->table_id == instr->index_table) {
        for (unsigned int i = 1; instr->indexes && i <= MAX_INDEX; i++) {
            if (instr->indexes[i].len) {
                send_index(c, OF_FLOW_ADD, (uint16_t) i);
            }
        }
    }
}

void
instr_own_reinstall(struct instr_change *c, bool has_groups)
{
    struct instr_change own;
    struct of_flow all;
    uint8_t *msg;
    size_t len;

    instr_change_init(&own, c->link, c->out, c->now_ns, c->who);
    of_flow_init(&all);
    all.match = c->instr->all_packets;
    all.table_id = OF_FLOW_ALL_TABLES;
    all.command = OF_FLOW_DELETE;
    all.cookie = OWN_COOKIE;
    all.cookie_mask = OWN_COOKIE_MASK;
    instr_bundle_begin(&own);
    if (!of_flow_encode(&all, c->link->of_version, 0, &msg, &len)) {
        instr_emit_own(&own, msg, len);
    }
    instr_own_repair(&own, &all);
    instr_own_rewrite(&own, has_groups ? OWN_REWRITE_ALL : OWN_REWRITE_RULES);
    instr_bundle_end(&own);
}

void
instr_own_withdraw(struct instr_change *c)
{
    struct instr *instr = c->instr;

    for (size_t i = 0; i < INSTR_N_ENCAPSULATIONS; i++) {
        if (instr->drop_in[i]) {
            send_drop_in(c, OF_FLOW_DELETE_STRICT, instr->drop_in[i]);
            instr->drop_in[i] = 0;
        }
        instr->config.ports[i].no = 0;
    }
    if (instr->lldp) {
        send_lldp(c, OF_FLOW_DELETE_STRICT);
        instr->lldp = false;
    }
    instr_carry_withdraw(c);
    instr_miss_withdraw(c);
    instr->config.lldp_type = 0;
}

bool
instr_own_put_back(struct instr_change *c, uint8_t kind, uint8_t table_id,
                   const struct of_match *match, uint32_t version)
{
    struct instr *instr = c->instr;
    unsigned int port = 0;
    bool is_wanted = false;
    char *text = of_match_to_text(match);

    sscanf(text, "in_port=%u", &port);
    free(text);
    switch (kind) {
    case OWN_DROP_IN:
        for (size_t i = 0; i < INSTR_N_ENCAPSULATIONS; i++) {
            if (port && instr->drop_in[i] == port) {
                instr->drop_in[i] = 0;
                is_wanted = true;
            }
        }
        break;
    case OWN_LLDP:
        is_wanted = instr->lldp;
        instr->lldp = false;
        break;
    case OWN_MISS:
        is_wanted = instr_miss_lost(c, table_id, version);
        break;
    case OWN_INDEX:
        if (table_id == instr->index_table && instr->indexes && port &&
            port <= MAX_INDEX && instr->indexes[port].len) {
            send_index(c, OF_FLOW_ADD, (uint16_t) port);
            return true;
        }
        break;
    default:
        if (instr_carry_has(instr, kind, match)) {
            instr_carry_repair(c);
            return true;
        }
        break;
    }
    if (is_wanted) {
        instr_own_update(c);
    }
    return is_wanted;
}

const struct of_acts *
instr_own_indexed(void *instr_, uint8_t table_id, uint16_t index)
{
    const struct instr *instr = instr_;

    return table_id == instr->index_table && instr->indexes &&
                   index <= MAX_INDEX && instr->indexes[index].len
               ? &instr->indexes[index]
               : NULL;
}
