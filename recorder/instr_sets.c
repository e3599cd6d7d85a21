/* SPDX-License-Identifier: Apache-2.0 */
/* instr_sets - whether action sets may be rewritten. */
#include <config.h>
#include "recorder/instr_sets.h"

#include "recorder/of_group.h"

static bool
has_select(const struct instr *instr)
{
    for (size_t i = 0; i < instr->n_groups; i++) {
        if (instr->groups[i]->is_select) {
            return true;
        }
    }
    return false;
}

bool
instr_sets_must_keep(const struct instr *instr, const struct of_facts *facts)
{
    /* A select group has the datapath compute a hash first. */
    return facts->has_recirc || (facts->has_select && has_select(instr)) ||
           instr_shadow_mixes_sets(instr->shadow, facts);
}

void
instr_sets_prepare_group(struct instr_change *c, const struct shadow_group *sg)
{
    struct of_facts facts = sg->facts;

    facts.has_recirc |=
        sg->is_select && instr_shadow_n_select(c->instr->shadow);
    instr_own_prepare(c, 0, &facts);
}

void
instr_sets_read(struct instr *instr, struct of_group *const *groups, size_t n)
{
    bool is_select_used = instr_shadow_n_select(instr->shadow) != 0;

    instr->has_action_sets = instr_shadow_n_write(instr->shadow) != 0;
    instr->keeps_sets = instr_shadow_n_recirc(instr->shadow) != 0 ||
                        instr_shadow_mixes_sets(instr->shadow, NULL);
    for (size_t i = 0; i < n; i++) {
        instr->keeps_sets |= of_group_is_select(groups[i]) && is_select_used;
        for (size_t j = 0; j < of_group_n_buckets(groups[i]); j++) {
            struct of_facts facts;
            struct of_acts acts;

            of_group_get_bucket(groups[i], j, &acts);
            of_acts_facts(&acts, 0, &facts);
            instr->keeps_sets |= facts.has_recirc;
        }
    }
}
