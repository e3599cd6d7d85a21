/* SPDX-License-Identifier: Apache-2.0 */
/* instr_past - rules that have just left the shadow, by version.
 *
 * What a switch tells of a rule by a flow monitor may come when the shadow is
 * already further.  The last ones to leave are kept, as many as have room. */
#include <config.h>
#include "recorder/instr_state.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"

#define N_PAST 4096

struct instr_past {
    struct shadow_rule *ring[N_PAST]; /* Owned. */
    size_t next;
    struct shadow_rule *by_version[N_PAST]; /* By next_version. */
};

static struct shadow_rule **
bucket(struct instr_past *past, uint32_t version)
{
    return &past->by_version[version % N_PAST];
}

static void
forget(struct instr_past *past, struct shadow_rule *rule)
{
    struct shadow_rule **p = bucket(past, rule->version);

    while (*p != rule) {
        p = &(*p)->next_version;
    }
    *p = rule->next_version;
    shadow_rule_destroy(rule);
}

void
instr_past_put(struct instr *instr, struct shadow_rule *rule)
{
    struct instr_past *past = instr->past;
    struct shadow_rule **p;

    if (!rule) {
        return;
    }
    if (!past) {
        past = instr->past = lh_alloc_zero(sizeof *past);
    }
    p = &past->ring[past->next++ % N_PAST];
    if (*p) {
        forget(past, *p);
    }
    *p = rule;
    p = bucket(past, rule->version);
    rule->next_version = *p;
    *p = rule;
}

void
instr_past_destroy(struct instr *instr)
{
    for (size_t i = 0; instr->past && i < N_PAST; i++) {
        shadow_rule_destroy(instr->past->ring[i]);
    }
    free(instr->past);
    instr->past = NULL;
}

const struct shadow_rule *
instr_past_find(const struct instr *instr, uint32_t version)
{
    const struct shadow_rule *rule =
        instr_shadow_by_version(instr->shadow, version);

    if (!rule) {
        rule = instr_undo_find(instr, version);
    }
    if (!rule && instr->past) {
        rule = *bucket(instr->past, version);
        while (rule && rule->version != version) {
            rule = rule->next_version;
        }
    }
    return rule;
}

static bool
is_key(const struct shadow_rule *rule, uint8_t table_id, uint16_t priority,
       const struct of_match *match)
{
    return rule->table_id == table_id && rule->priority == priority &&
           of_match_equal(rule->match, match);
}

const struct shadow_rule *
instr_past_last(const struct instr *instr, uint8_t table_id, uint16_t priority,
                const struct of_match *match)
{
    const struct shadow_rule *rule =
        instr_undo_last(instr, table_id, priority, match);

    for (size_t i = 1; !rule && instr->past && i <= N_PAST; i++) {
        const struct shadow_rule *r =
            instr->past->ring[(instr->past->next + N_PAST - i) % N_PAST];

        if (!r) {
            break;
        }
        if (is_key(r, table_id, priority, match)) {
            rule = r;
        }
    }
    return rule;
}

const struct shadow_rule *
instr_past_before(const struct instr *instr, const struct shadow_rule *rule)
{
    return rule->replaces ? instr_past_find(instr, rule->replaces) : NULL;
}
