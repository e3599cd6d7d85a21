/* SPDX-License-Identifier: Apache-2.0 */
/* instr_flow - the controller's flow-mods: shadow, versions, injection. */
#include <config.h>
#include "recorder/instr_miss.h"
#include "recorder/instr_state.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "recorder/of_wire.h"

/* Where the command stands in a flow-mod of 1.0 and in Nicira's. */
#define COMMAND_OFS_10  56
#define NXT_COMMAND_OFS 24

/* The index callback of of_inject_run(). */
struct index_owner {
    struct instr_change *c;
    struct shadow_rule *rule;
};

static bool
take_index(void *owner_, struct of_acts *acts, uint16_t *indexp)
{
    struct index_owner *owner = owner_;
    struct shadow_rule *rule = owner->rule;

    if (rule->card.len) {
        of_inject_set_snap_len(instr_inject_get(owner->c, rule->card),
                               rule->card.len, acts);
    }
    if (!instr_own_index(owner->c, acts, indexp)) {
        return false;
    }
    rule->indexes =
        lh_alloc_grow(rule->indexes, rule->n_indexes, &rule->allocated_indexes,
                      sizeof *rule->indexes);
    rule->indexes[rule->n_indexes++] = *indexp;
    return true;
}

void
instr_flow_inject(struct instr_change *c, struct shadow_rule *rule,
                  struct of_acts *acts)
{
    struct instr *instr = c->instr;
    struct index_owner owner = {c, rule};
    struct of_inject_ask ask = {
        .place = OF_INJECT_FLOW,
        .version = rule->version,
        .ports = instr->flood,
        .n_ports = instr->n_flood,
        .replace_flood =
            c->link->of_version != OF_WIRE_10 && instr_ports_may_flood(instr),
        .has_action_sets = instr->has_action_sets,
        .keeps_sets = instr->keeps_sets,
        .is_entry = !rule->table_id,
        .keeps_in_port = instr->keeps_in_port && instr->inject[INSTR_GENEVE],
        .is_lookup =
            of_tables_has(instr_shadow_lookups(instr->shadow), rule->table_id),
        .index_table = instr->index_table,
        .index = take_index,
        .aux = &owner};
    struct of_inject_result result;

    rule->card = instr_select_flow(instr, rule);
    if (!instr_select_is_on(instr) || rule->is_learned) {
        of_acts_clone(acts, &rule->acts);
        rule->is_instrumented = false;
        return;
    }
    ask.is_quiet = !rule->card.len;
    of_inject_run(instr_inject_get(c, rule->card), &rule->acts, &ask, &result);
    rule->is_instrumented = result.is_instrumented;
    of_acts_move(acts, &result.acts);
    if (rule->is_instrumented) {
        of_inject_set_snap_len(instr_inject_get(c, rule->card), rule->card.len,
                               acts);
        instr->counters.injected++;
    } else if (ask.is_quiet) {
        instr->counters.unselected++;
    } else {
        instr->counters.not_injected++;
    }
}

/* Sends 'flow' with the actions that 'rule' is to have, or with the
 * controller's own where those make the message too long. */
static void
send_flow(struct instr_change *c, struct of_flow *flow,
          struct shadow_rule *rule)
{
    struct instr *instr = c->instr;
    uint8_t version = c->link->of_version;
    struct of_acts acts;
    uint8_t *msg;
    size_t len;

    instr_flow_inject(c, rule, &acts);
    flow->acts = acts;
    if (of_flow_encode_like(flow, version, c->flow_mod, c->flow_mod_len, false,
                            &msg, &len)) {
        rule->is_instrumented = false;
        instr->counters.not_injected++;
        flow->acts = rule->acts;
        if (of_flow_encode(flow, version, 0, &msg, &len)) {
            of_acts_uninit(&acts);
            return;
        }
    }
    of_acts_uninit(&acts);
    instr_emit(c, msg, len);
}

