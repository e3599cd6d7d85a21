/* SPDX-License-Identifier: Apache-2.0 */
/* instr_own - our own rules in the switch: table miss, postcard port, LLDP,
 * and table T, which action sets and group buckets resubmit to. */
#include <config.h>
#include "recorder/instr_state.h"
#include "recorder/instr_table.h"

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

/* All miss rules are to be installed anew. */
static void
mark_misses(struct instr *instr)
{
    for (unsigned int t = 0; t < N_TABLES; t++) {
        instr->miss[t].is_stale = true;
    }
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
        instr_own_rewrite(c, false);
        mark_misses(instr);
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
            instr_own_rewrite(c, false);
            mark_misses(instr);
        }
    }
}

static bool
has_list(const struct of_facts *facts)
{
    return facts->has_all || facts->has_flood;
}

void
instr_own_begin(struct instr_change *own, const struct instr_change *c,
                const char *who)
{
    instr_change_init(own, c->link, c->out, c->now_ns, who);
    own->in_bundle = c->in_bundle;
    own->bundle_id = c->bundle_id;
    own->bundle_flags = c->bundle_flags;
    if (c->tag == c->instr->select_tag) {
        own->tag =
            c->tag; /* So that its errors are known for what they are. */
    }
}

void
instr_own_rewrite(struct instr_change *c, bool lists_only)
{
    struct instr *instr = c->instr;
    struct shadow_rule **rules;
    struct instr_change own;
    size_t n;

    instr_own_begin(&own, c, c->who);
    rules = instr_shadow_all(instr->shadow, &n);
    for (size_t i = 0; i < instr->n_groups; i++) {
        if (!lists_only || has_list(&instr->groups[i]->facts)) {
            instr_group_rewrite(&own, instr->groups[i]);
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (rules[i]->of_version > c->link->of_version) {
            /* It may hold what this link has no words for. */
            if (c->link != instr_link_choose(instr)) {
                instr_owe(instr, OWES_REWRITE);
            }
        } else if (!lists_only || has_list(rules[i]->facts)) {
            instr_flow_rewrite(&own, rules[i]);
        }
    }
    free(rules);
}

/* Table miss. */

static bool
wants_miss(const struct instr *instr, unsigned int t)
{
    const struct shadow_table *table =
        instr_shadow_table(instr->shadow, (uint8_t) t);

    if (!instr_select_is_on(instr) || instr->config.leaves_misses ||
        t == instr->index_table || instr_table_continues(instr, t) ||
        of_tables_has(instr_shadow_lookups(instr->shadow), t) ||
        (!table->n_reaches && !instr_table_is_entered(instr, t))) {
        return false;
    }
    if (instr_table_punts(instr, t) && table->n_reaches > table->n_missing) {
        return false; /* What a resubmit does not find goes nowhere. */
    }
    /* Of two rules of equal priority the switch may take either: ours must
     * not stand beside one of the controller's. */
    return !table->n_lowest && instr_select_miss(instr, (uint8_t) t).len;
}

static void
free_miss_index(struct instr_change *c, struct instr_miss *miss)
{
    if (miss->index) {
        instr_own_free_indexes(c, &miss->index, 1);
        miss->index = 0;
    }
}

static void
withdraw_miss(struct instr_change *c, unsigned int t)
{
    struct instr_miss *miss = &c->instr->miss[t];

    free_miss_index(c, miss);

    instr_gone(c->out, miss->version, "withdrawn");
    miss->version = 0;
    instr_own_send(c, OF_FLOW_DELETE_STRICT, OWN_MISS, (uint8_t) t, 0,
                   of_match_create_all(), NULL);
}

static void
send_miss(struct instr_change *c, unsigned int t)
{
    struct instr *instr = c->instr;
    struct instr_miss *miss = &instr->miss[t];
    const struct of_inject *inject;
    struct of_acts acts = OF_ACTS_INIT;

    miss->card = instr_select_miss(instr, (uint8_t) t);
    inject = instr_inject_get(c, miss->card);
    if (!(instr->has_action_sets && t)) {
        of_inject_miss(inject, miss->version, miss->to_controller,
                       miss->miss_len, &acts);
        of_inject_set_snap_len(inject, miss->card.len, &acts);
    } else {
        if (!miss->index) {
            struct of_acts alone = OF_ACTS_INIT;

            of_inject_miss_alone(inject, miss->version, &alone);
            of_inject_set_snap_len(inject, miss->card.len, &alone);
            instr_own_index(c, &alone, &miss->index);
            of_acts_uninit(&alone);
        }
        if (miss->index) {
            of_inject_indirect(miss->index, instr->index_table, &acts);
        }
    }
    instr_own_send(c, OF_FLOW_ADD, OWN_MISS, (uint8_t) t, 0,
                   of_match_create_all(), &acts);
    of_acts_uninit(&acts);
}

static void
update_miss(struct instr_change *c, unsigned int t)
{
    struct instr *instr = c->instr;
    struct instr_miss *miss = &instr->miss[t];
    bool punts = instr_table_punts(instr, t);
    uint16_t miss_len = instr_link_miss_len(instr);

    if (!wants_miss(instr, t)) {
        if (miss->version) {
            withdraw_miss(c, t);
        }
        return;
    }
    if (miss->version && !miss->is_stale && miss->to_controller == punts &&
        (!punts || miss->miss_len == miss_len) &&
        shadow_card_equal(miss->card, instr_select_miss(instr, (uint8_t) t))) {
        return;
    }
    if (miss->version) {
        instr_gone(c->out, miss->version, "replaced");
        free_miss_index(c, miss);
        if (c->link->of_version < OF_WIRE_12) {
            /* There to replace a rule forgets what it has counted. */
            instr_own_send(c, OF_FLOW_DELETE_STRICT, OWN_MISS, (uint8_t) t, 0,
                           of_match_create_all(), NULL);
        }
    }
    miss->version = instr->config.next_version(instr->config.aux);
    of_tables_add(&instr->misses, t);
    miss->is_stale = false;
    miss->to_controller = punts;
    miss->miss_len = miss_len;
    instr_made(c->out,
               instr_rule_miss(instr, (uint8_t) t, miss->version, c->now_ns));
    send_miss(c, t);
}

void
instr_own_make_way(struct instr_change *c, uint8_t table_id)
{
    struct instr_change own;

    if (c->instr->miss[table_id].version) {
        instr_own_begin(&own, c, "recorder");
        withdraw_miss(&own, table_id);
    }
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
    char *error = of_acts_from_text(&acts, "controller(max_len=65535)");

    if (error) {
        free(error);
        return;
    }
    instr_own_send(c, command, OWN_LLDP, 0, UINT16_MAX,
                   of_match_create_eth(config->lldp_dst, config->lldp_type),
                   &acts);
    of_acts_uninit(&acts);
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
    instr_own_begin(&own, c, "recorder");
    update_drop_in(&own);
    if (!instr->lldp && instr->config.lldp_type) {
        instr->lldp = true;
        send_lldp(&own, OF_FLOW_ADD);
    }
    instr_carry_update(&own);
    for (unsigned int w = 0; w < 4; w++) {
        uint64_t bits = instr_shadow_reached(instr->shadow)->bits[w] |
                        instr->misses.bits[w] | instr->continued.bits[w] |
                        (w ? 0 : 1);

        /* Other tables have no miss rule and need none. */
        for (; bits; bits &= bits - 1) {
            unsigned int t = w * 64 + (unsigned int) __builtin_ctzll(bits);

            if (t < N_TABLES) {
                update_miss(&own, t);
            }
        }
    }
}

void
instr_own_repair(struct instr_change *c, const struct of_flow *flow)
{
    struct instr *instr = c->instr;
    bool everywhere = flow->table_id == OF_FLOW_ALL_TABLES;

    /* To put back one too many does no harm. */
    for (unsigned int t = 0; t < N_TABLES; t++) {
        if (instr->miss[t].version && (everywhere || flow->table_id == t) &&
            of_match_covers(flow->match, instr->all_packets)) {
            send_miss(c, t);
        }
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
instr_own_reinstall(struct instr_change *c)
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
    instr_own_rewrite(&own, false);
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
    for (unsigned int t = 0; t < N_TABLES; t++) {
        if (instr->miss[t].version) {
            withdraw_miss(c, t);
        }
    }
    instr->config.lldp_type = 0;
}

bool
instr_own_put_back(struct instr_change *c, uint8_t kind, uint8_t table_id,
                   const struct of_match *match, uint32_t version)
{
    struct instr *instr = c->instr;
    struct instr_miss *miss = &instr->miss[table_id];
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
        is_wanted = miss->version && miss->version == version;
        if (is_wanted) {
            instr_gone(c->out, miss->version, "delete");
            miss->version = 0;
        }
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
