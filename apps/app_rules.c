/* SPDX-License-Identifier: Apache-2.0 */
/* app_rules - the rules that packets met, as a line of text each. */
#include <config.h>
#include "apps/app_rules.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "lib/lh_alloc.h"

/* Texts kept; a power of two.  Where two rules meet the later stays. */
#define N_SLOTS 8192

struct slot {
    uint64_t dpid;
    uint32_t version;
    char *text; /* NULL: empty.  Owned. */
};

struct app_rules {
    struct app_source *source;
    bool has_failed;
    struct lh_error error;
    struct slot slots[N_SLOTS];
};

struct app_rules *
app_rules_create(struct app_source *source)
{
    struct app_rules *rules = lh_alloc_zero(sizeof *rules);

    rules->source = source;
    return rules;
}

void
app_rules_destroy(struct app_rules *rules)
{
    for (size_t i = 0; rules && i < N_SLOTS; i++) {
        free(rules->slots[i].text);
    }
    free(rules);
}

char *
app_rules_format(const struct rule *rule)
{
    if (rule->kind == RULE_GROUP || rule->kind == RULE_PACKET_OUT) {
        return lh_asprintf("%s actions=%s", rule_kind_name(rule->kind),
                           rule->actions);
    }
    return lh_asprintf("%s%u priority %u %s%sactions=%s",
                       rule->kind == RULE_FLOW ? "table "
                                               : "table miss of table ",
                       rule->table_id, rule->priority, rule->match,
                       *rule->match ? " " : "", rule->actions);
}

const char *
app_rules_text(struct app_rules *rules, uint64_t dpid, uint32_t version)
{
    uint64_t hash = (dpid * UINT64_C(0x9e3779b97f4a7c15) + version) *
                    UINT64_C(0x9e3779b97f4a7c15);
    struct slot *slot = &rules->slots[hash >> 32 & (N_SLOTS - 1)];
    struct lh_error error;
    struct rule *rule;
    int retval;

    if (slot->text && slot->dpid == dpid && slot->version == version) {
        return slot->text;
    }
    if (rules->has_failed) {
        return NULL;
    }
    retval = app_source_rule(rules->source, dpid, version, &rule, &error);
    if (retval) {
        if (retval != ENOENT) {
            rules->has_failed = true;
            rules->error = error;
        }
        return NULL;
    }
    free(slot->text);
    *slot = (struct slot){dpid, version, app_rules_format(rule)};
    rule_unref(rule);
    return slot->text;
}

const struct lh_error *
app_rules_error(const struct app_rules *rules)
{
    return rules->has_failed ? &rules->error : NULL;
}