void
instr_flow_rewrite(struct instr_change *c, struct shadow_rule *rule)
{
    uint16_t *old = rule->indexes;
    size_t n_old = rule->n_indexes;
    bool was_instrumented = rule->is_instrumented;
    struct of_flow flow;

    if (rule->is_learned) {
        return;
    }
    rule->indexes = NULL;
    rule->n_indexes = rule->allocated_indexes = 0;
    shadow_rule_to_flow(rule, &flow);
    flow.command = OF_FLOW_MODIFY_STRICT;
    flow.flags = 0;
    flow.new_cookie = UINT64_MAX;
    if (!rule->made_by.link) {
        /* Not another one that has come meanwhile; and over 1.0 nothing is
         * added for what has gone. */
        flow.cookie = rule->cookie;
        flow.cookie_mask = UINT64_MAX;
    }
    send_flow(c, &flow, rule);
    instr_expiry_renewed(c, rule);
    instr_own_free_indexes(c, old, n_old);
    free(old);
    if (rule->is_instrumented != was_instrumented) {
        instr_made(c->out,
                   instr_rule_flow(c, rule,
                                   instr_select_is_capped(c->instr, rule)
                                       ? "capped"
                                       : "selected",
                                   "recorder"));
    }
}

/* Flags that the switch gets for a rule whose controller gave 'flags'. */
static uint16_t
switch_flags(uint16_t flags, uint16_t idle_timeout, uint16_t hard_timeout)
{
    flags &= (uint16_t) ~OF_FLOW_CHECK_OVERLAP;
    if (idle_timeout || hard_timeout) {
        flags |= OF_FLOW_SEND_REMOVED;
    }
    return flags;
}

void
instr_flow_install(struct instr_change *c, struct shadow_rule *rule)
{
    struct of_flow flow;

    shadow_rule_to_flow(rule, &flow);
    flow.flags =
        switch_flags(rule->flags, rule->idle_timeout, rule->hard_timeout);
    send_flow(c, &flow, rule);
}

/* Puts 'rule' into the shadow with a new version and tells everybody. */
static void
install(struct instr_change *c, struct shadow_rule *rule, const char *command,
        const char *old_reason)
{
    struct instr *instr = c->instr;
    struct shadow_rule *old = instr_shadow_insert(instr->shadow, rule);

    rule->made_by = instr_change_cause(c);
    rule->replaces = 0;
    if (old) {
        rule->replaces = old->version;
        old->gone_by = rule->made_by;
        old->gone_ns = c->now_ns;
        instr_gone(c->out, old->version, old_reason);
    }
    instr_made(c->out, instr_rule_flow(c, rule, command, c->who));
    instr_undo_rule(c, old, rule->version);
}

/* Adds the rule of 'flow', which was decoded from 'msg'. */
static void
add_rule(struct instr_change *c, struct of_flow *flow, const uint8_t *msg,
         size_t len)
{
    struct instr *instr = c->instr;
    struct shadow_rule *rule, *replaced;
    struct of_facts facts;
    bool overlaps;

    if (flow->table_id == OF_FLOW_ALL_TABLES) {
        flow->table_id = 0;
    }
    overlaps = flow->flags & OF_FLOW_CHECK_OVERLAP &&
               instr_shadow_overlaps(instr->shadow, flow->table_id,
                                     flow->priority, flow->match);
    of_acts_facts(&flow->acts, flow->table_id, &facts);
    instr_own_prepare(c, flow->table_id, &facts);
    rule = shadow_rule_create(flow->table_id, flow->priority, flow->match,
                              &flow->acts);
    rule->of_version = c->link->of_version;
    rule->cookie = flow->new_cookie;
    rule->idle_timeout = flow->idle_timeout;
    rule->hard_timeout = flow->hard_timeout;
    rule->importance = flow->importance;
    rule->flags = flow->flags;
    rule->version = instr_version(c);
    rule->change = c->number;
    rule->installed_ns = c->now_ns;
    instr_expiry_begin(c, rule, 0);
    if (!rule->priority) {
        instr_miss_make_way(c, rule->table_id);
    }
    replaced = instr_shadow_find(instr->shadow, rule->table_id, rule->priority,
                                 rule->match);
    if (replaced) {
        rule->load = replaced->load;
        instr_tomb_add(instr, replaced);
    }

    flow->command = OF_FLOW_ADD;
    flow->cookie = flow->cookie_mask = 0;
    flow->flags =
        switch_flags(flow->flags, flow->idle_timeout, flow->hard_timeout);
    if (overlaps) {
        /* With a rule of the controller's, not with one of ours only: the
         * switch is to say so, and to find what else is wrong first. */
        flow->flags |= OF_FLOW_CHECK_OVERLAP;
    }
    flow->out_port = flow->out_group = OF_ACTS_ANY;
    c->flow_mod = msg;
    c->flow_mod_len = len;
    send_flow(c, flow, rule);
    flow->match = NULL; /* Both are the rule's. */
    flow->acts = (struct of_acts) OF_ACTS_INIT;
    install(c, rule, "add", "replaced");
    c->flow_mod = NULL;
}

