/* SPDX-License-Identifier: Apache-2.0 */
/* instr_carry - our rules by which a switch carries postcards. */
#include <config.h>
#include "recorder/instr_carry.h"
#include "recorder/instr_state.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

/* Below those that forward, above all that a controller is likely to have. */
#define PRIORITY_DROP (UINT16_MAX - 1)

/* A rule that stands, or is to. */
struct carry_rule {
    enum own_kind kind;
    uint16_t in_port;  /* OWN_CARRY_UP; OWN_CARRY_IP: which match. */
    uint16_t out_port; /* OWN_CARRY_UP. */
};

struct carry_rules {
    size_t n, allocated;
    struct carry_rule *rules; /* Owned. */
};

struct instr_carry {
    struct instr_tree tree;      /* What the switch is told. 'down' owned. */
    struct of_match **underlays; /* Of Geneve postcards.  Owned. */
    size_t n_underlays;
    struct carry_rules stand;
    bool is_withdrawn;
    bool is_settled;
    uint64_t tag; /* Of the messages that it is not settled for. */
};

struct instr_carry *
instr_carry_create(const struct instr_config *config)
{
    struct instr_carry *carry = lh_alloc_zero(sizeof *carry);

    carry->is_settled = true;
    carry->underlays =
        lh_alloc_zero(config->n_underlays * sizeof *carry->underlays);
    carry->n_underlays = config->n_underlays;
    for (size_t i = 0; i < config->n_underlays; i++) {
        free(of_match_from_text(&carry->underlays[i], config->underlays[i]));
    }
    return carry;
}

void
instr_carry_destroy(struct instr_carry *carry)
{
    if (carry) {
        free(carry->tree.down);
        for (size_t i = 0; i < carry->n_underlays; i++) {
            of_match_destroy(carry->underlays[i]);
        }
        free(carry->underlays);
        free(carry->stand.rules);
        free(carry);
    }
}

uint16_t
instr_card_port_of(const struct instr *instr, enum instr_encapsulation kind)
{
    uint32_t port = instr->config.ports[kind].no;

    /* In band only the collector's bridge has a port of its own for them. */
    return kind == INSTR_MAC && instr->config.is_inband && !port
               ? instr->carry->tree.up
               : (uint16_t) port;
}

uint16_t
instr_card_port(const struct instr *instr)
{
    enum instr_encapsulation kind = instr->config.selection.encapsulation;
    uint16_t port = instr_card_port_of(instr, kind);

    for (int i = 0; !port && i < INSTR_N_ENCAPSULATIONS; i++) {
        port = instr_card_port_of(instr, (enum instr_encapsulation) i);
    }
    return port;
}

/* --- The rules. --- */

static void
add(struct carry_rules *rules, struct carry_rule rule)
{
    rules->rules = lh_alloc_grow(rules->rules, rules->n, &rules->allocated,
                                 sizeof *rules->rules);
    rules->rules[rules->n++] = rule;
}

/* What is to stand; in_port is never out_port, so that no frame is sent back
 * to where it came from. */
static struct carry_rules
wanted(const struct instr *instr)
{
    const struct instr_carry *carry = instr->carry;
    uint16_t up = instr_card_port_of(instr, INSTR_MAC);
    struct carry_rules rules = {0};

    if (carry->is_withdrawn) {
        return rules;
    }
    for (size_t i = 0; i < carry->n_underlays; i++) {
        if (carry->underlays[i]) {
            add(&rules, (struct carry_rule){.kind = OWN_CARRY_IP,
                                            .in_port = (uint16_t) i});
        }
    }
    if (instr->config.is_inband) {
        add(&rules, (struct carry_rule){.kind = OWN_CARRY_DROP});
    }
    for (size_t i = 0; up && i < carry->tree.n_down; i++) {
        if (carry->tree.down[i] != up) {
            add(&rules,
                (struct carry_rule){OWN_CARRY_UP, carry->tree.down[i], up});
        }
    }
    return rules;
}

/* The one with the same match, or NULL. */
static const struct carry_rule *
find(const struct carry_rules *rules, const struct carry_rule *rule)
{
    for (size_t i = 0; i < rules->n; i++) {
        if (rules->rules[i].kind == rule->kind &&
            rules->rules[i].in_port == rule->in_port) {
            return &rules->rules[i];
        }
    }
    return NULL;
}

static struct of_match *
match_of(const struct instr *instr, const struct carry_rule *rule)
{
    uint16_t vlan = instr->config.ports[INSTR_MAC].vlan;
    struct of_match *match = NULL;
    char *text;

    if (rule->kind == OWN_CARRY_IP) {
        return of_match_clone(instr->carry->underlays[rule->in_port]);
    }
    text = rule->kind == OWN_CARRY_UP
               ? lh_asprintf("in_port=%u,dl_vlan=%u", rule->in_port, vlan)
               : lh_asprintf("dl_vlan=%u", vlan);
    free(of_match_from_text(&match, text));
    free(text);
    return match;
}

