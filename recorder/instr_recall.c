/* SPDX-License-Identifier: Apache-2.0 */
/* instr_recall - rules that carry no version, because their switch is paused
 * or has no postcards, known again by what they match and do. */
#include <config.h>
#include "recorder/instr_found.h"

#include "recorder/of_wire.h"

/* Puts a rule that the log has standing into 'shadow'. */
static void
keep(void *shadow_, const struct rule *rule)
{
    struct instr_shadow *shadow = shadow_;
    struct shadow_rule *kept;
    struct of_flow flow;

    if (rule->kind != RULE_FLOW || !rule->raw ||
        rule->raw_len < OF_WIRE_HEADER_LEN ||
        of_wire_frame(rule->raw, rule->raw_len) != (int) rule->raw_len ||
        !of_flow_decode(rule->raw, rule->raw_len, true, &flow)) {
        return;
    }
    kept = shadow_rule_create(rule->table_id, rule->priority,
                              of_match_clone(flow.match), &flow.acts);
    kept->version = rule->version;
    shadow_rule_destroy(instr_shadow_insert(shadow, kept));
    of_flow_uninit(&flow);
}

struct instr_shadow *
instr_recall_open(const struct instr *instr, bool has_versions)
{
    const struct instr_config *config = &instr->config;
    struct instr_shadow *shadow;

    if ((has_versions && !config->selection.is_paused) ||
        !config->each_standing) {
        return NULL;
    }
    shadow = instr_shadow_create();
    config->each_standing(config->aux, keep, shadow);
    return shadow;
}

uint32_t
instr_recall_version(const struct instr_shadow *shadow,
                     const struct of_flow_record *record)
{
    const struct shadow_rule *kept =
        shadow ? instr_shadow_find(shadow, record->table_id, record->priority,
                                   record->match)
               : NULL;

    return kept && of_acts_equal(&kept->acts, &record->acts) ? kept->version
                                                             : 0;
}