/* Sends 'flow' so that it hits nothing: the switch still says what is wrong
 * with it. */
static void
send_harmless(struct instr_change *c, struct of_flow *flow)
{
    uint8_t *msg;
    size_t len;

    flow->cookie = flow->cookie_mask = UINT64_MAX; /* No rule may have it. */
    flow->flags &= (uint16_t) ~OF_FLOW_CHECK_OVERLAP;
    if (!of_flow_encode(flow, c->link->of_version, 0, &msg, &len)) {
        instr_emit(c, msg, len);
    }
}

static void
modify_rule(struct instr_change *c, const struct of_flow *by,
            struct shadow_rule *old)
{
    struct shadow_rule *rule = shadow_rule_clone(old);
    struct of_flow flow;
    struct of_acts acts;

    of_acts_clone(&acts, &by->acts);
    shadow_rule_set_acts(rule, &acts);
    rule->of_version = c->link->of_version;
    rule->version = instr_version(c);
    rule->change = c->number;
    rule->installed_ns = c->now_ns;
    instr_expiry_begin(c, rule, 0);
    rule->is_learned = false;
    rule->n_disturbed = 0;
    if (by->modify_cookie && by->new_cookie != UINT64_MAX) {
        rule->cookie = by->new_cookie;
    }
    shadow_rule_to_flow(rule, &flow);
    flow.command = OF_FLOW_MODIFY_STRICT;
    flow.flags = by->flags & OF_FLOW_RESET_COUNTS;
    flow.new_cookie = by->new_cookie;
    flow.modify_cookie = by->modify_cookie;
    if (c->link->of_version <= OF_WIRE_11) {
        /* With a cookie to match, 1.0 and 1.1 do not add what is gone by
         * now. */
        flow.cookie = old->cookie;
        flow.cookie_mask = UINT64_MAX;
    }
    send_flow(c, &flow, rule);
    install(c, rule, "modify", "modify");
}

static void
modify_rules(struct instr_change *c, struct of_flow *flow, const uint8_t *msg,
             size_t len)
{
    struct instr *instr = c->instr;
    struct shadow_rule **rules;
    struct of_facts facts;
    size_t n;

    if (flow->table_id == N_TABLES) {
        instr_pass(c, msg, len); /* The switch's own: it has an opinion. */
        return;
    }
    if (flow->buffer_id != OF_FLOW_NO_BUFFER) {
        send_harmless(c, flow); /* There are no buffers. */
        return;
    }
    rules = instr_shadow_select(instr->shadow, flow, &n);
    if (!n) {
        if (flow->new_cookie != UINT64_MAX && !flow->cookie_mask) {
            add_rule(c, flow, msg, len);
        } else {
            send_harmless(c, flow);
        }
        free(rules);
        return;
    }
    of_acts_facts(&flow->acts, rules[0]->table_id, &facts);
    instr_own_prepare(c, rules[0]->table_id, &facts);
    if (n > 1) {
        instr_bundle_begin(c);
    }
    for (size_t i = 0; i < n; i++) {
        modify_rule(c, flow, rules[i]);
    }
    if (n > 1) {
        instr_bundle_end(c);
    }
    free(rules);
}

