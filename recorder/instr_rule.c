/* SPDX-License-Identifier: Apache-2.0 */
/* instr_rule - the rules that instr publishes, from what it holds. */
#include <config.h>
#include "recorder/instr_state.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "recorder/of_steps.h"
#include "recorder/of_wire.h"

static struct rule *
new_rule(const struct instr *instr, enum rule_kind kind, uint32_t version,
         const char *command, const char *who, uint64_t now_ns)
{
    struct rule *rule = rule_create();

    rule->dpid = instr->config.dpid;
    rule->version = version;
    rule->kind = kind;
    free(rule->command);
    rule->command = lh_strdup(command);
    free(rule->who);
    rule->who = lh_strdup(who);
    rule->installed_ns = now_ns;
    return rule;
}

/* Gives the rule texts as ovs-ofctl writes them, by malloc(). */
static void
set_text(struct rule *rule, char *match, const struct of_acts *acts)
{
    free(rule->match);
    rule->match = match;
    free(rule->actions);
    rule->actions = of_acts_to_text(acts);
}

/* Only now what is for people to read: `raw` says it all. */
static void
describe_flow(struct rule *rule)
{
    struct of_flow flow;

    if (rule->raw && of_flow_decode(rule->raw, rule->raw_len, true, &flow)) {
        set_text(rule, of_match_to_text(flow.match), &flow.acts);
        of_steps_add(rule, &flow.acts, false);
        of_flow_uninit(&flow);
        if (rule->n_steps) {
            /* The log describes thousands before it lets them go. */
            rule->steps = lh_alloc_array(rule->steps, rule->n_steps,
                                         sizeof *rule->steps);
            rule->allocated_steps = rule->n_steps;
        }
    } else {
        /* Too long for a message: nobody can have such a rule. */
        rule->match = lh_strdup("");
        rule->actions = lh_strdup("");
    }
}

/* The same text, which stays for ever: rules outlive whoever asked for them,
 * and there are few names. */
static const char *
shared_text(const char *text)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static char **texts;
    static size_t n, allocated;
    const char *found = NULL;

    pthread_mutex_lock(&mutex); /* Of any number of switches' threads. */
    for (size_t i = 0; i < n && !found; i++) {
        found = strcmp(texts[i], text) ? NULL : texts[i];
    }
    if (!found) {
        texts = lh_alloc_grow(texts, n, &allocated, sizeof *texts);
        found = texts[n++] = lh_strdup(text);
    }
    pthread_mutex_unlock(&mutex);
    return found;
}

struct rule *
instr_rule_flow(const struct instr_change *c, const struct shadow_rule *shadow,
                const char *command, const char *who)
{
    const struct instr *instr = c->instr;
    struct rule *rule;
    struct of_flow flow;
    uint8_t *raw;
    size_t raw_len;

    shadow_rule_to_flow(shadow, &flow);
    of_flow_encode_like(&flow, c->link->of_version, c->flow_mod,
                        c->flow_mod_len, true, &raw, &raw_len);
    rule = rule_create_terse(command, shared_text(who), raw, raw_len,
                             describe_flow);
    free(raw);
    rule->dpid = instr->config.dpid;
    rule->version = shadow->version;
    rule->kind = RULE_FLOW;
    rule->installed_ns = shadow->installed_ns;
    rule->table_id = shadow->table_id;
    rule->priority = shadow->priority;
    rule->cookie = shadow->cookie;
    rule->idle_timeout = shadow->idle_timeout;
    rule->hard_timeout = shadow->hard_timeout;
    rule->importance = shadow->importance;
    rule->flags = of_flow_wire_flags(shadow->flags, c->link->of_version);
    rule->change = shadow->change;
    rule->is_instrumented = shadow->is_instrumented;
    rule->is_transit = of_acts_is_transit(
        &shadow->acts, instr->has_action_sets && shadow->table_id);
    return rule;
}

struct rule *
instr_rule_miss(const struct instr *instr, uint8_t table_id, uint32_t version,
                uint64_t now_ns)
{
    const struct instr_miss *miss = &instr->miss[table_id];
    struct rule *rule =
        new_rule(instr, RULE_MISS, version, "add", "recorder", now_ns);
    struct of_acts acts = OF_ACTS_INIT;
    struct step step = {.type = STEP_OUTPUT, .port = OF_PORT_CONTROLLER};

    rule->table_id = table_id;
    rule->cookie = OWN_COOKIE | OWN_MISS;
    rule->change = version;
    rule->is_instrumented = true;
    rule->is_transit = instr->has_action_sets && table_id;
    if (miss->to_controller) {
        char *text = lh_asprintf("controller(reason=no_match,max_len=%d)",
                                 miss->miss_len);

        free(of_acts_from_text(&acts, text));
        free(text);
        rule_add_step(rule, &step);
    }
    set_text(rule, lh_strdup(""), &acts);
    of_acts_uninit(&acts);
    return rule;
}

struct rule *
instr_rule_bucket(const struct instr_change *c,
                  const struct shadow_group *group, size_t i,
                  const char *command, const char *who)
{
    const struct instr *instr = c->instr;
    struct rule *rule = new_rule(instr, RULE_GROUP, group->versions[i],
                                 command, who, group->installed_ns);
    struct of_acts acts;

    of_group_get_bucket(group->group, i, &acts);
    rule->change = group->change;
    rule->is_instrumented =
        instr_select_is_on(instr) && instr_select_groups(instr).len;
    rule->is_transit = of_acts_is_transit(&acts, false);
    set_text(rule,
             lh_asprintf("group_id=%u,bucket=%u", group->id,
                         of_group_bucket_id(group->group, i)),
             &acts);
    of_steps_add(rule, &acts, true);
    of_group_encode(group->group, c->link->of_version, 0, &rule->raw,
                    &rule->raw_len);
    return rule;
}

struct rule *
instr_rule_packet_out(const struct instr *instr, uint32_t version,
                      uint16_t in_port, const struct of_acts *acts,
                      const uint8_t *raw, size_t raw_len, uint64_t now_ns,
                      const char *who)
{
    struct rule *rule =
        new_rule(instr, RULE_PACKET_OUT, version, "packet-out", who, now_ns);
    const char *name = of_port_name(in_port);

    rule->change = version;
    rule->is_instrumented =
        instr_select_is_on(instr) && instr_select_packet_out(instr).len;
    rule->is_transit = of_acts_is_transit(acts, false);
    set_text(rule,
             name ? lh_asprintf("in_port=%s", name)
                  : lh_asprintf("in_port=%u", in_port),
             acts);
    of_steps_add(rule, acts, false);
    rule->raw = lh_memdup(raw, raw_len);
    rule->raw_len = raw_len;
    return rule;
}
