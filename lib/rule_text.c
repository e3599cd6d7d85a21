/* SPDX-License-Identifier: Apache-2.0 */
/* rule_text - a rule as one line that ovs-ofctl takes. */
#include <config.h>

#include "lib/rule.h"

#include <inttypes.h>
#include <stdlib.h>

#include "lib/lh_alloc.h"

/* Appends to '*text', which is replaced. */
static void
append(char **text, char *more)
{
    char *both = lh_asprintf("%s%s", *text, more);

    free(*text);
    free(more);
    *text = both;
}

char *
rule_flow_text(const struct rule *rule)
{
    char *text;

    if (rule->kind == RULE_GROUP || rule->kind == RULE_PACKET_OUT) {
        return lh_asprintf("%s,actions=%s", rule->match, rule->actions);
    }
    text = lh_asprintf("table=%u,priority=%u", rule->table_id, rule->priority);
    if (rule->cookie) {
        append(&text, lh_asprintf(",cookie=0x%" PRIx64, rule->cookie));
    }
    if (rule->idle_timeout) {
        append(&text, lh_asprintf(",idle_timeout=%u", rule->idle_timeout));
    }
    if (rule->hard_timeout) {
        append(&text, lh_asprintf(",hard_timeout=%u", rule->hard_timeout));
    }
    if (rule->importance) {
        append(&text, lh_asprintf(",importance=%u", rule->importance));
    }
    if (rule->flags & 1) {
        append(&text, lh_strdup(",send_flow_rem"));
    }
    append(&text, lh_asprintf("%s%s,actions=%s", *rule->match ? "," : "",
                              rule->match, rule->actions));
    return text;
}