static void
send(struct instr_change *c, enum of_flow_command command,
     const struct carry_rule *rule)
{
    uint16_t priority =
        rule->kind == OWN_CARRY_DROP ? PRIORITY_DROP : UINT16_MAX;
    struct of_match *match = match_of(c->instr, rule);
    struct of_acts acts = OF_ACTS_INIT;
    char *text = rule->kind == OWN_CARRY_UP
                     ? lh_asprintf("output:%u", rule->out_port)
                     : lh_strdup(rule->kind == OWN_CARRY_IP ? "normal" : "");

    if (*text) {
        free(of_acts_from_text(&acts, text));
    }
    free(text);
    if (match) {
        instr_own_send(c, command, rule->kind, 0, priority, match, &acts);
    }
    of_acts_uninit(&acts);
}

void
instr_carry_update(struct instr_change *c)
{
    struct carry_rules *stand = &c->instr->carry->stand;
    struct carry_rules want = wanted(c->instr);

    /* First what goes: there is never more than the old ones or the new. */
    for (size_t i = 0; i < stand->n; i++) {
        if (!find(&want, &stand->rules[i])) {
            send(c, OF_FLOW_DELETE_STRICT, &stand->rules[i]);
        }
    }
    for (size_t i = 0; i < want.n; i++) {
        const struct carry_rule *old = find(stand, &want.rules[i]);

        if (!old || old->out_port != want.rules[i].out_port) {
            send(c, OF_FLOW_ADD, &want.rules[i]);
        }
    }
    free(stand->rules);
    *stand = want;
}

void
instr_carry_repair(struct instr_change *c)
{
    const struct carry_rules *stand = &c->instr->carry->stand;

    for (size_t i = 0; i < stand->n; i++) {
        send(c, OF_FLOW_ADD, &stand->rules[i]);
    }
}

size_t
instr_carry_count(const struct instr *instr)
{
    return instr->carry->stand.n;
}

void
instr_carry_withdraw(struct instr_change *c)
{
    c->instr->carry->is_withdrawn = true;
    instr_carry_update(c);
}

void
instr_carry_reset(struct instr *instr)
{
    instr->carry->stand.n = 0;
}

bool
instr_carry_has(const struct instr *instr, uint8_t kind,
                const struct of_match *match)
{
    const struct carry_rules *stand = &instr->carry->stand;
    bool has = false;

    for (size_t i = 0; i < stand->n && !has; i++) {
        struct of_match *own = match_of(instr, &stand->rules[i]);

        has =
            stand->rules[i].kind == kind && own && of_match_equal(own, match);
        of_match_destroy(own);
    }
    return has;
}

/* --- The tree. --- */

static bool
is_same(const struct instr_tree *a, const struct instr_tree *b)
{
    return a->up == b->up && a->n_down == b->n_down &&
           (!a->n_down ||
            !memcmp(a->down, b->down, a->n_down * sizeof *a->down));
}

void
instr_set_tree(struct instr *instr, const struct instr_tree *tree,
               uint64_t now_ns, struct instr_out *out)
{
    struct instr_carry *carry = instr->carry;
    uint16_t old_port = instr_card_port_of(instr, INSTR_MAC);

    if (is_same(&carry->tree, tree)) {
        return;
    }
    free(carry->tree.down);
    carry->tree = *tree;
    carry->tree.down =
        lh_memdup(tree->down, tree->n_down * sizeof *tree->down);
    if (!instr->is_ready) {
        return;
    }
    carry->is_settled = false;
    carry->tag = 0;
    instr_owe(instr, OWES_TREE);
    if (instr_card_port_of(instr, INSTR_MAC) != old_port) {
        instr_inject_set(instr);
        instr_owe(instr, OWES_UPDATE | OWES_REWRITE);
    }
    instr_owed_pay(instr, now_ns, out);
}

void
instr_carry_pay(struct instr_change *c)
{
    struct instr_change own;

    instr_own_begin(&own, c, "recorder");
    instr_carry_update(&own);
    c->instr->carry->tag = instr_change_barrier(&own);
}

void
instr_carry_answer(struct instr_change *c, uint64_t tag)
{
    struct instr_carry *carry = c->instr->carry;

    if (tag && tag == carry->tag) {
        carry->tag = 0;
        carry->is_settled = true;
        c->out->tree_settled = true;
    }
}

void
instr_carry_ready(struct instr_change *c)
{
    struct instr_carry *carry = c->instr->carry;

    c->out->tree_settled |= !carry->is_settled;
    carry->is_settled = true;
}

void
instr_carry_forget(struct instr *instr)
{
    if (!instr->carry->is_settled) {
        instr->carry->tag = 0;
        instr_owe(instr, OWES_TREE);
    }
}

const struct instr_tree *
instr_get_tree(const struct instr *instr)
{
    return &instr->carry->tree;
}

bool
instr_tree_is_settled(const struct instr *instr)
{
    return instr->carry->is_settled && instr->is_ready;
}
