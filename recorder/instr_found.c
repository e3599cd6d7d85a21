/* SPDX-License-Identifier: Apache-2.0 */
/* instr_found - groups found in a switch, brought in line with the log. */
#include <config.h>
#include "recorder/instr_found.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "recorder/of_wire.h"

struct rule *
instr_found_rule(const struct instr *instr, uint32_t version)
{
    return instr->config.known_rule
               ? instr->config.known_rule(instr->config.aux, version)
               : NULL;
}

/* Gives bucket 'i' of 'own' the actions that it has in the group-mod that
 * 'rule' came by; false: it has none there. */
static bool
recall_bucket(struct of_group *own, size_t i, const struct rule *rule)
{
    uint32_t id = of_group_bucket_id(own, i);
    struct of_group *raw = NULL;
    bool ok = false;

    if (rule && rule->kind == RULE_GROUP && rule->raw &&
        rule->raw_len >= OF_WIRE_HEADER_LEN &&
        of_wire_frame(rule->raw, rule->raw_len) == (int) rule->raw_len) {
        raw = of_group_decode(rule->raw, rule->raw_len);
    }
    for (size_t j = 0; raw && of_group_id(raw) == of_group_id(own) &&
                       j < of_group_n_buckets(raw);
         j++) {
        if (of_group_bucket_id(raw, j) == id) {
            struct of_acts acts;

            of_group_get_bucket(raw, j, &acts);
            of_group_set_bucket(own, i, &acts);
            ok = true;
        }
    }
    of_group_destroy(raw);
    return ok;
}

/* A bucket without postcards has no version in it: true when the log has it,
 * among those of another bucket's, as it is. */
static bool
is_recalled(const struct of_group *own, size_t i,
            const struct rule *const *rules)
{
    bool found = false;

    for (size_t k = 0; k < of_group_n_buckets(own) && !found; k++) {
        struct of_group *copy = rules[k] ? of_group_clone(own) : NULL;
        struct of_acts acts, known;

        if (copy && recall_bucket(copy, i, rules[k])) {
            of_group_get_bucket(own, i, &acts);
            of_group_get_bucket(copy, i, &known);
            found = of_acts_equal(&acts, &known);
        }
        of_group_destroy(copy);
    }
    return found;
}

/* Takes over what the log says of the buckets of 'group'; NULL when it does
 * not know them all.  Buckets that tell no version get a new one. */
static struct shadow_group *
recall_group(struct instr_change *c, const struct of_group *group,
             of_trace_indexed *indexed, void *aux)
{
    struct instr *instr = c->instr;
    struct of_group *own = of_group_clone(group);
    size_t n = of_group_n_buckets(group);
    uint32_t *versions = lh_alloc_zero(n * sizeof *versions);
    struct rule **rules = lh_alloc_zero(n * sizeof *rules);
    struct shadow_group *sg = NULL;
    uint64_t change = 0, installed_ns = 0;
    bool ok = true;

    for (size_t i = 0; ok && i < n; i++) {
        struct of_acts acts;

        of_group_get_bucket(group, i, &acts);
        if (of_trace_find_version(&instr->trace, &acts, indexed, aux,
                                  &versions[i])) {
            rules[i] = instr_found_rule(instr, versions[i]);
            ok = recall_bucket(own, i, rules[i]);
        }
        if (ok && rules[i]) {
            change = rules[i]->change;
            installed_ns = rules[i]->installed_ns;
        }
    }
    for (size_t i = 0; ok && i < n; i++) {
        ok = rules[i] ||
             is_recalled(own, i, (const struct rule *const *) rules);
    }
    if (ok) {
        sg = instr_group_create(own);
        for (size_t i = 0; i < n; i++) {
            sg->versions[i] = versions[i];
        }
        sg->change = change;
        sg->installed_ns = installed_ns;
        for (size_t i = 0; i < n; i++) {
            if (!rules[i]) {
                sg->versions[i] = instr_version(c);
                instr_made(c->out,
                           instr_rule_bucket(c, sg, i, "found", "switch"));
            }
        }
    } else {
        of_group_destroy(own);
    }
    for (size_t i = 0; i < n; i++) {
        rule_unref(rules[i]);
    }
    free(rules);
    free(versions);
    return sg;
}

static struct shadow_group *
find_group(struct instr_change *c, const struct of_group *group,
           of_trace_indexed *indexed, void *aux)
{
    struct instr *instr = c->instr;
    struct of_group *own = of_group_clone(group);
    struct shadow_group *sg;

    for (size_t i = 0; i < of_group_n_buckets(group); i++) {
        struct of_acts acts, stripped;

        of_group_get_bucket(group, i, &acts);
        of_trace_strip(&instr->trace, &acts, indexed, aux, &stripped);
        of_group_set_bucket(own, i, &stripped);
        of_acts_uninit(&stripped);
    }
    sg = instr_group_create(own);
    for (size_t i = 0; i < sg->n_buckets; i++) {
        sg->versions[i] = instr->config.next_version(instr->config.aux);
        if (!i) {
            sg->change = sg->versions[i];
        }
    }
    sg->installed_ns = c->now_ns;
    for (size_t i = 0; i < sg->n_buckets; i++) {
        instr_made(c->out, instr_rule_bucket(c, sg, i, "found", "switch"));
    }
    return sg;
}

void
instr_found_groups(struct instr_change *c, struct of_group *const *groups,
                   size_t n, of_trace_indexed *indexed, void *aux)
{
    struct instr *instr = c->instr;

    for (size_t i = 0; i < n; i++) {
        struct shadow_group *sg = recall_group(c, groups[i], indexed, aux);

        instr_group_insert(instr,
                           sg ? sg : find_group(c, groups[i], indexed, aux));
    }
    if (instr->n_groups) {
        instr_counts_ask_all(c);
    }
    for (size_t i = 0; i < instr->n_groups; i++) {
        instr_group_rewrite(c, instr->groups[i]);
    }
}
