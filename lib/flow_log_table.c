/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log_table - tables out of states. */
#include <config.h>

#include "lib/flow_log.h"

#include <stdlib.h>

#include "lib/flow_log_db.h"
#include "lib/lh_alloc.h"

void
flow_log_rules_uninit(struct flow_log_rules *rules)
{
    for (size_t i = 0; i < rules->n; i++) {
        rule_unref(rules->rules[i]);
    }
    free(rules->rules);
    *rules = (struct flow_log_rules) FLOW_LOG_RULES_INIT;
}

void
flow_log_state_uninit(struct flow_log_state *state)
{
    flow_log_rules_uninit(&state->rules);
    for (size_t i = 0; i < state->n_objects; i++) {
        free(state->objects[i].text);
        free(state->objects[i].how);
        free(state->objects[i].raw);
    }
    free(state->objects);
    *state = (struct flow_log_state){.change = 0};
}

/* Adds the rules of the moment, those of groups if 'all'. */
static int
get_rules(struct flow_log *log, uint64_t dpid,
          const struct flow_log_moment *moment, bool all,
          struct flow_log_rules *rules, uint64_t *at_ns,
          struct lh_error *error)
{
    struct flow_log_state state;
    int retval = flow_log_state_at(log, dpid, moment, &state, error);

    if (retval) {
        return retval;
    }
    for (size_t i = 0; i < state.rules.n; i++) {
        struct rule *rule = state.rules.rules[i];

        if (all || rule->kind < RULE_GROUP) {
            rules->rules =
                lh_alloc_grow(rules->rules, rules->n, &rules->allocated,
                              sizeof *rules->rules);
            rules->rules[rules->n++] = rule_ref(rule);
        }
    }
    if (at_ns) {
        *at_ns = state.at_ns;
    }
    flow_log_state_uninit(&state);
    return 0;
}

int
flow_log_table_at_version(struct flow_log *log, uint64_t dpid,
                          uint32_t version, struct flow_log_rules *rules,
                          uint64_t *at_ns, struct lh_error *error)
{
    struct flow_log_moment moment = {
        .when = FLOW_LOG_AT_VERSION,
        .version = version,
    };

    return get_rules(log, dpid, &moment, false, rules, at_ns, error);
}

int
flow_log_table_at_time(struct flow_log *log, uint64_t dpid, uint64_t time_ns,
                       struct flow_log_rules *rules, struct lh_error *error)
{
    struct flow_log_moment moment = {
        .when = FLOW_LOG_AT_TIME,
        .time_ns = time_ns < INT64_MAX ? time_ns : INT64_MAX,
    };

    return get_rules(log, dpid, &moment, false, rules, NULL, error);
}

int
flow_log_table_standing(struct flow_log *log, uint64_t dpid,
                        struct flow_log_rules *rules, struct lh_error *error)
{
    struct flow_log_moment moment = {.when = FLOW_LOG_NOW};

    return get_rules(log, dpid, &moment, false, rules, NULL, error);
}

int
flow_log_standing(struct flow_log *log, uint64_t dpid,
                  struct flow_log_rules *rules, struct lh_error *error)
{
    struct flow_log_moment moment = {.when = FLOW_LOG_NOW};

    return get_rules(log, dpid, &moment, true, rules, NULL, error);
}