static void
delete_rule(struct instr_change *c, struct shadow_rule *rule, bool send)
{
    struct of_flow flow;
    uint8_t *msg;
    size_t len;

    shadow_rule_to_flow(rule, &flow);
    flow.command = OF_FLOW_DELETE_STRICT;
    flow.acts = (struct of_acts) OF_ACTS_INIT;
    flow.flags = 0;
    if (send && !of_flow_encode(&flow, c->link->of_version, 0, &msg, &len)) {
        instr_emit(c, msg, len);
    }
    instr_flow_drop(c, rule, "delete");
}

void
instr_flow_drop(struct instr_change *c, struct shadow_rule *rule,
                const char *reason)
{
    instr_tomb_add(c->instr, rule);
    instr_shadow_take(c->instr->shadow, rule);
    rule->gone_by = instr_change_cause(c);
    rule->gone_ns = c->now_ns;
    instr_gone(c->out, rule->version, reason);
    instr_undo_rule(c, rule, 0);
}

static void
delete_rules(struct instr_change *c, struct of_flow *flow,
             const uint8_t *whole, size_t whole_len)
{
    struct instr *instr = c->instr;
    bool is_strict = flow->command == OF_FLOW_DELETE_STRICT;
    /* Rules that the switch has just learned are not in the shadow: a command
     * without "strict" is given to it as it is, and ours are put back.  Not by
     * output: the rules there have others than their owners wrote. */
    bool as_is = !is_strict && instr_shadow_n_learn(instr->shadow) &&
                 flow->out_port == OF_ACTS_ANY &&
                 flow->out_group == OF_ACTS_ANY;
    struct shadow_rule **rules;
    uint8_t *msg;
    size_t len;
    size_t n;

    if (flow->table_id == N_TABLES) {
        instr_pass(c, whole, whole_len);
        return;
    }
    rules = instr_shadow_select(instr->shadow, flow, &n);
    if (!n && !as_is) {
        send_harmless(c, flow);
    } else if (n > 1 || as_is) {
        instr_bundle_begin(c);
    }
    if (as_is && !of_flow_encode(flow, c->link->of_version, 0, &msg, &len)) {
        instr_emit(c, msg, len);
    }
    for (size_t i = 0; i < n; i++) {
        delete_rule(c, rules[i], !as_is);
    }
    if (as_is) {
        instr_own_repair(c, flow);
    }
    if (n > 1 || as_is) {
        instr_bundle_end(c);
    }
    free(rules);
}

/* What we cannot read, the switch cannot either and says what is wrong.  Over
 * 1.0 it takes the upper half of the command for a table, which is an error
 * where the controller has not asked for that. */
static void
pass_malformed(struct instr_change *c, const uint8_t *msg, size_t len)
{
    size_t command_ofs =
        msg[1] == OF_WIRE_EXPERIMENTER ? NXT_COMMAND_OFS : COMMAND_OFS_10;
    uint8_t *copy;

    c->instr->counters.passed_malformed++;
    if (msg[0] == OF_WIRE_10 && !c->link->has_tid && len >= command_ofs + 2 &&
        msg[command_ofs] && !c->in_bundle) {
        copy = lh_memdup(msg, len);
        of_wire_put16(copy + command_ofs, 0xff);
        instr_emit(c, copy, len);
    } else {
        instr_pass(c, msg, len);
    }
}

void
instr_flow_mod(struct instr_change *c, const uint8_t *msg, size_t len)
{
    struct instr *instr = c->instr;
    struct of_flow flow;

    instr->counters.flow_mods++;
    if (!of_flow_decode(msg, len, c->link->has_tid, &flow)) {
        pass_malformed(c, msg, len);
        return;
    }
    switch (flow.command) {
    case OF_FLOW_ADD:
        add_rule(c, &flow, msg, len);
        break;
    case OF_FLOW_MODIFY:
    case OF_FLOW_MODIFY_STRICT:
        modify_rules(c, &flow, msg, len);
        break;
    default:
        delete_rules(c, &flow, msg, len);
        break;
    }
    of_flow_uninit(&flow);
    instr_own_update(c);
    instr->counters.rules = instr_shadow_count(instr->shadow);
}
