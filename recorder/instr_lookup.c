/* SPDX-License-Identifier: Apache-2.0 */
/* instr_lookup - tables in which the controller's rules only look something
 * up: what ends there is no drop. */
#include <config.h>
#include "recorder/instr_state.h"

#include <stdlib.h>

void
instr_lookup_update(struct instr_change *c)
{
    struct instr *instr = c->instr;
    struct of_tables changed = instr_shadow_find_lookups(instr->shadow);
    struct shadow_rule **rules;
    struct instr_change own;
    size_t n;

    if (!(changed.bits[0] | changed.bits[1] | changed.bits[2] |
          changed.bits[3]) ||
        !instr_inject_has(instr)) {
        return;
    }
    instr_own_begin(&own, c, c->who);
    rules = instr_shadow_all(instr->shadow, &n);
    for (size_t i = 0; i < n; i++) {
        if (!of_tables_has(&changed, rules[i]->table_id) ||
            of_acts_is_transit(&rules[i]->acts, false)) {
            continue;
        }
        if (rules[i]->of_version > c->link->of_version) {
            if (c->link != instr_link_choose(instr)) {
                instr_owe(instr, OWES_REWRITE);
            }
        } else {
            instr_flow_rewrite(&own, rules[i]);
        }
    }
    free(rules);
}
